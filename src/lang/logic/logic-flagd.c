/* logic-flagd.c - flagd's fractional: a share of the users by a hash.
 *
 * fractional hashes with MurmurHash3 x86_32 (seed 0) over UTF-8 as the bytes come, so that no key is ever put together in memory:
 * v2 the text; v3 the deterministic CBOR (RFC 8949, 4.2.1) of any value but null, floats that are whole as integers; v1 as v2.
 * A weight that is no whole number, a sum over 2,147,483,647 and malformed entries give null, never an error: a flag then takes
 * its default variant. */
#include "base/base.h"
#include "logic-internal.h"

#include <math.h>

/* --- MurmurHash3 x86_32 --- */

struct murmur {
	struct sink sink;
	uint32_t hash, block, total;
	unsigned in_block;
};

static uint32_t rotl(uint32_t x, int r) { return x << r | x >> (32 - r); }

static uint32_t scramble(uint32_t k) { return rotl(k * 0xcc9e2d51u, 15) * 0x1b873593u; }

static void murmur_block(struct murmur *m, uint32_t k) { m->hash = rotl(m->hash ^ scramble(k), 13) * 5 + 0xe6546b64u; }

static void murmur_add(struct sink *s, const char *p, size_t n)
{
	struct murmur *m = (struct murmur *)s;
	const unsigned char *u = (const unsigned char *)p;

	m->total += (uint32_t)n;
	for (; n && m->in_block; n--, u++) {
		m->block |= (uint32_t)*u << 8 * m->in_block;
		m->in_block = (m->in_block + 1) % 4;
		if (!m->in_block) {
			murmur_block(m, m->block);
			m->block = 0;
		}
	}
	for (; n >= 4; n -= 4, u += 4)
		murmur_block(m, (uint32_t)u[0] | (uint32_t)u[1] << 8 | (uint32_t)u[2] << 16 | (uint32_t)u[3] << 24);
	for (; n; n--, u++)
		m->block |= (uint32_t)*u << 8 * m->in_block++;
}

static uint32_t murmur_end(struct murmur *m)
{
	uint32_t h = m->hash;

	if (m->in_block)
		h ^= scramble(m->block);
	h ^= m->total;
	h = (h ^ h >> 16) * 0x85ebca6bu;
	h = (h ^ h >> 13) * 0xc2b2ae35u;
	return h ^ h >> 16;
}

/* --- CBOR --- */

enum { CBOR_UNSIGNED = 0, CBOR_NEGATIVE = 1, CBOR_TEXT = 3, CBOR_LIST = 4, CBOR_MAP = 5, CBOR_SIMPLE = 7, KEYS_ON_STACK = 32 };

static void put_big_endian(struct sink *s, unsigned char head, uint64_t v, unsigned bytes)
{
	char out[9] = { (char)head };

	for (unsigned i = 0; i < bytes; i++)
		out[1 + i] = (char)(v >> 8 * (bytes - 1 - i));
	s->add(s, out, 1 + bytes);
}

static void put_head(struct sink *s, unsigned major, uint64_t v)
{
	unsigned char type = (unsigned char)(major << 5);

	if (v < 24)
		put_big_endian(s, (unsigned char)(type | v), 0, 0);
	else if (v <= UINT8_MAX)
		put_big_endian(s, type | 24, v, 1);
	else if (v <= UINT16_MAX)
		put_big_endian(s, type | 25, v, 2);
	else if (v <= UINT32_MAX)
		put_big_endian(s, type | 26, v, 4);
	else
		put_big_endian(s, type | 27, v, 8);
}

/* The half-precision bits that mean exactly the float with these bits; false: there are none. */
static bool half_bits(uint32_t bits, uint16_t *ret)
{
	int exponent = (int)(bits >> 23 & 0xff) - 127, shift;
	uint32_t fraction = bits & 0x7fffff, whole = fraction | 0x800000, sign = bits >> 16 & 0x8000;

	if (exponent >= -14 && exponent <= 15) {
		*ret = (uint16_t)(sign | (uint32_t)(exponent + 15) << 10 | fraction >> 13);
		return !(fraction & 0x1fff);
	}
	if (exponent < -24 || exponent > -15)
		return false;
	shift = -(exponent + 1);
	*ret = (uint16_t)(sign | whole >> shift);
	return !(whole & ((1u << shift) - 1));
}

