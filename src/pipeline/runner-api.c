/* runner-api.c - the server's end of the runner protocol (protocol.md has the exact JSON).
 *
 * Every call can be repeated. The lease of a job is the id of the claim that got it: whoever names another one gets 410 and must let go.
 * Handlers run on worker threads; a claim that waits holds one, at most cfg.claims_max of them. */
#include "base/base.h"

#include "base/limits.h"
#include "db/jobq.h"
#include "pipeline/run-internal.h"

#include <errno.h>

enum { WAIT_MS_MAX = 25000, CLAIM_MIN = 16, CLAIM_MAX = 64, LABELS_MAX = 64 };

/* --- bodies --- */

static int body_map(struct http_req *req, struct doc_check *c, const char *const *keys, struct doc_node **ret, struct err *reterr)
{
	int rc = http_body_json(req, ret, reterr);

	if (rc)
		return rc;
	doc_check_init(c, http_arena(req), "body");
	(void)doc_is_map(c, *ret, "the body", keys);
	return doc_check_result(c, reterr);
}

static bool name_chars(str s, size_t min, size_t max)
{
	if (s.len < min || s.len > max)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];

		if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || c == '-' || c == '.'))
			return false;
	}
	return true;
}

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

struct claim {
	str        runner, lease, offers;
	bool       found;
	struct buf *spec;
};

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
static int write_spec(struct turn *t, struct claim *c, struct run *r, struct job_row *j, struct err *reterr)
{
	struct plan_group      group;
	char                   token[TOKEN_TEXT_SIZE], url[1024];
	const struct plan_job *pj = planned(t, r, j, &group, reterr);
	usec_t                 expires = t->now + j->timeout_ms * USEC_PER_MSEC + 2 * PIPELINE_STOP_GRACE;
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
static int start_job(struct turn *t, struct claim *c, struct run *r, struct job_row *j, int64_t attempt, struct err *reterr)
{
	bool       first = r->state == RUN_QUEUED;
	struct err e = { 0 };
	int        rc;

	j->state = JOB_RUNNING;
	j->attempt = attempt;
	j->runner = c->runner;
	j->lease = c->lease;
	j->started = t->now;
	j->deadline = t->now + j->timeout_ms * USEC_PER_MSEC + PIPELINE_STOP_GRACE;
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
static int again(struct turn *t, struct claim *c, struct err *reterr)
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

static int take_next(struct turn *t, struct claim *c, bool *ret_none, struct err *reterr)
{
	struct jobq_item item;
	struct run      *r;
	struct job_row  *j;
	bool             found = false;
	int rc = jobq_claim(t->tx, PIPELINE_QUEUE, c->lease, c->offers, t->now, t->p->lease, t->a, &item, &found, reterr);

	*ret_none = !found;
	if (rc || !found)
		return rc;
	rc = run_load_job(t, item.id, &r, &j, reterr);
	if (rc == -WEIR_ENOENT || rc == -WEIR_EGONE || (rc == 0 && j->state == JOB_FINISHED))
		return jobq_done(t->tx, PIPELINE_QUEUE, item.id, reterr); /* a left-over */
	if (rc == 0 && j->state == JOB_RUNNING) { /* the queue gave on a job whose lease ran out before we looked */
		rc = job_lost(t, r, j, false, reterr);
		if (rc == 0 && j->state == JOB_FINISHED)
			return 0;
	}
	return rc ? rc : start_job(t, c, r, j, item.attempt, reterr);
}

static int claim_turn(struct turn *t, void *arg, struct err *reterr)
{
	struct claim *c = arg;
	bool          none = false;
	int           rc;

	c->found = false;
	rc = again(t, c, reterr);
	for (int i = 0; rc == 0 && !c->found && !none && i < 100; i++)
		rc = take_next(t, c, &none, reterr);
	return rc;
}

/* Waits until jobs may be there. False when the time is over, the client is gone or the server stops. */
static bool wait_for_jobs(struct pipeline *p, struct http_req *req, uint64_t *seen, usec_t until)
{
	bool more;

	pthread_mutex_lock(&p->lock);
	while (p->jobs_seq == *seen && !p->stop && clock_mono_now() < until && !http_gone(req)) {
		struct timespec ts;
		usec_t          now = clock_mono_now(), next = now + 250 * USEC_PER_MSEC;

		next = next < until ? next : until;
		ts.tv_sec = next / USEC_PER_SEC;
		ts.tv_nsec = (next % USEC_PER_SEC) * 1000;
		(void)pthread_cond_timedwait(&p->wake, &p->lock, &ts);
	}
	more = p->jobs_seq != *seen && !p->stop && clock_mono_now() < until;
	*seen = p->jobs_seq;
	pthread_mutex_unlock(&p->lock);
	return more;
}

static int compare_labels(const void *a, const void *b)
{
	return str_cmp(*(const str *)a, *(const str *)b);
}

static int read_claim(struct http_req *req, struct claim *c, int64_t *ret_wait_ms, struct err *reterr)
{
	static const char *const keys[] = { "runner", "labels", "wait_ms", "claim", NULL };
	struct doc_check         check;
	struct doc_node         *body;
	const struct doc_node   *labels;
	str                      list[LABELS_MAX];
	size_t                   n = 0;
	struct buf               b = BUF_INIT(8192);
	int                      rc = body_map(req, &check, keys, &body, reterr);

	if (rc)
		return rc;
	c->runner = doc_get_str(body, "runner");
	c->lease = doc_get_str(body, "claim");
	*ret_wait_ms = doc_get_int(body, "wait_ms", 0);
	labels = doc_get(body, "labels");
	if (!name_chars(c->runner, 1, LIMIT_NAME_BYTES))
		return err_set(reterr, WEIR_EINVAL, "'runner' must be 1 to %d characters [A-Za-z0-9._-]", LIMIT_NAME_BYTES);
	if (!name_chars(c->lease, CLAIM_MIN, CLAIM_MAX))
		return err_set(reterr, WEIR_EINVAL, "'claim' must be %d to %d characters [A-Za-z0-9._-]", CLAIM_MIN, CLAIM_MAX);
	if (*ret_wait_ms < 0 || *ret_wait_ms > WAIT_MS_MAX)
		return err_set(reterr, WEIR_EINVAL, "'wait_ms' must be 0 to %d", WAIT_MS_MAX);
	if (!labels || labels->kind != DOC_SEQ || labels->seq.n > LABELS_MAX)
		return err_set(reterr, WEIR_EINVAL, "'labels' must be a list of at most %d texts", LABELS_MAX);
	for (size_t i = 0; i < labels->seq.n; i++) {
		const struct doc_node *l = labels->seq.items[i];

		if (l->kind != DOC_STR || l->s.len == 0 || l->s.len > LIMIT_NAME_BYTES || memchr(l->s.ptr, ',', l->s.len))
			return err_set(reterr, WEIR_EINVAL, "a label must be a text of 1 to %d bytes without a comma", LIMIT_NAME_BYTES);
		list[n++] = l->s;
	}
	qsort(list, n, sizeof(*list), compare_labels);
	for (size_t i = 0; i < n; i++)
		buf_addf(&b, "%s%.*s", i ? "," : "", STR_ARG(list[i]));
	c->offers = arena_str(http_arena(req), buf_str(&b));
	buf_fini(&b);
	return 0;
}

static bool may_wait(struct pipeline *p, int change)
{
	bool ok = true;

	pthread_mutex_lock(&p->lock);
	if (change > 0)
		ok = p->waiting < p->cfg.claims_max;
	if (ok)
		p->waiting = (unsigned)((int)p->waiting + change);
	pthread_mutex_unlock(&p->lock);
	return ok;
}

int runner_api_claim(struct http_req *req, void *ctx, struct err *reterr)
{
	struct pipeline       *p = ctx;
	CLEANUP_BUF struct buf spec = BUF_INIT(LIMIT_DOC_BYTES);
	struct claim           c = { .spec = &spec };
	int64_t                wait_ms = 0;
	int                    rc = read_claim(req, &c, &wait_ms, reterr);

	if (rc)
		return rc;
	pthread_mutex_lock(&p->lock);
	uint64_t seen = p->jobs_seq; /* before looking: what comes meanwhile is not missed */
	pthread_mutex_unlock(&p->lock);
	usec_t until = clock_mono_now() + wait_ms * USEC_PER_MSEC;
	str    actor = str_z(arena_printf(http_arena(req), "runner:%.*s", STR_ARG(c.runner)));
	rc = turn_write(p, actor, claim_turn, &c, reterr);
	if (rc == 0 && !c.found && wait_ms > 0 && may_wait(p, 1)) {
		while (rc == 0 && !c.found && wait_for_jobs(p, req, &seen, until))
			rc = turn_write(p, actor, claim_turn, &c, reterr);
		(void)may_wait(p, -1);
	}
	if (rc)
		return rc;
	if (!c.found) {
		http_status(req, 204);
		return 0;
	}
	http_type(req, "application/json");
	buf_add_str(http_out(req), buf_str(&spec));
	return 0;
}

/* --- log --- */

struct log_target {
	str            job, lease, run;
	struct job_row row;
	int64_t        steps;
	struct arena  *keep;
};

static int find_log(struct turn *t, void *arg, struct err *reterr)
{
	struct log_target *l = arg;
	str                run;
	int                rc = held_job(t, l->job, l->lease, false, &l->row, &run, reterr);

	if (rc == 0)
		rc = db_get_int(t->tx, reterr, &l->steps, NULL, "SELECT count(*) FROM pl_step WHERE job = $1 AND attempt = $2", "si", l->job,
		                l->row.attempt);
	l->run = arena_str(l->keep, run);
	return rc;
}

int runner_api_log(struct http_req *req, void *ctx, struct err *reterr)
{
	struct pipeline  *p = ctx;
	struct log_target l = { .job = http_param(req, "job"), .lease = http_query(req, "lease"), .keep = http_arena(req) };
	int64_t           step, offset, next = 0;
	struct err        e = { 0 };
	struct jw         w;

	if (!str_to_i64(http_query(req, "step"), &step) || !str_to_i64(http_query(req, "offset"), &offset) || step < 0 || offset < 0)
		return err_set(reterr, WEIR_EINVAL, "'step' and 'offset' must be numbers from 0 on");
	int rc = turn_read(p, find_log, &l, reterr);
	if (rc)
		return rc;
	if (step >= l.steps)
		return err_set(reterr, WEIR_EINVAL, "the job has %lld steps", (long long)l.steps);
	rc = job_log_append(p, l.run, l.job, l.row.attempt, step, offset, http_body(req), &next, &e);
	if (rc && rc != -WEIR_ECONFLICT && rc != -WEIR_ELIMIT) {
		if (reterr)
			*reterr = e;
		return rc;
	}
	if (p->log_hub)
		sse_kick(p->log_hub);
	http_json(req, &w);
	jw_obj(&w);
	if (rc) {
		http_status(req, err_http_status(rc));
		jw_key(&w, "error");
		jw_obj(&w);
		jw_kstrz(&w, "code", err_name(rc));
		jw_kstrz(&w, "message", e.msg);
		jw_end(&w);
	}
	jw_kint(&w, "next", next);
	jw_end(&w);
	return 0;
}

/* --- steps --- */

struct step_report {
	str             job, lease, name, cause, summary;
	int64_t         step, exit;
	bool            has_exit, continued;
	enum step_state state;
	usec_t          started, ended;
};

static int event_step(struct turn *t, const struct step_report *s, str run, str project, str name, usec_t started, struct err *reterr)
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
static int step_now(struct turn *t, const struct step_report *s, int64_t attempt, enum step_state *state, str *name, usec_t *started,
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

static int step_turn(struct turn *t, void *arg, struct err *reterr)
{
	struct step_report *s = arg;
	struct job_row      j;
	enum step_state     have;
	str                 run, name, project;
	usec_t              started;
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

static str text_of(const struct doc_node *body, const char *key, size_t max)
{
	str s = doc_get_str(body, key);

	return s.ptr ? str_sub(s, 0, max) : STR("");
}

int runner_api_steps(struct http_req *req, void *ctx, struct err *reterr)
{
	static const char *const keys[] = { "lease", "step", "state", "name", "exit", "started", "ended", "cause", "summary", "continued", NULL };
	struct doc_check         check;
	struct doc_node         *body;
	const struct doc_node   *exit_node;
	struct jw                w;
	int                      rc = body_map(req, &check, keys, &body, reterr);

	if (rc)
		return rc;
	struct step_report s = { .job = http_param(req, "job"), .lease = doc_get_str(body, "lease"), .step = doc_get_int(body, "step", -1),
		                     .name = text_of(body, "name", LIMIT_WORKFLOW_NAME_BYTES), .cause = text_of(body, "cause", 2000),
		                     .summary = text_of(body, "summary", LIMIT_STEP_SUMMARY_BYTES), .started = doc_get_int(body, "started", 0),
		                     .ended = doc_get_int(body, "ended", 0), .continued = doc_get_bool(body, "continued", false) };
	int state = step_state_find(doc_get_str(body, "state"));
	if (state < 0)
		return err_set(reterr, WEIR_EINVAL, "'state' must be queued, running, success, failure, skipped or cancelled");
	s.state = (enum step_state)state;
	exit_node = doc_get(body, "exit");
	s.has_exit = exit_node && exit_node->kind == DOC_INT;
	s.exit = s.has_exit ? exit_node->i : 0;
	rc = turn_write(ctx, STR("weir"), step_turn, &s, reterr);
	if (rc)
		return rc;
	http_json(req, &w);
	jw_obj(&w);
	jw_end(&w);
	return 0;
}

/* --- renew, state --- */

struct renewal {
	str           job, lease;
	bool          cancel;
	str           cause;
	struct arena *keep;
};

static int renew_turn(struct turn *t, void *arg, struct err *reterr)
{
	struct renewal *x = arg;
	struct job_row  j;
	str             run;
	int             rc = held_job(t, x->job, x->lease, false, &j, &run, reterr);

	if (rc == 0)
		rc = jobq_renew(t->tx, PIPELINE_QUEUE, x->job, x->lease, t->now, t->p->lease, reterr);
	x->cancel = j.cancel;
	x->cause = rc ? STR("") : arena_str(x->keep, j.cancel_cause);
	return rc;
}

int runner_api_renew(struct http_req *req, void *ctx, struct err *reterr)
{
	static const char *const keys[] = { "lease", NULL };
	struct pipeline         *p = ctx;
	struct doc_check         check;
	struct doc_node         *body;
	struct jw                w;
	int                      rc = body_map(req, &check, keys, &body, reterr);

	if (rc)
		return rc;
	struct renewal x = { .job = http_param(req, "job"), .lease = doc_get_str(body, "lease"), .keep = http_arena(req) };
	rc = turn_write(p, STR("weir"), renew_turn, &x, reterr);
	if (rc)
		return rc;
	http_json(req, &w);
	jw_obj(&w);
	jw_kbool(&w, "cancel", x.cancel);
	jw_kstr(&w, "cause", x.cause);
	jw_kint(&w, "lease_ms", p->lease / USEC_PER_MSEC);
	jw_end(&w);
	return 0;
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

struct state_query {
	struct renewal r;
	struct buf    *out;
};

static int state_turn(struct turn *t, void *arg, struct err *reterr)
{
	struct state_query *q = arg;
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
	jw_kstrz(&w, "state", job_state_name(j.state));
	jw_kbool(&w, "cancel", j.cancel);
	jw_kstr(&w, "cause", j.cancel_cause);
	rc = write_step_states(t, &j, run, &w, reterr);
	jw_end(&w);
	if (rc == 0 && j.state == JOB_RUNNING)
		rc = jobq_renew(t->tx, PIPELINE_QUEUE, q->r.job, q->r.lease, t->now, t->p->lease, reterr);
	return rc ? rc : buf_check(q->out, "state", reterr);
}

int runner_api_state(struct http_req *req, void *ctx, struct err *reterr)
{
	CLEANUP_BUF struct buf out = BUF_INIT(LIMIT_DOC_BYTES);
	struct state_query     q = { { .job = http_param(req, "job"), .lease = http_query(req, "lease") }, &out };
	int                    rc = turn_write(ctx, STR("weir"), state_turn, &q, reterr);

	if (rc)
		return rc;
	http_type(req, "application/json");
	buf_add_str(http_out(req), buf_str(&out));
	return 0;
}

/* --- finish --- */

struct finish {
	str              job, lease, cause, outputs, environment_url;
	enum plan_result result;
	bool             retry;
};

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

static int finish_turn(struct turn *t, void *arg, struct err *reterr)
{
	struct finish  *f = arg;
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
	if (j->cancel && f->result == RESULT_CANCELLED && f->cause.len == 0)
		f->cause = j->cancel_cause;
	j->outputs = f->outputs;
	j->environment_url = f->environment_url;
	rc = job_end(t, r, j, f->result, f->cause, reterr);
	return rc ? rc : run_advance(t, r, reterr);
}

static int read_outputs(struct http_req *req, const struct doc_node *body, str *ret, struct err *reterr)
{
	const struct doc_node *n = doc_get(body, "outputs");
	struct buf             b = BUF_INIT(LIMIT_JOB_OUTPUT_BYTES);
	struct jw              w;

	*ret = STR("{}");
	if (!n || n->kind == DOC_NULL)
		return 0;
	if (n->kind != DOC_MAP)
		return err_set(reterr, WEIR_EINVAL, "'outputs' must be an object of texts");
	for (size_t i = 0; i < n->map.n; i++)
		if (n->map.pairs[i].value->kind != DOC_STR)
			return err_set(reterr, WEIR_EINVAL, "output '%.*s' must be a text", STR_ARG(n->map.pairs[i].key));
	jw_init(&w, &b);
	jw_node(&w, n);
	int rc = buf_check(&b, "outputs of a job", reterr);
	if (rc == 0)
		*ret = arena_str(http_arena(req), buf_str(&b));
	buf_fini(&b);
	return rc;
}

int runner_api_finish(struct http_req *req, void *ctx, struct err *reterr)
{
	static const char *const keys[] = { "lease", "result", "outputs", "cause", "ended", "environment_url", "retry", NULL };
	struct doc_check         check;
	struct doc_node         *body;
	struct jw                w;
	int                      rc = body_map(req, &check, keys, &body, reterr);

	if (rc)
		return rc;
	struct finish f = { .job = http_param(req, "job"), .lease = doc_get_str(body, "lease"), .cause = text_of(body, "cause", 2000),
		                .environment_url = text_of(body, "environment_url", 2000), .retry = doc_get_bool(body, "retry", false),
		                .result = plan_result_find(doc_get_str(body, "result")) };
	if (f.result == RESULT_NONE || f.result == RESULT_SKIPPED)
		return err_set(reterr, WEIR_EINVAL, "'result' must be success, failure or cancelled");
	rc = read_outputs(req, body, &f.outputs, reterr);
	if (rc == 0)
		rc = turn_write(ctx, STR("weir"), finish_turn, &f, reterr);
	if (rc)
		return rc;
	http_json(req, &w);
	jw_obj(&w);
	jw_end(&w);
	return 0;
}
