/* logic-data.c - reads data: var, val, exists, $flagd, and paths that are made while a rule runs.
 *
 * The data of a scope is the whole context, or the item of an iteration; a scope whose data lies on the stack (reduce) is copied
 * to the scratch arena before it leaves as a whole. */
#include "base/base.h"
#include "logic-internal.h"

#include <math.h>

/* NULL: the path leads nowhere. */
static inline const struct logic_value *walk(const struct logic_value *from, const struct seg *segs, uint32_t n)
{
	for (uint32_t i = 0; i < n && from; i++)
		from = logic_path_step(from, &segs[i]);
	return from;
}

/* The whole data of a scope, in memory that outlives it. */
OUT_OF_LINE static struct logic_value whole(struct ev *e, const struct node *n, const struct scope *s)
{
	struct logic_pair *pairs;
	struct logic_value v = s->data;

	if (!s->borrowed)
		return v;
	pairs = logic_take(e, n, v.len * sizeof(*pairs));
	if (!pairs)
		return failed();
	memcpy(pairs, v.pairs, v.len * sizeof(*pairs));
	v.pairs = pairs;
	return v;
}

static struct logic_value injected_object(struct ev *e, const struct node *n)
{
	static const char *const keys[] = { "flagKey", "timestamp" };
	struct logic_value values[] = { logic_string(e->env->flag_key), logic_number(e->env->timestamp) };

	return logic_small_object(e, n, keys, values, 2);
}

/* FLAGD: the whole context has $flagd in it. */
static struct logic_value with_injected(struct ev *e, const struct node *n, struct logic_value data)
{
	struct logic_pair *pairs;
	struct logic_value flagd = injected_object(e, n), v;

	if (is_failed(flagd) || !(pairs = logic_take(e, n, (data.len + 1) * 2 * (sizeof(*pairs) + sizeof(uint32_t)))))
		return failed();
	if (data.len)
		memcpy(pairs, data.pairs, data.len * sizeof(*pairs));
	pairs[data.len] = (struct logic_pair){ .key = "$flagd", .key_len = 6, .value = flagd };
	if (logic_object(e->env->scratch, pairs, data.len + 1, &v, NULL))
		return logic_fatal(e, n, WEIR_ELIMIT, "the scratch arena is used up");
	return v;
}

OUT_OF_LINE static struct logic_value default_of(struct ev *e, const struct node *n)
{
	return n->aux ? logic_eval_node(e, &e->nodes[n->aux]) : logic_null();
}

OUT_OF_LINE static struct logic_value op_var_whole(struct ev *e, const struct node *n)
{
	struct logic_value v = whole(e, n, e->scope);

	return e->rule->dialect == LOGIC_FLAGD && !e->scope->up && v.kind == LOGIC_OBJECT ? with_injected(e, n, v) : v;
}

struct logic_value logic_op_var(struct ev *e, const struct node *n)
{
	const struct logic_value *v;

	if (!n->n)
		return op_var_whole(e, n);
	v = walk(&e->scope->data, e->rule->segs + n->first, n->n);
	return v ? *v : default_of(e, n);
}

struct logic_value logic_op_injected(struct ev *e, const struct node *n)
{
	if (e->scope->up) /* inside an iteration the data is the item */
		return default_of(e, n);
	switch (n->small) {
	case INJECTED_KEY:
		return logic_string(e->env->flag_key);
	case INJECTED_TIME:
		return logic_number(e->env->timestamp);
	case INJECTED_OBJECT:
		return injected_object(e, n);
	default:
		return default_of(e, n);
	}
}

/* Climbs: from the data of an iteration to what is known about it (1), to the data around it (2), and so on. */
static bool climb(struct ev *e, const struct node *n, unsigned levels, const struct seg *segs, uint32_t n_segs, struct logic_value *ret)
{
	static const char *const keys[] = { "index", "iterator" };
	const struct logic_value *found;
	const struct scope *s = e->scope;

	for (; s && levels >= 2; levels -= 2)
		s = s->up;
	if (!s || (levels && (!s->up || s->in_try)))
		return false;
	if (levels) {
		struct logic_value values[] = { logic_number(s->index), s->list };

		if (n_segs == 1 && segs[0].len == 5 && !memcmp(segs[0].key, "index", 5)) {
			*ret = values[0];
			return true;
		}
		*ret = logic_small_object(e, n, keys, values, 2);
		if (is_failed(*ret))
			return true;
		found = walk(ret, segs, n_segs);
	} else if (n_segs) {
		found = walk(&s->data, segs, n_segs);
	} else {
		*ret = whole(e, n, s);
		return true;
	}
	if (found)
		*ret = *found;
	return found;
}

