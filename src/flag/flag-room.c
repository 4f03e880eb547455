/* flag-room.c - life cycle of the room, and the way of a change: checked on a compiled copy, stored with its event, swapped in.
 *
 * The table that readers see is behind the database by at most the time of one build; who changes a set through this server is answered after the swap.
 * Other servers' changes come by the database's notification and are taken over by the follower's thread. */
#include "base/base.h"

#include "base/hash.h"
#include "base/limits.h"
#include "base/log.h"
#include "flag/draft.h"
#include "flag/flag-copy.h"
#include "flag/rollout-room.h"
#include "flag/unleash-api.h"

#include <errno.h>
#include <time.h>

enum { LOAD_ARENA_MAX = 1 << 30, FOLLOW_AGAIN_S = 2 };

/* --- taking over what is stored --- */

struct load {
	str              id;
	int64_t          after; /* revision that is loaded already; 0: none */
	struct arena     arena;
	struct stored_set set;
	struct flag_text *texts;
	size_t           n;
};

static int load_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct load *l = arg;
	int          rc;

	arena_fini(&l->arena);
	rc = flag_store_find(tx, &l->arena, l->id, &l->set, reterr);
	if (!rc && l->set.revision == l->after)
		return 0;
	return rc ? rc : flag_store_texts_after(tx, &l->arena, l->id, l->after, &l->texts, &l->n, reterr);
}

/* The caller holds `writer`, so the entry stays. */
struct flag_set *flag_present_set(struct flag_room *r, str id)
{
	const struct flag_entry *e = flag_table_find(flag_read_begin(r->tables), id);
	struct flag_set         *s = e ? flag_set_ref(e->set) : NULL;

	flag_read_end(r->tables);
	return s;
}

int flag_present(struct flag_room *r, str id, struct arena *a, struct flag_set **ret, str *environment, enum flag_source *source, struct err *reterr)
{
	const struct flag_entry *e = flag_table_find(flag_read_begin(r->tables), id);

	*ret = e ? flag_set_ref(e->set) : NULL;
	if (e && environment)
		*environment = arena_str(a, str_z(e->environment));
	if (e && source)
		*source = e->source;
	flag_read_end(r->tables);
	return *ret ? 0 : err_set(reterr, WEIR_ENOENT, "there is no flag set '%.*s'", STR_ARG(str_sub(id, 0, 200)));
}

int flag_swap_in(struct flag_room *r, const struct stored_set *s, struct flag_set *set, struct err *reterr)
{
	char              id[FLAG_ID_SIZE], project[LIMIT_NAME_BYTES + 1], name[LIMIT_NAME_BYTES + 1], environment[LIMIT_NAME_BYTES + 1];
	struct flag_entry like = { .id = id, .project = project, .name = name, .environment = environment, .source = s->source, .changed_at = s->changed_at };
	struct flag_entry *e;

	snprintf(id, sizeof(id), "%.*s", STR_ARG(s->id));
	snprintf(project, sizeof(project), "%.*s", STR_ARG(s->project));
	snprintf(name, sizeof(name), "%.*s", STR_ARG(s->name));
	snprintf(environment, sizeof(environment), "%.*s", STR_ARG(s->environment));
	if (!(e = flag_entry_new(&like, set)))
		return err_set(reterr, WEIR_ENOMEM, "no memory for flag set %s", id);
	return flag_tables_put(r->tables, id, e, reterr);
}

static int reload_locked(struct flag_room *r, str id, struct err *reterr)
{
	struct flag_set *before = flag_present_set(r, id), *set = NULL;
	struct load      l = { .id = id, .after = before ? flag_set_head(before)->revision : 0, .arena = ARENA_INIT(LOAD_ARENA_MAX) };
	int              rc = db_read(r->cfg.db, load_tx, &l, reterr);

	if (!rc && (!before || l.set.revision != l.after)) {
		struct flag_set_head head = { l.id, l.set.revision, l.set.evaluators, l.set.metadata, l.set.segments };

		rc = flag_set_build(before, &head, l.texts, l.n, &set, reterr);
		if (!rc)
			rc = flag_swap_in(r, &l.set, set, reterr);
	}
	arena_fini(&l.arena);
	flag_set_unref(before);
	return rc;
}

