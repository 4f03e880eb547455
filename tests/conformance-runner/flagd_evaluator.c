/* flagd_evaluator.c - open-feature/flagd-testbed: scenarios {background, steps[{text, table?}], tags} over flag definitions.
 *
 * Suite flagd-evaluator: the evaluator kit (definitions in testkit-flags.json beside its cases). Suite flagd-provider: the provider kit (definitions in
 * ../flags); what is about a provider's connections, configuration, caches and events is skipped, since a server has none of these. Tags
 * @fractional-v1 and -v3 choose the generation of bucketing, v2 is the default. The answers are those of the flag room's compiled sets. */
#include "base/base.h"
#include "conformance.h"

#include "base/clock.h"
#include "base/fs.h"
#include "flag/flag-eval.h"

#include <dirent.h>
#include <jansson.h>
#include <limits.h>

enum { CONTEXT_MAX = 16, FLAG_FILES_MAX = 32 };

struct scenario {
	struct conf_case *c;
	const struct doc_node *files[FLAG_FILES_MAX]; /* flag definitions */
	str names[FLAG_FILES_MAX];                    /* of the files, without folders */
	str selector;                                 /* name of the one source that is asked; STR_NULL: all */
	size_t n_files;
	struct logic_pair context[CONTEXT_MAX];
	uint32_t n_context;
	str type, key;               /* of the flag that is asked for */
	struct logic_value fallback;
	const char *bucketing; /* NULL: the default */
	const char *skip; /* why the scenario is none of evaluation */
	bool passed;
	/* what the evaluation gave */
	struct logic_value value;
	const char *reason, *error;
	str variant;
	const struct doc_node *metadata; /* of the answer */
};

/* --- the flag room's answer --- */

static str json_text(struct arena *a, const struct doc_node *n)
{
	struct buf b CLEANUP_BUF = BUF_INIT(8 << 20);
	struct jw w;

	if (!n)
		return STR("");
	jw_init(&w, &b);
	jw_node(&w, n);
	return arena_str(a, buf_str(&b));
}

/* The file that defines the flag; *ret_evaluators: its own, or those of another file, since the definitions of several files count as one. */
static const struct doc_node *find_file(struct scenario *s, const struct doc_node **ret_evaluators)
{
	const struct doc_node *file = s->files[0];

	for (size_t i = s->n_files; i--;)
		if (s->selector.ptr ? str_eq(s->selector, s->names[i]) : doc_get_n(doc_get(s->files[i], "flags"), s->key) != NULL)
			file = s->files[i];
	*ret_evaluators = doc_get(file, "$evaluators");
	for (size_t i = 0; i < s->n_files && !*ret_evaluators; i++)
		*ret_evaluators = doc_get(s->files[i], "$evaluators");
	return file;
}

static str metadata_text(struct scenario *s, const struct doc_node *metadata)
{
	struct buf b CLEANUP_BUF = BUF_INIT(1 << 20);
	struct jw w;

	if (!s->bucketing)
		return json_text(s->c->arena, metadata);
	jw_init(&w, &b);
	jw_obj(&w);
	jw_kstrz(&w, "bucketing", s->bucketing);
	for (size_t i = 0; i < doc_len(metadata); i++) {
		jw_key_n(&w, metadata->map.pairs[i].key);
		jw_node(&w, metadata->map.pairs[i].value);
	}
	jw_end(&w);
	return arena_str(s->c->arena, buf_str(&b));
}

static bool build(struct scenario *s, struct flag_set **ret)
{
	const struct doc_node *evaluators, *file = find_file(s, &evaluators), *flags = doc_get(file, "flags");
	struct flag_set_head head = { .id = STR("kit"), .revision = 1, .evaluators = json_text(s->c->arena, evaluators),
								  .metadata = metadata_text(s, doc_get(file, "metadata")) };
	struct flag_text *texts = ARENA_ARRAY(s->c->arena, doc_len(flags) + 1, struct flag_text);
	struct err e;

	for (size_t i = 0; i < doc_len(flags); i++)
		texts[i] = (struct flag_text){ flags->map.pairs[i].key, json_text(s->c->arena, flags->map.pairs[i].value) };
	if (!flag_set_build(NULL, &head, texts, doc_len(flags), ret, &e))
		return true;
	s->skip = arena_printf(s->c->arena, "definitions cannot be built: %s", e.msg);
	return false;
}

static struct logic_value parse(struct scenario *s, str text);

static enum flag_type wanted_type(str type)
{
	return str_eqz(type, "Boolean") ? FLAG_BOOL : str_eqz(type, "String") ? FLAG_STRING : str_eqz(type, "Integer") ? FLAG_INTEGER
	       : str_eqz(type, "Float") ? FLAG_NUMBER : FLAG_OBJECT;
}

