/* json-write.c - writes JSON: the streaming writer jw_*, and trees as plain or canonical JSON (see doc.h).
 *
 * Numbers are written as ECMAScript does (RFC 8785 asks for it): the fewest digits that read back as the same double.
 * Misuse of the writer is a BUG; a full or failed buf is the caller's to check (buf_check). Any thread. */
#include "base/base.h"
#include "doc/doc.h"

#include "base/limits.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>

enum { JW_DEPTH_MAX = 64 };

void jw_init(struct jw *w, struct buf *out) { *w = (struct jw){ .out = out, .first = 1 }; }

static bool top_bit(uint64_t bits, unsigned depth) { return bits >> depth & 1; }

/* Before each value: its comma, and that it stands where a value may stand. */
static void before_value(struct jw *w)
{
	if (w->depth && top_bit(w->is_obj, w->depth)) {
		if (!w->after_key)
			BUG("json: a value without a key");
		w->after_key = false;
		return;
	}
	if (!top_bit(w->first, w->depth)) {
		if (!w->depth)
			BUG("json: a second value at the top");
		buf_addc(w->out, ',');
	}
	w->first &= ~(UINT64_C(1) << w->depth);
}

static void open_level(struct jw *w, bool is_obj)
{
	before_value(w);
	if (w->depth + 1 >= JW_DEPTH_MAX)
		BUG("json: written deeper than %d", JW_DEPTH_MAX);
	w->depth++;
	w->first |= UINT64_C(1) << w->depth;
	w->is_obj &= ~(UINT64_C(1) << w->depth);
	w->is_obj |= (uint64_t)is_obj << w->depth;
	buf_addc(w->out, is_obj ? '{' : '[');
}

void jw_obj(struct jw *w) { open_level(w, true); }

void jw_arr(struct jw *w) { open_level(w, false); }

void jw_end(struct jw *w)
{
	if (!w->depth || w->after_key)
		BUG("json: an end without a beginning or behind a key");
	buf_addc(w->out, top_bit(w->is_obj, w->depth) ? '}' : ']');
	w->depth--;
}

static void add_string(struct buf *out, str s)
{
	buf_addc(out, '"');
	buf_add_json(out, s);
	buf_addc(out, '"');
}

void jw_key_n(struct jw *w, str key)
{
	if (!w->depth || !top_bit(w->is_obj, w->depth) || w->after_key)
		BUG("json: a key outside an object or behind a key");
	if (!top_bit(w->first, w->depth))
		buf_addc(w->out, ',');
	w->first &= ~(UINT64_C(1) << w->depth);
	add_string(w->out, key);
	buf_addc(w->out, ':');
	w->after_key = true;
}

void jw_key(struct jw *w, const char *key) { jw_key_n(w, str_z(key)); }

void jw_str(struct jw *w, str s)
{
	before_value(w);
	if (!s.ptr)
		buf_addz(w->out, "null");
	else
		add_string(w->out, s);
}

void jw_strz(struct jw *w, const char *z) { jw_str(w, str_z(z)); }

void jw_fmt(struct jw *w, const char *fmt, ...)
{
	/* a rejected buf must stay failed, so the text takes what is left of the buf's own maximum */
	struct buf text = BUF_INIT(w->out->max);
	va_list    ap;

	va_start(ap, fmt);
	buf_addv(&text, fmt, ap);
	va_end(ap);
	if (text.failed)
		w->out->failed = true;
	jw_str(w, buf_str(&text));
	buf_fini(&text);
}

void jw_int(struct jw *w, int64_t i)
{
	char     text[24], *p = text + sizeof(text);
	uint64_t u = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;

	before_value(w);
	do
		*--p = (char)('0' + u % 10);
	while (u /= 10);
	if (i < 0)
		*--p = '-';
	buf_add(w->out, p, (size_t)(text + sizeof(text) - p));
}

void jw_bool(struct jw *w, bool b)
{
	before_value(w);
	buf_addz(w->out, b ? "true" : "false");
}

void jw_null(struct jw *w)
{
	before_value(w);
	buf_addz(w->out, "null");
}

void jw_raw(struct jw *w, str json)
{
	before_value(w);
	buf_add_str(w->out, json);
}

void jw_time(struct jw *w, usec_t wall)
{
	char text[CLOCK_RFC3339_SIZE];

	jw_str(w, wall ? str_z(clock_rfc3339(wall, text)) : STR_NULL);
}

/* --- numbers --- */

struct decimal {
	char digits[24]; /* "15" for 1.5; no zero at the end */
	int  n;
	int  point; /* the value is 0.DIGITS * 10^point */
};

/* Splits the "%.*e" text of a positive number. */
static void split_e(const char *text, struct decimal *ret)
{
	const char *e = strchr(text, 'e');

	ret->n = 0;
	for (const char *p = text; p < e; p++)
		if (*p != '.')
			ret->digits[ret->n++] = *p;
	while (ret->n > 1 && ret->digits[ret->n - 1] == '0')
		ret->n--;
	ret->digits[ret->n] = 0;
	ret->point = (int)strtol(e + 1, NULL, 10) + 1;
}

/* Adds one to the last of `n` digits of the "%.*e" text; false when that carries beyond the first. */
static bool bump_e(char *text)
{
	for (char *p = strchr(text, 'e') - 1; p >= text; p--) {
		if (*p == '.')
			continue;
		if (*p != '9') {
			(*p)++;
			return true;
		}
		*p = '0';
	}
	return false;
}

