/* test_insight.c - the five metrics from made-up logs: definitions, boundary rules, properties, and the ways in which other tools
 * are known to count wrongly (figures above 1, blame by nearness in time, failed attempts that vanish, sums that differ from their rows). */
#include "lib/test.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/vec.h"
#include "insight/insight.h"
#include "net/client.h"

#include <math.h>

#define SEC  USEC_PER_SEC
#define HOUR (3600 * SEC)
#define DAY  (24 * HOUR)
#define T0   ((usec_t)20000 * DAY) /* a UTC midnight */

/* --- a log in memory --- */

struct log {
	struct arena a;
	VEC(struct event) ev;
	int64_t seq[4]; /* of projects p0 .. p3 */
};
static const char *const projects[] = { "p0", "p1", "p2", "p3" };

static void log_init(struct log *l)
{
	memset(l, 0, sizeof(*l));
	arena_init(&l->a, 64 << 20);
}
static void log_fini(struct log *l)
{
	VEC_FINI(&l->ev);
	arena_fini(&l->a);
}
static void add(struct log *l, int project, usec_t t, enum event_type type, const char *data)
{
	struct event ev = { .project = str_z(projects[project]), .seq = ++l->seq[project], .time = t, .type = str_z(event_type_name(type)),
		                .actor = STR("weir"), .data = str_z(data), .pos = (int64_t)l->ev.n + 1 };

	assert_true(VEC_PUSH(&l->ev, ev));
}
#define ADD(l, p, t, type, ...) add((l), (p), (t), EVENT_##type, arena_printf(&(l)->a, __VA_ARGS__))

static void created(struct log *l, int p, usec_t t)
{
	ADD(l, p, t, PROJECT_CREATED, "{\"name\":\"%s\",\"default_branch\":\"main\"}", projects[p]);
}
static void push_to(struct log *l, int p, usec_t t, const char *ref, const char *old, const char *new, usec_t committed)
{
	ADD(l, p, t, CHANGE_ACCEPTED,
	    "{\"ref\":\"%s\",\"old\":\"%s\",\"new\":\"%s\",\"pusher\":\"a\",\"author\":\"a\",\"subject\":\"s\",\"committed_at\":%lld,\"commits\":1,"
	    "\"findings\":0,\"verdict\":\"\"}", ref, old, new, (long long)committed);
}
#define push(l, p, t, old, new, committed) push_to((l), (p), (t), "refs/heads/main", (old), (new), (committed))
static void begin_in(struct log *l, int p, usec_t t, const char *id, const char *service, const char *env, const char *commit, const char *digest)
{
	ADD(l, p, t, RELEASE_STARTED,
	    "{\"release\":\"%s\",\"service\":\"%s\",\"environment\":\"%s\",\"version\":\"v-%s\",\"digest\":\"%s\",\"commit\":\"%s\",\"first\":false,"
	    "\"by\":\"weir\"}", id, service, env, id, digest, commit);
}
#define begin(l, p, t, id, service, commit) begin_in((l), (p), (t), (id), (service), "production", (commit), (id))
#define OF "\"release\":\"%s\",\"service\":\"s\",\"environment\":\"production\","
static void promote(struct log *l, int p, usec_t t, const char *id)
{
	ADD(l, p, t, RELEASE_PROMOTED, "{" OF "\"version\":\"v\",\"digest\":\"d\",\"commit\":\"c\",\"cause\":\"good\"}", id);
}
static void finish(struct log *l, int p, usec_t t, const char *id)
{
	ADD(l, p, t, RELEASE_FINISHED, "{" OF "\"version\":\"v\",\"cause\":\"the bake ended well\"}", id);
}
static void held(struct log *l, int p, usec_t t, const char *id, const char *verdict)
{
	ADD(l, p, t, RELEASE_HELD, "{" OF "\"verdict\":\"%s\",\"cause\":\"x\"}", id, verdict);
}
static void roll_back(struct log *l, int p, usec_t t, const char *id, const char *cause, usec_t first_bad, usec_t last_bad)
{
	if (first_bad)
		ADD(l, p, t, RELEASE_ROLLED_BACK, "{" OF "\"version\":\"v\",\"cause\":\"%s\",\"by\":\"weir\",\"first_bad_at\":%lld,\"last_bad_at\":%lld}", id,
		    cause, (long long)first_bad, (long long)last_bad);
	else
		ADD(l, p, t, RELEASE_ROLLED_BACK, "{" OF "\"version\":\"v\",\"cause\":\"%s\",\"by\":\"weir\"}", id, cause);
}

