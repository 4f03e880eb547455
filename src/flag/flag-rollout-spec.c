/* flag-rollout-spec.c - what the author of a guarded rollout asks for, read strictly; and the texts that a flag has while it runs. Pure; any thread. */
#include "base/base.h"

#include "flag/rollout-room.h"

#include <math.h>

static const usec_t sec = USEC_PER_SEC;

/* --- outcomes --- */

static double bound(struct doc_check *c, const struct doc_node *n, const char *key, double otherwise)
{
	return doc_get(n, key) ? doc_want_num(c, doc_get(n, key), key, -1e15, 1e15) : otherwise;
}

static void read_outcome(struct doc_check *c, const struct doc_node *n, struct flag_outcome *o)
{
	static const char *const keys[] = { "name", "failure", "min", "max", NULL };

	*o = (struct flag_outcome){ .min = -INFINITY, .max = INFINITY };
	if (n->kind == DOC_STR) {
		o->name = n->s;
	} else if (doc_is_map(c, n, "an outcome", keys)) {
		o->name = doc_want_str(c, doc_need(c, n, "name"), "name");
		o->failure = doc_want_bool(c, doc_get(n, "failure"), "failure");
		o->min = bound(c, n, "min", -INFINITY);
		o->max = bound(c, n, "max", INFINITY);
	}
	if (o->name.ptr && !flag_key_ok(o->name))
		doc_error(c, n, "the name of an outcome must be 1 to %d bytes of UTF-8 without control characters", LIMIT_FLAG_KEY_BYTES);
	if (o->min > o->max)
		doc_error(c, n, "min must not be above max");
}

static void read_outcomes(struct doc_check *c, const struct doc_node *n, struct rollout_spec *s)
{
	if (!n || !doc_is_seq(c, n, "outcomes"))
		return;
	if (doc_len(n) < 1 || doc_len(n) > FLAG_OUTCOMES_MAX) {
		doc_error(c, n, "outcomes must be a list of 1 to %d", FLAG_OUTCOMES_MAX);
		return;
	}
	for (size_t i = 0; i < doc_len(n); i++) {
		read_outcome(c, doc_at(n, i), &s->outcomes[i]);
		for (size_t k = 0; k < i; k++)
			if (str_eq(s->outcomes[k].name, s->outcomes[i].name))
				doc_error(c, doc_at(n, i), "outcome '%.*s' is there twice", STR_ARG(str_sub(s->outcomes[i].name, 0, 80)));
	}
	s->n_outcomes = doc_len(n);
}

/* --- the whole --- */

void rollout_spec_read(struct doc_check *c, const struct doc_node *n, struct rollout_spec *ret)
{
	*ret = (struct rollout_spec){ .plan = { .steps = { 0.01, 0.1, 0.5, 1 }, .n_steps = 4, .bake = 600 * sec, .hold_after = 900 * sec }, .judge = judge_defaults,
								  .salt = STR("") };
	rollout_read(c, n, LIMIT_FLAG_USERS, &ret->plan, &ret->judge);
	if (ret->plan.n_steps > FLAG_STEPS_MAX)
		doc_error(c, doc_get(n, "steps"), "a flag's rollout has at most %d steps", FLAG_STEPS_MAX);
	if (doc_get(n, "step-min"))
		ret->plan.step_min = doc_want_duration(c, doc_get(n, "step-min"), "step-min", 0, 30 * 86400 * sec);
	if (doc_get(n, "enough"))
		ret->enough = (uint64_t)doc_want_int(c, doc_get(n, "enough"), "enough", 1, LIMIT_FLAG_USERS);
	if (doc_get(n, "salt"))
		ret->salt = doc_want_str(c, doc_get(n, "salt"), "salt");
	if (doc_get(n, "salt") && !flag_key_ok(ret->salt))
		doc_error(c, doc_get(n, "salt"), "salt must be 1 to %d bytes of UTF-8 without control characters", LIMIT_FLAG_KEY_BYTES);
	read_outcomes(c, doc_need(c, n, "outcomes"), ret);
}

void rollout_spec_write(const struct doc_node *n, struct jw *w)
{
	static const char *const keys[] = { ROLLOUT_SPEC_KEYS };

	jw_obj(w);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (doc_get(n, keys[i])) {
			jw_key(w, keys[i]);
			jw_node(w, doc_get(n, keys[i]));
		}
	jw_end(w);
}

/* --- texts --- */

static int parse(struct arena *a, str text, struct doc_node **ret, struct err *reterr)
{
	int rc = doc_parse_json(a, "definition", text, ret, reterr);

	return !rc && (*ret)->kind != DOC_MAP ? err_set(reterr, WEIR_EINVAL, "a definition must be a map") : rc;
}

