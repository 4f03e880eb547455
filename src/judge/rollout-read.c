/* rollout-read.c - what a rollout's map says in files and requests (see rollout.h): one reader, so that the names are the same for services and flags.
 * Strict: every value is obeyed or refused with its place. Pure; any thread. */
#include "base/base.h"

#include "judge/rollout.h"

static const usec_t sec = USEC_PER_SEC;
static const double share_min = 0.0001; /* what is drawn by is ten-thousandths */

static void read_steps(struct doc_check *c, const struct doc_node *n, struct rollout_plan *r)
{
	if (!doc_is_seq(c, n, "steps"))
		return;
	if (doc_len(n) < 1 || doc_len(n) > ROLLOUT_STEPS_MAX) {
		doc_error(c, n, "steps must be a list of 1 to %d shares", ROLLOUT_STEPS_MAX);
		return;
	}
	r->n_steps = doc_len(n);
	for (size_t i = 0; i < r->n_steps; i++) {
		r->steps[i] = doc_want_share(c, doc_at(n, i), "a step");
		if (r->steps[i] < share_min || (i > 0 && r->steps[i] <= r->steps[i - 1]))
			doc_error(c, doc_at(n, i), "steps must rise and begin at 0.01%% or more");
	}
	if (r->steps[r->n_steps - 1] < 1)
		doc_error(c, doc_at(n, r->n_steps - 1), "the last step must be 100%%");
}

static void read_hold(struct doc_check *c, const struct doc_node *n, struct rollout_plan *r)
{
	static const char *const known[] = { "after", "then", NULL }, *const then[] = { "ask", "roll-back", NULL };

	if (!doc_is_map(c, n, "hold", known))
		return;
	if (doc_get(n, "after"))
		r->hold_after = doc_want_duration(c, doc_get(n, "after"), "after", sec, 30 * 86400 * sec);
	if (doc_get(n, "then"))
		r->hold_rolls_back = doc_want_enum(c, doc_get(n, "then"), "then", then) == 1;
}

static void read_judge(struct doc_check *c, const struct doc_node *n, int64_t clients_max, struct judge_params *p)
{
	const struct {
		const char *key;
		double     *to, min, max;
		bool        share;
	} all[] = {
		{ "worse-alpha", &p->worse_alpha, 1e-9, 0.5, false },   { "good-alpha", &p->good_alpha, 1e-9, 0.5, false },
		{ "tolerance", &p->tolerance, 0.01, 100, false },       { "budget", &p->budget, 1e-6, 0.5, true },
		{ "ignore-below", &p->ignore_below, 0, 1, true },       { "sample-ratio-alpha", &p->srm_alpha, 1e-12, 0.5, false },
		{ "missing-max", &p->missing_max, 0, 1, true },         { "stable-sick", &p->stable_sick, 0, 1, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		const struct doc_node *v = doc_get(n, all[i].key);

		if (!v)
			continue;
		*all[i].to = all[i].share ? doc_want_share(c, v, all[i].key) : doc_want_num(c, v, all[i].key, all[i].min, all[i].max);
		if (all[i].share && !(*all[i].to >= all[i].min && *all[i].to <= all[i].max))
			doc_error(c, v, "%s must be from %g%% to %g%%", all[i].key, all[i].min * 100, all[i].max * 100);
	}
	if (doc_get(n, "clients-min"))
		p->clients_min = (uint32_t)doc_want_int(c, doc_get(n, "clients-min"), "clients-min", 0, clients_max);
}

void rollout_read(struct doc_check *c, const struct doc_node *n, int64_t clients_max, struct rollout_plan *plan, struct judge_params *p)
{
	if (doc_get(n, "steps"))
		read_steps(c, doc_get(n, "steps"), plan);
	if (doc_get(n, "bake"))
		plan->bake = doc_want_duration(c, doc_get(n, "bake"), "bake", 0, 30 * 86400 * sec);
	if (doc_get(n, "hold"))
		read_hold(c, doc_get(n, "hold"), plan);
	read_judge(c, n, clients_max, p);
}
