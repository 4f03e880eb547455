/* guard-starter.c - a small single-threaded process that forks off guards (see guard.h).
 *
 * Loading all of weir's libraries costs more than the whole sandbox, and a process with threads must not go on after a plain fork. One
 * request (the step's folder and a memory file with what to run) and one answer (code and message) at a time over a socket pair; the end of the parent is its end of file. */
#include "base/base.h"
#include "base/fs.h"
#include "base/title.h"
#include "confine/confine.h"
#include "pipeline/guard-spec.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
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

/* In the child: becomes the guard. */
NORETURN static void become_guard(int fd, const char *dir, int fd_spec)
{
	struct answer    a = { 0 };
	struct err       err = { 0 };
	struct guarding *g = NULL;

	a.code = guard_up(dir, fd_spec, &g, &err) ? err.code : 0;
	snprintf(a.msg, sizeof(a.msg), "%.990s", err.msg);
	(void)!send(fd, &a, sizeof(a), MSG_NOSIGNAL);
	if (a.code)
		_exit(1);
	close(fd);
	close(fd_spec);
	guard_go(g);
}

static void serve_one(int fd, const char *dir, int fd_spec)
{
	struct answer a = { .code = WEIR_EIO };
	pid_t         pid = fork();

	if (!pid)
		become_guard(fd, dir, fd_spec);
	if (pid < 0) {
		snprintf(a.msg, sizeof(a.msg), "cannot fork: %s", strerror(errno));
		(void)!send(fd, &a, sizeof(a), MSG_NOSIGNAL);
	}
}

union one_fd { /* room for one descriptor beside a message */
	struct cmsghdr h;
	char           room[CMSG_SPACE(sizeof(int))];
};

/* A folder and the descriptor of what to run; 0 at the end. */
static ssize_t take_request(int fd, char *dir, size_t size, int *ret_spec)
{
	union one_fd    c = { 0 };
	struct iovec    v = { dir, size - 1 };
	struct msghdr   m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c) };
	struct cmsghdr *h;
	ssize_t         n;

	*ret_spec = -1;
	do
		n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	h = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;
	if (h && h->cmsg_type == SCM_RIGHTS)
		memcpy(ret_spec, CMSG_DATA(h), sizeof(*ret_spec));
	dir[n > 0 ? n : 0] = 0;
	return n;
}

NORETURN static void starter_process(int fd)
{
	char dir[4096];
	int  spec;

	base_set_title("weir guard-starter");
	if (fd > 3)
		(void)syscall(SYS_close_range, 3, fd - 1, 0);
	(void)syscall(SYS_close_range, fd + 1, ~0U, 0);
	setsid(); /* the terminal's Ctrl-C is the parent's business */
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGCHLD, SIG_IGN); /* guards are nobody's to wait for */
	confine_seccomp_warm();
	while (take_request(fd, dir, sizeof(dir), &spec) > 0) {
		serve_one(fd, dir, spec);
		base_cleanup_fd(&spec);
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

/* What to run goes in a memory file: it may be larger than a message. */
static int send_request(int fd, const char *dir, str text, struct err *reterr)
{
	CLEANUP_FD int spec = memfd_create("weir-step", MFD_CLOEXEC);
	union one_fd   c = { 0 };
	struct iovec   v = { (void *)(uintptr_t)dir, strlen(dir) };
	struct msghdr  m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c) };
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	int            r;

	if (spec < 0)
		return err_errno(reterr, errno, "cannot make a memory file");
	r = fs_write_fd(spec, "what a step runs", text, reterr);
	if (r)
		return r;
	if (lseek(spec, 0, SEEK_SET))
		return err_errno(reterr, errno, "what a step runs");
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), &spec, sizeof(spec));
	if (sendmsg(fd, &m, MSG_NOSIGNAL) < 0)
		return err_set(reterr, WEIR_EUNAVAIL, "the process that starts guards has ended");
	return 0;
}

int guard_starter_ask(struct guard_starter *s, const char *dir, str spec, struct err *reterr)
{
	struct answer a = { 0 };
	ssize_t       n = -1;
	int           r;

	pthread_mutex_lock(&s->lock);
	r = send_request(s->fd, dir, spec, reterr);
	while (!r && (n = recv(s->fd, &a, sizeof(a), 0)) < 0 && errno == EINTR)
		;
	if (!r && n != (ssize_t)sizeof(a))
		r = err_set(reterr, WEIR_EUNAVAIL, "the process that starts guards has ended");
	else if (!r && a.code)
		r = err_set(reterr, a.code, "%.990s", a.msg);
	pthread_mutex_unlock(&s->lock);
	return r;
}
