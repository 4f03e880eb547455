/* flag-def.h - definitions as people write them: flagd's format, read strictly. Pure.
 *
 * A set's document: {"flags": {KEY: flag}, "$evaluators"?: {NAME: rule}, "metadata"?: {NAME: scalar}}; flagd's form with a list of flags that
 * carry their "key" is read too. What weir adds to a flag stands below one key of its own, "weir", which other readers of the format pass over:
 *   "weir": {"owner": "team-checkout", "purpose": "release", "expires": "2027-03-31", "from": TIME, "until": TIME,
 *            "prerequisites": [{"flag": "payments", "variants": ["on"]}],
 *            "archived": true,
 *            "unleash": {"strategies": [...], "variants"?, "dependencies"?, "type"?, "impressionData"?}}   in place of variants and targeting
 * "rollout": {"id": ID, "previous": flag, "share": 0.05, "salt": TEXT}, written by a guarded rollout only,
 * and below the document's own "weir": {"segments": {NAME: {"id": N, "constraints": [...]}}}, which strategies name by id.
 * Every key is obeyed or refused with its place and the nearest known one. Source of the format: flagd.dev/schema/v0 (draft-07). */
#ifndef WEIR_FLAG_FLAG_DEF_H
#define WEIR_FLAG_FLAG_DEF_H

#include "base/arena.h"
#include "base/base.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "doc/doc.h"

enum flag_type { FLAG_ANY, FLAG_BOOL, FLAG_STRING, FLAG_NUMBER, FLAG_OBJECT, FLAG_INTEGER /* asked for only: a whole number */ };
const char *flag_type_name(enum flag_type t); /* "boolean", "string", "number", "object"; "any" */

enum flag_purpose { FLAG_PURPOSE_NONE, FLAG_PURPOSE_RELEASE, FLAG_PURPOSE_EXPERIMENT, FLAG_PURPOSE_OPERATIONAL, FLAG_PURPOSE_PERMISSION };
const char *flag_purpose_name(enum flag_purpose p);

struct flag_variant_def {
	str                    name;
	const struct doc_node *value;
};
struct flag_rollout_def;
struct flag_prerequisite_def { /* the flag must be on one of these variants, else this one is off */
	str        flag;
	const str *variants;
	size_t     n_variants;
	uint32_t   line, col;
};
struct flag_def { /* texts and nodes belong to the document's arena */
	str                                 key;
	uint32_t                            line, col; /* of its key */
	bool                                enabled;   /* state */
	enum flag_type                      type;      /* of all variants */
	const struct flag_variant_def      *variants;
	size_t                              n_variants;
	int                                 default_variant; /* index; -1: the caller's own default */
	const struct doc_node              *targeting;       /* NULL: none or {} */
	const struct doc_node              *metadata;        /* NULL: none */
	const struct doc_node              *unleash;         /* NULL: of flagd's kind; else there are no variants, default variant or targeting */
	str                                 owner;           /* empty: not said */
	enum flag_purpose                   purpose;
	usec_t                              expires;         /* 0: never; begin of the day after */
	usec_t                              from, until;     /* on only from <= now < until; 0: no bound */
	bool                                archived;        /* kept, and not served */
	const struct flag_prerequisite_def *prerequisites;
	size_t                              n_prerequisites;
	const struct flag_rollout_def      *rollout;         /* NULL: none is under way */
};
struct flag_rollout_def { /* contexts get the flag as it stands by `share`, else `previous` */
	str                    id, salt;
	double                 share; /* 0 < share <= 1 */
	const struct flag_def *previous;
};
struct flag_set_def {
	const struct doc_node *evaluators, *metadata, *segments; /* NULL: none */
	struct flag_def       *flags;                 /* in the order of the document */
	size_t                 n_flags;
};

/* Keys: 1 to LIMIT_FLAG_KEY_BYTES bytes of UTF-8 without control characters, as flagd has them. */
bool flag_key_ok(str key);
/* Reads one flag's object; problems go to c. key: its name for messages. line, col: of the key. */
void flag_def_read(struct doc_check *c, str key, uint32_t line, uint32_t col, const struct doc_node *n, struct flag_def *ret);
/* What a set's metadata.bucketing may be: the generation of "fractional"; v2 when it is not said. NULL-ended. */
extern const char *const flag_bucketings[];
/* What the flags of a set share: evaluators, metadata and segments, each may be NULL. Fills these of ret. */
void flag_head_read(struct doc_check *c, const struct doc_node *evaluators, const struct doc_node *metadata, const struct doc_node *segments,
					struct flag_set_def *ret);
/* flag-unleash-def.c: the shape of weir.unleash of a flag, and of weir.segments of a set; NULL: silent. */
void flag_unleash_read(struct doc_check *c, const struct doc_node *n);
void flag_segments_read(struct doc_check *c, const struct doc_node *n);
/* Reads a whole document. What flags need of each other (prerequisites) is looked at in the compiled set, flag_set_check(). */
void flag_set_def_read(struct doc_check *c, const struct doc_node *root, struct flag_set_def *ret);
/* The shape of a targeting rule or evaluator as flagd's schema has it: known operators, number and kinds of arguments, weights. `evaluators`: map
 * of names that $ref may use, or NULL: any. */
void flag_rule_check(struct doc_check *c, const struct doc_node *rule, const struct doc_node *evaluators);

#endif
