/* http_strictness.c - raw octets against the real server: {id, raw_b64, expect, strength, status?, requests?}.
 *
 * Every vector goes over a connection of its own and is followed by a half-close. What the handlers saw must be exactly `requests`; a refusal must carry
 * one of the allowed statuses (closing without a word is one too), and in all cases the server must close in the end and go on serving. */
#include "base/base.h"
#include "base/hash.h"
#include "conformance.h"
#include "net/http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SEEN_MAX = 8, TEXT_MAX = 256 };
struct seen {
	char method[TEXT_MAX], target[TEXT_MAX], authority[TEXT_MAX], xa[TEXT_MAX], body[TEXT_MAX];
	size_t body_len;
};
static struct {
	struct http_server *server;
	pthread_mutex_t     lock;
	struct seen         seen[SEEN_MAX];
	size_t              n;
} rig = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void copy(char to[TEXT_MAX], str s)
{
	snprintf(to, TEXT_MAX, "%.*s", STR_ARG(s.ptr ? s : STR("")));
}

static int note(struct http_req *r, void *ctx UNUSED, struct err *e UNUSED)
{
	str query = http_raw_query(r), body = http_body(r);

	pthread_mutex_lock(&rig.lock);
	if (rig.n < SEEN_MAX) {
		struct seen *s = &rig.seen[rig.n++];

		copy(s->method, http_method(r));
		snprintf(s->target, TEXT_MAX, "%.*s%s%.*s", STR_ARG(http_raw_path(r)), query.ptr ? "?" : "", STR_ARG(query.ptr ? query : STR("")));
		copy(s->authority, http_authority(r));
		copy(s->xa, http_header(r, "x-a"));
		s->body_len = body.len < TEXT_MAX ? body.len : TEXT_MAX;
		memcpy(s->body, body.ptr, s->body_len);
	}
	pthread_mutex_unlock(&rig.lock);
	buf_addz(http_out(r), "seen\n");
	return 0;
}

static const struct http_route routes[] = {
	{ "GET", "/*rest", HTTP_FAST, SCOPE_NONE, 1 << 16, note, "", NULL, NULL, http_any_query },
	{ "POST", "/*rest", HTTP_FAST, SCOPE_NONE, 1 << 16, note, "", NULL, NULL, http_any_query },
};

static bool rig_start(struct err *e)
{
	struct http_config cfg = { .tick_ms = 10, .idle_timeout_ms = 2000, .header_timeout_ms = 2000, .body_timeout_ms = 2000 };

	if (rig.server)
		return true;
	base_init();
	return !http_server_new(&cfg, &rig.server, e) && !http_server_routes(rig.server, routes, ARRAY_SIZE(routes), NULL, e) &&
	       !http_server_start(rig.server, e);
}

static int connect_to(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int                fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* Sends, half-closes, reads to the end. False when the server neither answered nor closed for 10 s. */
static bool exchange(str raw, struct buf *out)
{
	char          tmp[4096];
	int           fd = connect_to(http_server_port(rig.server));
	struct pollfd p = { .fd = fd, .events = POLLIN };
	bool          ended = false;

	if (fd < 0)
		return false;
	while (raw.len) {
		ssize_t n = send(fd, raw.ptr, raw.len, MSG_NOSIGNAL);

		if (n <= 0)
			break; /* refused before everything was sent */
		raw = str_sub(raw, (size_t)n, raw.len);
	}
	shutdown(fd, SHUT_WR);
	while (!ended && poll(&p, 1, 10000) > 0) {
		ssize_t n = recv(fd, tmp, sizeof(tmp), 0);

		if (n > 0)
			buf_add(out, tmp, (size_t)n);
		ended = n <= 0;
	}
	close(fd);
	return ended;
}

/* Status of the last answer; 0 without one. */
static int last_status(str out)
{
	int64_t status = 0;

	for (size_t i = 0; i + 12 <= out.len; i++)
		if (!memcmp(out.ptr + i, "HTTP/1.1 ", 9) && !str_to_i64(str_sub(out, i + 9, 3), &status))
			status = 0;
	return (int)status;
}

static bool status_allowed(const struct conf_case *c, int status)
{
	const struct doc_node *list = doc_get(c->json, "status");

	for (size_t i = 0; i < doc_len(list); i++)
		if (doc_at(list, i)->kind == DOC_INT && doc_at(list, i)->i == status)
			return true;
	return !list;
}

static const char *differs(struct conf_case *c, const struct doc_node *want, const struct seen *s)
{
	struct buf body CLEANUP_BUF = BUF_INIT(1 << 16);
	const struct doc_node *xa = doc_path(want, "headers.x-a");
	str        authority = doc_get_str(want, "authority");

	if (!str_eqz(doc_get_str(want, "method"), s->method))
		return "method";
	if (!str_eqz(doc_get_str(want, "target"), s->target))
		return "target";
	if (authority.len && !str_eqz(authority, s->authority))
		return "authority";
	if (xa && !str_eqz(xa->s, s->xa))
		return "header x-a";
	if (!base64_parse(doc_get_str(want, "body_b64"), &body) || !str_eq(buf_str(&body), str_n(s->body, s->body_len)))
		return "body";
	(void)c;
	return NULL;
}

/* NULL when the handlers saw exactly what they should have. */
static const char *seen_wrong(struct conf_case *c)
{
	const struct doc_node *want = doc_get(c->json, "requests");
	const char            *what = NULL;

	pthread_mutex_lock(&rig.lock);
	if (rig.n != doc_len(want))
		what = arena_printf(c->arena, "%zu requests reached the handlers instead of %zu", rig.n, doc_len(want));
	for (size_t i = 0; !what && i < rig.n; i++)
		if ((what = differs(c, doc_at(want, i), &rig.seen[i])))
			what = arena_printf(c->arena, "request %zu: %s", i + 1, what);
	pthread_mutex_unlock(&rig.lock);
	return what;
}

static void judge(struct conf_case *c, const struct buf *out)
{
	str         expect = doc_get_str(c->json, "expect");
	int         status = last_status(buf_str(out));
	const char *wrong = seen_wrong(c);

	if (str_eqz(expect, "accept") && wrong)
		conf_fail(c, NULL, "passed on as sent", "%s (status %d)", wrong, status);
	else if (str_eqz(expect, "reject") && (wrong || (status && !status_allowed(c, status))))
		conf_fail(c, NULL, "refused", "%s, status %d", wrong ? wrong : "nothing executed", status);
	else if (str_eqz(expect, "either") && status >= 400 && status != 404 && !status_allowed(c, status))
		conf_fail(c, NULL, "served, or refused with a listed status", "status %d", status);
	else if (str_eqz(expect, "either") && rig.n > 1)
		conf_fail(c, NULL, "one request at most", "%zu", rig.n);
	else
		conf_pass(c, NULL);
}

static void run(struct conf_case *c)
{
	str        raw = conf_base64(c, "raw_b64");
	struct buf out CLEANUP_BUF = BUF_INIT(4 << 20);
	struct err e = { 0 };

	if (!rig_start(&e)) {
		conf_fail(c, NULL, "a server", "%s", e.msg);
		return;
	}
	pthread_mutex_lock(&rig.lock);
	rig.n = 0;
	pthread_mutex_unlock(&rig.lock);
	if (!exchange(raw, &out))
		conf_fail(c, NULL, "an answer or the end of the connection", "neither in 10 s");
	else
		judge(c, &out);
}

static const char *const files[] = { "http/strictness.jsonl", NULL };
const struct conf_suite suite_http_strictness = { .name = "http-strictness", .files = files, .name_key = "id", .run = run };
