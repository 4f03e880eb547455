/* run-internal.h - inside the server's half of the room: runs as rows, and the functions that its files share. Not for other rooms.
 *
 * Everything here runs inside a transaction (db_write or db_read) and lives in that turn's arena. */
#ifndef WEIR_PIPELINE_RUN_INTERNAL_H
#define WEIR_PIPELINE_RUN_INTERNAL_H

#include "pipeline/pipeline.h"

#include "net/sse.h"

#include "base/hash.h"

#include <pthread.h>

#define PIPELINE_QUEUE "jobs"
enum { JOB_ATTEMPTS_MAX = 3, LOG_LOCKS = 16 };
/* What a runner gets to stop by itself, on top of the job's own time, before the server ends its job. */
#define PIPELINE_STOP_GRACE (5 * 60 * USEC_PER_SEC)

struct pipeline {
	struct pipeline_config cfg;
	const struct clock    *clock;
	usec_t                 lease;
	char                   logs[4096]; /* DATA/logs/runs */
	pthread_t              thread;
	bool                   started;
	pthread_mutex_t        lock; /* guards what follows */
	pthread_cond_t         wake; /* jobs may be there, or stop */
	uint64_t               jobs_seq; /* grows with each notice of queued jobs */
	unsigned               waiting;  /* claims that wait */
	bool                   stop;
	pthread_mutex_t        log_locks[LOG_LOCKS];
	struct db_listener    *on_jobs, *on_runs;
	struct sse_hub        *run_hub, *log_hub;
};

enum run_state { RUN_WAITING, RUN_QUEUED, RUN_RUNNING, RUN_FINISHED };       /* waiting: for its concurrency group */
enum group_state { GROUP_WAIT, GROUP_RUN, GROUP_DONE };
enum job_state { JOB_BLOCKED, JOB_QUEUED, JOB_RUNNING, JOB_FINISHED };       /* blocked: for max-parallel or concurrency */
enum step_state { STEP_QUEUED, STEP_RUNNING, STEP_SUCCESS, STEP_FAILURE, STEP_SKIPPED, STEP_CANCELLED };
const char *run_state_name(enum run_state s);
const char *run_job_state_name(enum job_state s);
const char *step_state_name(enum step_state s);
int step_state_find(str name); /* -1 */

struct job_row {
	str              id, key, name, cause, retry_cause, runner, lease, labels, environment, environment_url, outputs, cancel_cause, concurrency;
	int64_t          group, index;
	enum job_state   state;
	enum plan_result result;
	int64_t          attempt, timeout_ms, cancel_ms, concurrency_flags;
	bool             continue_on_error, cancel, superseded;
	usec_t           queued, started, ended, deadline;
	usec_t           wanted; /* since when it wants its concurrency group, or holds it; 0: not yet */
};
struct group_row {
	enum group_state         state;
	enum plan_result         result;
	str                      cause;
	const struct expr_value *outputs;
};
struct run {
	str               id, project, workflow, file, name, cause, cancel_cause, ref, commit, concurrency;
	int64_t           number, attempt, concurrency_flags;
	usec_t            wanted; /* as of a job */
	enum run_state    state;
	enum plan_result  result;
	bool              cancel;
	struct plan      *plan; /* NULL for a finished run whose workflow this version does not read any more */
	struct group_row *groups; /* plan->n_groups */
	struct plan_state *known; /* the same, as the planner wants it */
	struct job_row   *jobs;   /* not the superseded ones; after run_load() only what was stored before */
	size_t            n_jobs, cap_jobs;
};

/* One turn: what every function of a transaction needs. */
struct turn {
	struct pipeline *p;
	struct db_tx    *tx;
	struct arena    *a;
	usec_t           now;
	str              actor; /* of the events */
	struct concurrency_news *news; /* for the end of the turn */
	int              arrivals;
};

/* --- run-store.c --- */
/* A copy that the database takes: at most max bytes, UTF-8, no NUL; what is neither becomes '?'. */
str text_clean(struct arena *a, str s, size_t max);
extern const struct db_migration pipeline_migrations[];
extern const size_t              pipeline_n_migrations;

