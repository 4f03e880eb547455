/* worktree.h - files of a working repository that are not committed: for `weir check` before there is a commit. */
#ifndef WEIR_CLI_WORKTREE_H
#define WEIR_CLI_WORKTREE_H

#include "base/vec.h"
#include "change/change.h"

enum worktree_what { WORKTREE_STAGED, WORKTREE_CHANGED, WORKTREE_ALL };

/* Calls fn with the files in portions of at most about WORKTREE_PORTION bytes; contents live during the call only. `single`: there is
 * no other portion. STAGED: what the index has and HEAD has not, as the index has it. CHANGED: files that differ from the index, and
 * untracked ones that are not ignored. ALL: every tracked or untracked, not ignored file, from disk. No call when there is none.
 * `top` is the working folder; repo reads its objects. */
enum { WORKTREE_PORTION = 256 << 20 };
typedef int (*worktree_fn)(void *ctx, const struct change_file *files, size_t n, bool single, struct err *reterr);
MUST_CHECK int worktree_each(const char *top, struct git_repo *repo, enum worktree_what what, worktree_fn fn, void *ctx, struct err *reterr);

#endif
