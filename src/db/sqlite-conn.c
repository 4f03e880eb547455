/* sqlite-conn.c - errors, connections and their prepared statements. A connection belongs to one thread at a time. */
#include "base/base.h"
#include "db/sqlite.h"

#include <errno.h>

/* --- errors --- */

int lite_code(sqlite3 *h, int rc)
{
	int sys;

	switch (rc) {
	case SQLITE_CONSTRAINT_UNIQUE:
	case SQLITE_CONSTRAINT_PRIMARYKEY:
	case SQLITE_CONSTRAINT_ROWID: return WEIR_EEXIST;
	default: break;
	}
	switch (rc & 0xff) {
	case SQLITE_CONSTRAINT: return WEIR_ECONFLICT;
	case SQLITE_FULL: return WEIR_ENOSPC;
	case SQLITE_NOMEM: return WEIR_ENOMEM;
	case SQLITE_TOOBIG: return WEIR_ELIMIT;
	case SQLITE_BUSY:
	case SQLITE_LOCKED: return WEIR_EBUSY;
	case SQLITE_READONLY: return WEIR_EPERM;
	case SQLITE_IOERR:
		sys = sqlite3_system_errno(h);
		return sys == ENOSPC || sys == EDQUOT || sys == EFBIG ? WEIR_ENOSPC : WEIR_EIO;
	case SQLITE_CANTOPEN:
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB: return WEIR_EIO;
	default: return WEIR_EINTERNAL;
	}
}

static int lite_err(struct lite_conn *c, int rc, const char *sql, struct err *reterr)
{
	int  ext = sqlite3_extended_errcode(c->h);
	int  code = lite_code(c->h, (ext & 0xff) == (rc & 0xff) ? ext : rc);

	if (code == WEIR_EIO) /* which of the forty kinds, and what the system said */
		return err_set(reterr, code, "SQLite: %s, code %d, errno %d (%.80s)", sqlite3_errstr(rc & 0xff), ext, sqlite3_system_errno(c->h), sql);
	return err_set(reterr, code, "SQLite: %s (%.80s)", (ext & 0xff) == (rc & 0xff) ? sqlite3_errmsg(c->h) : sqlite3_errstr(rc), sql);
}

/* --- connections and their prepared statements --- */

static struct lite_stmt *lite_stmt_free(struct lite_stmt *s)
{
	sqlite3_finalize(s->st);
	free(s);
	return NULL;
}

struct lite_conn *lite_conn_close(struct lite_conn *c)
{
	if (!c)
		return NULL;
	for (struct map_entry *e = map_next(&c->stmts, NULL); e; e = map_next(&c->stmts, e))
		lite_stmt_free(e->value);
	map_fini(&c->stmts);
	if (c->h && sqlite3_close(c->h) != SQLITE_OK)
		BUG("a statement is left at the end of a SQLite connection");
	free(c);
	return NULL;
}

