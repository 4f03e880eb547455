/* rollout-room.h - what the files of guarded rollouts share. Internal.
 *
 * Every server knows the rollouts that are under way (its list follows the table). One of them, by a lock in the database, owns them: it counts, judges
 * and acts. The others hand what they see of users over through a table. A step is one transaction: the flag's new text, its revision and events, and the
 * rollout's row; so there is nothing to repair after a crash, the next owner goes on from the row. */
#ifndef WEIR_FLAG_ROLLOUT_ROOM_H
#define WEIR_FLAG_ROLLOUT_ROOM_H

#include "base/vec.h"
#include "flag/flag-rollout.h"
#include "flag/room.h"
#include "judge/rollout.h"

#define ROLLOUT_CHANNEL "flag_rollout"
enum { ROLLOUT_CAUSE_SIZE = 256, ROLLOUT_DOC_BYTES = 64 << 10 };

/* --- flag-rollout-spec.c: what its author asked for --- */
struct rollout_spec { /* texts belong to the document's arena */
	struct rollout_plan plan;
	struct judge_params judge;
	uint64_t            enough; /* canary users of a step after which it may go on without proof; 0: proof is wanted */
	struct flag_outcome outcomes[FLAG_OUTCOMES_MAX];
	size_t              n_outcomes;
	str                 salt; /* empty: the rollout's id */
};
#define ROLLOUT_SPEC_KEYS ROLLOUT_KEYS, "step-min", "enough", "outcomes", "salt"
void rollout_spec_read(struct doc_check *c, const struct doc_node *n, struct rollout_spec *ret);
/* The keys of n that are the spec's, as one JSON object. */
void rollout_spec_write(const struct doc_node *n, struct jw *w);

/* The flag's text while `next` is rolled out against `previous`; in a. */
MUST_CHECK int rollout_text(struct arena *a, str previous, str next, const char *id, str salt, double share, str *ret, struct err *reterr);
/* `definition` with its state DISABLED. */
MUST_CHECK int rollout_off_text(struct arena *a, str definition, str *ret, struct err *reterr);
/* Is `text` nothing but the switching off of what runs: `running` (with its rollout), its canary or its stable definition with state DISABLED? */
bool rollout_switches_off(str running, str text);
/* The definition before, out of a running text; STR_NULL: none runs. */
str rollout_previous(struct arena *a, str running);

/* --- one rollout under way --- */
struct guarded {
	struct arena        arena;
	char                id[ID_SIZE];
	str                 set_id, project, environment, key, previous, next, salt;
	struct rollout_spec spec;
	int64_t             version; /* of its row: who saw another one does not write */
	struct rollout      ro;
	usec_t              entered[FLAG_STEPS_MAX]; /* when each step began; 0: it has not */
	enum rollout_order  order;
	char                order_by[ACTOR_MAX];
	/* what follows: the owner's only */
	bool                counting;
	struct flag_track   track;
	bool                has_verdict;
	struct judge_verdict verdict;
	int                 failing; /* error of the last act, told once */
	unsigned            conflicts; /* in a row */
};
/* The step that is in force: the bake is the last. */
size_t guarded_step(const struct guarded *g);

/* --- flag-rollout-store.c --- */
struct rollout_row { /* for lists and pages */
	str     id, set_id, key, state, spec, ro, counts, evidence, cause, by, order, order_answer;
	bool    running;
	int64_t started_at, ended_at, version;
};
MUST_CHECK int rollout_store_list(struct db_tx *tx, struct arena *a, str set_id, size_t max, struct rollout_row **ret, size_t *ret_n, struct err *reterr);
MUST_CHECK int rollout_store_row(struct db_tx *tx, struct arena *a, str id, struct rollout_row *ret, struct err *reterr); /* -WEIR_ENOENT */
/* Ids and versions of those under way. */
struct rollout_mark {
	char    id[ID_SIZE];
	int64_t version;
};
MUST_CHECK int rollout_store_running(struct db_tx *tx, struct rollout_mark out[LIMIT_FLAG_ROLLOUTS], size_t *ret_n, struct err *reterr);
/* Reads a row into g (a new one has an empty arena). */
MUST_CHECK int rollout_store_load(struct db_tx *tx, const char *id, struct guarded *g, struct err *reterr);
MUST_CHECK int rollout_store_insert(struct db_tx *tx, const struct guarded *g, str spec, str by, usec_t now, struct err *reterr);
/* What a step leaves: g with its new state. ended: 0 while it runs. -WEIR_ECONFLICT: the row has changed. */
struct rollout_saved {
	const struct guarded *g;
	const char           *cause;
	str                   evidence; /* JSON; empty: as before */
	bool                  order_done;
	const char           *order_answer; /* why an order was refused */
	usec_t                ended;
};
MUST_CHECK int rollout_store_save(struct db_tx *tx, const struct rollout_saved *s, struct err *reterr);
/* Counts, and the users of the parts that changed. */
MUST_CHECK int rollout_store_counts(struct db_tx *tx, const struct guarded *g, struct err *reterr);
MUST_CHECK int rollout_store_track(struct db_tx *tx, struct guarded *g, struct err *reterr);
MUST_CHECK int rollout_store_order(struct db_tx *tx, str id, str word, str by, struct err *reterr); /* -WEIR_EBUSY, -WEIR_ENOENT */
/* Refuses a change that touches a flag of a running rollout; ends the rollout when the change switches the flag off. */
MUST_CHECK int rollout_store_guard(struct flag_room *r, struct db_tx *tx, const struct flag_change *c, const struct stored_set *s, int64_t revision,
								   struct err *reterr);
