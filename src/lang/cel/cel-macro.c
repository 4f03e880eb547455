/* cel-macro.c - the macros of the language and of its libraries: a call whose arguments are taken as written and become other
 * nodes.
 *
 * The trees are those of cel-go. What a macro copies counts against the limit on nodes, so that chains of them end in an error
 * rather than in a tree of exponential size. Runs on the parsing thread. */
#include "base/base.h"
#include "lang/cel/cel-parse.h"

#define UNUSED_VAR "#unused"

/* --- helpers --- */

static struct cel_expr *accu(struct cel_expander *x)
{
	return cel_x_ident(x, STR(CEL_ACCU));
}

/* Argument that names a variable. */
static int take_var(struct cel_expander *x, const struct cel_expr *arg, str *ret, struct err *reterr)
{
	if (arg->kind != CEL_X_IDENT || arg->ident.name.ptr[0] == '.')
		return cel_x_error(x, arg, reterr, "a simple name is expected here: the variable that the macro declares");
	*ret = arg->ident.name;
	if (str_eqz(*ret, CEL_ACCU) || str_eqz(*ret, "__result__"))
		return cel_x_error(x, arg, reterr, "'%.*s' is the name of the macro's own result; choose another", STR_ARG(*ret));
	return 0;
}

static int take_vars(struct cel_expander *x, struct cel_expr **args, str *ret_a, str *ret_b, struct err *reterr)
{
	int r = take_var(x, args[0], ret_a, reterr);

	if (!r)
		r = take_var(x, args[1], ret_b, reterr);
	if (!r && str_eq(*ret_a, *ret_b))
		return cel_x_error(x, args[1], reterr, "'%.*s' is declared twice", STR_ARG(*ret_b));
	return r;
}

/* Is the call target.name() one of the namespace `name` ("cel", "math")? */
static bool in_namespace(const struct cel_expr *target, const char *name)
{
	return target->kind == CEL_X_IDENT && str_eqz(target->ident.name, name);
}

static struct cel_expr *conditional(struct cel_expander *x, struct cel_expr *test, struct cel_expr *yes, struct cel_expr *no)
{
	return cel_x_call(x, "_?_:_", 3, test, yes, no);
}

/* --- has --- */

static int expand_has(struct cel_expander *x, struct cel_expr *target, struct cel_expr **args, size_t n, struct cel_expr **ret,
					  struct err *reterr)
{
	(void)target;
	(void)n;
	if (args[0]->kind != CEL_X_SELECT || args[0]->select.test_only)
		return cel_x_error(x, args[0], reterr, "has() needs a selection such as has(a.b)");
	*ret = cel_x_select(x, args[0]->select.operand, args[0]->select.field, true);
	return 0;
}

/* --- folds with one or two variables --- */

static struct cel_expr *fold_all(struct cel_expander *x, struct cel_fold *f, struct cel_expr *test)
{
	f->kind = CEL_FOLD_ALL;
	f->init = cel_x_const(x, cel_of_bool(true));
	f->condition = cel_x_call(x, "@not_strictly_false", 1, accu(x));
	f->step = cel_x_call(x, "_&&_", 2, accu(x), test);
	f->result = accu(x);
	return cel_x_fold(x, f);
}

static struct cel_expr *fold_exists(struct cel_expander *x, struct cel_fold *f, struct cel_expr *test)
{
	f->kind = CEL_FOLD_EXISTS;
	f->init = cel_x_const(x, cel_of_bool(false));
	f->condition = cel_x_call(x, "@not_strictly_false", 1, cel_x_call(x, "!_", 1, accu(x)));
	f->step = cel_x_call(x, "_||_", 2, accu(x), test);
	f->result = accu(x);
	return cel_x_fold(x, f);
}

static struct cel_expr *fold_exists_one(struct cel_expander *x, struct cel_fold *f, struct cel_expr *test)
{
	struct cel_expr *one_more = cel_x_call(x, "_+_", 2, accu(x), cel_x_const(x, cel_of_int(1)));

	f->kind = CEL_FOLD_EXISTS_ONE;
	f->init = cel_x_const(x, cel_of_int(0));
	f->condition = cel_x_const(x, cel_of_bool(true));
	f->step = conditional(x, test, one_more, accu(x));
	f->result = cel_x_call(x, "_==_", 2, accu(x), cel_x_const(x, cel_of_int(1)));
	return cel_x_fold(x, f);
}

