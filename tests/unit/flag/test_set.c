/* Compiled sets: what revisions share, what a broken flag does to its neighbours, evaluation by flagd's rules, and what holds flags together. */
#include "lib/test.h"

#include "base/limits.h"
#include "flag/flag-eval.h"

static struct arena arena;

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

static struct flag_set *build(const struct flag_set *before, int64_t revision, const struct flag_text *texts, size_t n)
{
	struct flag_set_head head = { .id = STR("shop/production"), .revision = revision, .evaluators = STR("{\"staff\":{\"ends_with\":[{\"var\":\"email\"},\"@example.org\"]}}"),
		                          .metadata = STR("{\"team\":\"shop\",\"n\":1}") };
	struct flag_set     *s;
	struct err           e = { 0 };

	assert_ok(flag_set_build(before, &head, texts, n, &s, &e), &e);
	return s;
}

static const char *says(const struct flag_set *s, const char *key, const char *context, usec_t now)
{
	struct flag_context c = { .now = now, .scratch = &arena };
	struct flag_answer  a;
	struct doc_node    *n;
	struct err          e = { 0 };

	assert_ok(doc_parse_json(&arena, "context", str_z(context), &n, &e), &e);
	assert_ok(logic_from_doc(&arena, n, &c.data, &e), &e);
	flag_evaluate(s, str_z(key), FLAG_ANY, &c, &a);
	return arena_printf(&arena, "%s%s%s %.*s", flag_reason_name(a.reason), a.error ? " " : "", flag_error_name(a.error), STR_ARG(a.variant ? a.variant->json : STR("-")));
}

#define ON_OFF "\"variants\":{\"on\":true,\"off\":false}"
static const struct flag_text texts[] = {
	{ { "static", 6 }, STR("{\"state\":\"ENABLED\"," ON_OFF ",\"defaultVariant\":\"on\"}") },
	{ { "none", 4 }, STR("{\"state\":\"ENABLED\"," ON_OFF "}") },
	{ { "off", 3 }, STR("{\"state\":\"DISABLED\"," ON_OFF ",\"defaultVariant\":\"on\"}") },
	{ { "staff", 5 }, STR("{\"state\":\"ENABLED\",\"variants\":{\"a\":{\"x\":[1,2.5]},\"b\":{}},\"defaultVariant\":\"b\",\"targeting\":{\"if\":[{\"$ref\":\"staff\"},\"a\"]},\"metadata\":{\"n\":2}}") },
	{ { "bool", 4 }, STR("{\"state\":\"ENABLED\",\"variants\":{\"true\":\"yes\",\"false\":\"no\"},\"targeting\":{\"==\":[{\"var\":\"a\"},1]}}") },
	{ { "number", 6 }, STR("{\"state\":\"ENABLED\",\"variants\":{\"1\":\"one\"},\"targeting\":{\"+\":[{\"var\":\"a\"},0]}}") },
	{ { "wrong", 5 }, STR("{\"state\":\"ENABLED\"," ON_OFF ",\"targeting\":{\"cat\":[\"o\",\"k\"]}}") },
	{ { "broken", 6 }, STR("{\"state\":\"ENABLED\"," ON_OFF ",\"targeting\":{\"nonsense\":[1]}}") },
	{ { "no json", 7 }, STR("{") },
	{ { "timed", 5 }, STR("{\"state\":\"ENABLED\"," ON_OFF ",\"defaultVariant\":\"on\",\"weir\":{\"from\":\"1970-01-01T00:00:10Z\",\"until\":\"1970-01-01T00:00:20Z\"}}") },
	{ { "needs", 5 }, STR("{\"state\":\"ENABLED\"," ON_OFF ",\"defaultVariant\":\"on\",\"weir\":{\"prerequisites\":[{\"flag\":\"bool\",\"variants\":[\"true\"]}]}}") },
};

