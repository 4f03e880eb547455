/* unleash-import.c - Unleash's exports as flags of weir (see unleash-import.h). Pure; one thread.
 *
 * A feature becomes a definition with weir.unleash, which is then read as strictly as any other: what weir would refuse is left out with that reason, so
 * that one strange feature does not keep the others from being taken over. Facts of the shapes: Unleash/unleash, src/lib/features/export-import-toggles and
 * (before 6.0) its state service. */
#include "base/base.h"

#include "base/limits.h"
#include "base/map.h"
#include "base/vec.h"
#include "flag/flag-def.h"
#include "flag/unleash-import.h"

#include <stdarg.h>

enum { NOTES_MAX = 5000, NOTE_BYTES = 600 };

struct item { /* one feature of the file */
	const struct doc_node *n;
	str                    name, json;
	const struct doc_node *dependencies; /* NULL: none */
	const char            *out;          /* why it is left out; NULL: it is taken over */
};
struct import {
	struct arena          *a;
	const struct doc_node *doc, *segments; /* segments: a list with their constraints; NULL: none */
	str                    environment;    /* empty: the file does not tell environments apart */
	struct item           *items;
	size_t                 n_items;
	struct map             by_name;  /* struct item by name */
	struct map             used;     /* ids of segments that are needed */
	struct map             said;     /* kinds of notes that are made once */
	VEC(const char *)      notes;
	bool                   no_memory;
};

/* --- notes --- */

