/* arena.h - memory that is given back all at once: one arena per request, document or turn.
 *
 * An arena has a mandatory maximum. When it is met (or memory runs out) the allocation returns NULL and the arena
 * stays `failed`; callers that build trees may ask arena_check() once at the end. Not thread-safe. */
#ifndef WEIR_BASE_ARENA_H
#define WEIR_BASE_ARENA_H

#include "base/base.h"
#include "base/err.h"
#include "base/str.h"

struct arena_chunk;
struct arena_end;
struct arena {
	struct arena_chunk *chunks;
	size_t              used, max;
	bool                failed;
	struct arena_end   *ends;
};

#define ARENA_INIT(max_) { NULL, 0, (max_), false, NULL }

void arena_init(struct arena *a, size_t max);
void arena_fini(struct arena *a); /* frees everything; the arena can be used again */
#define CLEANUP_ARENA CLEANUP(arena_fini)

/* Runs end(thing) in arena_fini, last added first: for what an arena's object holds outside of it (a compiled pattern). False
 * when the arena is full: the caller still owns the thing. */
MUST_CHECK bool arena_at_end(struct arena *a, void (*end)(void *thing), void *thing);

void *arena_alloc(struct arena *a, size_t n); /* zeroed, 16-byte aligned */
void *arena_array(struct arena *a, size_t n, size_t size); /* overflow-checked */
char *arena_dup(struct arena *a, str s);      /* NUL-terminated copy */
char *arena_dupz(struct arena *a, const char *z);
str   arena_str(struct arena *a, str s);      /* copy as a slice (NUL behind it); STR_NULL when failed */
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF(2, 3);
MUST_CHECK int arena_check(const struct arena *a, const char *what, struct err *reterr);

#define ARENA_NEW(a, type)      ((type *)arena_alloc((a), sizeof(type)))
#define ARENA_ARRAY(a, n, type) ((type *)arena_array((a), (n), sizeof(type)))

#endif