static void test_rules(void **state UNUSED)
{
	struct flag_set *s = build(NULL, 1, texts, ARRAY_SIZE(texts));

	assert_int_equal(flag_set_count(s), ARRAY_SIZE(texts));
	assert_string_equal(says(s, "static", "{}", 0), "STATIC true");
	assert_string_equal(says(s, "none", "{}", 0), "DEFAULT -");
	assert_string_equal(says(s, "off", "{}", 0), "DISABLED -");
	assert_string_equal(says(s, "staff", "{\"email\":\"a@example.org\"}", 0), "TARGETING_MATCH {\"x\":[1,2.5]}");
	assert_string_equal(says(s, "staff", "{}", 0), "DEFAULT {}");
	assert_string_equal(says(s, "bool", "{\"a\":1}", 0), "TARGETING_MATCH \"yes\"");
	assert_string_equal(says(s, "bool", "{\"a\":2}", 0), "TARGETING_MATCH \"no\"");
	assert_string_equal(says(s, "number", "{\"a\":1}", 0), "TARGETING_MATCH \"one\"");
	assert_string_equal(says(s, "wrong", "{}", 0), "ERROR GENERAL -");
	assert_string_equal(says(s, "broken", "{}", 0), "ERROR PARSE_ERROR -");
	assert_string_equal(says(s, "no json", "{}", 0), "ERROR PARSE_ERROR -");
	assert_string_equal(says(s, "nothing", "{}", 0), "ERROR FLAG_NOT_FOUND -");
	assert_string_equal(says(s, "timed", "{}", 9 * USEC_PER_SEC), "DISABLED -");
	assert_string_equal(says(s, "timed", "{}", 10 * USEC_PER_SEC), "STATIC true");
	assert_string_equal(says(s, "timed", "{}", 20 * USEC_PER_SEC), "DISABLED -");
	assert_string_equal(says(s, "needs", "{\"a\":1}", 0), "STATIC true");
	assert_string_equal(says(s, "needs", "{\"a\":2}", 0), "DISABLED -");
	assert_str(flag_set_find(s, STR("staff"))->metadata, "{\"team\":\"shop\",\"n\":2}");
	assert_str(flag_set_find(s, STR("static"))->metadata, "{\"team\":\"shop\",\"n\":1}");
	assert_true(flag_set_timed(s));
	flag_set_unref(s);
}

static void test_types(void **state UNUSED)
{
	const struct flag_text  t[] = { { STR("n"), STR("{\"state\":\"ENABLED\",\"variants\":{\"a\":1.5,\"b\":2},\"defaultVariant\":\"a\",\"targeting\":{\"if\":[{\"var\":\"b\"},\"b\"]}}") } };
	struct flag_set        *s = build(NULL, 1, t, 1);
	struct flag_context     c = { .scratch = &arena };
	struct flag_answer      a;
	struct logic_pair       p = { .key = "b", .key_len = 1, .value = logic_bool(true) };
	struct err              e = { 0 };
	static const struct {
		enum flag_type want;
		enum flag_error error;
	} cases[] = { { FLAG_ANY, FLAG_OK }, { FLAG_NUMBER, FLAG_OK }, { FLAG_INTEGER, FLAG_TYPE_MISMATCH }, { FLAG_BOOL, FLAG_TYPE_MISMATCH }, { FLAG_STRING, FLAG_TYPE_MISMATCH } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		flag_evaluate(s, STR("n"), cases[i].want, &c, &a);
		assert_int_equal(a.error, cases[i].error);
	}
	assert_ok(logic_object(&arena, &p, 1, &c.data, &e), &e);
	flag_evaluate(s, STR("n"), FLAG_INTEGER, &c, &a);
	assert_int_equal(a.error, FLAG_OK); /* 2 is whole */
	flag_set_unref(s);
}

