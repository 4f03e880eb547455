/* event-api.c - routes of the log (see event-api.h).
 *
 *  GET /api/v1/events          in the order of positions: ?project=&type=a,b&after=POS&limit=N&format=cdevents
 *  GET /api/v1/events/newest   newest first: ?project=&type=&before=POS&limit=N&format=cdevents
 *  GET /events                 the same as a stream of server-sent events; id = position, goes on at Last-Event-ID
 * A token that is bound to a project sees that project only. Handlers run on worker threads, the stream's pull on loop threads
 * (database reads only; on PostgreSQL also the numbering of new events). */
#include "base/base.h"
#include "base/limits.h"
#include "event/event-api.h"
#include "event/log.h"
#include "net/sse.h"

enum { LIMIT_DEFAULT = 100, STREAM_BATCH = 50, STREAM_BYTES = 256 << 10, CLIENTS_MAX = 1000 };

struct event_api {
	struct event_log *log;
	const char       *source;
	struct sse_hub   *hub;
};

/* What was asked for, checked. */
struct wish {
	str             project; /* STR_NULL: all; "" for what belongs to none */
	enum event_type types[EVENT_TYPE_MAX];
	size_t          n_types;
	int64_t         from;
	size_t          limit;
	bool            cdevents;
};

/* --- reading the query --- */

static int wish_types(str list, struct wish *w, struct err *reterr)
{
	const char *names[EVENT_TYPE_MAX] = { NULL };

	for (int t = EVENT_NONE + 1; t < EVENT_TYPE_MAX; t++)
		names[t - 1] = event_type_name((enum event_type)t);
	while (list.len) {
		str             name;
		enum event_type t;
		const char     *near;

		(void)str_cut(list, ',', &name, &list);
		t = event_type_find(name);
		if (t == EVENT_NONE) {
			near = doc_nearest(name, names);
			return err_set(reterr, WEIR_EINVAL, "type: there is no event type '%.*s'%s%s%s", STR_ARG(name), near ? " (did you mean '" : "",
			               near ? near : "", near ? "'?)" : "");
		}
		if (w->n_types == ARRAY_SIZE(w->types))
			return err_set(reterr, WEIR_ELIMIT, "type: more types than there are");
		w->types[w->n_types++] = t;
	}
	return 0;
}

static int wish_project(struct http_req *r, struct wish *w, struct err *reterr)
{
	const struct http_identity *who = http_who(r);
	str                         asked = http_query(r, "project");

	if (who->project[0] && asked.len && !str_eqz(asked, who->project))
		return err_set(reterr, WEIR_EPERM, "this token is for project %s only", who->project);
	w->project = who->project[0] ? str_z(who->project) : asked.len ? asked : STR_NULL;
	if (str_eqz(w->project, "-"))
		w->project = STR("");
	return 0;
}

static int wish_read(struct http_req *r, struct wish *w, struct err *reterr)
{
	int rc = wish_project(r, w, reterr);

	if (!rc)
		rc = wish_types(http_query(r, "type"), w, reterr);
	w->cdevents = str_eqz(http_query(r, "format"), "cdevents");
	return rc;
}

/* --- lists --- */

static void list_write(struct http_req *r, const struct event_api *api, const struct wish *w, const struct event *ev, size_t n)
{
	struct jw out;

	http_json(r, &out);
	jw_obj(&out);
	jw_key(&out, "events");
	jw_arr(&out);
	for (size_t i = 0; i < n; i++)
		if (!w->cdevents)
			event_write_json(&ev[i], &out);
		else
			(void)event_write_cdevent(&ev[i], str_z(api->source), &out); /* types without a CDEvents form are left out */
	jw_end(&out);
	/* where the next page goes on; null at the end */
	jw_key(&out, "next");
	if (n == w->limit && n)
		jw_int(&out, ev[n - 1].pos);
	else
		jw_null(&out);
	jw_end(&out);
}

