/* steps-eval.c - what a step's expressions see, and their evaluation. Runs on the job's thread.
 *
 * Contexts: those of the spec (github, matrix, needs, inputs, secrets, ...) and what only the runner knows: env, steps, job, runner. */
#include "base/base.h"
#include "base/limits.h"
#include "pipeline/steps-internal.h"

struct pairs {
	struct arena *a;
	VEC(struct expr_pair) v;
	bool          failed;
};

static void put(struct pairs *p, str key, const struct expr_value *v)
{
	for (size_t i = 0; i < p->v.n; i++)
		if (str_eq(p->v.v[i].key, key)) {
			p->v.v[i].value = v;
			return;
		}
	if (!VEC_PUSH(&p->v, ((struct expr_pair){ key, v })))
		p->failed = true;
}

static void put_z(struct pairs *p, const char *key, const char *value) { put(p, str_z(key), expr_string(p->a, str_z(value))); }

/* The object; the list is emptied. */
static const struct expr_value *take(struct pairs *p)
{
	const struct expr_value *o = p->failed ? NULL : expr_object(p->a, p->v.v, p->v.n);

	VEC_FINI(&p->v);
	return o ? o : &expr_null;
}

static const struct expr_value *of_kvs(struct arena *a, const struct kvs *k)
{
	struct pairs p = { a, VEC_INIT, false };

	for (size_t i = 0; i < k->n; i++)
		put(&p, k->v[i].key, expr_string(a, k->v[i].value));
	return take(&p);
}

static const char *conclusion_name(enum job_state s) { return s == JOB_QUEUED || s == JOB_RUNNING ? "" : job_state_name(s); }

static const struct expr_value *steps_context(struct job *j, struct arena *a)
{
	struct pairs all = { a, VEC_INIT, false };

	for (size_t i = 0; i < j->n_steps; i++) {
		struct step *s = &j->steps[i];
		struct pairs one = { a, VEC_INIT, false };

		if (!s->id.len || !s->view.ended)
			continue;
		put(&one, STR("outputs"), of_kvs(a, &s->outputs));
		put_z(&one, "outcome", conclusion_name(s->view.state));
		put_z(&one, "conclusion", conclusion_name(s->conclusion));
		put(&all, s->id, take(&one));
	}
	return take(&all);
}

static const struct expr_value *job_context(struct job *j, struct arena *a)
{
	struct pairs p = { a, VEC_INIT, false };

	put_z(&p, "status", job_is_cancelled(j) ? "cancelled" : j->failed ? "failure" : "success");
	return take(&p);
}

static const struct expr_value *runner_context(struct arena *a)
{
	struct pairs p = { a, VEC_INIT, false };

	put_z(&p, "os", "Linux");
	put_z(&p, "arch", sizeof(void *) == 8 ? "X64" : "X86");
	put_z(&p, "name", "weir");
	put_z(&p, "temp", SANDBOX_TEMP);
	put_z(&p, "tool_cache", SANDBOX_WORK "/_tool");
	put_z(&p, "workspace", SANDBOX_WORK);
	put_z(&p, "environment", "self-hosted");
	put_z(&p, "debug", "");
	return take(&p);
}

static const struct expr_value *github_context(struct job *j, struct arena *a)
{
	const struct expr_value *given = expr_get(j->contexts, STR("github"));
	struct pairs             p = { a, VEC_INIT, false };

	for (size_t i = 0; given && given->kind == EXPR_OBJECT && i < given->len; i++)
		put(&p, given->pairs[i].key, given->pairs[i].value);
	put_z(&p, "workspace", arena_printf(a, SANDBOX_WORK "/%s/%s", j->project, j->project));
	put_z(&p, "event_path", SANDBOX_FILES "/event.json");
	return take(&p);
}

/* Env of the job, then what steps put into GITHUB_ENV. */
static const struct expr_value *base_env(struct job *j, struct arena *a)
{
	const struct doc_node *n = doc_get(j->spec, "env");
	struct pairs           p = { a, VEC_INIT, false };

	if (j->local)
		put_z(&p, "ACT", "true"); /* as other local runners say it: workflows skip what makes sense on a server only */
	for (size_t i = 0; i < doc_len(n); i++)
		put(&p, n->map.pairs[i].key, expr_string(a, n->map.pairs[i].value->text));
	for (size_t i = 0; i < j->env.n; i++)
		put(&p, j->env.v[i].key, expr_string(a, j->env.v[i].value));
	return take(&p);
}

