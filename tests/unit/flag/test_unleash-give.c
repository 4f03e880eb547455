/* What Unleash's clients get of a flag, flag by flag, and why they do not get some. */
#include "lib/test.h"

#include "flag/unleash-give.h"

static struct arena     arena;
static struct flag_set *set;

static void put(const char *const (*texts)[2], size_t n)
{
	struct flag_text     t[16];
	struct flag_set_head head = { .id = STR("p/s"), .revision = 1, .evaluators = STR(""), .metadata = STR(""), .segments = STR("{\"staff\":{\"id\":7,\"constraints\":[{\"contextName\":\"userId\",\"operator\":\"IN\",\"values\":[\"u\"]}]}}") };
	struct err           e = { 0 };

	for (size_t i = 0; i < n; i++)
		t[i] = (struct flag_text){ str_z(texts[i][0]), str_z(texts[i][1]) };
	assert_ok(flag_set_build(NULL, &head, t, n, &set, &e), &e);
}

static int setup(void **state UNUSED)
{
	arena_init(&arena, 64 << 20);
	return 0;
}

static int teardown(void **state UNUSED)
{
	set = flag_set_unref(set);
	arena_fini(&arena);
	return 0;
}

static void assert_feature(const char *key, bool inlined, const char *want)
{
	struct buf CLEANUP_BUF out = BUF_INIT(1 << 20);
	const struct flag     *f = flag_set_find(set, str_z(key));
	const struct doc_node *def = unleash_def(&arena, f);
	struct jw              w;

	assert_null(unleash_left_out(&arena, set, f, def));
	jw_init(&w, &out);
	unleash_write_feature(&w, STR("p"), f, def, unleash_segments(&arena, flag_set_head(set)), inlined);
	assert_string_equal(buf_z(&out), want);
}

static void assert_out(const char *key, const char *why)
{
	const struct flag *f = flag_set_find(set, str_z(key));
	const char        *said = unleash_left_out(&arena, set, f, unleash_def(&arena, f));

	assert_non_null(said);
	assert_non_null(strstr(said, why));
}

#define FLAGD(more) "{\"state\":\"ENABLED\",\"variants\":{\"on\":true,\"off\":false}" more "}"
#define COMMON(type) "\"type\":\"" type "\",\"project\":\"p\",\"stale\":false,\"impressionData\":false,"
#define ON           "\"enabled\":true,\"strategies\":[{\"name\":\"default\",\"parameters\":{},\"constraints\":[]}],\"variants\":[{\"name\":"
#define OFF          "\"enabled\":false,\"strategies\":[],\"variants\":[]}"

static void test_flagd(void **state UNUSED)
{
	static const char *const texts[][2] = {
		{ "yes", FLAGD(",\"defaultVariant\":\"on\",\"weir\":{\"purpose\":\"operational\"}") },
		{ "no", FLAGD(",\"defaultVariant\":\"off\",\"targeting\":{}") },
		{ "killed", "{\"state\":\"DISABLED\",\"variants\":{\"a\":1},\"targeting\":{\"if\":[true,\"a\"]}}" },
		{ "text", "{\"state\":\"ENABLED\",\"variants\":{\"a\":\"q\\\"\\u00fc\"},\"defaultVariant\":\"a\"}" },
		{ "ruled", FLAGD(",\"defaultVariant\":\"on\",\"targeting\":{\"if\":[true,\"on\"]}") },
		{ "open", FLAGD("") },
		{ "timed", FLAGD(",\"defaultVariant\":\"on\",\"weir\":{\"from\":\"2026-01-01T00:00:00Z\"}") },
		{ "needing", FLAGD(",\"defaultVariant\":\"on\",\"weir\":{\"prerequisites\":[{\"flag\":\"yes\",\"variants\":[\"on\"]}]}") },
		{ "archived", FLAGD(",\"defaultVariant\":\"on\",\"weir\":{\"archived\":true}") },
		{ "broken", FLAGD(",\"defaultVariant\":\"on\",\"targeting\":{\"nothing\":[1]}") },
	};

	put(texts, ARRAY_SIZE(texts));
	assert_feature("yes", false, "{\"name\":\"yes\"," COMMON("operational") ON "\"on\",\"weight\":1000,\"stickiness\":\"default\",\"payload\":{\"type\":\"string\",\"value\":\"true\"}}]}");
	assert_feature("no", false, "{\"name\":\"no\"," COMMON("release") OFF);
	assert_feature("killed", false, "{\"name\":\"killed\"," COMMON("release") OFF);
	assert_feature("text", false, "{\"name\":\"text\"," COMMON("release") ON "\"a\",\"weight\":1000,\"stickiness\":\"default\",\"payload\":{\"type\":\"string\",\"value\":\"q\\\"\u00fc\"}}]}");
	assert_out("archived", "archived");
	assert_out("ruled", "rule of flagd");
	assert_out("open", "no default variant");
	assert_out("timed", "only for a time");
	assert_out("needing", "prerequisites");
	assert_out("broken", "cannot be evaluated");
}

