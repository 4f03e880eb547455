/* keep.c - what is kept of old versions and of ended instances' logs, and the thread that removes the rest once an hour.
 *
 * A version stays while anything could want it: a release that is not over, one that serves, one that an instance belongs to, the one that a rollback
 * goes back to, the newest `keep_versions` of each service and environment, and whatever was uploaded or unpacked within a day. What goes is renamed away under
 * the room's lock, so that a new release finds it whole or not at all, and removed without it; after a crash artifact_open() removes the rest.
 * Logs of ended instances go by age, and the oldest ones when all together are too large. Own thread; release_tidy() from any. */
#include "base/base.h"

#include "base/fs.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/map.h"
#include "release/room.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FRESH_S = 86400, LOG_FRESH_S = 3600, TIDY_EVERY_S = 3600, TIDY_FIRST_S = 60 };

/* Calls fn with each entry of a folder that does not begin with '.'; a folder that is not there has none. */
static int each_entry(const char *dir, int (*fn)(void *arg, const char *dir, const char *name, struct err *reterr), void *arg, struct err *reterr)
{
	DIR           *d = opendir(dir);
	struct dirent *e;
	int            rc = 0;

	if (!d)
		return errno == ENOENT ? 0 : err_errno(reterr, errno, "%s", dir);
	while (!rc && (e = readdir(d)))
		if (e->d_name[0] != '.')
			rc = fn(arg, dir, e->d_name, reterr);
	closedir(d);
	return rc;
}

struct tidy {
	struct release_room    *room;
	struct map              keep;   /* digests */
	struct map              seen;   /* digests found on disk */
	struct release_tidied  *done;
	usec_t                  now;
	char                    trash[64][80]; /* names renamed away: "artifacts/new/.X", "versions/.X" */
	size_t                  n_trash;
};

static int add_to(struct map *m, str key, struct err *reterr)
{
	static char something;

	return map_put(m, key, &something, NULL) ? 0 : err_set(reterr, WEIR_ENOMEM, "housekeeping");
}

static int keep_digest(void *arg, str digest, struct err *reterr)
{
	return add_to(&((struct tidy *)arg)->keep, digest, reterr);
}

/* --- versions --- */

static int take_version(void *arg, const char *dir UNUSED, const char *name, struct err *reterr)
{
	struct tidy *t = arg;
	str          digest = str_sub(str_z(name), 0, ARTIFACT_DIGEST_SIZE - 1);

	return artifact_digest_valid(digest) ? add_to(&t->seen, digest, reterr) : 0;
}

static int take_prefix(void *arg, const char *dir, const char *name, struct err *reterr)
{
	char path[PATH_MAX];
	int  rc = fs_join(path, sizeof(path), reterr, dir, name);

	return rc ? rc : each_entry(path, take_version, arg, reterr);
}

static int find_versions(struct tidy *t, struct err *reterr)
{
	char path[PATH_MAX];
	int  rc;

	snprintf(path, sizeof(path), "%s/artifacts/sha256", t->room->data_dir);
	if ((rc = each_entry(path, take_prefix, t, reterr)))
		return rc;
	snprintf(path, sizeof(path), "%s/versions", t->room->data_dir);
	return each_entry(path, take_version, t, reterr);
}

static bool is_fresh(const char *path, usec_t now, int64_t seconds)
{
	struct stat st;

	return stat(path, &st) == 0 && now / USEC_PER_SEC - st.st_mtim.tv_sec < seconds;
}

/* Renames one away, to a name that artifact_open() would remove too; false when there is no such thing. */
static bool put_aside(struct tidy *t, const char *from, const char *to_dir)
{
	char id[ID_SIZE], to[PATH_MAX];

	snprintf(t->trash[t->n_trash], sizeof(t->trash[0]), "%s/.%s", to_dir, id_new(id));
	snprintf(to, sizeof(to), "%s/%s", t->room->data_dir, t->trash[t->n_trash]);
	if (rename(from, to))
		return false;
	t->n_trash++;
	return true;
}

static void drop_version(struct tidy *t, str digest)
{
	char    tar[PATH_MAX], dir[PATH_MAX];
	int64_t bytes;
	bool    gone;

	snprintf(tar, sizeof(tar), "%s/artifacts/sha256/%.2s/%.*s.tar.zst", t->room->data_dir, digest.ptr, STR_ARG(digest));
	snprintf(dir, sizeof(dir), "%s/versions/%.*s", t->room->data_dir, STR_ARG(digest));
	if (is_fresh(tar, t->now, FRESH_S) || is_fresh(dir, t->now, FRESH_S))
		return;
	bytes = fs_exists(tar) ? artifact_bytes(t->room->data_dir, digest.ptr /* ends with NUL */) : 0;
	gone = put_aside(t, tar, "artifacts/new");
	gone = put_aside(t, dir, "versions") || gone; /* the archive first: a folder without one is found by the next look */
	if (!gone)
		return;
	t->done->versions++;
	t->done->version_bytes += bytes;
	log_info("release", "version %.*s is removed: no release could want it any more", STR_ARG(digest));
}

/* Decides and renames under the lock, a few at a time, so that nothing waits long. */
static int drop_versions(struct tidy *t, struct err *reterr)
{
	struct map_entry *e = NULL;
	int               rc;

	if ((rc = find_versions(t, reterr)))
		return rc;
	do {
		map_fini(&t->keep);
		map_init(&t->keep);
		t->n_trash = 0;
		pthread_mutex_lock(&t->room->lock);
		rc = store_kept(t->room, t->room->cfg.keep_versions, keep_digest, t, reterr);
		while (!rc && t->n_trash + 2 <= ARRAY_SIZE(t->trash) && (e = map_next(&t->seen, e)))
			if (!map_has(&t->keep, str_n(e->key, e->key_len)))
				drop_version(t, str_n(e->key, e->key_len));
		pthread_mutex_unlock(&t->room->lock);
		for (size_t i = 0; i < t->n_trash; i++) {
			char path[PATH_MAX];

			snprintf(path, sizeof(path), "%s/%s", t->room->data_dir, t->trash[i]);
			if (fs_remove_tree(path, rc ? NULL : reterr) && !rc)
				rc = -WEIR_EIO;
		}
	} while (!rc && e);
	return rc;
}

