/* postgres.c - the shared engine: two small pools of libpq connections and one that listens.
 *
 * Writes run SERIALIZABLE, so that code written for SQLite's single writer means the same here; a serialization failure,
 * a deadlock or a connection lost before COMMIT runs the function again (with a pause; from the third time on one after
 * the other, so that nobody starves). A connection lost during COMMIT is -WEIR_EIO: nobody can know. Reads run in one
 * REPEATABLE READ snapshot and are not repeated once the function began. Functions run in the caller's thread. */
#include "base/base.h"
#include "base/clock.h"
#include "base/map.h"
#include "db/backend.h"

#include <endian.h>
#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { PG_ATTEMPTS_MAX = 30, PG_ATTEMPTS_FREE = 2, PG_LISTEN_WAIT_MS = 15000, PG_RECONNECT_MS = 1000 };
enum { OID_BYTEA = 17, OID_INT8 = 20, OID_TEXT = 25, OID_FLOAT8 = 701 };
/* Advisory locks of the database: "weir" and a number behind it. */
#define PG_LOCK_MIGRATE "1466264946, 1"
#define PG_LOCK_RETRY   "1466264946, 2"
#define PG_CHANNEL_PREFIX "weir_"

struct pg_conn {
	PGconn         *h;
	struct map      stmts; /* "types:SQL" -> its number + 1 as a pointer-sized integer */
	struct pg_conn *next;
	bool            broken; /* libpq may say CONNECTION_OK after a failed write: what was seen counts */
};
struct pg_pool {
	pthread_cond_t  free;
	struct pg_conn *idle;
	unsigned        n, max;
};
struct pg_channel {
	struct pg_channel *next;
	char               name[DB_CHANNEL_SIZE];
	bool               listened; /* on the present connection */
};
struct pg {
	struct db         *db;
	char              *url;
	pthread_mutex_t    lock; /* pools and channels */
	struct pg_pool     writers, readers;
	pthread_cond_t     listen_news;
	struct pg_channel *channels;
	pthread_t          listener;
	bool               listener_started, stop;
	int                wake_fd;
};
struct pg_tx {
	struct db_tx    base;
	struct pg_conn *conn;
	bool            again; /* the failure is of the kind that goes away when the function runs again */
};
struct pg_rows {
	struct db_rows  base;
	PGresult       *res;
	int             row; /* -1 before the first */
	unsigned char **decoded; /* bytea columns of the present row */
	int             n_cols;
};

/* --- errors --- */

static int pg_code(const char *state)
{
	static const struct {
		const char *prefix;
		int         code;
	} table[] = {
		{ "23505", WEIR_EEXIST }, { "23", WEIR_ECONFLICT }, { "40", WEIR_EBUSY },  { "53100", WEIR_ENOSPC },
		{ "53200", WEIR_ENOMEM }, { "53", WEIR_EBUSY },     { "57", WEIR_EUNAVAIL }, { "08", WEIR_EUNAVAIL },
		{ "25006", WEIR_EPERM },  { "28", WEIR_EPERM },     { "42501", WEIR_EPERM }, { "22", WEIR_EINVAL },
		{ "54", WEIR_ELIMIT },    { "58", WEIR_EIO },       { "XX001", WEIR_EIO },   { "XX002", WEIR_EIO },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (!strncmp(state, table[i].prefix, strlen(table[i].prefix)))
			return table[i].code;
	return WEIR_EINTERNAL;
}

static bool pg_state_again(const char *state) { return !strcmp(state, "40001") || !strcmp(state, "40P01"); }

static str pg_line(const char *msg) /* first line of libpq's text */
{
	return str_trim(str_n(msg, strcspn(msg, "\n")));
}

/* Error of a result (or, without one, of the connection); clears it. *ret_again may be NULL. */
static int pg_fail(struct pg_conn *c, PGresult *res, const char *sql, bool *ret_again, struct err *reterr)
{
	const char *state = res ? PQresultErrorField(res, PG_DIAG_SQLSTATE) : NULL;
	const char *msg = res ? PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY) : NULL; /* never the detail: it holds values */
	/* errors of the client library have no state; 57P.. is the server ending the session, 08 a connection error */
	bool        lost = PQstatus(c->h) != CONNECTION_OK || !state || !strncmp(state, "57P", 3) || !strncmp(state, "08", 2);
	int         code = lost ? WEIR_EUNAVAIL : pg_code(state);
	str         line = pg_line(msg ? msg : PQerrorMessage(c->h));

	c->broken = c->broken || lost;
	if (ret_again)
		*ret_again = lost || pg_state_again(state);
	code = err_set(reterr, code, "PostgreSQL: %.*s (%.80s)", STR_ARG(line), sql);
	PQclear(res);
	return code;
}