static struct insight_state *fold(const struct log *l)
{
	struct insight_state *s;
	struct err            e = { 0 };

	assert_ok(insight_state_new(&s, &e), &e);
	for (size_t i = 0; i < l->ev.n; i++)
		assert_ok(insight_fold(s, &l->ev.v[i], &e), &e);
	return s;
}

/* A state and its report, freed together. */
struct seen {
	struct insight_state *s;
	struct arena          a;
	struct insight_report r;
};
static void see(struct seen *v, const struct log *l, const char *project, usec_t to, int64_t days)
{
	struct err e = { 0 };

	v->s = fold(l);
	arena_init(&v->a, 64 << 20);
	assert_ok(insight_report(v->s, str_z(project), to, days, &v->a, &v->r, &e), &e);
}
static void unsee(struct seen *v)
{
	insight_state_free(v->s);
	arena_fini(&v->a);
}
static const struct insight_metric *m(const struct seen *v, enum insight_kind k) { return &v->r.metric[k]; }
static void ratio(const struct seen *v, enum insight_kind k, double num, double den)
{
	if (m(v, k)->numerator != num || m(v, k)->denominator != den)
		fail_msg("%s: expected %g/%g, seen %g/%g", insight_kinds[k].name, num, den, m(v, k)->numerator, m(v, k)->denominator);
	if (den > 0)
		assert_true(m(v, k)->value == num / den);
	else
		assert_true(isnan(m(v, k)->value));
}

/* --- the story: born, good, bad, fixed --- */

static void story(struct log *l)
{
	created(l, 0, T0);
	push(l, 0, T0 + 1 * HOUR, "0", "c1", T0 + 30 * 60 * SEC);
	begin(l, 0, T0 + 2 * HOUR, "r1", "s", "c1");
	promote(l, 0, T0 + 2 * HOUR + 10 * SEC, "r1");
	finish(l, 0, T0 + 2 * HOUR + 60 * SEC, "r1");
	push(l, 0, T0 + 5 * HOUR, "c1", "c2", T0 + 4 * HOUR);
	push(l, 0, T0 + 6 * HOUR, "c2", "c3", T0 + 5 * HOUR);
	begin(l, 0, T0 + 7 * HOUR, "r2", "s", "c3"); /* carries c2 and c3, is bad */
	roll_back(l, 0, T0 + 7 * HOUR + 40 * SEC, "r2", "worse", T0 + 7 * HOUR + 20 * SEC, T0 + 7 * HOUR + 32 * SEC);
	push(l, 0, T0 + 8 * HOUR, "c3", "c4", T0 + 8 * HOUR);
	begin(l, 0, T0 + 9 * HOUR, "r3", "s", "c4"); /* the repair */
	promote(l, 0, T0 + 10 * HOUR, "r3");
	finish(l, 0, T0 + 11 * HOUR, "r3");
}

static void test_story(void **s UNUSED)
{
	struct log  l;
	struct seen v;

	log_init(&l);
	story(&l);
	see(&v, &l, NULL, T0 + 12 * HOUR, 30);
	ratio(&v, INSIGHT_DEPLOYMENT_FREQUENCY, 2, 1); /* r1 and r3, on one service-day */
	ratio(&v, INSIGHT_FAIL_RATE, 1, 3);
	ratio(&v, INSIGHT_REWORK_RATE, 1, 3);
	/* lead: c1 1.5 h 10 s; c2 6 h, c3 5 h, c4 2 h, all with r3, the first successful one that has them */
	assert_int_equal(m(&v, INSIGHT_LEAD_TIME)->n, 4);
	assert_true(m(&v, INSIGHT_LEAD_TIME)->value == 2 * 3600);
	assert_true(m(&v, INSIGHT_LEAD_TIME)->mean == (1.5 * 3600 + 10 + 6 * 3600 + 5 * 3600 + 2 * 3600) / 4);
	assert_int_equal(m(&v, INSIGHT_RECOVERY_TIME)->n, 1);
	assert_true(m(&v, INSIGHT_RECOVERY_TIME)->value == 12);
	assert_true(m(&v, INSIGHT_FAIL_RATE)->low > 0 && m(&v, INSIGHT_FAIL_RATE)->high < 1);
	assert_true(m(&v, INSIGHT_FAIL_RATE)->too_few);
	assert_int_equal(v.r.under_way, 0);
	unsee(&v);
	see(&v, &l, "nobody", T0 + 12 * HOUR, 30); /* nothing to measure is not zero */
	for (int k = 0; k < INSIGHT_MAX; k++)
		assert_true(isnan(m(&v, (enum insight_kind)k)->value) && m(&v, (enum insight_kind)k)->n == 0);
	unsee(&v);
	log_fini(&l);
}

