/* unleash-clients.c - which applications ask for a set's flags (register), and what they counted (metrics).
 *
 * Worker threads. A report is one transaction: the instance is seen, each count is added to the row of its feature, application and hour. Limits hold for
 * one report and for what a set keeps: instances that were not seen for a week and counts older than LIMIT_UNLEASH_DAYS go. Names that are no flags of the
 * set are kept as well: they are code that asks for something that is not there. What Unleash calls impact metrics is not kept. */
#include "base/base.h"

#include "flag/unleash-api.h"

#define HOUR (3600 * USEC_PER_SEC)
#define DAY  (24 * HOUR)
enum { INSTANCE_DAYS = 7 };

/* --- tables --- */

struct client {
	str     app, instance, kind, sdk, strategies, address; /* strategies: JSON; empty: not said */
	usec_t  started;
	int64_t interval_ms;
};
struct count {
	str     key, app;
	usec_t  hour;
	int64_t yes, no;
	const struct doc_node *variants; /* a checked map of whole numbers; NULL: none */
};
struct report {
	str            set;
	struct client *clients;
	size_t         n_clients;
	struct count  *counts;
	size_t         n_counts;
	usec_t         now;
};

static int put_client(struct db_tx *tx, const struct report *r, const struct client *c, struct err *reterr)
{
	return db_exec(tx, reterr,
				   "INSERT INTO flag_client (set_id, app, instance, kind, sdk, strategies, address, started, interval_ms, first_seen, last_seen)"
				   " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10) ON CONFLICT (set_id, app, instance) DO UPDATE SET kind = excluded.kind,"
				   " sdk = CASE WHEN excluded.sdk = '' THEN flag_client.sdk ELSE excluded.sdk END,"
				   " strategies = CASE WHEN excluded.strategies = '' THEN flag_client.strategies ELSE excluded.strategies END, address = excluded.address,"
				   " started = CASE WHEN excluded.started = 0 THEN flag_client.started ELSE excluded.started END,"
				   " interval_ms = CASE WHEN excluded.interval_ms = 0 THEN flag_client.interval_ms ELSE excluded.interval_ms END, last_seen = excluded.last_seen",
				   "sssssssiii", r->set, c->app, c->instance, c->kind, c->sdk, c->strategies, c->address, c->started, c->interval_ms, r->now);
}

/* Sums stay far from the end of the column: nobody asks that often between two reports. */
static int64_t sane(int64_t n) { return n < UINT32_MAX ? n : UINT32_MAX; }

static int put_count(struct db_tx *tx, const struct report *r, const struct count *c, struct err *reterr)
{
	int rc = db_exec(tx, reterr,
					 "INSERT INTO flag_client_count (set_id, key, app, hour, yes, no) VALUES ($1, $2, $3, $4, $5, $6)"
					 " ON CONFLICT (set_id, key, app, hour) DO UPDATE SET yes = flag_client_count.yes + excluded.yes, no = flag_client_count.no + excluded.no",
					 "sssiii", r->set, c->key, c->app, c->hour, sane(c->yes), sane(c->no));

	for (size_t i = 0; !rc && i < doc_len(c->variants); i++)
		rc = db_exec(tx, reterr,
					 "INSERT INTO flag_client_variant (set_id, key, app, hour, variant, n) VALUES ($1, $2, $3, $4, $5, $6)"
					 " ON CONFLICT (set_id, key, app, hour, variant) DO UPDATE SET n = flag_client_variant.n + excluded.n",
					 "sssisi", r->set, c->key, c->app, c->hour, c->variants->map.pairs[i].key,
					 sane(c->variants->map.pairs[i].value->i));
	return rc;
}

