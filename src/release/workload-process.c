/* workload-process.c - instances as processes: each a service folder of s6 whose run script starts the guard (guard.c).
 *
 * The supervisor (s6-svscan on DATA/supervise) is started once, detached, and outlives weir; everything it runs is found again by
 * its folder. A service folder is complete before its link appears in the scanned folder, so a crash leaves an instance that runs or one
 * that does not. Called by the room's worker; the calls take milliseconds (one short s6 command each). */
#include "base/base.h"

#include "base/fs.h"
#include "base/proc.h"
#include "doc/doc.h"
#include "release/guard.h"
#include "release/workload.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { S6_SERVICES_MAX = 4000, S6_TIMEOUT_MS = 10000 };

struct workload_process {
	char               data[PATH_MAX / 2];
	char               scan[PATH_MAX / 2];
	const char *const *guard_argv;
};

MUST_CHECK static int path_of(const struct workload_process *w, const char *part, const char *name, char out[PATH_MAX], struct err *reterr)
{
	int n = snprintf(out, PATH_MAX, "%s/%s%s%s", w->data, part, *name ? "/" : "", name);

	return n < PATH_MAX ? 0 : err_set(reterr, WEIR_ELIMIT, "path of '%s' is too long", name);
}

int workload_process_new(const char *data_dir, const char *const *guard_argv, struct workload_process **ret, struct err *reterr)
{
	static const char *const parts[] = { "services", "supervise", "logs" };
	struct workload_process *w;
	char                     path[PATH_MAX];
	int                      rc = 0;

	if (data_dir[0] != '/' || strlen(data_dir) > 1000)
		return err_set(reterr, WEIR_EINVAL, "the data folder must be an absolute path of at most 1000 bytes, not '%s'", data_dir);
	w = calloc(1, sizeof(*w));
	if (!w)
		return err_set(reterr, WEIR_ENOMEM, "workloads");
	snprintf(w->data, sizeof(w->data), "%s", data_dir);
	w->guard_argv = guard_argv;
	for (size_t i = 0; i < ARRAY_SIZE(parts) && !rc; i++)
		if (!(rc = path_of(w, parts[i], "", path, reterr)))
			rc = fs_mkdirs(path, 0700, reterr);
	snprintf(w->scan, sizeof(w->scan), "%s/supervise", data_dir);
	if (rc)
		free(w);
	else
		*ret = w;
	return rc;
}

struct workload_process *workload_process_free(struct workload_process *w)
{
	free(w);
	return NULL;
}

/* --- s6 --- */