static void put_float(struct sink *s, double d)
{
	float f = (float)d;
	uint32_t bits;
	uint64_t wide;
	uint16_t half;

	memcpy(&bits, &f, sizeof(bits));
	memcpy(&wide, &d, sizeof(wide));
	if ((double)f != d)
		put_big_endian(s, CBOR_SIMPLE << 5 | 27, wide, 8);
	else if (half_bits(bits, &half))
		put_big_endian(s, CBOR_SIMPLE << 5 | 25, half, 2);
	else
		put_big_endian(s, CBOR_SIMPLE << 5 | 26, bits, 4);
}

static void put_number(struct sink *s, double d)
{
	if (d == trunc(d) && d >= 0 && d < 18446744073709551616.0)
		put_head(s, CBOR_UNSIGNED, (uint64_t)d);
	else if (d == trunc(d) && d < 0 && d >= -9223372036854775808.0)
		put_head(s, CBOR_NEGATIVE, (uint64_t)-d - 1);
	else
		put_float(s, d);
}

static void put_text(struct sink *s, str text)
{
	put_head(s, CBOR_TEXT, text.len);
	s->add(s, text.ptr ? text.ptr : "", text.len);
}

static int cmp_cbor_key(const void *a, const void *b)
{
	const struct logic_pair *x = *(const struct logic_pair *const *)a, *y = *(const struct logic_pair *const *)b;

	if (x->key_len != y->key_len) /* the length is what the encoded key begins with */
		return x->key_len < y->key_len ? -1 : 1;
	return memcmp(x->key, y->key, x->key_len);
}

static bool put_cbor(struct ev *e, const struct node *n, struct sink *s, struct logic_value v, unsigned depth);

static bool put_map(struct ev *e, const struct node *n, struct sink *s, struct logic_value v, unsigned depth)
{
	const struct logic_pair *few[KEYS_ON_STACK], **sorted = few;

	if (v.len > KEYS_ON_STACK && !(sorted = logic_take(e, n, v.len * sizeof(*sorted))))
		return false;
	for (uint32_t i = 0; i < v.len; i++)
		sorted[i] = &v.pairs[i];
	qsort(sorted, v.len, sizeof(*sorted), cmp_cbor_key);
	put_head(s, CBOR_MAP, v.len);
	for (uint32_t i = 0; i < v.len; i++) {
		put_text(s, str_n(sorted[i]->key, sorted[i]->key_len));
		if (!put_cbor(e, n, s, sorted[i]->value, depth + 1))
			return false;
	}
	return true;
}

static bool put_cbor(struct ev *e, const struct node *n, struct sink *s, struct logic_value v, unsigned depth)
{
	if (depth >= LOGIC_VALUE_DEPTH_MAX || !logic_charge(e, 1 + (v.kind == LOGIC_STRING ? v.len / 16 : 0))) {
		logic_fatal(e, n, WEIR_ELIMIT, "the bucketing value is too large");
		return false;
	}
	switch (v.kind) {
	case LOGIC_BOOL:
		put_head(s, CBOR_SIMPLE, v.b ? 21 : 20);
		return true;
	case LOGIC_NUMBER:
		put_number(s, v.n);
		return true;
	case LOGIC_STRING:
		put_text(s, logic_text(v));
		return true;
	case LOGIC_ARRAY:
		put_head(s, CBOR_LIST, v.len);
		for (uint32_t i = 0; i < v.len; i++)
			if (!put_cbor(e, n, s, v.items[i], depth + 1))
				return false;
		return true;
	case LOGIC_OBJECT:
		return put_map(e, n, s, v, depth);
	default:
		put_head(s, CBOR_SIMPLE, 22);
		return true;
	}
}

/* --- the bucketing value --- */

enum keyed { KEY_NONE, KEY_HASHED, KEY_FAILED };

/* Hash of flagKey and targetingKey; the targeting key must be a text that is not empty. */
static enum keyed hash_default(struct ev *e, uint32_t *ret)
{
	struct murmur m = { .sink = { murmur_add } };
	const struct scope *s = e->scope;
	struct logic_value key;

