/* guard-spec.h - the files in a step's folder, for guard.c (the runner's side) and guard-main.c (the guard's). Private to the room. */
#ifndef WEIR_PIPELINE_GUARD_SPEC_H
#define WEIR_PIPELINE_GUARD_SPEC_H

#include "pipeline/guard.h"

struct guard_spec { /* read back: texts point into `text` */
	struct buf          text;
	struct sandbox_spec sandbox;
	int64_t             timeout_ms;
	bool                durable;
	const char        **argv, **env;
};

#define GUARD_SPEC_MAX (8 << 20)

/* `out` has GUARD_SPEC_MAX as its limit. */
MUST_CHECK int guard_spec_write(struct buf *out, const struct sandbox_spec *s, int64_t timeout_ms, bool durable, struct err *reterr);
MUST_CHECK int guard_spec_read(int fd, struct guard_spec *ret, struct err *reterr);
void guard_spec_fini(struct guard_spec *s);

/* The status file, open with O_APPEND: first the limits, then the end (dir: whose entry is to be on disk, too; NULL: not durable). */
MUST_CHECK int guard_limits_write(int fd, const char *limits, struct err *reterr);
MUST_CHECK int guard_status_write(int fd, const char *dir, const struct guard_status *st, struct err *reterr);
/* -WEIR_ENOENT while there is no end in it. limits, when wanted: empty before they are known. */
MUST_CHECK int guard_status_read(int fd, struct guard_status *ret, struct buf *limits, struct err *reterr);

/* guard-main.c, in two halves for the starter. */
struct guarding;
MUST_CHECK int guard_up(const char *dir, int fd_spec, struct guarding **ret, struct err *reterr); /* the lock is held */
NORETURN void guard_go(struct guarding *g);
struct guarding *guard_down(struct guarding *g); /* lets go what guard_up() took; returns NULL */

/* guard-starter.c: has the guard for dir started; 0 when it is up. */
MUST_CHECK int guard_starter_ask(struct guard_starter *s, const char *dir, str spec, struct err *reterr);

/* Opens dir/name; flags as open(2), O_CLOEXEC added, mode 0600. */
int guard_open(const char *dir, const char *name, int flags);

#endif
