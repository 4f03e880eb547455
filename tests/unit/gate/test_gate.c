/* Verdicts over pushes made with real git: waivers of the target, missing objects, checks that fail, order, limits. */
#include "gate/credentials/cred-internal.h"

#include "lib/gitfixture.h"

#include "base/hash.h"
#include "gate/gate.h"

static struct gate *gate;

/* The day of all tests: 2026-12-01. */
static usec_t today(void *ctx UNUSED) { return (usec_t)1796083200 * USEC_PER_SEC; }
static const struct clock test_clock = { .wall = today, .mono = today };

static void put(struct fixture *f, const char *name, const char *example)
{
	struct buf text = BUF_INIT(16 << 20);
	char       path[512];
	struct err e = { 0 };

	cred_example(example, &text);
	snprintf(path, sizeof path, "%s/w/%s", f->dir, name);
	assert_ok(fs_write_quick(path, buf_str(&text), 0644, &e), &e);
	buf_fini(&text);
}

/* Judges w's OLD..NEW as a push would, with waivers from TARGET (NULL: OLD). */
static struct verdict judge_with(struct fixture *f, struct gate *g, const char *old, const char *new_rev, const char *target)
{
	struct change  c = { .project = STR("shop"), .ref = STR("refs/heads/main") };
	struct verdict v = { 0 };
	struct err     e = { 0 };
	char           path[512], target_id[GIT_ID_SIZE];

	snprintf(path, sizeof path, "%s/w", f->dir);
	open_repo(f, "w", NULL);
	assert_ok(git_repo_set_known_refs(f->repo, NULL, &e), &e); /* as in a server that has none of these branches yet */
	snprintf(c.old_id, sizeof c.old_id, "%s", git_zero_id);
	if (old)
		test_rev(path, old, c.old_id);
	test_rev(path, new_rev, c.new_id);
	snprintf(target_id, sizeof target_id, "%s", c.old_id);
	if (target)
		test_rev(path, target, target_id);
	c.repo = f->repo;
	c.target = target_id;
	assert_ok(gate_check_change(g, &c, &f->arena, &v, &e), &e);
	return v;
}

static struct verdict judge(struct fixture *f, const char *old, const char *new_rev) { return judge_with(f, gate, old, new_rev, NULL); }

static const struct finding *find(const struct verdict *v, const char *rule)
{
	for (size_t i = 0; i < v->n_findings; i++)
		if (str_eqz(v->findings[i].rule, rule))
			return &v->findings[i];
	return NULL;
}

#define WAIVER(rule_, where, expires_)                                                                                           \
	"mkdir -p .weir; printf 'waivers:\\n  - rule: " rule_ "\\n    " where "\\n    owner: dev@example.org\\n    reason: recorded\\n    expires: " \
	expires_ "\\n' >.weir/waivers.yaml; git add .weir; "

static void test_pass_fail_and_two_pushes(void **s)
{
	struct fixture       *f = *s;
	struct verdict        v;
	const struct finding *x;
	char                  id[41], path[512];

	test_sh(f->dir, "git init -q -b main w; cd w; echo hello >a; git add .; ci one");
	v = judge(f, NULL, "main");
	assert_int_equal(v.call, VERDICT_PASS);
	assert_int_equal(v.n_findings, 0);
	assert_int_equal(strlen(v.digest), 64);
	put(f, "leak", "one\ntoken ghp_<c36>\n");
	test_sh(f->dir, "cd w; git add .; ci two; git rm -q leak; ci three");
	v = judge(f, "HEAD~2", "main"); /* it was removed again: it is in the history all the same */
	assert_int_equal(v.call, VERDICT_FAIL);
	assert_int_equal(v.n_findings, 1);
	x = find(&v, "github-token");
	assert_non_null(x);
	assert_str(x->path, "leak");
	assert_int_equal(x->line, 2);
	snprintf(path, sizeof path, "%s/w", f->dir);
	assert_str(x->commit, test_rev(path, "HEAD~1", id));
	/* what an earlier push brought is not looked at again */
	v = judge(f, "HEAD~1", "main");
	assert_int_equal(v.call, VERDICT_PASS);
	test_sh(f->dir, "cd w; git checkout -q HEAD~1; git switch -q -c again; git mv leak elsewhere; ci moved");
	v = judge(f, "HEAD~1", "again");
	assert_int_equal(v.call, VERDICT_PASS);
}

