/* scheduler.c - moves runs on: which job may start, what ends with it, and why.
 *
 * run_advance() is called after every change of a run, in the same transaction. It goes once over the groups in the order of their needs, so that what
 * ended before is known to those behind. Every function here can be repeated: states only go forward, and an ended job is left alone.
 * Runs on whatever thread holds the transaction. */
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

static int event_run_finished(struct turn *t, const struct run *r, struct err *reterr)
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

static int event_run_queued(struct turn *t, const struct run *r, str event, struct err *reterr)
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

static str new_id(struct arena *a)
{
	char id[ID_SIZE];

	return arena_str(a, str_z(id_new(id)));
}

static int add_job(struct turn *t, struct run *r, const struct plan_job *pj, struct err *reterr)
{
	CLEANUP_BUF struct buf labels = BUF_INIT(8192);
	struct job_row         j = { .id = new_id(t->a), .key = pj->key, .name = text_clean(t->a, pj->name, LIMIT_WORKFLOW_NAME_BYTES), .group = (int64_t)pj->group, .index = (int64_t)pj->index,
		                         .state = JOB_BLOCKED, .timeout_ms = pj->timeout_ms, .continue_on_error = pj->continue_on_error };

	for (size_t i = 0; i < pj->n_labels; i++)
		buf_addf(&labels, "%s%.*s", i ? "," : "", STR_ARG(pj->labels[i]));
	int rc = buf_check(&labels, "labels", reterr);
	if (rc)
		return rc;
	j.labels = arena_str(t->a, buf_str(&labels));
	j.environment = text_clean(t->a, pj->environment, LIMIT_WORKFLOW_NAME_BYTES);
	j.environment_url = j.cause = j.retry_cause = j.runner = j.lease = j.cancel_cause = STR("");
	j.outputs = STR("{}");
	return job_insert(t, r, &j, reterr);
}

/* The one row of a group that does not run, or cannot. */
static int add_ended_job(struct turn *t, struct run *r, size_t g, enum plan_result result, str cause, struct err *reterr)
{
	const struct wf_job *wj = &r->plan->workflow->jobs[g];
	bool                 plain = wj->name && (wj->name->kind != DOC_STR || !str_contains(wj->name->s, STR("${{")));
	struct plan_job      pj = { .key = wj->id, .name = plain && wj->name->text.len ? wj->name->text : wj->id, .group = g };
	int                  rc = add_job(t, r, &pj, reterr);

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
	return rc ? rc : event_job_finished(t, r, j, reterr);
}

/* Ends what has not begun, asks runners to stop what has. */
static int job_cancel(struct turn *t, struct run *r, struct job_row *j, str cause, struct err *reterr)
{
	if (j->state == JOB_FINISHED || j->cancel)
		return 0;
	if (j->state != JOB_RUNNING)
		return job_end(t, r, j, RESULT_CANCELLED, cause, reterr);
	j->cancel = true;
	j->cancel_cause = cause;
	if (j->deadline > t->now + PIPELINE_STOP_GRACE)
		j->deadline = t->now + PIPELINE_STOP_GRACE;
	return job_save(t, r, j, reterr);
}

static int queue_job(struct turn *t, struct run *r, struct job_row *j, struct err *reterr)
{
	/* jobs that are queued together are claimed in their order, though their ids are of the same millisecond */
	usec_t due = t->now - (usec_t)r->cap_jobs + (j - r->jobs);

	j->state = JOB_QUEUED;
	j->queued = t->now;
	int rc = jobq_put(t->tx, PIPELINE_QUEUE, j->id, STR("{}"), j->labels, JOB_ATTEMPTS_MAX, due, reterr);
	if (rc == 0)
		rc = job_save(t, r, j, reterr);
	return rc ? rc : db_notify(t->tx, "pl_jobs", reterr);
}

/* --- groups --- */

static bool in_group(const struct job_row *j, size_t g)
{
	return j->group == (int64_t)g;
}

static size_t group_jobs(const struct run *r, size_t g)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n_jobs; i++)
		n += in_group(&r->jobs[i], g);
	return n;
}

