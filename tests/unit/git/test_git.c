/* Opening, resolving, single commits and blobs: against repositories made by git. */
#include "lib/gitfixture.h"

static void test_open_and_resolve(void **s)
{
	struct fixture  *f = *s;
	struct err       e = { 0 };
	struct git_repo *r;
	char             id[GIT_ID_SIZE], want[GIT_ID_SIZE], path[512];

	test_sh(f->dir, "git init -q -b main a; cd a; echo 1 >f; git add f; ci one; ci two; git tag -a -m t v1; git checkout -q --detach HEAD~1; cd ..; git clone -q --bare a b.git");
	snprintf(path, sizeof path, "%s/a", f->dir);
	for (int bare = 0; bare < 2; bare++) {
		r = open_repo(f, bare ? "b.git" : "a", NULL);
		for (const char *const *rev = (const char *const[]){ "main", "refs/heads/main", "v1", "main~1", NULL }; *rev; rev++) {
			assert_ok(git_resolve(r, *rev, id, &e), &e);
			if (!strcmp(*rev, "v1"))
				test_rev(path, "v1^{commit}", want);
			else
				test_rev(path, *rev, want);
			assert_string_equal(id, want);
		}
		assert_err(git_resolve(r, "nothing", id, &e), WEIR_ENOENT);
		assert_err(git_resolve(r, "main:f", id, &e), WEIR_ENOENT);
		assert_err(git_resolve(r, "a..b c", id, &e), WEIR_ENOENT);
		assert_err(git_resolve(r, git_zero_id, id, &e), WEIR_ENOENT);
	}
	assert_err(git_repo_open(f->dir, NULL, &r, &e), WEIR_ENOENT);
	assert_err(git_repo_open(path, "/nonexistent/objects", &r, &e), WEIR_ENOENT);
}

static void test_find(void **s)
{
	struct fixture *f = *s;
	struct err      e = { 0 };
	char            start[512], found[512], want[5000], real[4096];

	test_sh(f->dir, "git init -q -b main a; mkdir -p a/x/y outside; cd a; ci one; git worktree add -q ../wt; mkdir ../wt/z");
	assert_non_null(realpath(f->dir, real));
	snprintf(start, sizeof start, "%s/a/x/y", f->dir);
	assert_ok(git_find(start, found, sizeof found, &e), &e);
	snprintf(want, sizeof want, "%s/a/", real);
	assert_string_equal(found, want);
	snprintf(start, sizeof start, "%s/wt/z", f->dir);
	assert_ok(git_find(start, found, sizeof found, &e), &e);
	snprintf(want, sizeof want, "%s/wt/", real);
	assert_string_equal(found, want);
	assert_err(git_find(start, found, 8, &e), WEIR_ELIMIT);
	snprintf(start, sizeof start, "%s/outside", f->dir);
	assert_err(git_find(start, found, sizeof found, &e), WEIR_ENOENT);
	/* the work tree opens, and sees the branches of the repository it belongs to */
	open_repo(f, "wt", NULL);
	assert_ok(git_resolve(f->repo, "main", found, &e), &e);
}

static void test_commit_read(void **s)
{
	struct fixture   *f = *s;
	struct err        e = { 0 };
	struct git_commit c;
	char              id[GIT_ID_SIZE], parent[GIT_ID_SIZE];
	struct git_repo  *r;

	test_sh(f->dir, "git init -q -b main a; cd a; ci one; git checkout -q -b side; ci s; git checkout -q main; ci m; T=1700000500; "
	                "GIT_AUTHOR_DATE='1700000000 -0330' GIT_COMMITTER_DATE='1700000001 +0000' git merge -q --no-ff -m 'subject line\n\nbody' -m 'more' side");
	r = open_repo(f, "a", NULL);
	assert_ok(git_resolve(r, "main", id, &e), &e);
	assert_ok(git_commit_read(r, id, &f->arena, &c, &e), &e);
	assert_string_equal(c.id, id);
	assert_true(str_has_prefix(c.subject, STR("subject line")));
	assert_true(str_contains(c.message, STR("more")));
	assert_str(c.author_name, "Dev");
	assert_str(c.author_email, "dev@example.org");
	assert_str(c.committer_email, "committer@example.org");
	assert_int_equal(c.authored, 1700000000 * USEC_PER_SEC);
	assert_int_equal(c.committed, 1700000001 * USEC_PER_SEC);
	assert_int_equal(c.authored_offset_min, -210);
	assert_int_equal(c.n_parents, 2);
	assert_ok(git_resolve(r, "side", parent, &e), &e);
	assert_string_equal(c.parents[1], parent);
	assert_err(git_commit_read(r, "1234567890123456789012345678901234567890", &f->arena, &c, &e), WEIR_EIO);
	assert_true(str_has_prefix(str_z(e.msg), STR("incomplete: ")));
	assert_err(git_commit_read(r, "main", &f->arena, &c, &e), WEIR_EINVAL);
	assert_err(git_commit_read(r, c.tree, &f->arena, &c, &e), WEIR_EIO);
}

