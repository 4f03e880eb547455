/* flag-look.c - routes for looking: the flags of a set page by page, and one flag with what it needs, who needs it and all its changes.
 *
 * Worker threads. What flags are comes from the compiled set, which readers hold without a lock; who changed them and when comes from the rows. The two may be
 * one change apart for a moment: each says the revision that it speaks of. */
#include "base/base.h"

#include "flag/room.h"

enum { FLAGS_MAX = 500, FLAGS_USUAL = 100, HISTORY_MAX = 100, NEEDED_BY_MAX = 100 };

struct look { /* a set, held for one request */
	struct flag_set *set;
	enum flag_source source;
	str              id, environment;
};

static str set_id(struct http_req *req)
{
	char *id = arena_printf(http_arena(req), "%.*s/%.*s", STR_ARG(http_param(req, "project")), STR_ARG(http_param(req, "set")));

	return id ? str_z(id) : STR_NULL;
}

static void hold(struct look *l, const struct flag_entry *e, struct arena *a)
{
	l->set = flag_set_ref(e->set);
	l->source = e->source;
	l->id = arena_str(a, str_z(e->id));
	l->environment = arena_str(a, str_z(e->environment));
}

static void write_look(struct jw *w, const struct look *l)
{
	jw_kstr(w, "set", l->id);
	if (l->environment.len)
		jw_kstr(w, "environment", l->environment);
	jw_kstrz(w, "source", l->source == FLAG_IN_REPOSITORY ? "repository" : "store");
	jw_kint(w, "revision", flag_set_head(l->set)->revision);
}

/* --- what was done to one flag --- */

struct flag_doing {
	int64_t revision, at;
	str     by, address, comment;
	bool    removed;
};

static int read_doings(struct db_tx *tx, struct arena *a, str set, str key, struct flag_doing *v, size_t max, size_t *ret_n, struct err *reterr)
{
	struct db_rows CLEANUP_ROWS *rows = NULL;
	int rc = db_query(tx, reterr, &rows,
					  "SELECT r.revision, r.at, r.by_actor, r.address, r.comment,"
					  " (SELECT COUNT(*) FROM flag f WHERE f.set_id = $1 AND f.key = $2 AND f.revision = r.revision)"
					  " FROM flag_revision r WHERE r.set_id = $1 AND r.revision IN (SELECT revision FROM flag WHERE set_id = $1 AND key = $2"
					  " UNION SELECT replaced FROM flag WHERE set_id = $1 AND key = $2 AND replaced > 0) ORDER BY r.revision DESC LIMIT $3",
					  "ssi", set, key, (int64_t)max);

	*ret_n = 0;
	while (!rc && *ret_n < max && (rc = db_next(rows, reterr)) > 0) {
		v[(*ret_n)++] = (struct flag_doing){
			.revision = db_int(rows, 0),
			.at = db_int(rows, 1),
			.by = arena_str(a, db_str(rows, 2)),
			.address = arena_str(a, db_str(rows, 3)),
			.comment = arena_str(a, db_str(rows, 4)),
			.removed = db_int(rows, 5) == 0,
		};
		rc = 0;
	}
	return rc;
}

static void write_doing(struct jw *w, const struct flag_doing *d)
{
	jw_obj(w);
	jw_kint(w, "revision", d->revision);
	jw_ktime(w, "at", d->at);
	jw_kstr(w, "by", d->by);
	jw_kstr(w, "address", d->address);
	jw_kstr(w, "comment", d->comment);
	jw_kbool(w, "removed", d->removed);
	jw_end(w);
}

/* --- the list --- */

struct list {
	struct look         look;
	struct arena       *a;
	const struct flag **v;    /* of look.set */
	struct flag_doing  *last; /* of each; revision 0: not known yet */
	size_t              n, max;
	bool                more;
};

struct filter {
	str         q, state, purpose, owner, after;
};

static bool has_text(str text, str part)
{
	for (size_t i = 0; i + part.len <= text.len; i++)
		if (str_eq_nocase(str_sub(text, i, part.len), part))
			return true;
	return !part.len;
}

static const char *state_name(const struct flag *f) { return f->archived ? "archived" : f->enabled ? "on" : "off"; }

