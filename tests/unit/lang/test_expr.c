/* What the public suite does not pin: texts with ${{ }}, `if`, status functions, hashFiles, limits, number formats. */
#include "tests/lib/test.h"

#include "lang/expr/expr.h"

static bool yes(void *ctx)
{
	(*(int *)ctx)++;
	return true;
}
static bool no(void *ctx)
{
	(*(int *)ctx)++;
	return false;
}
static bool of_two(void *ctx, const str *jobs, size_t n)
{
	(void)ctx;
	return n == 2 && str_eqz(jobs[0], "a") && str_eqz(jobs[1], "b");
}
static int hash(void *ctx, const str *patterns, size_t n, struct buf *out, struct err *reterr)
{
	(void)ctx;
	if (str_eqz(patterns[0], "bad"))
		return err_set(reterr, WEIR_EIO, "disk on fire");
	buf_addf(out, "%zu:%.*s", n, STR_ARG(patterns[n - 1]));
	return 0;
}

static int calls;
static struct expr_ops ops_ok = { .success = yes, .failure = no, .cancelled = no, .hash_files = hash, .ctx = &calls };
static struct expr_ops ops_failed = { .success = no, .failure = yes, .cancelled = no, .ctx = &calls };

struct fixture {
	struct arena a;
	struct expr_env env;
	struct err err;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct doc_node *doc;

	arena_init(&f->a, 64 << 20);
	if (doc_parse_json(&f->a, "contexts",
					   STR("{\"github\":{\"ref\":\"main\",\"n\":3},\"env\":{\"A\":\"x\"},\"l\":[1,[2],{\"k\":null}]}"), &doc,
					   &f->err))
		fail_msg("%s", f->err.msg);
	f->env.contexts = expr_from_doc(&f->a, doc);
	*state = f;
	return 0;
}
static int teardown(void **state)
{
	struct fixture *f = *state;

	arena_fini(&f->a);
	free(f);
	return 0;
}

static int eval(struct fixture *f, const char *text, str *ret)
{
	const struct expr_value *v;
	struct expr *e;
	int r = expr_parse(&f->a, str_z(text), &e, &f->err);

	if (!r)
		r = expr_eval(&f->a, e, &f->env, &v, &f->err);
	if (!r)
		*ret = expr_to_string(&f->a, v);
	return r;
}

static void check(struct fixture *f, const char *text, const char *want)
{
	str s;
	int r = eval(f, text, &s);

	if (r)
		fail_msg("%s: %s", text, f->err.msg);
	if (!str_eqz(s, want))
		fail_msg("%s: expected '%s', seen '%.*s'", text, want, STR_ARG(s));
}

static void check_error(struct fixture *f, const char *text, int code, const char *want)
{
	str s;

	assert_err(eval(f, text, &s), code);
	if (!str_contains(str_z(f->err.msg), str_z(want)))
		fail_msg("%.100s: expected '%s', seen '%s'", text, want, f->err.msg);
}

