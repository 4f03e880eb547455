/* flag-diff-api.c - the routes of differences: of a draft, of a change that is none yet, between two revisions (see flag-draft.h, DIFF).
 *
 * Worker threads. Definitions are parsed one at a time, in an arena of their own: what it takes does not grow with the set. */
#include "base/base.h"

#include "flag/draft-api.h"
#include "flag/flag-diff.h"
#include "flag/flag-draft.h"

static void write_lines(struct jw *w, const struct flag_diff *d)
{
	jw_arr(w);
	for (size_t i = 0; i < d->n; i++) {
		jw_obj(w);
		jw_kstr(w, "path", d->lines[i].path);
		jw_kstrz(w, "kind", flag_diff_kind_name(d->lines[i].kind));
		if (d->lines[i].before.ptr) {
			jw_key(w, "before");
			jw_raw(w, d->lines[i].before);
		}
		if (d->lines[i].after.ptr) {
			jw_key(w, "after");
			jw_raw(w, d->lines[i].after);
		}
		jw_end(w);
	}
	jw_end(w);
}

static bool says_archived(const struct doc_node *n) { return doc_get_bool(doc_get(n, "weir"), "archived", false); }

static const char *kind_of(const struct doc_node *before, const struct doc_node *after)
{
	if (!before)
		return "added";
	if (!after)
		return "removed";
	if (says_archived(before) != says_archived(after))
		return says_archived(after) ? "archived" : "unarchived";
	return "changed";
}

static int write_flag_diff(struct jw *w, str key, str before, str after, struct err *reterr)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(WORK_ARENA_MAX);
	struct doc_node           *b = NULL, *n = NULL;
	struct flag_diff           d;
	int                        rc = before.len ? doc_parse_json(&a, "definition", before, &b, reterr) : 0;

	if (!rc && after.len)
		rc = doc_parse_json(&a, "definition", after, &n, reterr);
	if (!rc)
		rc = flag_diff(&a, b, n, &d, reterr);
	if (rc || !d.n)
		return rc;
	jw_obj(w);
	jw_kstr(w, "key", key);
	jw_kstrz(w, "kind", kind_of(b, n));
	jw_key(w, "changes");
	write_lines(w, &d);
	jw_end(w);
	return 0;
}

static int write_part_diff(struct jw *w, const char *what, str before, str after, struct err *reterr)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(WORK_ARENA_MAX);
	struct flag_diff           d;
	int                        rc = flag_diff_texts(&a, before.len ? before : STR("{}"), after.len ? after : STR("{}"), &d, reterr);

	if (rc)
		return rc;
	jw_key(w, what);
	write_lines(w, &d);
	return 0;
}

static int write_head_diff(struct jw *w, const struct flag_set_head *from, const struct flag_set_head *to, struct err *reterr)
{
	int rc = write_part_diff(w, "evaluators", from->evaluators, to->evaluators, reterr);

	if (!rc)
		rc = write_part_diff(w, "metadata", from->metadata, to->metadata, reterr);
	return rc ? rc : write_part_diff(w, "segments", from->segments, to->segments, reterr);
}

struct flag_set_head draft_head_after(const struct flag_set *before, const struct flag_change *c)
{
	struct flag_set_head head = *flag_set_head(before);

	if (c->with_head) {
		head.evaluators = c->evaluators;
		head.metadata = c->metadata;
	}
	if (c->with_segments)
		head.segments = c->segments;
	head.revision++;
	return head;
}

static void write_diff_head(struct jw *w, str set, int64_t from, int64_t to)
{
	jw_obj(w);
	jw_kstr(w, "set", set);
	jw_kint(w, "from", from);
	jw_key(w, "to");
	if (to < 0)
		jw_null(w);
	else
		jw_int(w, to);
}

/* A change against a set. environment: the set's, STR_NULL: the change says nothing about it. */
static int write_change_diff(struct jw *w, const struct flag_set *from, const struct flag_change *c, str environment, struct err *reterr)
{
	struct flag_set_head after = draft_head_after(from, c);
	int                  rc = 0;

	write_diff_head(w, c->id, flag_set_head(from)->revision, -1);
	jw_key(w, "flags");
	jw_arr(w);
	for (size_t i = 0; !rc && i < c->n; i++) {
		const struct flag *f = flag_set_find(from, c->texts[i].key);

		rc = write_flag_diff(w, c->texts[i].key, f ? f->text : STR(""), c->texts[i].json, reterr);
	}
	jw_end(w);
	if (!rc)
		rc = write_head_diff(w, flag_set_head(from), &after, reterr);
	if (!rc && c->with_environment && !str_eq(environment, c->environment)) {
		jw_key(w, "environment");
		jw_obj(w);
		jw_kstrz(w, "path", "");
		jw_kstrz(w, "kind", "changed");
		jw_kstr(w, "before", environment);
		jw_kstr(w, "after", c->environment);
		jw_end(w);
	}
	jw_end(w);
	return rc;
}

static int get_draft_diff(struct http_req *req, void *ctx, struct err *reterr)
{
	struct flag_room *r = ctx;
	struct draft_view q = { .r = r, .arena = ARENA_INIT(WORK_ARENA_MAX), .set = draft_set_of(req), .id = http_param_int(req, "draft") };
	struct flag_set  *from = NULL;
	struct jw         w;
	int               rc = draft_view_read(&q, reterr);

	if (!rc && str_eqz(http_query(req, "against"), "now"))
		rc = flag_present(r, q.set, NULL, &from, NULL, NULL, reterr);
	else if (!rc)
		rc = flag_past(r, q.set, q.v->base, &from, reterr);
	if (!rc) {
		http_json(req, &w);
		rc = write_change_diff(&w, from, q.changes, q.rules->environment, reterr);
	}
	flag_set_unref(from);
	arena_fini(&q.arena);
	return rc;
}