static void test_waivers_come_from_the_target_alone(void **s)
{
	struct fixture       *f = *s;
	struct verdict        v;
	const struct finding *x;

	test_sh(f->dir, "git init -q -b main w; cd w; ci zero; git tag zero; " WAIVER("github-token", "path: tests/**", "2026-12-01") "ci waiver; git tag waived; mkdir tests");
	put(f, "tests/a.txt", "ghp_<c36>");
	test_sh(f->dir, "cd w; git add .; ci leak");
	v = judge(f, "waived", "main");
	assert_int_equal(v.call, VERDICT_PASS);
	x = find(&v, "github-token");
	assert_non_null(x);
	assert_true(x->waived);
	assert_str(x->waiver, "dev@example.org until 2026-12-01: recorded");
	/* the same commits, into a target that has no waiver: the change brings its own, which does not count */
	v = judge_with(f, gate, "zero", "main", "zero");
	assert_int_equal(v.call, VERDICT_FAIL);
	assert_false(find(&v, "github-token")->waived);
	/* nor does the waiver cover another path or rule */
	put(f, "b.txt", "ghp_<c36>");
	put(f, "tests/c.txt", "glpat-<a20>");
	test_sh(f->dir, "cd w; git add .; ci more");
	v = judge(f, "HEAD~1", "main");
	assert_int_equal(v.call, VERDICT_FAIL);
	assert_false(find(&v, "gitlab-token")->waived);
}

static void test_expired_and_broken_waivers(void **s)
{
	struct fixture       *f = *s;
	struct verdict        v;
	const struct finding *x;

	test_sh(f->dir, "git init -q -b main w; cd w; " WAIVER("github-token", "path: leak", "2026-11-30") "ci waiver");
	put(f, "leak", "ghp_<c36>");
	test_sh(f->dir, "cd w; git add .; ci leak");
	v = judge(f, "HEAD~1", "main");
	assert_int_equal(v.call, VERDICT_FAIL);
	assert_false(find(&v, "github-token")->waived);
	assert_non_null(find(&v, "waiver-expired"));
	assert_int_equal(find(&v, "waiver-expired")->severity, SEVERITY_WARNING);
	assert_int_equal(find(&v, "waiver-expired")->line, 2);
	/* a target whose waivers are broken does not block the change that mends them */
	test_sh(f->dir, "cd w; git rm -q leak; echo 'waivers: [' >.weir/waivers.yaml; git add .; ci broken; " WAIVER("github-token", "path: x", "2027-01-01") "ci mended");
	v = judge(f, "HEAD~1", "main");
	assert_int_equal(v.call, VERDICT_PASS);
	assert_non_null(find(&v, "waiver-invalid"));
	/* but a change may not break them */
	v = judge(f, "HEAD~2", "HEAD~1");
	assert_int_equal(v.call, VERDICT_FAIL);
	assert_non_null(find(&v, "waivers-syntax"));
	test_sh(f->dir, "cd w; sed -i 's/reason/raeson/' .weir/waivers.yaml; git add .; ci typo; git commit -q --allow-empty -m x");
	v = judge(f, "HEAD~2", "main");
	assert_int_equal(v.call, VERDICT_FAIL);
	for (x = find(&v, "waivers-syntax"); x < v.findings + v.n_findings && !str_contains(x->message, STR("did you mean 'reason'")); x++)
		;
	assert_ptr_not_equal(x, v.findings + v.n_findings);
	assert_int_equal(x->line, 5);
	v = judge(f, "HEAD~1", "main");
	assert_non_null(find(&v, "waiver-invalid"));
}

