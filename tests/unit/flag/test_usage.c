/* test_usage.c - counting uses of flags: what is counted where, by several threads, over failures and several servers; old rows; the limit. */
#include "lib/test.h"

#include "base/hash.h"
#include "base/limits.h"
#include "flag/room.h"

#include <unistd.h>

#define HOUR (3600 * USEC_PER_SEC)
static usec_t       now;
static usec_t       wall(void *ctx UNUSED) { return now; }
static const struct clock clk = { wall, wall, NULL };

struct home {
	char       dir[64], url[128];
	struct db *db;
};

static int setup(void **state)
{
	struct home *h = calloc(1, sizeof(*h));
	struct err   e = { 0 };

	base_init();
	now = (usec_t)490000 * HOUR + 5;
	snprintf(h->dir, sizeof(h->dir), "/tmp/weir-usage-XXXXXX");
	assert_non_null(mkdtemp(h->dir));
	snprintf(h->url, sizeof(h->url), "sqlite:%s/weir.db", h->dir);
	assert_ok(db_open(h->url, &h->db, &e), &e);
	assert_ok(db_migrate(h->db, "flag", flag_migrations, flag_n_migrations, &e), &e);
	*state = h;
	return 0;
}

static int teardown(void **state)
{
	struct home *h = *state;
	char         cmd[128];

	db_close(h->db);
	snprintf(cmd, sizeof(cmd), "rm -r %s", h->dir);
	assert_int_equal(system(cmd), 0);
	free(h);
	return 0;
}

static struct flag_set *a_set(size_t n)
{
	struct flag_set_head head = { STR("shop/production"), 1, STR(""), STR("") };
	struct flag_text    *texts = calloc(n, sizeof(*texts));
	struct arena         a = ARENA_INIT(256 << 20);
	struct flag_set     *s;
	struct err           e = { 0 };

	for (size_t i = 0; i < n; i++)
		texts[i] = (struct flag_text){ str_z(arena_printf(&a, "f%zu", i)), STR("{\"state\":\"ENABLED\",\"variants\":{\"on\":true,\"off\":false},\"defaultVariant\":\"on\"}") };
	assert_ok(flag_set_build(NULL, &head, texts, n, &s, &e), &e);
	arena_fini(&a);
	free(texts);
	return s;
}

static void use(struct flag_usage *u, const struct flag_set *s, const char *set, const char *key, enum flag_usage_how how)
{
	struct flag_context c = { .now = now };
	struct flag_answer  a;
	struct flag_tally  *t = flag_usage_begin(u);

	flag_evaluate(s, str_z(key), FLAG_ANY, &c, &a);
	flag_usage_add(t, str_z(set), &a, how, now);
	flag_usage_end(u, t);
}

struct seen {
	struct arena          a;
	struct flag_use      *uses;
	struct flag_last_use *lasts;
	size_t                n, n_lasts;
	usec_t                since, began, dropped;
	int64_t               rows;
	const char           *key;
};

static int look_tx(struct db_tx *tx, void *arg, struct err *e)
{
	struct seen *s = arg;
	int          rc = flag_usage_counts(tx, &s->a, STR("shop/production"), str_z(s->key), s->since, &s->uses, &s->n, e);

	if (!rc)
		rc = flag_usage_lasts(tx, &s->a, STR("shop/production"), str_z(s->key), &s->lasts, &s->n_lasts, e);
	if (!rc)
		rc = flag_usage_began(tx, &s->began, e);
	if (!rc)
		rc = flag_usage_dropped(tx, STR("shop/production"), &s->dropped, e);
	return rc ? rc : db_get_int(tx, e, &s->rows, NULL, "SELECT COUNT(*) FROM flag_usage", "");
}

static void look(struct home *h, struct seen *s, const char *key, usec_t since)
{
	struct err e = { 0 };

	*s = (struct seen){ .a = ARENA_INIT(64 << 20), .key = key, .since = since };
	assert_ok(db_read(h->db, look_tx, s, &e), &e);
}

static void assert_use(const struct flag_use *u, const char *key, const char *variant, int64_t asked, int64_t bulk)
{
	assert_str(u->key, key);
	assert_str(u->variant, variant);
	assert_int_equal(u->asked, asked);
	assert_int_equal(u->bulk, bulk);
}

