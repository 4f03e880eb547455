/* judge.c - the arithmetic of judge.h: e-processes over the label of each error, over clean requests, and over the labels of all requests.
 *
 * Everything is kept as natural logarithms and added with log-sum-exp, so that neither a million errors nor none overflow.
 * Pure; any thread. docs/explanation/judge.md derives the formulas. */
#include "base/base.h"

#include "judge/judge.h"

#include <math.h>

const struct judge_params judge_defaults = {
	.worse_alpha = 0.01,
	.good_alpha = 0.05,
	.tolerance = 1,
	.budget = 0.01,
	.ignore_below = 0.001,
	.clients_min = 2,
	.srm_alpha = 0.0001,
	.missing_max = 0.01,
	.stable_sick = 0.2,
};

/* Rate ratios that harm is looked for at: from just above nothing to a canary on which everything fails. */
static const double worse_grid[] = { 1.1, 1.25, 1.5, 2, 3, 5, 8, 15, 30, 80, 200, 500 };
static const double good_grid[] = { 1, 0.7 };
static const double srm_grid[] = { 1.02, 1.05, 1.1, 1.25, 1.5, 2, 4, 1 / 1.02, 1 / 1.05, 1 / 1.1, 1 / 1.25, 1 / 1.5, 0.5, 0.25 };
/* Below the budget: mostly "nothing fails", so that a clean canary needs little more than ln(1/a)/budget requests; the others keep a
 * single failure from ending the hope. Parts of the budget and their weights. */
static const struct {
	double part, weight;
} below_budget[] = { { 0, 0.8 }, { 0.1, 0.1 }, { 0.25, 0.05 }, { 0.5, 0.05 } };
static const double over_budget[] = { 2, 5, 10, 30, 98 }; /* multiples of the budget, cut at 0.98 */

#define MIN_STABLE_REQUESTS 50 /* before this many nobody can say whether the stable arm is sick, so nothing is called good either */

static double log_sum_exp(const double *x, size_t n)
{
	double max = -INFINITY, sum = 0;

	for (size_t i = 0; i < n; i++)
		if (x[i] > max)
			max = x[i];
	if (isinf(max))
		return max;
	for (size_t i = 0; i < n; i++)
		sum += exp(x[i] - max);
	return max + log(sum);
}

/* What is seen of one kind of thing (errors, requests) in one segment. */
struct labels {
	double   w;
	uint64_t canary, stable;
};

/* ln of L(theta)/L(theta0) over all labels. */
static double log_ratio(const struct labels *l, size_t n, double theta, double theta0)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++) {
		double all = (double)l[i].canary + (double)l[i].stable;

		if (all > 0)
			sum += (double)l[i].canary * log(theta / theta0)
			       - all * log((1 - l[i].w + l[i].w * theta) / (1 - l[i].w + l[i].w * theta0));
	}
	return sum;
}

/* ln of the mean over the grid, each point a multiple of `scale`, against theta0. */
static double log_mixture(const struct labels *l, size_t n, const double *grid, size_t n_grid, double scale, double theta0)
{
	double x[ARRAY_SIZE(srm_grid)];

	if (n_grid > ARRAY_SIZE(x))
		BUG("grid of %zu points", n_grid);
	for (size_t i = 0; i < n_grid; i++)
		x[i] = log_ratio(l, n, grid[i] * scale, theta0);
	return log_sum_exp(x, n_grid) - log((double)n_grid);
}

static double log_worse(const struct labels *l, size_t n)
{
	return log_mixture(l, n, worse_grid, ARRAY_SIZE(worse_grid), 1, 1);
}

static size_t labels_of_errors(const struct judge_input *in, size_t from, struct labels *out)
{
	size_t n = 0;

	for (size_t i = from; i < in->n_seg; i++)
		if (in->seg[i].canary_share > 0 && in->seg[i].canary_share < 1)
			out[n++] = (struct labels){ in->seg[i].canary_share, in->seg[i].errors_canary, in->seg[i].errors_stable };
	return n;
}

static size_t labels_of_requests(const struct judge_input *in, struct labels *out)
{
	size_t n = 0;

	for (size_t i = 0; i < in->n_seg; i++)
		if (in->seg[i].canary_share > 0 && in->seg[i].canary_share < 1)
			out[n++] = (struct labels){ in->seg[i].canary_share, in->seg[i].requests_canary, in->seg[i].requests_stable };
	return n;
}

/* Confidence sequence: each side at alpha/2, the grid scaled to the ratio that is tried. The e-value falls as theta0 grows (low side) or
 * rises (high side), so the border is found by halving. */
