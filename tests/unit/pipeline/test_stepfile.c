/* test_stepfile.c - command files and workflow commands. */
#include "tests/lib/test.h"

#include "base/hash.h"
#include "pipeline/stepfile.h"

static int parse(const char *text, size_t n, struct kvs *k, struct arena *a, struct err *err)
{
	*k = (struct kvs){ 0 };
	arena_init(a, 1 << 20);
	return stepfile_parse(a, "$GITHUB_ENV", str_n(text, n), k, err);
}

static void good(const char *text, const char *key, const char *value)
{
	struct kvs   k;
	struct arena a;
	struct err   err;

	assert_ok(parse(text, strlen(text), &k, &a, &err), &err);
	assert_non_null(kvs_get(&k, str_z(key)));
	assert_str(kvs_get(&k, str_z(key))->value, value);
	kvs_fini(&k);
	arena_fini(&a);
}

static void bad(const char *text, size_t n, const char *message)
{
	struct kvs   k;
	struct arena a;
	struct err   err = { 0 };

	assert_err(parse(text, n, &k, &a, &err), WEIR_EPARSE);
	if (!strstr(err.msg, message))
		fail_msg("expected '%s' in '%s'", message, err.msg);
	kvs_fini(&k);
	arena_fini(&a);
}

static void test_values(void **state)
{
	(void)state;
	good("A=b\n", "A", "b");
	good("A=b=c\n\nB=\n", "A", "b=c");
	good("B=\n", "B", "");
	good("A<<EOF\none\ntwo\nEOF\n", "A", "one\ntwo");
	good("A<<EOF\r\none\r\nEOF\r\n", "A", "one");
	good("A<<E\nE\n", "A", "");
	good("A=x<<y\n", "A", "x<<y"); /* '=' comes first */
	good("A<<x=y\nv\nx=y\n", "A", "v");
	good("A=1\nA=2", "A", "2");
	good("A<<EOF\nB=evil\nEOF\n", "A", "B=evil"); /* a value cannot set another name */
}

static void test_refused(void **state)
{
	(void)state;
	bad("nonsense\n", 9, "$GITHUB_ENV:1: neither NAME=value");
	bad("A=1\n=x\n", 7, ":2: the name is empty");
	bad("A<<EOF\nnever", 12, ":1: the line 'EOF'");
	bad("A<<\nx", 5, "delimiter");
	bad("A=\xff\n", 4, "UTF-8");
	bad("A=\0b", 4, "UTF-8");
}

static void test_env_names(void **state)
{
	static const char *const no[] = { "NODE_OPTIONS", "node_options", "GITHUB_TOKEN", "github_sha", "RUNNER_TEMP", "WEIR_TOKEN_FILE", "CI", "", "A=B" };
	static const char *const yes[] = { "PATH", "FOO", "MY_GITHUB", "NODE_ENV", "LD_LIBRARY_PATH" };
	struct err               err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(no); i++)
		assert_err(stepfile_env_allowed(str_z(no[i]), &err), WEIR_EREFUSED);
	for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
		assert_ok(stepfile_env_allowed(str_z(yes[i]), &err), &err);
}

static void test_commands(void **state)
{
	struct arena   a = ARENA_INIT(1 << 20);
	struct stepcmd c;

	(void)state;
	assert_true(stepcmd_parse(&a, STR("  ::error file=a.js,line=1,title=x%2Cy%3A%25::bad%0Athing%3A\n"), &c));
	assert_str(c.name, "error");
	assert_str(stepcmd_prop(&c, "file"), "a.js");
	assert_str(stepcmd_prop(&c, "TITLE"), "x,y:%");
	assert_str(c.message, "bad\nthing%3A");
	assert_null(stepcmd_prop(&c, "col").ptr);
	assert_true(stepcmd_parse(&a, STR("::endgroup::"), &c));
	assert_int_equal(c.message.len, 0);
	assert_false(stepcmd_parse(&a, STR("text ::error::x"), &c));
	assert_false(stepcmd_parse(&a, STR("::error"), &c));
	assert_false(stepcmd_parse(&a, STR("::::"), &c));
	arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_values), cmocka_unit_test(test_refused), cmocka_unit_test(test_env_names),
		                                cmocka_unit_test(test_commands) };

	base_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
