/* report.c - the five figures from a state, with the rows behind them (see insight.h). Pure; any number of threads on a state that nobody
 * folds into meanwhile. */
#include "base/base.h"
#include "base/limits.h"
#include "insight/state.h"
#include "insight/stats.h"

#include <math.h>

#define USEC_PER_DAY  (86400 * USEC_PER_SEC)
#define REWORK_WITHIN USEC_PER_DAY

const struct insight_kind_info insight_kinds[INSIGHT_MAX] = {
	[INSIGHT_DEPLOYMENT_FREQUENCY] = {
	    "deployment_frequency", "Deployment frequency", "per service-day", "successful deployments", "service-days",
	    "Poisson, Byar's approximation",
	    "Successful deployments (promoted to all traffic and not rolled back) promoted in the window, divided by service-days: for each service the"
	    " UTC days of the window from the day of its first promotion on. A deployment of the very files that were live already is not counted." },
	[INSIGHT_LEAD_TIME] = {
	    "lead_time_for_changes", "Lead time for changes", "seconds", NULL, NULL, "order statistics of the median",
	    "Median over changes of the time from commit (committer time of the newest commit of an accepted push to the default branch) to the promotion"
	    " of the first successful deployment that contains it. A deployment contains the pushes between its commit and that of the successful"
	    " deployment of the service before it; the first deployment of a service contains all up to its commit. A change counts once per"
	    " service. Changes whose commit time lies behind the promotion (a wrong clock) are left out and counted as excluded." },
	[INSIGHT_FAIL_RATE] = {
	    "change_fail_rate", "Change fail rate", "ratio", "failed deployments", "completed deployments", "Wilson's score",
	    "Deployments that were rolled back, by the judge or by hand, whether during the canary, the bake or later, divided by all deployments that"
	    " completed in the window (promoted or rolled back, whichever came first). A deployment that a newer one superseded on its way"
	    " is neither. Always between 0 and 1." },
	[INSIGHT_RECOVERY_TIME] = {
	    "failed_deployment_recovery_time", "Failed deployment recovery time", "seconds", NULL, NULL, "Brookmeyer and Crowley",
	    "Kaplan-Meier median over failed deployments of the time from the first bad response (where none was recorded: from the begin of the"
	    " deployment) to the last one (where none: to the rollback). Deployments that wait because they look worse and are not over are"
	    " censored at the end of the window, not dropped. A rollback by hand after the bake without a recorded bad response has no known begin"
	    " of the failure: excluded. The mean is over the ended ones." },
	[INSIGHT_REWORK_RATE] = {
	    "deployment_rework_rate", "Deployment rework rate", "ratio", "rework deployments", "completed deployments", "Wilson's score",
	    "Completed deployments that follow a failure: the deployment of the same service that completed last before it began was rolled back, at"
	    " most 24 hours before it began. Divided by all deployments that completed in the window. A rollback itself is not a deployment." },
};

struct ctx {
	struct arena          *a;
	struct insight_report *r;
	const struct iproject *p;
	bool                   failed; /* out of the arena: arena_check() says it */
};

static void row_add(struct ctx *c, enum insight_kind kind, struct insight_row row)
{
	struct insight_metric *m = &c->r->metric[kind];

	if (m->n_rows == m->cap_rows) {
		size_t              cap = m->cap_rows ? 2 * m->cap_rows : 64;
		struct insight_row *v = ARENA_ARRAY(c->a, cap, struct insight_row);

		if (!v) {
			c->failed = true;
			return;
		}
		if (m->n_rows)
			memcpy(v, m->rows, m->n_rows * sizeof(*v));
		m->rows = v;
		m->cap_rows = cap;
	}
	m->rows[m->n_rows++] = row;
}

