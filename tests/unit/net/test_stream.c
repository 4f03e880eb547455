/* HTTP_STREAM and HTTP_SSE over real sockets: back pressure, large bodies, clients that leave, many event streams, stop. */
#include "net-test.h"

#include "base/hash.h"
#include "net/client.h"
#include "net/sse.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>

struct fixture {
	struct http_server *s;
	struct sse_hub     *hub;
	uint16_t            port;
	struct buf          out;
	_Atomic int64_t     newest;
	_Atomic int         running, canceled;
	_Atomic bool        hold;
};

#define HOST "Host: weir.test\r\n"

/* Digest of the body, read in small pieces; holds at first when asked to. */
static int h_digest(struct http_req *r, void *ctx, struct err *e)
{
	struct fixture *f = ctx;
	sha256_state    st;
	unsigned char   d[32];
	char            piece[1000], hex[65];
	ssize_t         n;

	f->running++;
	while (f->hold)
		clock_sleep_ms(1);
	crypto_hash_sha256_init(&st);
	while ((n = http_read(r, piece, sizeof(piece), e)) > 0)
		crypto_hash_sha256_update(&st, (unsigned char *)piece, (size_t)n);
	f->running--;
	if (n < 0) {
		f->canceled += n == -WEIR_ECANCELED;
		return (int)n;
	}
	crypto_hash_sha256_final(&st, d);
	http_type(r, "text/plain");
	return http_write(r, str_z(hex_of(d, 32, hex)), e);
}

/* n bytes of 'x' in pieces of 7,000. */
static int h_give(struct http_req *r, void *ctx, struct err *e)
{
	struct fixture *f = ctx;
	int64_t         n = http_param_int(r, "n");
	char            piece[7000];
	int             ret = 0;

	memset(piece, 'x', sizeof(piece));
	f->running++;
	while (!ret && n > 0) {
		size_t step = n < (int64_t)sizeof(piece) ? (size_t)n : sizeof(piece);

		ret = http_write(r, str_n(piece, step), e);
		n -= (int64_t)step;
	}
	f->canceled += ret == -WEIR_ECANCELED;
	f->running--;
	return ret;
}

static int h_echo(struct http_req *r, void *ctx UNUSED, struct err *e)
{
	char    piece[3000];
	ssize_t n;
	int     ret = 0;

	while (!ret && (n = http_read(r, piece, sizeof(piece), e)) != 0)
		ret = n < 0 ? (int)n : http_write(r, str_n(piece, (size_t)n), e);
	return ret;
}

static int h_early(struct http_req *r UNUSED, void *ctx UNUSED, struct err *e) { return err_set(e, WEIR_EREFUSED, "refused without reading"); }

static int h_broken(struct http_req *r, void *ctx UNUSED, struct err *e)
{
	int ret = http_write(r, STR("half an ans"), e);

	return ret ? ret : err_set(e, WEIR_EIO, "broke in the middle");
}

static int h_events(struct http_req *r, void *ctx, struct err *e)
{
	str who = http_query(r, "who");

	return sse_attach(r, ((struct fixture *)ctx)->hub, &who, 1, e);
}

static int pull(struct sse_client *c, struct buf *out, bool *ret_end, void *ctx, struct err *e UNUSED)
{
	struct fixture *f = ctx;
	int64_t         newest = f->newest;

	if (c->position < 0)
		c->position = newest;
	while (c->position < newest) {
		char data[64];

		c->position++;
		snprintf(data, sizeof(data), "event %lld for %.*s", (long long)c->position, STR_ARG(c->params[0]));
		sse_message(out, c->position, "tick", str_z(data));
	}
	*ret_end = newest == 999;
	return 0;
}

