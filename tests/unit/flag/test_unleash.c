/* Flags of Unleash's kind within a set: what their definitions may say, what contexts get, in OpenFeature's words and in Unleash's, what holds them
 * together, and how an answer is explained. */
#include "lib/test.h"

#include "base/limits.h"
#include "flag/flag-eval.h"

static struct arena arena;

static void assert_string_contains(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("'%s' does not contain '%s'", text, part);
}

static int setup(void **state UNUSED)
{
	arena_init(&arena, 64 << 20);
	return 0;
}

static int teardown(void **state UNUSED)
{
	arena_fini(&arena);
	return 0;
}

/* --- definitions --- */

/* The first problem of a set's document, "" when there is none. */
static const char *problem(const char *json)
{
	struct doc_node    *n = NULL;
	struct doc_check    c;
	struct flag_set_def d;
	struct err          e = { 0 };

	assert_ok(doc_parse_json(&arena, "f", str_z(json), &n, &e), &e);
	doc_check_init(&c, &arena, "f");
	flag_set_def_read(&c, n, &d);
	return doc_check_result(&c, &e) ? arena_dupz(&arena, e.msg) : "";
}

static const char *flag_problem(const char *unleash)
{
	return problem(arena_printf(&arena, "{\"flags\":{\"f\":{\"state\":\"ENABLED\",\"weir\":{\"unleash\":\n%s}}}}", unleash));
}

