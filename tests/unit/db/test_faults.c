/* test_faults.c - the disk fails at the n-th write or fsync, for each n until nothing fails any more: what was acknowledged is there after
 * reopening, what was refused by its own function is not, and the handle works again once the disk does. SQLite only: the disk is a thin
 * layer over SQLite's own file access. */
#include "lib/test.h"
#include "base/fs.h"
#include "base/hash.h"
#include "db/db.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

/* --- a disk that fails --- */

static sqlite3_vfs *real;
static atomic_int   countdown; /* operations until the failure; below 0: no failure */
static atomic_int   n_failed;

struct faulty_file {
	sqlite3_file  base;
	sqlite3_file *file; /* of the real one, behind this struct */
};
static bool fails(void)
{
	int left = atomic_load(&countdown);

	if (left < 0)
		return false;
	if (left > 0) {
		atomic_store(&countdown, left - 1);
		return false;
	}
	atomic_fetch_add(&n_failed, 1); /* from here on every one fails: a disk does not heal by itself */
	return true;
}
static sqlite3_file *inner(sqlite3_file *f) { return ((struct faulty_file *)(void *)f)->file; }
#define M(f) inner(f)->pMethods
static int f_close(sqlite3_file *f) { return M(f)->xClose(inner(f)); }
static int f_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at) { return M(f)->xRead(inner(f), p, n, at); }
static int f_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
	if (!fails())
		return M(f)->xWrite(inner(f), p, n, at);
	if (n > 1) /* a part of it reaches the disk */
		(void)M(f)->xWrite(inner(f), p, n / 2, at);
	return SQLITE_FULL;
}
static int f_truncate(sqlite3_file *f, sqlite3_int64 n) { return M(f)->xTruncate(inner(f), n); }
static int f_sync(sqlite3_file *f, int flags) { return fails() ? SQLITE_IOERR_FSYNC : M(f)->xSync(inner(f), flags); }
static int f_size(sqlite3_file *f, sqlite3_int64 *n) { return M(f)->xFileSize(inner(f), n); }
static int f_lock(sqlite3_file *f, int l) { return M(f)->xLock(inner(f), l); }
static int f_unlock(sqlite3_file *f, int l) { return M(f)->xUnlock(inner(f), l); }
static int f_reserved(sqlite3_file *f, int *r) { return M(f)->xCheckReservedLock(inner(f), r); }
static int f_control(sqlite3_file *f, int op, void *p) { return M(f)->xFileControl(inner(f), op, p); }
static int f_sector(sqlite3_file *f) { return M(f)->xSectorSize(inner(f)); }
static int f_device(sqlite3_file *f) { return M(f)->xDeviceCharacteristics(inner(f)); }
static int f_shm_map(sqlite3_file *f, int i, int n, int x, void volatile **p) { return M(f)->xShmMap(inner(f), i, n, x, p); }
static int f_shm_lock(sqlite3_file *f, int o, int n, int l) { return M(f)->xShmLock(inner(f), o, n, l); }
static void f_shm_barrier(sqlite3_file *f) { M(f)->xShmBarrier(inner(f)); }
static int f_shm_unmap(sqlite3_file *f, int d) { return M(f)->xShmUnmap(inner(f), d); }

static const sqlite3_io_methods methods = { 2, f_close, f_read, f_write, f_truncate, f_sync, f_size, f_lock, f_unlock, f_reserved,
	                                        f_control, f_sector, f_device, f_shm_map, f_shm_lock, f_shm_barrier, f_shm_unmap };

static int faulty_open(sqlite3_vfs *v UNUSED, const char *name, sqlite3_file *f, int flags, int *out)
{
	struct faulty_file *ff = (struct faulty_file *)(void *)f;
	int                 rc;

	ff->file = (sqlite3_file *)(ff + 1);
	rc = real->xOpen(real, name, ff->file, flags, out);
	f->pMethods = ff->file->pMethods ? &methods : NULL;
	return rc;
}

static void disk_install(void)
{
	static sqlite3_vfs faulty;

	(void)sqlite3_initialize();
	real = sqlite3_vfs_find(NULL);
	faulty = *real;
	faulty.zName = "faulty";
	faulty.szOsFile = real->szOsFile + (int)sizeof(struct faulty_file);
	faulty.xOpen = faulty_open;
	assert_int_equal(sqlite3_vfs_register(&faulty, 1), SQLITE_OK);
}

/* --- what is done on it --- */

enum { WRITERS = 3, EACH = 4, ALL = WRITERS * EACH };

static const struct db_migration migrations[] = { { "t", "CREATE TABLE t (id @int@ NOT NULL PRIMARY KEY, fill @blob@) @strict@" } };