/* What is old goes. */
static int make_room(struct db_tx *tx, const struct report *r, struct err *reterr)
{
	int rc = db_exec(tx, reterr, "DELETE FROM flag_client WHERE set_id = $1 AND last_seen < $2", "si", r->set, r->now - INSTANCE_DAYS * DAY);

	if (!rc)
		rc = db_exec(tx, reterr, "DELETE FROM flag_client_count WHERE set_id = $1 AND hour < $2", "si", r->set, r->now - LIMIT_UNLEASH_DAYS * DAY);
	if (!rc)
		rc = db_exec(tx, reterr, "DELETE FROM flag_client_variant WHERE set_id = $1 AND hour < $2", "si", r->set, r->now - LIMIT_UNLEASH_DAYS * DAY);
	return rc;
}

/* A row of variants counts as one of a feature. */
static int check_hour(struct db_tx *tx, const struct report *r, usec_t hour, struct err *reterr)
{
	int64_t counts, variants;
	int     rc = db_get_int(tx, reterr, &counts, NULL, "SELECT COUNT(*) FROM flag_client_count WHERE set_id = $1 AND hour = $2", "si", r->set, hour);

	if (!rc)
		rc = db_get_int(tx, reterr, &variants, NULL, "SELECT COUNT(*) FROM flag_client_variant WHERE set_id = $1 AND hour = $2", "si", r->set, hour);
	if (!rc && counts + variants > LIMIT_UNLEASH_COUNTS)
		return err_set(reterr, WEIR_EBUSY, "%d counts of this hour are kept for this set, which is the limit", LIMIT_UNLEASH_COUNTS);
	return rc;
}

/* Clients say themselves which hour they counted in: each one of the report is looked at. */
static int check_hours(struct db_tx *tx, const struct report *r, struct err *reterr)
{
	bool seen[LIMIT_UNLEASH_DAYS * 24 + 2] = { false };
	int  rc = 0;

	for (size_t i = 0; !rc && i < r->n_counts; i++) {
		size_t ago = (size_t)((r->now - r->counts[i].hour) / HOUR);

		if (ago < ARRAY_SIZE(seen) && seen[ago])
			continue;
		if (ago < ARRAY_SIZE(seen))
			seen[ago] = true;
		rc = check_hour(tx, r, r->counts[i].hour, reterr);
	}
	return rc;
}

/* After the report is in: what is over a limit takes it back. */
static int check_room(struct db_tx *tx, const struct report *r, struct err *reterr)
{
	int64_t clients;
	int     rc = db_get_int(tx, reterr, &clients, NULL, "SELECT COUNT(*) FROM flag_client WHERE set_id = $1", "s", r->set);

	if (!rc && clients > LIMIT_UNLEASH_INSTANCES)
		return err_set(reterr, WEIR_EBUSY, "%d instances of applications are known for this set, which is the limit", LIMIT_UNLEASH_INSTANCES);
	return rc ? rc : check_hours(tx, r, reterr);
}

static int report_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	const struct report *r = arg;
	int                  rc = make_room(tx, r, reterr);

	for (size_t i = 0; !rc && i < r->n_clients; i++)
		rc = put_client(tx, r, &r->clients[i], reterr);
	for (size_t i = 0; !rc && i < r->n_counts; i++)
		rc = put_count(tx, r, &r->counts[i], reterr);
	return rc ? rc : check_room(tx, r, reterr);
}

/* --- reading what clients say --- */

struct reading {
	struct http_req *req;
	struct doc_check k;
	usec_t           now;
};

static str read_name(struct reading *in, const struct doc_node *n, const char *what)
{
	str s = doc_want_str(&in->k, n, what);

	if (s.ptr && !flag_key_ok(s))
		doc_error(&in->k, n, "%s must be 1 to %d bytes of UTF-8 without control characters", what, LIMIT_FLAG_KEY_BYTES);
	return s;
}

/* As read_name; absent, null and "" are `otherwise`. */
static str read_name_or(struct reading *in, const struct doc_node *n, const char *what, str otherwise)
{
	if (!n || n->kind == DOC_NULL || (n->kind == DOC_STR && !n->s.len))
		return otherwise;
	return read_name(in, n, what);
}

