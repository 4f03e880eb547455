/* The pages over the fixtures, as text: what stands on them, escaping, rights, forms. Their looks are the browser journey's matter. */
#include "browser/fixture.h"
#include "net-test.h"

#define RELEASE "01M86V5RC3V9R0Q4Y1ZBXD7K2M"
#define ROLLOUT "01M86V5RC3V9R0Q4Y1ZBXD7K3A"
#define RUN     "01M86V2JG7S629QVPXK1NH0NJE"

static struct web_fixture f;
static struct buf         out = BUF_INIT(4 << 20);

static int group_start(void **s UNUSED)
{
	fixture_start(&f);
	return 0;
}
static int group_end(void **s UNUSED)
{
	fixture_end(&f);
	buf_fini(&out);
	return 0;
}

static int ask(const char *token, const char *method, const char *path, const char *headers, const char *body)
{
	struct buf raw CLEANUP_BUF = BUF_INIT(1 << 20);

	buf_addf(&raw, "%s %s HTTP/1.1\r\nHost: weir.test\r\nAccept: text/html\r\n%s%s%s%sContent-Length: %zu\r\n\r\n%s", method, path,
	         token ? "Authorization: Bearer " : "", token ? token : "", token ? "\r\n" : "", headers, strlen(body), body);
	net_exchange(http_server_port(f.s), buf_str(&raw), &out);
	return net_status(&out);
}