static void contexts(struct step_eval *e)
{
	struct job  *j = e->job;
	struct pairs p = { e->a, VEC_INIT, false };

	for (size_t i = 0; i < j->contexts->len; i++)
		put(&p, j->contexts->pairs[i].key, j->contexts->pairs[i].value);
	put(&p, STR("github"), github_context(j, e->a));
	put(&p, STR("runner"), runner_context(e->a));
	put(&p, STR("job"), job_context(j, e->a));
	put(&p, STR("steps"), steps_context(j, e->a));
	put(&p, STR("env"), e->env);
	e->env_all.contexts = take(&p);
}

static bool st_success(void *ctx)
{
	struct job *j = ctx;

	return !j->failed && !job_is_cancelled(j);
}
static bool st_failure(void *ctx)
{
	struct job *j = ctx;

	return j->failed && !job_is_cancelled(j);
}
static bool st_cancelled(void *ctx) { return job_is_cancelled(ctx); }
static int  st_hash(void *ctx, const str *patterns, size_t n, struct buf *out, struct err *reterr)
{
	return hash_files(ctx, patterns, n, out, reterr);
}

int eval_text(struct step_eval *e, const char *what, str text, str *ret, struct err *reterr)
{
	struct expr_text        *t;
	const struct expr_value *v;
	int                      r = expr_text_parse(e->a, text, &t, reterr);

	if (!r)
		r = expr_text_eval(e->a, t, &e->env_all, &v, reterr);
	if (r)
		return err_wrap(reterr, "%s", what);
	*ret = expr_to_string(e->a, v);
	return arena_check(e->a, what, reterr);
}

int eval_if(struct step_eval *e, str text, bool *ret, struct err *reterr)
{
	int r = expr_if_eval(e->a, text.len ? text : STR("success()"), &e->env_all, ret, reterr);

	return r ? err_wrap(reterr, "if") : 0;
}

int eval_flag(struct step_eval *e, const char *what, const struct doc_node *n, bool *ret, struct err *reterr)
{
	str text;
	int r;

	*ret = n && n->kind == DOC_BOOL && n->b;
	if (!n || n->kind != DOC_STR)
		return 0;
	r = eval_text(e, what, n->s, &text, reterr);
	if (r)
		return r;
	*ret = str_eq_nocase(text, STR("true"));
	if (!*ret && !str_eq_nocase(text, STR("false")) && text.len)
		return err_set(reterr, WEIR_EINVAL, "%s: '%.*s' is neither true nor false", what, STR_ARG(str_sub(text, 0, 60)));
	return 0;
}

int eval_number(struct step_eval *e, const char *what, const struct doc_node *n, double otherwise, double *ret, struct err *reterr)
{
	str text;
	int r;

	*ret = otherwise;
	if (!n || n->kind == DOC_NULL)
		return 0;
	if (n->kind == DOC_INT || n->kind == DOC_REAL) {
		*ret = n->kind == DOC_INT ? (double)n->i : n->d;
		return 0;
	}
	r = eval_text(e, what, n->text, &text, reterr);
	if (!r && text.len && !str_to_double(text, ret))
		return err_set(reterr, WEIR_EINVAL, "%s: '%.*s' is no number", what, STR_ARG(str_sub(text, 0, 60)));
	return r;
}

static int pairs_of_value(struct step_eval *e, const char *what, const struct expr_value *v, struct kvs *ret, struct err *reterr)
{
	int r = 0;

	if (v->kind != EXPR_OBJECT)
		return err_set(reterr, WEIR_EINVAL, "%s: the expression must give an object", what);
	if (v->len > LIMIT_WORKFLOW_PAIRS)
		return err_set(reterr, WEIR_ELIMIT, "%s: %zu entries are more than %d", what, v->len, LIMIT_WORKFLOW_PAIRS);
	for (size_t i = 0; !r && i < v->len; i++) {
		const struct expr_pair *p = &v->pairs[i];

		if (!p->key.len || p->value->kind == EXPR_OBJECT || p->value->kind == EXPR_ARRAY)
			return err_set(reterr, WEIR_EINVAL, "%s: '%.*s' must be a text with a name", what, STR_ARG(str_sub(p->key, 0, 60)));
		r = kvs_set(ret, p->key, expr_to_string(e->a, p->value), reterr);
	}
	return r;
}

