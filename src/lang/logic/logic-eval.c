/* logic-eval.c - evaluates compiled rules (see logic.h): state, scopes, paths, control flow, errors.
 *
 * A walk over the flat array of nodes; recursion is as deep as the rule, which the compiler bounds. A node returns its value or
 * LOGIC_FAILED, with the reason in the state: an error that `try` may catch, or a limit, which nothing catches. Nothing is
 * allocated here but what an error object or a copied scope needs. Any thread: the state lives on the caller's stack. */
#include "base/base.h"
#include "logic-internal.h"

#include <math.h>

static const char *const op_names[OPS] = {
#define X(id, name, dialects, shape) [OP_##id] = name,
	LOGIC_OP_TABLE(X)
#undef X
};

const char *logic_op_name(uint8_t op)
{
	if (op == OP_PATH_DYNAMIC || op == OP_INJECTED)
		return "var";
	return op < OPS && op_names[op] ? op_names[op] : "";
}

/* --- errors --- */

struct logic_value logic_throw_type(struct ev *e, const struct node *n, const char *type, const char *why)
{
	e->type = type;
	e->why = why;
	e->at = n;
	e->at_rule = e->rule;
	return failed();
}

struct logic_value logic_fatal(struct ev *e, const struct node *n, int code, const char *why)
{
	logic_throw_type(e, n, NULL, why);
	e->fatal = code;
	return failed();
}

struct logic_value logic_no_steps(struct ev *e, const struct node *n)
{
	return logic_fatal(e, n, WEIR_ELIMIT, "the evaluation takes too many steps");
}

void *logic_take(struct ev *e, const struct node *n, size_t bytes)
{
	void *p;

	if (!e->env->scratch) {
		logic_fatal(e, n, WEIR_EINVAL, "a value must be made, but there is no scratch arena");
		return NULL;
	}
	if (bytes > e->bytes) {
		logic_fatal(e, n, WEIR_ELIMIT, "the values that the rule makes take too much memory");
		return NULL;
	}
	e->bytes -= bytes;
	p = arena_alloc(e->env->scratch, bytes);
	if (!p)
		logic_fatal(e, n, WEIR_ELIMIT, "the scratch arena is used up");
	return p;
}

static struct logic_value small_object(struct ev *e, const struct node *n, const char *const *keys, const struct logic_value *values,
									   uint32_t count)
{
	struct logic_pair *pairs = logic_take(e, n, count * sizeof(*pairs));

	if (!pairs)
		return failed();
	for (uint32_t i = 0; i < count; i++) {
		uint32_t len = (uint32_t)strlen(keys[i]);

		pairs[i] = (struct logic_pair){ .key = keys[i], .key_len = len, .hash = logic_hash(keys[i], len), .value = values[i] };
	}
	return (struct logic_value){ .kind = LOGIC_OBJECT, .len = count, .pairs = pairs };
}

/* The error as a rule sees it: an object with "type", or what was thrown. */
static struct logic_value error_value(struct ev *e, const struct node *n)
{
	static const char *const key[] = { "type" };
	struct logic_value type = e->type ? logic_string(str_z(e->type)) : e->thrown;

	return type.kind == LOGIC_OBJECT ? type : small_object(e, n, key, &type, 1);
}

static struct logic_value op_throw(struct ev *e, const struct node *n)
{
	struct args a;
	struct logic_value v = logic_null();

	if (!logic_args(e, n, &a))
		return failed();
	if (a.n && is_failed(v = logic_arg(e, &a, 0)))
		return v;
	e->thrown = v;
	return logic_throw_type(e, n, NULL, "the rule threw this error");
}

/* A later argument of try sees the error in place of the data; the data is two levels up, as in an iteration. */
static struct logic_value op_try(struct ev *e, const struct node *n)
{
	const struct scope *outside = e->scope;
	const struct logic_rule *rule = e->rule;
	struct scope handler = { .up = outside, .in_try = true };
	struct logic_value v = logic_null();

