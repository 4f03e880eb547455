#include "lib/test.h"

#include "judge/judge.h"

#include <math.h>

#define P (&judge_defaults)
#define assert_near(a, b, eps) assert_true(fabs((a) - (b)) <= (eps))

static struct judge_verdict judge(struct judge_segment *seg, size_t n, uint32_t clients, uint64_t missing, size_t good_from)
{
	struct judge_input   in = { seg, n, clients, missing, good_from };
	struct judge_verdict v;
	struct err           e = { 0 };

	assert_ok(judge_step(P, &in, &v, &e), &e);
	return v;
}

static void test_fewest_errors_of_the_published_table(void **s UNUSED)
{
	static const struct {
		double   w;
		unsigned at_1_percent, at_1_in_10000;
	} table[] = { { 0.01, 2, 3 }, { 0.05, 2, 4 }, { 0.10, 3, 5 }, { 0.25, 5, 8 }, { 0.50, 8, 15 } };
	struct judge_params strict = judge_defaults;

	strict.worse_alpha = 1e-4;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		assert_int_equal(judge_fewest_errors(P, table[i].w), table[i].at_1_percent);
		assert_int_equal(judge_fewest_errors(&strict, table[i].w), table[i].at_1_in_10000);
	}
	assert_int_equal(judge_fewest_errors(P, 0), 0);
	assert_int_equal(judge_fewest_errors(P, 1), 0);
}

