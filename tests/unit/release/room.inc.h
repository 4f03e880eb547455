/* room.inc.h - a whole release room for tests: database, event log, HTTP server, a git repository, real s6, HAProxy and bubblewrap, and a load of real
 * requests from threads of the test. Include once, in a test's .c. */
#ifndef WEIR_TESTS_RELEASE_ROOM_INC_H
#define WEIR_TESTS_RELEASE_ROOM_INC_H

#include "base/hash.h"
#include "base/log.h"
#include "base/proc.h"
#include "event/event.h"
#include "net/client.h"
#include "net/http.h"
#include "release/artifact.h"
#include "release/helper.h"
#include "release/release.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>

struct fixture {
	char                 dir[64], data[80], repo[80], keys[80], bundle[80];
	struct db           *db;
	struct event_log    *log;
	struct release_room *room;
	struct http_server  *http;
	struct http_client  *client;
	char                 digest[ARTIFACT_DIGEST_SIZE];
	unsigned             commits;
};
static struct fixture fx;
static int (*fx_authenticate)(void *ctx, str scheme, str credentials, struct http_identity *ret, struct err *reterr);
static const struct clock *fx_clock = &clock_real; /* of the room; a test may set its own before fx_setup */
static unsigned       fx_keep_versions; /* 0: as the room has it */
static int64_t        fx_keep_logs_bytes;
static struct err     fx_err;

#define FX_OK(call) assert_ok(call, &fx_err)

static void fx_git(const char *const *args)
{
	const char     *argv[24] = { "git", "-C", fx.repo, "-c", "user.name=t", "-c", "user.email=t@example.org", NULL };
	struct proc_run run = { .argv = argv, .timeout_ms = 20000 };
	size_t          n = 7;

	while (*args)
		argv[n++] = *args++;
	argv[n] = NULL;
	FX_OK(proc_run(&run, NULL, &fx_err));
}

/* Commits service.yaml; returns the commit's id. */
static const char *fx_commit(const char *yaml)
{
	static char     id[GIT_ID_SIZE];
	struct buf CLEANUP_BUF out = BUF_INIT(100);
	const char     *argv[] = { "git", "-C", fx.repo, "rev-parse", "HEAD", NULL };
	struct proc_run run = { .argv = argv, .timeout_ms = 20000, .out = &out };
	char            path[200];

	snprintf(path, sizeof(path), "%s/.weir/service.yaml", fx.repo);
	FX_OK(fs_write_quick(path, str_z(yaml), 0644, &fx_err));
	fx_git((const char *const[]){ "add", "-A", NULL });
	fx_git((const char *const[]){ "commit", "-q", "--allow-empty", "-m", "change", NULL });
	FX_OK(proc_run(&run, NULL, &fx_err));
	snprintf(id, sizeof(id), "%.*s", STR_ARG(str_trim(buf_str(&out))));
	return id;
}

static int fx_source_open(void *ctx UNUSED, str project, struct git_repo **ret, struct err *reterr)
{
	return str_eqz(project, "shop") ? git_repo_open(fx.repo, NULL, ret, reterr) : err_set(reterr, WEIR_ENOENT, "no project '%.*s'", STR_ARG(project));
}

static void fx_room_open(void)
{
	static const char *const guard[] = { TEST_GUARD, NULL };
	struct release_config    cfg = { .db = fx.db, .log = fx.log, .data_dir = fx.data, .source = { .open = fx_source_open }, .clock = fx_clock, .bind = "127.0.0.1",
		                         .port_first = 21000, .port_last = 29999, .slots = 20, .guard_argv = guard, .keep_versions = fx_keep_versions, .keep_logs_bytes = fx_keep_logs_bytes };
	struct http_config       http = { .bind = "127.0.0.1", .loop_threads = 1, .worker_threads = 4, .connections_max = 100, .connections_per_ip_max = 100,
		                         .idle_timeout_ms = 30000, .header_timeout_ms = 10000, .body_timeout_ms = 30000, .clock = &clock_real, .authenticate = fx_authenticate };
	const struct http_route *routes;
	size_t                   n;
	char                     url[64];

	FX_OK(release_open(&cfg, &fx.room, &fx_err));
	FX_OK(release_start(fx.room, &fx_err));
	FX_OK(http_server_new(&http, &fx.http, &fx_err));
	routes = release_routes(&n);
	FX_OK(http_server_routes(fx.http, routes, n, fx.room, &fx_err));
	FX_OK(http_server_start(fx.http, &fx_err));
	snprintf(url, sizeof(url), "http://127.0.0.1:%u", http_server_port(fx.http));
	FX_OK(http_client_new(url, NULL, &fx.client, &fx_err));
}

