/* cel-cost.c - bounds on what an evaluation costs, before it runs: the machine's counting rules applied to what is known of
 * sizes.
 *
 * Guarantees: the maximum is never below what cel_eval counts for values within the sizes that were told. What is not known is
 * UINT64_MAX and makes the sum unbounded. Recursion is bounded by the tree's height, memory by COST_MEMORY_MAX. Any thread. */
#include "base/base.h"
#include "lang/cel/cel-shape.h"

enum { COST_MEMORY_MAX = 64 << 20, ARGS_MAX = 64 };

/* What the machine counts for a node by itself (cel-compile*.c, cel-vm*.c). */
enum {
	COST_LIST = 10,
	COST_MAP = 30,
	COST_STRUCT = 40,
	COST_TEST_BEGIN = 1,
	COST_ALL_TURN = 3,
	COST_EXISTS_TURN = 4,
	COST_ONE_END = 2,
	COST_MAKER_LIST = 11,
	COST_MAKER_MAP = 31,
	COST_APPEND = 11,
};

static struct cel_cost visit(struct shaper *s, const struct cel_expr *e, const struct shape **ret);

static struct cel_cost plus(struct cel_cost a, struct cel_cost b)
{
	return (struct cel_cost){ shape_add(a.min, b.min), shape_add(a.max, b.max) };
}

static struct cel_cost flat(uint64_t n)
{
	return (struct cel_cost){ n, n };
}

/* One of the two is run. */
static struct cel_cost either(struct cel_cost a, struct cel_cost b)
{
	return (struct cel_cost){ a.min < b.min ? a.min : b.min, a.max > b.max ? a.max : b.max };
}

/* 0 to n times. */
static struct cel_cost times(uint64_t n, struct cel_cost c)
{
	return (struct cel_cost){ 0, shape_multiply(n, c.max) };
}

static struct cel_cost visit_only(struct shaper *s, const struct cel_expr *e)
{
	const struct shape *unused;

	return visit(s, e, &unused);
}

/* --- calls --- */

static bool is_any_of(str name, const char *const *names)
{
	for (; *names; names++)
		if (str_eqz(name, *names))
			return true;
	return false;
}

/* What a call of the overload costs at most beyond 1. */
static uint64_t rule_cost(const struct cel_function *f, const struct shape *const *args, size_t n)
{
	uint64_t sum = 0, a = n ? args[0]->size : 1, b = n > 1 ? args[1]->size : 1;

	switch (f->cost) {
	case CEL_COST_1: return 0;
	case CEL_COST_SCAN: return shape_tenth(a);
	case CEL_COST_SCAN_ALL:
		for (size_t i = 0; i < n; i++)
			sum = shape_add(sum, args[i]->size);
		return shape_tenth(sum);
	case CEL_COST_PRODUCT:
		return n > 1 ? shape_multiply(shape_add(shape_tenth(a), 1), shape_add(b == UINT64_MAX ? b : b / 4, 1)) : 0;
	case CEL_COST_ITEMS: return a;
	}
	return UINT64_MAX;
}

static uint64_t overload_cost(const struct cel_expr *e, const struct cel_overload *o, const struct shape *const *args, size_t n)
{
	static const char *const compares[] = { "_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", NULL };
	uint64_t known;

	if (is_any_of(e->call.function, compares) && n == 2) /* up to where the shorter one ends */
		return shape_tenth(args[0]->size < args[1]->size ? args[0]->size : args[1]->size);
	if (str_eqz(e->call.function, "@in") && n == 2) /* the list is the second argument */
		return o->params[1]->kind == CEL_T_MAP ? 0 : args[1]->size;
	if (!strcmp(o->decl->overload, "lists_range")) {
		known = e->call.n == 1 && e->call.args[0]->kind == CEL_X_CONST && e->call.args[0]->constant.i >= 0
					? (uint64_t)e->call.args[0]->constant.i
					: UINT64_MAX;
		return shape_tenth(known);
	}
	return rule_cost(o->decl, args, n);
}

