/* Who it is may be asked on a worker: every kind of route, with what the answer says; and what the client gained for those who ask: ETag, Retry-After,
 * a limit on silence, an end from outside. */
#include "net-test.h"

#include "base/hash.h"
#include "net/client.h"
#include "net/sse.h"

#include <pthread.h>
#include <stdatomic.h>

struct fixture {
	struct http_server *s;
	struct sse_hub     *hub;
	struct buf          out;
	pthread_t           loop; /* the thread that asked first */
	atomic_int          asked, on_loop;
};

static int first(void *ctx, str scheme, str text, struct http_identity *ret, struct err *reterr)
{
	struct fixture *f = ctx;

	if (!str_eqz(scheme, "bearer") || str_eqz(text, "known-bad"))
		return err_set(reterr, WEIR_EAUTH, "no");
	f->loop = pthread_self();
	*ret = (struct http_identity){ .name = "known", .scope = SCOPE_FLAGS };
	return str_eqz(text, "known") ? 0 : HTTP_AUTH_ASK;
}

static int slow(void *ctx, str scheme UNUSED, str text, struct http_identity *ret, struct err *reterr)
{
	struct fixture *f = ctx;

	f->asked++;
	f->on_loop += pthread_equal(f->loop, pthread_self());
	if (str_eqz(text, "away"))
		return err_set(reterr, WEIR_EUNAVAIL, "nobody can be asked");
	if (str_eqz(text, "bad"))
		return err_set(reterr, WEIR_EAUTH, "no");
	*ret = (struct http_identity){ .name = "asked", .scope = str_eqz(text, "reader") ? SCOPE_READ : SCOPE_FLAGS };
	if (str_eqz(text, "bound"))
		snprintf(ret->project, sizeof(ret->project), "shop");
	return 0;
}

static int h_who(struct http_req *r, void *ctx UNUSED, struct err *e UNUSED)
{
	http_set_header(r, "ETag", STR("\"e\""));
	buf_addf(http_out(r), "<%s|%s|%.*s>", http_who(r)->name, scope_name(http_who(r)->scope), STR_ARG(http_body(r)));
	return 0;
}
static int h_later(struct http_req *r, void *ctx UNUSED, struct err *e)
{
	http_set_header(r, "Retry-After", STR("17"));
	return err_set(e, WEIR_EUNAVAIL, "later");
}
static int h_stream(struct http_req *r, void *ctx UNUSED, struct err *e) { return http_write(r, STR("streamed"), e); }
static int h_events(struct http_req *r, void *ctx, struct err *e)
{
	struct fixture *f = ctx;

	if (!http_may(r, SCOPE_FLAGS))
		return err_set(e, WEIR_EAUTH, "a token is needed");
	return sse_attach(r, f->hub, NULL, 0, e);
}
static int pull(struct sse_client *c, struct buf *out, bool *end UNUSED, void *ctx UNUSED, struct err *e UNUSED)
{
	if (c->position < 0)
		sse_message(out, 1, "message", STR("hello"));
	c->position = 1;
	return 0;
}

static const struct http_route routes[] = {
	{ "POST", "/api/fast", HTTP_FAST, SCOPE_FLAGS, 100, h_who, "", NULL, NULL },
	{ "POST", "/api/worker", HTTP_WORKER, SCOPE_FLAGS, 100, h_who, "", NULL, NULL },
	{ "GET", "/api/p/:project", HTTP_FAST, SCOPE_FLAGS, 0, h_who, "", NULL, NULL },
	{ "GET", "/api/read", HTTP_FAST, SCOPE_READ, 0, h_who, "", NULL, NULL },
	{ "GET", "/api/open", HTTP_FAST, SCOPE_NONE, 0, h_who, "", NULL, NULL },
	{ "GET", "/api/later", HTTP_FAST, SCOPE_NONE, 0, h_later, "", NULL, NULL },
	{ "GET", "/api/stream", HTTP_STREAM, SCOPE_FLAGS, 0, h_stream, "", NULL, NULL },
	{ "GET", "/api/events", HTTP_SSE, SCOPE_NONE, 0, h_events, "", NULL, NULL },
};

static int setup(void **state)
{
	struct fixture    *f = calloc(1, sizeof(*f));
	struct err         e = { 0 };
	struct http_config cfg = { .tick_ms = 10, .loop_threads = 1, .authenticate = first, .authenticate_slow = slow, .auth_ctx = f };

	buf_init(&f->out, 1 << 20);
	assert_ok(http_server_new(&cfg, &f->s, &e), &e);
	assert_ok(http_server_routes(f->s, routes, ARRAY_SIZE(routes), f, &e), &e);
	assert_ok(sse_hub_new(f->s, pull, f, 10, &f->hub, &e), &e);
	assert_ok(http_server_start(f->s, &e), &e);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	http_server_stop(f->s, 1000);
	sse_hub_free(f->hub);
	buf_fini(&f->out);
	free(f);
	return 0;
}

