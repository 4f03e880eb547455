/* flagd_evaluator.c - open-feature/flagd-testbed: scenarios {background, steps[{text, table?}], tags} over flag definitions.
 *
 * Suite flagd-evaluator: the evaluator kit (definitions in testkit-flags.json beside its cases). Suite flagd-targeting: the
 * provider kit's targeting.feature (definitions in ../flags); its other features, which are about connections, configuration,
 * caches and events, are skipped. Tags @fractional-v1 and -v3 choose the generation of bucketing, v2 is the default. What is tested is the
 * language; `evaluate` below is the thin layer of flag rules that makes its result a value with a reason. */
#include "base/base.h"
#include "conformance.h"

#include "base/clock.h"
#include "base/fs.h"
#include "lang/logic/logic.h"

#include <dirent.h>
#include <jansson.h>
#include <limits.h>

enum { CONTEXT_MAX = 16, FLAG_FILES_MAX = 32 };

struct scenario {
	struct conf_case *c;
	const struct doc_node *files[FLAG_FILES_MAX]; /* flag definitions */
	size_t n_files;
	struct logic_pair context[CONTEXT_MAX];
	uint32_t n_context;
	str type, key;               /* of the flag that is asked for */
	struct logic_value fallback;
	enum logic_fractional fractional;
	const char *skip; /* why the scenario is none of evaluation */
	bool passed;
	/* what the evaluation gave */
	struct logic_value value;
	const char *reason, *error;
	const struct doc_node *metadata, *set_metadata;
};

/* --- the thin layer: a flag's rules, from its definition to value, reason and error code --- */

static void give(struct scenario *s, const char *reason, const char *error, struct logic_value v)
{
	s->reason = reason;
	s->error = error;
	s->value = v;
}

static bool fits(str type, struct logic_value v)
{
	if (str_eqz(type, "Boolean"))
		return v.kind == LOGIC_BOOL;
	if (str_eqz(type, "String"))
		return v.kind == LOGIC_STRING;
	if (str_eqz(type, "Integer"))
		return v.kind == LOGIC_NUMBER && v.n == (double)(int64_t)v.n;
	return v.kind == (str_eqz(type, "Float") ? LOGIC_NUMBER : LOGIC_OBJECT);
}

static void give_variant(struct scenario *s, const struct doc_node *flag, str variant, const char *reason)
{
	const struct doc_node *n = doc_get_n(doc_get(flag, "variants"), variant);
	struct logic_value v = logic_null();

	if (!n)
		give(s, "ERROR", "GENERAL", s->fallback);
	else if (logic_from_doc(s->c->arena, n, &v, NULL) || !fits(s->type, v))
		give(s, "ERROR", "TYPE_MISMATCH", s->fallback);
	else
		give(s, reason, "", v);
}

static void give_default(struct scenario *s, const struct doc_node *flag, const char *reason)
{
	const struct doc_node *variant = doc_get(flag, "defaultVariant");

	if (variant && variant->kind == DOC_STR)
		give_variant(s, flag, variant->s, reason);
	else
		give(s, "DEFAULT", "", s->fallback);
}

static const struct doc_node *find_flag(struct scenario *s, const struct doc_node **ret_evaluators)
{
	for (size_t i = 0; i < s->n_files; i++) {
		const struct doc_node *flag = doc_get_n(doc_get(s->files[i], "flags"), s->key);

		if (!flag)
			continue;
		*ret_evaluators = doc_get(s->files[i], "$evaluators");
		for (size_t k = 0; k < s->n_files && !*ret_evaluators; k++) /* definitions of several files count as one */
			*ret_evaluators = doc_get(s->files[k], "$evaluators");
		s->set_metadata = doc_get(s->files[i], "metadata");
		return flag;
	}
	return NULL;
}

