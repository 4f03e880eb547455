/* flag-blast-api.c - the routes of blast radii (of a draft, of a change that is none yet) and of the samples that they are taken over (see flag-draft.h,
 * BLAST).
 *
 * Worker threads. Both sets are compiled and kept for the answer, which points into them. That somebody looked at a draft's blast radius is stored
 * before it is shown: approvals may depend on it. */
#include "base/base.h"

#include "base/limits.h"
#include "flag/draft-api.h"
#include "flag/flag-blast.h"
#include "flag/flag-draft.h"

/* --- blast radius --- */

struct blast {
	struct flag_room      *r;
	struct arena           arena;
	const struct doc_node **nodes; /* contexts: samples, then given ones */
	struct logic_value    *values;
	size_t                 n, n_samples;
	usec_t                 since;
	struct flag_set       *before, *after;
	struct flag_blast      found;
};

static int add_context(struct blast *b, const struct doc_node *n, struct err *reterr)
{
	b->nodes[b->n] = n;
	return logic_from_doc(&b->arena, n, &b->values[b->n++], reterr);
}

/* given: a list of maps, or NULL. */
static int gather(struct blast *b, str set, const struct doc_node *given, struct err *reterr)
{
	str *samples;
	int  rc = flag_samples_read(b->r, &b->arena, set, &samples, &b->n_samples, &b->since, reterr);

	b->nodes = ARENA_ARRAY(&b->arena, b->n_samples + doc_len(given) + 1, const struct doc_node *);
	b->values = ARENA_ARRAY(&b->arena, b->n_samples + doc_len(given) + 1, struct logic_value);
	if (!rc)
		rc = arena_check(&b->arena, "contexts", reterr);
	for (size_t i = 0; !rc && i < b->n_samples; i++) {
		struct doc_node *n;

		rc = doc_parse_json(&b->arena, "context", samples[i], &n, reterr);
		if (!rc)
			rc = add_context(b, n, reterr);
	}
	for (size_t i = 0; !rc && i < doc_len(given); i++)
		rc = add_context(b, doc_at(given, i), reterr);
	return rc;
}

/* before: a reference that goes to b. */
static int look(struct blast *b, struct flag_set *before, const struct flag_change *c, struct err *reterr)
{
	struct flag_set_head head = draft_head_after(before, c);
	str                 *touched = ARENA_ARRAY(&b->arena, c->n + 1, str);
	int                  rc;

	b->before = before;
	for (size_t i = 0; touched && i < c->n; i++)
		touched[i] = c->texts[i].key;
	if ((rc = arena_check(&b->arena, "blast radius", reterr)) || (rc = flag_set_build(before, &head, c->texts, c->n, &b->after, reterr)))
		return rc;
	return flag_blast(&b->arena,
					  &(struct flag_blast_question){ .before = b->before, .after = b->after, .touched = c->with_head || c->with_segments ? NULL : touched, .n_touched = c->n,
													 .contexts = b->values, .n_contexts = b->n, .now = clock_wall(b->r->cfg.clock) },
					  &b->found, reterr);
}

static void write_outcome(struct jw *w, const char *key, const struct flag_answer *a)
{
	jw_key(w, key);
	jw_obj(w);
	if (a->variant) {
		jw_kstr(w, "variant", a->variant->name);
		jw_key(w, "value");
		jw_raw(w, a->variant->json);
	}
	jw_kstrz(w, "reason", flag_reason_name(a->reason));
	if (a->error)
		jw_kstrz(w, "errorCode", flag_error_name(a->error));
	jw_end(w);
}

