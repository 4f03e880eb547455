/* flag-rollout-api.c - routes of guarded rollouts: begin one, look at them, give orders. Worker threads.
 *
 * An order is left in the rollout's row, since another server may own it; the request waits until the owner obeyed or refused it. */
#include "base/base.h"

#include "flag/rollout-room.h"

enum { LIST_MAX = 50, ORDER_WAIT_MS = 10000, ORDER_LOOK_MS = 10, KNOWN_WITHIN_MS = 2000 };

static str set_of(struct http_req *req)
{
	char *id = arena_printf(http_arena(req), "%.*s/%.*s", STR_ARG(http_param(req, "project")), STR_ARG(http_param(req, "set")));

	return id ? str_z(id) : STR_NULL;
}

static void actor_of(const struct http_req *req, char out[ACTOR_MAX])
{
	snprintf(out, ACTOR_MAX, "token:%.64s", http_who(req)->name[0] ? http_who(req)->name : "anonymous");
}

/* --- showing --- */

static void write_part(struct jw *w, const char *key, str json)
{
	jw_key(w, key);
	if (json.len)
		jw_raw(w, json);
	else
		jw_null(w);
}

/* The share in force: of its step, 1 while it bakes; none when it is over. */
static void write_share(struct arena *a, struct jw *w, const struct rollout_row *r)
{
	struct doc_node    *spec, *ro;
	struct doc_check    c;
	struct rollout_spec s;
	int64_t             step;

	if (!r->running || doc_parse_json(a, "rollout", r->spec, &spec, NULL) || doc_parse_json(a, "rollout", r->ro, &ro, NULL))
		return;
	doc_check_init(&c, a, "rollout");
	rollout_spec_read(&c, spec, &s);
	step = str_eqz(r->state, "baking") ? (int64_t)s.plan.n_steps - 1 : doc_get_int(ro, "step", 0);
	if (step >= 0 && step < (int64_t)s.plan.n_steps)
		jw_knum(w, "share", s.plan.steps[step]);
	jw_kbool(w, "paused", doc_get_bool(ro, "paused", false));
	jw_kbool(w, "held", doc_get_bool(ro, "held", false));
}

static void write_row(struct arena *a, struct jw *w, const struct rollout_row *r, bool whole)
{
	jw_obj(w);
	jw_kstr(w, "id", r->id);
	jw_kstr(w, "set", r->set_id);
	jw_kstr(w, "flag", r->key);
	jw_kstr(w, "state", r->state);
	jw_kbool(w, "running", r->running);
	write_share(a, w, r);
	jw_kstr(w, "cause", r->cause);
	jw_kstr(w, "by", r->by);
	jw_ktime(w, "started_at", r->started_at);
	jw_ktime(w, "ended_at", r->ended_at);
	if (whole) {
		write_part(w, "plan", r->spec);
		write_part(w, "counts", r->counts);
		write_part(w, "evidence", r->evidence);
	}
	jw_end(w);
}

struct listing {
	struct arena       *a;
	str                 id;
	struct rollout_row *v;
	size_t              n;
};

static int list_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct listing   *l = arg;
	struct stored_set s;
	int               rc = flag_store_find(tx, l->a, l->id, &s, reterr);

	return rc ? rc : rollout_store_list(tx, l->a, l->id, LIST_MAX, &l->v, &l->n, reterr);
}

static int get_rollouts(struct http_req *req, void *ctx, struct err *reterr)
{
	struct flag_room *r = ctx;
	struct listing    l = { .a = http_arena(req), .id = set_of(req) };
	struct jw         w;
	int               rc = db_read(r->cfg.db, list_tx, &l, reterr);

	if (rc)
		return rc;
	http_json(req, &w);
	jw_obj(&w);
	jw_key(&w, "rollouts");
	jw_arr(&w);
	for (size_t i = 0; i < l.n; i++)
		write_row(l.a, &w, &l.v[i], false);
	jw_end(&w);
	jw_end(&w);
	return 0;
}

struct one {
	struct arena      *a;
	str                id;
	struct rollout_row row;
};

static int one_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct one *o = arg;

	return rollout_store_row(tx, o->a, o->id, &o->row, reterr);
}

/* A rollout of another project than the token's is not there. */
static int find(struct flag_room *r, struct http_req *req, struct one *o, struct err *reterr)
{
	const char *bound = http_who(req)->project;
	str         project, rest;
	int         rc;

	*o = (struct one){ .a = http_arena(req), .id = http_param(req, "id") };
	if ((rc = db_read(r->cfg.db, one_tx, o, reterr)))
		return rc;
	if (*bound && !(str_cut(o->row.set_id, '/', &project, &rest) && str_eqz(project, bound)))
		return err_set(reterr, WEIR_ENOENT, "there is no rollout of a flag '%.*s'", STR_ARG(o->id));
	return 0;
}

