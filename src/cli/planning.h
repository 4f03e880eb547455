/* planning.h - workflows of the working tree and the event they are planned for; shared by `weir plan` and `weir run`. */
#ifndef WEIR_CLI_PLANNING_H
#define WEIR_CLI_PLANNING_H

#include "cli/cli.h"
#include "pipeline/plan.h"

enum { PLANNING_FILES_MAX = 256 };
struct planning_files {
	str    v[PLANNING_FILES_MAX]; /* paths, sorted; in the command's arena */
	size_t n;
};

/* Workflows whose path, file name or stem is the first argument; all when there is none. -WEIR_ENOENT when none is there. */
MUST_CHECK int planning_find(struct cli *c, struct planning_files *f, struct err *reterr);
/* The event by the options event, ref and inputs; the rest from git. */
MUST_CHECK int planning_input(struct cli *c, struct plan_input *in, struct err *reterr);

#endif