MUST_CHECK int rollout_store_hand_over(struct db_tx *tx, str events, struct err *reterr);

/* Appends flag.rollout_*; cause, evidence may be empty. */
struct rollout_fact {
	enum event_type type;
	const char     *id;
	str             set_id, project, environment, key, by;
	double          share;
	int64_t         revision; /* 0: none was made */
	const char     *cause, *result, *verdict;
	str             evidence;
};
MUST_CHECK int rollout_event(struct flag_room *r, struct db_tx *tx, const struct rollout_fact *f, struct err *reterr);

/* --- flag-rollout-turn.c --- */
struct track_event {
	char     rollout[ID_SIZE];
	uint64_t bucket;
	double   share;   /* exposure: the share that was in force; which step it was is known where it is counted */
	bool     outcome, failed;
	usec_t   until;   /* an outcome of a user of whom nothing is known yet is tried again until then (monotonic); 0: it is new */
};
struct flag_rollouts {
	struct flag_room *room;
	struct db_lock   *lease;
	struct db_listener *listener;
	pthread_t         thread;
	bool              started, told;

	pthread_mutex_t lock; /* what follows */
	pthread_cond_t  wake;
	bool            stop, news, urgent;
	VEC(struct guarded *) all; /* changed by the thread alone, with the lock */
	VEC(struct track_event) inbox;
	uint64_t        dropped; /* events for which there was no room */
	/* the thread's own */
	bool            owner;
	VEC(struct track_event) waiting;
	uint64_t        dropped_told;
};
MUST_CHECK int rollouts_new(struct flag_room *r, struct flag_rollouts **ret, struct err *reterr);
MUST_CHECK int rollouts_start(struct flag_rollouts *s, struct err *reterr);
struct flag_rollouts *rollouts_free(struct flag_rollouts *s);
/* One turn of the thread, for tests with a virtual clock: takes over, counts, judges, acts. */
void rollouts_turn(struct flag_rollouts *s);

/* A context evaluated a flag of a running rollout. Any thread; quick. */
void rollouts_exposed(struct flag_room *r, const struct flag_arms *arms, const struct flag_context *c);
/* Puts an event into the inbox; with the lock. False: it is full. */
bool rollouts_add(struct flag_rollouts *s, const struct track_event *e);
/* An order was given, or a rollout began: the thread looks at once. */
void rollouts_kick(struct flag_rollouts *s);
/* Has the thread taken it over? Before that its events are passed over. */
bool rollouts_know(struct flag_rollouts *s, const char *id);

/* --- flag-rollout-act.c --- */
/* Asks the state machine of g and does what it says, until there is nothing to do. */
void rollout_act(struct flag_rollouts *s, struct guarded *g);
struct rollout_start {
	str                 set_id, key, definition, comment, by, address;
	int64_t             base;
	struct rollout_spec spec;
	str                 spec_json;
};
MUST_CHECK int rollout_start(struct flag_room *r, const struct rollout_start *o, struct arena *a, char ret_id[ID_SIZE], int64_t *ret_revision, struct err *reterr);
/* A change that only switches off a flag of a running rollout becomes: its former definition, switched off. Other texts stay. In a. */
MUST_CHECK int rollout_rewrite(const struct flag_set *present, struct flag_change *c, struct arena *a, struct err *reterr);

/* --- routes --- */
int flag_track_post(struct http_req *req, void *ctx, struct err *reterr);
extern const char flag_track_schema[];

#endif
