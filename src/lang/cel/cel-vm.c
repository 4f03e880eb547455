/* cel-vm.c - the machine: runs a program's instructions over one array of registers; logic, arithmetic, comparisons, calls,
 * literals.
 *
 * Guarantees: the C stack does not grow with the expression; the run ends with -WEIR_ELIMIT when its cost or memory passes the
 * limit; equal inputs give equal outputs. Any number of threads may run one program, each with an arena of its own. */
#include "base/base.h"
#include "lang/cel/cel-program.h"

#include "base/regex.h"
#include "lang/cel/cel-message.h"

enum { STACK_REGS = 256, STACK_LOOPS = 8, WORK_PER_COST = 8 };

const struct cel_value vm_bools[2] = { { .kind = CEL_BOOL, .u = 0 }, { .kind = CEL_BOOL, .b = true } };

/* --- places and limits --- */

struct cel_value vm_place(struct vm *v, const struct ins *i, struct cel_value x)
{
	struct cel_error *e;

	if (x.error->line || !(e = ARENA_NEW(v->call.arena, struct cel_error)))
		return x;
	*e = *x.error;
	e->line = v->p->places[i - v->p->code].line;
	e->col = v->p->places[i - v->p->code].col;
	x.error = e;
	return x;
}

const struct ins *vm_over(struct vm *v)
{
	v->over = true;
	return NULL;
}

/* --- flow --- */

const struct ins *op_return(struct vm *v, const struct ins *i)
{
	v->r[i->dst] = v->r[i->a];
	return NULL;
}

const struct ins *op_move(struct vm *v, const struct ins *i)
{
	v->r[i->dst] = v->r[i->a];
	return i + 1;
}

const struct ins *op_jump(struct vm *v, const struct ins *i)
{
	return vm_jump(v, i->to);
}

/* --- logic: an operand that decides hides what is wrong with the other; otherwise unknowns go before errors --- */

static COLD struct cel_value undecided(struct vm *v, const char *op, struct cel_value l, struct cel_value r)
{
	const struct cel_value args[] = { l, r };

	if (cel_is_bad(l) && cel_is_bad(r))
		return cel_merge_bad(v->call.arena, l, r);
	if (l.kind == CEL_UNKNOWN || r.kind == CEL_UNKNOWN)
		return l.kind == CEL_UNKNOWN ? l : r;
	if (l.kind == CEL_ERROR || r.kind == CEL_ERROR)
		return l.kind == CEL_ERROR ? l : r;
	return cel_no_overload(v->call.arena, str_z(op), args, 2);
}

const struct ins *op_and_left(struct vm *v, const struct ins *i)
{
	struct cel_value l = v->r[i->a];

	v->r[i->dst] = l;
	return l.kind == CEL_BOOL && !l.b ? vm_jump(v, i->to) : i + 1;
}

const struct ins *op_and_right(struct vm *v, const struct ins *i)
{
	struct cel_value l = v->r[i->a], r = v->r[i->b];

	if (r.kind == CEL_BOOL && (!r.b || l.kind == CEL_BOOL)) {
		v->r[i->dst] = r;
		return i + 1;
	}
	return vm_set(v, i, undecided(v, "_&&_", l, r));
}

const struct ins *op_or_left(struct vm *v, const struct ins *i)
{
	struct cel_value l = v->r[i->a];

	v->r[i->dst] = l;
	return cel_is_true(l) ? vm_jump(v, i->to) : i + 1;
}

const struct ins *op_or_right(struct vm *v, const struct ins *i)
{
	struct cel_value l = v->r[i->a], r = v->r[i->b];

	if (r.kind == CEL_BOOL && (r.b || l.kind == CEL_BOOL)) {
		v->r[i->dst] = r;
		return i + 1;
	}
	return vm_set(v, i, undecided(v, "_||_", l, r));
}

/* True goes on, false jumps to `to`, anything else is the result and jumps to `n`. */
const struct ins *op_condition(struct vm *v, const struct ins *i)
{
	struct cel_value c = v->r[i->a];

	if (c.kind == CEL_BOOL)
		return c.b ? i + 1 : vm_jump(v, i->to);
	vm_set(v, i, cel_is_bad(c) ? c : cel_no_overload(v->call.arena, STR("_?_:_"), &c, 1));
	return vm_jump(v, i->n);
}

