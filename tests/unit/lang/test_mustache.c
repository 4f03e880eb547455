/* What the public suite does not pin: escaping by output, errors with their place, limits, strict mode, indentation of what is
 * inherited. */
#include "tests/lib/test.h"

#include "lang/mustache/mustache.h"

static const char *const partials[][2] = {
	{ "loop", "x{{>loop}}" },
	{ "two", "1\n2\n" },
	{ "outer", "a\n  {{>two}}\nb\n" },
	{ "grandparent", "top\n{{$block}}\n  default\n{{/block}}\nend\n" },
	{ "parent", "{{<grandparent}}{{$block}}\n one\n {{$nested}}\n   two\n {{/nested}}\n{{/block}}{{/grandparent}}\n" },
	{ "page", "<{{$title}}none{{/title}}|{{$body}}empty{{/body}}>" },
	{ "wrapped", "{{<page}}{{$title}}wrapped{{/title}}{{/page}}" },
	{ "missing", "{{nosuch}}" },
};

struct fixture {
	struct arena a;
	struct buf out;
	struct err err;
	struct mustache_env env;
};

static const struct mustache *partial(void *ctx, str name)
{
	struct fixture *f = ctx;
	struct mustache *t;

	for (size_t i = 0; i < ARRAY_SIZE(partials); i++) {
		if (!str_eqz(name, partials[i][0]))
			continue;
		assert_ok(mustache_parse(&f->a, partials[i][0], str_z(partials[i][1]), &t, &f->err), &f->err);
		return t;
	}
	return NULL;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	arena_init(&f->a, 64 << 20);
	buf_init(&f->out, 1 << 20);
	f->env = (struct mustache_env){ .escape = MUSTACHE_HTML, .partial = partial, .ctx = f };
	*state = f;
	return 0;
}
static int teardown(void **state)
{
	struct fixture *f = *state;

	arena_fini(&f->a);
	buf_fini(&f->out);
	free(f);
	return 0;
}

static int render(struct fixture *f, const char *text, const char *json)
{
	struct mustache *t;
	struct doc_node *data;
	int r;

	assert_ok(doc_parse_json(&f->a, "data", str_z(json), &data, &f->err), &f->err);
	buf_clear(&f->out);
	r = mustache_parse(&f->a, "t", str_z(text), &t, &f->err);
	return r ? r : mustache_render(t, data, &f->env, &f->out, &f->err);
}

static void check(struct fixture *f, const char *text, const char *json, const char *want)
{
	if (render(f, text, json))
		fail_msg("%s: %s", text, f->err.msg);
	if (!str_eqz(buf_str(&f->out), want))
		fail_msg("%s\nexpected\n%s\nseen\n%s", text, want, buf_z(&f->out));
}

static void check_error(struct fixture *f, const char *text, const char *json, int code, const char *want)
{
	assert_err(render(f, text, json), code);
	if (!strstr(f->err.msg, want))
		fail_msg("%.100s: expected '%s', seen '%s'", text, want, f->err.msg);
}

