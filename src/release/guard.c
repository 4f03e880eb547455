/* guard.c - what s6 supervises for each instance: starts the service in its sandbox (bubblewrap) and carries signals to it.
 *
 * bubblewrap hands no signal on: a SIGTERM to it kills what runs inside before any handler could run. So the guard asks bubblewrap for the
 * pid of the sandbox's init (--info-fd), and on SIGTERM signals init's children - the service itself -, waits the grace time and then kills init,
 * with which the kernel ends everything in its pid namespace. If the guard dies, --die-with-parent ends the sandbox.
 * As root, the service gets a user id of its own: the version's folder is bound into a private mount namespace first, because that user
 * cannot walk weir's data folder. As an ordinary user it runs as that user, inside a user namespace.
 * Single-threaded; one process per instance. */
#include "base/base.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/vec.h"
#include "doc/doc.h"
#include "release/release.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char bwrap_path[] = "/usr/bin/bwrap";
static const char app_mount[] = "/mnt"; /* in the guard child's private mount namespace only */
enum { GUARD_TMP_BYTES_MAX = 256 << 20, GUARD_FILES_MAX = 4096, GUARD_FIRST_UID = 61184 };

struct guard_spec {
	const char *dir;
	char      **argv, **env;
	int64_t     grace_ms, user;
};

static char **string_list(struct arena *a, const struct doc_node *n)
{
	char **v = ARENA_ARRAY(a, doc_len(n) + 1, char *);

	for (size_t i = 0; v && i < doc_len(n); i++)
		v[i] = arena_dup(a, doc_at(n, i)->text);
	return v;
}

static int read_spec(struct arena *a, const char *service_dir, struct guard_spec *ret, struct err *reterr)
{
	struct buf CLEANUP_BUF text = BUF_INIT(LIMIT_HTTP_BODY_BYTES);
	char             path[4096];
	struct doc_node *n;
	int              rc;

	if ((rc = fs_join(path, sizeof(path), reterr, service_dir, "spec.json")) || (rc = fs_read(path, &text, reterr))
	    || (rc = doc_parse_json(a, path, buf_str(&text), &n, reterr)))
		return rc;
	ret->dir = arena_dup(a, doc_get_str(n, "dir"));
	ret->argv = string_list(a, doc_get(n, "argv"));
	ret->env = string_list(a, doc_get(n, "env"));
	ret->grace_ms = doc_get_int(n, "grace_ms", 10000);
	ret->user = doc_get_int(n, "user", 0);
	if ((rc = arena_check(a, "the guard's specification", reterr)))
		return rc;
	return ret->argv[0] ? 0 : err_set(reterr, WEIR_EINVAL, "%s: no command", path);
}

/* How often this instance was started: what the room reads to see a crash loop. */
static int count_start(const char *service_dir, struct err *reterr)
{
	struct buf CLEANUP_BUF text = BUF_INIT(64);
	char     path[4096], out[32];
	uint64_t n = 0;
	int      rc = fs_join(path, sizeof(path), reterr, service_dir, "starts");

	if (rc)
		return rc;
	if (fs_read(path, &text, NULL) == 0)
		(void)!str_to_u64(str_trim(buf_str(&text)), &n);
	snprintf(out, sizeof(out), "%llu\n", (unsigned long long)n + 1);
	return fs_write_quick(path, str_z(out), 0644, reterr);
}

/* --- the child: becomes bubblewrap --- */

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

static void build_argv(argv_list *v, const struct guard_spec *spec, const char *app, const char *info_fd, const char *tmp_bytes)
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
	add(v, "--");
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

NORETURN static void child_main(const struct guard_spec *spec, int info)
{
	struct rlimit files = { GUARD_FILES_MAX, GUARD_FILES_MAX };
	argv_list     v = VEC_INIT;
	const char   *app;
	char          info_text[16], tmp_text[16];
	sigset_t      none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setrlimit(RLIMIT_NOFILE, &files);
	app = become_service_user(spec);
	if (app && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0) {
		snprintf(info_text, sizeof(info_text), "%d", info);
		snprintf(tmp_text, sizeof(tmp_text), "%d", GUARD_TMP_BYTES_MAX);
		build_argv(&v, spec, app, info_text, tmp_text);
		execve(bwrap_path, v.v, spec->env);
	}
	dprintf(2, "weir: the sandbox cannot be started: %s\n", strerror(errno));
	_exit(127);
}

