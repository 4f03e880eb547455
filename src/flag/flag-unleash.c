/* flag-unleash.c - flags of Unleash's kind: OpenFeature's context as Unleash's, Unleash's result as OpenFeature's answer, and the other way round. Pure;
 * any thread, with a scratch arena of its own. */
#include "base/base.h"

#include "base/limits.h"
#include "flag/flag-unleash.h"

/* --- variants --- */

enum flag_type flag_type_of(const struct doc_node *n)
{
	switch (n->kind) {
	case DOC_BOOL:
		return FLAG_BOOL;
	case DOC_INT:
	case DOC_REAL:
		return FLAG_NUMBER;
	case DOC_MAP:
	case DOC_SEQ:
		return FLAG_OBJECT;
	default:
		return FLAG_STRING;
	}
}

static const struct doc_node *payload_value(struct arena *a, const struct unleash_variant *v)
{
	struct doc_node *n = NULL, *text = ARENA_NEW(a, struct doc_node);
	bool             parsed = str_eqz(v->payload.type, "number") || str_eqz(v->payload.type, "json");

	if (parsed && !doc_parse_json(a, "payload", v->payload.value, &n, NULL) && n->kind != DOC_NULL)
		return n;
	if (text)
		*text = (struct doc_node){ .kind = DOC_STR, .s = !v->payload.type.ptr ? v->name : v->payload.value.ptr ? v->payload.value : STR("") };
	return text;
}

bool flag_unleash_variants(const struct unleash_feature *u, struct arena *a, const struct flag_variant_def **ret, size_t *ret_n)
{
	static const struct doc_node on = { .kind = DOC_BOOL, .b = true }, off = { .kind = DOC_BOOL, .b = false };
	size_t                       n = unleash_n_variants(u);
	struct flag_variant_def     *v = ARENA_ARRAY(a, n + 2, struct flag_variant_def);

	if (v && !n) {
		v[0] = (struct flag_variant_def){ STR("on"), &on };
		v[1] = (struct flag_variant_def){ STR("off"), &off };
	}
	for (size_t i = 0; v && i < n; i++) {
		v[i] = (struct flag_variant_def){ unleash_variant_at(u, i)->name, payload_value(a, unleash_variant_at(u, i)) };
		a->failed = a->failed || !v[i].value;
	}
	*ret = v;
	*ret_n = n ? n : 2;
	return !a->failed;
}

/* --- the context --- */

/* A scalar as text: texts as they are, numbers and booleans as JSON has them. False: none of these. */
static bool text_of(const struct flag_context *c, struct logic_value v, str *ret)
{
	struct buf CLEANUP_BUF out = BUF_INIT(64);

	switch (v.kind) {
	case LOGIC_STRING:
		*ret = logic_text(v);
		return true;
	case LOGIC_BOOL:
		*ret = v.b ? STR("true") : STR("false");
		return true;
	case LOGIC_NUMBER:
		if (logic_to_json(v, &out, NULL))
			return false;
		*ret = arena_str(c->scratch, buf_str(&out));
		return ret->ptr != NULL;
	default:
		return false;
	}
}

static bool get(void *ctx, str name, str *ret)
{
	const struct flag_context *c = ctx;
	struct logic_value         v, properties;

	if (logic_get(c->data, name, &v) && text_of(c, v, ret) && ret->len)
		return true;
	if (logic_get(c->data, STR("properties"), &properties) && logic_get(properties, name, &v) && text_of(c, v, ret) && ret->len)
		return true;
	return str_eqz(name, "userId") && logic_get(c->data, STR("targetingKey"), &v) && text_of(c, v, ret);
}

/* --- the answer --- */

static void take(const struct flag *f, const struct unleash_result *r, struct flag_answer *ret)
{
	enum flag_reason reason = r->split ? FLAG_SPLIT : FLAG_TARGETING_MATCH;

	ret->unleash_on = r->enabled;
	ret->by_chance = r->by_chance;
	ret->details = unleash_why_text(r->why);
	if (r->why == UNLEASH_NO_PARENT) {
		ret->reason = FLAG_DISABLED;
	} else if (!unleash_n_variants(f->unleash)) {
		ret->reason = reason;
		ret->variant = &f->variants[r->enabled ? 0 : 1];
	} else if (r->variant) {
		ret->reason = reason;
		ret->variant = &f->variants[r->variant_index];
	} else {
		ret->reason = FLAG_DEFAULT;
	}
}

