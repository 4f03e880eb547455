/* flag-usage-api.c - routes about the life of flags: how often they are asked for, where the code names them, which of them may go.
 *
 * Worker threads. Lists are in the order of keys, a page at a time (after, limit). */
#include "base/base.h"

#include "flag/flag-report.h"

enum { PAGE = 1000 };

struct page {
	struct flag_report  report;
	const struct flag **flags; /* of the set, by key */
	size_t              n, from, to;
};

static int by_key(const void *pa, const void *pb)
{
	return str_cmp((*(const struct flag *const *)pa)->key, (*(const struct flag *const *)pb)->key);
}

/* The flags that the request is about: key=KEY, or all after the page before. */
static int choose(struct http_req *req, struct page *p, struct err *reterr)
{
	str                 key = http_query(req, "key"), after = http_query(req, "after");
	const struct flag **v = ARENA_ARRAY(http_arena(req), flag_set_count(p->report.set) + 1, const struct flag *);
	const struct flag  *one = key.ptr ? flag_set_find(p->report.set, key) : NULL;

	if (key.ptr && !one)
		return err_set(reterr, WEIR_ENOENT, "set %.*s has no flag '%.*s'", STR_ARG(flag_set_head(p->report.set)->id), STR_ARG(str_sub(key, 0, 100)));
	if (one && v)
		v[p->n++] = one;
	for (const struct flag *f = v && !one ? flag_set_next(p->report.set, NULL) : NULL; f; f = flag_set_next(p->report.set, f))
		v[p->n++] = f;
	if (p->n)
		qsort(v, p->n, sizeof(*v), by_key);
	while (after.ptr && p->from < p->n && str_cmp(v[p->from]->key, after) <= 0)
		p->from++;
	p->flags = v;
	p->to = p->n;
	return arena_check(http_arena(req), "list of flags", reterr);
}

static int page_begin(struct http_req *req, struct flag_room *r, int what, struct page *p, struct err *reterr)
{
	char *id = arena_printf(http_arena(req), "%.*s/%.*s", STR_ARG(http_param(req, "project")), STR_ARG(http_param(req, "set")));
	int   rc = flag_report_begin(r, str_z(id), http_query(req, "key"), (int)http_query_int(req, "days", FLAG_STALE_DAYS), what, http_arena(req), &p->report, reterr);

	p->n = p->from = p->to = 0;
	return rc ? rc : choose(req, p, reterr);
}

static void write_time(struct jw *w, const char *key, usec_t t)
{
	if (t)
		jw_ktime(w, key, t);
}

static void begin_answer(struct http_req *req, const struct page *p, struct jw *w)
{
	http_json(req, w);
	jw_obj(w);
	jw_kstr(w, "set", flag_set_head(p->report.set)->id);
	jw_kint(w, "revision", flag_set_head(p->report.set)->revision);
}

static void write_counting(struct jw *w, const struct flag_report *p)
{
	jw_kint(w, "days", p->days);
	write_time(w, "counting_since", p->began);
	write_time(w, "uncounted_at", p->dropped);
}

static void write_code(struct jw *w, const struct flag_report *p)
{
	jw_key(w, "code");
	jw_obj(w);
	jw_kbool(w, "known", p->code_known);
	if (p->index.commit[0])
		jw_kstrz(w, "commit", p->index.commit);
	jw_kint(w, "files", (int64_t)p->index.files);
	jw_kint(w, "skipped", (int64_t)p->index.skipped);
	jw_end(w);
}

/* --- usage --- */

static void write_last(struct jw *w, const struct flag_last_use *last)
{
	write_time(w, "last_asked", last ? last->asked : 0);
	write_time(w, "last_bulk", last ? last->bulk : 0);
}

static void write_usage(struct jw *w, const struct flag_report *p, str key)
{
	size_t                 n;
	const struct flag_use *u = flag_report_uses(p, key, &n);
	int64_t                asked = 0, bulk = 0;

	jw_obj(w);
	jw_kstr(w, "key", key);
	write_last(w, flag_report_last(p, key));
	jw_key(w, "variants");
	jw_arr(w);
	for (size_t i = 0; i < n; i++) {
		jw_obj(w);
		if (u[i].variant.len)
			jw_kstr(w, "variant", u[i].variant);
		jw_kint(w, "asked", u[i].asked);
		jw_kint(w, "bulk", u[i].bulk);
		jw_end(w);
		asked += u[i].asked;
		bulk += u[i].bulk;
	}
	jw_end(w);
	jw_kint(w, "asked", asked);
	jw_kint(w, "bulk", bulk);
	jw_end(w);
}