void flag_kick(struct flag_room *r)
{
	if (r->hub)
		sse_kick(r->hub);
	if (r->copy_hub)
		sse_kick(r->copy_hub);
	if (r->unleash_hub)
		sse_kick(r->unleash_hub);
}

int flag_reload(struct flag_room *r, str id, struct err *reterr)
{
	int rc;

	pthread_mutex_lock(&r->writer);
	rc = reload_locked(r, id, reterr);
	pthread_mutex_unlock(&r->writer);
	if (!rc)
		flag_kick(r);
	return rc;
}

struct listing {
	struct arena       arena;
	struct stored_set *sets;
	size_t             n;
};

static int list_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct listing *l = arg;

	arena_fini(&l->arena);
	return flag_store_list(tx, &l->arena, &l->sets, &l->n, reterr);
}

static bool is_present(struct flag_room *r, const struct stored_set *s)
{
	const struct flag_entry *e = flag_table_find(flag_read_begin(r->tables), s->id);
	bool                     ret = e && flag_set_head(e->set)->revision == s->revision;

	flag_read_end(r->tables);
	return ret;
}

/* A set that fails does not keep the others from being taken over; the first error is returned. */
static int reload_all(struct flag_room *r, struct err *reterr)
{
	struct listing l = { .arena = ARENA_INIT(LOAD_ARENA_MAX) };
	int            rc = db_read(r->cfg.db, list_tx, &l, reterr);

	for (size_t i = 0; i < l.n; i++) {
		struct err e = { 0 };
		int        one = is_present(r, &l.sets[i]) ? 0 : flag_reload(r, l.sets[i].id, &e);

		if (one && !rc) {
			*reterr = e;
			rc = one;
		}
	}
	arena_fini(&l.arena);
	return rc;
}

/* --- changes --- */

struct complaint {
	const struct flag_change *c;
	struct buf                text;
	size_t                    n;
};

static void complain(void *ctx, const struct flag *f, const char *what)
{
	struct complaint *p = ctx;

	if (p->n++ < 5)
		buf_addf(&p->text, "%sflag '%.*s': %s", p->n > 1 ? "; " : "", STR_ARG(str_sub(f->key, 0, 100)), what);
}

/* All flags hold together after the change. What was wrong before and is not touched does not count against it only while the heads stay the same. */
static int check_whole(const struct flag_set *next, const struct flag_change *c, struct err *reterr)
{
	struct complaint p = { .c = c, .text = BUF_INIT(8192) };
	int              rc = 0;

	flag_set_check(next, complain, &p);
	if (p.n)
		rc = err_set(reterr, WEIR_EREFUSED, "%.*s%s", STR_ARG(str_sub(buf_str(&p.text), 0, 900)), p.n > 5 ? " (and more)" : "");
	buf_fini(&p.text);
	return rc;
}

/* Each new text is a flag, strictly. */
static int check_texts(const struct flag_change *c, struct err *reterr)
{
	struct arena CLEANUP_ARENA common = ARENA_INIT(256 << 20);
	struct doc_node           *evaluators = NULL;
	int                        rc = c->evaluators.len ? doc_parse_json(&common, "$evaluators", c->evaluators, &evaluators, reterr) : 0;

	for (size_t i = 0; !rc && i < c->n; i++) {
		struct arena CLEANUP_ARENA a = ARENA_INIT(64 << 20);
		struct doc_check           k;
		struct doc_node           *n;
		struct flag_def            d;
		char                       name[LIMIT_FLAG_KEY_BYTES + 16];

		if (!c->texts[i].json.len)
			continue;
		snprintf(name, sizeof(name), "flag %.*s", STR_ARG(str_sub(c->texts[i].key, 0, LIMIT_FLAG_KEY_BYTES)));
		if ((rc = doc_parse_json(&a, name, c->texts[i].json, &n, reterr)))
			return rc;
		doc_check_init(&k, &a, name);
		flag_def_read(&k, c->texts[i].key, 1, 1, n, &d);
		flag_rule_check(&k, d.targeting, evaluators);
		if (d.rollout && !c->rollout)
			doc_error(&k, n, "weir.rollout is written by a guarded rollout, not by hand: start one with `weir flag rollout`");
		rc = doc_check_result(&k, reterr);
	}
	return rc;
}

struct apply {
	struct flag_room         *r;
	const struct flag_change *c;
	int64_t                   revision;
};