static void test_service_days(void **s UNUSED)
{
	struct log  l;
	struct seen v;

	log_init(&l);
	begin(&l, 0, T0 + 23 * HOUR, "a1", "a", "x");
	promote(&l, 0, T0 + 23 * HOUR + SEC, "a1");
	begin_in(&l, 0, T0 + DAY, "a2", "a", "production", "x", "a1"); /* the very same files: no deployment */
	promote(&l, 0, T0 + DAY + SEC, "a2");
	begin(&l, 0, T0 + 3 * DAY, "b1", "b", "x");
	promote(&l, 0, T0 + 3 * DAY + SEC, "b1");
	begin(&l, 0, T0 + 3 * DAY, "c1", "c", "x"); /* never live: no service-day */
	roll_back(&l, 0, T0 + 3 * DAY + SEC, "c1", "never healthy", 0, 0);
	see(&v, &l, NULL, T0 + 4 * DAY + HOUR, 30);
	ratio(&v, INSIGHT_DEPLOYMENT_FREQUENCY, 2, 5 + 2); /* a: days 0 to 4, b: 3 and 4 */
	assert_int_equal(m(&v, INSIGHT_DEPLOYMENT_FREQUENCY)->excluded, 1);
	unsee(&v);
	see(&v, &l, NULL, T0 + 4 * DAY + HOUR, 2); /* days 3 and 4 */
	ratio(&v, INSIGHT_DEPLOYMENT_FREQUENCY, 1, 2 + 2);
	unsee(&v);
	log_fini(&l);
}

static void test_only_production(void **s UNUSED)
{
	struct log  l;
	struct seen v;

	log_init(&l);
	begin_in(&l, 0, T0, "r1", "s", "staging", "c", "d");
	promote(&l, 0, T0 + SEC, "r1");
	see(&v, &l, NULL, T0 + HOUR, 1);
	ratio(&v, INSIGHT_FAIL_RATE, 0, 0);
	ratio(&v, INSIGHT_DEPLOYMENT_FREQUENCY, 0, 0);
	unsee(&v);
	log_fini(&l);
}

static void test_failed_attempts_count(void **s UNUSED)
{
	struct log  l;
	struct seen v;

	log_init(&l);
	begin(&l, 0, T0, "r1", "s", "c");
	roll_back(&l, 0, T0 + SEC, "r1", "never healthy", 0, 0); /* a failed attempt is an attempt */
	begin(&l, 0, T0 + HOUR, "r2", "s", "c");
	promote(&l, 0, T0 + HOUR + SEC, "r2");
	roll_back(&l, 0, T0 + HOUR + 9 * SEC, "r2", "rolled back by hand", 0, 0); /* in the bake: failed, counted once */
	begin(&l, 0, T0 + 2 * HOUR, "r3", "s", "c");
	roll_back(&l, 0, T0 + 2 * HOUR + SEC, "r3", "superseded by a newer release", 0, 0); /* neither */
	begin(&l, 0, T0 + 3 * HOUR, "r4", "s", "c"); /* under way */
	see(&v, &l, NULL, T0 + 4 * HOUR, 1);
	ratio(&v, INSIGHT_FAIL_RATE, 2, 2);
	assert_int_equal(v.r.superseded, 1);
	assert_int_equal(v.r.under_way, 1);
	ratio(&v, INSIGHT_DEPLOYMENT_FREQUENCY, 0, 1);
	unsee(&v);
	log_fini(&l);
}

