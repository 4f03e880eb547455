/* proc.c - child processes (see proc.h). Thread-safe: pipes are O_CLOEXEC, waiting is by pid. */
#include "base/base.h"
#include "base/proc.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int proc_spawn(const struct proc_spec *spec, pid_t *ret_pid, struct err *reterr)
{
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t          at;
	sigset_t                   none, defaults;
	short                      flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
	pid_t                      pid;
	int                        r;

	if (posix_spawn_file_actions_init(&fa) || posix_spawnattr_init(&at))
		return err_set(reterr, WEIR_ENOMEM, "cannot start %s: out of memory", spec->argv[0]);
	sigemptyset(&none);
	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	sigaddset(&defaults, SIGTERM);
	sigaddset(&defaults, SIGINT);
	sigaddset(&defaults, SIGHUP);
	posix_spawnattr_setsigmask(&at, &none);
	posix_spawnattr_setsigdefault(&at, &defaults);
	if (spec->new_session)
		flags |= POSIX_SPAWN_SETSID;
	posix_spawnattr_setflags(&at, flags);
	r = spec->fd_in >= 0 ? posix_spawn_file_actions_adddup2(&fa, spec->fd_in, 0)
	                     : posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
	if (!r && spec->fd_out >= 0)
		r = posix_spawn_file_actions_adddup2(&fa, spec->fd_out, 1);
	if (!r && spec->fd_err >= 0)
		r = posix_spawn_file_actions_adddup2(&fa, spec->fd_err, 2);
	if (!r && spec->cwd)
		r = posix_spawn_file_actions_addchdir_np(&fa, spec->cwd);
	if (!r)
		r = posix_spawnp(&pid, spec->argv[0], &fa, &at, (char *const *)(uintptr_t)spec->argv,
		                 spec->env ? (char *const *)(uintptr_t)spec->env : environ);
	posix_spawn_file_actions_destroy(&fa);
	posix_spawnattr_destroy(&at);
	if (r)
		return err_errno(reterr, r, "cannot start %s", spec->argv[0]);
	*ret_pid = pid;
	return 0;
}

static int proc_status(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

int proc_wait(pid_t pid, int *ret_status, struct err *reterr)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_errno(reterr, errno, "cannot wait for process %d", (int)pid);
	*ret_status = proc_status(status);
	return 0;
}

int proc_wait_timeout(pid_t pid, int64_t timeout_ms, int *ret_status, struct err *reterr)
{
	CLEANUP_FD int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd  p = { .fd = fd, .events = POLLIN };
	usec_t         end = clock_mono_now() + timeout_ms * USEC_PER_MSEC;

	if (fd < 0)
		return err_errno(reterr, errno, "cannot watch process %d", (int)pid);
	for (;;) {
		usec_t left = end - clock_mono_now();
		int    n = poll(&p, 1, left > 0 ? (int)((left + 999) / 1000) : 0);

		if (n > 0)
			return proc_wait(pid, ret_status, reterr);
		if (n < 0 && errno != EINTR)
			return err_errno(reterr, errno, "cannot watch process %d", (int)pid);
		if (left <= 0)
			return err_set(reterr, WEIR_ETIMEOUT, "process %d still runs after %lld ms", (int)pid,
			               (long long)timeout_ms);
	}
}

struct run_pipes {
	int in[2], out[2], err[2];
};

static void pipes_close(struct run_pipes *p)
{
	int *fds[] = { &p->in[0], &p->in[1], &p->out[0], &p->out[1], &p->err[0], &p->err[1] };

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		base_cleanup_fd(fds[i]);
}

/* One readable pipe: appends to `to` (NULL: discards). False: the end was met (fd closed). */
static void run_take(int *fd, struct buf *to, bool cut, bool *over)
{
	char    tmp[32 << 10];
	ssize_t n = read(*fd, tmp, sizeof(tmp));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		base_cleanup_fd(fd);
		return;
	}
	if (!to)
		return;
	if ((size_t)n > to->max - to->len) {
		if (!cut)
			*over = true;
		n = (ssize_t)(to->max - to->len);
	}
	buf_add(to, tmp, (size_t)n);
}

