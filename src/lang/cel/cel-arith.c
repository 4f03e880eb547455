/* cel-arith.c - the arithmetic operators of CEL for every pair of kinds that has them, with the overflow checks of the
 * specification: an integer that does not fit is an error, a double becomes infinite.
 *
 * Pure: results are made in the call's arena. */
#include "base/base.h"
#include "lang/cel/cel-lib.h"

static struct cel_value overflow(struct cel_call *c, const char *type)
{
	return cel_error_value(c->arena, "%s overflow", type);
}

struct cel_value cel_no_overload(struct arena *a, str function, const struct cel_value *args, size_t n)
{
	struct buf b = BUF_INIT(400);
	struct cel_value v;

	for (size_t i = 0; i < n; i++)
		buf_addf(&b, "%s%s", i ? ", " : "", cel_kind_name(args[i]));
	v = cel_error_value(a, "no such overload: %.*s(%s)", STR_ARG(function), b.failed ? "..." : buf_z(&b));
	buf_fini(&b);
	return v;
}

static struct cel_value of_ints(struct cel_call *c, char op, int64_t a, int64_t b)
{
	int64_t r = 0;
	bool bad = false;

	switch (op) {
	case '+': bad = __builtin_add_overflow(a, b, &r); break;
	case '-': bad = __builtin_sub_overflow(a, b, &r); break;
	case '*': bad = __builtin_mul_overflow(a, b, &r); break;
	default:
		if (!b)
			return cel_error_value(c->arena, op == '/' ? "division by zero" : "modulus by zero");
		bad = b == -1 && a == INT64_MIN;
		if (!bad)
			r = op == '/' ? a / b : a % b;
	}
	return bad ? overflow(c, "integer") : cel_of_int(r);
}

static struct cel_value of_uints(struct cel_call *c, char op, uint64_t a, uint64_t b)
{
	uint64_t r = 0;
	bool bad = false;

	switch (op) {
	case '+': bad = __builtin_add_overflow(a, b, &r); break;
	case '-': bad = __builtin_sub_overflow(a, b, &r); break;
	case '*': bad = __builtin_mul_overflow(a, b, &r); break;
	default:
		if (!b)
			return cel_error_value(c->arena, op == '/' ? "division by zero" : "modulus by zero");
		r = op == '/' ? a / b : a % b;
	}
	return bad ? overflow(c, "unsigned integer") : cel_of_uint(r);
}

static double of_doubles(char op, double a, double b)
{
	return op == '+' ? a + b : op == '-' ? a - b : op == '*' ? a * b : a / b;
}

static struct cel_value join_text(struct cel_call *c, struct cel_value a, struct cel_value b)
{
	char *p;

	if (!b.len || !a.len)
		return b.len ? b : a;
	if ((uint64_t)a.len + b.len > UINT32_MAX || !(p = arena_alloc(c->arena, (size_t)a.len + b.len)))
		return cel_error_value(c->arena, "out of memory");
	memcpy(p, a.s, a.len);
	memcpy(p + a.len, b.s, b.len);
	a.s = p;
	a.len += b.len;
	return a;
}

static struct cel_value join_lists(struct cel_call *c, const struct cel_list *a, const struct cel_list *b)
{
	struct cel_value *items, over;

	if (!cel_spend(c, (a->n + b->n) / 8, &over))
		return over;
	items = ARENA_ARRAY(c->arena, a->n + b->n, struct cel_value);
	if (!items)
		return cel_error_value(c->arena, "out of memory");
	if (a->n)
		memcpy(items, a->items, a->n * sizeof(*items));
	if (b->n)
		memcpy(items + a->n, b->items, b->n * sizeof(*items));
	return cel_list_adopt(c->arena, items, a->n + b->n);
}

static struct cel_value of_times(struct cel_call *c, char op, struct cel_value a, struct cel_value b, bool *ret_is)
{
	struct cel_value r;
	bool ta = a.kind == CEL_TIMESTAMP, tb = b.kind == CEL_TIMESTAMP;

	*ret_is = op == '+' ? !(ta && tb) : op == '-' && !(tb && !ta);
	if (!*ret_is)
		return a;
	if (!cel_time_add(a, b, op == '+' ? 1 : -1, &r))
		return cel_error_value(c->arena, ta != tb ? "timestamp out of range" : "duration out of range");
	return r;
}

/* False: the kind has no such operator. */
static bool of_one_kind(struct cel_call *c, char op, struct cel_value a, struct cel_value b, struct cel_value *ret)
{
	switch (a.kind) {
	case CEL_INT: *ret = of_ints(c, op, a.i, b.i); return true;
	case CEL_UINT: *ret = of_uints(c, op, a.u, b.u); return true;
	case CEL_DOUBLE:
		if (op != '%')
			*ret = cel_of_double(of_doubles(op, a.d, b.d));
		return op != '%';
	case CEL_STRING:
	case CEL_BYTES:
		if (op == '+')
			*ret = join_text(c, a, b);
		return op == '+';
	case CEL_LIST:
		if (op == '+')
			*ret = !b.list->n ? a : !a.list->n ? b : join_lists(c, a.list, b.list);
		return op == '+';
	default: return false;
	}
}

static bool is_time(struct cel_value v)
{
	return v.kind == CEL_TIMESTAMP || v.kind == CEL_DURATION;
}

struct cel_value cel_arith(struct cel_call *c, char op, struct cel_value a, struct cel_value b)
{
	const struct cel_value args[] = { a, b };
	const char             name[] = { '_', op, '_' };
	struct cel_value       r = a;
	bool                   is;

	if (cel_is_bad(a) || cel_is_bad(b))
		return !cel_is_bad(a) ? b : !cel_is_bad(b) ? a : cel_merge_bad(c->arena, a, b);
	if (is_time(a) && is_time(b))
		r = of_times(c, op, a, b, &is);
	else
		is = a.kind == b.kind && of_one_kind(c, op, a, b, &r);
	return is ? r : cel_no_overload(c->arena, str_n(name, 3), args, 2);
}

struct cel_value cel_negate(struct cel_call *c, struct cel_value v)
{
	if (cel_is_bad(v))
		return v;
	if (v.kind == CEL_INT)
		return v.i == INT64_MIN ? overflow(c, "integer") : cel_of_int(-v.i);
	return v.kind == CEL_DOUBLE ? cel_of_double(-v.d) : cel_no_overload(c->arena, STR("-_"), &v, 1);
}
