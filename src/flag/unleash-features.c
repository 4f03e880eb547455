/* unleash-features.c - GET /api/client/features: the set that a request means, its query, and the features of it.
 *
 * Worker threads. An answer is a function of set, revision and query, which its ETag is a digest of; so an unchanged one is known before anything is made.
 * Errors are in Unleash's shape (net/answer.c). Facts of the protocol: Unleash/unleash, src/lib/features/client-feature-toggles. */
#include "base/base.h"

#include "flag/unleash-api.h"

enum { FEATURES_ARENA_MAX = 512 << 20, FILTERS_MAX = 100 };

/* --- which set --- */

static bool may_see(const struct http_identity *who, const struct flag_entry *e) { return !who->project[0] || !strcmp(who->project, e->project); }

static bool named_by(str environment, const struct flag_entry *e)
{
	return !environment.len || str_eqz(environment, e->environment) || str_eqz(environment, e->name) || str_eqz(environment, e->id);
}

static bool in_projects(const str *projects, size_t n, const struct flag_entry *e)
{
	for (size_t i = 0; i < n; i++)
		if (str_eqz(projects[i], e->project) || str_eqz(projects[i], "*"))
			return true;
	return !n;
}

static const struct flag_entry *only_one(const struct flag_table *t, const struct http_req *req, const str *projects, size_t n, str environment, bool *ret_several)
{
	const struct http_identity *who = http_who(req);
	const struct flag_entry    *found = environment.len ? flag_table_find(t, environment) : NULL;
	struct flag_entry *const   *v = t->entries;
	size_t                      n_all = t->n;

	*ret_several = false;
	if (who->project[0])
		v = flag_table_of_project(t, who->project, &n_all);
	if (found && may_see(who, found) && in_projects(projects, n, found))
		return found;
	found = NULL;
	for (size_t i = 0; i < n_all && !*ret_several; i++) {
		const struct flag_entry *e = v[i];

		if (!in_projects(projects, n, e) || !named_by(environment, e))
			continue;
		*ret_several = *ret_several || found;
		found = found ? found : e;
	}
	return found;
}

str unleash_environment(const struct http_req *req)
{
	str s = http_header(req, "unleash-environment");

	return s.len ? s : STR("");
}

bool unleash_choose(struct flag_room *r, struct http_req *req, const str *projects, size_t n_projects, str environment, struct unleash_set *ret)
{
	struct arena            *a = http_arena(req);
	bool                     several;
	const struct flag_entry *e;

	if (unleash_environment(req).len)
		environment = unleash_environment(req);
	e = only_one(flag_read_begin(r->tables), req, projects, n_projects, environment, &several);
	*ret = (struct unleash_set){ 0 };
	if (e && !several)
		*ret = (struct unleash_set){ .set = flag_set_ref(e->set),
									 .id = arena_str(a, str_z(e->id)),
									 .project = arena_str(a, str_z(e->project)),
									 .name = arena_str(a, str_z(e->name)),
									 .environment = arena_str(a, str_z(*e->environment ? e->environment : e->name)),
									 .changed_at = e->changed_at };
	flag_read_end(r->tables);
	if (several)
		(void)http_refuse(req, 400, "several flag sets can be meant: name one by the header Unleash-Environment: NAME, or use a token of one project");
	else if (!ret->set)
		(void)http_refuse(req, 404, "there is no flag set that this token may see%s", environment.len || n_projects ? " and that the request names" : "");
	return ret->set != NULL;
}

/* --- the query --- */

struct filters {
	str    projects[FILTERS_MAX], tags[FILTERS_MAX], prefix, environment;
	size_t n_projects, n_tags;
};

static int add_filter(str *list, size_t *n, const char *what, str value, struct err *reterr)
{
	if (*n == FILTERS_MAX)
		return err_set(reterr, WEIR_ELIMIT, "query '%s' stands there more than %d times", what, FILTERS_MAX);
	list[(*n)++] = value;
	return 0;
}

static int read_filters(struct http_req *req, struct filters *f, struct err *reterr)
{
	struct http_pair *v;
	size_t            n;
	int               rc = http_query_pairs(req, &v, &n, reterr);

	for (size_t i = 0; !rc && i < n; i++) {
		if (str_eqz(v[i].name, "project"))
			rc = add_filter(f->projects, &f->n_projects, "project", v[i].value, reterr);
		else if (str_eqz(v[i].name, "tag") || str_eqz(v[i].name, "tag[]"))
			rc = str_find(v[i].value, ':') < v[i].value.len ? add_filter(f->tags, &f->n_tags, "tag", v[i].value, reterr)
														   : err_set(reterr, WEIR_EINVAL, "query 'tag' must be TYPE:VALUE");
		else if (str_eqz(v[i].name, "namePrefix"))
			f->prefix = v[i].value;
		else if (str_eqz(v[i].name, "environment"))
			f->environment = v[i].value;
		else
			rc = err_set(reterr, WEIR_EINVAL, "unknown query name '%.*s'; known here: project, namePrefix, tag, environment",
						 STR_ARG(str_sub(v[i].name, 0, 64)));
	}
	return rc;
}

