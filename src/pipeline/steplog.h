/* steplog.h - from a step's raw output to the log that leaves the runner: workflow commands obeyed, secrets masked.
 *
 * The output is a function of the raw bytes alone (see mask.h): after a restart the runner reads the raw log again from its start and
 * comes to the same bytes and the same effects. A line that may become a command is held until it is complete; any other is
 * passed on at once. Not thread-safe. */
#ifndef WEIR_PIPELINE_STEPLOG_H
#define WEIR_PIPELINE_STEPLOG_H

#include "base/arena.h"
#include "base/base.h"
#include "base/err.h"
#include "pipeline/mask.h"
#include "pipeline/stepfile.h"

struct steplog {
	struct masks      *masks;   /* the job's; add-mask adds to it */
	bool               unsecure; /* ACTIONS_ALLOW_UNSECURE_COMMANDS: set-env and add-path are obeyed */
	struct mask_stream stream;
	struct buf         line;    /* beginning of a line that may become a command */
	bool               plain;   /* the present line is passed on as it comes */
	char               stop[128]; /* commands are stopped until ::TOKEN:: */
	struct arena       arena;
	/* effects, in order */
	struct kvs         outputs, env, states;
	VEC(str) paths;
	VEC(str) new_masks; /* values of add-mask, to be kept for the next steps */
	struct err         failed; /* a command that makes the step fail; code 0: none */
};

void steplog_init(struct steplog *l, struct masks *masks, bool unsecure);
void steplog_fini(struct steplog *l);
/* Takes raw bytes, appends what may leave to out. end: no more comes. */
void steplog_feed(struct steplog *l, str piece, bool end, struct buf *out);
/* A line of the runner's own, masked, never a command. */
void steplog_say(struct steplog *l, struct buf *out, const char *fmt, ...) PRINTF(3, 4);

#endif
