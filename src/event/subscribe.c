/* subscribe.c - delivery: one thread per subscriber reads each stream from its cursor and calls the function.
 *
 * Of several servers one delivers (lease.c). At least once, in stream order per project. The cursor is stored after each batch that delivered something (and every
 * SKIPPED_MAX events that did not concern the subscriber), so that a crash repeats at most one batch. A failure stops only that project's
 * stream, for 1 s doubling to 60 s. */
#include "base/base.h"
#include "base/limits.h"
#include "base/log.h"
#include "event/log.h"

enum { BATCH = 100, SKIPPED_MAX = 500 };
#define PAUSE_MIN USEC_PER_SEC
#define PAUSE_MAX (60 * USEC_PER_SEC)
#define LEASE_PAUSE USEC_PER_SEC

struct stream { /* one project's stream as this subscriber sees it */
	int64_t seq, stored; /* delivered or skipped up to; written to event_cursor */
	usec_t  retry_at, pause; /* monotonic; 0: all is well */
};
struct event_subscriber {
	struct event_subscriber *next;
	struct event_log        *log;
	char                     name[LIMIT_NAME_BYTES + 1];
	bool                     wants[EVENT_TYPE_MAX];
	event_fn                 fn;
	void                    *ctx;
	struct map               streams; /* project -> struct stream */
	uint64_t                 epoch;   /* of the lease under which they were read */
	pthread_t                thread;
	bool                     started;
};

/* --- registration --- */

struct register_arg {
	const char *name;
	bool        from_start;
};

static int register_fn(struct db_tx *tx, void *arg, struct err *reterr)
{
	const struct register_arg *r = arg;
	int64_t                    n = 0;
	int rc = db_exec_n(tx, reterr, &n, "INSERT INTO event_subscriber (name) VALUES ($1) ON CONFLICT (name) DO NOTHING", "z", r->name);

	if (!rc && n && !r->from_start)
		rc = db_exec(tx, reterr, "INSERT INTO event_cursor (subscriber, project, seq) SELECT $1, project, seq FROM event_head", "z", r->name);
	return rc;
}

static void streams_clear(struct event_subscriber *s)
{
	for (struct map_entry *e = map_next(&s->streams, NULL); e; e = map_next(&s->streams, e))
		free(e->value);
	map_fini(&s->streams);
	map_init(&s->streams);
}

static struct event_subscriber *subscriber_free(struct event_subscriber *s)
{
	streams_clear(s);
	map_fini(&s->streams);
	free(s);
	return NULL;
}

int event_subscribe(struct event_log *log, const char *name, const enum event_type *types, size_t n_types, bool from_start,
                    event_fn fn, void *ctx, struct err *reterr)
{
	struct register_arg      r = { name, from_start };
	struct event_subscriber *s;
	int                      rc;

	if (log->started)
		BUG("event_subscribe(\"%s\") after event_log_start()", name);
	if (!*name || strlen(name) > LIMIT_NAME_BYTES)
		BUG("event_subscribe(): a name of 1 to %d bytes", LIMIT_NAME_BYTES);
	for (s = log->subscribers; s; s = s->next)
		if (!strcmp(s->name, name))
			return err_set(reterr, WEIR_EEXIST, "subscriber %s is there already", name);
	rc = db_write(log->db, register_fn, &r, reterr);
	if (rc)
		return rc;
	s = calloc(1, sizeof(*s));
	if (!s)
		return err_set(reterr, WEIR_ENOMEM, "no memory for a subscriber");
	*s = (struct event_subscriber){ .log = log, .fn = fn, .ctx = ctx, .next = log->subscribers };
	(void)snprintf(s->name, sizeof(s->name), "%s", name);
	map_init(&s->streams);
	for (size_t i = 0; i < n_types; i++)
		s->wants[types[i]] = true;
	log->subscribers = s;
	return 0;
}

/* --- what is behind the heads --- */

/* One stream that has news. */
struct behind {
	str     project;
	int64_t head;
};
typedef VEC(struct behind) behind_vec;

struct look_arg {
	struct event_subscriber *s;
	struct arena            *a;
	behind_vec               out;
};

