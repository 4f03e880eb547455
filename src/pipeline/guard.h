/* guard.h - a small process per step that outlives the runner and the server.
 *
 * The step's folder is everything they share:
 *   status    held by the guard with flock() as long as it lives: the kernel answers "is it running?", no pid can be mistaken. Only appended to:
 *             a line with the limits that hold, at last how the step ended and a NUL, fsync'd. Without the NUL and the lock the guard was killed
 *   log       output of the step, only ever appended to; it exists once the guard began
 *   stop      fifo: a byte in it asks the guard to stop the step ('k': at once)
 *   news      fifo: the guard writes a byte per piece of log; its end of file is the guard's end
 * What to run is handed over in memory and never a file: it holds the secrets of the step's environment. Few files on purpose: on a busy disk making
 * them costs more than the sandbox.
 * Stopping goes SIGINT, 7.5 s later SIGTERM, 2.5 s later SIGKILL to the whole process tree, as GitHub's runner does; a time-out goes the same way.
 * A guard that is killed takes its step with it (bubblewrap dies with its parent): the step then ended with GUARD_LOST, and is not run again. */
#ifndef WEIR_PIPELINE_GUARD_H
#define WEIR_PIPELINE_GUARD_H

#include "base/base.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "pipeline/sandbox.h"

enum guard_end {
	GUARD_NONE,     /* still running */
	GUARD_EXITED,   /* the program ended by itself: exit status */
	GUARD_TIMEOUT,  /* stopped past its time limit */
	GUARD_STOPPED,  /* stopped on request */
	GUARD_SANDBOX,  /* the sandbox could not be set up; text says why */
	GUARD_LOST,     /* the guard ended without a status: killed, or the machine went down */
};

struct guard_status {
	enum guard_end end;
	int            exit_status; /* 0..255, 128+signal */
	bool           log_cut;     /* output past LIMIT_STEP_LOG_BYTES was dropped */
	usec_t         started, ended; /* wall; 0 when lost */
	char           text[256];
};

struct guard; /* a running or ended guard, seen from the runner */

/* Starts guards without loading the whole program again for each step: a process forked off while its parent had one thread, which forks
 * once per guard. It ends with its parent; the guards do not. Any thread may use it. */
struct guard_starter;
/* Before the first thread is made. */
MUST_CHECK int guard_starter_new(struct guard_starter **ret, struct err *reterr);
struct guard_starter *guard_starter_free(struct guard_starter *s);

/* Starts a guard for the step in `dir` (made by the caller; must not hold a former step). With starter NULL, exe is called as
 * `EXE guard DIR` with what to run on its standard input. timeout_ms 0: none. durable: the status is to survive the machine's fall (fsync). Returns when the guard holds its lock. */
MUST_CHECK int guard_start(struct guard_starter *starter, const char *exe, const char *dir, const struct sandbox_spec *s, int64_t timeout_ms, bool durable, struct guard **ret,
                           struct err *reterr);
/* Takes up a guard that an earlier runner started. *ret NULL: none ever began in dir (it may be started anew). */
MUST_CHECK int guard_adopt(const char *dir, struct guard **ret, struct err *reterr);
struct guard *guard_close(struct guard *g); /* leaves the guard alone; returns NULL */
/* Readable when there may be news; see guard_clear_news(). */
int  guard_news_fd(const struct guard *g);
void guard_clear_news(struct guard *g);
/* end == GUARD_NONE while it runs. */
MUST_CHECK int guard_look(struct guard *g, struct guard_status *ret, struct err *reterr);
/* Reads log bytes from offset; 0 at the present end. */
MUST_CHECK ssize_t guard_read_log(struct guard *g, int64_t offset, void *p, size_t n, struct err *reterr);
/* The limits line; empty before the sandbox is up. */
void guard_head(const struct guard *g, struct buf *out);
/* Asks it to stop; repeated calls are harmless. now: SIGKILL at once (the job is no longer ours). */
void guard_stop(struct guard *g, bool now);
/* Waits for the end, at most timeout_ms (-1: none): -WEIR_ETIMEOUT. For tests and simple callers. */
MUST_CHECK int guard_wait(struct guard *g, int64_t timeout_ms, struct guard_status *ret, struct err *reterr);

/* The guard itself (`weir guard DIR`); fd_spec: what to run. Returns in the first process when the guard is up (0) or failed; the guard never returns. */
MUST_CHECK int guard_main(const char *dir, int fd_spec, struct err *reterr);

#endif
