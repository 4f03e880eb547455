#include "lib/test.h"

#include "base/hash.h"
#include "base/proc.h"
#include "release/helper.h"
#include "release/traffic.h"
#include "release/workload.h"

#include <poll.h>
#include <signal.h>

static char data_dir[64], version_dir[200];
static const char *guard_argv[] = { TEST_GUARD, NULL };
static struct workload_process *procs;
static struct workload_ops      work;
static struct traffic_haproxy  *proxy;
static struct traffic_ops       ops;
static struct traffic_haproxy_config cfg;
static int      listener, ring = -1;
static uint16_t port_of[3];

static void listen_for_records(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t          len = sizeof(sa);

	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(listen(listener, 8), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&sa, &len), 0);
	cfg.evidence_port = ntohs(sa.sin_port);
}

/* What the ring sent within ms milliseconds of silence. */
static size_t records(char *out, size_t size, int ms)
{
	size_t len = 0;

	for (;;) {
		struct pollfd p[2] = { { .fd = listener, .events = POLLIN }, { .fd = ring, .events = POLLIN } };
		ssize_t       n;

		if (poll(p, 2, ms) <= 0 || len + 1 >= size)
			break;
		if (p[0].revents) {
			if (ring >= 0)
				close(ring);
			ring = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		} else if ((n = read(ring, out + len, size - 1 - len)) > 0) {
			len += (size_t)n;
		} else {
			close(ring);
			ring = -1;
		}
	}
	out[len] = 0;
	return len;
}

static int setup(void **s UNUSED)
{
	struct err e = { 0 };
	struct buf CLEANUP_BUF app = BUF_INIT(1 << 16);
	char       path[400], answer[1000];

	assert_ok(fs_temp_dir("weir-traffic-", data_dir, sizeof(data_dir), &e), &e);
	snprintf(version_dir, sizeof(version_dir), "%s/v", data_dir);
	snprintf(path, sizeof(path), "%s/app.py", version_dir);
	assert_ok(fs_mkdirs(version_dir, 0755, &e), &e);
	assert_ok(fs_read(TEST_APP, &app, &e), &e);
	assert_ok(fs_write_quick(path, buf_str(&app), 0644, &e), &e);
	assert_ok(workload_process_new(data_dir, guard_argv, &procs, &e), &e);
	assert_ok(workload_process_supervise(procs, &e), &e);
	work = workload_process_ops(procs);
	for (unsigned i = 0; i < 3; i++) {
		static const char *const  argv[] = { "/usr/bin/python3", "app.py", NULL };
		static const char *const  name[] = { "one", "two", "bad" };
		static const char *const  env[][3] = { { "VERSION=one", NULL }, { "VERSION=two", NULL }, { "VERSION=bad", "FAIL=1", NULL } };
		const struct workload_spec spec = { .name = name[i], .dir = version_dir, .argv = argv, .env = env[i], .port = port_of[i] = helper_free_port(),
			                             .grace = USEC_PER_SEC, .user = i };

		assert_ok(work.start(work.ctx, &spec, &e), &e);
	}
	for (unsigned i = 0; i < 3; i++)
		WAIT_FOR(helper_get(port_of[i], "x", "/healthz", answer, sizeof(answer)) == 200);
	listen_for_records();
	cfg.data_dir = data_dir;
	cfg.bind = "127.0.0.1";
	cfg.http_port = helper_free_port();
	cfg.slots = 20;
	cfg.procs = procs;
	assert_ok(traffic_haproxy_new(&cfg, &proxy, &e), &e);
	assert_ok(traffic_haproxy_start(proxy, &e), &e);
	ops = traffic_haproxy_ops(proxy);
	return 0;
}

static int teardown(void **s UNUSED)
{
	struct err e = { 0 };

	proxy = traffic_haproxy_free(proxy);
	assert_ok(workload_process_shutdown(data_dir, 30000, &e), &e);
	procs = workload_process_free(procs);
	assert_ok(fs_remove_tree(data_dir, &e), &e);
	close(listener);
	return 0;
}

/* How many of n requests the version answered. */
static unsigned share_of(const char *host, const char *version, unsigned n)
{
	char     answer[1000], want[40];
	unsigned seen = 0;

	snprintf(want, sizeof(want), "\r\n\r\n%s\n", version);
	for (unsigned i = 0; i < n; i++) {
		(void)helper_get(cfg.http_port, host, "/", answer, sizeof(answer));
		seen += strstr(answer, want) != NULL;
	}
	return seen;
}

/* HAProxy counts a request when its stream ends, which may be after the client has its answer. */
static bool counted(struct traffic_counts *ret, uint64_t all)
{
	struct err e = { 0 };

	assert_ok(ops.counts(ops.ctx, 3, ret, &e), &e);
	return ret->done[ARM_A] + ret->done[ARM_B] >= all;
}

