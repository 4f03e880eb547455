/* test_event.c - the log on both engines: append, read, deliver, verify. */
#include "lib/test.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/limits.h"
#include "event/log.h"
#include "lib/pg.h"

#include <stdatomic.h>

static char              dir[256], url[512], keys[300];
static struct pg_test    pg;
static bool              on_pg;
static struct db        *db;
static struct event_log *elog;
static _Atomic usec_t    now = 1700000000 * USEC_PER_SEC;

static atomic_bool       backwards; /* the clock runs the wrong way */

static usec_t test_wall(void *ctx UNUSED) { return atomic_fetch_add(&now, backwards ? -1 : 1); }
static const struct clock test_clock = { test_wall, test_wall, NULL };

static void open_log(void)
{
	struct err e = { 0 };

	assert_ok(db_open(url, &db, &e), &e);
	assert_ok(event_log_open(db, keys, &test_clock, &elog, &e), &e);
}
static void close_log(void)
{
	elog = event_log_close(elog);
	db = db_close(db);
}

static int setup(void **s UNUSED)
{
	struct err  e = { 0 };
	static int  n;
	char        path[280];

	(void)snprintf(path, sizeof(path), "%s/%d", dir, ++n);
	if (fs_mkdirs(path, 0700, &e))
		return -1;
	(void)snprintf(keys, sizeof(keys), "%s/keys", path);
	if (on_pg) {
		(void)snprintf(url, sizeof(url), "%s", pg.url);
		if (pg_test_wipe(&pg, &e))
			return -1;
	} else {
		(void)snprintf(url, sizeof(url), "sqlite:%s/weir.db", path);
	}
	open_log();
	return 0;
}
static int teardown(void **s UNUSED)
{
	if (elog)
		close_log();
	return 0;
}

struct append {
	const char     *project, *actor, *data;
	enum event_type type;
	int64_t         seq;
	bool            fail_after;
};
static int append_fn(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct append *a = arg;
	int            rc = event_append(elog, tx, str_z(a->project), a->type, str_z(a->actor), str_z(a->data), &a->seq, reterr);

	return !rc && a->fail_after ? -WEIR_EREFUSED : rc;
}
#define WAIT_DATA "{\"version\":\"1\"}"
static int64_t append(const char *project)
{
	struct append a = { project, "token:t", WAIT_DATA, EVENT_SERVER_STARTED, 0, false };
	struct err    e = { 0 };

	assert_ok(db_write(db, append_fn, &a, &e), &e);
	return a.seq;
}
static int append_data(enum event_type t, const char *data, struct err *e)
{
	struct append a = { "shop", "token:t", data, t, 0, false };

	return db_write(db, append_fn, &a, e);
}

/* --- append and read --- */

static void test_canonical(void **s UNUSED)
{
	struct arena  a CLEANUP_ARENA = ARENA_INIT(1 << 20);
	struct buf    b CLEANUP_BUF = BUF_INIT(10000);
	struct err    e = { 0 };
	struct event *ev;
	size_t        n;
	unsigned char want[32];
	static const char data[] = "{\"default_branch\":\"m\xc3\xa4in \\\"x\\\"\",\"name\":\"shop\"}";

	assert_ok(append_data(EVENT_PROJECT_CREATED, "{ \"name\" : \"sh\\u006fp\",\n \"default_branch\":\"m\\u00e4in \\\"x\\\"\" }", &e), &e);
	append("shop");
	assert_ok(event_read(elog, STR("shop"), 0, NULL, 0, 10, &a, &ev, &n, &e), &e);
	assert_int_equal(n, 2);
	assert_str(ev[0].data, data);
	buf_add(&b, (unsigned char[32]){ 0 }, 32);
	buf_addf(&b, "{\"actor\":\"token:t\",\"data\":%s,\"project\":\"shop\",\"seq\":1,\"time\":%lld,\"type\":\"project.created\"}", data,
	         (long long)ev[0].time);
	sha256(buf_str(&b), want);
	assert_memory_equal(want, ev[0].hash, 32);
	buf_clear(&b);
	buf_add(&b, ev[0].hash, 32);
	buf_addf(&b, "{\"actor\":\"token:t\",\"data\":{\"version\":\"1\"},\"project\":\"shop\",\"seq\":2,\"time\":%lld,\"type\":\"server.started\"}",
	         (long long)ev[1].time);
	sha256(buf_str(&b), want);
	assert_memory_equal(want, ev[1].hash, 32);
}

