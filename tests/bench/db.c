/* db.c - `./dev bench db`: rows, events and jobs per second through db_write(), with 1, 8 and 64 callers at once; on SQLite (group commit,
 * synchronous=FULL) and on a PostgreSQL of its own (without fsync, as the tests run it). */
#include "base/base.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/hash.h"
#include "db/jobq.h"
#include "event/event.h"
#include "lib/pg.h"

#include <pthread.h>
#include <stdatomic.h>

#define RUN_FOR (2 * USEC_PER_SEC)

static struct db          *db;
static struct event_log   *elog;
static atomic_int_fast64_t next_id;
static atomic_bool         over;

static const struct db_migration migrations[] = {
	{ "bench", "CREATE TABLE bench (id @int@ NOT NULL PRIMARY KEY, text @text@ NOT NULL) @strict@" },
};

static int insert_fn(struct db_tx *tx, void *arg, struct err *reterr)
{
	return db_exec(tx, reterr, "INSERT INTO bench (id, text) VALUES ($1, $2)", "iz", *(int64_t *)arg, "one hundred bytes of text or nearly so, to have"
	               " a row that looks like what rooms really store in one");
}
static int append_fn(struct db_tx *tx, void *arg, struct err *reterr)
{
	static const char *const projects[] = { "a", "b", "c", "d", "e", "f", "g", "h" };

	return event_append(elog, tx, str_z(projects[*(int64_t *)arg % 8]), EVENT_SERVER_STARTED, STR("weir"), STR("{\"version\":\"1\"}"), NULL, reterr);
}
static int put_fn(struct db_tx *tx, void *arg, struct err *reterr)
{
	char id[32];

	(void)snprintf(id, sizeof(id), "%020lld", (long long)*(int64_t *)arg);
	return jobq_put(tx, "bench", str_z(id), STR("{}"), STR(""), 1, 0, reterr);
}
static int claim_fn(struct db_tx *tx, void *arg UNUSED, struct err *reterr)
{
	struct arena a CLEANUP_ARENA = ARENA_INIT(10000);
	struct jobq_item            item;
	bool                        found;
	int rc = jobq_claim(tx, "bench", STR("w"), STR(""), 1, USEC_PER_SEC, &a, &item, &found, reterr);

	return rc || !found ? rc : jobq_done(tx, "bench", item.id, reterr);
}

struct caller {
	db_fn     fn;
	pthread_t thread;
	int64_t   n, failed;
};
static void *call(void *arg)
{
	struct caller *c = arg;

	while (!atomic_load(&over)) {
		int64_t    id = atomic_fetch_add(&next_id, 1);
		struct err e = { 0 };

		if (c->fn == claim_fn ? db_write_in_turn(db, c->fn, &id, &e) : db_write(db, c->fn, &id, &e)) {
			if (!c->failed++)
				fprintf(stderr, "%s\n", e.msg);
		} else {
			c->n++;
		}
	}
	return NULL;
}

static void measure(const char *what, db_fn fn, int callers)
{
	struct caller c[64];
	usec_t        began = clock_mono_now();
	int64_t       n = 0, failed = 0;
	double        seconds;

	atomic_store(&over, false);
	for (int i = 0; i < callers; i++) {
		c[i] = (struct caller){ .fn = fn };
		if (pthread_create(&c[i].thread, NULL, call, &c[i]))
			BUG("no thread");
	}
	clock_sleep_ms(RUN_FOR / USEC_PER_MSEC);
	atomic_store(&over, true);
	for (int i = 0; i < callers; i++) {
		pthread_join(c[i].thread, NULL);
		n += c[i].n;
		failed += c[i].failed;
	}
	seconds = (double)(clock_mono_now() - began) / (double)USEC_PER_SEC;
	printf("  %-28s %2d callers %10.0f/s%s\n", what, callers, (double)n / seconds, failed ? "  (with failures)" : "");
	(void)fflush(stdout);
}

static int engine(const char *name, const char *url, const char *keys)
{
	static const int    callers[] = { 1, 8, 64 };
	struct event_verify v;
	struct err          e = { 0 };
	usec_t              began;

	printf("%s\n", name);
	if (db_open(url, &db, &e) || db_migrate(db, "bench", migrations, 1, &e) || db_migrate(db, "jobq", jobq_migrations, jobq_n_migrations, &e) ||
	    event_log_open(db, keys, &clock_real, &elog, &e)) {
		fprintf(stderr, "%s\n", e.msg);
		return 1;
	}
	for (size_t i = 0; i < ARRAY_SIZE(callers); i++)
		measure("rows", insert_fn, callers[i]);
	for (size_t i = 0; i < ARRAY_SIZE(callers); i++)
		measure("events (8 projects)", append_fn, callers[i]);
	measure("jobs put", put_fn, 8);
	measure("jobs claimed and done", claim_fn, 8);
	began = clock_mono_now();
	if (event_checkpoint(elog, &e) || event_verify(db, keys, &v, &e))
		fprintf(stderr, "%s\n", e.msg);
	else
		printf("  %-28s            %10.0f/s (%lld events)\n", "events verified",
		       (double)v.events * (double)USEC_PER_SEC / (double)(clock_mono_now() - began), (long long)v.events);
	elog = event_log_close(elog);
	db = db_close(db);
	return 0;
}

int main(void)
{
	char           dir[256], url[300], keys[300], pg_keys[300];
	struct pg_test pg;
	struct err     e = { 0 };
	int            rc, pg_rc;

	base_init();
	if (fs_temp_dir("weir-bench-db", dir, sizeof(dir), &e))
		return 1;
	(void)snprintf(url, sizeof(url), "sqlite:%s/weir.db", dir);
	(void)snprintf(keys, sizeof(keys), "%s/keys", dir);
	(void)snprintf(pg_keys, sizeof(pg_keys), "%s/pg-keys", dir);
	rc = engine("SQLite, synchronous=FULL", url, keys);
	pg_rc = pg_test_start(&pg, &e);
	if (!pg_rc) {
		rc += engine("PostgreSQL, without fsync", pg.url, pg_keys);
		pg_test_stop(&pg);
	} else {
		printf("skipped: %s\n", e.msg);
	}
	(void)!fs_remove_tree(dir, &e);
	return rc;
}
