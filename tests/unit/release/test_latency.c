#include "lib/test.h"

#include "release/latency.h"

static void test_quantiles_are_exact_or_within_a_tenth(void **s UNUSED)
{
	struct latency l = { 0 };

	assert_true(latency_quantile(&l, 0.5) == -1);
	for (uint64_t ms = 1; ms <= 20; ms++)
		latency_add(&l, ms);
	assert_true(latency_quantile(&l, 0.5) == 10);
	assert_true(latency_quantile(&l, 0.95) == 19);
	assert_true(latency_quantile(&l, 1) == 20);
	for (uint64_t ms = 21; ms < 3600000; ms = ms * 3 / 2) {
		struct latency one = { 0 };
		double         q;

		latency_add(&one, ms);
		q = latency_quantile(&one, 0.5);
		if (q < (double)ms || q > (double)ms * 1.1)
			fail_msg("%d ms are told as %g", (int)ms, q);
	}
}

static void test_what_is_beyond_every_bucket_counts_in_the_last(void **s UNUSED)
{
	struct latency l = { 0 };

	latency_add(&l, 0);
	latency_add(&l, UINT64_MAX);
	assert_int_equal(l.n, 2);
	assert_int_equal(l.bucket[0], 1);
	assert_int_equal(l.bucket[LATENCY_BUCKETS - 1], 1);
	assert_true(latency_quantile(&l, 1) > 3 * 3600000.0);
}

static void test_written_and_read_again(void **s UNUSED)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(1 << 20);
	struct buf CLEANUP_BUF b = BUF_INIT(1 << 16);
	struct latency   l = { 0 }, back;
	struct doc_node *n;
	struct err       e = { 0 };
	struct jw        w;

	for (unsigned i = 0; i < 500; i++)
		latency_add(&l, i * i);
	jw_init(&w, &b);
	latency_write(&w, &l);
	assert_ok(doc_parse_json(&a, "latency", buf_str(&b), &n, &e), &e);
	latency_read(n, &back);
	assert_memory_equal(&l, &back, sizeof(l));
	latency_read(NULL, &back);
	assert_int_equal(back.n, 0);
	assert_ok(doc_parse_json(&a, "latency", STR("[160,1,-1,2,3,-4,\"x\",1,5,6]"), &n, &e), &e);
	latency_read(n, &back);
	assert_int_equal(back.n, 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quantiles_are_exact_or_within_a_tenth),
		cmocka_unit_test(test_what_is_beyond_every_bucket_counts_in_the_last),
		cmocka_unit_test(test_written_and_read_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
