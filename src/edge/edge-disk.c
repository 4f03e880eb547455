/* edge-disk.c - what an edge keeps: DATA/edge/sets/PROJECT~NAME.copy, beside it NAME.copy.before (the one that it replaced), and small sealed files.
 *
 * Each file is whole or known to be damaged: written aside, synced, renamed; its last line is a digest. A damaged set is ignored by name and its
 * forerunner taken, which is the last good one that there is. Folder and files are for their owner alone. */
#include "base/base.h"

#include "edge/edge-internal.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/map.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#define COPY   ".copy"
#define BEFORE ".before"
enum { SMALL_BYTES_MAX = 16 << 20, SET_PATH_SIZE = PATH_MAX + 2 * LIMIT_NAME_BYTES + 32 };

static int dir_name(struct edge_disk *d, const char *data, struct err *reterr)
{
	char cwd[PATH_MAX], path[PATH_MAX];
	int  rc;

	if (data[0] == '/')
		return fs_join(d->dir, sizeof(d->dir), reterr, data, "edge");
	if (!getcwd(cwd, sizeof(cwd)))
		return err_errno(reterr, errno, "cannot find the working folder");
	rc = fs_join(path, sizeof(path), reterr, cwd, data);
	return rc ? rc : fs_join(d->dir, sizeof(d->dir), reterr, path, "edge");
}

int edge_disk_open(struct edge_disk *d, const char *data, struct err *reterr)
{
	char path[PATH_MAX];
	int  rc;

	d->lock = -1;
	rc = dir_name(d, data, reterr);
	if (!rc)
		rc = fs_join(path, sizeof(path), reterr, d->dir, "sets");
	if (!rc)
		rc = fs_mkdirs(path, 0700, reterr);
	if (!rc)
		rc = fs_join(path, sizeof(path), reterr, d->dir, "lock");
	if (rc)
		return rc;
	d->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (d->lock < 0)
		return err_errno(reterr, errno, "%s: cannot open", path);
	return flock(d->lock, LOCK_EX | LOCK_NB) ? err_set(reterr, WEIR_EBUSY, "another edge works in %s", d->dir) : 0;
}

void edge_disk_close(struct edge_disk *d) { base_cleanup_fd(&d->lock); }

/* --- sets --- */

/* The id's '/' becomes '~', which no name holds. */
static void set_path(const struct edge_disk *d, str id, const char *tail, char out[SET_PATH_SIZE])
{
	str project, name;

	(void)str_cut(id, '/', &project, &name);
	snprintf(out, SET_PATH_SIZE, "%s/sets/%.*s~%.*s" COPY "%s", d->dir, STR_ARG(project), STR_ARG(name), tail);
}

/* stem: "shop~production" */
static int load_file(struct edge_disk *d, struct flag_room *flag, const char *stem, const char *tail, struct err *reterr)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(1 << 30);
	struct buf CLEANUP_BUF     text = BUF_INIT(LIMIT_FLAG_COPY_BYTES);
	struct flag_copy           c;
	char                       path[SET_PATH_SIZE], wanted[SET_PATH_SIZE];
	bool                       news;
	int                        rc;

	snprintf(path, sizeof(path), "%s/sets/%s" COPY "%s", d->dir, stem, tail);
	rc = fs_read(path, &text, reterr);
	if (!rc)
		rc = flag_copy_read(&a, path, buf_str(&text), &c, reterr);
	if (rc)
		return rc;
	set_path(d, c.id, tail, wanted);
	if (strcmp(path, wanted))
		return err_set(reterr, WEIR_EPARSE, "%s holds the set %.*s, which is not its name", path, STR_ARG(c.id));
	return flag_copy_take(flag, &c, &news, reterr);
}