const struct ins *op_not(struct vm *v, const struct ins *i)
{
	struct cel_value a = v->r[i->a];

	if (a.kind == CEL_BOOL) {
		v->r[i->dst] = vm_bools[!a.b];
		return i + 1;
	}
	return vm_set(v, i, cel_is_bad(a) ? a : cel_no_overload(v->call.arena, STR("!_"), &a, 1));
}

const struct ins *op_not_strictly_false(struct vm *v, const struct ins *i)
{
	struct cel_value a = v->r[i->a];

	return vm_set(v, i, cel_of_bool(a.kind != CEL_BOOL || a.b));
}

/* --- calls --- */

static size_t size_of(struct cel_value v)
{
	switch (v.kind) {
	case CEL_STRING:
	case CEL_BYTES: return v.len;
	case CEL_LIST: return v.list->n;
	case CEL_MAP: return v.map->n;
	default: return 1;
	}
}

static uint64_t cost_of(enum cel_cost_rule rule, const struct cel_value *args, size_t n)
{
	uint64_t sum = 0;

	switch (rule) {
	case CEL_COST_SCAN: return n ? size_of(args[0]) / 10 : 0;
	case CEL_COST_SCAN_ALL:
		for (size_t i = 0; i < n; i++)
			sum += size_of(args[i]);
		return sum / 10;
	case CEL_COST_PRODUCT:
		/* as cel-go: a tenth of the text by a quarter of the pattern; the call itself is counted already */
		sum = n > 1 ? (size_of(args[0]) / 10 + 1) * (size_of(args[1]) / 4 + 1) : 1;
		return sum < size_of(args[0]) * (n > 1 ? size_of(args[1]) : 1) ? sum - 1 : 0;
	case CEL_COST_ITEMS: return n ? size_of(args[0]) : 0;
	default: return 0;
	}
}

static bool candidate_fits(const struct candidate *c, const struct cel_value *args, size_t n)
{
	for (size_t k = 0; k < n; k++)
		if (!(c->masks[k] >> args[k].kind & 1))
			return false;
	for (size_t k = 0; c->opaque && k < n; k++)
		if (c->opaque[k] && !(args[k].kind == CEL_OPAQUE && cel_type_is_same(args[k].opaque->type, c->opaque[k])))
			return false;
	return true;
}

/* The first bad argument; unknowns unite and go before errors. False: none is bad. */
static bool bad_argument(struct vm *v, const struct cel_value *args, size_t n, struct cel_value *ret)
{
	bool any = false;

	for (size_t k = 0; k < n; k++)
		if (cel_is_bad(args[k])) {
			*ret = any ? cel_merge_bad(v->call.arena, *ret, args[k]) : args[k];
			any = true;
		}
	return any;
}

static struct cel_value call(struct vm *v, const struct call_site *s, const struct cel_value *args, size_t n)
{
	struct cel_value bad;

	for (size_t k = 0; k < s->n; k++) {
		const struct candidate *c = &s->candidates[k];

		if (!candidate_fits(c, args, n))
			continue;
		v->cost += cost_of(c->decl->cost, args, n);
		v->call.ctx = c->decl->ctx;
		v->call.cost = 0;
		bad = c->decl->fn(&v->call, args, n);
		v->cost += v->call.cost;
		return bad;
	}
	if (bad_argument(v, args, n, &bad))
		return bad;
	if (!s->declared)
		return cel_error_value(v->call.arena, "undeclared function '%.*s'", STR_ARG(s->name));
	return cel_no_overload(v->call.arena, s->name, args, n);
}

const struct ins *op_call(struct vm *v, const struct ins *i)
{
	vm_set(v, i, call(v, i->p, v->r + i->a, i->n));
	return v->cost > v->cost_max || !v->call.work ? vm_over(v) : i + 1;
}

const struct ins *op_matches(struct vm *v, const struct ins *i)
{
	struct cel_value a = v->r[i->a];

	if (a.kind != CEL_STRING)
		return vm_set(v, i, cel_is_bad(a) ? a : cel_no_overload(v->call.arena, STR("matches"), &a, 1));
	v->cost += cost_of(CEL_COST_PRODUCT, (const struct cel_value[]){ a, v->r[i->b] }, 2);
	return vm_set(v, i, cel_of_bool(regex_search(i->p, cel_str(a))));
}

/* --- arithmetic and order --- */

