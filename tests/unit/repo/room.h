/* room.h - the room for its tests: real database, event log and HTTP server in a temporary folder. */
#ifndef WEIR_TESTS_REPO_ROOM_H
#define WEIR_TESTS_REPO_ROOM_H

#include "lib/test.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/proc.h"
#include "event/event.h"
#include "repo/repo-internal.h"

#include <pthread.h>
#include <unistd.h>

static char                dir[64], data[80], keys[96], url[64];
static struct db          *db;
static struct event_log   *event_log;
static struct http_server *http;
static struct repo_store  *repo;
static enum http_scope     scope = SCOPE_ADMIN;
static const char         *database; /* URL of a PostgreSQL; NULL: SQLite in the test's folder */
static const char         *refuse_text; /* the gate's answer; NULL: passes */
static bool                cannot_look;
static const char         *judge_cause; /* why the gate cannot judge; NULL: it can */
static struct finding     *waived; /* a finding that the gate lets through */
static void (*gate_waits)(void);   /* called by the gate before it answers */

/* Tokens: "good" has what `scope` says; "reader"; "job" of project shop; "bound" may develop project other. Basic (base64 of "t:good") or bearer. */
static int who(void *ctx UNUSED, str scheme UNUSED, str credentials, struct http_identity *ret, struct err *reterr)
{
	static const struct {
		const char          *basic, *bearer;
		struct http_identity is;
	} tokens[] = {
		{ "dDpyZWFkZXI=", "reader", { .name = "reader", .scope = SCOPE_READ } },
		{ "dDpqb2I=", "job", { .name = "job", .scope = SCOPE_JOB, .project = "shop" } },
		{ "dDpib3VuZA==", "bound", { .name = "bound", .scope = SCOPE_DEVELOP, .project = "other" } },
	};

	if (str_eqz(credentials, "dDpnb29k") || str_eqz(credentials, "good")) {
		*ret = (struct http_identity){ .name = "tester", .scope = scope };
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(tokens); i++)
		if (str_eqz(credentials, tokens[i].basic) || str_eqz(credentials, tokens[i].bearer)) {
			*ret = tokens[i].is;
			return 0;
		}
	return err_set(reterr, WEIR_EAUTH, "unknown token");
}

static int gate(void *ctx UNUSED, const struct change *c, struct arena *a UNUSED, struct verdict *ret, struct buf *text, struct err *reterr)
{
	static struct finding f = { .check = { "credentials", 11 }, .rule = { "test-rule", 9 }, .severity = SEVERITY_ERROR, .path = { "f", 1 }, .line = 1 };
	char                  id[GIT_ID_SIZE];

	if (gate_waits)
		gate_waits();
	if (cannot_look)
		return err_set(reterr, WEIR_EIO, "the scanner lost its rules");
	if (str_has_prefix(c->ref, STR("refs/heads/")) && strcmp(c->new_id, git_zero_id) && git_resolve(c->repo, c->new_id, id, reterr))
		return err_wrap(reterr, "the quarantine is not seen");
	snprintf(ret->digest, sizeof(ret->digest), "d1");
	ret->call = refuse_text ? VERDICT_FAIL : VERDICT_PASS;
	if (judge_cause) {
		ret->call = VERDICT_CANNOT_JUDGE;
		ret->cause = str_z(judge_cause);
	}
	if (waived) {
		ret->findings = waived;
		ret->n_findings = 1;
	}
	if (refuse_text) {
		ret->findings = &f;
		ret->n_findings = 1;
		buf_addz(text, refuse_text);
	}
	return 0;
}

