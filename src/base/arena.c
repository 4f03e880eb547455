/* arena.c - chunked bump allocator (see arena.h). */
#include "base/base.h"
#include "base/arena.h"

#include <stdarg.h>

enum { ARENA_CHUNK_BYTES = 8 << 10, ARENA_ALIGN = 16 };

struct arena_chunk {
	struct arena_chunk *next;
	size_t              used, cap;
	_Alignas(ARENA_ALIGN) char data[];
};

struct arena_end {
	struct arena_end *next;
	void (*end)(void *thing);
	void *thing;
};

void arena_init(struct arena *a, size_t max) { *a = (struct arena)ARENA_INIT(max); }

bool arena_at_end(struct arena *a, void (*end)(void *thing), void *thing)
{
	struct arena_end *e = ARENA_NEW(a, struct arena_end);

	if (!e)
		return false;
	*e = (struct arena_end){ a->ends, end, thing };
	a->ends = e;
	return true;
}

void arena_fini(struct arena *a)
{
	for (const struct arena_end *e = a->ends; e; e = e->next)
		e->end(e->thing);
	while (a->chunks) {
		struct arena_chunk *next = a->chunks->next;

		free(a->chunks);
		a->chunks = next;
	}
	arena_init(a, a->max);
}

void *arena_alloc(struct arena *a, size_t n)
{
	size_t              need = (n + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
	struct arena_chunk *c = a->chunks;
	void               *p;

	if (a->failed || need < n || need > a->max - a->used) {
		a->failed = true;
		return NULL;
	}
	if (!c || c->cap - c->used < need) {
		size_t cap = need > ARENA_CHUNK_BYTES ? need : ARENA_CHUNK_BYTES;

		c = malloc(sizeof(*c) + cap);
		if (!c) {
			a->failed = true;
			return NULL;
		}
		c->used = 0;
		c->cap = cap;
		c->next = a->chunks;
		a->chunks = c;
	}
	/* Only what is handed out is cleared: a short-lived arena uses a part of its chunk. */
	p = memset(c->data + c->used, 0, need);
	c->used += need;
	a->used += need;
	return p;
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes)) {
		a->failed = true;
		return NULL;
	}
	return arena_alloc(a, bytes);
}

char *arena_dup(struct arena *a, str s)
{
	char *p = arena_alloc(a, s.len + 1);

	if (p && s.len)
		memcpy(p, s.ptr, s.len);
	return p;
}

char *arena_dupz(struct arena *a, const char *z) { return arena_dup(a, str_z(z)); }

str arena_str(struct arena *a, str s)
{
	char *p = arena_dup(a, s);

	return p ? str_n(p, s.len) : STR_NULL;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	int     n;
	char   *p;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	p = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1);
	if (!p)
		return NULL;
	va_start(ap, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return p;
}

int arena_check(const struct arena *a, const char *what, struct err *reterr)
{
	if (!a->failed)
		return 0;
	return err_set(reterr, WEIR_ELIMIT, "%s needs more than %zu bytes of memory", what, a->max);
}
