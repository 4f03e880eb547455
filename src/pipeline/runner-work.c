/* runner-work.c - what runners do, as transactions: claim, report, renew, finish. The HTTP around it is runner-api.c.
 *
 * Every function can be repeated. The lease of a job is the id of the claim that got it: another one is -WEIR_EGONE. Inside db_write or db_read. */
#include "base/base.h"

#include "base/limits.h"
#include "db/jobq.h"
#include "pipeline/runner-work.h"

/* The job's row, when `lease` holds it. ended: an ended job of this lease is fine too. */
static int held_job(struct turn *t, str id, str lease, bool ended, struct job_row *j, str *run, struct err *reterr)
{
	int rc = job_load(t, id, j, run, reterr);

	if (rc)
		return rc;
	if (lease.len == 0 || !str_eq(j->lease, lease) || (j->state != JOB_RUNNING && !(ended && j->state == JOB_FINISHED)))
		return err_set(reterr, WEIR_EGONE, "job %.*s is no longer held by this lease: stop it", STR_ARG(id));
	return 0;
}

/* --- claim --- */

static const struct plan_job *planned(const struct turn *t, const struct run *r, const struct job_row *j, struct plan_group *group,
                                      struct err *reterr)
{
	if (plan_expand(t->a, r->plan, (size_t)j->group, r->known, group, reterr))
		return NULL;
	for (size_t i = 0; i < group->n_jobs; i++)
		if (str_eq(group->jobs[i].key, j->key))
			return &group->jobs[i];
	(void)err_set(reterr, WEIR_EINTERNAL, "job %.*s is not in its plan", STR_ARG(j->id));
	return NULL;
}

/* A new token and the spec for a job that `c` holds now. */
static int write_spec(struct turn *t, struct runner_claim *c, struct run *r, struct job_row *j, struct err *reterr)
{
	struct plan_group      group;
	char                   token[TOKEN_TEXT_SIZE], url[1024];
	const struct plan_job *pj = planned(t, r, j, &group, reterr);
	usec_t                 expires = t->now + (j->timeout_ms + j->cancel_ms) * USEC_PER_MSEC + 2 * PIPELINE_STOP_GRACE;
	int                    rc = pj ? 0 : -WEIR_EINVAL;

	if (rc == 0)
		rc = token_end_job(t->p->cfg.tokens, t->tx, j->id, reterr);
	if (rc == 0)
		rc = token_create_job(t->p->cfg.tokens, t->tx, r->project, j->id, expires, token, reterr);
	if (rc)
		return rc;
	(void)snprintf(url, sizeof(url), "%s/git/%.*s.git", t->p->cfg.server_url, STR_ARG(r->project));
	struct plan_job_extra x = { .job = j->id, .lease = c->lease, .lease_ms = t->p->lease / USEC_PER_MSEC, .attempt = j->attempt,
		                        .cause = j->retry_cause, .clone_url = str_z(url), .token = str_z(token), .job_total = group.n_jobs };
	buf_clear(c->spec);
	return plan_job_spec(t->a, r->plan, pj, r->known, &x, c->spec, reterr);
}

static int event_started(struct turn *t, const struct run *r, const struct job_row *j, bool first, struct err *reterr)
{
	CLEANUP_BUF struct buf b = BUF_INIT(LIMIT_EVENT_BYTES);
	struct jw              w;
	int                    rc = 0;

	if (first) {
		jw_init(&w, &b);
		jw_obj(&w);
		jw_kstr(&w, "run", r->id);
		jw_kstr(&w, "workflow", r->workflow);
		jw_end(&w);
		rc = run_event(t, r->project, EVENT_RUN_STARTED, &b, reterr);
		buf_clear(&b);
	}
	jw_init(&w, &b);
	jw_obj(&w);
	jw_kstr(&w, "run", r->id);
	jw_kstr(&w, "job", j->id);
	jw_kstr(&w, "name", j->name);
	jw_kstr(&w, "runner", j->runner);
	jw_kint(&w, "attempt", j->attempt);
	if (j->retry_cause.len)
		jw_kstr(&w, "cause", j->retry_cause);
	jw_end(&w);
	return rc ? rc : run_event(t, r->project, EVENT_JOB_STARTED, &b, reterr);
}