static void test_sequences(void **s UNUSED)
{
	struct append a = { "b", "weir", WAIT_DATA, EVENT_SERVER_STARTED, 0, true };
	struct err    e = { 0 };

	assert_int_equal(append("a"), 1);
	assert_int_equal(append("a"), 2);
	assert_int_equal(append("b"), 1);
	assert_err(db_write(db, append_fn, &a, &e), WEIR_EREFUSED);
	assert_int_equal(append("b"), 2); /* the one taken back leaves no gap */
	assert_int_equal(append(""), 1);
	close_log();
	open_log();
	assert_int_equal(append("b"), 3);
}

static void test_validation(void **s UNUSED)
{
	struct err     e = { 0 };
	struct append  no_actor = { "shop", "", WAIT_DATA, EVENT_SERVER_STARTED, 0, false };
	struct buf big CLEANUP_BUF = BUF_INIT(1 << 20);

	assert_err(append_data(EVENT_SERVER_STARTED, "{}", &e), WEIR_EINVAL);
	assert_non_null(strstr(e.msg, "'version' is missing"));
	assert_err(append_data(EVENT_SERVER_STARTED, "{\"version\":1}", &e), WEIR_EINVAL);
	assert_non_null(strstr(e.msg, "must be text"));
	assert_err(append_data(EVENT_SERVER_STARTED, "{\"version\":\"1\",\"extra\":true}", &e), WEIR_EINVAL);
	assert_non_null(strstr(e.msg, "unknown field 'extra'"));
	assert_err(append_data(EVENT_SERVER_STARTED, "[]", &e), WEIR_EINVAL);
	assert_err(append_data(EVENT_SERVER_STARTED, "{\"version\":", &e), WEIR_EPARSE);
	assert_err(append_data(EVENT_NONE, "{}", &e), WEIR_EINVAL);
	assert_err(append_data(EVENT_TYPE_MAX, "{}", &e), WEIR_EINVAL);
	/* an optional field may be absent, but not wrong */
	assert_ok(append_data(EVENT_PROJECT_CREATED, "{\"name\":\"n\",\"default_branch\":\"m\"}", &e), &e);
	assert_ok(append_data(EVENT_PROJECT_CREATED, "{\"name\":\"n\",\"default_branch\":\"m\",\"began_at\":7}", &e), &e);
	assert_err(append_data(EVENT_PROJECT_CREATED, "{\"name\":\"n\",\"default_branch\":\"m\",\"began_at\":\"7\"}", &e), WEIR_EINVAL);
	assert_err(append_data(EVENT_PROJECT_CREATED, "{\"name\":\"n\",\"default_branch\":\"m\",\"began_at\":null}", &e), WEIR_EINVAL);
	assert_err(append_data(EVENT_RELEASE_STEP, "{\"release\":\"r\",\"service\":\"s\",\"environment\":\"e\",\"share\":true,\"cause\":\"c\"}", &e), WEIR_EINVAL);
	assert_ok(append_data(EVENT_RELEASE_STEP, "{\"release\":\"r\",\"service\":\"s\",\"environment\":\"e\",\"share\":1,\"cause\":\"c\"}", &e), &e);
	assert_ok(append_data(EVENT_RELEASE_STEP, "{\"release\":\"r\",\"service\":\"s\",\"environment\":\"e\",\"share\":0.5,\"cause\":\"c\"}", &e), &e);
	assert_err(db_write(db, append_fn, &no_actor, &e), WEIR_EINVAL);
	buf_addz(&big, "{\"version\":\"");
	for (int i = 0; i < LIMIT_EVENT_BYTES; i++)
		buf_addc(&big, 'x');
	buf_addz(&big, "\"}");
	assert_err(append_data(EVENT_SERVER_STARTED, buf_z(&big), &e), WEIR_ELIMIT);
}

