#include "lib/test.h"

#include "base/hash.h"
#include "release/evidence.h"
#include "release/helper.h"

static struct evidence *e;
static unsigned         woken, saved;
static char             window[1 << 16];
static size_t           window_len;
static bool             save_fails;
static struct evidence_counts last_saved;

static void on_wake(void *ctx UNUSED)
{
	woken++;
}

static int on_save(void *ctx UNUSED, uint64_t tag UNUSED, const struct evidence_counts *c, struct err *reterr)
{
	if (save_fails)
		return err_set(reterr, WEIR_ENOSPC, "full");
	last_saved = *c;
	saved++;
	return 0;
}

static int on_window(void *ctx UNUSED, str w, struct err *reterr UNUSED)
{
	assert_true(w.len <= sizeof(window));
	memcpy(window, w.ptr, w.len);
	window_len = w.len;
	return 0;
}

static const struct evidence_config config = { .wake = on_wake, .save = on_save, .save_window = on_window };

static void watch(enum service_client client, enum traffic_arm canary)
{
	struct evidence_watch w = { .tag = 7, .slot = 3, .canary = canary, .client = client, .error_window = 10 * USEC_PER_SEC };
	struct err            err = { 0 };

	assert_ok(evidence_watch(e, &w, &err), &err);
}

static int setup(void **s UNUSED)
{
	struct err err = { 0 };

	woken = saved = 0;
	save_fails = false;
	assert_ok(evidence_new(&config, &e, &err), &err);
	return 0;
}

static int teardown(void **s UNUSED)
{
	e = evidence_free(e);
	return 0;
}

static uint64_t number;

/* A record of slot 3, tag 7: arm, share of B, status, termination, second it ended, client port. */
static void feed(char arm, unsigned share, int status, const char *ts, unsigned second, unsigned port)
{
	char line[300];
	int  n = snprintf(line, sizeof(line), "weir2 1.2 %llu s3_%c 7 %u %d %s %u000 0 3 127.0.0.1 %u -", (unsigned long long)++number, arm, share, status, ts,
	                  1000 + second, port);

	evidence_feed(e, str_n(line, (size_t)n));
}

static struct evidence_counts counts(void)
{
	struct evidence_counts c;

	assert_true(evidence_get(e, 7, &c));
	return c;
}

