/* test_db.c - what every engine must do alike; runs on SQLite and on a PostgreSQL of its own. */
#include "lib/test.h"
#include "base/clock.h"
#include "base/fs.h"
#include "db/db.h"

#include <pthread.h>

static char        dir[256];
static char        url[512];

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

static void test_codes(void **s UNUSED)
{
	struct db    *db = fresh_db();
	struct err    e = { 0 };
	struct insert a = { 1, "a" }, same_id = { 1, "b" }, same_name = { 2, "a" }, check = { 1000000, "c" };

	assert_ok(db_write(db, insert_thing, &a, &e), &e);
	assert_err(db_write(db, insert_thing, &same_id, &e), WEIR_EEXIST);
	assert_err(db_write(db, insert_thing, &same_name, &e), WEIR_EEXIST);
	assert_err(db_write(db, insert_thing, &check, &e), WEIR_ECONFLICT);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_codes),
		cmocka_unit_test(test_many_writers),
	};
	struct err e = { 0 };
	int        rc;

	if (fs_temp_dir("weir-test-db", dir, sizeof(dir), &e))
		return 1;
	(void)snprintf(url, sizeof(url), "sqlite:%s/weir.db", dir);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	(void)!fs_remove_tree(dir, &e);
	return rc;
}
