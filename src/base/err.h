/* err.h - how functions of weir fail.
 *
 * A function that can fail returns 0, or the negative of a code of the table below, and fills
 * its last argument `struct err *reterr` (which may be NULL). Library code never logs and never
 * exits: the boundary (request, command, worker turn) logs or prints the error once.
 * A message says what was wrong, where, and what to do; it never contains a secret. */
#ifndef WEIR_BASE_ERR_H
#define WEIR_BASE_ERR_H

#include "base/base.h"

/* name, HTTP status, exit code, retryable by the caller without a change, short text */
#define WEIR_ERR_TABLE(X)                                                                     \
	X(EINVAL, 400, 2, false, "invalid input")                                                 \
	X(EPARSE, 400, 2, false, "cannot be parsed")                                              \
	X(EAUTH, 401, 2, false, "no valid credentials")                                           \
	X(EPERM, 403, 2, false, "not allowed")                                                    \
	X(ENOENT, 404, 2, false, "not found")                                                     \
	X(EMETHOD, 405, 2, false, "method not allowed")                                           \
	X(ECONFLICT, 409, 2, false, "in conflict with the present state")                         \
	X(EEXIST, 409, 2, false, "exists already")                                                \
	X(EGONE, 410, 2, false, "no longer there")                                                \
	X(ELIMIT, 413, 2, false, "over a limit")                                                  \
	X(EREFUSED, 422, 1, false, "refused")                                                     \
	X(EBUSY, 429, 3, true, "busy")                                                            \
	X(EINTERNAL, 500, 2, false, "internal error")                                             \
	X(EIO, 500, 2, true, "input/output error")                                                \
	X(ENOMEM, 503, 3, true, "out of memory")                                                  \
	X(EUNAVAIL, 503, 3, true, "not available")                                                \
	X(ETIMEOUT, 504, 3, true, "timed out")                                                    \
	X(ENOSPC, 507, 3, true, "no space left")                                                  \
	X(ECANCELED, 499, 3, false, "canceled")

enum weir_err {
	WEIR_OK = 0,
#define X(name, http, exit_code, retry, text) WEIR_##name,
	WEIR_ERR_TABLE(X)
#undef X
	WEIR_ERR_MAX
};

struct err {
	int         code; /* enum weir_err, 0 when unset */
	const char *file; /* origin, static text */
	int         line;
	char        msg[1024]; /* NUL-terminated, cut at the end with "..." when longer */
};

/* Fills *e (NULL allowed) and returns -code. Use through err_set()/err_errno(). */
int err_set_at(struct err *e, const char *file, int line, int code, const char *fmt, ...) PRINTF(5, 6);
/* As err_set, with ": " and the text of errno value `errnum` appended; code chosen from errnum
 * (ENOSPC, EDQUOT -> WEIR_ENOSPC; ENOENT -> WEIR_ENOENT; EEXIST -> WEIR_EEXIST; ENOMEM; ETIMEDOUT; else WEIR_EIO). */
int err_errno_at(struct err *e, const char *file, int line, int errnum, const char *fmt, ...) PRINTF(5, 6);
#define err_set(e, code, ...)     err_set_at((e), __FILE__, __LINE__, (code), __VA_ARGS__)
#define err_errno(e, errnum, ...) err_errno_at((e), __FILE__, __LINE__, (errnum), __VA_ARGS__)

/* Puts "context: " in front of the message; returns -e->code (or -WEIR_EINTERNAL when e is NULL or unset). */
int err_wrap(struct err *e, const char *fmt, ...) PRINTF(2, 3);

const char *err_name(int code);        /* "EINVAL"; accepts code or -code */
const char *err_text(int code);        /* "invalid input" */
int         err_http_status(int code); /* 400 */
int         err_exit_code(int code);   /* 2 */
bool        err_retryable(int code);

#endif
