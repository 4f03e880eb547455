#include "lib/test.h"

#include "base/hash.h"
#include "release/helper.h"
#include "release/workload.h"

#include <sys/stat.h>

static char data_dir[256], version_dir[300];
static const char *guard_argv[] = { NULL, NULL };
static struct workload_process *procs;
static struct workload_ops      ops;

static int setup(void **s UNUSED)
{
	struct err e = { 0 };
	struct buf CLEANUP_BUF app = BUF_INIT(1 << 16);
	char       path[400];

	if (fs_temp_dir("weir-workload-", data_dir, sizeof(data_dir), &e))
		fail_msg("%s", e.msg);
	snprintf(version_dir, sizeof(version_dir), "%s/versions/one", data_dir);
	snprintf(path, sizeof(path), "%s/app.py", version_dir);
	assert_ok(fs_mkdirs(version_dir, 0755, &e), &e);
	assert_ok(fs_read(TEST_APP, &app, &e), &e);
	assert_ok(fs_write_quick(path, buf_str(&app), 0644, &e), &e);
	guard_argv[0] = TEST_GUARD;
	assert_ok(workload_process_new(data_dir, guard_argv, &procs, &e), &e);
	assert_ok(workload_process_supervise(procs, &e), &e);
	ops = workload_process_ops(procs);
	return 0;
}

static int teardown(void **s UNUSED)
{
	struct err e = { 0 };

	assert_ok(workload_process_shutdown(data_dir, 20000, &e), &e);
	procs = workload_process_free(procs);
	assert_ok(fs_remove_tree(data_dir, &e), &e);
	return 0;
}

static int64_t  memory_max = 256 << 20;
static unsigned processes_max = 200;

static uint16_t start(const char *name, const char *const *env, usec_t grace)
{
	static const char *const argv[] = { "/usr/bin/python3", "app.py", NULL };
	struct workload_spec     spec = { name, version_dir, argv, env, helper_free_port(), grace, memory_max, processes_max, 3 };
	struct err               e = { 0 };

	assert_ok(ops.start(ops.ctx, &spec, &e), &e);
	assert_ok(ops.start(ops.ctx, &spec, &e), &e); /* again: nothing more happens */
	return spec.port;
}

static struct workload_status status(const char *name)
{
	struct workload_status st;
	struct err             e = { 0 };

	assert_ok(ops.status(ops.ctx, name, &st, &e), &e);
	return st;
}

static void stop_and_remove(const char *name)
{
	struct err e = { 0 };

	assert_ok(ops.stop(ops.ctx, name, &e), &e);
	assert_ok(ops.stop(ops.ctx, name, &e), &e);
	WAIT_FOR(status(name).gone);
	assert_ok(ops.remove(ops.ctx, name, &e), &e);
	assert_ok(ops.remove(ops.ctx, name, &e), &e);
	assert_false(status(name).exists);
}

static void test_runs_apart_from_the_host(void **s UNUSED)
{
	static const char *const env[] = { "VERSION=one", NULL };
	char     answer[4096];
	uint16_t port = start("apart", env, USEC_PER_SEC);

	WAIT_FOR(helper_get(port, "x", "/id", answer, sizeof(answer)) == 200);
	assert_non_null(strstr(answer, "'app'"));
	assert_null(strstr(answer, "'root'")); /* no home, nothing of the host but the read-only system */
	assert_null(strstr(answer, "'home'"));
	assert_null(strstr(answer, "'mnt'"));
	assert_null(strstr(answer, "'var'"));
	assert_int_equal(helper_get(port, "x", "/", answer, sizeof(answer)), 200);
	assert_non_null(strstr(answer, "\r\n\r\none\n"));
	stop_and_remove("apart");
	assert_int_equal(helper_get(port, "x", "/", answer, sizeof(answer)), 0);
}

static void test_finishes_its_requests_on_sigterm(void **s UNUSED)
{
	static const char *const env[] = { "SLOW=1.5", NULL };
	struct buf CLEANUP_BUF log = BUF_INIT(1 << 20);
	struct err e = { 0 };
	char       answer[4096], path[400];
	uint16_t   port = start("finishes", env, 10 * USEC_PER_SEC);
	int        fd;

	WAIT_FOR(helper_get(port, "x", "/healthz", answer, sizeof(answer)) == 200);
	fd = helper_send(port, "x", "/slow");
	clock_sleep_ms(300);
	assert_ok(ops.stop(ops.ctx, "finishes", &e), &e);
	assert_int_equal(helper_answer(fd, answer, sizeof(answer)), 200);
	WAIT_FOR(status("finishes").gone);
	snprintf(path, sizeof(path), "%s/logs/finishes/current", data_dir);
	WAIT_FOR((buf_clear(&log), fs_read(path, &log, &e) == 0) && strstr(buf_z(&log), "SIGTERM: finished"));
	stop_and_remove("finishes");
}

