/* plan.c - the planner: a workflow and an event become the jobs to run, in their order, with the reason for each that does not run.
 *
 * Pure: the same input gives the same plan and digest, on the server and on a laptop. Any thread. */
#include "base/base.h"

#include "base/limits.h"
#include "pipeline/plan-eval.h"

static const char *const result_names[] = { "", "success", "failure", "cancelled", "skipped" };

const char *plan_result_name(enum plan_result r)
{
	return result_names[r];
}

enum plan_result plan_result_find(str name)
{
	for (size_t i = 1; i < ARRAY_SIZE(result_names); i++)
		if (str_eqz(name, result_names[i]))
			return (enum plan_result)i;
	return RESULT_NONE;
}

/* --- does the event start the workflow? --- */

/* Patterns in order, the last that matches decides; '!' takes away. */
static bool filter_matches(const struct wf_filter *f, str text)
{
	bool in = false;

	for (size_t i = 0; i < f->n; i++) {
		bool negative = f->patterns[i].len && f->patterns[i].ptr[0] == '!';

		if (workflow_glob(negative ? str_sub(f->patterns[i], 1, f->patterns[i].len) : f->patterns[i], text))
			in = !negative;
	}
	return in;
}

static bool filter_passes(const struct wf_filter *f, str text)
{
	return filter_matches(f, text) != f->ignore;
}

static str paths_cause(struct arena *a, const struct workflow *wf, const struct plan_input *in)
{
	if (!wf->paths.set || !in->paths_known)
		return STR("");
	for (size_t i = 0; i < in->n_paths; i++)
		if (filter_passes(&wf->paths, in->paths[i]))
			return STR("");
	return str_z(arena_printf(a, "%s: none of the %zu changed files %s", wf->paths.ignore ? "paths-ignore" : "paths", in->n_paths,
	                          wf->paths.ignore ? "is outside of the patterns" : "matches"));
}

/* Empty when a push to in->ref starts it, else why not. */
static str push_cause(struct arena *a, const struct workflow *wf, const struct plan_input *in)
{
	bool                    tag = str_has_prefix(in->ref, STR("refs/tags/"));
	const struct wf_filter *mine = tag ? &wf->tags : &wf->branches, *other = tag ? &wf->branches : &wf->tags;
	const char             *what = tag ? "tag" : "branch", *key = tag ? "tags" : "branches";
	str                     name;

	if (!tag && !str_has_prefix(in->ref, STR("refs/heads/")))
		return str_z(arena_printf(a, "ref: %.*s is neither a branch nor a tag", STR_ARG(in->ref)));
	name = str_sub(in->ref, tag ? 10 : 11, in->ref.len);
	if (!mine->set && other->set)
		return str_z(arena_printf(a, "%s: the workflow names %s only", key, tag ? "branches" : "tags"));
	if (mine->set && !filter_passes(mine, name))
		return str_z(arena_printf(a, "%s%s: %s '%.*s' %s", key, mine->ignore ? "-ignore" : "", what, STR_ARG(name),
		                          mine->ignore ? "is ignored" : "matches no pattern"));
	return tag ? STR("") : paths_cause(a, wf, in);
}

static str trigger_cause(struct arena *a, const struct workflow *wf, const struct plan_input *in)
{
	if (str_eqz(in->event, "push"))
		return wf->on_push ? push_cause(a, wf, in) : STR("on: the workflow does not name push");
	if (str_eqz(in->event, "workflow_dispatch"))
		return wf->on_dispatch ? STR("") : STR("on: the workflow does not name workflow_dispatch");
	return str_z(arena_printf(a, "on: event '%.*s' is not known", STR_ARG(in->event)));
}

/* --- jobs of a group --- */

