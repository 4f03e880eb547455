/* cel-compile-fold.c - comprehensions: the macros' own shapes become direct loops, any other runs by its parts.
 *
 * The cost of one turn is what cel-go counts for the nodes that the direct loop leaves out. Pure; part of the compiler. */
#include "base/base.h"
#include "lang/cel/cel-compile.h"

enum { WANTS_LIST = 1, WANTS_MAP = 2 }; /* p of op_loop_begin */

struct parts {                                /* of a step that makes a list or a map */
	const struct cel_expr *test, *key, *item; /* test, key: may be NULL */
	bool merge;                               /* item is a map whose entries are added */
};
struct loop_code {
	uint32_t dst, begin, next;
};

static bool is_accu(const struct cel_expr *e, str accu)
{
	return e->kind == CEL_X_IDENT && str_eq(e->ident.name, accu);
}

static bool is_test(const struct cel_fold *f, const char *function, const struct cel_expr **ret)
{
	if (!cc_is_call(f->step, function, 2) || !is_accu(f->step->call.args[0], f->accu) || !is_accu(f->result, f->accu))
		return false;
	*ret = f->step->call.args[1];
	return true;
}

static bool is_maker(const struct cel_fold *f, struct parts *ret)
{
	const struct cel_expr *add = f->step;

	*ret = (struct parts){ 0 };
	if (!is_accu(f->result, f->accu))
		return false;
	if (cc_is_call(add, "_?_:_", 3) && is_accu(add->call.args[2], f->accu)) {
		ret->test = add->call.args[0];
		add = add->call.args[1];
	}
	if (add->kind != CEL_X_CALL || add->call.n < 2 || !is_accu(add->call.args[0], f->accu))
		return false;
	ret->item = add->call.args[add->call.n - 1];
	if (cc_is_call(add, "_+_", 2) && ret->item->kind == CEL_X_LIST && ret->item->list.n == 1 && !ret->item->list.optional) {
		ret->item = ret->item->list.items[0];
		return f->kind == CEL_FOLD_MAP || f->kind == CEL_FOLD_FILTER;
	}
	ret->merge = add->call.n == 2;
	ret->key = ret->merge ? NULL : add->call.args[1];
	return f->kind == CEL_FOLD_TRANSFORM_MAP && (cc_is_call(add, "cel.@mapInsert", 2) || cc_is_call(add, "cel.@mapInsert", 3));
}

/* Range, begin, `first` into dst, next; the variables are in scope from here on. */
static struct loop_code begin(struct compiler *c, const struct cel_expr *e, uintptr_t wants, uint32_t cost, uint32_t turn_cost,
							  struct cel_value first, struct scope vars[2])
{
	const struct cel_fold *f = e->fold;
	struct loop_code l = { .dst = cc_temp(c) };
	uint32_t var = cc_temp(c), var2 = f->var2.len ? cc_temp(c) : 0, top = c->top, range = cc_expr(c, f->range);

	c->top = top;
	l.begin = cc_emit(c, op_loop_begin, e, l.dst, range, 0, cost);
	cc_at(c, l.begin)->n = c->loops;
	cc_at(c, l.begin)->p = (const void *)wants;
	cc_emit(c, op_move, e, l.dst, cc_constant(c, first), 0, 0);
	l.next = cc_emit(c, op_loop_next, e, var, 0, var2, turn_cost);
	cc_at(c, l.next)->n = c->loops;
	if (++c->loops > c->loops_max)
		c->loops_max = c->loops;
	vars[0] = (struct scope){ f->var, var, c->scope };
	vars[1] = (struct scope){ f->var2, var2, &vars[0] };
	c->scope = f->var2.len ? &vars[1] : &vars[0];
	return l;
}

static void back(struct compiler *c, const struct loop_code *l, uint32_t at)
{
	cc_at(c, at)->to = l->next;
}

/* Everything that leaves the loop goes to what comes next. */
static void end(struct compiler *c, const struct loop_code *l, const struct scope *outer)
{
	cc_land(c, l->begin);
	cc_land(c, l->next);
	c->scope = outer;
	c->loops--;
	c->top = l->dst;
}

static uint32_t test_loop(struct compiler *c, const struct cel_expr *e, const struct cel_expr *test, bool all)
{
	const struct scope *outer = c->scope;
	struct scope vars[2];
	struct loop_code l = begin(c, e, 0, 1, all ? 3 : 4, cel_of_bool(all), vars);
	uint32_t reg = cc_expr(c, test);

	back(c, &l, cc_emit(c, all ? op_all_step : op_exists_step, e, l.dst, reg, 0, 0));
	end(c, &l, outer);
	return l.dst;
}

static uint32_t one_loop(struct compiler *c, const struct cel_expr *e, const struct cel_expr *test)
{
	const struct scope *outer = c->scope;
	struct scope vars[2];
	struct loop_code l = begin(c, e, 0, 0, 1, cel_of_int(0), vars);
	uint32_t reg = cc_expr(c, test);

	back(c, &l, cc_emit(c, op_one_step, e, l.dst, reg, 0, 0));
	end(c, &l, outer);
	cc_emit(c, op_one_end, e, l.dst, l.dst, 0, 2);
	return l.dst;
}

