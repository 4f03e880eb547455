/* unleash-give.c - flags as Unleash's own clients take them (see unleash-give.h). Pure; any thread.
 *
 * What is written is what Unleash's server sends: strategies without their titles and ids, those that are switched off left away, parameters as texts.
 * A feature whose strategies are all switched off is given as switched off: without strategies it would be on for everybody. */
#include "base/base.h"

#include "base/limits.h"
#include "flag/unleash-give.h"

enum { DEPTH_MAX = 4 }; /* of parents looked at; chains satisfy nobody anyway */

/* While a change is rolled out, clients that evaluate themselves, and know nothing of its arms, get the flag as it was. */
static const struct flag *settled(const struct flag *f) { return f->arms ? f->arms->stable : f; }

const struct doc_node *unleash_def(struct arena *a, const struct flag *f)
{
	struct doc_node *n = NULL;
	struct err       e = { 0 };

	if (doc_parse_json(a, "flag", f->text, &n, &e) || n->kind != DOC_MAP)
		return NULL;
	return f->arms ? doc_path(n, "weir.rollout.previous") : n;
}

const struct doc_node *unleash_part(const struct doc_node *def) { return doc_path(def, "weir.unleash"); }

const struct doc_node *unleash_segments(struct arena *a, const struct flag_set_head *h)
{
	struct doc_node *n = NULL;
	struct err       e = { 0 };

	return h->segments.len && !doc_parse_json(a, "segments", h->segments, &n, &e) ? n : NULL;
}

/* --- what is left out --- */

static const char *left_out(struct arena *a, const struct flag_set *s, const struct flag *f, const struct doc_node *def, int depth);

static const char *parent_left_out(struct arena *a, const struct flag_set *s, const struct doc_node *unleash, int depth)
{
	const struct doc_node *list = doc_get(unleash, "dependencies");

	for (size_t i = 0; i < doc_len(list); i++) {
		str                    name = doc_get_str(doc_at(list, i), "feature");
		const struct flag     *parent = name.ptr ? flag_set_find(s, name) : NULL;
		const struct doc_node *def = parent ? unleash_def(a, parent) : NULL;
		const char            *why = def && depth < DEPTH_MAX ? left_out(a, s, parent, def, depth + 1) : NULL;

		if (why)
			return arena_printf(a, "it depends on '%.*s', which is left out itself: %s", STR_ARG(str_sub(name, 0, 100)), why);
	}
	return NULL;
}

static const char *left_out(struct arena *a, const struct flag_set *s, const struct flag *f, const struct doc_node *def, int depth)
{
	const struct doc_node *unleash = unleash_part(def);

	f = settled(f);
	if (f->archived)
		return "it is archived";
	if (f->broken)
		return arena_printf(a, "it cannot be evaluated: %s", f->broken);
	if (f->from || f->until)
		return "it is on only for a time (from, until), which Unleash's features do not have";
	if (f->n_prerequisites)
		return "its prerequisites may form chains, which Unleash's clients do not follow";
	if (unleash)
		return parent_left_out(a, s, unleash, depth);
	if (!f->enabled)
		return NULL;
	if (f->rule)
		return "its targeting is a rule of flagd, which Unleash's clients cannot evaluate (fractional uses another hash)";
	if (f->default_variant < 0)
		return "it has no default variant: the caller's own default counts, which Unleash's clients use for features that are not there";
	return NULL;
}

const char *unleash_left_out(struct arena *a, const struct flag_set *s, const struct flag *f, const struct doc_node *def)
{
	return def ? left_out(a, s, f, def, 0) : "its definition cannot be read";
}

/* --- what is asked for --- */

static bool has_tag(const struct doc_node *def, str wanted)
{
	str left = doc_get_str(doc_get(def, "metadata"), "tags"), one;

	for (bool more = left.len > 0; more;) {
		more = str_cut(left, ',', &one, &left);
		if (str_eq(str_trim(one), wanted))
			return true;
	}
	return false;
}

