/* rollout.h - the state machine of a rollout, of a release as of a flag's change: state and inputs in, one action out. Pure.
 *
 *   queued -> starting -> canary (steps) -> baking -> finished
 *                 \          \               \           \-> returning -> rolled-back   (by hand, long after)
 *                  \          \               \-> rolled-back
 *                   \----------\-> rolled-back, aborted
 *
 * A first version has no canary: healthy means live, then the bake. Held and paused are no states but reasons not to go on; harm rolls back through both. */
#ifndef WEIR_JUDGE_ROLLOUT_H
#define WEIR_JUDGE_ROLLOUT_H

#include "base/base.h"
#include "base/clock.h"
#include "judge/judge.h"

enum { ROLLOUT_STEPS_MAX = 16 };

struct rollout_plan {
	double steps[ROLLOUT_STEPS_MAX]; /* shares, rising, the last one is 1 */
	size_t n_steps;
	usec_t step_min;        /* no step is shorter, however good the evidence */
	usec_t bake;
	usec_t hold_after;      /* one that waits this long without a verdict ... */
	bool   hold_rolls_back; /* ... is rolled back; else a person is asked: it waits on */
};
/* What a rollout's map says in files and requests: steps, bake, hold, and the judge's parameters. Keys that are absent leave what is there; problems
 * go to c. Which keys there may be is the caller's to check (ROLLOUT_KEYS are those read here). clients_max: the most that clients-min may be. */
#define ROLLOUT_KEYS "steps", "bake", "hold", "budget", "worse-alpha", "good-alpha", "tolerance", "ignore-below", "clients-min", "sample-ratio-alpha", "missing-max", "stable-sick"
void rollout_read(struct doc_check *c, const struct doc_node *n, int64_t clients_max, struct rollout_plan *plan, struct judge_params *p);

enum rollout_state {
	ROLLOUT_NONE,
	ROLLOUT_QUEUED,      /* another release of the service is under way */
	ROLLOUT_STARTING,    /* waiting for its instances to be healthy */
	ROLLOUT_CANARY,      /* gets the share of its step */
	ROLLOUT_BAKING,      /* has all traffic; the old version stays warm */
	ROLLOUT_FINISHED,    /* the service's version, until the next one */
	ROLLOUT_RETURNING,   /* by hand: the version before is being started */
	ROLLOUT_ROLLED_BACK,
	ROLLOUT_ABORTED,     /* rolled back by a person or a newer release, not by evidence */
};
const char *rollout_state_name(enum rollout_state s); /* "rolled-back" */
enum rollout_state rollout_state_find(str name);
bool rollout_over(enum rollout_state s);    /* finished, rolled back, aborted: the next release may begin */

enum rollout_order { ORDER_NONE, ORDER_ABORT, ORDER_PAUSE, ORDER_RESUME, ORDER_PROMOTE, ORDER_ROLL_BACK, ORDER_SUPERSEDE };

struct rollout {
	enum rollout_state state;
	size_t step;             /* index into steps while canary */
	bool   first;            /* no version before it */
	bool   paused, held, asked;
	usec_t entered;          /* the state, or the step */
	usec_t held_since;
	usec_t cannot_since;     /* since when the verdict holds back; 0: it does not */
};
struct rollout_inputs {
	usec_t now;
	const struct rollout_plan *plan;
	usec_t start_within;
	bool   blocked;          /* queued: another one is not over */
	bool   healthy;          /* all its instances answered their health check */
	const char *crash_loop;  /* why an instance died again and again; NULL: none did */
	bool   target_healthy;   /* returning: the version before is healthy */
	enum judge_call call;
	enum judge_why  why;
	bool   enough;           /* canary: as much was seen as its author wants, whatever it proves; goes on when nothing speaks against it */
	enum rollout_order order;
};
enum rollout_act {
	ACT_NONE,
	ACT_REMEMBER,   /* only the rollout's own fields changed (cannot_since) */
	ACT_START,      /* begin to start instances */
	ACT_SHARE,      /* next step's share */
	ACT_PROMOTE,    /* all traffic; the bake begins */
	ACT_FINISH,     /* stop the old version */
	ACT_HOLD,       /* wait, and say why */
	ACT_RESUME,
	ACT_ROLL_BACK,  /* share 0 first */
	ACT_RETURN,     /* begin to start the version before */
	ACT_STAY,       /* returning failed: the present version stays */
	ACT_REFUSE_ORDER, /* the order does not fit the state */
};
struct rollout_step {
	enum rollout_act act;
	struct rollout   next;  /* the rollout afterwards */
	const char      *cause; /* static text */
	bool             order_done; /* the order was obeyed or refused */
};
/* One step at most; call again with the new rollout until ACT_NONE. */
struct rollout_step rollout_next(const struct rollout *r, const struct rollout_inputs *in);

#endif