static struct insight_row row_of(const struct ctx *c, const struct ideploy *d, bool counts, const char *note)
{
	return (struct insight_row){ .project = c->p->name, .service = d->service, .release = d->id, .version = d->version,
		                         .change = STR(""), .from = d->started, .to = ideploy_ended(d), .counts = counts, .note = note };
}

static bool within(const struct insight_report *r, usec_t t) { return t >= r->from && t < r->to; }
static bool successful(const struct ideploy *d) { return d->promoted && !d->rolled_back; }

static const char *outcome(const struct ideploy *d)
{
	if (!d->rolled_back)
		return d->finished ? "promoted, bake ended" : "promoted";
	if (d->finished)
		return "rolled back after the bake";
	return d->promoted ? "rolled back in the bake" : "rolled back";
}

/* --- one service: its deployments in the order they began --- */

struct service {
	const struct ideploy **v;
	size_t                 n;
};

static void measure_attempts(struct ctx *c, const struct service *s)
{
	const struct ideploy *last = NULL; /* that completed before the present one began */

	for (size_t i = 0; i < s->n; i++) {
		const struct ideploy *d = s->v[i];
		bool                  rework;

		if (!ideploy_ended(d)) {
			c->r->under_way += within(c->r, d->started) && !d->superseded;
			c->r->superseded += within(c->r, d->started) && d->superseded;
			continue;
		}
		rework = last && last->rolled_back && last->rolled_back <= d->started && d->started - last->rolled_back <= REWORK_WITHIN;
		if (within(c->r, ideploy_ended(d))) {
			row_add(c, INSIGHT_FAIL_RATE, row_of(c, d, ideploy_failed(d), outcome(d)));
			row_add(c, INSIGHT_REWORK_RATE, row_of(c, d, rework, rework ? "follows a rolled-back one" : ""));
		}
		last = d;
	}
}

static void measure_frequency(struct ctx *c, const struct service *s)
{
	const struct ideploy *live = NULL;
	usec_t                born = 0;

	for (size_t i = 0; i < s->n; i++) {
		const struct ideploy *d = s->v[i];

		if (d->promoted && (!born || d->promoted < born))
			born = d->promoted;
		if (!successful(d))
			continue;
		if (within(c->r, d->promoted)) {
			bool same = live && str_eq(live->digest, d->digest);

			row_add(c, INSIGHT_DEPLOYMENT_FREQUENCY, row_of(c, d, !same, same ? "the same version again" : outcome(d)));
			c->r->metric[INSIGHT_DEPLOYMENT_FREQUENCY].excluded += same;
		}
		live = d;
	}
	if (born && born < c->r->to) {
		int64_t first = (born > c->r->from ? born : c->r->from) / USEC_PER_DAY, last = (c->r->to - 1) / USEC_PER_DAY;

		c->r->metric[INSIGHT_DEPLOYMENT_FREQUENCY].denominator += (double)(last - first + 1);
	}
}

static void measure_recovery(struct ctx *c, const struct service *s)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct ideploy *d = s->v[i];
		struct insight_row    row = row_of(c, d, true, outcome(d));

		row.from = d->first_bad ? d->first_bad : d->started;
		if (ideploy_failed(d) && within(c->r, d->rolled_back)) {
			row.to = d->last_bad ? d->last_bad : d->rolled_back;
			if (row.to < row.from)
				row.to = row.from;
			if (d->finished && !d->first_bad) {
				row.counts = false;
				row.note = "excluded: nobody knows since when it was bad";
				c->r->metric[INSIGHT_RECOVERY_TIME].excluded++;
			}
			row_add(c, INSIGHT_RECOVERY_TIME, row);
		} else if (!ideploy_ended(d) && !d->superseded && d->held_worse && d->started < c->r->to) {
			row.to = 0;
			row.counts = false;
			row.note = "not over: it looks worse and waits";
			c->r->metric[INSIGHT_RECOVERY_TIME].censored++;
			row_add(c, INSIGHT_RECOVERY_TIME, row);
		}
	}
}

