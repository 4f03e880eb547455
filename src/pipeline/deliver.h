/* deliver.h - what happens in a job, told to the server: states, log bytes, the end. Private to the runner.
 *
 * One struct per job and thread. deliver_turn() sends what is new and what is due; every call can be repeated, so a turn that failed half way is
 * simply done again. What the server has is asked once (`state`) after a start of the runner, and else known from the answers. */
#ifndef WEIR_PIPELINE_DELIVER_H
#define WEIR_PIPELINE_DELIVER_H

#include "base/clock.h"
#include "net/client.h"
#include "pipeline/steps.h"

struct deliver_step {
	enum job_state sent;    /* last state the server has */
	int64_t        offset;  /* log bytes the server has */
	bool           log_full; /* the server takes no more */
};
struct deliver {
	struct http_client *client;
	struct job         *job;
	struct deliver_step *steps;
	bool                known;    /* what the server has is known */
	bool                finished; /* the server knows the end */
	usec_t              renew_at; /* monotonic */
};

MUST_CHECK int  deliver_init(struct deliver *d, struct http_client *client, struct job *job, bool fresh, struct err *reterr);
void deliver_fini(struct deliver *d);
/* 0; -WEIR_EGONE: the job is no longer ours; a retryable error: the server is away, do it again later; other: it will not get better. */
MUST_CHECK int deliver_turn(struct deliver *d, struct err *reterr);

#endif
