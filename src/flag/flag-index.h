/* flag-index.h - where a project's code names flags: the literals of the files of its default branch, kept by blob.
 *
 * A file's literals are kept as hashes (no text of the code is copied into the database), once per blob and language, so that a push costs the files it changes,
 * and a flag that is made later is found in code that was there before. */
#ifndef WEIR_FLAG_FLAG_INDEX_H
#define WEIR_FLAG_FLAG_INDEX_H

#include "flag/flag-refs.h"
#include "flag/room.h"

struct flag_ref {
	uint64_t hash;
	str      path;
	uint32_t line;
	bool     getter;
};
struct flag_index { /* of a project at a commit; in the arena of who asked */
	char             commit[GIT_ID_SIZE]; /* empty: the project has no commit yet */
	usec_t           at;                  /* when it was brought up to this commit */
	size_t           files;               /* that were searched */
	size_t           skipped;             /* too large, or too much in one file */
	struct flag_ref *v;                   /* by hash, path, line */
	size_t           n;
};

/* Brings the index up to the project's default branch; nothing to do: cheap. Any worker thread. */
MUST_CHECK int flag_index_refresh(struct flag_room *r, str project, struct err *reterr);
MUST_CHECK int flag_index_read(struct db_tx *tx, struct arena *a, str project, struct flag_index *ret, struct err *reterr);
uint64_t flag_index_hash(str text); /* that of struct flag, too */
/* References to the key with this hash; *ret_n may be 0. */
const struct flag_ref *flag_index_find(const struct flag_index *ix, uint64_t hash, size_t *ret_n);

#endif