static void load_set(struct edge_disk *d, struct flag_room *flag, const char *stem)
{
	struct err e = { 0 };
	int        rc = load_file(d, flag, stem, "", &e);

	if (!rc)
		return;
	if (rc != -WEIR_ENOENT) {
		atomic_fetch_add(&d->damaged, 1);
		log_error("edge", "%s; it is ignored, and the one before it is taken if there is one", e.msg);
	}
	rc = load_file(d, flag, stem, BEFORE, &e);
	if (!rc)
		log_warn("edge", "%s/sets/%s" COPY BEFORE " is served", d->dir, stem);
	else if (rc != -WEIR_ENOENT)
		log_error("edge", "%s; it is ignored, too", e.msg);
}

static bool stem_of(struct map *stems, const char *file)
{
	str s = str_z(file);

	if (str_has_suffix(s, STR(BEFORE)))
		s.len -= sizeof(BEFORE) - 1;
	if (!str_has_suffix(s, STR(COPY)) || s.ptr[0] == '.')
		return true;
	s.len -= sizeof(COPY) - 1;
	return map_put(stems, s, stems, NULL);
}

int edge_disk_load(struct edge_disk *d, struct flag_room *flag, struct err *reterr)
{
	struct map stems = MAP_INIT;
	char       path[PATH_MAX + 8];
	DIR       *dir;
	bool       ok = true;

	snprintf(path, sizeof(path), "%s/sets", d->dir);
	if (!(dir = opendir(path)))
		return err_errno(reterr, errno, "%s: cannot open", path);
	for (struct dirent *e; ok && (e = readdir(dir));)
		ok = stem_of(&stems, e->d_name);
	closedir(dir);
	for (struct map_entry *e = map_next(&stems, NULL); ok && e; e = map_next(&stems, e))
		load_set(d, flag, e->key);
	map_fini(&stems);
	return ok ? 0 : err_set(reterr, WEIR_ENOMEM, "no memory for the files in %s", path);
}

int edge_disk_save(struct edge_disk *d, str id, str text, struct err *reterr)
{
	char path[SET_PATH_SIZE], before[SET_PATH_SIZE];
	int  rc = 0;

	set_path(d, id, "", path);
	set_path(d, id, BEFORE, before);
	if (rename(path, before) && errno != ENOENT)
		rc = err_errno(reterr, errno, "%s: cannot rename", path);
	if (!rc)
		rc = fs_write_atomic(path, text, 0600, reterr);
	if (rc)
		atomic_fetch_add(&d->failed, 1);
	return rc;
}

int edge_disk_remove(struct edge_disk *d, str id, struct err *reterr)
{
	static const char *const tails[] = { "", BEFORE };
	char                     path[SET_PATH_SIZE];

	for (size_t i = 0; i < ARRAY_SIZE(tails); i++) {
		set_path(d, id, tails[i], path);
		if (unlink(path) && errno != ENOENT)
			return err_errno(reterr, errno, "%s: cannot remove", path);
	}
	return 0;
}

/* --- small files --- */

int edge_disk_read(struct edge_disk *d, const char *name, struct buf *out, struct err *reterr)
{
	struct buf CLEANUP_BUF text = BUF_INIT(SMALL_BYTES_MAX);
	char                   path[PATH_MAX];
	str                    body;
	int                    rc = fs_join(path, sizeof(path), reterr, d->dir, name);

	if (!rc)
		rc = fs_read(path, &text, reterr);
	if (rc)
		return rc;
	if (!flag_copy_unseal(buf_str(&text), &body)) {
		atomic_fetch_add(&d->damaged, 1);
		return err_set(reterr, WEIR_EPARSE, "%s is damaged or cut short: its digest does not fit", path);
	}
	buf_add_str(out, body);
	return buf_check(out, path, reterr);
}

int edge_disk_write(struct edge_disk *d, const char *name, struct buf *text, struct err *reterr)
{
	char path[PATH_MAX];
	int  rc = fs_join(path, sizeof(path), reterr, d->dir, name);

	flag_copy_seal(text);
	if (!rc)
		rc = buf_check(text, path, reterr);
	if (!rc)
		rc = fs_write_atomic(path, buf_str(text), 0600, reterr);
	if (rc)
		atomic_fetch_add(&d->failed, 1);
	return rc;
}
