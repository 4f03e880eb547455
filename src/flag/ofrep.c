/* ofrep.c - OpenFeature's remote evaluation protocol (OFREP 0.3): single and bulk evaluation, ETags, event streams.
 *
 * Handlers run on loop threads and touch no database: they read the present table. A bulk answer's ETag is a digest of the set's revision and the
 * context, so an unchanged one is known before anything is evaluated; sets whose answers depend on the time have a digest of the answer instead.
 * Errors are the protocol's: {"key"?, "errorCode", "errorDetails"}. Source: open-feature/protocol, service/openapi.yaml 0.3.0. */
#include "base/base.h"

#include "base/hash.h"
#include "flag/rollout-room.h"

enum { INACTIVITY_S = 120, BODY_MAX = 1000000 };

/* --- errors --- */

static int refuse(struct http_req *req, int status, str key, enum flag_error error, const char *details)
{
	struct jw w;

	http_status(req, status);
	http_json(req, &w);
	jw_obj(&w);
	if (key.ptr)
		jw_kstr(&w, "key", key);
	jw_kstrz(&w, "errorCode", flag_error_name(error));
	if (details)
		jw_kstrz(&w, "errorDetails", details);
	jw_end(&w);
	return 0;
}

/* What net itself refuses (malformed, without credentials, too often, too large), and what handlers of event streams return. */
void ofrep_error(struct http_req *req, int status, const char *code UNUSED, str message)
{
	str       key = http_param(req, "key");
	struct jw w;

	http_json(req, &w);
	jw_obj(&w);
	if (key.ptr)
		jw_kstr(&w, "key", key);
	jw_kstrz(&w, "errorCode", flag_error_name(status == 413 ? FLAG_PARSE_ERROR : FLAG_GENERAL));
	jw_kstr(&w, "errorDetails", message);
	jw_end(&w);
}

/* --- which set --- */

static bool may_see(const struct http_identity *who, const struct flag_entry *e)
{
	return !who->project[0] || !strcmp(who->project, e->project);
}

/* flagd's selector: flagSetId=ID, source=NAME or NAME alone. False: it is none of these. */
static bool selects(str selector, const struct flag_entry *e)
{
	str left, right;

	if (!str_cut(selector, '=', &left, &right)) {
		left = STR("source");
		right = selector;
	}
	if (str_eqz(left, "flagSetId"))
		return str_eq(right, e->flag_set_id) || str_eqz(right, e->id);
	return str_eqz(right, e->name) || str_eqz(right, e->id);
}

static bool selector_ok(str selector)
{
	str left, right;

	return !str_cut(selector, '=', &left, &right) || str_eqz(left, "flagSetId") || str_eqz(left, "source");
}

/* An id names its own set, whatever flagSetId the authors of other projects write into theirs. */
static const struct flag_entry *choose_by_id(const struct flag_table *t, const struct http_identity *who, str selector)
{
	const struct flag_entry *e;
	str                      left, right;

	if (!str_cut(selector, '=', &left, &right))
		right = selector;
	e = flag_table_find(t, right);
	return e && may_see(who, e) ? e : NULL;
}

/* The entries among which the request chooses: those of the token's project, or those that the selector names. */
static struct flag_entry *const *candidates(const struct flag_table *t, const struct http_identity *who, str selector, size_t *ret_n)
{
	str left, right;

	if (who->project[0])
		return flag_table_of_project(t, who->project, ret_n);
	if (!selector.len) {
		*ret_n = t->n < 2 ? t->n : 2; /* two are enough to say that there are several */
		return t->entries;
	}
	if (!str_cut(selector, '=', &left, &right))
		return flag_table_of_name(t, selector, ret_n);
	return str_eqz(left, "flagSetId") ? flag_table_of_set_id(t, right, ret_n) : flag_table_of_name(t, right, ret_n);
}

/* The one set that the request means; NULL when there is none. *ret_several: there are more, and nothing says which. */
static const struct flag_entry *choose(const struct flag_table *t, const struct http_identity *who, str selector, bool *ret_several)
{
	const struct flag_entry  *found = choose_by_id(t, who, selector);
	struct flag_entry *const *v;
	size_t                    n;

	*ret_several = false;
	if (found)
		return found;
	v = candidates(t, who, selector, &n);
	for (size_t i = 0; i < n && !*ret_several; i++) {
		if (selector.len && !selects(selector, v[i]))
			continue;
		*ret_several = found != NULL;
		found = found ? found : v[i];
	}
	return found;
}