/* Other tools divide incidents by deployments and come above 1, or count a rollback told twice as two. */
static void test_never_above_one(void **s UNUSED)
{
	struct log  l;
	struct seen v;

	log_init(&l);
	begin(&l, 0, T0, "r1", "s", "c");
	promote(&l, 0, T0 + SEC, "r1");
	for (int i = 0; i < 8; i++) {
		held(&l, 0, T0 + 2 * SEC, "r1", "worse-hold");
		roll_back(&l, 0, T0 + (3 + i) * SEC, "r1", "worse", T0 + 2 * SEC, T0 + 3 * SEC);
	}
	see(&v, &l, NULL, T0 + HOUR, 1);
	ratio(&v, INSIGHT_FAIL_RATE, 1, 1);
	assert_int_equal(m(&v, INSIGHT_RECOVERY_TIME)->n, 1);
	assert_true(m(&v, INSIGHT_RECOVERY_TIME)->value == 1);
	unsee(&v);
	log_fini(&l);
}

/* Two services of one repository: the failure of one is not blamed on the other that happened to be deployed last. */
static void test_no_blame_by_nearness(void **s UNUSED)
{
	struct log                   l;
	struct seen                  v;
	const struct insight_metric *f;

	log_init(&l);
	begin(&l, 0, T0, "bad", "a", "c");
	promote(&l, 0, T0 + SEC, "bad");
	begin(&l, 0, T0 + 2 * SEC, "good", "b", "c");
	promote(&l, 0, T0 + 3 * SEC, "good");
	roll_back(&l, 0, T0 + 4 * SEC, "bad", "worse", T0 + 3 * SEC, T0 + 4 * SEC);
	begin(&l, 0, T0 + HOUR, "b2", "b", "c2"); /* not rework: b was well */
	promote(&l, 0, T0 + HOUR + SEC, "b2");
	see(&v, &l, NULL, T0 + 2 * HOUR, 1);
	ratio(&v, INSIGHT_FAIL_RATE, 1, 3);
	ratio(&v, INSIGHT_REWORK_RATE, 0, 3);
	f = m(&v, INSIGHT_FAIL_RATE);
	for (size_t i = 0; i < f->n_rows; i++)
		assert_int_equal(f->rows[i].counts, str_eqz(f->rows[i].release, "bad"));
	unsee(&v);
	log_fini(&l);
}

/* A larger window moves no failure to another deployment. */
static void test_window_keeps_attribution(void **s UNUSED)
{
	struct log  l;
	struct seen day, month;

	log_init(&l);
	story(&l);
	begin(&l, 0, T0 + 20 * DAY, "r9", "s", "c4");
	promote(&l, 0, T0 + 20 * DAY + SEC, "r9");
	see(&day, &l, NULL, T0 + 20 * DAY + HOUR, 1);
	ratio(&day, INSIGHT_FAIL_RATE, 0, 1);
	see(&month, &l, NULL, T0 + 20 * DAY + HOUR, 30);
	ratio(&month, INSIGHT_FAIL_RATE, 1, 4);
	for (size_t i = 0; i < m(&month, INSIGHT_FAIL_RATE)->n_rows; i++)
		assert_int_equal(m(&month, INSIGHT_FAIL_RATE)->rows[i].counts, str_eqz(m(&month, INSIGHT_FAIL_RATE)->rows[i].release, "r2"));
	unsee(&day);
	unsee(&month);
	log_fini(&l);
}

