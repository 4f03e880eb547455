/* standard.c - probes, metrics and the API's own description (see standard.h). Loop threads. */
#include "base/base.h"
#include "net/standard.h"

static int healthz(struct http_req *r, void *ctx UNUSED, struct err *reterr UNUSED)
{
	http_type(r, "text/plain; charset=utf-8");
	buf_addz(http_out(r), "ok\n");
	return 0;
}

static int readyz(struct http_req *r, void *ctx, struct err *reterr)
{
	struct standard_ops *ops = ctx;
	struct err           why = { 0 };

	if (ops->ready && ops->ready(ops->ctx, &why))
		return err_set(reterr, WEIR_EUNAVAIL, "not ready: %s", why.msg);
	if (!ops->state)
		return healthz(r, ctx, reterr);
	http_type(r, "text/plain; charset=utf-8");
	ops->state(ops->ctx, http_out(r));
	return 0;
}

static int metrics(struct http_req *r, void *ctx, struct err *reterr UNUSED)
{
	struct standard_ops *ops = ctx;

	http_type(r, "text/plain; version=0.0.4; charset=utf-8");
	http_server_metrics(ops->server, http_out(r));
	if (ops->metrics)
		ops->metrics(ops->ctx, http_out(r));
	return 0;
}

static int openapi(struct http_req *r, void *ctx, struct err *reterr)
{
	struct standard_ops *ops = ctx;

	http_type(r, "application/json");
	return http_server_openapi(ops->server, http_out(r), reterr);
}

static const struct http_route routes[] = {
	{ "GET", "/healthz", HTTP_FAST, SCOPE_NONE, 0, healthz, "The process answers.", NULL, NULL },
	{ "GET", "/readyz", HTTP_WORKER, SCOPE_NONE, 0, readyz, "The server can do its work now.", NULL, NULL },
	{ "GET", "/metrics", HTTP_FAST, SCOPE_READ, 0, metrics, "Counters in Prometheus text.", NULL, NULL },
	{ "GET", "/api/v1/openapi.json", HTTP_FAST, SCOPE_NONE, 0, openapi, "This description.", NULL, "{\"type\":\"object\"}" },
};

const struct http_route *standard_probes(size_t *ret_n)
{
	*ret_n = ARRAY_SIZE(routes) - 1; /* OpenAPI is the last one */
	return routes;
}

const struct http_route *standard_routes(size_t *ret_n)
{
	*ret_n = ARRAY_SIZE(routes);
	return routes;
}
