#include "lib/test.h"

static void test_numbers(void **s UNUSED)
{
	int64_t  i;
	uint64_t u;
	double   d;

	assert_true(str_to_i64(STR("-9223372036854775808"), &i));
	assert_true(i == INT64_MIN);
	assert_false(str_to_i64(STR("9223372036854775808"), &i));
	assert_true(str_to_u64(STR("18446744073709551615"), &u));
	assert_false(str_to_u64(STR("18446744073709551616"), &u));
	assert_false(str_to_u64(STR(""), &u));
	assert_false(str_to_i64(STR("-"), &i));
	assert_false(str_to_i64(STR("1 "), &i));
	assert_true(str_to_double(STR("1.5e3"), &d));
	assert_true(d == 1500.0);
	assert_false(str_to_double(STR("inf"), &d));
	assert_false(str_to_double(STR("0x10"), &d));
	assert_false(str_to_double(STR("1.5x"), &d));
}

static void test_slices(void **s UNUSED)
{
	str left, right;

	assert_true(str_cut(STR("a=b=c"), '=', &left, &right));
	assert_str(left, "a");
	assert_str(right, "b=c");
	assert_false(str_cut(STR("abc"), '=', &left, &right));
	assert_str(left, "abc");
	assert_int_equal(right.len, 0);
	assert_str(str_trim(STR(" \t x y\n")), "x y");
	assert_str(str_sub(STR("hello"), 3, 99), "lo");
	assert_int_equal(str_sub(STR("hello"), 9, 9).len, 0);
	assert_true(str_contains(STR("hello"), STR("ell")));
	assert_true(str_eq_nocase(STR("HeLLo"), STR("hEllO")));
	assert_true(str_cmp(STR("a"), STR("ab")) < 0);
}

static void test_utf8(void **s UNUSED)
{
	assert_true(str_utf8_valid(STR("gr\xc3\xbc\xc3\x9f \xf0\x9f\x8c\x8a")));
	assert_false(str_utf8_valid(STR("\xc0\xaf")));
	assert_false(str_utf8_valid(STR("\xed\xa0\x80")));
	assert_false(str_utf8_valid(STR("\xf4\x90\x80\x80")));
	assert_false(str_utf8_valid(STR("\xe2\x82")));
}

static void test_distance(void **s UNUSED)
{
	assert_int_equal(str_distance(STR("heath"), STR("health"), 9), 1);
	assert_int_equal(str_distance(STR("needs"), STR("nedes"), 9), 1);
	assert_int_equal(str_distance(STR("abc"), STR("xyz"), 9), 3);
	assert_int_equal(str_distance(STR("abcdef"), STR("uvwxyz"), 2), 3);
	assert_int_equal(str_distance(STR(""), STR("ab"), 9), 2);
}

static void test_buf_limit_sticks(void **s UNUSED)
{
	CLEANUP_BUF struct buf b = BUF_INIT(8);
	struct err             e = { 0 };

	buf_addz(&b, "1234567");
	buf_addf(&b, "%d", 89);
	buf_addc(&b, 'x');
	assert_str(buf_str(&b), "1234567");
	assert_err(buf_check(&b, "the answer", &e), WEIR_ELIMIT);
	assert_null(buf_take(&b));
	buf_clear(&b);
	buf_addz(&b, "12345678");
	assert_ok(buf_check(&b, "x", &e), &e);
	buf_drop_front(&b, 6);
	assert_str(buf_str(&b), "78");
}

static void test_encoders(void **s UNUSED)
{
	CLEANUP_BUF struct buf b = BUF_INIT(1000);

	buf_add_html(&b, STR("<a href='x'>&\"</a>"));
	assert_str(buf_str(&b), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;&lt;/a&gt;");
	buf_clear(&b);
	buf_add_json(&b, STR("a\"b\\\n\x01\xff\x7f"));
	assert_str(buf_str(&b), "a\\\"b\\\\\\n\\u0001\xef\xbf\xbd\x7f");
	buf_clear(&b);
	buf_add_url(&b, STR("a b/~\xc3\xbc"));
	assert_str(buf_str(&b), "a%20b%2F~%C3%BC");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),  cmocka_unit_test(test_slices),           cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_distance), cmocka_unit_test(test_buf_limit_sticks), cmocka_unit_test(test_encoders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
