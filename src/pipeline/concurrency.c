/* concurrency.c - concurrency groups: of all runs and jobs of a project that name a group, one holds it at a time.
 *
 * Runs and jobs share the names, as at GitHub; upper and lower case are the same. Whoever comes waits first; at the end of the turn
 * concurrency_settle() looks at what came and went, in that order: the one that came takes the place of one that waits (unless `queue: max`),
 * stops the one that holds (`cancel-in-progress`), and the oldest that waits gets a group that nobody holds. It looks at the rows only then, so that no
 * run that a caller still has in memory is changed behind its back. Inside the caller's transaction, on its thread. */
#include "base/base.h"

#include "base/limits.h"
#include "pipeline/run-internal.h"

enum { FLAG_CANCEL = 1, FLAG_MAX = 2, WAITING_MAX = 100 };

struct concurrency_news {
	struct concurrency_news *next;
	str                      project, group;
	str                      who; /* id of the run or job that came; empty: somebody left */
};
struct member {
	str       id, run, name; /* name: of a job; empty for a run */
	int64_t   number, flags;
	bool      waits;
	usec_t    since;
};

int64_t concurrency_flags(const struct plan_concurrency *c)
{
	return (c->cancel ? FLAG_CANCEL : 0) | (c->queue_max ? FLAG_MAX : 0);
}

static void add_news(struct turn *t, str project, str group, str who)
{
	struct concurrency_news *n = ARENA_NEW(t->a, struct concurrency_news), **end = &t->news;

	if (!n)
		return; /* the arena remembers; concurrency_settle() fails the turn */
	/* copies: it is looked at when the caller's own are gone */
	*n = (struct concurrency_news){ NULL, arena_str(t->a, project), arena_str(t->a, group), arena_str(t->a, who) };
	while (*end)
		end = &(*end)->next;
	*end = n;
}

/* Those of one turn come one after the other. */
static usec_t arrival_time(struct turn *t)
{
	return t->now + t->arrivals++;
}

void concurrency_join_run(struct turn *t, struct run *r)
{
	r->state = RUN_WAITING;
	r->wanted = arrival_time(t);
	r->cause = str_z(arena_printf(t->a, "concurrency: waits for group '%.*s'", STR_ARG(r->concurrency)));
	add_news(t, r->project, r->concurrency, r->id);
}

int concurrency_join_job(struct turn *t, struct run *r, struct job_row *j, struct err *reterr)
{
	if (str_eq_nocase(j->concurrency, r->concurrency)) /* it would wait for the run, and the run for it */
		return job_end(t, r, j, RESULT_CANCELLED,
		               str_z(arena_printf(t->a, "concurrency: the run holds group '%.*s' itself, so this job would wait for ever", STR_ARG(j->concurrency))),
		               reterr);
	j->wanted = arrival_time(t);
	j->cause = str_z(arena_printf(t->a, "concurrency: waits for group '%.*s'", STR_ARG(j->concurrency)));
	add_news(t, r->project, j->concurrency, j->id);
	return job_save(t, r, j, reterr);
}

void concurrency_leave(struct turn *t, str project, str group)
{
	add_news(t, project, group, STR(""));
}

/* --- members --- */

struct members {
	struct member v[4 * WAITING_MAX];
	size_t        n;
};

static int load_members(struct turn *t, const struct concurrency_news *news, struct members *m, struct err *reterr)
{
	CLEANUP_ROWS struct db_rows *rows = NULL;
	int rc = db_query(t->tx, reterr, &rows,
	                  "SELECT id, id, '', number, concurrency_flags, CASE WHEN state = 0 THEN 1 ELSE 0 END, wanted_at FROM pl_run"
	                  " WHERE project = $1 AND lower(concurrency) = lower($2) AND state < 3"
	                  " UNION ALL SELECT j.id, j.run, j.name, r.number, j.concurrency_flags, CASE WHEN j.state = 0 THEN 1 ELSE 0 END, j.wanted_at"
	                  " FROM pl_job j JOIN pl_run r ON r.id = j.run WHERE r.project = $1 AND lower(j.concurrency) = lower($2) AND j.superseded = 0"
	                  " AND j.state < 3 AND j.wanted_at > 0 ORDER BY 7, 1", "ss", news->project, news->group);

	m->n = 0;
	while (rc == 0 && m->n < ARRAY_SIZE(m->v) && (rc = db_next(rows, reterr)) == 1) {
		m->v[m->n++] = (struct member){ .id = arena_str(t->a, db_str(rows, 0)), .run = arena_str(t->a, db_str(rows, 1)),
			                            .name = arena_str(t->a, db_str(rows, 2)), .number = db_int(rows, 3), .flags = db_int(rows, 4),
			                            .waits = db_int(rows, 5) != 0, .since = db_int(rows, 6) };
		rc = 0;
	}
	return rc;
}