static int lite_script(struct lite_conn *c, const char *sql, struct err *reterr)
{
	int rc = sqlite3_exec(c->h, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : lite_err(c, rc, sql, reterr);
}

int lite_conn_open(const char *path, bool writer, struct lite_conn **ret, struct err *reterr)
{
	struct lite_conn *c = calloc(1, sizeof(*c));
	int               rc;

	if (!c)
		return err_set(reterr, WEIR_ENOMEM, "no memory for a database connection");
	map_init(&c->stmts);
	rc = sqlite3_open_v2(path, &c->h, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (writer ? SQLITE_OPEN_CREATE : 0), NULL);
	if (rc == SQLITE_OK) {
		(void)sqlite3_extended_result_codes(c->h, 1);
		(void)sqlite3_busy_timeout(c->h, 10000); /* another program may hold the file: a backup, `weir log verify` */
		(void)sqlite3_db_config(c->h, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
		rc = lite_script(c, writer ? "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
		                             "PRAGMA trusted_schema=OFF; PRAGMA journal_size_limit=67108864"
		                           : "PRAGMA query_only=ON; PRAGMA trusted_schema=OFF", reterr);
		if (rc)
			(void)err_wrap(reterr, "cannot open database %s", path);
	} else if (c->h) {
		rc = err_set(reterr, lite_code(c->h, sqlite3_extended_errcode(c->h)), "cannot open database %s: %s", path, sqlite3_errmsg(c->h));
	} else {
		rc = err_set(reterr, WEIR_ENOMEM, "no memory for a database connection");
	}
	if (rc) {
		lite_conn_close(c);
		return rc;
	}
	*ret = c;
	return 0;
}

/* The prepared form of s->sql, reset and not in use by another query. */
static int lite_prepare(struct lite_conn *c, const char *sql, struct lite_stmt **ret, struct err *reterr)
{
	struct buf text      CLEANUP_BUF = BUF_INIT(LIMIT_DB_SQL_BYTES);
	struct lite_stmt    *s = map_get(&c->stmts, str_z(sql));
	const char          *tail = NULL;
	int                  rc;

	if (s && !s->busy) {
		*ret = s;
		return 0;
	}
	rc = db_translate(&db_sqlite.dialect, sql, &text, reterr);
	if (rc)
		return rc;
	s = calloc(1, sizeof(*s));
	if (!s)
		return err_set(reterr, WEIR_ENOMEM, "no memory for a statement");
	rc = sqlite3_prepare_v3(c->h, buf_z(&text), (int)text.len + 1, SQLITE_PREPARE_PERSISTENT, &s->st, &tail);
	if (rc != SQLITE_OK || !s->st || (tail && *tail)) {
		rc = rc != SQLITE_OK ? lite_err(c, rc, sql, reterr) : err_set(reterr, WEIR_EINTERNAL, "not exactly one statement: %.80s", sql);
		lite_stmt_free(s);
		return rc;
	}
	if (map_count(&c->stmts) < LIMIT_DB_CACHED && !map_has(&c->stmts, str_z(sql)))
		s->cached = map_put(&c->stmts, str_z(sql), s, NULL);
	*ret = s;
	return 0;
}

static void lite_release(struct lite_stmt *s)
{
	(void)sqlite3_reset(s->st);
	(void)sqlite3_clear_bindings(s->st);
	s->busy = false;
	if (!s->cached)
		lite_stmt_free(s);
}

static int lite_bind(struct lite_stmt *st, const struct db_stmt *s, sqlite3_destructor_type keep)
{
	int rc = SQLITE_OK;

	if (sqlite3_bind_parameter_count(st->st) != (int)s->n)
		BUG("%d parameters in SQL, %zu given: %.80s", sqlite3_bind_parameter_count(st->st), s->n, s->sql);
	for (int i = 0; i < (int)s->n && rc == SQLITE_OK; i++) {
		const struct db_value *v = &s->v[i];

		switch (v->kind) {
		case DB_NULL: rc = sqlite3_bind_null(st->st, i + 1); break;
		case DB_INT: rc = sqlite3_bind_int64(st->st, i + 1, v->i); break;
		case DB_REAL: rc = sqlite3_bind_double(st->st, i + 1, v->d); break;
		case DB_TEXT: rc = sqlite3_bind_text64(st->st, i + 1, v->s.ptr, v->s.len, keep, SQLITE_UTF8); break;
		case DB_BLOB: rc = sqlite3_bind_blob64(st->st, i + 1, v->s.ptr, v->s.len, keep); break;
		}
	}
	return rc;
}

static struct lite_conn *lite_of(struct db_tx *tx) { return ((struct lite_tx *)(void *)tx)->conn; }

int lite_exec(struct db_tx *tx, const struct db_stmt *s, int64_t *ret_n, struct err *reterr)
{
	struct lite_conn *c = lite_of(tx);
	struct lite_stmt *st;
	int64_t           before = sqlite3_total_changes64(c->h);
	int               rc = lite_prepare(c, s->sql, &st, reterr);

	if (rc)
		return rc;
	st->busy = true;
	rc = lite_bind(st, s, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		do
			rc = sqlite3_step(st->st);
		while (rc == SQLITE_ROW);
	if (rc == SQLITE_DONE) /* changes64 keeps the number of an earlier statement when this one changed nothing */
		*ret_n = sqlite3_total_changes64(c->h) == before ? 0 : sqlite3_changes64(c->h);
	rc = rc == SQLITE_DONE ? 0 : lite_err(c, rc, s->sql, reterr);
	lite_release(st);
	return rc;
}

int lite_query(struct db_tx *tx, const struct db_stmt *s, struct db_rows **ret, struct err *reterr)
{
	struct lite_conn *c = lite_of(tx);
	struct lite_rows *r = calloc(1, sizeof(*r));
	int               rc;

	if (!r)
		return err_set(reterr, WEIR_ENOMEM, "no memory for a query");
	r->base.tx = tx;
	rc = lite_prepare(c, s->sql, &r->stmt, reterr);
	if (rc) {
		free(r);
		return rc;
	}
	r->stmt->busy = true;
	rc = lite_bind(r->stmt, s, SQLITE_TRANSIENT);
	if (rc != SQLITE_OK) {
		rc = lite_err(c, rc, s->sql, reterr);
		lite_release(r->stmt);
		free(r);
		return rc;
	}
	*ret = &r->base;
	return 0;
}

static struct lite_rows *lite_rows_of(struct db_rows *rows) { return (struct lite_rows *)(void *)rows; }

int lite_next(struct db_rows *rows, struct err *reterr)
{
	struct lite_rows *r = lite_rows_of(rows);
	int               rc = sqlite3_step(r->stmt->st);

	if (rc == SQLITE_ROW)
		return 1;
	rc = rc == SQLITE_DONE ? 0 : lite_err(lite_of(rows->tx), rc, sqlite3_sql(r->stmt->st), reterr);
	lite_release(r->stmt); /* ready for the next use of the same SQL before the rows are closed */
	r->stmt = NULL;
	return rc;
}

void lite_rows_close(struct db_rows *rows)
{
	struct lite_rows *r = lite_rows_of(rows);

	if (r->stmt)
		lite_release(r->stmt);
	free(r);
}

static sqlite3_stmt *lite_col(struct db_rows *rows, int col)
{
	struct lite_rows *r = lite_rows_of(rows);

	if (!r->stmt || col < 0 || col >= sqlite3_data_count(r->stmt->st))
		BUG("column %d asked where there is no row or no such column", col);
	return r->stmt->st;
}

int64_t lite_col_int(struct db_rows *rows, int col) { return sqlite3_column_int64(lite_col(rows, col), col); }
double lite_col_real(struct db_rows *rows, int col) { return sqlite3_column_double(lite_col(rows, col), col); }
bool lite_col_null(struct db_rows *rows, int col)
{
	return sqlite3_column_type(lite_col(rows, col), col) == SQLITE_NULL;
}

str lite_col_str(struct db_rows *rows, int col)
{
	sqlite3_stmt *st = lite_col(rows, col);
	const void   *p;

	if (sqlite3_column_type(st, col) == SQLITE_NULL)
		return STR_NULL;
	p = sqlite3_column_type(st, col) == SQLITE_BLOB ? sqlite3_column_blob(st, col) : (const void *)sqlite3_column_text(st, col);
	return p ? str_n(p, (size_t)sqlite3_column_bytes(st, col)) : STR("");
}

int lite_tx_script(struct db_tx *tx, const char *sql, struct err *reterr) { return lite_script(lite_of(tx), sql, reterr); }

int lite_do(struct lite_conn *c, const char *sql, struct err *reterr)
{
	struct lite_stmt *st;
	int               rc = lite_prepare(c, sql, &st, reterr);

	if (rc)
		return rc;
	rc = sqlite3_step(st->st);
	rc = rc == SQLITE_DONE ? 0 : lite_err(c, rc, sql, reterr);
	lite_release(st);
	return rc;
}

void lite_rollback(struct lite_conn *c)
{
	if (!sqlite3_get_autocommit(c->h))
		(void)lite_do(c, "ROLLBACK", NULL); /* cannot fail in a way that leaves the transaction open */
}
