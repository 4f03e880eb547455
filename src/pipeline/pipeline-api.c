/* pipeline-api.c - the room's routes: runs and their logs for people and programs; the runner protocol's are in runner-api.c.
 * A token that is bound to a project sees that project's runs only. Handlers run on worker threads. */
#include "base/base.h"

#include "base/limits.h"
#include "pipeline/run-internal.h"

enum { RUNS_DEFAULT = 50, RUNS_MAX = 500 };

/* --- who may --- */

static int may_see(const struct http_req *req, str project, struct err *reterr)
{
	const struct http_identity *who = http_who(req);

	if (who->project[0] && !str_eqz(project, who->project))
		return err_set(reterr, WEIR_ENOENT, "not found");
	return 0;
}

struct lookup { /* project of a run or job */
	str           run, job, project;
	struct arena *keep;
};

static int find_project(struct turn *t, void *arg, struct err *reterr)
{
	struct lookup *l = arg;
	bool           found = false;
	str            s;
	int rc = l->job.len ? db_get_str(t->tx, reterr, t->a, &s, &found,
	                                 "SELECT r.project FROM pl_job j JOIN pl_run r ON r.id = j.run WHERE j.id = $1 AND r.id = $2", "ss", l->job,
	                                 l->run)
	                    : db_get_str(t->tx, reterr, t->a, &s, &found, "SELECT project FROM pl_run WHERE id = $1", "s", l->run);

	if (rc == 0 && !found)
		return err_set(reterr, WEIR_ENOENT, "there is no %s '%.*s'", l->job.len ? "job" : "run", STR_ARG(l->job.len ? l->job : l->run));
	if (rc == 0)
		l->project = arena_str(l->keep, s);
	return rc;
}

static int check_access(struct http_req *req, struct pipeline *p, str run, str job, struct err *reterr)
{
	struct lookup l = { .run = run, .job = job, .keep = http_arena(req) };
	int           rc = turn_read(p, find_project, &l, reterr);

	return rc ? rc : may_see(req, l.project, reterr);
}

static str actor_of(struct http_req *req)
{
	return str_z(arena_printf(http_arena(req), "token:%s", http_who(req)->name));
}

static void answer_json(struct http_req *req, const struct buf *b)
{
	http_type(req, "application/json");
	buf_add_str(http_out(req), buf_str(b));
}

/* --- reading --- */

struct json_query {
	str         project, commit, run;
	size_t      max;
	struct buf *out;
};

static int json_turn(struct turn *t, void *arg, struct err *reterr)
{
	struct json_query *q = arg;
	struct jw          w;
	int                rc;

	buf_clear(q->out);
	jw_init(&w, q->out);
	rc = q->run.len ? run_write_json(t, q->run, &w, reterr) : runs_write_json(t, q->project, q->commit, q->max, &w, reterr);
	return rc ? rc : buf_check(q->out, "runs", reterr);
}

int pipeline_run_json(struct pipeline *p, str run, struct buf *out, struct err *reterr)
{
	struct json_query q = { .run = run, .out = out };

	if (run.len == 0)
		return err_set(reterr, WEIR_ENOENT, "there is no run ''");
	return turn_read(p, json_turn, &q, reterr);
}

int pipeline_runs_json(struct pipeline *p, str project, str commit, size_t max, struct buf *out, struct err *reterr)
{
	struct json_query q = { .project = project, .commit = commit, .max = max < RUNS_MAX ? max : RUNS_MAX, .out = out };

	return turn_read(p, json_turn, &q, reterr);
}

static int answer_runs(struct http_req *req, struct pipeline *p, str project, struct err *reterr)
{
	CLEANUP_BUF struct buf out = BUF_INIT(LIMIT_DOC_BYTES);
	int64_t                max = http_query_int(req, "limit", RUNS_DEFAULT);
	str                    mine = str_z(http_who(req)->project);

	if (project.len == 0 && mine.len)
		project = mine;
	int rc = project.len ? may_see(req, project, reterr) : 0;
	if (rc == 0)
		rc = pipeline_runs_json(p, project, http_query(req, "commit"), (size_t)max, &out, reterr);
	if (rc == 0)
		answer_json(req, &out);
	return rc;
}

