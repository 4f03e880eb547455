/* unleash-import.h - what Unleash exports as flags of weir. Pure.
 *
 * Three shapes are known: the export of projects (features, featureStrategies, featureEnvironments, ...), the older export of the whole state, and what
 * clients get of /api/client/features. One environment is taken. A feature that cannot be taken over exactly as it is, is left out, and said so; whatever
 * else of the file has no place in weir is said, too. */
#ifndef WEIR_FLAG_UNLEASH_IMPORT_H
#define WEIR_FLAG_UNLEASH_IMPORT_H

#include "base/arena.h"
#include "base/base.h"
#include "base/err.h"
#include "base/str.h"
#include "doc/doc.h"

/* Is it one of these? (a list "features") */
bool unleash_is_export(const struct doc_node *doc);

struct unleash_import {
	str         flags;    /* JSON map of definitions */
	str         segments; /* JSON map NAME: {"id", "constraints"}; empty: none is needed */
	size_t      n_flags, n_segments;
	const char **notes;   /* what is not taken over, and why; one line each */
	size_t      n_notes;
};
/* environment: NULL where the export has one only; else -WEIR_EINVAL, naming those that it has. segments: NULL, or what /api/admin/segments answers, for
 * exports that have the names of segments only. Everything in *ret is in a. -WEIR_EINVAL: it is no export. -WEIR_ELIMIT. */
MUST_CHECK int unleash_import(struct arena *a, const struct doc_node *doc, const char *environment, const struct doc_node *segments, struct unleash_import *ret,
							  struct err *reterr);

#endif