static struct logic_value path_result(const struct node *n, bool found, struct logic_value v)
{
	if (is_failed(v))
		return v;
	if (n->op == OP_EXISTS)
		return logic_bool(found);
	return found ? v : logic_null();
}

enum { PATH_SEGS_MAX = 32 };

static struct seg seg_of_value(struct logic_value v, char number[LOGIC_NUMBER_BYTES])
{
	if (v.kind == LOGIC_NUMBER)
		return logic_seg(str_n(number, logic_number_text(v.n, number)));
	if (v.kind == LOGIC_BOOL)
		return logic_seg(v.b ? STR("true") : STR("false"));
	return logic_seg(v.kind == LOGIC_STRING ? logic_text(v) : STR(""));
}

/* val and exists whose path has expressions in it: each part is a key, an array of one number in front climbs. */
static struct logic_value val_dynamic(struct ev *e, const struct node *n)
{
	struct seg segs[PATH_SEGS_MAX];
	char numbers[PATH_SEGS_MAX][LOGIC_NUMBER_BYTES];
	struct logic_value parts[PATH_SEGS_MAX], v = logic_null();
	const struct logic_value *path = parts;
	uint32_t count = n->n, used = 0, i = 0;
	unsigned levels = 0;
	bool found;

	if (count > PATH_SEGS_MAX)
		return logic_throw_type(e, n, "Invalid Arguments", "the path is too long");
	for (; i < count; i++)
		if (is_failed(parts[i] = logic_eval_node(e, &e->nodes[n->first + i])))
			return parts[i];
	if (count == 1 && parts[0].kind == LOGIC_ARRAY) {
		path = parts[0].items;
		count = parts[0].len;
	}
	if (count > PATH_SEGS_MAX)
		return logic_throw_type(e, n, "Invalid Arguments", "the path is too long");
	i = 0;
	if (count && path[0].kind == LOGIC_ARRAY && path[0].len == 1) {
		double d = fabs(logic_js_number(path[i++].items[0]));

		levels = d < 255 ? (unsigned)d : 255; /* NaN too: nothing is nested so deep */
	}
	for (; i < count; i++)
		if (path[i].kind != LOGIC_NULL) {
			segs[used] = seg_of_value(path[i], numbers[used]);
			used++;
		}
	found = climb(e, n, levels, segs, used, &v);
	return path_result(n, found, v);
}

struct logic_value logic_op_val(struct ev *e, const struct node *n)
{
	struct logic_value v = logic_null();
	bool found;

	if (!(n->flags & NODE_PREPARED))
		return val_dynamic(e, n);
	found = climb(e, n, n->small, e->rule->segs + n->first, n->n, &v);
	return path_result(n, found, v);
}

/* What a text with dots leads to from the current data. */
struct logic_value logic_lookup_text(struct ev *e, const struct node *n, struct logic_value path, bool *ret_found)
{
	char number[LOGIC_NUMBER_BYTES];
	struct logic_value v = e->scope->data;
	const struct logic_value *at;
	str rest, key;
	bool more = true, first = true;

	*ret_found = true;
	if (path.kind == LOGIC_NUMBER)
		path = logic_string(str_n(number, logic_number_text(path.n, number)));
	else if (path.kind == LOGIC_BOOL)
		path = logic_string(path.b ? STR("true") : STR("false"));
	if (path.kind != LOGIC_STRING || !path.len)
		return whole(e, n, e->scope);
	if (!logic_charge(e, path.len / 16))
		return logic_no_steps(e, n);
	for (rest = logic_text(path); more && *ret_found; first = false) {
		struct seg s;

		more = str_cut(rest, '.', &key, &rest);
		s = logic_seg(key);
		if (first && e->rule->dialect == LOGIC_FLAGD && !e->scope->up && str_eq(key, STR("$flagd"))) {
			v = injected_object(e, n);
			if (is_failed(v))
				return v;
			continue;
		}
		at = logic_path_step(&v, &s);
		*ret_found = at;
		v = at ? *at : v;
	}
	return v;
}

struct logic_value logic_op_path_dynamic(struct ev *e, const struct node *n)
{
	struct logic_value path = logic_eval_node(e, &e->nodes[n->first]), otherwise = logic_null(), v;
	bool found, pair = false;

	if (is_failed(path))
		return path;
	if (path.kind == LOGIC_ARRAY) { /* path and default */
		pair = path.len > 1;
		otherwise = pair ? path.items[1] : otherwise;
		path = path.len ? path.items[0] : logic_null();
	}
	v = logic_lookup_text(e, n, path, &found);
	if (found || is_failed(v))
		return v;
	return pair ? otherwise : default_of(e, n);
}
