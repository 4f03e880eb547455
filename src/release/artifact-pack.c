/* artifact-pack.c - packing a version (artifact.h): what `weir/release` does in a job. Equal files give equal bytes: sorted names, no times, no owners, two
 * modes, one thread of zstd at a fixed level. Any thread. */
#include "base/base.h"

#include "base/fs.h"
#include "base/limits.h"
#include "base/vec.h"
#include "release/artifact.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH_MAX = 64, PATTERNS_MAX = 1000 };

struct pattern {
	char *text; /* without "./" in front and '/' behind */
	bool  used;
};
struct pack {
	const char *root;
	VEC(struct pattern) patterns;
	VEC(char *) paths; /* relative, wanted */
};

static bool pattern_fits(struct pattern *p, const char *path)
{
	size_t n = strlen(p->text);

	return !strcmp(p->text, ".") || fnmatch(p->text, path, FNM_PATHNAME | FNM_PERIOD) == 0 || (!strncmp(p->text, path, n) && path[n] == '/');
}

/* A path is wanted when it or a folder above it fits a pattern. */
static bool wanted(struct pack *k, const char *path)
{
	bool any = false;

	for (size_t i = 0; i < k->patterns.n; i++) {
		char        head[PATH_MAX];
		const char *slash = path;
		bool        fits = pattern_fits(&k->patterns.v[i], path);

		while (!fits && (slash = strchr(slash, '/'))) {
			snprintf(head, sizeof(head), "%.*s", (int)(slash - path), path);
			fits = pattern_fits(&k->patterns.v[i], head);
			slash++;
		}
		k->patterns.v[i].used = k->patterns.v[i].used || fits;
		any = any || fits;
	}
	return any;
}

static int walk(struct pack *k, const char *rel, unsigned depth, struct err *reterr);

static int take_path(struct pack *k, const char *path, struct err *reterr)
{
	char *copy;

	if (!wanted(k, path))
		return 0;
	if (k->paths.n >= LIMIT_VERSION_FILES)
		return err_set(reterr, WEIR_ELIMIT, "a version may have at most %d files", LIMIT_VERSION_FILES);
	copy = str_dup(str_z(path));
	if (!copy || !VEC_PUSH(&k->paths, copy)) {
		free(copy);
		return err_set(reterr, WEIR_ENOMEM, "file list");
	}
	return 0;
}

static int walk_entry(struct pack *k, int dir, const char *rel, const char *name, unsigned depth, struct err *reterr)
{
	char        path[PATH_MAX];
	struct stat st;

	if (snprintf(path, sizeof(path), "%s%s%s", rel, *rel ? "/" : "", name) >= (int)sizeof(path))
		return err_set(reterr, WEIR_ELIMIT, "'%.200s': path too long", path);
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
		return err_errno(reterr, errno, "%s", path);
	if (S_ISDIR(st.st_mode))
		return walk(k, path, depth + 1, reterr);
	return S_ISREG(st.st_mode) || S_ISLNK(st.st_mode) ? take_path(k, path, reterr) : 0;
}

