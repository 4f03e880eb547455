/* cel-compile-name.c - names and calls: variables, constants of types, overloads; in unchecked trees what a.b.c means is found
 * at run time, the longest declared name first.
 *
 * Pure; part of the compiler. */
#include "base/base.h"
#include "lang/cel/cel-compile.h"

#include "base/regex.h"

enum { CHAIN_MAX = 64, REGEXES_MAX = 32 };

static uint32_t slot_of(struct compiler *c, const struct cel_expr *e, str name)
{
	for (size_t i = 0; i < c->n_slots; i++)
		if (str_eq(c->slots[i].name, name))
			return REG_SLOT | (uint32_t)i;
	if (!cc_grow(c, (void **)&c->slots, c->n_slots, &c->cap_slots, sizeof(*c->slots)))
		return REG_CONST;
	name = arena_str(c->a, name);
	c->failed |= !name.ptr;
	c->slots[c->n_slots] = (struct slot){ name, { e->line, e->col } };
	return REG_SLOT | (uint32_t)c->n_slots++;
}

static bool local(const struct compiler *c, str name, uint32_t *ret)
{
	for (const struct scope *s = c->scope; s; s = s->next)
		if (str_eq(s->name, name)) {
			*ret = s->reg;
			return true;
		}
	return false;
}

/* --- names that are looked for at run time --- */

struct chain {
	str parts[CHAIN_MAX]; /* a, b, c */
	size_t n;
};

static bool unfold(const struct cel_expr *e, struct chain *ch)
{
	if (e->kind == CEL_X_IDENT) {
		ch->parts[0] = e->ident.name;
		ch->n = 1;
		return true;
	}
	if (e->kind != CEL_X_SELECT || e->select.test_only || !unfold(e->select.operand, ch) ||
		ch->n == CHAIN_MAX)
		return false;
	ch->parts[ch->n++] = e->select.field;
	return true;
}

static str prefix(struct compiler *c, const struct chain *ch, size_t n)
{
	struct buf b = BUF_INIT(CEL_TEXT_MAX);
	str s;

	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_addc(&b, '.');
		buf_add_str(&b, ch->parts[i]);
	}
	s = arena_str(c->a, buf_str(&b));
	c->failed |= !s.ptr || b.failed;
	buf_fini(&b);
	return s;
}

static void add_alternatives(struct compiler *c, const struct cel_expr *e, struct resolution *r, struct alternative *alt,
							 str name, size_t n_fields, size_t max)
{
	struct cel_value v;
	const struct cel_type *type;
	str full;

	for (size_t i = 0; r->n + 2 <= max && cel_env_candidate(c->a, c->env, name, i, &full); i++) {
		alt[r->n++] = (struct alternative){ slot_of(c, e, full), false, n_fields };
		if (cel_env_constant(c->a, c->env, full, &v, &type))
			alt[r->n++] = (struct alternative){ cc_constant(c, v), true, n_fields };
	}
}

static uint32_t resolve(struct compiler *c, const struct cel_expr *e, const struct chain *ch)
{
	enum { MAX = 256 };
	struct resolution *r = ARENA_NEW(c->a, struct resolution);
	struct alternative *alt = ARENA_ARRAY(c->a, MAX, struct alternative);
	struct key *fields = ARENA_ARRAY(c->a, ch->n, struct key);
	uint32_t dst;

	if (!r || !alt || !fields) {
		c->failed = true;
		return REG_CONST;
	}
	*r = (struct resolution){ .name = prefix(c, ch, ch->n), .alternatives = alt, .fields = fields, .n_fields = ch->n - 1 };
	for (size_t i = 1; i < ch->n; i++)
		fields[i - 1] = (struct key){ cel_of_str(ch->parts[i]), cel_key_hash(cel_of_str(ch->parts[i])), false };
	for (size_t n = ch->n; n; n--)
		add_alternatives(c, e, r, alt, prefix(c, ch, n), ch->n - n, MAX);
	if (r->n == 1 && !alt[0].is_constant && ch->n == 1) {
		c->pending++;
		return alt[0].reg;
	}
	dst = cc_temp(c);
	cc_at(c, cc_emit(c, op_resolve, e, dst, 0, 0, (uint32_t)ch->n))->p = r;
	return dst;
}

