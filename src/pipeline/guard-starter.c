/* guard-starter.c - a small single-threaded process that forks off guards (see guard.h).
 *
 * Loading all of weir's libraries costs more than the whole sandbox, and a process with threads must not go on after a plain fork. One
 * request (the step's folder) and one answer (code and message) at a time over a socket pair; the end of the parent is its end of file. */
#include "base/base.h"
#include "base/title.h"
#include "pipeline/guard-spec.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct guard_starter {
	pthread_mutex_t lock;
	pid_t           pid;
	int             fd;
};
struct answer {
	int  code;
	char msg[1000];
};

static void serve_one(int fd, const char *dir)
{
	struct answer a = { 0 };
	struct err    err = { 0 };
	int           status;
	pid_t         pid = fork();

	if (pid < 0) {
		a.code = WEIR_EIO;
		snprintf(a.msg, sizeof(a.msg), "cannot fork: %s", strerror(errno));
		(void)!send(fd, &a, sizeof(a), MSG_NOSIGNAL);
		return;
	}
	if (pid) {
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		return;
	}
	/* here the guard is forked once more; this process answers when it is up */
	a.code = guard_main(dir, &err) ? err.code : 0;
	snprintf(a.msg, sizeof(a.msg), "%.990s", err.msg);
	(void)!send(fd, &a, sizeof(a), MSG_NOSIGNAL);
	_exit(0);
}

NORETURN static void starter_process(int fd)
{
	char    dir[4096];
	ssize_t n;

	base_set_title("weir guard-starter");
	if (fd > 3)
		(void)syscall(SYS_close_range, 3, fd - 1, 0);
	(void)syscall(SYS_close_range, fd + 1, ~0U, 0);
	setsid(); /* the terminal's Ctrl-C is the parent's business */
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	while ((n = recv(fd, dir, sizeof(dir) - 1, 0)) > 0 || (n < 0 && errno == EINTR)) {
		if (n < 0)
			continue;
		dir[n] = 0;
		serve_one(fd, dir);
	}
	_exit(0);
}

int guard_starter_new(struct guard_starter **ret, struct err *reterr)
{
	struct guard_starter *s = calloc(1, sizeof(*s));
	int                   fds[2];

	if (!s)
		return err_set(reterr, WEIR_ENOMEM, "out of memory");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds)) {
		free(s);
		return err_errno(reterr, errno, "cannot make a socket pair");
	}
	s->pid = fork();
	if (!s->pid)
		starter_process(fds[1]);
	close(fds[1]);
	s->fd = fds[0];
	pthread_mutex_init(&s->lock, NULL);
	if (s->pid < 0) {
		int e = errno;

		s->pid = 0;
		guard_starter_free(s);
		return err_errno(reterr, e, "cannot fork");
	}
	*ret = s;
	return 0;
}

struct guard_starter *guard_starter_free(struct guard_starter *s)
{
	int status;

	if (!s)
		return NULL;
	close(s->fd);
	while (s->pid > 0 && waitpid(s->pid, &status, 0) < 0 && errno == EINTR)
		;
	pthread_mutex_destroy(&s->lock);
	free(s);
	return NULL;
}

int guard_starter_ask(struct guard_starter *s, const char *dir, struct err *reterr)
{
	struct answer a = { 0 };
	ssize_t       n;
	int           r = 0;

	pthread_mutex_lock(&s->lock);
	n = send(s->fd, dir, strlen(dir), MSG_NOSIGNAL);
	while (n >= 0 && (n = recv(s->fd, &a, sizeof(a), 0)) < 0 && errno == EINTR)
		;
	if (n != (ssize_t)sizeof(a))
		r = err_set(reterr, WEIR_EUNAVAIL, "the process that starts guards has ended");
	else if (a.code)
		r = err_set(reterr, a.code, "%.990s", a.msg);
	pthread_mutex_unlock(&s->lock);
	return r;
}
