/* expr-value.c - values of the expression language: making, looking up, converting and comparing them.
 *
 * Pure; any thread. Conversions follow the tables of GitHub's documentation: null is 0 and '', true is 1 and 'true',
 * text becomes a number by its notation or NaN, lists and objects are NaN and 'Array' or 'Object'. */
#include "lang/expr/expr-internal.h"

#include <math.h>

const struct expr_value expr_null = { .kind = EXPR_NULL };
const struct expr_value expr_true = { .kind = EXPR_BOOL, .b = true };
const struct expr_value expr_false = { .kind = EXPR_BOOL };

const struct expr_value *expr_number(struct arena *a, double n)
{
	struct expr_value *v = ARENA_NEW(a, struct expr_value);

	if (v) {
		v->kind = EXPR_NUMBER;
		v->n = n;
	}
	return v;
}

const struct expr_value *expr_string(struct arena *a, str s)
{
	struct expr_value *v = ARENA_NEW(a, struct expr_value);

	if (!v)
		return NULL;
	v->kind = EXPR_STRING;
	v->s = arena_str(a, s);
	return v->s.ptr ? v : NULL;
}

const struct expr_value *expr_bool(bool b)
{
	return b ? &expr_true : &expr_false;
}

const struct expr_value *expr_object(struct arena *a, const struct expr_pair *pairs, size_t n)
{
	struct expr_value *v = ARENA_NEW(a, struct expr_value);
	struct expr_pair *copy = ARENA_ARRAY(a, n ? n : 1, struct expr_pair);

	if (!v || !copy)
		return NULL;
	if (n)
		memcpy(copy, pairs, n * sizeof(*copy));
	v->kind = EXPR_OBJECT;
	v->pairs = copy;
	v->len = n;
	return v;
}

const struct expr_value *expr_array_new(struct arena *a, const struct expr_value *const *items, size_t n, bool filtered)
{
	struct expr_value *v = ARENA_NEW(a, struct expr_value);
	const struct expr_value **copy = ARENA_ARRAY(a, n ? n : 1, const struct expr_value *);

	if (!v || !copy)
		return NULL;
	for (size_t i = 0; i < n; i++)
		copy[i] = items[i];
	v->kind = EXPR_ARRAY;
	v->items = copy;
	v->len = n;
	v->filtered = filtered;
	return v;
}

const struct expr_value *expr_array(struct arena *a, const struct expr_value *const *items, size_t n)
{
	return expr_array_new(a, items, n, false);
}

static const struct expr_value *array_from_doc(struct arena *a, const struct doc_node *n)
{
	struct expr_value *v = ARENA_NEW(a, struct expr_value);
	const struct expr_value **items = ARENA_ARRAY(a, n->seq.n ? n->seq.n : 1, const struct expr_value *);

	if (!v || !items)
		return NULL;
	for (size_t i = 0; i < n->seq.n; i++) {
		items[i] = expr_from_doc(a, n->seq.items[i]);
		if (!items[i])
			return NULL;
	}
	v->kind = EXPR_ARRAY;
	v->items = items;
	v->len = n->seq.n;
	return v;
}

static const struct expr_value *object_from_doc(struct arena *a, const struct doc_node *n)
{
	struct expr_value *v = ARENA_NEW(a, struct expr_value);
	struct expr_pair *pairs = ARENA_ARRAY(a, n->map.n ? n->map.n : 1, struct expr_pair);

	if (!v || !pairs)
		return NULL;
	for (size_t i = 0; i < n->map.n; i++) {
		pairs[i].key = arena_str(a, n->map.pairs[i].key);
		pairs[i].value = expr_from_doc(a, n->map.pairs[i].value);
		if (!pairs[i].key.ptr || !pairs[i].value)
			return NULL;
	}
	v->kind = EXPR_OBJECT;
	v->pairs = pairs;
	v->len = n->map.n;
	return v;
}

/* Recurses as deep as the document, which LIMIT_DOC_DEPTH bounds. */
const struct expr_value *expr_from_doc(struct arena *a, const struct doc_node *n)
{
	switch (n ? n->kind : DOC_NULL) {
	case DOC_BOOL: return expr_bool(n->b);
	case DOC_INT: return expr_number(a, (double)n->i);
	case DOC_REAL: return expr_number(a, n->d);
	case DOC_STR: return expr_string(a, n->s);
	case DOC_SEQ: return array_from_doc(a, n);
	case DOC_MAP: return object_from_doc(a, n);
	default: return &expr_null;
	}
}