/* One row: one segment and what must come out. */
static void test_table(void **s UNUSED)
{
	static const struct {
		const char          *name;
		struct judge_segment seg;
		uint32_t             clients;
		uint64_t             missing;
		enum judge_call      call;
		enum judge_why       why;
	} table[] = {
		/*                      share  ec es   rc     rs   fc fs */
		{ "nothing yet", { 0.05, 0, 0, 0, 0, 0, 0 }, 0, 0, JUDGE_CANNOT, JUDGE_WHY_NO_TRAFFIC },
		{ "one error", { 0.05, 1, 0, 10, 190, 1, 0 }, 1, 0, JUDGE_UNDECIDED, JUDGE_WHY_NONE },
		{ "two errors fire at 5%", { 0.05, 2, 0, 10, 190, 2, 0 }, 2, 0, JUDGE_WORSE, JUDGE_WHY_LABEL_TEST },
		{ "two errors of one client", { 0.05, 2, 0, 10, 190, 2, 0 }, 1, 0, JUDGE_WORSE_HOLD, JUDGE_WHY_FEW_CLIENTS },
		{ "two in ten thousand", { 0.05, 2, 0, 10000, 190000, 2, 0 }, 2, 0, JUDGE_WORSE_HOLD, JUDGE_WHY_BELOW_IGNORE },
		{ "two errors at 50%", { 0.5, 2, 0, 20, 20, 2, 0 }, 2, 0, JUDGE_UNDECIDED, JUDGE_WHY_NONE },
		{ "eight errors at 50%", { 0.5, 8, 0, 100, 100, 8, 0 }, 8, 0, JUDGE_WORSE, JUDGE_WHY_LABEL_TEST },
		{ "seven errors at 50%", { 0.5, 7, 0, 100, 100, 7, 0 }, 8, 0, JUDGE_UNDECIDED, JUDGE_WHY_NONE },
		{ "errors in proportion", { 0.05, 5, 95, 1000, 19000, 5, 95 }, 5, 0, JUDGE_UNDECIDED, JUDGE_WHY_NONE },
		{ "320 clean requests", { 0.05, 0, 0, 320, 6080, 0, 0 }, 0, 0, JUDGE_GOOD, JUDGE_WHY_ABSOLUTE },
		{ "250 clean requests", { 0.05, 0, 0, 250, 4750, 0, 0 }, 0, 0, JUDGE_UNDECIDED, JUDGE_WHY_NONE },
		{ "base rate of 5%, as many", { 0.5, 60, 60, 1200, 1200, 60, 60 }, 60, 0, JUDGE_GOOD, JUDGE_WHY_RELATIVE },
		{ "one missing in a hundred", { 0.05, 0, 0, 50, 950, 0, 0 }, 0, 11, JUDGE_CANNOT, JUDGE_WHY_MISSING },
		{ "missing goes before worse", { 0.05, 9, 0, 50, 950, 9, 0 }, 9, 100, JUDGE_CANNOT, JUDGE_WHY_MISSING },
		{ "canary gets too much", { 0.05, 0, 0, 300, 1700, 0, 0 }, 0, 0, JUDGE_CANNOT, JUDGE_WHY_SAMPLE_RATIO },
		{ "canary gets too little", { 0.05, 0, 0, 10, 1990, 0, 0 }, 0, 0, JUDGE_CANNOT, JUDGE_WHY_SAMPLE_RATIO },
		{ "wrong split goes before worse", { 0.05, 9, 0, 300, 1700, 9, 0 }, 9, 0, JUDGE_CANNOT, JUDGE_WHY_SAMPLE_RATIO },
		{ "the old version fails", { 0.05, 2, 60, 10, 190, 2, 60 }, 2, 0, JUDGE_CANNOT, JUDGE_WHY_STABLE_SICK },
		{ "clean fix of a dead old version", { 0.5, 0, 300, 310, 300, 0, 300 }, 2, 0, JUDGE_CANNOT, JUDGE_WHY_STABLE_SICK },
		{ "the old version fails, said before it can be", { 0.5, 0, 12, 12, 12, 0, 12 }, 0, 0, JUDGE_UNDECIDED, JUDGE_WHY_FEW_STABLE },
		{ "clean, but nearly all of it on the canary", { 0.9, 0, 0, 320, 36, 0, 0 }, 0, 0, JUDGE_UNDECIDED, JUDGE_WHY_FEW_STABLE },
		{ "clean, and 50 answers of the old version", { 0.9, 0, 0, 450, 50, 0, 0 }, 0, 0, JUDGE_GOOD, JUDGE_WHY_ABSOLUTE },
		{ "harm needs no word of the old version", { 0.9, 90, 0, 100, 10, 90, 0 }, 9, 0, JUDGE_WORSE, JUDGE_WHY_LABEL_TEST },
		{ "all on one arm says nothing", { 0, 0, 50, 0, 1000, 0, 50 }, 0, 0, JUDGE_CANNOT, JUDGE_WHY_NO_TRAFFIC },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct judge_segment seg = table[i].seg;
		struct judge_verdict v = judge(&seg, 1, table[i].clients, table[i].missing, 0);

		if (v.call != table[i].call || v.why != table[i].why)
			fail_msg("%s: expected %s (%s), seen %s (%s)", table[i].name, judge_call_name(table[i].call), judge_why_text(table[i].why),
			         judge_call_name(v.call), judge_why_text(v.why));
	}
}

/* m missing beside r records: m/(m+r), the segments have both. */
static void test_missing_share(void **s UNUSED)
{
	struct judge_params  p = judge_defaults;
	struct judge_segment seg[] = { { 0.05, 0, 0, 50, 950, 0, 0 }, { 0, 0, 0, 0, 1000, 0, 0 } };
	struct judge_input   in = { seg, 2, 0, 1400, 0 };
	struct judge_verdict v;
	struct err           e = { 0 };

	p.missing_max = 0.6;
	assert_ok(judge_step(&p, &in, &v, &e), &e);
	assert_near(v.missing_share, 0.7, 1e-12);
	assert_int_equal(v.why, JUDGE_WHY_MISSING);
	p.missing_max = 0.7;
	assert_ok(judge_step(&p, &in, &v, &e), &e);
	assert_int_not_equal(v.why, JUDGE_WHY_MISSING);
	seg[1].canary_share = 1; /* the same in the bake */
	seg[1].requests_canary = 1000;
	seg[1].requests_stable = 0;
	assert_ok(judge_step(&p, &in, &v, &e), &e);
	assert_int_equal(v.call, JUDGE_GOOD);
	p.missing_max = 0.6;
	assert_ok(judge_step(&p, &in, &v, &e), &e);
	assert_int_equal(v.why, JUDGE_WHY_MISSING);
	in.missing_records = 2001;
	assert_err(judge_step(&p, &in, &v, &e), WEIR_EINVAL);
}