static struct stream *stream_get(struct event_subscriber *s, str project, int64_t seq)
{
	struct stream *st = map_get(&s->streams, project);

	if (st)
		return st;
	st = calloc(1, sizeof(*st));
	if (!st || !map_put(&s->streams, project, st, NULL)) {
		free(st);
		return NULL;
	}
	st->seq = st->stored = seq;
	return st;
}

static int look_fn(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct look_arg *l = arg;
	struct db_rows *rows CLEANUP_ROWS = NULL;
	int             rc = db_query(tx, reterr, &rows,
	                              "SELECT h.project, h.seq, COALESCE(c.seq, 0) FROM event_head h LEFT JOIN event_cursor c"
	                              " ON c.subscriber = $1 AND c.project = h.project ORDER BY h.project", "z", l->s->name);

	l->out.n = 0;
	while (!rc && (rc = db_next(rows, reterr)) == 1) {
		struct behind  b = { .project = db_str(rows, 0), .head = db_int(rows, 1) };
		struct stream *st = stream_get(l->s, b.project, db_int(rows, 2));

		rc = 0;
		if (!st)
			return err_set(reterr, WEIR_ENOMEM, "no memory for a stream's cursor");
		if (b.head <= st->seq)
			continue;
		b.project = arena_str(l->a, b.project);
		if (!b.project.ptr || !VEC_PUSH(&l->out, b))
			return err_set(reterr, WEIR_ENOMEM, "no memory for a stream's cursor");
	}
	return rc;
}

/* --- delivery --- */

struct cursor_arg {
	const char *subscriber;
	str         project;
	int64_t     seq;
};

static int cursor_fn(struct db_tx *tx, void *arg, struct err *reterr)
{
	const struct cursor_arg *c = arg;

	return db_exec(tx, reterr,
	               "INSERT INTO event_cursor (subscriber, project, seq) VALUES ($1, $2, $3) ON CONFLICT (subscriber, project)"
	               " DO UPDATE SET seq = CASE WHEN excluded.seq > event_cursor.seq THEN excluded.seq ELSE event_cursor.seq END",
	               "zsi", c->subscriber, c->project, c->seq);
}

static int cursor_store(struct event_subscriber *s, str project, struct stream *st, struct err *reterr)
{
	struct cursor_arg c = { s->name, project, st->seq };
	int               rc = st->seq == st->stored ? 0 : db_write(s->log->db, cursor_fn, &c, reterr);

	if (!rc)
		st->stored = st->seq;
	return rc;
}

static bool subscriber_stops(const struct event_subscriber *s)
{
	struct event_log *log = s->log;
	bool              stop;

	pthread_mutex_lock(&log->lock);
	stop = log->stop;
	pthread_mutex_unlock(&log->lock);
	return stop;
}

static void stream_failed(struct event_subscriber *s, str project, struct stream *st, const char *what, const struct err *e)
{
	str shown = project.len ? project : STR("-");

	st->pause = !st->pause ? PAUSE_MIN : st->pause * 2 > PAUSE_MAX ? PAUSE_MAX : st->pause * 2;
	st->retry_at = clock_mono_now() + st->pause;
	log_warn("event", "%s: %s of project %.*s failed, again in %lld s: %s", s->name, what, STR_ARG(shown), (long long)(st->pause / USEC_PER_SEC), e->msg);
}

/* Delivers one event; true when the stream may go on. */
static bool stream_deliver(struct event_subscriber *s, struct stream *st, const struct event *ev)
{
	struct err e = { 0 };
	char       what[64];

	if (s->fn(ev, s->ctx, &e)) {
		(void)snprintf(what, sizeof(what), "event %lld", (long long)ev->seq);
		stream_failed(s, ev->project, st, what, &e);
		return false;
	}
	st->seq = ev->seq;
	st->retry_at = st->pause = 0;
	return true;
}

