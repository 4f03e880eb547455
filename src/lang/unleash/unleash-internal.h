/* unleash-internal.h - what the files of src/lang/unleash share: the compiled form, and the state of one evaluation. */
#ifndef WEIR_LANG_UNLEASH_INTERNAL_H
#define WEIR_LANG_UNLEASH_INTERNAL_H

#include "base/regex.h"
#include "lang/unleash/unleash.h"
#include "lang/version/version.h"

/* --- operators: C id, name, how its value is read --- */
enum operand { OPERAND_LIST, OPERAND_TEXTS, OPERAND_NUMBER, OPERAND_DATE, OPERAND_VERSION, OPERAND_PATTERN, OPERAND_ADDRESSES };
#define UNLEASH_OP_TABLE(X)                      \
	X(IN, "IN", LIST)                            \
	X(NOT_IN, "NOT_IN", LIST)                    \
	X(STR_STARTS_WITH, "STR_STARTS_WITH", TEXTS) \
	X(STR_ENDS_WITH, "STR_ENDS_WITH", TEXTS)     \
	X(STR_CONTAINS, "STR_CONTAINS", TEXTS)       \
	X(NUM_EQ, "NUM_EQ", NUMBER)                  \
	X(NUM_GT, "NUM_GT", NUMBER)                  \
	X(NUM_GTE, "NUM_GTE", NUMBER)                \
	X(NUM_LT, "NUM_LT", NUMBER)                  \
	X(NUM_LTE, "NUM_LTE", NUMBER)                \
	X(DATE_AFTER, "DATE_AFTER", DATE)            \
	X(DATE_BEFORE, "DATE_BEFORE", DATE)          \
	X(SEMVER_EQ, "SEMVER_EQ", VERSION)           \
	X(SEMVER_GT, "SEMVER_GT", VERSION)           \
	X(SEMVER_GTE, "SEMVER_GTE", VERSION)         \
	X(SEMVER_LT, "SEMVER_LT", VERSION)           \
	X(SEMVER_LTE, "SEMVER_LTE", VERSION)         \
	X(REGEX, "REGEX", PATTERN)                   \
	X(IN_CIDR, "IN_CIDR", ADDRESSES)
enum op {
#define X(id, name, operand) OP_##id,
	UNLEASH_OP_TABLE(X)
#undef X
		OP_UNKNOWN
};

#define UNLEASH_STRATEGY_TABLE(X)                   \
	X(DEFAULT, "default")                           \
	X(USER_WITH_ID, "userWithId")                   \
	X(ROLLOUT_USER, "gradualRolloutUserId")         \
	X(ROLLOUT_SESSION, "gradualRolloutSessionId")   \
	X(ROLLOUT_RANDOM, "gradualRolloutRandom")       \
	X(FLEXIBLE_ROLLOUT, "flexibleRollout")          \
	X(REMOTE_ADDRESS, "remoteAddress")              \
	X(APPLICATION_HOSTNAME, "applicationHostname")
enum strategy_kind {
#define X(id, name) STRATEGY_##id,
	UNLEASH_STRATEGY_TABLE(X)
#undef X
		STRATEGY_UNKNOWN
};

enum stickiness { STICKY_DEFAULT, STICKY_RANDOM, STICKY_FIELD }; /* default: userId, else sessionId, else by chance */
struct sticky {
	enum stickiness kind;
	str             field; /* STICKY_FIELD */
};

/* An address with a prefix; IPv4 is kept as ::ffff:a.b.c.d. */
struct network {
	unsigned char bytes[16];
	unsigned      bits; /* of the prefix, 0 to 128 */
};
struct texts {
	const str *v;
	size_t     n;
};

struct constraint {
	str         field, op_name;
	enum op     op;
	bool        inverted;
	const char *broken; /* why it can never hold; NULL: it can */
	struct texts values; /* sorted for LIST */
	union {
		double                 number;
		usec_t                 date;
		const struct version  *version;
		const struct regex    *pattern; /* TEXTS: when case does not count */
		struct {
			const struct network *v;
			size_t                n;
		} networks;
	};
};
struct constraints {
	const struct constraint *v;
	size_t                   n;
};
struct segment {
	int64_t            id;
	struct constraints constraints;
};
struct unleash_segments {
	const struct segment *v; /* by id */
	size_t                n;
};

struct variant_override {
	str          field;
	struct texts values;
};
struct weighted {
	struct unleash_variant         shown;
	uint32_t                       weight;
	const struct variant_override *overrides;
	size_t                         n_overrides;
};
struct variants {
	const struct weighted *v;
	size_t                 n, first; /* first: index of the first one as unleash_variant_at() counts */
	uint64_t               total;    /* of the weights */
	struct sticky          sticky;
};

struct strategy {
	str                    name;
	enum strategy_kind     kind;
	const char            *broken; /* NULL: it can hold */
	unsigned               percent;
	struct sticky          sticky;
	str                    group;
	struct texts           list; /* ids, host names: sorted */
	const struct network  *networks;
	size_t                 n_networks;
	struct constraints     constraints;
	const struct segment **segments;
	size_t                 n_segments;
	struct variants        variants; /* total 0: the feature's */
};

struct problem {
	const char     *text;
	struct problem *next;
};
struct unleash_feature {
	str                              name;
	bool                             enabled, impression_data, varies;
	const struct strategy           *strategies;
	size_t                           n_strategies;
	bool                             all_disabled; /* it has strategies, each of them switched off: off */
	struct variants                  variants;
	const struct unleash_variant   **all;
	size_t                           n_all;
	const struct unleash_dependency *dependencies;
	size_t                           n_dependencies;
	struct problem                  *problems;
};

/* --- unleash-constraint.c --- */
/* Compiles the list n (NULL: none); counts as obeying nobody what cannot be. */
MUST_CHECK int constraints_compile(struct arena *a, const struct doc_node *n, struct constraints *ret, struct err *reterr);
bool constraint_is_timed(const struct constraint *c);
struct evaluation {
	const struct unleash_feature *f;
	const struct unleash_env     *env;
	uint64_t                     *steps; /* that are left */
	uint64_t                      random;
	int                           strategy; /* that is looked at */
	bool                          failed;   /* a limit was met */
	bool                          by_chance;
	bool                          missed;   /* a rollout left the context out */
};
bool constraint_holds(struct evaluation *e, const struct constraint *c);
bool evaluation_charge(struct evaluation *e, uint64_t steps);
bool evaluation_get(const struct evaluation *e, str name, str *ret); /* empty texts are absent */

/* --- unleash-text.c: lists, addresses, hashes --- */
int  texts_cmp(const void *a, const void *b);
bool texts_have(const struct texts *t, str s); /* t is sorted */
/* The parts of a text between commas, trimmed, without empty ones; sorted. */
MUST_CHECK int texts_split(struct arena *a, str list, bool lower, struct texts *ret, struct err *reterr);
str  text_lower(struct arena *a, str s); /* ASCII letters */
bool network_parse(str s, struct network *ret);
bool network_has(const struct network *n, const struct network *address);
uint32_t unleash_murmur(uint32_t seed, str a, str b); /* of "a:b" */
bool semver_ok(str s); /* as semver.org has it: three numbers, no 'v' */
/* Without the build part, which no order looks at. */
str semver_core(str s);
/* An RFC 3339 time, or a date alone: its beginning in UTC. */
bool date_parse(str s, usec_t *ret);

#endif