/* The job is this runner's from now on. A job whose spec cannot be made (an expression fails) ends here, and the claim looks on (c->found false). */
static int start_job(struct turn *t, struct runner_claim *c, struct run *r, struct job_row *j, int64_t attempt, struct err *reterr)
{
	bool       first = r->state == RUN_QUEUED;
	struct err e = { 0 };
	int        rc;

	j->state = JOB_RUNNING;
	j->attempt = attempt;
	j->runner = c->runner;
	j->lease = c->lease;
	j->started = t->now;
	j->deadline = t->now + (j->timeout_ms + j->cancel_ms) * USEC_PER_MSEC + PIPELINE_STOP_GRACE;
	rc = job_save(t, r, j, reterr);
	if (rc == 0 && first) {
		r->state = RUN_RUNNING;
		rc = run_save(t, r, reterr);
	}
	if (rc == 0)
		rc = steps_insert(t, j, r->plan->workflow->jobs[j->group].n_steps, reterr);
	if (rc == 0)
		rc = event_started(t, r, j, first, reterr);
	if (rc)
		return rc;
	rc = write_spec(t, c, r, j, &e);
	if (rc == -WEIR_EINVAL || rc == -WEIR_EPARSE || rc == -WEIR_ELIMIT) {
		rc = job_end(t, r, j, RESULT_FAILURE, str_z(arena_printf(t->a, "plan: %s", e.msg)), reterr);
		return rc ? rc : run_advance(t, r, reterr);
	}
	if (rc && reterr)
		*reterr = e;
	c->found = rc == 0;
	return rc;
}

/* The same claim again: its answer was lost. */
static int again(struct turn *t, struct runner_claim *c, struct err *reterr)
{
	struct run     *r;
	struct job_row *j;
	str             id;
	bool            found;
	int rc = db_get_str(t->tx, reterr, t->a, &id, &found, "SELECT id FROM pl_job WHERE lease = $1 AND runner = $2 AND state = 2", "ss", c->lease,
	                    c->runner);

	if (rc || !found)
		return rc;
	rc = run_load_job(t, id, &r, &j, reterr);
	if (rc == 0)
		rc = write_spec(t, c, r, j, reterr);
	c->found = rc == 0;
	return rc;
}

static int take_next(struct turn *t, struct runner_claim *c, bool *ret_none, struct err *reterr)
{
	struct jobq_item item;
	struct run      *r;
	struct job_row  *j;
	bool             found = false;
	int rc = jobq_claim(t->tx, PIPELINE_QUEUE, c->lease, c->offers, t->now, t->p->lease, t->a, &item, &found, reterr);

	*ret_none = !found;
	if (rc || !found)
		return rc;
	rc = run_load_or_give_up(t, item.id, &r, &j, reterr);
	if (rc == 1 || (rc == 0 && j->state == JOB_FINISHED)) { /* a left-over */
		struct err gone = { 0 };

		rc = jobq_done(t->tx, PIPELINE_QUEUE, item.id, &gone);
		if (rc && rc != -WEIR_EGONE && reterr)
			*reterr = gone;
		return rc == -WEIR_EGONE ? 0 : rc;
	}
	if (rc == 0 && j->state == JOB_RUNNING) { /* the queue gave on a job whose lease ran out before we looked */
		rc = job_lost(t, r, j, false, reterr);
		if (rc == 0 && j->state == JOB_FINISHED)
			return 0;
	}
	return rc ? rc : start_job(t, c, r, j, item.attempt, reterr);
}

int runner_claim_turn(struct turn *t, void *arg, struct err *reterr)
{
	struct runner_claim *c = arg;
	bool          none = false;
	int           rc;

	c->found = false;
	rc = again(t, c, reterr);
	for (int i = 0; rc == 0 && !c->found && !none && i < 100; i++)
		rc = take_next(t, c, &none, reterr);
	return rc;
}

/* --- log --- */

int runner_find_log(struct turn *t, void *arg, struct err *reterr)
{
	struct runner_log *l = arg;
	str                run;
	int                rc = held_job(t, l->job, l->lease, false, &l->row, &run, reterr);

	if (rc == 0)
		rc = db_get_int(t->tx, reterr, &l->steps, NULL, "SELECT count(*) FROM pl_step WHERE job = $1 AND attempt = $2", "si", l->job,
		                l->row.attempt);
	l->run = arena_str(l->keep, run);
	return rc;
}

/* --- steps --- */