static void PRINTF(2, 3) note(struct import *m, const char *fmt, ...)
{
	char    text[NOTE_BYTES];
	va_list ap;

	if (m->notes.n >= NOTES_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (m->notes.n == NOTES_MAX - 1)
		snprintf(text, sizeof(text), "and more that is not listed");
	m->no_memory = m->no_memory || !VEC_PUSH(&m->notes, arena_dupz(m->a, text));
}

/* True at the first time for this kind of note. */
static bool once(struct import *m, const char *kind, str what)
{
	char *key = arena_printf(m->a, "%s %.*s", kind, STR_ARG(str_sub(what, 0, 200)));

	if (!key || map_has(&m->said, str_z(key)))
		return false;
	m->no_memory = m->no_memory || !map_put(&m->said, str_z(key), m, NULL);
	return true;
}

static void PRINTF(3, 4) leave_out(struct import *m, struct item *it, const char *fmt, ...)
{
	char    text[NOTE_BYTES];
	va_list ap;

	if (it->out)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	it->out = arena_dupz(m->a, text);
}

/* --- environments --- */

static const struct doc_node *list_of(const struct doc_node *doc, const char *key)
{
	const struct doc_node *n = doc_get(doc, key);

	return n && n->kind == DOC_SEQ ? n : NULL;
}

static bool of_environment(const struct import *m, const struct doc_node *n)
{
	str e = doc_get_str(n, "environment");

	return !e.len || !m->environment.len || str_eq(e, m->environment);
}

/* Collects the names of environments that entries of a list carry. */
static void environments_in(struct import *m, const char *list, struct map *seen)
{
	const struct doc_node *n = list_of(m->doc, list);

	for (size_t i = 0; i < doc_len(n); i++) {
		str e = doc_get_str(doc_at(n, i), "environment");

		if (e.len && !map_has(seen, e))
			m->no_memory = m->no_memory || !map_put(seen, e, m, NULL);
	}
}

static void join(const struct map *names, struct buf *out)
{
	for (struct map_entry *e = map_next(names, NULL); e; e = map_next(names, e))
		buf_addf(out, "%s%.100s", out->len ? ", " : "", e->key);
}

static int choose_environment(struct import *m, const char *wanted, struct err *reterr)
{
	struct buf CLEANUP_BUF known = BUF_INIT(4096);
	struct map             seen;
	int                    rc = 0;

	map_init(&seen);
	environments_in(m, "featureEnvironments", &seen);
	environments_in(m, "featureStrategies", &seen);
	join(&seen, &known);
	if (wanted && map_count(&seen) && !map_has(&seen, str_z(wanted)))
		rc = err_set(reterr, WEIR_EINVAL, "the export has no environment '%.100s'; it has: %.400s", wanted, buf_z(&known));
	else if (!wanted && map_count(&seen) > 1)
		rc = err_set(reterr, WEIR_EINVAL, "the export has several environments: %.400s; choose one with --environment", buf_z(&known));
	else if (map_count(&seen))
		m->environment = arena_str(m->a, wanted ? str_z(wanted) : str_z(map_next(&seen, NULL)->key));
	else if (wanted)
		note(m, "the file does not say which environment it is of: it is taken for that of '%.100s'", wanted);
	map_fini(&seen);
	return rc;
}

/* --- segments --- */

static const struct doc_node *segment(const struct import *m, int64_t id)
{
	for (size_t i = 0; i < doc_len(m->segments); i++)
		if (doc_get_int(doc_at(m->segments, i), "id", -1) == id)
			return doc_at(m->segments, i);
	return NULL;
}

static str segment_name(const struct import *m, int64_t id)
{
	const struct doc_node *names = list_of(m->doc, "segments");

	for (size_t i = 0; i < doc_len(names); i++)
		if (doc_get_int(doc_at(names, i), "id", -1) == id)
			return doc_get_str(doc_at(names, i), "name");
	return STR_NULL;
}

static void need_segment(struct import *m, struct item *it, int64_t id)
{
	char *key = arena_printf(m->a, "%lld", (long long)id);
	str   name = segment_name(m, id);

	if (!doc_get(segment(m, id), "constraints"))
		leave_out(m, it, "it needs the segment %lld%s%.*s%s, whose constraints the file does not have: get them from /api/admin/segments of Unleash and give that "
						 "file with --segments", (long long)id, name.len ? " (" : "", STR_ARG(str_sub(name, 0, 100)), name.len ? ")" : "");
	else if (key && !map_has(&m->used, str_z(key)))
		m->no_memory = m->no_memory || !map_put(&m->used, str_z(key), (void *)(uintptr_t)segment(m, id), NULL);
}

/* --- constraints --- */

static bool takes_list(str op)
{
	return str_eqz(op, "IN") || str_eqz(op, "NOT_IN") || str_eqz(op, "IN_CIDR") || str_has_prefix(op, STR("STR_"));
}

static void write_text(struct jw *w, const struct doc_node *n)
{
	if (n->kind == DOC_BOOL || n->kind == DOC_INT || n->kind == DOC_REAL)
		jw_str(w, n->text);
	else
		jw_node(w, n);
}

/* Unleash writes both "values" and "value" and caseInsensitive with every operator; those that mean nothing are left away. */
static void write_constraint(struct jw *w, const struct doc_node *n)
{
	str                    op = doc_get_str(n, "operator");
	const struct doc_node *value = doc_get(n, "value"), *values = doc_get(n, "values");

	jw_obj(w);
	jw_kstr(w, "contextName", doc_get_str(n, "contextName"));
	jw_kstr(w, "operator", op);
	if (takes_list(op)) {
		jw_key(w, "values");
		jw_arr(w);
		for (size_t i = 0; i < doc_len(values); i++)
			write_text(w, doc_at(values, i));
		jw_end(w);
	} else if (value) {
		jw_key(w, "value");
		write_text(w, value);
	}
	if (doc_get_bool(n, "inverted", false))
		jw_kbool(w, "inverted", true);
	if (doc_get_bool(n, "caseInsensitive", false) && (str_has_prefix(op, STR("STR_")) || str_eqz(op, "REGEX")))
		jw_kbool(w, "caseInsensitive", true);
	jw_end(w);
}

static void write_constraints(struct jw *w, const struct doc_node *list)
{
	jw_key(w, "constraints");
	jw_arr(w);
	for (size_t i = 0; i < doc_len(list); i++)
		write_constraint(w, doc_at(list, i));
	jw_end(w);
}

/* --- variants --- */

static void copy_key(struct jw *w, const struct doc_node *n, const char *key)
{
	const struct doc_node *v = doc_get(n, key);

	if (!v || v->kind == DOC_NULL)
		return;
	jw_key(w, key);
	jw_node(w, v);
}

static void write_payload(struct jw *w, const struct doc_node *p)
{
	if (!p || p->kind != DOC_MAP)
		return;
	jw_key(w, "payload");
	jw_obj(w);
	copy_key(w, p, "type");
	if (doc_get(p, "value")) {
		jw_key(w, "value");
		write_text(w, doc_get(p, "value"));
	}
	jw_end(w);
}

static void write_variants(struct jw *w, const struct doc_node *list, bool with_overrides)
{
	if (!doc_len(list))
		return;
	jw_key(w, "variants");
	jw_arr(w);
	for (size_t i = 0; i < doc_len(list); i++) {
		const struct doc_node *v = doc_at(list, i);

		jw_obj(w);
		copy_key(w, v, "name");
		copy_key(w, v, "weight");
		copy_key(w, v, "weightType");
		copy_key(w, v, "stickiness");
		write_payload(w, doc_get(v, "payload"));
		if (with_overrides && doc_len(doc_get(v, "overrides")))
			copy_key(w, v, "overrides");
		jw_end(w);
	}
	jw_end(w);
}

/* --- strategies --- */

static str strategy_name(const struct doc_node *s)
{
	str name = doc_get_str(s, "name");

	return name.len ? name : doc_get_str(s, "strategyName");
}

static void write_parameters(struct jw *w, const struct doc_node *n)
{
	jw_key(w, "parameters");
	jw_obj(w);
	for (size_t i = 0; i < doc_len(n); i++)
		if (n->map.pairs[i].value->kind != DOC_NULL) {
			jw_key_n(w, n->map.pairs[i].key);
			write_text(w, n->map.pairs[i].value);
		}
	jw_end(w);
}

static void add_segment(struct import *m, struct item *it, struct jw *w, bool *begun, int64_t id)
{
	if (!*begun) {
		jw_key(w, "segments");
		jw_arr(w);
		*begun = true;
	}
	jw_int(w, id);
	need_segment(m, it, id);
}

/* Ids stand in the strategy, or (older exports) in a list of pairs. */
static void write_segment_ids(struct import *m, struct item *it, struct jw *w, const struct doc_node *s)
{
	const struct doc_node *own = doc_get(s, "segments"), *pairs = list_of(m->doc, "featureStrategySegments");
	str                    id = doc_get_str(s, "id");
	bool                   begun = false;

	for (size_t i = 0; i < doc_len(own); i++)
		if (doc_at(own, i)->kind == DOC_INT)
			add_segment(m, it, w, &begun, doc_at(own, i)->i);
	for (size_t i = 0; id.len && i < doc_len(pairs); i++)
		if (str_eq(doc_get_str(doc_at(pairs, i), "featureStrategyId"), id))
			add_segment(m, it, w, &begun, doc_get_int(doc_at(pairs, i), "segmentId", -1));
	if (begun)
		jw_end(w);
}

static void write_strategy(struct import *m, struct item *it, struct jw *w, const struct doc_node *s)
{
	static const char *const known[] = { "default", "flexibleRollout", "userWithId", "gradualRolloutUserId", "gradualRolloutSessionId", "gradualRolloutRandom",
										 "remoteAddress", "applicationHostname" };
	str                      name = strategy_name(s), title = doc_get_str(s, "title");
	bool                     found = false;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		found = found || str_eqz(name, known[i]);
	if (!found)
		leave_out(m, it, "its strategy '%.*s' is not one of Unleash's own: only the applications know what it means", STR_ARG(str_sub(name, 0, 100)));
	jw_obj(w);
	jw_kstr(w, "name", name);
	if (title.len)
		jw_kstr(w, "title", title);
	if (doc_get_bool(s, "disabled", false))
		jw_kbool(w, "disabled", true);
	write_parameters(w, doc_get(s, "parameters"));
	write_constraints(w, doc_get(s, "constraints"));
	write_segment_ids(m, it, w, s);
	write_variants(w, doc_get(s, "variants"), false);
	jw_end(w);
}

static int by_order(const void *pa, const void *pb)
{
	int64_t a = doc_get_int(*(const struct doc_node *const *)pa, "sortOrder", 9999), b = doc_get_int(*(const struct doc_node *const *)pb, "sortOrder", 9999);

	return a < b ? -1 : a > b;
}

static void write_strategies(struct import *m, struct item *it, struct jw *w)
{
	const struct doc_node  *own = list_of(it->n, "strategies"), *all = own ? own : list_of(m->doc, "featureStrategies");
	const struct doc_node **v = ARENA_ARRAY(m->a, doc_len(all) + 1, const struct doc_node *);
	size_t                  n = 0;

	for (size_t i = 0; v && i < doc_len(all); i++)
		if (own || (str_eq(doc_get_str(doc_at(all, i), "featureName"), it->name) && of_environment(m, doc_at(all, i))))
			v[n++] = doc_at(all, i);
	if (v && !own)
		qsort(v, n, sizeof(*v), by_order);
	jw_key(w, "strategies");
	jw_arr(w);
	for (size_t i = 0; i < n; i++)
		write_strategy(m, it, w, v[i]);
	jw_end(w);
}

/* --- a feature --- */

/* What the feature is in the chosen environment; NULL: the file says it in the feature itself, or not at all. */
static const struct doc_node *environment_of(const struct import *m, const struct item *it)
{
	const struct doc_node *all = list_of(m->doc, "featureEnvironments");

	for (size_t i = 0; i < doc_len(all); i++)
		if (str_eq(doc_get_str(doc_at(all, i), "featureName"), it->name) && of_environment(m, doc_at(all, i)))
			return doc_at(all, i);
	return NULL;
}

static const struct doc_node *dependencies_of(const struct import *m, const struct item *it)
{
	const struct doc_node *own = list_of(it->n, "dependencies"), *all = list_of(m->doc, "dependencies");

	for (size_t i = 0; !own && i < doc_len(all); i++)
		if (str_eq(doc_get_str(doc_at(all, i), "feature"), it->name))
			own = list_of(doc_at(all, i), "dependencies");
	return doc_len(own) ? own : NULL;
}

static void write_dependencies(struct jw *w, const struct doc_node *list)
{
	if (!list)
		return;
	jw_key(w, "dependencies");
	jw_arr(w);
	for (size_t i = 0; i < doc_len(list); i++) {
		const struct doc_node *d = doc_at(list, i);
		bool                   on = doc_get_bool(d, "enabled", true);

		jw_obj(w);
		copy_key(w, d, "feature");
		if (!on)
			jw_kbool(w, "enabled", false);
		else if (doc_len(doc_get(d, "variants")))
			copy_key(w, d, "variants");
		jw_end(w);
	}
	jw_end(w);
}

/* "type:value, type:value" */
static void collect_tags(struct import *m, const struct item *it, struct buf *out)
{
	const struct doc_node *all = list_of(m->doc, "featureTags");

	for (size_t i = 0; i < doc_len(all); i++) {
		const struct doc_node *t = doc_at(all, i);
		str                    type = doc_get_str(t, "tagType"), value = doc_get_str(t, "tagValue");

		if (!str_eq(doc_get_str(t, "featureName"), it->name))
			continue;
		if (str_contains(type, STR(",")) || str_contains(value, STR(",")) || !type.len)
			note(m, "%.*s: a tag with a comma is not taken over", STR_ARG(str_sub(it->name, 0, 200)));
		else
			buf_addf(out, "%s%.*s:%.*s", out->len ? ", " : "", STR_ARG(type), STR_ARG(value));
	}
}

static void write_metadata(struct import *m, const struct item *it, struct jw *w)
{
	struct buf CLEANUP_BUF tags = BUF_INIT(LIMIT_FLAG_BYTES);
	str                    description = doc_get_str(it->n, "description");
	bool                   stale = doc_get_bool(it->n, "stale", false);

	collect_tags(m, it, &tags);
	if (!description.len && !tags.len && !stale)
		return;
	jw_key(w, "metadata");
	jw_obj(w);
	if (description.len)
		jw_kstr(w, "description", description);
	if (tags.len)
		jw_kstr(w, "tags", buf_str(&tags));
	if (stale)
		jw_kbool(w, "stale", true);
	jw_end(w);
}

static void write_type(struct import *m, const struct item *it, struct jw *w)
{
	static const char *const known[] = { "release", "experiment", "operational", "kill-switch", "permission" };
	str                      type = doc_get_str(it->n, "type");

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (str_eqz(type, known[i])) {
			jw_kstr(w, "type", type);
			return;
		}
	if (type.len && once(m, "type", type))
		note(m, "the type '%.*s' of features is not one of Unleash's own and is not taken over", STR_ARG(str_sub(type, 0, 100)));
}

static void write_definition(struct import *m, struct item *it, struct jw *w)
{
	const struct doc_node *e = environment_of(m, it);
	bool                   split = list_of(m->doc, "featureEnvironments") != NULL, on = split ? doc_get_bool(e, "enabled", false) : doc_get_bool(it->n, "enabled", true);

	if (split && !e)
		note(m, "%.*s: the file does not say whether it is on in this environment: it is taken over switched off", STR_ARG(str_sub(it->name, 0, 200)));
	jw_obj(w);
	jw_kstrz(w, "state", on ? "ENABLED" : "DISABLED");
	write_metadata(m, it, w);
	jw_key(w, "weir");
	jw_obj(w);
	jw_key(w, "unleash");
	jw_obj(w);
	write_type(m, it, w);
	write_strategies(m, it, w);
	write_variants(w, doc_len(doc_get(e, "variants")) ? doc_get(e, "variants") : doc_get(it->n, "variants"), true);
	it->dependencies = dependencies_of(m, it);
	write_dependencies(w, it->dependencies);
	if (doc_get_bool(it->n, "impressionData", false))
		jw_kbool(w, "impressionData", true);
	jw_end(w);
	jw_end(w);
	jw_end(w);
}

/* As strictly as weir reads every definition. */
static void check_definition(struct import *m, struct item *it)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(64 << 20);
	struct doc_node           *n;
	struct doc_check           c;
	struct flag_def            d;
	struct err                 e = { 0 };

	if (it->json.len > LIMIT_FLAG_BYTES) {
		leave_out(m, it, "its definition has more than %d bytes", LIMIT_FLAG_BYTES);
		return;
	}
	doc_check_init(&c, &a, "definition");
	if (!doc_parse_json(&a, "definition", it->json, &n, &e)) {
		flag_def_read(&c, it->name, 1, 1, n, &d);
		if (!doc_check_result(&c, &e))
			return;
	}
	leave_out(m, it, "weir would refuse it: %.400s", e.msg);
}

