/* The room over real HTTP with a real git repository: a change becomes runs, a runner (this test) claims, reports and finishes, people look, cancel,
 * retry and dispatch; every refusal of the protocol. */
#include "lib/test.h"
#include "lib/gitrepo.h"

#include "base/hash.h"
#include "net/client.h"
#include "pipeline/pipeline.h"

#include <pthread.h>
#include <unistd.h>

static char                dir[256], repo[300], url[512], base[64];
static struct db          *db;
static struct event_log   *events;
static struct token_store *tokens;
static struct http_server *http;
static struct pipeline    *p;
static struct arena        a;
static char                runner_token[TOKEN_TEXT_SIZE], read_token[TOKEN_TEXT_SIZE], dev_token[TOKEN_TEXT_SIZE], other_token[TOKEN_TEXT_SIZE];

/* --- the world around --- */

static int source_open(void *ctx, str project, struct git_repo **ret, struct err *reterr)
{
	(void)ctx;
	if (!str_eqz(project, "shop"))
		return err_set(reterr, WEIR_ENOENT, "there is no project '%.*s'", STR_ARG(project));
	return git_repo_open(repo, NULL, ret, reterr);
}
static int source_path(void *ctx, str project, char *out, size_t size, struct err *reterr)
{
	(void)ctx;
	(void)project;
	(void)reterr;
	(void)snprintf(out, size, "%s", repo);
	return 0;
}
static int source_default(void *ctx, str project, char *out, size_t size, struct err *reterr)
{
	(void)ctx;
	(void)project;
	(void)reterr;
	(void)snprintf(out, size, "refs/heads/main");
	return 0;
}
static const struct source_ops source = { source_open, source_path, source_default, NULL };

static int setup(void **state)
{
	struct err             e = { 0 };
	struct http_config     hc = { .bind = "127.0.0.1", .loop_threads = 1, .worker_threads = 6, .connections_max = 64, .connections_per_ip_max = 64,
		                          .idle_timeout_ms = 30000, .header_timeout_ms = 10000, .body_timeout_ms = 10000, .clock = &clock_real };
	struct pipeline_config pc = { .data = dir, .server_url = base, .source = &source, .lease_ms = 600000 };
	const struct http_route *routes;
	size_t                   n;

	(void)state;
	arena_init(&a, 64 << 20);
	assert_ok(fs_temp_dir("weir-pipe-", dir, sizeof(dir), &e), &e);
	(void)snprintf(repo, sizeof(repo), "%s/shop", dir);
	(void)snprintf(url, sizeof(url), "sqlite:%s/weir.db", dir);
	assert_ok(fs_mkdirs(repo, 0755, &e), &e);
	test_sh(repo, "git init -q -b main . && mkdir -p .github/workflows src && echo x > src/a");
	assert_ok(db_open(url, &db, &e), &e);
	assert_ok(event_log_open(db, dir, &clock_real, &events, &e), &e);
	assert_ok(token_store_open(db, events, dir, &clock_real, &tokens, &e), &e);
	assert_ok(token_create(tokens, STR("runner"), SCOPE_RUNNER, STR_NULL, 0, STR("t"), runner_token, &e), &e);
	assert_ok(token_create(tokens, STR("reader"), SCOPE_READ, STR_NULL, 0, STR("t"), read_token, &e), &e);
	assert_ok(token_create(tokens, STR("laptop"), SCOPE_DEVELOP, STR_NULL, 0, STR("t"), dev_token, &e), &e);
	assert_ok(token_create(tokens, STR("other"), SCOPE_DEVELOP, STR("ledger"), 0, STR("t"), other_token, &e), &e);
	hc.authenticate = token_authenticate;
	hc.auth_ctx = tokens;
	assert_ok(http_server_new(&hc, &http, &e), &e);
	pc.db = db;
	pc.log = events;
	pc.tokens = tokens;
	pc.http = http;
	assert_ok(pipeline_open(&pc, &p, &e), &e);
	routes = pipeline_routes(&n);
	assert_ok(http_server_routes(http, routes, n, p, &e), &e);
	assert_ok(http_server_start(http, &e), &e);
	(void)snprintf(base, sizeof(base), "http://127.0.0.1:%u", http_server_port(http));
	assert_ok(pipeline_start(p, &e), &e);
	return 0;
}
static int teardown(void **state)
{
	struct err e = { 0 };

	(void)state;
	http = http_server_stop(http, 1000);
	p = pipeline_close(p);
	tokens = token_store_close(tokens);
	events = event_log_close(events);
	db = db_close(db);
	arena_fini(&a);
	return fs_remove_tree(dir, &e);
}

