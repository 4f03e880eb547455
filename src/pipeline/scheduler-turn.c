/* scheduler-turn.c - what the clock brings: lost runners, jobs past their time, jobs that nobody takes.
 *
 * A run that cannot be loaded any more (its workflow is not read by this version, it needs too much memory) is ended as it is, so that one broken run
 * holds nobody back. Called by the scheduler's thread each second, or by tests. */
#include "base/base.h"

#include "base/limits.h"
#include "base/log.h"
#include "db/jobq.h"
#include "pipeline/run-internal.h"

/* --- lost leases --- */

int end_attempt(struct turn *t, struct run *r, struct job_row *j, str cause, struct err *reterr)
{
	int rc = db_exec(t->tx, reterr, "UPDATE pl_step SET state = $3, ended_at = $4, cause = $5 WHERE job = $1 AND attempt = $2 AND state < 2",
	                 "siiis", j->id, j->attempt, (int64_t)STEP_CANCELLED, t->now, cause);

	if (rc == 0)
		rc = token_end_job(t->p->cfg.tokens, t->tx, j->id, reterr);
	j->state = JOB_QUEUED;
	j->retry_cause = cause;
	j->lease = j->runner = STR("");
	j->deadline = 0;
	j->queued = t->now;
	if (rc == 0)
		rc = job_save(t, r, j, reterr);
	return rc ? rc : db_notify(t->tx, "pl_jobs", reterr);
}

/* A runner did not renew: the job waits for another one, or ends. */
int job_lost(struct turn *t, struct run *r, struct job_row *j, bool dead, struct err *reterr)
{
	int rc;

	if (j->state != JOB_RUNNING)
		return 0;
	str cause = str_z(arena_printf(t->a, "lost: runner '%.*s' did not renew its lease", STR_ARG(j->runner)));
	if (j->cancel || dead) {
		if (dead && !j->cancel)
			cause = str_z(arena_printf(t->a, "%.*s; it was attempt %lld of %d", STR_ARG(cause), (long long)j->attempt, JOB_ATTEMPTS_MAX));
		rc = job_end(t, r, j, j->cancel ? RESULT_CANCELLED : RESULT_FAILURE, j->cancel ? j->cancel_cause : cause, reterr);
		return rc ? rc : run_advance(t, r, reterr);
	}
	return end_attempt(t, r, j, cause, reterr);
}

/* --- runs that cannot be loaded --- */

static int end_rows(struct turn *t, str run, str cause, struct err *reterr)
{
	int rc = db_exec(t->tx, reterr,
	                 "UPDATE pl_job SET state = 3, result = $2, cause = $3, ended_at = $4, deadline = 0 WHERE run = $1 AND state < 3 AND superseded = 0",
	                 "sisi", run, (int64_t)RESULT_FAILURE, cause, t->now);

	if (rc == 0)
		rc = db_exec(t->tx, reterr,
		             "UPDATE pl_run SET state = 3, result = $2, cause = $3, ended_at = $4, version = version + 1 WHERE id = $1 AND state < 3", "sisi",
		             run, (int64_t)RESULT_FAILURE, cause, t->now);
	return rc ? rc : db_notify(t->tx, "pl_runs", reterr);
}

/* Its groups, and those of its jobs, are free for the next. */
static int leave_groups(struct turn *t, str run, str project, struct err *reterr)
{
	CLEANUP_ROWS struct db_rows *rows = NULL;
	int rc = db_query(t->tx, reterr, &rows, "SELECT concurrency FROM pl_run WHERE id = $1 AND concurrency <> '' UNION"
	                  " SELECT concurrency FROM pl_job WHERE run = $1 AND concurrency <> ''", "s", run);

	while (rc == 0 && (rc = db_next(rows, reterr)) == 1) {
		concurrency_leave(t, project, arena_str(t->a, db_str(rows, 0)));
		rc = 0;
	}
	return rc;
}

static int end_job_token(struct turn *t, str job, struct err *reterr)
{
	struct err gone = { 0 };
	int        rc = token_end_job(t->p->cfg.tokens, t->tx, job, reterr);

	if (rc)
		return rc;
	rc = jobq_done(t->tx, PIPELINE_QUEUE, job, &gone);
	if (rc && rc != -WEIR_EGONE && reterr)
		*reterr = gone;
	return rc == -WEIR_EGONE ? 0 : rc;
}