static void take_feature(struct import *m, struct item *it)
{
	struct buf CLEANUP_BUF json = BUF_INIT(LIMIT_DOC_BYTES);
	struct jw              w;

	if (it->n->kind != DOC_MAP || !flag_key_ok(it->name)) {
		leave_out(m, it, "its name is none that weir has: 1 to %d bytes of UTF-8 without control characters", LIMIT_FLAG_KEY_BYTES);
		return;
	}
	if (doc_get_bool(it->n, "archived", false) || doc_get_str(it->n, "archivedAt").len) {
		leave_out(m, it, "it is archived");
		return;
	}
	jw_init(&w, &json);
	write_definition(m, it, &w);
	it->json = arena_str(m->a, buf_str(&json));
	if (json.failed)
		leave_out(m, it, "it is too large");
	else
		check_definition(m, it);
}

/* --- all features --- */

static void take_features(struct import *m)
{
	const struct doc_node *all = list_of(m->doc, "features");

	m->items = ARENA_ARRAY(m->a, doc_len(all) + 1, struct item);
	for (size_t i = 0; m->items && i < doc_len(all); i++) {
		struct item *it = &m->items[m->n_items++];

		*it = (struct item){ .n = doc_at(all, i), .name = doc_get_str(doc_at(all, i), "name") };
		if (it->name.len && map_has(&m->by_name, it->name))
			leave_out(m, it, "the file has it twice; the first one is taken over");
		else
			m->no_memory = m->no_memory || (it->name.len && !map_put(&m->by_name, it->name, it, NULL));
		if (!it->out)
			take_feature(m, it);
	}
}

