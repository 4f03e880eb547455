/* db.h - storage: SQLite (embedded default) and PostgreSQL behind one interface.
 *
 * Writing: db_write() runs a function inside a transaction. On SQLite one writer thread runs the functions of all
 * callers, groups those that wait into one transaction (a savepoint each, so one that fails takes only itself back) and
 * answers after the commit is on disk (WAL, synchronous=FULL). On PostgreSQL it runs on a pooled connection in the caller's
 * thread, SERIALIZABLE, so that code written for one writer means the same there, and again after a serialization
 * failure or deadlock. The function must therefore be repeatable: no side effect outside the database, no db_write or
 * db_read of the same database inside (-WEIR_EINTERNAL).
 * Reading: db_read() runs a function on a read connection of a pool, in the caller's thread, in one snapshot, which holds every write that
 * was answered before (on SQLite: by this handle; what another program writes into the file is seen within a second).
 *
 * SQL is written once for both: parameters $1..$32, RETURNING, ON CONFLICT; types in migrations as @int@ (64 bit),
 * @text@, @blob@, @real@ and @strict@ behind a table's closing parenthesis. No other dialect.
 * Many rows in one statement: a text parameter holds a JSON list of lists of texts, [["a","1"],["b","2"]], and "@rows:1:key,n@ AS r" in a FROM is the
 * table of them, all of type text (CAST(r.n AS @int@)). One statement for a thousand rows is some twenty times as fast as a thousand on PostgreSQL; db_list()
 * makes the lists. */
#ifndef WEIR_DB_DB_H
#define WEIR_DB_DB_H

#include "base/arena.h"
#include "base/base.h"
#include "base/err.h"
#include "base/str.h"

struct db;
struct db_tx;
struct db_rows;

/* url: "sqlite:/path/weir.db" or "postgresql://..." (libpq). Makes the SQLite file when it is not there.
 * The password of a URL never appears in an error. */
MUST_CHECK int db_open(const char *url, struct db **ret, struct err *reterr);
struct db *db_close(struct db *db); /* waits for writes under way; returns NULL */
bool db_is_sqlite(const struct db *db);

/* Migrations: a room's list, in order; each runs once, in its own transaction, under (room, index+1). Repeatable. A text that
 * differs from what ran before (by digest) is -WEIR_ECONFLICT: migrations are never edited. */
struct db_migration {
	const char *name; /* for people: "create event tables" */
	const char *sql;  /* several statements, ';' between */
};
MUST_CHECK int db_migrate(struct db *db, const char *room, const struct db_migration *m, size_t n, struct err *reterr);

typedef int (*db_fn)(struct db_tx *tx, void *arg, struct err *reterr);
MUST_CHECK int db_write(struct db *db, db_fn fn, void *arg, struct err *reterr);
/* As db_write(), for functions that all want the same row (claims from a queue) and would take each other back again and again on
 * PostgreSQL: they run one after the other there, over all servers; other writes run beside them. */
MUST_CHECK int db_write_in_turn(struct db *db, db_fn fn, void *arg, struct err *reterr);
MUST_CHECK int db_read(struct db *db, db_fn fn, void *arg, struct err *reterr);
/* As db_read() for a function that runs one statement only: cheaper, since a statement is its own snapshot. A second one may see a later state. */
MUST_CHECK int db_read_one(struct db *db, db_fn fn, void *arg, struct err *reterr);

/* Statements. `types` says what the variadic parameters are, one letter each for $1, $2, ...:
 *   i int64_t   d double   s str (STR_NULL: NULL)   z const char * (NULL: NULL)   b str as blob   n (no argument) NULL
 * A unique violation is -WEIR_EEXIST; other constraint failures -WEIR_ECONFLICT; no space -WEIR_ENOSPC.
 * A failed statement ends its transaction on either engine: return its error (use ON CONFLICT where a clash is expected). */
