/* flag-unleash.h - flags of Unleash's kind within an evaluation: the context, the answer, the steps. Internal to flag-eval.c. */
#ifndef WEIR_FLAG_FLAG_UNLEASH_H
#define WEIR_FLAG_FLAG_UNLEASH_H

#include "flag/flag-eval.h"

/* Fills *ret (whose flag is set) with what f says; env has parent and trace. */
void flag_unleash_decide(const struct flag *f, const struct flag_context *c, struct unleash_env *env, struct flag_answer *ret);
/* An answer as Unleash's clients see it. */
void flag_unleash_answer_of(const struct flag_answer *a, const struct flag_context *c, struct flag_unleash_answer *ret);
/* Writes a step as an object to the struct jw that ctx is. */
void flag_unleash_trace(void *ctx, const struct unleash_step *s);

#endif
