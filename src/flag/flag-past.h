/* flag-past.h - the last few past revisions that were compiled, so that questions about one do not compile it again and again. Pure, with a lock of its own. */
#ifndef WEIR_FLAG_FLAG_PAST_H
#define WEIR_FLAG_FLAG_PAST_H

#include "flag/flag-set.h"

#include <pthread.h>

enum { FLAG_PASTS = 8 };
struct flag_pasts {
	pthread_mutex_t  lock;
	struct flag_set *sets[FLAG_PASTS]; /* asked for last, first; NULL: none */
};

void flag_pasts_init(struct flag_pasts *p);
void flag_pasts_fini(struct flag_pasts *p);
/* NULL, or a reference of the caller's own. What a revision was never changes, so a kept one is never stale. */
struct flag_set *flag_pasts_get(struct flag_pasts *p, str id, int64_t revision);
/* Keeps a reference, unless the set has more than LIMIT_FLAG_PAST_FLAGS flags; those asked for longest ago go until all together have no more. */
void flag_pasts_put(struct flag_pasts *p, struct flag_set *s);

#endif
