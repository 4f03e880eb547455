/* flag-api.c - weir's own routes for flags: sets, their documents and revisions, changes, evaluation with its reasons, also of the past.
 *
 * Worker threads. Whoever may read sees definitions; changing them needs the scope release, since a flag changes what users get. */
#include "base/base.h"

#include "base/hash.h"
#include "flag/draft.h"
#include "flag/room.h"

enum { CHANGE_BODY_MAX = LIMIT_DOC_BYTES, PAGE_MAX = 100, PAST_ARENA_MAX = 1 << 30 };

static str set_id(struct http_req *req)
{
	char *id = arena_printf(http_arena(req), "%.*s/%.*s", STR_ARG(http_param(req, "project")), STR_ARG(http_param(req, "set")));

	return id ? str_z(id) : STR_NULL;
}

static void actor_of(const struct http_req *req, char out[ACTOR_MAX])
{
	snprintf(out, ACTOR_MAX, "token:%.64s", http_who(req)->name[0] ? http_who(req)->name : "anonymous");
}

/* --- sets --- */

static void write_entry(struct jw *w, const struct flag_entry *e)
{
	jw_obj(w);
	jw_kstrz(w, "id", e->id);
	jw_kstrz(w, "project", e->project);
	jw_kstrz(w, "name", e->name);
	if (*e->environment)
		jw_kstrz(w, "environment", e->environment);
	jw_kstr(w, "flagSetId", e->flag_set_id);
	jw_kstrz(w, "source", e->source == FLAG_IN_REPOSITORY ? "repository" : "store");
	jw_kint(w, "revision", flag_set_head(e->set)->revision);
	jw_kint(w, "flags", (int64_t)e->n_sorted);
	jw_ktime(w, "changed_at", e->changed_at);
	jw_end(w);
}

static int get_sets(struct http_req *req, void *ctx, struct err *reterr UNUSED)
{
	struct flag_room           *r = ctx;
	const struct http_identity *who = http_who(req);
	str                         project = http_query(req, "project");
	const struct flag_table    *t = flag_read_begin(r->tables);
	struct jw                   w;

	http_json(req, &w);
	jw_obj(&w);
	jw_key(&w, "flag_sets");
	jw_arr(&w);
	for (size_t i = 0; i < t->n; i++) {
		const struct flag_entry *e = t->entries[i];

		if ((!who->project[0] || !strcmp(who->project, e->project)) && (!project.len || str_eqz(project, e->project)))
			write_entry(&w, e);
	}
	flag_read_end(r->tables);
	jw_end(&w);
	jw_end(&w);
	return 0;
}

static bool flag_environment_ok(str s) { return s.len <= LIMIT_NAME_BYTES && (!s.len || flag_key_ok(s)); }

struct create {
	struct flag_room *r;
	struct stored_set set;
	const char       *by;
};

static int create_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct create         *c = arg;
	struct buf CLEANUP_BUF data = BUF_INIT(4096);
	struct jw              w;
	int                    rc = flag_store_create(tx, &c->set, reterr);

	jw_init(&w, &data);
	jw_obj(&w);
	jw_kstr(&w, "set", c->set.id);
	jw_kstr(&w, "environment", c->set.environment);
	jw_kstrz(&w, "source", "store");
	jw_end(&w);
	if (!rc)
		rc = event_append(c->r->cfg.log, tx, c->set.project, EVENT_FLAG_SET_CREATED, str_z(c->by), buf_str(&data), NULL, reterr);
	return rc ? rc : db_notify(tx, FLAG_CHANNEL, reterr);
}

/* Does a client that says `name` mean a set of the project already, other than this one? */
static bool is_meant(struct flag_room *r, const struct stored_set *s, str name)
{
	const struct flag_table *t = flag_read_begin(r->tables);
	bool                     ret = false;

	for (size_t i = 0; name.len && i < t->n; i++) {
		const struct flag_entry *e = t->entries[i];

		ret |= str_eqz(s->project, e->project) && !str_eqz(s->id, e->id) && (str_eqz(name, e->environment) || str_eqz(name, e->name));
	}
	flag_read_end(r->tables);
	return ret;
}

/* Clients name their set by its environment. A second one that answers to the same name leaves them with neither: in a protected environment that is a change
 * like any other, and comes by a draft. */
