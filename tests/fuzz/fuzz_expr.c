/* fuzz_expr.c - no text crashes, hangs or overruns the expression reader; evaluating twice gives the same value. */
#include "base/base.h"
#include "lang/expr/expr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool yes(void *ctx)
{
	(void)ctx;
	return true;
}

static void note_name(void *ctx, str name, uint32_t col)
{
	*(size_t *)ctx += name.len + col;
}

/* 0 and the value as JSON in *out (empty when it is too long), or the error. */
static int evaluate(str text, const struct expr_env *env, struct buf *out)
{
	struct arena a = ARENA_INIT(8 << 20);
	const struct expr_value *v;
	struct expr *e;
	size_t n = 0;
	int r = expr_parse(&a, text, &e, NULL);

	if (!r) {
		expr_each_context(e, note_name, &n);
		r = expr_eval(&a, e, env, &v, NULL);
	}
	if (!r && expr_to_json(v, out, NULL))
		buf_clear(out);
	arena_fini(&a);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char contexts[] = "{\"a\":{\"B\":[1,null,\"x\",{\"k\":[2,3]}],\"\\u00fc\":true},\"s\":\"text\",\"n\":-0.5}";
	struct expr_ops ops = { .success = yes, .failure = yes, .cancelled = yes };
	struct expr_env env = { .ops = &ops };
	struct arena a = ARENA_INIT(8 << 20);
	struct buf one = BUF_INIT(1 << 20), two = BUF_INIT(1 << 20);
	str text = str_n((const char *)data, size);
	struct doc_node *doc;
	bool is;

	if (doc_parse_json(&a, "contexts", str_z(contexts), &doc, NULL))
		BUG("contexts cannot be read");
	env.contexts = expr_from_doc(&a, doc);
	if (evaluate(text, &env, &one) != evaluate(text, &env, &two) || !str_eq(buf_str(&one), buf_str(&two)))
		BUG("two evaluations differ");
	if (expr_if_eval(&a, text, &env, &is, NULL))
		is = false;
	buf_fini(&one);
	buf_fini(&two);
	arena_fini(&a);
	return 0;
}
