#include "lib/test.h"

#include "release/room.inc.h"

#include <sys/resource.h>

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

static int64_t latency(const char *id, const char *arm, const char *what)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(4 << 20);

	return doc_get_int(doc_path(fx_get(id, &a), arm), what, -1);
}

static void test_good_change_is_promoted_without_a_failed_request(void **s UNUSED)
{
	char id[ID_SIZE], answer[2000];

	load_start(&load, "shop.localhost", 5000, release_http_port(fx.room));
	assert_int_equal(fx_release(fx_yaml("VERSION: two", ""), "production", id), 201);
	WAIT_FOR(fx_state_is(id, "finished"));
	clock_sleep_ms(500);
	load_stop(&load);
	assert_int_equal(load.failed + load.none, 0);
	assert_true(load.ok > 100);
	assert_true(latency(id, "latency.canary", "answers") > 20 && latency(id, "latency.stable", "answers") > 20);
	assert_in_range(latency(id, "latency.canary", "p50_ms"), 0, latency(id, "latency.canary", "p95_ms"));
	assert_in_range(latency(id, "latency.canary", "p95_ms"), 0, 5000);
	assert_int_equal(helper_get(release_http_port(fx.room), "shop.localhost", "/", answer, sizeof(answer)), 200);
	assert_non_null(strstr(answer, "\r\n\r\ntwo\n"));
	assert_true(fx_events(EVENT_SERVICE_BORN) == 1);
}

static bool chart_has_begin_and_end(const char *id)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(4 << 20);
	const struct doc_node *p = doc_get(fx_get(id, &a), "points");
	size_t                 n = doc_len(p);

	return n >= 2 && doc_get_int(doc_at(p, n - 1), "failed_canary", 0) > 0;
}

static void test_dead_change_is_rolled_back(void **s UNUSED)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(4 << 20);
	const struct doc_node *r;
	char id[ID_SIZE], answer[2000];

	load_start(&load, "shop.localhost", 5000, release_http_port(fx.room));
	assert_int_equal(fx_release(fx_yaml("VERSION: dead, FAIL: \"1\"", ""), "production", id), 201);
	WAIT_FOR(fx_state_is(id, "rolled-back"));
	clock_sleep_ms(500);
	load_stop(&load);
	r = fx_get(id, &a);
	print_message("dead change: %u failed of %u; first to last bad %lld ms\n", load.failed + load.none, load.ok + load.failed + load.none,
	              (long long)(doc_get_int(r, "last_bad_at", 0) - doc_get_int(r, "first_bad_at", 0)) / 1000);
	assert_in_range(load.failed, 1, 40);
	WAIT_FOR(chart_has_begin_and_end(id)); /* though it took less than a second */
	assert_int_equal(load.none, 0);
	assert_true(fx_cause_has(id, "more errors on the new version"));
	assert_int_equal(helper_get(release_http_port(fx.room), "shop.localhost", "/", answer, sizeof(answer)), 200);
	assert_non_null(strstr(answer, "\r\n\r\ntwo\n"));
	assert_int_equal(fx_events(EVENT_RELEASE_ROLLED_BACK), 1);
}

static void test_sick_change_is_rolled_back(void **s UNUSED)
{
	char id[ID_SIZE];

	load_start(&load, "shop.localhost", 3000, release_http_port(fx.room));
	assert_int_equal(fx_release(fx_yaml("VERSION: sick, FAIL: \"0.2\"", ""), "production", id), 201);
	WAIT_FOR(fx_over(id));
	load_stop(&load);
	assert_true(fx_state_is(id, "rolled-back"));
	assert_true(load.failed < 100);
}

/* It answers its health check and nothing else; without request-timeout its first request would fail after a minute. */
static void test_hanging_change_is_rolled_back(void **s UNUSED)
{
	char id[ID_SIZE], yaml[2200], answer[2000];

	snprintf(yaml, sizeof(yaml), "%srequest-timeout: 1s\n", fx_yaml("VERSION: hung, HANG: \"1\"", ""));
	load_start(&load, "shop.localhost", 5000, release_http_port(fx.room));
	assert_int_equal(fx_release(yaml, "production", id), 201);
	WAIT_FOR(fx_over(id));
	load_stop(&load);
	assert_true(fx_state_is(id, "rolled-back"));
	assert_true(fx_cause_has(id, "more errors on the new version"));
	assert_true(load.failed > 0);
	assert_int_equal(helper_get(release_http_port(fx.room), "shop.localhost", "/", answer, sizeof(answer)), 200);
	assert_non_null(strstr(answer, "\r\n\r\ntwo\n"));
}

