/* Files under a folder and differences, against `git ls-tree` and `git diff --name-status`. */
#include "lib/gitfixture.h"

static int list(void *ctx, str path, unsigned mode, const char *id, struct err *reterr UNUSED)
{
	buf_addf(ctx, "%06o %s %.*s\n", mode, id, STR_ARG(path));
	return 0;
}

static int stop_at_second(void *ctx, str path UNUSED, unsigned mode UNUSED, const char *id UNUSED, struct err *reterr)
{
	return ++*(int *)ctx == 2 ? err_set(reterr, WEIR_ECANCELED, "enough") : 0;
}

static void test_tree_each(void **s)
{
	struct fixture        *f = *s;
	struct err             e = { 0 };
	CLEANUP_BUF struct buf want = BUF_INIT(1 << 20), seen = BUF_INIT(1 << 20);
	char                   id[GIT_ID_SIZE];
	int                    count = 0;

	test_sh(f->dir, "git init -q -b main a; cd a; mkdir -p x/y z.d z; for p in a x/b x/y/c x/y/d z.d/e z/f 'with space' run; do echo $p >\"$p\"; done; chmod +x run; ln -s a l; "
	                "git init -q sub; (cd sub; ci s); git add . 2>/dev/null; ci one");
	test_sh_out(f->dir, "cd a; git ls-tree -r HEAD | sed 's/^\\(......\\) [a-z]* \\(.*\\)\\t/\\1 \\2 /'", &want);
	open_repo(f, "a", NULL);
	assert_ok(git_resolve(f->repo, "HEAD", id, &e), &e);
	assert_ok(git_tree_each(f->repo, id, "", list, &seen, &e), &e);
	buf_addc(&want, '\n');
	assert_string_equal(buf_z(&seen), buf_z(&want));
	assert_non_null(strstr(buf_z(&seen), "160000 "));
	buf_clear(&seen);
	assert_ok(git_tree_each(f->repo, id, "x/y", list, &seen, &e), &e);
	assert_non_null(strstr(buf_z(&seen), " x/y/c\n"));
	assert_null(strstr(buf_z(&seen), " x/b\n"));
	assert_err(git_tree_each(f->repo, id, "nowhere", list, &seen, &e), WEIR_ENOENT);
	assert_err(git_tree_each(f->repo, id, "a", list, &seen, &e), WEIR_ENOENT);
	assert_err(git_tree_each(f->repo, id, "", stop_at_second, &count, &e), WEIR_ECANCELED);
	assert_int_equal(count, 2);
}

static int name_status(void *ctx, const struct git_delta *d, struct err *reterr UNUSED)
{
	if (d->status == 'R')
		buf_addf(ctx, "R %.*s %.*s\n", STR_ARG(d->old_path), STR_ARG(d->path));
	else
		buf_addf(ctx, "%c %.*s\n", d->status, STR_ARG(d->path));
	assert_int_equal(!strcmp(d->blob, git_zero_id), d->status == 'D');
	assert_int_equal(!strcmp(d->old_blob, git_zero_id), d->status == 'A');
	return 0;
}

static void test_diff(void **s)
{
	struct fixture        *f = *s;
	struct err             e = { 0 };
	CLEANUP_BUF struct buf want = BUF_INIT(1 << 20), seen = BUF_INIT(1 << 20), all = BUF_INIT(1 << 20);
	char                   a[GIT_ID_SIZE], b[GIT_ID_SIZE];

	test_sh(f->dir, "git init -q -b main a; cd a; mkdir d; seq 100 >d/moved; echo m >mod; echo g >gone; echo t >type; head -c 3000 /dev/urandom >bin; git add .; ci one; "
	                "git mv d/moved elsewhere; echo 101 >>elsewhere; echo n >>mod; git rm -q gone; ln -sf mod type; echo new >new; printf '\\0x' >>bin; git add .; ci two");
	test_sh_out(f->dir, "cd a; git diff -M --name-status HEAD~1 HEAD | sed 's/^R[0-9]*/R/; s/\\t/ /g'", &want);
	buf_addc(&want, '\n');
	open_repo(f, "a", NULL);
	assert_ok(git_resolve(f->repo, "HEAD~1", a, &e), &e);
	assert_ok(git_resolve(f->repo, "HEAD", b, &e), &e);
	assert_ok(git_diff_each(f->repo, a, b, name_status, &seen, &e), &e);
	assert_string_equal(buf_z(&seen), buf_z(&want));
	assert_ok(git_diff_each(f->repo, git_zero_id, a, name_status, &all, &e), &e);
	assert_string_equal(buf_z(&all), "A bin\nA d/moved\nA gone\nA mod\nA type\n");
}

static void test_empty_tree_and_missing_objects(void **s)
{
	struct fixture        *f = *s;
	struct err             e = { 0 };
	CLEANUP_BUF struct buf seen = BUF_INIT(1 << 20);
	char                   id[GIT_ID_SIZE];

	test_sh(f->dir, "git init -q -b main a; cd a; ci empty; git tag empty; mkdir x; echo b >x/b; git add .; ci one; "
	                "o=$(git rev-parse HEAD:x); rm -f .git/objects/$(echo $o | cut -c1-2)/$(echo $o | cut -c3-)");
	open_repo(f, "a", NULL);
	assert_ok(git_resolve(f->repo, "empty", id, &e), &e);
	assert_ok(git_tree_each(f->repo, id, "", list, &seen, &e), &e);
	assert_int_equal(seen.len, 0);
	assert_ok(git_diff_each(f->repo, git_zero_id, id, name_status, &seen, &e), &e);
	assert_int_equal(seen.len, 0);
	assert_ok(git_resolve(f->repo, "main", id, &e), &e);
	assert_err(git_tree_each(f->repo, id, "", list, &seen, &e), WEIR_EIO);
	assert_true(str_has_prefix(str_z(e.msg), STR("incomplete: ")));
	assert_err(git_read_path(f->repo, id, "x/b", &seen, &e), WEIR_EIO);
	assert_err(git_diff_each(f->repo, git_zero_id, id, name_status, &seen, &e), WEIR_EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_tree_each, git_fixture_setup, git_fixture_teardown),
		cmocka_unit_test_setup_teardown(test_diff, git_fixture_setup, git_fixture_teardown),
		cmocka_unit_test_setup_teardown(test_empty_tree_and_missing_objects, git_fixture_setup, git_fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
