/* room.h - what the files of src/flag share. Internal. */
#ifndef WEIR_FLAG_ROOM_H
#define WEIR_FLAG_ROOM_H

#include "base/hash.h"
#include "base/limits.h"
#include "flag/flag-eval.h"
#include "flag/flag-past.h"
#include "flag/flag-table.h"
#include "flag/flag.h"
#include "flag/flag-usage.h"
#include "net/sse.h"

#include <pthread.h>
#include <stdatomic.h>

#define FLAG_CHANNEL "flag"
enum { FLAG_TICKET_SIZE = 38, /* day and digest */ FLAG_ID_SIZE = 2 * (LIMIT_NAME_BYTES + 1), ACTOR_MAX = LIMIT_ACTOR_BYTES + 1 };

struct flag_rollouts;
struct flag_drafts;
struct flag_sampler;

struct flag_room { /* of copies (flag-copy.h): cfg has no database; what evaluates looks at tables, hub, clock and ticket_key alone */
	struct flag_config  cfg;
	struct flag_tables *tables;
	struct flag_usage  *usage;
	struct sse_hub     *hub;      /* NULL before flag_start() */
	struct sse_hub     *copy_hub; /* edges that copy; NULL before flag_start(), and in a room of copies */
	struct sse_hub     *unleash_hub;
	struct unleash_cache *unleash_cache;
	struct db_listener *listener;
	unsigned char       ticket_key[crypto_auth_hmacsha256_KEYBYTES];
	pthread_mutex_t     indexing; /* one refresh of the index of references at a time */
	_Atomic uint64_t    chance;   /* see flag_chance() */
	pthread_mutex_t     writer;   /* held while sets are built and swapped in */
	pthread_t           follower; /* takes over what other servers changed */
	bool                follower_started;
	struct flag_rollouts *rollouts; /* guarded rollouts: rollout-room.h */
	pthread_mutex_t     news_lock; /* what follows; never held while something is done */
	pthread_cond_t      news;
	bool                stop, has_news;
	struct flag_drafts  *drafts;  /* applies scheduled drafts; NULL before flag_start() */
	struct flag_sampler *sampler; /* contexts that are kept */
	struct flag_pasts    pasts;   /* past revisions that were asked for */
};

/* --- flag-store.c: tables. A flag's text lives in one row per revision that changed it; `replaced` is the revision that took it away, 0: none --- */
extern const struct db_migration flag_migrations[];
extern const size_t              flag_n_migrations;

struct stored_set { /* in the arena of who asked */
	str              id, project, name, environment;
	enum flag_source source;
	int64_t          revision;
	str              evaluators, metadata, segments; /* JSON; empty: none */
	int64_t          changed_at;
};
MUST_CHECK int flag_store_create(struct db_tx *tx, const struct stored_set *s, struct err *reterr); /* -WEIR_EEXIST, -WEIR_ELIMIT */
MUST_CHECK int flag_store_find(struct db_tx *tx, struct arena *a, str id, struct stored_set *ret, struct err *reterr); /* -WEIR_ENOENT */
MUST_CHECK int flag_store_list(struct db_tx *tx, struct arena *a, struct stored_set **ret, size_t *ret_n, struct err *reterr);
/* Texts of a set that changed after revision `after` (removed ones with an empty text); after 0: all that there are. */
MUST_CHECK int flag_store_texts_after(struct db_tx *tx, struct arena *a, str id, int64_t after, struct flag_text **ret, size_t *ret_n, struct err *reterr);
/* Evaluators, metadata and segments as revision `at` had them: those of the newest row up to it. */
MUST_CHECK int flag_store_head_at(struct db_tx *tx, struct arena *a, str id, int64_t at, struct flag_set_head *ret, struct err *reterr);
/* All texts and the head as revision `at` left them. */
MUST_CHECK int flag_store_at(struct db_tx *tx, struct arena *a, str id, int64_t at, struct flag_set_head *ret_head, struct flag_text **ret, size_t *ret_n,
						struct err *reterr);
/* The revision that changed evaluators and metadata last; 0: none did. */
MUST_CHECK int flag_store_head_revision(struct db_tx *tx, str id, int64_t *ret, struct err *reterr);
/* The newest revision at `when`; 0: there was none. */
MUST_CHECK int flag_store_revision_at(struct db_tx *tx, str id, usec_t when, int64_t *ret, struct err *reterr);

/* What lets a change of the store pass protection (flag-protection.h): an approved draft. Both run in the change's transaction, again with it. */
struct flag_pass {
	int (*check)(struct db_tx *tx, void *ctx, struct err *reterr); /* may it still? Fills draft and approvals */
	int (*done)(struct db_tx *tx, void *ctx, int64_t revision, struct err *reterr);
	void   *ctx;
	int64_t draft;     /* for the event */
	str     approvals; /* JSON list; empty: none */
	int64_t late_s;    /* applied so much after its time; 0: in time */
};

