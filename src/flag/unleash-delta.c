/* unleash-delta.c - what changed in a set, as Unleash's delta and streaming protocols say it.
 *
 * The id of an event is the revision of the set that it leads to, so that a client goes on where it was over a restart of the server, or at another server.
 * Which flags changed since a revision is read from the stored ones; what is sent is how they are now. A client that comes with a revision that is not
 * known gets everything (hydration). Streams are answered on loop threads: one read of the database per change and query, shared by all clients (the
 * cache). A set that is too large for an event is not streamed: its clients are sent back to polling, as the protocol has it. */
#include "base/base.h"

#include "base/map.h"
#include "flag/unleash-api.h"

enum { CHANGES_ARENA_MAX = 512 << 20, EVENT_ROOM = 1000 };

struct delta {
	struct flag_room           *r;
	const struct unleash_set   *s;
	const struct unleash_query *q;
	int64_t                     after, now;
	struct arena                arena;
	struct flag_text           *texts;
	size_t                      n;
	struct flag_set_head        before;
	void (*use)(void *ctx, str text);
	void *ctx;
};

static int changes_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct delta *d = arg;
	int           rc;

	arena_fini(&d->arena);
	rc = flag_store_head_at(tx, &d->arena, d->s->id, d->after, &d->before, reterr);
	return rc ? rc : flag_store_texts_after(tx, &d->arena, d->s->id, d->after, &d->texts, &d->n, reterr);
}

static void begin_event(struct jw *w, const struct delta *d, const char *type)
{
	jw_obj(w);
	jw_kstrz(w, "type", type);
	jw_kint(w, "eventId", d->now);
}

static void write_feature(struct jw *w, const struct delta *d, str key)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(CHANGES_ARENA_MAX);
	const struct flag         *f = flag_set_find(d->s->set, key);
	const struct doc_node     *def = f ? unleash_def(&a, f) : NULL;

	if (f && !unleash_left_out(&a, d->s->set, f, def) && unleash_wanted(d->q, f, def)) {
		begin_event(w, d, "feature-updated");
		jw_key(w, "feature");
		unleash_write_feature(w, d->s->project, f, def, NULL, false);
	} else { /* gone, or not for these clients any more; those that never had it pass over the event */
		begin_event(w, d, "feature-removed");
		jw_kstr(w, "featureName", key);
		jw_kstr(w, "project", d->s->project);
	}
	jw_end(w);
}

static int by_key(const void *pa, const void *pb) { return str_cmp(((const struct flag_text *)pa)->key, ((const struct flag_text *)pb)->key); }

/* Flags that depend on a changed one may be left out with it, or come back: they are told, too. */
static void write_dependents(struct jw *w, const struct delta *d)
{
	struct map changed;

	map_init(&changed);
	for (size_t i = 0; i < d->n; i++)
		if (!map_put(&changed, d->texts[i].key, d->texts, NULL))
			w->out->failed = true;
	for (const struct flag *f = flag_set_next(d->s->set, NULL); f; f = flag_set_next(d->s->set, f)) {
		struct arena CLEANUP_ARENA a = ARENA_INIT(CHANGES_ARENA_MAX);
		const struct doc_node     *list;
		bool                       touched = false;

		if (map_has(&changed, f->key) || !str_contains(f->text, STR("\"dependencies\"")))
			continue;
		list = doc_get(unleash_part(unleash_def(&a, f)), "dependencies");
		for (size_t i = 0; i < doc_len(list); i++)
			touched = touched || map_has(&changed, doc_get_str(doc_at(list, i), "feature"));
		if (touched)
			write_feature(w, d, f->key);
	}
	map_fini(&changed);
}

static bool same_segment(const struct doc_node *a, const struct doc_node *b)
{
	struct buf CLEANUP_BUF ta = BUF_INIT(LIMIT_FLAG_HEAD_BYTES * 2), tb = BUF_INIT(LIMIT_FLAG_HEAD_BYTES * 2);

	doc_canonical(a, &ta);
	doc_canonical(b, &tb);
	return str_eq(buf_str(&ta), buf_str(&tb));
}

static const struct doc_node *by_id(const struct doc_node *segments, int64_t id)
{
	for (size_t i = 0; i < doc_len(segments); i++)
		if (doc_get_int(segments->map.pairs[i].value, "id", -1) == id)
			return segments->map.pairs[i].value;
	return NULL;
}

