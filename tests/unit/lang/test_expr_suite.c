/* Runs the shown cases of the public suite of GitHub's expressions (actions/languageservices). */
#include "tests/lib/test.h"

#include "base/fs.h"
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
	case EXPR_NULL:
		return want->kind == DOC_NULL;
	case EXPR_BOOL:
		return want->kind == DOC_BOOL && want->b == v->b;
	case EXPR_NUMBER:
		return number_is(want, v->n);
	case EXPR_STRING:
		return want->kind == DOC_STR && str_eq(want->s, v->s);
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

static bool run_case(struct arena *a, const struct doc_node *c)
{
	static const char *const kinds[] = { "Null", "Boolean", "Number", "String", "Array", "Object" };
	const struct doc_node   *result = doc_get(c, "result");
	const struct doc_node   *want_err = doc_get(c, "err");
	struct expr_env          env = { .contexts = expr_from_doc(a, doc_get(c, "contexts")) };
	const struct expr_value *v = NULL;
	struct expr             *e;
	struct err               err = { 0 };
	bool                     evaluation = false, ok;
	int                      r = expr_parse_for(a, doc_get_str(c, "expr"), &env, &e, &err);

	if (!r) {
		evaluation = true;
		r = expr_eval(a, e, &env, &v, &err);
	}
	if (want_err)
		ok = r && evaluation == str_eqz(doc_get_str(want_err, "kind"), "evaluation") &&
		     str_contains(str_z(err.msg), doc_get_str(want_err, "value"));
	else
		ok = !r && str_eqz(doc_get_str(result, "kind"), kinds[v->kind]) && value_is(doc_get(result, "value"), v);
	if (!ok) {
		struct buf seen CLEANUP_BUF = BUF_INIT(1 << 20);

		if (!r && expr_to_json(v, &seen, NULL))
			buf_addz(&seen, "(too long)");
		print_message("FAIL %.*s\n  expected %.*s\n  seen %s\n", STR_ARG(doc_get_str(c, "expr")),
			      STR_ARG(want_err ? doc_get_str(want_err, "value") : doc_get(result, "value")->text), r ? err.msg : buf_z(&seen));
	}
	return ok;
}

static void test_suite(void **state)
{
	char           path[4096];
	struct buf     text CLEANUP_BUF = BUF_INIT(64 << 20);
	struct err     err;
	size_t         passed = 0, failed = 0;
	str            rest, line;

	(void)state;
	if (!test_conformance_dir()) {
		print_message("skipped: WEIR_CONFORMANCE is not set\n");
		skip();
	}
	assert_ok(fs_join(path, sizeof(path), &err, test_conformance_dir(), "pipelines/expressions.jsonl"), &err);
	assert_ok(fs_read(path, &text, &err), &err);
	for (rest = buf_str(&text); rest.len;) {
		struct arena     a CLEANUP_ARENA = ARENA_INIT(64 << 20);
		struct doc_node *c;

		str_cut(rest, '\n', &line, &rest);
		if (!line.len)
			continue;
		assert_ok(doc_parse_json(&a, "expressions.jsonl", line, &c, &err), &err);
		if (run_case(&a, c))
			passed++;
		else
			failed++;
	}
	print_message("%zu passed, %zu failed\n", passed, failed);
	assert_int_equal(failed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_suite) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