static void test_never_healthy_ends_and_touches_no_user(void **s UNUSED)
{
	char id[ID_SIZE];

	load_start(&load, "shop.localhost", 10000, release_http_port(fx.room));
	assert_int_equal(fx_release(fx_yaml("DEAF: \"1\"", ""), "production", id), 201);
	WAIT_FOR(fx_over(id));
	load_stop(&load);
	assert_true(fx_state_is(id, "rolled-back"));
	assert_true(fx_cause_has(id, "never healthy"));
	assert_int_equal(load.failed + load.none, 0);
}

static void test_crash_loop_ends(void **s UNUSED)
{
	char id[ID_SIZE];

	assert_int_equal(fx_release(fx_yaml("DIE: \"1\"", ""), "production", id), 201);
	WAIT_FOR(fx_over(id));
	assert_true(fx_state_is(id, "rolled-back"));
	assert_true(fx_cause_has(id, "crash loop"));
}

static void test_a_push_during_a_canary_supersedes_it(void **s UNUSED)
{
	char first[ID_SIZE], second[ID_SIZE], third[ID_SIZE], answer[2000];

	assert_int_equal(fx_release(fx_yaml("VERSION: older", ""), "production", first), 201);
	WAIT_FOR(fx_state_is(first, "canary")); /* without requests it stays there */
	assert_int_equal(fx_release(fx_yaml("VERSION: newer", ""), "production", second), 201);
	assert_int_equal(fx_release(fx_yaml("VERSION: newest", ""), "production", third), 201); /* two at once: the last one counts */
	WAIT_FOR(fx_state_is(first, "aborted") && fx_state_is(second, "aborted"));
	assert_true(fx_cause_has(first, "superseded"));
	assert_true(fx_cause_has(first, second) || fx_cause_has(first, third));
	load_start(&load, "shop.localhost", 5000, release_http_port(fx.room));
	WAIT_FOR(fx_state_is(third, "finished"));
	load_stop(&load);
	assert_int_equal(load.failed + load.none, 0);
	assert_int_equal(helper_get(release_http_port(fx.room), "shop.localhost", "/", answer, sizeof(answer)), 200);
	assert_non_null(strstr(answer, "\r\n\r\nnewest\n"));
}

static void test_pause_resume_abort_and_promote_do_what_they_say(void **s UNUSED)
{
	char id[ID_SIZE], again[ID_SIZE], answer[2000];

	assert_int_equal(fx_release(fx_yaml("VERSION: steered", ""), "production", id), 201);
	assert_true(fx_act(id, "promote") == 409 || fx_state_is(id, "canary") || fx_state_is(id, "baking")); /* not before it is healthy */
	if (fx_state_is(id, "baking"))
		fail_msg("promoted before it was healthy");
	WAIT_FOR(fx_state_is(id, "canary"));
	assert_int_equal(fx_act(id, "pause"), 200);
	load_start(&load, "shop.localhost", 3000, release_http_port(fx.room));
	clock_sleep_ms(2000); /* enough requests to promote it */
	assert_true(fx_state_is(id, "canary"));
	assert_int_equal(fx_act(id, "abort"), 200);
	assert_true(fx_state_is(id, "aborted"));
	assert_int_equal(fx_act(id, "abort"), 409); /* over is over */
	assert_int_equal(fx_release(fx_yaml("VERSION: steered2", ""), "production", again), 201);
	WAIT_FOR(fx_state_is(again, "canary") || fx_state_is(again, "baking"));
	assert_int_equal(fx_act(again, "promote"), 200);
	WAIT_FOR(fx_state_is(again, "finished"));
	load_stop(&load);
	assert_int_equal(load.failed + load.none, 0);
	assert_int_equal(helper_get(release_http_port(fx.room), "shop.localhost", "/", answer, sizeof(answer)), 200);
	assert_non_null(strstr(answer, "\r\n\r\nsteered2\n"));
	assert_int_equal(fx_act("01ARZ3NDEKTSV4RRFFQ69G5FAV", "pause"), 404);
	assert_int_equal(fx_act(again, "explode"), 404);
}

static void test_harm_found_in_the_bake_goes_back_to_the_old_version(void **s UNUSED)
{
	char id[ID_SIZE], answer[2000];

	assert_int_equal(fx_release(fx_yaml("VERSION: late, FAIL: \"1\"", "hold: {after: 60s}"), "production", id), 201);
	WAIT_FOR(fx_state_is(id, "canary"));
	assert_int_equal(fx_act(id, "promote"), 200); /* somebody was in a hurry */
	load_start(&load, "shop.localhost", 5000, release_http_port(fx.room));
	WAIT_FOR(fx_over(id));
	clock_sleep_ms(300);
	load_stop(&load);
	assert_true(fx_state_is(id, "rolled-back"));
	assert_int_equal(helper_get(release_http_port(fx.room), "shop.localhost", "/", answer, sizeof(answer)), 200);
	assert_non_null(strstr(answer, "\r\n\r\nsteered2\n"));
}

