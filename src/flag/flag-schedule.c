/* flag-schedule.c - the thread that applies scheduled drafts at their time, and puts sampled contexts on disk.
 *
 * Every server has one; that a draft is applied once is the transaction's work, whichever is first. What is due while no server runs is applied when one
 * comes up, and says how late. What cannot be applied (a conflict, rules that changed) fails with its cause, and nothing of it is lost: an edit opens
 * it again. A database that does not answer is no failure of the draft: it is tried again. */
#include "base/base.h"

#include "base/limits.h"
#include "base/log.h"
#include "flag/draft.h"

#include <errno.h>
#include <time.h>

enum { TURN_MAX_S = 10, AGAIN_S = 2 };

struct flag_drafts {
	struct flag_room   *room;
	struct db_listener *listener;
	pthread_t           thread;
	bool                started;
	pthread_mutex_t     lock; /* what follows; never held while something is done */
	pthread_cond_t      news;
	bool                stop, has_news;
};

struct due {
	struct arena     arena;
	struct draft_due after, d;
	bool             found;
};

static int due_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct due *d = arg;

	arena_fini(&d->arena);
	return draft_next_due(tx, &d->arena, &d->after, &d->d, &d->found, reterr);
}

/* --- a draft that cannot be applied --- */

struct failing {
	struct flag_room *r;
	struct arena      arena;
	str               set, cause;
	int64_t           id;
};

static int fail_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct failing        *f = arg;
	struct buf CLEANUP_BUF data = BUF_INIT(LIMIT_EVENT_BYTES);
	struct draft           d;
	struct jw              w;
	str                    project;
	int                    rc;

	arena_fini(&f->arena);
	if ((rc = draft_find(tx, &f->arena, f->set, f->id, &d, reterr)))
		return rc;
	if (d.state != DRAFT_SCHEDULED || d.apply_at > clock_wall(f->r->cfg.clock)) /* another server was first, or somebody edited it */
		return 0;
	d.state = DRAFT_FAILED;
	d.cause = f->cause;
	d.ended_by = STR("weir");
	d.ended_at = clock_wall(f->r->cfg.clock);
	if ((rc = draft_set_state(tx, &d, reterr)))
		return rc;
	jw_init(&w, &data);
	jw_obj(&w);
	jw_kstr(&w, "set", d.set);
	jw_kint(&w, "draft", d.id);
	jw_kint(&w, "version", d.version);
	jw_kstrz(&w, "state", draft_states[d.state]);
	jw_kstr(&w, "cause", d.cause);
	jw_kstrz(&w, "address", "schedule");
	jw_end(&w);
	str_cut(d.set, '/', &project, NULL);
	return event_append(f->r->cfg.log, tx, project, EVENT_FLAG_DRAFT_ENDED, STR("weir"), buf_str(&data), NULL, reterr);
}

static int give_up(struct flag_room *r, const struct draft_due *d, const char *cause, struct err *reterr)
{
	struct failing f = { .r = r, .arena = ARENA_INIT(512 << 20), .set = d->set, .cause = str_z(cause), .id = d->id };
	int            rc = db_write(r->cfg.db, fail_tx, &f, reterr);

	arena_fini(&f.arena);
	if (!rc)
		log_warn("flag", "draft %lld of %.*s could not be applied at its time: %s", (long long)d->id, STR_ARG(d->set), cause);
	return rc;
}

/* --- turns --- */

/* One draft at its time. An error: it waits, and is tried again. */
static int apply_due(struct flag_room *r, const struct draft_due *d, struct err *reterr)
{
	const struct draft_actor weir = { .name = STR("weir"), .by = STR("weir"), .address = STR("schedule") };
	struct err               e = { 0 };
	int                      rc = draft_apply(r, d->set, d->id, 0, &weir, d->at, &e);

	if (rc && err_retryable(e.code))
		*reterr = e;
	else if (rc)
		rc = give_up(r, d, e.msg, reterr);
	return rc;
}

/* All that is due. One that cannot be applied now, since its project's repository is damaged, keeps the others from nothing; the first error is returned.
 * *ret_next: when the next one is due; 0: none waits. */
