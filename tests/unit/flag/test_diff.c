/* What differs between definitions, path by path; whom a change hits; the rules of protected environments. */
#include "lib/test.h"

#include "base/limits.h"
#include "flag/flag-blast.h"
#include "flag/flag-diff.h"
#include "flag/flag-protection.h"

static struct arena arena;

static int setup(void **state UNUSED)
{
	arena_init(&arena, 1 << 30);
	return 0;
}

static int teardown(void **state UNUSED)
{
	arena_fini(&arena);
	return 0;
}

/* --- differences --- */

static const char *diff(const char *before, const char *after)
{
	struct buf       out = BUF_INIT(1 << 20);
	struct flag_diff d;
	struct err       e = { 0 };
	const char      *ret;

	assert_ok(flag_diff_texts(&arena, str_z(before), str_z(after), &d, &e), &e);
	for (size_t i = 0; i < d.n; i++)
		buf_addf(&out, "%s%.1s %.*s %.*s>%.*s", i ? "|" : "", flag_diff_kind_name(d.lines[i].kind), STR_ARG(d.lines[i].path), STR_ARG(d.lines[i].before),
				 STR_ARG(d.lines[i].after));
	ret = arena_dup(&arena, buf_str(&out));
	buf_fini(&out);
	return ret;
}

