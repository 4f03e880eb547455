/* test_push.c - what no push may bring, what a push leaves when it is refused, killed or half recorded; tokens; with the real git client. */
#include "room.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <semaphore.h>
#include <signal.h>

/* Runs a script that must fail and say `want`. */
static void refused(const char *script, const char *want)
{
	CLEANUP_BUF struct buf out = BUF_INIT(1 << 20);

	if (!sh(&out, script))
		fail_msg("accepted: %s\n%s", script, buf_z(&out));
	if (!strstr(buf_z(&out), want))
		fail_msg("%s\nexpected: %s\nseen: %s", script, want, buf_z(&out));
}

/* main is where `begin` left it, and nothing of what was pushed is in the repository. */
static void assert_untouched(void)
{
	char script[400];

	snprintf(script, sizeof(script),
	         "set -e; R=%s/repos/shop.git; [ \"$(git -C $R rev-parse main)\" = \"$(git -C w rev-parse origin/main)\" ]; "
	         "[ $(git -C $R rev-list --all --count) = 1 ]; [ $(find $R/objects -type f | wc -l) = 3 ]; [ -z \"$(ls $R/objects | grep -E 'incoming|tmp')\" ]",
	         data);
	assert_sh(script);
}

/* Makes a commit whose tree has one literal entry and pushes it to main: MODE, NAME (Python bytes literal). */
static void push_entry(const char *mode, const char *name, const char *want)
{
	char script[1200];

	snprintf(script, sizeof(script),
	         "set -e; cd w; cat >../t.py <<'E'\nimport subprocess as s\n"
	         "b=bytes.fromhex(s.check_output(['git','rev-parse','HEAD:f'],text=True).strip())\n"
	         "print(s.run(['git','hash-object','-t','tree','-w','--stdin','--literally'],input=b'%s '+b%s+b'\\0'+b,check=True,"
	         "capture_output=True).stdout.decode())\nE\n"
	         "t=$(python3 ../t.py); git push origin $(git commit-tree -p HEAD -m x $t):refs/heads/main",
	         mode, name);
	refused(script, want);
}

static void test_hostile_names(void **s UNUSED)
{
	static const char *const rows[][2] = {
		{ "'.git'", "hasDotgit" },
		{ "'.GiT'", "hasDotgit" },
		{ "'git~1'", "hasDotgit" },           /* NTFS short name */
		{ "'.git '", "hasDotgit" },           /* NTFS drops the blank */
		{ "'.git::$INDEX_ALLOCATION'", "hasDotgit" },
		{ "'.g\\xe2\\x80\\x8cit'", "hasDotgit" }, /* HFS+ drops U+200C */
		{ "'..'", "hasDotdot" },
		{ "'.'", "hasDot" },
		{ "'a/b'", "fullPathname" },
	};

	assert_sh(begin);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		push_entry("100644", rows[i][0], rows[i][1]);
	push_entry("120000", "'.gitmodules'", "gitmodulesSymlink");
	assert_untouched();
}

static void test_submodules(void **s UNUSED)
{
	static const struct {
		const char *text, *want; /* want NULL: accepted */
	} rows[] = {
		{ "[submodule \"x\"]\\n\\tpath = x\\n\\turl = -u./payload\\n", "gitmodulesUrl" },
		{ "[submodule \"x\"] url = ext::sh -c true\\n", "hostile-submodule  .gitmodules:1" },
		{ "[submodule \"x\"]\\n\\tpath = x\\n\\turl = file:///etc\\n", "hostile-submodule  .gitmodules:3" },
		{ "[submodule \"x\"]\\n\\turl = \\\\\\n  ext::true\\n", "hostile-submodule" }, /* continued on the next line */
		{ "[submodule \"x\"]\\n\\tpath = x\\n\\turl = \\\"https://example.org/x.git\\\"\\n", NULL },
		{ "[submodule \"x\"]\\n\\tpath = x\\n\\turl = git@example.org:x.git\\n", NULL },
		{ "[submodule \"x\"]\\n\\tpath = x\\n\\turl = ../x.git\\n", NULL },
	};
	char script[600];

	assert_sh(begin);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		snprintf(script, sizeof(script), "set -e; cd w; git reset -q --hard origin/main; printf '%s' >.gitmodules; git add .gitmodules; git commit -qm sub; "
		         "git push origin main", rows[i].text);
		if (rows[i].want)
			refused(script, rows[i].want);
		else
			assert_sh(script);
	}
	/* also when a later commit of the same push takes it away again */
	refused("set -e; cd w; printf '[submodule \"x\"]\\n\\turl = /etc\\n' >.gitmodules; git commit -qam bad; git rm -q .gitmodules; git commit -qm good; "
	        "git push origin main", "(commit ");
}

