/* sandbox.c - bubblewrap's arguments, and what must be done around it (see sandbox.h).
 *
 * Guarantees: the step's environment never reaches bubblewrap's own (its arguments come through a memory file, so that an LD_PRELOAD of a
 * step acts inside only, and no value is seen in the machine's process list); a runner of root's gives its rights away before bubblewrap
 * starts. A private mount namespace with a staging tmpfs on /mnt makes the job's folder reachable for that user even
 * where its parents are closed to it. Runs in the guard, which has one thread. */
#include "base/base.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/proc.h"
#include "confine/confine.h"
#include "pipeline/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/landlock.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define STAGING   "/mnt"
#define ARGS_MAX  (4 << 20)
#define ARGS_N_MAX 8900 /* bubblewrap stops at 9000 */

static const char *const top_links[] = { "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32" };

/* --- preparing a job's folder --- */

static uid_t slot_uid(unsigned slot) { return geteuid() ? geteuid() : SANDBOX_UID_BASE + slot; }
static gid_t slot_gid(unsigned slot) { return geteuid() ? getegid() : SANDBOX_UID_BASE + slot; }

int sandbox_give(const char *path, unsigned slot, struct err *reterr)
{
	if (!geteuid() && lchown(path, slot_uid(slot), slot_gid(slot)))
		return err_errno(reterr, errno, "cannot give %s to user %u", path, (unsigned)slot_uid(slot));
	return 0;
}

/* --- the folders of a job --- */

static int prepare_dir(const char *job_dir, const char *name, bool give, unsigned slot, struct err *reterr)
{
	char path[1024];
	int  r = fs_join(path, sizeof(path), reterr, job_dir, name);

	if (!r && mkdir(path, 0755) && errno != EEXIST) /* its parent was made just before */
		r = err_errno(reterr, errno, "cannot make %s", path);
	return r || !give ? r : sandbox_give(path, slot, reterr);
}

int sandbox_prepare(const char *job_dir, const char *project, unsigned slot, bool own_etc, struct err *reterr)
{
	static const char *const dirs[] = { "home", "home/work", "home/work/_temp", "home/work/_tool", "tmp" };
	char                     outer[160], inner[320];
	int                      r = fs_mkdirs(job_dir, 0711, reterr);

	/* the slot's user must get through it; its parents may be closed */
	if (!r && chmod(job_dir, 0711))
		r = err_errno(reterr, errno, "%s", job_dir);
	snprintf(outer, sizeof(outer), "home/work/%s", project);
	snprintf(inner, sizeof(inner), "%s/%s", outer, project);
	for (size_t i = 0; !r && i < ARRAY_SIZE(dirs); i++)
		r = prepare_dir(job_dir, dirs[i], true, slot, reterr);
	if (!r)
		r = prepare_dir(job_dir, outer, true, slot, reterr);
	if (!r)
		r = prepare_dir(job_dir, inner, true, slot, reterr);
	if (!r)
		r = prepare_dir(job_dir, "files", false, slot, reterr);
	if (r)
		return r;
	return own_etc ? sandbox_etc_make(job_dir, reterr) : 0;
}

/* --- bubblewrap's arguments --- */

struct args {
	struct buf b;
	size_t     n;
};

static void arg(struct args *a, const char *z)
{
	buf_add(&a->b, z, strlen(z) + 1);
	a->n++;
}

static void arg3(struct args *a, const char *opt, const char *x, const char *y)
{
	arg(a, opt);
	arg(a, x);
	arg(a, y);
}

static void args_system(struct args *a)
{
	arg3(a, "--ro-bind", "/usr", "/usr");
	arg3(a, "--ro-bind-try", "/opt", "/opt");
	for (size_t i = 0; i < ARRAY_SIZE(top_links); i++) {
		char    to[256];
		ssize_t n = readlink(top_links[i], to, sizeof(to) - 1);

		if (n > 0) {
			to[n] = 0;
			arg3(a, "--symlink", to, top_links[i]);
		} else if (fs_is_dir(top_links[i])) {
			arg3(a, "--ro-bind", top_links[i], top_links[i]);
		}
	}
}

/* Where the job's things are found by bubblewrap: in place, or in the staging folder. */
struct places {
	char job[1024], secret[1024], weir[1024], etc[1024];
};

