/* runner-work.h - inside the server's half of the room: the calls of a runner as transactions (protocol.md says what they mean). */
#ifndef WEIR_PIPELINE_RUNNER_WORK_H
#define WEIR_PIPELINE_RUNNER_WORK_H

#include "pipeline/run-internal.h"

struct runner_claim {
	str        runner, lease, offers;
	bool       found;
	struct buf *spec;
};

struct runner_log {
	str            job, lease, run;
	struct job_row row;
	int64_t        steps;
	struct arena  *keep;
};

struct runner_step {
	str             job, lease, name, cause, summary;
	int64_t         step, exit;
	bool            has_exit, continued;
	enum step_state state;
	usec_t          started, ended;
};

struct runner_renewal {
	str           job, lease;
	bool          cancel;
	str           cause;
	struct arena *keep;
};

struct runner_state {
	struct runner_renewal r;
	struct buf    *out;
};

struct runner_finish {
	str              job, lease, cause, outputs, environment_url;
	enum plan_result result;
	bool             retry;
};

/* All are turn_fn; arg: the struct named. */
int runner_claim_turn(struct turn *t, void *claim, struct err *reterr);
int runner_find_log(struct turn *t, void *log, struct err *reterr); /* reads only */
int runner_step_turn(struct turn *t, void *step, struct err *reterr);
int runner_renew_turn(struct turn *t, void *renewal, struct err *reterr);
int runner_state_turn(struct turn *t, void *state, struct err *reterr);
int runner_finish_turn(struct turn *t, void *finish, struct err *reterr);

#endif
