/* cel-map.c - CEL maps: immutable arrays of keys and values in the order they came, searched linearly while small (length and
 * bytes of a text key settle it in a few nanoseconds), through an index of hashes when larger. 1, 1u and 1.0 are one key.
 *
 * Pure: made in the caller's arena, read by any number of threads. */
#include "base/base.h"
#include "lang/cel/cel-value.h"

const struct cel_map cel_map_empty;

/* A number as a key: its kind (INT where it fits, else UINT) and value; false when no key can equal it (1.5, NaN). */
static bool canonical(struct cel_value *k)
{
	if (k->kind == CEL_DOUBLE) {
		double d = k->d;

		if (!(d >= -0x1p63 && d < 0x1p64) || d != trunc(d))
			return false;
		*k = d < 0x1p63 ? cel_of_int((int64_t)d) : cel_of_uint((uint64_t)d);
	} else if (k->kind == CEL_UINT && k->u <= INT64_MAX) {
		*k = cel_of_int((int64_t)k->u);
	}
	return true;
}

static uint32_t mix(uint64_t h)
{
	h *= 0x9E3779B97F4A7C15u;
	return (uint32_t)(h >> 32);
}

static uint64_t hash_bytes(const char *p, size_t n)
{
	uint64_t h = n * 0xff51afd7ed558ccdu, w;

	for (; n >= 8; p += 8, n -= 8) {
		memcpy(&w, p, 8);
		h = (h ^ w) * 0x9FB21C651E98DF25u;
		h ^= h >> 32;
	}
	for (w = 0; n; n--)
		w = w << 8 | (unsigned char)*p++;
	h = (h ^ w) * 0x9FB21C651E98DF25u;
	return h ^ h >> 29;
}

uint32_t cel_key_hash(struct cel_value k)
{
	if (k.kind == CEL_STRING)
		return mix(hash_bytes(k.s, k.len));
	if (k.kind == CEL_BOOL)
		return mix(k.b + 7u);
	if (!canonical(&k))
		return 0;
	return mix((uint64_t)k.i ^ 0x5bd1e995u);
}

static bool key_equal(struct cel_value a, struct cel_value b)
{
	if (a.kind != b.kind)
		return false;
	if (a.kind == CEL_STRING)
		return cel_same_text(a, b);
	return a.kind == CEL_BOOL ? a.b == b.b : a.i == b.i;
}

static size_t find_linear(const struct cel_map *m, struct cel_value key)
{
	if (key.kind == CEL_STRING) {
		for (size_t i = 0; i < m->n; i++)
			if (m->keys[i].len == key.len && m->keys[i].kind == CEL_STRING && cel_same_bytes(m->keys[i].s, key.s, key.len))
				return i;
		return SIZE_MAX;
	}
	for (size_t i = 0; i < m->n; i++) {
		struct cel_value k = m->keys[i];

		if (canonical(&k) && key_equal(k, key))
			return i;
	}
	return SIZE_MAX;
}

static size_t find_index(const struct cel_map *m, struct cel_value key, uint32_t hash)
{
	for (uint32_t at = hash & m->mask; m->index[at]; at = (at + 1) & m->mask) {
		struct cel_value k = m->keys[m->index[at] - 1];

		if (key.kind == CEL_STRING ? k.kind == CEL_STRING && cel_same_text(k, key) : canonical(&k) && key_equal(k, key))
			return m->index[at] - 1;
	}
	return SIZE_MAX;
}

static bool is_key_kind(struct cel_value k)
{
	return k.kind == CEL_STRING || k.kind == CEL_BOOL || k.kind == CEL_INT || k.kind == CEL_UINT;
}

const struct cel_value *cel_map_get_hashed(const struct cel_map *m, struct cel_value key, uint32_t hash)
{
	size_t i;

	if (key.kind != CEL_STRING && key.kind != CEL_BOOL && (!cel_is_num(key) || !canonical(&key)))
		return NULL;
	i = m->index ? find_index(m, key, hash) : find_linear(m, key);
	return i == SIZE_MAX ? NULL : &m->values[i];
}

const struct cel_value *cel_map_get(const struct cel_map *m, struct cel_value key)
{
	return cel_map_get_hashed(m, key, m->index ? cel_key_hash(key) : 0);
}

size_t cel_map_len(const struct cel_map *m)
{
	return m->n;
}

void cel_map_at(const struct cel_map *m, size_t i, struct cel_value *ret_key, struct cel_value *ret_value)
{
	*ret_key = m->keys[i];
	*ret_value = m->values[i];
}

