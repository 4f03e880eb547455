/* Writing JSON: the streaming writer, numbers as ECMAScript writes them, trees, and the canonical form. */
#include "lib/test.h"
#include "doc/doc.h"

#include <float.h>
#include <math.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_writer(void **s UNUSED)
{
	CLEANUP_BUF struct buf b = BUF_INIT(4096);
	struct jw w;

	jw_init(&w, &b);
	jw_obj(&w);
	jw_kstrz(&w, "a", "x\"y");
	jw_kint(&w, "b", -5);
	jw_key(&w, "c");
	jw_arr(&w);
	jw_num(&w, 0.5);
	jw_bool(&w, true);
	jw_null(&w);
	jw_obj(&w);
	jw_end(&w);
	jw_arr(&w);
	jw_end(&w);
	jw_fmt(&w, "%d-%s", 7, "é");
	jw_raw(&w, STR("{\"raw\":1}"));
	jw_end(&w);
	jw_kstr(&w, "d", STR_NULL);
	jw_ktime(&w, "t", 0);
	jw_ktime(&w, "u", 1000001);
	jw_kbool(&w, "e", false);
	jw_knum(&w, "f", INFINITY);
	jw_end(&w);
	assert_str(buf_str(&b), "{\"a\":\"x\\\"y\",\"b\":-5,\"c\":[0.5,true,null,{},[],\"7-é\",{\"raw\":1}],\"d\":null,\"t\":null,"
	                        "\"u\":\"1970-01-01T00:00:01.000001Z\",\"e\":false,\"f\":null}");
}

static void expect_num(double d, const char *text)
{
	CLEANUP_BUF struct buf b = BUF_INIT(64);
	struct jw w;

	jw_init(&w, &b);
	jw_num(&w, d);
	assert_str(buf_str(&b), text);
	assert_true(strtod(text, NULL) == d);
}

static double from_bits(uint64_t bits)
{
	double d;

	memcpy(&d, &bits, sizeof(d));
	return d;
}