static int post_diff(struct http_req *req, void *ctx, struct err *reterr)
{
	static const char *const known[] = { FLAG_CHANGE_KEYS, NULL };
	const struct doc_node   *body;
	struct flag_change       c;
	struct flag_set         *from = NULL;
	str                      environment;
	struct jw                w;
	int                      rc = draft_read_change(req, known, &c, &body, reterr);

	if (!rc)
		rc = flag_present(ctx, c.id, http_arena(req), &from, &environment, NULL, reterr);
	if (!rc) {
		http_json(req, &w);
		rc = write_change_diff(&w, from, &c, environment, reterr);
	}
	flag_set_unref(from);
	return rc;
}

static int by_key(const void *pa, const void *pb) { return str_cmp(*(const str *)pa, *(const str *)pb); }

/* Keys of both sets whose texts differ, in order. */
static size_t differing(struct arena *a, const struct flag_set *from, const struct flag_set *to, str **ret)
{
	str   *v = ARENA_ARRAY(a, flag_set_count(from) + flag_set_count(to) + 1, str);
	size_t n = 0;

	for (const struct flag *f = v ? flag_set_next(from, NULL) : NULL; f; f = flag_set_next(from, f)) {
		const struct flag *other = flag_set_find(to, f->key);

		if (!other || !str_eq(other->text, f->text))
			v[n++] = f->key;
	}
	for (const struct flag *f = v ? flag_set_next(to, NULL) : NULL; f; f = flag_set_next(to, f))
		if (!flag_set_find(from, f->key))
			v[n++] = f->key;
	if (v)
		qsort(v, n, sizeof(*v), by_key);
	*ret = v;
	return n;
}

static int write_sets_diff(struct jw *w, struct arena *a, str id, const struct flag_set *from, const struct flag_set *to, struct err *reterr)
{
	str   *keys;
	size_t n = differing(a, from, to, &keys);
	int    rc = arena_check(a, "differences", reterr);

	write_diff_head(w, id, flag_set_head(from)->revision, flag_set_head(to)->revision);
	jw_key(w, "flags");
	jw_arr(w);
	for (size_t i = 0; !rc && i < n; i++) {
		const struct flag *f = flag_set_find(from, keys[i]), *t = flag_set_find(to, keys[i]);

		rc = write_flag_diff(w, keys[i], f ? f->text : STR(""), t ? t->text : STR(""), reterr);
	}
	jw_end(w);
	if (!rc)
		rc = write_head_diff(w, flag_set_head(from), flag_set_head(to), reterr);
	jw_end(w);
	return rc;
}

static int get_diff(struct http_req *req, void *ctx, struct err *reterr)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(WORK_ARENA_MAX);
	struct flag_set           *from = NULL, *to = NULL;
	int64_t                    last = http_query_int(req, "to", -1);
	struct jw                  w;
	int                        rc = flag_past(ctx, draft_set_of(req), http_query_int(req, "from", 0), &from, reterr);

	if (!rc)
		rc = last < 0 ? flag_present(ctx, draft_set_of(req), NULL, &to, NULL, NULL, reterr) : flag_past(ctx, draft_set_of(req), last, &to, reterr);
	if (!rc) {
		http_json(req, &w);
		rc = write_sets_diff(&w, &a, draft_set_of(req), from, to, reterr);
	}
	flag_set_unref(from);
	flag_set_unref(to);
	return rc;
}

/* --- routes --- */

static const char *const against_words[] = { "base", "now", NULL };
static const struct http_query_param against_query[] = {
	{ .name = "against", .kind = QUERY_WORD, .words = against_words, .doc = "the draft's base, or the set as it is now; base when not said" },
	{ .name = NULL },
};
static const struct http_query_param diff_query[] = {
	{ .name = "from", .kind = QUERY_INT, .required = true, .min = 0, .max = INT64_MAX, .doc = "a revision; 0 is the empty set" },
	{ .name = "to", .kind = QUERY_INT, .min = 0, .max = INT64_MAX, .doc = "a revision; the newest when not said" },
	{ .name = NULL },
};

static const char change_schema[] = "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{" CHANGE_PROPERTIES "}}";
static const char diff_schema[] =
	"{\"type\":\"object\",\"properties\":{\"set\":{\"type\":\"string\"},\"from\":{\"type\":\"integer\"},\"to\":{\"type\":[\"integer\",\"null\"]},"
	"\"flags\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}},\"evaluators\":{\"type\":\"array\"},\"metadata\":{\"type\":\"array\"},\"segments\":{\"type\":\"array\"}}}";

static const struct http_route routes[] = {
	{ .method = "GET", .path = DRAFT_PATH "/diff", .kind = HTTP_WORKER, .scope = SCOPE_READ, .fn = get_draft_diff,
	  .doc = "What the draft changes, path by path.", .answer_doc = diff_schema, .query = against_query },
	{ .method = "POST", .path = SET_PATH "/diff", .kind = HTTP_WORKER, .scope = SCOPE_READ, .body_max = BODY_MAX, .fn = post_diff,
	  .doc = "What a change would change, path by path.", .body_doc = change_schema, .answer_doc = diff_schema },
	{ .method = "GET", .path = SET_PATH "/diff", .kind = HTTP_WORKER, .scope = SCOPE_READ, .fn = get_diff, .doc = "What differs between two revisions, path by path.",
	  .answer_doc = diff_schema, .query = diff_query },
};

const struct http_route *flag_diff_routes(size_t *ret_n)
{
	*ret_n = ARRAY_SIZE(routes);
	return routes;
}
