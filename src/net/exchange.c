/* exchange.c - one request through libmicrohttpd's callbacks, as a small state machine (enum req_state).
 *
 * libmicrohttpd calls exchange_request() once when the headers are complete, once per piece of the body, once at its end, and again after each
 * resume; an answer that is queued in the first call makes it close the connection. Whatever
 * has to be refused is refused before the body is read; a refusal is sent at once when the connection must close or the
 * client waits for "100 Continue", else after a short body was dropped, so that the client sees the answer and the connection lives on.
 * Runs on loop threads. */
#include "base/base.h"
#include "net/exchange.h"
#include "net/http-internal.h"

#include <sys/socket.h>

static str last_path(str target)
{
	return str_sub(target, 0, str_find(target, '?'));
}

void *exchange_target(void *cls, const char *uri, struct MHD_Connection *c)
{
	struct http_server *s = cls;
	struct http_conn   *conn = conn_of(c);
	struct http_req    *r;

	if (!conn || !conn_set_phase(conn, CONN_HEADER) || !(r = req_new(s, c)))
		return NULL;
	r->conn = conn;
	memcpy(r->remote, conn->remote, sizeof(r->remote));
	r->target_at = uri;
	if (uri) {
		r->target = arena_str(&r->arena, str_z(uri));
		r->raw_path = last_path(r->target);
	}
	atomic_fetch_add(&s->n_active, 1);
	return r;
}

void exchange_completed(void *cls, struct MHD_Connection *c UNUSED, void **ctx, enum MHD_RequestTerminationCode code UNUSED)
{
	struct http_server *s = cls;
	struct http_req    *r = *ctx;

	*ctx = NULL;
	if (!r)
		return;
	metrics_count(r);
	if (r->conn)
		(void)conn_set_phase(r->conn, CONN_IDLE);
	if (r->stream)
		stream_client_gone(r);
	if (!r->is_events)
		atomic_fetch_sub(&s->n_active, 1);
	req_unref(r);
}

/* --- the refusals before the body --- */

struct gather {
	struct http_req *r;
	size_t           n, max;
};

static enum MHD_Result gather_header(void *cls, enum MHD_ValueKind kind UNUSED, const char *key, size_t key_len, const char *value,
                                     size_t value_len)
{
	struct gather *g = cls;

	if (g->n == g->max)
		return MHD_NO;
	g->r->headers[g->n].name = str_n(key, key_len);
	g->r->headers[g->n].value = str_n(value ? value : key + key_len, value_len);
	g->n++;
	return MHD_YES;
}

static bool gather_headers(struct http_req *r)
{
	int           n = MHD_get_connection_values_n(r->mhd, MHD_HEADER_KIND, NULL, NULL);
	struct gather g = { .r = r, .max = n > 0 ? (size_t)n : 0 };

	if (g.max > LIMIT_HTTP_HEADERS + 1)
		g.max = LIMIT_HTTP_HEADERS + 1; /* strict_check() refuses them */
	r->headers = ARENA_ARRAY(&r->arena, g.max + 1, struct strict_header);
	if (!r->headers)
		return false;
	MHD_get_connection_values_n(r->mhd, MHD_HEADER_KIND, gather_header, &g);
	r->n_headers = g.n;
	return true;
}

/* Where the body begins in the parser's buffer. */
static const char *headers_end(struct http_req *r, const char *method)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(r->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);

	return info ? method + info->header_size : NULL;
}

static bool strict_ok(struct http_req *r, const char *method, const char *version)
{
	struct strict_request q = {
		.method = str_z(method),
		.target = r->target,
		.version = str_z(version),
		.headers = r->headers,
		.n_headers = r->n_headers,
		.in_place = r->s->in_place,
		.target_at = r->target_at,
		.headers_end = headers_end(r, method),
	};
	struct err e = { 0 };
	int        status;

	r->body_at = q.headers_end;
	status = strict_check(&q, &r->strict, &e);
	if (!status)
		return true;
	atomic_fetch_add(&r->s->refused_strict, 1);
	r->must_close = true;
	answer_error(r, status, &e);
	return false;
}

