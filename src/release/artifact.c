/* artifact.c - storing and unpacking versions (artifact.h). Every name inside an archive is distrusted: entries are made relative to an open folder, one
 * component at a time, never through a symbolic link. Any thread; the folders are the only state. */
#include "base/base.h"

#include "base/fs.h"
#include "base/hash.h"
#include "base/limits.h"
#include "release/artifact.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- storing --- */

struct artifact_put {
	char         data_dir[PATH_MAX / 2], tmp[PATH_MAX];
	int          fd;
	int64_t      bytes;
	sha256_state hash;
};

static int make_dir(const char *data_dir, const char *part, char out[PATH_MAX], struct err *reterr)
{
	int rc = fs_join(out, PATH_MAX, reterr, data_dir, part);

	return rc ? rc : fs_mkdirs(out, 0700, reterr);
}

/* Temporary names begin with '.': whatever a crash left goes. */
static int sweep(const char *dir, struct err *reterr)
{
	DIR           *d = opendir(dir);
	struct dirent *e;
	int            rc = 0;

	if (!d)
		return err_errno(reterr, errno, "%s", dir);
	while (!rc && (e = readdir(d))) {
		char path[PATH_MAX];

		if (e->d_name[0] == '.' && strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && !(rc = fs_join(path, sizeof(path), reterr, dir, e->d_name)))
			rc = fs_remove_tree(path, reterr);
	}
	closedir(d);
	return rc;
}

int artifact_open(const char *data_dir, struct err *reterr)
{
	char path[PATH_MAX];
	int  rc;

	if ((rc = make_dir(data_dir, "artifacts/sha256", path, reterr)) || (rc = make_dir(data_dir, "artifacts/new", path, reterr)) || (rc = sweep(path, reterr))
	    || (rc = make_dir(data_dir, "versions", path, reterr)))
		return rc;
	return sweep(path, reterr);
}

int artifact_put_begin(const char *data_dir, struct artifact_put **ret, struct err *reterr)
{
	struct artifact_put *p = calloc(1, sizeof(*p));
	char                 name[16 + ID_SIZE] = "artifacts/new/.", id[ID_SIZE];
	int                  rc;

	if (!p)
		return err_set(reterr, WEIR_ENOMEM, "upload");
	snprintf(p->data_dir, sizeof(p->data_dir), "%s", data_dir);
	snprintf(name, sizeof(name), "artifacts/new/.%s", id_new(id));
	crypto_hash_sha256_init(&p->hash);
	p->fd = -1;
	if (!(rc = fs_join(p->tmp, sizeof(p->tmp), reterr, data_dir, name))) {
		p->fd = open(p->tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (p->fd < 0)
			rc = err_errno(reterr, errno, "%s", p->tmp);
	}
	if (rc) {
		free(p);
		return rc;
	}
	*ret = p;
	return 0;
}

int artifact_put_add(struct artifact_put *p, str piece, struct err *reterr)
{
	if (p->bytes + (int64_t)piece.len > LIMIT_ARTIFACT_BYTES)
		return err_set(reterr, WEIR_ELIMIT, "a stored version may have at most %lld bytes", (long long)LIMIT_ARTIFACT_BYTES);
	p->bytes += (int64_t)piece.len;
	crypto_hash_sha256_update(&p->hash, (const unsigned char *)piece.ptr, piece.len);
	return fs_write_fd(p->fd, p->tmp, piece, reterr);
}

static int path_of(const char *data_dir, const char *digest, char out[PATH_MAX], struct err *reterr)
{
	int n = snprintf(out, PATH_MAX, "%s/artifacts/sha256/%.2s/%s.tar.zst", data_dir, digest, digest);

	return n < PATH_MAX ? 0 : err_set(reterr, WEIR_ELIMIT, "path too long");
}

int artifact_put_end(struct artifact_put *p, char ret_digest[ARTIFACT_DIGEST_SIZE], int64_t *ret_bytes, struct err *reterr)
{
	unsigned char sum[SHA256_BYTES];
	char          dir[PATH_MAX], path[PATH_MAX], part[32];
	int CLEANUP_FD dir_fd = -1;
	int           rc;

	if (p->bytes == 0)
		return err_set(reterr, WEIR_EINVAL, "the upload is empty");
	crypto_hash_sha256_final(&p->hash, sum);
	hex_of(sum, sizeof(sum), ret_digest);
	*ret_bytes = p->bytes;
	snprintf(part, sizeof(part), "artifacts/sha256/%.2s", ret_digest);
	if ((rc = make_dir(p->data_dir, part, dir, reterr)) || (rc = path_of(p->data_dir, ret_digest, path, reterr)))
		return rc;
	if (fsync(p->fd))
		return err_errno(reterr, errno, "%s", p->tmp);
	if (rename(p->tmp, path))
		return err_errno(reterr, errno, "%s", path);
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0 || fsync(dir_fd))
		return err_errno(reterr, errno, "%s", dir);
	return 0;
}