static void test_rework_boundary(void **s UNUSED)
{
	struct log  l;
	struct seen v;

	log_init(&l);
	begin(&l, 0, T0, "r1", "s", "c");
	roll_back(&l, 0, T0 + SEC, "r1", "worse", 0, 0);
	begin(&l, 0, T0 + SEC + DAY, "r2", "s", "c"); /* exactly 24 h: rework, and fails too */
	roll_back(&l, 0, T0 + 2 * SEC + DAY, "r2", "worse", 0, 0);
	begin(&l, 0, T0 + 3 * SEC + 2 * DAY, "r3", "s", "c"); /* a second later than 24 h: planned */
	promote(&l, 0, T0 + 4 * SEC + 2 * DAY, "r3");
	begin(&l, 0, T0 + 5 * SEC + 2 * DAY, "r4", "s", "c"); /* behind a clean one */
	promote(&l, 0, T0 + 6 * SEC + 2 * DAY, "r4");
	roll_back(&l, 0, T0 + 7 * SEC + 2 * DAY, "r4", "worse", 0, 0);
	begin(&l, 0, T0 + 8 * SEC + 2 * DAY, "r5", "s", "c"); /* behind one that failed after its promotion */
	promote(&l, 0, T0 + 9 * SEC + 2 * DAY, "r5");
	see(&v, &l, NULL, T0 + 3 * DAY, 30);
	ratio(&v, INSIGHT_REWORK_RATE, 2, 5);
	for (size_t i = 0; i < m(&v, INSIGHT_REWORK_RATE)->n_rows; i++) {
		str id = m(&v, INSIGHT_REWORK_RATE)->rows[i].release;

		assert_int_equal(m(&v, INSIGHT_REWORK_RATE)->rows[i].counts, str_eqz(id, "r2") || str_eqz(id, "r5"));
	}
	unsee(&v);
	log_fini(&l);
}

static void test_recovery(void **s UNUSED)
{
	struct log                   l;
	struct seen                  v;
	const struct insight_metric *r;

	log_init(&l);
	begin(&l, 0, T0, "r1", "s", "c"); /* no bad response recorded: begin to rollback */
	roll_back(&l, 0, T0 + 30 * SEC, "r1", "never healthy", 0, 0);
	begin(&l, 0, T0 + HOUR, "r2", "s", "c");
	promote(&l, 0, T0 + HOUR + SEC, "r2");
	finish(&l, 0, T0 + HOUR + 9 * SEC, "r2");
	roll_back(&l, 0, T0 + 9 * HOUR, "r2", "rolled back by hand", 0, 0); /* bad since when? */
	begin(&l, 0, T0 + 10 * HOUR, "r3", "s", "c");
	roll_back(&l, 0, T0 + 10 * HOUR + SEC, "r3", "worse", T0 + 10 * HOUR + SEC, T0 + 10 * HOUR); /* a wrong clock: 0, not negative */
	begin(&l, 0, T0 + 11 * HOUR, "r4", "s", "c"); /* looks worse and waits */
	held(&l, 0, T0 + 11 * HOUR + SEC, "r4", "worse-hold");
	begin(&l, 0, T0 + 11 * HOUR, "r5", "other", "c"); /* waits for another reason */
	held(&l, 0, T0 + 11 * HOUR + SEC, "r5", "cannot-judge");
	see(&v, &l, NULL, T0 + 12 * HOUR, 1);
	r = m(&v, INSIGHT_RECOVERY_TIME);
	assert_int_equal(r->n, 3); /* r1 30 s, r3 0 s, r4 more than 1 h */
	assert_int_equal(r->censored, 1);
	assert_int_equal(r->excluded, 1);
	assert_int_equal(r->n_rows, 4);
	assert_true(r->value == 30); /* dropping r4 would give 0 */
	assert_true(r->mean == 15);
	unsee(&v);
	log_fini(&l);
}