MUST_CHECK int db_exec(struct db_tx *tx, struct err *reterr, const char *sql, const char *types, ...);
/* As db_exec; *ret_n gets the number of rows changed. */
MUST_CHECK int db_exec_n(struct db_tx *tx, struct err *reterr, int64_t *ret_n, const char *sql, const char *types, ...);
/* Starts a query (also INSERT/UPDATE ... RETURNING). Close with db_rows_close(); at most one is open per tx unless the first was
 * read to its end. */
MUST_CHECK int db_query(struct db_tx *tx, struct err *reterr, struct db_rows **ret, const char *sql, const char *types, ...);
/* 1: a row is there; 0: end; negative: error. */
MUST_CHECK int db_next(struct db_rows *rows, struct err *reterr);
struct db_rows *db_rows_close(struct db_rows *rows); /* NULL fine; returns NULL */
static inline void db_cleanup_rows(struct db_rows **r)
{
	*r = db_rows_close(*r);
}
#define CLEANUP_ROWS CLEANUP(db_cleanup_rows)

/* Columns of the present row, from 0. Texts live until the next db_next(): copy what you keep. */
int64_t db_int(struct db_rows *rows, int col); /* NULL: 0 */
double  db_real(struct db_rows *rows, int col);
str     db_str(struct db_rows *rows, int col); /* text or blob; SQL NULL: STR_NULL */
bool    db_null(struct db_rows *rows, int col);

/* For @rows@: how many of the next rows fit into one parameter; see LIMIT_DB_LIST_*. Makes [[row(0)...], ...] of texts; STR_NULL is SQL's NULL. */
struct db_list {
	struct buf json;
	size_t     n;
};
void db_list_init(struct db_list *l);
bool db_list_fits(const struct db_list *l, size_t bytes); /* one more row of so many bytes of text? An empty list takes any */
void db_list_add(struct db_list *l, const str *columns, size_t n_columns);
MUST_CHECK int db_list_end(struct db_list *l, str *ret, struct err *reterr); /* *ret: the parameter, until db_list_clear() or _fini() */
void db_list_clear(struct db_list *l);
void db_list_fini(struct db_list *l);

/* One-row helpers. *ret_found (may be NULL) says whether a row came; absent leaves *ret at 0 / STR_NULL; without
 * ret_found absent is -WEIR_ENOENT. */
MUST_CHECK int db_get_int(struct db_tx *tx, struct err *reterr, int64_t *ret, bool *ret_found, const char *sql,
                          const char *types, ...);
MUST_CHECK int db_get_str(struct db_tx *tx, struct err *reterr, struct arena *a, str *ret, bool *ret_found, const char *sql,
                          const char *types, ...);

/* Change notification: after a commit that contains db_notify(tx, channel), every listener of that channel is called, at least
 * once per group of notifications, in any server that shares the database. The callback must be quick and must
 * not use the db; it runs on a thread of the db. Channels: [a-z_]+. */
MUST_CHECK int db_notify(struct db_tx *tx, const char *channel, struct err *reterr);
struct db_listener;
MUST_CHECK int db_listen(struct db *db, const char *channel, void (*fn)(void *ctx), void *ctx, struct db_listener **ret,
                         struct err *reterr);
struct db_listener *db_unlisten(struct db_listener *l); /* no callback runs after it returned; returns NULL */

/* A lock by name over all servers that share the database: one handle holds it at a time, until it is freed or its server (or the connection to
 * the database) ends. On SQLite, which one server uses alone, it is always free. One thread at a time. */
struct db_lock;
MUST_CHECK int db_lock_new(struct db *db, const char *name, struct db_lock **ret, struct err *reterr);
struct db_lock *db_lock_free(struct db_lock *l); /* gives it back; returns NULL */
/* Is it this handle's? Takes it when it is free, never waits for another. *ret_anew: it was not held all the time since the call before, so
 * that another server may have acted meanwhile. */
MUST_CHECK int db_lock_hold(struct db_lock *l, bool *ret_held, bool *ret_anew, struct err *reterr);

/* Online copy of a SQLite database to `path` (-WEIR_EREFUSED on PostgreSQL: use pg_dump). */
MUST_CHECK int db_backup(struct db *db, const char *path, struct err *reterr);

#endif
