/* The lines kept with findings of refused pushes: what they show, and that no credential of any rule is ever in them. */
#include "gate/credentials/cred-internal.h"

#include "lib/gitrepo.h"

#include "base/hash.h"
#include "base/limits.h"
#include "gate/gate.h"

static struct cred *cred;

static int group_setup(void **s UNUSED)
{
	struct err e = { 0 };

	return cred_new(&(struct cred_config){ .cache_dir = getenv("WEIR_TEST_CACHE") }, &cred, &e);
}
static int group_teardown(void **s UNUSED)
{
	cred = cred_free(cred);
	return 0;
}

/* "FIRST:lines" with '|' between them; "-": none. */
static void check(const char *example, bool credential, uint32_t line, const char *want)
{
	struct buf          text = BUF_INIT(1 << 20), seen = BUF_INIT(1 << 20);
	struct arena        a = ARENA_INIT(1 << 20);
	struct finding_code code;
	struct err          e = { 0 };

	cred_example(example, &text);
	assert_ok(cred_code(cred, buf_str(&text), credential, line, &a, &code, &e), &e);
	if (code.first)
		buf_addf(&seen, "%u:", code.first);
	else
		buf_addc(&seen, '-');
	for (size_t i = 0; i < code.lines.len; i++)
		buf_addc(&seen, code.lines.ptr[i] == '\n' ? '|' : code.lines.ptr[i]);
	if (!str_eqz(buf_str(&seen), want))
		fail_msg("line %u of %s: expected %s, seen %s", line, example, want, buf_z(&seen));
	buf_fini(&text);
	buf_fini(&seen);
	arena_fini(&a);
}

#define HIDDEN "(a credential stood here; the line is not kept)"

static void test_lines(void **s UNUSED)
{
	check("a\nb\nc\nd\ne\nf\n", false, 3, "1:a|b|c|d|e");
	check("a\nb\nc\nd\ne\nf\n", false, 1, "1:a|b|c");
	check("a\nb\nc\nd\ne\nf\n", false, 6, "4:d|e|f");
	check("a\nb\nc", false, 3, "1:a|b|c");
	check("\n\n\n", false, 2, "1:||");
	check("a\nb\n", false, 3, "-");
	check("a\nb\n", false, 0, "-");
	check("a\nb\n", false, 4000000000u, "-");
	check("", false, 1, "-");
	check("k:\tv\r\n\x1b[31mred\x7f\n", false, 1, "1:k:\tv | [31mred ");
	check("a\nb\n", true, 1, "-"); /* no rule finds one there */
}

static void test_credential_lines(void **s UNUSED)
{
	check("one\ntoken = ghp_<c36> # mine\nthree\n", true, 2, "2:token = ****");
	check("one\nKEY=AKIA<u16> and AKIA<u16>\nthree\n", true, 2, "2:KEY=****");
	check("x: \"ghp_<c36>\"\ny: \"AKIA<u16>\"\n", true, 1, "1:x: \"****");
	check("x: \"ghp_<c36>\"\ny: \"AKIA<u16>\"\n", true, 2, "2:y: \"****");
	/* in the lines of another finding the whole line goes */
	check("a\nx: \"ghp_<c36>\"\nc\ny: \"AKIA<u16>\"\nd\n", false, 3, "1:a|" HIDDEN "|c|" HIDDEN "|d");
	check("a\nx: \"ghp_<c36>\"\nc\n", false, 2, "1:a|" HIDDEN "|c");
	check("a\n-----BEGIN RSA PRIVATE KEY-----\n<b64>\n<b64>\n-----END RSA PRIVATE KEY-----\nz\n", false, 6, "4:" HIDDEN "|-----END RSA PRIVATE KEY-----|z");
}

