/* logic-compare.c - equality and order.
 *
 * FLAGD and CLASSIC compare as JavaScript does: loose equality and order coerce, what cannot be compared is false, lists and
 * objects are equal by identity. COMPAT coerces to numbers or fails with NaN, compares any number of arguments pairwise and
 * lazily, and holds lists and objects equal when their contents are. Texts are ordered by their bytes, that is by code point. */
#include "base/base.h"
#include "logic-internal.h"

#include <math.h>

static inline bool text_equal(struct logic_value a, struct logic_value b) { return a.len == b.len && logic_bytes_equal(a.s, b.s, a.len); }

static int text_order(struct logic_value a, struct logic_value b)
{
	int r = memcmp(a.s, b.s, a.len < b.len ? a.len : b.len);

	return r ? r : a.len < b.len ? -1 : a.len > b.len;
}

static bool identical(struct logic_value a, struct logic_value b)
{
	/* empty lists of data and rules have an address of their own, empty results of operators none */
	return a.len == b.len && (a.kind == LOGIC_ARRAY ? a.items && a.items == b.items : a.pairs == b.pairs);
}

static bool may_go_on(struct ev *e, uint64_t steps)
{
	if (logic_charge(e, steps))
		return true;
	e->fatal = WEIR_ELIMIT;
	e->why = "the values that are compared are too deep or too many";
	return false;
}

static bool same_contents(struct ev *e, struct logic_value a, struct logic_value b, unsigned depth)
{
	if (a.len != b.len)
		return false;
	if (!may_go_on(e, depth < LOGIC_VALUE_DEPTH_MAX ? (uint64_t)a.len + 1 : UINT64_MAX))
		return false;
	for (uint32_t i = 0; i < a.len; i++) {
		const struct logic_value *other = &b.items[i];

		if (a.kind == LOGIC_OBJECT)
			other = logic_find(&b, a.pairs[i].key, a.pairs[i].key_len, a.pairs[i].hash);
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
		return a.len == b.len && (a.len < 64 || may_go_on(e, a.len / 64)) && text_equal(a, b);
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

static inline bool ordered(uint8_t op, double a, double b)
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

/* Lists and objects are compared by their text, as JavaScript does. */
static bool js_ordered(struct ev *e, const struct node *n, struct logic_value a, struct logic_value b)
{
	uint8_t op = n->op;

	if (a.kind >= LOGIC_ARRAY)
		a = logic_text_of(e, n, a);
	if (b.kind >= LOGIC_ARRAY && !is_failed(a))
		b = logic_text_of(e, n, b);
	if (is_failed(a) || is_failed(b))
		return false;
	if (a.kind == LOGIC_STRING && b.kind == LOGIC_STRING)
		return may_go_on(e, (a.len < b.len ? a.len : b.len) / 64) && ordered(op, text_order(a, b), 0);
	return ordered(op, logic_js_number(a), logic_js_number(b));
}

/* FLAGD, CLASSIC: one pair. False with e->fatal: a limit. */
static bool js_holds(struct ev *e, const struct node *n, struct logic_value a, struct logic_value b)
{
	switch (n->op) {
	case OP_EQ:
		return js_equal(e, a, b);
	case OP_NE:
		return !js_equal(e, a, b);
	case OP_SEQ:
		return logic_same(e, a, b, 0);
	case OP_SNE:
		return !logic_same(e, a, b, 0);
	default:
		return js_ordered(e, n, a, b);
	}
}

/* COMPAT: one pair. Two texts, or a text and null, compare as JavaScript has it; all else must be numbers. False: not comparable. */
static bool compat_holds(struct ev *e, const struct node *n, struct logic_value a, struct logic_value b, bool *ret)
{
	uint8_t op = n->op;
	bool texts = (a.kind == LOGIC_STRING || a.kind == LOGIC_NULL) && (b.kind == LOGIC_STRING || b.kind == LOGIC_NULL);
	double x, y;

	if (op == OP_SEQ || op == OP_SNE || texts) {
		*ret = js_holds(e, n, a, b);
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
	if (e->rule->dialect != LOGIC_COMPAT) {
		*ret = js_holds(e, n, a, b);
	} else if (!compat_holds(e, n, a, b, ret) && !e->fatal) {
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

/* What most comparisons are, two texts or two numbers, means the same in every dialect. False: it is none of that. */
static inline bool plain(uint8_t op, const struct logic_value *a, const struct logic_value *b, bool *ret)
{
	if (a->kind != b->kind)
		return false;
	if (a->kind == LOGIC_STRING && op <= OP_SNE && a->len < 64) {
		*ret = text_equal(*a, *b) == (op == OP_EQ || op == OP_SEQ);
		return true;
	}
	if (a->kind != LOGIC_NUMBER)
		return false;
	*ret = op > OP_SNE ? ordered(op, a->n, b->n) : (a->n == b->n) == (op == OP_EQ || op == OP_SEQ);
	return true;
}

static struct logic_value compare_all(struct ev *e, const struct node *n, struct logic_value a, struct logic_value b)
{
	const struct node *arg = &e->nodes[n->first];
	bool result = false;
	uint32_t i = 1;

	for (;;) {
		if (!holds(e, n, a, b, &result))
			return failed();
		if (!result || ++i >= n->n)
			return logic_bool(result);
		a = b;
		b = logic_eval_node(e, &arg[i]);
		if (is_failed(b))
			return b;
	}
}

static struct logic_value compare_slowly(struct ev *e, const struct node *n)
{
	const struct node *arg = &e->nodes[n->first];
	struct logic_value a = logic_null(), b;

	if (n->n && is_failed(a = logic_eval_node(e, arg)))
		return a;
	if (n->n > 1)
		b = logic_eval_node(e, &arg[1]);
	else /* JavaScript's undefined: loosely equal to null, else to nothing */
		b = n->op == OP_EQ || n->op == OP_NE ? logic_null() : logic_number(NAN);
	return is_failed(b) ? b : compare_all(e, n, a, b);
}

struct logic_value logic_op_compare(struct ev *e, const struct node *n)
{
	const struct node *arg = &e->nodes[n->first];
	const struct logic_value *a = n->n == 2 ? logic_peek(e, arg) : NULL, *b = a ? logic_peek(e, arg + 1) : NULL;
	bool result;

	return b && plain(n->op, a, b, &result) ? logic_bool(result) : compare_slowly(e, n);
}
