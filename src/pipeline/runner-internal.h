/* runner-internal.h - inside the runner: slots, and what its files share. Not for other parts of the room. */
#ifndef WEIR_PIPELINE_RUNNER_INTERNAL_H
#define WEIR_PIPELINE_RUNNER_INTERNAL_H

#include "base/clock.h"
#include "base/str.h"
#include "base/vec.h"
#include "net/client.h"
#include "pipeline/runner.h"
#include "pipeline/steps.h"

#include <pthread.h>

enum { BACKOFF_MIN_MS = 1000, BACKOFF_MAX_MS = 30000, SLOTS_MAX = 60, WAITING_MAX = 30, SWEEP_AFTER_S = 3600 };

struct slot {
	struct runner      *r;
	unsigned            index;
	pthread_t           thread;
	bool                started;
	struct http_client *client;
	pthread_mutex_t     lock;
	pthread_cond_t      cond;
	uint64_t            changes;
	/* the job at work */
	struct job         *job;
	pthread_t           job_thread;
	bool                job_done; /* under lock */
	int                 job_rc;
	struct err          job_err;
};
struct runner {
	char     dir[1024], exe[1024], name[128], labels[256];
	char    *url, *token;
	unsigned n_places, n_slots; /* jobs that may work at once; slots: those and WAITING_MAX that wait */
	unsigned n_busy;            /* places taken, under lock */
	pthread_cond_t place_free;
	uint64_t memory, pids;
	int      fd_lock;
	struct guard_starter *starter;
	struct slot *slots;
	pthread_mutex_t lock;
	bool     stop;
	bool     away; /* the server does not answer, and that was said; under lock */
	VEC(char *) found; /* folders of jobs of an earlier runner, not yet taken up */
};

/* --- runner.c --- */
bool runner_stopping(struct runner *r);
void runner_slot_changed(void *slot);
/* The server does not answer: said once, whichever slot notices. */
void runner_server_away(struct runner *r, const char *what, const struct err *e);
void runner_server_answers(struct runner *r);
/* Waits after the n-th failure in a row (*backoff_ms, doubled each time, from BACKOFF_MIN_MS on), with jitter, so that slots and runners do not come back
 * all at once; ends early when the runner stops, or another slot hears from the server. */
void runner_back_off(struct runner *r, int64_t *backoff_ms);

/* --- runner-job.c --- */
/* Works on the job that is open in s->job until the server knows its end, it is lost, or the runner stops; closes it. */
void runner_job_work(struct slot *s, bool fresh);
/* spec STR_NULL: the job of an earlier runner that lies in dir. */
MUST_CHECK int runner_job_open(struct slot *s, const char *dir, str spec, struct err *reterr);
/* Tells the server that this job cannot be done here; for jobs without a struct. */
void runner_job_give_back(struct slot *s, str job, str lease, const char *cause);

/* --- runner-claim.c --- */
void *runner_slot_main(void *slot);
void  runner_place_move(struct runner *r, int by);

#endif
