/* flag-rollout.h - a flag's change that goes to its users by steps: who gets it, and what happened to them. Pure.
 *
 * Who: bucket = first 64 bits of SHA-256(salt, 0, targetingKey) as a share of 2^64; a context gets the new definition while its bucket is below the share.
 * So growing keeps everybody who has it, taking back begins with those who came last, and the same salt brings the same ones again.
 *
 * What happened: the unit of evidence is the user (a targetingKey), not the request, because the arm is drawn once per user: a user with a broken
 * account fails again and again in the same arm, and would count as many errors of that arm. Per step each user counts once as a request (at the first
 * outcome after an exposure) and at most once as an error. Given all that was seen before, the arm of a user at step k is a draw of its own with a share
 * that is known: w_k for one who never counted, (w_k - w_j) / (1 - w_j) for one who last counted as stable at step j. Each pair (j, k) is a
 * segment of its own for the judge. Who counted as canary before stays there and draws no more: such a user counts in no later step but the last, which
 * asks for the error budget alone. docs/explanation/judge.md. */
#ifndef WEIR_FLAG_FLAG_ROLLOUT_H
#define WEIR_FLAG_FLAG_ROLLOUT_H

#include "base/base.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/str.h"
#include "doc/doc.h"
#include "judge/judge.h"

uint64_t flag_bucket(str salt, str targeting_key);
bool     flag_in_canary(uint64_t bucket, double share);

enum {
	FLAG_STEPS_MAX = 10,   /* with the last, 100%: 9 * 10 / 2 pairs of steps and one segment of the last are 46, the judge takes 64 */
	FLAG_PARTS = 64,       /* users are stored in parts by their bucket, so that little is written when few did something */
	FLAG_OUTCOMES_MAX = 8, /* names of one rollout */
};

/* What an event of the application means. */
struct flag_outcome {
	str    name;
	bool   failure;  /* the event itself is a failure, unless it says ok: true */
	double min, max; /* a value outside is a failure; -INFINITY, INFINITY: none */
};
enum flag_ok { FLAG_OK_UNSAID, FLAG_OK_TRUE, FLAG_OK_FALSE };
/* NAN: no value. */
bool flag_outcome_failed(const struct flag_outcome *o, enum flag_ok ok, double value);

struct flag_user {
	uint64_t bucket;  /* 0: a free slot */
	uint8_t  exposed; /* step of the last evaluation, + 1; 0: none was seen */
	uint8_t  counted; /* last step in which it counted, + 1 */
	uint8_t  before;  /* step in which it counted as stable before that one, + 1: the pair's first */
	uint8_t  flags;
};
struct flag_track {
	struct flag_user *users;  /* LIMIT_FLAG_USERS * 2 slots */
	size_t            n;
	uint64_t          crowded; /* events of users for whom there was no room: independent of the arm */
	uint64_t          dirty;  /* a bit per part that changed since it was stored */
	bool              changed; /* some count did */
	double            steps[FLAG_STEPS_MAX];
	size_t            n_steps;
	struct judge_segment seg[JUDGE_SEGMENTS_MAX]; /* by flag_track_segment() */
	uint64_t          exposures, outcomes;        /* events that were taken */
	uint64_t          unexposed;                  /* outcomes of users of whom no evaluation was seen: they do not count */
	uint64_t          canary_users;               /* that counted at the present or a former step */
	uint64_t          canary_failed;              /* users with canary errors */
};
MUST_CHECK int flag_track_init(struct flag_track *t, const double *steps, size_t n_steps, struct err *reterr);
void flag_track_fini(struct flag_track *t);
/* The user evaluated the flag while `step` was in force. */
void flag_track_exposed(struct flag_track *t, uint64_t bucket, size_t step);
/* Something happened to the user. The arm is that of the last exposure. Returns true when it counted as a new error. */
bool flag_track_outcome(struct flag_track *t, uint64_t bucket, bool failed);
/* Was an evaluation of this user seen? */
bool flag_track_knows(const struct flag_track *t, uint64_t bucket);
/* Users that counted as canary at this step. */
uint64_t flag_track_canary_at(const struct flag_track *t, size_t step);
/* Index of the segment of users that counted as stable at step j - 1 (j = 0: never) and count at step k >= j. */
size_t flag_track_segment(size_t j, size_t k);
/* What the judge is asked with at `step` (the last one: the bake, with its own segment alone). seg: room for the segments, which *ret refers to. */
void flag_track_input(const struct flag_track *t, size_t step, struct judge_segment seg[JUDGE_SEGMENTS_MAX], struct judge_input *ret);

/* Storing: the counts as JSON, the users of a part as bytes. */
void flag_track_write(const struct flag_track *t, struct jw *w);
MUST_CHECK int flag_track_read(struct flag_track *t, const struct doc_node *n, struct err *reterr);
/* Appends the users of the parts in `which` (a bit each) to their bufs, in one pass. */
MUST_CHECK int flag_track_parts(const struct flag_track *t, uint64_t which, struct buf out[FLAG_PARTS], struct err *reterr);
MUST_CHECK int flag_track_part_read(struct flag_track *t, str bytes, struct err *reterr);

#endif
