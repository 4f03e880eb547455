/* Who may do what: the routes behind tokens of each kind. */
#include "lib/test.h"

#include "release/room.inc.h"

static int authenticate(void *ctx UNUSED, str scheme UNUSED, str credentials, struct http_identity *ret, struct err *reterr)
{
	static const struct {
		const char     *token;
		enum http_scope scope;
		const char     *project;
	} tokens[] = { { "read", SCOPE_READ, "" },       { "develop", SCOPE_DEVELOP, "" },   { "release", SCOPE_RELEASE, "" }, { "bound", SCOPE_RELEASE, "other" },
		       { "job", SCOPE_JOB, "shop" },     { "strange-job", SCOPE_JOB, "other" }, { "runner", SCOPE_RUNNER, "" } };

	for (size_t i = 0; i < ARRAY_SIZE(tokens); i++)
		if (str_eqz(credentials, tokens[i].token)) {
			memset(ret, 0, sizeof(*ret));
			snprintf(ret->name, sizeof(ret->name), "%s", tokens[i].token);
			snprintf(ret->project, sizeof(ret->project), "%s", tokens[i].project);
			snprintf(ret->subject, sizeof(ret->subject), "%s", tokens[i].scope == SCOPE_JOB ? "01JOB" : "");
			ret->scope = tokens[i].scope;
			return 0;
		}
	return err_set(reterr, WEIR_EAUTH, "unknown token");
}

static int call_as(const char *token, const char *method, const char *path, const char *body)
{
	struct buf CLEANUP_BUF out = BUF_INIT(4 << 20);
	struct http_client *client;
	struct http_call    call = HTTP_CALL_INIT;
	char                url[64];

	snprintf(url, sizeof(url), "http://127.0.0.1:%u", http_server_port(fx.http));
	FX_OK(http_client_new(url, token, &client, &fx_err));
	call.method = method;
	call.path = path;
	call.body = str_z(body);
	call.content_type = !strcmp(method, "PUT") ? "application/zstd" : NULL;
	call.out = &out;
	FX_OK(http_call(client, &call, &fx_err));
	http_client_free(client);
	return call.status;
}

static void test_each_route_asks_for_its_scope(void **s UNUSED)
{
	static const char release[] = "{\"project\":\"shop\",\"environment\":\"production\",\"digest\":\"%064d\",\"commit\":\"%040d\"}";
	char body[300], show[100], act[100], id[ID_SIZE];

	snprintf(body, sizeof(body), release, 1, 1);
	fx.client = http_client_free(fx.client);
	{
		char url[64];

		snprintf(url, sizeof(url), "http://127.0.0.1:%u", http_server_port(fx.http));
		FX_OK(http_client_new(url, "release", &fx.client, &fx_err));
	}
	fx_upload();
	assert_int_equal(fx_release(fx_yaml("VERSION: one", ""), "production", id), 201);
	snprintf(show, sizeof(show), "/api/v1/releases/%s", id);
	snprintf(act, sizeof(act), "/api/v1/releases/%s/pause", id);
	const struct {
		const char *token, *method, *path, *body;
		int         status;
	} table[] = {
		{ NULL, "PUT", "/api/v1/artifacts", "x", 401 },
		{ "nonsense", "PUT", "/api/v1/artifacts", "x", 401 },
		{ "read", "PUT", "/api/v1/artifacts", "x", 403 },
		{ "develop", "PUT", "/api/v1/artifacts", "x", 403 },
		{ "runner", "PUT", "/api/v1/artifacts", "x", 403 },
		{ "job", "PUT", "/api/v1/artifacts", "x", 200 },
		{ "release", "PUT", "/api/v1/artifacts", "x", 200 },
		{ NULL, "POST", "/api/v1/releases", body, 401 },
		{ "develop", "POST", "/api/v1/releases", body, 403 },
		{ "bound", "POST", "/api/v1/releases", body, 403 },
		{ "strange-job", "POST", "/api/v1/releases", body, 403 },
		{ "job", "POST", "/api/v1/releases", body, 422 }, /* may, but that commit has no service.yaml */
		{ NULL, "GET", show, "", 401 },
		{ "read", "GET", show, "", 200 },
		{ "job", "GET", show, "", 200 },
		{ "strange-job", "GET", show, "", 403 },
		{ "runner", "GET", show, "", 403 },
		{ NULL, "POST", act, "{}", 401 },
		{ "develop", "POST", act, "{}", 403 },
		{ "job", "POST", act, "{}", 403 },
		{ "bound", "POST", act, "{}", 403 },
		{ "release", "POST", act, "{}", 200 },
		{ "develop", "POST", "/api/v1/projects/shop/rollback", "{\"environment\":\"production\"}", 403 },
		{ "bound", "POST", "/api/v1/projects/shop/rollback", "{\"environment\":\"production\"}", 403 },
		{ NULL, "GET", "/api/v1/services", "", 401 },
		{ "read", "GET", "/api/v1/services", "", 200 },
		{ NULL, "GET", "/api/v1/projects/shop/releases", "", 401 },
		{ "read", "GET", "/api/v1/projects/shop/releases", "", 200 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		int status = call_as(table[i].token, table[i].method, table[i].path, table[i].body);

		/* 422 also stands for an unknown commit. */
		if (status != table[i].status && !(table[i].status == 422 && status == 404))
			fail_msg("%s %s as %s: expected %d, seen %d", table[i].method, table[i].path, table[i].token ? table[i].token : "nobody", table[i].status, status);
	}
}

/* Status of the answer to headers that announce a body and wait to be asked for it. */
static int status_before_body(const char *token, const char *method_and_path)
{
	char req[400], answer[2000];
	int  fd = helper_connect(http_server_port(fx.http));
	int  n = snprintf(req, sizeof(req), "%s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 500\r\nExpect: 100-continue\r\n\r\n",
	                  method_and_path, token);

	assert_int_equal(write(fd, req, (size_t)n), n);
	return helper_answer(fd, answer, sizeof(answer));
}

static void test_strangers_are_refused_before_the_body(void **s UNUSED)
{
	assert_int_equal(status_before_body("nonsense", "POST /api/v1/releases"), 401);
	assert_int_equal(status_before_body("develop", "POST /api/v1/releases"), 403);
	assert_int_equal(status_before_body("runner", "PUT /api/v1/artifacts"), 403);
}

static int setup(void **s UNUSED)
{
	fx_authenticate = authenticate;
	return fx_setup(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_each_route_asks_for_its_scope), cmocka_unit_test(test_strangers_are_refused_before_the_body) };

	base_init();
	return cmocka_run_group_tests(tests, setup, fx_teardown);
}
