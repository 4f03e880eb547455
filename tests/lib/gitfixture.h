/* gitfixture.h - a temporary folder around each test, and one opened repository in it. Use git_fixture_setup and _teardown with cmocka. */
#ifndef WEIR_TESTS_GITFIXTURE_H
#define WEIR_TESTS_GITFIXTURE_H

#include "lib/gitrepo.h"

#include "git/git.h"

struct fixture {
	char             dir[256];
	struct arena     arena;
	struct git_repo *repo;
};

static inline int git_fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	struct err      e;

	if (!f || fs_temp_dir("weir-test-git-", f->dir, sizeof f->dir, &e))
		return -1;
	arena_init(&f->arena, 256 << 20);
	*state = f;
	return 0;
}

static inline int git_fixture_teardown(void **state)
{
	struct fixture *f = *state;
	struct err      e;
	int             rc;

	git_repo_close(f->repo);
	arena_fini(&f->arena);
	rc = fs_remove_tree(f->dir, &e);
	free(f);
	return rc;
}

static inline struct git_repo *open_repo(struct fixture *f, const char *name, const char *quarantine)
{
	char       path[512];
	struct err e = { 0 };

	f->repo = git_repo_close(f->repo);
	assert_ok(fs_join(path, sizeof path, &e, f->dir, name), &e);
	assert_ok(git_repo_open(path, quarantine, &f->repo, &e), &e);
	return f->repo;
}

#endif