/* --- connections --- */

static struct pg_conn *pg_conn_close(struct pg_conn *c)
{
	if (!c)
		return NULL;
	PQfinish(c->h);
	map_fini(&c->stmts);
	free(c);
	return NULL;
}

static int pg_simple(struct pg_conn *c, const char *sql, bool *ret_again, struct err *reterr)
{
	PGresult      *res = PQexec(c->h, sql);
	ExecStatusType st = PQresultStatus(res);

	if (st != PGRES_COMMAND_OK && st != PGRES_TUPLES_OK)
		return pg_fail(c, res, sql, ret_again, reterr);
	PQclear(res);
	return 0;
}

static void pg_no_notice(void *ctx UNUSED, const PGresult *res UNUSED) {} /* "table exists, skipping" is not for stderr */

static int pg_conn_check(struct pg_conn *c, struct err *reterr)
{
	const char *enc = PQparameterStatus(c->h, "server_encoding");

	if (!enc || strcmp(enc, "UTF8"))
		return err_set(reterr, WEIR_EINVAL, "the PostgreSQL database has the encoding %s: create it with UTF8", enc ? enc : "unknown");
	/* a commit that was answered must be on disk; stronger settings stay */
	return pg_simple(c, "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
	                 NULL, reterr);
}

static int pg_conn_open(const char *url, struct pg_conn **ret, struct err *reterr)
{
	/* later ones win: the URL overrides the first group and not the second */
	const char *keys[] = { "connect_timeout", "application_name", "keepalives_idle", "keepalives_interval", "keepalives_count",
		               "dbname", "client_encoding", NULL };
	const char *values[] = { "10", "weir", "30", "10", "3", url, "UTF8", NULL };
	struct pg_conn *c = calloc(1, sizeof(*c));
	int             rc = 0;

	if (!c)
		return err_set(reterr, WEIR_ENOMEM, "no memory for a database connection");
	map_init(&c->stmts);
	c->h = PQconnectdbParams(keys, values, 1);
	if (!c->h)
		rc = err_set(reterr, WEIR_ENOMEM, "no memory for a database connection");
	else if (PQstatus(c->h) != CONNECTION_OK)
		rc = err_set(reterr, WEIR_EUNAVAIL, "cannot reach PostgreSQL: %.*s", STR_ARG(pg_line(PQerrorMessage(c->h))));
	if (!rc) {
		(void)PQsetNoticeReceiver(c->h, pg_no_notice, NULL);
		rc = pg_conn_check(c, reterr);
	}
	if (rc) {
		pg_conn_close(c);
		return rc;
	}
	*ret = c;
	return 0;
}

static int pg_take(struct pg *b, struct pg_pool *p, struct pg_conn **ret, struct err *reterr)
{
	int rc;

	pthread_mutex_lock(&b->lock);
	while (!p->idle && p->n >= p->max)
		pthread_cond_wait(&p->free, &b->lock);
	*ret = p->idle;
	if (*ret)
		p->idle = (*ret)->next;
	else
		p->n++;
	pthread_mutex_unlock(&b->lock);
	if (*ret)
		return 0;
	rc = pg_conn_open(b->url, ret, reterr);
	if (rc) {
		pthread_mutex_lock(&b->lock);
		p->n--;
		pthread_cond_signal(&p->free);
		pthread_mutex_unlock(&b->lock);
	}
	return rc;
}

