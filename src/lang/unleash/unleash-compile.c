/* unleash-compile.c - features and segments from their JSON to the compiled form (see unleash.h). Pure; one thread makes a feature, any read it.
 *
 * Lenient, as Unleash's clients are: what cannot be obeyed never holds and is listed as a problem; what nobody knows is passed over. The compiled form
 * borrows nothing of the document. */
#include "base/base.h"
#include "unleash-internal.h"

#include <math.h>
#include <stdarg.h>

enum { WEIGHT_MAX = 1000000 }; /* so that the sum of all weights fits into the hash */

struct compiler {
	struct arena                  *a;
	const struct unleash_segments *segments;
	struct unleash_feature        *f;
	struct problem               **end;
	struct err                    *reterr;
};

static const char *PRINTF(2, 3) problem(struct compiler *c, const char *fmt, ...)
{
	struct buf CLEANUP_BUF text = BUF_INIT(4096);
	struct problem        *p = ARENA_NEW(c->a, struct problem);
	va_list                ap;

	va_start(ap, fmt);
	buf_addv(&text, fmt, ap);
	va_end(ap);
	if (!p)
		return "memory is used up";
	p->text = arena_dup(c->a, buf_str(&text));
	*c->end = p;
	c->end = &p->next;
	return p->text;
}

static size_t seq_len(const struct doc_node *n) { return n && n->kind == DOC_SEQ ? doc_len(n) : 0; }

static str scalar_text(const struct doc_node *n)
{
	return !n || n->kind == DOC_NULL || n->kind == DOC_MAP || n->kind == DOC_SEQ ? STR_NULL : n->text;
}

static int too_many(struct compiler *c, const char *what, size_t n, size_t max)
{
	return err_set(c->reterr, WEIR_ELIMIT, "%zu %s; at most %zu", n, what, max);
}

/* --- segments --- */

static int segment_cmp(const void *pa, const void *pb)
{
	const struct segment *a = pa, *b = pb;

	return a->id < b->id ? -1 : a->id > b->id;
}

int unleash_segments_compile(struct arena *a, const struct doc_node *n, struct unleash_segments **ret, struct err *reterr)
{
	struct unleash_segments *s = ARENA_NEW(a, struct unleash_segments);
	size_t                   count = n && (n->kind == DOC_SEQ || n->kind == DOC_MAP) ? doc_len(n) : 0;
	struct segment          *v = ARENA_ARRAY(a, count + 1, struct segment);
	int                      rc = 0;

	for (size_t i = 0; v && !rc && i < count; i++) {
		const struct doc_node *one = n->kind == DOC_MAP ? n->map.pairs[i].value : doc_at(n, i);

		v[i].id = doc_get_int(one, "id", -1);
		rc = constraints_compile(a, doc_get(one, "constraints"), &v[i].constraints, reterr);
	}
	if (!rc)
		rc = arena_check(a, "segments", reterr);
	if (rc)
		return rc;
	qsort(v, count, sizeof(*v), segment_cmp);
	*s = (struct unleash_segments){ v, count };
	*ret = s;
	return 0;
}

static const struct segment *find_segment(const struct unleash_segments *s, int64_t id)
{
	struct segment key = { .id = id };

	return s && s->n ? bsearch(&key, s->v, s->n, sizeof(*s->v), segment_cmp) : NULL;
}

/* --- stickiness, variants --- */

static struct sticky sticky_of(struct compiler *c, str s)
{
	if (!s.len || str_eqz(s, "default"))
		return (struct sticky){ STICKY_DEFAULT, STR_NULL };
	if (str_eqz(s, "random"))
		return (struct sticky){ STICKY_RANDOM, STR_NULL };
	return (struct sticky){ STICKY_FIELD, arena_str(c->a, s) };
}

static int compile_override(struct compiler *c, const struct doc_node *n, struct variant_override *o)
{
	const struct doc_node *values = doc_get(n, "values");
	size_t                 count = seq_len(values);
	str                   *v;

	if (count > UNLEASH_VALUES_MAX)
		return too_many(c, "values of an override", count, UNLEASH_VALUES_MAX);
	v = ARENA_ARRAY(c->a, count + 1, str);
	for (size_t i = 0; v && i < count; i++)
		v[i] = arena_str(c->a, scalar_text(doc_at(values, i)));
	if (arena_check(c->a, "a variant", c->reterr))
		return -c->reterr->code;
	qsort(v, count, sizeof(*v), texts_cmp);
	*o = (struct variant_override){ arena_str(c->a, doc_get_str(n, "contextName")), { v, count } };
	return 0;
}

static uint32_t weight_of(const struct doc_node *n)
{
	double d = doc_get_num(n, "weight", 0);

	return d > 0 ? d > WEIGHT_MAX ? WEIGHT_MAX : (uint32_t)d : 0;
}

