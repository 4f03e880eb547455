/* cel-internal.h - what the parts of the CEL library share: the tree, the resolved environment. */
#ifndef WEIR_LANG_CEL_INTERNAL_H
#define WEIR_LANG_CEL_INTERNAL_H

#include "lang/cel/cel-func.h"
#include "lang/cel/cel.h"

enum { CEL_TEXT_MAX = 100000, CEL_DEPTH_MAX = 250, CEL_NODES_MAX = 100000, CEL_COST_MAX = 10000000, CEL_ERRORS_MAX = 100 };

/* --- types (cel-type.c) --- */

extern const struct cel_type cel_error_type;
/* Shares name, copies the array of parameters; NULL when memory ran out. */
const struct cel_type *cel_type_make(struct arena *a, enum cel_type_kind kind, str name, const struct cel_type *const *params, size_t n);
const struct cel_type *cel_type_of_type(struct arena *a, const struct cel_type *t); /* type(t) */
const struct cel_type *cel_type_named(str name); /* of the language itself: "int", "google.protobuf.Timestamp"; NULL: none */
const char *cel_type_text(struct arena *a, const struct cel_type *t);

/* --- environment (cel-env.c) --- */

struct cel_overload { /* a parsed struct cel_function */
	const struct cel_function    *decl;
	bool                          member;
	const struct cel_type *const *params; /* the receiver first */
	size_t                        n_params;
	const struct cel_type        *result;
	const struct cel_overload    *next;   /* of the same name, in order of declaration */
};
/* First overload of `name`, or NULL. */
const struct cel_overload *cel_env_overloads(const struct cel_env *e, str name);
struct cel_var {
	str                    name;
	const struct cel_type *type;
};
const struct cel_var *cel_env_var(const struct cel_env *e, str name);
const struct cel_macro *cel_env_macro(const struct cel_env *e, str name, bool member, size_t n_args);
str cel_env_container(const struct cel_env *e);
const struct cel_limits *cel_env_limits(const struct cel_env *e); /* no zeros left */
const struct cel_pool *cel_env_pool(const struct cel_env *e);     /* NULL: no messages */
/* The i-th candidate (0 first) for `name` in the container: "a.b" gives a.b.name, a.name, name; a leading dot only name.
 * False when there are no more. */
bool cel_env_candidate(struct arena *a, const struct cel_env *e, str name, size_t i, str *ret);
/* A qualified name that is a type (int, list, google.protobuf.Timestamp, a message or an enum's value): its value. */
bool cel_env_constant(struct arena *a, const struct cel_env *e, str name, struct cel_value *ret, const struct cel_type **ret_type);
/* A type by its full name: of the language, a library's opaque type, a message, an enum (int); NULL: none. */
const struct cel_type *cel_env_type(const struct cel_env *e, str name);

bool cel_env_on(const struct cel_env *e, enum cel_feature f);
/* The name of a variable, type or function that `name` was probably meant to be; STR_NULL: none is near. */
str cel_env_nearest(const struct cel_env *e, str name, bool function);

/* --- macros (cel-macro.c), for the tables cel_lib_* --- */
extern const struct cel_macro cel_macros_standard[], cel_macros_optionals[], cel_macros_bindings[], cel_macros_block[],
	cel_macros_comprehensions[], cel_macros_math[], cel_macros_protos[];

/* --- tree --- */

enum cel_expr_kind { CEL_X_CONST, CEL_X_IDENT, CEL_X_SELECT, CEL_X_CALL, CEL_X_LIST, CEL_X_MAP, CEL_X_STRUCT, CEL_X_FOLD };