const struct expr_value *expr_get(const struct expr_value *object, str key)
{
	if (!object || object->kind != EXPR_OBJECT)
		return NULL;
	for (size_t i = 0; i < object->len; i++)
		if (expr_fold_eq(object->pairs[i].key, key))
			return object->pairs[i].value;
	return NULL;
}

bool expr_is_primitive(const struct expr_value *v)
{
	return v->kind != EXPR_ARRAY && v->kind != EXPR_OBJECT;
}

bool expr_truthy(const struct expr_value *v)
{
	switch (v->kind) {
	case EXPR_NULL: return false;
	case EXPR_BOOL: return v->b;
	case EXPR_NUMBER: return v->n != 0 && !isnan(v->n);
	case EXPR_STRING: return v->s.len > 0;
	default: return true;
	}
}

/* --- numbers --- */

static str trim(str s)
{
	size_t i = 0, end;

	while (expr_skip_space(s, &i))
		;
	for (end = i; i < s.len;)
		if (!expr_skip_space(s, &i)) {
			expr_utf8_next(s, &i);
			end = i;
		} else {
			continue;
		}
	i = 0;
	while (expr_skip_space(s, &i))
		;
	return str_sub(s, i, end - i);
}

static size_t count_digits(str s, size_t from)
{
	size_t n = 0;

	while (from + n < s.len && s.ptr[from + n] >= '0' && s.ptr[from + n] <= '9')
		n++;
	return n;
}

static size_t count_sign(str s, size_t from)
{
	return from < s.len && (s.ptr[from] == '+' || s.ptr[from] == '-');
}

/* [+-] digits [. digits] [e [+-] digits], with at least one digit before the exponent. */
static bool is_decimal(str s)
{
	size_t i = count_sign(s, 0), whole = count_digits(s, i), fraction = 0, exponent;

	i += whole;
	if (i < s.len && s.ptr[i] == '.') {
		fraction = count_digits(s, i + 1);
		i += 1 + fraction;
	}
	if (!whole && !fraction)
		return false;
	if (i == s.len)
		return true;
	if (s.ptr[i] != 'e' && s.ptr[i] != 'E')
		return false;
	i += 1 + count_sign(s, i + 1);
	exponent = count_digits(s, i);
	return exponent && i + exponent == s.len;
}

static double parse_based(str digits, unsigned base)
{
	double n = 0;

	for (size_t i = 0; i < digits.len; i++) {
		char c = digits.ptr[i];
		unsigned d = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
					 : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
					 : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
											: 99;

		if (d >= base)
			return NAN;
		n = n * base + d;
	}
	return digits.len ? n : NAN;
}

static double parse_decimal(str s)
{
	char small[64], *z = s.len < sizeof(small) ? small : malloc(s.len + 1);
	double n;

	if (!z)
		return NAN;
	memcpy(z, s.ptr, s.len);
	z[s.len] = 0;
	n = strtod(z, NULL); /* past the range: infinity or 0, as it should be */
	if (z != small)
		free(z);
	return n;
}

double expr_parse_number(str s)
{
	s = trim(s);
	if (!s.len)
		return 0;
	if (is_decimal(s))
		return parse_decimal(s);
	if (str_has_prefix(s, STR("0x")))
		return parse_based(str_sub(s, 2, s.len), 16);
	if (str_has_prefix(s, STR("0o")))
		return parse_based(str_sub(s, 2, s.len), 8);
	if (str_eqz(s, "Infinity") || str_eqz(s, "+Infinity"))
		return INFINITY;
	return str_eqz(s, "-Infinity") ? -INFINITY : NAN;
}

double expr_to_number(const struct expr_value *v)
{
	switch (v->kind) {
	case EXPR_NULL: return 0;
	case EXPR_BOOL: return v->b;
	case EXPR_NUMBER: return v->n;
	case EXPR_STRING: return expr_parse_number(v->s);
	default: return NAN;
	}
}

