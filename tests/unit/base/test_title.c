#include "lib/test.h"
#include "base/fs.h"
#include "base/title.h"

static void test_ps_shows_the_new_title(void **s UNUSED)
{
	CLEANUP_BUF struct buf b = BUF_INIT(4096);
	struct err             e = { 0 };

	base_set_title("t%d", 7);
	assert_ok(fs_read("/proc/self/cmdline", &b, &e), &e);
	assert_string_equal(buf_z(&b), "t7");
	for (size_t i = 2; i < b.len; i++) /* nothing of the old one is left */
		assert_int_equal(b.ptr[i], 0);
	base_set_title("%0300d", 1); /* longer than the old one: cut */
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_ps_shows_the_new_title) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