/* Ends a run without its plan, with the reason why there is none. job: the one that was to be worked on, or empty. */
static int give_up_run(struct turn *t, str run, str job, const struct err *why, struct err *reterr)
{
	str                    project, workflow, cause = text_clean(t->a, str_z(why->msg), LIMIT_CAUSE_BYTES);
	CLEANUP_BUF struct buf b = BUF_INIT(LIMIT_EVENT_BYTES);
	struct jw              w;
	int rc = db_get_str(t->tx, reterr, t->a, &project, NULL, "SELECT project FROM pl_run WHERE id = $1", "s", run);

	if (rc == 0)
		rc = db_get_str(t->tx, reterr, t->a, &workflow, NULL, "SELECT workflow FROM pl_run WHERE id = $1", "s", run);
	if (rc == 0)
		rc = end_rows(t, run, cause, reterr);
	if (rc == 0)
		rc = leave_groups(t, run, project, reterr);
	if (rc == 0 && job.len)
		rc = end_job_token(t, job, reterr);
	if (rc)
		return rc;
	jw_init(&w, &b);
	jw_obj(&w);
	jw_kstr(&w, "run", run);
	jw_kstr(&w, "workflow", workflow);
	jw_kstrz(&w, "result", plan_result_name(RESULT_FAILURE));
	jw_kstr(&w, "cause", cause);
	jw_end(&w);
	return run_event(t, project, EVENT_RUN_FINISHED, &b, reterr);
}

/* What a failed load means: 1 when there is nothing to do any more. */
static int load_failed(struct turn *t, int rc, str run, str job, const struct err *e, struct err *reterr)
{
	if (rc == -WEIR_ENOENT || rc == -WEIR_EGONE)
		return 1;
	if (rc == -WEIR_EINVAL || rc == -WEIR_EPARSE || rc == -WEIR_ELIMIT) {
		t->a->failed = false; /* the arena met its bound while planning; the few rows of giving up fit beside it */
		rc = give_up_run(t, run, job, e, reterr);
		return rc ? rc : 1;
	}
	if (rc && reterr)
		*reterr = *e;
	return rc;
}

int run_load_or_give_up(struct turn *t, str job, struct run **r, struct job_row **j, struct err *reterr)
{
	struct job_row row;
	str            run;
	struct err     e = { 0 };
	int            rc = job_load(t, job, &row, &run, reterr);

	if (rc)
		return rc == -WEIR_ENOENT ? 1 : rc;
	rc = run_load_job(t, job, r, j, &e);
	return load_failed(t, rc, run, job, &e, reterr);
}

int run_load_alone_or_give_up(struct turn *t, str run, struct run **r, struct err *reterr)
{
	struct err e = { 0 };

	return load_failed(t, run_load(t, run, r, &e), run, STR(""), &e, reterr);
}

struct lost { /* what jobq_reap() found, before any other statement runs */
	struct arena *a;
	struct { str id; bool dead; } jobs[LIMIT_WORKFLOW_JOBS];
	size_t n;
};

static int note_lost(struct db_tx *tx, const struct jobq_item *item, bool dead, void *ctx, struct err *reterr)
{
	struct lost *l = ctx;

	(void)tx;
	if (l->n == ARRAY_SIZE(l->jobs))
		return err_set(reterr, WEIR_EBUSY, "too many lost jobs in one turn");
	l->jobs[l->n].id = arena_str(l->a, item->id);
	l->jobs[l->n++].dead = dead;
	return 0;
}

static int reap(struct turn *t, void *arg, struct err *reterr)
{
	struct lost *l = ARENA_NEW(t->a, struct lost);
	int          rc;

	(void)arg;
	if (!l)
		return arena_check(t->a, "lost jobs", reterr);
	l->a = t->a;
	rc = jobq_reap(t->tx, PIPELINE_QUEUE, t->now, note_lost, l, reterr);
	for (size_t i = 0; rc == 0 && i < l->n; i++) {
		struct run     *r;
		struct job_row *j;

		rc = run_load_or_give_up(t, l->jobs[i].id, &r, &j, reterr);
		if (rc == 0)
			rc = job_lost(t, r, j, l->jobs[i].dead, reterr);
		else if (rc == 1)
			rc = 0;
	}
	return rc;
}