int flag_choose_set(const struct flag_table *t, const struct http_req *req, const struct flag_entry **ret, struct err *reterr)
{
	str  selector = http_header(req, "flagd-selector");
	bool several = false;

	if (selector.len && !selector_ok(selector))
		return err_set(reterr, WEIR_EINVAL, "Flagd-Selector must be flagSetId=ID or source=NAME");
	*ret = choose(t, http_who(req), selector, &several);
	if (several)
		return err_set(reterr, WEIR_EINVAL, "several flag sets can be meant: name one by the header Flagd-Selector: flagSetId=ID, or use a token of one project");
	return *ret ? 0 : err_set(reterr, WEIR_ENOENT, "there is no such flag set");
}

struct ask { /* one request */
	struct flag_room        *room;
	struct http_req         *req;
	str                      key;   /* STR_NULL: bulk */
	const struct flag_entry *entry; /* NULL: no set */
	const struct doc_node   *context_node;
	struct flag_context      context;
	struct flag_answer      *answers; /* of a bulk evaluation, to be counted; NULL: none */
};

/* False: the request was refused. */
static bool choose_set(struct ask *q, const struct flag_table *t)
{
	str  selector = http_header(q->req, "flagd-selector");
	bool several;

	if (selector.len && !selector_ok(selector)) {
		(void)refuse(q->req, 400, q->key, FLAG_GENERAL, "Flagd-Selector must be flagSetId=ID or source=NAME");
		return false;
	}
	q->entry = choose(t, http_who(q->req), selector, &several);
	if (!several)
		return true;
	(void)refuse(q->req, 400, q->key, FLAG_GENERAL, "several flag sets can be meant: name one by the header Flagd-Selector: flagSetId=ID, or use a token of one project");
	return false;
}

/* --- the context --- */

static bool read_context(struct ask *q)
{
	static const char *const known[] = { "context", NULL };
	struct arena            *a = http_arena(q->req);
	struct doc_node         *body = NULL;
	struct doc_check         c;
	struct err               err = { 0 };

	q->context = (struct flag_context){ .now = clock_wall(q->room->cfg.clock), .random = flag_chance(q->room), .scratch = a };
	if (doc_parse_json(a, "body", http_body(q->req), &body, &err)) {
		(void)refuse(q->req, err.code == WEIR_ELIMIT ? 413 : 400, q->key, FLAG_PARSE_ERROR, err.msg);
		return false;
	}
	doc_check_init(&c, a, "body");
	(void)doc_is_map(&c, body, "the body", known);
	q->context_node = doc_get(body, "context");
	if (doc_check_result(&c, &err) || (q->context_node && q->context_node->kind != DOC_MAP)) {
		(void)refuse(q->req, 400, q->key, FLAG_INVALID_CONTEXT, err.msg[0] ? err.msg : "context must be an object");
		return false;
	}
	if (!q->context_node)
		return true;
	if (logic_from_doc(a, q->context_node, &q->context.data, &err)) {
		(void)refuse(q->req, 400, q->key, FLAG_INVALID_CONTEXT, err.msg);
		return false;
	}
	return true;
}

/* --- answers --- */

static void write_metadata(struct jw *w, str metadata)
{
	if (!metadata.len)
		return;
	jw_key(w, "metadata");
	jw_raw(w, metadata);
}

/* What a flag says when nothing is wrong, from the pieces that were prepared when it was compiled: most of a bulk answer is this. */
static void add_value(struct buf *out, const struct flag_answer *a)
{
	buf_addz(out, "{\"key\":");
	buf_add_str(out, a->flag->key_json);
	buf_addz(out, ",\"reason\":\"");
	buf_addz(out, flag_reason_name(a->reason));
	buf_addc(out, '"');
	if (a->variant) {
		buf_addc(out, ',');
		buf_add_str(out, a->variant->answer);
	}
	if (a->flag->metadata.len) {
		buf_addz(out, ",\"metadata\":");
		buf_add_str(out, a->flag->metadata);
	}
	buf_addc(out, '}');
}