bool cc_chain(struct compiler *c, const struct cel_expr *e, uint32_t *ret_reg)
{
	struct chain ch;
	uint32_t reg;

	if (!unfold(e, &ch) || local(c, ch.parts[0], &reg))
		return false;
	*ret_reg = resolve(c, e, &ch);
	return true;
}

uint32_t cc_name(struct compiler *c, const struct cel_expr *e)
{
	struct chain ch = { .n = 1 };
	str name = e->ident.name;
	uint32_t reg;

	if (e->ident.is_constant)
		return cc_constant(c, e->ident.value);
	if (local(c, name, &reg)) {
		c->pending++;
		return reg;
	}
	if (!c->ast->checked) {
		ch.parts[0] = name;
		return resolve(c, e, &ch);
	}
	c->pending++;
	return slot_of(c, e, name.len && name.ptr[0] == '.' ? str_sub(name, 1, name.len) : name);
}

/* --- overloads --- */

static uint32_t mask_of(const struct cel_type *t)
{
	static const uint32_t all = (1u << CEL_ERROR) - 1;

	switch (t->kind) {
	case CEL_T_NULL: return 1u << CEL_NULL;
	case CEL_T_BOOL: return 1u << CEL_BOOL;
	case CEL_T_INT: return 1u << CEL_INT;
	case CEL_T_UINT: return 1u << CEL_UINT;
	case CEL_T_DOUBLE: return 1u << CEL_DOUBLE;
	case CEL_T_STRING: return 1u << CEL_STRING;
	case CEL_T_BYTES: return 1u << CEL_BYTES;
	case CEL_T_TIMESTAMP: return 1u << CEL_TIMESTAMP;
	case CEL_T_DURATION: return 1u << CEL_DURATION;
	case CEL_T_LIST: return 1u << CEL_LIST;
	case CEL_T_MAP: return 1u << CEL_MAP;
	case CEL_T_TYPE: return 1u << CEL_TYPE;
	case CEL_T_OPTIONAL: return 1u << CEL_OPTIONAL;
	case CEL_T_MESSAGE: return 1u << CEL_MESSAGE;
	case CEL_T_ENUM: /* strong */
	case CEL_T_OPAQUE: return 1u << CEL_OPAQUE;
	case CEL_T_WRAPPER: return t->n_params ? mask_of(t->params[0]) | 1u << CEL_NULL : all;
	default: return all;
	}
}

static bool make_candidate(struct compiler *c, const struct cel_overload *o, struct candidate *ret)
{
	uint32_t *masks = ARENA_ARRAY(c->a, o->n_params + 1, uint32_t);
	const struct cel_type **opaque = NULL;

	if (!masks)
		return false;
	for (size_t i = 0; i < o->n_params; i++) {
		masks[i] = mask_of(o->params[i]);
		if (o->params[i]->kind != CEL_T_OPAQUE)
			continue;
		if (!opaque && !(opaque = ARENA_ARRAY(c->a, o->n_params, const struct cel_type *)))
			return false;
		opaque[i] = o->params[i];
	}
	*ret = (struct candidate){ o->decl, masks, opaque };
	return true;
}

/* The checker sees ints where there are strong enums at run time: overloads for those are always tried. */
static bool takes_enum(const struct cel_overload *o)
{
	for (size_t i = 0; i < o->n_params; i++)
		if (o->params[i]->kind == CEL_T_ENUM)
			return true;
	return false;
}

