#include "lib/test.h"

#include <errno.h>

static void test_codes(void **s UNUSED)
{
	assert_string_equal(err_name(-WEIR_ENOENT), "ENOENT");
	assert_int_equal(err_http_status(WEIR_ENOENT), 404);
	assert_int_equal(err_exit_code(-WEIR_EREFUSED), 1);
	assert_true(err_retryable(WEIR_EBUSY));
	assert_string_equal(err_name(9999), "EINTERNAL");
}

static void test_wrap_puts_context_in_front(void **s UNUSED)
{
	struct err e = { 0 };

	assert_int_equal(err_set(&e, WEIR_EINVAL, "port %d", 7), -WEIR_EINVAL);
	assert_int_equal(err_wrap(&e, "service.yaml"), -WEIR_EINVAL);
	assert_string_equal(e.msg, "service.yaml: port 7");
	assert_int_equal(err_set(NULL, WEIR_EIO, "x"), -WEIR_EIO);
}

static void test_long_messages_are_cut_and_say_so(void **s UNUSED)
{
	struct err e = { 0 };
	char       big[3000];

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = 0;
	err_set(&e, WEIR_EIO, "%s", big);
	assert_int_equal(strlen(e.msg), sizeof(e.msg) - 1);
	assert_string_equal(e.msg + sizeof(e.msg) - 4, "...");
	err_errno(&e, ENOSPC, "%s", big);
	assert_int_equal(e.code, WEIR_ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_codes),
		cmocka_unit_test(test_wrap_puts_context_in_front),
		cmocka_unit_test(test_long_messages_are_cut_and_say_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