MUST_CHECK int run_load(struct turn *t, str id, struct run **ret, struct err *reterr); /* -WEIR_ENOENT */
/* The run of a job and the job in it. */
MUST_CHECK int run_load_job(struct turn *t, str job, struct run **ret, struct job_row **ret_job, struct err *reterr);
MUST_CHECK int job_load(struct turn *t, str id, struct job_row *ret, str *ret_run, struct err *reterr); /* row only */
MUST_CHECK int run_insert(struct turn *t, const struct run *r, const struct plan_input *in, str text, const char *digest, struct err *reterr);
MUST_CHECK int run_save(struct turn *t, const struct run *r, struct err *reterr); /* state, result, cause, cancel, attempt; its version grows */
MUST_CHECK int group_save(struct turn *t, const struct run *r, size_t g, struct err *reterr);
MUST_CHECK int job_insert(struct turn *t, struct run *r, const struct job_row *j, struct err *reterr); /* and appends it to r->jobs */
MUST_CHECK int job_save(struct turn *t, const struct run *r, const struct job_row *j, struct err *reterr);
MUST_CHECK int steps_insert(struct turn *t, const struct job_row *j, size_t n, struct err *reterr);
MUST_CHECK int run_touch(struct turn *t, str run, struct err *reterr); /* its version grows: streams look */
MUST_CHECK int run_next_number(struct turn *t, str project, int64_t *ret, struct err *reterr);
/* Appends an event of the run's project; the fields come from a writer that is inside the object. */
MUST_CHECK int run_event(struct turn *t, str project, enum event_type type, struct buf *data, struct err *reterr);

/* --- concurrency.c --- */
int64_t concurrency_flags(const struct plan_concurrency *c);
/* The run waits for its group; the caller stores it. */
void concurrency_join_run(struct turn *t, struct run *r);
MUST_CHECK int concurrency_join_job(struct turn *t, struct run *r, struct job_row *j, struct err *reterr);
/* A run or job that may have held or wanted the group has ended. */
void concurrency_leave(struct turn *t, str project, str group);
/* At the end of a turn that wrote: the groups' next holders. */
MUST_CHECK int concurrency_settle(struct turn *t, struct err *reterr);

/* --- scheduler-job.c --- */
str run_new_id(struct arena *a);
static inline bool job_waits(const struct job_row *j) /* for its concurrency group */
{
	return j->state == JOB_BLOCKED && j->wanted > 0;
}
MUST_CHECK int job_add(struct turn *t, struct run *r, const struct plan_job *pj, struct err *reterr);
/* The one row of a group that does not run, or cannot. */
MUST_CHECK int job_add_ended(struct turn *t, struct run *r, size_t g, enum plan_result result, str cause, struct err *reterr);
MUST_CHECK int job_queue(struct turn *t, struct run *r, struct job_row *j, struct err *reterr);
/* Ends what has not begun, asks runners to stop what has. */
MUST_CHECK int job_stop(struct turn *t, struct run *r, struct job_row *j, str cause, struct err *reterr);
/* Ends one job (once; later calls change nothing) without moving the run on. */
MUST_CHECK int job_end(struct turn *t, struct run *r, struct job_row *j, enum plan_result result, str cause, struct err *reterr);
MUST_CHECK int event_run_finished(struct turn *t, const struct run *r, struct err *reterr);
MUST_CHECK int event_run_queued(struct turn *t, const struct run *r, str event, struct err *reterr);

/* --- scheduler.c --- */
/* Moves a run on as far as it goes: decides groups, queues jobs, ends groups and the run. */
MUST_CHECK int run_advance(struct turn *t, struct run *r, struct err *reterr);
MUST_CHECK int run_cancel(struct turn *t, struct run *r, str cause, struct err *reterr);
/* Stores a planned run with its jobs, sets it going or lets it wait for its concurrency group. */
MUST_CHECK int run_create(struct turn *t, struct plan *plan, const struct plan_input *in, str text, struct err *reterr);