static int list(struct http_req *r, struct event_api *api, enum event_order order, const char *from, struct err *reterr)
{
	struct wish         w = { 0 };
	struct event_filter f;
	struct event       *ev = NULL;
	size_t              n = 0;
	int                 rc = wish_read(r, &w, reterr);

	if (rc)
		return rc;
	w.from = http_query_int(r, from, 0);
	w.limit = (size_t)http_query_int(r, "limit", LIMIT_DEFAULT);
	f = (struct event_filter){ w.project, w.types, w.n_types, order, w.from, w.limit };
	rc = event_select(api->log, &f, http_arena(r), &ev, &n, reterr);
	if (!rc)
		list_write(r, api, &w, ev, n);
	return rc;
}

static int get_events(struct http_req *r, void *ctx, struct err *reterr) { return list(r, ctx, EVENT_BY_POS, "after", reterr); }
static int get_newest(struct http_req *r, void *ctx, struct err *reterr) { return list(r, ctx, EVENT_NEWEST, "before", reterr); }

/* --- the stream --- */

enum { PARAM_PROJECT, PARAM_TYPES, PARAM_FORMAT, PARAM_ALL }; /* of a client; PARAM_ALL "1": not one project only */

static int get_stream(struct http_req *r, void *ctx, struct err *reterr)
{
	struct event_api *api = ctx;
	struct wish       w = { 0 };
	int               rc = wish_read(r, &w, reterr);
	str               params[4] = { [PARAM_PROJECT] = w.project.ptr ? w.project : STR(""),
		                        [PARAM_TYPES] = http_query(r, "type"),
		                        [PARAM_FORMAT] = http_query(r, "format"),
		                        [PARAM_ALL] = w.project.ptr ? STR("") : STR("1") };

	return rc ? rc : sse_attach(r, api->hub, params, ARRAY_SIZE(params), reterr);
}

static void stream_message(const struct event_api *api, const struct event *ev, bool cdevents, struct buf *out)
{
	struct buf text CLEANUP_BUF = BUF_INIT(4 * LIMIT_EVENT_BYTES);
	struct jw       w;

	jw_init(&w, &text);
	if (!cdevents)
		event_write_json(ev, &w);
	else if (!event_write_cdevent(ev, str_z(api->source), &w))
		return;
	sse_message(out, ev->pos, event_type_name(event_type_find(ev->type)), buf_str(&text));
}

/* Position of the newest event of all, so that a filter that finds nothing does not search the same stretch again. */
static int stream_newest(struct event_api *api, int64_t *ret, struct err *reterr)
{
	struct arena a CLEANUP_ARENA = ARENA_INIT(LIMIT_EVENT_ARENA_BYTES);
	struct event               *ev = NULL;
	size_t                      n = 0;

	return event_read_newest(api->log, STR_NULL, 0, 1, &a, &ev, ret, &n, reterr);
}

static int stream_pull(struct sse_client *c, struct buf *out, bool *ret_end, void *ctx, struct err *reterr)
{
	struct event_api *api = ctx;
	struct arena a    CLEANUP_ARENA = ARENA_INIT(LIMIT_EVENT_ARENA_BYTES);
	struct wish       w = { 0 };
	struct event     *ev = NULL;
	int64_t           newest = 0;
	size_t            n = 0, i;
	int               rc = stream_newest(api, &newest, reterr);

	*ret_end = false;
	if (rc || newest == c->position)
		return rc;
	if (c->position < 0) { /* no Last-Event-ID: from now on */
		c->position = newest;
		return 0;
	}
	rc = wish_types(c->params[PARAM_TYPES], &w, reterr);
	if (!rc)
		rc = event_select(api->log, &(struct event_filter){ c->params[PARAM_ALL].len ? STR_NULL : c->params[PARAM_PROJECT], w.types, w.n_types,
		                                                    EVENT_BY_POS, c->position, STREAM_BATCH }, &a, &ev, &n, reterr);
	if (rc)
		return rc;
	for (i = 0; i < n && out->len < STREAM_BYTES; i++) {
		stream_message(api, &ev[i], str_eqz(c->params[PARAM_FORMAT], "cdevents"), out);
		c->position = ev[i].pos;
	}
	if (n < STREAM_BATCH && i == n && newest > c->position)
		c->position = newest;
	return 0;
}