	for (uint32_t i = 0; i < n->n; i++) {
		v = logic_eval_node(e, &e->nodes[n->first + i]);
		e->scope = outside;
		e->rule = rule;
		e->nodes = rule->nodes;
		if (!is_failed(v) || e->fatal || i + 1 == n->n)
			return v;
		handler.data = error_value(e, n);
		if (is_failed(handler.data))
			return handler.data;
		e->scope = &handler;
	}
	return v;
}

/* --- paths --- */

static bool path_step(const struct logic_value *from, const struct seg *s, struct logic_value *ret)
{
	const struct logic_value *v = NULL;

	if (from->kind == LOGIC_OBJECT)
		v = logic_find(*from, s->key, s->len, s->hash);
	else if (from->kind == LOGIC_ARRAY && s->index >= 0 && s->index < from->len)
		v = &from->items[s->index];
	if (!v)
		return false;
	*ret = *v;
	return true;
}

static bool walk(struct logic_value from, const struct seg *segs, uint32_t n, struct logic_value *ret)
{
	for (uint32_t i = 0; i < n; i++)
		if (!path_step(&from, &segs[i], &from))
			return false;
	*ret = from;
	return true;
}

/* The whole data of a scope, in memory that outlives it. */
static struct logic_value whole(struct ev *e, const struct node *n, const struct scope *s)
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

	return small_object(e, n, keys, values, 2);
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

static struct logic_value default_of(struct ev *e, const struct node *n)
{
	return n->aux ? logic_eval_node(e, &e->nodes[n->aux]) : logic_null();
}

static struct logic_value op_var(struct ev *e, const struct node *n)
{
	const struct scope *s = e->scope;
	struct logic_value v;

	if (!n->n) {
		v = whole(e, n, s);
		return e->rule->dialect == LOGIC_FLAGD && !s->up && v.kind == LOGIC_OBJECT ? with_injected(e, n, v) : v;
	}
	return walk(s->data, e->rule->segs + n->first, n->n, &v) ? v : default_of(e, n);
}

static struct logic_value op_injected(struct ev *e, const struct node *n)
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
		*ret = small_object(e, n, keys, values, 2);
		return is_failed(*ret) || walk(*ret, segs, n_segs, ret);
	}
	if (n_segs)
		return walk(s->data, segs, n_segs, ret);
	*ret = whole(e, n, s);
	return true;
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

static struct logic_value op_val(struct ev *e, const struct node *n)
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
		*ret_found = path_step(&v, &s, &v);
	}
	return v;
}

static struct logic_value op_path_dynamic(struct ev *e, const struct node *n)
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

/* --- control flow --- */

static struct logic_value op_if(struct ev *e, const struct node *n)
{
	const struct node *arg = &e->nodes[n->first];
	struct logic_value v;
	uint32_t i;

	for (i = 0; i + 1 < n->n; i += 2) {
		v = logic_eval_node(e, &arg[i]);
		if (is_failed(v))
			return v;
		if (logic_truthy(v))
			return logic_eval_node(e, &arg[i + 1]);
	}
	return i < n->n ? logic_eval_node(e, &arg[i]) : logic_null();
}

static struct logic_value op_and_or(struct ev *e, const struct node *n)
{
	const struct node *arg = &e->nodes[n->first];
	bool stop_at = n->op == OP_OR;
	struct logic_value v = logic_null();

	for (uint32_t i = 0; i < n->n; i++) {
		v = logic_eval_node(e, &arg[i]);
		if (is_failed(v) || logic_truthy(v) == stop_at)
			return v;
	}
	return v;
}

static struct logic_value op_coalesce(struct ev *e, const struct node *n)
{
	struct logic_value v = logic_null();

	for (uint32_t i = 0; i < n->n && v.kind == LOGIC_NULL; i++)
		v = logic_eval_node(e, &e->nodes[n->first + i]);
	return v;
}

static struct logic_value op_not(struct ev *e, const struct node *n)
{
	struct logic_value v = n->n ? logic_eval_node(e, &e->nodes[n->first]) : logic_null();

	return is_failed(v) ? v : logic_bool(logic_truthy(v) == (n->op == OP_TRUTH));
}

static struct logic_value op_array(struct ev *e, const struct node *n)
{
	struct logic_value *items = logic_take(e, n, n->n * sizeof(*items));

