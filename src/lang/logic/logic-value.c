/* logic-value.c - values of JSONLogic: made from documents or by the embedder, read, turned to numbers and texts.
 *
 * Conversions follow JavaScript (ECMA-262 "ToNumber", "Number::toString"), since the language was born there. Texts are UTF-8.
 * Objects of many keys are looked up through an index sorted by hash, length and bytes: no choice of keys makes building or
 * reading it slow. Pure, any thread. */
#include "base/base.h"
#include "logic-internal.h"

#include <math.h>

enum {
	INDEX_MIN = 16,
	NUMBER_TEXT_MAX = 512,   /* of a number's text, */
	NUMBER_SPACE_MAX = 4096, /* and with the white space around it: longer ones are no numbers */
};

/* --- objects --- */

static int order_of(const struct logic_pair *a, const struct logic_pair *b)
{
	if (a->hash != b->hash)
		return a->hash < b->hash ? -1 : 1;
	if (a->key_len != b->key_len)
		return a->key_len < b->key_len ? -1 : 1;
	return memcmp(a->key, b->key, a->key_len);
}

static int cmp_index(const void *a, const void *b, void *pairs)
{
	uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
	int r = order_of((const struct logic_pair *)pairs + i, (const struct logic_pair *)pairs + j);

	return r ? r : i < j ? -1 : i > j;
}

static const uint32_t *index_of(const struct logic_value *object) { return (const uint32_t *)(object->pairs + object->len); }

const struct logic_value *logic_find_indexed(const struct logic_value *object, const char *key, uint32_t len, uint32_t hash)
{
	struct logic_pair want = { .key = key, .key_len = len, .hash = hash };
	const uint32_t *index = index_of(object);
	uint32_t low = 0, high = object->len;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		const struct logic_pair *p = &object->pairs[index[mid]];
		int r = order_of(p, &want);

		if (!r)
			return &p->value;
		if (r < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

/* Moves the value of each later pair of an equal key to the first one and marks the later ones (key NULL). */
static void mark_repeated(struct logic_pair *pairs, uint32_t *index, uint32_t n)
{
	uint32_t first = 0;

	qsort_r(index, n, sizeof(*index), cmp_index, pairs);
	for (uint32_t i = 1; i < n; i++) {
		if (order_of(&pairs[index[first]], &pairs[index[i]])) {
			first = i;
			continue;
		}
		pairs[index[first]].value = pairs[index[i]].value;
		pairs[index[i]].key_len = UINT32_MAX;
	}
}

static uint32_t drop_marked(struct logic_pair *pairs, uint32_t n)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < n; i++)
		if (pairs[i].key_len != UINT32_MAX)
			pairs[kept++] = pairs[i];
	return kept;
}

static uint32_t drop_repeated_few(struct logic_pair *pairs, uint32_t n)
{
	uint32_t kept = 0, j;

	for (uint32_t i = 0; i < n; i++) {
		for (j = 0; j < kept && order_of(&pairs[j], &pairs[i]); j++)
			;
		if (j < kept)
			pairs[j].value = pairs[i].value;
		else
			pairs[kept++] = pairs[i];
	}
	return kept;
}

int logic_object(struct arena *a, const struct logic_pair *pairs, size_t n, struct logic_value *ret, struct err *reterr)
{
	struct logic_pair *copy;
	uint32_t *index;

	if (n >= UINT32_MAX / 64)
		return err_set(reterr, WEIR_ELIMIT, "an object has too many keys");
	copy = arena_alloc(a, (n + !n) * sizeof(*copy) + (n >= INDEX_MIN ? n * sizeof(*index) : 0));
	if (!copy)
		return arena_check(a, "values of a rule", reterr);
	for (size_t i = 0; i < n; i++) {
		copy[i] = pairs[i];
		copy[i].key = pairs[i].key ? pairs[i].key : "";
		copy[i].hash = logic_hash(copy[i].key, copy[i].key_len);
	}
	*ret = (struct logic_value){ .kind = LOGIC_OBJECT, .len = (uint32_t)n, .pairs = copy, .indexed = n >= INDEX_MIN };
	if (!ret->indexed) {
		ret->len = drop_repeated_few(copy, (uint32_t)n);
		return 0;
	}
	index = (uint32_t *)(copy + n);
	for (uint32_t i = 0; i < n; i++)
		index[i] = i;
	mark_repeated(copy, index, (uint32_t)n);
	ret->len = drop_marked(copy, (uint32_t)n);
	if (ret->len < n) { /* the index lies behind the pairs that are left */
		index = (uint32_t *)(copy + ret->len);
		for (uint32_t i = 0; i < ret->len; i++)
			index[i] = i;
		qsort_r(index, ret->len, sizeof(*index), cmp_index, copy);
	}
	return 0;
}

