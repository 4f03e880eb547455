#include "lib/test.h"
#include "base/clock.h"

static void test_rfc3339_round_trip(void **s UNUSED)
{
	char   out[CLOCK_RFC3339_SIZE];
	usec_t t;

	assert_string_equal(clock_rfc3339(0, out), "1970-01-01T00:00:00.000000Z");
	assert_true(clock_parse_rfc3339(STR("2026-11-24T13:05:09.25+01:00"), &t));
	assert_string_equal(clock_rfc3339(t, out), "2026-11-24T12:05:09.250000Z");
	assert_true(clock_parse_rfc3339(STR("2024-02-29T00:00:00Z"), &t));
	assert_false(clock_parse_rfc3339(STR("2026-02-29T00:00:00Z"), &t));
	assert_false(clock_parse_rfc3339(STR("2026-02-20T24:00:00Z"), &t));
	assert_false(clock_parse_rfc3339(STR("2026-02-20T00:00:00"), &t));
	assert_false(clock_parse_rfc3339(STR("2026-02-20T00:00:00Zx"), &t));
	assert_false(clock_parse_rfc3339(STR("2026-02-20T00:00:00.Z"), &t));
	assert_true(clock_parse_rfc3339(STR("2026-02-20t01:02:03.123456789-23:59"), &t));
	assert_string_equal(clock_rfc3339(t, out), "2026-02-21T01:01:03.123456Z");
	assert_true(clock_parse_rfc3339(STR("2026-02-20 23:59:60z"), &t)); /* a leap second */
	static const char *const bad[] = { "",
		                               "1969-12-31T23:59:59Z",
		                               "2026-00-01T00:00:00Z",
		                               "2026-13-01T00:00:00Z",
		                               "2026-01-00T00:00:00Z",
		                               "2026-01-32T00:00:00Z",
		                               "2026-1-01T00:00:00Z",
		                               "2026-01-01X00:00:00Z",
		                               "2026-01-01T00:60:00Z",
		                               "2026-01-01T00:00:61Z",
		                               "2026-01-01T00:00Z",
		                               "2026-01-01T00:00:00.1234567890Z",
		                               "2026-01-01T00:00:00+24:00",
		                               "2026-01-01T00:00:00+00:60",
		                               "2026-01-01T00:00:00+0000",
		                               "2026-01-01T00:00:00-",
		                               "2026-01-01T00:00:00 Z",
		                               "2026-01-01T-1:00:00Z" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (clock_parse_rfc3339(str_z(bad[i]), &t))
			fail_msg("%s is taken for a time", bad[i]);
}

static void test_durations(void **s UNUSED)
{
	usec_t d;
	char   out[32];

	assert_true(clock_parse_duration(STR("90s"), &d));
	assert_int_equal(d, 90000000);
	assert_true(clock_parse_duration(STR("250ms"), &d));
	assert_int_equal(d, 250000);
	assert_true(clock_parse_duration(STR("1.5h"), &d));
	assert_int_equal(d, 5400 * USEC_PER_SEC);
	assert_false(clock_parse_duration(STR("90"), &d));
	assert_false(clock_parse_duration(STR("-1s"), &d));
	assert_false(clock_parse_duration(STR("1e30d"), &d));
	assert_string_equal(clock_human(90 * USEC_PER_SEC, out), "1m 30s");
	assert_string_equal(clock_human(1500, out), "1.5ms");
	assert_string_equal(clock_human(26 * 3600 * USEC_PER_SEC, out), "1d 2h");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc3339_round_trip),
		cmocka_unit_test(test_durations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
