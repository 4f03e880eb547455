/* cel-vm-fold.c - the machine's instructions for comprehensions: all, exists, exists_one, map, filter and transformMap directly,
 * any other by its parts.
 *
 * A loop's state stands in vm.loops; its accumulator is a register that holds a bad value as soon as something went wrong. */
#include "base/base.h"
#include "lang/cel/cel-program.h"

enum { WANTS_OUT = 1, WANTS_OUT_KEYS = 2 }; /* b of op_loop_begin */

/* Starts loop n over register a. What cannot be iterated is the result (dst) and goes to `to`. */
const struct ins *op_loop_begin(struct vm *v, const struct ins *i)
{
	struct cel_value range = v->r[i->a];
	struct loop *l = &v->loops[i->n];
	uintptr_t wants = (uintptr_t)i->p;

	if (range.kind == CEL_LIST) {
		*l = (struct loop){ .values = range.list->items, .n = range.list->n };
	} else if (range.kind == CEL_MAP) {
		*l = (struct loop){ .keys = range.map->keys, .values = range.map->values, .n = range.map->n };
	} else {
		vm_set(v, i, cel_is_bad(range) ? range : cel_error_value(v->call.arena, "cannot iterate over %s", cel_kind_name(range)));
		return vm_jump(v, i->to);
	}
	if (wants && l->n && !(l->out = ARENA_ARRAY(v->call.arena, l->n, struct cel_value)))
		return vm_over(v);
	if ((wants & WANTS_OUT_KEYS) && l->n && !(l->out_keys = ARENA_ARRAY(v->call.arena, l->n, struct cel_value)))
		return vm_over(v);
	l->cap = wants ? l->n : 0;
	return i + 1;
}

/* The next item: one variable (dst) is an item or a key; with a second (b not 0) they are index or key, and value. */
const struct ins *op_loop_next(struct vm *v, const struct ins *i)
{
	struct loop *l = &v->loops[i->n];

	if (l->i == l->n) {
		v->cost -= i->cost;
		return vm_jump(v, i->to);
	}
	if (v->cost > v->cost_max)
		return vm_over(v);
	if (i->b) {
		v->r[i->dst] = l->keys ? l->keys[l->i] : cel_of_int((int64_t)l->i);
		v->r[i->b] = l->values[l->i];
	} else {
		v->r[i->dst] = l->keys ? l->keys[l->i] : l->values[l->i];
	}
	l->i++;
	return i + 1;
}

/* The end of a turn: the next one begins here and now. */
static inline const struct ins *next_turn(struct vm *v, const struct ins *i)
{
	i = vm_jump(v, i->to);
	v->cost += i->cost;
	return op_loop_next(v, i);
}

static COLD struct cel_value combine(struct vm *v, const struct ins *i, struct cel_value acc, struct cel_value x, const char *op)
{
	if (!cel_is_bad(x))
		x = vm_place(v, i, cel_no_overload(v->call.arena, str_z(op), &x, 1));
	return cel_is_bad(acc) ? cel_merge_bad(v->call.arena, acc, x) : x;
}

/* dst: so far; a: the predicate; goes back to `to` unless it is decided. */
const struct ins *op_all_step(struct vm *v, const struct ins *i)
{
	struct cel_value x = v->r[i->a];

	if (x.kind != CEL_BOOL) {
		v->r[i->dst] = combine(v, i, v->r[i->dst], x, "_&&_");
	} else if (!x.b) {
		v->r[i->dst] = x;
		return i + 1;
	}
	return next_turn(v, i);
}

const struct ins *op_exists_step(struct vm *v, const struct ins *i)
{
	struct cel_value x = v->r[i->a];

	if (x.kind != CEL_BOOL) {
		v->r[i->dst] = combine(v, i, v->r[i->dst], x, "_||_");
	} else if (x.b) {
		v->r[i->dst] = x;
		return i + 1;
	}
	return next_turn(v, i);
}

const struct ins *op_one_step(struct vm *v, const struct ins *i)
{
	struct cel_value x = v->r[i->a];

	if (x.kind != CEL_BOOL)
		v->r[i->dst] = combine(v, i, v->r[i->dst], x, "_?_:_");
	else if (x.b && v->r[i->dst].kind == CEL_INT)
		v->r[i->dst].i++;
	return next_turn(v, i);
}

const struct ins *op_one_end(struct vm *v, const struct ins *i)
{
	struct cel_value n = v->r[i->a];

	return vm_set(v, i, cel_is_bad(n) ? n : cel_of_bool(n.i == 1));
}