struct one {
	int64_t id;
	bool    refuse;
};
static int put(struct db_tx *tx, void *arg, struct err *reterr)
{
	static const char fill[3000];
	struct one       *o = arg;
	int               rc = db_exec(tx, reterr, "INSERT INTO t (id, fill) VALUES ($1, $2)", "ib", o->id, str_n(fill, sizeof(fill)));

	return !rc && o->refuse ? err_set(reterr, WEIR_EREFUSED, "by itself") : rc;
}
struct writer {
	struct db *db;
	int64_t    base;
	int        rc[EACH];
};
static void *write_some(void *arg)
{
	struct writer *w = arg;

	for (int i = 0; i < EACH; i++) {
		struct one o = { w->base + i, i == 2 };

		w->rc[i] = db_write(w->db, put, &o, NULL);
	}
	return NULL;
}
struct there {
	bool id[ALL + 1];
};
static int look(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct there   *t = arg;
	struct db_rows *rows CLEANUP_ROWS = NULL;
	int             rc = db_query(tx, reterr, &rows, "SELECT id FROM t", "");

	while (!rc && (rc = db_next(rows, reterr)) == 1) {
		t->id[db_int(rows, 0)] = true;
		rc = 0;
	}
	return rc;
}
static int integrity(struct db_tx *tx, void *arg UNUSED, struct err *reterr)
{
	struct arena a CLEANUP_ARENA = ARENA_INIT(10000);
	str            v = STR_NULL;
	int            rc = db_get_str(tx, reterr, &a, &v, NULL, "PRAGMA integrity_check", "");

	return rc || str_eqz(v, "ok") ? rc : err_set(reterr, WEIR_EIO, "%.*s", STR_ARG(v));
}

static void check(struct db *db, const struct writer *w, int n, const char *when)
{
	struct there t = { 0 };
	struct err   e = { 0 };

	assert_ok(db_read(db, look, &t, &e), &e);
	assert_ok(db_read(db, integrity, NULL, &e), &e);
	for (int i = 0; i < ALL; i++) {
		int rc = w[i / EACH].rc[i % EACH];

		if (!rc && !t.id[i])
			fail_msg("fault at %d, %s: row %d was acknowledged and is not there", n, when, i);
		if (rc == -WEIR_EREFUSED && t.id[i])
			fail_msg("fault at %d, %s: row %d was taken back by its function and is there", n, when, i);
	}
}

/* One run with the failure at operation n. True: nothing failed any more. */
static bool run(const char *url, int n)
{
	struct writer w[WRITERS];
	pthread_t     t[WRITERS];
	struct db    *db;
	struct err    e = { 0 };
	struct one    more = { ALL, false };
	bool          none;

	atomic_store(&countdown, -1);
	assert_ok(db_open(url, &db, &e), &e);
	assert_ok(db_migrate(db, "t", migrations, 1, &e), &e);
	atomic_store(&n_failed, 0);
	atomic_store(&countdown, n);
	for (int i = 0; i < WRITERS; i++) {
		w[i] = (struct writer){ db, i * EACH, { 0 } };
		assert_int_equal(pthread_create(&t[i], NULL, write_some, &w[i]), 0);
	}
	for (int i = 0; i < WRITERS; i++)
		pthread_join(t[i], NULL);
	none = atomic_load(&n_failed) == 0;
	check(db, w, n, "at once");
	atomic_store(&countdown, -1); /* the disk works again */
	assert_ok(db_write(db, put, &more, &e), &e);
	check(db, w, n, "after the disk came back");
	db_close(db);
	assert_ok(db_open(url, &db, &e), &e);
	check(db, w, n, "after reopening");
	db_close(db);
	for (int i = 0; none && i < ALL; i++)
		assert_int_equal(w[i / EACH].rc[i % EACH], i % EACH == 2 ? -WEIR_EREFUSED : 0);
	return none;
}

static void test_each_write_fails(void **s UNUSED)
{
	char       dir[256], url[300], path[290];
	struct err e = { 0 };
	int        n = 0;

	for (bool done = false; !done; n++) {
		assert_ok(fs_temp_dir("weir-test-faults", dir, sizeof(dir), &e), &e);
		(void)snprintf(path, sizeof(path), "%s/weir.db", dir);
		(void)snprintf(url, sizeof(url), "sqlite:%s", path);
		done = run(url, n);
		assert_ok(fs_remove_tree(dir, &e), &e);
		assert_true(n < 1000);
	}
	printf("%d points of failure\n", n - 1);
	assert_true(n > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_each_write_fails) };

	base_init();
	disk_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
