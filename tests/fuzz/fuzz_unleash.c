/* fuzz_unleash.c - no feature, segment or context crashes, hangs or overruns its limits; evaluation is deterministic, traced or not.
 *
 * JSON: {"feature", "segments"?, "context"?, "parent"?: {"enabled", "dependent", "variant"}, "random"?}, or a feature alone. */
#include "base/base.h"
#include "lang/unleash/unleash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STEPS_MAX = 50000, SCRATCH_MAX = 1 << 18 };

static bool ask_parent(void *ctx, str name UNUSED, struct unleash_parent *ret)
{
	const struct doc_node *n = ctx;

	*ret = (struct unleash_parent){ doc_get_bool(n, "enabled", false), doc_get_bool(n, "dependent", false), doc_get_str(n, "variant") };
	return n != NULL;
}

static void count(void *ctx, const struct unleash_step *s)
{
	if (s->kind == UNLEASH_STEP_VARIANT && !s->holds)
		BUG("a variant was chosen that does not hold");
	if (s->holds && s->until && s->bucket > s->until)
		BUG("bucket %u is not within %u", s->bucket, s->until);
	++*(size_t *)ctx;
}

static int evaluate(const struct unleash_feature *f, const struct doc_node *doc, struct unleash_context *context, bool traced, struct unleash_result *ret)
{
	struct arena       scratch = ARENA_INIT(SCRATCH_MAX);
	size_t             steps = 0;
	struct unleash_env env = { .get = unleash_context_get, .get_ctx = context, .now = 1700000000 * USEC_PER_SEC, .scratch = &scratch, .steps_max = STEPS_MAX,
							   .random = (uint64_t)doc_get_int(doc, "random", 1), .parent = ask_parent,
							   .parent_ctx = (void *)(uintptr_t)doc_get(doc, "parent") };
	struct err         err = { 0 };
	int                r;

	if (traced) {
		env.trace = count;
		env.trace_ctx = &steps;
	}
	r = unleash_evaluate(f, &env, ret, &err);
	if (r && (!err.msg[0] || ret->enabled))
		BUG("a limit without a message, or with an answer");
	if (steps > STEPS_MAX)
		BUG("more steps than the limit");
	arena_fini(&scratch);
	return r;
}

static void check(const struct unleash_feature *f, const struct unleash_result *r)
{
	if (r->variant && (r->variant != unleash_variant_at(f, r->variant_index) || !r->enabled))
		BUG("a variant of another index, or of a feature that is off");
	if (r->enabled && !unleash_is_enabled(f))
		BUG("on, and switched off");
	if (r->by_chance && !unleash_varies(f))
		BUG("chance decided of a feature that does not vary");
}

static void run(struct arena *a, const struct doc_node *doc)
{
	const struct doc_node   *feature = doc_get(doc, "feature") ? doc_get(doc, "feature") : doc;
	struct unleash_segments *segments = NULL;
	struct unleash_context  *context;
	struct unleash_feature  *f;
	struct unleash_result    one, two;
	struct err               err = { 0 };

	if (unleash_segments_compile(a, doc_get(doc, "segments"), &segments, NULL) || unleash_context_read(a, doc_get(doc, "context"), &context, NULL))
		return;
	if (unleash_compile(a, STR_NULL, feature, segments, &f, &err)) {
		if (!err.msg[0])
			BUG("an error without a message");
		return;
	}
	for (size_t i = 0; unleash_problem(f, i); i++)
		if (!*unleash_problem(f, i))
			BUG("a problem without words");
	if (evaluate(f, doc, context, false, &one) != evaluate(f, doc, context, true, &two) || one.enabled != two.enabled || one.variant != two.variant ||
		one.strategy != two.strategy || one.split != two.split || one.by_chance != two.by_chance)
		BUG("two answers");
	check(f, &one);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena     a = ARENA_INIT(16 << 20);
	struct doc_node *doc;

	if (!doc_parse_json(&a, "f", str_n((const char *)data, size), &doc, NULL))
		run(&a, doc);
	arena_fini(&a);
	return 0;
}
