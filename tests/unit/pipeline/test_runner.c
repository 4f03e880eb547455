/* test_runner.c - the runner against a server of the test's own that speaks protocol.md over real HTTP, goes away, comes back, and counts. */
#include "tests/unit/pipeline/step-help.h"

#include "doc/doc.h"
#include "base/proc.h"
#include "net/http.h"
#include "pipeline/runner.h"

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { STEPS = 4 };
struct server { /* what the fake knows of its one job */
	struct http_server *http;
	pthread_mutex_t     lock;
	struct buf          spec;
	bool                given, finished, cancel, gone, retry;
	char                lease[65], result[32], cause[600];
	struct buf          log[STEPS];
	char                state[STEPS][32], summary[STEPS][100];
	int                 ends[STEPS], starts[STEPS], claims, renewals, gaps;
	struct buf          outputs;
	char                steps_json[4096];
	int64_t             lease_ms;
};
static struct server srv;

static int lease_check(struct http_req *r, str lease, struct err *reterr)
{
	(void)r;
	if (srv.gone || !str_eqz(lease, srv.lease))
		return err_set(reterr, WEIR_EGONE, "the lease is no longer yours");
	return 0;
}

static int on_claim(struct http_req *r, void *ctx, struct err *reterr)
{
	struct doc_node *n;
	int              rc = http_body_json(r, &n, reterr);

	(void)ctx;
	if (rc)
		return rc;
	pthread_mutex_lock(&srv.lock);
	srv.claims++;
	bool again = srv.given && str_eqz(doc_get_str(n, "claim"), srv.lease) && !srv.finished;
	if (srv.spec.len || srv.given)
		again |= !srv.given;
	if (again && srv.steps_json[0]) {
		str claim = doc_get_str(n, "claim");

		srv.given = true;
		snprintf(srv.lease, sizeof(srv.lease), "%.*s", STR_ARG(claim));
		buf_addf(http_out(r),
		         "{\"spec\":1,\"job\":\"J1\",\"lease\":\"%s\",\"lease_ms\":%d,\"attempt\":1,\"project\":\"shop\",\"name\":\"test\",\"token\":\"weir_j_topsecret\","
		         "\"masks\":[\"weir_j_topsecret\"],\"outputs\":{\"o\":\"${{ steps.a.outputs.x }}\"},\"environment\":{\"name\":\"p\",\"url\":\"http://x/${{ steps.a.outputs.x }}\"},"
		         "\"contexts\":{\"github\":{}},\"steps\":[%s]}",
		         srv.lease, (int)srv.lease_ms, srv.steps_json);
		http_type(r, "application/json");
	} else {
		http_status(r, 204);
	}
	pthread_mutex_unlock(&srv.lock);
	if (!again)
		clock_sleep_ms(50);
	return 0;
}

static int on_log(struct http_req *r, void *ctx, struct err *reterr)
{
	int64_t  step, offset;
	struct jw w;
	int      rc;

	(void)ctx;
	if (!str_to_i64(http_query(r, "step"), &step) || !str_to_i64(http_query(r, "offset"), &offset) || step < 0 || step >= STEPS)
		return err_set(reterr, WEIR_EINVAL, "step, offset");
	pthread_mutex_lock(&srv.lock);
	rc = lease_check(r, http_query(r, "lease"), reterr);
	if (!rc) {
		struct buf *log = &srv.log[step];

		if (offset > (int64_t)log->len) {
			srv.gaps++;
			http_status(r, 409);
		} else if (offset + (int64_t)http_body(r).len > (int64_t)log->len) {
			buf_add_str(log, str_sub(http_body(r), log->len - (size_t)offset, SIZE_MAX));
		}
		http_json(r, &w);
		jw_obj(&w);
		jw_kint(&w, "next", (int64_t)log->len);
		jw_end(&w);
	}
	pthread_mutex_unlock(&srv.lock);
	return rc;
}

