/* workflow_suites.h - what the suites of workflow files share. */
#ifndef WEIR_CONFORMANCE_WORKFLOW_SUITES_H
#define WEIR_CONFORMANCE_WORKFLOW_SUITES_H

#include "conformance.h"
#include "pipeline/plan.h"

/* Reads a workflow. *ret_named: the first problem that only says that weir does not obey a key, event or action of GitHub's; *ret_other: the first of
 * another kind. Both empty and a workflow: it was accepted. */
struct workflow *conf_read_workflow(struct conf_case *c, const char *file, str text, struct doc_check *check, const char **ret_named,
                                    const char **ret_other);

#endif