/* The push that made `commit` the branch's head; NULL: none is known. */
static const struct ichange *change_of(const struct iproject *p, str commit)
{
	uintptr_t i = (uintptr_t)map_get(&p->by_commit, commit);

	return i ? &p->changes.v[i - 1] : NULL;
}

static void measure_lead(struct ctx *c, const struct service *s)
{
	bool *delivered = ARENA_ARRAY(c->a, c->p->changes.n + 1, bool);

	if (!delivered) {
		c->failed = true;
		return;
	}
	for (size_t i = 0; i < s->n; i++) { /* deployments of one service are promoted in the order they began */
		const struct ideploy *d = s->v[i];
		const struct ichange *ch;

		if (!successful(d))
			continue;
		for (ch = change_of(c->p, d->commit); ch && !delivered[ch - c->p->changes.v]; ch = change_of(c->p, ch->old_id)) {
			struct insight_row row = row_of(c, d, true, "");

			delivered[ch - c->p->changes.v] = true;
			if (!within(c->r, d->promoted))
				continue;
			row.change = ch->new_id;
			row.from = ch->committed;
			row.to = d->promoted;
			if (row.to < row.from) {
				row.counts = false;
				row.note = "excluded: committed after it was deployed";
				c->r->metric[INSIGHT_LEAD_TIME].excluded++;
			}
			row_add(c, INSIGHT_LEAD_TIME, row);
		}
	}
}

/* --- from rows to figures --- */

static void figure_rate(struct insight_metric *m)
{
	m->denominator = (double)m->n_rows;
	for (size_t i = 0; i < m->n_rows; i++)
		m->numerator += m->rows[i].counts;
	m->n = (int64_t)m->n_rows;
	if (!m->n)
		return;
	m->value = m->numerator / m->denominator;
	stats_wilson(m->numerator, m->denominator, &m->low, &m->high);
}

static void figure_frequency(struct insight_metric *m)
{
	for (size_t i = 0; i < m->n_rows; i++)
		m->numerator += m->rows[i].counts;
	m->n = (int64_t)m->numerator;
	if (m->denominator <= 0)
		return;
	m->value = m->numerator / m->denominator;
	stats_poisson(m->numerator, &m->low, &m->high);
	m->low /= m->denominator;
	m->high /= m->denominator;
}

static double seconds(const struct insight_row *row, usec_t end)
{
	return (double)((row->to ? row->to : end) - row->from) / (double)USEC_PER_SEC;
}

/* Spans of the rows that count, in the arena. */
static double *spans(struct ctx *c, const struct insight_metric *m, size_t *ret_n)
{
	double *v = ARENA_ARRAY(c->a, m->n_rows + 1, double);

	*ret_n = 0;
	if (!v) {
		c->failed = true;
		return NULL;
	}
	for (size_t i = 0; i < m->n_rows; i++)
		if (m->rows[i].counts)
			v[(*ret_n)++] = seconds(&m->rows[i], c->r->to);
	return v;
}

static void figure_lead(struct ctx *c, struct insight_metric *m)
{
	size_t  n;
	double *v = spans(c, m, &n);

	m->n = (int64_t)n;
	if (!v || !n)
		return;
	m->value = stats_quantile(v, n, 0.5);
	m->p90 = stats_quantile(v, n, 0.9);
	m->mean = stats_mean(v, n);
	(void)stats_median_interval(v, n, &m->low, &m->high);
}

static void figure_recovery(struct ctx *c, struct insight_metric *m)
{
	struct stats_span *v = ARENA_ARRAY(c->a, m->n_rows + 1, struct stats_span);
	size_t             n = 0, n_ended;
	double            *ended = spans(c, m, &n_ended);

	if (!v || !ended) {
		c->failed = true;
		return;
	}
	for (size_t i = 0; i < m->n_rows; i++)
		if (m->rows[i].counts || !m->rows[i].to)
			v[n++] = (struct stats_span){ seconds(&m->rows[i], c->r->to), m->rows[i].counts };
	m->n = (int64_t)n;
	if (!n)
		return;
	stats_kaplan_meier(v, n, &m->value, &m->low, &m->high);
	m->mean = stats_mean(ended, n_ended);
	if (n_ended)
		m->p90 = stats_quantile(ended, n_ended, 0.9);
}

