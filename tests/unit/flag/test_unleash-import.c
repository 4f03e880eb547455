/* Unleash's exports as flags: the shapes, the environment that is chosen, what is left out and why. */
#include "lib/test.h"

#include "flag/flag-set.h"
#include "flag/unleash-import.h"

#define FEATURE(name_, more) "{\"name\":\"" name_ "\"" more "}"
#define DEFAULT              "\"strategies\":[{\"name\":\"default\",\"parameters\":{},\"constraints\":[]}]"

static struct arena          arena;
static struct unleash_import got;
static struct err            err;

static struct doc_node *parse(const char *text)
{
	struct doc_node *n = NULL;

	assert_ok(doc_parse_json(&arena, "export", str_z(text), &n, &err), &err);
	return n;
}

static int setup(void **state UNUSED)
{
	arena_init(&arena, 256 << 20);
	err = (struct err){ 0 };
	return 0;
}

static int teardown(void **state UNUSED)
{
	arena_fini(&arena);
	return 0;
}

static void take(const char *text, const char *environment)
{
	assert_ok(unleash_import(&arena, parse(text), environment, NULL, &got, &err), &err);
}

static bool noted(const char *what)
{
	for (size_t i = 0; i < got.n_notes; i++)
		if (strstr(got.notes[i], what))
			return true;
	return false;
}

static const struct doc_node *flag(const char *name) { return doc_get(parse(got.flags.ptr), name); }

static void assert_json(const struct doc_node *n, const char *want)
{
	struct buf CLEANUP_BUF out = BUF_INIT(1 << 20);

	assert_non_null(n);
	doc_canonical(n, &out);
	assert_string_equal(buf_z(&out), want);
}

/* --- shapes --- */

static void test_client_body(void **state UNUSED)
{
	take("{\"version\":2,\"features\":[" FEATURE("a", ",\"enabled\":true,\"type\":\"experiment\",\"description\":\"why\",\"stale\":true,\"impressionData\":true,"
		 "\"strategies\":[{\"name\":\"flexibleRollout\",\"parameters\":{\"rollout\":50,\"stickiness\":\"userId\",\"groupId\":\"a\"},\"segments\":[3],"
		 "\"constraints\":[{\"contextName\":\"n\",\"operator\":\"NUM_GT\",\"values\":[],\"value\":5,\"inverted\":true,\"caseInsensitive\":true},"
		 "{\"contextName\":\"s\",\"operator\":\"STR_CONTAINS\",\"values\":[\"x\"],\"value\":\"\",\"inverted\":false,\"caseInsensitive\":true}]}],"
		 "\"variants\":[{\"name\":\"v\",\"weight\":1000,\"weightType\":\"fix\",\"stickiness\":\"default\",\"payload\":{\"type\":\"number\",\"value\":5},"
		 "\"overrides\":[{\"contextName\":\"userId\",\"values\":[\"1\"]}]}]")
		 "," FEATURE("b", ",\"enabled\":false," DEFAULT) "],\"segments\":[{\"id\":3,\"name\":\"staff\",\"constraints\":[{\"contextName\":\"userId\",\"operator\":\"IN\",\"values\":[\"7\"]}]}],"
		 "\"query\":{},\"meta\":{}}", NULL);
	assert_int_equal(got.n_flags, 2);
	assert_json(flag("a"), "{\"metadata\":{\"description\":\"why\",\"stale\":true},\"state\":\"ENABLED\",\"weir\":{\"unleash\":{\"impressionData\":true,\"strategies\":["
						   "{\"constraints\":[{\"contextName\":\"n\",\"inverted\":true,\"operator\":\"NUM_GT\",\"value\":\"5\"},{\"caseInsensitive\":true,\"contextName\":\"s\",\"operator\":\"STR_CONTAINS\",\"values\":[\"x\"]}],"
						   "\"name\":\"flexibleRollout\",\"parameters\":{\"groupId\":\"a\",\"rollout\":\"50\",\"stickiness\":\"userId\"},\"segments\":[3]}],\"type\":\"experiment\","
						   "\"variants\":[{\"name\":\"v\",\"overrides\":[{\"contextName\":\"userId\",\"values\":[\"1\"]}],\"payload\":{\"type\":\"number\",\"value\":\"5\"},"
						   "\"stickiness\":\"default\",\"weight\":1000,\"weightType\":\"fix\"}]}}}");
	assert_string_equal(doc_get_str(flag("b"), "state").ptr, "DISABLED");
	assert_json(parse(got.segments.ptr), "{\"staff\":{\"constraints\":[{\"contextName\":\"userId\",\"operator\":\"IN\",\"values\":[\"7\"]}],\"id\":3}}");
	assert_int_equal(got.n_notes, 0);
}