static int ask(struct fixture *f, const char *method, const char *path, const char *token, const char *body)
{
	struct buf raw CLEANUP_BUF = BUF_INIT(1 << 20);

	buf_addf(&raw, "%s %s HTTP/1.1\r\nHost: weir.test\r\nAuthorization: Bearer %s\r\n", method, path, token);
	if (*body)
		buf_addf(&raw, "Content-Length: %zu\r\n", strlen(body));
	buf_addf(&raw, "\r\n%s", body);
	net_exchange(http_server_port(f->s), buf_str(&raw), &f->out);
	return net_status(&f->out);
}

static bool has(struct fixture *f, const char *what) { return str_contains(buf_str(&f->out), str_z(what)); }

static void test_asked(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(ask(f, "POST", "/api/fast", "known", "x"), 200);
	assert_true(has(f, "<known|flags|x>"));
	assert_int_equal(f->asked, 0);
	assert_int_equal(ask(f, "POST", "/api/fast", "known-bad", "x"), 401);
	assert_int_equal(f->asked, 0);
	assert_int_equal(ask(f, "POST", "/api/fast", "new", "body"), 200);
	assert_true(has(f, "<asked|flags|body>"));
	assert_int_equal(ask(f, "POST", "/api/worker", "new", "body"), 200);
	assert_true(has(f, "<asked|flags|body>"));
	assert_int_equal(f->asked, 2);
	assert_int_equal(f->on_loop, 0);
	for (int i = 0; i < 2; i++) {
		const char *path = i ? "/api/worker" : "/api/fast";

		assert_int_equal(ask(f, "POST", path, "bad", "body"), 401);
		assert_true(has(f, "WWW-Authenticate") && !has(f, "<"));
		assert_int_equal(ask(f, "POST", path, "away", "body"), 503);
		assert_true(has(f, "Retry-After") && has(f, "nobody can be asked"));
	}
	assert_int_equal(ask(f, "GET", "/api/read", "new", ""), 403);
	assert_int_equal(ask(f, "GET", "/api/read", "reader", ""), 200);
	assert_int_equal(ask(f, "GET", "/api/p/shop", "bound", ""), 200);
	assert_int_equal(ask(f, "GET", "/api/p/other", "bound", ""), 403);
	/* a public route: who is refused is nobody, who is known is known */
	assert_int_equal(ask(f, "GET", "/api/open", "bad", ""), 200);
	assert_true(has(f, "<|none|>"));
	assert_int_equal(ask(f, "GET", "/api/open", "new", ""), 200);
	assert_true(has(f, "<asked|flags|>"));
	assert_int_equal(ask(f, "GET", "/api/stream", "known", ""), 200);
	assert_int_equal(ask(f, "GET", "/api/stream", "new", ""), 503);
	assert_int_equal(f->on_loop, 0);
}

static void test_events(void **state)
{
	struct fixture *f = *state;
	int             fd = net_connect(http_server_port(f->s));

	net_send(fd, STR("GET /api/events HTTP/1.1\r\nHost: weir.test\r\nAuthorization: Bearer new\r\n\r\n"));
	assert_true(net_read(fd, &f->out, "data: hello"));
	close(fd);
	assert_int_equal(ask(f, "GET", "/api/events", "bad", ""), 401);
	assert_int_equal(f->on_loop, 0);
}

static void stop_soon(void *stop) { atomic_store((atomic_bool *)stop, true); }
static int  heard(void *ctx, str piece UNUSED)
{
	if (ctx)
		stop_soon(ctx);
	return 0;
}

static void test_client(void **state)
{
	struct fixture     *f = *state;
	struct http_client *c;
	struct http_call    call = HTTP_CALL_INIT;
	struct err          e = { 0 };
	atomic_bool         stop = false;
	char                url[64];

	snprintf(url, sizeof(url), "http://127.0.0.1:%u", http_server_port(f->s));
	assert_ok(http_client_new(url, "known", &c, &e), &e);
	call.path = "/api/open";
	assert_ok(http_call(c, &call, &e), &e);
	assert_string_equal(call.etag_out, "\"e\"");
	assert_int_equal(call.retry_after_s, 0);
	call.path = "/api/later";
	call.out = &f->out;
	assert_err(http_call_ok(c, &call, &e), WEIR_EUNAVAIL);
	assert_string_equal(call.etag_out, "");
	assert_int_equal(call.retry_after_s, 17);
	call.path = "/api/events";
	call.out = NULL;
	call.timeout_ms = -1;
	call.sink = heard;
	call.stall_ms = 1000;
	assert_err(http_call(c, &call, &e), WEIR_ETIMEOUT);
	call.stall_ms = 0;
	call.sink_ctx = &stop;
	call.stop = &stop;
	assert_err(http_call(c, &call, &e), WEIR_ECANCELED);
	http_client_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(test_asked, setup, teardown), cmocka_unit_test_setup_teardown(test_events, setup, teardown),
		                                cmocka_unit_test_setup_teardown(test_client, setup, teardown) };

	base_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
