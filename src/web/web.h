/* web.h - pages for people: what the API answers, as HTML that reads without JavaScript and lives through server-sent events.
 *
 * The room holds no knowledge of its own: each page asks the API (web_ops.api) as the person who looks, enriches the answer with texts for people
 * (view.h) and renders a template. Any thread. */
#ifndef WEIR_WEB_WEB_H
#define WEIR_WEB_WEB_H

#include "base/clock.h"
#include "net/http.h"

struct web;

struct web_ops {
	/* http_server_call(): the answer of an API route, asked as `who` from the address `remote`. */
	int (*api)(void *ctx, const struct http_identity *who, str remote, const char *method, const char *path, str body, struct arena *a,
	           struct doc_node **ret, struct err *reterr);
	void *ctx;
};

/* Parses the templates (they are compiled in: an error is a defect of the build). */
MUST_CHECK int web_open(const struct web_ops *ops, struct web **ret, struct err *reterr);
struct web *web_close(struct web *w); /* after http_server_stop(); returns NULL */
const struct http_route *web_routes(size_t *ret_n); /* ctx: the struct web */
/* For http_server_pages(): the pages of errors and of the login in the same dress. ctx: the struct web. */
struct http_pages web_pages(struct web *w);

#endif