static int on_steps(struct http_req *r, void *ctx, struct err *reterr)
{
	struct doc_node *n;
	int64_t          step;
	int              rc = http_body_json(r, &n, reterr);

	(void)ctx;
	if (rc)
		return rc;
	step = doc_get_int(n, "step", -1);
	pthread_mutex_lock(&srv.lock);
	rc = lease_check(r, doc_get_str(n, "lease"), reterr);
	if (!rc && step >= 0 && step < STEPS) {
		str s = doc_get_str(n, "state"), summary = doc_get_str(n, "summary");

		if (str_eqz(s, "running"))
			srv.starts[step]++;
		else
			srv.ends[step]++;
		snprintf(srv.state[step], sizeof(srv.state[step]), "%.*s", STR_ARG(s));
		snprintf(srv.summary[step], sizeof(srv.summary[step]), "%.*s", STR_ARG(str_sub(summary, 0, 90)));
	}
	pthread_mutex_unlock(&srv.lock);
	buf_addz(http_out(r), "{}");
	return rc;
}

static int on_renew(struct http_req *r, void *ctx, struct err *reterr)
{
	struct doc_node *n;
	struct jw        w;
	int              rc = http_body_json(r, &n, reterr);

	(void)ctx;
	if (rc)
		return rc;
	pthread_mutex_lock(&srv.lock);
	srv.renewals++;
	rc = lease_check(r, doc_get_str(n, "lease"), reterr);
	http_json(r, &w);
	jw_obj(&w);
	jw_kbool(&w, "cancel", srv.cancel);
	jw_kstrz(&w, "cause", "cancelled by laptop");
	jw_kint(&w, "lease_ms", srv.lease_ms);
	jw_end(&w);
	pthread_mutex_unlock(&srv.lock);
	return rc;
}

static int on_finish(struct http_req *r, void *ctx, struct err *reterr)
{
	struct doc_node *n;
	int              rc = http_body_json(r, &n, reterr);

	(void)ctx;
	if (rc)
		return rc;
	pthread_mutex_lock(&srv.lock);
	rc = lease_check(r, doc_get_str(n, "lease"), reterr);
	if (!rc) {
		str res = doc_get_str(n, "result"), cause = doc_get_str(n, "cause");

		srv.finished = true;
		srv.retry = doc_get_bool(n, "retry", false);
		snprintf(srv.result, sizeof(srv.result), "%.*s", STR_ARG(res));
		snprintf(srv.cause, sizeof(srv.cause), "%.*s", STR_ARG(cause));
		buf_clear(&srv.outputs);
		if (doc_get(n, "outputs"))
			doc_canonical(doc_get(n, "outputs"), &srv.outputs);
		buf_add_str(&srv.outputs, doc_get_str(n, "environment_url"));
	}
	pthread_mutex_unlock(&srv.lock);
	buf_addz(http_out(r), "{}");
	return rc;
}

static int on_state(struct http_req *r, void *ctx, struct err *reterr)
{
	struct jw w;
	int       rc;

	(void)ctx;
	pthread_mutex_lock(&srv.lock);
	rc = lease_check(r, http_query(r, "lease"), reterr);
	http_json(r, &w);
	jw_obj(&w);
	jw_key(&w, "steps");
	jw_arr(&w);
	for (int i = 0; i < STEPS; i++) {
		jw_obj(&w);
		jw_kint(&w, "step", i);
		jw_kstrz(&w, "state", srv.state[i][0] ? srv.state[i] : "queued");
		jw_kint(&w, "log_next", (int64_t)srv.log[i].len);
		jw_end(&w);
	}
	jw_end(&w);
	jw_end(&w);
	pthread_mutex_unlock(&srv.lock);
	return rc;
}

