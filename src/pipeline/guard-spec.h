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

MUST_CHECK int guard_spec_write(const char *dir, const struct sandbox_spec *s, int64_t timeout_ms, bool durable, struct err *reterr);
MUST_CHECK int guard_spec_read(const char *dir, struct guard_spec *ret, struct err *reterr);
void guard_spec_fini(struct guard_spec *s);

MUST_CHECK int guard_status_write(const char *dir, const struct guard_status *st, bool durable, struct err *reterr);
/* -WEIR_ENOENT while there is none. */
MUST_CHECK int guard_status_read(const char *dir, struct guard_status *ret, struct err *reterr);

/* guard-starter.c: has the guard for dir started; 0 when it is up. */
MUST_CHECK int guard_starter_ask(struct guard_starter *s, const char *dir, struct err *reterr);

/* Opens dir/name; flags as open(2), O_CLOEXEC added, mode 0600. */
int guard_open(const char *dir, const char *name, int flags);

#endif
