#include "lib/test.h"
#include "base/fs.h"

#include <sys/stat.h>
#include <unistd.h>

static void test_write_read_remove(void **s UNUSED)
{
	char                   dir[4096], path[4200], deep[4300];
	struct err             e = { 0 };
	CLEANUP_BUF struct buf b = BUF_INIT(100);
	struct stat            st;

	assert_ok(fs_temp_dir("weir-fs-", dir, sizeof(dir), &e), &e);
	assert_ok(fs_join(path, sizeof(path), &e, dir, "f"), &e);
	assert_ok(fs_write_atomic(path, STR("one"), 0600, &e), &e);
	assert_ok(fs_write_atomic(path, STR("two"), 0640, &e), &e);
	assert_ok(fs_read(path, &b, &e), &e);
	assert_str(buf_str(&b), "two");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	snprintf(deep, sizeof(deep), "%s/a/b/c", dir);
	assert_ok(fs_mkdirs(deep, 0755, &e), &e);
	assert_ok(fs_mkdirs(deep, 0755, &e), &e);
	assert_int_equal(symlink("/etc", "/dev/null"), -1);
	snprintf(deep, sizeof(deep), "%s/a/link", dir);
	assert_int_equal(symlink("/etc/hostname", deep), 0);
	assert_ok(fs_remove_tree(dir, &e), &e);
	assert_false(fs_exists(dir));
	assert_true(fs_exists("/etc"));
	assert_ok(fs_remove_tree(dir, &e), &e);
}

static void test_limit_and_absence_are_named(void **s UNUSED)
{
	struct err             e = { 0 };
	CLEANUP_BUF struct buf b = BUF_INIT(10);

	assert_err(fs_read("/proc/self/maps", &b, &e), WEIR_ELIMIT);
	assert_non_null(strstr(e.msg, "larger than 10 bytes"));
	assert_err(fs_read("/nonexistent/x", &b, &e), WEIR_ENOENT);
	assert_non_null(strstr(e.msg, "/nonexistent/x"));
	assert_err(fs_mkdirs("/proc/self/status/x", 0755, &e), WEIR_EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_write_read_remove),
		cmocka_unit_test(test_limit_and_absence_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
