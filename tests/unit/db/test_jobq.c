/* test_jobq.c - the job queue on both engines. */
#include "engines.h"
#include "db/jobq.h"

#include <pthread.h>

static struct db *db;

#define SEC USEC_PER_SEC

static int setup(void **s UNUSED)
{
	struct err e = { 0 };

	if (db_open(url, &db, &e) || db_migrate(db, "jobq", jobq_migrations, jobq_n_migrations, &e)) {
		fprintf(stderr, "%s\n", e.msg);
		return -1;
	}
	return 0;
}
static int wipe_fn(struct db_tx *tx, void *arg UNUSED, struct err *reterr) { return db_exec(tx, reterr, "DELETE FROM jobq", ""); }
static int teardown(void **s UNUSED)
{
	struct err e = { 0 };
	int        rc = db_write(db, wipe_fn, NULL, &e);

	db = db_close(db);
	return rc;
}

struct op {
	enum { PUT, CLAIM, RENEW, DONE, RETRY, REAP } what;
	const char      *id, *worker, *labels;
	usec_t           now;
	int64_t          max;
	struct arena    *arena;
	struct jobq_item item;
	bool             found, dead;
	char             log[200]; /* what reap told */
};
static int reaped(struct db_tx *tx UNUSED, const struct jobq_item *item, bool dead, void *ctx, struct err *reterr UNUSED)
{
	struct op *o = ctx;
	size_t     n = strlen(o->log);

	(void)snprintf(o->log + n, sizeof(o->log) - n, "%.*s/%d%s ", STR_ARG(item->id), (int)item->attempt, dead ? "/dead" : "");
	return 0;
}
static int op_fn(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct op *o = arg;

	switch (o->what) {
	case PUT: return jobq_put(tx, "build", str_z(o->id), STR("{\"a\":1}"), str_z(o->labels), o->max ? o->max : 3, o->now, reterr);
	case CLAIM:
		return jobq_claim(tx, "build", str_z(o->worker), str_z(o->labels), o->now, 10 * SEC, o->arena, &o->item, &o->found, reterr);
	case RENEW: return jobq_renew(tx, "build", str_z(o->id), str_z(o->worker), o->now, 10 * SEC, reterr);
	case DONE: return jobq_done(tx, "build", str_z(o->id), reterr);
	case RETRY: return jobq_retry(tx, "build", str_z(o->id), STR("it broke"), o->now, &o->dead, reterr);
	case REAP: o->log[0] = 0; return jobq_reap(tx, "build", o->now, reaped, o, reterr);
	default: return -WEIR_EINTERNAL;
	}
}
static int run(struct op *o)
{
	struct err e = { 0 };
	int        rc = db_write(db, op_fn, o, &e);

	if (rc && rc != -WEIR_EGONE)
		fprintf(stderr, "%s\n", e.msg);
	return rc;
}
#define OP(...) run(&(struct op){ __VA_ARGS__ })

static void put(const char *id, const char *labels, usec_t at, int64_t max)
{
	assert_int_equal(OP(.what = PUT, .id = id, .labels = labels, .now = at, .max = max), 0);
}
/* Claims and compares: "" means none. */
static void claims(struct arena *a, const char *worker, const char *offers, usec_t now, const char *want, int64_t attempt, const char *cause)
{
	struct op o = { .what = CLAIM, .worker = worker, .labels = offers, .now = now, .arena = a };

	assert_int_equal(run(&o), 0);
	assert_int_equal(o.found, *want != 0);
	if (!*want)
		return;
	assert_str(o.item.id, want);
	assert_str(o.item.payload, "{\"a\":1}");
	assert_str(o.item.cause, cause);
	assert_int_equal(o.item.attempt, attempt);
	assert_int_equal(o.item.lease_until, now + 10 * SEC);
}

static void test_order_and_labels(void **s UNUSED)
{
	struct arena a CLEANUP_ARENA = ARENA_INIT(100000);

	put("c", "", 3, 1);
	put("b", "gpu,linux", 2, 1);
	put("a", "arm", 1, 1);
	put("d", "linux", 1, 1);
	put("late", "", 1000, 1);
	put("c", "", 0, 1); /* waits already: no change */
	claims(&a, "w", "gpu,linux,x", 10, "d", 1, "");
	claims(&a, "w", "linux", 10, "c", 1, "");
	claims(&a, "w", "linux", 10, "", 0, "");
	claims(&a, "w", "gpu,linux", 10, "b", 1, "");
	put("b", "", 0, 1); /* runs: no change */
	claims(&a, "w", "gpu,linux", 10, "", 0, "");
	claims(&a, "w", "arm", 0, "", 0, ""); /* not due yet */
	claims(&a, "w", "arm", 1, "a", 1, "");
	assert_int_equal(OP(.what = DONE, .id = "b"), 0);
	assert_int_equal(OP(.what = DONE, .id = "b"), -WEIR_EGONE);
	put("b", "", 20, 1); /* finished: may come again */
	claims(&a, "w", "", 20, "b", 1, "");
	assert_int_equal(OP(.what = DONE, .id = "late"), 0); /* cancelled while it waits */
	claims(&a, "w", "", 2000, "", 0, "");
}

