/* flag-eval.h - what a context gets of a flag, and why. Pure.
 *
 * The rules are flagd's (0.16): off (state, time, prerequisites): DISABLED without a value. No rule: STATIC with the default variant. Rule gives null:
 * DEFAULT with the default variant. It names a variant (a text; true and false as "true" and "false"; a number as it is printed): TARGETING_MATCH. It
 * names none of the flag's: GENERAL. No default variant: DEFAULT without a value, the caller's own default counts.
 * While a change is rolled out, all of this is asked of the definition that the context's targetingKey falls to.
 *
 * Flags of Unleash's kind (weir.unleash): off as above, or a parent is not as it must be: DISABLED. Without variants of its own: "on" (true) or "off"
 * (false), TARGETING_MATCH, or SPLIT where a percentage decided. With variants: the chosen one, its payload as the value; none: DEFAULT without a value.
 * Fields of the context: targetingKey stands for userId where that is missing; all scalars are properties, those below "properties" too. */
#ifndef WEIR_FLAG_FLAG_EVAL_H
#define WEIR_FLAG_FLAG_EVAL_H

#include "flag/flag-set.h"

enum flag_reason { FLAG_STATIC, FLAG_DEFAULT, FLAG_TARGETING_MATCH, FLAG_SPLIT, FLAG_DISABLED, FLAG_ERROR };
enum flag_error {
	FLAG_OK, FLAG_NOT_FOUND, FLAG_PARSE_ERROR, FLAG_TYPE_MISMATCH, FLAG_TARGETING_KEY_MISSING, FLAG_INVALID_CONTEXT, FLAG_GENERAL
};
const char *flag_reason_name(enum flag_reason r); /* "STATIC" */
const char *flag_error_name(enum flag_error e);   /* "FLAG_NOT_FOUND"; "" for none */

struct flag_context {
	struct logic_value data;    /* an object */
	usec_t             now;
	uint64_t           random;  /* what chance is made of in Unleash's flags: another number for each evaluation */
	struct arena      *scratch; /* for values that rules make, and details */
	uint64_t          *spent;   /* the steps of each evaluation are added; NULL: nobody counts them */
};
struct flag_answer {
	const struct flag         *flag;    /* NULL: not found */
	enum flag_reason           reason;
	enum flag_error            error;
	const char                *details; /* why, for people; NULL: nothing to say */
	const struct flag_variant *variant; /* NULL: no value */
	bool                       unleash_on; /* of Unleash's kind, and the feature is on: with or without a variant */
	bool                       by_chance;  /* of Unleash's kind: the same context may get another answer */
};
/* The definition that counts for this context while a change of f is rolled out: f itself or what it was; f when none is. */
const struct flag *flag_arm(const struct flag *f, const struct flag_context *c);
/* want: FLAG_ANY, or the type that the caller asks for (another one is TYPE_MISMATCH). Allocates nothing but what rules make. */
void flag_evaluate(const struct flag_set *s, str key, enum flag_type want, const struct flag_context *c, struct flag_answer *ret);
void flag_evaluate_one(const struct flag_set *s, const struct flag *f, const struct flag_context *c, struct flag_answer *ret);

/* Any flag as Unleash's clients see it. A flag of flagd's kind is enabled when its value is true or, for other types, when it has one; its variant
 * carries the value as payload. Texts live as long as the set and c->scratch. */
struct flag_unleash_answer {
	const struct flag *flag;         /* NULL: not found */
	bool               enabled;      /* the feature */
	bool               has_variant;
	str                variant;      /* "disabled" when there is none */
	str                payload_type, payload_value; /* STR_NULL: no payload */
	bool               impression_data;
	bool               by_chance;    /* the same context may get another answer */
	enum flag_reason   reason;
	enum flag_error    error;
};
void flag_evaluate_unleash(const struct flag_set *s, const struct flag *f, const struct flag_context *c, struct flag_unleash_answer *ret);

/* How the answer came about, step by step: {key, set, revision, answer, steps: [{rule, line, col, operator, value, says}]}. */
MUST_CHECK int flag_explain(const struct flag_set *s, str key, const struct flag_context *c, struct jw *w, struct err *reterr);

#endif
