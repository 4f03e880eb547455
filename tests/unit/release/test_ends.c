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
	WAIT_FOR(helper_get(release_http_port(fx.room), "shop.localhost", "/", answer, sizeof(answer)) && (number(id, "clients_with_errors") >= 10 || fx_over(id)));
	WAIT_FOR(flag(id, "held") || fx_over(id));
	assert_true(fx_state_is(id, "canary"));
	assert_true(fx_cause_has(id, "too few clients"));
	load_start(&load, "shop.localhost", 5000, release_http_port(fx.room));
	WAIT_FOR(fx_over(id)); /* with enough of them it is harm */
	load_stop(&load);
	assert_true(fx_state_is(id, "rolled-back"));
	assert_true(fx_cause_has(id, "more errors on the new version than chance explains"));
}

static void test_a_sick_old_version_cannot_be_compared_with(void **s UNUSED)
{
	char id[ID_SIZE];

	assert_int_equal(fx_release(fx_yaml("VERSION: sick, FAIL: \"0.5\"", ""), "production", id), 201);
	WAIT_FOR(fx_state_is(id, "canary"));
	assert_int_equal(fx_act(id, "promote"), 200);
	WAIT_FOR(fx_state_is(id, "finished")); /* nobody asked it anything */
	/* Errors of the old version alone speak for the new one: here it takes more of them than show the old one to be sick. */
	assert_int_equal(fx_release(fx_yaml("VERSION: cure", "good-alpha: 0.000000001"), "production", id), 201);
	WAIT_FOR(fx_state_is(id, "canary"));
	load_start(&load, "shop.localhost", 5000, release_http_port(fx.room));
	WAIT_FOR(flag(id, "held") || fx_over(id));
	load_stop(&load);
	assert_true(fx_state_is(id, "canary"));
	assert_true(fx_cause_has(id, "the old version fails itself"));
	assert_int_equal(fx_act(id, "promote"), 200); /* a person may */
	WAIT_FOR(fx_state_is(id, "finished"));
	assert_true(serves("cure"));
}

/* HAProxy's process as its records name it. */
static void boot_of_haproxy(char *out, size_t size)
{
	struct buf CLEANUP_BUF environ = BUF_INIT(1 << 20);
	struct traffic_counts  now;
	char                   path[100];
	str                    pid, rest, entry;

	FX_OK(fx.room->traffic.counts(fx.room->traffic.ctx, fx.room->services.v[0]->slot, &now, &fx_err));
	str_cut(str_z(now.boot), '.', &pid, &rest);
	snprintf(path, sizeof(path), "/proc/%.*s/environ", STR_ARG(pid));
	FX_OK(fs_read(path, &environ, &fx_err));
	*out = 0;
	for (rest = buf_str(&environ); rest.len > 0;) {
		str_cut(rest, 0, &entry, &rest);
		if (entry.len > 10 && !memcmp(entry.ptr, "WEIR_BOOT=", 10))
			snprintf(out, size, "%.*s.%.*s", (int)entry.len - 10, entry.ptr + 10, STR_ARG(pid));
	}
	assert_int_not_equal(*out, 0);
}

/* Takes the numbers of the requests to come for a slot that nobody watches: HAProxy counts them, their records count for nothing. */
static void lose_records_to_come(void)
{
	char boot[48], line[200];

	boot_of_haproxy(boot, sizeof(boot));
	for (unsigned i = 1; i < 60000; i++) {
		int n = snprintf(line, sizeof(line), "weir1 %s %u s9999_a 1 0 200 -- 1795524047237 12 127.0.0.1 1 -", boot, i);

		evidence_feed(fx.room->evidence, str_n(line, (size_t)n));
	}
}

static void test_missing_records_are_seen_and_nothing_is_judged_by_them(void **s UNUSED)
{
	char   id[ID_SIZE];
	size_t gaps = fx_events(EVENT_RELEASE_EVIDENCE_GAP);

	assert_int_equal(fx_release(fx_yaml("VERSION: unseen", ""), "production", id), 201);
	WAIT_FOR(fx_state_is(id, "canary"));
	lose_records_to_come();
	load_start(&load, "shop.localhost", 10000, release_http_port(fx.room));
	WAIT_FOR(fx_events(EVENT_RELEASE_EVIDENCE_GAP) > gaps || fx_over(id));
	WAIT_FOR(flag(id, "held") || fx_over(id));
	load_stop(&load);
	assert_true(number(id, "missing_records") > 0);
	assert_true(fx_state_is(id, "canary"));
	assert_true(fx_cause_has(id, "too many request records are missing"));
	assert_int_equal(fx_act(id, "abort"), 200);
	assert_true(serves("next"));
}

