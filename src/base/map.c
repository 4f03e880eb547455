/* map.c - open addressing over an entry array that keeps insertion order (see map.h). */
#include "base/base.h"
#include "base/map.h"

#include <pthread.h>
#include <sodium.h>

static unsigned char map_seed[crypto_shorthash_KEYBYTES];

static void map_seed_make(void) { randombytes_buf(map_seed, sizeof(map_seed)); }

static uint64_t map_hash(str key)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	unsigned char         out[crypto_shorthash_BYTES];
	uint64_t              h;

	pthread_once(&once, map_seed_make);
	crypto_shorthash(out, (const unsigned char *)(key.len ? key.ptr : ""), key.len, map_seed);
	memcpy(&h, out, sizeof(h));
	return h;
}

void map_init(struct map *m) { *m = (struct map)MAP_INIT; }

void map_fini(struct map *m)
{
	for (size_t i = 0; i < m->n_entries; i++)
		free(m->entries[i].key);
	free(m->entries);
	free(m->slots);
	map_init(m);
}

static struct map_entry *map_find(const struct map *m, str key, uint64_t h)
{
	if (!m->n_slots)
		return NULL;
	for (size_t i = h & (m->n_slots - 1); m->slots[i]; i = (i + 1) & (m->n_slots - 1)) {
		struct map_entry *e = &m->entries[m->slots[i] - 1];

		if (e->key && e->hash == h && str_eq(str_n(e->key, e->key_len), key))
			return e;
	}
	return NULL;
}

void *map_get(const struct map *m, str key)
{
	struct map_entry *e = map_find(m, key, map_hash(key));

	return e ? e->value : NULL;
}

bool map_has(const struct map *m, str key) { return map_find(m, key, map_hash(key)) != NULL; }

/* Rebuilds the slots (twice the live entries or more) and closes the holes that map_del left. */
static bool map_rebuild(struct map *m)
{
	size_t    n = 16, live = 0;
	uint32_t *slots;

	while (n < (m->n_live + 1) * 2)
		n *= 2;
	slots = calloc(n, sizeof(*slots));
	if (!slots)
		return false;
	for (size_t i = 0; i < m->n_entries; i++) {
		size_t at;

		if (!m->entries[i].key)
			continue;
		m->entries[live] = m->entries[i];
		at = m->entries[live].hash & (n - 1);
		while (slots[at])
			at = (at + 1) & (n - 1);
		slots[at] = (uint32_t)++live;
	}
	m->n_entries = live;
	free(m->slots);
	m->slots = slots;
	m->n_slots = n;
	return true;
}

bool map_put(struct map *m, str key, void *value, void **ret_old)
{
	uint64_t          h = map_hash(key);
	struct map_entry *e = map_find(m, key, h);
	size_t            at;
	char             *copy;

	if (ret_old)
		*ret_old = e ? e->value : NULL;
	if (e) {
		e->value = value;
		return true;
	}
	if ((m->n_entries + 1) * 2 > m->n_slots && !map_rebuild(m))
		return false;
	if (m->n_entries == m->cap_entries) {
		size_t            cap = m->cap_entries ? m->cap_entries * 2 : 8;
		struct map_entry *p = realloc(m->entries, cap * sizeof(*p));

		if (!p)
			return false;
		m->entries = p;
		m->cap_entries = cap;
	}
	copy = str_dup(key);
	if (!copy)
		return false;
	m->entries[m->n_entries++] = (struct map_entry){ copy, key.len, value, h };
	m->n_live++;
	at = h & (m->n_slots - 1);
	while (m->slots[at])
		at = (at + 1) & (m->n_slots - 1);
	m->slots[at] = (uint32_t)m->n_entries;
	return true;
}

void *map_del(struct map *m, str key)
{
	struct map_entry *e = map_find(m, key, map_hash(key));
	void             *value;

	if (!e)
		return NULL;
	value = e->value;
	free(e->key);
	*e = (struct map_entry){ NULL, 0, NULL, 0 };
	m->n_live--;
	return value;
}

struct map_entry *map_next(const struct map *m, const struct map_entry *prev)
{
	for (size_t i = prev ? (size_t)(prev - m->entries) + 1 : 0; i < m->n_entries; i++)
		if (m->entries[i].key)
			return &m->entries[i];
	return NULL;
}