/* The dearest of the overloads that may be called, and the shape of what comes out of them. */
static struct cel_cost resolve(struct shaper *s, const struct cel_expr *e, const struct shape *const *args, size_t n,
							   const struct shape **ret)
{
	uint64_t max = 0;

	*ret = NULL;
	for (size_t i = 0; i < e->call.n_overloads; i++) {
		const struct shape *one = shape_of_call(s, e, e->call.overloads[i], args, n);
		uint64_t cost = overload_cost(e, e->call.overloads[i], args, n);

		max = cost > max ? cost : max;
		*ret = *ret ? shape_either(s, *ret, one) : one;
	}
	if (!*ret)
		*ret = shape_unknown(s);
	return (struct cel_cost){ 1, shape_add(1, max) };
}

static struct cel_cost visit_ternary(struct shaper *s, const struct cel_expr *e, const struct shape **ret)
{
	const struct shape *yes, *no;
	struct cel_cost test = visit_only(s, e->call.args[0]), a = visit(s, e->call.args[1], &yes),
					b = visit(s, e->call.args[2], &no);
	struct cel_cost one = either(a, b);

	one.min = 0; /* a test that went wrong runs neither */
	*ret = shape_either(s, yes, no);
	return plus(test, one);
}

/* a && b, a.orValue(b): b perhaps. */
static struct cel_cost visit_lazy(struct shaper *s, const struct cel_expr *first, const struct cel_expr *second, uint64_t own,
								  const struct shape **ret)
{
	const struct shape *a, *b;
	struct cel_cost x = visit(s, first, &a), y = visit(s, second, &b);

	y.min = 0;
	*ret = shape_either(s, a, b);
	return plus(flat(own), plus(x, y));
}

static struct cel_cost visit_block(struct shaper *s, const struct cel_expr *e, const struct shape **ret)
{
	const struct cel_expr *items = e->call.args[0];
	const struct shape_local *outer = s->locals;
	struct cel_cost sum = flat(0);

	for (size_t i = 0; i < items->list.n; i++) {
		const struct shape *one;
		const char *name = arena_printf(s->arena, "@index%zu", i);

		sum = plus(sum, visit(s, items->list.items[i], &one));
		shape_push(s, str_z(name), one);
	}
	sum = plus(sum, visit(s, e->call.args[1], ret));
	s->locals = outer;
	return sum;
}

static bool is_lazy_method(const struct cel_expr *e)
{
	return e->call.target && e->call.n == 1 && (str_eqz(e->call.function, "or") || str_eqz(e->call.function, "orValue"));
}

static struct cel_cost visit_call(struct shaper *s, const struct cel_expr *e, const struct shape **ret)
{
	const struct shape *args[ARGS_MAX];
	struct cel_cost sum = flat(0);
	size_t n = 0;

	if (str_eqz(e->call.function, "_?_:_") && e->call.n == 3)
		return visit_ternary(s, e, ret);
	if ((str_eqz(e->call.function, "_&&_") || str_eqz(e->call.function, "_||_")) && e->call.n == 2)
		return visit_lazy(s, e->call.args[0], e->call.args[1], 0, ret);
	if (is_lazy_method(e))
		return visit_lazy(s, e->call.target, e->call.args[0], 1, ret);
	if (str_eqz(e->call.function, "cel.@block") && e->call.n == 2 && e->call.args[0]->kind == CEL_X_LIST)
		return visit_block(s, e, ret);
	if (e->call.target)
		sum = plus(sum, visit(s, e->call.target, &args[n++]));
	for (size_t i = 0; i < e->call.n && n < ARGS_MAX; i++)
		sum = plus(sum, visit(s, e->call.args[i], &args[n++]));
	return plus(sum, resolve(s, e, args, n, ret));
}

/* --- literals --- */

static struct cel_cost visit_list(struct shaper *s, const struct cel_expr *e, const struct shape **ret)
{
	struct cel_cost sum = flat(COST_LIST);
	const struct shape *items = NULL, *one;

	for (size_t i = 0; i < e->list.n; i++) {
		sum = plus(sum, visit(s, e->list.items[i], &one));
		items = items ? shape_either(s, items, one) : one;
	}
	*ret = shape_make(s, e->list.n, NULL, items ? items : shape_sized(s, 0));
	return sum;
}