static int turn(struct flag_room *r, usec_t *ret_next, struct err *reterr)
{
	char             set[FLAG_ID_SIZE];
	struct draft_due after = { 0 };
	int              rc = 0;

	for (*ret_next = 0;;) {
		struct due d = { .arena = ARENA_INIT(1 << 20), .after = after };
		struct err e = { 0 };
		int        one = db_read(r->cfg.db, due_tx, &d, &e);
		bool       due = !one && d.found && d.d.at <= clock_wall(r->cfg.clock);

		if (due) {
			one = apply_due(r, &d.d, &e);
			snprintf(set, sizeof(set), "%.*s", STR_ARG(d.d.set));
			after = (struct draft_due){ .at = d.d.at, .set = str_z(set), .id = d.d.id };
		} else if (!one && d.found) {
			*ret_next = d.d.at;
		}
		arena_fini(&d.arena);
		if (one && !rc) {
			rc = one;
			*reterr = e;
		}
		if (!due)
			return rc;
	}
}

/* With the lock. Until the next draft is due, news come, or a while has passed: a clock may be set. */
static void wait_for(struct flag_drafts *d, usec_t next, bool failed)
{
	struct timespec until;
	usec_t          most = (failed ? AGAIN_S : TURN_MAX_S) * USEC_PER_SEC, now = clock_wall(d->room->cfg.clock);

	if (!failed && next && next - now < most)
		most = next > now ? next - now : 0;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += most / USEC_PER_SEC;
	until.tv_nsec += most % USEC_PER_SEC * 1000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	while (!d->stop && !d->has_news)
		if (pthread_cond_timedwait(&d->news, &d->lock, &until) == ETIMEDOUT)
			return;
}

static void *run(void *arg)
{
	struct flag_drafts *d = arg;
	bool                told = false;

	pthread_mutex_lock(&d->lock);
	while (!d->stop) {
		struct err err = { 0 }, e = { 0 };
		usec_t     next = 0;
		int        rc, samples;

		d->has_news = false;
		pthread_mutex_unlock(&d->lock);
		rc = turn(d->room, &next, &err);
		samples = flag_sampler_reload(d->room, &e);
		if (!samples)
			samples = flag_sampler_flush(d->room, &e);
		if ((rc || samples) && !told)
			log_error("flag", "%s, again every %d s: %s", rc ? "scheduled drafts wait" : "sampled contexts are not on disk", AGAIN_S, rc ? err.msg : e.msg);
		rc = rc ? rc : samples;
		told = rc != 0;
		pthread_mutex_lock(&d->lock);
		wait_for(d, next, rc != 0);
	}
	pthread_mutex_unlock(&d->lock);
	return NULL;
}

/* --- life --- */

static void kick(void *ctx)
{
	struct flag_drafts *d = ctx;

	pthread_mutex_lock(&d->lock);
	d->has_news = true;
	pthread_cond_signal(&d->news);
	pthread_mutex_unlock(&d->lock);
}

void flag_drafts_kick(struct flag_room *r)
{
	if (r->drafts)
		kick(r->drafts);
}

int flag_drafts_start(struct flag_room *r, struct err *reterr)
{
	struct flag_drafts *d = calloc(1, sizeof(*d));
	pthread_condattr_t  attr;
	int                 rc;

	if (!d)
		return err_set(reterr, WEIR_ENOMEM, "drafts of flags");
	d->room = r;
	pthread_mutex_init(&d->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&d->news, &attr);
	pthread_condattr_destroy(&attr);
	r->drafts = d;
	rc = db_listen(r->cfg.db, FLAG_CHANNEL, kick, d, &d->listener, reterr);
	if (!rc && pthread_create(&d->thread, NULL, run, d))
		rc = err_set(reterr, WEIR_EINTERNAL, "drafts of flags: cannot start a thread");
	d->started = !rc;
	return rc;
}

struct flag_drafts *flag_drafts_stop(struct flag_drafts *d)
{
	if (!d)
		return NULL;
	d->listener = db_unlisten(d->listener);
	if (d->started) {
		pthread_mutex_lock(&d->lock);
		d->stop = true;
		pthread_cond_signal(&d->news);
		pthread_mutex_unlock(&d->lock);
		pthread_join(d->thread, NULL);
	}
	pthread_cond_destroy(&d->news);
	pthread_mutex_destroy(&d->lock);
	free(d);
	return NULL;
}
