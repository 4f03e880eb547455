/* guard.c - what s6 supervises for each instance: starts the service in its sandbox (bubblewrap) and carries signals to it.
 *
 * bubblewrap hands no signal on: a SIGTERM to it kills what runs inside before any handler could run. So the guard asks bubblewrap for the
 * pid of the sandbox's init (--info-fd), and on SIGTERM signals init's children - the service itself -, waits the grace time and then kills init,
 * with which the kernel ends everything in its pid namespace. If the guard dies, --die-with-parent ends the sandbox.
 * An instance that meets a limit of its group (memory, processes) is ended whole, and the file `met` in its folder says why; s6 starts it again.
 * As root, the service gets a user id of its own: the version's folder is bound into a private mount namespace first, because that user
 * cannot walk weir's data folder. As an ordinary user it runs as that user, inside a user namespace.
 * Single-threaded; one process per instance. */
#include "base/base.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/limits.h"
#include "doc/doc.h"
#include "release/guard.h"
#include "release/release.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* How often the group's counters are read, and at how many looks in a row an instance must stand at its limit of processes: a burst of threads is refused
 * by the kernel and passes, one that forks without end stays there. */
enum { LOOK_MS = 500, LOOKS_AT_LIMIT = 4 };

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
	ret->memory_max = doc_get_int(n, "memory_max", 0);
	ret->processes_max = doc_get_int(n, "processes_max", 0);
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

/* --- limits --- */

void guard_cgroup_name(const char *service_dir, char out[GUARD_CGROUP_SIZE])
{
	const char *slash = strrchr(service_dir, '/');
	uint64_t    h = 14695981039346656037ULL; /* two data folders may have an instance of one name */

	for (const char *p = service_dir; *p; p++)
		h = (h ^ (unsigned char)*p) * 1099511628211ULL;
	snprintf(out, GUARD_CGROUP_SIZE, "%.200s-%08x", slash ? slash + 1 : service_dir, (unsigned)(h >> 32));
}

/* Makes the group and says in the log which limits hold. A guard that was killed may have left one with counts. */
static void set_limits(struct guard_spec *spec, const char *service_dir, struct confine_met *ret_before)
{
	guard_cgroup_name(service_dir, spec->cgroup);
	confine_cgroup_remove(spec->cgroup);
	confine_cgroup_set(spec->cgroup, (uint64_t)spec->memory_max, (uint64_t)spec->processes_max, &spec->held);
	confine_cgroup_met(spec->cgroup, ret_before);
	dprintf(2, "weir: starts with at most %lld MiB of memory (%s) and %lld processes (%s)\n", (long long)(spec->memory_max >> 20),
	        spec->held.memory ? "cgroup" : "rlimit, each process", (long long)spec->processes_max, spec->held.pids ? "cgroup" : "rlimit");
}

/* --- watching --- */

struct watched {
	const struct guard_spec *spec;
	const char              *service_dir;
	struct confine_met       before;
	pid_t                    child, init;
	int                      sig_fd;
	usec_t                   kill_at; /* 0: nobody asked it to end */
	usec_t                   look_at;
	unsigned                 looks_at_limit;
	bool                     met;     /* a limit; said once */
};

static void say_met(struct watched *w, const char *text)
{
	char path[4096];

	w->met = true;
	dprintf(2, "weir: ended: %s\n", text);
	if (fs_join(path, sizeof(path), NULL, w->service_dir, "met") == 0)
		(void)!fs_write_quick(path, str_z(text), 0644, NULL);
}

/* Was a limit met? Says which one, in the log and in the file that the room reads. */
static void look_at_limits(struct watched *w)
{
	struct confine_met now;
	char               text[160];

	confine_cgroup_met(w->spec->cgroup, &now);
	w->looks_at_limit = now.pids > w->before.pids && (int64_t)now.pids_now >= w->spec->processes_max ? w->looks_at_limit + 1 : 0;
	if (now.memory > w->before.memory)
		snprintf(text, sizeof(text), "it used more than its %lld MiB of memory (limits.memory)", (long long)(w->spec->memory_max >> 20));
	else if (w->looks_at_limit >= LOOKS_AT_LIMIT)
		snprintf(text, sizeof(text), "it wanted more than its %lld processes and threads (limits.processes)", (long long)w->spec->processes_max);
	else
		return;
	say_met(w, text);
}

static void kill_all(const struct watched *w)
{
	kill(w->init > 0 ? w->init : w->child, SIGKILL);
	kill(w->child, SIGKILL);
}

/* How long to sleep at most; does what is due. */
static int due(struct watched *w)
{
	bool   limited = w->spec->held.memory || w->spec->held.pids;
	usec_t now = clock_mono_now(), next = limited ? now + LOOK_MS * USEC_PER_MSEC : 0;

	if (limited && !w->met && now >= w->look_at) {
		w->look_at = next;
		look_at_limits(w);
		if (w->met)
			kill_all(w);
	}
	if (w->kill_at && w->kill_at <= now) {
		kill_all(w);
		w->kill_at = now + USEC_PER_SEC;
	}
	if (w->kill_at && (!next || w->kill_at < next))
		next = w->kill_at;
	return next ? (int)((next - now) / USEC_PER_MSEC) + 1 : -1;
}

/* Waits for the end of the child; SIGTERM starts the graceful end. */
static int watch(struct watched *w)
{

	for (;;) {
		struct pollfd           p = { .fd = w->sig_fd, .events = POLLIN };
		struct signalfd_siginfo si;
		int                     status;

		if (waitpid(w->child, &status, WNOHANG) == w->child) {
			if (!w->met)
				look_at_limits(w);
			return exit_code(status);
		}
		if (poll(&p, 1, due(w)) > 0 && read(w->sig_fd, &si, sizeof(si)) == sizeof(si) && si.ssi_signo != SIGCHLD && !w->kill_at)
			w->kill_at = clock_mono_now() + (terminate_service(w->init) ? w->spec->grace_ms * USEC_PER_MSEC : 0);
	}
}

int release_guard_main(const char *service_dir)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(1 << 20);
	struct guard_spec spec = { 0 };
	struct watched    w = { .spec = &spec, .service_dir = service_dir };
	struct err        e = { 0 };
	sigset_t          set;
	int               info[2], code;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL); /* first: a SIGTERM from here on waits until it can be obeyed */
	w.sig_fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (read_spec(&a, service_dir, &spec, &e) || count_start(service_dir, &e) || w.sig_fd < 0 || pipe(info)) {
		dprintf(2, "weir: %s\n", e.code ? e.msg : strerror(errno));
		return 111;
	}
	set_limits(&spec, service_dir, &w.before);
	fcntl(info[0], F_SETFD, FD_CLOEXEC);
	w.child = fork();
	if (w.child < 0) {
		dprintf(2, "weir: cannot start a process: %s\n", strerror(errno));
		return 111;
	}
	if (w.child == 0)
		guard_box_main(&spec, info[1]);
	close(info[1]);
	w.init = read_info(info[0]); /* ends when bubblewrap has written it, or died */
	close(info[0]);
	code = watch(&w);
	for (unsigned i = 0; i < 50 && !confine_cgroup_remove(spec.cgroup); i++)
		clock_sleep_ms(10); /* what was killed is still going */
	return code;
}
