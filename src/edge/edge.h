/* edge.h - `weir edge`: serves flags near their clients from a copy on disk, read-only; it follows a server and goes on without it.
 *
 * One process per folder. The copies are the server's own (flag/flag-copy.h); evaluation, protocols and event streams are the flag room's. */
#ifndef WEIR_EDGE_EDGE_H
#define WEIR_EDGE_EDGE_H

#include "base/base.h"
#include "base/err.h"

#include <stdint.h>

struct edge_config { /* texts live as long as the edge */
	const char *data;        /* the edge keeps its files in DATA/edge */
	const char *server;      /* "https://weir.example.org" */
	const char *token;       /* scope edge, or any from read on; names what is copied */
	const char *listen_host;
	uint16_t    listen_port; /* 0: any free one (written to DATA/edge/listen) */
	unsigned    http_threads, http_workers;
	unsigned    flags_per_second; /* of one token, see struct http_config; 0: no limit */
};

struct edge;

/* Loads what is on disk and serves it; whether the server can be reached does not matter. A second edge in the same folder is -WEIR_EBUSY. */
MUST_CHECK int edge_start(const struct edge_config *cfg, struct edge **ret, struct err *reterr);
const char *edge_url(const struct edge *e); /* "http://127.0.0.1:8421" */
/* Requests under way get 10 s; what was learned is kept. Returns NULL; NULL is fine. */
struct edge *edge_stop(struct edge *e);

#endif
