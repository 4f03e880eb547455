/* sqlite.c - the embedded engine: one writer connection on one thread, a pool of read connections.
 *
 * Group commit: the writer takes all functions that wait (up to LIMIT_DB_GROUP), runs each in a savepoint of one
 * transaction and answers them after the commit is on disk (WAL, synchronous=FULL). A function that fails takes only
 * itself back. When the commit fails, or SQLite gave up the whole transaction, every function of the group that had not
 * failed by itself gets that error: nobody is told of success before the disk has it.
 * One writer connection also keeps clear of SQLite 3.40's WAL-reset race, which needs two. */
#include "base/base.h"
#include "base/map.h"
#include "db/backend.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

struct lite_stmt {
	sqlite3_stmt *st;
	bool          busy, cached;
};
struct lite_conn {
	sqlite3         *h;
	struct map       stmts; /* SQL as the caller wrote it -> struct lite_stmt */
	struct lite_conn *next; /* in the list of idle readers */
};
struct lite_tx {
	struct db_tx      base;
	struct lite_conn *conn;
};
struct lite_rows {
	struct db_rows    base;
	struct lite_stmt *stmt;
};
struct lite_write { /* one db_write(); lives on its caller's stack */
	struct lite_write *next;
	struct lite_tx     tx;
	db_fn              fn;
	void              *arg;
	struct err        *reterr;
	int                rc;
	bool               done;
	pthread_cond_t     cond;
};
struct lite {
	struct db         *db;
	char              *path;
	struct lite_conn  *writer;
	pthread_t          thread;
	pthread_mutex_t    lock; /* the lists below */
	pthread_cond_t     work, reader_free;
	struct lite_write *first, **last;
	unsigned           n_waiting;
	bool               stop;
	struct lite_conn  *idle;
	unsigned           n_readers;
};

/* --- errors --- */

static int lite_code(sqlite3 *h, int rc)
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

	return err_set(reterr, code, "SQLite: %s (%.80s)", (ext & 0xff) == (rc & 0xff) ? sqlite3_errmsg(c->h) : sqlite3_errstr(rc), sql);
}

/* --- connections and their prepared statements --- */

static struct lite_stmt *lite_stmt_free(struct lite_stmt *s)
{
	sqlite3_finalize(s->st);
	free(s);
	return NULL;
}

static struct lite_conn *lite_conn_close(struct lite_conn *c)
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

static int lite_conn_open(const char *path, bool writer, struct lite_conn **ret, struct err *reterr)
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

static int lite_exec(struct db_tx *tx, const struct db_stmt *s, int64_t *ret_n, struct err *reterr)
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

static int lite_query(struct db_tx *tx, const struct db_stmt *s, struct db_rows **ret, struct err *reterr)
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

static int lite_next(struct db_rows *rows, struct err *reterr)
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

static void lite_rows_close(struct db_rows *rows)
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

static int64_t lite_col_int(struct db_rows *rows, int col) { return sqlite3_column_int64(lite_col(rows, col), col); }
static double  lite_col_real(struct db_rows *rows, int col) { return sqlite3_column_double(lite_col(rows, col), col); }
static bool    lite_col_null(struct db_rows *rows, int col)
{
	return sqlite3_column_type(lite_col(rows, col), col) == SQLITE_NULL;
}

static str lite_col_str(struct db_rows *rows, int col)
{
	sqlite3_stmt *st = lite_col(rows, col);
	const void   *p;

	if (sqlite3_column_type(st, col) == SQLITE_NULL)
		return STR_NULL;
	p = sqlite3_column_type(st, col) == SQLITE_BLOB ? sqlite3_column_blob(st, col) : (const void *)sqlite3_column_text(st, col);
	return p ? str_n(p, (size_t)sqlite3_column_bytes(st, col)) : STR("");
}

static int lite_tx_script(struct db_tx *tx, const char *sql, struct err *reterr) { return lite_script(lite_of(tx), sql, reterr); }

/* A fixed statement of the engine itself ("BEGIN"), prepared once per connection. */
static int lite_do(struct lite_conn *c, const char *sql, struct err *reterr)
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

static void lite_rollback(struct lite_conn *c)
{
	if (!sqlite3_get_autocommit(c->h))
		(void)lite_do(c, "ROLLBACK", NULL); /* cannot fail in a way that leaves the transaction open */
}

/* --- the writer --- */

/* Runs one function in its savepoint. False: SQLite gave up the whole transaction; *why says it. */
static bool lite_run_one(struct lite_conn *c, struct lite_write *w, struct err *why)
{
	w->rc = lite_do(c, "SAVEPOINT weir_fn", w->reterr);
	if (!w->rc)
		w->rc = db_run_fn(&w->tx.base, w->fn, w->arg, w->reterr);
	if (sqlite3_get_autocommit(c->h)) {
		if (!w->rc)
			w->rc = err_set(w->reterr, WEIR_EIO, "SQLite took the transaction back");
		(void)err_set(why, w->rc < 0 ? -w->rc : WEIR_EIO, "the transaction was taken back: %s", w->reterr ? w->reterr->msg : "SQLite");
		return false;
	}
	if (w->rc)
		(void)lite_do(c, "ROLLBACK TO weir_fn", NULL);
	(void)lite_do(c, "RELEASE weir_fn", NULL);
	return true;
}

