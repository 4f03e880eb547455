/* workflow-job.c - the jobs of a workflow and how they depend on each other. Pure, any thread. */
#include "base/base.h"

#include "base/limits.h"
#include "pipeline/workflow-read.h"

static const char *const job_obeyed[] = { "name", "needs", "if", "permissions", "env", "defaults", "runs-on", "timeout-minutes",
	"continue-on-error", "environment", "outputs", "strategy", "steps", "concurrency", "cancel-timeout-minutes", NULL };
static const char *const job_known[] = { "container", "services", "uses", "with", "secrets", "snapshot", NULL };

static void check_vector(struct wf_reader *r, const struct doc_pair *p)
{
	const struct doc_node *n = p->value;

	if (n->kind == DOC_SEQ && n->seq.n == 0)
		doc_error(r->c, n, "matrix vector '%.*s' has no values", STR_ARG(p->key));
	else if (n->kind != DOC_SEQ && n->kind != DOC_STR)
		doc_error(r->c, n, "matrix vector '%.*s' must be a list, not a %s", STR_ARG(p->key), doc_kind_name(n->kind));
	else if (n->kind == DOC_STR && !str_has_prefix(str_trim(n->s), STR("${{")))
		doc_error(r->c, n, "matrix vector '%.*s' must be a list or one ${{ }}", STR_ARG(p->key));
}

/* include and exclude: lists of maps, or an expression. */
static void check_filter_list(struct wf_reader *r, const struct doc_pair *p)
{
	const struct doc_node *n = p->value;

	if (n->kind == DOC_STR && str_has_prefix(str_trim(n->s), STR("${{")))
		return;
	if (n->kind != DOC_SEQ) {
		doc_error(r->c, n, "'%.*s' must be a list of maps", STR_ARG(p->key));
		return;
	}
	for (size_t i = 0; i < n->seq.n; i++) {
		const struct doc_node *item = n->seq.items[i];

		if (item->kind != DOC_MAP && !(item->kind == DOC_STR && str_has_prefix(str_trim(item->s), STR("${{"))))
			doc_error(r->c, item, "an entry of '%.*s' must be a map", STR_ARG(p->key));
	}
}

static const struct doc_node *read_matrix(struct wf_reader *r, const struct doc_node *n)
{
	if (!n)
		return NULL;
	if (n->kind == DOC_STR)
		return wf_is_expression(n) ? wf_whole(r, n, "'matrix'", WF_AT_JOB) : wf_filled(r, n, "'matrix'", WF_AT_JOB);
	if (!wf_map(r, n, "'matrix'", NULL, NULL))
		return NULL;
	if (n->map.n == 0)
		doc_error(r->c, n, "'matrix' must have at least one vector");
	for (size_t i = 0; i < n->map.n; i++) {
		const struct doc_pair *p = &n->map.pairs[i];

		if (str_eqz(p->key, "include") || str_eqz(p->key, "exclude"))
			check_filter_list(r, p);
		else
			check_vector(r, p);
	}
	return wf_tree(r, n, "'matrix'", WF_AT_JOB) ? n : NULL;
}

static void read_strategy(struct wf_reader *r, const struct doc_node *n, struct wf_job *job)
{
	static const char *const obeyed[] = { "matrix", "fail-fast", "max-parallel", NULL };

	if (!n || n->kind == DOC_NULL)
		return;
	if (wf_is_expression(n)) {
		job->strategy = wf_whole(r, n, "'strategy'", WF_AT_JOB);
		return;
	}
	if (!wf_map(r, n, "'strategy'", obeyed, NULL))
		return;
	job->matrix = read_matrix(r, doc_get(n, "matrix"));
	job->fail_fast = wf_bool(r, doc_get(n, "fail-fast"), "'fail-fast'", WF_AT_JOB);
	job->max_parallel = wf_number(r, doc_get(n, "max-parallel"), "'max-parallel'", 1, LIMIT_MATRIX_JOBS, WF_AT_JOB);
}

static const struct doc_node *read_runs_on(struct wf_reader *r, const struct doc_node *n)
{
	static const char *const obeyed[] = { "labels", NULL };
	static const char *const known[] = { "group", NULL };

	if (!n)
		return NULL;
	if (n->kind == DOC_MAP) {
		if (!wf_map(r, n, "'runs-on'", obeyed, known))
			return NULL;
		n = doc_need(r->c, n, "labels");
		if (!n)
			return NULL;
	}
	if (n->kind != DOC_SEQ)
		return wf_filled(r, n, "'runs-on'", WF_AT_MATRIX);
	if (n->seq.n == 0)
		doc_error(r->c, n, "'runs-on' must name at least one label");
	for (size_t i = 0; i < n->seq.n; i++)
		if (!wf_filled(r, n->seq.items[i], "a label of 'runs-on'", WF_AT_MATRIX))
			return NULL;
	return n;
}