/* One batch of one stream. True when there may be more of it now. */
static bool stream_turn(struct event_subscriber *s, str project, struct stream *st)
{
	struct arena a CLEANUP_ARENA = ARENA_INIT(LIMIT_EVENT_ARENA_BYTES);
	struct err                  e = { 0 };
	struct event               *ev = NULL;
	size_t                      n = 0, i, delivered = 0;
	int                         rc = event_read(s->log, project, st->seq, NULL, 0, BATCH, &a, &ev, &n, &e);

	if (rc) {
		stream_failed(s, project, st, "reading events", &e);
		return false;
	}
	for (i = 0; i < n && !subscriber_stops(s); i++) {
		if (!s->wants[event_type_find(ev[i].type)]) {
			st->seq = ev[i].seq;
			continue;
		}
		if (!stream_deliver(s, st, &ev[i]))
			break;
		delivered++;
	}
	if (i == n)
		st->retry_at = st->pause = 0;
	if (delivered || st->seq - st->stored >= SKIPPED_MAX)
		rc = cursor_store(s, project, st, &e);
	if (rc)
		stream_failed(s, project, st, "storing the place", &e);
	return !rc && i == n && n == BATCH;
}

/* True while this server is the one that delivers. What is known of the streams is forgotten when another one may have moved the cursors. */
static bool subscriber_may(struct event_subscriber *s)
{
	uint64_t epoch;
	bool     may = event_lease(s->log, &epoch);

	if (may && epoch != s->epoch) {
		streams_clear(s);
		s->epoch = epoch;
	}
	return may;
}

/* All streams that have news and are not paused. Returns when to look again without news (0: never). */
static usec_t subscriber_turn(struct event_subscriber *s)
{
	struct arena a  CLEANUP_ARENA = ARENA_INIT(LIMIT_EVENT_ARENA_BYTES);
	struct look_arg l = { .s = s, .a = &a, .out = VEC_INIT };
	struct err      e = { 0 };
	usec_t          next = 0;

	if (!subscriber_may(s))
		return clock_mono_now() + LEASE_PAUSE;
	if (db_read(s->log->db, look_fn, &l, &e)) {
		log_warn("event", "%s: cannot look for events, again in 1 s: %s", s->name, e.msg);
		next = clock_mono_now() + PAUSE_MIN;
		l.out.n = 0;
	}
	for (size_t i = 0; i < l.out.n; i++) {
		struct stream *st = map_get(&s->streams, l.out.v[i].project);
		uint64_t       epoch = s->epoch;
		bool           more = true;

		while (more && st->retry_at <= clock_mono_now()) {
			if (!event_lease(s->log, &epoch) || epoch != s->epoch) {
				VEC_FINI(&l.out);
				return clock_mono_now(); /* look anew */
			}
			more = stream_turn(s, l.out.v[i].project, st);
		}
		if (st->retry_at && (!next || st->retry_at < next))
			next = st->retry_at;
	}
	VEC_FINI(&l.out);
	return next;
}

static void *subscriber_main(void *arg)
{
	struct event_subscriber *s = arg;
	uint64_t                 generation;
	usec_t                   next;

	do {
		pthread_mutex_lock(&s->log->lock);
		generation = s->log->generation; /* before looking: what comes while we look wakes us again */
		pthread_mutex_unlock(&s->log->lock);
		next = subscriber_turn(s);
	} while (event_wait(s->log, &generation, next));
	for (struct map_entry *e = map_next(&s->streams, NULL); e; e = map_next(&s->streams, e)) {
		struct err err = { 0 };

		if (cursor_store(s, str_n(e->key, e->key_len), e->value, &err))
			log_warn("event", "%s: the place of a stream was not stored, events will come again: %s", s->name, err.msg);
	}
	return NULL;
}

int event_subscribers_start(struct event_log *log, struct err *reterr)
{
	for (struct event_subscriber *s = log->subscribers; s; s = s->next) {
		int rc = pthread_create(&s->thread, NULL, subscriber_main, s);

		if (rc)
			return err_errno(reterr, rc, "cannot start the thread of subscriber %s", s->name);
		s->started = true;
	}
	return 0;
}

void event_subscribers_stop(struct event_log *log)
{
	while (log->subscribers) {
		struct event_subscriber *s = log->subscribers;

		log->subscribers = s->next;
		if (s->started)
			pthread_join(s->thread, NULL);
		subscriber_free(s);
	}
}