static int rollback(const char *environment)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(4 << 20);
	struct doc_node *n;
	char             body[100];

	snprintf(body, sizeof(body), "{\"environment\":\"%s\"}", environment);
	return fx_call("POST", "/api/v1/projects/shop/rollback", str_z(body), &a, &n);
}

static void test_rollback_by_hand_while_everything_is_healthy(void **s UNUSED)
{
	char answer[2000];

	load_start(&load, "shop.localhost", 5000, release_http_port(fx.room));
	assert_int_equal(rollback("production"), 200);
	WAIT_FOR(helper_get(release_http_port(fx.room), "shop.localhost", "/", answer, sizeof(answer)) == 200 && strstr(answer, "\r\n\r\nnewest\n"));
	clock_sleep_ms(500);
	load_stop(&load);
	assert_int_equal(load.failed + load.none, 0);
	assert_int_equal(rollback("nowhere"), 404);
}

static void test_a_first_version_that_fails_leaves_the_way_free(void **s UNUSED)
{
	char yaml[2000], id[ID_SIZE], answer[2000];

	snprintf(yaml, sizeof(yaml),
	         "service: shop\ncommand: [/usr/bin/python3, app.py]\nhealth: {path: /healthz, interval: 200ms, start-within: 2s}\n"
	         "route: {host: staging.localhost}\nclient: connection\nenvironments: {staging: {env: {DEAF: \"1\"}}}\nrollout: {bake: 5s}\n");
	assert_int_equal(fx_release(yaml, "staging", id), 201);
	WAIT_FOR(fx_over(id));
	assert_true(fx_state_is(id, "rolled-back"));
	*strstr(yaml, "DEAF") = 'L'; /* LEAF means nothing to the service */
	assert_int_equal(fx_release(yaml, "staging", id), 201);
	WAIT_FOR(fx_state_is(id, "baking"));
	assert_int_equal(helper_get(release_http_port(fx.room), "staging.localhost", "/", answer, sizeof(answer)), 200);
	assert_int_equal(rollback("staging"), 200); /* during the bake of a first version: it is taken away */
	WAIT_FOR(fx_state_is(id, "aborted"));
	WAIT_FOR(helper_get(release_http_port(fx.room), "staging.localhost", "/", answer, sizeof(answer)) == 503);
}

/* Errors are counted once per client, failed requests are not: one busy address must not hide a version on which everything fails. */
static void test_a_first_version_that_fails_for_one_address_is_held(void **s UNUSED)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(4 << 20);
	static const char yaml[] =
		"service: lone\ncommand: [/usr/bin/python3, app.py]\nhealth: {path: /healthz, interval: 200ms, start-within: 6s}\n"
		"route: {host: lone.localhost}\nclient: address\nstop-grace: 2s\nenvironments:\n  production: {env: {FAIL: \"1\"}}\n"
		"rollout: {steps: [25%, 100%], bake: 2s, budget: 5%, hold: {after: 2s, then: roll-back}}\n";
	const struct doc_node *r;
	char id[ID_SIZE];

	assert_int_equal(fx_release(yaml, "production", id), 201);
	load_start(&load, "lone.localhost", 3000, release_http_port(fx.room));
	WAIT_FOR(fx_over(id));
	load_stop(&load);
	assert_true(fx_state_is(id, "rolled-back"));
	assert_true(fx_cause_has(id, "held too long"));
	r = fx_get(id, &a);
	assert_int_equal(doc_get_int(r, "clients_with_errors", 0), 1);
}

static void test_a_route_of_another_service_is_refused(void **s UNUSED)
{
	char id[ID_SIZE];

	assert_int_equal(fx_release("service: copy\ncommand: [/usr/bin/python3, app.py]\nroute: {host: shop.localhost}\nenvironments: {production: {}}\n",
	                            "production", id),
	                 201);
	WAIT_FOR(fx_over(id));
	assert_true(fx_cause_has(id, "another service's"));
}

static void test_a_killed_haproxy_does_not_mislead_the_judge(void **s UNUSED)
{
	const char      *argv[] = { "s6-svc", "-k", NULL, NULL };
	struct proc_run  run = { .argv = argv, .timeout_ms = 5000 };
	char             dir[200], id[ID_SIZE];

	snprintf(dir, sizeof(dir), "%s/services/haproxy", fx.data);
	argv[2] = dir;
	load_start(&load, "shop.localhost", 5000, release_http_port(fx.room));
	assert_int_equal(fx_release(fx_yaml("VERSION: after", "good-alpha: 0.0001"), "production", id), 201);
	WAIT_FOR(fx_state_is(id, "canary"));
	FX_OK(proc_run(&run, NULL, &fx_err)); /* SIGKILL */
	WAIT_FOR(fx_over(id));
	load_stop(&load);
	assert_true(fx_state_is(id, "finished"));
	assert_true(load.ok > 0);
	assert_int_equal(load.failed, 0);
}

