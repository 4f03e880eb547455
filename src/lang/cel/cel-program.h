/* cel-program.h - what the compiler makes and the machine runs: instructions over one array of registers.
 *
 * Registers: first the constants, then the variables (slots), then temporaries and the variables of comprehensions. An
 * instruction is a small function that returns the next one; nothing recurses, whatever the expression's nesting. Errors and
 * unknowns are values in registers like any other. */
#ifndef WEIR_LANG_CEL_PROGRAM_H
#define WEIR_LANG_CEL_PROGRAM_H

#include "lang/cel/cel-lib.h"

struct vm;
struct ins;
typedef const struct ins *op_fn(struct vm *v, const struct ins *i);
struct ins {
	op_fn *fn;
	const void *p;      /* key, call site, flags: what the operation says */
	uint32_t dst, a, b; /* registers */
	uint32_t to;        /* jump target: index of an instruction */
	uint32_t n;         /* a number: arguments, a loop, a second target */
	uint32_t cost;
};
struct place {
	uint32_t line, col;
};

struct key { /* of a field, hashed once */
	struct cel_value key;
	uint32_t hash;
	bool index; /* a["key"], which messages do not have */
};
struct candidate { /* one overload: chosen when every argument's kind is in its mask */
	const struct cel_function *decl;
	const uint32_t *masks;
	const struct cel_type *const *opaque; /* per argument, NULL: no opaque type */
};
struct call_site {
	str name;
	const struct candidate *candidates;
	size_t n;
	bool declared; /* any overload of this name at all */
};
struct alternative { /* of a name that is looked for at run time: a register and the fields to select from it */
	uint32_t reg;
	bool is_constant;
	size_t n_fields; /* the last n_fields of struct resolution */
};
struct resolution {
	str name; /* "a.b.c", for the error */
	const struct alternative *alternatives;
	size_t n;
	const struct key *fields;
	size_t n_fields;
};
struct struct_site {
	str name;
	const struct cel_message_type *type; /* NULL: unknown, an error at run time */
	const struct cel_pool *pool;
	const struct cel_field *const *fields; /* NULL in it: no such field */
	const str *names;
	const bool *optional; /* NULL: none is */
	size_t n;
};

struct cel_program {
	const struct ins *code;
	const struct place *places; /* of each instruction */
	struct cel_value *constants;
	const str *slots;               /* names */
	const struct cel_value *absent; /* per slot: the error of a variable that is not there */
	uint32_t n_code, n_constants, n_slots, n_regs, n_loops;
	uint64_t cost_max;
	const struct cel_zones *zones;
};

struct loop {                              /* one comprehension while it runs */
	const struct cel_value *keys, *values; /* keys NULL: a list */
	size_t i, n;
	struct cel_value *out_keys, *out; /* what map, filter, transformMap have made; room for n items */
	size_t n_out, cap;
};
struct vm {
	struct cel_value *r;
	uint64_t cost, cost_max;
	struct loop *loops;
	const struct cel_program *p;
	struct cel_call call;
	bool over; /* the cost limit was met */
};
static inline const struct ins *vm_jump(struct vm *v, uint32_t to)
{
	return v->p->code + to;
}
/* What is rare stands apart, so that the usual path of an instruction needs no stack. */
#define COLD __attribute__((noinline, cold))
/* False and true as whole words: a byte written into a register would stall the load of all of it that follows. */
extern const struct cel_value vm_bools[2];
/* Gives an error that has no place yet the place of instruction i. */
COLD struct cel_value vm_place(struct vm *v, const struct ins *i, struct cel_value x);
static inline const struct ins *vm_set(struct vm *v, const struct ins *i, struct cel_value x)
{
	v->r[i->dst] = __builtin_expect(x.kind == CEL_ERROR, 0) ? vm_place(v, i, x) : x;
	return i + 1;
}
const struct ins *vm_over(struct vm *v); /* the cost limit was met: NULL, which ends the run */

/* Access (cel-vm-access.c): never called with a bad operand. */
struct cel_value vm_field(struct vm *v, struct cel_value from, const struct key *k);
struct cel_value vm_field_optional(struct vm *v, struct cel_value from, const struct key *k);
struct cel_value vm_some(struct vm *v, struct cel_value x); /* optional.of(x) */

op_fn op_return, op_move, op_jump, op_and_left, op_and_right, op_or_left, op_or_right, op_condition, op_not, op_negate, op_add,
	op_subtract, op_multiply, op_divide, op_modulo, op_equal, op_not_equal, op_less, op_less_equal, op_greater, op_greater_equal,
	op_call, op_matches, op_list, op_map, op_struct, op_not_strictly_false;
op_fn op_field, op_field_optional, op_has, op_index, op_index_optional, op_in, op_in_set, op_resolve, op_or_value, op_or_optional;
op_fn op_loop_begin, op_loop_next, op_all_step, op_exists_step, op_one_step, op_one_end, op_filter, op_filter_step, op_append,
	op_list_end, op_map_insert, op_map_merge, op_map_end, op_loop_while;

#endif
