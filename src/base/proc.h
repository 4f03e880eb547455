/* proc.h - child processes, started from an argument list; never through a shell.
 *
 * Children are made with vfork semantics (posix_spawn) so that a large threaded parent is cheap; descriptors other
 * than the ones given are closed in the child (all of weir's are O_CLOEXEC). */
#ifndef WEIR_BASE_PROC_H
#define WEIR_BASE_PROC_H

#include "base/base.h"
#include "base/err.h"
#include "base/str.h"

#include <sys/types.h>

struct proc_spec {
	const char *const *argv; /* NULL-ended; argv[0] is looked up in PATH when it has no slash */
	const char *const *env;  /* NULL-ended "K=V"; NULL: the parent's environment */
	const char *cwd;         /* NULL: the parent's */
	int         fd_in, fd_out, fd_err; /* -1: /dev/null for in, the parent's for out and err */
	bool        new_session; /* setsid: signals to the parent's terminal group do not reach it */
};
#define PROC_SPEC_INIT { .argv = NULL, .fd_in = -1, .fd_out = -1, .fd_err = -1 }

/* Starts the program; *ret_pid is to be waited for by the caller. A program that cannot be executed is -WEIR_ENOENT
 * or -WEIR_EPERM with its name. */
MUST_CHECK int proc_spawn(const struct proc_spec *spec, pid_t *ret_pid, struct err *reterr);
/* Waits for the end. *ret_status: exit code 0..255, or 128+signal. */
MUST_CHECK int proc_wait(pid_t pid, int *ret_status, struct err *reterr);
/* As proc_wait, for at most timeout_ms (-WEIR_ETIMEOUT then; the child goes on). 0 only looks. */
MUST_CHECK int proc_wait_timeout(pid_t pid, int64_t timeout_ms, int *ret_status, struct err *reterr);

struct proc_run {
	const char *const *argv;
	const char *const *env; /* NULL: the parent's */
	const char *cwd;        /* NULL: the parent's */
	str         input;      /* fed to its standard input */
	int64_t     timeout_ms; /* 0: none; past it the child gets SIGKILL and the call -WEIR_ETIMEOUT */
	struct buf *out;        /* standard output; NULL: discarded. Past its max: SIGKILL, -WEIR_ELIMIT */
	struct buf *err;        /* standard error; NULL: discarded; may be the same buf as out. Cut at its max */
};
/* Runs a program to its end. 0 whenever it ran: the exit status (as proc_wait) is in *ret_status, NULL: a status other
 * than 0 is -WEIR_EIO with the first line of what it wrote to standard error. */
MUST_CHECK int proc_run(const struct proc_run *run, int *ret_status, struct err *reterr);

#endif
