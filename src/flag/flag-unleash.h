/* flag-unleash.h - flags of Unleash's kind in a set: their variants (for flag-set.c), the context, the answer, the steps (for flag-eval.c). Internal. */
#ifndef WEIR_FLAG_FLAG_UNLEASH_H
#define WEIR_FLAG_FLAG_UNLEASH_H

#include "flag/flag-eval.h"

/* What a feature's variants would be in a definition of flagd's kind, in the order of unleash_variant_at(): values are the payloads ("number" and "json" as what
 * they say, others as text), or the names; a feature without variants has "on" and "off". In a; borrows the feature. False: the arena is full. */
MUST_CHECK bool flag_unleash_variants(const struct unleash_feature *u, struct arena *a, const struct flag_variant_def **ret, size_t *ret_n);
enum flag_type flag_type_of(const struct doc_node *value); /* of a payload: lists count as objects */

/* Fills *ret (whose flag is set) with what f says; env has parent and trace. */
void flag_unleash_decide(const struct flag *f, const struct flag_context *c, struct unleash_env *env, struct flag_answer *ret);
/* An answer as Unleash's clients see it. */
void flag_unleash_answer_of(const struct flag_answer *a, const struct flag_context *c, struct flag_unleash_answer *ret);
/* Writes a step as an object to the struct jw that ctx is. */
void flag_unleash_trace(void *ctx, const struct unleash_step *s);

#endif