/* Revisions share what did not change, and each keeps its own answers. */
static void test_revisions(void **state UNUSED)
{
	enum { MANY = 5000 };
	struct flag_text *many = ARENA_ARRAY(&arena, MANY, struct flag_text);
	struct flag_text  edit[2];
	struct flag_set  *first, *second;
	size_t            shared = 0, n = 0;

	for (int i = 0; i < MANY; i++)
		many[i] = (struct flag_text){ str_z(arena_printf(&arena, "flag-%d", i)), STR("{\"state\":\"ENABLED\"," ON_OFF ",\"defaultVariant\":\"off\"}") };
	first = build(NULL, 1, many, MANY);
	edit[0] = (struct flag_text){ STR("flag-77"), STR("{\"state\":\"ENABLED\"," ON_OFF ",\"defaultVariant\":\"on\"}") };
	edit[1] = (struct flag_text){ STR("flag-78"), STR("") };
	second = build(first, 2, edit, 2);
	assert_int_equal(flag_set_count(second), MANY - 1);
	for (const struct flag *f = flag_set_next(second, NULL); f; f = flag_set_next(second, f), n++)
		shared += f == flag_set_find(first, f->key);
	assert_int_equal(n, MANY - 1);
	assert_true(shared > MANY - 1000);
	assert_string_equal(says(first, "flag-77", "{}", 0), "STATIC false");
	assert_string_equal(says(first, "flag-78", "{}", 0), "STATIC false");
	flag_set_unref(first);
	assert_string_equal(says(second, "flag-77", "{}", 0), "STATIC true");
	assert_string_equal(says(second, "flag-78", "{}", 0), "ERROR FLAG_NOT_FOUND -");
	assert_string_equal(says(second, "flag-4999", "{}", 0), "STATIC false");
	flag_set_unref(second);
}

/* So many that several threads make the shards: all are there, the broken ones among them alone are broken, and an evaluator is shared by all. */
static void test_very_many(void **state UNUSED)
{
	enum { VERY_MANY = 30000 };
	struct flag_text *t = ARENA_ARRAY(&arena, VERY_MANY, struct flag_text);
	struct flag_set  *s, *next;
	size_t            broken = 0;

	for (int i = 0; i < VERY_MANY; i++)
		t[i] = (struct flag_text){ str_z(arena_printf(&arena, "flag-%d", i)), texts[i % 1000 ? 3 : 7].json };
	s = build(NULL, 1, t, VERY_MANY);
	assert_int_equal(flag_set_count(s), VERY_MANY);
	for (int i = 0; i < VERY_MANY; i++) {
		const struct flag *f = flag_set_find(s, t[i].key);

		assert_non_null(f);
		broken += f->broken != NULL;
	}
	assert_int_equal(broken, VERY_MANY / 1000);
	assert_string_equal(says(s, "flag-29999", "{\"email\":\"a@example.org\"}", 0), "TARGETING_MATCH {\"x\":[1,2.5]}");
	next = build(s, 2, t, VERY_MANY / 2); /* onto a set that is there */
	assert_int_equal(flag_set_count(next), VERY_MANY);
	flag_set_unref(s);
	assert_string_equal(says(next, "flag-1", "{}", 0), "DEFAULT {}");
	flag_set_unref(next);
}

static void collect(void *ctx, const struct flag *f, const char *what)
{
	buf_addf(ctx, "%.*s: %s; ", STR_ARG(f->key), what);
}

static void check_says(const struct flag_text *t, size_t n, const char *want)
{
	struct buf CLEANUP_BUF out = BUF_INIT(1 << 16);
	struct flag_set       *s = build(NULL, 1, t, n);

	flag_set_check(s, collect, &out);
	if (*want ? !strstr(buf_z(&out), want) : out.len != 0)
		fail_msg("says \"%s\", not \"%s\"", buf_z(&out), want);
	flag_set_unref(s);
}

#define NEEDS(flag, variant) STR("{\"state\":\"ENABLED\"," ON_OFF ",\"weir\":{\"prerequisites\":[{\"flag\":\"" flag "\",\"variants\":[\"" variant "\"]}]}}")

