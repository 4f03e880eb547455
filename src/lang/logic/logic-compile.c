/* logic-compile.c - a rule's document to nodes (see logic.h).
 *
 * Nodes lie in one flat array, the arguments of an operator side by side; constants are values in place, lists of constants one
 * value, and what depends on constants only is computed here, by the evaluator itself. Long constant lists of `in` get a sorted
 * index. Texts are copied: the compiled rule borrows nothing. Any thread; the rule is immutable afterwards. */
#include "base/base.h"
#include "logic-internal.h"

#include <stdarg.h>

enum { FOLD_STEPS_MAX = 10000, FOLD_BYTES_MAX = 16 << 10, INDEXED_LIST_MIN = 8 };

static const struct {
	const char *name;
	uint8_t dialects, shape;
} ops[OPS] = {
#define X(id, name, dialects, shape) [OP_##id] = { name, dialects, shape },
	LOGIC_OP_TABLE(X)
#undef X
};

/* --- errors, vectors --- */

int logic_comp_error(struct comp *c, const struct doc_node *at, int code, const char *fmt, ...)
{
	char msg[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	return err_set(c->err, code, "%s%s%u:%u: %s", c->o->file ? c->o->file : "", c->o->file ? ":" : "", at->line, at->col, msg);
}

static int used_up(struct comp *c, const struct doc_node *at)
{
	return logic_comp_error(c, at, WEIR_ELIMIT, "the rule does not fit into its arena");
}

static bool grow(void *vec, uint32_t *cap, uint32_t need, size_t size)
{
	uint32_t wanted = *cap ? *cap : 16;
	void *p, **at = vec;

	if (need <= *cap)
		return true;
	while (wanted < need)
		wanted *= 2;
	p = realloc(*at, wanted * size);
	if (!p)
		return false;
	*at = p;
	*cap = wanted;
	return true;
}

int logic_comp_reserve(struct comp *c, const struct doc_node *at, uint32_t n, uint32_t *ret_first)
{
	uint32_t cap = c->cap_nodes, need = c->n_nodes + n;

	if (n > LOGIC_NODES_MAX || need > LOGIC_NODES_MAX)
		return logic_comp_error(c, at, WEIR_ELIMIT, "the rule has more than %d parts", LOGIC_NODES_MAX);
	if (!grow(&c->nodes, &cap, need, sizeof(*c->nodes)) || !grow(&c->places, &c->cap_nodes, need, sizeof(*c->places)))
		return err_set(c->err, WEIR_ENOMEM, "out of memory");
	*ret_first = c->n_nodes;
	memset(c->nodes + c->n_nodes, 0, n * sizeof(*c->nodes));
	memset(c->places + c->n_nodes, 0, n * sizeof(*c->places));
	c->n_nodes = need;
	return 0;
}

int logic_comp_seg(struct comp *c, str key)
{
	str own = arena_str(c->a, key);

	if (!own.ptr || !grow(&c->segs, &c->cap_segs, c->n_segs + 1, sizeof(*c->segs)))
		return err_set(c->err, WEIR_ELIMIT, "the rule does not fit into its arena");
	c->segs[c->n_segs++] = logic_seg(own);
	return 0;
}

int logic_comp_table(struct comp *c, union table t, uint32_t *ret)
{
	if (!grow(&c->tables, &c->cap_tables, c->n_tables + 1, sizeof(*c->tables)))
		return err_set(c->err, WEIR_ENOMEM, "out of memory");
	c->tables[c->n_tables] = t;
	*ret = c->n_tables++;
	return 0;
}

void logic_comp_set(struct comp *c, uint32_t slot, struct logic_value v) { c->nodes[slot] = (struct node){ .k = v }; }

bool logic_comp_is_constant(const struct comp *c, uint32_t slot) { return c->nodes[slot].op <= LOGIC_OBJECT; }

static bool all_constant(const struct comp *c, const struct node *n)
{
	for (uint32_t i = 0; i < n->n; i++)
		if (!logic_comp_is_constant(c, n->first + i))
			return false;
	return true;
}

/* Puts a value where the node was and gives its arguments back, when they are the last nodes. */
static void replace(struct comp *c, uint32_t slot, struct logic_value v)
{
	struct node was = c->nodes[slot];

	logic_comp_set(c, slot, v);
	if (was.n && was.first + was.n == c->n_nodes)
		c->n_nodes = was.first;
}

/* --- data --- */

static int own_value(struct comp *c, const struct doc_node *n, struct logic_value *ret);

static int own_map(struct comp *c, const struct doc_node *n, struct logic_value *ret)
{
	struct logic_pair *pairs = calloc(n->map.n ? n->map.n : 1, sizeof(*pairs));
	int r = pairs ? 0 : err_set(c->err, WEIR_ENOMEM, "out of memory");

	for (size_t i = 0; i < n->map.n && !r; i++) {
		str key = arena_str(c->a, n->map.pairs[i].key);

		pairs[i].key = key.ptr;
		pairs[i].key_len = (uint32_t)key.len;
		r = key.ptr ? own_value(c, n->map.pairs[i].value, &pairs[i].value) : used_up(c, n);
	}
	if (!r)
		r = logic_object(c->a, pairs, n->map.n, ret, c->err);
	free(pairs);
	return r;
}

static int own_value(struct comp *c, const struct doc_node *n, struct logic_value *ret)
{
	struct logic_value *items;
	int r = 0;
	str s;

	switch (n->kind) {
	case DOC_STR:
		s = arena_str(c->a, n->s);
		*ret = logic_string(s);
		return s.ptr ? 0 : used_up(c, n);
	case DOC_SEQ:
		items = ARENA_ARRAY(c->a, n->seq.n + !n->seq.n, struct logic_value);
		if (!items)
			return used_up(c, n);
		for (size_t i = 0; i < n->seq.n && !r; i++)
			r = own_value(c, n->seq.items[i], &items[i]);
		*ret = logic_array(items, n->seq.n);
		return r;
	case DOC_MAP:
		return own_map(c, n, ret);
	default:
		return logic_from_doc(c->a, n, ret, c->err);
	}
}

int logic_comp_constant(struct comp *c, uint32_t slot, const struct doc_node *n)
{
	struct logic_value v;
	int r = own_value(c, n, &v);

	if (!r)
		logic_comp_set(c, slot, v);
	return r;
}

/* --- lists and folding --- */

int logic_comp_children(struct comp *c, uint32_t slot, struct doc_node *const *items, size_t n)
{
	uint32_t first = 0;
	int r = n > LOGIC_NODES_MAX ? logic_comp_error(c, items[0], WEIR_ELIMIT, "the rule has more than %d parts", LOGIC_NODES_MAX) : 0;

	if (!r && n)
		r = logic_comp_reserve(c, items[0], (uint32_t)n, &first);
	if (r)
		return r;
	c->nodes[slot].first = first;
	c->nodes[slot].n = (uint32_t)n;
	for (size_t i = 0; i < n && !r; i++)
		r = logic_comp_node(c, first + (uint32_t)i, items[i]);
	return r;
}

static int compile_list(struct comp *c, uint32_t slot, const struct doc_node *n)
{
	struct logic_value *items;
	int r;

	c->nodes[slot].op = OP_ARRAY;
	r = logic_comp_children(c, slot, n->seq.items, n->seq.n);
	if (r || !all_constant(c, &c->nodes[slot]))
		return r;
	items = ARENA_ARRAY(c->a, n->seq.n + !n->seq.n, struct logic_value);
	if (!items)
		return used_up(c, n);
	for (size_t i = 0; i < n->seq.n; i++)
		items[i] = c->nodes[c->nodes[slot].first + i].k;
	replace(c, slot, logic_array(items, n->seq.n));
	return 0;
}

/* All that neither reads data (what stands before `if`, fractional) nor leads out of the rule. */
static bool foldable(uint8_t op) { return op >= OP_IF && op <= OP_ENDS_WITH && op != OP_FRACTIONAL; }

/* What depends on constants only becomes one; what fails stays and fails when it is evaluated. */
static void fold(struct comp *c, uint32_t slot)
{
	struct logic_rule rule = { .nodes = c->nodes, .places = c->places, .segs = c->segs, .tables = c->tables,
							   .dialect = (uint8_t)c->o->dialect, .fractional = (uint8_t)c->o->fractional };
	struct logic_env env = { .scratch = c->a };
	struct scope root = { .data = logic_null() };
	struct ev e = { .rule = &rule, .nodes = c->nodes, .env = &env, .scope = &root, .steps = FOLD_STEPS_MAX, .bytes = FOLD_BYTES_MAX,
					.constants = LOGIC_OBJECT };
	struct logic_value v;

	if (!foldable(c->nodes[slot].op) || !all_constant(c, &c->nodes[slot]))
		return;
	v = logic_eval_node(&e, &c->nodes[slot]);
	if (!is_failed(v))
		replace(c, slot, v);
}

static int cmp_member(const void *a, const void *b)
{
	const struct member *x = a, *y = b;

	return x->hash < y->hash ? -1 : x->hash > y->hash;
}

/* `in` of a long constant list: its texts are found by their hash. */
static int prepare_in(struct comp *c, uint32_t slot)
{
	struct node *n = &c->nodes[slot];
	struct logic_value list;
	struct member *members;
	uint32_t count = 0;

	if (n->n != 2 || c->nodes[n->first + 1].op != LOGIC_ARRAY || c->nodes[n->first + 1].k.len < INDEXED_LIST_MIN)
		return 0;
	list = c->nodes[n->first + 1].k;
	members = ARENA_ARRAY(c->a, list.len, struct member);
	if (!members)
		return err_set(c->err, WEIR_ELIMIT, "the rule does not fit into its arena");
	for (uint32_t i = 0; i < list.len; i++)
		if (list.items[i].kind == LOGIC_STRING)
			members[count++] = (struct member){ logic_hash(list.items[i].s, list.items[i].len), i };
	qsort(members, count, sizeof(*members), cmp_member);
	n->flags |= NODE_PREPARED;
	return logic_comp_table(c, (union table){ .set = { members, count } }, &n->aux);
}

/* --- operators --- */

static int raise_when_evaluated(struct comp *c, uint32_t slot, enum raise why, uint8_t op)
{
	c->nodes[slot] = (struct node){ .op = OP_RAISE, .small = (uint16_t)why, .aux = op };
	return 0;
}

static bool compares(uint8_t op) { return op >= OP_EQ && op <= OP_GE; }

/* CLASSIC reads no more arguments than json-logic-js does. */
static size_t classic_count(uint8_t op, size_t n)
{
	size_t max = op == OP_LT || op == OP_LE ? 3 : 2;

	return compares(op) && n > max ? max : n;
}

const struct doc_node *logic_comp_list(const struct comp *c, const struct doc_node *n)
{
	str name = c->o->dialect == LOGIC_FLAGD ? logic_ref_name(n) : STR_NULL;
	const struct evaluator *e = name.ptr ? logic_evaluator(c->o->evaluators, name) : NULL;

	for (int i = 0; e && e->rule && i < LOGIC_DEPTH_MAX; i++) {
		if (e->doc->kind == DOC_SEQ)
			return e->doc;
		name = logic_ref_name(e->doc);
		e = name.ptr ? logic_evaluator(c->o->evaluators, name) : NULL;
	}
	return n;
}

/* The arguments stand in a list. */
static int compile_listed(struct comp *c, uint32_t slot, uint8_t op, const struct doc_node *arg)
{
	size_t n = c->o->dialect == LOGIC_CLASSIC ? classic_count(op, arg->seq.n) : arg->seq.n;

	if (c->o->dialect == LOGIC_COMPAT && compares(op) && n < 2)
		return raise_when_evaluated(c, slot, RAISE_ARGUMENTS, op);
	if (n && op >= OP_MAP && op <= OP_NONE && arg->seq.items[0]->kind == DOC_NULL)
		c->nodes[slot].flags |= NODE_NULL_LIST;
	return logic_comp_children(c, slot, arg->seq.items, n);
}

static int compile_arguments(struct comp *c, uint32_t slot, uint8_t op, const struct doc_node *arg)
{
	bool compat = c->o->dialect == LOGIC_COMPAT, unary = op == OP_NOT || op == OP_TRUTH || op == OP_TRY;
	struct doc_node *one[1];

	arg = logic_comp_list(c, arg);
	if (arg->kind == DOC_SEQ)
		return compile_listed(c, slot, op, arg);
	if (compat && ops[op].shape == LAZY)
		return raise_when_evaluated(c, slot, RAISE_ARGUMENTS, op);
	if (compat && !unary && arg->kind == DOC_MAP && arg->map.n)
		c->nodes[slot].flags |= NODE_SPREAD;
	memcpy(one, &arg, sizeof(arg)); /* a list of one, read only */
	return logic_comp_children(c, slot, one, 1);
}

static int compile_ref(struct comp *c, uint32_t slot, const struct doc_node *arg)
{
	const struct evaluator *e;
	unsigned depth;

	if (arg->kind != DOC_STR)
		return logic_comp_error(c, arg, WEIR_EPARSE, "$ref must name an evaluator, not be a %s", doc_kind_name(arg->kind));
	e = logic_evaluator(c->o->evaluators, arg->s);
	if (!e)
		return logic_comp_error(c, arg, WEIR_EPARSE, "there is no evaluator '%.*s' in $evaluators", STR_ARG(arg->s));
	if (!e->rule)
		return logic_comp_error(c, arg, WEIR_EPARSE, "the evaluator '%.*s' cannot be used: %s", STR_ARG(arg->s), e->error);
	depth = c->depth + e->rule->depth;
	if (depth > LOGIC_DEPTH_MAX)
		return logic_comp_error(c, arg, WEIR_ELIMIT, "operators are nested deeper than %d through $ref", LOGIC_DEPTH_MAX);
	c->deepest = depth > c->deepest ? depth : c->deepest;
	if (e->rule->nodes[0].op <= LOGIC_OBJECT) {
		logic_comp_set(c, slot, e->rule->nodes[0].k);
		return 0;
	}
	return logic_comp_table(c, (union table){ .rule = e->rule }, &c->nodes[slot].aux);
}

static int compile_op(struct comp *c, uint32_t slot, uint8_t op, const struct doc_node *arg)
{
	int r;

	c->nodes[slot].op = op;
	switch (op) {
	case OP_VAR:
		return logic_comp_var(c, slot, arg);
	case OP_VAL:
	case OP_EXISTS:
		return logic_comp_val(c, slot, arg);
	case OP_PRESERVE:
		return logic_comp_constant(c, slot, arg);
	case OP_REF:
		return compile_ref(c, slot, arg);
	case OP_FRACTIONAL:
		return logic_comp_fractional(c, slot, logic_comp_list(c, arg));
	case OP_SEM_VER:
		r = logic_comp_sem_ver(c, slot, logic_comp_list(c, arg));
		break;
	default:
		r = compile_arguments(c, slot, op, arg);
		if (!r && op == OP_IN && c->nodes[slot].op == op && !(c->nodes[slot].flags & NODE_SPREAD))
			r = prepare_in(c, slot);
	}
	if (!r)
		fold(c, slot);
	return r;
}

static uint8_t find_op(const struct comp *c, str name)
{
	for (uint8_t i = OP_VAR; i < OPS; i++)
		if (name.len && ops[i].name[0] == name.ptr[0] && ops[i].dialects >> c->o->dialect & 1 && str_eqz(name, ops[i].name))
			return i;
	return 0;
}

static int unknown_op(struct comp *c, uint32_t slot, const struct doc_node *n, str name)
{
	const char *known[OPS + 1], *nearest;
	size_t count = 0;

	if (c->o->dialect == LOGIC_COMPAT) {
		raise_when_evaluated(c, slot, RAISE_OPERATOR, 0);
		c->nodes[slot].first = c->n_segs;
		return logic_comp_seg(c, name);
	}
	for (uint8_t i = OP_VAR; i < OPS; i++)
		if (ops[i].dialects >> c->o->dialect & 1)
			known[count++] = ops[i].name;
	known[count] = NULL;
	nearest = doc_nearest(name, known);
	return logic_comp_error(c, n, WEIR_EPARSE, "unknown operator '%.*s'%s%s%s", (int)(name.len < 64 ? name.len : 64), name.ptr,
							nearest ? " (did you mean '" : "", nearest ? nearest : "", nearest ? "'?)" : "");
}

/* A map is an operator with its arguments, or (none or several keys) data. */
static int compile_map(struct comp *c, uint32_t slot, const struct doc_node *n)
{
	uint8_t op;

	if (n->map.n == 1) {
		op = find_op(c, n->map.pairs[0].key);
		return op ? compile_op(c, slot, op, n->map.pairs[0].value) : unknown_op(c, slot, n, n->map.pairs[0].key);
	}
	for (size_t i = 0; i < n->map.n; i++) {
		if (c->o->dialect == LOGIC_COMPAT)
			return unknown_op(c, slot, n, n->map.pairs[i].key);
		if (c->o->dialect == LOGIC_FLAGD && find_op(c, n->map.pairs[i].key))
			return logic_comp_error(c, n, WEIR_EPARSE, "the operator '%.*s' must stand alone in its map; there are %zu keys",
									STR_ARG(n->map.pairs[i].key), n->map.n);
	}
	return logic_comp_constant(c, slot, n);
}

int logic_comp_node(struct comp *c, uint32_t slot, const struct doc_node *n)
{
	int r;

	c->places[slot] = (struct place){ n->line, n->col };
	if (n->kind != DOC_MAP && n->kind != DOC_SEQ)
		return logic_comp_constant(c, slot, n);
	if (c->depth >= LOGIC_DEPTH_MAX)
		return logic_comp_error(c, n, WEIR_ELIMIT, "operators are nested deeper than %d", LOGIC_DEPTH_MAX);
	c->depth++;
	c->deepest = c->depth > c->deepest ? c->depth : c->deepest;
	r = n->kind == DOC_MAP ? compile_map(c, slot, n) : compile_list(c, slot, n);
	c->depth--;
	return r;
}

/* --- the entry --- */

static const void *keep(struct comp *c, const void *p, size_t n, size_t size)
{
	void *copy = ARENA_ARRAY(c->a, n * size, char);

	if (copy && n)
		memcpy(copy, p, n * size);
	return copy;
}

static int finish(struct comp *c, str evaluator, struct logic_rule **ret)
{
	struct logic_rule *r = ARENA_NEW(c->a, struct logic_rule);

	if (!r)
		return arena_check(c->a, "a rule", c->err);
	*r = (struct logic_rule){ .evaluator = evaluator, .n_nodes = c->n_nodes, .depth = (uint16_t)c->deepest,
							  .dialect = (uint8_t)c->o->dialect, .fractional = (uint8_t)c->o->fractional };
	r->nodes = keep(c, c->nodes, c->n_nodes, sizeof(*c->nodes));
	r->places = keep(c, c->places, c->n_nodes, sizeof(*c->places));
	r->segs = c->n_segs ? keep(c, c->segs, c->n_segs, sizeof(*c->segs)) : NULL;
	r->tables = c->n_tables ? keep(c, c->tables, c->n_tables, sizeof(*c->tables)) : NULL;
	if (c->a->failed)
		return arena_check(c->a, "a rule", c->err);
	*ret = r;
	return 0;
}

int logic_compile_named(struct arena *a, const struct doc_node *rule, const struct logic_options *o, str evaluator,
						struct logic_rule **ret, struct err *reterr)
{
	struct comp c = { .a = a, .o = o, .err = reterr };
	uint32_t root;
	int r = logic_comp_reserve(&c, rule, 1, &root);

	if (!r)
		r = logic_comp_node(&c, root, rule);
	if (!r)
		r = finish(&c, evaluator, ret);
	free(c.nodes);
	free(c.places);
	free(c.segs);
	free(c.tables);
	return r;
}

int logic_compile(struct arena *a, const struct doc_node *rule, const struct logic_options *o, struct logic_rule **ret,
				  struct err *reterr)
{
	return logic_compile_named(a, rule, o, STR_NULL, ret, reterr);
}

bool logic_rule_constant(const struct logic_rule *r, struct logic_value *ret)
{
	if (r->nodes[0].op > LOGIC_OBJECT)
		return false;
	*ret = r->nodes[0].k;
	return true;
}
