/* flag-def.c - the strict reader of flag definitions (see flag-def.h). Pure; any thread.
 *
 * Problems are collected with their place, reading goes on. A definition that brought problems must not be used. */
#include "base/base.h"

#include "base/limits.h"
#include "base/map.h"
#include "flag/flag-def.h"

const char *flag_type_name(enum flag_type t)
{
	static const char *const names[] = { "any", "boolean", "string", "number", "object", "integer" };

	return names[t];
}

static const char *const purposes[] = { "none", "release", "experiment", "operational", "permission", NULL };

const char *flag_purpose_name(enum flag_purpose p) { return purposes[p]; }

bool flag_key_ok(str key)
{
	if (!key.len || key.len > LIMIT_FLAG_KEY_BYTES || !str_utf8_valid(key))
		return false;
	for (size_t i = 0; i < key.len; i++)
		if ((unsigned char)key.ptr[i] < 0x20 || key.ptr[i] == 0x7f)
			return false;
	return true;
}

static void check_key(struct doc_check *c, const char *what, str key, uint32_t line, uint32_t col)
{
	if (!flag_key_ok(key))
		doc_error_at(c, line, col, "%s must be 1 to %d bytes of UTF-8 without control characters", what, LIMIT_FLAG_KEY_BYTES);
}

/* A map whose keys are the user's own. */
static bool is_open_map(struct doc_check *c, const struct doc_node *n, const char *what)
{
	return n && doc_is_map(c, n, what, NULL);
}

static void read_metadata(struct doc_check *c, const struct doc_node *n, const char *what, const struct doc_node **ret)
{
	*ret = NULL;
	if (!is_open_map(c, n, what))
		return;
	for (size_t i = 0; i < doc_len(n); i++) {
		const struct doc_pair *p = &n->map.pairs[i];

		if (p->value->kind == DOC_MAP || p->value->kind == DOC_SEQ || p->value->kind == DOC_NULL)
			doc_error(c, p->value, "%s: '%.*s' must be a text, a number or a boolean, not a %s", what, STR_ARG(str_sub(p->key, 0, 80)),
					  doc_kind_name(p->value->kind));
	}
	if (doc_len(n))
		*ret = n;
}

/* --- variants --- */

static enum flag_type type_of(const struct doc_node *n)
{
	switch (n->kind) {
	case DOC_BOOL:
		return FLAG_BOOL;
	case DOC_STR:
		return FLAG_STRING;
	case DOC_INT:
	case DOC_REAL:
		return FLAG_NUMBER;
	case DOC_MAP:
		return FLAG_OBJECT;
	default:
		return FLAG_ANY;
	}
}

static void read_variant(struct doc_check *c, const struct doc_pair *p, struct flag_def *f)
{
	enum flag_type t = type_of(p->value);

	check_key(c, "the name of a variant", p->key, p->line, p->col);
	if (t == FLAG_ANY)
		doc_error(c, p->value, "variant '%.*s' must be a boolean, a text, a number or a map, not a %s", STR_ARG(str_sub(p->key, 0, 80)),
				  doc_kind_name(p->value->kind));
	else if (f->type != FLAG_ANY && t != f->type)
		doc_error(c, p->value, "variant '%.*s' is a %s, the ones before are of type %s: all variants of a flag have one type",
				  STR_ARG(str_sub(p->key, 0, 80)), flag_type_name(t), flag_type_name(f->type));
	else
		f->type = t;
}

static void read_variants(struct doc_check *c, const struct doc_node *n, struct flag_def *f)
{
	struct flag_variant_def *v;

	if (!is_open_map(c, n, "variants"))
		return;
	if (!doc_len(n) || doc_len(n) > LIMIT_FLAG_VARIANTS) {
		doc_error(c, n, "a flag has 1 to %d variants, not %zu", LIMIT_FLAG_VARIANTS, doc_len(n));
		return;
	}
	v = ARENA_ARRAY(c->arena, doc_len(n), struct flag_variant_def);
	for (size_t i = 0; v && i < doc_len(n); i++) {
		read_variant(c, &n->map.pairs[i], f);
		v[i] = (struct flag_variant_def){ n->map.pairs[i].key, n->map.pairs[i].value };
	}
	f->variants = v;
	f->n_variants = v ? doc_len(n) : 0;
}

static int find_variant(const struct flag_def *f, str name)
{
	for (size_t i = 0; i < f->n_variants; i++)
		if (str_eq(f->variants[i].name, name))
			return (int)i;
	return -1;
}

