/* db.c - the front of the storage room: what is the same on every engine (see db.h).
 *
 * Guarantees for both engines alike: parameters are checked before they reach the engine, a statement that failed
 * poisons its transaction, functions do not nest, migrations run once and never change. Runs in the caller's thread. */
#include "base/base.h"
#include "base/clock.h"
#include "base/hash.h"
#include "db/backend.h"

#include <stdarg.h>

struct db {
	const struct db_backend *ops;
	void                    *b;
	struct db_hub           *hub;
};

/* The database whose function runs on this thread: one more transaction in it could wait for itself. */
static __thread const struct db *db_inside;

static const struct {
	const char              *prefix;
	const struct db_backend *ops;
} db_schemes[] = {
	{ "sqlite:", &db_sqlite },
	{ "postgresql:", &db_postgres },
	{ "postgres:", &db_postgres },
};

int db_open(const char *url, struct db **ret, struct err *reterr)
{
	const struct db_backend *ops = NULL;
	struct db               *db;
	int                      rc;

	for (size_t i = 0; i < ARRAY_SIZE(db_schemes); i++)
		if (str_has_prefix(str_z(url), str_z(db_schemes[i].prefix)))
			ops = db_schemes[i].ops;
	if (!ops)
		return err_set(reterr, WEIR_EINVAL, "unknown kind of database: the URL must begin with sqlite: or postgresql:");
	db = calloc(1, sizeof(*db));
	if (!db)
		return err_set(reterr, WEIR_ENOMEM, "no memory for a database handle");
	db->ops = ops;
	rc = db_hub_new(&db->hub, reterr);
	if (!rc)
		rc = ops->open(db, url, &db->b, reterr);
	if (rc) {
		db_hub_free(db->hub);
		free(db);
		return rc;
	}
	*ret = db;
	return 0;
}

struct db *db_close(struct db *db)
{
	if (!db)
		return NULL;
	db->ops->close(db->b);
	db_hub_free(db->hub);
	free(db);
	return NULL;
}

bool db_is_sqlite(const struct db *db) { return db->ops == &db_sqlite; }

void db_fire(struct db *db, const char *channel) { db_hub_fire(db->hub, channel); }
void db_fire_all(struct db *db) { db_hub_fire(db->hub, NULL); }

/* --- transactions --- */

int db_run_fn(struct db_tx *tx, db_fn fn, void *arg, struct err *reterr)
{
	const struct db *was = db_inside;
	int              rc;

	db_inside = tx->db; /* on SQLite this is the writer's thread */
	rc = fn(tx, arg, reterr);
	db_inside = was;
	if (tx->open)
		BUG("a function left a query open; close its rows before it returns");
	if (!rc && tx->failed)
		return err_set(reterr, WEIR_EINTERNAL, "a statement of the transaction failed and its error was dropped; nothing was stored");
	return rc;
}

static int db_check_nesting(const struct db *db, const char *what, struct err *reterr)
{
	if (db_inside == db)
		return err_set(reterr, WEIR_EINTERNAL, "%s inside a database function: use the transaction it was given", what);
	return 0;
}

int db_write(struct db *db, db_fn fn, void *arg, struct err *reterr)
{
	int rc = db_check_nesting(db, "db_write()", reterr);

	return rc ? rc : db->ops->write(db->b, fn, arg, false, reterr);
}

int db_write_in_turn(struct db *db, db_fn fn, void *arg, struct err *reterr)
{
	int rc = db_check_nesting(db, "db_write_in_turn()", reterr);

	return rc ? rc : db->ops->write(db->b, fn, arg, true, reterr);
}

int db_read(struct db *db, db_fn fn, void *arg, struct err *reterr)
{
	int rc = db_check_nesting(db, "db_read()", reterr);

	return rc ? rc : db->ops->read(db->b, fn, arg, false, reterr);
}

int db_read_one(struct db *db, db_fn fn, void *arg, struct err *reterr)
{
	int rc = db_check_nesting(db, "db_read_one()", reterr);

	return rc ? rc : db->ops->read(db->b, fn, arg, true, reterr);
}

/* --- statements --- */