/* test NULL: every item. */
static struct cel_expr *fold_list(struct cel_expander *x, struct cel_fold *f, struct cel_expr *test, struct cel_expr *item)
{
	f->init = cel_x_list(x, 0);
	f->condition = cel_x_const(x, cel_of_bool(true));
	f->step = cel_x_call(x, "_+_", 2, accu(x), cel_x_list(x, 1, item));
	if (test)
		f->step = conditional(x, test, f->step, accu(x));
	f->result = accu(x);
	return cel_x_fold(x, f);
}

/* `insert` adds to the result. */
static struct cel_expr *fold_map(struct cel_expander *x, struct cel_fold *f, struct cel_expr *test, struct cel_expr *insert)
{
	f->kind = CEL_FOLD_TRANSFORM_MAP;
	f->init = cel_x_map(x);
	f->condition = cel_x_const(x, cel_of_bool(true));
	f->step = test ? conditional(x, test, insert, accu(x)) : insert;
	f->result = accu(x);
	return cel_x_fold(x, f);
}

static int start_fold(struct cel_expander *x, struct cel_expr *target, struct cel_expr **args, bool two, struct cel_fold *ret,
					  struct err *reterr)
{
	*ret = (struct cel_fold){ .kind = CEL_FOLD_OTHER, .range = target, .accu = STR(CEL_ACCU) };
	return two ? take_vars(x, args, &ret->var, &ret->var2, reterr) : take_var(x, args[0], &ret->var, reterr);
}

#define EXPAND(name)                                                                                                             \
	static int name(struct cel_expander *x, struct cel_expr *target, struct cel_expr **args, size_t n, struct cel_expr **ret,    \
					struct err *reterr)

/* target.MACRO(v, test) and target.MACRO(k, v, test) */
#define EXPAND_TEST(name, make, two)                                                                                             \
	EXPAND(name)                                                                                                                 \
	{                                                                                                                            \
		struct cel_fold f;                                                                                                       \
		int r = start_fold(x, target, args, two, &f, reterr);                                                                    \
                                                                                                                                 \
		if (!r)                                                                                                                  \
			*ret = make(x, &f, args[n - 1]);                                                                                     \
		return r;                                                                                                                \
	}
EXPAND_TEST(expand_all, fold_all, false)
EXPAND_TEST(expand_exists, fold_exists, false)
EXPAND_TEST(expand_exists_one, fold_exists_one, false)
EXPAND_TEST(expand_all_two, fold_all, true)
EXPAND_TEST(expand_exists_two, fold_exists, true)
EXPAND_TEST(expand_exists_one_two, fold_exists_one, true)

EXPAND(expand_map)
{
	struct cel_fold f;
	int r = start_fold(x, target, args, false, &f, reterr);

	f.kind = CEL_FOLD_MAP;
	if (!r)
		*ret = fold_list(x, &f, n == 3 ? args[1] : NULL, args[n - 1]);
	return r;
}

EXPAND(expand_filter)
{
	struct cel_fold f;
	int r = start_fold(x, target, args, false, &f, reterr);

	f.kind = CEL_FOLD_FILTER;
	if (!r)
		*ret = fold_list(x, &f, args[n - 1], args[0]);
	return r;
}

EXPAND(expand_transform_list)
{
	struct cel_fold f;
	int r = start_fold(x, target, args, true, &f, reterr);

	f.kind = CEL_FOLD_MAP;
	if (!r)
		*ret = fold_list(x, &f, n == 4 ? args[2] : NULL, args[n - 1]);
	return r;
}

EXPAND(expand_transform_map)
{
	struct cel_fold f;
	int r = start_fold(x, target, args, true, &f, reterr);

	if (!r)
		*ret = fold_map(x, &f, n == 4 ? args[2] : NULL,
						cel_x_call(x, "cel.@mapInsert", 3, accu(x), cel_x_ident(x, f.var), args[n - 1]));
	return r;
}

EXPAND(expand_transform_map_entry)
{
	struct cel_fold f;
	int r = start_fold(x, target, args, true, &f, reterr);

	if (!r)
		*ret = fold_map(x, &f, n == 4 ? args[2] : NULL, cel_x_call(x, "cel.@mapInsert", 2, accu(x), args[n - 1]));
	return r;
}

/* --- bindings, optionals --- */

/* `body` with `var` standing for `value`: a fold over nothing whose accumulator is the variable. */
static struct cel_expr *bind(struct cel_expander *x, str var, struct cel_expr *value, struct cel_expr *body)
{
	struct cel_fold f = { .kind = CEL_FOLD_BIND, .var = STR(UNUSED_VAR), .accu = var, .init = value, .result = body };