static void test_read_path(void **s)
{
	struct fixture        *f = *s;
	struct err             e = { 0 };
	CLEANUP_BUF struct buf out = BUF_INIT(1 << 20), small = BUF_INIT(3);
	char                   id[GIT_ID_SIZE];
	struct git_repo       *r;

	test_sh(f->dir, "git init -q -b main a; cd a; mkdir -p x/y; printf 'a\\0b\\377' >x/y/bin; : >empty; ln -s empty link; git add .; ci one; git gc -q");
	r = open_repo(f, "a", NULL);
	assert_ok(git_resolve(r, "main", id, &e), &e);
	assert_ok(git_read_path(r, id, "x/y/bin", &out, &e), &e);
	assert_int_equal(out.len, 4);
	assert_memory_equal(out.ptr, "a\0b\377", 4);
	buf_clear(&out);
	assert_ok(git_read_path(r, id, "empty", &out, &e), &e);
	assert_int_equal(out.len, 0);
	assert_ok(git_read_path(r, id, "link", &out, &e), &e);
	assert_str(buf_str(&out), "empty");
	assert_err(git_read_path(r, id, "x/y/bin", &small, &e), WEIR_ELIMIT);
	for (const char *const *p = (const char *const[]){ "no", "x", "x/no", "empty/x", "x//y/bin", "x/y/bin/", NULL }; *p; p++)
		assert_err(git_read_path(r, id, *p, &out, &e), WEIR_ENOENT);
	assert_err(git_read_blob(r, id, &out, &e), WEIR_EINVAL); /* a commit is no blob */
}

static void test_dup_sees_the_quarantine(void **s)
{
	struct fixture        *f = *s;
	struct err             e = { 0 };
	CLEANUP_BUF struct buf text = BUF_INIT(100), blob = BUF_INIT(100);
	struct git_repo       *r, *copy;
	char                   q[512];

	test_sh(f->dir, "git init -q --bare b.git; mkdir q");
	test_sh_out(f->dir, "cd b.git; echo offered | GIT_OBJECT_DIRECTORY=$PWD/../q GIT_ALTERNATE_OBJECT_DIRECTORIES=$PWD/objects git hash-object -w --stdin", &blob);
	snprintf(q, sizeof q, "%s/q", f->dir);
	r = open_repo(f, "b.git", NULL);
	assert_err(git_read_blob(r, buf_z(&blob), &text, &e), WEIR_EIO); /* seen through the quarantine only */
	r = open_repo(f, "b.git", q);
	assert_ok(git_read_blob(r, buf_z(&blob), &text, &e), &e);
	assert_str(buf_str(&text), "offered\n");
	buf_clear(&text);
	assert_ok(git_repo_dup(r, &copy, &e), &e);
	assert_ok(git_read_blob(copy, buf_z(&blob), &text, &e), &e);
	assert_str(buf_str(&text), "offered\n");
	git_repo_close(copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_open_and_resolve, git_fixture_setup, git_fixture_teardown),
		cmocka_unit_test_setup_teardown(test_find, git_fixture_setup, git_fixture_teardown),
		cmocka_unit_test_setup_teardown(test_commit_read, git_fixture_setup, git_fixture_teardown),
		cmocka_unit_test_setup_teardown(test_read_path, git_fixture_setup, git_fixture_teardown),
		cmocka_unit_test_setup_teardown(test_dup_sees_the_quarantine, git_fixture_setup, git_fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