static void test_links_in_a_middle_commit(void **s UNUSED)
{
	assert_sh(begin);
	refused("set -e; cd w; ln -s ../outside l; git add l; git commit -qm link; git rm -q l; git commit -qm gone; git push origin main",
	        "hostile-link  l:1  (commit ");
	assert_untouched();
}

static void test_object_and_ref_limits(void **s UNUSED)
{
	assert_sh(begin);
	refused("set -e; cd w; head -c 105906176 /dev/zero >big; git add big; git commit -qm big; git push origin main",
	        "object-size  big:1");
	refused("cd w; git push origin HEAD:main 2>&1", "this file has 101 MiB; the limit is 100 MiB");
	assert_untouched();
	refused("set -e; cd w; git reset -q --hard origin/main; for i in $(seq 1001); do echo \"create refs/tags/t$i HEAD\"; done | git update-ref --stdin; git push origin --tags",
	        "this push moves 1001 refs; the limit is 1000");
	assert_untouched();
	assert_sh("set -e; cd w; git tag -d t1 >/dev/null; git push -q origin --tags; [ $(git ls-remote --tags origin | wc -l) = 1000 ]");
}

static void test_push_size_limit(void **s UNUSED)
{
	char script[400];

	assert_sh(begin);
	snprintf(script, sizeof(script), "[ $(git -C %s/repos/shop.git config receive.maxInputSize) = %lld ]; git -C %s/repos/shop.git config --replace-all receive.maxInputSize 100000",
	         data, (long long)LIMIT_PUSH_BYTES, data);
	assert_sh(script);
	refused("set -e; cd w; head -c 1000000 /dev/urandom >r; git add r; git commit -qm r; git push origin main", "pack exceeds maximum allowed size");
	assert_untouched();
}

static void test_one_bad_ref_refuses_all(void **s UNUSED)
{
	CLEANUP_BUF struct buf out = BUF_INIT(1 << 20);

	assert_sh(begin);
	scope = SCOPE_DEVELOP;
	refused("set -e; cd w; git commit -q --amend -m other; git push origin +HEAD:main HEAD:refs/heads/topic", "refs/heads/main is protected");
	assert_untouched();
	assert_int_equal(sh(&out, "cd w; git ls-remote origin refs/heads/topic"), 0);
	assert_null(strstr(buf_z(&out), "topic"));
}

static void test_waivers_are_events(void **s UNUSED)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(8 << 20);
	struct finding             f = { .check = STR("credentials"), .rule = STR("test-rule"), .severity = SEVERITY_ERROR, .path = STR("f"), .line = 1,
		                             .message = STR("m"), .advice = STR("a"), .fingerprint = STR("abcd"), .waived = true,
		                             .waiver = STR("dev until 2027-01-01: known") };
	struct event              *ev;

	waived = &f;
	assert_sh(begin);
	assert_int_equal(events("shop", EVENT_WAIVER_USED, &a, &ev), 1);
	assert_non_null(strstr(ev[0].data.ptr, "\"waiver\":\"dev until 2027-01-01: known\""));
	assert_int_equal(events("shop", EVENT_CHANGE_ACCEPTED, &a, &ev), 1);
	assert_non_null(strstr(ev[0].data.ptr, "\"findings\":1"));
	assert_non_null(strstr(ev[0].data.ptr, "\"verdict\":\"d1\""));
}

static void test_cannot_judge_refuses(void **s UNUSED)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(8 << 20);
	struct event              *ev;

	assert_sh(begin);
	judge_cause = "the rules could not be read";
	refused("cd w; echo 2 >f; git commit -qam second; git push origin main", "Nothing was changed.");
	assert_int_equal(events("shop", EVENT_CHANGE_REFUSED, &a, &ev), 1);
	assert_non_null(strstr(ev[0].data.ptr, "cannot judge: the rules could not be read"));
	assert_untouched();
}

