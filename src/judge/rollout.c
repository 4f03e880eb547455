/* rollout.c - the transitions of rollout.h. Pure; any thread. Order of questions in every state: what a person asked, what harms users, what is over, what goes on. */
#include "base/base.h"

#include "judge/rollout.h"

/* A verdict that cannot be given holds the release only when it stays so: the first seconds of a step always lack requests. */
static const usec_t patience = 5 * USEC_PER_SEC, patience_no_traffic = 30 * USEC_PER_SEC;

static const struct {
	enum rollout_state state;
	const char        *name;
} names[] = {
	{ ROLLOUT_QUEUED, "queued" },     { ROLLOUT_STARTING, "starting" },   { ROLLOUT_CANARY, "canary" },
	{ ROLLOUT_BAKING, "baking" },     { ROLLOUT_FINISHED, "finished" },   { ROLLOUT_RETURNING, "returning" },
	{ ROLLOUT_ROLLED_BACK, "rolled-back" }, { ROLLOUT_ABORTED, "aborted" },
};

const char *rollout_state_name(enum rollout_state s)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i].state == s)
			return names[i].name;
	return "none";
}

enum rollout_state rollout_state_find(str name)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (str_eqz(name, names[i].name))
			return names[i].state;
	return ROLLOUT_NONE;
}

bool rollout_over(enum rollout_state s)
{
	return s == ROLLOUT_FINISHED || s == ROLLOUT_ROLLED_BACK || s == ROLLOUT_ABORTED;
}

static struct rollout_step go(const struct rollout *r, const struct rollout_inputs *in, enum rollout_act act, enum rollout_state to, const char *cause)
{
	struct rollout_step s = { .act = act, .next = *r, .cause = cause };

	if (to != r->state || act == ACT_SHARE) {
		s.next.entered = in->now;
		s.next.held = s.next.asked = false;
		s.next.cannot_since = s.next.held_since = 0;
	}
	s.next.state = to;
	return s;
}

static struct rollout_step by_order(struct rollout_step s)
{
	s.order_done = true;
	return s;
}

static struct rollout_step none(const struct rollout *r)
{
	return (struct rollout_step){ .act = ACT_NONE, .next = *r };
}

static struct rollout_step refuse(const struct rollout *r, const char *cause)
{
	return (struct rollout_step){ .act = ACT_REFUSE_ORDER, .next = *r, .cause = cause, .order_done = true };
}

static struct rollout_step to_share(const struct rollout *r, const struct rollout_inputs *in, size_t step, const char *cause)
{
	struct rollout_step s;

	if (in->plan->steps[step] >= 1)
		return go(r, in, ACT_PROMOTE, ROLLOUT_BAKING, cause);
	s = go(r, in, ACT_SHARE, ROLLOUT_CANARY, cause);
	s.next.step = step;
	return s;
}

static struct rollout_step pause_or_resume(const struct rollout *r, const struct rollout_inputs *in)
{
	struct rollout_step s = { .next = *r, .order_done = true };

	if (in->order == ORDER_PAUSE) {
		s.act = r->paused ? ACT_NONE : ACT_HOLD;
		s.cause = "paused by hand";
		s.next.paused = true;
	} else {
		s.act = r->paused || r->held ? ACT_RESUME : ACT_NONE;
		s.cause = "resumed by hand";
		s.next.paused = s.next.held = s.next.asked = false;
		s.next.cannot_since = in->now; /* patience begins anew */
		s.next.held_since = 0;
	}
	return s;
}

/* What holds the release back, and for how long it may before the release says so. */
static const char *hold_cause(const struct rollout_inputs *in, usec_t *ret_patience)
{
	*ret_patience = in->call == JUDGE_WORSE_HOLD ? 0 : in->why == JUDGE_WHY_NO_TRAFFIC ? patience_no_traffic : patience;
	return in->call == JUDGE_CANNOT || in->call == JUDGE_WORSE_HOLD ? judge_why_text(in->why) : NULL;
}

