/* test_stale.c - which flags may go: a table of cases around each bound; what cannot be known is not stale; what a rule can give. */
#include "lib/test.h"

#include "base/hash.h"
#include "flag/flag-index.h"
#include "flag/flag-stale.h"

#define DAY ((usec_t)86400 * USEC_PER_SEC)
#define NOW ((usec_t)20000 * DAY)
#define AGO(d) (NOW - (usec_t)(d) * DAY)

#define HEAD "{\"state\":\"ENABLED\",\"variants\":{\"on\":true,\"off\":false},\"defaultVariant\":\"off\""
#define RULE ",\"targeting\":{\"if\":[{\"==\":[{\"var\":\"a\"},1]},\"on\",null]}"
#define PLAIN HEAD "}"
#define RULED HEAD RULE "}"
#define ONLY  HEAD ",\"targeting\":{\"if\":[{\"==\":[{\"var\":\"a\"},1]},\"on\",\"on\"]}}"

static const struct flag_use mixed[] = { { { "k", 1 }, { "off", 3 }, 500, 0 }, { { "k", 1 }, { "on", 2 }, 500, 0 } };
static const struct flag_use one[] = { { { "k", 1 }, { "on", 2 }, 60, 40 } };
static const struct flag_use few[] = { { { "k", 1 }, { "on", 2 }, 59, 40 } };
static const struct flag_use none[] = { { { "k", 1 }, { "", 0 }, 500, 0 } };

static const struct {
	const char            *name, *text;
	int                    created, changed, began, dropped, asked, bulk; /* days ago; -1: never */
	const struct flag_use *uses;
	size_t                 n_uses;
	int                    references; /* -1: the code is not known */
	bool                   needed;
	const char            *want; /* kinds, "?" when something cannot be said */
} cases[] = {
	/* never evaluated */
	{ "asked today", RULED, 90, 90, 90, -1, 0, -1, mixed, 2, 1, false, "" },
	{ "asked 29 days ago", RULED, 90, 90, 90, -1, 29, -1, NULL, 0, 1, false, "" },
	{ "asked 31 days ago", RULED, 90, 90, 90, -1, 31, -1, NULL, 0, 1, false, "never-evaluated" },
	{ "never asked", RULED, 90, 90, 90, -1, -1, -1, NULL, 0, 1, false, "never-evaluated" },
	{ "never asked, young", RULED, 29, 29, 90, -1, -1, -1, NULL, 0, 1, false, "" },
	{ "counted for 29 days", RULED, 90, 90, 29, -1, -1, -1, NULL, 0, 1, false, "?" },
	{ "counted for 31 days", RULED, 90, 90, 31, -1, -1, -1, NULL, 0, 1, false, "never-evaluated" },
	{ "counting never began", RULED, 90, 90, -1, -1, -1, -1, NULL, 0, 1, false, "?" },
	{ "counts were dropped", RULED, 90, 90, 90, 5, -1, -1, NULL, 0, 1, false, "?" },
	{ "dropped long ago", RULED, 90, 90, 90, 40, -1, -1, NULL, 0, 1, false, "never-evaluated" },
	{ "with all only, code names it", RULED, 90, 90, 90, -1, -1, 0, NULL, 0, 1, false, "" },
	{ "with all only, no code names it", RULED, 90, 90, 90, -1, -1, 0, NULL, 0, 0, false, "never-evaluated" },
	{ "with all only, code unknown", RULED, 90, 90, 90, -1, -1, 0, NULL, 0, -1, false, "?" },
	{ "never asked, but needed", RULED, 90, 90, 90, -1, -1, -1, NULL, 0, 1, true, "" },
	/* rolled out */
	{ "no rule", PLAIN, 90, 31, 90, -1, 0, -1, NULL, 0, 1, false, "rolled-out" },
	{ "no rule, changed lately", PLAIN, 90, 29, 90, -1, 0, -1, NULL, 0, 1, false, "" },
	{ "off", "{\"state\":\"DISABLED\",\"variants\":{\"on\":true,\"off\":false},\"defaultVariant\":\"off\"" RULE "}", 90, 31, 90, -1, 0, -1, NULL, 0, 1, false, "rolled-out" },
	{ "a rule of one variant", ONLY, 90, 31, 90, -1, 0, -1, NULL, 0, 1, false, "rolled-out" },
	{ "a rule of two", RULED, 90, 31, 90, -1, 0, -1, mixed, 2, 1, false, "" },
	{ "all answers are one", RULED, 90, 31, 90, -1, 0, -1, one, 1, 1, false, "rolled-out" },
	{ "too few answers", RULED, 90, 31, 90, -1, 0, -1, few, 1, 1, false, "" },
	{ "all answers are errors or the caller's default", RULED, 90, 31, 90, -1, 0, -1, none, 1, 1, false, "" },
	{ "all answers are one, counted for too short", RULED, 90, 31, 20, -1, 0, -1, one, 1, 1, false, "" },
	{ "operational", HEAD ",\"weir\":{\"purpose\":\"operational\"}}", 90, 31, 90, -1, 0, -1, NULL, 0, 1, false, "" },
	{ "permission", HEAD ",\"weir\":{\"purpose\":\"permission\"}}", 90, 31, 90, -1, 0, -1, NULL, 0, 1, false, "" },
	{ "release", HEAD ",\"weir\":{\"purpose\":\"release\"}}", 90, 31, 90, -1, 0, -1, NULL, 0, 1, false, "rolled-out" },
	{ "Unleash's kind", "{\"state\":\"ENABLED\",\"weir\":{\"unleash\":{\"strategies\":[{\"name\":\"flexibleRollout\",\"parameters\":{\"rollout\":\"50\"}}]}}}", 90, 31, 90, -1, 0, -1,
	  mixed, 2, 1, false, "" },
	{ "Unleash's kind, all answers are one", "{\"state\":\"ENABLED\",\"weir\":{\"unleash\":{\"strategies\":[{\"name\":\"default\"}]}}}", 90, 31, 90, -1, 0, -1, one, 1, 1,
	  false, "rolled-out" },
	{ "archived", HEAD ",\"weir\":{\"archived\":true,\"expires\":\"2024-10-03\"}}", 90, 31, 90, -1, -1, -1, NULL, 0, 0, false, "" },
	{ "in its time", HEAD ",\"weir\":{\"until\":\"2999-01-01T00:00:00Z\"}}", 90, 31, 90, -1, 0, -1, NULL, 0, 1, false, "" },
	{ "with a prerequisite", HEAD ",\"weir\":{\"prerequisites\":[{\"flag\":\"x\",\"variants\":[\"on\"]}]}}", 90, 31, 90, -1, 0, -1, NULL, 0, 1, false, "" },
	/* expired: NOW is 2024-10-04T00:00:00Z */
	{ "last day yesterday", HEAD RULE ",\"weir\":{\"expires\":\"2024-10-03\"}}", 1, 1, 90, -1, 0, -1, NULL, 0, 1, false, "expired" },
	{ "last day today", HEAD RULE ",\"weir\":{\"expires\":\"2024-10-04\"}}", 1, 1, 90, -1, 0, -1, NULL, 0, 1, false, "" },
	{ "operational and past its day", HEAD RULE ",\"weir\":{\"purpose\":\"operational\",\"expires\":\"2024-10-03\"}}", 1, 1, 90, -1, 0, -1, NULL, 0, 1, false, "expired" },
	{ "all at once", HEAD ",\"weir\":{\"expires\":\"2024-10-03\"}}", 90, 31, 90, -1, -1, -1, NULL, 0, 0, false, "never-evaluated rolled-out expired" },
};

