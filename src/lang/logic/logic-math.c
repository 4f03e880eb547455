/* logic-math.c - arithmetic, min and max.
 *
 * CLASSIC and FLAGD: JavaScript's numbers as json-logic-js uses them (+ and * read texts as parseFloat() does); what is no number
 * becomes NaN, which is false everywhere and null at the end. COMPAT: an operand that is no number, a division by zero and a
 * result that is no finite number fail with NaN, a wrong number of arguments with Invalid Arguments. */
#include "base/base.h"
#include "logic-internal.h"

#include <math.h>

static double parse_float(struct logic_value v)
{
	double n;

	if (v.kind == LOGIC_NUMBER)
		return v.n;
	if (v.kind == LOGIC_ARRAY && v.len)
		return parse_float(v.items[0]);
	return v.kind == LOGIC_STRING && logic_parse_number(logic_text(v), true, &n) ? n : NAN;
}

static double combine(uint8_t op, double a, double b)
{
	switch (op) {
	case OP_ADD:
		return a + b;
	case OP_SUB:
		return a - b;
	case OP_MUL:
		return a * b;
	case OP_DIV:
		return a / b;
	case OP_MOD:
		return fmod(a, b);
	case OP_MAX:
		return isnan(a) || isnan(b) ? NAN : a > b ? a : b;
	default:
		return isnan(a) || isnan(b) ? NAN : a < b ? a : b;
	}
}

/* --- FLAGD, CLASSIC --- */

/* What nothing gives: the neutral number of the operator. */
static double classic_start(uint8_t op) { return op == OP_MAX ? -INFINITY : op == OP_MIN ? INFINITY : 0; }

static struct logic_value classic(struct ev *e, const struct node *n, const struct args *a)
{
	bool floats = n->op == OP_ADD || n->op == OP_MUL, pair = n->op == OP_SUB || n->op == OP_DIV || n->op == OP_MOD;
	uint32_t count = pair && a->n > 2 ? 2 : a->n;
	double result = classic_start(n->op), x;
	struct logic_value v;

	for (uint32_t i = 0; i < count; i++) {
		v = logic_arg(e, a, i);
		if (is_failed(v) || (n->op == OP_MUL && count == 1)) /* alone, a factor stays what it is */
			return v;
		x = floats ? parse_float(v) : logic_js_number(v);
		result = i || n->op == OP_MAX || n->op == OP_MIN ? combine(n->op, result, x) : x;
	}
	if (pair && count < 2)
		result = n->op == OP_SUB && count ? -result : NAN;
	return logic_number(result);
}

/* --- COMPAT --- */

static bool operand(struct ev *e, const struct node *n, struct logic_value v, double *ret)
{
	if (is_failed(v))
		return false;
	if ((n->op == OP_MAX || n->op == OP_MIN) && v.kind != LOGIC_NUMBER) {
		logic_throw_type(e, n, "Invalid Arguments", "an argument is no number");
		return false;
	}
	*ret = v.kind >= LOGIC_ARRAY ? NAN : logic_js_number(v);
	if (!isnan(*ret))
		return true;
	logic_throw_type(e, n, "NaN", "an argument is no number");
	return false;
}

static bool enough(const struct node *n, uint32_t count)
{
	return n->op == OP_ADD || n->op == OP_MUL || count >= (n->op == OP_MOD ? 2 : 1);
}

static struct logic_value compat(struct ev *e, const struct node *n, const struct args *a)
{
	bool divides = n->op == OP_DIV || n->op == OP_MOD;
	double result = n->op == OP_MUL, x;

	if (!enough(n, a->n))
		return logic_throw_type(e, n, "Invalid Arguments", "there are too few arguments");
	for (uint32_t i = 0; i < a->n; i++) {
		if (!operand(e, n, logic_arg(e, a, i), &x))
			return failed();
		if (divides && (i || a->n == 1) && x == 0)
			return logic_throw_type(e, n, "NaN", "division by zero");
		result = i ? combine(n->op, result, x) : x;
	}
	if (a->n == 1 && n->op == OP_SUB)
		result = -result;
	if (a->n == 1 && n->op == OP_DIV)
		result = 1 / result;
	return isfinite(result) ? logic_number(result) : logic_throw_type(e, n, "NaN", "the result is no finite number");
}

struct logic_value logic_op_math(struct ev *e, const struct node *n)
{
	struct args a;

	if (!logic_args(e, n, &a))
		return failed();
	if (a.n > 16 && a.values && !logic_charge(e, a.n))
		return logic_no_steps(e, n);
	return e->rule->dialect == LOGIC_COMPAT ? compat(e, n, &a) : classic(e, n, &a);
}
