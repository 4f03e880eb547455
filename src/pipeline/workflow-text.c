/* workflow-text.c - the small pieces of a workflow: maps with known keys, scalars, and the ${{ }} in them.
 *
 * Every check adds its problem to the doc_check and lets the reader go on, so that one push shows all of them. Expressions
 * are parsed here to find errors early; they are parsed again where they are evaluated. Any thread. */
#include "base/base.h"

#include "base/limits.h"
#include "pipeline/workflow-read.h"

#include <math.h>

static const struct {
	const char *name;
	unsigned    bit;
} contexts[] = {
	{ "github", WF_GITHUB }, { "needs", WF_NEEDS },     { "strategy", WF_STRATEGY }, { "matrix", WF_MATRIX },
	{ "job", WF_JOB },       { "runner", WF_RUNNER },   { "env", WF_ENV },           { "vars", WF_VARS },
	{ "secrets", WF_SECRETS }, { "steps", WF_STEPS },   { "inputs", WF_INPUTS },
};

static bool in_list(str key, const char *const *list)
{
	for (; list && *list; list++)
		if (str_eqz(key, *list))
			return true;
	return false;
}

bool wf_map(struct wf_reader *r, const struct doc_node *n, const char *what, const char *const *obeyed, const char *const *known)
{
	if (!n)
		return false;
	if (n->kind != DOC_MAP) {
		doc_error(r->c, n, "%s must be a map, not a %s", what, doc_kind_name(n->kind));
		return false;
	}
	for (size_t i = 0; obeyed && i < n->map.n; i++) {
		const struct doc_pair *p = &n->map.pairs[i];

		if (in_list(p->key, obeyed))
			continue;
		if (in_list(p->key, known)) {
			doc_error_at(r->c, p->line, p->col, "'%.*s' is not obeyed by weir yet: take it out of %s", STR_ARG(p->key), what);
			continue;
		}
		const char *near = doc_nearest(p->key, obeyed);
		if (near)
			doc_error_at(r->c, p->line, p->col, "unknown key '%.*s' in %s (did you mean '%s'?)", STR_ARG(p->key), what, near);
		else
			doc_error_at(r->c, p->line, p->col, "unknown key '%.*s' in %s", STR_ARG(p->key), what);
	}
	return true;
}

/* --- expressions --- */

struct expr_check {
	struct wf_reader      *r;
	const struct doc_node *at;
	const char            *what;
	unsigned               may;
	bool                   bad;
};

static void name_contexts(unsigned may, struct buf *b)
{
	for (size_t i = 0; i < ARRAY_SIZE(contexts); i++)
		if (may & contexts[i].bit)
			buf_addf(b, "%s%s", b->len ? ", " : "", contexts[i].name);
}

static void check_context(void *ctx, str name, uint32_t col)
{
	struct expr_check *x = ctx;
	CLEANUP_BUF struct buf list = BUF_INIT(512);

	for (size_t i = 0; i < ARRAY_SIZE(contexts); i++)
		if (str_eqz(name, contexts[i].name) && (x->may & contexts[i].bit))
			return;
	name_contexts(x->may, &list);
	doc_error(x->r->c, x->at, "'%.*s' (character %u of the expression) cannot be read in %s; what can: %s", STR_ARG(name), col,
	          x->what, buf_z(&list));
	x->bad = true;
}

/* Are its functions there? hashFiles() in steps only, status functions in `if` only. */
static bool status_stub(void *ctx)
{
	(void)ctx;
	return true;
}
static bool status_of_stub(void *ctx, const str *jobs, size_t n)
{
	(void)ctx;
	(void)jobs;
	return n > 0;
}
static int hash_stub(void *ctx, const str *patterns, size_t n, struct buf *out, struct err *reterr)
{
	(void)ctx;
	(void)patterns;
	(void)out;
	return n ? 0 : err_set(reterr, WEIR_EINVAL, "hashFiles() needs a pattern");
}

static void check_functions(struct expr_check *x, const struct expr *e)
{
	static const char *const all[] = { "github", "needs", "strategy", "matrix", "job", "runner", "env", "vars", "secrets", "steps", "inputs",
		NULL };
	bool            status = x->may & WF_STATUS, step = x->may & WF_STEPS;
	struct expr_ops ops = { status ? status_stub : NULL, status ? status_stub : NULL, status ? status_stub : NULL,
		status && !step ? status_of_stub : NULL, status && !step ? status_of_stub : NULL, step ? hash_stub : NULL, NULL };
	struct expr_env env = { expr_object(x->r->a, NULL, 0), all, &ops };
	struct err      err = { 0 };

	if (!x->bad && expr_check(e, &env, &err)) {
		doc_error(x->r->c, x->at, "%s: %s", x->what, err.msg);
		x->bad = true;
	}
}

