/* The server over real sockets: routing, bodies, errors, limits, workers, keep-alive, stop. */
#include "net-test.h"

#include "base/hash.h"
#include "base/limits.h"
#include "net/client.h"
#include "net/standard.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

struct fixture {
	struct http_server *s;
	uint16_t            port;
	_Atomic int         blocked, seen;
	_Atomic bool        release;
	struct standard_ops standard;
	struct buf          out;
};

static int h_hello(struct http_req *r, void *ctx UNUSED, struct err *e UNUSED)
{
	http_type(r, "text/plain; charset=utf-8");
	buf_addf(http_out(r), "hello %.*s %.*s", STR_ARG(http_param(r, "name")), STR_ARG(http_query(r, "q")));
	return 0;
}

static int h_echo(struct http_req *r, void *ctx, struct err *e UNUSED)
{
	((struct fixture *)ctx)->seen++;
	http_type(r, "application/octet-stream");
	buf_add_str(http_out(r), http_body(r));
	return 0;
}

static int h_json(struct http_req *r, void *ctx UNUSED, struct err *e)
{
	struct doc_node *n;
	struct jw        w;
	int              ret = http_body_json(r, &n, e);

	if (ret)
		return ret;
	http_json(r, &w);
	jw_obj(&w);
	jw_kint(&w, "twice", 2 * doc_get_int(n, "n", 0));
	jw_kstrz(&w, "who", http_who(r)->name);
	jw_end(&w);
	return 0;
}

static int h_fail(struct http_req *r UNUSED, void *ctx UNUSED, struct err *e)
{
	return err_set(e, WEIR_ECONFLICT, "a conflict of \"things\"");
}

static int h_internal(struct http_req *r UNUSED, void *ctx UNUSED, struct err *e)
{
	return err_set(e, WEIR_EINTERNAL, "something that is nobody's business");
}

static int h_block(struct http_req *r, void *ctx, struct err *e UNUSED)
{
	struct fixture *f = ctx;

	f->blocked++;
	while (!f->release && !http_gone(r))
		clock_sleep_ms(2);
	f->blocked--;
	buf_addz(http_out(r), "done");
	return 0;
}

static int h_form(struct http_req *r, void *ctx UNUSED, struct err *e UNUSED)
{
	buf_addf(http_out(r), "[%.*s][%.*s][%.*s]", STR_ARG(http_form(r, "a")), STR_ARG(http_form(r, "b")),
	         STR_ARG(http_cookie(r, "two")));
	return 0;
}

static int h_static(struct http_req *r, void *ctx UNUSED, struct err *e UNUSED)
{
	return http_static(r, "text/css", STR("body{}"), false);
}

static int h_rest(struct http_req *r, void *ctx UNUSED, struct err *e UNUSED)
{
	buf_addf(http_out(r), "<%.*s|%.*s>", STR_ARG(http_param(r, "project")), STR_ARG(http_param(r, "rest")));
	return 0;
}

static const struct http_query_param hello_query[] = { { .name = "q", .doc = "more words" }, { .name = "times", .kind = QUERY_INT, .min = 1, .max = 9 }, { 0 } };
static const struct http_query_param a_form[] = { { .name = "a" }, { .name = "b", .kind = QUERY_INT, .min = 1, .max = 9 }, { 0 } };
static const struct http_route routes[] = {
	{ "GET", "/hello/:name", HTTP_FAST, SCOPE_READ, 0, h_hello, "Says hello.", NULL, NULL, hello_query },
	{ "POST", "/echo", HTTP_FAST, SCOPE_READ, 4096, h_echo, "Answers its body.", NULL, NULL },
	{ "POST", "/echo/worker", HTTP_WORKER, SCOPE_READ, 1 << 20, h_echo, "Answers its body.", NULL, NULL },
	{ "POST", "/json", HTTP_FAST, SCOPE_READ, 4096, h_json, "Doubles.", "{\"type\":\"object\"}", "{\"type\":\"object\"}" },
	{ "GET", "/fail", HTTP_WORKER, SCOPE_READ, 0, h_fail, "Fails.", NULL, NULL },
	{ "GET", "/internal", HTTP_FAST, SCOPE_READ, 0, h_internal, "Breaks.", NULL, NULL },
	{ "GET", "/block", HTTP_WORKER, SCOPE_READ, 0, h_block, "Waits.", NULL, NULL },
	{ "POST", "/form", HTTP_FAST, SCOPE_READ, 4096, h_form, "A form.", NULL, NULL, .form = a_form },
	{ "GET", "/assets/x.css", HTTP_FAST, SCOPE_NONE, 0, h_static, "Style.", NULL, NULL },
	{ "POST", "/flags/*key", HTTP_FAST, SCOPE_FLAGS, 100, h_echo, "As routes of flags.", NULL, NULL },
	{ "GET", "/git/:project.git/*rest", HTTP_FAST, SCOPE_READ, 0, h_rest, "A tail.", NULL, NULL },
};

