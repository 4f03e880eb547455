/* guard-spec.c - reading and writing a step's spec and status files.
 *
 * Spec: NUL-ended words "key", "value", ... (environment values may hold any byte but NUL, so no JSON). Status: one line of words. Both
 * are private to one version of weir on one machine; a file that cannot be read is an error, never a guess. */
#include "base/base.h"
#include "base/fs.h"
#include "pipeline/guard-spec.h"

#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#define SPEC_MAX (8 << 20)

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

int guard_spec_write(const char *dir, const struct sandbox_spec *s, int64_t timeout_ms, bool durable, struct err *reterr)
{
	CLEANUP_BUF struct buf b = BUF_INIT(SPEC_MAX);
	char                   path[1100];
	int                    r;

	word(&b, "job_dir", s->job_dir);
	word(&b, "secret_dir", s->secret_dir);
	word(&b, "weir_exe", s->weir_exe);
	word(&b, "cwd", s->cwd);
	word(&b, "writable", s->writable);
	word(&b, "cgroup", s->cgroup);
	word_int(&b, "slot", s->slot);
	word_int(&b, "memory", (int64_t)s->memory_bytes_max);
	word_int(&b, "pids", (int64_t)s->pids_max);
	word_int(&b, "timeout_ms", timeout_ms);
	word_int(&b, "durable", durable);
	for (size_t i = 0; s->argv[i]; i++)
		word(&b, "argv", s->argv[i]);
	for (size_t i = 0; s->env[i]; i++)
		word(&b, "env", s->env[i]);
	r = buf_check(&b, "command and environment of a step", reterr);
	if (!r)
		r = fs_join(path, sizeof(path), reterr, dir, "spec");
	return r ? r : fs_write_quick(path, buf_str(&b), 0600, reterr);
}

static bool spec_take(struct guard_spec *s, const char *key, const char *value, size_t *n_argv, size_t *n_env)
{
	const struct {
		const char *name;
		const char **to;
	} texts[] = { { "job_dir", &s->sandbox.job_dir }, { "secret_dir", &s->sandbox.secret_dir }, { "weir_exe", &s->sandbox.weir_exe },
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

int guard_spec_read(const char *dir, struct guard_spec *s, struct err *reterr)
{
	char   path[1100];
	size_t words = 0, n_argv = 0, n_env = 0;
	int    r = fs_join(path, sizeof(path), reterr, dir, "spec");

	*s = (struct guard_spec){ .text = BUF_INIT(SPEC_MAX) };
	if (!r)
		r = fs_read(path, &s->text, reterr);
	if (r)
		return r;
	for (size_t i = 0; i < s->text.len; i++)
		words += !s->text.ptr[i];
	s->argv = calloc(words + 1, sizeof(*s->argv));
	s->env = calloc(words + 1, sizeof(*s->env));
	if (!s->argv || !s->env)
		return err_set(reterr, WEIR_ENOMEM, "%s: out of memory", path);
	for (const char *p = s->text.ptr, *end = p + s->text.len; p < end;) {
		const char *value = p + strlen(p) + 1;

		if (value >= end || !spec_take(s, p, value, &n_argv, &n_env))
			return err_set(reterr, WEIR_EPARSE, "%s: not a step of this version of weir", path);
		p = value + strlen(value) + 1;
	}
	if (!s->sandbox.job_dir || !s->sandbox.cwd || !n_argv)
		return err_set(reterr, WEIR_EPARSE, "%s: incomplete", path);
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

int guard_status_write(const char *dir, const struct guard_status *st, bool durable, struct err *reterr)
{
	char line[512], path[1100];
	int  r = fs_join(path, sizeof(path), reterr, dir, "status");

	snprintf(line, sizeof(line), "%d %d %d %" PRId64 " %" PRId64 " %s\n", (int)st->end, st->exit_status, st->log_cut, st->started,
	         st->ended, st->text);
	if (r)
		return r;
	return durable ? fs_write_atomic(path, str_z(line), 0600, reterr) : fs_write_quick(path, str_z(line), 0600, reterr);
}

int guard_status_read(const char *dir, struct guard_status *ret, struct err *reterr)
{
	CLEANUP_BUF struct buf b = BUF_INIT(1024);
	char                   path[1100];
	int64_t                v[5];
	str                    rest;
	int                    r = fs_join(path, sizeof(path), reterr, dir, "status");

	if (!r)
		r = fs_read(path, &b, reterr);
	if (r)
		return r;
	rest = buf_str(&b);
	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		str w;

		if (!str_cut(rest, ' ', &w, &rest) || !str_to_i64(w, &v[i]))
			return err_set(reterr, WEIR_EPARSE, "%s: not a status", path);
	}
	*ret = (struct guard_status){ .end = (enum guard_end)v[0], .exit_status = (int)v[1], .log_cut = v[2] != 0, .started = v[3], .ended = v[4] };
	rest = str_trim(rest);
	snprintf(ret->text, sizeof(ret->text), "%.*s", STR_ARG(rest));
	return 0;
}
