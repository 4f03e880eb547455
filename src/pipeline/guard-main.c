/* guard-main.c - the guard process: runs one step to its end and writes down how it ended (see guard.h).
 *
 * Guarantees: one thread, no network, no allocation in the loop; the log is only appended to, at most LIMIT_STEP_LOG_BYTES; the status
 * is written after the last log byte. It ignores the terminal's signals: only the stop fifo and the time limit stop a step. */
#include "base/base.h"
#include "base/fs.h"
#include "base/title.h"
#include "base/limits.h"
#include "pipeline/guard-spec.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STOP_INT_MS = 7500, STOP_TERM_MS = 2500, DRAIN_MS = 2000, SIGNALS = 3 };

struct guarding {
	char               *dir;
	struct guard_spec   spec;
	struct sandbox_proc proc;
	int                 fd_status; /* its lock is held through it */
	int                 fd_out, fd_log, fd_stop, fd_news, fd_pid;
	bool                limits_said;
	int64_t             log_bytes;
	bool                log_cut;
	enum guard_end      why;     /* of stopping; NONE: not stopping */
	int                 signals; /* sent so far: SIGINT, SIGTERM, SIGKILL */
	usec_t              deadline; /* monotonic: time limit, or when the next signal is due; 0: none */
};

static void news(struct guarding *g)
{
	if (write(g->fd_news, "n", 1) < 0)
		return; /* nobody reads, or there is news enough in it */
}

static void log_put(struct guarding *g, const char *p, size_t n)
{
	static const char note[] = "\nweir: the step wrote more than 64 MiB; the rest of its output is dropped\n";

	if (g->log_cut)
		return;
	if (g->log_bytes + (int64_t)n > LIMIT_STEP_LOG_BYTES - (int64_t)sizeof(note)) {
		g->log_cut = true;
		n = (size_t)(LIMIT_STEP_LOG_BYTES - (int64_t)sizeof(note) - g->log_bytes);
	}
	if (fs_write_fd(g->fd_log, "log", str_n(p, n), NULL) ||
	    (g->log_cut && fs_write_fd(g->fd_log, "log", str_n(note, sizeof(note) - 1), NULL)))
		g->log_cut = true; /* disk full: the step goes on, the status says that output is missing */
	g->log_bytes += (int64_t)n;
	news(g);
}

/* False at the end of the output. */
static bool take_output(struct guarding *g)
{
	char    tmp[64 << 10];
	ssize_t n = read(g->fd_out, tmp, sizeof(tmp));

	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	if (n > 0)
		log_put(g, tmp, (size_t)n);
	return n > 0;
}

static void stop_next(struct guarding *g)
{
	static const struct {
		int sig, then_ms;
	} ladder[] = { { SIGINT, STOP_INT_MS }, { SIGTERM, STOP_TERM_MS }, { SIGKILL, 0 } };

	_Static_assert(ARRAY_SIZE(ladder) == SIGNALS, "SIGNALS counts the ladder");
	if (g->signals >= SIGNALS)
		return;
	sandbox_signal(&g->proc, ladder[g->signals].sig);
	if (ladder[g->signals].sig == SIGKILL && !g->proc.init)
		(void)kill(g->proc.pid, SIGKILL);
	g->deadline = ladder[g->signals].then_ms ? clock_mono_now() + ladder[g->signals].then_ms * USEC_PER_MSEC : 0;
	g->signals++;
}

static void stop_begin(struct guarding *g, enum guard_end why)
{
	if (g->why)
		return;
	g->why = why;
	stop_next(g);
}

static void on_deadline(struct guarding *g)
{
	if (!g->deadline || clock_mono_now() < g->deadline)
		return;
	if (g->why)
		stop_next(g);
	else
		stop_begin(g, GUARD_TIMEOUT);
}

