/* flag_kit.c - see flag_kit.h. Steps that the kits of flagd and of OpenFeature share; what no step here knows is skipped by name. */
#include "base/base.h"
#include "flag_kit.h"

#include "base/clock.h"

#include <jansson.h>

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

void kit_evaluate(struct scenario *s)
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
	s->answered = answer.flag ? arena_str(s->c->arena, answer.flag->key) : s->key;
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

struct logic_value kit_value(struct scenario *s, str type, str text)
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

bool kit_quoted(str *text, const char *what, bool last, str *ret)
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

void kit_context(struct scenario *s, str key, struct logic_value v)
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

	if (kit_quoted(&rest, "a context containing a key ", false, &key) && kit_quoted(&rest, ", with type ", false, &type) &&
		kit_quoted(&rest, " and with value ", true, &value)) {
		kit_context(s, key, kit_value(s, type, value));
		return true;
	}
	rest = text;
	if (kit_quoted(&rest, "a context containing a targeting key with value ", true, &value)) {
		kit_context(s, STR("targetingKey"), logic_string(value));
		return true;
	}
	rest = text;
	if (kit_quoted(&rest, "a context containing a key ", false, &key) && str_eqz(rest, " with null value")) {
		kit_context(s, key, logic_null());
		return true;
	}
	rest = text;
	if (!kit_quoted(&rest, "a context containing a nested property with outer key ", false, &key) ||
		!kit_quoted(&rest, " and inner key ", false, &inner) || !kit_quoted(&rest, ", with value ", true, &value))
		return false;
	pair = (struct logic_pair){ .key = inner.ptr, .key_len = (uint32_t)inner.len, .value = logic_string(value) };
	if (logic_object(s->c->arena, &pair, 1, &outer, NULL))
		return false;
	kit_context(s, key, outer);
	return true;
}

static bool flag_step(struct scenario *s, str text)
{
	str value, rest;

	if (!str_has_prefix(text, STR("a ")) || !str_cut(str_sub(text, 2, text.len), '-', &s->type, &rest) ||
		!kit_quoted(&rest, "flag with key ", false, &s->key))
		return false;
	if (str_has_prefix(rest, STR(" and a default value ")))
		rest = str_sub(rest, strlen(" and a default value "), rest.len);
	else if (str_has_prefix(rest, STR(" and a fallback value ")))
		rest = str_sub(rest, strlen(" and a fallback value "), rest.len);
	if (!kit_quoted(&rest, "", true, &value))
		return false;
	s->fallback = kit_value(s, s->type, value);
	return true;
}

static str json_of(struct scenario *s, struct logic_value v)
{
	struct buf b CLEANUP_BUF = BUF_INIT(1 << 20);

	return logic_to_json(v, &b, NULL) ? STR_NULL : arena_str(s->c->arena, buf_str(&b));
}

void kit_expect(struct scenario *s, const char *what, str want, str seen)
{
	if (str_eq(want, seen) || !s->passed)
		return;
	s->passed = false;
	conf_fail(s->c, NULL, arena_printf(s->c->arena, "%s %.*s", what, STR_ARG(want)), "%.*s (reason %s, error '%s')", STR_ARG(seen),
			  s->reason ? s->reason : "none", s->error ? s->error : "none");
}

void kit_expect_value(struct scenario *s, struct logic_value want) { kit_expect(s, "value", json_of(s, want), json_of(s, s->value)); }

static void expect_metadata(struct scenario *s, const struct doc_node *table)
{
	for (size_t i = 1; i < doc_len(table); i++) {
		const struct doc_node *row = doc_at(table, i);
		str key = doc_at(row, 0)->s, type = doc_at(row, 1)->s, value = doc_at(row, 2)->s;
		struct logic_value v = logic_null();

		if (logic_from_doc(s->c->arena, doc_get_n(s->metadata, key), &v, NULL))
			s->skip = "metadata cannot be read";
		kit_expect(s, "metadata", json_of(s, kit_value(s, type, value)), json_of(s, v));
	}
}

static bool then_step(struct scenario *s, const struct doc_node *step, str text)
{
	str want;

	if (kit_quoted(&text, "the resolved details value should be ", true, &want))
		kit_expect_value(s, kit_value(s, s->type, want));
	else if (kit_quoted(&text, "the flag key should be ", true, &want))
		kit_expect(s, "key", want, s->answered);
	else if (kit_quoted(&text, "the reason should be ", true, &want))
		kit_expect(s, "reason", want, str_z(s->reason));
	else if (kit_quoted(&text, "the error-code should be ", true, &want))
		kit_expect(s, "error code", want, str_z(s->error));
	else if (kit_quoted(&text, "the variant should be ", true, &want))
		kit_expect(s, "variant", want, s->variant);
	else if (str_eqz(text, "the resolved metadata should contain"))
		expect_metadata(s, doc_get(step, "table"));
	else if (str_eqz(text, "the resolved metadata is empty"))
		kit_expect(s, "metadata entries", STR("0"), doc_len(s->metadata) ? STR("some") : STR("0"));
	else
		return false;
	return true;
}

static void run_step(struct scenario *s, const struct doc_node *step)
{
	str text = doc_get_str(step, "text"), name, type, value, rest = text;

	if (str_eqz(text, "an evaluator") || str_eqz(text, "a stable provider") || str_eqz(text, "a stable flagd provider") || str_eqz(text, "a metadata flagd provider"))
		return;
	if (kit_quoted(&rest, "an option ", false, &name) && str_eqz(name, "selector") && kit_quoted(&rest, " of type ", false, &type) &&
		kit_quoted(&rest, " with value ", true, &value) && str_has_prefix(value, STR("rawflags/"))) {
		s->selector = str_sub(value, strlen("rawflags/"), value.len);
		return;
	}
	rest = text;
	if (kit_quoted(&rest, "an option ", false, &name) && str_eqz(name, "cache") && str_has_suffix(text, STR("\"disabled\"")))
		return;
	if (str_eqz(text, "the flag was evaluated with details"))
		kit_evaluate(s);
	else if (!context_step(s, text) && !flag_step(s, text) && !then_step(s, step, text))
		s->skip = arena_printf(s->c->arena, "not about evaluation alone: %.*s", STR_ARG(text));
}

void kit_run(struct scenario *s, bool (*own)(struct scenario *s, const struct doc_node *step, str text))
{
	static const char *const parts[] = { "background", "steps" };

	s->passed = true;
	for (size_t p = 0; p < ARRAY_SIZE(parts); p++)
		for (size_t i = 0; i < doc_len(doc_get(s->c->json, parts[p])) && !s->skip && s->passed; i++) {
			const struct doc_node *step = doc_at(doc_get(s->c->json, parts[p]), i);

			if (!own || !own(s, step, doc_get_str(step, "text")))
				run_step(s, step);
		}
	if (s->skip && s->passed)
		conf_skip(s->c, NULL, "%s", s->skip);
	else if (s->passed)
		conf_pass(s->c, NULL);
}
