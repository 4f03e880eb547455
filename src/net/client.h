/* client.h - HTTP client on libcurl: only http and https, no redirects to other hosts, time limits on everything.
 * One struct per thread; connections are kept. Credentials go in headers, never in an argv or an error text. */
#ifndef WEIR_NET_CLIENT_H
#define WEIR_NET_CLIENT_H

#include "base/arena.h"
#include "base/base.h"
#include "base/err.h"
#include "base/str.h"

#include <stdatomic.h>

struct http_client;

/* base_url: "http://127.0.0.1:8420"; token: bearer token or NULL. */
MUST_CHECK int http_client_new(const char *base_url, const char *token, struct http_client **ret, struct err *reterr);
struct http_client *http_client_free(struct http_client *c);

struct http_call {
	const char *method, *path; /* path with query, from '/' on */
	const char *content_type;  /* NULL: application/json when there is a body */
	str         body;
	int         body_fd;       /* > 0: the body is read from here instead (chunked) */
	const char *const *headers; /* NULL-ended "Name: value", or NULL */
	int64_t     timeout_ms;    /* whole call; 0: 30 s; negative: none (long polls, streams) */
	struct buf *out;           /* body of the answer; NULL: discarded; past its max: -WEIR_ELIMIT */
	/* When set, called with each piece of the body instead of out; non-zero stops the call (-WEIR_ECANCELED). */
	int (*sink)(void *ctx, str piece);
	void *sink_ctx;
	int64_t stall_ms;          /* no byte for so long (in whole seconds): -WEIR_ETIMEOUT; 0: no such limit. For streams that are never quiet */
	const atomic_bool *stop;   /* true: the call ends within a second or so, -WEIR_ECANCELED; may be NULL */
	int   status;              /* out: HTTP status, 0 when none came */
	char  content_type_out[128], etag_out[128]; /* out; "" when the answer has none */
	int64_t retry_after_s;     /* out: Retry-After of the answer (number or date), 0: none */
};
#define HTTP_CALL_INIT { .method = "GET", .body_fd = -1 }

/* 0 whenever an answer came, whatever its status; -WEIR_EUNAVAIL when the server cannot be reached, -WEIR_ETIMEOUT. */
MUST_CHECK int http_call(struct http_client *c, struct http_call *call, struct err *reterr);
/* As http_call, and a status of 400 or more is an error with the code that fits the status and the server's message. */
MUST_CHECK int http_call_ok(struct http_client *c, struct http_call *call, struct err *reterr);

#endif