static int start_group(struct turn *t, struct run *r, size_t g, struct err *reterr)
{
	struct plan_group group;
	struct err        e = { 0 };
	int               rc = 0;

	r->groups[g].state = GROUP_RUN;
	if (group_jobs(r, g) == 0) { /* its jobs come from its needs */
		rc = plan_expand(t->a, r->plan, g, r->known, &group, &e);
		if (rc == -WEIR_EINVAL || rc == -WEIR_EPARSE || rc == -WEIR_ELIMIT)
			return add_ended_job(t, r, g, RESULT_FAILURE, str_z(arena_printf(t->a, "plan: %s", e.msg)), reterr);
		for (size_t i = 0; rc == 0 && i < group.n_jobs; i++)
			rc = add_job(t, r, &group.jobs[i], &e);
	}
	if (rc && reterr)
		*reterr = e;
	return rc ? rc : group_save(t, r, g, reterr);
}

static int skip_group(struct turn *t, struct run *r, size_t g, str cause, struct err *reterr)
{
	enum plan_result result = r->cancel ? RESULT_CANCELLED : RESULT_SKIPPED;
	int              rc = 0;

	r->groups[g].state = GROUP_DONE;
	r->groups[g].result = result;
	r->groups[g].cause = cause;
	/* rows made ahead stand for combinations that never come to be: all end with the same cause */
	if (group_jobs(r, g) == 0)
		rc = add_ended_job(t, r, g, result, cause, reterr);
	for (size_t i = 0; rc == 0 && i < r->n_jobs; i++)
		if (in_group(&r->jobs[i], g))
			rc = job_end(t, r, &r->jobs[i], result, cause, reterr);
	return rc ? rc : group_save(t, r, g, reterr);
}

/* One job of a matrix failed: the others stop, unless fail-fast is off. */
static int fail_fast(struct turn *t, struct run *r, size_t g, struct err *reterr)
{
	const struct job_row *failed = NULL;
	int                   rc = 0;

	for (size_t i = 0; i < r->n_jobs; i++)
		if (in_group(&r->jobs[i], g) && r->jobs[i].state == JOB_FINISHED && r->jobs[i].result == RESULT_FAILURE && !r->jobs[i].continue_on_error)
			failed = &r->jobs[i];
	if (!failed)
		return 0;
	str cause = str_z(arena_printf(t->a, "fail-fast: '%.*s' failed", STR_ARG(failed->name)));
	for (size_t i = 0; rc == 0 && i < r->n_jobs; i++)
		if (in_group(&r->jobs[i], g))
			rc = job_cancel(t, r, &r->jobs[i], cause, reterr);
	return rc;
}

static int group_limits(struct turn *t, const struct run *r, size_t g, bool *ret_fail_fast, int64_t *ret_parallel, struct err *reterr)
{
	struct plan_group group;
	int               rc = plan_expand(t->a, r->plan, g, r->known, &group, NULL);

	*ret_fail_fast = rc ? true : group.fail_fast;
	*ret_parallel = rc ? 0 : group.max_parallel;
	return rc == -WEIR_ENOMEM ? arena_check(t->a, "plan", reterr) : 0; /* a group that cannot be expanded has one ended job */
}

static int feed_group(struct turn *t, struct run *r, size_t g, struct err *reterr)
{
	int64_t parallel, busy = 0;
	bool    ff;
	int     rc = group_limits(t, r, g, &ff, &parallel, reterr);

	if (rc == 0 && ff)
		rc = fail_fast(t, r, g, reterr);
	for (size_t i = 0; i < r->n_jobs; i++)
		busy += in_group(&r->jobs[i], g) && (r->jobs[i].state == JOB_QUEUED || r->jobs[i].state == JOB_RUNNING);
	for (size_t i = 0; rc == 0 && i < r->n_jobs; i++) {
		if (!in_group(&r->jobs[i], g) || r->jobs[i].state != JOB_BLOCKED || (parallel && busy >= parallel))
			continue;
		rc = queue_job(t, r, &r->jobs[i], reterr);
		busy++;
	}
	return rc;
}

/* Outputs of a group: those of its jobs, the one that ended last wins where it has a value. */
static int merge_outputs(struct turn *t, struct run *r, size_t g, struct err *reterr)
{
	struct expr_pair *pairs = NULL;
	size_t            n = 0, max = r->plan->workflow->jobs[g].outputs.n;

	pairs = ARENA_ARRAY(t->a, max + 1, struct expr_pair);
	usec_t *when = ARENA_ARRAY(t->a, max + 1, usec_t);
	for (size_t i = 0; pairs && when && i < r->n_jobs; i++) {
		const struct job_row *j = &r->jobs[i];
		struct doc_node      *out = NULL;

		if (!in_group(j, g))
			continue;
		int rc = doc_parse_json(t->a, "outputs", j->outputs, &out, reterr);
		if (rc)
			return rc;
		for (size_t k = 0; k < max; k++) {
			str    key = r->plan->workflow->jobs[g].outputs.v[k].key;
			const struct doc_node *v = doc_get_n(out, key);
			size_t at = 0;

			if (!v || v->kind != DOC_STR || v->s.len == 0)
				continue;
			while (at < n && !str_eq(pairs[at].key, key))
				at++;
			if (at < n && when[at] > j->ended)
				continue;
			n += at == n;
			pairs[at] = (struct expr_pair){ key, expr_string(t->a, v->s) };
			when[at] = j->ended;
		}
	}
	r->groups[g].outputs = expr_object(t->a, pairs, n);
	return arena_check(t->a, "outputs", reterr);
}