static void test_hosts_shares_and_servers(void **s UNUSED)
{
	struct traffic_route  shop = { .host = "shop.localhost" }, other = { .host = "other.localhost" };
	struct traffic_counts before, after;
	struct err            e = { 0 };
	char                  answer[1000];
	unsigned              n;

	assert_int_equal(helper_get(cfg.http_port, "shop.localhost", "/", answer, sizeof(answer)), 404);
	assert_ok(ops.set_route(ops.ctx, 3, &shop, &e), &e);
	assert_ok(ops.set_route(ops.ctx, 3, &shop, &e), &e);
	assert_int_equal(helper_get(cfg.http_port, "shop.localhost", "/", answer, sizeof(answer)), 503); /* known, no server yet */
	assert_err(ops.set_route(ops.ctx, 4, &shop, &e), WEIR_ECONFLICT);
	assert_ok(ops.set_route(ops.ctx, 4, &other, &e), &e);
	assert_ok(ops.add_server(ops.ctx, 3, ARM_A, "one", port_of[0], &e), &e);
	assert_ok(ops.add_server(ops.ctx, 3, ARM_B, "two", port_of[1], &e), &e);
	assert_ok(ops.add_server(ops.ctx, 3, ARM_B, "two", port_of[1], &e), &e);
	assert_int_equal(share_of("SHOP.localhost:80", "one", 20), 20);
	WAIT_FOR(counted(&before, 21)); /* these and the one without a server */
	assert_ok(ops.set_share(ops.ctx, 3, 3000, 7, &e), &e);
	n = share_of("shop.localhost", "two", 400);
	assert_in_range(n, 75, 170); /* 120 +- 5 sd */
	WAIT_FOR(counted(&after, 21 + 400));
	assert_string_equal(before.boot, after.boot);
	assert_int_equal(after.done[ARM_B] - before.done[ARM_B], n);
	assert_int_equal(after.done[ARM_A] - before.done[ARM_A], 400 - n);
	assert_int_equal(after.failed[ARM_B], 0);
	assert_ok(ops.set_share(ops.ctx, 3, TRAFFIC_SHARE_ONE, 7, &e), &e);
	assert_int_equal(share_of("shop.localhost", "two", 50), 50);
	assert_ok(ops.set_share(ops.ctx, 3, 0, 7, &e), &e);
	assert_int_equal(share_of("shop.localhost", "two", 50), 0);
	assert_err(ops.set_share(ops.ctx, 3, TRAFFIC_SHARE_ONE + 1, 7, &e), WEIR_EINVAL);
	assert_err(ops.set_share(ops.ctx, 20, 0, 7, &e), WEIR_ELIMIT);
}

static void test_records_say_arm_share_tag_and_status(void **s UNUSED)
{
	static char text[1 << 20];
	struct err  e = { 0 };

	assert_ok(ops.set_share(ops.ctx, 3, TRAFFIC_SHARE_ONE, 42, &e), &e);
	assert_ok(ops.add_server(ops.ctx, 3, ARM_B, "bad", port_of[2], &e), &e);
	assert_ok(ops.remove_server(ops.ctx, 3, ARM_B, "two", &e), &e);
	records(text, sizeof(text), 300);
	share_of("shop.localhost", "bad", 2);
	records(text, sizeof(text), 500);
	assert_non_null(strstr(text, " s3_b 42 10000 500 -- "));
	assert_non_null(strstr(text, "weir2 "));
	assert_int_equal(text[strlen(text) - 1], '\n');
	if (getenv("TEST_VERBOSE"))
		fprintf(stderr, "%s", text);
	assert_ok(ops.set_share(ops.ctx, 3, 0, 43, &e), &e);
	assert_ok(ops.remove_server(ops.ctx, 3, ARM_B, "bad", &e), &e);
	assert_ok(ops.add_server(ops.ctx, 3, ARM_B, "two", port_of[1], &e), &e);
}

static pid_t haproxy_master(void)
{
	int64_t pid = -1;
	const char      *argv[] = { "s6-svstat", "-o", "pid", NULL, NULL };
	struct buf CLEANUP_BUF out = BUF_INIT(64);
	struct proc_run  run = { .argv = argv, .timeout_ms = 5000, .out = &out };
	char             dir[200];
	struct err       e = { 0 };

	snprintf(dir, sizeof(dir), "%s/services/haproxy", data_dir);
	argv[3] = dir;
	assert_ok(proc_run(&run, NULL, &e), &e);
	assert_true(str_to_i64(str_trim(buf_str(&out)), &pid));
	
	return (pid_t)pid;
}