static const struct http_query_param events_query[] = { { .name = "who" }, SSE_QUERY, { 0 } };
static const struct http_route routes[] = {
	{ "POST", "/digest", HTTP_STREAM, SCOPE_READ, 64 << 20, h_digest, "", NULL, NULL },
	{ "POST", "/small", HTTP_STREAM, SCOPE_READ, 1000, h_digest, "", NULL, NULL },
	{ "GET", "/give/:n:int", HTTP_STREAM, SCOPE_READ, 0, h_give, "", NULL, NULL },
	{ "POST", "/echo", HTTP_STREAM, SCOPE_READ, 1 << 20, h_echo, "", NULL, NULL },
	{ "POST", "/early", HTTP_STREAM, SCOPE_READ, 64 << 20, h_early, "", NULL, NULL },
	{ "GET", "/broken", HTTP_STREAM, SCOPE_READ, 0, h_broken, "", NULL, NULL },
	{ "GET", "/events", HTTP_SSE, SCOPE_READ, 0, h_events, "", NULL, NULL, events_query },
};

static struct fixture *start(unsigned clients_max)
{
	struct http_config cfg = { .tick_ms = 10, .loop_threads = 2, .worker_threads = 4 };
	struct fixture    *f = calloc(1, sizeof(*f));
	struct err         e = { 0 };

	buf_init(&f->out, 32 << 20);
	assert_ok(http_server_new(&cfg, &f->s, &e), &e);
	assert_ok(sse_hub_new(f->s, pull, f, clients_max, &f->hub, &e), &e);
	assert_ok(http_server_routes(f->s, routes, ARRAY_SIZE(routes), f, &e), &e);
	assert_ok(http_server_start(f->s, &e), &e);
	f->port = http_server_port(f->s);
	return f;
}

static void end(struct fixture *f)
{
	http_server_stop(f->s, 1000);
	sse_hub_free(f->hub);
	buf_fini(&f->out);
	free(f);
}

static void fill(struct buf *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_addc(b, (char)('a' + i * 7919 % 26));
}

static void upload(struct fixture *f, const char *path, str body, bool chunked)
{
	struct buf raw CLEANUP_BUF = BUF_INIT(64 << 20);

	buf_addf(&raw, "POST %s HTTP/1.1\r\n" HOST "Connection: close\r\n", path);
	if (!chunked) {
		buf_addf(&raw, "Content-Length: %zu\r\n\r\n", body.len);
		buf_add_str(&raw, body);
	} else {
		buf_addz(&raw, "Transfer-Encoding: chunked\r\n\r\n");
		for (str left = body; left.len; left = str_sub(left, 10007, left.len)) {
			str piece = str_sub(left, 0, 10007);

			buf_addf(&raw, "%zx\r\n", piece.len);
			buf_add_str(&raw, piece);
			buf_addz(&raw, "\r\n");
		}
		buf_addz(&raw, "0\r\n\r\n");
	}
	net_talk(f->port, buf_str(&raw), NULL, &f->out);
}

static void test_upload(void **s UNUSED)
{
	struct fixture *f = start(10);
	struct buf body CLEANUP_BUF = BUF_INIT(64 << 20);
	char            hex[SHA256_HEX];

	for (size_t n = 0; n <= 8 << 20; n = n ? n * 64 : 2) {
		buf_clear(&body);
		fill(&body, n);
		sha256_hex(buf_str(&body), hex);
		upload(f, "/digest", buf_str(&body), false);
		assert_has(&f->out, hex);
		upload(f, "/digest", buf_str(&body), true);
		assert_has(&f->out, hex);
	}
	end(f);
}

/* The client's bytes stay on its side while the handler does not read. */
static void test_back_pressure_up(void **s UNUSED)
{
	struct fixture *f = start(10);
	int             fd = net_connect(f->port), small = 64 << 10;
	char            piece[8192];
	size_t          sent = 0, quiet = 0;

	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	f->hold = true;
	net_send(fd, STR("POST /digest HTTP/1.1\r\n" HOST "Content-Length: 67108864\r\n\r\n"));
	memset(piece, 'y', sizeof(piece));
	while (quiet < 50) { /* 100 ms without room */
		ssize_t n = send(fd, piece, sizeof(piece), MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0)
			sent += (size_t)n, quiet = 0;
		else
			quiet++, clock_sleep_ms(2);
	}
	assert_true(sent < 24 << 20);
	f->hold = false;
	while (sent < 67108864) {
		size_t  left = 67108864 - sent;
		ssize_t n = send(fd, piece, left < sizeof(piece) ? left : sizeof(piece), MSG_NOSIGNAL);

		assert_true(n > 0);
		sent += (size_t)n;
	}
	assert_true(net_read(fd, &f->out, "\r\n0\r\n\r\n"));
	close(fd);
	end(f);
}

