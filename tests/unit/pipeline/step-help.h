/* step-help.h - a job's folder in a temporary place, and one step after the other in it, for tests of sandbox and guard.
 * The test program serves as guard and as the program inside the sandbox (main of each test: see STEP_HELP_MAIN). */
#ifndef WEIR_TESTS_STEP_HELP_H
#define WEIR_TESTS_STEP_HELP_H

#include "tests/lib/test.h"

#include "base/fs.h"
#include "base/hash.h"
#include "confine/confine.h"
#include "pipeline/guard.h"

#include <sys/stat.h>
#include <unistd.h>

struct steps {
	char       dir[256], job[300], step[340], exe[256];
	int        n;
	int64_t    timeout_ms;
	uint64_t   memory, pids;
	const char *cwd, *cgroup, *secret, *etc;
	const char *const *env;
	struct guard_starter *starter; /* NULL: the test program itself is executed */
	struct guard *guard;
	struct guard_status st;
	struct buf out;
};

static inline void steps_open(struct steps *s)
{
	struct err err;

	*s = (struct steps){ .cwd = SANDBOX_WORK, .out = BUF_INIT(80 << 20) };
	assert_ok(fs_temp_dir("weir-step-", s->dir, sizeof(s->dir), &err), &err);
	assert_ok(fs_self_exe(s->exe, sizeof(s->exe), &err), &err);
	snprintf(s->job, sizeof(s->job), "%s/job", s->dir);
	assert_ok(sandbox_prepare(s->job, "shop", 0, true, &err), &err);
}

static inline void steps_close(struct steps *s)
{
	struct err err;

	s->guard = guard_close(s->guard);
	confine_cgroup_remove(s->cgroup);
	buf_fini(&s->out);
	assert_ok(fs_remove_tree(s->dir, &err), &err);
}

/* Starts argv as the next step. */
static inline void steps_start(struct steps *s, const char *const *argv)
{
	static const char *const env[] = { "PATH=" SANDBOX_PATH, "HOME=" SANDBOX_HOME, NULL };
	struct sandbox_spec      spec = { .job_dir = s->job, .weir_exe = s->exe, .cwd = s->cwd, .argv = argv, .env = s->env ? s->env : env,
		                              .cgroup = s->cgroup, .memory_bytes_max = s->memory, .pids_max = s->pids, .secret_dir = s->secret, .etc_dir = s->etc };
	struct err               err;

	s->guard = guard_close(s->guard);
	snprintf(s->step, sizeof(s->step), "%s/step-%d", s->dir, s->n++);
	assert_int_equal(mkdir(s->step, 0700), 0);
	assert_ok(guard_start(s->starter, s->exe, s->step, &spec, s->timeout_ms, true, &s->guard, &err), &err);
}

static inline void steps_read_log(struct steps *s)
{
	struct err err;
	char       tmp[65536];
	ssize_t    n;

	buf_clear(&s->out);
	while ((n = guard_read_log(s->guard, (int64_t)s->out.len, tmp, sizeof(tmp), &err)) > 0)
		buf_add(&s->out, tmp, (size_t)n);
	assert_int_equal(n, 0);
}

/* Waits until the log holds the text. */
static inline void steps_await(struct steps *s, const char *text)
{
	for (int i = 0; i < 3000; i++) {
		steps_read_log(s);
		if (str_contains(buf_str(&s->out), str_z(text)))
			return;
		clock_sleep_ms(10);
	}
	fail_msg("the log never held \"%s\": %s", text, buf_z(&s->out));
}

static inline int steps_end(struct steps *s)
{
	struct err err;

	assert_ok(guard_wait(s->guard, 60000, &s->st, &err), &err);
	steps_read_log(s);
	return s->st.exit_status;
}

static inline int steps_sh(struct steps *s, const char *script)
{
	const char *const argv[] = { "bash", "-c", script, NULL };

	steps_start(s, argv);
	return steps_end(s);
}

static inline int step_help_guard(int argc, char **argv)
{
	struct err err = { 0 };

	if (argc != 3)
		return 2;
	if (guard_main(argv[2], STDIN_FILENO, &err)) {
		fprintf(stderr, "%s\n", err.msg);
		return 2;
	}
	return 0;
}

#define SKIP_WITHOUT_SANDBOX()                          \
	do {                                                \
		struct err skip_err;                            \
		if (sandbox_probe(&skip_err)) {                 \
			print_message("skipped: %s\n", skip_err.msg); \
			skip();                                     \
		}                                               \
	} while (0)

#endif