static void test_numbers(void **state)
{
	struct fixture *f = *state;
	static const char *const cases[][2] = {
		{ "format('{0}', 1e15)", "1E+15" },
		{ "format('{0}', 123456789012345)", "123456789012345" },
		{ "format('{0}', 1e14)", "100000000000000" },
		{ "format('{0}', 0.0001)", "0.0001" },
		{ "format('{0}', 0.00001)", "1E-05" },
		{ "format('{0}', -1.5e-7)", "-1.5E-07" },
		{ "format('{0}', 1.25e+100)", "1.25E+100" },
		{ "format('{0}', 99.5)", "99.5" },
		{ "format('{0}', 0.1)", "0.1" },
		{ "format('{0}', 1e999)", "Infinity" },
		{ "format('{0}', -0.00012345)", "-0.00012345" },
		{ "'1.' == 1", "true" },
		{ "'.' == 0", "false" },
		{ "'1e' == 1", "false" },
		{ "'0x' == 0", "false" },
		{ "'0o8' == 8", "false" },
		{ "'0xfg' == 15", "false" },
		{ "format('{0}', 0xFFFFFFFFFF)", "1099511627775" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check(f, cases[i][0], cases[i][1]);
}

static void test_text(void **state)
{
	struct fixture *f = *state;
	static const char *const cases[][2] = {
		{ "plain", "plain" },
		{ "", "" },
		{ "a ${{ github.ref }}-${{ github.n }} b", "a main-3 b" },
		{ "${{ '}}' }}x", "}}x" },
		{ "${{ 'it''s }}' }}", "it's }}" },
		{ "$${{ 1 }}", "$1" },
		{ "${ {1}}", "${ {1}}" },
		{ "${{ l }}", "Array" },
		{ "${{ github }}!", "Object!" },
		{ "${{ null }}|${{ true }}", "|true" },
	};
	const struct expr_value *v;
	struct expr_text *t;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_ok(expr_text_parse(&f->a, str_z(cases[i][0]), &t, &f->err), &f->err);
		assert_int_equal(expr_text_is_plain(t), !strstr(cases[i][0], "${{"));
		assert_ok(expr_text_eval(&f->a, t, &f->env, &v, &f->err), &f->err);
		assert_str(expr_to_string(&f->a, v), cases[i][1]);
	}
	/* one single expression keeps its kind */
	assert_ok(expr_text_parse(&f->a, STR("${{ l }}"), &t, &f->err), &f->err);
	assert_ok(expr_text_eval(&f->a, t, &f->env, &v, &f->err), &f->err);
	assert_int_equal(v->kind, EXPR_ARRAY);
	assert_err(expr_text_parse(&f->a, STR("x ${{ 1 "), &t, &f->err), WEIR_EPARSE);
	assert_non_null(strstr(f->err.msg, "character 3"));
	assert_err(expr_text_parse(&f->a, STR("${{ }}"), &t, &f->err), WEIR_EPARSE);
	assert_err(expr_text_parse(&f->a, STR("a${{ 1 + }}"), &t, &f->err), WEIR_EPARSE);
}

static void note_offset(void *ctx, const struct expr *e, size_t offset)
{
	(void)e;
	*(size_t *)ctx = *(size_t *)ctx * 100 + offset;
}

static void test_text_offsets(void **state)
{
	struct fixture *f = *state;
	struct expr_text *t;
	size_t seen = 0;

	assert_ok(expr_text_parse(&f->a, STR("ab${{ 1 }}c${{ 2 }}"), &t, &f->err), &f->err);
	expr_text_each(t, note_offset, &seen);
	assert_int_equal(seen, 514);
}

static void check_if(struct fixture *f, const char *text, bool want)
{
	bool is = !want;

	assert_ok(expr_if_eval(&f->a, str_z(text), &f->env, &is, &f->err), &f->err);
	if (is != want)
		fail_msg("if: %s: expected %d", text, want);
}

static void test_if(void **state)
{
	struct fixture *f = *state;
	bool is;

	f->env.ops = &ops_ok;
	check_if(f, "", true);
	check_if(f, "github.ref == 'MAIN'", true);
	check_if(f, "${{ github.ref == 'main' }}", true);
	check_if(f, "github.ref != 'main'", false);
	check_if(f, "failure()", false);
	check_if(f, "false || success()", true);
	f->env.ops = &ops_failed;
	check_if(f, "", false);
	check_if(f, "true", false);
	check_if(f, "${{ true }}", false);
	check_if(f, "true && always()", true);
	check_if(f, "FAILURE() && github.n > 2", true);
	check_if(f, "!cancelled()", true);
	check_if(f, "success() || github.n == 3", true);
	/* a text around the expression makes it a text, which is true when it is not empty (as GitHub has it) */
	f->env.ops = &ops_ok;
	check_if(f, "${{ false }} == true", true);
	f->env.ops = &ops_failed;
	assert_err(expr_if_eval(&f->a, STR("nosuch.x"), &f->env, &is, &f->err), WEIR_EPARSE);
	assert_err(expr_if_eval(&f->a, STR("1 +"), &f->env, &is, &f->err), WEIR_EPARSE);
}

static void test_functions_of_the_embedder(void **state)
{
	struct fixture *f = *state;
	struct expr_ops ops = ops_ok;

	check_error(f, "success()", WEIR_EPARSE, "Unrecognized function: 'success'. Located at position 1");
	check_error(f, "always()", WEIR_EPARSE, "Unrecognized function: 'always'");
	check_error(f, "true || hashFiles('x')", WEIR_EPARSE, "Unrecognized function: 'hashFiles'. Located at position 9");
	f->env.ops = &ops;
	check(f, "hashfiles('a', github.ref)", "2:main");
	check_error(f, "hashFiles('bad')", WEIR_EIO, "disk on fire");
	check(f, "success() && !failure() && !cancelled() && always()", "true");
	check_error(f, "success('a', 'b')", WEIR_EPARSE, "Too many parameters supplied: 'success'");
	check_error(f, "cancelled(1)", WEIR_EPARSE, "Too many parameters supplied: 'cancelled'");
	ops.success_of = of_two;
	check(f, "success('a', 'b')", "true");
	check(f, "success('b')", "false");
	check_error(f, "nosuch(1)", WEIR_EPARSE, "Unrecognized function: 'nosuch'");
}

static void note_name(void *ctx, str name, uint32_t col)
{
	buf_addf(ctx, "%.*s@%u ", STR_ARG(name), col);
}

static void test_names(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = { "secrets", NULL };
	struct buf seen CLEANUP_BUF = BUF_INIT(1000);
	struct expr *e;

	check_error(f, "false && secrets.x", WEIR_EPARSE, "Unrecognized named-value: 'secrets'. Located at position 10");
	f->env.names = names;
	check(f, "Secrets.x == null", "true");
	check(f, "GITHUB.REF", "main");
	assert_ok(expr_parse(&f->a, STR("GitHub.env && contains(needs.a.b, env[matrix.os])"), &e, &f->err), &f->err);
	expr_each_context(e, note_name, &seen);
	assert_string_equal(buf_z(&seen), "github@1 needs@24 env@35 matrix@39 ");
	assert_false(expr_uses_status(e));
	assert_ok(expr_parse(&f->a, STR("x && Always()"), &e, &f->err), &f->err);
	assert_true(expr_uses_status(e));
}

static void test_json(void **state)
{
	struct fixture *f = *state;

	check(f, "toJSON(l)", "[\n  1,\n  [\n    2\n  ],\n  {\n    \"k\": null\n  }\n]");
	check(f, "fromJSON(toJSON(github)).REF", "main");
	check(f, "fromJSON('{\"a\":[{\"b\":1},{\"b\":2}]}').a.*.b[0]", "Array"); /* [0] maps over the items: no item is a list */
	check(f, "toJSON(fromJSON('{\"a\":[{\"b\":1},{\"c\":2}]}').a.*.b)", "[\n  1\n]");
	check_error(f, "fromJSON('{')", WEIR_EPARSE, "fromJSON:1");
	check_error(f, "fromJSON('')", WEIR_EPARSE, "fromJSON");
}

static void test_precedence(void **state)
{
	struct fixture *f = *state;

	check(f, "1 == 3 < 2", "false"); /* 1 == (3 < 2) */
	check(f, "false && true || true", "true");
	check(f, "!false == true", "true");
	check(f, "false == !true && 'x'", "x");
}

static char *repeat(struct arena *a, const char *before, const char *what, size_t n, const char *behind)
{
	struct buf b CLEANUP_BUF = BUF_INIT(1 << 20);

	buf_addz(&b, before);
	while (n--)
		buf_addz(&b, what);
	buf_addz(&b, behind);
	return arena_dup(a, buf_str(&b));
}

static void test_limits(void **state)
{
	struct fixture *f = *state;
	struct buf parens CLEANUP_BUF = BUF_INIT(1 << 20);
	struct arena tiny CLEANUP_ARENA = ARENA_INIT(4096);
	struct expr *e;

	check_error(f, repeat(&f->a, "'", "x", 21000, "'"), WEIR_EPARSE, "Exceeded max expression length 21000");
	check(f, repeat(&f->a, "1 || '", "x", 20993, "'"), "1"); /* exactly 21,000 */
	check_error(f, repeat(&f->a, "", "(", 20000, ""), WEIR_EPARSE, "Unexpected end of expression");
	check_error(f, repeat(&f->a, "", "!", 20000, "1"), WEIR_EPARSE, "Exceeded max expression depth 50");
	check_error(f, repeat(&f->a, "l", "[1", 5000, ""), WEIR_EPARSE, "Unexpected end");
	check_error(f, repeat(&f->a, "toJSON(", "toJSON(", 2000, ""), WEIR_EPARSE, "Unexpected end");
	check_error(f, repeat(&f->a, "format('x'", ",1", 255, ")"), WEIR_EPARSE, "Too many parameters supplied: 'format'");
	check(f, repeat(&f->a, "format('{253}'", ",1", 254, ")"), "1");
	for (int i = 0; i < 10000; i++)
		buf_addc(&parens, '(');
	buf_addz(&parens, "7");
	for (int i = 0; i < 10000; i++)
		buf_addc(&parens, ')');
	check(f, buf_z(&parens), "7");
	check_error(f,
				"format('{0}{0}{0}{0}{0}{0}{0}{0}', format('{0}{0}{0}{0}{0}{0}{0}{0}', format('{0}{0}{0}{0}{0}{0}{0}{0}', "
				"format('{0}{0}{0}{0}{0}{0}{0}{0}', format('{0}{0}{0}{0}{0}{0}{0}{0}', 'xxxxxxxxxxxxxxxxxxxxxxx')))))",
				WEIR_ELIMIT, "The maximum allowed memory size was exceeded");
	assert_err(expr_parse(&tiny, str_z(repeat(&f->a, "1", " && 1", 1000, "")), &e, &f->err), WEIR_ELIMIT);
}

static void test_arena_used_up_while_evaluating(void **state)
{
	struct fixture *f = *state;
	struct expr *e;

	assert_ok(expr_parse(&f->a, STR("join(l.*, format('{0}{1}', github.n, 'abc')) == toJSON(fromJSON('[1,2,{}]'))"), &e, &f->err),
			  &f->err);
	for (size_t max = 0;; max += 16) {
		struct arena small CLEANUP_ARENA = ARENA_INIT(max);
		const struct expr_value *v = NULL;
		int r = expr_eval(&small, e, &f->env, &v, &f->err);

		if (!r) {
			assert_true(max > 100);
			assert_ptr_equal(v, &expr_false);
			break;
		}
		assert_int_equal(r, -WEIR_ELIMIT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_numbers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_text, setup, teardown),
		cmocka_unit_test_setup_teardown(test_text_offsets, setup, teardown),
		cmocka_unit_test_setup_teardown(test_if, setup, teardown),
		cmocka_unit_test_setup_teardown(test_functions_of_the_embedder, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_json, setup, teardown),
		cmocka_unit_test_setup_teardown(test_precedence, setup, teardown),
		cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_arena_used_up_while_evaluating, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
