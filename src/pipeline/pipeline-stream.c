/* pipeline-stream.c - live runs and logs as server-sent events.
 *
 * Run stream: the position is the run's version, each message the whole run (event "run"); it ends with the run. Log stream: the position is
 * step * 2^32 + offset, each message {"step","offset","text"} (event "log"); it ends when the job has ended and all was sent. A client that
 * comes back with Last-Event-ID goes on exactly where it was. Pulls run on the server's loop threads and only read. */
#include "base/base.h"

#include "base/limits.h"
#include "pipeline/run-internal.h"

enum { LOG_PIECE_BYTES = 64 << 10, CLIENTS_MAX = 1000 };
#define LOG_STEP_SHIFT 32

/* --- run --- */

struct run_pull {
	struct sse_client *c;
	struct buf        *out;
	bool              *end;
};

static int run_pull_turn(struct turn *t, void *arg, struct err *reterr)
{
	struct run_pull       *x = arg;
	CLEANUP_BUF struct buf json = BUF_INIT(LIMIT_DOC_BYTES);
	int64_t                version = 0, state = 0;
	struct jw              w;
	str                    run = x->c->params[0];
	int rc = db_get_int(t->tx, reterr, &version, NULL, "SELECT version FROM pl_run WHERE id = $1", "s", run);

	if (rc == 0)
		rc = db_get_int(t->tx, reterr, &state, NULL, "SELECT state FROM pl_run WHERE id = $1", "s", run);
	*x->end = state == RUN_FINISHED;
	if (rc || version <= x->c->position)
		return rc;
	jw_init(&w, &json);
	rc = run_write_json(t, run, &w, reterr);
	if (rc == 0)
		rc = buf_check(&json, "run", reterr);
	if (rc)
		return rc;
	sse_message(x->out, version, "run", buf_str(&json));
	x->c->position = version;
	return 0;
}

static int run_pull(struct sse_client *c, struct buf *out, bool *ret_end, void *ctx, struct err *reterr)
{
	struct run_pull x = { c, out, ret_end };

	return turn_read(ctx, run_pull_turn, &x, reterr);
}

/* --- log --- */

struct log_job {
	str           job, run;
	int64_t       attempt, steps;
	bool          ended;
	struct arena *keep;
};

static int log_job_turn(struct turn *t, void *arg, struct err *reterr)
{
	struct log_job *l = arg;
	struct job_row  j;
	str             run;
	int             rc = job_load(t, l->job, &j, &run, reterr);

	if (rc)
		return rc;
	l->run = arena_str(l->keep, run);
	l->attempt = j.attempt;
	l->ended = j.state == JOB_FINISHED;
	return db_get_int(t->tx, reterr, &l->steps, NULL, "SELECT count(*) FROM pl_step WHERE job = $1 AND attempt = $2", "si", l->job, j.attempt);
}

static void log_message(struct buf *out, int64_t step, int64_t offset, const struct buf *text, int64_t position)
{
	CLEANUP_BUF struct buf json = BUF_INIT(8 * LOG_PIECE_BYTES + 256);
	struct jw              w;

	jw_init(&w, &json);
	jw_obj(&w);
	jw_kint(&w, "step", step);
	jw_kint(&w, "offset", offset);
	jw_kstr(&w, "text", buf_str(text));
	jw_end(&w);
	sse_message(out, position, "log", buf_str(&json));
}

static int log_pull(struct sse_client *c, struct buf *out, bool *ret_end, void *ctx, struct err *reterr)
{
	struct pipeline           *p = ctx;
	CLEANUP_ARENA struct arena a = ARENA_INIT(1 << 16);
	struct log_job             l = { .job = c->params[1], .keep = &a };
	int64_t                    position = c->position < 0 ? 0 : c->position;
	int                        rc = turn_read(p, log_job_turn, &l, reterr);

	for (int64_t step = position >> LOG_STEP_SHIFT; rc == 0 && step < l.steps;) {
		CLEANUP_BUF struct buf text = BUF_INIT(LOG_PIECE_BYTES);
		int64_t                offset = position & ((INT64_C(1) << LOG_STEP_SHIFT) - 1), total = 0;

		rc = job_log_read(p, l.run, l.job, l.attempt, step, offset, &text, &total, reterr);
		if (rc)
			break;
		if (text.len) {
			position = (step << LOG_STEP_SHIFT) + offset + (int64_t)text.len;
			log_message(out, step, offset, &text, position);
			c->position = position;
			if (offset + (int64_t)text.len < total && out->len < 4 * LOG_PIECE_BYTES)
				continue;
			if (offset + (int64_t)text.len < total)
{ /* the rest at the next pull: one client does not hold the loop */
					sse_kick(p->log_hub);
					return 0;
				}
		}
		/* on to the next step only when it has something, so that late bytes of this one are not passed over */
		if (step + 1 < l.steps && (l.ended || job_log_size(p, l.run, l.job, l.attempt, step + 1) > 0)) {
			position = ++step << LOG_STEP_SHIFT;
			continue;
		}
		break;
	}
	if (rc == 0 && l.ended)
		*ret_end = true;
	return rc;
}

/* --- hubs --- */

static void on_runs(void *ctx)
{
	struct pipeline *p = ctx;

	if (p->run_hub)
		sse_kick(p->run_hub);
	if (p->log_hub)
		sse_kick(p->log_hub);
}

int pipeline_streams_open(struct pipeline *p, struct err *reterr)
{
	int rc = 0;

	if (!p->cfg.http)
		return 0;
	rc = sse_hub_new(p->cfg.http, run_pull, p, CLIENTS_MAX, &p->run_hub, reterr);
	if (rc == 0)
		rc = sse_hub_new(p->cfg.http, log_pull, p, CLIENTS_MAX, &p->log_hub, reterr);
	if (rc == 0)
		rc = db_listen(p->cfg.db, "pl_runs", on_runs, p, &p->on_runs, reterr);
	return rc;
}

int pipeline_api_run_stream(struct http_req *req, void *ctx, struct err *reterr)
{
	struct pipeline *p = ctx;
	str              params[] = { http_param(req, "run") };
	int              rc = pipeline_api_access(req, p, params[0], STR_NULL, reterr);

	return rc ? rc : sse_attach(req, p->run_hub, params, 1, reterr);
}

int pipeline_api_log_stream(struct http_req *req, void *ctx, struct err *reterr)
{
	struct pipeline *p = ctx;
	str              params[] = { http_param(req, "run"), http_param(req, "job") };
	int              rc = pipeline_api_access(req, p, params[0], params[1], reterr);

	return rc ? rc : sse_attach(req, p->log_hub, params, 2, reterr);
}
