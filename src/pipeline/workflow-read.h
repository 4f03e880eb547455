/* workflow-read.h - inside the workflow reader: what its files share. Not for other parts of the room. */
#ifndef WEIR_PIPELINE_WORKFLOW_READ_H
#define WEIR_PIPELINE_WORKFLOW_READ_H

#include "pipeline/plan.h"

/* Which contexts an expression may read at a place; the table of names is in workflow-text.c. */
enum wf_context {
	WF_GITHUB = 1 << 0, WF_NEEDS = 1 << 1, WF_STRATEGY = 1 << 2, WF_MATRIX = 1 << 3, WF_JOB = 1 << 4, WF_RUNNER = 1 << 5,
	WF_ENV = 1 << 6, WF_VARS = 1 << 7, WF_SECRETS = 1 << 8, WF_STEPS = 1 << 9, WF_INPUTS = 1 << 10,
	WF_STATUS = 1 << 11, /* success(), failure(), cancelled(), always() */
	WF_AT_WORKFLOW = WF_GITHUB | WF_INPUTS | WF_VARS,
	WF_AT_JOB = WF_AT_WORKFLOW | WF_NEEDS,
	WF_AT_MATRIX = WF_AT_JOB | WF_STRATEGY | WF_MATRIX,
	WF_AT_STEP = WF_AT_MATRIX | WF_SECRETS | WF_STEPS | WF_JOB | WF_RUNNER | WF_ENV,
	WF_AT_STEP_IF = (WF_AT_STEP & ~WF_SECRETS) | WF_STATUS,
};

struct wf_reader {
	struct arena     *a;
	struct doc_check *c;
};

/* n is a map whose keys are all in `obeyed`; a key of `known` is refused by name, another with the nearest obeyed one. Both end with NULL;
 * obeyed NULL: any key. False (with an error) when n is no map or NULL. */
bool wf_map(struct wf_reader *r, const struct doc_node *n, const char *what, const char *const *obeyed, const char *const *known);
/* A scalar in which ${{ }} may read the contexts `may`; NULL with an error when it is something else. NULL stays NULL. */
const struct doc_node *wf_scalar(struct wf_reader *r, const struct doc_node *n, const char *what, unsigned may);
/* As wf_scalar, not empty. */
const struct doc_node *wf_filled(struct wf_reader *r, const struct doc_node *n, const char *what, unsigned may);
/* A scalar without ${{ }}. */
str wf_literal(struct wf_reader *r, const struct doc_node *n, const char *what);
/* One ${{ }} and nothing else: its value has a type of its own. */
bool wf_is_expression(const struct doc_node *n);
/* Such a node without the blanks around it, which would make a text of its value. */
const struct doc_node *wf_whole(struct wf_reader *r, const struct doc_node *n, const char *what, unsigned may);
const struct doc_node *wf_bool(struct wf_reader *r, const struct doc_node *n, const char *what, unsigned may);
/* A number from min to max, or an expression. */
const struct doc_node *wf_number(struct wf_reader *r, const struct doc_node *n, const char *what, double min, double max, unsigned may);
/* An `if`. */
const struct doc_node *wf_cond(struct wf_reader *r, const struct doc_node *n, unsigned may);
/* The key ${{ insert }}: its value is a map whose entries take its place. */
bool wf_is_insert(str key);
/* Every text of a tree, keys of maps included. False after an error. */
bool wf_tree(struct wf_reader *r, const struct doc_node *n, const char *what, unsigned may);
/* A map of texts; whole: or one ${{ }} that gives it. */
void wf_pairs_read(struct wf_reader *r, const struct doc_node *n, const char *what, unsigned may, bool whole, struct wf_pairs *ret);
/* A text or a list of texts. */
void wf_strings(struct wf_reader *r, const struct doc_node *n, const char *what, str **ret, size_t *ret_n);
bool wf_identifier(str id);

/* What workflow.c and workflow-job.c hand to each other. */
void wf_read_defaults(struct wf_reader *r, const struct doc_node *n, unsigned may, const struct doc_node **ret_shell,
                      const struct doc_node **ret_dir);
const struct doc_node *wf_read_permissions(struct wf_reader *r, const struct doc_node *n);
void wf_read_concurrency(struct wf_reader *r, const struct doc_node *n, unsigned may, struct wf_concurrency *ret);
void wf_read_jobs(struct wf_reader *r, const struct doc_node *n, struct workflow *wf);
void wf_read_on(struct wf_reader *r, const struct doc_node *n, struct workflow *wf);
void wf_read_steps(struct wf_reader *r, const struct doc_node *n, struct wf_job *job);

#endif