static int get_all_runs(struct http_req *req, void *ctx, struct err *reterr)
{
	return answer_runs(req, ctx, STR_NULL, reterr);
}

static int get_project_runs(struct http_req *req, void *ctx, struct err *reterr)
{
	return answer_runs(req, ctx, http_param(req, "project"), reterr);
}

static int get_run(struct http_req *req, void *ctx, struct err *reterr)
{
	CLEANUP_BUF struct buf out = BUF_INIT(LIMIT_DOC_BYTES);
	int                    rc = check_access(req, ctx, http_param(req, "run"), STR_NULL, reterr);

	if (rc == 0)
		rc = pipeline_run_json(ctx, http_param(req, "run"), &out, reterr);
	if (rc == 0)
		answer_json(req, &out);
	return rc;
}

/* --- logs --- */

struct log_query {
	str           job, run;
	int64_t       attempt, steps;
	struct arena *keep;
};

static int log_turn(struct turn *t, void *arg, struct err *reterr)
{
	struct log_query *q = arg;
	struct job_row    j;
	str               run;
	int               rc = job_load(t, q->job, &j, &run, reterr);

	if (rc)
		return rc;
	q->attempt = j.attempt;
	q->run = arena_str(q->keep, run);
	return db_get_int(t->tx, reterr, &q->steps, NULL, "SELECT count(*) FROM pl_step WHERE job = $1 AND attempt = $2", "si", q->job, j.attempt);
}

int pipeline_log_read(struct pipeline *p, str job, int64_t step, int64_t offset, struct buf *out, int64_t *ret_total, struct err *reterr)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(1 << 16);
	struct log_query           q = { .job = job, .keep = &a };
	int                        rc = turn_read(p, log_turn, &q, reterr);

	return rc ? rc : job_log_read(p, q.run, job, q.attempt, step, offset, out, ret_total, reterr);
}

/* One step from an offset, or all steps one after the other. */
static int get_log(struct http_req *req, void *ctx, struct err *reterr)
{
	struct pipeline *p = ctx;
	struct log_query q = { .job = http_param(req, "job"), .keep = http_arena(req) };
	int64_t          step = http_query_int(req, "step", -1), offset = http_query_int(req, "offset", 0), total;
	int              rc = check_access(req, p, http_param(req, "run"), q.job, reterr);

	if (rc == 0 && http_query(req, "offset").ptr && step < 0)
		return err_set(reterr, WEIR_EINVAL, "'offset' belongs to a 'step'");
	if (rc == 0)
		rc = turn_read(p, log_turn, &q, reterr);
	http_type(req, "text/plain; charset=utf-8");
	for (int64_t i = step < 0 ? 0 : step; rc == 0 && i < (step < 0 ? q.steps : step + 1); i++) {
		rc = job_log_read(p, q.run, q.job, q.attempt, i, offset, http_out(req), &total, reterr);
		if (step >= 0)
			http_set_headerf(req, "X-Log-Size", "%lld", (long long)total);
	}
	return rc;
}

/* --- acting --- */

struct action {
	str  run;
	str  cause;
	bool retry;
};

static int act_turn(struct turn *t, void *arg, struct err *reterr)
{
	struct action *x = arg;
	struct run    *r = NULL;
	int            rc = run_load(t, x->run, &r, reterr);

	if (rc)
		return rc;
	if (x->retry)
		return run_retry(t, r, reterr);
	if (r->state == RUN_FINISHED)
		return err_set(reterr, WEIR_ECONFLICT, "run %.*s has ended already: %s", STR_ARG(r->id), plan_result_name(r->result));
	return run_cancel(t, r, arena_str(t->a, x->cause), reterr);
}

int pipeline_cancel(struct pipeline *p, str run, str by, struct err *reterr)
{
	char          cause[200];
	struct action x = { .run = run };

	(void)snprintf(cause, sizeof(cause), "cancelled: by %.*s", STR_ARG(by));
	x.cause = str_z(cause);
	return turn_write(p, by, act_turn, &x, reterr);
}

