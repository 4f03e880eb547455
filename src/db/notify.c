/* notify.c - listeners of one database handle and the one thread that calls them.
 *
 * A notification marks every listener of its channel; the thread calls the marked ones, so that any number of
 * notifications before a call becomes one call, and none is lost. Callbacks run without the lock; db_unlisten() waits
 * for the one that is running. */
#include "base/base.h"
#include "db/backend.h"

#include <pthread.h>

struct db_listener {
	struct db_hub      *hub;
	struct db_listener *next;
	char                channel[DB_CHANNEL_SIZE];
	void (*fn)(void *ctx);
	void *ctx;
	bool  marked;
};
struct db_hub {
	pthread_mutex_t     lock;
	pthread_cond_t      news, idle; /* something was marked or it ends; no callback runs */
	struct db_listener *list, *running;
	pthread_t           thread;
	bool                started, stop;
};

static struct db_listener *hub_marked(struct db_hub *h)
{
	for (struct db_listener *l = h->list; l; l = l->next)
		if (l->marked)
			return l;
	return NULL;
}

static void *hub_main(void *arg)
{
	struct db_hub *h = arg;

	pthread_mutex_lock(&h->lock);
	while (!h->stop) {
		struct db_listener *l = hub_marked(h);

		if (!l) {
			pthread_cond_wait(&h->news, &h->lock);
			continue;
		}
		l->marked = false;
		h->running = l;
		pthread_mutex_unlock(&h->lock);
		l->fn(l->ctx);
		pthread_mutex_lock(&h->lock);
		h->running = NULL;
		pthread_cond_broadcast(&h->idle);
	}
	pthread_mutex_unlock(&h->lock);
	return NULL;
}

int db_hub_new(struct db_hub **ret, struct err *reterr)
{
	struct db_hub *h = calloc(1, sizeof(*h));

	if (!h)
		return err_set(reterr, WEIR_ENOMEM, "no memory for the database's listeners");
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->news, NULL);
	pthread_cond_init(&h->idle, NULL);
	*ret = h;
	return 0;
}

struct db_hub *db_hub_free(struct db_hub *h)
{
	if (!h)
		return NULL;
	pthread_mutex_lock(&h->lock);
	h->stop = true;
	pthread_cond_broadcast(&h->news);
	pthread_mutex_unlock(&h->lock);
	if (h->started)
		pthread_join(h->thread, NULL);
	if (h->list)
		BUG("a listener of channel '%s' is left at db_close()", h->list->channel);
	pthread_cond_destroy(&h->idle);
	pthread_cond_destroy(&h->news);
	pthread_mutex_destroy(&h->lock);
	free(h);
	return NULL;
}

int db_hub_add(struct db_hub *h, const char *channel, void (*fn)(void *ctx), void *ctx, struct db_listener **ret,
               struct err *reterr)
{
	struct db_listener *l = calloc(1, sizeof(*l));
	int                 rc = 0;

	if (!l)
		return err_set(reterr, WEIR_ENOMEM, "no memory for a listener");
	*l = (struct db_listener){ .hub = h, .fn = fn, .ctx = ctx };
	(void)snprintf(l->channel, sizeof(l->channel), "%s", channel);
	pthread_mutex_lock(&h->lock);
	if (!h->started) {
		rc = pthread_create(&h->thread, NULL, hub_main, h);
		h->started = !rc;
	}
	if (!rc) {
		l->next = h->list;
		h->list = l;
	}
	pthread_mutex_unlock(&h->lock);
	if (rc) {
		free(l);
		return err_errno(reterr, rc, "cannot start the thread of the database's listeners");
	}
	*ret = l;
	return 0;
}

void db_hub_fire(struct db_hub *h, const char *channel)
{
	bool any = false;

	pthread_mutex_lock(&h->lock);
	for (struct db_listener *l = h->list; l; l = l->next)
		if (!channel || !strcmp(l->channel, channel))
			l->marked = any = true;
	if (any)
		pthread_cond_signal(&h->news);
	pthread_mutex_unlock(&h->lock);
}

struct db_listener *db_unlisten(struct db_listener *l)
{
	struct db_hub *h;

	if (!l)
		return NULL;
	h = l->hub;
	pthread_mutex_lock(&h->lock);
	for (struct db_listener **p = &h->list; *p; p = &(*p)->next)
		if (*p == l) {
			*p = l->next;
			break;
		}
	if (!(h->started && pthread_equal(pthread_self(), h->thread))) /* a callback may end itself */
		while (h->running == l)
			pthread_cond_wait(&h->idle, &h->lock);
	pthread_mutex_unlock(&h->lock);
	free(l);
	return NULL;
}
