/* fuzz_logic.c - no rule crashes, hangs or overruns its limits, in any dialect; evaluation is deterministic, traced or not.
 *
 * The first byte chooses dialect and bucketing, the rest is JSON: {"rule", "data", "$evaluators"}, or a rule alone. */
#include "base/base.h"
#include "lang/logic/logic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STEPS_MAX = 50000, BYTES_MAX = 1 << 18 };

static void count(void *ctx, const struct logic_step *s)
{
	if (!s->op || (s->failed && s->value.kind != LOGIC_NULL))
		BUG("a step without its operator or with a value that it does not have");
	++*(size_t *)ctx;
}

/* The result as JSON, or the error's message. */
static int evaluate(const struct logic_rule *rule, struct logic_value data, bool traced, struct buf *out)
{
	struct arena scratch = ARENA_INIT(BYTES_MAX * 2);
	struct logic_thrown thrown = { 0 };
	size_t steps = 0;
	struct logic_env env = { .data = data, .flag_key = STR("flag"), .timestamp = 1700000000, .scratch = &scratch,
							 .limits = { .steps_max = STEPS_MAX, .bytes_max = BYTES_MAX }, .thrown = &thrown };
	struct logic_value v;
	struct err err = { 0 };
	int r;

	if (traced) {
		env.trace = count;
		env.trace_ctx = &steps;
	}
	r = logic_eval(rule, &env, &v, &err);
	if (r && (!err.code || !err.msg[0]))
		BUG("an error without a message");
	if (!r && logic_to_json(v, out, NULL))
		r = -WEIR_ELIMIT;
	else if (r)
		buf_addf(out, "%s", err.msg);
	if (steps > STEPS_MAX)
		BUG("more steps than the limit");
	arena_fini(&scratch);
	return r;
}

static void run(struct arena *a, const struct doc_node *doc, const struct logic_options *options)
{
	const struct doc_node *rule_doc = doc_get(doc, "rule") ? doc_get(doc, "rule") : doc;
	struct buf one = BUF_INIT(1 << 20), two = BUF_INIT(1 << 20), three = BUF_INIT(1 << 20);
	struct logic_options o = *options;
	struct logic_evaluators *set;
	struct logic_rule *rule, *again;
	struct logic_value data;
	struct err err = { 0 };
	int r, s, t;

	if (logic_from_doc(a, doc_get(doc, "data"), &data, NULL))
		return;
	if (o.dialect == LOGIC_FLAGD && !logic_evaluators_compile(a, doc_get(doc, "$evaluators"), &o, &set, NULL))
		o.evaluators = set;
	if (logic_compile(a, rule_doc, &o, &rule, &err)) {
		if (!err.msg[0])
			BUG("an error without a message");
		return;
	}
	if (logic_compile(a, rule_doc, &o, &again, NULL))
		return; /* the arena is used up */
	r = evaluate(rule, data, false, &one);
	s = evaluate(again, data, false, &two);
	t = evaluate(rule, data, true, &three);
	if (r != s || !str_eq(buf_str(&one), buf_str(&two)))
		BUG("two answers: %s and %s", buf_z(&one), buf_z(&two));
	/* a trace counts constants as steps and puts bucketing values together, so limits come sooner */
	if (t != -WEIR_ELIMIT && r != -WEIR_ELIMIT && (r != t || !str_eq(buf_str(&one), buf_str(&three))))
		BUG("traced it is %s, else %s", buf_z(&three), buf_z(&one));
	buf_fini(&one);
	buf_fini(&two);
	buf_fini(&three);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = ARENA_INIT(16 << 20);
	struct logic_options o = { .dialect = LOGIC_FLAGD };
	struct doc_node *doc;

	if (size) {
		o.dialect = (enum logic_dialect)(data[0] % 3);
		o.fractional = (enum logic_fractional)(data[0] / 3 % 3);
		if (!doc_parse_json(&a, "f", str_n((const char *)data + 1, size - 1), &doc, NULL))
			run(&a, doc, &o);
	}
	arena_fini(&a);
	return 0;
}
