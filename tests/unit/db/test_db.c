/* test_db.c - what every engine must do alike; runs on SQLite and on a PostgreSQL of its own. */
#include "engines.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/proc.h"
#include "db/db.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <errno.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>


static struct db *open_db(void)
{
	struct db *db = NULL;
	struct err e = { 0 };

	assert_ok(db_open(url, &db, &e), &e);
	return db;
}

static const struct db_migration migrations[] = {
	{ "create things", "CREATE TABLE thing (id @int@ NOT NULL PRIMARY KEY, name @text@ UNIQUE, data @blob@, share @real@,"
	                   " CHECK (id < 1000000)) @strict@; CREATE INDEX thing_share ON thing (share)" },
	{ "create parts", "CREATE TABLE part (thing @int@ NOT NULL REFERENCES thing (id), n @int@ NOT NULL, PRIMARY KEY (thing, n)) @strict@" },
};

static int wipe(struct db_tx *tx, void *arg UNUSED, struct err *reterr)
{
	int rc = db_exec(tx, reterr, "DELETE FROM part", "");

	return rc ? rc : db_exec(tx, reterr, "DELETE FROM thing", "");
}

static struct db *fresh_db(void)
{
	struct db *db = open_db();
	struct err e = { 0 };

	assert_ok(db_migrate(db, "test", migrations, ARRAY_SIZE(migrations), &e), &e);
	assert_ok(db_write(db, wipe, NULL, &e), &e);
	return db;
}

/* Runs a write whose body is a statement expression; `tx` and `reterr` are in scope. */
struct insert {
	int64_t     id;
	const char *name;
	bool        fail_after;
};
static int insert_thing(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct insert *in = arg;
	int rc = db_exec(tx, reterr, "INSERT INTO thing (id, name) VALUES ($1, $2)", "iz", in->id, in->name);

	if (!rc && in->fail_after)
		return err_set(reterr, WEIR_EREFUSED, "as asked");
	return rc;
}
static int count_things(struct db_tx *tx, void *arg, struct err *reterr)
{
	return db_get_int(tx, reterr, arg, NULL, "SELECT COUNT(*) FROM thing", "");
}
static int64_t count(struct db *db)
{
	struct err e = { 0 };
	int64_t    n = -1;

	assert_ok(db_read(db, count_things, &n, &e), &e);
	return n;
}

static int roundtrip(struct db_tx *tx, void *arg UNUSED, struct err *reterr)
{
	struct db_rows *rows CLEANUP_ROWS = NULL;
	int64_t              n;
	int                  rc = db_exec_n(tx, reterr, &n, "INSERT INTO thing (id, name, data, share) VALUES ($1, $2, $3, $4), ($5, $6, $7, $8)",
	                                    "isbdiznn", INT64_MIN, STR("it's \"$1\" \xc3\xa9"), str_n("\0\x01\xff", 3), 0.1, (int64_t)7, NULL);

	assert_ok(rc, reterr);
	assert_int_equal(n, 2);
	assert_ok(db_query(tx, reterr, &rows, "SELECT id, name, data, share, 'a$1@int@' FROM thing WHERE id < $1 ORDER BY id", "i",
	                   (int64_t)100), reterr);
	assert_int_equal(db_next(rows, reterr), 1);
	assert_true(db_int(rows, 0) == INT64_MIN);
	assert_str(db_str(rows, 1), "it's \"$1\" \xc3\xa9");
	assert_true(str_eq(db_str(rows, 2), str_n("\0\x01\xff", 3)));
	assert_true(db_real(rows, 3) == 0.1);
	assert_str(db_str(rows, 4), "a$1@int@");
	assert_false(db_null(rows, 1));
	assert_int_equal(db_next(rows, reterr), 1);
	assert_int_equal(db_int(rows, 0), 7);
	assert_true(db_null(rows, 1) && db_null(rows, 2) && db_null(rows, 3));
	assert_null(db_str(rows, 1).ptr);
	assert_int_equal(db_int(rows, 1), 0);
	assert_int_equal(db_next(rows, reterr), 0);
	assert_int_equal(db_next(rows, reterr), 0);
	return 0;
}

static void test_values(void **s UNUSED)
{
	struct db *db = fresh_db();
	struct err e = { 0 };

	assert_ok(db_write(db, roundtrip, NULL, &e), &e);
	db_close(db);
}

static int orphan_part(struct db_tx *tx, void *arg UNUSED, struct err *reterr)
{
	return db_exec(tx, reterr, "INSERT INTO part (thing, n) VALUES (77, 1)", "");
}

static void test_codes(void **s UNUSED)
{
	struct db    *db = fresh_db();
	struct err    e = { 0 };
	struct insert a = { 1, "a" }, same_id = { 1, "b" }, same_name = { 2, "a" }, check = { 1000000, "c" };

	assert_ok(db_write(db, insert_thing, &a, &e), &e);
	assert_err(db_write(db, insert_thing, &same_id, &e), WEIR_EEXIST);
	assert_err(db_write(db, insert_thing, &same_name, &e), WEIR_EEXIST);
	assert_err(db_write(db, insert_thing, &check, &e), WEIR_ECONFLICT);
	assert_err(db_write(db, orphan_part, NULL, &e), WEIR_ECONFLICT);
	assert_int_equal(count(db), 1);
	db_close(db);
}

