/* map.h - hash map from text to pointer, in insertion order. Keys are copied; values are the caller's.
 * Keyed SipHash with a random seed per process (keys may come from outside). Not thread-safe. */
#ifndef WEIR_BASE_MAP_H
#define WEIR_BASE_MAP_H

#include "base/base.h"
#include "base/str.h"

struct map_entry {
	char  *key; /* NUL-terminated, key_len bytes; NULL: deleted */
	size_t key_len;
	void  *value;
	uint64_t hash;
};
struct map {
	struct map_entry *entries; /* insertion order, with holes after map_del */
	size_t            n_entries, cap_entries, n_live;
	uint32_t         *slots; /* index+1 into entries, 0 free */
	size_t            n_slots; /* power of two */
};
#define MAP_INIT { NULL, 0, 0, 0, NULL, 0 }

void  map_init(struct map *m);
void  map_fini(struct map *m); /* frees keys, not values */
void *map_get(const struct map *m, str key); /* NULL when absent */
bool  map_has(const struct map *m, str key);
/* Sets key to value; the former value goes to *ret_old (may be NULL). False when out of memory. */
MUST_CHECK bool map_put(struct map *m, str key, void *value, void **ret_old);
void *map_del(struct map *m, str key); /* the removed value, or NULL */
static inline size_t map_count(const struct map *m)
{
	return m->n_live;
}
/* for (struct map_entry *e = map_next(m, NULL); e; e = map_next(m, e)) */
struct map_entry *map_next(const struct map *m, const struct map_entry *prev);

#endif
