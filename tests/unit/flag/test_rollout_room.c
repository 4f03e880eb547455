/* Guarded rollouts in their room, with a virtual clock, on SQLite and on PostgreSQL: to the end, taken back exactly, holds, orders, steps that take their
 * time; and that whatever write of a step fails, all of it is undone and the next turn, also of a new process, takes it. */
#include "lib/pg.h"
#include "lib/test.h"

#include "base/fs.h"
#include "base/hash.h"
#include "flag/rollout-room.h"

#include <unistd.h>

#define SEC USEC_PER_SEC
#define OLD "{\"state\":\"ENABLED\",\"variants\":{\"on\":true,\"off\":false},\"defaultVariant\":\"off\",\"metadata\":{\"w\":1.50}}"
#define NEW "{\"state\":\"ENABLED\",\"variants\":{\"on\":true,\"off\":false},\"defaultVariant\":\"on\"}"

static usec_t now_us = 1800000000 * SEC;
static usec_t held(void *ctx UNUSED) { return now_us; }
static const struct clock test_clock = { held, held, NULL };

static const char       *url;
static char              dir[128], sqlite_url[160];
static struct db        *db;
static struct event_log *event_log;
static struct flag_room *room;
static struct err        e;

static void open_room(void)
{
	struct flag_config cfg = { .clock = &test_clock };

	assert_ok(db_open(url, &db, &e), &e);
	assert_ok(event_log_open(db, dir, &test_clock, &event_log, &e), &e);
	cfg.db = db;
	cfg.log = event_log;
	assert_ok(flag_open(&cfg, &room, &e), &e);
}

/* As a kill does it: nothing that is in memory is stored. */
static void close_room(void)
{
	for (size_t i = 0; i < room->rollouts->all.n; i++)
		room->rollouts->all.v[i]->counting = false;
	room = flag_close(room);
	event_log = event_log_close(event_log);
	db = db_close(db);
}

static int make_set(struct db_tx *tx, void *arg UNUSED, struct err *reterr)
{
	struct stored_set s = { .id = STR("p/s"), .project = STR("p"), .name = STR("s"), .environment = STR(""), .changed_at = now_us };

	return flag_store_create(tx, &s, reterr);
}

static int change(const char *text, struct err *reterr)
{
	struct flag_text   t = { STR("f"), str_z(text) };
	struct flag_change c = { .id = STR("p/s"), .source = FLAG_IN_STORE, .base = -1, .texts = &t, .n = 1, .by = STR("test"), .address = STR(""), .comment = STR(""), .now = now_us };
	int64_t            revision;

	return flag_apply(room, &c, &revision, reterr);
}

static char text_buf[8192];
static const char *text(void)
{
	const struct flag_entry *en = flag_table_find(flag_read_begin(room->tables), STR("p/s"));

	snprintf(text_buf, sizeof(text_buf), "%.*s", STR_ARG(flag_set_find(en->set, STR("f"))->text));
	flag_read_end(room->tables);
	return text_buf;
}

static char id[ID_SIZE];

static int begin_with(const char *spec, struct err *reterr)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(1 << 20);
	struct rollout_start o = { .set_id = STR("p/s"), .key = STR("f"), .definition = STR(NEW), .comment = STR(""), .by = STR("test"), .address = STR(""), .base = -1,
							   .spec_json = str_z(spec) };
	struct doc_check     c;
	struct doc_node     *n;
	int64_t              revision;

	assert_ok(doc_parse_json(&a, "spec", str_z(spec), &n, reterr), reterr);
	doc_check_init(&c, &a, "spec");
	rollout_spec_read(&c, n, &o.spec);
	assert_ok(doc_check_result(&c, reterr), reterr);
	return rollout_start(room, &o, &a, id, &revision, reterr);
}

#define SPEC "{\"outcomes\":[\"x\"],\"steps\":[\"10%\",\"50%\",\"100%\"],\"bake\":\"60s\",\"budget\":\"20%\",\"salt\":\"s\",\"hold\":{\"after\":\"100s\",\"then\":\"roll-back\"}}"

