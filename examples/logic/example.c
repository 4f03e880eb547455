/* example.c - flagd targeting rules (JSONLogic) in a program of your own.
 *
 *   cc example.c $(pkg-config --cflags --static --libs weir-logic) && ./a.out '{"if":[{"var":"beta"},"on","off"]}' '{"beta":true}'
 *
 * Prints what the rule (first argument) gives for the context (second argument), and on standard error which parts of the rule
 * were evaluated to what. Compile once, evaluate as often and in as many threads as you like. */
#include "lang/logic/logic.h"

static void show(void *ctx, const struct logic_step *s)
{
	struct buf json CLEANUP_BUF = BUF_INIT(1 << 16);

	(void)ctx;
	if (s->failed || logic_to_json(s->value, &json, NULL))
		buf_addz(&json, "failed");
	fprintf(stderr, "%*s%u:%u %s %s\n", (int)(2 * s->depth), "", s->line, s->col, s->op, buf_z(&json));
}

static int evaluate(struct arena *a, const char *rule_text, const char *context_text, struct err *reterr)
{
	struct logic_options options = { .dialect = LOGIC_FLAGD, .file = "rule" };
	struct logic_env env = { .flag_key = STR("example"), .timestamp = (double)time(NULL), .scratch = a, .trace = show };
	struct buf json CLEANUP_BUF = BUF_INIT(1 << 20);
	struct doc_node *rule_doc, *context;
	struct logic_rule *rule;
	struct logic_value result;
	int r = doc_parse_json(a, "rule", str_z(rule_text), &rule_doc, reterr);

	if (!r)
		r = logic_compile(a, rule_doc, &options, &rule, reterr);
	if (!r)
		r = doc_parse_json(a, "context", str_z(context_text), &context, reterr);
	if (!r)
		r = logic_from_doc(a, context, &env.data, reterr);
	if (!r)
		r = logic_eval(rule, &env, &result, reterr);
	if (!r)
		r = logic_to_json(result, &json, reterr);
	if (!r)
		printf("%s\n", buf_z(&json));
	return r;
}

int main(int argc, char **argv)
{
	struct arena a CLEANUP_ARENA = ARENA_INIT(16 << 20); /* everything lives here; its size is the limit */
	struct err err;

	if (argc != 3) {
		fprintf(stderr, "usage: %s RULE CONTEXT\n", argv[0]);
		return 2;
	}
	if (evaluate(&a, argv[1], argv[2], &err)) {
		fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	return 0;
}