	f.range = cel_x_list(x, 0);
	f.condition = cel_x_const(x, cel_of_bool(false));
	f.step = cel_x_ident(x, var);
	return cel_x_fold(x, &f);
}

EXPAND(expand_bind)
{
	str var;
	int r;

	(void)n;
	if (!in_namespace(target, "cel"))
		return 0;
	r = take_var(x, args[0], &var, reterr);
	if (!r)
		*ret = bind(x, var, args[1], args[2]);
	return r;
}

static int expand_opt(struct cel_expander *x, struct cel_expr *target, struct cel_expr **args, bool flat, struct cel_expr **ret,
					  struct err *reterr)
{
	struct cel_expr *value, *body;
	str var;
	int r = take_var(x, args[0], &var, reterr);

	if (r)
		return r;
	value = cel_x_member(x, cel_x_copy(x, target), "value", 0);
	body = value ? bind(x, var, value, args[1]) : NULL;
	if (!flat)
		body = cel_x_call(x, "optional.of", 1, body);
	*ret = conditional(x, cel_x_member(x, target, "hasValue", 0), body, cel_x_call(x, "optional.none", 0));
	return 0;
}

EXPAND(expand_opt_map)
{
	(void)n;
	return expand_opt(x, target, args, false, ret, reterr);
}

EXPAND(expand_opt_flat_map)
{
	(void)n;
	return expand_opt(x, target, args, true, ret, reterr);
}

/* --- blocks: subexpressions by number --- */

EXPAND(expand_block)
{
	(void)n;
	if (!in_namespace(target, "cel"))
		return 0;
	if (args[0]->kind != CEL_X_LIST)
		return cel_x_error(x, args[0], reterr, "cel.block() needs a list literal of the expressions that it numbers");
	*ret = cel_x_call(x, "cel.@block", 2, args[0], args[1]);
	return 0;
}

static int take_number(struct cel_expander *x, const struct cel_expr *arg, int64_t *ret, struct err *reterr)
{
	if (arg->kind != CEL_X_CONST || arg->constant.kind != CEL_INT || arg->constant.i < 0)
		return cel_x_error(x, arg, reterr, "a literal number from 0 is expected here");
	*ret = arg->constant.i;
	return 0;
}

static int numbered_ident(struct cel_expander *x, struct cel_expr **args, size_t n, const char *prefix, struct cel_expr **ret,
						  struct err *reterr)
{
	int64_t a = 0, b = 0;
	int r = take_number(x, args[0], &a, reterr);
	const char *name;

	if (!r && n == 2)
		r = take_number(x, args[1], &b, reterr);
	if (r)
		return r;
	name = n == 2 ? arena_printf(x->arena, "%s:%lld:%lld", prefix, (long long)a, (long long)b)
				  : arena_printf(x->arena, "%s%lld", prefix, (long long)a);
	if (!name)
		return arena_check(x->arena, "the expression", reterr);
	*ret = cel_x_ident(x, str_z(name));
	return 0;
}

EXPAND(expand_index)
{
	return in_namespace(target, "cel") ? numbered_ident(x, args, n, "@index", ret, reterr) : 0;
}

EXPAND(expand_iter_var)
{
	return in_namespace(target, "cel") ? numbered_ident(x, args, n, "@it", ret, reterr) : 0;
}

EXPAND(expand_accu_var)
{
	return in_namespace(target, "cel") ? numbered_ident(x, args, n, "@ac", ret, reterr) : 0;
}

/* --- math --- */

static bool can_be_number(const struct cel_expr *e)
{
	switch (e->kind) {
	case CEL_X_CONST: return e->constant.kind == CEL_INT || e->constant.kind == CEL_UINT || e->constant.kind == CEL_DOUBLE;
	case CEL_X_LIST:
	case CEL_X_MAP:
	case CEL_X_STRUCT: return false;
	default: return true;
	}
}

static int check_numbers(struct cel_expander *x, struct cel_expr **v, size_t n, const char *name, struct err *reterr)
{
	for (size_t i = 0; i < n; i++)
		if (!can_be_number(v[i]))
			return cel_x_error(x, v[i], reterr, "math.%s() compares numbers only", name);
	return 0;
}

