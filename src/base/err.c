/* err.c - error codes and messages (see err.h). Thread-safe: works on the caller's struct only. */
#include "base/base.h"
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <unistd.h>

static const struct err_info {
	const char *name, *text;
	int         http, exit_code;
	bool        retry;
} err_table[WEIR_ERR_MAX] = {
#define X(n, http_, exit_, retry_, text_) [WEIR_##n] = { #n, text_, http_, exit_, retry_ },
	WEIR_ERR_TABLE(X)
#undef X
};

static const struct err_info *err_info(int code)
{
	int c = code < 0 ? -code : code;

	return c > 0 && c < WEIR_ERR_MAX ? &err_table[c] : &err_table[WEIR_EINTERNAL];
}

const char *err_name(int code) { return err_info(code)->name; }
const char *err_text(int code) { return err_info(code)->text; }
int err_http_status(int code) { return err_info(code)->http; }
int err_exit_code(int code) { return err_info(code)->exit_code; }
bool err_retryable(int code) { return err_info(code)->retry; }

static void err_mark_cut(struct err *e, size_t wanted)
{
	if (wanted >= sizeof(e->msg))
		memcpy(e->msg + sizeof(e->msg) - 4, "...", 4);
}

int err_set_at(struct err *e, const char *file, int line, int code, const char *fmt, ...)
{
	va_list ap;
	int     n;

	if (!e)
		return -code;
	e->code = code;
	e->file = file;
	e->line = line;
	va_start(ap, fmt);
	n = vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	va_end(ap);
	err_mark_cut(e, n < 0 ? 0 : (size_t)n);
	return -code;
}

static int err_code_of_errno(int errnum)
{
	switch (errnum) {
	case ENOSPC:
	case EDQUOT: return WEIR_ENOSPC;
	case ENOENT: return WEIR_ENOENT;
	case EEXIST: return WEIR_EEXIST;
	case ENOMEM: return WEIR_ENOMEM;
	case EACCES:
	case EPERM: return WEIR_EPERM;
	case ETIMEDOUT: return WEIR_ETIMEOUT;
	case ECONNREFUSED: return WEIR_EUNAVAIL;
	default: return WEIR_EIO;
	}
}

int err_errno_at(struct err *e, const char *file, int line, int errnum, const char *fmt, ...)
{
	char        text[128];
	va_list     ap;
	size_t      used;
	int         n, code = err_code_of_errno(errnum);
	const char *why = strerror_r(errnum, text, sizeof(text));

	if (!e)
		return -code;
	e->code = code;
	e->file = file;
	e->line = line;
	va_start(ap, fmt);
	n = vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	va_end(ap);
	used = n < 0 ? 0 : (size_t)n < sizeof(e->msg) ? (size_t)n : sizeof(e->msg) - 1;
	n = snprintf(e->msg + used, sizeof(e->msg) - used, ": %s", why);
	err_mark_cut(e, used + (n < 0 ? 0 : (size_t)n));
	return -code;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
	char    old[sizeof(e->msg)];
	va_list ap;
	size_t  used;
	int     n;

	if (!e)
		return -WEIR_EINTERNAL;
	memcpy(old, e->msg, sizeof(old));
	va_start(ap, fmt);
	n = vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	va_end(ap);
	used = n < 0 ? 0 : (size_t)n < sizeof(e->msg) ? (size_t)n : sizeof(e->msg) - 1;
	n = snprintf(e->msg + used, sizeof(e->msg) - used, ": %s", old);
	err_mark_cut(e, used + (n < 0 ? 0 : (size_t)n));
	return e->code ? -e->code : -WEIR_EINTERNAL;
}

void base_cleanup_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void base_bug(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "BUG %s:%d: ", file, line);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	abort();
}
