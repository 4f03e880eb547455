/* Requirement ranges: a table for each ecosystem with its traps, errors with their columns, printing, properties, limits. */
#include "tests/lib/test.h"

#include "lang/version/version.h"

#include <time.h>

#define S(id) VERSION_SYSTEM_##id

static struct err err;

static bool has(struct arena *a, const struct version_range *r, enum version_system s, const char *text)
{
	struct version *v;

	assert_ok(version_parse(a, version_system_order(s), str_z(text), &v, &err), &err);
	return version_range_has(r, v);
}

/* What is printed is parsed to what is printed the same. */
static struct version_range *read_back(struct arena *a, enum version_system s, const struct version_range *r, const char *text)
{
	struct buf one CLEANUP_BUF = BUF_INIT(1 << 20), two CLEANUP_BUF = BUF_INIT(1 << 20);
	struct version_range *again;

	version_range_print(r, &one);
	if (version_range_parse(a, s, buf_str(&one), &again, &err))
		fail_msg("%s '%s' printed as '%s': %s", version_system_name(s), text, buf_z(&one), err.msg);
	version_range_print(again, &two);
	assert_string_equal(buf_z(&one), buf_z(&two));
	return again;
}

static const struct {
	enum version_system system;
	const char *range, *in, *out; /* versions with blanks between them */
} table[] = {
	{ S(NPM), "^1.2.3", "1.2.3 1.9.0 1.2.3+build", "1.2.2 2.0.0 2.0.0-alpha 1.3.0-beta 1.2.3-beta" },
	{ S(NPM), "^0.2.3", "0.2.3 0.2.9", "0.3.0 0.2.2" },
	{ S(NPM), "^0.0.3", "0.0.3", "0.0.4 0.0.2" },
	{ S(NPM), "^0.0", "0.0.0 0.0.9", "0.1.0" },
	{ S(NPM), "^0.x", "0.0.1 0.9.0", "1.0.0" },
	{ S(NPM), "^1.2.3-beta.2", "1.2.3-beta.2 1.2.3-beta.4 1.2.3 1.9.9", "1.2.3-beta.1 1.2.4-beta.2 2.0.0" },
	{ S(NPM), "~1.2.3", "1.2.3 1.2.9", "1.3.0 1.2.2" },
	{ S(NPM), "~1.2", "1.2.0 1.2.9", "1.3.0" },
	{ S(NPM), "~> 1", "1.0.0 1.9.9", "2.0.0 0.9.9" },
	{ S(NPM), "1.2.x", "1.2.0 1.2.7", "1.3.0 1.1.9" },
	{ S(NPM), "1 || 3.*", "1.5.0 3.1.0", "2.0.0 4.0.0" },
	{ S(NPM), "*", "0.0.0 9.9.9", "1.0.0-rc1" },
	{ S(NPM), "", "0.0.0 9.9.9", "1.0.0-rc1" },
	{ S(NPM), ">1.2", "1.3.0", "1.2.9" },
	{ S(NPM), "<=1.2", "1.2.9", "1.3.0 1.3.0-0" },
	{ S(NPM), "<1.2", "1.1.9", "1.2.0" },
	{ S(NPM), ">*", "", "1.0.0" },
	{ S(NPM), "1.2.3 - 2.3", "1.2.3 2.3.9", "1.2.2 2.4.0" },
	{ S(NPM), "1.2 - 2.3.4", "1.2.0 2.3.4", "1.1.9 2.3.5" },
	{ S(NPM), ">=1.0.0-rc.1 <2", "1.0.0-rc.2 1.9.9", "1.1.0-rc.1 2.0.0 2.0.0-0" },
	{ S(NPM), ">= 1.2.0 <1.3.0 || =v2.0.0", "1.2.9 2.0.0", "1.3.0" },
	{ S(CARGO), "1.2.3", "1.2.3 1.9.0", "2.0.0 1.2.2 1.3.0-pre" },
	{ S(CARGO), "^0.0.3", "0.0.3", "0.0.4 0.1.0" },
	{ S(CARGO), "0.0", "0.0.9", "0.1.0" },
	{ S(CARGO), "0", "0.9.0", "1.0.0" },
	{ S(CARGO), "~1", "1.9.0", "2.0.0" },
	{ S(CARGO), "=1.2", "1.2.9", "1.3.0" },
	{ S(CARGO), "1.*", "1.9.0", "2.0.0" },
	{ S(CARGO), ">=1.2, <1.5", "1.2.0 1.4.9", "1.5.0 1.5.0-alpha" },
	{ S(CARGO), "1.0.0-alpha", "1.0.0-beta 1.1.0", "1.1.0-beta" },
	{ S(GO), "v1.2.3", "v1.2.3 v1.9.0 v1.2.4-0.20200101000000-abcdefabcdef", "v1.2.2 v1.2.3-rc1" },
	{ S(GO), "[v1.0.0, v1.9.9]", "v1.0.0 v1.9.9", "v0.9.9 v2.0.0" },
	{ S(PYPI), "~=1.2.3", "1.2.3 1.2.9 1.2.3.post1", "1.3 1.2.2 1.3.dev0" },
	{ S(PYPI), "~=1.2", "1.2 1.9", "2.0 2.0a1" },
	{ S(PYPI), "~=2.2.post3", "2.2.post3 2.3", "2.2 3.0" },
	{ S(PYPI), "==1.2", "1.2 1.2.0 1.2+local", "1.2.1 1.2.post1" },
	{ S(PYPI), "==1.2+local.1", "1.2+local-1", "1.2 1.2+other" },
	{ S(PYPI), "==1.2.*", "1.2 1.2.9 1.2a1 1.2.dev1 1.2.post1 1.2.1+x", "1.3 1.3.dev0 1.1.9" },
	{ S(PYPI), "==1!1.*", "1!1.5", "1.5 1!2" },
	{ S(PYPI), "!=1.2.*, >=1", "1.0 1.3", "1.2 1.2.5 0.9" },
	{ S(PYPI), "!=1.2", "1.2.1", "1.2 1.2.0 1.2+x" },
	{ S(PYPI), ">1.7", "1.7.1 1.8", "1.7 1.7.post1 1.7.0.post1 1.7+local" },
	{ S(PYPI), ">1.7.post2", "1.7.post3 1.7.1", "1.7.post2 1.7.0" },
	{ S(PYPI), "<1.7", "1.6.9", "1.7 1.7a1 1.7.dev1" },
	{ S(PYPI), "<1.7rc1", "1.7a1 1.7b2 1.6", "1.7rc1 1.7" },
	{ S(PYPI), "<=1.7", "1.7 1.7+local 1.7a1", "1.7.post1" },
	{ S(PYPI), "===1.0-Foo", "1.0-foo", "1.0" },
	{ S(PYPI), "(>=1.0,<2,)", "1.0 1.9", "2.0" },
	{ S(PYPI), "", "1.0", "" },
	{ S(MAVEN), "1.0", "1.0 0.1 9.9", "" },
	{ S(MAVEN), "[1.0]", "1.0 1.0.0", "1.1 0.9" },
	{ S(MAVEN), "[1.2,1.3)", "1.2 1.2.9 1.3-alpha", "1.3 1.1" },
	{ S(MAVEN), "(,1.0],[1.2,)", "0.5 1.0 1.2 2.0", "1.1" },
	{ S(MAVEN), "(1.0,2.0)", "1.5", "1.0 2.0" },
	{ S(RUBYGEMS), "~> 1.2.3", "1.2.3 1.2.9", "1.3 1.3.a 1.2.2" },
	{ S(RUBYGEMS), "~> 1.2", "1.2 1.9.9", "2.0 2.0.a 1.1" },
	{ S(RUBYGEMS), "~>1", "1.0 1.9", "2.0 0.9" },
	{ S(RUBYGEMS), "~> 2.2.beta", "2.2.beta 2.2 2.9", "3.0 3.0.pre 2.2.alpha" },
	{ S(RUBYGEMS), ">= 1.0, != 1.5, < 2", "1.0 1.6 2.0.a", "1.5 1.5.0 2" },
	{ S(RUBYGEMS), "1.2", "1.2 1.2.0", "1.2.1" },
	{ S(PACKAGIST), "^1.2.3", "1.2.3 v1.9 1.2.3.1", "2.0.0 1.2.2 2.0.0-beta1" },
	{ S(PACKAGIST), "^0.3", "0.3 0.3.9", "0.4.0" },
	{ S(PACKAGIST), "^0.0.3", "0.0.3", "0.0.4" },
	{ S(PACKAGIST), "~1.2", "1.2 1.9", "2.0 2.0-dev" },
	{ S(PACKAGIST), "~1.2.3", "1.2.3 1.2.9", "1.3.0" },
	{ S(PACKAGIST), "1.0.*", "1.0 1.0.9", "1.1 0.9" },
	{ S(PACKAGIST), "1.0 - 2.0", "1.0 2.0.9", "2.1 0.9" },
	{ S(PACKAGIST), "1.0.0 - 2.1.0", "2.1.0", "2.1.1" },
	{ S(PACKAGIST), ">=1.0,<1.1 | >=1.2", "1.0.0 1.0-beta 1.3", "1.1 1.1-beta" },
	{ S(PACKAGIST), "1.0", "1.0 1.0.0 v1.0.0.0", "1.0.1 1.0-RC1" },
	{ S(PACKAGIST), ">1.0 != 1.5", "1.1 1.6", "1.0 1.0.0 1.5.0" },
	{ S(PACKAGIST), "dev-main#0123abc", "dev-main", "dev-other 1.0" },
	{ S(PACKAGIST), "^1.2@dev", "1.2.0 1.5-dev", "2.0" },
	{ S(NUGET), "1.0", "1.0 1.0.0 2.0", "0.9 1.0-beta" },
	{ S(NUGET), "[1.0]", "1.0.0", "1.0.1" },
	{ S(NUGET), "(1.0, 2.0]", "1.1 2.0", "1.0 2.1" },
	{ S(NUGET), "(,1.0)", "0.9", "1.0" },
	{ S(NUGET), "1.*", "1.0 1.9", "2.0 1.5-beta 2.0-beta" },
	{ S(NUGET), "1.2.3-*", "1.2.3 1.2.3-beta", "1.2.4 1.2.2" },
	{ S(NUGET), "[1.*, )", "1.0 2.0", "0.9" },
	{ S(PUB), "^1.2.3", "1.2.3 1.3.0-beta", "2.0.0 2.0.0-dev 1.2.2" },
	{ S(PUB), "^0.0.3", "0.0.3 0.0.9", "0.1.0" },
	{ S(PUB), ">=1.0.0 <2.0.0", "1.5.0", "2.0.0 2.0.0-dev" },
	{ S(PUB), ">=2.0.0-a <2.0.0", "2.0.0-b", "2.0.0" },
	{ S(PUB), "any", "1.0.0 1.0.0-dev", "" },
	{ S(DEBIAN), "(>= 1.2-3)", "1.2-3 1:0", "1.2-2 1.2-3~bpo" },
	{ S(DEBIAN), ">> 1.0, << 2.0~", "1.5", "1.0 2.0~rc1 2.0" },
	{ S(DEBIAN), "= 1:1.0", "1:1.0", "1.0" },
	{ S(RPM), "= 1.0", "1.0 1.0-1 1.0-9", "1.1 1:1.0-1" },
	{ S(RPM), ">= 1.0-2", "1.0-2 1.0-3 1.0 1.1", "1.0-1" },
	{ S(RPM), "<= 1.0", "1.0-7 0.9", "1.1" },
	{ S(ALPINE), "~1.2", "1.2 1.2.3 1.2_rc1 1.2-r0", "1.20 1.3" },
	{ S(ALPINE), ">=1.2-r1", "1.2-r1 1.3", "1.2-r0" },
	{ S(CRAN), "(>= 1.0.2)", "1.0.2 1.0-3", "1.0.1" },
	{ S(CRAN), ">= 1, != 2", "1 3", "2" },
	{ S(HACKAGE), "^>=1.2.3", "1.2.3 1.2.9", "1.3 1.2.2" },
	{ S(HACKAGE), "^>=1", "1 1.0.5", "1.1" },
	{ S(HACKAGE), "==1.2.*", "1.2 1.2.9", "1.3" },
	{ S(HACKAGE), ">=1 && (<1.5 || ==1.7)", "1 1.4 1.7", "1.5 1.6 0.9" },
	{ S(HACKAGE), "-any", "1", "" },
	{ S(HACKAGE), "-none", "", "1" },
};