const struct call_site *cc_site(struct compiler *c, const struct cel_expr *e, str name, bool member, size_t n)
{
	struct call_site *s = ARENA_NEW(c->a, struct call_site);
	const struct cel_overload *first = cel_env_overloads(c->env, name);
	struct candidate *list;
	size_t count = 0;

	for (const struct cel_overload *o = first; o; o = o->next)
		count++;
	list = ARENA_ARRAY(c->a, count + 1, struct candidate);
	if (!s || !list) {
		c->failed = true;
		return NULL;
	}
	*s = (struct call_site){ .name = name, .candidates = list, .declared = first };
	for (const struct cel_overload *o = first; o; o = o->next) {
		bool chosen = !c->ast->checked || !e->call.n_overloads || takes_enum(o);

		for (size_t i = 0; i < e->call.n_overloads && !chosen; i++)
			chosen = e->call.overloads[i] == o;
		if (chosen && o->decl->fn && o->member == member && o->n_params == n && !make_candidate(c, o, &list[s->n++]))
			c->failed = true;
	}
	return s;
}

const struct call_site *cc_operator_site(struct compiler *c, const struct cel_expr *e)
{
	for (const struct cel_overload *o = cel_env_overloads(c->env, e->call.function); o; o = o->next)
		if (o->decl->fn)
			return cc_site(c, e, e->call.function, false, e->call.n);
	return NULL;
}

/* --- calls --- */

/* strings.quote(x): a call whose target is a namespace, not a value. Its full name in *ret. */
static bool namespaced(struct compiler *c, const struct cel_expr *e, str *ret)
{
	struct chain ch;
	uint32_t reg;
	str name, full;

	if (c->ast->checked || !unfold(e->call.target, &ch) || ch.n == CHAIN_MAX || local(c, ch.parts[0], &reg))
		return false;
	ch.parts[ch.n++] = e->call.function;
	name = prefix(c, &ch, ch.n);
	for (size_t i = 0; !c->failed && cel_env_candidate(c->a, c->env, name, i, &full); i++)
		if (cel_env_overloads(c->env, full)) {
			*ret = full;
			return true;
		}
	return false;
}

static str global_name(struct compiler *c, str name)
{
	str full;

	if (c->ast->checked)
		return name;
	for (size_t i = 0; !c->failed && cel_env_candidate(c->a, c->env, name, i, &full); i++)
		if (cel_env_overloads(c->env, full))
			return full;
	return name;
}

static uint32_t function(struct compiler *c, const struct cel_expr *e)
{
	uint32_t top = c->top, first = top + 1, at, dst;
	bool member = e->call.target;
	str name = e->call.function;
	size_t n;

	if (member && namespaced(c, e, &name))
		member = false;
	else if (!member)
		name = global_name(c, name);
	n = e->call.n + member;
	for (size_t i = 0; i < n; i++)
		cc_temp(c);
	for (size_t i = 0; i < n; i++) {
		uint32_t in = c->top, reg = cc_expr(c, member && !i ? e->call.target : e->call.args[i - member]);

		c->top = in;
		cc_emit(c, op_move, e, first + (uint32_t)i, reg, 0, 0);
	}
	c->top = top;
	dst = cc_temp(c);
	at = cc_emit(c, op_call, e, dst, first, 0, 1);
	cc_at(c, at)->n = (uint32_t)n;
	cc_at(c, at)->p = cc_site(c, e, name, member, n);
	return dst;
}

static void free_regex(void *r)
{
	regex_free(r);
}

/* matches() with a literal pattern that compiles: once, here. */
static bool literal_matches(struct compiler *c, const struct cel_expr *e, uint32_t *ret)
{
	const struct cel_expr *text, *pattern;
	struct regex *r;
	uint32_t top = c->top, reg;

	if (!str_eqz(e->call.function, "matches") || e->call.n + (e->call.target != NULL) != 2)
		return false;
	text = e->call.target ? e->call.target : e->call.args[0];
	pattern = e->call.args[e->call.n - 1];
	if (pattern->kind != CEL_X_CONST || pattern->constant.kind != CEL_STRING || c->regexes == REGEXES_MAX ||
		regex_new(cel_str(pattern->constant), CEL_REGEX_BYTES_MAX, &r, NULL))
		return false;
	if (!arena_at_end(c->a, free_regex, r)) {
		regex_free(r);
		c->failed = true;
		return false;
	}
	c->regexes++;
	reg = cc_expr(c, text);
	c->top = top;
	*ret = cc_temp(c);
	cc_at(c, cc_emit(c, op_matches, e, *ret, reg, cc_constant(c, pattern->constant), 1))->p = r;
	return true;
}