static void check_parent(struct import *m, struct item *it, str name)
{
	const struct item *parent = map_get(&m->by_name, name);

	if (!parent)
		leave_out(m, it, "it depends on '%.*s', which the file does not have", STR_ARG(str_sub(name, 0, 200)));
	else if (parent->out)
		leave_out(m, it, "it depends on '%.*s', which is left out", STR_ARG(str_sub(name, 0, 200)));
	else if (parent->dependencies)
		leave_out(m, it, "it depends on '%.*s', which depends on others itself: in Unleash it is never on", STR_ARG(str_sub(name, 0, 200)));
}

/* Who is left out takes its children along: until nothing changes any more. */
static void check_parents(struct import *m)
{
	for (bool changed = true; changed;) {
		changed = false;
		for (size_t i = 0; i < m->n_items; i++) {
			struct item *it = &m->items[i];
			bool         had = it->out != NULL;

			for (size_t j = 0; !it->out && j < doc_len(it->dependencies); j++)
				check_parent(m, it, doc_get_str(doc_at(it->dependencies, j), "feature"));
			changed = changed || (!had && it->out);
		}
	}
}

/* --- what has no place --- */

static void say_rest(struct import *m)
{
	static const struct {
		const char *key, *why; /* why NULL: it is used, or says nothing that matters */
	} parts[] = {
		{ "version", NULL }, { "features", NULL }, { "featureStrategies", NULL }, { "featureEnvironments", NULL }, { "segments", NULL },
		{ "featureStrategySegments", NULL }, { "featureTags", NULL }, { "dependencies", NULL }, { "query", NULL }, { "meta", NULL },
		{ "contextFields", "weir takes any context field; legal values are not checked" },
		{ "tagTypes", "tags are kept as texts (metadata.tags)" },
		{ "tags", "tags are taken over with the features that have them" },
		{ "links", "links to features have no place" },
		{ "projects", "a set belongs to one project of weir" },
		{ "environments", "a set is one environment: import each into a set of its own" },
		{ "strategies", "custom strategies are code of the applications" },
	};

	for (size_t i = 0; i < doc_len(m->doc); i++) {
		const struct doc_pair *p = &m->doc->map.pairs[i];
		size_t                 k = 0;

		while (k < ARRAY_SIZE(parts) && !str_eqz(p->key, parts[k].key))
			k++;
		if (k == ARRAY_SIZE(parts))
			note(m, "the part '%.*s' is not known and not taken over", STR_ARG(str_sub(p->key, 0, 100)));
		else if (parts[k].why && doc_len(p->value))
			note(m, "%s: not taken over; %s", parts[k].key, parts[k].why);
	}
}