/* --- calls --- */

static int call(const char *token, const char *method, const char *path, const char *body, struct doc_node **ret)
{
	struct http_client *c;
	struct buf          out = BUF_INIT(16 << 20);
	struct err          e = { 0 };
	struct http_call    hc = HTTP_CALL_INIT;

	assert_ok(http_client_new(base, token, &c, &e), &e);
	hc.method = method;
	hc.path = path;
	hc.body = str_z(body);
	hc.out = &out;
	assert_ok(http_call(c, &hc, &e), &e);
	if (ret) {
		*ret = NULL;
		if (out.len && hc.content_type_out[0] && strstr(hc.content_type_out, "json"))
			assert_ok(doc_parse_json(&a, "answer", arena_str(&a, buf_str(&out)), ret, &e), &e);
	}
	buf_fini(&out);
	http_client_free(c);
	return hc.status;
}
#define fmt(...) arena_printf(&a, __VA_ARGS__)

static int log_call(const char *job, const char *lease, int step, int64_t offset, str bytes, int64_t *next)
{
	struct http_client *c;
	struct buf          out = BUF_INIT(1 << 16);
	struct err          e = { 0 };
	struct doc_node    *n = NULL;
	struct http_call    hc = HTTP_CALL_INIT;

	assert_ok(http_client_new(base, runner_token, &c, &e), &e);
	hc.method = "POST";
	hc.path = fmt("/api/v1/runner/jobs/%s/log?lease=%s&step=%d&offset=%lld", job, lease, step, (long long)offset);
	hc.content_type = "application/octet-stream";
	hc.body = bytes;
	hc.out = &out;
	assert_ok(http_call(c, &hc, &e), &e);
	assert_ok(doc_parse_json(&a, "answer", arena_str(&a, buf_str(&out)), &n, &e), &e);
	*next = doc_get_int(n, "next", -1);
	buf_fini(&out);
	http_client_free(c);
	return hc.status;
}

static const char *get_text(const char *path)
{
	struct http_client *c;
	struct buf          out = BUF_INIT(80 << 20);
	struct err          e = { 0 };
	struct http_call    hc = HTTP_CALL_INIT;

	assert_ok(http_client_new(base, read_token, &c, &e), &e);
	hc.path = path;
	hc.out = &out;
	assert_ok(http_call_ok(c, &hc, &e), &e);
	const char *s = arena_dup(&a, buf_str(&out));
	buf_fini(&out);
	http_client_free(c);
	return s;
}

/* Commits a workflow and hands the accepted change to the room, `times` times. */
static void push(const char *workflow, int64_t seq, int times)
{
	char         id[64], old[64] = "0000000000000000000000000000000000000000";
	struct event ev = { .project = STR("shop"), .seq = seq, .type = STR("change.accepted"), .actor = STR("token:laptop") };
	struct err   e = { 0 };
	char         file[400];

	if (seq > 1)
		(void)test_rev(repo, "HEAD", old);
	(void)snprintf(file, sizeof(file), "%s/.github/workflows/ci.yml", repo);
	assert_ok(fs_write_quick(file, str_z(workflow), 0644, &e), &e);
	test_sh(repo, "git add -A && ci 'Change it'");
	(void)test_rev(repo, "HEAD", id);
	ev.data = str_z(fmt("{\"ref\":\"refs/heads/main\",\"old\":\"%s\",\"new\":\"%s\",\"pusher\":\"token:laptop\"}", old, id));
	for (int i = 0; i < times; i++)
		assert_ok(pipeline_on_change(&ev, p, &e), &e);
}

static struct doc_node *claim(const char *lease, int want)
{
	struct doc_node *n;

