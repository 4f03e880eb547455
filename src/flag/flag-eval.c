/* flag-eval.c - what a context gets of a flag, and why (see flag-eval.h). Pure; any thread, with a scratch arena of its own. */
#include "base/base.h"

#include "base/limits.h"
#include "flag/flag-eval.h"
#include "flag/flag-rollout.h"
#include "flag/flag-unleash.h"

const char *flag_reason_name(enum flag_reason r)
{
	static const char *const names[] = { "STATIC", "DEFAULT", "TARGETING_MATCH", "SPLIT", "DISABLED", "ERROR" };

	return names[r];
}

const char *flag_error_name(enum flag_error e)
{
	static const char *const names[] = { "", "FLAG_NOT_FOUND", "PARSE_ERROR", "TYPE_MISMATCH", "TARGETING_KEY_MISSING", "INVALID_CONTEXT", "GENERAL" };

	return names[e];
}

struct evaluation {
	const struct flag_set     *set;
	const struct flag_context *c;
	unsigned                   depth; /* of prerequisites */
	uint64_t                   steps; /* left, of the flag and of all that it needs together */
	void (*trace)(void *ctx, const struct logic_step *s);
	void *trace_ctx;
};

static void evaluate(struct evaluation *e, const struct flag *f, struct flag_answer *ret);

static void fail(struct flag_answer *ret, enum flag_error error, const char *details)
{
	ret->reason = FLAG_ERROR;
	ret->error = error;
	ret->details = details;
	ret->variant = NULL;
}

static void serve_default(struct flag_answer *ret, enum flag_reason reason)
{
	ret->reason = ret->flag->default_variant < 0 ? FLAG_DEFAULT : reason;
	ret->variant = ret->flag->default_variant < 0 ? NULL : &ret->flag->variants[ret->flag->default_variant];
}

/* --- off? --- */

static bool is_on(struct evaluation *e, const struct flag_prerequisite *p)
{
	const struct flag *f = flag_set_find(e->set, p->flag);
	struct flag_answer answer;

	if (!f || f->archived || e->depth >= LIMIT_FLAG_CHAIN) /* checked when written; a set must not hang on what was not */
		return false;
	/* Flags that need each other many ways are looked at as often: these looks are counted as a small rule. */
	e->steps -= e->steps < LIMIT_FLAG_LOOK_STEPS ? e->steps : LIMIT_FLAG_LOOK_STEPS;
	if (!e->steps)
		return false;
	e->depth++;
	evaluate(e, f, &answer);
	e->depth--;
	for (size_t i = 0; answer.variant && i < p->n_variants; i++)
		if (str_eq(answer.variant->name, p->variants[i]))
			return true;
	return false;
}

static const char *why_off(struct evaluation *e, const struct flag *f)
{
	if (!f->enabled)
		return "the flag is switched off";
	if (f->from && e->c->now < f->from)
		return "the flag's time has not come";
	if (f->until && e->c->now >= f->until)
		return "the flag's time is over";
	for (size_t i = 0; i < f->n_prerequisites; i++)
		if (!is_on(e, &f->prerequisites[i]))
			return arena_printf(e->c->scratch, "prerequisite '%.*s' is on none of the variants that this flag needs",
								STR_ARG(f->prerequisites[i].flag));
	return NULL;
}

/* --- the rule --- */

static const struct flag_variant *variant_named(const struct flag *f, str name)
{
	for (size_t i = 0; i < f->n_variants; i++)
		if (str_eq(f->variants[i].name, name))
			return &f->variants[i];
	return NULL;
}

/* The name that a rule's result stands for; STR_NULL: for none. */
static str name_of(struct logic_value v, char *text, size_t size)
{
	switch (v.kind) {
	case LOGIC_STRING:
		return logic_text(v);
	case LOGIC_BOOL:
		return v.b ? STR("true") : STR("false");
	case LOGIC_NUMBER:
		snprintf(text, size, "%.17g", v.n);
		return str_z(text);
	default:
		return STR_NULL;
	}
}