static int db_check_tx(struct db_tx *tx, const char *sql, struct err *reterr)
{
	if (tx->failed)
		return err_set(reterr, WEIR_EINTERNAL, "an earlier statement of this transaction failed; it can only end (SQL: %.80s)", sql);
	if (tx->open)
		return err_set(reterr, WEIR_EINTERNAL,
		               "a query is still open in this transaction: read it to its end or close it first (SQL: %.80s)", sql);
	return 0;
}

/* Checks the transaction and gathers the parameters. */
static int db_prepare(struct db_tx *tx, struct db_stmt *s, const char *sql, const char *types, va_list ap, struct err *reterr)
{
	int rc = db_check_tx(tx, sql, reterr);

	return rc ? rc : db_stmt_init(s, sql, types, ap, reterr);
}

static int db_vexec(struct db_tx *tx, struct err *reterr, int64_t *ret_n, const char *sql, const char *types, va_list ap)
{
	struct db_stmt s;
	int            rc = db_prepare(tx, &s, sql, types, ap, reterr);

	if (!rc)
		rc = tx->db->ops->exec(tx, &s, ret_n, reterr);
	if (rc)
		tx->failed = true;
	return rc;
}

int db_exec(struct db_tx *tx, struct err *reterr, const char *sql, const char *types, ...)
{
	va_list ap;
	int64_t n;
	int     rc;

	va_start(ap, types);
	rc = db_vexec(tx, reterr, &n, sql, types, ap);
	va_end(ap);
	return rc;
}

int db_exec_n(struct db_tx *tx, struct err *reterr, int64_t *ret_n, const char *sql, const char *types, ...)
{
	va_list ap;
	int     rc;

	va_start(ap, types);
	rc = db_vexec(tx, reterr, ret_n, sql, types, ap);
	va_end(ap);
	return rc;
}

static int db_vquery(struct db_tx *tx, struct err *reterr, struct db_rows **ret, const char *sql, const char *types, va_list ap)
{
	struct db_stmt s;
	int            rc = db_prepare(tx, &s, sql, types, ap, reterr);

	*ret = NULL;
	if (!rc)
		rc = tx->db->ops->query(tx, &s, ret, reterr);
	if (rc) {
		tx->failed = true;
		return rc;
	}
	tx->open = *ret;
	return 0;
}

int db_query(struct db_tx *tx, struct err *reterr, struct db_rows **ret, const char *sql, const char *types, ...)
{
	va_list ap;
	int     rc;

	va_start(ap, types);
	rc = db_vquery(tx, reterr, ret, sql, types, ap);
	va_end(ap);
	return rc;
}

int db_next(struct db_rows *rows, struct err *reterr)
{
	struct db_tx *tx = rows->tx;
	int           rc;

	if (rows->at_end)
		return 0;
	rc = tx->db->ops->next(rows, reterr);
	if (rc == 1)
		return 1;
	rows->at_end = true;
	tx->open = NULL;
	if (rc < 0)
		tx->failed = true;
	return rc;
}

struct db_rows *db_rows_close(struct db_rows *rows)
{
	if (!rows)
		return NULL;
	if (rows->tx->open == rows)
		rows->tx->open = NULL;
	rows->tx->db->ops->rows_close(rows);
	return NULL;
}

int64_t db_int(struct db_rows *rows, int col) { return rows->tx->db->ops->col_int(rows, col); }
double  db_real(struct db_rows *rows, int col) { return rows->tx->db->ops->col_real(rows, col); }
str     db_str(struct db_rows *rows, int col) { return rows->tx->db->ops->col_str(rows, col); }
bool    db_null(struct db_rows *rows, int col) { return rows->tx->db->ops->col_null(rows, col); }

/* First row of a query into fn-less storage: 1 with *rows on it, 0 none, negative error. Absent is an error without ret_found. */
static int db_first(struct db_tx *tx, struct err *reterr, struct db_rows **rows, bool *ret_found, const char *sql,
                    const char *types, va_list ap)
{
	int rc = db_vquery(tx, reterr, rows, sql, types, ap);

	if (!rc)
		rc = db_next(*rows, reterr);
	if (ret_found)
		*ret_found = rc == 1;
	else if (rc == 0)
		rc = err_set(reterr, WEIR_ENOENT, "no row (SQL: %.80s)", sql);
	return rc;
}