static int close_group(struct turn *t, struct run *r, size_t g, struct err *reterr)
{
	enum plan_result *results = ARENA_ARRAY(t->a, r->n_jobs + 1, enum plan_result);
	bool             *continues = ARENA_ARRAY(t->a, r->n_jobs + 1, bool);
	size_t            n = 0;

	for (size_t i = 0; results && continues && i < r->n_jobs; i++) {
		if (!in_group(&r->jobs[i], g))
			continue;
		if (r->jobs[i].state != JOB_FINISHED)
			return 0;
		continues[n] = r->jobs[i].continue_on_error;
		results[n++] = r->jobs[i].result;
	}
	int rc = arena_check(t->a, "jobs", reterr);
	if (rc == 0)
		rc = merge_outputs(t, r, g, reterr);
	if (rc)
		return rc;
	r->groups[g].state = GROUP_DONE;
	r->groups[g].result = plan_group_result(results, continues, n);
	return group_save(t, r, g, reterr);
}

static int decide_group(struct turn *t, struct run *r, size_t g, struct err *reterr)
{
	enum plan_call call = PLAN_WAIT;
	str            cause;
	struct err     e = { 0 };
	int            rc = plan_decide(t->a, r->plan, g, r->known, r->cancel, &call, &cause, &e);

	if (rc == -WEIR_EINVAL || rc == -WEIR_EPARSE || rc == -WEIR_ELIMIT) { /* its `if` cannot be evaluated: the job fails, and says so */
		cause = str_z(arena_printf(t->a, "plan: %s", e.msg));
		rc = 0;
		for (size_t i = 0; rc == 0 && i < r->n_jobs; i++)
			if (in_group(&r->jobs[i], g))
				rc = job_end(t, r, &r->jobs[i], RESULT_FAILURE, cause, reterr);
		r->groups[g].state = GROUP_RUN;
		if (rc == 0 && group_jobs(r, g) == 0)
			rc = add_ended_job(t, r, g, RESULT_FAILURE, cause, reterr);
		return rc ? rc : group_save(t, r, g, reterr);
	}
	if (rc && reterr)
		*reterr = e;
	if (rc || call == PLAN_WAIT)
		return rc;
	return call == PLAN_RUN ? start_group(t, r, g, reterr) : skip_group(t, r, g, cause, reterr);
}

/* --- the run --- */

static int start_next_waiting(struct turn *t, const struct run *ended, struct err *reterr)
{
	str         next = STR_NULL;
	struct run *r = NULL;
	bool        found = false;
	int         rc;

	if (ended->concurrency.len == 0)
		return 0;
	rc = db_get_str(t->tx, reterr, t->a, &next, &found,
	                "SELECT id FROM pl_run WHERE project = $1 AND concurrency = $2 AND state = 0 AND id <> $3 ORDER BY created_at, id LIMIT 1",
	                "sss", ended->project, ended->concurrency, ended->id);
	if (rc || !found)
		return rc;
	rc = run_load(t, next, &r, reterr);
	if (rc)
		return rc;
	r->state = RUN_QUEUED;
	r->cause = STR("");
	rc = run_save(t, r, reterr);
	return rc ? rc : run_advance(t, r, reterr);
}

static int finish_run(struct turn *t, struct run *r, struct err *reterr)
{
	enum plan_result result = RESULT_SUCCESS;
	const char      *cause = "";

	for (size_t g = 0; g < r->plan->n_groups; g++) {
		if (r->groups[g].state != GROUP_DONE)
			return 0;
		if (r->groups[g].result == RESULT_FAILURE) {
			if (result != RESULT_FAILURE)
				cause = arena_printf(t->a, "job '%.*s' failed", STR_ARG(r->plan->groups[g].id));
			result = RESULT_FAILURE;
		} else if (r->groups[g].result == RESULT_CANCELLED && result == RESULT_SUCCESS) {
			result = RESULT_CANCELLED;
			cause = arena_printf(t->a, "job '%.*s' was cancelled", STR_ARG(r->plan->groups[g].id));
		}
	}
	r->state = RUN_FINISHED;
	r->result = r->cancel && result != RESULT_SUCCESS ? RESULT_CANCELLED : result;
	r->cause = r->cancel && result != RESULT_SUCCESS ? r->cancel_cause : str_z(cause);
	int rc = run_save(t, r, reterr);
	if (rc == 0)
		rc = event_run_finished(t, r, reterr);
	return rc ? rc : start_next_waiting(t, r, reterr);
}