static int apply_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct apply     *a = arg;
	struct flag_pass *pass = a->c->pass;
	int               rc = pass ? pass->check(tx, pass->ctx, reterr) : 0;

	if (!rc)
		rc = flag_store_change(a->r, tx, a->c, &a->revision, reterr);
	return rc || !pass ? rc : pass->done(tx, pass->ctx, a->revision, reterr);
}

/* What a set of the store is kept from. Fills c->seen_environment where rules of it were looked at. */
static int check_guards(struct flag_room *r, const struct flag_set *before, struct arena *a, struct flag_change *c, struct err *reterr)
{
	struct flag_set *present;
	enum flag_source source;
	str              environment;
	int              rc = flag_present(r, c->id, a, &present, &environment, &source, reterr);

	if (rc)
		return rc;
	flag_set_unref(present);
	if (c->source != FLAG_IN_STORE || source != FLAG_IN_STORE)
		return 0; /* the repository has git's review; and a change of the wrong place is refused later */
	rc = flag_guard_archived(before, c, reterr);
	if (rc || c->pass || (c->rollout && c->base < 0)) /* a rollout was let through when it began; its steps and its way back are */
		return rc;
	c->seen_environment = environment;
	return flag_guard_protected(r, before, environment, c, reterr);
}

static int apply_locked(struct flag_room *r, struct flag_change *c, struct arena *scratch, int64_t *ret_revision, struct err *reterr)
{
	struct arena CLEANUP_ARENA names = ARENA_INIT(4096);
	struct flag_set           *before = flag_present_set(r, c->id), *next = NULL;
	struct apply               a = { .r = r, .c = c };
	int                        rc;

	if (!before)
		return err_set(reterr, WEIR_ENOENT, "there is no flag set '%.*s'", STR_ARG(str_sub(c->id, 0, 200)));
	if (!c->with_head) {
		c->evaluators = flag_set_head(before)->evaluators;
		c->metadata = flag_set_head(before)->metadata;
	}
	if (!c->with_segments)
		c->segments = flag_set_head(before)->segments;
	rc = check_guards(r, before, &names, c, reterr); /* of what was sent: that it is only the kill switch is seen before it is rewritten */
	if (!rc && !c->rollout)
		rc = rollout_rewrite(before, c, scratch, reterr);
	if (!rc)
		rc = check_texts(c, reterr);
	if (!rc) {
		struct flag_set_head head = { c->id, flag_set_head(before)->revision + 1, c->evaluators, c->metadata, c->segments };

		rc = flag_set_build(before, &head, c->texts, c->n, &next, reterr);
	}
	if (!rc && !c->restores)
		rc = check_whole(next, c, reterr);
	flag_set_unref(next);
	if (!rc)
		rc = db_write(r->cfg.db, apply_tx, &a, reterr);
	flag_set_unref(before);
	if (!rc)
		rc = reload_locked(r, c->id, reterr);
	*ret_revision = a.revision;
	return rc;
}

int flag_apply(struct flag_room *r, const struct flag_change *change, int64_t *ret_revision, struct err *reterr)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(LOAD_ARENA_MAX);
	struct flag_change         c = *change;
	int                        rc;

	pthread_mutex_lock(&r->writer);
	/* Another server may have been here first: what the change is checked against is what it will be stored upon. */
	rc = reload_locked(r, c.id, reterr);
	if (!rc)
		rc = apply_locked(r, &c, &a, ret_revision, reterr);
	pthread_mutex_unlock(&r->writer);
	if (!rc)
		flag_kick(r);
	return rc;
}

/* --- chance --- */

uint64_t flag_chance(struct flag_room *r)
{
	return atomic_fetch_add_explicit(&r->chance, 0xd1342543de82ef95ull, memory_order_relaxed); /* each evaluation mixes it */
}

/* --- tickets --- */

static int ticket_key_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct flag_room *r = arg;
	char              fresh[2 * sizeof(r->ticket_key) + 1];
	unsigned char     raw[sizeof(r->ticket_key)];
	struct arena CLEANUP_ARENA a = ARENA_INIT(4096);
	str               kept;
	int               rc;

	randombytes_buf(raw, sizeof(raw));
	hex_of(raw, sizeof(raw), fresh);
	rc = db_exec(tx, reterr, "INSERT INTO flag_ticket_key (one, key) VALUES (1, $1) ON CONFLICT (one) DO NOTHING", "z", fresh);
	if (!rc)
		rc = db_get_str(tx, reterr, &a, &kept, NULL, "SELECT key FROM flag_ticket_key", "");
	if (!rc && !hex_parse(kept, r->ticket_key, sizeof(r->ticket_key)))
		rc = err_set(reterr, WEIR_EINTERNAL, "the key of flag tickets is damaged");
	return rc;
}