	assert_int_equal(call(runner_token, "POST", "/api/v1/runner/claim",
	                      fmt("{\"runner\":\"r1\",\"labels\":[\"x\",\"ubuntu-latest\"],\"wait_ms\":0,\"claim\":\"%s\"}", lease), &n), want);
	return n;
}
static const char *field(const struct doc_node *n, const char *key)
{
	return arena_dup(&a, doc_get_str(n, key));
}
static int count_events(const char *type)
{
	struct event *ev;
	size_t        n;
	int           found = 0;
	struct err    e = { 0 };

	assert_ok(event_read(events, STR("shop"), 0, NULL, 0, 1000, &a, &ev, &n, &e), &e);
	for (size_t i = 0; i < n; i++)
		found += str_eqz(ev[i].type, type);
	return found;
}

#define TWO_STEPS "on: [push, workflow_dispatch]\njobs:\n  a:\n    runs-on: x\n    outputs: {v: '${{ steps.s.outputs.v }}'}\n    steps:\n" \
	"      - run: echo one\n      - id: s\n        run: echo two\n"

/* --- tests --- */

static void a_change_runs(void **state)
{
	struct doc_node *spec, *n;
	int64_t          next;

	(void)state;
	push(TWO_STEPS, 1, 3);
	assert_int_equal(count_events("run.queued"), 1); /* three deliveries, one run */
	spec = claim("claim-000000000001", 200);
	const char *job = field(spec, "job"), *run = field(spec, "run"), *token = field(spec, "token");
	assert_string_equal(field(doc_get(spec, "repository"), "url"), fmt("%s/git/shop.git", base));
	assert_str(doc_path(spec, "contexts.github.actor")->s, "laptop");
	assert_str(doc_path(spec, "contexts.github.event.head_commit.message")->s, "Change it");
	claim("claim-000000000002", 204);

	/* the log: repeated bytes, a gap, a token that came in two pieces */
	assert_int_equal(log_call(job, "claim-000000000001", 0, 0, STR("hello "), &next), 200);
	assert_int_equal(next, 6);
	assert_int_equal(log_call(job, "claim-000000000001", 0, 0, STR("hello world\n"), &next), 200);
	assert_int_equal(next, 12);
	assert_int_equal(log_call(job, "claim-000000000001", 0, 0, STR("hello"), &next), 200);
	assert_int_equal(next, 12);
	assert_int_equal(log_call(job, "claim-000000000001", 0, 20, STR("x"), &next), 409);
	assert_int_equal(next, 12);
	assert_int_equal(log_call(job, "claim-000000000001", 1, 0, str_z(fmt("token %.20s", token)), &next), 200);
	assert_int_equal(log_call(job, "claim-000000000001", 1, next, str_z(fmt("%s!\n", token + 20)), &next), 200);
	assert_int_equal(log_call(job, "claim-000000000001", 2, 0, STR("x"), &next), 400);
	assert_int_equal(log_call(job, "claim-wrongwrongwr", 0, 12, STR("x"), &next), 410);
	const char *log = get_text(fmt("/api/v1/runs/%s/jobs/%s/log", run, job));
	assert_string_equal(log, "hello world\ntoken *****************************************************!\n");
	assert_string_equal(get_text(fmt("/api/v1/runs/%s/jobs/%s/log?step=0&offset=6", run, job)), "world\n");

	assert_int_equal(call(runner_token, "POST", fmt("/api/v1/runner/jobs/%s/steps", job),
	                      "{\"lease\":\"claim-000000000001\",\"step\":0,\"state\":\"running\",\"name\":\"Run echo one\",\"started\":1000}", NULL), 200);
	assert_int_equal(call(runner_token, "POST", fmt("/api/v1/runner/jobs/%s/steps", job),
	                      "{\"lease\":\"claim-000000000001\",\"step\":0,\"state\":\"success\",\"exit\":0,\"ended\":3000000}", NULL), 200);
	assert_int_equal(call(runner_token, "GET", fmt("/api/v1/runner/jobs/%s/state?lease=claim-000000000001", job), NULL, &n), 200);
	assert_int_equal(doc_get_int(doc_at(doc_get(n, "steps"), 0), "log_next", -1), 12);
	assert_string_equal(field(doc_at(doc_get(n, "steps"), 0), "state"), "success");
	assert_int_equal(call(runner_token, "POST", fmt("/api/v1/runner/jobs/%s/renew", job), "{\"lease\":\"claim-000000000001\"}", &n), 200);
	assert_false(doc_get_bool(n, "cancel", true));
	for (int i = 0; i < 2; i++)
		assert_int_equal(call(runner_token, "POST", fmt("/api/v1/runner/jobs/%s/finish", job),
		                      "{\"lease\":\"claim-000000000001\",\"result\":\"success\",\"outputs\":{\"v\":\"7\"},\"cause\":\"\"}", NULL), 200);
	assert_int_equal(call(read_token, "GET", fmt("/api/v1/runs/%s", run), NULL, &n), 200);
	assert_string_equal(field(n, "result"), "success");
	assert_string_equal(field(n, "state"), "finished");
	const struct doc_node *j = doc_at(doc_get(n, "jobs"), 0);
	assert_string_equal(field(doc_get(j, "outputs"), "v"), "7");
	assert_string_equal(field(doc_at(doc_get(j, "steps"), 0), "name"), "Run echo one");
	assert_string_equal(field(doc_at(doc_get(j, "steps"), 1), "state"), "skipped");
	assert_int_equal(count_events("run.started") + count_events("job.started") + count_events("step.finished") + count_events("job.finished") +
	                 count_events("run.finished"), 5);
	/* the job's token has ended with it */
	struct http_identity who;
	assert_int_equal(token_authenticate(tokens, STR("bearer"), str_z(token), &who, NULL), -WEIR_EAUTH);
}