static void test_unused_waivers_are_reported_for_a_whole_tree(void **s)
{
	struct fixture    *f = *s;
	struct verdict     v;
	struct err         e = { 0 };
	struct change_file files[1] = { { STR("a"), STR("nothing here") } };
	struct change      c = { .files = files, .n_files = 1 };
	char               id[41], path[512];

	test_sh(f->dir, "git init -q -b main w; cd w; " WAIVER("github-token", "path: leak", "2027-01-01") "ci waiver");
	judge(f, NULL, "main");
	snprintf(path, sizeof path, "%s/w", f->dir);
	c.repo = f->repo;
	c.target = test_rev(path, "main", id);
	assert_ok(gate_check_change(gate, &c, &f->arena, &v, &e), &e);
	assert_null(find(&v, "waiver-unused")); /* a part of the files says nothing about the others */
	c.whole_tree = true;
	assert_ok(gate_check_change(gate, &c, &f->arena, &v, &e), &e);
	assert_non_null(find(&v, "waiver-unused"));
	assert_int_equal(v.call, VERDICT_PASS);
}

static void test_waiver_by_fingerprint_survives_a_move(void **s)
{
	struct fixture *f = *s;
	struct verdict  v;
	char            script[1024];

	test_sh(f->dir, "git init -q -b main w; cd w; ci zero");
	put(f, "old.txt", "ghp_<c36>");
	test_sh(f->dir, "cd w; git add .; ci leak");
	v = judge(f, "HEAD~1", "main");
	snprintf(script, sizeof script, "cd w; git reset -q --hard HEAD~1; mkdir -p .weir sub; printf 'waivers:\\n  - rule: github-token\\n    fingerprint: %.*s\\n    owner: o\\n    reason: r\\n    expires: 2027-01-01\\n' >.weir/waivers.yaml; git add .; ci waiver",
	         STR_ARG(find(&v, "github-token")->fingerprint));
	test_sh(f->dir, script);
	put(f, "sub/moved.txt", "ghp_<c36>");
	test_sh(f->dir, "cd w; git add .; ci moved");
	v = judge(f, "HEAD~1", "main");
	assert_int_equal(v.n_findings, 1);
	assert_true(v.findings[0].waived);
	assert_int_equal(v.call, VERDICT_PASS);
}

static void test_missing_object_cannot_be_judged(void **s)
{
	struct fixture *f = *s;
	struct verdict  v;

	test_sh(f->dir, "git init -q -b main w; cd w; ci zero; mkdir d; echo x >d/f; git add .; ci one; o=$(git rev-parse HEAD:d/f); rm -f .git/objects/$(echo $o | cut -c1-2)/$(echo $o | cut -c3-)");
	v = judge(f, "HEAD~1", "main");
	assert_int_equal(v.call, VERDICT_CANNOT_JUDGE);
	assert_true(str_contains(v.cause, STR("'credentials' could not look: incomplete: ")));
	/* with a leak found before the gap it is refused for the leak, and the gap is told */
	put(f, "leak", "ghp_<c36>");
	test_sh(f->dir, "cd w; git add leak; ci leak; echo y >g; git add g; ci two; o=$(git rev-parse HEAD:g); rm -f .git/objects/$(echo $o | cut -c1-2)/$(echo $o | cut -c3-)");
	v = judge(f, "HEAD~2", "main");
	assert_int_equal(v.call, VERDICT_FAIL);
	assert_non_null(find(&v, "github-token"));
	assert_true(str_contains(v.cause, STR("incomplete: ")));
}

static int broken_check(void *ctx UNUSED, const struct change *c UNUSED, const struct finding_sink *sink UNUSED, struct err *reterr)
{
	return err_set(reterr, WEIR_EIO, "the disk is gone");
}

static int loud_check(void *ctx UNUSED, const struct change *c UNUSED, const struct finding_sink *sink, struct err *reterr)
{
	int rc = 0;

	for (uint32_t i = 0; !rc && i < 1200; i++) {
		struct finding f = { .check = STR("loud"), .rule = STR("r"), .severity = i == 1100 ? SEVERITY_ERROR : SEVERITY_NOTE, .path = STR("p"), .line = i };

		rc = sink->add(sink->ctx, &f, reterr);
	}
	return rc;
}