bool logic_get(struct logic_value object, str key, struct logic_value *ret)
{
	const struct logic_value *v = NULL;

	if (object.kind == LOGIC_OBJECT && key.len < UINT32_MAX)
		v = logic_find(&object, key.ptr ? key.ptr : "", (uint32_t)key.len, logic_hash(key.ptr ? key.ptr : "", key.len));
	if (v)
		*ret = *v;
	return v;
}

/* --- from documents --- */

static int from_map(struct arena *a, const struct doc_node *n, struct logic_value *ret, struct err *reterr)
{
	struct logic_pair *pairs = NULL;
	int r = 0;

	if (n->map.n && !(pairs = calloc(n->map.n, sizeof(*pairs))))
		return err_set(reterr, WEIR_ENOMEM, "out of memory");
	for (size_t i = 0; i < n->map.n && !r; i++) {
		pairs[i].key = n->map.pairs[i].key.ptr;
		pairs[i].key_len = (uint32_t)n->map.pairs[i].key.len;
		r = logic_from_doc(a, n->map.pairs[i].value, &pairs[i].value, reterr);
	}
	if (!r)
		r = logic_object(a, pairs, n->map.n, ret, reterr);
	free(pairs);
	return r;
}

static int from_seq(struct arena *a, const struct doc_node *n, struct logic_value *ret, struct err *reterr)
{
	struct logic_value *items = ARENA_ARRAY(a, n->seq.n + !n->seq.n, struct logic_value);
	int r = 0;

	if (!items)
		return arena_check(a, "values of a rule", reterr);
	for (size_t i = 0; i < n->seq.n && !r; i++)
		r = logic_from_doc(a, n->seq.items[i], &items[i], reterr);
	*ret = logic_array(items, n->seq.n);
	return r;
}

int logic_from_doc(struct arena *a, const struct doc_node *n, struct logic_value *ret, struct err *reterr)
{
	*ret = logic_null();
	switch (n ? n->kind : DOC_NULL) {
	case DOC_BOOL:
		*ret = logic_bool(n->b);
		return 0;
	case DOC_INT:
		*ret = logic_number((double)n->i);
		return 0;
	case DOC_REAL:
		*ret = logic_number(n->d);
		return 0;
	case DOC_STR:
		*ret = logic_string(n->s);
		return 0;
	case DOC_SEQ:
		return from_seq(a, n, ret, reterr);
	case DOC_MAP:
		return from_map(a, n, ret, reterr);
	case DOC_NONE:
	case DOC_NULL:
		break;
	}
	return 0;
}

/* --- truth, numbers --- */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static size_t skip_digits(str s, size_t i)
{
	while (i < s.len && is_digit(s.ptr[i]))
		i++;
	return i;
}

static size_t skip_sign(str s, size_t i) { return i + (i < s.len && (s.ptr[i] == '+' || s.ptr[i] == '-')); }

/* Bytes of s that are a decimal number: [+-] digits [. digits] [e [+-] digits], at least one digit in front; 0: none. */
static size_t decimal_len(str s)
{
	size_t begin = skip_sign(s, 0), end = skip_digits(s, begin), digits = end - begin, exponent;

	if (end < s.len && s.ptr[end] == '.') {
		begin = end + 1;
		end = skip_digits(s, begin);
		digits += end - begin;
	}
	if (!digits)
		return 0;
	if (end < s.len && (s.ptr[end] | 0x20) == 'e') {
		exponent = skip_sign(s, end + 1);
		if (skip_digits(s, exponent) > exponent)
			end = skip_digits(s, exponent);
	}
	return end;
}

