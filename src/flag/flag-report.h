/* flag-report.h - what is known about the flags of a set beside their definitions, gathered in one snapshot: uses, age, places in code; and who of them may go. */
#ifndef WEIR_FLAG_FLAG_REPORT_H
#define WEIR_FLAG_FLAG_REPORT_H

#include "base/map.h"
#include "flag/flag-index.h"
#include "flag/flag-stale.h"

struct flag_age {
	str    key;
	usec_t created, changed;
};
struct flag_report { /* everything in the arena; one reference to the set */
	struct arena         *arena;
	struct flag_set      *set;
	str                   project, key;
	int                   what;
	int                   days;
	usec_t                now, began, dropped, head_changed;
	struct flag_use      *uses; /* of the days, by key */
	size_t                n_uses;
	struct flag_last_use *lasts; /* by key */
	size_t                n_lasts;
	struct flag_age      *ages; /* by key */
	size_t                n_ages;
	struct flag_index     index;
	bool                  code_known;
	struct map            needed; /* keys that others have as prerequisites */
};
enum { FLAG_REPORT_USES = 1, FLAG_REPORT_CODE = 2, FLAG_REPORT_AGES = 4, FLAG_REPORT_ALL = 7 };
/* Gathers `what` of the set `id`, of one flag or (key STR_NULL) of all: its own uses up to now are written first, the index of its project is brought up to date (what fails there makes the code unknown). The
 * caller ends it in any case. -WEIR_ENOENT. */
MUST_CHECK int flag_report_begin(struct flag_room *r, str id, str key, int days, int what, struct arena *a, struct flag_report *ret, struct err *reterr);
void flag_report_end(struct flag_report *p);
/* Uses of one key: the first; *ret_n of them. */
const struct flag_use *flag_report_uses(const struct flag_report *p, str key, size_t *ret_n);
const struct flag_last_use *flag_report_last(const struct flag_report *p, str key); /* NULL: never */
bool flag_report_stale(const struct flag_report *p, const struct flag *f, struct flag_stale *ret);

#endif