static void evaluate(struct scenario *s)
{
	struct flag_context c = { .now = clock_wall_now(), .scratch = s->c->arena };
	struct flag_answer answer;
	struct flag_set *set;
	struct doc_node *metadata = NULL;

	if (!build(s, &set))
		return;
	if (logic_object(s->c->arena, s->context, s->n_context, &c.data, NULL))
		s->skip = "the context is too large";
	flag_evaluate(set, s->key, wanted_type(s->type), &c, &answer);
	s->value = answer.variant ? parse(s, answer.variant->json) : s->fallback;
	s->variant = answer.variant ? arena_str(s->c->arena, answer.variant->name) : STR("");
	s->reason = flag_reason_name(answer.reason);
	s->error = flag_error_name(answer.error);
	if (answer.flag && answer.flag->metadata.len && doc_parse_json(s->c->arena, "metadata", arena_str(s->c->arena, answer.flag->metadata), &metadata, NULL))
		s->skip = "metadata cannot be read";
	s->metadata = metadata;
	flag_set_unref(set);
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
		struct logic_value v = logic_null();

		if (logic_from_doc(s->c->arena, doc_get_n(s->metadata, key), &v, NULL))
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
	else if (quoted(&text, "the variant should be ", true, &want))
		expect(s, "variant", want, s->variant);
	else if (str_eqz(text, "the resolved metadata should contain"))
		expect_metadata(s, doc_get(step, "table"));
	else if (str_eqz(text, "the resolved metadata is empty"))
		expect(s, "metadata entries", STR("0"), doc_len(s->metadata) ? STR("some") : STR("0"));
	else
		return false;
	return true;
}

static void run_step(struct scenario *s, const struct doc_node *step)
{
	str text = doc_get_str(step, "text"), name, type, value, rest = text;

	if (str_eqz(text, "an evaluator") || str_eqz(text, "a stable flagd provider") || str_eqz(text, "a metadata flagd provider"))
		return;
	if (quoted(&rest, "an option ", false, &name) && str_eqz(name, "selector") && quoted(&rest, " of type ", false, &type) &&
		quoted(&rest, " with value ", true, &value) && str_has_prefix(value, STR("rawflags/"))) {
		s->selector = str_sub(value, strlen("rawflags/"), value.len);
		return;
	}
	rest = text;
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
	if (ok) {
		s->names[s->n_files] = str_z(strrchr(path, '/') ? strrchr(path, '/') + 1 : path);
		s->files[s->n_files++] = n;
	}
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
static bool read_definitions(struct scenario *s, bool provider)
{
	const char *slash = strrchr(s->c->file, '/'), *shown = getenv("WEIR_CONFORMANCE");
	char *beside = arena_printf(s->c->arena, "%.*s", slash ? (int)(slash - s->c->file) : 1, slash ? s->c->file : ".");
	char *of_shown = arena_printf(s->c->arena, "%s/flags/flagd-testbed/%s", shown ? shown : ".", provider ? "provider" : "evaluator");

	for (int i = 0; i < 2; i++, beside = of_shown) {
		char *path = arena_printf(s->c->arena, "%s/%s", beside, provider ? "../flags" : "testkit-flags.json");

		if (fs_exists(path))
			return provider ? read_folder(s, path) : read_flags(s, path);
	}
	return false;
}

static bool tagged(const struct doc_node *tags, const char *tag)
{
	for (size_t i = 0; i < doc_len(tags); i++)
		if (str_eqz(doc_at(tags, i)->s, tag))
			return true;
	return false;
}

static void run_kit(struct conf_case *c, bool provider)
{
	static const char *const parts[] = { "background", "steps" };
	const struct doc_node *tags = doc_get(c->json, "tags");
	struct scenario s = { .c = c, .passed = true };

	s.bucketing = tagged(tags, "@fractional-v1") ? "v1" : tagged(tags, "@fractional-v3") ? "v3" : NULL;
	if (str_eqz(doc_get_str(c->json, "file"), "contextEnrichment.feature")) {
		conf_skip(c, NULL, "about properties that the operator of a flagd adds to every context");
		return;
	}
	if (tagged(tags, "@deprecated")) {
		conf_skip(c, NULL, "deprecated: the kit expects the opposite from newer providers");
		return;
	}
	if (!read_definitions(&s, provider)) {
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
static void run_provider(struct conf_case *c) { run_kit(c, true); }

static const char *const evaluator_files[] = { "flags/flagd-testbed/evaluator/cases.jsonl", NULL };
const struct conf_suite suite_flagd_evaluator = { .name = "flagd-evaluator", .files = evaluator_files, .name_key = "id",
												  .run = run_evaluator };
static const char *const provider_files[] = { "flags/flagd-testbed/provider/cases.jsonl", NULL };
const struct conf_suite suite_flagd_provider = { .name = "flagd-provider", .files = provider_files, .name_key = "id",
												  .run = run_provider };
