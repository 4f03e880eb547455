/* plan-json.c - plans, their inputs and the jobs that runners get, as JSON (protocol.md). Pure, any thread. */
#include "base/base.h"

#include "base/limits.h"
#include "pipeline/plan-eval.h"

void plan_jw_value(struct jw *w, const struct expr_value *v)
{
	switch (v ? v->kind : EXPR_NULL) {
	case EXPR_NULL:
		jw_null(w);
		break;
	case EXPR_BOOL:
		jw_bool(w, v->b);
		break;
	case EXPR_NUMBER:
		jw_num(w, v->n);
		break;
	case EXPR_STRING:
		jw_str(w, v->s);
		break;
	case EXPR_ARRAY:
		jw_arr(w);
		for (size_t i = 0; i < v->len; i++)
			plan_jw_value(w, v->items[i]);
		jw_end(w);
		break;
	case EXPR_OBJECT:
		jw_obj(w);
		for (size_t i = 0; i < v->len; i++) {
			jw_key_n(w, v->pairs[i].key);
			plan_jw_value(w, v->pairs[i].value);
		}
		jw_end(w);
		break;
	}
}

/* --- plan --- */

static void write_concurrency(const struct plan_concurrency *c, struct jw *w)
{
	if (!c->group.len) {
		jw_null(w);
		return;
	}
	jw_obj(w);
	jw_kstr(w, "group", c->group);
	jw_kbool(w, "cancel-in-progress", c->cancel);
	jw_kstrz(w, "queue", c->queue_max ? "max" : "single");
	jw_end(w);
}

static void write_job(const struct plan_job *j, struct jw *w)
{
	jw_obj(w);
	jw_kstr(w, "key", j->key);
	jw_kstr(w, "name", j->name);
	jw_key(w, "matrix");
	plan_jw_value(w, j->matrix);
	jw_key(w, "runs-on");
	jw_arr(w);
	for (size_t i = 0; i < j->n_labels; i++)
		jw_str(w, j->labels[i]);
	jw_end(w);
	jw_kint(w, "timeout-ms", j->timeout_ms);
	jw_kint(w, "cancel-timeout-ms", j->cancel_timeout_ms);
	jw_key(w, "concurrency");
	write_concurrency(&j->concurrency, w);
	jw_kbool(w, "continue-on-error", j->continue_on_error);
	jw_kstr(w, "environment", j->environment.len ? j->environment : STR_NULL);
	jw_end(w);
}

static void write_step(const struct wf_step *s, struct jw *w)
{
	static const char *const uses[] = { "run", "actions/checkout@v4", "weir/release@v1" };

	jw_obj(w);
	jw_kstr(w, "id", s->id.len ? s->id : STR_NULL);
	jw_kstr(w, "name", s->name ? s->name->text : STR_NULL);
	jw_kstrz(w, "uses", uses[s->uses]);
	jw_kint(w, "line", s->line);
	jw_end(w);
}

static void write_group(const struct plan *p, size_t g, struct jw *w)
{
	static const char *const calls[] = { "wait", "run", "skip" };
	const struct plan_group *group = &p->groups[g];
	const struct wf_job     *wj = &p->workflow->jobs[g];

	jw_obj(w);
	jw_kstr(w, "id", group->id);
	jw_key(w, "needs");
	jw_arr(w);
	for (size_t i = 0; i < group->n_needs; i++)
		jw_str(w, p->groups[group->needs[i]].id);
	jw_end(w);
	jw_kstr(w, "if", wj->cond ? wj->cond->text : STR_NULL);
	jw_kstrz(w, "call", calls[group->call]);
	jw_kstr(w, "cause", group->cause.len ? group->cause : STR_NULL);
	jw_kbool(w, "deferred", group->deferred);
	jw_kbool(w, "fail-fast", group->fail_fast);
	jw_kint(w, "max-parallel", group->max_parallel);
	jw_key(w, "permissions");
	const struct doc_node *perm = wj->permissions ? wj->permissions : p->workflow->permissions;
	if (perm)
		jw_node(w, perm);
	else
		jw_null(w);
	jw_key(w, "jobs");
	jw_arr(w);
	for (size_t i = 0; i < group->n_jobs; i++)
		write_job(&group->jobs[i], w);
	jw_end(w);
	jw_key(w, "steps");
	jw_arr(w);
	for (size_t i = 0; i < wj->n_steps; i++)
		write_step(&wj->steps[i], w);
	jw_end(w);
	jw_end(w);
}

