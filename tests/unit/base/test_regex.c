#include "lib/test.h"

#include "base/regex.h"

static struct err err;

static bool search(const char *pattern, str text)
{
	struct regex *r;
	bool is;

	assert_ok(regex_new(str_z(pattern), 1 << 20, &r, &err), &err);
	is = regex_search(r, text);
	regex_free(r);
	return is;
}

static void test_search_and_full(void **s UNUSED)
{
	struct regex *r;

	assert_true(search("b+c", STR("abbcd")));
	assert_false(search("^b", STR("abbcd")));
	assert_true(search("", STR("")));
	assert_true(search("^(a|\xf0\x9f\x98\x80){2}$", STR("\xf0\x9f\x98\x80\xf0\x9f\x98\x80")));
	assert_true(search("a.c", str_n("xa\0c", 4)));
	assert_false(search("x", STR_NULL));
	assert_ok(regex_new(STR("b+"), 1 << 20, &r, &err), &err);
	assert_true(regex_full(r, STR("bbb")));
	assert_false(regex_full(r, STR("bbbc")));
	assert_true(regex_size(r) > 0);
	assert_null(regex_free(r));
	assert_null(regex_free(NULL));
}

static void test_broken_patterns(void **s UNUSED)
{
	struct regex *r;

	assert_err(regex_new(STR("a("), 1 << 20, &r, &err), WEIR_EPARSE);
	assert_non_null(strstr(err.msg, "missing )"));
	assert_err(regex_new(STR("(?=a)"), 1 << 20, &r, &err), WEIR_EPARSE); /* what only backtracking engines have */
	assert_err(regex_new(STR("(a)\\1"), 1 << 20, &r, &err), WEIR_EPARSE);
	assert_err(regex_new(STR("a\xff"), 1 << 20, &r, &err), WEIR_EPARSE);
	assert_err(regex_new(STR("((a{100}){9})"), 4096, &r, &err), WEIR_ELIMIT);
	assert_non_null(strstr(err.msg, "4096"));
}

/* What takes exponential time where one goes back, over a text long enough to tell. */
static void test_linear(void **s UNUSED)
{
	static char text[100001];
	struct regex *r;

	memset(text, 'a', sizeof(text) - 1);
	assert_ok(regex_new(STR("^(a+)+$"), 1 << 20, &r, &err), &err);
	assert_true(regex_search(r, str_n(text, sizeof(text) - 1)));
	text[sizeof(text) - 2] = '!';
	assert_false(regex_search(r, str_n(text, sizeof(text) - 1)));
	regex_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_search_and_full), cmocka_unit_test(test_broken_patterns),
										cmocka_unit_test(test_linear) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