static int event_step(struct turn *t, const struct runner_step *s, str run, str project, str name, usec_t started, struct err *reterr)
{
	CLEANUP_BUF struct buf b = BUF_INIT(LIMIT_EVENT_BYTES);
	struct jw              w;

	jw_init(&w, &b);
	jw_obj(&w);
	jw_kstr(&w, "run", run);
	jw_kstr(&w, "job", s->job);
	jw_kint(&w, "step", s->step);
	jw_kstr(&w, "name", name);
	jw_kstrz(&w, "result", step_state_name(s->state));
	if (s->has_exit)
		jw_kint(&w, "exit", s->exit);
	jw_kint(&w, "ms", started && s->ended > started ? (s->ended - started) / USEC_PER_MSEC : 0);
	if (s->cause.len)
		jw_kstr(&w, "cause", s->cause);
	jw_end(&w);
	return run_event(t, project, EVENT_STEP_FINISHED, &b, reterr);
}

static bool is_end(enum step_state s)
{
	return s >= STEP_SUCCESS;
}

/* What the step's row has now. */
static int step_now(struct turn *t, const struct runner_step *s, int64_t attempt, enum step_state *state, str *name, usec_t *started,
                    struct err *reterr)
{
	CLEANUP_ROWS struct db_rows *rows = NULL;
	int rc = db_query(t->tx, reterr, &rows, "SELECT state, name, started_at FROM pl_step WHERE job = $1 AND attempt = $2 AND idx = $3", "sii",
	                  s->job, attempt, s->step);

	if (rc == 0)
		rc = db_next(rows, reterr);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return err_set(reterr, WEIR_EINVAL, "the job has no step %lld", (long long)s->step);
	*state = (enum step_state)db_int(rows, 0);
	*name = arena_str(t->a, db_str(rows, 1));
	*started = db_int(rows, 2);
	return 0;
}

int runner_step_turn(struct turn *t, void *arg, struct err *reterr)
{
	struct runner_step *s = arg;
	struct job_row      j;
	enum step_state     have = 0;
	str                 run, name, project;
	usec_t              started = 0;
	int                 rc = held_job(t, s->job, s->lease, false, &j, &run, reterr);

	if (rc == 0)
		rc = step_now(t, s, j.attempt, &have, &name, &started, reterr);
	if (rc)
		return rc;
	if (is_end(have) && is_end(s->state) && have != s->state)
		return err_set(reterr, WEIR_ECONFLICT, "step %lld ended with %s already", (long long)s->step, step_state_name(have));
	if (is_end(have) || s->state < have)
		return 0; /* again, or a late one */
	t->actor = str_z(arena_printf(t->a, "runner:%.*s", STR_ARG(j.runner)));
	name = s->name.len ? s->name : name;
	started = s->started ? s->started : started;
	if (is_end(s->state) && !s->ended)
		s->ended = t->now;
	rc = db_exec(t->tx, reterr,
	             "UPDATE pl_step SET state = $4, name = $5, started_at = $6, ended_at = $7, cause = $8, summary = $9, continued = $10"
	             " WHERE job = $1 AND attempt = $2 AND idx = $3",
	             "siiisiissi", s->job, j.attempt, s->step, (int64_t)s->state, name, started, s->ended, s->cause, s->summary,
	             (int64_t)s->continued);
	if (rc == 0 && s->has_exit)
		rc = db_exec(t->tx, reterr, "UPDATE pl_step SET exit_code = $4 WHERE job = $1 AND attempt = $2 AND idx = $3", "siii", s->job, j.attempt,
		             s->step, s->exit);
	if (rc == 0 && is_end(s->state))
		rc = db_get_str(t->tx, reterr, t->a, &project, NULL, "SELECT project FROM pl_run WHERE id = $1", "s", run);
	if (rc == 0 && is_end(s->state))
		rc = event_step(t, s, run, project, name, started, reterr);
	return rc ? rc : run_touch(t, run, reterr);
}

/* --- renew, state --- */

int runner_renew_turn(struct turn *t, void *arg, struct err *reterr)
{
	struct runner_renewal *x = arg;
	struct job_row  j;
	str             run;
	int             rc = held_job(t, x->job, x->lease, false, &j, &run, reterr);

	if (rc == 0)
		rc = jobq_renew(t->tx, PIPELINE_QUEUE, x->job, x->lease, t->now, t->p->lease, reterr);
	x->cancel = !rc && j.cancel;
	x->cause = rc ? STR("") : arena_str(x->keep, j.cancel_cause);
	return rc;
}