static void test_together(void **state UNUSED)
{
	struct flag_text long_chain[LIMIT_FLAG_CHAIN + 2];

	check_says((struct flag_text[]){ { STR("a"), NEEDS("b", "on") }, { STR("b"), texts[0].json } }, 2, "");
	check_says((struct flag_text[]){ { STR("a"), NEEDS("z", "on") } }, 1, "a: its prerequisite 'z' is no flag of this set");
	check_says((struct flag_text[]){ { STR("a"), NEEDS("b", "onn") }, { STR("b"), texts[0].json } }, 2, "'b' has no variant 'onn'");
	check_says((struct flag_text[]){ { STR("a"), NEEDS("a", "on") } }, 1, "cycle: a -> a");
	check_says((struct flag_text[]){ { STR("a"), NEEDS("b", "on") }, { STR("b"), NEEDS("c", "on") }, { STR("c"), NEEDS("a", "on") } }, 3, "cycle: a -> b -> c -> a");
	check_says((struct flag_text[]){ { STR("a"), STR("{\"state\":\"ENABLED\"," ON_OFF ",\"targeting\":{\"$ref\":\"nobody\"}}") } }, 1, "nobody");
	for (size_t i = 0; i < ARRAY_SIZE(long_chain); i++)
		long_chain[i] = (struct flag_text){ str_z(arena_printf(&arena, "f%zu", i)),
			                                i + 1 < ARRAY_SIZE(long_chain)
			                                    ? str_z(arena_printf(&arena, "{\"state\":\"ENABLED\"," ON_OFF ",\"weir\":{\"prerequisites\":[{\"flag\":\"f%zu\",\"variants\":[\"on\"]}]}}", i + 1))
			                                    : texts[0].json };
	check_says(long_chain, ARRAY_SIZE(long_chain), "more than 16 flags");
	check_says(long_chain + 2, ARRAY_SIZE(long_chain) - 2, "");
}

/* Flags in layers, each of which needs all of the next layer: few flags, ways without number. A set that was stored all the same must not hang. */
static void test_many_ways(void **state UNUSED)
{
	enum { LAYERS = 15, WIDTH = 20 };
	struct flag_text     *t = ARENA_ARRAY(&arena, LAYERS * WIDTH, struct flag_text);
	struct buf CLEANUP_BUF out = BUF_INIT(8 << 20);
	struct flag_set       *s;

	for (int i = 0; i < LAYERS * WIDTH; i++) {
		struct buf CLEANUP_BUF json = BUF_INIT(1 << 16);

		buf_addz(&json, "{\"state\":\"ENABLED\"," ON_OFF ",\"defaultVariant\":\"on\",\"weir\":{\"prerequisites\":[");
		for (int k = 0; k < WIDTH && i / WIDTH + 1 < LAYERS; k++)
			buf_addf(&json, "%s{\"flag\":\"f%d\",\"variants\":[\"on\"]}", k ? "," : "", (i / WIDTH + 1) * WIDTH + k);
		buf_addz(&json, "]}}");
		t[i] = (struct flag_text){ str_z(arena_printf(&arena, "f%d", i)), arena_str(&arena, buf_str(&json)) };
	}
	s = build(NULL, 1, t, LAYERS * WIDTH);
	assert_string_equal(says(s, "f0", "{}", 0), "ERROR GENERAL -");
	assert_string_equal(says(s, "f290", "{}", 0), "STATIC true");
	flag_set_check(s, collect, &out);
	assert_non_null(strstr(buf_z(&out), "f0: its prerequisites lead"));
	flag_set_unref(s);
}

/* Rules of hostile size and nesting end by count, not by time: a walk over all pairs of a list from the context, for the flag and for what it needs. */
static void test_steps(void **state UNUSED)
{
#define PAIRS "\"targeting\":{\"if\":[{\"some\":[{\"var\":\"l\"},{\"in\":[\"z\",{\"cat\":[{\"var\":\"\"},{\"var\":\"\"}]}]}]},\"on\",\"off\"]}"
	struct flag_text       t[] = { { STR("a"), STR("{\"state\":\"ENABLED\"," ON_OFF "," PAIRS "}") },
		                           { STR("b"), STR("{\"state\":\"ENABLED\"," ON_OFF "," PAIRS ",\"weir\":{\"prerequisites\":[{\"flag\":\"a\",\"variants\":[\"off\"]}]}}") } };
	struct buf CLEANUP_BUF few = BUF_INIT(1 << 20), many = BUF_INIT(1 << 20), edge = BUF_INIT(1 << 20);
	struct flag_set       *s = build(NULL, 1, t, 2);

	buf_addz(&few, "{\"l\":[\"x\"");
	buf_addz(&many, "{\"l\":[\"x\"");
	buf_addz(&edge, "{\"l\":[\"x\"");
	for (int i = 0; i < 40000; i++)
		buf_addz(&many, ",\"x\"");
	for (int i = 0; i < 10000; i++)
		buf_addz(&edge, ",\"x\"");
	buf_addz(&few, "]}");
	buf_addz(&many, "]}");
	buf_addz(&edge, "]}");
	assert_string_equal(says(s, "a", buf_z(&few), 0), "TARGETING_MATCH false");
	assert_string_equal(says(s, "b", buf_z(&few), 0), "TARGETING_MATCH false");
	assert_string_equal(says(s, "a", buf_z(&many), 0), "ERROR GENERAL -");
	assert_string_equal(says(s, "a", buf_z(&edge), 0), "TARGETING_MATCH false");
	assert_string_equal(says(s, "b", buf_z(&edge), 0), "ERROR GENERAL -"); /* one limit for both */
	flag_set_unref(s);
}

