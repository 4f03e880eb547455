/* flag-unleash-def.c - the strict reader of what a flag of Unleash's kind says below weir.unleash, and of a set's segments. Pure; any thread.
 *
 * The language itself (src/lang/unleash) is lenient, as Unleash's clients are; what is written here is obeyed or refused with its place: unknown keys,
 * strategies and operators, values that an operator cannot compare with, weights and percentages that are none. */
#include "base/base.h"

#include "base/limits.h"
#include "flag/flag-def.h"

static const char *const operators[] = { "IN", "NOT_IN", "IN_CIDR", "STR_STARTS_WITH", "STR_ENDS_WITH", "STR_CONTAINS", "REGEX", "NUM_EQ", "NUM_GT", "NUM_GTE",
										 "NUM_LT", "NUM_LTE", "DATE_AFTER", "DATE_BEFORE", "SEMVER_EQ", "SEMVER_GT", "SEMVER_GTE", "SEMVER_LT", "SEMVER_LTE", NULL };
enum { OP_LISTS = 6, OP_REGEX = 6 }; /* operators before index 6 take "values", the others "value"; STR_* and REGEX may pass over case */

/* A list of items, each read by `read`. */
static void read_list(struct doc_check *c, const struct doc_node *n, const char *what, size_t max, void (*read)(struct doc_check *c, const struct doc_node *n))
{
	if (!n || !doc_is_seq(c, n, what))
		return;
	if (doc_len(n) > max) {
		doc_error(c, n, "at most %zu %s", max, what);
		return;
	}
	for (size_t i = 0; i < doc_len(n); i++)
		read(c, doc_at(n, i));
}

static void read_text(struct doc_check *c, const struct doc_node *n) { (void)doc_want_str(c, n, "an entry of the list"); }

static str read_name(struct doc_check *c, const struct doc_node *n, const char *what)
{
	str s = doc_want_str(c, n, what);

	if (n && n->kind == DOC_STR && !flag_key_ok(s))
		doc_error(c, n, "%s must be 1 to %d bytes of UTF-8 without control characters", what, LIMIT_FLAG_KEY_BYTES);
	return s;
}

/* --- constraints --- */

static void read_constraint(struct doc_check *c, const struct doc_node *n)
{
	static const char *const keys[] = { "contextName", "operator", "values", "value", "inverted", "caseInsensitive", NULL };
	const struct doc_node   *nocase = doc_get(n, "caseInsensitive"), *values = doc_get(n, "values"), *value = doc_get(n, "value");
	int                      op;

	if (!doc_is_map(c, n, "constraint", keys))
		return;
	(void)read_name(c, doc_need(c, n, "contextName"), "contextName");
	op = doc_want_enum(c, doc_need(c, n, "operator"), "operator", operators);
	(void)doc_want_bool(c, doc_get(n, "inverted"), "inverted");
	if (doc_want_bool(c, nocase, "caseInsensitive") && op >= 0 && (op < 3 || op > OP_REGEX))
		doc_error(c, nocase, "%s compares without letters: caseInsensitive is for STR_... and REGEX", operators[op]);
	if (op < 0)
		return;
	if (op < OP_LISTS) {
		read_list(c, doc_need(c, n, "values"), "values", LIMIT_FLAG_UNLEASH_VALUES, read_text);
		if (value && !(value->kind == DOC_STR && !value->s.len))
			doc_error(c, value, "%s compares with a list: write \"values\"", operators[op]);
		return;
	}
	(void)doc_want_str(c, doc_need(c, n, "value"), "value");
	if (values && doc_is_seq(c, values, "values") && doc_len(values))
		doc_error(c, values, "%s compares with one value: write \"value\"", operators[op]);
}

static void read_constraints(struct doc_check *c, const struct doc_node *n)
{
	read_list(c, n, "constraints", LIMIT_FLAG_UNLEASH_LIST, read_constraint);
}

/* --- variants --- */

static void read_payload(struct doc_check *c, const struct doc_node *n)
{
	static const char *const keys[] = { "type", "value", NULL }, *const types[] = { "string", "csv", "number", "json", NULL };
	struct arena CLEANUP_ARENA scratch = ARENA_INIT(LIMIT_FLAG_BYTES * 64);
	struct doc_node           *parsed;
	const struct doc_node     *at;
	double                     d;
	int                        type;
	str                        value;

	if (!n || !doc_is_map(c, n, "payload", keys))
		return;
	type = doc_want_enum(c, doc_need(c, n, "type"), "type of a payload", types);
	at = doc_need(c, n, "value");
	value = doc_want_str(c, at, "value of a payload");
	if (type == 2 && value.ptr && !str_to_double(value, &d))
		doc_error(c, at, "the payload is no number");
	if (type == 3 && value.ptr && doc_parse_json(&scratch, "payload", value, &parsed, NULL))
		doc_error(c, at, "the payload is no JSON");
}

