/* logic-list.c - iterations (map, filter, all, some, none, reduce), merge, in, missing, missing_some.
 *
 * An iteration pushes a scope: the item is the data, two levels up lies the data around it (see `climb` in logic-eval.c). Lists
 * that are made live in the caller's scratch arena; every item that is looked at costs a step. */
#include "base/base.h"
#include "logic-internal.h"

/* The list of an iteration. COMPAT: what is no list cannot be iterated; absent data counts as an empty list for map, filter and
 * reduce, while a literal null is a mistake, and all, some, none want a list. Else: what is no list is empty. False: failed. */
static bool list_of(struct ev *e, const struct node *n, struct logic_value *ret)
{
	struct logic_value v = n->n ? logic_eval_node(e, &e->nodes[n->first]) : logic_null();
	bool quantifier = n->op == OP_ALL || n->op == OP_SOME || n->op == OP_NONE;

	if (is_failed(v))
		return false;
	*ret = v.kind == LOGIC_ARRAY ? v : logic_array(NULL, 0);
	if (v.kind == LOGIC_ARRAY || e->rule->dialect != LOGIC_COMPAT)
		return true;
	if (v.kind == LOGIC_NULL && !quantifier && (n->op == OP_REDUCE || !(n->flags & NODE_NULL_LIST)))
		return true;
	logic_throw_type(e, n, "Invalid Arguments", "there is no list to iterate");
	return false;
}

static struct logic_value body(struct ev *e, const struct node *n)
{
	return n->n > 1 ? logic_eval_node(e, &e->nodes[n->first + 1]) : logic_null();
}

static struct logic_value make_list(struct ev *e, const struct node *n, struct logic_value list, struct scope *s)
{
	struct logic_value *items = list.len ? logic_take(e, n, list.len * sizeof(*items)) : NULL, v;
	uint32_t kept = 0;

	if (list.len && !items)
		return failed();
	for (uint32_t i = 0; i < list.len; i++) {
		s->data = list.items[i];
		s->index = i;
		if (!logic_charge(e, 1))
			return logic_no_steps(e, n);
		v = body(e, n);
		if (is_failed(v))
			return v;
		if (n->op == OP_MAP)
			items[kept++] = v;
		else if (logic_truthy(v))
			items[kept++] = list.items[i];
	}
	return logic_array(items, kept);
}

static struct logic_value quantify(struct ev *e, const struct node *n, struct logic_value list, struct scope *s)
{
	bool stop_at = n->op != OP_ALL;

	for (uint32_t i = 0; i < list.len; i++) {
		struct logic_value v;

		s->data = list.items[i];
		s->index = i;
		if (!logic_charge(e, 1))
			return logic_no_steps(e, n);
		v = body(e, n);
		if (is_failed(v))
			return v;
		if (logic_truthy(v) == stop_at)
			return logic_bool(n->op == OP_SOME);
	}
	return logic_bool(n->op == OP_NONE || (n->op == OP_ALL && list.len));
}

struct logic_value logic_op_each(struct ev *e, const struct node *n)
{
	struct scope s = { .up = e->scope };
	struct logic_value v;

	if (!list_of(e, n, &s.list))
		return failed();
	if (n->op == OP_MAP && e->rule->dialect == LOGIC_COMPAT && (n->n < 2 || e->nodes[n->first + 1].op == LOGIC_NULL))
		return logic_throw_type(e, n, "Invalid Arguments", "there is nothing to map the items to");
	e->scope = &s;
	v = n->op == OP_MAP || n->op == OP_FILTER ? make_list(e, n, s.list, &s) : quantify(e, n, s.list, &s);
	e->scope = s.up;
	return v;
}

struct logic_value logic_op_reduce(struct ev *e, const struct node *n)
{
	struct logic_pair pairs[] = { { .key = "current", .key_len = 7, .hash = logic_hash("current", 7) },
								  { .key = "accumulator", .key_len = 11, .hash = logic_hash("accumulator", 11) } };
	struct scope s = { .up = e->scope, .borrowed = true, .data = { .kind = LOGIC_OBJECT, .len = 2, .pairs = pairs } };
	struct logic_value v = logic_null();
	uint32_t i = 0;

