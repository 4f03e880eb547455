/* sse.h - server-sent events: many quiet clients without a thread each.
 *
 * A room makes a hub; an HTTP_SSE route's handler calls sse_attach(). The hub's `pull` is called (on a loop thread, quickly, db reads allowed)
 * whenever a client may have news: after sse_kick(), and at attach. It appends whole SSE messages to `out` and moves the client's
 * position; a comment is sent every 15 s to keep proxies open. Last-Event-ID (header, or query last_event_id) gives the position to start from; one that
 * is no number is refused. */
#ifndef WEIR_NET_SSE_H
#define WEIR_NET_SSE_H

#include "net/http.h"

/* For the route's list of query names: browsers cannot set the header at the first try. */
#define SSE_QUERY { .name = "last_event_id", .kind = QUERY_INT, .max = INT64_MAX, .doc = "as the header Last-Event-ID" }

struct sse_hub;
struct sse_client {
	int64_t position;  /* meaning is the room's; starts at Last-Event-ID, or -1 when none was given */
	str     params[4]; /* copies of what the handler gave to sse_attach() */
};
/* Appends messages for c; *ret_end true closes the stream after them. An error closes the connection. */
typedef int (*sse_pull)(struct sse_client *c, struct buf *out, bool *ret_end, void *ctx, struct err *reterr);

MUST_CHECK int sse_hub_new(struct http_server *s, sse_pull pull, void *ctx, unsigned clients_max, struct sse_hub **ret,
                           struct err *reterr);
struct sse_hub *sse_hub_free(struct sse_hub *h); /* after http_server_stop(); returns NULL */
void sse_kick(struct sse_hub *h); /* any thread, never waits */
/* From an HTTP_SSE handler: turns the request into a stream of the hub. -WEIR_EBUSY past clients_max. */
MUST_CHECK int sse_attach(struct http_req *r, struct sse_hub *h, const str *params, size_t n_params, struct err *reterr);
/* Formats one message: "id: ..\nevent: ..\ndata: ..\n\n"; line breaks in data become several data lines. */
void sse_message(struct buf *out, int64_t id, const char *event, str data);

#endif
