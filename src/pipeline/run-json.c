/* run-json.c - runs as the API, the pages and the command line show them. Reads only; any thread. */
#include "base/base.h"

#include "base/limits.h"
#include "pipeline/run-internal.h"

#define RUN_COLUMNS                                                                                                           \
	"id, project, number, workflow, file, event, ref, commit_id, actor, subject, state, result, cause, cancel, cancel_cause, attempt," \
	" created_at, started_at, ended_at, digest, concurrency, version, name"

static void put_text(struct jw *w, const char *key, str s)
{
	jw_kstr(w, key, s.len ? s : STR_NULL);
}

static void write_run_fields(struct db_rows *rows, struct jw *w)
{
	static const char *const keys[] = { "id", "project", NULL, "workflow", "file", "event", "ref", "commit", "actor", "subject" };

	for (int i = 0; i < (int)ARRAY_SIZE(keys); i++)
		if (keys[i])
			jw_kstr(w, keys[i], db_str(rows, i));
	jw_kstr(w, "name", db_str(rows, 22).len ? db_str(rows, 22) : db_str(rows, 3)); /* a run of before runs had names */
	jw_kint(w, "number", db_int(rows, 2));
	jw_kstrz(w, "state", run_state_name((enum run_state)db_int(rows, 10)));
	put_text(w, "result", str_z(plan_result_name((enum plan_result)db_int(rows, 11))));
	put_text(w, "cause", db_str(rows, 12));
	jw_kbool(w, "cancelled", db_int(rows, 13) != 0);
	put_text(w, "cancel_cause", db_str(rows, 14));
	jw_kint(w, "attempt", db_int(rows, 15));
	jw_ktime(w, "created", db_int(rows, 16));
	jw_ktime(w, "started", db_int(rows, 17));
	jw_ktime(w, "ended", db_int(rows, 18));
	jw_kstr(w, "plan_digest", db_str(rows, 19));
	put_text(w, "concurrency", db_str(rows, 20));
	jw_kint(w, "version", db_int(rows, 21));
}

static int write_steps(struct turn *t, const struct job_row *j, str run, struct jw *w, struct err *reterr)
{
	CLEANUP_ROWS struct db_rows *rows = NULL;
	int rc = db_query(t->tx, reterr, &rows,
	                  "SELECT idx, name, state, exit_code, started_at, ended_at, cause, summary, continued FROM pl_step"
	                  " WHERE job = $1 AND attempt = $2 ORDER BY idx", "si", j->id, j->attempt);

	jw_key(w, "steps");
	jw_arr(w);
	while (rc == 0 && (rc = db_next(rows, reterr)) == 1) {
		jw_obj(w);
		jw_kint(w, "step", db_int(rows, 0));
		jw_kstr(w, "name", db_str(rows, 1));
		jw_kstrz(w, "state", step_state_name((enum step_state)db_int(rows, 2)));
		jw_key(w, "exit");
		if (db_null(rows, 3))
			jw_null(w);
		else
			jw_int(w, db_int(rows, 3));
		jw_ktime(w, "started", db_int(rows, 4));
		jw_ktime(w, "ended", db_int(rows, 5));
		put_text(w, "cause", db_str(rows, 6));
		put_text(w, "summary", db_str(rows, 7));
		jw_kbool(w, "continued", db_int(rows, 8) != 0);
		jw_kint(w, "log_bytes", job_log_size(t->p, run, j->id, j->attempt, db_int(rows, 0)));
		jw_end(w);
		rc = 0;
	}
	jw_end(w);
	return rc;
}

static int write_outputs(struct turn *t, const struct job_row *j, struct jw *w, struct err *reterr)
{
	struct doc_node *n = NULL;
	int              rc = doc_parse_json(t->a, "outputs", j->outputs, &n, reterr);

	if (rc)
		return rc;
	jw_key(w, "outputs");
	jw_node(w, n);
	return 0;
}

