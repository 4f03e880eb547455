/* log.h - what the files of src/event share. Internal. */
#ifndef WEIR_EVENT_LOG_H
#define WEIR_EVENT_LOG_H

#include "base/hash.h"
#include "base/map.h"
#include "base/vec.h"
#include "event/event.h"

#include <pthread.h>

#define EVENT_CHANNEL "event"

struct event_subscriber;
struct event_key { /* Ed25519 */
	unsigned char secret[crypto_sign_SECRETKEYBYTES];
	unsigned char public[crypto_sign_PUBLICKEYBYTES];
};
typedef VEC(struct event_key_public { unsigned char b[crypto_sign_PUBLICKEYBYTES]; }) event_key_vec;

struct event_log {
	struct db          *db;
	const struct clock *clock;
	char               *key_dir;
	struct event_key    key;
	struct db_listener *listener;

	pthread_mutex_t lock; /* what follows */
	pthread_cond_t  news; /* CLOCK_MONOTONIC; new events, or it ends */
	uint64_t        generation; /* grows with each notification */
	bool            started, stop;
	struct event_subscriber *subscribers;
	/* Which server delivers (lease.c). */
	pthread_mutex_t lease_lock;
	struct db_lock *lease;
	uint64_t        lease_epoch; /* grows when it is taken anew */
	usec_t          lease_try_at;
	bool            lease_held, lease_told;
	pthread_t       keeper; /* signs checkpoints */
	bool            keeper_started;
	VEC(struct event_commit_fn { void (*fn)(void *ctx); void *ctx; }) on_commit;
};

/* --- log.c --- */
/* Canonical bytes of an event: what is hashed. `data` is canonical JSON. */
void event_canonical(const struct event *ev, struct buf *out);
/* hash = SHA-256(previous || canonical). `previous` NULL: 32 zero bytes. */
MUST_CHECK int event_hash(const struct event *ev, const unsigned char *previous, unsigned char out[32], struct err *reterr);
/* Gives positions to committed events that have none (PostgreSQL; on SQLite event_append() does it). */
MUST_CHECK int event_sequence(struct event_log *log, struct err *reterr);
/* Sleeps until there is news behind *generation, the log stops, or `until` (monotonic; 0: no end). Updates *generation. False: stop. */
bool event_wait(struct event_log *log, uint64_t *generation, usec_t until);

/* --- read.c --- */
/* The present row of a query of EVENT_COLUMNS, copied. */
#define EVENT_COLUMNS "e.project, e.seq, e.time, e.type, e.actor, e.data, e.hash"
MUST_CHECK int event_of_row(struct db_rows *rows, struct arena *a, struct event *ret, struct err *reterr);

/* --- checkpoint.c --- */
MUST_CHECK int  event_key_open(const char *key_dir, struct event_key *ret, struct err *reterr);
/* All public keys whose signatures count: key_dir/event.pub. */
MUST_CHECK int  event_keys_trusted(const char *key_dir, event_key_vec *ret, struct err *reterr);
MUST_CHECK int  event_checkpoint_check_key(struct event_log *log, struct err *reterr);
/* The newest checkpoint's text as this server keeps it outside of the database; *ret_found false: none yet. */
MUST_CHECK int  event_checkpoint_kept(const char *key_dir, struct buf *out, bool *ret_found, struct err *reterr);
MUST_CHECK int  event_keeper_start(struct event_log *log, struct err *reterr);
void            event_keeper_stop(struct event_log *log);

/* --- lease.c --- */
/* May this server deliver now? *ret_epoch: another number than before says that another server may have delivered meanwhile. */
bool event_lease(struct event_log *log, uint64_t *ret_epoch);
void event_lease_end(struct event_log *log);

/* --- subscribe.c --- */
MUST_CHECK int event_subscribers_start(struct event_log *log, struct err *reterr);
void           event_subscribers_stop(struct event_log *log);

/* --- validate.c --- */
/* Checks data against the type's line; appends its canonical form to *out. */
MUST_CHECK int event_data_check(enum event_type type, str data, struct buf *out, struct err *reterr);

#endif