static void write_answer(struct buf *out, str key, const struct flag_answer *a)
{
	struct jw w;

	if (!a->error) {
		add_value(out, a);
		return;
	}
	jw_init(&w, out);
	jw_obj(&w);
	jw_kstr(&w, "key", key);
	jw_kstrz(&w, "errorCode", flag_error_name(a->error));
	if (a->details)
		jw_kstrz(&w, "errorDetails", a->details);
	if (a->flag)
		write_metadata(&w, a->flag->metadata);
	jw_end(&w);
}

static int status_of(enum flag_error e) { return e == FLAG_OK ? 200 : e == FLAG_NOT_FOUND ? 404 : 400; }

static void count_one(const struct ask *q, const struct flag_answer *answer)
{
	struct flag_tally *t = q->entry ? flag_usage_begin(q->room->usage) : NULL;

	if (t)
		flag_usage_add(t, str_z(q->entry->id), answer, FLAG_USED_ASKED, q->context.now);
	flag_usage_end(q->room->usage, t);
}

static void answer_single(struct ask *q)
{
	struct flag_answer answer = { .error = FLAG_NOT_FOUND, .reason = FLAG_ERROR, .details = "there is no such flag" };

	if (q->entry)
		flag_evaluate(q->entry->set, q->key, FLAG_ANY, &q->context, &answer);
	count_one(q, &answer);
	if (answer.flag && answer.flag->arms)
		rollouts_exposed(q->room, answer.flag->arms, &q->context);
	http_status(q->req, status_of(answer.error));
	http_type(q->req, "application/json");
	write_answer(http_out(q->req), q->key, &answer);
}

static int post_single(struct http_req *req, void *ctx, struct err *reterr UNUSED)
{
	struct flag_room *r = ctx;
	struct ask        q = { .room = r, .req = req, .key = http_param(req, "key") };

	if (!read_context(&q))
		return 0;
	if (choose_set(&q, flag_read_begin(r->tables))) {
		answer_single(&q);
		flag_sample(r, q.entry, q.context_node);
	}
	flag_read_end(r->tables);
	return 0;
}

/* --- bulk --- */

/* What names a set's revision in event streams: the protocol's flagConfigEtag. */
static void config_etag(const struct flag_entry *e, char *out, size_t size)
{
	snprintf(out, size, "%s:%lld", e->id, (long long)flag_set_head(e->set)->revision);
}

/* Over the ticket, too: who is told that nothing changed keeps the address of the stream, which must not be over one day. */
static void etag_of(const struct ask *q, const struct doc_node *context, str body, char out[SHA256_HEX + 2])
{
	const struct flag_entry *e = q->entry;
	char                   ticket[FLAG_TICKET_SIZE];
	struct buf CLEANUP_BUF text = BUF_INIT(4 * BODY_MAX);
	char                   hex[SHA256_HEX];

	flag_ticket(q->room, str_z(e->id), ticket);
	buf_addf(&text, "%s %lld %s ", e->id, (long long)flag_set_head(e->set)->revision, ticket);
	if (body.ptr)
		buf_add_str(&text, body);
	else if (context)
		doc_canonical(context, &text);
	sha256_hex(buf_str(&text), hex);
	snprintf(out, SHA256_HEX + 2, "\"%.32s\"", hex);
}

static bool etag_matches(const struct http_req *req, const char *etag)
{
	str seen = http_header(req, "if-none-match");

	return seen.len && (str_eqz(seen, "*") || str_contains(seen, str_z(etag)));
}

/* A client that heard of another configuration than the present one must not be told that nothing changed. */
static bool may_be_unchanged(const struct ask *q)
{
	char present[FLAG_ID_SIZE + 24];
	str  heard = http_query(q->req, "flagConfigEtag"), modified = http_query(q->req, "flagConfigLastModified");

	config_etag(q->entry, present, sizeof(present));
	if (heard.len && !str_eqz(heard, present))
		return false;
	if (modified.len) {
		usec_t  t;
		int64_t s;

		if (str_to_i64(modified, &s))
			return s == q->entry->changed_at / USEC_PER_SEC;
		return clock_parse_rfc3339(modified, &t) && t / USEC_PER_SEC == q->entry->changed_at / USEC_PER_SEC;
	}
	return true;
}

