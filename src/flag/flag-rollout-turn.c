/* flag-rollout-turn.c - the thread of guarded rollouts: follows the table, counts what happened to users, stores the counts, and lets the state machine
 * act. A turn comes at once after an outcome or an order, else four times a second while a rollout is under way; without one the thread sleeps.
 *
 * Counts are stored before they are acted on. What was taken into the inbox since the last turn (at most a quarter of a second) is lost when the server
 * is killed; everything that was stored is not. Feeding the same event twice does no harm: a user counts once per step. */
#include "base/base.h"

#include "base/hash.h"
#include "base/log.h"
#include "flag/rollout-room.h"

#include <errno.h>
#include <time.h>

enum { TURN_MS = 250, TURN_MIN_MS = 30, WAIT_FOR_EXPOSURE_S = 3, HANDED_MAX = 200, HANDED_EVENTS = 2000 };

/* --- the inbox --- */

bool rollouts_add(struct flag_rollouts *s, const struct track_event *e)
{
	if (s->inbox.n >= LIMIT_FLAG_TRACK_QUEUE || !VEC_PUSH(&s->inbox, *e)) {
		s->dropped++;
		return false;
	}
	if (e->outcome) {
		s->urgent = true;
		pthread_cond_signal(&s->wake);
	}
	return true;
}

void rollouts_exposed(struct flag_room *r, const struct flag_arms *arms, const struct flag_context *c)
{
	struct track_event e = { .share = arms->share };
	struct logic_value v;

	if (!r->rollouts || !logic_get(c->data, STR("targetingKey"), &v) || v.kind != LOGIC_STRING || !v.len)
		return;
	e.bucket = flag_bucket(arms->salt, logic_text(v));
	snprintf(e.rollout, sizeof(e.rollout), "%.*s", STR_ARG(arms->rollout));
	pthread_mutex_lock(&r->rollouts->lock);
	rollouts_add(r->rollouts, &e);
	pthread_mutex_unlock(&r->rollouts->lock);
}

void rollouts_kick(struct flag_rollouts *s)
{
	pthread_mutex_lock(&s->lock);
	s->news = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
}

bool rollouts_know(struct flag_rollouts *s, const char *id)
{
	bool ret = false;

	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->all.n; i++)
		ret = ret || !strcmp(s->all.v[i]->id, id);
	pthread_mutex_unlock(&s->lock);
	return ret;
}

/* --- the list --- */

size_t guarded_step(const struct guarded *g)
{
	return g->ro.state == ROLLOUT_BAKING ? g->spec.plan.n_steps - 1 : g->ro.step;
}

static void guarded_free(struct guarded *g)
{
	if (!g)
		return;
	flag_track_fini(&g->track);
	arena_fini(&g->arena);
	free(g);
}

static struct guarded *find(struct flag_rollouts *s, const char *id)
{
	for (size_t i = 0; i < s->all.n; i++)
		if (!strcmp(s->all.v[i]->id, id))
			return s->all.v[i];
	return NULL;
}

static void remove_at(struct flag_rollouts *s, size_t i)
{
	guarded_free(s->all.v[i]);
	memmove(&s->all.v[i], &s->all.v[i + 1], (s->all.n - i - 1) * sizeof(*s->all.v));
	s->all.n--;
}

struct look {
	struct rollout_mark marks[LIMIT_FLAG_ROLLOUTS];
	size_t              n;
};

static int look_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct look *l = arg;

	return rollout_store_running(tx, l->marks, &l->n, reterr);
}

struct reading {
	const char     *id;
	struct guarded *g;
};

static int load_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct reading *l = arg;

	return rollout_store_load(tx, l->id, l->g, reterr);
}

/* One that came, or that another has written to. Read apart and put in place with the lock: handlers look at the list. */
static int take_over(struct flag_rollouts *s, const struct rollout_mark *m, struct err *reterr)
{
	struct guarded *old = find(s, m->id), *g;
	struct reading  l = { .id = m->id };
	int             rc;

	if (old && old->version == m->version)
		return 0;
	if (!(g = l.g = calloc(1, sizeof(*g))))
		return err_set(reterr, WEIR_ENOMEM, "a flag's rollout");
	arena_init(&g->arena, 64 << 20);
	rc = db_read(s->room->cfg.db, load_tx, &l, reterr);
	pthread_mutex_lock(&s->lock);
	if (!rc && !old && !VEC_PUSH(&s->all, g))
		rc = err_set(reterr, WEIR_ENOMEM, "a flag's rollout");
	if (!rc && old) { /* its texts and counts stay */
		old->ro = g->ro;
		memcpy(old->entered, g->entered, sizeof(g->entered));
		old->version = g->version;
		old->order = g->order;
		memcpy(old->order_by, g->order_by, sizeof(g->order_by));
	}
	pthread_mutex_unlock(&s->lock);
	if (rc || old)
		guarded_free(g);
	return rc == -WEIR_ENOENT ? 0 : rc; /* it ended between the two looks */
}

