/* cel-check-call.c - the checker's calls: which function a name means, which of its overloads take the arguments, what comes out.
 *
 * One checker, one thread; recursion as in cel-check.c. */
#include "base/base.h"
#include "lang/cel/cel-check.h"

enum { ARGS_MAX = 64, MESSAGE_MAX = 2048 };

/* --- overloads --- */

static bool numeric(const struct cel_type *t)
{
	return t->kind == CEL_T_INT || t->kind == CEL_T_UINT || t->kind == CEL_T_DOUBLE;
}

/* 1 < 2.0, where the embedder switched that off. */
static bool switched_off(const struct checker *c, const struct cel_overload *o, str function)
{
	return o->n_params == 2 &&
		   (str_eqz(function, "_<_") || str_eqz(function, "_<=_") || str_eqz(function, "_>_") || str_eqz(function, "_>=_")) &&
		   numeric(o->params[0]) && numeric(o->params[1]) && o->params[0]->kind != o->params[1]->kind &&
		   !cel_env_on(c->env, CEL_F_MIXED_COMPARISONS);
}

static bool is_generic(const struct cel_type *t)
{
	if (t->kind == CEL_T_PARAM)
		return true;
	for (size_t i = 0; i < t->n_params; i++)
		if (is_generic(t->params[i]))
			return true;
	return false;
}

/* Does o take these arguments? Its result then. */
static bool fits(struct checker *c, const struct cel_overload *o, const struct cel_type *const *args, size_t n,
				 const struct cel_type **ret)
{
	struct named_var vars[CEL_TYPE_PARAMS_MAX];
	const struct cel_type *params[ARGS_MAX], *result = o->result;
	size_t n_vars = 0;

	if (o->n_params != n)
		return false;
	for (size_t i = 0; i < n; i++)
		params[i] = is_generic(o->params[i]) ? cel_types_fresh(&c->types, o->params[i], vars, &n_vars) : o->params[i];
	if (is_generic(result))
		result = cel_types_fresh(&c->types, result, vars, &n_vars);
	if (!cel_types_assignable_all(&c->types, args, params, n))
		return false;
	*ret = cel_types_subst(&c->types, result, false);
	return true;
}

/* A function as a person writes it: '+' for _+_, '? :' for _?_:_, 'in' for @in. */
static const char *written(struct checker *c, str function)
{
	char text[16];
	size_t n = 0;

	if (!function.len || !strchr("_@!-", function.ptr[0]) || function.len > sizeof(text))
		return arena_dup(c->arena, str_sub(function, 0, 200));
	if (str_eqz(function, "_?_:_"))
		return "? :";
	for (size_t i = 0; i < function.len; i++)
		if (function.ptr[i] != '_' && function.ptr[i] != '@')
			text[n++] = function.ptr[i];
	return arena_dup(c->arena, str_n(text, n));
}

static void no_overload(struct checker *c, const struct cel_expr *e, const struct cel_type *const *args, size_t n)
{
	struct buf b CLEANUP_BUF = BUF_INIT(MESSAGE_MAX);
	size_t first = e->call.target ? 1 : 0;

	for (size_t i = first; i < n; i++)
		buf_addf(&b, "%s%s", i > first ? ", " : "", ck_text(c, args[i]));
	ck_problem(c, e->line, e->col, "no form of '%s%s%s' takes (%s)", first ? ck_text(c, args[0]) : "", first ? "." : "",
			   written(c, e->call.function), b.failed ? "..." : buf_z(&b));
}

/* The types of receiver and arguments; false: too many. */
static bool argument_types(struct checker *c, const struct cel_expr *e, const struct cel_type **args, size_t *n)
{
	*n = 0;
	if (e->call.n + 1 > ARGS_MAX) {
		ck_problem(c, e->line, e->col, "a call has at most %d arguments", ARGS_MAX - 1);
		return false;
	}
	if (e->call.target)
		args[(*n)++] = e->call.target->type;
	for (size_t i = 0; i < e->call.n; i++)
		args[(*n)++] = e->call.args[i]->type;
	return true;
}