static void UNUSED fx_room_close(void)
{
	fx.client = http_client_free(fx.client);
	fx.http = http_server_stop(fx.http, 2000);
	fx.room = release_close(fx.room);
}

static void fx_open_db(void)
{
	const char *other = getenv("TEST_DATABASE"); /* a PostgreSQL database that is empty */
	char        url[300];

	snprintf(url, sizeof(url), other ? "%s" : "sqlite:%s/weir.db", other ? other : fx.data);
	FX_OK(db_open(url, &fx.db, &fx_err));
	FX_OK(event_log_open(fx.db, fx.keys, &clock_real, &fx.log, &fx_err));
	FX_OK(event_log_start(fx.log, &fx_err));
}

static void UNUSED fx_close_db(void)
{
	fx.log = event_log_close(fx.log);
	fx.db = db_close(fx.db);
}

/* Folders, repository and bundle; no server yet. */
static void fx_prepare(void)
{
	struct buf CLEANUP_BUF app = BUF_INIT(1 << 16);
	char   path[200];
	size_t files;
	int    fd;

	FX_OK(fs_temp_dir("weir-rel-", fx.dir, sizeof(fx.dir), &fx_err));
	snprintf(fx.data, sizeof(fx.data), "%s/d", fx.dir);
	snprintf(fx.repo, sizeof(fx.repo), "%s/r", fx.dir);
	snprintf(fx.keys, sizeof(fx.keys), "%s/k", fx.dir);
	snprintf(fx.bundle, sizeof(fx.bundle), "%s/bundle", fx.dir);
	FX_OK(fs_mkdirs(fx.data, 0700, &fx_err));
	FX_OK(fs_mkdirs(fx.keys, 0700, &fx_err));
	snprintf(path, sizeof(path), "%s/.weir", fx.repo);
	FX_OK(fs_mkdirs(path, 0755, &fx_err));
	fx_git((const char *const[]){ "init", "-q", "-b", "main", NULL });
	snprintf(path, sizeof(path), "%s/app.py", fx.repo);
	FX_OK(fs_read(TEST_APP, &app, &fx_err));
	FX_OK(fs_write_quick(path, buf_str(&app), 0644, &fx_err));
	fd = open(fx.bundle, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	FX_OK(artifact_pack(fx.repo, STR("app.py"), fd, &files, &fx_err));
	assert_int_equal(files, 1);
	close(fd);
}

static int UNUSED fx_setup(void **s UNUSED)
{
	fx_prepare();
	fx_open_db();
	fx_room_open();
	return 0;
}

static int UNUSED fx_teardown(void **s UNUSED)
{
	fx_room_close();
	fx_close_db();
	FX_OK(release_shutdown_workloads(fx.data, 30000, &fx_err));
	FX_OK(fs_remove_tree(fx.dir, &fx_err));
	return 0;
}

/* --- the API --- */

static int fx_call(const char *method, const char *path, str body, struct arena *a, struct doc_node **ret)
{
	struct buf CLEANUP_BUF out = BUF_INIT(4 << 20);
	struct http_call call = HTTP_CALL_INIT;
	struct arena     scratch = ARENA_INIT(1 << 20);

	call.method = method;
	call.path = path;
	call.body = body;
	call.out = &out;
	FX_OK(http_call(fx.client, &call, &fx_err));
	if (ret && doc_parse_json(a, "answer", buf_str(&out), ret, &fx_err))
		fail_msg("%s %s: %d %s", method, path, call.status, buf_z(&out));
	if (call.status >= 400 && getenv("TEST_VERBOSE"))
		print_message("%s %s: %d %s\n", method, path, call.status, buf_z(&out));
	arena_fini(&scratch);
	return call.status;
}

static void UNUSED fx_upload(void)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(1 << 20);
	struct buf CLEANUP_BUF out = BUF_INIT(4096);
	struct http_call call = HTTP_CALL_INIT;
	struct doc_node *n;

	call.method = "PUT";
	call.path = "/api/v1/artifacts";
	call.content_type = "application/zstd";
	call.body_fd = open(fx.bundle, O_RDONLY | O_CLOEXEC);
	call.out = &out;
	FX_OK(http_call_ok(fx.client, &call, &fx_err));
	close(call.body_fd);
	FX_OK(doc_parse_json(&a, "answer", buf_str(&out), &n, &fx_err));
	snprintf(fx.digest, sizeof(fx.digest), "%.*s", STR_ARG(doc_get_str(n, "digest")));
	assert_true(artifact_digest_valid(str_z(fx.digest)));
}

