/* sqlite.c - the embedded engine: one writer connection on one thread (sqlite-writer.c), a pool of read connections.
 *
 * WAL, synchronous=FULL: a commit that was answered is on disk. One writer connection also keeps clear of SQLite 3.40's WAL-reset race,
 * which needs two. Reads run in their callers' threads, each in one snapshot; a
 * reader keeps its snapshot for the next read while nothing is written. */
#include "base/base.h"
#include "db/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define SNAPSHOT_MAX USEC_PER_SEC /* when another program wrote, which nobody tells us */

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

/* Ends the kept transaction, whose snapshot others may have outrun. */
static void lite_snapshot_end(struct lite_conn *c)
{
	if (c->kept)
		lite_rollback(c);
	c->kept = 0;
}

static void lite_reader_give(struct lite *b, struct lite_conn *c)
{
	pthread_mutex_lock(&b->lock);
	if (c->kept != atomic_load(&b->epoch)) /* the writer has looked at the idle ones already */
		lite_snapshot_end(c);
	c->next = b->idle;
	b->idle = c;
	pthread_cond_signal(&b->reader_free);
	pthread_mutex_unlock(&b->lock);
}

void lite_epoch_begin(struct lite *b)
{
	atomic_fetch_add(&b->epoch, 1);
	pthread_mutex_lock(&b->lock);
	for (struct lite_conn *c = b->idle; c; c = c->next)
		lite_snapshot_end(c);
	pthread_mutex_unlock(&b->lock);
}

void lite_epoch_end(struct lite *b) { atomic_fetch_add(&b->epoch, 1); }

/* A transaction with the newest snapshot: the kept one as long as nothing was written since, else a new one. Taking and leaving a snapshot costs two locks of the
 * file, which is half of a small read. */
static int lite_snapshot_begin(struct lite *b, struct lite_conn *c, uint64_t *ret_epoch, struct err *reterr)
{
	*ret_epoch = atomic_load(&b->epoch); /* before the snapshot is taken: it is of this epoch or newer */
	if (c->kept && c->kept == *ret_epoch && clock_mono_now() - c->kept_at < SNAPSHOT_MAX)
		return 0;
	lite_snapshot_end(c);
	c->kept_at = clock_mono_now();
	return lite_do(c, "BEGIN", reterr);
}

static int lite_read(void *bp, db_fn fn, void *arg, bool one_statement UNUSED, struct err *reterr)
{
	struct lite   *b = bp;
	struct lite_tx tx = { .base = { .db = b->db } };
	uint64_t       epoch = 0;
	int            rc = lite_reader_take(b, &tx.conn, reterr);

	if (rc)
		return rc;
	rc = lite_snapshot_begin(b, tx.conn, &epoch, reterr);
	if (!rc)
		rc = db_run_fn(&tx.base, fn, arg, reterr);
	if (rc || epoch % 2)
		lite_rollback(tx.conn);
	tx.conn->kept = rc || epoch % 2 ? 0 : epoch;
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
	b->epoch = 2; /* 0 is "none kept" */
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
	.dialect = { "INTEGER", "TEXT", "BLOB", "REAL", "STRICT", '?', { "json_each(", ")" }, { "json_extract(value, '$[", "]')" } },
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
