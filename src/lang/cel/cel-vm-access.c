/* cel-vm-access.c - the machine's instructions that look into values: fields, has(), indexes, `in`, optionals, names that are
 * resolved at run time.
 *
 * A field or index of an optional value is an optional again: none stays none. */
#include "base/base.h"
#include "lang/cel/cel-program.h"

#include "lang/cel/cel-message.h"

struct cel_value vm_some(struct vm *v, struct cel_value x)
{
	struct cel_value *box = ARENA_NEW(v->call.arena, struct cel_value);

	if (!box)
		return cel_error_value(v->call.arena, "out of memory");
	*box = x;
	return (struct cel_value){ .kind = CEL_OPTIONAL, .opt = box };
}

static struct cel_value none(void)
{
	return (struct cel_value){ .kind = CEL_OPTIONAL };
}

static struct cel_value no_such_key(struct vm *v, struct cel_value key)
{
	struct buf b = BUF_INIT(200);
	struct cel_value e;

	cel_print(key, &b);
	e = cel_error_value(v->call.arena, "no such key: %s", b.failed ? "(long)" : buf_z(&b));
	buf_fini(&b);
	return e;
}

/* --- fields --- */

/* 1: found, in *ret; 0: absent; -1: an error, in *ret. `present`: only what has() would see. */
static int look_field(struct vm *v, struct cel_value from, const struct key *k, bool present, struct cel_value *ret)
{
	const struct cel_value *at;
	const struct cel_field *f;

	if (from.kind == CEL_MAP) {
		if (!(at = cel_map_get_hashed(from.map, k->key, k->hash)))
			return 0;
		*ret = *at;
		return 1;
	}
	if (from.kind == CEL_MESSAGE && !k->index) {
		f = cel_message_field(cel_message_type_of(from.msg), cel_str(k->key));
		if (!f) {
			*ret = cel_error_value(v->call.arena, "no such field '%.*s'", STR_ARG(cel_str(k->key)));
			return -1;
		}
		if (present && !cel_message_has(from.msg, f))
			return 0;
		*ret = cel_message_get(v->call.arena, from.msg, f);
		return ret->kind == CEL_ERROR ? -1 : 1;
	}
	*ret = cel_error_value(v->call.arena, k->index ? "type '%s' cannot be indexed by text" : "type '%s' has no fields",
						   cel_kind_name(from));
	return -1;
}

struct cel_value vm_field_optional(struct vm *v, struct cel_value from, const struct key *k)
{
	struct cel_value x;
	int found;

	if (from.kind == CEL_OPTIONAL && !from.opt)
		return from;
	found = look_field(v, from.kind == CEL_OPTIONAL ? *from.opt : from, k, true, &x);
	return found > 0 ? vm_some(v, x) : found ? x : none();
}

struct cel_value vm_field(struct vm *v, struct cel_value from, const struct key *k)
{
	struct cel_value x;

	if (from.kind == CEL_OPTIONAL)
		return vm_field_optional(v, from, k);
	return look_field(v, from, k, false, &x) ? x : no_such_key(v, k->key);
}

static COLD const struct ins *field_slowly(struct vm *v, const struct ins *i, const struct key *k)
{
	struct cel_value from = v->r[i->a];

	return vm_set(v, i, cel_is_bad(from) ? from : vm_field(v, from, k));
}

/* b is a register of this instruction's own: where the key stood last time. Records of a list have their keys in one order. */
const struct ins *op_field(struct vm *v, const struct ins *i)
{
	struct cel_value from = v->r[i->a];
	const struct key *k = i->p;
	const struct cel_value *at;
	uint64_t hint = v->r[i->b].u;

	if (from.kind == CEL_MAP) {
		if (hint < from.map->n && from.map->keys[hint].kind == CEL_STRING && cel_same_text(from.map->keys[hint], k->key)) {
			v->r[i->dst] = from.map->values[hint];
			return i + 1;
		}
		if ((at = cel_map_get_hashed(from.map, k->key, k->hash))) {
			v->r[i->b].u = (uint64_t)(at - from.map->values);
			v->r[i->dst] = *at;
			return i + 1;
		}
	}
	return field_slowly(v, i, k);
}

