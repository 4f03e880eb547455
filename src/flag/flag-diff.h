/* flag-diff.h - what differs between two definitions, path by path. Pure.
 *
 * Maps are compared by key, whatever their order; of lists what is the same at both ends is passed over, the rest is compared item by item. Numbers
 * are the same when their shortest texts are. Paths are JSON pointers (RFC 6901): "/targeting/if/0"; "" is the whole definition. */
#ifndef WEIR_FLAG_FLAG_DIFF_H
#define WEIR_FLAG_FLAG_DIFF_H

#include "base/arena.h"
#include "base/base.h"
#include "doc/doc.h"

enum flag_diff_kind { FLAG_DIFF_NONE, FLAG_DIFF_ADDED, FLAG_DIFF_REMOVED, FLAG_DIFF_CHANGED };
const char *flag_diff_kind_name(enum flag_diff_kind k); /* "added" */

struct flag_diff_line {
	enum flag_diff_kind kind;
	str                 path;
	str                 before, after; /* JSON; STR_NULL where there is none */
};
struct flag_diff {
	struct flag_diff_line *lines;
	size_t                 n;
};

/* NULL: no definition. Texts are in a. Errors: -WEIR_ENOMEM, -WEIR_ELIMIT (the arena). */
MUST_CHECK int flag_diff(struct arena *a, const struct doc_node *before, const struct doc_node *after, struct flag_diff *ret, struct err *reterr);
/* Of two JSON texts; empty: none. */
MUST_CHECK int flag_diff_texts(struct arena *a, str before, str after, struct flag_diff *ret, struct err *reterr);
/* Is the definition `after` that of `before` switched off, and nothing else? */
bool flag_diff_is_switch_off(const struct flag_diff *d);

#endif
