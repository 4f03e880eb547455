/* unleash.h - Unleash's features: compiled once, evaluated by any number of threads at once, as Unleash's own clients do it.
 *
 * Pure: no clock, no I/O, no globals. Time, chance and the context come from the caller; what other features say comes through a callback.
 * A feature is compiled as clients take it: what it says that cannot be obeyed (an unknown strategy or operator, a pattern that is none, a
 * segment that is not there) never holds, and the rest of the feature goes on. Whoever writes features checks them strictly before.
 *
 * Rules. A feature is on when it is enabled, its parents are as it needs them, and one of its strategies holds (none at all: on for all).
 * A strategy holds when all its constraints and those of its segments hold and the strategy itself does. The first one that holds decides:
 * its variants, or else the feature's, are chosen by weight. Bucket: murmur3 x86_32 of "groupId:id" (seed 0 for rollouts, 86028157 for variants)
 * modulo the sum of the weights (100 for rollouts), plus 1. Sources: Unleash/client-specification, docs.getunleash.io. */
#ifndef WEIR_LANG_UNLEASH_H
#define WEIR_LANG_UNLEASH_H

#include "base/arena.h"
#include "base/base.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "doc/doc.h"

enum {
	UNLEASH_STRATEGIES_MAX = 1000,  /* of one feature */
	UNLEASH_CONSTRAINTS_MAX = 1000, /* of one strategy or segment */
	UNLEASH_VALUES_MAX = 100000,    /* of one constraint or list parameter */
	UNLEASH_VARIANTS_MAX = 1000,    /* of one feature or strategy */
	UNLEASH_STEPS_DEFAULT = 1000000,
	UNLEASH_PATTERN_BYTES = 1 << 20 /* memory of one compiled pattern */
};

/* --- compiling --- */

struct unleash_segments; /* by their id; immutable, in the caller's arena */
/* A list of {"id", "constraints"} or a map of such (any names); NULL: none. Borrows nothing of the document. -WEIR_ELIMIT: the arena or a limit above. */
MUST_CHECK int unleash_segments_compile(struct arena *a, const struct doc_node *segments, struct unleash_segments **ret, struct err *reterr);

struct unleash_feature; /* immutable, in the caller's arena; borrows the segments */
/* feature: {"name"?, "enabled"?, "strategies", "variants"?, "dependencies"?, "impressionData"?, "type"?, ...}; other keys are passed over.
 * name: STR_NULL: the feature's own. enabled is true when it is not said. Errors: -WEIR_EINVAL (no map), -WEIR_ELIMIT. */
MUST_CHECK int unleash_compile(struct arena *a, str name, const struct doc_node *feature, const struct unleash_segments *segments,
							   struct unleash_feature **ret, struct err *reterr);
/* What is wrong in it that can never hold, for people; i from 0. NULL: there is no i-th. */
const char *unleash_problem(const struct unleash_feature *f, size_t i);

struct unleash_payload {
	str type, value; /* "string", "csv", "number", "json"; type STR_NULL: no payload */
};
struct unleash_variant {
	str                    name;
	struct unleash_payload payload;
};
struct unleash_dependency {
	str        feature;
	bool       enabled;    /* how the parent must be */
	const str *variants;   /* one of these, when there are any and enabled is true */
	size_t     n_variants;
};
str  unleash_name(const struct unleash_feature *f);
bool unleash_is_enabled(const struct unleash_feature *f);     /* switched on, whatever its strategies say */
bool unleash_impression_data(const struct unleash_feature *f);
/* All variants that it may give: the feature's own, then those of its strategies in their order. */
size_t                        unleash_n_variants(const struct unleash_feature *f);
const struct unleash_variant *unleash_variant_at(const struct unleash_feature *f, size_t i);
size_t                           unleash_n_dependencies(const struct unleash_feature *f);
const struct unleash_dependency *unleash_dependency_at(const struct unleash_feature *f, size_t i);
/* One context may get different answers of it at different times: by a date, or by chance (random stickiness, or a context without the sticky id). */
bool unleash_varies(const struct unleash_feature *f);

/* --- evaluating --- */

struct unleash_parent { /* what another feature says for the same context */
	bool enabled;
	bool dependent; /* it has parents itself: then it satisfies nobody, chains are not followed */
	str  variant;   /* name; "disabled": none */
};
enum unleash_step_kind { UNLEASH_STEP_PARENT, UNLEASH_STEP_STRATEGY, UNLEASH_STEP_CONSTRAINT, UNLEASH_STEP_VARIANT };
struct unleash_step { /* for explaining, in the order of deciding: a strategy's constraints come before it */
	enum unleash_step_kind kind;
	str                    name;     /* parent; strategy; contextName; variant */
	int                    strategy; /* index; -1: none */
	int                    index;    /* of the parent, constraint or variant */
	int64_t                segment;  /* id of the segment that the constraint is of; -1: none */
	str                    op;       /* constraint: its operator */
	bool                   holds;
	const char            *why;      /* more words; NULL: none */
	unsigned               bucket, until; /* strategies with a share, variants: the context's bucket, and the last one that holds; 0: none */
};
struct unleash_env {
	/* Value of the context's field or property: "userId", "sessionId", "remoteAddress", "environment", "appName", "currentTime" (RFC 3339),
	 * "hostname", or any name. False: absent. The text lives as long as the evaluation. */
	bool (*get)(void *ctx, str name, str *ret);
	void    *get_ctx;
	usec_t   now;           /* where the context has no currentTime */
	uint64_t random;        /* what chance is made of: another number for each evaluation */
	struct arena *scratch;  /* for versions that are compared */
	uint64_t steps_max;     /* 0: the default */
	uint64_t *steps_left;   /* in place of steps_max: shared with others, parents too, and counted down. NULL: none */
	/* What another feature says. False: there is none. NULL: no feature has one. */
	bool (*parent)(void *ctx, str name, struct unleash_parent *ret);
	void *parent_ctx;
	void (*trace)(void *ctx, const struct unleash_step *s); /* NULL: none */
	void *trace_ctx;
};
enum unleash_why { UNLEASH_OFF, UNLEASH_NO_PARENT, UNLEASH_NO_STRATEGY_HOLDS, UNLEASH_NO_STRATEGIES, UNLEASH_STRATEGY };
const char *unleash_why_text(enum unleash_why w); /* "the feature is switched off", ... */

struct unleash_result {
	bool                          enabled;  /* of the feature */
	enum unleash_why              why;
	int                           strategy; /* which one held; -1: none */
	const struct unleash_variant *variant;  /* NULL: "disabled" */
	size_t                        variant_index; /* as in unleash_variant_at() */
	bool                          split;    /* a share or a weight decided */
	bool                          by_chance; /* so that the same context may get another answer */
};
/* -WEIR_ELIMIT: steps or scratch were used up; *ret is then off. */
MUST_CHECK int unleash_evaluate(const struct unleash_feature *f, const struct unleash_env *env, struct unleash_result *ret, struct err *reterr);

/* A context as Unleash writes it: {"userId", "sessionId", ..., "properties": {NAME: scalar}}, made to be read by unleash_context_get. Texts are
 * borrowed from the tree. */
struct unleash_context;
MUST_CHECK int unleash_context_read(struct arena *a, const struct doc_node *n, struct unleash_context **ret, struct err *reterr);
bool unleash_context_get(void *context, str name, str *ret);

#endif