static void each(struct arena *a, size_t i, const struct version_range *r, const char *versions, bool want)
{
	str rest = str_z(versions), v;

	while (rest.len) {
		str_cut(rest, ' ', &v, &rest);
		if (has(a, r, table[i].system, arena_dup(a, v)) != want)
			fail_msg("%s '%s': %.*s should be %s", version_system_name(table[i].system), table[i].range, STR_ARG(v), want ? "in" : "out");
	}
}

static void test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct arena a CLEANUP_ARENA = ARENA_INIT(1 << 20);
		struct version_range *r;

		if (version_range_parse(&a, table[i].system, str_z(table[i].range), &r, &err))
			fail_msg("'%s': %s", table[i].range, err.msg);
		for (int k = 0; k < 2; k++) {
			each(&a, i, r, table[i].in, true);
			each(&a, i, r, table[i].out, false);
			r = read_back(&a, table[i].system, r, table[i].range);
		}
	}
}

static void test_errors(void **state)
{
	static const struct {
		enum version_system system;
		const char *range, *message;
	} cases[] = {
		{ S(NPM), "^1.2 latest", "npm range, column 6: not a version" },
		{ S(NPM), "1 | 2", "npm range, column 3: '|' is not understood here: write ||" },
		{ S(NPM), ">=", "npm range, column 3: a version is missing" },
		{ S(ALPINE), "= ~1.2", "column 3: a version begins with no ~" },
		{ S(NPM), "1.2.3 - ", "column 7: not a version" },
		{ S(CARGO), "1.2,", "Cargo range, column 5: a version is missing" },
		{ S(CARGO), "1 2", "column 3: not understood: write ','" },
		{ S(GO), "[v1.0.0, v2.0.0)", "an interval of Go holds both its ends" },
		{ S(GO), "latest", "Go range, column 1: not a version" },
		{ S(PYPI), "1.2", "a version without an operator: write one before it, as in >= 1.2" },
		{ S(PYPI), "~=1", "column 3: ~= needs two numbers" },
		{ S(PYPI), ">=1.*", ".* stands behind numbers and == or != alone" },
		{ S(PYPI), ">=1+x", "a +local version stands behind == and != alone" },
		{ S(PYPI), ">=foo", "not a PEP 440 version" },
		{ S(MAVEN), "[1,2", "Maven range, column 5: an interval is not closed" },
		{ S(MAVEN), "(1)", "one version alone stands in brackets" },
		{ S(MAVEN), "[2,1]", "ends before it begins" },
		{ S(MAVEN), "[1,2],", "column 7: another interval is missing" },
		{ S(RUBYGEMS), "~> x", "RubyGems range, column 4: not a version" },
		{ S(PACKAGIST), "^dev-main", "a branch has no order" },
		{ S(PACKAGIST), "1 ||", "a version is missing" },
		{ S(NUGET), "1.*.2", "not a floating version" },
		{ S(PUB), "^1.2", "not a whole version: write three numbers" },
		{ S(DEBIAN), "< 1.0", "Debian range, column 1: < and > are not understood: write <<" },
		{ S(RPM), "1.0", "without an operator" },
		{ S(ALPINE), ">=1;2", "Alpine range, column 4: this character cannot stand in a version" },
		{ S(HACKAGE), "(>=1", "Hackage range, column 5: a parenthesis is not closed" },
		{ S(HACKAGE), ">=1 <2", "column 5: not understood: write && or ||" },
		{ S(HACKAGE), ">=1.*", "not a version" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct arena a CLEANUP_ARENA = ARENA_INIT(1 << 20);
		struct version_range *r;

		if (version_range_parse(&a, cases[i].system, str_z(cases[i].range), &r, &err) != -WEIR_EPARSE ||
			!strstr(err.msg, cases[i].message))
			fail_msg("'%s': expected '%s', seen '%s'", cases[i].range, cases[i].message, err.msg);
	}
}

static void test_soft(void **state)
{
	struct arena a CLEANUP_ARENA = ARENA_INIT(1 << 20);
	struct version_range *r;

	(void)state;
	assert_ok(version_range_parse(&a, S(MAVEN), STR("1.0"), &r, &err), &err);
	assert_non_null(version_range_soft(r));
	assert_ok(version_range_parse(&a, S(MAVEN), STR("[1.0]"), &r, &err), &err);
	assert_null(version_range_soft(r));
}

static void test_systems(void **state)
{
	enum version_system s;

	(void)state;
	assert_true(version_system_of(STR("npm"), &s) && s == S(NPM));
	assert_true(version_system_of(STR("crates.io"), &s) && s == S(CARGO));
	assert_true(version_system_of(STR("Debian:12"), &s) && s == S(DEBIAN));
	assert_true(version_system_of(STR("Go"), &s) && s == S(GO));
	assert_false(version_system_of(STR("Hex"), &s));
	assert_string_equal(version_system_name(S(CRAN)), "CRAN");
}

static void too_much(enum version_system s, const char *piece, size_t n, const char *message)
{
	struct arena a CLEANUP_ARENA = ARENA_INIT(64 << 20);
	struct buf text CLEANUP_BUF = BUF_INIT(1 << 20);
	struct version_range *r;

	while (n--)
		buf_addz(&text, piece);
	assert_err(version_range_parse(&a, s, buf_str(&text), &r, &err), WEIR_ELIMIT);
	if (!strstr(err.msg, message))
		fail_msg("expected '%s', seen '%s'", message, err.msg);
}

static void test_limits(void **state)
{
	struct arena tiny CLEANUP_ARENA = ARENA_INIT(300);
	struct version_range *r;

	(void)state;
	too_much(S(NPM), "1", LIMIT_VERSION_RANGE_BYTES + 1, "longer than 16384");
	too_much(S(NPM), "1", LIMIT_VERSION_BYTES + 1, "longer than 1024");
	too_much(S(NPM), "1||", LIMIT_VERSION_RANGE_CLAUSES + 1, "more than 1000");
	too_much(S(CARGO), "1,", LIMIT_VERSION_RANGE_CLAUSES + 1, "more than 1000 clauses");
	too_much(S(MAVEN), "[1],", LIMIT_VERSION_RANGE_CLAUSES + 1, "more than 1000");
	too_much(S(HACKAGE), "(", VERSION_RANGE_DEPTH_MAX + 1, "nest deeper than 50");
	too_much(S(HACKAGE), "(>=1||<2||==3)&&", 20, "more than 1000"); /* 3^20 sets */
	assert_err(version_range_parse(&tiny, S(NPM), STR("^1.2.3"), &r, &err), WEIR_ELIMIT);
}

/* Plain bounds say what comparing says. */
static void test_bounds_agree_with_comparing(void **state)
{
	static const enum version_system of[] = { S(GO), S(RUBYGEMS), S(DEBIAN), S(ALPINE), S(CRAN), S(HACKAGE), S(NPM), S(CARGO), S(PYPI) };
	unsigned seed = (unsigned)time(NULL), s = seed;

	(void)state;
	print_message("seed %u\n", seed);
	for (int i = 0; i < 20000; i++) {
		struct arena a CLEANUP_ARENA = ARENA_INIT(1 << 20);
		enum version_system system = of[(size_t)i % ARRAY_SIZE(of)];
		bool up = rand_r(&s) % 2, go = system == S(GO), debian = system == S(DEBIAN);
		char v[2][32], text[64];
		struct version *x, *y;
		struct version_range *r;

		for (int k = 0; k < 2; k++)
			snprintf(v[k], sizeof(v[k]), "%d.%d.%d", rand_r(&s) % 3, rand_r(&s) % 12, rand_r(&s) % 3);
		snprintf(text, sizeof(text), "%s%s", go ? "" : up ? ">=" : debian ? "<<" : "<", v[0]);
		assert_ok(version_range_parse(&a, system, str_z(text), &r, &err), &err);
		assert_ok(version_parse(&a, version_system_order(system), str_z(v[0]), &x, &err), &err);
		assert_ok(version_parse(&a, version_system_order(system), str_z(v[1]), &y, &err), &err);
		if (version_range_has(r, y) != ((version_compare(y, x) >= 0) == (up || go)))
			fail_msg("%s '%s' and %s", version_system_name(system), text, v[1]);
		read_back(&a, system, r, text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),	cmocka_unit_test(test_errors), cmocka_unit_test(test_soft),
		cmocka_unit_test(test_systems), cmocka_unit_test(test_limits), cmocka_unit_test(test_bounds_agree_with_comparing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