static void check_expr(void *ctx, const struct expr *e, size_t offset)
{
	struct expr_check *x = ctx;

	(void)offset;
	expr_each_context(e, check_context, x);
	if (!(x->may & WF_STATUS) && expr_uses_status(e)) {
		doc_error(x->r->c, x->at, "success(), failure(), cancelled() and always() can be used in 'if' only, not in %s", x->what);
		x->bad = true;
	}
	check_functions(x, e);
}

/* The text of one scalar; may 0: no expression at all. */
static bool check_text(struct wf_reader *r, const struct doc_node *n, const char *what, unsigned may)
{
	struct expr_check x = { r, n, what, may, false };
	struct expr_text *t = NULL;
	struct err        e = { 0 };

	if (n->kind == DOC_STR && memchr(n->s.ptr, 0, n->s.len)) {
		doc_error(r->c, n, "%s holds a NUL character", what);
		return false;
	}
	if (n->kind != DOC_STR || !str_contains(n->s, STR("${{")))
		return true;
	if (!may) {
		doc_error(r->c, n, "an expression is not allowed in %s", what);
		return false;
	}
	if (expr_text_parse(r->a, n->s, &t, &e)) {
		doc_error(r->c, n, "%s: %s", what, e.msg);
		return false;
	}
	expr_text_each(t, check_expr, &x);
	return !x.bad;
}

static bool is_scalar(const struct doc_node *n)
{
	return n->kind != DOC_SEQ && n->kind != DOC_MAP;
}

const struct doc_node *wf_scalar(struct wf_reader *r, const struct doc_node *n, const char *what, unsigned may)
{
	if (!n)
		return NULL;
	if (!is_scalar(n)) {
		doc_error(r->c, n, "%s must be a text, not a %s", what, doc_kind_name(n->kind));
		return NULL;
	}
	return check_text(r, n, what, may) ? n : NULL;
}

const struct doc_node *wf_filled(struct wf_reader *r, const struct doc_node *n, const char *what, unsigned may)
{
	const struct doc_node *s = wf_scalar(r, n, what, may);

	if (s && (s->kind == DOC_NULL || (s->kind == DOC_STR && s->s.len == 0))) {
		doc_error(r->c, n, "%s must not be empty", what);
		return NULL;
	}
	return s;
}

str wf_literal(struct wf_reader *r, const struct doc_node *n, const char *what)
{
	const struct doc_node *s = wf_scalar(r, n, what, 0);

	if (!s || s->kind == DOC_NULL)
		return STR_NULL;
	return s->kind == DOC_STR ? s->s : s->text;
}

bool wf_is_expression(const struct doc_node *n)
{
	return n->kind == DOC_STR && str_has_prefix(str_trim(n->s), STR("${{")) && str_has_suffix(str_trim(n->s), STR("}}"));
}

const struct doc_node *wf_whole(struct wf_reader *r, const struct doc_node *n, const char *what, unsigned may)
{
	struct doc_node *copy = ARENA_NEW(r->a, struct doc_node);

	if (!copy || !check_text(r, n, what, may))
		return NULL;
	*copy = *n;
	copy->s = copy->text = str_trim(n->s);
	return copy;
}

const struct doc_node *wf_bool(struct wf_reader *r, const struct doc_node *n, const char *what, unsigned may)
{
	if (!n)
		return NULL;
	if (n->kind == DOC_BOOL)
		return n;
	if (may && wf_is_expression(n))
		return check_text(r, n, what, may) ? n : NULL;
	doc_error(r->c, n, may ? "%s must be true, false or one ${{ }}" : "%s must be true or false", what);
	return NULL;
}

const struct doc_node *wf_number(struct wf_reader *r, const struct doc_node *n, const char *what, double min, double max, unsigned may)
{
	if (!n)
		return NULL;
	if (may && wf_is_expression(n))
		return check_text(r, n, what, may) ? n : NULL;
	double d = n->kind == DOC_INT ? (double)n->i : n->kind == DOC_REAL ? n->d : NAN;
	if (isnan(d) || d < min || d > max) {
		doc_error(r->c, n, "%s must be a number from %g to %g%s", what, min, max, may ? ", or one ${{ }}" : "");
		return NULL;
	}
	return n;
}

