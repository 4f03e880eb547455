/* scheduler.c - moves runs on: which job may start, what ends with it, and why.
 *
 * run_advance() is called after every change of a run, in the same transaction. It goes once over the groups in the order of their needs, so that what
 * ended before is known to those behind. Every function here can be repeated: states only go forward, and an ended job is left alone.
 * Runs on whatever thread holds the transaction. */
#include "base/base.h"

#include "base/limits.h"
#include "pipeline/run-internal.h"

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
			return job_add_ended(t, r, g, RESULT_FAILURE, str_z(arena_printf(t->a, "plan: %s", e.msg)), reterr);
		for (size_t i = 0; rc == 0 && i < group.n_jobs; i++)
			rc = job_add(t, r, &group.jobs[i], &e);
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
		rc = job_add_ended(t, r, g, result, cause, reterr);
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
			rc = job_stop(t, r, &r->jobs[i], cause, reterr);
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
		busy += in_group(&r->jobs[i], g) && (r->jobs[i].state == JOB_QUEUED || r->jobs[i].state == JOB_RUNNING || job_waits(&r->jobs[i]));
	for (size_t i = 0; rc == 0 && i < r->n_jobs; i++) {
		struct job_row *j = &r->jobs[i];

		if (!in_group(j, g) || j->state != JOB_BLOCKED || job_waits(j) || (parallel && busy >= parallel))
			continue;
		rc = j->concurrency.len ? concurrency_join_job(t, r, j, reterr) : job_queue(t, r, j, reterr);
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
			rc = job_add_ended(t, r, g, RESULT_FAILURE, cause, reterr);
		return rc ? rc : group_save(t, r, g, reterr);
	}
	if (rc && reterr)
		*reterr = e;
	if (rc || call == PLAN_WAIT)
		return rc;
	return call == PLAN_RUN ? start_group(t, r, g, reterr) : skip_group(t, r, g, cause, reterr);
}

/* --- the run --- */

static const char *cancelled_cause(struct turn *t, const struct run *r, size_t g)
{
	str why = r->groups[g].cause.ptr ? r->groups[g].cause : STR("");

	for (size_t i = 0; i < r->n_jobs && why.len == 0; i++)
		if (in_group(&r->jobs[i], g) && r->jobs[i].result == RESULT_CANCELLED)
			why = r->jobs[i].cause;
	return arena_printf(t->a, "job '%.*s' was cancelled%s%.*s", STR_ARG(r->plan->groups[g].id), why.len ? ": " : "", STR_ARG(why));
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
			cause = cancelled_cause(t, r, g);
		}
	}
	r->state = RUN_FINISHED;
	r->result = r->cancel && result != RESULT_SUCCESS ? RESULT_CANCELLED : result;
	r->cause = r->cancel && result != RESULT_SUCCESS ? r->cancel_cause : str_z(cause);
	int rc = run_save(t, r, reterr);
	if (rc == 0)
		rc = event_run_finished(t, r, reterr);
	if (rc == 0 && r->concurrency.len)
		concurrency_leave(t, r->project, r->concurrency);
	return rc;
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
			rc = job_stop(t, r, &r->jobs[i], cause, reterr);
	if (rc == 0)
		rc = run_save(t, r, reterr);
	return rc ? rc : run_advance(t, r, reterr);
}

/* --- making --- */

static int add_known_jobs(struct turn *t, struct run *r, struct err *reterr)
{
	int rc = 0;

	for (size_t g = 0; g < r->plan->n_groups; g++)
		for (size_t i = 0; rc == 0 && i < r->plan->groups[g].n_jobs; i++)
			rc = job_add(t, r, &r->plan->groups[g].jobs[i], reterr);
	return rc;
}

int run_create(struct turn *t, struct plan *plan, const struct plan_input *in, str text, struct err *reterr)
{
	struct run r = { .id = in->run_id, .project = in->project, .workflow = plan->workflow->name, .file = plan->workflow->file, .ref = in->ref,
		             .commit = in->commit, .cause = STR(""), .cancel_cause = STR(""), .number = in->run_number, .attempt = 1,
		             .state = RUN_QUEUED, .plan = plan, .concurrency = text_clean(t->a, plan->concurrency.group, LIMIT_WORKFLOW_NAME_BYTES),
		             .concurrency_flags = concurrency_flags(&plan->concurrency), .name = text_clean(t->a, plan->run_name, LIMIT_RUN_NAME_BYTES) };
	int        rc = 0;

	r.cap_jobs = 2 * LIMIT_WORKFLOW_JOBS;
	r.jobs = ARENA_ARRAY(t->a, r.cap_jobs, struct job_row);
	r.groups = ARENA_ARRAY(t->a, plan->n_groups, struct group_row);
	r.known = ARENA_ARRAY(t->a, plan->n_groups, struct plan_state);
	rc = arena_check(t->a, "run", reterr);
	if (rc == 0 && r.concurrency.len)
		concurrency_join_run(t, &r);
	if (rc == 0)
		rc = run_insert(t, &r, in, text, plan->digest, reterr);
	if (rc == 0)
		rc = add_known_jobs(t, &r, reterr);
	if (rc == 0)
		rc = event_run_queued(t, &r, in->event, reterr);
	return rc ? rc : run_advance(t, &r, reterr);
}
