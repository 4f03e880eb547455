/* The scanner on hard texts: binary, NUL, CRLF, UTF-16, huge lines, many triggers, limits, the cache file, two threads' workers. */
#include "gate/credentials/cred-internal.h"

#include "lib/test.h"

#include "base/fs.h"
#include "base/hash.h"
#include "base/limits.h"

#include <pthread.h>

static struct cred *cred;

struct seen {
	size_t         n;
	struct finding last;
	char           text[1024], rule[64], fingerprint[40], path[256];
};

static int take(void *ctx, const struct finding *f, struct err *reterr UNUSED)
{
	struct seen *o = ctx;

	o->n++;
	o->last = *f;
	snprintf(o->text, sizeof o->text, "%.*s", STR_ARG(f->message));
	snprintf(o->rule, sizeof o->rule, "%.*s", STR_ARG(f->rule));
	snprintf(o->fingerprint, sizeof o->fingerprint, "%.*s", STR_ARG(f->fingerprint));
	snprintf(o->path, sizeof o->path, "%.*s", STR_ARG(f->path));
	return 0;
}

static struct seen scan(str path, str text)
{
	struct seen         o = { 0 };
	struct finding_sink sink = { .add = take, .ctx = &o };
	struct err          e = { 0 };

	assert_ok(cred_scan_text(cred, path, STR_NULL, text, &sink, &e), &e);
	return o;
}

static void test_place_and_words(void **s UNUSED)
{
	struct buf  b = BUF_INIT(1 << 20);
	struct seen o;

	cred_example("one\r\ntwo\r\n  token = ghp_<c36>;\r\n", &b);
	o = scan(STR("a/b.c"), buf_str(&b));
	assert_int_equal(o.n, 1);
	assert_string_equal(o.rule, "github-token");
	assert_int_equal(o.last.line, 3);
	assert_int_equal(o.last.col, 11);
	assert_int_equal(o.last.end_line, 3);
	assert_int_equal(o.last.end_col, 51);
	assert_int_equal(o.last.severity, SEVERITY_ERROR);
	assert_non_null(strstr(o.text, "\"ghp_...\" (40 characters), its checksum fits"));
	assert_null(strstr(o.text, b.ptr + 25)); /* nothing of the rest */
	assert_true(str_contains(o.last.advice, STR("revoke")));
	buf_fini(&b);
}

static void test_a_moved_file_keeps_the_fingerprint(void **s UNUSED)
{
	struct buf  b = BUF_INIT(1 << 20);
	struct seen x, y;

	cred_example("k = AKIA<u16>\n", &b);
	x = scan(STR("a"), buf_str(&b));
	buf_clear(&b);
	buf_addz(&b, "\n\n\n# other lines\n");
	cred_example("k = AKIA<u16>\n", &b);
	y = scan(STR("elsewhere/b.txt"), buf_str(&b));
	assert_int_equal(x.n, 1);
	assert_string_equal(x.fingerprint, y.fingerprint);
	assert_int_equal(y.last.line, 5);
	buf_fini(&b);
}

static void test_binary_only_certain_rules(void **s UNUSED)
{
	struct buf b = BUF_INIT(1 << 20);

	buf_add(&b, "ELF\0\0\0", 6);
	cred_example("password = \"<a20>\" ", &b);
	assert_int_equal(scan(STR("bin"), buf_str(&b)).n, 0);
	b.ptr[3] = b.ptr[4] = b.ptr[5] = ' ';
	assert_int_equal(scan(STR("bin"), buf_str(&b)).n, 1);
	buf_clear(&b);
	buf_add(&b, "ELF\0\0\0", 6);
	cred_example("AKIA<u16>", &b);
	buf_add(&b, "\0", 1);
	assert_int_equal(scan(STR("bin"), buf_str(&b)).n, 1);
	buf_fini(&b);
}

static void test_utf16(void **s UNUSED)
{
	struct buf  b = BUF_INIT(1 << 20), w = BUF_INIT(1 << 20);
	struct seen o;

	cred_example("first\nkey: AKIA<u16>\n", &b);
	for (int big = 0; big < 2; big++) {
		buf_clear(&w);
		buf_add(&w, big ? "\xfe\xff" : "\xff\xfe", 2);
		for (size_t i = 0; i < b.len; i++) {
			char pair[2] = { big ? 0 : b.ptr[i], big ? b.ptr[i] : 0 };

			buf_add(&w, pair, 2);
		}
		o = scan(STR("win.reg"), buf_str(&w));
		assert_int_equal(o.n, 1);
		assert_int_equal(o.last.line, 2);
		assert_int_equal(o.last.col, 6);
	}
	/* half a unit, half a pair: no crash, no finding */
	assert_int_equal(scan(STR("x"), STR("\xff\xfe\x00\xd8\x41")).n, 0);
	assert_int_equal(scan(STR("x"), STR("\xff\xfe\x3d\xd8\x00\xde")).n, 0);
	buf_fini(&b);
	buf_fini(&w);
}