static void test_diff(void **state UNUSED)
{
	static const struct {
		const char *before, *after, *want;
	} cases[] = {
		{ "{\"a\":1,\"b\":[1,{\"c\":null}]}", "{\"b\":[1,{\"c\":null}],\"a\":1.0}", "" },
		{ "", "{\"a\":1}", "a  >{\"a\":1}" },
		{ "{\"a\":1}", "", "r  {\"a\":1}>" },
		{ "{\"a\":1}", "{\"a\":2,\"n\":true}", "c /a 1>2|a /n >true" },
		{ "{\"a\":\"1\"}", "{\"a\":1}", "c /a \"1\">1" },
		{ "{\"a\":null}", "{}", "r /a null>" },
		{ "{\"a\":{\"b\":1}}", "{\"a\":[1]}", "c /a {\"b\":1}>[1]" },
		{ "{\"x/y\":{\"~\":1}}", "{\"x/y\":{\"~\":2}}", "c /x~1y/~0 1>2" },
		/* an item put in or taken out in the middle, and one that changed within */
		{ "[1,2,3,4]", "[1,9,2,3,4]", "a /1 >9" },
		{ "[1,2,3,4]", "[1,3,4]", "r /1 2>" },
		{ "[{\"a\":1},{\"b\":2}]", "[{\"a\":1},{\"b\":3}]", "c /1/b 2>3" },
		{ "[1,1]", "[1,1,1]", "a /2 >1" },
		{ "[]", "[1,2]", "a /0 >1|a /1 >2" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(diff(cases[i].before, cases[i].after), cases[i].want);
}

static str wide(size_t n, size_t step, int odd)
{
	struct buf out = BUF_INIT(8 << 20);
	str        ret;

	buf_addc(&out, '{');
	for (size_t i = 0; i < n; i++) {
		size_t k = i * step % n;

		buf_addf(&out, "%s\"k%zu\":%d", i ? "," : "", k, k == 7 ? odd : 0);
	}
	buf_addc(&out, '}');
	ret = arena_str(&arena, buf_str(&out));
	buf_fini(&out);
	return ret;
}

/* 20,000 keys in another order are looked up, not searched for. */
static void test_diff_wide(void **state UNUSED)
{
	struct flag_diff d;
	struct err       e = { 0 };

	assert_ok(flag_diff_texts(&arena, wide(20001, 1, 0), wide(20001, 1000, 1), &d, &e), &e);
	assert_int_equal(d.n, 1);
	assert_true(str_eqz(d.lines[0].path, "/k7"));
}

static void test_switch_off(void **state UNUSED)
{
	static const struct {
		const char *before, *after;
		bool        want;
	} cases[] = {
		{ "{\"state\":\"ENABLED\",\"a\":1}", "{\"a\":1,\"state\":\"DISABLED\"}", true },
		{ "{\"state\":\"DISABLED\",\"a\":1}", "{\"state\":\"ENABLED\",\"a\":1}", false },
		{ "{\"state\":\"DISABLED\",\"a\":1}", "{\"state\":\"DISABLED\",\"a\":1}", false },
		{ "{\"state\":\"ENABLED\",\"a\":1}", "{\"state\":\"DISABLED\",\"a\":2}", false },
		{ "{\"state\":\"ENABLED\"}", "{\"state\":\"DISABLED\",\"a\":2}", false },
		{ "{\"a\":{\"state\":\"ENABLED\"}}", "{\"a\":{\"state\":\"DISABLED\"}}", false },
		{ "{\"state\":\"ENABLED\"}", "", false },
		{ "", "{\"state\":\"DISABLED\"}", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct flag_diff d;
		struct err       e = { 0 };

		assert_ok(flag_diff_texts(&arena, str_z(cases[i].before), str_z(cases[i].after), &d, &e), &e);
		assert_int_equal(flag_diff_is_switch_off(&d), cases[i].want);
	}
}

/* --- blast radius --- */

#define ON_OFF "\"variants\":{\"on\":true,\"off\":false}"
#define BY_COUNTRY(c) STR("{\"state\":\"ENABLED\"," ON_OFF ",\"targeting\":{\"if\":[{\"==\":[{\"var\":\"c\"},\"" c "\"]},\"on\",\"off\"]}}")
#define NEEDS(f) STR("{\"state\":\"ENABLED\"," ON_OFF ",\"defaultVariant\":\"on\",\"weir\":{\"prerequisites\":[{\"flag\":\"" f "\",\"variants\":[\"on\"]}]}}")

static struct flag_set *build(const struct flag_set *before, const struct flag_text *texts, size_t n)
{
	struct flag_set_head head = { .id = STR("shop/production"), .revision = 1, .evaluators = STR(""), .metadata = STR("") };
	struct flag_set     *s;
	struct err           e = { 0 };

	assert_ok(flag_set_build(before, &head, texts, n, &s, &e), &e);
	return s;
}

static struct logic_value *contexts(size_t n)
{
	struct logic_value *v = ARENA_ARRAY(&arena, n, struct logic_value);
	struct err          e = { 0 };

	for (size_t i = 0; i < n; i++) {
		struct doc_node *d;

		assert_ok(doc_parse_json(&arena, "context", i % 4 ? STR("{\"c\":\"fr\"}") : STR("{\"c\":\"de\"}"), &d, &e), &e);
		assert_ok(logic_from_doc(&arena, d, &v[i], &e), &e);
	}
	return v;
}

static const struct flag_blast_flag *of(const struct flag_blast *b, const char *key)
{
	for (size_t i = 0; i < b->n_flags; i++)
		if (str_eqz(b->flags[i].key, key))
			return &b->flags[i];
	return NULL;
}

static void test_blast(void **state UNUSED)
{
	const struct flag_text was[] = { { STR("base"), BY_COUNTRY("de") }, { STR("child"), NEEDS("base") }, { STR("grandchild"), NEEDS("child") }, { STR("other"), BY_COUNTRY("de") } };
	const struct flag_text becomes[] = { { STR("base"), BY_COUNTRY("fr") }, { STR("new"), BY_COUNTRY("de") }, { STR("other"), STR("") } };
	const str              touched[] = { STR("base"), STR("new"), STR("other") };
	struct flag_set       *before = build(NULL, was, ARRAY_SIZE(was)), *after = build(before, becomes, ARRAY_SIZE(becomes));
	struct flag_blast_question q = { .before = before, .after = after, .touched = touched, .n_touched = 3, .contexts = contexts(100), .n_contexts = 100 };
	struct flag_blast      b;
	struct err             e = { 0 };

	assert_ok(flag_blast(&arena, &q, &b, &e), &e);
	assert_int_equal(b.contexts, 100);
	assert_int_equal(b.n_flags, 5); /* with those that depend on base, at any distance */
	assert_true(of(&b, "base")->touched && !of(&b, "child")->touched && !of(&b, "grandchild")->touched);
	for (size_t i = 0; i < b.n_flags; i++)
		assert_int_equal(b.flags[i].flips, 100);
	assert_int_equal(of(&b, "base")->n_moves, 2);
	assert_int_equal(of(&b, "base")->moves[0].contexts, 25);
	assert_true(str_eqz(of(&b, "base")->moves[0].from.variant->name, "on") && str_eqz(of(&b, "base")->moves[0].to.variant->name, "off"));
	assert_int_equal(of(&b, "base")->moves[1].contexts, 75);
	assert_int_equal(of(&b, "base")->n_examples, FLAG_BLAST_EXAMPLES);
	assert_int_equal(of(&b, "base")->examples[4].context, 4);
	assert_int_equal(of(&b, "new")->moves[0].from.error, FLAG_NOT_FOUND);
	assert_int_equal(of(&b, "other")->moves[0].to.error, FLAG_NOT_FOUND);
	assert_null(of(&b, "child")->moves[0].to.variant); /* off: the caller's own default */

	q.after = before; /* nothing changed: nobody flips */
	assert_ok(flag_blast(&arena, &q, &b, &e), &e);
	for (size_t i = 0; i < b.n_flags; i++)
		assert_int_equal(b.flags[i].flips, 0);

	q.touched = NULL; /* what they share changed: all */
	assert_ok(flag_blast(&arena, &q, &b, &e), &e);
	assert_int_equal(b.n_flags, 4);
	flag_set_unref(before);
	flag_set_unref(after);
}

/* Many flags: so many are looked at, the rest is counted, and fewer contexts are taken. */
static void test_blast_limits(void **state UNUSED)
{
	enum { FLAGS = LIMIT_FLAG_BLAST_FLAGS + 5, CONTEXTS = LIMIT_FLAG_BLAST_STEPS / (2 * LIMIT_FLAG_BLAST_FLAGS) + 10 };
	struct flag_text *texts = ARENA_ARRAY(&arena, FLAGS, struct flag_text);
	struct flag_set  *s;
	struct flag_blast b;
	struct err        e = { 0 };

	for (size_t i = 0; i < FLAGS; i++)
		texts[i] = (struct flag_text){ str_z(arena_printf(&arena, "f%zu", i)), STR("{\"state\":\"DISABLED\"," ON_OFF "}") };
	s = build(NULL, texts, FLAGS);
	assert_ok(flag_blast(&arena, &(struct flag_blast_question){ .before = s, .after = s, .contexts = contexts(CONTEXTS), .n_contexts = CONTEXTS }, &b, &e), &e);
	assert_int_equal(b.n_flags, LIMIT_FLAG_BLAST_FLAGS);
	assert_int_equal(b.left_out, 5);
	assert_int_equal(b.contexts, CONTEXTS - 10);
	flag_set_unref(s);
}

/* --- archived flags --- */

static void tell(void *ctx, const struct flag *f, const char *what)
{
	buf_addf(ctx, "%.*s: %s;", STR_ARG(f->key), what);
}

static void test_archived(void **state UNUSED)
{
	const struct flag_text texts[] = { { STR("old"), STR("{\"state\":\"ENABLED\"," ON_OFF ",\"defaultVariant\":\"on\",\"weir\":{\"archived\":true,"
	                                                         "\"prerequisites\":[{\"flag\":\"gone\",\"variants\":[\"on\"]}]}}") },
	                                   { STR("needs"), NEEDS("old") } };
	struct flag_set       *s = build(NULL, texts, 2);
	struct flag_context    c = { .scratch = &arena };
	struct buf             said = BUF_INIT(4096);
	struct flag_answer     a;

	flag_evaluate(s, STR("old"), FLAG_ANY, &c, &a);
	assert_int_equal(a.error, FLAG_NOT_FOUND);
	flag_evaluate(s, STR("needs"), FLAG_ANY, &c, &a);
	assert_int_equal(a.reason, FLAG_DISABLED);
	flag_set_check(s, tell, &said);
	assert_string_equal(buf_z(&said), "needs: its prerequisite 'old' is archived;"); /* what it needs itself counts when it comes back */
	buf_fini(&said);
	flag_set_unref(s);
}

/* --- rules --- */

static const char *read_rules(const char *text, struct flag_protection *p)
{
	struct doc_check c;
	struct err       e = { 0 };

	doc_check_init(&c, &arena, PROTECTION_PATH);
	if (flag_protection_read(&c, str_z(text), p, &e) || doc_check_result(&c, &e))
		return arena_dupz(&arena, e.msg);
	return "";
}

static void test_protection(void **state UNUSED)
{
	static const struct {
		const char *text, *said;
	} bad[] = {
		{ "[]", ".weir/protection.yaml:1:1: the file must be a map" },
		{ "{}", "'environments'" },
		{ "environments: []", "1:15: environments must be a map" },
		{ "environments: {a: 3}", "1:19: an environment must be a map" },
		{ "environments: {a: {reviewer: [x]}}", "1:20: unknown key 'reviewer' (did you mean 'reviewers'?)" },
		{ "environments: {a: {required-approvals: 11}}", "1:40" },
		{ "environments: {a: {required-approvals: yes}}", "1:40" },
		{ "environments: {a: {prevent-self-review: 1}}", "1:41" },
		{ "environments: {a: {require-blast-radius: on}}", "1:42" },
		{ "environments: {a: {reviewers: []}}", "1:31" },
		{ "environments: {a: {reviewers: [x, x]}}", "reviewer 'x' is there twice" },
		{ "environments: {a: {reviewers: [{}]}}", "1:32" },
		{ "environments: {a: {kill-switch: open}}", "1:33" },
		{ "environments: {a: {}, a: {}}", "1:23" },
		{ "environments: {'': {}}", "1:16" },
	};
	struct flag_protection p;


	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const char *said = read_rules(bad[i].text, &p);

		if (!strstr(said, bad[i].said))
			fail_msg("%s: said '%s', not '%s'", bad[i].text, said, bad[i].said);
	}
	assert_string_equal(read_rules("environments:\n  production: {}\n  staging: {}\n", &p), "");
}

static void test_protection_rules(void **state UNUSED)
{
	struct flag_protection  p;
	const struct flag_rule *r;

	assert_string_equal(read_rules("environments:\n  staging: {}\n  production:\n    required-approvals: 2\n    prevent-self-review: false\n    reviewers: [anna, bert]\n"
	                               "    kill-switch: protected\n    require-blast-radius: true\n",
	                               &p),
	                    "");
	assert_null(flag_protection_of(&p, STR("")));
	assert_null(flag_protection_of(&p, STR("beta")));
	r = flag_protection_of(&p, STR("staging"));
	assert_true(r && r->required_approvals == 1 && r->prevent_self_review && r->kill_switch_free && !r->require_blast_radius && !r->reviewers);
	assert_true(flag_rule_reviews(r, STR("anybody")));
	r = flag_protection_of(&p, STR("production"));
	assert_true(r && r->required_approvals == 2 && !r->prevent_self_review && !r->kill_switch_free && r->require_blast_radius);
	assert_true(flag_rule_reviews(r, STR("bert")) && !flag_rule_reviews(r, STR("ber")) && !flag_rule_reviews(r, STR("")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_diff, setup, teardown),
		cmocka_unit_test_setup_teardown(test_diff_wide, setup, teardown),
		cmocka_unit_test_setup_teardown(test_switch_off, setup, teardown),
		cmocka_unit_test_setup_teardown(test_blast, setup, teardown),
		cmocka_unit_test_setup_teardown(test_blast_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_archived, setup, teardown),
		cmocka_unit_test_setup_teardown(test_protection, setup, teardown),
		cmocka_unit_test_setup_teardown(test_protection_rules, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
