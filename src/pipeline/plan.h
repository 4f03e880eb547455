/* plan.h - workflows as structs, and what is to be run for one event: pure, no clock, no I/O.
 *
 * The way of a workflow: workflow_read() (YAML tree -> struct workflow, strict), plan_make() (workflow + event -> struct plan: which jobs, in
 * which order), then for each job whose needs are done plan_decide() (run or skip, and why), plan_expand() when its matrix comes from
 * its needs, and plan_job_spec() (the JSON that a runner gets; protocol.md describes it). The server's scheduler and `weir run` on a laptop both go
 * this way, so that their plans have the same digest. Everything lives in the caller's arena and is immutable afterwards. */
#ifndef WEIR_PIPELINE_PLAN_H
#define WEIR_PIPELINE_PLAN_H

#include "base/arena.h"
#include "base/base.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/str.h"
#include "doc/doc.h"
#include "lang/expr/expr.h"

/* --- workflow: the file as it was written. Values that may hold ${{ }} stay nodes (checked at reading, evaluated later);
 * NULL: absent. --- */

struct wf_pair {
	str                    key;
	const struct doc_node *value;
};
struct wf_pairs {
	struct wf_pair        *v;
	size_t                 n;
	const struct doc_node *whole; /* one ${{ }} that gives all of them; n is 0 then */
};
struct wf_concurrency {
	const struct doc_node *group, *cancel; /* NULL: no group */
	bool                   queue_max;      /* `queue: max`: all wait, none takes another's place */
};

enum wf_uses { WF_RUN, WF_CHECKOUT, WF_RELEASE }; /* a command; actions/checkout@v4; weir/release@v1 */

struct wf_step {
	str                    id;      /* as written, or empty */
	uint32_t               line, col;
	enum wf_uses           uses;
	const struct doc_node *name, *cond /* `if` */, *run, *shell, *working_directory, *continue_on_error, *timeout_minutes;
	struct wf_pairs        env, with;
};

struct wf_job {
	str                    id;
	uint32_t               line, col;
	size_t                *needs; /* indexes into workflow.jobs */
	size_t                 n_needs;
	const struct doc_node *name, *cond, *runs_on, *timeout_minutes, *cancel_timeout_minutes, *continue_on_error;
	const struct doc_node *environment, *environment_url;
	const struct doc_node *strategy; /* one ${{ }} that gives the three that follow, which are NULL then */
	const struct doc_node *matrix, *fail_fast, *max_parallel;
	struct wf_concurrency  concurrency;
	const struct doc_node *default_shell, *default_working_directory;
	const struct doc_node *permissions; /* NULL: the workflow's */
	struct wf_pairs        env, outputs;
	struct wf_step        *steps;
	size_t                 n_steps;
};

struct wf_filter { /* branches or branches-ignore, ...: patterns in order, '!' allowed */
	str   *patterns;
	size_t n;
	bool   ignore; /* the -ignore form */
	bool   set;
};
enum wf_input_type { WF_INPUT_STRING, WF_INPUT_BOOLEAN, WF_INPUT_NUMBER, WF_INPUT_CHOICE, WF_INPUT_ENVIRONMENT };
struct wf_input {
	str                    name, description;
	enum wf_input_type     type;
	bool                   required;
	const struct doc_node *default_value;
	str                   *options; /* CHOICE */
	size_t                 n_options;
};

struct workflow {
	str                    file; /* ".github/workflows/ci.yml" */
	str                    name; /* `name`, or the file */
	bool                   on_push, on_dispatch;
	struct wf_filter       branches, tags, paths; /* of on.push */
	struct wf_input       *inputs;
	size_t                 n_inputs;
	struct wf_pairs        env;
	const struct doc_node *default_shell, *default_working_directory, *permissions;
	const struct doc_node *run_name;
	struct wf_concurrency  concurrency;
	struct wf_job         *jobs; /* in the order of the file */
	size_t                 n_jobs;
	char                   digest[SHA256_HEX]; /* of the text */
};

/* Reads one workflow. All problems go to c with their place; *ret is NULL when there was one. Returns an error only for
 * what is no problem of the file (out of memory). `text` is copied. c was made with the file's name. */
MUST_CHECK int workflow_read(struct arena *a, str text, struct doc_check *c, struct workflow **ret, struct err *reterr);
/* As workflow_read, with the problems as an error. */
MUST_CHECK int workflow_parse(struct arena *a, const char *file, str text, struct workflow **ret, struct err *reterr);
/* True for .github/workflows/X.yml, .forgejo/..., .gitea/..., .weir/workflows/X.yaml (no sub-folders). */
bool workflow_is_path(str path);
/* GitHub's filter patterns: '*' not over '/', '**' over it, '?' and '+' repeat what is before, [a-z], '\' quotes. */
bool workflow_glob(str pattern, str text);

/* --- plan --- */