static void test_huge_line_and_many_triggers(void **s UNUSED)
{
	struct buf          b = BUF_INIT(32 << 20);
	struct cred_worker *w;
	struct err          e = { 0 };
	size_t              triggered = 0;
	struct seen         o;

	/* triggers all over one line of 8 MiB, each of which has to be tried */
	while (b.len < 8 << 20)
		buf_addz(&b, "ghp_github_token:AKIApassword='-----BEGIN PRIVATE KEY-----eyJ://a:b");
	buf_addz(&b, " ");
	cred_example("ghp_<c36>", &b);
	o = scan(STR("min.js"), buf_str(&b));
	assert_true(o.n >= 1);
	assert_int_equal(o.last.line, 1);
	/* linear: no byte is tried twice by one rule, though triggers stand closer than their windows reach */
	assert_ok(cred_worker_get(cred, &w, &e), &e);
	assert_ok(cred_worker_scan(w, STR("min.js"), str_sub(buf_str(&b), 0, 1 << 20), &e), &e);
	assert_true(w->tried > 1 << 20);
	for (size_t i = 0; i < cred->rules.rules.n; i++)
		triggered += w->next[i] > 0;
	assert_true(w->tried <= triggered * ((1 << 20) + 1));
	cred_worker_put(cred, w);
	buf_fini(&b);
}

static void test_too_large_is_said(void **s UNUSED)
{
	struct buf  b = BUF_INIT(LIMIT_SCAN_BLOB_BYTES + 10);
	struct seen o;

	assert_non_null(buf_reserve(&b, LIMIT_SCAN_BLOB_BYTES + 1));
	memset(b.ptr, 'a', LIMIT_SCAN_BLOB_BYTES + 1);
	b.len = LIMIT_SCAN_BLOB_BYTES + 1;
	o = scan(STR("huge"), buf_str(&b));
	assert_int_equal(o.n, 1);
	assert_string_equal(o.rule, "credentials-not-scanned");
	assert_int_equal(o.last.severity, SEVERITY_NOTE);
	b.len = LIMIT_SCAN_BLOB_BYTES;
	assert_int_equal(scan(STR("huge"), buf_str(&b)).n, 0);
	buf_fini(&b);
}

static void expect_severity(const char *path, const char *example, const char *rule, enum severity want)
{
	struct buf  b = BUF_INIT(1 << 20);
	struct seen o;

	cred_example(example, &b);
	o = scan(str_z(path), buf_str(&b));
	if (o.n != (want != SEVERITY_NONE) || (o.n && (o.last.severity != want || strcmp(o.rule, rule))))
		fail_msg("%s in %s: %zu findings, the last '%s' of severity %d; not %d of '%s'", example, path, o.n, o.rule, (int)o.last.severity, (int)want, rule);
	buf_fini(&b);
}

/* What refuses and what only warns: docs/reference/credentials.md. */
static void test_levels(void **s UNUSED)
{
	expect_severity("src/a.py", "token = 'ghp_<c36>'", "github-token", SEVERITY_ERROR);
	expect_severity("tests/a.py", "token = 'ghp_<c36>'", "github-token", SEVERITY_ERROR); /* the form proves it, wherever it stands */
	expect_severity("src/a.py", "token = 'ghp_<a36>'", "github-token", SEVERITY_WARNING); /* its checksum does not fit */
	expect_severity("src/a.py", "password = 'kX9!<a10>'", "generic-quoted", SEVERITY_ERROR);
	expect_severity("tests/a.py", "password = 'kX9!<a10>'", "generic-quoted", SEVERITY_WARNING);
	expect_severity("src/a.py", "password = 'abuser1234'", "generic-quoted", SEVERITY_WARNING);
	expect_severity("src/a.py", "password = 'salasana'", "", SEVERITY_NONE);
	expect_severity("src/a.py", "HEROKU_API_KEY=<x8>-<x4>-<x4>-<x4>-<x12>", "heroku-key", SEVERITY_ERROR);
	expect_severity("src/a_test.go", "HEROKU_API_KEY=<x8>-<x4>-<x4>-<x4>-<x12>", "heroku-key", SEVERITY_WARNING);
	expect_severity("src/a.go", "\"heroku_app_id\": \"<x8>-<x4>-<x4>-<x4>-<x12>\"", "", SEVERITY_NONE); /* an id */
	expect_severity("go.sum", "digitalocean/godo v1 h1:<a43>=", "", SEVERITY_NONE);
}

static void test_decoded_values_are_judged(void **s UNUSED)
{
	expect_severity("a.py", "Authorization: Basic <p14>", "basic-authorization", SEVERITY_ERROR);
	expect_severity("a.py", "Authorization: Basic dXNlcjpwYXNz", "basic-authorization", SEVERITY_WARNING); /* user:pass */
	expect_severity("a.py", "Authorization: Basic <x24>", "", SEVERITY_NONE); /* no pair in it */
	expect_severity("k.yaml", "apiVersion: v1\nkind: Secret\ndata:\n  password: a1g5IW12UTJ6Ug==\n", "kubernetes-secret", SEVERITY_ERROR);
	expect_severity("k.yaml", "apiVersion: v1\nkind: Secret\ndata:\n  password: Y2hhbmdlbWU=\n", "", SEVERITY_NONE); /* changeme */
	expect_severity("k.yaml", "apiVersion: v1\nkind: Secret\ndata:\n  type: \"postgresql\"\n", "", SEVERITY_NONE);
}

