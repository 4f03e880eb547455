/* local.c - the local queue of `weir run` (see local.h).
 *
 * Guarantees: a job starts when all it needs has ended and plan_decide() says so; at most jobs_max run; every process that was started has
 * ended when local_run() returns. */
#include "base/base.h"
#include "base/fs.h"
#include "base/map.h"
#include "base/vec.h"
#include "pipeline/local-internal.h"
#include "pipeline/sandbox.h"

#include <unistd.h>

/* Outputs of a matrix: the later job's value wins where it is not empty, as at GitHub. */
static void group_outputs(struct local *l, size_t gi)
{
	struct local_group *g = &l->groups[gi];
	struct map          all = MAP_INIT;
	VEC(struct expr_pair) pairs = VEC_INIT;

	for (size_t i = 0; i < g->n_jobs; i++) {
		const struct doc_node *o = g->jobs[i].outputs;

		for (size_t k = 0; k < doc_len(o); k++)
			if (o->map.pairs[k].value->text.len || !map_has(&all, o->map.pairs[k].key))
				if (!map_put(&all, o->map.pairs[k].key, o->map.pairs[k].value, NULL))
					break;
	}
	for (struct map_entry *e = map_next(&all, NULL); e; e = map_next(&all, e)) {
		const struct doc_node *v = e->value;

		if (!VEC_PUSH(&pairs, ((struct expr_pair){ arena_str(l->arena, str_n(e->key, e->key_len)), expr_string(l->arena, v->text) })))
			break;
	}
	l->state[gi].outputs = expr_object(l->arena, pairs.v, pairs.n);
	VEC_FINI(&pairs);
	map_fini(&all);
}

static enum plan_result result_of(enum job_state s)
{
	return s == JOB_SUCCESS ? RESULT_SUCCESS : s == JOB_CANCELLED ? RESULT_CANCELLED : RESULT_FAILURE;
}

static int end_group(struct local *l, size_t gi, struct err *reterr)
{
	struct local_group *g = &l->groups[gi];
	enum plan_result   *results = ARENA_ARRAY(l->arena, g->n_jobs + 1, enum plan_result);
	bool               *soft = ARENA_ARRAY(l->arena, g->n_jobs + 1, bool);

	if (!results || !soft)
		return arena_check(l->arena, "results", reterr);
	for (size_t i = 0; i < g->n_jobs; i++) {
		results[i] = g->jobs[i].ended ? result_of(g->jobs[i].result.state) : RESULT_CANCELLED;
		soft[i] = g->jobs[i].plan->continue_on_error;
	}
	g->over = true;
	g->result = l->state[gi].result = plan_group_result(results, soft, g->n_jobs);
	group_outputs(l, gi);
	return 0;
}

/* --- scheduling --- */

static bool stopped_matrix(const struct local *l, size_t gi)
{
	const struct local_group *g = &l->groups[gi];

	for (size_t i = 0; i < g->n_jobs; i++)
		if (g->jobs[i].ended && g->jobs[i].result.state == JOB_FAILURE && !g->jobs[i].plan->continue_on_error && g->plan.fail_fast)
			return true;
	return l->cancelled;
}

static void drop(struct local *l, struct local_job *lj, const char *cause)
{
	lj->dropped = true;
	l->groups[lj->plan->group].n_ended++;
	if (cause && l->cfg->group_skipped)
		l->cfg->group_skipped(l->cfg->ctx, lj->plan->name, str_z(cause));
}

static bool waits(const struct local_job *lj) { return lj->arrival && !lj->running && !lj->ended && !lj->dropped; }

/* The next job that holds or wants the group of lj, after `from` (NULL: the first). */
static struct local_job *next_member(struct local *l, const struct local_job *lj, const struct local_job *from)
{
	bool past = !from;

	for (size_t gi = 0; gi < l->plan->n_groups; gi++)
		for (size_t i = 0; i < l->groups[gi].n_jobs; i++) {
			struct local_job *m = &l->groups[gi].jobs[i];

			if (past && m != lj && (m->running || waits(m)) && str_eq_nocase(m->plan->concurrency.group, lj->plan->concurrency.group))
				return m;
			past = past || m == from;
		}
	return NULL;
}

/* A job comes to its concurrency group: the same rules as on the server (concurrency.c). */
static void arrive(struct local *l, struct local_job *lj)
{
	const struct plan_concurrency *c = &lj->plan->concurrency;

	if (str_eq_nocase(c->group, l->plan->concurrency.group)) {
		drop(l, lj, "concurrency: the run holds the group itself, so this job would wait for ever");
		return;
	}
	lj->arrival = ++l->arrivals;
	for (struct local_job *m = next_member(l, lj, NULL); m; m = next_member(l, lj, m)) {
		if (m->running && c->cancel)
			job_cancel(m->job, "concurrency: cancel-in-progress by a later job of the group");
		else if (!m->running && !c->queue_max)
			drop(l, m, "concurrency: superseded by a later job of the group");
	}
}