/* People write commits in any encoding; a move is recorded all the same, as UTF-8, and so is one of a tag that moves. */
static void test_texts_of_any_encoding(void **s UNUSED)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(8 << 20);
	struct event              *ev;

	assert_sh(begin);
	assert_sh("set -e; cd w; export GIT_AUTHOR_NAME=$(printf 'Andr\351'); git -c i18n.commitEncoding=ISO-8859-1 commit -q --allow-empty -m \"$(printf 'caf\351 '; "
	          "printf '\303\244%.0s' $(seq 300))\"; git push -q origin main");
	assert_int_equal(events("shop", EVENT_CHANGE_ACCEPTED, &a, &ev), 2);
	assert_true(str_utf8_valid(ev[1].data));
	assert_non_null(strstr(ev[1].data.ptr, "\"subject\":\"caf"));
	assert_sh("set -e; cd w; git tag -a t -m t; git push -q origin t; git tag -f -a t -m t2 HEAD~1 2>/dev/null; git push -q -f origin t; "
	          "git tag blob HEAD:f; git push -q origin blob; git push -q -f origin main:refs/tags/blob; git push -q origin :blob");
	assert_int_equal(events("shop", EVENT_CHANGE_ACCEPTED, &a, &ev), 7);
	refused("cd w; git push origin HEAD:refs/heads/$(printf '\351')", "the name of a ref is not UTF-8");
	refused("cd w; ln -s /etc \"$(printf 'a\033]0;b')\"; git add .; git commit -qm l; git push origin main", "hostile-link  a?]0;b:1");
}

static void test_push_from_a_shallow_clone(void **s UNUSED)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(8 << 20);
	struct event              *ev;

	assert_sh(begin);
	assert_sh("set -e; cd w; for i in 1 2 3; do git commit -q --allow-empty -m $i; done; git push -q origin main; cd ..; git clone -q --depth 1 $URL/git/shop.git s; "
	          "cd s; git commit -q --allow-empty -m shallow; git push -q origin main");
	assert_int_equal(events("shop", EVENT_CHANGE_ACCEPTED, &a, &ev), 3);
	assert_non_null(strstr(ev[2].data.ptr, "\"commits\":1"));
}

/* --- tokens --- */

static void test_tokens(void **s UNUSED)
{
	struct err e = { 0 };

	assert_ok(repo_create(repo, STR("other"), STR_NULL, 0, STR("token:tester"), &e), &e);
	assert_sh(begin);
	assert_sh("git clone -q ${URL/good/job}/git/shop.git j");
	refused("git clone ${URL/good/job}/git/other.git k", "bound to the project 'shop'");
	refused("cd j; git commit -q --allow-empty -m x; git push origin HEAD:main", "pushing needs a token with the scope develop");
	refused("cd w; git push ${URL/good/reader}/git/shop.git HEAD:refs/heads/x", "pushing needs a token with the scope develop");
	refused("cd w; git push ${URL/good/wrong}/git/shop.git HEAD:refs/heads/x", "Authentication failed");
	refused("cd w; git push ${URL/t:good@/}/git/shop.git HEAD:refs/heads/x", "could not read Username"); /* 401 made git ask */
	refused("cd w; git push ${URL/good/bound}/git/shop.git HEAD:refs/heads/x", "bound to the project 'other'");
	assert_sh("cd w; git push -q ${URL/good/bound}/git/other.git HEAD:refs/heads/x");
	assert_untouched();
}

static void test_only_the_smart_protocol(void **s UNUSED)
{
	static const char *const paths[] = { "HEAD", "objects/info/packs", "config", "info/refs", "info/refs?service=git-upload-archive", "git-upload-archive" };
	char                     script[300];

	assert_sh(begin);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		snprintf(script, sizeof(script), "[ $(curl -s -o out -w '%%{http_code}' \"$URL/git/shop.git/%s\") = 404 ]", paths[i]);
		assert_sh(script);
	}
	assert_sh("[ $(curl -s -o out -w '%{http_code}' -X POST -d x $URL/git/shop.git/info/refs) = 404 ]");
	assert_sh("[ $(curl -s -o out -w '%{http_code}' \"$URL/git/..%2fshop.git/info/refs?service=git-upload-pack\") -ge 400 ]");
}

/* --- ends that nobody wants --- */

static sem_t at_gate, go_on;

static void wait_at_gate(void)
{
	sem_post(&at_gate);
	sem_wait(&go_on);
}

static size_t pushes_under_way(void)
{
	size_t n;

	pthread_mutex_lock(&repo->lock);
	n = map_count(&repo->pushes);
	pthread_mutex_unlock(&repo->lock);
	return n;
}

static void wait_for_pushes(size_t n)
{
	for (int i = 0; i < 3000 && pushes_under_way() != n; i++)
		clock_sleep_ms(10);
	assert_int_equal(pushes_under_way(), n);
}

/* As long as another push of the project is under way, nobody sweeps its folder: git itself must have taken its quarantine away. */
static struct repo_push other_push = { .id = "other", .project = "shop", .hook_fd = -1 };

static void other_push_begins(void)
{
	pthread_mutex_lock(&repo->lock);
	assert_true(map_put(&repo->pushes, str_z(other_push.id), &other_push, NULL));
	pthread_mutex_unlock(&repo->lock);
}

