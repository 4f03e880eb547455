/* cel-compile.h - what the parts of the compiler share: cel-compile.c (trees), cel-compile-fold.c (comprehensions),
 * cel-compile-name.c (names and calls). */
#ifndef WEIR_LANG_CEL_COMPILE_H
#define WEIR_LANG_CEL_COMPILE_H

#include "lang/cel/cel-program.h"

/* Registers while compiling: their kind in the high bits, made plain at the end. 0: none. */
enum { REG_CONST = 1 << 30, REG_SLOT = 1 << 29 };

struct scope { /* a variable of a comprehension */
	str name;
	uint32_t reg;
	const struct scope *next;
};
struct slot {
	str name;
	struct place place; /* of its first use */
};
struct compiler {
	struct arena *a;
	const struct cel_env *env;
	const struct cel_ast *ast;
	struct ins *code;
	struct place *places;
	struct cel_value *constants;
	struct slot *slots;
	size_t n_code, cap_code, cap_places, n_constants, cap_constants, n_slots, cap_slots;
	const struct scope *scope;
	uint32_t top, top_max;     /* temporaries in use */
	uint32_t loops, loops_max; /* comprehensions around this place */
	uint32_t pending;          /* cost of names that no instruction has taken yet */
	size_t regexes;
	struct ins nowhere; /* cc_at() after a failure: written, never read */
	bool failed;        /* memory: the arena says so */
};

uint32_t cc_expr(struct compiler *c, const struct cel_expr *e); /* the register with e's value */
uint32_t cc_fold(struct compiler *c, const struct cel_expr *e);
uint32_t cc_name(struct compiler *c, const struct cel_expr *e);                 /* IDENT */
bool cc_chain(struct compiler *c, const struct cel_expr *e, uint32_t *ret_reg); /* SELECT: a.b.c of unchecked trees */
uint32_t cc_call(struct compiler *c, const struct cel_expr *e);
const struct call_site *cc_site(struct compiler *c, const struct cel_expr *e, str name, bool member,
								size_t n);                                              /* n with the receiver */
const struct call_site *cc_operator_site(struct compiler *c, const struct cel_expr *e); /* NULL: only the machine's own kinds */

uint32_t cc_temp(struct compiler *c);
uint32_t cc_constant(struct compiler *c, struct cel_value v);
uint32_t cc_state(struct compiler *c);
bool cc_is_constant(const struct compiler *c, uint32_t reg, struct cel_value *ret);
/* Emits an instruction at e's place; its index. */
uint32_t cc_emit(struct compiler *c, op_fn *fn, const struct cel_expr *e, uint32_t dst, uint32_t a, uint32_t b, uint32_t cost);
struct ins *cc_at(struct compiler *c, uint32_t index); /* of an emitted one; never NULL */
void cc_land(struct compiler *c, uint32_t index);      /* its `to` is here */
const struct key *cc_key(struct compiler *c, struct cel_value key, bool index);
bool cc_grow(struct compiler *c, void **items, size_t n, size_t *cap, size_t size);
bool cc_is_call(const struct cel_expr *e, const char *function, size_t n);

#endif
