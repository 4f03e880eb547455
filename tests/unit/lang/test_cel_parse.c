/* What the public suites do not pin of lexer, parser, macros and text: error texts and places, limits, the text of a tree. */
#include "cel_fixture.h"

/* --- problems --- */

static void test_problems(void **state)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
		{ "1 +", "t:1:4: the expression ends where an expression is expected\n | 1 +\n | ...^" },
		{ "1 2", "t:1:3: '2' where the end of the expression is expected" },
		{ "a = b", "t:1:3: '=' is no operator; to compare is '=='" },
		{ "a & b", "t:1:3: a single '&' or '|' is no operator" },
		{ "'\xc3\xa4' + $", "t:1:7: a character that is no part of the language\n | '\xc3\xa4' + $\n | ......^" },
		{ "1 +\n  'a\nb'", "t:2:3: a line end inside quotes: use \\n, or three quotes\n |   'a\n | ..^" },
		{ "'abc", "t:1:1: a text without its closing quote" },
		{ "'''abc''", "t:1:1: a text without its closing quote" },
		{ "'\\q'", "an unknown escape" },
		{ "'\\u12'", "an escape with too few hexadecimal digits" },
		{ "'\\ud800'", "an escape that is no Unicode character" },
		{ "'\\U00110000'", "an escape that is no Unicode character" },
		{ "'\\400'", "an unknown escape" },
		{ "b'\\u0041'", "\\u and \\U are no escapes of bytes" },
		{ "9223372036854775808", "an int literal out of range" },
		{ "-9223372036854775809", "an int literal out of range" },
		{ "18446744073709551616u", "a uint literal above" },
		{ "0x1ffffffffffffffff", "an int literal out of range" },
		{ "0X1f", "t:1:2: 'X1f' where the end of the expression is expected" },
		{ "a ? b ? c : d : e", "t:1:7: '?' where ':' is expected" },
		{ "!-a", "t:1:3: 'a' where a number is expected" },
		{ "-!a", "'!' where an expression is expected" },
		{ "a.`b`()", "t:1:6: '(' where the end of the expression is expected" },
		{ "Rb'x'", "t:1:3: ''x'' where the end of the expression is expected" },
		{ "1e999", "a double literal out of range" },
		{ "while + 1", "t:1:1: 'while' is a reserved word, not a name" },
		{ "a.true", "t:1:3: 'true' where the name of a field is expected" },
		{ "a.`b$`", "a name in backquotes may have" },
		{ "[1,,2]", "t:1:4: ',' where an item is expected" },
		{ "{1: 2,,}", "t:1:7: ',' where an entry is expected" },
		{ "{1}", "t:1:3: '}' where ':' is expected" },
		{ "f(1,)", "t:1:5: ')' where an expression is expected" },
		{ "m{1: 2}", "'1' where the name of a field is expected" },
		{ "f(){}", "t:1:4: '{' where the end of the expression is expected" },
		{ "has(a)", "t:1:5: has() needs a selection" },
		{ "l.all(1, true)", "t:1:7: a simple name is expected here" },
		{ "l.all(.v, true)", "a simple name is expected here" },
		{ "l.all(__result__, true)", "is the name of the macro's own result" },
		{ "l.all(v, v, true)", "t:1:10: 'v' is declared twice" },
		{ "math.greatest()", "needs at least one argument" },
		{ "math.least([])", "of an empty list" },
		{ "math.least(1, 'a')", "t:1:15: math.least() compares numbers only" },
		{ "cel.block(1, 2)", "needs a list literal" },
		{ "cel.index(n)", "a literal number from 0" },
		{ "proto.getExt(x, 1)", "needs the full name of an extension" },
		{ "\xff", "is not valid UTF-8" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (fixture_parse(f, rows[i].text) != -WEIR_EPARSE)
			fail_msg("'%s' parses", rows[i].text);
		assert_message(f, rows[i].message);
	}
}

static void test_switches(void **state)
{
	static const char *const texts[] = { "x.?a", "x[?1]", "[?x]", "{?1: x}", "m{?f: x}" };
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_ok(fixture_parse(f, texts[i]), &f->err);
	assert_ok(fixture_parse(f, "x.`a-b`"), &f->err);
	cel_env_switch(f->env, CEL_F_OPTIONAL_SYNTAX, false);
	cel_env_switch(f->env, CEL_F_QUOTED_NAMES, false);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_err(fixture_parse(f, texts[i]), WEIR_EPARSE);
	assert_message(f, "is switched off here");
	assert_err(fixture_parse(f, "x.`a-b`"), WEIR_EPARSE);
	cel_env_switch(f->env, CEL_F_QUOTED_NAMES, true);
	assert_ok(fixture_parse(f, "x.`a-b`"), &f->err);
	assert_ok(fixture_check(f, "1 < 2.0"), &f->err);
	cel_env_switch(f->env, CEL_F_MIXED_COMPARISONS, false);
	assert_err(fixture_check(f, "1 < 2.0"), WEIR_EINVAL);
	assert_ok(fixture_check(f, "1 < 2"), &f->err);
	cel_env_set_macros(f->env, false);
	assert_err(fixture_check(f, "l.all(v, v > 0)"), WEIR_EINVAL);
}