static bool fits(const struct filter *by, const struct flag *f)
{
	const char *purpose = flag_purpose_name(f->purpose);

	return (!by->after.len || str_cmp(f->key, by->after) > 0) && (!by->state.len || str_eqz(by->state, state_name(f))) &&
		   (!by->purpose.len || (purpose && str_eqz(by->purpose, purpose))) && (!by->owner.len || str_eq(by->owner, f->owner)) &&
		   (has_text(f->key, by->q) || has_text(f->owner, by->q));
}

static int by_key(const void *pa, const void *pb)
{
	return str_cmp((*(const struct flag *const *)pa)->key, (*(const struct flag *const *)pb)->key);
}

/* The archived ones are in no list by key, since nobody is served them; there are few. */
static void pick_archived(struct list *l, const struct filter *by, const struct flag_set *s)
{
	const struct flag **v;
	size_t              n = 0, k = 0;

	for (const struct flag *f = flag_set_next(s, NULL); f; f = flag_set_next(s, f))
		n += f->archived && fits(by, f);
	v = ARENA_ARRAY(l->a, n + 1, const struct flag *);
	for (const struct flag *f = v ? flag_set_next(s, NULL) : NULL; f; f = flag_set_next(s, f))
		if (f->archived && fits(by, f))
			v[k++] = f;
	if (v)
		qsort(v, n, sizeof(*v), by_key);
	l->more = n > l->max;
	l->n = !v ? 0 : n < l->max ? n : l->max;
	if (l->n)
		memcpy(l->v, v, l->n * sizeof(*v));
}

static int pick(struct flag_room *r, struct http_req *req, struct list *l, struct err *reterr)
{
	const struct filter by = { http_query(req, "q"), http_query(req, "state"), http_query(req, "purpose"), http_query(req, "owner"), http_query(req, "after") };
	str                 id = set_id(req);

	l->max = (size_t)http_query_int(req, "limit", FLAGS_USUAL);
	l->v = ARENA_ARRAY(l->a, l->max, const struct flag *);
	l->last = ARENA_ARRAY(l->a, l->max, struct flag_doing);
	if (!l->v || !l->last)
		return arena_check(l->a, "a list of flags", reterr);
	const struct flag_entry *e = flag_table_find(flag_read_begin(r->tables), id);

	if (e)
		hold(&l->look, e, l->a);
	bool archived = str_eqz(by.state, "archived");

	for (size_t i = 0; e && !archived && i < e->n_sorted && !l->more; i++) {
		if (!fits(&by, e->sorted[i]))
			continue;
		l->more = l->n == l->max;
		if (!l->more)
			l->v[l->n++] = e->sorted[i];
	}
	flag_read_end(r->tables);
	if (e && archived)
		pick_archived(l, &by, l->look.set);
	return e ? 0 : err_set(reterr, WEIR_ENOENT, "there is no flag set '%.*s'", STR_ARG(str_sub(id, 0, 200)));
}

static int list_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct list *l = arg;
	size_t       found;
	int          rc = 0;

	for (size_t i = 0; !rc && i < l->n; i++) {
		l->last[i] = (struct flag_doing){ 0 };
		rc = read_doings(tx, l->a, l->look.id, l->v[i]->key, &l->last[i], 1, &found, reterr);
	}
	return rc ? rc : arena_check(l->a, "a list of flags", reterr);
}

static void write_time_or_none(struct jw *w, const char *key, usec_t t)
{
	if (t)
		jw_ktime(w, key, t);
}

/* What a flag is, in one line of a list. */
static void write_summary(struct jw *w, const struct flag *f)
{
	jw_kstr(w, "key", f->key);
	jw_kstrz(w, "state", state_name(f));
	jw_kstrz(w, "type", flag_type_name(f->type));
	jw_key(w, "variants");
	jw_arr(w);
	for (size_t i = 0; i < f->n_variants; i++)
		jw_str(w, f->variants[i].name);
	jw_end(w);
	if (f->default_variant >= 0)
		jw_kstr(w, "default", f->variants[f->default_variant].name);
	jw_kbool(w, "targeted", f->rule != NULL);
	if (f->broken)
		jw_kstrz(w, "broken", f->broken);
	if (f->owner.len)
		jw_kstr(w, "owner", f->owner);
	if (f->purpose)
		jw_kstrz(w, "purpose", flag_purpose_name(f->purpose));
	if (f->expires) { /* kept as the begin of the day after */
		char day[CLOCK_RFC3339_SIZE];

		clock_rfc3339(f->expires - USEC_PER_SEC, day);
		jw_kstr(w, "expires", str_n(day, 10));
	}
	write_time_or_none(w, "from", f->from);
	write_time_or_none(w, "until", f->until);
}