static struct fixture *start(const struct http_config *cfg)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err      e = { 0 };
	size_t          n;

	buf_init(&f->out, 8 << 20);
	assert_ok(http_server_new(cfg, &f->s, &e), &e);
	f->standard.server = f->s;
	assert_ok(http_server_routes(f->s, routes, ARRAY_SIZE(routes), f, &e), &e);
	const struct http_route *std = standard_routes(&n);
	assert_ok(http_server_routes(f->s, std, n, &f->standard, &e), &e);
	assert_ok(http_server_start(f->s, &e), &e);
	f->port = http_server_port(f->s);
	return f;
}

static void end(struct fixture *f)
{
	f->release = true;
	http_server_stop(f->s, 2000);
	buf_fini(&f->out);
	free(f);
}

#define SMALL { .tick_ms = 10, .loop_threads = 2, .worker_threads = 2, .worker_queue_max = 2 }
#define HOST "Host: weir.test\r\n"

static void test_routes(void **s UNUSED)
{
	struct http_config cfg = SMALL;
	struct fixture    *f = start(&cfg);

	net_exchange(f->port, STR("GET /hello/reader?q=a%20b+c HTTP/1.1\r\n" HOST "\r\n"), &f->out);
	assert_int_equal(net_status(&f->out), 200);
	assert_has(&f->out, "hello reader a b c");
	assert_has(&f->out, "X-Content-Type-Options: nosniff");
	net_exchange(f->port, STR("GET /nowhere HTTP/1.1\r\n" HOST "\r\n"), &f->out);
	assert_int_equal(net_status(&f->out), 404);
	assert_has(&f->out, "{\"error\":{\"code\":\"ENOENT\",\"message\":\"nothing is at /nowhere\"}}");
	net_exchange(f->port, STR("DELETE /hello/reader HTTP/1.1\r\n" HOST "\r\n"), &f->out);
	assert_int_equal(net_status(&f->out), 405);
	assert_has(&f->out, "Allow: GET, HEAD\r\n");
	net_exchange(f->port, STR("HEAD /hello/reader HTTP/1.1\r\n" HOST "\r\n"), &f->out);
	assert_int_equal(net_status(&f->out), 200);
	assert_has(&f->out, "Content-Length: 13");
	assert_false(str_contains(buf_str(&f->out), STR("hello")));
	net_exchange(f->port, STR("GET /git/shop.git/info/refs HTTP/1.1\r\n" HOST "\r\n"), &f->out);
	assert_has(&f->out, "<shop|info/refs>");
	net_exchange(f->port, STR("OPTIONS * HTTP/1.1\r\n" HOST "\r\n"), &f->out);
	assert_int_equal(net_status(&f->out), 204);
	end(f);
}

/* No name of a query is accepted and ignored, on any kind of address, and the body of such a request is not waited for. */
static void test_queries(void **s UNUSED)
{
	struct http_config cfg = SMALL;
	struct fixture    *f = start(&cfg);

	net_exchange(f->port, STR("GET /hello/reader?q=x&tims=2 HTTP/1.1\r\n" HOST "\r\n"), &f->out);
	assert_int_equal(net_status(&f->out), 400);
	assert_has(&f->out, "{\"error\":{\"code\":\"EINVAL\",\"message\":\"unknown query name 'tims' (did you mean 'times'?)\"}}");
	net_exchange(f->port, STR("GET /hello/reader?q=x&times=10 HTTP/1.1\r\n" HOST "\r\n"), &f->out);
	assert_int_equal(net_status(&f->out), 400);
	assert_has(&f->out, "query 'times' must be a whole number from 1 to 9");
	net_exchange(f->port, STR("GET /healthz?x HTTP/1.1\r\n" HOST "\r\n"), &f->out);
	assert_int_equal(net_status(&f->out), 400);
	assert_has(&f->out, "this address takes no query");
	net_exchange(f->port, STR("HEAD /healthz?x HTTP/1.1\r\n" HOST "\r\n"), &f->out);
	assert_int_equal(net_status(&f->out), 400);
	net_talk(f->port, STR("POST /echo?x=1 HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"), "takes no query", &f->out);
	assert_int_equal(net_status(&f->out), 400);
	net_exchange(f->port, STR("GET /healthz? HTTP/1.1\r\n" HOST "\r\n"), &f->out); /* an empty query holds nothing */
	assert_int_equal(net_status(&f->out), 200);
	end(f);
}