static void test_reads(void **s UNUSED)
{
	struct arena    a CLEANUP_ARENA = ARENA_INIT(4 << 20);
	struct err      e = { 0 };
	struct event   *ev;
	size_t          n;
	int64_t         pos, last = 0, seen = 0;
	enum event_type only[] = { EVENT_PROJECT_ARCHIVED };

	for (int i = 0; i < 30; i++)
		append(i % 3 ? "a" : "b");
	assert_ok(append_data(EVENT_PROJECT_ARCHIVED, "{\"name\":\"shop\"}", &e), &e);
	append("a");
	assert_ok(event_read(elog, STR("a"), 18, NULL, 0, 10, &a, &ev, &n, &e), &e);
	assert_int_equal(n, 3);
	assert_int_equal(ev[0].seq, 19);
	assert_ok(event_read(elog, STR("nothing"), 0, NULL, 0, 10, &a, &ev, &n, &e), &e);
	assert_int_equal(n, 0);
	assert_ok(event_read(elog, STR("shop"), 0, only, 1, 10, &a, &ev, &n, &e), &e);
	assert_int_equal(n, 1);
	assert_ok(event_read(elog, STR("a"), 0, only, 1, 10, &a, &ev, &n, &e), &e);
	assert_int_equal(n, 0);
	do { /* all, in pages of 7: every event once, positions grow */
		assert_ok(event_read_all(elog, last, 7, &a, &ev, &pos, &n, &e), &e);
		for (size_t i = 0; i < n; i++) {
			assert_int_equal(ev[i].pos, ++seen);
			last = ev[i].pos;
		}
		assert_int_equal(pos, last);
	} while (n);
	assert_int_equal(seen, 32);
	assert_ok(event_read_newest(elog, STR_NULL, 0, 2, &a, &ev, &pos, &n, &e), &e);
	assert_int_equal(n, 2);
	assert_int_equal(ev[0].pos, 32);
	assert_str(ev[1].type, "project.archived");
	assert_ok(event_read_newest(elog, STR("b"), pos, 100, &a, &ev, &pos, &n, &e), &e);
	assert_int_equal(n, 10);
	assert_int_equal(ev[9].seq, 1);
	assert_ok(event_read_newest(elog, STR("b"), pos, 100, &a, &ev, &pos, &n, &e), &e);
	assert_int_equal(n, 0);
}

/* --- many appenders while a reader follows positions: nothing is skipped --- */

struct appender {
	int  who, n;
	bool failed;
};
static void *append_many(void *arg)
{
	struct appender *p = arg;

	for (int i = 0; i < p->n; i++) {
		struct append a = { p->who % 2 ? "x" : "y", "weir", WAIT_DATA, EVENT_SERVER_STARTED, 0, i % 7 == 6 };
		struct err    e = { 0 };
		int           rc = db_write(db, append_fn, &a, &e);

		if (rc && rc != -WEIR_EREFUSED) {
			fprintf(stderr, "%s\n", e.msg);
			p->failed = true;
		}
	}
	return NULL;
}

static void test_positions_under_load(void **s UNUSED)
{
	enum { THREADS = 6, EACH = 21, WANT = THREADS * EACH * 6 / 7 };
	struct appender p[THREADS];
	pthread_t       t[THREADS];
	struct err      e = { 0 };
	int64_t         last = 0, next_seq[2] = { 1, 1 };
	size_t          seen = 0;
	bool            good = true;
	int             rc = 0;

	for (int i = 0; i < THREADS; i++) {
		p[i] = (struct appender){ i, EACH, false };
		assert_int_equal(pthread_create(&t[i], NULL, append_many, &p[i]), 0);
	}
	for (int turn = 0; !rc && good && seen < WANT && turn < 60000; turn++) {
		struct arena  a CLEANUP_ARENA = ARENA_INIT(4 << 20);
		struct event *ev;
		size_t        n = 0;

		rc = event_read_all(elog, last, 5, &a, &ev, &last, &n, &e);
		for (size_t i = 0; i < n; i++) {
			int who = str_eqz(ev[i].project, "x");

			good = good && ev[i].seq == next_seq[who]++ && ev[i].pos == (int64_t)++seen;
		}
		if (!n)
			clock_sleep_ms(1);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(t[i], NULL);
		good = good && !p[i].failed;
	}
	assert_ok(rc, &e);
	assert_true(good);
	assert_int_equal(seen, WANT);
}

/* A clock that was set back changes no order. */
static void test_clock_set_back(void **s UNUSED)
{
	struct arena  a CLEANUP_ARENA = ARENA_INIT(1 << 20);
	struct event *ev;
	size_t        n;
	int64_t       pos;
	struct err    e = { 0 };

	atomic_store(&backwards, true);
	for (int i = 0; i < 6; i++)
		append(i % 2 ? "a" : "b");
	atomic_store(&backwards, false);
	assert_ok(event_read_all(elog, 0, 10, &a, &ev, &pos, &n, &e), &e);
	assert_int_equal(n, 6);
	for (size_t i = 2; i < 6; i++) {
		assert_true(ev[i].time < ev[i - 2].time || !str_eq(ev[i].project, ev[i - 2].project));
		for (size_t k = 0; k < i; k++)
			assert_true(!str_eq(ev[k].project, ev[i].project) || ev[k].seq < ev[i].seq);
	}
}

