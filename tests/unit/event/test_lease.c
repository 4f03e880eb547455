/* test_lease.c - several servers on one PostgreSQL: one delivers events at a time; it is killed, and another goes on without a gap. */
#include "lib/test.h"

#include "base/fs.h"
#include "event/event.h"
#include "lib/pg.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static struct pg_test pg;
static char           dir[256];
static bool           no_pg;

static int group_setup(void **s UNUSED)
{
	struct err e = { 0 };
	int        rc = pg_test_start(&pg, &e);

	if (rc < 0) {
		fprintf(stderr, "%s\n", e.msg);
		return -1;
	}
	no_pg = rc == 1;
	if (no_pg)
		printf("skipped: %s\n", e.msg);
	return fs_temp_dir("weir-test-lease", dir, sizeof(dir), &e);
}
static int group_teardown(void **s UNUSED)
{
	if (!no_pg)
		pg_test_stop(&pg);
	return fs_remove_tree(dir, NULL);
}

/* --- a server that delivers: a process of its own --- */

struct server {
	pid_t pid;
	int   fd; /* one line "SEQ" for each event it is given */
};

static int tell(const struct event *ev, void *ctx, struct err *reterr UNUSED)
{
	char line[32];
	int  n = snprintf(line, sizeof(line), "%lld\n", (long long)ev->seq);

	return write(*(int *)ctx, line, (size_t)n) == n ? 0 : -WEIR_EIO;
}

static void serve(int fd)
{
	static const enum event_type types[] = { EVENT_SERVER_STARTED };
	struct event_log            *log;
	struct db                   *db;
	struct err                   e = { 0 };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (db_open(pg.url, &db, &e) || event_log_open(db, dir, &clock_real, &log, &e) ||
	    event_subscribe(log, "sub", types, 1, true, tell, &fd, &e) || event_log_start(log, &e)) {
		fprintf(stderr, "%s\n", e.msg);
		_exit(1);
	}
	for (;;)
		pause();
}

static struct server start(void)
{
	struct server s;
	int           fds[2];

	assert_int_equal(pipe(fds), 0);
	fflush(NULL);
	s.pid = fork();
	assert_true(s.pid >= 0);
	if (!s.pid) {
		close(fds[0]);
		serve(fds[1]);
	}
	close(fds[1]);
	s.fd = fds[0];
	return s;
}

static void kill_server(struct server *s)
{
	kill(s->pid, SIGKILL);
	assert_int_equal(waitpid(s->pid, NULL, 0), s->pid);
	close(s->fd);
	s->fd = -1;
}

/* --- what they were given --- */

enum { SERVERS = 3, EVENTS_MAX = 200 };
static struct server servers[SERVERS];
static int           given[EVENTS_MAX + 1], n_given, by[SERVERS];

static void read_lines(int i)
{
	char    text[65536];
	ssize_t n = read(servers[i].fd, text, sizeof(text) - 1);
	char   *p = text;

	assert_true(n > 0);
	text[n] = 0; /* lines are written whole, and the pipe holds all of them */
	for (long seq; *p; p++) {
		seq = strtol(p, &p, 10);
		assert_in_range(seq, 1, EVENTS_MAX);
		given[seq]++;
		by[i]++;
		n_given++;
	}
}

/* Until so many were given in all, and nothing more for 300 ms. */
static void wait_given(int want)
{
	usec_t until = clock_mono_now() + 60 * USEC_PER_SEC;

	for (;;) {
		struct pollfd p[SERVERS];
		int           n;

		for (int i = 0; i < SERVERS; i++)
			p[i] = (struct pollfd){ .fd = servers[i].fd, .events = POLLIN };
		n = poll(p, SERVERS, n_given < want ? 1000 : 300);
		if (n == 0 && n_given >= want)
			return;
		if (clock_mono_now() > until)
			fail_msg("%d events were delivered in a minute, %d were expected", n_given, want);
		for (int i = 0; i < SERVERS; i++)
			if (p[i].revents & POLLIN)
				read_lines(i);
	}
}

static struct db        *db;
static struct event_log *log_;

static int append_fn(struct db_tx *tx, void *arg UNUSED, struct err *reterr)
{
	return event_append(log_, tx, STR("shop"), EVENT_SERVER_STARTED, STR("weir"), STR("{\"version\":\"1\"}"), NULL, reterr);
}
static void append(int n)
{
	struct err e = { 0 };

	for (int i = 0; i < n; i++)
		assert_ok(db_write(db, append_fn, NULL, &e), &e);
}

