/* git.h - reading git through libgit2: objects, trees, differences, the new objects of a push. Never writes.
 *
 * A git_repo may be used by one thread at a time; opening is cheap (no caches are filled). Object ids are 40 hex digits. */
#ifndef WEIR_GIT_GIT_H
#define WEIR_GIT_GIT_H

#include "base/arena.h"
#include "base/base.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"

struct git_repo;

enum { GIT_ID_SIZE = 41 };
extern const char git_zero_id[GIT_ID_SIZE]; /* 40 zeros: "no object" in ref updates */

/* Opens a bare or working repository. quarantine: object folder of a push that is not accepted yet (GIT_QUARANTINE_PATH), or NULL. */
MUST_CHECK int git_repo_open(const char *path, const char *quarantine, struct git_repo **ret, struct err *reterr);
struct git_repo *git_repo_close(struct git_repo *r);
/* The same repository, quarantine and known refs once more, for another thread. */
MUST_CHECK int git_repo_dup(const struct git_repo *r, struct git_repo **ret, struct err *reterr);
const char *git_repo_path(const struct git_repo *r);
/* Which refs count as "any ref" below: those whose name begins with prefix. Default "refs/"; a laptop asks "refs/remotes/", so that its own
 * branches do not hide what they are about to push; NULL: none. */
MUST_CHECK int git_repo_set_known_refs(struct git_repo *r, const char *prefix, struct err *reterr);
/* The working folder (or bare repository) around `start`, with a slash at the end. -WEIR_ENOENT. */
MUST_CHECK int git_find(const char *start, char *out, size_t size, struct err *reterr);

/* "main", "refs/heads/main", "HEAD~1", an id: the commit it leads to. -WEIR_ENOENT. */
MUST_CHECK int git_resolve(struct git_repo *r, const char *rev, char ret_id[GIT_ID_SIZE], struct err *reterr);

/* Every ref below refs/ and the object it names: fn(ctx, "refs/heads/main", id); non-zero stops and is returned. Symbolic refs are left out. */
MUST_CHECK int git_refs_each(struct git_repo *r, int (*fn)(void *ctx, str name, const char *id, struct err *reterr), void *ctx,
                             struct err *reterr);

struct git_commit {
	char   id[GIT_ID_SIZE], tree[GIT_ID_SIZE];
	str    subject, message, author_name, author_email, committer_email;
	usec_t authored, committed;
	int    authored_offset_min; /* zone of the author */
	size_t n_parents;
	char (*parents)[GIT_ID_SIZE];
};
MUST_CHECK int git_commit_read(struct git_repo *r, const char *id, struct arena *a, struct git_commit *ret, struct err *reterr);
/* Commits reachable from new_id and not from old_id (zero: from any ref of the repository), newest first, at most max; *ret_more. */
MUST_CHECK int git_log_range(struct git_repo *r, const char *old_id, const char *new_id, size_t max, struct arena *a,
                             struct git_commit **ret, size_t *ret_n, bool *ret_more, struct err *reterr);

/* Content of `path` at a commit (or tree). -WEIR_ENOENT when there is none; -WEIR_ELIMIT past out->max. */
MUST_CHECK int git_read_path(struct git_repo *r, const char *commit, const char *path, struct buf *out, struct err *reterr);
MUST_CHECK int git_read_blob(struct git_repo *r, const char *blob, struct buf *out, struct err *reterr);
/* Files under `dir` ("" for all) at a commit, in tree order: fn(ctx, path, mode, blob id); non-zero stops and is returned. */
typedef int (*git_tree_fn)(void *ctx, str path, unsigned mode, const char *id, struct err *reterr);
MUST_CHECK int git_tree_each(struct git_repo *r, const char *commit, const char *dir, git_tree_fn fn, void *ctx, struct err *reterr);

struct git_delta {
	char status; /* 'A' 'D' 'M' 'R' 'T' as git diff --name-status prints */
	str  path, old_path;
	char blob[GIT_ID_SIZE], old_blob[GIT_ID_SIZE]; /* zero when absent */
	unsigned mode;
};
/* Differences between two commits (old zero: the empty tree). */
MUST_CHECK int git_diff_each(struct git_repo *r, const char *old_commit, const char *new_commit,
                             int (*fn)(void *ctx, const struct git_delta *d, struct err *reterr), void *ctx, struct err *reterr);

/* Blobs that come with the commits reachable from new_id and not from old_id or any ref: each distinct blob once, with the first path it is found
 * at and the commit that brought it. -WEIR_EIO "incomplete" when an object is missing: never a short answer. */
struct git_new_blob {
	char id[GIT_ID_SIZE], commit[GIT_ID_SIZE];
	str  path;
	unsigned mode;
	size_t size;
};
MUST_CHECK int git_new_blobs(struct git_repo *r, const char *old_id, const char *new_id,
                             int (*fn)(void *ctx, const struct git_new_blob *b, struct err *reterr), void *ctx, struct err *reterr);
/* The bytes of a blob reported above without a copy, until git_blob_release(*ret_hold). -WEIR_ELIMIT when it is over max. */
MUST_CHECK int git_blob_hold(struct git_repo *r, const struct git_new_blob *b, size_t max, str *ret, void **ret_hold, struct err *reterr);
void git_blob_release(void *hold);
/* Every blob of all refs' history, each once (for scans of a whole history). */
MUST_CHECK int git_all_blobs(struct git_repo *r, int (*fn)(void *ctx, const struct git_new_blob *b, struct err *reterr), void *ctx,
                             struct err *reterr);
/* Is `ancestor` reachable from `commit`? */
MUST_CHECK int git_is_ancestor(struct git_repo *r, const char *ancestor, const char *commit, bool *ret, struct err *reterr);

#endif