static void test_parse(void **s UNUSED)
{
	static const struct {
		const char *line;
		bool        ok, failed;
	} table[] = {
		{ "weir1 9.1 5 s12_b 42 500 200 -- 1795524047237 12 10.0.0.1 5555 -", true, false },
		{ "weir1 9.1 5 s12_b 42 500 500 -- 1795524047237 12 10.0.0.1 5555 -", true, true },
		{ "weir1 9.1 5 s12_b 42 500 404 -- 1795524047237 12 10.0.0.1 5555 -", true, false },
		{ "weir1 9.1 5 s12_b 42 500 503 SC 1795524047237 12 10.0.0.1 5555 -", true, true },
		{ "weir1 9.1 5 s12_b 42 500 200 SD 1795524047237 12 10.0.0.1 5555 -", true, true },  /* the server broke off */
		{ "weir1 9.1 5 s12_b 42 500 200 CD 1795524047237 12 10.0.0.1 5555 -", true, false }, /* the client left */
		{ "weir1 9.1 5 s12_b 42 500 -1 CH 1795524047237 12 10.0.0.1 5555 -", true, false },
		{ "weir1 9.1 5 s12_b 42 500 -1 SH 1795524047237 12 10.0.0.1 5555 -", true, true },
		{ "weir1 9.1 5 s12_b 42 500 504 sH 1795524047237 12 10.0.0.1 5555 18273645", true, true },
		{ "weir2 9.1 5 s12_b 42 500 200 -- 1795524047237 12 11 10.0.0.1 5555 -", true, false },
		{ "weir2 9.1 5 s12_b 42 500 -1 CR 1795524047237 12 -1 10.0.0.1 5555 -", true, false },
		{ "weir2 9.1 5 s12_b 42 500 200 -- 1795524047237 12 x 10.0.0.1 5555 -", false, false },
		{ "weir1 9.1 5 weir - - 404 LR 1795524047237 12 10.0.0.1 5555 -", false, false }, /* no service */
		{ "weir1 9.1 5 s12_c 42 500 200 -- 1795524047237 12 10.0.0.1 5555 -", false, false },
		{ "weir1 9.1 5 s12_b 42 10001 200 -- 1795524047237 12 10.0.0.1 5555 -", false, false },
		{ "weir1 9.1 5 s12_b 42 500 200 -- 1795524047237", false, false },
		{ "weir1 9.1 x s12_b 42 500 200 -- 1 12 10.0.0.1 5555 -", false, false },
		{ "weir2 9.1 5 s12_b 42 500 200 -- 1 12 10.0.0.1 5555 -", false, false },
		{ "", false, false },
		{ "weir1", false, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct evidence_record r;

		if (evidence_parse(str_z(table[i].line), &r) != table[i].ok || (table[i].ok && r.failed != table[i].failed))
			fail_msg("%s", table[i].line);
		if (table[i].ok) {
			assert_int_equal(r.slot, 12);
			assert_int_equal(r.arm, ARM_B);
			assert_int_equal(r.tag, 42);
			assert_true(r.took_ms == (strstr(table[i].line, " 11 10.") ? 11 : -1)); /* weir1 says nothing of it */
			assert_true(r.ended == (usec_t)1795524047249 * 1000);
		}
	}
}

static void test_counts_by_arm_and_share_whatever_the_order(void **s UNUSED)
{
	struct evidence_counts c;

	watch(CLIENT_CONNECTION, ARM_B);
	feed('b', 500, 200, "--", 1, 1);
	feed('a', 5000, 200, "--", 2, 2);
	feed('a', 500, 500, "--", 1, 3); /* late, of the share before */
	feed('b', 5000, 500, "--", 3, 4);
	feed('b', 500, 404, "--", 3, 5);
	c = counts();
	assert_int_equal(c.n_seg, 2);
	assert_int_equal(c.seg[0].requests_canary, 2);
	assert_int_equal(c.seg[0].requests_stable, 1);
	assert_int_equal(c.seg[0].failed_stable, 1);
	assert_int_equal(c.seg[1].failed_canary, 1);
	assert_int_equal(c.n_clients, 1);
	assert_true(c.first_bad == c.last_bad && c.first_bad == (usec_t)1003 * USEC_PER_SEC);
	assert_int_equal(c.seen[ARM_A], 2);
	assert_int_equal(c.seen[ARM_B], 3);
}

static void test_the_canary_may_be_either_arm(void **s UNUSED)
{
	struct evidence_counts c;

	watch(CLIENT_CONNECTION, ARM_A);
	feed('a', 9500, 500, "--", 1, 1); /* A has what is left of B's 95% */
	feed('b', 9500, 200, "--", 1, 2);
	c = counts();
	assert_int_equal(c.seg_share[0], 500);
	assert_int_equal(c.seg[0].errors_canary, 1);
	assert_int_equal(c.seg[0].requests_stable, 1);
}

static void test_errors_count_once_per_client(void **s UNUSED)
{
	struct evidence_counts c;

	watch(CLIENT_ADDRESS, ARM_B); /* all from one address */
	for (unsigned i = 0; i < 20; i++)
		feed('b', 500, 500, "--", i, i);
	c = counts();
	assert_int_equal(c.seg[0].failed_canary, 20);
	assert_int_equal(c.seg[0].errors_canary, 2); /* in 20 seconds */
	assert_int_equal(c.n_clients, 1);
}

static void test_a_burst_over_both_arms_is_labelled_by_its_first_error(void **s UNUSED)
{
	struct evidence_counts c;

	watch(CLIENT_ADDRESS, ARM_B);
	feed('a', 500, 500, "--", 1, 1);
	feed('b', 500, 500, "--", 1, 2);
	c = counts();
	assert_int_equal(c.seg[0].errors_stable, 1);
	assert_int_equal(c.seg[0].errors_canary, 0);
	assert_int_equal(c.seg[0].failed_canary, 1);
}

static void test_each_record_counts_once(void **s UNUSED)
{
	struct err err = { 0 };

	watch(CLIENT_CONNECTION, ARM_B);
	for (unsigned i = 0; i < 1000; i++)
		feed('b', 500, 200, "--", 1, i);
	number -= 500; /* the ring hands 500 over again */
	for (unsigned i = 0; i < 600; i++)
		feed('b', 500, 200, "--", 1, i);
	assert_int_equal(counts().seg[0].requests_canary, 1100);
	number += 200000; /* a jump past the whole window */
	feed('b', 500, 200, "--", 1, 1);
	number--;
	feed('b', 500, 200, "--", 1, 1);
	assert_int_equal(counts().seg[0].requests_canary, 1101);
	/* and over a restart of weir, with the stored window */
	assert_ok(evidence_start(e, &err), &err);
	WAIT_FOR(window_len > 0);
	e = evidence_free(e);
	assert_ok(evidence_new(&config, &e, &err), &err);
	evidence_set_window(e, str_n(window, window_len));
	watch(CLIENT_CONNECTION, ARM_B);
	number--;
	feed('b', 500, 200, "--", 1, 1);
	assert_int_equal(counts().n_seg, 0);
	feed('b', 500, 200, "--", 1, 1);
	assert_int_equal(counts().seg[0].requests_canary, 1);
}

static void test_other_releases_and_slots_do_not_count(void **s UNUSED)
{
	watch(CLIENT_CONNECTION, ARM_B);
	evidence_feed(e, STR("weir1 1.3 1 s3_b 6 500 500 -- 1000 0 127.0.0.1 1 -")); /* the release before, in this slot */
	evidence_feed(e, STR("weir1 1.3 2 s4_b 7 500 500 -- 1000 0 127.0.0.1 1 -"));
	assert_int_equal(counts().n_seg, 0);
	assert_int_equal(counts().seen[ARM_B], 1); /* for the comparison with the slot's counters */
}

static void test_over_the_wire_in_any_pieces(void **s UNUSED)
{
	static const char text[] = "weir1 1.4 1 s3_b 7 500 500 -- 1000 0 127.0.0.1 1 -\n\njunk\nweir1 1.4 2 s3_b 7 500 200 -- 1000 0 127.0.0.1 1 -\n";
	char       big[5000];
	struct err err = { 0 };
	int        fd;

	e = evidence_free(e);
	{
		struct evidence_config cfg = config;

		cfg.port = helper_free_port();
		assert_ok(evidence_new(&cfg, &e, &err), &err);
		watch(CLIENT_CONNECTION, ARM_B);
		assert_ok(evidence_start(e, &err), &err);
		assert_true(evidence_connected_since(e) == 0);
		fd = helper_connect(cfg.port);
	}
	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\n';
	assert_int_equal(write(fd, big, sizeof(big)), sizeof(big)); /* a line that is too long is skipped, the next one counts */
	for (size_t i = 0; i < sizeof(text) - 1; i++)
		assert_int_equal(write(fd, text + i, 1), 1);
	WAIT_FOR(counts().n_seg == 1 && counts().seg[0].requests_canary == 2);
	assert_true(woken >= 1);
	assert_true(evidence_connected_since(e) > 0);
	WAIT_FOR(saved > 0 && last_saved.seg[0].requests_canary == 2);
	save_fails = true;
	assert_int_equal(write(fd, "weir1 1.4 3 s3_b 7 500 200 -- 1000 0 127.0.0.1 1 -\n", 51), 51);
	WAIT_FOR(counts().seg[0].requests_canary == 3);
	clock_sleep_ms(200);
	save_fails = false; /* what could not be stored is stored later */
	WAIT_FOR(last_saved.seg[0].requests_canary == 3);
	close(fd);
	WAIT_FOR(evidence_connected_since(e) == 0);
}

static void test_missing_requests_come_from_the_counters(void **s UNUSED)
{
	struct traffic_counts  base = { .boot = "x", .done = { 100, 10 }, .failed = { 1, 0 } };
	struct evidence_counts c, before;

	watch(CLIENT_CONNECTION, ARM_B);
	feed('b', 500, 200, "--", 1, 1);
	before = counts();
	feed('b', 500, 200, "--", 1, 2); /* between the two looks: stays */
	evidence_set_base(e, 7, &base, &before);
	assert_int_equal(counts().seen[ARM_B], 1);
	evidence_add_missing(e, 7, ARM_B, 500, 5, 2);
	c = counts();
	assert_int_equal(c.missing, 5);
	assert_int_equal(c.seg[0].requests_canary, 7);
	assert_int_equal(c.seg[0].failed_canary, 2);
	assert_int_equal(c.seg[0].errors_canary, 0); /* without a client they are no evidence for the label test */
	assert_int_equal(c.seen[ARM_B], 6);
}

static void test_json_there_and_back(void **s UNUSED)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(1 << 20);
	struct buf CLEANUP_BUF b = BUF_INIT(1 << 16);
	struct traffic_counts  base = { .boot = "12.34", .done = { 1, 2 }, .failed = { 3, 4 } };
	struct evidence_counts c, back;
	struct doc_node       *n;
	struct err             err = { 0 };
	struct jw              w;

	watch(CLIENT_CONNECTION, ARM_B);
	feed('b', 500, 500, "--", 1, 1);
	feed('a', 500, 200, "--", 1, 1);
	c = counts();
	evidence_set_base(e, 7, &base, &c);
	feed('b', 10000, 503, "SC", 2, 2);
	evidence_add_missing(e, 7, ARM_A, 500, 3, 1);
	c = counts();
	assert_int_equal(c.latency[1].n, 1); /* canary answers failed: only the stable one counts */
	assert_true(latency_quantile(&c.latency[1], 0.5) == 3);
	jw_init(&w, &b);
	evidence_write(&w, &c);
	assert_ok(doc_parse_json(&a, "x", buf_str(&b), &n, &err), &err);
	assert_ok(evidence_read(n, &back, &err), &err);
	assert_memory_equal(&c, &back, sizeof(c));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test_setup_teardown(test_counts_by_arm_and_share_whatever_the_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_canary_may_be_either_arm, setup, teardown),
		cmocka_unit_test_setup_teardown(test_errors_count_once_per_client, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_burst_over_both_arms_is_labelled_by_its_first_error, setup, teardown),
		cmocka_unit_test_setup_teardown(test_each_record_counts_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_releases_and_slots_do_not_count, setup, teardown),
		cmocka_unit_test_setup_teardown(test_over_the_wire_in_any_pieces, setup, teardown),
		cmocka_unit_test_setup_teardown(test_missing_requests_come_from_the_counters, setup, teardown),
		cmocka_unit_test_setup_teardown(test_json_there_and_back, setup, teardown),
	};

	base_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
