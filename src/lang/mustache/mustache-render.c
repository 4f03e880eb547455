/* mustache-render.c - walks a parsed template and prints it with data.
 *
 * Pure but for the embedder's callbacks; any thread, several at once on one template. Recursion (sections, partials,
 * parents, lambdas) is limited to MUSTACHE_DEPTH_MAX, tags to steps_max, the text to out's max. */
#include "lang/mustache/mustache-internal.h"

enum { STEPS_MAX = 1000000, LAMBDA_ARENA_MAX = 16 << 20 };

struct frame { /* the stack of contexts, innermost first */
	const struct frame *up;
	const struct doc_node *data;
};
struct indent { /* white space before each line, innermost first */
	const struct indent *up;
	str blanks;
};
struct overrides { /* blocks given to the parents that are being rendered, innermost first */
	const struct overrides *up;
	const struct mustache_node *parent;
};
struct render {
	struct buf *out;
	const struct mustache_env *env;
	size_t steps;
	unsigned depth;
	bool skip_indent; /* the line that begins next has its indentation already */
	const struct indent *indent;
	const struct overrides *overrides;
	struct err *reterr;
};

static MUST_CHECK int render_list(struct render *r, const struct mustache_node *n, const struct frame *f);

static int fail_at(struct render *r, const struct mustache_node *n, int code, const char *what)
{
	return err_set(r->reterr, code, "%s:%u:%u: %s '%.*s'", n->of->name, n->line, n->col, what, STR_ARG(str_sub(n->name, 0, 100)));
}

static void add_indent(struct buf *out, const struct indent *i)
{
	if (!i)
		return;
	add_indent(out, i->up);
	buf_add_str(out, i->blanks);
}

static void begin_line(struct render *r)
{
	if (!r->skip_indent)
		add_indent(r->out, r->indent);
	r->skip_indent = false;
}

static void emit(struct render *r, str s)
{
	if (s.len)
		r->skip_indent = false;
	buf_add_str(r->out, s);
}

/* --- data --- */

/* Names with dots: the first part is searched outwards, the others only inside what it gave. NULL: not there. */
static const struct doc_node *find(const struct frame *f, str name)
{
	const struct doc_node *v = NULL;
	str part;

	if (str_eqz(name, "."))
		return f->data;
	str_cut(name, '.', &part, &name);
	for (; f && !v; f = f->up)
		if (f->data && f->data->kind == DOC_MAP)
			v = doc_get_n(f->data, part);
	while (v && name.len) {
		str_cut(name, '.', &part, &name);
		v = v->kind == DOC_MAP ? doc_get_n(v, part) : NULL;
	}
	return v;
}

static bool is_true(const struct doc_node *v)
{
	switch (v ? v->kind : DOC_NULL) {
	case DOC_NULL:
	case DOC_NONE: return false;
	case DOC_BOOL: return v->b;
	case DOC_SEQ: return v->seq.n > 0;
	case DOC_STR: return v->s.len > 0;
	default: return true;
	}
}

static void add_value(struct buf *out, const struct doc_node *v)
{
	struct jw w;

	switch (v ? v->kind : DOC_NULL) {
	case DOC_BOOL: buf_addz(out, v->b ? "true" : "false"); return;
	case DOC_STR: buf_add_str(out, v->s); return;
	case DOC_INT: buf_addf(out, "%lld", (long long)v->i); return;
	case DOC_REAL:
		jw_init(&w, out);
		jw_num(&w, v->d);
		return;
	case DOC_SEQ: /* as JSON: better than an address or nothing */
	case DOC_MAP:
		jw_init(&w, out);
		jw_node(&w, v);
		return;
	default: return;
	}
}

/* Numbers and truth values are safe everywhere, and must stay what they are (YAML would make them texts). */
static bool is_plain(const struct doc_node *v)
{
	return v && (v->kind == DOC_INT || v->kind == DOC_REAL || v->kind == DOC_BOOL);
}

/* --- lambdas --- */

static MUST_CHECK int ask_lambda(struct render *r, const struct doc_node *v, str raw, struct buf *out, bool *ret)
{
	*ret = false;
	return v && r->env->lambda ? r->env->lambda(r->env->ctx, v, raw, out, ret, r->reterr) : 0;
}

