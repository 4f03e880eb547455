/* plan-eval.c - evaluates values of a workflow and builds the contexts (github, needs, matrix, strategy, inputs, ...) that they see.
 * Pure, any thread. */
#include "base/base.h"

#include "base/vec.h"
#include "pipeline/plan-eval.h"
#include "pipeline/workflow-read.h"

#include <math.h>

static const char *const context_names[] = { "github", "needs", "strategy", "matrix", "env", "vars", "secrets", "inputs", "job", "runner",
	"steps", NULL };

int plan_error_at(const struct workflow *wf, const struct doc_node *n, struct err *reterr, const char *fmt, ...)
{
	char    msg[900];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	return err_set(reterr, WEIR_EINVAL, "%.*s:%u:%u: %s", STR_ARG(wf->file), n ? n->line : 1, n ? n->col : 1, msg);
}

static int eval_text(const struct plan_eval *x, const struct doc_node *n, const struct expr_value **ret, struct err *reterr)
{
	struct expr_env   env = { x->contexts, context_names, x->ops };
	struct expr_text *t = NULL;
	struct err        e = { 0 };

	if (expr_text_parse(x->a, n->s, &t, &e) || expr_text_eval(x->a, t, &env, ret, &e))
		return plan_error_at(x->wf, n, reterr, "%s", e.msg);
	return 0;
}

static int eval_seq(const struct plan_eval *x, const struct doc_node *n, const struct expr_value **ret, struct err *reterr)
{
	const struct expr_value **items = ARENA_ARRAY(x->a, n->seq.n + 1, const struct expr_value *);

	for (size_t i = 0; items && i < n->seq.n; i++) {
		int rc = plan_eval(x, n->seq.items[i], &items[i], reterr);
		if (rc)
			return rc;
	}
	*ret = items ? expr_array(x->a, items, n->seq.n) : NULL;
	return arena_check(x->a, "expression", reterr);
}

struct pairs {
	struct arena *a;
	VEC(struct expr_pair) v;
	bool          failed;
};

static void put_pair(struct pairs *p, str key, const struct expr_value *v)
{
	for (size_t i = 0; i < p->v.n; i++)
		if (str_eq_nocase(p->v.v[i].key, key)) {
			p->v.v[i].value = v;
			return;
		}
	if (!VEC_PUSH(&p->v, ((struct expr_pair){ key, v })))
		p->failed = true;
}

static int insert_all(const struct plan_eval *x, const struct doc_node *at, const struct expr_value *v, struct pairs *out, struct err *reterr)
{
	if (v->kind != EXPR_OBJECT)
		return plan_error_at(x->wf, at, reterr, "what ${{ insert }} inserts must be an object");
	for (size_t i = 0; i < v->len; i++)
		put_pair(out, v->pairs[i].key, v->pairs[i].value);
	return 0;
}

static int eval_key(const struct plan_eval *x, const struct doc_pair *p, str *ret, struct err *reterr)
{
	const struct doc_node at = { .kind = DOC_STR, .s = p->key, .text = p->key, .line = p->line, .col = p->col };
	int                   rc = plan_eval_str(x, &at, ret, reterr);

	return rc || ret->len ? rc : plan_error_at(x->wf, &at, reterr, "the expression of this key gives nothing");
}

static int eval_map(const struct plan_eval *x, const struct doc_node *n, const struct expr_value **ret, struct err *reterr)
{
	struct pairs out = { x->a, VEC_INIT, false };
	int          rc = 0;

	for (size_t i = 0; rc == 0 && i < n->map.n; i++) {
		const struct doc_pair   *p = &n->map.pairs[i];
		const struct expr_value *v = NULL;
		str                      key = p->key;

		rc = plan_eval(x, p->value, &v, reterr);
		if (rc == 0 && wf_is_insert(key)) {
			rc = insert_all(x, p->value, v, &out, reterr);
			continue;
		}
		if (rc == 0 && str_contains(key, STR("${{")))
			rc = eval_key(x, p, &key, reterr);
		if (rc == 0)
			put_pair(&out, key, v);
	}
	*ret = out.failed ? NULL : expr_object(x->a, out.v.v, out.v.n);
	VEC_FINI(&out.v);
	return rc ? rc : out.failed ? err_set(reterr, WEIR_ENOMEM, "out of memory") : arena_check(x->a, "expression", reterr);
}

int plan_eval(const struct plan_eval *x, const struct doc_node *n, const struct expr_value **ret, struct err *reterr)
{
	switch (n->kind) {
	case DOC_SEQ:
		return eval_seq(x, n, ret, reterr);
	case DOC_MAP:
		return eval_map(x, n, ret, reterr);
	case DOC_STR:
		return eval_text(x, n, ret, reterr);
	default:
		*ret = expr_from_doc(x->a, n);
		return arena_check(x->a, "expression", reterr);
	}
}