static bool is_var(const struct cel_expr *e, str name)
{
	return e->kind == CEL_X_IDENT && str_eq(e->ident.name, name);
}

static uint32_t maker_loop(struct compiler *c, const struct cel_expr *e, const struct parts *p)
{
	const struct scope *outer = c->scope;
	bool map = e->fold->kind == CEL_FOLD_TRANSFORM_MAP;
	struct scope vars[2];
	struct loop_code l = begin(c, e, map ? WANTS_MAP : WANTS_LIST, map ? 31 : 11, 1, cel_of_null(), vars);
	uint32_t n = c->loops - 1, at, reg, key = 0;

	if (p->test) {
		reg = cc_expr(c, p->test);
		if (!map && is_var(p->item, e->fold->var) && !e->fold->var2.len) {
			at = cc_emit(c, op_filter_step, e, l.dst, reg, vars[0].reg, 0);
			cc_at(c, at)->n = n;
			back(c, &l, at);
			goto done;
		}
		back(c, &l, cc_emit(c, op_filter, e, l.dst, reg, 0, 0));
	}
	if (p->key)
		key = cc_expr(c, p->key);
	reg = cc_expr(c, p->item);
	at = !map       ? cc_emit(c, op_append, e, l.dst, reg, 0, 11)
		 : p->merge ? cc_emit(c, op_map_merge, e, l.dst, reg, 0, 1)
					: cc_emit(c, op_map_insert, e, l.dst, key, reg, 1);
	cc_at(c, at)->n = n;
	back(c, &l, at);
done:
	end(c, &l, outer);
	at = cc_emit(c, map ? op_map_end : op_list_end, e, l.dst, l.dst, 0, 0);
	cc_at(c, at)->n = n;
	return l.dst;
}

static uint32_t bind(struct compiler *c, const struct cel_expr *e)
{
	const struct scope *outer = c->scope;
	uint32_t dst = cc_temp(c), var = cc_temp(c), reg = cc_expr(c, e->fold->init);
	struct scope s = { e->fold->accu, var, outer };

	cc_emit(c, op_move, e, var, reg, 0, 0);
	c->top = var;
	c->scope = &s;
	reg = cc_expr(c, e->fold->result);
	cc_emit(c, op_move, e, dst, reg, 0, 0);
	c->scope = outer;
	c->top = dst;
	return dst;
}

static uint32_t any_loop(struct compiler *c, const struct cel_expr *e)
{
	const struct cel_fold *f = e->fold;
	const struct scope *outer = c->scope;
	uint32_t accu = cc_temp(c), test, reg, top = c->top;
	struct scope vars[2], s = { f->accu, accu, NULL };
	struct loop_code l;

	reg = cc_expr(c, f->init);
	cc_emit(c, op_move, e, accu, reg, 0, 0);
	c->top = top;
	l = begin(c, e, 0, 0, 0, cel_of_null(), vars);
	s.next = c->scope;
	c->scope = &s;
	test = cc_emit(c, op_loop_while, e, 0, cc_expr(c, f->condition), 0, 0);
	reg = cc_expr(c, f->step);
	cc_emit(c, op_move, e, accu, reg, 0, 0);
	back(c, &l, cc_emit(c, op_jump, e, 0, 0, 0, 0));
	cc_land(c, test);
	cc_land(c, l.next);
	c->loops--;
	s.next = outer;
	reg = cc_expr(c, f->result);
	cc_emit(c, op_move, e, l.dst, reg, 0, 0);
	cc_land(c, l.begin); /* a range that is none: its error is in dst already */
	c->scope = outer;
	cc_emit(c, op_move, e, accu, l.dst, 0, 0);
	c->top = accu;
	return accu;
}

uint32_t cc_fold(struct compiler *c, const struct cel_expr *e)
{
	const struct cel_fold *f = e->fold;
	const struct cel_expr *test;
	struct parts p;

	switch (f->kind) {
	case CEL_FOLD_ALL:
		if (is_test(f, "_&&_", &test))
			return test_loop(c, e, test, true);
		break;
	case CEL_FOLD_EXISTS:
		if (is_test(f, "_||_", &test))
			return test_loop(c, e, test, false);
		break;
	case CEL_FOLD_EXISTS_ONE:
		if (cc_is_call(f->step, "_?_:_", 3) && is_accu(f->step->call.args[2], f->accu))
			return one_loop(c, e, f->step->call.args[0]);
		break;
	case CEL_FOLD_MAP:
	case CEL_FOLD_FILTER:
	case CEL_FOLD_TRANSFORM_MAP:
		if (is_maker(f, &p))
			return maker_loop(c, e, &p);
		break;
	case CEL_FOLD_BIND: return bind(c, e);
	case CEL_FOLD_OTHER: break;
	}
	return any_loop(c, e);
}
