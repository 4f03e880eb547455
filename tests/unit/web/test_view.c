/* Texts for people beside an answer's own values. Pure. */
#include "lib/test.h"
#include "web/view.h"

#define NOW (1795526100 * USEC_PER_SEC) /* 2026-11-24T13:15:00Z */

static void check(const char *json, const char *path, const char *want)
{
	struct arena a    CLEANUP_ARENA = ARENA_INIT(1 << 20);
	struct buf out    CLEANUP_BUF = BUF_INIT(1 << 20);
	struct doc_node  *n;
	struct err        e = { 0 };
	struct jw         w;

	assert_ok(doc_parse_json(&a, "in", str_z(json), &n, &e), &e);
	jw_init(&w, &out);
	view_write(&w, n, NOW);
	assert_ok(doc_parse_json(&a, "out", buf_str(&out), &n, &e), &e);
	const struct doc_node *got = doc_path(n, path);
	if (!want) {
		assert_null(got);
		return;
	}
	if (!got || !str_eqz(got->kind == DOC_STR ? got->s : got->text, want))
		fail_msg("%s of %s: expected '%s', all: %s", path, json, want, buf_z(&out));
}

static void test_superseded(void **s UNUSED)
{
	check("{\"state\":\"aborted\",\"superseded_by\":\"01M86V\"}", "state", "superseded");
	check("{\"state\":\"aborted\",\"superseded_by\":\"01M86V\"}", "state_class", "idle");
	check("{\"state\":\"aborted\",\"superseded_by\":\"\"}", "state_class", "bad");
	check("{\"state\":\"finished\",\"superseded_by\":\"01M86V\"}", "state", "finished"); /* in its bake */
}

static void test_times(void **s UNUSED)
{
	check("{\"created\":\"2026-11-24T13:14:30Z\"}", "created_ago", "30s ago");
	check("{\"created\":\"2026-11-24T13:13:30Z\"}", "created_ago", "90s ago");
	check("{\"created\":\"2026-11-24T13:10:00Z\"}", "created_ago", "5m ago");
	check("{\"created\":\"2026-11-23T13:15:00Z\"}", "created_ago", "24h ago");
	check("{\"created\":\"2026-11-14T13:15:00Z\"}", "created_ago", "10d ago");
	check("{\"created\":\"2026-11-24T13:15:00.5Z\"}", "created_ago", "now");
	check("{\"until\":\"2026-11-24T13:25:00Z\"}", "until_ago", "in 10m");
	check("{\"created\":\"2026-11-24T13:14:30Z\"}", "created_local", "2026-11-24 13:14:30 UTC");
	check("{\"time\":1795526040000000}", "time_ago", "60s ago");
	check("{\"count\":40}", "count_ago", NULL);
	check("{\"started\":\"2026-11-24T13:14:30Z\",\"ended\":\"2026-11-24T13:14:32.5Z\"}", "took", "2.5s");
	check("{\"started\":\"2026-11-24T13:14:30Z\",\"ended\":null}", "took", NULL);
}

static void test_words(void **s UNUSED)
{
	check("{\"state\":\"rolled-back\"}", "state_class", "bad");
	check("{\"result\":\"success\"}", "result_class", "good");
	check("{\"state\":\"never heard of\"}", "state_class", "idle");
	check("{\"new\":\"961f40810f6ead1f981c5aad8dc64aaa0c396448\"}", "new_short", "961f40810f");
	check("{\"new\":\"961f40810f6ead1f981c5aad8dc64aaa0c39644g\"}", "new_short", NULL);
	check("{\"ref\":\"refs/heads/main\"}", "ref_short", "main");
	check("{\"ref\":\"refs/tags/v1\"}", "ref_short", "v1");
	check("{\"ref\":\"refs/x\"}", "ref_short", "refs/x");
	check("{\"a\":{\"state\":\"running\"}}", "a.state_class", "live");
}

static void test_figures(void **s UNUSED)
{
	check("{\"share\":0.05}", "share_percent", "5%");
	check("{\"share\":1}", "share_percent", "100%");
	check("{\"share\":0.0005}", "share_percent", "0.050%");
	check("{\"rate_canary\":0.0333}", "rate_canary_percent", "3.33%");
	check("{\"log_e\":-0.4567}", "log_e_round", "-0.46");
	check("{\"bytes\":2048}", "bytes_human", "2.0 KiB");
	check("{\"requests_canary\":200,\"failed_canary\":3}", "failing_canary_percent", "1.50%");
	check("{\"requests_canary\":0,\"failed_canary\":0}", "failing_canary_percent", NULL);
	check("{\"value\":0.25,\"unit\":\"ratio\"}", "text", "25%");
	check("{\"value\":90.0,\"unit\":\"seconds\"}", "text", "1m 30s");
	check("{\"value\":null,\"unit\":\"ratio\"}", "text", "nothing to measure yet");
	check("{\"value\":1.5,\"unit\":\"per day\"}", "text", "1.5 per day");
	check("{\"list\":[]}", "list_any", "false");
	check("{\"list\":[1,2]}", "list_n", "2");
}

/* Somebody's own document inside an answer: deeper than what jw_obj() can write. */
static void test_deep(void **s UNUSED)
{
	struct buf deep CLEANUP_BUF = BUF_INIT(4096);

	for (int i = 0; i < 45; i++)
		buf_addz(&deep, "{\"k\":[");
	for (int i = 0; i < 45; i++)
		buf_addz(&deep, "]}");
	check(buf_z(&deep), "k_n", "1");
}

static void test_data(void **s UNUSED)
{
	struct arena a   CLEANUP_ARENA = ARENA_INIT(1 << 20);
	struct buf out   CLEANUP_BUF = BUF_INIT(1 << 20);
	struct doc_node *n;
	struct jw        w;
	const char      *json = "{\"data\":{\"run\":\"01M86V2JG7S629QVPXK1NH0NJE\",\"ms\":5,\"nested\":{\"a\":1},\"empty\":\"\"}}";

	assert_int_equal(doc_parse_json(&a, "in", str_z(json), &n, NULL), 0);
	jw_init(&w, &out);
	view_write(&w, n, NOW);
	assert_int_equal(doc_parse_json(&a, "out", buf_str(&out), &n, NULL), 0);
	const struct doc_node *list = doc_get(n, "data_list");
	assert_int_equal(doc_len(list), 2);
	assert_str(doc_get_str(doc_at(list, 0), "value"), "…NH0NJE");
	assert_str(doc_get_str(doc_at(list, 0), "href"), "/runs/01M86V2JG7S629QVPXK1NH0NJE");
	assert_str(doc_get_str(doc_at(list, 1), "value"), "5");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_superseded), cmocka_unit_test(test_times), cmocka_unit_test(test_words), cmocka_unit_test(test_figures),
		                                cmocka_unit_test(test_deep), cmocka_unit_test(test_data) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