int db_get_int(struct db_tx *tx, struct err *reterr, int64_t *ret, bool *ret_found, const char *sql, const char *types, ...)
{
	struct db_rows *rows CLEANUP_ROWS = NULL;
	va_list              ap;
	int                  rc;

	va_start(ap, types);
	rc = db_first(tx, reterr, &rows, ret_found, sql, types, ap);
	va_end(ap);
	if (rc >= 0)
		*ret = rc ? db_int(rows, 0) : 0;
	return rc < 0 ? rc : 0;
}

int db_get_str(struct db_tx *tx, struct err *reterr, struct arena *a, str *ret, bool *ret_found, const char *sql,
               const char *types, ...)
{
	struct db_rows *rows CLEANUP_ROWS = NULL;
	va_list              ap;
	int                  rc;

	va_start(ap, types);
	rc = db_first(tx, reterr, &rows, ret_found, sql, types, ap);
	va_end(ap);
	if (rc < 0)
		return rc;
	*ret = STR_NULL;
	if (rc == 1 && !db_null(rows, 0)) {
		*ret = arena_str(a, db_str(rows, 0));
		return arena_check(a, "a value of the database", reterr);
	}
	return 0;
}

/* --- notification --- */

static bool db_channel_ok(const char *channel)
{
	size_t n = strspn(channel, "abcdefghijklmnopqrstuvwxyz_");

	return n > 0 && n < DB_CHANNEL_SIZE && !channel[n];
}

int db_notify(struct db_tx *tx, const char *channel, struct err *reterr)
{
	int rc = db_check_tx(tx, "NOTIFY", reterr);

	if (rc)
		return rc;
	if (!db_channel_ok(channel) || !tx->write)
		BUG("db_notify(\"%s\"): not a channel name of [a-z_]{1,%d}, or not in db_write()", channel, DB_CHANNEL_SIZE - 1);
	for (unsigned i = 0; i < tx->n_channels; i++)
		if (!strcmp(tx->channels[i], channel))
			return 0;
	if (tx->n_channels == DB_CHANNELS_MAX)
		return err_set(reterr, WEIR_ELIMIT, "more than %d channels notified in one transaction", DB_CHANNELS_MAX);
	(void)snprintf(tx->channels[tx->n_channels++], DB_CHANNEL_SIZE, "%s", channel);
	if (tx->db->ops->notify)
		rc = tx->db->ops->notify(tx, channel, reterr);
	if (rc)
		tx->failed = true;
	return rc;
}

int db_listen(struct db *db, const char *channel, void (*fn)(void *ctx), void *ctx, struct db_listener **ret, struct err *reterr)
{
	int rc;

	if (!db_channel_ok(channel))
		BUG("db_listen(\"%s\"): not a channel name", channel);
	rc = db_hub_add(db->hub, channel, fn, ctx, ret, reterr);
	if (rc || !db->ops->listen)
		return rc;
	rc = db->ops->listen(db->b, channel, reterr);
	if (rc)
		*ret = db_unlisten(*ret);
	return rc;
}

/* --- locks --- */

struct db_lock {
	const struct db_backend *ops;
	void                    *lock; /* the engine's; NULL: it has none */
	bool                     asked;
};

int db_lock_new(struct db *db, const char *name, struct db_lock **ret, struct err *reterr)
{
	struct db_lock *l = calloc(1, sizeof(*l));
	int             rc;

	if (!l)
		return err_set(reterr, WEIR_ENOMEM, "no memory for a lock");
	l->ops = db->ops;
	rc = db->ops->lock_new ? db->ops->lock_new(db->b, name, &l->lock, reterr) : 0;
	if (rc)
		free(l);
	else
		*ret = l;
	return rc;
}

struct db_lock *db_lock_free(struct db_lock *l)
{
	if (l && l->lock)
		l->ops->lock_free(l->lock);
	free(l);
	return NULL;
}

int db_lock_hold(struct db_lock *l, bool *ret_held, bool *ret_anew, struct err *reterr)
{
	if (l->lock)
		return l->ops->lock_hold(l->lock, ret_held, ret_anew, reterr);
	*ret_held = true;
	*ret_anew = !l->asked;
	l->asked = true;
	return 0;
}

int db_backup(struct db *db, const char *path, struct err *reterr)
{
	if (!db->ops->backup)
		return err_set(reterr, WEIR_EREFUSED, "an online copy is for SQLite only: use pg_dump for PostgreSQL");
	return db->ops->backup(db->b, path, reterr);
}