static void evaluate(struct scenario *s)
{
	struct arena *a = s->c->arena;
	struct logic_options o = { .dialect = LOGIC_FLAGD, .fractional = s->fractional };
	struct logic_env env = { .flag_key = s->key, .timestamp = (double)(clock_wall_now() / 1000000), .scratch = a };
	const struct doc_node *evaluators = NULL, *flag = find_flag(s, &evaluators), *targeting = doc_get(flag, "targeting");
	struct logic_evaluators *set = NULL;
	struct logic_rule *rule;
	struct logic_value v;

	s->metadata = doc_get(flag, "metadata");
	if (!flag) {
		give(s, "ERROR", "FLAG_NOT_FOUND", s->fallback);
	} else if (str_eqz(doc_get_str(flag, "state"), "DISABLED")) {
		give(s, "DISABLED", "", s->fallback);
	} else if (!doc_len(targeting)) {
		give_default(s, flag, "STATIC");
	} else if (logic_evaluators_compile(a, evaluators, &o, &set, NULL) || (o.evaluators = set, logic_compile(a, targeting, &o, &rule, NULL))) {
		give(s, "ERROR", "PARSE_ERROR", s->fallback);
	} else if (logic_object(a, s->context, s->n_context, &env.data, NULL) || logic_eval(rule, &env, &v, NULL)) {
		give(s, "ERROR", "GENERAL", s->fallback);
	} else if (v.kind == LOGIC_NULL) {
		give_default(s, flag, "DEFAULT");
	} else if (v.kind == LOGIC_BOOL) {
		give_variant(s, flag, v.b ? STR("true") : STR("false"), "TARGETING_MATCH");
	} else {
		give_variant(s, flag, logic_text(v), "TARGETING_MATCH");
	}
}

/* --- values in steps --- */

static struct logic_value from_jansson(struct arena *a, json_t *j);

static struct logic_value object_from_jansson(struct arena *a, json_t *j)
{
	struct logic_pair *pairs = ARENA_ARRAY(a, json_object_size(j), struct logic_pair);
	struct logic_value v = logic_null(), member;
	const char *key;
	json_t *value;
	size_t n = 0;

	json_object_foreach(j, key, value) {
		member = from_jansson(a, value);
		pairs[n++] = (struct logic_pair){ .key = arena_dupz(a, key), .key_len = (uint32_t)strlen(key), .value = member };
	}
	return logic_object(a, pairs, n, &v, NULL) ? logic_null() : v;
}

static struct logic_value from_jansson(struct arena *a, json_t *j)
{
	struct logic_value *items, v = logic_null();

	switch (json_typeof(j)) {
	case JSON_OBJECT:
		return object_from_jansson(a, j);
	case JSON_ARRAY:
		items = ARENA_ARRAY(a, json_array_size(j), struct logic_value);
		for (size_t i = 0; i < json_array_size(j); i++) {
			v = from_jansson(a, json_array_get(j, i));
			items[i] = v;
		}
		return logic_array(items, json_array_size(j));
	case JSON_STRING:
		return logic_string(arena_str(a, str_n(json_string_value(j), json_string_length(j))));
	case JSON_INTEGER:
	case JSON_REAL:
		return logic_number(json_number_value(j));
	default:
		return json_is_null(j) ? v : logic_bool(json_is_true(j));
	}
}

/* A JSON text; jansson itself, because objects of the kit repeat keys (the last one counts). */
static struct logic_value parse(struct scenario *s, str text)
{
	json_t *j = json_loadb(text.ptr, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	struct logic_value v = j ? from_jansson(s->c->arena, j) : logic_null();

	if (!j)
		s->skip = "a value of the scenario cannot be read";
	json_decref(j);
	return v;
}

static struct logic_value typed(struct scenario *s, str type, str text)
{
	struct logic_value v;
	char *quoted;