static int check_names(struct flag_room *r, struct arena *a, const struct stored_set *s, struct err *reterr)
{
	const str names[] = { s->environment, s->name };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct flag_protection p;
		int                    rc;

		if (!is_meant(r, s, names[i]))
			continue;
		if ((rc = flag_protection_load(&r->cfg.source, a, s->project, &p, reterr)))
			return rc;
		if (flag_protection_of(&p, names[i]))
			return err_set(reterr, WEIR_EPERM, "the environment '%.*s' is protected by " PROTECTION_PATH " and has a set already: make this one under another name and without "
						   "environment, and bring it there by a draft", STR_ARG(names[i]));
	}
	return 0;
}

static int put_set(struct http_req *req, void *ctx, struct err *reterr)
{
	static const char *const known[] = { "environment", NULL };
	struct flag_room        *r = ctx;
	char                     by[ACTOR_MAX];
	struct create            c = { .r = r, .by = by };
	struct git_repo         *repo = NULL;
	struct doc_node         *body;
	struct doc_check         k;
	int                      rc = http_body_json(req, &body, reterr);

	if (rc)
		return rc;
	doc_check_init(&k, http_arena(req), "body");
	c.set = (struct stored_set){ .id = set_id(req), .project = http_param(req, "project"), .name = http_param(req, "set"), .environment = STR("") };
	if (doc_is_map(&k, body, "the body", known) && doc_get(body, "environment"))
		c.set.environment = doc_want_str(&k, doc_get(body, "environment"), "environment");
	if (!flag_environment_ok(c.set.environment))
		doc_error(&k, doc_get(body, "environment"), "environment has at most %d bytes without control characters", LIMIT_NAME_BYTES);
	c.set.changed_at = clock_wall(r->cfg.clock);
	actor_of(req, by);
	if (!(rc = doc_check_result(&k, reterr)) && !(rc = r->cfg.source.open(r->cfg.source.ctx, c.set.project, &repo, reterr)))
		git_repo_close(repo); /* the project is there */
	if (!rc)
		rc = check_names(r, http_arena(req), &c.set, reterr);
	if (!rc)
		rc = db_write(r->cfg.db, create_tx, &c, reterr);
	if (rc == -WEIR_EEXIST)
		return err_set(reterr, WEIR_EEXIST, "flag set '%.*s' exists already", STR_ARG(c.set.id));
	if (!rc)
		rc = flag_reload(r, c.set.id, reterr);
	if (!rc) {
		struct jw w;

		http_status(req, 201);
		http_json(req, &w);
		jw_obj(&w);
		jw_kstr(&w, "id", c.set.id);
		jw_kint(&w, "revision", 0);
		jw_end(&w);
	}
	return rc;
}

/* --- a set at a revision --- */

struct past {
	struct flag_room *r;
	struct arena      arena;
	str               id;
	int64_t           revision; /* -1: the newest at `when` */
	usec_t            when;
	struct flag_set  *set;
	struct flag_set_head head;
	struct flag_text *texts;
	size_t            n;
};

static int past_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct past      *p = arg;
	struct stored_set s;
	int               rc;

	arena_fini(&p->arena);
	p->set = flag_set_unref(p->set);
	rc = flag_store_find(tx, &p->arena, p->id, &s, reterr);
	if (!rc && p->revision < 0)
		rc = flag_store_revision_at(tx, p->id, p->when, &p->revision, reterr);
	if (!rc)
		p->set = flag_pasts_get(&p->r->pasts, p->id, p->revision);
	return rc || p->set ? rc : flag_store_at(tx, &p->arena, p->id, p->revision, &p->head, &p->texts, &p->n, reterr);
}

/* The set as it was: p->revision, or what was newest at p->when. The caller frees with past_end(). */
static int past_begin(struct flag_room *r, struct past *p, struct err *reterr)
{
	int rc = db_read(r->cfg.db, past_tx, p, reterr);

	if (rc || p->set)
		return rc;
	rc = flag_set_build(NULL, &p->head, p->texts, p->n, &p->set, reterr);
	if (!rc)
		flag_pasts_put(&r->pasts, p->set);
	return rc;
}

static void past_end(struct past *p)
{
	p->set = flag_set_unref(p->set);
	arena_fini(&p->arena);
}

