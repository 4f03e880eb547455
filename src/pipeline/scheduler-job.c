/* scheduler-job.c - one job of a run as the scheduler handles it: its row is made, it is queued, cancelled, ended; and the events of that.
 *
 * Every function can be repeated: states only go forward, and an ended job is left alone. Inside the caller's transaction, on its thread. */
#include "base/base.h"

#include "base/hash.h"
#include "base/limits.h"
#include "db/jobq.h"
#include "pipeline/run-internal.h"

/* --- events --- */

static void put_cause(struct jw *w, str cause)
{
	if (cause.len)
		jw_kstr(w, "cause", cause);
}

static int event_job_finished(struct turn *t, const struct run *r, const struct job_row *j, struct err *reterr)
{
	CLEANUP_BUF struct buf b = BUF_INIT(LIMIT_EVENT_BYTES);
	struct jw              w;

	jw_init(&w, &b);
	jw_obj(&w);
	jw_kstr(&w, "run", r->id);
	jw_kstr(&w, "job", j->id);
	jw_kstr(&w, "name", j->name);
	jw_kstrz(&w, "result", plan_result_name(j->result));
	put_cause(&w, j->cause);
	jw_kint(&w, "ms", j->started ? (j->ended - j->started) / USEC_PER_MSEC : 0);
	jw_end(&w);
	return run_event(t, r->project, EVENT_JOB_FINISHED, &b, reterr);
}

int event_run_finished(struct turn *t, const struct run *r, struct err *reterr)
{
	CLEANUP_BUF struct buf b = BUF_INIT(LIMIT_EVENT_BYTES);
	struct jw              w;

	jw_init(&w, &b);
	jw_obj(&w);
	jw_kstr(&w, "run", r->id);
	jw_kstr(&w, "workflow", r->workflow);
	jw_kstrz(&w, "result", plan_result_name(r->result));
	put_cause(&w, r->cause);
	jw_end(&w);
	return run_event(t, r->project, EVENT_RUN_FINISHED, &b, reterr);
}

int event_run_queued(struct turn *t, const struct run *r, str event, struct err *reterr)
{
	CLEANUP_BUF struct buf b = BUF_INIT(LIMIT_EVENT_BYTES);
	struct jw              w;

	jw_init(&w, &b);
	jw_obj(&w);
	jw_kstr(&w, "run", r->id);
	jw_kstr(&w, "workflow", r->workflow);
	jw_kstr(&w, "commit", r->commit);
	jw_kstr(&w, "ref", r->ref);
	jw_kstr(&w, "event", event);
	jw_kint(&w, "jobs", (int64_t)r->n_jobs);
	jw_end(&w);
	return run_event(t, r->project, EVENT_RUN_QUEUED, &b, reterr);
}

/* --- jobs --- */

str run_new_id(struct arena *a)
{
	char id[ID_SIZE];

	return arena_str(a, str_z(id_new(id)));
}

int job_add(struct turn *t, struct run *r, const struct plan_job *pj, struct err *reterr)
{
	CLEANUP_BUF struct buf labels = BUF_INIT(8192);
	struct job_row         j = { .id = run_new_id(t->a), .key = pj->key, .name = text_clean(t->a, pj->name, LIMIT_WORKFLOW_NAME_BYTES), .group = (int64_t)pj->group, .index = (int64_t)pj->index,
		                         .state = JOB_BLOCKED, .timeout_ms = pj->timeout_ms, .cancel_ms = pj->cancel_timeout_ms,
		                         .continue_on_error = pj->continue_on_error };

	for (size_t i = 0; i < pj->n_labels; i++)
		buf_addf(&labels, "%s%.*s", i ? "," : "", STR_ARG(pj->labels[i]));
	int rc = buf_check(&labels, "labels", reterr);
	if (rc)
		return rc;
	j.labels = arena_str(t->a, buf_str(&labels));
	j.environment = text_clean(t->a, pj->environment, LIMIT_WORKFLOW_NAME_BYTES);
	j.concurrency = text_clean(t->a, pj->concurrency.group, LIMIT_WORKFLOW_NAME_BYTES);
	j.concurrency_flags = concurrency_flags(&pj->concurrency);
	j.environment_url = j.cause = j.retry_cause = j.runner = j.lease = j.cancel_cause = STR("");
	j.outputs = STR("{}");
	return job_insert(t, r, &j, reterr);
}

