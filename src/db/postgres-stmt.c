/* postgres-stmt.c - statements: prepared once per connection, parameters in binary form, results read as a whole.
 *
 * Runs in the thread that holds the transaction. */
#include "base/base.h"
#include "db/postgres.h"

#include <endian.h>

enum { OID_BYTEA = 17, OID_INT8 = 20, OID_TEXT = 25, OID_FLOAT8 = 701 };

static struct pg_tx   *pg_tx_of(struct db_tx *tx) { return (struct pg_tx *)(void *)tx; }
static struct pg_rows *pg_rows_of(struct db_rows *rows) { return (struct pg_rows *)(void *)rows; }

struct pg_params { /* all in binary form: no escaping, no NUL hunting */
	Oid         types[LIMIT_DB_PARAMS];
	const char *values[LIMIT_DB_PARAMS];
	int         lengths[LIMIT_DB_PARAMS], formats[LIMIT_DB_PARAMS];
	uint64_t    numbers[LIMIT_DB_PARAMS];
};

static Oid pg_oid(char type)
{
	switch (type) {
	case 'i': return OID_INT8;
	case 'd': return OID_FLOAT8;
	case 'b': return OID_BYTEA;
	case 'n': return 0; /* PostgreSQL finds out */
	default: return OID_TEXT;
	}
}

static void pg_params_fill(struct pg_params *p, const struct db_stmt *s)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct db_value *v = &s->v[i];

		p->types[i] = pg_oid(s->types[i]);
		p->formats[i] = 1;
		p->values[i] = NULL;
		p->lengths[i] = 0;
		if (v->kind == DB_INT || v->kind == DB_REAL) {
			if (v->kind == DB_INT)
				p->numbers[i] = (uint64_t)v->i;
			else
				memcpy(&p->numbers[i], &v->d, sizeof(v->d));
			p->numbers[i] = htobe64(p->numbers[i]);
			p->values[i] = (const char *)&p->numbers[i];
			p->lengths[i] = sizeof(p->numbers[i]);
		} else if (v->kind != DB_NULL) {
			p->values[i] = v->s.ptr;
			p->lengths[i] = (int)v->s.len;
		}
	}
}

/* Runs s with the prepared form of this connection, preparing it at the first use. The statement's text is translated then only. */
static int pg_run(struct pg_tx *tx, const struct db_stmt *s, PGresult **ret, struct err *reterr)
{
	struct pg_conn  *c = tx->conn;
	struct buf       key CLEANUP_BUF = BUF_INIT(LIMIT_DB_SQL_BYTES + LIMIT_DB_PARAMS + 1);
	struct buf       text CLEANUP_BUF = BUF_INIT(LIMIT_DB_SQL_BYTES);
	struct pg_params p;
	char             name[24];
	uintptr_t        number;
	PGresult        *res;
	ExecStatusType   st;
	int              rc;

	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].s.len > INT32_MAX)
			return err_set(reterr, WEIR_ELIMIT, "parameter $%zu is larger than PostgreSQL takes", i + 1);
	pg_params_fill(&p, s);
	buf_addf(&key, "%s:%s", s->types, s->sql);
	rc = buf_check(&key, "SQL", reterr);
	if (rc)
		return rc;
	number = (uintptr_t)map_get(&c->stmts, buf_str(&key));
	if (!number) {
		rc = db_translate(&db_postgres.dialect, s->sql, &text, reterr);
		if (rc)
			return rc;
	}
	if (!number && map_count(&c->stmts) < LIMIT_DB_CACHED) {
		number = map_count(&c->stmts) + 1;
		(void)snprintf(name, sizeof(name), "w%zu", (size_t)number);
		res = PQprepare(c->h, name, buf_z(&text), (int)s->n, p.types);
		if (PQresultStatus(res) != PGRES_COMMAND_OK)
			return pg_fail(c, res, s->sql, &tx->again, reterr);
		PQclear(res);
		if (!map_put(&c->stmts, buf_str(&key), (void *)number, NULL))
			return err_set(reterr, WEIR_ENOMEM, "no memory for a statement");
	}
	(void)snprintf(name, sizeof(name), "w%zu", (size_t)number);
	res = number ? PQexecPrepared(c->h, name, (int)s->n, p.values, p.lengths, p.formats, 0)
	             : PQexecParams(c->h, buf_z(&text), (int)s->n, p.types, p.values, p.lengths, p.formats, 0);
	st = PQresultStatus(res);
	if (st != PGRES_COMMAND_OK && st != PGRES_TUPLES_OK)
		return pg_fail(c, res, s->sql, &tx->again, reterr);
	*ret = res;
	return 0;
}