static int cursor_fn(struct db_tx *tx, void *arg, struct err *reterr)
{
	return db_get_int(tx, reterr, arg, NULL, "SELECT COALESCE(MAX(seq), 0) FROM event_cursor WHERE subscriber = 'sub'", "");
}
static void wait_cursor(int64_t want)
{
	struct err e = { 0 };
	int64_t    at = -1;

	for (int i = 0; i < 600 && at < want; i++) {
		assert_ok(db_read(db, cursor_fn, &at, &e), &e);
		clock_sleep_ms(at < want ? 50 : 0);
	}
	assert_int_equal(at, want);
}

static int only_one(void) /* who was given something since the last look */
{
	int who = -1;

	for (int i = 0; i < SERVERS; i++) {
		if (!by[i])
			continue;
		assert_int_equal(who, -1);
		who = i;
		by[i] = 0;
	}
	assert_true(who >= 0);
	return who;
}

static void test_one_delivers_until_it_is_killed(void **s UNUSED)
{
	struct err e = { 0 };
	int        first, second;

	if (no_pg)
		skip();
	assert_ok(db_open(pg.url, &db, &e), &e);
	assert_ok(event_log_open(db, dir, &clock_real, &log_, &e), &e);
	for (int i = 0; i < SERVERS; i++)
		servers[i] = start();
	append(50);
	wait_given(50);
	first = only_one();
	wait_cursor(50);
	kill_server(&servers[first]);
	append(50);
	wait_given(100);
	second = only_one();
	assert_true(second != first);
	/* the database restarts: the holder has lost its lock without knowing */
	wait_cursor(100);
	assert_ok(pg_test_restart(&pg, &e), &e);
	for (int i = 0; i < 100; i++) /* stale connections of this handle */
		if (!db_write(db, append_fn, NULL, &e))
			break;
	append(49);
	wait_given(150);
	for (int i = 1; i <= 150; i++)
		assert_int_equal(given[i], 1);
	for (int i = 0; i < SERVERS; i++)
		if (servers[i].fd >= 0)
			kill_server(&servers[i]);
	event_log_close(log_);
	db_close(db);
}

/* --- the lock itself --- */

static void test_lock(void **s UNUSED)
{
	struct db      *a, *b;
	struct db_lock *la, *lb, *other;
	struct err      e = { 0 };
	bool            held, anew;

	if (no_pg)
		skip();
	assert_ok(db_open(pg.url, &a, &e), &e);
	assert_ok(db_open(pg.url, &b, &e), &e);
	assert_ok(db_lock_new(a, "x", &la, &e), &e);
	assert_ok(db_lock_new(b, "x", &lb, &e), &e);
	assert_ok(db_lock_new(b, "y", &other, &e), &e);
	assert_ok(db_lock_hold(la, &held, &anew, &e), &e);
	assert_true(held && anew);
	assert_ok(db_lock_hold(la, &held, &anew, &e), &e);
	assert_true(held && !anew);
	assert_ok(db_lock_hold(lb, &held, &anew, &e), &e);
	assert_false(held || anew);
	assert_ok(db_lock_hold(other, &held, &anew, &e), &e);
	assert_true(held && anew);
	la = db_lock_free(la);
	held = false;
	for (int i = 0; i < 500 && !held; i++) {
		assert_ok(db_lock_hold(lb, &held, &anew, &e), &e);
		clock_sleep_ms(held ? 0 : 10);
	}
	assert_true(held && anew);
	assert_ok(pg_test_restart(&pg, &e), &e);
	assert_ok(db_lock_hold(lb, &held, &anew, &e), &e);
	assert_true(held && anew); /* it was lost, and taken again */
	db_lock_free(lb);
	db_lock_free(other);
	db_close(a);
	db_close(b);
}

static void test_sqlite_is_always_free(void **s UNUSED)
{
	struct db      *d;
	struct db_lock *l;
	struct err      e = { 0 };
	char            url[400];
	bool            held, anew;

	snprintf(url, sizeof(url), "sqlite:%s/lock.db", dir);
	assert_ok(db_open(url, &d, &e), &e);
	assert_ok(db_lock_new(d, "x", &l, &e), &e);
	assert_ok(db_lock_hold(l, &held, &anew, &e), &e);
	assert_true(held && anew);
	assert_ok(db_lock_hold(l, &held, &anew, &e), &e);
	assert_true(held && !anew);
	db_lock_free(l);
	db_close(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_delivers_until_it_is_killed),
		cmocka_unit_test(test_lock),
		cmocka_unit_test(test_sqlite_is_always_free),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