bool unleash_wanted(const struct unleash_query *q, const struct flag *f, const struct doc_node *def)
{
	if (!str_has_prefix(f->key, q->prefix))
		return false;
	for (size_t i = 0; i < q->n_tags; i++)
		if (has_tag(def, q->tags[i]))
			return true;
	return !q->n_tags;
}

/* --- writing --- */

/* Unleash's parameters are texts; numbers and booleans are written as people typed them. */
static void write_parameters(struct jw *w, const struct doc_node *n)
{
	jw_key(w, "parameters");
	jw_obj(w);
	for (size_t i = 0; i < doc_len(n); i++) {
		const struct doc_node *v = n->map.pairs[i].value;

		if (v->kind == DOC_NULL)
			continue;
		jw_key_n(w, n->map.pairs[i].key);
		if (v->kind == DOC_SEQ || v->kind == DOC_MAP)
			jw_node(w, v);
		else
			jw_str(w, v->kind == DOC_STR ? v->s : v->text);
	}
	jw_end(w);
}

static void write_list(struct jw *w, const struct doc_node *list)
{
	for (size_t i = 0; i < doc_len(list); i++)
		jw_node(w, doc_at(list, i));
}

static const struct doc_node *segment_by_id(const struct doc_node *segments, int64_t id)
{
	for (size_t i = 0; i < doc_len(segments); i++)
		if (doc_get_int(segments->map.pairs[i].value, "id", -1) == id)
			return segments->map.pairs[i].value;
	return NULL;
}

/* A constraint that nothing meets: a segment that is not there is met by nobody. */
static void write_never(struct jw *w)
{
	jw_obj(w);
	jw_kstrz(w, "contextName", "userId");
	jw_kstrz(w, "operator", "IN");
	jw_key(w, "values");
	jw_arr(w);
	jw_end(w);
	jw_end(w);
}

static void write_constraints(struct jw *w, const struct doc_node *strategy, const struct doc_node *segments, bool inlined)
{
	const struct doc_node *ids = doc_get(strategy, "segments");

	jw_key(w, "constraints");
	jw_arr(w);
	write_list(w, doc_get(strategy, "constraints"));
	for (size_t i = 0; inlined && i < doc_len(ids); i++) {
		const struct doc_node *id = doc_at(ids, i), *segment = id->kind == DOC_INT ? segment_by_id(segments, id->i) : NULL;

		if (segment)
			write_list(w, doc_get(segment, "constraints"));
		else
			write_never(w);
	}
	jw_end(w);
	if (ids && !inlined) {
		jw_key(w, "segments");
		jw_node(w, ids);
	}
}

static void write_strategy(struct jw *w, const struct doc_node *s, const struct doc_node *segments, bool inlined)
{
	jw_obj(w);
	jw_kstr(w, "name", doc_get_str(s, "name"));
	write_parameters(w, doc_get(s, "parameters"));
	write_constraints(w, s, segments, inlined);
	jw_key(w, "variants");
	jw_arr(w);
	write_list(w, doc_get(s, "variants"));
	jw_end(w);
	jw_end(w);
}

/* Returns how many are given; nothing is written into a NULL w. */
static size_t write_strategies(struct jw *w, const struct doc_node *list, const struct doc_node *segments, bool inlined)
{
	size_t n = 0;

	for (size_t i = 0; i < doc_len(list); i++) {
		if (doc_get_bool(doc_at(list, i), "disabled", false))
			continue;
		n++;
		if (w)
			write_strategy(w, doc_at(list, i), segments, inlined);
	}
	return n;
}