static bool method_known(str m)
{
	static const char *const known[] = { "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE" };

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (str_eqz(m, known[i]))
			return true;
	return false;
}

static void cors_headers(struct http_req *r)
{
	http_set_header(r, "Access-Control-Allow-Origin", STR("*"));
	http_set_header(r, "Access-Control-Expose-Headers", STR("ETag, Retry-After"));
}

/* A browser asks whether a page of another origin may send its request. */
static bool preflight(struct http_req *r)
{
	str                wanted = http_header(r, "access-control-request-method");
	struct route_match m;

	if (!str_eqz(r->method, "OPTIONS") || !wanted.len || router_match(r->s->router, wanted, r->raw_path, &r->arena, &m, NULL) || !m.entry ||
	    !m.entry->route->cors)
		return false;
	r->status = 204;
	cors_headers(r);
	http_set_header(r, "Access-Control-Allow-Methods", str_z(m.entry->route->method));
	http_set_header(r, "Access-Control-Allow-Headers", STR("Authorization, X-API-Key, Content-Type, If-None-Match, Flagd-Selector, Last-Event-ID, Cache-Control, "
	                                                     "Unleash-Environment, Unleash-AppName, Unleash-InstanceId, Unleash-Connection-Id, Unleash-SDK, "
	                                                     "Unleash-Interval, Unleash-Client-Spec"));
	http_set_header(r, "Access-Control-Max-Age", STR("600"));
	return true;
}