/* What no rule knows: long runs of letters and digits. */
static void test_random_runs(void **s UNUSED)
{
	check("a: zqx<a30>\n", false, 1, "1:a: ****");
	check("a: zqx<x40>, b\n", false, 1, "1:a: ****, b");
	check("a: word-with-many-letters-and-no-number-in-it\n", false, 1, "1:a: word-with-many-letters-and-no-number-in-it");
	check("runs-on: ubuntu-22.04\n", false, 1, "1:runs-on: ubuntu-22.04");
}

static void test_cut_and_binary(void **s UNUSED)
{
	struct buf          text = BUF_INIT(4 << 20);
	struct arena        a = ARENA_INIT(1 << 20);
	struct finding_code code;
	struct err          e = { 0 };

	for (int i = 0; i < 199; i++)
		buf_addc(&text, 'x');
	buf_addz(&text, "\xc3\xa4y\nb\n"); /* the cut would fall into the character */
	assert_ok(cred_code(cred, buf_str(&text), false, 2, &a, &code, &e), &e);
	assert_int_equal(code.lines.len, 199 + 2);
	assert_true(str_utf8_valid(code.lines));
	for (int i = 0; i < 2; i++) { /* binary, not UTF-8 */
		assert_ok(cred_code(cred, i ? STR("a\nb\xff\n") : str_n("a\nb\0\n", 5), false, 1, &a, &code, &e), &e);
		assert_int_equal(code.first, 0);
	}
	buf_clear(&text);
	while (text.len <= LIMIT_CODE_TEXT_BYTES)
		buf_addz(&text, "a line\n");
	assert_ok(cred_code(cred, buf_str(&text), false, 1, &a, &code, &e), &e);
	assert_int_equal(code.first, 0);
	buf_fini(&text);
	arena_fini(&a);
}

/* No eight bytes of any secret of `text` are in what is kept for any of its lines, whatever the finding. */
enum { WINDOW = 8 };
static void check_nothing_leaks(const char *rule, str text)
{
	struct cred_worker *w;
	struct err          e = { 0 };
	uint32_t            n_lines = 1;
	VEC(str) secrets = { 0 };

	assert_ok(cred_worker_get(cred, &w, &e), &e);
	assert_ok(cred_worker_scan(w, STR("x"), text, &e), &e);
	for (size_t i = 0; i < w->hits.n && w->text.ptr == text.ptr; i++)
		VEC_PUSH(&secrets, str_sub(text, w->hits.v[i].start, w->hits.v[i].end - w->hits.v[i].start));
	cred_worker_put(cred, w);
	for (size_t i = 0; i < text.len; i++)
		n_lines += text.ptr[i] == '\n';
	for (uint32_t line = 1; line <= n_lines; line++) {
		for (int credential = 0; credential < 2; credential++) {
			struct arena        a = ARENA_INIT(1 << 20);
			struct finding_code code;

			assert_ok(cred_code(cred, text, credential, line, &a, &code, &e), &e);
			for (size_t i = 0; i < secrets.n; i++)
				for (size_t k = 0; k + WINDOW <= secrets.v[i].len; k++)
					if (str_contains(code.lines, str_sub(secrets.v[i], k, WINDOW)))
						fail_msg("%s: line %u (credential %d) keeps %d bytes of a secret: %.*s", rule, line, credential, WINDOW,
						         STR_ARG(code.lines));
			arena_fini(&a);
		}
	}
	VEC_FINI(&secrets);
}

