/* What the comparisons of the suite do not pin: ranges of advisories, ecosystems, limits, and that each order is one (a seed is
 * printed). */
#include "tests/lib/test.h"

#include "lang/version/version.h"

#include <time.h>

static struct arena arena = ARENA_INIT(256 << 20);
static struct err err;

static struct version *parse(enum version_order order, const char *text)
{
	struct version *v;

	assert_ok(version_parse(&arena, order, str_z(text), &v, &err), &err);
	return v;
}

static bool affected(const char *version, const char *const *events)
{
	struct version_event e[16];
	size_t n = 0;

	for (; events[2 * n]; n++) {
		char kind = events[2 * n][0];
		const char *at = events[2 * n + 1];

		e[n].kind = kind == 'i'   ? VERSION_INTRODUCED
					: kind == 'f' ? VERSION_FIXED
					: kind == 'a' ? VERSION_LAST_AFFECTED
								  : VERSION_LIMIT;
		e[n].at = strcmp(at, kind == 'i' ? "0" : "*") ? parse(VERSION_SEMVER, at) : NULL;
	}
	return version_affected(parse(VERSION_SEMVER, version), e, n);
}
#define EVENTS(...) ((const char *const[]){ __VA_ARGS__, NULL, NULL })

static void test_affected(void **state)
{
	(void)state;
	assert_true(affected("1.0.0", EVENTS("i", "0")));
	assert_true(affected("0.0.0-0", EVENTS("i", "0")));
	assert_true(affected("1.4.9", EVENTS("i", "1.0.0", "f", "1.5.0")));
	assert_true(affected("1.0.0", EVENTS("i", "1.0.0", "f", "1.5.0")));
	assert_false(affected("1.0.0-rc1", EVENTS("i", "1.0.0", "f", "1.5.0")));
	assert_false(affected("1.5.0", EVENTS("i", "1.0.0", "f", "1.5.0")));
	assert_true(affected("1.5.0", EVENTS("i", "1.0.0", "a", "1.5.0")));
	assert_false(affected("1.5.1", EVENTS("i", "1.0.0", "a", "1.5.0")));
	/* in any order, with gaps */
	assert_true(affected("3.0.1", EVENTS("f", "3.1.0", "i", "3.0.0", "f", "1.5.0", "i", "0")));
	assert_false(affected("2.0.0", EVENTS("f", "3.1.0", "i", "3.0.0", "f", "1.5.0", "i", "0")));
	/* one version alone; fixed and introduced again */
	assert_true(affected("1.0.0", EVENTS("a", "1.0.0", "i", "1.0.0")));
	assert_false(affected("1.0.1", EVENTS("a", "1.0.0", "i", "1.0.0")));
	assert_true(affected("2.0.0", EVENTS("i", "0", "i", "2.0.0", "f", "2.0.0")));
	/* limits */
	assert_false(affected("2.0.0", EVENTS("i", "0", "l", "2.0.0")));
	assert_true(affected("1.9.0", EVENTS("i", "0", "l", "2.0.0")));
	assert_true(affected("9.9.9", EVENTS("i", "0", "l", "*")));
	assert_true(affected("2.0.0", EVENTS("i", "0", "l", "2.0.0", "l", "3.0.0")));
	assert_false(affected("1.0.0", EVENTS("f", "2.0.0")));
}

static void test_ecosystems(void **state)
{
	enum version_order o;

	(void)state;
	assert_true(version_order_of(STR("npm"), &o) && o == VERSION_SEMVER);
	assert_true(version_order_of(STR("Debian:12"), &o) && o == VERSION_DEBIAN);
	assert_true(version_order_of(STR("Ubuntu:22.04:LTS"), &o) && o == VERSION_DEBIAN);
	assert_true(version_order_of(STR("Red Hat:enterprise_linux:9::appstream"), &o) && o == VERSION_RPM);
	assert_false(version_order_of(STR("debian"), &o));
	assert_false(version_order_of(STR(""), &o));
	assert_string_equal(version_order_name(VERSION_RPM), "redhat");
}

/* Every text is placed, whatever it is; what is too long is refused. */
static void test_limits(void **state)
{
	struct arena tiny CLEANUP_ARENA = ARENA_INIT(16);
	struct version *v;
	char text[LIMIT_VERSION_BYTES + 2];

	(void)state;
	for (int o = 0; o < VERSION_ORDERS; o++) {
		static const char fill[] = "19.a-_~^+";

		for (size_t k = 0; k < sizeof(fill) - 1; k++) {
			memset(text, fill[k], LIMIT_VERSION_BYTES);
			text[LIMIT_VERSION_BYTES] = 0;
			assert_int_equal(version_compare(parse((enum version_order)o, text), parse((enum version_order)o, text)), 0);
		}
		memset(text, '1', sizeof(text) - 1);
		assert_err(version_parse(&arena, (enum version_order)o, str_n(text, sizeof(text) - 1), &v, &err), WEIR_ELIMIT);
		assert_err(version_parse(&arena, (enum version_order)o, STR("  "), &v, &err), WEIR_EINVAL);
		assert_err(version_parse(&tiny, (enum version_order)o, STR("1.2.3"), &v, &err), WEIR_ELIMIT);
	}
}

/* Random texts of pieces that mean something somewhere. */
static void random_text(unsigned *seed, char *out, size_t size)
{
	static const char *const pieces[] = { "1", "0", "10", "01",    ".",        "-",    "_",     "~",  "^",   "+",
										  "a", "b", "rc", "alpha", "dev",      "post", "final", "sp", "p",   "git",
										  ":", "!", "r",  "Z",     "snapshot", "..",   "-r",    "_p", "_rc", "v" };
	size_t n = 0, count = 1 + (size_t)rand_r(seed) % 6;

	out[0] = 0;
	while (count--) {
		const char *p = pieces[(size_t)rand_r(seed) % ARRAY_SIZE(pieces)];
		int added = snprintf(out + n, size - n, "%s", p);

		n += (size_t)added;
	}
}

static int sign(int r)
{
	return (r > 0) - (r < 0);
}

static void test_orders_are_orders(void **state)
{
	unsigned seed = (unsigned)time(NULL), s = seed;

	(void)state;
	print_message("seed %u\n", seed);
	for (int i = 0; i < 60000; i++) {
		struct arena a CLEANUP_ARENA = ARENA_INIT(1 << 20);
		enum version_order o = (enum version_order)(i % VERSION_ORDERS);
		struct version *v[3];
		char text[3][64];

		for (int k = 0; k < 3; k++) {
			random_text(&s, text[k], sizeof(text[k]));
			assert_ok(version_parse(&a, o, str_z(text[k]), &v[k], &err), &err);
		}
		if (sign(version_compare(v[0], v[1])) != -sign(version_compare(v[1], v[0])) || version_compare(v[2], v[2]))
			fail_msg("%s: %s and %s: not antisymmetric", version_order_name(o), text[0], text[1]);
		if (o != VERSION_MAVEN && version_compare(v[0], v[1]) <= 0 && version_compare(v[1], v[2]) <= 0 &&
			version_compare(v[0], v[2]) > 0)
			fail_msg("%s: %s, %s, %s: not transitive", version_order_name(o), text[0], text[1], text[2]);
	}
}

static int fini(void **state)
{
	(void)state;
	arena_fini(&arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_affected),
		cmocka_unit_test(test_ecosystems),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_orders_are_orders),
	};

	return cmocka_run_group_tests(tests, NULL, fini);
}
