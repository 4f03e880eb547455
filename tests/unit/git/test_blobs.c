/* Blobs that new commits bring: each once, with path and commit; merges; quarantine; missing objects. */
#include "lib/gitfixture.h"

static int list(void *ctx, const struct git_new_blob *b, struct err *reterr UNUSED)
{
	buf_addf(ctx, "%.*s %zu\n", STR_ARG(b->path), b->size);
	return 0;
}

static int list_with_commit(void *ctx, const struct git_new_blob *b, struct err *reterr UNUSED)
{
	buf_addf(ctx, "%s %s %.*s\n", b->id, b->commit, STR_ARG(b->path));
	return 0;
}

static int ids(void *ctx, const struct git_new_blob *b, struct err *reterr UNUSED)
{
	buf_addf(ctx, "%s\n", b->id);
	return 0;
}

/* The repository of a push: b.git has main at `base`, the folder q holds what w's HEAD has more. */
static const char push_script[] =
	"git clone -q --bare w b.git; cd b.git; git update-ref refs/heads/main base; git for-each-ref --format='%(refname)' | grep -v '^refs/heads/main$' | xargs -n1 git update-ref -d; "
	"git repack -adq; git prune; mkdir -p ../q/pack; cd ../w; git rev-list --objects HEAD ^base | cut -c-40 | git pack-objects -q ../q/pack/pack >/dev/null";

static void open_push(struct fixture *f, char head[GIT_ID_SIZE], char base[GIT_ID_SIZE])
{
	char path[512];

	test_sh(f->dir, push_script);
	snprintf(path, sizeof path, "%s/w", f->dir);
	test_rev(path, "HEAD", head);
	test_rev(path, "base", base);
	snprintf(path, sizeof path, "%s/q", f->dir);
	open_repo(f, "b.git", path);
}

static void test_a_push(void **s)
{
	struct fixture        *f = *s;
	struct err             e = { 0 };
	CLEANUP_BUF struct buf seen = BUF_INIT(1 << 20);
	char                   head[GIT_ID_SIZE], base[GIT_ID_SIZE];

	test_sh(f->dir, "git init -q -b main w; cd w; mkdir d; echo old >old; echo same >d/same; mkdir -p moved/dir; echo q >moved/dir/q; git add .; ci base; git tag base; "
	                "echo secret >tmp; git add .; ci adds; git rm -q tmp; git mv old renamed; git mv moved/dir dir2; echo new >d/new; cp d/new copy; printf 'a\\0' >bin; git add .; ci removes");
	open_push(f, head, base);
	assert_ok(git_new_blobs(f->repo, base, head, list, &seen, &e), &e);
	/* what came and went inside the push is there; a rename brings nothing; the copy is the same blob */
	assert_string_equal(buf_z(&seen), "tmp 7\nbin 2\ncopy 4\n");
	buf_clear(&seen);
	assert_ok(git_new_blobs(f->repo, git_zero_id, head, list, &seen, &e), &e);
	assert_string_equal(buf_z(&seen), "tmp 7\nbin 2\ncopy 4\n");
	buf_clear(&seen);
	assert_ok(git_new_blobs(f->repo, base, base, list, &seen, &e), &e);
	assert_int_equal(seen.len, 0);
}

/* Dates are what the pusher writes: a child that claims to be older than its parent must not hide what the parent brings. */
static void test_dates_hide_nothing(void **s)
{
	struct fixture        *f = *s;
	struct err             e = { 0 };
	CLEANUP_BUF struct buf seen = BUF_INIT(1 << 20);
	char                   head[GIT_ID_SIZE], base[GIT_ID_SIZE];

	test_sh(f->dir, "git init -q -b main w; cd w; echo a >a; git add .; ci base; git tag base; mkdir d; echo leak >leak; echo two >d/two; git add .; ci parent; "
	                "git checkout -q -b side; git rm -qr leak d; echo s >s; git add .; T=1600000000; ci 'older than its parent'; T=1700001000; "
	                "git checkout -q main; git rm -qr leak d; echo m >m; git add .; ci main; "
	                "GIT_AUTHOR_DATE='1700002000 +0000' GIT_COMMITTER_DATE='1700002000 +0000' git merge -q -m both side");
	open_push(f, head, base);
	assert_ok(git_new_blobs(f->repo, base, head, list, &seen, &e), &e);
	assert_true(str_contains(buf_str(&seen), STR("leak 5\n")));
	assert_true(str_contains(buf_str(&seen), STR("d/two 4\n")));
	assert_true(str_contains(buf_str(&seen), STR("s 2\n")) && str_contains(buf_str(&seen), STR("m 2\n")));
	assert_false(str_contains(buf_str(&seen), STR("a 2\n")));
}

static void test_merges_bring_only_their_own(void **s)
{
	struct fixture        *f = *s;
	struct err             e = { 0 };
	CLEANUP_BUF struct buf seen = BUF_INIT(1 << 20);
	char                   head[GIT_ID_SIZE], base[GIT_ID_SIZE];

	test_sh(f->dir, "git init -q -b main w; cd w; seq 30 >f; git add .; ci start; git checkout -q -b side; echo s >s; sed -i 's/^1$/one/' f; git add .; ci side; "
	                "git checkout -q main; echo m >m; sed -i 's/^30$/thirty/' f; git add .; ci main; git tag base; T=1700001000; "
	                "git merge -q --no-commit --no-ff side; echo evil >evil; git add .; ci merge");
	open_push(f, head, base);
	assert_ok(git_new_blobs(f->repo, base, head, list, &seen, &e), &e);
	assert_non_null(strstr(buf_z(&seen), "s 2\n"));
	assert_non_null(strstr(buf_z(&seen), "evil 5\n"));
	assert_null(strstr(buf_z(&seen), "m 2\n"));
	assert_non_null(strstr(buf_z(&seen), "f ")); /* merged by git from both sides: a blob of its own */
}