/* Nobody holds its group, and nobody waits longer for it. */
static bool may_enter(struct local *l, const struct local_job *lj)
{
	for (struct local_job *m = next_member(l, lj, NULL); m; m = next_member(l, lj, m))
		if (m->running || m->arrival < lj->arrival)
			return false;
	return true;
}

/* Starts a job, or lets it wait. */
static int try_job(struct local *l, struct local_job *lj, struct err *reterr)
{
	bool grouped = lj->plan->concurrency.group.len > 0;

	if (grouped && !lj->arrival)
		arrive(l, lj);
	if (lj->dropped || l->running >= l->max || (grouped && !may_enter(l, lj)))
		return 0;
	return local_job_start(l, lj, reterr);
}

static int start_group(struct local *l, size_t gi, struct err *reterr)
{
	struct local_group *g = &l->groups[gi];
	int64_t             busy = 0;
	int                 r = 0;

	for (size_t i = 0; i < g->n_jobs; i++)
		busy += g->jobs[i].running || waits(&g->jobs[i]);
	for (size_t i = 0; !r && i < g->n_jobs; i++) {
		struct local_job *lj = &g->jobs[i];

		if (lj->running || lj->ended || lj->dropped)
			continue;
		if (stopped_matrix(l, gi)) {
			drop(l, lj, NULL);
			continue;
		}
		if (!lj->arrival && g->plan.max_parallel && busy >= g->plan.max_parallel)
			break;
		busy += !lj->arrival;
		r = try_job(l, lj, reterr);
	}
	return r || g->n_ended < g->n_jobs || g->over ? r : end_group(l, gi, reterr);
}

static int expand(struct local *l, size_t gi, struct err *reterr)
{
	struct local_group *g = &l->groups[gi];
	int                 r = plan_expand(l->arena, l->plan, gi, l->state, &g->plan, reterr);
	size_t              n = g->plan.n_jobs;

	if (r)
		return r;
	g->jobs = ARENA_ARRAY(l->arena, n + 1, struct local_job);
	if (!g->jobs)
		return arena_check(l->arena, "jobs", reterr);
	for (size_t i = 0; i < n; i++)
		g->jobs[i] = (struct local_job){ .l = l, .plan = &g->plan.jobs[i] };
	g->n_jobs = n;
	g->expanded = true;
	return 0;
}

static int decide(struct local *l, size_t gi, struct err *reterr)
{
	struct local_group *g = &l->groups[gi];
	enum plan_call      call;
	str                 cause = STR_NULL;
	int                 r = plan_decide(l->arena, l->plan, gi, l->state, l->cancelled, &call, &cause, reterr);

	if (r || call == PLAN_WAIT)
		return r;
	if (call == PLAN_SKIP) {
		g->over = true;
		g->result = l->state[gi].result = l->cancelled ? RESULT_CANCELLED : RESULT_SKIPPED;
		if (l->cfg->group_skipped)
			l->cfg->group_skipped(l->cfg->ctx, l->plan->groups[gi].id, cause);
		return 0;
	}
	return expand(l, gi, reterr);
}

/* One turn over all groups. *ret_over: nothing is left to do. */
static int turn(struct local *l, bool *ret_over, struct err *reterr)
{
	int r = 0;

	*ret_over = true;
	for (size_t k = 0; !r && k < l->plan->n_groups; k++) {
		size_t              gi = l->plan->order[k];
		struct local_group *g = &l->groups[gi];

		if (!g->wanted || g->over)
			continue;
		if (!g->expanded)
			r = decide(l, gi, reterr);
		if (!r && g->expanded && !g->over)
			r = start_group(l, gi, reterr);
		*ret_over &= g->over;
	}
	return r;
}

static int collect(struct local *l, struct err *reterr)
{
	int r = 0;

	for (size_t gi = 0; !r && gi < l->plan->n_groups; gi++)
		for (size_t i = 0; !r && i < l->groups[gi].n_jobs; i++) {
			struct local_job *lj = &l->groups[gi].jobs[i];
			bool              done;

			if (!lj->running)
				continue;
			pthread_mutex_lock(&l->lock);
			done = lj->done;
			pthread_mutex_unlock(&l->lock);
			r = done ? local_job_end(l, lj, reterr) : local_job_show(l, lj, reterr);
		}
	return r;
}

static void cancel_all(struct local *l, const char *why)
{
	l->cancelled = true;
	for (size_t gi = 0; gi < l->plan->n_groups; gi++)
		for (size_t i = 0; i < l->groups[gi].n_jobs; i++)
			if (l->groups[gi].jobs[i].running)
				job_cancel(l->groups[gi].jobs[i].job, why);
}