static void write_unleash(struct jw *w, const struct flag *f, const struct doc_node *u, const struct doc_node *segments, bool inlined)
{
	const struct doc_node *list = doc_get(u, "strategies");
	bool                   none_left = doc_len(list) && !write_strategies(NULL, list, segments, inlined);

	jw_kbool(w, "enabled", f->enabled && !none_left);
	jw_key(w, "strategies");
	jw_arr(w);
	(void)write_strategies(w, list, segments, inlined);
	jw_end(w);
	jw_key(w, "variants");
	jw_arr(w);
	write_list(w, doc_get(u, "variants"));
	jw_end(w);
	if (doc_len(doc_get(u, "dependencies"))) {
		jw_key(w, "dependencies");
		jw_node(w, doc_get(u, "dependencies"));
	}
}

static void write_payload(struct jw *w, enum flag_type type, const struct flag_variant *v, struct arena *a)
{
	struct doc_node *n = NULL;
	struct err       e = { 0 };

	jw_obj(w);
	jw_kstrz(w, "type", type == FLAG_OBJECT ? "json" : type == FLAG_NUMBER ? "number" : "string");
	if (type == FLAG_STRING && !doc_parse_json(a, "value", v->json, &n, &e) && n->kind == DOC_STR)
		jw_kstr(w, "value", n->s);
	else
		jw_kstr(w, "value", v->json);
	jw_end(w);
}

/* A flag of flagd's kind without a rule: on with its one variant, off where that is false. */
static void write_flagd(struct jw *w, const struct flag *f, struct arena *a)
{
	const struct flag_variant *v = f->default_variant < 0 ? NULL : &f->variants[f->default_variant];
	bool                       on = f->enabled && v && !(f->type == FLAG_BOOL && str_eqz(v->json, "false"));

	jw_kbool(w, "enabled", on);
	jw_key(w, "strategies");
	jw_arr(w);
	if (on) {
		jw_obj(w);
		jw_kstrz(w, "name", "default");
		write_parameters(w, NULL);
		jw_key(w, "constraints");
		jw_arr(w);
		jw_end(w);
		jw_end(w);
	}
	jw_end(w);
	jw_key(w, "variants");
	jw_arr(w);
	if (on) {
		jw_obj(w);
		jw_kstr(w, "name", v->name);
		jw_kint(w, "weight", 1000);
		jw_kstrz(w, "stickiness", "default");
		jw_key(w, "payload");
		write_payload(w, f->type, v, a);
		jw_end(w);
	}
	jw_end(w);
}

void unleash_write_feature(struct jw *w, str project, const struct flag *f, const struct doc_node *def, const struct doc_node *segments, bool inlined)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(4 * LIMIT_FLAG_BYTES);
	const struct doc_node     *u = unleash_part(def);
	str                        type = doc_get_str(u, "type"), description = doc_get_str(doc_get(def, "metadata"), "description");

	f = settled(f);
	jw_obj(w);
	jw_kstr(w, "name", f->key);
	jw_kstr(w, "type", type.len ? type : f->purpose ? str_z(flag_purpose_name(f->purpose)) : STR("release"));
	if (description.len)
		jw_kstr(w, "description", description);
	jw_kstr(w, "project", project);
	jw_kbool(w, "stale", doc_get_bool(doc_get(def, "metadata"), "stale", false));
	jw_kbool(w, "impressionData", doc_get_bool(u, "impressionData", false));
	if (u)
		write_unleash(w, f, u, segments, inlined);
	else
		write_flagd(w, f, &a);
	jw_end(w);
}

void unleash_write_segment(struct jw *w, str name, const struct doc_node *segment)
{
	jw_obj(w);
	jw_kint(w, "id", doc_get_int(segment, "id", 0));
	jw_kstr(w, "name", name);
	jw_key(w, "constraints");
	jw_arr(w);
	write_list(w, doc_get(segment, "constraints"));
	jw_end(w);
	jw_end(w);
}

void unleash_write_segments(struct jw *w, const struct doc_node *segments)
{
	jw_arr(w);
	for (size_t i = 0; i < doc_len(segments); i++)
		unleash_write_segment(w, segments->map.pairs[i].key, segments->map.pairs[i].value);
	jw_end(w);
}