static void job_token(void **state)
{
	struct http_identity who;
	struct err           e = { 0 };
	struct doc_node     *spec;

	(void)state;
	push(TWO_STEPS, 1, 1);
	spec = claim("claim-000000000001", 200);
	assert_ok(token_authenticate(tokens, STR("bearer"), doc_get_str(spec, "token"), &who, &e), &e);
	assert_int_equal(who.scope, SCOPE_JOB);
	assert_string_equal(who.subject, field(spec, "job"));
	assert_string_equal(who.project, "shop");
	/* claimed again after a lost answer: the same job, a new token, the old one is dead */
	struct doc_node *again = claim("claim-000000000001", 200);
	assert_string_equal(field(again, "job"), field(spec, "job"));
	assert_int_equal(token_authenticate(tokens, STR("bearer"), doc_get_str(spec, "token"), &who, NULL), -WEIR_EAUTH);
	assert_int_equal(count_events("job.started"), 1);
}

static void skipped_and_invalid(void **state)
{
	struct event *ev;
	size_t        n;
	struct err    e = { 0 };

	(void)state;
	push("on: {push: {branches: [dev]}}\njobs:\n  a: {runs-on: x, steps: [{run: x}]}\n", 1, 1);
	push("on: {push: {paths: ['doc/**']}}\njobs:\n  a: {runs-on: x, steps: [{run: x}]}\n", 2, 1);
	push("on: push\njobs:\n  a: {runs-on: x, setps: [{run: x}]}\n", 3, 2);
	assert_ok(event_read(events, STR("shop"), 0, NULL, 0, 100, &a, &ev, &n, &e), &e);
	assert_int_equal(n, 3);
	static const char *const want[] = { "branches: branch 'main' matches no pattern", "paths: none of the 1 changed files matches",
		"invalid: .github/workflows/ci.yml:3:" };
	for (size_t i = 0; i < n; i++) {
		assert_str(ev[i].type, "run.skipped");
		assert_true(str_contains(ev[i].data, str_z(want[i])));
	}
}

/* A project that is gone, a commit that is not there: said once, and the stream goes on. */
static void never_stuck(void **state)
{
	struct event  ev = { .project = STR("shop"), .seq = 9, .type = STR("change.accepted"), .actor = STR("token:laptop"),
		                 .data = STR("{\"ref\":\"refs/heads/main\",\"old\":\"1111111111111111111111111111111111111111\","
		                             "\"new\":\"2222222222222222222222222222222222222222\",\"pusher\":\"token:laptop\"}") };
	struct event *seen;
	size_t        n;
	struct err    e = { 0 };

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_ok(pipeline_on_change(&ev, p, &e), &e);
	assert_int_equal(count_events("run.skipped"), 1);
	ev.project = STR("gone");
	for (int i = 0; i < 2; i++)
		assert_ok(pipeline_on_change(&ev, p, &e), &e);
	assert_ok(event_read(events, STR("gone"), 0, NULL, 0, 100, &a, &seen, &n, &e), &e);
	assert_int_equal(n, 1);
	assert_true(str_contains(seen[0].data, STR("there is no project 'gone'")));
}