static const char *member_name(struct turn *t, const struct member *m)
{
	return m->name.len ? arena_printf(t->a, "job '%.*s' of run %lld", STR_ARG(m->name), (long long)m->number)
	                   : arena_printf(t->a, "run %lld", (long long)m->number);
}

/* The run of a member, and its job when it is one. 1: cannot be loaded any more and was ended, or is gone. */
static int load_member(struct turn *t, const struct member *m, struct run **r, struct job_row **j, struct err *reterr)
{
	*j = NULL;
	if (m->name.len)
		return run_load_or_give_up(t, m->id, r, j, reterr);
	return run_load_alone_or_give_up(t, m->run, r, reterr);
}

static int stop_member(struct turn *t, const struct member *m, str cause, struct err *reterr)
{
	struct run     *r;
	struct job_row *j;
	int             rc = load_member(t, m, &r, &j, reterr);

	if (rc)
		return rc == 1 ? 0 : rc;
	if (!j)
		return run_cancel(t, r, cause, reterr);
	rc = job_stop(t, r, j, cause, reterr);
	return rc ? rc : run_advance(t, r, reterr);
}

static int start_member(struct turn *t, const struct member *m, struct err *reterr)
{
	struct run     *r;
	struct job_row *j;
	int             rc = load_member(t, m, &r, &j, reterr);

	if (rc)
		return rc == 1 ? 0 : rc;
	if (j)
		return j->state == JOB_BLOCKED ? job_queue(t, r, j, reterr) : 0;
	if (r->state != RUN_WAITING)
		return 0;
	r->state = RUN_QUEUED;
	r->cause = STR("");
	rc = run_save(t, r, reterr);
	return rc ? rc : run_advance(t, r, reterr);
}

/* --- settling --- */

/* Who came: what was there before it loses its place, or it loses its own. */
static int settle_arrival(struct turn *t, const struct concurrency_news *news, const struct members *all, struct err *reterr)
{
	const struct member *me = NULL;
	size_t               waiting = 0;
	int                  rc = 0;

	for (size_t i = 0; i < all->n; i++)
		if (str_eq(all->v[i].id, news->who))
			me = &all->v[i];
	for (size_t i = 0; me && rc == 0 && i < all->n; i++) {
		const struct member *m = &all->v[i];
		bool                 gives_way = m->waits ? !(me->flags & FLAG_MAX) : me->flags & FLAG_CANCEL;

		if (m == me || m->since > me->since)
			continue;
		waiting += m->waits;
		if (gives_way)
			rc = stop_member(t, m, str_z(arena_printf(t->a, "concurrency: %s by %s of group '%.*s'", m->waits ? "superseded" : "cancel-in-progress",
			                                          member_name(t, me), STR_ARG(news->group))), reterr);
	}
	if (rc == 0 && me && waiting >= WAITING_MAX && (me->flags & FLAG_MAX))
		rc = stop_member(t, me, str_z(arena_printf(t->a, "limit: %d wait for group '%.*s' already", WAITING_MAX, STR_ARG(news->group))), reterr);
	return rc;
}

static int settle_one(struct turn *t, const struct concurrency_news *news, struct err *reterr)
{
	struct members *m = ARENA_NEW(t->a, struct members);
	int             rc = m ? load_members(t, news, m, reterr) : arena_check(t->a, "concurrency", reterr);

	if (rc == 0 && news->who.len) {
		rc = settle_arrival(t, news, m, reterr);
		if (rc == 0)
			rc = load_members(t, news, m, reterr);
	}
	for (size_t i = 0; rc == 0 && i < m->n; i++)
		if (!m->v[i].waits)
			return 0; /* held */
	return rc || m->n == 0 ? rc : start_member(t, &m->v[0], reterr);
}

int concurrency_settle(struct turn *t, struct err *reterr)
{
	int rc = t->a->failed ? arena_check(t->a, "concurrency", reterr) : 0;

	while (rc == 0 && t->news) {
		const struct concurrency_news *n = t->news;

		t->news = n->next;
		rc = settle_one(t, n, reterr);
	}
	return rc;
}
