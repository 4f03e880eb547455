/* cel-node.c - makes the nodes of a tree, for the parser and for macros, within the limits on nodes and depth.
 *
 * A maker whose child is NULL gives NULL: the failure that made the child NULL is the one reported. Runs on the parsing thread.
 */
#include "base/base.h"
#include "lang/cel/cel-parse.h"

#include <stdarg.h>

enum { MESSAGE_MAX = 4096 };

static int set_problem(struct cel_expander *x, int code, uint32_t line, uint32_t col, struct err *reterr, const char *fmt,
					   va_list ap)
{
	struct buf what CLEANUP_BUF = BUF_INIT(MESSAGE_MAX), out CLEANUP_BUF = BUF_INIT(MESSAGE_MAX);

	buf_addv(&what, fmt, ap);
	cel_caret(&out, x->file, x->text, line, col, buf_z(&what));
	return err_set(reterr, code, "%s", buf_z(&out));
}

void *cel_x_fail(struct cel_expander *x, int code, uint32_t line, uint32_t col, const char *fmt, ...)
{
	va_list ap;

	if (x->failed)
		return NULL;
	va_start(ap, fmt);
	x->failed = set_problem(x, code, line, col, x->reterr, fmt, ap);
	va_end(ap);
	return NULL;
}

void *cel_x_no_memory(struct cel_expander *x)
{
	return cel_x_fail(x, WEIR_ELIMIT, x->token.line, x->token.col, "the expression needs more than %zu bytes of memory",
					  x->arena->max);
}

int cel_x_error(struct cel_expander *x, const struct cel_expr *at, struct err *reterr, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = set_problem(x, WEIR_EPARSE, at->line, at->col, reterr, fmt, ap);
	va_end(ap);
	return r;
}

struct cel_expr *cel_x_new(struct cel_expander *x, enum cel_expr_kind kind, uint32_t line, uint32_t col)
{
	struct cel_expr *e;
	size_t max = cel_env_limits(x->env)->nodes_max;

	if (x->n_ids > max)
		return cel_x_fail(x, WEIR_ELIMIT, line, col, "the expression has more than %zu nodes after its macros are expanded", max);
	e = ARENA_NEW(x->arena, struct cel_expr);
	if (!e)
		return cel_x_no_memory(x);
	e->kind = kind;
	e->line = line;
	e->col = col;
	e->id = x->n_ids++;
	e->height = 1;
	return e;
}

/* --- height --- */

static void below(uint32_t *h, const struct cel_expr *child)
{
	if (child && child->height > *h)
		*h = child->height;
}

static uint32_t entries_height(const struct cel_expr *e)
{
	uint32_t h = 0;

	for (size_t i = 0; i < e->map.n; i++) {
		below(&h, e->map.entries[i].key);
		below(&h, e->map.entries[i].value);
	}
	return h;
}

static uint32_t children_height(const struct cel_expr *e)
{
	uint32_t h = 0;

	switch (e->kind) {
	case CEL_X_CONST:
	case CEL_X_IDENT: break;
	case CEL_X_SELECT: below(&h, e->select.operand); break;
	case CEL_X_CALL:
		below(&h, e->call.target);
		for (size_t i = 0; i < e->call.n; i++)
			below(&h, e->call.args[i]);
		break;
	case CEL_X_LIST:
		for (size_t i = 0; i < e->list.n; i++)
			below(&h, e->list.items[i]);
		break;
	case CEL_X_MAP:
	case CEL_X_STRUCT: return entries_height(e);
	case CEL_X_FOLD:
		below(&h, e->fold->range);
		below(&h, e->fold->init);
		below(&h, e->fold->condition);
		below(&h, e->fold->step);
		below(&h, e->fold->result);
		break;
	}
	return h;
}

struct cel_expr *cel_x_done(struct cel_expander *x, struct cel_expr *e)
{
	size_t max = cel_env_limits(x->env)->depth_max;

	e->height = 1 + children_height(e);
	if (e->height > max)
		return cel_x_fail(x, WEIR_ELIMIT, e->line, e->col, "the expression is nested deeper than %zu levels", max);
	return e;
}

struct cel_expr *cel_x_calln(struct cel_expander *x, struct cel_expr *target, str function, struct cel_expr **args, size_t n,
							 uint32_t line, uint32_t col)
{
	struct cel_expr *e = cel_x_new(x, CEL_X_CALL, line, col);

	if (!e)
		return NULL;
	e->call.function = function;
	e->call.target = target;
	e->call.args = args;
	e->call.n = n;
	return cel_x_done(x, e);
}

bool cel_qualified_name(const struct cel_expr *e, struct buf *out)
{
	if (e->kind == CEL_X_IDENT) {
		buf_add_str(out, e->ident.name);
		return !out->failed;
	}
	if (e->kind != CEL_X_SELECT || e->select.test_only || !cel_qualified_name(e->select.operand, out))
		return false;
	buf_addc(out, '.');
	buf_add_str(out, e->select.field);
	return !out->failed;
}

/* --- for macros --- */

struct cel_expr *cel_x_const(struct cel_expander *x, struct cel_value v)
{
	struct cel_expr *e = cel_x_new(x, CEL_X_CONST, x->line, x->col);

	if (e)
		e->constant = v;
	return e;
}

struct cel_expr *cel_x_ident(struct cel_expander *x, str name)
{
	struct cel_expr *e = cel_x_new(x, CEL_X_IDENT, x->line, x->col);

	if (e)
		e->ident.name = name;
	return e;
}

