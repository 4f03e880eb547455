/* cel-compile.c - a tree becomes a program: instructions over registers (cel-program.h).
 *
 * Pure; the program lives in the caller's arena and may be run by any number of threads. Recursion is bounded by the height of
 * the tree, which the parser has limited. Names cost what cel-go counts for them; the cost is taken along by the instruction
 * that uses the name, so that a variable needs no instruction of its own. */
#include "base/base.h"
#include "lang/cel/cel-compile.h"

#include "lang/cel/cel-message.h"

/* --- registers and instructions --- */

bool cc_grow(struct compiler *c, void **items, size_t n, size_t *cap, size_t size)
{
	size_t more = *cap ? *cap * 2 : 16;
	void *p;

	if (n < *cap)
		return true;
	p = arena_array(c->a, more, size);
	if (!p) {
		c->failed = true;
		return false;
	}
	if (n)
		memcpy(p, *items, n * size);
	*items = p;
	*cap = more;
	return true;
}

#define GROW(c, field) cc_grow((c), (void **)&(c)->field, (c)->n_##field, &(c)->cap_##field, sizeof(*(c)->field))

uint32_t cc_temp(struct compiler *c)
{
	uint32_t t = ++c->top;

	if (t > c->top_max)
		c->top_max = t;
	return t;
}

static bool same_constant(struct cel_value a, struct cel_value b)
{
	if (a.kind != b.kind)
		return false;
	if (a.kind == CEL_STRING || a.kind == CEL_BYTES)
		return a.len == b.len && !memcmp(a.s, b.s, a.len);
	return a.kind <= CEL_UINT && (a.kind == CEL_NULL || (a.kind == CEL_BOOL ? a.b == b.b : a.i == b.i));
}

uint32_t cc_constant(struct compiler *c, struct cel_value v)
{
	enum { LOOKED_AT = 64 };

	for (size_t i = 0; i < c->n_constants && i < LOOKED_AT; i++)
		if (same_constant(c->constants[i], v))
			return REG_CONST | (uint32_t)i;
	if (!GROW(c, constants))
		return REG_CONST;
	c->constants[c->n_constants] = v;
	return REG_CONST | (uint32_t)c->n_constants++;
}

/* A register that begins as 0 in each run and that an instruction may write: not shared with equal constants. */
uint32_t cc_state(struct compiler *c)
{
	if (!GROW(c, constants))
		return REG_CONST;
	c->constants[c->n_constants] = (struct cel_value){ .kind = CEL_ERROR };
	return REG_CONST | (uint32_t)c->n_constants++;
}

bool cc_is_constant(const struct compiler *c, uint32_t reg, struct cel_value *ret)
{
	if (!(reg & REG_CONST) || c->failed)
		return false;
	*ret = c->constants[reg & ~REG_CONST];
	return true;
}

uint32_t cc_emit(struct compiler *c, op_fn *fn, const struct cel_expr *e, uint32_t dst, uint32_t a, uint32_t b, uint32_t cost)
{
	size_t n = c->n_code;

	if (!GROW(c, code) || !cc_grow(c, (void **)&c->places, n, &c->cap_places, sizeof(*c->places)))
		return 0;
	c->code[n] = (struct ins){ .fn = fn, .dst = dst, .a = a, .b = b, .cost = cost + c->pending };
	c->places[n] = (struct place){ e->line, e->col };
	c->pending = 0;
	c->n_code++;
	return (uint32_t)n;
}

struct ins *cc_at(struct compiler *c, uint32_t index)
{
	return c->failed || index >= c->n_code ? &c->nowhere : &c->code[index];
}

void cc_land(struct compiler *c, uint32_t index)
{
	cc_at(c, index)->to = (uint32_t)c->n_code;
}

const struct key *cc_key(struct compiler *c, struct cel_value key, bool index)
{
	struct key *k = ARENA_NEW(c->a, struct key);

	if (!k)
		c->failed = true;
	else
		*k = (struct key){ key, cel_key_hash(key), index };
	return k;
}