static void write_streams(struct jw *w, struct ask *q)
{
	char ticket[FLAG_TICKET_SIZE];

	flag_ticket(q->room, str_z(q->entry->id), ticket);
	jw_key(w, "eventStreams");
	jw_arr(w);
	jw_obj(w);
	jw_kstrz(w, "type", "sse");
	jw_key(w, "endpoint");
	jw_obj(w);
	jw_key(w, "requestUri");
	/* With the revision, so that a change between this answer and the stream's begin is told at once. */
	jw_fmt(w, "/ofrep/v1/events/%s?last_event_id=%lld&ticket=%s", q->entry->id, (long long)flag_set_head(q->entry->set)->revision, ticket);
	jw_end(w);
	jw_kint(w, "inactivityDelaySec", INACTIVITY_S);
	jw_end(w);
	jw_end(w);
}

static void answer_bulk(struct ask *q)
{
	struct jw   w;
	struct buf *out = http_out(q->req);

	http_json(q->req, &w);
	jw_obj(&w);
	jw_key(&w, "flags");
	jw_arr(&w);
	if (q->entry)
		q->answers = ARENA_ARRAY(http_arena(q->req), q->entry->n_sorted + 1, struct flag_answer);
	for (size_t i = 0; q->entry && i < q->entry->n_sorted; i++) {
		struct flag_answer answer;

		flag_evaluate_one(q->entry->set, q->entry->sorted[i], &q->context, &answer);
		if (q->answers)
			q->answers[i] = answer;
		if (answer.flag->arms)
			rollouts_exposed(q->room, answer.flag->arms, &q->context);
		if (i)
			buf_addc(out, ',');
		write_answer(out, q->entry->sorted[i]->key, &answer);
	}
	jw_end(&w);
	if (q->entry) {
		write_metadata(&w, flag_set_metadata(q->entry->set));
		write_streams(&w, q);
	}
	jw_end(&w);
}

/* What a bulk answer gave; an unchanged one (304) gave nothing. */
static void count_all(const struct ask *q)
{
	struct flag_tally *t = q->answers ? flag_usage_begin(q->room->usage) : NULL;

	for (size_t i = 0; t && i < q->entry->n_sorted; i++)
		flag_usage_add(t, str_z(q->entry->id), &q->answers[i], FLAG_USED_BULK, q->context.now);
	flag_usage_end(q->room->usage, t);
}

static void bulk(struct ask *q)
{
	char etag[SHA256_HEX + 2] = "";
	bool by_answer = q->entry && flag_set_timed(q->entry->set), unchanged = q->entry && may_be_unchanged(q);

	if (q->entry && !by_answer)
		etag_of(q, q->context_node, STR_NULL, etag);
	if (!*etag || !unchanged || !etag_matches(q->req, etag)) {
		answer_bulk(q);
		if (by_answer)
			etag_of(q, NULL, buf_str(http_out(q->req)), etag);
	}
	if (*etag)
		http_set_header(q->req, "ETag", str_z(etag));
	if (*etag && unchanged && etag_matches(q->req, etag)) {
		http_out(q->req)->len = 0;
		http_status(q->req, 304);
	} else {
		count_all(q);
	}
}

static int post_bulk(struct http_req *req, void *ctx, struct err *reterr UNUSED)
{
	struct flag_room *r = ctx;
	struct ask        q = { .room = r, .req = req, .key = STR_NULL };

	if (!read_context(&q))
		return 0;
	if (choose_set(&q, flag_read_begin(r->tables))) {
		bulk(&q);
		flag_sample(r, q.entry, q.context_node);
	}
	flag_read_end(r->tables);
	return 0;
}

/* --- event streams --- */

static int get_events(struct http_req *req, void *ctx, struct err *reterr)
{
	struct flag_room        *r = ctx;
	str                      project = http_param(req, "project"), name = http_param(req, "set"), ticket = http_query(req, "ticket");
	char                     id[FLAG_ID_SIZE];
	const struct flag_entry *e;
	bool                     may;

	snprintf(id, sizeof(id), "%.*s/%.*s", STR_ARG(project), STR_ARG(name));
	may = flag_ticket_ok(r, str_z(id), ticket);
	if (!may && !(http_may(req, SCOPE_FLAGS) && (!http_who(req)->project[0] || str_eqz(project, http_who(req)->project))))
		return err_set(reterr, WEIR_EAUTH, "the stream of a flag set needs its ticket (eventStreams of a bulk evaluation) or a token");
	e = flag_table_find(flag_read_begin(r->tables), str_z(id));
	flag_read_end(r->tables);
	if (!e)
		return err_set(reterr, WEIR_ENOENT, "there is no flag set '%s'", id);
	return sse_attach(req, r->hub, (str[]){ str_z(id), may ? ticket : STR("") }, 2, reterr);
}