static int expand_extreme(struct cel_expander *x, struct cel_expr *target, struct cel_expr **args, size_t n, const char *name,
						  const char *function, struct cel_expr **ret, struct err *reterr)
{
	struct cel_expr *list;
	int r;

	if (!in_namespace(target, "math"))
		return 0;
	if (n == 0)
		return cel_x_error(x, target, reterr, "math.%s() needs at least one argument", name);
	if (n == 1 && args[0]->kind == CEL_X_LIST) {
		if (args[0]->list.n == 0)
			return cel_x_error(x, args[0], reterr, "math.%s() of an empty list", name);
		r = check_numbers(x, args[0]->list.items, args[0]->list.n, name, reterr);
	} else {
		r = check_numbers(x, args, n, name, reterr);
	}
	if (r)
		return r;
	if (n <= 2) {
		*ret = n == 1 ? cel_x_call(x, function, 1, args[0]) : cel_x_call(x, function, 2, args[0], args[1]);
		return 0;
	}
	list = cel_x_list(x, 0);
	if (list) {
		list->list.items = args;
		list->list.n = n;
		list = cel_x_done(x, list);
	}
	*ret = cel_x_call(x, function, 1, list);
	return 0;
}

EXPAND(expand_greatest)
{
	return expand_extreme(x, target, args, n, "greatest", "math.@max", ret, reterr);
}

EXPAND(expand_least)
{
	return expand_extreme(x, target, args, n, "least", "math.@min", ret, reterr);
}

/* --- extensions of messages --- */

static int expand_ext(struct cel_expander *x, struct cel_expr *target, struct cel_expr **args, bool test, struct cel_expr **ret,
					  struct err *reterr)
{
	struct buf name CLEANUP_BUF = BUF_INIT(1 << 20);
	str copy;

	if (!in_namespace(target, "proto"))
		return 0;
	if (!cel_qualified_name(args[1], &name))
		return cel_x_error(x, args[1], reterr, "proto.%s() needs the full name of an extension here", test ? "hasExt" : "getExt");
	copy = arena_str(x->arena, buf_str(&name));
	if (!copy.ptr)
		return arena_check(x->arena, "the expression", reterr);
	*ret = cel_x_select(x, args[0], copy, test);
	return 0;
}

EXPAND(expand_get_ext)
{
	(void)n;
	return expand_ext(x, target, args, false, ret, reterr);
}

EXPAND(expand_has_ext)
{
	(void)n;
	return expand_ext(x, target, args, true, ret, reterr);
}

/* --- the tables --- */

#define END                                                                                                                      \
	{                                                                                                                            \
		NULL, false, 0, NULL                                                                                                     \
	}
const struct cel_macro cel_macros_standard[] = {
	{ "has", false, 1, expand_has },
	{ "all", true, 2, expand_all },
	{ "exists", true, 2, expand_exists },
	{ "exists_one", true, 2, expand_exists_one },
	{ "existsOne", true, 2, expand_exists_one },
	{ "map", true, 2, expand_map },
	{ "map", true, 3, expand_map },
	{ "filter", true, 2, expand_filter },
	END,
};
const struct cel_macro cel_macros_comprehensions[] = {
	{ "all", true, 3, expand_all_two },
	{ "exists", true, 3, expand_exists_two },
	{ "exists_one", true, 3, expand_exists_one_two },
	{ "existsOne", true, 3, expand_exists_one_two },
	{ "transformList", true, 3, expand_transform_list },
	{ "transformList", true, 4, expand_transform_list },
	{ "transformMap", true, 3, expand_transform_map },
	{ "transformMap", true, 4, expand_transform_map },
	{ "transformMapEntry", true, 3, expand_transform_map_entry },
	{ "transformMapEntry", true, 4, expand_transform_map_entry },
	END,
};
const struct cel_macro cel_macros_optionals[] = {
	{ "optMap", true, 2, expand_opt_map },
	{ "optFlatMap", true, 2, expand_opt_flat_map },
	END,
};
const struct cel_macro cel_macros_bindings[] = { { "bind", true, 3, expand_bind }, END };
const struct cel_macro cel_macros_block[] = {
	{ "block", true, 2, expand_block },
	{ "index", true, 1, expand_index },
	{ "iterVar", true, 2, expand_iter_var },
	{ "accuVar", true, 2, expand_accu_var },
	END,
};
const struct cel_macro cel_macros_math[] = {
	{ "greatest", true, -1, expand_greatest },
	{ "least", true, -1, expand_least },
	END,
};
const struct cel_macro cel_macros_protos[] = {
	{ "getExt", true, 2, expand_get_ext },
	{ "hasExt", true, 2, expand_has_ext },
	END,
};