static void say_projects(struct import *m)
{
	struct buf CLEANUP_BUF names = BUF_INIT(2000);
	struct map             seen;

	map_init(&seen);
	for (size_t i = 0; i < m->n_items; i++) {
		str p = doc_get_str(m->items[i].n, "project");

		if (p.len && !m->items[i].out && !map_has(&seen, p))
			m->no_memory = m->no_memory || !map_put(&seen, p, m, NULL);
	}
	join(&seen, &names);
	if (map_count(&seen) > 1)
		note(m, "features of %zu projects of Unleash go into this one set: %.400s", map_count(&seen), buf_z(&names));
	map_fini(&seen);
}

static void say_overrides(struct import *m)
{
	const struct doc_node *all = list_of(m->doc, "featureStrategies");

	for (size_t i = 0; i < doc_len(all); i++) {
		const struct doc_node *v = doc_get(doc_at(all, i), "variants");

		for (size_t j = 0; j < doc_len(v); j++)
			if (doc_len(doc_get(doc_at(v, j), "overrides")) && once(m, "overrides", doc_get_str(doc_at(all, i), "featureName")))
				note(m, "%.*s: overrides of a strategy's variants are not taken over; Unleash's clients pass over them, too",
					 STR_ARG(str_sub(doc_get_str(doc_at(all, i), "featureName"), 0, 200)));
	}
}