static void lite_answer(struct lite *b, struct lite_write *group)
{
	for (struct lite_write *w = group; w; w = w->next)
		for (unsigned i = 0; !w->rc && i < w->tx.base.n_channels; i++)
			db_fire(b->db, w->tx.base.channels[i]);
	pthread_mutex_lock(&b->lock);
	for (struct lite_write *w = group, *next; w; w = next) {
		next = w->next; /* w is gone with its caller's stack once the lock is free */
		w->done = true;
		pthread_cond_signal(&w->cond);
	}
	pthread_mutex_unlock(&b->lock);
}

/* All that did not fail by themselves get *why. */
static void lite_fail_group(struct lite_write *group, const struct lite_write *end, const struct err *why)
{
	for (struct lite_write *w = group; w && w != end; w = w->next)
		if (!w->rc)
			w->rc = err_set(w->reterr, why->code, "%s", why->msg);
}

static void lite_run_group(struct lite *b, struct lite_write *group)
{
	struct lite_conn *c = b->writer;
	struct err        why = { 0 };

	while (group) {
		struct lite_write *w = group, *rest = NULL, *last = NULL;
		bool               alive = true;

		if (lite_do(c, "BEGIN IMMEDIATE", &why)) {
			lite_fail_group(group, NULL, &why);
			lite_answer(b, group);
			return;
		}
		for (; w && alive; last = w, w = w->next)
			alive = lite_run_one(c, w, &why);
		rest = w; /* those behind the one that broke the transaction get a new one */
		if (last)
			last->next = NULL;
		if (!alive || lite_do(c, "COMMIT", &why)) {
			lite_rollback(c);
			lite_fail_group(group, NULL, &why);
		}
		lite_answer(b, group);
		group = rest;
	}
}

/* Takes up to LIMIT_DB_GROUP waiting functions; called with the lock. */
static struct lite_write *lite_take_group(struct lite *b)
{
	struct lite_write *group = b->first, *w = group;

	for (unsigned n = 1; w && w->next && n < LIMIT_DB_GROUP; n++)
		w = w->next;
	if (!w)
		return NULL;
	b->first = w->next;
	w->next = NULL;
	if (!b->first)
		b->last = &b->first;
	for (w = group; w; w = w->next)
		b->n_waiting--;
	return group;
}

static void *lite_writer_main(void *arg)
{
	struct lite *b = arg;

	pthread_mutex_lock(&b->lock);
	for (;;) {
		struct lite_write *group = lite_take_group(b);

		if (group) {
			pthread_mutex_unlock(&b->lock);
			lite_run_group(b, group);
			pthread_mutex_lock(&b->lock);
		} else if (b->stop) {
			break;
		} else {
			pthread_cond_wait(&b->work, &b->lock);
		}
	}
	pthread_mutex_unlock(&b->lock);
	return NULL;
}

static int lite_write(void *bp, db_fn fn, void *arg, struct err *reterr)
{
	struct lite      *b = bp;
	struct err        own = { 0 };
	struct lite_write w = { .fn = fn, .arg = arg, .reterr = reterr ? reterr : &own };

	w.tx.base.db = b->db;
	w.tx.base.write = true;
	w.tx.conn = b->writer;
	pthread_cond_init(&w.cond, NULL);
	pthread_mutex_lock(&b->lock);
	if (b->n_waiting >= LIMIT_DB_WAITING) {
		w.rc = err_set(reterr, WEIR_EBUSY, "%d writes wait for the database already; try again", LIMIT_DB_WAITING);
		w.done = true;
	} else {
		*b->last = &w;
		b->last = &w.next;
		b->n_waiting++;
		pthread_cond_signal(&b->work);
	}
	while (!w.done)
		pthread_cond_wait(&w.cond, &b->lock);
	pthread_mutex_unlock(&b->lock);
	pthread_cond_destroy(&w.cond);
	return w.rc;
}

/* --- readers --- */

static int lite_reader_take(struct lite *b, struct lite_conn **ret, struct err *reterr)
{
	int rc = 0;

	pthread_mutex_lock(&b->lock);
	while (!b->idle && b->n_readers >= LIMIT_DB_READERS)
		pthread_cond_wait(&b->reader_free, &b->lock);
	*ret = b->idle;
	if (*ret)
		b->idle = (*ret)->next;
	else
		b->n_readers++;
	pthread_mutex_unlock(&b->lock);
	if (*ret)
		return 0;
	rc = lite_conn_open(b->path, false, ret, reterr);
	if (rc) {
		pthread_mutex_lock(&b->lock);
		b->n_readers--;
		pthread_cond_signal(&b->reader_free);
		pthread_mutex_unlock(&b->lock);
	}
	return rc;
}