struct artifact_put *artifact_put_free(struct artifact_put *p)
{
	if (!p)
		return NULL;
	close(p->fd);
	unlink(p->tmp); /* renamed away when it was stored */
	free(p);
	return NULL;
}

int64_t artifact_bytes(const char *data_dir, const char *digest)
{
	char        path[PATH_MAX];
	struct stat st;

	return path_of(data_dir, digest, path, NULL) == 0 && stat(path, &st) == 0 ? st.st_size : 0;
}

bool artifact_digest_valid(str digest)
{
	if (digest.len != ARTIFACT_DIGEST_SIZE - 1)
		return false;
	for (size_t i = 0; i < digest.len; i++)
		if (!((digest.ptr[i] >= '0' && digest.ptr[i] <= '9') || (digest.ptr[i] >= 'a' && digest.ptr[i] <= 'f')))
			return false;
	return true;
}

/* --- unpacking --- */

static int refuse(const char *name, const char *why, struct err *reterr)
{
	return err_set(reterr, WEIR_EREFUSED, "the version's archive is refused: '%.200s' %s", name, why);
}

/* Depth of the folder a link target reaches, seen from `depth` folders below the root; negative: it leaves. */
static int link_depth(str target, int depth)
{
	str part;

	while (target.len) {
		str_cut(target, '/', &part, &target);
		if (str_eqz(part, ".."))
			depth--;
		else if (part.len && !str_eqz(part, "."))
			depth++;
		if (depth < 0)
			return depth;
	}
	return depth;
}