static void wait_change(struct local *l, uint64_t seen)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_nsec += 100000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&l->lock);
	while (l->changes == seen)
		if (pthread_cond_timedwait(&l->cond, &l->lock, &t))
			break;
	pthread_mutex_unlock(&l->lock);
}

static int loop(struct local *l, struct err *reterr)
{
	bool over = false;
	int  r = 0;

	while (!r && !over) {
		uint64_t seen;

		pthread_mutex_lock(&l->lock);
		seen = l->changes;
		pthread_mutex_unlock(&l->lock);
		r = collect(l, reterr);
		if (!r)
			r = turn(l, &over, reterr);
		if (!r && !l->cancelled && l->cfg->stop && l->cfg->stop(l->cfg->ctx))
			cancel_all(l, "interrupted");
		if (!r && !over && seen == l->changes)
			wait_change(l, seen);
	}
	while (l->running) { /* an error: what still runs is stopped before we go */
		struct err ignored;

		cancel_all(l, "weir run failed");
		clock_sleep_ms(20);
		if (collect(l, &ignored))
			continue;
	}
	return r;
}

static int want(struct local *l, str id, struct err *reterr)
{
	for (size_t gi = 0; gi < l->plan->n_groups; gi++) {
		const struct plan_group *g = &l->plan->groups[gi];

		if (!str_eq(g->id, id))
			continue;
		if (l->groups[gi].wanted)
			return 0;
		l->groups[gi].wanted = true;
		for (size_t k = 0; k < g->n_needs; k++) {
			int r = want(l, l->plan->groups[g->needs[k]].id, reterr);

			if (r)
				return r;
		}
		return 0;
	}
	return err_set(reterr, WEIR_ENOENT, "the workflow has no job '%.*s'", STR_ARG(id));
}

static int make_etc(struct local *l, struct err *reterr)
{
	char base[1100];
	int  r = fs_join(base, sizeof(base), reterr, l->cfg->dir, "etc");

	return r ? r : sandbox_etc(l->cfg->etc ? l->cfg->etc : base, l->etc, sizeof(l->etc), reterr);
}

static enum plan_result overall(const struct local *l)
{
	enum plan_result all = RESULT_SKIPPED;

	for (size_t gi = 0; gi < l->plan->n_groups; gi++) {
		enum plan_result r = l->groups[gi].result;

		if (r == RESULT_FAILURE || (r == RESULT_CANCELLED && all != RESULT_FAILURE) || (r == RESULT_SUCCESS && all == RESULT_SKIPPED))
			all = r;
	}
	return all;
}

/* The loop, with the thread that removes folders beside it. The first error is the one that counts. */
static int run_jobs(struct local *l, struct err *reterr)
{
	struct err e = { 0 };
	int        r = local_remover_start(l, reterr), rr;

	if (r)
		return r;
	r = loop(l, reterr);
	rr = local_remover_end(l, &e);
	if (rr && !r && reterr)
		*reterr = e;
	return r ? r : rr;
}

static int prepare(struct local *l, struct err *reterr)
{
	int r = l->cfg->only ? want(l, str_z(l->cfg->only), reterr) : 0;

	for (size_t i = 0; !l->cfg->only && i < l->plan->n_groups; i++)
		l->groups[i].wanted = true;
	if (!r)
		r = fs_mkdirs(l->cfg->dir, 0700, reterr);
	fs_spread(l->cfg->dir);
	if (!r)
		r = make_etc(l, reterr);
	return r ? r : guard_starter_new(&l->starter, reterr);
}

int local_run(struct arena *a, const struct plan *p, const struct local_config *cfg, enum plan_result *ret, struct err *reterr)
{
	long         cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct local l = { .cfg = cfg, .plan = p, .arena = a, .max = cfg->jobs_max ? cfg->jobs_max : (cpus > 0 ? (unsigned)cpus : 1) + 2 };
	int          r;

	*ret = RESULT_SKIPPED;
	if (!p->runs)
		return 0;
	if (l.max > 60)
		l.max = 60;
	l.groups = ARENA_ARRAY(a, p->n_groups + 1, struct local_group);
	l.state = ARENA_ARRAY(a, p->n_groups + 1, struct plan_state);
	if (!l.groups || !l.state)
		return arena_check(a, "plan", reterr);
	pthread_mutex_init(&l.lock, NULL);
	pthread_cond_init(&l.cond, NULL);
	pthread_cond_init(&l.to_remove, NULL);
	r = prepare(&l, reterr);
	if (!r)
		r = run_jobs(&l, reterr);
	guard_starter_free(l.starter);
	*ret = overall(&l);
	pthread_cond_destroy(&l.to_remove);
	pthread_cond_destroy(&l.cond);
	pthread_mutex_destroy(&l.lock);
	return r;
}