/* An operator on kinds that have none of their own: an embedder's overload, else the operator's error. */
static COLD const struct ins *slow(struct vm *v, const struct ins *i, char op)
{
	const struct cel_value args[] = { v->r[i->a], v->r[i->b] };
	struct cel_value x;

	if (i->p && !cel_is_bad(args[0]) && !cel_is_bad(args[1])) {
		x = call(v, i->p, args, 2);
		if (x.kind != CEL_ERROR)
			return vm_set(v, i, x);
	}
	if (args[0].kind == args[1].kind && (args[0].kind == CEL_STRING || args[0].kind == CEL_BYTES))
		v->cost += ((uint64_t)args[0].len + args[1].len) / 10;
	vm_set(v, i, cel_arith(&v->call, op, args[0], args[1]));
	return v->call.work ? i + 1 : vm_over(v);
}

#define INT_OP(name, op, character)                                                                                              \
	const struct ins *name(struct vm *v, const struct ins *i)                                                                    \
	{                                                                                                                            \
		struct cel_value a = v->r[i->a], b = v->r[i->b];                                                                         \
		int64_t sum;                                                                                                             \
		if (a.kind == CEL_INT && b.kind == CEL_INT && !op(a.i, b.i, &sum)) {                                                     \
			v->r[i->dst] = cel_of_int(sum);                                                                                      \
			return i + 1;                                                                                                        \
		}                                                                                                                        \
		return slow(v, i, character);                                                                                            \
	}
INT_OP(op_add, __builtin_add_overflow, '+')
INT_OP(op_subtract, __builtin_sub_overflow, '-')
INT_OP(op_multiply, __builtin_mul_overflow, '*')

const struct ins *op_divide(struct vm *v, const struct ins *i)
{
	return slow(v, i, '/');
}

const struct ins *op_modulo(struct vm *v, const struct ins *i)
{
	return slow(v, i, '%');
}

const struct ins *op_negate(struct vm *v, const struct ins *i)
{
	return vm_set(v, i, cel_negate(&v->call, v->r[i->a]));
}

static void add_text_cost(struct vm *v, struct cel_value a, struct cel_value b)
{
	size_t x = size_of(a), y = size_of(b);

	v->cost += (x < y ? x : y) / 10;
}

static COLD const struct ins *equality_of(struct vm *v, const struct ins *i, bool want)
{
	const struct cel_value args[] = { v->r[i->a], v->r[i->b] };
	struct cel_value bad;
	bool is;

	if (bad_argument(v, args, 2, &bad))
		return vm_set(v, i, bad);
	add_text_cost(v, args[0], args[1]);
	is = cel_equal_work(args[0], args[1], &v->call.work);
	v->r[i->dst] = vm_bools[is == want];
	return v->call.work ? i + 1 : vm_over(v);
}

static inline const struct ins *equality(struct vm *v, const struct ins *i, bool want)
{
	struct cel_value a = v->r[i->a], b = v->r[i->b];
	bool is;

	if (a.kind == CEL_STRING && b.kind == CEL_STRING) {
		v->cost += (a.len < b.len ? a.len : b.len) / 10;
		is = cel_same_text(a, b);
	} else if (a.kind == CEL_INT && b.kind == CEL_INT) {
		is = a.i == b.i;
	} else {
		return equality_of(v, i, want);
	}
	v->r[i->dst] = vm_bools[is == want];
	return i + 1;
}

const struct ins *op_equal(struct vm *v, const struct ins *i)
{
	return equality(v, i, true);
}

const struct ins *op_not_equal(struct vm *v, const struct ins *i)
{
	return equality(v, i, false);
}

/* Order of the operands of i; 3: *ret_bad says why there is none. */
static COLD int order_of(struct vm *v, const struct ins *i, const char *op, struct cel_value *ret_bad)
{
	const struct cel_value args[] = { v->r[i->a], v->r[i->b] };
	int c;

	if (bad_argument(v, args, 2, ret_bad))
		return 3;
	c = cel_compare(args[0], args[1]);
	if (c == 3)
		*ret_bad = i->p ? call(v, i->p, args, 2) : cel_no_overload(v->call.arena, str_z(op), args, 2);
	else if (args[0].kind == CEL_STRING || args[0].kind == CEL_BYTES)
		add_text_cost(v, args[0], args[1]);
	return c;
}

static COLD const struct ins *order_slowly(struct vm *v, const struct ins *i, const char *op, int from, int to)
{
	struct cel_value bad;
	int c = order_of(v, i, op, &bad);

	return vm_set(v, i, c == 3 ? bad : cel_of_bool(c >= from && c <= to));
}