static int write_job(struct turn *t, const struct job_row *j, const struct run *r, struct jw *w, struct err *reterr)
{
	jw_obj(w);
	jw_kstr(w, "id", j->id);
	jw_kstr(w, "key", j->key);
	jw_kstr(w, "name", j->name);
	jw_kstr(w, "job", str_sub(j->key, 0, str_find(j->key, '.')));
	jw_kstrz(w, "state", run_job_state_name(j->state));
	put_text(w, "result", str_z(plan_result_name(j->result)));
	put_text(w, "cause", j->cause);
	jw_kint(w, "attempt", j->attempt);
	put_text(w, "retry_cause", j->retry_cause);
	put_text(w, "runner", j->runner);
	put_text(w, "labels", j->labels);
	put_text(w, "concurrency", j->concurrency);
	put_text(w, "environment", j->environment);
	put_text(w, "environment_url", j->environment_url);
	jw_kbool(w, "continue_on_error", j->continue_on_error);
	jw_kbool(w, "cancelled", j->cancel);
	put_text(w, "cancel_cause", j->cancel_cause);
	jw_ktime(w, "queued", j->queued);
	jw_ktime(w, "started", j->started);
	jw_ktime(w, "ended", j->ended);
	int rc = write_outputs(t, j, w, reterr);
	if (rc == 0)
		rc = write_steps(t, j, r->id, w, reterr);
	jw_end(w);
	return rc;
}

/* needs of each job, for drawing the graph. */
static void write_groups(const struct run *r, struct jw *w)
{
	static const char *const states[] = { "wait", "run", "done" };

	jw_key(w, "graph");
	jw_arr(w);
	for (size_t i = 0; i < r->plan->n_groups; i++) {
		size_t                   g = r->plan->order[i];
		const struct plan_group *group = &r->plan->groups[g];

		jw_obj(w);
		jw_kstr(w, "id", group->id);
		jw_key(w, "needs");
		jw_arr(w);
		for (size_t k = 0; k < group->n_needs; k++)
			jw_str(w, r->plan->groups[group->needs[k]].id);
		jw_end(w);
		jw_kstrz(w, "state", states[r->groups[g].state]);
		put_text(w, "result", str_z(plan_result_name(r->groups[g].result)));
		put_text(w, "cause", r->groups[g].cause);
		jw_end(w);
	}
	jw_end(w);
}

int run_write_json(struct turn *t, str id, struct jw *w, struct err *reterr)
{
	struct run *r = NULL;
	int         rc = run_load(t, id, &r, reterr);
	CLEANUP_ROWS struct db_rows *rows = NULL;

	if (rc == 0)
		rc = db_query(t->tx, reterr, &rows, "SELECT " RUN_COLUMNS " FROM pl_run WHERE id = $1", "s", id);
	if (rc == 0)
		rc = db_next(rows, reterr) == 1 ? 0 : err_set(reterr, WEIR_ENOENT, "there is no run '%.*s'", STR_ARG(id));
	if (rc)
		return rc;
	jw_obj(w);
	write_run_fields(rows, w);
	rows = db_rows_close(rows);
	if (r->plan)
		write_groups(r, w);
	jw_key(w, "jobs");
	jw_arr(w);
	for (size_t i = 0; rc == 0 && i < r->n_jobs; i++)
		rc = write_job(t, &r->jobs[i], r, w, reterr);
	jw_end(w);
	jw_end(w);
	return rc;
}

int runs_write_json(struct turn *t, str project, str commit, size_t max, struct jw *w, struct err *reterr)
{
	CLEANUP_ROWS struct db_rows *rows = NULL;
	int rc;

	if (commit.len)
		rc = db_query(t->tx, reterr, &rows, "SELECT " RUN_COLUMNS " FROM pl_run WHERE project = $1 AND commit_id = $2 ORDER BY id DESC LIMIT $3",
		              "ssi", project, commit, (int64_t)max);
	else if (project.len)
		rc = db_query(t->tx, reterr, &rows, "SELECT " RUN_COLUMNS " FROM pl_run WHERE project = $1 ORDER BY number DESC LIMIT $2", "si", project,
		              (int64_t)max);
	else
		rc = db_query(t->tx, reterr, &rows, "SELECT " RUN_COLUMNS " FROM pl_run ORDER BY id DESC LIMIT $1", "i", (int64_t)max);
	jw_obj(w);
	jw_key(w, "runs");
	jw_arr(w);
	while (rc == 0 && (rc = db_next(rows, reterr)) == 1) {
		jw_obj(w);
		write_run_fields(rows, w);
		jw_end(w);
		rc = 0;
	}
	jw_end(w);
	jw_end(w);
	return rc;
}