/* The present set or a past one, by the request's ?revision= or ?at=; *ret has a reference of its own. */
static int set_of(struct flag_room *r, str id, int64_t revision, usec_t when, struct flag_set **ret, struct err *reterr)
{
	struct past p = { .r = r, .arena = ARENA_INIT(PAST_ARENA_MAX), .id = id, .revision = revision, .when = when };
	int         rc;

	if (revision < 0 && !when)
		return flag_present(r, id, NULL, ret, NULL, NULL, reterr);
	*ret = NULL;
	if (!(rc = past_begin(r, &p, reterr)))
		*ret = flag_set_ref(p.set);
	past_end(&p);
	return rc;
}

int flag_past(struct flag_room *r, str id, int64_t at, struct flag_set **ret, struct err *reterr) { return set_of(r, id, at, 0, ret, reterr); }

static int by_key(const void *pa, const void *pb)
{
	return str_cmp((*(const struct flag *const *)pa)->key, (*(const struct flag *const *)pb)->key);
}

static const struct flag **sorted(const struct flag_set *s, struct arena *a)
{
	const struct flag **v = ARENA_ARRAY(a, flag_set_count(s) + 1, const struct flag *);
	size_t              n = 0;

	for (const struct flag *f = v ? flag_set_next(s, NULL) : NULL; f; f = flag_set_next(s, f))
		v[n++] = f;
	if (v)
		qsort(v, n, sizeof(*v), by_key);
	return v;
}

static int get_set(struct http_req *req, void *ctx, struct err *reterr)
{
	struct flag_room   *r = ctx;
	struct flag_set    *s;
	const struct flag **v;
	struct jw           w;
	bool                archived = http_query_int(req, "archived", 0); /* other readers of the format would serve them */
	int                 rc = set_of(r, set_id(req), http_query_int(req, "revision", -1), 0, &s, reterr);

	if (rc)
		return rc;
	v = sorted(s, http_arena(req));
	http_set_headerf(req, "ETag", "\"%lld\"", (long long)flag_set_head(s)->revision);
	http_json(req, &w);
	jw_obj(&w);
	jw_kstrz(&w, "$schema", "https://flagd.dev/schema/v0/flags.json");
	jw_key(&w, "flags");
	jw_obj(&w);
	for (size_t i = 0; v && i < flag_set_count(s); i++) {
		if (v[i]->archived && !archived)
			continue;
		jw_key_n(&w, v[i]->key);
		jw_raw(&w, v[i]->text);
	}
	jw_end(&w);
	if (flag_set_head(s)->evaluators.len) {
		jw_key(&w, "$evaluators");
		jw_raw(&w, flag_set_head(s)->evaluators);
	}
	if (flag_set_head(s)->metadata.len) {
		jw_key(&w, "metadata");
		jw_raw(&w, flag_set_head(s)->metadata);
	}
	if (flag_set_head(s)->segments.len) {
		jw_key(&w, "weir");
		jw_obj(&w);
		jw_key(&w, "segments");
		jw_raw(&w, flag_set_head(s)->segments);
		jw_end(&w);
	}
	jw_end(&w);
	flag_set_unref(s);
	return 0;
}

/* --- changes --- */

/* A node as compact JSON in a; NULL node or null: empty. */
static str json_of(struct arena *a, const struct doc_node *n)
{
	struct buf CLEANUP_BUF out = BUF_INIT(2 * LIMIT_DOC_BYTES);
	struct jw              w;

	if (!n || n->kind == DOC_NULL)
		return (str){ "", 0 };
	jw_init(&w, &out);
	jw_node(&w, n);
	return arena_str(a, buf_str(&out));
}

static void read_change_flags(struct doc_check *k, const struct doc_node *flags, struct flag_change *c)
{
	struct flag_text *v;

	if (!flags || !doc_is_map(k, flags, "flags", NULL))
		return;
	v = ARENA_ARRAY(k->arena, doc_len(flags) + 1, struct flag_text);
	for (size_t i = 0; v && i < doc_len(flags); i++) {
		const struct doc_pair *p = &flags->map.pairs[i];
		struct flag_def        d;

		if (p->value->kind != DOC_NULL)
			flag_def_read(k, p->key, p->line, p->col, p->value, &d); /* errors with their place in the body */
		v[i] = (struct flag_text){ p->key, json_of(k->arena, p->value) };
	}
	c->texts = v;
	c->n = v ? doc_len(flags) : 0;
}

