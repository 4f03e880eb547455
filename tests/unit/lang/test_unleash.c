/* What the public specification does not pin: every operator in both directions, what a missing field and a broken constraint do, lists, addresses, buckets,
 * chance, overrides, parents, problems, limits, traces. */
#include "tests/lib/test.h"

#include "lang/unleash/unleash.h"

struct fixture {
	struct arena          a, scratch;
	struct buf            out;
	struct err            err;
	struct unleash_env    env;
	struct unleash_result r;
	struct unleash_parent parent;
	bool                  has_parent;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	arena_init(&f->a, 64 << 20);
	arena_init(&f->scratch, 1 << 20);
	buf_init(&f->out, 1 << 20);
	f->env = (struct unleash_env){ .get = unleash_context_get, .now = 1000000 * USEC_PER_SEC, .random = 1, .scratch = &f->scratch };
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	arena_fini(&f->a);
	arena_fini(&f->scratch);
	buf_fini(&f->out);
	free(f);
	return 0;
}

static struct doc_node *doc(struct fixture *f, const char *json)
{
	struct doc_node *n = NULL;

	assert_ok(doc_parse_json(&f->a, "f", str_z(json), &n, &f->err), &f->err);
	return n;
}

static const struct unleash_feature *compile(struct fixture *f, const char *feature, const char *segments)
{
	struct unleash_segments *s = NULL;
	struct unleash_feature  *ret;

	if (segments)
		assert_ok(unleash_segments_compile(&f->a, doc(f, segments), &s, &f->err), &f->err);
	assert_ok(unleash_compile(&f->a, STR("f"), doc(f, feature), s, &ret, &f->err), &f->err);
	return ret;
}

static void set_context(struct fixture *f, const char *context)
{
	struct unleash_context *c;

	assert_ok(unleash_context_read(&f->a, doc(f, context), &c, &f->err), &f->err);
	f->env.get_ctx = c;
}

static bool is_on(struct fixture *f, const struct unleash_feature *u, const char *context)
{
	set_context(f, context);
	assert_ok(unleash_evaluate(u, &f->env, &f->r, &f->err), &f->err);
	return f->r.enabled;
}

/* --- constraints --- */