int ofrep_pull(struct sse_client *c, struct buf *out, bool *ret_end, void *room, struct err *reterr UNUSED)
{
	struct flag_room        *r = room;
	const struct flag_entry *e = flag_table_find(flag_read_begin(r->tables), c->params[0]);
	int64_t                  revision = e ? flag_set_head(e->set)->revision : 0;
	char                     etag[FLAG_ID_SIZE + 24];

	*ret_end = !e;
	if (e && c->position >= 0 && c->position != revision) {
		struct buf CLEANUP_BUF data = BUF_INIT(1024);
		struct jw              w;

		config_etag(e, etag, sizeof(etag));
		jw_init(&w, &data);
		jw_obj(&w);
		jw_kstrz(&w, "type", "refetchEvaluation");
		jw_kstrz(&w, "etag", etag);
		jw_kint(&w, "lastModified", e->changed_at / USEC_PER_SEC);
		jw_end(&w);
		sse_message(out, revision, "message", buf_str(&data));
		/* Who came in by a ticket that is over by now gets a new one with what it fetches. */
		*ret_end = c->params[1].len && !flag_ticket_ok(r, c->params[0], c->params[1]);
	}
	c->position = revision;
	flag_read_end(r->tables);
	return 0;
}

/* --- routes --- */

static const struct http_query_param bulk_query[] = {
	{ .name = "flagConfigEtag", .kind = QUERY_TEXT, .doc = "etag of the event that made the client ask" },
	{ .name = "flagConfigLastModified", .kind = QUERY_TEXT, .doc = "lastModified of that event: seconds since 1970, or a date" },
	{ .name = NULL },
};
static const struct http_query_param events_query[] = {
	{ .name = "ticket", .kind = QUERY_TEXT, .doc = "as the address in a bulk answer has it" },
	{ .name = "last_event_id", .kind = QUERY_TEXT, .doc = "as the header Last-Event-ID" },
	{ .name = NULL },
};
static const char context_schema[] =
	"{\"type\":\"object\",\"properties\":{\"context\":{\"type\":\"object\",\"properties\":{\"targetingKey\":{\"type\":\"string\"}}}},\"additionalProperties\":false}";
static const char single_schema[] =
	"{\"type\":\"object\",\"required\":[\"key\",\"reason\"],\"properties\":{\"key\":{\"type\":\"string\"},\"reason\":{\"type\":\"string\"},\"variant\":{\"type\":\"string\"},"
	"\"value\":{},\"metadata\":{\"type\":\"object\"}}}";
static const char bulk_schema[] =
	"{\"type\":\"object\",\"required\":[\"flags\"],\"properties\":{\"flags\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}},\"metadata\":{\"type\":\"object\"},"
	"\"eventStreams\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}}}}";

static const struct http_route routes[] = {
	{ .method = "POST", .path = "/ofrep/v1/evaluate/flags", .kind = HTTP_FAST, .scope = SCOPE_FLAGS, .body_max = BODY_MAX, .fn = post_bulk,
	  .doc = "What all flags of a set say for a context (OFREP bulk evaluation).", .body_doc = context_schema, .answer_doc = bulk_schema, .query = bulk_query,
	  .cors = true },
	{ .method = "POST", .path = "/ofrep/v1/evaluate/flags/*key", .kind = HTTP_FAST, .scope = SCOPE_FLAGS, .body_max = BODY_MAX, .fn = post_single, .any_tail = true,
	  .doc = "What one flag says for a context (OFREP single evaluation).", .body_doc = context_schema, .answer_doc = single_schema, .cors = true },
	{ .method = "GET", .path = "/ofrep/v1/events/:project/:set", .kind = HTTP_SSE, .scope = SCOPE_NONE, .fn = get_events,
	  .doc = "Event stream of a flag set: says when to evaluate again. Needs a ticket or a token.", .query = events_query, .cors = true },
};

const struct http_route *flag_ofrep_routes(size_t *ret_n)
{
	*ret_n = ARRAY_SIZE(routes);
	return routes;
}