int plan_eval_str(const struct plan_eval *x, const struct doc_node *n, str *ret, struct err *reterr)
{
	const struct expr_value *v = NULL;

	*ret = STR_NULL;
	if (!n)
		return 0;
	int rc = plan_eval(x, n, &v, reterr);
	if (rc)
		return rc;
	if (v->kind == EXPR_ARRAY || v->kind == EXPR_OBJECT)
		return plan_error_at(x->wf, n, reterr, "a text is needed here, the expression gives %s",
		                     v->kind == EXPR_ARRAY ? "a list" : "an object");
	*ret = expr_to_string(x->a, v);
	return arena_check(x->a, "expression", reterr);
}

int plan_eval_bool(const struct plan_eval *x, const struct doc_node *n, bool otherwise, bool *ret, struct err *reterr)
{
	const struct expr_value *v = NULL;

	*ret = otherwise;
	if (!n)
		return 0;
	int rc = plan_eval(x, n, &v, reterr);
	if (rc)
		return rc;
	if (v->kind != EXPR_BOOL)
		return plan_error_at(x->wf, n, reterr, "true or false is needed here, the expression gives something else");
	*ret = v->b;
	return 0;
}

int plan_eval_num(const struct plan_eval *x, const struct doc_node *n, const char *what, double min, double max, double otherwise,
                  double *ret, struct err *reterr)
{
	const struct expr_value *v = NULL;
	double                   d = NAN;

	*ret = otherwise;
	if (!n)
		return 0;
	int rc = plan_eval(x, n, &v, reterr);
	if (rc)
		return rc;
	if (v->kind == EXPR_NUMBER)
		d = v->n;
	else if (v->kind == EXPR_STRING && !str_to_double(str_trim(v->s), &d))
		d = NAN;
	if (isnan(d) || d < min || d > max)
		return plan_error_at(x->wf, n, reterr, "%s must be a number from %g to %g", what, min, max);
	*ret = d;
	return 0;
}

int plan_eval_if(const struct plan_eval *x, const struct doc_node *n, bool *ret, struct err *reterr)
{
	struct expr_env env = { x->contexts, context_names, x->ops };
	struct err      e = { 0 };
	str             text = !n ? STR("success()") : n->kind == DOC_STR ? n->s : n->text;

	if (expr_if_eval(x->a, text, &env, ret, &e))
		return plan_error_at(x->wf, n, reterr, "if: %s", e.msg);
	return 0;
}

/* --- what reads what --- */

struct reads {
	const char *context;
	bool        found;
};
static void see_context(void *ctx, str name, uint32_t col)
{
	struct reads *r = ctx;

	(void)col;
	r->found = r->found || str_eqz(name, r->context);
}
static void see_expr(void *ctx, const struct expr *e, size_t offset)
{
	(void)offset;
	expr_each_context(e, see_context, ctx);
}

static bool key_reads(struct arena *a, str key, const char *context)
{
	const struct doc_node at = { .kind = DOC_STR, .s = key, .text = key };

	return str_contains(key, STR("${{")) && plan_reads(a, &at, context);
}

bool plan_reads(struct arena *a, const struct doc_node *n, const char *context)
{
	struct reads      r = { context, false };
	struct expr_text *t = NULL;

	if (!n)
		return false;
	for (size_t i = 0; n->kind == DOC_SEQ && i < n->seq.n; i++)
		r.found = r.found || plan_reads(a, n->seq.items[i], context);
	for (size_t i = 0; n->kind == DOC_MAP && i < n->map.n; i++)
		r.found = r.found || plan_reads(a, n->map.pairs[i].value, context) || key_reads(a, n->map.pairs[i].key, context);
	if (n->kind == DOC_STR && str_contains(n->s, STR("${{")) && expr_text_parse(a, n->s, &t, NULL) == 0)
		expr_text_each(t, see_expr, &r);
	return r.found;
}

/* --- contexts --- */

enum { PAIRS_MAX = 40 };
struct builder {
	struct arena    *a;
	struct expr_pair pairs[PAIRS_MAX];
	size_t           n;
};
static void put(struct builder *b, const char *key, const struct expr_value *v)
{
	if (b->n == PAIRS_MAX)
		BUG("more than %d fields in a context", PAIRS_MAX);
	b->pairs[b->n++] = (struct expr_pair){ str_z(key), v ? v : &expr_null };
}
static void put_str(struct builder *b, const char *key, str s)
{
	put(b, key, expr_string(b->a, s.ptr ? s : STR("")));
}
static const struct expr_value *built(struct builder *b)
{
	return expr_object(b->a, b->pairs, b->n);
}

