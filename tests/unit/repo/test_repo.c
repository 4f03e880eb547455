/* test_repo.c - the room with the real git client, over real HTTP: push, fetch, clone, refusals, rights, mending. */
#include "room.h"

#include "lib/pg.h"

static void test_push_fetch_clone(void **s UNUSED)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(8 << 20);
	struct event              *ev;

	assert_sh(begin);
	assert_sh("set -e; cd w; for i in 1 2 3; do echo $i >>f; git commit -qam change$i; done; git push -q origin main; git tag -a v1 -m v1; git push -q origin v1");
	assert_sh("set -e; git clone -q $URL/git/shop.git c; cmp w/f c/f; git clone -q --depth 1 $URL/git/shop.git d; [ $(git -C d rev-list --count HEAD) = 1 ]");
	assert_sh("set -e; cd d; git fetch -q --unshallow; [ $(git rev-list --count HEAD) = 4 ]");
	assert_int_equal(events("shop", EVENT_CHANGE_ACCEPTED, &a, &ev), 3);
	assert_non_null(strstr(ev[0].data.ptr, "\"old\":\"0000000000000000000000000000000000000000\""));
	assert_non_null(strstr(ev[1].data.ptr, "\"commits\":3"));
	assert_non_null(strstr(ev[1].data.ptr, "\"subject\":\"change3\""));
	assert_non_null(strstr(ev[1].data.ptr, "\"pusher\":\"token:tester\""));
	assert_non_null(strstr(ev[2].data.ptr, "refs/tags/v1"));
}

static void test_refused_push_leaves_nothing(void **s UNUSED)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(8 << 20);
	CLEANUP_BUF struct buf     out = BUF_INIT(1 << 20);
	struct event              *ev;
	char                       script[600];

	assert_sh(begin);
	refuse_text = "test-rule  f:1\n  what\n  do: this\n";
	assert_int_not_equal(sh(&out, "cd w; echo bad >bad; git add bad; git commit -qm bad; git push origin main"), 0);
	assert_non_null(strstr(buf_z(&out), "remote: test-rule  f:1"));
	assert_non_null(strstr(buf_z(&out), "Nothing was changed."));
	snprintf(script, sizeof(script), "cd w; ! git -C %s/repos/shop.git cat-file -e $(git rev-parse HEAD:bad) && ! git -C %s/repos/shop.git cat-file -e HEAD~0^{commit} || "
	         "[ $(git -C %s/repos/shop.git rev-parse main) = $(git rev-parse HEAD~1) ]", data, data, data);
	assert_sh(script);
	assert_int_equal(events("shop", EVENT_CHANGE_ACCEPTED, &a, &ev), 1);
	assert_int_equal(events("shop", EVENT_CHANGE_REFUSED, &a, &ev), 1);
	assert_non_null(strstr(ev[0].data.ptr, "test-rule"));
	refuse_text = NULL;
	cannot_look = true;
	assert_int_not_equal(sh(&out, "cd w; git push origin main"), 0);
	assert_non_null(strstr(buf_z(&out), "weir could not look at this push: the scanner lost its rules"));
	assert_int_equal(events("shop", EVENT_CHANGE_REFUSED, &a, &ev), 2);
	assert_non_null(strstr(ev[1].data.ptr, "weir could not look"));
}

static void test_rights(void **s UNUSED)
{
	CLEANUP_BUF struct buf out = BUF_INIT(1 << 20);

	assert_sh(begin);
	scope = SCOPE_READ;
	assert_int_not_equal(sh(&out, "cd w; echo 2 >f; git commit -qam second; git push origin main"), 0);
	assert_sh("git clone -q $URL/git/shop.git r");
	scope = SCOPE_DEVELOP;
	assert_sh("cd w; git push -q origin main");
	assert_int_not_equal(sh(&out, "cd w; git commit -q --amend -m other; git push -f origin main"), 0);
	assert_non_null(strstr(buf_z(&out), "is protected: this push would take commits away"));
	assert_int_not_equal(sh(&out, "cd w; git push origin :main"), 0);
	assert_non_null(strstr(buf_z(&out), "cannot be deleted"));
	assert_sh("set -e; cd w; git push -q origin HEAD:topic; git commit -q --amend -m third; git push -q -f origin HEAD:topic; git push -q origin :topic");
	scope = SCOPE_ADMIN;
	assert_sh("cd w; git push -q -f origin main");
	assert_int_not_equal(sh(&out, "git clone -q ${URL/good/bad}/git/shop.git x"), 0);
	assert_non_null(strstr(buf_z(&out), "Authentication failed"));
	assert_int_not_equal(sh(&out, "git clone -q $URL/git/none.git x"), 0);
	assert_non_null(strstr(buf_z(&out), "not found"));
}