static const struct {
	const char *constraint, *context;
	bool        holds;
} constraints[] = {
	{ "\"operator\":\"IN\",\"values\":[\"b\",\" a \",\"\"]", "{\"x\":\"a\"}", true },
	{ "\"operator\":\"IN\",\"values\":[1,true]", "{\"x\":1}", true },
	{ "\"operator\":\"IN\",\"values\":[\"true\"]", "{\"properties\":{\"x\":true}}", true },
	{ "\"operator\":\"IN\",\"values\":[\"a\"]", "{\"x\":\"A\"}", false },
	{ "\"operator\":\"IN\",\"values\":[\"\"]", "{\"x\":\"\"}", false },
	{ "\"operator\":\"IN\",\"value\":\"a\"", "{\"x\":\"a\"}", true },
	{ "\"operator\":\"NOT_IN\",\"values\":[\"a\"]", "{}", true },
	{ "\"operator\":\"NOT_IN\",\"values\":[\"a\"],\"inverted\":true", "{}", false },
	{ "\"operator\":\"NOT_IN\",\"values\":[\"a\"]", "{\"x\":null}", true },
	{ "\"operator\":\"STR_STARTS_WITH\",\"values\":[\"q\",\"ab\"]", "{\"x\":\"abc\"}", true },
	{ "\"operator\":\"STR_STARTS_WITH\",\"values\":[\"bc\"]", "{\"x\":\"abc\"}", false },
	{ "\"operator\":\"STR_STARTS_WITH\",\"values\":[\"a.\"],\"caseInsensitive\":true", "{\"x\":\"A.c\"}", true },
	{ "\"operator\":\"STR_STARTS_WITH\",\"values\":[\"a.\"],\"caseInsensitive\":true", "{\"x\":\"Abc\"}", false },
	{ "\"operator\":\"STR_STARTS_WITH\",\"values\":[\"b\"],\"caseInsensitive\":true", "{\"x\":\"a\\nb\"}", false },
	{ "\"operator\":\"STR_ENDS_WITH\",\"values\":[\"\xc3\x98\"],\"caseInsensitive\":true", "{\"x\":\"sm\xc3\xb8\"}", true },
	{ "\"operator\":\"STR_ENDS_WITH\",\"values\":[\"a\"],\"caseInsensitive\":true", "{\"x\":\"A\\n\"}", false },
	{ "\"operator\":\"STR_CONTAINS\",\"values\":[\"B\"],\"caseInsensitive\":true", "{\"x\":\"abc\"}", true },
	{ "\"operator\":\"STR_CONTAINS\",\"values\":[],\"caseInsensitive\":true", "{\"x\":\"abc\"}", false },
	{ "\"operator\":\"STR_CONTAINS\",\"values\":[\"abcd\"]", "{\"x\":\"abc\"}", false },
	{ "\"operator\":\"STR_CONTAINS\",\"values\":[\"a\"],\"inverted\":true", "{}", true },
	{ "\"operator\":\"NUM_GT\",\"value\":\"-1.5\"", "{\"x\":-1}", true },
	{ "\"operator\":\"NUM_LTE\",\"value\":\"5\"", "{\"x\":\" 5.0 \"}", true },
	{ "\"operator\":\"NUM_EQ\",\"values\":[\"5\"]", "{\"x\":5}", true },
	{ "\"operator\":\"NUM_EQ\",\"value\":\"5\"", "{\"x\":\"five\"}", false },
	{ "\"operator\":\"NUM_EQ\",\"value\":\"five\",\"inverted\":true", "{\"x\":5}", false },
	{ "\"operator\":\"DATE_AFTER\",\"value\":\"2024-01-01\"", "{\"x\":\"2024-01-01T00:00:01Z\"}", true },
	{ "\"operator\":\"DATE_BEFORE\",\"value\":\"2024-01-01T02:00:00+02:00\"", "{\"x\":\"2023-12-31T23:59:59.5Z\"}", true },
	{ "\"operator\":\"DATE_BEFORE\",\"value\":\"2024-01-01\"", "{\"x\":\"yesterday\"}", false },
	{ "\"operator\":\"DATE_BEFORE\",\"value\":\"2024-01-01\"", "{}", false },
	{ "\"operator\":\"DATE_BEFORE\",\"value\":\"soon\",\"inverted\":true", "{\"x\":\"2023-12-31T23:59:59.5Z\"}", false },
	{ "\"operator\":\"SEMVER_EQ\",\"value\":\"1.2.3+a\"", "{\"x\":\"1.2.3+b\"}", true },
	{ "\"operator\":\"SEMVER_GTE\",\"value\":\"1.2.3\"", "{\"x\":\"1.10.0\"}", true },
	{ "\"operator\":\"SEMVER_LT\",\"value\":\"1.2.3\"", "{\"x\":\"1.2.3-rc.1\"}", true },
	{ "\"operator\":\"SEMVER_LTE\",\"value\":\"1.2.3\"", "{\"x\":\"1.2\"}", false },
	{ "\"operator\":\"SEMVER_LTE\",\"value\":\"1.2.3\"", "{\"x\":\"1.02.3\"}", false },
	{ "\"operator\":\"SEMVER_LTE\",\"value\":\"1.2.3\"", "{\"x\":\"1.2.3-\"}", false },
	{ "\"operator\":\"SEMVER_GT\",\"value\":\"1.2\",\"inverted\":true", "{\"x\":\"1.2.3\"}", false },
	{ "\"operator\":\"REGEX\",\"value\":\"^a+$\"", "{\"x\":\"aaa\"}", true },
	{ "\"operator\":\"REGEX\",\"value\":\"b\",\"caseInsensitive\":true", "{\"x\":\"aBc\"}", true },
	{ "\"operator\":\"REGEX\",\"value\":\"(\",\"inverted\":true", "{\"x\":\"a\"}", false },
	{ "\"operator\":\"REGEX\",\"inverted\":true", "{\"x\":\"a\"}", false },
	{ "\"operator\":\"IN_CIDR\",\"values\":[\"10.0.0.0/8\",\"x\"]", "{\"x\":\"10.255.0.1\"}", true },
	{ "\"operator\":\"IN_CIDR\",\"values\":[\"10.0.0.0/9\"]", "{\"x\":\"10.128.0.1\"}", false },
	{ "\"operator\":\"IN_CIDR\",\"values\":[\"0.0.0.0/0\"]", "{\"x\":\"::1\"}", false },
	{ "\"operator\":\"IN_CIDR\",\"values\":[\"10.0.0.0/8\"]", "{\"x\":\"::ffff:10.0.0.1\"}", true },
	{ "\"operator\":\"IN_CIDR\",\"values\":[\"10.0.0.0/33\",\"10.0.0.0/\",\"10.0.0.0/-1\"]", "{\"x\":\"10.0.0.0\"}", false },
	{ "\"operator\":\"IN_CIDR\",\"values\":[\"10.0.0.0/8\"]", "{\"x\":\"10.0.0.0/8\"}", false },
	{ "\"operator\":\"IN_CIDR\",\"values\":[\"10.0.0.0/8\"],\"inverted\":true", "{\"x\":\"no address\"}", true },
	{ "\"operator\":\"SOUNDS_LIKE\",\"values\":[\"a\"],\"inverted\":true", "{\"x\":\"a\"}", false },
};