int pg_exec(struct db_tx *tx, const struct db_stmt *s, int64_t *ret_n, struct err *reterr)
{
	PGresult *res;
	int       rc = pg_run(pg_tx_of(tx), s, &res, reterr);

	if (rc)
		return rc;
	if (!str_has_prefix(str_z(PQcmdStatus(res)), STR("INSERT")) && !str_has_prefix(str_z(PQcmdStatus(res)), STR("UPDATE")) &&
	    !str_has_prefix(str_z(PQcmdStatus(res)), STR("DELETE")))
		*ret_n = 0; /* SELECT counts its rows there */
	else if (!str_to_i64(str_z(PQcmdTuples(res)), ret_n))
		*ret_n = 0;
	PQclear(res);
	return 0;
}

int pg_query(struct db_tx *tx, const struct db_stmt *s, struct db_rows **ret, struct err *reterr)
{
	struct pg_rows *r = calloc(1, sizeof(*r));
	int             rc = r ? pg_run(pg_tx_of(tx), s, &r->res, reterr) : err_set(reterr, WEIR_ENOMEM, "no memory for a query");

	if (!rc) {
		r->base.tx = tx;
		r->row = -1;
		r->n_cols = PQnfields(r->res);
		r->decoded = calloc((size_t)r->n_cols + 1, sizeof(*r->decoded));
		if (!r->decoded) {
			PQclear(r->res);
			rc = err_set(reterr, WEIR_ENOMEM, "no memory for a query");
		}
	}
	if (rc) {
		free(r);
		return rc;
	}
	*ret = &r->base;
	return 0;
}

static void pg_row_forget(struct pg_rows *r)
{
	for (int i = 0; i < r->n_cols; i++) {
		PQfreemem(r->decoded[i]);
		r->decoded[i] = NULL;
	}
}

int pg_next(struct db_rows *rows, struct err *reterr UNUSED)
{
	struct pg_rows *r = pg_rows_of(rows);

	pg_row_forget(r);
	return ++r->row < PQntuples(r->res) ? 1 : 0;
}

void pg_rows_close(struct db_rows *rows)
{
	struct pg_rows *r = pg_rows_of(rows);

	pg_row_forget(r);
	free(r->decoded);
	PQclear(r->res);
	free(r);
}

static struct pg_rows *pg_cell(struct db_rows *rows, int col)
{
	struct pg_rows *r = pg_rows_of(rows);

	if (r->row < 0 || r->row >= PQntuples(r->res) || col < 0 || col >= r->n_cols)
		BUG("column %d asked where there is no row or no such column", col);
	return r;
}

bool pg_col_null(struct db_rows *rows, int col)
{
	struct pg_rows *r = pg_cell(rows, col);

	return PQgetisnull(r->res, r->row, col);
}

int64_t pg_col_int(struct db_rows *rows, int col)
{
	struct pg_rows *r = pg_cell(rows, col);
	const char     *v = PQgetvalue(r->res, r->row, col);

	return v[0] == 't' && !v[1] ? 1 : strtoll(v, NULL, 10); /* boolean results are t and f */
}

double pg_col_real(struct db_rows *rows, int col)
{
	struct pg_rows *r = pg_cell(rows, col);

	return strtod(PQgetvalue(r->res, r->row, col), NULL);
}

str pg_col_str(struct db_rows *rows, int col)
{
	struct pg_rows *r = pg_cell(rows, col);
	const char     *v = PQgetvalue(r->res, r->row, col);
	size_t          n = 0;

	if (PQgetisnull(r->res, r->row, col))
		return STR_NULL;
	if (PQftype(r->res, col) != OID_BYTEA)
		return str_n(v, (size_t)PQgetlength(r->res, r->row, col));
	if (r->decoded[col])
		PQfreemem(r->decoded[col]);
	r->decoded[col] = PQunescapeBytea((const unsigned char *)v, &n);
	if (!r->decoded[col]) /* no memory: an empty value would be a lie */
		BUG("no memory for a value of %d bytes", PQgetlength(r->res, r->row, col));
	return str_n((const char *)r->decoded[col], n);
}

int pg_script(struct db_tx *tx, const char *sql, struct err *reterr)
{
	return pg_simple(pg_tx_of(tx)->conn, sql, &pg_tx_of(tx)->again, reterr);
}

int pg_notify(struct db_tx *tx, const char *channel, struct err *reterr)
{
	char sql[64 + DB_CHANNEL_SIZE]; /* channel names are [a-z_]: no quoting needed */

	(void)snprintf(sql, sizeof(sql), "NOTIFY " PG_CHANNEL_PREFIX "%s", channel);
	return pg_script(tx, sql, reterr);
}
