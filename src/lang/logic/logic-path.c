/* logic-path.c - compiles what reads data or prepares much: var, val, exists, fractional, sem_ver.
 *
 * Paths are split and hashed here, literal versions parsed, constant weights summed, so that evaluation does neither. */
#include "base/base.h"
#include "logic-internal.h"

/* --- var --- */

static bool is_expression(const struct doc_node *n) { return n->kind == DOC_MAP || n->kind == DOC_SEQ; }

/* The text of a scalar as a path has it. */
static str scalar_text(const struct doc_node *n, char number[LOGIC_NUMBER_BYTES])
{
	switch (n->kind) {
	case DOC_STR:
		return n->s;
	case DOC_BOOL:
		return n->b ? STR("true") : STR("false");
	case DOC_INT:
		return str_n(number, logic_number_text((double)n->i, number));
	case DOC_REAL:
		return str_n(number, logic_number_text(n->d, number));
	default:
		return STR("");
	}
}

static int split_path(struct comp *c, uint32_t slot, str path)
{
	str key;
	bool more = path.len;
	int r = 0;

	c->nodes[slot].first = c->n_segs;
	while (more && !r) {
		more = str_cut(path, '.', &key, &path);
		r = logic_comp_seg(c, key);
	}
	c->nodes[slot].n = c->n_segs - c->nodes[slot].first;
	return r;
}

static int inject(struct comp *c, uint32_t slot, str path)
{
	str rest = str_sub(path, 6, path.len);
	uint16_t which = !rest.len									? INJECTED_OBJECT
					 : str_eq(rest, STR(".flagKey"))	? INJECTED_KEY
					 : str_eq(rest, STR(".timestamp")) ? INJECTED_TIME
														: INJECTED_NONE;

	c->nodes[slot].op = OP_INJECTED;
	c->nodes[slot].small = which;
	return 0;
}

static bool is_injected(const struct comp *c, str path)
{
	return c->o->dialect == LOGIC_FLAGD && str_has_prefix(path, STR("$flagd")) && (path.len == 6 || path.ptr[6] == '.');
}

int logic_comp_var(struct comp *c, uint32_t slot, const struct doc_node *arg)
{
	const struct doc_node *path = arg, *otherwise = NULL;
	char number[LOGIC_NUMBER_BYTES];
	uint32_t place;
	str text;
	int r = 0;

	if (arg->kind == DOC_SEQ) {
		path = arg->seq.n ? arg->seq.items[0] : NULL;
		otherwise = arg->seq.n > 1 ? arg->seq.items[1] : NULL;
	}
	if (path && is_expression(path)) {
		struct doc_node *one[1];

		memcpy(one, &path, sizeof(path));
		c->nodes[slot].op = OP_PATH_DYNAMIC;
		r = logic_comp_children(c, slot, one, 1);
	} else if (path) {
		text = scalar_text(path, number);
		r = is_injected(c, text) ? inject(c, slot, text) : split_path(c, slot, text);
	}
	if (r || !otherwise || otherwise->kind == DOC_NULL)
		return r;
	r = logic_comp_reserve(c, otherwise, 1, &place);
	if (r)
		return r;
	c->nodes[slot].aux = place;
	return logic_comp_node(c, place, otherwise);
}

/* --- val, exists --- */

static bool is_climb(const struct doc_node *n)
{
	return n->kind == DOC_SEQ && n->seq.n == 1 && (n->seq.items[0]->kind == DOC_INT || n->seq.items[0]->kind == DOC_REAL);
}

static uint16_t climb_levels(const struct doc_node *n)
{
	const struct doc_node *level = n->seq.items[0];
	double d = level->kind == DOC_INT ? (double)level->i : level->d;

	d = d < 0 ? -d : d;
	return d < 255 ? (uint16_t)d : 255; /* nothing is nested so deep */
}

int logic_comp_val(struct comp *c, uint32_t slot, const struct doc_node *arg)
{
	struct doc_node *one[1], *const *items = one;
	char number[LOGIC_NUMBER_BYTES];
	size_t n = arg->kind == DOC_SEQ ? arg->seq.n : 1, i = 0;
	int r = 0;

	memcpy(one, &arg, sizeof(arg));
	if (arg->kind == DOC_SEQ)
		items = arg->seq.items;
	if (n && arg->kind == DOC_SEQ && is_climb(items[0]))
		i = 1;
	for (size_t k = i; k < n; k++)
		if (is_expression(items[k]))
			return logic_comp_children(c, slot, items, n);
	c->nodes[slot].flags |= NODE_PREPARED;
	c->nodes[slot].small = i ? climb_levels(items[0]) : 0;
	c->nodes[slot].first = c->n_segs;
	for (; i < n && !r; i++)
		if (items[i]->kind != DOC_NULL)
			r = logic_comp_seg(c, scalar_text(items[i], number));
	c->nodes[slot].n = c->n_segs - c->nodes[slot].first;
	return r;
}

/* --- fractional --- */

enum form { FORM_NULL, FORM_PAIRS, FORM_VALUES };

/* How the entries behind the bucketing value, if any, are written. */
static enum form form_of(const struct comp *c, const struct doc_node *arg, size_t from)
{
	enum form form = arg->seq.n > from ? FORM_PAIRS : FORM_NULL;

	for (size_t i = from; i < arg->seq.n; i++) {
		const struct doc_node *entry = logic_comp_list(c, arg->seq.items[i]);

		if (entry->kind == DOC_MAP)
			form = FORM_VALUES;
		else if (entry->kind != DOC_SEQ || !entry->seq.n || entry->seq.n > 2)
			return FORM_NULL;
	}
	return form;
}

