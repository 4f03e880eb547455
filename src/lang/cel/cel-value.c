/* cel-value.c - making and comparing CEL values: numbers across kinds, deep equality, errors and unknowns.
 *
 * Pure; values are immutable once made, so any thread may read them. Comparisons across numeric kinds go through the double
 * form where one side is a double, as the specification's suite has it (9223372036854775807 == 9223372036854775808.0). */
#include "base/base.h"
#include "lang/cel/cel-value.h"

#include "lang/cel/cel-message.h"

#include <stdarg.h>

static const struct cel_list list_empty;

struct cel_value cel_list_adopt(struct arena *a, const struct cel_value *items, size_t n)
{
	struct cel_list *l;

	if (!n)
		return (struct cel_value){ .kind = CEL_LIST, .list = &list_empty };
	if (!(l = ARENA_NEW(a, struct cel_list)))
		return cel_error_value(a, "out of memory");
	*l = (struct cel_list){ n, items };
	return (struct cel_value){ .kind = CEL_LIST, .list = l };
}

struct cel_value cel_of_list(struct arena *a, const struct cel_value *items, size_t n)
{
	struct cel_value *copy = n ? ARENA_ARRAY(a, n, struct cel_value) : NULL;

	if (n && !copy)
		return cel_error_value(a, "out of memory");
	if (n)
		memcpy(copy, items, n * sizeof(*items));
	return cel_list_adopt(a, copy, n);
}

struct cel_value cel_type_value(const struct cel_type *t)
{
	return (struct cel_value){ .kind = CEL_TYPE, .type = t };
}

/* --- errors and unknowns --- */

struct cel_value cel_error_value(struct arena *a, const char *fmt, ...)
{
	static const struct cel_error no_memory = { { "out of memory", 13 }, 0, 0 };
	char text[512];
	struct cel_error *e = ARENA_NEW(a, struct cel_error);
	va_list ap;
	int n;

	if (!e)
		return (struct cel_value){ .kind = CEL_ERROR, .error = &no_memory };
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	e->msg = arena_str(a, str_n(text, n < 0 ? 0 : (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1));
	if (!e->msg.ptr)
		return (struct cel_value){ .kind = CEL_ERROR, .error = &no_memory };
	return (struct cel_value){ .kind = CEL_ERROR, .error = e };
}

struct cel_value cel_unknown_value(struct arena *a, str attribute)
{
	struct cel_unknown *u = ARENA_NEW(a, struct cel_unknown);
	str *name = ARENA_NEW(a, str);

	if (!u || !name)
		return cel_error_value(a, "out of memory");
	*name = arena_str(a, attribute);
	*u = (struct cel_unknown){ name, 1 };
	return (struct cel_value){ .kind = CEL_UNKNOWN, .unknown = u };
}

static struct cel_value merge_unknowns(struct arena *a, const struct cel_unknown *x, const struct cel_unknown *y)
{
	struct cel_unknown *u = ARENA_NEW(a, struct cel_unknown);
	str *names = ARENA_ARRAY(a, x->n + y->n, str);
	size_t i = 0, j = 0, n = 0;