static void test_one_place_one_finding(void **s UNUSED)
{
	struct buf  b = BUF_INIT(1 << 20);
	struct seen o;

	/* the generic rule for `token = "..."` fits, too */
	cred_example("github_token = \"ghp_<c36>\"\n", &b);
	o = scan(STR("f"), buf_str(&b));
	assert_int_equal(o.n, 1);
	assert_string_equal(o.rule, "github-token");
	/* the same secret twice in one file: one finding; another one: two */
	buf_addf(&b, "%s", "again: ");
	cred_example("ghp_<c36>\n", &b);
	cred_example("ghp_<c36>\n", &b);
	o = scan(STR("f"), buf_str(&b));
	assert_int_equal(o.n, 2);
	buf_fini(&b);
}

static void test_allow_comments_are_not_obeyed(void **s UNUSED)
{
	struct buf b = BUF_INIT(1 << 20);

	cred_example("k = 'ghp_<c36>' # gitleaks:allow betterleaks:allow nosec pragma: allowlist secret weir:allow\n", &b);
	assert_int_equal(scan(STR("f"), buf_str(&b)).n, 1);
	buf_fini(&b);
}

static void test_cache_file(void **s UNUSED)
{
	char         dir[256], path[512];
	struct err   e = { 0 };
	struct cred *c;
	struct buf   out = BUF_INIT(1 << 20), list = BUF_INIT(1 << 16);

	assert_ok(fs_temp_dir("weir-test-cache-", dir, sizeof dir, &e), &e);
	assert_ok(cred_new(&(struct cred_config){ .cache_dir = dir }, &c, &e), &e);
	cred_free(c);
	assert_ok(cred_new(&(struct cred_config){ .cache_dir = dir }, &c, &e), &e); /* from the file */
	cred_free(c);
	/* a broken file is made anew */
	snprintf(path, sizeof path, "f=$(ls %s/credentials-*.hsdb); [ -s $f ] || exit 1; echo junk >$f", dir);
	assert_int_equal(system(path), 0);
	assert_ok(cred_new(&(struct cred_config){ .cache_dir = dir }, &c, &e), &e);
	cred_free(c);
	snprintf(path, sizeof path, "test $(stat -c %%s %s/credentials-*.hsdb) -gt 10000", dir);
	assert_int_equal(system(path), 0);
	/* a folder that cannot be made: works without */
	snprintf(path, sizeof path, "%s/file", dir);
	assert_ok(fs_write_quick(path, STR("x"), 0600, &e), &e);
	snprintf(path, sizeof path, "%s/file/below", dir);
	assert_ok(cred_new(&(struct cred_config){ .cache_dir = path }, &c, &e), &e);
	cred_free(c);
	assert_ok(fs_remove_tree(dir, &e), &e);
	buf_fini(&out);
	buf_fini(&list);
}

static void *scan_often(void *arg UNUSED)
{
	struct buf  b = BUF_INIT(1 << 20);
	uintptr_t   found = 0;

	cred_example("x AKIA<u16> y\n", &b);
	for (int i = 0; i < 200; i++) {
		struct seen         o = { 0 };
		struct finding_sink sink = { .add = take, .ctx = &o };

		if (!cred_scan_text(cred, STR("f"), STR_NULL, buf_str(&b), &sink, NULL))
			found += o.n;
	}
	buf_fini(&b);
	return (void *)found;
}

static void test_many_threads(void **s UNUSED)
{
	pthread_t t[6];
	void     *found;

	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		assert_int_equal(pthread_create(&t[i], NULL, scan_often, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		pthread_join(t[i], &found);
		assert_int_equal((uintptr_t)found, 200);
	}
}

static int setup_group(void **s UNUSED)
{
	struct err e = { 0 };

	base_init();
	if (cred_new(&(struct cred_config){ .cache_dir = getenv("WEIR_TEST_CACHE") }, &cred, &e)) {
		print_error("%s\n", e.msg);
		return -1;
	}
	return 0;
}

static int teardown_group(void **s UNUSED)
{
	cred = cred_free(cred);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_place_and_words),
		cmocka_unit_test(test_a_moved_file_keeps_the_fingerprint),
		cmocka_unit_test(test_binary_only_certain_rules),
		cmocka_unit_test(test_utf16),
		cmocka_unit_test(test_huge_line_and_many_triggers),
		cmocka_unit_test(test_too_large_is_said),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_decoded_values_are_judged),
		cmocka_unit_test(test_one_place_one_finding),
		cmocka_unit_test(test_allow_comments_are_not_obeyed),
		cmocka_unit_test(test_cache_file),
		cmocka_unit_test(test_many_threads),
	};
	return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