static void test_archived_is_read_only(void **s UNUSED)
{
	CLEANUP_BUF struct buf out = BUF_INIT(1 << 20);
	struct err             e = { 0 };

	assert_sh(begin);
	assert_ok(repo_archive(repo, STR("shop"), STR("token:tester"), &e), &e);
	assert_err(repo_archive(repo, STR("shop"), STR("token:tester"), &e), WEIR_ENOENT);
	assert_int_not_equal(sh(&out, "cd w; echo 2 >f; git commit -qam second; git push origin main"), 0);
	assert_sh("git clone -q $URL/git/shop.git x");
}

static void test_hostile_trees(void **s UNUSED)
{
	static const struct {
		const char *script, *want;
	} rows[] = {
		{ "ln -s ../../etc/passwd link; git add link", "leads out of the repository" },
		{ "ln -s /etc/passwd link; git add link", "leads out of the repository" },
		{ "git update-index --add --cacheinfo 160000,$(git rev-parse HEAD),sub; printf '[submodule \"sub\"]\\n\\tpath = sub\\n\\turl = ext::sh -c true\\n' >.gitmodules; git add .gitmodules",
		  "no https, http, ssh or git address" },
		{ "git update-index --add --cacheinfo 160000,$(git rev-parse HEAD),sub; printf '[submodule \"sub\"]\\n\\tpath = sub\\n\\turl = /etc\\n' >.gitmodules; git add .gitmodules",
		  "no https, http, ssh or git address" },
	};
	CLEANUP_BUF struct buf out = BUF_INIT(1 << 20);
	char                   script[1000];

	assert_sh(begin);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		snprintf(script, sizeof(script), "set -e; rm -rf x; git clone -q $URL/git/shop.git x; cd x; %s; git commit -qm hostile; git push origin main",
		         rows[i].script);
		assert_int_not_equal(sh(&out, script), 0);
		if (!strstr(buf_z(&out), rows[i].want))
			fail_msg("row %zu: %s", i, buf_z(&out));
	}
	/* a tree with the name .git, which no porcelain makes */
	assert_int_not_equal(sh(&out, "cd w; t=$(printf '100644 blob %s\\t.git\\n' $(git hash-object -w f) | git mktree --missing 2>/dev/null || "
	                             "python3 -c \"import sys,subprocess as s;b=bytes.fromhex(s.check_output(['git','rev-parse','HEAD:f'],text=True).strip());"
	                             "print(s.run(['git','hash-object','-t','tree','-w','--stdin','--literally'],input=b'100644 .git\\0'+b,capture_output=True).stdout.decode())\"); "
	                             "c=$(git commit-tree -p HEAD -m x $t); git push origin $c:refs/heads/main"), 0);
	assert_sh("set -e; rm -rf x; git clone -q $URL/git/shop.git x; cd x; mkdir d; ln -s ../f d/link; git add d; git commit -qm fine; git push -q origin main");
}

static void test_reconcile_mends_a_missing_event(void **s UNUSED)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(8 << 20);
	char                       script[600];
	struct event              *ev;

	assert_sh(begin);
	/* what a crash between the move of the ref and its event leaves */
	snprintf(script, sizeof(script), "set -e; cd w; echo 2 >f; git commit -qam second; git -C %s/repos/shop.git fetch -q $PWD main; "
	         "git -C %s/repos/shop.git update-ref refs/heads/main FETCH_HEAD", data, data);
	assert_sh(script);
	assert_int_equal(events("shop", EVENT_CHANGE_ACCEPTED, &a, &ev), 1);
	close_all();
	open_all();
	assert_int_equal(events("shop", EVENT_CHANGE_ACCEPTED, &a, &ev), 2);
	assert_non_null(strstr(ev[1].data.ptr, "\"subject\":\"second\""));
	close_all();
	open_all();
	assert_int_equal(events("shop", EVENT_CHANGE_ACCEPTED, &a, &ev), 2);
}