int eval_pairs(struct step_eval *e, const char *what, const struct doc_node *n, struct kvs *ret, struct err *reterr)
{
	struct expr_text        *t;
	const struct expr_value *v;
	int                      r = 0;

	if (n && n->kind == DOC_STR) { /* one ${{ }} that gives all of them */
		r = expr_text_parse(e->a, n->s, &t, reterr);
		if (!r)
			r = expr_text_eval(e->a, t, &e->env_all, &v, reterr);
		if (r)
			return err_wrap(reterr, "%s", what);
		r = pairs_of_value(e, what, v, ret, reterr);
		return r ? r : arena_check(e->a, what, reterr);
	}
	for (size_t i = 0; !r && i < doc_len(n); i++) {
		str text = STR("");

		r = eval_text(e, what, n->map.pairs[i].value->text, &text, reterr);
		if (!r)
			r = kvs_set(ret, n->map.pairs[i].key, text, reterr);
	}
	return r;
}

/* Step env on top of the env so far; its texts see the env below. */
static int add_step_env(struct step_eval *e, const struct doc_node *n, struct err *reterr)
{
	struct pairs p = { e->a, VEC_INIT, false };
	struct kvs   own = { 0 };
	int          r;

	for (size_t i = 0; i < e->env->len; i++)
		put(&p, e->env->pairs[i].key, e->env->pairs[i].value);
	r = eval_pairs(e, "env", n, &own, reterr);
	for (size_t i = 0; !r && i < own.n; i++)
		put(&p, own.v[i].key, expr_string(e->a, own.v[i].value));
	kvs_fini(&own);
	e->env = take(&p);
	contexts(e);
	return r;
}

int eval_init(struct step_eval *e, struct job *j, struct arena *a, const struct doc_node *step_env, struct err *reterr)
{
	static const char *const names[] = { "github", "env", "vars", "job", "steps", "runner", "secrets", "strategy", "matrix", "needs", "inputs", NULL };
	int                      r = 0;

	*e = (struct step_eval){ .job = j, .a = a };
	e->ops = (struct expr_ops){ .success = st_success, .failure = st_failure, .cancelled = st_cancelled, .hash_files = st_hash, .ctx = j };
	e->env_all.names = names;
	e->env_all.ops = &e->ops;
	e->env = base_env(j, a);
	contexts(e);
	if (step_env && (step_env->kind == DOC_STR || doc_len(step_env)))
		r = add_step_env(e, step_env, reterr);
	return r ? r : arena_check(a, "contexts of a step", reterr);
}

/* A value that holds a masked text does not leave the runner as an output, as at GitHub. */
static bool holds_secret(struct job *j, str v)
{
	CLEANUP_BUF struct buf b = BUF_INIT(LIMIT_STEP_FILE_BYTES * 2);

	masks_apply(&j->masks, v, &b);
	return !str_eq(buf_str(&b), v);
}

int eval_outputs(struct job *j, struct err *reterr)
{
	struct arena           a = ARENA_INIT(64 << 20);
	const struct doc_node *outputs = doc_get(j->spec, "outputs");
	str                    url = doc_get_str(doc_get(j->spec, "environment"), "url"), v;
	struct step_eval       e;
	struct jw              w;
	int                    r = eval_init(&e, j, &a, NULL, reterr);

	jw_init(&w, &j->outputs);
	jw_obj(&w);
	for (size_t i = 0; !r && i < doc_len(outputs); i++) {
		r = eval_text(&e, "outputs", outputs->map.pairs[i].value->text, &v, reterr);
		if (r || holds_secret(j, v))
			continue;
		jw_key_n(&w, outputs->map.pairs[i].key);
		jw_str(&w, v);
	}
	jw_end(&w);
	if (!r && url.len) {
		r = eval_text(&e, "environment.url", url, &v, reterr);
		if (!r)
			masks_apply(&j->masks, v, &j->environment_url);
	}
	arena_fini(&a);
	return r ? r : buf_check(&j->outputs, "outputs of the job", reterr);
}