#define STRATEGY(more) "{\"strategies\":[{" more "}]}"
#define CONSTRAINT(more) STRATEGY("\"name\":\"default\",\"constraints\":[{" more "}]")
static void test_definition(void **state UNUSED)
{
	static const struct {
		const char *unleash, *problem;
	} cases[] = {
		{ "{\"strategies\":[]}", "" },
		{ "{}", "key 'strategies' is missing" },
		{ "{\"strategies\":[],\"variant\":[]}", "f:2:18: unknown key 'variant' (did you mean 'variants'?)" },
		{ "{\"strategies\":[],\"type\":\"release\",\"impressionData\":true,\"dependencies\":[{\"feature\":\"p\",\"enabled\":false}]}", "" },
		{ "{\"strategies\":[],\"type\":\"kill\"}", "f:2:25: type" },
		{ "{\"strategies\":[],\"dependencies\":[{\"feature\":\"p\",\"enabled\":false,\"variants\":[\"a\"]}]}", "a parent that must be off has no variant" },
		{ STRATEGY("\"name\":\"flexibleRollout\",\"parameters\":{\"rollout\":\"50\",\"stickiness\":\"default\",\"groupId\":\"f\"},\"title\":\"half\",\"disabled\":false"), "" },
		{ STRATEGY("\"name\":\"flexibleRolout\""), "flexibleRollout" },
		{ STRATEGY("\"name\":\"flexibleRollout\""), "strategy flexibleRollout needs the parameter 'rollout'" },
		{ STRATEGY("\"name\":\"flexibleRollout\",\"parameters\":{\"rollout\":\"101\"}"), "rollout must be a whole number from 0 to 100" },
		{ STRATEGY("\"name\":\"flexibleRollout\",\"parameters\":{\"rollout\":\"1.5\"}"), "rollout must be a whole number from 0 to 100" },
		{ STRATEGY("\"name\":\"default\",\"parameters\":{\"rollout\":\"50\"}"), "unknown key 'rollout'" },
		{ STRATEGY("\"name\":\"default\",\"constraint\":[]"), "unknown key 'constraint' (did you mean 'constraints'?)" },
		{ STRATEGY("\"name\":\"default\",\"segments\":[\"1\"]"), "id of a segment" },
		{ STRATEGY("\"name\":\"default\",\"variants\":[{\"name\":\"a\",\"weight\":-1}]"), "weight" },
		{ STRATEGY("\"name\":\"default\",\"variants\":[{\"name\":\"a\",\"weight\":1,\"overrides\":[]}]"), "have no overrides" },
		{ STRATEGY("\"name\":\"default\",\"variants\":[{\"name\":\"a\",\"weight\":1,\"payload\":{\"type\":\"json\",\"value\":\"{\"}}]"), "the payload is no JSON" },
		{ STRATEGY("\"name\":\"default\",\"variants\":[{\"name\":\"a\",\"weight\":1,\"payload\":{\"type\":\"number\",\"value\":\"x\"}}]"), "the payload is no number" },
		{ CONSTRAINT("\"contextName\":\"a\",\"operator\":\"IN\",\"values\":[\"1\"]"), "" },
		{ CONSTRAINT("\"contextName\":\"a\",\"operator\":\"IN\",\"value\":\"1\""), "key 'values' is missing" },
		{ CONSTRAINT("\"contextName\":\"a\",\"operator\":\"NUM_EQ\",\"values\":[\"1\"],\"value\":\"1\""), "NUM_EQ compares with one value" },
		{ CONSTRAINT("\"contextName\":\"a\",\"operator\":\"IN\",\"values\":[\"1\"],\"caseInsensitive\":true"), "compares without letters" },
		{ CONSTRAINT("\"contextName\":\"a\",\"operator\":\"STR_CONTAIN\",\"values\":[\"1\"]"), "STR_CONTAINS" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *seen = flag_problem(cases[i].unleash);

		if (*cases[i].problem ? !strstr(seen, cases[i].problem) : *seen)
			fail_msg("%s: '%s', expected '%s'", cases[i].unleash, seen, cases[i].problem);
	}
}

static void test_one_kind(void **state UNUSED)
{
	assert_string_contains(problem("{\"flags\":{\"f\":{\"state\":\"ENABLED\",\"variants\":{\"a\":1},\"weir\":{\"unleash\":{\"strategies\":[]}}}}}"),
						   "a flag with weir.unleash has no 'variants' of its own");
	assert_string_contains(problem("{\"flags\":{\"f\":{\"state\":\"ENABLED\",\"targeting\":{},\"weir\":{\"unleash\":{\"strategies\":[]}}}}}"), "no 'targeting'");
	assert_string_contains(problem("{\"flags\":{\"f\":{\"state\":\"ENABLED\",\"defaultVariant\":null,\"weir\":{\"unleash\":{\"strategies\":[]}}}}}"), "no 'defaultVariant'");
}

static void test_segments_definition(void **state UNUSED)
{
	assert_string_equal(problem("{\"flags\":{},\"weir\":{\"segments\":{\"beta\":{\"id\":1,\"description\":\"b\",\"constraints\":[]}}}}"), "");
	assert_string_contains(problem("{\"flags\":{},\"weir\":{\"segment\":{}}}"), "unknown key 'segment' (did you mean 'segments'?)");
	assert_string_contains(problem("{\"flags\":{},\"weir\":{\"segments\":{\"beta\":{\"constraints\":[]}}}}"), "'id'");
	assert_string_contains(problem("{\"flags\":{},\"weir\":{\"segments\":{\"a\":{\"id\":1,\"constraints\":[]},\"b\":{\"id\":1,\"constraints\":[]}}}}"), "another segment has the id 1");
}

/* --- answers --- */

#define FLAG(name, state, unleash) { STR(name), STR("{\"state\":\"" state "\",\"weir\":{\"unleash\":" unleash "}}") }
#define ROLLOUT(n) "{\"name\":\"flexibleRollout\",\"parameters\":{\"rollout\":\"" n "\",\"stickiness\":\"userId\",\"groupId\":\"g\"}}"
#define PAYLOAD(type, value) ",\"payload\":{\"type\":\"" type "\",\"value\":\"" value "\"}"

static struct flag_set *build(const struct flag_text *texts, size_t n, const char *segments)
{
	struct flag_set_head head = { .id = STR("shop/production"), .revision = 1, .evaluators = STR(""), .metadata = STR(""), .segments = str_z(segments) };
	struct flag_set     *s;
	struct err           e = { 0 };

	assert_ok(flag_set_build(NULL, &head, texts, n, &s, &e), &e);
	return s;
}

static struct flag_context context(const char *json)
{
	struct flag_context c = { .now = 1000 * USEC_PER_SEC, .random = 7, .scratch = &arena };
	struct doc_node    *n;
	struct err          e = { 0 };

	assert_ok(doc_parse_json(&arena, "context", str_z(json), &n, &e), &e);
	assert_ok(logic_from_doc(&arena, n, &c.data, &e), &e);
	return c;
}

static const char *says(const struct flag_set *s, const char *key, enum flag_type want, const char *json)
{
	struct flag_context c = context(json);
	struct flag_answer  a;

	flag_evaluate(s, str_z(key), want, &c, &a);
	return arena_printf(&arena, "%s%s%s %.*s %.*s", flag_reason_name(a.reason), a.error ? " " : "", flag_error_name(a.error),
						STR_ARG(a.variant ? a.variant->name : STR("-")), STR_ARG(a.variant ? a.variant->json : STR("-")));
}

static const char *unleash_says(const struct flag_set *s, const char *key, const char *json)
{
	struct flag_context        c = context(json);
	struct flag_unleash_answer a;

	flag_evaluate_unleash(s, flag_set_find(s, str_z(key)), &c, &a);
	return arena_printf(&arena, "%s %.*s %.*s:%.*s", a.enabled ? "on" : "off", STR_ARG(a.variant), STR_ARG(a.payload_type), STR_ARG(a.payload_value));
}

#define EVERYBODY "{\"name\":\"default\"}"
#define STAFF "{\"name\":\"default\",\"constraints\":[{\"contextName\":\"plan\",\"operator\":\"IN\",\"values\":[\"staff\"]}]}"
#define VARIANTS(payload) "\"variants\":[{\"name\":\"v\",\"weight\":1" payload "}]"
static const struct flag_text texts[] = {
	FLAG("all", "ENABLED", "{\"strategies\":[" EVERYBODY "]}"),
	FLAG("switched off", "DISABLED", "{\"strategies\":[" EVERYBODY "]}"),
	FLAG("staff", "ENABLED", "{\"strategies\":[" STAFF "]}"),
	FLAG("half", "ENABLED", "{\"strategies\":[" ROLLOUT("50") "]}"),
	FLAG("text", "ENABLED", "{\"strategies\":[" STAFF "]," VARIANTS(PAYLOAD("string", "hello")) "}"),
	FLAG("number", "ENABLED", "{\"strategies\":[]," VARIANTS(PAYLOAD("number", "12")) "}"),
	FLAG("json", "ENABLED", "{\"strategies\":[]," VARIANTS(PAYLOAD("json", "{\\\"a\\\":1}")) "}"),
	FLAG("name", "ENABLED", "{\"strategies\":[]," VARIANTS("") "}"),
	FLAG("two", "ENABLED", "{\"strategies\":[],\"variants\":[{\"name\":\"a\",\"weight\":50},{\"name\":\"b\",\"weight\":50}]}"),
	FLAG("segment", "ENABLED", "{\"strategies\":[{\"name\":\"default\",\"segments\":[5]}]}"),
	FLAG("child", "ENABLED", "{\"strategies\":[],\"dependencies\":[{\"feature\":\"staff\"}]}"),
	FLAG("grandchild", "ENABLED", "{\"strategies\":[],\"dependencies\":[{\"feature\":\"child\"}]}"),
	FLAG("child of flagd", "ENABLED", "{\"strategies\":[],\"dependencies\":[{\"feature\":\"flagd\",\"variants\":[\"on\"]}]}"),
	FLAG("by id", "ENABLED", "{\"strategies\":[{\"name\":\"userWithId\",\"parameters\":{\"userIds\":\"u1, 17\"}}]}"),
	{ STR("flagd"), STR("{\"state\":\"ENABLED\",\"variants\":{\"on\":true,\"off\":false},\"defaultVariant\":\"off\",\"targeting\":{\"if\":[{\"var\":\"beta\"},\"on\"]}}") },
	{ STR("colour"), STR("{\"state\":\"ENABLED\",\"variants\":{\"r\":\"red\\\"\"},\"defaultVariant\":\"r\"}") },
	{ STR("needs all"), STR("{\"state\":\"ENABLED\",\"variants\":{\"on\":true},\"defaultVariant\":\"on\",\"weir\":{\"prerequisites\":[{\"flag\":\"staff\",\"variants\":[\"on\"]}]}}") },
};
#define SEGMENTS "{\"beta\":{\"id\":5,\"constraints\":[{\"contextName\":\"beta\",\"operator\":\"IN\",\"values\":[\"true\"]}]}}"

static void test_answers(void **state UNUSED)
{
	static const struct {
		const char *key, *context, *answer;
	} cases[] = {
		{ "all", "{}", "TARGETING_MATCH on true" },
		{ "switched off", "{}", "DISABLED - -" },
		{ "staff", "{\"plan\":\"staff\"}", "TARGETING_MATCH on true" },
		{ "staff", "{\"properties\":{\"plan\":\"staff\"}}", "TARGETING_MATCH on true" },
		{ "staff", "{}", "TARGETING_MATCH off false" },
		{ "half", "{\"targetingKey\":\"4\"}", "SPLIT on true" },
		{ "half", "{\"userId\":\"4\",\"targetingKey\":\"2\"}", "SPLIT on true" },
		{ "half", "{\"targetingKey\":\"1\"}", "SPLIT off false" },
		{ "text", "{\"plan\":\"staff\"}", "TARGETING_MATCH v \"hello\"" },
		{ "text", "{}", "DEFAULT - -" },
		{ "number", "{}", "TARGETING_MATCH v 12" },
		{ "json", "{}", "TARGETING_MATCH v {\"a\":1}" },
		{ "name", "{}", "TARGETING_MATCH v \"v\"" },
		{ "segment", "{\"beta\":true}", "TARGETING_MATCH on true" },
		{ "segment", "{\"beta\":false}", "TARGETING_MATCH off false" },
		{ "child", "{\"plan\":\"staff\"}", "TARGETING_MATCH on true" },
		{ "child", "{}", "DISABLED - -" },
		{ "grandchild", "{\"plan\":\"staff\"}", "DISABLED - -" }, /* Unleash follows no chains */
		{ "child of flagd", "{\"beta\":1}", "TARGETING_MATCH on true" },
		{ "child of flagd", "{}", "DISABLED - -" },
		{ "by id", "{\"targetingKey\":\"u1\"}", "TARGETING_MATCH on true" },
		{ "by id", "{\"userId\":17}", "TARGETING_MATCH on true" },
		{ "needs all", "{\"plan\":\"staff\"}", "STATIC on true" },
		{ "needs all", "{}", "DISABLED - -" },
	};
	struct flag_set *s = build(texts, ARRAY_SIZE(texts), SEGMENTS);

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (strcmp(says(s, cases[i].key, FLAG_ANY, cases[i].context), cases[i].answer))
			fail_msg("%s %s: %s, expected %s", cases[i].key, cases[i].context, says(s, cases[i].key, FLAG_ANY, cases[i].context), cases[i].answer);
	assert_string_equal(says(s, "all", FLAG_BOOL, "{}"), "TARGETING_MATCH on true");
	assert_string_equal(says(s, "all", FLAG_STRING, "{}"), "ERROR TYPE_MISMATCH - -");
	assert_string_equal(says(s, "number", FLAG_INTEGER, "{}"), "TARGETING_MATCH v 12");
	assert_string_equal(says(s, "json", FLAG_OBJECT, "{}"), "TARGETING_MATCH v {\"a\":1}");
	flag_set_unref(s);
}

static void test_as_unleash(void **state UNUSED)
{
	struct flag_set *s = build(texts, ARRAY_SIZE(texts), SEGMENTS);

	assert_string_equal(unleash_says(s, "all", "{}"), "on disabled :");
	assert_string_equal(unleash_says(s, "switched off", "{}"), "off disabled :");
	assert_string_equal(unleash_says(s, "number", "{}"), "on v number:12");
	assert_string_equal(unleash_says(s, "text", "{}"), "off disabled :");
	assert_string_equal(unleash_says(s, "flagd", "{\"beta\":1}"), "on on string:true");
	assert_string_equal(unleash_says(s, "flagd", "{}"), "off disabled :");
	assert_string_equal(unleash_says(s, "colour", "{}"), "on r string:red\"");
	assert_int_equal(flag_set_find(s, STR("all"))->unleash_text.len, strlen("{\"strategies\":[{\"name\":\"default\"}]}"));
	assert_int_equal(flag_set_find(s, STR("flagd"))->unleash_text.len, 0);
	assert_int_equal(flag_set_head(s)->segments.len, strlen(SEGMENTS));
	flag_set_unref(s);
}

/* Segments are shared by all flags: another text of them is another set. */
static void test_segments_change(void **state UNUSED)
{
	struct flag_set     *s = build(texts, ARRAY_SIZE(texts), SEGMENTS), *next;
	struct flag_set_head head = *flag_set_head(s);
	struct err           e = { 0 };

	head.segments = STR("{\"beta\":{\"id\":5,\"constraints\":[]}}");
	assert_ok(flag_set_build(s, &head, NULL, 0, &next, &e), &e);
	assert_string_equal(says(next, "segment", FLAG_ANY, "{}"), "TARGETING_MATCH on true");
	assert_string_equal(says(s, "segment", FLAG_ANY, "{}"), "TARGETING_MATCH off false");
	flag_set_unref(next);
	flag_set_unref(s);
}

/* --- what holds flags together --- */

static void collect(void *ctx, const struct flag *f, const char *what)
{
	buf_addf(ctx, "%.*s: %s\n", STR_ARG(f->key), what);
}

static void test_check(void **state UNUSED)
{
	static const struct flag_text wrong[] = {
		FLAG("orphan", "ENABLED", "{\"strategies\":[],\"dependencies\":[{\"feature\":\"nobody\"}]}"),
		FLAG("a", "ENABLED", "{\"strategies\":[],\"dependencies\":[{\"feature\":\"b\"}]}"),
		FLAG("b", "ENABLED", "{\"strategies\":[],\"dependencies\":[{\"feature\":\"a\"}]}"),
		FLAG("no such variant", "ENABLED", "{\"strategies\":[],\"dependencies\":[{\"feature\":\"fine\",\"variants\":[\"blue\",\"disabled\"]}]}"),
		FLAG("no segment", "ENABLED", "{\"strategies\":[{\"name\":\"default\",\"segments\":[9]}]}"),
		FLAG("pattern", "ENABLED", "{\"strategies\":[{\"name\":\"default\",\"constraints\":[{\"contextName\":\"a\",\"operator\":\"REGEX\",\"value\":\"(\"}]}]}"),
		FLAG("fine", "ENABLED", "{\"strategies\":[]}"),
	};
	struct flag_set       *s = build(wrong, ARRAY_SIZE(wrong), "");
	struct buf CLEANUP_BUF out = BUF_INIT(65536);

	flag_set_check(s, collect, &out);
	assert_string_contains(buf_z(&out), "orphan: its parent 'nobody' is no flag of this set");
	assert_string_contains(buf_z(&out), "its parent 'b' depends on others itself");
	assert_string_contains(buf_z(&out), "a: its prerequisites form a cycle: a -> b -> a");
	assert_string_contains(buf_z(&out), "no such variant: its parent 'fine' has no variant 'blue'");
	assert_null(strstr(buf_z(&out), "'disabled'"));
	assert_string_contains(buf_z(&out), "no segment: unleash: strategy 'default': there is no segment 9");
	assert_string_contains(buf_z(&out), "pattern: unleash: a strategy: constraint a REGEX: regular expression");
	assert_null(strstr(buf_z(&out), "\nfine:"));
	assert_string_equal(says(s, "a", FLAG_ANY, "{}"), "DISABLED - -");
	flag_set_unref(s);
}

/* --- time and chance --- */

static bool is_timed(const char *unleash)
{
	struct flag_text t = { STR("f"), str_z(arena_printf(&arena, "{\"state\":\"ENABLED\",\"weir\":{\"unleash\":%s}}", unleash)) };
	struct flag_set *s = build(&t, 1, "");
	bool             ret = flag_set_timed(s);

	flag_set_unref(s);
	return ret;
}

static void test_timed(void **state UNUSED)
{
	assert_false(is_timed("{\"strategies\":[" EVERYBODY "]}"));
	assert_false(is_timed("{\"strategies\":[" ROLLOUT("50") "]}"));
	assert_false(is_timed("{\"strategies\":[{\"name\":\"gradualRolloutRandom\",\"parameters\":{\"percentage\":\"100\"}}]}"));
	assert_true(is_timed("{\"strategies\":[{\"name\":\"gradualRolloutRandom\",\"parameters\":{\"percentage\":\"50\"}}]}"));
	assert_true(is_timed("{\"strategies\":[],\"variants\":[{\"name\":\"a\",\"weight\":1},{\"name\":\"b\",\"weight\":1}]}"));
	assert_true(is_timed("{\"strategies\":[{\"name\":\"default\",\"constraints\":[{\"contextName\":\"currentTime\",\"operator\":\"DATE_AFTER\",\"value\":\"2027-01-01T00:00:00Z\"}]}]}"));
}

/* --- explaining --- */

static void test_explain(void **state UNUSED)
{
	struct flag_set       *s = build(texts, ARRAY_SIZE(texts), SEGMENTS);
	struct flag_context    c = context("{\"beta\":false}");
	struct buf CLEANUP_BUF out = BUF_INIT(65536);
	struct jw              w;
	struct err             e = { 0 };

	jw_init(&w, &out);
	assert_ok(flag_explain(s, STR("segment"), &c, &w, &e), &e);
	assert_string_contains(buf_z(&out), "{\"step\":\"constraint\",\"index\":0,\"contextName\":\"beta\",\"strategy\":0,\"segment\":5,\"operator\":\"IN\",\"holds\":false}");
	assert_string_contains(buf_z(&out), "{\"step\":\"strategy\",\"index\":0,\"name\":\"default\",\"holds\":false,\"why\":\"one of its constraints does not hold\"}");
	assert_string_contains(buf_z(&out), "\"details\":\"none of its strategies holds\"");
	flag_set_unref(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_definition, setup, teardown),       cmocka_unit_test_setup_teardown(test_one_kind, setup, teardown),
		cmocka_unit_test_setup_teardown(test_segments_definition, setup, teardown), cmocka_unit_test_setup_teardown(test_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_as_unleash, setup, teardown),       cmocka_unit_test_setup_teardown(test_segments_change, setup, teardown),
		cmocka_unit_test_setup_teardown(test_check, setup, teardown),            cmocka_unit_test_setup_teardown(test_timed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_explain, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