struct plan_input { /* the event and what is known around it */
	str event;      /* "push", "workflow_dispatch" */
	str project;    /* "shop" */
	str ref;        /* "refs/heads/main", "refs/tags/v1" */
	str commit, before; /* 40 hex digits; before: zeros when the ref is new */
	str actor;      /* "laptop" */
	str subject;    /* first line of the commit's message */
	str server_url; /* "http://127.0.0.1:8420"; empty: none */
	str run_id;
	int64_t run_number, run_attempt;
	const str *paths; /* files that differ between before and commit */
	size_t n_paths;
	bool paths_known; /* false (new ref, too many files): path filters match, as at GitHub */
	const struct doc_node *inputs; /* of a dispatch: map of name to value, or NULL */
};
/* JSON of the input (stored with a run), and its reading back; paths are not part of it. */
void plan_input_write(const struct plan_input *in, struct jw *w);
MUST_CHECK int plan_input_read(struct arena *a, const struct doc_node *n, struct plan_input *ret, struct err *reterr);

enum plan_result { RESULT_NONE, RESULT_SUCCESS, RESULT_FAILURE, RESULT_CANCELLED, RESULT_SKIPPED };
const char *plan_result_name(enum plan_result r); /* "success"; NONE: "" */
enum plan_result plan_result_find(str name);

struct plan_concurrency {
	str  group; /* or empty */
	bool cancel, queue_max;
};

struct plan_job { /* one job of the run: a workflow job, or one combination of its matrix */
	str    key;    /* "build", "build.1", "build.2": unique in the run, safe in paths */
	str    name;   /* "build (3.12, linux)" */
	size_t group;  /* index into plan.groups */
	size_t index;  /* 0.. within its matrix */
	const struct expr_value *matrix; /* object, or NULL */
	str   *labels; /* runs-on, sorted */
	size_t n_labels;
	int64_t timeout_ms, cancel_timeout_ms; /* from its cancellation on */
	bool   continue_on_error;
	str    environment; /* or empty */
	struct plan_concurrency concurrency;
};

enum plan_call { PLAN_WAIT, PLAN_RUN, PLAN_SKIP };
struct plan_group { /* one job of the workflow; same index as in workflow.jobs */
	str            id;
	const size_t  *needs;
	size_t         n_needs;
	enum plan_call call;   /* WAIT: decided by plan_decide() when its needs are done */
	str            cause;  /* of SKIP */
	bool           deferred; /* its matrix, name or labels read `needs`: jobs come from plan_expand() */
	struct plan_job *jobs;
	size_t         n_jobs;
	bool           fail_fast;
	int64_t        max_parallel; /* 0: no limit */
};

struct plan {
	const struct workflow *workflow;
	struct plan_input      input; /* borrowed texts */
	bool                   runs;
	str                    cause; /* why it does not run: "no-trigger: ...", "branches: ...", "paths: ..." */
	struct plan_group     *groups;
	size_t                 n_groups;
	size_t                *order; /* group indexes, each after its needs */
	str                    run_name; /* `run-name`, else what was pushed (its subject), else the workflow's name */
	struct plan_concurrency concurrency;
	const struct expr_value *inputs; /* checked, typed, with defaults */
	char                   digest[SHA256_HEX]; /* of the plan without run id, number, attempt, server and actor */
};

/* -WEIR_EINVAL when an expression fails, an input is missing or wrong, a matrix is too large: "file:line:col: ...". */
MUST_CHECK int plan_make(struct arena *a, const struct workflow *wf, const struct plan_input *in, struct plan **ret,
                         struct err *reterr);
/* The plan as one JSON object, as `weir plan` prints it. */
void plan_write(const struct plan *p, struct jw *w);

/* What is known of the groups of a run, one element per group, for `if`, needs and status functions. */
struct plan_state {
	enum plan_result        result;  /* NONE: not ended */
	const struct expr_value *outputs; /* object of texts, or NULL */
};
/* May group g run now? WAIT while one of its needs has no result. success() and failure() look at all ancestors, as GitHub does.
 * cancelled: the run was cancelled. *ret_cause is set for SKIP: "if: evaluated to false", "needs: 'build' ended with failure". */
MUST_CHECK int plan_decide(struct arena *a, const struct plan *p, size_t g, const struct plan_state *st, bool cancelled,
                           enum plan_call *ret, str *ret_cause, struct err *reterr);
/* Group g with its jobs, fail_fast and max_parallel: for a deferred one made from the needs in st (each call makes the same ones), else that
 * of the plan. */
MUST_CHECK int plan_expand(struct arena *a, const struct plan *p, size_t g, const struct plan_state *st, struct plan_group *ret,
                           struct err *reterr);
/* The result of a group from those of its jobs: failure before cancelled before success (continue-on-error jobs count as success). */
enum plan_result plan_group_result(const enum plan_result *results, const bool *continue_on_error, size_t n);

/* What a job spec needs beside the plan. */
struct plan_job_extra {
	str     job;       /* id of the job; "local" on a laptop */
	str     lease;     /* the claim's id */
	int64_t lease_ms;
	int64_t attempt;
	str     cause;     /* why it is tried again, or empty */
	str     clone_url; /* or a path; empty: the runner takes the working tree */
	str     token;     /* the job's own, or empty; it is github.token and secrets.GITHUB_TOKEN, and masked */
	size_t  job_total; /* jobs of the group */
};
/* The JSON of a job that a runner gets (protocol.md, "Job spec"). */
MUST_CHECK int plan_job_spec(struct arena *a, const struct plan *p, const struct plan_job *job, const struct plan_state *st,
                             const struct plan_job_extra *x, struct buf *out, struct err *reterr);

#endif