/* Renders what a lambda gave back, a template in these delimiters. */
static MUST_CHECK int render_given(struct render *r, const struct mustache_node *n, str text, str open, str close,
								   const struct frame *f)
{
	struct arena a CLEANUP_ARENA = ARENA_INIT(LAMBDA_ARENA_MAX);
	struct mustache *t;
	int e = mustache_parse_with(&a, n->of->name, text, open, close, &t, r->reterr);

	if (e) {
		fail_at(r, n, -e, "the lambda gave a template that cannot be parsed:");
		return e;
	}
	return render_list(r, t->first, f);
}

/* --- tags --- */

static MUST_CHECK int render_variable(struct render *r, const struct mustache_node *n, const struct frame *f)
{
	struct buf text CLEANUP_BUF = BUF_INIT(r->out->max), given CLEANUP_BUF = BUF_INIT(r->out->max);
	const struct doc_node *v = find(f, n->name);
	bool lambda;
	int e = ask_lambda(r, v, STR(""), &given, &lambda);

	if (n->at_bol)
		begin_line(r);
	if (e)
		return e;
	if (!v && r->env->strict)
		return fail_at(r, n, WEIR_EINVAL, "nothing gives a value for");
	if (lambda) {
		struct buf *out = r->out;

		r->out = &text;
		e = render_given(r, n, buf_str(&given), STR("{{"), STR("}}"), f);
		r->out = out;
	} else {
		add_value(&text, v);
	}
	if (e)
		return e;
	if (text.failed || given.failed)
		return buf_check(text.failed ? &text : &given, "rendered value", r->reterr);
	if (text.len)
		r->skip_indent = false;
	mustache_escape_add(r->out, buf_str(&text),
						n->kind == MUSTACHE_RAW || (!lambda && is_plain(v)) ? MUSTACHE_NONE : r->env->escape);
	return 0;
}

static MUST_CHECK int render_in(struct render *r, const struct mustache_node *n, const struct frame *up,
								const struct doc_node *data)
{
	struct frame f = { .up = up, .data = data };

	return render_list(r, n->first, &f);
}

static MUST_CHECK int render_section(struct render *r, const struct mustache_node *n, const struct frame *f)
{
	struct buf given CLEANUP_BUF = BUF_INIT(r->out->max);
	const struct doc_node *v = find(f, n->name);
	bool lambda;
	int e = ask_lambda(r, v, n->text, n->kind == MUSTACHE_SECTION ? &given : NULL, &lambda);

	if (n->at_bol)
		begin_line(r);
	if (e)
		return e;
	if (n->kind == MUSTACHE_INVERTED)
		return lambda || is_true(v) ? 0 : render_list(r, n->first, f);
	if (lambda)
		return given.failed ? buf_check(&given, "text of a lambda", r->reterr)
							: render_given(r, n, buf_str(&given), n->open, n->close, f);
	if (!is_true(v))
		return 0;
	if (v->kind != DOC_SEQ)
		return render_in(r, n, f, v);
	for (size_t i = 0; i < v->seq.n && !e; i++)
		e = render_in(r, n, f, v->seq.items[i]);
	return e;
}

/* The template of a partial or parent tag, NULL when there is none. */
static const struct mustache *template_of(struct render *r, const struct mustache_node *n, const struct frame *f)
{
	str name = n->name;

	if (n->dynamic) {
		const struct doc_node *v = find(f, n->name);

		name = v && v->kind == DOC_STR ? v->s : STR_NULL;
	}
	return name.len && r->env->partial ? r->env->partial(r->env->ctx, name) : NULL;
}

/* Renders a list whose lines get `blanks` more than those around it; `inside`: it begins in the middle of a line. */
static MUST_CHECK int render_indented(struct render *r, const struct mustache_node *list, const struct frame *f,
									  const struct indent *up, str blanks, bool inside)
{
	const struct indent *before = r->indent;
	struct indent i = { .up = up, .blanks = blanks };
	int e;

	r->indent = &i;
	r->skip_indent = inside;
	e = render_list(r, list, f);
	r->indent = before;
	r->skip_indent = false;
	return e;
}