struct many {
	struct db *db;
	int64_t    base, n, ok, refused;
};
static void *insert_many(void *arg)
{
	struct many *m = arg;

	for (int64_t i = 0; i < m->n; i++) {
		struct insert in = { m->base + i, NULL, i % 5 == 4 };
		struct err    e = { 0 };
		int           rc = db_write(m->db, insert_thing, &in, &e);

		m->ok += rc == 0;
		m->refused += rc == -WEIR_EREFUSED;
	}
	return NULL;
}

static void test_many_writers(void **s UNUSED)
{
	enum { THREADS = 16, EACH = 50 };
	struct db  *db = fresh_db();
	struct many m[THREADS];
	pthread_t   t[THREADS];

	for (int i = 0; i < THREADS; i++) {
		m[i] = (struct many){ db, i * 1000, EACH, 0, 0 };
		assert_int_equal(pthread_create(&t[i], NULL, insert_many, &m[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(t[i], NULL);
		assert_int_equal(m[i].ok, EACH * 4 / 5);
		assert_int_equal(m[i].refused, EACH / 5);
	}
	assert_int_equal(count(db), THREADS * EACH * 4 / 5);
	db_close(db);
}


static void test_reopen(void **s UNUSED)
{
	struct db    *db = fresh_db();
	struct err    e = { 0 };
	struct insert in = { 3, "kept", false };

	assert_ok(db_write(db, insert_thing, &in, &e), &e);
	db_close(db);
	db = open_db();
	assert_int_equal(count(db), 1);
	db_close(db);
}

static void test_migrations(void **s UNUSED)
{
	struct db          *db = fresh_db();
	struct err          e = { 0 };
	struct db_migration edited[] = { migrations[0], { "create parts", "CREATE TABLE part (thing @int@) @strict@" } };
	struct db_migration broken[] = { { "bad", "CREATE TABLE other (a @int@) @strict@; INSERT INTO nowhere VALUES (1)" } };
	struct db_migration good[] = { { "good", "CREATE TABLE other (a @int@) @strict@" } };

	assert_ok(db_migrate(db, "test", migrations, ARRAY_SIZE(migrations), &e), &e); /* again: nothing to do */
	assert_err(db_migrate(db, "test", edited, 2, &e), WEIR_ECONFLICT);
	assert_non_null(strstr(e.msg, "migration 2 of test (create parts)"));
	assert_err(db_migrate(db, "test", migrations, 1, &e), WEIR_ECONFLICT); /* an older program */
	assert_true(db_migrate(db, "half", broken, 1, &e) < 0);
	assert_ok(db_migrate(db, "half", good, 1, &e), &e); /* nothing of the broken one is left */
	db_close(db);
}

/* --- what a function may not do --- */

static int nested(struct db_tx *tx UNUSED, void *arg, struct err *reterr)
{
	return db_write(arg, wipe, NULL, reterr);
}
static int nested_read(struct db_tx *tx UNUSED, void *arg, struct err *reterr)
{
	int64_t n;

	return db_read(arg, count_things, &n, reterr);
}
static int swallow(struct db_tx *tx, void *arg UNUSED, struct err *reterr UNUSED)
{
	struct err e = { 0 };

	assert_ok(db_exec(tx, &e, "INSERT INTO thing (id) VALUES (1)", ""), &e);
	assert_err(db_exec(tx, &e, "INSERT INTO thing (id) VALUES (1)", ""), WEIR_EEXIST);
	assert_err(db_exec(tx, &e, "INSERT INTO thing (id) VALUES (2)", ""), WEIR_EINTERNAL);
	return 0;
}
static int two_open(struct db_tx *tx, void *arg UNUSED, struct err *reterr)
{
	struct db_rows *a CLEANUP_ROWS = NULL;
	struct db_rows *b CLEANUP_ROWS = NULL;
	int             rc;

	assert_ok(db_exec(tx, reterr, "INSERT INTO thing (id) VALUES (1), (2)", ""), reterr);
	assert_ok(db_query(tx, reterr, &a, "SELECT id FROM thing", ""), reterr);
	while ((rc = db_next(a, reterr)) == 1)
		assert_true(db_int(a, 0) > 0);
	assert_int_equal(rc, 0);
	assert_ok(db_query(tx, reterr, &b, "SELECT id FROM thing", ""), reterr); /* the first was read to its end */
	assert_int_equal(db_next(b, reterr), 1);
	return db_exec(tx, reterr, "DELETE FROM thing", "");
}
static int write_in_read(struct db_tx *tx, void *arg UNUSED, struct err *reterr)
{
	return db_exec(tx, reterr, "DELETE FROM thing", "");
}
static int bad_text(struct db_tx *tx, void *arg, struct err *reterr)
{
	return db_exec(tx, reterr, "INSERT INTO thing (id, name) VALUES (1, $1)", "s", *(str *)arg);
}

static void test_misuse(void **s UNUSED)
{
	struct db *db = fresh_db();
	struct err e = { 0 };
	str        nul = STR("a\0b"), latin = STR("caf\xe9");

	assert_err(db_write(db, nested, db, &e), WEIR_EINTERNAL);
	assert_err(db_write(db, nested_read, db, &e), WEIR_EINTERNAL);
	assert_err(db_read(db, nested_read, db, &e), WEIR_EINTERNAL);
	assert_err(db_write(db, swallow, NULL, &e), WEIR_EINTERNAL);
	assert_err(db_write(db, two_open, NULL, &e), WEIR_EINTERNAL);
	assert_non_null(strstr(e.msg, "still open"));
	assert_err(db_read(db, write_in_read, NULL, &e), WEIR_EPERM);
	assert_err(db_write(db, bad_text, &nul, &e), WEIR_EINVAL);
	assert_err(db_write(db, bad_text, &latin, &e), WEIR_EINVAL);
	assert_int_equal(count(db), 0);
	db_close(db);
}

static int get_helpers(struct db_tx *tx, void *arg UNUSED, struct err *reterr)
{
	struct arena a CLEANUP_ARENA = ARENA_INIT(1000);
	int64_t        n = 9;
	str            t = STR("x");
	bool           found = true;

	assert_ok(db_get_int(tx, reterr, &n, &found, "SELECT id FROM thing WHERE id = $1", "i", (int64_t)5), reterr);
	assert_false(found);
	assert_int_equal(n, 0);
	assert_err(db_get_int(tx, reterr, &n, NULL, "SELECT id FROM thing WHERE id = $1", "i", (int64_t)5), WEIR_ENOENT);
	assert_ok(db_exec(tx, reterr, "INSERT INTO thing (id, name) VALUES (5, 'five'), (6, NULL)", ""), reterr);
	assert_ok(db_get_str(tx, reterr, &a, &t, NULL, "SELECT name FROM thing WHERE id = $1", "i", (int64_t)5), reterr);
	assert_str(t, "five");
	assert_ok(db_get_str(tx, reterr, &a, &t, &found, "SELECT name FROM thing WHERE id = $1", "i", (int64_t)6), reterr);
	assert_true(found);
	assert_null(t.ptr);
	assert_ok(db_get_int(tx, reterr, &n, NULL, "UPDATE thing SET share = 0.5 WHERE id = 5 RETURNING id", ""), reterr);
	assert_int_equal(n, 5);
	assert_ok(db_get_int(tx, reterr, &n, NULL, "SELECT name = 'five' FROM thing WHERE id = 5", ""), reterr);
	assert_int_equal(n, 1);
	assert_ok(db_exec_n(tx, reterr, &n, "UPDATE thing SET share = 1.5 WHERE id > $1", "i", (int64_t)100), reterr);
	assert_int_equal(n, 0);
	return 0;
}

static void test_get_helpers(void **s UNUSED)
{
	struct db *db = fresh_db();
	struct err e = { 0 };

	assert_ok(db_write(db, get_helpers, NULL, &e), &e);
	db_close(db);
}

static int order_of_bytes(struct db_tx *tx, void *arg UNUSED, struct err *reterr)
{
	struct db_rows *rows CLEANUP_ROWS = NULL;
	static const char *want[] = { "B", "a", "a-b", "ab", "\xc3\xa4" };

	assert_ok(db_exec(tx, reterr, "INSERT INTO thing (id, name) VALUES (1, 'ab'), (2, 'B'), (3, 'a-b'), (4, 'a'), (5, $1)", "z", want[4]), reterr);
	assert_ok(db_query(tx, reterr, &rows, "SELECT name FROM thing ORDER BY name", ""), reterr);
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		assert_int_equal(db_next(rows, reterr), 1);
		assert_str(db_str(rows, 0), want[i]);
	}
	return 0;
}

static void test_order(void **s UNUSED)
{
	struct db *db = fresh_db();
	struct err e = { 0 };

	assert_ok(db_write(db, order_of_bytes, NULL, &e), &e);
	db_close(db);
}

/* --- a read sees one moment, whatever is written meanwhile --- */

struct moment {
	struct db *other;
	int64_t    before, after;
};
static int look_twice(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct moment *m = arg;
	struct insert  in = { 50, "meanwhile", false };
	int            rc = count_things(tx, &m->before, reterr);

	if (!rc)
		rc = db_write(m->other, insert_thing, &in, reterr);
	return rc ? rc : count_things(tx, &m->after, reterr);
}

static void test_snapshot(void **s UNUSED)
{
	struct db    *db = fresh_db(), *other = open_db();
	struct err    e = { 0 };
	struct moment m = { other, -1, -1 };

	assert_ok(db_read(db, look_twice, &m, &e), &e);
	assert_int_equal(m.before, 0);
	assert_int_equal(m.after, 0);
	for (int i = 0; i < 300 && count(db) != 1; i++) /* another handle on a SQLite file is another program: see db.h */
		clock_sleep_ms(10);
	assert_int_equal(count(db), 1);
	db_close(other);
	db_close(db);
}

static int count_into(struct db_tx *tx, void *arg, struct err *reterr)
{
	return db_get_int(tx, reterr, arg, NULL, "SELECT COUNT(*) FROM thing", "");
}
static int add_thing(struct db_tx *tx, void *arg UNUSED, struct err *reterr) { return db_exec(tx, reterr, "INSERT INTO thing (id) VALUES (77)", ""); }

static void test_read_one(void **s UNUSED)
{
	struct db *db = fresh_db();
	struct err e = { 0 };
	int64_t    before = -1, after = -1;

	assert_ok(db_read_one(db, count_into, &before, &e), &e);
	assert_ok(db_write(db, add_thing, NULL, &e), &e);
	assert_ok(db_read_one(db, count_into, &after, &e), &e); /* no old snapshot is kept */
	assert_int_equal(after, before + 1);
	assert_int_not_equal(db_read_one(db, add_thing, NULL, &e), 0); /* it is for reading */
	db_close(db);
}

/* --- a counter that many raise: nobody's step is lost --- */

static int raise_counter(struct db_tx *tx, void *arg UNUSED, struct err *reterr)
{
	int64_t n;
	int     rc = db_get_int(tx, reterr, &n, NULL, "SELECT n FROM part WHERE thing = 1", "");

	return rc ? rc : db_exec(tx, reterr, "UPDATE part SET n = $1 WHERE thing = 1", "i", n + 1); /* read, then write: the classic */
}
static int make_counter(struct db_tx *tx, void *arg UNUSED, struct err *reterr)
{
	int rc = db_exec(tx, reterr, "INSERT INTO thing (id) VALUES (1)", "");

	return rc ? rc : db_exec(tx, reterr, "INSERT INTO part (thing, n) VALUES (1, 0)", "");
}
static int get_counter(struct db_tx *tx, void *arg, struct err *reterr)
{
	return db_get_int(tx, reterr, arg, NULL, "SELECT n FROM part", "");
}
static void *raise_many(void *arg)
{
	struct many *m = arg;

	for (int64_t i = 0; i < m->n; i++)
		m->ok += db_write(m->db, raise_counter, NULL, NULL) == 0;
	return NULL;
}

static void test_counter(void **s UNUSED)
{
	enum { THREADS = 8, EACH = 20 };
	struct db  *db = fresh_db();
	struct err  e = { 0 };
	struct many m[THREADS];
	pthread_t   t[THREADS];
	int64_t     n, ok = 0;

	assert_ok(db_write(db, make_counter, NULL, &e), &e);
	for (int i = 0; i < THREADS; i++) {
		m[i] = (struct many){ db, 0, EACH, 0, 0 };
		assert_int_equal(pthread_create(&t[i], NULL, raise_many, &m[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(t[i], NULL);
		ok += m[i].ok;
	}
	assert_ok(db_read(db, get_counter, &n, &e), &e);
	assert_int_equal(ok, THREADS * EACH);
	assert_int_equal(n, ok);
	db_close(db);
}

/* --- readers see what was written before they began --- */

static int share_begin(struct db_tx *tx, void *arg UNUSED, struct err *reterr)
{
	return db_exec(tx, reterr, "INSERT INTO thing (id, share) VALUES (1, 0)", "");
}
static int raise_share(struct db_tx *tx, void *arg UNUSED, struct err *reterr)
{
	return db_exec(tx, reterr, "UPDATE thing SET share = share + 1 WHERE id = 1", "");
}
struct watcher {
	struct db            *db;
	pthread_t             thread;
	bool                  one;
	atomic_int_fast64_t  *newest; /* that anyone has seen */
	atomic_bool          *over;
	int                   late, reads;
};
static int share_now(struct db_tx *tx, void *arg, struct err *reterr)
{
	return db_get_int(tx, reterr, arg, NULL, "SELECT share FROM thing WHERE id = 1", "");
}
static void *watch(void *arg)
{
	struct watcher *w = arg;
	struct err      e = { 0 };

	while (!atomic_load(w->over)) {
		int64_t             seen = -1;
		int_fast64_t        was = atomic_load(w->newest);

		if ((w->one ? db_read_one : db_read)(w->db, share_now, &seen, &e) || seen < was)
			w->late++;
		w->reads++;
		while (seen > was && !atomic_compare_exchange_weak(w->newest, &was, seen))
			;
	}
	return NULL;
}

/* Whatever one reader has seen, and whatever a writer was told, every read that begins later sees too. */
static void test_reads_never_go_back(void **s UNUSED)
{
	struct db          *db = fresh_db();
	atomic_int_fast64_t newest = 0;
	atomic_bool         over = false;
	struct watcher      w[4];
	struct err          e = { 0 };

	assert_ok(db_write(db, share_begin, NULL, &e), &e);
	for (size_t i = 0; i < ARRAY_SIZE(w); i++) {
		w[i] = (struct watcher){ .db = db, .one = i % 2, .newest = &newest, .over = &over };
		assert_int_equal(pthread_create(&w[i].thread, NULL, watch, &w[i]), 0);
	}
	for (int64_t i = 1; i <= 300; i++) {
		int_fast64_t was = atomic_load(&newest);

		assert_ok(db_write(db, raise_share, NULL, &e), &e);
		while (i > was && !atomic_compare_exchange_weak(&newest, &was, i))
			;
	}
	atomic_store(&over, true);
	for (size_t i = 0; i < ARRAY_SIZE(w); i++) {
		pthread_join(w[i].thread, NULL);
		assert_int_equal(w[i].late, 0);
		assert_true(w[i].reads > 0);
	}
	db_close(db);
}

static int write_much(struct db_tx *tx, void *arg, struct err *reterr)
{
	char data[50000];

	memset(data, *(int *)arg, sizeof(data)); /* SQLite does not write pages that stay the same */
	return db_exec(tx, reterr, "UPDATE thing SET data = $1 WHERE id = 1", "b", str_n(data, sizeof(data)));
}

/* Readers that rest with their last snapshot must not keep SQLite from using its log of writes again; and they see what another program wrote. */
static void test_resting_readers(void **s UNUSED)
{
	struct db  *db = fresh_db(), *other;
	struct err  e = { 0 };
	struct stat st;
	int64_t     seen = 0;
	char        wal[300];

	if (!db_is_sqlite(db)) {
		db_close(db);
		skip();
	}
	assert_ok(db_write(db, share_begin, NULL, &e), &e);
	assert_ok(db_read(db, share_now, &seen, &e), &e);
	for (int i = 0; i < 2000; i++)
		assert_ok(db_write(db, write_much, &i, &e), &e);
	(void)snprintf(wal, sizeof(wal), "%s-wal", url + strlen("sqlite:"));
	assert_int_equal(stat(wal, &st), 0);
	assert_in_range(st.st_size, 1, 20 << 20); /* 100 MB were written */
	other = open_db();
	assert_ok(db_write(other, raise_share, NULL, &e), &e);
	db_close(other);
	for (int i = 0; i < 300 && !seen; i++) {
		assert_ok(db_read(db, share_now, &seen, &e), &e);
		clock_sleep_ms(10);
	}
	assert_int_equal(seen, 1);
	db_close(db);
}

/* --- writes that want the same row --- */

struct contender {
	struct db   *db;
	pthread_t    thread;
	bool         in_turn;
	int          sleep_ms, times; /* times 0: until `over` */
	int          done, errors;
	atomic_int  *inside, *most, *runs;
	atomic_bool *over;
};
static int contend_fn(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct contender *c = arg;
	int64_t           n;
	int               now = atomic_fetch_add(c->inside, 1) + 1, rc;

	atomic_fetch_add(c->runs, 1);
	if (now > atomic_load(c->most))
		atomic_store(c->most, now);
	rc = db_get_int(tx, reterr, &n, NULL, "SELECT share FROM thing WHERE id = 1", "");
	if (!rc && c->sleep_ms)
		clock_sleep_ms(c->sleep_ms);
	if (!rc)
		rc = db_exec(tx, reterr, "UPDATE thing SET share = $1 WHERE id = 1", "d", (double)(n + 1));
	atomic_fetch_sub(c->inside, 1);
	return rc;
}
static void *contend(void *arg)
{
	struct contender *c = arg;

	for (int i = 0; c->times ? i < c->times : !atomic_load(c->over); i++) {
		struct err e = { 0 };

		if (c->in_turn ? db_write_in_turn(c->db, contend_fn, c, &e) : db_write(c->db, contend_fn, c, &e)) {
			fprintf(stderr, "%s\n", e.msg);
			c->errors++;
		} else {
			c->done++;
		}
	}
	return NULL;
}

/* A write that takes long must not be taken back for ever by quick ones that come after it. */
static void test_slow_write_is_not_starved(void **s UNUSED)
{
	struct db       *db = fresh_db();
	atomic_int       inside = 0, most = 0, runs = 0;
	atomic_bool      over = false;
	struct contender quick[4], slow = { .db = db, .sleep_ms = 20, .times = 3, .inside = &inside, .most = &most, .runs = &runs, .over = &over };
	struct err       e = { 0 };
	int64_t          sum = 0, want;

	assert_ok(db_write(db, share_begin, NULL, &e), &e);
	for (size_t i = 0; i < ARRAY_SIZE(quick); i++) {
		quick[i] = (struct contender){ .db = db, .inside = &inside, .most = &most, .runs = &runs, .over = &over };
		assert_int_equal(pthread_create(&quick[i].thread, NULL, contend, &quick[i]), 0);
	}
	contend(&slow);
	atomic_store(&over, true);
	want = slow.done;
	for (size_t i = 0; i < ARRAY_SIZE(quick); i++) {
		pthread_join(quick[i].thread, NULL);
		assert_int_equal(quick[i].errors, 0);
		want += quick[i].done;
	}
	assert_int_equal(slow.errors, 0);
	assert_ok(db_read(db, share_now, &sum, &e), &e);
	assert_int_equal(sum, want); /* no write was lost */
	db_close(db);
}

/* Of two servers, only one function of db_write_in_turn() runs at a time, and none is taken back. */
static void test_in_turn(void **s UNUSED)
{
	struct db       *db[2] = { fresh_db(), NULL };
	atomic_int       inside = 0, most = 0, runs = 0;
	struct contender c[8];
	struct err       e = { 0 };
	int64_t          sum = 0;
	bool             two = !db_is_sqlite(db[0]);

	db[1] = two ? open_db() : db[0];
	assert_ok(db_write(db[0], share_begin, NULL, &e), &e);
	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		c[i] = (struct contender){ .db = db[i % 2], .in_turn = true, .sleep_ms = 1, .times = 15, .inside = &inside, .most = &most, .runs = &runs };
		assert_int_equal(pthread_create(&c[i].thread, NULL, contend, &c[i]), 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		pthread_join(c[i].thread, NULL);
		assert_int_equal(c[i].errors, 0);
	}
	assert_int_equal(most, 1);
	assert_int_equal(runs, 8 * 15);
	assert_ok(db_read(db[0], share_now, &sum, &e), &e);
	assert_int_equal(sum, 8 * 15);
	if (two)
		db_close(db[1]);
	db_close(db[0]);
}

/* --- notification --- */

static void on_notify(void *ctx) { atomic_fetch_add((atomic_int *)ctx, 1); }
static int notify_thing(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct insert *in = arg;
	int            rc = db_notify(tx, "thing_made", reterr);

	if (!rc)
		rc = db_notify(tx, "thing_made", reterr);
	return rc ? rc : insert_thing(tx, in, reterr);
}
static bool wait_for(atomic_int *n, int at_least)
{
	for (int i = 0; i < 5000 && atomic_load(n) < at_least; i++)
		clock_sleep_ms(1);
	return atomic_load(n) >= at_least;
}

static void test_notify(void **s UNUSED)
{
	struct db          *db = fresh_db(), *other = db_is_sqlite(db) ? db : open_db();
	struct err          e = { 0 };
	struct db_listener *l, *l2, *unrelated;
	atomic_int          n = 0, n2 = 0, none = 0;
	struct insert       ok = { 1, NULL, false }, fails = { 2, NULL, true }, later = { 3, NULL, false };

	assert_ok(db_listen(other, "thing_made", on_notify, &n, &l, &e), &e);
	assert_ok(db_listen(db, "thing_made", on_notify, &n2, &l2, &e), &e);
	assert_ok(db_listen(other, "something_else", on_notify, &none, &unrelated, &e), &e);
	assert_err(db_write(db, notify_thing, &fails, &e), WEIR_EREFUSED);
	assert_int_equal(atomic_load(&n), 0);
	assert_ok(db_write(db, notify_thing, &ok, &e), &e);
	assert_true(wait_for(&n, 1));
	assert_true(wait_for(&n2, 1));
	l = db_unlisten(l);
	n = 0;
	n2 = 0;
	assert_ok(db_write(db, notify_thing, &later, &e), &e);
	assert_true(wait_for(&n2, 1));
	assert_int_equal(atomic_load(&n), 0);
	assert_int_equal(atomic_load(&none), 0);
	db_unlisten(l2);
	db_unlisten(unrelated);
	if (other != db)
		db_close(other);
	db_close(db);
}

struct slow {
	atomic_int began, ended;
};
static void on_notify_slow(void *ctx)
{
	struct slow *s = ctx;

	atomic_fetch_add(&s->began, 1);
	clock_sleep_ms(100);
	atomic_fetch_add(&s->ended, 1);
}

/* After db_unlisten() returned, the callback's memory may go away. */
static void test_unlisten_waits(void **s UNUSED)
{
	struct db          *db = fresh_db();
	struct err          e = { 0 };
	struct db_listener *l;
	struct slow         slow = { 0 };
	struct insert       in = { 1, NULL, false };

	assert_ok(db_listen(db, "thing_made", on_notify_slow, &slow, &l, &e), &e);
	assert_ok(db_write(db, notify_thing, &in, &e), &e);
	assert_true(wait_for(&slow.began, 1));
	db_unlisten(l);
	assert_int_equal(atomic_load(&slow.began), atomic_load(&slow.ended));
	db_close(db);
}

/* --- crash: what was acknowledged is there --- */

static void child_writes(int fd)
{
	struct db *db = NULL;

	if (db_open(url, &db, NULL))
		_exit(1);
	for (int64_t i = 1;; i++) {
		struct insert in = { i, NULL, false };

		if (db_write(db, insert_thing, &in, NULL) || write(fd, &i, sizeof(i)) != sizeof(i))
			_exit(1);
	}
}
static int max_thing(struct db_tx *tx, void *arg, struct err *reterr)
{
	return db_get_int(tx, reterr, arg, NULL, "SELECT COALESCE(MAX(id), 0) FROM thing", "");
}

static void test_crash(void **s UNUSED)
{
	struct err e = { 0 };
	int64_t    acked = 0, max, n;

	db_close(fresh_db());
	for (int round = 0; round < 3; round++) {
		struct db *db = fresh_db();
		int        p[2];
		pid_t      pid;

		db_close(db);
		assert_int_equal(pipe(p), 0);
		pid = fork();
		if (!pid)
			child_writes(p[1]);
		assert_true(pid > 0);
		(void)close(p[1]);
		for (int i = 0; i < 100 + 37 * round; i++)
			assert_int_equal(read(p[0], &acked, sizeof(acked)), sizeof(acked));
		assert_int_equal(kill(pid, SIGKILL), 0);
		while (read(p[0], &n, sizeof(n)) == sizeof(n))
			acked = n;
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		(void)close(p[0]);
		db = open_db();
		assert_ok(db_read(db, max_thing, &max, &e), &e);
		assert_true(max >= acked);
		assert_int_equal(count(db), max); /* and no hole */
		db_close(db);
	}
}

/* --- SQLite only --- */

static int insert_big(struct db_tx *tx, void *arg, struct err *reterr)
{
	static char blob[200000];

	return db_exec(tx, reterr, "INSERT INTO thing (id, data) VALUES ($1, $2)", "ib", *(int64_t *)arg, str_n(blob, sizeof(blob)));
}

struct full_writer {
	struct db *db;
	int64_t    base, stored, full, other;
};
static void *fill_disk(void *arg)
{
	struct full_writer *w = arg;

	for (int64_t i = 0; i < 20; i++) {
		int64_t id = w->base + i;
		int     rc = db_write(w->db, insert_big, &id, NULL);

		w->stored += !rc;
		w->full += rc == -WEIR_ENOSPC || rc == -WEIR_EIO; /* SQLite does not always know EFBIG when it tells of it */
		w->other += rc && rc != -WEIR_ENOSPC && rc != -WEIR_EIO;
	}
	return NULL;
}

/* Writers on a full disk, then room again: exactly what was acknowledged is there. */
static void fill_and_check(struct db *db, void (*more_room)(void))
{
	enum { THREADS = 4 };
	struct err         e = { 0 };
	struct full_writer w[THREADS];
	pthread_t          t[THREADS];
	int64_t            stored = 0, full = 0, other = 0, id = 900;

	for (int i = 0; i < THREADS; i++) {
		w[i] = (struct full_writer){ db, i * 100, 0, 0, 0 };
		assert_int_equal(pthread_create(&t[i], NULL, fill_disk, &w[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(t[i], NULL);
		stored += w[i].stored;
		full += w[i].full;
		other += w[i].other;
	}
	more_room();
	assert_int_equal(other, 0);
	assert_true(stored > 0 && full > 0);
	assert_int_equal(count(db), stored);
	assert_ok(db_write(db, insert_big, &id, &e), &e);
	db_close(db);
	db = open_db();
	assert_int_equal(count(db), stored + 1);
	db_close(db);
}

static struct rlimit file_limit;
static void          no_file_limit(void)
{
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &file_limit), 0);
}

static void test_file_limit(void **s UNUSED)
{
	struct db    *db = fresh_db();
	struct rlimit small = { 3 << 20, RLIM_INFINITY };

	if (!db_is_sqlite(db)) {
		db_close(db);
		skip();
	}
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &file_limit), 0);
	small.rlim_max = file_limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	fill_and_check(db, no_file_limit);
}

static char small_dir[280];
static void larger_tmpfs(void)
{
	assert_int_equal(mount("tmpfs", small_dir, "tmpfs", MS_REMOUNT, "size=64m"), 0);
}

static void test_disk_full(void **s UNUSED)
{
	struct db *db = open_db();
	char       was[512];
	bool       lite = db_is_sqlite(db);

	db_close(db);
	if (!lite)
		skip();
	(void)snprintf(small_dir, sizeof(small_dir), "%s/small", dir);
	assert_int_equal(mkdir(small_dir, 0700), 0);
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("tmpfs", small_dir, "tmpfs", 0, "size=3m")) {
		printf("skipped: cannot mount a small file system here: %s\n", strerror(errno));
		skip();
	}
	(void)snprintf(was, sizeof(was), "%s", url);
	(void)snprintf(url, sizeof(url), "sqlite:%s/weir.db", small_dir);
	fill_and_check(fresh_db(), larger_tmpfs);
	(void)snprintf(url, sizeof(url), "%s", was);
	assert_int_equal(umount(small_dir), 0);
}

static void test_backup(void **s UNUSED)
{
	struct db    *db = fresh_db(), *copy;
	struct err    e = { 0 };
	struct insert in = { 1, "copied", false }, in2 = { 2, "later", false };
	char          path[300], copy_url[320];

	(void)snprintf(path, sizeof(path), "%s/copy.db", dir);
	if (!db_is_sqlite(db)) {
		assert_err(db_backup(db, path, &e), WEIR_EREFUSED);
		db_close(db);
		return;
	}
	assert_ok(db_write(db, insert_thing, &in, &e), &e);
	assert_ok(db_backup(db, path, &e), &e);
	assert_ok(db_write(db, insert_thing, &in2, &e), &e);
	assert_err(db_backup(db, path, &e), WEIR_EEXIST);
	db_close(db);
	(void)snprintf(copy_url, sizeof(copy_url), "sqlite:%s", path);
	assert_ok(db_open(copy_url, &copy, &e), &e);
	assert_int_equal(count(copy), 1);
	db_close(copy);
}

static void test_open_errors(void **s UNUSED)
{
	struct db *db;
	struct err e = { 0 };

	assert_err(db_open("mysql://x", &db, &e), WEIR_EINVAL);
	assert_err(db_open("sqlite:", &db, &e), WEIR_EINVAL);
	assert_err(db_open("sqlite:/nonexistent/folder/x.db", &db, &e), WEIR_EIO);
	assert_non_null(strstr(e.msg, "/nonexistent/folder/x.db"));
	assert_err(db_open("postgresql://u:s3cr%et@localhost/x", &db, &e), WEIR_EINVAL);
	assert_null(strstr(e.msg, "s3cr"));
	assert_err(db_open("postgresql://u:s3cret@127.0.0.1:1/x", &db, &e), WEIR_EUNAVAIL);
	assert_null(strstr(e.msg, "s3cret"));
}

/* --- PostgreSQL only: the server goes away and comes back --- */

static void test_restart(void **s UNUSED)
{
	struct db          *db = fresh_db();
	struct err          e = { 0 };
	struct db_listener *l;
	struct insert       in = { 1, NULL, false }, in2 = { 2, NULL, false };
	atomic_int          n = 0;

	if (db_is_sqlite(db)) {
		db_close(db);
		skip();
	}
	assert_ok(db_listen(db, "thing_made", on_notify, &n, &l, &e), &e);
	assert_ok(db_write(db, notify_thing, &in, &e), &e);
	assert_true(wait_for(&n, 1));
	assert_ok(pg_test_restart(&pg, &e), &e);
	assert_int_equal(count(db), 1);                         /* stale read connections are replaced */
	assert_ok(db_write(db, notify_thing, &in2, &e), &e);     /* stale write connections too */
	n = 0;
	for (int64_t i = 10; i < 300 && !atomic_load(&n); i++) { /* the listener comes back within a second */
		struct insert more = { i, NULL, false };

		assert_ok(db_write(db, notify_thing, &more, &e), &e);
		clock_sleep_ms(20);
	}
	assert_true(atomic_load(&n) > 0);
	db_unlisten(l);
	db_close(db);
}

/* Many rows in one statement: texts of every kind come out as they went in, and a list tells when it is full. */
static int rows_tx(struct db_tx *tx, void *arg UNUSED, struct err *reterr)
{
	static const char *const names[] = { "plain", "quote \" and \\ and '", "line\nend\ttab", "\xc3\xa9\xe4\xb8\xad \xf0\x9f\x98\x80", "\\u0000 {\"a\":[1]}", "" };
	struct db_list           l;
	struct db_rows          *rows;
	str                      param;
	size_t                   n = 0;
	int                      rc;

	db_list_init(&l);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char id[24];

		snprintf(id, sizeof(id), "%zu", i);
		db_list_add(&l, (str[]){ str_z(id), str_z(names[i]), i == 2 ? STR_NULL : STR("7") }, 3);
	}
	rc = db_list_end(&l, &param, reterr);
	if (!rc)
		rc = db_exec(tx, reterr, "INSERT INTO thing (id, name, share) SELECT CAST(r.id AS @int@), r.name, CAST(r.share AS @real@) FROM @rows:1:id,name,share@ AS r", "s", param);
	if (!rc)
		rc = db_query(tx, reterr, &rows, "SELECT name, share FROM thing ORDER BY id", "");
	while (!rc && (rc = db_next(rows, reterr)) > 0) {
		assert_str(db_str(rows, 0), names[n]);
		assert_int_equal(db_null(rows, 1), n == 2);
		rc = 0;
		n++;
	}
	assert_int_equal(n, ARRAY_SIZE(names));
	db_rows_close(rows);
	db_list_clear(&l);
	if (!rc)
		rc = db_list_end(&l, &param, reterr);
	if (!rc)
		rc = db_exec(tx, reterr, "DELETE FROM thing WHERE name IN (SELECT r.a FROM @rows:1:a@ AS r)", "s", param); /* of nothing */
	db_list_fini(&l);
	return rc;
}

static void test_rows(void **s UNUSED)
{
	struct db     *db = fresh_db();
	struct err     e = { 0 };
	struct db_list l;
	size_t         n = 0;

	assert_ok(db_write(db, rows_tx, NULL, &e), &e);
	assert_int_equal(count(db), 6);
	db_close(db);
	db_list_init(&l);
	assert_true(db_list_fits(&l, 10 * LIMIT_DB_LIST_BYTES)); /* a single row may be large */
	for (; db_list_fits(&l, 1); n++)
		db_list_add(&l, (str[]){ STR("x") }, 1);
	assert_int_equal(n, LIMIT_DB_LIST_ROWS);
	db_list_clear(&l);
	db_list_add(&l, (str[]){ STR("x") }, 1);
	assert_false(db_list_fits(&l, LIMIT_DB_LIST_BYTES));
	db_list_fini(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),       cmocka_unit_test(test_codes),    cmocka_unit_test(test_many_writers),
		cmocka_unit_test(test_reopen),       cmocka_unit_test(test_migrations), cmocka_unit_test(test_misuse),
		cmocka_unit_test(test_get_helpers),  cmocka_unit_test(test_order),    cmocka_unit_test(test_snapshot),
		cmocka_unit_test(test_read_one),     cmocka_unit_test(test_rows),
		cmocka_unit_test(test_counter), cmocka_unit_test(test_reads_never_go_back), cmocka_unit_test(test_resting_readers), cmocka_unit_test(test_slow_write_is_not_starved), cmocka_unit_test(test_in_turn),      cmocka_unit_test(test_notify),   cmocka_unit_test(test_unlisten_waits),   cmocka_unit_test(test_crash),
		cmocka_unit_test(test_disk_full),   cmocka_unit_test(test_file_limit),    cmocka_unit_test(test_backup),   cmocka_unit_test(test_open_errors),
		cmocka_unit_test(test_restart),
	};

	run_on_both_engines(tests);
}
