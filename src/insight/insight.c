/* insight.c - the room: a state in memory that follows the log, and its route.
 *
 * The state is folded from the first event on at the first question after a start, and from where it was at the next ones; it is
 * thrown away and folded again when something went wrong in the middle. A lock serialises folding and answering. Runs on
 * worker threads. */
#include "base/base.h"
#include "base/limits.h"
#include "insight/insight.h"

#include <pthread.h>

enum { DAYS_DEFAULT = 30, FOLD_BATCH = LIMIT_EVENT_READ };

struct insight {
	struct event_log     *log;
	const struct clock   *clock;
	pthread_mutex_t       lock;
	struct insight_state *state; /* NULL: to be folded from the start */
	int64_t               pos;
};

/* Folds one batch; *ret_more: there may be another. */
static int follow_batch(struct insight *in, bool *ret_more, struct err *reterr)
{
	struct arena a CLEANUP_ARENA = ARENA_INIT((size_t)FOLD_BATCH * (LIMIT_EVENT_BYTES + 1024));
	struct event_filter          f = { STR_NULL, insight_types, insight_n_types, EVENT_BY_POS, in->pos, FOLD_BATCH };
	struct event                *ev = NULL;
	size_t                       n = 0;
	int                          rc = event_select(in->log, &f, &a, &ev, &n, reterr);

	for (size_t i = 0; i < n && !rc; i++) {
		rc = insight_fold(in->state, &ev[i], reterr);
		in->pos = ev[i].pos;
	}
	*ret_more = n == FOLD_BATCH;
	return rc;
}

/* With the lock. */
static int follow(struct insight *in, struct err *reterr)
{
	bool more = true;
	int  rc = 0;

	if (!in->state) {
		in->pos = 0;
		rc = insight_state_new(&in->state, reterr);
	}
	while (!rc && more)
		rc = follow_batch(in, &more, reterr);
	if (rc)
		in->state = insight_state_free(in->state);
	return rc;
}

static int get_insights(struct http_req *r, void *ctx, struct err *reterr)
{
	struct insight             *in = ctx;
	const struct http_identity *who = http_who(r);
	str                         project = http_query(r, "project"), rows = http_query(r, "rows");
	struct insight_report       report;
	struct jw                   w;
	int64_t                     n_days = http_query_int(r, "days", DAYS_DEFAULT);
	int                         rc;

	if (who->project[0] && project.len && !str_eqz(project, who->project))
		return err_set(reterr, WEIR_EPERM, "this token is for project %s only", who->project);
	if (!project.len)
		project = who->project[0] ? str_z(who->project) : STR_NULL;
	pthread_mutex_lock(&in->lock);
	rc = follow(in, reterr);
	if (!rc)
		rc = insight_report(in->state, project, clock_wall(in->clock), n_days, http_arena(r), &report, reterr);
	if (!rc) { /* rows borrow the state's texts: written before the lock goes */
		http_json(r, &w);
		insight_report_write(&report, str_eqz(rows, "true"), &w);
	}
	pthread_mutex_unlock(&in->lock);
	return rc;
}

static const char *const             yes_no[] = { "true", "false", NULL };
static const struct http_query_param insight_query[] = {
	{ .name = "project", .doc = "of this project only" },
	{ .name = "days", .kind = QUERY_INT, .min = 1, .max = LIMIT_INSIGHT_DAYS, .doc = "length of the window that ends now; 30 when absent" },
	{ .name = "rows", .kind = QUERY_WORD, .words = yes_no, .doc = "true: with the rows behind the figures" },
	{ 0 },
};
static const struct http_route insight_route_table[] = {
	{ "GET", "/api/v1/insights", HTTP_WORKER, SCOPE_READ, 0, get_insights,
	  "The five DORA metrics of the last `days` (30), of one project or all, with definitions; rows=true: with the rows behind them", NULL,
	  "{\"type\":\"object\",\"required\":[\"from\",\"to\",\"days\",\"definition_version\",\"metrics\"]}", insight_query },
};

const struct http_route *insight_routes(size_t *ret_n)
{
	*ret_n = ARRAY_SIZE(insight_route_table);
	return insight_route_table;
}

int insight_open(struct event_log *log, const struct clock *clock, struct insight **ret, struct err *reterr)
{
	struct insight *in = calloc(1, sizeof(*in));

	if (!in)
		return err_set(reterr, WEIR_ENOMEM, "no memory for measurements");
	in->log = log;
	in->clock = clock;
	pthread_mutex_init(&in->lock, NULL);
	*ret = in;
	return 0;
}

struct insight *insight_close(struct insight *in)
{
	if (!in)
		return NULL;
	insight_state_free(in->state);
	pthread_mutex_destroy(&in->lock);
	free(in);
	return NULL;
}