	if (!u || !names)
		return cel_error_value(a, "out of memory");
	while (i < x->n || j < y->n) {
		int c = i == x->n ? 1 : j == y->n ? -1 : str_cmp(x->attributes[i], y->attributes[j]);

		names[n++] = c <= 0 ? x->attributes[i] : y->attributes[j];
		i += c <= 0;
		j += c >= 0;
	}
	*u = (struct cel_unknown){ names, n };
	return (struct cel_value){ .kind = CEL_UNKNOWN, .unknown = u };
}

struct cel_value cel_merge_bad(struct arena *a, struct cel_value one, struct cel_value other)
{
	if (one.kind == CEL_UNKNOWN && other.kind == CEL_UNKNOWN)
		return one.unknown == other.unknown ? one : merge_unknowns(a, one.unknown, other.unknown);
	return other.kind == CEL_UNKNOWN ? other : one;
}

/* --- types --- */

const struct cel_type *cel_type_of(struct cel_value v)
{
	static const struct cel_type optional = { CEL_T_OPTIONAL, { "optional_type", 13 }, NULL, 0 };
	static const struct cel_type error = { CEL_T_ERROR, { "error", 5 }, NULL, 0 };
	static const struct cel_type *const kinds[] = {
		[CEL_NULL] = &cel_null_type,    [CEL_BOOL] = &cel_bool,     [CEL_INT] = &cel_int,     [CEL_UINT] = &cel_uint,
		[CEL_DOUBLE] = &cel_double,     [CEL_STRING] = &cel_string, [CEL_BYTES] = &cel_bytes, [CEL_TIMESTAMP] = &cel_timestamp,
		[CEL_DURATION] = &cel_duration, [CEL_LIST] = &cel_list_dyn, [CEL_MAP] = &cel_map_dyn, [CEL_TYPE] = &cel_type_type,
		[CEL_OPTIONAL] = &optional,
	};

	if (v.kind == CEL_MESSAGE)
		return cel_message_type_type(cel_message_type_of(v.msg));
	if (v.kind == CEL_OPAQUE)
		return v.opaque->type;
	return v.kind <= CEL_OPTIONAL ? kinds[v.kind] : &error;
}

bool cel_type_is_same(const struct cel_type *a, const struct cel_type *b)
{
	if (a == b)
		return true;
	if (a->kind != b->kind)
		return false;
	return (a->kind != CEL_T_MESSAGE && a->kind != CEL_T_ENUM && a->kind != CEL_T_OPAQUE) || str_eq(a->name, b->name);
}

const char *cel_kind_name(struct cel_value v)
{
	static const char *const names[] = {
		[CEL_NULL] = "null_type",         [CEL_BOOL] = "bool",       [CEL_INT] = "int",       [CEL_UINT] = "uint",
		[CEL_DOUBLE] = "double",          [CEL_STRING] = "string",   [CEL_BYTES] = "bytes",   [CEL_TIMESTAMP] = "timestamp",
		[CEL_DURATION] = "duration",      [CEL_LIST] = "list",       [CEL_MAP] = "map",       [CEL_TYPE] = "type",
		[CEL_OPTIONAL] = "optional_type", [CEL_MESSAGE] = "message", [CEL_OPAQUE] = "opaque", [CEL_ERROR] = "error",
		[CEL_UNKNOWN] = "unknown",
	};

	return v.kind < ARRAY_SIZE(names) ? names[v.kind] : "?";
}

/* --- order --- */

static int sign_of(double d)
{
	return d < 0 ? -1 : d > 0;
}

static int compare_doubles(double a, double b)
{
	return isnan(a) || isnan(b) ? 2 : a < b ? -1 : a > b;
}

int cel_num_compare(struct cel_value a, struct cel_value b)
{
	int c;

	if (a.kind == b.kind) {
		if (a.kind == CEL_INT)
			return a.i < b.i ? -1 : a.i > b.i;
		return a.kind == CEL_UINT ? (a.u < b.u ? -1 : a.u > b.u) : compare_doubles(a.d, b.d);
	}
	if (a.kind == CEL_DOUBLE)
		return compare_doubles(a.d, b.kind == CEL_INT ? (double)b.i : (double)b.u);
	if (a.kind == CEL_INT && b.kind == CEL_UINT)
		return a.i < 0 || b.u > INT64_MAX ? -1 : a.i < (int64_t)b.u ? -1 : a.i > (int64_t)b.u;
	c = cel_num_compare(b, a);
	return c == 2 ? 2 : -c;
}

static int compare_time(struct cel_value a, struct cel_value b)
{
	if (a.i != b.i)
		return a.i < b.i ? -1 : 1;
	return sign_of((double)a.nanos - b.nanos);
}

int cel_compare(struct cel_value a, struct cel_value b)
{
	size_t n;
	int c;

	if (cel_is_num(a) && cel_is_num(b))
		return cel_num_compare(a, b);
	if (a.kind != b.kind)
		return 3;
	switch (a.kind) {
	case CEL_BOOL: return a.b - b.b;
	case CEL_STRING:
	case CEL_BYTES:
		n = a.len < b.len ? a.len : b.len;
		c = n ? memcmp(a.s, b.s, n) : 0;
		return c ? (c < 0 ? -1 : 1) : a.len < b.len ? -1 : a.len > b.len;
	case CEL_TIMESTAMP:
	case CEL_DURATION: return compare_time(a, b);
	default: return 3;
	}
}

/* --- equality --- */

static bool equal(struct cel_value a, struct cel_value b, uint64_t *work, int depth);

static bool equal_lists(const struct cel_list *a, const struct cel_list *b, uint64_t *work, int depth)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!equal(a->items[i], b->items[i], work, depth))
			return false;
	return true;
}

static bool equal_maps(const struct cel_map *a, const struct cel_map *b, uint64_t *work, int depth)
{
	const struct cel_value *other;

	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		other = cel_map_get(b, a->keys[i]);
		if (!other || !equal(a->values[i], *other, work, depth))
			return false;
	}
	return true;
}

static bool equal_optionals(const struct cel_value *a, const struct cel_value *b, uint64_t *work, int depth)
{
	return a && b ? equal(*a, *b, work, depth) : a == b;
}

static bool equal(struct cel_value a, struct cel_value b, uint64_t *work, int depth)
{
	if (!*work || depth > CEL_VALUE_DEPTH_MAX) {
		*work = 0;
		return false;
	}
	--*work;
	if (a.kind != b.kind)
		return cel_is_num(a) && cel_is_num(b) && cel_num_compare(a, b) == 0;
	switch (a.kind) {
	case CEL_NULL: return true;
	case CEL_BOOL: return a.b == b.b;
	case CEL_INT: return a.i == b.i;
	case CEL_UINT: return a.u == b.u;
	case CEL_DOUBLE: return a.d == b.d;
	case CEL_STRING:
	case CEL_BYTES: return a.len == b.len && (!a.len || !memcmp(a.s, b.s, a.len));
	case CEL_TIMESTAMP:
	case CEL_DURATION: return a.i == b.i && a.nanos == b.nanos;
	case CEL_LIST: return equal_lists(a.list, b.list, work, depth + 1);
	case CEL_MAP: return equal_maps(a.map, b.map, work, depth + 1);
	case CEL_TYPE: return cel_type_is_same(a.type, b.type);
	case CEL_OPTIONAL: return equal_optionals(a.opt, b.opt, work, depth + 1);
	case CEL_MESSAGE: return cel_message_equal_work(a.msg, b.msg, work);
	case CEL_OPAQUE:
		return a.opaque->equal == b.opaque->equal && cel_type_is_same(a.opaque->type, b.opaque->type) &&
			   a.opaque->equal(a.opaque, b.opaque);
	default: return false;
	}
}