	if (n->n > 2 && is_failed(v = logic_eval_node(e, &e->nodes[n->first + 2])))
		return v;
	if (!list_of(e, n, &s.list))
		return failed();
	if (n->n < 3 && s.list.len && e->rule->dialect == LOGIC_COMPAT)
		v = s.list.items[i++]; /* without a first value the first item is it */
	e->scope = &s;
	for (; i < s.list.len && !is_failed(v); i++) {
		pairs[0].value = s.list.items[i];
		pairs[1].value = v;
		s.index = i;
		v = logic_charge(e, 1) ? body(e, n) : logic_no_steps(e, n);
	}
	e->scope = s.up;
	return v;
}

/* --- merge --- */

enum { ARGS_ON_STACK = 16 };

/* All arguments evaluated, on the stack when they are few. NULL: failed. */
static const struct logic_value *evaluated(struct ev *e, const struct node *n, const struct args *a, struct logic_value *few)
{
	struct logic_value *v = few;

	if (a->values)
		return a->values;
	if (a->n > ARGS_ON_STACK && !(v = logic_take(e, n, a->n * sizeof(*v))))
		return NULL;
	for (uint32_t i = 0; i < a->n; i++)
		if (is_failed(v[i] = logic_arg(e, a, i)))
			return NULL;
	return v;
}

struct logic_value logic_op_merge(struct ev *e, const struct node *n)
{
	struct logic_value few[ARGS_ON_STACK], *items;
	const struct logic_value *v;
	struct args a;
	size_t total = 0, at = 0;

	if (!logic_args(e, n, &a) || !(v = evaluated(e, n, &a, few)))
		return failed();
	for (uint32_t i = 0; i < a.n; i++)
		total += v[i].kind == LOGIC_ARRAY ? v[i].len : 1;
	if (!logic_charge(e, total))
		return logic_no_steps(e, n);
	if (!total)
		return logic_array(NULL, 0);
	items = logic_take(e, n, total * sizeof(*items));
	if (!items)
		return failed();
	for (uint32_t i = 0; i < a.n; i++) {
		if (v[i].kind != LOGIC_ARRAY)
			items[at++] = v[i];
		else if (v[i].len)
			memcpy(items + at, v[i].items, v[i].len * sizeof(*items)), at += v[i].len;
	}
	return logic_array(items, total);
}

/* --- in --- */

static bool in_prepared(const struct node *list, const union table *t, struct logic_value needle)
{
	uint32_t hash = logic_hash(needle.s, needle.len), low = 0, high = t->set.n;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (t->set.members[mid].hash < hash)
			low = mid + 1;
		else
			high = mid;
	}
	for (; low < t->set.n && t->set.members[low].hash == hash; low++) {
		const struct logic_value *item = &list->k.items[t->set.members[low].item];

		if (item->len == needle.len && logic_bytes_equal(item->s, needle.s, needle.len))
			return true;
	}
	return false;
}

static struct logic_value in_list(struct ev *e, const struct node *n, struct logic_value needle, struct logic_value list)
{
	bool found = false;

	if (!logic_charge(e, list.len))
		return logic_no_steps(e, n);
	for (uint32_t i = 0; i < list.len && !found && !e->fatal; i++) {
		const struct logic_value *item = &list.items[i];

		found = item->kind == needle.kind && logic_same(e, needle, *item, 0);
	}
	if (e->fatal) {
		e->at = n;
		e->at_rule = e->rule;
		return failed();
	}
	return logic_bool(found);
}

static struct logic_value in_text(struct ev *e, const struct node *n, struct logic_value needle, struct logic_value text)
{
	char number[LOGIC_NUMBER_BYTES];

	if (!text.len) /* nothing is in an empty text, not even an empty one */
		return logic_bool(false);
	if (needle.kind == LOGIC_NUMBER)
		needle = logic_string(str_n(number, logic_number_text(needle.n, number)));
	else if (needle.kind == LOGIC_NULL)
		needle = logic_string(STR("null"));
	else if (needle.kind != LOGIC_STRING)
		needle = logic_text_of(e, n, needle);
	if (is_failed(needle))
		return needle;
	if (!logic_charge(e, text.len / 64))
		return logic_no_steps(e, n);
	return logic_bool(!needle.len || memmem(text.s, text.len, needle.s, needle.len));
}