static int get_usage(struct http_req *req, void *ctx, struct err *reterr)
{
	struct page p;
	struct jw   w;
	size_t      limit = (size_t)http_query_int(req, "limit", PAGE);
	int         rc = page_begin(req, ctx, FLAG_REPORT_USES, &p, reterr);

	if (!rc) {
		p.to = p.n - p.from > limit ? p.from + limit : p.n;
		begin_answer(req, &p, &w);
		write_counting(&w, &p.report);
		jw_key(&w, "flags");
		jw_arr(&w);
		for (size_t i = p.from; i < p.to; i++)
			write_usage(&w, &p.report, p.flags[i]->key);
		jw_end(&w);
		jw_kbool(&w, "more", p.to < p.n);
		jw_end(&w);
	}
	flag_report_end(&p.report);
	return rc;
}

/* --- references --- */

/* At most `max` references of one flag; returns how many. */
static size_t write_refs(struct jw *w, const struct flag_index *ix, const struct flag *f, bool with_key, size_t max)
{
	size_t                 n;
	const struct flag_ref *v = flag_index_find(ix, f->hash, &n);

	n = n < max ? n : max;
	for (size_t i = 0; i < n; i++) {
		jw_obj(w);
		if (with_key)
			jw_kstr(w, "key", f->key);
		jw_kstr(w, "path", v[i].path);
		jw_kint(w, "line", v[i].line);
		jw_kbool(w, "getter", v[i].getter);
		jw_end(w);
	}
	return n;
}

static int get_references(struct http_req *req, void *ctx, struct err *reterr)
{
	struct page p;
	struct jw   w;
	size_t      shown = 0, all = 0, n;
	int         rc = page_begin(req, ctx, FLAG_REPORT_CODE, &p, reterr);

	if (!rc && !p.report.code_known)
		rc = err_set(reterr, WEIR_EBUSY, "the code of project %.*s cannot be searched now; the server's log says why", STR_ARG(p.report.project));
	if (!rc) {
		begin_answer(req, &p, &w);
		write_code(&w, &p.report);
		jw_key(&w, "references");
		jw_arr(&w);
		for (size_t i = p.from; i < p.n; i++) {
			(void)flag_index_find(&p.report.index, p.flags[i]->hash, &n);
			all += n;
			shown += write_refs(&w, &p.report.index, p.flags[i], true, LIMIT_FLAG_REFS_SHOWN - shown);
		}
		jw_end(&w);
		jw_kbool(&w, "more", shown < all);
		jw_end(&w);
	}
	flag_report_end(&p.report);
	return rc;
}

/* --- stale flags --- */

static void write_stale(struct jw *w, const struct flag_report *p, const struct flag *f, const struct flag_stale *s)
{
	enum { PLACES = 20 };
	size_t n;

	jw_obj(w);
	jw_kstr(w, "key", f->key);
	if (f->owner.len)
		jw_kstr(w, "owner", f->owner);
	if (f->purpose)
		jw_kstrz(w, "purpose", flag_purpose_name(f->purpose));
	write_last(w, flag_report_last(p, f->key));
	jw_key(w, "stale");
	jw_arr(w);
	for (int k = 0; k < FLAG_STALE_KINDS; k++)
		if (s->is[k]) {
			jw_obj(w);
			jw_kstrz(w, "kind", flag_stale_name((enum flag_stale_kind)k));
			jw_kstrz(w, "why", s->why[k]);
			jw_end(w);
		}
	jw_end(w);
	if (s->todo)
		jw_kstrz(w, "todo", s->todo);
	if (s->unknown)
		jw_kstrz(w, "cannot_say", s->unknown);
	(void)flag_index_find(&p->index, f->hash, &n);
	jw_kint(w, "n_references", (int64_t)n);
	jw_key(w, "references");
	jw_arr(w);
	write_refs(w, &p->index, f, false, PLACES);
	jw_end(w);
	jw_end(w);
}

