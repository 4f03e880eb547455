/* logic-text.c - texts: cat, substr, starts_with, ends_with.
 *
 * Positions of substr are code points, so that no text is cut inside a character (JavaScript counts UTF-16 units; the two agree
 * below U+10000). Made texts live in the caller's scratch arena. */
#include "base/base.h"
#include "logic-internal.h"

#include <math.h>

struct counter {
	struct sink sink;
	size_t n;
};
struct writer {
	struct sink sink;
	char *at;
};

static void count_add(struct sink *s, const char *p, size_t n)
{
	(void)p;
	((struct counter *)s)->n += n;
}

static void write_add(struct sink *s, const char *p, size_t n)
{
	struct writer *w = (struct writer *)s;

	if (n)
		memcpy(w->at, p, n);
	w->at += n;
}

/* The texts of n values one behind the other. */
static struct logic_value join(struct ev *e, const struct node *n, const struct logic_value *v, uint32_t count)
{
	struct counter c = { .sink = { count_add } };
	struct writer w = { .sink = { write_add } };
	char *text;
	bool ok = true;

	for (uint32_t i = 0; i < count && ok; i++)
		ok = logic_put_text(&c.sink, v[i], 0);
	if (!ok || c.n >= UINT32_MAX)
		return logic_fatal(e, n, WEIR_ELIMIT, "a text is too long or made of lists that are too deep");
	if (!logic_charge(e, c.n / 16))
		return logic_no_steps(e, n);
	text = logic_take(e, n, c.n + 1);
	if (!text)
		return failed();
	w.at = text;
	for (uint32_t i = 0; i < count; i++)
		if (!logic_put_text(&w.sink, v[i], 0))
			BUG("a value changed");
	return logic_string(str_n(text, c.n));
}

struct logic_value logic_text_of(struct ev *e, const struct node *n, struct logic_value v)
{
	return v.kind == LOGIC_STRING ? v : join(e, n, &v, 1);
}

enum { FEW = 16 };

struct logic_value logic_op_cat(struct ev *e, const struct node *n)
{
	struct logic_value few[FEW], *v = few;
	struct args a;

	if (!logic_args(e, n, &a))
		return failed();
	if (a.values)
		return join(e, n, a.values, a.n);
	if (a.n > FEW && !(v = logic_take(e, n, a.n * sizeof(*v))))
		return failed();
	for (uint32_t i = 0; i < a.n; i++)
		if (is_failed(v[i] = logic_arg(e, &a, i)))
			return v[i];
	return a.n == 1 ? logic_text_of(e, n, v[0]) : join(e, n, v, a.n);
}

static bool continues(char c) { return ((unsigned char)c & 0xc0) == 0x80; }

static size_t count_points(str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++)
		n += !continues(s.ptr[i]);
	return n;
}

/* Bytes in front of code point `n`. */
static size_t offset_of(str s, size_t n)
{
	size_t i = 0;

	for (; i < s.len; i++)
		if (!continues(s.ptr[i]) && !n--)
			break;
	return i;
}

/* A number argument as a whole number within +-limit; absent or no number: otherwise. */
static double whole(struct logic_value v, double otherwise, double limit)
{
	double d = v.kind == LOGIC_NULL ? otherwise : trunc(logic_js_number(v));

	return isnan(d) ? 0 : d > limit ? limit : d < -limit ? -limit : d;
}

struct logic_value logic_op_substr(struct ev *e, const struct node *n)
{
	struct logic_value v[3] = { logic_null(), logic_null(), logic_null() };
	struct args a;
	double total, from, len;
	size_t begin, end;
	str s;

	if (!logic_args(e, n, &a))
		return failed();
	for (uint32_t i = 0; i < a.n && i < 3; i++)
		if (is_failed(v[i] = logic_arg(e, &a, i)))
			return v[i];
	v[0] = v[0].kind == LOGIC_NULL ? logic_string(STR("null")) : logic_text_of(e, n, v[0]);
	if (is_failed(v[0]))
		return v[0];
	s = logic_text(v[0]);
	if (!logic_charge(e, s.len / 16))
		return logic_no_steps(e, n);
	total = (double)count_points(s);
	from = whole(v[1], 0, total);
	from = from < 0 ? total + from : from;
	len = whole(v[2], total, total);
	len = len < 0 ? total - from + len : len; /* negative: up to so many before the end */
	len = len < 0 ? 0 : len > total - from ? total - from : len;
	begin = offset_of(s, (size_t)from);
	end = begin + offset_of(str_sub(s, begin, s.len), (size_t)len);
	return logic_string(str_sub(s, begin, end - begin));
}

struct logic_value logic_op_affix(struct ev *e, const struct node *n)
{
	struct logic_value text, affix;

	if (n->n != 2)
		return logic_null();
	text = logic_eval_node(e, &e->nodes[n->first]);
	if (is_failed(text))
		return text;
	affix = logic_eval_node(e, &e->nodes[n->first + 1]);
	if (is_failed(affix))
		return affix;
	if (text.kind != LOGIC_STRING || affix.kind != LOGIC_STRING)
		return logic_null();
	if (!logic_charge(e, affix.len / 64))
		return logic_no_steps(e, n);
	return logic_bool(n->op == OP_STARTS_WITH ? str_has_prefix(logic_text(text), logic_text(affix))
											  : str_has_suffix(logic_text(text), logic_text(affix)));
}