/* A hook that comes twice, or after the mending: nothing is recorded twice. */
static void test_a_move_is_recorded_once(void **s UNUSED)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(8 << 20);
	struct ref_update          u = { .ref = STR("refs/heads/main") };
	CLEANUP_BUF struct buf     out = BUF_INIT(1024);
	struct err                 e = { 0 };
	struct event              *ev;

	assert_sh(begin);
	assert_int_equal(sh(&out, "git -C w rev-parse HEAD"), 0);
	snprintf(u.old_id, sizeof(u.old_id), "%s", git_zero_id);
	snprintf(u.new_id, sizeof(u.new_id), "%.40s", buf_z(&out));
	assert_ok(repo_moves_record(repo, STR("shop"), &u, 1, &e), &e);
	assert_ok(repo_reconcile(repo, STR("shop"), &e), &e);
	assert_int_equal(events("shop", EVENT_CHANGE_ACCEPTED, &a, &ev), 1);
}

static void test_concurrent_pushes(void **s UNUSED)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(8 << 20);
	struct event              *ev;

	assert_sh(begin);
	assert_sh("for i in 1 2 3 4 5 6; do (set -e; git clone -q $URL/git/shop.git p$i; cd p$i; echo $i >g$i; git add .; git commit -qm p$i; "
	          "git push -q origin HEAD:refs/heads/b$i) & done; wait; [ $(git ls-remote $URL/git/shop.git 'refs/heads/b*' | wc -l) = 6 ]");
	assert_int_equal(events("shop", EVENT_CHANGE_ACCEPTED, &a, &ev), 7);
	/* two that want the same ref: one wins, the other is told to fetch; nothing is lost */
	assert_sh("cd p1; git checkout -q -b m origin/main; echo a >a; git add a; git commit -qm a; cd ../p2; git checkout -q -b m origin/main; echo b >b; git add b; git commit -qm b; cd ..; "
	          "(cd p1; git push -q origin m:main) & one=$!; (cd p2; git push -q origin m:main) & two=$!; wait $one; r1=$?; wait $two; r2=$?; [ $((r1 == 0)) != $((r2 == 0)) ] || [ $r1 != $r2 ]");
}

static void test_large_push_and_gzipped_fetch(void **s UNUSED)
{
	assert_sh(begin);
	assert_sh("set -e; cd w; head -c 30000000 /dev/urandom >big; git add big; git commit -qm big; git push -q origin main; cd ..; git clone -q $URL/git/shop.git big; cmp w/big big/big");
	/* many refs make the fetch request large enough that git gzips it */
	assert_sh("set -e; cd w; for i in $(seq 1 200); do git commit -q --allow-empty -m $i; git tag t$i; done; git push -q origin main --tags; cd ../big; git fetch -q --tags; [ $(git tag | wc -l) = 200 ]");
}

