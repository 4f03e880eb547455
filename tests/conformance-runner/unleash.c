/* unleash.c - Unleash/client-specification: features and segments, or events that bring them, and what contexts get of them.
 *
 * A file is {"state": {"features", "segments"?} or {"events"}, "tests"?: [{description, context, toggleName, expectedResult: bool}],
 * "variantTests"?: [the same with a variant]}. Each test is a case. Events are replayed in order: hydration, feature-updated, feature-removed,
 * segment-updated, segment-removed. */
#include "base/base.h"
#include "conformance.h"

#include "base/fs.h"
#include "base/vec.h"
#include "lang/unleash/unleash.h"

struct state {
	struct arena *a;
	VEC(const struct doc_node *) features;
	VEC(const struct doc_node *) segments;
	struct unleash_segments *compiled_segments;
	struct unleash_feature **compiled;
};
struct asked { /* of one feature: what its parents are asked with */
	const struct state      *s;
	const struct unleash_env *env;
};

/* --- the state --- */

static void put_feature(struct state *s, const struct doc_node *n)
{
	for (size_t i = 0; i < s->features.n; i++)
		if (str_eq(doc_get_str(s->features.v[i], "name"), doc_get_str(n, "name"))) {
			s->features.v[i] = n;
			return;
		}
	(void)VEC_PUSH(&s->features, n);
}

static void remove_feature(struct state *s, str name)
{
	for (size_t i = 0; i < s->features.n; i++)
		if (str_eq(doc_get_str(s->features.v[i], "name"), name))
			s->features.v[i--] = s->features.v[--s->features.n];
}

static void remove_segment(struct state *s, int64_t id)
{
	for (size_t i = 0; i < s->segments.n; i++)
		if (doc_get_int(s->segments.v[i], "id", -1) == id)
			s->segments.v[i--] = s->segments.v[--s->segments.n];
}

static void put_segment(struct state *s, const struct doc_node *n)
{
	remove_segment(s, doc_get_int(n, "id", -1));
	(void)VEC_PUSH(&s->segments, n);
}

static void put_all(struct state *s, const struct doc_node *n)
{
	for (size_t i = 0; i < doc_len(doc_get(n, "features")); i++)
		put_feature(s, doc_at(doc_get(n, "features"), i));
	for (size_t i = 0; i < doc_len(doc_get(n, "segments")); i++)
		put_segment(s, doc_at(doc_get(n, "segments"), i));
}

static void replay(struct state *s, const struct doc_node *event)
{
	str type = doc_get_str(event, "type");

	if (str_eqz(type, "hydration")) {
		s->features.n = s->segments.n = 0;
		put_all(s, event);
	} else if (str_eqz(type, "feature-updated")) {
		put_feature(s, doc_get(event, "feature"));
	} else if (str_eqz(type, "feature-removed")) {
		remove_feature(s, doc_get_str(event, "featureName"));
	} else if (str_eqz(type, "segment-updated")) {
		put_segment(s, doc_get(event, "segment"));
	} else if (str_eqz(type, "segment-removed")) {
		remove_segment(s, doc_get_int(event, "segmentId", -1));
	}
}

static bool compile(struct state *s, struct err *reterr)
{
	struct doc_node *list = ARENA_NEW(s->a, struct doc_node);
	int              rc;

	*list = (struct doc_node){ .kind = DOC_SEQ };
	list->seq.items = ARENA_ARRAY(s->a, s->segments.n + 1, struct doc_node *);
	list->seq.n = s->segments.n;
	for (size_t i = 0; i < s->segments.n; i++)
		list->seq.items[i] = (struct doc_node *)(uintptr_t)s->segments.v[i];
	rc = unleash_segments_compile(s->a, list, &s->compiled_segments, reterr);
	s->compiled = ARENA_ARRAY(s->a, s->features.n + 1, struct unleash_feature *);
	for (size_t i = 0; !rc && i < s->features.n; i++)
		rc = unleash_compile(s->a, STR_NULL, s->features.v[i], s->compiled_segments, &s->compiled[i], reterr);
	return !rc;
}

static const struct unleash_feature *find(const struct state *s, str name)
{
	for (size_t i = 0; i < s->features.n; i++)
		if (str_eq(unleash_name(s->compiled[i]), name))
			return s->compiled[i];
	return NULL;
}

/* --- evaluating --- */

static bool ask_parent(void *ctx, str name, struct unleash_parent *ret)
{
	const struct asked           *q = ctx;
	const struct unleash_feature *f = find(q->s, name);
	struct unleash_env            env = *q->env;
	struct unleash_result         r;

	if (!f)
		return false;
	*ret = (struct unleash_parent){ .dependent = unleash_n_dependencies(f) > 0 };
	env.parent = NULL;
	if (ret->dependent)
		return true;
	if (unleash_evaluate(f, &env, &r, NULL))
		return false;
	ret->enabled = r.enabled;
	ret->variant = r.variant ? r.variant->name : STR("disabled");
	return true;
}

