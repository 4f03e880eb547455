/* logic-compare.c - equality and order.
 *
 * FLAGD and CLASSIC compare as JavaScript does: loose equality and order coerce, what cannot be compared is false, lists and
 * objects are equal by identity. COMPAT coerces to numbers or fails with NaN, compares any number of arguments pairwise and
 * lazily, and holds lists and objects equal when their contents are. Texts are ordered by their bytes, that is by code point. */
#include "base/base.h"
#include "logic-internal.h"

#include <math.h>

static bool text_equal(struct logic_value a, struct logic_value b) { return a.len == b.len && !memcmp(a.s, b.s, a.len); }

static int text_order(struct logic_value a, struct logic_value b)
{
	int r = memcmp(a.s, b.s, a.len < b.len ? a.len : b.len);

	return r ? r : a.len < b.len ? -1 : a.len > b.len;
}

static bool identical(struct logic_value a, struct logic_value b)
{
	return a.len == b.len && (a.kind == LOGIC_ARRAY ? a.items == b.items : a.pairs == b.pairs);
}

static bool same_contents(struct ev *e, struct logic_value a, struct logic_value b, unsigned depth)
{
	if (a.len != b.len)
		return false;
	if (depth >= LOGIC_VALUE_DEPTH_MAX || !logic_charge(e, (uint64_t)a.len + 1)) {
		e->fatal = WEIR_ELIMIT;
		e->why = "the values that are compared are too deep or too many";
		return false;
	}
	for (uint32_t i = 0; i < a.len; i++) {
		const struct logic_value *other = &b.items[i];

		if (a.kind == LOGIC_OBJECT)
			other = logic_find(b, a.pairs[i].key, a.pairs[i].key_len, a.pairs[i].hash);
		if (!other || !logic_same(e, a.kind == LOGIC_OBJECT ? a.pairs[i].value : a.items[i], *other, depth + 1))
			return false;
	}
	return true;
}

bool logic_same(struct ev *e, struct logic_value a, struct logic_value b, unsigned depth)
{
	if (a.kind != b.kind)
		return false;
	switch (a.kind) {
	case LOGIC_BOOL:
		return a.b == b.b;
	case LOGIC_NUMBER:
		return a.n == b.n;
	case LOGIC_STRING:
		return text_equal(a, b);
	case LOGIC_ARRAY:
	case LOGIC_OBJECT:
		return e->rule->dialect == LOGIC_COMPAT ? same_contents(e, a, b, depth) : identical(a, b);
	default:
		return true;
	}
}

/* The text of a list or object in front of `==` with a text: compared as it is made. */
struct comparing {
	struct sink sink;
	str rest;
	bool equal;
};

static void compare_add(struct sink *s, const char *p, size_t n)
{
	struct comparing *c = (struct comparing *)s;

	c->equal = c->equal && n <= c->rest.len && !memcmp(c->rest.ptr, p, n);
	if (c->equal)
		c->rest = str_sub(c->rest, n, c->rest.len);
}

static bool js_equal(struct ev *e, struct logic_value a, struct logic_value b)
{
	struct comparing c = { .sink = { compare_add }, .equal = true };

	if (a.kind == b.kind)
		return logic_same(e, a, b, 0);
	if (a.kind == LOGIC_NULL || b.kind == LOGIC_NULL)
		return false;
	if (a.kind < b.kind) /* so that a list or object, if any, is a */
		return js_equal(e, b, a);
	if (a.kind >= LOGIC_ARRAY && b.kind == LOGIC_STRING) {
		c.rest = logic_text(b);
		return logic_put_text(&c.sink, a, 0) && c.equal && !c.rest.len;
	}
	return a.kind != LOGIC_OBJECT && logic_js_number(a) == logic_js_number(b);
}

static bool ordered(uint8_t op, double a, double b)
{
	switch (op) {
	case OP_LT:
		return a < b;
	case OP_LE:
		return a <= b;
	case OP_GT:
		return a > b;
	default:
		return a >= b;
	}
}

static bool js_ordered(uint8_t op, struct logic_value a, struct logic_value b)
{
	if (a.kind == LOGIC_STRING && b.kind == LOGIC_STRING)
		return ordered(op, text_order(a, b), 0);
	return ordered(op, logic_js_number(a), logic_js_number(b));
}

/* FLAGD, CLASSIC: one pair. */
static bool js_holds(struct ev *e, uint8_t op, struct logic_value a, struct logic_value b)
{
	switch (op) {
	case OP_EQ:
		return js_equal(e, a, b);
	case OP_NE:
		return !js_equal(e, a, b);
	case OP_SEQ:
		return logic_same(e, a, b, 0);
	case OP_SNE:
		return !logic_same(e, a, b, 0);
	default:
		return js_ordered(op, a, b);
	}
}

/* COMPAT: one pair. Two texts, or a text and null, compare as JavaScript has it; all else must be numbers. False: not comparable. */
static bool compat_holds(struct ev *e, uint8_t op, struct logic_value a, struct logic_value b, bool *ret)
{
	bool texts = (a.kind == LOGIC_STRING || a.kind == LOGIC_NULL) && (b.kind == LOGIC_STRING || b.kind == LOGIC_NULL);
	double x, y;

	if (op == OP_SEQ || op == OP_SNE || texts) {
		*ret = js_holds(e, op, a, b);
		return true;
	}
	if ((op == OP_EQ || op == OP_NE) && a.kind == b.kind && a.kind >= LOGIC_ARRAY && logic_same(e, a, b, 0)) {
		*ret = op == OP_EQ;
		return true;
	}
	x = a.kind >= LOGIC_ARRAY ? NAN : logic_js_number(a);
	y = b.kind >= LOGIC_ARRAY ? NAN : logic_js_number(b);
	if (isnan(x) || isnan(y))
		return false;
	*ret = op == OP_EQ ? x == y : op == OP_NE ? x != y : ordered(op, x, y);
	return true;
}

static bool holds(struct ev *e, const struct node *n, struct logic_value a, struct logic_value b, bool *ret)
{
	if (__builtin_expect(a.kind == LOGIC_STRING && a.len >= 64 && !logic_charge(e, a.len / 64), 0)) {
		logic_no_steps(e, n);
		return false;
	}
	if (e->rule->dialect != LOGIC_COMPAT) {
		*ret = js_holds(e, n->op, a, b);
	} else if (!compat_holds(e, n->op, a, b, ret) && !e->fatal) {
		logic_throw_type(e, n, "NaN", "the values cannot be compared");
		return false;
	}
	if (__builtin_expect(e->fatal, 0)) {
		e->at = n;
		e->at_rule = e->rule;
		return false;
	}
	return true;
}

struct logic_value logic_op_compare(struct ev *e, const struct node *n)
{
	const struct node *arg = &e->nodes[n->first];
	struct logic_value a = n->n ? logic_eval_node(e, arg) : logic_null(), b;
	/* JavaScript's undefined: loosely equal to null, else to nothing */
	struct logic_value absent = n->op == OP_EQ || n->op == OP_NE ? logic_null() : logic_number(NAN);
	bool result = false;
	uint32_t i = 1;

	if (is_failed(a))
		return a;
	do {
		b = i < n->n ? logic_eval_node(e, &arg[i]) : absent;
		if (is_failed(b) || !holds(e, n, a, b, &result))
			return failed();
		a = b;
	} while (result && ++i < n->n);
	return logic_bool(result);
}
