/* expressions.c - GitHub Actions expressions (actions/languageservices): {file, group, index, expr, contexts?, and result {kind,
 * value} or err {kind, value}}. Errors must come at the right time (parsing or evaluation) and contain the text of the case. */
#include "base/base.h"
#include "conformance.h"

#include "lang/expr/expr.h"

#include <math.h>

static bool number_is(const struct doc_node *want, double n)
{
	double d;

	if (want->kind == DOC_STR && str_eqz(want->s, "NaN"))
		return isnan(n);
	if (want->kind == DOC_STR && str_has_suffix(want->s, STR("Infinity")))
		return isinf(n) && (n < 0) == (want->s.ptr[0] == '-');
	if (want->kind == DOC_STR)
		return str_to_double(want->s, &d) && d == n && signbit(d) == signbit(n);
	return want->kind == DOC_INT ? (double)want->i == n : want->kind == DOC_REAL && want->d == n;
}

static bool value_is(const struct doc_node *want, const struct expr_value *v)
{
	switch (v->kind) {
	case EXPR_NULL: return want->kind == DOC_NULL;
	case EXPR_BOOL: return want->kind == DOC_BOOL && want->b == v->b;
	case EXPR_NUMBER: return number_is(want, v->n);
	case EXPR_STRING: return want->kind == DOC_STR && str_eq(want->s, v->s);
	case EXPR_ARRAY:
		if (want->kind != DOC_SEQ || want->seq.n != v->len)
			return false;
		for (size_t i = 0; i < v->len; i++)
			if (!value_is(want->seq.items[i], v->items[i]))
				return false;
		return true;
	case EXPR_OBJECT:
		if (want->kind != DOC_MAP || want->map.n != v->len)
			return false;
		for (size_t i = 0; i < v->len; i++)
			if (!str_eq(want->map.pairs[i].key, v->pairs[i].key) || !value_is(want->map.pairs[i].value, v->pairs[i].value))
				return false;
		return true;
	}
	return false;
}

static void show(struct conf_case *c, const struct doc_node *result, const struct expr_value *v)
{
	static const char *const kinds[] = { "Null", "Boolean", "Number", "String", "Array", "Object" };
	struct buf want CLEANUP_BUF = BUF_INIT(1 << 20), seen CLEANUP_BUF = BUF_INIT(1 << 20);

	if (str_eqz(doc_get_str(result, "kind"), kinds[v->kind]) && value_is(doc_get(result, "value"), v)) {
		conf_pass(c, NULL);
		return;
	}
	if (result)
		doc_canonical(result, &want);
	else
		buf_addz(&want, "an error");
	if (expr_to_json(v, &seen, NULL))
		buf_addz(&seen, "(too long to show)");
	conf_fail(c, NULL, buf_z(&want), "%s %s", kinds[v->kind], buf_z(&seen));
}

static void run(struct conf_case *c)
{
	const struct doc_node *want = doc_get(c->json, "err");
	struct expr_env env = { .contexts = expr_from_doc(c->arena, doc_get(c->json, "contexts")) };
	const struct expr_value *v = NULL;
	struct expr *e;
	struct err err = { 0 };
	bool evaluated = false;
	int r = expr_parse_for(c->arena, doc_get_str(c->json, "expr"), &env, &e, &err);

	if (!r) {
		evaluated = true;
		r = expr_eval(c->arena, e, &env, &v, &err);
	}
	if (!r)
		show(c, doc_get(c->json, "result"), v);
	else if (!want)
		conf_fail(c, NULL, "a value", "%s", err.msg);
	else if (evaluated != str_eqz(doc_get_str(want, "kind"), "evaluation"))
		conf_fail(c, NULL, arena_dup(c->arena, doc_get_str(want, "kind")), "%s: %s", evaluated ? "evaluation" : "parsing",
				  err.msg);
	else if (!str_contains(str_z(err.msg), doc_get_str(want, "value")))
		conf_fail(c, NULL, arena_dup(c->arena, doc_get_str(want, "value")), "%s", err.msg);
	else
		conf_pass(c, NULL);
}

static const char *const files[] = { "pipelines/expressions.jsonl", NULL };
const struct conf_suite suite_expressions = { .name = "expressions", .files = files, .run = run };
