/* cel-format.c - string.format() of the strings extension: %s %d %f %e %b %o %x %X, with a precision for %f and %e.
 *
 * Pure. Text is bounded by the buf that the caller gives, nesting by CEL_VALUE_DEPTH_MAX; maps are written in the order of their
 * keys' text, so that the same value always gives the same text. */
#include "base/base.h"
#include "lang/cel/cel-format.h"

#include <inttypes.h>

static bool text_of(struct cel_value v, struct buf *out, int depth, struct cel_value *ret_at_fault);

static void special_double(double d, struct buf *out)
{
	buf_addz(out, isnan(d) ? "NaN" : d < 0 ? "-Infinity" : "Infinity");
}

static bool list_text(const struct cel_list *l, struct buf *out, int depth, struct cel_value *ret_at_fault)
{
	buf_addc(out, '[');
	for (size_t i = 0; i < l->n && !out->failed; i++) {
		if (i)
			buf_addz(out, ", ");
		if (!text_of(l->items[i], out, depth, ret_at_fault))
			return false;
	}
	buf_addc(out, ']');
	return true;
}

struct entry {
	str key;
	size_t i;
};

static int by_key(const void *a, const void *b)
{
	return str_cmp(((const struct entry *)a)->key, ((const struct entry *)b)->key);
}

static bool map_text(const struct cel_map *m, struct buf *out, int depth, struct cel_value *ret_at_fault)
{
	struct entry *order = calloc(m->n + 1, sizeof(*order));
	struct buf keys = BUF_INIT(out->max);
	bool ok = order;

	for (size_t i = 0; i < m->n && ok; i++) {
		size_t at = keys.len;

		ok = text_of(m->keys[i], &keys, depth, ret_at_fault);
		order[i] = (struct entry){ str_n(NULL, keys.len - at), i };
	}
	for (size_t i = 0, at = 0; i < m->n && ok && !keys.failed; at += order[i++].key.len)
		order[i].key.ptr = buf_str(&keys).ptr + at;
	if (ok && !keys.failed)
		qsort(order, m->n, sizeof(*order), by_key);
	buf_addc(out, '{');
	out->failed |= keys.failed;
	for (size_t i = 0; i < m->n && ok && !out->failed; i++) {
		buf_addz(out, i ? ", " : "");
		buf_add_str(out, order[i].key);
		buf_addz(out, ": ");
		ok = text_of(m->values[order[i].i], out, depth, ret_at_fault);
	}
	buf_addc(out, '}');
	buf_fini(&keys);
	free(order);
	return ok;
}

static bool text_of(struct cel_value v, struct buf *out, int depth, struct cel_value *ret_at_fault)
{
	switch (depth > CEL_VALUE_DEPTH_MAX ? CEL_OPAQUE : v.kind) {
	case CEL_NULL: buf_addz(out, "null"); return true;
	case CEL_BOOL: buf_addz(out, v.b ? "true" : "false"); return true;
	case CEL_INT: buf_addf(out, "%" PRId64, v.i); return true;
	case CEL_UINT: buf_addf(out, "%" PRIu64, v.u); return true;
	case CEL_DOUBLE:
		if (isfinite(v.d))
			cel_add_double(out, v.d, 'f');
		else
			special_double(v.d, out);
		return true;
	case CEL_STRING:
	case CEL_BYTES: buf_add_str(out, cel_str(v)); return true;
	case CEL_TIMESTAMP: cel_timestamp_print(v, out); return true;
	case CEL_DURATION: cel_duration_print(v, out); return true;
	case CEL_LIST: return list_text(v.list, out, depth + 1, ret_at_fault);
	case CEL_MAP: return map_text(v.map, out, depth + 1, ret_at_fault);
	case CEL_TYPE: buf_add_str(out, v.type->name); return true;
	default: *ret_at_fault = v; return false;
	}
}

/* --- clauses --- */

struct clause {
	char verb;
	int precision; /* -1: none */
};

static const char *add_text(struct cel_value v, struct buf *out, struct cel_value *ret_at_fault)
{
	return text_of(v, out, 0, ret_at_fault) ? NULL
											: "string clause can only be used on strings, bools, bytes, ints, doubles, maps, "
											  "lists, types, durations and timestamps";
}

static const char *add_decimal(struct cel_value v, struct buf *out)
{
	if (v.kind == CEL_INT)
		buf_addf(out, "%" PRId64, v.i);
	else if (v.kind == CEL_UINT)
		buf_addf(out, "%" PRIu64, v.u);
	else if (v.kind == CEL_DOUBLE && !isfinite(v.d))
		special_double(v.d, out);
	else
		return "decimal clause can only be used on integers";
	return NULL;
}