static int write_step_states(struct turn *t, const struct job_row *j, str run, struct jw *w, struct err *reterr)
{
	CLEANUP_ROWS struct db_rows *rows = NULL;
	int rc = db_query(t->tx, reterr, &rows, "SELECT idx, state, exit_code FROM pl_step WHERE job = $1 AND attempt = $2 ORDER BY idx", "si", j->id,
	                  j->attempt);

	jw_key(w, "steps");
	jw_arr(w);
	while (rc == 0 && (rc = db_next(rows, reterr)) == 1) {
		jw_obj(w);
		jw_kint(w, "step", db_int(rows, 0));
		jw_kstrz(w, "state", step_state_name((enum step_state)db_int(rows, 1)));
		jw_key(w, "exit");
		if (db_null(rows, 2))
			jw_null(w);
		else
			jw_int(w, db_int(rows, 2));
		jw_kint(w, "log_next", job_log_size(t->p, run, j->id, j->attempt, db_int(rows, 0)));
		jw_end(w);
		rc = 0;
	}
	jw_end(w);
	return rc;
}

int runner_state_turn(struct turn *t, void *arg, struct err *reterr)
{
	struct runner_state *q = arg;
	struct job_row      j;
	struct jw           w;
	str                 run;
	int                 rc = held_job(t, q->r.job, q->r.lease, true, &j, &run, reterr);

	if (rc)
		return rc;
	buf_clear(q->out);
	jw_init(&w, q->out);
	jw_obj(&w);
	jw_kstr(&w, "job", j.id);
	jw_kint(&w, "attempt", j.attempt);
	jw_kstrz(&w, "state", run_job_state_name(j.state));
	jw_kbool(&w, "cancel", j.cancel);
	jw_kstr(&w, "cause", j.cancel_cause);
	rc = write_step_states(t, &j, run, &w, reterr);
	jw_end(&w);
	if (rc == 0 && j.state == JOB_RUNNING)
		rc = jobq_renew(t->tx, PIPELINE_QUEUE, q->r.job, q->r.lease, t->now, t->p->lease, reterr);
	return rc ? rc : buf_check(q->out, "state", reterr);
}

/* --- finish --- */

static int give_back(struct turn *t, struct run *r, struct job_row *j, str cause, struct err *reterr)
{
	bool dead = false;
	int  rc = jobq_retry(t->tx, PIPELINE_QUEUE, j->id, cause, t->now, &dead, reterr);

	if (rc)
		return rc;
	if (dead) {
		rc = job_end(t, r, j, RESULT_FAILURE, cause, reterr);
		return rc ? rc : run_advance(t, r, reterr);
	}
	rc = end_attempt(t, r, j, cause, reterr);
	return rc;
}

int runner_finish_turn(struct turn *t, void *arg, struct err *reterr)
{
	struct runner_finish  *f = arg;
	struct job_row  row, *j;
	struct run     *r;
	str             run;
	int             rc = held_job(t, f->job, f->lease, true, &row, &run, reterr);

	if (rc || row.state == JOB_FINISHED)
		return rc;
	rc = run_load_job(t, f->job, &r, &j, reterr);
	if (rc)
		return rc;
	t->actor = str_z(arena_printf(t->a, "runner:%.*s", STR_ARG(j->runner)));
	if (f->retry && !j->cancel)
		return give_back(t, r, j, f->cause, reterr);
	size_t outputs = f->outputs.len;
	for (size_t i = 0; i < r->n_jobs; i++)
		outputs += r->jobs[i].outputs.len;
	if (outputs > LIMIT_RUN_OUTPUT_BYTES) {
		rc = job_end(t, r, j, RESULT_FAILURE, STR("limit: the outputs of the run's jobs are more than 8 MiB together"), reterr);
		return rc ? rc : run_advance(t, r, reterr);
	}
	j->outputs = f->outputs;
	j->environment_url = f->environment_url;
	rc = job_end(t, r, j, f->result, j->cancel && f->result == RESULT_CANCELLED && !f->cause.len ? j->cancel_cause : f->cause, reterr);
	return rc ? rc : run_advance(t, r, reterr);
}

