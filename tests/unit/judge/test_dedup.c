#include "lib/test.h"

#include "judge/dedup.h"

static struct judge_dedup d;

static void test_once_per_client_and_window(void **s UNUSED)
{
	const usec_t sec = USEC_PER_SEC, t = 1000 * sec;

	judge_dedup_init(&d);
	assert_true(judge_dedup_count(&d, 7, t, 10 * sec));
	assert_false(judge_dedup_count(&d, 7, t + 1, 10 * sec));
	assert_true(judge_dedup_count(&d, 8, t + 1, 10 * sec));
	assert_false(judge_dedup_count(&d, 7, t + 10 * sec - 1, 10 * sec));
	assert_true(judge_dedup_count(&d, 7, t + 10 * sec, 10 * sec)); /* from the first error on, not from the last */
	assert_false(judge_dedup_count(&d, 7, t + 11 * sec, 10 * sec));
}

static void test_a_full_table_counts_less_never_more(void **s UNUSED)
{
	unsigned counted = 0;

	judge_dedup_init(&d);
	for (uint64_t c = 1; c <= 3 * JUDGE_DEDUP_SLOTS; c++)
		counted += judge_dedup_count(&d, c, 1000, USEC_PER_SEC);
	assert_true(counted <= JUDGE_DEDUP_SLOTS);
	assert_int_equal(counted + d.crowded, 3 * JUDGE_DEDUP_SLOTS);
	for (uint64_t c = 1; c <= 1000; c++) /* and gives room again after the window */
		assert_true(judge_dedup_count(&d, 1000000 + c, 1000 + 2 * USEC_PER_SEC, USEC_PER_SEC));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_once_per_client_and_window),
		cmocka_unit_test(test_a_full_table_counts_less_never_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
