/* runner-end.c - ends what outlives a runner: the guards of running steps (`weir down`). One thread; no runner works in the folder. */
#include "base/base.h"
#include "base/clock.h"
#include "base/fs.h"
#include "pipeline/guard.h"
#include "pipeline/runner.h"

#include <dirent.h>
#include <limits.h>

typedef int (*entry_fn)(const char *path, usec_t until, struct err *reterr);

/* fn for each entry of a folder; an absent folder has none. The first error is kept, the others are tried all the same. */
static int each_entry(const char *path, entry_fn fn, usec_t until, struct err *reterr)
{
	DIR           *d = opendir(path);
	struct dirent *e;
	int            rc = 0;

	while (d && (e = readdir(d))) {
		char sub[PATH_MAX];
		int  r;

		if (e->d_name[0] == '.' || snprintf(sub, sizeof(sub), "%s/%s", path, e->d_name) >= (int)sizeof(sub))
			continue;
		r = fn(sub, until, rc ? NULL : reterr);
		rc = rc ? rc : r;
	}
	if (d)
		closedir(d);
	return rc;
}

static int end_step(const char *path, usec_t until, struct err *reterr)
{
	struct guard_status st;
	struct guard       *g = NULL;
	usec_t              left = until - clock_mono_now();
	int                 r = guard_adopt(path, &g, reterr);

	if (!r && g)
		r = guard_look(g, &st, reterr);
	if (!r && g && st.end == GUARD_NONE) {
		guard_stop(g, true);
		r = guard_wait(g, left > 0 ? left / USEC_PER_MSEC : 1, &st, reterr);
	}
	guard_close(g);
	return r;
}

static int end_job(const char *path, usec_t until, struct err *reterr)
{
	char steps[PATH_MAX];
	int  r = fs_join(steps, sizeof(steps), reterr, path, "steps");

	return r ? r : each_entry(steps, end_step, until, reterr);
}

int runner_end_steps(const char *data, int64_t wait_ms, struct err *reterr)
{
	char jobs[PATH_MAX];
	int  r = fs_join(jobs, sizeof(jobs), reterr, data, "runner/jobs");

	return r ? r : each_entry(jobs, end_job, clock_mono_now() + wait_ms * USEC_PER_MSEC, reterr);
}