static void test_one_that_ignores_sigterm_is_killed_after_the_grace_time(void **s UNUSED)
{
	static const char *const env[] = { "STUBBORN=1", NULL };
	char     answer[4096];
	uint16_t port = start("stubborn", env, USEC_PER_SEC / 2);

	WAIT_FOR(helper_get(port, "x", "/healthz", answer, sizeof(answer)) == 200);
	stop_and_remove("stubborn");
	assert_int_equal(helper_get(port, "x", "/", answer, sizeof(answer)), 0);
}

static void test_a_service_that_dies_is_started_again_and_counted(void **s UNUSED)
{
	static const char *const env[] = { "DIE=1", NULL };

	start("dies", env, USEC_PER_SEC);
	WAIT_FOR(status("dies").starts >= 2);
	stop_and_remove("dies");
}

static void test_outlives_its_starter_and_is_found_again(void **s UNUSED)
{
	static const char *const env[] = { NULL };
	struct workload_process *second;
	struct workload_ops      ops2;
	struct err               e = { 0 };
	struct workload_status   st;
	char                     answer[4096];
	uint16_t                 port = start("outlives", env, USEC_PER_SEC);

	WAIT_FOR(helper_get(port, "x", "/healthz", answer, sizeof(answer)) == 200);
	assert_ok(workload_process_new(data_dir, guard_argv, &second, &e), &e);
	assert_ok(workload_process_supervise(second, &e), &e);
	ops2 = workload_process_ops(second);
	assert_ok(ops2.status(ops2.ctx, "outlives", &st, &e), &e);
	assert_true(st.exists && !st.gone && st.starts == 1);
	assert_err(ops2.remove(ops2.ctx, "outlives", &e), WEIR_EBUSY);
	second = workload_process_free(second);
	stop_and_remove("outlives");
}

static void test_has_a_filter_and_no_new_privileges(void **s UNUSED)
{
	static const char *const env[] = { NULL };
	char     answer[8192];
	uint16_t port = start("filtered", env, USEC_PER_SEC);

	WAIT_FOR(helper_get(port, "x", "/status", answer, sizeof(answer)) == 200);
	assert_non_null(strstr(answer, "\nNoNewPrivs:\t1\n"));
	assert_non_null(strstr(answer, "\nSeccomp:\t2\n"));
	assert_non_null(strstr(answer, "\nCapEff:\t0000000000000000\n"));
	stop_and_remove("filtered");
}

static bool log_has(const char *name, const char *what)
{
	struct buf CLEANUP_BUF log = BUF_INIT(1 << 20);
	char path[400];

	snprintf(path, sizeof(path), "%s/logs/%s/current", data_dir, name);
	return fs_read(path, &log, NULL) == 0 && strstr(buf_z(&log), what);
}

/* A guard that sees no cgroups, as on a machine where they may not be written. */
static void test_without_cgroups_rlimits_hold(void **s UNUSED)
{
	static const char *const without[] = { "/usr/bin/unshare", "-m", "/bin/sh", "-c", "mount -t tmpfs none /sys/fs/cgroup && exec \"$0\" \"$1\"", TEST_GUARD, NULL };
	static const char *const eats[] = { "EAT=1", NULL }, *const forks[] = { "FORK=1", NULL };
	struct workload_process *usual = procs;
	struct workload_ops      usual_ops = ops;
	struct err               e = { 0 };
	char                     answer[4096];
	uint16_t                 port;

	if (geteuid() != 0) {
		print_message("skipped: only root can hide the cgroups\n");
		skip();
	}
	assert_ok(workload_process_new(data_dir, without, &procs, &e), &e);
	ops = workload_process_ops(procs);
	memory_max = 128 << 20;
	processes_max = 30;
	start("eats", eats, USEC_PER_SEC);
	port = start("forks", forks, USEC_PER_SEC);
	WAIT_FOR(log_has("eats", "no more memory"));
	WAIT_FOR(status("eats").starts >= 2); /* it ended, and was started again */
	assert_true(log_has("eats", "at most 128 MiB of memory (rlimit, each process) and 30 processes (rlimit)"));
	WAIT_FOR(log_has("forks", "no more processes"));
	WAIT_FOR(helper_get(port, "x", "/healthz", answer, sizeof(answer)) == 0); /* no thread for an answer either */
	stop_and_remove("eats");
	stop_and_remove("forks");
	workload_process_free(procs);
	procs = usual;
	ops = usual_ops;
	memory_max = 256 << 20;
	processes_max = 200;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_runs_apart_from_the_host),
		cmocka_unit_test(test_finishes_its_requests_on_sigterm),
		cmocka_unit_test(test_one_that_ignores_sigterm_is_killed_after_the_grace_time),
		cmocka_unit_test(test_a_service_that_dies_is_started_again_and_counted),
		cmocka_unit_test(test_outlives_its_starter_and_is_found_again),
		cmocka_unit_test(test_has_a_filter_and_no_new_privileges),
		cmocka_unit_test(test_without_cgroups_rlimits_hold),
	};

	base_init();
	return cmocka_run_group_tests(tests, setup, teardown);
}
