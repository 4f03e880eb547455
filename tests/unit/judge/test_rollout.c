#include "lib/test.h"

#include "judge/rollout.h"

#define SEC USEC_PER_SEC

static const struct rollout_plan plan = { .steps = { 0.05, 0.5, 1 }, .n_steps = 3, .bake = 60 * SEC, .hold_after = 100 * SEC };
static const struct rollout_plan plan_back = { .steps = { 0.05, 1 }, .n_steps = 2, .bake = 60 * SEC, .hold_after = 100 * SEC, .hold_rolls_back = true };

static struct rollout_inputs at(usec_t now)
{
	return (struct rollout_inputs){ .now = now, .plan = &plan, .start_within = 30 * SEC, .call = JUDGE_UNDECIDED };
}

static struct rollout in_state(enum rollout_state s)
{
	return (struct rollout){ .state = s, .entered = 1000 * SEC };
}

#define EXPECT(r_, in_, act_, state_)                                                                                                  \
	do {                                                                                                                           \
		struct rollout_step s_ = rollout_next(&(r_), &(in_));                                                                  \
		if (s_.act != (act_) || s_.next.state != (state_))                                                                     \
			fail_msg("act %d, state %s (%s)", s_.act, rollout_state_name(s_.next.state), s_.cause ? s_.cause : "no cause"); \
		(r_) = s_.next;                                                                                                        \
	} while (0)

static void test_the_straight_way(void **s UNUSED)
{
	struct rollout        r = in_state(ROLLOUT_QUEUED);
	struct rollout_inputs in = at(1000 * SEC);

	in.blocked = true;
	EXPECT(r, in, ACT_NONE, ROLLOUT_QUEUED);
	in.blocked = false;
	EXPECT(r, in, ACT_START, ROLLOUT_STARTING);
	EXPECT(r, in, ACT_NONE, ROLLOUT_STARTING);
	in.healthy = true;
	EXPECT(r, in, ACT_SHARE, ROLLOUT_CANARY);
	assert_int_equal(r.step, 0);
	EXPECT(r, in, ACT_NONE, ROLLOUT_CANARY);
	in.call = JUDGE_GOOD;
	EXPECT(r, in, ACT_SHARE, ROLLOUT_CANARY);
	assert_int_equal(r.step, 1);
	EXPECT(r, in, ACT_PROMOTE, ROLLOUT_BAKING);
	EXPECT(r, in, ACT_NONE, ROLLOUT_BAKING);
	in.now += 60 * SEC;
	EXPECT(r, in, ACT_FINISH, ROLLOUT_FINISHED);
	EXPECT(r, in, ACT_NONE, ROLLOUT_FINISHED);
	assert_true(rollout_over(r.state));
}

static void test_a_first_version_goes_live_when_healthy(void **s UNUSED)
{
	struct rollout        r = in_state(ROLLOUT_STARTING);
	struct rollout_inputs in = at(1001 * SEC);

	r.first = true;
	in.healthy = true;
	EXPECT(r, in, ACT_PROMOTE, ROLLOUT_BAKING);
}

static void test_harm_rolls_back_from_everywhere(void **s UNUSED)
{
	static const enum rollout_state with_traffic[] = { ROLLOUT_CANARY, ROLLOUT_BAKING };

	for (size_t i = 0; i < ARRAY_SIZE(with_traffic); i++)
		for (unsigned how = 0; how < 4; how++) { /* also while paused, while held */
			struct rollout        r = in_state(with_traffic[i]);
			struct rollout_inputs in = at(1001 * SEC);

			r.paused = how & 1;
			r.held = how & 2;
			in.call = JUDGE_WORSE;
			in.why = JUDGE_WHY_LABEL_TEST;
			EXPECT(r, in, ACT_ROLL_BACK, ROLLOUT_ROLLED_BACK);
			EXPECT(r, in, ACT_NONE, ROLLOUT_ROLLED_BACK);
			r = in_state(with_traffic[i]);
			in.call = JUDGE_GOOD;
			in.crash_loop = "crash loop: it dies";
			EXPECT(r, in, ACT_ROLL_BACK, ROLLOUT_ROLLED_BACK);
		}
}

static void test_starting_ends(void **s UNUSED)
{
	struct rollout        r = in_state(ROLLOUT_STARTING);
	struct rollout_inputs in = at(1000 * SEC + 30 * SEC - 1);

	EXPECT(r, in, ACT_NONE, ROLLOUT_STARTING);
	in.now++;
	EXPECT(r, in, ACT_ROLL_BACK, ROLLOUT_ROLLED_BACK);
	r = in_state(ROLLOUT_STARTING);
	in = at(1001 * SEC);
	in.crash_loop = "crash loop: it dies";
	EXPECT(r, in, ACT_ROLL_BACK, ROLLOUT_ROLLED_BACK);
}