/* --- deadlines --- */

static int next_late(struct turn *t, str *ret, bool *ret_found, struct err *reterr)
{
	usec_t unclaimed = t->now - (t->p->cfg.unclaimed_ms ? t->p->cfg.unclaimed_ms : 24 * 3600 * INT64_C(1000)) * USEC_PER_MSEC;

	return db_get_str(t->tx, reterr, t->a, ret, ret_found,
	                  "SELECT id FROM pl_job WHERE (state = 2 AND deadline > 0 AND deadline < $1) OR (state = 1 AND queued_at < $2) LIMIT 1", "ii",
	                  t->now, unclaimed);
}

static int end_late(struct turn *t, void *arg, struct err *reterr)
{
	bool           *more = arg;
	str             id, cause;
	struct run     *r;
	struct job_row *j;
	int             rc = next_late(t, &id, more, reterr);

	if (rc || !*more)
		return rc;
	rc = run_load_or_give_up(t, id, &r, &j, reterr);
	if (rc)
		return rc == 1 ? 0 : rc;
	if (j->state == JOB_QUEUED)
		cause = str_z(arena_printf(t->a, "no-runner: no runner with the labels [%.*s] took the job", STR_ARG(j->labels)));
	else if (j->cancel)
		cause = j->cancel_cause;
	else
		cause = str_z(arena_printf(t->a, "timeout: %lld min, and the runner did not end the job by itself", (long long)(j->timeout_ms / 60000)));
	rc = job_end(t, r, j, j->cancel ? RESULT_CANCELLED : RESULT_FAILURE, cause, reterr);
	return rc ? rc : run_advance(t, r, reterr);
}

static int any_work(struct turn *t, void *arg, struct err *reterr)
{
	bool   *late = arg;
	str     id;
	int64_t n = 0;
	int     rc = next_late(t, &id, late, reterr);

	if (rc == 0 && !*late)
		rc = db_get_int(t->tx, reterr, &n, NULL, "SELECT count(*) FROM pl_job WHERE state = 2", "");
	*late = *late || n > 0;
	return rc;
}

int scheduler_turn(struct pipeline *p, struct err *reterr)
{
	bool work = false, more = true;
	int  rc = turn_read(p, any_work, &work, reterr); /* an idle server writes nothing */

	if (rc == 0 && work)
		rc = turn_write(p, STR("weir"), reap, NULL, reterr);
	while (rc == 0 && work && more)
		rc = turn_write(p, STR("weir"), end_late, &more, reterr);
	return rc;
}

/* --- start --- */

struct held {
	str id, lease;
};

static int list_held(struct turn *t, struct held *jobs, size_t max, size_t *n, struct err *reterr)
{
	CLEANUP_ROWS struct db_rows *rows = NULL;
	int rc = db_query(t->tx, reterr, &rows, "SELECT id, lease FROM pl_job WHERE state = 2", "");

	while (rc == 0 && *n < max && (rc = db_next(rows, reterr)) == 1) {
		jobs[(*n)++] = (struct held){ arena_str(t->a, db_str(rows, 0)), arena_str(t->a, db_str(rows, 1)) };
		rc = 0;
	}
	return rc;
}

static int renew_all(struct turn *t, void *arg, struct err *reterr)
{
	struct held *jobs = ARENA_ARRAY(t->a, LIMIT_RUNNING_JOBS, struct held);
	size_t       n = 0;
	int          rc = jobs ? list_held(t, jobs, LIMIT_RUNNING_JOBS, &n, reterr) : arena_check(t->a, "jobs", reterr);

	(void)arg;
	for (size_t i = 0; rc == 0 && i < n; i++) {
		struct err e = { 0 };

		rc = jobq_renew(t->tx, PIPELINE_QUEUE, jobs[i].id, jobs[i].lease, t->now, t->p->lease, &e);
		if (rc == -WEIR_EGONE) /* reap() has it */
			rc = 0;
		else if (rc && reterr)
			*reterr = e;
	}
	return rc;
}

int scheduler_renew_all(struct pipeline *p, struct err *reterr)
{
	return turn_write(p, STR("weir"), renew_all, NULL, reterr);
}