static bool is_marked(const struct look *l, const char *id)
{
	for (size_t i = 0; i < l->n; i++)
		if (!strcmp(l->marks[i].id, id))
			return true;
	return false;
}

static int follow_table(struct flag_rollouts *s, struct err *reterr)
{
	struct look l = { .n = 0 };
	int         rc = db_read(s->room->cfg.db, look_tx, &l, reterr);

	if (rc)
		return rc;
	pthread_mutex_lock(&s->lock);
	for (size_t i = s->all.n; i > 0; i--)
		if (!is_marked(&l, s->all.v[i - 1]->id))
			remove_at(s, i - 1);
	pthread_mutex_unlock(&s->lock);
	for (size_t i = 0; !rc && i < l.n; i++)
		rc = take_over(s, &l.marks[i], reterr);
	return rc;
}

/* --- who owns them --- */

static void stop_counting(struct flag_rollouts *s)
{
	for (size_t i = 0; i < s->all.n; i++) {
		flag_track_fini(&s->all.v[i]->track);
		s->all.v[i]->counting = s->all.v[i]->has_verdict = false;
	}
}

static int ask_lease(struct flag_rollouts *s, struct err *reterr)
{
	bool held = false, anew = false;
	int  rc = s->lease ? 0 : db_lock_new(s->room->cfg.db, "flag rollouts", &s->lease, reterr);

	if (!rc)
		rc = db_lock_hold(s->lease, &held, &anew, reterr);
	if (rc || !held || anew)
		stop_counting(s); /* another may have counted meanwhile: what is stored is the truth */
	s->owner = !rc && held;
	return rc;
}

static int track_tx(struct db_tx *tx, void *arg, struct err *reterr) { return rollout_store_track(tx, arg, reterr); }

static int start_counting(struct flag_rollouts *s, struct err *reterr)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < s->all.n; i++) {
		struct guarded *g = s->all.v[i];

		if (g->counting)
			continue;
		rc = flag_track_init(&g->track, g->spec.plan.steps, g->spec.plan.n_steps, reterr);
		if (!rc)
			rc = db_read(s->room->cfg.db, track_tx, g, reterr);
		if (rc)
			flag_track_fini(&g->track);
		g->counting = !rc;
	}
	return rc;
}

/* --- counting --- */

static void feed(struct flag_rollouts *s, struct track_event e, usec_t now)
{
	struct guarded *g = find(s, e.rollout);

	if (!g || !g->counting)
		return;
	if (!e.outcome) {
		for (size_t k = 0; k < g->spec.plan.n_steps; k++)
			if (g->spec.plan.steps[k] >= e.share) {
				flag_track_exposed(&g->track, e.bucket, k);
				return;
			}
	} else if (flag_track_knows(&g->track, e.bucket) || (e.until && now >= e.until)) {
		flag_track_outcome(&g->track, e.bucket, e.failed);
	} else { /* the evaluation may have been seen by another server, which has not handed it over yet */
		if (!e.until)
			e.until = now + WAIT_FOR_EXPOSURE_S * USEC_PER_SEC;
		if (s->waiting.n >= LIMIT_FLAG_TRACK_QUEUE || !VEC_PUSH(&s->waiting, e))
			s->dropped++;
	}
}

static void feed_waiting(struct flag_rollouts *s, usec_t now)
{
	struct track_event *v = s->waiting.v;
	size_t              n = s->waiting.n;

	s->waiting.v = NULL;
	s->waiting.n = s->waiting.cap = 0;
	for (size_t i = 0; i < n; i++)
		feed(s, v[i], now);
	free(v);
}

/* Takes what the inbox holds; the caller frees. */
static struct track_event *take_inbox(struct flag_rollouts *s, size_t *ret_n)
{
	struct track_event *v;

	pthread_mutex_lock(&s->lock);
	v = s->inbox.v;
	*ret_n = s->inbox.n;
	s->inbox.v = NULL;
	s->inbox.n = s->inbox.cap = 0;
	pthread_mutex_unlock(&s->lock);
	return v;
}