static int compile_variant(struct compiler *c, const struct doc_node *n, struct weighted *w)
{
	const struct doc_node   *overrides = doc_get(n, "overrides"), *payload = doc_get(n, "payload");
	size_t                   count = seq_len(overrides);
	struct variant_override *v;
	int                      rc = 0;

	w->shown.name = arena_str(c->a, doc_get_str(n, "name"));
	w->weight = weight_of(n);
	if (payload && payload->kind == DOC_MAP) {
		w->shown.payload.type = arena_str(c->a, doc_get_str(payload, "type"));
		w->shown.payload.value = arena_str(c->a, scalar_text(doc_get(payload, "value")));
	}
	if (count > UNLEASH_CONSTRAINTS_MAX)
		return too_many(c, "overrides of a variant", count, UNLEASH_CONSTRAINTS_MAX);
	v = ARENA_ARRAY(c->a, count + 1, struct variant_override);
	for (size_t i = 0; v && !rc && i < count; i++)
		rc = compile_override(c, doc_at(overrides, i), &v[i]);
	w->overrides = v;
	w->n_overrides = count;
	return rc ? rc : arena_check(c->a, "a variant", c->reterr);
}

/* sticky: empty: that of the first variant. */
static int compile_variants(struct compiler *c, const struct doc_node *n, str sticky, struct variants *ret)
{
	size_t           count = seq_len(n);
	struct weighted *v;
	int              rc = 0;

	if (count > UNLEASH_VARIANTS_MAX)
		return too_many(c, "variants", count, UNLEASH_VARIANTS_MAX);
	v = ARENA_ARRAY(c->a, count + 1, struct weighted);
	for (size_t i = 0; v && !rc && i < count; i++)
		if (!(rc = compile_variant(c, doc_at(n, i), &v[i])))
			ret->total += v[i].weight;
	if (!sticky.len)
		sticky = doc_get_str(doc_at(n, 0), "stickiness");
	ret->v = v;
	ret->n = count;
	ret->sticky = sticky_of(c, sticky);
	return rc ? rc : arena_check(c->a, "variants", c->reterr);
}

/* --- strategies --- */