static int walk(struct pack *k, const char *rel, unsigned depth, struct err *reterr)
{
	char           dir[PATH_MAX];
	DIR           *d;
	struct dirent *e;
	int            rc = *rel ? fs_join(dir, sizeof(dir), reterr, k->root, rel) : 0;

	if (rc)
		return rc;
	if (depth > DEPTH_MAX)
		return err_set(reterr, WEIR_ELIMIT, "'%.200s': folders are nested deeper than %d", rel, DEPTH_MAX);
	if (!(d = opendir(*rel ? dir : k->root)))
		return err_errno(reterr, errno, "%s", *rel ? dir : k->root);
	while (!rc && (e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && (*rel || strcmp(e->d_name, ".git") != 0))
			rc = walk_entry(k, dirfd(d), rel, e->d_name, depth, reterr);
	closedir(d);
	return rc;
}

static int by_name(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;

	return strcmp(*x, *y);
}

static int copy_content(struct archive *out, int fd, const char *path, int64_t size, struct err *reterr)
{
	char    piece[1 << 16];
	ssize_t n;

	while ((n = read(fd, piece, sizeof(piece))) > 0) {
		size -= n;
		if (size < 0 || archive_write_data(out, piece, (size_t)n) != n)
			return size < 0 ? err_set(reterr, WEIR_EIO, "%s grew while it was packed", path)
			                : err_set(reterr, WEIR_EIO, "%s: %s", path, archive_error_string(out));
	}
	if (n < 0)
		return err_errno(reterr, errno, "%s", path);
	return size == 0 ? 0 : err_set(reterr, WEIR_EIO, "%s shrank while it was packed", path);
}

static int pack_one(struct archive *out, const char *root, const char *path, struct err *reterr)
{
	struct archive_entry *e = archive_entry_new();
	char                  full[PATH_MAX], target[PATH_MAX];
	struct stat           st;
	int CLEANUP_FD        fd = -1;
	ssize_t               n;
	int                   rc = fs_join(full, sizeof(full), reterr, root, path);

	if (!rc && lstat(full, &st))
		rc = err_errno(reterr, errno, "%s", full);
	if (!rc && S_ISLNK(st.st_mode)) {
		n = readlink(full, target, sizeof(target) - 1);
		target[n < 0 ? 0 : n] = 0;
		archive_entry_set_symlink(e, target);
		archive_entry_set_filetype(e, AE_IFLNK);
		archive_entry_set_perm(e, 0777);
	} else if (!rc) {
		fd = open(full, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			rc = err_errno(reterr, errno, "%s", full);
		archive_entry_set_filetype(e, AE_IFREG);
		archive_entry_set_size(e, st.st_size);
		archive_entry_set_perm(e, st.st_mode & 0111 ? 0755 : 0644);
	}
	archive_entry_set_pathname(e, path);
	if (!rc && archive_write_header(out, e) != ARCHIVE_OK)
		rc = err_set(reterr, WEIR_EIO, "%s: %s", path, archive_error_string(out));
	if (!rc && fd >= 0)
		rc = copy_content(out, fd, path, st.st_size, reterr);
	archive_entry_free(e);
	return rc;
}

static int read_patterns(struct pack *k, str text, struct err *reterr)
{
	str line;

	while (text.len) {
		struct pattern p = { 0 };

		str_cut(text, '\n', &line, &text);
		line = str_trim(line);
		if (str_eqz(line, "./"))
			line = STR(".");
		while (str_has_prefix(line, STR("./")))
			line = str_sub(line, 2, line.len);
		while (line.len > 1 && line.ptr[line.len - 1] == '/')
			line.len--;
		if (line.len == 0)
			continue;
		if (line.ptr[0] == '/' || str_eqz(line, "..") || str_has_prefix(line, STR("../")) || str_contains(line, STR("/../")))
			return err_set(reterr, WEIR_EINVAL, "files: '%.*s' must be a path inside the workspace", STR_ARG(line));
		p.text = str_dup(line);
		if (k->patterns.n >= PATTERNS_MAX || !p.text || !VEC_PUSH(&k->patterns, p))
			return err_set(reterr, WEIR_ELIMIT, "files: at most %d lines", PATTERNS_MAX);
	}
	return k->patterns.n ? 0 : err_set(reterr, WEIR_EINVAL, "files: name at least one path ('.' for everything)");
}

static int write_archive(struct pack *k, int fd, struct err *reterr)
{
	struct archive *out = archive_write_new();
	int             rc = 0;

	if (!out || archive_write_set_format_pax_restricted(out) != ARCHIVE_OK || archive_write_add_filter_zstd(out) != ARCHIVE_OK
	    || archive_write_set_filter_option(out, "zstd", "compression-level", "3") != ARCHIVE_OK || archive_write_open_fd(out, fd) != ARCHIVE_OK)
		rc = err_set(reterr, WEIR_EIO, "cannot write an archive: %s", out ? archive_error_string(out) : "out of memory");
	for (size_t i = 0; i < k->paths.n && !rc; i++)
		rc = pack_one(out, k->root, k->paths.v[i], reterr);
	if (!rc && archive_write_close(out) != ARCHIVE_OK)
		rc = err_set(reterr, WEIR_EIO, "cannot write the archive: %s", archive_error_string(out));
	archive_write_free(out);
	return rc;
}

int artifact_pack(const char *root, str patterns, int fd, size_t *ret_files, struct err *reterr)
{
	struct pack k = { .root = root };
	int         rc = read_patterns(&k, patterns, reterr);

	if (!rc)
		rc = walk(&k, "", 0, reterr);
	for (size_t i = 0; i < k.patterns.n && !rc; i++)
		if (!k.patterns.v[i].used)
			rc = err_set(reterr, WEIR_ENOENT, "files: nothing in the workspace fits '%s'", k.patterns.v[i].text);
	if (!rc && k.paths.n == 0)
		rc = err_set(reterr, WEIR_ENOENT, "files: the workspace is empty");
	if (!rc) {
		qsort(k.paths.v, k.paths.n, sizeof(char *), by_name);
		rc = write_archive(&k, fd, reterr);
	}
	*ret_files = k.paths.n;
	for (size_t i = 0; i < k.paths.n; i++)
		free(k.paths.v[i]);
	for (size_t i = 0; i < k.patterns.n; i++)
		free(k.patterns.v[i].text);
	VEC_FINI(&k.paths);
	VEC_FINI(&k.patterns);
	return rc;
}