static void write_fields(const struct plan *p, struct jw *w)
{
	const struct workflow *wf = p->workflow;

	jw_key(w, "workflow");
	jw_obj(w);
	jw_kstr(w, "name", wf->name);
	jw_kstr(w, "file", wf->file);
	jw_kstrz(w, "digest", wf->digest);
	jw_end(w);
	jw_kstr(w, "event", p->input.event);
	jw_kstr(w, "project", p->input.project);
	jw_kstr(w, "ref", p->input.ref);
	jw_kstr(w, "commit", p->input.commit);
	jw_kbool(w, "runs", p->runs);
	jw_kstr(w, "cause", p->cause.len ? p->cause : STR_NULL);
	jw_key(w, "inputs");
	plan_jw_value(w, p->inputs);
	jw_key(w, "concurrency");
	write_concurrency(&p->concurrency, w);
	jw_key(w, "jobs");
	jw_arr(w);
	for (size_t i = 0; p->runs && i < p->n_groups; i++)
		write_group(p, p->order[i], w);
	jw_end(w);
}

void plan_write_digested(const struct plan *p, struct jw *w)
{
	jw_obj(w);
	write_fields(p, w);
	jw_end(w);
}

void plan_write(const struct plan *p, struct jw *w)
{
	jw_obj(w);
	jw_kstrz(w, "digest", p->digest);
	jw_kstr(w, "run-name", p->run_name.len ? p->run_name : STR_NULL); /* not part of the digest: it may name the actor or the number */
	write_fields(p, w);
	jw_end(w);
}

/* --- input --- */

void plan_input_write(const struct plan_input *in, struct jw *w)
{
	jw_obj(w);
	jw_kstr(w, "event", in->event);
	jw_kstr(w, "project", in->project);
	jw_kstr(w, "ref", in->ref);
	jw_kstr(w, "commit", in->commit);
	jw_kstr(w, "before", in->before);
	jw_kstr(w, "actor", in->actor);
	jw_kstr(w, "subject", in->subject);
	jw_kstr(w, "server_url", in->server_url);
	jw_kstr(w, "run_id", in->run_id);
	jw_kint(w, "run_number", in->run_number);
	jw_kint(w, "run_attempt", in->run_attempt);
	jw_key(w, "inputs");
	if (in->inputs)
		jw_node(w, in->inputs);
	else
		jw_null(w);
	jw_end(w);
}

int plan_input_read(struct arena *a, const struct doc_node *n, struct plan_input *ret, struct err *reterr)
{
	const struct doc_node *inputs = doc_get(n, "inputs");

	*ret = (struct plan_input){
		.event = arena_str(a, doc_get_str(n, "event")),
		.project = arena_str(a, doc_get_str(n, "project")),
		.ref = arena_str(a, doc_get_str(n, "ref")),
		.commit = arena_str(a, doc_get_str(n, "commit")),
		.before = arena_str(a, doc_get_str(n, "before")),
		.actor = arena_str(a, doc_get_str(n, "actor")),
		.subject = arena_str(a, doc_get_str(n, "subject")),
		.server_url = arena_str(a, doc_get_str(n, "server_url")),
		.run_id = arena_str(a, doc_get_str(n, "run_id")),
		.run_number = doc_get_int(n, "run_number", 0),
		.run_attempt = doc_get_int(n, "run_attempt", 1),
		.inputs = inputs && inputs->kind == DOC_MAP ? inputs : NULL,
	};
	if (ret->event.len == 0 || ret->commit.len == 0)
		return err_set(reterr, WEIR_EINTERNAL, "a stored run's input has no event or commit");
	return arena_check(a, "plan input", reterr);
}

/* --- job spec --- */

/* A value as it stands in the file: texts as texts (their ${{ }} unevaluated), numbers as GitHub writes them. */
static str plain_text(struct arena *a, const struct doc_node *n)
{
	if (!n)
		return STR_NULL;
	return n->kind == DOC_STR ? n->s : expr_to_string(a, expr_from_doc(a, n));
}

static void write_flag(struct jw *w, const struct doc_node *n)
{
	if (!n)
		jw_bool(w, false);
	else
		jw_node(w, n);
}

/* A map, or the one ${{ }} that gives it. */
static void write_pairs(struct arena *a, const struct wf_pairs *pairs, struct jw *w)
{
	if (pairs->whole) {
		jw_str(w, pairs->whole->s);
		return;
	}
	jw_obj(w);
	for (size_t i = 0; i < pairs->n; i++) {
		str s = plain_text(a, pairs->v[i].value);

		jw_key_n(w, pairs->v[i].key);
		jw_str(w, s.ptr ? s : STR(""));
	}
	jw_end(w);
}