static const struct http_query_param log_query[] = { { .name = "lease" }, { .name = "step", .kind = QUERY_INT, .max = 100 }, { .name = "offset", .kind = QUERY_INT, .max = INT64_MAX }, { 0 } };
static const struct http_query_param state_query[] = { { .name = "lease" }, { 0 } };
static const struct http_route routes[] = {
	{ "POST", "/api/v1/runner/claim", HTTP_WORKER, SCOPE_NONE, 65536, on_claim, "claim", NULL, NULL },
	{ "POST", "/api/v1/runner/jobs/:job/log", HTTP_WORKER, SCOPE_NONE, 1 << 20, on_log, "log", NULL, NULL, log_query },
	{ "POST", "/api/v1/runner/jobs/:job/steps", HTTP_WORKER, SCOPE_NONE, 4 << 20, on_steps, "steps", NULL, NULL },
	{ "POST", "/api/v1/runner/jobs/:job/renew", HTTP_WORKER, SCOPE_NONE, 65536, on_renew, "renew", NULL, NULL },
	{ "POST", "/api/v1/runner/jobs/:job/finish", HTTP_WORKER, SCOPE_NONE, 4 << 20, on_finish, "finish", NULL, NULL },
	{ "GET", "/api/v1/runner/jobs/:job/state", HTTP_WORKER, SCOPE_NONE, 0, on_state, "state", NULL, NULL, state_query },
};

static void server_up(uint16_t port)
{
	struct http_config cfg = { .bind = "127.0.0.1", .port = port, .loop_threads = 1, .worker_threads = 4, .connections_max = 50,
		                       .connections_per_ip_max = 50, .idle_timeout_ms = 30000, .header_timeout_ms = 10000, .body_timeout_ms = 10000,
		                       .clock = &clock_real };
	struct err         err;

	assert_ok(http_server_new(&cfg, &srv.http, &err), &err);
	assert_ok(http_server_routes(srv.http, routes, ARRAY_SIZE(routes), NULL, &err), &err);
	assert_ok(http_server_start(srv.http, &err), &err);
}

struct world {
	char     dir[256], exe[1100], url[64];
	uint16_t port;
	int      fd_log; /* of the runner; -1: this test's */
};

static void world_open(struct world *w, const char *steps)
{
	struct err err;

	w->fd_log = -1;
	srv = (struct server){ .lock = PTHREAD_MUTEX_INITIALIZER, .outputs = BUF_INIT(1 << 20), .lease_ms = 3000 };
	for (int i = 0; i < STEPS; i++)
		buf_init(&srv.log[i], 8 << 20);
	buf_init(&srv.spec, 10);
	snprintf(srv.steps_json, sizeof(srv.steps_json), "%s", steps);
	buf_addc(&srv.spec, 'x');
	assert_ok(fs_temp_dir("weir-runner-", w->dir, sizeof(w->dir), &err), &err);
	assert_ok(fs_self_exe(w->exe, sizeof(w->exe), &err), &err);
	server_up(0);
	w->port = http_server_port(srv.http);
	snprintf(w->url, sizeof(w->url), "http://127.0.0.1:%u", w->port);
}

static void world_close(struct world *w)
{
	struct err err;

	http_server_stop(srv.http, 100);
	for (int i = 0; i < STEPS; i++)
		buf_fini(&srv.log[i]);
	buf_fini(&srv.outputs);
	buf_fini(&srv.spec);
	assert_ok(fs_remove_tree(w->dir, &err), &err);
}

/* The runner in a process of its own, so that it can be killed. */
static pid_t runner_up(const struct world *w)
{
	pid_t pid;
	struct err err;
	const char *const argv[] = { w->exe, "runner", w->dir, w->url, NULL };
	struct proc_spec  spec = PROC_SPEC_INIT;

	spec.argv = argv;
	if (w->fd_log > 0)
		spec.fd_err = w->fd_log;
	assert_ok(proc_spawn(&spec, &pid, &err), &err);
	return pid;
}

static void runner_down(pid_t pid, int sig)
{
	int        status;
	struct err err;

	kill(pid, sig);
	assert_ok(proc_wait_timeout(pid, 30000, &status, &err), &err);
}