static void test_download(void **s UNUSED)
{
	struct fixture     *f = start(10);
	struct http_client *c;
	struct http_call    call = HTTP_CALL_INIT;
	struct err          e = { 0 };
	char                url[64];

	snprintf(url, sizeof(url), "http://127.0.0.1:%u", f->port);
	assert_ok(http_client_new(url, NULL, &c, &e), &e);
	call.out = &f->out;
	for (int i = 0; i < 3; i++) { /* the connection is used again */
		call.path = i == 1 ? "/give/0" : "/give/20000000";
		buf_clear(&f->out);
		assert_ok(http_call_ok(c, &call, &e), &e);
		assert_int_equal(f->out.len, i == 1 ? 0 : 20000000);
	}
	http_client_free(c);
	end(f);
}

static void test_client_gone(void **s UNUSED)
{
	struct fixture *f = start(10);
	int             fd = net_connect(f->port);

	net_send(fd, STR("GET /give/900000000000 HTTP/1.1\r\n" HOST "\r\n"));
	assert_true(net_read(fd, &f->out, "xxxxxxx"));
	close(fd);
	while (!f->canceled)
		clock_sleep_ms(1);
	f->canceled = 0;
	/* in the middle of an upload */
	fd = net_connect(f->port);
	net_send(fd, STR("POST /digest HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\nabc"));
	while (!f->running)
		clock_sleep_ms(1);
	close(fd);
	while (!f->canceled)
		clock_sleep_ms(1);
	assert_int_equal(f->running, 0);
	end(f);
}

static void test_limit_and_errors(void **s UNUSED)
{
	struct fixture *f = start(10);
	struct buf body CLEANUP_BUF = BUF_INIT(64 << 20);

	fill(&body, 2000);
	upload(f, "/small", buf_str(&body), true);
	assert_int_equal(net_status(&f->out), 413);
	assert_has(&f->out, "limit of 1000 bytes");
	upload(f, "/small", buf_str(&body), false);
	assert_int_equal(net_status(&f->out), 413);
	buf_clear(&body);
	fill(&body, 3 << 20);
	upload(f, "/early", buf_str(&body), false);
	assert_int_equal(net_status(&f->out), 422);
	assert_has(&f->out, "refused without reading");
	net_exchange(f->port, STR("GET /broken HTTP/1.1\r\n" HOST "\r\n"), &f->out);
	assert_has(&f->out, "half an ans");
	assert_false(str_contains(buf_str(&f->out), STR("\r\n0\r\n"))); /* cut, so that nobody takes it for whole */
	end(f);
}

static void test_echo(void **s UNUSED)
{
	struct fixture *f = start(10);
	struct buf body CLEANUP_BUF = BUF_INIT(64 << 20);

	fill(&body, 60000); /* fits the ring: the answer goes out after the body */
	upload(f, "/echo", buf_str(&body), true);
	assert_int_equal(net_status(&f->out), 200);
	assert_true(f->out.len > 60000);
	end(f);
}

/* --- event streams --- */

enum { CLIENTS = 200 };

static int open_events(struct fixture *f, const char *headers, const char *who)
{
	char raw[256];
	int  fd = net_connect(f->port);

	snprintf(raw, sizeof(raw), "GET /events?who=%s HTTP/1.1\r\n" HOST "%s\r\n", who, headers);
	net_send(fd, str_z(raw));
	return fd;
}