static int get_rollout(struct http_req *req, void *ctx, struct err *reterr)
{
	struct one o;
	struct jw  w;
	int        rc = find(ctx, req, &o, reterr);

	if (rc)
		return rc;
	http_json(req, &w);
	write_row(o.a, &w, &o.row, true);
	return 0;
}

/* --- beginning --- */

static int json_of(struct arena *a, const struct doc_node *n, bool spec, str *ret, struct err *reterr)
{
	struct buf CLEANUP_BUF out = BUF_INIT(2 * LIMIT_DOC_BYTES);
	struct jw              w;
	int                    rc;

	jw_init(&w, &out);
	if (spec)
		rollout_spec_write(n, &w);
	else
		jw_node(&w, n);
	*ret = arena_str(a, buf_str(&out));
	return (rc = buf_check(&out, "the definition", reterr)) ? rc : arena_check(a, "the definition", reterr);
}

static int read_start(struct http_req *req, struct rollout_start *o, struct err *reterr)
{
	static const char *const known[] = { "flag", "definition", "base", "comment", ROLLOUT_SPEC_KEYS, NULL };
	const struct doc_node   *definition;
	struct doc_node         *body;
	struct doc_check         c;
	struct flag_def          d;
	int                      rc = http_body_json(req, &body, reterr);

	if (rc)
		return rc;
	o->comment = STR("");
	doc_check_init(&c, http_arena(req), "body");
	if (doc_is_map(&c, body, "the body", known)) {
		o->key = doc_want_str(&c, doc_need(&c, body, "flag"), "flag");
		o->base = doc_want_int(&c, doc_need(&c, body, "base"), "base", 0, INT64_MAX);
		if (doc_get(body, "comment"))
			o->comment = doc_want_str(&c, doc_get(body, "comment"), "comment");
		if (o->comment.len > LIMIT_FLAG_COMMENT_BYTES || str_contains(o->comment, str_n("", 1)))
			doc_error(&c, doc_get(body, "comment"), "comment has at most %d bytes, none of them NUL", LIMIT_FLAG_COMMENT_BYTES);
		if ((definition = doc_need(&c, body, "definition"))) {
			flag_def_read(&c, o->key, definition->line, definition->col, definition, &d);
			if (d.archived)
				doc_error(&c, definition, "an archived flag has no users: archive it without a rollout");
			if (d.rollout)
				doc_error(&c, definition, "weir.rollout is written by the rollout itself");
			if ((rc = json_of(http_arena(req), definition, false, &o->definition, reterr)))
				return rc;
		}
		rollout_spec_read(&c, body, &o->spec);
		if ((rc = json_of(http_arena(req), body, true, &o->spec_json, reterr)))
			return rc;
	}
	return doc_check_result(&c, reterr);
}

static int post_rollout(struct http_req *req, void *ctx, struct err *reterr)
{
	struct flag_room    *r = ctx;
	char                 by[ACTOR_MAX], id[ID_SIZE];
	struct rollout_start o = { .set_id = set_of(req), .address = http_remote(req) };
	struct jw            w;
	int64_t              revision;
	int                  rc = read_start(req, &o, reterr);

	actor_of(req, by);
	o.by = str_z(by);
	if (!rc)
		rc = rollout_start(r, &o, http_arena(req), id, &revision, reterr);
	if (rc)
		return rc;
	for (int i = 0; i < KNOWN_WITHIN_MS / ORDER_LOOK_MS && !rollouts_know(r->rollouts, id); i++)
		clock_sleep_ms(ORDER_LOOK_MS); /* who reads the answer may send events at once */
	http_status(req, 201);
	http_json(req, &w);
	jw_obj(&w);
	jw_kstrz(&w, "id", id);
	jw_kint(&w, "revision", revision);
	jw_knum(&w, "share", o.spec.plan.steps[0]);
	jw_end(&w);
	return 0;
}

/* --- orders --- */

struct order {
	str id, word, by;
};

static int order_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct order *o = arg;

	return rollout_store_order(tx, o->id, o->word, o->by, reterr);
}

/* Until its row says that it was obeyed; o->row is what was seen last. */
static int wait_for_order(struct flag_room *r, struct http_req *req, struct one *o, struct err *reterr)
{
	usec_t until = clock_mono_now() + ORDER_WAIT_MS * USEC_PER_MSEC;
	int    rc;

	while (!(rc = db_read(r->cfg.db, one_tx, o, reterr)) && o->row.running && o->row.order.len) {
		if (clock_mono_now() > until || http_gone(req))
			return err_set(reterr, WEIR_ETIMEOUT, "the order was not obeyed yet; it stays given");
		clock_sleep_ms(ORDER_LOOK_MS);
	}
	if (!rc && o->row.order_answer.len)
		rc = err_set(reterr, WEIR_ECONFLICT, "refused: %.*s", STR_ARG(o->row.order_answer));
	return rc;
}

