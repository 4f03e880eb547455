/* backend.h - what a storage engine gives to the front (db.c). Internal to src/db.
 *
 * Two engines: sqlite.c and postgres.c. Each embeds struct db_tx and struct db_rows as the first member of its own. */
#ifndef WEIR_DB_BACKEND_H
#define WEIR_DB_BACKEND_H

#include "base/limits.h"
#include "db/db.h"

enum db_kind { DB_NULL, DB_INT, DB_REAL, DB_TEXT, DB_BLOB };
struct db_value {
	enum db_kind kind;
	int64_t      i;
	double       d;
	str          s;
};
struct db_stmt { /* a statement as the caller wrote it, with its checked parameters */
	const char     *sql;
	const char     *types; /* key of the prepared form together with sql */
	struct db_value v[LIMIT_DB_PARAMS];
	size_t          n;
};

enum { DB_CHANNEL_SIZE = 32, DB_CHANNELS_MAX = 16 };

struct db_tx {
	struct db      *db;
	bool            write;
	bool            failed; /* a statement failed: nothing but the error may come after it, on either engine */
	struct db_rows *open;   /* the query that was not read to its end */
	char            channels[DB_CHANNELS_MAX][DB_CHANNEL_SIZE]; /* db_notify() so far */
	unsigned        n_channels;
};
struct db_rows {
	struct db_tx *tx;
	bool          at_end;
};

struct db_dialect { /* what the tokens of shared SQL become */
	const char *int_type, *text_type, *blob_type, *real_type, *strict;
	char        param; /* '?' for ?1, '$' for $1 */
	const char *list_from[2], *list_column[2]; /* what stands around the parameter and the column's number in @rows@ */
};

struct db_backend {
	struct db_dialect dialect;
	int  (*open)(struct db *db, const char *url, void **ret, struct err *reterr);
	void (*close)(void *b);
	/* Run fn in a transaction; see db.h. The engine makes the db_tx. */
	int  (*write)(void *b, db_fn fn, void *arg, bool in_turn, struct err *reterr);
	int  (*read)(void *b, db_fn fn, void *arg, bool one_statement, struct err *reterr);
	/* Several statements without parameters or results. */
	int  (*script)(struct db_tx *tx, const char *sql, struct err *reterr);
	int  (*exec)(struct db_tx *tx, const struct db_stmt *s, int64_t *ret_n, struct err *reterr);
	int  (*query)(struct db_tx *tx, const struct db_stmt *s, struct db_rows **ret, struct err *reterr);
	int  (*next)(struct db_rows *rows, struct err *reterr); /* 1, 0, negative; not called again after 0 */
	void (*rows_close)(struct db_rows *rows);
	int64_t (*col_int)(struct db_rows *rows, int col);
	double  (*col_real)(struct db_rows *rows, int col);
	str     (*col_str)(struct db_rows *rows, int col);
	bool    (*col_null)(struct db_rows *rows, int col);
	/* Keep other servers' migrations out. NULL: nobody else can be there (SQLite's write transactions exclude each other). */
	int  (*migrate_begin)(void *b, void **ret_lock, struct err *reterr);
	void (*migrate_end)(void *lock);
	/* Part of the transaction. NULL: the engine calls db_fire() for tx->channels after the commit. */
	int  (*notify)(struct db_tx *tx, const char *channel, struct err *reterr);
	/* From now on notifications of other servers reach db_fire(). NULL: there are none. */
	int  (*listen)(void *b, const char *channel, struct err *reterr);
	/* NULL: nobody else can be there. hold: as db_lock_hold(). */
	int  (*lock_new)(void *b, const char *name, void **ret_lock, struct err *reterr);
	void (*lock_free)(void *lock);
	int  (*lock_hold)(void *lock, bool *ret_held, bool *ret_anew, struct err *reterr);
	int  (*backup)(void *b, const char *path, struct err *reterr);
};
extern const struct db_backend db_sqlite, db_postgres;

/* --- front, for the engines --- */
void db_fire(struct db *db, const char *channel); /* any thread; never waits for a callback */
void db_fire_all(struct db *db);                  /* as if each channel were notified (after a lost connection) */
/* Returns fn's result; turns "0 although a statement failed" and a query left open into an error. */
int  db_run_fn(struct db_tx *tx, db_fn fn, void *arg, struct err *reterr);

/* --- sql.c --- */
/* Shared SQL in the engine's dialect: $N outside of quotes and comments, @int@ and its kin. -WEIR_EINVAL names an unknown token. */
MUST_CHECK int db_translate(const struct db_dialect *d, const char *sql, struct buf *out, struct err *reterr);
/* Gathers variadic parameters by `types`; texts must be UTF-8 without NUL, on either engine. */
MUST_CHECK int db_stmt_init(struct db_stmt *s, const char *sql, const char *types, va_list ap, struct err *reterr);

/* --- notify.c: who listens to what, and the thread that calls them --- */
struct db_hub;
MUST_CHECK int db_hub_new(struct db_hub **ret, struct err *reterr);
struct db_hub *db_hub_free(struct db_hub *h);
MUST_CHECK int db_hub_add(struct db_hub *h, const char *channel, void (*fn)(void *ctx), void *ctx, struct db_listener **ret,
                          struct err *reterr);
void db_hub_fire(struct db_hub *h, const char *channel); /* NULL: every channel */

#endif