bool cc_is_call(const struct cel_expr *e, const char *function, size_t n)
{
	return e->kind == CEL_X_CALL && !e->call.target && e->call.n == n && str_eqz(e->call.function, function);
}

/* --- literals --- */

/* The values in `n` registers from the first on as constants? Then the literal is one too. */
static bool all_constant(const struct compiler *c, const uint32_t *regs, size_t n, struct cel_value *ret)
{
	for (size_t i = 0; i < n; i++)
		if (!cc_is_constant(c, regs[i], &ret[i]))
			return false;
	return true;
}

/* Compiles n expressions to consecutive registers that begin at *ret_first; *ret_const gets their values when all are constants
 * (then no instruction was emitted). */
static bool row(struct compiler *c, const struct cel_expr *e, struct cel_expr **items, size_t n, uint32_t *ret_first,
				struct cel_value **ret_const)
{
	uint32_t first = c->top + 1, *regs = ARENA_ARRAY(c->a, n + 1, uint32_t);
	struct cel_value *values = ARENA_ARRAY(c->a, n + 1, struct cel_value);

	*ret_first = first;
	*ret_const = NULL;
	if (!regs || !values) {
		c->failed = true;
		return false;
	}
	for (size_t i = 0; i < n; i++)
		cc_temp(c);
	for (size_t i = 0; i < n; i++) {
		uint32_t top = c->top;

		regs[i] = cc_expr(c, items[i]);
		c->top = top;
		if (!(regs[i] & REG_CONST))
			cc_emit(c, op_move, e, first + (uint32_t)i, regs[i], 0, 0);
	}
	if (all_constant(c, regs, n, values)) {
		*ret_const = values;
		return true;
	}
	for (size_t i = 0; i < n; i++)
		if (regs[i] & REG_CONST)
			cc_emit(c, op_move, e, first + (uint32_t)i, regs[i], 0, 0);
	return true;
}

/* A row of constants after all in its registers. */
static void put_row(struct compiler *c, const struct cel_expr *e, uint32_t first, const struct cel_value *values, size_t n)
{
	for (size_t i = 0; values && i < n; i++)
		cc_emit(c, op_move, e, first + (uint32_t)i, cc_constant(c, values[i]), 0, 0);
}

static uint32_t list(struct compiler *c, const struct cel_expr *e)
{
	uint32_t top = c->top, first, at, dst;
	struct cel_value *values;

	if (!row(c, e, e->list.items, e->list.n, &first, &values))
		return REG_CONST;
	c->top = top;
	if (values && !e->list.optional) {
		c->pending += 10;
		return cc_constant(c, cel_list_adopt(c->a, values, e->list.n));
	}
	put_row(c, e, first, values, e->list.n);
	dst = cc_temp(c);
	at = cc_emit(c, op_list, e, dst, first, 0, 10);
	cc_at(c, at)->n = (uint32_t)e->list.n;
	cc_at(c, at)->p = e->list.optional;
	return dst;
}

static bool *optional_entries(struct compiler *c, const struct cel_expr *e)
{
	bool *optional = NULL;

	for (size_t i = 0; i < e->map.n; i++) {
		if (!e->map.entries[i].optional)
			continue;
		if (!optional && !(optional = ARENA_ARRAY(c->a, e->map.n, bool))) {
			c->failed = true;
			return NULL;
		}
		optional[i] = true;
	}
	return optional;
}

/* A map of constants, unless its keys are wrong: then it is made, and fails, at run time. */
static bool constant_map(struct compiler *c, const struct cel_value *pairs, size_t n, uint32_t *ret)
{
	struct cel_value *keys = ARENA_ARRAY(c->a, n + 1, struct cel_value), *values = ARENA_ARRAY(c->a, n + 1, struct cel_value), m;

	if (!keys || !values) {
		c->failed = true;
		return false;
	}
	for (size_t i = 0; i < n; i++) {
		keys[i] = pairs[2 * i];
		values[i] = pairs[2 * i + 1];
	}
	m = cel_map_adopt(c->a, keys, values, n, true);
	if (m.kind != CEL_MAP)
		return false;
	*ret = cc_constant(c, m);
	return true;
}