void flag_unleash_decide(const struct flag *f, const struct flag_context *c, struct unleash_env *env, struct flag_answer *ret)
{
	struct unleash_result r;
	struct err            err = { 0 };

	env->get = get;
	env->get_ctx = (void *)(uintptr_t)c;
	env->now = c->now;
	env->random = c->random;
	env->scratch = c->scratch;
	if (!unleash_evaluate(f->unleash, env, &r, &err)) {
		take(f, &r, ret);
		return;
	}
	ret->reason = FLAG_ERROR;
	ret->error = FLAG_GENERAL;
	ret->details = arena_dupz(c->scratch, err.msg);
	ret->variant = NULL;
}

/* --- as Unleash's clients see it --- */

static void set_payload(const struct flag_variant *v, const struct flag_context *c, struct flag_unleash_answer *ret)
{
	struct doc_node *n;

	ret->payload_value = v->json;
	ret->payload_type = v->type == FLAG_NUMBER ? STR("number") : v->type == FLAG_OBJECT ? STR("json") : STR("string");
	if (v->type == FLAG_STRING && !doc_parse_json(c->scratch, "value", v->json, &n, NULL))
		ret->payload_value = n->s;
}

static const struct unleash_variant *shown(const struct flag_answer *a)
{
	return a->variant ? unleash_variant_at(a->flag->unleash, (size_t)(a->variant - a->flag->variants)) : NULL;
}

void flag_unleash_answer_of(const struct flag_answer *a, const struct flag_context *c, struct flag_unleash_answer *ret)
{
	const struct unleash_variant *v;

	*ret = (struct flag_unleash_answer){ .flag = a->flag, .variant = STR("disabled"), .by_chance = a->by_chance, .reason = a->reason, .error = a->error };
	if (!a->flag || a->error)
		return;
	if (a->flag->unleash) {
		ret->impression_data = unleash_impression_data(a->flag->unleash);
		ret->enabled = a->unleash_on;
		if (!(v = shown(a)))
			return;
		ret->has_variant = true;
		ret->variant = v->name;
		ret->payload_type = v->payload.type;
		ret->payload_value = v->payload.value;
		return;
	}
	ret->enabled = a->variant && (a->variant->type != FLAG_BOOL || str_eqz(a->variant->json, "true"));
	if (!ret->enabled)
		return;
	ret->has_variant = true;
	ret->variant = a->variant->name;
	set_payload(a->variant, c, ret);
}

void flag_evaluate_unleash(const struct flag_set *s, const struct flag *f, const struct flag_context *c, struct flag_unleash_answer *ret)
{
	struct flag_answer a;

	flag_evaluate_one(s, f, c, &a);
	flag_unleash_answer_of(&a, c, ret);
}

/* --- explaining --- */

void flag_unleash_trace(void *ctx, const struct unleash_step *s)
{
	static const char *const kinds[] = { "parent", "strategy", "constraint", "variant" };
	struct jw               *w = ctx;

	jw_obj(w);
	jw_kstrz(w, "step", kinds[s->kind]);
	jw_kint(w, "index", s->index);
	jw_kstr(w, s->kind == UNLEASH_STEP_CONSTRAINT ? "contextName" : "name", s->name);
	if (s->kind == UNLEASH_STEP_CONSTRAINT || s->kind == UNLEASH_STEP_VARIANT)
		jw_kint(w, "strategy", s->strategy);
	if (s->segment >= 0)
		jw_kint(w, "segment", s->segment);
	if (s->op.len)
		jw_kstr(w, "operator", s->op);
	jw_kbool(w, "holds", s->holds);
	if (s->bucket || s->until) {
		jw_kint(w, "bucket", s->bucket);
		jw_kint(w, "until", s->until);
	}
	if (s->why)
		jw_kstrz(w, "why", s->why);
	jw_end(w);
}
