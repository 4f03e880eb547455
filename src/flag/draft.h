/* draft.h - what the files of drafts share. Internal to src/flag. */
#ifndef WEIR_FLAG_DRAFT_H
#define WEIR_FLAG_DRAFT_H

#include "flag/flag-protection.h"
#include "flag/room.h"

/* --- flag-draft-store.c: tables --- */

enum draft_state { DRAFT_OPEN, DRAFT_SCHEDULED, DRAFT_APPLIED, DRAFT_REJECTED, DRAFT_WITHDRAWN, DRAFT_FAILED };
extern const char *const draft_states[]; /* names in this order; NULL-ended */

struct draft_approval {
	str     by, address, comment;
	int64_t at, version;
};
struct draft_conflict {
	str     what; /* a flag's key, "evaluators and metadata", "environment" */
	int64_t revision;
};
struct draft { /* texts in the arena of who asked */
	str              set;
	int64_t          id, version, base;
	enum draft_state state;
	str              by, changed_by, title, comment;
	int64_t          opened_at, changed_at;
	usec_t           apply_at;  /* 0: none */
	str              body, keys; /* JSON: flags, evaluators?, metadata?, environment?; list of keys */
	str              ended_by, cause;
	int64_t          ended_at, revision, late_s;
	const str       *authors;   /* of any version */
	size_t           n_authors;
	struct draft_approval *approvals; /* of any version, in order */
	size_t           n_approvals;
};
/* -WEIR_ENOENT. With authors and approvals. */
MUST_CHECK int draft_find(struct db_tx *tx, struct arena *a, str set, int64_t id, struct draft *ret, struct err *reterr);
/* Newest first, before `before` (0: from the newest); state -1: any. Without authors. */
MUST_CHECK int draft_list(struct db_tx *tx, struct arena *a, str set, int state, int64_t before, size_t max, struct draft **ret, size_t *ret_n,
						  struct err *reterr);
/* Fills d->id and d->version, 1. -WEIR_ELIMIT: LIMIT_FLAG_DRAFTS wait already. */
MUST_CHECK int draft_insert(struct db_tx *tx, struct draft *d, str address, struct err *reterr);
/* The next version of a draft, which is in d; its state, too. */
MUST_CHECK int draft_insert_version(struct db_tx *tx, struct draft *d, str address, struct err *reterr);
MUST_CHECK int draft_set_state(struct db_tx *tx, const struct draft *d, struct err *reterr); /* with cause, ended_by, ended_at, revision, late_s */
MUST_CHECK int draft_insert_approval(struct db_tx *tx, const struct draft *d, const struct draft_approval *v, struct err *reterr); /* -WEIR_EEXIST */
MUST_CHECK int draft_conflicts(struct db_tx *tx, struct arena *a, const struct draft *d, const struct flag_change *c, struct draft_conflict **ret, size_t *ret_n,
							   struct err *reterr);
/* Who looked at the blast radius of a version, over how many contexts at most. */
MUST_CHECK int draft_note_look(struct db_tx *tx, const struct draft *d, str by, int64_t contexts, usec_t now, struct err *reterr);
MUST_CHECK int draft_looked(struct db_tx *tx, const struct draft *d, str by, int64_t *ret_contexts, struct err *reterr);
struct draft_due { /* a scheduled draft, by its place in the order of what is due */
	usec_t  at;
	str     set;
	int64_t id;
};
/* The scheduled draft that is due first behind `after` ({0}: of all); *ret_found. */
MUST_CHECK int draft_next_due(struct db_tx *tx, struct arena *a, const struct draft_due *after, struct draft_due *ret, bool *ret_found, struct err *reterr);

struct flag_provenance { /* of a revision */
	int64_t draft;     /* 0: a direct change */
	str     approvals; /* JSON: [{by, address, at, version}] */
};
MUST_CHECK int flag_provenance_of(struct db_tx *tx, struct arena *a, str set, int64_t revision, struct flag_provenance *ret, struct err *reterr);
/* {by, address, at, version, comment?, void?}; with_void: version is not the draft's. */
void draft_write_approval(struct jw *w, const struct draft_approval *v);

/* --- flag-draft.c: what may be done with a draft --- */

struct draft_rules { /* of the environment that the set has, and of the one it would come to */
	const struct flag_rule *rule[2]; /* NULL: none */
	str                     environment; /* the present one */
};
struct draft_actor {
	str  name;    /* of the token */
	str  by;      /* "token:NAME" */
	str  address;
	bool admin;
};

/* Reads the stored body into *c, as strictly as when it came. */
MUST_CHECK int draft_change(struct arena *a, const struct draft *d, struct flag_change *c, struct err *reterr);
MUST_CHECK int draft_rules_load(struct flag_room *r, struct arena *a, const struct flag_change *c, struct draft_rules *ret, struct err *reterr);
int64_t draft_needed(const struct draft_rules *rules); /* approvals */
/* Approvals of the present version that count by both rules. */
bool draft_is_approved(const struct draft *d, const struct draft_rules *rules);

/* d: as the author wrote it; texts are the caller's. Fills id, version, state. */
MUST_CHECK int draft_open(struct flag_room *r, struct draft *d, const struct draft_rules *rules, const struct draft_actor *who, struct err *reterr);
/* d->id and d->version name what was edited. */
MUST_CHECK int draft_edit(struct flag_room *r, struct draft *d, const struct draft_rules *rules, const struct draft_actor *who, struct err *reterr);
enum draft_verb { DRAFT_APPROVE, DRAFT_REJECT, DRAFT_WITHDRAW };
MUST_CHECK int draft_act(struct flag_room *r, str set, int64_t id, int64_t version, enum draft_verb verb, str text, const struct draft_actor *who,
						 struct err *reterr);
/* Applies it now: once, whoever else tries. The draft stays as it is when that fails. */
MUST_CHECK int draft_apply(struct flag_room *r, str set, int64_t id, int64_t version, const struct draft_actor *who, usec_t due, struct err *reterr);

/* --- flag-schedule.c --- */
MUST_CHECK int flag_drafts_start(struct flag_room *r, struct err *reterr);
struct flag_drafts *flag_drafts_stop(struct flag_drafts *d);
void flag_drafts_kick(struct flag_room *r); /* something was scheduled or sampled */

/* --- flag-samples.c: contexts that are kept, for blast radii. Off until somebody asks for it; they are personal data --- */
struct flag_sampling {
	int64_t    keep, days; /* keep 0: off */
	const str *deny;       /* names of attributes that are never kept, at any depth, in any case */
	size_t     n_deny;
	int64_t    changed_at;
};
extern const char *const flag_deny_default[]; /* NULL-ended */

MUST_CHECK int flag_sampler_new(struct flag_room *r, struct flag_sampler **ret, struct err *reterr); /* loads what is stored */
struct flag_sampler *flag_sampler_free(struct flag_sampler *s);
MUST_CHECK int flag_sampler_reload(struct flag_room *r, struct err *reterr); /* what other servers changed */
MUST_CHECK int flag_sampler_flush(struct flag_room *r, struct err *reterr);  /* to the table; drops what is too old */
MUST_CHECK int flag_sampling_get(struct flag_room *r, struct arena *a, str set, struct flag_sampling *ret, struct err *reterr);
MUST_CHECK int flag_sampling_put(struct flag_room *r, str set, str project, const struct flag_sampling *s, str by, struct err *reterr);
/* JSON texts of the contexts that are kept; *ret_since: of the oldest one. */
MUST_CHECK int flag_samples_read(struct flag_room *r, struct arena *a, str set, str **ret, size_t *ret_n, usec_t *ret_since, struct err *reterr);

#endif