const struct ins *op_field_optional(struct vm *v, const struct ins *i)
{
	struct cel_value from = v->r[i->a];

	return vm_set(v, i, cel_is_bad(from) ? from : vm_field_optional(v, from, i->p));
}

const struct ins *op_has(struct vm *v, const struct ins *i)
{
	struct cel_value from = v->r[i->a], x;
	int found;

	if (cel_is_bad(from))
		return vm_set(v, i, from);
	if (from.kind == CEL_OPTIONAL && !from.opt)
		return vm_set(v, i, cel_of_bool(false));
	found = look_field(v, from.kind == CEL_OPTIONAL ? *from.opt : from, i->p, true, &x);
	return vm_set(v, i, found < 0 ? x : cel_of_bool(found));
}

/* --- indexes --- */

static bool whole_number(struct cel_value k, int64_t *ret)
{
	if (k.kind == CEL_INT)
		*ret = k.i;
	else if (k.kind == CEL_UINT && k.u <= INT64_MAX)
		*ret = (int64_t)k.u;
	else if (k.kind == CEL_DOUBLE && k.d == trunc(k.d) && fabs(k.d) < 0x1p63)
		*ret = (int64_t)k.d;
	else
		return false;
	return true;
}

/* As look_field, by any key. */
static int look_index(struct vm *v, struct cel_value from, struct cel_value key, struct cel_value *ret)
{
	const struct cel_value *at;
	int64_t n;

	if (from.kind == CEL_MAP) {
		if (!(at = cel_map_get(from.map, key)))
			return 0;
		*ret = *at;
		return 1;
	}
	if (from.kind != CEL_LIST) {
		*ret = cel_no_overload(v->call.arena, STR("_[_]"), (const struct cel_value[]){ from, key }, 2);
		return -1;
	}
	if (!whole_number(key, &n)) {
		*ret = cel_error_value(v->call.arena, "unsupported index of a list: %s", cel_kind_name(key));
		return -1;
	}
	if (n < 0 || (uint64_t)n >= from.list->n)
		return 0;
	*ret = from.list->items[n];
	return 1;
}

static struct cel_value index_optional(struct vm *v, struct cel_value from, struct cel_value key)
{
	struct cel_value x;
	int found;

	if (from.kind == CEL_OPTIONAL && !from.opt)
		return from;
	found = look_index(v, from.kind == CEL_OPTIONAL ? *from.opt : from, key, &x);
	return found > 0 ? vm_some(v, x) : found ? x : none();
}

static struct cel_value index_of(struct vm *v, struct cel_value from, struct cel_value key)
{
	struct cel_value x;

	if (from.kind == CEL_OPTIONAL)
		return index_optional(v, from, key);
	if (look_index(v, from, key, &x))
		return x;
	if (from.kind == CEL_MAP)
		return no_such_key(v, key);
	return cel_error_value(v->call.arena, "index out of bounds: a list of %zu items has none at that index", from.list->n);
}

static bool both_good(struct vm *v, const struct ins *i, struct cel_value a, struct cel_value b)
{
	if (!cel_is_bad(a) && !cel_is_bad(b))
		return true;
	vm_set(v, i, !cel_is_bad(a) ? b : !cel_is_bad(b) ? a : cel_merge_bad(v->call.arena, a, b));
	return false;
}

const struct ins *op_index(struct vm *v, const struct ins *i)
{
	struct cel_value from = v->r[i->a], key = v->r[i->b];

	return both_good(v, i, from, key) ? vm_set(v, i, index_of(v, from, key)) : i + 1;
}

const struct ins *op_index_optional(struct vm *v, const struct ins *i)
{
	struct cel_value from = v->r[i->a], key = v->r[i->b];

	return both_good(v, i, from, key) ? vm_set(v, i, index_optional(v, from, key)) : i + 1;
}

/* --- in --- */

