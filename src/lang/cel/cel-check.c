/* cel-check.c - the type checker: resolves names and overloads, gives every node its type, collects problems.
 *
 * Works bottom-up like cel-go's: names in the container, namespaced functions, overloads with type parameters, dyn where types
 * do not agree. Recursion is bounded by the height of the tree (limits.depth_max). The environment is only read. One thread per
 * tree. */
#include "base/base.h"
#include "lang/cel/cel-check.h"
#include "lang/cel/cel-message.h"

#include <stdarg.h>

enum { MESSAGE_MAX = 2048 };

/* --- problems --- */

void ck_problem(struct checker *c, uint32_t line, uint32_t col, const char *fmt, ...)
{
	struct buf b CLEANUP_BUF = BUF_INIT(MESSAGE_MAX);
	va_list ap;
	const char *msg;

	if (c->n_problems++ >= CEL_ERRORS_MAX)
		return;
	va_start(ap, fmt);
	buf_addv(&b, fmt, ap);
	va_end(ap);
	msg = arena_dupz(c->arena, b.failed ? "a problem whose text is too long to show" : buf_z(&b));
	c->problems[c->n_problems - 1] = (struct cel_problem){ line, col, msg ? msg : "out of memory" };
}

const char *ck_text(struct checker *c, const struct cel_type *t)
{
	/* What would not be kept is not made either. */
	return c->n_problems < CEL_ERRORS_MAX ? cel_type_text(c->arena, cel_types_subst(&c->types, t, true)) : "";
}

void ck_undeclared(struct checker *c, const struct cel_expr *e, str name, bool function)
{
	str near = c->n_problems < CEL_ERRORS_MAX ? cel_env_nearest(c->env, name, function) : STR_NULL;
	str container = cel_env_container(c->env);
	char in[128] = "", meant[160] = "";

	if (container.len)
		snprintf(in, sizeof(in), " (in container '%.*s')", (int)(container.len < 90 ? container.len : 90), container.ptr);
	if (near.len)
		snprintf(meant, sizeof(meant), "; did you mean '%.*s'?", (int)(near.len < 120 ? near.len : 120), near.ptr);
	ck_problem(c, e->line, e->col, "%s '%.*s' is not declared%s%s", function ? "function" : "name",
			   (int)(name.len < 200 ? name.len : 200), name.ptr, in, meant);
}

/* --- names --- */

struct resolved {
	str name;
	const struct cel_type *type;
	bool is_constant;
	struct cel_value value;
};

static const struct local *local_of(const struct checker *c, str name)
{
	for (const struct local *l = c->locals; l; l = l->outer)
		if (str_eq(l->name, name))
			return l;
	return NULL;
}

/* A declared variable or a constant, in the container. */
static bool resolve_global(struct checker *c, str name, struct resolved *ret)
{
	str candidate;

	for (size_t i = 0; cel_env_candidate(c->arena, c->env, name, i, &candidate); i++) {
		const struct cel_var *v = cel_env_var(c->env, candidate);

		*ret = (struct resolved){ .name = candidate };
		if (v) {
			ret->type = cel_types_fresh(&c->types, v->type, c->free_vars, &c->n_free);
			return true;
		}
		if (cel_env_constant(c->arena, c->env, candidate, &ret->value, &ret->type)) {
			ret->is_constant = true;
			return true;
		}
	}
	return false;
}

static const struct cel_expr *first_name(const struct cel_expr *e)
{
	while (e->kind == CEL_X_SELECT)
		e = e->select.operand;
	return e;
}

/* The qualified name of e in the arena; false: e is no name, or its first part is a local variable. */
bool ck_take_qualified(struct checker *c, const struct cel_expr *e, const char *behind, str *ret)
{
	struct buf b CLEANUP_BUF = BUF_INIT(CEL_TEXT_MAX);
	const struct cel_expr *first = first_name(e);

	if (first->kind != CEL_X_IDENT || local_of(c, first->ident.name) || !cel_qualified_name(e, &b))
		return false;
	buf_addz(&b, behind);
	*ret = arena_str(c->arena, buf_str(&b));
	return ret->ptr != NULL;
}