static uint32_t map(struct compiler *c, const struct cel_expr *e)
{
	uint32_t top = c->top, first, at, dst;
	struct cel_value *values;
	struct cel_expr **items = ARENA_ARRAY(c->a, e->map.n * 2 + 1, struct cel_expr *);
	bool *optional = optional_entries(c, e);

	for (size_t i = 0; items && i < e->map.n; i++) {
		items[2 * i] = e->map.entries[i].key;
		items[2 * i + 1] = e->map.entries[i].value;
	}
	if (!items || !row(c, e, items, e->map.n * 2, &first, &values)) {
		c->failed = true;
		return REG_CONST;
	}
	c->top = top;
	if (values && !optional && constant_map(c, values, e->map.n, &dst)) {
		c->pending += 30;
		return dst;
	}
	put_row(c, e, first, values, e->map.n * 2);
	dst = cc_temp(c);
	at = cc_emit(c, op_map, e, dst, first, 0, 30);
	cc_at(c, at)->n = (uint32_t)e->map.n;
	cc_at(c, at)->p = optional;
	return dst;
}

static const struct cel_message_type *message_type(struct compiler *c, str name)
{
	const struct cel_pool *pool = cel_env_pool(c->env);
	const struct cel_message_type *t = NULL;
	str candidate;

	if (c->ast->checked)
		return pool ? cel_pool_message(pool, name) : NULL;
	for (size_t i = 0; pool && !t && cel_env_candidate(c->a, c->env, name, i, &candidate); i++)
		t = cel_pool_message(pool, candidate);
	return t;
}

static struct struct_site *struct_site(struct compiler *c, const struct cel_expr *e)
{
	size_t n = e->map.n;
	struct struct_site *s = ARENA_NEW(c->a, struct struct_site);
	const struct cel_field **fields = ARENA_ARRAY(c->a, n + 1, const struct cel_field *);
	str *names = ARENA_ARRAY(c->a, n + 1, str);

	if (!s || !fields || !names) {
		c->failed = true;
		return NULL;
	}
	*s = (struct struct_site){ .name = e->map.type_name,
							   .type = message_type(c, e->map.type_name),
							   .pool = cel_env_pool(c->env),
							   .fields = fields,
							   .names = names,
							   .optional = optional_entries(c, e),
							   .n = n };
	for (size_t i = 0; i < n; i++) {
		names[i] = e->map.entries[i].field;
		fields[i] = s->type ? cel_message_field(s->type, names[i]) : NULL;
	}
	return s;
}

static uint32_t message(struct compiler *c, const struct cel_expr *e)
{
	struct struct_site *s = struct_site(c, e);
	struct cel_expr **items = ARENA_ARRAY(c->a, e->map.n + 1, struct cel_expr *);
	uint32_t top = c->top, first, dst;
	struct cel_value *values;

	for (size_t i = 0; items && i < e->map.n; i++)
		items[i] = e->map.entries[i].value;
	if (!s || !items || !row(c, e, items, e->map.n, &first, &values)) {
		c->failed = true;
		return REG_CONST;
	}
	put_row(c, e, first, values, e->map.n);
	c->top = top;
	dst = cc_temp(c);
	cc_at(c, cc_emit(c, op_struct, e, dst, first, 0, 40))->p = s;
	return dst;
}

/* --- selection --- */

static uint32_t selection(struct compiler *c, const struct cel_expr *e)
{
	uint32_t top = c->top, reg, dst;
	const struct key *k;

	if (!c->ast->checked && cc_chain(c, e, &reg))
		return reg;
	reg = cc_expr(c, e->select.operand);
	c->top = top;
	dst = cc_temp(c);
	k = cc_key(c, cel_of_str(e->select.field), false);
	if (!e->select.test_only)
		cc_at(c, cc_emit(c, op_field, e, dst, reg, cc_state(c), 1))->p = k;
	else
		cc_at(c, cc_emit(c, op_has, e, dst, reg, 0, 1))->p = k;
	return dst;
}

