/* mustache-parse.c - template text to a tree, in one pass with an explicit stack of open sections.
 *
 * Guarantees that every tag is closed, that closing tags match, and that nesting stays under MUSTACHE_DEPTH_MAX, so that
 * the renderer may recurse. Pure; any thread.
 *
 * White space: a line that holds nothing but one tag which prints nothing by itself disappears. Text is split into lines,
 * and what begins a line is marked, because partials, parents and blocks add indentation there. Blocks given to a parent
 * lose the indentation of their first line here; they get that of the place where they are put when rendered. */
#include "lang/mustache/mustache-internal.h"

struct open_node { /* an open section, parent or block; the outermost is the template */
	struct open_node *below;
	struct mustache_node *node;
	size_t content_from;
};
struct tag {
	char sigil; /* 0: a variable */
	str body;   /* trimmed, behind the sigil */
	size_t from, to;
	size_t line_from; /* where the white space before it begins, when `first` */
	size_t line_to;   /* behind the newline after it, when `last` */
	bool first, last; /* nothing but blanks before it / behind it on its line */
	uint32_t line, col;
};
struct parser {
	struct arena *arena;
	struct mustache *t;
	str text, open, close;
	size_t pos;     /* everything before is in the tree */
	size_t counted; /* line and col belong to this index */
	uint32_t line, col;
	struct open_node *stack;
	unsigned depth;
	struct err *reterr;
};

static int fail(struct parser *p, const struct tag *t, const char *what, str name)
{
	return err_set(p->reterr, WEIR_EPARSE, "%s:%u:%u: %s '%.*s'", p->t->name, t->line, t->col, what,
				   STR_ARG(str_sub(name, 0, 100)));
}

static int no_memory(struct parser *p)
{
	int r = arena_check(p->arena, "template", p->reterr);

	return r ? r : err_set(p->reterr, WEIR_ENOMEM, "template: out of memory");
}