static void test_without_the_guard_few_requests_suffice(void **s UNUSED)
{
	struct judge_params  p = judge_defaults;
	struct judge_segment seg = { 0.9, 0, 0, 320, 36, 0, 0 };
	struct judge_input   in = { &seg, 1, 0, 0, 0 };
	struct judge_verdict v;
	struct err           e = { 0 };

	p.stable_sick = 0;
	assert_ok(judge_step(&p, &in, &v, &e), &e);
	assert_int_equal(v.call, JUDGE_GOOD);
}

static void test_values_of_one_error_by_hand(void **s UNUSED)
{
	/* One canary error at w = 1/2: the mean over the grid of 2 theta/(1+theta). */
	static const double  grid[] = { 1.1, 1.25, 1.5, 2, 3, 5, 8, 15, 30, 80, 200, 500 };
	struct judge_segment seg = { 0.5, 1, 0, 1, 0, 1, 0 };
	double               mean = 0;

	for (size_t i = 0; i < 12; i++)
		mean += 2 * grid[i] / (1 + grid[i]) / 12;
	assert_near(judge(&seg, 1, 1, 0, 0).log_e_worse, log(mean), 1e-12);
	assert_near(judge(&seg, 1, 1, 0, 0).threshold_worse, log(100), 1e-12);
}

static void test_segments_add_up_and_good_from_cuts(void **s UNUSED)
{
	struct judge_segment two[] = { { 0.05, 1, 0, 300, 5700, 1, 0 }, { 0.5, 7, 0, 100, 100, 7, 0 } };
	struct judge_segment split[] = { { 0.05, 1, 3, 10, 190, 1, 3 }, { 0.05, 2, 9, 20, 380, 2, 9 } };
	struct judge_segment whole[] = { { 0.05, 3, 12, 30, 570, 3, 12 } };
	struct judge_segment fresh[] = { { 0.05, 0, 0, 400, 7600, 0, 0 }, { 0.5, 0, 0, 10, 10, 0, 0 } };

	assert_int_equal(judge(two, 2, 5, 0, 1).call, JUDGE_WORSE); /* neither alone fires */
	assert_near(judge(split, 2, 2, 0, 0).log_e_worse, judge(whole, 1, 2, 0, 0).log_e_worse, 1e-9);
	assert_int_equal(judge(fresh, 2, 0, 0, 0).call, JUDGE_GOOD);
	assert_int_equal(judge(fresh, 2, 0, 0, 1).call, JUDGE_UNDECIDED); /* the new weight starts anew */
}

static void test_no_overflow_at_either_end(void **s UNUSED)
{
	struct judge_segment huge = { 0.05, 40000000, 0, 50000000, 950000000, 40000000, 0 };
	struct judge_segment clean = { 0.05, 0, 0, 5000000000, 95000000000, 0, 0 };

	assert_true(isfinite(judge(&huge, 1, 9, 0, 0).log_e_worse));
	assert_int_equal(judge(&huge, 1, 9, 0, 0).call, JUDGE_WORSE);
	assert_true(isfinite(judge(&clean, 1, 0, 0, 0).log_e_absolute));
	assert_int_equal(judge(&clean, 1, 0, 0, 0).call, JUDGE_GOOD);
}