static void write_segments(struct jw *w, struct delta *d)
{
	const struct doc_node *now = unleash_segments(&d->arena, flag_set_head(d->s->set)), *before = unleash_segments(&d->arena, &d->before);

	for (size_t i = 0; i < doc_len(now); i++) {
		const struct doc_pair *p = &now->map.pairs[i];
		const struct doc_node *old = doc_get_n(before, p->key);

		if (old && same_segment(old, p->value))
			continue;
		begin_event(w, d, "segment-updated");
		jw_key(w, "segment");
		unleash_write_segment(w, p->key, p->value);
		jw_end(w);
	}
	for (size_t i = 0; i < doc_len(before); i++) {
		int64_t id = doc_get_int(before->map.pairs[i].value, "id", -1);

		if (by_id(now, id))
			continue;
		begin_event(w, d, "segment-removed");
		jw_kint(w, "segmentId", id);
		jw_end(w);
	}
}

static int write_changes(struct jw *w, struct delta *d, struct err *reterr)
{
	int rc = db_read(d->r->cfg.db, changes_tx, d, reterr);

	if (rc)
		return rc;
	write_segments(w, d);
	qsort(d->texts, d->n, sizeof(*d->texts), by_key);
	for (size_t i = 0; i < d->n; i++)
		if (i + 1 == d->n || !str_eq(d->texts[i].key, d->texts[i + 1].key))
			write_feature(w, d, d->texts[i].key);
	write_dependents(w, d);
	return 0;
}

static int write_hydration(struct jw *w, struct delta *d, struct err *reterr)
{
	int rc;

	begin_event(w, d, "hydration");
	rc = unleash_write_all(w, d->s, d->q, reterr);
	jw_end(w);
	return rc;
}

static int make_delta(void *ctx, struct buf *out, struct err *reterr)
{
	struct delta *d = ctx;
	struct jw     w;
	int           rc;

	jw_init(&w, out);
	jw_obj(&w);
	jw_key(&w, "events");
	jw_arr(&w);
	rc = d->after < 0 ? write_hydration(&w, d, reterr) : write_changes(&w, d, reterr);
	jw_end(&w);
	jw_end(&w);
	return rc;
}

static void use_delta(void *ctx, str text)
{
	struct delta *d = ctx;

	d->use(d->ctx, text);
}

int unleash_delta(struct flag_room *r, const struct unleash_set *s, int64_t after, const struct unleash_query *q, void (*use)(void *ctx, str text), void *ctx,
				  struct err *reterr)
{
	struct buf CLEANUP_BUF key = BUF_INIT(1 << 20);
	struct delta           d = { .r = r, .s = s, .q = q, .after = after, .now = flag_set_head(s->set)->revision, .arena = ARENA_INIT(CHANGES_ARENA_MAX),
								 .use = use, .ctx = ctx };
	int                    rc;

	if (d.after > d.now)
		d.after = -1;
	unleash_query_key(&key, s, q);
	buf_addf(&key, "\ndelta %lld", (long long)d.after);
	if (!(rc = buf_check(&key, "the query", reterr)))
		rc = unleash_cached(r->unleash_cache, buf_str(&key), make_delta, use_delta, &d, reterr);
	arena_fini(&d.arena);
	return rc;
}

/* --- GET /api/client/delta --- */

static void use_answer(void *ctx, str text) { buf_add_str(http_out(ctx), text); }

/* The ETag is "REVISION:QUERY"; a revision alone is understood, too. -1: none, or of another query. */
static int64_t seen_revision(const struct http_req *req, const char *query)
{
	str     seen = http_header(req, "if-none-match"), left, right;
	int64_t n;

	if (str_has_prefix(seen, STR("W/")))
		seen = str_sub(seen, 2, seen.len);
	if (seen.len < 2 || seen.ptr[0] != '"' || seen.ptr[seen.len - 1] != '"')
		return -1;
	seen = str_sub(seen, 1, seen.len - 2);
	if (str_cut(seen, ':', &left, &right) && !str_eqz(right, query))
		return -1;
	return str_to_i64(left, &n) && n >= 0 ? n : -1;
}

static void query_digest(const struct unleash_set *s, const struct unleash_query *q, char out[9])
{
	struct buf CLEANUP_BUF key = BUF_INIT(1 << 20);
	char                   digest[SHA256_HEX];

	buf_addf(&key, "%.*s\n%zu ", STR_ARG(s->id), q->prefix.len);
	buf_add_str(&key, q->prefix);
	for (size_t i = 0; i < q->n_tags; i++) {
		buf_addf(&key, "\n%zu ", q->tags[i].len);
		buf_add_str(&key, q->tags[i]);
	}
	sha256_hex(buf_str(&key), digest);
	snprintf(out, 9, "%.8s", digest);
}