static size_t find(str s, str what, size_t from)
{
	const char *at = from <= s.len ? memmem(s.ptr + from, s.len - from, what.ptr, what.len) : NULL;

	return at ? (size_t)(at - s.ptr) : s.len;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool at_line_start(const struct parser *p, size_t i)
{
	return !i || p->text.ptr[i - 1] == '\n';
}

static bool in_parent(const struct parser *p)
{
	return p->stack->node && p->stack->node->kind == MUSTACHE_PARENT;
}

/* --- adding nodes --- */

static struct mustache_node *node_add(struct parser *p, enum mustache_kind kind, const struct tag *at)
{
	struct mustache_node *n = ARENA_NEW(p->arena, struct mustache_node), *up = p->stack->node;
	struct mustache_node **first = up ? &up->first : &p->t->first, **last = up ? &up->last : &p->t->last;

	if (!n)
		return NULL;
	n->kind = kind;
	n->of = p->t;
	if (at) {
		n->line = at->line;
		n->col = at->col;
		n->name = at->body;
	}
	if (*last)
		(*last)->next = n;
	else
		*first = n;
	*last = n;
	return n;
}

/* Adds the text from p->pos to `to`, one node per line. Inside a parent text says nothing. */
static MUST_CHECK int add_text(struct parser *p, size_t to)
{
	while (p->pos < to && !in_parent(p)) {
		size_t end = find(p->text, STR("\n"), p->pos) + 1;
		struct mustache_node *n = node_add(p, MUSTACHE_TEXT, NULL);

		if (!n)
			return no_memory(p);
		end = end < to ? end : to;
		n->text = str_sub(p->text, p->pos, end - p->pos);
		n->at_bol = at_line_start(p, p->pos);
		p->pos = end;
	}
	p->pos = to;
	return 0;
}

/* Adds the text before the tag and moves behind it; when `alone` the rest of its line goes with it. */
static MUST_CHECK int add_before(struct parser *p, const struct tag *t, bool alone)
{
	int r = add_text(p, alone ? t->line_from : t->from);

	p->pos = alone ? t->line_to : t->to;
	return r;
}

static MUST_CHECK int push(struct parser *p, struct mustache_node *n, const struct tag *t)
{
	struct open_node *o = ARENA_NEW(p->arena, struct open_node);

	if (!o)
		return no_memory(p);
	if (++p->depth > MUSTACHE_DEPTH_MAX)
		return err_set(p->reterr, WEIR_ELIMIT, "%s:%u:%u: sections nest deeper than %d", p->t->name, t->line, t->col,
					   MUSTACHE_DEPTH_MAX);
	*o = (struct open_node){ .below = p->stack, .node = n, .content_from = t->to };
	p->stack = o;
	return 0;
}

/* --- indentation of blocks --- */

static str blanks_of(str s)
{
	size_t n = 0;

	while (n < s.len && is_blank(s.ptr[n]))
		n++;
	return str_sub(s, 0, n);
}

/* The white space that begins the first line of a list of nodes. */
static str first_indent(const struct mustache_node *n)
{
	while (n && (n->kind == MUSTACHE_SECTION || n->kind == MUSTACHE_INVERTED) && !n->at_bol && n->first)
		n = n->first;
	if (!n)
		return STR("");
	if (n->kind == MUSTACHE_TEXT)
		return n->at_bol ? blanks_of(n->text) : STR("");
	return n->kind == MUSTACHE_PARTIAL || n->kind == MUSTACHE_PARENT || (n->kind == MUSTACHE_BLOCK && n->alone) ? n->lead
																												: STR("");
}

static void cut_indent(str *s, str indent)
{
	size_t n = 0;

	while (n < indent.len && n < s->len && is_blank(s->ptr[n]))
		n++;
	*s = str_sub(*s, n, s->len);
}

/* Takes `indent` away from the beginning of each line. Blocks inside a parent have been through this already. */
static void outdent(struct mustache_node *n, str indent)
{
	for (; n && indent.len; n = n->next) {
		if (n->kind == MUSTACHE_TEXT && n->at_bol)
			cut_indent(&n->text, indent);
		else if (n->kind != MUSTACHE_TEXT)
			cut_indent(&n->lead, indent);
		if (n->kind != MUSTACHE_PARENT)
			outdent(n->first, indent);
	}
}

/* --- tags --- */

static MUST_CHECK int take_variable(struct parser *p, const struct tag *t, enum mustache_kind kind)
{
	struct mustache_node *n;
	int r = add_before(p, t, false);

	if (r)
		return r;
	n = node_add(p, kind, t);
	if (!n)
		return no_memory(p);
	n->at_bol = at_line_start(p, t->from);
	return 0;
}

static MUST_CHECK int take_section(struct parser *p, const struct tag *t, enum mustache_kind kind)
{
	bool alone = t->first && t->last;
	struct mustache_node *n;
	int r = add_before(p, t, alone);

	if (r)
		return r;
	n = node_add(p, kind, t);
	if (!n)
		return no_memory(p);
	n->at_bol = !alone && at_line_start(p, t->from);
	n->open = p->open;
	n->close = p->close;
	return push(p, n, t);
}

/* "*name" is a name that stands in the data. */
static void set_dynamic(struct mustache_node *n)
{
	if (n->name.len > 1 && n->name.ptr[0] == '*') {
		n->dynamic = true;
		n->name = str_trim(str_sub(n->name, 1, n->name.len));
	}
}

static MUST_CHECK int take_partial(struct parser *p, const struct tag *t)
{
	bool alone = t->first && t->last;
	struct mustache_node *n;
	int r = add_before(p, t, alone);

	if (r)
		return r;
	n = node_add(p, MUSTACHE_PARTIAL, t);
	if (!n)
		return no_memory(p);
	set_dynamic(n);
	n->alone = alone;
	n->at_bol = !alone && at_line_start(p, t->from);
	if (alone)
		n->lead = str_sub(p->text, t->line_from, t->from - t->line_from);
	return 0;
}

/* Whether a parent stands alone shows when it is closed; until then its white space waits in `lead`. */
static MUST_CHECK int take_parent(struct parser *p, const struct tag *t)
{
	struct mustache_node *n;
	int r = add_text(p, t->first ? t->line_from : t->from);

	if (r)
		return r;
	p->pos = t->to;
	n = node_add(p, MUSTACHE_PARENT, t);
	if (!n)
		return no_memory(p);
	n->text = n->name; /* the closing tag repeats the star of a dynamic name */
	set_dynamic(n);
	n->alone = n->at_bol = t->first;
	n->lead = t->first ? str_sub(p->text, t->line_from, t->from - t->line_from) : STR("");
	return push(p, n, t);
}

/* A block in a parent's body has only silent things before it on its line. */
static MUST_CHECK int take_block(struct parser *p, const struct tag *t)
{
	bool alone = t->last && (t->first || in_parent(p));
	struct mustache_node *n;
	int r = add_text(p, alone && t->first ? t->line_from : t->from);

	if (r)
		return r;
	p->pos = alone ? t->line_to : t->to;
	n = node_add(p, MUSTACHE_BLOCK, t);
	if (!n)
		return no_memory(p);
	n->alone = alone;
	n->at_bol = !alone && at_line_start(p, t->from);
	n->lead = t->first ? str_sub(p->text, t->line_from, t->from - t->line_from) : STR("");
	return push(p, n, t);
}

static MUST_CHECK int close_parent(struct parser *p, struct mustache_node *n, const struct tag *t)
{
	n->alone = n->alone && t->last;
	p->pos = n->alone ? t->line_to : t->to;
	return 0;
}

static MUST_CHECK int close_block(struct parser *p, struct mustache_node *n, const struct tag *t, bool for_parent)
{
	bool alone = t->first && (t->last || for_parent);
	int r = add_text(p, alone ? t->line_from : t->from);

	p->pos = alone && t->last ? t->line_to : t->to;
	if (n->alone && n->first)
		n->lead = first_indent(n->first);
	if (for_parent && n->alone && n->first)
		outdent(n->first, n->lead);
	return r;
}

static MUST_CHECK int take_close(struct parser *p, const struct tag *t)
{
	struct open_node *o = p->stack;
	struct mustache_node *n = o->node;
	int r;

	if (!n)
		return fail(p, t, "nothing is open that this closes:", t->body);
	if (!str_eq(n->kind == MUSTACHE_PARENT ? n->text : n->name, t->body))
		return err_set(p->reterr, WEIR_EPARSE, "%s:%u:%u: '%.*s' closes, but '%.*s' of line %u is open", p->t->name, t->line,
					   t->col, STR_ARG(str_sub(t->body, 0, 100)), STR_ARG(str_sub(n->name, 0, 100)), n->line);
	if (n->kind == MUSTACHE_PARENT) {
		r = close_parent(p, n, t);
	} else if (n->kind == MUSTACHE_BLOCK) {
		r = close_block(p, n, t, o->below->node && o->below->node->kind == MUSTACHE_PARENT);
	} else {
		r = add_before(p, t, t->first && t->last);
		n->text = str_sub(p->text, o->content_from, t->from - o->content_from);
	}
	p->stack = o->below;
	p->depth--;
	return r;
}

static MUST_CHECK int take_delimiters(struct parser *p, const struct tag *t)
{
	size_t n = 0, m;
	int r = add_before(p, t, t->first && t->last);

	while (n < t->body.len && !strchr(" \t\r\n", t->body.ptr[n]))
		n++;
	p->open = str_sub(t->body, 0, n);
	p->close = str_trim(str_sub(t->body, n, t->body.len));
	for (m = 0; m < p->close.len && !strchr(" \t\r\n=", p->close.ptr[m]);)
		m++;
	if (!p->open.len || !p->close.len || m < p->close.len || str_find(p->open, '=') < p->open.len)
		return fail(p, t, "two delimiters were expected, like {{=<% %>=}}, not", t->body);
	return r;
}

static void count_to(struct parser *p, size_t to)
{
	for (; p->counted < to; p->counted++) {
		if (p->text.ptr[p->counted] == '\n') {
			p->line++;
			p->col = 1;
		} else {
			p->col++;
		}
	}
}

/* Fills what stands around the tag on its line. */
static void look_around(const struct parser *p, struct tag *t)
{
	size_t i = t->from, k = t->to;

	while (i && is_blank(p->text.ptr[i - 1]))
		i--;
	t->first = at_line_start(p, i);
	t->line_from = i;
	while (k < p->text.len && is_blank(p->text.ptr[k]))
		k++;
	if (k + 1 < p->text.len && p->text.ptr[k] == '\r' && p->text.ptr[k + 1] == '\n')
		k++;
	t->last = k >= p->text.len || p->text.ptr[k] == '\n';
	t->line_to = k < p->text.len ? k + 1 : k;
}

/* Reads the tag that begins at `from`. */
static MUST_CHECK int read_tag(struct parser *p, size_t from, struct tag *t)
{
	size_t at = from + p->open.len, end;
	char sigil = at < p->text.len ? p->text.ptr[at] : 0;
	char before_close = sigil == '{' ? '}' : sigil == '=' ? '=' : 0;

	*t = (struct tag){ .from = from };
	count_to(p, from);
	t->line = p->line;
	t->col = p->col;
	if (sigil && strchr("#^/><$&!{=", sigil)) {
		t->sigil = sigil;
		at++;
	}
	end = find(p->text, p->close, at);
	while (before_close && end < p->text.len && (end == at || p->text.ptr[end - 1] != before_close)) {
		if (sigil == '{' && p->text.ptr[end] == '}' && find(p->text, p->close, end + 1) == end + 1) {
			end++; /* of "}}}" the first belongs to the tag */
			continue;
		}
		end = find(p->text, p->close, end + 1);
	}
	if (end >= p->text.len)
		return fail(p, t, "tag is not closed:", str_sub(p->text, from, 30));
	t->body = str_trim(str_sub(p->text, at, end - at - (before_close ? 1 : 0)));
	t->to = end + p->close.len;
	look_around(p, t);
	return 0;
}

static MUST_CHECK int check_name(struct parser *p, const struct tag *t)
{
	if (t->sigil == '!' || t->sigil == '=')
		return 0;
	if (!t->body.len)
		return fail(p, t, "a tag needs a name:", str_sub(p->text, t->from, t->to - t->from));
	for (size_t i = 0; i < t->body.len; i++)
		if (strchr(" \t\r\n", t->body.ptr[i]) && !(i && t->body.ptr[0] == '*' && !str_trim(str_sub(t->body, 1, i)).len))
			return fail(p, t, "a name has no white space:", t->body);
	return 0;
}

static MUST_CHECK int take_tag(struct parser *p, const struct tag *t)
{
	switch (t->sigil) {
	case '#': return take_section(p, t, MUSTACHE_SECTION);
	case '^': return take_section(p, t, MUSTACHE_INVERTED);
	case '/': return take_close(p, t);
	case '>': return take_partial(p, t);
	case '<': return take_parent(p, t);
	case '$': return take_block(p, t);
	case '!': return add_before(p, t, t->first && t->last);
	case '=': return take_delimiters(p, t);
	default: return take_variable(p, t, t->sigil ? MUSTACHE_RAW : MUSTACHE_VAR);
	}
}

static MUST_CHECK int parse_all(struct parser *p)
{
	struct tag t;
	int r = 0;

	while (!r) {
		size_t from = find(p->text, p->open, p->pos);

		if (from >= p->text.len)
			break;
		r = read_tag(p, from, &t);
		if (!r)
			r = check_name(p, &t);
		if (!r)
			r = take_tag(p, &t);
	}
	if (r)
		return r;
	if (p->stack->node)
		return err_set(p->reterr, WEIR_EPARSE, "%s:%u:%u: '%.*s' is never closed", p->t->name, p->stack->node->line,
					   p->stack->node->col, STR_ARG(str_sub(p->stack->node->name, 0, 100)));
	return add_text(p, p->text.len);
}

int mustache_parse_with(struct arena *a, const char *name, str text, str open, str close, struct mustache **ret,
						struct err *reterr)
{
	struct open_node root = { .node = NULL };
	struct parser p = { .arena = a, .open = open, .close = close, .line = 1, .col = 1, .stack = &root, .reterr = reterr };
	int r;

	p.t = ARENA_NEW(a, struct mustache);
	p.text = arena_str(a, text);
	if (p.t)
		p.t->name = arena_dupz(a, name);
	if (!p.t || !p.text.ptr || !p.t->name)
		return no_memory(&p);
	r = parse_all(&p);
	if (!r)
		*ret = p.t;
	return r;
}

int mustache_parse(struct arena *a, const char *name, str text, struct mustache **ret, struct err *reterr)
{
	return mustache_parse_with(a, name, text, STR("{{"), STR("}}"), ret, reterr);
}
