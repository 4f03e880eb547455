/* The waits between attempts: they grow to a limit, are spread, and never begin before what the server asked for. */
#include "lib/test.h"

#include "edge/edge-internal.h"

static void test_waits(void **state UNUSED)
{
	int64_t last = 0;

	for (unsigned attempt = 0; attempt < 100; attempt++) {
		int64_t low = edge_wait_ms(attempt, 0, 0), high = 0;

		for (uint32_t i = 0; i < 100000; i += 7) {
			int64_t ms = edge_wait_ms(attempt, 0, i * 2654435761u);

			assert_true(ms >= low && ms <= LIMIT_EDGE_WAIT_S * 1000);
			high = ms > high ? ms : high;
		}
		assert_true(low > 0 && high > 3 * low); /* spread over most of the time */
		assert_true(high >= last);
		last = high - high / 100;
	}
	assert_true(edge_wait_ms(100, 0, UINT32_MAX) <= LIMIT_EDGE_WAIT_S * 1000);
}

static void test_wishes(void **state UNUSED)
{
	for (uint32_t i = 0; i < 1000; i++) {
		assert_true(edge_wait_ms(i % 20, 120, i * 2654435761u) >= 120000);
		assert_true(edge_wait_ms(i % 20, INT64_MAX, i) <= (LIMIT_EDGE_RETRY_AFTER_S + LIMIT_EDGE_WAIT_S) * 1000);
	}
	assert_int_not_equal(edge_wait_ms(3, 120, 1), edge_wait_ms(3, 120, 2)); /* and not all at once then */
	assert_int_equal(edge_wait_ms(0, -5, 0), edge_wait_ms(0, 0, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_waits), cmocka_unit_test(test_wishes) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