/* Longer than the longest wait between two tries of a runner. */
static bool seen(bool (*what)(void))
{
	bool ok = false;

	for (int i = 0; i < 9000 && !ok; i++) {
		pthread_mutex_lock(&srv.lock);
		ok = what();
		pthread_mutex_unlock(&srv.lock);
		if (!ok)
			clock_sleep_ms(10);
	}
	return ok;
}
static bool is_finished(void) { return srv.finished; }
static bool is_up(void) { return str_contains(buf_str(&srv.log[0]), STR("up\n")); }

/* No folder of a job is left, and none of its processes. */
static void nothing_left(const struct world *w)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/runner/jobs/J1-1", w->dir);
	for (int i = 0; i < 1000 && fs_exists(path); i++)
		clock_sleep_ms(10);
	assert_false(fs_exists(path));
}

static void test_job(void **state)
{
	struct world w;
	pid_t        pid;

	(void)state;
	SKIP_WITHOUT_SANDBOX();
	world_open(&w, "{\"id\":\"a\",\"uses\":\"run\",\"run\":\"echo up; echo x=7 >> $GITHUB_OUTPUT; echo sum weir_j_topsecret >> $GITHUB_STEP_SUMMARY; echo weir_j_topsecret\"},"
	               "{\"uses\":\"run\",\"run\":\"exit 5\"},{\"uses\":\"run\",\"run\":\"echo no\"}");
	pid = runner_up(&w);
	assert_true(seen(is_finished));
	assert_string_equal(srv.result, "failure");
	assert_string_equal(srv.cause, "step 2 'Run exit 5': exit 5");
	assert_string_equal(srv.state[0], "success");
	assert_string_equal(srv.state[1], "failure");
	assert_string_equal(srv.state[2], "skipped");
	assert_string_equal(srv.summary[0], "sum ***\n");
	assert_true(str_has_suffix(buf_str(&srv.log[0]), STR("up\n***\n")));
	assert_str(buf_str(&srv.outputs), "{\"o\":\"7\"}http://x/7");
	assert_int_equal(srv.ends[0], 1);
	assert_int_equal(srv.gaps, 0);
	nothing_left(&w);
	runner_down(pid, SIGTERM);
	world_close(&w);
}

/* The server goes away in the middle of a step and comes back: the step went on, its log is there once. */
static void test_server_away(void **state)
{
	struct world           w;
	pid_t                  pid;
	CLEANUP_BUF struct buf want = BUF_INIT(8192);

	(void)state;
	SKIP_WITHOUT_SANDBOX();
	world_open(&w, "{\"id\":\"a\",\"uses\":\"run\",\"run\":\"echo up; for i in $(seq 30); do echo line $i; sleep 0.05; done\"},{\"uses\":\"run\",\"run\":\"echo two\"}");
	pid = runner_up(&w);
	assert_true(seen(is_up));
	http_server_stop(srv.http, 0);
	clock_sleep_ms(1800); /* the first step ends meanwhile */
	server_up(w.port);
	assert_true(seen(is_finished));
	assert_string_equal(srv.result, "success");
	buf_addz(&want, "up\n");
	for (int i = 1; i <= 30; i++)
		buf_addf(&want, "line %d\n", i);
	assert_true(str_has_suffix(buf_str(&srv.log[0]), buf_str(&want)));
	assert_str(buf_str(&srv.log[1]), "two\n");
	runner_down(pid, SIGTERM);
	world_close(&w);
}

static bool has_claimed(void) { return srv.claims > 0; }

static size_t count_in(const struct buf *b, const char *text)
{
	size_t n = 0;

	for (const char *at = b->len ? b->ptr : ""; (at = strstr(at, text)); at++)
		n++;
	return n;
}