/* Clients know segments since version 4.2 of their specification; those that do not say which one they know get the constraints inside. */
static bool knows_segments(const struct http_req *req)
{
	str     v = http_header(req, "unleash-client-spec"), major, minor, rest;
	int64_t a, b;

	if (!v.len || !str_cut(v, '.', &major, &minor))
		return false;
	(void)str_cut(minor, '.', &minor, &rest);
	return str_to_i64(major, &a) && str_to_i64(minor, &b) && (a > 4 || (a == 4 && b >= 2));
}

bool unleash_read_query(struct flag_room *r, struct http_req *req, struct unleash_set *ret_set, struct unleash_query *ret, struct err *reterr, int *ret_rc)
{
	struct filters *f = ARENA_NEW(http_arena(req), struct filters);

	*ret_rc = f ? read_filters(req, f, reterr) : arena_check(http_arena(req), "the query", reterr);
	if (*ret_rc || !unleash_choose(r, req, f->projects, f->n_projects, f->environment, ret_set))
		return false;
	*ret = (struct unleash_query){ .prefix = f->prefix, .tags = f->tags, .n_tags = f->n_tags, .inlined = !knows_segments(req) };
	return true;
}

void unleash_query_key(struct buf *out, const struct unleash_set *s, const struct unleash_query *q)
{
	buf_addf(out, "%.*s\n%lld\n%d\n", STR_ARG(s->id), (long long)flag_set_head(s->set)->revision, q->inlined);
	buf_addf(out, "%zu ", q->prefix.len);
	buf_add_str(out, q->prefix);
	for (size_t i = 0; i < q->n_tags; i++) {
		buf_addf(out, "\n%zu ", q->tags[i].len);
		buf_add_str(out, q->tags[i]);
	}
}

/* --- features --- */

static int by_key(const void *pa, const void *pb)
{
	return str_cmp((*(const struct flag *const *)pa)->key, (*(const struct flag *const *)pb)->key);
}

/* All flags by key; free() the list. */
static const struct flag **sorted(const struct flag_set *s)
{
	const struct flag **v = calloc(flag_set_count(s) + 1, sizeof(*v));
	size_t              n = 0;

	for (const struct flag *f = v ? flag_set_next(s, NULL) : NULL; f; f = flag_set_next(s, f))
		v[n++] = f;
	if (v)
		qsort(v, n, sizeof(*v), by_key);
	return v;
}

static void write_one(struct jw *w, const struct unleash_set *s, const struct unleash_query *q, const struct flag *f, const struct doc_node *segments)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(FEATURES_ARENA_MAX);
	const struct doc_node     *def = unleash_def(&a, f);

	if (!unleash_left_out(&a, s->set, f, def) && unleash_wanted(q, f, def))
		unleash_write_feature(w, s->project, f, def, segments, q->inlined);
}

int unleash_write_all(struct jw *w, const struct unleash_set *s, const struct unleash_query *q, struct err *reterr)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(FEATURES_ARENA_MAX);
	const struct doc_node     *segments = unleash_segments(&a, flag_set_head(s->set));
	const struct flag        **v = sorted(s->set);

	if (!v)
		return err_set(reterr, WEIR_ENOMEM, "the features of a flag set");
	jw_key(w, "features");
	jw_arr(w);
	for (size_t i = 0; v[i]; i++)
		write_one(w, s, q, v[i], segments);
	jw_end(w);
	if (!q->inlined) {
		jw_key(w, "segments");
		unleash_write_segments(w, segments);
	}
	free(v);
	return 0;
}

/* --- GET /api/client/features --- */

struct answer {
	struct http_req            *req;
	const struct unleash_set   *set;
	const struct unleash_query *query;
	char                        hash[9], etag[48];
};

static void write_query(struct jw *w, const struct answer *a)
{
	jw_key(w, "query");
	jw_obj(w);
	jw_kstr(w, "environment", a->set->environment);
	jw_key(w, "project");
	jw_arr(w);
	jw_str(w, a->set->project);
	jw_end(w);
	if (a->query->prefix.len)
		jw_kstr(w, "namePrefix", a->query->prefix);
	if (a->query->n_tags) {
		jw_key(w, "tag");
		jw_arr(w);
		for (size_t i = 0; i < a->query->n_tags; i++) {
			str type, value;

			(void)str_cut(a->query->tags[i], ':', &type, &value);
			jw_arr(w);
			jw_str(w, type);
			jw_str(w, value);
			jw_end(w);
		}
		jw_end(w);
	}
	jw_kbool(w, "inlineSegmentConstraints", a->query->inlined);
	jw_end(w);
}

static int make_features(void *ctx, struct buf *out, struct err *reterr)
{
	struct answer *a = ctx;
	struct jw      w;
	int            rc;

	jw_init(&w, out);
	jw_obj(&w);
	jw_kint(&w, "version", 2);
	rc = unleash_write_all(&w, a->set, a->query, reterr);
	write_query(&w, a);
	jw_key(&w, "meta");
	jw_obj(&w);
	jw_kint(&w, "revisionId", flag_set_head(a->set->set)->revision);
	jw_kstrz(&w, "etag", a->etag);
	jw_kstrz(&w, "queryHash", a->hash);
	jw_end(&w);
	jw_end(&w);
	return rc;
}

