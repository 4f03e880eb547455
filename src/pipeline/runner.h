/* runner.h - the process that works on jobs: `weir runner`.
 *
 * N slots, each a thread that claims a job (protocol.md), runs it through steps.h and delivers its states and logs. Delivery is apart from the
 * work: while the server is away, steps go on, and what they said is sent later from their files, without gap or duplicate. A runner
 * that starts takes up the jobs that lie in its folder. */
#ifndef WEIR_PIPELINE_RUNNER_H
#define WEIR_PIPELINE_RUNNER_H

#include "base/base.h"
#include "base/err.h"

struct runner;

struct runner_config {
	const char *data;       /* its folder is DATA/runner; one runner at a time (lock) */
	const char *server_url;
	const char *token;      /* scope runner */
	const char *name;       /* NULL: the host's */
	const char *labels;     /* comma-separated, NULL: linux,self-hosted,ubuntu-latest and so on */
	const char *exe;        /* NULL: this program */
	unsigned    slots;      /* 1 to 60 */
	uint64_t    memory_bytes_max, pids_max; /* per job; 0: three quarters of the machine's memory by the slots; 8192 */
};

/* Starts the slots; called before the process makes any other thread. -WEIR_EBUSY: another runner works in this folder. -WEIR_EUNAVAIL: no sandbox on this machine. */
MUST_CHECK int runner_start(const struct runner_config *cfg, struct runner **ret, struct err *reterr);
/* Stops claiming and delivering; running steps go on under their guards for the next runner. Returns NULL. */
struct runner *runner_stop(struct runner *r);
/* Ends the steps that still run in DATA/runner, without a runner: at most wait_ms for all of them. The next runner reports them as stopped. */
MUST_CHECK int runner_end_steps(const char *data, int64_t wait_ms, struct err *reterr);

#endif
