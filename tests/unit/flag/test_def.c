/* Definitions are read strictly: what is wrong, where, and the nearest known word. */
#include "lib/test.h"

#include "base/limits.h"
#include "flag/flag-def.h"

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

static void read_text(const char *text, struct doc_check *c, struct flag_set_def *ret)
{
	struct doc_node *n;
	struct err       e = { 0 };

	assert_ok(doc_parse_json(&arena, "f.json", str_z(text), &n, &e), &e);
	doc_check_init(c, &arena, "f.json");
	flag_set_def_read(c, n, ret);
}

static void refused(const char *text, const char *says)
{
	struct doc_check    c;
	struct flag_set_def s;
	struct err          e = { 0 };

	read_text(text, &c, &s);
	assert_err(doc_check_result(&c, &e), WEIR_EINVAL);
	if (!strstr(e.msg, says))
		fail_msg("%s\n says \"%s\", not \"%s\"", text, e.msg, says);
}

#define FLAG(rest)   "{\"flags\":{\"f\":{\"state\":\"ENABLED\",\"variants\":{\"on\":true,\"off\":false}" rest "}}}"
#define RULE(rule)   FLAG(",\"targeting\":" rule)
#define WEIR(member) FLAG(",\"weir\":{" member "}")

static void test_whole(void **state UNUSED)
{
	struct doc_check    c;
	struct flag_set_def s;
	struct err          e = { 0 };

	read_text("{\"$schema\":\"https://flagd.dev/schema/v0/flags.json\",\"metadata\":{\"flagSetId\":\"x\",\"bucketing\":\"v3\"},\"$evaluators\":{\"staff\":{\"in\":[\"@example.org\",{\"var\":\"email\"}]}},"
	          "\"flags\":{\"f\":{\"state\":\"DISABLED\",\"variants\":{\"a\":1,\"b\":2.5},\"defaultVariant\":\"b\",\"targeting\":{\"if\":[{\"$ref\":\"staff\"},\"a\",null]},"
	          "\"metadata\":{\"k\":true},\"weir\":{\"owner\":\"team\",\"purpose\":\"experiment\",\"expires\":\"2027-01-31\",\"from\":\"2026-01-01T00:00:00Z\","
	          "\"until\":\"2026-02-01T00:00:00+01:00\",\"prerequisites\":[{\"flag\":\"g\",\"variants\":[\"on\"]}]}},\"g\":{\"state\":\"ENABLED\",\"variants\":{\"on\":{}}}}}",
	          &c, &s);
	assert_ok(doc_check_result(&c, &e), &e);
	assert_int_equal(s.n_flags, 2);
	assert_false(s.flags[0].enabled);
	assert_int_equal(s.flags[0].type, FLAG_NUMBER);
	assert_int_equal(s.flags[0].default_variant, 1);
	assert_str(s.flags[0].owner, "team");
	assert_int_equal(s.flags[0].purpose, FLAG_PURPOSE_EXPERIMENT);
	assert_true(s.flags[0].until - s.flags[0].from == (31 * 24 - 1) * 3600 * USEC_PER_SEC);
	assert_int_equal(s.flags[0].n_prerequisites, 1);
	assert_int_equal(s.flags[1].type, FLAG_OBJECT);
	assert_int_equal(s.flags[1].default_variant, -1);
}

static void test_list_form(void **state UNUSED)
{
	struct doc_check    c;
	struct flag_set_def s;
	struct err          e = { 0 };

	read_text("{\"flags\":[{\"key\":\"f\",\"state\":\"ENABLED\",\"variants\":{\"on\":true}}]}", &c, &s);
	assert_ok(doc_check_result(&c, &e), &e);
	assert_str(s.flags[0].key, "f");
	refused("{\"flags\":[{\"key\":\"f\",\"state\":\"ENABLED\",\"variants\":{\"on\":true}},{\"key\":\"f\",\"state\":\"ENABLED\",\"variants\":{\"on\":true}}]}", "twice");
	refused("{\"flags\":[{\"state\":\"ENABLED\",\"variants\":{\"on\":true}}]}", "key");
}

