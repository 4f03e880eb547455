/* postgres.c - the shared engine: two small pools of libpq connections and one that listens.
 *
 * Writes run SERIALIZABLE, so that code written for SQLite's single writer means the same here; a serialization failure,
 * a deadlock or a connection lost before COMMIT runs the function again (with a pause; from the third time on alone, so that nobody
 * starves: no other write of this process runs, and none of other servers that has come that far). A connection lost during COMMIT is -WEIR_EIO: nobody can know. Reads run in one
 * REPEATABLE READ snapshot and are not repeated once the function began. Functions run in the caller's thread. */
#include "base/base.h"
#include "base/clock.h"
#include "db/postgres.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { PG_ATTEMPTS_MAX = 30, PG_ATTEMPTS_FREE = 2 };
/* Advisory locks of the database: "weir" and a number behind it. */
#define PG_LOCK_MIGRATE "1466264946, 1"
#define PG_LOCK_RETRY   "1466264946, 2"
#define PG_LOCK_TURN    "1466264946, 3"

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

/* Attempt `attempt` on a connection of its own; *ret_again: it failed in a way that goes away. The locks are taken before the
 * transaction has its snapshot, which would be old news after the wait. */
static int pg_write_once(struct pg *b, unsigned attempt, bool in_turn, db_fn fn, void *arg, bool *ret_again, struct err *reterr)
{
	struct pg_tx tx = { .base = { .db = b->db, .write = true } };
	bool         queued = attempt > PG_ATTEMPTS_FREE;
	int          rc = pg_take(b, &b->writers, &tx.conn, reterr);

	*ret_again = false;
	if (rc)
		return rc;
	if (in_turn && pg_simple(tx.conn, "SELECT pg_advisory_lock(" PG_LOCK_TURN ")", NULL, NULL))
		in_turn = false; /* without it there may be collisions: no more than that */
	if (queued && pg_simple(tx.conn, "SELECT pg_advisory_lock(" PG_LOCK_RETRY ")", NULL, NULL))
		queued = false;
	rc = pg_attempt(&tx, "BEGIN ISOLATION LEVEL SERIALIZABLE", fn, arg, reterr);
	if (queued)
		(void)pg_simple(tx.conn, "SELECT pg_advisory_unlock(" PG_LOCK_RETRY ")", NULL, NULL);
	if (in_turn)
		(void)pg_simple(tx.conn, "SELECT pg_advisory_unlock(" PG_LOCK_TURN ")", NULL, NULL);
	pg_give(b, &b->writers, tx.conn);
	*ret_again = tx.again;
	return rc;
}

static int pg_write_again(struct pg *b, bool in_turn, db_fn fn, void *arg, struct err *reterr)
{
	bool again = true;
	int  rc = -WEIR_EBUSY;

	for (unsigned attempt = 1; again && attempt <= PG_ATTEMPTS_MAX; attempt++) {
		if (attempt > 1)
			pg_pause(attempt - 1);
		*reterr = (struct err){ 0 };
		if (attempt > PG_ATTEMPTS_FREE)
			pthread_rwlock_wrlock(&b->turns);
		else
			pthread_rwlock_rdlock(&b->turns);
		rc = pg_write_once(b, attempt, in_turn, fn, arg, &again, reterr);
		pthread_rwlock_unlock(&b->turns);
		again = rc && again;
	}
	return again ? err_wrap(reterr, "gave up after %d attempts", PG_ATTEMPTS_MAX) : rc;
}

static int pg_write(void *bp, db_fn fn, void *arg, bool in_turn, struct err *reterr)
{
	struct pg *b = bp;
	struct err own = { 0 };
	int        rc;

	if (in_turn) /* one of this process waits in the database, and not all of its connections */
		pthread_mutex_lock(&b->in_turn);
	rc = pg_write_again(b, in_turn, fn, arg, reterr ? reterr : &own);
	if (in_turn)
		pthread_mutex_unlock(&b->in_turn);
	return rc;
}

/* Also for one statement in a transaction: its BEGIN is what finds a stale connection out. */
static int pg_read(void *bp, db_fn fn, void *arg, bool one_statement UNUSED, struct err *reterr)
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

	pg_listen_stop(b);
	pg_pool_fini(&b->writers);
	pg_pool_fini(&b->readers);
	pthread_cond_destroy(&b->listen_news);
	pthread_mutex_destroy(&b->lock);
	pthread_mutex_destroy(&b->in_turn);
	pthread_rwlock_destroy(&b->turns);
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
	pthread_rwlockattr_t alone_first;
	struct pg           *b;
	struct pg_conn      *c;
	int                  rc = pg_check_url(url, reterr);

	if (rc)
		return rc;
	b = calloc(1, sizeof(*b));
	if (!b)
		return err_set(reterr, WEIR_ENOMEM, "no memory for a database handle");
	b->db = db;
	b->writers.max = LIMIT_DB_WRITERS;
	b->readers.max = LIMIT_DB_READERS;
	pthread_mutex_init(&b->lock, NULL);
	pthread_mutex_init(&b->in_turn, NULL);
	pthread_rwlockattr_init(&alone_first);
	pthread_rwlockattr_setkind_np(&alone_first, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&b->turns, &alone_first);
	pthread_rwlockattr_destroy(&alone_first);
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
	.dialect = { "BIGINT", "TEXT COLLATE \"C\"", "BYTEA", "DOUBLE PRECISION", "", '$', { "jsonb_array_elements(", "::jsonb) AS value" }, { "value->>", "" } },
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
	.lock_new = pg_lock_new,
	.lock_free = pg_lock_free,
	.lock_hold = pg_lock_hold,
};