static void write_spec_step(struct arena *a, const struct wf_step *s, size_t index, struct jw *w)
{
	static const char *const uses[] = { "run", "actions/checkout@v4", "weir/release@v1" };

	jw_obj(w);
	jw_kint(w, "index", (int64_t)index);
	jw_kstr(w, "id", s->id.ptr ? s->id : STR(""));
	jw_kint(w, "line", s->line);
	jw_kstr(w, "name", plain_text(a, s->name));
	jw_kstr(w, "if", plain_text(a, s->cond));
	jw_kstrz(w, "uses", uses[s->uses]);
	if (s->uses == WF_RUN) {
		jw_kstr(w, "run", plain_text(a, s->run));
	} else {
		jw_key(w, "with");
		write_pairs(a, &s->with, w);
	}
	jw_kstr(w, "shell", plain_text(a, s->shell));
	jw_kstr(w, "working_directory", plain_text(a, s->working_directory));
	jw_key(w, "env");
	write_pairs(a, &s->env, w);
	jw_key(w, "continue_on_error");
	write_flag(w, s->continue_on_error);
	jw_key(w, "timeout_minutes");
	if (s->timeout_minutes)
		jw_node(w, s->timeout_minutes);
	else
		jw_null(w);
	jw_end(w);
}

struct env {
	struct expr_pair *v; /* room for two maps of LIMIT_WORKFLOW_PAIRS */
	size_t            n;
};

static void put_env(struct arena *a, struct env *env, str key, str value)
{
	size_t at = 0;

	while (at < env->n && !str_eq(env->v[at].key, key))
		at++;
	env->n += at == env->n;
	env->v[at] = (struct expr_pair){ key, expr_string(a, value.ptr ? value : STR("")) };
}

/* `env: ${{ fromJSON(...) }}` */
static int add_whole_env(const struct plan_eval *x, const struct doc_node *at, struct env *env, struct err *reterr)
{
	const struct expr_value *v = NULL;
	int                      rc = plan_eval(x, at, &v, reterr);

	if (rc)
		return rc;
	if (v->kind != EXPR_OBJECT)
		return plan_error_at(x->wf, at, reterr, "'env' must be an object");
	if (v->len > LIMIT_WORKFLOW_PAIRS)
		return plan_error_at(x->wf, at, reterr, "'env' has %zu entries, more than %d", v->len, LIMIT_WORKFLOW_PAIRS);
	for (size_t i = 0; i < v->len; i++) {
		if (v->pairs[i].value->kind == EXPR_OBJECT || v->pairs[i].value->kind == EXPR_ARRAY || v->pairs[i].key.len == 0)
			return plan_error_at(x->wf, at, reterr, "'%.*s' of 'env' must be a text with a name", STR_ARG(str_sub(v->pairs[i].key, 0, 60)));
		put_env(x->a, env, v->pairs[i].key, expr_to_string(x->a, v->pairs[i].value));
	}
	return 0;
}

/* Evaluates one env map on top of what `env` has. */
static int add_env(const struct plan_eval *x, const struct wf_pairs *pairs, struct env *env, struct err *reterr)
{
	if (pairs->whole)
		return add_whole_env(x, pairs->whole, env, reterr);
	for (size_t i = 0; i < pairs->n; i++) {
		str value;
		int rc = plan_eval_str(x, pairs->v[i].value, &value, reterr);

		if (rc)
			return rc;
		put_env(x->a, env, pairs->v[i].key, value);
	}
	return 0;
}

/* The contexts with `env` added: job-level defaults may read it. */
static const struct expr_value *with_env(struct arena *a, const struct expr_value *contexts, const struct expr_value *env)
{
	struct expr_pair *pairs = ARENA_ARRAY(a, contexts->len + 1, struct expr_pair);

	if (!pairs)
		return contexts;
	memcpy(pairs, contexts->pairs, contexts->len * sizeof(*pairs));
	pairs[contexts->len] = (struct expr_pair){ STR("env"), env };
	return expr_object(a, pairs, contexts->len + 1);
}

struct spec { /* what is evaluated for one job */
	const struct expr_value *contexts, *env;
	str shell, directory;
};

static int evaluate(struct arena *a, const struct plan *p, const struct plan_job *job, struct plan_eval *x, struct spec *s,
                    struct err *reterr)
{
	const struct workflow *wf = p->workflow;
	const struct wf_job   *wj = &wf->jobs[job->group];
	struct env             env = { ARENA_ARRAY(a, 2 * LIMIT_WORKFLOW_PAIRS, struct expr_pair), 0 };
	int                    rc;