static void test_one_that_listens_but_is_never_well_is_rolled_back(void **s UNUSED)
{
	char id[ID_SIZE];

	assert_int_equal(fx_release(fx_yaml("UNWELL: \"1\"", ""), "production", id), 201);
	WAIT_FOR(fx_over(id));
	assert_true(fx_state_is(id, "rolled-back"));
	assert_true(fx_cause_has(id, "never healthy"));
	assert_true(serves("cure"));
}

enum { AT_ONCE = 6 };
struct wish {
	pthread_t thread;
	char      body[400];
	char      answer[4000];
	int       status;
};

static void *wish_main(void *arg)
{
	struct wish *w = arg;
	char         req[1000];
	int          fd = helper_connect(http_server_port(fx.http));
	int          n = snprintf(req, sizeof(req), "POST /api/v1/releases HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
	                          strlen(w->body), w->body);

	if (write(fd, req, (size_t)n) != n)
		BUG("short write");
	w->status = helper_answer(fd, w->answer, sizeof(w->answer));
	return NULL;
}

static size_t count_state(const char *state)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(16 << 20);
	struct doc_node       *n;
	const struct doc_node *list;
	size_t                 count = 0;

	assert_int_equal(fx_call("GET", "/api/v1/projects/shop/releases", STR_NULL, &a, &n), 200);
	list = doc_get(n, "releases");
	for (size_t i = 0; i < doc_len(list) && i < AT_ONCE; i++) /* the newest */
		count += str_eqz(doc_get_str(doc_at(list, i), "state"), state);
	return count;
}

/* Six releases of one service asked for in one moment: all are accepted, the newest one goes live, the others end as superseded. */
static void test_releases_of_one_service_at_once_end_in_one(void **s UNUSED)
{
	struct wish w[AT_ONCE];
	const char *commit = fx_commit(fx_yaml("VERSION: crowd", ""));

	load_start(&load, "shop.localhost", 5000, release_http_port(fx.room));
	for (unsigned i = 0; i < AT_ONCE; i++) {
		snprintf(w[i].body, sizeof(w[i].body), "{\"project\":\"shop\",\"environment\":\"production\",\"digest\":\"%s\",\"commit\":\"%s\"}", fx.digest, commit);
		assert_int_equal(pthread_create(&w[i].thread, NULL, wish_main, &w[i]), 0);
	}
	for (unsigned i = 0; i < AT_ONCE; i++) {
		pthread_join(w[i].thread, NULL);
		assert_int_equal(w[i].status, 201);
	}
	WAIT_FOR(count_state("finished") + count_state("aborted") == AT_ONCE);
	load_stop(&load);
	assert_int_equal(count_state("finished"), 1);
	assert_int_equal(load.failed + load.none, 0);
	assert_true(serves("crowd"));
}

static void *slow_main(void *arg)
{
	char *answer = arg;

	return helper_get(release_http_port(fx.room), "shop.localhost", "/slow", answer, 2000) == 200 ? answer : NULL;
}

/* The old version is stopped (SIGTERM to the service itself) while it still works on a request: its user gets the answer. */
static void test_the_old_version_finishes_its_requests(void **s UNUSED)
{
	char      answer[2000], id[ID_SIZE];
	pthread_t th;
	void     *got;

	assert_int_equal(fx_release(fx_yaml("VERSION: thorough, SLOW: \"3.5\"", ""), "production", id), 201);
	WAIT_FOR(fx_state_is(id, "canary"));
	assert_int_equal(fx_act(id, "promote"), 200);
	assert_int_equal(fx_act(id, "promote"), 200);
	WAIT_FOR(serves("thorough"));
	assert_int_equal(pthread_create(&th, NULL, slow_main, answer), 0);
	assert_int_equal(fx_release(fx_yaml("VERSION: next", ""), "production", id), 201);
	WAIT_FOR(fx_state_is(id, "canary"));
	assert_int_equal(fx_act(id, "promote"), 200);
	assert_int_equal(fx_act(id, "promote"), 200);
	pthread_join(th, &got);
	assert_non_null(got);
	assert_non_null(strstr(answer, "\r\n\r\nthorough\n"));
	assert_true(serves("next"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_traffic_is_rolled_back_when_the_file_says_so),
		cmocka_unit_test(test_no_traffic_asks_and_goes_on_when_resumed),
		cmocka_unit_test(test_clients_min_of_the_file_holds_what_the_default_would_roll_back),
		cmocka_unit_test(test_a_sick_old_version_cannot_be_compared_with),
		cmocka_unit_test(test_one_that_listens_but_is_never_well_is_rolled_back),
		cmocka_unit_test(test_releases_of_one_service_at_once_end_in_one),
		cmocka_unit_test(test_the_old_version_finishes_its_requests),
		cmocka_unit_test(test_missing_records_are_seen_and_nothing_is_judged_by_them), /* last: HAProxy's numbers are used up afterwards */
	};

	base_init();
	return cmocka_run_group_tests(tests, setup, fx_teardown);
}
