/* Zones: the system's files against libc's own reading of them, broken files, names that must not become paths. */
#include "lib/test.h"

#include "base/fs.h"
#include "base/zone.h"

#include <unistd.h>

static struct err err;

static struct zones *open_system(void)
{
	struct zones *z;

	if (zones_open("/usr/share/zoneinfo", &z, &err)) {
		print_message("skipped: %s\n", err.msg);
		skip();
	}
	return z;
}

static void compare_with_libc(struct zones *z, const char *name)
{
	setenv("TZ", name, 1);
	tzset();
	for (int64_t t = -3000000000; t < 9000000000; t += 7654321) {
		time_t at = (time_t)t;
		struct tm tm;
		int32_t seen;

		if (!localtime_r(&at, &tm) || !zones_offset(z, str_z(name), t, &seen))
			fail_msg("%s at %lld: no answer", name, (long long)t);
		if (seen != tm.tm_gmtoff)
			fail_msg("%s at %lld: expected %ld, seen %d", name, (long long)t, tm.tm_gmtoff, seen);
	}
}

static void test_against_libc(void **s UNUSED)
{
	struct zones *z = open_system();
	static const char *const names[] = { "Europe/Oslo", "America/New_York",  "Australia/Sydney", "Asia/Kathmandu",
										 "US/Central",  "Africa/Casablanca", "America/St_Johns", "Pacific/Apia",
										 "Asia/Tokyo",  "Etc/GMT-14",        "Europe/Dublin",    "UTC",
										 "Asia/Gaza",   "America/Santiago",  "Antarctica/Troll" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		compare_with_libc(z, names[i]);
	unsetenv("TZ");
	zones_free(z);
}

static void test_names(void **s UNUSED)
{
	struct zones *z = open_system();
	int32_t o;
	static const char *const bad[] = {
		"", "Mars/North", "../../../etc/passwd", "/etc/passwd", "Europe", "Europe/Oslo ", "a\nb", "zone.tab", "tzdata.zi"
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		for (int twice = 0; twice < 2; twice++)
			if (zones_offset(z, str_z(bad[i]), 0, &o))
				fail_msg("'%s' is a zone", bad[i]);
	zones_free(z);
	assert_null(zones_free(NULL));
	assert_err(zones_open("/nowhere/zones", &z, &err), WEIR_ENOENT);
}

/* A file cut at each length, and with each byte of its head turned, gives an answer or none, never a crash. */
static void test_broken_files(void **s UNUSED)
{
	char dir[] = "/tmp/weir-test-zone-XXXXXX", path[200];
	struct buf whole CLEANUP_BUF = BUF_INIT(1 << 20);
	int32_t o;

	if (fs_read("/usr/share/zoneinfo/Europe/Oslo", &whole, &err)) {
		print_message("skipped: %s\n", err.msg);
		skip();
	}
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/Zone", dir);
	for (size_t n = 0; n < whole.len + 200; n += n < 200 ? 1 : 37) {
		struct zones *z;
		FILE *f = fopen(path, "w");
		size_t turn = n < whole.len ? whole.len : n - whole.len;

		assert_non_null(f);
		for (size_t i = 0; i < whole.len && (i < n || n >= whole.len); i++)
			fputc(i == turn ? whole.ptr[i] ^ 0x7f : whole.ptr[i], f);
		fclose(f);
		assert_ok(zones_open(dir, &z, &err), &err);
		if (n < whole.len - 30)
			assert_false(zones_offset(z, STR("Zone"), 1700000000, &o));
		else if (zones_offset(z, STR("Zone"), 9000000000, &o))
			zones_offset(z, STR("Zone"), -9000000000, &o);
		zones_free(z);
	}
	unlink(path);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_against_libc), cmocka_unit_test(test_names),
										cmocka_unit_test(test_broken_files) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
