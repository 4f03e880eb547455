/* cel-check-type.c - when one type stands for another: type variables, their bindings, dyn, null and wrappers.
 *
 * A binding is written into its variable and logged in a trail, so that a failed attempt can be taken back. All steps are
 * counted: types that share parts may be exponentially large when looked at as trees. One checker, one thread. */
#include "base/base.h"
#include "lang/cel/cel-check.h"

static bool assignable(struct cel_types *t, const struct cel_type *a, const struct cel_type *b);

static bool spend(struct cel_types *t)
{
	if (++t->work > CEL_TYPE_WORK_MAX)
		t->failed = true;
	return !t->failed;
}

/* --- variables --- */

static struct cel_type_var *var_of(const struct cel_type *t)
{
	return (struct cel_type_var *)(uintptr_t)t; /* the type is its first member */
}

const struct cel_type *cel_types_var(struct cel_types *t)
{
	struct cel_type_var *v = ARENA_NEW(t->arena, struct cel_type_var);
	const char *name = v ? arena_printf(t->arena, "_var%zu", t->n_vars++) : NULL;

	if (!name) {
		t->failed = true;
		return &cel_dyn;
	}
	v->type = (struct cel_type){ .kind = CEL_T_PARAM, .name = str_z(name) };
	return &v->type;
}

static void bind(struct cel_types *t, const struct cel_type *var, const struct cel_type *to)
{
	if (t->n_trail == t->cap_trail) {
		size_t cap = t->cap_trail ? t->cap_trail * 2 : 64;
		struct binding *trail = ARENA_ARRAY(t->arena, cap, struct binding);

		if (!trail) {
			t->failed = true;
			return;
		}
		if (t->n_trail)
			memcpy(trail, t->trail, t->n_trail * sizeof(*trail));
		t->trail = trail;
		t->cap_trail = cap;
	}
	t->trail[t->n_trail++] = (struct binding){ var_of(var), var_of(var)->bound };
	var_of(var)->bound = to;
}

static void undo(struct cel_types *t, size_t mark)
{
	while (t->n_trail > mark) {
		t->n_trail--;
		t->trail[t->n_trail].var->bound = t->trail[t->n_trail].old;
	}
}

static const struct cel_type *named_var(struct cel_types *t, str name, struct named_var *map, size_t *n)
{
	for (size_t i = 0; i < *n; i++)
		if (str_eq(map[i].name, name))
			return map[i].var;
	if (*n == CEL_TYPE_PARAMS_MAX)
		return &cel_dyn;
	map[*n] = (struct named_var){ name, cel_types_var(t) };
	return map[(*n)++].var;
}

const struct cel_type *cel_types_fresh(struct cel_types *t, const struct cel_type *type, struct named_var *map, size_t *n)
{
	const struct cel_type *params[CEL_TYPE_PARAMS_MAX];
	const struct cel_type *made;
	bool changed = false;

	if (type->kind == CEL_T_PARAM)
		return named_var(t, type->name, map, n);
	if (!type->n_params || type->n_params > CEL_TYPE_PARAMS_MAX || !spend(t))
		return type;
	for (size_t i = 0; i < type->n_params; i++) {
		params[i] = cel_types_fresh(t, type->params[i], map, n);
		changed |= params[i] != type->params[i];
	}
	if (!changed)
		return type;
	made = cel_type_make(t->arena, type->kind, type->name, params, type->n_params);
	t->failed |= !made;
	return made ? made : &cel_dyn;
}

const struct cel_type *cel_types_subst(struct cel_types *t, const struct cel_type *type, bool to_dyn)
{
	const struct cel_type *params[CEL_TYPE_PARAMS_MAX];
	const struct cel_type *made;
	bool changed = false;

	while (type->kind == CEL_T_PARAM && var_of(type)->bound)
		type = var_of(type)->bound;
	if (type->kind == CEL_T_PARAM)
		return to_dyn ? &cel_dyn : type;
	if (!type->n_params || type->n_params > CEL_TYPE_PARAMS_MAX || !spend(t))
		return type;
	for (size_t i = 0; i < type->n_params; i++) {
		params[i] = cel_types_subst(t, type->params[i], to_dyn);
		changed |= params[i] != type->params[i];
	}
	if (!changed)
		return type;
	made = cel_type_make(t->arena, type->kind, type->name, params, type->n_params);
	t->failed |= !made;
	return made ? made : &cel_dyn;
}

/* --- comparison --- */

static bool exact(struct cel_types *t, const struct cel_type *a, const struct cel_type *b)
{
	if (a == b)
		return true;
	if (!spend(t) || a->kind != b->kind || a->kind == CEL_T_PARAM || a->n_params != b->n_params || !str_eq(a->name, b->name))
		return false;
	for (size_t i = 0; i < a->n_params; i++)
		if (!exact(t, a->params[i], b->params[i]))
			return false;
	return true;
}

static bool occurs(struct cel_types *t, const struct cel_type *var, const struct cel_type *within)
{
	if (var == within || !spend(t))
		return true;
	if (within->kind == CEL_T_PARAM)
		return var_of(within)->bound && occurs(t, var, var_of(within)->bound);
	for (size_t i = 0; i < within->n_params; i++)
		if (occurs(t, var, within->params[i]))
			return true;
	return false;
}

static bool takes_null(const struct cel_type *t)
{
	switch (t->kind) {
	case CEL_T_NULL:
	case CEL_T_WRAPPER:
	case CEL_T_MESSAGE:
	case CEL_T_TIMESTAMP:
	case CEL_T_DURATION:
	case CEL_T_OPAQUE:
	case CEL_T_OPTIONAL: return true;
	default: return false;
	}
}