	if (!env.v)
		return arena_check(a, "job", reterr);
	rc = add_env(x, &wf->env, &env, reterr);
	if (rc == 0)
		rc = add_env(x, &wj->env, &env, reterr);
	if (rc)
		return rc;
	s->env = expr_object(a, env.v, env.n);
	x->contexts = with_env(a, s->contexts, s->env);
	rc = plan_eval_str(x, wj->default_shell ? wj->default_shell : wf->default_shell, &s->shell, reterr);
	if (rc == 0)
		rc = plan_eval_str(x, wj->default_working_directory ? wj->default_working_directory : wf->default_working_directory, &s->directory,
		                   reterr);
	return rc ? rc : arena_check(a, "job", reterr);
}

static void write_identity(const struct plan *p, const struct plan_job *job, const struct plan_job_extra *x, struct jw *w)
{
	jw_kint(w, "spec", 1);
	jw_kstr(w, "run", p->input.run_id);
	jw_kstr(w, "job", x->job);
	jw_kstr(w, "lease", x->lease);
	jw_kint(w, "lease_ms", x->lease_ms);
	jw_kint(w, "attempt", x->attempt);
	jw_kstr(w, "cause", x->cause.ptr ? x->cause : STR(""));
	jw_kstr(w, "project", p->input.project);
	jw_key(w, "workflow");
	jw_obj(w);
	jw_kstr(w, "name", p->workflow->name);
	jw_kstr(w, "file", p->workflow->file);
	jw_end(w);
	jw_kstr(w, "key", job->key);
	jw_kstr(w, "job_id", p->groups[job->group].id);
	jw_kstr(w, "name", job->name);
	jw_key(w, "repository");
	jw_obj(w);
	jw_kstr(w, "url", x->clone_url.ptr ? x->clone_url : STR(""));
	jw_kstr(w, "commit", p->input.commit);
	jw_kstr(w, "ref", p->input.ref);
	jw_end(w);
	jw_kstr(w, "token", x->token.ptr ? x->token : STR(""));
	jw_key(w, "masks");
	jw_arr(w);
	if (x->token.len)
		jw_str(w, x->token);
	jw_end(w);
}

static void write_rest(struct arena *a, const struct plan *p, const struct plan_job *job, const struct spec *s, struct jw *w)
{
	const struct wf_job   *wj = &p->workflow->jobs[job->group];
	const struct doc_node *perm = wj->permissions ? wj->permissions : p->workflow->permissions;

	jw_kint(w, "timeout_ms", job->timeout_ms);
	jw_kint(w, "cancel_timeout_ms", job->cancel_timeout_ms);
	jw_kbool(w, "continue_on_error", job->continue_on_error);
	jw_key(w, "environment");
	if (job->environment.len) {
		jw_obj(w);
		jw_kstr(w, "name", job->environment);
		jw_kstr(w, "url", plain_text(a, wj->environment_url));
		jw_end(w);
	} else {
		jw_null(w);
	}
	jw_key(w, "permissions");
	if (perm)
		jw_node(w, perm);
	else
		jw_null(w);
	jw_key(w, "env");
	plan_jw_value(w, s->env);
	jw_key(w, "defaults");
	jw_obj(w);
	jw_kstr(w, "shell", s->shell.len ? s->shell : STR_NULL);
	jw_kstr(w, "working_directory", s->directory.len ? s->directory : STR_NULL);
	jw_end(w);
	jw_key(w, "outputs");
	write_pairs(a, &wj->outputs, w);
	jw_key(w, "contexts");
	plan_jw_value(w, s->contexts);
	jw_key(w, "steps");
	jw_arr(w);
	for (size_t i = 0; i < wj->n_steps; i++)
		write_spec_step(a, &wj->steps[i], i, w);
	jw_end(w);
}

int plan_job_spec(struct arena *a, const struct plan *p, const struct plan_job *job, const struct plan_state *st,
                  const struct plan_job_extra *x, struct buf *out, struct err *reterr)
{
	struct plan_group group = p->groups[job->group];
	struct plan_eval  ev = { a, p->workflow, NULL, NULL };
	struct spec       s = { 0 };
	struct jw         w;

	if (x->job_total)
		group.n_jobs = x->job_total;
	s.contexts = plan_contexts(a, p, &group, job, st, x->token);
	ev.contexts = s.contexts;
	int rc = evaluate(a, p, job, &ev, &s, reterr);
	if (rc)
		return rc;
	jw_init(&w, out);
	jw_obj(&w);
	write_identity(p, job, x, &w);
	write_rest(a, p, job, &s, &w);
	jw_end(&w);
	rc = buf_check(out, "job", reterr);
	return rc ? rc : arena_check(a, "job", reterr);
}