/* from, to: the results of a comparison (-1, 0, 1) that make it true. */
#define ORDER_OP(name, text, op, from, to)                                                                                       \
	const struct ins *name(struct vm *v, const struct ins *i)                                                                    \
	{                                                                                                                            \
		struct cel_value a = v->r[i->a], b = v->r[i->b];                                                                         \
		if (a.kind == CEL_INT && b.kind == CEL_INT)                                                                              \
			v->r[i->dst] = vm_bools[a.i op b.i];                                                                                 \
		else if (a.kind == CEL_DOUBLE && b.kind == CEL_DOUBLE)                                                                   \
			v->r[i->dst] = vm_bools[a.d op b.d];                                                                                 \
		else                                                                                                                     \
			return order_slowly(v, i, text, from, to);                                                                           \
		return i + 1;                                                                                                            \
	}
ORDER_OP(op_less, "_<_", <, -1, -1)
ORDER_OP(op_less_equal, "_<=_", <=, -1, 0)
ORDER_OP(op_greater, "_>_", >, 1, 1)
ORDER_OP(op_greater_equal, "_>=_", >=, 0, 1)

/* --- literals --- */

/* An optional item: true when it has a value, which is then in *x. What is no optional is an error in *x. */
static bool unwrap(struct vm *v, struct cel_value *x, bool *ret_bad)
{
	*ret_bad = x->kind != CEL_OPTIONAL;
	if (*ret_bad) {
		*x = cel_error_value(v->call.arena, "expected an optional value, not %s", cel_kind_name(*x));
		return false;
	}
	if (!x->opt)
		return false;
	*x = *x->opt;
	return true;
}

const struct ins *op_list(struct vm *v, const struct ins *i)
{
	const bool *optional = i->p;
	struct cel_value x, *items;
	size_t n = 0;
	bool bad;

	if (bad_argument(v, v->r + i->a, i->n, &x))
		return vm_set(v, i, x);
	items = ARENA_ARRAY(v->call.arena, i->n, struct cel_value);
	if (!items)
		return vm_over(v);
	for (uint32_t k = 0; k < i->n; k++) {
		x = v->r[i->a + k];
		if (!optional || !optional[k] || unwrap(v, &x, &bad))
			items[n++] = x;
		else if (bad)
			return vm_set(v, i, x);
	}
	return vm_set(v, i, cel_list_adopt(v->call.arena, items, n));
}

const struct ins *op_map(struct vm *v, const struct ins *i)
{
	const bool *optional = i->p;
	struct cel_value *keys, *values, x;
	size_t n = 0;
	bool bad;

	if (bad_argument(v, v->r + i->a, (size_t)i->n * 2, &x))
		return vm_set(v, i, x);
	keys = ARENA_ARRAY(v->call.arena, i->n, struct cel_value);
	values = ARENA_ARRAY(v->call.arena, i->n, struct cel_value);
	if (!keys || !values)
		return vm_over(v);
	for (uint32_t k = 0; k < i->n; k++) {
		x = v->r[i->a + 2 * k + 1];
		if (optional && optional[k] && !unwrap(v, &x, &bad)) {
			if (bad)
				return vm_set(v, i, x);
			continue;
		}
		keys[n] = v->r[i->a + 2 * k];
		values[n++] = x;
	}
	return vm_set(v, i, cel_map_adopt(v->call.arena, keys, values, n, true));
}

const struct ins *op_struct(struct vm *v, const struct ins *i)
{
	const struct struct_site *s = i->p;
	const struct cel_field **fields;
	struct cel_value *values, x;
	size_t n = 0;
	bool bad;

	if (!s->type)
		return vm_set(v, i, cel_error_value(v->call.arena, "unknown type '%.*s'", STR_ARG(s->name)));
	if (bad_argument(v, v->r + i->a, s->n, &x))
		return vm_set(v, i, x);
	fields = ARENA_ARRAY(v->call.arena, s->n + 1, const struct cel_field *);
	values = ARENA_ARRAY(v->call.arena, s->n + 1, struct cel_value);
	if (!fields || !values)
		return vm_over(v);
	for (size_t k = 0; k < s->n; k++) {
		x = v->r[i->a + k];
		if (!s->fields[k])
			return vm_set(v, i, cel_error_value(v->call.arena, "no such field '%.*s'", STR_ARG(s->names[k])));
		if (s->optional && s->optional[k] && !unwrap(v, &x, &bad)) {
			if (bad)
				return vm_set(v, i, x);
			continue;
		}
		fields[n] = s->fields[k];
		values[n++] = x;
	}
	return vm_set(v, i, cel_message_make(v->call.arena, s->pool, s->type, fields, values, n));
}

