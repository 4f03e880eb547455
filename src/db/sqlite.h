/* sqlite.h - what the files of the SQLite engine share. Internal to src/db.
 *
 * sqlite.c: the handle, readers, online copy · sqlite-conn.c: errors, connections, statements · sqlite-writer.c: group commit. */
#ifndef WEIR_DB_SQLITE_H
#define WEIR_DB_SQLITE_H

#include "base/clock.h"
#include "base/map.h"
#include "db/backend.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

struct lite_stmt {
	sqlite3_stmt *st;
	bool          busy, cached;
};
struct lite_conn {
	sqlite3         *h;
	struct map       stmts; /* SQL as the caller wrote it -> struct lite_stmt */
	struct lite_conn *next; /* in the list of idle readers */
	uint64_t         kept;  /* reader: struct lite.epoch whose snapshot its open transaction has; 0: none is open */
	usec_t           kept_at;
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
	_Atomic uint64_t   epoch; /* odd: the writer is at work; grows with each of its transactions */
};

/* --- sqlite.c --- */
/* The writer: around each of its transactions. No idle reader holds a snapshot meanwhile, so that the log of writes can begin anew. */
void lite_epoch_begin(struct lite *b);
void lite_epoch_end(struct lite *b);

/* --- sqlite-conn.c; for the statement functions see struct db_backend --- */
int lite_code(sqlite3 *h, int rc); /* enum weir_err of a result code */
int lite_conn_open(const char *path, bool writer, struct lite_conn **ret, struct err *reterr);
struct lite_conn *lite_conn_close(struct lite_conn *c);
/* A fixed statement of the engine itself ("BEGIN"), prepared once per connection. */
int lite_do(struct lite_conn *c, const char *sql, struct err *reterr);
void lite_rollback(struct lite_conn *c); /* no transaction is open afterwards */
int lite_exec(struct db_tx *tx, const struct db_stmt *s, int64_t *ret_n, struct err *reterr);
int lite_query(struct db_tx *tx, const struct db_stmt *s, struct db_rows **ret, struct err *reterr);
int lite_next(struct db_rows *rows, struct err *reterr);
void lite_rows_close(struct db_rows *rows);
int64_t lite_col_int(struct db_rows *rows, int col);
double lite_col_real(struct db_rows *rows, int col);
str lite_col_str(struct db_rows *rows, int col);
bool lite_col_null(struct db_rows *rows, int col);
int lite_tx_script(struct db_tx *tx, const char *sql, struct err *reterr);

/* --- sqlite-writer.c --- */
int lite_write(void *b, db_fn fn, void *arg, bool in_turn, struct err *reterr); /* all of them are */
void *lite_writer_main(void *b); /* the writer's thread; ends when b->stop is set and nothing waits */

#endif