static void test_bodies(void **s UNUSED)
{
	struct http_config cfg = SMALL;
	struct fixture    *f = start(&cfg);

	net_exchange(f->port, STR("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"), &f->out);
	assert_has(&f->out, "\r\n\r\nhello");
	net_exchange(f->port, STR("POST /echo/worker HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"), &f->out);
	assert_has(&f->out, "\r\n\r\nabcde");
	net_exchange(f->port, STR("POST /json HTTP/1.1\r\n" HOST "Content-Type: application/json\r\nContent-Length: 8\r\n\r\n{\"n\":21}"), &f->out);
	assert_has(&f->out, "{\"twice\":42,\"who\":\"anyone\"}");
	net_exchange(f->port, STR("POST /json HTTP/1.1\r\n" HOST "Content-Type: application/json\r\nContent-Length: 6\r\n\r\n{\"n\":}"), &f->out);
	assert_int_equal(net_status(&f->out), 400);
	assert_has(&f->out, "body:1:6");
	net_exchange(f->port, STR("POST /json HTTP/1.1\r\n" HOST "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}"), &f->out);
	assert_int_equal(net_status(&f->out), 400);
	assert_has(&f->out, "Content-Type: application/json");
	net_exchange(f->port,
	             STR("POST /form HTTP/1.1\r\n" HOST "Cookie: one=1; two=zwei\r\nContent-Type: application/x-www-form-urlencoded\r\n"
	                 "Content-Length: 15\r\n\r\na=x%26y+%2B&b=1"),
	             &f->out);
	assert_has(&f->out, "[x&y +][1][zwei]");
	static const char *const refused[][3] = {
		{ "application/x-www-form-urlencoded", "colour=secret", "unknown field 'colour'; known here: a, b" },
		{ "application/x-www-form-urlencoded", "b=10", "field 'b' must be a whole number from 1 to 9" },
		{ "application/x-www-form-urlencoded", "a=1&%61=", "field 'a' stands twice" },
		{ "application/x-www-form-urlencoded", "a=%00", "field 'a' has a bad escape, a NUL or bytes that are not UTF-8" },
		{ "application/x-www-form-urlencoded", "a=1&", "the form holds an empty name" },
		{ "application/json", "{\"a\":1}", "the body must be a form" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		struct buf raw CLEANUP_BUF = BUF_INIT(4096);

		buf_addf(&raw, "POST /form HTTP/1.1\r\n" HOST "Content-Type: %s\r\nContent-Length: %zu\r\n\r\n%s", refused[i][0], strlen(refused[i][1]), refused[i][1]);
		net_exchange(f->port, buf_str(&raw), &f->out);
		assert_int_equal(net_status(&f->out), 400);
		assert_has(&f->out, refused[i][2]);
		assert_false(str_contains(buf_str(&f->out), STR("secret")));
	}
	end(f);
}

static void test_errors(void **s UNUSED)
{
	struct http_config cfg = SMALL;
	struct fixture    *f = start(&cfg);

	net_exchange(f->port, STR("GET /fail HTTP/1.1\r\n" HOST "\r\n"), &f->out);
	assert_int_equal(net_status(&f->out), 409);
	assert_has(&f->out, "\"message\":\"a conflict of \\\"things\\\"\"");
	net_exchange(f->port, STR("GET /fail HTTP/1.1\r\n" HOST "Accept: text/plain\r\n\r\n"), &f->out);
	assert_has(&f->out, "\r\n\r\na conflict of \"things\"\n");
	net_exchange(f->port, STR("GET /fail HTTP/1.1\r\n" HOST "Accept: text/html\r\n\r\n"), &f->out);
	assert_has(&f->out, "a conflict of &quot;things&quot;");
	assert_has(&f->out, "Content-Security-Policy: default-src 'self'");
	net_exchange(f->port, STR("GET /internal HTTP/1.1\r\n" HOST "\r\n"), &f->out);
	assert_int_equal(net_status(&f->out), 500);
	assert_false(str_contains(buf_str(&f->out), STR("nobody")));
	end(f);
}

static void test_static(void **s UNUSED)
{
	struct http_config cfg = SMALL;
	struct fixture    *f = start(&cfg);
	char               again[256];

	net_exchange(f->port, STR("GET /assets/x.css HTTP/1.1\r\n" HOST "\r\n"), &f->out);
	assert_has(&f->out, "\r\n\r\nbody{}");
	const char *etag = strstr(buf_z(&f->out), "ETag: ");
	assert_non_null(etag);
	snprintf(again, sizeof(again), "GET /assets/x.css HTTP/1.1\r\n" HOST "If-None-Match: %.18s\r\n\r\n", etag + 6);
	net_exchange(f->port, str_z(again), &f->out);
	assert_int_equal(net_status(&f->out), 304);
	end(f);
}

/* A body that is too large is refused, and the next request on the connection is answered when the rest of it was small. */
static void test_body_limits(void **s UNUSED)
{
	struct http_config cfg = SMALL;
	struct fixture    *f = start(&cfg);
	struct buf raw     CLEANUP_BUF = BUF_INIT(8 << 20);

	buf_addz(&raw, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5000\r\n\r\n");
	for (int i = 0; i < 5000; i++)
		buf_addc(&raw, 'x');
	buf_addz(&raw, "GET /hello/again HTTP/1.1\r\n" HOST "\r\n");
	net_exchange(f->port, buf_str(&raw), &f->out);
	assert_int_equal(net_status(&f->out), 413);
	assert_has(&f->out, "limit of 4096 bytes");
	assert_has(&f->out, "hello again");
	/* chunked: the size shows only on the way */
	buf_clear(&raw);
	buf_addz(&raw, "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1388\r\n");
	for (int i = 0; i < 5000; i++)
		buf_addc(&raw, 'x');
	buf_addz(&raw, "\r\n0\r\n\r\n");
	net_exchange(f->port, buf_str(&raw), &f->out);
	assert_int_equal(net_status(&f->out), 413);
	assert_int_equal(f->seen, 0);
	/* a waiting client is answered before it sends */
	net_talk(f->port, STR("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5000\r\nExpect: 100-continue\r\n\r\n"), NULL, &f->out);
	assert_int_equal(net_status(&f->out), 413);
	assert_false(str_contains(buf_str(&f->out), STR("100 Continue")));
	/* far too large: not read at all */
	net_talk(f->port, STR("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 99999999999\r\n\r\n"), NULL, &f->out);
	assert_int_equal(net_status(&f->out), 413);
	assert_has(&f->out, "Connection: close");
	/* a body where none is taken */
	net_exchange(f->port, STR("GET /hello/x HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nx"), &f->out);
	assert_int_equal(net_status(&f->out), 413);
	end(f);
}

static void test_expect(void **s UNUSED)
{
	struct http_config cfg = SMALL;
	struct fixture    *f = start(&cfg);
	int                fd = net_connect(f->port);

	net_send(fd, STR("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n"));
	assert_true(net_read(fd, &f->out, "HTTP/1.1 100 Continue\r\n\r\n"));
	net_send(fd, STR("hello"));
	assert_true(net_read(fd, &f->out, "\r\n\r\nhello"));
	close(fd);
	net_exchange(f->port, STR("POST /echo HTTP/1.1\r\n" HOST "Expect: x\r\nContent-Length: 0\r\n\r\n"), &f->out);
	assert_int_equal(net_status(&f->out), 417);
	end(f);
}

static int two_tokens(void *ctx UNUSED, str scheme UNUSED, str text, struct http_identity *ret, struct err *reterr)
{
	if (!str_eqz(text, "one") && !str_eqz(text, "two"))
		return err_set(reterr, WEIR_EAUTH, "no such token");
	snprintf(ret->name, sizeof(ret->name), "%.*s", STR_ARG(text));
	ret->scope = SCOPE_FLAGS;
	return 0;
}

static int ask_flag(struct fixture *f, const char *token)
{
	char raw[256];

	snprintf(raw, sizeof(raw), "POST /flags/x HTTP/1.1\r\n" HOST "Authorization: Bearer %s\r\nContent-Length: 0\r\n\r\n", token);
	net_exchange(f->port, str_z(raw), &f->out);
	return net_status(&f->out);
}

static _Atomic usec_t held_now;
static usec_t         held_time(void *ctx UNUSED) { return held_now; }

/* A token over its limit is told when to come again; another one, and other routes, are not touched. Guesses are limited by address. */
static void test_rate(void **s UNUSED)
{
	const struct clock clock = { held_time, held_time, NULL };
	struct http_config cfg = SMALL;
	struct fixture    *f;

	held_now = 1000 * USEC_PER_SEC;
	cfg.clock = &clock;
	cfg.authenticate = two_tokens;
	cfg.flags_per_second = 20;
	f = start(&cfg);
	for (int i = 0; i < 20; i++)
		assert_int_equal(ask_flag(f, "one"), 200);
	assert_int_equal(ask_flag(f, "one"), 429);
	assert_has(&f->out, "Retry-After: 1\r\n");
	assert_has(&f->out, "{\"error\":{\"code\":\"EBUSY\",\"message\":\"too many requests: at most 20 per second and token");
	assert_int_equal(ask_flag(f, "two"), 200);
	net_exchange(f->port, STR("GET /healthz HTTP/1.1\r\n" HOST "Authorization: Bearer one\r\n\r\n"), &f->out);
	assert_int_equal(net_status(&f->out), 200);
	assert_int_equal(ask_flag(f, "guess1"), 401);
	assert_int_equal(ask_flag(f, "guess2"), 429);
	assert_has(&f->out, "at most 1 per second and address without a valid token");
	assert_int_equal(ask_flag(f, "two"), 200); /* of the same address */
	held_now += USEC_PER_SEC;
	assert_int_equal(ask_flag(f, "one"), 200);
	assert_int_equal(ask_flag(f, "guess4"), 401);
	end(f);
}

static void flag_form(struct http_req *r, int status, const char *code, str message)
{
	http_type(r, "application/json");
	buf_addf(http_out(r), "<%d %s %.*s>", status, code, STR_ARG(message));
}

/* A protocol's own form of errors, wherever below its paths they arise. */
static void test_error_forms(void **s UNUSED)
{
	struct http_config cfg = SMALL;
	struct fixture    *f = start(&cfg);
	struct err         e;

	assert_ok(http_server_errors(f->s, "/flags/", flag_form, &e), &e);
	net_exchange(f->port, STR("POST /flags/x%zz HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n"), &f->out);
	assert_has(&f->out, "<400 EINVAL the path holds");
	net_exchange(f->port, STR("GET /flags/x HTTP/1.1\r\n" HOST "Accept: text/html\r\n\r\n"), &f->out);
	assert_has(&f->out, "<405 EMETHOD ");
	net_talk(f->port, STR("POST /flags/x HTTP/1.1\r\n" HOST "Content-Length: 99999999\r\n\r\n"), NULL, &f->out);
	assert_has(&f->out, "<413 ELIMIT ");
	net_exchange(f->port, STR("GET /nowhere HTTP/1.1\r\n" HOST "\r\n"), &f->out);
	assert_has(&f->out, "{\"error\":");
	end(f);
}

/* Sends a target of so many bytes, one header of so many, and so many short ones; *out: the answer, complete. */
static void send_large(struct fixture *f, int target, int header, int lines)
{
	struct buf raw CLEANUP_BUF = BUF_INIT(1 << 20);

	buf_addz(&raw, "GET /");
	for (int i = 1; i < target; i++)
		buf_addc(&raw, 'x');
	buf_addz(&raw, " HTTP/1.1\r\n" HOST "X: ");
	for (int i = 0; i < header; i++)
		buf_addc(&raw, 'x');
	for (int i = 0; i < lines; i++)
		buf_addf(&raw, "\r\nX-%d: 1", i);
	buf_addz(&raw, "\r\n\r\n");
	net_exchange(f->port, buf_str(&raw), &f->out);
}

/* Over the limits, weir's own answer comes up to the double of them; far over them the parser's, which has the same status and closes. */
static void test_header_limits(void **s UNUSED)
{
	static const struct {
		int         target, header, lines, status;
		const char *says; /* NULL: the parser's own page */
	} cases[] = {
		{ LIMIT_HTTP_TARGET_BYTES, 1, 0, 404, "nothing is at" },
		{ LIMIT_HTTP_TARGET_BYTES + 1, 1, 0, 414, "{\"error\":{\"code\":\"EINVAL\",\"message\":\"the request target is longer than 8192 bytes\"}}" },
		{ 4 * LIMIT_HTTP_TARGET_BYTES, 1, 0, 414, "the request target is longer than 8192 bytes" },
		{ 1, LIMIT_HTTP_HEADER_BYTES - 100, 0, 404, "nothing is at" },
		{ 1, LIMIT_HTTP_HEADER_BYTES, 0, 431, "{\"error\":{\"code\":\"EINVAL\",\"message\":\"request line and headers are over 16384 bytes\"}}" },
		{ 1, 2 * LIMIT_HTTP_HEADER_BYTES, 0, 431, "request line and headers are over 16384 bytes" },
		{ 8000, LIMIT_HTTP_HEADER_BYTES, 0, 431, "request line and headers are over 16384 bytes" },
		{ 1, 1, LIMIT_HTTP_HEADERS - 2, 404, "nothing is at" },
		{ 1, 1, LIMIT_HTTP_HEADERS - 1, 431, "{\"error\":{\"code\":\"EINVAL\",\"message\":\"more than 200 header lines\"}}" },
		{ 1, 1, 2 * LIMIT_HTTP_HEADERS, 431, "more than 200 header lines" },
		{ 1, 4 * LIMIT_HTTP_HEADER_BYTES, 0, 431, NULL },
		{ 8 * LIMIT_HTTP_TARGET_BYTES, 1, 0, 414, NULL },
		{ 1, 1, 10 * LIMIT_HTTP_HEADERS, 431, NULL },
	};
	struct http_config cfg = SMALL;
	struct fixture    *f = start(&cfg);

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		send_large(f, cases[i].target, cases[i].header, cases[i].lines);
		if (net_status(&f->out) != cases[i].status)
			fail_msg("case %zu: expected %d, seen %d", i, cases[i].status, net_status(&f->out));
		if (cases[i].says)
			assert_has(&f->out, cases[i].says);
		if (cases[i].status != 404)
			assert_has(&f->out, "Connection: close");
	}
	end(f);
}

static void test_keep_alive_and_pipelining(void **s UNUSED)
{
	struct http_config cfg = SMALL;
	struct fixture    *f = start(&cfg);
	int                fd = net_connect(f->port);
	char               want[32];

	for (int i = 0; i < 20; i++) { /* fast and worker in turns */
		char raw[256];

		snprintf(raw, sizeof(raw), "POST /echo%s HTTP/1.1\r\n" HOST "Content-Length: 7\r\n\r\nround%02d", i % 2 ? "/worker" : "", i);
		net_send(fd, str_z(raw));
		snprintf(want, sizeof(want), "\r\n\r\nround%02d", i);
		assert_true(net_read(fd, &f->out, want));
	}
	close(fd);
	net_exchange(f->port,
	             STR("GET /hello/a HTTP/1.1\r\n" HOST "\r\nPOST /echo/worker HTTP/1.1\r\n" HOST
	                 "Content-Length: 3\r\n\r\nmidGET /hello/c HTTP/1.1\r\n" HOST "\r\n"),
	             &f->out);
	const char *a = strstr(buf_z(&f->out), "hello a"), *m = strstr(buf_z(&f->out), "\r\n\r\nmid"), *c = strstr(buf_z(&f->out), "hello c");
	if (!(a && m && c && a < m && m < c))
		fail_msg("not three answers in order:\n%s", buf_z(&f->out));
	end(f);
}

static void test_slow_clients_are_cut(void **s UNUSED)
{
	struct http_config cfg = SMALL;
	cfg.header_timeout_ms = cfg.body_timeout_ms = 150;
	cfg.idle_timeout_ms = 300;
	struct fixture *f = start(&cfg);

	net_talk(f->port, STR("GET /hello/x HTTP/1.1\r\nHost:"), NULL, &f->out);
	assert_int_equal(net_status(&f->out), 408);
	net_talk(f->port, STR("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhe"), NULL, &f->out);
	assert_int_equal(net_status(&f->out), 408);
	net_talk(f->port, STR(""), NULL, &f->out);
	assert_int_equal(f->out.len, 0);
	/* a handler that takes long is not the client's fault */
	int fd = net_connect(f->port);
	net_send(fd, STR("GET /block HTTP/1.1\r\n" HOST "\r\n"));
	clock_sleep_ms(500);
	f->release = true;
	buf_clear(&f->out);
	assert_true(net_read(fd, &f->out, "done"));
	close(fd);
	end(f);
}

static void test_queue_full(void **s UNUSED)
{
	struct http_config cfg = SMALL;
	struct fixture    *f = start(&cfg);
	struct pollfd      more[3]; /* of which two wait, in whatever order they arrive */
	int                fds[5], busy = 0;

	for (int i = 0; i < 5; i++) { /* two run */
		fds[i] = net_connect(f->port);
		net_send(fds[i], STR("GET /block HTTP/1.1\r\n" HOST "\r\n"));
		while (i < 2 && f->blocked <= i)
			clock_sleep_ms(1);
	}
	for (int i = 0; i < 3; i++)
		more[i] = (struct pollfd){ .fd = fds[2 + i], .events = POLLIN };
	assert_int_equal(poll(more, 3, 60000), 1);
	while (!more[busy].revents)
		busy++;
	buf_clear(&f->out);
	assert_true(net_read(more[busy].fd, &f->out, "}}"));
	assert_int_equal(net_status(&f->out), 503);
	assert_has(&f->out, "Retry-After: 1");
	net_exchange(f->port, STR("GET /hello/fast HTTP/1.1\r\n" HOST "\r\n"), &f->out);
	assert_int_equal(net_status(&f->out), 200); /* the loop is free */
	f->release = true;
	for (int i = 0; i < 5; i++) {
		buf_clear(&f->out);
		assert_true(i == 2 + busy || net_read(fds[i], &f->out, "done"));
		close(fds[i]);
	}
	end(f);
}

static void test_connections_max(void **s UNUSED)
{
	struct http_config cfg = SMALL;
	cfg.connections_max = 3;
	struct fixture *f = start(&cfg);
	int             fds[3];

	for (int i = 0; i < 3; i++) {
		fds[i] = net_connect(f->port);
		net_send(fds[i], STR("GET /hello/x HTTP/1.1\r\n" HOST "\r\n"));
		buf_clear(&f->out);
		assert_true(net_read(fds[i], &f->out, "hello x"));
	}
	net_talk(f->port, STR("GET /hello/x HTTP/1.1\r\n" HOST "\r\n"), NULL, &f->out);
	assert_int_equal(net_status(&f->out), 503);
	assert_has(&f->out, "too many connections (limit 3)");
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	end(f);
}

static void test_client(void **s UNUSED)
{
	struct http_config  cfg = SMALL;
	struct fixture     *f = start(&cfg);
	struct http_client *c;
	struct err          e = { 0 };
	struct http_call    call = HTTP_CALL_INIT;
	char                url[64];

	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", f->port);
	assert_ok(http_client_new(url, NULL, &c, &e), &e);
	call.path = "/hello/you";
	call.out = &f->out;
	assert_ok(http_call_ok(c, &call, &e), &e);
	assert_int_equal(call.status, 200);
	assert_str(buf_str(&f->out), "hello you ");
	call.path = "/fail";
	buf_clear(&f->out);
	assert_err(http_call_ok(c, &call, &e), WEIR_ECONFLICT);
	assert_string_equal(e.msg, "a conflict of \"things\"");
	call.path = "/json";
	call.method = "POST";
	call.body = STR("{\"n\":4}");
	buf_clear(&f->out);
	assert_ok(http_call_ok(c, &call, &e), &e);
	assert_has(&f->out, "\"twice\":8");
	struct buf tiny CLEANUP_BUF = BUF_INIT(4);
	call.out = &tiny;
	assert_err(http_call(c, &call, &e), WEIR_ELIMIT);
	call = (struct http_call)HTTP_CALL_INIT;
	call.path = "/block";
	call.timeout_ms = 50;
	assert_err(http_call(c, &call, &e), WEIR_ETIMEOUT);
	http_client_free(c);
	end(f);
	assert_ok(http_client_new(url, NULL, &c, &e), &e);
	call.path = "/";
	assert_err(http_call(c, &call, &e), WEIR_EUNAVAIL);
	http_client_free(c);
	assert_err(http_client_new("ftp://x", NULL, &c, &e), WEIR_EINVAL);
}

static void test_inner_call(void **s UNUSED)
{
	struct http_config   cfg = SMALL;
	struct fixture      *f = start(&cfg);
	struct arena a       CLEANUP_ARENA = ARENA_INIT(1 << 20);
	struct http_identity who = { .name = "dev", .scope = SCOPE_READ };
	struct doc_node     *n;
	struct err           e = { 0 };

	assert_ok(http_server_call(f->s, &who, STR("192.0.2.7"), "POST", "/json", STR("{\"n\":5}"), &a, &n, &e), &e);
	assert_int_equal(doc_get_int(n, "twice", 0), 10);
	assert_str(doc_get_str(n, "who"), "dev");
	assert_err(http_server_call(f->s, &who, STR("192.0.2.7"), "GET", "/fail", STR_NULL, &a, &n, &e), WEIR_ECONFLICT);
	assert_string_equal(e.msg, "a conflict of \"things\"");
	assert_err(http_server_call(f->s, &who, STR("192.0.2.7"), "GET", "/nope", STR_NULL, &a, &n, &e), WEIR_ENOENT);
	assert_err(http_server_call(f->s, &who, STR("192.0.2.7"), "GET", "/internal", STR_NULL, &a, &n, &e), WEIR_EINTERNAL);
	end(f);
}

/* A client that leaves while its request runs costs nothing for long: the connection is given back when the handler returns. */
static void test_gone_client(void **s UNUSED)
{
	struct http_config cfg = SMALL;
	struct fixture    *f = start(&cfg);

	for (int i = 0; i < 2; i++) {
		int fd = net_connect(f->port);

		net_send(fd, STR("GET /block HTTP/1.1\r\n" HOST "\r\n"));
		while (!f->blocked)
			clock_sleep_ms(1);
		if (i) { /* a reset instead of an orderly end */
			struct linger now = { 1, 0 };

			setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
		}
		close(fd);
		while (f->blocked) /* http_gone() tells the handler */
			clock_sleep_ms(1);
		for (int n = 0;; n++) {
			clock_sleep_ms(5);
			net_exchange(f->port, STR("GET /metrics HTTP/1.1\r\n" HOST "\r\n"), &f->out);
			if (strstr(buf_z(&f->out), "\nweir_http_connections 1\n"))
				break;
			assert_true(n < 400);
		}
	}
	end(f);
}

static void *stop_thread(void *arg)
{
	http_server_stop(arg, 5000);
	return NULL;
}

/* A request under way is finished, new connections are refused, and the port is free again. */
static void test_stop_finishes_requests(void **s UNUSED)
{
	struct http_config cfg = SMALL;
	struct fixture    *f = start(&cfg);
	int                fd = net_connect(f->port);
	pthread_t          t;

	net_send(fd, STR("GET /block HTTP/1.1\r\n" HOST "\r\n"));
	while (!f->blocked)
		clock_sleep_ms(1);
	assert_int_equal(pthread_create(&t, NULL, stop_thread, f->s), 0); /* makes http_gone() true: the handler ends by itself */
	assert_true(net_read(fd, &f->out, "done"));
	assert_has(&f->out, "Connection: close");
	pthread_join(t, NULL);
	close(fd);
	buf_fini(&f->out);
	free(f);
}

static void test_standard(void **s UNUSED)
{
	struct http_config cfg = SMALL;
	struct fixture    *f = start(&cfg);

	net_exchange(f->port, STR("GET /healthz HTTP/1.1\r\n" HOST "\r\n"), &f->out);
	assert_has(&f->out, "\r\n\r\nok\n");
	net_exchange(f->port, STR("GET /readyz HTTP/1.1\r\n" HOST "\r\n"), &f->out);
	assert_int_equal(net_status(&f->out), 200);
	net_exchange(f->port, STR("GET /metrics HTTP/1.1\r\n" HOST "\r\n"), &f->out);
	assert_has(&f->out, "weir_http_requests_total{method=\"GET\",route=\"/healthz\",status=\"200\"} 1");
	assert_has(&f->out, "weir_http_request_seconds_bucket{le=\"+Inf\"}");
	net_exchange(f->port, STR("GET /api/v1/openapi.json HTTP/1.1\r\n" HOST "\r\n"), &f->out);
	assert_has(&f->out, "\"openapi\":\"3.1.0\"");
	assert_has(&f->out, "\"/git/{project}.git/{rest}\"");
	end(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_routes),
		cmocka_unit_test(test_queries),
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_error_forms),
		cmocka_unit_test(test_static),
		cmocka_unit_test(test_body_limits),
		cmocka_unit_test(test_expect),
		cmocka_unit_test(test_header_limits),
		cmocka_unit_test(test_keep_alive_and_pipelining),
		cmocka_unit_test(test_slow_clients_are_cut),
		cmocka_unit_test(test_queue_full),
		cmocka_unit_test(test_connections_max),
		cmocka_unit_test(test_client),
		cmocka_unit_test(test_inner_call),
		cmocka_unit_test(test_stop_finishes_requests),
		cmocka_unit_test(test_gone_client),
		cmocka_unit_test(test_standard),
	};

	base_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