static void test_unleash(void **state UNUSED)
{
	static const char *const texts[][2] = {
		{ "seg", "{\"state\":\"ENABLED\",\"metadata\":{\"stale\":true,\"tags\":\"a:b , c:d\"},\"weir\":{\"unleash\":{\"strategies\":[{\"name\":\"flexibleRollout\",\"parameters\":{\"rollout\":50,\"stickiness\":\"userId\"},"
				 "\"segments\":[7,9]},{\"name\":\"default\",\"disabled\":true}]}}}" },
		{ "all-off", "{\"state\":\"ENABLED\",\"weir\":{\"unleash\":{\"strategies\":[{\"name\":\"default\",\"disabled\":true}]}}}" },
		{ "none", "{\"state\":\"ENABLED\",\"weir\":{\"unleash\":{\"strategies\":[]}}}" },
		{ "parent", FLAGD(",\"defaultVariant\":\"on\",\"targeting\":{\"if\":[true,\"on\"]}") },
		{ "child", "{\"state\":\"ENABLED\",\"weir\":{\"unleash\":{\"strategies\":[],\"dependencies\":[{\"feature\":\"parent\"}]}}}" },
		{ "timed", "{\"state\":\"ENABLED\",\"weir\":{\"until\":\"2100-01-01T00:00:00Z\",\"unleash\":{\"strategies\":[]}}}" },
	};
	const char *const          never = "{\"contextName\":\"userId\",\"operator\":\"IN\",\"values\":[]}";
	char                       want[1000];
	const str                  tags[] = { STR("x:y"), STR("c:d") };
	struct unleash_query       q = { .prefix = STR("se"), .tags = tags, .n_tags = 2 };
	const struct flag         *f;

	put(texts, ARRAY_SIZE(texts));
	assert_feature("seg", false, "{\"name\":\"seg\",\"type\":\"release\",\"project\":\"p\",\"stale\":true,\"impressionData\":false,\"enabled\":true,\"strategies\":[{\"name\":\"flexibleRollout\","
								 "\"parameters\":{\"rollout\":\"50\",\"stickiness\":\"userId\"},\"constraints\":[],\"segments\":[7,9],\"variants\":[]}],\"variants\":[]}");
	snprintf(want, sizeof(want), "{\"name\":\"seg\",\"type\":\"release\",\"project\":\"p\",\"stale\":true,\"impressionData\":false,\"enabled\":true,\"strategies\":[{\"name\":\"flexibleRollout\","
								 "\"parameters\":{\"rollout\":\"50\",\"stickiness\":\"userId\"},\"constraints\":[{\"contextName\":\"userId\",\"operator\":\"IN\",\"values\":[\"u\"]},%s],\"variants\":[]}],\"variants\":[]}", never);
	assert_feature("seg", true, want); /* a segment that is not there is met by nobody */
	assert_feature("all-off", false, "{\"name\":\"all-off\"," COMMON("release") OFF);
	assert_feature("none", false, "{\"name\":\"none\"," COMMON("release") "\"enabled\":true,\"strategies\":[],\"variants\":[]}");
	assert_out("child", "depends on 'parent', which is left out itself: its targeting is a rule of flagd");
	assert_out("timed", "only for a time");
	f = flag_set_find(set, STR("seg"));
	assert_true(unleash_wanted(&q, f, unleash_def(&arena, f)));
	q.n_tags = 1;
	assert_false(unleash_wanted(&q, f, unleash_def(&arena, f)));
	q = (struct unleash_query){ .prefix = STR("x") };
	assert_false(unleash_wanted(&q, f, unleash_def(&arena, f)));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(test_flagd, setup, teardown), cmocka_unit_test_setup_teardown(test_unleash, setup, teardown) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