static void become_ident(struct checker *c, struct cel_expr *e, const struct resolved *r)
{
	str name = r->name;

	/* A local variable of that name hides it: the machine needs the dot too. */
	if (local_of(c, name)) {
		name.ptr = arena_printf(c->arena, ".%.*s", STR_ARG(r->name));
		name.len = name.ptr ? name.len + 1 : 0;
	}
	e->kind = CEL_X_IDENT;
	e->ident.name = name;
	e->ident.is_constant = r->is_constant;
	e->ident.value = r->value;
	e->type = r->type;
}

static void check_ident(struct checker *c, struct cel_expr *e)
{
	const struct local *l = local_of(c, e->ident.name);
	struct resolved r;

	if (l) {
		e->type = l->type;
	} else if (resolve_global(c, e->ident.name, &r)) {
		become_ident(c, e, &r);
	} else {
		e->type = &cel_error_type;
		ck_undeclared(c, e, e->ident.name, false);
	}
}

void ck_push_local(struct checker *c, str name, const struct cel_type *type)
{
	struct local *l = ARENA_NEW(c->arena, struct local);

	if (!l)
		return;
	*l = (struct local){ name, type, c->locals };
	c->locals = l;
}

/* --- fields --- */

static const struct cel_type *message_field(struct checker *c, str type_name, str field, uint32_t line, uint32_t col)
{
	const struct cel_pool *pool = cel_env_pool(c->env);
	const struct cel_message_type *m = pool ? cel_pool_message(pool, type_name) : NULL;
	const struct cel_field *f = m ? cel_message_field(m, field) : NULL;

	if (f)
		return cel_field_type(f);
	if (m)
		ck_problem(c, line, col, "message %.*s has no field '%.*s'", STR_ARG(type_name), STR_ARG(field));
	else
		ck_problem(c, line, col, "message %.*s is not declared", STR_ARG(type_name));
	return &cel_error_type;
}

static const struct cel_type *unwrap_optional(const struct cel_type *t, bool *ret)
{
	*ret = t->kind == CEL_T_OPTIONAL;
	return *ret ? t->params[0] : t;
}

const struct cel_type *ck_field_type(struct checker *c, struct cel_expr *e, struct cel_expr *operand, str field, bool optional)
{
	const struct cel_type *t, *result = &cel_dyn;
	bool was_optional;

	ck_node(c, operand);
	t = unwrap_optional(cel_types_subst(&c->types, operand->type, false), &was_optional);
	if (t->kind == CEL_T_MAP)
		result = t->params[1];
	else if (t->kind == CEL_T_MESSAGE)
		result = message_field(c, t->name, field, e->line, e->col);
	else if (t->kind == CEL_T_PARAM) /* it could be anything: a later use must not narrow it */
		(void)cel_types_assignable(&c->types, &cel_dyn, t);
	else if (!cel_types_is_dyn(t))
		ck_problem(c, e->line, e->col, "a value of type %s has no fields: '.%.*s'", ck_text(c, t), STR_ARG(field));
	result = cel_types_subst(&c->types, result, false);
	return optional || was_optional ? cel_types_make(&c->types, CEL_T_OPTIONAL, "optional_type", &result, 1) : result;
}

static void check_select(struct checker *c, struct cel_expr *e)
{
	struct resolved r;
	str name;

	if (ck_take_qualified(c, e, "", &name) && resolve_global(c, name, &r)) {
		become_ident(c, e, &r);
		return;
	}
	e->type = ck_field_type(c, e, e->select.operand, e->select.field, false);
	if (e->select.test_only)
		e->type = &cel_bool;
}

/* --- literals of lists, maps and messages --- */

/* Type of a value, or of what is in it when it stands behind '?'. */
static const struct cel_type *entry_type(struct checker *c, const struct cel_expr *value, bool optional)
{
	const struct cel_type *t = value->type;
	bool is_optional;

	if (!optional)
		return t;
	t = unwrap_optional(cel_types_subst(&c->types, t, false), &is_optional);
	if (!is_optional && !cel_types_is_dyn(t))
		ck_problem(c, value->line, value->col, "behind '?' an optional is expected, not %s", ck_text(c, t));
	return t;
}

static void check_list(struct checker *c, struct cel_expr *e)
{
	const struct cel_type *item = NULL;

	for (size_t i = 0; i < e->list.n; i++) {
		ck_node(c, e->list.items[i]);
		item = cel_types_join(&c->types, item, entry_type(c, e->list.items[i], e->list.optional && e->list.optional[i]));
	}
	if (!item)
		item = cel_types_var(&c->types);
	e->type = cel_types_make(&c->types, CEL_T_LIST, "list", &item, 1);
}

