/* report-json.c - a report as the JSON that the API answers. Pure. */
#include "base/base.h"
#include "base/limits.h"
#include "insight/insight.h"

#include <math.h>

static void row_write(const struct insight_row *r, enum insight_kind kind, struct jw *w)
{
	bool time = kind == INSIGHT_LEAD_TIME || kind == INSIGHT_RECOVERY_TIME;

	jw_obj(w);
	jw_kstr(w, "project", r->project);
	jw_kstr(w, "service", r->service);
	jw_kstr(w, "release", r->release);
	jw_kstr(w, "version", r->version);
	if (kind == INSIGHT_LEAD_TIME)
		jw_kstr(w, "change", r->change);
	jw_ktime(w, kind == INSIGHT_LEAD_TIME ? "committed" : kind == INSIGHT_RECOVERY_TIME ? "first_bad" : "started", r->from);
	jw_ktime(w, kind == INSIGHT_LEAD_TIME ? "promoted" : kind == INSIGHT_RECOVERY_TIME ? "recovered" : "ended", r->to);
	if (time && r->to)
		jw_knum(w, "seconds", (double)(r->to - r->from) / (double)USEC_PER_SEC);
	jw_kbool(w, "counts", r->counts);
	jw_kstrz(w, "note", r->note);
	jw_end(w);
}

static void interval_write(const struct insight_kind_info *k, const struct insight_metric *m, struct jw *w)
{
	jw_key(w, "interval");
	if (isnan(m->low) && isnan(m->high)) {
		jw_null(w);
		return;
	}
	jw_obj(w);
	jw_knum(w, "low", m->low);
	jw_knum(w, "high", m->high); /* null: beyond what was seen */
	jw_knum(w, "level", 0.95);
	jw_kstrz(w, "method", k->interval);
	jw_end(w);
}

static void metric_write(enum insight_kind kind, const struct insight_metric *m, bool rows, struct jw *w)
{
	const struct insight_kind_info *k = &insight_kinds[kind];

	jw_obj(w);
	jw_kstrz(w, "name", k->name);
	jw_kstrz(w, "title", k->title);
	jw_kstrz(w, "measured", "from events"); /* never an asked figure */
	jw_knum(w, "value", m->value);
	jw_kstrz(w, "unit", k->unit);
	jw_kint(w, "n", m->n);
	jw_kbool(w, "too_few", m->too_few);
	if (k->numerator) {
		jw_knum(w, "numerator", m->numerator);
		jw_kstrz(w, "numerator_is", k->numerator);
		jw_knum(w, "denominator", m->denominator);
		jw_kstrz(w, "denominator_is", k->denominator);
	} else {
		jw_knum(w, "mean", m->mean);
		jw_knum(w, "p90", m->p90);
	}
	if (kind == INSIGHT_RECOVERY_TIME)
		jw_kint(w, "not_over", m->censored);
	jw_kint(w, "excluded", m->excluded);
	interval_write(k, m, w);
	jw_kstrz(w, "definition", k->definition);
	jw_kstrz(w, "definition_version", INSIGHT_DEFINITION);
	if (rows) {
		jw_key(w, "rows");
		jw_arr(w);
		for (size_t i = 0; i < m->n_rows; i++)
			row_write(&m->rows[i], kind, w);
		jw_end(w);
	}
	jw_end(w);
}

void insight_report_write(const struct insight_report *r, bool rows, struct jw *w)
{
	jw_obj(w);
	jw_ktime(w, "from", r->from);
	jw_ktime(w, "to", r->to);
	jw_kint(w, "days", r->days);
	jw_kstrz(w, "environment", INSIGHT_PRODUCTION);
	jw_kstrz(w, "definition_version", INSIGHT_DEFINITION);
	jw_kint(w, "few", LIMIT_INSIGHT_FEW);
	jw_kint(w, "under_way", r->under_way);
	jw_kint(w, "superseded", r->superseded);
	jw_key(w, "metrics");
	jw_arr(w);
	for (int k = 0; k < INSIGHT_MAX; k++)
		metric_write((enum insight_kind)k, &r->metric[k], rows, w);
	jw_end(w);
	jw_end(w);
}
