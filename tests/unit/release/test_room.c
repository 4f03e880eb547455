#include "lib/test.h"

#include "release/room.inc.h"

static struct load load;

static void go_live(void)
{
	char id[ID_SIZE], answer[2000];

	fx_upload();
	assert_int_equal(fx_release(fx_yaml("VERSION: one", ""), "production", id), 201);
	WAIT_FOR(fx_state_is(id, "finished"));
	assert_int_equal(helper_get(release_http_port(fx.room), "shop.localhost", "/", answer, sizeof(answer)), 200);
	assert_non_null(strstr(answer, "\r\n\r\none\n"));
}

static void test_first_version_goes_live_when_it_is_healthy(void **s UNUSED)
{
	go_live();
	assert_int_equal(fx_events(EVENT_RELEASE_STARTED), 1);
	assert_int_equal(fx_events(EVENT_RELEASE_PROMOTED), 1);
	assert_int_equal(fx_events(EVENT_RELEASE_FINISHED), 1);
	assert_int_equal(fx_events(EVENT_VERSION_STORED), 1);
}

static void test_good_change_is_promoted_without_a_failed_request(void **s UNUSED)
{
	char id[ID_SIZE], answer[2000];

	load_start(&load, "shop.localhost", 5000);
	assert_int_equal(fx_release(fx_yaml("VERSION: two", ""), "production", id), 201);
	WAIT_FOR(fx_state_is(id, "finished"));
	clock_sleep_ms(500);
	load_stop(&load);
	assert_int_equal(load.failed + load.none, 0);
	assert_true(load.ok > 100);
	assert_int_equal(helper_get(release_http_port(fx.room), "shop.localhost", "/", answer, sizeof(answer)), 200);
	assert_non_null(strstr(answer, "\r\n\r\ntwo\n"));
	assert_true(fx_events(EVENT_SERVICE_BORN) == 1);
}

static void test_dead_change_is_rolled_back(void **s UNUSED)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(4 << 20);
	const struct doc_node *r;
	char id[ID_SIZE], answer[2000];

	load_start(&load, "shop.localhost", 5000);
	assert_int_equal(fx_release(fx_yaml("VERSION: dead, FAIL: \"1\"", ""), "production", id), 201);
	WAIT_FOR(fx_state_is(id, "rolled-back"));
	clock_sleep_ms(500);
	load_stop(&load);
	r = fx_get(id, &a);
	print_message("dead change: %u failed of %u; first to last bad %lld ms\n", load.failed + load.none, load.ok + load.failed + load.none,
	              (long long)(doc_get_int(r, "last_bad_at", 0) - doc_get_int(r, "first_bad_at", 0)) / 1000);
	assert_in_range(load.failed, 1, 40);
	assert_int_equal(load.none, 0);
	assert_true(fx_cause_has(id, "more errors on the new version"));
	assert_int_equal(helper_get(release_http_port(fx.room), "shop.localhost", "/", answer, sizeof(answer)), 200);
	assert_non_null(strstr(answer, "\r\n\r\ntwo\n"));
	assert_int_equal(fx_events(EVENT_RELEASE_ROLLED_BACK), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_version_goes_live_when_it_is_healthy),
		cmocka_unit_test(test_good_change_is_promoted_without_a_failed_request),
		cmocka_unit_test(test_dead_change_is_rolled_back),
	};

	base_init();
	return cmocka_run_group_tests(tests, fx_setup, fx_teardown);
}
