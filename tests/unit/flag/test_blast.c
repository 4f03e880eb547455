/* Whom a change hits: what differs, and that the work has an end however large the rules are. */
#include "lib/test.h"

#include "base/limits.h"
#include "flag/flag-blast.h"

static struct flag_set *build(struct arena *a, const struct flag_set *before, int64_t revision, const char *default_variant, const char *rule)
{
	struct flag_set_head head = { .id = STR("shop/production"), .revision = revision };
	struct flag_text     text = { STR("f"), str_z(arena_printf(a, "{\"state\":\"ENABLED\",\"variants\":{\"on\":true,\"off\":false},\"defaultVariant\":\"%s\",\"targeting\":%s}",
		                                                       default_variant, rule)) };
	struct flag_set     *s;
	struct err           e = { 0 };

	assert_ok(flag_set_build(before, &head, &text, 1, &s, &e), &e);
	return s;
}

static void look(const char *rule, const char *context, size_t n, struct flag_blast *ret, struct arena *a)
{
	struct flag_set    *before = build(a, NULL, 1, "off", rule), *after = build(a, before, 2, "on", rule);
	struct logic_value *contexts = ARENA_ARRAY(a, n, struct logic_value);
	str                 key = STR("f");
	struct doc_node    *node;
	struct err          e = { 0 };

	assert_ok(doc_parse_json(a, "context", str_z(context), &node, &e), &e);
	for (size_t i = 0; i < n; i++)
		assert_ok(logic_from_doc(a, node, &contexts[i], &e), &e);
	assert_ok(flag_blast(a, &(struct flag_blast_question){ .before = before, .after = after, .touched = &key, .n_touched = 1, .contexts = contexts, .n_contexts = n }, ret, &e), &e);
	flag_set_unref(before);
	flag_set_unref(after);
}

static void test_flips(void **state UNUSED)
{
	struct arena      a CLEANUP_ARENA = ARENA_INIT(256 << 20);
	struct flag_blast b;

	look("null", "{}", 3, &b, &a);
	assert_int_equal(b.contexts, 3);
	assert_int_equal(b.n_flags, 1);
	assert_int_equal(b.flags[0].flips, 3);
}

/* A rule that costs all steps that one evaluation may take. */
static void test_costly_rules(void **state UNUSED)
{
	enum { N = 1200 };
	struct arena      a CLEANUP_ARENA = ARENA_INIT(256 << 20);
	struct buf        list CLEANUP_BUF = BUF_INIT(1 << 20);
	struct flag_blast b;

	buf_addz(&list, "[0");
	for (int i = 0; i < 999; i++)
		buf_addz(&list, ",1");
	buf_addc(&list, ']');
	look(arena_printf(&a, "{\"if\":[{\"some\":[%s,{\"some\":[%s,{\"==\":[{\"var\":\"\"},7]}]}]},\"on\",null]}", buf_z(&list), buf_z(&list)), "{}", N, &b, &a);
	assert_in_range(b.contexts, 1, LIMIT_FLAG_BLAST_NODES / LIMIT_FLAG_STEPS);
	assert_int_equal(b.flags[0].n_examples, 0); /* it fails both times, at its limit */
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_flips), cmocka_unit_test(test_costly_rules) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