static void read_environment(struct wf_reader *r, const struct doc_node *n, struct wf_job *job)
{
	static const char *const obeyed[] = { "name", "url", NULL };
	static const char *const known[] = { "deployment", NULL };

	if (!n || n->kind == DOC_NULL)
		return;
	if (n->kind == DOC_MAP) {
		(void)wf_map(r, n, "'environment'", obeyed, known);
		job->environment_url = wf_scalar(r, doc_get(n, "url"), "'environment.url'", WF_AT_STEP & ~WF_SECRETS);
		n = doc_need(r->c, n, "name");
	}
	job->environment = wf_filled(r, n, "'environment'", WF_AT_MATRIX);
}

static void read_job(struct wf_reader *r, const struct doc_pair *p, struct wf_job *job)
{
	const struct doc_node *n = p->value;

	job->id = p->key;
	job->line = p->line;
	job->col = p->col;
	if (str_has_prefix(p->key, STR("__")))
		doc_error_at(r->c, p->line, p->col, "job id '%.*s': ids that start with '__' are reserved", STR_ARG(p->key));
	else if (!wf_identifier(p->key))
		doc_error_at(r->c, p->line, p->col, "job id '%.*s' must be letters, digits, '_' and '-', start with a letter or '_' and be "
		             "shorter than 100", STR_ARG(p->key));
	if (!wf_map(r, n, "a job", job_obeyed, job_known))
		return;
	job->name = wf_scalar(r, doc_get(n, "name"), "'name'", WF_AT_MATRIX);
	job->cond = wf_cond(r, doc_get(n, "if"), WF_AT_JOB | WF_STATUS);
	job->permissions = wf_read_permissions(r, doc_get(n, "permissions"));
	wf_pairs_read(r, doc_get(n, "env"), "'env'", WF_AT_MATRIX | WF_SECRETS, true, &job->env);
	wf_read_defaults(r, doc_get(n, "defaults"), WF_AT_MATRIX | WF_ENV, &job->default_shell, &job->default_working_directory);
	job->timeout_minutes = wf_number(r, doc_get(n, "timeout-minutes"), "'timeout-minutes'", 0.001, LIMIT_JOB_MINUTES, WF_AT_MATRIX);
	job->cancel_timeout_minutes = wf_number(r, doc_get(n, "cancel-timeout-minutes"), "'cancel-timeout-minutes'", 0, LIMIT_JOB_MINUTES,
	                                        WF_AT_MATRIX);
	wf_read_concurrency(r, doc_get(n, "concurrency"), WF_AT_MATRIX, &job->concurrency);
	job->continue_on_error = wf_bool(r, doc_get(n, "continue-on-error"), "'continue-on-error'", WF_AT_MATRIX);
	read_environment(r, doc_get(n, "environment"), job);
	wf_pairs_read(r, doc_get(n, "outputs"), "'outputs'", WF_AT_STEP, false, &job->outputs);
	read_strategy(r, doc_get(n, "strategy"), job);
	if (!doc_get(n, "uses")) { /* a reusable workflow has neither; its 'uses' is refused by name above */
		job->runs_on = read_runs_on(r, doc_need(r->c, n, "runs-on"));
		wf_read_steps(r, doc_need(r->c, n, "steps"), job);
	}
}

/* --- needs --- */

static size_t find_job(const struct workflow *wf, str id)
{
	for (size_t i = 0; i < wf->n_jobs; i++)
		if (str_eq_nocase(wf->jobs[i].id, id))
			return i;
	return wf->n_jobs;
}

static void read_needs(struct wf_reader *r, const struct doc_node *n, struct workflow *wf, struct wf_job *job)
{
	size_t count = !n || n->kind == DOC_NULL ? 0 : n->kind == DOC_SEQ ? n->seq.n : 1;
	bool  *twice;

	if (count > LIMIT_JOB_NEEDS) {
		doc_error(r->c, n, "job '%.*s' needs %zu others, more than %d", STR_ARG(job->id), count, LIMIT_JOB_NEEDS);
		return;
	}
	job->needs = ARENA_ARRAY(r->a, count ? count : 1, size_t);
	twice = ARENA_ARRAY(r->a, count ? wf->n_jobs : 1, bool);
	for (size_t i = 0; job->needs && twice && i < count; i++) {
		const struct doc_node *item = n->kind == DOC_SEQ ? n->seq.items[i] : n;
		str                    id = wf_literal(r, item, "'needs'");
		size_t                 to = find_job(wf, id);

		if (id.len == 0)
			continue;
		if (to == wf->n_jobs) {
			doc_error(r->c, item, "job '%.*s' needs '%.*s', which is no job of this workflow", STR_ARG(job->id), STR_ARG(id));
			continue;
		}
		if (!twice[to])
			job->needs[job->n_needs++] = to;
		twice[to] = true;
	}
}

