/* run-retry.c - a finished run again: the jobs that failed or were cancelled and all that need them; the rest keeps its results and outputs.
 *
 * Of a matrix only the cells that did not succeed run again, unless something the matrix needs does. A failure that `continue-on-error` allows
 * counts as success here, too. The rows of what runs again are superseded, never changed. Inside the caller's transaction, on its thread. */
#include "base/base.h"

#include "base/limits.h"
#include "pipeline/run-internal.h"

enum again { AGAIN_NONE, AGAIN_CELLS, AGAIN_ALL };

static bool cell_again(const struct job_row *j)
{
	return j->result == RESULT_CANCELLED || (j->result == RESULT_FAILURE && !j->continue_on_error);
}

/* The row of a group that could not be expanded into jobs: it has no labels, which every job has. */
static bool stands_for_group(const struct job_row *j)
{
	return j->labels.len == 0;
}

static bool mark_again(const struct run *r, enum again *again)
{
	bool any = false;

	for (size_t i = 0; i < r->n_jobs; i++)
		if (cell_again(&r->jobs[i]) && again[r->jobs[i].group] != AGAIN_ALL)
			again[r->jobs[i].group] = stands_for_group(&r->jobs[i]) ? AGAIN_ALL : AGAIN_CELLS;
	for (size_t i = 0; i < r->plan->n_groups; i++) {
		size_t                   g = r->plan->order[i];
		const struct plan_group *group = &r->plan->groups[g];

		for (size_t k = 0; k < group->n_needs; k++)
			if (again[group->needs[k]])
				again[g] = AGAIN_ALL;
		any = any || again[g];
	}
	return any;
}

static int supersede(struct turn *t, struct run *r, const struct job_row *old, struct err *reterr)
{
	struct job_row row = *old;

	row.superseded = true;
	return job_save(t, r, &row, reterr);
}

/* A new row for the same cell of the matrix. */
static int again_cell(struct turn *t, struct run *r, const struct job_row *old, struct err *reterr)
{
	struct job_row j = { .id = run_new_id(t->a), .key = old->key, .name = old->name, .group = old->group, .index = old->index, .state = JOB_BLOCKED,
		                 .timeout_ms = old->timeout_ms, .cancel_ms = old->cancel_ms, .continue_on_error = old->continue_on_error,
		                 .labels = old->labels, .environment = old->environment, .concurrency = old->concurrency,
		                 .concurrency_flags = old->concurrency_flags };

	j.environment_url = j.cause = j.retry_cause = j.runner = j.lease = j.cancel_cause = STR("");
	j.outputs = STR("{}");
	return job_insert(t, r, &j, reterr);
}

/* Takes the rows of what runs again out of the run and puts new ones there. */
static int replace_rows(struct turn *t, struct run *r, const enum again *again, struct err *reterr)
{
	size_t          n = r->n_jobs;
	struct job_row *old = ARENA_ARRAY(t->a, n + 1, struct job_row);
	int             rc = 0;

	if (!old)
		return arena_check(t->a, "run", reterr);
	if (n)
		memcpy(old, r->jobs, n * sizeof(*old));
	r->n_jobs = 0;
	for (size_t i = 0; rc == 0 && i < n; i++) {
		enum again how = again[old[i].group];

		if (how == AGAIN_NONE || (how == AGAIN_CELLS && !cell_again(&old[i]))) {
			r->jobs[r->n_jobs++] = old[i];
			continue;
		}
		rc = supersede(t, r, &old[i], reterr);
		if (rc == 0 && how == AGAIN_CELLS)
			rc = again_cell(t, r, &old[i], reterr);
	}
	for (size_t g = 0; g < r->plan->n_groups; g++)
		for (size_t i = 0; rc == 0 && again[g] == AGAIN_ALL && i < r->plan->groups[g].n_jobs; i++)
			rc = job_add(t, r, &r->plan->groups[g].jobs[i], reterr);
	return rc;
}

int run_retry(struct turn *t, struct run *r, struct err *reterr)
{
	enum again *again;
	int         rc;

	if (r->state != RUN_FINISHED)
		return err_set(reterr, WEIR_ECONFLICT, "run %.*s has not ended yet: cancel it first", STR_ARG(r->id));
	if (!r->plan)
		return err_set(reterr, WEIR_ECONFLICT, "run %.*s is of a workflow that this version of weir does not read: push a newer one", STR_ARG(r->id));
	again = ARENA_ARRAY(t->a, r->plan->n_groups, enum again);
	if (!again)
		return arena_check(t->a, "run", reterr);
	if (r->result == RESULT_SUCCESS || !mark_again(r, again))
		return err_set(reterr, WEIR_ECONFLICT, "run %.*s has no failed job", STR_ARG(r->id));
	rc = replace_rows(t, r, again, reterr);
	for (size_t g = 0; rc == 0 && g < r->plan->n_groups; g++) {
		if (!again[g])
			continue;
		r->groups[g] = (struct group_row){ GROUP_WAIT, RESULT_NONE, STR(""), NULL };
		rc = group_save(t, r, g, reterr);
	}
	r->attempt++;
	r->state = RUN_QUEUED;
	r->result = RESULT_NONE;
	r->cause = r->cancel_cause = STR("");
	r->cancel = false;
	if (rc == 0 && r->concurrency.len)
		concurrency_join_run(t, r);
	if (rc == 0)
		rc = run_save(t, r, reterr);
	if (rc == 0)
		rc = event_run_queued(t, r, STR("retry"), reterr);
	return rc ? rc : run_advance(t, r, reterr);
}