static void write_blast_flag(struct jw *w, const struct blast *b, const struct flag_blast_flag *f)
{
	jw_obj(w);
	jw_kstr(w, "key", f->key);
	jw_kbool(w, "touched", f->touched);
	jw_kint(w, "flips", (int64_t)f->flips);
	jw_key(w, "moves");
	jw_arr(w);
	for (size_t i = 0; i < f->n_moves; i++) {
		jw_obj(w);
		write_outcome(w, "from", &f->moves[i].from);
		write_outcome(w, "to", &f->moves[i].to);
		jw_kint(w, "contexts", (int64_t)f->moves[i].contexts);
		jw_end(w);
	}
	jw_end(w);
	jw_key(w, "examples");
	jw_arr(w);
	for (size_t i = 0; i < f->n_examples; i++) {
		jw_obj(w);
		jw_key(w, "context");
		jw_node(w, b->nodes[f->examples[i].context]);
		write_outcome(w, "from", &f->examples[i].from);
		write_outcome(w, "to", &f->examples[i].to);
		jw_end(w);
	}
	jw_end(w);
	jw_end(w);
}

static void write_blast(struct http_req *req, const struct blast *b)
{
	struct jw w;
	size_t    samples = b->n_samples < b->found.contexts ? b->n_samples : b->found.contexts;

	http_json(req, &w);
	jw_obj(&w);
	jw_kint(&w, "contexts", (int64_t)b->found.contexts);
	jw_kint(&w, "samples", (int64_t)samples);
	jw_kint(&w, "given", (int64_t)(b->found.contexts - samples));
	jw_key(&w, "since");
	jw_time(&w, b->since);
	jw_key(&w, "flags");
	jw_arr(&w);
	for (size_t i = 0; i < b->found.n_flags; i++)
		write_blast_flag(&w, b, &b->found.flags[i]);
	jw_end(&w);
	if (b->found.left_out)
		jw_kint(&w, "flags_left_out", (int64_t)b->found.left_out);
	jw_end(&w);
}

static void blast_fini(struct blast *b)
{
	flag_set_unref(b->after);
	flag_set_unref(b->before);
	arena_fini(&b->arena);
}

static const struct doc_node *want_contexts(struct doc_check *k, const struct doc_node *n)
{
	if (!n || !doc_is_seq(k, n, "contexts"))
		return NULL;
	if (doc_len(n) > LIMIT_FLAG_CONTEXTS) {
		doc_error(k, n, "at most %d contexts", LIMIT_FLAG_CONTEXTS);
		return NULL;
	}
	for (size_t i = 0; i < doc_len(n); i++)
		(void)doc_is_map(k, doc_at(n, i), "a context", NULL);
	return n;
}

static int post_blast(struct http_req *req, void *ctx, struct err *reterr)
{
	static const char *const known[] = { "contexts", FLAG_CHANGE_KEYS, NULL };
	struct blast             b = { .r = ctx, .arena = ARENA_INIT(WORK_ARENA_MAX) };
	const struct doc_node   *body, *given = NULL;
	struct flag_change       c;
	struct flag_set         *before;
	struct doc_check         k;
	int                      rc = draft_read_change(req, known, &c, &body, reterr);

	doc_check_init(&k, http_arena(req), "body");
	if (!rc) {
		given = want_contexts(&k, doc_get(body, "contexts"));
		rc = doc_check_result(&k, reterr);
	}
	if (!rc && !(rc = flag_present(b.r, c.id, NULL, &before, NULL, NULL, reterr))) {
		b.before = before;
		if (!(rc = gather(&b, c.id, given, reterr)))
			rc = look(&b, before, &c, reterr);
	}
	if (!rc)
		write_blast(req, &b);
	blast_fini(&b);
	return rc;
}

struct looked {
	const struct draft *d;
	str                 by;
	int64_t             contexts;
	usec_t              now;
};

static int looked_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct looked *l = arg;

	return draft_note_look(tx, l->d, l->by, l->contexts, l->now, reterr);
}

