/* workload.h - where instances of a version run: an ops struct, so that the state machine does not know the back end.
 *
 * Every operation can be repeated. None waits for a service: starting and stopping only begin, status tells how far it got. */
#ifndef WEIR_RELEASE_WORKLOAD_H
#define WEIR_RELEASE_WORKLOAD_H

#include "base/base.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"

enum { WORKLOAD_NAME_SIZE = 200 };

struct workload_spec {
	const char        *name;   /* unique for ever: [a-z0-9.-]+, shorter than WORKLOAD_NAME_SIZE */
	const char        *dir;    /* the unpacked version */
	const char *const *argv;   /* NULL-ended */
	const char *const *env;    /* NULL-ended "K=V", beside PORT and the few that the back end sets */
	uint16_t           port;
	usec_t             grace;  /* between SIGTERM and SIGKILL */
	int64_t            memory_max;    /* bytes; 0: none */
	unsigned           processes_max; /* processes and threads; 0: none */
	unsigned           user;   /* number that tells services apart; the back end makes a user id of it where it can */
};
struct workload_status {
	bool     exists;  /* was started and is not removed */
	bool     gone;    /* stopped: no process of it is left */
	unsigned starts;  /* how often the service was started; more than 1: it died */
	char     met[160]; /* the limit for which it was ended last; empty: none */
};
struct workload_ops {
	/* Begins to run an instance and keeps it running. An instance of that name that runs already is fine. */
	int (*start)(void *ctx, const struct workload_spec *spec, struct err *reterr);
	/* Begins to stop it: SIGTERM, SIGKILL after its grace time. One that is not there is fine. */
	int (*stop)(void *ctx, const char *name, struct err *reterr);
	int (*status)(void *ctx, const char *name, struct workload_status *ret, struct err *reterr);
	/* Forgets a stopped instance (its log stays). -WEIR_EBUSY while it is not gone. */
	int (*remove)(void *ctx, const char *name, struct err *reterr);
	/* Calls fn with each instance's name. */
	int (*each)(void *ctx, int (*fn)(void *arg, const char *name, struct err *reterr), void *arg, struct err *reterr);
	void *ctx;
};

/* --- the process back end: bubblewrap under s6 --- */
struct workload_process; /* also runs HAProxy: see workload_process_raw() */

/* Makes the folders. guard_argv: see release.h. */
MUST_CHECK int workload_process_new(const char *data_dir, const char *const *guard_argv, struct workload_process **ret, struct err *reterr);
struct workload_process *workload_process_free(struct workload_process *w); /* what runs goes on; returns NULL */
struct workload_ops workload_process_ops(struct workload_process *w);
/* Starts s6-svscan, detached, unless it runs already. */
MUST_CHECK int workload_process_supervise(struct workload_process *w, struct err *reterr);
/* A supervised program without sandbox (HAProxy): `run` is the text of the run script. Same name rules; stop, status, remove as above. */
MUST_CHECK int workload_process_raw(struct workload_process *w, const char *name, str run, struct err *reterr);
/* Ends the supervisor with all it runs; waits until nothing is left, at most timeout_ms. */
MUST_CHECK int workload_process_shutdown(const char *data_dir, int64_t timeout_ms, struct err *reterr);

#endif