static void test_lead_time_rules(void **s UNUSED)
{
	struct log                   l;
	struct seen                  v;
	const struct insight_metric *t;

	log_init(&l);
	created(&l, 0, T0);
	push(&l, 0, T0 + HOUR, "0", "c1", T0);
	push_to(&l, 0, T0 + HOUR, "refs/heads/topic", "c1", "c2", T0);     /* another branch: no change of main's */
	push(&l, 0, T0 + 2 * HOUR, "c1", "c2", T0 + HOUR);
	push_to(&l, 0, T0 + 2 * HOUR, "refs/heads/later", "0", "c2", T0); /* nor does it hide one */
	begin(&l, 0, T0 + 3 * HOUR, "a1", "a", "c2");
	promote(&l, 0, T0 + 3 * HOUR, "a1");
	begin(&l, 0, T0 + 4 * HOUR, "a2", "a", "c2"); /* once more: nothing new in it */
	promote(&l, 0, T0 + 4 * HOUR, "a2");
	begin(&l, 0, T0 + 5 * HOUR, "b1", "b", "c2"); /* the other service has its own */
	promote(&l, 0, T0 + 5 * HOUR, "b1");
	push(&l, 0, T0 + 6 * HOUR, "c2", "c3", T0 + 20 * HOUR); /* committed in the future */
	begin(&l, 0, T0 + 7 * HOUR, "a3", "a", "c3");
	promote(&l, 0, T0 + 7 * HOUR, "a3");
	begin(&l, 0, T0 + 8 * HOUR, "a4", "a", "unknown"); /* a commit nobody pushed */
	promote(&l, 0, T0 + 8 * HOUR, "a4");
	see(&v, &l, NULL, T0 + 9 * HOUR, 1);
	t = m(&v, INSIGHT_LEAD_TIME);
	assert_int_equal(t->n, 4); /* c1 and c2 by a (3 h, 2 h), by b (5 h, 4 h) */
	assert_int_equal(t->excluded, 1);
	assert_int_equal(t->n_rows, 5);
	assert_true(t->value == 3 * 3600 && t->mean == 3.5 * 3600 && t->p90 == 5 * 3600);
	unsee(&v);
	log_fini(&l);
}

/* --- properties --- */

static uint64_t rng;
static unsigned draw(unsigned n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (unsigned)(rng % n);
}

/* Any story: releases of four projects begin, are held, promoted, rolled back, told twice, in any order. */
static void random_log(struct log *l)
{
	usec_t t = T0;
	int    n = 50 + (int)draw(150), next = 0;

	for (int i = 0; i < n; i++) {
		int         p = (int)draw(4);
		const char *id = arena_printf(&l->a, "r%u", draw((unsigned)next + 1)), *old, *new;

		t += (usec_t)draw(7200) * SEC;
		switch (draw(8)) {
		case 0: created(l, p, t); break;
		case 1:
			old = arena_printf(&l->a, "c%u", draw(20)), new = arena_printf(&l->a, "c%u", draw(20)); /* circles too */
			push(l, p, t, old, new, t - (usec_t)draw(90000) * SEC + 20000 * SEC);
			break;
		case 2:
		case 3:
			id = arena_printf(&l->a, "r%d", next++);
			begin(l, p, t, id, draw(2) ? "a" : "b", arena_printf(&l->a, "c%u", draw(20)));
			break;
		case 4: promote(l, p, t, id); break;
		case 5: finish(l, p, t, id); break;
		case 6: held(l, p, t, id, draw(2) ? "worse-hold" : "cannot-judge"); break;
		default: roll_back(l, p, t, id, draw(4) ? "worse" : "superseded by a newer release", draw(2) ? t - 9 * SEC : 0, t - SEC); break;
		}
	}
}

static void state_bytes(const struct insight_state *s, struct buf *out)
{
	struct jw w;

	jw_init(&w, out);
	insight_state_write(s, &w);
	assert_false(out->failed);
}
static void report_bytes(const struct seen *v, struct buf *out)
{
	struct jw w;

	jw_init(&w, out);
	insight_report_write(&v->r, true, &w);
	assert_false(out->failed);
}

static void check_figures(const struct seen *v)
{
	for (int k = 0; k < INSIGHT_MAX; k++) {
		const struct insight_metric *x = m(v, (enum insight_kind)k);
		double                       counts = 0;

		for (size_t i = 0; i < x->n_rows; i++)
			counts += x->rows[i].counts;
		if (insight_kinds[k].numerator)
			assert_true(counts == x->numerator); /* the rows behind it add up to the figure */
		if (k == INSIGHT_FAIL_RATE || k == INSIGHT_REWORK_RATE) {
			assert_true(x->denominator == (double)x->n_rows);
			assert_true(isnan(x->value) || (x->value >= 0 && x->value <= 1 && x->low <= x->value && x->value <= x->high));
		}
		assert_true(isnan(x->value) || x->value >= 0);
	}
	assert_true(m(v, INSIGHT_FAIL_RATE)->denominator == m(v, INSIGHT_REWORK_RATE)->denominator);
}

