/* Reading .weir/waivers.yaml and matching. */
#include "lib/test.h"

#include "gate/waivers.h"

struct read {
	struct arena     arena;
	struct waivers   w;
	struct doc_check check;
};

static void read_all(struct read *r, const char *text)
{
	struct err e = { 0 };

	arena_fini(&r->arena);
	arena_init(&r->arena, 8 << 20);
	doc_check_init(&r->check, &r->arena, WAIVERS_PATH);
	assert_ok(waivers_read(&r->arena, str_z(text), &r->w, &r->check, &e), &e);
}

#define GOOD "  - rule: github-token\n    path: tests/a.txt\n    owner: dev@example.org\n    reason: revoked\n    expires: 2027-01-31\n"

static void test_good(void **s UNUSED)
{
	struct read r = { 0 };
	usec_t      end;

	read_all(&r, "waivers:\n" GOOD);
	assert_int_equal(r.check.n_diags, 0);
	assert_int_equal(r.w.n, 1);
	assert_true(r.w.v[0].complete);
	assert_true(clock_parse_rfc3339(STR("2027-02-01T00:00:00Z"), &end));
	assert_int_equal(r.w.v[0].until, end); /* the day itself still counts */
	read_all(&r, "waivers: []\n");
	assert_int_equal(r.w.n + r.check.n_diags, 0);
	read_all(&r, "waivers:\n");
	assert_int_equal(r.w.n + r.check.n_diags, 0);
	arena_fini(&r.arena);
}