/* Writes a piece of *in; closes *fd at its end, and when nobody reads any more. */
static void run_give(int *fd, str *in)
{
	ssize_t n = write(*fd, in->ptr, in->len < 65536 ? in->len : 65536);

	if (n > 0)
		*in = str_sub(*in, (size_t)n, in->len);
	if (!in->len || (n < 0 && errno != EINTR && errno != EAGAIN))
		base_cleanup_fd(fd);
}

/* Moves input and output until both outputs are at their end. 0, -WEIR_ETIMEOUT or -WEIR_ELIMIT. */
static int run_pump(const struct proc_run *run, struct run_pipes *p, struct buf *errbuf, struct err *reterr)
{
	usec_t end = run->timeout_ms ? clock_mono_now() + run->timeout_ms * USEC_PER_MSEC : 0;
	str    in = run->input;
	bool   over = false;

	if (!in.len)
		base_cleanup_fd(&p->in[1]);
	while (p->out[0] >= 0 || p->err[0] >= 0) {
		struct pollfd f[3] = { { p->out[0], POLLIN, 0 }, { p->err[0], POLLIN, 0 }, { p->in[1], POLLOUT, 0 } };
		usec_t        left = end ? end - clock_mono_now() : 0;

		if (end && left <= 0)
			return err_set(reterr, WEIR_ETIMEOUT, "%s: still running after %lld ms", run->argv[0],
			               (long long)run->timeout_ms);
		if (poll(f, 3, end ? (int)((left + 999) / 1000) : -1) < 0 && errno != EINTR)
			return err_errno(reterr, errno, "%s: poll", run->argv[0]);
		if (f[0].revents)
			run_take(&p->out[0], run->out, false, &over);
		if (f[1].revents)
			run_take(&p->err[0], errbuf, true, &over);
		if (f[2].revents)
			run_give(&p->in[1], &in);
		if (over)
			return err_set(reterr, WEIR_ELIMIT, "%s: wrote more than %zu bytes", run->argv[0], run->out->max);
	}
	return 0;
}

int proc_run(const struct proc_run *run, int *ret_status, struct err *reterr)
{
	CLEANUP_BUF struct buf own = BUF_INIT(4096);
	struct buf            *errbuf = run->err ? run->err : &own;
	struct run_pipes       p = { { -1, -1 }, { -1, -1 }, { -1, -1 } };
	struct proc_spec       spec = PROC_SPEC_INIT;
	pid_t                  pid = -1;
	int                    r, status;
	str                    first;

	if (pipe2(p.in, O_CLOEXEC) || pipe2(p.out, O_CLOEXEC) || pipe2(p.err, O_CLOEXEC)) {
		r = err_errno(reterr, errno, "%s: cannot make pipes", run->argv[0]);
		pipes_close(&p);
		return r;
	}
	fcntl(p.in[1], F_SETFL, O_NONBLOCK);
	spec.argv = run->argv;
	spec.env = run->env;
	spec.cwd = run->cwd;
	spec.fd_in = p.in[0];
	spec.fd_out = p.out[1];
	spec.fd_err = p.err[1];
	r = proc_spawn(&spec, &pid, reterr);
	if (r) {
		pipes_close(&p);
		return r;
	}
	base_cleanup_fd(&p.in[0]);
	base_cleanup_fd(&p.out[1]);
	base_cleanup_fd(&p.err[1]);
	r = run_pump(run, &p, errbuf, reterr);
	if (r)
		kill(pid, SIGKILL);
	pipes_close(&p);
	int w = proc_wait(pid, &status, r ? NULL : reterr);

	if (r || w)
		return r ? r : w;
	if (ret_status) {
		*ret_status = status;
		return 0;
	}
	if (!status)
		return 0;
	str_cut(str_trim(buf_str(errbuf)), '\n', &first, NULL);
	return err_set(reterr, WEIR_EIO, "%s: exit status %d: %.*s", run->argv[0], status, STR_ARG(str_sub(first, 0, 500)));
}