/* Begins a release of the yaml's commit; returns the status, and the id in id. */
static int fx_release(const char *yaml, const char *environment, char id[ID_SIZE])
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(1 << 20);
	struct doc_node *n;
	char             body[500];
	int              status;

	snprintf(body, sizeof(body), "{\"project\":\"shop\",\"environment\":\"%s\",\"digest\":\"%s\",\"commit\":\"%s\"}", environment, fx.digest, fx_commit(yaml));
	status = fx_call("POST", "/api/v1/releases", str_z(body), &a, &n);
	snprintf(id, ID_SIZE, "%.*s", STR_ARG(doc_get_str(n, "id")));
	return status;
}

static const struct doc_node *fx_get(const char *id, struct arena *a)
{
	struct doc_node *n;
	char             path[100];

	snprintf(path, sizeof(path), "/api/v1/releases/%s", id);
	assert_int_equal(fx_call("GET", path, STR_NULL, a, &n), 200);
	return n;
}

static bool UNUSED fx_state_is(const char *id, const char *state)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(4 << 20);

	return str_eqz(doc_get_str(fx_get(id, &a), "state"), state);
}

static int UNUSED fx_act(const char *id, const char *action)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(4 << 20);
	struct doc_node *n;
	char             path[100];

	snprintf(path, sizeof(path), "/api/v1/releases/%s/%s", id, action);
	return fx_call("POST", path, STR("{}"), &a, &n);
}

static bool UNUSED fx_cause_has(const char *id, const char *part)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(4 << 20);

	return str_contains(doc_get_str(fx_get(id, &a), "cause"), str_z(part));
}

static bool UNUSED fx_over(const char *id)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(4 << 20);

	return doc_get_bool(fx_get(id, &a), "over", false);
}

/* How many events of the type the project has. */
static size_t UNUSED fx_events(enum event_type type)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(16 << 20);
	struct event *ev;
	size_t        n;

	FX_OK(event_read(fx.log, STR("shop"), 0, &type, 1, 1000, &a, &ev, &n, &fx_err));
	return n;
}

/* --- load --- */

enum { LOAD_THREADS = 8, LOAD_TOLD = 20 /* failed requests that are printed */ };
struct load {
	const char *host;
	uint16_t    port;
	unsigned    pause_us;
	pthread_t   thread[LOAD_THREADS];
	_Atomic bool stop;
	pthread_mutex_t lock;
	unsigned    ok, failed, none; /* 2xx; 5xx; no answer */
};

static void *load_main(void *arg)
{
	struct load *l = arg;

	while (!l->stop) {
		char answer[2000];
		int  status = helper_get(l->port, l->host, "/", answer, sizeof(answer));

		pthread_mutex_lock(&l->lock);
		if ((status == 0 || status >= 500) && l->failed + l->none < LOAD_TOLD) {
			char at[CLOCK_RFC3339_SIZE];

			clock_rfc3339(clock_wall_now(), at);
			print_message("%s load: a request failed, status %d: %.300s\n", at, status, answer);
		}
		if (status == 0)
			l->none++;
		else if (status >= 500)
			l->failed++;
		else
			l->ok++;
		pthread_mutex_unlock(&l->lock);
		usleep(l->pause_us);
	}
	return NULL;
}

static void UNUSED load_start(struct load *l, const char *host, unsigned pause_us, uint16_t port)
{
	memset(l, 0, sizeof(*l));
	l->host = host;
	l->port = port;
	l->pause_us = pause_us;
	pthread_mutex_init(&l->lock, NULL);
	for (unsigned i = 0; i < LOAD_THREADS; i++)
		assert_int_equal(pthread_create(&l->thread[i], NULL, load_main, l), 0);
}

static void UNUSED load_stop(struct load *l)
{
	l->stop = true;
	for (unsigned i = 0; i < LOAD_THREADS; i++)
		pthread_join(l->thread[i], NULL);
	pthread_mutex_destroy(&l->lock);
}

/* A service.yaml; env: "FAIL: \"1\"" or "". */
static UNUSED const char *fx_yaml(const char *env, const char *rollout)
{
	static char text[2000];

	snprintf(text, sizeof(text),
	         "service: shop\ncommand: [/usr/bin/python3, app.py]\nhealth: {path: /healthz, interval: 200ms, start-within: 6s}\n"
	         "route: {host: shop.localhost}\nclient: connection\nstop-grace: 2s\nenvironments:\n  production: {env: {%s}}\n"
	         "rollout: {steps: [25%%, 100%%], bake: 2s, budget: 5%%%s%s}\n",
	         env, *rollout ? ", " : "", rollout);
	return text;
}

#endif
