/* guard.c - a guard seen from the runner: start, adopt, watch, stop (see guard.h).
 *
 * Guarantees: whether a guard runs is asked from the kernel (its lock), never from a pid in a file. Functions on one
 * struct guard are for one thread; different guards may be used by different threads. */
#include "base/base.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/proc.h"
#include "pipeline/guard-spec.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct guard {
	char *dir;
	int   fd_status, fd_log, fd_news;
};

struct guard *guard_close(struct guard *g)
{
	if (g) {
		base_cleanup_fd(&g->fd_status);
		base_cleanup_fd(&g->fd_log);
		base_cleanup_fd(&g->fd_news);
		free(g->dir);
		free(g);
	}
	return NULL;
}

static int guard_new(const char *dir, struct guard **ret, struct err *reterr)
{
	struct guard *g = calloc(1, sizeof(*g));

	if (!g || !(g->dir = str_dup(str_z(dir)))) {
		free(g);
		return err_set(reterr, WEIR_ENOMEM, "out of memory");
	}
	g->fd_log = -1;
	g->fd_status = guard_open(dir, "status", O_RDONLY);
	g->fd_news = guard_open(dir, "news", O_RDONLY | O_NONBLOCK);
	if (g->fd_status < 0 || g->fd_news < 0) {
		int e = errno;

		guard_close(g);
		return err_errno(reterr, e, "cannot open the step's folder %s", dir);
	}
	*ret = g;
	return 0;
}

static int make_fifo(const char *dir, const char *name, struct err *reterr)
{
	char path[1100];
	int  r = fs_join(path, sizeof(path), reterr, dir, name);

	if (!r && mkfifo(path, 0600) && errno != EEXIST)
		return err_errno(reterr, errno, "cannot make %s", path);
	return r;
}

int guard_start(struct guard_starter *starter, const char *exe, const char *dir, const struct sandbox_spec *s, int64_t timeout_ms, bool durable, struct guard **ret, struct err *reterr)
{
	const char    *argv[] = { exe, "guard", dir, NULL };
	struct proc_run run = { .argv = argv, .timeout_ms = 30000 };
	CLEANUP_BUF struct buf spec = BUF_INIT(GUARD_SPEC_MAX);
	CLEANUP_FD int status = guard_open(dir, "status", O_CREAT | O_RDWR);
	struct guard  *g = NULL;
	int            r;

	if (status < 0)
		return err_errno(reterr, errno, "cannot write to the step's folder %s", dir);
	r = make_fifo(dir, "stop", reterr);
	if (!r)
		r = make_fifo(dir, "news", reterr);
	if (!r)
		r = guard_spec_write(&spec, s, timeout_ms, durable, reterr);
	if (!r)
		r = guard_new(dir, &g, reterr);
	if (!r)
		run.input = buf_str(&spec);
	if (!r)
		r = starter ? guard_starter_ask(starter, dir, buf_str(&spec), reterr) : proc_run(&run, NULL, reterr);
	if (r) {
		guard_close(g);
		return err_wrap(reterr, "cannot start the guard of a step");
	}
	*ret = g;
	return 0;
}

static bool began(const char *dir)
{
	char path[1100];

	return snprintf(path, sizeof(path), "%s/log", dir) < (int)sizeof(path) && fs_exists(path);
}

/* Is the lock free, that is, has the guard ended? Never waits. */
static bool lock_free(int fd)
{
	if (flock(fd, LOCK_SH | LOCK_NB))
		return false;
	flock(fd, LOCK_UN);
	return true;
}

int guard_adopt(const char *dir, struct guard **ret, struct err *reterr)
{
	struct guard *g;
	char          path[1100];
	int           r = fs_join(path, sizeof(path), reterr, dir, "news");

	*ret = NULL;
	if (r)
		return r;
	if (!fs_exists(path))
		return 0;
	r = guard_new(dir, &g, reterr);
	if (r)
		return r;
	/* between the guard's start and its lock lie microseconds: a second look after a while tells "never began" */
	for (int i = 0; i < 20 && !began(dir) && lock_free(g->fd_status); i++)
		clock_sleep_ms(10);
	if (!began(dir) && lock_free(g->fd_status)) {
		guard_close(g);
		return 0;
	}
	*ret = g;
	return 0;
}

int guard_news_fd(const struct guard *g) { return g->fd_news; }

void guard_clear_news(struct guard *g)
{
	char tmp[4096];

	while (read(g->fd_news, tmp, sizeof(tmp)) > 0)
		;
}

int guard_look(struct guard *g, struct guard_status *ret, struct err *reterr)
{
	bool free_before = lock_free(g->fd_status);
	int  r = guard_status_read(g->fd_status, ret, NULL, reterr);

	if (!r && !free_before)
		ret->end = GUARD_NONE; /* it is on its last steps: one more look when the lock is gone */
	if (r != -WEIR_ENOENT)
		return r;
	*ret = (struct guard_status){ .end = free_before ? GUARD_LOST : GUARD_NONE };
	if (free_before)
		snprintf(ret->text, sizeof(ret->text), "the guard of the step was killed, or the machine went down");
	return 0;
}

ssize_t guard_read_log(struct guard *g, int64_t offset, void *p, size_t n, struct err *reterr)
{
	ssize_t got;

	if (g->fd_log < 0)
		g->fd_log = guard_open(g->dir, "log", O_RDONLY);
	if (g->fd_log < 0)
		return errno == ENOENT ? 0 : err_errno(reterr, errno, "cannot read the log in %s", g->dir);
	do
		got = pread(g->fd_log, p, n, offset);
	while (got < 0 && errno == EINTR);
	return got < 0 ? err_errno(reterr, errno, "cannot read the log in %s", g->dir) : got;
}

void guard_head(const struct guard *g, struct buf *out)
{
	struct guard_status ignored;
	struct err          none;

	if (guard_status_read(g->fd_status, &ignored, out, &none))
		return; /* there is no end yet; the limits are taken all the same */
}

void guard_stop(struct guard *g, bool now)
{
	CLEANUP_FD int fd = guard_open(g->dir, "stop", O_WRONLY | O_NONBLOCK);

	if (fd >= 0 && write(fd, now ? "k" : "s", 1) < 0)
		return; /* no guard reads any more, or it was asked many times before */
}

int guard_wait(struct guard *g, int64_t timeout_ms, struct guard_status *ret, struct err *reterr)
{
	usec_t end = clock_mono_now() + timeout_ms * USEC_PER_MSEC;

	for (;;) {
		struct pollfd p = { .fd = g->fd_news, .events = POLLIN };
		int           r = guard_look(g, ret, reterr);

		if (r || ret->end)
			return r;
		if (timeout_ms >= 0 && clock_mono_now() >= end)
			return err_set(reterr, WEIR_ETIMEOUT, "the step still runs");
		(void)poll(&p, 1, 20);
		if (p.revents & POLLHUP)
			clock_sleep_ms(1);
		guard_clear_news(g);
	}
}