static bool no_more_specific(struct cel_types *t, const struct cel_type *a, const struct cel_type *b);

static bool params_no_more_specific(struct cel_types *t, const struct cel_type *a, const struct cel_type *b)
{
	if (a->n_params != b->n_params || !str_eq(a->name, b->name))
		return false;
	for (size_t i = 0; i < a->n_params; i++)
		if (!no_more_specific(t, a->params[i], b->params[i]))
			return false;
	return true;
}

/* Does a stand for all that b does? */
static bool no_more_specific(struct cel_types *t, const struct cel_type *a, const struct cel_type *b)
{
	if (cel_types_is_dyn(a) || a->kind == CEL_T_PARAM)
		return true;
	if (cel_types_is_dyn(b) || b->kind == CEL_T_PARAM || !spend(t))
		return false;
	if (b->kind == CEL_T_NULL)
		return takes_null(a);
	if (a->kind == CEL_T_WRAPPER && a->n_params && b->kind != CEL_T_WRAPPER) /* it holds b, or null */
		return exact(t, a->params[0], b);
	switch (a->kind == b->kind ? a->kind : CEL_T_ERROR) {
	case CEL_T_ERROR: return false;
	case CEL_T_TYPE: return true;
	case CEL_T_OPAQUE:
	case CEL_T_OPTIONAL:
	case CEL_T_LIST:
	case CEL_T_MAP: return params_no_more_specific(t, a, b);
	default: return exact(t, a, b);
	}
}

static const struct cel_type *most_general(struct cel_types *t, const struct cel_type *a, const struct cel_type *b)
{
	return no_more_specific(t, a, b) ? a : b;
}

/* --- assignability --- */

/* May `type` be what variable `var` stands for? *ret_bound: it stood for something before. */
static bool stands_for(struct cel_types *t, const struct cel_type *type, const struct cel_type *var, bool *ret_bound)
{
	const struct cel_type *bound = var_of(var)->bound, *general;

	*ret_bound = bound || type == var;
	if (type == var)
		return true;
	if (!bound) {
		if (occurs(t, var, type))
			return false;
		bind(t, var, type);
		return true;
	}
	if (exact(t, type, bound))
		return true;
	if (!assignable(t, type, bound))
		return false;
	general = most_general(t, type, bound);
	if (!occurs(t, var, general))
		bind(t, var, general);
	return true;
}

static bool params_assignable(struct cel_types *t, const struct cel_type *a, const struct cel_type *b)
{
	if (a->n_params != b->n_params || !str_eq(a->name, b->name))
		return false;
	for (size_t i = 0; i < a->n_params; i++)
		if (!assignable(t, a->params[i], b->params[i]))
			return false;
	return true;
}

static enum cel_type_kind scalar_kind(const struct cel_type *t)
{
	enum cel_type_kind k = t->kind == CEL_T_WRAPPER && t->n_params ? t->params[0]->kind : t->kind;

	return k == CEL_T_ENUM ? CEL_T_INT : k;
}

static bool assignable(struct cel_types *t, const struct cel_type *a, const struct cel_type *b)
{
	bool bound = false;

	if (!spend(t))
		return false;
	if (b->kind == CEL_T_PARAM) {
		if (stands_for(t, a, b, &bound))
			return true;
		if (bound)
			return false;
	}
	if (a->kind == CEL_T_PARAM)
		return stands_for(t, b, a, &bound);
	if (cel_types_is_dyn(a) || cel_types_is_dyn(b))
		return true;
	if (a->kind == CEL_T_NULL || b->kind == CEL_T_NULL)
		return takes_null(a->kind == CEL_T_NULL ? b : a);
	if (scalar_kind(a) != scalar_kind(b))
		return false;
	switch (a->kind) {
	case CEL_T_TYPE: return true;
	case CEL_T_MESSAGE: return str_eq(a->name, b->name);
	case CEL_T_OPAQUE:
	case CEL_T_OPTIONAL:
	case CEL_T_LIST:
	case CEL_T_MAP: return params_assignable(t, a, b);
	default: return true;
	}
}

bool cel_types_assignable_all(struct cel_types *t, const struct cel_type *const *a, const struct cel_type *const *b, size_t n)
{
	size_t mark = t->n_trail;

	for (size_t i = 0; i < n; i++)
		if (!assignable(t, a[i], b[i])) {
			undo(t, mark);
			return false;
		}
	return true;
}

bool cel_types_assignable(struct cel_types *t, const struct cel_type *a, const struct cel_type *b)
{
	return cel_types_assignable_all(t, &a, &b, 1);
}

const struct cel_type *cel_types_join(struct cel_types *t, const struct cel_type *prev, const struct cel_type *cur)
{
	if (!prev)
		return cur;
	return cel_types_assignable(t, prev, cur) ? most_general(t, prev, cur) : &cel_dyn;
}

/* --- made types --- */

/* Counts the nodes of t as a tree, up to `max`. */
static size_t nodes_of(const struct cel_type *t, size_t max)
{
	size_t n = 1;

	for (size_t i = 0; i < t->n_params && n < max; i++)
		n += nodes_of(t->params[i], max - n);
	return n;
}

const struct cel_type *cel_types_make(struct cel_types *t, enum cel_type_kind kind, const char *name,
									  const struct cel_type *const *params, size_t n)
{
	const struct cel_type *kept[2] = { &cel_dyn, &cel_dyn };
	const struct cel_type *made;

	for (size_t i = 0; i < n; i++)
		if (nodes_of(params[i], CEL_TYPE_NODES_MAX) < CEL_TYPE_NODES_MAX)
			kept[i] = params[i];
	made = cel_type_make(t->arena, kind, str_z(name), kept, n);
	t->failed |= !made;
	return made ? made : &cel_dyn;
}