static void test_confidence_sequence(void **s UNUSED)
{
	struct judge_segment none = { 0.05, 0, 0, 100, 1900, 0, 0 };
	struct judge_segment even = { 0.5, 500, 500, 10000, 10000, 500, 500 };
	struct judge_segment more = { 0.5, 1500, 500, 10000, 10000, 1500, 500 };
	struct judge_verdict v = judge(&none, 1, 0, 0, 0);

	assert_true(v.ratio_low == 0 && isinf(v.ratio_high));
	v = judge(&even, 1, 9, 0, 0);
	assert_true(v.ratio_low > 0.7 && v.ratio_low < 1 && v.ratio_high > 1 && v.ratio_high < 1.4);
	v = judge(&more, 1, 9, 0, 0);
	assert_true(v.ratio_low > 2 && v.ratio_low < 3 && v.ratio_high > 3 && v.ratio_high < 4.5);
}

static void test_impossible_input_is_refused(void **s UNUSED)
{
	static const struct judge_segment bad[] = {
		{ -0.1, 0, 0, 0, 0, 0, 0 }, { 1.1, 0, 0, 0, 0, 0, 0 },   { NAN, 0, 0, 0, 0, 0, 0 },
		{ 0.5, 2, 0, 1, 0, 0, 0 },  { 0.5, 0, 2, 0, 1, 0, 0 },   { 0.5, 0, 0, 1, 1, 2, 0 },
		{ 0.5, 0, 0, 1, 1, 0, 2 }, { 1, 0, 0, 1, 0, 2, 0 },
	};
	struct judge_segment many[JUDGE_SEGMENTS_MAX + 1] = { 0 };
	struct judge_verdict v;
	struct err           e = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct judge_input in = { &bad[i], 1, 0, 0, 0 };

		assert_err(judge_step(P, &in, &v, &e), WEIR_EINVAL);
	}
	struct judge_input in = { many, ARRAY_SIZE(many), 0, 0, 0 };
	assert_err(judge_step(P, &in, &v, &e), WEIR_EINVAL);
}

static void test_params_have_ranges(void **s UNUSED)
{
	struct judge_params p = judge_defaults;
	struct err          e = { 0 };

	assert_ok(judge_params_check(&p, &e), &e);
	p.budget = 0;
	assert_err(judge_params_check(&p, &e), WEIR_EINVAL);
	assert_non_null(strstr(e.msg, "budget is 0"));
	p = judge_defaults;
	p.worse_alpha = NAN;
	assert_err(judge_params_check(&p, &e), WEIR_EINVAL);
}

static void test_first_version(void **s UNUSED)
{
	static const struct {
		uint64_t        n, k;
		uint32_t        clients;
		enum judge_call call;
	} table[] = { { 0, 0, 0, JUDGE_CANNOT }, { 10, 0, 0, JUDGE_UNDECIDED }, { 320, 0, 0, JUDGE_GOOD }, { 2, 2, 2, JUDGE_WORSE },
		      { 2, 2, 1, JUDGE_WORSE_HOLD }, { 1, 1, 1, JUDGE_UNDECIDED }, { 1000, 10, 5, JUDGE_UNDECIDED }, { 2000, 100, 9, JUDGE_WORSE },
		      { 5000, 5, 5, JUDGE_GOOD } };
	struct judge_verdict v;
	struct err           e = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct judge_segment seg = { 1, 0, 0, table[i].n, 0, table[i].k, 0 };
		struct judge_input   in = { &seg, 1, table[i].clients, 0, 0 };

		assert_ok(judge_step(P, &in, &v, &e), &e);
		if (v.call != table[i].call)
			fail_msg("%d of %d: %s", (int)table[i].k, (int)table[i].n, judge_call_name(v.call));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fewest_errors_of_the_published_table),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_missing_share),
		cmocka_unit_test(test_without_the_guard_few_requests_suffice),
		cmocka_unit_test(test_values_of_one_error_by_hand),
		cmocka_unit_test(test_segments_add_up_and_good_from_cuts),
		cmocka_unit_test(test_no_overflow_at_either_end),
		cmocka_unit_test(test_confidence_sequence),
		cmocka_unit_test(test_impossible_input_is_refused),
		cmocka_unit_test(test_params_have_ranges),
		cmocka_unit_test(test_first_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
