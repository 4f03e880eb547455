/* guard.h - what the guard of an instance and its sandbox share; see guard.c. Private to src/release. */
#ifndef WEIR_RELEASE_GUARD_H
#define WEIR_RELEASE_GUARD_H

#include "base/base.h"
#include "confine/confine.h"

enum { GUARD_CGROUP_SIZE = 240 };

struct guard_spec {
	const char *dir;
	char      **argv, **env;
	int64_t     grace_ms, user;
	int64_t     memory_max, processes_max; /* 0: none */
	char        cgroup[GUARD_CGROUP_SIZE];
	struct confine_held held;              /* which limits the group holds; the others are set as rlimits */
};

/* Name of the group of the instance in that folder: the same at each start, another one in another data folder. */
void guard_cgroup_name(const char *service_dir, char out[GUARD_CGROUP_SIZE]);
/* The child: limits itself and becomes bubblewrap, which writes its information to the descriptor `info`. */
NORETURN void guard_box_main(const struct guard_spec *spec, int info);

#endif