/* --- the result --- */

static void write_segment(struct import *m, struct jw *w, const struct doc_node *s, struct map *names)
{
	str   name = doc_get_str(s, "name"), description = doc_get_str(s, "description");
	char *own = arena_printf(m->a, "segment-%lld", (long long)doc_get_int(s, "id", 0));

	if ((!flag_key_ok(name) || map_has(names, name)) && own)
		name = str_z(own);
	m->no_memory = m->no_memory || !map_put(names, name, m, NULL);
	jw_key_n(w, name);
	jw_obj(w);
	jw_kint(w, "id", doc_get_int(s, "id", 0));
	if (description.len)
		jw_kstr(w, "description", description);
	write_constraints(w, doc_get(s, "constraints"));
	jw_end(w);
}

static void write_result(struct import *m, struct unleash_import *ret)
{
	struct buf CLEANUP_BUF flags = BUF_INIT(4 * LIMIT_DOC_BYTES), segments = BUF_INIT(LIMIT_FLAG_HEAD_BYTES);
	struct map             names;
	struct jw              w;

	jw_init(&w, &flags);
	jw_obj(&w);
	for (size_t i = 0; i < m->n_items; i++) {
		if (m->items[i].out) {
			note(m, "%.*s: left out; %s", STR_ARG(str_sub(m->items[i].name, 0, 200)), m->items[i].out);
			continue;
		}
		jw_key_n(&w, m->items[i].name);
		jw_raw(&w, m->items[i].json);
		ret->n_flags++;
	}
	jw_end(&w);
	jw_init(&w, &segments);
	jw_obj(&w);
	map_init(&names);
	for (struct map_entry *e = map_next(&m->used, NULL); e; e = map_next(&m->used, e))
		write_segment(m, &w, e->value, &names);
	ret->n_segments = map_count(&names);
	map_fini(&names);
	jw_end(&w);
	ret->flags = arena_str(m->a, buf_str(&flags));
	ret->segments = ret->n_segments ? arena_str(m->a, buf_str(&segments)) : STR("");
	m->a->failed = m->a->failed || flags.failed || segments.failed;
}

