/* local-internal.h - inside the local queue: its jobs and groups. Not for other parts of the room. */
#ifndef WEIR_PIPELINE_LOCAL_INTERNAL_H
#define WEIR_PIPELINE_LOCAL_INTERNAL_H

#include "pipeline/guard.h"
#include "pipeline/local.h"

#include <pthread.h>

struct local_job {
	struct local      *l;
	const struct plan_job *plan;
	struct job        *job;
	char               dir[1024];
	pthread_t          thread;
	bool               running, ended;
	bool               dropped;    /* it will not run: superseded, or its matrix was stopped */
	unsigned           arrival;    /* its turn for its concurrency group; 0: not there yet */
	size_t             shown;      /* step whose output is being shown */
	bool               shown_start;
	int64_t            shown_bytes;
	struct job_result  result;
	struct err         err;
	int                rc;
	bool               done;       /* job_run() returned; under l->lock */
	unsigned           slot;
	struct doc_node   *outputs;
	struct local_job  *next;       /* to be removed; under l->lock */
};
struct local_group {
	struct plan_group plan; /* once expanded */
	struct local_job *jobs;
	size_t            n_jobs, n_ended; /* ended or dropped */
	bool              expanded, wanted, over;
	enum plan_result  result;
};
struct local {
	const struct local_config *cfg;
	const struct plan  *plan;
	struct arena       *arena;
	struct local_group *groups;
	struct plan_state  *state;
	unsigned            running, max, arrivals;
	uint64_t            slots; /* bits in use */
	struct guard_starter *starter;
	bool                cancelled;
	pthread_mutex_t     lock;
	pthread_cond_t      cond;
	uint64_t            changes;
	char                etc[1100]; /* what all jobs see as /etc: its state at the beginning of the run */
	pthread_t           remover;
	pthread_cond_t      to_remove; /* under lock, and what follows */
	struct local_job   *removing;
	bool                no_more;
	int                 remove_rc;
	struct err          remove_err;
};

/* --- local-job.c; all on local_run()'s thread --- */
MUST_CHECK int local_job_start(struct local *l, struct local_job *lj, struct err *reterr);
/* Tells what its steps said since the last call. */
MUST_CHECK int local_job_show(struct local *l, struct local_job *lj, struct err *reterr);
/* After job_run() returned. Its folder goes later, and lj->job with it. */
MUST_CHECK int local_job_end(struct local *l, struct local_job *lj, struct err *reterr);
MUST_CHECK int local_remover_start(struct local *l, struct err *reterr);
/* Waits until every folder is gone. */
MUST_CHECK int local_remover_end(struct local *l, struct err *reterr);

#endif
