/* insight.h - measurement: the five DORA metrics, from events alone.
 *
 * Two pure parts: insight_fold() takes events into a state (folding the same events again gives the same bytes, whatever other projects'
 * events came between), insight_report() answers from a state for a window of time. Every figure comes with its numerator,
 * denominator, interval, definition and the rows behind it, so that a reader can count it again.
 *
 * Words. Deployment: a release in the environment "production" that began (release.started). Completed: it was promoted to all traffic or
 * rolled back; one that a newer release superseded on its way is neither. Failed: it was rolled back, by the judge or by hand, at any
 * time. Successful: promoted, and not rolled back as far as the log goes. A release that is rolled back counts once. */
#ifndef WEIR_INSIGHT_INSIGHT_H
#define WEIR_INSIGHT_INSIGHT_H

#include "base/arena.h"
#include "base/base.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "doc/doc.h"
#include "event/event.h"
#include "net/http.h"

#define INSIGHT_DEFINITION "weir-dora-1" /* grows when a formula or a boundary rule changes */
#define INSIGHT_PRODUCTION "production" /* the environment whose releases are deployments */

/* --- folding: pure, one thread at a time --- */

struct insight_state;

MUST_CHECK int insight_state_new(struct insight_state **ret, struct err *reterr);
struct insight_state *insight_state_free(struct insight_state *s); /* NULL fine; returns NULL */
/* Takes one event in; of each project in order of seq. Types that do not matter and events that were folded already change nothing. */
MUST_CHECK int insight_fold(struct insight_state *s, const struct event *ev, struct err *reterr);
/* The whole state as JSON, sorted: equal states give equal bytes. */
void insight_state_write(const struct insight_state *s, struct jw *w);
/* Types that insight_fold() looks at. */
extern const enum event_type insight_types[];
extern const size_t          insight_n_types;

/* --- answering: pure --- */

enum insight_kind {
	INSIGHT_DEPLOYMENT_FREQUENCY,
	INSIGHT_LEAD_TIME,
	INSIGHT_FAIL_RATE,
	INSIGHT_RECOVERY_TIME,
	INSIGHT_REWORK_RATE,
	INSIGHT_MAX
};
struct insight_row { /* one thing that was counted; texts belong to the state */
	str    project, service, release, version;
	str    change;    /* lead time: the change's commit; else empty */
	usec_t from, to;  /* lead time: committed, promoted; recovery: first bad, recovered (0: not yet); else: started, ended */
	bool   counts;    /* in the numerator (rates, frequency) or with a known end (times) */
	const char *note; /* why: "rolled back", "the same version again", ...; static */
};
struct insight_metric {
	double  value; /* NAN: nothing to measure */
	int64_t n;     /* rows that were measured */
	double  numerator, denominator;
	double  low, high; /* 95 % interval; NAN: none */
	bool    too_few;   /* n below LIMIT_INSIGHT_FEW: read the value with care */
	double  mean, p90; /* times only, else NAN */
	int64_t censored;  /* recovery: still going on */
	int64_t excluded;  /* rows left out, see their notes */
	struct insight_row *rows; /* in the caller's arena */
	size_t  n_rows, cap_rows;
};
struct insight_report {
	usec_t  from, to;
	int64_t days;
	int64_t under_way, superseded; /* deployments begun in the window that are not completed */
	struct insight_metric metric[INSIGHT_MAX];
};
struct insight_kind_info {
	const char *name;       /* "change_fail_rate" */
	const char *title;      /* "Change fail rate" */
	const char *unit;       /* "ratio", "seconds", "per service-day" */
	const char *numerator, *denominator; /* what they count */
	const char *interval;   /* how the interval is made */
	const char *definition;
};
extern const struct insight_kind_info insight_kinds[INSIGHT_MAX];

/* project STR_NULL: all. The window is the `days` UTC days that end with the moment `to`. */
MUST_CHECK int insight_report(const struct insight_state *s, str project, usec_t to, int64_t days, struct arena *a,
                              struct insight_report *ret, struct err *reterr);
void insight_report_write(const struct insight_report *r, bool rows, struct jw *w);

/* --- the room: a state that follows the log --- */

struct insight;

MUST_CHECK int insight_open(struct event_log *log, const struct clock *clock, struct insight **ret, struct err *reterr);
struct insight *insight_close(struct insight *in); /* NULL fine; returns NULL */
/* Routes; ctx: the room. GET /api/v1/insights?project=&days=30&rows=true */
const struct http_route *insight_routes(size_t *ret_n);

#endif