static void other_push_ends(void)
{
	pthread_mutex_lock(&repo->lock);
	map_del(&repo->pushes, str_z(other_push.id));
	pthread_mutex_unlock(&repo->lock);
}

/* The pusher is killed while the gate looks: git is ended, its quarantine goes, and the gate's late yes moves nothing. */
static void test_pusher_killed_at_the_gate(void **s UNUSED)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(8 << 20);
	const char *const          argv[] = { "git", "-C", "w", "push", "-q", "origin", "main", NULL };
	struct proc_spec           spec = PROC_SPEC_INIT;
	struct event              *ev;
	struct err                 e = { 0 };
	pid_t                      pid;
	int                        status;

	assert_sh(begin);
	assert_sh("set -e; cd w; echo 2 >f; git commit -qam second");
	sem_init(&at_gate, 0, 0);
	sem_init(&go_on, 0, 0);
	gate_waits = wait_at_gate;
	spec.argv = argv;
	spec.cwd = dir;
	spec.new_session = true;
	assert_ok(proc_spawn(&spec, &pid, &e), &e);
	sem_wait(&at_gate);
	other_push_begins();
	kill(-pid, SIGKILL); /* git and its helper, which holds the connection */
	assert_ok(proc_wait(pid, &status, &e), &e);
	wait_for_pushes(1);
	assert_untouched();
	other_push_ends();
	sem_post(&go_on);
	gate_waits = NULL;
	close_all(); /* waits for the hook */
	open_all();
	assert_untouched();
	assert_int_equal(events("shop", EVENT_CHANGE_ACCEPTED, &a, &ev), 1);
	assert_sh("cd w; git push -q $URL/git/shop.git main"); /* the same push works afterwards */
	assert_int_equal(events("shop", EVENT_CHANGE_ACCEPTED, &a, &ev), 2);
	sem_destroy(&at_gate);
	sem_destroy(&go_on);
}

/* A connection that ends in the middle of its pack. */
static void test_connection_lost_in_the_pack(void **s UNUSED)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(http_server_port(http)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	static const char  head[] = "POST /git/shop.git/git-receive-pack HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic dDpnb29k\r\n"
	                            "Content-Type: application/x-git-receive-pack-request\r\nContent-Length: 1000000\r\n\r\n"
	                            "00810000000000000000000000000000000000000000 1111111111111111111111111111111111111111 refs/heads/x\0 report-status";
	int                fd;

	assert_sh(begin);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(write(fd, head, sizeof(head) - 1), sizeof(head) - 1);
	for (int i = 0; i < 1000 && !pushes_under_way(); i++)
		clock_sleep_ms(10);
	assert_int_equal(pushes_under_way(), 1);
	other_push_begins();
	close(fd);
	wait_for_pushes(1);
	assert_untouched();
	other_push_ends();
}

/* What a server that was killed together with its gits leaves. */
static void test_left_quarantines_go_at_start(void **s UNUSED)
{
	char script[300];

	assert_sh(begin);
	snprintf(script, sizeof(script), "mkdir -p %s/repos/shop.git/objects/tmp_objdir-incoming-x/pack; echo x >%s/repos/shop.git/objects/tmp_objdir-incoming-x/pack/tmp_pack_1",
	         data, data);
	assert_sh(script);
	close_all();
	open_all();
	assert_untouched();
}

/* The hook that records is gone (killed, disk full ...): the request records what git moved, with the pusher and the verdict. */
static void test_lost_post_receive_is_mended(void **s UNUSED)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(8 << 20);
	struct event              *ev;
	char                       script[200];

	snprintf(script, sizeof(script), "ln -sf /bin/false %s/hooks/post-receive", data);
	assert_sh(script);
	assert_sh(begin);
	for (int i = 0; i < 1000 && events("shop", EVENT_CHANGE_ACCEPTED, &a, &ev) < 1; i++)
		clock_sleep_ms(10);
	assert_int_equal(events("shop", EVENT_CHANGE_ACCEPTED, &a, &ev), 1);
	assert_non_null(strstr(ev[0].data.ptr, "\"pusher\":\"token:tester\""));
	assert_non_null(strstr(ev[0].data.ptr, "\"verdict\":\"d1\""));
}

static int rename_tx(struct db_tx *tx, void *arg, struct err *reterr) { return db_exec(tx, reterr, arg, ""); }

static void sql(const char *statement)
{
	struct err e = { 0 };
	char      *copy = str_dup(str_z(statement));

	assert_ok(db_write(db, rename_tx, copy, &e), &e);
	free(copy);
}

