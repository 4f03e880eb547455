/* rate.h - token buckets by key, in bounded memory: how often one caller may ask.
 *
 * A caller has a bucket of one second's requests, filled evenly. The table has a fixed number of buckets; when a place is wanted for a new caller, the
 * fullest bucket of its row gives way, which is the one that has asked least of late: forgetting it forgets nothing that would have refused it soon. */
#ifndef WEIR_NET_RATE_H
#define WEIR_NET_RATE_H

#include "base/base.h"
#include "base/clock.h"
#include "base/str.h"

struct rate;

struct rate *rate_new(unsigned per_second); /* at least 1; NULL: no memory */
struct rate *rate_free(struct rate *r);     /* NULL fine; returns NULL */
/* Takes one request of `key` at `now` (monotonic). True: it may pass. False: *ret_wait is the time until the next one may. Any thread. */
bool rate_take(struct rate *r, str key, usec_t now, usec_t *ret_wait);

#endif