static void check_map(struct checker *c, struct cel_expr *e)
{
	const struct cel_type *params[2] = { NULL, NULL };

	for (size_t i = 0; i < e->map.n; i++) {
		struct cel_entry *entry = &e->map.entries[i];

		ck_node(c, entry->key);
		params[0] = cel_types_join(&c->types, params[0], entry->key->type);
		ck_node(c, entry->value);
		params[1] = cel_types_join(&c->types, params[1], entry_type(c, entry->value, entry->optional));
	}
	if (!e->map.n) {
		params[0] = cel_types_var(&c->types);
		params[1] = cel_types_var(&c->types);
	}
	e->type = cel_types_make(&c->types, CEL_T_MAP, "map", params, 2);
}

static bool is_message_name(const struct checker *c, str name)
{
	const struct cel_pool *pool = cel_env_pool(c->env);

	return pool && cel_pool_message(pool, name);
}

static void check_fields(struct checker *c, struct cel_expr *e, bool known)
{
	for (size_t i = 0; i < e->map.n; i++) {
		struct cel_entry *f = &e->map.entries[i];
		const struct cel_type *want = &cel_error_type, *seen;

		ck_node(c, f->value);
		if (known)
			want = message_field(c, e->map.type_name, f->field, f->line, f->col);
		seen = entry_type(c, f->value, f->optional);
		if (!cel_types_assignable(&c->types, want, seen))
			ck_problem(c, f->line, f->col, "field '%.*s' is of type %s, not %s", STR_ARG(f->field), ck_text(c, want),
					   ck_text(c, seen));
	}
}

static void check_struct(struct checker *c, struct cel_expr *e)
{
	struct resolved r;
	bool known = false;

	e->type = &cel_error_type;
	if (!resolve_global(c, e->map.type_name, &r)) {
		ck_undeclared(c, e, e->map.type_name, false);
	} else if (r.type->kind != CEL_T_TYPE || !r.type->n_params) {
		ck_problem(c, e->line, e->col, "'%.*s' is no type but a value of type %s", STR_ARG(r.name), ck_text(c, r.type));
	} else if (!is_message_name(c, r.name)) {
		ck_problem(c, e->line, e->col, "type '%.*s' is no message", STR_ARG(r.name));
	} else {
		known = true;
		e->map.type_name = r.name;
		e->type = r.type->params[0];
	}
	check_fields(c, e, known);
}

/* --- folds --- */

static void range_types(struct checker *c, const struct cel_expr *range, bool two, const struct cel_type **ret_a,
						const struct cel_type **ret_b)
{
	const struct cel_type *t = cel_types_subst(&c->types, range->type, false);

	*ret_a = *ret_b = &cel_dyn;
	if (t->kind == CEL_T_LIST) {
		*ret_a = two ? &cel_int : t->params[0];
		*ret_b = t->params[0];
	} else if (t->kind == CEL_T_MAP) {
		*ret_a = t->params[0];
		*ret_b = t->params[1];
	} else if (cel_types_is_dyn(t) || t->kind == CEL_T_PARAM) {
		(void)cel_types_assignable(&c->types, &cel_dyn, t);
	} else {
		ck_problem(c, range->line, range->col, "a macro goes over lists and maps, not over %s", ck_text(c, t));
		*ret_a = *ret_b = &cel_error_type;
	}
}

static void want_type(struct checker *c, const struct cel_expr *e, const struct cel_type *want)
{
	if (!cel_types_assignable(&c->types, want, e->type))
		ck_problem(c, e->line, e->col, "%s is expected here, not %s", ck_text(c, want), ck_text(c, e->type));
}

static void check_fold(struct checker *c, struct cel_expr *e)
{
	struct cel_fold *f = e->fold;
	struct local *outer = c->locals, *with_accu;
	const struct cel_type *a, *b;

	ck_node(c, f->range);
	ck_node(c, f->init);
	range_types(c, f->range, f->var2.len > 0, &a, &b);
	ck_push_local(c, f->accu, f->init->type);
	with_accu = c->locals;
	ck_push_local(c, f->var, a);
	if (f->var2.len)
		ck_push_local(c, f->var2, b);
	ck_node(c, f->condition);
	want_type(c, f->condition, &cel_bool);
	ck_node(c, f->step);
	want_type(c, f->step, f->init->type);
	c->locals = with_accu;
	ck_node(c, f->result);
	c->locals = outer;
	e->type = cel_types_subst(&c->types, f->result->type, false);
}

