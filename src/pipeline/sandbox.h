/* sandbox.h - one step in a sandbox: bubblewrap with own user, pid, mount, ipc and uts namespaces, a seccomp filter and limits.
 *
 * What the step sees: the system read-only (/usr, /bin, /lib*, /opt, selected files of /etc), the job's own home and /tmp, its own
 * processes, the machine's network (checkout and release must reach the server). What it does not see: homes, data and
 * processes of the machine, the environment of the runner, the token of another step.
 * Started by root, the step runs as its slot's own unprivileged user (SANDBOX_UID_BASE + slot), never as root; started by an
 * ordinary user, as that user. Inside it is always user 1000 ("runner") without any capability.
 * Single-threaded callers only (the guard): sandbox_spawn() forks. */
#ifndef WEIR_PIPELINE_SANDBOX_H
#define WEIR_PIPELINE_SANDBOX_H

#include "base/base.h"
#include "base/err.h"
#include "base/str.h"

#include <sys/types.h>

enum { SANDBOX_UID_BASE = 200000, SANDBOX_UID_INSIDE = 1000 };

#define SANDBOX_HOME  "/home/runner"          /* job_dir/home */
#define SANDBOX_WORK  SANDBOX_HOME "/work"    /* workspaces are SANDBOX_WORK/PROJECT/PROJECT */
#define SANDBOX_TEMP  SANDBOX_WORK "/_temp"   /* RUNNER_TEMP, job_dir/home/work/_temp */
#define SANDBOX_FILES "/run/weir/files"       /* job_dir/files, read-only: scripts, event.json. A step could otherwise leave a symbolic
                                               * link where the runner writes for the next one */
#define SANDBOX_SECRET "/run/weir/secret"     /* step's secret folder, read-only */
#define SANDBOX_WEIR  "/run/weir/weir"        /* this program, read-only */
#define SANDBOX_PATH  "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct sandbox_spec {
	const char        *job_dir;    /* absolute; made by sandbox_prepare() */
	const char        *secret_dir; /* absolute, or NULL */
	const char        *weir_exe;   /* absolute, or NULL: no SANDBOX_WEIR */
	const char        *writable;   /* folder below job_dir/files that this step may write, "cmd"; or NULL */
	const char        *etc_dir;    /* absolute, of sandbox_etc(); NULL: job_dir/etc */
	const char        *cwd;        /* inside the sandbox */
	const char *const *argv;       /* NULL-ended; argv[0] is looked up in the PATH of env */
	const char *const *env;        /* NULL-ended "K=V": the whole environment */
	unsigned           slot;       /* which user, when root starts it */
	const char        *cgroup;     /* name for the job's group, or NULL: no limits by cgroup */
	uint64_t           memory_bytes_max; /* 0: none */
	uint64_t           pids_max;         /* 0: none */
};

struct sandbox_proc {
	pid_t pid;         /* bubblewrap: to be waited for; its exit status is the step's */
	pid_t init;        /* process 1 inside, as seen from outside; 0 when it never came up */
	int   fd_status;   /* bubblewrap's reports; sandbox_ran() reads it, the caller closes it */
	char  limits[160]; /* which limits hold, for the head of the job's log */
};

/* Copies what steps see as /etc into a folder below base, which is shared by all jobs for which the machine's /etc is the same; *ret: its path.
 * Atomic; several processes and threads may do it at once. Copies of another state of /etc, or of before the last boot, go a week after a job last began with them. */
MUST_CHECK int sandbox_etc(const char *base, char *ret, size_t size, struct err *reterr);
/* The same for one job: dir/etc. */
MUST_CHECK int sandbox_etc_make(const char *dir, struct err *reterr);
/* Makes job_dir with home, tmp (the slot's user's) and files (the runner's), etc unless it is shared, and the workspace home/work/PROJECT/PROJECT. Before the first step
 * only: afterwards the folders hold whatever the steps left there, and the runner must not write into them by path. */
MUST_CHECK int sandbox_prepare(const char *job_dir, const char *project, unsigned slot, bool own_etc, struct err *reterr);
/* Gives a file or folder that the runner made to the slot's user (no-op for ordinary users). */
MUST_CHECK int sandbox_give(const char *path, unsigned slot, struct err *reterr);
/* Starts the step with its output (both streams) on fd_out. -WEIR_EUNAVAIL with what to do when this machine cannot. */
MUST_CHECK int sandbox_spawn(const struct sandbox_spec *s, int fd_out, struct sandbox_proc *ret, struct err *reterr);
/* After p->pid ended: true when the program was started; false: the sandbox could not be set up (bubblewrap's message is in the output). */
bool sandbox_ran(const struct sandbox_proc *p);
/* Sends sig to every process inside except process 1; SIGKILL goes to process 1, which takes all others with it. */
void sandbox_signal(const struct sandbox_proc *p, int sig);
/* 0 when this machine can run sandboxes; else why not and what to do (weir doctor). */
MUST_CHECK int sandbox_probe(struct err *reterr);

#define SANDBOX_DEFAULT_PIDS 8192

#endif