static MUST_CHECK int render_partial(struct render *r, const struct mustache_node *n, const struct frame *f)
{
	const struct mustache *t = template_of(r, n, f);

	if (n->at_bol)
		begin_line(r);
	if (!t)
		return 0;
	return render_indented(r, t->first, f, n->alone ? r->indent : NULL, n->alone ? n->lead : STR(""), !n->alone);
}

static MUST_CHECK int render_parent(struct render *r, const struct mustache_node *n, const struct frame *f)
{
	const struct mustache *t = template_of(r, n, f);
	const struct overrides *before = r->overrides;
	struct overrides o = { .up = before, .parent = n };
	int e = 0;

	if (n->at_bol && !n->alone) {
		begin_line(r);
		emit(r, n->lead);
	}
	if (!t)
		return 0;
	r->overrides = &o;
	e = render_indented(r, t->first, f, n->alone ? r->indent : NULL, n->alone ? n->lead : STR(""), !n->alone);
	r->overrides = before;
	return e;
}

/* The block that the outermost parent tag gives for this name: what is farthest from the root of inheritance wins. */
static const struct mustache_node *find_override(const struct overrides *o, str name, const struct overrides **ret)
{
	const struct mustache_node *found = NULL;

	for (; o; o = o->up) {
		for (const struct mustache_node *n = o->parent->first; n; n = n->next) {
			if (n->kind == MUSTACHE_BLOCK && str_eq(n->name, name)) {
				found = n;
				*ret = o;
				break;
			}
		}
	}
	return found;
}

static MUST_CHECK int render_block(struct render *r, const struct mustache_node *n, const struct frame *f)
{
	const struct overrides *before = r->overrides, *at = NULL;
	const struct mustache_node *given = find_override(before, n->name, &at);
	bool skip = r->skip_indent;
	int e;

	if (n->at_bol)
		begin_line(r);
	if (!given)
		return render_list(r, n->first, f);
	/* A block that stands alone prints its indentation even when what is given does not begin a line. */
	if (n->alone && given->first) {
		if (!skip)
			add_indent(r->out, r->indent);
		buf_add_str(r->out, n->lead);
	}
	r->overrides = at->up; /* names in what is given mean what they mean where it was written */
	e = render_indented(r, given->first, f, r->indent, n->lead, true);
	r->overrides = before;
	return e;
}

static MUST_CHECK int render_node(struct render *r, const struct mustache_node *n, const struct frame *f)
{
	switch (n->kind) {
	case MUSTACHE_TEXT:
		if (n->at_bol)
			begin_line(r);
		emit(r, n->text);
		return 0;
	case MUSTACHE_VAR:
	case MUSTACHE_RAW: return render_variable(r, n, f);
	case MUSTACHE_SECTION:
	case MUSTACHE_INVERTED: return render_section(r, n, f);
	case MUSTACHE_PARTIAL: return render_partial(r, n, f);
	case MUSTACHE_PARENT: return render_parent(r, n, f);
	case MUSTACHE_BLOCK: return render_block(r, n, f);
	}
	return 0;
}

static int render_list(struct render *r, const struct mustache_node *n, const struct frame *f)
{
	int e = 0;

	r->depth++;
	for (; n && !e; n = n->next) {
		bool tag = n->kind != MUSTACHE_TEXT;

		if (tag && r->depth > MUSTACHE_DEPTH_MAX)
			return fail_at(r, n, WEIR_ELIMIT, "sections, partials and lambdas nest too deep here:");
		if (tag && r->steps-- == 0)
			return fail_at(r, n, WEIR_ELIMIT, "the template renders more tags than allowed, here:");
		e = render_node(r, n, f);
		if (!e && r->out->failed)
			e = buf_check(r->out, "rendered text", r->reterr);
	}
	r->depth--;
	return e;
}

int mustache_render(const struct mustache *t, const struct doc_node *data, const struct mustache_env *env, struct buf *out,
					struct err *reterr)
{
	struct render r = { .out = out, .env = env, .steps = env->steps_max ? env->steps_max : STEPS_MAX, .reterr = reterr };
	struct frame f = { .data = data };

	return render_list(&r, t->first, &f);
}
