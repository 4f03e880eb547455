/* CEL values without an expression: making, comparing, looking up, printing, JSON. */
#include "tests/lib/test.h"

#include "doc/doc.h"
#include "lang/cel/cel.h"

#include <math.h>

static struct arena a = ARENA_INIT(64 << 20);
static struct err err;

static struct cel_value text(const char *z)
{
	return cel_of_str(str_z(z));
}

static void test_numbers(void **state)
{
	(void)state;
	assert_true(cel_equal(cel_of_int(1), cel_of_uint(1)));
	assert_true(cel_equal(cel_of_int(1), cel_of_double(1)));
	assert_true(cel_equal(cel_of_uint(1), cel_of_double(1)));
	assert_false(cel_equal(cel_of_int(-1), cel_of_uint(UINT64_MAX)));
	assert_false(cel_equal(cel_of_double(NAN), cel_of_double(NAN)));
	assert_true(cel_equal(cel_of_double(0.0), cel_of_double(-0.0)));
	assert_false(cel_equal(cel_of_int(1), text("1")));
	assert_false(cel_equal(cel_of_null(), cel_of_bool(false)));
}

static void test_maps(void **state)
{
	struct cel_value keys[] = { cel_of_int(1), cel_of_uint(2), text("a"), cel_of_bool(true), cel_of_int(1) };
	struct cel_value values[] = { text("one"), text("two"), text("A"), text("yes"), text("uno") };
	struct cel_value m = cel_of_map(&a, keys, values, 5), bad = cel_of_double(1.5), k, v;

	(void)state;
	assert_int_equal(m.kind, CEL_MAP);
	assert_int_equal(cel_map_len(m.map), 4);
	cel_map_at(m.map, 0, &k, &v);
	assert_true(k.i == 1 && cel_equal(v, text("uno")));
	assert_non_null(cel_map_get(m.map, cel_of_uint(1)));
	assert_non_null(cel_map_get(m.map, cel_of_double(2)));
	assert_null(cel_map_get(m.map, cel_of_double(1.5)));
	assert_null(cel_map_get(m.map, cel_of_double(NAN)));
	assert_null(cel_map_get(m.map, text("b")));
	assert_null(cel_map_get(m.map, cel_of_null()));
	assert_int_equal(cel_of_map(&a, &bad, &bad, 1).kind, CEL_ERROR);
	assert_int_equal(cel_of_map(&a, NULL, NULL, 0).kind, CEL_MAP);
}

/* Beyond the size where maps get an index: every key is found, by each of its forms, and nothing else is. */
static void test_large_map(void **state)
{
	enum { N = 3000 };
	struct cel_value *keys = ARENA_ARRAY(&a, 2 * N, struct cel_value), m;

	(void)state;
	for (int i = 0; i < N; i++) {
		keys[2 * i] = cel_of_int(i * 7);
		keys[2 * i + 1] = text(arena_printf(&a, "key-%d", i));
	}
	m = cel_of_map(&a, keys, keys, 2 * N);
	assert_int_equal(cel_map_len(m.map), 2 * N);
	for (int i = 0; i < N; i++) {
		assert_true(cel_equal(*cel_map_get(m.map, keys[2 * i]), keys[2 * i]));
		assert_true(cel_equal(*cel_map_get(m.map, cel_of_double(i * 7)), keys[2 * i]));
		assert_true(cel_equal(*cel_map_get(m.map, cel_of_uint((uint64_t)i * 7)), keys[2 * i]));
		assert_null(cel_map_get(m.map, cel_of_int(i * 7 + 1)));
		assert_true(cel_equal(*cel_map_get(m.map, keys[2 * i + 1]), keys[2 * i + 1]));
	}
	assert_null(cel_map_get(m.map, text("key-")));
	assert_true(cel_equal(m, cel_of_map(&a, keys, keys, 2 * N)));
}

static void test_key_lengths(void **state) /* the comparison of short texts has a case per length */
{
	char x[40], y[40];

	(void)state;
	for (size_t n = 0; n < sizeof(x); n++)
		for (size_t at = 0; at <= n; at++) {
			struct cel_value k, v = cel_of_int(1), m;

			memset(x, 'k', sizeof(x));
			memset(y, 'k', sizeof(y));
			if (at < n)
				y[at] = 'x';
			k = cel_of_str(str_n(x, n));
			m = cel_of_map(&a, &k, &v, 1);
			assert_true((cel_map_get(m.map, cel_of_str(str_n(y, n))) != NULL) == (at == n));
			assert_true(cel_equal(k, cel_of_str(str_n(y, n))) == (at == n));
		}
}

static void expect_print(struct cel_value v, const char *want)
{
	struct buf b CLEANUP_BUF = BUF_INIT(1 << 16);

	cel_print(v, &b);
	assert_str(buf_str(&b), want);
}