#define TWO_ENVIRONMENTS                                                                                                                                  \
	"{\"version\":3,\"features\":[" FEATURE("a", ",\"project\":\"p\"") "," FEATURE("c", ",\"project\":\"q\"") "],"                                     \
	"\"featureStrategies\":[{\"id\":\"s2\",\"featureName\":\"a\",\"environment\":\"prod\",\"strategyName\":\"userWithId\",\"sortOrder\":2,\"parameters\":{\"userIds\":\"1,2\"}},"      \
	"{\"id\":\"s1\",\"featureName\":\"a\",\"environment\":\"prod\",\"strategyName\":\"default\",\"title\":\"all\",\"sortOrder\":1,\"parameters\":{}},"    \
	"{\"id\":\"s3\",\"featureName\":\"a\",\"environment\":\"dev\",\"strategyName\":\"default\",\"disabled\":true}],"                                     \
	"\"featureEnvironments\":[{\"featureName\":\"a\",\"environment\":\"prod\",\"enabled\":true},{\"featureName\":\"a\",\"environment\":\"dev\",\"enabled\":false}]," \
	"\"segments\":[{\"id\":1,\"name\":\"one\",\"constraints\":[]}],\"featureStrategySegments\":[{\"featureStrategyId\":\"s1\",\"segmentId\":1}],"       \
	"\"featureTags\":[{\"featureName\":\"a\",\"tagType\":\"team\",\"tagValue\":\"web\"},{\"featureName\":\"a\",\"tagType\":\"simple\",\"tagValue\":\"x\"},"     \
	"{\"featureName\":\"a\",\"tagType\":\"simple\",\"tagValue\":\"x,y\"}],\"projects\":[{}],\"tagTypes\":[],\"strange\":1}"

static void test_state(void **state UNUSED)
{
	take(TWO_ENVIRONMENTS, "prod");
	assert_json(flag("a"), "{\"metadata\":{\"tags\":\"team:web, simple:x\"},\"state\":\"ENABLED\",\"weir\":{\"unleash\":{\"strategies\":["
						   "{\"constraints\":[],\"name\":\"default\",\"parameters\":{},\"segments\":[1],\"title\":\"all\"},"
						   "{\"constraints\":[],\"name\":\"userWithId\",\"parameters\":{\"userIds\":\"1,2\"}}]}}}");
	assert_string_equal(doc_get_str(flag("c"), "state").ptr, "DISABLED");
	assert_true(noted("c: the file does not say whether it is on"));
	assert_true(noted("a tag with a comma"));
	assert_true(noted("2 projects of Unleash go into this one set: p, q"));
	assert_true(noted("projects: not taken over"));
	assert_true(noted("'strange' is not known"));
	assert_false(noted("tagTypes"));
	take(TWO_ENVIRONMENTS, "dev");
	assert_string_equal(doc_get_str(flag("a"), "state").ptr, "DISABLED");
	assert_true(doc_get_bool(doc_at(doc_path(flag("a"), "weir.unleash.strategies"), 0), "disabled", false));
}

static void test_environment(void **state UNUSED)
{
	assert_int_equal(unleash_import(&arena, parse(TWO_ENVIRONMENTS), NULL, NULL, &got, &err), -WEIR_EINVAL);
	assert_non_null(strstr(err.msg, "several environments: prod, dev; choose one with --environment"));
	assert_int_equal(unleash_import(&arena, parse(TWO_ENVIRONMENTS), "live", NULL, &got, &err), -WEIR_EINVAL);
	assert_non_null(strstr(err.msg, "no environment 'live'; it has: prod, dev"));
	take("{\"features\":[" FEATURE("a", "," DEFAULT) "]}", "live");
	assert_true(noted("does not say which environment"));
	assert_false(unleash_is_export(parse("{\"flags\":{}}")));
	assert_int_equal(unleash_import(&arena, parse("{\"features\":{}}"), NULL, NULL, &got, &err), -WEIR_EINVAL);
}

