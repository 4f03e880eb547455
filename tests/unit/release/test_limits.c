/* test_limits.c - an instance that wants more than it may: it is ended with its reason, and its release does not go on. Needs cgroups that may be
 * written; without them rlimits hold, which test_workload shows. */
#include "lib/test.h"

#include "confine/confine.h"
#include "release/room.inc.h"

static char why_skipped[100];

static int setup(void **s)
{
	struct confine_held held;
	char                id[ID_SIZE];

	confine_cgroup_set("test-limits-probe", 64 << 20, 64, &held);
	confine_cgroup_remove("test-limits-probe");
	if (!held.memory || !held.pids)
		snprintf(why_skipped, sizeof(why_skipped), "no right to limit memory and processes by cgroups (%s)", held.kind);
	fx_setup(s);
	fx_upload();
	assert_int_equal(fx_release(fx_yaml("VERSION: good", ""), "production", id), 201);
	WAIT_FOR(fx_state_is(id, "finished"));
	return 0;
}

#define SKIP_WITHOUT_CGROUPS()                          \
	do {                                                \
		if (why_skipped[0]) {                           \
			print_message("skipped: %s\n", why_skipped); \
			skip();                                     \
		}                                               \
	} while (0)

static const char *yaml(const char *env, const char *limits)
{
	static char text[2000];

	snprintf(text, sizeof(text),
	         "service: shop\ncommand: [/usr/bin/python3, app.py]\nhealth: {path: /healthz, interval: 200ms, start-within: 60s}\n"
	         "route: {host: shop.localhost}\nclient: connection\nstop-grace: 2s\nlimits: {%s}\n"
	         "environments:\n  production: {env: {%s}}\nrollout: {steps: [25%%, 100%%], bake: 2s}\n",
	         limits, env);
	return text;
}

/* Text of the log of the release's instance. */
static bool log_has(const char *id, const char *what)
{
	struct buf CLEANUP_BUF out = BUF_INIT(16 << 20);
	char                   dir[200];
	const char            *argv[] = { "sh", "-c", "cat \"$0\"/shop.production.*/*", dir, NULL };
	struct proc_run        run = { .argv = argv, .out = &out, .timeout_ms = 20000 };
	int                    status;

	(void)id;
	snprintf(dir, sizeof(dir), "%s/logs", fx.data);
	FX_OK(proc_run(&run, &status, &fx_err));
	return str_contains(buf_str(&out), str_z(what));
}

static void ends_by(const char *env, const char *limits, const char *limit, const char *in_log)
{
	char answer[2000], id[ID_SIZE];

	assert_int_equal(fx_release(yaml(env, limits), "production", id), 201);
	WAIT_FOR(fx_over(id));
	if (!fx_state_is(id, "rolled-back") || !fx_cause_has(id, limit) || !fx_cause_has(id, "crash loop: "))
		fail_msg("not rolled back for %s", limit);
	assert_true(log_has(id, in_log));
	assert_int_equal(helper_get(release_http_port(fx.room), "shop.localhost", "/", answer, sizeof(answer)), 200);
	assert_non_null(strstr(answer, "\r\n\r\ngood\n"));
}

static void test_one_that_eats_memory_is_ended(void **s UNUSED)
{
	SKIP_WITHOUT_CGROUPS();
	ends_by("EAT: \"1\"", "memory: 64MiB", "more than its 64 MiB of memory (limits.memory)", "weir: ended: it used more than its 64 MiB");
}

static void test_one_that_forks_without_end_is_ended(void **s UNUSED)
{
	SKIP_WITHOUT_CGROUPS();
	ends_by("FORK: \"1\"", "memory: 512MiB, processes: 60", "more than its 60 processes and threads (limits.processes)", "weir: ended: it wanted more than its 60 processes");
}

static void test_within_its_limits_it_goes_on(void **s UNUSED)
{
	struct load load;
	char        id[ID_SIZE];

	/* app.py has a thread for every connection, and HAProxy makes one for every request of these clients: at hundreds per second on a busy machine
	 * its threads wait for each other by the thousand and are no longer modest. */
	assert_int_equal(fx_release(yaml("VERSION: modest", "memory: 256MiB, processes: 3000"), "production", id), 201);
	WAIT_FOR(fx_state_is(id, "canary"));
	load_start(&load, "shop.localhost", 20000, release_http_port(fx.room));
	WAIT_FOR(fx_over(id));
	load_stop(&load);
	assert_true(fx_state_is(id, "finished"));
	assert_int_equal(load.failed + load.none, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_that_eats_memory_is_ended),
		cmocka_unit_test(test_one_that_forks_without_end_is_ended),
		cmocka_unit_test(test_within_its_limits_it_goes_on),
	};

	base_init();
	return cmocka_run_group_tests(tests, setup, fx_teardown);
}
