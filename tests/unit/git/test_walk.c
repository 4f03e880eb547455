/* Ranges and ancestry, against what `git rev-list` and `git merge-base` say about the same random history. */
#include "lib/gitfixture.h"

static void check_range(struct fixture *f, const char *dir, const char *from, const char *to)
{
	CLEANUP_BUF struct buf want = BUF_INIT(1 << 20), seen = BUF_INIT(1 << 20);
	struct err             e = { 0 };
	struct git_commit     *c;
	char                   script[256], a[GIT_ID_SIZE], b[GIT_ID_SIZE];
	size_t                 n;
	bool                   more;

	snprintf(script, sizeof script, "git rev-list '%s' '^%s' | sort", to, from);
	test_sh_out(dir, script, &want);
	assert_ok(git_resolve(f->repo, from, a, &e), &e);
	assert_ok(git_resolve(f->repo, to, b, &e), &e);
	assert_ok(git_log_range(f->repo, a, b, 10000, &f->arena, &c, &n, &more, &e), &e);
	assert_false(more);
	for (size_t i = 0; i < n; i++) {
		if (i)
			assert_true(c[i].committed <= c[i - 1].committed);
		buf_addf(&seen, "%s\n", c[i].id);
	}
	buf_clear(&want);
	snprintf(script, sizeof script, "git rev-list '%s' '^%s'", to, from);
	test_sh_out(dir, script, &want);
	if (want.len)
		buf_addc(&want, '\n');
	/* the same set: every line of one is in the other, and the lengths agree */
	assert_int_equal(want.len, seen.len);
	for (size_t i = 0; i < n; i++)
		assert_true(str_contains(buf_str(&want), str_z(c[i].id)));
}

static void check_ancestor(struct fixture *f, const char *dir, const char *from, const char *to)
{
	CLEANUP_BUF struct buf want = BUF_INIT(100);
	struct err             e = { 0 };
	char                   script[256], a[GIT_ID_SIZE], b[GIT_ID_SIZE];
	bool                   seen;

	snprintf(script, sizeof script, "git merge-base --is-ancestor '%s' '%s' && echo yes || echo no", from, to);
	test_sh_out(dir, script, &want);
	assert_ok(git_resolve(f->repo, from, a, &e), &e);
	assert_ok(git_resolve(f->repo, to, b, &e), &e);
	assert_ok(git_is_ancestor(f->repo, a, b, &seen, &e), &e);
	assert_int_equal(seen, !strcmp(buf_z(&want), "yes"));
}

/* 60 commits, each with one or two random parents, tagged c0..c59; the same history in every run. seconds: between two commits. */
static void random_history(struct fixture *f, int seconds)
{
	char script[1024], dir[512];

	snprintf(script, sizeof script,
	         "rm -rf a; git init -q -b main a; cd a; RANDOM=7; tree=$(git mktree </dev/null); "
	         "for i in $(seq 0 59); do p=; if [ $i -gt 0 ]; then p=\"-p c$((RANDOM %% i))\"; "
	         "q=c$((RANDOM %% i)); if [ $((RANDOM %% 2)) = 0 ] && [ \"$p\" != \"-p $q\" ]; then p=\"$p -p $q\"; fi; fi; "
	         "export GIT_AUTHOR_DATE=\"$((1700000000 + i * %d)) +0000\"; export GIT_COMMITTER_DATE=\"$GIT_AUTHOR_DATE\"; "
	         "git tag c$i $(git commit-tree $tree $p -m $i); done", seconds);
	test_sh(f->dir, script);
	snprintf(dir, sizeof dir, "%s/a", f->dir);
	open_repo(f, "a", NULL);
	for (int i = 0; i < 60; i += 7)
		for (int j = 1; j < 60; j += 11) {
			char from[16], to[16];

			snprintf(from, sizeof from, "c%d", i);
			snprintf(to, sizeof to, "c%d", j);
			check_range(f, dir, from, to);
			check_ancestor(f, dir, from, to);
		}
}

static void test_random_history(void **s) { random_history(*s, 1); }

/* Programs commit many times in one second. */
static void test_random_history_of_one_second(void **s) { random_history(*s, 0); }

/* The branch point lies further back than the few commits that are always looked at beyond the last wanted one. */
static void test_long_branch_of_one_second(void **s)
{
	struct fixture *f = *s;
	char            dir[512];

	test_sh(f->dir, "git init -q -b main a; cd a; export GIT_AUTHOR_DATE='1700000000 +0000' GIT_COMMITTER_DATE='1700000000 +0000'; "
	                "for i in $(seq 40); do git commit -q --allow-empty -m $i; [ $i = 2 ] && git branch side; done; git checkout -q side; git commit -q --allow-empty -m x");
	snprintf(dir, sizeof dir, "%s/a", f->dir);
	open_repo(f, "a", NULL);
	check_range(f, dir, "main", "side");
	check_range(f, dir, "side", "main");
}