int run_advance(struct turn *t, struct run *r, struct err *reterr)
{
	int rc = 0;

	if (r->state == RUN_FINISHED || r->state == RUN_WAITING)
		return 0;
	for (size_t i = 0; rc == 0 && i < r->plan->n_groups; i++) {
		size_t g = r->plan->order[i];

		if (r->groups[g].state == GROUP_WAIT)
			rc = decide_group(t, r, g, reterr);
		if (rc == 0 && r->groups[g].state == GROUP_RUN)
			rc = feed_group(t, r, g, reterr);
		if (rc == 0 && r->groups[g].state == GROUP_RUN)
			rc = close_group(t, r, g, reterr);
	}
	return rc ? rc : finish_run(t, r, reterr);
}

int run_cancel(struct turn *t, struct run *r, str cause, struct err *reterr)
{
	int rc = 0;

	if (r->state == RUN_FINISHED || r->cancel)
		return 0;
	r->cancel = true;
	r->cancel_cause = cause;
	if (r->state == RUN_WAITING) { /* it ends without ever having held its concurrency group: not even always() runs */
		r->state = RUN_QUEUED;
		for (size_t g = 0; rc == 0 && g < r->plan->n_groups; g++)
			rc = r->groups[g].state == GROUP_DONE ? 0 : skip_group(t, r, g, cause, reterr);
	}
	for (size_t i = 0; rc == 0 && i < r->n_jobs; i++)
		if (r->groups[r->jobs[i].group].state == GROUP_RUN)
			rc = job_cancel(t, r, &r->jobs[i], cause, reterr);
	if (rc == 0)
		rc = run_save(t, r, reterr);
	return rc ? rc : run_advance(t, r, reterr);
}

/* --- concurrency groups --- */

/* At most one run of a group goes and one waits: an older waiting one ends, with cancel-in-progress the going one too. */
static int take_concurrency(struct turn *t, struct run *r, bool cancel, struct err *reterr)
{
	struct { str id; enum run_state state; } others[64];
	size_t                       n = 0;
	CLEANUP_ROWS struct db_rows *rows = NULL;
	bool                         busy = false;
	int rc = db_query(t->tx, reterr, &rows, "SELECT id, state FROM pl_run WHERE project = $1 AND concurrency = $2 AND state < 3 AND id <> $3"
	                  " ORDER BY created_at, id LIMIT 64", "sss", r->project, r->concurrency, r->id);

	while (rc == 0 && (rc = db_next(rows, reterr)) == 1) {
		others[n].id = arena_str(t->a, db_str(rows, 0));
		others[n++].state = (enum run_state)db_int(rows, 1);
		rc = 0;
	}
	rows = db_rows_close(rows);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		struct run *o = NULL;
		const char *by = others[i].state == RUN_WAITING ? "superseded" : "cancel-in-progress";

		if (others[i].state != RUN_WAITING)
			busy = true;
		if (others[i].state != RUN_WAITING && !cancel)
			continue;
		rc = run_load(t, others[i].id, &o, reterr);
		if (rc == 0)
			rc = run_cancel(t, o, str_z(arena_printf(t->a, "concurrency: %s by run %lld of group '%.*s'", by, (long long)r->number,
			                                         STR_ARG(r->concurrency))), reterr);
		if (rc == 0 && others[i].state != RUN_WAITING && o->state == RUN_FINISHED)
			busy = false;
	}
	if (rc == 0 && busy) {
		r->state = RUN_WAITING;
		r->cause = str_z(arena_printf(t->a, "concurrency: waits for the run that holds group '%.*s'", STR_ARG(r->concurrency)));
	}
	return rc;
}

/* --- making --- */

static int add_known_jobs(struct turn *t, struct run *r, struct err *reterr)
{
	int rc = 0;

	for (size_t g = 0; g < r->plan->n_groups; g++)
		for (size_t i = 0; rc == 0 && i < r->plan->groups[g].n_jobs; i++)
			rc = add_job(t, r, &r->plan->groups[g].jobs[i], reterr);
	return rc;
}