static bool evaluate(const struct state *s, const struct doc_node *test, struct unleash_result *ret)
{
	const struct unleash_feature *f = find(s, doc_get_str(test, "toggleName"));
	struct unleash_context       *context;
	struct unleash_env            env = { .get = unleash_context_get, .scratch = s->a, .now = clock_wall_now(), .random = 1 };
	struct asked                  q = { s, &env };

	*ret = (struct unleash_result){ .strategy = -1 };
	if (unleash_context_read(s->a, doc_get(test, "context"), &context, NULL))
		return false;
	env.get_ctx = context;
	env.parent = ask_parent;
	env.parent_ctx = &q;
	return !f || !unleash_evaluate(f, &env, ret, NULL);
}

static const char *variant_text(struct arena *a, str name, str type, str value, bool enabled, bool feature_enabled)
{
	return arena_printf(a, "%.*s (%.*s '%.*s')%s%s", STR_ARG(name), STR_ARG(type), STR_ARG(value), enabled ? "" : ", disabled",
						feature_enabled ? "" : ", feature off");
}

static const char *expected_variant(struct arena *a, const struct doc_node *n)
{
	return variant_text(a, doc_get_str(n, "name"), doc_get_str(doc_get(n, "payload"), "type"), doc_get_str(doc_get(n, "payload"), "value"),
						doc_get_bool(n, "enabled", false), doc_get_bool(n, "feature_enabled", false));
}

static const char *seen_variant(struct arena *a, const struct unleash_result *r)
{
	if (!r->variant)
		return variant_text(a, STR("disabled"), STR_NULL, STR_NULL, false, r->enabled);
	return variant_text(a, r->variant->name, r->variant->payload.type, r->variant->payload.value, true, r->enabled);
}

static void run_tests(struct conf_run *run, const char *path, const struct state *s, const struct doc_node *tests, bool variants)
{
	for (size_t i = 0; i < doc_len(tests); i++) {
		const struct doc_node *test = doc_at(tests, i), *want = doc_get(test, "expectedResult");
		const char            *slash = strrchr(path, '/');
		char                  *name = arena_printf(s->a, "%s/%s/%.*s", slash ? slash + 1 : path, variants ? "variant" : "enabled", STR_ARG(doc_get_str(test, "description")));
		struct conf_case       c = conf_case_at(run, path, name, s->a);
		struct unleash_result  r;

		if (!evaluate(s, test, &r))
			conf_fail(&c, NULL, "an answer", "none");
		else if (variants)
			conf_equal(&c, NULL, str_z(expected_variant(s->a, want)), str_z(seen_variant(s->a, &r)));
		else
			conf_equal(&c, NULL, want->b ? STR("on") : STR("off"), r.enabled ? STR("on") : STR("off"));
	}
}

static void run_document(struct conf_run *run, const char *path, struct arena *a, const struct doc_node *root)
{
	const struct doc_node *state = doc_get(root, "state"), *events = doc_get(state, "events");
	struct state           s = { .a = a, .features = VEC_INIT, .segments = VEC_INIT };
	struct conf_case       c = conf_case_at(run, path, path, a);
	struct err             err = { 0 };

	put_all(&s, state);
	for (size_t i = 0; i < doc_len(events); i++)
		replay(&s, doc_at(events, i));
	if (compile(&s, &err)) {
		run_tests(run, path, &s, doc_get(root, "tests"), false);
		run_tests(run, path, &s, doc_get(root, "variantTests"), true);
	} else {
		conf_fail(&c, NULL, "features", "%s", err.msg);
	}
	VEC_FINI(&s.features);
	VEC_FINI(&s.segments);
}

static void run_file(struct conf_run *run, const char *path)
{
	struct arena           a CLEANUP_ARENA = ARENA_INIT(256 << 20);
	struct buf             data CLEANUP_BUF = BUF_INIT(8 << 20);
	struct conf_case       c = conf_case_at(run, path, path, &a);
	struct doc_node       *root;
	struct err             err = { 0 };

	if (fs_read(path, &data, &err) || doc_parse_json(&a, path, buf_str(&data), &root, &err)) {
		conf_fail(&c, NULL, "a file of the specification", "%s", err.msg);
		return;
	}
	if (root->kind == DOC_MAP) /* index.json is a list of names */
		run_document(run, path, &a, root);
}

#define FOLDER "flags/unleash-client-specification/"
static const char *const files[] = {
	FOLDER "01-simple-examples.json", FOLDER "02-user-with-id-strategy.json", FOLDER "03-gradual-rollout-user-id-strategy.json",
	FOLDER "04-gradual-rollout-session-id-strategy.json", FOLDER "05-gradual-rollout-random-strategy.json", FOLDER "06-remote-address-strategy.json",
	FOLDER "07-multiple-strategies.json", FOLDER "08-variants.json", FOLDER "09-strategy-constraints.json", FOLDER "10-flexible-rollout-strategy.json",
	FOLDER "11-strategy-constraints-edge-cases.json", FOLDER "12-custom-stickiness.json", FOLDER "13-constraint-operators.json",
	FOLDER "14-constraint-semver-operators.json", FOLDER "15-global-constraints.json", FOLDER "16-strategy-variants.json",
	FOLDER "17-dependent-features.json", FOLDER "18-utf8-flag-names.json", FOLDER "19-delta-api-hydration.json", FOLDER "20-delta-api-events.json",
	FOLDER "21-regex-constraint-operators.json", FOLDER "22-cidr-constraint-operators.json", NULL
};
const struct conf_suite suite_unleash = { .name = "unleash", .files = files, .run_path = run_file };
