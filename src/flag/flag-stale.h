/* flag-stale.h - may a flag go? Decided from its definition, its uses, the places in code that name it, and its age. Pure.
 *
 *   never evaluated   nobody asked for it for N days, and it was counted all that time
 *   rolled out        everybody gets one variant: it is off, it has no rule, its rule can give one variant only, or all answers of N days were one variant;
 *                     and nothing about it changed for N days. Flags of purpose operational or permission are meant to stay: exempt
 *   expired           past the day that its definition names
 * What cannot be known is said as such and is not stale. */
#ifndef WEIR_FLAG_FLAG_STALE_H
#define WEIR_FLAG_FLAG_STALE_H

#include "base/arena.h"
#include "flag/flag-set.h"
#include "flag/flag-usage.h"

enum { FLAG_STALE_DAYS = 30, FLAG_STALE_ENOUGH = 100 /* answers in N days that make "always one variant" more than chance */ };

struct flag_stale_facts {
	const struct flag     *flag;
	usec_t                 created, changed; /* changed: the flag, or what its rule shares with others */
	usec_t                 began;            /* counting, in this database */
	usec_t                 dropped;          /* uses of this set were not counted; 0: never */
	usec_t                 asked, bulk;      /* last uses; 0: never */
	const struct flag_use *uses;             /* of the last N days */
	size_t                 n_uses;
	bool                   code_known;       /* the project's code was searched */
	size_t                 references;
	bool                   needed;           /* another flag has it as a prerequisite */
	usec_t                 now;
	int                    days;             /* N, from 1 */
};
enum flag_stale_kind { FLAG_STALE_NEVER, FLAG_STALE_ROLLED_OUT, FLAG_STALE_EXPIRED, FLAG_STALE_KINDS };
const char *flag_stale_name(enum flag_stale_kind k); /* "never-evaluated", "rolled-out", "expired" */

struct flag_stale {
	bool        is[FLAG_STALE_KINDS];
	const char *why[FLAG_STALE_KINDS]; /* in the arena, where `is` */
	const char *todo;                  /* what to do; NULL: it is not stale */
	const char *unknown;               /* what cannot be said, and why; NULL: nothing */
};
/* False: it is not stale. -> *ret filled in any case; texts NULL when the arena is full (arena_check). */
bool flag_stale_judge(const struct flag_stale_facts *f, struct arena *a, struct flag_stale *ret);

/* The one variant that a rule can give whatever the context; STR_NULL: there are several, or nobody can say. targeting: its document. */
str flag_rule_only(const struct doc_node *targeting, str default_variant);

#endif