/* The condition (a) of a filter: true goes on, else back to `to`; a bad one spoils the result (dst). */
const struct ins *op_filter(struct vm *v, const struct ins *i)
{
	struct cel_value x = v->r[i->a];

	if (x.kind == CEL_BOOL)
		return x.b ? i + 1 : next_turn(v, i);
	v->r[i->dst] = combine(v, i, v->r[i->dst], x, "_?_:_");
	return next_turn(v, i);
}

const struct ins *op_append(struct vm *v, const struct ins *i)
{
	struct loop *l = &v->loops[i->n];
	struct cel_value x = v->r[i->a];

	if (cel_is_bad(x))
		v->r[i->dst] = cel_is_bad(v->r[i->dst]) ? cel_merge_bad(v->call.arena, v->r[i->dst], x) : x;
	else if (l->n_out < l->cap)
		l->out[l->n_out++] = x;
	return next_turn(v, i);
}

/* filter(): condition and item in one. */
const struct ins *op_filter_step(struct vm *v, const struct ins *i)
{
	struct cel_value x = v->r[i->a];
	struct loop *l = &v->loops[i->n];

	if (x.kind != CEL_BOOL)
		v->r[i->dst] = combine(v, i, v->r[i->dst], x, "_?_:_");
	else if (x.b)
		l->out[l->n_out++] = v->r[i->b];
	return next_turn(v, i);
}

const struct ins *op_list_end(struct vm *v, const struct ins *i)
{
	struct loop *l = &v->loops[i->n];

	if (cel_is_bad(v->r[i->a]))
		return vm_set(v, i, v->r[i->a]);
	return vm_set(v, i, cel_list_adopt(v->call.arena, l->out, l->n_out));
}

const struct ins *op_map_insert(struct vm *v, const struct ins *i)
{
	struct loop *l = &v->loops[i->n];
	struct cel_value k = v->r[i->a], x = v->r[i->b];

	if (cel_is_bad(k) || cel_is_bad(x)) {
		x = !cel_is_bad(k) ? x : !cel_is_bad(x) ? k : cel_merge_bad(v->call.arena, k, x);
		v->r[i->dst] = cel_is_bad(v->r[i->dst]) ? cel_merge_bad(v->call.arena, v->r[i->dst], x) : x;
	} else if (l->n_out < l->cap) {
		l->out_keys[l->n_out] = k;
		l->out[l->n_out++] = x;
	}
	return next_turn(v, i);
}

static bool make_room(struct vm *v, struct loop *l, size_t more)
{
	size_t cap = l->cap * 2 > l->n_out + more ? l->cap * 2 : l->n_out + more;
	struct cel_value *keys, *out;

	if (l->n_out + more <= l->cap)
		return true;
	keys = ARENA_ARRAY(v->call.arena, cap, struct cel_value);
	out = ARENA_ARRAY(v->call.arena, cap, struct cel_value);
	if (!keys || !out)
		return false;
	if (l->n_out) {
		memcpy(keys, l->out_keys, l->n_out * sizeof(*keys));
		memcpy(out, l->out, l->n_out * sizeof(*out));
	}
	l->out_keys = keys;
	l->out = out;
	l->cap = cap;
	return true;
}

/* transformMapEntry: all entries of the map in a. */
const struct ins *op_map_merge(struct vm *v, const struct ins *i)
{
	struct loop *l = &v->loops[i->n];
	struct cel_value x = v->r[i->a];

	if (x.kind != CEL_MAP) {
		v->r[i->dst] = combine(v, i, v->r[i->dst], x, "cel.@mapInsert");
		return next_turn(v, i);
	}
	if (!make_room(v, l, x.map->n))
		return vm_over(v);
	for (size_t k = 0; k < x.map->n; k++) {
		l->out_keys[l->n_out] = x.map->keys[k];
		l->out[l->n_out++] = x.map->values[k];
	}
	v->cost += x.map->n;
	return next_turn(v, i);
}

const struct ins *op_map_end(struct vm *v, const struct ins *i)
{
	struct loop *l = &v->loops[i->n];

	if (cel_is_bad(v->r[i->a]))
		return vm_set(v, i, v->r[i->a]);
	return vm_set(v, i, cel_map_adopt(v->call.arena, l->out_keys, l->out, l->n_out, true));
}

/* Any comprehension's condition: only a plain false ends it. */
const struct ins *op_loop_while(struct vm *v, const struct ins *i)
{
	struct cel_value x = v->r[i->a];

	return x.kind == CEL_BOOL && !x.b ? vm_jump(v, i->to) : i + 1;
}
