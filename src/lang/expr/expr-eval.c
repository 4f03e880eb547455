/* expr-eval.c - walks a parsed expression and gives its value.
 *
 * Pure but for the embedder's ops; any thread, several at once on one tree. Recursion is bounded by the depth that the
 * parser allows. && and || give back an operand, and evaluate no more than they need. */
#include "lang/expr/expr-internal.h"

#include <math.h>

static MUST_CHECK int eval(struct expr_eval *ev, const struct expr_node *n, const struct expr_value **ret);

static MUST_CHECK int give(struct expr_eval *ev, const struct expr_value *v, const struct expr_value **ret)
{
	if (!v)
		return err_set(ev->reterr, WEIR_ELIMIT, "The maximum allowed memory size was exceeded (%zu bytes)", ev->arena->max);
	*ret = v;
	return 0;
}

/* --- looking into values --- */

/* The item that `index` means in an array: a whole number from 0 (fractions are cut), or NULL. */
static const struct expr_value *array_item(const struct expr_value *array, const struct expr_value *index)
{
	double d = floor(expr_to_number(index));

	return d >= 0 && d < (double)array->len ? array->items[(size_t)d] : NULL;
}

static const struct expr_value *member(struct expr_eval *ev, const struct expr_value *of, const struct expr_value *index)
{
	if (of->kind == EXPR_ARRAY)
		return array_item(of, index);
	if (of->kind == EXPR_OBJECT && expr_is_primitive(index))
		return expr_get(of, expr_to_string(ev->arena, index));
	return NULL;
}

/* Filtered arrays map an index over their items, and leave out those that do not have it. */
static const struct expr_value *index_filtered(struct expr_eval *ev, const struct expr_value *array,
											   const struct expr_value *index)
{
	const struct expr_value **items = ARENA_ARRAY(ev->arena, array->len ? array->len : 1, const struct expr_value *);
	size_t n = 0;

	if (!items)
		return NULL;
	for (size_t i = 0; i < array->len; i++) {
		const struct expr_value *v = member(ev, array->items[i], index);

		if (v)
			items[n++] = v;
	}
	return expr_array_new(ev->arena, items, n, true);
}

static const struct expr_value *child(const struct expr_value *of, size_t i)
{
	return of->kind == EXPR_OBJECT ? of->pairs[i].value : of->items[i];
}

/* of.*: its items or values; of an array that is filtered already, those of each of its items. */
static const struct expr_value *star(struct expr_eval *ev, const struct expr_value *of)
{
	const struct expr_value **items;
	size_t n = 0, at = 0;

	for (size_t i = 0; of->filtered && i < of->len; i++)
		n += of->items[i]->len;
	if (!of->filtered)
		n = of->len;
	items = ARENA_ARRAY(ev->arena, n ? n : 1, const struct expr_value *);
	if (!items)
		return NULL;
	for (size_t i = 0; i < of->len; i++) {
		const struct expr_value *item = child(of, i);

		if (!of->filtered)
			items[at++] = item;
		for (size_t k = 0; of->filtered && k < item->len; k++)
			items[at++] = child(item, k);
	}
	return expr_array_new(ev->arena, items, at, true);
}

static MUST_CHECK int eval_index(struct expr_eval *ev, const struct expr_node *n, const struct expr_value **ret)
{
	const struct expr_value *of, *index, *v;
	int r = eval(ev, n->first, &of);

	if (r)
		return r;
	if (n->op == EXPR_OP_STAR)
		return give(ev, star(ev, of), ret);
	r = eval(ev, n->first->next, &index);
	if (r)
		return r;
	if (of->filtered)
		return give(ev, index_filtered(ev, of, index), ret);
	v = member(ev, of, index);
	*ret = v ? v : &expr_null;
	return 0;
}

/* --- operators and calls --- */