/* In the server's place: accepts and says nothing, for as long as the slots would need to come one after the other. Returns how often they came. */
static int deaf_server(unsigned port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	CLEANUP_FD int     s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int                one = 1, came = 0;

	assert_true(s >= 0);
	assert_int_equal(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
	assert_int_equal(bind(s, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(s, 100), 0);
	for (int i = 0; i < 20; i++) {
		struct pollfd p = { s, POLLIN, 0 };
		int           c = poll(&p, 1, 100) > 0 ? accept(s, NULL, NULL) : -1;

		came += c >= 0;
		if (c >= 0)
			close(c);
	}
	return came;
}

/* While the server is away only as many slots ask as there are places, and it is said once; and once that it is back. */
static void test_claims_of_an_absent_server(void **state)
{
	struct world           w;
	pid_t                  pid;
	CLEANUP_BUF struct buf said = BUF_INIT(1 << 20);
	CLEANUP_FD int         fd = memfd_create("log", MFD_CLOEXEC);
	struct err             err;
	int                    came;

	(void)state;
	SKIP_WITHOUT_SANDBOX();
	world_open(&w, "");
	w.fd_log = fd;
	pid = runner_up(&w);
	assert_true(seen(has_claimed));
	http_server_stop(srv.http, 0);
	came = deaf_server(w.port);
	srv.claims = 0;
	server_up(w.port);
	assert_true(seen(has_claimed));
	runner_down(pid, SIGTERM);
	if (came < 1 || came > 8)
		fail_msg("%d calls of one place within two seconds", came);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_ok(fs_read_fd(fd, "log", &said, &err), &err);
	buf_addc(&said, 0);
	assert_int_equal(count_in(&said, "trying again"), 1);
	assert_int_equal(count_in(&said, "the server is back"), 1);
	world_close(&w);
}

/* SIGKILL at several moments; each time another runner on the same folder. */
static void test_killed(void **state)
{
	struct world           w;
	pid_t                  pid = 0;
	CLEANUP_BUF struct buf want = BUF_INIT(8192);

	(void)state;
	SKIP_WITHOUT_SANDBOX();
	world_open(&w, "{\"id\":\"a\",\"uses\":\"run\",\"run\":\"echo up; echo ran >> ~/count; for i in $(seq 30); do echo line $i; sleep 0.05; done; echo x=7 >> $GITHUB_OUTPUT\"},"
	               "{\"uses\":\"run\",\"run\":\"echo ran >> ~/count; wc -l < ~/count\"}");
	for (int i = 0; i < 6; i++) {
		pid = runner_up(&w);
		clock_sleep_ms(100 + 170 * i);
		runner_down(pid, SIGKILL);
	}
	pid = runner_up(&w);
	assert_true(seen(is_finished));
	assert_string_equal(srv.result, "success");
	buf_addz(&want, "up\n");
	for (int i = 1; i <= 30; i++)
		buf_addf(&want, "line %d\n", i);
	if (!str_has_suffix(buf_str(&srv.log[0]), buf_str(&want)))
		fail_msg("log: %s", buf_z(&srv.log[0]));
	assert_str(buf_str(&srv.log[1]), "2\n");
	assert_str(buf_str(&srv.outputs), "{\"o\":\"7\"}http://x/7");
	runner_down(pid, SIGTERM);
	world_close(&w);
}

static void test_cancel(void **state)
{
	struct world w;
	pid_t        pid;

	(void)state;
	SKIP_WITHOUT_SANDBOX();
	world_open(&w, "{\"uses\":\"run\",\"run\":\"echo up; sleep 1000\"},{\"uses\":\"run\",\"if\":\"cancelled()\",\"run\":\"echo tidy\"}");
	pid = runner_up(&w);
	assert_true(seen(is_up));
	pthread_mutex_lock(&srv.lock);
	srv.cancel = true;
	pthread_mutex_unlock(&srv.lock);
	assert_true(seen(is_finished));
	assert_string_equal(srv.result, "cancelled");
	assert_string_equal(srv.cause, "cancelled by laptop");
	assert_string_equal(srv.state[0], "cancelled");
	assert_str(buf_str(&srv.log[1]), "tidy\n");
	runner_down(pid, SIGTERM);
	world_close(&w);
}

/* 410: the job belongs to somebody else now; its processes go, at once, and its folder. */
static void test_gone(void **state)
{
	struct world w;
	pid_t        pid;

	(void)state;
	SKIP_WITHOUT_SANDBOX();
	world_open(&w, "{\"uses\":\"run\",\"run\":\"trap '' INT TERM; echo up; sleep 1000; sleep 1000\"},{\"uses\":\"run\",\"if\":\"always()\",\"run\":\"echo no\"}");
	pid = runner_up(&w);
	assert_true(seen(is_up));
	pthread_mutex_lock(&srv.lock);
	srv.gone = true;
	pthread_mutex_unlock(&srv.lock);
	nothing_left(&w);
	assert_int_equal(srv.log[1].len, 0);
	assert_false(srv.finished);
	runner_down(pid, SIGTERM);
	world_close(&w);
}

/* A job whose folder cannot be made is given back at once, for another runner to try. */
static void test_given_back(void **state)
{
	struct world w;
	pid_t        pid;
	char         path[300], steps[sizeof(srv.steps_json)];
	struct err   err;

	(void)state;
	SKIP_WITHOUT_SANDBOX();
	world_open(&w, "{\"uses\":\"run\",\"run\":\"echo no\"}");
	memcpy(steps, srv.steps_json, sizeof(steps));
	srv.steps_json[0] = 0; /* no job yet */
	pid = runner_up(&w);
	for (int i = 0; i < 1000 && !srv.claims; i++)
		clock_sleep_ms(10);
	snprintf(path, sizeof(path), "%s/runner/jobs/J1-1", w.dir);
	assert_ok(fs_write_quick(path, STR("in the way"), 0600, &err), &err);
	pthread_mutex_lock(&srv.lock);
	memcpy(srv.steps_json, steps, sizeof(steps));
	pthread_mutex_unlock(&srv.lock);
	assert_true(seen(is_finished));
	assert_true(srv.retry);
	assert_string_equal(srv.result, "failure");
	assert_true(strstr(srv.cause, "J1-1") != NULL);
	runner_down(pid, SIGTERM);
	world_close(&w);
}

static void test_one_runner_per_folder(void **state)
{
	struct world         w;
	pid_t                pid;
	struct runner       *r;
	struct err           err;

	(void)state;
	SKIP_WITHOUT_SANDBOX();
	world_open(&w, "");
	pid = runner_up(&w);
	for (int i = 0; i < 1000 && !srv.claims; i++)
		clock_sleep_ms(10);
	struct runner_config cfg = { .data = w.dir, .server_url = w.url, .token = "t", .slots = 1, .exe = w.exe };
	assert_err(runner_start(&cfg, &r, &err), WEIR_EBUSY);
	runner_down(pid, SIGTERM);
	world_close(&w);
}

static int runner_process(char **argv)
{
	struct runner_config cfg = { .data = argv[2], .server_url = argv[3], .token = "t", .slots = 1, .exe = NULL };
	struct runner       *r;
	struct err           err;
	sigset_t             set;
	int                  sig;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (runner_start(&cfg, &r, &err)) {
		fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	sigwait(&set, &sig);
	runner_stop(r);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_job),    cmocka_unit_test(test_server_away), cmocka_unit_test(test_claims_of_an_absent_server), cmocka_unit_test(test_killed),
		                                cmocka_unit_test(test_cancel), cmocka_unit_test(test_gone), cmocka_unit_test(test_given_back),      cmocka_unit_test(test_one_runner_per_folder) };

	base_init();
	if (argc > 1 && !strcmp(argv[1], "guard"))
		return step_help_guard(argc, argv);
	if (argc > 3 && !strcmp(argv[1], "runner"))
		return runner_process(argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