static void dispatching(void **state)
{
	struct doc_node *n;

	(void)state;
	push("run-name: Level ${{ inputs.level }}\non:\n  workflow_dispatch:\n    inputs:\n      level: {type: choice, options: [low, high], required: true}\njobs:\n  a: {runs-on: x, steps: [{run: x}]}\n",
	     1, 1);
	assert_int_equal(count_events("run.queued"), 0);
	assert_int_equal(call(dev_token, "POST", "/api/v1/projects/shop/dispatch", "{\"workflow\":\"ci\",\"inputs\":{\"level\":\"high\"}}", &n), 201);
	assert_string_equal(field(n, "event"), "workflow_dispatch");
	assert_string_equal(field(n, "ref"), "refs/heads/main");
	assert_string_equal(field(n, "actor"), "laptop");
	assert_string_equal(field(n, "name"), "Level high");
	n = claim("claim-000000000001", 200);
	assert_str(doc_path(n, "contexts.inputs.level")->s, "high");
	static const struct { const char *body; int status; } bad[] = {
		{ "{\"workflow\":\"ci\"}", 400 }, { "{\"workflow\":\"ci\",\"inputs\":{\"level\":\"mid\"}}", 400 }, { "{\"workflow\":\"none\"}", 404 },
		{ "{\"workflow\":\"ci\",\"ref\":\"nowhere\"}", 404 }, { "{\"workflow\":\"ci\",\"wat\":1}", 400 }, { "{}", 400 },
		{ "{\"workflow\":\"ci\",\"inputs\":[]}", 400 } };
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (call(dev_token, "POST", "/api/v1/projects/shop/dispatch", bad[i].body, NULL) != bad[i].status)
			fail_msg("%s", bad[i].body);
	assert_int_equal(call(read_token, "POST", "/api/v1/projects/shop/dispatch", "{\"workflow\":\"ci\"}", NULL), 403);
	assert_int_equal(call(dev_token, "POST", "/api/v1/projects/none/dispatch", "{\"workflow\":\"ci\"}", NULL), 404);
}

static void who_may(void **state)
{
	struct doc_node *spec, *n;

	(void)state;
	push(TWO_STEPS, 1, 1);
	assert_int_equal(call(read_token, "POST", "/api/v1/runner/claim", "{\"runner\":\"r\",\"labels\":[],\"claim\":\"claim-000000000009\"}", NULL), 403);
	assert_int_equal(call(NULL, "GET", "/api/v1/runs", NULL, NULL), 401);
	spec = claim("claim-000000000001", 200);
	const char *run = field(spec, "run");
	assert_int_equal(call(runner_token, "GET", fmt("/api/v1/runs/%s", run), NULL, NULL), 403);
	assert_int_equal(call(read_token, "POST", fmt("/api/v1/runs/%s/cancel", run), NULL, NULL), 403);
	/* a token of another project sees nothing of it */
	assert_int_equal(call(other_token, "GET", fmt("/api/v1/runs/%s", run), NULL, NULL), 404);
	assert_int_equal(call(other_token, "POST", fmt("/api/v1/runs/%s/cancel", run), NULL, NULL), 404);
	assert_int_equal(call(other_token, "GET", fmt("/api/v1/runs/%s/jobs/%s/log", run, field(spec, "job")), NULL, NULL), 404);
	assert_int_equal(call(other_token, "GET", "/api/v1/runs", NULL, &n), 200);
	assert_int_equal(doc_len(doc_get(n, "runs")), 0);
	assert_int_equal(call(other_token, "GET", "/api/v1/projects/shop/runs", NULL, NULL), 403);
	assert_int_equal(call(read_token, "GET", "/api/v1/projects/shop/runs?limit=10", NULL, &n), 200);
	assert_int_equal(doc_len(doc_get(n, "runs")), 1);
	assert_int_equal(call(read_token, "GET", "/api/v1/runs?limit=0", NULL, NULL), 400);
	assert_int_equal(call(read_token, "GET", "/api/v1/runs/nope", NULL, NULL), 404);
	assert_int_equal(call(read_token, "GET", fmt("/api/v1/runs/%s/jobs/nope/log", run), NULL, NULL), 404);
}