static void test_no_verdict_holds_says_so_once_and_goes_on_by_itself(void **s UNUSED)
{
	struct rollout        r = in_state(ROLLOUT_CANARY);
	struct rollout_inputs in = at(1000 * SEC);

	in.call = JUDGE_CANNOT;
	in.why = JUDGE_WHY_MISSING;
	EXPECT(r, in, ACT_REMEMBER, ROLLOUT_CANARY);
	EXPECT(r, in, ACT_NONE, ROLLOUT_CANARY); /* patience */
	in.now += 5 * SEC;
	EXPECT(r, in, ACT_HOLD, ROLLOUT_CANARY);
	assert_true(r.held);
	EXPECT(r, in, ACT_NONE, ROLLOUT_CANARY);
	in.call = JUDGE_GOOD;
	EXPECT(r, in, ACT_RESUME, ROLLOUT_CANARY);
	assert_false(r.held);
	EXPECT(r, in, ACT_SHARE, ROLLOUT_CANARY);
}

static void test_no_traffic_has_more_patience(void **s UNUSED)
{
	struct rollout        r = in_state(ROLLOUT_CANARY);
	struct rollout_inputs in = at(1000 * SEC);

	in.call = JUDGE_CANNOT;
	in.why = JUDGE_WHY_NO_TRAFFIC;
	EXPECT(r, in, ACT_REMEMBER, ROLLOUT_CANARY);
	in.now += 29 * SEC;
	EXPECT(r, in, ACT_NONE, ROLLOUT_CANARY);
	in.now += SEC;
	EXPECT(r, in, ACT_HOLD, ROLLOUT_CANARY);
}

static void test_held_too_long_asks_or_rolls_back(void **s UNUSED)
{
	struct rollout        r = in_state(ROLLOUT_CANARY);
	struct rollout_inputs in = at(1000 * SEC);

	in.call = JUDGE_WORSE_HOLD;
	in.why = JUDGE_WHY_BELOW_IGNORE;
	EXPECT(r, in, ACT_REMEMBER, ROLLOUT_CANARY);
	EXPECT(r, in, ACT_HOLD, ROLLOUT_CANARY);
	in.now += 100 * SEC;
	EXPECT(r, in, ACT_HOLD, ROLLOUT_CANARY);
	assert_true(r.asked);
	in.now += 1000 * SEC;
	EXPECT(r, in, ACT_NONE, ROLLOUT_CANARY); /* a person is asked once */
	r = in_state(ROLLOUT_CANARY);
	in.plan = &plan_back;
	EXPECT(r, in, ACT_REMEMBER, ROLLOUT_CANARY);
	EXPECT(r, in, ACT_HOLD, ROLLOUT_CANARY);
	in.now += 100 * SEC;
	EXPECT(r, in, ACT_ROLL_BACK, ROLLOUT_ROLLED_BACK);
}

static void test_paused_stays_where_it_is(void **s UNUSED)
{
	struct rollout        r = in_state(ROLLOUT_CANARY);
	struct rollout_inputs in = at(1000 * SEC);

	in.order = ORDER_PAUSE;
	EXPECT(r, in, ACT_HOLD, ROLLOUT_CANARY);
	in.order = ORDER_NONE;
	in.call = JUDGE_GOOD;
	in.now += 10000 * SEC;
	EXPECT(r, in, ACT_NONE, ROLLOUT_CANARY);
	in.order = ORDER_RESUME;
	EXPECT(r, in, ACT_RESUME, ROLLOUT_CANARY);
	in.order = ORDER_NONE;
	EXPECT(r, in, ACT_REMEMBER, ROLLOUT_CANARY);
	EXPECT(r, in, ACT_SHARE, ROLLOUT_CANARY);
	r = in_state(ROLLOUT_BAKING);
	r.paused = true;
	EXPECT(r, in, ACT_NONE, ROLLOUT_BAKING); /* the bake does not end either */
}