/* The same events, projects interleaved anew; order within a project kept. */
static void interleave(const struct log *l, struct log *out)
{
	size_t at[4] = { 0 };

	for (size_t left = l->ev.n; left;) {
		int p = (int)draw(4);

		while (at[p] < l->ev.n && !str_eqz(l->ev.v[at[p]].project, projects[p]))
			at[p]++;
		if (at[p] < l->ev.n) {
			assert_true(VEC_PUSH(&out->ev, l->ev.v[at[p]]));
			if (!draw(10)) /* delivered twice */
				assert_true(VEC_PUSH(&out->ev, l->ev.v[at[p]]));
			at[p]++;
			left--;
		}
	}
}

static void test_properties(void **s UNUSED)
{
	for (uint64_t seed = 1; seed <= 150; seed++) {
		struct log           l, mixed, alone;
		struct seen          v, v2, one;
		struct buf a CLEANUP_BUF = BUF_INIT(16 << 20), b CLEANUP_BUF = BUF_INIT(16 << 20), c CLEANUP_BUF = BUF_INIT(16 << 20),
		           d CLEANUP_BUF = BUF_INIT(16 << 20);

		rng = seed * 0x9e3779b97f4a7c15u;
		log_init(&l);
		log_init(&mixed);
		log_init(&alone);
		random_log(&l);
		interleave(&l, &mixed);
		see(&v, &l, NULL, T0 + 40 * DAY, 60);
		see(&v2, &mixed, NULL, T0 + 40 * DAY, 60);
		check_figures(&v);
		state_bytes(v.s, &a);
		state_bytes(v2.s, &b);
		if (strcmp(buf_z(&a), buf_z(&b)))
			fail_msg("seed %llu: folding in another order of projects gives another state", (unsigned long long)seed);
		buf_clear(&a);
		buf_clear(&b);
		report_bytes(&v, &a);
		report_bytes(&v2, &b);
		if (strcmp(buf_z(&a), buf_z(&b)))
			fail_msg("seed %llu: the same events give another report", (unsigned long long)seed);
		for (size_t i = 0; i < l.ev.n; i++) /* one project's figures are the same without the others' events */
			if (str_eqz(l.ev.v[i].project, "p1"))
				assert_true(VEC_PUSH(&alone.ev, l.ev.v[i]));
		unsee(&v2);
		see(&v2, &l, "p1", T0 + 40 * DAY, 60);
		see(&one, &alone, NULL, T0 + 40 * DAY, 60);
		report_bytes(&v2, &c);
		report_bytes(&one, &d);
		if (strcmp(buf_z(&c), buf_z(&d)))
			fail_msg("seed %llu: other projects' events change a project's figures", (unsigned long long)seed);
		unsee(&v);
		unsee(&v2);
		unsee(&one);
		log_fini(&l);
		log_fini(&mixed);
		log_fini(&alone);
	}
}

/* --- over HTTP --- */

static struct event_log *elog;
static const struct log *to_append;

static int append_all(struct db_tx *tx, void *arg UNUSED, struct err *reterr)
{
	int rc = 0;

	for (size_t i = 0; i < to_append->ev.n && !rc; i++) {
		const struct event *ev = &to_append->ev.v[i];

		rc = event_append(elog, tx, ev->project, event_type_find(ev->type), ev->actor, ev->data, NULL, reterr);
	}
	return rc;
}
static int authenticate(void *ctx UNUSED, str scheme UNUSED, str credentials, struct http_identity *ret, struct err *reterr UNUSED)
{
	*ret = (struct http_identity){ .name = "t", .scope = SCOPE_READ };
	if (!str_eqz(credentials, "all"))
		(void)snprintf(ret->project, sizeof(ret->project), "%.*s", STR_ARG(credentials));
	return 0;
}

