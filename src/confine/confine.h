/* confine.h - what keeps programs of other people small: the seccomp filter, and memory and process limits by cgroups.
 *
 * Used by the steps of jobs (src/pipeline) and by the instances of services (src/release). Any thread, unless said otherwise. */
#ifndef WEIR_CONFINE_CONFINE_H
#define WEIR_CONFINE_CONFINE_H

#include "base/base.h"
#include "base/err.h"

#include <time.h>

/* Writes the filter as BPF to a new memory file, as bubblewrap's --seccomp reads it. */
MUST_CHECK int confine_seccomp(int *ret_fd, struct err *reterr);
/* Makes the filter once for all later calls of this process and those it forks; before there are threads. */
void confine_seccomp_warm(void);

/* Makes the groups of this name (a path component) and sets the limits (0: none) where cgroups v1 or v2 allow it; *limits says which hold. Never
 * fails: a machine without cgroups has no such limits, and the text says so. */
void confine_cgroup_make(const char *name, uint64_t memory_bytes_max, uint64_t pids_max, char *limits, size_t size);
struct confine_held { /* which limits a group holds */
	bool        memory, pids;
	const char *kind; /* "v1", "v2", "none" */
};
/* The same, with what holds as flags. */
void confine_cgroup_set(const char *name, uint64_t memory_bytes_max, uint64_t pids_max, struct confine_held *ret);
struct confine_met { /* how often a group met its limits since it was made */
	uint64_t memory; /* processes that the kernel killed for memory */
	uint64_t pids;   /* processes or threads that it refused to start */
	uint64_t pids_now; /* processes and threads in it; some kernels count those that just ended for a moment longer */
};
void confine_cgroup_met(const char *name, struct confine_met *ret);
void confine_cgroup_enter(const char *name);  /* the calling process; also between vfork and exec */
bool confine_cgroup_remove(const char *name); /* after all its processes ended; false: some are still there */
/* Removes groups that nobody removed (a crash) and that have no process in them. made_before: leaves younger ones, which may be entered soon. */
void confine_cgroup_sweep(time_t made_before);

/* What a job may use when nothing else was said: three quarters of the machine's memory by the number of jobs at once. */
uint64_t confine_default_memory(unsigned jobs);

#endif