/* Gives a connection back; one that is broken or still in a transaction is closed. */
static void pg_give(struct pg *b, struct pg_pool *p, struct pg_conn *c)
{
	bool good = !c->broken && PQstatus(c->h) == CONNECTION_OK && PQtransactionStatus(c->h) == PQTRANS_IDLE;

	if (!good)
		c = pg_conn_close(c);
	pthread_mutex_lock(&b->lock);
	if (c) {
		c->next = p->idle;
		p->idle = c;
	} else {
		p->n--;
	}
	pthread_cond_signal(&p->free);
	pthread_mutex_unlock(&b->lock);
}

/* --- statements --- */

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

static int pg_exec(struct db_tx *tx, const struct db_stmt *s, int64_t *ret_n, struct err *reterr)
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

static int pg_query(struct db_tx *tx, const struct db_stmt *s, struct db_rows **ret, struct err *reterr)
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

static int pg_next(struct db_rows *rows, struct err *reterr UNUSED)
{
	struct pg_rows *r = pg_rows_of(rows);

	pg_row_forget(r);
	return ++r->row < PQntuples(r->res) ? 1 : 0;
}

static void pg_rows_close(struct db_rows *rows)
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

static bool pg_col_null(struct db_rows *rows, int col)
{
	struct pg_rows *r = pg_cell(rows, col);

	return PQgetisnull(r->res, r->row, col);
}

static int64_t pg_col_int(struct db_rows *rows, int col)
{
	struct pg_rows *r = pg_cell(rows, col);
	const char     *v = PQgetvalue(r->res, r->row, col);

	return v[0] == 't' && !v[1] ? 1 : strtoll(v, NULL, 10); /* boolean results are t and f */
}

static double pg_col_real(struct db_rows *rows, int col)
{
	struct pg_rows *r = pg_cell(rows, col);

	return strtod(PQgetvalue(r->res, r->row, col), NULL);
}

static str pg_col_str(struct db_rows *rows, int col)
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

static int pg_script(struct db_tx *tx, const char *sql, struct err *reterr)
{
	return pg_simple(pg_tx_of(tx)->conn, sql, &pg_tx_of(tx)->again, reterr);
}

static int pg_notify(struct db_tx *tx, const char *channel, struct err *reterr)
{
	char sql[64 + DB_CHANNEL_SIZE]; /* channel names are [a-z_]: no quoting needed */

	(void)snprintf(sql, sizeof(sql), "NOTIFY " PG_CHANNEL_PREFIX "%s", channel);
	return pg_script(tx, sql, reterr);
}

/* --- transactions --- */

/* One attempt. 0, or an error with tx->again telling whether another attempt makes sense. */
static int pg_attempt(struct pg_tx *tx, const char *begin, db_fn fn, void *arg, struct err *reterr)
{
	struct pg_conn *c = tx->conn;
	PGresult       *res;
	int             rc = pg_simple(c, begin, &tx->again, reterr);

	if (rc)
		return rc;
	rc = db_run_fn(&tx->base, fn, arg, reterr);
	if (rc) {
		(void)pg_simple(c, "ROLLBACK", NULL, NULL); /* pg_give() closes the connection when it did not work */
		return rc;
	}
	res = PQexec(c->h, "COMMIT");
	if (PQresultStatus(res) == PGRES_COMMAND_OK && !strcmp(PQcmdStatus(res), "COMMIT")) {
		PQclear(res);
		return 0;
	}
	rc = pg_fail(c, res, "COMMIT", &tx->again, reterr);
	if (c->broken) {
		tx->again = false;
		return err_set(reterr, WEIR_EIO, "the connection to PostgreSQL was lost during COMMIT: whether it was stored is unknown");
	}
	return rc;
}