/* completed deployments, or minus the status */
static int completed(const char *base, const char *token, const char *path)
{
	struct arena a  CLEANUP_ARENA = ARENA_INIT(8 << 20);
	struct buf body CLEANUP_BUF = BUF_INIT(8 << 20);
	struct http_call       call = HTTP_CALL_INIT;
	struct http_client    *c;
	struct doc_node       *d;
	const struct doc_node *rate;
	struct err             e = { 0 };

	assert_ok(http_client_new(base, token, &c, &e), &e);
	call.path = path;
	call.out = &body;
	assert_ok(http_call(c, &call, &e), &e);
	http_client_free(c);
	if (call.status != 200)
		return -call.status;
	assert_ok(doc_parse_json(&a, "answer", buf_str(&body), &d, &e), &e);
	assert_int_equal(doc_len(doc_get(d, "metrics")), INSIGHT_MAX);
	rate = doc_at(doc_get(d, "metrics"), INSIGHT_FAIL_RATE);
	assert_str(doc_get_str(rate, "name"), "change_fail_rate");
	assert_true(doc_get_str(rate, "definition").len > 50);
	assert_str(doc_get_str(rate, "definition_version"), INSIGHT_DEFINITION);
	assert_int_equal(doc_get(rate, "rows") != NULL, strstr(path, "rows=true") != NULL);
	if (doc_get(rate, "rows"))
		assert_int_equal(doc_len(doc_get(rate, "rows")), (int)doc_get_num(rate, "denominator", -1));
	return (int)doc_get_num(rate, "denominator", -1);
}

static void test_api(void **s UNUSED)
{
	struct log               l;
	char                     dir[256], url[300], keys[300], base[64];
	struct db               *db;
	struct insight          *in;
	struct http_server      *server;
	const struct http_route *routes;
	size_t                   n;
	struct err               e = { 0 };
	struct http_config       cfg = { .bind = "127.0.0.1", .loop_threads = 1, .worker_threads = 2, .connections_max = 50,
		                             .connections_per_ip_max = 50, .clock = &clock_real, .authenticate = authenticate };

	log_init(&l);
	story(&l);
	begin(&l, 1, T0, "x1", "s", "c");
	promote(&l, 1, T0, "x1");
	to_append = &l;
	assert_ok(fs_temp_dir("weir-test-insight", dir, sizeof(dir), &e), &e);
	(void)snprintf(url, sizeof(url), "sqlite:%s/weir.db", dir);
	(void)snprintf(keys, sizeof(keys), "%s/keys", dir);
	assert_ok(db_open(url, &db, &e), &e);
	assert_ok(event_log_open(db, keys, &clock_real, &elog, &e), &e);
	assert_ok(insight_open(elog, &clock_real, &in, &e), &e);
	assert_ok(http_server_new(&cfg, &server, &e), &e);
	routes = insight_routes(&n);
	assert_ok(http_server_routes(server, routes, n, in, &e), &e);
	assert_ok(http_server_start(server, &e), &e);
	(void)snprintf(base, sizeof(base), "http://127.0.0.1:%u", http_server_port(server));
	assert_int_equal(completed(base, "all", "/api/v1/insights"), 0);
	assert_ok(db_write(db, append_all, NULL, &e), &e);
	assert_int_equal(completed(base, "all", "/api/v1/insights?rows=true"), 4); /* the state follows the log */
	assert_int_equal(completed(base, "all", "/api/v1/insights?project=p0&days=7"), 3);
	assert_int_equal(completed(base, "p1", "/api/v1/insights"), 1);
	assert_int_equal(completed(base, "p1", "/api/v1/insights?project=p0"), -403);
	assert_int_equal(completed(base, "all", "/api/v1/insights?days=0"), -400);
	assert_int_equal(completed(base, "all", "/api/v1/insights?days=x"), -400);
	assert_int_equal(completed(base, "all", "/api/v1/insights?rows=1"), -400);
	http_server_stop(server, 100);
	insight_close(in);
	elog = event_log_close(elog);
	db_close(db);
	assert_ok(fs_remove_tree(dir, &e), &e);
	log_fini(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_story),                 cmocka_unit_test(test_service_days),
		cmocka_unit_test(test_only_production),       cmocka_unit_test(test_failed_attempts_count),
		cmocka_unit_test(test_never_above_one),       cmocka_unit_test(test_no_blame_by_nearness),
		cmocka_unit_test(test_window_keeps_attribution), cmocka_unit_test(test_rework_boundary),
		cmocka_unit_test(test_recovery),              cmocka_unit_test(test_lead_time_rules),
		cmocka_unit_test(test_properties),            cmocka_unit_test(test_api),
	};

	base_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