/* The samples of RFC 8785, appendix B, and the borders of each notation. */
static void test_numbers(void **s UNUSED)
{
	static const struct {
		uint64_t    bits;
		const char *text;
	} cases[] = {
		{ 0x0000000000000000, "0" },
		{ 0x8000000000000000, "0" },
		{ 0x0000000000000001, "5e-324" },
		{ 0x8000000000000001, "-5e-324" },
		{ 0x7fefffffffffffff, "1.7976931348623157e+308" },
		{ 0xffefffffffffffff, "-1.7976931348623157e+308" },
		{ 0x4340000000000000, "9007199254740992" },
		{ 0xc340000000000000, "-9007199254740992" },
		{ 0x4430000000000000, "295147905179352830000" },
		{ 0x44b52d02c7e14af5, "9.999999999999997e+22" },
		{ 0x44b52d02c7e14af6, "1e+23" },
		{ 0x44b52d02c7e14af7, "1.0000000000000001e+23" },
		{ 0x444b1ae4d6e2ef4e, "999999999999999700000" },
		{ 0x444b1ae4d6e2ef4f, "999999999999999900000" },
		{ 0x444b1ae4d6e2ef50, "1e+21" },
		{ 0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7" },
		{ 0x3eb0c6f7a0b5ed8d, "0.000001" },
		{ 0x41b3de4355555553, "333333333.3333332" },
		{ 0x41b3de4355555554, "333333333.33333325" },
		{ 0x41b3de4355555555, "333333333.3333333" },
		{ 0x41b3de4355555556, "333333333.3333334" },
		{ 0x41b3de4355555557, "333333333.33333343" },
		{ 0xbecbf647612f3696, "-0.0000033333333333333333" },
		{ 0x43143ff3c1cb0959, "1424953923781206.2" },
		{ 0x3d30000000000000, "5.684341886080802e-14" }, /* 2^-44: the shortest is not the nearest of its length */
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		expect_num(from_bits(cases[i].bits), cases[i].text);
	expect_num(1e21, "1e+21");
	expect_num(123.456, "123.456");
	expect_num(-100, "-100");
	expect_num(0.1, "0.1");
	expect_num(1e-7, "1e-7");
}

/* Property: what is written reads back as the same double. */
static void test_numbers_round_trip(void **s UNUSED)
{
	uint64_t x = 88172645463325252;

	for (int i = 0; i < 20000; i++) {
		CLEANUP_BUF struct buf b = BUF_INIT(64);
		struct jw w;
		double    d;

		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		d = i % 2 ? from_bits(x) : from_bits(x & 0x7ff0000000000000); /* powers of two as well */
		if (!isfinite(d))
			continue;
		jw_init(&w, &b);
		jw_num(&w, d);
		if (strtod(buf_z(&b), NULL) != d)
			fail_msg("%a was written as %s", d, buf_z(&b));
	}
}

static void canonical(const char *text, const char *want)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(1 << 20);
	CLEANUP_BUF struct buf b = BUF_INIT(4096);
	struct doc_node *n = NULL;
	struct err       err = { 0 };

	assert_ok(doc_parse_json(&a, "f", str_z(text), &n, &err), &err);
	doc_canonical(n, &b);
	assert_str(buf_str(&b), want);
}

static void test_canonical(void **s UNUSED)
{
	canonical(" { \"b\" : 1.0 , \"a\" : [ 1e2, -0, 0.10 ], \"\" : null } ", "{\"\":null,\"a\":[100,0,0.1],\"b\":1}");
	canonical("[9007199254740993, -9223372036854775808]", "[9007199254740993,-9223372036854775808]");
	canonical("\"\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\\"\\/\"", "\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"");
	/* RFC 8785, 3.2.3: order of UTF-16 code units, U+1F600 before U+FB33 */
	canonical("{\"\\u20ac\":1,\"\\r\":2,\"\\ufb33\":3,\"1\":4,\"\\ud83d\\ude00\":5,\"\\u0080\":6,\"\\u00f6\":7}",
	          "{\"\\r\":2,\"1\":4,\"\xc2\x80\":6,\"ö\":7,\"€\":1,\"😀\":5,\"\xef\xac\xb3\":3}");
	canonical("{\"ab\":1,\"a\":2}", "{\"a\":2,\"ab\":1}");
}

static void test_node_keeps_order(void **s UNUSED)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(1 << 20);
	CLEANUP_BUF struct buf b = BUF_INIT(4096);
	struct doc_node *n = NULL;
	struct err       err = { 0 };
	struct jw        w;

	assert_ok(doc_parse_json(&a, "f", STR("{\"b\":[true,\"x\\u0000\"],\"a\":{}}"), &n, &err), &err);
	jw_init(&w, &b);
	jw_arr(&w);
	jw_node(&w, n);
	jw_node(&w, NULL);
	jw_end(&w);
	assert_str(buf_str(&b), "[{\"b\":[true,\"x\\u0000\"],\"a\":{}},null]");
}

static void test_full_buf_is_reported(void **s UNUSED)
{
	struct buf b = BUF_INIT(10);
	struct err err = { 0 };
	struct jw  w;

	jw_init(&w, &b);
	jw_arr(&w);
	jw_fmt(&w, "%s", "a long text that does not fit");
	jw_end(&w);
	assert_err(buf_check(&b, "reply", &err), WEIR_ELIMIT);
	buf_fini(&b);
}

static void misuse_value_without_key(struct jw *w) { jw_obj(w), jw_int(w, 1); }
static void misuse_two_tops(struct jw *w) { jw_int(w, 1), jw_int(w, 1); }
static void misuse_key_in_array(struct jw *w) { jw_arr(w), jw_key(w, "a"); }
static void misuse_end(struct jw *w) { jw_end(w); }
static void misuse_end_after_key(struct jw *w) { jw_obj(w), jw_key(w, "a"), jw_end(w); }
static void misuse_depth(struct jw *w)
{
	for (int i = 0; i < 70; i++)
		jw_arr(w);
}

static void test_misuse_is_a_bug(void **s UNUSED)
{
	void (*const misuses[])(struct jw *) = { misuse_value_without_key, misuse_two_tops,      misuse_key_in_array,
		                                     misuse_end,               misuse_end_after_key, misuse_depth };

	for (size_t i = 0; i < ARRAY_SIZE(misuses); i++) {
		int   status;
		pid_t pid = fork();

		if (pid == 0) {
			struct buf b = BUF_INIT(4096);
			struct jw  w;

			close(2);
			signal(SIGABRT, SIG_DFL); /* cmocka catches it */
			jw_init(&w, &b);
			misuses[i](&w);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_writer),          cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_numbers_round_trip), cmocka_unit_test(test_canonical),
		cmocka_unit_test(test_node_keeps_order), cmocka_unit_test(test_full_buf_is_reported),
		cmocka_unit_test(test_misuse_is_a_bug),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