static bool list_has(const struct cel_list *l, struct cel_value x, uint64_t *work)
{
	if (x.kind == CEL_STRING) {
		for (size_t i = 0; i < l->n; i++)
			if (l->items[i].len == x.len && l->items[i].kind == CEL_STRING && cel_same_bytes(l->items[i].s, x.s, x.len))
				return true;
		return false;
	}
	for (size_t i = 0; i < l->n && *work; i++)
		if (cel_equal_work(l->items[i], x, work))
			return true;
	return false;
}

const struct ins *op_in(struct vm *v, const struct ins *i)
{
	struct cel_value x = v->r[i->a], in = v->r[i->b];
	bool is;

	if (!both_good(v, i, x, in))
		return i + 1;
	if (in.kind == CEL_MAP) {
		v->r[i->dst] = vm_bools[!!(cel_map_get(in.map, x))];
		return i + 1;
	}
	if (in.kind != CEL_LIST)
		return vm_set(v, i, cel_no_overload(v->call.arena, STR("@in"), (const struct cel_value[]){ x, in }, 2));
	is = list_has(in.list, x, &v->call.work);
	v->cost += in.list->n;
	v->r[i->dst] = vm_bools[!!(is)];
	return v->cost > v->cost_max || !v->call.work ? vm_over(v) : i + 1;
}

static bool set_has(const struct cel_map *set, struct cel_value x)
{
	if (set->index || x.kind != CEL_STRING)
		return cel_map_get(set, x);
	for (size_t i = 0; i < set->n; i++)
		if (set->keys[i].len == x.len && set->keys[i].kind == CEL_STRING && cel_same_bytes(set->keys[i].s, x.s, x.len))
			return true;
	return false;
}

/* In a list of constants: p is a map with its items as keys. */
const struct ins *op_in_set(struct vm *v, const struct ins *i)
{
	struct cel_value x = v->r[i->a];

	if (cel_is_bad(x))
		return vm_set(v, i, x);
	v->cost += v->r[i->b].list->n;
	v->r[i->dst] = vm_bools[set_has(i->p, x)];
	return i + 1;
}

/* --- optionals --- */

/* x.orValue(y): some goes to `to` with its value, none goes on to y. */
const struct ins *op_or_value(struct vm *v, const struct ins *i)
{
	struct cel_value x = v->r[i->a];

	if (x.kind == CEL_OPTIONAL && !x.opt)
		return i + 1;
	vm_set(v, i, x.kind == CEL_OPTIONAL ? *x.opt : cel_is_bad(x) ? x : cel_no_overload(v->call.arena, STR("orValue"), &x, 1));
	return vm_jump(v, i->to);
}

const struct ins *op_or_optional(struct vm *v, const struct ins *i)
{
	struct cel_value x = v->r[i->a];

	if (x.kind == CEL_OPTIONAL && !x.opt)
		return i + 1;
	vm_set(v, i, x.kind == CEL_OPTIONAL || cel_is_bad(x) ? x : cel_no_overload(v->call.arena, STR("or"), &x, 1));
	return vm_jump(v, i->to);
}

/* --- names of unchecked expressions --- */

static bool is_absent(const struct vm *v, uint32_t reg)
{
	uint32_t slot = reg - v->p->n_constants;

	return v->r[reg].kind == CEL_ERROR && v->r[reg].error == v->p->absent[slot].error;
}

const struct ins *op_resolve(struct vm *v, const struct ins *i)
{
	const struct resolution *s = i->p;

	for (size_t k = 0; k < s->n; k++) {
		const struct alternative *alt = &s->alternatives[k];
		struct cel_value x;

		if (!alt->is_constant && is_absent(v, alt->reg))
			continue;
		x = v->r[alt->reg];
		for (size_t f = s->n_fields - alt->n_fields; f < s->n_fields && !cel_is_bad(x); f++)
			x = vm_field(v, x, &s->fields[f]);
		return vm_set(v, i, x);
	}
	return vm_set(v, i, cel_error_value(v->call.arena, "undeclared reference to '%.*s'", STR_ARG(s->name)));
}