/* --- running --- */

static void run(struct vm *v)
{
	const struct ins *i = v->p->code;

	do {
		v->cost += i->cost;
		i = i->fn(v, i);
	} while (i);
	v->over |= v->cost > v->cost_max;
}

static int finish(const struct vm *v, struct cel_value *ret, uint64_t *ret_cost, struct err *reterr)
{
	if (ret_cost)
		*ret_cost = v->cost;
	if (v->call.arena->failed)
		return arena_check(v->call.arena, "evaluation", reterr);
	if (v->over && v->cost > v->cost_max)
		return err_set(reterr, WEIR_ELIMIT, "evaluation costs more than %llu", (unsigned long long)v->cost_max);
	if (v->over || !v->call.work)
		return err_set(reterr, WEIR_ELIMIT, "evaluation takes more work than a cost of %llu allows",
					   (unsigned long long)v->cost_max);
	*ret = v->r[v->p->n_regs - 1];
	return 0;
}

/* slot(s) of the variables are in place already. */
static int run_with(struct arena *a, const struct cel_program *p, struct cel_value *regs, struct cel_value *ret,
					uint64_t *ret_cost, struct err *reterr)
{
	struct loop loops[STACK_LOOPS];
	struct vm v = { .r = regs, .cost_max = p->cost_max, .p = p, .loops = loops };

	v.call = (struct cel_call){ .arena = a, .work = p->cost_max * WORK_PER_COST + 1000, .zones = p->zones };
	if (p->cost_max > UINT64_MAX / WORK_PER_COST - 1000)
		v.call.work = UINT64_MAX;
	if (p->n_loops > STACK_LOOPS && !(v.loops = ARENA_ARRAY(a, p->n_loops, struct loop)))
		return arena_check(a, "evaluation", reterr);
	run(&v);
	return finish(&v, ret, ret_cost, reterr);
}

static struct cel_value *registers(struct arena *a, const struct cel_program *p, struct cel_value *stack)
{
	struct cel_value *regs = p->n_regs <= STACK_REGS ? stack : ARENA_ARRAY(a, p->n_regs, struct cel_value);

	if (regs && p->n_constants)
		memcpy(regs, p->constants, p->n_constants * sizeof(*regs));
	return regs;
}

int cel_eval_slots(struct arena *a, const struct cel_program *p, const struct cel_value *slots, struct cel_value *ret,
				   uint64_t *ret_cost, struct err *reterr)
{
	struct cel_value stack[STACK_REGS], *regs = registers(a, p, stack);

	if (!regs)
		return arena_check(a, "evaluation", reterr);
	for (uint32_t i = 0; i < p->n_slots; i++)
		regs[p->n_constants + i] = slots[i].kind == CEL_ERROR && !slots[i].error ? p->absent[i] : slots[i];
	return run_with(a, p, regs, ret, ret_cost, reterr);
}

static struct cel_value find_var(const struct cel_program *p, const struct cel_vars *vars, uint32_t slot)
{
	struct cel_value v;

	for (size_t i = 0; vars && i < vars->n; i++)
		if (str_eq(vars->names[i], p->slots[slot]))
			return vars->values[i];
	if (vars && vars->find && vars->find(vars->ctx, p->slots[slot], &v))
		return v;
	return p->absent[slot];
}

int cel_eval(struct arena *a, const struct cel_program *p, const struct cel_vars *vars, struct cel_value *ret, uint64_t *ret_cost,
			 struct err *reterr)
{
	struct cel_value stack[STACK_REGS], *regs = registers(a, p, stack);

	if (!regs)
		return arena_check(a, "evaluation", reterr);
	for (uint32_t i = 0; i < p->n_slots; i++)
		regs[p->n_constants + i] = find_var(p, vars, i);
	return run_with(a, p, regs, ret, ret_cost, reterr);
}

size_t cel_program_slots(const struct cel_program *p)
{
	return p->n_slots;
}

int cel_program_slot(const struct cel_program *p, str name)
{
	for (uint32_t i = 0; i < p->n_slots; i++)
		if (str_eq(p->slots[i], name))
			return (int)i;
	return -1;
}

void cel_program_set_zones(struct cel_program *p, const struct cel_zones *z)
{
	p->zones = z;
}