static void test_constraints(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(constraints); i++) {
		char *feature = arena_printf(&f->a, "{\"strategies\":[{\"name\":\"default\",\"constraints\":[{\"contextName\":\"x\",%s}]}]}", constraints[i].constraint);

		if (is_on(f, compile(f, feature, NULL), constraints[i].context) != constraints[i].holds)
			fail_msg("%s of %s: not %d", constraints[i].constraint, constraints[i].context, constraints[i].holds);
	}
}

static void test_time(void **state)
{
	struct fixture               *f = *state;
	const struct unleash_feature *u = compile(f, "{\"strategies\":[{\"name\":\"default\",\"constraints\":[{\"contextName\":\"currentTime\",\"operator\":\"DATE_AFTER\","
												 "\"value\":\"1970-01-12T13:46:39Z\"}]}]}", NULL);

	assert_true(is_on(f, u, "{}"));
	f->env.now -= USEC_PER_SEC;
	assert_false(is_on(f, u, "{}"));
	assert_true(is_on(f, u, "{\"currentTime\":\"1970-01-12T13:46:40Z\"}"));
	assert_false(is_on(f, u, "{\"currentTime\":\"now\"}"));
	assert_true(unleash_varies(u));
}

/* --- strategies --- */

static void test_strategies(void **state)
{
	static const struct {
		const char *strategy, *context;
		bool        holds;
	} cases[] = {
		{ "\"name\":\"userWithId\",\"parameters\":{\"userIds\":\"a,b , c,,\"}", "{\"userId\":\"b\"}", true },
		{ "\"name\":\"userWithId\",\"parameters\":{\"userIds\":\"a,b\"}", "{\"userId\":\"a,b\"}", false },
		{ "\"name\":\"userWithId\",\"parameters\":{\"userIds\":\"\"}", "{\"userId\":\"\"}", false },
		{ "\"name\":\"userWithId\"", "{\"userId\":\"a\"}", false },
		{ "\"name\":\"remoteAddress\",\"parameters\":{\"IPs\":\"::1, 10.0.0.0/8\"}", "{\"remoteAddress\":\"10.1.1.1\"}", true },
		{ "\"name\":\"remoteAddress\",\"parameters\":{\"IPs\":\"::1, 10.0.0.0/8\"}", "{\"remoteAddress\":\"0:0::1\"}", true },
		{ "\"name\":\"applicationHostname\",\"parameters\":{\"hostNames\":\"Web-1, web-2\"}", "{\"hostname\":\"WEB-1\"}", true },
		{ "\"name\":\"applicationHostname\",\"parameters\":{\"hostNames\":\"web-2\"}", "{}", false },
		{ "\"name\":\"ownStrategy\"", "{}", false },
		{ "\"name\":\"flexibleRollout\",\"parameters\":{\"rollout\":100}", "{}", true },
		{ "\"name\":\"flexibleRollout\",\"parameters\":{\"rollout\":\"all\"}", "{}", false },
		{ "\"name\":\"flexibleRollout\",\"parameters\":{\"rollout\":\"100\",\"stickiness\":\"tenant\"}", "{}", false },
		{ "\"name\":\"flexibleRollout\",\"parameters\":{\"rollout\":\"100\",\"stickiness\":\"tenant\"}", "{\"tenant\":\"t\"}", true },
		{ "\"name\":\"gradualRolloutRandom\",\"parameters\":{\"percentage\":0}", "{}", false },
		{ "\"name\":\"default\",\"segments\":[1]", "{\"x\":\"a\"}", true },
		{ "\"name\":\"default\",\"segments\":[1,2]", "{\"x\":\"a\"}", false },
		{ "\"name\":\"default\",\"segments\":[\"1\"]", "{\"x\":\"a\"}", false },
		{ "\"name\":\"default\",\"disabled\":true", "{}", false },
	};
	static const char segments[] = "{\"a\":{\"id\":2,\"constraints\":[{\"contextName\":\"y\",\"operator\":\"IN\",\"values\":[\"a\"]}]},"
								   "\"b\":{\"id\":1,\"constraints\":[{\"contextName\":\"x\",\"operator\":\"IN\",\"values\":[\"a\"]}]}}";
	struct fixture   *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (is_on(f, compile(f, arena_printf(&f->a, "{\"strategies\":[{%s}]}", cases[i].strategy), segments), cases[i].context) != cases[i].holds)
			fail_msg("%s of %s: not %d", cases[i].strategy, cases[i].context, cases[i].holds);
}