static int compile_pairs(struct comp *c, uint32_t slot, const struct doc_node *arg, bool keyed)
{
	uint32_t first, at;
	int r = logic_comp_reserve(c, arg, (uint32_t)(keyed + 2 * (arg->seq.n - keyed)), &first);

	if (r)
		return r;
	c->nodes[slot].first = at = first;
	c->nodes[slot].n = (uint32_t)(keyed + 2 * (arg->seq.n - keyed));
	if (keyed) {
		c->nodes[slot].flags |= NODE_KEYED;
		r = logic_comp_node(c, at++, arg->seq.items[0]);
	}
	for (size_t i = keyed; i < arg->seq.n && !r; i++, at += 2) {
		const struct doc_node *entry = logic_comp_list(c, arg->seq.items[i]);

		r = logic_comp_node(c, at, entry->seq.items[0]);
		if (!r && entry->seq.n == 2)
			r = logic_comp_node(c, at + 1, entry->seq.items[1]);
		else if (!r)
			logic_comp_set(c, at + 1, logic_number(1));
	}
	return r;
}

/* Sums the weights when all are constant. A distribution that can only give null becomes null. */
static int prepare_share(struct comp *c, uint32_t slot)
{
	struct node *n = &c->nodes[slot];
	uint32_t keyed = n->flags & NODE_KEYED ? 1 : 0, count = (n->n - keyed) / 2;
	struct bucket *buckets = ARENA_ARRAY(c->a, count, struct bucket);
	double total = 0, weight;

	if (!buckets)
		return err_set(c->err, WEIR_ELIMIT, "the rule does not fit into its arena");
	for (uint32_t i = 0; i < count; i++) {
		uint32_t at = n->first + keyed + 2 * i;
		uint8_t variant = c->nodes[at].op;

		if (!logic_comp_is_constant(c, at + 1))
			return 0;
		if (!logic_weight(c->nodes[at + 1].k, &weight) || variant == LOGIC_ARRAY || variant == LOGIC_OBJECT)
			total = LOGIC_WEIGHT_MAX + 1.0;
		total += weight;
		buckets[i] = (struct bucket){ total <= LOGIC_WEIGHT_MAX ? (uint32_t)total : 0, at };
	}
	if (total > LOGIC_WEIGHT_MAX || total <= 0) {
		logic_comp_set(c, slot, logic_null());
		return 0;
	}
	if (c->o->fractional == LOGIC_FRACTIONAL_V1)
		return 0;
	n->flags |= NODE_PREPARED;
	return logic_comp_table(c, (union table){ .share = { buckets, count, (uint32_t)total } }, &n->aux);
}

int logic_comp_fractional(struct comp *c, uint32_t slot, const struct doc_node *arg)
{
	struct doc_node *one[1];
	bool keyed;
	int r;

	memcpy(one, &arg, sizeof(arg));
	if (arg->kind == DOC_MAP && arg->map.n) {
		c->nodes[slot].flags |= NODE_VALUES | NODE_SPREAD;
		return logic_comp_children(c, slot, one, 1);
	}
	if (arg->kind != DOC_SEQ || !arg->seq.n) {
		logic_comp_set(c, slot, logic_null());
		return 0;
	}
	keyed = logic_comp_list(c, arg->seq.items[0])->kind != DOC_SEQ;
	switch (form_of(c, arg, keyed)) {
	case FORM_VALUES:
		c->nodes[slot].flags |= NODE_VALUES;
		return logic_comp_children(c, slot, arg->seq.items, arg->seq.n);
	case FORM_PAIRS:
		r = compile_pairs(c, slot, arg, keyed);
		return r ? r : prepare_share(c, slot);
	default:
		logic_comp_set(c, slot, logic_null());
		return 0;
	}
}

/* --- sem_ver --- */

int logic_comp_sem_ver(struct comp *c, uint32_t slot, const struct doc_node *arg)
{
	char text[LOGIC_NUMBER_BYTES];
	struct semver *versions;
	const struct node *args;
	struct node *n;
	bool never;
	int r;

	if (arg->kind != DOC_SEQ || arg->seq.n != 3) {
		logic_comp_set(c, slot, logic_null());
		return 0;
	}
	r = logic_comp_children(c, slot, arg->seq.items, 3);
	if (r)
		return r;
	versions = ARENA_ARRAY(c->a, 2, struct semver);
	if (!versions)
		return logic_comp_error(c, arg, WEIR_ELIMIT, "the rule does not fit into its arena");
	n = &c->nodes[slot];
	args = &c->nodes[n->first];
	n->small = args[1].op == LOGIC_STRING ? logic_semver_operator(args[1].k) : SEMVER_NONE;
	never = args[1].op <= LOGIC_OBJECT && n->small == SEMVER_NONE;
	for (int i = 0; i < 2; i++) {
		if (args[2 * i].op > LOGIC_OBJECT)
			continue;
		never = never || !logic_semver_parse(args[2 * i].k, text, &versions[i]);
	}
	if (never) {
		logic_comp_set(c, slot, logic_null());
		return 0;
	}
	if (args[0].op != LOGIC_STRING && args[2].op != LOGIC_STRING)
		return 0;
	n->flags |= NODE_PREPARED;
	return logic_comp_table(c, (union table){ .version = versions }, &n->aux);
}