static void counts_by_flag_variant_and_hour(void **state)
{
	struct home       *h = *state;
	struct flag_usage *u;
	struct flag_set   *s = a_set(3);
	struct err         e = { 0 };
	struct seen        k;
	usec_t             began = now;

	assert_ok(flag_usage_new(h->db, &clk, &u, &e), &e);
	use(u, s, "shop/production", "f0", FLAG_USED_ASKED);
	use(u, s, "shop/production", "f0", FLAG_USED_BULK);
	use(u, s, "shop/production", "f1", FLAG_USED_BULK);
	use(u, s, "shop/production", "nothing", FLAG_USED_ASKED); /* no row */
	use(u, s, "shop/staging", "f0", FLAG_USED_ASKED);
	now += HOUR;
	use(u, s, "shop/production", "f0", FLAG_USED_ASKED);
	look(h, &k, NULL, 0);
	assert_int_equal(k.n, 0); /* not written yet */
	arena_fini(&k.a);
	assert_ok(flag_usage_flush(u, &e), &e);
	look(h, &k, NULL, 0);
	assert_int_equal(k.n, 2);
	assert_use(&k.uses[0], "f0", "on", 2, 1);
	assert_use(&k.uses[1], "f1", "on", 0, 1);
	assert_int_equal(k.rows, 4);
	assert_int_equal(k.n_lasts, 2);
	assert_true(k.lasts[0].asked == now && k.lasts[0].bulk == began && k.lasts[1].asked == 0);
	assert_true(k.began == began && k.dropped == 0);
	arena_fini(&k.a);
	look(h, &k, "f0", now);
	assert_int_equal(k.n, 1);
	assert_use(&k.uses[0], "f0", "on", 1, 0);
	arena_fini(&k.a);
	now += HOUR;
	assert_ok(flag_usage_flush(u, &e), &e); /* nothing twice */
	flag_usage_free(u);
	assert_ok(flag_usage_new(h->db, &clk, &u, &e), &e);
	flag_usage_free(u);
	look(h, &k, "f0", 0);
	assert_use(&k.uses[0], "f0", "on", 2, 1);
	assert_true(k.began == began); /* counting did not begin anew */
	arena_fini(&k.a);
	flag_set_unref(s);
}

static void clients_report_their_counts(void **state)
{
	struct home       *h = *state;
	struct flag_usage *u;
	struct flag_tally *t;
	struct err         e = { 0 };
	struct seen        k;
	char               longer[LIMIT_FLAG_KEY_BYTES + 2] = "";

	memset(longer, 'x', sizeof(longer) - 1);
	assert_ok(flag_usage_new(h->db, &clk, &u, &e), &e);
	t = flag_usage_begin(u);
	flag_usage_report(t, STR("shop/production"), STR("f0"), STR("on"), 7, now, now);
	flag_usage_report(t, STR("shop/production"), STR("f0"), STR_NULL, 2, now - 3 * HOUR, now);
	flag_usage_report(t, STR("shop/production"), STR("f0"), STR("on"), 1, now + 50 * HOUR, now); /* the future is now */
	flag_usage_report(t, STR("shop/production"), STR("f0"), STR("on"), 1, now - (LIMIT_FLAG_USAGE_DAYS * 24 + 1) * HOUR, now); /* too old */
	flag_usage_report(t, STR("shop/production"), STR("f0"), STR("off"), 0, now, now);
	flag_usage_report(t, STR("shop/production"), str_z(longer), STR("on"), 1, now, now);
	flag_usage_report(t, STR("shop/production"), STR("f0"), str_z(longer), 1, now, now);
	flag_usage_report(t, STR("shop/production"), STR("big"), STR("on"), UINT64_MAX, now, now);
	flag_usage_report(NULL, STR("shop/production"), STR("f0"), STR("on"), 1, now, now);
	flag_usage_end(u, t);
	flag_usage_free(u); /* writes at close */
	look(h, &k, NULL, 0);
	assert_int_equal(k.n, 3);
	assert_use(&k.uses[0], "big", "on", UINT32_MAX, 0);
	assert_use(&k.uses[1], "f0", "", 2, 0);
	assert_use(&k.uses[2], "f0", "on", 8, 0);
	assert_true(k.lasts[1].asked == now);
	arena_fini(&k.a);
	look(h, &k, "f0", now);
	assert_int_equal(k.n, 1);
	arena_fini(&k.a);
}

struct worker {
	struct flag_usage *u;
	struct flag_set   *s;
	pthread_t          thread;
};
enum { WORKERS = 8, TURNS = 20000 };

static void *count_much(void *arg)
{
	struct worker *w = arg;

	for (int i = 0; i < TURNS; i++)
		use(w->u, w->s, "shop/production", i % 2 ? "f0" : "f1", i % 4 ? FLAG_USED_ASKED : FLAG_USED_BULK);
	return NULL;
}