static int get_flags(struct http_req *req, void *ctx, struct err *reterr)
{
	struct flag_room *r = ctx;
	struct list       l = { .a = http_arena(req) };
	struct jw         w;
	int               rc = pick(r, req, &l, reterr);

	if (!rc)
		rc = db_read(r->cfg.db, list_tx, &l, reterr);
	if (!rc) {
		usec_t now = clock_wall(r->cfg.clock);

		http_json(req, &w);
		jw_obj(&w);
		write_look(&w, &l.look);
		jw_kint(&w, "total", (int64_t)flag_set_count(l.look.set));
		jw_key(&w, "flags");
		jw_arr(&w);
		for (size_t i = 0; i < l.n; i++) {
			jw_obj(&w);
			write_summary(&w, l.v[i]);
			jw_kbool(&w, "expired", l.v[i]->expires && l.v[i]->expires <= now);
			if (l.last[i].revision) {
				jw_key(&w, "last");
				write_doing(&w, &l.last[i]);
			}
			jw_end(&w);
		}
		jw_end(&w);
		if (l.more)
			jw_kstr(&w, "next", l.v[l.n - 1]->key);
		jw_end(&w);
	}
	flag_set_unref(l.look.set);
	return rc;
}

/* --- one flag --- */

struct one {
	struct look       look;
	struct arena     *a;
	str               key;
	struct flag_doing v[HISTORY_MAX];
	size_t            n;
};

static int one_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct one *o = arg;
	int         rc = read_doings(tx, o->a, o->look.id, o->key, o->v, ARRAY_SIZE(o->v), &o->n, reterr);

	return rc ? rc : arena_check(o->a, "the history of a flag", reterr);
}

static void write_needs(struct jw *w, str flag, const struct flag_prerequisite *p, const struct flag *other)
{
	jw_obj(w);
	jw_kstr(w, "flag", flag);
	jw_key(w, "variants");
	jw_arr(w);
	for (size_t i = 0; i < p->n_variants; i++)
		jw_str(w, p->variants[i]);
	jw_end(w);
	jw_kstrz(w, "state", !other ? "missing" : state_name(other));
	jw_end(w);
}

static void write_needed_by(struct jw *w, const struct flag_set *s, str key)
{
	size_t n = 0;

	for (const struct flag *f = flag_set_next(s, NULL); f && n < NEEDED_BY_MAX; f = flag_set_next(s, f))
		for (size_t i = 0; i < f->n_prerequisites; i++)
			if (str_eq(f->prerequisites[i].flag, key)) {
				write_needs(w, f->key, &f->prerequisites[i], f);
				n++;
			}
}

static void write_present(struct jw *w, const struct flag_set *s, const struct flag *f)
{
	write_summary(w, f);
	jw_key(w, "definition");
	jw_raw(w, f->text);
	jw_key(w, "needs");
	jw_arr(w);
	for (size_t i = 0; i < f->n_prerequisites; i++)
		write_needs(w, f->prerequisites[i].flag, &f->prerequisites[i], flag_set_find(s, f->prerequisites[i].flag));
	jw_end(w);
}

static void write_one(struct jw *w, const struct one *o, const struct flag *f, usec_t now)
{
	jw_obj(w);
	write_look(w, &o->look);
	jw_kbool(w, "removed", !f);
	if (f)
		write_present(w, o->look.set, f);
	else
		jw_kstr(w, "key", o->key);
	jw_kbool(w, "expired", f && f->expires && f->expires <= now);
	jw_key(w, "needed_by");
	jw_arr(w);
	write_needed_by(w, o->look.set, o->key);
	jw_end(w);
	jw_key(w, "history");
	jw_arr(w);
	for (size_t i = 0; i < o->n; i++)
		write_doing(w, &o->v[i]);
	jw_end(w);
	jw_end(w);
}

