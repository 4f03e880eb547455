/* vec.h - typed growable arrays. `VEC(struct job) jobs = VEC_INIT;` owns jobs.v[0..jobs.n-1]. */
#ifndef WEIR_BASE_VEC_H
#define WEIR_BASE_VEC_H

#include "base/base.h"

#define VEC(type)           \
	struct {                \
		type  *v;           \
		size_t n, cap;      \
	}
#define VEC_INIT { NULL, 0, 0 }

/* Makes room for one more element of `size` bytes; false when out of memory. Use through VEC_PUSH. */
bool vec_grow(void **v, size_t *cap, size_t n, size_t size);

/* Appends a copy of `item`; false when out of memory. */
#define VEC_PUSH(vec, item)                                                                            \
	(vec_grow((void **)&(vec)->v, &(vec)->cap, (vec)->n, sizeof(*(vec)->v))                            \
	     ? ((vec)->v[(vec)->n++] = (item), true)                                                       \
	     : false)
#define VEC_FINI(vec)                   \
	do {                                \
		free((vec)->v);                 \
		(vec)->v = NULL;                \
		(vec)->n = (vec)->cap = 0;      \
	} while (0)

#endif