static void use_features(void *ctx, str text)
{
	struct answer *a = ctx;

	buf_add_str(http_out(a->req), text);
}

static bool etag_matches(const struct http_req *req, const char *etag)
{
	str seen = http_header(req, "if-none-match");

	return seen.len && (str_eqz(seen, "*") || str_contains(seen, str_z(etag)));
}

int unleash_get_features(struct http_req *req, void *room, struct err *reterr)
{
	struct flag_room      *r = room;
	struct buf CLEANUP_BUF key = BUF_INIT(1 << 20);
	char                   digest[SHA256_HEX];
	struct unleash_set     set;
	struct unleash_query   q;
	struct answer          a = { .req = req, .set = &set, .query = &q };
	int                    rc;

	if (!unleash_read_query(r, req, &set, &q, reterr, &rc))
		return rc;
	unleash_query_key(&key, &set, &q);
	sha256_hex(buf_str(&key), digest);
	snprintf(a.hash, sizeof(a.hash), "%.8s", digest);
	snprintf(a.etag, sizeof(a.etag), "\"%s:%lld:v1\"", a.hash, (long long)flag_set_head(set.set)->revision);
	http_set_header(req, "ETag", str_z(a.etag));
	if (etag_matches(req, a.etag)) {
		http_status(req, 304);
	} else {
		buf_addz(&key, "\nfeatures");
		http_type(req, "application/json");
		if (!(rc = buf_check(&key, "the query", reterr)))
			rc = unleash_cached(r->unleash_cache, buf_str(&key), make_features, use_features, &a, reterr);
	}
	flag_set_unref(set.set);
	return rc;
}

int unleash_get_feature(struct http_req *req, void *room, struct err *reterr)
{
	struct arena          *a = http_arena(req);
	const struct doc_node *def;
	const struct flag     *f;
	const char            *why;
	struct unleash_set     set;
	struct unleash_query   q;
	struct jw              w;
	int                    rc;

	if (!unleash_read_query(room, req, &set, &q, reterr, &rc))
		return rc;
	f = flag_set_find(set.set, http_param(req, "name"));
	def = f ? unleash_def(a, f) : NULL;
	why = f ? unleash_left_out(a, set.set, f, def) : NULL;
	if (!f || (!why && !unleash_wanted(&q, f, def))) {
		(void)http_refuse(req, 404, "there is no such feature");
	} else if (why) {
		(void)http_refuse(req, 404, "this flag is left out of what Unleash's clients evaluate: %s", why);
	} else {
		http_json(req, &w);
		unleash_write_feature(&w, set.project, f, def, unleash_segments(a, flag_set_head(set.set)), q.inlined);
	}
	flag_set_unref(set.set);
	return 0;
}

/* --- weir's own: what is left out --- */

static bool is_unleash(const struct doc_node *def) { return unleash_part(def) != NULL; }

static void write_left_out(struct jw *w, const struct unleash_set *s, int64_t *ret_given, int64_t *ret_unleash)
{
	const struct flag **v = sorted(s->set);

	*ret_given = *ret_unleash = 0;
	for (size_t i = 0; v && v[i]; i++) {
		struct arena CLEANUP_ARENA a = ARENA_INIT(FEATURES_ARENA_MAX);
		const struct doc_node     *def = unleash_def(&a, v[i]);
		const char                *why = unleash_left_out(&a, s->set, v[i], def);

		if (v[i]->archived) /* served to nobody */
			continue;
		*ret_unleash += is_unleash(def);
		*ret_given += !why;
		if (!why)
			continue;
		jw_obj(w);
		jw_kstr(w, "key", v[i]->key);
		jw_kstrz(w, "why", why);
		jw_end(w);
	}
	free(v);
}

int unleash_get_about(struct http_req *req, void *room, struct err *reterr)
{
	struct flag_room        *r = room;
	char                    *id = arena_printf(http_arena(req), "%.*s/%.*s", STR_ARG(http_param(req, "project")), STR_ARG(http_param(req, "set")));
	const struct flag_entry *e = id ? flag_table_find(flag_read_begin(r->tables), str_z(id)) : NULL;
	struct unleash_set       s = { .set = e ? flag_set_ref(e->set) : NULL };
	int64_t                  given, unleash;
	struct jw                w;

	flag_read_end(r->tables);
	if (!s.set)
		return err_set(reterr, WEIR_ENOENT, "there is no flag set '%s'", id ? id : "");
	http_json(req, &w);
	jw_obj(&w);
	jw_kint(&w, "revision", flag_set_head(s.set)->revision);
	jw_key(&w, "left_out");
	jw_arr(&w);
	write_left_out(&w, &s, &given, &unleash);
	jw_end(&w);
	jw_kint(&w, "given", given);
	jw_kint(&w, "unleash_flags", unleash);
	jw_end(&w);
	flag_set_unref(s.set);
	return 0;
}