struct names {
	struct buf *out;
	size_t      n;
};
static void leaf_names(struct arena *a, const struct expr_value *v, struct names *x)
{
	for (size_t i = 0; v->kind == EXPR_OBJECT && i < v->len; i++)
		leaf_names(a, v->pairs[i].value, x);
	for (size_t i = 0; v->kind == EXPR_ARRAY && i < v->len; i++)
		leaf_names(a, v->items[i], x);
	if (v->kind == EXPR_OBJECT || v->kind == EXPR_ARRAY)
		return;
	if (x->n++)
		buf_addz(x->out, ", ");
	buf_add_str(x->out, expr_to_string(a, v));
}

/* "build (3.12, linux)" unless the workflow gives a name that itself is an expression. */
static int job_name(const struct plan_eval *x, const struct wf_job *wj, struct plan_job *job, struct err *reterr)
{
	CLEANUP_BUF struct buf b = BUF_INIT(LIMIT_DOC_BYTES);
	struct names           names = { &b, 0 };
	str                    base;
	bool                   plain = !wj->name || wj->name->kind != DOC_STR || !str_contains(wj->name->s, STR("${{"));
	int                    rc = plan_eval_str(x, wj->name, &base, reterr);

	if (rc)
		return rc;
	buf_add_str(&b, base.len ? base : wj->id);
	if (job->matrix && plain) {
		buf_addz(&b, " (");
		leaf_names(x->a, job->matrix, &names);
		buf_addz(&b, ")");
	}
	rc = buf_check(&b, "job name", reterr);
	if (rc)
		return rc;
	job->name = buf_str(&b);
	if (job->name.len > LIMIT_WORKFLOW_NAME_BYTES) { /* cut on a character's border */
		job->name.len = LIMIT_WORKFLOW_NAME_BYTES - 3;
		while (job->name.len && (job->name.ptr[job->name.len] & 0xc0) == 0x80)
			job->name.len--;
		job->name = str_z(arena_printf(x->a, "%.*s...", STR_ARG(job->name)));
	} else {
		job->name = arena_str(x->a, job->name);
	}
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return str_cmp(*(const str *)a, *(const str *)b);
}

static int add_label(const struct plan_eval *x, const struct doc_node *at, const struct expr_value *v, struct plan_job *job,
                     struct err *reterr)
{
	str s = v->kind == EXPR_ARRAY || v->kind == EXPR_OBJECT ? STR("") : str_trim(expr_to_string(x->a, v));

	if (s.len == 0 || s.len > LIMIT_NAME_BYTES || memchr(s.ptr, ',', s.len) || memchr(s.ptr, 0, s.len))
		return plan_error_at(x->wf, at, reterr, "a label of 'runs-on' must be a text of 1 to %d bytes without a comma", LIMIT_NAME_BYTES);
	for (size_t i = 0; i < job->n_labels; i++)
		if (str_eq(job->labels[i], s))
			return 0;
	job->labels[job->n_labels++] = s;
	return 0;
}

static int job_labels(const struct plan_eval *x, const struct wf_job *wj, struct plan_job *job, struct err *reterr)
{
	const struct expr_value *v = NULL;
	size_t                   n;
	int                      rc = plan_eval(x, wj->runs_on, &v, reterr);

	if (rc)
		return rc;
	n = v->kind == EXPR_ARRAY ? v->len : 1;
	if (n == 0 || n > LIMIT_JOB_LABELS)
		return plan_error_at(x->wf, wj->runs_on, reterr, "'runs-on' must name 1 to %d labels", LIMIT_JOB_LABELS);
	job->labels = ARENA_ARRAY(x->a, n, str);
	for (size_t i = 0; job->labels && i < n && !rc; i++)
		rc = add_label(x, wj->runs_on, v->kind == EXPR_ARRAY ? v->items[i] : v, job, reterr);
	if (job->labels)
		qsort(job->labels, job->n_labels, sizeof(str), by_text);
	return rc;
}

