/* flag-samples.c - contexts of real evaluations that are kept to see whom a change hits: a bounded reservoir per set.
 *
 * Contexts are personal data: nothing is kept unless a set asks for it, names on its list are left out at any depth, large contexts are not kept at all,
 * and what is older than the set's days is dropped, from memory and from the table. Whoever evaluates never waits: when the lock is taken the context is
 * passed over. Several servers fill one table, slot by slot, so that the bound holds for all of them together. */
#include "base/base.h"

#include "base/hash.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/vec.h"
#include "flag/draft.h"

#include <strings.h>

enum { MEMORY = 50 /* a newer context replaces an older one at least every so many times the size of a reservoir */ };

const char *const flag_deny_default[] = { "email", "ip", "name", "password", "phone", "token", NULL };

struct kept {
	char    *json;
	char     digest[SHA256_HEX];
	usec_t   at;
	bool     fresh; /* not in the table yet */
};
struct reservoir {
	struct flag_sampling how;   /* texts are in arena */
	struct arena         arena;
	struct kept         *v;     /* how.keep of them */
	size_t               n;
	uint64_t             seen;
	bool                 present; /* mark of a reload */
};
struct flag_sampler {
	pthread_mutex_t lock;
	atomic_size_t   n_on;   /* sets that keep contexts: zero costs a load */
	struct map      by_set; /* struct reservoir */
};

/* --- keeping --- */

static bool is_denied(const struct flag_sampling *how, str name)
{
	for (size_t i = 0; i < how->n_deny; i++)
		if (str_eq_nocase(how->deny[i], name))
			return true;
	return false;
}

static void write_allowed(struct jw *w, const struct flag_sampling *how, const struct doc_node *n)
{
	if (n->kind == DOC_MAP) {
		jw_obj(w);
		for (size_t i = 0; i < doc_len(n); i++)
			if (!is_denied(how, n->map.pairs[i].key)) {
				jw_key_n(w, n->map.pairs[i].key);
				write_allowed(w, how, n->map.pairs[i].value);
			}
		jw_end(w);
	} else if (n->kind == DOC_SEQ) {
		jw_arr(w);
		for (size_t i = 0; i < doc_len(n); i++)
			write_allowed(w, how, doc_at(n, i));
		jw_end(w);
	} else {
		jw_node(w, n);
	}
}

/* The same context twice is one, with the later time. */
static struct kept *find_kept(struct reservoir *res, const char *digest)
{
	for (size_t i = 0; i < res->n; i++)
		if (!strcmp(res->v[i].digest, digest))
			return &res->v[i];
	return NULL;
}

static void keep(struct reservoir *res, size_t slot, const struct doc_node *context, usec_t now)
{
	struct buf CLEANUP_BUF text = BUF_INIT(LIMIT_FLAG_SAMPLE_BYTES);
	char                   digest[SHA256_HEX];
	struct kept           *k;
	struct jw              w;
	char                  *json;

	jw_init(&w, &text);
	if (context)
		write_allowed(&w, &res->how, context);
	else
		buf_addz(&text, "{}");
	if (text.failed)
		return;
	sha256_hex(buf_str(&text), digest);
	if (!(k = find_kept(res, digest))) {
		if (!(json = str_dup(buf_str(&text))))
			return;
		k = &res->v[slot];
		if (slot == res->n)
			res->n++;
		free(k->json);
		k->json = json;
		memcpy(k->digest, digest, sizeof(digest));
	}
	k->at = now;
	k->fresh = true;
}

void flag_sample(struct flag_room *r, const struct flag_entry *e, const struct doc_node *context)
{
	struct flag_sampler *s = r->sampler;
	struct reservoir    *res;

	if (!e || !s || !atomic_load_explicit(&s->n_on, memory_order_relaxed) || pthread_mutex_trylock(&s->lock))
		return;
	res = map_get(&s->by_set, str_z(e->id));
	if (res && res->how.keep) {
		uint64_t most = (uint64_t)res->how.keep * MEMORY;
		size_t   slot = res->n;

		if (res->seen < most)
			res->seen++;
		if (slot == (size_t)res->how.keep)
			slot = randombytes_uniform((uint32_t)res->seen);
		if (slot < (size_t)res->how.keep)
			keep(res, slot, context, clock_wall(r->cfg.clock));
	}
	pthread_mutex_unlock(&s->lock);
}