static void write_members(struct jw *w, const struct doc_node *n, const char *but)
{
	for (size_t i = 0; i < doc_len(n); i++)
		if (!str_eqz(n->map.pairs[i].key, but)) {
			jw_key_n(w, n->map.pairs[i].key);
			jw_node(w, n->map.pairs[i].value);
		}
}

int rollout_text(struct arena *a, str previous, str next, const char *id, str salt, double share, str *ret, struct err *reterr)
{
	struct buf CLEANUP_BUF out = BUF_INIT(4 * LIMIT_FLAG_BYTES);
	struct doc_node       *n;
	struct jw              w;
	int                    rc = parse(a, next, &n, reterr);

	if (rc)
		return rc;
	jw_init(&w, &out);
	jw_obj(&w);
	write_members(&w, n, "weir");
	jw_key(&w, "weir");
	jw_obj(&w);
	write_members(&w, doc_get(n, "weir"), "rollout");
	jw_key(&w, "rollout");
	jw_obj(&w);
	jw_kstrz(&w, "id", id);
	jw_key(&w, "previous");
	jw_raw(&w, previous);
	jw_knum(&w, "share", share);
	jw_kstr(&w, "salt", salt);
	jw_end(&w);
	jw_end(&w);
	jw_end(&w);
	*ret = arena_str(a, buf_str(&out));
	if ((rc = buf_check(&out, "a flag's definitions", reterr)) || (rc = arena_check(a, "a flag's definitions", reterr)))
		return rc;
	if (ret->len > LIMIT_FLAG_BYTES)
		return err_set(reterr, WEIR_ELIMIT, "the old and the new definition together are %zu bytes; a flag has at most %d: change it without a rollout", ret->len, LIMIT_FLAG_BYTES);
	return 0;
}

int rollout_off_text(struct arena *a, str definition, str *ret, struct err *reterr)
{
	struct buf CLEANUP_BUF out = BUF_INIT(4 * LIMIT_FLAG_BYTES);
	struct doc_node       *n;
	struct jw              w;
	int                    rc = parse(a, definition, &n, reterr);

	if (rc)
		return rc;
	jw_init(&w, &out);
	jw_obj(&w);
	for (size_t i = 0; i < doc_len(n); i++) {
		jw_key_n(&w, n->map.pairs[i].key);
		if (str_eqz(n->map.pairs[i].key, "state"))
			jw_strz(&w, "DISABLED");
		else
			jw_node(&w, n->map.pairs[i].value);
	}
	jw_end(&w);
	*ret = arena_str(a, buf_str(&out));
	return (rc = buf_check(&out, "a flag's definition", reterr)) ? rc : arena_check(a, "a flag's definition", reterr);
}

/* What a definition says beside its state and its rollout, in one form for all ways to write it. */
static str essence(struct arena *a, const struct doc_node *n)
{
	struct buf CLEANUP_BUF out = BUF_INIT(4 * LIMIT_FLAG_BYTES), canonical = BUF_INIT(4 * LIMIT_FLAG_BYTES);
	const struct doc_node *weir = doc_get(n, "weir");
	struct doc_node       *again;
	struct jw              w;

	jw_init(&w, &out);
	jw_obj(&w);
	for (size_t i = 0; i < doc_len(n); i++) {
		const struct doc_pair *p = &n->map.pairs[i];

		if (str_eqz(p->key, "state") || str_eqz(p->key, "weir"))
			continue;
		jw_key_n(&w, p->key);
		jw_node(&w, p->value);
	}
	if (doc_len(weir) > (doc_get(weir, "rollout") ? 1U : 0U)) { /* an empty one says nothing */
		jw_key(&w, "weir");
		jw_obj(&w);
		write_members(&w, weir, "rollout");
		jw_end(&w);
	}
	jw_end(&w);
	if (doc_parse_json(a, "definition", buf_str(&out), &again, NULL))
		return STR_NULL;
	doc_canonical(again, &canonical);
	return arena_str(a, buf_str(&canonical));
}

bool rollout_switches_off(str running, str text)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(64 << 20);
	struct doc_node           *was, *n;
	str                        wanted, canary, stable;

	if (parse(&a, running, &was, NULL) || parse(&a, text, &n, NULL) || !str_eqz(doc_get_str(n, "state"), "DISABLED"))
		return false;
	wanted = essence(&a, n);
	canary = essence(&a, was);
	stable = essence(&a, doc_path(was, "weir.rollout.previous"));
	return wanted.len && (str_eq(wanted, canary) || str_eq(wanted, stable));
}

str rollout_previous(struct arena *a, str running)
{
	struct buf CLEANUP_BUF out = BUF_INIT(4 * LIMIT_FLAG_BYTES);
	const struct doc_node *previous;
	struct doc_node       *n;
	struct jw              w;

	if (parse(a, running, &n, NULL) || !(previous = doc_path(n, "weir.rollout.previous")))
		return STR_NULL;
	jw_init(&w, &out);
	jw_node(&w, previous);
	return arena_str(a, buf_str(&out));
}