bool cel_equal_work(struct cel_value a, struct cel_value b, uint64_t *work)
{
	return equal(a, b, work, 0);
}

bool cel_equal(struct cel_value a, struct cel_value b)
{
	uint64_t work = UINT64_MAX;

	return equal(a, b, &work, 0);
}

/* --- text --- */

size_t cel_utf8_len(str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++)
		n += ((unsigned char)s.ptr[i] & 0xC0) != 0x80;
	return n;
}

size_t cel_utf8_at(str s, size_t i)
{
	for (size_t pos = 0; pos < s.len; pos++)
		if (((unsigned char)s.ptr[pos] & 0xC0) != 0x80 && !i--)
			return pos;
	return i ? SIZE_MAX : s.len;
}

uint32_t cel_utf8_next(str s, size_t *pos)
{
	unsigned char c = (unsigned char)s.ptr[(*pos)++];
	int more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : c >= 0xC0 ? 1 : 0;
	uint32_t u = more ? c & (0x3Fu >> more) : c;

	while (more-- && *pos < s.len)
		u = u << 6 | ((unsigned char)s.ptr[(*pos)++] & 0x3F);
	return u;
}

void cel_utf8_add(struct buf *out, uint32_t c)
{
	if (c < 0x80) {
		buf_addc(out, (char)c);
		return;
	}
	if (c < 0x800) {
		buf_addc(out, (char)(0xC0 | c >> 6));
	} else {
		if (c < 0x10000) {
			buf_addc(out, (char)(0xE0 | c >> 12));
		} else {
			buf_addc(out, (char)(0xF0 | c >> 18));
			buf_addc(out, (char)(0x80 | (c >> 12 & 0x3F)));
		}
		buf_addc(out, (char)(0x80 | (c >> 6 & 0x3F)));
	}
	buf_addc(out, (char)(0x80 | (c & 0x3F)));
}

struct cel_value cel_take_text(struct arena *a, struct buf *b, enum cel_kind kind)
{
	str s = b->failed ? STR_NULL : arena_str(a, buf_str(b));

	buf_fini(b);
	if (!s.ptr)
		return cel_error_value(a, "text is longer than %zu bytes", b->max);
	return kind == CEL_STRING ? cel_of_str(s) : cel_of_bytes(s);
}

/* Shortest digits that read back as d: "%.{p}e" with growing precision. */
static int shortest(double d, char digits[32], int *ret_exp)
{
	char text[40];
	int n = 0;

	for (int p = 0; p < DBL_DECIMAL_DIG; p++) {
		snprintf(text, sizeof(text), "%.*e", p, d);
		if (strtod(text, NULL) == d)
			break;
	}
	for (const char *c = text; *c && *c != 'e'; c++)
		if (*c >= '0' && *c <= '9')
			digits[n++] = *c;
	*ret_exp = (int)strtol(strchr(text, 'e') + 1, NULL, 10);
	while (n > 1 && digits[n - 1] == '0')
		n--;
	return n;
}

static void add_exponent_form(struct buf *out, const char *digits, int n, int exp)
{
	buf_addc(out, digits[0]);
	if (n > 1)
		buf_addc(out, '.');
	buf_add(out, digits + 1, (size_t)n - 1);
	buf_addf(out, "e%c%02d", exp < 0 ? '-' : '+', abs(exp));
}

static void add_plain_form(struct buf *out, const char *digits, int n, int exp)
{
	if (exp < 0)
		buf_addz(out, "0.");
	for (int i = exp; i < -1; i++)
		buf_addc(out, '0');
	for (int i = 0; i < n || i <= exp; i++) {
		if (exp >= 0 && i == exp + 1)
			buf_addc(out, '.');
		buf_addc(out, i < n ? digits[i] : '0');
	}
}

void cel_add_double(struct buf *out, double d, char form)
{
	char digits[32];
	int  n, exp;

	if (!isfinite(d)) {
		buf_addz(out, isnan(d) ? "NaN" : d < 0 ? "-Inf" : "+Inf");
		return;
	}
	if (signbit(d))
		buf_addc(out, '-');
	n = shortest(fabs(d), digits, &exp);
	if (form == 'g' && (exp < -4 || exp >= 6))
		add_exponent_form(out, digits, n, exp);
	else
		add_plain_form(out, digits, n, exp);
}
