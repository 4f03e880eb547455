/* state.h - what folding keeps: per project the accepted changes of its default branch and its production deployments. Internal. */
#ifndef WEIR_INSIGHT_STATE_H
#define WEIR_INSIGHT_STATE_H

#include "base/map.h"
#include "base/vec.h"
#include "insight/insight.h"

struct ichange { /* one accepted push */
	str     old_id, new_id;
	usec_t  committed, accepted;
	int64_t commits, seq;
};
struct ideploy { /* one production release; times are those of the events, 0: not yet */
	str     id, service, version, digest, commit, cause, by;
	bool    first, superseded;
	bool    held_worse; /* waits because it looks worse: a failure that is not over, unless it goes on */
	usec_t  started, promoted, finished, rolled_back, first_bad, last_bad, held_at;
	int64_t seq;
};
struct iproject {
	str        name, default_ref; /* default_ref "": not told yet, every ref counts */
	int64_t    last_seq;
	VEC(struct ichange) changes;
	VEC(struct ideploy) deploys;
	struct map by_commit; /* new_id -> index + 1 in changes, the newest push of it */
	struct map by_release;
};
struct insight_state {
	struct arena texts;
	struct map   projects; /* name -> struct iproject */
};

static inline usec_t ideploy_ended(const struct ideploy *d) /* completed: its first end; 0: not completed */
{
	if (d->superseded)
		return 0;
	return d->promoted ? d->promoted : d->rolled_back;
}
static inline bool ideploy_failed(const struct ideploy *d) { return d->rolled_back && !d->superseded; }

#endif
