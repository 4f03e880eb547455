/* logic-ref.c - flagd's named evaluators: each is compiled once, those that it names before it, and shared by all rules that
 * refer to it. The order is found by a walk with a stack of its own; what lies on or behind a circle cannot be used, and says so. */
#include "base/base.h"
#include "logic-internal.h"

struct logic_evaluators {
	struct evaluator *list;
	size_t n;
	struct logic_value index; /* name to place in list */
};

enum { NEW, OPEN, DONE };

str logic_ref_name(const struct doc_node *n)
{
	if (n->kind != DOC_MAP || n->map.n != 1 || !str_eqz(n->map.pairs[0].key, "$ref") || n->map.pairs[0].value->kind != DOC_STR)
		return STR_NULL;
	return n->map.pairs[0].value->s;
}

static bool position(const struct logic_evaluators *set, str name, uint32_t *ret)
{
	struct logic_value at;

	if (!set || !logic_get(set->index, name, &at))
		return false;
	*ret = (uint32_t)at.n;
	return true;
}

const struct evaluator *logic_evaluator(const struct logic_evaluators *set, str name)
{
	uint32_t at;

	return position(set, name, &at) ? &set->list[at] : NULL;
}

/* Calls for every evaluator that a document names; the depth of documents is bounded. */
static void each_ref(const struct logic_evaluators *set, const struct doc_node *n, uint32_t *out, size_t *count)
{
	str name = logic_ref_name(n);
	uint32_t at;

	if (name.ptr && position(set, name, &at)) {
		if (out)
			out[*count] = at;
		++*count;
	}
	if (n->kind == DOC_SEQ)
		for (size_t i = 0; i < n->seq.n; i++)
			each_ref(set, n->seq.items[i], out, count);
	if (n->kind == DOC_MAP)
		for (size_t i = 0; i < n->map.n; i++)
			each_ref(set, n->map.pairs[i].value, out, count);
}

/* Why an evaluator that did not compile cannot be used: what is wrong with the one behind it where it is that one's fault. */
static const char *reason(struct arena *a, const struct logic_evaluators *set, struct evaluator *e, const char *own)
{
	for (size_t i = 0; i < e->n_refs; i++) {
		const struct evaluator *behind = &set->list[e->refs[i]];

		if (behind->state != DONE || behind->rule)
			continue;
		e->cause = behind->cause ? behind->cause : behind;
		return arena_printf(a, "it refers to '%.*s', which cannot be used: %s", STR_ARG(e->cause->name), e->cause->error);
	}
	return arena_printf(a, "%s", own);
}

static void compile_one(struct arena *a, const struct logic_evaluators *set, struct evaluator *e, const struct logic_options *o)
{
	struct logic_options own = *o;
	struct logic_rule *rule = NULL;
	struct err err = { 0 };

	own.evaluators = set;
	if (!e->error && logic_compile_named(a, e->doc, &own, e->name, &rule, &err))
		e->error = reason(a, set, e, err.msg);
	e->rule = rule;
	e->state = DONE;
}

/* Everything that `first` names, then `first`. */
static void compile_from(struct arena *a, struct logic_evaluators *set, uint32_t first, uint32_t *stack, const struct logic_options *o)
{
	size_t depth = 0;

	stack[depth++] = first;
	set->list[first].state = OPEN;
	while (depth) {
		struct evaluator *e = &set->list[stack[depth - 1]], *next;

		if (e->next_ref == e->n_refs) {
			compile_one(a, set, e, o);
			depth--;
			continue;
		}
		next = &set->list[e->refs[e->next_ref]];
		if (next->state == NEW) {
			next->state = OPEN;
			stack[depth++] = e->refs[e->next_ref];
		} else if (next->state == OPEN && !e->error) {
			e->error = arena_printf(a, "it refers to itself through '%.*s'", STR_ARG(next->name));
		}
		e->next_ref++;
	}
}

static int index_names(struct arena *a, struct logic_evaluators *set, const struct doc_node *map, struct err *reterr)
{
	struct logic_pair *pairs = ARENA_ARRAY(a, set->n, struct logic_pair);

	set->list = ARENA_ARRAY(a, set->n, struct evaluator);
	if (!pairs || !set->list)
		return arena_check(a, "$evaluators", reterr);
	for (size_t i = 0; i < set->n; i++) {
		set->list[i].name = map->map.pairs[i].key;
		set->list[i].doc = map->map.pairs[i].value;
		pairs[i] = (struct logic_pair){ .key = set->list[i].name.ptr, .key_len = (uint32_t)set->list[i].name.len,
										.value = logic_number((double)i) };
	}
	return logic_object(a, pairs, set->n, &set->index, reterr);
}

int logic_evaluators_compile(struct arena *a, const struct doc_node *map, const struct logic_options *o,
							 struct logic_evaluators **ret, struct err *reterr)
{
	struct logic_evaluators *set = ARENA_NEW(a, struct logic_evaluators);
	uint32_t *stack;
	int r;

	if (!set)
		return arena_check(a, "$evaluators", reterr);
	if (map && map->kind != DOC_MAP)
		return err_set(reterr, WEIR_EPARSE, "%s%s%u:%u: $evaluators must be a map, not a %s", o->file ? o->file : "", o->file ? ":" : "",
					   map->line, map->col, doc_kind_name(map->kind));
	set->n = map ? map->map.n : 0;
	r = index_names(a, set, map, reterr);
	stack = r ? NULL : ARENA_ARRAY(a, set->n + 1, uint32_t);
	if (r)
		return r;
	for (size_t i = 0; i < set->n && !a->failed; i++) {
		struct evaluator *e = &set->list[i];
		size_t n = 0;

		each_ref(set, e->doc, NULL, &n);
		e->refs = ARENA_ARRAY(a, n, uint32_t);
		if (e->refs)
			each_ref(set, e->doc, e->refs, &e->n_refs);
	}
	for (size_t i = 0; i < set->n && !a->failed; i++)
		if (set->list[i].state == NEW)
			compile_from(a, set, (uint32_t)i, stack, o);
	*ret = set;
	return arena_check(a, "$evaluators", reterr);
}

const char *logic_evaluators_error(const struct logic_evaluators *e, size_t i, str *ret_name)
{
	*ret_name = i < e->n ? e->list[i].name : STR_NULL;
	return i < e->n && !e->list[i].rule ? e->list[i].error : NULL;
}