static int answer_run(struct http_req *req, struct pipeline *p, str run, struct err *reterr)
{
	CLEANUP_BUF struct buf out = BUF_INIT(LIMIT_DOC_BYTES);
	int                    rc = pipeline_run_json(p, run, &out, reterr);

	if (rc == 0)
		answer_json(req, &out);
	return rc;
}

static int post_cancel(struct http_req *req, void *ctx, struct err *reterr)
{
	str run = http_param(req, "run");
	int rc = check_access(req, ctx, run, STR_NULL, reterr);

	if (rc == 0)
		rc = pipeline_cancel(ctx, run, actor_of(req), reterr);
	return rc ? rc : answer_run(req, ctx, run, reterr);
}

static int post_retry(struct http_req *req, void *ctx, struct err *reterr)
{
	struct action x = { .run = http_param(req, "run"), .retry = true };
	int           rc = check_access(req, ctx, x.run, STR_NULL, reterr);

	if (rc == 0)
		rc = turn_write(ctx, actor_of(req), act_turn, &x, reterr);
	return rc ? rc : answer_run(req, ctx, x.run, reterr);
}

static int post_dispatch(struct http_req *req, void *ctx, struct err *reterr)
{
	static const char *const keys[] = { "workflow", "ref", "inputs", NULL };
	struct doc_node         *body;
	struct doc_check         c;
	struct dispatch          d = { .project = http_param(req, "project"), .actor = actor_of(req) };
	int                      rc = may_see(req, d.project, reterr);

	if (rc == 0)
		rc = http_body_json(req, &body, reterr);
	if (rc)
		return rc;
	doc_check_init(&c, http_arena(req), "body");
	if (doc_is_map(&c, body, "the body", keys)) {
		d.workflow = doc_want_str(&c, doc_need(&c, body, "workflow"), "'workflow'");
		d.ref = doc_get(body, "ref") ? doc_want_str(&c, doc_get(body, "ref"), "'ref'") : STR_NULL;
		d.inputs = doc_get(body, "inputs");
		if (d.inputs && d.inputs->kind != DOC_MAP)
			doc_error(&c, d.inputs, "'inputs' must be an object");
	}
	rc = doc_check_result(&c, reterr);
	if (rc == 0)
		rc = pipeline_dispatch(ctx, &d, reterr);
	if (rc)
		return rc;
	http_status(req, 201);
	return answer_run(req, ctx, str_z(d.ret_run), reterr);
}

#define LEASE_DOC "{\"type\":\"object\",\"required\":[\"lease\"],\"properties\":{\"lease\":{\"type\":\"string\"}}}"

static const struct http_query_param runs_query[] = {
	{ .name = "limit", .kind = QUERY_INT, .min = 1, .max = RUNS_MAX, .doc = "how many at most" },
	{ .name = "commit", .doc = "of this commit only" },
	{ 0 },
};
static const struct http_query_param log_query[] = {
	{ .name = "step", .kind = QUERY_INT, .max = LIMIT_JOB_STEPS, .doc = "number of the step from 0 on; all steps when absent" },
	{ .name = "offset", .kind = QUERY_INT, .max = INT64_MAX, .doc = "bytes of the step to leave out" },
	{ 0 },
};
static const struct http_query_param stream_query[] = { SSE_QUERY, { 0 } };
static const struct http_query_param log_post_query[] = {
	{ .name = "lease", .required = true, .doc = "of the job" },
	{ .name = "step", .kind = QUERY_INT, .required = true, .max = LIMIT_JOB_STEPS, .doc = "number of the step from 0 on" },
	{ .name = "offset", .kind = QUERY_INT, .required = true, .max = INT64_MAX, .doc = "where in the step's log the bytes belong" },
	{ 0 },
};
static const struct http_query_param state_query[] = { { .name = "lease", .required = true, .doc = "of the job" }, { 0 } };