static void test_all_history_is_what_git_lists(void **s)
{
	struct fixture        *f = *s;
	struct err             e = { 0 };
	CLEANUP_BUF struct buf seen = BUF_INIT(1 << 20), want = BUF_INIT(1 << 20), sorted = BUF_INIT(1 << 20);
	CLEANUP_FREE char     *script = NULL;

	test_sh(f->dir, "git init -q -b main a; cd a; RANDOM=3; for i in $(seq 40); do mkdir -p d$((RANDOM % 4))/e$((RANDOM % 3)); "
	                "for k in 1 2 3; do echo $((RANDOM % 50)) >d$((RANDOM % 4))/f$((RANDOM % 5)) 2>/dev/null || :; done; "
	                "[ $((i % 10)) = 0 ] && git checkout -q -b b$i; git add -A; ci $i; done; git merge -q -s ours --no-ff -m m b10 || :");
	for (int packed = 0; packed < 2; packed++) {
		struct buf file = BUF_INIT(1 << 20);
		char       path[512];

		buf_clear(&seen);
		buf_clear(&want);
		buf_clear(&sorted);
		if (packed)
			test_sh(f->dir, "cd a; git gc -q --prune=now; git pack-refs --all");
		open_repo(f, "a", NULL);
		assert_ok(git_all_blobs(f->repo, ids, &seen, &e), &e);
		test_sh_out(f->dir, "cd a; git rev-list --objects --all | cut -d' ' -f1 | git cat-file --batch-check | grep ' blob ' | cut -c-40 | sort", &want);
		snprintf(path, sizeof path, "%s/list", f->dir);
		assert_ok(fs_write_quick(path, buf_str(&seen), 0600, &e), &e);
		test_sh_out(f->dir, "sort list", &sorted); /* a duplicate would stay and differ */
		assert_string_equal(buf_z(&sorted), buf_z(&want));
		buf_fini(&file);
	}
}

static void test_commit_and_path_are_the_first(void **s)
{
	struct fixture        *f = *s;
	struct err             e = { 0 };
	CLEANUP_BUF struct buf seen = BUF_INIT(1 << 20), want = BUF_INIT(1 << 20);

	test_sh(f->dir, "git init -q -b main a; cd a; ci zero; echo x >first; git add .; ci one; git mv first second; ci two; echo y >y; git add .; ci three");
	test_sh_out(f->dir, "cd a; echo $(git rev-parse main~2:first) $(git rev-parse main~2) first; echo $(git rev-parse main:y) $(git rev-parse main) y", &want);
	open_repo(f, "a", NULL);
	assert_ok(git_all_blobs(f->repo, list_with_commit, &seen, &e), &e);
	buf_addc(&want, '\n');
	assert_string_equal(buf_z(&seen), buf_z(&want));
}

static void test_missing_objects_are_said(void **s)
{
	struct fixture        *f = *s;
	CLEANUP_BUF struct buf seen = BUF_INIT(1 << 20);
	char                   head[GIT_ID_SIZE];
	const char *const      what[] = { "HEAD:d/f", "HEAD:d", "HEAD", "HEAD~1", NULL };

	for (const char *const *w = what; *w; w++) {
		struct err e = { 0 };
		char       script[512], path[512];

		snprintf(script, sizeof script,
		         "rm -rf a; git init -q -b main a; cd a; ci zero; mkdir d; echo x >d/f; git add .; ci one; git rev-parse HEAD >../head; o=$(git rev-parse '%s'); "
		         "rm -f .git/objects/$(echo $o | cut -c1-2)/$(echo $o | cut -c3-)", *w);
		test_sh(f->dir, script);
		snprintf(path, sizeof path, "%s/head", f->dir);
		buf_clear(&seen);
		assert_ok(fs_read(path, &seen, &e), &e);
		snprintf(head, sizeof head, "%s", buf_z(&seen));
		open_repo(f, "a", NULL);
		assert_ok(git_repo_set_known_refs(f->repo, NULL, &e), &e);
		assert_err(git_new_blobs(f->repo, git_zero_id, head, list, &seen, &e), WEIR_EIO);
		if (!str_has_prefix(str_z(e.msg), STR("incomplete: ")))
			fail_msg("%s: %s", *w, e.msg);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_push, git_fixture_setup, git_fixture_teardown),
		cmocka_unit_test_setup_teardown(test_dates_hide_nothing, git_fixture_setup, git_fixture_teardown),
		cmocka_unit_test_setup_teardown(test_merges_bring_only_their_own, git_fixture_setup, git_fixture_teardown),
		cmocka_unit_test_setup_teardown(test_all_history_is_what_git_lists, git_fixture_setup, git_fixture_teardown),
		cmocka_unit_test_setup_teardown(test_commit_and_path_are_the_first, git_fixture_setup, git_fixture_teardown),
		cmocka_unit_test_setup_teardown(test_missing_objects_are_said, git_fixture_setup, git_fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