/* What $flagd tells of the time makes answers depend on it, however it is read. */
static void test_timed(void **state UNUSED)
{
	static const struct {
		const char *rule;
		bool        timed;
	} cases[] = { { "{\"var\":\"$flagd.flagKey\"}", false }, { "{\"var\":\"$flagd.timestamp\"}", true }, { "{\"missing\":[{\"var\":\"$flagd\"}]}", true }, { "{\"var\":\"a\"}", false } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct flag_text t = { STR("f"), str_z(arena_printf(&arena, "{\"state\":\"ENABLED\"," ON_OFF ",\"targeting\":%s}", cases[i].rule)) };
		struct flag_set *s = build(NULL, 1, &t, 1);

		assert_int_equal(flag_set_timed(s), cases[i].timed);
		flag_set_unref(s);
	}
}

static void test_limits(void **state UNUSED)
{
	struct flag_set_head head = { .id = STR("x/y"), .revision = 1, .evaluators = STR(""), .metadata = STR("") };
	struct buf CLEANUP_BUF big = BUF_INIT(8 << 20);
	struct flag_text     t = { STR("f"), STR("") };
	struct flag_set     *s;
	struct err           e = { 0 };

	for (int i = 0; i <= LIMIT_FLAG_BYTES / 8; i++)
		buf_addz(&big, "        ");
	t.json = buf_str(&big);
	assert_err(flag_set_build(NULL, &head, &t, 1, &s, &e), WEIR_ELIMIT);
	assert_non_null(strstr(e.msg, "at most 262144"));
	t = (struct flag_text){ STR("bad\nkey"), STR("{}") };
	assert_err(flag_set_build(NULL, &head, &t, 1, &s, &e), WEIR_EINVAL);
	while (big.len <= LIMIT_FLAG_HEAD_BYTES)
		buf_addz(&big, "        ");
	head.metadata = buf_str(&big);
	assert_err(flag_set_build(NULL, &head, NULL, 0, &s, &e), WEIR_ELIMIT);
	head.metadata = STR("[]");
	assert_err(flag_set_build(NULL, &head, NULL, 0, &s, &e), WEIR_EINVAL);
}

static void test_explain(void **state UNUSED)
{
	struct flag_set       *s = build(NULL, 7, texts, ARRAY_SIZE(texts));
	struct buf CLEANUP_BUF out = BUF_INIT(1 << 16);
	struct flag_context    c = { .scratch = &arena };
	struct doc_node       *n;
	struct err             e = { 0 };
	struct jw              w;

	jw_init(&w, &out);
	assert_ok(flag_explain(s, STR("staff"), &c, &w, &e), &e);
	assert_ok(doc_parse_json(&arena, "explained", buf_str(&out), &n, &e), &e);
	assert_int_equal(doc_get_int(n, "revision", 0), 7);
	assert_str(doc_get_str(n, "reason"), "DEFAULT");
	assert_true(doc_len(doc_get(n, "steps")) >= 2);
	assert_err(flag_explain(s, STR("nothing"), &c, &w, &e), WEIR_ENOENT);
	flag_set_unref(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rules, setup, teardown),
		cmocka_unit_test_setup_teardown(test_types, setup, teardown),
		cmocka_unit_test_setup_teardown(test_revisions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_together, setup, teardown),
		cmocka_unit_test_setup_teardown(test_very_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_ways, setup, teardown),
		cmocka_unit_test_setup_teardown(test_steps, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_explain, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