static void test_escape(void **state)
{
	struct fixture *f = *state;
	static const char *const cases[][4] = {
		/* value as JSON, HTML, shell, YAML */
		{ "\"plain-text_1.0/x\"", "plain-text_1.0/x", "plain-text_1.0/x", "plain-text_1.0/x" },
		{ "\"<a href='x'>\"", "&lt;a href=&#39;x&#39;&gt;", "'<a href='\\''x'\\''>'", "\"<a href='x'>\"" },
		{ "\"$(rm -rf /); `id`\"", "$(rm -rf /); `id`", "'$(rm -rf /); `id`'", "\"$(rm -rf /); `id`\"" },
		{ "\"\"", "", "''", "\"\"" },
		{ "\"a\\nb: c\"", "a\nb: c", "'a\nb: c'", "\"a\\nb: c\"" },
		{ "\"no\"", "no", "no", "\"no\"" },
		{ "\"1e3\"", "1e3", "1e3", "\"1e3\"" },
		{ "\"- x # y\"", "- x # y", "'- x # y'", "\"- x # y\"" },
		{ "1.5", "1.5", "1.5", "1.5" },
		{ "\"10m\"", "10m", "10m", "10m" },
		{ "\"1e\"", "1e", "1e", "\"1e\"" },
		{ "-3", "-3", "-3", "-3" },
		{ "true", "true", "true", "true" },
		{ "\"x\\u0000y\"", NULL, "'xy'", "\"x\\u0000y\"" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (int e = 0; e < 3; e++) {
			char *json = arena_printf(&f->a, "{\"v\":%s}", cases[i][0]);

			f->env.escape = e == 0 ? MUSTACHE_HTML : e == 1 ? MUSTACHE_SHELL : MUSTACHE_YAML;
			if (cases[i][e + 1])
				check(f, "{{v}}", json, cases[i][e + 1]);
		}
	}
	check(f, "{{{v}}}{{&v}}", "{\"v\":\"<\"}", "<<");
	f->env.escape = MUSTACHE_NONE;
	check(f, "{{v}}", "{\"v\":\"<'\"}", "<'");
}

static void test_errors(void **state)
{
	struct fixture *f = *state;

	check_error(f, "a\n b {{x", "{}", WEIR_EPARSE, "t:2:4: tag is not closed: '{{x'");
	check_error(f, "{{{x}}", "{}", WEIR_EPARSE, "t:1:1: tag is not closed");
	check_error(f, "{{#a}}\n{{/b}}", "{}", WEIR_EPARSE, "t:2:1: 'b' closes, but 'a' of line 1 is open");
	check_error(f, "\n\n {{#a}}", "{}", WEIR_EPARSE, "t:3:2: 'a' is never closed");
	check_error(f, "{{/a}}", "{}", WEIR_EPARSE, "t:1:1: nothing is open that this closes: 'a'");
	check_error(f, "{{}}", "{}", WEIR_EPARSE, "t:1:1: a tag needs a name");
	check_error(f, "{{a b}}", "{}", WEIR_EPARSE, "t:1:1: a name has no white space: 'a b'");
	check_error(f, "{{=x=}}", "{}", WEIR_EPARSE, "two delimiters");
	check_error(f, "{{= a=b c =}}", "{}", WEIR_EPARSE, "two delimiters");
	f->env.strict = true;
	check_error(f, "{{a.b}}\n{{a.c}}", "{\"a\":{\"b\":1}}", WEIR_EINVAL, "t:2:1: nothing gives a value for 'a.c'");
	check_error(f, "{{>missing}}", "{}", WEIR_EINVAL, "missing:1:1: nothing gives a value for 'nosuch'");
	check(f, "{{#a}}x{{/a}}{{^a}}y{{/a}}{{b}}", "{\"b\":\"\"}", "y");
}

static void test_limits(void **state)
{
	struct fixture *f = *state;
	struct buf deep CLEANUP_BUF = BUF_INIT(1 << 20);
	struct arena tiny CLEANUP_ARENA = ARENA_INIT(1000);
	struct mustache *t;

	check_error(f, "{{>loop}}", "{}", WEIR_ELIMIT, "loop:1:2: sections, partials and lambdas nest too deep");
	for (int i = 0; i < 101; i++)
		buf_addz(&deep, "{{#a}}");
	check_error(f, buf_z(&deep), "{}", WEIR_ELIMIT, "sections nest deeper than 100");
	f->env.steps_max = 10;
	check_error(f, "{{#l}}{{.}}{{/l}}", "{\"l\":[1,2,3,4,5,6,7,8,9,10,11]}", WEIR_ELIMIT, "renders more tags than allowed");
	f->env.steps_max = 0;
	f->out.max = 100;
	check_error(f, "{{#l}}0123456789012345678901234567890123456789{{/l}}", "{\"l\":[1,2,3]}", WEIR_ELIMIT, "rendered text");
	check_error(
		f, "{{v}}",
		"{\"v\":\"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789x\"}",
		WEIR_ELIMIT, "100");
	assert_err(mustache_parse(&tiny, "t", STR("{{a}}{{a}}{{a}}{{a}}{{a}}{{a}}{{a}}{{a}}{{a}}{{a}}{{a}}{{a}}"), &t, &f->err),
			   WEIR_ELIMIT);
}

/* A huge literal and a huge name are texts like others; the arena and the output say where it ends. */
static void test_huge(void **state)
{
	struct fixture *f = *state;
	struct buf text CLEANUP_BUF = BUF_INIT(8 << 20);

	for (int i = 0; i < 100000; i++)
		buf_addz(&text, "0123456789");
	check(f, buf_z(&text), "{}", buf_z(&text)); /* 1,000,000 bytes, just below the output's max */
	buf_addz(&text, "{{a}}");
	for (int i = 0; i < 100000; i++)
		buf_addz(&text, "0123456789");
	check_error(f, buf_z(&text), "{\"a\":1}", WEIR_ELIMIT, "rendered text");
	buf_clear(&text);
	buf_addz(&text, "{{");
	for (int i = 0; i < 100000; i++)
		buf_addz(&text, "name.");
	buf_addz(&text, "x}}");
	check(f, buf_z(&text), "{}", "");
}

/* The same template and data give the same bytes, also when the template was parsed again and others were rendered between. */
static void test_deterministic(void **state)
{
	static const char *const parts[] = { "{{a}}", "{{{b}}}", "{{#l}}[{{.}}]{{/l}}", "{{^n}}none{{/n}}", "{{#o}}{{x}}{{y}}{{/o}}", "text\n", "  {{>p}}\n", "{{!c}}", "{{&b}}" };
	static const char json[] = "{\"a\":\"<&>\",\"b\":\"\\\"'\",\"l\":[1,2.5,\"x\"],\"n\":[],\"o\":{\"x\":true,\"y\":null}}";
	struct fixture *f = *state;
	unsigned seed = 7;

	for (int round = 0; round < 300; round++) {
		struct buf text CLEANUP_BUF = BUF_INIT(4096), first CLEANUP_BUF = BUF_INIT(1 << 16);

		for (int i = 0; i < 6; i++)
			buf_addz(&text, parts[(seed = seed * 1103515245u + 12345u) / 65536u % ARRAY_SIZE(parts)]);
		assert_ok(render(f, buf_z(&text), json), &f->err);
		buf_add_str(&first, buf_str(&f->out));
		assert_ok(render(f, "{{#l}}{{a}}{{/l}}", json), &f->err);
		check(f, buf_z(&text), json, buf_z(&first));
	}
}

static void test_indentation(void **state)
{
	struct fixture *f = *state;

	check(f, " {{>outer}}\n", "{}", " a\n   1\n   2\n b\n");
	check(f, "x {{>two}}", "{}", "x 1\n2\n");
	check(f, "{{<parent}}{{$nested}}\nthree\nfour\n{{/nested}}{{/parent}}\n", "{}", "top\n  one\n    three\n    four\nend\n");
	check(f, "  {{<parent}}{{/parent}}\n", "{}", "  top\n    one\n      two\n  end\n");
	check(f, "{{#a}}\n {{>two}}\n{{/a}}\n", "{\"a\":[1,2]}", " 1\n 2\n 1\n 2\n");
}

static void test_inheritance(void **state)
{
	struct fixture *f = *state;

	check(f, "{{<page}}{{$title}}T{{/title}}{{/page}}", "{}", "<T|empty>");
	check(f, "{{<wrapped}}{{$body}}B{{/body}}{{/wrapped}}", "{}", "<wrapped|B>");
	check(f, "{{<wrapped}}{{$title}}T{{/title}}{{/wrapped}}", "{}", "<T|empty>");
	/* names inside what is given mean what they mean where it was written: this must end */
	check(f, "{{<page}}{{$body}}{{<page}}{{$body}}in{{/body}}{{/page}}{{/body}}{{/page}}", "{}", "<none|<none|in>>");
	check(f, "{{<page}}{{$body}}{{$body}}own{{/body}}{{/body}}{{/page}}", "{}", "<none|own>");
	check(f, "{{<*which}}{{$title}}T{{/title}}{{/*which}}{{>*no}}{{>*a.b}}", "{\"which\":\"page\",\"a\":{\"b\":\"two\"}}",
		  "<T|empty>1\n2\n");
	check(f, "{{<nosuch}}{{$title}}T{{/title}}{{/nosuch}}.", "{}", ".");
	/* data is never read as a template */
	check(f, "{{a}}", "{\"a\":\"{{b}}\",\"b\":1}", "{{b}}");
}

static int lambda(void *ctx, const struct doc_node *v, str raw, struct buf *out, bool *ret_is_lambda, struct err *reterr)
{
	(void)ctx;
	*ret_is_lambda = v->kind == DOC_STR && str_has_prefix(v->s, STR("fn:"));
	if (*ret_is_lambda && str_eqz(v->s, "fn:fail"))
		return err_set(reterr, WEIR_EREFUSED, "no");
	if (*ret_is_lambda && out)
		buf_addf(out, "%s[%.*s]", str_eqz(v->s, "fn:bad") ? "{{" : "", STR_ARG(raw));
	return 0;
}

static void test_lambda(void **state)
{
	struct fixture *f = *state;

	f->env.lambda = lambda;
	check(f, "{{#f}}a{{x}}{{/f}}{{^f}}no{{/f}}{{f}}", "{\"f\":\"fn:\",\"x\":\"<\"}", "[a&lt;][]");
	check_error(f, "{{f}}", "{\"f\":\"fn:fail\"}", WEIR_EREFUSED, "no");
	check_error(f, "{{#f}}a{{/f}}", "{\"f\":\"fn:bad\"}", WEIR_EPARSE, "t:1:1: the lambda gave a template that cannot be parsed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_escape, setup, teardown),
		cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_huge, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deterministic, setup, teardown),
		cmocka_unit_test_setup_teardown(test_indentation, setup, teardown),
		cmocka_unit_test_setup_teardown(test_inheritance, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lambda, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