/* Bucket of "g:4" is 8, of "g:1" 85 (murmur3 x86_32, seed 0). */
static void test_buckets(void **state)
{
	struct fixture *f = *state;

	for (unsigned percent = 0; percent <= 100; percent++) {
		const struct unleash_feature *u = compile(f, arena_printf(&f->a, "{\"strategies\":[{\"name\":\"flexibleRollout\",\"parameters\":{\"rollout\":\"%u\",\"groupId\":\"g\"}}]}",
																	percent), NULL);

		assert_int_equal(is_on(f, u, "{\"userId\":\"4\"}"), percent >= 8);
		assert_int_equal(f->r.split, percent < 100);
		assert_int_equal(is_on(f, u, "{\"sessionId\":\"1\"}"), percent >= 85);
		assert_false(f->r.by_chance);
	}
}

static void test_first_decides(void **state)
{
	struct fixture               *f = *state;
	const struct unleash_feature *u = compile(f, "{\"strategies\":[{\"name\":\"userWithId\",\"parameters\":{\"userIds\":\"1\"},\"variants\":[{\"name\":\"a\",\"weight\":1}]},"
												 "{\"name\":\"default\",\"variants\":[]}],\"variants\":[{\"name\":\"b\",\"weight\":1}]}", NULL);

	assert_true(is_on(f, u, "{\"userId\":\"1\"}"));
	assert_str(f->r.variant->name, "a");
	assert_int_equal(f->r.strategy, 0);
	assert_int_equal(f->r.variant_index, 1);
	assert_true(is_on(f, u, "{}"));
	assert_str(f->r.variant->name, "b");
	assert_int_equal(f->r.strategy, 1);
	assert_int_equal(f->r.variant_index, 0);
	assert_false(f->r.split);
	assert_int_equal(unleash_n_variants(u), 2);
	u = compile(f, "{\"strategies\":[{\"name\":\"default\",\"variants\":[{\"name\":\"a\",\"weight\":0}]}],\"variants\":[{\"name\":\"b\",\"weight\":1}]}", NULL);
	assert_true(is_on(f, u, "{}"));
	assert_str(f->r.variant->name, "b"); /* those of the strategy weigh nothing */
	assert_null(unleash_variant_at(u, 2));
}

/* --- variants --- */