static bool radix_number(str s, double *ret)
{
	unsigned base = 0;
	double v = 0;

	if (s.len > 2 && s.ptr[0] == '0')
		base = (s.ptr[1] | 0x20) == 'x' ? 16 : (s.ptr[1] | 0x20) == 'o' ? 8 : (s.ptr[1] | 0x20) == 'b' ? 2 : 0;
	if (!base)
		return false;
	for (size_t i = 2; i < s.len; i++) {
		char c = s.ptr[i];
		unsigned d = is_digit(c) ? (unsigned)(c - '0') : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (unsigned)((c | 0x20) - 'a' + 10) : 99;

		if (d >= base)
			return false;
		v = v * base + d;
	}
	*ret = v;
	return true;
}

static bool infinity(str s, bool prefix, double *ret)
{
	bool minus = s.len && s.ptr[0] == '-';

	if (minus || (s.len && s.ptr[0] == '+'))
		s = str_sub(s, 1, s.len);
	*ret = minus ? -INFINITY : INFINITY;
	return prefix ? str_has_prefix(s, STR("Infinity")) : str_eq(s, STR("Infinity"));
}

bool logic_parse_number(str s, bool prefix, double *ret)
{
	char tmp[NUMBER_TEXT_MAX];
	int64_t small;
	size_t n;

	if (s.len > NUMBER_SPACE_MAX)
		return false;
	while (s.len && is_space(s.ptr[0]))
		s = str_sub(s, 1, s.len);
	while (!prefix && s.len && is_space(s.ptr[s.len - 1]))
		s.len--;
	if (s.len && s.len < 16 && is_digit(s.ptr[0]) && str_to_i64(s, &small)) { /* most of what is met */
		*ret = (double)small;
		return true;
	}
	if (infinity(s, prefix, ret) || (!prefix && radix_number(s, ret)))
		return true;
	*ret = 0;
	n = decimal_len(s);
	if (!n || n >= sizeof(tmp) || (!prefix && n != s.len))
		return !s.len && !prefix;
	memcpy(tmp, s.ptr, n);
	tmp[n] = 0;
	*ret = strtod(tmp, NULL);
	return true;
}

double logic_js_number(struct logic_value v)
{
	double n = 0;

	for (;;) {
		switch (v.kind) {
		case LOGIC_NULL:
			return 0;
		case LOGIC_BOOL:
			return v.b;
		case LOGIC_NUMBER:
			return v.n;
		case LOGIC_STRING:
			return logic_parse_number(logic_text(v), false, &n) ? n : NAN;
		case LOGIC_ARRAY: /* the text of its items is what counts: none is empty, one is its own */
			if (v.len > 1)
				return NAN;
			if (!v.len || v.items[0].kind == LOGIC_NULL)
				return 0;
			if (v.items[0].kind == LOGIC_BOOL)
				return NAN;
			v = v.items[0];
			break;
		default:
			return NAN;
		}
	}
}

/* --- text --- */

static size_t small_integer_text(int64_t i, char *out)
{
	char digits[24];
	size_t n = 0, len = 0;
	uint64_t u = i < 0 ? (uint64_t)-i : (uint64_t)i;

	do
		digits[n++] = (char)('0' + u % 10);
	while (u /= 10);
	if (i < 0)
		out[len++] = '-';
	while (n)
		out[len++] = digits[--n];
	return len;
}