const struct doc_node *wf_cond(struct wf_reader *r, const struct doc_node *n, unsigned may)
{
	struct expr_check x = { r, n, "'if'", may, false };
	struct expr      *e = NULL;
	struct err        err = { 0 };

	if (!n)
		return NULL;
	if (!is_scalar(n)) {
		doc_error(r->c, n, "'if' must be an expression, not a %s", doc_kind_name(n->kind));
		return NULL;
	}
	if (n->kind != DOC_STR || str_trim(n->s).len == 0)
		return n->kind == DOC_NULL || n->kind == DOC_STR ? NULL : n;
	if (str_contains(n->s, STR("${{")))
		return check_text(r, n, "'if'", may) ? n : NULL;
	if (expr_parse(r->a, n->s, &e, &err)) {
		doc_error(r->c, n, "'if': %s", err.msg);
		return NULL;
	}
	check_expr(&x, e, 0);
	return x.bad ? NULL : n;
}

bool wf_is_insert(str key)
{
	key = str_trim(key);
	if (!str_has_prefix(key, STR("${{")) || !str_has_suffix(key, STR("}}")))
		return false;
	return str_eqz(str_trim(str_sub(key, 3, key.len - 5)), "insert");
}

/* An expression in a key stands for the key that it gives. */
static bool check_key(struct wf_reader *r, const struct doc_pair *p, const char *what, unsigned may)
{
	struct doc_node at = { .kind = DOC_STR, .s = p->key, .text = p->key, .line = p->line, .col = p->col };

	return check_text(r, &at, what, may);
}

bool wf_tree(struct wf_reader *r, const struct doc_node *n, const char *what, unsigned may)
{
	bool good = true;

	if (n->kind == DOC_MAP)
		for (size_t i = 0; i < n->map.n; i++) {
			const struct doc_pair *p = &n->map.pairs[i];

			good = (wf_is_insert(p->key) || check_key(r, p, what, may)) && good;
			good = wf_tree(r, p->value, what, may) && good;
		}
	else if (n->kind == DOC_SEQ)
		for (size_t i = 0; i < n->seq.n; i++)
			good = wf_tree(r, n->seq.items[i], what, may) && good;
	else
		good = check_text(r, n, what, may);
	return good;
}

void wf_pairs_read(struct wf_reader *r, const struct doc_node *n, const char *what, unsigned may, bool whole, struct wf_pairs *ret)
{
	if (!n || n->kind == DOC_NULL)
		return;
	if (whole && wf_is_expression(n)) {
		ret->whole = wf_whole(r, n, what, may);
		return;
	}
	if (!wf_map(r, n, what, NULL, NULL))
		return;
	if (n->map.n > LIMIT_WORKFLOW_PAIRS) {
		doc_error(r->c, n, "%s has %zu entries, more than %d", what, n->map.n, LIMIT_WORKFLOW_PAIRS);
		return;
	}
	ret->v = ARENA_ARRAY(r->a, n->map.n, struct wf_pair);
	for (size_t i = 0; ret->v && i < n->map.n; i++) {
		const struct doc_pair *p = &n->map.pairs[i];

		if (str_contains(p->key, STR("${{")))
			doc_error_at(r->c, p->line, p->col, "an expression as a key of %s is not obeyed by weir yet", what);
		else if (p->key.len == 0 || memchr(p->key.ptr, 0, p->key.len))
			doc_error_at(r->c, p->line, p->col, "a key of %s must be a plain name", what);
		else if (wf_scalar(r, p->value, what, may))
			ret->v[ret->n++] = (struct wf_pair){ p->key, p->value };
	}
}

void wf_strings(struct wf_reader *r, const struct doc_node *n, const char *what, str **ret, size_t *ret_n)
{
	size_t count = n->kind == DOC_SEQ ? n->seq.n : 1;

	*ret_n = 0;
	*ret = ARENA_ARRAY(r->a, count, str);
	for (size_t i = 0; *ret && i < count; i++) {
		const struct doc_node *item = n->kind == DOC_SEQ ? n->seq.items[i] : n;
		str                    s = wf_literal(r, item, what);

		if (s.len)
			(*ret)[(*ret_n)++] = s;
		else if (is_scalar(item))
			doc_error(r->c, item, "%s must not be empty", what);
	}
}

bool wf_identifier(str id)
{
	if (id.len == 0 || id.len >= 100)
		return false;
	for (size_t i = 0; i < id.len; i++) {
		char c = id.ptr[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';

		if (!letter && (i == 0 || !((c >= '0' && c <= '9') || c == '-')))
			return false;
	}
	return true;
}