/* Everybody evaluates what is served, and says how it went. */
static void users_from(unsigned first, unsigned n, bool canary_fails)
{
	for (unsigned i = first; i < first + n; i++) {
		const struct flag_entry *en = flag_table_find(flag_read_begin(room->tables), STR("p/s"));
		const struct flag       *f = flag_set_find(en->set, STR("f"));
		struct arena CLEANUP_ARENA a = ARENA_INIT(1 << 20);
		char                     key[32];
		struct logic_pair        pair = { .key = "targetingKey", .key_len = 12 };
		struct flag_context      c = { .now = now_us, .scratch = &a };
		struct track_event       t = { .outcome = true };

		snprintf(key, sizeof(key), "user-%u", i);
		pair.value = logic_string(str_z(key));
		assert_ok(logic_object(&a, &pair, 1, &c.data, &e), &e);
		if (f->arms) {
			rollouts_exposed(room, f->arms, &c);
			t.bucket = flag_bucket(f->arms->salt, str_z(key));
			t.failed = canary_fails && flag_arm(f, &c) == f;
			memcpy(t.rollout, id, ID_SIZE);
			pthread_mutex_lock(&room->rollouts->lock);
			assert_true(rollouts_add(room->rollouts, &t));
			pthread_mutex_unlock(&room->rollouts->lock);
		}
		flag_read_end(room->tables);
	}
}

static void users(unsigned n, bool canary_fails) { users_from(0, n, canary_fails); }
static void turn(void) { rollouts_turn(room->rollouts); }

static struct rollout_row row;
static struct arena       row_arena = ARENA_INIT(1 << 20);
static int row_tx(struct db_tx *tx, void *arg UNUSED, struct err *reterr) { return rollout_store_row(tx, &row_arena, str_z(id), &row, reterr); }

static const char *state(void)
{
	static char out[32];

	arena_fini(&row_arena);
	assert_ok(db_read(db, row_tx, NULL, &e), &e);
	snprintf(out, sizeof(out), "%.*s", STR_ARG(row.state));
	return out;
}

static int order_tx(struct db_tx *tx, void *word, struct err *reterr) { return rollout_store_order(tx, str_z(id), str_z(word), STR("test"), reterr); }
static void order(const char *word)
{
	char copy[16];

	snprintf(copy, sizeof(copy), "%s", word);
	assert_ok(db_write(db, order_tx, copy, &e), &e);
	turn();
}

static int exec_tx(struct db_tx *tx, void *sql, struct err *reterr) { return db_exec(tx, reterr, sql, ""); }
static void sql(const char *text_)
{
	char copy[512];

	snprintf(copy, sizeof(copy), "%s", text_);
	assert_ok(db_write(db, exec_tx, copy, &e), &e);
}

static int setup(void **s UNUSED)
{
	open_room();
	assert_ok(db_write(db, make_set, NULL, &e), &e);
	assert_ok(flag_reload(room, STR("p/s"), &e), &e);
	assert_ok(change(OLD, &e), &e);
	return 0;
}

static struct pg_test pg;

static int teardown(void **s UNUSED)
{
	close_room();
	if (url == pg.url)
		assert_ok(pg_test_wipe(&pg, &e), &e);
	arena_fini(&row_arena);
	assert_ok(fs_remove_tree(dir, &e), &e);
	assert_ok(fs_mkdirs(dir, 0700, &e), &e);
	return 0;
}

static void to_the_end(bool with_kills)
{
	for (int i = 0; i < 20 && strcmp(state(), "finished"); i++) {
		users(400, false);
		turn();
		now_us += 20 * SEC;
		if (with_kills) {
			close_room();
			open_room();
		}
	}
	assert_string_equal(state(), "finished");
	assert_string_equal(text(), NEW);
}

static void test_a_good_one_is_promoted(void **s UNUSED)
{
	assert_ok(begin_with(SPEC, &e), &e);
	assert_err(begin_with(SPEC, &e), WEIR_ECONFLICT);
	assert_non_null(strstr(text(), "\"share\":0.1"));
	turn();
	assert_string_equal(state(), "canary"); /* nothing was seen yet */
	users(400, false);
	turn();
	assert_non_null(strstr(text(), "\"share\":0.5"));
	users(400, false);
	turn();
	assert_string_equal(state(), "baking");
	now_us += 59 * SEC;
	users(400, false);
	turn();
	assert_string_equal(state(), "baking");
	now_us += SEC;
	turn();
	assert_string_equal(state(), "finished");
	assert_string_equal(text(), NEW);
	assert_int_equal(room->rollouts->all.n, 0);
	assert_ok(change(OLD, &e), &e);
}

static void test_killed_after_each_turn_it_goes_on(void **s UNUSED)
{
	assert_ok(begin_with(SPEC, &e), &e);
	close_room();
	open_room();
	to_the_end(true);
}

/* Neither half is enough alone, and nobody of the first comes again. */
static void test_what_was_counted_outlives_a_kill(void **s UNUSED)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(1 << 20);
	struct doc_node           *n;

	assert_ok(begin_with("{\"outcomes\":[\"x\"],\"steps\":[\"50%\",\"100%\"],\"bake\":\"60s\",\"enough\":60,\"salt\":\"s\"}", &e), &e);
	users_from(0, 80, false);
	turn();
	assert_string_equal(state(), "canary");
	close_room();
	open_room();
	users_from(80, 80, false);
	turn();
	assert_string_equal(state(), "baking");
	assert_ok(doc_parse_json(&a, "counts", row.counts, &n, &e), &e);
	assert_int_equal(doc_get_int(n, "users", 0), 160);
	assert_int_equal(doc_get_int(n, "outcomes", 0), 160);
}