static int post_order(struct http_req *req, void *ctx, struct err *reterr)
{
	static const char *const known[] = { "order", NULL }, *const words[] = { "promote", "pause", "resume", "abort", NULL };
	struct flag_room        *r = ctx;
	char                     by[ACTOR_MAX];
	struct doc_node         *body;
	struct doc_check         c;
	struct order             order = { .word = STR_NULL };
	struct one               o;
	struct jw                w;
	int                      rc = http_body_json(req, &body, reterr);

	if (rc)
		return rc;
	doc_check_init(&c, http_arena(req), "body");
	if (doc_is_map(&c, body, "the body", known)) {
		int i = doc_want_enum(&c, doc_need(&c, body, "order"), "order", words);

		order.word = i >= 0 ? str_z(words[i]) : STR_NULL;
	}
	actor_of(req, by);
	order.by = str_z(by);
	if (!(rc = doc_check_result(&c, reterr)))
		rc = find(r, req, &o, reterr);
	order.id = http_param(req, "id");
	if (!rc)
		rc = db_write(r->cfg.db, order_tx, &order, reterr);
	if (!rc) {
		rollouts_kick(r->rollouts);
		rc = wait_for_order(r, req, &o, reterr);
	}
	if (rc)
		return rc;
	http_json(req, &w);
	write_row(o.a, &w, &o.row, false);
	return 0;
}

/* --- routes --- */

static const char start_schema[] =
	"{\"type\":\"object\",\"required\":[\"flag\",\"definition\",\"base\",\"outcomes\"],\"properties\":{\"flag\":{\"type\":\"string\"},\"definition\":{\"type\":\"object\"},"
	"\"base\":{\"type\":\"integer\"},\"comment\":{\"type\":\"string\"},\"steps\":{\"type\":\"array\"},\"step-min\":{\"type\":\"string\"},\"bake\":{\"type\":\"string\"},"
	"\"enough\":{\"type\":\"integer\"},\"outcomes\":{\"type\":\"array\"},\"salt\":{\"type\":\"string\"},\"hold\":{\"type\":\"object\"}}}";
static const char started_schema[] = "{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"},\"revision\":{\"type\":\"integer\"},\"share\":{\"type\":\"number\"}}}";
static const char rollout_schema[] =
	"{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"},\"set\":{\"type\":\"string\"},\"flag\":{\"type\":\"string\"},\"state\":{\"type\":\"string\"},"
	"\"running\":{\"type\":\"boolean\"},\"share\":{\"type\":\"number\"},\"cause\":{\"type\":\"string\"},\"counts\":{\"type\":\"object\"},\"evidence\":{\"type\":[\"object\",\"null\"]}}}";
static const char rollouts_schema[] = "{\"type\":\"object\",\"properties\":{\"rollouts\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}}}}";
static const char order_schema[] =
	"{\"type\":\"object\",\"required\":[\"order\"],\"additionalProperties\":false,\"properties\":{\"order\":{\"enum\":[\"promote\",\"pause\",\"resume\",\"abort\"]}}}";
static const char taken_schema[] = "{\"type\":\"object\",\"properties\":{\"taken\":{\"type\":\"integer\"},\"passed_over\":{\"type\":\"integer\"}}}";

#define SET_PATH "/api/v1/projects/:project/flag-sets/:set"
static const struct http_route routes[] = {
	{ .method = "POST", .path = SET_PATH "/rollouts", .kind = HTTP_WORKER, .scope = SCOPE_RELEASE, .body_max = LIMIT_DOC_BYTES, .fn = post_rollout,
	  .doc = "Changes a flag by steps, judged by what its users meet.", .body_doc = start_schema, .answer_doc = started_schema },
	{ .method = "GET", .path = SET_PATH "/rollouts", .kind = HTTP_WORKER, .scope = SCOPE_READ, .fn = get_rollouts, .doc = "Rollouts of a set's flags, newest first.",
	  .answer_doc = rollouts_schema },
	{ .method = "GET", .path = "/api/v1/flag-rollouts/:id:id", .kind = HTTP_WORKER, .scope = SCOPE_READ, .fn = get_rollout,
	  .doc = "A flag's rollout with its counts and the evidence of its last verdict.", .answer_doc = rollout_schema },
	{ .method = "POST", .path = "/api/v1/flag-rollouts/:id:id/orders", .kind = HTTP_WORKER, .scope = SCOPE_RELEASE, .body_max = 1000, .fn = post_order,
	  .doc = "Gives an order to a flag's rollout and waits until it is obeyed.", .body_doc = order_schema, .answer_doc = rollout_schema },
	{ .method = "POST", .path = "/api/v1/flags/track", .kind = HTTP_FAST, .scope = SCOPE_FLAGS, .body_max = 1000000, .fn = flag_track_post,
	  .doc = "Outcomes of an application's users and exposures to flags, as evidence for rollouts.", .body_doc = flag_track_schema, .answer_doc = taken_schema, .cors = true },
};

const struct http_route *flag_rollout_api(size_t *ret_n)
{
	*ret_n = ARRAY_SIZE(routes);
	return routes;
}
