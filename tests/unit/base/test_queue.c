#include "lib/test.h"
#include "base/queue.h"

#include <pthread.h>

static void test_order_and_bound(void **s UNUSED)
{
	struct bqueue *q;
	struct err     e = { 0 };
	int            items[4];

	assert_ok(bqueue_new(3, &q, &e), &e);
	assert_null(bqueue_pop(q, 0));
	for (int i = 0; i < 3; i++)
		assert_ok(bqueue_push(q, &items[i], &e), &e);
	assert_err(bqueue_push(q, &items[3], &e), WEIR_EBUSY);
	for (int i = 0; i < 3; i++)
		assert_ptr_equal(bqueue_pop(q, 0), &items[i]);
	assert_null(bqueue_pop(q, 5));
	bqueue_close(q);
	assert_null(bqueue_pop(q, -1));
	assert_err(bqueue_push(q, items, &e), WEIR_ECANCELED);
	bqueue_free(q);
}

static void *pop_one(void *q) { return bqueue_pop(q, -1); }

static void test_wakes_waiter(void **s UNUSED)
{
	struct bqueue *q;
	struct err     e = { 0 };
	pthread_t      t;
	void          *got;

	assert_ok(bqueue_new(1, &q, &e), &e);
	assert_int_equal(pthread_create(&t, NULL, pop_one, q), 0);
	assert_ok(bqueue_push(q, &e, &e), &e);
	pthread_join(t, &got);
	assert_ptr_equal(got, &e);
	bqueue_free(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_and_bound),
		cmocka_unit_test(test_wakes_waiter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