/* An outcome may be told here before another server has handed over that its user evaluated the flag. */
static void test_an_outcome_waits_for_its_exposure(void **s UNUSED)
{
	struct track_event t = { .outcome = true, .failed = true, .bucket = flag_bucket(STR("s"), STR("late")) }, exposed = { .share = 0.1, .bucket = t.bucket };

	assert_ok(begin_with(SPEC, &e), &e);
	memcpy(t.rollout, id, ID_SIZE);
	memcpy(exposed.rollout, id, ID_SIZE);
	assert_true(rollouts_add(room->rollouts, &t));
	turn();
	assert_int_equal(room->rollouts->all.v[0]->track.unexposed, 0);
	now_us += 2 * SEC;
	assert_true(rollouts_add(room->rollouts, &exposed));
	turn();
	turn();
	assert_int_equal(room->rollouts->all.v[0]->track.outcomes, 1);
	assert_int_equal(room->rollouts->all.v[0]->track.unexposed, 0);
	t.bucket++;
	assert_true(rollouts_add(room->rollouts, &t));
	turn();
	now_us += 4 * SEC;
	turn();
	assert_int_equal(room->rollouts->all.v[0]->track.unexposed, 1);
	for (size_t i = room->rollouts->inbox.n; i < LIMIT_FLAG_TRACK_QUEUE; i++)
		assert_true(rollouts_add(room->rollouts, &exposed));
	assert_false(rollouts_add(room->rollouts, &exposed)); /* a full inbox says so */
	assert_int_equal(room->rollouts->dropped, 1);
}

static void test_harm_takes_it_back_exactly(void **s UNUSED)
{
	for (int late = 0; late < 3; late++) { /* at the first step, at the second, in the bake */
		assert_ok(begin_with(SPEC, &e), &e);
		for (int i = 0; i < late; i++) {
			users(400, false);
			turn();
		}
		users(400, true);
		turn();
		assert_string_equal(state(), "rolled-back");
		assert_string_equal(text(), OLD);
		assert_true(str_contains(row.evidence, STR("\"worse\"")));
	}
}

static void test_others_must_wait(void **s UNUSED)
{
	assert_ok(begin_with(SPEC, &e), &e);
	assert_err(change(NEW, &e), WEIR_ECONFLICT);
	assert_non_null(strstr(e.msg, id));
	assert_err(change("", &e), WEIR_ECONFLICT);
	/* but the kill switch */
	assert_ok(change("{\"variants\":{\"off\":false,\"on\":true},\"state\":\"DISABLED\",\"defaultVariant\":\"on\"}", &e), &e);
	assert_string_equal(state(), "aborted");
	assert_non_null(strstr(text(), "\"state\":\"DISABLED\""));
	assert_non_null(strstr(text(), "\"defaultVariant\":\"off\"")); /* the former one, off */
	turn();
	assert_int_equal(room->rollouts->all.n, 0);
	assert_ok(change(OLD, &e), &e);
}

static void test_orders(void **s UNUSED)
{
	assert_ok(begin_with(SPEC, &e), &e);
	order("pause");
	users(400, false);
	turn();
	assert_string_equal(state(), "canary"); /* good, but paused */
	assert_non_null(strstr(text(), "\"share\":0.1"));
	order("resume");
	turn();
	assert_non_null(strstr(text(), "\"share\":0.5"));
	order("promote");
	assert_string_equal(state(), "baking");
	assert_non_null(strstr(text(), "\"share\":1"));
	order("abort");
	assert_string_equal(state(), "aborted");
	assert_string_equal(text(), OLD);
	char word[] = "abort";
	assert_err(db_write(db, order_tx, word, &e), WEIR_ECONFLICT);
	/* harm goes through a pause */
	assert_ok(begin_with(SPEC, &e), &e);
	order("pause");
	users(400, true);
	turn();
	assert_string_equal(state(), "rolled-back");
}

static void test_without_evidence_it_holds_and_then_goes_back(void **s UNUSED)
{
	assert_ok(begin_with(SPEC, &e), &e);
	for (int i = 0; i < 40 && strcmp(state(), "rolled-back"); i++) {
		turn();
		now_us += 10 * SEC;
	}
	assert_string_equal(state(), "rolled-back");
	assert_str(row.cause, "held too long without a verdict");
	assert_string_equal(text(), OLD);
}