/* --- subscribers --- */

struct sub {
	pthread_mutex_t lock;
	char            got[4000]; /* "a1 b1 a2 " */
	int             fail; /* the next so many deliveries of project "bad" fail */
	atomic_int      n;
};
static int on_event(const struct event *ev, void *ctx, struct err *reterr)
{
	struct sub *u = ctx;
	size_t      n;
	int         rc = 0;

	pthread_mutex_lock(&u->lock);
	n = strlen(u->got);
	if (str_eqz(ev->project, "bad") && u->fail) {
		u->fail--;
		rc = err_set(reterr, WEIR_EIO, "as the test asked");
	} else {
		(void)snprintf(u->got + n, sizeof(u->got) - n, "%.*s%d ", STR_ARG(ev->project), (int)ev->seq);
		atomic_fetch_add(&u->n, 1);
	}
	pthread_mutex_unlock(&u->lock);
	return rc;
}
static void wait_events(struct sub *u, int n)
{
	for (int i = 0; i < 10000 && atomic_load(&u->n) < n; i++)
		clock_sleep_ms(1);
	assert_int_equal(atomic_load(&u->n), n);
}

static const enum event_type started[] = { EVENT_SERVER_STARTED };

static void subscribe(const char *name, bool from_start, struct sub *u)
{
	struct err e = { 0 };

	assert_ok(event_subscribe(elog, name, started, 1, from_start, on_event, u, &e), &e);
}

static void test_subscribe(void **s UNUSED)
{
	struct sub all = { .lock = PTHREAD_MUTEX_INITIALIZER }, from_now = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct err e = { 0 };

	append("a");
	assert_ok(append_data(EVENT_PROJECT_ARCHIVED, "{\"name\":\"shop\"}", &e), &e); /* not its type */
	append("a");
	subscribe("all", true, &all);
	subscribe("now", false, &from_now);
	assert_err(event_subscribe(elog, "now", started, 1, false, on_event, &all, &e), WEIR_EEXIST);
	assert_ok(event_log_start(elog, &e), &e);
	wait_events(&all, 2);
	append("a");
	wait_events(&all, 3);
	append("new");
	wait_events(&all, 4);
	wait_events(&from_now, 2);
	assert_string_equal(all.got, "a1 a2 a3 new1 ");
	assert_string_equal(from_now.got, "a3 new1 ");
	close_log();
	open_log(); /* the places are kept: only what comes while it was down is delivered */
	all.got[0] = from_now.got[0] = 0;
	all.n = from_now.n = 0;
	append("a");
	subscribe("all", true, &all);
	subscribe("now", false, &from_now);
	assert_ok(event_log_start(elog, &e), &e);
	wait_events(&all, 1);
	wait_events(&from_now, 1);
	append("a");
	wait_events(&all, 2);
	assert_string_equal(all.got, "a4 a5 ");
}

static void test_failing_subscriber(void **s UNUSED)
{
	struct sub u = { .lock = PTHREAD_MUTEX_INITIALIZER, .fail = 1 };
	struct err e = { 0 };

	append("bad");
	append("bad");
	append("good");
	subscribe("u", true, &u);
	assert_ok(event_log_start(elog, &e), &e);
	wait_events(&u, 1);
	assert_string_equal(u.got, "good1 "); /* the other stream goes on meanwhile */
	append("good");
	wait_events(&u, 4); /* and the failed one comes again by itself, in order */
	assert_non_null(strstr(u.got, "bad1 "));
	assert_true(strstr(u.got, "bad1 ") < strstr(u.got, "bad2 "));
}

static void count_commit(void *ctx) { atomic_fetch_add((atomic_int *)ctx, 1); }

static void test_on_commit(void **s UNUSED)
{
	atomic_int n = 0;
	struct err e = { 0 };

	assert_ok(event_on_commit(elog, count_commit, &n, &e), &e);
	append("a");
	for (int i = 0; i < 5000 && !atomic_load(&n); i++)
		clock_sleep_ms(1);
	assert_true(atomic_load(&n) > 0);
	event_off_commit(elog, &n);
}