/* --- reservoirs --- */

static void reservoir_free(struct reservoir *res)
{
	for (size_t i = 0; res && i < res->n; i++)
		free(res->v[i].json);
	if (!res)
		return;
	free(res->v);
	arena_fini(&res->arena);
	free(res);
}

/* A list of names, JSON, into the arena. */
static int read_deny(struct arena *a, str json, struct flag_sampling *ret, struct err *reterr)
{
	struct doc_node *n;
	str             *v;
	int              rc = doc_parse_json(a, "deny", json, &n, reterr);

	if (rc)
		return rc;
	v = ARENA_ARRAY(a, doc_len(n) + 1, str);
	for (size_t i = 0; v && i < doc_len(n); i++)
		v[i] = doc_at(n, i)->s;
	ret->deny = v;
	ret->n_deny = v ? doc_len(n) : 0;
	return arena_check(a, "names of attributes", reterr);
}

struct stored_sample {
	str    set, json;
	size_t slot;
	usec_t at;
};
struct stored_how {
	str     set, deny;
	int64_t keep, days, changed_at;
};
struct loading {
	struct arena arena;
	VEC(struct stored_how) how;
	VEC(struct stored_sample) samples;
};

static int load_how(struct db_tx *tx, struct loading *l, struct err *reterr)
{
	struct db_rows CLEANUP_ROWS *rows = NULL;
	int rc = db_query(tx, reterr, &rows, "SELECT set_id, keep, days, deny, changed_at FROM flag_sampling ORDER BY set_id", "");

	l->how.n = 0;
	while (!rc && (rc = db_next(rows, reterr)) > 0) {
		struct stored_how h = { .set = arena_str(&l->arena, db_str(rows, 0)), .keep = db_int(rows, 1), .days = db_int(rows, 2),
								.deny = arena_str(&l->arena, db_str(rows, 3)), .changed_at = db_int(rows, 4) };

		rc = VEC_PUSH(&l->how, h) ? 0 : err_set(reterr, WEIR_ENOMEM, "sampling of contexts");
	}
	return rc;
}

static int load_samples(struct db_tx *tx, struct loading *l, struct err *reterr)
{
	struct db_rows CLEANUP_ROWS *rows = NULL;
	int rc = db_query(tx, reterr, &rows, "SELECT set_id, slot, at, context FROM flag_sample ORDER BY set_id, slot", "");

	l->samples.n = 0;
	while (!rc && (rc = db_next(rows, reterr)) > 0) {
		struct stored_sample s = { arena_str(&l->arena, db_str(rows, 0)), arena_str(&l->arena, db_str(rows, 3)), (size_t)db_int(rows, 1), db_int(rows, 2) };

		rc = VEC_PUSH(&l->samples, s) ? 0 : err_set(reterr, WEIR_ENOMEM, "sampled contexts");
	}
	return rc ? rc : arena_check(&l->arena, "sampled contexts", reterr);
}

static int load_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct loading *l = arg;
	int             rc;

	arena_fini(&l->arena);
	rc = load_how(tx, l, reterr);
	return rc ? rc : arena_check(&l->arena, "sampling of contexts", reterr);
}

static int load_all_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	int rc = load_tx(tx, arg, reterr);

	return rc ? rc : load_samples(tx, arg, reterr);
}

static int reservoir_new(const struct loading *l, size_t i, struct reservoir **ret, struct err *reterr)
{
	struct reservoir *res = calloc(1, sizeof(*res));
	int               rc;

	*ret = res;
	if (res)
		res->v = calloc((size_t)l->how.v[i].keep, sizeof(*res->v));
	if (!res || !res->v)
		return err_set(reterr, WEIR_ENOMEM, "sampling of contexts");
	arena_init(&res->arena, 1 << 20);
	res->how = (struct flag_sampling){ .keep = l->how.v[i].keep, .days = l->how.v[i].days, .changed_at = l->how.v[i].changed_at };
	rc = read_deny(&res->arena, l->how.v[i].deny, &res->how, reterr);
	return rc;
}