int run_create(struct turn *t, struct plan *plan, const struct plan_input *in, str text, struct err *reterr)
{
	struct run r = { .id = in->run_id, .project = in->project, .workflow = plan->workflow->name, .file = plan->workflow->file, .ref = in->ref,
		             .commit = in->commit, .cause = STR(""), .cancel_cause = STR(""), .number = in->run_number, .attempt = 1,
		             .state = RUN_QUEUED, .plan = plan, .concurrency = text_clean(t->a, plan->concurrency_group, LIMIT_WORKFLOW_NAME_BYTES) };
	int        rc = 0;

	r.cap_jobs = 2 * LIMIT_WORKFLOW_JOBS;
	r.jobs = ARENA_ARRAY(t->a, r.cap_jobs, struct job_row);
	r.groups = ARENA_ARRAY(t->a, plan->n_groups, struct group_row);
	r.known = ARENA_ARRAY(t->a, plan->n_groups, struct plan_state);
	rc = arena_check(t->a, "run", reterr);
	if (rc == 0 && r.concurrency.len)
		rc = take_concurrency(t, &r, plan->concurrency_cancel, reterr);
	if (rc == 0)
		rc = run_insert(t, &r, in, text, plan->digest, reterr);
	if (rc == 0)
		rc = add_known_jobs(t, &r, reterr);
	if (rc == 0)
		rc = event_run_queued(t, &r, in->event, reterr);
	return rc ? rc : run_advance(t, &r, reterr);
}

/* --- again --- */

/* Groups that did not succeed, and all that depend on them. */
static void mark_again(const struct run *r, bool *again)
{
	for (size_t i = 0; i < r->plan->n_groups; i++) {
		size_t                   g = r->plan->order[i];
		const struct plan_group *group = &r->plan->groups[g];

		again[g] = r->groups[g].result != RESULT_SUCCESS;
		for (size_t k = 0; k < group->n_needs; k++)
			again[g] = again[g] || again[group->needs[k]];
	}
}

static int supersede(struct turn *t, struct run *r, bool *again, struct err *reterr)
{
	size_t keep = 0;
	int    rc = 0;

	for (size_t i = 0; rc == 0 && i < r->n_jobs; i++) {
		struct job_row old = r->jobs[i];

		if (!again[old.group]) {
			r->jobs[keep++] = old;
			continue;
		}
		old.superseded = true;
		rc = job_save(t, r, &old, reterr);
	}
	r->n_jobs = keep;
	return rc;
}

int run_retry(struct turn *t, struct run *r, struct err *reterr)
{
	bool *again;
	int   rc;

	if (r->state != RUN_FINISHED)
		return err_set(reterr, WEIR_ECONFLICT, "run %.*s has not ended yet: cancel it first", STR_ARG(r->id));
	if (!r->plan)
		return err_set(reterr, WEIR_ECONFLICT, "run %.*s is of a workflow that this version of weir does not read: push a newer one", STR_ARG(r->id));
	if (r->result == RESULT_SUCCESS)
		return err_set(reterr, WEIR_ECONFLICT, "run %.*s has no failed job", STR_ARG(r->id));
	again = ARENA_ARRAY(t->a, r->plan->n_groups, bool);
	if (!again)
		return arena_check(t->a, "run", reterr);
	mark_again(r, again);
	rc = supersede(t, r, again, reterr);
	for (size_t g = 0; rc == 0 && g < r->plan->n_groups; g++) {
		if (!again[g])
			continue;
		r->groups[g] = (struct group_row){ GROUP_WAIT, RESULT_NONE, STR(""), NULL };
		rc = group_save(t, r, g, reterr);
		for (size_t i = 0; rc == 0 && i < r->plan->groups[g].n_jobs; i++)
			rc = add_job(t, r, &r->plan->groups[g].jobs[i], reterr);
	}
	r->attempt++;
	r->state = RUN_QUEUED;
	r->result = RESULT_NONE;
	r->cause = r->cancel_cause = STR("");
	r->cancel = false;
	if (rc == 0 && r->concurrency.len)
		rc = take_concurrency(t, r, r->plan->concurrency_cancel, reterr);
	if (rc == 0)
		rc = run_save(t, r, reterr);
	if (rc == 0)
		rc = event_run_queued(t, r, STR("retry"), reterr);
	return rc ? rc : run_advance(t, r, reterr);
}