static int eval_concurrency(const struct plan_eval *x, const struct wf_concurrency *wc, struct plan_concurrency *c, struct err *reterr)
{
	int rc = plan_eval_str(x, wc->group, &c->group, reterr);

	if (rc == 0)
		rc = plan_eval_bool(x, wc->cancel, false, &c->cancel, reterr);
	c->queue_max = wc->queue_max;
	if (!c->group.ptr)
		c->group = STR("");
	if (rc == 0 && c->group.len > LIMIT_WORKFLOW_NAME_BYTES)
		return plan_error_at(x->wf, wc->group, reterr, "the concurrency group is longer than %d bytes", LIMIT_WORKFLOW_NAME_BYTES);
	return rc;
}

static int fill_job(const struct plan_eval *x, const struct wf_job *wj, struct plan_job *job, struct err *reterr)
{
	double minutes = 0, cancel_minutes = 0;
	int    rc = job_name(x, wj, job, reterr);

	if (rc == 0)
		rc = job_labels(x, wj, job, reterr);
	if (rc == 0)
		rc = plan_eval_num(x, wj->timeout_minutes, "'timeout-minutes'", 0.001, LIMIT_JOB_MINUTES, 360, &minutes, reterr);
	if (rc == 0)
		rc = plan_eval_num(x, wj->cancel_timeout_minutes, "'cancel-timeout-minutes'", 0, LIMIT_JOB_MINUTES, 5, &cancel_minutes, reterr);
	if (rc == 0)
		rc = plan_eval_bool(x, wj->continue_on_error, false, &job->continue_on_error, reterr);
	if (rc == 0)
		rc = plan_eval_str(x, wj->environment, &job->environment, reterr);
	if (rc == 0)
		rc = eval_concurrency(x, &wj->concurrency, &job->concurrency, reterr);
	job->timeout_ms = (int64_t)(minutes * 60000);
	job->cancel_timeout_ms = (int64_t)(cancel_minutes * 60000);
	return rc;
}

/* The value of `strategy`, with its three keys checked as the reader checks them when they are written out. */
struct strategy {
	const struct expr_value *matrix; /* or NULL */
	bool                     fail_fast;
	double                   parallel;
};

static int strategy_of(const struct plan_eval *x, const struct wf_job *wj, struct strategy *s, struct err *reterr)
{
	const struct expr_value *all = NULL, *v;
	int                      rc = plan_eval(x, wj->strategy, &all, reterr);

	if (rc)
		return rc;
	if (all->kind != EXPR_OBJECT)
		return plan_error_at(x->wf, wj->strategy, reterr, "'strategy' must be an object");
	for (size_t i = 0; i < all->len; i++)
		if (!str_eqz(all->pairs[i].key, "matrix") && !str_eqz(all->pairs[i].key, "fail-fast") && !str_eqz(all->pairs[i].key, "max-parallel"))
			return plan_error_at(x->wf, wj->strategy, reterr, "unknown key '%.*s' in 'strategy'", STR_ARG(all->pairs[i].key));
	s->matrix = expr_get(all, STR("matrix"));
	v = expr_get(all, STR("fail-fast"));
	if (v && v->kind != EXPR_BOOL)
		return plan_error_at(x->wf, wj->strategy, reterr, "'fail-fast' must be true or false");
	s->fail_fast = !v || v->b;
	v = expr_get(all, STR("max-parallel"));
	if (v && (v->kind != EXPR_NUMBER || v->n < 1 || v->n > LIMIT_MATRIX_JOBS))
		return plan_error_at(x->wf, wj->strategy, reterr, "'max-parallel' must be a number from 1 to %d", LIMIT_MATRIX_JOBS);
	s->parallel = v ? v->n : 0;
	return 0;
}

static int eval_strategy(const struct plan_eval *x, const struct wf_job *wj, struct strategy *s, struct err *reterr)
{
	int rc = 0;

	if (wj->strategy)
		return strategy_of(x, wj, s, reterr);
	if (wj->matrix)
		rc = plan_eval(x, wj->matrix, &s->matrix, reterr);
	if (rc == 0)
		rc = plan_eval_bool(x, wj->fail_fast, true, &s->fail_fast, reterr);
	return rc ? rc : plan_eval_num(x, wj->max_parallel, "'max-parallel'", 1, LIMIT_MATRIX_JOBS, 0, &s->parallel, reterr);
}

