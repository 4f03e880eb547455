/* flag-stale.c - may a flag go? (see flag-stale.h). Pure; any thread, with an arena of its own. */
#include "base/base.h"

#include "base/limits.h"
#include "flag/flag-stale.h"

#define USEC_PER_DAY (86400 * USEC_PER_SEC)
enum { RULE_DEPTH_MAX = 64, NODES_ARENA_MAX = 64 << 20 };

const char *flag_stale_name(enum flag_stale_kind k)
{
	static const char *const names[] = { "never-evaluated", "rolled-out", "expired" };

	return names[k];
}

/* --- what a rule can give --- */

struct only {
	str  variant; /* STR_NULL: none seen yet */
	str  otherwise; /* for null */
	bool several;
};

static void gives(struct only *o, str variant)
{
	if (!variant.ptr || (o->variant.ptr && !str_eq(o->variant, variant)))
		o->several = true;
	o->variant = variant;
}

static void look(struct only *o, const struct doc_node *n, int depth);

/* {"if": [condition, then, condition, then, ..., otherwise]} */
static void look_if(struct only *o, const struct doc_node *args, int depth)
{
	size_t n = doc_len(args);

	if (!args || args->kind != DOC_SEQ || !n) {
		o->several = true;
		return;
	}
	for (size_t i = 1; i < n; i += 2)
		look(o, doc_at(args, i), depth);
	if (n % 2)
		look(o, doc_at(args, n - 1), depth);
	else
		gives(o, o->otherwise);
}

/* {"fractional": [value?, ["on", 5], ["off", 95]]}: variants with a weight. */
static void look_fractional(struct only *o, const struct doc_node *args)
{
	bool any = false;

	if (!args || args->kind != DOC_SEQ) {
		o->several = true;
		return;
	}
	for (size_t i = 0; i < doc_len(args); i++) {
		const struct doc_node *part = doc_at(args, i), *weight = doc_at(part, 1), *name = doc_at(part, 0);

		if (part->kind != DOC_SEQ) {
			if (i) /* the value to divide by comes first only */
				o->several = true;
			continue;
		}
		if (weight && weight->kind == DOC_INT && weight->i == 0)
			continue;
		if (!name || name->kind != DOC_STR || (weight && weight->kind != DOC_INT))
			o->several = true;
		else
			gives(o, name->s);
		any = true;
	}
	o->several |= !any;
	gives(o, o->otherwise); /* to a context without what is divided by */
}

static void look(struct only *o, const struct doc_node *n, int depth)
{
	if (!n || depth > RULE_DEPTH_MAX)
		o->several = true;
	else if (n->kind == DOC_STR)
		gives(o, n->s);
	else if (n->kind == DOC_BOOL)
		gives(o, n->b ? STR("true") : STR("false"));
	else if (n->kind == DOC_NULL)
		gives(o, o->otherwise);
	else if (n->kind == DOC_MAP && doc_len(n) == 1 && str_eqz(n->map.pairs[0].key, "if"))
		look_if(o, n->map.pairs[0].value, depth + 1);
	else if (n->kind == DOC_MAP && doc_len(n) == 1 && str_eqz(n->map.pairs[0].key, "fractional"))
		look_fractional(o, n->map.pairs[0].value);
	else
		o->several = true;
}

str flag_rule_only(const struct doc_node *targeting, str default_variant)
{
	struct only o = { .variant = STR_NULL, .otherwise = default_variant };

	look(&o, targeting, 0);
	return o.several ? STR_NULL : o.variant;
}

/* The one variant of a flag with a rule; STR_NULL: several. In a. */
static str only_variant(const struct flag *f, struct arena *a)
{
	struct arena CLEANUP_ARENA nodes = ARENA_INIT(NODES_ARENA_MAX);
	struct doc_node           *n = NULL;
	str                        otherwise = f->default_variant < 0 ? STR_NULL : f->variants[f->default_variant].name, only;

	if (doc_parse_json(&nodes, "flag", f->text, &n, NULL) || !doc_get(n, "targeting"))
		return STR_NULL;
	only = flag_rule_only(doc_get(n, "targeting"), otherwise);
	for (size_t i = 0; only.ptr && i < f->n_variants; i++) /* a name that is no variant is an error for everybody, not a value */
		if (str_eq(f->variants[i].name, only))
			return arena_str(a, only);
	return STR_NULL;
}

/* --- the three ways to be stale --- */

static usec_t latest(usec_t a, usec_t b) { return a > b ? a : b; }
static int days_since(const struct flag_stale_facts *f, usec_t t) { return (int)((f->now - t) / USEC_PER_DAY); }

static void found(struct flag_stale *s, enum flag_stale_kind k, const char *why)
{
	s->is[k] = true;
	s->why[k] = why;
}

static const char *when(struct arena *a, usec_t t)
{
	char text[CLOCK_RFC3339_SIZE];

	return arena_printf(a, "%.10s", clock_rfc3339(t, text));
}

