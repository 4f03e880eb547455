/* cel-func.h - how functions and macros are declared: one table per library, read by the checker and by the machine.
 *
 * A declaration is its signature as text, so that a table reads like documentation:
 *   { "string.startsWith(string) -> bool", "starts_with_string", fn, CEL_COST_PREFIX }
 *   { "_+_(list(A), list(A)) -> list(A)", "add_list", fn, ... }
 * Operators have the names of cel-go (_+_, _?_:_, @in, !_ ...). Capital letters are type parameters. */
#ifndef WEIR_LANG_CEL_FUNC_H
#define WEIR_LANG_CEL_FUNC_H

#include "lang/cel/cel.h"

/* One call while it runs. Results are made in `arena`. */
struct cel_call {
	struct arena *arena;
	uint64_t      cost; /* fn adds what it costs beyond 1 where that depends on sizes */
	void         *ctx;  /* struct cel_function.ctx */
	uint64_t      work; /* comparisons and the like that are left to this evaluation; 0 ends it. Not part of the cost */
	const struct cel_zones *zones; /* NULL: only UTC and fixed offsets */
};
/* args[0] is the receiver of a member function. No argument is an error or unknown. Arguments may have any kind when the
 * expression is unchecked or dyn: the machine has chosen this function by the kinds of its signature. */
typedef struct cel_value cel_fn(struct cel_call *c, const struct cel_value *args, size_t n);

enum cel_cost_rule { /* what a call costs statically, from the sizes of its arguments; run-time rule is the same */
	CEL_COST_1,        /* 1 */
	CEL_COST_SCAN,     /* 1 + size(args[0]) / 10, as cel-go counts text and list scans */
	CEL_COST_SCAN_ALL, /* 1 + the sum of all sizes / 10 */
	CEL_COST_PRODUCT,  /* size(args[0]) * size(args[1]), matches(): regex by text */
	CEL_COST_ITEMS,    /* 1 + items of args[0]: list scans that compare values */
};
struct cel_function {
	const char        *signature; /* NULL ends a table */
	const char        *overload;  /* its id, as cel-go names it: "add_int64" */
	cel_fn            *fn;        /* NULL: only declared, or done by the machine itself (&&, ||, ?:, ==, @in, [] ...) */
	enum cel_cost_rule cost;
	void              *ctx;
};

struct cel_expr;
struct cel_expander; /* cel-internal.h: makes nodes for a macro */
struct cel_macro {
	const char *name;   /* "all"; NULL ends a table */
	bool        member; /* target.name(args) */
	int         n_args; /* -1: any number */
	/* ret NULL: not this macro after all, an ordinary call. Errors have the place of the argument at fault. */
	MUST_CHECK int (*expand)(struct cel_expander *x, struct cel_expr *target, struct cel_expr **args, size_t n, struct cel_expr **ret,
							 struct err *reterr);
};

#endif