/* --- handing over: id, bucket, share, outcome, failed --- */

enum { WIRE = ID_SIZE - 1 + 8 + 8 + 2 };

static void pack(const struct track_event *e, struct buf *out)
{
	buf_add(out, e->rollout, ID_SIZE - 1);
	buf_add(out, &e->bucket, 8);
	buf_add(out, &e->share, 8);
	buf_addc(out, e->outcome ? 1 : 0);
	buf_addc(out, e->failed ? 1 : 0);
}

static void unpack(const char *p, struct track_event *e)
{
	*e = (struct track_event){ .outcome = p[WIRE - 2] != 0, .failed = p[WIRE - 1] != 0 };
	memcpy(e->rollout, p, ID_SIZE - 1);
	memcpy(&e->bucket, p + ID_SIZE - 1, 8);
	memcpy(&e->share, p + ID_SIZE + 7, 8);
}

static int hand_over_tx(struct db_tx *tx, void *arg, struct err *reterr) { return rollout_store_hand_over(tx, buf_str(arg), reterr); }

static int hand_over(struct flag_rollouts *s, struct err *reterr)
{
	size_t              n;
	struct track_event *v = take_inbox(s, &n);
	int                 rc = 0;

	for (size_t i = 0; !rc && i < n; i += HANDED_EVENTS) {
		struct buf CLEANUP_BUF out = BUF_INIT(HANDED_EVENTS * WIRE);

		for (size_t k = i; k < n && k < i + HANDED_EVENTS; k++)
			pack(&v[k], &out);
		if (!(rc = buf_check(&out, "events of users", reterr)))
			rc = db_write(s->room->cfg.db, hand_over_tx, &out, reterr);
	}
	free(v);
	return rc;
}

struct handed {
	struct flag_rollouts *s;
	struct arena          arena;
	str                   ids[HANDED_MAX], events[HANDED_MAX];
	size_t                n;
};

static int handed_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct handed               *h = arg;
	struct db_rows CLEANUP_ROWS *rows = NULL;
	int rc;

	arena_fini(&h->arena);
	h->n = 0;
	rc = db_query(tx, reterr, &rows, "SELECT id, events FROM flag_track ORDER BY id LIMIT $1", "i", (int64_t)HANDED_MAX);
	while (!rc && h->n < HANDED_MAX && (rc = db_next(rows, reterr)) > 0) {
		h->ids[h->n] = arena_str(&h->arena, db_str(rows, 0));
		h->events[h->n++] = arena_str(&h->arena, db_str(rows, 1));
		rc = 0;
	}
	return rc ? rc : arena_check(&h->arena, "events of users", reterr);
}

static void feed_handed(struct flag_rollouts *s, const struct handed *h, usec_t now)
{
	for (size_t i = 0; i < h->n; i++)
		for (size_t at = 0; at + WIRE <= h->events[i].len; at += WIRE) {
			struct track_event e;

			unpack(h->events[i].ptr + at, &e);
			feed(s, e, now);
		}
}

static int store_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct handed *h = arg;
	int            rc = 0;

	for (size_t i = 0; !rc && i < h->s->all.n; i++)
		if (h->s->all.v[i]->track.changed)
			rc = rollout_store_counts(tx, h->s->all.v[i], reterr);
	for (size_t i = 0; !rc && i < h->n; i++)
		rc = db_exec(tx, reterr, "DELETE FROM flag_track WHERE id = $1", "s", h->ids[i]);
	return rc;
}

static bool any_changed(const struct flag_rollouts *s)
{
	for (size_t i = 0; i < s->all.n; i++)
		if (s->all.v[i]->track.changed)
			return true;
	return false;
}

static int count(struct flag_rollouts *s, struct err *reterr)
{
	usec_t              now = clock_mono(s->room->cfg.clock);
	struct handed       h = { .s = s, .arena = ARENA_INIT(64 << 20) };
	size_t              n;
	struct track_event *v;
	int                 rc = db_read(s->room->cfg.db, handed_tx, &h, reterr);

	v = take_inbox(s, &n);
	for (size_t i = 0; i < n; i++)
		feed(s, v[i], now);
	free(v);
	if (!rc)
		feed_handed(s, &h, now);
	else
		h.n = 0;
	feed_waiting(s, now);
	if (!rc && (h.n || any_changed(s)))
		rc = db_write(s->room->cfg.db, store_tx, &h, reterr);
	for (size_t i = 0; !rc && i < s->all.n; i++) {
		s->all.v[i]->track.dirty = 0;
		s->all.v[i]->track.changed = false;
	}
	arena_fini(&h.arena);
	return rc;
}

