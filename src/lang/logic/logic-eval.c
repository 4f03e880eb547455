/* logic-eval.c - evaluates compiled rules (see logic.h): state, control flow, errors.
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

OUT_OF_LINE struct logic_value logic_no_steps(struct ev *e, const struct node *n)
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

OUT_OF_LINE struct logic_value logic_small_object(struct ev *e, const struct node *n, const char *const *keys,
												  const struct logic_value *values, uint32_t count)
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

	return type.kind == LOGIC_OBJECT ? type : logic_small_object(e, n, key, &type, 1);
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

typedef struct logic_value handler(struct ev *e, const struct node *n);

/* One function per operator: a table keeps the frames small that a switch would put together. */
static handler *const handlers[OPS] = {
	[OP_ARRAY] = op_array,
	[OP_PATH_DYNAMIC] = logic_op_path_dynamic,
	[OP_INJECTED] = logic_op_injected,
	[OP_RAISE] = op_raise,
	[OP_VAR] = logic_op_var,
	[OP_VAL] = logic_op_val,
	[OP_EXISTS] = logic_op_val,
	[OP_MISSING] = logic_op_missing,
	[OP_MISSING_SOME] = logic_op_missing_some,
	[OP_IF] = op_if,
	[OP_TERNARY] = op_if,
	[OP_AND] = op_and_or,
	[OP_OR] = op_and_or,
	[OP_COALESCE] = op_coalesce,
	[OP_NOT] = op_not,
	[OP_TRUTH] = op_not,
	[OP_EQ] = logic_op_compare,
	[OP_NE] = logic_op_compare,
	[OP_SEQ] = logic_op_compare,
	[OP_SNE] = logic_op_compare,
	[OP_LT] = logic_op_compare,
	[OP_LE] = logic_op_compare,
	[OP_GT] = logic_op_compare,
	[OP_GE] = logic_op_compare,
	[OP_ADD] = logic_op_math,
	[OP_SUB] = logic_op_math,
	[OP_MUL] = logic_op_math,
	[OP_DIV] = logic_op_math,
	[OP_MOD] = logic_op_math,
	[OP_MAX] = logic_op_math,
	[OP_MIN] = logic_op_math,
	[OP_MAP] = logic_op_each,
	[OP_FILTER] = logic_op_each,
	[OP_REDUCE] = logic_op_reduce,
	[OP_ALL] = logic_op_each,
	[OP_SOME] = logic_op_each,
	[OP_NONE] = logic_op_each,
	[OP_MERGE] = logic_op_merge,
	[OP_IN] = logic_op_in,
	[OP_CAT] = logic_op_cat,
	[OP_SUBSTR] = logic_op_substr,
	[OP_LOG] = op_log,
	[OP_TRY] = op_try,
	[OP_THROW] = op_throw,
	[OP_FRACTIONAL] = logic_op_fractional,
	[OP_SEM_VER] = logic_op_sem_ver,
	[OP_STARTS_WITH] = logic_op_affix,
	[OP_ENDS_WITH] = logic_op_affix,
	[OP_REF] = op_ref,
};

OUT_OF_LINE static struct logic_value traced(struct ev *e, const struct node *n)
{
	const struct place *p = &e->rule->places[n - e->nodes];
	struct logic_step s = { .line = p->line, .col = p->col, .depth = e->depth, .op = logic_op_name(n->op),
							.evaluator = e->rule->evaluator };
	struct logic_value v;

	e->depth++;
	v = n->op <= LOGIC_OBJECT ? n->k : handlers[n->op](e, n);
	e->depth--;
	s.failed = is_failed(v);
	s.value = s.failed ? logic_null() : v;
	e->env->trace(e->env->trace_ctx, &s);
	return v;
}

struct logic_value logic_eval_op(struct ev *e, const struct node *n)
{
	uint64_t cost = 1 + n->n / 16; /* constants among many arguments are not counted one by one */

	if (__builtin_expect(e->steps < cost, 0))
		return logic_no_steps(e, n);
	e->steps -= cost;
	if (__builtin_expect(e->tracing, 0))
		return traced(e, n);
	return handlers[n->op](e, n);
}

/* --- the entry --- */

/* Name of the operator that failed: for a node that only raises, the one that stood there. */
static str failed_op(const struct logic_rule *r, const struct node *n)
{
	if (n->op == OP_RAISE && n->small == RAISE_OPERATOR)
		return str_n(r->segs[n->first].key, r->segs[n->first].len);
	return str_z(logic_op_name(n->op == OP_RAISE ? (uint8_t)n->aux : n->op));
}

OUT_OF_LINE static int report(struct ev *e, const struct logic_rule *r, struct err *reterr)
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
	e.steps = env->steps_left ? *env->steps_left : env->limits.steps_max ? env->limits.steps_max : LOGIC_STEPS_DEFAULT;
	e.bytes = env->limits.bytes_max ? env->limits.bytes_max : LOGIC_BYTES_DEFAULT;
	e.depth = 0;
	e.tracing = env->trace;
	e.constants = env->trace ? -1 : LOGIC_OBJECT;
	e.fatal = 0;
	e.why = e.type = NULL;
	e.thrown = logic_null();
	e.at = NULL;
	e.at_rule = NULL;
	v = logic_eval_node(&e, r->nodes);
	if (env->steps_left)
		*env->steps_left = e.steps;
	if (__builtin_expect(is_failed(v), 0))
		return report(&e, r, reterr);
	if (v.kind == LOGIC_NUMBER && !isfinite(v.n)) /* no such number in JSON */
		v = logic_null();
	*ret = v;
	return 0;
}