/* The fewest digits that read back as v > 0, and of those the nearest (ECMA-262, Number::toString). */
static void shortest(double v, struct decimal *ret)
{
	char text[40];
	int  exponent;
	bool power_of_two = frexp(v, &exponent) == 0.5;

	/* 15 digits always survive, so shorter ones show as zeros at the end; numbers below the normal range have fewer */
	for (int n = v < 2.3e-308 ? 1 : 15; n <= 17; n++) {
		snprintf(text, sizeof(text), "%.*e", n - 1, v);
		if (strtod(text, NULL) == v)
			break;
		/* below a power of two the doubles lie closer, so the nearest text may fail where its upper neighbour works */
		if (power_of_two && bump_e(text) && strtod(text, NULL) == v)
			break;
	}
	split_e(text, ret);
}

static void add_zeros(struct buf *out, int n)
{
	while (n-- > 0)
		buf_addc(out, '0');
}

static void add_number(struct buf *out, double v)
{
	struct decimal d;

	if (v == 0) {
		buf_addc(out, '0');
		return;
	}
	if (v < 0)
		buf_addc(out, '-');
	shortest(fabs(v), &d);
	if (d.point > 0 && d.point <= 21) {
		int whole = d.n < d.point ? d.n : d.point;

		buf_add(out, d.digits, (size_t)whole);
		add_zeros(out, d.point - whole);
		if (d.n > whole) {
			buf_addc(out, '.');
			buf_add(out, d.digits + whole, (size_t)(d.n - whole));
		}
	} else if (d.point > -6 && d.point <= 0) {
		buf_addz(out, "0.");
		add_zeros(out, -d.point);
		buf_add(out, d.digits, (size_t)d.n);
	} else {
		buf_addc(out, d.digits[0]);
		if (d.n > 1)
			buf_addf(out, ".%s", d.digits + 1);
		buf_addf(out, "e%+d", d.point - 1);
	}
}

void jw_num(struct jw *w, double d)
{
	before_value(w);
	if (!isfinite(d))
		buf_addz(w->out, "null");
	else
		add_number(w->out, d);
}

/* --- trees --- */

/* Order of UTF-16 code units on UTF-8 text. It differs from the order of bytes in one place only: characters beyond
 * U+FFFF (first byte F0 to F4) are surrogates there and come before U+E000 to U+FFFF (first byte EE, EF). */
static int cmp_utf16(str a, str b)
{
	size_t n = a.len < b.len ? a.len : b.len;

	for (size_t i = 0; i < n; i++) {
		unsigned char x = (unsigned char)a.ptr[i], y = (unsigned char)b.ptr[i];

		if (x == y)
			continue;
		if (x >= 0xee && y >= 0xee && (x >= 0xf0) != (y >= 0xf0))
			return x >= 0xf0 ? -1 : 1;
		return x < y ? -1 : 1;
	}
	return a.len == b.len ? 0 : a.len < b.len ? -1 : 1;
}

static int cmp_pair(const void *a, const void *b)
{
	return cmp_utf16((*(const struct doc_pair *const *)a)->key, (*(const struct doc_pair *const *)b)->key);
}

static void add_tree(struct buf *out, const struct doc_node *n, bool sorted);

static void add_pair(struct buf *out, const struct doc_pair *p, bool first, bool sorted)
{
	if (!first)
		buf_addc(out, ',');
	add_string(out, p->key);
	buf_addc(out, ':');
	add_tree(out, p->value, sorted);
}

static void add_map(struct buf *out, const struct doc_node *n, bool sorted)
{
	const struct doc_pair **order CLEANUP_FREE = NULL;

	buf_addc(out, '{');
	if (sorted && n->map.n > 1) {
		order = calloc(n->map.n, sizeof(*order));
		if (!order) {
			out->failed = true;
			return;
		}
		for (size_t i = 0; i < n->map.n; i++)
			order[i] = &n->map.pairs[i];
		qsort(order, n->map.n, sizeof(*order), cmp_pair);
	}
	for (size_t i = 0; i < n->map.n; i++)
		add_pair(out, order ? order[i] : &n->map.pairs[i], i == 0, sorted);
	buf_addc(out, '}');
}

static void add_seq(struct buf *out, const struct doc_node *n, bool sorted)
{
	buf_addc(out, '[');
	for (size_t i = 0; i < n->seq.n; i++) {
		if (i)
			buf_addc(out, ',');
		add_tree(out, n->seq.items[i], sorted);
	}
	buf_addc(out, ']');
}

static void add_tree(struct buf *out, const struct doc_node *n, bool sorted)
{
	switch (n ? n->kind : DOC_NULL) {
	case DOC_NONE:
	case DOC_NULL: buf_addz(out, "null"); break;
	case DOC_BOOL: buf_addz(out, n->b ? "true" : "false"); break;
	case DOC_INT: buf_addf(out, "%" PRId64, n->i); break;
	case DOC_REAL:
		if (isfinite(n->d))
			add_number(out, n->d);
		else
			buf_addz(out, "null"); /* YAML's .inf and .nan have no JSON form */
		break;
	case DOC_STR: add_string(out, n->s); break;
	case DOC_SEQ: add_seq(out, n, sorted); break;
	case DOC_MAP: add_map(out, n, sorted); break;
	}
}

void jw_node(struct jw *w, const struct doc_node *n)
{
	before_value(w);
	add_tree(w->out, n, false);
}

void doc_canonical(const struct doc_node *n, struct buf *out) { add_tree(out, n, true); }