static void test_names_below_weir_that_nothing_reads(void **s)
{
	struct fixture       *f = *s;
	struct verdict        v;
	const struct finding *x;

	test_sh(f->dir, "git init -q -b main w; cd w; mkdir -p .weir/workflows; echo a >.weir/README.md; echo b >.weir/workflows/x.txt; git add .; ci fine");
	v = judge(f, NULL, "main");
	assert_null(find(&v, "weir-folder"));
	test_sh(f->dir, "cd w; echo c >.weir/servic.yaml; git add .; ci misspelt");
	v = judge(f, "HEAD~1", "main");
	assert_int_equal(v.call, VERDICT_FAIL);
	x = find(&v, "weir-folder");
	assert_non_null(x);
	assert_str(x->path, ".weir/servic.yaml");
	assert_non_null(strstr(x->message.ptr, "did you mean 'service.yaml'?"));
	test_sh(f->dir, "cd w; git rm -q .weir/servic.yaml; ci gone; echo d >a; git add .; ci other");
	v = judge(f, "HEAD~2", "main"); /* taking it away is fine */
	assert_null(find(&v, "weir-folder"));
}

static void test_other_checks(void **s)
{
	struct fixture        *f = *s;
	const struct check_ops broken[] = { { .name = "broken", .run = broken_check } }, loud[] = { { .name = "loud", .run = loud_check } };
	struct gate_config     cfg = { .cache_dir = getenv("WEIR_TEST_CACHE"), .clock = &test_clock, .checks = broken, .n_checks = 1 };
	struct gate           *g;
	struct verdict         v;
	struct err             e = { 0 };

	test_sh(f->dir, "git init -q -b main w; cd w; ci zero; echo x >f; git add .; ci one");
	put(f, "leak", "ghp_<c36>");
	test_sh(f->dir, "cd w; git add .; ci leak");
	assert_ok(gate_new(&cfg, &g, &e), &e);
	v = judge_with(f, g, "HEAD~2", "HEAD~1", NULL);
	assert_int_equal(v.call, VERDICT_CANNOT_JUDGE);
	assert_str(v.cause, "the check 'broken' could not look: the disk is gone");
	v = judge_with(f, g, "HEAD~2", "HEAD", NULL); /* what is known to be wrong is wrong */
	assert_int_equal(v.call, VERDICT_FAIL);
	assert_true(v.cause.len > 0);
	gate_free(g);
	cfg.checks = loud;
	assert_ok(gate_new(&cfg, &g, &e), &e);
	v = judge_with(f, g, "HEAD~2", "HEAD~1", NULL);
	assert_int_equal(v.n_findings, 1000);
	assert_int_equal(v.n_dropped, 200);
	assert_int_equal(v.call, VERDICT_FAIL);
	assert_int_equal(v.findings[0].severity, SEVERITY_ERROR); /* it came when the list was full, and is shown all the same */
	gate_free(g);
}

static void test_deleted_ref_and_merge(void **s)
{
	struct fixture *f = *s;
	struct change   c = { .target = git_zero_id };
	struct verdict  v, w, both;
	struct err      e = { 0 };

	test_sh(f->dir, "git init -q -b main w; cd w; ci zero");
	v = judge(f, NULL, "main");
	snprintf(c.old_id, sizeof c.old_id, "%s", git_zero_id);
	snprintf(c.new_id, sizeof c.new_id, "%s", git_zero_id);
	c.repo = f->repo;
	assert_ok(gate_check_change(gate, &c, &f->arena, &w, &e), &e);
	assert_int_equal(w.call, VERDICT_PASS);
	put(f, "leak", "ghp_<c36>");
	test_sh(f->dir, "cd w; git add .; ci leak");
	w = judge(f, "HEAD~1", "main");
	assert_ok(gate_merge(&v, &w, &f->arena, &both, &e), &e);
	assert_int_equal(both.call, VERDICT_FAIL);
	assert_ok(gate_merge(&w, &w, &f->arena, &both, &e), &e);
	assert_int_equal(both.n_findings, 1);
	assert_string_equal(both.digest, w.digest);
	assert_ok(gate_merge(&v, &v, &f->arena, &both, &e), &e);
	assert_int_equal(both.call, VERDICT_PASS);
}

