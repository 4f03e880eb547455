#include "lib/test.h"
#include "base/fs.h"
#include "cli/settings.h"

#include <unistd.h>

static char dir[4096], file[4200];

static int group_setup(void **s UNUSED)
{
	for (size_t i = 0; i < settings_n; i++)
		unsetenv(settings_table[i].env);
	unsetenv("WEIR_CONFIG");
	if (fs_temp_dir("weir-settings-", dir, sizeof(dir), NULL) || chdir(dir))
		return -1;
	snprintf(file, sizeof(file), "%s/etc.yaml", dir);
	return setenv("HOME", dir, 1);
}

static int group_teardown(void **s UNUSED) { return chdir("/") || fs_remove_tree(dir, NULL); }

static int load(const char *text, const char *const *flags, struct arena *a, struct settings *ret, struct err *e)
{
	if (text && fs_write_quick(file, str_z(text), 0644, e))
		return -WEIR_EIO;
	return settings_load(a, text ? file : NULL, flags, ret, e);
}

static void test_flag_over_environment_over_file_over_default(void **st UNUSED)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(1 << 20);
	const char                *flags[32] = { NULL };
	struct settings            s;
	struct err                 e = { 0 };

	assert_ok(load(NULL, NULL, &a, &s, &e), &e);
	assert_string_equal(settings_get(&s, "listen"), "127.0.0.1:8420");
	assert_ok(load("listen: 127.0.0.1:1001\nhttp: 127.0.0.1:1002\nserver: http://a:1\n", NULL, &a, &s, &e), &e);
	assert_string_equal(settings_get(&s, "listen"), "127.0.0.1:1001");
	setenv("WEIR_LISTEN", "127.0.0.1:2001", 1);
	setenv("WEIR_HTTP", "127.0.0.1:2002", 1);
	flags[settings_find(STR("listen"))] = "127.0.0.1:3001";
	assert_ok(load("listen: 127.0.0.1:1001\nhttp: 127.0.0.1:1002\nserver: http://a:1\n", flags, &a, &s, &e), &e);
	assert_string_equal(settings_get(&s, "listen"), "127.0.0.1:3001");
	assert_string_equal(settings_get(&s, "http"), "127.0.0.1:2002");
	assert_string_equal(settings_get(&s, "server"), "http://a:1");
	assert_string_equal(s.source[settings_find(STR("listen"))], "flag");
	assert_string_equal(s.source[settings_find(STR("http"))], "environment");
	assert_string_equal(s.source[settings_find(STR("server"))], "weir.yaml");
	unsetenv("WEIR_LISTEN");
	unsetenv("WEIR_HTTP");
}

static void test_paths_count_from_the_file(void **st UNUSED)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(1 << 20);
	struct settings            s;
	struct err                 e = { 0 };
	char                       want[4300];

	assert_ok(load("data: things\n", NULL, &a, &s, &e), &e);
	snprintf(want, sizeof(want), "%s/things", dir);
	assert_string_equal(settings_get(&s, "data"), want);
}

static void test_problems_have_their_place(void **st UNUSED)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(1 << 20);
	struct settings            s;
	struct err                 e = { 0 };

	assert_err(load("data: x\nlisen: 127.0.0.1:1\n", NULL, &a, &s, &e), WEIR_EINVAL);
	assert_non_null(strstr(e.msg, "etc.yaml:2:1: unknown key 'lisen' (did you mean 'listen'?)"));
	assert_err(load("listen: nonsense\n", NULL, &a, &s, &e), WEIR_EINVAL);
	assert_non_null(strstr(e.msg, "etc.yaml:1:9:"));
	assert_err(load("runner-slots: 99999\n", NULL, &a, &s, &e), WEIR_EINVAL);
	assert_err(load("server: ftp://x\n", NULL, &a, &s, &e), WEIR_EINVAL);
	assert_err(load("listen: [1]\n", NULL, &a, &s, &e), WEIR_EINVAL);
	setenv("WEIR_HTTP", "x", 1);
	assert_err(load("data: x\n", NULL, &a, &s, &e), WEIR_EINVAL);
	assert_non_null(strstr(e.msg, "WEIR_HTTP"));
	unsetenv("WEIR_HTTP");
}

static void test_unknown_names_of_the_environment(void **st UNUSED)
{
	static const char *const known[] = { "WEIR_TOKEN", "WEIR_PUSH", "WEIR_CONFORMANCE", "WEIR_TEST_ANYTHING", "WEIR_STORY_KEEP", "WEIRD", "NOT_WEIR_X" };
	static const struct {
		const char *name, *says;
	} unknown[] = {
		{ "WEIR_LISEN", "the environment holds WEIR_LISEN, which weir does not know (did you mean WEIR_LISTEN?)" },
		{ "WEIR_TOKN", "(did you mean WEIR_TOKEN?)" },
		{ "WEIR_listen", "the environment holds WEIR_listen" },
		{ "WEIR_", "the environment holds WEIR_," },
		{ "WEIR_TEST", "the environment holds WEIR_TEST" },
		{ "WEIR_SOMETHING_ELSE", "`weir manual` lists what it obeys" },
	};
	CLEANUP_ARENA struct arena a = ARENA_INIT(1 << 20);
	struct settings            s;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		struct err e = { 0 };

		setenv(known[i], "s3cret", 1);
		assert_ok(load("data: x\n", NULL, &a, &s, &e), &e);
		unsetenv(known[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++) {
		struct err e = { 0 };

		setenv(unknown[i].name, "s3cret", 1);
		assert_err(load("data: x\n", NULL, &a, &s, &e), WEIR_EINVAL);
		if (!strstr(e.msg, unknown[i].says) || strstr(e.msg, "s3cret"))
			fail_msg("%s: %s", unknown[i].name, e.msg);
		assert_string_equal(settings_get(&s, "listen"), "127.0.0.1:8420"); /* for the hidden commands, which go on */
		unsetenv(unknown[i].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flag_over_environment_over_file_over_default),
		cmocka_unit_test(test_paths_count_from_the_file),
		cmocka_unit_test(test_problems_have_their_place),
		cmocka_unit_test(test_unknown_names_of_the_environment),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
