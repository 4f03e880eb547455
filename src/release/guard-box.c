/* guard-box.c - the sandbox of an instance: from the guard's fork to bubblewrap (see guard.c).
 *
 * Limits: the group that the guard made, entered first; what it does not hold as rlimits; a seccomp filter, the same that steps of jobs have; no new
 * privileges; the number of open files; the size of /tmp. Single-threaded; ends in execve or _exit. */
#include "base/base.h"

#include "base/vec.h"
#include "confine/confine.h"
#include "release/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static const char bwrap_path[] = "/usr/bin/bwrap";
static const char app_mount[] = "/mnt"; /* in the guard child's private mount namespace only */
enum { GUARD_TMP_BYTES_MAX = 256 << 20, GUARD_FILES_MAX = 4096, GUARD_FIRST_UID = 61184 };

typedef VEC(char *) argv_list;

static void add(argv_list *v, const char *a)
{
	union { /* exec's argv is char *const[], though it writes nothing */
		const char *c;
		char       *m;
	} u = { .c = a };

	if (!VEC_PUSH(v, u.m))
		BUG("out of memory");
}

static void add3(argv_list *v, const char *a, const char *b, const char *c)
{
	add(v, a);
	add(v, b);
	add(v, c);
}

static void add_system(argv_list *v)
{
	static const char *const merged[] = { "bin", "sbin", "lib", "lib32", "lib64", "libx32" };
	static const char *const etc[] = { "alternatives", "ca-certificates", "group",   "hosts",  "ld.so.cache", "ld.so.conf", "ld.so.conf.d",
		                           "localtime",    "nsswitch.conf",   "passwd", "resolv.conf", "ssl",      "mime.types", "services" };
	static char              from[ARRAY_SIZE(merged) + ARRAY_SIZE(etc)][64], to[ARRAY_SIZE(merged)][64];

	add3(v, "--ro-bind", "/usr", "/usr");
	for (size_t i = 0; i < ARRAY_SIZE(merged); i++) {
		struct stat st;

		snprintf(from[i], sizeof(from[i]), "/%s", merged[i]);
		snprintf(to[i], sizeof(to[i]), "usr/%s", merged[i]);
		if (lstat(from[i], &st))
			continue;
		if (S_ISLNK(st.st_mode))
			add3(v, "--symlink", to[i], from[i]);
		else
			add3(v, "--ro-bind", from[i], from[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(etc); i++) {
		char *path = from[ARRAY_SIZE(merged) + i];

		snprintf(path, sizeof(from[0]), "/etc/%s", etc[i]);
		add3(v, "--ro-bind-try", path, path);
	}
}

/* Limits that no group holds, set inside: there the number of processes is counted for this sandbox alone (its user namespace). They are each
 * process's own, so an instance of many processes may use more memory than with a group. */
static void add_rlimits(argv_list *v, const struct guard_spec *spec)
{
	static char data[64], nproc[64];

	if ((spec->held.memory || !spec->memory_max) && (spec->held.pids || !spec->processes_max))
		return;
	add(v, "/usr/bin/prlimit");
	if (!spec->held.memory && spec->memory_max) {
		snprintf(data, sizeof(data), "--data=%lld:%lld", (long long)spec->memory_max, (long long)spec->memory_max);
		add(v, data);
	}
	if (!spec->held.pids && spec->processes_max) {
		snprintf(nproc, sizeof(nproc), "--nproc=%lld:%lld", (long long)spec->processes_max, (long long)spec->processes_max);
		add(v, nproc);
	}
	add(v, "--");
}

static void build_argv(argv_list *v, const struct guard_spec *spec, const char *app, const char *info_fd, const char *seccomp_fd, const char *tmp_bytes)
{
	static const char *const first[] = { bwrap_path, "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts",
		                             "--unshare-cgroup-try", "--die-with-parent", "--new-session", "--cap-drop", "ALL",
		                             "--uid", "1000", "--gid", "1000", "--hostname", "service" };

	for (size_t i = 0; i < ARRAY_SIZE(first); i++)
		add(v, first[i]);
	add_system(v);
	add3(v, "--proc", "/proc", "--dev");
	add3(v, "/dev", "--size", tmp_bytes);
	add3(v, "--tmpfs", "/tmp", "--ro-bind");
	add3(v, app, "/app", "--chdir");
	add3(v, "/app", "--info-fd", info_fd);
	add3(v, "--seccomp", seccomp_fd, "--");
	add_rlimits(v, spec);
	for (char **a = spec->argv; *a; a++)
		add(v, *a);
	add(v, NULL);
}

/* Returns the path under which the (new) user sees the version's files, or NULL with errno. */
static const char *become_service_user(const struct guard_spec *spec)
{
	uid_t uid = GUARD_FIRST_UID + (uid_t)spec->user;

	if (geteuid() != 0)
		return spec->dir;
	if (unshare(CLONE_NEWNS) == 0) {
		if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount(spec->dir, app_mount, NULL, MS_BIND, NULL))
			return NULL;
		if (setgroups(0, NULL) || setresgid(uid, uid, uid) || setresuid(uid, uid, uid))
			return NULL;
		return app_mount;
	}
	return errno == EPERM ? spec->dir : NULL; /* a container's root without the right to mount: the user namespace alone */
}

NORETURN void guard_box_main(const struct guard_spec *spec, int info)
{
	struct rlimit files = { GUARD_FILES_MAX, GUARD_FILES_MAX };
	argv_list     v = VEC_INIT;
	const char   *app;
	char          info_text[16], seccomp_text[16], tmp_text[16];
	struct err    e = { 0 };
	int           filter;
	sigset_t      none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setrlimit(RLIMIT_NOFILE, &files);
	confine_cgroup_enter(spec->cgroup); /* before the user changes */
	if (confine_seccomp(&filter, &e) || fcntl(filter, F_SETFD, 0)) {
		dprintf(2, "weir: the sandbox cannot be started: %s\n", e.code ? e.msg : strerror(errno));
		_exit(127);
	}
	app = become_service_user(spec);
	if (app && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0) {
		snprintf(info_text, sizeof(info_text), "%d", info);
		snprintf(seccomp_text, sizeof(seccomp_text), "%d", filter);
		snprintf(tmp_text, sizeof(tmp_text), "%d", GUARD_TMP_BYTES_MAX);
		build_argv(&v, spec, app, info_text, seccomp_text, tmp_text);
		execve(bwrap_path, v.v, spec->env);
	}
	dprintf(2, "weir: the sandbox cannot be started: %s\n", strerror(errno));
	_exit(127);
}