/* Every rule's own examples: alone, two on a line, one under the other, glued to other words. */
static void test_no_rule_leaks(void **s UNUSED)
{
	const struct cred_rules *rs = &cred->rules;
	const char              *before = "ghp_<c36>";
	size_t                   n = 0;

	for (size_t i = 0; i < rs->rules.n; i++) {
		for (const char *const *m = rs->rules.v[i].match; *m; m++) {
			struct buf text = BUF_INIT(1 << 20);

			for (int form = 0; form < 4; form++) {
				buf_clear(&text);
				buf_addz(&text, "first: line\n");
				if (form == 1)
					cred_example(before, &text), buf_addc(&text, ' ');
				if (form == 2)
					cred_example(before, &text), buf_addc(&text, '\n');
				if (form == 3)
					buf_addz(&text, "x: [1, \"");
				cred_example(*m, &text);
				if (form == 1)
					buf_addc(&text, ' '), cred_example(before, &text);
				if (form == 2)
					buf_addc(&text, '\n'), cred_example(before, &text);
				if (form == 3)
					buf_addz(&text, "\"]");
				buf_addz(&text, "\nlast: line\n");
				check_nothing_leaks(rs->rules.v[i].id, buf_str(&text));
				n++;
			}
			before = *m;
			buf_fini(&text);
		}
	}
	assert_true(n > 400);
}

/* --- in a verdict --- */

static int warn_check(void *ctx UNUSED, const struct change *c UNUSED, const struct finding_sink *sink, struct err *reterr)
{
	struct finding f = { .check = STR("files"), .rule = STR("wrong"), .severity = SEVERITY_ERROR, .path = STR("copy.yml"), .line = 3, .message = STR("m") };

	return sink->add(sink->ctx, &f, reterr);
}

/* A credential that the gate reports at one path stands at another path too, where another check has something to say beside it. */
static void test_verdict(void **s UNUSED)
{
	const struct check_ops loud[] = { { .name = "files", .run = warn_check } };
	struct gate_config     cfg = { .cache_dir = getenv("WEIR_TEST_CACHE"), .checks = loud, .n_checks = 1 };
	struct change          c = { .project = STR("shop"), .ref = STR("refs/heads/main"), .target = git_zero_id, .keep_code = true };
	struct arena           a = ARENA_INIT(64 << 20);
	struct buf             text = BUF_INIT(1 << 20);
	char                   dir[256], path[512];
	struct gate           *g;
	struct verdict         v = { 0 };
	struct err             e = { 0 };

	assert_ok(fs_temp_dir("weir-test-code-", dir, sizeof dir, &e), &e);
	test_sh(dir, "git init -q -b main w");
	cred_example("one\ntoken: ghp_<c36>\nthree\n", &text);
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof path, "%s/w/%s", dir, i ? "copy.yml" : "a.yml");
		assert_ok(fs_write_quick(path, buf_str(&text), 0644, &e), &e);
	}
	test_sh(dir, "cd w; git add .; ci leak");
	snprintf(path, sizeof path, "%s/w", dir);
	assert_ok(git_repo_open(path, NULL, &c.repo, &e), &e);
	assert_ok(git_repo_set_known_refs(c.repo, NULL, &e), &e);
	snprintf(c.old_id, sizeof c.old_id, "%s", git_zero_id);
	test_rev(path, "main", c.new_id);
	assert_ok(gate_new(&cfg, &g, &e), &e);
	assert_ok(gate_check_change(g, &c, &a, &v, &e), &e);
	assert_int_equal(v.n_findings, 2);
	for (size_t i = 0; i < 2; i++) {
		bool credential = str_eqz(v.findings[i].check, "credentials");

		assert_int_equal(v.findings[i].code.first, credential ? 2 : 1);
		assert_str(v.findings[i].code.lines, credential ? "token: ****" : "one\n" HIDDEN "\nthree");
	}
	c.keep_code = false; /* `weir check`: the files are there */
	assert_ok(gate_check_change(g, &c, &a, &v, &e), &e);
	assert_int_equal(v.findings[0].code.first, 0);
	gate_free(g);
	git_repo_close(c.repo);
	buf_fini(&text);
	arena_fini(&a);
	assert_ok(fs_remove_tree(dir, &e), &e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),          cmocka_unit_test(test_credential_lines), cmocka_unit_test(test_random_runs),
		cmocka_unit_test(test_cut_and_binary), cmocka_unit_test(test_no_rule_leaks),    cmocka_unit_test(test_verdict),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