static void test_weights(void **state)
{
	struct fixture               *f = *state;
	const struct unleash_feature *u = compile(f, "{\"strategies\":[],\"variants\":[{\"name\":\"none\",\"weight\":0},{\"name\":\"a\",\"weight\":900},{\"name\":\"b\",\"weight\":100}]}", NULL);
	unsigned                      n[2] = { 0, 0 };

	for (unsigned i = 0; i < 2000; i++) {
		assert_true(is_on(f, u, arena_printf(&f->a, "{\"userId\":\"%u\"}", i)));
		assert_string_not_equal(f->r.variant->name.ptr, "none");
		n[f->r.variant->name.ptr[0] - 'a']++;
		assert_true(f->r.split);
	}
	assert_true(n[0] > 1700 && n[1] > 130);
	u = compile(f, "{\"strategies\":[],\"variants\":[{\"name\":\"none\",\"weight\":0}]}", NULL);
	assert_true(is_on(f, u, "{}"));
	assert_null(f->r.variant);
	u = compile(f, "{\"strategies\":[],\"variants\":[{\"name\":\"a\",\"weight\":-5},{\"name\":\"b\",\"weight\":1e300}]}", NULL);
	assert_true(is_on(f, u, "{}"));
	assert_str(f->r.variant->name, "b");
}

static void test_chance(void **state)
{
	struct fixture               *f = *state;
	const struct unleash_feature *u = compile(f, "{\"strategies\":[{\"name\":\"gradualRolloutRandom\",\"parameters\":{\"percentage\":\"30\"}}]}", NULL);
	unsigned                      n = 0;

	assert_true(unleash_varies(u));
	for (unsigned i = 0; i < 2000; i++) {
		bool on;

		f->env.random = i;
		on = is_on(f, u, "{}");
		n += on;
		assert_true(f->r.by_chance);
		assert_int_equal(is_on(f, u, "{}"), on); /* one number, one answer */
	}
	assert_true(n > 500 && n < 700);
}

/* A variant that takes all the weight is chosen without chance. */
static void test_no_chance(void **state)
{
	struct fixture               *f = *state;
	const struct unleash_feature *u = compile(f, "{\"strategies\":[],\"variants\":[{\"name\":\"none\",\"weight\":0},{\"name\":\"a\",\"weight\":5,\"stickiness\":\"random\"}]}", NULL);

	assert_false(unleash_varies(u));
	assert_true(is_on(f, u, "{}"));
	assert_str(f->r.variant->name, "a");
	assert_false(f->r.by_chance);
}

static void test_overrides(void **state)
{
	struct fixture               *f = *state;
	const struct unleash_feature *u = compile(f, "{\"strategies\":[],\"variants\":[{\"name\":\"a\",\"weight\":1000},{\"name\":\"b\",\"weight\":0,"
												 "\"overrides\":[{\"contextName\":\"plan\",\"values\":[\"x\",\"pro\"]}]}]}", NULL);

	assert_true(is_on(f, u, "{\"properties\":{\"plan\":\"pro\"}}"));
	assert_str(f->r.variant->name, "b");
	assert_true(is_on(f, u, "{\"properties\":{\"plan\":\"free\"}}"));
	assert_str(f->r.variant->name, "a");
}

/* --- parents --- */

static bool ask_parent(void *ctx, str name UNUSED, struct unleash_parent *ret)
{
	struct fixture *f = ctx;

	*ret = f->parent;
	return f->has_parent;
}

static bool with_parent(struct fixture *f, const char *dependency, bool enabled, bool dependent, const char *variant)
{
	const struct unleash_feature *u = compile(f, arena_printf(&f->a, "{\"strategies\":[],\"dependencies\":[{\"feature\":\"p\"%s}]}", dependency), NULL);

	f->env.parent = ask_parent;
	f->env.parent_ctx = f;
	f->has_parent = true;
	f->parent = (struct unleash_parent){ enabled, dependent, str_z(variant) };
	return is_on(f, u, "{}");
}