static int get_flag(struct http_req *req, void *ctx, struct err *reterr)
{
	struct flag_room        *r = ctx;
	struct one              *o = ARENA_NEW(http_arena(req), struct one);
	const struct flag_entry *e;
	const struct flag       *f = NULL;
	str                      id = set_id(req);
	struct jw                w;
	int                      rc = 0;

	if (!o)
		return arena_check(http_arena(req), "a flag", reterr);
	*o = (struct one){ .a = http_arena(req), .key = http_query(req, "key") };
	if ((e = flag_table_find(flag_read_begin(r->tables), id)))
		hold(&o->look, e, o->a);
	flag_read_end(r->tables);
	if (!e)
		return err_set(reterr, WEIR_ENOENT, "there is no flag set '%.*s'", STR_ARG(str_sub(id, 0, 200)));
	f = flag_set_find(o->look.set, o->key);
	rc = db_read(r->cfg.db, one_tx, o, reterr);
	if (!rc && !f && !o->n)
		rc = err_set(reterr, WEIR_ENOENT, "set %.*s has no flag '%.*s', and never had", STR_ARG(id), STR_ARG(str_sub(o->key, 0, LIMIT_FLAG_KEY_BYTES)));
	if (!rc) {
		http_json(req, &w);
		write_one(&w, o, f, clock_wall(r->cfg.clock));
	}
	flag_set_unref(o->look.set);
	return rc;
}

/* --- routes --- */

static const char *const             states[] = { "on", "off", "archived", "", NULL };
static const char *const             purposes[] = { "release", "experiment", "operational", "permission", "", NULL };
static const struct http_query_param flags_query[] = {
	{ .name = "q", .doc = "a part of the key or of the owner" },
	{ .name = "state", .kind = QUERY_WORD, .words = states, .doc = "only switched on, off, or archived; else all that are not archived" },
	{ .name = "purpose", .kind = QUERY_WORD, .words = purposes, .doc = "only of this purpose" },
	{ .name = "owner", .doc = "only this owner's" },
	{ .name = "after", .doc = "only keys behind this one: the answer's next" },
	{ .name = "limit", .kind = QUERY_INT, .min = 1, .max = FLAGS_MAX, .doc = "how many; 100 when not said" },
	{ .name = NULL },
};
static const struct http_query_param flag_query[] = { { .name = "key", .required = true, .doc = "the flag's key" }, { .name = NULL } };
static const char flags_schema[] =
	"{\"type\":\"object\",\"properties\":{\"set\":{\"type\":\"string\"},\"revision\":{\"type\":\"integer\"},\"total\":{\"type\":\"integer\"},"
	"\"flags\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}},\"next\":{\"type\":\"string\"}}}";
static const char flag_schema[] =
	"{\"type\":\"object\",\"properties\":{\"set\":{\"type\":\"string\"},\"revision\":{\"type\":\"integer\"},\"key\":{\"type\":\"string\"},\"definition\":{\"type\":\"object\"},"
	"\"needs\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}},\"needed_by\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}},"
	"\"history\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}}}}";

#define SET_PATH "/api/v1/projects/:project/flag-sets/:set"
static const struct http_route routes[] = {
	{ .method = "GET", .path = SET_PATH "/flags", .kind = HTTP_WORKER, .scope = SCOPE_READ, .fn = get_flags,
	  .doc = "The flags of a set by key: what each is, and who changed it last.", .answer_doc = flags_schema, .query = flags_query },
	{ .method = "GET", .path = SET_PATH "/flag", .kind = HTTP_WORKER, .scope = SCOPE_READ, .fn = get_flag,
	  .doc = "One flag: its definition, what it needs, which flags need it, and its newest 100 changes.", .answer_doc = flag_schema, .query = flag_query },
};

const struct http_route *flag_look_routes(size_t *ret_n)
{
	*ret_n = ARRAY_SIZE(routes);
	return routes;
}
