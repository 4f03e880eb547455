/* edge-report.c - what applications report by Unleash's protocol (register, metrics) is handed to the server as it came, with the client's own token.
 *
 * Nothing is kept here: while the server is away a report is answered 503, and clients keep what they counted for their next one. Worker threads. */
#include "base/base.h"

#include "edge/edge-internal.h"
#include "edge/edge-report.h"
#include "base/hash.h"

enum { TIMEOUT_MS = 5000, ANSWER_MAX = 64 << 10, CREDENTIALS_MAX = 512 };
#define AWAY_US (5 * USEC_PER_SEC)

void edge_reports_init(struct edge_reports *p, const char *server, const struct clock *clock)
{
	*p = (struct edge_reports){ .clock = clock };
	edge_pool_init(&p->pool, server);
}

void edge_reports_fini(struct edge_reports *p) { edge_pool_fini(&p->pool); }

static const char *header_line(struct http_req *req, const char *name)
{
	str v = http_header(req, name);

	return v.len && v.len <= CREDENTIALS_MAX ? arena_printf(http_arena(req), "%s: %.*s", name, STR_ARG(v)) : NULL;
}

static int hand_over(struct edge_reports *p, struct http_req *req, struct http_call *call, struct err *reterr)
{
	static const char *const names[] = { "Authorization", "X-API-Key", "Unleash-Environment", "Unleash-AppName", "Unleash-SDK" };
	const char              *headers[ARRAY_SIZE(names) + 1] = { NULL };
	struct http_client      *c;
	size_t                   n = 0;
	int                      rc = edge_pool_take(&p->pool, &c, reterr);

	if (rc)
		return rc;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *line = header_line(req, names[i]);

		if (line)
			headers[n++] = line;
	}
	call->method = "POST";
	call->path = arena_dup(http_arena(req), http_raw_path(req));
	call->content_type = arena_dup(http_arena(req), http_header(req, "content-type"));
	call->body = http_body(req).ptr ? http_body(req) : STR("");
	call->headers = headers;
	call->timeout_ms = TIMEOUT_MS;
	rc = call->path ? http_call(c, call, reterr) : err_set(reterr, WEIR_ENOMEM, "no memory for a report");
	edge_pool_give(&p->pool, c);
	return rc;
}

int edge_report(struct http_req *req, void *reports, struct err *reterr)
{
	struct edge_reports   *p = reports;
	struct buf CLEANUP_BUF out = BUF_INIT(ANSWER_MAX);
	struct http_call       call = HTTP_CALL_INIT;
	struct err             e = { 0 };
	int                    rc = 0;

	call.out = &out;
	if (clock_mono(p->clock) >= atomic_load(&p->away_until))
		rc = hand_over(p, req, &call, &e);
	if (rc || !call.status || call.status >= 500) {
		if (rc)
			atomic_store(&p->away_until, clock_mono(p->clock) + AWAY_US);
		atomic_fetch_add(&p->refused, 1);
		return err_set(reterr, WEIR_EUNAVAIL, "the server cannot be told now; try again");
	}
	atomic_fetch_add(&p->passed, 1);
	http_status(req, call.status);
	if (call.retry_after_s > 0)
		http_set_headerf(req, "Retry-After", "%lld", (long long)call.retry_after_s);
	if (out.len) {
		http_type(req, arena_dup(http_arena(req), str_z(call.content_type_out)));
		buf_add_str(http_out(req), buf_str(&out));
	}
	return 0;
}