static usec_t read_time(struct reading *in, const struct doc_node *n, const char *what)
{
	str    s;
	usec_t t = 0;

	if (!n || n->kind == DOC_NULL)
		return 0;
	s = doc_want_str(&in->k, n, what);
	if (s.ptr && !clock_parse_rfc3339(s, &t))
		doc_error(&in->k, n, "%s must be a time such as 2027-01-31T09:00:00Z", what);
	return t;
}

/* Counts are whole; clients of languages without integers write 3.0. */
static int64_t read_count(struct reading *in, const struct doc_node *n, const char *what)
{
	if (!n || n->kind == DOC_NULL)
		return 0;
	if (n->kind == DOC_REAL && n->d >= 0 && n->d <= 1e15 && n->d == (double)(int64_t)n->d)
		return (int64_t)n->d;
	return doc_want_int(&in->k, n, what, 0, INT64_C(1000000000000000));
}

static const struct doc_node *read_variants(struct reading *in, const struct doc_node *n)
{
	if (!n || n->kind == DOC_NULL || !doc_is_map(&in->k, n, "variants", NULL))
		return NULL;
	if (doc_len(n) > LIMIT_FLAG_VARIANTS)
		doc_error(&in->k, n, "variants: at most %d", LIMIT_FLAG_VARIANTS);
	for (size_t i = 0; i < doc_len(n); i++) {
		if (!flag_key_ok(n->map.pairs[i].key))
			doc_error(&in->k, n, "the name of a variant must be 1 to %d bytes of UTF-8 without control characters", LIMIT_FLAG_KEY_BYTES);
		(void)doc_want_int(&in->k, n->map.pairs[i].value, "the count of a variant", 0, INT64_C(1000000000000000));
	}
	return n;
}

/* Hours of the future count as this one; those before the kept days are dropped (false). */
static bool hour_of(const struct reading *in, usec_t t, usec_t *ret)
{
	if (!t || t > in->now)
		t = in->now;
	*ret = t - t % HOUR;
	return t > in->now - LIMIT_UNLEASH_DAYS * DAY;
}

static str json_of(struct arena *a, const struct doc_node *n)
{
	struct buf CLEANUP_BUF out = BUF_INIT(64 << 10);
	struct jw              w;

	jw_init(&w, &out);
	jw_node(&w, n);
	return out.failed ? STR("") : arena_str(a, buf_str(&out));
}

static void read_strategies(struct reading *in, const struct doc_node *n, struct client *c)
{
	c->strategies = STR("");
	if (!n || n->kind == DOC_NULL || !doc_is_seq(&in->k, n, "strategies"))
		return;
	if (doc_len(n) > LIMIT_UNLEASH_STRATEGIES)
		doc_error(&in->k, n, "strategies: at most %d", LIMIT_UNLEASH_STRATEGIES);
	for (size_t i = 0; i < doc_len(n); i++)
		(void)read_name(in, doc_at(n, i), "the name of a strategy");
	c->strategies = json_of(in->k.arena, n);
}

static str header_name(struct reading *in, const char *name)
{
	str s = http_header(in->req, name);

	return s.len && flag_key_ok(s) ? s : STR("");
}

static void read_client(struct reading *in, const struct doc_node *n, const char *kind, struct client *ret)
{
	*ret = (struct client){ .kind = str_z(kind), .address = http_remote(in->req) };
	ret->app = read_name(in, doc_need(&in->k, n, "appName"), "appName");
	ret->instance = read_name_or(in, doc_get(n, "instanceId"), "instanceId", STR("default"));
	ret->sdk = read_name_or(in, doc_get(n, "sdkVersion"), "sdkVersion", header_name(in, "unleash-sdk"));
	ret->started = read_time(in, doc_get(n, "started"), "started");
	ret->interval_ms = read_count(in, doc_get(n, "interval"), "interval");
	read_strategies(in, doc_get(n, "strategies"), ret);
	if (str_eqz(doc_get_str(n, "sdkType"), "frontend"))
		ret->kind = STR("frontend");
}

