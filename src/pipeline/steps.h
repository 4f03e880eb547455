/* steps.h - one job on a runner: its steps one after the other, each in a sandbox under a guard.
 *
 * A job lives in its folder: spec.json (what the server gave, protocol.md), state.json (rewritten atomically at each transition), box/ (what the
 * sandbox sees), steps/N/ (the guard's files, and `out`: the log as it may leave the runner, masked). Who delivers it (the runner over
 * HTTP, `weir run` to a terminal) looks at the views and reads `out`; the job never waits for that. A process that is killed at any moment and
 * opens the folder again goes on: finished steps are not run again, a running one is taken up.
 * job_run() belongs to one thread; views, cancel and detach may be called from others. */
#ifndef WEIR_PIPELINE_STEPS_H
#define WEIR_PIPELINE_STEPS_H

#include "base/arena.h"
#include "base/base.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"

/* The exit status by which the program of weir/release@v1 says that a newer release took the place of its own; its output `cause` says which.
 * The job then ends as cancelled, as at GitHub a run that a newer one replaces: nothing has failed. */
#define RELEASE_SUPERSEDED_STATUS 76

struct job;
struct guard_starter;

enum job_state { JOB_QUEUED, JOB_RUNNING, JOB_SUCCESS, JOB_FAILURE, JOB_SKIPPED, JOB_CANCELLED };
const char *job_state_name(enum job_state s); /* as in the protocol */

struct job_config {
	const char *dir;     /* absolute */
	const char *exe;     /* this program: SANDBOX_WEIR inside, and "EXE guard DIR" when there is no starter */
	struct guard_starter *starter; /* or NULL */
	unsigned    slot;    /* ignored when the folder remembers one */
	uint64_t    memory_bytes_max, pids_max; /* per job, where cgroups allow; 0: none */
	const char *etc;     /* folder for copies of /etc that jobs share (sandbox_etc()); NULL: each job has its own */
	const char *etc_dir; /* or the copy itself, made by the caller for several jobs that begin at once */
	const char *source;  /* working tree that checkout copies; NULL: clone from the spec's URL */
	bool        local;   /* `weir run`: releases are skipped */
	bool        leave_steps; /* keep the folders of finished steps' raw logs (tests) */
	/* True when a step begins that only waits (weir/release@v1), false at its end: a waiting job needs no place. Job's thread; may be NULL. */
	void (*waiting)(void *ctx, bool begins);
	void (*changed)(void *ctx); /* after each change of a view or growth of a log; any thread; may be NULL */
	void *changed_ctx; /* of both */
};

struct job_view { /* of step i */
	enum job_state state;
	char    name[256];
	int     exit_status;  /* -1: none */
	usec_t  started, ended;
	char    cause[512];
	bool    continued;    /* failed under continue-on-error */
	int64_t log_bytes;    /* of `out` */
};
struct job_result {
	enum job_state state; /* RUNNING until the end; then SUCCESS, FAILURE or CANCELLED */
	char   cause[512];
	usec_t ended;
	bool   retry;         /* nothing of it could begin: another runner may do better */
};

/* spec_json: a new job in an empty (or absent) folder; STR_NULL: the job that is in the folder. */
MUST_CHECK int job_open(const struct job_config *cfg, str spec_json, struct job **ret, struct err *reterr);
struct job *job_close(struct job *j); /* not while job_run() runs; leaves the folder; returns NULL */
/* Runs to the end (0; see job_get_result) or until job_detach() (-WEIR_ECANCELED: guards go on). Other errors: the folder cannot be written. */
MUST_CHECK int job_run(struct job *j, struct err *reterr);

void job_cancel(struct job *j, const char *cause); /* stops the running step; always() and cancelled() steps still run */
void job_kill(struct job *j);   /* the job is no longer ours: stops the running step and all that is left */
void job_detach(struct job *j); /* this process ends; the step goes on under its guard */

const char *job_id(const struct job *j);
const char *job_lease(const struct job *j);
const char *job_name(const struct job *j);
int64_t     job_lease_ms(const struct job *j);
unsigned    job_slot(const struct job *j);
size_t      job_n_steps(const struct job *j);
void job_get_view(struct job *j, size_t step, struct job_view *ret);
void job_get_result(struct job *j, struct job_result *ret);
/* Log bytes of a step from offset, at most n; 0 at the present end. */
MUST_CHECK ssize_t job_read_log(struct job *j, size_t step, int64_t offset, void *p, size_t n, struct err *reterr);
/* Step summary (markdown, masked), or empty. */
void job_get_summary(struct job *j, size_t step, struct buf *out);
/* After the end: the job's outputs as a JSON object, masked values left out; the evaluated environment url (or empty). */
void job_get_outputs(struct job *j, struct buf *out);
void job_get_environment_url(struct job *j, struct buf *out);
/* After the end, when all was delivered: removes the folder and the cgroups. */
MUST_CHECK int job_remove(struct job *j, struct err *reterr);

#endif
