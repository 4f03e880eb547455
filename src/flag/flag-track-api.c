/* flag-track-api.c - POST /api/v1/flags/track: what applications saw of their users (outcomes), and that they evaluated a flag (exposures).
 *
 * An event with a name is an outcome; one without is an exposure of its flag. Nothing is believed about the arm: it follows from the targetingKey. A whole
 * request is read strictly before anything of it counts; what does not concern a running rollout is passed over and said so. Loop threads, no database. */
#include "base/base.h"

#include "flag/rollout-room.h"

#include <math.h>

struct read_event {
	str                    key, name, flag, variant;
	const struct doc_node *context;
	enum flag_ok           ok;
	double                 value; /* NAN: none */
	usec_t                 at;
};

static str want_text(struct doc_check *c, const struct doc_node *n, const char *what)
{
	str s = doc_want_str(c, n, what);

	if (n && s.ptr && (!s.len || s.len > 4 * LIMIT_FLAG_KEY_BYTES))
		doc_error(c, n, "%s must be 1 to %d bytes", what, 4 * LIMIT_FLAG_KEY_BYTES);
	return s;
}

static void read_event(struct doc_check *c, const struct doc_node *n, usec_t now, struct read_event *e)
{
	static const char *const keys[] = { "targetingKey", "name", "ok", "value", "at", "flag", "variant", "context", NULL };
	str                      at;

	*e = (struct read_event){ .value = NAN, .at = now };
	if (!doc_is_map(c, n, "an event", keys))
		return;
	e->key = want_text(c, doc_need(c, n, "targetingKey"), "targetingKey");
	e->name = want_text(c, doc_get(n, "name"), "name");
	e->flag = want_text(c, doc_get(n, "flag"), "flag");
	e->variant = want_text(c, doc_get(n, "variant"), "variant");
	e->context = doc_get(n, "context");
	if (doc_get(n, "ok"))
		e->ok = doc_want_bool(c, doc_get(n, "ok"), "ok") ? FLAG_OK_TRUE : FLAG_OK_FALSE;
	if (doc_get(n, "value"))
		e->value = doc_want_num(c, doc_get(n, "value"), "value", -1e300, 1e300);
	at = doc_want_str(c, doc_get(n, "at"), "at");
	if (at.len && !clock_parse_rfc3339(at, &e->at))
		doc_error(c, doc_get(n, "at"), "at must be a time such as 2027-01-31T09:00:00Z");
	if (e->at > now)
		e->at = now; /* its clock runs ahead of ours */
	if (e->context)
		(void)doc_is_map(c, e->context, "context", NULL);
	if (!doc_get(n, "name") && !doc_get(n, "flag"))
		doc_error(c, n, "an event has a name (an outcome), or a flag (an exposure)");
	if (doc_get(n, "name") && (doc_get(n, "variant") || e->context))
		doc_error(c, n, "variant and context belong to exposures, which have no name");
	if (!doc_get(n, "name") && (doc_get(n, "ok") || doc_get(n, "value")))
		doc_error(c, n, "ok and value belong to outcomes, which have a name");
	if (e->context && !e->variant.len)
		doc_error(c, e->context, "context says what the variant was evaluated with: give the variant, too");
}

/* --- which rollouts an event concerns --- */

static double share_at(const struct guarded *g, usec_t at)
{
	double share = 0;

	for (size_t k = 0; k < g->spec.plan.n_steps; k++)
		if (g->entered[k] && g->entered[k] <= at)
			share = g->spec.plan.steps[k];
	return share;
}

/* A client that saw another variant than the one this definition gives has an older copy: it says nothing about this arm. */
static bool saw_this_arm(const struct flag_set *set, const struct guarded *g, const struct read_event *e, usec_t now, struct arena *a)
{
	const struct flag  *f = flag_set_find(set, g->key);
	struct flag_context c = { .now = now, .scratch = a };
	struct flag_answer  answer;
	struct logic_value  data;
	struct logic_pair  *pairs;
	size_t              n;
	struct err          err = { 0 };

	if (!e->variant.len)
		return true;
	if (!f || !f->arms || !str_eqz(f->arms->rollout, g->id))
		return false;
	if (e->context && logic_from_doc(a, e->context, &data, &err))
		return false;
	n = e->context ? data.len : 0;
	if (!(pairs = ARENA_ARRAY(a, n + 1, struct logic_pair)))
		return false;
	if (n)
		memcpy(pairs, data.pairs, n * sizeof(*pairs));
	pairs[n] = (struct logic_pair){ .key = "targetingKey", .key_len = strlen("targetingKey"), .value = logic_string(e->key) };
	if (logic_object(a, pairs, n + 1, &c.data, &err))
		return false;
	flag_evaluate_one(set, f, &c, &answer);
	return answer.variant && str_eq(answer.variant->name, e->variant);
}

