/* unleash-give.h - flags as Unleash's own clients take them, and why some cannot be given to them. Pure.
 *
 * A flag of Unleash's kind ("weir": {"unleash": ...}) is given as it is. One of flagd's kind is given where the clients then say exactly what weir says:
 * switched off; or without a rule, always the same variant. What weir alone can decide (rules, times, prerequisites) is left out of what clients evaluate
 * themselves; /api/frontend, where the server evaluates, has it. */
#ifndef WEIR_FLAG_UNLEASH_GIVE_H
#define WEIR_FLAG_UNLEASH_GIVE_H

#include "flag/flag-set.h"

/* Definition of a flag as a tree in a; NULL: it is no JSON map. */
const struct doc_node *unleash_def(struct arena *a, const struct flag *f);
/* The part below weir.unleash; NULL: flagd's kind. */
const struct doc_node *unleash_part(const struct doc_node *def);
/* Why clients cannot evaluate it themselves, for people; NULL: they can. Texts are in a. */
const char *unleash_left_out(struct arena *a, const struct flag_set *s, const struct flag *f, const struct doc_node *def);

struct unleash_query { /* which features; all fields may be empty */
	str        prefix;
	const str *tags; /* "type:value": a feature needs one of these */
	size_t     n_tags;
	bool       inlined; /* constraints of segments stand in the strategies: for clients that do not know segments */
};
/* Is it asked for? Tags of a flag: its metadata.tags, "type:value,type:value". */
bool unleash_wanted(const struct unleash_query *q, const struct flag *f, const struct doc_node *def);

/* A feature object. segments: the set's, a map of {"id", "constraints"}; needed where q is inlined. */
void unleash_write_feature(struct jw *w, str project, const struct flag *f, const struct doc_node *def, const struct doc_node *segments, bool inlined);
/* A list of all segments: {"id", "name", "constraints"}. segments NULL: none. */
void unleash_write_segments(struct jw *w, const struct doc_node *segments);
void unleash_write_segment(struct jw *w, str name, const struct doc_node *segment);

/* The segments of a set, a map by name; NULL: none. In a. */
const struct doc_node *unleash_segments(struct arena *a, const struct flag_set_head *h);

#endif