static int get_stale(struct http_req *req, void *ctx, struct err *reterr)
{
	struct page p;
	struct jw   w;
	size_t      limit = (size_t)http_query_int(req, "limit", PAGE), shown = 0;
	bool        one = http_query(req, "key").ptr, more = false;
	int64_t     unknown = 0;
	int         rc = page_begin(req, ctx, FLAG_REPORT_ALL, &p, reterr);

	if (!rc) {
		begin_answer(req, &p, &w);
		write_counting(&w, &p.report);
		write_code(&w, &p.report);
		jw_key(&w, "flags");
		jw_arr(&w);
		for (size_t i = p.from; i < p.n && !more; i++) {
			struct flag_stale s;
			bool              is = flag_report_stale(&p.report, p.flags[i], &s);

			unknown += s.unknown != NULL;
			if ((is || one) && !(more = shown >= limit)) {
				write_stale(&w, &p.report, p.flags[i], &s);
				shown++;
			}
		}
		jw_end(&w);
		jw_kint(&w, "cannot_say", unknown);
		jw_kbool(&w, "more", more);
		jw_end(&w);
		rc = arena_check(http_arena(req), "stale flags", reterr);
	}
	flag_report_end(&p.report);
	return rc;
}

/* --- routes --- */

#define DAYS { .name = "days", .kind = QUERY_INT, .min = 1, .max = LIMIT_FLAG_USAGE_DAYS, .doc = "of the last days; 30 when not said" }
#define KEY  { .name = "key", .kind = QUERY_TEXT, .doc = "only this flag" }
#define LIMIT { .name = "limit", .kind = QUERY_INT, .min = 1, .max = PAGE, .doc = "flags of one answer; 1000 when not said" }
#define AFTER { .name = "after", .kind = QUERY_TEXT, .doc = "flags behind this key: the next page" }
static const struct http_query_param days_query[] = { KEY, DAYS, LIMIT, AFTER, { .name = NULL } };
static const struct http_query_param refs_query[] = { KEY, AFTER, { .name = NULL } };
static const char usage_schema[] =
	"{\"type\":\"object\",\"properties\":{\"set\":{\"type\":\"string\"},\"revision\":{\"type\":\"integer\"},\"days\":{\"type\":\"integer\"},"
	"\"counting_since\":{\"type\":\"string\"},\"uncounted_at\":{\"type\":\"string\"},\"flags\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}},\"more\":{\"type\":\"boolean\"}}}";
static const char refs_schema[] =
	"{\"type\":\"object\",\"properties\":{\"set\":{\"type\":\"string\"},\"revision\":{\"type\":\"integer\"},\"code\":{\"type\":\"object\"},"
	"\"references\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}},\"more\":{\"type\":\"boolean\"}}}";
static const char stale_schema[] =
	"{\"type\":\"object\",\"properties\":{\"set\":{\"type\":\"string\"},\"revision\":{\"type\":\"integer\"},\"days\":{\"type\":\"integer\"},\"counting_since\":{\"type\":\"string\"},"
	"\"uncounted_at\":{\"type\":\"string\"},\"code\":{\"type\":\"object\"},\"flags\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}},\"cannot_say\":{\"type\":\"integer\"},"
	"\"more\":{\"type\":\"boolean\"}}}";

#define SET_PATH "/api/v1/projects/:project/flag-sets/:set"
static const struct http_route routes[] = {
	{ .method = "GET", .path = SET_PATH "/usage", .kind = HTTP_WORKER, .scope = SCOPE_READ, .fn = get_usage,
	  .doc = "How often flags were asked for by name, or handed out with the whole set, and which variant they gave.", .answer_doc = usage_schema, .query = days_query },
	{ .method = "GET", .path = SET_PATH "/references", .kind = HTTP_WORKER, .scope = SCOPE_READ, .fn = get_references,
	  .doc = "Where the code of the project's default branch names flags of the set.", .answer_doc = refs_schema, .query = refs_query },
	{ .method = "GET", .path = SET_PATH "/stale", .kind = HTTP_WORKER, .scope = SCOPE_READ, .fn = get_stale,
	  .doc = "Flags that may go: never evaluated, rolled out, expired; with the reason and what to do.", .answer_doc = stale_schema, .query = days_query },
};

const struct http_route *flag_usage_routes(size_t *ret_n)
{
	*ret_n = ARRAY_SIZE(routes);
	return routes;
}