static struct cel_cost visit_entries(struct shaper *s, const struct cel_expr *e, const struct shape **ret)
{
	struct cel_cost sum = flat(e->kind == CEL_X_MAP ? COST_MAP : COST_STRUCT);
	const struct shape *keys = NULL, *items = NULL, *one;

	for (size_t i = 0; i < e->map.n; i++) {
		if (e->map.entries[i].key) {
			sum = plus(sum, visit(s, e->map.entries[i].key, &one));
			keys = keys ? shape_either(s, keys, one) : one;
		}
		sum = plus(sum, visit(s, e->map.entries[i].value, &one));
		items = items ? shape_either(s, items, one) : one;
	}
	if (e->kind == CEL_X_MAP)
		*ret = shape_make(s, e->map.n, keys ? keys : shape_sized(s, 0), items ? items : shape_sized(s, 0));
	else
		*ret = shape_unknown(s);
	return sum;
}

/* --- folds --- */

/* The loop's variables, each turn's shapes. */
static void push_variables(struct shaper *s, const struct cel_expr *e, const struct shape *range)
{
	const struct cel_fold *f = e->fold;
	const struct cel_type *t = f->range->type;
	const struct shape *keys = t->kind == CEL_T_LIST ? shape_sized(s, 1) : shape_keys(s, range), *items = shape_items(s, range);

	if (f->var2.len) {
		shape_push(s, f->var, keys);
		shape_push(s, f->var2, items);
	} else {
		shape_push(s, f->var, t->kind == CEL_T_LIST ? items : t->kind == CEL_T_MAP ? keys : shape_either(s, keys, items));
	}
}

struct maker {                         /* the parts of a step that makes a list or a map */
	const struct cel_expr *test, *add; /* test may be NULL */
};

static struct maker maker_of(const struct cel_fold *f)
{
	struct maker m = { NULL, f->step };

	if (m.add->kind == CEL_X_CALL && str_eqz(m.add->call.function, "_?_:_")) {
		m.test = m.add->call.args[0];
		m.add = m.add->call.args[1];
	}
	return m;
}

/* One turn of map, filter, transformList. */
static struct cel_cost list_turn(struct shaper *s, const struct cel_fold *f, const struct shape *range, const struct shape **ret)
{
	struct maker m = maker_of(f);
	const struct cel_expr *item = m.add->call.args[1]->list.items[0];
	const struct shape *one;
	struct cel_cost turn = plus(flat(1 + COST_APPEND), visit(s, item, &one));

	if (m.test)
		turn = plus(turn, visit_only(s, m.test));
	*ret = shape_make(s, range->size, NULL, one);
	return turn;
}

/* One turn of transformMap and transformMapEntry. */
static struct cel_cost map_turn(struct shaper *s, const struct cel_fold *f, const struct shape *range, const struct shape **ret)
{
	struct maker m = maker_of(f);
	const struct shape *key, *value;
	struct cel_cost turn = flat(2);

	if (m.test)
		turn = plus(turn, visit_only(s, m.test));
	if (m.add->call.n == 3) {
		turn = plus(turn, plus(visit(s, m.add->call.args[1], &key), visit(s, m.add->call.args[2], &value)));
		*ret = shape_make(s, range->size, key, value);
	} else {
		turn = plus(turn, visit(s, m.add->call.args[1], &value));
		turn = plus(turn, flat(value->size));
		*ret = shape_make(s, shape_multiply(range->size, value->size), shape_keys(s, value), shape_items(s, value));
	}
	return turn;
}

/* Any other: by its parts. The result may have any size. */
static struct cel_cost any_fold(struct shaper *s, const struct cel_fold *f, const struct shape *range, const struct shape **ret)
{
	const struct shape_local *outer = s->locals;
	struct cel_cost init = visit_only(s, f->init), turn;

	shape_push(s, f->accu, shape_unknown(s));
	turn = plus(visit_only(s, f->condition), visit_only(s, f->step));
	init = plus(init, times(range->size, turn));
	init = plus(init, visit_only(s, f->result));
	s->locals = outer;
	*ret = shape_unknown(s);
	return init;
}

