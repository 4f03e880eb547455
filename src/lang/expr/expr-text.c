/* expr-text.c - texts with ${{ }} parts, and the `if` of jobs and steps.
 *
 * Pure but for the embedder's ops; any thread. A `}}` inside an expression's quoted text does not end the part. */
#include "lang/expr/expr-internal.h"

struct part {
	struct part *next;
	str plain; /* when e is NULL */
	struct expr *e;
	size_t offset; /* of the expression's text in the whole text */
};
struct expr_text {
	struct part *first, *last;
	bool plain;
};

static MUST_CHECK int no_memory(struct arena *a, struct err *reterr)
{
	int r = arena_check(a, "text with expressions", reterr);

	return r ? r : err_set(reterr, WEIR_ENOMEM, "text with expressions: out of memory");
}

static struct part *part_add(struct arena *a, struct expr_text *t)
{
	struct part *p = ARENA_NEW(a, struct part);

	if (!p)
		return NULL;
	if (t->last)
		t->last->next = p;
	else
		t->first = p;
	t->last = p;
	return p;
}

static size_t find(str s, const char *two, size_t from)
{
	for (size_t i = from; i + 1 < s.len; i++)
		if (s.ptr[i] == two[0] && s.ptr[i + 1] == two[1])
			return i;
	return s.len;
}

/* Index of the "${{" at or behind `from`, or the text's length. */
static size_t find_open(str s, size_t from)
{
	size_t i = find(s, "${", from);

	while (i < s.len && (i + 2 >= s.len || s.ptr[i + 2] != '{'))
		i = find(s, "${", i + 1);
	return i;
}

/* Index of the "}}" that ends the expression at `from`. */
static size_t find_close(str s, size_t from)
{
	bool quoted = false;

	for (size_t i = from; i < s.len; i++) {
		if (s.ptr[i] == '\'')
			quoted = !quoted;
		else if (!quoted && s.ptr[i] == '}' && i + 1 < s.len && s.ptr[i + 1] == '}')
			return i;
	}
	return s.len;
}

static MUST_CHECK int add_plain(struct arena *a, struct expr_text *t, str s, struct err *reterr)
{
	struct part *p;

	if (!s.len)
		return 0;
	p = part_add(a, t);
	if (p)
		p->plain = arena_str(a, s);
	return p && p->plain.ptr ? 0 : no_memory(a, reterr);
}

static MUST_CHECK int add_expr(struct arena *a, struct expr_text *t, str text, size_t from, size_t to, struct err *reterr)
{
	struct part *p = part_add(a, t);
	int r;

	if (!p)
		return no_memory(a, reterr);
	p->offset = from;
	r = expr_parse(a, str_sub(text, from, to - from), &p->e, reterr);
	if (!r && !p->e->root)
		r = err_set(reterr, WEIR_EPARSE, "An expression was expected between ${{ and }} at character %zu", from + 1);
	t->plain = false;
	return r;
}

int expr_text_parse(struct arena *a, str text, struct expr_text **ret, struct err *reterr)
{
	struct expr_text *t = ARENA_NEW(a, struct expr_text);
	size_t at = 0;
	int r;

	if (!t)
		return no_memory(a, reterr);
	t->plain = true;
	for (;;) {
		size_t open = find_open(text, at), close = find_close(text, open + 3);

		r = add_plain(a, t, str_sub(text, at, open - at), reterr);
		if (r || open >= text.len)
			break;
		if (close >= text.len)
			return err_set(reterr, WEIR_EPARSE, "The expression is not closed: ${{ at character %zu has no }}", open + 1);
		r = add_expr(a, t, text, open + 3, close, reterr);
		if (r)
			break;
		at = close + 2;
	}
	if (r)
		return r;
	*ret = t;
	return 0;
}

bool expr_text_is_plain(const struct expr_text *t)
{
	return t->plain;
}

void expr_text_each(const struct expr_text *t, void (*fn)(void *ctx, const struct expr *e, size_t offset), void *ctx)
{
	for (const struct part *p = t->first; p; p = p->next)
		if (p->e)
			fn(ctx, p->e, p->offset);
}

int expr_text_eval(struct arena *a, const struct expr_text *t, const struct expr_env *env, const struct expr_value **ret,
				   struct err *reterr)
{
	struct buf out CLEANUP_BUF = BUF_INIT(a->max);
	int r;

	if (t->first && t->first->e && !t->first->next)
		return expr_eval(a, t->first->e, env, ret, reterr);
	for (const struct part *p = t->first; p; p = p->next) {
		const struct expr_value *v = NULL;

		if (!p->e) {
			buf_add_str(&out, p->plain);
			continue;
		}
		r = expr_eval(a, p->e, env, &v, reterr);
		if (r)
			return r;
		buf_add_str(&out, expr_to_string(a, v));
	}
	r = buf_check(&out, "text with expressions", reterr);
	if (r)
		return r;
	*ret = expr_string(a, buf_str(&out));
	return *ret ? 0 : no_memory(a, reterr);
}

/* --- if --- */

static bool uses_status(const struct expr_text *t)
{
	for (const struct part *p = t->first; p; p = p->next)
		if (p->e && expr_uses_status(p->e))
			return true;
	return false;
}

int expr_if_eval(struct arena *a, str text, const struct expr_env *env, bool *ret, struct err *reterr)
{
	const struct expr_value *v = &expr_true; /* an empty condition stands for success() */
	struct expr_text *t;
	int r = expr_text_parse(a, text, &t, reterr);

	if (!r && t->plain && str_trim(text).len) {
		struct expr *e;

		r = expr_parse(a, text, &e, reterr);
		if (!r && e->root) {
			t->first->e = e;
			t->plain = false;
		}
	}
	if (r)
		return r;
	if (!uses_status(t) && env->ops && env->ops->success && !env->ops->success(env->ops->ctx)) {
		for (const struct part *p = t->first; p && !r; p = p->next) /* skipped, but its names must be right */
			r = p->e ? expr_check(p->e, env, reterr) : 0;
		*ret = false;
		return r;
	}
	if (!t->plain)
		r = expr_text_eval(a, t, env, &v, reterr);
	if (!r)
		*ret = expr_truthy(v);
	return r;
}
