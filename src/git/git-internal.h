/* git-internal.h - what the files of src/git share. Not for other rooms. */
#ifndef WEIR_GIT_GIT_INTERNAL_H
#define WEIR_GIT_GIT_INTERNAL_H

#include <git2.h>

#include "base/base.h"
#include "base/limits.h"
#include "git/git.h"


struct git_repo {
	git_repository *repo;
	git_odb        *odb;
	char           *path, *quarantine; /* as given to git_repo_open */
	char           *known_prefix;      /* refs that count as "any ref"; NULL: none */
	git_oid        *shallow;           /* commits whose parents were cut off by a shallow clone */
	size_t          n_shallow;
};

/* Error of a libgit2 call. A missing object becomes -WEIR_EIO "incomplete: ...", so that no caller takes it for an empty answer. */
int git_fail(struct err *reterr, int rc, const char *fmt, ...) PRINTF(3, 4);
MUST_CHECK int git_oid_of(const char *hex, git_oid *ret, struct err *reterr);
bool git_is_shallow(const struct git_repo *r, const git_oid *id);
/* The tree of a commit (or tag of one, or the tree itself). */
MUST_CHECK int git_tree_of(struct git_repo *r, const char *id, git_tree **ret, struct err *reterr);

/* --- git-oidmap.c: map from object id to a small number; 0 is "absent" --- */
struct oidmap_slot {
	git_oid  id;
	uint32_t value;
};
struct oidmap {
	struct oidmap_slot *slots;
	size_t              n_slots, n;
};
void     oidmap_fini(struct oidmap *m);
uint32_t oidmap_get(const struct oidmap *m, const git_oid *id);
/* Place of the value of id (0 when new); NULL when out of memory. Valid until the next oidmap_at(). */
uint32_t *oidmap_at(struct oidmap *m, const git_oid *id);

/* --- git-walk.c: commits reachable from some and not from others --- */
struct walk_commit {
	git_oid  id, tree;
	int64_t  time;
	uint32_t n_parents;
	uint32_t parents; /* index of the first in walk.parents */
	uint8_t  flags;
};
enum { WALK_PARSED = 1 << 0, WALK_HIDDEN = 1 << 1, WALK_QUEUED = 1 << 2, WALK_WANTED = 1 << 3,
       WALK_REPORTED = 1 << 4 /* git-blobs.c: what the commit brings was handed out */ };
struct walk {
	struct git_repo    *r;
	struct oidmap       index; /* id -> position in commits, plus one */
	struct walk_commit *commits;
	size_t              n_commits, cap_commits;
	uint32_t           *parents;
	size_t              n_parents, cap_parents;
	uint32_t           *heap; /* newest commit first */
	size_t              n_heap, cap_heap;
	size_t              n_open; /* commits in the heap that are not hidden */
	int64_t             oldest; /* time of the oldest commit that was wanted when its turn came */
	uint32_t           *out;    /* wanted commits, newest first; hidden ones may still be among them: ask flags */
	size_t              n_out, cap_out;
};
void walk_init(struct walk *w, struct git_repo *r);
void walk_fini(struct walk *w);
MUST_CHECK int walk_want(struct walk *w, const git_oid *id, struct err *reterr);
MUST_CHECK int walk_hide(struct walk *w, const git_oid *id, struct err *reterr);
/* Wants or hides every ref that counts as known. Refs that lead to no commit are skipped. */
MUST_CHECK int walk_refs(struct walk *w, bool hide, struct err *reterr);
MUST_CHECK int walk_run(struct walk *w, size_t max, bool *ret_more, struct err *reterr);

#endif