static void bad_bodies(void **state)
{
	static const char *const claims[] = { "{}", "[]", "{\"runner\":\"r\",\"labels\":[],\"claim\":\"short\"}",
		"{\"runner\":\"a b\",\"labels\":[],\"claim\":\"claim-000000000001\"}", "{\"runner\":\"r\",\"labels\":\"x\",\"claim\":\"claim-000000000001\"}",
		"{\"runner\":\"r\",\"labels\":[\"a,b\"],\"claim\":\"claim-000000000001\"}", "{\"runner\":\"r\",\"labels\":[],\"claim\":\"claim-000000000001\",\"wait_ms\":30000}",
		"{\"runner\":\"r\",\"labels\":[],\"claim\":\"claim-000000000001\",\"more\":1}" };
	static const char *const finishes[] = { "{\"lease\":\"claim-000000000001\",\"result\":\"fine\"}",
		"{\"lease\":\"claim-000000000001\",\"result\":\"success\",\"outputs\":[]}", "{\"lease\":\"claim-000000000001\",\"result\":\"success\",\"outputs\":{\"a\":1}}" };
	struct doc_node *spec;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(claims); i++)
		if (call(runner_token, "POST", "/api/v1/runner/claim", claims[i], NULL) != 400)
			fail_msg("%s", claims[i]);
	push(TWO_STEPS, 1, 1);
	spec = claim("claim-000000000001", 200);
	for (size_t i = 0; i < ARRAY_SIZE(finishes); i++)
		if (call(runner_token, "POST", fmt("/api/v1/runner/jobs/%s/finish", field(spec, "job")), finishes[i], NULL) != 400)
			fail_msg("%s", finishes[i]);
	assert_int_equal(call(runner_token, "POST", fmt("/api/v1/runner/jobs/%s/steps", field(spec, "job")),
	                      "{\"lease\":\"claim-000000000001\",\"step\":0,\"state\":\"odd\"}", NULL), 400);
	assert_int_equal(call(runner_token, "POST", "/api/v1/runner/jobs/nope/renew", "{\"lease\":\"claim-000000000001\"}", NULL), 404);
	assert_int_equal(call(runner_token, "POST", fmt("/api/v1/runner/jobs/%s/renew", field(spec, "job")), "{\"lease\":\"claim-000000000002\"}", NULL), 410);
	assert_int_equal(call(runner_token, "POST", fmt("/api/v1/runner/jobs/%s/renew", field(spec, "job")), "{}", NULL), 410);
}

static void cancel_and_retry(void **state)
{
	struct doc_node *spec, *n;

	(void)state;
	push(TWO_STEPS, 1, 1);
	spec = claim("claim-000000000001", 200);
	const char *run = field(spec, "run"), *job = field(spec, "job");
	assert_int_equal(call(dev_token, "POST", fmt("/api/v1/runs/%s/retry", run), NULL, NULL), 409);
	assert_int_equal(call(dev_token, "POST", fmt("/api/v1/runs/%s/cancel", run), NULL, &n), 200);
	assert_string_equal(field(n, "cancel_cause"), "cancelled: by token:laptop");
	assert_int_equal(call(runner_token, "POST", fmt("/api/v1/runner/jobs/%s/renew", job), "{\"lease\":\"claim-000000000001\"}", &n), 200);
	assert_true(doc_get_bool(n, "cancel", false));
	assert_string_equal(field(n, "cause"), "cancelled: by token:laptop");
	assert_int_equal(call(runner_token, "POST", fmt("/api/v1/runner/jobs/%s/finish", job), "{\"lease\":\"claim-000000000001\",\"result\":\"cancelled\"}", NULL), 200);
	assert_int_equal(call(dev_token, "POST", fmt("/api/v1/runs/%s/cancel", run), NULL, NULL), 409);
	assert_int_equal(call(dev_token, "POST", fmt("/api/v1/runs/%s/retry", run), NULL, &n), 200);
	assert_int_equal(doc_get_int(n, "attempt", 0), 2);
	spec = claim("claim-000000000002", 200);
	assert_string_not_equal(field(spec, "job"), job);
	assert_str(doc_path(spec, "contexts.github.run_attempt")->text, "2");
}