static void read_override(struct doc_check *c, const struct doc_node *n)
{
	static const char *const keys[] = { "contextName", "values", NULL };

	if (!doc_is_map(c, n, "override", keys))
		return;
	(void)read_name(c, doc_need(c, n, "contextName"), "contextName");
	read_list(c, doc_need(c, n, "values"), "values", LIMIT_FLAG_UNLEASH_VALUES, read_text);
}

static void read_variant(struct doc_check *c, const struct doc_node *n)
{
	static const char *const keys[] = { "name", "weight", "weightType", "stickiness", "payload", "overrides", NULL }, *const kinds[] = { "variable", "fix", NULL };

	if (!doc_is_map(c, n, "variant", keys))
		return;
	(void)read_name(c, doc_need(c, n, "name"), "name of a variant");
	(void)doc_want_int(c, doc_need(c, n, "weight"), "weight", 0, 1000000);
	if (doc_get(n, "weightType"))
		(void)doc_want_enum(c, doc_get(n, "weightType"), "weightType", kinds);
	(void)doc_want_str(c, doc_get(n, "stickiness"), "stickiness");
	read_payload(c, doc_get(n, "payload"));
	read_list(c, doc_get(n, "overrides"), "overrides", LIMIT_FLAG_UNLEASH_LIST, read_override);
}

/* Overrides are a feature's alone: Unleash's clients pass over those of a strategy. */
static void read_strategy_variant(struct doc_check *c, const struct doc_node *n)
{
	read_variant(c, n);
	if (doc_get(n, "overrides"))
		doc_error(c, doc_get(n, "overrides"), "the variants of a strategy have no overrides: give the strategy a constraint");
}

/* --- strategies --- */

#define ROLLOUT_KEYS "percentage", "groupId", NULL
static const struct {
	const char *name;
	const char *keys[4];
} strategies[] = {
	{ "default", { NULL } },
	{ "flexibleRollout", { "rollout", "stickiness", "groupId", NULL } },
	{ "userWithId", { "userIds", NULL } },
	{ "gradualRolloutUserId", { ROLLOUT_KEYS } },
	{ "gradualRolloutSessionId", { ROLLOUT_KEYS } },
	{ "gradualRolloutRandom", { ROLLOUT_KEYS } },
	{ "remoteAddress", { "IPs", NULL } },
	{ "applicationHostname", { "hostNames", NULL } },
};
static const char *const strategy_names[] = { "default", "flexibleRollout", "userWithId", "gradualRolloutUserId", "gradualRolloutSessionId", "gradualRolloutRandom",
											  "remoteAddress", "applicationHostname", NULL };

/* Unleash writes percentages as texts; numbers are taken, too. */
static void read_percentage(struct doc_check *c, const struct doc_node *n, const char *what)
{
	double d = -1;

	if (n && (n->kind == DOC_STR || n->kind == DOC_INT) && str_to_double(n->text, &d) && d >= 0 && d <= 100 && !(d > (double)(int)d))
		return;
	if (n)
		doc_error(c, n, "%s must be a whole number from 0 to 100", what);
}

static void read_parameters(struct doc_check *c, const struct doc_node *strategy, int kind)
{
	const struct doc_node *n = doc_get(strategy, "parameters");
	bool                   empty = !n || n->kind == DOC_NULL;

	if (!empty && !doc_is_map(c, n, "parameters", strategies[kind].keys))
		return;
	for (size_t i = 0; strategies[kind].keys[i]; i++) {
		const char            *key = strategies[kind].keys[i];
		const struct doc_node *value = empty ? NULL : doc_get(n, key);
		bool                   optional = !strcmp(key, "groupId") || !strcmp(key, "stickiness");

		if (!value && !optional)
			doc_error(c, empty ? strategy : n, "strategy %s needs the parameter '%s'", strategies[kind].name, key);
		else if (!strcmp(key, "rollout") || !strcmp(key, "percentage"))
			read_percentage(c, value, key);
		else
			(void)doc_want_str(c, value, key);
	}
}