static void pg_pause(unsigned attempt)
{
	unsigned range = 1u << (attempt < 6 ? attempt : 6);

	clock_sleep_ms(1 + (int64_t)((uint64_t)clock_mono_now() % range)); /* spread, not secret */
}

static int pg_write(void *bp, db_fn fn, void *arg, struct err *reterr)
{
	struct pg *b = bp;
	struct err own = { 0 };
	int        rc = -WEIR_EBUSY;

	if (!reterr)
		reterr = &own;
	for (unsigned attempt = 1; attempt <= PG_ATTEMPTS_MAX; attempt++) {
		struct pg_tx tx = { .base = { .db = b->db, .write = true } };
		bool         queued = attempt > PG_ATTEMPTS_FREE;

		rc = pg_take(b, &b->writers, &tx.conn, reterr);
		if (rc)
			return rc;
		*reterr = (struct err){ 0 };
		if (queued && pg_simple(tx.conn, "SELECT pg_advisory_lock(" PG_LOCK_RETRY ")", NULL, NULL))
			queued = false;
		rc = pg_attempt(&tx, "BEGIN ISOLATION LEVEL SERIALIZABLE", fn, arg, reterr);
		if (queued)
			(void)pg_simple(tx.conn, "SELECT pg_advisory_unlock(" PG_LOCK_RETRY ")", NULL, NULL);
		pg_give(b, &b->writers, tx.conn);
		if (!rc || !tx.again)
			return rc;
		pg_pause(attempt);
	}
	return err_wrap(reterr, "gave up after %d attempts", PG_ATTEMPTS_MAX);
}