static void test_print(void **state)
{
	struct cel_value items[] = { cel_of_uint(1), cel_of_bytes(str_n("\x00\xff", 2)), cel_of_double(3), cel_of_double(-1e-7),
								 cel_of_double(1e6) };

	(void)state;
	expect_print(cel_of_list(&a, items, 5), "[1u, b\"\\x00\\xff\", 3.0, -1e-07, 1e+06]");
	expect_print(text("q\"\\\n\t\x7f\xc3\xa9"), "\"q\\\"\\\\\\n\\t\\x7f\xc3\xa9\"");
	expect_print(cel_of_double(INFINITY), "double(\"Infinity\")");
	expect_print(cel_of_double(0.1), "0.1");
	expect_print(cel_of_double(123456.789), "123456.789");
	expect_print(cel_of_int(INT64_MIN), "-9223372036854775808");
	expect_print(cel_unknown_value(&a, STR("x.y")), "unknown(x.y)");
	expect_print(cel_error_value(&a, "no %s", "luck"), "error(no luck)");
	expect_print((struct cel_value){ .kind = CEL_TIMESTAMP, .i = -1, .nanos = 5000000 },
				 "timestamp(\"1969-12-31T23:59:59.005Z\")");
	expect_print((struct cel_value){ .kind = CEL_DURATION, .i = 0, .nanos = -1 }, "duration(\"-0.000000001s\")");
	expect_print((struct cel_value){ .kind = CEL_OPTIONAL }, "optional.none()");
}

static void expect_json(struct cel_value v, const char *want)
{
	struct buf b CLEANUP_BUF = BUF_INIT(1 << 16);

	assert_ok(cel_to_json(v, &b, &err), &err);
	assert_str(buf_str(&b), want);
}

static void test_json(void **state)
{
	struct buf small CLEANUP_BUF = BUF_INIT(4);
	struct doc_node *n;
	struct cel_value keys[] = { cel_of_bool(true), cel_of_int(-3) }, values[] = { cel_of_bytes(STR("hi")), cel_of_double(NAN) };

	(void)state;
	assert_ok(doc_parse_json(&a, "t", STR("{\"a\":[1,2.5,null,true,\"x\\u0001\"],\"b\":{}}"), &n, &err), &err);
	expect_json(cel_of_doc(&a, n), "{\"a\":[1,2.5,null,true,\"x\\u0001\"],\"b\":{}}");
	expect_json(cel_of_map(&a, keys, values, 2), "{\"true\":\"aGk=\",\"-3\":\"NaN\"}");
	expect_json(cel_of_int(9007199254740993), "\"9007199254740993\"");
	expect_json(cel_of_int(9007199254740992), "9007199254740992");
	expect_json(cel_of_uint(UINT64_MAX), "\"18446744073709551615\"");
	expect_json(cel_of_double(1e300), "1e+300");
	expect_json(cel_of_double(-5e-324), "-5e-324");
	expect_json(cel_of_double(1e20), "100000000000000000000");
	expect_json((struct cel_value){ .kind = CEL_DURATION, .i = 90 }, "\"90s\"");
	assert_err(cel_to_json(cel_error_value(&a, "broken"), &small, &err), WEIR_EINVAL);
	assert_non_null(strstr(err.msg, "broken"));
	assert_err(cel_to_json(text("longer than that"), &small, &err), WEIR_ELIMIT);
}

/* Nothing runs out of stack: a value deeper than the limit is unequal, printed short, and has no JSON. */
static void test_depth(void **state)
{
	struct cel_value v = cel_of_list(&a, NULL, 0);
	struct buf b CLEANUP_BUF = BUF_INIT(1 << 16);

	(void)state;
	for (int i = 0; i < 5000; i++)
		v = cel_of_list(&a, &v, 1);
	assert_false(cel_equal(v, v));
	cel_print(v, &b);
	assert_non_null(strstr(buf_z(&b), "..."));
	assert_err(cel_to_json(v, &b, &err), WEIR_ELIMIT);
}

static void test_memory(void **state)
{
	struct arena small CLEANUP_ARENA = ARENA_INIT(64);
	struct cel_value items[16] = { 0 };

	(void)state;
	assert_int_equal(cel_of_list(&small, items, 16).kind, CEL_ERROR);
	assert_true(small.failed);
	assert_int_equal(cel_error_value(&small, "x").kind, CEL_ERROR);
	assert_int_equal(cel_unknown_value(&small, STR("x")).kind, CEL_ERROR);
	assert_int_equal(cel_of_map(&small, items, items, 16).kind, CEL_ERROR);
}

static int tear_down(void **state)
{
	(void)state;
	arena_fini(&a);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),     cmocka_unit_test(test_maps),   cmocka_unit_test(test_large_map),
		cmocka_unit_test(test_key_lengths), cmocka_unit_test(test_print),  cmocka_unit_test(test_json),
		cmocka_unit_test(test_depth),       cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, tear_down);
}