	while (s->up)
		s = s->up;
	if (!logic_get(s->data, STR("targetingKey"), &key) || key.kind != LOGIC_STRING || !key.len)
		return KEY_NONE;
	if (e->rule->fractional == LOGIC_FRACTIONAL_V3) {
		put_head(&m.sink, CBOR_LIST, 2);
		put_text(&m.sink, e->env->flag_key);
		put_text(&m.sink, logic_text(key));
	} else {
		m.sink.add(&m.sink, e->env->flag_key.ptr ? e->env->flag_key.ptr : "", e->env->flag_key.len);
		m.sink.add(&m.sink, key.s, key.len);
	}
	*ret = murmur_end(&m);
	return KEY_HASHED;
}

static enum keyed hash_value(struct ev *e, const struct node *n, struct logic_value v, uint32_t *ret)
{
	struct murmur m = { .sink = { murmur_add } };

	if (e->rule->fractional == LOGIC_FRACTIONAL_V3) {
		if (v.kind == LOGIC_NULL)
			return KEY_NONE;
		if (!put_cbor(e, n, &m.sink, v, 0))
			return KEY_FAILED;
	} else {
		if (v.kind != LOGIC_STRING)
			return KEY_NONE;
		if (!logic_charge(e, v.len / 16)) {
			logic_no_steps(e, n);
			return KEY_FAILED;
		}
		m.sink.add(&m.sink, v.s, v.len);
	}
	*ret = murmur_end(&m);
	return KEY_HASHED;
}

struct length {
	struct sink sink;
	uint64_t n;
};

static void length_add(struct sink *s, const char *p, size_t n)
{
	(void)p;
	((struct length *)s)->n += n;
}

enum { PARTS_MAX = 16 };

/* As hash_value of what `cat` makes, without making it. */
static enum keyed hash_cat(struct ev *e, const struct node *cat, uint32_t *ret)
{
	struct murmur m = { .sink = { murmur_add } };
	struct length length = { .sink = { length_add } };
	struct logic_value parts[PARTS_MAX];
	bool ok = true;

	for (uint32_t i = 0; i < cat->n; i++)
		if (is_failed(parts[i] = logic_eval_node(e, &e->nodes[cat->first + i])))
			return KEY_FAILED;
	for (uint32_t i = 0; i < cat->n && ok; i++)
		ok = logic_put_text(&length.sink, parts[i], 0);
	if (!ok || !logic_charge(e, length.n / 16)) {
		logic_fatal(e, cat, WEIR_ELIMIT, "the bucketing value is too large");
		return KEY_FAILED;
	}
	if (e->rule->fractional == LOGIC_FRACTIONAL_V3)
		put_head(&m.sink, CBOR_TEXT, length.n);
	for (uint32_t i = 0; i < cat->n; i++)
		if (!logic_put_text(&m.sink, parts[i], 0))
			BUG("a value changed");
	*ret = murmur_end(&m);
	return KEY_HASHED;
}

/* --- the entries --- */

bool logic_weight(struct logic_value v, double *ret)
{
	*ret = v.kind == LOGIC_NUMBER && v.n > 0 ? v.n : 0;
	return v.kind == LOGIC_NUMBER && v.n == trunc(v.n) && isfinite(v.n);
}

struct entries {
	const struct logic_value *values; /* lists of a variant and perhaps a weight; NULL: there are none of these */
	uint32_t n_values;
	const struct node *pairs; /* behind them: a node for the variant and one for the weight, in turn */
	uint32_t n_pairs;
};

/* False: the entry is malformed (null is the answer), or *ret_failed. */
static bool weight_of(struct ev *e, const struct entries *x, uint32_t i, double *ret, bool *ret_failed)
{
	struct logic_value v = logic_number(1);

	if (i < x->n_values) {
		const struct logic_value *entry = &x->values[i];

		if (entry->kind != LOGIC_ARRAY || !entry->len || entry->len > 2)
			return false;
		v = entry->len == 2 ? entry->items[1] : v;
	} else {
		v = logic_eval_node(e, &x->pairs[2 * (i - x->n_values) + 1]);
	}
	*ret_failed = is_failed(v);
	return logic_weight(v, ret);
}

static struct logic_value variant(struct logic_value v)
{
	return v.kind == LOGIC_ARRAY || v.kind == LOGIC_OBJECT ? logic_null() : v;
}

static struct logic_value variant_of(struct ev *e, const struct entries *x, uint32_t i)
{
	return variant(i < x->n_values ? x->values[i].items[0] : logic_eval_node(e, &x->pairs[2 * (i - x->n_values)]));
}