/* Each is one entry with one thing wrong: it does not count, the good one beside it does. */
static void test_incomplete_entries_do_not_count(void **s UNUSED)
{
	static const struct { const char *entry, *says; } bad[] = {
		{ "  - path: a\n    owner: o\n    reason: r\n    expires: 2027-01-01\n", "rule" },
		{ "  - rule: x\n    path: a\n    reason: r\n    expires: 2027-01-01\n", "owner" },
		{ "  - rule: x\n    path: a\n    owner: ''\n    reason: r\n    expires: 2027-01-01\n", "owner is empty" },
		{ "  - rule: x\n    path: a\n    owner: o\n    expires: 2027-01-01\n", "reason" },
		{ "  - rule: x\n    path: a\n    owner: o\n    reason: r\n", "expires" },
		{ "  - rule: x\n    path: a\n    owner: o\n    reason: r\n    expires: 2027-02-30\n", "2027-02-30" },
		{ "  - rule: x\n    path: a\n    owner: o\n    reason: r\n    expires: never\n", "never" },
		{ "  - rule: x\n    owner: o\n    reason: r\n    expires: 2027-01-01\n", "'path' or 'fingerprint'" },
		{ "  - rule: x\n    path: '**'\n    owner: o\n    reason: r\n    expires: 2027-01-01\n", "matches everything" },
		{ "  - rule: x\n    path: '*/*'\n    owner: o\n    reason: r\n    expires: 2027-01-01\n", "matches everything" },
		{ "  - rule: x\n    fingerprint: abc\n    owner: o\n    reason: r\n    expires: 2027-01-01\n", "32 hex" },
		{ "  - rule: '*'\n    path: a\n    owner: o\n    reason: r\n    expires: 2027-01-01\n", "no name of a rule" },
		{ "  - rule: x\n    path: a\n    owner: o\n    reason: r\n    expires: 2027-01-01\n    until: 2028-01-01\n", "until" },
		{ "  - just text\n", "a waiver" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct read r = { 0 };
		char        text[2048];

		snprintf(text, sizeof text, "waivers:\n%s%s", bad[i].entry, GOOD);
		read_all(&r, text);
		if (r.check.n_diags == 0 || !strstr(r.check.diags[0].msg, bad[i].says))
			fail_msg("%s: seen: %s", bad[i].entry, r.check.n_diags ? r.check.diags[0].msg : "nothing");
		assert_int_equal(r.w.n, 2);
		assert_false(r.w.v[0].complete);
		assert_true(r.w.v[1].complete);
		arena_fini(&r.arena);
	}
}

static void test_no_yaml_and_too_many(void **s UNUSED)
{
	struct read r = { .arena = ARENA_INIT(64 << 20) };
	struct buf  text = BUF_INIT(1 << 20);
	struct err  e = { 0 };

	doc_check_init(&r.check, &r.arena, WAIVERS_PATH);
	assert_err(waivers_read(&r.arena, STR("waivers: ["), &r.w, &r.check, &e), WEIR_EPARSE);
	buf_addz(&text, "waivers:\n");
	for (int i = 0; i <= 1000; i++)
		buf_addz(&text, GOOD);
	assert_err(waivers_read(&r.arena, buf_str(&text), &r.w, &r.check, &e), WEIR_ELIMIT);
	buf_fini(&text);
	arena_fini(&r.arena);
	read_all(&r, "[]\n");
	assert_int_equal(r.w.n, 0);
	assert_int_equal(r.check.n_diags, 1);
	read_all(&r, "waiver: []\n");
	assert_true(r.check.n_diags >= 1);
	arena_fini(&r.arena);
}

static void test_paths(void **s UNUSED)
{
	static const struct { const char *pattern, *path; bool match; } t[] = {
		{ "a/b.txt", "a/b.txt", true },       { "a/b.txt", "a/b.txt2", false },     { "a/*.txt", "a/b.txt", true },
		{ "a/*.txt", "a/b/c.txt", false },    { "a/**", "a/b/c.txt", true },        { "a/**", "ab/c", false },
		{ "**/x", "x", true },                { "**/x", "a/b/x", true },            { "**/x", "a/bx", false },
		{ "a/**/b", "a/b", true },            { "a/**/b", "a/x/y/b", true },        { "a/**/b", "a/xb", false },
		{ "a?c", "abc", true },               { "a?c", "a/c", false },              { "*a*b*c", "xaybzc", true },
		{ "*a*b*c", "xaybz", false },         { "a/**/*.pem", "a/b/c/d.pem", true }, { "a/**/*.pem", "a/d.pem", true },
		{ "a/*/b/**", "a/x/b/c/d", true },    { "a/*/b/**", "a/x/y/b/c", false },   { "a", "", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		if (waiver_path_matches(str_z(t[i].pattern), str_z(t[i].path)) != t[i].match)
			fail_msg("%s on %s: expected %d", t[i].pattern, t[i].path, t[i].match);
}

static void test_which_finding(void **s UNUSED)
{
	struct read    r = { 0 };
	struct finding f = { .rule = STR("github-token"), .path = STR("tests/a.txt"), .fingerprint = STR("0123456789abcdef0123456789abcdef") };
	usec_t         last, after;

	assert_true(clock_parse_rfc3339(STR("2027-01-31T23:59:59Z"), &last));
	assert_true(clock_parse_rfc3339(STR("2027-02-01T00:00:00Z"), &after));
	read_all(&r, "waivers:\n" GOOD);
	assert_non_null(waiver_of(&r.w, &f, last));
	assert_null(waiver_of(&r.w, &f, after));
	f.rule = STR("gitlab-token");
	assert_null(waiver_of(&r.w, &f, last));
	read_all(&r, "waivers:\n  - rule: gitlab-token\n    fingerprint: 0123456789abcdef0123456789abcdef\n    owner: o\n    reason: r\n    expires: 2027-01-31\n");
	assert_non_null(waiver_of(&r.w, &f, last));
	f.path = STR("elsewhere"); /* it moved */
	assert_non_null(waiver_of(&r.w, &f, last));
	f.fingerprint = STR("1123456789abcdef0123456789abcdef");
	assert_null(waiver_of(&r.w, &f, last));
	arena_fini(&r.arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),  cmocka_unit_test(test_incomplete_entries_do_not_count), cmocka_unit_test(test_no_yaml_and_too_many),
		cmocka_unit_test(test_paths), cmocka_unit_test(test_which_finding),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