static bool is_zero_id(str id)
{
	for (size_t i = 0; i < id.len; i++)
		if (id.ptr[i] != '0')
			return false;
	return true;
}

static const struct expr_value *event_context(struct arena *a, const struct plan *p)
{
	const struct plan_input *in = &p->input;
	struct builder           b = { .a = a }, commit = { .a = a }, who = { .a = a }, repo = { .a = a };

	put_str(&commit, "id", in->commit);
	put_str(&commit, "message", in->subject);
	put_str(&who, "name", in->actor);
	put_str(&repo, "name", in->project);
	put_str(&repo, "full_name", in->project);
	put_str(&b, "ref", in->ref);
	put_str(&b, "after", in->commit);
	put(&b, "repository", built(&repo));
	if (str_eqz(in->event, "push")) {
		put_str(&b, "before", in->before);
		put(&b, "created", expr_bool(is_zero_id(in->before)));
		put(&b, "deleted", &expr_false);
		put(&b, "head_commit", built(&commit));
		put(&b, "pusher", built(&who));
	} else {
		put(&b, "inputs", p->inputs);
	}
	return built(&b);
}

static const struct expr_value *github_context(struct arena *a, const struct plan *p, const struct plan_group *group, str token)
{
	const struct plan_input *in = &p->input;
	struct builder           b = { .a = a };
	bool                     tag = str_has_prefix(in->ref, STR("refs/tags/"));
	str                      short_ref = str_has_prefix(in->ref, STR("refs/heads/")) ? str_sub(in->ref, 11, in->ref.len)
	                                     : tag                                       ? str_sub(in->ref, 10, in->ref.len)
	                                                                                 : in->ref;

	put_str(&b, "event_name", in->event);
	put(&b, "event", event_context(a, p));
	put_str(&b, "ref", in->ref);
	put_str(&b, "ref_name", short_ref);
	put_str(&b, "ref_type", tag ? STR("tag") : STR("branch"));
	put_str(&b, "head_ref", STR(""));
	put_str(&b, "base_ref", STR(""));
	put_str(&b, "sha", in->commit);
	put_str(&b, "repository", in->project);
	put_str(&b, "repository_owner", STR(""));
	put_str(&b, "actor", in->actor);
	put_str(&b, "triggering_actor", in->actor);
	put_str(&b, "workflow", p->workflow->name);
	put_str(&b, "workflow_sha", in->commit);
	put_str(&b, "run_id", in->run_id);
	put(&b, "run_number", expr_number(a, (double)in->run_number));
	put(&b, "run_attempt", expr_number(a, (double)in->run_attempt));
	put_str(&b, "server_url", in->server_url);
	put_str(&b, "api_url", in->server_url.len ? str_z(arena_printf(a, "%.*s/api/v1", STR_ARG(in->server_url))) : STR(""));
	/* the same place in every sandbox, so that env of the workflow may name it */
	put_str(&b, "workspace", str_z(arena_printf(a, "/home/runner/work/%.*s/%.*s", STR_ARG(in->project), STR_ARG(in->project))));
	put_str(&b, "token", token);
	if (group)
		put_str(&b, "job", group->id);
	return built(&b);
}

static const struct expr_value *needs_context(struct arena *a, const struct plan *p, const struct plan_group *group, const struct plan_state *st)
{
	size_t            n = group && st ? group->n_needs : 0;
	struct expr_pair *pairs = ARENA_ARRAY(a, n + 1, struct expr_pair);

	for (size_t i = 0; pairs && i < n; i++) {
		size_t         need = group->needs[i];
		struct builder b = { .a = a };

		put_str(&b, "result", str_z(plan_result_name(st[need].result)));
		put(&b, "outputs", st[need].outputs ? st[need].outputs : expr_object(a, NULL, 0));
		pairs[i] = (struct expr_pair){ p->groups[need].id, built(&b) };
	}
	return pairs ? expr_object(a, pairs, n) : &expr_null;
}

static const struct expr_value *strategy_context(struct arena *a, const struct plan_group *group, const struct plan_job *job)
{
	struct builder b = { .a = a };
	size_t         total = group && group->n_jobs ? group->n_jobs : 1;

	put(&b, "fail-fast", expr_bool(!group || group->fail_fast));
	put(&b, "job-index", expr_number(a, job ? (double)job->index : 0));
	put(&b, "job-total", expr_number(a, (double)total));
	put(&b, "max-parallel", expr_number(a, group && group->max_parallel ? (double)group->max_parallel : (double)total));
	return built(&b);
}

