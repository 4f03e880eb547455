/* standard.h - the routes every server has: /healthz, /readyz, /metrics, /api/v1/openapi.json. */
#ifndef WEIR_NET_STANDARD_H
#define WEIR_NET_STANDARD_H

#include "net/http.h"

struct standard_ops {
	struct http_server *server;
	/* 0 when the server can do its work now; NULL: always. May read the db. */
	int (*ready)(void *ctx, struct err *reterr);
	/* What /readyz says in place of "ok" when it is ready (text/plain); NULL: "ok". */
	void (*state)(void *ctx, struct buf *out);
	/* Appends further Prometheus text; NULL: none. */
	void (*metrics)(void *ctx, struct buf *out);
	void *ctx;
};
/* The routes' ctx is a struct standard_ops that lives as long as the server. */
const struct http_route *standard_routes(size_t *ret_n);
const struct http_route *standard_probes(size_t *ret_n); /* those but OpenAPI */

#endif
