/* judge.h - decides from counts whether a canary is worse than the stable arm, good enough, or cannot be judged.
 *
 * Pure: no clock, no I/O, no allocation. Every function may run on any thread.
 * Method: label test, an e-process over "which arm did this error land in" (Lindon and Malek 2022); docs/explanation/judge.md derives it
 * and names its weak spots. */
#ifndef WEIR_JUDGE_JUDGE_H
#define WEIR_JUDGE_JUDGE_H

#include "base/base.h"
#include "base/err.h"
#include "doc/doc.h"

enum { JUDGE_SEGMENTS_MAX = 64 };

/* A stretch of time with one canary weight. */
struct judge_segment {
	double   canary_share; /* w, 0 < w < 1: probability that a request is routed to the canary */
	uint64_t errors_canary, errors_stable;     /* after de-duplication by client and 10 s */
	uint64_t requests_canary, requests_stable; /* all requests, for rates and the sample-ratio guard */
	uint64_t failed_canary, failed_stable;     /* failed requests before de-duplication */
};

struct judge_params {
	double   worse_alpha;       /* 0.01: chance of a false rollback over the whole release */
	double   good_alpha;        /* 0.05: chance of promoting harm beyond the tolerance */
	double   tolerance;         /* d = 1: a rate ratio of 1+d or more is harm */
	double   budget;            /* 0.01: a canary error rate of this or more is harm */
	double   ignore_below;      /* 0.001: no rollback for an estimated canary error rate below it */
	uint32_t clients_min;       /* 2: distinct clients that must have seen canary errors */
	double   srm_alpha;         /* 0.0001: sample-ratio guard */
	double   missing_max;       /* 0.01: share of all requests whose records are missing, past which nothing is judged */
	double   stable_sick;       /* 0.2: the stable arm's own error rate past which nothing is judged; 0: never */
};
extern const struct judge_params judge_defaults;
MUST_CHECK int judge_params_check(const struct judge_params *p, struct err *reterr);

struct judge_input {
	const struct judge_segment *seg;
	size_t   n_seg;
	uint32_t clients_canary;    /* distinct clients with canary errors */
	uint64_t missing_records;   /* requests known from HAProxy's counters only; the segments' requests include them */
	/* Index of the first segment whose evidence counts for promotion out of the present weight (evidence for harm always counts whole). */
	size_t   good_from;
};

enum judge_call { JUDGE_UNDECIDED, JUDGE_WORSE, JUDGE_WORSE_HOLD, JUDGE_GOOD, JUDGE_CANNOT };
enum judge_why  { JUDGE_WHY_NONE, JUDGE_WHY_LABEL_TEST, JUDGE_WHY_FEW_CLIENTS, JUDGE_WHY_BELOW_IGNORE, JUDGE_WHY_RELATIVE,
                  JUDGE_WHY_ABSOLUTE, JUDGE_WHY_SAMPLE_RATIO, JUDGE_WHY_MISSING, JUDGE_WHY_NO_TRAFFIC, JUDGE_WHY_STABLE_SICK,
                  JUDGE_WHY_FEW_STABLE }; /* numbers are stored: append only */

struct judge_verdict { /* complete enough to recompute it together with segments and params */
	enum judge_call call;
	enum judge_why  why;
	double log_e_worse, threshold_worse;       /* natural logs; fires when >= */
	double log_e_relative, log_e_absolute, threshold_good;
	double log_e_srm, threshold_srm;
	double rate_canary, rate_stable;           /* de-duplicated errors per request, estimates */
	double ratio_low, ratio_high;              /* confidence sequence for the rate ratio at worse_alpha; INFINITY when open */
	double missing_share;
};
const char *judge_call_name(enum judge_call c); /* "undecided", "worse", "worse-hold", "good", "cannot-judge" */
const char *judge_why_text(enum judge_why w);   /* "more errors on the canary than chance explains", ... */

/* Judges all segments of one release together. `p` must have passed judge_params_check(). Segments with share 0 carry no evidence.
 * A segment with share 1 says that nothing stands beside the new version any more (the bake, or a first version): then only the budget is asked, in both
 * directions, from the requests and failed requests (not de-duplicated errors) of such segments; GOOD, WORSE (the rate excludes the budget from below),
 * WORSE_HOLD (seen by fewer than clients_min), UNDECIDED or CANNOT.
 * Returns 0 and fills *ret, or -WEIR_EINVAL with *reterr when a segment is impossible (share outside [0,1], more errors than requests, too many
 * segments), or when more is missing than there was. */
MUST_CHECK int judge_step(const struct judge_params *p, const struct judge_input *in, struct judge_verdict *ret, struct err *reterr);

/* Fewest canary-only errors that fire the label test at share w. */
unsigned judge_fewest_errors(const struct judge_params *p, double w);

/* JSON of the evidence (segments, params, verdict) as stored in events, and its reading back; `weir judge replay`. */
void judge_write_evidence(struct jw *w, const struct judge_params *p, const struct judge_input *in, const struct judge_verdict *v);
MUST_CHECK int judge_read_evidence(const struct doc_node *n, struct judge_params *ret_p, struct judge_segment ret_seg[JUDGE_SEGMENTS_MAX],
                                   struct judge_input *ret_in, struct judge_verdict *ret_v, struct err *reterr);

#endif
