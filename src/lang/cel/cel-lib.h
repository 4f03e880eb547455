/* cel-lib.h - what the tables of functions share: the shape of a function and its usual errors. */
#ifndef WEIR_LANG_CEL_LIB_H
#define WEIR_LANG_CEL_LIB_H

#include "lang/cel/cel-func.h"
#include "lang/cel/cel-internal.h"
#include "lang/cel/cel-value.h"

#define FN(name) static struct cel_value name(UNUSED struct cel_call *c, UNUSED const struct cel_value *args, UNUSED size_t n)
#define FUNCTION(signature, id, fn, cost)                                                                                        \
	{                                                                                                                            \
		signature, id, fn, cost, NULL                                                                                            \
	}
#define FUNCTION_END                                                                                                             \
	{                                                                                                                            \
		NULL, NULL, NULL, CEL_COST_1, NULL                                                                                       \
	}

/* Arithmetic of two values of any kinds by the operator's character: + - * / %. Lists and texts too. */
struct cel_value cel_arith(struct cel_call *c, char op, struct cel_value a, struct cel_value b);
struct cel_value cel_negate(struct cel_call *c, struct cel_value v);
struct cel_value cel_no_overload(struct arena *a, str function, const struct cel_value *args, size_t n);
/* string(v) for the kinds that have it; others: an error value. */
struct cel_value cel_to_text(struct cel_call *c, struct cel_value v);
/* Takes `amount` from c->work; false (and an error in *ret) when there is not so much left. */
static inline bool cel_spend(struct cel_call *c, uint64_t amount, struct cel_value *ret)
{
	if (c->work > amount) {
		c->work -= amount;
		return true;
	}
	c->work = 0;
	*ret = cel_error_value(c->arena, "evaluation takes too much work");
	return false;
}
/* matches() with a pattern that is not known before the evaluation. */
struct cel_value cel_matches(struct cel_call *c, str text, str pattern);
enum { CEL_REGEX_BYTES_MAX = 1 << 20 };

#endif