/* --- verification --- */

static void verifies(int64_t events, int64_t checkpoints)
{
	struct event_verify v;
	struct err          e = { 0 };

	assert_ok(event_verify(db, keys, &v, &e), &e);
	assert_int_equal(v.events, events);
	assert_int_equal(v.checkpoints, checkpoints);
}

struct sql {
	const char *text;
};
static int sql_fn(struct db_tx *tx, void *arg, struct err *reterr)
{
	int64_t n;
	int     rc = db_exec_n(tx, reterr, &n, ((struct sql *)arg)->text, "");

	return rc ? rc : n == 1 ? 0 : err_set(reterr, WEIR_EINTERNAL, "%lld rows: %s", (long long)n, ((struct sql *)arg)->text);
}
static void tamper(const char *text)
{
	struct sql sql = { text };
	struct err e = { 0 };

	assert_ok(db_write(db, sql_fn, &sql, &e), &e);
}
static void found(const char *part)
{
	struct event_verify v;
	struct err          e = { 0 };

	assert_err(event_verify(db, keys, &v, &e), WEIR_EREFUSED);
	if (!strstr(e.msg, part))
		fail_msg("expected \"...%s...\", seen \"%s\"", part, e.msg);
}

static void test_verify_good(void **s UNUSED)
{
	struct err e = { 0 };

	verifies(0, 0);
	for (int i = 0; i < 12; i++)
		append(i % 4 ? "a" : "");
	verifies(12, 0);
	assert_ok(event_checkpoint(elog, &e), &e);
	assert_ok(event_checkpoint(elog, &e), &e); /* nothing new: none is made */
	verifies(12, 1);
	append("a");
	assert_ok(event_checkpoint(elog, &e), &e);
	close_log();
	open_log();
	append("c");
	verifies(14, 2);
	close_log(); /* signs at the end */
	open_log();
	verifies(14, 3);
}

#define A "UPDATE event SET "
#define AT3 " WHERE project = 'a' AND seq = 3"
static void test_tampered_columns(void **s UNUSED)
{
	static const struct {
		const char *bad, *back, *says;
	} cases[] = {
		{ A "time = time + 1" AT3, A "time = time - 1" AT3, "project a, event 3 (server.started): stored bytes do not match the hash" },
		{ A "type = 'server.startee'" AT3, A "type = 'server.started'" AT3, "project a, event 3 (server.startee): stored bytes" },
		{ A "actor = 'token:u'" AT3, A "actor = 'token:t'" AT3, "project a, event 3 (server.started): stored bytes" },
		{ A "data = '{\"version\":\"2\"}'" AT3, A "data = '{\"version\":\"1\"}'" AT3, "project a, event 3 (server.started): stored bytes" },
		{ A "project = 'e'" AT3, A "project = 'a' WHERE project = 'e'", "project a: event 3 is missing (the next one is 4)" },
		{ A "seq = 103" AT3, A "seq = 3 WHERE seq = 103", "project a: event 3 is missing (the next one is 4)" },
		{ A "seq = -3" AT3, A "seq = 3 WHERE seq = -3", "project a: event -3 is not behind event 0" },
		{ "UPDATE event_head SET seq = 4 WHERE project = 'a'", "UPDATE event_head SET seq = 5 WHERE project = 'a'",
		  "project a: event 5 is behind the stream's head 4" },
		{ "UPDATE event_head SET seq = 6 WHERE project = 'a'", "UPDATE event_head SET seq = 5 WHERE project = 'a'",
		  "project a: the log ends with event 5, its head says 6" },
		{ "UPDATE event_head SET project = 'q' WHERE project = 'a'", "UPDATE event_head SET project = 'a' WHERE project = 'q'",
		  "project a: event 5 is behind the stream's head 0" },
		{ "UPDATE event_pos SET pos = 100 WHERE project = 'a' AND seq = 3",
		  "UPDATE event_pos SET pos = 3 WHERE project = 'a' AND seq = 3", "project a, event 4 (server.started): its position 4 is not behind" },
		{ "UPDATE event_pos SET seq = 50 WHERE project = 'a' AND seq = 3",
		  "UPDATE event_pos SET seq = 3 WHERE project = 'a' AND seq = 50", "without an event" },
		{ "UPDATE event_checkpoint SET body = REPLACE(body, '\"seq\":5', '\"seq\":4') WHERE id = 1",
		  "UPDATE event_checkpoint SET body = REPLACE(body, '\"seq\":4', '\"seq\":5') WHERE id = 1", "checkpoint 1: the signature does not fit" },
		{ "UPDATE event_checkpoint SET id = 2 WHERE id = 1", "UPDATE event_checkpoint SET id = 1 WHERE id = 2", "checkpoint 1 is missing" },
	};
	struct err e = { 0 };

	for (int i = 0; i < 5; i++)
		append("a");
	assert_ok(event_checkpoint(elog, &e), &e);
	assert_ok(event_sequence(elog, &e), &e);
	{ /* positions must be there before they are changed */
		struct arena  a CLEANUP_ARENA = ARENA_INIT(1 << 20);
		struct event *ev;
		size_t        n;
		int64_t       pos;

		assert_ok(event_read_all(elog, 0, 10, &a, &ev, &pos, &n, &e), &e);
		assert_int_equal(pos, 5);
	}
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		tamper(cases[i].bad);
		found(cases[i].says);
		tamper(cases[i].back);
		verifies(5, 1);
	}
	/* the hash itself, one bit, and a shorter one */
	tamper(on_pg ? A "hash = set_byte(hash, 31, get_byte(hash, 31) # 1)" AT3
	             : A "hash = CAST(unhexed AS BLOB) FROM (SELECT substr(hash, 1, 31) || x'00' AS unhexed FROM event e WHERE e.project = 'a' AND e.seq = 3) WHERE project = 'a' AND event.seq = 3");
	found("project a, event 3 (server.started): stored bytes do not match the hash");
}