struct flag_change {
	str                     id;      /* of the set */
	enum flag_source        source;  /* where the change comes from: the place that the set is kept in, else -WEIR_ECONFLICT */
	int64_t                 base;    /* revision that the author saw; a flag that changed since is refused. -1: whatever is there */
	const struct flag_text *texts;
	size_t                  n;
	bool                    with_head; /* evaluators and metadata are set, too */
	str                     evaluators, metadata;
	bool                    with_segments; /* segments are set, too */
	str                     segments;
	bool                    with_environment;
	str                     environment;      /* the set's from now on */
	str                     seen_environment; /* the one whose rules were looked at; -WEIR_ECONFLICT when it is another by now; STR_NULL: any */
	struct flag_pass       *pass;             /* NULL: a direct change; of a protected set only the kill switch */
	str                     by, address, comment;
	usec_t                  now;
	/* A step of a rollout of this id, which alone may touch its flag meanwhile; NULL: none. Its rows go into the same transaction: called with the
	 * new revision. */
	bool                    restores; /* brings back what was there before: nothing else that is wrong in the set may stand in its way */
	const char             *rollout;
	int (*also)(struct db_tx *tx, void *arg, int64_t revision, struct err *reterr);
	void                   *also_arg;
};
/* Checks for clashes, writes the rows and appends flag.changed. *ret_revision: the new one. -WEIR_ECONFLICT names the flag that changed meanwhile. */
MUST_CHECK int flag_store_change(struct flag_room *r, struct db_tx *tx, const struct flag_change *c, int64_t *ret_revision, struct err *reterr);

struct stored_revision {
	int64_t revision, at, flags; /* flags: how many changed */
	str     by, address, comment, digest;
};
/* Newest first, before revision `before` (0: from the newest), at most max. */
MUST_CHECK int flag_store_revisions(struct db_tx *tx, struct arena *a, str id, int64_t before, size_t max, struct stored_revision **ret, size_t *ret_n,
							   struct err *reterr);
/* Keys that a revision changed, in order. */
MUST_CHECK int flag_store_revision_keys(struct db_tx *tx, struct arena *a, str id, int64_t revision, str **ret, size_t *ret_n, struct err *reterr);

/* --- flag-room.c --- */
/* Brings the table up to what the database has of this set; the caller does not hold `writer`. */
MUST_CHECK int flag_reload(struct flag_room *r, str id, struct err *reterr);
/* Checks a change against the present set, stores it, swaps it in. Refused ones leave everything as it was. */
MUST_CHECK int flag_apply(struct flag_room *r, const struct flag_change *c, int64_t *ret_revision, struct err *reterr);
/* The keys of a change in a body, as strictly as in a file: flags, evaluators, metadata, segments, environment, comment. */
#define FLAG_CHANGE_KEYS "flags", "evaluators", "metadata", "segments", "environment", "comment"
void flag_change_read(struct doc_check *k, const struct doc_node *body, struct flag_change *c);
/* The present set; *ret has a reference of its own. environment: its environment in a, source: where it is kept; each may be NULL. -WEIR_ENOENT. */
MUST_CHECK int flag_present(struct flag_room *r, str id, struct arena *a, struct flag_set **ret, str *environment, enum flag_source *source,
							struct err *reterr);
/* The set as revision `at` left it, for reading: the caller owns a reference. 0: the empty one. */
MUST_CHECK int flag_past(struct flag_room *r, str id, int64_t at, struct flag_set **ret, struct err *reterr);

/* --- flag-samples.c --- */
/* Maybe keeps what was just evaluated of e's set, when its sampling is on; e NULL is fine. Never waits: any thread, between flag_read_begin() and
 * flag_read_end() too. context: an object; NULL is an empty one. */
void flag_sample(struct flag_room *r, const struct flag_entry *e, const struct doc_node *context);

/* --- flag-guard.c: what a direct change of a set in the store may not do. before: the set as it is, of `environment` --- */
/* -WEIR_EREFUSED: it would take the key of an archived flag. */
MUST_CHECK int flag_guard_archived(const struct flag_set *before, const struct flag_change *c, struct err *reterr);
/* -WEIR_EPERM: .weir/protection.yaml of the default branch wants a draft. */
MUST_CHECK int flag_guard_protected(struct flag_room *r, const struct flag_set *before, str environment, const struct flag_change *c, struct err *reterr);

/* A number for flag_context.random: another one at each call. Any thread, no lock. */
uint64_t flag_chance(struct flag_room *r);

/* For flag-copy.c: the present set with a reference of its own, or NULL; puts a set in place, taking it over. The caller holds `writer`. */
struct flag_set *flag_present_set(struct flag_room *r, str id);
MUST_CHECK int flag_swap_in(struct flag_room *r, const struct stored_set *s, struct flag_set *set, struct err *reterr);
/* Tells all streams that a set may have changed. */
void flag_kick(struct flag_room *r);

/* Lets its holder hear that a set changed (a browser's event source can send no token). The same all day and after a restart; good for
 * LIMIT_FLAG_TICKET_DAYS, so that a new one has been handed out long before. */
void flag_ticket(const struct flag_room *r, str id, char out[FLAG_TICKET_SIZE]);
bool flag_ticket_ok(const struct flag_room *r, str id, str ticket);

/* Tells all streams that a set may have changed. */
void flag_kick(struct flag_room *r);

/* --- ofrep.c --- */
/* The set that an application's request means, by its token and Flagd-Selector; *ret is t's. -WEIR_ENOENT, -WEIR_EINVAL. */
MUST_CHECK int flag_choose_set(const struct flag_table *t, const struct http_req *req, const struct flag_entry **ret, struct err *reterr);
void ofrep_error(struct http_req *req, int status, const char *code, str message);
/* The position of an event stream is the revision of its set. */
MUST_CHECK int ofrep_pull(struct sse_client *c, struct buf *out, bool *ret_end, void *room, struct err *reterr);

/* --- flag-copy-api.c --- */
MUST_CHECK int flag_copy_pull(struct sse_client *c, struct buf *out, bool *ret_end, void *room, struct err *reterr);

#endif