static void stream_news(void *ctx) { sse_kick(((struct event_api *)ctx)->hub); }

/* --- the handle --- */

#define EVENT_LIST_SCHEMA                                                                                                          \
	"{\"type\":\"object\",\"required\":[\"events\",\"next\"],\"properties\":{\"events\":{\"type\":\"array\",\"items\":{\"type\":"   \
	"\"object\"}},\"next\":{\"type\":[\"integer\",\"null\"]}}}"

#define QUERY_PROJECT { .name = "project", .doc = "of this project only; '-': of none" }
#define QUERY_TYPES   { .name = "type", .doc = "of these types only, comma-separated" }
#define QUERY_FORMAT  { .name = "format", .kind = QUERY_WORD, .words = formats, .doc = "cdevents: types without a CDEvents form are left out" }
#define QUERY_LIMIT   { .name = "limit", .kind = QUERY_INT, .max = LIMIT_EVENT_READ, .doc = "how many at most; 100 when absent" }
#define QUERY_FROM(n) { .name = (n), .kind = QUERY_INT, .max = INT64_MAX, .doc = "a position: the `next` of the page before" }

static const char *const             formats[] = { "weir", "cdevents", NULL };
static const struct http_query_param events_query[] = { QUERY_FROM("after"), QUERY_PROJECT, QUERY_TYPES, QUERY_LIMIT, QUERY_FORMAT, { 0 } };
static const struct http_query_param newest_query[] = { QUERY_FROM("before"), QUERY_PROJECT, QUERY_TYPES, QUERY_LIMIT, QUERY_FORMAT, { 0 } };
static const struct http_query_param stream_query[] = { QUERY_PROJECT, QUERY_TYPES, QUERY_FORMAT, SSE_QUERY, { 0 } };

static const struct http_route event_route_table[] = {
	{ "GET", "/api/v1/events", HTTP_WORKER, SCOPE_READ, 0, get_events,
	  "Events in their order behind position `after`", NULL, EVENT_LIST_SCHEMA, events_query },
	{ "GET", "/api/v1/events/newest", HTTP_WORKER, SCOPE_READ, 0, get_newest,
	  "Newest events first, before position `before`", NULL, EVENT_LIST_SCHEMA, newest_query },
	{ "GET", "/events", HTTP_SSE, SCOPE_READ, 0, get_stream,
	  "Stream of server-sent events, from Last-Event-ID (a position) on, or from now", NULL, NULL, stream_query },
};

const struct http_route *event_routes(size_t *ret_n)
{
	*ret_n = ARRAY_SIZE(event_route_table);
	return event_route_table;
}

int event_api_open(struct event_log *log, struct http_server *server, const char *source, struct event_api **ret, struct err *reterr)
{
	struct event_api *api = calloc(1, sizeof(*api));
	int               rc;

	if (!api)
		return err_set(reterr, WEIR_ENOMEM, "no memory for the event routes");
	api->log = log;
	api->source = source;
	rc = sse_hub_new(server, stream_pull, api, CLIENTS_MAX, &api->hub, reterr);
	if (!rc)
		rc = event_on_commit(log, stream_news, api, reterr);
	if (rc) {
		event_api_close(api);
		return rc;
	}
	*ret = api;
	return 0;
}

struct event_api *event_api_close(struct event_api *api)
{
	if (!api)
		return NULL;
	event_off_commit(api->log, api);
	sse_hub_free(api->hub);
	free(api);
	return NULL;
}