static int make_jobs(struct arena *a, const struct plan *p, size_t g, const struct plan_state *st, struct plan_group *group,
                     struct err *reterr)
{
	const struct wf_job      *wj = &p->workflow->jobs[g];
	struct plan_eval          x = { a, p->workflow, plan_contexts(a, p, group, NULL, st, STR("")), NULL };
	const struct expr_value **matrix = NULL;
	size_t                    n = 1;
	struct strategy           strategy = { 0 };
	int                       rc = eval_strategy(&x, wj, &strategy, reterr);

	if (rc == 0 && strategy.matrix)
		rc = plan_matrix(&x, wj->strategy ? wj->strategy : wj->matrix, strategy.matrix, &matrix, &n, reterr);
	if (rc)
		return rc;
	group->fail_fast = strategy.fail_fast;
	group->max_parallel = (int64_t)strategy.parallel;
	group->jobs = ARENA_ARRAY(a, n, struct plan_job);
	group->n_jobs = group->jobs ? n : 0;
	for (size_t i = 0; i < group->n_jobs && !rc; i++) {
		struct plan_job *job = &group->jobs[i];

		job->group = g;
		job->index = i;
		job->matrix = matrix ? matrix[i] : NULL;
		job->key = matrix ? str_z(arena_printf(a, "%.*s.%zu", STR_ARG(wj->id), i + 1)) : wj->id;
		x.contexts = plan_contexts(a, p, group, job, st, STR(""));
		rc = fill_job(&x, wj, job, reterr);
	}
	return rc ? rc : arena_check(a, "plan", reterr);
}

static bool needs_its_needs(struct arena *a, const struct wf_job *j)
{
	const struct doc_node *const nodes[] = { j->strategy, j->matrix, j->fail_fast, j->max_parallel, j->name, j->runs_on, j->timeout_minutes,
		j->cancel_timeout_minutes, j->continue_on_error, j->environment, j->concurrency.group, j->concurrency.cancel };
	bool found = false;

	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++)
		found = found || plan_reads(a, nodes[i], "needs");
	return found;
}

/* --- the plan --- */

/* Groups in file order, each after what it needs. The reader has refused cycles. */
static void make_order(struct plan *p, struct arena *a)
{
	bool  *done = ARENA_ARRAY(a, p->n_groups, bool);
	size_t n = 0;

	p->order = ARENA_ARRAY(a, p->n_groups, size_t);
	while (done && p->order && n < p->n_groups) {
		size_t before = n;

		for (size_t g = 0; g < p->n_groups; g++) {
			bool ready = !done[g];

			for (size_t k = 0; ready && k < p->groups[g].n_needs; k++)
				ready = done[p->groups[g].needs[k]];
			if (ready) {
				p->order[n++] = g;
				done[g] = true;
			}
		}
		if (n == before)
			BUG("a cycle of jobs came through the reader");
	}
}

static int plan_group(struct arena *a, struct plan *p, size_t g, size_t *jobs, struct err *reterr)
{
	struct plan_group   *group = &p->groups[g];
	const struct wf_job *wj = &p->workflow->jobs[g];
	struct err           e = { 0 };
	int                  rc;

	group->fail_fast = true;
	group->deferred = group->n_needs > 0 && needs_its_needs(a, wj);
	if (group->n_needs == 0) {
		struct plan_state *st = ARENA_ARRAY(a, p->n_groups, struct plan_state);

		if (!st)
			return arena_check(a, "plan", reterr);
		rc = plan_decide(a, p, g, st, false, &group->call, &group->cause, reterr);
		if (rc || group->call == PLAN_SKIP)
			return rc;
	}
	if (group->deferred)
		return 0;
	rc = make_jobs(a, p, g, NULL, group, &e);
	if (rc && group->n_needs > 0 && rc != -WEIR_ENOMEM) { /* may never be reached: say so when it is */
		group->deferred = true;
		group->jobs = NULL;
		group->n_jobs = 0;
		return 0;
	}
	if (rc && reterr)
		*reterr = e;
	*jobs += group->n_jobs;
	if (!rc && *jobs > LIMIT_WORKFLOW_JOBS)
		return plan_error_at(p->workflow, NULL, reterr, "the run has more than %d jobs", LIMIT_WORKFLOW_JOBS);
	return rc;
}