/* --- the guard itself --- */

/* pid of the sandbox's init, from {"child-pid": N, ...}; -1 when bubblewrap gave none. */
static pid_t read_info(int fd)
{
	struct buf CLEANUP_BUF text = BUF_INIT(4096);
	struct arena CLEANUP_ARENA a = ARENA_INIT(1 << 16);
	struct doc_node *n;

	if (fs_read_fd(fd, "bubblewrap's information", &text, NULL) || doc_parse_json(&a, "info", buf_str(&text), &n, NULL))
		return -1;
	return (pid_t)doc_get_int(n, "child-pid", -1);
}

static pid_t parent_of(const char *pid)
{
	struct buf CLEANUP_BUF text = BUF_INIT(4096);
	char        path[64];
	const char *p;
	int64_t     ppid;
	str         rest, word;

	snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
	if (fs_read(path, &text, NULL) || !(p = strrchr(buf_z(&text), ')')))
		return -1;
	rest = str_trim(str_z(p + 1)); /* "S 123 ..." */
	str_cut(rest, ' ', &word, &rest);
	str_cut(rest, ' ', &word, &rest);
	return str_to_i64(word, &ppid) ? (pid_t)ppid : -1;
}

/* SIGTERM for the children of the sandbox's init: the service, and what was left to init. True when there was one. */
static bool terminate_service(pid_t init)
{
	DIR           *d = init > 0 ? opendir("/proc") : NULL;
	struct dirent *e;
	bool           any = false;

	while (d && (e = readdir(d))) {
		int64_t pid;

		if (str_to_i64(str_z(e->d_name), &pid) && parent_of(e->d_name) == init)
			any = kill((pid_t)pid, SIGTERM) == 0 || any;
	}
	if (d)
		closedir(d);
	return any;
}

static int exit_code(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Waits for the end of the child; SIGTERM starts the graceful end. */
static int watch(const struct guard_spec *spec, pid_t child, pid_t init, int sig_fd)
{
	usec_t kill_at = 0;

	for (;;) {
		struct pollfd           p = { .fd = sig_fd, .events = POLLIN };
		struct signalfd_siginfo si;
		int                     status, wait_ms = -1;

		if (waitpid(child, &status, WNOHANG) == child)
			return exit_code(status);
		if (kill_at) {
			usec_t left = kill_at - clock_mono_now();

			if (left <= 0) {
				kill(init > 0 ? init : child, SIGKILL);
				kill(child, SIGKILL);
				left = USEC_PER_SEC;
			}
			wait_ms = (int)(left / USEC_PER_MSEC) + 1;
		}
		if (poll(&p, 1, wait_ms) > 0 && read(sig_fd, &si, sizeof(si)) == sizeof(si) && si.ssi_signo != SIGCHLD && !kill_at)
			kill_at = clock_mono_now() + (terminate_service(init) ? spec->grace_ms * USEC_PER_MSEC : 0);
	}
}

int release_guard_main(const char *service_dir)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(1 << 20);
	struct guard_spec spec;
	struct err        e = { 0 };
	sigset_t          set;
	int               info[2], sig_fd;
	pid_t             child, init;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL); /* first: a SIGTERM from here on waits until it can be obeyed */
	sig_fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (read_spec(&a, service_dir, &spec, &e) || count_start(service_dir, &e) || sig_fd < 0 || pipe(info)) {
		dprintf(2, "weir: %s\n", e.code ? e.msg : strerror(errno));
		return 111;
	}
	fcntl(info[0], F_SETFD, FD_CLOEXEC);
	child = fork();
	if (child < 0) {
		dprintf(2, "weir: cannot start a process: %s\n", strerror(errno));
		return 111;
	}
	if (child == 0)
		child_main(&spec, info[1]);
	close(info[1]);
	init = read_info(info[0]); /* ends when bubblewrap has written it, or died */
	close(info[0]);
	return watch(&spec, child, init, sig_fd);
}