uint32_t cc_expr(struct compiler *c, const struct cel_expr *e)
{
	if (c->failed)
		return REG_CONST;
	switch (e->kind) {
	case CEL_X_CONST: return cc_constant(c, e->constant);
	case CEL_X_IDENT: return cc_name(c, e);
	case CEL_X_SELECT: return selection(c, e);
	case CEL_X_CALL: return cc_call(c, e);
	case CEL_X_LIST: return list(c, e);
	case CEL_X_MAP: return map(c, e);
	case CEL_X_STRUCT: return message(c, e);
	case CEL_X_FOLD: return cc_fold(c, e);
	}
	return REG_CONST;
}

/* --- the program --- */

static uint32_t plain(const struct compiler *c, uint32_t reg)
{
	uint32_t nc = (uint32_t)c->n_constants;

	if (reg & REG_CONST)
		return reg & ~REG_CONST;
	if (reg & REG_SLOT)
		return nc + (reg & ~REG_SLOT);
	return reg ? nc + (uint32_t)c->n_slots + reg : 0;
}

static bool slots(struct compiler *c, struct cel_program *p)
{
	str *names = ARENA_ARRAY(c->a, c->n_slots + 1, str);
	struct cel_value *absent = ARENA_ARRAY(c->a, c->n_slots + 1, struct cel_value);

	if (!names || !absent)
		return false;
	for (size_t i = 0; i < c->n_slots; i++) {
		struct cel_error *e = ARENA_NEW(c->a, struct cel_error);
		char *msg = arena_printf(c->a, "undeclared reference to '%.*s'", STR_ARG(c->slots[i].name));

		if (!e || !msg)
			return false;
		*e = (struct cel_error){ str_z(msg), c->slots[i].place.line, c->slots[i].place.col };
		names[i] = c->slots[i].name;
		absent[i] = (struct cel_value){ .kind = CEL_ERROR, .error = e };
	}
	p->slots = names;
	p->absent = absent;
	return true;
}

static void link_registers(struct compiler *c)
{
	for (size_t i = 0; i < c->n_code; i++) {
		struct ins *x = &c->code[i];

		x->dst = plain(c, x->dst);
		x->a = plain(c, x->a);
		x->b = plain(c, x->b);
		if (x->fn == op_resolve) { /* made by this compiler in its arena: still ours to write */
			const struct resolution *r = x->p;
			struct alternative *alt;

			memcpy(&alt, &r->alternatives, sizeof(alt));
			for (size_t k = 0; k < r->n; k++)
				alt[k].reg = plain(c, alt[k].reg);
		}
	}
}

int cel_compile(struct arena *a, const struct cel_env *e, const struct cel_ast *ast, struct cel_program **ret, struct err *reterr)
{
	struct compiler c = { .a = a, .env = e, .ast = ast };
	struct cel_program *p = ARENA_NEW(a, struct cel_program);
	uint32_t reg, result;

	if (!p)
		return arena_check(a, "a compiled expression", reterr);
	reg = cc_expr(&c, ast->root);
	result = c.top_max + 1;
	cc_emit(&c, op_return, ast->root, result, reg, 0, 0);
	if (c.failed || a->failed || !slots(&c, p))
		return err_set(reterr, WEIR_ELIMIT, "a compiled expression needs more than %zu bytes of memory", a->max);
	link_registers(&c);
	p->code = c.code;
	p->places = c.places;
	p->constants = c.constants;
	p->n_code = (uint32_t)c.n_code;
	p->n_constants = (uint32_t)c.n_constants;
	p->n_slots = (uint32_t)c.n_slots;
	p->n_regs = plain(&c, result) + 1;
	p->n_loops = c.loops_max;
	p->cost_max = cel_env_limits(e)->cost_max;
	*ret = p;
	return 0;
}