/* Every order in every state: what happens, or that it is refused; an order never stays. */
static void test_orders_by_state(void **s UNUSED)
{
	static const struct {
		enum rollout_state state;
		enum rollout_order order;
		enum rollout_act   act;
		enum rollout_state next;
	} table[] = {
		{ ROLLOUT_QUEUED, ORDER_ABORT, ACT_ROLL_BACK, ROLLOUT_ABORTED },      { ROLLOUT_QUEUED, ORDER_SUPERSEDE, ACT_ROLL_BACK, ROLLOUT_ABORTED },
		{ ROLLOUT_QUEUED, ORDER_PROMOTE, ACT_REFUSE_ORDER, ROLLOUT_QUEUED },  { ROLLOUT_STARTING, ORDER_ABORT, ACT_ROLL_BACK, ROLLOUT_ABORTED },
		{ ROLLOUT_STARTING, ORDER_PROMOTE, ACT_REFUSE_ORDER, ROLLOUT_STARTING }, { ROLLOUT_STARTING, ORDER_SUPERSEDE, ACT_ROLL_BACK, ROLLOUT_ABORTED },
		{ ROLLOUT_CANARY, ORDER_ABORT, ACT_ROLL_BACK, ROLLOUT_ABORTED },      { ROLLOUT_CANARY, ORDER_ROLL_BACK, ACT_ROLL_BACK, ROLLOUT_ABORTED },
		{ ROLLOUT_CANARY, ORDER_SUPERSEDE, ACT_ROLL_BACK, ROLLOUT_ABORTED },  { ROLLOUT_CANARY, ORDER_PROMOTE, ACT_PROMOTE, ROLLOUT_BAKING },
		{ ROLLOUT_BAKING, ORDER_ABORT, ACT_ROLL_BACK, ROLLOUT_ABORTED },      { ROLLOUT_BAKING, ORDER_ROLL_BACK, ACT_ROLL_BACK, ROLLOUT_ABORTED },
		{ ROLLOUT_BAKING, ORDER_SUPERSEDE, ACT_FINISH, ROLLOUT_FINISHED },    { ROLLOUT_BAKING, ORDER_PROMOTE, ACT_FINISH, ROLLOUT_FINISHED },
		{ ROLLOUT_FINISHED, ORDER_ROLL_BACK, ACT_RETURN, ROLLOUT_RETURNING }, { ROLLOUT_FINISHED, ORDER_ABORT, ACT_REFUSE_ORDER, ROLLOUT_FINISHED },
		{ ROLLOUT_FINISHED, ORDER_PROMOTE, ACT_REFUSE_ORDER, ROLLOUT_FINISHED }, { ROLLOUT_RETURNING, ORDER_ABORT, ACT_STAY, ROLLOUT_FINISHED },
		{ ROLLOUT_RETURNING, ORDER_SUPERSEDE, ACT_STAY, ROLLOUT_FINISHED },   { ROLLOUT_RETURNING, ORDER_PAUSE, ACT_REFUSE_ORDER, ROLLOUT_RETURNING },
		{ ROLLOUT_ROLLED_BACK, ORDER_PROMOTE, ACT_REFUSE_ORDER, ROLLOUT_ROLLED_BACK }, { ROLLOUT_ABORTED, ORDER_RESUME, ACT_REFUSE_ORDER, ROLLOUT_ABORTED },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct rollout        r = in_state(table[i].state);
		struct rollout_inputs in = at(1001 * SEC);
		struct rollout_step   step;

		in.order = table[i].order;
		step = rollout_next(&r, &in);
		if (step.act != table[i].act || step.next.state != table[i].next)
			fail_msg("%s, order %d: act %d, state %s", rollout_state_name(table[i].state), table[i].order, step.act, rollout_state_name(step.next.state));
	}
	for (int st = ROLLOUT_QUEUED; st <= ROLLOUT_ABORTED; st++)
		for (int o = ORDER_ABORT; o <= ORDER_SUPERSEDE; o++) {
			struct rollout        r = in_state((enum rollout_state)st);
			struct rollout_inputs in = at(1001 * SEC);

			in.order = (enum rollout_order)o;
			assert_true(rollout_next(&r, &in).order_done);
		}
}

static void test_a_return_ends(void **s UNUSED)
{
	struct rollout        r = in_state(ROLLOUT_RETURNING);
	struct rollout_inputs in = at(1001 * SEC);

	EXPECT(r, in, ACT_NONE, ROLLOUT_RETURNING);
	in.now += 30 * SEC;
	EXPECT(r, in, ACT_STAY, ROLLOUT_FINISHED);
	r = in_state(ROLLOUT_RETURNING);
	in.target_healthy = true;
	EXPECT(r, in, ACT_ROLL_BACK, ROLLOUT_ROLLED_BACK);
}