static void test_tampered_rows(void **s UNUSED)
{
	struct err e = { 0 };

	for (int i = 0; i < 6; i++)
		append("a");
	assert_ok(event_checkpoint(elog, &e), &e);
	/* swapped: 2 <-> 4 */
	tamper(A "seq = 900 WHERE seq = 2");
	tamper(A "seq = 2 WHERE seq = 4");
	tamper(A "seq = 4 WHERE seq = 900");
	found("project a, event 2 (server.started): stored bytes do not match the hash");
	tamper(A "seq = 900 WHERE seq = 2");
	tamper(A "seq = 2 WHERE seq = 4");
	tamper(A "seq = 4 WHERE seq = 900");
	verifies(6, 1);
	/* one taken out of the middle */
	tamper("DELETE FROM event WHERE seq = 3");
	found("project a: event 3 is missing (the next one is 4)");
}

static void test_cut_tail(void **s UNUSED)
{
	struct err e = { 0 };

	for (int i = 0; i < 6; i++)
		append("a");
	assert_ok(event_checkpoint(elog, &e), &e);
	assert_ok(event_sequence(elog, &e), &e);
	tamper("DELETE FROM event WHERE seq = 6");
	found("project a: the log ends with event 5, its head says 6");
	tamper("UPDATE event_head SET seq = 5 WHERE project = 'a'"); /* the head follows: the checkpoint knows better */
	found("project a: checkpoint 1 signed event 6, which is not in the log: the end was cut off");
	tamper("DELETE FROM event_checkpoint WHERE id = 1"); /* the checkpoint is cut too: the server kept a copy */
	found("newest checkpoint that this server signed");
}

static void test_rewritten_tail(void **s UNUSED)
{
	struct err e = { 0 };

	append("a");
	append("a");
	assert_ok(event_checkpoint(elog, &e), &e);
	/* event 2 is replaced by another with a right hash: only the signature can tell */
	tamper("DELETE FROM event WHERE seq = 2");
	tamper("UPDATE event_head SET seq = 1 WHERE project = 'a'");
	if (!on_pg)
		tamper("DELETE FROM event_pos WHERE seq = 2");
	append("a");
	found("project a, event 2: it is not the one that checkpoint 1 signed");
}

static void test_forged_checkpoint(void **s UNUSED)
{
	char       forged[320];
	struct err e = { 0 };

	append("a");
	assert_ok(event_checkpoint(elog, &e), &e);
	append("a");
	/* another key signs a checkpoint of its own */
	(void)snprintf(forged, sizeof(forged), "%s-forged", keys);
	assert_ok(event_key_open(forged, &elog->key, &e), &e);
	assert_ok(event_checkpoint(elog, &e), &e);
	found("checkpoint 2: signed with a key that event.pub does not list");
	close_log();
	assert_ok(db_open(url, &db, &e), &e);
	assert_err(event_log_open(db, keys, &test_clock, &elog, &e), WEIR_ECONFLICT);
	assert_non_null(strstr(e.msg, "event.key"));
	elog = NULL;
	db = db_close(db);
}