/* Which entry the hash falls into; n: into none. */
static uint32_t pick(const struct ev *e, const double *weights, uint32_t n, double total, uint32_t hash)
{
	uint64_t bucket = (uint64_t)hash * (uint64_t)total >> 32, sum = 0;
	double share = fabs((double)(int32_t)hash) / 2147483647.0 * 100, end = 0;
	bool v1 = e->rule->fractional == LOGIC_FRACTIONAL_V1;

	for (uint32_t i = 0; i < n; i++) {
		sum += (uint64_t)weights[i];
		end += weights[i] * 100 / total;
		if (v1 ? share < end : bucket < sum)
			return i;
	}
	return n;
}

enum { WEIGHTS_ON_STACK = 64 };

static struct logic_value distribute(struct ev *e, const struct node *n, const struct entries *x, uint32_t hash)
{
	double few[WEIGHTS_ON_STACK], *weights = few, total = 0;
	uint32_t count = x->n_values + x->n_pairs, i;
	bool broken = false;

	if (count > WEIGHTS_ON_STACK && !(weights = logic_take(e, n, count * sizeof(*weights))))
		return failed();
	if (!logic_charge(e, count))
		return logic_no_steps(e, n);
	for (i = 0; i < count; i++) {
		if (!weight_of(e, x, i, &weights[i], &broken))
			return broken ? failed() : logic_null();
		total += weights[i];
	}
	if (total > LOGIC_WEIGHT_MAX || total <= 0)
		return logic_null();
	i = pick(e, weights, count, total, hash);
	return i < count ? variant_of(e, x, i) : logic_null();
}

static struct logic_value distribute_prepared(struct ev *e, const struct node *n, uint32_t hash)
{
	const union table *t = &e->rule->tables[n->aux];
	uint64_t bucket = (uint64_t)hash * t->share.total >> 32;

	for (uint32_t i = 0; i < t->share.n; i++)
		if (t->share.buckets[i].until > bucket)
			return variant(logic_eval_node(e, &e->nodes[t->share.buckets[i].variant]));
	return logic_null();
}

/* All arguments are values: the form with expressions where entries stand. */
static struct logic_value fractional_values(struct ev *e, const struct node *n)
{
	struct args a;
	struct entries x = { 0 };
	struct logic_value *v;
	enum keyed keyed;
	uint32_t hash = 0;

	if (!logic_args(e, n, &a))
		return failed();
	x.values = a.values;
	x.n_values = a.n;
	if (!a.n)
		return logic_null();
	if (!a.values) {
		x.values = v = logic_take(e, n, a.n * sizeof(*v));
		if (!v)
			return failed();
		for (uint32_t i = 0; i < a.n; i++)
			if (is_failed(v[i] = logic_arg(e, &a, i)))
				return v[i];
	}
	if (x.values[0].kind == LOGIC_ARRAY) {
		keyed = hash_default(e, &hash);
	} else {
		keyed = hash_value(e, n, *x.values++, &hash);
		x.n_values--;
	}
	return keyed == KEY_HASHED ? distribute(e, n, &x, hash) : keyed == KEY_FAILED ? failed() : logic_null();
}

struct logic_value logic_op_fractional(struct ev *e, const struct node *n)
{
	const struct node *arg = &e->nodes[n->first];
	bool key_given = n->flags & NODE_KEYED;
	struct logic_value v = logic_null();
	struct entries x = { .pairs = arg + key_given, .n_pairs = (n->n - key_given) / 2 };
	enum keyed keyed;
	uint32_t hash = 0;

	if (n->flags & (NODE_SPREAD | NODE_VALUES))
		return fractional_values(e, n);
	if (!key_given) {
		keyed = hash_default(e, &hash);
	} else if (arg->op == OP_CAT && !(arg->flags & NODE_SPREAD) && arg->n <= PARTS_MAX && !e->tracing) {
		keyed = hash_cat(e, arg, &hash);
	} else {
		v = logic_eval_node(e, arg);
		if (is_failed(v))
			return v;
		if (v.kind == LOGIC_ARRAY) { /* no key, but the first entry */
			x.values = &v;
			x.n_values = 1;
		}
		keyed = x.values ? hash_default(e, &hash) : hash_value(e, n, v, &hash);
	}
	if (keyed != KEY_HASHED)
		return keyed == KEY_FAILED ? failed() : logic_null();
	return n->flags & NODE_PREPARED && !x.values ? distribute_prepared(e, n, hash) : distribute(e, n, &x, hash);
}