	if (!items)
		return failed();
	for (uint32_t i = 0; i < n->n; i++)
		if (is_failed(items[i] = logic_eval_node(e, &e->nodes[n->first + i])))
			return items[i];
	return logic_array(items, n->n);
}

static struct logic_value op_ref(struct ev *e, const struct node *n)
{
	const struct logic_rule *outside = e->rule;
	struct logic_value v;

	e->rule = outside->tables[n->aux].rule;
	e->nodes = e->rule->nodes;
	v = logic_eval_node(e, e->nodes);
	e->rule = outside;
	e->nodes = outside->nodes;
	return v;
}

static struct logic_value op_log(struct ev *e, const struct node *n)
{
	return n->n ? logic_eval_node(e, &e->nodes[n->first]) : logic_null();
}

static struct logic_value op_raise(struct ev *e, const struct node *n)
{
	if (n->small == RAISE_OPERATOR)
		return logic_throw_type(e, n, "Unknown Operator", "there is no such operator");
	return logic_throw_type(e, n, "Invalid Arguments", "the arguments are not what the operator takes");
}

bool logic_args(struct ev *e, const struct node *n, struct args *ret)
{
	*ret = (struct args){ .nodes = &e->nodes[n->first], .n = n->n };
	if (!(n->flags & NODE_SPREAD))
		return true;
	ret->one = logic_eval_node(e, ret->nodes);
	if (is_failed(ret->one))
		return false;
	ret->values = &ret->one;
	if (ret->one.kind == LOGIC_ARRAY) {
		ret->n = ret->one.len;
		ret->values = ret->one.items;
		if (!ret->n)
			ret->values = &ret->one; /* never read, but it says that there are no nodes */
	}
	return true;
}

static struct logic_value dispatch(struct ev *e, const struct node *n)
{
	switch (n->op) {
	case OP_ARRAY:
		return op_array(e, n);
	case OP_VAR:
		return op_var(e, n);
	case OP_PATH_DYNAMIC:
		return op_path_dynamic(e, n);
	case OP_INJECTED:
		return op_injected(e, n);
	case OP_VAL:
	case OP_EXISTS:
		return op_val(e, n);
	case OP_IF:
	case OP_TERNARY:
		return op_if(e, n);
	case OP_AND:
	case OP_OR:
		return op_and_or(e, n);
	case OP_COALESCE:
		return op_coalesce(e, n);
	case OP_NOT:
	case OP_TRUTH:
		return op_not(e, n);
	case OP_EQ:
	case OP_NE:
	case OP_SEQ:
	case OP_SNE:
	case OP_LT:
	case OP_LE:
	case OP_GT:
	case OP_GE:
		return logic_op_compare(e, n);
	case OP_ADD:
	case OP_SUB:
	case OP_MUL:
	case OP_DIV:
	case OP_MOD:
	case OP_MAX:
	case OP_MIN:
		return logic_op_math(e, n);
	case OP_MAP:
	case OP_FILTER:
	case OP_ALL:
	case OP_SOME:
	case OP_NONE:
		return logic_op_each(e, n);
	case OP_REDUCE:
		return logic_op_reduce(e, n);
	case OP_MERGE:
		return logic_op_merge(e, n);
	case OP_IN:
		return logic_op_in(e, n);
	case OP_MISSING:
		return logic_op_missing(e, n);
	case OP_MISSING_SOME:
		return logic_op_missing_some(e, n);
	case OP_CAT:
		return logic_op_cat(e, n);
	case OP_SUBSTR:
		return logic_op_substr(e, n);
	case OP_LOG:
		return op_log(e, n);
	case OP_TRY:
		return op_try(e, n);
	case OP_THROW:
		return op_throw(e, n);
	case OP_FRACTIONAL:
		return logic_op_fractional(e, n);
	case OP_SEM_VER:
		return logic_op_sem_ver(e, n);
	case OP_STARTS_WITH:
	case OP_ENDS_WITH:
		return logic_op_affix(e, n);
	case OP_REF:
		return op_ref(e, n);
	case OP_RAISE:
		return op_raise(e, n);
	default:
		BUG("node of kind %d", n->op);
	}
}