int unleash_get_delta(struct http_req *req, void *room, struct err *reterr)
{
	struct flag_room    *r = room;
	char                 digest[9];
	struct unleash_set   set;
	struct unleash_query q;
	int64_t              after;
	int                  rc;

	if (!unleash_read_query(r, req, &set, &q, reterr, &rc))
		return rc;
	q.inlined = false; /* who knows deltas knows segments */
	query_digest(&set, &q, digest);
	after = seen_revision(req, digest);
	http_set_headerf(req, "ETag", "\"%lld:%s\"", (long long)flag_set_head(set.set)->revision, digest);
	if (after == flag_set_head(set.set)->revision) {
		http_status(req, 304);
	} else {
		http_type(req, "application/json");
		rc = unleash_delta(r, &set, after, &q, use_answer, req, reterr);
	}
	flag_set_unref(set.set);
	return rc;
}

/* --- GET /api/client/streaming --- */

/* What a stream keeps: the set, and the query in two texts; tags are parted by NUL, which no query holds. */
enum { PARAM_SET, PARAM_PREFIX, PARAM_TAGS, PARAMS };

int unleash_get_stream(struct http_req *req, void *room, struct err *reterr)
{
	struct flag_room      *r = room;
	struct buf CLEANUP_BUF tags = BUF_INIT(LIMIT_HTTP_TARGET_BYTES);
	struct unleash_set     set;
	struct unleash_query   q;
	int                    rc;

	if (!unleash_read_query(r, req, &set, &q, reterr, &rc))
		return rc;
	for (size_t i = 0; i < q.n_tags; i++) {
		buf_add_str(&tags, q.tags[i]);
		buf_addc(&tags, '\0');
	}
	flag_set_unref(set.set);
	return sse_attach(req, r->unleash_hub, (str[]){ set.id, q.prefix, buf_str(&tags) }, PARAMS, reterr);
}

static size_t split_tags(str s, str *tags, size_t max)
{
	size_t n = 0;

	for (str one; s.len && n < max; n++) {
		(void)str_cut(s, '\0', &one, &s);
		tags[n] = one;
	}
	return n;
}

struct pulling {
	struct buf *out;
	int64_t     revision;
	const char *event;
	bool        too_large;
};

static void use_event(void *ctx, str text)
{
	struct pulling *p = ctx;

	p->too_large = text.len + EVENT_ROOM > LIMIT_SSE_PULL_BYTES;
	if (!p->too_large)
		sse_message(p->out, p->revision, p->event, text);
}

static int pull_set(struct flag_room *r, struct sse_client *c, const struct unleash_set *s, struct buf *out, bool *ret_end, struct err *reterr)
{
	enum { TAGS_MAX = 128 };
	str                  tags[TAGS_MAX];
	struct unleash_query q = { .prefix = c->params[PARAM_PREFIX], .tags = tags, .n_tags = split_tags(c->params[PARAM_TAGS], tags, TAGS_MAX) };
	struct pulling       p = { .out = out, .revision = flag_set_head(s->set)->revision };
	int64_t              after = c->position > p.revision ? -1 : c->position;
	int                  rc;

	if (after == p.revision)
		return 0;
	p.event = after < 0 ? "unleash-connected" : "unleash-updated";
	rc = unleash_delta(r, s, after, &q, use_event, &p, reterr);
	c->position = p.revision;
	if (p.too_large) {
		sse_message(out, -1, "fetch-mode", STR("polling"));
		*ret_end = true;
	}
	return rc;
}

int unleash_pull(struct sse_client *c, struct buf *out, bool *ret_end, void *room, struct err *reterr)
{
	struct flag_room          *r = room;
	struct arena CLEANUP_ARENA a = ARENA_INIT(64 << 10);
	const struct flag_entry   *e = flag_table_find(flag_read_begin(r->tables), c->params[PARAM_SET]);
	struct unleash_set         s = { .id = c->params[PARAM_SET] };
	struct err                 own = { 0 };
	int                        rc;

	if (e) {
		s.set = flag_set_ref(e->set);
		s.project = arena_str(&a, str_z(e->project));
	}
	flag_read_end(r->tables);
	*ret_end = !e;
	if (!e)
		return 0;
	rc = pull_set(r, c, &s, out, ret_end, reterr ? reterr : &own);
	flag_set_unref(s.set);
	return rc;
}