static void threads_lose_nothing(void **state)
{
	struct home       *h = *state;
	struct flag_usage *u;
	struct worker      w[WORKERS];
	struct err         e = { 0 };
	struct seen        k;
	struct buf         text = BUF_INIT(1 << 20);
	char               want[128];

	assert_ok(flag_usage_new(h->db, &clk, &u, &e), &e);
	assert_ok(flag_usage_start(u, &e), &e);
	for (int i = 0; i < WORKERS; i++) {
		w[i] = (struct worker){ .u = u, .s = a_set(2) };
		assert_int_equal(pthread_create(&w[i].thread, NULL, count_much, &w[i]), 0);
	}
	for (int i = 0; i < 20; i++)
		assert_ok(flag_usage_flush(u, &e), &e);
	for (int i = 0; i < WORKERS; i++) {
		pthread_join(w[i].thread, NULL);
		flag_set_unref(w[i].s);
	}
	flag_usage_metrics(u, &text);
	snprintf(want, sizeof(want), "weir_flag_evaluations_total{set=\"shop/production\",reason=\"STATIC\"} %d\n", WORKERS * TURNS);
	assert_true(str_contains(buf_str(&text), str_z(want)));
	assert_true(str_contains(buf_str(&text), STR("weir_flag_evaluations_dropped_total 0\n")));
	buf_fini(&text);
	flag_usage_free(u);
	look(h, &k, NULL, 0);
	assert_int_equal(k.n, 2);
	assert_use(&k.uses[0], "f0", "on", WORKERS * TURNS / 2, 0);
	assert_use(&k.uses[1], "f1", "on", WORKERS * TURNS / 4, WORKERS * TURNS / 4);
	arena_fini(&k.a);
}

/* Two threads of one slot: the second tally is handed over, not lost. */
static void one_slot_for_two(void **state)
{
	struct home       *h = *state;
	struct flag_usage *u;
	struct flag_tally *t, *other;
	struct err         e = { 0 };
	struct seen        k;

	assert_ok(flag_usage_new(h->db, &clk, &u, &e), &e);
	t = flag_usage_begin(u);
	other = flag_usage_begin(u);
	assert_ptr_not_equal(t, other);
	flag_usage_report(t, STR("shop/production"), STR("f0"), STR("on"), 1, now, now);
	flag_usage_report(other, STR("shop/production"), STR("f0"), STR("on"), 1, now, now);
	assert_ok(flag_usage_flush(u, &e), &e); /* both are in use: nothing is taken, nothing waits */
	flag_usage_end(u, t);
	flag_usage_end(u, other);
	flag_usage_free(u);
	look(h, &k, NULL, 0);
	assert_use(&k.uses[0], "f0", "on", 2, 0);
	arena_fini(&k.a);
}

static int break_tx(struct db_tx *tx, void *mend, struct err *e)
{
	return db_exec(tx, e, mend ? "DROP TRIGGER t" : "CREATE TRIGGER t BEFORE INSERT ON flag_usage WHEN NEW.flag = 'f998' BEGIN SELECT RAISE(ABORT, 'no'); END", "");
}

static void what_cannot_be_written_is_kept(void **state)
{
	struct home       *h = *state;
	struct flag_usage *u;
	struct flag_set   *s = a_set(2500);
	struct err         e = { 0 };
	struct seen        k;
	char               key[16];
	int64_t            sum = 0;

	assert_ok(flag_usage_new(h->db, &clk, &u, &e), &e);
	for (int i = 0; i < 2500; i++) {
		snprintf(key, sizeof(key), "f%d", i);
		use(u, s, "shop/production", key, FLAG_USED_ASKED);
	}
	/* the third portion meets it: two are written by then */
	assert_ok(db_write(h->db, break_tx, NULL, &e), &e);
	assert_int_not_equal(flag_usage_flush(u, &e), 0);
	look(h, &k, NULL, 0);
	assert_int_equal(k.n, 2000);
	arena_fini(&k.a);
	assert_ok(db_write(h->db, break_tx, h, &e), &e);
	use(u, s, "shop/production", "f1", FLAG_USED_ASKED);
	assert_ok(flag_usage_flush(u, &e), &e);
	look(h, &k, NULL, 0);
	assert_int_equal(k.n, 2500);
	for (size_t i = 0; i < k.n; i++)
		sum += k.uses[i].asked;
	assert_int_equal(sum, 2501);
	arena_fini(&k.a);
	flag_usage_free(u);
	flag_set_unref(s);
}