static struct cel_cost visit_bind(struct shaper *s, const struct cel_fold *f, const struct shape **ret)
{
	const struct shape_local *outer = s->locals;
	const struct shape *value;
	struct cel_cost sum = visit(s, f->init, &value);

	shape_push(s, f->accu, value);
	sum = plus(sum, visit(s, f->result, ret));
	s->locals = outer;
	return sum;
}

static struct cel_cost loop_cost(struct shaper *s, const struct cel_fold *f, const struct shape *range, const struct shape **ret)
{
	struct cel_cost turn;

	*ret = shape_sized(s, 1);
	switch (f->kind) {
	case CEL_FOLD_ALL:
	case CEL_FOLD_EXISTS:
		turn = plus(flat(f->kind == CEL_FOLD_ALL ? COST_ALL_TURN : COST_EXISTS_TURN), visit_only(s, f->step->call.args[1]));
		return plus(flat(COST_TEST_BEGIN), times(range->size, turn));
	case CEL_FOLD_EXISTS_ONE:
		turn = plus(flat(1), visit_only(s, f->step->call.args[0]));
		return plus(flat(COST_ONE_END), times(range->size, turn));
	case CEL_FOLD_MAP:
	case CEL_FOLD_FILTER: turn = list_turn(s, f, range, ret); return plus(flat(COST_MAKER_LIST), times(range->size, turn));
	case CEL_FOLD_TRANSFORM_MAP: turn = map_turn(s, f, range, ret); return plus(flat(COST_MAKER_MAP), times(range->size, turn));
	default: return any_fold(s, f, range, ret);
	}
}

static struct cel_cost visit_fold(struct shaper *s, const struct cel_expr *e, const struct shape **ret)
{
	const struct shape_local *outer = s->locals;
	const struct shape *range;
	struct cel_cost sum;

	if (e->fold->kind == CEL_FOLD_BIND)
		return visit_bind(s, e->fold, ret);
	sum = visit(s, e->fold->range, &range);
	push_variables(s, e, range);
	sum = plus(sum, loop_cost(s, e->fold, range, ret));
	s->locals = outer;
	return sum;
}

/* --- the tree --- */

static struct cel_cost visit(struct shaper *s, const struct cel_expr *e, const struct shape **ret)
{
	struct cel_cost c;
	const struct shape *operand;

	switch (e->kind) {
	case CEL_X_CONST: *ret = shape_of_constant(s, &e->constant); return flat(0);
	case CEL_X_IDENT: *ret = shape_of_name(s, e); return flat(e->ident.is_constant ? 0 : 1);
	case CEL_X_SELECT:
		c = visit(s, e->select.operand, &operand);
		*ret = e->select.test_only ? shape_sized(s, 1) : shape_field(s, operand, e->select.field, e->type);
		return plus(c, flat(1));
	case CEL_X_CALL: return visit_call(s, e, ret);
	case CEL_X_LIST: return visit_list(s, e, ret);
	case CEL_X_MAP:
	case CEL_X_STRUCT: return visit_entries(s, e, ret);
	case CEL_X_FOLD: return visit_fold(s, e, ret);
	}
	*ret = shape_unknown(s);
	return flat(UINT64_MAX);
}

int cel_cost_estimate(const struct cel_ast *ast, uint64_t (*size_of)(void *ctx, str attribute), void *ctx, struct cel_cost *ret,
					  struct err *reterr)
{
	struct arena a CLEANUP_ARENA = ARENA_INIT(COST_MEMORY_MAX);
	struct shaper s = { .arena = &a, .size_of = size_of, .ctx = ctx };
	const struct shape *unused;
	struct cel_cost c;

	if (!ast->checked)
		return err_set(reterr, WEIR_EINVAL, "%s: the cost of an expression without checked types cannot be estimated", ast->file);
	c = visit(&s, ast->root, &unused);
	if (a.failed)
		return arena_check(&a, "the estimate", reterr);
	*ret = c;
	return 0;
}