/* A problem far to the right is shown with a part of its line. */
static void test_long_line(void **state)
{
	struct fixture *f = *state;
	char text[2001];

	memset(text, ' ', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	text[1000] = '$';
	assert_err(fixture_parse(f, text), WEIR_EPARSE);
	assert_message(f, "t:1:1001: ");
	assert_true(strlen(f->err.msg) < 600);
	assert_message(f, " | ... ");
}

/* --- limits --- */

static char *repeat(struct fixture *f, const char *before, size_t n, const char *middle, const char *after)
{
	struct buf b CLEANUP_BUF = BUF_INIT(1 << 24);

	for (size_t i = 0; i < n; i++)
		buf_addz(&b, before);
	buf_addz(&b, middle);
	for (size_t i = 0; i < n; i++)
		buf_addz(&b, after);
	return arena_dup(&f->a, buf_str(&b));
}

static void test_depth(void **state)
{
	static const struct {
		const char *before, *middle, *after;
	} shapes[] = {
		{ "(", "1", ")" },         { "[", "1", "]" },         { "{1:", "1", "}" }, { "size(", "1", ")" },   { "1+", "1", "" },
		{ "", "x", ".f" },         { "", "x", "[0]" },        { "", "x", ".f()" }, { "x?1:", "1", "" },     { "x[", "0", "]" },
		{ "m{f:", "1", "}" },      { "!(", "x", ")" },        { "-(", "n", ")" },  { "x&&(y||", "z", ")" }, { "x<", "1", "" },
		{ "", "l", ".map(v, v)" }, { "l.map(v, ", "l", ")" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
		size_t little = strstr(shapes[i].before, "map") || strstr(shapes[i].after, "map") ? 30 : 60;

		assert_ok(fixture_parse(f, repeat(f, shapes[i].before, little, shapes[i].middle, shapes[i].after)), &f->err);
		if (fixture_parse(f, repeat(f, shapes[i].before, 9000, shapes[i].middle, shapes[i].after)) != -WEIR_ELIMIT)
			fail_msg("%s...%s: %s", shapes[i].before, shapes[i].after, f->err.msg);
		assert_message(f, "nested deeper than 250 levels");
	}
}

/* Long chains of && and || are balanced, and unary operators are counted, not nested. */
static void test_long_chains(void **state)
{
	struct fixture *f = *state;

	assert_ok(fixture_parse(f, repeat(f, "x && ", 15000, "x", "")), &f->err);
	assert_ok(fixture_parse(f, repeat(f, "x || ", 15000, "x", "")), &f->err);
	assert_ok(fixture_parse(f, repeat(f, "!", 50000, "x", "")), &f->err);
	assert_ok(fixture_parse(f, repeat(f, "-", 50001, "n", "")), &f->err);
}

/* The deepest nesting that an embedder may ask for goes through every pass. */
static void test_deepest(void **state)
{
	static const char *const shapes[][3] = {
		{ "[", "1", "]" }, { "1 + ", "1", "" }, { "size([", "1", "]) + 1" }, { "true ? 1 : ", "2", "" }, { "", "x", ".f" }
	};
	struct fixture *f = *state;
	struct cel_limits limits = { .depth_max = 1000 },
					  bad[] = { { .depth_max = 1001 }, { .nodes_max = 10000001 }, { .text_max = (64 << 20) + 1 } };
	struct cel_program *p;
	struct cel_cost cost;
	struct buf b CLEANUP_BUF = BUF_INIT(1 << 20);

	assert_ok(cel_env_new(&f->a, &limits, &f->env, &f->err), &f->err);
	assert_ok(cel_env_add_var(f->env, "x", &cel_dyn, &f->err), &f->err);
	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
		assert_ok(fixture_check(f, repeat(f, shapes[i][0], i == 2 ? 330 : 990, shapes[i][1], shapes[i][2])), &f->err);
		buf_clear(&b);
		cel_unparse(f->ast, &b);
		assert_false(b.failed);
		assert_ok(cel_cost_estimate(f->ast, NULL, NULL, &cost, &f->err), &f->err);
		assert_ok(cel_compile(&f->a, f->env, f->ast, &p, &f->err), &f->err);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_err(cel_env_new(&f->a, &bad[i], &f->env, &f->err), WEIR_EINVAL);
	assert_message(f, "depth_max 1000");
}

static void test_text_limit(void **state)
{
	struct fixture *f = *state;
	char *text = repeat(f, "a", 200000, "", "");

	assert_err(fixture_parse(f, text), WEIR_ELIMIT);
	assert_message(f, "more than 100000 bytes");
	text[99990] = '\0';
	assert_ok(fixture_parse(f, text), &f->err);
	text = repeat(f, "9", 90000, "", "");
	assert_err(fixture_parse(f, text), WEIR_EPARSE);
	text = repeat(f, "1.", 1, repeat(f, "9", 90000, "", ""), "");
	assert_err(fixture_parse(f, text), WEIR_EPARSE);
	assert_message(f, "a double literal of more than 1000 characters");
}

/* optMap copies its target: a chain of n would have 2^n nodes. */
static void test_exponential_macros(void **state)
{
	struct fixture *f = *state;
	struct cel_env *small;
	struct cel_limits limits = { .nodes_max = 40, .depth_max = 20 };

	assert_err(fixture_parse(f, repeat(f, "", 60, "x", ".optMap(v, v)")), WEIR_ELIMIT);
	assert_message(f, "more than 100000 nodes after its macros are expanded");
	assert_ok(cel_env_new(&f->a, &limits, &small, &f->err), &f->err);
	assert_ok(cel_parse(&f->a, small, "t", STR("[1, 2].all(x, x > 0)"), &f->ast, &f->err), &f->err);
	assert_err(cel_parse(&f->a, small, "t", STR("[1, 2].all(x, [3, 4].all(y, [5].all(z, x + y + z > 0 && x != y && y != z)))"),
						 &f->ast, &f->err),
			   WEIR_ELIMIT);
	assert_message(f, "more than 40 nodes");
}

/* Every size of arena gives a tree or a clean error. */
static void test_memory(void **state)
{
	static const char text[] = "l.map(v, v > 1, [v, {'a': 'b\\n', ?s: x}, m{f: 1}]).exists_one(i, i.?f[?0].orValue(1) == `q`) && "
							   "x.optMap(y, cel.bind(z, y, z))";
	struct fixture *f = *state;
	bool whole = false;

	for (size_t max = 0; max < 200000 && !whole; max += 16) {
		struct arena a = ARENA_INIT(max);
		int r = cel_parse(&a, f->env, "t",
						  STR("l.map(v, v > 1, [v, {'a': 'b\\n', ?s: x}, m{f: 1}]).exists_one(i, "
							  "i.?f[?0].orValue(1) == 2) && x.optMap(y, cel.bind(z, y, z)) || a && b && c"),
						  &f->ast, &f->err);

		assert_true(r == 0 || r == -WEIR_ELIMIT);
		whole = !r;
		arena_fini(&a);
	}
	assert_true(whole);
	assert_err(fixture_parse(f, text), WEIR_EPARSE); /* a quoted name is no expression */
}

/* --- trees as text --- */

static void test_unparse(void **state)
{
	static const char *const same[] = {
		"1 + 2 * 3",
		"(1 + 2) * 3",
		"1 - (2 - 3)",
		"1 - 2 - 3",
		"a && b && c && d",
		"a && (b && c)",
		"(a || b) && c",
		"a ? b : c ? d : e",
		"(a ? b : c) ? d : e",
		"a ? b || c : d",
		"-(1)",
		"-1",
		"-x",
		"-(1.f())",
		"-(-1)",
		"!(!x)",
		"!x.y",
		"x[0][?1].?a.b",
		"x.`a-b`",
		"x.?`in`",
		"[1, ?x]",
		"{1: 2, ?\"a\": x}",
		"a.B{f: 1, ?g: x, `h-i`: 2}",
		".a.b(1)",
		"1 in [1]",
		"\"a\\n\\\"\\\\\"",
		"b\"\\x00a\"",
		"1.5 + 2e+20 - 1e-07",
		"l.all(v, v > 0)",
		"has(x.y) && l.map(v, v > 1, v).size() == 0",
		"cel.bind(t, x, t)",
		"x.optMap(v, v + 1)",
		"math.greatest(1, 2, 3)",
		"(a < b) == (c < d)",
		"a < b == (c < d)",
		"1u + 0u",
		"null",
		"l.transformMap(k, v, k)",
		"cel.block([1], cel.index(0))",
		"x.y.z.w()[1]",
	};
	struct fixture *f = *state;
	struct buf b CLEANUP_BUF = BUF_INIT(1 << 20);

	for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
		const char *want = strcmp(same[i], "(a < b) == (c < d)") ? same[i] : "a < b == (c < d)";

		assert_ok(fixture_parse(f, same[i]), &f->err);
		buf_clear(&b);
		cel_unparse(f->ast, &b);
		assert_string_equal(buf_z(&b), want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CEL_TEST(test_problems),    CEL_TEST(test_switches),   CEL_TEST(test_long_line), CEL_TEST(test_depth),
		CEL_TEST(test_long_chains), CEL_TEST(test_text_limit), CEL_TEST(test_deepest),   CEL_TEST(test_exponential_macros),
		CEL_TEST(test_memory),      CEL_TEST(test_unparse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