/* Holding, resuming, and the end of the waiting. ACT_NONE when the verdict holds nothing back. */
static struct rollout_step consider_hold(const struct rollout *r, const struct rollout_inputs *in)
{
	struct rollout_step s = { .next = *r };
	usec_t              wait;

	s.cause = hold_cause(in, &wait);
	if (!s.cause) {
		s.next.cannot_since = 0;
		s.next.held = s.next.asked = false;
		s.act = r->held ? ACT_RESUME : r->cannot_since ? ACT_REMEMBER : ACT_NONE;
		s.cause = "the evidence suffices again";
	} else if (!r->cannot_since) {
		s.next.cannot_since = in->now;
		s.act = ACT_REMEMBER;
	} else if (!r->held && in->now - r->cannot_since >= wait) {
		s.next.held = true;
		s.next.held_since = in->now;
		s.act = ACT_HOLD;
	} else if (r->held && !r->asked && in->now - r->held_since >= in->plan->hold_after) {
		if (in->plan->hold_rolls_back)
			return go(r, in, ACT_ROLL_BACK, ROLLOUT_ROLLED_BACK, "held too long without a verdict");
		s.next.asked = true;
		s.act = ACT_HOLD;
		s.cause = "held too long without a verdict: a person must decide (resume, promote or abort)";
	}
	return s;
}

static struct rollout_step next_starting(const struct rollout *r, const struct rollout_inputs *in)
{
	if (in->order == ORDER_ABORT || in->order == ORDER_ROLL_BACK)
		return by_order(go(r, in, ACT_ROLL_BACK, ROLLOUT_ABORTED, "aborted by hand"));
	if (in->order == ORDER_SUPERSEDE)
		return by_order(go(r, in, ACT_ROLL_BACK, ROLLOUT_ABORTED, "superseded by a newer release"));
	if (in->order == ORDER_PROMOTE)
		return refuse(r, "it is not healthy yet");
	if (in->order == ORDER_PAUSE || in->order == ORDER_RESUME)
		return pause_or_resume(r, in);
	if (in->crash_loop)
		return go(r, in, ACT_ROLL_BACK, ROLLOUT_ROLLED_BACK, in->crash_loop);
	if (in->healthy && !r->paused)
		return r->first ? go(r, in, ACT_PROMOTE, ROLLOUT_BAKING, "first version: healthy") : to_share(r, in, 0, "healthy");
	if (!in->healthy && in->now - r->entered >= in->start_within)
		return go(r, in, ACT_ROLL_BACK, ROLLOUT_ROLLED_BACK, "never healthy: its health check did not succeed in time");
	return none(r);
}

static struct rollout_step next_canary(const struct rollout *r, const struct rollout_inputs *in)
{
	struct rollout_step s;

	switch (in->order) {
	case ORDER_ABORT:
	case ORDER_ROLL_BACK: return by_order(go(r, in, ACT_ROLL_BACK, ROLLOUT_ABORTED, "aborted by hand"));
	case ORDER_SUPERSEDE: return by_order(go(r, in, ACT_ROLL_BACK, ROLLOUT_ABORTED, "superseded by a newer release"));
	case ORDER_PROMOTE: return by_order(go(r, in, ACT_PROMOTE, ROLLOUT_BAKING, "promoted by hand"));
	case ORDER_PAUSE:
	case ORDER_RESUME: return pause_or_resume(r, in);
	case ORDER_NONE: break;
	}
	if (in->call == JUDGE_WORSE)
		return go(r, in, ACT_ROLL_BACK, ROLLOUT_ROLLED_BACK, judge_why_text(in->why));
	if (in->crash_loop)
		return go(r, in, ACT_ROLL_BACK, ROLLOUT_ROLLED_BACK, in->crash_loop);
	if (r->paused)
		return none(r);
	s = consider_hold(r, in);
	if (s.act != ACT_NONE || r->held)
		return s;
	if (in->now - r->entered < in->plan->step_min)
		return none(r);
	if (in->call == JUDGE_GOOD)
		return to_share(r, in, r->step + 1, judge_why_text(in->why));
	if (in->enough && in->call == JUDGE_UNDECIDED)
		return to_share(r, in, r->step + 1, "enough was seen, nothing of it speaks against it");
	return none(r);
}

