/* scheduler-turn.c - what the clock brings: lost runners, jobs past their time, jobs that nobody takes.
 *
 * Each lost or late job is one transaction of its own, so that one broken run holds nobody back. Called by the scheduler's thread
 * each second, or by tests. */
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

		rc = run_load_job(t, l->jobs[i].id, &r, &j, reterr);
		if (rc == -WEIR_ENOENT || rc == -WEIR_EGONE)
			rc = 0;
		else if (rc == 0)
			rc = job_lost(t, r, j, l->jobs[i].dead, reterr);
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
	rc = run_load_job(t, id, &r, &j, reterr);
	if (rc)
		return rc;
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