struct cel_entry { /* of a map or message literal */
	struct cel_expr *key; /* MAP */
	str              field; /* STRUCT */
	struct cel_expr *value;
	bool             optional; /* ?key: value */
	uint32_t         line, col;
};
struct cel_expr {
	enum cel_expr_kind     kind;
	uint32_t               line, col; /* 1-based, col in characters; of an operator: the operator's */
	uint32_t               id;        /* 1.. in the order of making, below cel_ast.n_ids */
	uint32_t               height;    /* 1 for a leaf; at most limits.depth_max, so that passes may recurse */
	const struct cel_type *type;      /* after cel_check; NULL before */
	union {
		struct cel_value constant;
		struct {
			str  name; /* after cel_check: resolved, "a.b.x"; a leading dot is kept before it */
			bool is_constant; /* a type or an enum's value: `value` */
			struct cel_value value;
		} ident;
		struct {
			struct cel_expr *operand;
			str              field;
			bool             test_only; /* has(operand.field) */
		} select; /* a qualified name of the environment becomes an IDENT in cel_check */
		struct {
			str                               function; /* "_+_", "size"; after cel_check qualified: "math.@max" */
			struct cel_expr                  *target;   /* NULL: a global function; cel_check moves a namespace into `function` */
			struct cel_expr                 **args;
			size_t                            n;
			const struct cel_overload *const *overloads; /* after cel_check: those that fit, at least 1 */
			size_t                            n_overloads;
		} call; /* _[_], _[?_], _?._ , @in, _&&_, _||_, _?_:_, !_, -_ are calls too */
		struct {
			struct cel_expr **items;
			size_t            n;
			const bool       *optional; /* per item, or NULL: none is */
		} list;
		struct {
			str               type_name; /* STRUCT; after cel_check resolved */
			struct cel_entry *entries;
			size_t            n;
		} map; /* MAP, STRUCT */
		struct cel_fold *fold;
	};
};
enum cel_fold_kind { CEL_FOLD_ALL, CEL_FOLD_EXISTS, CEL_FOLD_EXISTS_ONE, CEL_FOLD_MAP, CEL_FOLD_FILTER, CEL_FOLD_TRANSFORM_MAP, CEL_FOLD_BIND, CEL_FOLD_OTHER };
/* What `kind` promises, besides condition and result being those of the macro:
 * ALL, EXISTS       step: accu && p, accu || p
 * EXISTS_ONE        step: p ? accu + 1 : accu
 * MAP               step: accu + [f], or p ? accu + [f] : accu
 * FILTER            step: p ? accu + [var] : accu
 * TRANSFORM_MAP     step: cel.@mapInsert(accu, key, f) or cel.@mapInsert(accu, map), or p ? one of them : accu
 * BIND              range []; the value is init, the body result */
struct cel_fold { /* comprehension of the specification; `kind` lets the machine do the usual ones directly */
	enum cel_fold_kind kind;
	str                var, var2; /* var2 empty: one variable */
	struct cel_expr   *range;
	str                accu;
	struct cel_expr   *init, *condition, *step, *result;
};
struct cel_ast {
	const char      *file;
	str              text;
	struct cel_expr *root;
	uint32_t         n_ids;
	bool             checked;
	const struct cel_problem *problems; /* of cel_parse or cel_check */
	size_t           n_problems;
	/* calls of macros as they were written, for cel_unparse: indexed by the id of what they became; NULL: none */
	struct cel_expr **macro_calls;
};

/* Nodes for macros (cel-parse.c); NULL when memory or nodes ran out, which the expander remembers. */
struct cel_expr *cel_x_const(struct cel_expander *x, struct cel_value v);
struct cel_expr *cel_x_ident(struct cel_expander *x, str name);
struct cel_expr *cel_x_call(struct cel_expander *x, const char *function, size_t n, ...);
struct cel_expr *cel_x_member(struct cel_expander *x, struct cel_expr *target, const char *function, size_t n, ...);
struct cel_expr *cel_x_select(struct cel_expander *x, struct cel_expr *operand, str field, bool test_only);
struct cel_expr *cel_x_list(struct cel_expander *x, size_t n, ...);
struct cel_expr *cel_x_map(struct cel_expander *x);
struct cel_expr *cel_x_fold(struct cel_expander *x, const struct cel_fold *f); /* copies *f */
struct cel_expr *cel_x_copy(struct cel_expander *x, const struct cel_expr *e);             /* deep; new ids */
/* -WEIR_EPARSE at node `at`. */
MUST_CHECK int cel_x_error(struct cel_expander *x, const struct cel_expr *at, struct err *reterr, const char *fmt, ...) PRINTF(4, 5);
#define CEL_ACCU "@result"

/* "a.b.c" of a name or of selections from one; false: e is something else, or the buf is full. */
bool cel_qualified_name(const struct cel_expr *e, struct buf *out);

/* Messages with a caret (cel-text.c): appends "FILE:LINE:COL: what\n | the line\n | ..^" to out. */
void cel_caret(struct buf *out, const char *file, str text, uint32_t line, uint32_t col, const char *what);

#endif