/* --- waiting and streaming --- */

struct waiter {
	int              status;
	struct doc_node *spec;
};
static void *wait_main(void *arg)
{
	struct waiter      *w = arg;
	struct http_client *c = NULL;
	struct http_call    hc = HTTP_CALL_INIT;

	if (http_client_new(base, runner_token, &c, NULL) == 0) {
		hc.method = "POST";
		hc.path = "/api/v1/runner/claim";
		hc.body = STR("{\"runner\":\"r1\",\"labels\":[\"x\"],\"wait_ms\":20000,\"claim\":\"claim-000000000077\"}");
		if (http_call(c, &hc, NULL) == 0)
			w->status = hc.status;
	}
	http_client_free(c);
	return NULL;
}

static void long_poll(void **state)
{
	struct waiter w = { 0 };
	pthread_t     t;

	(void)state;
	assert_int_equal(pthread_create(&t, NULL, wait_main, &w), 0);
	clock_sleep_ms(300);
	push(TWO_STEPS, 1, 1); /* the claim gets it without waiting for its end */
	pthread_join(t, NULL);
	assert_int_equal(w.status, 200);
}

struct stream {
	struct buf got;
	const char *until;
};
static int take(void *ctx, str piece)
{
	struct stream *s = ctx;

	buf_add_str(&s->got, piece);
	return s->until && str_contains(buf_str(&s->got), str_z(s->until)) ? -1 : 0;
}
static void *stream_main(void *arg)
{
	void              **args = arg;
	struct stream      *s = args[0];
	struct http_client *c = NULL;
	struct http_call    hc = HTTP_CALL_INIT;

	if (http_client_new(base, read_token, &c, NULL) == 0) {
		hc.path = args[1];
		hc.timeout_ms = 30000;
		hc.sink = take;
		hc.sink_ctx = s;
		(void)!http_call(c, &hc, NULL);
	}
	http_client_free(c);
	return NULL;
}

static void streams(void **state)
{
	struct stream    runs = { BUF_INIT(8 << 20), NULL }, logs = { BUF_INIT(8 << 20), NULL };
	struct doc_node *spec;
	pthread_t        t1, t2;
	int64_t          next;

	(void)state;
	push(TWO_STEPS, 1, 1);
	spec = claim("claim-000000000001", 200);
	const char *job = field(spec, "job"), *run = field(spec, "run");
	void       *a1[] = { &runs, fmt("/api/v1/runs/%s/stream", run) }, *a2[] = { &logs, fmt("/api/v1/runs/%s/jobs/%s/log/stream", run, job) };
	assert_int_equal(log_call(job, "claim-000000000001", 0, 0, STR("early\n"), &next), 200);
	assert_int_equal(pthread_create(&t1, NULL, stream_main, a1), 0);
	assert_int_equal(pthread_create(&t2, NULL, stream_main, a2), 0);
	clock_sleep_ms(200);
	assert_int_equal(log_call(job, "claim-000000000001", 0, next, STR("late\n"), &next), 200);
	assert_int_equal(log_call(job, "claim-000000000001", 1, 0, STR("second step\n"), &next), 200);
	assert_int_equal(call(runner_token, "POST", fmt("/api/v1/runner/jobs/%s/finish", job), "{\"lease\":\"claim-000000000001\",\"result\":\"success\"}", NULL), 200);
	pthread_join(t1, NULL); /* both end by themselves with the run */
	pthread_join(t2, NULL);
	assert_non_null(strstr(buf_z(&runs.got), "\"state\":\"finished\""));
	assert_non_null(strstr(buf_z(&logs.got), "{\"step\":0,\"offset\":0,\"text\":\"early"));
	assert_non_null(strstr(buf_z(&logs.got), "late"));
	assert_non_null(strstr(buf_z(&logs.got), "{\"step\":1,\"offset\":0,\"text\":\"second step"));
	/* from a position on: nothing before it comes again */
	buf_clear(&logs.got);
	a2[1] = fmt("/api/v1/runs/%s/jobs/%s/log/stream?last_event_id=6", run, job);
	stream_main(a2);
	assert_null(strstr(buf_z(&logs.got), "early"));
	assert_non_null(strstr(buf_z(&logs.got), "{\"step\":0,\"offset\":6,\"text\":\"late"));
	buf_fini(&runs.got);
	buf_fini(&logs.got);
}

