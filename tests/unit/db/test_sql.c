#include "lib/test.h"
#include "db/backend.h"

static const struct db_dialect lite = { "INTEGER", "TEXT", "BLOB", "REAL", "STRICT", '?', { "json_each(", ")" }, { "json_extract(value, '$[", "]')" } };
static const struct db_dialect pg = { "BIGINT", "TEXT", "BYTEA", "DOUBLE PRECISION", "", '$', { "jsonb_array_elements(", "::jsonb) AS value" }, { "value->>", "" } };

static void translates(const struct db_dialect *d, const char *sql, const char *want)
{
	struct buf out CLEANUP_BUF = BUF_INIT(1000);
	struct err e = { 0 };

	assert_ok(db_translate(d, sql, &out, &e), &e);
	assert_string_equal(buf_z(&out), want);
}

static void test_translate(void **s UNUSED)
{
	translates(&lite, "SELECT $1, $12", "SELECT ?1, ?12");
	translates(&pg, "SELECT $1, $12", "SELECT $1, $12");
	translates(&lite, "CREATE TABLE a (b @int@, c @text@, d @blob@, e @real@) @strict@",
	           "CREATE TABLE a (b INTEGER, c TEXT, d BLOB, e REAL) STRICT");
	translates(&pg, "CREATE TABLE a (b @int@, d @blob@, e @real@) @strict@", "CREATE TABLE a (b BIGINT, d BYTEA, e DOUBLE PRECISION) ");
	translates(&lite, "SELECT '$1 @int@ ''$2', \"$3\", $4", "SELECT '$1 @int@ ''$2', \"$3\", ?4");
	translates(&lite, "SELECT 1 -- $1 @x@\n, $2 /* $3 @y */ + $4", "SELECT 1 -- $1 @x@\n, ?2 /* $3 @y */ + ?4");
	translates(&lite, "SELECT 'open $1", "SELECT 'open $1");
	translates(&lite, "SELECT $0, $", "SELECT $0, $");
	translates(&lite, "SELECT r.a FROM @rows:2:a,b@ AS r", "SELECT r.a FROM (SELECT json_extract(value, '$[0]') AS \"a\", json_extract(value, '$[1]') AS \"b\" FROM json_each(?2)) AS r");
	translates(&pg, "SELECT r.a FROM @rows:2:a@ AS r", "SELECT r.a FROM (SELECT value->>0 AS \"a\" FROM jsonb_array_elements($2::jsonb) AS value) AS r");
}

static void test_unknown_token(void **s UNUSED)
{
	struct buf out CLEANUP_BUF = BUF_INIT(1000);
	struct err e = { 0 };

	assert_err(db_translate(&lite, "CREATE TABLE a (b @integer@)", &out, &e), WEIR_EINVAL);
	assert_non_null(strstr(e.msg, "@integer@"));
	assert_err(db_translate(&lite, "SELECT a @ b", &out, &e), WEIR_EINVAL);
	assert_err(db_translate(&lite, "SELECT * FROM @rows:x:a@", &out, &e), WEIR_EINVAL);
	assert_err(db_translate(&lite, "SELECT * FROM @rows:33:a@", &out, &e), WEIR_EINVAL);
	assert_err(db_translate(&lite, "SELECT * FROM @rows:1@", &out, &e), WEIR_EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_translate), cmocka_unit_test(test_unknown_token) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
