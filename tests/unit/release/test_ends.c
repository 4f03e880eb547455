/* test_ends.c - releases that evidence alone neither promotes nor takes back: no traffic, too few clients, a sick old version, missing records. */
#include "lib/test.h"

#include "release/room.h"
#include "release/room.inc.h"

static struct load load;
static _Atomic usec_t ahead; /* of the room's clock: patience with missing traffic is half a minute, which no test waits for */

static usec_t ahead_wall(void *ctx UNUSED)
{
	return clock_wall_now() + ahead;
}

static usec_t ahead_mono(void *ctx UNUSED)
{
	return clock_mono_now();
}

static const struct clock clock_ahead = { .wall = ahead_wall, .mono = ahead_mono };

static int setup(void **s)
{
	char id[ID_SIZE];

	fx_clock = &clock_ahead;
	fx_setup(s);
	fx_upload();
	assert_int_equal(fx_release(fx_yaml("VERSION: one", ""), "production", id), 201);
	WAIT_FOR(fx_state_is(id, "finished"));
	return 0;
}

static bool flag(const char *id, const char *key)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(4 << 20);

	return doc_get_bool(fx_get(id, &a), key, false);
}

static int64_t number(const char *id, const char *key)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(4 << 20);

	return doc_get_int(fx_get(id, &a), key, 0);
}

static bool serves(const char *version)
{
	char answer[2000], body[100];

	snprintf(body, sizeof(body), "\r\n\r\n%s\n", version);
	return helper_get(release_http_port(fx.room), "shop.localhost", "/", answer, sizeof(answer)) == 200 && strstr(answer, body);
}

static void hold_without_traffic(const char *rollout, char id[ID_SIZE])
{
	assert_int_equal(fx_release(fx_yaml("VERSION: quiet", rollout), "production", id), 201);
	WAIT_FOR(fx_state_is(id, "canary") && number(id, "cannot_since") > 0);
	assert_false(flag(id, "held"));
	ahead += 31 * USEC_PER_SEC;
	WAIT_FOR(flag(id, "held"));
	assert_true(fx_cause_has(id, "no requests"));
	assert_true(fx_state_is(id, "canary"));
	ahead += 61 * USEC_PER_SEC; /* the hold's own time */
}

static void test_no_traffic_is_rolled_back_when_the_file_says_so(void **s UNUSED)
{
	char id[ID_SIZE];

	hold_without_traffic("hold: {after: 1m, then: roll-back}", id);
	WAIT_FOR(fx_over(id));
	assert_true(fx_state_is(id, "rolled-back"));
	assert_true(fx_cause_has(id, "held too long without a verdict"));
	assert_true(serves("one"));
}

static void test_no_traffic_asks_and_goes_on_when_resumed(void **s UNUSED)
{
	char   id[ID_SIZE];
	size_t held = fx_events(EVENT_RELEASE_HELD), resumed = fx_events(EVENT_RELEASE_RESUMED);

	hold_without_traffic("hold: {after: 1m, then: ask}", id);
	WAIT_FOR(flag(id, "asked"));
	assert_true(fx_cause_has(id, "a person must decide"));
	assert_true(fx_state_is(id, "canary"));
	assert_int_equal(fx_events(EVENT_RELEASE_HELD), held + 2); /* held, then asked */
	assert_int_equal(fx_act(id, "resume"), 200);
	assert_false(flag(id, "held") || flag(id, "asked"));
	assert_int_equal(fx_events(EVENT_RELEASE_RESUMED), resumed + 1);
	load_start(&load, "shop.localhost", 5000, release_http_port(fx.room));
	WAIT_FOR(fx_state_is(id, "finished"));
	load_stop(&load);
	assert_int_equal(load.failed + load.none, 0);
	assert_true(serves("quiet"));
}

/* The label test fires at five errors of the canary at 25%; ten clients that saw them are enough unless the file wants more. */
static void test_clients_min_of_the_file_holds_what_the_default_would_roll_back(void **s UNUSED)
{
	char answer[2000], id[ID_SIZE];

	assert_int_equal(fx_release(fx_yaml("VERSION: few, FAIL: \"1\"", "clients-min: 16"), "production", id), 201);
	WAIT_FOR(fx_state_is(id, "canary"));
	WAIT_FOR(helper_get(release_http_port(fx.room), "shop.localhost", "/", answer, sizeof(answer)) && number(id, "clients_with_errors") >= 10);
	WAIT_FOR(flag(id, "held") || fx_over(id));
	assert_true(fx_state_is(id, "canary"));
	assert_true(fx_cause_has(id, "too few clients"));
	load_start(&load, "shop.localhost", 5000, release_http_port(fx.room));
	WAIT_FOR(fx_over(id)); /* with enough of them it is harm */
	load_stop(&load);
	assert_true(fx_state_is(id, "rolled-back"));
	assert_true(fx_cause_has(id, "more errors on the new version than chance explains"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_traffic_is_rolled_back_when_the_file_says_so),
		cmocka_unit_test(test_no_traffic_asks_and_goes_on_when_resumed),
		cmocka_unit_test(test_clients_min_of_the_file_holds_what_the_default_would_roll_back),
	};

	base_init();
	return cmocka_run_group_tests(tests, setup, fx_teardown);
}
