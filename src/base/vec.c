/* vec.c - growth of the typed arrays of vec.h. */
#include "base/base.h"
#include "base/vec.h"

bool vec_grow(void **v, size_t *cap, size_t n, size_t size)
{
	size_t want, bytes;
	void  *p;

	if (n < *cap)
		return true;
	want = *cap ? *cap * 2 : 8;
	if (__builtin_mul_overflow(want, size, &bytes))
		return false;
	p = realloc(*v, bytes);
	if (!p)
		return false;
	*v = p;
	*cap = want;
	return true;
}
