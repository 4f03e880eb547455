/* latency.c - the histogram of latency.h. Adding costs one logarithm; a histogram is two and a half kilobytes. */
#include "base/base.h"

#include "release/latency.h"

#include <math.h>

enum { EXACT_MS = 20 };
static const double step = 1.1;

void latency_add(struct latency *l, uint64_t ms)
{
	double at = ms <= EXACT_MS ? (double)ms : EXACT_MS + ceil(log((double)ms / EXACT_MS) / log(step));

	l->bucket[at < LATENCY_BUCKETS ? (size_t)at : LATENCY_BUCKETS - 1]++;
	l->n++;
}

/* The longest answer that belongs to a bucket. */
static double end_of(size_t i)
{
	return i <= EXACT_MS ? (double)i : floor(EXACT_MS * pow(step, (double)(i - EXACT_MS)));
}

double latency_quantile(const struct latency *l, double q)
{
	uint64_t before = 0;

	if (!l->n)
		return -1;
	for (size_t i = 0; i < LATENCY_BUCKETS; i++) {
		before += l->bucket[i];
		if ((double)before >= q * (double)l->n)
			return end_of(i);
	}
	return end_of(LATENCY_BUCKETS - 1);
}

void latency_write_summary(struct jw *w, const struct latency *l)
{
	jw_obj(w);
	jw_kint(w, "answers", (int64_t)l->n);
	if (l->n) {
		jw_kint(w, "p50_ms", (int64_t)latency_quantile(l, 0.5));
		jw_kint(w, "p95_ms", (int64_t)latency_quantile(l, 0.95));
	}
	jw_end(w);
}

void latency_write(struct jw *w, const struct latency *l)
{
	jw_arr(w);
	for (size_t i = 0; i < LATENCY_BUCKETS; i++)
		if (l->bucket[i]) {
			jw_int(w, (int64_t)i);
			jw_int(w, (int64_t)l->bucket[i]);
		}
	jw_end(w);
}

void latency_read(const struct doc_node *list, struct latency *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i + 1 < doc_len(list); i += 2) {
		const struct doc_node *at = doc_at(list, i), *n = doc_at(list, i + 1);

		if (at->kind != DOC_INT || n->kind != DOC_INT || at->i < 0 || at->i >= LATENCY_BUCKETS || n->i < 0)
			continue;
		ret->bucket[at->i] = (uint64_t)n->i;
		ret->n += (uint64_t)n->i;
	}
}