static int places_of(const struct sandbox_spec *s, struct places *p, struct err *reterr)
{
	bool staged = !geteuid();
	int  n = snprintf(p->job, sizeof(p->job), "%s", staged ? STAGING "/job" : s->job_dir);
	int  m = snprintf(p->secret, sizeof(p->secret), "%s", !s->secret_dir ? "" : staged ? STAGING "/secret" : s->secret_dir);
	int  k = snprintf(p->weir, sizeof(p->weir), "%s", !s->weir_exe ? "" : staged ? STAGING "/weir" : s->weir_exe);

	int  e = !s->etc_dir ? snprintf(p->etc, sizeof(p->etc), "%.1000s/etc", p->job) : snprintf(p->etc, sizeof(p->etc), "%s", staged ? STAGING "/etc" : s->etc_dir);

	if (n >= 1000 || e >= (int)sizeof(p->etc) || m >= (int)sizeof(p->secret) || k >= (int)sizeof(p->weir))
		return err_set(reterr, WEIR_ELIMIT, "the path of the job's folder is longer than 1000 bytes");
	return 0;
}

static void args_job(struct args *a, const struct places *p, const char *writable)
{
	static const char *const binds[][3] = {
		{ "--bind", "/home", SANDBOX_HOME },         { "--bind", "/tmp", "/tmp" },
		{ "--ro-bind", "/files", SANDBOX_FILES },
	};
	char from[1100], to[256];

	for (size_t i = 0; i < ARRAY_SIZE(binds); i++) {
		snprintf(from, sizeof(from), "%s%s", p->job, binds[i][1]);
		arg3(a, binds[i][0], from, binds[i][2]);
	}
	arg3(a, "--ro-bind", p->etc, "/etc");
	if (writable) {
		snprintf(from, sizeof(from), "%s/files/%s", p->job, writable);
		snprintf(to, sizeof(to), SANDBOX_FILES "/%s", writable);
		arg3(a, "--bind", from, to);
	}
	if (p->secret[0])
		arg3(a, "--ro-bind", p->secret, SANDBOX_SECRET);
	if (p->weir[0])
		arg3(a, "--ro-bind", p->weir, SANDBOX_WEIR);
	/* folders that programs and workflows expect to exist; everything of the root that is not a mount becomes read-only */
	arg(a, "--dir");
	arg(a, "/root");
	arg3(a, "--symlink", "/tmp", "/var/tmp");
	arg(a, "--remount-ro");
	arg(a, "/");
}

static int args_env(struct args *a, const char *const *env, struct err *reterr)
{
	arg(a, "--clearenv");
	for (size_t i = 0; env[i]; i++) {
		str name;

		if (!str_cut(str_z(env[i]), '=', &name, NULL) || !name.len)
			return err_set(reterr, WEIR_EINVAL, "environment: an entry without a name");
		arg(a, "--setenv");
		buf_add_str(&a->b, name);
		buf_addc(&a->b, 0);
		buf_addz(&a->b, env[i] + name.len + 1);
		buf_addc(&a->b, 0);
		a->n += 2;
	}
	return 0;
}

/* The arguments in a memory file, NUL-separated. */
static int args_make(const struct sandbox_spec *s, const struct places *p, int fd_seccomp, int fd_status, int *ret_fd, struct err *reterr)
{
	static const char *const first[] = { "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--die-with-parent",
		                                 "--new-session" };
	struct args    a = { BUF_INIT(ARGS_MAX), 0 };
	char           num[16];
	CLEANUP_FD int fd = memfd_create("bwrap", MFD_CLOEXEC);
	int            r;

	for (size_t i = 0; i < ARRAY_SIZE(first); i++)
		arg(&a, first[i]);
	snprintf(num, sizeof(num), "%d", SANDBOX_UID_INSIDE);
	arg(&a, "--uid");
	arg(&a, num);
	arg(&a, "--gid");
	arg(&a, num);
	args_system(&a);
	arg(&a, "--proc");
	arg(&a, "/proc");
	arg(&a, "--dev");
	arg(&a, "/dev");
	args_job(&a, p, s->writable);
	arg(&a, "--chdir");
	arg(&a, s->cwd);
	snprintf(num, sizeof(num), "%d", fd_seccomp);
	arg(&a, "--seccomp");
	arg(&a, num);
	snprintf(num, sizeof(num), "%d", fd_status);
	arg(&a, "--json-status-fd");
	arg(&a, num);
	r = args_env(&a, s->env, reterr);
	if (!r)
		r = buf_check(&a.b, "environment of a step", reterr);
	if (!r && a.n > ARGS_N_MAX)
		r = err_set(reterr, WEIR_ELIMIT, "environment of a step: more than %d variables", ARGS_N_MAX / 3);
	if (!r && fd < 0)
		r = err_errno(reterr, errno, "cannot make a memory file");
	if (!r)
		r = fs_write_fd(fd, "bubblewrap arguments", buf_str(&a.b), reterr);
	if (!r && lseek(fd, 0, SEEK_SET))
		r = err_errno(reterr, errno, "bubblewrap arguments");
	buf_fini(&a.b);
	if (!r)
		*ret_fd = TAKE_FD(fd);
	return r;
}

/* --- the child, from fork to bubblewrap: no allocation, errors go to the step's output --- */