static void log_limit(void **state)
{
	struct doc_node *spec;
	struct buf       b = BUF_INIT((1 << 20) + 1);
	int64_t          next = 0;
	int              status = 200;

	(void)state;
	push(TWO_STEPS, 1, 1);
	spec = claim("claim-000000000001", 200);
	memset(buf_reserve(&b, 1 << 20), 'x', 1 << 20);
	b.len = 1 << 20;
	for (int i = 0; i < 64 && status == 200; i++)
		status = log_call(field(spec, "job"), "claim-000000000001", 0, next, buf_str(&b), &next);
	assert_int_equal(status, 200);
	assert_int_equal(log_call(field(spec, "job"), "claim-000000000001", 0, next, STR("one more"), &next), 413);
	assert_int_equal(next, 64 << 20);
	buf_fini(&b);
}

/* --- the gate's check --- */

struct found {
	size_t n;
	char   text[2000];
};
static int note(void *ctx, const struct finding *f, struct err *reterr)
{
	struct found *x = ctx;
	size_t        at = strlen(x->text);

	(void)reterr;
	x->n++;
	(void)snprintf(x->text + at, sizeof(x->text) - at, "%.*s:%u:%u %.*s;", STR_ARG(f->path), f->line, f->col, STR_ARG(f->message));
	return 0;
}

static void file_check(void **state)
{
	struct found        f = { 0 };
	struct finding_sink sink = { note, &f };
	struct change       c = { .project = STR("shop"), .ref = STR("refs/heads/main") };
	struct change_file  file = { STR(".weir/workflows/x.yml"), STR("on: push\njobs:\n  a: {runs-on: x, setps: []}\n") };
	struct err          e = { 0 };

	(void)state;
	test_sh(repo, "printf 'on: push\\njobs:\\n  a: {runs-on: x, stps: [{run: x}]}\\n' > .github/workflows/bad.yml; echo a: > .github/workflows/note.txt; git add -A; ci one");
	assert_ok(git_repo_open(repo, NULL, &c.repo, &e), &e);
	(void)snprintf(c.old_id, sizeof(c.old_id), "%s", git_zero_id);
	(void)test_rev(repo, "HEAD", c.new_id);
	assert_ok(pipeline_file_check.run(pipeline_file_check.ctx, &c, &sink, &e), &e);
	assert_non_null(strstr(f.text, ".github/workflows/bad.yml:3:19 unknown key 'stps' in a job (did you mean 'steps'?);"));
	/* what was bad before and is not touched is not this push's problem */
	memset(&f, 0, sizeof(f));
	memcpy(c.old_id, c.new_id, sizeof(c.old_id));
	test_sh(repo, "echo y > src/b; git add -A; ci two");
	(void)test_rev(repo, "HEAD", c.new_id);
	assert_ok(pipeline_file_check.run(pipeline_file_check.ctx, &c, &sink, &e), &e);
	assert_int_equal(f.n, 0);
	c.files = &file;
	c.n_files = 1;
	assert_ok(pipeline_file_check.run(pipeline_file_check.ctx, &c, &sink, &e), &e);
	assert_non_null(strstr(f.text, ".weir/workflows/x.yml:3:19 unknown key 'setps'"));
	git_repo_close(c.repo);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = { T(a_change_runs), T(job_token), T(skipped_and_invalid), T(never_stuck), T(dispatching), T(who_may), T(bad_bodies),
		T(cancel_and_retry), T(long_poll), T(streams), T(log_limit), T(file_check) };

	base_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