/* As strictly as in a file. */
static void read_change_head(struct doc_check *k, const struct doc_node *body, struct flag_change *c)
{
	const struct doc_node *evaluators = doc_get(body, "evaluators"), *metadata = doc_get(body, "metadata"), *segments = doc_get(body, "segments");
	struct flag_set_def    head = { 0 };

	c->with_head = evaluators || metadata;
	if (c->with_head && !(evaluators && metadata))
		doc_error(k, body, "evaluators and metadata are changed together: give both ({} for none)");
	c->with_segments = segments != NULL;
	flag_head_read(k, evaluators, metadata, segments, &head);
	c->evaluators = doc_len(evaluators) ? json_of(k->arena, evaluators) : STR("");
	c->metadata = doc_len(metadata) ? json_of(k->arena, metadata) : STR("");
	c->segments = doc_len(segments) ? json_of(k->arena, segments) : STR("");
}

static void read_change_environment(struct doc_check *k, const struct doc_node *n, struct flag_change *c)
{
	c->with_environment = n;
	c->environment = doc_want_str(k, n, "environment");
	if (n && !flag_environment_ok(c->environment))
		doc_error(k, n, "environment has at most %d bytes without control characters", LIMIT_NAME_BYTES);
}

void flag_change_read(struct doc_check *k, const struct doc_node *body, struct flag_change *c)
{
	const struct doc_node *comment = doc_get(body, "comment");

	read_change_flags(k, doc_get(body, "flags"), c);
	read_change_head(k, body, c);
	read_change_environment(k, doc_get(body, "environment"), c);
	if (comment)
		c->comment = doc_want_str(k, comment, "comment");
	if (c->comment.len > LIMIT_FLAG_COMMENT_BYTES || str_contains(c->comment, str_n("", 1)))
		doc_error(k, comment, "comment has at most %d bytes, none of them NUL", LIMIT_FLAG_COMMENT_BYTES);
	if (!c->n && !c->with_head && !c->with_segments && !c->with_environment)
		doc_error(k, body, "nothing to change: give flags, segments, evaluators and metadata, or environment");
}

static int read_change(struct http_req *req, struct flag_change *c, struct err *reterr)
{
	static const char *const known[] = { "base", FLAG_CHANGE_KEYS, NULL };
	struct doc_node         *body;
	struct doc_check         k;
	int                      rc = http_body_json(req, &body, reterr);

	if (rc)
		return rc;
	doc_check_init(&k, http_arena(req), "body");
	if (doc_is_map(&k, body, "the body", known)) {
		c->base = doc_want_int(&k, doc_need(&k, body, "base"), "base", 0, INT64_MAX);
		flag_change_read(&k, body, c);
	}
	return doc_check_result(&k, reterr);
}

static int post_change(struct http_req *req, void *ctx, struct err *reterr)
{
	struct flag_room  *r = ctx;
	char               by[ACTOR_MAX];
	struct flag_change c = { .id = set_id(req), .by = str_z(by), .address = http_remote(req), .now = clock_wall(r->cfg.clock), .comment = STR("") };
	struct jw          w;
	int64_t            revision;
	int                rc = read_change(req, &c, reterr);

	actor_of(req, by);
	c.by = str_z(by);
	if (!rc)
		rc = flag_apply(r, &c, &revision, reterr);
	if (rc)
		return rc;
	http_json(req, &w);
	jw_obj(&w);
	jw_kint(&w, "revision", revision);
	jw_kint(&w, "flags", (int64_t)c.n);
	jw_end(&w);
	return 0;
}

/* --- history --- */

struct history {
	struct arena           *a;
	str                     id;
	int64_t                 before;
	size_t                  max;
	struct stored_revision *v;
	str                   **keys;
	size_t                 *n_keys;
	struct flag_provenance *from; /* drafts and approvals */
	size_t                  n;
};

static int history_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct history   *h = arg;
	struct stored_set s;
	int               rc = flag_store_find(tx, h->a, h->id, &s, reterr);

	if (!rc)
		rc = flag_store_revisions(tx, h->a, h->id, h->before, h->max, &h->v, &h->n, reterr);
	h->keys = ARENA_ARRAY(h->a, h->max, str *);
	h->n_keys = ARENA_ARRAY(h->a, h->max, size_t);
	h->from = ARENA_ARRAY(h->a, h->max, struct flag_provenance);
	for (size_t i = 0; !rc && h->keys && h->n_keys && i < h->n; i++)
		rc = flag_store_revision_keys(tx, h->a, h->id, h->v[i].revision, &h->keys[i], &h->n_keys[i], reterr);
	for (size_t i = 0; !rc && h->from && i < h->n; i++)
		rc = flag_provenance_of(tx, h->a, h->id, h->v[i].revision, &h->from[i], reterr);
	return rc ? rc : arena_check(h->a, "history of a flag set", reterr);
}