static usec_t ago(int days) { return days < 0 ? 0 : AGO(days); }

static struct flag_set *set_of(const char *text)
{
	struct flag_set_head head = { STR("shop/production"), 1, STR(""), STR("") };
	struct flag_text     texts[] = { { STR("k"), str_z(text) }, { STR("x"), STR(PLAIN) } };
	struct flag_set     *s;
	struct err           e = { 0 };

	assert_ok(flag_set_build(NULL, &head, texts, 2, &s, &e), &e);
	if (flag_set_find(s, STR("k"))->broken)
		fail_msg("%s: %s", text, flag_set_find(s, STR("k"))->broken);
	return s;
}

static void the_table(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct arena            a = ARENA_INIT(1 << 20);
		struct flag_set        *s = set_of(cases[i].text);
		struct buf              seen = BUF_INIT(1000);
		struct flag_stale       stale;
		struct flag_stale_facts f = { .flag = flag_set_find(s, STR("k")), .created = ago(cases[i].created), .changed = ago(cases[i].changed), .began = ago(cases[i].began),
			                          .dropped = ago(cases[i].dropped), .asked = ago(cases[i].asked), .bulk = ago(cases[i].bulk), .uses = cases[i].uses,
			                          .n_uses = cases[i].n_uses, .code_known = cases[i].references >= 0,
			                          .references = cases[i].references > 0 ? (size_t)cases[i].references : 0, .needed = cases[i].needed, .now = NOW, .days = 30 };
		bool                    is = flag_stale_judge(&f, &a, &stale);

		for (int k = 0; k < FLAG_STALE_KINDS; k++)
			if (stale.is[k])
				buf_addf(&seen, "%s%s", seen.len ? " " : "", flag_stale_name((enum flag_stale_kind)k));
		if (stale.unknown)
			buf_addc(&seen, '?');
		if (strcmp(buf_z(&seen), cases[i].want) || is != (stale.todo != NULL) || is != (*cases[i].want && *cases[i].want != '?'))
			fail_msg("%s: found '%s', wanted '%s' (%s)", cases[i].name, buf_z(&seen), cases[i].want, stale.todo ? stale.todo : "nothing to do");
		for (int k = 0; k < FLAG_STALE_KINDS; k++)
			assert_int_equal(stale.is[k], stale.why[k] != NULL);
		buf_fini(&seen);
		flag_set_unref(s);
		arena_fini(&a);
	}
}