/* --- the tree --- */

static const struct cel_type *constant_type(const struct cel_expr *e)
{
	switch (e->constant.kind) {
	case CEL_NULL: return &cel_null_type;
	case CEL_BOOL: return &cel_bool;
	case CEL_INT: return &cel_int;
	case CEL_UINT: return &cel_uint;
	case CEL_DOUBLE: return &cel_double;
	case CEL_STRING: return &cel_string;
	case CEL_BYTES: return &cel_bytes;
	default: return &cel_dyn;
	}
}

void ck_node(struct checker *c, struct cel_expr *e)
{
	switch (e->kind) {
	case CEL_X_CONST: e->type = constant_type(e); break;
	case CEL_X_IDENT: check_ident(c, e); break;
	case CEL_X_SELECT: check_select(c, e); break;
	case CEL_X_CALL: ck_call(c, e); break;
	case CEL_X_LIST: check_list(c, e); break;
	case CEL_X_MAP: check_map(c, e); break;
	case CEL_X_STRUCT: check_struct(c, e); break;
	case CEL_X_FOLD: check_fold(c, e); break;
	}
}

/* Gives each node its final type: what is still free is dyn. */
static void settle(struct checker *c, struct cel_expr *e)
{
	if (!e)
		return;
	e->type = e->type ? cel_types_subst(&c->types, e->type, true) : &cel_dyn;
	switch (e->kind) {
	case CEL_X_CONST:
	case CEL_X_IDENT: break;
	case CEL_X_SELECT: settle(c, e->select.operand); break;
	case CEL_X_CALL:
		settle(c, e->call.target);
		for (size_t i = 0; i < e->call.n; i++)
			settle(c, e->call.args[i]);
		break;
	case CEL_X_LIST:
		for (size_t i = 0; i < e->list.n; i++)
			settle(c, e->list.items[i]);
		break;
	case CEL_X_MAP:
	case CEL_X_STRUCT:
		for (size_t i = 0; i < e->map.n; i++) {
			settle(c, e->map.entries[i].key);
			settle(c, e->map.entries[i].value);
		}
		break;
	case CEL_X_FOLD:
		settle(c, e->fold->range);
		settle(c, e->fold->init);
		settle(c, e->fold->condition);
		settle(c, e->fold->step);
		settle(c, e->fold->result);
		break;
	}
}

static int report(struct checker *c, struct err *reterr)
{
	struct buf b CLEANUP_BUF = BUF_INIT(2 * MESSAGE_MAX);

	cel_problem_print(c->ast, &c->problems[0], &b);
	if (c->n_problems > 1)
		buf_addf(&b, "\n(and %zu more)", c->n_problems - 1);
	return err_set(reterr, WEIR_EINVAL, "%s", buf_z(&b));
}

int cel_check(struct arena *a, const struct cel_env *e, struct cel_ast *ast, struct err *reterr)
{
	struct checker c = { .arena = a, .env = e, .ast = ast, .types = { .arena = a } };

	c.problems = ARENA_ARRAY(a, CEL_ERRORS_MAX, struct cel_problem);
	if (!c.problems)
		return arena_check(a, "checking the types", reterr);
	ck_node(&c, ast->root);
	if (!c.types.failed && !c.n_problems)
		settle(&c, ast->root);
	if (a->failed)
		return arena_check(a, "checking the types", reterr);
	if (c.types.failed)
		return err_set(reterr, WEIR_ELIMIT, "%s: the types of the expression take more than %d steps to check", ast->file,
					   CEL_TYPE_WORK_MAX);
	ast->problems = c.problems;
	ast->n_problems = c.n_problems < CEL_ERRORS_MAX ? c.n_problems : CEL_ERRORS_MAX;
	if (c.n_problems)
		return report(&c, reterr);
	ast->checked = true;
	return 0;
}

const struct cel_type *cel_ast_type(const struct cel_ast *ast)
{
	return ast->checked ? ast->root->type : &cel_dyn;
}