/* --- run-retry.c, scheduler-turn.c --- */
/* Runs the failed and cancelled jobs of a finished run, and what depends on them, again. */
MUST_CHECK int run_retry(struct turn *t, struct run *r, struct err *reterr);
/* Loads a job with its run. 1: nothing to do, for the run cannot be loaded any more and was ended here, or is not there. */
MUST_CHECK int run_load_or_give_up(struct turn *t, str job, struct run **r, struct job_row **j, struct err *reterr);
MUST_CHECK int run_load_alone_or_give_up(struct turn *t, str run, struct run **r, struct err *reterr);
/* A running job's attempt is over and it waits for another; the queue knows it already. */
MUST_CHECK int end_attempt(struct turn *t, struct run *r, struct job_row *j, str cause, struct err *reterr);
/* Its runner is gone: queued again with the cause, or ended when it was the last attempt (dead) or cancelled. */
MUST_CHECK int job_lost(struct turn *t, struct run *r, struct job_row *j, bool dead, struct err *reterr);
MUST_CHECK int scheduler_turn(struct pipeline *p, struct err *reterr);
/* At start: runners that are still there keep their jobs. */
MUST_CHECK int scheduler_renew_all(struct pipeline *p, struct err *reterr);

/* --- job-log.c --- */
/* Appends bytes at offset: *ret_next is what the server has. -WEIR_ECONFLICT for a gap, -WEIR_ELIMIT past the limit (bytes up to it are kept). */
MUST_CHECK int job_log_append(struct pipeline *p, str run, str job, int64_t attempt, int64_t step, int64_t offset, str data,
                              int64_t *ret_next, struct err *reterr);
MUST_CHECK int job_log_read(struct pipeline *p, str run, str job, int64_t attempt, int64_t step, int64_t offset, struct buf *out,
                            int64_t *ret_total, struct err *reterr);
int64_t job_log_size(struct pipeline *p, str run, str job, int64_t attempt, int64_t step); /* 0 when there is none */

/* --- run-json.c --- */
MUST_CHECK int run_write_json(struct turn *t, str run, struct jw *w, struct err *reterr);
MUST_CHECK int runs_write_json(struct turn *t, str project, str commit, size_t max, struct jw *w, struct err *reterr);

/* --- runner-api.c, pipeline-api.c, pipeline-stream.c --- */
int runner_api_claim(struct http_req *req, void *ctx, struct err *reterr);
int runner_api_log(struct http_req *req, void *ctx, struct err *reterr);
int runner_api_steps(struct http_req *req, void *ctx, struct err *reterr);
int runner_api_renew(struct http_req *req, void *ctx, struct err *reterr);
int runner_api_finish(struct http_req *req, void *ctx, struct err *reterr);
int runner_api_state(struct http_req *req, void *ctx, struct err *reterr);
/* 0 when the caller may see the run (and the job belongs to it); -WEIR_ENOENT. */
MUST_CHECK int pipeline_api_access(struct http_req *req, struct pipeline *p, str run, str job, struct err *reterr);
MUST_CHECK int pipeline_streams_open(struct pipeline *p, struct err *reterr);
int pipeline_api_run_stream(struct http_req *req, void *ctx, struct err *reterr);
int pipeline_api_log_stream(struct http_req *req, void *ctx, struct err *reterr);

/* --- run-create.c --- */
struct dispatch {
	str                    project, workflow, ref, actor;
	const struct doc_node *inputs;
	char                   ret_run[ID_SIZE];
};
MUST_CHECK int pipeline_dispatch(struct pipeline *p, struct dispatch *d, struct err *reterr);

/* A write transaction with its turn: fn may run again, with a fresh arena each time. */
typedef int (*turn_fn)(struct turn *t, void *arg, struct err *reterr);
MUST_CHECK int turn_write(struct pipeline *p, str actor, turn_fn fn, void *arg, struct err *reterr);
/* For claims: all runners want the same oldest job (see db_write_in_turn()). */
MUST_CHECK int turn_write_in_turn(struct pipeline *p, str actor, turn_fn fn, void *arg, struct err *reterr);
MUST_CHECK int turn_read(struct pipeline *p, turn_fn fn, void *arg, struct err *reterr);

#endif
