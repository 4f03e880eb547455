/* latency.h - how long answers took, as a histogram: exact to the millisecond up to 20 ms, then in steps of a tenth. Pure; any thread.
 *
 * Shown beside the judge's evidence, not judged: docs/explanation/judge.md says why. */
#ifndef WEIR_RELEASE_LATENCY_H
#define WEIR_RELEASE_LATENCY_H

#include "base/base.h"
#include "base/err.h"
#include "doc/doc.h"

enum { LATENCY_BUCKETS = 160 }; /* the last one begins at about 3 hours */

struct latency {
	uint64_t n;
	uint64_t bucket[LATENCY_BUCKETS];
};

void latency_add(struct latency *l, uint64_t ms);
/* Milliseconds that a share q of the answers took at most, rounded up to the end of its step; -1: there was no answer. */
double latency_quantile(const struct latency *l, double q);
/* {"answers", "p50_ms", "p95_ms"}; the last two are absent without answers. */
void latency_write_summary(struct jw *w, const struct latency *l);
/* The histogram as a list of bucket, count, ...; and back (unknown buckets are dropped). */
void latency_write(struct jw *w, const struct latency *l);
void latency_read(const struct doc_node *list, struct latency *ret);

#endif