static void read_toggles(struct reading *in, const struct doc_node *toggles, str app, usec_t hour, struct report *ret)
{
	if (!toggles || !doc_is_map(&in->k, toggles, "toggles", NULL))
		return;
	if (doc_len(toggles) > LIMIT_UNLEASH_REPORT) {
		doc_error(&in->k, toggles, "toggles: at most %d in one report", LIMIT_UNLEASH_REPORT);
		return;
	}
	ret->counts = ARENA_ARRAY(in->k.arena, doc_len(toggles) + 1, struct count);
	for (size_t i = 0; ret->counts && i < doc_len(toggles); i++) {
		const struct doc_pair *p = &toggles->map.pairs[i];

		if (!flag_key_ok(p->key))
			doc_error(&in->k, p->value, "the name of a feature must be 1 to %d bytes of UTF-8 without control characters", LIMIT_FLAG_KEY_BYTES);
		if (!doc_is_map(&in->k, p->value, "the counts of a feature", NULL))
			continue;
		ret->counts[ret->n_counts++] = (struct count){ .key = p->key, .app = app, .hour = hour, .yes = read_count(in, doc_get(p->value, "yes"), "yes"),
													   .no = read_count(in, doc_get(p->value, "no"), "no"), .variants = read_variants(in, doc_get(p->value, "variants")) };
	}
}

/* One client's own report: {appName, instanceId?, bucket?: {start, stop, toggles}}. */
static void read_metrics(struct reading *in, const struct doc_node *n, const char *kind, struct report *ret)
{
	const struct doc_node *bucket = doc_get(n, "bucket");
	usec_t                 hour;
	bool                   kept;

	ret->clients = ARENA_ARRAY(in->k.arena, 1, struct client);
	if (!ret->clients || !doc_is_map(&in->k, n, "the body", NULL))
		return;
	read_client(in, n, kind, &ret->clients[0]);
	ret->n_clients = 1;
	if (!bucket || bucket->kind == DOC_NULL || !doc_is_map(&in->k, bucket, "bucket", NULL))
		return;
	(void)read_time(in, doc_need(&in->k, bucket, "start"), "start");
	kept = hour_of(in, read_time(in, doc_need(&in->k, bucket, "stop"), "stop"), &hour);
	read_toggles(in, doc_get(bucket, "toggles"), ret->clients[0].app, hour, ret);
	if (!kept)
		ret->n_counts = 0;
}

/* --- which set, and storing --- */

/* Begins to read a body. False: refused, or *ret_rc. */
static bool begin(struct http_req *req, struct flag_room *r, struct reading *in, struct doc_node **ret, struct err *reterr, int *ret_rc)
{
	*ret_rc = 0;
	if (!unleash_is_json(req)) {
		(void)http_refuse(req, 415, "the body must be JSON: Content-Type: application/json");
		return false;
	}
	*ret_rc = http_body_json(req, ret, reterr);
	*in = (struct reading){ .req = req, .now = clock_wall(r->cfg.clock) };
	doc_check_init(&in->k, http_arena(req), "body");
	return !*ret_rc;
}

static bool has_variant(const struct flag *f, str name)
{
	for (size_t i = 0; i < f->n_variants; i++)
		if (str_eq(f->variants[i].name, name))
			return true;
	return false;
}

/* One feature's counts as uses of the flag: by variant where the client asked for those, else yes and no. */
static void use_count(struct flag_tally *t, const struct report *p, const struct flag *f, const struct count *c)
{
	usec_t at = c->hour + HOUR - 1;

	for (size_t i = 0; i < doc_len(c->variants); i++) {
		str name = c->variants->map.pairs[i].key;

		flag_usage_report(t, p->set, f->key, has_variant(f, name) ? name : STR(""), (uint64_t)c->variants->map.pairs[i].value->i, at, p->now);
	}
	if (doc_len(c->variants))
		return;
	flag_usage_report(t, p->set, f->key, has_variant(f, STR("on")) ? STR("on") : STR(""), (uint64_t)c->yes, at, p->now);
	flag_usage_report(t, p->set, f->key, has_variant(f, STR("off")) ? STR("off") : STR(""), (uint64_t)c->no, at, p->now);
}