static enum strategy_kind kind_named(str name)
{
	static const char *const names[] = {
#define X(id, text) text,
		UNLEASH_STRATEGY_TABLE(X)
#undef X
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (str_eqz(name, names[i]))
			return (enum strategy_kind)i;
	return STRATEGY_UNKNOWN;
}

/* A number 0 to 100, given as text or number; buckets are whole, so what is behind the point counts nothing. */
static void read_percent(struct compiler *c, const struct doc_node *parameters, const char *key, struct strategy *s)
{
	str    text = scalar_text(doc_get(parameters, key));
	double d;

	if (!str_to_double(str_trim(text), &d) || isnan(d))
		s->broken = problem(c, "strategy '%.*s': its %s is no number", STR_ARG(str_sub(s->name, 0, 80)), key);
	else
		s->percent = d <= 0 ? 0 : d >= 100 ? 100 : (unsigned)d;
}

static int read_networks(struct compiler *c, str list, struct strategy *s)
{
	struct texts    parts;
	struct network *v;
	int             rc = texts_split(c->a, list, false, &parts, c->reterr);

	if (rc)
		return rc;
	v = ARENA_ARRAY(c->a, parts.n + 1, struct network);
	for (size_t i = 0; v && i < parts.n; i++)
		if (network_parse(parts.v[i], &v[s->n_networks]))
			s->n_networks++;
	s->networks = v;
	return 0;
}

static int read_parameters(struct compiler *c, const struct doc_node *p, struct strategy *s)
{
	str group = scalar_text(doc_get(p, "groupId"));

	s->group = arena_str(c->a, group);
	switch (s->kind) {
	case STRATEGY_USER_WITH_ID:
		return texts_split(c->a, scalar_text(doc_get(p, "userIds")), false, &s->list, c->reterr);
	case STRATEGY_APPLICATION_HOSTNAME:
		return texts_split(c->a, scalar_text(doc_get(p, "hostNames")), true, &s->list, c->reterr);
	case STRATEGY_REMOTE_ADDRESS:
		return read_networks(c, scalar_text(doc_get(p, "IPs")), s);
	case STRATEGY_FLEXIBLE_ROLLOUT:
		if (!group.len)
			s->group = c->f->name;
		s->sticky = sticky_of(c, scalar_text(doc_get(p, "stickiness")));
		read_percent(c, p, "rollout", s);
		return 0;
	case STRATEGY_ROLLOUT_RANDOM:
		s->sticky.kind = STICKY_RANDOM;
		read_percent(c, p, "percentage", s);
		return 0;
	case STRATEGY_ROLLOUT_USER:
	case STRATEGY_ROLLOUT_SESSION:
		s->sticky = (struct sticky){ STICKY_FIELD, s->kind == STRATEGY_ROLLOUT_USER ? STR("userId") : STR("sessionId") };
		read_percent(c, p, "percentage", s);
		return 0;
	case STRATEGY_UNKNOWN:
		s->broken = problem(c, "strategy '%.*s' is not known", STR_ARG(str_sub(s->name, 0, 80)));
		return 0;
	case STRATEGY_DEFAULT:
		return 0;
	}
	return 0;
}

static int read_segments(struct compiler *c, const struct doc_node *n, struct strategy *s)
{
	size_t                 count = seq_len(n);
	const struct segment **v;

	if (count > UNLEASH_CONSTRAINTS_MAX)
		return too_many(c, "segments of a strategy", count, UNLEASH_CONSTRAINTS_MAX);
	v = ARENA_ARRAY(c->a, count + 1, const struct segment *);
	for (size_t i = 0; v && i < count; i++) {
		const struct doc_node *id = doc_at(n, i);

		v[i] = id->kind == DOC_INT ? find_segment(c->segments, id->i) : NULL;
		if (!v[i])
			s->broken = problem(c, "strategy '%.*s': there is no segment %.*s", STR_ARG(str_sub(s->name, 0, 80)), STR_ARG(str_sub(scalar_text(id), 0, 40)));
	}
	s->segments = v;
	s->n_segments = count;
	return arena_check(c->a, "segments of a strategy", c->reterr);
}

static void list_broken(struct compiler *c, const struct constraints *v, const char *of)
{
	for (size_t i = 0; i < v->n; i++)
		if (v->v[i].broken)
			(void)problem(c, "%s: constraint %.*s %.*s: %s", of, STR_ARG(str_sub(v->v[i].field, 0, 80)), STR_ARG(str_sub(v->v[i].op_name, 0, 40)), v->v[i].broken);
}

static int compile_strategy(struct compiler *c, const struct doc_node *n, struct strategy *s)
{
	const struct doc_node *parameters = doc_get(n, "parameters");
	int                    rc;

	s->name = arena_str(c->a, doc_get_str(n, "name"));
	s->kind = kind_named(s->name);
	if ((rc = read_parameters(c, parameters, s)))
		return rc;
	if ((rc = constraints_compile(c->a, doc_get(n, "constraints"), &s->constraints, c->reterr)) || (rc = read_segments(c, doc_get(n, "segments"), s)))
		return rc;
	list_broken(c, &s->constraints, "a strategy");
	for (size_t i = 0; i < s->n_segments; i++)
		if (s->segments[i])
			list_broken(c, &s->segments[i]->constraints, "a segment");
	return compile_variants(c, doc_get(n, "variants"), scalar_text(doc_get(parameters, "stickiness")), &s->variants);
}

static int compile_strategies(struct compiler *c, const struct doc_node *n)
{
	size_t           count = seq_len(n), k = 0;
	struct strategy *v;
	int              rc = 0;

	if (count > UNLEASH_STRATEGIES_MAX)
		return too_many(c, "strategies", count, UNLEASH_STRATEGIES_MAX);
	v = ARENA_ARRAY(c->a, count + 1, struct strategy);
	for (size_t i = 0; v && !rc && i < count; i++)
		if (!doc_get_bool(doc_at(n, i), "disabled", false))
			rc = compile_strategy(c, doc_at(n, i), &v[k++]);
	c->f->strategies = v;
	c->f->n_strategies = k;
	c->f->all_disabled = count && !k;
	return rc;
}

/* --- the rest of a feature --- */

static int compile_dependencies(struct compiler *c, const struct doc_node *n)
{
	size_t                     count = seq_len(n);
	struct unleash_dependency *v;

	if (count > UNLEASH_CONSTRAINTS_MAX)
		return too_many(c, "dependencies", count, UNLEASH_CONSTRAINTS_MAX);
	v = ARENA_ARRAY(c->a, count + 1, struct unleash_dependency);
	for (size_t i = 0; v && i < count; i++) {
		const struct doc_node *one = doc_at(n, i), *names = doc_get(one, "variants");
		str                   *variants = ARENA_ARRAY(c->a, seq_len(names) + 1, str);

		v[i].feature = arena_str(c->a, doc_get_str(one, "feature"));
		v[i].enabled = doc_get_bool(one, "enabled", true);
		for (size_t j = 0; variants && j < seq_len(names); j++)
			variants[j] = arena_str(c->a, scalar_text(doc_at(names, j)));
		v[i].variants = variants;
		v[i].n_variants = variants ? seq_len(names) : 0;
	}
	c->f->dependencies = v;
	c->f->n_dependencies = v ? count : 0;
	return arena_check(c->a, "dependencies", c->reterr);
}

static void number_variants(struct unleash_feature *f, struct variants *v, size_t *at)
{
	v->first = *at;
	for (size_t i = 0; i < v->n; i++)
		f->all[(*at)++] = &v->v[i].shown;
}

static int collect_variants(struct compiler *c)
{
	struct unleash_feature *f = c->f;
	size_t                  n = f->variants.n, at = 0;

	for (size_t i = 0; i < f->n_strategies; i++)
		n += f->strategies[i].variants.n;
	if (!(f->all = ARENA_ARRAY(c->a, n + 1, const struct unleash_variant *)))
		return arena_check(c->a, "variants", c->reterr);
	number_variants(f, &f->variants, &at);
	for (size_t i = 0; i < f->n_strategies; i++)
		number_variants(f, (struct variants *)(uintptr_t)&f->strategies[i].variants, &at);
	f->n_all = n;
	return 0;
}

static bool any_timed(const struct constraints *v)
{
	for (size_t i = 0; i < v->n; i++)
		if (constraint_is_timed(&v->v[i]))
			return true;
	return false;
}

/* A sticky field that a context may lack: a rollout is then off, variants are chosen by chance. */
static bool variants_vary(const struct variants *v)
{
	size_t weighted = 0;

	for (size_t i = 0; i < v->n; i++)
		weighted += v->v[i].weight > 0;
	return weighted > 1;
}

static bool strategy_varies(const struct strategy *s)
{
	bool shared = s->percent > 0 && s->percent < 100 && s->sticky.kind != STICKY_FIELD;

	for (size_t i = 0; i < s->n_segments; i++)
		if (s->segments[i] && any_timed(&s->segments[i]->constraints))
			return true;
	return shared || any_timed(&s->constraints) || variants_vary(&s->variants);
}

static bool feature_varies(const struct unleash_feature *f)
{
	if (!f->enabled)
		return false;
	for (size_t i = 0; i < f->n_strategies; i++)
		if (strategy_varies(&f->strategies[i]))
			return true;
	return variants_vary(&f->variants);
}

int unleash_compile(struct arena *a, str name, const struct doc_node *n, const struct unleash_segments *segments, struct unleash_feature **ret,
					struct err *reterr)
{
	struct unleash_feature *f = ARENA_NEW(a, struct unleash_feature);
	struct err              own;
	struct compiler         c = { .a = a, .segments = segments, .f = f, .end = f ? &f->problems : NULL, .reterr = reterr ? reterr : &own };
	int                     rc;

