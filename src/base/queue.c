/* queue.c - bounded queue (see queue.h): a ring under one mutex. */
#include "base/base.h"
#include "base/queue.h"

#include <errno.h>
#include <pthread.h>

struct bqueue {
	pthread_mutex_t lock;
	pthread_cond_t  filled;
	void          **items;
	size_t          max, head, n;
	bool            closed;
};

int bqueue_new(size_t max, struct bqueue **ret, struct err *reterr)
{
	struct bqueue     *q = calloc(1, sizeof(*q));
	pthread_condattr_t attr;

	if (q)
		q->items = calloc(max, sizeof(*q->items));
	if (!q || !q->items) {
		free(q);
		return err_set(reterr, WEIR_ENOMEM, "no memory for a queue of %zu", max);
	}
	q->max = max;
	pthread_mutex_init(&q->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&q->filled, &attr);
	pthread_condattr_destroy(&attr);
	*ret = q;
	return 0;
}

struct bqueue *bqueue_free(struct bqueue *q)
{
	if (!q)
		return NULL;
	pthread_cond_destroy(&q->filled);
	pthread_mutex_destroy(&q->lock);
	free(q->items);
	free(q);
	return NULL;
}

int bqueue_push(struct bqueue *q, void *item, struct err *reterr)
{
	int r = 0;

	pthread_mutex_lock(&q->lock);
	if (q->closed) {
		r = err_set(reterr, WEIR_ECANCELED, "queue is closed");
	} else if (q->n == q->max) {
		r = err_set(reterr, WEIR_EBUSY, "queue is full (%zu items)", q->max);
	} else {
		q->items[(q->head + q->n++) % q->max] = item;
		pthread_cond_signal(&q->filled);
	}
	pthread_mutex_unlock(&q->lock);
	return r;
}

void *bqueue_pop(struct bqueue *q, int64_t timeout_ms)
{
	struct timespec until;
	void           *item = NULL;

	clock_gettime(CLOCK_MONOTONIC, &until);
	if (timeout_ms > 0) {
		until.tv_sec += timeout_ms / 1000;
		until.tv_nsec += (timeout_ms % 1000) * 1000000;
		if (until.tv_nsec >= 1000000000) {
			until.tv_sec++;
			until.tv_nsec -= 1000000000;
		}
	}
	pthread_mutex_lock(&q->lock);
	while (!q->n && !q->closed) {
		if (timeout_ms < 0)
			pthread_cond_wait(&q->filled, &q->lock);
		else if (pthread_cond_timedwait(&q->filled, &q->lock, &until) == ETIMEDOUT)
			break;
	}
	if (q->n) {
		item = q->items[q->head];
		q->head = (q->head + 1) % q->max;
		q->n--;
	}
	pthread_mutex_unlock(&q->lock);
	return item;
}

void bqueue_close(struct bqueue *q)
{
	pthread_mutex_lock(&q->lock);
	q->closed = true;
	pthread_cond_broadcast(&q->filled);
	pthread_mutex_unlock(&q->lock);
}