/* Flags that clients evaluate themselves are used, too (weir flag usage, stale flags). */
static void count_uses(struct flag_room *r, const struct report *p)
{
	const struct flag_entry *e = flag_table_find(flag_read_begin(r->tables), p->set);
	struct flag_tally       *t = e ? flag_usage_begin(r->usage) : NULL;

	for (size_t i = 0; t && i < p->n_counts; i++) {
		const struct flag *f = flag_set_find(e->set, p->counts[i].key);

		if (f)
			use_count(t, p, f, &p->counts[i]);
	}
	flag_usage_end(r->usage, t);
	flag_read_end(r->tables);
}

/* Stores a report of the set that the request means, and answers. */
static int store(struct flag_room *r, struct reading *in, struct report *p, int status, struct err *reterr)
{
	struct unleash_set set;
	int                rc = doc_check_result(&in->k, reterr);

	if (!rc)
		rc = arena_check(in->k.arena, "the report", reterr);
	if (rc || !unleash_choose(r, in->req, NULL, 0, STR(""), &set))
		return rc;
	p->set = set.id;
	p->now = in->now;
	flag_set_unref(set.set);
	rc = db_write(r->cfg.db, report_tx, p, reterr);
	if (!rc) {
		count_uses(r, p);
		http_status(in->req, status);
	}
	return rc;
}

static int one_client(struct http_req *req, struct flag_room *r, const char *kind, bool metrics, int status, struct err *reterr)
{
	struct report    p = { .n_clients = 1 };
	struct reading   in;
	struct doc_node *body;
	int              rc;

	if (!begin(req, r, &in, &body, reterr, &rc))
		return rc;
	if (metrics) {
		read_metrics(&in, body, kind, &p);
	} else if ((p.clients = ARENA_ARRAY(http_arena(req), 1, struct client)) && doc_is_map(&in.k, body, "the body", NULL)) {
		read_client(&in, body, kind, &p.clients[0]);
	}
	return store(r, &in, &p, status, reterr);
}

int unleash_post_register(struct http_req *req, void *room, struct err *reterr) { return one_client(req, room, "backend", false, 202, reterr); }
int unleash_post_metrics(struct http_req *req, void *room, struct err *reterr) { return one_client(req, room, "backend", true, 202, reterr); }
int unleash_post_frontend_register(struct http_req *req, void *room, struct err *reterr) { return one_client(req, room, "frontend", false, 200, reterr); }
int unleash_post_frontend_metrics(struct http_req *req, void *room, struct err *reterr) { return one_client(req, room, "frontend", true, 200, reterr); }

/* --- many clients at once --- */

static void read_applications(struct reading *in, const struct doc_node *list, struct report *ret)
{
	if (!list || !doc_is_seq(&in->k, list, "applications"))
		return;
	if (doc_len(list) > LIMIT_UNLEASH_REPORT) {
		doc_error(&in->k, list, "applications: at most %d in one report", LIMIT_UNLEASH_REPORT);
		return;
	}
	ret->clients = ARENA_ARRAY(in->k.arena, doc_len(list) + 1, struct client);
	for (size_t i = 0; ret->clients && i < doc_len(list); i++)
		if (doc_is_map(&in->k, doc_at(list, i), "an application", NULL))
			read_client(in, doc_at(list, i), "backend", &ret->clients[ret->n_clients++]);
}