/* With the lock. Reservoirs of sets whose sampling was changed begin anew. */
static int take_over(struct flag_sampler *s, const struct loading *l, struct err *reterr)
{
	size_t on = 0;
	int    rc = 0;

	for (struct map_entry *e = map_next(&s->by_set, NULL); e; e = map_next(&s->by_set, e))
		((struct reservoir *)e->value)->present = false;
	for (size_t i = 0; !rc && i < l->how.n; i++) {
		struct reservoir *old = map_get(&s->by_set, l->how.v[i].set), *res = NULL;

		if (!l->how.v[i].keep)
			continue;
		on++;
		if (old && old->how.changed_at == l->how.v[i].changed_at) {
			old->present = true;
			continue;
		}
		rc = reservoir_new(l, i, &res, reterr);
		if (!rc && !map_put(&s->by_set, l->how.v[i].set, res, NULL))
			rc = err_set(reterr, WEIR_ENOMEM, "sampling of contexts");
		if (rc)
			reservoir_free(res);
		else {
			res->present = true;
			reservoir_free(old);
		}
	}
	for (struct map_entry *e = rc ? NULL : map_next(&s->by_set, NULL), *next; e; e = next) {
		struct reservoir *res = e->value;
		str               key = { e->key, e->key_len };

		next = map_next(&s->by_set, e);
		if (!res->present) {
			(void)map_del(&s->by_set, key);
			reservoir_free(res);
		}
	}
	atomic_store(&s->n_on, on);
	return rc;
}

/* What was kept before the server ended. */
static void restore(struct flag_sampler *s, const struct loading *l)
{
	for (size_t i = 0; i < l->samples.n; i++) {
		const struct stored_sample *from = &l->samples.v[i];
		struct reservoir           *res = map_get(&s->by_set, from->set);
		struct kept                *k;

		if (!res || res->n == (size_t)res->how.keep)
			continue;
		k = &res->v[res->n];
		if (!(k->json = str_dup(from->json)))
			return;
		sha256_hex(from->json, k->digest);
		k->at = from->at;
		k->fresh = from->slot != res->n;
		res->seen = ++res->n;
	}
}

static void loading_fini(struct loading *l)
{
	VEC_FINI(&l->how);
	VEC_FINI(&l->samples);
	arena_fini(&l->arena);
}

static int load(struct flag_room *r, struct flag_sampler *s, bool all, struct err *reterr)
{
	struct loading l = { .arena = ARENA_INIT(1 << 30) };
	int            rc = db_read(r->cfg.db, all ? load_all_tx : load_tx, &l, reterr);

	if (!rc) {
		pthread_mutex_lock(&s->lock);
		rc = take_over(s, &l, reterr);
		if (!rc && all)
			restore(s, &l);
		pthread_mutex_unlock(&s->lock);
	}
	loading_fini(&l);
	return rc;
}

int flag_sampler_new(struct flag_room *r, struct flag_sampler **ret, struct err *reterr)
{
	struct flag_sampler *s = calloc(1, sizeof(*s));
	int                  rc;

	*ret = NULL;
	if (!s)
		return err_set(reterr, WEIR_ENOMEM, "sampling of contexts");
	pthread_mutex_init(&s->lock, NULL);
	map_init(&s->by_set);
	rc = load(r, s, true, reterr);
	*ret = rc ? flag_sampler_free(s) : s;
	return rc;
}

struct flag_sampler *flag_sampler_free(struct flag_sampler *s)
{
	if (!s)
		return NULL;
	for (struct map_entry *e = map_next(&s->by_set, NULL); e; e = map_next(&s->by_set, e))
		reservoir_free(e->value);
	map_fini(&s->by_set);
	pthread_mutex_destroy(&s->lock);
	free(s);
	return NULL;
}

int flag_sampler_reload(struct flag_room *r, struct err *reterr) { return load(r, r->sampler, false, reterr); }

/* --- to the table --- */

struct fresh {
	str     set, json;
	size_t  slot;
	usec_t  at;
	int64_t generation;
};
struct flushing {
	struct arena arena;
	VEC(struct fresh) v;
	usec_t now;
};