static void test_steps_take_their_time(void **s UNUSED)
{
	assert_ok(begin_with("{\"outcomes\":[\"x\"],\"steps\":[\"50%\",\"100%\"],\"bake\":\"0s\",\"step-min\":\"30s\",\"enough\":20,\"salt\":\"s\"}", &e), &e);
	users(100, false);
	turn();
	now_us += 29 * SEC;
	turn();
	assert_string_equal(state(), "canary");
	now_us += SEC;
	turn(); /* some 50 users are no proof for a budget of 1 %, but enough for its author */
	turn();
	assert_string_equal(state(), "finished");
	assert_string_equal(text(), NEW);
}

/* Each table that a step writes refuses once: nothing of the step is there, and it comes again. */
static void test_a_step_is_whole_or_not_there(void **s UNUSED)
{
	static const char *const tables[] = { "flag", "flag_set", "flag_revision", "flag_rollout", "event" };

	if (url != sqlite_url) /* its triggers are written otherwise */
		skip();
	for (int end = 0; end < 2; end++)
		for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
			for (int update = 0; update < 2; update++) {
				char trigger[256], before[8192];

				assert_ok(begin_with(SPEC, &e), &e);
				turn();
				snprintf(before, sizeof(before), "%s", text());
				snprintf(trigger, sizeof(trigger), "CREATE TRIGGER broken BEFORE %s ON %s BEGIN SELECT RAISE(ABORT, 'no disk'); END", update ? "UPDATE" : "INSERT", tables[i]);
				sql(trigger);
				users(400, end == 1);
				turn();
				if (!strcmp(text(), before)) /* this table is not written in that way by a step: it has passed */
					assert_string_equal(state(), "canary");
				close_room();
				open_room();
				assert_true(!strcmp(state(), "canary") || strcmp(text(), before));
				sql("DROP TRIGGER broken");
				users(400, end == 1);
				turn();
				if (end) {
					assert_string_equal(state(), "rolled-back");
					assert_string_equal(text(), OLD);
				} else {
					assert_null(strstr(text(), "\"share\":0.1"));
					order("abort");
					assert_string_equal(text(), OLD);
				}
			}
}

static void test_as_many_as_there_may_be(void **s UNUSED)
{
	for (int i = 0; i < LIMIT_FLAG_ROLLOUTS; i++) {
		char insert[512];

		snprintf(insert, sizeof(insert), "INSERT INTO flag_rollout (id, set_id, key, running, state, spec, previous, next, salt, ro, counts, evidence, cause, by_actor,"
				 " started_at, ended_at, order_word, order_by, order_answer, version) VALUES ('r%d', 'x/y', 'k%d', 1, 'canary', '{}', '', '', '', '{}', '{}', '', '', '', 0, 0, '', '', '', 1)", i, i);
		sql(insert);
	}
	assert_err(begin_with(SPEC, &e), WEIR_ELIMIT);
	assert_string_equal(text(), OLD);
}

static int run(const char *name)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_good_one_is_promoted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_killed_after_each_turn_it_goes_on, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_was_counted_outlives_a_kill, setup, teardown),
		cmocka_unit_test_setup_teardown(test_an_outcome_waits_for_its_exposure, setup, teardown),
		cmocka_unit_test_setup_teardown(test_harm_takes_it_back_exactly, setup, teardown),
		cmocka_unit_test_setup_teardown(test_others_must_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(test_orders, setup, teardown),
		cmocka_unit_test_setup_teardown(test_without_evidence_it_holds_and_then_goes_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_steps_take_their_time, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_step_is_whole_or_not_there, setup, teardown),
		cmocka_unit_test_setup_teardown(test_as_many_as_there_may_be, setup, teardown),
	};

	return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

int main(void)
{
	char template[] = "/tmp/weir-test-rollout-XXXXXX";
	int  failed;

	base_init();
	if (!mkdtemp(template))
		return 1;
	snprintf(dir, sizeof(dir), "%s/data", template);
	snprintf(sqlite_url, sizeof(sqlite_url), "sqlite:%s/weir.db", dir);
	if (fs_mkdirs(dir, 0700, &e))
		return 1;
	url = sqlite_url;
	failed = run("sqlite");
	switch (pg_test_start(&pg, &e)) {
	case 0:
		url = pg.url;
		failed += run("postgresql");
		pg_test_stop(&pg);
		break;
	case 1: print_message("skipped on PostgreSQL: %s\n", e.msg); break;
	default: print_error("%s\n", e.msg); failed++;
	}
	(void)!fs_remove_tree(template, &e);
	return failed;
}
