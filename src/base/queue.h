/* queue.h - bounded queue of pointers between threads: a full queue is a named error, never an unbounded wait. */
#ifndef WEIR_BASE_QUEUE_H
#define WEIR_BASE_QUEUE_H

#include "base/base.h"
#include "base/clock.h"
#include "base/err.h"

struct bqueue;

MUST_CHECK int bqueue_new(size_t max, struct bqueue **ret, struct err *reterr);
struct bqueue *bqueue_free(struct bqueue *q); /* what is still in it is the caller's; returns NULL */
/* 0; -WEIR_EBUSY when it holds `max` items; -WEIR_ECANCELED after bqueue_close(). Never waits. */
MUST_CHECK int bqueue_push(struct bqueue *q, void *item, struct err *reterr);
/* Oldest item; NULL after timeout (-1: no timeout) or when closed and empty. */
void *bqueue_pop(struct bqueue *q, int64_t timeout_ms);
void  bqueue_close(struct bqueue *q); /* wakes all who wait */

#endif
