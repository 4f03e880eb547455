/* test_guard.c - a guard runs a step to its end, stops it when asked or too late, and can be taken up by another runner. */
#include "tests/unit/pipeline/step-help.h"

#include "base/limits.h"
#include "pipeline/guard-spec.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>

static void test_end(void **state)
{
	struct steps s;

	(void)state;
	SKIP_WITHOUT_SANDBOX();
	steps_open(&s);
	assert_int_equal(steps_sh(&s, "echo out; echo err >&2; exit 7"), 7);
	assert_int_equal(s.st.end, GUARD_EXITED);
	assert_str(buf_str(&s.out), "out\nerr\n");
	assert_true(s.st.started > 0 && s.st.ended >= s.st.started);
	assert_int_equal(steps_sh(&s, "kill -SEGV $$"), 128 + SIGSEGV);
	steps_close(&s);
}

static int spec_fd(str text)
{
	struct err err;
	int        fd = memfd_create("spec", MFD_CLOEXEC);

	assert_ok(fs_write_fd(fd, "spec", text, &err), &err);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static int64_t count_processes(const char *needle)
{
	CLEANUP_BUF struct buf out = BUF_INIT(4 << 20);
	DIR                   *d = opendir("/proc");
	struct dirent         *e;
	int64_t                n = 0;
	char                   path[300];

	while ((e = readdir(d))) {
		snprintf(path, sizeof(path), "/proc/%s/cmdline", e->d_name);
		buf_clear(&out);
		if (!fs_read(path, &out, NULL))
			n += str_contains(buf_str(&out), str_z(needle));
	}
	closedir(d);
	return n;
}

/* The whole tree goes: a grandchild in its own session, with all signals ignored, too. */
static void test_timeout_kills_tree(void **state)
{
	struct steps s;

	(void)state;
	SKIP_WITHOUT_SANDBOX();
	steps_open(&s);
	s.timeout_ms = 1000;
	steps_sh(&s, "(trap '' INT TERM; setsid bash -c \"trap '' INT TERM; sleep 98765.5; sleep 98765.5\") & sleep 98765.5");
	assert_int_equal(s.st.end, GUARD_TIMEOUT);
	assert_string_equal(s.st.text, "stopped after 1 s");
	assert_int_equal(count_processes("98765.5"), 0);
	steps_close(&s);
}

/* SIGINT reaches the program itself, which may clean up. */
static void test_stop_is_gentle_first(void **state)
{
	struct steps s;

	(void)state;
	SKIP_WITHOUT_SANDBOX();
	steps_open(&s);
	steps_start(&s, (const char *const[]){ "python3", "-uc", "import time,sys\nprint('up')\ntry:\n time.sleep(1000)\nexcept KeyboardInterrupt:\n print('cleaned up')\n sys.exit(3)", NULL });
	steps_await(&s, "up\n");
	guard_stop(s.guard, false);
	guard_stop(s.guard, false);
	assert_int_equal(steps_end(&s), 3);
	assert_int_equal(s.st.end, GUARD_STOPPED);
	assert_str(buf_str(&s.out), "up\ncleaned up\n");
	steps_close(&s);
}

static void test_log_limit(void **state)
{
	struct steps s;

	(void)state;
	SKIP_WITHOUT_SANDBOX();
	steps_open(&s);
	assert_int_equal(steps_sh(&s, "head -c 70000000 /dev/zero; echo end"), 0);
	assert_true(s.st.log_cut);
	assert_true(s.out.len <= LIMIT_STEP_LOG_BYTES);
	assert_true(str_has_suffix(buf_str(&s.out), STR("the rest of its output is dropped\n")));
	steps_close(&s);
}

/* A first runner starts the step and dies; a second takes the guard up and sees all of the log once. */
static void test_adopt(void **state)
{
	struct steps  s;
	struct guard *again = NULL;
	struct err    err;
	int           status, fd;
	pid_t         pid;

	(void)state;
	SKIP_WITHOUT_SANDBOX();
	steps_open(&s);
	pid = fork();
	if (!pid) { /* the first runner: killed right after the start */
		steps_start(&s, (const char *const[]){ "bash", "-c", "for i in $(seq 5); do echo line $i; sleep 0.2; done; exit 4", NULL });
		kill(getpid(), SIGKILL);
	}
	waitpid(pid, &status, 0);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	snprintf(s.step, sizeof(s.step), "%s/step-0", s.dir);
	assert_ok(guard_adopt(s.step, &again, &err), &err);
	assert_non_null(again);
	s.guard = again;
	assert_int_equal(steps_end(&s), 4);
	assert_str(buf_str(&s.out), "line 1\nline 2\nline 3\nline 4\nline 5\n");
	/* a third one finds the same end */
	s.guard = guard_close(s.guard);
	assert_ok(guard_adopt(s.step, &s.guard, &err), &err);
	assert_int_equal(steps_end(&s), 4);
	/* and the step cannot be started a second time by mistake */
	fd = spec_fd(STR("job_dir\0/x\0cwd\0/\0argv\0true\0"));
	assert_err(guard_main(s.step, fd, &err), WEIR_EEXIST);
	close(fd);
	steps_close(&s);
}

static void test_adopt_never_began(void **state)
{
	struct steps  s;
	struct guard *g = (struct guard *)1;
	struct err    err;

	(void)state;
	steps_open(&s);
	assert_ok(guard_adopt(s.dir, &g, &err), &err);
	assert_null(g);
	steps_close(&s);
}

static pid_t guard_pid(const char *dir)
{
	char           self[64], path[300], target[400];
	DIR           *d = opendir("/proc");
	struct dirent *e;
	pid_t          found = 0;
	CLEANUP_BUF struct buf cmd = BUF_INIT(1 << 20);

	(void)self;
	(void)target;
	while ((e = readdir(d))) {
		snprintf(path, sizeof(path), "/proc/%s/cmdline", e->d_name);
		buf_clear(&cmd);
		if (!fs_read(path, &cmd, NULL) && str_contains(buf_str(&cmd), STR("guard")) && str_contains(buf_str(&cmd), str_z(dir)))
			found = (pid_t)strtol(e->d_name, NULL, 10);
	}
	closedir(d);
	return found;
}

static void test_killed_guard(void **state)
{
	struct steps s;
	pid_t        pid;

	(void)state;
	SKIP_WITHOUT_SANDBOX();
	steps_open(&s);
	steps_start(&s, (const char *const[]){ "bash", "-c", "echo up; sleep 87654.5", NULL });
	steps_await(&s, "up\n");
	pid = guard_pid(s.step);
	assert_true(pid > 1);
	kill(pid, SIGTERM); /* it does not listen to that */
	clock_sleep_ms(100);
	assert_int_equal(guard_pid(s.step), pid);
	kill(pid, SIGKILL);
	steps_end(&s);
	assert_int_equal(s.st.end, GUARD_LOST);
	for (int i = 0; i < 500 && count_processes("87654.5"); i++)
		clock_sleep_ms(10);
	assert_int_equal(count_processes("87654.5"), 0); /* the step went with it */
	steps_close(&s);
}

/* Guards of the starter are as good as those of the program, outlive it, and its errors come back. */
static void test_starter(void **state)
{
	struct steps          s;
	struct guard_starter *st = NULL;
	struct err            err;

	(void)state;
	SKIP_WITHOUT_SANDBOX();
	assert_ok(guard_starter_new(&st, &err), &err);
	steps_open(&s);
	s.starter = st;
	for (int i = 0; i < 5; i++)
		assert_int_equal(steps_sh(&s, "echo hi; exit 4"), 4);
	assert_str(buf_str(&s.out), "hi\n");
	steps_start(&s, (const char *const[]){ "bash", "-c", "echo up; sleep 0.5; echo late; exit 6", NULL });
	steps_await(&s, "up\n");
	guard_starter_free(st);
	assert_int_equal(steps_end(&s), 6);
	assert_str(buf_str(&s.out), "up\nlate\n");
	assert_ok(guard_starter_new(&st, &err), &err);
	assert_err(guard_starter_ask(st, "/nonexistent", STR(""), &err), WEIR_ENOENT);
	guard_starter_free(st);
	steps_close(&s);
}

static void test_bad_spec(void **state)
{
	struct steps s;
	struct err   err;
	char         path[400];
	int          fd;

	(void)state;
	steps_open(&s);
	fd = spec_fd(STR("job_dir\0/x\0nonsense\0y\0"));
	assert_err(guard_main("/nonexistent", fd, &err), WEIR_ENOENT);
	snprintf(path, sizeof(path), "%s/status", s.dir);
	assert_ok(fs_write_quick(path, STR(""), 0600, &err), &err);
	assert_err(guard_main(s.dir, fd, &err), WEIR_EPARSE);
	close(fd);
	fd = spec_fd(STR("job_dir\0/x\0cwd\0/\0"));
	assert_err(guard_main(s.dir, fd, &err), WEIR_EPARSE); /* nothing to run */
	close(fd);
	steps_close(&s);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_end),   cmocka_unit_test(test_timeout_kills_tree), cmocka_unit_test(test_stop_is_gentle_first),
		cmocka_unit_test(test_log_limit), cmocka_unit_test(test_adopt),          cmocka_unit_test(test_adopt_never_began),
		cmocka_unit_test(test_killed_guard), cmocka_unit_test(test_bad_spec),
		cmocka_unit_test(test_starter),
	};

	base_init();
	if (argc > 1 && !strcmp(argv[1], "guard"))
		return step_help_guard(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