static const struct http_route routes[] = {
	{ "GET", "/api/v1/runs", HTTP_WORKER, SCOPE_READ, 0, get_all_runs, "Runs of all projects, newest first", NULL, NULL, runs_query },
	{ "GET", "/api/v1/projects/:project/runs", HTTP_WORKER, SCOPE_READ, 0, get_project_runs, "Runs of a project, newest first", NULL, NULL, runs_query },
	{ "GET", "/api/v1/runs/:run", HTTP_WORKER, SCOPE_READ, 0, get_run, "A run with its jobs, steps and causes", NULL, NULL },
	{ "GET", "/api/v1/runs/:run/jobs/:job/log", HTTP_WORKER, SCOPE_READ, 0, get_log, "Log of a job, or of one step from a byte offset on", NULL, NULL, log_query },
	{ "GET", "/api/v1/runs/:run/stream", HTTP_SSE, SCOPE_READ, 0, pipeline_api_run_stream, "The run as JSON at each change", NULL, NULL, stream_query },
	{ "GET", "/api/v1/runs/:run/jobs/:job/log/stream", HTTP_SSE, SCOPE_READ, 0, pipeline_api_log_stream, "Log of a job as it grows", NULL, NULL, stream_query },
	{ "POST", "/api/v1/runs/:run/cancel", HTTP_WORKER, SCOPE_DEVELOP, LIMIT_HTTP_BODY_BYTES, post_cancel, "Cancels a run", NULL, NULL },
	{ "POST", "/api/v1/runs/:run/retry", HTTP_WORKER, SCOPE_DEVELOP, LIMIT_HTTP_BODY_BYTES, post_retry, "Runs the failed jobs of a run again",
	  NULL, NULL },
	{ "POST", "/api/v1/projects/:project/dispatch", HTTP_WORKER, SCOPE_DEVELOP, LIMIT_HTTP_BODY_BYTES, post_dispatch,
	  "Starts a workflow by hand",
	  "{\"type\":\"object\",\"required\":[\"workflow\"],\"properties\":{\"workflow\":{\"type\":\"string\"},\"ref\":{\"type\":\"string\"},"
	  "\"inputs\":{\"type\":\"object\"}}}", NULL },
	{ "POST", "/api/v1/runner/claim", HTTP_WORKER, SCOPE_RUNNER, LIMIT_HTTP_BODY_BYTES, runner_api_claim, "A runner asks for a job (long poll)",
	  "{\"type\":\"object\",\"required\":[\"runner\",\"labels\",\"claim\"],\"properties\":{\"runner\":{\"type\":\"string\"},"
	  "\"labels\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},\"claim\":{\"type\":\"string\"},\"wait_ms\":{\"type\":\"integer\"}}}", NULL },
	{ "POST", "/api/v1/runner/jobs/:job/log", HTTP_WORKER, SCOPE_RUNNER, LIMIT_LOG_CHUNK_BYTES, runner_api_log, "Bytes of a step's log", NULL, NULL, log_post_query },
	{ "POST", "/api/v1/runner/jobs/:job/steps", HTTP_WORKER, SCOPE_RUNNER, LIMIT_HTTP_BODY_BYTES, runner_api_steps, "State of a step", LEASE_DOC,
	  NULL },
	{ "POST", "/api/v1/runner/jobs/:job/renew", HTTP_WORKER, SCOPE_RUNNER, LIMIT_HTTP_BODY_BYTES, runner_api_renew, "The runner is still there",
	  LEASE_DOC, NULL },
	{ "POST", "/api/v1/runner/jobs/:job/finish", HTTP_WORKER, SCOPE_RUNNER, 2 * LIMIT_JOB_OUTPUT_BYTES, runner_api_finish, "A job ended", LEASE_DOC,
	  NULL },
	{ "GET", "/api/v1/runner/jobs/:job/state", HTTP_WORKER, SCOPE_RUNNER, 0, runner_api_state, "What the server has of a job", NULL, NULL, state_query },
};

const struct http_route *pipeline_routes(size_t *ret_n)
{
	*ret_n = ARRAY_SIZE(routes);
	return routes;
}

int pipeline_api_access(struct http_req *req, struct pipeline *p, str run, str job, struct err *reterr)
{
	return check_access(req, p, run, job, reterr);
}
