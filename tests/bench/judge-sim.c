/* judge-sim.c - simulated releases against the judge: how often a harmless canary is taken back, and how soon a harmful one is.
 *
 * 200 requests/s, canary 5%, base error rate 0.1%, 60 minutes, judged in each second that brought an error. Every request is drawn on its own; the
 * promotion is left out, so that each run has the whole horizon for a false alarm. One thread per world. Prints its seed. */
#include "base/base.h"

#include "base/clock.h"
#include "judge/dedup.h"
#include "judge/judge.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>

enum { RATE = 200, HORIZON_S = 3600 };
static const double share = 0.05;

struct world {
	const char *name;
	double      base, canary;  /* error rates */
	unsigned    rate;          /* requests per second */
	bool        incident;      /* 3 minutes in which both arms fail at 5% */
	double      burst_mean;    /* > 0: an error is a burst of retries by one client on one arm */
	bool        dedup;
	double      false_max;     /* null worlds: bound on the share of rollbacks */
	double      median_s, median_errors; /* harmful ones: what was published (0: not compared) */
};

struct outcome {
	unsigned fired, runs;
	double  *time_s, *errors;
};

struct rng {
	uint64_t s;
};

static uint64_t rng_next(struct rng *r) /* splitmix64 */
{
	uint64_t z = (r->s += 0x9e3779b97f4a7c15ULL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static bool rng_below(struct rng *r, uint64_t threshold)
{
	return rng_next(r) < threshold;
}

static uint64_t threshold_of(double p)
{
	return p >= 1 ? UINT64_MAX : (uint64_t)(p * 18446744073709551615.0);
}

struct run {
	struct judge_segment seg;
	struct judge_dedup  *dedup;
	uint64_t             clients, next_client;
	uint64_t             served; /* canary errors that users saw */
};

static void add_error(struct run *run, const struct world *w, bool canary, usec_t now, struct rng *rng)
{
	uint64_t client = ++run->next_client;
	unsigned n = 1;

	while (w->burst_mean > 0 && !rng_below(rng, threshold_of(1 / w->burst_mean)) && n < 1000)
		n++;
	for (unsigned i = 0; i < n; i++) {
		bool counts = !w->dedup || judge_dedup_count(run->dedup, client, now, 10 * USEC_PER_SEC);

		if (i > 0) { /* a retry is a request too */
			run->seg.requests_canary += canary;
			run->seg.requests_stable += !canary;
		}
		run->seg.failed_canary += canary;
		run->seg.failed_stable += !canary;
		run->seg.errors_canary += canary && counts;
		run->seg.errors_stable += !canary && counts;
		run->served += canary;
	}
	run->clients += canary;
}

/* Returns the second in which the judge took the canary back, or 0. */
static unsigned simulate(const struct world *w, struct run *run, struct rng *rng)
{
	uint64_t to_canary = threshold_of(share), shared = threshold_of(0.05);
	uint64_t bad_canary = threshold_of(w->canary), bad_stable = threshold_of(w->base);
	unsigned incident_at = w->incident ? 60 + (unsigned)(rng_next(rng) % (HORIZON_S - 300)) : HORIZON_S + 1;

	run->seg.canary_share = share;
	for (unsigned t = 1; t <= HORIZON_S; t++) {
		uint64_t before = run->seg.failed_canary + run->seg.failed_stable;
		bool     in_incident = t >= incident_at && t < incident_at + 180;

		for (unsigned i = 0; i < w->rate; i++) {
			bool canary = rng_below(rng, to_canary);

			run->seg.requests_canary += canary;
			run->seg.requests_stable += !canary;
			if (rng_below(rng, in_incident ? shared : canary ? bad_canary : bad_stable))
				add_error(run, w, canary, (usec_t)t * USEC_PER_SEC, rng);
		}
		if (run->seg.failed_canary + run->seg.failed_stable != before) {
			struct judge_input   in = { &run->seg, 1, (uint32_t)run->clients, 0, 0 };
			struct judge_verdict v;
			struct err           e = { 0 };

			if (judge_step(&judge_defaults, &in, &v, &e))
				BUG("%s", e.msg);
			if (v.call == JUDGE_WORSE)
				return t;
		}
	}
	return 0;
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static double median(double *v, unsigned n)
{
	if (n == 0)
		return INFINITY;
	qsort(v, n, sizeof(*v), by_value);
	return v[n / 2];
}

static void run_world(const struct world *w, unsigned runs, uint64_t seed, struct outcome *out)
{
	struct judge_dedup *dedup = calloc(1, sizeof(*dedup));
	struct rng          rng = { seed };

	out->runs = runs;
	out->time_s = calloc(runs, sizeof(double));
	out->errors = calloc(runs, sizeof(double));
	if (!dedup || !out->time_s || !out->errors)
		BUG("out of memory");
	for (unsigned i = 0; i < runs; i++) {
		struct run run = { .dedup = dedup };
		unsigned   t;

		if (w->dedup)
			judge_dedup_init(dedup);
		t = simulate(w, &run, &rng);
		if (t > 0) {
			out->time_s[out->fired] = t;
			out->errors[out->fired++] = (double)run.served;
		}
	}
	free(dedup);
}

/* A row is ok when null worlds keep their bound, and harmful ones are within noise of what was published: detected, and a
 * median time within 35% or 3 seconds. */
static bool report(const struct world *w, struct outcome *o)
{
	double fired = (double)o->fired / o->runs;
	double med = median(o->time_s, o->fired), mean = 0;
	bool   ok;

	for (unsigned i = 0; i < o->fired; i++)
		mean += o->errors[i] / (o->fired ? o->fired : 1);
	if (w->false_max > 0)
		ok = fired <= w->false_max;
	else
		ok = w->median_s == 0 || (fabs(med - w->median_s) <= fmax(3, 0.35 * w->median_s) && fabs(mean - w->median_errors) <= fmax(2, 0.35 * w->median_errors));
	printf("{\"bench\":\"judge\",\"world\":\"%s\",\"runs\":%u,\"fired\":%.4f", w->name, o->runs, fired);
	if (w->false_max > 0)
		printf(",\"false_rollbacks_at_most\":%g", w->false_max);
	else if (o->fired)
		printf(",\"median_s\":%g,\"mean_canary_errors\":%.1f,\"published_s\":%g,\"published_errors\":%g", med, mean, w->median_s, w->median_errors);
	printf(",\"ok\":%s}\n", ok ? "true" : "false");
	fflush(stdout);
	free(o->time_s);
	free(o->errors);
	return ok;
}

static const struct world worlds[] = {
	{ "null: iid 0.1%", 0.001, 0.001, RATE, false, 0, false, 0.01, 0, 0 },
	{ "null: iid 1%", 0.01, 0.01, RATE, false, 0, false, 0.01, 0, 0 },
	{ "null: shared 3-min incident 5%", 0.001, 0.001, RATE, true, 0, false, 0.01, 0, 0 },
	{ "null: bursts of mean 5, de-duplicated", 0.001, 0.001, RATE, false, 5, true, 0.01, 0, 0 },
	{ "bursts of mean 5, raw (why de-duplication)", 0.001, 0.001, RATE, false, 5, false, 0, 0, 0 },
	{ "harm: 100% errors", 0.001, 1, RATE, false, 0, false, 0, 1, 10 },
	{ "harm: x100 (10%)", 0.001, 0.1, RATE, false, 0, false, 0, 2, 3 },
	{ "harm: x20 (2%)", 0.001, 0.02, RATE, false, 0, false, 0, 16, 4 },
	{ "harm: x5 (0.5%)", 0.001, 0.005, RATE, false, 0, false, 0, 144, 8 },
	{ "harm: x2 (0.2%)", 0.001, 0.002, RATE, false, 0, false, 0, 1657, 35 },
	{ "harm: x2 at 2,000 rps", 0.001, 0.002, 10 * RATE, false, 0, false, 0, 162, 36 },
};

struct job {
	size_t         at;
	unsigned       runs;
	uint64_t       seed;
	struct outcome out;
};

static void *job_main(void *arg)
{
	struct job *j = arg;

	run_world(&worlds[j->at], j->runs, j->seed + j->at, &j->out);
	return NULL;
}

int main(int argc, char **argv)
{
	uint64_t   runs = 2000, seed = 20261124;
	bool       ok = true;
	struct job job[ARRAY_SIZE(worlds)];

	if ((argc > 1 && !str_to_u64(str_z(argv[1]), &runs)) || (argc > 2 && !str_to_u64(str_z(argv[2]), &seed)) || runs < 1 || runs > 1000000) {
		fprintf(stderr, "usage: judge-sim [RUNS [SEED]]\n");
		return 2;
	}
	fprintf(stderr, "judge-sim: %" PRIu64 " runs per world, seed %" PRIu64 "\n", runs, seed);
	for (size_t i = 0; i < ARRAY_SIZE(worlds); i += 2) { /* two worlds at a time */
		pthread_t th[2];
		size_t    n = ARRAY_SIZE(worlds) - i < 2 ? 1 : 2;

		for (size_t k = 0; k < n; k++) {
			job[i + k] = (struct job){ .at = i + k, .runs = (unsigned)runs, .seed = seed };
			if (pthread_create(&th[k], NULL, job_main, &job[i + k]))
				BUG("cannot start a thread");
		}
		for (size_t k = 0; k < n; k++) {
			pthread_join(th[k], NULL);
			ok = report(&worlds[i + k], &job[i + k].out) && ok;
		}
	}
	return ok ? 0 : 1;
}
