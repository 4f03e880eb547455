/* example.c - Unleash's features in a program of your own.
 *
 *   cc example.c $(pkg-config --cflags --static --libs weir-unleash) && ./a.out '{"name":"f","strategies":[...]}' '{"userId":"7"}'
 *
 * Prints whether the feature (first argument) is on for the context (second argument) and its variant, and on standard error what was decided on the
 * way. Compile once, evaluate as often and in as many threads as you like. */
#include "lang/unleash/unleash.h"

static void show(void *ctx, const struct unleash_step *s)
{
	static const char *const kinds[] = { "parent", "strategy", "constraint", "variant" };

	(void)ctx;
	fprintf(stderr, "%s %d: %.*s %s\n", kinds[s->kind], s->index, STR_ARG(s->name), s->holds ? "holds" : "does not hold");
}

static int evaluate(struct arena *a, const char *feature_text, const char *context_text, struct err *reterr)
{
	struct unleash_env      env = { .get = unleash_context_get, .now = clock_wall_now(), .random = (uint64_t)clock_mono_now(), .scratch = a, .trace = show };
	struct doc_node        *feature_doc, *context_doc;
	struct unleash_feature *feature;
	struct unleash_context *context;
	struct unleash_result   result;
	int                     r = doc_parse_json(a, "feature", str_z(feature_text), &feature_doc, reterr);

	if (!r)
		r = unleash_compile(a, STR_NULL, feature_doc, NULL, &feature, reterr);
	if (!r)
		r = doc_parse_json(a, "context", str_z(context_text), &context_doc, reterr);
	if (!r)
		r = unleash_context_read(a, context_doc, &context, reterr);
	if (r)
		return r;
	for (size_t i = 0; unleash_problem(feature, i); i++)
		fprintf(stderr, "%s\n", unleash_problem(feature, i));
	env.get_ctx = context;
	if ((r = unleash_evaluate(feature, &env, &result, reterr)))
		return r;
	printf("%s: %s\n", result.enabled ? "on" : "off", unleash_why_text(result.why));
	if (result.variant)
		printf("variant %.*s\n", STR_ARG(result.variant->name));
	return 0;
}

int main(int argc, char **argv)
{
	struct arena a CLEANUP_ARENA = ARENA_INIT(16 << 20); /* everything lives here; its size is the limit */
	struct err err;

	if (argc != 3) {
		fprintf(stderr, "usage: %s FEATURE CONTEXT\n", argv[0]);
		return 2;
	}
	if (evaluate(&a, argv[1], argv[2], &err)) {
		fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	return 0;
}