static int wait_ms(const struct guarding *g)
{
	usec_t left;

	if (!g->deadline)
		return -1;
	left = g->deadline - clock_mono_now();
	return left <= 0 ? 0 : left > 3600 * USEC_PER_SEC ? 3600000 : (int)((left + 999) / 1000);
}

static void on_request(struct guarding *g)
{
	char    tmp[64];
	ssize_t n = read(g->fd_stop, tmp, sizeof(tmp));

	if (n <= 0)
		return;
	stop_begin(g, GUARD_STOPPED);
	while (memchr(tmp, 'k', (size_t)n) && g->signals < SIGNALS)
		stop_next(g);
}

/* Until the sandbox ended; then what is left in the pipe, for a short time (a process that escaped the tree could hold it open). */
static void loop(struct guarding *g)
{
	bool   open_out = true;
	usec_t end;

	for (;;) {
		struct pollfd p[3] = { { g->fd_pid, POLLIN, 0 }, { g->fd_stop, POLLIN, 0 }, { open_out ? g->fd_out : -1, POLLIN, 0 } };

		if (poll(p, 3, wait_ms(g)) < 0 && errno != EINTR)
			break;
		if (p[2].revents)
			open_out = take_output(g);
		if (p[1].revents)
			on_request(g);
		on_deadline(g);
		if (p[0].revents)
			break;
	}
	end = clock_mono_now() + DRAIN_MS * USEC_PER_MSEC;
	while (open_out && clock_mono_now() < end) {
		struct pollfd p = { g->fd_out, POLLIN, 0 };

		if (poll(&p, 1, 100) > 0)
			open_out = take_output(g);
	}
}

static void status_fill(struct guarding *g, int wstatus, struct guard_status *st)
{
	st->exit_status = WIFEXITED(wstatus) ? WEXITSTATUS(wstatus) : 128 + WTERMSIG(wstatus);
	st->ended = clock_wall_now();
	st->log_cut = g->log_cut;
	st->end = g->why ? g->why : sandbox_ran(&g->proc) ? GUARD_EXITED : GUARD_SANDBOX;
	if (st->end == GUARD_TIMEOUT)
		snprintf(st->text, sizeof(st->text), "stopped after %lld s", (long long)(g->spec.timeout_ms / 1000));
	else if (st->end == GUARD_SANDBOX && WIFSIGNALED(wstatus))
		snprintf(st->text, sizeof(st->text), "bubblewrap was killed by signal %d", WTERMSIG(wstatus));
	else if (st->end == GUARD_SANDBOX)
		snprintf(st->text, sizeof(st->text), "the sandbox could not be set up; the log says why");
}

static int run(struct guarding *g, struct err *reterr)
{
	struct guard_status st = { .started = clock_wall_now() };
	int                 pipes[2], wstatus = 0, r;

	if (pipe2(pipes, O_CLOEXEC))
		return err_errno(reterr, errno, "cannot make a pipe");
	g->fd_out = pipes[0];
	if (g->spec.timeout_ms > 0)
		g->deadline = clock_mono_now() + g->spec.timeout_ms * USEC_PER_MSEC;
	r = sandbox_spawn(&g->spec.sandbox, pipes[1], &g->proc, reterr);
	close(pipes[1]);
	if (r)
		return r;
	r = guard_limits_write(g->fd_status, g->proc.limits, reterr);
	if (r)
		return r;
	g->limits_said = true;
	g->fd_pid = (int)syscall(SYS_pidfd_open, g->proc.pid, 0);
	if (g->fd_pid < 0)
		return err_errno(reterr, errno, "cannot watch the sandbox");
	loop(g);
	if (g->proc.init)
		(void)kill(g->proc.init, SIGKILL); /* gone already, unless bubblewrap itself was killed */
	while (waitpid(g->proc.pid, &wstatus, 0) < 0 && errno == EINTR)
		;
	status_fill(g, wstatus, &st);
	close(g->proc.fd_status);
	return guard_status_write(g->fd_status, g->spec.durable ? g->dir : NULL, &st, reterr);
}

