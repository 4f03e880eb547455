/* event.h - the spine: an append-only log of facts, one stream per project, each event chained to the one before it by
 * SHA-256, all stream heads signed with Ed25519 in checkpoints.
 *
 * An event's canonical JSON (RFC 8785) is {"actor","data","project","seq","time","type"}; its hash is
 * SHA-256(previous hash (32 bytes, zero for seq 1) || canonical bytes). The stored bytes are the ones that were hashed.
 * Facts that belong to no project are in the stream "" (shown as "-"). */
#ifndef WEIR_EVENT_EVENT_H
#define WEIR_EVENT_EVENT_H

#include "base/arena.h"
#include "base/base.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "db/db.h"
#include "doc/doc.h"
#include "event/types.h"

struct event_log;

struct event {
	str     project;
	int64_t seq; /* 1.. per project, without a gap */
	usec_t  time;
	str     type;  /* a name of event/types.h */
	str     actor; /* "token:NAME", "runner:NAME", "weir" */
	str     data;  /* JSON object, canonical */
	unsigned char hash[32];
	int64_t pos;  /* place in the order of all projects (the SSE id), 1..; 0: has none yet (event_read on PostgreSQL) */
};

/* Opens the log over db (migrates), with its signing key in key_dir/event.key (made at first, 0600).
 * Subscribers' threads start with event_log_start(). */
MUST_CHECK int event_log_open(struct db *db, const char *key_dir, const struct clock *clock, struct event_log **ret,
                              struct err *reterr);
struct event_log *event_log_close(struct event_log *log); /* stops deliveries; returns NULL */

/* Appends inside the caller's transaction: the fact and the room's own rows commit together. `data` is a JSON object; its fields must be
 * those of the type's line in event/types.h (a missing, unknown or wrongly typed one is -WEIR_EINVAL). Max LIMIT_EVENT_BYTES.
 * *ret_seq may be NULL. */
MUST_CHECK int event_append(struct event_log *log, struct db_tx *tx, str project, enum event_type type, str actor, str data,
                            int64_t *ret_seq, struct err *reterr);

/* Subscription: fn gets every event of the listed types (mask of 1 << enum event_type in a 128-bit pair; use
 * EVENT_MASK(...)), in stream order per project, at least once, on the subscriber's own thread. A failure (non-zero) is logged, waits
 * (1 s doubling to 60 s) and comes again; it holds back only that project's stream for that subscriber.
 * `name` is the persistent cursor's key. With from_start false a NEW subscriber begins at the present heads. */
typedef int (*event_fn)(const struct event *ev, void *ctx, struct err *reterr);
MUST_CHECK int event_subscribe(struct event_log *log, const char *name, const enum event_type *types, size_t n_types,
                               bool from_start, event_fn fn, void *ctx, struct err *reterr);
MUST_CHECK int event_log_start(struct event_log *log, struct err *reterr);
/* No subscriber's function runs after it returned; appending and reading go on. event_log_close() does it too. */
void event_log_stop(struct event_log *log);

/* Reads events after `after_seq` of one project in order, at most `max`; types may be NULL (all). Copies into the arena. */
MUST_CHECK int event_read(struct event_log *log, str project, int64_t after_seq, const enum event_type *types, size_t n_types,
                          size_t max, struct arena *a, struct event **ret, size_t *ret_n, struct err *reterr);
/* As event_read over all projects, in the order of a position that grows with each commit seen by this server (the SSE id). */
MUST_CHECK int event_read_all(struct event_log *log, int64_t after_pos, size_t max, struct arena *a, struct event **ret,
                              int64_t *ret_last_pos, size_t *ret_n, struct err *reterr);
/* Newest events first, for pages: project STR_NULL means all; before_pos 0 means from the newest. */
MUST_CHECK int event_read_newest(struct event_log *log, str project, int64_t before_pos, size_t max, struct arena *a,
                                 struct event **ret, int64_t *ret_next_pos, size_t *ret_n, struct err *reterr);
/* What the three above are made of: any project, types and order. At most LIMIT_EVENT_READ. */
enum event_order { EVENT_BY_SEQ, EVENT_BY_POS, EVENT_NEWEST };
struct event_filter {
	str                    project; /* STR_NULL: all */
	const enum event_type *types;
	size_t                 n_types; /* 0: all */
	enum event_order       order;
	int64_t                after;   /* seq or pos, exclusive; NEWEST: before this pos, 0 from the end */
	size_t                 max;
};
MUST_CHECK int event_select(struct event_log *log, const struct event_filter *f, struct arena *a, struct event **ret,
                            size_t *ret_n, struct err *reterr);
/* Called (quickly, from a db thread) after new events were committed. */
MUST_CHECK int event_on_commit(struct event_log *log, void (*fn)(void *ctx), void *ctx, struct err *reterr);

void event_off_commit(struct event_log *log, void *ctx); /* no call with this ctx runs after it returned */

/* Verification: recomputes every hash, the sequence of each stream and each checkpoint's signature.
 * 0: all good, *ret counts. -WEIR_EREFUSED: *reterr names the first bad event ("project shop, event 17 (release.started):
 * stored bytes do not match the hash"), gap, reordering, cut tail or checkpoint. */
struct event_verify {
	int64_t projects, events, checkpoints;
};
MUST_CHECK int event_verify(struct db *db, const char *key_dir, struct event_verify *ret, struct err *reterr);
/* As event_verify, and every event of the backup (another SQLite file) must be in the log unchanged. */
MUST_CHECK int event_verify_against(struct db *db, const char *key_dir, const char *backup_path, struct event_verify *ret,
                                    struct err *reterr);
/* Signs all stream heads now (the log does it by itself every 1,000 events or 60 s, and at close). */
MUST_CHECK int event_checkpoint(struct event_log *log, struct err *reterr);

/* JSON of an event for people and APIs: the canonical object plus "hash" and "pos". */
void event_write_json(const struct event *ev, struct jw *w);
/* CDEvents 0.4 form of the event; false when its type has no CDEvents type. `source` is the server's URL. */
bool event_write_cdevent(const struct event *ev, str source, struct jw *w);

#endif