/* Chooses among the overloads of the function, whose arguments are checked. */
static void resolve_overloads(struct checker *c, struct cel_expr *e, const struct cel_overload *first)
{
	const struct cel_type *args[ARGS_MAX], *one, *result = NULL;
	const struct cel_overload **list;
	size_t n, n_forms = 0;

	e->type = &cel_error_type;
	if (!argument_types(c, e, args, &n))
		return;
	for (const struct cel_overload *o = first; o; o = o->next)
		n_forms++;
	list = ARENA_ARRAY(c->arena, n_forms, const struct cel_overload *);
	for (const struct cel_overload *o = first; o && list; o = o->next) {
		if (o->member != (e->call.target != NULL) || switched_off(c, o, e->call.function) || !fits(c, o, args, n, &one))
			continue;
		list[e->call.n_overloads++] = o;
		if (!result)
			result = one;
		else if (!cel_types_is_dyn(result) && !cel_type_equal(result, one))
			result = &cel_dyn;
	}
	e->call.overloads = list;
	if (result)
		e->type = result;
	else
		no_overload(c, e, args, n);
}

/* The function in the container; *ret_name gets its full name. */
static const struct cel_overload *find_function(struct checker *c, str name, str *ret_name)
{
	str candidate;

	*ret_name = name;
	if (name.len && strchr("_@!-", name.ptr[0])) /* operators are in no container */
		return cel_env_overloads(c->env, name);
	for (size_t i = 0; cel_env_candidate(c->arena, c->env, name, i, &candidate); i++) {
		const struct cel_overload *o = cel_env_overloads(c->env, candidate);

		if (o) {
			*ret_name = candidate;
			return o;
		}
	}
	return NULL;
}

static void check_optional_select(struct checker *c, struct cel_expr *e)
{
	const struct cel_overload **list = ARENA_ARRAY(c->arena, 1, const struct cel_overload *);

	e->type = ck_field_type(c, e, e->call.args[0], str_n(e->call.args[1]->constant.s, e->call.args[1]->constant.len), true);
	e->call.args[1]->type = &cel_string;
	if (!list)
		return;
	list[0] = cel_env_overloads(c->env, e->call.function);
	e->call.overloads = list;
	e->call.n_overloads = list[0] != NULL;
	if (!list[0])
		ck_problem(c, e->line, e->col, "'.?' needs the library 'optionals'");
}

/* cel.@block([a, b], result): each item may use those before it as @index0, @index1, which are dyn as in cel-go. */
static void check_block(struct checker *c, struct cel_expr *e)
{
	struct local *outer = c->locals;
	struct cel_expr *items = e->call.args[0];
	const struct cel_type *item = &cel_dyn;

	for (size_t i = 0; i < items->list.n; i++) {
		const char *name = arena_printf(c->arena, "@index%zu", i);

		ck_node(c, items->list.items[i]);
		ck_push_local(c, str_z(name), &cel_dyn);
	}
	items->type = cel_types_make(&c->types, CEL_T_LIST, "list", &item, 1);
	ck_node(c, e->call.args[1]);
	c->locals = outer;
}

static void check_args(struct checker *c, struct cel_expr *e)
{
	if (str_eqz(e->call.function, "cel.@block") && e->call.n == 2 && e->call.args[0]->kind == CEL_X_LIST) {
		check_block(c, e);
		return;
	}
	for (size_t i = 0; i < e->call.n; i++)
		ck_node(c, e->call.args[i]);
}

void ck_call(struct checker *c, struct cel_expr *e)
{
	const struct cel_overload *o;
	char behind[260];
	str name;

	if (str_eqz(e->call.function, "_?._") && !e->call.target && e->call.n == 2 && e->call.args[1]->kind == CEL_X_CONST) {
		check_optional_select(c, e);
		return;
	}
	check_args(c, e);
	/* a.b.c(): either a.b.c is a function, or c is a method of a.b. */
	if (e->call.target && e->call.function.len < sizeof(behind) - 1) {
		snprintf(behind, sizeof(behind), ".%.*s", STR_ARG(e->call.function));
		if (ck_take_qualified(c, e->call.target, behind, &name) && (o = find_function(c, name, &name))) {
			e->call.target = NULL;
			e->call.function = name;
			resolve_overloads(c, e, o);
			return;
		}
	}
	if (e->call.target) {
		ck_node(c, e->call.target);
		o = cel_env_overloads(c->env, e->call.function);
	} else {
		o = find_function(c, e->call.function, &name);
		if (o)
			e->call.function = name;
	}
	if (o) {
		resolve_overloads(c, e, o);
		return;
	}
	e->type = &cel_error_type;
	ck_undeclared(c, e, e->call.function, true);
}
