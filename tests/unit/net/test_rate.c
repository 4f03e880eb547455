/* Token buckets: what passes, how long the rest waits, callers apart from each other, memory that does not grow. */
#include "lib/test.h"
#include "net/rate.h"

static void test_a_second_is_full_then_even(void **s UNUSED)
{
	struct rate *r = rate_new(10);
	usec_t       wait = 0, now = 5 * USEC_PER_SEC;

	for (int i = 0; i < 10; i++)
		assert_true(rate_take(r, STR("a"), now, &wait));
	assert_false(rate_take(r, STR("a"), now, &wait));
	assert_int_equal(wait, USEC_PER_SEC / 10);
	assert_false(rate_take(r, STR("a"), now + wait - 1, &wait));
	assert_int_equal(wait, 1);
	assert_true(rate_take(r, STR("a"), now + USEC_PER_SEC / 10, &wait));
	assert_false(rate_take(r, STR("a"), now + USEC_PER_SEC / 10, &wait));
	assert_true(rate_take(r, STR("b"), now, &wait)); /* another caller's bucket is its own */
	for (int i = 0; i < 10; i++)
		assert_true(rate_take(r, STR("a"), now + 10 * USEC_PER_SEC, &wait)); /* full again, and not more than full */
	assert_false(rate_take(r, STR("a"), now + 10 * USEC_PER_SEC, &wait));
	rate_free(r);
}

/* Far more callers than buckets: who asks too often stays refused, since the others ask less. */
static void test_a_crowd_does_not_free_the_greedy(void **s UNUSED)
{
	struct rate *r = rate_new(4);
	usec_t       wait, now = USEC_PER_SEC;
	char         key[32];

	for (int i = 0; i < 100000; i++) {
		if (i % 100 == 0)
			for (int k = 0; k < 5; k++)
				(void)rate_take(r, STR("greedy"), now, &wait);
		snprintf(key, sizeof(key), "caller %d", i);
		(void)rate_take(r, str_z(key), now, &wait);
	}
	assert_false(rate_take(r, STR("greedy"), now, &wait));
	rate_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_a_second_is_full_then_even), cmocka_unit_test(test_a_crowd_does_not_free_the_greedy) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
