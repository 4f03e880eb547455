/* cel-check.h - what the two halves of the type checker share: type variables and their bindings. */
#ifndef WEIR_LANG_CEL_CHECK_H
#define WEIR_LANG_CEL_CHECK_H

#include "lang/cel/cel-internal.h"

/* Every CEL_T_PARAM that the checker meets is one of these: parameters of declarations are replaced by fresh ones. */
struct cel_type_var {
	struct cel_type type;
	const struct cel_type *bound; /* NULL: free */
};
struct binding { /* of the trail: what was bound before, to take it back */
	struct cel_type_var *var;
	const struct cel_type *old;
};
struct named_var { /* a parameter of a declaration and its variable */
	str name;
	const struct cel_type *var;
};
enum { CEL_TYPE_WORK_MAX = 10000000, CEL_TYPE_NODES_MAX = 256, CEL_TYPE_PARAMS_MAX = 16 };
struct cel_types {
	struct arena *arena;
	struct binding *trail;
	size_t n_trail, cap_trail;
	uint64_t work; /* steps taken; past CEL_TYPE_WORK_MAX everything fails */
	size_t n_vars;
	bool failed; /* memory or work ran out */
};

const struct cel_type *cel_types_var(struct cel_types *t); /* a fresh one */
/* t with its parameters replaced by the variables of `map`, which grows; ret_n counts them. */
const struct cel_type *cel_types_fresh(struct cel_types *t, const struct cel_type *type, struct named_var *map, size_t *n);
/* The type with its variables replaced by what they are bound to; free ones become dyn or stay. */
const struct cel_type *cel_types_subst(struct cel_types *t, const struct cel_type *type, bool to_dyn);
/* May a value of type b stand where a is expected, and the other way for dyn and null? Binds variables when it is so. */
bool cel_types_assignable(struct cel_types *t, const struct cel_type *a, const struct cel_type *b);
bool cel_types_assignable_all(struct cel_types *t, const struct cel_type *const *a, const struct cel_type *const *b, size_t n);
/* The type of a list that holds both; prev NULL: the first one. */
const struct cel_type *cel_types_join(struct cel_types *t, const struct cel_type *prev, const struct cel_type *cur);
/* list(item), map(k, v) ... with parameters that are too large replaced by dyn. */
const struct cel_type *cel_types_make(struct cel_types *t, enum cel_type_kind kind, const char *name,
									  const struct cel_type *const *params, size_t n);
static inline bool cel_types_is_dyn(const struct cel_type *t)
{
	return t->kind == CEL_T_DYN || t->kind == CEL_T_ANY || t->kind == CEL_T_ERROR;
}

struct local { /* a variable of a fold or block */
	str name;
	const struct cel_type *type;
	struct local *outer;
};
struct checker {
	struct arena *arena;
	const struct cel_env *env;
	struct cel_ast *ast;
	struct cel_types types;
	struct local *locals;                            /* innermost first */
	struct named_var free_vars[CEL_TYPE_PARAMS_MAX]; /* type parameters of variables' declarations */
	size_t n_free;
	struct cel_problem *problems;
	size_t n_problems; /* all found; the first CEL_ERRORS_MAX are kept */
};

/* cel-check.c */
void ck_node(struct checker *c, struct cel_expr *e); /* gives e and what is below its type */
void ck_problem(struct checker *c, uint32_t line, uint32_t col, const char *fmt, ...) PRINTF(4, 5);
void ck_undeclared(struct checker *c, const struct cel_expr *e, str name, bool function);
const char *ck_text(struct checker *c, const struct cel_type *t);
/* The qualified name of e, with `behind` at its end, in the arena; false: e is no name, or its first part is a local variable. */
bool ck_take_qualified(struct checker *c, const struct cel_expr *e, const char *behind, str *ret);
/* Checks the operand; the type of its field, an optional when either is one. */
const struct cel_type *ck_field_type(struct checker *c, struct cel_expr *e, struct cel_expr *operand, str field, bool optional);
void ck_push_local(struct checker *c, str name, const struct cel_type *type);
/* cel-check-call.c */
void ck_call(struct checker *c, struct cel_expr *e);

#endif