static void test_many_events(void **s UNUSED)
{
	struct fixture *f = start(CLIENTS);
	int             fds[CLIENTS];
	char            who[16], want[64];

	f->newest = 5;
	for (int i = 0; i < CLIENTS; i++) {
		snprintf(who, sizeof(who), "c%d", i);
		/* half of them come back and get what they missed */
		fds[i] = open_events(f, i % 2 ? "Last-Event-ID: 2\r\n" : "", who);
		buf_clear(&f->out);
		snprintf(want, sizeof(want), "id: 5\nevent: tick\ndata: event 5 for c%d\n\n", i);
		assert_true(net_read(fds[i], &f->out, i % 2 ? want : "retry: 2000"));
		if (i % 2)
			assert_has(&f->out, "id: 3\n");
		assert_has(&f->out, "Content-Type: text/event-stream");
	}
	int over = open_events(f, "Connection: close\r\n", "one-too-many");
	buf_clear(&f->out);
	assert_true(net_read(over, &f->out, "}}"));
	assert_int_equal(net_status(&f->out), 429);
	close(over);
	for (int round = 6; round < 9; round++) {
		f->newest = round;
		sse_kick(f->hub);
		for (int i = 0; i < CLIENTS; i++) {
			buf_clear(&f->out);
			snprintf(want, sizeof(want), "data: event %d for c%d\n", round, i);
			assert_true(net_read(fds[i], &f->out, want));
		}
	}
	/* one leaves: its place is free again */
	close(fds[0]);
	int got = 0;
	for (int n = 0; n < 400 && got != 200; n++) {
		fds[0] = open_events(f, "", "again");
		buf_clear(&f->out);
		assert_true(net_read(fds[0], &f->out, "\r\n\r\n"));
		if ((got = net_status(&f->out)) != 200) {
			close(fds[0]);
			clock_sleep_ms(5);
		}
	}
	assert_int_equal(got, 200);
	/* the hub ends its streams */
	f->newest = 999;
	sse_kick(f->hub);
	for (int i = 0; i < CLIENTS; i++) {
		buf_clear(&f->out);
		assert_true(net_read(fds[i], &f->out, "\r\n0\r\n\r\n"));
		close(fds[i]);
	}
	end(f);
}

static void test_message(void **s UNUSED)
{
	struct buf b CLEANUP_BUF = BUF_INIT(1000);

	sse_message(&b, 7, "log", STR("one\r\ntwo\rthree\n"));
	assert_str(buf_str(&b), "id: 7\nevent: log\ndata: one\ndata: two three\ndata: \n\n");
}

static void *kicker(void *arg)
{
	struct fixture *f = arg;

	while (f->newest >= 0 && f->newest < 500) {
		f->newest++;
		sse_kick(f->hub);
	}
	return NULL;
}

/* Kicks, transfers and clients that come and go while the server stops: nothing hangs, nothing is lost track of. */
static void test_stop_under_load(void **s UNUSED)
{
	for (int round = 0; round < 5; round++) {
		struct fixture *f = start(50);
		pthread_t       t;
		int             fds[40];

		for (int i = 0; i < 40; i++) {
			fds[i] = net_connect(f->port);
			net_send(fds[i], i % 4 == 0   ? STR("GET /give/90000000000 HTTP/1.1\r\n" HOST "\r\n")
			                 : i % 4 == 1 ? STR("POST /digest HTTP/1.1\r\n" HOST "Content-Length: 100\r\n\r\nabc")
			                              : STR("GET /events?who=x HTTP/1.1\r\n" HOST "\r\n"));
		}
		assert_int_equal(pthread_create(&t, NULL, kicker, f), 0);
		clock_sleep_ms(20);
		f->s = http_server_stop(f->s, 50);
		f->newest = 500;
		pthread_join(t, NULL);
		for (int i = 0; i < 40; i++)
			close(fds[i]);
		sse_hub_free(f->hub);
		buf_fini(&f->out);
		free(f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_upload),  cmocka_unit_test(test_back_pressure_up), cmocka_unit_test(test_download),
		cmocka_unit_test(test_client_gone), cmocka_unit_test(test_limit_and_errors), cmocka_unit_test(test_echo),
		cmocka_unit_test(test_many_events), cmocka_unit_test(test_message), cmocka_unit_test(test_stop_under_load),
	};

	base_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
