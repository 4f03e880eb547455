/* fs.c - files and folders (see fs.h). Thread-safe. */
#include "base/base.h"
#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FS_READ_BYTES = 64 << 10, FS_TREE_DEPTH_MAX = 256 };

int fs_read_fd(int fd, const char *name, struct buf *out, struct err *reterr)
{
	for (;;) {
		size_t  room = out->max - out->len;
		size_t  want = room < FS_READ_BYTES ? room : FS_READ_BYTES;
		char    extra;
		ssize_t n;

		if (!want) {
			n = read(fd, &extra, 1);
			if (n == 0)
				return 0;
			if (n > 0)
				return err_set(reterr, WEIR_ELIMIT, "%s: larger than %zu bytes", name, out->max);
		} else {
			char *to = buf_reserve(out, want);

			if (!to)
				return err_set(reterr, WEIR_ENOMEM, "%s: out of memory", name);
			n = read(fd, to, want);
			if (n == 0) {
				out->ptr[out->len] = 0;
				return 0;
			}
			if (n > 0) {
				out->len += (size_t)n;
				out->ptr[out->len] = 0;
			}
		}
		if (n < 0 && errno != EINTR)
			return err_errno(reterr, errno, "%s: cannot read", name);
	}
}

int fs_read(const char *path, struct buf *out, struct err *reterr)
{
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_errno(reterr, errno, "%s: cannot open", path);
	return fs_read_fd(fd, path, out, reterr);
}

int fs_write_fd(int fd, const char *name, str data, struct err *reterr)
{
	while (data.len) {
		ssize_t n = write(fd, data.ptr, data.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(reterr, errno, "%s: cannot write", name);
		data = str_sub(data, (size_t)n, data.len);
	}
	return 0;
}

static int fs_sync_parent(const char *path, struct err *reterr)
{
	char        dir[PATH_MAX];
	const char *slash = strrchr(path, '/');

	snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path) + (slash == path) : 1, slash ? path : ".");
	CLEANUP_FD int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd))
		return err_errno(reterr, errno, "%s: cannot sync", dir);
	return 0;
}

static int fs_replace(const char *path, str data, mode_t mode, bool sync, struct err *reterr)
{
	char tmp[PATH_MAX];
	int  r;

	if (snprintf(tmp, sizeof(tmp), "%s.XXXXXX", path) >= (int)sizeof(tmp))
		return err_set(reterr, WEIR_ELIMIT, "%s: path too long", path);
	CLEANUP_FD int fd = mkostemp(tmp, O_CLOEXEC);

	if (fd < 0)
		return err_errno(reterr, errno, "%s: cannot create", tmp);
	r = fs_write_fd(fd, path, data, reterr);
	if (!r && (fchmod(fd, mode) || (sync && fsync(fd))))
		r = err_errno(reterr, errno, "%s: cannot sync", tmp);
	if (!r && rename(tmp, path))
		r = err_errno(reterr, errno, "%s: cannot replace", path);
	if (r) {
		unlink(tmp);
		return r;
	}
	return sync ? fs_sync_parent(path, reterr) : 0;
}

int fs_write_atomic(const char *path, str data, mode_t mode, struct err *reterr)
{
	return fs_replace(path, data, mode, true, reterr);
}

int fs_write_quick(const char *path, str data, mode_t mode, struct err *reterr)
{
	return fs_replace(path, data, mode, false, reterr);
}

int fs_mkdirs(const char *path, mode_t mode, struct err *reterr)
{
	char tmp[PATH_MAX];

	if (snprintf(tmp, sizeof(tmp), "%s", path) >= (int)sizeof(tmp))
		return err_set(reterr, WEIR_ELIMIT, "%s: path too long", path);
	for (char *p = tmp + 1; *p; p++)
		if (*p == '/') {
			*p = 0;
			if (mkdir(tmp, mode) && errno != EEXIST)
				return err_errno(reterr, errno, "%s: cannot create folder", tmp);
			*p = '/';
		}
	if (mkdir(tmp, mode) && errno != EEXIST)
		return err_errno(reterr, errno, "%s: cannot create folder", tmp);
	if (!fs_is_dir(tmp))
		return err_set(reterr, WEIR_EEXIST, "%s: is there already and is not a folder", tmp);
	return 0;
}

static int fs_remove_at(int dirfd, const char *name, int depth, struct err *reterr)
{
	int            r = 0;
	struct dirent *d;
	DIR           *dir;

	if (!unlinkat(dirfd, name, 0) || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return err_errno(reterr, errno, "%s: cannot remove", name);
	if (depth > FS_TREE_DEPTH_MAX)
		return err_set(reterr, WEIR_ELIMIT, "%s: more than %d folders deep", name, FS_TREE_DEPTH_MAX);
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	/* a folder of ours that we may not look into: somebody took the right away */
	if (fd < 0 && errno == EACCES && !fchmodat(dirfd, name, 0700, 0))
		fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_errno(reterr, errno, "%s: cannot open folder", name);
	fchmod(fd, 0700); /* a read-only copy is removed too; failure shows at the next step */
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return err_set(reterr, WEIR_ENOMEM, "%s: cannot list", name);
	}
	while (!r && (d = readdir(dir)))
		if (strcmp(d->d_name, ".") && strcmp(d->d_name, ".."))
			r = fs_remove_at(fd, d->d_name, depth + 1, reterr);
	closedir(dir);
	if (!r && unlinkat(dirfd, name, AT_REMOVEDIR) && errno != ENOENT)
		r = err_errno(reterr, errno, "%s: cannot remove folder", name);
	return r;
}

int fs_remove_tree(const char *path, struct err *reterr) { return fs_remove_at(AT_FDCWD, path, 0, reterr); }

bool fs_exists(const char *path)
{
	struct stat st;

	return !lstat(path, &st);
}

bool fs_is_dir(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISDIR(st.st_mode);
}

int fs_join(char *out, size_t size, struct err *reterr, const char *a, const char *b)
{
	if (snprintf(out, size, "%s/%s", a, b) >= (int)size)
		return err_set(reterr, WEIR_ELIMIT, "path too long: %s/%s", a, b);
	return 0;
}

int fs_self_exe(char *out, size_t size, struct err *reterr)
{
	ssize_t n = readlink("/proc/self/exe", out, size);

	if (n < 0 || (size_t)n >= size)
		return err_errno(reterr, n < 0 ? errno : ENAMETOOLONG, "cannot find the path of the running program");
	out[n] = 0;
	return 0;
}

int fs_temp_dir(const char *prefix, char *out, size_t size, struct err *reterr)
{
	const char *tmp = getenv("TMPDIR");

	if (snprintf(out, size, "%s/%sXXXXXX", tmp && *tmp ? tmp : "/tmp", prefix) >= (int)size)
		return err_set(reterr, WEIR_ELIMIT, "path of temporary folder too long");
	if (!mkdtemp(out))
		return err_errno(reterr, errno, "%s: cannot create temporary folder", out);
	return 0;
}

void fs_spread(const char *dir)
{
	CLEANUP_FD int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	long           flags = 0; /* the kernel takes an int of it, whatever the call's number says */

	if (fd < 0 || ioctl(fd, FS_IOC_GETFLAGS, &flags) || (flags & FS_TOPDIR_FL))
		return;
	flags |= FS_TOPDIR_FL;
	(void)ioctl(fd, FS_IOC_SETFLAGS, &flags); /* a file system without it goes on as ever */
}