/* --- turns --- */

static void tell(struct flag_rollouts *s, int rc, const struct err *e)
{
	if (rc && rc != -WEIR_ECONFLICT && !s->told)
		log_error("flag", "guarded rollouts stand still, again every %d ms: %s", TURN_MS, e->msg);
	s->told = rc && rc != -WEIR_ECONFLICT;
}

static void tell_dropped(struct flag_rollouts *s)
{
	uint64_t dropped;

	pthread_mutex_lock(&s->lock);
	dropped = s->dropped;
	pthread_mutex_unlock(&s->lock);
	if (dropped != s->dropped_told)
		log_warn("flag", "%llu events of users came faster than they can be counted, and do not count", (unsigned long long)(dropped - s->dropped_told));
	s->dropped_told = dropped;
}

void rollouts_turn(struct flag_rollouts *s)
{
	struct err e = { 0 };
	int        rc = follow_table(s, &e);

	tell_dropped(s);

	if (!rc && s->all.n)
		rc = ask_lease(s, &e);
	if (!rc && s->all.n && s->owner) {
		if (!(rc = start_counting(s, &e)))
			rc = count(s, &e);
		for (size_t i = s->all.n; !rc && i > 0; i--) {
			rollout_act(s, s->all.v[i - 1]);
			if (s->all.v[i - 1]->ro.state == ROLLOUT_NONE) { /* it is over */
				pthread_mutex_lock(&s->lock);
				remove_at(s, i - 1);
				pthread_mutex_unlock(&s->lock);
			}
		}
	} else if (!rc && s->all.n) {
		rc = hand_over(s, &e);
	}
	tell(s, rc, &e);
}

static void notified(void *ctx) { rollouts_kick(ctx); }

/* Until there is something to do. With the lock. */
static void wait_for_work(struct flag_rollouts *s)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += TURN_MS * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000L;
	until.tv_nsec %= 1000000000L;
	while (!s->stop && !s->news && !s->urgent)
		if (!s->all.n && !s->told)
			pthread_cond_wait(&s->wake, &s->lock);
		else if (pthread_cond_timedwait(&s->wake, &s->lock, &until) == ETIMEDOUT)
			return;
}

static void *run(void *arg)
{
	struct flag_rollouts *s = arg;

	pthread_mutex_lock(&s->lock);
	while (!s->stop) {
		s->news = s->urgent = false;
		pthread_mutex_unlock(&s->lock);
		rollouts_turn(s);
		clock_sleep_ms(TURN_MIN_MS); /* so that a crowd of outcomes is counted together */
		pthread_mutex_lock(&s->lock);
		wait_for_work(s);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* --- life --- */

int rollouts_new(struct flag_room *r, struct flag_rollouts **ret, struct err *reterr)
{
	struct flag_rollouts *s = calloc(1, sizeof(*s));
	pthread_condattr_t    attr;

	*ret = s;
	if (!s)
		return err_set(reterr, WEIR_ENOMEM, "guarded rollouts");
	s->room = r;
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->wake, &attr);
	pthread_condattr_destroy(&attr);
	return 0;
}

int rollouts_start(struct flag_rollouts *s, struct err *reterr)
{
	int rc = db_listen(s->room->cfg.db, ROLLOUT_CHANNEL, notified, s, &s->listener, reterr);

	if (!rc && pthread_create(&s->thread, NULL, run, s))
		rc = err_set(reterr, WEIR_EINTERNAL, "flags: cannot start a thread");
	s->started = !rc;
	return rc;
}

struct flag_rollouts *rollouts_free(struct flag_rollouts *s)
{
	if (!s)
		return NULL;
	s->listener = db_unlisten(s->listener);
	if (s->started) {
		pthread_mutex_lock(&s->lock);
		s->stop = true;
		pthread_cond_signal(&s->wake);
		pthread_mutex_unlock(&s->lock);
		pthread_join(s->thread, NULL);
		rollouts_turn(s); /* what came last is stored, or handed over */
	}
	s->lease = db_lock_free(s->lease);
	while (s->all.n)
		remove_at(s, s->all.n - 1);
	VEC_FINI(&s->all);
	VEC_FINI(&s->inbox);
	VEC_FINI(&s->waiting);
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->lock);
	free(s);
	return NULL;
}