/* True when somebody holds the reading end of a control pipe: the supervisor of that folder is alive. */
static bool listening(const char *pipe_path)
{
	int fd = open(pipe_path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* s6-supervise holds a lock in its folder until its very end, after it stopped listening. */
static bool locked(const char *lock_path)
{
	struct flock   l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int CLEANUP_FD fd = open(lock_path, O_RDWR | O_CLOEXEC);

	return fd >= 0 && ((fcntl(fd, F_GETLK, &l) == 0 && l.l_type != F_UNLCK) || flock(fd, LOCK_EX | LOCK_NB));
}

static bool scan_alive(const char *scan)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/.s6-svscan/control", scan);
	return listening(path);
}

static int svscanctl(const char *scan, const char *flags, struct err *reterr)
{
	const char *argv[] = { "s6-svscanctl", flags, scan, NULL };
	struct proc_run run = { .argv = argv, .timeout_ms = S6_TIMEOUT_MS };

	return proc_run(&run, NULL, reterr) ? err_wrap(reterr, "supervisor") : 0;
}

int workload_process_supervise(struct workload_process *w, struct err *reterr)
{
	const char      *argv[] = { "s6-svscan", "-c", "4000", w->scan, NULL };
	struct proc_spec spec = PROC_SPEC_INIT;
	char             path[PATH_MAX];
	int CLEANUP_FD   log = -1;
	pid_t            pid;
	int              rc;

	if (scan_alive(w->scan))
		return 0;
	if ((rc = path_of(w, "logs", "supervisor.log", path, reterr)))
		return rc;
	log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (log < 0)
		return err_errno(reterr, errno, "%s", path);
	spec.argv = argv;
	spec.fd_out = spec.fd_err = log;
	spec.cwd = "/";
	spec.new_session = true;
	if ((rc = proc_spawn(&spec, &pid, reterr)))
		return err_wrap(reterr, "the supervisor s6-svscan (package s6)");
	for (unsigned i = 0; i < 500; i++) {
		int status;

		if (scan_alive(w->scan))
			return 0;
		if (proc_wait_timeout(pid, 10, &status, NULL) == 0)
			return err_set(reterr, WEIR_EUNAVAIL, "the supervisor ended at once (status %d): see %s", status, path);
	}
	return err_set(reterr, WEIR_ETIMEOUT, "the supervisor did not come up: see %s", path);
}

/* --- service folders --- */

/* Inside single quotes of a run script. */
static void add_quoted(struct buf *b, const char *z)
{
	buf_addc(b, '\'');
	for (; *z; z++)
		if (*z == '\'')
			buf_addz(b, "'\\''");
		else
			buf_addc(b, *z);
	buf_addc(b, '\'');
}

static int write_in(const char *dir, const char *name, str text, mode_t mode, struct err *reterr)
{
	char path[PATH_MAX];
	int  rc = fs_join(path, sizeof(path), reterr, dir, name);

	return rc ? rc : fs_write_quick(path, text, mode, reterr);
}

/* The folder with its logger: five files of one megabyte at most. */
static int write_folder(struct workload_process *w, const char *dir, const char *name, str run, str spec, struct err *reterr)
{
	struct buf CLEANUP_BUF log = BUF_INIT(8192);
	char path[PATH_MAX], logs[PATH_MAX];
	int  rc;

	if ((rc = fs_remove_tree(dir, reterr)) || (rc = fs_join(path, sizeof(path), reterr, dir, "log")) || (rc = fs_mkdirs(path, 0700, reterr))
	    || (rc = path_of(w, "logs", name, logs, reterr)) || (rc = fs_mkdirs(logs, 0700, reterr)))
		return rc;
	buf_addz(&log, "#!/bin/sh\nexec s6-log -b n5 s1000000 ");
	add_quoted(&log, logs);
	buf_addc(&log, '\n');
	if ((rc = buf_check(&log, "logger", reterr)) || (rc = write_in(path, "run", buf_str(&log), 0700, reterr))
	    || (spec.len && (rc = write_in(dir, "spec.json", spec, 0600, reterr))))
		return rc;
	return write_in(dir, "run", run, 0700, reterr);
}

static int publish(struct workload_process *w, const char *name, str run, str spec, struct err *reterr)
{
	char tmp[PATH_MAX], dir[PATH_MAX], link[PATH_MAX];
	int  rc;

	if ((rc = path_of(w, "services", name, dir, reterr)) || (rc = path_of(w, "supervise", name, link, reterr))
	    || (rc = path_of(w, "services/.new", "", tmp, reterr)))
		return rc;
	if (!fs_exists(dir)) {
		if ((rc = write_folder(w, tmp, name, run, spec, reterr)))
			return rc;
		if (rename(tmp, dir))
			return err_errno(reterr, errno, "%s", dir);
	}
	if (symlink(dir, link) && errno != EEXIST)
		return err_errno(reterr, errno, "%s", link);
	return svscanctl(w->scan, "-a", reterr);
}

static void write_spec(const struct workload_spec *s, struct buf *out)
{
	struct jw w;

	jw_init(&w, out);
	jw_obj(&w);
	jw_kstrz(&w, "dir", s->dir);
	jw_kint(&w, "grace_ms", s->grace / USEC_PER_MSEC);
	jw_kint(&w, "user", s->user);
	jw_kint(&w, "memory_max", s->memory_max);
	jw_kint(&w, "processes_max", s->processes_max);
	jw_key(&w, "argv");
	jw_arr(&w);
	for (const char *const *a = s->argv; *a; a++)
		jw_strz(&w, *a);
	jw_end(&w);
	jw_key(&w, "env");
	jw_arr(&w);
	jw_strz(&w, "PATH=/usr/local/bin:/usr/bin:/bin");
	jw_strz(&w, "HOME=/tmp");
	jw_strz(&w, "LANG=C.UTF-8");
	for (const char *const *e = s->env; e && *e; e++)
		jw_strz(&w, *e);
	jw_fmt(&w, "PORT=%u", s->port);
	jw_end(&w);
	jw_end(&w);
}

static int process_start(void *ctx, const struct workload_spec *s, struct err *reterr)
{
	struct workload_process *w = ctx;
	struct buf CLEANUP_BUF run = BUF_INIT(16 << 10), spec = BUF_INIT(256 << 10);
	char dir[PATH_MAX];
	int  rc = path_of(w, "services", s->name, dir, reterr);

	if (rc)
		return rc;
	buf_addz(&run, "#!/bin/sh\nexec 2>&1\nexec");
	for (const char *const *a = w->guard_argv; *a; a++) {
		buf_addc(&run, ' ');
		add_quoted(&run, *a);
	}
	buf_addc(&run, ' ');
	add_quoted(&run, dir);
	buf_addc(&run, '\n');
	write_spec(s, &spec);
	if ((rc = buf_check(&run, "run script", reterr)) || (rc = buf_check(&spec, "instance specification", reterr)))
		return rc;
	return publish(w, s->name, buf_str(&run), buf_str(&spec), reterr);
}

int workload_process_raw(struct workload_process *w, const char *name, str run, struct err *reterr)
{
	return publish(w, name, run, STR_NULL, reterr);
}

static int process_stop(void *ctx, const char *name, struct err *reterr)
{
	struct workload_process *w = ctx;
	char link[PATH_MAX];
	int  rc = path_of(w, "supervise", name, link, reterr);

	if (rc)
		return rc;
	if (unlink(link) && errno != ENOENT)
		return err_errno(reterr, errno, "%s", link);
	/* Supervisors without a link are told to end: they stop their service first (SIGTERM to the guard). */
	return scan_alive(w->scan) ? svscanctl(w->scan, "-an", reterr) : 0;
}

static int process_status(void *ctx, const char *name, struct workload_status *ret, struct err *reterr)
{
	static const char *const signs[] = { "supervise/control", "supervise/lock", "log/supervise/control", "log/supervise/lock" };
	struct workload_process *w = ctx;
	struct buf CLEANUP_BUF text = BUF_INIT(4096);
	char     dir[PATH_MAX], path[PATH_MAX];
	uint64_t starts = 0;
	int      rc = path_of(w, "services", name, dir, reterr);

	if (rc || (rc = fs_join(path, sizeof(path), reterr, dir, "starts")))
		return rc;
	memset(ret, 0, sizeof(*ret));
	ret->exists = fs_is_dir(dir);
	if (fs_read(path, &text, NULL) == 0 && str_to_u64(str_trim(buf_str(&text)), &starts))
		ret->starts = starts > 1000000 ? 1000000 : (unsigned)starts;
	buf_clear(&text);
	if ((rc = fs_join(path, sizeof(path), reterr, dir, "met")))
		return rc;
	if (fs_read(path, &text, NULL) == 0)
		snprintf(ret->met, sizeof(ret->met), "%s", buf_z(&text));
	ret->gone = true;
	for (size_t i = 0; i < ARRAY_SIZE(signs); i++) {
		if ((rc = fs_join(path, sizeof(path), reterr, dir, signs[i])))
			return rc;
		if (str_has_suffix(str_z(signs[i]), STR("lock")) ? locked(path) : listening(path))
			ret->gone = false;
	}
	return 0;
}

static int process_remove(void *ctx, const char *name, struct err *reterr)
{
	struct workload_process *w = ctx;
	struct workload_status   st;
	char dir[PATH_MAX], link[PATH_MAX], cgroup[GUARD_CGROUP_SIZE];
	int  rc;

	if ((rc = process_status(w, name, &st, reterr)) || (rc = path_of(w, "services", name, dir, reterr))
	    || (rc = path_of(w, "supervise", name, link, reterr)))
		return rc;
	if (!st.exists)
		return 0;
	if (!st.gone || fs_exists(link))
		return err_set(reterr, WEIR_EBUSY, "%s still runs", name);
	guard_cgroup_name(dir, cgroup); /* a guard that was killed left it */
	confine_cgroup_remove(cgroup);
	return fs_remove_tree(dir, reterr);
}

static int process_each(void *ctx, int (*fn)(void *arg, const char *name, struct err *reterr), void *arg, struct err *reterr)
{
	struct workload_process *w = ctx;
	char           path[PATH_MAX];
	DIR           *d;
	struct dirent *e;
	int            rc = path_of(w, "services", "", path, reterr);

	if (rc)
		return rc;
	if (!(d = opendir(path)))
		return err_errno(reterr, errno, "%s", path);
	while (!rc && (e = readdir(d)))
		if (e->d_name[0] != '.')
			rc = fn(arg, e->d_name, reterr);
	closedir(d);
	return rc;
}

struct workload_ops workload_process_ops(struct workload_process *w)
{
	return (struct workload_ops){ process_start, process_stop, process_status, process_remove, process_each, w };
}

/* --- the end of everything --- */

static int count_alive(void *arg, const char *name, struct err *reterr UNUSED)
{
	struct {
		struct workload_process *w;
		unsigned                 n;
	} *count = arg;
	struct workload_status st;

	if (process_status(count->w, name, &st, NULL) == 0 && !st.gone)
		count->n++;
	return 0;
}

int workload_process_shutdown(const char *data_dir, int64_t timeout_ms, struct err *reterr)
{
	struct workload_process w = { 0 };
	usec_t                  until = clock_mono_now() + timeout_ms * USEC_PER_MSEC;
	char                    services[PATH_MAX];
	int                     rc;

	snprintf(w.data, sizeof(w.data), "%s", data_dir);
	snprintf(w.scan, sizeof(w.scan), "%s/supervise", data_dir);
	if ((rc = path_of(&w, "services", "", services, reterr)))
		return rc;
	if (!fs_is_dir(services))
		return 0;
	if (scan_alive(w.scan) && (rc = svscanctl(w.scan, "-t", reterr))) /* SIGTERM to every service, then the supervisor ends */
		return rc;
	for (;;) {
		struct {
			struct workload_process *w;
			unsigned                 n;
		} count = { &w, 0 };

		if ((rc = process_each(&w, count_alive, &count, reterr)))
			return rc;
		if (count.n == 0 && !scan_alive(w.scan))
			return 0;
		if (clock_mono_now() >= until)
			return err_set(reterr, WEIR_ETIMEOUT, "%u supervised programs still run", count.n);
		clock_sleep_ms(20);
	}
}