static bool compare(enum expr_op op, const struct expr_value *l, const struct expr_value *r)
{
	switch (op) {
	case EXPR_OP_EQ: return expr_equal(l, r);
	case EXPR_OP_NE: return !expr_equal(l, r);
	case EXPR_OP_LT: return expr_order(l, r) < 0;
	case EXPR_OP_LE: return expr_equal(l, r) || expr_order(l, r) < 0;
	case EXPR_OP_GT: return expr_order(l, r) > 0;
	default: return expr_equal(l, r) || expr_order(l, r) > 0;
	}
}

static MUST_CHECK int eval_compare(struct expr_eval *ev, const struct expr_node *n, const struct expr_value **ret)
{
	const struct expr_value *left, *right;
	int r = eval(ev, n->first, &left);

	if (!r)
		r = eval(ev, n->first->next, &right);
	if (r)
		return r;
	*ret = expr_bool(compare(n->op, left, right));
	return 0;
}

static MUST_CHECK int eval_logic(struct expr_eval *ev, const struct expr_node *n, const struct expr_value **ret)
{
	int r = 0;

	for (const struct expr_node *c = n->first; c; c = c->next) {
		r = eval(ev, c, ret);
		if (r || expr_truthy(*ret) == (n->op == EXPR_OP_OR))
			break;
	}
	return r;
}

/* case(predicate, value, predicate, value, ..., otherwise) */
static MUST_CHECK int eval_case(struct expr_eval *ev, const struct expr_node *n, const struct expr_value **ret)
{
	const struct expr_node *c = n->first;

	while (c->next) {
		const struct expr_value *when;
		int r = eval(ev, c, &when);

		if (r)
			return r;
		if (when->kind != EXPR_BOOL)
			return err_set(ev->reterr, WEIR_EINVAL, "case predicate must evaluate to a boolean value");
		c = c->next;
		if (when->b)
			break;
		c = c->next;
	}
	return eval(ev, c, ret);
}

static MUST_CHECK int eval_call(struct expr_eval *ev, const struct expr_node *n, const struct expr_value **ret)
{
	const struct expr_value **args;
	size_t i = 0;
	int r = 0;

	if (n->func == EXPR_FN_CASE)
		return eval_case(ev, n, ret);
	args = ARENA_ARRAY(ev->arena, n->n ? n->n : 1, const struct expr_value *);
	if (!args)
		return give(ev, NULL, ret);
	for (const struct expr_node *c = n->first; c && !r; c = c->next)
		r = eval(ev, c, &args[i++]);
	return r ? r : expr_call(ev, n->func, args, n->n, ret);
}

static const struct expr_value *context(const struct expr_eval *ev, str name)
{
	const struct expr_value *v = ev->env->contexts ? expr_get(ev->env->contexts, name) : NULL;

	return v ? v : &expr_null;
}

static int eval(struct expr_eval *ev, const struct expr_node *n, const struct expr_value **ret)
{
	int r;

	switch (n->op) {
	case EXPR_OP_LITERAL: *ret = n->value; return 0;
	case EXPR_OP_NAMED: *ret = context(ev, n->name); return 0;
	case EXPR_OP_INDEX:
	case EXPR_OP_STAR: return eval_index(ev, n, ret);
	case EXPR_OP_NOT:
		r = eval(ev, n->first, ret);
		if (!r)
			*ret = expr_bool(!expr_truthy(*ret));
		return r;
	case EXPR_OP_AND:
	case EXPR_OP_OR: return eval_logic(ev, n, ret);
	case EXPR_OP_CALL: return eval_call(ev, n, ret);
	default: return eval_compare(ev, n, ret);
	}
}

int expr_eval(struct arena *a, const struct expr *e, const struct expr_env *env, const struct expr_value **ret,
			  struct err *reterr)
{
	struct expr_eval ev = { .arena = a, .env = env, .memory = EXPR_MEMORY_MAX, .reterr = reterr };
	const struct expr_value *v = &expr_null;
	int r = expr_check(e, env, reterr);

	if (!r && e->root)
		r = eval(&ev, e->root, &v);
	if (!r && a->failed) /* a number or text that a function left out: the value is not to be trusted */
		r = give(&ev, NULL, &v);
	if (!r)
		*ret = v;
	return r;
}