static void servers_add_up(void **state)
{
	struct home       *h = *state;
	struct flag_usage *one, *two;
	struct flag_set   *s = a_set(1);
	struct err         e = { 0 };
	struct seen        k;

	assert_ok(flag_usage_new(h->db, &clk, &one, &e), &e);
	assert_ok(flag_usage_new(h->db, &clk, &two, &e), &e);
	use(one, s, "shop/production", "f0", FLAG_USED_ASKED);
	now += 5;
	use(two, s, "shop/production", "f0", FLAG_USED_ASKED);
	assert_ok(flag_usage_flush(two, &e), &e);
	assert_ok(flag_usage_flush(one, &e), &e); /* later, with an earlier use */
	look(h, &k, NULL, 0);
	assert_use(&k.uses[0], "f0", "on", 2, 0);
	assert_true(k.lasts[0].asked == now);
	arena_fini(&k.a);
	flag_usage_free(one);
	flag_usage_free(two);
	flag_set_unref(s);
}

static void the_limit_drops_and_says_so(void **state)
{
	struct home       *h = *state;
	struct flag_usage *u;
	struct err         e = { 0 };
	struct seen        k;
	struct buf         text = BUF_INIT(1 << 20);
	struct flag_tally *t;
	char               key[24];

	assert_ok(flag_usage_new(h->db, &clk, &u, &e), &e);
	t = flag_usage_begin(u);
	for (int i = 0; i < LIMIT_FLAG_USAGE_CELLS + 7; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		flag_usage_report(t, STR("shop/production"), str_z(key), STR("on"), 1, now, now);
	}
	flag_usage_report(t, STR("shop/production"), STR("k5"), STR("on"), 1, now, now); /* those that are in still count */
	flag_usage_end(u, t);
	assert_ok(flag_usage_flush(u, &e), &e);
	flag_usage_metrics(u, &text);
	assert_true(str_contains(buf_str(&text), STR("weir_flag_evaluations_dropped_total 7\n")));
	assert_true(str_contains(buf_str(&text), STR("reason=\"REPORTED\"} 100008\n")));
	buf_fini(&text);
	look(h, &k, "k5", 0);
	assert_use(&k.uses[0], "k5", "on", 2, 0);
	assert_int_equal(k.rows, LIMIT_FLAG_USAGE_CELLS);
	assert_true(k.dropped == now);
	arena_fini(&k.a);
	flag_usage_free(u);
}

static void old_rows_become_days_and_go(void **state)
{
	struct home       *h = *state;
	struct flag_usage *u;
	struct flag_set   *s = a_set(1);
	struct err         e = { 0 };
	struct seen        k;

	now = (usec_t)490000 / 24 * 24 * HOUR;
	assert_ok(flag_usage_new(h->db, &clk, &u, &e), &e);
	for (int i = 0; i < 24; i++, now += HOUR)
		use(u, s, "shop/production", "f0", i % 3 ? FLAG_USED_ASKED : FLAG_USED_BULK);
	assert_ok(flag_usage_flush(u, &e), &e);
	assert_ok(flag_usage_prune(u, &e), &e);
	look(h, &k, NULL, 0);
	assert_int_equal(k.rows, 24);
	arena_fini(&k.a);
	now += 48 * HOUR;
	assert_ok(flag_usage_prune(u, &e), &e);
	assert_ok(flag_usage_prune(u, &e), &e); /* repeatable */
	look(h, &k, NULL, 0);
	assert_int_equal(k.rows, 1);
	assert_use(&k.uses[0], "f0", "on", 16, 8);
	arena_fini(&k.a);
	now += (LIMIT_FLAG_USAGE_DAYS - 1) * 24 * HOUR;
	assert_ok(flag_usage_prune(u, &e), &e);
	look(h, &k, NULL, 0);
	assert_int_equal(k.rows, 0);
	assert_int_equal(k.n_lasts, 1); /* the last use stays */
	arena_fini(&k.a);
	flag_usage_free(u);
	flag_set_unref(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(counts_by_flag_variant_and_hour, setup, teardown),
		cmocka_unit_test_setup_teardown(clients_report_their_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(threads_lose_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(one_slot_for_two, setup, teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_written_is_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(servers_add_up, setup, teardown),
		cmocka_unit_test_setup_teardown(the_limit_drops_and_says_so, setup, teardown),
		cmocka_unit_test_setup_teardown(old_rows_become_days_and_go, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