NORETURN static void child_die(const char *what)
{
	dprintf(2, "weir: sandbox: %s: %s\n", what, strerror(errno));
	_exit(1);
}

static void child_bind(const char *from, const char *to)
{
	struct stat st;

	if (stat(from, &st))
		child_die(from);
	if (S_ISDIR(st.st_mode)) {
		if (mkdir(to, 0755))
			child_die(to);
	} else {
		CLEANUP_FD int fd = open(to, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

		if (fd < 0)
			child_die(to);
	}
	if (mount(from, to, NULL, MS_BIND | MS_REC, NULL))
		child_die(from);
}

static void child_stage(const struct sandbox_spec *s)
{
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		child_die("cannot make a mount namespace");
	/* bubblewrap reads the whole table of mounts for each of its own: without /sys, which nothing here needs any more, it is half as long */
	(void)umount2("/sys", MNT_DETACH);
	if (mount("weir", STAGING, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=64k"))
		child_die("cannot mount on " STAGING);
	child_bind(s->job_dir, STAGING "/job");
	if (s->etc_dir)
		child_bind(s->etc_dir, STAGING "/etc");
	if (s->secret_dir)
		child_bind(s->secret_dir, STAGING "/secret");
	if (s->weir_exe)
		child_bind(s->weir_exe, STAGING "/weir");
	if (chdir("/") || setgroups(0, NULL) || setresgid(slot_gid(s->slot), slot_gid(s->slot), slot_gid(s->slot)) ||
	    setresuid(slot_uid(s->slot), slot_uid(s->slot), slot_uid(s->slot)))
		child_die("cannot change the user");
}

/* The network is shared, and with it abstract sockets of the machine's programs: Landlock keeps the step away from them
 * and from signalling out, where the kernel has it (6.12). */
static void child_scope(void)
{
#ifndef LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET
	struct {
		uint64_t handled_access_fs, handled_access_net, scoped;
	} attr = { 0, 0, 3 };
#else
	struct landlock_ruleset_attr attr = { .scoped = LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | LANDLOCK_SCOPE_SIGNAL };
#endif
	int fd;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		child_die("no_new_privs");
	fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (fd < 0)
		return;
	(void)syscall(SYS_landlock_restrict_self, fd, 0);
	close(fd);
}

static void child_fds(int fd_out, const int *keep, size_t n)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (null < 0 || dup2(null, 0) < 0 || dup2(fd_out, 1) < 0 || dup2(fd_out, 2) < 0)
		_exit(1);
	for (size_t i = 0; i < n; i++)
		if (fcntl(keep[i], F_SETFD, 0))
			child_die("descriptors");
}

NORETURN static void child_run(const struct sandbox_spec *s, int fd_out, const int keep[3], const char *const *argv)
{
	static char *const no_env[] = { NULL };
	sigset_t           none;

	child_fds(fd_out, keep, 3);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int sig = 1; sig < NSIG; sig++)
		if (sig != SIGKILL && sig != SIGSTOP)
			(void)signal(sig, SIG_DFL);
	confine_cgroup_enter(s->cgroup);
	if (!geteuid())
		child_stage(s);
	child_scope();
	execve("/usr/bin/bwrap", (char *const *)(uintptr_t)argv, no_env);
	child_die("/usr/bin/bwrap (Debian package bubblewrap)");
}

/* --- starting and stopping --- */

/* Reads bubblewrap's first report, {"child-pid": N}; 0 when it ended without one. */
static pid_t read_init_pid(int fd)
{
	char    text[256];
	size_t  n = 0;
	int64_t pid = 0;
	str     digits;

	while (n < sizeof(text) - 1) {
		ssize_t got = read(fd, text + n, 1);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0 || text[n] == '}')
			break;
		n++;
	}
	if (!str_cut(str_n(text, n), ':', NULL, &digits))
		return 0;
	str_cut(str_trim(digits), ',', &digits, NULL);
	return str_to_i64(str_trim(digits), &pid) ? (pid_t)pid : 0;
}

static int spawn(const struct sandbox_spec *s, int fd_out, const int keep[3], struct sandbox_proc *ret, struct err *reterr)
{
	const char *argv[512] = { "bwrap", "--args", NULL, "--" };
	char        num[16];
	size_t      n = 4;

	snprintf(num, sizeof(num), "%d", keep[0]);
	argv[2] = num;
	for (size_t i = 0; s->argv[i]; i++) {
		if (n + 2 > ARRAY_SIZE(argv))
			return err_set(reterr, WEIR_ELIMIT, "command of a step: more than 500 words");
		argv[n++] = s->argv[i];
	}
	/* not fork(): copying the page tables of this program would cost more than bubblewrap's start. The child shares our memory until it executes
	 * bubblewrap, and we stand still meanwhile; it writes to its own stack only and allocates nothing. */
	ret->pid = vfork();
	if (ret->pid < 0)
		return err_errno(reterr, errno, "cannot start the sandbox");
	if (!ret->pid)
		child_run(s, fd_out, keep, argv);
	return 0;
}