static void test_a_full_disk_does_not_stop_a_rollback(void **s UNUSED)
{
	struct rlimit before, small;
	unsigned      failed;
	char          id[ID_SIZE];

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	small = before;
	small.rlim_cur = 1;
	assert_int_equal(fx_release(fx_yaml("VERSION: full, FAIL: \"1\"", ""), "production", id), 201);
	WAIT_FOR(fx_state_is(id, "canary"));
	setrlimit(RLIMIT_FSIZE, &small); /* this process can store nothing any more */
	load_start(&load, "shop.localhost", 5000, release_http_port(fx.room));
	clock_sleep_ms(1500);
	failed = load.failed;
	assert_in_range(failed, 1, 40);
	clock_sleep_ms(1000);
	assert_int_equal(load.failed, failed); /* users are safe although nothing could be stored */
	assert_true(fx_state_is(id, "canary"));
	setrlimit(RLIMIT_FSIZE, &before);
	WAIT_FOR(fx_over(id));
	load_stop(&load);
	assert_true(fx_state_is(id, "rolled-back"));
}

static void test_requests_that_cannot_be_obeyed(void **s UNUSED)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(4 << 20);
	struct doc_node *n;
	const char      *commit;
	char             body[500], id[ID_SIZE];

	assert_int_equal(fx_release(fx_yaml("", ""), "moon", id), 404);
	commit = fx_commit("service: shop\ncomand: [x]\n");
	snprintf(body, sizeof(body), "{\"project\":\"shop\",\"environment\":\"production\",\"digest\":\"%s\",\"commit\":\"%s\"}", fx.digest, commit);
	assert_int_equal(fx_call("POST", "/api/v1/releases", str_z(body), &a, &n), 422); /* the parse error, at its place */
	snprintf(body, sizeof(body), "{\"project\":\"shop\",\"environment\":\"production\",\"digest\":\"%064d\",\"commit\":\"%s\"}", 7, fx_commit(fx_yaml("", "")));
	assert_int_equal(fx_call("POST", "/api/v1/releases", str_z(body), &a, &n), 404); /* never stored */
	snprintf(body, sizeof(body), "{\"project\":\"shop\",\"environment\":\"production\",\"digest\":\"%s\",\"commit\":\"%040d\"}", fx.digest, 1);
	assert_int_equal(fx_call("POST", "/api/v1/releases", str_z(body), &a, &n) / 100, 4);
	assert_int_equal(fx_call("POST", "/api/v1/releases", STR("{\"projekt\":\"shop\"}"), &a, &n), 400);
	assert_int_equal(fx_call("POST", "/api/v1/releases", STR("{\"project\":\"../x\",\"environment\":\"production\",\"digest\":\"x\",\"commit\":\"y\"}"), &a, &n), 400);
	assert_int_equal(fx_call("GET", "/api/v1/releases/01ARZ3NDEKTSV4RRFFQ69G5FAV", STR_NULL, &a, &n), 404);
	assert_int_equal(fx_call("GET", "/api/v1/services", STR_NULL, &a, &n), 200);
	assert_true(doc_len(doc_get(n, "services")) >= 2);
	assert_int_equal(fx_call("GET", "/api/v1/projects/shop/releases", STR_NULL, &a, &n), 200);
	assert_true(doc_len(doc_get(n, "releases")) >= 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_version_goes_live_when_it_is_healthy),
		cmocka_unit_test(test_good_change_is_promoted_without_a_failed_request),
		cmocka_unit_test(test_dead_change_is_rolled_back),
		cmocka_unit_test(test_sick_change_is_rolled_back),
		cmocka_unit_test(test_hanging_change_is_rolled_back),
		cmocka_unit_test(test_never_healthy_ends_and_touches_no_user),
		cmocka_unit_test(test_crash_loop_ends),
		cmocka_unit_test(test_a_push_during_a_canary_supersedes_it),
		cmocka_unit_test(test_pause_resume_abort_and_promote_do_what_they_say),
		cmocka_unit_test(test_harm_found_in_the_bake_goes_back_to_the_old_version),
		cmocka_unit_test(test_rollback_by_hand_while_everything_is_healthy),
		cmocka_unit_test(test_a_first_version_that_fails_leaves_the_way_free),
		cmocka_unit_test(test_a_first_version_that_fails_for_one_address_is_held),
		cmocka_unit_test(test_a_route_of_another_service_is_refused),
		cmocka_unit_test(test_a_killed_haproxy_does_not_mislead_the_judge),
		cmocka_unit_test(test_a_full_disk_does_not_stop_a_rollback),
		cmocka_unit_test(test_requests_that_cannot_be_obeyed),
	};

	base_init();
	return cmocka_run_group_tests(tests, fx_setup, fx_teardown);
}