static void read_counts(struct reading *in, const struct doc_node *list, struct report *ret)
{
	if (!list || !doc_is_seq(&in->k, list, "metrics"))
		return;
	if (doc_len(list) > LIMIT_UNLEASH_REPORT) {
		doc_error(&in->k, list, "metrics: at most %d in one report", LIMIT_UNLEASH_REPORT);
		return;
	}
	ret->counts = ARENA_ARRAY(in->k.arena, doc_len(list) + 1, struct count);
	for (size_t i = 0; ret->counts && i < doc_len(list); i++) {
		const struct doc_node *n = doc_at(list, i);
		struct count          *c = &ret->counts[ret->n_counts];

		if (!doc_is_map(&in->k, n, "an entry of metrics", NULL))
			continue;
		*c = (struct count){ .key = read_name(in, doc_need(&in->k, n, "featureName"), "featureName"), .app = read_name(in, doc_need(&in->k, n, "appName"), "appName"),
							 .yes = read_count(in, doc_get(n, "yes"), "yes"), .no = read_count(in, doc_get(n, "no"), "no"),
							 .variants = read_variants(in, doc_get(n, "variants")) };
		ret->n_counts += hour_of(in, read_time(in, doc_get(n, "timestamp"), "timestamp"), &c->hour);
	}
}

int unleash_post_bulk(struct http_req *req, void *room, struct err *reterr)
{
	struct report    p = { 0 };
	struct reading   in;
	struct doc_node *body;
	int              rc;

	if (!begin(req, room, &in, &body, reterr, &rc))
		return rc;
	if (doc_is_map(&in.k, body, "the body", NULL)) {
		read_applications(&in, doc_get(body, "applications"), &p);
		read_counts(&in, doc_get(body, "metrics"), &p);
	}
	return store(room, &in, &p, 202, reterr);
}

/* --- weir's own routes: what was reported --- */

struct listing {
	struct http_req *req;
	struct jw       *w;
	str              set, key;
	usec_t           since;
};

static str set_id(struct http_req *req)
{
	char *id = arena_printf(http_arena(req), "%.*s/%.*s", STR_ARG(http_param(req, "project")), STR_ARG(http_param(req, "set")));

	return id ? str_z(id) : STR("");
}

static void write_client(struct jw *w, struct db_rows *rows)
{
	jw_obj(w);
	jw_kstr(w, "app", db_str(rows, 0));
	jw_kstr(w, "instance", db_str(rows, 1));
	jw_kstr(w, "kind", db_str(rows, 2));
	jw_kstr(w, "sdk", db_str(rows, 3));
	jw_key(w, "strategies");
	jw_raw(w, db_str(rows, 4).len ? db_str(rows, 4) : STR("[]"));
	jw_kstr(w, "address", db_str(rows, 5));
	jw_ktime(w, "started", db_int(rows, 6));
	jw_kint(w, "interval_ms", db_int(rows, 7));
	jw_ktime(w, "first_seen", db_int(rows, 8));
	jw_ktime(w, "last_seen", db_int(rows, 9));
	jw_end(w);
}

static int clients_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct listing              *l = arg;
	struct db_rows CLEANUP_ROWS *rows = NULL;
	struct stored_set            s;
	int                          rc = flag_store_find(tx, http_arena(l->req), l->set, &s, reterr);

	http_out(l->req)->len = 0;
	jw_init(l->w, http_out(l->req));
	if (!rc)
		rc = db_query(tx, reterr, &rows,
					  "SELECT app, instance, kind, sdk, strategies, address, started, interval_ms, first_seen, last_seen FROM flag_client WHERE set_id = $1"
					  " ORDER BY app, instance", "s", l->set);
	if (rc)
		return rc;
	jw_obj(l->w);
	jw_key(l->w, "clients");
	jw_arr(l->w);
	while ((rc = db_next(rows, reterr)) > 0)
		write_client(l->w, rows);
	jw_end(l->w);
	jw_end(l->w);
	return rc;
}

int unleash_get_clients(struct http_req *req, void *room, struct err *reterr)
{
	struct flag_room *r = room;
	struct jw         w;
	struct listing    l = { .req = req, .w = &w, .set = set_id(req) };

	http_json(req, &w);
	return db_read(r->cfg.db, clients_tx, &l, reterr);
}