/* Marks in seen[] what can be reached from job `from` over needs. */
static void reach(const struct workflow *wf, size_t from, bool *seen, size_t *stack)
{
	size_t top = 0;

	memset(seen, 0, wf->n_jobs * sizeof(*seen));
	stack[top++] = from;
	while (top) {
		const struct wf_job *job = &wf->jobs[stack[--top]];

		for (size_t i = 0; i < job->n_needs; i++)
			if (!seen[job->needs[i]]) {
				seen[job->needs[i]] = true;
				stack[top++] = job->needs[i];
			}
	}
}

static void check_edge(struct wf_reader *r, const struct doc_node *needs, const struct workflow *wf, size_t job, size_t need)
{
	const struct doc_node *at = needs;

	for (size_t k = 0; needs->kind == DOC_SEQ && k < needs->seq.n; k++)
		if (needs->seq.items[k]->kind == DOC_STR && str_eq_nocase(needs->seq.items[k]->s, wf->jobs[need].id))
			at = needs->seq.items[k];
	doc_error(r->c, at, "job '%.*s' needs '%.*s', which itself waits for '%.*s': a cycle", STR_ARG(wf->jobs[job].id),
	          STR_ARG(wf->jobs[need].id), STR_ARG(wf->jobs[job].id));
}

/* Takes jobs away whose needs are all taken away, until nothing changes: what is left is in a cycle or behind one. */
static size_t count_stuck(const struct workflow *wf, bool *gone)
{
	size_t left = wf->n_jobs, before = left + 1;

	memset(gone, 0, wf->n_jobs * sizeof(*gone));
	while (left < before) {
		before = left;
		for (size_t i = 0; i < wf->n_jobs; i++) {
			bool ready = !gone[i];

			for (size_t k = 0; ready && k < wf->jobs[i].n_needs; k++)
				ready = gone[wf->jobs[i].needs[k]];
			gone[i] = gone[i] || ready;
			left -= ready;
		}
	}
	return left;
}

static void check_cycles(struct wf_reader *r, const struct doc_node *jobs, struct workflow *wf)
{
	bool   *seen = ARENA_ARRAY(r->a, wf->n_jobs, bool), *gone = ARENA_ARRAY(r->a, wf->n_jobs, bool);
	size_t *stack = ARENA_ARRAY(r->a, wf->n_jobs + 1, size_t), starts = 0;

	for (size_t i = 0; i < wf->n_jobs; i++)
		starts += wf->jobs[i].n_needs == 0;
	if (starts == 0) {
		doc_error(r->c, jobs, "at least one job must need no other");
		return;
	}
	if (!seen || !gone || !stack || count_stuck(wf, gone) == 0)
		return;
	for (size_t i = 0; i < wf->n_jobs && r->c->n_dropped == 0; i++) {
		if (gone[i])
			continue;
		/* who waits for i, and does i itself wait for it? */
		reach(wf, i, seen, stack);
		for (size_t w = 0; w < wf->n_jobs; w++)
			for (size_t k = 0; seen[w] && k < wf->jobs[w].n_needs; k++)
				if (wf->jobs[w].needs[k] == i)
					check_edge(r, doc_get(jobs->map.pairs[w].value, "needs"), wf, w, i);
	}
}

void wf_read_jobs(struct wf_reader *r, const struct doc_node *n, struct workflow *wf)
{
	size_t before = r->c->n_diags + r->c->n_dropped;

	if (!wf_map(r, n, "'jobs'", NULL, NULL))
		return;
	if (n->map.n == 0)
		doc_error(r->c, n, "'jobs' must have at least one job");
	if (n->map.n > LIMIT_WORKFLOW_JOBS) {
		doc_error(r->c, n, "%zu jobs are more than %d", n->map.n, LIMIT_WORKFLOW_JOBS);
		return;
	}
	wf->jobs = ARENA_ARRAY(r->a, n->map.n ? n->map.n : 1, struct wf_job);
	for (size_t i = 0; wf->jobs && i < n->map.n; i++) {
		if (find_job(wf, n->map.pairs[i].key) < wf->n_jobs)
			doc_error_at(r->c, n->map.pairs[i].line, n->map.pairs[i].col, "job id '%.*s' is used twice (upper and lower case are the same)",
			             STR_ARG(n->map.pairs[i].key));
		read_job(r, &n->map.pairs[i], &wf->jobs[i]);
		wf->n_jobs++;
	}
	for (size_t i = 0; i < wf->n_jobs; i++)
		read_needs(r, doc_get(n->map.pairs[i].value, "needs"), wf, &wf->jobs[i]);
	if (wf->n_jobs && r->c->n_diags + r->c->n_dropped == before)
		check_cycles(r, n, wf);
}