static int get_revisions(struct http_req *req, void *ctx, struct err *reterr)
{
	struct flag_room *r = ctx;
	struct history    h = { .a = http_arena(req), .id = set_id(req), .before = http_query_int(req, "before", 0), .max = (size_t)http_query_int(req, "limit", 20) };
	struct jw         w;
	int               rc = db_read(r->cfg.db, history_tx, &h, reterr);

	if (rc)
		return rc;
	http_json(req, &w);
	jw_obj(&w);
	jw_key(&w, "revisions");
	jw_arr(&w);
	for (size_t i = 0; i < h.n; i++) {
		jw_obj(&w);
		jw_kint(&w, "revision", h.v[i].revision);
		jw_ktime(&w, "at", h.v[i].at);
		jw_kstr(&w, "by", h.v[i].by);
		jw_kstr(&w, "address", h.v[i].address);
		jw_kstr(&w, "comment", h.v[i].comment);
		jw_kint(&w, "flags", h.v[i].flags);
		jw_kstr(&w, "digest", h.v[i].digest);
		jw_key(&w, "keys");
		jw_arr(&w);
		for (size_t j = 0; j < h.n_keys[i]; j++)
			jw_str(&w, h.keys[i][j]);
		jw_end(&w);
		if (h.from[i].draft) {
			jw_kint(&w, "draft", h.from[i].draft);
			jw_key(&w, "approvals");
			jw_raw(&w, h.from[i].approvals);
		}
		jw_end(&w);
	}
	jw_end(&w);
	jw_end(&w);
	return 0;
}

/* --- evaluation with its reasons --- */

struct question {
	str                    key;
	const struct doc_node *context;
	int64_t                revision; /* -1: not said */
	usec_t                 at;       /* 0: now */
};

static int read_question(struct http_req *req, struct question *q, struct err *reterr)
{
	static const char *const known[] = { "key", "context", "revision", "at", NULL };
	struct doc_node         *body;
	struct doc_check         k;
	str                      at;
	int                      rc = http_body_json(req, &body, reterr);

	if (rc)
		return rc;
	q->revision = -1;
	doc_check_init(&k, http_arena(req), "body");
	if (doc_is_map(&k, body, "the body", known)) {
		q->key = doc_want_str(&k, doc_need(&k, body, "key"), "key");
		q->context = doc_get(body, "context");
		if (q->context)
			(void)doc_is_map(&k, q->context, "context", NULL);
		if (doc_get(body, "revision"))
			q->revision = doc_want_int(&k, doc_get(body, "revision"), "revision", 0, INT64_MAX);
		at = doc_want_str(&k, doc_get(body, "at"), "at");
		if (at.len && !clock_parse_rfc3339(at, &q->at))
			doc_error(&k, doc_get(body, "at"), "at must be a time such as 2027-01-31T09:00:00Z");
	}
	return doc_check_result(&k, reterr);
}

static int post_evaluate(struct http_req *req, void *ctx, struct err *reterr)
{
	struct flag_room   *r = ctx;
	struct question     q = { .key = STR_NULL };
	struct flag_context c = { .random = flag_chance(r), .scratch = http_arena(req) };
	struct flag_set    *s = NULL;
	struct jw           w;
	int                 rc = read_question(req, &q, reterr);

	if (!rc && q.context)
		rc = logic_from_doc(http_arena(req), q.context, &c.data, reterr);
	if (!rc)
		rc = set_of(r, set_id(req), q.revision, q.at, &s, reterr);
	c.now = q.at ? q.at : clock_wall(r->cfg.clock);
	http_json(req, &w);
	if (!rc)
		rc = flag_explain(s, q.key, &c, &w, reterr);
	flag_set_unref(s);
	return rc;
}

/* --- routes --- */