/* Fifteen significant digits, plain while the exponent is -5 < e < 15, else 1.5E+20. `out` holds 40 bytes. */
static char *format_number(double n, char out[40])
{
	char digits[32], *e;
	int exponent, n_digits = 15, at = 0;

	if (isnan(n))
		return memcpy(out, "NaN", 4);
	if (isinf(n))
		return memcpy(out, n < 0 ? "-Infinity" : "Infinity", n < 0 ? 10 : 9);
	if (n == 0)
		return memcpy(out, "0", 2);
	snprintf(digits, sizeof(digits), "%.14e", n < 0 ? -n : n); /* d.dddddddddddddde+XX */
	e = strchr(digits, 'e');
	exponent = (int)strtol(e + 1, NULL, 10);
	digits[1] = digits[0];
	while (n_digits > 1 && digits[n_digits] == '0')
		n_digits--;
	if (n < 0)
		out[at++] = '-';
	if (exponent <= -5 || exponent >= 15) {
		at += snprintf(out + at, 40 - (size_t)at, "%c%s%.*s", digits[1], n_digits > 1 ? "." : "", n_digits - 1, digits + 2);
		snprintf(out + at, 40 - (size_t)at, "E%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
	} else if (exponent < 0) {
		snprintf(out + at, 40 - (size_t)at, "0.%.*s%.*s", -exponent - 1, "00000", n_digits, digits + 1);
	} else if (n_digits <= exponent + 1) {
		snprintf(out + at, 40 - (size_t)at, "%.*s%.*s", n_digits, digits + 1, exponent + 1 - n_digits, "00000000000000");
	} else {
		snprintf(out + at, 40 - (size_t)at, "%.*s.%.*s", exponent + 1, digits + 1, n_digits - exponent - 1,
				 digits + exponent + 2);
	}
	return out;
}

str expr_to_string(struct arena *a, const struct expr_value *v)
{
	char number[40];

	switch (v->kind) {
	case EXPR_NULL: return STR("");
	case EXPR_BOOL: return v->b ? STR("true") : STR("false");
	case EXPR_NUMBER: return arena_str(a, str_z(format_number(v->n, number)));
	case EXPR_STRING: return v->s;
	case EXPR_ARRAY: return STR("Array");
	default: return STR("Object");
	}
}

/* --- comparing --- */

/* Kinds that meet in a comparison: equal kinds stay, else null, bool and text become numbers. False: never comparable. */
static bool both_numbers(const struct expr_value *l, const struct expr_value *r, double *x, double *y)
{
	if (!expr_is_primitive(l) || !expr_is_primitive(r))
		return false;
	*x = expr_to_number(l);
	*y = expr_to_number(r);
	return true;
}

bool expr_equal(const struct expr_value *l, const struct expr_value *r)
{
	double x, y;

	if (l->kind != r->kind)
		return both_numbers(l, r, &x, &y) && x == y;
	switch (l->kind) {
	case EXPR_NULL: return true;
	case EXPR_BOOL: return l->b == r->b;
	case EXPR_NUMBER: return l->n == r->n;
	case EXPR_STRING: return expr_fold_eq(l->s, r->s);
	default: return l == r;
	}
}

int expr_order(const struct expr_value *l, const struct expr_value *r)
{
	double x, y;

	if (l->kind == r->kind && l->kind == EXPR_STRING)
		return expr_fold_cmp(l->s, r->s);
	if (!both_numbers(l, r, &x, &y))
		return 0;
	return x < y ? -1 : x > y;
}

/* --- JSON --- */

static void add_newline(struct buf *out, unsigned depth)
{
	buf_addc(out, '\n');
	while (depth--)
		buf_add(out, "  ", 2);
}

static void add_string(struct buf *out, str s)
{
	buf_addc(out, '"');
	buf_add_json(out, s);
	buf_addc(out, '"');
}

static void add_json(struct buf *out, const struct expr_value *v, unsigned depth)
{
	char number[40];

	if (out->failed)
		return;
	switch (v->kind) {
	case EXPR_NULL: buf_addz(out, "null"); return;
	case EXPR_BOOL: buf_addz(out, v->b ? "true" : "false"); return;
	case EXPR_NUMBER: buf_addz(out, format_number(v->n, number)); return;
	case EXPR_STRING: add_string(out, v->s); return;
	default: break;
	}
	buf_addc(out, v->kind == EXPR_ARRAY ? '[' : '{');
	for (size_t i = 0; i < v->len; i++) {
		if (i)
			buf_addc(out, ',');
		add_newline(out, depth + 1);
		if (v->kind == EXPR_OBJECT) {
			add_string(out, v->pairs[i].key);
			buf_addz(out, ": ");
		}
		add_json(out, v->kind == EXPR_ARRAY ? v->items[i] : v->pairs[i].value, depth + 1);
	}
	if (v->len)
		add_newline(out, depth);
	buf_addc(out, v->kind == EXPR_ARRAY ? ']' : '}');
}

int expr_to_json(const struct expr_value *v, struct buf *out, struct err *reterr)
{
	add_json(out, v, 0);
	return buf_check(out, "JSON text", reterr);
}