static bool make_index(struct arena *a, struct cel_map *m, size_t n)
{
	uint32_t slots = 16;

	while (slots < n * 2)
		slots *= 2;
	m->mask = slots - 1;
	m->index = ARENA_ARRAY(a, slots, uint32_t);
	return m->index;
}

static void index_put(struct cel_map *m, uint32_t *index, size_t i)
{
	uint32_t at = cel_key_hash(m->keys[i]) & m->mask;

	while (index[at])
		at = (at + 1) & m->mask;
	index[at] = (uint32_t)i + 1;
}

static struct cel_value repeated_key(struct arena *a, struct cel_value key)
{
	struct buf text = BUF_INIT(200);
	struct cel_value e;

	cel_print(key, &text);
	e = cel_error_value(a, "repeated key in a map: %s", text.failed ? "(long)" : buf_z(&text));
	buf_fini(&text);
	return e;
}

struct cel_value cel_map_adopt(struct arena *a, struct cel_value *keys, struct cel_value *values, size_t n, bool dup_is_error)
{
	struct cel_map *m;
	uint32_t *index = NULL;

	if (!n)
		return (struct cel_value){ .kind = CEL_MAP, .map = &cel_map_empty };
	m = ARENA_NEW(a, struct cel_map);
	if (!m || n > UINT32_MAX / 4 || (n > CEL_MAP_LINEAR_MAX && !make_index(a, m, n)))
		return cel_error_value(a, "out of memory");
	memcpy(&index, &m->index, sizeof(index)); /* ours alone until the map is handed out */
	m->keys = keys;
	m->values = values;
	for (size_t i = 0; i < n; i++) {
		const struct cel_value *old;
		struct cel_value k = keys[i];

		if (!is_key_kind(k))
			return cel_error_value(a, "unsupported key type: %s", cel_kind_name(k));
		old = cel_map_get(m, k);
		if (old && dup_is_error)
			return repeated_key(a, k);
		if (old) {
			values[old - m->values] = values[i];
			continue;
		}
		keys[m->n] = k;
		values[m->n] = values[i];
		if (index)
			index_put(m, index, m->n);
		m->n++;
	}
	return (struct cel_value){ .kind = CEL_MAP, .map = m };
}

struct cel_value cel_of_map(struct arena *a, const struct cel_value *keys, const struct cel_value *values, size_t n)
{
	struct cel_value *k = n ? ARENA_ARRAY(a, n, struct cel_value) : NULL;
	struct cel_value *v = n ? ARENA_ARRAY(a, n, struct cel_value) : NULL;

	if (n && (!k || !v))
		return cel_error_value(a, "out of memory");
	if (n) {
		memcpy(k, keys, n * sizeof(*k));
		memcpy(v, values, n * sizeof(*v));
	}
	return cel_map_adopt(a, k, v, n, false);
}

/* --- documents --- */

static struct cel_value of_seq(struct arena *a, const struct doc_node *n)
{
	struct cel_value *items = n->seq.n ? ARENA_ARRAY(a, n->seq.n, struct cel_value) : NULL;

	if (n->seq.n && !items)
		return cel_error_value(a, "out of memory");
	for (size_t i = 0; i < n->seq.n; i++)
		items[i] = cel_of_doc(a, n->seq.items[i]);
	return cel_list_adopt(a, items, n->seq.n);
}

static struct cel_value of_map(struct arena *a, const struct doc_node *n)
{
	struct cel_value *k = n->map.n ? ARENA_ARRAY(a, n->map.n, struct cel_value) : NULL;
	struct cel_value *v = n->map.n ? ARENA_ARRAY(a, n->map.n, struct cel_value) : NULL;

	if (n->map.n && (!k || !v))
		return cel_error_value(a, "out of memory");
	for (size_t i = 0; i < n->map.n; i++) {
		k[i] = cel_of_str(n->map.pairs[i].key);
		v[i] = cel_of_doc(a, n->map.pairs[i].value);
	}
	return cel_map_adopt(a, k, v, n->map.n, false);
}

struct cel_value cel_of_doc(struct arena *a, const struct doc_node *n)
{
	switch (n ? n->kind : DOC_NULL) {
	case DOC_BOOL: return cel_of_bool(n->b);
	case DOC_INT: return cel_of_int(n->i);
	case DOC_REAL: return cel_of_double(n->d);
	case DOC_STR: return cel_of_str(n->s);
	case DOC_SEQ: return of_seq(a, n);
	case DOC_MAP: return of_map(a, n);
	default: return cel_of_null();
	}
}