	if (str_eqz(type, "String"))
		return logic_string(text); /* as it is: a backslash and u0000 are six characters */
	v = parse(s, text);
	if (!s->skip || !str_eqz(type, "Object"))
		return v;
	/* quotes in objects are bare in one kit and escaped in the other */
	s->skip = NULL;
	quoted = arena_printf(s->c->arena, "\"%.*s\"", STR_ARG(text));
	v = parse(s, str_z(quoted));
	return s->skip ? v : parse(s, logic_text(v));
}

/* --- steps --- */

/* Takes `"..."` behind `what` in *text; with `last` up to the last quote of the step. */
static bool quoted(str *text, const char *what, bool last, str *ret)
{
	size_t end;

	if (!str_has_prefix(*text, str_z(what)))
		return false;
	*text = str_sub(*text, strlen(what), text->len);
	if (!text->len || text->ptr[0] != '"')
		return false;
	*text = str_sub(*text, 1, text->len);
	end = str_find(*text, '"');
	if (last && text->len && text->ptr[text->len - 1] == '"')
		end = text->len - 1;
	*ret = str_sub(*text, 0, end);
	*text = str_sub(*text, end + 1, text->len);
	return end < SIZE_MAX;
}

static void add_context(struct scenario *s, str key, struct logic_value v)
{
	if (s->n_context == CONTEXT_MAX) {
		s->skip = "the scenario's context is too large";
		return;
	}
	s->context[s->n_context++] = (struct logic_pair){ .key = key.ptr, .key_len = (uint32_t)key.len, .value = v };
}

static bool context_step(struct scenario *s, str text)
{
	str key, inner, type, value, rest = text;
	struct logic_pair pair = { 0 };
	struct logic_value outer = logic_null();

	if (quoted(&rest, "a context containing a key ", false, &key) && quoted(&rest, ", with type ", false, &type) &&
		quoted(&rest, " and with value ", true, &value)) {
		add_context(s, key, typed(s, type, value));
		return true;
	}
	rest = text;
	if (quoted(&rest, "a context containing a targeting key with value ", true, &value)) {
		add_context(s, STR("targetingKey"), logic_string(value));
		return true;
	}
	rest = text;
	if (!quoted(&rest, "a context containing a nested property with outer key ", false, &key) ||
		!quoted(&rest, " and inner key ", false, &inner) || !quoted(&rest, ", with value ", true, &value))
		return false;
	pair = (struct logic_pair){ .key = inner.ptr, .key_len = (uint32_t)inner.len, .value = logic_string(value) };
	if (logic_object(s->c->arena, &pair, 1, &outer, NULL))
		return false;
	add_context(s, key, outer);
	return true;
}

static bool flag_step(struct scenario *s, str text)
{
	str value, rest;

	if (!str_has_prefix(text, STR("a ")) || !str_cut(str_sub(text, 2, text.len), '-', &s->type, &rest) ||
		!quoted(&rest, "flag with key ", false, &s->key))
		return false;
	if (str_has_prefix(rest, STR(" and a default value ")))
		rest = str_sub(rest, strlen(" and a default value "), rest.len);
	else if (str_has_prefix(rest, STR(" and a fallback value ")))
		rest = str_sub(rest, strlen(" and a fallback value "), rest.len);
	if (!quoted(&rest, "", true, &value))
		return false;
	s->fallback = typed(s, s->type, value);
	return true;
}

static str json_of(struct scenario *s, struct logic_value v)
{
	struct buf b CLEANUP_BUF = BUF_INIT(1 << 20);

	return logic_to_json(v, &b, NULL) ? STR_NULL : arena_str(s->c->arena, buf_str(&b));
}

static void expect(struct scenario *s, const char *what, str want, str seen)
{
	if (str_eq(want, seen) || !s->passed)
		return;
	s->passed = false;
	conf_fail(s->c, NULL, arena_printf(s->c->arena, "%s %.*s", what, STR_ARG(want)), "%.*s (reason %s, error '%s')", STR_ARG(seen),
			  s->reason ? s->reason : "none", s->error ? s->error : "none");
}

static void expect_metadata(struct scenario *s, const struct doc_node *table)
{
	for (size_t i = 1; i < doc_len(table); i++) {
		const struct doc_node *row = doc_at(table, i);
		str key = doc_at(row, 0)->s, type = doc_at(row, 1)->s, value = doc_at(row, 2)->s;
		const struct doc_node *n = doc_get_n(s->metadata, key);
		struct logic_value v = logic_null();

		if (!n)
			n = doc_get_n(s->set_metadata, key);
		if (logic_from_doc(s->c->arena, n, &v, NULL))
			s->skip = "metadata cannot be read";
		expect(s, "metadata", json_of(s, typed(s, type, value)), json_of(s, v));
	}
}

static bool then_step(struct scenario *s, const struct doc_node *step, str text)
{
	str want;

	if (quoted(&text, "the resolved details value should be ", true, &want))
		expect(s, "value", json_of(s, typed(s, s->type, want)), json_of(s, s->value));
	else if (quoted(&text, "the reason should be ", true, &want))
		expect(s, "reason", want, str_z(s->reason));
	else if (quoted(&text, "the error-code should be ", true, &want))
		expect(s, "error code", want, str_z(s->error));
	else if (str_eqz(text, "the resolved metadata should contain"))
		expect_metadata(s, doc_get(step, "table"));
	else if (str_eqz(text, "the resolved metadata is empty"))
		expect(s, "metadata entries", STR("0"), doc_len(s->metadata) || doc_len(s->set_metadata) ? STR("some") : STR("0"));
	else
		return false;
	return true;
}

static void run_step(struct scenario *s, const struct doc_node *step)
{
	str text = doc_get_str(step, "text"), name, rest = text;

	if (str_eqz(text, "an evaluator") || str_eqz(text, "a stable flagd provider"))
		return;
	if (quoted(&rest, "an option ", false, &name) && str_eqz(name, "cache") && str_has_suffix(text, STR("\"disabled\"")))
		return;
	if (str_eqz(text, "the flag was evaluated with details"))
		evaluate(s);
	else if (!context_step(s, text) && !flag_step(s, text) && !then_step(s, step, text))
		s->skip = arena_printf(s->c->arena, "not about evaluation alone: %.*s", STR_ARG(text));
}

/* --- definitions --- */

static bool read_flags(struct scenario *s, const char *path)
{
	struct buf *data = ARENA_NEW(s->c->arena, struct buf);
	struct doc_node *n = NULL;
	bool ok;

	buf_init(data, 8 << 20);
	ok = s->n_files < FLAG_FILES_MAX && !fs_read(path, data, NULL) && !doc_parse_json(s->c->arena, path, buf_str(data), &n, NULL);
	buf_fini(data);
	if (ok)
		s->files[s->n_files++] = n;
	return ok;
}

static bool read_folder(struct scenario *s, const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *d;
	bool ok = dir;

	while (ok && (d = readdir(dir)))
		if (str_has_suffix(str_z(d->d_name), STR(".json")))
			ok = read_flags(s, arena_printf(s->c->arena, "%s/%s", folder, d->d_name));
	if (dir)
		closedir(dir);
	return ok;
}

/* Beside the cases, or in the shown data when the cases come from elsewhere. */
static bool read_definitions(struct scenario *s, bool targeting)
{
	const char *slash = strrchr(s->c->file, '/'), *shown = getenv("WEIR_CONFORMANCE");
	char *beside = arena_printf(s->c->arena, "%.*s", slash ? (int)(slash - s->c->file) : 1, slash ? s->c->file : ".");
	char *of_shown = arena_printf(s->c->arena, "%s/flags/flagd-testbed/%s", shown ? shown : ".", targeting ? "provider" : "evaluator");

	for (int i = 0; i < 2; i++, beside = of_shown) {
		char *path = arena_printf(s->c->arena, "%s/%s", beside, targeting ? "../flags" : "testkit-flags.json");

		if (fs_exists(path))
			return targeting ? read_folder(s, path) : read_flags(s, path);
	}
	return false;
}

static enum logic_fractional generation(const struct doc_node *tags)
{
	for (size_t i = 0; i < doc_len(tags); i++) {
		if (str_eqz(doc_at(tags, i)->s, "@fractional-v1"))
			return LOGIC_FRACTIONAL_V1;
		if (str_eqz(doc_at(tags, i)->s, "@fractional-v3"))
			return LOGIC_FRACTIONAL_V3;
	}
	return LOGIC_FRACTIONAL_V2;
}

static void run_kit(struct conf_case *c, bool targeting)
{
	static const char *const parts[] = { "background", "steps" };
	struct scenario s = { .c = c, .passed = true, .fractional = generation(doc_get(c->json, "tags")) };

	if (targeting && !str_eqz(doc_get_str(c->json, "file"), "targeting.feature")) {
		conf_skip(c, NULL, "not about targeting: %.*s", STR_ARG(doc_get_str(c->json, "feature")));
		return;
	}
	if (!read_definitions(&s, targeting)) {
		conf_fail(c, NULL, "flag definitions", "none can be read beside %s", c->file);
		return;
	}
	for (size_t p = 0; p < ARRAY_SIZE(parts); p++)
		for (size_t i = 0; i < doc_len(doc_get(c->json, parts[p])) && !s.skip && s.passed; i++)
			run_step(&s, doc_at(doc_get(c->json, parts[p]), i));
	if (s.skip && s.passed)
		conf_skip(c, NULL, "%s", s.skip);
	else if (s.passed)
		conf_pass(c, NULL);
}

static void run_evaluator(struct conf_case *c) { run_kit(c, false); }
static void run_targeting(struct conf_case *c) { run_kit(c, true); }

static const char *const evaluator_files[] = { "flags/flagd-testbed/evaluator/cases.jsonl", NULL };
const struct conf_suite suite_flagd_evaluator = { .name = "flagd-evaluator", .files = evaluator_files, .name_key = "id",
												  .run = run_evaluator };
static const char *const targeting_files[] = { "flags/flagd-testbed/provider/cases.jsonl", NULL };
const struct conf_suite suite_flagd_targeting = { .name = "flagd-targeting", .files = targeting_files, .name_key = "id",
												  .run = run_targeting };