static void take_result(struct evaluation *e, struct logic_value v, struct flag_answer *ret)
{
	char text[40];
	str  name;

	if (v.kind == LOGIC_NULL) {
		serve_default(ret, FLAG_DEFAULT);
		return;
	}
	name = name_of(v, text, sizeof(text));
	ret->variant = variant_named(ret->flag, name);
	ret->reason = FLAG_TARGETING_MATCH;
	if (!ret->variant)
		fail(ret, FLAG_GENERAL, name.ptr ? arena_printf(e->c->scratch, "the rule gives '%.*s', which is no variant of the flag",
														STR_ARG(str_sub(name, 0, 100)))
										 : "the rule gives a list or a map, which names no variant");
}

static void evaluate_rule(struct evaluation *e, const struct flag *f, struct flag_answer *ret)
{
	struct logic_env env = {
		.data = e->c->data,
		.flag_key = f->key,
		.timestamp = (double)(e->c->now / USEC_PER_SEC),
		.scratch = e->c->scratch,
		.steps_left = &e->steps,
		.limits = { .bytes_max = LIMIT_FLAG_SCRATCH_BYTES },
		.trace = e->depth ? NULL : e->trace, /* of the flag that was asked for, not of those it needs */
		.trace_ctx = e->trace_ctx,
	};
	struct logic_value v;
	struct err         err = { 0 };

	if (logic_eval(f->rule, &env, &v, &err))
		fail(ret, FLAG_GENERAL, arena_dupz(e->c->scratch, err.msg));
	else
		take_result(e, v, ret);
}

const struct flag *flag_arm(const struct flag *f, const struct flag_context *c)
{
	struct logic_value v;

	if (!f->arms)
		return f;
	if (!logic_get(c->data, STR("targetingKey"), &v) || v.kind != LOGIC_STRING || !v.len)
		return f->arms->stable; /* nothing says that the same one would get the same again */
	return flag_in_canary(flag_bucket(f->arms->salt, logic_text(v)), f->arms->share) ? f->arms->canary : f->arms->stable;
}

/* --- Unleash's kind --- */

/* What a parent says; a parent of flagd's kind counts as flag_evaluate_unleash() tells. */
static bool ask_parent(void *ctx, str name, struct unleash_parent *ret)
{
	struct evaluation         *e = ctx;
	const struct flag         *f = flag_set_find(e->set, name);
	struct flag_unleash_answer said;
	struct flag_answer         answer;

	if (!f || e->depth >= LIMIT_FLAG_CHAIN)
		return false;
	ret->dependent = f->unleash && unleash_n_dependencies(f->unleash) > 0;
	if (ret->dependent)
		return true;
	e->depth++;
	evaluate(e, f, &answer);
	e->depth--;
	flag_unleash_answer_of(&answer, e->c, &said);
	ret->enabled = said.enabled;
	ret->variant = said.variant;
	return true;
}

static void evaluate_unleash(struct evaluation *e, const struct flag *f, struct flag_answer *ret)
{
	struct unleash_env env = { .parent = ask_parent, .parent_ctx = e, .steps_left = &e->steps };

	if (e->trace && !e->depth) {
		env.trace = flag_unleash_trace;
		env.trace_ctx = e->trace_ctx;
	}
	flag_unleash_decide(f, e->c, &env, ret);
}

static void evaluate(struct evaluation *e, const struct flag *f, struct flag_answer *ret)
{
	f = flag_arm(f, e->c);
	*ret = (struct flag_answer){ .flag = f };
	if (f->broken) {
		fail(ret, FLAG_PARSE_ERROR, f->broken);
	} else if ((ret->details = why_off(e, f))) {
		ret->reason = FLAG_DISABLED;
		if (!e->steps)
			fail(ret, FLAG_GENERAL, "the flag and those that it needs take too many steps");
	} else if (f->unleash) {
		evaluate_unleash(e, f, ret);
	} else if (f->rule) {
		evaluate_rule(e, f, ret);
	} else {
		serve_default(ret, FLAG_STATIC);
	}
}