/* The usual case: a short text in a list, both at hand. */
static bool in_plain(const struct logic_value *needle, const struct logic_value *list)
{
	for (uint32_t i = 0; i < list->len; i++) {
		const struct logic_value *item = &list->items[i];

		if (item->kind == LOGIC_STRING && item->len == needle->len && logic_bytes_equal(item->s, needle->s, needle->len))
			return true;
	}
	return false;
}

static struct logic_value in_slowly(struct ev *e, const struct node *n)
{
	struct logic_value needle, where;
	struct args a;

	if (!logic_args(e, n, &a))
		return failed();
	if (a.n < 2)
		return a.n && is_failed(needle = logic_arg(e, &a, 0)) ? needle : logic_bool(false);
	needle = logic_arg(e, &a, 0);
	if (is_failed(needle))
		return needle;
	if (n->flags & NODE_PREPARED && needle.kind == LOGIC_STRING)
		return logic_bool(in_prepared(&a.nodes[1], &e->rule->tables[n->aux], needle));
	where = logic_arg(e, &a, 1);
	if (is_failed(where))
		return where;
	if (where.kind == LOGIC_ARRAY)
		return in_list(e, n, needle, where);
	return where.kind == LOGIC_STRING ? in_text(e, n, needle, where) : logic_bool(false);
}

struct logic_value logic_op_in(struct ev *e, const struct node *n)
{
	const struct node *arg = &e->nodes[n->first];
	const struct logic_value *needle = n->n == 2 ? logic_peek(e, arg) : NULL, *where = needle ? logic_peek(e, arg + 1) : NULL;

	if (where && where->kind == LOGIC_ARRAY && where->len <= 16 && needle->kind == LOGIC_STRING && needle->len < 64)
		return logic_bool(in_plain(needle, where));
	return in_slowly(e, n);
}

/* --- missing --- */

static bool is_missing(struct ev *e, const struct node *n, struct logic_value key, bool *ret_failed)
{
	bool found;
	struct logic_value v = logic_lookup_text(e, n, key, &found);

	*ret_failed = is_failed(v);
	return !found || v.kind == LOGIC_NULL || (v.kind == LOGIC_STRING && !v.len);
}

/* The keys that the data does not have; *ret_found counts those it has. */
static struct logic_value missing_of(struct ev *e, const struct node *n, struct logic_value keys, uint32_t *ret_found)
{
	struct logic_value *items = NULL;
	uint32_t count = 0;
	bool broken = false;

	if (!logic_charge(e, keys.len))
		return logic_no_steps(e, n);
	for (uint32_t i = 0; i < keys.len; i++) {
		bool missing = is_missing(e, n, keys.items[i], &broken);

		if (broken)
			return failed();
		if (!missing)
			continue;
		if (!items && !(items = logic_take(e, n, (keys.len - i) * sizeof(*items))))
			return failed();
		items[count++] = keys.items[i];
	}
	*ret_found = keys.len - count;
	return logic_array(items, count);
}

struct logic_value logic_op_missing(struct ev *e, const struct node *n)
{
	struct logic_value few[ARGS_ON_STACK], keys;
	const struct logic_value *v;
	struct args a;
	uint32_t found;

	if (!logic_args(e, n, &a) || !(v = evaluated(e, n, &a, few)))
		return failed();
	keys = a.n && v[0].kind == LOGIC_ARRAY ? v[0] : logic_array(v, a.n);
	return missing_of(e, n, keys, &found);
}

struct logic_value logic_op_missing_some(struct ev *e, const struct node *n)
{
	struct logic_value need, keys, missing;
	struct args a;
	uint32_t found;

	if (!logic_args(e, n, &a))
		return failed();
	if (a.n < 2)
		return logic_array(NULL, 0);
	need = logic_arg(e, &a, 0);
	if (is_failed(need))
		return need;
	keys = logic_arg(e, &a, 1);
	if (is_failed(keys))
		return keys;
	if (keys.kind != LOGIC_ARRAY)
		return logic_array(NULL, 0);
	missing = missing_of(e, n, keys, &found);
	return !is_failed(missing) && found >= logic_js_number(need) ? logic_array(NULL, 0) : missing;
}
