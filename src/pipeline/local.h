/* local.h - `weir run`: the plan of a workflow, run on this machine with the working tree as the checkout.
 *
 * The same planner, job specs, sandbox and steps as the server's; only the queue is in memory. One thread calls local_run();
 * each running job has a thread of its own. */
#ifndef WEIR_PIPELINE_LOCAL_H
#define WEIR_PIPELINE_LOCAL_H

#include "base/arena.h"
#include "base/base.h"
#include "base/err.h"
#include "pipeline/plan.h"
#include "pipeline/steps.h"

struct local_config {
	const char *dir;    /* absolute; made, and removed at the end unless keep */
	const char *exe;    /* "EXE guard DIR" */
	const char *source; /* working tree */
	const char *etc;    /* folder for copies of /etc that runs share (sandbox_etc()); NULL: below dir */
	const char *only;   /* id of one job (and what it needs); NULL: all */
	unsigned    jobs_max; /* at once; 0: one per processor and two more, for those that wait for a disk or the kernel */
	bool        keep;
	/* What happens, called on local_run()'s thread. Any may be NULL. */
	void (*job_started)(void *ctx, const struct plan_job *job);
	void (*step_started)(void *ctx, const struct plan_job *job, size_t step, const struct job_view *v);
	void (*log)(void *ctx, const struct plan_job *job, size_t step, str bytes);
	void (*step_ended)(void *ctx, const struct plan_job *job, size_t step, const struct job_view *v);
	void (*job_ended)(void *ctx, const struct plan_job *job, const struct job_result *r);
	void (*group_skipped)(void *ctx, str group, str cause);
	bool (*stop)(void *ctx); /* asked each 100 ms: true cancels (Ctrl-C) */
	void *ctx;
};

/* For callers with one thread (the guards' starter is forked off). *ret: the run's result (a plan that does not run is SKIPPED). */
MUST_CHECK int local_run(struct arena *a, const struct plan *p, const struct local_config *cfg, enum plan_result *ret, struct err *reterr);

#endif
