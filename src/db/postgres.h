/* postgres.h - what the files of the PostgreSQL engine share. Internal to src/db.
 *
 * postgres.c: the handle and its transactions · postgres-conn.c: errors, connections, pools · postgres-stmt.c: statements and rows ·
 * postgres-listen.c: notifications · postgres-lock.c: locks by name. */
#ifndef WEIR_DB_POSTGRES_H
#define WEIR_DB_POSTGRES_H

#include "base/map.h"
#include "db/backend.h"

#include <libpq-fe.h>
#include <pthread.h>

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
	pthread_mutex_t    in_turn; /* held by the one db_write_in_turn() */
	pthread_rwlock_t   turns; /* shared: a write runs; exclusive: one that failed before, alone */
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

/* --- postgres-conn.c --- */
/* Error of a result (or, without one, of the connection); clears it. *ret_again (may be NULL): another attempt makes sense. */
int pg_fail(struct pg_conn *c, PGresult *res, const char *sql, bool *ret_again, struct err *reterr);
int pg_simple(struct pg_conn *c, const char *sql, bool *ret_again, struct err *reterr); /* no parameters, no result */
int pg_conn_open(const char *url, struct pg_conn **ret, struct err *reterr);
struct pg_conn *pg_conn_close(struct pg_conn *c);
int pg_take(struct pg *b, struct pg_pool *p, struct pg_conn **ret, struct err *reterr); /* waits for a free one */
/* Gives a connection back; one that is broken or still in a transaction is closed. */
void pg_give(struct pg *b, struct pg_pool *p, struct pg_conn *c);

/* --- postgres-stmt.c: see struct db_backend --- */
int pg_exec(struct db_tx *tx, const struct db_stmt *s, int64_t *ret_n, struct err *reterr);
int pg_query(struct db_tx *tx, const struct db_stmt *s, struct db_rows **ret, struct err *reterr);
int pg_next(struct db_rows *rows, struct err *reterr);
void pg_rows_close(struct db_rows *rows);
int64_t pg_col_int(struct db_rows *rows, int col);
double pg_col_real(struct db_rows *rows, int col);
str pg_col_str(struct db_rows *rows, int col);
bool pg_col_null(struct db_rows *rows, int col);
int pg_script(struct db_tx *tx, const char *sql, struct err *reterr);
int pg_notify(struct db_tx *tx, const char *channel, struct err *reterr);

/* --- postgres-listen.c --- */
int pg_listen(void *b, const char *channel, struct err *reterr);
void pg_listen_stop(struct pg *b);

/* --- postgres-lock.c --- */
int pg_lock_new(void *b, const char *name, void **ret_lock, struct err *reterr);
void pg_lock_free(void *lock);
int pg_lock_hold(void *lock, bool *ret_held, bool *ret_anew, struct err *reterr);

#endif