static uint32_t logic(struct compiler *c, const struct cel_expr *e, op_fn *left, op_fn *right)
{
	uint32_t dst = cc_temp(c), reg = cc_expr(c, e->call.args[0]), at;

	at = cc_emit(c, left, e, dst, reg, 0, 0);
	c->top = dst;
	reg = cc_expr(c, e->call.args[1]);
	cc_emit(c, right, e, dst, dst, reg, 0);
	cc_land(c, at);
	c->top = dst;
	return dst;
}

static uint32_t conditional(struct compiler *c, const struct cel_expr *e)
{
	uint32_t dst = cc_temp(c), reg = cc_expr(c, e->call.args[0]), test, jump;

	test = cc_emit(c, op_condition, e, dst, reg, 0, 0);
	c->top = dst;
	reg = cc_expr(c, e->call.args[1]);
	cc_emit(c, op_move, e, dst, reg, 0, 0);
	jump = cc_emit(c, op_jump, e, 0, 0, 0, 0);
	cc_land(c, test);
	c->top = dst;
	reg = cc_expr(c, e->call.args[2]);
	cc_emit(c, op_move, e, dst, reg, 0, 0);
	cc_land(c, jump);
	cc_at(c, test)->n = (uint32_t)c->n_code;
	c->top = dst;
	return dst;
}

/* a.or(b), a.orValue(b): b only when a is none. */
static uint32_t alternative(struct compiler *c, const struct cel_expr *e, op_fn *test)
{
	uint32_t dst = cc_temp(c), reg = cc_expr(c, e->call.target), at = cc_emit(c, test, e, dst, reg, 0, 1);

	c->top = dst;
	reg = cc_expr(c, e->call.args[0]);
	cc_emit(c, op_move, e, dst, reg, 0, 0);
	cc_land(c, at);
	c->top = dst;
	return dst;
}

static bool is_alternative(const struct compiler *c, const struct cel_expr *e, const char *name)
{
	const struct cel_overload *o;

	if (!e->call.target || e->call.n != 1 || !str_eqz(e->call.function, name))
		return false;
	o = cel_env_overloads(c->env, e->call.function);
	return o && !o->decl->fn;
}

/* cel.@block([a, b], body): body sees them as @index0, @index1, and each sees those before it. */
static uint32_t block(struct compiler *c, const struct cel_expr *e)
{
	const struct cel_expr *items = e->call.args[0];
	const struct scope *outer = c->scope;
	struct scope *s = ARENA_ARRAY(c->a, items->list.n + 1, struct scope);
	uint32_t dst = cc_temp(c), reg;

	if (!s) {
		c->failed = true;
		return REG_CONST;
	}
	for (size_t i = 0; i < items->list.n; i++) {
		uint32_t slot = cc_temp(c);
		const char *name = arena_printf(c->a, "@index%zu", i);

		reg = cc_expr(c, items->list.items[i]);
		cc_emit(c, op_move, items->list.items[i], slot, reg, 0, 0);
		c->top = slot;
		c->failed |= !name;
		s[i] = (struct scope){ str_z(name), slot, c->scope };
		c->scope = &s[i];
	}
	reg = cc_expr(c, e->call.args[1]);
	cc_emit(c, op_move, e, dst, reg, 0, 0);
	c->scope = outer;
	c->top = dst;
	return dst;
}

/* --- operators --- */