/* --- migrations --- */

struct db_migrate_arg {
	const char                *room;
	const struct db_migration *m;
	int64_t                    number, known; /* 1-based; length of the list */
};

static int db_migrate_begin(struct db_tx *tx, void *arg UNUSED, struct err *reterr)
{
	struct buf sql CLEANUP_BUF = BUF_INIT(4096);
	int             rc = db_translate(&tx->db->ops->dialect,
	                                  "CREATE TABLE IF NOT EXISTS weir_migration (room @text@ NOT NULL, number @int@ NOT NULL,"
	                                  " name @text@ NOT NULL, digest @text@ NOT NULL, ran_at @int@ NOT NULL,"
	                                  " PRIMARY KEY (room, number)) @strict@", &sql, reterr);

	if (!rc)
		rc = tx->db->ops->script(tx, buf_z(&sql), reterr);
	return rc;
}

static int db_migrate_check_newer(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct db_migrate_arg *a = arg;
	int64_t                max;
	int rc = db_get_int(tx, reterr, &max, NULL, "SELECT COALESCE(MAX(number), 0) FROM weir_migration WHERE room = $1", "z", a->room);

	if (!rc && max > a->known)
		rc = err_set(reterr, WEIR_ECONFLICT,
		             "the database has migration %lld of %s, this program knows %lld: it was used by a newer version; start that one",
		             (long long)max, a->room, (long long)a->known);
	return rc;
}

static int db_migrate_run(struct db_tx *tx, const struct db_migrate_arg *a, const char *digest, struct err *reterr)
{
	struct buf sql CLEANUP_BUF = BUF_INIT(LIMIT_DB_SQL_BYTES);
	int             rc = db_translate(&tx->db->ops->dialect, a->m->sql, &sql, reterr);

	if (!rc)
		rc = tx->db->ops->script(tx, buf_z(&sql), reterr);
	if (!rc)
		rc = db_exec(tx, reterr, "INSERT INTO weir_migration (room, number, name, digest, ran_at) VALUES ($1, $2, $3, $4, $5)",
		             "zizzi", a->room, a->number, a->m->name, digest, (int64_t)clock_wall_now());
	return rc;
}

static int db_migrate_one(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct db_migrate_arg *a = arg;
	struct arena mem       CLEANUP_ARENA = ARENA_INIT(4096);
	char                   digest[SHA256_HEX];
	str                    had;
	bool                   found;
	int                    rc;

	sha256_hex(str_z(a->m->sql), digest);
	rc = db_get_str(tx, reterr, &mem, &had, &found, "SELECT digest FROM weir_migration WHERE room = $1 AND number = $2", "zi",
	                a->room, a->number);
	if (rc)
		return rc;
	if (!found)
		rc = db_migrate_run(tx, a, digest, reterr);
	else if (!str_eqz(had, digest))
		rc = err_set(reterr, WEIR_ECONFLICT, "its text differs from the one that ran before: migrations are never edited, add a new one");
	return rc ? err_wrap(reterr, "migration %lld of %s (%s)", (long long)a->number, a->room, a->m->name) : 0;
}

static int db_migrate_list(struct db *db, struct db_migrate_arg *arg, const struct db_migration *m, size_t n, struct err *reterr)
{
	int rc = db_write(db, db_migrate_begin, arg, reterr);

	if (!rc)
		rc = db_read(db, db_migrate_check_newer, arg, reterr);
	for (size_t i = 0; i < n && !rc; i++) {
		arg->m = &m[i];
		arg->number = (int64_t)i + 1;
		rc = db_write(db, db_migrate_one, arg, reterr);
	}
	return rc;
}

int db_migrate(struct db *db, const char *room, const struct db_migration *m, size_t n, struct err *reterr)
{
	struct db_migrate_arg arg = { .room = room, .known = (int64_t)n };
	void                 *lock = NULL;
	int                   rc = db->ops->migrate_begin ? db->ops->migrate_begin(db->b, &lock, reterr) : 0;

	if (rc)
		return rc;
	rc = db_migrate_list(db, &arg, m, n, reterr);
	if (db->ops->migrate_end)
		db->ops->migrate_end(lock);
	return rc;
}