enum { RATIO_STEPS = 40 };
static const double ratio_min = 1e-4, ratio_max = 1e4;

static double log_side(const struct labels *l, size_t n, double theta0, bool low)
{
	double grid[ARRAY_SIZE(worse_grid)];

	for (size_t i = 0; i < ARRAY_SIZE(grid); i++)
		grid[i] = low ? worse_grid[i] : 1 / worse_grid[i];
	return log_mixture(l, n, grid, ARRAY_SIZE(grid), theta0, theta0);
}

static double ratio_border(const struct labels *l, size_t n, double threshold, bool low)
{
	double in = low ? log(ratio_max) : log(ratio_min); /* not excluded */
	double out = low ? log(ratio_min) : log(ratio_max); /* excluded */

	if (log_side(l, n, exp(out), low) < threshold)
		return low ? 0 : INFINITY;
	for (unsigned i = 0; i < RATIO_STEPS; i++) {
		double mid = (in + out) / 2;

		if (log_side(l, n, exp(mid), low) < threshold)
			in = mid;
		else
			out = mid;
	}
	return exp(out);
}

/* H0 "the error rate is budget or more": k failures among n. */
static double log_below_budget(double budget, uint64_t n, uint64_t k)
{
	double x[ARRAY_SIZE(below_budget)];

	for (size_t i = 0; i < ARRAY_SIZE(below_budget); i++) {
		double q = below_budget[i].part * budget;

		x[i] = log(below_budget[i].weight) + (double)(n - k) * (log1p(-q) - log1p(-budget));
		if (k > 0)
			x[i] = q > 0 ? x[i] + (double)k * log(q / budget) : -INFINITY;
	}
	return log_sum_exp(x, ARRAY_SIZE(x));
}

/* H0 "the error rate is budget or less". */
static double log_over_budget(double budget, uint64_t n, uint64_t k)
{
	double x[ARRAY_SIZE(over_budget)];

	for (size_t i = 0; i < ARRAY_SIZE(over_budget); i++) {
		double q = fmax(fmin(over_budget[i] * budget, 0.98), budget);

		x[i] = (double)(n - k) * (log1p(-q) - log1p(-budget)) + (double)k * log(q / budget);
	}
	return log_sum_exp(x, ARRAY_SIZE(x)) - log((double)ARRAY_SIZE(x));
}

static bool within(double x, double min, double max)
{
	return x >= min && x <= max; /* false for NaN */
}