/* --- all of it --- */

static int deploy_cmp(const void *a, const void *b)
{
	const struct ideploy *x = *(const struct ideploy *const *)a, *y = *(const struct ideploy *const *)b;
	int                   r = str_cmp(x->service, y->service);

	return r ? r : (x->seq > y->seq) - (x->seq < y->seq);
}

static void measure_project(struct ctx *c, const struct iproject *p)
{
	const struct ideploy **all = ARENA_ARRAY(c->a, p->deploys.n + 1, const struct ideploy *);
	size_t                 from = 0;

	c->p = p;
	if (!all) {
		c->failed = true;
		return;
	}
	for (size_t i = 0; i < p->deploys.n; i++)
		all[i] = &p->deploys.v[i];
	qsort(all, p->deploys.n, sizeof(*all), deploy_cmp);
	while (from < p->deploys.n) {
		struct service s = { .v = all + from };

		while (from + s.n < p->deploys.n && str_eq(all[from + s.n]->service, all[from]->service))
			s.n++;
		measure_attempts(c, &s);
		measure_frequency(c, &s);
		measure_recovery(c, &s);
		measure_lead(c, &s);
		from += s.n;
	}
}

static int project_cmp(const void *a, const void *b)
{
	return str_cmp((*(const struct iproject *const *)a)->name, (*(const struct iproject *const *)b)->name);
}

int insight_report(const struct insight_state *s, str project, usec_t to, int64_t days, struct arena *a, struct insight_report *ret,
                   struct err *reterr)
{
	struct ctx              c = { .a = a, .r = ret };
	const struct iproject **all = ARENA_ARRAY(a, map_count(&s->projects) + 1, const struct iproject *);
	size_t                  n = 0;

	if (days < 1 || days > LIMIT_INSIGHT_DAYS)
		return err_set(reterr, WEIR_EINVAL, "days: a number from 1 to %d", LIMIT_INSIGHT_DAYS);
	if (!all)
		return arena_check(a, "measurements", reterr);
	*ret = (struct insight_report){ .from = ((to - 1) / USEC_PER_DAY - (days - 1)) * USEC_PER_DAY, .to = to, .days = days };
	for (int k = 0; k < INSIGHT_MAX; k++) {
		struct insight_metric *m = &ret->metric[k];

		m->value = m->low = m->high = m->mean = m->p90 = NAN;
	}
	for (struct map_entry *e = map_next(&s->projects, NULL); e; e = map_next(&s->projects, e))
		if (!project.ptr || str_eq(((struct iproject *)e->value)->name, project))
			all[n++] = e->value;
	qsort(all, n, sizeof(*all), project_cmp);
	for (size_t i = 0; i < n; i++)
		measure_project(&c, all[i]);
	figure_frequency(&ret->metric[INSIGHT_DEPLOYMENT_FREQUENCY]);
	figure_lead(&c, &ret->metric[INSIGHT_LEAD_TIME]);
	figure_rate(&ret->metric[INSIGHT_FAIL_RATE]);
	figure_recovery(&c, &ret->metric[INSIGHT_RECOVERY_TIME]);
	figure_rate(&ret->metric[INSIGHT_REWORK_RATE]);
	for (int k = 0; k < INSIGHT_MAX; k++)
		ret->metric[k].too_few = ret->metric[k].n < LIMIT_INSIGHT_FEW;
	return c.failed ? err_set(reterr, WEIR_ELIMIT, "too many rows to measure at once: ask for fewer days or one project") : 0;
}