const struct expr_value *plan_contexts(struct arena *a, const struct plan *p, const struct plan_group *group, const struct plan_job *job,
                                       const struct plan_state *st, str token)
{
	struct builder b = { .a = a }, secrets = { .a = a };

	if (token.len)
		put_str(&secrets, "GITHUB_TOKEN", token);
	put(&b, "github", github_context(a, p, group, token));
	put(&b, "needs", needs_context(a, p, group, st));
	put(&b, "strategy", strategy_context(a, group, job));
	put(&b, "matrix", job ? job->matrix : NULL);
	put(&b, "inputs", p->inputs);
	put(&b, "vars", expr_object(a, NULL, 0));
	put(&b, "secrets", built(&secrets));
	return built(&b);
}

/* --- inputs of a dispatch --- */

static int typed_input(struct arena *a, const struct wf_input *in, const struct doc_node *n, const struct expr_value **ret,
                       struct err *reterr)
{
	str    text = n->kind == DOC_STR ? n->s : n->text;
	double d;

	if (n->kind == DOC_SEQ || n->kind == DOC_MAP)
		return err_set(reterr, WEIR_EINVAL, "input '%.*s' must be a single value", STR_ARG(in->name));
	switch (in->type) {
	case WF_INPUT_BOOLEAN:
		if (!str_eqz(text, "true") && !str_eqz(text, "false"))
			return err_set(reterr, WEIR_EINVAL, "input '%.*s' must be true or false", STR_ARG(in->name));
		*ret = expr_bool(str_eqz(text, "true"));
		break;
	case WF_INPUT_NUMBER:
		if (!str_to_double(text, &d))
			return err_set(reterr, WEIR_EINVAL, "input '%.*s' must be a number", STR_ARG(in->name));
		*ret = expr_number(a, d);
		break;
	case WF_INPUT_CHOICE:
		for (size_t i = 0; i < in->n_options; i++)
			if (str_eq(in->options[i], text)) {
				*ret = expr_string(a, text);
				return 0;
			}
		return err_set(reterr, WEIR_EINVAL, "input '%.*s' must be one of its options, not '%.*s'", STR_ARG(in->name), STR_ARG(text));
	default:
		*ret = expr_string(a, n->kind == DOC_NULL ? STR("") : text);
	}
	return 0;
}

static const struct expr_value *empty_input(struct arena *a, const struct wf_input *in)
{
	switch (in->type) {
	case WF_INPUT_BOOLEAN:
		return &expr_false;
	case WF_INPUT_NUMBER:
		return expr_number(a, 0);
	case WF_INPUT_CHOICE:
		return expr_string(a, in->options[0]);
	default:
		return expr_string(a, STR(""));
	}
}

int plan_inputs(struct arena *a, const struct workflow *wf, const struct plan_input *in, const struct expr_value **ret,
                struct err *reterr)
{
	struct expr_pair *pairs = ARENA_ARRAY(a, wf->n_inputs + 1, struct expr_pair);
	size_t            n = 0;

	if (!pairs)
		return arena_check(a, "inputs", reterr);
	*ret = expr_object(a, NULL, 0);
	if (!str_eqz(in->event, "workflow_dispatch"))
		return 0;
	for (size_t i = 0; in->inputs && i < doc_len(in->inputs); i++) {
		bool known = false;

		for (size_t k = 0; k < wf->n_inputs; k++)
			known = known || str_eq(wf->inputs[k].name, in->inputs->map.pairs[i].key);
		if (!known)
			return err_set(reterr, WEIR_EINVAL, "%.*s has no input '%.*s'", STR_ARG(wf->file), STR_ARG(in->inputs->map.pairs[i].key));
	}
	for (; n < wf->n_inputs; n++) {
		const struct wf_input *want = &wf->inputs[n];
		const struct doc_node *given = in->inputs ? doc_get_n(in->inputs, want->name) : NULL;
		int                    rc = 0;

		pairs[n].key = want->name;
		given = given ? given : want->default_value;
		if (given)
			rc = typed_input(a, want, given, &pairs[n].value, reterr);
		else if (want->required)
			rc = err_set(reterr, WEIR_EINVAL, "input '%.*s' is required by %.*s", STR_ARG(want->name), STR_ARG(wf->file));
		else
			pairs[n].value = empty_input(a, want);
		if (rc)
			return rc;
	}
	*ret = expr_object(a, pairs, n);
	return arena_check(a, "inputs", reterr);
}
