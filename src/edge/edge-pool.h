/* edge-pool.h - clients of the server that workers share, so that connections are kept. Any thread. */
#ifndef WEIR_EDGE_EDGE_POOL_H
#define WEIR_EDGE_EDGE_POOL_H

#include "net/client.h"

#include <pthread.h>

enum { EDGE_POOL_IDLE_MAX = 8 };
struct edge_pool {
	const char         *server; /* the caller's */
	pthread_mutex_t     lock;
	struct http_client *idle[EDGE_POOL_IDLE_MAX];
	unsigned            n;
};
void edge_pool_init(struct edge_pool *p, const char *server);
void edge_pool_fini(struct edge_pool *p);
/* A client without a token of its own: it goes in a header of the call. To be given back by edge_pool_give(). */
MUST_CHECK int edge_pool_take(struct edge_pool *p, struct http_client **ret, struct err *reterr);
void edge_pool_give(struct edge_pool *p, struct http_client *c);

#endif