static void lite_reader_give(struct lite *b, struct lite_conn *c)
{
	pthread_mutex_lock(&b->lock);
	c->next = b->idle;
	b->idle = c;
	pthread_cond_signal(&b->reader_free);
	pthread_mutex_unlock(&b->lock);
}

static int lite_read(void *bp, db_fn fn, void *arg, struct err *reterr)
{
	struct lite   *b = bp;
	struct lite_tx tx = { .base = { .db = b->db } };
	int            rc = lite_reader_take(b, &tx.conn, reterr);

	if (rc)
		return rc;
	rc = lite_do(tx.conn, "BEGIN", reterr);
	if (!rc)
		rc = db_run_fn(&tx.base, fn, arg, reterr);
	lite_rollback(tx.conn);
	lite_reader_give(b, tx.conn);
	return rc;
}

/* --- the handle --- */

static void lite_close(void *bp)
{
	struct lite *b = bp;

	pthread_mutex_lock(&b->lock);
	b->stop = true;
	pthread_cond_signal(&b->work);
	pthread_mutex_unlock(&b->lock);
	pthread_join(b->thread, NULL);
	while (b->idle) {
		struct lite_conn *c = b->idle;

		b->idle = c->next;
		lite_conn_close(c);
		b->n_readers--;
	}
	if (b->n_readers)
		BUG("db_close() while a db_read() runs");
	lite_conn_close(b->writer);
	pthread_cond_destroy(&b->reader_free);
	pthread_cond_destroy(&b->work);
	pthread_mutex_destroy(&b->lock);
	free(b->path);
	free(b);
}

static int lite_open(struct db *db, const char *url, void **ret, struct err *reterr)
{
	const char  *path = url + strlen("sqlite:");
	struct lite *b;
	int          rc;

	if (!*path || !strcmp(path, ":memory:"))
		return err_set(reterr, WEIR_EINVAL, "sqlite: needs the path of a file behind it (sqlite:/var/lib/weir/weir.db)");
	b = calloc(1, sizeof(*b));
	if (!b || !(b->path = strdup(path))) {
		free(b);
		return err_set(reterr, WEIR_ENOMEM, "no memory for a database handle");
	}
	b->db = db;
	b->last = &b->first;
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->work, NULL);
	pthread_cond_init(&b->reader_free, NULL);
	rc = lite_conn_open(b->path, true, &b->writer, reterr);
	if (!rc) {
		rc = pthread_create(&b->thread, NULL, lite_writer_main, b);
		if (rc)
			rc = err_errno(reterr, rc, "cannot start the database's writer");
	}
	if (rc) {
		lite_conn_close(b->writer);
		free(b->path);
		free(b);
		return rc;
	}
	*ret = b;
	return 0;
}

/* --- online copy --- */

static int lite_copy(struct lite_conn *from, sqlite3 *to, const char *path, struct err *reterr)
{
	sqlite3_backup *bk = sqlite3_backup_init(to, "main", from->h, "main");
	int             rc = SQLITE_ERROR;

	if (bk) {
		(void)sqlite3_backup_step(bk, -1);
		rc = sqlite3_backup_finish(bk);
	}
	if (rc != SQLITE_OK)
		return err_set(reterr, lite_code(to, sqlite3_extended_errcode(to)), "cannot copy the database to %s: %s", path, sqlite3_errmsg(to));
	return 0;
}

static int lite_backup(void *bp, const char *path, struct err *reterr)
{
	struct lite      *b = bp;
	struct lite_conn *from = NULL;
	sqlite3          *to = NULL;
	int               fd, rc;

	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600); /* never over something that is there */
	if (fd < 0)
		return err_errno(reterr, errno, "cannot make the copy %s", path);
	(void)close(fd);
	rc = lite_conn_open(b->path, false, &from, reterr);
	if (!rc && sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
		rc = err_set(reterr, WEIR_EIO, "cannot open the copy %s: %s", path, to ? sqlite3_errmsg(to) : "no memory");
	if (!rc)
		rc = lite_copy(from, to, path, reterr);
	(void)sqlite3_close(to);
	lite_conn_close(from);
	if (rc)
		(void)unlink(path);
	return rc;
}

const struct db_backend db_sqlite = {
	.dialect = { "INTEGER", "TEXT", "BLOB", "REAL", "STRICT", '?' },
	.open = lite_open,
	.close = lite_close,
	.write = lite_write,
	.read = lite_read,
	.script = lite_tx_script,
	.exec = lite_exec,
	.query = lite_query,
	.next = lite_next,
	.rows_close = lite_rows_close,
	.col_int = lite_col_int,
	.col_real = lite_col_real,
	.col_str = lite_col_str,
	.col_null = lite_col_null,
	.backup = lite_backup,
};