static void test_every_page(void **s UNUSED)
{
	static const struct {
		const char *path, *text[6];
	} pages[] = {
		{ "/", { "<title>Projects · weir</title>", "href=\"/projects/shop\"", "class=\"state live\">canary<", "50%", "aria-current=\"page\"" } },
		{ "/projects/shop", { "refused</span>", "Begin &lt;shop&gt;", "http://127.0.0.1:8420/git/shop.git", "value=\"production\"" } },
		{ "/projects/shop/changes/6", { "runs_on", "class=\"line hit\"", "&lt;script&gt;alert(1)&lt;/script&gt;", "Waiver: dev until 2026-12-31: known" } },
		{ "/projects/shop/changes/7", { "a GitHub token", "conf.py:2:10", "revoke it", "token = &quot;****", "test: # &lt;b&gt;", "<span class=\"line hit\"><span class=\"no\">5</span>    runs_on" } },
		{ "/runs/" RUN, { "line 1 &lt;b&gt;not bold&lt;/b&gt;", "Say things", "exit 3", "data-ended" } },
		{ "/releases/" RELEASE, { "Is the canary worse?", "4.61", "data-chart=\"points\"", "action=\"/releases/" RELEASE "/pause\"", "0.86%" } },
		{ "/activity", { "run.finished", "href=\"/runs/" RUN "\"", "Older" } },
		{ "/projects/shop/flags", { "href=\"/projects/shop/flags/production\"", "aria-current=\"page\">Flags<", "Make the set" } },
		{ "/projects/shop/flags/production/stale", { "old/&lt;checkout&gt;", "flag?key=old%2F%3Ccheckout%3E", "never-evaluated", "nowhere", "web/&lt;cart&gt;.ts:7", "22 in all" } },
		{ "/projects/shop/flags/production/rollouts", { "href=\"/flag-rollouts/" ROLLOUT "\"", "25%", "rolled-back", "12 of 400" } },
		{ "/flag-rollouts/" ROLLOUT, { "Is the new definition worse?", "4.61", "value=\"resume\"", "value=\"abort\"", "<td class=\"num\">203</td>", "1622" } },
		{ "/insights", { "Change fail rate", "25%", "1h 10m", "How it is computed" } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(pages); i++) {
		if (ask(f.admin, "GET", pages[i].path, "", "") != 200)
			fail_msg("%s: %s", pages[i].path, buf_z(&out));
		assert_has(&out, "Content-Security-Policy: default-src 'self'");
		for (size_t k = 0; k < ARRAY_SIZE(pages[i].text) && pages[i].text[k]; k++)
			assert_has(&out, pages[i].text[k]);
		/* nothing that the policy would stop, and no text that got past the escaping */
		static const char *const never[] = { "<script>", " style=", "onclick", "javascript:", "{{" };
		for (size_t k = 0; k < ARRAY_SIZE(never); k++)
			if (str_contains(buf_str(&out), str_z(never[k])))
				fail_msg("%s holds '%s'", pages[i].path, never[k]);
	}
}

static void test_acting(void **s UNUSED)
{
	char       reader[TOKEN_TEXT_SIZE];
	struct err e = { 0 };

	assert_ok(token_create(f.tokens, STR("reader"), SCOPE_READ, STR_NULL, 0, STR("weir"), reader, &e), &e);
	f.posted[0] = 0;
	assert_int_equal(ask(reader, "POST", "/releases/" RELEASE "/pause", "", ""), 403);
	assert_string_equal(f.posted, "");
	assert_int_equal(ask(f.admin, "POST", "/releases/" RELEASE "/pause", "", ""), 303);
	assert_has(&out, "Location: /releases/" RELEASE "\r\n");
	assert_string_equal(f.posted, "POST /api/v1/releases/" RELEASE "/pause  by dev");
	assert_int_equal(ask(f.admin, "POST", "/releases/" RELEASE "/explode", "", ""), 404);
	assert_int_equal(ask(f.admin, "POST", "/projects/shop/rollback", "Content-Type: application/x-www-form-urlencoded\r\n",
	                     "environment=production&service=shop"), 303);
	assert_string_equal(f.posted, "POST /api/v1/projects/shop/rollback {\"environment\":\"production\",\"service\":\"shop\"} by dev");
	assert_int_equal(ask(f.admin, "POST", "/flag-rollouts/" ROLLOUT "/order", "Content-Type: application/x-www-form-urlencoded\r\n", "order=abort"), 303);
	assert_string_equal(f.posted, "POST /api/v1/flag-rollouts/" ROLLOUT "/orders {\"order\":\"abort\"} by dev");
	assert_int_equal(ask(f.admin, "POST", "/flag-rollouts/" ROLLOUT "/order", "Content-Type: application/x-www-form-urlencoded\r\n", "order=explode"), 400);
	assert_int_equal(ask(reader, "GET", "/flag-rollouts/" ROLLOUT, "", ""), 200);
	assert_false(str_contains(buf_str(&out), STR("/order\"")));
	/* no field of a form is accepted and ignored */
	f.posted[0] = 0;
	assert_int_equal(ask(f.admin, "POST", "/projects/shop/rollback", "Content-Type: application/x-www-form-urlencoded\r\n",
	                     "environment=production&servise=shop"), 400);
	assert_has(&out, "unknown field &#39;servise&#39; (did you mean &#39;service&#39;?)");
	assert_int_equal(ask(f.admin, "POST", "/projects/shop/rollback", "Content-Type: application/x-www-form-urlencoded\r\n", "service=shop"), 400);
	assert_int_equal(ask(f.admin, "POST", "/releases/" RELEASE "/pause", "Content-Type: application/x-www-form-urlencoded\r\n", "a=1"), 400);
	assert_has(&out, "this address takes no form");
	assert_string_equal(f.posted, "");
	/* who may only look sees no buttons */
	assert_int_equal(ask(reader, "GET", "/releases/" RELEASE, "", ""), 200);
	assert_false(str_contains(buf_str(&out), STR("/pause\"")));
}

static void test_every_form_says_its_fields(void **s UNUSED)
{
	size_t                   n;
	const struct http_route *list = web_routes(&n);

	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i].method, "GET") != 0 && !list[i].form)
			fail_msg("%s %s takes any field", list[i].method, list[i].path);
}

static void test_errors_and_assets(void **s UNUSED)
{
	assert_int_equal(ask(f.admin, "GET", "/nowhere", "", ""), 404);
	assert_has(&out, "<h1>Not here</h1>");
	assert_int_equal(ask(f.admin, "GET", "/projects/none", "", ""), 404);
	assert_int_equal(ask(NULL, "GET", "/projects/shop", "", ""), 303);
	assert_int_equal(ask(NULL, "GET", "/login", "", ""), 200);
	assert_has(&out, "for=\"token\"");
	assert_int_equal(ask(NULL, "GET", "/assets/weir.css", "", ""), 200);
	assert_has(&out, "Content-Type: text/css");
	assert_int_equal(ask(NULL, "GET", "/assets/vendor/uPlot.iife.min.js", "", ""), 200);
	assert_int_equal(ask(NULL, "GET", "/assets/../templates/home.mustache", "", ""), 400);
	assert_int_equal(ask(NULL, "GET", "/assets/templates/home.mustache", "", ""), 404);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_every_page), cmocka_unit_test(test_acting), cmocka_unit_test(test_every_form_says_its_fields),
		                                cmocka_unit_test(test_errors_and_assets) };

	base_init();
	return cmocka_run_group_tests(tests, group_start, group_end);
}
