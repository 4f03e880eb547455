/* mustache.c - mustache/spec: {module, name, data, template, partials?, expected}.
 *
 * Lambdas stand in the data as program texts in a dozen languages. Their JavaScript form is nearly always one expression
 * over texts (concatenation, ==, ?:), which the small evaluator below runs; cases whose lambda keeps state are skipped. */
#include "base/base.h"
#include "conformance.h"

#include "lang/mustache/mustache.h"

/* --- lambdas: `function(txt) { return EXPRESSION }` --- */

struct js {
	str rest;
	str argument_name, argument;
	bool broken;
};

static bool take(struct js *j, const char *what)
{
	j->rest = str_trim(j->rest);
	if (!str_has_prefix(j->rest, str_z(what)))
		return false;
	j->rest = str_sub(j->rest, strlen(what), j->rest.len);
	return true;
}

static void js_primary(struct js *j, struct buf *out)
{
	if (take(j, "\"")) {
		size_t n = str_find(j->rest, '"');

		j->broken |= n >= j->rest.len || str_find(str_sub(j->rest, 0, n), '\\') < n;
		buf_add_str(out, str_sub(j->rest, 0, n));
		j->rest = str_sub(j->rest, n + 1, j->rest.len);
	} else if (take(j, "false")) {
		buf_addz(out, "false");
	} else if (j->argument_name.len && str_has_prefix(str_trim(j->rest), j->argument_name)) {
		j->rest = str_sub(str_trim(j->rest), j->argument_name.len, j->rest.len);
		buf_add_str(out, j->argument);
	} else {
		j->broken = true;
	}
}

static void js_sum(struct js *j, struct buf *out)
{
	do
		js_primary(j, out);
	while (!j->broken && take(j, "+"));
}

static void js_expression(struct js *j, struct buf *out)
{
	struct buf left CLEANUP_BUF = BUF_INIT(1 << 20), right CLEANUP_BUF = BUF_INIT(1 << 20);
	struct buf yes CLEANUP_BUF = BUF_INIT(1 << 20), no CLEANUP_BUF = BUF_INIT(1 << 20);

	if (take(j, "(")) {
		js_expression(j, out);
		j->broken |= !take(j, ")");
		return;
	}
	js_sum(j, &left);
	if (!take(j, "==")) {
		buf_add_str(out, buf_str(&left));
		return;
	}
	js_sum(j, &right);
	j->broken |= !take(j, "?");
	js_sum(j, &yes);
	j->broken |= !take(j, ":");
	js_sum(j, &no);
	buf_add_str(out, str_eq(buf_str(&left), buf_str(&right)) ? buf_str(&yes) : buf_str(&no));
}

static bool js_run(str code, str argument, struct buf *out)
{
	struct js j = { .rest = code, .argument = argument };

	if (!take(&j, "function("))
		return false;
	str_cut(j.rest, ')', &j.argument_name, &j.rest);
	if (!take(&j, "{") || !take(&j, "return"))
		return false;
	js_expression(&j, out);
	return !j.broken && (take(&j, "}") || (take(&j, ";") && take(&j, "}")));
}

struct context {
	struct conf_case *c;
	bool unsupported; /* a lambda that the evaluator cannot run */
	struct err err;   /* of a partial */
};

static int lambda(void *ctx, const struct doc_node *value, str raw, struct buf *out, bool *ret_is_lambda, struct err *reterr)
{
	struct context *x = ctx;

	*ret_is_lambda = value->kind == DOC_MAP && str_eqz(doc_get_str(value, "__tag__"), "code");
	if (*ret_is_lambda && out && !js_run(doc_get_str(value, "js"), raw, out)) {
		x->unsupported = true;
		return err_set(reterr, WEIR_EREFUSED, "the lambda needs a whole programming language");
	}
	return 0;
}

static const struct mustache *partial(void *ctx, str name)
{
	struct context *x = ctx;
	const struct doc_node *text = doc_get_n(doc_get(x->c->json, "partials"), name);
	struct mustache *t = NULL;

	if (!text || mustache_parse(x->c->arena, arena_dup(x->c->arena, name), text->s, &t, &x->err))
		return NULL;
	return t;
}

static void run(struct conf_case *c)
{
	struct context x = { .c = c };
	struct mustache_env env = { .partial = partial, .lambda = lambda, .ctx = &x };
	struct mustache *t;
	struct buf out CLEANUP_BUF = BUF_INIT(1 << 20);
	struct err err = { 0 };
	int r;

	c->name = arena_printf(c->arena, "%.*s: %s", STR_ARG(doc_get_str(c->json, "module")), c->name);
	r = mustache_parse(c->arena, "template", doc_get_str(c->json, "template"), &t, &err);
	if (!r)
		r = mustache_render(t, doc_get(c->json, "data"), &env, &out, &err);
	if (r && x.unsupported)
		conf_skip(c, NULL, "%s", err.msg);
	else if (r || x.err.code)
		conf_fail(c, NULL, "a text", "%s", r ? err.msg : x.err.msg);
	else
		conf_equal(c, NULL, doc_get_str(c->json, "expected"), buf_str(&out));
}

static const char *const files[] = { "golden/mustache.jsonl", NULL };
const struct conf_suite suite_mustache = { .name = "mustache", .files = files, .run = run };
