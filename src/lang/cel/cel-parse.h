/* cel-parse.h - the parser's state, which is also what macros make their nodes with (struct cel_expander). */
#ifndef WEIR_LANG_CEL_PARSE_H
#define WEIR_LANG_CEL_PARSE_H

#include "lang/cel/cel-lex.h"

struct macro_call { /* a call as written and the id of what a macro made of it */
	uint32_t id;
	struct cel_expr *call;
	struct macro_call *next;
};
struct cel_expander {
	struct arena *arena;
	const struct cel_env *env;
	const char *file;
	str text;
	struct cel_lexer lexer;
	struct cel_token token; /* the one that is looked at */
	size_t depth;           /* of brackets and right-hand sides */
	uint32_t n_ids;
	uint32_t line, col; /* of nodes that a macro makes */
	struct macro_call *macro_calls;
	int failed; /* the first failure's code; its text is in *reterr */
	struct err *reterr;
};

/* cel-node.c. Records the first failure; always NULL. */
void *cel_x_fail(struct cel_expander *x, int code, uint32_t line, uint32_t col, const char *fmt, ...) PRINTF(5, 6);
void *cel_x_no_memory(struct cel_expander *x);
struct cel_expr *cel_x_new(struct cel_expander *x, enum cel_expr_kind kind, uint32_t line, uint32_t col);
/* The node's height from its children; fails when it is too deep. Returns e or NULL. */
struct cel_expr *cel_x_done(struct cel_expander *x, struct cel_expr *e);
/* A call with its arguments in an array that the node keeps. */
struct cel_expr *cel_x_calln(struct cel_expander *x, struct cel_expr *target, str function, struct cel_expr **args, size_t n,
							 uint32_t line, uint32_t col);

#endif