static void judge_use(const struct flag_stale_facts *f, struct arena *a, struct flag_stale *s)
{
	usec_t window = (usec_t)f->days * USEC_PER_DAY, since = f->now - window, counted = latest(f->began, f->dropped);

	if (f->asked >= since && f->asked)
		return;
	if (f->created > since) /* too young to be missed */
		return;
	if (!f->began || counted > since) {
		if (!f->bulk || f->bulk < since)
			s->unknown = f->dropped > f->began ? arena_printf(a, "whether it is asked for: some uses of this set were not counted on %s", when(a, f->dropped))
					   : f->began          ? arena_printf(a, "whether it is asked for: uses are counted since %s only, less than %d days", when(a, f->began), f->days)
										   : "whether it is asked for: uses are not counted yet";
		return;
	}
	if (f->needed) /* it is looked at whenever the flags that need it are */
		return;
	if (!f->bulk || f->bulk < since)
		found(s, FLAG_STALE_NEVER,
			  !f->asked && !f->bulk ? arena_printf(a, "nobody asked for it since %s", when(a, latest(f->created, counted)))
									: arena_printf(a, "nobody asked for it since %s (%d days)", when(a, latest(f->asked, f->bulk)), days_since(f, latest(f->asked, f->bulk))));
	else if (f->code_known && !f->references)
		found(s, FLAG_STALE_NEVER, arena_printf(a, "it is handed out with the whole set, but nobody asked for it by name for %d days and no code of the project names it", f->days));
	else if (!f->code_known)
		s->unknown = "whether it is asked for: it is handed out with the whole set, and which flags of it a client reads is not seen";
}

/* Why everybody gets the same; NULL: they do not, or it cannot be said. */
static const char *same_for_all(const struct flag_stale_facts *f, struct arena *a)
{
	const struct flag *g = f->flag;
	str                only;
	int64_t            sum = 0;

	if (!g->enabled)
		return "it is switched off for everybody";
	if (g->broken || g->from || g->until || g->n_prerequisites) /* what it gives depends on more than its rule */
		return NULL;
	if (!g->rule && !g->unleash)
		return g->default_variant < 0 ? "it has no rule and no default variant: everybody gets the default in the code"
									  : arena_printf(a, "it has no rule: everybody gets '%.*s'", STR_ARG(str_sub(g->variants[g->default_variant].name, 0, 80)));
	only = g->unleash ? STR_NULL : only_variant(g, a); /* strategies of Unleash's kind are judged by what they gave */
	if (only.ptr)
		return arena_printf(a, "its rule can give one variant only: everybody gets '%.*s'", STR_ARG(str_sub(only, 0, 80)));
	if (latest(f->began, f->dropped) > f->now - (usec_t)f->days * USEC_PER_DAY)
		return NULL;
	for (size_t i = 0; i < f->n_uses; i++) {
		if (i && !str_eq(f->uses[i].variant, f->uses[0].variant))
			return NULL;
		sum += f->uses[i].asked + f->uses[i].bulk;
	}
	if (sum < FLAG_STALE_ENOUGH || !f->uses[0].variant.len)
		return NULL;
	return arena_printf(a, "all %lld answers of %d days were '%.*s'", (long long)sum, f->days, STR_ARG(str_sub(f->uses[0].variant, 0, 80)));
}

static void judge_rollout(const struct flag_stale_facts *f, struct arena *a, struct flag_stale *s)
{
	const char *why;

	if (f->flag->purpose == FLAG_PURPOSE_OPERATIONAL || f->flag->purpose == FLAG_PURPOSE_PERMISSION)
		return;
	if (f->changed > f->now - (usec_t)f->days * USEC_PER_DAY || !(why = same_for_all(f, a)))
		return;
	found(s, FLAG_STALE_ROLLED_OUT, arena_printf(a, "%s, and it did not change since %s (%d days)", why, when(a, f->changed), days_since(f, f->changed)));
}

static void judge_expiry(const struct flag_stale_facts *f, struct arena *a, struct flag_stale *s)
{
	if (f->flag->expires && f->now >= f->flag->expires)
		found(s, FLAG_STALE_EXPIRED, arena_printf(a, "its last day was %s", when(a, f->flag->expires - 1)));
}

static const char *advice(const struct flag_stale_facts *f, const struct flag_stale *s, struct arena *a)
{
	const char *keep = s->is[FLAG_STALE_ROLLED_OUT] ? " (keep the way that everybody gets)" : "";

	if (f->needed)
		return "take it out of the prerequisites of other flags first";
	if (f->references)
		return arena_printf(a, "remove %zu reference%s from the code%s, release that, then remove the flag", f->references, f->references == 1 ? "" : "s", keep);
	if (f->code_known)
		return "no code of the project names it: remove the flag";
	return arena_printf(a, "remove it from the code%s, then remove the flag", keep);
}

bool flag_stale_judge(const struct flag_stale_facts *f, struct arena *a, struct flag_stale *ret)
{
	bool any = false;

	*ret = (struct flag_stale){ .todo = NULL };
	if (f->flag->archived) /* somebody let it go already */
		return false;
	judge_use(f, a, ret);
	judge_rollout(f, a, ret);
	judge_expiry(f, a, ret);
	for (int k = 0; k < FLAG_STALE_KINDS; k++)
		any |= ret->is[k];
	if (any)
		ret->todo = advice(f, ret, a);
	return any;
}