/* A set whose sampling was turned off or changed meanwhile gets nothing of the old reservoir. */
static int flush_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct flushing *f = arg;
	int rc = 0;

	for (size_t i = 0; !rc && i < f->v.n; i++)
		rc = db_exec(tx, reterr,
					 "INSERT INTO flag_sample (set_id, slot, at, context) SELECT set_id, $2, $3, $4 FROM flag_sampling WHERE set_id = $1 AND changed_at = $5 AND keep > $2"
					 " ON CONFLICT (set_id, slot) DO UPDATE SET at = EXCLUDED.at, context = EXCLUDED.context",
					 "siisi", f->v.v[i].set, (int64_t)f->v.v[i].slot, f->v.v[i].at, f->v.v[i].json, f->v.v[i].generation);
	return rc;
}

static int expire_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	const usec_t *now = arg;

	return db_exec(tx, reterr,
				   "DELETE FROM flag_sample WHERE EXISTS (SELECT 1 FROM flag_sampling s WHERE s.set_id = flag_sample.set_id AND flag_sample.at < $1 - s.days * 86400000000)",
				   "i", *now);
}

/* With the lock. Drops what is too old, and notes what the table does not have. */
static void collect(struct reservoir *res, str set, struct flushing *f, bool *ret_old)
{
	usec_t oldest = f->now - res->how.days * 24 * 3600 * USEC_PER_SEC;

	for (size_t i = 0; i < res->n;) {
		struct kept *k = &res->v[i];

		if (k->at < oldest) {
			free(k->json);
			*k = res->v[--res->n];
			k->fresh = i < res->n;
			res->v[res->n] = (struct kept){ 0 };
			*ret_old = true;
			continue;
		}
		if (k->fresh) {
			struct fresh one = { set, arena_str(&f->arena, str_z(k->json)), i, k->at, res->how.changed_at };

			if (!VEC_PUSH(&f->v, one))
				return;
			k->fresh = false;
		}
		i++;
	}
}

int flag_sampler_flush(struct flag_room *r, struct err *reterr)
{
	struct flag_sampler *s = r->sampler;
	struct flushing      f = { .arena = ARENA_INIT(1 << 30), .v = VEC_INIT, .now = clock_wall(r->cfg.clock) };
	bool                 old = false;
	int                  rc = 0;

	pthread_mutex_lock(&s->lock);
	for (struct map_entry *e = map_next(&s->by_set, NULL); e; e = map_next(&s->by_set, e))
		collect(e->value, arena_str(&f.arena, str_n(e->key, e->key_len)), &f, &old);
	pthread_mutex_unlock(&s->lock);
	if (f.v.n)
		rc = db_write(r->cfg.db, flush_tx, &f, reterr);
	if (!rc && old)
		rc = db_write(r->cfg.db, expire_tx, &f.now, reterr);
	VEC_FINI(&f.v);
	arena_fini(&f.arena);
	return rc;
}

/* --- settings --- */

struct settings {
	struct flag_room           *r;
	struct arena               *arena;
	str                         set, project, by, deny;
	const struct flag_sampling *put;
	struct flag_sampling        got;
	usec_t                      now;
	str                        *v; /* contexts */
	size_t                      n;
	usec_t                      since;
};

static int get_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct settings             *q = arg;
	struct db_rows CLEANUP_ROWS *rows = NULL;
	struct stored_set            s;
	int                          rc = flag_store_find(tx, q->arena, q->set, &s, reterr);

	q->got = (struct flag_sampling){ 0 };
	q->deny = STR_NULL;
	if (!rc)
		rc = db_query(tx, reterr, &rows, "SELECT keep, days, deny, changed_at FROM flag_sampling WHERE set_id = $1", "s", q->set);
	if (rc || (rc = db_next(rows, reterr)) <= 0)
		return rc;
	q->got = (struct flag_sampling){ .keep = db_int(rows, 0), .days = db_int(rows, 1), .changed_at = db_int(rows, 3) };
	q->deny = arena_str(q->arena, db_str(rows, 2));
	return 0;
}