/* What the workflow says of the run as a whole. */
static int plan_top(struct arena *a, struct plan *p, struct err *reterr)
{
	const struct workflow *wf = p->workflow;
	struct plan_eval       x = { a, wf, plan_contexts(a, p, NULL, NULL, NULL, STR("")), NULL };
	str                    name;
	int                    rc = eval_concurrency(&x, &wf->concurrency, &p->concurrency, reterr);

	if (rc == 0)
		rc = plan_eval_str(&x, wf->run_name, &name, reterr);
	if (rc)
		return rc;
	name = str_trim(name);
	if (name.len == 0) /* as GitHub names runs without one */
		name = str_eqz(p->input.event, "push") && p->input.subject.len ? p->input.subject : wf->name;
	p->run_name = name;
	return 0;
}

static int digest(struct plan *p, struct err *reterr)
{
	CLEANUP_BUF struct buf b = BUF_INIT(LIMIT_DOC_BYTES);
	struct jw              w;

	jw_init(&w, &b);
	plan_write_digested(p, &w);
	int rc = buf_check(&b, "plan", reterr);
	if (rc == 0)
		sha256_hex(buf_str(&b), p->digest);
	return rc;
}

int plan_make(struct arena *a, const struct workflow *wf, const struct plan_input *in, struct plan **ret, struct err *reterr)
{
	struct plan *p = ARENA_NEW(a, struct plan);
	size_t       jobs = 0;
	int          rc;

	*ret = NULL;
	if (!p)
		return arena_check(a, "plan", reterr);
	p->workflow = wf;
	p->input = *in;
	p->concurrency.group = p->run_name = STR("");
	p->n_groups = wf->n_jobs;
	p->groups = ARENA_ARRAY(a, wf->n_jobs, struct plan_group);
	if (!p->groups)
		return arena_check(a, "plan", reterr);
	for (size_t g = 0; g < p->n_groups; g++) {
		p->groups[g].id = wf->jobs[g].id;
		p->groups[g].needs = wf->jobs[g].needs;
		p->groups[g].n_needs = wf->jobs[g].n_needs;
	}
	make_order(p, a);
	p->cause = trigger_cause(a, wf, in);
	p->runs = p->cause.len == 0;
	rc = p->runs ? plan_inputs(a, wf, in, &p->inputs, reterr) : 0;
	if (p->runs && rc == 0)
		rc = plan_top(a, p, reterr);
	for (size_t i = 0; p->runs && rc == 0 && i < p->n_groups; i++)
		rc = plan_group(a, p, p->order[i], &jobs, reterr);
	if (rc == 0)
		rc = digest(p, reterr);
	if (rc == 0)
		rc = arena_check(a, "plan", reterr);
	if (rc == 0)
		*ret = p;
	return rc;
}

/* --- may a group run? --- */

struct status {
	bool                     success, failure, cancelled;
	const struct plan       *plan;
	const struct plan_state *state;
};
static bool status_success(void *ctx)
{
	return ((struct status *)ctx)->success;
}
static bool status_failure(void *ctx)
{
	return ((struct status *)ctx)->failure;
}
/* success('a', 'b') and failure('a'): of the jobs named. */
static size_t count_results(struct status *s, const str *jobs, size_t n, enum plan_result r)
{
	size_t found = 0;

	for (size_t i = 0; i < n; i++)
		for (size_t g = 0; g < s->plan->n_groups; g++)
			found += str_eq_nocase(s->plan->groups[g].id, jobs[i]) && s->state[g].result == r;
	return found;
}
static bool status_success_of(void *ctx, const str *jobs, size_t n)
{
	return count_results(ctx, jobs, n, RESULT_SUCCESS) == n;
}
static bool status_failure_of(void *ctx, const str *jobs, size_t n)
{
	return count_results(ctx, jobs, n, RESULT_FAILURE) > 0;
}
static bool status_cancelled(void *ctx)
{
	return ((struct status *)ctx)->cancelled;
}

