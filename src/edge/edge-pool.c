/* edge-pool.c - a stack of idle clients (see edge-pool.h). The lock is never held while one is used. Any thread. */
#include "base/base.h"

#include "edge/edge-pool.h"

void edge_pool_init(struct edge_pool *p, const char *server)
{
	*p = (struct edge_pool){ .server = server };
	pthread_mutex_init(&p->lock, NULL);
}

void edge_pool_fini(struct edge_pool *p)
{
	while (p->n)
		http_client_free(p->idle[--p->n]);
	pthread_mutex_destroy(&p->lock);
}

int edge_pool_take(struct edge_pool *p, struct http_client **ret, struct err *reterr)
{
	*ret = NULL;
	pthread_mutex_lock(&p->lock);
	if (p->n)
		*ret = p->idle[--p->n];
	pthread_mutex_unlock(&p->lock);
	return *ret ? 0 : http_client_new(p->server, NULL, ret, reterr);
}

void edge_pool_give(struct edge_pool *p, struct http_client *c)
{
	pthread_mutex_lock(&p->lock);
	if (p->n < EDGE_POOL_IDLE_MAX) {
		p->idle[p->n++] = c;
		c = NULL;
	}
	pthread_mutex_unlock(&p->lock);
	http_client_free(c);
}