static int write_variants(struct db_tx *tx, const struct listing *l, str key, str app, struct err *reterr)
{
	struct db_rows CLEANUP_ROWS *rows = NULL;
	int                          rc = db_query(tx, reterr, &rows,
											   "SELECT variant, SUM(n) FROM flag_client_variant WHERE set_id = $1 AND key = $2 AND app = $3 AND hour >= $4 GROUP BY variant"
											   " ORDER BY variant", "sssi", l->set, key, app, l->since);

	jw_key(l->w, "variants");
	jw_obj(l->w);
	while (!rc && (rc = db_next(rows, reterr)) > 0) {
		jw_key_n(l->w, db_str(rows, 0));
		jw_int(l->w, db_int(rows, 1));
		rc = 0;
	}
	jw_end(l->w);
	return rc;
}

struct sum {
	str     key, app;
	int64_t yes, no;
	usec_t  last;
};

static int read_sums(struct db_tx *tx, const struct listing *l, struct sum **ret, size_t *ret_n, struct err *reterr)
{
	struct arena                *a = http_arena(l->req);
	struct db_rows CLEANUP_ROWS *rows = NULL;
	int                          rc = db_query(tx, reterr, &rows,
											   "SELECT key, app, SUM(yes), SUM(no), MAX(hour) FROM flag_client_count WHERE set_id = $1 AND hour >= $2 AND ($3 = '' OR key = $3)"
											   " GROUP BY key, app ORDER BY key, app LIMIT $4", "sisi", l->set, l->since, l->key, (int64_t)LIMIT_UNLEASH_LISTED);

	*ret = ARENA_ARRAY(a, LIMIT_UNLEASH_LISTED, struct sum);
	*ret_n = 0;
	while (!rc && *ret && *ret_n < LIMIT_UNLEASH_LISTED && (rc = db_next(rows, reterr)) > 0) {
		(*ret)[(*ret_n)++] = (struct sum){ arena_str(a, db_str(rows, 0)), arena_str(a, db_str(rows, 1)), db_int(rows, 2), db_int(rows, 3), db_int(rows, 4) };
		rc = 0;
	}
	return rc ? rc : arena_check(a, "counts", reterr);
}

static int counts_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct listing   *l = arg;
	struct stored_set s;
	struct sum       *v = NULL;
	size_t            n = 0;
	int               rc = flag_store_find(tx, http_arena(l->req), l->set, &s, reterr);

	http_out(l->req)->len = 0;
	jw_init(l->w, http_out(l->req));
	if (!rc)
		rc = read_sums(tx, l, &v, &n, reterr);
	jw_obj(l->w);
	jw_ktime(l->w, "since", l->since);
	jw_key(l->w, "counts");
	jw_arr(l->w);
	for (size_t i = 0; !rc && i < n; i++) {
		jw_obj(l->w);
		jw_kstr(l->w, "key", v[i].key);
		jw_kstr(l->w, "app", v[i].app);
		jw_kint(l->w, "yes", v[i].yes);
		jw_kint(l->w, "no", v[i].no);
		jw_ktime(l->w, "last_hour", v[i].last);
		rc = write_variants(tx, l, v[i].key, v[i].app, reterr);
		jw_end(l->w);
	}
	jw_end(l->w);
	jw_end(l->w);
	return rc;
}

int unleash_get_counts(struct http_req *req, void *room, struct err *reterr)
{
	struct flag_room *r = room;
	struct jw         w;
	usec_t            now = clock_wall(r->cfg.clock);
	str               key = http_query(req, "flag");
	struct listing    l = { .req = req, .w = &w, .set = set_id(req), .key = key.len ? key : STR("") };

	l.since = now - now % HOUR - (http_query_int(req, "hours", 24) - 1) * HOUR;
	http_json(req, &w);
	return db_read(r->cfg.db, counts_tx, &l, reterr);
}
