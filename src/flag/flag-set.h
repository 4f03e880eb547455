/* flag-set.h - a set of flags compiled: immutable, shared by any number of readers. Pure.
 *
 * Flags live in shards by the hash of their key; each shard has an arena of its own. A new revision shares all shards that did not change with the
 * one before, so that one edit among a million flags compiles some dozens. What is wrong in a single flag (a rule that does not compile, a
 * prerequisite that is missing) fails that flag alone, when it is evaluated: a set that was stored is always loaded. */
#ifndef WEIR_FLAG_FLAG_SET_H
#define WEIR_FLAG_FLAG_SET_H

#include "flag/flag-def.h"
#include "lang/logic/logic.h"
#include "lang/unleash/unleash.h"

struct flag_variant {
	str  name;
	str  json; /* the value, without white space */
	str  answer; /* "variant":NAME,"value":VALUE as answers say it */
	bool whole; /* a number without a fraction */
	enum flag_type type; /* as the flag's, but where Unleash's payloads differ */
};
struct flag_prerequisite {
	str        flag;
	const str *variants;
	size_t     n_variants;
};
struct flag_arms;
struct flag {
	str                             key;
	str                             key_json; /* as a JSON text */
	uint64_t                        hash;
	str                             text;  /* its definition, as it was given */
	bool                            enabled;
	enum flag_type                  type;
	const struct flag_variant      *variants;
	size_t                          n_variants;
	int                             default_variant; /* -1: the caller's own */
	const struct logic_rule        *rule;            /* NULL: none */
	const struct unleash_feature   *unleash;         /* of Unleash's kind; variants are then as unleash_variant_at() counts, or "on" and "off" */
	str                             unleash_text;    /* weir.unleash as JSON; empty: of flagd's kind */
	const char                     *broken;          /* why it cannot be evaluated (PARSE_ERROR); NULL: it can */
	str                             metadata;        /* the set's and its own as one JSON object; empty: none */
	str                             owner;
	enum flag_purpose               purpose;
	usec_t                          expires, from, until;
	bool                            archived;        /* kept, and not served: FLAG_NOT_FOUND */
	const struct flag_prerequisite *prerequisites;
	size_t                          n_prerequisites;
	const struct flag_arms         *arms; /* NULL: no rollout is under way */
};
struct flag_arms { /* a flag's change that goes to a share of the contexts; both arms name it */
	const struct flag *canary; /* the flag of the set */
	const struct flag *stable; /* as it was */
	double             share;
	str                rollout, salt;
};

struct flag_set_head {
	str     id;       /* "shop/production" */
	int64_t revision; /* 1, 2, ... */
	str     evaluators, metadata, segments; /* JSON maps; empty: none. segments: NAME to Unleash's {id, constraints} */
};
struct flag_text { /* a definition: the JSON of one flag */
	str key;
	str json; /* empty: the flag is removed */
};

struct flag_set;
/* The set `before` (NULL: an empty one) with `texts` put in and a new head; shares what it can. The caller owns a
 * reference to *ret. Of two texts of one key the later one counts. Errors: -WEIR_ELIMIT (flags, sizes), -WEIR_ENOMEM. */
MUST_CHECK int flag_set_build(const struct flag_set *before, const struct flag_set_head *head, const struct flag_text *texts, size_t n,
							  struct flag_set **ret, struct err *reterr);
struct flag_set *flag_set_ref(struct flag_set *s);
struct flag_set *flag_set_unref(struct flag_set *s); /* NULL fine; returns NULL */

const struct flag_set_head *flag_set_head(const struct flag_set *s);
str    flag_set_metadata(const struct flag_set *s); /* JSON object; empty: none */
str    flag_set_id(const struct flag_set *s);       /* metadata.flagSetId; empty: none */
bool   flag_set_timed(const struct flag_set *s);    /* what its flags say depends on the time, too */
size_t flag_set_count(const struct flag_set *s);
const struct flag *flag_set_find(const struct flag_set *s, str key);
/* In an order of its own, the same for equal sets: for (f = flag_set_next(s, NULL); f; f = flag_set_next(s, f)) */
const struct flag *flag_set_next(const struct flag_set *s, const struct flag *f);
/* What is wrong between the flags of a set, told flag by flag: a definition or rule that does not compile, a prerequisite on a flag or variant that
 * is not there, a cycle, a chain longer than LIMIT_FLAG_CHAIN. */
void flag_set_check(const struct flag_set *s, void (*tell)(void *ctx, const struct flag *f, const char *what), void *ctx);

#endif