/* The database fails before the move: refused. After it: git has moved the ref, and the next push records it. */
static void test_database_that_fails(void **s UNUSED)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(8 << 20);
	struct event              *ev;

	assert_sh(begin);
	sql("ALTER TABLE push_verdict RENAME TO away");
	refused("cd w; git commit -q --allow-empty -m second; git push origin main", "weir could not look at this push");
	assert_untouched();
	sql("ALTER TABLE away RENAME TO push_verdict");
	sql("ALTER TABLE change RENAME TO away");
	assert_sh("cd w; git push -q origin main");
	assert_int_equal(events("shop", EVENT_CHANGE_ACCEPTED, &a, &ev), 1);
	sql("ALTER TABLE away RENAME TO change");
	assert_sh("cd w; git push -q origin main:refs/heads/other");
	assert_int_equal(events("shop", EVENT_CHANGE_ACCEPTED, &a, &ev), 3);
	assert_non_null(strstr(ev[1].data.ptr, "\"subject\":\"second\""));
	assert_non_null(strstr(ev[1].data.ptr, "\"verdict\":\"d1\"")); /* what the gate had said */
	assert_non_null(strstr(ev[2].data.ptr, "refs/heads/other"));
}

/* --- making projects --- */

static void test_half_made_repository_is_made_again(void **s UNUSED)
{
	char       script[300];
	struct err e = { 0 };

	snprintf(script, sizeof(script), "mkdir -p %s/repos/half.git/objects; echo 'ref: refs/heads/master' >%s/repos/half.git/HEAD", data, data);
	assert_sh(script);
	refused("git ls-remote $URL/git/half.git", "not found"); /* no project yet */
	assert_ok(repo_create(repo, STR("half"), STR_NULL, 0, STR("token:tester"), &e), &e);
	assert_sh("set -e; git init -q -b main h; cd h; git commit -q --allow-empty -m x; git push -q $URL/git/half.git main");
	snprintf(script, sizeof(script), "[ $(git -C %s/repos/half.git config receive.fsckObjects) = true ]", data);
	assert_sh(script);
}

static void *create_race(void *arg)
{
	return (void *)(intptr_t)repo_create(arg, STR("race"), STR_NULL, 0, STR("token:tester"), NULL);
}

static void test_one_of_many_creators_wins(void **s UNUSED)
{
	pthread_t t[6];
	int       won = 0;

	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		assert_int_equal(pthread_create(&t[i], NULL, create_race, repo), 0);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		void *r;

		pthread_join(t[i], &r);
		assert_true((intptr_t)r == 0 || (intptr_t)r == -WEIR_EEXIST);
		won += !r;
	}
	assert_int_equal(won, 1);
}

/* Pushes to several projects at once, some of them refused. */
static void test_pushes_to_many_projects(void **s UNUSED)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(8 << 20);
	struct event              *ev;
	struct err                 e = { 0 };
	char                       name[16];

	for (int i = 1; i <= 4; i++) {
		snprintf(name, sizeof(name), "p%d", i);
		assert_ok(repo_create(repo, str_z(name), STR_NULL, 0, STR("token:tester"), &e), &e);
	}
	assert_sh("for i in 1 2 3 4; do (set -e; git init -q -b main q$i; cd q$i; echo $i >f; git add f; [ $i != 4 ] || ln -s /etc l; git add .; git commit -qm x; "
	          "git push -q $URL/git/p$i.git main) & done; wait");
	for (int i = 1; i <= 4; i++) {
		snprintf(name, sizeof(name), "p%d", i);
		assert_int_equal(events(name, EVENT_CHANGE_ACCEPTED, &a, &ev), i < 4);
		assert_int_equal(events(name, EVENT_CHANGE_REFUSED, &a, &ev), i == 4);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(test_hostile_names), T(test_submodules), T(test_links_in_a_middle_commit), T(test_object_and_ref_limits), T(test_push_size_limit),
		T(test_one_bad_ref_refuses_all), T(test_waivers_are_events), T(test_cannot_judge_refuses), T(test_texts_of_any_encoding), T(test_push_from_a_shallow_clone), T(test_tokens), T(test_only_the_smart_protocol),
		T(test_pusher_killed_at_the_gate), T(test_connection_lost_in_the_pack), T(test_left_quarantines_go_at_start), T(test_lost_post_receive_is_mended),
		T(test_database_that_fails), T(test_half_made_repository_is_made_again), T(test_one_of_many_creators_wins), T(test_pushes_to_many_projects),
	};

	ROOM_BEGIN();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