void guard_go(struct guarding *g)
{
	struct err          err = { 0 };
	struct guard_status st = { .end = GUARD_SANDBOX };
	int                 null = open("/dev/null", O_RDWR | O_CLOEXEC);

	base_set_title("weir guard %s", g->dir); /* not the runner's, which it outlives */
	setsid();
	for (int sig = 1; sig < NSIG; sig++)
		if (sig != SIGCHLD && sig != SIGABRT && sig != SIGSEGV && sig != SIGBUS && sig != SIGFPE && sig != SIGILL)
			(void)signal(sig, SIG_IGN);
	(void)signal(SIGCHLD, SIG_DFL); /* the starter lets the kernel forget its children; we want our child's end */
	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0 || chdir("/"))
		_exit(1);
	if (run(g, &err)) {
		snprintf(st.text, sizeof(st.text), "%.250s", err.msg);
		st.started = st.ended = clock_wall_now();
		if (g->proc.pid > 0)
			(void)kill(g->proc.pid, SIGKILL);
		if ((!g->limits_said && guard_limits_write(g->fd_status, "", NULL)) || guard_status_write(g->fd_status, g->dir, &st, NULL))
			_exit(1); /* without a status the runner calls the step lost */
	}
	news(g);
	_exit(0);
}

struct guarding *guard_down(struct guarding *g)
{
	if (!g)
		return NULL;
	base_cleanup_fd(&g->fd_status);
	base_cleanup_fd(&g->fd_stop);
	base_cleanup_fd(&g->fd_news);
	base_cleanup_fd(&g->fd_log);
	guard_spec_fini(&g->spec);
	free(g->dir);
	free(g);
	return NULL;
}

static int open_all(struct guarding *g, int fd_spec, struct err *reterr)
{
	int r;

	g->fd_status = guard_open(g->dir, "status", O_RDWR | O_APPEND);
	if (g->fd_status < 0)
		return err_errno(reterr, errno, "guard: %s is not the folder of a step", g->dir);
	if (flock(g->fd_status, LOCK_EX | LOCK_NB))
		return err_set(reterr, WEIR_EBUSY, "guard: the step in %s has a guard", g->dir);
	r = guard_spec_read(fd_spec, &g->spec, reterr);
	if (r)
		return r;
	g->fd_stop = guard_open(g->dir, "stop", O_RDWR | O_NONBLOCK);
	g->fd_news = guard_open(g->dir, "news", O_RDWR | O_NONBLOCK);
	g->fd_log = guard_open(g->dir, "log", O_CREAT | O_EXCL | O_WRONLY | O_APPEND);
	if (g->fd_stop < 0 || g->fd_news < 0 || g->fd_log < 0)
		return err_errno(reterr, errno, "guard: cannot open the files of the step in %s", g->dir);
	return 0;
}

int guard_up(const char *dir, int fd_spec, struct guarding **ret, struct err *reterr)
{
	struct guarding *g = calloc(1, sizeof(*g));
	int              r;

	if (!g || !(g->dir = str_dup(str_z(dir)))) {
		free(g);
		return err_set(reterr, WEIR_ENOMEM, "out of memory");
	}
	g->fd_status = g->fd_out = g->fd_log = g->fd_stop = g->fd_news = g->fd_pid = -1;
	r = open_all(g, fd_spec, reterr);
	if (r)
		guard_down(g);
	else
		*ret = g;
	return r;
}

int guard_main(const char *dir, int fd_spec, struct err *reterr)
{
	struct guarding *g = NULL;
	int              r = guard_up(dir, fd_spec, &g, reterr);
	pid_t            pid = r ? -1 : fork();

	if (!pid)
		guard_go(g);
	if (!r && pid < 0)
		r = err_errno(reterr, errno, "guard: cannot fork");
	guard_down(g); /* the guard's copy of the descriptor holds the lock */
	return r;
}