static int64_t today(const struct flag_room *r) { return clock_wall(r->cfg.clock) / USEC_PER_SEC / 86400; }

/* "04ce1" and 32 digits of a digest over the day and the set. */
static void ticket_of(const struct flag_room *r, str id, int64_t day, char out[FLAG_TICKET_SIZE])
{
	crypto_auth_hmacsha256_state s;
	unsigned char                mac[crypto_auth_hmacsha256_BYTES];

	snprintf(out, FLAG_TICKET_SIZE, "%05x", (unsigned)day & 0xfffff);
	crypto_auth_hmacsha256_init(&s, r->ticket_key, sizeof(r->ticket_key));
	crypto_auth_hmacsha256_update(&s, (const unsigned char *)out, 5);
	crypto_auth_hmacsha256_update(&s, (const unsigned char *)id.ptr, id.len);
	crypto_auth_hmacsha256_final(&s, mac);
	hex_of(mac, (FLAG_TICKET_SIZE - 6) / 2, out + 5);
}

void flag_ticket(const struct flag_room *r, str id, char out[FLAG_TICKET_SIZE])
{
	ticket_of(r, id, today(r), out);
}

bool flag_ticket_ok(const struct flag_room *r, str id, str ticket)
{
	bool ok = false;

	/* Of tomorrow, too: another server's clock may be ahead. */
	for (int64_t day = today(r) + 1; day > today(r) - LIMIT_FLAG_TICKET_DAYS; day--) {
		char good[FLAG_TICKET_SIZE];

		ticket_of(r, id, day, good);
		ok |= ticket.len == FLAG_TICKET_SIZE - 1 && mem_equal_const_time(ticket.ptr, good, ticket.len);
	}
	return ok;
}

/* --- life --- */

static void notified(void *ctx)
{
	struct flag_room *r = ctx;

	pthread_mutex_lock(&r->news_lock);
	r->has_news = true;
	pthread_cond_signal(&r->news);
	pthread_mutex_unlock(&r->news_lock);
}

/* Waits for news, or until what failed is tried again. With news_lock. */
static void follow_wait(struct flag_room *r, bool failed)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += FOLLOW_AGAIN_S;
	while (!r->stop && !r->has_news)
		if (!failed)
			pthread_cond_wait(&r->news, &r->news_lock);
		else if (pthread_cond_timedwait(&r->news, &r->news_lock, &until) == ETIMEDOUT)
			return;
}

/* No further notification comes for what could not be taken over: it is tried again until it can. */
static void *follow(void *arg)
{
	struct flag_room *r = arg;
	bool              failed = false, told = false;

	pthread_mutex_lock(&r->news_lock);
	for (;;) {
		struct err err = { 0 };

		follow_wait(r, failed);
		if (r->stop)
			break;
		r->has_news = false;
		pthread_mutex_unlock(&r->news_lock);
		failed = reload_all(r, &err) != 0;
		if (failed && !told)
			log_error("flag", "cannot take over what another server changed, the last good sets are served; again every %d s: %s", FOLLOW_AGAIN_S, err.msg);
		told = failed;
		pthread_mutex_lock(&r->news_lock);
	}
	pthread_mutex_unlock(&r->news_lock);
	return NULL;
}

static struct flag_room *room_new(const struct flag_config *cfg)
{
	struct flag_room  *r = calloc(1, sizeof(*r));
	pthread_condattr_t attr;

	if (!r)
		return NULL;
	r->cfg = *cfg;
	randombytes_buf(&r->chance, sizeof(r->chance));
	pthread_mutex_init(&r->writer, NULL);
	pthread_mutex_init(&r->indexing, NULL);
	flag_pasts_init(&r->pasts);
	pthread_mutex_init(&r->news_lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&r->news, &attr);
	pthread_condattr_destroy(&attr);
	r->tables = flag_tables_new();
	r->unleash_cache = unleash_cache_new();
	return r->tables && r->unleash_cache ? r : flag_close(r);
}

