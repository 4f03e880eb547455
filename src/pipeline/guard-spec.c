/* guard-spec.c - reading and writing what a guard is told and its status file.
 *
 * Spec: NUL-ended words "key", "value", ... (environment values may hold any byte but NUL, so no JSON). Status: see guard.h. Both
 * are private to one version of weir on one machine; a file that cannot be read is an error, never a guess. */
#include "base/base.h"
#include "base/fs.h"
#include "pipeline/guard-spec.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

int guard_open(const char *dir, const char *name, int flags)
{
	char path[1100];

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return -1;
	return open(path, flags | O_CLOEXEC, 0600);
}

static void word(struct buf *b, const char *key, const char *value)
{
	if (!value)
		return;
	buf_add(b, key, strlen(key) + 1);
	buf_add(b, value, strlen(value) + 1);
}

static void word_int(struct buf *b, const char *key, int64_t v)
{
	char num[32];

	snprintf(num, sizeof(num), "%" PRId64, v);
	word(b, key, num);
}

int guard_spec_write(struct buf *b, const struct sandbox_spec *s, int64_t timeout_ms, bool durable, struct err *reterr)
{
	word(b, "job_dir", s->job_dir);
	word(b, "secret_dir", s->secret_dir);
	word(b, "weir_exe", s->weir_exe);
	word(b, "etc_dir", s->etc_dir);
	word(b, "cwd", s->cwd);
	word(b, "writable", s->writable);
	word(b, "cgroup", s->cgroup);
	word_int(b, "slot", s->slot);
	word_int(b, "memory", (int64_t)s->memory_bytes_max);
	word_int(b, "pids", (int64_t)s->pids_max);
	word_int(b, "timeout_ms", timeout_ms);
	word_int(b, "durable", durable);
	for (size_t i = 0; s->argv[i]; i++)
		word(b, "argv", s->argv[i]);
	for (size_t i = 0; s->env[i]; i++)
		word(b, "env", s->env[i]);
	return buf_check(b, "command and environment of a step", reterr);
}

static bool spec_take(struct guard_spec *s, const char *key, const char *value, size_t *n_argv, size_t *n_env)
{
	const struct {
		const char *name;
		const char **to;
	} texts[] = { { "job_dir", &s->sandbox.job_dir }, { "secret_dir", &s->sandbox.secret_dir }, { "weir_exe", &s->sandbox.weir_exe }, { "etc_dir", &s->sandbox.etc_dir },
		          { "cwd", &s->sandbox.cwd }, { "writable", &s->sandbox.writable }, { "cgroup", &s->sandbox.cgroup } };
	int64_t v;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (!strcmp(key, texts[i].name)) {
			*texts[i].to = value;
			return true;
		}
	if (!strcmp(key, "argv"))
		return (s->argv[(*n_argv)++] = value) != NULL;
	if (!strcmp(key, "env"))
		return (s->env[(*n_env)++] = value) != NULL;
	if (!str_to_i64(str_z(value), &v))
		return false;
	if (!strcmp(key, "slot"))
		s->sandbox.slot = (unsigned)v;
	else if (!strcmp(key, "memory"))
		s->sandbox.memory_bytes_max = (uint64_t)v;
	else if (!strcmp(key, "pids"))
		s->sandbox.pids_max = (uint64_t)v;
	else if (!strcmp(key, "timeout_ms"))
		s->timeout_ms = v;
	else if (!strcmp(key, "durable"))
		s->durable = v != 0;
	else
		return false;
	return true;
}

int guard_spec_read(int fd, struct guard_spec *s, struct err *reterr)
{
	size_t words = 0, n_argv = 0, n_env = 0;
	int    r;

	*s = (struct guard_spec){ .text = BUF_INIT(GUARD_SPEC_MAX) };
	r = fs_read_fd(fd, "guard", &s->text, reterr);
	if (r)
		return r;
	for (size_t i = 0; i < s->text.len; i++)
		words += !s->text.ptr[i];
	s->argv = calloc(words + 1, sizeof(*s->argv));
	s->env = calloc(words + 1, sizeof(*s->env));
	if (!s->argv || !s->env)
		return err_set(reterr, WEIR_ENOMEM, "guard: out of memory");
	for (const char *p = buf_z(&s->text), *end = p + s->text.len; p < end;) {
		const char *value = p + strlen(p) + 1;

		if (value >= end || !spec_take(s, p, value, &n_argv, &n_env))
			return err_set(reterr, WEIR_EPARSE, "guard: what it was given is not a step of this version of weir");
		p = value + strlen(value) + 1;
	}
	if (!s->sandbox.job_dir || !s->sandbox.cwd || !n_argv)
		return err_set(reterr, WEIR_EPARSE, "guard: what it was given is incomplete");
	s->sandbox.argv = s->argv;
	s->sandbox.env = s->env;
	return 0;
}

void guard_spec_fini(struct guard_spec *s)
{
	buf_fini(&s->text);
	free(s->argv);
	free(s->env);
}

int guard_limits_write(int fd, const char *limits, struct err *reterr)
{
	char line[256];

	snprintf(line, sizeof(line), "%.250s\n", limits);
	return fs_write_fd(fd, "status of a step", str_z(line), reterr);
}

int guard_status_write(int fd, const char *dir, const struct guard_status *st, struct err *reterr)
{
	char           line[512];
	int            r, n = snprintf(line, sizeof(line), "%d %d %d %" PRId64 " %" PRId64 " %s", (int)st->end, st->exit_status, st->log_cut, st->started, st->ended, st->text);
	CLEANUP_FD int parent = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	r = fs_write_fd(fd, "status of a step", str_n(line, (size_t)n + 1), reterr);
	if (!r && dir && (parent < 0 || fsync(fd) || fsync(parent)))
		r = err_errno(reterr, errno, "%s: cannot sync the status of a step", dir);
	return r;
}

int guard_status_read(int fd, struct guard_status *ret, struct buf *limits, struct err *reterr)
{
	char    text[1024];
	int64_t v[5];
	str     rest, line;
	ssize_t n;

	do
		n = pread(fd, text, sizeof(text), 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_errno(reterr, errno, "cannot read the status of a step");
	rest = str_n(text, (size_t)n);
	if (!str_cut(rest, '\n', &line, &rest))
		return err_set(reterr, WEIR_ENOENT, "the step has no status");
	if (limits)
		buf_add_str(limits, line);
	if (!rest.len || rest.ptr[rest.len - 1])
		return err_set(reterr, WEIR_ENOENT, "the step has no status");
	rest.len--;
	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		str w;

		if (!str_cut(rest, ' ', &w, &rest) || !str_to_i64(w, &v[i]))
			return err_set(reterr, WEIR_EPARSE, "the status of a step cannot be read");
	}
	*ret = (struct guard_status){ .end = (enum guard_end)v[0], .exit_status = (int)v[1], .log_cut = v[2] != 0, .started = v[3], .ended = v[4] };
	rest = str_trim(rest);
	snprintf(ret->text, sizeof(ret->text), "%.*s", STR_ARG(rest));
	return 0;
}