int judge_params_check(const struct judge_params *p, struct err *reterr)
{
	const struct {
		const char *name;
		double      value, min, max;
	} all[] = {
		{ "worse-alpha", p->worse_alpha, 1e-9, 0.5 },   { "good-alpha", p->good_alpha, 1e-9, 0.5 },
		{ "tolerance", p->tolerance, 0.01, 100 },       { "budget", p->budget, 1e-6, 0.5 },
		{ "ignore-below", p->ignore_below, 0, 1 },      { "srm-alpha", p->srm_alpha, 1e-12, 0.5 },
		{ "missing-max", p->missing_max, 0, 1 },        { "stable-sick", p->stable_sick, 0, 1 },
		{ "clients-min", p->clients_min, 0, 1000000 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (!within(all[i].value, all[i].min, all[i].max))
			return err_set(reterr, WEIR_EINVAL, "%s is %g: it must be from %g to %g", all[i].name, all[i].value, all[i].min, all[i].max);
	return 0;
}

static int check_segment(const struct judge_segment *s, size_t i, struct err *reterr)
{
	if (!within(s->canary_share, 0, 1))
		return err_set(reterr, WEIR_EINVAL, "segment %zu: canary share %g is outside 0 to 1", i + 1, s->canary_share);
	if (s->errors_canary > s->requests_canary || s->errors_stable > s->requests_stable
	    || s->failed_canary > s->requests_canary || s->failed_stable > s->requests_stable)
		return err_set(reterr, WEIR_EINVAL, "segment %zu: more errors than requests", i + 1);
	return 0;
}

struct totals {
	uint64_t requests_c, requests_s, errors_c, errors_s, failed_c, failed_s;
	uint64_t good_requests_c, good_failed_c;
	uint64_t all; /* requests of all segments, also those without two arms */
	uint64_t alone_requests, alone_failed; /* where the canary had all traffic */
	bool     alone;
};

static uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static void add_up(const struct judge_input *in, struct totals *t)
{
	for (size_t i = 0; i < in->n_seg; i++) {
		const struct judge_segment *s = &in->seg[i];

		t->all += s->requests_canary + s->requests_stable;
		if (s->canary_share >= 1) {
			t->alone = true;
			t->alone_requests += s->requests_canary;
			t->alone_failed += s->failed_canary;
		}
		if (s->canary_share <= 0 || s->canary_share >= 1)
			continue;
		t->requests_c += s->requests_canary;
		t->requests_s += s->requests_stable;
		t->errors_c += s->errors_canary;
		t->errors_s += s->errors_stable;
		t->failed_c += max_u64(s->failed_canary, s->errors_canary);
		t->failed_s += max_u64(s->failed_stable, s->errors_stable);
		if (i >= in->good_from) {
			t->good_requests_c += s->requests_canary;
			t->good_failed_c += max_u64(s->failed_canary, s->errors_canary);
		}
	}
}

static double share_of(double part, double whole)
{
	return whole > 0 ? part / whole : 0;
}

static bool stable_is_sick(const struct judge_params *p, const struct totals *t)
{
	return t->requests_s >= MIN_STABLE_REQUESTS && p->stable_sick > 0 && (double)t->failed_s >= p->stable_sick * (double)t->requests_s;
}

/* Nothing is wrong and the old version is not known to be sick: good enough to go on? */
static void decide_good(const struct judge_params *p, const struct totals *t, struct judge_verdict *v)
{
	bool good = v->log_e_relative >= v->threshold_good || v->log_e_absolute >= v->threshold_good;

	v->call = JUDGE_UNDECIDED;
	v->why = JUDGE_WHY_NONE;
	if (good && p->stable_sick > 0 && t->requests_s < MIN_STABLE_REQUESTS) {
		v->why = JUDGE_WHY_FEW_STABLE;
	} else if (good) {
		v->call = JUDGE_GOOD;
		v->why = v->log_e_relative >= v->threshold_good ? JUDGE_WHY_RELATIVE : JUDGE_WHY_ABSOLUTE;
	}
}

/* The decision, from numbers that are already in *v. */
static void decide(const struct judge_params *p, const struct judge_input *in, const struct totals *t, struct judge_verdict *v)
{
	v->call = JUDGE_CANNOT;
	if (v->missing_share > p->missing_max) {
		v->why = JUDGE_WHY_MISSING;
	} else if (v->log_e_srm >= v->threshold_srm) {
		v->why = JUDGE_WHY_SAMPLE_RATIO;
	} else if (v->log_e_worse >= v->threshold_worse) {
		/* A share of failed requests below ignore_below is shown and holds the promotion, but is not worth taking a change back for. */
		v->call = JUDGE_WORSE_HOLD;
		if (share_of((double)t->failed_c, (double)t->requests_c) < p->ignore_below) {
			v->why = JUDGE_WHY_BELOW_IGNORE;
		} else if (in->clients_canary < p->clients_min) {
			v->why = JUDGE_WHY_FEW_CLIENTS;
		} else {
			v->call = JUDGE_WORSE;
			v->why = JUDGE_WHY_LABEL_TEST;
		}
	} else if (t->requests_c + t->requests_s == 0) {
		v->why = JUDGE_WHY_NO_TRAFFIC;
	} else if (stable_is_sick(p, t)) {
		v->why = JUDGE_WHY_STABLE_SICK;
	} else {
		decide_good(p, t, v);
	}
}

/* Nothing stands beside the canary: the budget alone, in both directions. */
static void judge_alone(const struct judge_params *p, const struct judge_input *in, const struct totals *t, struct judge_verdict *v)
{
	uint64_t n = t->alone_requests, k = t->alone_failed;

	v->ratio_high = INFINITY;
	v->log_e_worse = log_over_budget(p->budget, n, k);
	v->log_e_absolute = log_below_budget(p->budget, n, k);
	v->rate_canary = share_of((double)k, (double)n);
	v->call = JUDGE_CANNOT;
	if (n == 0) {
		v->why = JUDGE_WHY_NO_TRAFFIC;
	} else if (v->missing_share > p->missing_max) {
		v->why = JUDGE_WHY_MISSING;
	} else if (v->log_e_worse >= v->threshold_worse) {
		v->call = in->clients_canary < p->clients_min ? JUDGE_WORSE_HOLD : JUDGE_WORSE;
		v->why = in->clients_canary < p->clients_min ? JUDGE_WHY_FEW_CLIENTS : JUDGE_WHY_ABSOLUTE;
	} else {
		v->call = v->log_e_absolute >= v->threshold_good ? JUDGE_GOOD : JUDGE_UNDECIDED;
		v->why = v->call == JUDGE_GOOD ? JUDGE_WHY_ABSOLUTE : JUDGE_WHY_NONE;
	}
}

/* Against the old version, on the same traffic. */
static void judge_beside(const struct judge_params *p, const struct judge_input *in, const struct totals *t, struct judge_verdict *v)
{
	struct labels l[JUDGE_SEGMENTS_MAX] = { 0 };
	size_t        n = labels_of_errors(in, 0, l);

	v->log_e_worse = log_worse(l, n);
	v->ratio_low = ratio_border(l, n, -log(p->worse_alpha / 2), true);
	v->ratio_high = ratio_border(l, n, -log(p->worse_alpha / 2), false);
	n = labels_of_errors(in, in->good_from, l);
	v->log_e_relative = log_mixture(l, n, good_grid, ARRAY_SIZE(good_grid), 1, 1 + p->tolerance);
	v->log_e_absolute = log_below_budget(p->budget, t->good_requests_c, t->good_failed_c);
	n = labels_of_requests(in, l);
	v->log_e_srm = log_mixture(l, n, srm_grid, ARRAY_SIZE(srm_grid), 1, 1);
	v->rate_canary = share_of((double)t->errors_c, (double)t->requests_c);
	v->rate_stable = share_of((double)t->errors_s, (double)t->requests_s);
	decide(p, in, t, v);
}

int judge_step(const struct judge_params *p, const struct judge_input *in, struct judge_verdict *ret, struct err *reterr)
{
	struct totals        t = { 0 };
	struct judge_verdict v = { .threshold_worse = -log(p->worse_alpha), .threshold_good = -log(p->good_alpha), .threshold_srm = -log(p->srm_alpha) };

	if (in->n_seg > JUDGE_SEGMENTS_MAX)
		return err_set(reterr, WEIR_EINVAL, "%zu segments: at most %d", in->n_seg, JUDGE_SEGMENTS_MAX);
	for (size_t i = 0; i < in->n_seg; i++)
		if (check_segment(&in->seg[i], i, reterr))
			return -WEIR_EINVAL;
	add_up(in, &t);
	if (in->missing_records > t.all)
		return err_set(reterr, WEIR_EINVAL, "more records are missing (%llu) than there were requests (%llu)",
		               (unsigned long long)in->missing_records, (unsigned long long)t.all);
	v.missing_share = share_of((double)in->missing_records, (double)t.all);
	(t.alone ? judge_alone : judge_beside)(p, in, &t, &v);
	*ret = v;
	return 0;
}

unsigned judge_fewest_errors(const struct judge_params *p, double w)
{
	enum { TRIES = 100000 };

	if (!(w > 0 && w < 1))
		return 0; /* no error carries evidence there */
	for (unsigned k = 1; k < TRIES; k++) {
		struct labels l = { w, k, 0 };

		if (log_worse(&l, 1) >= -log(p->worse_alpha))
			return k;
	}
	return TRIES;
}

const char *judge_call_name(enum judge_call c)
{
	switch (c) {
	case JUDGE_UNDECIDED: return "undecided";
	case JUDGE_WORSE: return "worse";
	case JUDGE_WORSE_HOLD: return "worse-hold";
	case JUDGE_GOOD: return "good";
	case JUDGE_CANNOT: return "cannot-judge";
	}
	return "undecided";
}

const char *judge_why_text(enum judge_why w)
{
	switch (w) {
	case JUDGE_WHY_NONE: return "not enough evidence yet";
	case JUDGE_WHY_LABEL_TEST: return "more errors on the new version than chance explains";
	case JUDGE_WHY_FEW_CLIENTS: return "more errors on the new version, but seen by too few clients";
	case JUDGE_WHY_BELOW_IGNORE: return "more errors on the new version, but fewer than are worth a rollback";
	case JUDGE_WHY_RELATIVE: return "harm beyond the tolerance is excluded against the old version";
	case JUDGE_WHY_ABSOLUTE: return "by the error budget";
	case JUDGE_WHY_SAMPLE_RATIO: return "requests were not divided as stated: the routing is at fault";
	case JUDGE_WHY_MISSING: return "too many request records are missing";
	case JUDGE_WHY_NO_TRAFFIC: return "no requests";
	case JUDGE_WHY_STABLE_SICK: return "the old version fails itself";
	case JUDGE_WHY_FEW_STABLE: return "good so far, but the old version answered too few requests to know that it is not sick itself";
	}
	return "not enough evidence yet";
}