static const char *add_float(struct cel_value v, struct clause c, struct buf *out)
{
	int precision = c.precision < 0 ? 6 : c.precision;
	double d;

	if (!cel_is_num(v))
		return c.verb == 'e' ? "scientific clause can only be used on doubles" : "fixed-point clause can only be used on doubles";
	d = v.kind == CEL_INT ? (double)v.i : v.kind == CEL_UINT ? (double)v.u : v.d;
	if (!isfinite(d))
		special_double(d, out);
	else if (c.verb == 'e')
		buf_addf(out, "%.*e", precision, d);
	else
		buf_addf(out, "%.*f", precision, d);
	return NULL;
}

static void add_base(uint64_t u, unsigned bits, bool upper, struct buf *out)
{
	const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	char text[64];
	size_t n = 0;

	do {
		text[n++] = digits[u & ((1u << bits) - 1)];
		u >>= bits;
	} while (u);
	while (n)
		buf_addc(out, text[--n]);
}

static const char *add_number(struct cel_value v, char verb, struct buf *out)
{
	unsigned bits = verb == 'b' ? 1 : verb == 'o' ? 3 : 4;
	bool minus = v.kind == CEL_INT && v.i < 0;

	if (verb == 'b' && v.kind == CEL_BOOL) {
		buf_addc(out, v.b ? '1' : '0');
		return NULL;
	}
	if (bits == 4 && (v.kind == CEL_STRING || v.kind == CEL_BYTES)) {
		for (size_t i = 0; i < v.len; i++)
			buf_addf(out, verb == 'X' ? "%02X" : "%02x", (unsigned char)v.s[i]);
		return NULL;
	}
	if (v.kind != CEL_INT && v.kind != CEL_UINT)
		return bits == 1   ? "only integers and bools can be formatted as binary"
			   : bits == 3 ? "octal clause can only be used on integers"
						   : "only integers, byte buffers, and strings can be formatted as hex";
	if (minus)
		buf_addc(out, '-');
	add_base(minus ? 0 - (uint64_t)v.i : v.u, bits, verb == 'X', out);
	return NULL;
}

static const char *add_clause(struct clause c, struct cel_value v, struct buf *out, struct cel_value *ret_at_fault)
{
	*ret_at_fault = v;
	switch (c.verb) {
	case 's': return add_text(v, out, ret_at_fault);
	case 'd': return add_decimal(v, out);
	case 'f':
	case 'e': return add_float(v, c, out);
	default: return add_number(v, c.verb, out);
	}
}

/* Behind a '%': the clause; false: not one. */
static bool read_clause(str *s, struct clause *ret)
{
	*ret = (struct clause){ .precision = -1 };
	if (s->len && s->ptr[0] == '.') {
		ret->precision = 0;
		for (*s = str_sub(*s, 1, s->len); s->len && s->ptr[0] >= '0' && s->ptr[0] <= '9'; *s = str_sub(*s, 1, s->len)) {
			ret->precision = ret->precision * 10 + (s->ptr[0] - '0');
			if (ret->precision > CEL_PRECISION_MAX)
				return false;
		}
	}
	if (!s->len)
		return false;
	ret->verb = s->ptr[0];
	*s = str_sub(*s, 1, s->len);
	return ret->verb && strchr("sdfeboxX", ret->verb);
}

/* One clause or "%%" at the front of *format, which begins behind the '%'. False: an error. */
static bool format_one(struct cel_call *c, str *format, const struct cel_list *args, size_t *next, struct buf *out,
					   struct cel_value *ret_error)
{
	struct clause clause;
	struct cel_value at_fault;
	const char *why;

	if (format->len && format->ptr[0] == '%') {
		buf_addc(out, '%');
		*format = str_sub(*format, 1, format->len);
		return true;
	}
	if (!read_clause(format, &clause)) {
		*ret_error = cel_error_value(c->arena, "could not parse formatting clause: unrecognized '%c'",
									 clause.verb > ' ' ? clause.verb : '%');
		return false;
	}
	if (*next >= args->n) {
		*ret_error = cel_error_value(c->arena, "index %zu out of range: format() has %zu arguments", *next, args->n);
		return false;
	}
	why = add_clause(clause, args->items[(*next)++], out, &at_fault);
	if (why)
		*ret_error = cel_error_value(c->arena, "error during formatting: %s, was given %s", why, cel_kind_name(at_fault));
	return !why;
}

bool cel_format(struct cel_call *c, str format, const struct cel_list *args, struct buf *out, struct cel_value *ret_error)
{
	size_t next = 0;

	while (format.len && !out->failed) {
		size_t at = str_find(format, '%');

		buf_add_str(out, str_sub(format, 0, at));
		if (at == format.len)
			return true;
		format = str_sub(format, at + 1, format.len);
		if (!format_one(c, &format, args, &next, out, ret_error))
			return false;
	}
	return true;
}