static void test_parents(void **state)
{
	struct fixture *f = *state;

	assert_true(with_parent(f, "", true, false, "disabled"));
	assert_false(with_parent(f, "", false, false, "disabled"));
	assert_int_equal(f->r.why, UNLEASH_NO_PARENT);
	assert_false(with_parent(f, "", true, true, "disabled"));
	assert_true(with_parent(f, ",\"enabled\":false", false, false, "disabled"));
	assert_false(with_parent(f, ",\"enabled\":false", true, false, "disabled"));
	assert_true(with_parent(f, ",\"variants\":[\"a\",\"b\"]", true, false, "b"));
	assert_false(with_parent(f, ",\"variants\":[\"a\",\"b\"]", true, false, "c"));
	assert_false(with_parent(f, ",\"variants\":[\"disabled\"]", false, false, "disabled")); /* off, whatever its variant */
	f->has_parent = false;
	assert_false(is_on(f, compile(f, "{\"strategies\":[],\"dependencies\":[{\"feature\":\"p\"}]}", NULL), "{}"));
	f->env.parent = NULL;
	assert_false(is_on(f, compile(f, "{\"strategies\":[],\"dependencies\":[{\"feature\":\"p\"}]}", NULL), "{}"));
}

/* --- contexts, features as such --- */

static void test_context(void **state)
{
	struct fixture         *f = *state;
	struct unleash_context *c;
	str                     s;

	set_context(f, "{\"userId\":\"own\",\"n\":1.50,\"l\":[1],\"properties\":{\"userId\":\"other\",\"p\":\"q\"}}");
	c = f->env.get_ctx;
	assert_true(unleash_context_get(c, STR("userId"), &s));
	assert_str(s, "own");
	assert_true(unleash_context_get(c, STR("p"), &s));
	assert_str(s, "q");
	assert_true(unleash_context_get(c, STR("n"), &s));
	assert_str(s, "1.50");
	assert_false(unleash_context_get(c, STR("l"), &s));
	assert_false(unleash_context_get(c, STR("properties"), &s));
	assert_err(unleash_context_read(&f->a, doc(f, "[1]"), &c, &f->err), WEIR_EINVAL);
}

static void test_feature(void **state)
{
	struct fixture               *f = *state;
	const struct unleash_feature *u = compile(f, "{\"enabled\":false,\"strategies\":[{\"name\":\"own\"},{\"name\":\"default\",\"segments\":[4]},"
												 "{\"name\":\"default\",\"constraints\":[{\"contextName\":\"a\",\"operator\":\"NEAR\"}]}],\"impressionData\":true}", NULL);
	struct unleash_feature       *ret;

	assert_false(is_on(f, u, "{}"));
	assert_int_equal(f->r.why, UNLEASH_OFF);
	assert_true(unleash_impression_data(u));
	assert_false(unleash_is_enabled(u));
	assert_string_equal(unleash_problem(u, 0), "strategy 'own' is not known");
	assert_string_equal(unleash_problem(u, 1), "strategy 'default': there is no segment 4");
	assert_string_equal(unleash_problem(u, 2), "a strategy: constraint a NEAR: its operator is not known");
	assert_null(unleash_problem(u, 3));
	assert_err(unleash_compile(&f->a, STR_NULL, doc(f, "[]"), NULL, &ret, &f->err), WEIR_EINVAL);
}

/* --- limits --- */