/* Enough to be shared by two threads, twice: the same findings in the same order, and the same as one thread's. */
static void test_threads_do_not_show(void **s)
{
	struct fixture    *f = *s;
	struct gate_config cfg = { .cache_dir = getenv("WEIR_TEST_CACHE"), .clock = &test_clock, .threads = 1 };
	struct gate       *one;
	struct verdict     v1, v2, v3;
	struct gate_stats  stats = { 0 };
	struct err         e = { 0 };

	test_sh(f->dir, "git init -q -b main w; cd w; ci zero; mkdir d; for i in $(seq 120); do seq $i 8000 >d/n$i; done; git add .; ci many");
	for (int i = 0; i < 20; i++) {
		char name[32], text[64];

		snprintf(name, sizeof name, "d/leak%d", i);
		snprintf(text, sizeof text, "%d ghp_<c36> AKIA<u16>", i);
		put(f, name, text);
	}
	test_sh(f->dir, "cd w; git add .; ci leaks");
	assert_ok(gate_new(&cfg, &one, &e), &e);
	v1 = judge_with(f, one, NULL, "main", NULL);
	v2 = judge(f, NULL, "main");
	v3 = judge(f, NULL, "main");
	gate_free(one);
	assert_int_equal(v1.n_findings, 40);
	assert_string_equal(v1.digest, v2.digest);
	assert_string_equal(v1.digest, v3.digest);
	assert_ok(git_repo_set_known_refs(f->repo, "refs/", &e), &e);
	assert_ok(gate_check_history(gate, f->repo, NULL, &f->arena, &v3, &stats, &e), &e);
	assert_int_equal(v3.n_findings, 40);
	assert_int_equal(stats.blobs, 140);
}

static void test_small_arena_is_an_error(void **s)
{
	struct fixture *f = *s;
	struct arena    tiny = ARENA_INIT(64);
	struct change   c = { 0 };
	struct verdict  v;
	struct err      e = { 0 };
	char            path[512];

	test_sh(f->dir, "git init -q -b main w; cd w; ci zero");
	put(f, "leak", "ghp_<c36>");
	test_sh(f->dir, "cd w; git add .; ci leak");
	judge(f, "HEAD~1", "main");
	snprintf(path, sizeof path, "%s/w", f->dir);
	test_rev(path, "HEAD~1", c.old_id);
	test_rev(path, "HEAD", c.new_id);
	c.repo = f->repo;
	assert_true(gate_check_change(gate, &c, &tiny, &v, &e) != 0);
	arena_fini(&tiny);
}

static int setup_group(void **s UNUSED)
{
	struct gate_config cfg = { .cache_dir = getenv("WEIR_TEST_CACHE"), .clock = &test_clock };
	struct err         e = { 0 };

	base_init();
	if (gate_new(&cfg, &gate, &e)) {
		print_error("%s\n", e.msg);
		return -1;
	}
	return 0;
}

static int teardown_group(void **s UNUSED)
{
	gate = gate_free(gate);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_pass_fail_and_two_pushes, git_fixture_setup, git_fixture_teardown),
		cmocka_unit_test_setup_teardown(test_waivers_come_from_the_target_alone, git_fixture_setup, git_fixture_teardown),
		cmocka_unit_test_setup_teardown(test_expired_and_broken_waivers, git_fixture_setup, git_fixture_teardown),
		cmocka_unit_test_setup_teardown(test_unused_waivers_are_reported_for_a_whole_tree, git_fixture_setup, git_fixture_teardown),
		cmocka_unit_test_setup_teardown(test_waiver_by_fingerprint_survives_a_move, git_fixture_setup, git_fixture_teardown),
		cmocka_unit_test_setup_teardown(test_missing_object_cannot_be_judged, git_fixture_setup, git_fixture_teardown),
		cmocka_unit_test_setup_teardown(test_names_below_weir_that_nothing_reads, git_fixture_setup, git_fixture_teardown),
		cmocka_unit_test_setup_teardown(test_other_checks, git_fixture_setup, git_fixture_teardown),
		cmocka_unit_test_setup_teardown(test_deleted_ref_and_merge, git_fixture_setup, git_fixture_teardown),
		cmocka_unit_test_setup_teardown(test_threads_do_not_show, git_fixture_setup, git_fixture_teardown),
		cmocka_unit_test_setup_teardown(test_small_arena_is_an_error, git_fixture_setup, git_fixture_teardown),
	};
	return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