/* The variable arguments as an array of the arena; NULL when one of them is NULL or memory ran out. */
static struct cel_expr **take_args(struct cel_expander *x, size_t n, va_list ap)
{
	struct cel_expr **args = ARENA_ARRAY(x->arena, n + 1, struct cel_expr *);

	for (size_t i = 0; args && i < n; i++) {
		args[i] = va_arg(ap, struct cel_expr *);
		if (!args[i])
			return NULL;
	}
	if (!args)
		return cel_x_no_memory(x);
	return args;
}

struct cel_expr *cel_x_call(struct cel_expander *x, const char *function, size_t n, ...)
{
	struct cel_expr **args;
	va_list ap;

	va_start(ap, n);
	args = take_args(x, n, ap);
	va_end(ap);
	return args ? cel_x_calln(x, NULL, str_z(function), args, n, x->line, x->col) : NULL;
}

struct cel_expr *cel_x_member(struct cel_expander *x, struct cel_expr *target, const char *function, size_t n, ...)
{
	struct cel_expr **args;
	va_list ap;

	va_start(ap, n);
	args = take_args(x, n, ap);
	va_end(ap);
	return args && target ? cel_x_calln(x, target, str_z(function), args, n, x->line, x->col) : NULL;
}

struct cel_expr *cel_x_list(struct cel_expander *x, size_t n, ...)
{
	struct cel_expr **items;
	struct cel_expr *e;
	va_list ap;

	va_start(ap, n);
	items = take_args(x, n, ap);
	va_end(ap);
	e = items ? cel_x_new(x, CEL_X_LIST, x->line, x->col) : NULL;
	if (!e)
		return NULL;
	e->list.items = items;
	e->list.n = n;
	return cel_x_done(x, e);
}

struct cel_expr *cel_x_map(struct cel_expander *x)
{
	return cel_x_new(x, CEL_X_MAP, x->line, x->col);
}

struct cel_expr *cel_x_select(struct cel_expander *x, struct cel_expr *operand, str field, bool test_only)
{
	struct cel_expr *e = operand ? cel_x_new(x, CEL_X_SELECT, x->line, x->col) : NULL;

	if (!e)
		return NULL;
	e->select.operand = operand;
	e->select.field = field;
	e->select.test_only = test_only;
	return cel_x_done(x, e);
}

struct cel_expr *cel_x_fold(struct cel_expander *x, const struct cel_fold *f)
{
	bool whole = f->range && f->init && f->condition && f->step && f->result;
	struct cel_expr *e = whole ? cel_x_new(x, CEL_X_FOLD, x->line, x->col) : NULL;

	if (!e)
		return NULL;
	e->fold = ARENA_NEW(x->arena, struct cel_fold);
	if (!e->fold)
		return cel_x_no_memory(x);
	*e->fold = *f;
	return cel_x_done(x, e);
}

/* --- copies --- */

static struct cel_expr **copy_all(struct cel_expander *x, struct cel_expr *const *v, size_t n)
{
	struct cel_expr **copy = ARENA_ARRAY(x->arena, n + 1, struct cel_expr *);

	for (size_t i = 0; copy && i < n; i++)
		if (!(copy[i] = cel_x_copy(x, v[i])))
			return NULL;
	return copy;
}

static bool copy_entries(struct cel_expander *x, struct cel_expr *to)
{
	struct cel_entry *copy = ARENA_ARRAY(x->arena, to->map.n + 1, struct cel_entry);

	for (size_t i = 0; copy && i < to->map.n; i++) {
		copy[i] = to->map.entries[i];
		copy[i].value = cel_x_copy(x, copy[i].value);
		if (copy[i].key)
			copy[i].key = cel_x_copy(x, copy[i].key);
		if (x->failed)
			return false;
	}
	to->map.entries = copy;
	return copy != NULL;
}

static bool copy_fold(struct cel_expander *x, struct cel_expr *to)
{
	struct cel_fold *f = ARENA_NEW(x->arena, struct cel_fold);

	if (!f)
		return false;
	*f = *to->fold;
	f->range = cel_x_copy(x, f->range);
	f->init = cel_x_copy(x, f->init);
	f->condition = cel_x_copy(x, f->condition);
	f->step = cel_x_copy(x, f->step);
	f->result = cel_x_copy(x, f->result);
	to->fold = f;
	return !x->failed;
}

/* `to` is a flat copy: gives it children of its own. */
static bool copy_children(struct cel_expander *x, struct cel_expr *to)
{
	switch (to->kind) {
	case CEL_X_CONST:
	case CEL_X_IDENT: return true;
	case CEL_X_SELECT: return (to->select.operand = cel_x_copy(x, to->select.operand)) != NULL;
	case CEL_X_CALL:
		if (to->call.target && !(to->call.target = cel_x_copy(x, to->call.target)))
			return false;
		return (to->call.args = copy_all(x, to->call.args, to->call.n)) != NULL;
	case CEL_X_LIST: return (to->list.items = copy_all(x, to->list.items, to->list.n)) != NULL;
	case CEL_X_MAP:
	case CEL_X_STRUCT: return copy_entries(x, to);
	case CEL_X_FOLD: return copy_fold(x, to);
	}
	return false;
}

struct cel_expr *cel_x_copy(struct cel_expander *x, const struct cel_expr *e)
{
	struct cel_expr *to = x->failed || !e ? NULL : cel_x_new(x, e->kind, e->line, e->col);
	uint32_t id;

	if (!to)
		return NULL;
	id = to->id;
	*to = *e;
	to->id = id;
	if (copy_children(x, to))
		return to;
	return cel_x_no_memory(x);
}