static void test_mistakes(void **state UNUSED)
{
	refused("{}", "flags");
	refused("{\"flag\":{}}", "did you mean 'flags'");
	refused("{\"flags\":{\"\":{}}}", "f.json:1:11: the key of a flag must be 1 to 200 bytes");
	refused(FLAG(",\"defaultVarient\":\"on\""), "did you mean 'defaultVariant'");
	refused(FLAG(",\"defaultVariant\":\"onn\""), "did you mean 'on'");
	refused(FLAG(",\"defaultVariant\":1"), "must be the name of a variant or null");
	refused("{\"flags\":{\"f\":{\"state\":\"ON\",\"variants\":{\"on\":true}}}}", "ENABLED");
	refused("{\"flags\":{\"f\":{\"state\":\"ENABLED\",\"variants\":{}}}}", "1 to 1000 variants");
	refused("{\"flags\":{\"f\":{\"state\":\"ENABLED\",\"variants\":{\"a\":true,\"b\":\"x\"}}}}", "all variants of a flag have one type");
	refused("{\"flags\":{\"f\":{\"state\":\"ENABLED\",\"variants\":{\"a\":null}}}}", "not a null");
	refused(FLAG(",\"metadata\":{\"k\":[]}"), "must be a text, a number or a boolean");
	refused("{\"flags\":{},\"metadata\":{\"bucketing\":\"v4\"}}", "bucketing");
	refused(WEIR("\"ownr\":\"x\""), "did you mean 'owner'");
	refused(WEIR("\"purpose\":\"fun\""), "release, experiment, operational, permission");
	refused(WEIR("\"expires\":\"tomorrow\""), "2027-03-31");
	refused(WEIR("\"expires\":\"2027-02-31\""), "2027-03-31");
	refused(WEIR("\"from\":\"2027-01-01\""), "from must be a time");
	refused(WEIR("\"from\":\"2027-01-02T00:00:00Z\",\"until\":\"2027-01-01T00:00:00Z\""), "until must be later");
	refused(WEIR("\"prerequisites\":[{\"flag\":\"g\"}]"), "variants");
	refused(WEIR("\"prerequisites\":[{\"flag\":\"g\",\"variants\":[]}]"), "at least one");
}

static void test_rules(void **state UNUSED)
{
	refused(RULE("[]"), "a rule must be a map");
	refused(RULE("{\"iff\":[1]}"), "did you mean 'if'");
	refused(RULE("{\"==\":[1]}"), "takes 2 arguments, not 1");
	refused(RULE("{\"<\":[1,2,3,4]}"), "2 to 3 arguments");
	refused(RULE("{\"if\":[]}"), "1 or more");
	refused(RULE("{\"==\":[1,2],\"!=\":[1,2]}"), "one operator");
	refused(RULE("{\"==\":1}"), "takes a list");
	refused("{\"$evaluators\":{\"a\":{\"==\":[1,1]}},\"flags\":{\"f\":{\"state\":\"ENABLED\",\"variants\":{\"on\":true},\"targeting\":{\"$ref\":\"b\"}}}}", "no 'b' in");
	refused(RULE("{\"==\":[{\"var\":\"$flagd.now\"},1]}"), "flagKey and timestamp");
	refused(RULE("{\"var\":[]}"), "must begin with the name");
	refused(RULE("{\"missing\":\"a\"}"), "list of names");
	refused(RULE("{\"missing_some\":[[\"a\"],1]}"), "how many");
	refused(RULE("{\"starts_with\":[{\"var\":\"a\"},3]}"), "compares texts");
	refused(RULE("{\"ends_with\":[\"a\"]}"), "two texts");
	refused(RULE("{\"sem_ver\":[{\"var\":\"v\"},\">\",\"01.2.3\"]}"), "no semantic version");
	refused(RULE("{\"sem_ver\":[{\"var\":\"v\"},\">\",\"1.2\"]}"), "no semantic version");
	refused(RULE("{\"sem_ver\":[{\"var\":\"v\"},\"=>\",\"1.2.3-rc.1+b\"]}"), "operator of sem_ver");
	refused(RULE("{\"fractional\":[[\"on\",-1]]}"), "0 or more");
	refused(RULE("{\"fractional\":[[\"on\",1.5]]}"), "0 or more");
	refused(RULE("{\"fractional\":[[\"on\",1,2]]}"), "[variant, weight]");
	refused(RULE("{\"fractional\":[\"id\",[\"on\",1]]}"), "[variant, weight]");
	refused(RULE("{\"fractional\":[]}"), "list of [variant, weight]");
}

static void test_limits(void **state UNUSED)
{
	struct buf CLEANUP_BUF text = BUF_INIT(1 << 20);

	buf_addz(&text, "{\"flags\":{\"f\":{\"state\":\"ENABLED\",\"variants\":{");
	for (int i = 0; i <= LIMIT_FLAG_VARIANTS; i++)
		buf_addf(&text, "%s\"v%d\":true", i ? "," : "", i);
	buf_addz(&text, "}}}}");
	refused(buf_z(&text), "1 to 1000 variants, not 1001");
	text.len = 0;
	buf_addz(&text, "{\"flags\":{\"");
	for (int i = 0; i <= LIMIT_FLAG_KEY_BYTES; i++)
		buf_addc(&text, 'k');
	buf_addz(&text, "\":{\"state\":\"ENABLED\",\"variants\":{\"a\":1}}}}");
	refused(buf_z(&text), "1 to 200 bytes");
	text.len = 0;
	buf_addz(&text, "{\"flags\":{\"f\":{\"state\":\"ENABLED\",\"variants\":{\"a\":1},\"weir\":{\"prerequisites\":[");
	for (int i = 0; i <= LIMIT_FLAG_PREREQUISITES; i++)
		buf_addf(&text, "%s{\"flag\":\"g\",\"variants\":[\"a\"]}", i ? "," : "");
	buf_addz(&text, "]}}}}");
	refused(buf_z(&text), "at most 20 prerequisites");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(test_list_form, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mistakes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rules, setup, teardown),
		cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