static void no_variant(struct doc_check *c, const struct doc_node *at, const struct flag_def *f, str name)
{
	const char **names = ARENA_ARRAY(c->arena, f->n_variants + 1, const char *), *near = NULL;

	for (size_t i = 0; names && i < f->n_variants; i++)
		names[i] = f->variants[i].name.ptr;
	if (names)
		near = doc_nearest(name, names);
	doc_error(c, at, "flag '%.*s' has no variant '%.*s'%s%s%s", STR_ARG(str_sub(f->key, 0, 80)), STR_ARG(str_sub(name, 0, 80)),
			  near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
}

static void read_default(struct doc_check *c, const struct doc_node *n, struct flag_def *f)
{
	f->default_variant = -1;
	if (!n || n->kind == DOC_NULL)
		return;
	if (n->kind != DOC_STR)
		doc_error(c, n, "defaultVariant must be the name of a variant or null, not a %s", doc_kind_name(n->kind));
	else if (f->n_variants && (f->default_variant = find_variant(f, n->s)) < 0)
		no_variant(c, n, f, n->s);
}

/* --- what weir adds --- */

static usec_t read_time(struct doc_check *c, const struct doc_node *n, const char *what)
{
	str    s = doc_want_str(c, n, what);
	usec_t t = 0;

	if (s.len && !clock_parse_rfc3339(s, &t))
		doc_error(c, n, "%s must be a time such as 2027-01-31T09:00:00Z", what);
	return t;
}

/* The date is the last day. */
static usec_t read_expires(struct doc_check *c, const struct doc_node *n)
{
	str    s = doc_want_str(c, n, "expires");
	char   text[32];
	usec_t t = 0;

	if (!s.len)
		return 0;
	snprintf(text, sizeof(text), "%.*sT00:00:00Z", STR_ARG(str_sub(s, 0, 11)));
	if (s.len != 10 || !clock_parse_rfc3339(str_z(text), &t)) {
		doc_error(c, n, "expires must be a date such as 2027-03-31");
		return 0;
	}
	return t + 24 * 3600 * USEC_PER_SEC;
}

static void read_prerequisite(struct doc_check *c, const struct doc_node *n, struct flag_prerequisite_def *ret)
{
	static const char *const keys[] = { "flag", "variants", NULL };
	const struct doc_node   *list;
	str                     *names;

	if (!doc_is_map(c, n, "prerequisite", keys))
		return;
	ret->line = n->line;
	ret->col = n->col;
	ret->flag = doc_want_str(c, doc_need(c, n, "flag"), "flag of a prerequisite");
	list = doc_need(c, n, "variants");
	if (!list || !doc_is_seq(c, list, "variants of a prerequisite"))
		return;
	if (!doc_len(list))
		doc_error(c, list, "name at least one variant");
	names = ARENA_ARRAY(c->arena, doc_len(list) + 1, str);
	for (size_t i = 0; names && i < doc_len(list); i++)
		names[i] = doc_want_str(c, doc_at(list, i), "variant of a prerequisite");
	ret->variants = names;
	ret->n_variants = names ? doc_len(list) : 0;
}

static void read_prerequisites(struct doc_check *c, const struct doc_node *n, struct flag_def *f)
{
	struct flag_prerequisite_def *v;

	if (!n || !doc_is_seq(c, n, "prerequisites"))
		return;
	if (doc_len(n) > LIMIT_FLAG_PREREQUISITES) {
		doc_error(c, n, "a flag has at most %d prerequisites", LIMIT_FLAG_PREREQUISITES);
		return;
	}
	v = ARENA_ARRAY(c->arena, doc_len(n) + 1, struct flag_prerequisite_def);
	for (size_t i = 0; v && i < doc_len(n); i++)
		read_prerequisite(c, doc_at(n, i), &v[i]);
	f->prerequisites = v;
	f->n_prerequisites = v ? doc_len(n) : 0;
}

static void read_flag(struct doc_check *c, const struct doc_node *n, struct flag_def *f);

#define FLAG_KEYS "state", "variants", "defaultVariant", "targeting", "metadata", "weir"

static void read_rollout(struct doc_check *c, const struct doc_node *n, struct flag_def *f)
{
	static const char *const keys[] = { "id", "previous", "share", "salt", NULL }, *const flag_keys[] = { FLAG_KEYS, NULL };
	struct flag_rollout_def *r;
	struct flag_def         *previous;
	const struct doc_node   *was;

	if (!n || !doc_is_map(c, n, "rollout", keys) || !(r = ARENA_NEW(c->arena, struct flag_rollout_def)) || !(previous = ARENA_NEW(c->arena, struct flag_def)))
		return;
	r->id = doc_want_str(c, doc_need(c, n, "id"), "id");
	r->salt = doc_want_str(c, doc_need(c, n, "salt"), "salt");
	r->share = doc_want_num(c, doc_need(c, n, "share"), "share", 0, 1);
	was = doc_need(c, n, "previous");
	*previous = (struct flag_def){ .key = f->key, .line = n->line, .col = n->col, .default_variant = -1 };
	if (doc_get(doc_get(was, "weir"), "rollout"))
		doc_error(c, was, "previous must not be under way itself");
	else if (doc_is_map(c, was, "previous", flag_keys))
		read_flag(c, was, previous);
	r->previous = previous;
	f->rollout = r;
}

static void read_weir(struct doc_check *c, const struct doc_node *n, struct flag_def *f)
{
	static const char *const keys[] = { "owner", "purpose", "expires", "from", "until", "prerequisites", "unleash", "archived", "rollout", NULL };
	const struct doc_node   *purpose;
	int                      i;

	if (!n || !doc_is_map(c, n, "weir", keys))
		return;
	f->owner = doc_want_str(c, doc_get(n, "owner"), "owner");
	if (f->owner.len > LIMIT_FLAG_KEY_BYTES)
		doc_error(c, doc_get(n, "owner"), "owner has at most %d bytes", LIMIT_FLAG_KEY_BYTES);
	purpose = doc_get(n, "purpose");
	if (purpose && (i = doc_want_enum(c, purpose, "purpose", purposes + 1)) >= 0)
		f->purpose = (enum flag_purpose)(i + 1);
	f->expires = read_expires(c, doc_get(n, "expires"));
	f->from = read_time(c, doc_get(n, "from"), "from");
	f->until = read_time(c, doc_get(n, "until"), "until");
	if (f->from && f->until && f->until <= f->from)
		doc_error(c, doc_get(n, "until"), "until must be later than from");
	read_prerequisites(c, doc_get(n, "prerequisites"), f);
	f->unleash = doc_get(n, "unleash");
	flag_unleash_read(c, f->unleash);
	if (doc_get(n, "archived"))
		f->archived = doc_want_bool(c, doc_get(n, "archived"), "archived");
	read_rollout(c, doc_get(n, "rollout"), f);
}

/* --- a flag --- */

/* Two kinds of rules in one flag would contradict each other. */
static void refuse_flagd(struct doc_check *c, const struct doc_node *n)
{
	static const char *const keys[] = { "variants", "defaultVariant", "targeting" };

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (doc_get(n, keys[i]))
			doc_error(c, doc_get(n, keys[i]), "a flag with weir.unleash has no '%s' of its own", keys[i]);
}

static void read_flag(struct doc_check *c, const struct doc_node *n, struct flag_def *f)
{
	static const char *const states[] = { "DISABLED", "ENABLED", NULL };
	const struct doc_node   *targeting = doc_get(n, "targeting");

	f->enabled = doc_want_enum(c, doc_need(c, n, "state"), "state", states) == 1;
	read_metadata(c, doc_get(n, "metadata"), "metadata", &f->metadata);
	read_weir(c, doc_get(n, "weir"), f);
	if (f->unleash) {
		refuse_flagd(c, n);
		return;
	}
	read_variants(c, doc_need(c, n, "variants"), f);
	read_default(c, doc_get(n, "defaultVariant"), f);
	if (targeting && (targeting->kind != DOC_MAP || doc_len(targeting)))
		f->targeting = targeting;
}

void flag_def_read(struct doc_check *c, str key, uint32_t line, uint32_t col, const struct doc_node *n, struct flag_def *ret)
{
	static const char *const keys[] = { FLAG_KEYS, NULL };

	*ret = (struct flag_def){ .key = key, .line = line, .col = col, .default_variant = -1 };
	check_key(c, "the key of a flag", key, line, col);
	if (doc_is_map(c, n, "flag", keys))
		read_flag(c, n, ret);
}

/* An entry of flagd's list form. */
static void read_entry(struct doc_check *c, const struct doc_node *n, struct flag_def *ret)
{
	static const char *const keys[] = { "key", FLAG_KEYS, NULL };
	const struct doc_node   *key;

	*ret = (struct flag_def){ .line = n->line, .col = n->col, .default_variant = -1 };
	if (!doc_is_map(c, n, "flag", keys))
		return;
	key = doc_need(c, n, "key");
	ret->key = doc_want_str(c, key, "key");
	if (ret->key.ptr)
		check_key(c, "the key of a flag", ret->key, key->line, key->col);
	read_flag(c, n, ret);
}

/* --- a set --- */

static void read_flags(struct doc_check *c, const struct doc_node *n, struct flag_set_def *ret)
{
	struct flag_def *v;

	if (!n)
		return;
	if (n->kind != DOC_SEQ && !is_open_map(c, n, "flags"))
		return;
	v = ARENA_ARRAY(c->arena, doc_len(n) + 1, struct flag_def);
	for (size_t i = 0; v && i < doc_len(n); i++) {
		const struct doc_pair *p = n->kind == DOC_MAP ? &n->map.pairs[i] : NULL;

		if (p)
			flag_def_read(c, p->key, p->line, p->col, p->value, &v[i]);
		else
			read_entry(c, doc_at(n, i), &v[i]);
	}
	ret->flags = v;
	ret->n_flags = v ? doc_len(n) : 0;
}

static void read_evaluators(struct doc_check *c, const struct doc_node *n, struct flag_set_def *ret)
{
	if (!is_open_map(c, n, "$evaluators"))
		return;
	ret->evaluators = n;
	for (size_t i = 0; i < doc_len(n); i++) {
		check_key(c, "the name of an evaluator", n->map.pairs[i].key, n->map.pairs[i].line, n->map.pairs[i].col);
		flag_rule_check(c, n->map.pairs[i].value, n);
	}
}

/* The list form allows a key to be written twice; JSON's own duplicates are refused before. */
static void check_twice(struct doc_check *c, const struct flag_set_def *s)
{
	struct map seen;

	map_init(&seen);
	for (size_t i = 0; i < s->n_flags; i++) {
		struct flag_def *f = &s->flags[i];

		if (map_has(&seen, f->key))
			doc_error_at(c, f->line, f->col, "flag '%.*s' is there twice", STR_ARG(str_sub(f->key, 0, 80)));
		else if (f->key.len && !map_put(&seen, f->key, f, NULL))
			doc_error_at(c, f->line, f->col, "no memory to look at so many flags");
	}
	map_fini(&seen);
}

const char *const flag_bucketings[] = { "v1", "v2", "v3", NULL };

void flag_head_read(struct doc_check *c, const struct doc_node *evaluators, const struct doc_node *metadata, const struct doc_node *segments,
					struct flag_set_def *ret)
{
	flag_segments_read(c, segments);
	ret->segments = doc_len(segments) ? segments : NULL;
	read_metadata(c, metadata, "metadata", &ret->metadata);
	if (ret->metadata && doc_get(ret->metadata, "flagSetId"))
		(void)doc_want_str(c, doc_get(ret->metadata, "flagSetId"), "flagSetId");
	if (ret->metadata && doc_get(ret->metadata, "bucketing"))
		(void)doc_want_enum(c, doc_get(ret->metadata, "bucketing"), "bucketing", flag_bucketings);
	read_evaluators(c, evaluators, ret);
}

void flag_set_def_read(struct doc_check *c, const struct doc_node *root, struct flag_set_def *ret)
{
	static const char *const keys[] = { "$schema", "flags", "$evaluators", "metadata", "weir", NULL }, *const own[] = { "segments", NULL };

	*ret = (struct flag_set_def){ 0 };
	if (!doc_is_map(c, root, "the document", keys))
		return;
	if (doc_get(root, "$schema"))
		(void)doc_want_str(c, doc_get(root, "$schema"), "$schema");
	if (doc_get(root, "weir"))
		(void)doc_is_map(c, doc_get(root, "weir"), "weir", own);
	flag_head_read(c, doc_get(root, "$evaluators"), doc_get(root, "metadata"), doc_path(root, "weir.segments"), ret);
	read_flags(c, doc_need(c, root, "flags"), ret);
	for (size_t i = 0; i < ret->n_flags; i++)
		flag_rule_check(c, ret->flags[i].targeting, ret->evaluators);
	check_twice(c, ret);
}
