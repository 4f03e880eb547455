/* unleash-eval.c - what a context gets of a feature (see unleash.h), and a context as Unleash writes it. Pure; any thread.
 *
 * Takes memory of the scratch arena only where versions are compared. Chance is a sequence of its own for each feature, made of the caller's number. */
#include "base/base.h"
#include "unleash-internal.h"

enum { VARIANT_SEED = 86028157 };

const char *unleash_why_text(enum unleash_why w)
{
	static const char *const texts[] = { "the feature is switched off", "a parent feature is not as this one needs it", "none of its strategies holds",
										 "the feature has no strategies: it is on for all", "a strategy holds" };

	return texts[w];
}

/* --- the evaluation's state --- */

bool evaluation_charge(struct evaluation *e, uint64_t steps)
{
	if (*e->steps < steps) {
		e->failed = true;
		*e->steps = 0;
		return false;
	}
	*e->steps -= steps;
	return true;
}

bool evaluation_get(const struct evaluation *e, str name, str *ret)
{
	*ret = STR_NULL;
	return e->env->get && e->env->get(e->env->get_ctx, name, ret) && ret->len;
}

/* splitmix64: each step another number. */
static uint64_t chance(struct evaluation *e)
{
	uint64_t z = e->random += 0x9e3779b97f4a7c15ull;

	e->by_chance = true;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static void trace(const struct evaluation *e, const struct unleash_step *s)
{
	if (e->env->trace)
		e->env->trace(e->env->trace_ctx, s);
}

/* --- buckets --- */

/* What sticks; false: the context has nothing of it (a field), or chance decides (default, random: *ret_chance). */
static bool sticky_id(const struct evaluation *e, const struct sticky *s, bool *ret_chance, str *ret)
{
	*ret_chance = s->kind != STICKY_FIELD;
	if (s->kind == STICKY_FIELD)
		return evaluation_get(e, s->field, ret);
	return s->kind == STICKY_DEFAULT && (evaluation_get(e, STR("userId"), ret) || evaluation_get(e, STR("sessionId"), ret));
}

static bool rollout_holds(struct evaluation *e, const struct strategy *s, struct unleash_step *step)
{
	bool by_chance;
	str  id;

	step->until = s->percent;
	if (sticky_id(e, &s->sticky, &by_chance, &id)) {
		step->bucket = unleash_murmur(0, s->group, id) % 100 + 1;
	} else if (!by_chance) {
		step->why = "the context lacks the field that the rollout sticks to";
		return false;
	} else if (s->percent == 0 || s->percent == 100) {
		return s->percent == 100; /* chance has no say */
	} else {
		step->bucket = (unsigned)(chance(e) % 100) + 1;
	}
	return step->bucket <= s->percent;
}

/* --- strategies --- */

static bool constraints_hold(struct evaluation *e, const struct constraints *v, int64_t segment)
{
	for (size_t i = 0; i < v->n; i++) {
		const struct constraint *c = &v->v[i];
		struct unleash_step      step = { .kind = UNLEASH_STEP_CONSTRAINT, .name = c->field, .strategy = e->strategy, .index = (int)i, .segment = segment,
										  .op = c->op_name, .why = c->broken };

		step.holds = constraint_holds(e, c);
		trace(e, &step);
		if (!step.holds)
			return false;
	}
	return true;
}

static bool address_listed(const struct strategy *s, str text)
{
	struct network address;

	if (!network_parse(text, &address) || address.bits != 128)
		return false;
	for (size_t i = 0; i < s->n_networks; i++)
		if (network_has(&s->networks[i], &address))
			return true;
	return false;
}

static bool hostname_listed(const struct strategy *s, str name)
{
	char text[256];

	if (name.len > sizeof(text))
		return false;
	for (size_t i = 0; i < name.len; i++)
		text[i] = (char)(name.ptr[i] >= 'A' && name.ptr[i] <= 'Z' ? name.ptr[i] | 0x20 : name.ptr[i]);
	return texts_have(&s->list, str_n(text, name.len));
}

static bool is_rollout(enum strategy_kind k)
{
	return k == STRATEGY_ROLLOUT_USER || k == STRATEGY_ROLLOUT_SESSION || k == STRATEGY_ROLLOUT_RANDOM || k == STRATEGY_FLEXIBLE_ROLLOUT;
}

static bool kind_holds(struct evaluation *e, const struct strategy *s, struct unleash_step *step)
{
	str value;

	switch (s->kind) {
	case STRATEGY_DEFAULT:
		return true;
	case STRATEGY_USER_WITH_ID:
		return evaluation_get(e, STR("userId"), &value) && texts_have(&s->list, value);
	case STRATEGY_REMOTE_ADDRESS:
		return evaluation_get(e, STR("remoteAddress"), &value) && evaluation_charge(e, 1 + s->n_networks) && address_listed(s, value);
	case STRATEGY_APPLICATION_HOSTNAME:
		return evaluation_get(e, STR("hostname"), &value) && hostname_listed(s, value);
	case STRATEGY_ROLLOUT_USER:
	case STRATEGY_ROLLOUT_SESSION:
	case STRATEGY_ROLLOUT_RANDOM:
	case STRATEGY_FLEXIBLE_ROLLOUT:
		return rollout_holds(e, s, step);
	case STRATEGY_UNKNOWN:
		return false;
	}
	return false;
}

static bool strategy_holds(struct evaluation *e, size_t i)
{
	const struct strategy *s = &e->f->strategies[i];
	struct unleash_step    step = { .kind = UNLEASH_STEP_STRATEGY, .name = s->name, .strategy = (int)i, .index = (int)i, .segment = -1, .why = s->broken };
	bool                   ok = !s->broken && evaluation_charge(e, 1);

	e->strategy = (int)i;
	ok = ok && constraints_hold(e, &s->constraints, -1);
	for (size_t j = 0; ok && j < s->n_segments; j++)
		ok = constraints_hold(e, &s->segments[j]->constraints, s->segments[j]->id);
	if (!ok && !step.why)
		step.why = "one of its constraints does not hold";
	step.holds = ok && kind_holds(e, s, &step) && !e->failed;
	e->missed = e->missed || (ok && !step.holds && step.bucket);
	trace(e, &step);
	return step.holds;
}

/* --- variants --- */

static const struct weighted *overridden(struct evaluation *e, const struct variants *v)
{
	for (size_t i = 0; i < v->n; i++)
		for (size_t j = 0; j < v->v[i].n_overrides && evaluation_charge(e, 1); j++) {
			const struct variant_override *o = &v->v[i].overrides[j];
			str                            value;

			if (evaluation_get(e, o->field, &value) && texts_have(&o->values, value))
				return &v->v[i];
		}
	return NULL;
}

static bool is_only_one(const struct variants *v)
{
	for (size_t i = 0; i < v->n; i++)
		if (v->v[i].weight)
			return v->v[i].weight == v->total;
	return true;
}

static const struct weighted *by_weight(struct evaluation *e, const struct variants *v, str group, struct unleash_step *step)
{
	uint64_t sum = 0, bucket;
	bool     by_chance;
	str      id;

	if (sticky_id(e, &v->sticky, &by_chance, &id))
		bucket = unleash_murmur(VARIANT_SEED, group, id) % v->total + 1;
	else if (is_only_one(v))
		bucket = 1; /* chance has no say */
	else
		bucket = chance(e) % v->total + 1;
	for (size_t i = 0; i < v->n; i++) {
		sum += v->v[i].weight;
		if (v->v[i].weight && sum >= bucket) {
			step->bucket = (unsigned)bucket;
			step->until = (unsigned)sum;
			return &v->v[i];
		}
	}
	return NULL;
}

static void choose_variant(struct evaluation *e, const struct variants *v, str group, struct unleash_result *ret)
{
	struct unleash_step    step = { .kind = UNLEASH_STEP_VARIANT, .strategy = ret->strategy, .segment = -1, .holds = true };
	const struct weighted *w;

	if (!v->total)
		return;
	w = overridden(e, v);
	if (w)
		step.why = "an override names it";
	else if ((w = by_weight(e, v, group, &step)))
		ret->split = ret->split || w->weight < v->total;
	if (!w || e->failed)
		return;
	ret->variant = &w->shown;
	ret->variant_index = v->first + (size_t)(w - v->v);
	step.name = w->shown.name;
	step.index = (int)ret->variant_index;
	trace(e, &step);
}

/* --- parents --- */

static bool parent_satisfies(struct evaluation *e, const struct unleash_dependency *d, const char **why)
{
	struct unleash_parent p = { 0 };

	*why = "there is no such feature";
	if (!e->env->parent || !evaluation_charge(e, 1) || !e->env->parent(e->env->parent_ctx, d->feature, &p))
		return false;
	*why = "it depends on others itself";
	if (p.dependent)
		return false;
	*why = p.enabled ? "it is on" : "it is off";
	if (p.enabled != d->enabled || !d->enabled || !d->n_variants)
		return p.enabled == d->enabled;
	for (size_t i = 0; i < d->n_variants; i++)
		if (str_eq(d->variants[i], p.variant))
			return true;
	*why = "it has another variant";
	return false;
}

static bool parents_satisfied(struct evaluation *e)
{
	for (size_t i = 0; i < e->f->n_dependencies; i++) {
		const struct unleash_dependency *d = &e->f->dependencies[i];
		struct unleash_step              step = { .kind = UNLEASH_STEP_PARENT, .name = d->feature, .strategy = -1, .index = (int)i, .segment = -1 };

		step.holds = parent_satisfies(e, d, &step.why);
		trace(e, &step);
		if (!step.holds)
			return false;
	}
	return true;
}

/* --- a feature --- */

/* The first strategy that holds; NULL: none. */
static const struct strategy *find_strategy(struct evaluation *e, struct unleash_result *ret)
{
	for (size_t i = 0; i < e->f->n_strategies; i++) {
		const struct strategy *s = &e->f->strategies[i];

		if (!strategy_holds(e, i))
			continue;
		ret->why = UNLEASH_STRATEGY;
		ret->strategy = (int)i;
		ret->split = is_rollout(s->kind) && s->percent < 100;
		return s;
	}
	ret->split = e->missed;
	return NULL;
}

static void decide(struct evaluation *e, struct unleash_result *ret)
{
	const struct unleash_feature *f = e->f;
	const struct strategy        *s;

	ret->why = UNLEASH_OFF;
	if (!f->enabled)
		return;
	ret->why = UNLEASH_NO_PARENT;
	if (!parents_satisfied(e))
		return;
	ret->why = f->n_strategies || f->all_disabled ? UNLEASH_NO_STRATEGY_HOLDS : UNLEASH_NO_STRATEGIES;
	s = find_strategy(e, ret);
	ret->enabled = ret->why == UNLEASH_STRATEGY || ret->why == UNLEASH_NO_STRATEGIES;
	if (!ret->enabled)
		return;
	if (s && s->variants.total)
		choose_variant(e, &s->variants, s->group.len ? s->group : f->name, ret);
	else
		choose_variant(e, &f->variants, f->name, ret);
}

int unleash_evaluate(const struct unleash_feature *f, const struct unleash_env *env, struct unleash_result *ret, struct err *reterr)
{
	uint64_t          own = env->steps_max ? env->steps_max : UNLEASH_STEPS_DEFAULT;
	struct evaluation e = { .f = f, .env = env, .steps = env->steps_left ? env->steps_left : &own, .strategy = -1,
							.random = env->random ^ (uint64_t)unleash_murmur(1, f->name, STR("")) << 20 };

	*ret = (struct unleash_result){ .strategy = -1 };
	decide(&e, ret);
	ret->by_chance = e.by_chance;
	if (!e.failed)
		return 0;
	*ret = (struct unleash_result){ .strategy = -1, .why = UNLEASH_NO_STRATEGY_HOLDS, .by_chance = e.by_chance };
	return err_set(reterr, WEIR_ELIMIT, "feature '%.*s' takes too many steps or too much memory to evaluate", STR_ARG(str_sub(f->name, 0, 100)));
}

/* --- contexts --- */

struct field {
	str  name, value;
	bool own; /* not below "properties": it counts before those */
};
struct unleash_context {
	struct field *v; /* by name; own ones first */
	size_t        n;
};

static int field_cmp(const void *pa, const void *pb)
{
	const struct field *a = pa, *b = pb;
	int                 c = str_cmp(a->name, b->name);

	return c ? c : b->own - a->own;
}

static void add_fields(struct arena *a, struct unleash_context *c, const struct doc_node *map, bool own)
{
	for (size_t i = 0; map && map->kind == DOC_MAP && i < doc_len(map); i++) {
		const struct doc_node *value = map->map.pairs[i].value;

		if (value->kind != DOC_NULL && value->kind != DOC_SEQ && value->kind != DOC_MAP && value->text.len)
			c->v[c->n++] = (struct field){ arena_str(a, map->map.pairs[i].key), arena_str(a, value->text), own };
	}
}

int unleash_context_read(struct arena *a, const struct doc_node *n, struct unleash_context **ret, struct err *reterr)
{
	const struct doc_node  *properties = doc_get(n, "properties");
	struct unleash_context *c = ARENA_NEW(a, struct unleash_context);

	if (n && n->kind != DOC_MAP && n->kind != DOC_NULL)
		return err_set(reterr, WEIR_EINVAL, "a context must be a map");
	if (c)
		c->v = ARENA_ARRAY(a, doc_len(n) + doc_len(properties) + 1, struct field);
	if (c && c->v) {
		add_fields(a, c, n, true);
		add_fields(a, c, properties, false);
		qsort(c->v, c->n, sizeof(*c->v), field_cmp);
	}
	*ret = c;
	return arena_check(a, "a context", reterr);
}

bool unleash_context_get(void *context, str name, str *ret)
{
	const struct unleash_context *c = context;
	size_t                        low = 0, high = c->n;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (str_cmp(c->v[mid].name, name) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == c->n || !str_eq(c->v[low].name, name))
		return false;
	*ret = c->v[low].value;
	return true;
}