/* Opens the folder that holds the entry's last component, making folders on the way; *ret_last is that component. */
static int open_parent(int root, const char *name, int *ret_fd, char last[NAME_MAX + 1], int *ret_depth, struct err *reterr)
{
	str rest = str_z(name), part;
	int CLEANUP_FD at = dup(root);

	last[0] = 0;
	*ret_depth = 0;
	if (rest.len && rest.ptr[0] == '/')
		return refuse(name, "has an absolute name", reterr);
	while (rest.len) {
		str_cut(rest, '/', &part, &rest);
		if (part.len == 0 || str_eqz(part, "."))
			continue;
		if (str_eqz(part, ".."))
			return refuse(name, "climbs out of its folder", reterr);
		if (part.len > NAME_MAX)
			return refuse(name, "has too long a name", reterr);
		if (last[0]) {
			int next;

			if (mkdirat(at, last, 0755) && errno != EEXIST)
				return err_errno(reterr, errno, "%s", name);
			next = openat(at, last, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			if (next < 0)
				return refuse(name, "lies below something that is no folder", reterr);
			close(at);
			at = next;
			(*ret_depth)++;
		}
		snprintf(last, NAME_MAX + 1, "%.*s", STR_ARG(part));
	}
	*ret_fd = TAKE_FD(at);
	return 0;
}

struct unpack {
	struct archive *archive;
	int             root;
	int64_t         bytes, files;
};

static int write_file(struct unpack *u, struct archive_entry *e, int dir, const char *last, struct err *reterr)
{
	mode_t         mode = archive_entry_perm(e) & 0111 ? 0555 : 0444;
	int CLEANUP_FD fd = openat(dir, last, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	const char    *name = archive_entry_pathname(e);

	if (fd < 0)
		return errno == EEXIST ? refuse(name, "is in it twice", reterr) : err_errno(reterr, errno, "%s", name);
	for (;;) {
		const void *p;
		size_t      n;
		int64_t     offset, end = lseek(fd, 0, SEEK_CUR);
		int         rc = archive_read_data_block(u->archive, &p, &n, &offset);

		if (rc == ARCHIVE_EOF)
			break;
		if (rc != ARCHIVE_OK)
			return err_set(reterr, WEIR_EPARSE, "the version's archive is damaged at '%.200s': %s", name, archive_error_string(u->archive));
		u->bytes += (int64_t)n;
		if (u->bytes > LIMIT_VERSION_BYTES || offset > LIMIT_VERSION_BYTES)
			return err_set(reterr, WEIR_ELIMIT, "a version may have at most %lld bytes unpacked", (long long)LIMIT_VERSION_BYTES);
		if (offset != end && lseek(fd, offset, SEEK_SET) < 0)
			return err_errno(reterr, errno, "%s", name);
		if ((rc = fs_write_fd(fd, name, str_n(p, n), reterr)))
			return rc;
	}
	return fchmod(fd, mode) ? err_errno(reterr, errno, "%s", name) : 0;
}

static int unpack_entry(struct unpack *u, struct archive_entry *e, struct err *reterr)
{
	const char    *name = archive_entry_pathname(e), *target;
	char           last[NAME_MAX + 1];
	int CLEANUP_FD dir = -1;
	int            depth, rc;

	if (++u->files > LIMIT_VERSION_FILES)
		return err_set(reterr, WEIR_ELIMIT, "a version may have at most %d files", LIMIT_VERSION_FILES);
	if (!name)
		return refuse("(a name that is not UTF-8)", "cannot be used", reterr);
	if (archive_entry_hardlink(e))
		return refuse(name, "is a hard link", reterr);
	if ((rc = open_parent(u->root, name, &dir, last, &depth, reterr)))
		return rc;
	switch (archive_entry_filetype(e)) {
	case AE_IFDIR:
		if (last[0] && mkdirat(dir, last, 0755) && errno != EEXIST)
			return err_errno(reterr, errno, "%s", name);
		return 0;
	case AE_IFREG:
		return last[0] ? write_file(u, e, dir, last, reterr) : refuse(name, "has no name", reterr);
	case AE_IFLNK:
		target = archive_entry_symlink(e);
		if (!target || !last[0] || target[0] == '/' || link_depth(str_z(target), depth) < 0)
			return refuse(name, "is a link that leaves the folder", reterr);
		return symlinkat(target, dir, last) ? err_errno(reterr, errno, "%s", name) : 0;
	default: return refuse(name, "is neither file, folder nor link", reterr);
	}
}

static int unpack_into(const char *file, const char *dir, struct err *reterr)
{
	struct archive       *a = archive_read_new();
	struct archive_entry *e;
	struct unpack         u = { .archive = a, .root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) };
	int                   rc = 0, got;

	if (!a || u.root < 0) {
		archive_read_free(a);
		return err_errno(reterr, errno, "%s", dir);
	}
	archive_read_support_filter_zstd(a);
	archive_read_support_format_tar(a);
	if (archive_read_open_filename(a, file, 1 << 16) != ARCHIVE_OK)
		rc = err_set(reterr, WEIR_EPARSE, "the version is no tar.zst: %s", archive_error_string(a));
	while (!rc && (got = archive_read_next_header(a, &e)) != ARCHIVE_EOF)
		rc = got == ARCHIVE_OK || got == ARCHIVE_WARN ? unpack_entry(&u, e, reterr)
		                                              : err_set(reterr, WEIR_EPARSE, "the version is no tar.zst: %s", archive_error_string(a));
	if (!rc && syncfs(u.root)) /* before the rename that makes it count */
		rc = err_errno(reterr, errno, "%s", dir);
	close(u.root);
	archive_read_free(a);
	return rc;
}

int artifact_unpack(const char *data_dir, const char *digest, char *ret_dir, size_t size, struct err *reterr)
{
	char file[PATH_MAX], tmp[PATH_MAX], id[ID_SIZE];
	int  rc;

	if (!artifact_digest_valid(str_z(digest)))
		return err_set(reterr, WEIR_EINVAL, "digest must be 64 hex digits in lower case");
	if ((rc = path_of(data_dir, digest, file, reterr)))
		return rc;
	if (snprintf(ret_dir, size, "%s/versions/%s", data_dir, digest) >= (int)size
	    || snprintf(tmp, sizeof(tmp), "%s/versions/.%s-%s", data_dir, digest, id_new(id)) >= (int)sizeof(tmp))
		return err_set(reterr, WEIR_ELIMIT, "path of the version is too long");
	if (fs_is_dir(ret_dir))
		return 0;
	if (!fs_exists(file))
		return err_set(reterr, WEIR_ENOENT, "no version %s is stored: upload it first", digest);
	if ((rc = fs_mkdirs(tmp, 0755, reterr)))
		return rc;
	if (!(rc = unpack_into(file, tmp, reterr)) && rename(tmp, ret_dir) && errno != EEXIST && errno != ENOTEMPTY)
		rc = err_errno(reterr, errno, "%s", ret_dir);
	if (fs_exists(tmp)) /* refused, failed, or another thread was first */
		(void)!fs_remove_tree(tmp, NULL);
	return rc;
}