/* The one row of a group that does not run, or cannot. */
int job_add_ended(struct turn *t, struct run *r, size_t g, enum plan_result result, str cause, struct err *reterr)
{
	const struct wf_job *wj = &r->plan->workflow->jobs[g];
	bool                 plain = wj->name && (wj->name->kind != DOC_STR || !str_contains(wj->name->s, STR("${{")));
	struct plan_job      pj = { .key = wj->id, .name = plain && wj->name->text.len ? wj->name->text : wj->id, .group = g };
	int                  rc = job_add(t, r, &pj, reterr);

	return rc ? rc : job_end(t, r, &r->jobs[r->n_jobs - 1], result, cause, reterr);
}

static int end_steps(struct turn *t, const struct job_row *j, enum plan_result result, struct err *reterr)
{
	int64_t rest = result == RESULT_CANCELLED ? STEP_CANCELLED : STEP_SKIPPED;
	int     rc = db_exec(t->tx, reterr,
	                     "UPDATE pl_step SET state = $3, ended_at = $4, cause = $5 WHERE job = $1 AND attempt = $2 AND state = 1", "siiis", j->id,
	                     j->attempt, result == RESULT_FAILURE ? (int64_t)STEP_FAILURE : (int64_t)STEP_CANCELLED, t->now, j->cause);

	return rc ? rc
	          : db_exec(t->tx, reterr, "UPDATE pl_step SET state = $3 WHERE job = $1 AND attempt = $2 AND state = 0", "sii", j->id, j->attempt,
	                    rest);
}

int job_end(struct turn *t, struct run *r, struct job_row *j, enum plan_result result, str cause, struct err *reterr)
{
	struct err e = { 0 };
	int        rc;

	if (j->state == JOB_FINISHED)
		return 0;
	bool held = j->state == JOB_RUNNING || j->state == JOB_QUEUED;
	j->state = JOB_FINISHED;
	j->result = result;
	j->cause = text_clean(t->a, cause, LIMIT_CAUSE_BYTES);
	j->ended = t->now;
	j->deadline = 0;
	rc = held ? jobq_done(t->tx, PIPELINE_QUEUE, j->id, &e) : 0;
	if (rc == -WEIR_EGONE) /* its attempts were used up: the queue has dropped it already */
		rc = 0;
	else if (rc && reterr)
		*reterr = e;
	if (rc == 0 && j->attempt > 0)
		rc = token_end_job(t->p->cfg.tokens, t->tx, j->id, reterr);
	if (rc == 0 && j->attempt > 0)
		rc = end_steps(t, j, result, reterr);
	if (rc == 0)
		rc = job_save(t, r, j, reterr);
	if (rc == 0 && j->concurrency.len)
		concurrency_leave(t, r->project, j->concurrency);
	return rc ? rc : event_job_finished(t, r, j, reterr);
}

/* Ends what has not begun, asks runners to stop what has. */
int job_stop(struct turn *t, struct run *r, struct job_row *j, str cause, struct err *reterr)
{
	if (j->state == JOB_FINISHED || j->cancel)
		return 0;
	if (j->state != JOB_RUNNING)
		return job_end(t, r, j, RESULT_CANCELLED, cause, reterr);
	j->cancel = true;
	j->cancel_cause = cause;
	usec_t last = t->now + j->cancel_ms * USEC_PER_MSEC + PIPELINE_STOP_GRACE;
	if (j->deadline > last)
		j->deadline = last;
	return job_save(t, r, j, reterr);
}

int job_queue(struct turn *t, struct run *r, struct job_row *j, struct err *reterr)
{
	/* jobs that are queued together are claimed in their order, though their ids are of the same millisecond */
	usec_t due = t->now - (usec_t)r->cap_jobs + (j - r->jobs);

	j->state = JOB_QUEUED;
	j->queued = t->now;
	j->cause = STR("");
	int rc = jobq_put(t->tx, PIPELINE_QUEUE, j->id, STR("{}"), j->labels, JOB_ATTEMPTS_MAX, due, reterr);
	if (rc == 0)
		rc = job_save(t, r, j, reterr);
	return rc ? rc : db_notify(t->tx, "pl_jobs", reterr);
}
