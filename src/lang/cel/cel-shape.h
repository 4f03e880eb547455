/* cel-shape.h - what the cost estimate knows of a value's size: its own, and that of its keys and items, as far as anyone asks.
 */
#ifndef WEIR_LANG_CEL_SHAPE_H
#define WEIR_LANG_CEL_SHAPE_H

#include "lang/cel/cel-internal.h"

struct shape {
	uint64_t size;                    /* most bytes or items; 1 for what has none; UINT64_MAX: not known */
	str path;                         /* attribute whose parts size_of may know: "findings.@items"; empty: none */
	const struct shape *keys, *items; /* of made lists and maps; NULL: ask path */
	const struct shape *a, *b;        /* one of the two; NULL: neither */
};
struct shape_local {
	str name;
	const struct shape *shape;
	const struct shape_local *outer;
};
struct shaper {
	struct arena *arena; /* of all shapes; a shape that cannot be made is an unknown one, and the arena says so */
	uint64_t (*size_of)(void *ctx, str attribute);
	void *ctx;
	const struct shape_local *locals; /* innermost first */
	uint64_t work;
};

/* Sums that stop at UINT64_MAX. */
static inline uint64_t shape_add(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}
static inline uint64_t shape_multiply(uint64_t a, uint64_t b)
{
	uint64_t r;

	return __builtin_mul_overflow(a, b, &r) ? UINT64_MAX : r;
}
static inline uint64_t shape_tenth(uint64_t n)
{
	return n == UINT64_MAX ? n : n / 10;
}

const struct shape *shape_unknown(struct shaper *s);
const struct shape *shape_sized(struct shaper *s, uint64_t size);
const struct shape *shape_make(struct shaper *s, uint64_t size, const struct shape *keys, const struct shape *items);
const struct shape *shape_either(struct shaper *s, const struct shape *a, const struct shape *b);
const struct shape *shape_items(struct shaper *s, const struct shape *of);
const struct shape *shape_keys(struct shaper *s, const struct shape *of);
const struct shape *shape_field(struct shaper *s, const struct shape *of, str field, const struct cel_type *type);
const struct shape *shape_of_constant(struct shaper *s, const struct cel_value *v);
const struct shape *shape_of_name(struct shaper *s, const struct cel_expr *ident);
/* What overload o of call e gives for these arguments. */
const struct shape *shape_of_call(struct shaper *s, const struct cel_expr *e, const struct cel_overload *o,
								  const struct shape *const *args, size_t n);
void shape_push(struct shaper *s, str name, const struct shape *shape);

#endif