	if (!f)
		return arena_check(a, "a feature", reterr);
	if (!n || n->kind != DOC_MAP)
		return err_set(reterr, WEIR_EINVAL, "a feature must be a map");
	f->name = arena_str(a, name.ptr ? name : doc_get_str(n, "name"));
	f->enabled = doc_get_bool(n, "enabled", true);
	f->impression_data = doc_get_bool(n, "impressionData", false);
	rc = compile_strategies(&c, doc_get(n, "strategies"));
	if (!rc)
		rc = compile_variants(&c, doc_get(n, "variants"), STR_NULL, &f->variants);
	if (!rc)
		rc = compile_dependencies(&c, doc_get(n, "dependencies"));
	if (!rc)
		rc = collect_variants(&c);
	if (!rc)
		rc = arena_check(a, "a feature", reterr);
	if (rc)
		return rc;
	f->varies = feature_varies(f);
	*ret = f;
	return 0;
}

/* --- what it is --- */

const char *unleash_problem(const struct unleash_feature *f, size_t i)
{
	const struct problem *p = f->problems;

	for (; p && i; i--)
		p = p->next;
	return p ? p->text : NULL;
}

str  unleash_name(const struct unleash_feature *f) { return f->name; }
bool unleash_is_enabled(const struct unleash_feature *f) { return f->enabled; }
bool unleash_impression_data(const struct unleash_feature *f) { return f->impression_data; }
bool unleash_varies(const struct unleash_feature *f) { return f->varies; }
size_t unleash_n_variants(const struct unleash_feature *f) { return f->n_all; }
const struct unleash_variant *unleash_variant_at(const struct unleash_feature *f, size_t i) { return i < f->n_all ? f->all[i] : NULL; }
size_t unleash_n_dependencies(const struct unleash_feature *f) { return f->n_dependencies; }

const struct unleash_dependency *unleash_dependency_at(const struct unleash_feature *f, size_t i)
{
	return i < f->n_dependencies ? &f->dependencies[i] : NULL;
}