static int pg_read(void *bp, db_fn fn, void *arg, struct err *reterr)
{
	struct pg *b = bp;
	int        rc = 0;

	for (int attempt = 0; attempt <= LIMIT_DB_READERS; attempt++) { /* after a restart of PostgreSQL every idle connection is stale */
		struct pg_tx tx = { .base = { .db = b->db } };

		rc = pg_take(b, &b->readers, &tx.conn, reterr);
		if (rc)
			return rc;
		rc = pg_simple(tx.conn, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", NULL, reterr);
		if (rc && tx.conn->broken) {
			pg_give(b, &b->readers, tx.conn);
			continue;
		}
		if (!rc)
			rc = db_run_fn(&tx.base, fn, arg, reterr);
		(void)pg_simple(tx.conn, "ROLLBACK", NULL, NULL);
		pg_give(b, &b->readers, tx.conn);
		return rc;
	}
	return rc;
}

/* Held by a connection of its own for the whole of db_migrate(): taken before any transaction takes its snapshot. */
static int pg_migrate_begin(void *bp, void **ret, struct err *reterr)
{
	struct pg      *b = bp;
	struct pg_conn *c;
	int             rc = pg_conn_open(b->url, &c, reterr);

	if (rc)
		return rc;
	rc = pg_simple(c, "SELECT pg_advisory_lock(" PG_LOCK_MIGRATE ")", NULL, reterr);
	if (rc)
		c = pg_conn_close(c);
	*ret = c;
	return rc;
}

static void pg_migrate_end(void *lock) { pg_conn_close(lock); }

/* --- the listener's thread --- */

/* LISTENs to what is not yet listened to on this connection. */
static int pg_listen_all(struct pg *b, struct pg_conn *c)
{
	int rc = 0;

	pthread_mutex_lock(&b->lock);
	for (struct pg_channel *ch = b->channels; ch && !rc; ch = ch->next) {
		char sql[64 + DB_CHANNEL_SIZE];

		if (ch->listened)
			continue;
		(void)snprintf(sql, sizeof(sql), "LISTEN " PG_CHANNEL_PREFIX "%s", ch->name);
		pthread_mutex_unlock(&b->lock); /* channels are only ever added, in front */
		rc = pg_simple(c, sql, NULL, NULL);
		pthread_mutex_lock(&b->lock);
		ch->listened = !rc;
	}
	pthread_cond_broadcast(&b->listen_news);
	pthread_mutex_unlock(&b->lock);
	return rc;
}

static void pg_listen_lost(struct pg *b)
{
	pthread_mutex_lock(&b->lock);
	for (struct pg_channel *ch = b->channels; ch; ch = ch->next)
		ch->listened = false;
	pthread_mutex_unlock(&b->lock);
}

static void pg_deliver(struct pg *b, struct pg_conn *c)
{
	PGnotify *n;

	while ((n = PQnotifies(c->h))) {
		if (str_has_prefix(str_z(n->relname), STR(PG_CHANNEL_PREFIX)))
			db_fire(b->db, n->relname + strlen(PG_CHANNEL_PREFIX));
		PQfreemem(n);
	}
}

/* Waits for news of the connection or for a wake-up. False: the connection is lost. */
static bool pg_listen_turn(struct pg *b, struct pg_conn *c)
{
	struct pollfd p[2] = { { .fd = b->wake_fd, .events = POLLIN }, { .fd = PQsocket(c->h), .events = POLLIN } };
	uint64_t      n;

	if (pg_listen_all(b, c))
		return false;
	pg_deliver(b, c); /* what came together with the answers */
	if (poll(p, 2, -1) < 0 && errno != EINTR)
		return false;
	if (p[0].revents)
		(void)!read(b->wake_fd, &n, sizeof(n));
	if (p[1].revents && !PQconsumeInput(c->h))
		return false;
	pg_deliver(b, c);
	return true;
}

static bool pg_stopping(struct pg *b)
{
	bool stop;

	pthread_mutex_lock(&b->lock);
	stop = b->stop;
	pthread_mutex_unlock(&b->lock);
	return stop;
}

static void *pg_listener_main(void *arg)
{
	struct pg      *b = arg;
	struct pg_conn *c = NULL;
	bool            first = true;

	while (!pg_stopping(b)) {
		if (!c && pg_conn_open(b->url, &c, NULL)) {
			struct pollfd p = { .fd = b->wake_fd, .events = POLLIN };
			uint64_t      n;

			if (poll(&p, 1, PG_RECONNECT_MS) == 1)
				(void)!read(b->wake_fd, &n, sizeof(n));
			continue;
		}
		if (!first && !pg_listen_all(b, c))
			db_fire_all(b->db); /* what was notified while nobody listened */
		first = true;
		while (!pg_stopping(b))
			if (!pg_listen_turn(b, c)) {
				pg_listen_lost(b);
				c = pg_conn_close(c);
				first = false;
				break;
			}
	}
	pg_conn_close(c);
	return NULL;
}

static void pg_wake(struct pg *b)
{
	uint64_t one = 1;

	(void)!write(b->wake_fd, &one, sizeof(one));
}

static struct pg_channel *pg_channel_find(struct pg *b, const char *name)
{
	for (struct pg_channel *ch = b->channels; ch; ch = ch->next)
		if (!strcmp(ch->name, name))
			return ch;
	return NULL;
}

/* Adds the channel and starts the thread at the first one; with the lock. */
static int pg_channel_add(struct pg *b, const char *name, struct pg_channel **ret, struct err *reterr)
{
	struct pg_channel *ch = calloc(1, sizeof(*ch));
	int                rc;

	if (!ch)
		return err_set(reterr, WEIR_ENOMEM, "no memory for a channel");
	(void)snprintf(ch->name, sizeof(ch->name), "%s", name);
	ch->next = b->channels;
	b->channels = ch;
	*ret = ch;
	if (b->listener_started)
		return 0;
	rc = pthread_create(&b->listener, NULL, pg_listener_main, b);
	if (rc)
		return err_errno(reterr, rc, "cannot start the thread that listens to PostgreSQL");
	b->listener_started = true;
	return 0;
}

static int pg_listen(void *bp, const char *channel, struct err *reterr)
{
	struct pg         *b = bp;
	struct pg_channel *ch;
	struct timespec    until;
	int                rc = 0;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PG_LISTEN_WAIT_MS / 1000;
	pthread_mutex_lock(&b->lock);
	ch = pg_channel_find(b, channel);
	if (!ch)
		rc = pg_channel_add(b, channel, &ch, reterr);
	pg_wake(b);
	while (!rc && !ch->listened)
		if (pthread_cond_timedwait(&b->listen_news, &b->lock, &until) == ETIMEDOUT && !ch->listened)
			rc = err_set(reterr, WEIR_EUNAVAIL, "cannot listen to PostgreSQL: no connection within %d s", PG_LISTEN_WAIT_MS / 1000);
	pthread_mutex_unlock(&b->lock);
	return rc;
}

/* --- the handle --- */

static void pg_pool_fini(struct pg_pool *p)
{
	while (p->idle) {
		struct pg_conn *c = p->idle;

		p->idle = c->next;
		pg_conn_close(c);
		p->n--;
	}
	if (p->n)
		BUG("db_close() while a db_read() or db_write() runs");
	pthread_cond_destroy(&p->free);
}

static void pg_close(void *bp)
{
	struct pg *b = bp;

	pthread_mutex_lock(&b->lock);
	b->stop = true;
	pthread_mutex_unlock(&b->lock);
	pg_wake(b);
	if (b->listener_started)
		pthread_join(b->listener, NULL);
	while (b->channels) {
		struct pg_channel *ch = b->channels;

		b->channels = ch->next;
		free(ch);
	}
	pg_pool_fini(&b->writers);
	pg_pool_fini(&b->readers);
	pthread_cond_destroy(&b->listen_news);
	pthread_mutex_destroy(&b->lock);
	if (b->wake_fd >= 0)
		(void)close(b->wake_fd);
	free(b->url);
	free(b);
}

static int pg_check_url(const char *url, struct err *reterr)
{
	char             *why = NULL; /* may quote the URL, and so a password: not shown */
	PQconninfoOption *o = PQconninfoParse(url, &why);

	PQfreemem(why);
	if (!o)
		return err_set(reterr, WEIR_EINVAL, "the PostgreSQL URL cannot be read: it looks like postgresql://user@host:5432/database"
		                                    " (special characters in a password are written %%XX)");
	PQconninfoFree(o);
	return 0;
}

static int pg_open(struct db *db, const char *url, void **ret, struct err *reterr)
{
	struct pg      *b;
	struct pg_conn *c;
	int             rc = pg_check_url(url, reterr);

	if (rc)
		return rc;
	b = calloc(1, sizeof(*b));
	if (!b)
		return err_set(reterr, WEIR_ENOMEM, "no memory for a database handle");
	b->db = db;
	b->writers.max = LIMIT_DB_WRITERS;
	b->readers.max = LIMIT_DB_READERS;
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->writers.free, NULL);
	pthread_cond_init(&b->readers.free, NULL);
	pthread_cond_init(&b->listen_news, NULL);
	b->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	b->url = strdup(url);
	rc = b->url && b->wake_fd >= 0 ? pg_take(b, &b->readers, &c, reterr)
	                               : err_errno(reterr, errno, "cannot make a database handle");
	if (rc) {
		pg_close(b);
		return rc;
	}
	pg_give(b, &b->readers, c);
	*ret = b;
	return 0;
}

const struct db_backend db_postgres = {
	/* byte order as in SQLite, whatever the database's locale */
	.dialect = { "BIGINT", "TEXT COLLATE \"C\"", "BYTEA", "DOUBLE PRECISION", "", '$' },
	.open = pg_open,
	.close = pg_close,
	.write = pg_write,
	.read = pg_read,
	.script = pg_script,
	.exec = pg_exec,
	.query = pg_query,
	.next = pg_next,
	.rows_close = pg_rows_close,
	.col_int = pg_col_int,
	.col_real = pg_col_real,
	.col_str = pg_col_str,
	.col_null = pg_col_null,
	.migrate_begin = pg_migrate_begin,
	.migrate_end = pg_migrate_end,
	.notify = pg_notify,
	.listen = pg_listen,
};