static bool routed(struct http_req *r)
{
	struct err e = { 0 };

	if (!method_known(r->method)) {
		answer_errorf(r, 501, WEIR_EMETHOD, "method '%.*s' is not known here", STR_ARG(str_sub(r->method, 0, 40)));
		return false;
	}
	if (str_eqz(r->raw_path, "*")) {
		r->status = 204;
		http_set_header(r, "Allow", STR("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
		return false;
	}
	if (router_match(r->s->router, r->method, r->raw_path, &r->arena, &r->match, &e)) {
		answer_error(r, 0, &e);
		return false;
	}
	if (r->match.entry) {
		if (r->match.entry->route->cors)
			cors_headers(r);
		return true;
	}
	if (preflight(r))
		return false;
	if (r->match.known) {
		http_set_header(r, "Allow", str_z(r->match.allow));
		answer_errorf(r, 405, WEIR_EMETHOD, "%.*s is not possible here; possible: %s", STR_ARG(r->method), r->match.allow);
	} else {
		answer_errorf(r, 404, WEIR_ENOENT, "nothing is at %.*s", STR_ARG(str_sub(r->raw_path, 0, 200)));
	}
	return false;
}

static int64_t body_limit(const struct http_req *r) { return r->match.entry ? r->match.entry->route->body_max : 0; }

static void refuse_size(struct http_req *r)
{
	int64_t max = body_limit(r);

	if (max)
		answer_errorf(r, 413, WEIR_ELIMIT, "the body is over this route's limit of %lld bytes", (long long)max);
	else
		answer_errorf(r, 413, WEIR_ELIMIT, "this request takes no body");
}

static bool expectation_ok(struct http_req *r)
{
	str v = http_header(r, "expect");

	if (!v.ptr || str_eq_nocase(v, STR("100-continue")))
		return true;
	answer_errorf(r, 417, WEIR_EINVAL, "only the expectation '100-continue' is understood");
	return false;
}

static bool capacity_ok(struct http_req *r)
{
	if (!r->conn->over_limit && !atomic_load(&r->s->stopping))
		return true;
	r->must_close = true;
	answer_errorf(r, 503, WEIR_EUNAVAIL, r->conn->over_limit ? "too many connections (limit %u); try again" : "weir is stopping",
	              r->s->cfg.connections_max);
	atomic_fetch_add(&r->s->refused_busy, 1);
	return false;
}

static bool query_ok(struct http_req *r)
{
	struct err e = { 0 };

	if (!router_query(&r->match, r->raw_query, &r->arena, &e))
		return true;
	answer_error(r, 0, &e);
	return false;
}

/* All that can be said before the body; false: the refusing answer is made. */
static bool admit(struct http_req *r, const char *method, const char *version)
{
	r->method = arena_str(&r->arena, str_z(method));
	if (!gather_headers(r)) {
		answer_errorf(r, 503, WEIR_ENOMEM, "no memory for the request's headers");
		return false;
	}
	if (!strict_ok(r, method, version))
		return false;
	r->raw_path = r->strict.path;
	r->raw_query = r->strict.query;
	if (!capacity_ok(r) || !expectation_ok(r) || !routed(r) || !auth_check(r) || !query_ok(r))
		return false;
	if (r->strict.has_length && r->strict.length > body_limit(r)) {
		refuse_size(r);
		return false;
	}
	return true;
}

/* --- what happens next --- */

static bool has_body(const struct http_req *r) { return r->strict.chunked || (r->strict.has_length && r->strict.length > 0); }

/* Sends a refusal: at once, or after a short body was dropped. */
static enum MHD_Result refuse(struct http_req *r)
{
	bool waits = http_header(r, "expect").len > 0;

	r->state = REQ_READY;
	if (!has_body(r) && !r->must_close)
		return MHD_YES; /* the next call sends it: an answer made in the first call would close the connection */
	if (!r->must_close && !waits && (r->strict.chunked || r->strict.length <= LIMIT_HTTP_DISCARD_BYTES)) {
		r->state = REQ_DISCARD;
		return conn_set_phase(r->conn, CONN_BODY) ? MHD_YES : MHD_NO;
	}
	r->must_close = true;
	return answer_queue(r);
}

static enum MHD_Result hand_to_worker(struct http_req *r)
{
	struct err e = { 0 };

	r->state = REQ_QUEUED;
	MHD_suspend_connection(r->mhd);
	if (!bqueue_push(r->s->queue, r, &e))
		return MHD_YES;
	MHD_resume_connection(r->mhd);
	atomic_fetch_add(&r->s->refused_busy, 1);
	answer_errorf(r, 503, WEIR_EUNAVAIL, "all workers are busy and the queue is full; try again");
	r->state = REQ_READY; /* sent by the call after the resume */
	return MHD_YES;
}

/* The request is complete. */
static enum MHD_Result run(struct http_req *r)
{
	if (!conn_set_phase(r->conn, CONN_BUSY))
		return MHD_NO;
	if (r->must_ask) {
		r->state = REQ_PARKED;
		return MHD_YES;
	}
	switch (r->match.entry->route->kind) {
	case HTTP_FAST:
	case HTTP_SSE: run_handler(r); return answer_queue(r);
	case HTTP_WORKER:
	case HTTP_STREAM: r->state = REQ_PARKED; return MHD_YES;
	}
	return MHD_NO;
}

static enum MHD_Result begin_stream(struct http_req *r)
{
	struct err e = { 0 };

	if (!conn_set_phase(r->conn, has_body(r) ? CONN_BODY : CONN_BUSY))
		return MHD_NO;
	if (stream_begin(r, &e)) {
		atomic_fetch_add(&r->s->refused_busy, 1);
		answer_error(r, 503, &e);
		return refuse(r);
	}
	r->state = REQ_STREAM;
	return MHD_YES;
}

static enum MHD_Result begin(struct http_req *r, const char *method, const char *version)
{
	if (!admit(r, method, version))
		return refuse(r);
	if (r->match.entry->route->kind == HTTP_STREAM && r->must_ask) {
		answer_errorf(r, 503, WEIR_EUNAVAIL, "who this is cannot be told now; try again");
		return refuse(r);
	}
	if (r->match.entry->route->kind == HTTP_STREAM)
		return begin_stream(r);
	r->state = REQ_BODY;
	buf_init(&r->body, (size_t)body_limit(r));
	return !has_body(r) || conn_set_phase(r->conn, CONN_BODY) ? MHD_YES : MHD_NO;
}

static enum MHD_Result gather_body(struct http_req *r, const char *data, size_t *n)
{
	r->body_seen += (int64_t)*n;
	if (r->body_seen > body_limit(r)) { /* only chunked ones come here */
		refuse_size(r);
		r->state = REQ_DISCARD;
	} else {
		buf_add(&r->body, data, *n);
		if (r->body.failed) {
			answer_errorf(r, 503, WEIR_ENOMEM, "no memory for the request's body");
			r->state = REQ_DISCARD;
		}
	}
	*n = 0;
	return MHD_YES;
}

static enum MHD_Result discard(struct http_req *r, size_t *n)
{
	r->body_seen += (int64_t)*n;
	*n = 0;
	/* Over what is dropped for politeness: the connection is cut without more words. */
	return r->body_seen <= body_limit(r) + LIMIT_HTTP_DISCARD_BYTES ? MHD_YES : MHD_NO;
}

/* Framing of chunks that the parser lets through. It is seen as long as it came in one read with its data: an attacker who has a proxy in front cut the
 * stream elsewhere gets by, which docs/threat-model.md says. */
static bool framing_ok(struct http_req *r, const char *piece)
{
	const char *from = r->piece_end;

	if (!r->strict.chunked || !r->s->in_place || !r->body_at || piece <= r->body_at)
		return true;
	if (from <= r->body_at || from > piece) /* the piece before came in an earlier read */
		from = r->body_at;
	return strict_chunk_lines(r->body_at, from, piece);
}

struct trailers {
	bool bad;
};

static enum MHD_Result look_at_trailer(void *cls, enum MHD_ValueKind kind UNUSED, const char *key, size_t key_len,
                                       const char *value UNUSED, size_t value_len UNUSED)
{
	struct trailers *t = cls;

	t->bad = t->bad || !strict_name_valid(str_n(key, key_len));
	return MHD_YES;
}

static bool trailers_ok(struct http_req *r)
{
	struct trailers t = { 0 };

	if (r->strict.chunked)
		MHD_get_connection_values_n(r->mhd, MHD_FOOTER_KIND, look_at_trailer, &t);
	return !t.bad;
}

static enum MHD_Result bad_framing(struct http_req *r)
{
	atomic_fetch_add(&r->s->refused_strict, 1);
	r->must_close = true;
	answer_errorf(r, 400, WEIR_EINVAL, "the chunks of the body or its trailer are malformed (RFC 9112 7.1)");
	return answer_queue(r);
}

static enum MHD_Result take_piece(struct http_req *r, const char *piece, size_t *n)
{
	size_t          len = *n;
	enum MHD_Result ret = MHD_NO;

	if (!framing_ok(r, piece)) {
		atomic_fetch_add(&r->s->refused_strict, 1);
		return MHD_NO; /* no answer can be given in the middle of a body */
	}
	if (r->state == REQ_BODY)
		ret = gather_body(r, piece, n);
	else if (r->state == REQ_DISCARD)
		ret = discard(r, n);
	else if (r->state == REQ_STREAM)
		ret = stream_upload(r, piece, n);
	r->piece_end = piece + (len - *n);
	return ret;
}

enum MHD_Result exchange_request(void *cls UNUSED, struct MHD_Connection *c UNUSED, const char *url UNUSED, const char *method,
                                 const char *version, const char *upload, size_t *n, void **ctx)
{
	struct http_req *r = *ctx;

	if (!r)
		return MHD_NO; /* out of memory, or cut */
	if (*n)
		return take_piece(r, upload, n);
	switch (r->state) {
	case REQ_NEW: return begin(r, method, version);
	case REQ_BODY: return trailers_ok(r) ? run(r) : bad_framing(r);
	case REQ_DISCARD:
	case REQ_READY: return answer_queue(r);
	case REQ_STREAM: r->state = REQ_PARKED; return MHD_YES; /* see there */
	case REQ_PARKED: return r->stream ? stream_upload_end(r) : hand_to_worker(r);
	case REQ_QUEUED:
	case REQ_SENT: return MHD_YES;
	}
	return MHD_NO;
}