/* With the lock. True: the event went into the inbox. */
static bool take(struct flag_rollouts *s, const struct flag_set *set, const struct guarded *g, const struct read_event *e, usec_t now, struct arena *a)
{
	struct track_event t = { .bucket = flag_bucket(g->salt, e->key), .share = share_at(g, e->at) };

	memcpy(t.rollout, g->id, sizeof(t.rollout));
	if ((e->flag.len && !str_eq(e->flag, g->key)) || t.share <= 0) /* another flag, or before it began */
		return false;
	if (!e->name.len)
		return saw_this_arm(set, g, e, now, a) && rollouts_add(s, &t);
	for (size_t i = 0; i < g->spec.n_outcomes; i++)
		if (str_eq(g->spec.outcomes[i].name, e->name)) {
			t.outcome = true;
			t.failed = flag_outcome_failed(&g->spec.outcomes[i], e->ok, e->value);
			return rollouts_add(s, &t);
		}
	return false;
}

static size_t take_all(struct flag_room *r, const struct flag_entry *entry, const struct read_event *v, size_t n, usec_t now, struct arena *a)
{
	struct flag_rollouts *s = r->rollouts;
	size_t                taken = 0;

	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < n; i++) {
		bool one = false;

		for (size_t k = 0; k < s->all.n; k++)
			if (str_eqz(s->all.v[k]->set_id, entry->id) && v[i].at + LIMIT_FLAG_TRACK_AGE_S * USEC_PER_SEC >= now)
				one = take(s, entry->set, s->all.v[k], &v[i], now, a) || one;
		taken += one;
	}
	pthread_mutex_unlock(&s->lock);
	return taken;
}

/* --- the route --- */

static int read_body(struct http_req *req, usec_t now, struct read_event **ret, size_t *ret_n, struct err *reterr)
{
	static const char *const known[] = { "events", NULL };
	const struct doc_node   *events;
	struct doc_node         *body;
	struct doc_check         c;
	int                      rc = http_body_json(req, &body, reterr);

	if (rc)
		return rc;
	doc_check_init(&c, http_arena(req), "body");
	if (doc_is_map(&c, body, "the body", known) && (events = doc_need(&c, body, "events")) && doc_is_seq(&c, events, "events")) {
		if (doc_len(events) > LIMIT_FLAG_TRACK_EVENTS)
			return err_set(reterr, WEIR_ELIMIT, "a request has at most %d events, not %zu", LIMIT_FLAG_TRACK_EVENTS, doc_len(events));
		*ret_n = doc_len(events);
		*ret = ARENA_ARRAY(http_arena(req), *ret_n + 1, struct read_event);
		for (size_t i = 0; *ret && i < *ret_n; i++)
			read_event(&c, doc_at(events, i), now, &(*ret)[i]);
	}
	return (rc = doc_check_result(&c, reterr)) ? rc : arena_check(http_arena(req), "events", reterr);
}

int flag_track_post(struct http_req *req, void *ctx, struct err *reterr)
{
	struct flag_room        *r = ctx;
	usec_t                   now = clock_wall(r->cfg.clock);
	struct read_event       *v = NULL;
	const struct flag_entry *entry;
	struct jw                w;
	size_t                   n = 0, taken = 0;
	int                      rc = read_body(req, now, &v, &n, reterr);

	if (!rc) {
		if (!(rc = flag_choose_set(flag_read_begin(r->tables), req, &entry, reterr)))
			taken = take_all(r, entry, v, n, now, http_arena(req));
		flag_read_end(r->tables);
	}
	if (rc)
		return rc;
	http_status(req, 202);
	http_json(req, &w);
	jw_obj(&w);
	jw_kint(&w, "taken", (int64_t)taken);
	jw_kint(&w, "passed_over", (int64_t)(n - taken));
	jw_end(&w);
	return 0;
}

const char flag_track_schema[] =
	"{\"type\":\"object\",\"required\":[\"events\"],\"additionalProperties\":false,\"properties\":{\"events\":{\"type\":\"array\",\"maxItems\":1000,\"items\":{"
	"\"type\":\"object\",\"required\":[\"targetingKey\"],\"additionalProperties\":false,\"properties\":{\"targetingKey\":{\"type\":\"string\"},\"name\":{\"type\":\"string\"},"
	"\"ok\":{\"type\":\"boolean\"},\"value\":{\"type\":\"number\"},\"at\":{\"type\":\"string\",\"format\":\"date-time\"},\"flag\":{\"type\":\"string\"},"
	"\"variant\":{\"type\":\"string\"},\"context\":{\"type\":\"object\"}}}}}}";
