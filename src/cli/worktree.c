/* worktree.c - lists and reads files that are not committed yet (see worktree.h).
 *
 * The stock git program says which files (it knows ignore rules and the index); contents come from disk without following
 * symbolic links, or from the index. Main thread of the command line. */
#include "base/base.h"
#include "cli/worktree.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LIST_BYTES_MAX = 256 << 20 };

struct portion {
	const char      *top;
	struct git_repo *repo;
	worktree_fn      fn;
	void            *ctx;
	struct arena     arena; /* paths and contents of the present portion */
	VEC(struct change_file) files;
	size_t bytes;
	bool   cut; /* a portion was handed out already */
};

static int flush(struct portion *p, bool last, struct err *reterr)
{
	int rc = p->files.n ? p->fn(p->ctx, p->files.v, p->files.n, last && !p->cut, reterr) : 0;

	p->cut = true;
	p->files.n = 0;
	p->bytes = 0;
	arena_fini(&p->arena);
	return rc;
}

static int add(struct portion *p, str path, str content, struct err *reterr)
{
	struct change_file f = { .path = arena_str(&p->arena, path), .content = arena_str(&p->arena, content) };
	int                rc = arena_check(&p->arena, "files", reterr);

	if (rc)
		return rc;
	if (!VEC_PUSH(&p->files, f))
		return err_set(reterr, WEIR_ENOMEM, "no memory for files");
	p->bytes += content.len + path.len;
	return p->bytes >= WORKTREE_PORTION ? flush(p, false, reterr) : 0;
}

static int read_link(const char *full, struct buf *out, struct err *reterr)
{
	char    target[LIMIT_PATH_BYTES];
	ssize_t n = readlink(full, target, sizeof target);

	if (n < 0)
		return err_errno(reterr, errno, "cannot read the link %s", full);
	buf_add(out, target, (size_t)n);
	return 0;
}

/* Reads one more byte than is scanned, at most: what is too large is seen to be so, and no file fills the memory. */
static int read_file(const char *full, struct buf *out, struct err *reterr)
{
	CLEANUP_FD int fd = open(full, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	ssize_t        n = 1;

	if (fd < 0)
		return err_errno(reterr, errno, "cannot read %s", full);
	while (n > 0 && out->len < LIMIT_SCAN_BLOB_BYTES + 1) {
		size_t room = LIMIT_SCAN_BLOB_BYTES + 1 - out->len;
		char  *to = buf_reserve(out, room < 65536 ? room : 65536);

		if (!to)
			return buf_check(out, full, reterr);
		n = read(fd, to, room < 65536 ? room : 65536);
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n < 0)
			return err_errno(reterr, errno, "cannot read %s", full);
		else
			out->len += (size_t)n;
	}
	return 0;
}

static int add_from_disk(struct portion *p, str path, struct err *reterr)
{
	CLEANUP_BUF struct buf content = BUF_INIT(LIMIT_SCAN_BLOB_BYTES + 65536 + 1);
	char                   full[2 * LIMIT_PATH_BYTES];
	struct stat            st;
	int                    rc = 0;

	if (snprintf(full, sizeof full, "%s/%.*s", p->top, STR_ARG(path)) >= (int)sizeof full)
		return err_set(reterr, WEIR_ELIMIT, "path too long: %.*s", STR_ARG(path));
	if (lstat(full, &st))
		return errno == ENOENT || errno == ENOTDIR ? 0 : err_errno(reterr, errno, "cannot look at %s", full); /* deleted: nothing to see */
	if (S_ISLNK(st.st_mode))
		rc = read_link(full, &content, reterr);
	else if (S_ISREG(st.st_mode))
		rc = read_file(full, &content, reterr);
	else
		return 0; /* a submodule's folder, a socket */
	return rc ? rc : add(p, path, buf_str(&content), reterr);
}

/* One record of `git diff --raw -z`: ":100644 100644 OLDID NEWID M", then the path. */
static int add_from_index(struct portion *p, str meta, str path, struct err *reterr)
{
	CLEANUP_BUF struct buf content = BUF_INIT(LIMIT_OBJECT_BYTES);
	str                    mode, id, rest;
	char                   hex[GIT_ID_SIZE];
	int                    rc;

	str_cut(meta, ' ', NULL, &rest);
	str_cut(rest, ' ', &mode, &rest);
	str_cut(rest, ' ', NULL, &rest);
	str_cut(rest, ' ', &id, &rest);
	if (id.len != GIT_ID_SIZE - 1)
		return err_set(reterr, WEIR_EPARSE, "git diff --raw answered something unknown: '%.*s'", STR_ARG(meta));
	if (str_eqz(mode, "000000") || str_eqz(mode, "160000"))
		return 0; /* deleted, or a submodule */
	snprintf(hex, sizeof hex, "%.*s", STR_ARG(id));
	rc = git_read_blob(p->repo, hex, &content, reterr);
	return rc ? rc : add(p, path, buf_str(&content), reterr);
}

static int take_list(struct portion *p, enum worktree_what what, str list, struct err *reterr)
{
	str path, meta;
	int rc = 0;

	while (!rc && list.len) {
		if (what != WORKTREE_STAGED) {
			str_cut(list, '\0', &path, &list);
			rc = add_from_disk(p, path, reterr);
			continue;
		}
		str_cut(list, '\0', &meta, &list);
		str_cut(list, '\0', &path, &list);
		rc = add_from_index(p, meta, path, reterr);
	}
	return rc;
}

int worktree_each(const char *top, struct git_repo *repo, enum worktree_what what, worktree_fn fn, void *ctx, struct err *reterr)
{
	static const char *const staged[] = { "git", "diff", "--cached", "--raw", "-z", "--no-renames", "--abbrev=40", "--no-ext-diff", "--ignore-submodules", NULL };
	static const char *const changed[] = { "git", "ls-files", "-m", "-o", "--exclude-standard", "-z", NULL };
	static const char *const all[] = { "git", "ls-files", "-c", "-o", "--exclude-standard", "--deduplicate", "-z", NULL };
	CLEANUP_BUF struct buf   list = BUF_INIT(LIST_BYTES_MAX);
	struct portion           p = { .top = top, .repo = repo, .fn = fn, .ctx = ctx, .arena = ARENA_INIT(2U * WORKTREE_PORTION) };
	struct proc_run          run = { .argv = what == WORKTREE_STAGED ? staged : what == WORKTREE_CHANGED ? changed : all, .cwd = top, .out = &list };
	int                      rc = proc_run(&run, NULL, reterr);

	if (!rc)
		rc = take_list(&p, what, buf_str(&list), reterr);
	if (!rc)
		rc = flush(&p, true, reterr);
	VEC_FINI(&p.files);
	arena_fini(&p.arena);
	return rc;
}