/* Results of all ancestors of g. False while one of them has none. */
static bool look_back(const struct plan *p, size_t g, const struct plan_state *st, bool *seen, struct status *s, size_t *ret_bad)
{
	bool done = true;

	for (size_t i = 0; i < p->groups[g].n_needs; i++) {
		size_t need = p->groups[g].needs[i];

		if (st[need].result == RESULT_NONE)
			return false;
		if (seen[need])
			continue;
		seen[need] = true;
		if (st[need].result != RESULT_SUCCESS) {
			s->success = false;
			if (*ret_bad == p->n_groups || st[need].result == RESULT_FAILURE)
				*ret_bad = need;
		}
		s->failure = s->failure || st[need].result == RESULT_FAILURE;
		done = look_back(p, need, st, seen, s, ret_bad) && done;
	}
	return done;
}

static str skip_cause(struct arena *a, const struct plan *p, size_t g, const struct plan_state *st, const struct status *s, size_t bad)
{
	const struct doc_node *cond = p->workflow->jobs[g].cond;

	if (s->cancelled)
		return STR("cancelled: the run was cancelled");
	if (!s->success && bad < p->n_groups)
		return str_z(arena_printf(a, "needs: '%.*s' ended with %s", STR_ARG(p->groups[bad].id), plan_result_name(st[bad].result)));
	return str_z(arena_printf(a, "if: %.*s is false", STR_ARG(str_sub(cond ? cond->text : STR("success()"), 0, 200))));
}

int plan_decide(struct arena *a, const struct plan *p, size_t g, const struct plan_state *st, bool cancelled,
                enum plan_call *ret, str *ret_cause, struct err *reterr)
{
	struct status    s = { .success = !cancelled, .cancelled = cancelled, .plan = p, .state = st };
	struct expr_ops  ops = { status_success, status_failure, status_cancelled, status_success_of, status_failure_of, NULL, &s };
	struct plan_eval x = { a, p->workflow, NULL, &ops };
	bool            *seen = ARENA_ARRAY(a, p->n_groups, bool), run = false;
	size_t           bad = p->n_groups;

	*ret = PLAN_WAIT;
	*ret_cause = STR("");
	if (!seen)
		return arena_check(a, "plan", reterr);
	if (!look_back(p, g, st, seen, &s, &bad))
		return 0;
	x.contexts = plan_contexts(a, p, &p->groups[g], NULL, st, STR(""));
	int rc = plan_eval_if(&x, p->workflow->jobs[g].cond, &run, reterr);
	if (rc)
		return rc;
	*ret = run ? PLAN_RUN : PLAN_SKIP;
	if (!run)
		*ret_cause = skip_cause(a, p, g, st, &s, bad);
	return 0;
}

int plan_expand(struct arena *a, const struct plan *p, size_t g, const struct plan_state *st, struct plan_group *ret,
                struct err *reterr)
{
	*ret = p->groups[g];
	return ret->deferred ? make_jobs(a, p, g, st, ret, reterr) : 0;
}

enum plan_result plan_group_result(const enum plan_result *results, const bool *continue_on_error, size_t n)
{
	enum plan_result r = RESULT_SUCCESS;
	size_t           skipped = 0;

	for (size_t i = 0; i < n; i++) {
		if (results[i] == RESULT_FAILURE && !continue_on_error[i])
			return RESULT_FAILURE;
		if (results[i] == RESULT_CANCELLED)
			r = RESULT_CANCELLED;
		skipped += results[i] == RESULT_SKIPPED;
	}
	return r == RESULT_SUCCESS && n && skipped == n ? RESULT_SKIPPED : r;
}