static void open_all(void)
{
	struct err         e = { 0 };
	char               db_url[400];
	struct http_config hc = { .bind = "127.0.0.1", .loop_threads = 1, .worker_threads = 8, .connections_max = 100,
		                      .connections_per_ip_max = 100, .clock = &clock_real, .authenticate = who };
	const struct http_route *routes;
	struct repo_config rc = { .data_dir = data, .url = url, .clock = &clock_real, .receive = { gate, NULL } };
	size_t             n;

	if (database)
		snprintf(db_url, sizeof(db_url), "%s", database);
	else
		snprintf(db_url, sizeof(db_url), "sqlite:%s/weir.db", data);
	assert_ok(db_open(db_url, &db, &e), &e);
	assert_ok(event_log_open(db, keys, &clock_real, &event_log, &e), &e);
	rc.db = db;
	rc.log = event_log;
	assert_ok(repo_open(&rc, &repo, &e), &e);
	assert_ok(repo_start(repo, &e), &e);
	assert_ok(http_server_new(&hc, &http, &e), &e);
	routes = repo_routes(&n);
	assert_ok(http_server_routes(http, routes, n, repo, &e), &e);
	assert_ok(http_server_start(http, &e), &e);
	snprintf(url, sizeof(url), "http://t:good@127.0.0.1:%u", http_server_port(http));
}

static void close_all(void)
{
	http = http_server_stop(http, 2000);
	repo = repo_close(repo);
	event_log = event_log_close(event_log);
	db = db_close(db);
}

static int setup(void **s UNUSED)
{
	struct err e = { 0 };

	scope = SCOPE_ADMIN;
	refuse_text = NULL;
	cannot_look = false;
	waived = NULL;
	judge_cause = NULL;
	gate_waits = NULL;
	assert_ok(fs_temp_dir("weir-repo-", dir, sizeof(dir), &e), &e);
	snprintf(data, sizeof(data), "%s/data", dir);
	snprintf(keys, sizeof(keys), "%s/keys", data);
	assert_ok(fs_mkdirs(keys, 0700, &e), &e);
	open_all();
	assert_ok(repo_create(repo, STR("shop"), STR_NULL, 0, STR("token:tester"), &e), &e);
	return 0;
}

static int teardown(void **s UNUSED)
{
	close_all();
	return fs_remove_tree(dir, NULL);
}

/* Runs a shell script in the test's folder with $URL; its output (both streams) is in `out`. Returns the exit status. */
UNUSED static int sh(struct buf *out, const char *script)
{
	char              env_url[128], home[300], path[4096];
	const char *const argv[] = { "bash", "-c", script, NULL };
	const char *const env[] = { env_url, home, path, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C", "GIT_AUTHOR_NAME=T",
		                        "GIT_AUTHOR_EMAIL=t@t.invalid", "GIT_COMMITTER_NAME=T", "GIT_COMMITTER_EMAIL=t@t.invalid", NULL };
	struct proc_run   run = { .argv = argv, .env = env, .cwd = dir, .out = out, .err = out, .timeout_ms = 120000 };
	struct err        e = { 0 };
	int               status;

	snprintf(env_url, sizeof(env_url), "URL=%s", url);
	snprintf(home, sizeof(home), "HOME=%s", dir);
	snprintf(path, sizeof(path), "PATH=%s", getenv("PATH"));
	buf_clear(out);
	assert_ok(proc_run(&run, &status, &e), &e);
	return status;
}

#define assert_sh(script)                                                          \
	do {                                                                           \
		CLEANUP_BUF struct buf assert_sh_ = BUF_INIT(1 << 20);                     \
		if (sh(&assert_sh_, script) != 0)                                          \
			fail_msg("%s\n%s", script, buf_z(&assert_sh_));                        \
	} while (0)

UNUSED static const char begin[] = "set -e; git init -q -b main w; cd w; git remote add origin $URL/git/shop.git; echo 1 >f; git add f; "
                            "git commit -qm first; git push -q origin main";

UNUSED static size_t events(const char *project, enum event_type type, struct arena *a, struct event **ret)
{
	struct err e = { 0 };
	size_t     n;

	assert_ok(event_read(event_log, str_z(project), 0, &type, 1, 1000, a, ret, &n, &e), &e);
	return n;
}

#define ROOM_BEGIN()                                                      \
	do {                                                                  \
		base_init();                                                      \
		if (getenv("TEST_FILTER")) /* "test_tokens*" */                   \
			cmocka_set_test_filter(getenv("TEST_FILTER"));                \
	} while (0)

#endif