/* --- what is left out --- */

static void test_left_out(void **state UNUSED)
{
	take("{\"features\":[" FEATURE("custom", ",\"strategies\":[{\"name\":\"byMoon\"}]") "," FEATURE("old", ",\"archived\":true," DEFAULT) "," FEATURE("", "," DEFAULT) ",7,"
		 FEATURE("half", ",\"strategies\":[{\"name\":\"flexibleRollout\",\"parameters\":{\"rollout\":\"12.5\"}}]") ","
		 FEATURE("op", ",\"strategies\":[{\"name\":\"default\",\"constraints\":[{\"contextName\":\"a\",\"operator\":\"LIKE\",\"values\":[]}]}]") ","
		 FEATURE("child", ",\"dependencies\":[{\"feature\":\"custom\"}]," DEFAULT) "," FEATURE("grandchild", ",\"dependencies\":[{\"feature\":\"child\"}]," DEFAULT) ","
		 FEATURE("alone", ",\"dependencies\":[{\"feature\":\"nowhere\"}]," DEFAULT) "," FEATURE("good", ",\"type\":\"own\"," DEFAULT) "," FEATURE("good", "," DEFAULT) ","
		 FEATURE("kid", ",\"dependencies\":[{\"feature\":\"good\",\"enabled\":false,\"variants\":[]}]," DEFAULT) ","
		 FEATURE("chained", ",\"dependencies\":[{\"feature\":\"kid\"}]," DEFAULT) "]}", NULL);
	assert_int_equal(got.n_flags, 2);
	assert_non_null(flag("good"));
	assert_json(doc_path(flag("kid"), "weir.unleash.dependencies"), "[{\"enabled\":false,\"feature\":\"good\"}]");
	assert_true(noted("custom: left out; its strategy 'byMoon'"));
	assert_true(noted("old: left out; it is archived"));
	assert_true(noted("its name is none that weir has"));
	assert_true(noted("half: left out; weir would refuse it: definition:"));
	assert_true(noted("op: left out; weir would refuse it: definition:"));
	assert_true(noted("child: left out; it depends on 'custom', which is left out"));
	assert_true(noted("grandchild: left out; it depends on 'child', which is left out"));
	assert_true(noted("alone: left out; it depends on 'nowhere', which the file does not have"));
	assert_true(noted("good: left out; the file has it twice"));
	assert_true(noted("chained: left out; it depends on 'kid', which depends on others itself"));
	assert_true(noted("the type 'own' of features"));
}

static void test_segments(void **state UNUSED)
{
	const char *text = "{\"features\":[" FEATURE("a", "") "],\"featureStrategies\":[{\"featureName\":\"a\",\"name\":\"default\",\"segments\":[4]}],"
					   "\"featureEnvironments\":[{\"featureName\":\"a\",\"environment\":\"prod\",\"enabled\":true}],\"segments\":[{\"id\":4,\"name\":\"staff\"}],"
					   "\"dependencies\":[{\"feature\":\"b\",\"dependencies\":[{\"feature\":\"a\"}]}]}";

	take(text, NULL);
	assert_int_equal(got.n_flags, 0);
	assert_true(noted("a: left out; it needs the segment 4 (staff), whose constraints the file does not have"));
	assert_ok(unleash_import(&arena, parse(text), NULL, parse("{\"segments\":[{\"id\":4,\"name\":\"staff\",\"constraints\":[]}]}"), &got, &err), &err);
	assert_int_equal(got.n_flags, 1);
	assert_int_equal(got.n_segments, 1);
	assert_json(parse(got.segments.ptr), "{\"staff\":{\"constraints\":[],\"id\":4}}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_client_body, setup, teardown), cmocka_unit_test_setup_teardown(test_state, setup, teardown),
		cmocka_unit_test_setup_teardown(test_environment, setup, teardown), cmocka_unit_test_setup_teardown(test_left_out, setup, teardown),
		cmocka_unit_test_setup_teardown(test_segments, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