static void test_names(void **s UNUSED)
{
	static const char *const bad[] = { "", "A", ".x", "-x", "a/b", "a..b", "x.git", "x.lock", "a b", "..",
		                               "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };
	struct err               e = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_err(repo_create(repo, str_z(bad[i]), STR_NULL, 0, STR("x"), &e), WEIR_EINVAL);
	assert_err(repo_create(repo, STR("shop"), STR_NULL, 0, STR("x"), &e), WEIR_EEXIST);
	assert_ok(repo_create(repo, STR("a.b-c_1"), STR("http-c"), 5, STR("x"), &e), &e);
}

static void test_hooks_answer_only_their_push(void **s UNUSED)
{
	CLEANUP_BUF struct buf out = BUF_INIT(1 << 20);
	char                   script[800];

	assert_sh(begin);
	/* somebody with a shell on the machine starts the hook by hand */
	snprintf(script, sizeof(script), "cd w; echo 0000000000000000000000000000000000000000 $(git rev-parse HEAD) refs/heads/x | WEIR_HOOK_SOCKET=%s/run/hook.sock WEIR_PUSH=guess %s/hooks/pre-receive", data, data);
	assert_int_not_equal(sh(&out, script), 0);
	assert_non_null(strstr(buf_z(&out), "belongs to no push"));
	snprintf(script, sizeof(script), "%s/hooks/post-receive </dev/null", data);
	assert_int_not_equal(sh(&out, script), 0);
	assert_non_null(strstr(buf_z(&out), "through weir only"));
	/* ... or pushes to the repository's path */
	snprintf(script, sizeof(script), "cd w; git commit -q --allow-empty -m x; git push %s/repos/shop.git main", data);
	assert_int_not_equal(sh(&out, script), 0);
	assert_non_null(strstr(buf_z(&out), "through weir only"));
	/* somebody talks to the socket */
	snprintf(script, sizeof(script), "python3 -c \"import socket;s=socket.socket(socket.AF_UNIX);s.connect('%s/run/hook.sock');s.send(b'junk');s.shutdown(1);"
	         "print(s.recv(1000).decode())\"", data);
	assert_sh(script);
	sh(&out, script);
	assert_non_null(strstr(buf_z(&out), "no hook's message"));
}

/* git outlived the server that allowed its push, and moves the ref after the new server has looked. */
static void test_post_receive_of_an_earlier_server(void **s UNUSED)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(8 << 20);
	CLEANUP_BUF struct buf     out = BUF_INIT(1 << 20);
	struct event              *ev;
	char                       script[1000];

	assert_sh(begin);
	snprintf(script, sizeof(script), "set -e; cd w; echo 2 >f; git commit -qam second; cd %s/repos/shop.git; git fetch -q %s/w main; git update-ref refs/heads/main FETCH_HEAD; "
	         "echo $(git rev-parse main~1) $(git rev-parse main) refs/heads/main | WEIR_HOOK_SOCKET=%s/run/hook.sock WEIR_PUSH=old %s/hooks/post-receive", data, dir, data, data);
	assert_sh(script);
	assert_int_equal(events("shop", EVENT_CHANGE_ACCEPTED, &a, &ev), 2);
	snprintf(script, sizeof(script), "cd /; WEIR_HOOK_SOCKET=%s/run/hook.sock WEIR_PUSH=old %s/hooks/post-receive </dev/null", data, data);
	assert_int_not_equal(sh(&out, script), 0);
	assert_non_null(strstr(buf_z(&out), "belongs to no push"));
}

/* --- the same on PostgreSQL --- */

static struct pg_test pg;

static int setup_pg(void **s)
{
	struct err e = { 0 };

	assert_ok(pg_test_wipe(&pg, &e), &e);
	database = pg.url;
	return setup(s);
}

static int teardown_pg(void **s)
{
	database = NULL;
	return teardown(s);
}

static int run_on_postgres(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup_pg, teardown_pg)
		T(test_push_fetch_clone), T(test_refused_push_leaves_nothing), T(test_archived_is_read_only), T(test_reconcile_mends_a_missing_event),
		T(test_concurrent_pushes), T(test_names),
#undef T
	};
	struct err e = { 0 };
	int        r = pg_test_start(&pg, &e);

	if (r) {
		printf("%s: %s\n", r > 0 ? "skipped" : "failed", e.msg);
		return r < 0;
	}
	r = cmocka_run_group_tests_name("PostgreSQL", tests, NULL, NULL);
	pg_test_stop(&pg);
	return r;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_push_fetch_clone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused_push_leaves_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rights, setup, teardown),
		cmocka_unit_test_setup_teardown(test_archived_is_read_only, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_trees, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reconcile_mends_a_missing_event, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_move_is_recorded_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_concurrent_pushes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_large_push_and_gzipped_fetch, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hooks_answer_only_their_push, setup, teardown),
		cmocka_unit_test_setup_teardown(test_post_receive_of_an_earlier_server, setup, teardown),
	};

	ROOM_BEGIN();
	return cmocka_run_group_tests(tests, NULL, NULL) + run_on_postgres();
}