int sandbox_spawn(const struct sandbox_spec *s, int fd_out, struct sandbox_proc *ret, struct err *reterr)
{
	CLEANUP_FD int args = -1, seccomp = -1, rd = -1, wr = -1;
	struct places  p;
	int            pipes[2], r;

	*ret = (struct sandbox_proc){ .fd_status = -1 };
	confine_cgroup_make(s->cgroup, s->memory_bytes_max, s->pids_max, ret->limits, sizeof(ret->limits));
	r = places_of(s, &p, reterr);
	if (!r)
		r = confine_seccomp(&seccomp, reterr);
	if (r)
		return r;
	if (pipe2(pipes, O_CLOEXEC))
		return err_errno(reterr, errno, "cannot make a pipe");
	rd = pipes[0];
	wr = pipes[1];
	r = args_make(s, &p, seccomp, wr, &args, reterr);
	if (!r)
		r = spawn(s, fd_out, (const int[3]){ args, seccomp, wr }, ret, reterr);
	if (r)
		return r;
	base_cleanup_fd(&wr);
	ret->init = read_init_pid(rd);
	ret->fd_status = TAKE_FD(rd);
	return 0;
}

bool sandbox_ran(const struct sandbox_proc *p)
{
	char    text[512];
	ssize_t n = read(p->fd_status, text, sizeof(text));

	return n > 0 && str_contains(str_n(text, (size_t)n), STR("exit-code"));
}

struct family {
	pid_t pid, parent;
};

/* Parent of a process from /proc/PID/stat; its name may hold blanks and brackets: the last ')' ends it. */
static pid_t parent_of(pid_t pid)
{
	char           path[64], text[512], *end;
	ssize_t        n;
	CLEANUP_FD int fd = -1;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
	if (n <= 0)
		return 0;
	text[n] = 0;
	end = strrchr(text, ')');
	return end && strlen(end) > 4 ? (pid_t)strtol(end + 4, NULL, 10) : 0;
}

static size_t family_read(struct family *f, size_t max)
{
	DIR           *d = opendir("/proc");
	struct dirent *e;
	size_t         n = 0;

	while (d && n < max && (e = readdir(d))) {
		int64_t pid;

		if (!str_to_i64(str_z(e->d_name), &pid))
			continue;
		f[n].pid = (pid_t)pid;
		f[n].parent = parent_of((pid_t)pid);
		n++;
	}
	if (d)
		closedir(d);
	return n;
}

void sandbox_signal(const struct sandbox_proc *p, int sig)
{
	enum { MAX = 32768 };
	struct family *f;
	bool          *in;
	size_t         n;
	bool           grew = true;

	if (p->init <= 0)
		return;
	if (sig == SIGKILL) {
		(void)kill(p->init, SIGKILL);
		return;
	}
	f = calloc(MAX, sizeof(*f));
	in = calloc(MAX, sizeof(*in));
	n = f && in ? family_read(f, MAX) : 0;
	while (grew) { /* children may stand before their parents */
		grew = false;
		for (size_t i = 0; i < n; i++)
			for (size_t j = 0; !in[i] && j < n; j++)
				if (f[i].parent == p->init || (in[j] && f[j].pid == f[i].parent))
					in[i] = grew = true;
	}
	for (size_t i = 0; i < n; i++)
		if (in[i])
			(void)kill(f[i].pid, sig);
	free(f);
	free(in);
}

/* --- can this machine? --- */

int sandbox_probe(struct err *reterr)
{
	static const char *const argv[] = { "bwrap", "--unshare-user", "--unshare-pid", "--ro-bind", "/", "/", "--proc", "/proc", "true", NULL };
	CLEANUP_BUF struct buf   out = BUF_INIT(4096);
	struct proc_run          run = { .argv = argv, .err = &out, .timeout_ms = 10000 };
	int                      status, r;
	str                      first;

	r = proc_run(&run, &status, reterr);
	if (r == -WEIR_ENOENT)
		return err_set(reterr, WEIR_EUNAVAIL, "sandbox: bwrap is missing; install the package bubblewrap");
	if (r)
		return err_wrap(reterr, "sandbox");
	str_cut(buf_str(&out), '\n', &first, NULL);
	if (status)
		return err_set(reterr, WEIR_EUNAVAIL, "sandbox: %.*s; user namespaces must be allowed (sysctl kernel.unprivileged_userns_clone=1, "
		                                      "user.max_user_namespaces above 0; in a container: its seccomp profile)", STR_ARG(first));
	return 0;
}
