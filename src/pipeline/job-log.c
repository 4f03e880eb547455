/* job-log.c - logs of steps as append-only files: DATA/logs/runs/RUN/JOB.ATTEMPT/STEP.log.
 *
 * The size of the file is the offset that the server has: bytes are on disk (fdatasync) before their offset is acknowledged, so an acknowledged offset
 * survives a crash. Appending is repeatable: what is there already is left as it is, a gap is refused. As a second line behind the runner's masks,
 * everything that has the form of an access token is overwritten with '*' of the same length. Locks: one of a few per step; any thread. */
#include "base/base.h"

#include "base/fs.h"
#include "base/limits.h"
#include "pipeline/run-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TOKEN_PREFIX = 7, TOKEN_BODY = 46 }; /* "weir_j_" and 40 random and 6 check characters (net/token.h) */

static bool log_path(struct pipeline *p, str run, str job, int64_t attempt, int64_t step, char *out, size_t size)
{
	int n = snprintf(out, size, "%s/%.*s/%.*s.%lld/%lld.log", p->logs, STR_ARG(run), STR_ARG(job), (long long)attempt, (long long)step);

	return n > 0 && (size_t)n < size;
}

static bool is_word(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* Overwrites tokens in place. Returns true when one was there. */
static bool mask_tokens(char *s, size_t n)
{
	bool found = false;

	for (size_t i = 0; i + TOKEN_PREFIX + TOKEN_BODY <= n; i++) {
		size_t k = 0;

		if (memcmp(s + i, "weir_", 5) != 0 || s[i + 6] != '_' || !is_word(s[i + 5]))
			continue;
		while (k < TOKEN_BODY && is_word(s[i + TOKEN_PREFIX + k]))
			k++;
		if (k < TOKEN_BODY)
			continue;
		memset(s + i, '*', TOKEN_PREFIX + TOKEN_BODY);
		found = true;
	}
	return found;
}

static int open_log(struct pipeline *p, const char *path, int *ret, struct err *reterr)
{
	char dir[4096];

	*ret = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (*ret < 0 && errno == ENOENT) {
		(void)snprintf(dir, sizeof(dir), "%s", path);
		*strrchr(dir, '/') = '\0';
		int rc = fs_mkdirs(dir, 0750, reterr);
		if (rc)
			return rc;
		*ret = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	}
	(void)p;
	return *ret < 0 ? err_errno(reterr, errno, "log %s", path) : 0;
}

static int write_at(int fd, const char *path, const char *data, size_t n, int64_t at, struct err *reterr)
{
	while (n) {
		ssize_t w = pwrite(fd, data, n, at);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return err_errno(reterr, errno, "log %s", path);
		data += w;
		n -= (size_t)w;
		at += w;
	}
	return 0;
}

/* Writes `data` behind the `have` bytes that are there. The last bytes of those are looked at again: a token may come in two calls. */
static int append(int fd, const char *path, int64_t have, str data, struct err *reterr)
{
	enum { BACK = TOKEN_PREFIX + TOKEN_BODY - 1 };
	CLEANUP_BUF struct buf all = BUF_INIT(LIMIT_LOG_CHUNK_BYTES + BACK + 1);
	size_t                 back = have < BACK ? (size_t)have : BACK;
	char                  *to = buf_reserve(&all, back + data.len);

	if (!to)
		return buf_check(&all, "log", reterr);
	if (back && pread(fd, to, back, have - (int64_t)back) != (ssize_t)back)
		return err_errno(reterr, errno, "log %s", path);
	memcpy(to + back, data.ptr, data.len);
	bool again = mask_tokens(to, back + data.len);
	int  rc = again ? write_at(fd, path, to, back + data.len, have - (int64_t)back, reterr)
	                : write_at(fd, path, to + back, data.len, have, reterr);
	if (rc == 0 && fdatasync(fd))
		return err_errno(reterr, errno, "log %s", path);
	return rc;
}

static int append_locked(struct pipeline *p, const char *path, int64_t offset, str data, int64_t *ret_next, struct err *reterr)
{
	CLEANUP_FD int fd = -1;
	struct stat    st;
	int            rc = open_log(p, path, &fd, reterr);

	if (rc)
		return rc;
	if (fstat(fd, &st))
		return err_errno(reterr, errno, "log %s", path);
	*ret_next = st.st_size;
	if (offset > st.st_size)
		return err_set(reterr, WEIR_ECONFLICT, "the log has %lld bytes: send from there, not from %lld", (long long)st.st_size, (long long)offset);
	if (offset + (int64_t)data.len <= st.st_size)
		return 0;
	data = str_sub(data, (size_t)(st.st_size - offset), data.len);
	bool full = st.st_size + (int64_t)data.len > LIMIT_STEP_LOG_BYTES;
	if (full)
		data.len = LIMIT_STEP_LOG_BYTES > st.st_size ? (size_t)(LIMIT_STEP_LOG_BYTES - st.st_size) : 0;
	if (data.len)
		rc = append(fd, path, st.st_size, data, reterr);
	if (rc)
		return rc;
	*ret_next = st.st_size + (int64_t)data.len;
	return full ? err_set(reterr, WEIR_ELIMIT, "a step's log is at most %d bytes; the rest is dropped", LIMIT_STEP_LOG_BYTES) : 0;
}

int job_log_append(struct pipeline *p, str run, str job, int64_t attempt, int64_t step, int64_t offset, str data,
                   int64_t *ret_next, struct err *reterr)
{
	char             path[4096];
	pthread_mutex_t *lock = &p->log_locks[(job.len ? (unsigned char)job.ptr[job.len - 1] + (uint64_t)step : 0) % LOG_LOCKS];

	*ret_next = 0;
	if (!log_path(p, run, job, attempt, step, path, sizeof(path)))
		return err_set(reterr, WEIR_EINTERNAL, "the log's path is too long");
	if (data.len > LIMIT_LOG_CHUNK_BYTES)
		return err_set(reterr, WEIR_ELIMIT, "at most %d log bytes in one call", LIMIT_LOG_CHUNK_BYTES);
	pthread_mutex_lock(lock);
	int rc = append_locked(p, path, offset, data, ret_next, reterr);
	pthread_mutex_unlock(lock);
	return rc;
}

int64_t job_log_size(struct pipeline *p, str run, str job, int64_t attempt, int64_t step)
{
	char        path[4096];
	struct stat st;

	return log_path(p, run, job, attempt, step, path, sizeof(path)) && stat(path, &st) == 0 ? st.st_size : 0;
}

int job_log_read(struct pipeline *p, str run, str job, int64_t attempt, int64_t step, int64_t offset, struct buf *out,
                 int64_t *ret_total, struct err *reterr)
{
	char           path[4096];
	CLEANUP_FD int fd = -1;
	struct stat    st;

	*ret_total = 0;
	if (!log_path(p, run, job, attempt, step, path, sizeof(path)))
		return err_set(reterr, WEIR_EINTERNAL, "the log's path is too long");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_errno(reterr, errno, "log %s", path);
	if (fstat(fd, &st))
		return err_errno(reterr, errno, "log %s", path);
	*ret_total = st.st_size;
	if (offset >= st.st_size)
		return 0;
	size_t n = (size_t)(st.st_size - offset), room = out->max - out->len;
	n = n < room ? n : room;
	char *to = buf_reserve(out, n);
	if (!to)
		return buf_check(out, "log", reterr);
	ssize_t got = pread(fd, to, n, offset);
	if (got < 0)
		return err_errno(reterr, errno, "log %s", path);
	out->len += (size_t)got;
	return 0;
}