static void read_segment_id(struct doc_check *c, const struct doc_node *n) { (void)doc_want_int(c, n, "id of a segment", 0, INT32_MAX); }

static void read_strategy(struct doc_check *c, const struct doc_node *n)
{
	static const char *const keys[] = { "name", "title", "disabled", "parameters", "constraints", "segments", "variants", NULL };
	int                      kind;

	if (!doc_is_map(c, n, "strategy", keys))
		return;
	kind = doc_want_enum(c, doc_need(c, n, "name"), "name of a strategy", strategy_names);
	(void)doc_want_str(c, doc_get(n, "title"), "title");
	(void)doc_want_bool(c, doc_get(n, "disabled"), "disabled");
	if (kind >= 0)
		read_parameters(c, n, kind);
	read_constraints(c, doc_get(n, "constraints"));
	read_list(c, doc_get(n, "segments"), "segments", LIMIT_FLAG_UNLEASH_LIST, read_segment_id);
	read_list(c, doc_get(n, "variants"), "variants", LIMIT_FLAG_VARIANTS, read_strategy_variant);
}

static void read_dependency(struct doc_check *c, const struct doc_node *n)
{
	static const char *const keys[] = { "feature", "enabled", "variants", NULL };

	if (!doc_is_map(c, n, "dependency", keys))
		return;
	(void)read_name(c, doc_need(c, n, "feature"), "feature");
	(void)doc_want_bool(c, doc_get(n, "enabled"), "enabled");
	read_list(c, doc_get(n, "variants"), "variants", LIMIT_FLAG_VARIANTS, read_text);
	if (!doc_get_bool(n, "enabled", true) && doc_len(doc_get(n, "variants")))
		doc_error(c, doc_get(n, "variants"), "a parent that must be off has no variant");
}

/* --- a flag's, a set's --- */

void flag_unleash_read(struct doc_check *c, const struct doc_node *n)
{
	static const char *const keys[] = { "strategies", "variants", "dependencies", "type", "impressionData", NULL };
	static const char *const types[] = { "release", "experiment", "operational", "kill-switch", "permission", NULL };

	if (!n || !doc_is_map(c, n, "unleash", keys))
		return;
	read_list(c, doc_need(c, n, "strategies"), "strategies", LIMIT_FLAG_UNLEASH_LIST, read_strategy);
	read_list(c, doc_get(n, "variants"), "variants", LIMIT_FLAG_VARIANTS, read_variant);
	read_list(c, doc_get(n, "dependencies"), "dependencies", LIMIT_FLAG_PREREQUISITES, read_dependency);
	if (doc_get(n, "type"))
		(void)doc_want_enum(c, doc_get(n, "type"), "type", types);
	(void)doc_want_bool(c, doc_get(n, "impressionData"), "impressionData");
}

static bool id_before(const struct doc_node *segments, size_t end, int64_t id)
{
	for (size_t i = 0; i < end; i++)
		if (doc_get_int(segments->map.pairs[i].value, "id", -1) == id)
			return true;
	return false;
}

void flag_segments_read(struct doc_check *c, const struct doc_node *n)
{
	static const char *const keys[] = { "id", "description", "constraints", NULL };

	if (!n || !doc_is_map(c, n, "segments", NULL))
		return;
	if (doc_len(n) > LIMIT_FLAG_UNLEASH_LIST) {
		doc_error(c, n, "a set has at most %d segments", LIMIT_FLAG_UNLEASH_LIST);
		return;
	}
	for (size_t i = 0; i < doc_len(n); i++) {
		const struct doc_pair *p = &n->map.pairs[i];
		int64_t                id;

		if (!flag_key_ok(p->key))
			doc_error_at(c, p->line, p->col, "the name of a segment must be 1 to %d bytes of UTF-8 without control characters", LIMIT_FLAG_KEY_BYTES);
		if (!doc_is_map(c, p->value, "segment", keys))
			continue;
		id = doc_want_int(c, doc_need(c, p->value, "id"), "id of a segment", 0, INT32_MAX);
		if (doc_get(p->value, "id") && id_before(n, i, id))
			doc_error(c, doc_get(p->value, "id"), "another segment has the id %lld", (long long)id);
		(void)doc_want_str(c, doc_get(p->value, "description"), "description");
		read_constraints(c, doc_need(c, p->value, "constraints"));
	}
}