bool unleash_is_export(const struct doc_node *doc) { return list_of(doc, "features") != NULL; }

int unleash_import(struct arena *a, const struct doc_node *doc, const char *environment, const struct doc_node *segments, struct unleash_import *ret,
				   struct err *reterr)
{
	struct import m = { .a = a, .doc = doc };
	int           rc;

	*ret = (struct unleash_import){ 0 };
	if (!unleash_is_export(doc))
		return err_set(reterr, WEIR_EINVAL, "no list \"features\": this is no export of Unleash");
	map_init(&m.by_name);
	map_init(&m.used);
	map_init(&m.said);
	m.segments = !segments ? list_of(doc, "segments") : segments->kind == DOC_SEQ ? segments : list_of(segments, "segments");
	rc = choose_environment(&m, environment, reterr);
	if (!rc) {
		take_features(&m);
		check_parents(&m);
		say_overrides(&m);
		say_projects(&m);
		write_result(&m, ret);
		say_rest(&m);
		ret->notes = ARENA_ARRAY(a, m.notes.n + 1, const char *);
		if (ret->notes && m.notes.n)
			memcpy(ret->notes, m.notes.v, m.notes.n * sizeof(*ret->notes));
		ret->n_notes = m.notes.n;
		rc = m.no_memory ? err_set(reterr, WEIR_ENOMEM, "the import") : arena_check(a, "the import", reterr);
	}
	VEC_FINI(&m.notes);
	map_fini(&m.by_name);
	map_fini(&m.used);
	map_fini(&m.said);
	return rc;
}