static void test_a_killed_haproxy_comes_back_as_it_was_without_weir(void **s UNUSED)
{
	struct traffic_counts before, after;
	struct err            e = { 0 };
	char                  answer[1000];

	assert_ok(ops.set_share(ops.ctx, 3, 5000, 44, &e), &e);
	assert_ok(ops.counts(ops.ctx, 3, &before, &e), &e);
	kill(haproxy_master(), SIGKILL);
	WAIT_FOR(helper_get(cfg.http_port, "shop.localhost", "/", answer, sizeof(answer)) == 0); /* it is gone */
	WAIT_FOR(helper_get(cfg.http_port, "shop.localhost", "/", answer, sizeof(answer)) == 200);
	assert_in_range(share_of("shop.localhost", "two", 100), 20, 80);
	WAIT_FOR(ops.restore(ops.ctx, &e) == 0);
	assert_ok(ops.counts(ops.ctx, 3, &after, &e), &e);
	assert_string_not_equal(before.boot, after.boot);
	assert_ok(ops.set_share(ops.ctx, 3, 0, 44, &e), &e);
	assert_int_equal(share_of("shop.localhost", "one", 20), 20);
	assert_ok(ops.add_server(ops.ctx, 3, ARM_A, "two", port_of[1], &e), &e);
	assert_ok(ops.remove_server(ops.ctx, 3, ARM_A, "one", &e), &e); /* servers of the file can go as well */
	assert_int_equal(share_of("shop.localhost", "two", 20), 20);
}

static void test_a_second_weir_brings_haproxy_to_its_own_state(void **s UNUSED)
{
	struct traffic_route    born = { .host = "born.localhost" };
	struct traffic_haproxy *second;
	struct traffic_ops      ops2;
	struct err              e = { 0 };
	char                    answer[1000];

	assert_ok(traffic_haproxy_new(&cfg, &second, &e), &e);
	ops2 = traffic_haproxy_ops(second);
	assert_ok(ops2.set_route(ops2.ctx, 5, &born, &e), &e);
	assert_ok(ops2.add_server(ops2.ctx, 5, ARM_B, "one", port_of[0], &e), &e);
	assert_ok(ops2.set_share(ops2.ctx, 5, TRAFFIC_SHARE_ONE, 1, &e), &e);
	assert_ok(traffic_haproxy_start(second, &e), &e);
	assert_int_equal(share_of("born.localhost", "one", 10), 10);
	assert_int_equal(helper_get(cfg.http_port, "shop.localhost", "/", answer, sizeof(answer)), 404); /* it knows nothing of that one */
	assert_ok(ops2.clear_route(ops2.ctx, 5, &e), &e);
	assert_int_equal(helper_get(cfg.http_port, "born.localhost", "/", answer, sizeof(answer)), 404);
	traffic_haproxy_free(second);
}

static void test_a_port_of_its_own_and_a_client_header(void **s UNUSED)
{
	static char             text[1 << 20];
	struct traffic_route    route = { .port = helper_free_port(), .client_header = "x-user" }, taken = { .port = port_of[0] };
	struct traffic_haproxy *third;
	struct traffic_ops      ops3;
	struct err              e = { 0 };
	char                    answer[1000];
	int                     fd;

	assert_ok(traffic_haproxy_new(&cfg, &third, &e), &e);
	assert_ok(traffic_haproxy_start(third, &e), &e);
	ops3 = traffic_haproxy_ops(third);
	assert_ok(ops3.set_route(ops3.ctx, 6, &route, &e), &e);
	assert_ok(ops3.restore(ops3.ctx, &e), &e);
	assert_ok(ops3.add_server(ops3.ctx, 6, ARM_A, "one", port_of[0], &e), &e);
	assert_int_equal(helper_get(route.port, "anything", "/", answer, sizeof(answer)), 200);
	records(text, sizeof(text), 300);
	fd = helper_connect(route.port);
	assert_int_equal(write(fd, "GET / HTTP/1.1\r\nHost: x\r\nX-User: laptop\r\nConnection: close\r\n\r\n", 62), 62);
	assert_int_equal(helper_answer(fd, answer, sizeof(answer)), 200);
	records(text, sizeof(text), 500);
	assert_non_null(strstr(text, " s6_a 0 0 200 "));
	assert_null(strstr(text, "laptop")); /* only a hash of the header travels */
	assert_int_not_equal(text[strlen(text) - 2], '-');
	assert_err(ops3.set_route(ops3.ctx, 7, &taken, &e), WEIR_ETIMEOUT); /* a port in use: refused, and the rest goes on */
	assert_int_equal(helper_get(route.port, "anything", "/", answer, sizeof(answer)), 200);
	traffic_haproxy_free(third);
}