static void test_renew_and_lost(void **s UNUSED)
{
	struct arena a CLEANUP_ARENA = ARENA_INIT(100000);

	put("j", "", 0, 3);
	claims(&a, "w1", "", 0, "j", 1, "");
	assert_int_equal(OP(.what = RENEW, .id = "j", .worker = "w1", .now = 8 * SEC), 0);
	claims(&a, "w2", "", 17 * SEC, "", 0, ""); /* the lease was made longer */
	claims(&a, "w2", "", 19 * SEC, "j", 2, "lost: lease of w1 ran out");
	assert_int_equal(OP(.what = RENEW, .id = "j", .worker = "w1", .now = 19 * SEC), -WEIR_EGONE);
	assert_int_equal(OP(.what = RENEW, .id = "j", .worker = "w2", .now = 19 * SEC), 0);
	assert_int_equal(OP(.what = RENEW, .id = "nope", .worker = "w2", .now = 19 * SEC), -WEIR_EGONE);
}

static void test_retry_until_dead(void **s UNUSED)
{
	struct arena a CLEANUP_ARENA = ARENA_INIT(100000);
	struct op      o = { .what = RETRY, .id = "j", .now = 50 * SEC };

	put("j", "", 0, 2);
	assert_int_equal(run(&o), -WEIR_EGONE); /* nobody holds it */
	claims(&a, "w1", "", 0, "j", 1, "");
	assert_int_equal(run(&o), 0);
	assert_false(o.dead);
	claims(&a, "w1", "", 49 * SEC, "", 0, ""); /* not before run_at */
	claims(&a, "w1", "", 50 * SEC, "j", 2, "it broke");
	assert_int_equal(run(&o), 0);
	assert_true(o.dead);
	claims(&a, "w1", "", 100 * SEC, "", 0, "");
	assert_int_equal(run(&o), -WEIR_EGONE);
}

static void test_reap(void **s UNUSED)
{
	struct arena a CLEANUP_ARENA = ARENA_INIT(100000);
	struct op      o = { .what = REAP };

	put("last", "", 0, 1);
	put("more", "", 1, 2);
	put("held", "", 2, 1);
	claims(&a, "w1", "", 10, "last", 1, "");
	claims(&a, "w2", "", 11, "more", 1, "");
	claims(&a, "w3", "", 12 * SEC, "more", 2, "lost: lease of w2 ran out"); /* a claim takes it by itself, not the dead one */
	claims(&a, "w3", "", 13 * SEC, "held", 1, "");
	o.now = 15 * SEC;
	assert_int_equal(run(&o), 0);
	assert_string_equal(o.log, "last/1/dead ");
	o.now = 22 * SEC + 1;
	assert_int_equal(run(&o), 0);
	assert_string_equal(o.log, "more/2/dead ");
	put("again", "", 0, 5);
	claims(&a, "w4", "", 23 * SEC, "again", 1, "");
	o.now = 40 * SEC;
	assert_int_equal(run(&o), 0);
	assert_string_equal(o.log, "held/1/dead again/1 ");
	claims(&a, "w5", "", 40 * SEC, "again", 2, "lost: lease of w4 ran out");
	assert_int_equal(run(&o), 0);
	assert_string_equal(o.log, "");
}

static void test_bad_input(void **s UNUSED)
{
	struct err e = { 0 };
	struct op  o = { .what = PUT, .id = "", .labels = "", .max = 1 }, o2 = { .what = PUT, .id = "x", .labels = "", .max = -1 };

	assert_err(db_write(db, op_fn, &o, &e), WEIR_EINVAL);
	assert_err(db_write(db, op_fn, &o2, &e), WEIR_EINVAL);
}

/* --- many workers: each job exactly once --- */

enum { JOBS = 120, WORKERS = 8 };
struct worker {
	char name[16];
	int  seen[JOBS], errors;
};
static void *work(void *arg)
{
	struct worker *w = arg;

	for (;;) {
		struct arena a CLEANUP_ARENA = ARENA_INIT(100000);
		struct op      o = { .what = CLAIM, .worker = w->name, .labels = "", .now = 10 * SEC, .arena = &a };
		char           id[16];
		int64_t        n;

		if (db_write_in_turn(db, op_fn, &o, NULL)) {
			w->errors++;
			return NULL;
		}
		if (!o.found)
			return NULL;
		(void)snprintf(id, sizeof(id), "%.*s", STR_ARG(o.item.id));
		if (!str_to_i64(str_z(id + 1), &n) || OP(.what = DONE, .id = id))
			w->errors++;
		else
			w->seen[n]++;
	}
}

static void test_many_workers(void **s UNUSED)
{
	static struct worker w[WORKERS];
	pthread_t            t[WORKERS];

	memset(w, 0, sizeof(w));
	for (int i = 0; i < JOBS; i++) {
		char id[16];

		(void)snprintf(id, sizeof(id), "j%03d", i);
		put(id, "", i, 1);
	}
	for (int i = 0; i < WORKERS; i++) {
		(void)snprintf(w[i].name, sizeof(w[i].name), "w%d", i);
		assert_int_equal(pthread_create(&t[i], NULL, work, &w[i]), 0);
	}
	for (int i = 0; i < WORKERS; i++)
		pthread_join(t[i], NULL);
	for (int j = 0; j < JOBS; j++) {
		int n = 0;

		for (int i = 0; i < WORKERS; i++)
			n += w[i].seen[j];
		assert_int_equal(n, 1);
	}
	for (int i = 0; i < WORKERS; i++)
		assert_int_equal(w[i].errors, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_order_and_labels), T(test_renew_and_lost), T(test_retry_until_dead), T(test_reap), T(test_bad_input), T(test_many_workers),
	};

	run_on_both_engines(tests);
}