/* Of a draft that waits against the set as it is, of another against its base. That this actor looked is kept. */
static int draft_blast(struct http_req *req, struct flag_room *r, const struct doc_node *given, struct err *reterr)
{
	struct draft_view q = { .r = r, .arena = ARENA_INIT(WORK_ARENA_MAX), .set = draft_set_of(req), .id = http_param_int(req, "draft") };
	struct blast      b = { .r = r, .arena = ARENA_INIT(WORK_ARENA_MAX) };
	struct flag_set  *before = NULL;
	int               rc = draft_view_read(&q, reterr);

	if (!rc)
		rc = draft_waits(q.v) ? flag_present(r, q.set, NULL, &before, NULL, NULL, reterr) : flag_past(r, q.set, q.v->base, &before, reterr);
	b.before = before;
	if (!rc)
		rc = gather(&b, q.set, given, reterr);
	if (!rc)
		rc = look(&b, before, q.changes, reterr);
	if (!rc && draft_waits(q.v)) {
		struct looked l = { q.v, draft_actor_of(req).by, (int64_t)b.found.contexts, clock_wall(r->cfg.clock) };

		rc = db_write(r->cfg.db, looked_tx, &l, reterr);
	}
	if (!rc)
		write_blast(req, &b);
	blast_fini(&b);
	arena_fini(&q.arena);
	return rc;
}

static int get_draft_blast(struct http_req *req, void *ctx, struct err *reterr) { return draft_blast(req, ctx, NULL, reterr); }

static int post_draft_blast(struct http_req *req, void *ctx, struct err *reterr)
{
	static const char *const known[] = { "contexts", NULL };
	const struct doc_node   *given = NULL;
	struct doc_node         *body;
	struct doc_check         k;
	int                      rc = http_body_json(req, &body, reterr);

	if (rc)
		return rc;
	doc_check_init(&k, http_arena(req), "body");
	if (doc_is_map(&k, body, "the body", known))
		given = want_contexts(&k, doc_need(&k, body, "contexts"));
	rc = doc_check_result(&k, reterr);
	return rc ? rc : draft_blast(req, ctx, given, reterr);
}

/* --- samples --- */

static int answer_samples(struct flag_room *r, struct http_req *req, struct err *reterr)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(64 << 20);
	struct flag_sampling       how;
	struct jw                  w;
	usec_t                     since;
	size_t                     n;
	str                       *v;
	int                        rc = flag_sampling_get(r, &a, draft_set_of(req), &how, reterr);

	if (!rc)
		rc = flag_samples_read(r, &a, draft_set_of(req), &v, &n, &since, reterr);
	if (rc)
		return rc;
	http_json(req, &w);
	jw_obj(&w);
	jw_kint(&w, "keep", how.keep);
	jw_kint(&w, "days", how.days);
	jw_key(&w, "deny");
	jw_arr(&w);
	for (size_t i = 0; i < how.n_deny; i++)
		jw_str(&w, how.deny[i]);
	jw_end(&w);
	jw_kint(&w, "contexts", (int64_t)n);
	jw_key(&w, "since");
	jw_time(&w, since);
	jw_end(&w);
	return 0;
}

static int get_samples(struct http_req *req, void *ctx, struct err *reterr) { return answer_samples(ctx, req, reterr); }

static void read_deny(struct doc_check *k, const struct doc_node *n, struct flag_sampling *ret)
{
	enum { DENY_MAX = 200, DEFAULT_DAYS = 7 };
	size_t default_n = 0;
	str   *v;

	while (flag_deny_default[default_n])
		default_n++;
	if (n && !doc_is_seq(k, n, "deny"))
		return;
	if (doc_len(n) > DENY_MAX) {
		doc_error(k, n, "deny has at most %d names", DENY_MAX);
		return;
	}
	ret->n_deny = n ? doc_len(n) : default_n;
	v = ARENA_ARRAY(k->arena, ret->n_deny + 1, str);
	for (size_t i = 0; v && i < ret->n_deny; i++)
		v[i] = n ? doc_want_str(k, doc_at(n, i), "a name of an attribute") : str_z(flag_deny_default[i]);
	ret->deny = v;
	if (!v)
		ret->n_deny = 0;
}

