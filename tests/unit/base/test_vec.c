#include "lib/test.h"
#include "base/vec.h"

static void test_push_keeps_all(void **s UNUSED)
{
	VEC(int) v = VEC_INIT;

	for (int i = 0; i < 1000; i++)
		assert_true(VEC_PUSH(&v, i));
	assert_int_equal(v.n, 1000);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(v.v[i], i);
	VEC_FINI(&v);
	assert_null(v.v);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_push_keeps_all) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