static void test_zero_means_any_ref(void **s)
{
	struct fixture    *f = *s;
	struct err         e = { 0 };
	struct git_commit *c;
	char               id[GIT_ID_SIZE], q[512];
	size_t             n;
	bool               more;

	test_sh(f->dir, "git init -q -b main w; cd w; ci one; ci two; cd ..; git clone -q --bare w b.git; cd w; git branch known; ci three; ci four; ci five; "
	                "mkdir ../q; git rev-list --objects HEAD | cut -c-40 | git pack-objects -q ../q/p >/dev/null; mkdir ../q/pack; mv ../q/p-* ../q/pack/; cd ../q/pack; for x in p-*; do mv $x pack-${x#p-}; done");
	snprintf(q, sizeof q, "%s/w", f->dir);
	test_rev(q, "HEAD", id);
	snprintf(q, sizeof q, "%s/q", f->dir);
	open_repo(f, "b.git", q);
	assert_ok(git_log_range(f->repo, git_zero_id, id, 10, &f->arena, &c, &n, &more, &e), &e);
	assert_int_equal(n, 3);
	assert_false(more);
	assert_str(c[0].subject, "five");
	assert_str(c[2].subject, "three");
	assert_ok(git_log_range(f->repo, git_zero_id, id, 2, &f->arena, &c, &n, &more, &e), &e);
	assert_int_equal(n, 2);
	assert_true(more);
	/* a laptop's own branches are not "known", its remote's are */
	open_repo(f, "w", NULL);
	assert_ok(git_log_range(f->repo, git_zero_id, id, 10, &f->arena, &c, &n, &more, &e), &e);
	assert_int_equal(n, 0);
	assert_ok(git_repo_set_known_refs(f->repo, "refs/remotes/", &e), &e);
	assert_ok(git_log_range(f->repo, git_zero_id, id, 10, &f->arena, &c, &n, &more, &e), &e);
	assert_int_equal(n, 5);
	test_sh(f->dir, "cd w; git update-ref refs/remotes/origin/main known");
	assert_ok(git_log_range(f->repo, git_zero_id, id, 10, &f->arena, &c, &n, &more, &e), &e);
	assert_int_equal(n, 3);
}

static void test_clock_skew_looks_at_more_never_less(void **s)
{
	struct fixture    *f = *s;
	struct err         e = { 0 };
	struct git_commit *c;
	char               a[GIT_ID_SIZE], b[GIT_ID_SIZE];
	size_t             n;
	bool               more, yes;

	/* the new commits are dated long before the known ones */
	test_sh(f->dir, "git init -q -b main a; cd a; T=1800000000; for i in $(seq 40); do ci old$i; done; git tag old; T=1000000000; for i in $(seq 20); do ci new$i; done");
	open_repo(f, "a", NULL);
	assert_ok(git_resolve(f->repo, "old", a, &e), &e);
	assert_ok(git_resolve(f->repo, "main", b, &e), &e);
	assert_ok(git_log_range(f->repo, a, b, 100, &f->arena, &c, &n, &more, &e), &e);
	assert_true(n >= 20);
	assert_str(c[0].subject, "new20");
	assert_ok(git_is_ancestor(f->repo, a, b, &yes, &e), &e);
	assert_true(yes);
	assert_ok(git_is_ancestor(f->repo, b, a, &yes, &e), &e);
	assert_false(yes);
}

static void test_shallow(void **s)
{
	struct fixture    *f = *s;
	struct err         e = { 0 };
	struct git_commit *c;
	char               id[GIT_ID_SIZE];
	size_t             n;
	bool               more;

	test_sh(f->dir, "git init -q -b main a; cd a; for i in 1 2 3 4 5; do ci $i; done; cd ..; git clone -q --depth 2 \"file://$PWD/a\" s");
	open_repo(f, "s", NULL);
	assert_ok(git_resolve(f->repo, "HEAD", id, &e), &e);
	assert_ok(git_repo_set_known_refs(f->repo, NULL, &e), &e);
	assert_ok(git_log_range(f->repo, git_zero_id, id, 10, &f->arena, &c, &n, &more, &e), &e);
	assert_int_equal(n, 2);
	/* without git's note of the cut it is an incomplete repository, and said so */
	test_sh(f->dir, "rm s/.git/shallow");
	open_repo(f, "s", NULL);
	assert_ok(git_repo_set_known_refs(f->repo, NULL, &e), &e);
	assert_err(git_log_range(f->repo, git_zero_id, id, 10, &f->arena, &c, &n, &more, &e), WEIR_EIO);
	assert_true(str_has_prefix(str_z(e.msg), STR("incomplete: ")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_random_history, git_fixture_setup, git_fixture_teardown),
		cmocka_unit_test_setup_teardown(test_random_history_of_one_second, git_fixture_setup, git_fixture_teardown),
		cmocka_unit_test_setup_teardown(test_long_branch_of_one_second, git_fixture_setup, git_fixture_teardown),
		cmocka_unit_test_setup_teardown(test_zero_means_any_ref, git_fixture_setup, git_fixture_teardown),
		cmocka_unit_test_setup_teardown(test_clock_skew_looks_at_more_never_less, git_fixture_setup, git_fixture_teardown),
		cmocka_unit_test_setup_teardown(test_shallow, git_fixture_setup, git_fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
