/* dedup.h - counts an error once per client and stretch of time, so that retries of one client are one piece of evidence.
 *
 * The arm of the FIRST error of a stretch is the label of the whole stretch: under "same rate" it is the canary with probability w, which is
 * what the label test needs. (Counting once per client and arm would favour the canary: a burst nearly always touches both arms.)
 * Pure and without allocation: a fixed table; when it is full of live entries a further client is not counted, which can only
 * delay a verdict. Not thread-safe. */
#ifndef WEIR_JUDGE_DEDUP_H
#define WEIR_JUDGE_DEDUP_H

#include "base/base.h"
#include "base/clock.h"

enum { JUDGE_DEDUP_SLOTS = 16384, JUDGE_DEDUP_PROBES = 32 };

struct judge_dedup {
	struct {
		uint64_t client; /* hash of the client key; 0: free */
		usec_t   until;
	} slot[JUDGE_DEDUP_SLOTS];
	uint64_t crowded; /* errors not counted because the table was full around them */
};

void judge_dedup_init(struct judge_dedup *d);
/* True when the error at `now` counts: the first of this client for `window`. */
bool judge_dedup_count(struct judge_dedup *d, uint64_t client, usec_t now, usec_t window);

#endif