static void test_keys(void **s UNUSED)
{
	char            path[400];
	struct err      e = { 0 };
	event_key_vec trusted = VEC_INIT;

	(void)snprintf(path, sizeof(path), "%s/event.pub", keys);
	assert_ok(event_keys_trusted(keys, &trusted, &e), &e);
	assert_int_equal(trusted.n, 1);
	assert_memory_equal(trusted.v[0].b, elog->key.public, 32);
	VEC_FINI(&trusted);
	close_log();
	(void)snprintf(path, sizeof(path), "%s/event.key", keys);
	assert_ok(fs_write_quick(path, STR("not a key\n"), 0600, &e), &e);
	assert_ok(db_open(url, &db, &e), &e);
	assert_err(event_log_open(db, keys, &test_clock, &elog, &e), WEIR_EINVAL);
	assert_null(strstr(e.msg, "not a key"));
	elog = NULL;
	db = db_close(db);
}

static void test_backup(void **s UNUSED)
{
	char                path[400];
	struct err          e = { 0 };
	struct event_verify v;
	char                other_url[512];

	if (on_pg)
		skip();
	for (int i = 0; i < 5; i++)
		append("a");
	(void)snprintf(path, sizeof(path), "%s-backup.db", keys);
	assert_err(event_verify_against(db, keys, path, &v, &e), WEIR_ENOENT);
	assert_ok(db_backup(db, path, &e), &e);
	append("a");
	assert_ok(event_verify_against(db, keys, path, &v, &e), &e);
	assert_int_equal(v.events, 6);
	/* the whole log made again, consistently, without a checkpoint: only the backup can tell */
	close_log();
	assert_ok(fs_remove_tree(url + strlen("sqlite:"), &e), &e);
	(void)snprintf(other_url, sizeof(other_url), "%s-wal", url + strlen("sqlite:"));
	assert_ok(fs_remove_tree(other_url, &e), &e);
	(void)snprintf(other_url, sizeof(other_url), "%s/event.checkpoint", keys);
	assert_ok(fs_remove_tree(other_url, &e), &e);
	open_log();
	append("a");
	assert_ok(event_verify(db, keys, &v, &e), &e);
	assert_err(event_verify_against(db, keys, path, &v, &e), WEIR_EREFUSED);
	assert_non_null(strstr(e.msg, "project a, event 1 (server.started): it differs from the backup"));
}

static void test_keeper(void **s UNUSED)
{
	struct err e = { 0 };
	int64_t    n = 0;

	assert_ok(event_log_start(elog, &e), &e);
	for (int i = 0; i < 1001; i++)
		append("a");
	for (int i = 0; i < 5000 && !n; i++) {
		struct event_verify v;

		assert_ok(event_verify(db, keys, &v, &e), &e);
		n = v.checkpoints;
		clock_sleep_ms(1);
	}
	assert_true(n > 0); /* by itself, after 1,000 events */
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_canonical), T(test_sequences), T(test_validation), T(test_reads), T(test_positions_under_load), T(test_clock_set_back), T(test_subscribe),
		T(test_failing_subscriber), T(test_on_commit), T(test_verify_good), T(test_tampered_columns), T(test_tampered_rows),
		T(test_cut_tail), T(test_rewritten_tail), T(test_forged_checkpoint), T(test_keys), T(test_backup), T(test_keeper),
	};
	struct err e = { 0 };
	int        rc, pg_rc;

	base_init();
	if (fs_temp_dir("weir-test-event", dir, sizeof(dir), &e))
		return 1;
	rc = cmocka_run_group_tests_name("SQLite", tests, NULL, NULL);
	pg_rc = pg_test_start(&pg, &e);
	if (pg_rc == 0) {
		on_pg = true;
		rc += cmocka_run_group_tests_name("PostgreSQL", tests, NULL, NULL);
		pg_test_stop(&pg);
	} else {
		printf("skipped: %s\n", e.msg);
		rc += pg_rc < 0;
	}
	(void)!fs_remove_tree(dir, &e);
	return rc;
}
