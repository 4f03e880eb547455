/* weir is killed in the middle of a canary: the server runs in a child of this test, which is killed with SIGKILL and started again. */
#include "lib/test.h"

#include "release/room.inc.h"

#include <sys/wait.h>

static pid_t    server;
static uint16_t api_port, http_port;

/* The child: the whole room, until it is killed. */
static void server_main(int ready)
{
	uint16_t ports[2];

	fx_open_db();
	fx_room_open();
	ports[0] = http_server_port(fx.http);
	ports[1] = release_http_port(fx.room);
	if (write(ready, ports, sizeof(ports)) != sizeof(ports))
		_exit(1);
	for (;;)
		pause();
}

static void server_start(void)
{
	uint16_t ports[2];
	char     url[64];
	int      pipe_fd[2];

	assert_int_equal(pipe2(pipe_fd, O_CLOEXEC), 0);
	server = fork();
	if (server == 0)
		server_main(pipe_fd[1]);
	close(pipe_fd[1]);
	assert_int_equal(read(pipe_fd[0], ports, sizeof(ports)), sizeof(ports));
	close(pipe_fd[0]);
	api_port = ports[0];
	if (http_port)
		assert_int_equal(http_port, ports[1]); /* the users' port stays */
	http_port = ports[1];
	snprintf(url, sizeof(url), "http://127.0.0.1:%u", api_port);
	fx.client = http_client_free(fx.client);
	FX_OK(http_client_new(url, NULL, &fx.client, &fx_err));
}

static void server_kill(void)
{
	int status;

	kill(server, SIGKILL);
	assert_int_equal(waitpid(server, &status, 0), server);
}

static int setup(void **s UNUSED)
{
	fx_prepare();
	server_start();
	return 0;
}

static int teardown(void **s UNUSED)
{
	server_kill();
	fx.client = http_client_free(fx.client);
	FX_OK(release_shutdown_workloads(fx.data, 30000, &fx_err));
	FX_OK(fs_remove_tree(fx.dir, &fx_err));
	return 0;
}

static struct load load;

/* fork() happens while no thread of this process runs: the load is stopped around it. */
static void load_on(void)
{
	load_start(&load, "shop.localhost", 5000, http_port);
}

static int64_t canary_requests(const char *id, int64_t *ret_missing, int64_t *ret_failed)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(4 << 20);
	const struct doc_node *r = fx_get(id, &a), *segs = doc_get(r, "segments");
	int64_t n = 0;

	*ret_failed = 0;
	for (size_t i = 0; i < doc_len(segs); i++) {
		n += doc_get_int(doc_at(segs, i), "requests_canary", 0) + doc_get_int(doc_at(segs, i), "requests_stable", 0);
		*ret_failed += doc_get_int(doc_at(segs, i), "failed_canary", 0);
	}
	*ret_missing = doc_get_int(r, "missing_records", 0);
	return n;
}

static void test_users_are_answered_and_the_evidence_goes_on(void **s UNUSED)
{
	char    id[ID_SIZE], answer[2000];
	int64_t before, after, missing, failed;
	unsigned sent;

	fx_upload();
	assert_int_equal(fx_release(fx_yaml("VERSION: one", ""), "production", id), 201);
	WAIT_FOR(fx_state_is(id, "finished"));
	assert_int_equal(fx_release(fx_yaml("VERSION: two", ""), "production", id), 201);
	WAIT_FOR(fx_state_is(id, "canary"));
	assert_int_equal(fx_act(id, "pause"), 200);
	load_on();
	clock_sleep_ms(2000);
	before = canary_requests(id, &missing, &failed);
	assert_true(before > 100);
	server_kill(); /* under load */
	clock_sleep_ms(1500);
	assert_int_equal(load.failed + load.none, 0);
	load_stop(&load);
	sent = load.ok;
	assert_int_equal(load.failed + load.none, 0); /* HAProxy and the services did not notice */
	server_start();
	assert_true(fx_state_is(id, "canary"));
	WAIT_FOR(canary_requests(id, &missing, &failed) >= (int64_t)sent - 3); /* all of them: from records, from the ring, from the counters */
	after = canary_requests(id, &missing, &failed);
	print_message("%u requests; %lld counted, of these %lld from the counters only\n", sent, (long long)after, (long long)missing);
	assert_true(after <= (int64_t)sent);
	assert_true(missing < (int64_t)sent / 5);
	assert_int_equal(failed, 0);
	load_on();
	assert_int_equal(fx_act(id, "resume"), 200);
	WAIT_FOR(fx_state_is(id, "finished"));
	load_stop(&load);
	assert_int_equal(load.failed + load.none, 0);
	assert_int_equal(helper_get(http_port, "shop.localhost", "/", answer, sizeof(answer)), 200);
	assert_non_null(strstr(answer, "\r\n\r\ntwo\n"));
}

static void test_a_dead_canary_is_taken_back_after_the_restart(void **s UNUSED)
{
	char id[ID_SIZE], answer[2000];

	assert_int_equal(fx_release(fx_yaml("VERSION: dead, FAIL: \"1\"", ""), "production", id), 201);
	WAIT_FOR(fx_state_is(id, "canary"));
	server_kill();
	load_on(); /* nobody judges now */
	clock_sleep_ms(500);
	load_stop(&load);
	assert_true(load.failed > 0);
	server_start();
	WAIT_FOR(fx_over(id));
	assert_true(fx_state_is(id, "rolled-back"));
	assert_int_equal(helper_get(http_port, "shop.localhost", "/", answer, sizeof(answer)), 200);
	assert_non_null(strstr(answer, "\r\n\r\ntwo\n"));
}

/* Killed again and again while a release goes its way: it ends the same. */
static void test_killed_at_many_moments_it_ends_the_same(void **s UNUSED)
{
	char     id[ID_SIZE], answer[2000];
	unsigned kills = 0;

	assert_int_equal(fx_release(fx_yaml("VERSION: three", ""), "production", id), 201);
	for (unsigned ms = 30; !fx_over(id) && kills < 12; ms += 120, kills++) {
		load_on();
		clock_sleep_ms(ms);
		server_kill();
		load_stop(&load);
		assert_int_equal(load.failed + load.none, 0);
		server_start();
	}
	load_on();
	WAIT_FOR(fx_over(id));
	load_stop(&load);
	assert_true(fx_state_is(id, "finished"));
	assert_int_equal(helper_get(http_port, "shop.localhost", "/", answer, sizeof(answer)), 200);
	assert_non_null(strstr(answer, "\r\n\r\nthree\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_users_are_answered_and_the_evidence_goes_on),
		cmocka_unit_test(test_a_dead_canary_is_taken_back_after_the_restart),
		cmocka_unit_test(test_killed_at_many_moments_it_ends_the_same),
	};

	base_init();
	return cmocka_run_group_tests(tests, setup, teardown);
}