static struct logic_value traced(struct ev *e, const struct node *n)
{
	const struct place *p = &e->rule->places[n - e->nodes];
	struct logic_step s = { .line = p->line, .col = p->col, .depth = e->depth, .op = logic_op_name(n->op),
							.evaluator = e->rule->evaluator };
	struct logic_value v;

	e->depth++;
	v = n->op <= LOGIC_OBJECT ? n->k : dispatch(e, n);
	e->depth--;
	s.failed = is_failed(v);
	s.value = s.failed ? logic_null() : v;
	e->env->trace(e->env->trace_ctx, &s);
	return v;
}

struct logic_value logic_eval_node(struct ev *e, const struct node *n)
{
	if (__builtin_expect(e->tracing, 0)) {
		if (!e->steps)
			return logic_no_steps(e, n);
		e->steps--;
		return traced(e, n);
	}
	if (n->op <= LOGIC_OBJECT)
		return n->k;
	if (__builtin_expect(!e->steps, 0))
		return logic_no_steps(e, n);
	e->steps--;
	return dispatch(e, n);
}

/* --- the entry --- */

/* Name of the operator that failed: for a node that only raises, the one that stood there. */
static str failed_op(const struct logic_rule *r, const struct node *n)
{
	if (n->op == OP_RAISE && n->small == RAISE_OPERATOR)
		return str_n(r->segs[n->first].key, r->segs[n->first].len);
	return str_z(logic_op_name(n->op == OP_RAISE ? (uint8_t)n->aux : n->op));
}

static int report(struct ev *e, const struct logic_rule *r, struct err *reterr)
{
	const struct logic_rule *at_rule = e->at_rule ? e->at_rule : r;
	const struct node *at = e->at ? e->at : r->nodes;
	const struct place *p = &at_rule->places[at - at_rule->nodes];
	const char *type = e->type, *why = e->why, *in = at_rule->evaluator.ptr ? " of $evaluators." : "";
	str op = failed_op(at_rule, at);
	int code = e->fatal ? e->fatal : WEIR_EREFUSED;

	if (e->env->thrown) {
		struct logic_value v = e->fatal || !e->env->scratch ? logic_null() : error_value(e, at);

		*e->env->thrown = (struct logic_thrown){ .value = is_failed(v) ? logic_null() : v, .line = p->line, .col = p->col, .op = op,
												 .evaluator = at_rule->evaluator };
	}
	if (!op.len)
		op = STR("a list");
	return err_set(reterr, code, "%.*s at %u:%u%s%.*s: %s%s%s", STR_ARG(op), p->line, p->col, in, STR_ARG(at_rule->evaluator),
				   type ? type : "", type ? ": " : "", why);
}

int logic_eval(const struct logic_rule *r, const struct logic_env *env, struct logic_value *ret, struct err *reterr)
{
	struct scope root = { .data = env->data };
	struct ev e;
	struct logic_value v;

	if (__builtin_expect(env->limits.depth_max && r->depth > env->limits.depth_max, 0))
		return err_set(reterr, WEIR_ELIMIT, "the rule is %u operators deep, more than %u", r->depth, env->limits.depth_max);
	e.rule = r;
	e.nodes = r->nodes;
	e.env = env;
	e.scope = &root;
	e.steps = env->limits.steps_max ? env->limits.steps_max : LOGIC_STEPS_DEFAULT;
	e.bytes = env->limits.bytes_max ? env->limits.bytes_max : LOGIC_BYTES_DEFAULT;
	e.depth = 0;
	e.tracing = env->trace;
	e.fatal = 0;
	e.why = e.type = NULL;
	e.thrown = logic_null();
	e.at = NULL;
	e.at_rule = NULL;
	v = logic_eval_node(&e, r->nodes);
	if (__builtin_expect(is_failed(v), 0))
		return report(&e, r, reterr);
	if (v.kind == LOGIC_NUMBER && !isfinite(v.n)) /* no such number in JSON */
		v = logic_null();
	*ret = v;
	return 0;
}