int flag_open_copies(const struct clock *clock, const unsigned char ticket_key[crypto_auth_hmacsha256_KEYBYTES], struct flag_room **ret, struct err *reterr)
{
	*ret = room_new(&(struct flag_config){ .clock = clock });
	if (!*ret)
		return err_set(reterr, WEIR_ENOMEM, "flags");
	memcpy((*ret)->ticket_key, ticket_key, sizeof((*ret)->ticket_key));
	return 0;
}

int flag_open(const struct flag_config *cfg, struct flag_room **ret, struct err *reterr)
{
	struct flag_room *r = room_new(cfg);
	int               rc;

	*ret = NULL;
	if (!r)
		return err_set(reterr, WEIR_ENOMEM, "flags");
	rc = db_migrate(cfg->db, "flag", flag_migrations, flag_n_migrations, reterr);
	if (!rc)
		rc = db_write(cfg->db, ticket_key_tx, r, reterr);
	if (!rc)
		rc = reload_all(r, reterr);
	if (!rc)
		rc = flag_sampler_new(r, &r->sampler, reterr);
	if (!rc)
		rc = flag_usage_new(cfg->db, cfg->clock, &r->usage, reterr);
	if (!rc)
		rc = rollouts_new(r, &r->rollouts, reterr);
	if (rc)
		r = flag_close(r);
	*ret = r;
	return rc;
}

int flag_start(struct flag_room *r, struct http_server *http, struct err *reterr)
{
	int rc = sse_hub_new(http, ofrep_pull, r, LIMIT_FLAG_STREAMS, &r->hub, reterr);

	if (!rc)
		rc = sse_hub_new(http, unleash_pull, r, LIMIT_FLAG_STREAMS, &r->unleash_hub, reterr);
	if (!rc)
		rc = http_server_errors(http, "/ofrep/", ofrep_error, reterr);
	if (!rc)
		rc = http_server_errors(http, "/api/client/", unleash_error, reterr);
	if (!rc)
		rc = http_server_errors(http, "/api/frontend", unleash_error, reterr);
	if (rc || !r->cfg.db)
		return rc;
	rc = sse_hub_new(http, flag_copy_pull, r, LIMIT_FLAG_EDGES, &r->copy_hub, reterr);
	if (!rc)
		rc = db_listen(r->cfg.db, FLAG_CHANNEL, notified, r, &r->listener, reterr);
	if (!rc && pthread_create(&r->follower, NULL, follow, r))
		rc = err_set(reterr, WEIR_EINTERNAL, "flags: cannot start a thread");
	r->follower_started = !rc;
	if (!rc)
		rc = flag_usage_start(r->usage, reterr);
	if (!rc)
		rc = rollouts_start(r->rollouts, reterr);
	return rc ? rc : flag_drafts_start(r, reterr);
}

struct flag_room *flag_close(struct flag_room *r)
{
	struct err err = { 0 };

	if (!r)
		return NULL;
	r->rollouts = rollouts_free(r->rollouts);
	r->drafts = flag_drafts_stop(r->drafts);
	if (r->sampler && flag_sampler_flush(r, &err))
		log_warn("flag", "sampled contexts are lost: %s", err.msg);
	r->sampler = flag_sampler_free(r->sampler);
	r->listener = db_unlisten(r->listener);
	if (r->follower_started) {
		pthread_mutex_lock(&r->news_lock);
		r->stop = true;
		pthread_cond_signal(&r->news);
		pthread_mutex_unlock(&r->news_lock);
		pthread_join(r->follower, NULL);
	}
	r->hub = sse_hub_free(r->hub);
	r->copy_hub = sse_hub_free(r->copy_hub);
	r->unleash_hub = sse_hub_free(r->unleash_hub);
	r->unleash_cache = unleash_cache_free(r->unleash_cache);
	r->usage = flag_usage_free(r->usage);
	flag_tables_free(r->tables);
	flag_pasts_fini(&r->pasts);
	pthread_cond_destroy(&r->news);
	pthread_mutex_destroy(&r->news_lock);
	pthread_mutex_destroy(&r->writer);
	pthread_mutex_destroy(&r->indexing);
	free(r);
	return NULL;
}

void flag_metrics(struct flag_room *r, struct buf *out)
{
	if (r)
		flag_usage_metrics(r->usage, out);
}