/* --- logs --- */

struct log_dir {
	char    name[WORKLOAD_NAME_SIZE];
	usec_t  newest;
	int64_t bytes;
};
struct logs {
	struct tidy *t;
	VEC(struct log_dir) v;
};

static int measure_file(void *arg, const char *dir, const char *name, struct err *reterr UNUSED)
{
	struct log_dir *l = arg;
	char            path[PATH_MAX];
	struct stat     st;

	if (fs_join(path, sizeof(path), NULL, dir, name) == 0 && stat(path, &st) == 0) {
		usec_t at = st.st_mtim.tv_sec * USEC_PER_SEC;

		l->bytes += st.st_size;
		l->newest = at > l->newest ? at : l->newest;
	}
	return 0;
}

static int take_log(void *arg, const char *dir, const char *name, struct err *reterr)
{
	struct logs   *l = arg;
	struct log_dir d = { 0 };
	char           path[PATH_MAX];
	int            rc;

	if (strlen(name) >= sizeof(d.name) || !strcmp(name, "haproxy"))
		return 0;
	if ((rc = fs_join(path, sizeof(path), reterr, dir, name)) || !fs_is_dir(path))
		return rc;
	for (size_t i = 0; i < l->t->room->instances.n; i++)
		if (!strcmp(l->t->room->instances.v[i]->name, name))
			return 0;
	snprintf(d.name, sizeof(d.name), "%s", name);
	if ((rc = each_entry(path, measure_file, &d, reterr)))
		return rc;
	return VEC_PUSH(&l->v, d) ? 0 : err_set(reterr, WEIR_ENOMEM, "housekeeping");
}

static int oldest_first(const void *a, const void *b)
{
	const struct log_dir *x = a, *y = b;

	return x->newest < y->newest ? -1 : x->newest > y->newest;
}

static int drop_logs(struct tidy *t, struct err *reterr)
{
	struct logs l = { .t = t, .v = VEC_INIT };
	char        dir[PATH_MAX], path[PATH_MAX];
	int64_t     all = 0;
	usec_t      keep = t->room->cfg.keep_logs_days * 86400 * USEC_PER_SEC;
	int         rc;

	snprintf(dir, sizeof(dir), "%s/logs", t->room->data_dir);
	pthread_mutex_lock(&t->room->lock);
	rc = each_entry(dir, take_log, &l, reterr);
	pthread_mutex_unlock(&t->room->lock);
	if (l.v.n)
		qsort(l.v.v, l.v.n, sizeof(l.v.v[0]), oldest_first);
	for (size_t i = 0; i < l.v.n; i++)
		all += l.v.v[i].bytes;
	for (size_t i = 0; i < l.v.n && !rc; i++) {
		const struct log_dir *d = &l.v.v[i];

		if (t->now - d->newest < LOG_FRESH_S * USEC_PER_SEC || (t->now - d->newest <= keep && all <= t->room->cfg.keep_logs_bytes))
			continue;
		if ((rc = fs_join(path, sizeof(path), reterr, dir, d->name)) || (rc = fs_remove_tree(path, reterr)))
			break;
		all -= d->bytes;
		t->done->logs++;
		t->done->log_bytes += d->bytes;
	}
	VEC_FINI(&l.v);
	return rc;
}

/* --- the whole --- */

int release_tidy(struct release_room *room, struct release_tidied *ret, struct err *reterr)
{
	struct tidy *t = calloc(1, sizeof(*t));
	int          rc;

	memset(ret, 0, sizeof(*ret));
	if (!t)
		return err_set(reterr, WEIR_ENOMEM, "housekeeping");
	t->room = room;
	t->done = ret;
	t->now = clock_wall(room->cfg.clock);
	map_init(&t->keep);
	map_init(&t->seen);
	if (!(rc = drop_versions(t, reterr)))
		rc = drop_logs(t, reterr);
	map_fini(&t->keep);
	map_fini(&t->seen);
	free(t);
	if (ret->versions || ret->logs)
		log_info("release", "housekeeping removed %u versions (%lld MiB stored) and the logs of %u ended instances (%lld MiB)", ret->versions,
		         (long long)(ret->version_bytes >> 20), ret->logs, (long long)(ret->log_bytes >> 20));
	return rc ? err_wrap(reterr, "housekeeping") : 0;
}

void *keep_main(void *arg)
{
	struct release_room *room = arg;
	int64_t              wait_s = TIDY_FIRST_S;

	for (;;) {
		struct release_tidied done;
		struct err            e = { 0 };
		struct timespec       at;
		bool                  stop;

		clock_gettime(CLOCK_REALTIME, &at);
		at.tv_sec += wait_s;
		wait_s = TIDY_EVERY_S;
		pthread_mutex_lock(&room->kick_lock);
		while (!room->stop && pthread_cond_timedwait(&room->tidy, &room->kick_lock, &at) == 0)
			;
		stop = room->stop;
		pthread_mutex_unlock(&room->kick_lock);
		if (stop)
			return NULL;
		if (release_tidy(room, &done, &e))
			log_error("release", "%s (tried again in an hour)", e.msg);
	}
}
