/* plan-eval.h - inside the planner: evaluating the values of a workflow, and the contexts they see. Not for other parts of the room. */
#ifndef WEIR_PIPELINE_PLAN_EVAL_H
#define WEIR_PIPELINE_PLAN_EVAL_H

#include "pipeline/plan.h"

struct plan_eval {
	struct arena            *a;
	const struct workflow   *wf;
	const struct expr_value *contexts; /* object: github, needs, ... */
	const struct expr_ops   *ops;      /* status functions, or NULL */
};

/* Any value with its ${{ }} evaluated. Errors: "file:line:col: ...". */
MUST_CHECK int plan_eval(const struct plan_eval *x, const struct doc_node *n, const struct expr_value **ret, struct err *reterr);
/* As text; NULL node: STR_NULL. Lists and objects are errors. */
MUST_CHECK int plan_eval_str(const struct plan_eval *x, const struct doc_node *n, str *ret, struct err *reterr);
MUST_CHECK int plan_eval_bool(const struct plan_eval *x, const struct doc_node *n, bool otherwise, bool *ret, struct err *reterr);
MUST_CHECK int plan_eval_num(const struct plan_eval *x, const struct doc_node *n, const char *what, double min, double max, double otherwise,
                             double *ret, struct err *reterr);
MUST_CHECK int plan_eval_if(const struct plan_eval *x, const struct doc_node *n, bool *ret, struct err *reterr);
/* Does an expression in the tree read the context? NULL node: no. */
bool plan_reads(struct arena *a, const struct doc_node *n, const char *context);
/* -WEIR_EINVAL with the node's place in front. */
int plan_error_at(const struct workflow *wf, const struct doc_node *n, struct err *reterr, const char *fmt, ...) PRINTF(4, 5);

/* What a job's expressions see. job, group and st may be NULL (then matrix, strategy and needs are empty); token may be empty. */
const struct expr_value *plan_contexts(struct arena *a, const struct plan *p, const struct plan_group *group, const struct plan_job *job,
                                       const struct plan_state *st, str token);
/* Checks the inputs of a dispatch against their declarations and gives them their types and defaults. */
MUST_CHECK int plan_inputs(struct arena *a, const struct workflow *wf, const struct plan_input *in, const struct expr_value **ret,
                           struct err *reterr);
/* The combinations of an evaluated matrix, as GitHub makes them; at: where it stands in the file. */
MUST_CHECK int plan_matrix(const struct plan_eval *x, const struct doc_node *at, const struct expr_value *matrix, const struct expr_value ***ret, size_t *ret_n,
                           struct err *reterr);
/* What the plan's digest covers, as JSON. */
void plan_write_digested(const struct plan *p, struct jw *w);
void plan_jw_value(struct jw *w, const struct expr_value *v); /* NULL: null */

#endif
