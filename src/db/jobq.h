/* jobq.h - job queue in the database: claim with a lease, renew, finish, retry with a cause.
 *
 * Several queues by name in one table. A job that is claimed and not renewed in time is claimable again, with the cause "lost: lease of
 * WORKER ran out" and attempt + 1, until max_attempts; then it is dead and jobq_reap() hands it to its owner. Finished and
 * dead jobs leave the table: the same (queue, id) may be put again. */
#ifndef WEIR_DB_JOBQ_H
#define WEIR_DB_JOBQ_H

#include "base/clock.h"
#include "db/db.h"

extern const struct db_migration jobq_migrations[];
extern const size_t              jobq_n_migrations;

struct jobq_item { /* texts live in the arena given to the claim */
	str     id;       /* the caller's own, unique per queue */
	str     payload;  /* JSON */
	str     labels;   /* what a worker must offer, as the caller wrote it (comma-separated, sorted) */
	int64_t attempt;  /* 1 at the first claim */
	str     cause;    /* why it is tried again; empty at the first */
	usec_t  lease_until;
};

/* Puts a job in; the same (queue, id) again is a no-op while it is waiting or running. */
MUST_CHECK int jobq_put(struct db_tx *tx, const char *queue, str id, str payload, str labels, int64_t max_attempts,
                        usec_t run_at, struct err *reterr);
/* Oldest job that is due and whose labels are all in `offers` (comma-separated, sorted). *ret_found false: none. */
MUST_CHECK int jobq_claim(struct db_tx *tx, const char *queue, str worker, str offers, usec_t now, usec_t lease,
                          struct arena *a, struct jobq_item *ret, bool *ret_found, struct err *reterr);
/* -WEIR_EGONE when the worker no longer holds it (lease lost and claimed by another, finished, cancelled). */
MUST_CHECK int jobq_renew(struct db_tx *tx, const char *queue, str id, str worker, usec_t now, usec_t lease, struct err *reterr);
/* Finished or cancelled, whether it waits or runs; -WEIR_EGONE when it is not there (any more). */
MUST_CHECK int jobq_done(struct db_tx *tx, const char *queue, str id, struct err *reterr);
/* Gives it back for another attempt at run_at, with a cause; dead when attempts are used up (*ret_dead). */
MUST_CHECK int jobq_retry(struct db_tx *tx, const char *queue, str id, str cause, usec_t run_at, bool *ret_dead,
                          struct err *reterr);
/* Takes leases that ran out before `now` back (queued again with the cause, or dead). Calls fn for each. */
MUST_CHECK int jobq_reap(struct db_tx *tx, const char *queue, usec_t now,
                         int (*fn)(struct db_tx *tx, const struct jobq_item *item, bool dead, void *ctx, struct err *reterr),
                         void *ctx, struct err *reterr);

#endif