/* A server that accepts and never answers; the kernel takes the connections. */
static int deaf_server(uint16_t *ret_port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t          len = sizeof(sa);
	int                fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(listen(fd, 64), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	*ret_port = ntohs(sa.sin_port);
	return fd;
}

/* The configuration as weir wrote it before there were timeouts; HAProxy is killed, so that it runs with that one. */
static void make_older(void)
{
	struct buf CLEANUP_BUF text = BUF_INIT(8 << 20), old = BUF_INIT(8 << 20);
	struct err e = { 0 };
	char       path[200], answer[1000];
	str        rest, line;

	snprintf(path, sizeof(path), "%s/haproxy/haproxy.cfg", data_dir);
	assert_ok(fs_read(path, &text, &e), &e);
	for (rest = buf_str(&text); rest.len;) {
		str_cut(rest, '\n', &line, &rest);
		if (!str_contains(line, STR("timeouts.map")))
			buf_addf(&old, "%.*s\n", STR_ARG(line));
	}
	assert_true(old.len < text.len);
	assert_ok(fs_write_quick(path, buf_str(&old), 0600, &e), &e);
	kill(haproxy_master(), SIGKILL);
	WAIT_FOR(helper_get(cfg.http_port, "slow.localhost", "/", answer, sizeof(answer)) == 0);
	WAIT_FOR(helper_get(cfg.http_port, "slow.localhost", "/", answer, sizeof(answer)) == 200);
}

/* What each arm does with requests that take a second (A) and for ever (B). */
static void each_arm_answers(const struct traffic_ops *o, int a, int b)
{
	struct err e = { 0 };
	char       answer[1000];

	assert_ok(o->set_share(o->ctx, 8, 0, 1, &e), &e);
	assert_int_equal(helper_get(cfg.http_port, "slow.localhost", "/slow", answer, sizeof(answer)), a);
	assert_ok(o->set_share(o->ctx, 8, TRAFFIC_SHARE_ONE, 1, &e), &e);
	assert_int_equal(helper_get(cfg.http_port, "slow.localhost", "/", answer, sizeof(answer)), b);
	assert_ok(o->set_share(o->ctx, 8, 0, 1, &e), &e);
}

static void test_a_silent_server_is_given_up_after_the_timeout_of_its_arm(void **s UNUSED)
{
	struct traffic_route    slow = { .host = "slow.localhost" };
	struct traffic_haproxy *fourth;
	struct traffic_ops      o;
	struct err              e = { 0 };
	char                    answer[1000];
	uint16_t                port;
	int CLEANUP_FD          fd = deaf_server(&port);

	for (unsigned older = 0; older < 2; older++) {
		assert_ok(traffic_haproxy_new(&cfg, &fourth, &e), &e);
		o = traffic_haproxy_ops(fourth);
		assert_ok(o.set_route(o.ctx, 8, &slow, &e), &e);
		assert_ok(o.add_server(o.ctx, 8, ARM_A, "one", port_of[0], &e), &e);
		assert_ok(o.add_server(o.ctx, 8, ARM_B, "deaf", port, &e), &e);
		assert_ok(o.set_timeout(o.ctx, 8, ARM_B, 200, &e), &e); /* before start: remembered */
		if (older)
			make_older();
		assert_ok(traffic_haproxy_start(fourth, &e), &e);
		each_arm_answers(&o, 200, 504);
		if (!older)
			traffic_haproxy_free(fourth);
	}
	assert_ok(o.set_timeout(o.ctx, 8, ARM_A, 200, &e), &e);
	each_arm_answers(&o, 504, 504);
	assert_ok(o.set_timeout(o.ctx, 8, ARM_A, 0, &e), &e); /* 60 s again */
	each_arm_answers(&o, 200, 504);
	assert_ok(o.set_timeout(o.ctx, 8, ARM_A, 300, &e), &e);
	kill(haproxy_master(), SIGKILL);
	WAIT_FOR(helper_get(cfg.http_port, "slow.localhost", "/", answer, sizeof(answer)) == 0);
	WAIT_FOR(helper_get(cfg.http_port, "slow.localhost", "/", answer, sizeof(answer)) == 200);
	assert_int_equal(helper_get(cfg.http_port, "slow.localhost", "/slow", answer, sizeof(answer)), 504); /* without weir */
	WAIT_FOR(o.restore(o.ctx, &e) == 0);
	each_arm_answers(&o, 504, 504);
	assert_err(o.set_timeout(o.ctx, 20, ARM_A, 300, &e), WEIR_ELIMIT);
	traffic_haproxy_free(fourth);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hosts_shares_and_servers),
		cmocka_unit_test(test_records_say_arm_share_tag_and_status),
		cmocka_unit_test(test_a_killed_haproxy_comes_back_as_it_was_without_weir),
		cmocka_unit_test(test_a_second_weir_brings_haproxy_to_its_own_state),
		cmocka_unit_test(test_a_port_of_its_own_and_a_client_header),
		cmocka_unit_test(test_a_silent_server_is_given_up_after_the_timeout_of_its_arm),
	};

	base_init();
	return cmocka_run_group_tests(tests, setup, teardown);
}
