/* steps-internal.h - struct job, for steps*.c only. */
#ifndef WEIR_PIPELINE_STEPS_INTERNAL_H
#define WEIR_PIPELINE_STEPS_INTERNAL_H

#include "doc/doc.h"
#include "lang/expr/expr.h"
#include "pipeline/guard.h"
#include "pipeline/steplog.h"
#include "pipeline/steps.h"

#include <pthread.h>

struct step {
	const struct doc_node *spec;
	str                    id;
	struct job_view        view;       /* under job.lock */
	enum job_state         conclusion; /* outcome is view.state; differs under continue-on-error */
	struct kvs             outputs, states; /* texts in job.arena */
	char                  *summary;
};

struct job {
	char              *dir, *exe, *source;
	char              *etc; /* what steps see as /etc, or NULL: box/etc */
	struct guard_starter *starter;
	bool               local, leave_steps;
	unsigned           slot;
	uint64_t           memory, pids;
	void (*waiting)(void *ctx, bool begins);
	void (*changed)(void *ctx);
	void              *changed_ctx;

	struct arena       arena; /* spec and everything kept from step to step; job thread only */
	const struct doc_node *spec;
	const char        *id, *lease, *name, *project;
	char               cgroup[96];
	struct step       *steps;
	size_t             n_steps;
	const struct expr_value *contexts; /* of the spec */

	/* grown by steps, kept in state.json */
	struct kvs         env;   /* GITHUB_ENV */
	VEC(str) paths;           /* GITHUB_PATH, in order */
	VEC(str) added_masks;
	struct masks       masks;
	usec_t             started;
	bool               failed;
	bool               timed_out;
	usec_t             stopped; /* when it was cancelled or timed out: its last steps have cancel_timeout_ms from then on; 0: not */

	pthread_mutex_t    lock; /* views, result, cancel */
	bool               cancel, killed, detached;
	char               cancel_cause[512];
	struct job_result  result;
	struct buf         outputs, environment_url; /* JSON and text, after the end */
	int                wake; /* eventfd: cancel or detach */
};

void job_notify(struct job *j);
bool job_is_cancelled(struct job *j);
MUST_CHECK int job_keep(struct job *j, struct kvs *to, const struct kv *kv, struct err *reterr); /* copies into the job's arena */
int  step_dir(const struct job *j, size_t i, const char *name, char out[1100]); /* JOB/steps/I[/name] */

/* steps-state.c */
MUST_CHECK int job_state_write(struct job *j, bool durable, struct err *reterr); /* nothing for a local job: nobody would go on with it */
MUST_CHECK int job_state_read(struct job *j, bool *ret_found, struct err *reterr);

/* steps-eval.c: texts of step i (its env may be NULL) in arena a. */
struct step_eval {
	struct job     *job;
	struct arena   *a;
	const struct expr_value *env; /* object */
	struct expr_ops ops;
	struct expr_env env_all;
};
MUST_CHECK int eval_init(struct step_eval *e, struct job *j, struct arena *a, const struct doc_node *step_env, struct err *reterr);
MUST_CHECK int eval_text(struct step_eval *e, const char *what, str text, str *ret, struct err *reterr);
/* Names and texts of a map of the spec, or of the one ${{ }} that gives it; the caller calls kvs_fini(). */
MUST_CHECK int eval_pairs(struct step_eval *e, const char *what, const struct doc_node *n, struct kvs *ret, struct err *reterr);
MUST_CHECK int eval_if(struct step_eval *e, str text, bool *ret, struct err *reterr);
MUST_CHECK int eval_flag(struct step_eval *e, const char *what, const struct doc_node *n, bool *ret, struct err *reterr);
MUST_CHECK int eval_number(struct step_eval *e, const char *what, const struct doc_node *n, double otherwise, double *ret, struct err *reterr);
MUST_CHECK int eval_outputs(struct job *j, struct err *reterr);
/* hashFiles() over the workspace, without following links (steps-hash.c). */
MUST_CHECK int hash_files(struct job *j, const str *patterns, size_t n, struct buf *out, struct err *reterr);

/* steps-env.c: what is run for step i */
struct step_plan {
	const char       **argv, **env;
	const char        *cwd;
	char               writable[32], secret[1100];
	bool               has_secret;
};
MUST_CHECK int step_prepare(struct step_eval *e, size_t i, struct step_plan *ret, struct err *reterr);
/* steps-builtin.c: argv for uses; may add to env through step_env_add(). */
struct env_list {
	struct arena *a;
	VEC(const char *) v;
};
MUST_CHECK int env_add(struct env_list *l, str key, str value, struct err *reterr);
MUST_CHECK int builtin_prepare(struct step_eval *e, size_t i, struct env_list *env, struct step_plan *ret, struct err *reterr);
/* Writes files/script, the one of the present step (read-only inside). */
MUST_CHECK int step_script(struct job *j, str text, struct err *reterr);
/* Writes files/I/name (read-only inside). */
MUST_CHECK int step_file(struct job *j, size_t i, const char *name, str data, mode_t mode, struct err *reterr);

/* steps-exec.c */
MUST_CHECK int step_run(struct job *j, size_t i, struct err *reterr);

#endif