int flag_sampling_get(struct flag_room *r, struct arena *a, str set, struct flag_sampling *ret, struct err *reterr)
{
	struct settings q = { .arena = a, .set = set };
	int             rc = db_read(r->cfg.db, get_tx, &q, reterr);

	*ret = q.got;
	return rc || !q.deny.ptr ? rc : read_deny(a, q.deny, ret, reterr);
}

static int put_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct settings       *q = arg;
	struct buf CLEANUP_BUF data = BUF_INIT(4096);
	struct jw              w;
	int                    rc = db_exec(tx, reterr,
										"INSERT INTO flag_sampling (set_id, keep, days, deny, changed_at) VALUES ($1, $2, $3, $4, $5)"
										" ON CONFLICT (set_id) DO UPDATE SET keep = EXCLUDED.keep, days = EXCLUDED.days, deny = EXCLUDED.deny, changed_at = EXCLUDED.changed_at",
										"siisi", q->set, q->put->keep, q->put->days, q->deny, q->now);

	/* what was kept was kept under other terms */
	if (!rc)
		rc = db_exec(tx, reterr, "DELETE FROM flag_sample WHERE set_id = $1", "s", q->set);
	jw_init(&w, &data);
	jw_obj(&w);
	jw_kstr(&w, "set", q->set);
	jw_kint(&w, "keep", q->put->keep);
	jw_kint(&w, "days", q->put->days);
	jw_end(&w);
	if (!rc)
		rc = event_append(q->r->cfg.log, tx, q->project, EVENT_FLAG_SAMPLING_CHANGED, q->by, buf_str(&data), NULL, reterr);
	return rc ? rc : db_notify(tx, FLAG_CHANNEL, reterr);
}

int flag_sampling_put(struct flag_room *r, str set, str project, const struct flag_sampling *s, str by, struct err *reterr)
{
	struct buf CLEANUP_BUF deny = BUF_INIT(1 << 20);
	struct settings        q = { .r = r, .set = set, .project = project, .by = by, .put = s, .now = clock_wall(r->cfg.clock) };
	struct jw              w;
	int                    rc;

	jw_init(&w, &deny);
	jw_arr(&w);
	for (size_t i = 0; i < s->n_deny; i++)
		jw_str(&w, s->deny[i]);
	jw_end(&w);
	q.deny = buf_str(&deny);
	rc = buf_check(&deny, "names of attributes", reterr);
	if (!rc)
		rc = db_write(r->cfg.db, put_tx, &q, reterr);
	return rc ? rc : flag_sampler_reload(r, reterr);
}

static int read_samples(struct db_tx *tx, struct settings *q, struct err *reterr)
{
	struct db_rows CLEANUP_ROWS *rows = NULL;
	int rc = db_query(tx, reterr, &rows, "SELECT context, at FROM flag_sample WHERE set_id = $1 ORDER BY slot LIMIT $2", "si", q->set, (int64_t)LIMIT_FLAG_SAMPLES);

	q->n = 0;
	q->since = 0;
	while (!rc && q->v && q->n < LIMIT_FLAG_SAMPLES && (rc = db_next(rows, reterr)) > 0) {
		usec_t at = db_int(rows, 1);

		q->v[q->n++] = arena_str(q->arena, db_str(rows, 0));
		q->since = !q->since || at < q->since ? at : q->since;
		rc = 0;
	}
	return rc ? rc : arena_check(q->arena, "sampled contexts", reterr);
}

static int samples_tx(struct db_tx *tx, void *arg, struct err *reterr) { return read_samples(tx, arg, reterr); }

int flag_samples_read(struct flag_room *r, struct arena *a, str set, str **ret, size_t *ret_n, usec_t *ret_since, struct err *reterr)
{
	struct settings q = { .arena = a, .set = set, .v = ARENA_ARRAY(a, LIMIT_FLAG_SAMPLES, str) };
	int             rc = flag_sampler_flush(r, reterr); /* with what came a moment ago */

	if (!rc)
		rc = db_read(r->cfg.db, samples_tx, &q, reterr);
	*ret = q.v;
	*ret_n = q.n;
	*ret_since = q.since;
	return rc;
}