static struct rollout_step next_baking(const struct rollout *r, const struct rollout_inputs *in)
{
	bool over = in->now - r->entered >= in->plan->bake;

	switch (in->order) {
	case ORDER_ABORT:
	case ORDER_ROLL_BACK: return by_order(go(r, in, ACT_ROLL_BACK, ROLLOUT_ABORTED, "rolled back by hand"));
	case ORDER_SUPERSEDE: return by_order(go(r, in, ACT_FINISH, ROLLOUT_FINISHED, "a newer release ended the bake"));
	case ORDER_PROMOTE: return by_order(go(r, in, ACT_FINISH, ROLLOUT_FINISHED, "bake ended by hand"));
	case ORDER_PAUSE:
	case ORDER_RESUME: return pause_or_resume(r, in);
	case ORDER_NONE: break;
	}
	if (in->call == JUDGE_WORSE)
		return go(r, in, ACT_ROLL_BACK, ROLLOUT_ROLLED_BACK, "its error rate is beyond the budget");
	if (in->crash_loop)
		return go(r, in, ACT_ROLL_BACK, ROLLOUT_ROLLED_BACK, in->crash_loop);
	if (r->paused || !over)
		return none(r);
	if (in->call == JUDGE_WORSE_HOLD || (in->call == JUDGE_CANNOT && in->why != JUDGE_WHY_NO_TRAFFIC) || r->held) {
		struct rollout_step s = consider_hold(r, in);

		if (s.act != ACT_NONE || s.next.held || s.next.cannot_since)
			return s;
	}
	return go(r, in, ACT_FINISH, ROLLOUT_FINISHED, in->why == JUDGE_WHY_NO_TRAFFIC ? "the bake ended (without traffic)" : "the bake ended well");
}

struct rollout_step rollout_next(const struct rollout *r, const struct rollout_inputs *in)
{
	switch (r->state) {
	case ROLLOUT_QUEUED:
		if (in->order == ORDER_ABORT || in->order == ORDER_SUPERSEDE || in->order == ORDER_ROLL_BACK)
			return by_order(go(r, in, ACT_ROLL_BACK, ROLLOUT_ABORTED,
			                   in->order == ORDER_SUPERSEDE ? "superseded by a newer release" : "aborted by hand"));
		if (in->order != ORDER_NONE)
			return refuse(r, "it has not begun yet");
		return in->blocked ? none(r) : go(r, in, ACT_START, ROLLOUT_STARTING, "begins");
	case ROLLOUT_STARTING: return next_starting(r, in);
	case ROLLOUT_CANARY: return next_canary(r, in);
	case ROLLOUT_BAKING: return next_baking(r, in);
	case ROLLOUT_FINISHED:
		if (in->order == ORDER_ROLL_BACK)
			return by_order(go(r, in, ACT_RETURN, ROLLOUT_RETURNING, "rolled back by hand"));
		return in->order != ORDER_NONE ? refuse(r, "it is finished; `weir rollback` goes back to the version before") : none(r);
	case ROLLOUT_RETURNING:
		if (in->order == ORDER_ABORT || in->order == ORDER_SUPERSEDE)
			return by_order(go(r, in, ACT_STAY, ROLLOUT_FINISHED, in->order == ORDER_ABORT ? "aborted by hand" : "superseded by a newer release"));
		if (in->order != ORDER_NONE)
			return refuse(r, "it is being rolled back");
		if (in->target_healthy)
			return go(r, in, ACT_ROLL_BACK, ROLLOUT_ROLLED_BACK, "rolled back by hand");
		if (in->now - r->entered >= in->start_within)
			return go(r, in, ACT_STAY, ROLLOUT_FINISHED, "the version before did not become healthy");
		return none(r);
	case ROLLOUT_NONE:
	case ROLLOUT_ROLLED_BACK:
	case ROLLOUT_ABORTED: break;
	}
	return in->order != ORDER_NONE ? refuse(r, "it is over") : none(r);
}
