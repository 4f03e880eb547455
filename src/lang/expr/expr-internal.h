/* expr-internal.h - what the files of the expression language share: tree nodes, functions, conversions. */
#ifndef WEIR_LANG_EXPR_INTERNAL_H
#define WEIR_LANG_EXPR_INTERNAL_H

#include "base/base.h"
#include "lang/expr/expr.h"

enum {
	EXPR_TEXT_MAX = 21000,    /* characters of one expression, as GitHub has it */
	EXPR_DEPTH_MAX = 50,      /* nodes on the longest way from the root */
	EXPR_ARGS_MAX = 255,      /* arguments of one call */
	EXPR_MEMORY_MAX = 1 << 20 /* bytes of text made by one evaluation, two per UTF-16 unit, as GitHub counts */
};

enum expr_op {
	EXPR_OP_LITERAL,
	EXPR_OP_NAMED,
	EXPR_OP_INDEX, /* first child [ second child ] */
	EXPR_OP_STAR,  /* first child .* */
	EXPR_OP_NOT,
	EXPR_OP_EQ,
	EXPR_OP_NE,
	EXPR_OP_LT,
	EXPR_OP_LE,
	EXPR_OP_GT,
	EXPR_OP_GE,
	EXPR_OP_AND, /* two or more children */
	EXPR_OP_OR,
	EXPR_OP_CALL
};

enum expr_func {
	EXPR_FN_CASE,
	EXPR_FN_CONTAINS,
	EXPR_FN_ENDS_WITH,
	EXPR_FN_FORMAT,
	EXPR_FN_FROM_JSON,
	EXPR_FN_HASH_FILES,
	EXPR_FN_JOIN,
	EXPR_FN_STARTS_WITH,
	EXPR_FN_TO_JSON,
	EXPR_FN_SUCCESS,
	EXPR_FN_FAILURE,
	EXPR_FN_ALWAYS,
	EXPR_FN_CANCELLED
};

struct expr_node {
	enum expr_op op;
	enum expr_func func;
	uint32_t col;                          /* 1-based character of its first token */
	unsigned depth;                        /* of the tree below and with it */
	unsigned n;                            /* children */
	bool grouped;                          /* stood in parentheses: not merged into a longer && or || */
	str name;                              /* NAMED, CALL: as written */
	const struct expr_value *value;        /* LITERAL */
	struct expr_node *first, *last, *next; /* children, and the next child of the same parent */
	struct expr_node *next_ref;            /* NAMED and CALL: in the order of the text */
};

struct expr {
	str text;               /* copy */
	struct expr_node *root; /* NULL: empty, which is null */
	struct expr_node *refs, *last_ref;
};

/* expr-lex.c */
enum expr_token_kind {
	EXPR_T_END,
	EXPR_T_UNEXPECTED,
	EXPR_T_VALUE,
	EXPR_T_NAMED,
	EXPR_T_FUNCTION,
	EXPR_T_PROPERTY,
	EXPR_T_OP, /* ! and the two-sided operators */
	EXPR_T_DOT,
	EXPR_T_STAR,
	EXPR_T_OPEN,
	EXPR_T_CLOSE,
	EXPR_T_OPEN_INDEX,
	EXPR_T_CLOSE_INDEX,
	EXPR_T_COMMA
};
struct expr_token {
	enum expr_token_kind kind;
	enum expr_op op;
	str raw;
	uint32_t col;
	const struct expr_value *value;
};
struct expr_lexer {
	struct arena *arena;
	str text;
	size_t at;
	uint32_t col;
	struct expr_token last; /* kind END before the first */
};
/* The next token; a VALUE whose value is NULL means that the arena is used up. */
struct expr_token expr_lex(struct expr_lexer *l);
bool expr_skip_space(str text, size_t *at); /* one white-space character; false when there is none */

/* expr-parse.c */
/* 0, or -WEIR_EPARSE when the named value or function is not in env (NULL: everything known is fine). */
MUST_CHECK int expr_check_ref(const struct expr *e, const struct expr_node *ref, const struct expr_env *env, struct err *reterr);

/* expr-value.c */
double expr_to_number(const struct expr_value *v);
double expr_parse_number(str s); /* NaN when it is none; blanks around it are fine, empty is 0 */
bool expr_is_primitive(const struct expr_value *v);
bool expr_equal(const struct expr_value *l, const struct expr_value *r);
int expr_order(const struct expr_value *l, const struct expr_value *r); /* -1 less, 1 greater, 0 neither */

/* fold.c: upper case as ordinal comparison without regard to case needs it */
bool expr_fold_eq(str a, str b);
int expr_fold_cmp(str a, str b); /* in the order of UTF-16 units */
void expr_fold(struct buf *out, str s);
size_t expr_utf16_len(str s);
/* Decodes one character at *at (< s.len) and moves behind it; bytes that are no UTF-8 give 0xDC00 + byte. */
uint32_t expr_utf8_next(str s, size_t *at);

/* expr-func.c */
struct expr_eval {
	struct arena *arena;
	const struct expr_env *env;
	size_t memory; /* bytes left of EXPR_MEMORY_MAX */
	struct err *reterr;
};
/* Counts a text that evaluation made. */
MUST_CHECK int expr_count(struct expr_eval *ev, str s);
MUST_CHECK int expr_call(struct expr_eval *ev, enum expr_func func, const struct expr_value *const *args, size_t n,
						 const struct expr_value **ret);
/* Items of a filtered or plain array, for results of .* ; copies the pointers. */
const struct expr_value *expr_array_new(struct arena *a, const struct expr_value *const *items, size_t n, bool filtered);

#endif
