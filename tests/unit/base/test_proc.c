#include "lib/test.h"
#include "base/proc.h"

#include <signal.h>

static void test_run_moves_input_and_output(void **s UNUSED)
{
	CLEANUP_BUF struct buf  out = BUF_INIT(8 << 20), in = BUF_INIT(8 << 20);
	const char *const       argv[] = { "cat", NULL };
	struct proc_run         run = { .argv = argv, .out = &out };
	struct err              e = { 0 };
	int                     status;

	for (int i = 0; i < 300000; i++)
		buf_addf(&in, "line %d\n", i);
	run.input = buf_str(&in);
	assert_ok(proc_run(&run, &status, &e), &e);
	assert_int_equal(status, 0);
	assert_true(str_eq(buf_str(&in), buf_str(&out)));
}

static void test_status_and_first_line_of_stderr(void **s UNUSED)
{
	const char *const argv[] = { "sh", "-c", "echo went wrong >&2; echo more >&2; exit 3", NULL };
	const char *const killed[] = { "sh", "-c", "kill -9 $$", NULL };
	struct proc_run   run = { .argv = argv };
	struct err        e = { 0 };
	int               status;

	assert_ok(proc_run(&run, &status, &e), &e);
	assert_int_equal(status, 3);
	assert_err(proc_run(&run, NULL, &e), WEIR_EIO);
	assert_string_equal(e.msg, "sh: exit status 3: went wrong");
	run.argv = killed;
	assert_ok(proc_run(&run, &status, &e), &e);
	assert_int_equal(status, 128 + SIGKILL);
}

static void test_limits(void **s UNUSED)
{
	CLEANUP_BUF struct buf out = BUF_INIT(1000);
	const char *const      yes[] = { "yes", NULL }, *const sleep_[] = { "sleep", "30", NULL },
	                        *const none[] = { "weir-no-such-program", NULL };
	struct proc_run        run = { .argv = yes, .out = &out };
	struct err             e = { 0 };

	assert_err(proc_run(&run, NULL, &e), WEIR_ELIMIT);
	run.argv = sleep_;
	run.timeout_ms = 50;
	assert_err(proc_run(&run, NULL, &e), WEIR_ETIMEOUT);
	run.argv = none;
	assert_err(proc_run(&run, NULL, &e), WEIR_ENOENT);
	assert_non_null(strstr(e.msg, "weir-no-such-program"));
}

static void test_wait_timeout(void **s UNUSED)
{
	const char *const argv[] = { "sleep", "30", NULL };
	struct proc_spec  spec = PROC_SPEC_INIT;
	struct err        e = { 0 };
	pid_t             pid;
	int               status;

	spec.argv = argv;
	assert_ok(proc_spawn(&spec, &pid, &e), &e);
	assert_err(proc_wait_timeout(pid, 0, &status, &e), WEIR_ETIMEOUT);
	kill(pid, SIGTERM);
	assert_ok(proc_wait_timeout(pid, 5000, &status, &e), &e);
	assert_int_equal(status, 128 + SIGTERM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_run_moves_input_and_output),
		cmocka_unit_test(test_status_and_first_line_of_stderr),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_wait_timeout),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