size_t logic_number_text(double n, char out[LOGIC_NUMBER_BYTES])
{
	struct buf b = BUF_INIT(LOGIC_NUMBER_BYTES);
	struct jw w;
	size_t len;

	if (n == trunc(n) && fabs(n) < 1e15)
		return small_integer_text((int64_t)n, out);
	if (!isfinite(n))
		return (size_t)snprintf(out, LOGIC_NUMBER_BYTES, "%s", isnan(n) ? "NaN" : n < 0 ? "-Infinity" : "Infinity");
	jw_init(&w, &b);
	jw_num(&w, n);
	len = b.len < LOGIC_NUMBER_BYTES ? b.len : LOGIC_NUMBER_BYTES - 1;
	memcpy(out, buf_z(&b), len);
	buf_fini(&b);
	return len;
}

static bool put_items(struct sink *s, struct logic_value v, unsigned depth)
{
	bool ok = depth < LOGIC_VALUE_DEPTH_MAX;

	for (uint32_t i = 0; i < v.len && ok; i++) {
		if (i)
			s->add(s, ",", 1);
		ok = logic_put_text(s, v.items[i], depth + 1);
	}
	return ok;
}

bool logic_put_text(struct sink *s, struct logic_value v, unsigned depth)
{
	char number[LOGIC_NUMBER_BYTES];

	switch (v.kind) {
	case LOGIC_BOOL:
		s->add(s, v.b ? "true" : "false", v.b ? 4 : 5);
		break;
	case LOGIC_NUMBER:
		s->add(s, number, logic_number_text(v.n, number));
		break;
	case LOGIC_STRING:
		s->add(s, v.s, v.len);
		break;
	case LOGIC_ARRAY:
		return put_items(s, v, depth);
	case LOGIC_OBJECT:
		s->add(s, "[object Object]", 15);
		break;
	default:
		break;
	}
	return true;
}

struct seg logic_seg(str key)
{
	struct seg s = { .key = key.ptr ? key.ptr : "", .len = (uint32_t)key.len, .index = -1 };
	int64_t index;

	s.hash = logic_hash(s.key, s.len);
	if (key.len && is_digit(key.ptr[0]) && (key.len == 1 || key.ptr[0] != '0') && str_to_i64(key, &index))
		s.index = index;
	return s;
}

/* --- JSON --- */

static int add_json(struct logic_value v, struct buf *out, unsigned depth, struct err *reterr);

static int add_collection(struct logic_value v, struct buf *out, unsigned depth, struct err *reterr)
{
	bool object = v.kind == LOGIC_OBJECT;
	int r = 0;

	if (depth >= LOGIC_VALUE_DEPTH_MAX)
		return err_set(reterr, WEIR_ELIMIT, "a value is nested deeper than %d", LOGIC_VALUE_DEPTH_MAX);
	buf_addc(out, object ? '{' : '[');
	for (uint32_t i = 0; i < v.len && !r; i++) {
		if (i)
			buf_addc(out, ',');
		if (object) {
			buf_addc(out, '"');
			buf_add_json(out, str_n(v.pairs[i].key, v.pairs[i].key_len));
			buf_addz(out, "\":");
		}
		r = out->failed ? buf_check(out, "JSON text", reterr) : add_json(object ? v.pairs[i].value : v.items[i], out, depth + 1, reterr);
	}
	buf_addc(out, object ? '}' : ']');
	return r;
}

static int add_json(struct logic_value v, struct buf *out, unsigned depth, struct err *reterr)
{
	char number[LOGIC_NUMBER_BYTES];

	switch (v.kind) {
	case LOGIC_BOOL:
		buf_addz(out, v.b ? "true" : "false");
		return 0;
	case LOGIC_NUMBER:
		if (isfinite(v.n))
			buf_add(out, number, logic_number_text(v.n, number));
		else
			buf_addz(out, "null");
		return 0;
	case LOGIC_STRING:
		buf_addc(out, '"');
		buf_add_json(out, logic_text(v));
		buf_addc(out, '"');
		return 0;
	case LOGIC_ARRAY:
	case LOGIC_OBJECT:
		return add_collection(v, out, depth, reterr);
	default:
		buf_addz(out, "null");
		return 0;
	}
}

int logic_to_json(struct logic_value v, struct buf *out, struct err *reterr)
{
	int r = add_json(v, out, 0, reterr);

	return r ? r : buf_check(out, "JSON text", reterr);
}