static const struct http_query_param sets_query[] = { { .name = "project", .kind = QUERY_TEXT, .doc = "only this project's" }, { .name = NULL } };
static const struct http_query_param set_query[] = {
	{ .name = "revision", .kind = QUERY_INT, .min = 0, .max = INT64_MAX, .doc = "as this revision left it; else the newest" },
	{ .name = "archived", .kind = QUERY_INT, .min = 0, .max = 1, .doc = "1: with the archived flags, which are not served" },
	{ .name = NULL },
};
static const struct http_query_param revisions_query[] = {
	{ .name = "before", .kind = QUERY_INT, .min = 0, .max = INT64_MAX, .doc = "only revisions before this one" },
	{ .name = "limit", .kind = QUERY_INT, .min = 1, .max = PAGE_MAX, .doc = "how many; 20 when not said" },
	{ .name = NULL },
};
static const char sets_schema[] = "{\"type\":\"object\",\"properties\":{\"flag_sets\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}}}}";
static const char create_schema[] = "{\"type\":\"object\",\"properties\":{\"environment\":{\"type\":\"string\"}},\"additionalProperties\":false}";
static const char change_schema[] =
	"{\"type\":\"object\",\"required\":[\"base\"],\"additionalProperties\":false,\"properties\":{\"base\":{\"type\":\"integer\"},\"flags\":{\"type\":\"object\"},"
	"\"evaluators\":{\"type\":\"object\"},\"metadata\":{\"type\":\"object\"},\"segments\":{\"type\":\"object\"},\"environment\":{\"type\":\"string\"},\"comment\":{\"type\":\"string\"}}}";
static const char document_schema[] = "{\"type\":\"object\",\"required\":[\"flags\"],\"properties\":{\"flags\":{\"type\":\"object\"}}}";
static const char revision_schema[] = "{\"type\":\"object\",\"properties\":{\"revision\":{\"type\":\"integer\"}}}";
static const char revisions_schema[] = "{\"type\":\"object\",\"properties\":{\"revisions\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}}}}";
static const char question_schema[] =
	"{\"type\":\"object\",\"required\":[\"key\"],\"additionalProperties\":false,\"properties\":{\"key\":{\"type\":\"string\"},\"context\":{\"type\":\"object\"},"
	"\"revision\":{\"type\":\"integer\"},\"at\":{\"type\":\"string\",\"format\":\"date-time\"}}}";
static const char explain_schema[] =
	"{\"type\":\"object\",\"properties\":{\"key\":{\"type\":\"string\"},\"set\":{\"type\":\"string\"},\"revision\":{\"type\":\"integer\"},\"reason\":{\"type\":\"string\"},"
	"\"variant\":{\"type\":\"string\"},\"value\":{},\"steps\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}}}}";

#define SET_PATH "/api/v1/projects/:project/flag-sets/:set"
static const struct http_route routes[] = {
	{ .method = "GET", .path = "/api/v1/flag-sets", .kind = HTTP_WORKER, .scope = SCOPE_READ, .fn = get_sets, .doc = "All flag sets that the token may see.",
	  .answer_doc = sets_schema, .query = sets_query },
	{ .method = "PUT", .path = SET_PATH, .kind = HTTP_WORKER, .scope = SCOPE_RELEASE, .body_max = 4096, .fn = put_set,
	  .doc = "Makes an empty flag set that is kept in the store.", .body_doc = create_schema, .answer_doc = revision_schema },
	{ .method = "GET", .path = SET_PATH, .kind = HTTP_WORKER, .scope = SCOPE_READ, .fn = get_set, .doc = "The set as a document in flagd's format.",
	  .answer_doc = document_schema, .query = set_query },
	{ .method = "POST", .path = SET_PATH "/changes", .kind = HTTP_WORKER, .scope = SCOPE_RELEASE, .body_max = CHANGE_BODY_MAX, .fn = post_change,
	  .doc = "Changes flags, all or none; base is the revision that the author saw, a flag that changed since is a conflict.", .body_doc = change_schema,
	  .answer_doc = revision_schema },
	{ .method = "GET", .path = SET_PATH "/revisions", .kind = HTTP_WORKER, .scope = SCOPE_READ, .fn = get_revisions, .doc = "Revisions, newest first.",
	  .answer_doc = revisions_schema, .query = revisions_query },
	{ .method = "POST", .path = SET_PATH "/evaluate", .kind = HTTP_WORKER, .scope = SCOPE_READ, .body_max = 1000000, .fn = post_evaluate,
	  .doc = "What a context gets of a flag and why, now, at a revision or at a time.", .body_doc = question_schema, .answer_doc = explain_schema },
};

const struct http_route *flag_routes(size_t *ret_n)
{
	*ret_n = ARRAY_SIZE(routes);
	return routes;
}