static void what_to_do(void **state UNUSED)
{
	struct arena            a = ARENA_INIT(1 << 20);
	struct flag_set        *s = set_of(PLAIN);
	struct flag_stale       stale;
	struct flag_stale_facts f = { .flag = flag_set_find(s, STR("k")), .created = AGO(90), .changed = AGO(90), .began = AGO(90), .asked = AGO(0), .code_known = true,
		                          .references = 2, .now = NOW, .days = 30 };

	assert_true(flag_stale_judge(&f, &a, &stale));
	assert_string_equal(stale.todo, "remove 2 references from the code (keep the way that everybody gets), release that, then remove the flag");
	f.references = 0;
	assert_true(flag_stale_judge(&f, &a, &stale));
	assert_string_equal(stale.todo, "no code of the project names it: remove the flag");
	f.code_known = false;
	assert_true(flag_stale_judge(&f, &a, &stale));
	assert_string_equal(stale.todo, "remove it from the code (keep the way that everybody gets), then remove the flag");
	f.needed = true;
	assert_true(flag_stale_judge(&f, &a, &stale));
	assert_string_equal(stale.todo, "take it out of the prerequisites of other flags first");
	flag_set_unref(s);
	arena_fini(&a);
}

static void rules(void **state UNUSED)
{
	static const struct {
		const char *rule, *want; /* NULL: several; the default is "off" */
	} all[] = {
		{ "\"on\"", "on" },
		{ "null", "off" },
		{ "true", "true" },
		{ "{\"if\":[{\"var\":\"a\"},\"on\",\"on\"]}", "on" },
		{ "{\"if\":[{\"var\":\"a\"},\"on\",\"off\"]}", NULL },
		{ "{\"if\":[{\"var\":\"a\"},\"on\"]}", NULL },
		{ "{\"if\":[{\"var\":\"a\"},\"off\"]}", "off" },
		{ "{\"if\":[{\"var\":\"a\"},\"on\",{\"var\":\"b\"},\"on\",{\"if\":[true,\"on\",\"on\"]}]}", "on" },
		{ "{\"if\":[\"on\"]}", "on" },
		{ "{\"if\":[]}", NULL },
		{ "{\"if\":\"on\"}", NULL },
		{ "{\"fractional\":[[\"off\",100],[\"on\",0]]}", "off" },
		{ "{\"fractional\":[[\"on\",100]]}", NULL }, /* who has no targeting key gets the default */
		{ "{\"fractional\":[{\"var\":\"a\"},[\"off\"]]}", "off" },
		{ "{\"fractional\":[[\"off\",50],[\"on\",50]]}", NULL },
		{ "{\"fractional\":[]}", NULL },
		{ "{\"var\":\"a\"}", NULL },
		{ "{\"$ref\":\"e\"}", NULL },
		{ "{}", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		struct arena     a = ARENA_INIT(1 << 20);
		struct doc_node *n;
		struct err       e = { 0 };
		str              only;

		assert_ok(doc_parse_json(&a, "rule", str_z(all[i].rule), &n, &e), &e);
		only = flag_rule_only(n, STR("off"));
		if (!!only.ptr != !!all[i].want || (only.ptr && !str_eqz(only, all[i].want)))
			fail_msg("%s: '%.*s'", all[i].rule, STR_ARG(only));
		arena_fini(&a);
	}
}

/* The index and compiled sets name keys by one hash. */
static void one_hash(void **state UNUSED)
{
	struct flag_set  *s = set_of(PLAIN);
	struct flag_ref   v[] = { { 1, STR("a"), 1, false }, { flag_index_hash(STR("k")), STR("b"), 2, true }, { flag_index_hash(STR("k")), STR("c"), 3, true } };
	struct flag_index ix = { .v = v, .n = 3 };
	size_t            n;

	assert_true(flag_set_find(s, STR("k"))->hash == flag_index_hash(STR("k")));
	assert_ptr_equal(flag_index_find(&ix, v[1].hash, &n), &v[1]);
	assert_int_equal(n, 2);
	(void)flag_index_find(&ix, v[1].hash + 1, &n);
	assert_int_equal(n, 0);
	(void)flag_index_find(&(struct flag_index){ .n = 0 }, 5, &n);
	assert_int_equal(n, 0);
	flag_set_unref(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(the_table), cmocka_unit_test(what_to_do), cmocka_unit_test(rules), cmocka_unit_test(one_hash) };

	base_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