static int put_samples(struct http_req *req, void *ctx, struct err *reterr)
{
	static const char *const known[] = { "keep", "days", "deny", NULL };
	struct flag_room        *r = ctx;
	struct flag_sampling     how = { .days = 7 };
	struct flag_set         *s;
	struct doc_node         *body;
	struct doc_check         k;
	int                      rc = http_body_json(req, &body, reterr);

	if (rc)
		return rc;
	doc_check_init(&k, http_arena(req), "body");
	if (doc_is_map(&k, body, "the body", known)) {
		how.keep = doc_want_int(&k, doc_need(&k, body, "keep"), "keep", 0, LIMIT_FLAG_SAMPLES);
		if (doc_get(body, "days"))
			how.days = doc_want_int(&k, doc_get(body, "days"), "days", 1, LIMIT_FLAG_SAMPLE_DAYS);
		read_deny(&k, doc_get(body, "deny"), &how);
	}
	if (!(rc = doc_check_result(&k, reterr)))
		rc = flag_present(r, draft_set_of(req), NULL, &s, NULL, NULL, reterr);
	if (rc)
		return rc;
	flag_set_unref(s);
	rc = flag_sampling_put(r, draft_set_of(req), http_param(req, "project"), &how, draft_actor_of(req).by, reterr);
	return rc ? rc : answer_samples(r, req, reterr);
}

/* --- routes --- */

static const char contexts_schema[] =
	"{\"type\":\"object\",\"required\":[\"contexts\"],\"additionalProperties\":false,\"properties\":{\"contexts\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}}}}";
static const char blast_body_schema[] =
	"{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"contexts\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}}," CHANGE_PROPERTIES "}}";
static const char samples_body_schema[] =
	"{\"type\":\"object\",\"required\":[\"keep\"],\"additionalProperties\":false,\"properties\":{\"keep\":{\"type\":\"integer\"},\"days\":{\"type\":\"integer\"},"
	"\"deny\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}}}}";
static const char blast_schema[] =
	"{\"type\":\"object\",\"properties\":{\"contexts\":{\"type\":\"integer\"},\"samples\":{\"type\":\"integer\"},\"given\":{\"type\":\"integer\"},"
	"\"since\":{\"type\":[\"string\",\"null\"]},\"flags\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}}}}";
static const char samples_schema[] =
	"{\"type\":\"object\",\"properties\":{\"keep\":{\"type\":\"integer\"},\"days\":{\"type\":\"integer\"},\"deny\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},"
	"\"contexts\":{\"type\":\"integer\"},\"since\":{\"type\":[\"string\",\"null\"]}}}";

static const struct http_route routes[] = {
	{ .method = "GET", .path = DRAFT_PATH "/blast-radius", .kind = HTTP_WORKER, .scope = SCOPE_READ, .fn = get_draft_blast,
	  .doc = "Which of the sampled contexts would get something else. That the caller looked counts for an approval.", .answer_doc = blast_schema },
	{ .method = "POST", .path = DRAFT_PATH "/blast-radius", .kind = HTTP_WORKER, .scope = SCOPE_READ, .body_max = BODY_MAX, .fn = post_draft_blast,
	  .doc = "The same with contexts of the caller's own beside the samples.", .body_doc = contexts_schema, .answer_doc = blast_schema },
	{ .method = "POST", .path = SET_PATH "/blast-radius", .kind = HTTP_WORKER, .scope = SCOPE_READ, .body_max = BODY_MAX, .fn = post_blast,
	  .doc = "Whom a change would hit that is not proposed yet.", .body_doc = blast_body_schema, .answer_doc = blast_schema },
	{ .method = "GET", .path = SET_PATH "/samples", .kind = HTTP_WORKER, .scope = SCOPE_READ, .fn = get_samples, .doc = "How many contexts are kept of the set, and how.",
	  .answer_doc = samples_schema },
	{ .method = "PUT", .path = SET_PATH "/samples", .kind = HTTP_WORKER, .scope = SCOPE_RELEASE, .body_max = 64 << 10, .fn = put_samples,
	  .doc = "Keeps contexts of evaluations, or ends that (keep 0); those kept before are dropped at once.", .body_doc = samples_body_schema, .answer_doc = samples_schema },
};

const struct http_route *flag_blast_routes(size_t *ret_n)
{
	*ret_n = ARRAY_SIZE(routes);
	return routes;
}