static void test_limits(void **state)
{
	struct fixture               *f = *state;
	struct arena                  small = ARENA_INIT(2000);
	struct buf                    text = BUF_INIT(8 << 20);
	const struct unleash_feature *u;
	struct unleash_feature       *ret;
	uint64_t                      left;

	buf_addz(&text, "{\"strategies\":[{\"name\":\"default\",\"constraints\":[{\"contextName\":\"x\",\"operator\":\"STR_CONTAINS\",\"inverted\":true,\"values\":[\"q\"");
	for (int i = 0; i < 1000; i++)
		buf_addf(&text, ",\"%d\"", i);
	buf_addz(&text, "]}]}]}");
	u = compile(f, buf_z(&text), NULL);
	set_context(f, "{\"x\":\"abc\"}");
	assert_ok(unleash_evaluate(u, &f->env, &f->r, &f->err), &f->err);
	assert_true(f->r.enabled);
	left = 1500;
	f->env.steps_left = &left; /* shared by two evaluations */
	assert_ok(unleash_evaluate(u, &f->env, &f->r, &f->err), &f->err);
	assert_err(unleash_evaluate(u, &f->env, &f->r, &f->err), WEIR_ELIMIT);
	f->env.steps_left = NULL;
	f->env.steps_max = 500;
	assert_err(unleash_evaluate(u, &f->env, &f->r, &f->err), WEIR_ELIMIT);
	assert_false(f->r.enabled); /* what was cut short is not turned round by "inverted" */
	assert_err(unleash_compile(&small, STR("f"), doc(f, buf_z(&text)), NULL, &ret, &f->err), WEIR_ELIMIT);
	buf_clear(&text);
	buf_addz(&text, "{\"strategies\":[{}");
	for (int i = 0; i < UNLEASH_STRATEGIES_MAX; i++)
		buf_addz(&text, ",{}");
	buf_addz(&text, "]}");
	assert_err(unleash_compile(&f->a, STR("f"), doc(f, buf_z(&text)), NULL, &ret, &f->err), WEIR_ELIMIT);
	arena_fini(&small);
	buf_fini(&text);
}

static void test_scratch(void **state)
{
	struct fixture               *f = *state;
	struct arena                  tiny = ARENA_INIT(1);
	const struct unleash_feature *u = compile(f, "{\"strategies\":[{\"name\":\"default\",\"constraints\":[{\"contextName\":\"v\",\"operator\":\"SEMVER_GT\",\"value\":\"1.0.0\"}]}]}", NULL);

	assert_true(is_on(f, u, "{\"v\":\"2.0.0\"}"));
	f->env.scratch = &tiny;
	assert_err(unleash_evaluate(u, &f->env, &f->r, &f->err), WEIR_ELIMIT);
	arena_fini(&tiny);
}

/* --- traces --- */

static void note(void *ctx, const struct unleash_step *s)
{
	buf_addf(ctx, "%d %.*s %.*s %d %u/%u%s%s\n", s->kind, STR_ARG(s->name), STR_ARG(s->op), s->holds, s->bucket, s->until, s->why ? " " : "", s->why ? s->why : "");
}

static void test_trace(void **state)
{
	struct fixture               *f = *state;
	const struct unleash_feature *u = compile(f, "{\"strategies\":[{\"name\":\"own\"},{\"name\":\"flexibleRollout\",\"parameters\":{\"rollout\":\"8\",\"groupId\":\"g\"},"
												 "\"constraints\":[{\"contextName\":\"userId\",\"operator\":\"IN\",\"values\":[\"4\"]}]}],\"variants\":[{\"name\":\"v\",\"weight\":7}]}", NULL);

	f->env.trace = note;
	f->env.trace_ctx = &f->out;
	assert_true(is_on(f, u, "{\"userId\":\"4\"}"));
	assert_non_null(strstr(buf_z(&f->out), "1 own  0 0/0 strategy 'own' is not known\n2 userId IN 1 0/0\n1 flexibleRollout  1 8/8\n3 v  1 "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_constraints, setup, teardown),   cmocka_unit_test_setup_teardown(test_time, setup, teardown),
		cmocka_unit_test_setup_teardown(test_strategies, setup, teardown),    cmocka_unit_test_setup_teardown(test_buckets, setup, teardown),
		cmocka_unit_test_setup_teardown(test_first_decides, setup, teardown), cmocka_unit_test_setup_teardown(test_weights, setup, teardown),
		cmocka_unit_test_setup_teardown(test_chance, setup, teardown),        cmocka_unit_test_setup_teardown(test_overrides, setup, teardown),
		cmocka_unit_test_setup_teardown(test_parents, setup, teardown),       cmocka_unit_test_setup_teardown(test_context, setup, teardown),
		cmocka_unit_test_setup_teardown(test_feature, setup, teardown),       cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_scratch, setup, teardown),       cmocka_unit_test_setup_teardown(test_no_chance, setup, teardown),
		      cmocka_unit_test_setup_teardown(test_trace, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