static const struct operator
{
	const char *name;
	op_fn *fn;
	uint8_t n;
}
operators[] = {
	{ "_+_", op_add, 2 },
	{ "_-_", op_subtract, 2 },
	{ "_*_", op_multiply, 2 },
	{ "_/_", op_divide, 2 },
	{ "_%_", op_modulo, 2 },
	{ "_==_", op_equal, 2 },
	{ "_!=_", op_not_equal, 2 },
	{ "_<_", op_less, 2 },
	{ "_<=_", op_less_equal, 2 },
	{ "_>_", op_greater, 2 },
	{ "_>=_", op_greater_equal, 2 },
	{ "_[_]", op_index, 2 },
	{ "_[?_]", op_index_optional, 2 },
	{ "_?._", op_index_optional, 2 },
	{ "@in", op_in, 2 },
	{ "!_", op_not, 1 },
	{ "-_", op_negate, 1 },
	{ "@not_strictly_false", op_not_strictly_false, 1 },
};

/* A list of constants that are keys: a set, looked up rather than searched. */
static const struct cel_map *set_of(struct compiler *c, uint32_t reg)
{
	enum { WORTH_IT = 4 };
	struct cel_value v, set;

	if (!cc_is_constant(c, reg, &v) || v.kind != CEL_LIST || v.list->n < WORTH_IT)
		return NULL;
	for (size_t i = 0; i < v.list->n; i++)
		if (v.list->items[i].kind != CEL_STRING && v.list->items[i].kind != CEL_INT)
			return NULL;
	set = cel_of_map(c->a, v.list->items, v.list->items, v.list->n);
	return set.kind == CEL_MAP ? set.map : NULL;
}

static bool is_access(op_fn *fn)
{
	return fn == op_index || fn == op_index_optional;
}

static uint32_t operation(struct compiler *c, const struct cel_expr *e, const struct operator* op)
{
	uint32_t top = c->top, a = cc_expr(c, e->call.args[0]), b = 0, dst;
	op_fn *fn = op->fn;
	const void *p = NULL;
	struct cel_value key;
	const struct cel_map *set;

	/* an operand in a temporary of its own stays in use while the other one is made */
	if (op->n == 2)
		b = cc_expr(c, e->call.args[1]);
	c->top = top;
	dst = cc_temp(c);
	if (is_access(fn) && cc_is_constant(c, b, &key) && key.kind == CEL_STRING) {
		fn = fn == op_index ? op_field : op_field_optional;
		p = cc_key(c, key, !str_eqz(e->call.function, "_?._"));
		b = fn == op_field ? cc_state(c) : 0;
	} else if (fn == op_in && (set = set_of(c, b))) {
		fn = op_in_set;
		p = set;
	} else if (op->n == 2 && !is_access(fn) && fn != op_in && fn != op_equal && fn != op_not_equal) {
		p = cc_operator_site(c, e);
	}
	cc_at(c, cc_emit(c, fn, e, dst, a, b, 1))->p = p;
	return dst;
}

uint32_t cc_call(struct compiler *c, const struct cel_expr *e)
{
	uint32_t reg;

	if (cc_is_call(e, "_&&_", 2))
		return logic(c, e, op_and_left, op_and_right);
	if (cc_is_call(e, "_||_", 2))
		return logic(c, e, op_or_left, op_or_right);
	if (cc_is_call(e, "_?_:_", 3))
		return conditional(c, e);
	if (cc_is_call(e, "cel.@block", 2) && e->call.args[0]->kind == CEL_X_LIST)
		return block(c, e);
	for (size_t i = 0; i < ARRAY_SIZE(operators); i++)
		if (cc_is_call(e, operators[i].name, operators[i].n))
			return operation(c, e, &operators[i]);
	if (is_alternative(c, e, "orValue"))
		return alternative(c, e, op_or_value);
	if (is_alternative(c, e, "or"))
		return alternative(c, e, op_or_optional);
	if (literal_matches(c, e, &reg))
		return reg;
	return function(c, e);
}