/* Whatever comes, harm never promotes, what is over stays over, and traffic is given only to what was healthy. */
static void test_random_walks_keep_the_rules(void **s UNUSED)
{
	uint64_t seed = 88172645463325252ULL;

	for (unsigned walk = 0; walk < 20000; walk++) {
		struct rollout r = in_state(ROLLOUT_QUEUED);
		bool           healthy = false;
		usec_t         now = 1000 * SEC;

		for (unsigned i = 0; i < 60; i++) {
			struct rollout_inputs in;
			struct rollout_step   step;

			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			now += (usec_t)(seed % 20) * SEC;
			in = at(now);
			in.plan = seed & 1 ? &plan : &plan_back;
			in.call = (enum judge_call)(seed >> 8) % 5;
			in.why = (enum judge_why)(seed >> 16) % 10;
			in.healthy = seed >> 20 & 1;
			in.crash_loop = (seed >> 21 & 15) == 0 ? "crash loop: it dies" : NULL;
			in.target_healthy = seed >> 25 & 1;
			in.order = (seed >> 26 & 7) == 0 ? (enum rollout_order)((seed >> 30) % 7) : ORDER_NONE;
			step = rollout_next(&r, &in);
			healthy = healthy || in.healthy;
			if (step.act == ACT_SHARE || step.act == ACT_PROMOTE)
				assert_true(healthy);
			if ((step.act == ACT_SHARE || (step.act == ACT_PROMOTE && r.state == ROLLOUT_CANARY)) && in.order == ORDER_NONE && r.state == ROLLOUT_CANARY)
				assert_int_equal(in.call, JUDGE_GOOD);
			if (r.state == ROLLOUT_ROLLED_BACK || r.state == ROLLOUT_ABORTED)
				assert_int_equal(step.next.state, r.state);
			if ((r.state == ROLLOUT_CANARY || r.state == ROLLOUT_BAKING) && in.call == JUDGE_WORSE && in.order == ORDER_NONE)
				assert_int_equal(step.act, ACT_ROLL_BACK);
			assert_true(step.act == ACT_NONE || step.act == ACT_REMEMBER || step.cause);
			r = step.next;
		}
	}
}

static void test_no_step_is_shorter_than_said(void **s UNUSED)
{
	struct rollout_plan   slow = plan;
	struct rollout        r = in_state(ROLLOUT_CANARY);
	struct rollout_inputs in = at(1009 * SEC);

	slow.step_min = 10 * SEC;
	in.plan = &slow;
	in.call = JUDGE_GOOD;
	EXPECT(r, in, ACT_NONE, ROLLOUT_CANARY);
	in.call = JUDGE_WORSE; /* harm does not wait for it */
	struct rollout back = r;
	EXPECT(back, in, ACT_ROLL_BACK, ROLLOUT_ROLLED_BACK);
	in.call = JUDGE_GOOD;
	in.now = 1010 * SEC;
	EXPECT(r, in, ACT_SHARE, ROLLOUT_CANARY);
	assert_int_equal(r.step, 1);
}

static void test_enough_goes_on_only_when_nothing_speaks_against_it(void **s UNUSED)
{
	static const enum judge_call stays[] = { JUDGE_CANNOT, JUDGE_WORSE_HOLD };
	struct rollout               r = in_state(ROLLOUT_CANARY);
	struct rollout_inputs        in = at(1001 * SEC);

	EXPECT(r, in, ACT_NONE, ROLLOUT_CANARY);
	in.enough = true;
	for (size_t i = 0; i < ARRAY_SIZE(stays); i++) {
		struct rollout one = r;

		in.call = stays[i];
		EXPECT(one, in, ACT_REMEMBER, ROLLOUT_CANARY);
		assert_int_equal(one.step, 0);
	}
	in.call = JUDGE_UNDECIDED;
	EXPECT(r, in, ACT_SHARE, ROLLOUT_CANARY);
	assert_int_equal(r.step, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_straight_way),
		cmocka_unit_test(test_a_first_version_goes_live_when_healthy),
		cmocka_unit_test(test_harm_rolls_back_from_everywhere),
		cmocka_unit_test(test_starting_ends),
		cmocka_unit_test(test_no_verdict_holds_says_so_once_and_goes_on_by_itself),
		cmocka_unit_test(test_no_traffic_has_more_patience),
		cmocka_unit_test(test_held_too_long_asks_or_rolls_back),
		cmocka_unit_test(test_paused_stays_where_it_is),
		cmocka_unit_test(test_orders_by_state),
		cmocka_unit_test(test_a_return_ends),
		cmocka_unit_test(test_no_step_is_shorter_than_said),
		cmocka_unit_test(test_enough_goes_on_only_when_nothing_speaks_against_it),
		cmocka_unit_test(test_random_walks_keep_the_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
