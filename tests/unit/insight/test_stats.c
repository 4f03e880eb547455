/* test_stats.c - intervals against published values, medians by hand. */
#include "lib/test.h"
#include "insight/stats.h"

#include <math.h>

static void near(double seen, double want)
{
	if (fabs(seen - want) > 5e-4)
		fail_msg("expected %.6f, seen %.6f", want, seen);
}

static void test_wilson(void **s UNUSED)
{
	double low, high;

	stats_wilson(81, 263, &low, &high); /* Newcombe 1998, table I, method 3 */
	near(low, 0.2553);
	near(high, 0.3662);
	stats_wilson(15, 148, &low, &high);
	near(low, 0.0624);
	near(high, 0.1605);
	stats_wilson(0, 20, &low, &high);
	assert_true(low == 0);
	near(high, 0.1611);
	stats_wilson(1, 29, &low, &high);
	near(low, 0.0061);
	near(high, 0.1718);
	for (int n = 1; n < 60; n++)
		for (int k = 0; k <= n; k++) {
			stats_wilson(k, n, &low, &high);
			assert_true(low >= 0 && low <= (double)k / n && (double)k / n <= high && high <= 1);
		}
}

static void test_poisson(void **s UNUSED)
{
	double low, high;

	stats_poisson(10, &low, &high); /* exact: 4.795 to 18.39 */
	assert_true(fabs(low - 4.795) < 0.02 && fabs(high - 18.39) < 0.02);
	stats_poisson(0, &low, &high); /* exact: 0 to 3.689 */
	assert_true(low == 0 && fabs(high - 3.689) < 0.1);
	stats_poisson(100, &low, &high); /* exact: 81.36 to 121.63 */
	assert_true(fabs(low - 81.36) < 0.02 && fabs(high - 121.63) < 0.02);
}

static void test_quantiles(void **s UNUSED)
{
	double v[] = { 5, 1, 4, 2, 3 }, one[] = { 7 }, low, high;
	double ten[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, many[2000];

	near(stats_quantile(v, 5, 0.5), 3);
	near(stats_quantile(v, 5, 0.9), 5);
	near(stats_quantile(v, 4, 0.5), 2); /* of 1 2 3 4: the lower one */
	near(stats_quantile(one, 1, 0.5), 7);
	assert_false(stats_median_interval(v, 5, &low, &high));
	assert_true(stats_median_interval(ten, 10, &low, &high)); /* ranks 2 and 9, as the tables have it */
	near(low, 2);
	near(high, 9);
	assert_true(stats_median_interval(ten, 6, &low, &high));
	near(low, 1);
	near(high, 6);
	for (int i = 0; i < 2000; i++)
		many[i] = i;
	assert_true(stats_median_interval(many, 2000, &low, &high));
	assert_true(low > 950 && low < 960 && high > 1039 && high < 1049);
	near(stats_mean(v, 5), 3);
	assert_true(isnan(stats_mean(v, 0)));
}

static void test_kaplan_meier(void **s UNUSED)
{
	/* remission times in weeks of 21 patients, 9 ended (Freireich 1963): median 23 */
	struct stats_span six_mp[] = { { 6, 1 },  { 6, 1 },  { 6, 1 },  { 6, 0 },  { 7, 1 },  { 9, 0 },  { 10, 1 },
		                           { 10, 0 }, { 11, 0 }, { 13, 1 }, { 16, 1 }, { 17, 0 }, { 19, 0 }, { 20, 0 },
		                           { 22, 1 }, { 23, 1 }, { 25, 0 }, { 32, 0 }, { 32, 0 }, { 34, 0 }, { 35, 0 } };
	struct stats_span all_open[] = { { 5, 0 }, { 6, 0 } }, plain[] = { { 3, 1 }, { 1, 1 }, { 2, 1 } };
	double            median, low, high;

	stats_kaplan_meier(six_mp, 21, &median, &low, &high);
	near(median, 23);
	assert_true(low >= 10 && low <= 16 && isnan(high));
	stats_kaplan_meier(all_open, 2, &median, &low, &high);
	assert_true(isnan(median)); /* nothing has ended: no median is made up */
	stats_kaplan_meier(plain, 3, &median, &low, &high);
	near(median, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_wilson), cmocka_unit_test(test_poisson), cmocka_unit_test(test_quantiles),
		                                cmocka_unit_test(test_kaplan_meier) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