void flag_evaluate_one(const struct flag_set *s, const struct flag *f, const struct flag_context *c, struct flag_answer *ret)
{
	struct evaluation e = { .set = s, .c = c, .steps = LIMIT_FLAG_STEPS };

	evaluate(&e, f, ret);
	if (c->spent)
		*c->spent += LIMIT_FLAG_STEPS - e.steps;
}

static bool fits(const struct flag_variant *v, enum flag_type want)
{
	if (want == FLAG_INTEGER)
		return v->type == FLAG_NUMBER && v->whole;
	return want == FLAG_ANY || v->type == want;
}

void flag_evaluate(const struct flag_set *s, str key, enum flag_type want, const struct flag_context *c, struct flag_answer *ret)
{
	const struct flag *f = flag_set_find(s, key);

	if (f && f->archived)
		f = NULL;
	*ret = (struct flag_answer){ .flag = f };
	if (!f) {
		fail(ret, FLAG_NOT_FOUND, "there is no such flag");
		return;
	}
	flag_evaluate_one(s, f, c, ret);
	if (ret->variant && !fits(ret->variant, want))
		fail(ret, FLAG_TYPE_MISMATCH, arena_printf(c->scratch, "the flag's values are of type %s, not %s", flag_type_name(ret->variant->type), flag_type_name(want)));
}

/* --- explaining --- */

static void explain_step(void *ctx, const struct logic_step *s)
{
	struct jw             *w = ctx;
	struct buf CLEANUP_BUF json = BUF_INIT(4096);

	jw_obj(w);
	if (s->evaluator.len)
		jw_kstr(w, "evaluator", s->evaluator);
	jw_kint(w, "line", s->line);
	jw_kint(w, "col", s->col);
	jw_kint(w, "depth", s->depth);
	jw_kstrz(w, "operator", s->op);
	if (s->failed) {
		jw_kbool(w, "failed", true);
	} else {
		jw_key(w, "value");
		if (logic_to_json(s->value, &json, NULL))
			jw_strz(w, "(too large to show)");
		else
			jw_raw(w, buf_str(&json));
	}
	jw_end(w);
}

static void write_answer(const struct flag_answer *a, struct jw *w)
{
	jw_kstrz(w, "reason", flag_reason_name(a->reason));
	if (a->variant) {
		jw_kstr(w, "variant", a->variant->name);
		jw_key(w, "value");
		jw_raw(w, a->variant->json);
	}
	if (a->error)
		jw_kstrz(w, "errorCode", flag_error_name(a->error));
	if (a->details)
		jw_kstrz(w, "details", a->details);
}

static void explain_arm(const struct flag *f, const struct flag_answer *a, struct jw *w)
{
	jw_key(w, "rollout");
	jw_obj(w);
	jw_kstr(w, "id", f->arms->rollout);
	jw_kstrz(w, "arm", a->flag == f->arms->canary ? "canary" : "stable");
	jw_knum(w, "share", f->arms->share);
	jw_end(w);
}

int flag_explain(const struct flag_set *s, str key, const struct flag_context *c, struct jw *w, struct err *reterr)
{
	const struct flag *f = flag_set_find(s, key);
	struct evaluation  e = { .set = s, .c = c, .steps = LIMIT_FLAG_STEPS, .trace = explain_step, .trace_ctx = w };
	struct flag_answer answer;

	if (!f)
		return err_set(reterr, WEIR_ENOENT, "set %.*s has no flag '%.*s'", STR_ARG(flag_set_head(s)->id), STR_ARG(str_sub(key, 0, 100)));
	if (f->archived)
		return err_set(reterr, WEIR_ENOENT, "flag '%.*s' of set %.*s is archived: it is not served", STR_ARG(str_sub(key, 0, 100)), STR_ARG(flag_set_head(s)->id));
	jw_obj(w);
	jw_kstr(w, "key", f->key);
	jw_kstr(w, "set", flag_set_head(s)->id);
	jw_kint(w, "revision", flag_set_head(s)->revision);
	jw_key(w, "steps");
	jw_arr(w);
	evaluate(&e, f, &answer);
	jw_end(w);
	write_answer(&answer, w);
	if (f->arms)
		explain_arm(f, &answer, w);
	jw_end(w);
	return 0;
}
