/* openfeature.c - open-feature/spec: the scenarios of its SDKs, as far as they concern what a server answers.
 *
 * The flags of test-flags.json (beside the cases) are rewritten in flagd's form: contextEvaluator, "TERM && TERM ? 'VARIANT' : ''" with terms `name`, `!name`,
 * `name == 'text'` and `name > number`, becomes a rule. Hooks, states of a provider, its cache, merging of contexts and what is asynchronous or immutable are
 * an SDK's own and are skipped by name. */
#include "base/base.h"
#include "flag_kit.h"

#include "base/fs.h"

/* --- rules --- */

struct cursor {
	str  left;
	bool bad;
};

static bool take(struct cursor *c, const char *what)
{
	c->left = str_trim(c->left);
	if (!str_has_prefix(c->left, str_z(what)))
		return false;
	c->left = str_sub(c->left, strlen(what), c->left.len);
	return true;
}

static str take_text(struct cursor *c)
{
	size_t end = take(c, "'") ? str_find(c->left, '\'') : SIZE_MAX;
	str    text = str_sub(c->left, 0, end);

	c->bad = c->bad || end == SIZE_MAX;
	c->left = str_sub(c->left, end + 1, c->left.len);
	return text;
}

static str take_word(struct cursor *c)
{
	size_t n = 0;
	str    word;

	c->left = str_trim(c->left);
	while (n < c->left.len && (c->left.ptr[n] == '.' || (c->left.ptr[n] >= '0' && c->left.ptr[n] <= '9') || (c->left.ptr[n] >= 'a' && c->left.ptr[n] <= 'z')))
		n++;
	word = str_sub(c->left, 0, n);
	c->left = str_sub(c->left, n, c->left.len);
	c->bad = c->bad || !n;
	return word;
}

static void write_var(struct jw *w, str name)
{
	jw_obj(w);
	jw_kstr(w, "var", name);
	jw_end(w);
}

static void write_term(struct jw *w, struct cursor *c)
{
	bool not = take(c, "!");
	str  name = take_word(c);

	jw_obj(w);
	if (take(c, "==")) {
		jw_key(w, "==");
		jw_arr(w);
		write_var(w, name);
		jw_str(w, take_text(c));
	} else if (take(c, ">")) {
		jw_key(w, ">");
		jw_arr(w);
		write_var(w, name);
		jw_raw(w, take_word(c));
	} else {
		jw_key(w, not ? "!" : "!!");
		jw_arr(w);
		write_var(w, name);
	}
	jw_end(w);
	jw_end(w);
}

static bool write_rule(struct jw *w, str text)
{
	struct cursor c = { .left = text };

	jw_key(w, "targeting");
	jw_obj(w);
	jw_key(w, "if");
	jw_arr(w);
	jw_obj(w);
	jw_key(w, "and");
	jw_arr(w);
	do
		write_term(w, &c);
	while (take(&c, "&&"));
	jw_end(w);
	jw_end(w);
	c.bad = c.bad || !take(&c, "?");
	jw_str(w, take_text(&c));
	c.bad = c.bad || !take(&c, ":") || take_text(&c).len || str_trim(c.left).len;
	jw_null(w);
	jw_end(w);
	jw_end(w);
	return !c.bad;
}

/* --- definitions --- */

static bool write_flag(struct jw *w, const struct doc_node *f)
{
	const struct doc_node *by_default = doc_get(f, "defaultVariant"), *metadata = doc_get(f, "flagMetadata");
	str                    rule = doc_get_str(f, "contextEvaluator");
	bool                   ok = true;

	jw_obj(w);
	jw_kstrz(w, "state", doc_get(f, "disabled") && doc_get(f, "disabled")->b ? "DISABLED" : "ENABLED");
	jw_key(w, "variants");
	jw_node(w, doc_get(f, "variants"));
	if (by_default) {
		jw_key(w, "defaultVariant");
		jw_node(w, by_default);
	}
	if (metadata && metadata->kind == DOC_MAP) {
		jw_key(w, "metadata");
		jw_node(w, metadata);
	}
	if (rule.len)
		ok = write_rule(w, rule);
	jw_end(w);
	return ok;
}

static bool read_flags(struct scenario *s)
{
	const char            *slash = strrchr(s->c->file, '/'), *shown = getenv("WEIR_CONFORMANCE");
	char                  *path = arena_printf(s->c->arena, "%.*s/test-flags.json", slash ? (int)(slash - s->c->file) : 1, slash ? s->c->file : ".");
	struct buf CLEANUP_BUF data = BUF_INIT(1 << 20), out = BUF_INIT(1 << 20);
	struct doc_node       *flags = NULL, *n = NULL;
	struct jw              w;
	bool                   ok = true;

	if (!fs_exists(path)) /* the cases come from elsewhere */
		path = arena_printf(s->c->arena, "%s/flags/openfeature-spec/test-flags.json", shown ? shown : ".");
	if (fs_read(path, &data, NULL) || doc_parse_json(s->c->arena, path, buf_str(&data), &flags, NULL))
		return false;
	jw_init(&w, &out);
	jw_obj(&w);
	jw_key(&w, "flags");
	jw_obj(&w);
	for (size_t i = 0; i < doc_len(flags); i++) {
		jw_key_n(&w, flags->map.pairs[i].key);
		ok = write_flag(&w, flags->map.pairs[i].value) && ok;
	}
	jw_end(&w);
	jw_end(&w);
	if (!ok || doc_parse_json(s->c->arena, "test-flags.json", buf_str(&out), &n, NULL))
		return false;
	s->files[s->n_files++] = n;
	return true;
}

/* --- steps of the older form: "a boolean flag with key "K" is evaluated with [details and ]default value V" --- */

static str kind_of(str word)
{
	static const char *const kinds[][2] = { { "boolean", "Boolean" }, { "string", "String" }, { "integer", "Integer" }, { "float", "Float" }, { "object", "Object" } };

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (str_eqz(word, kinds[i][0]))
			return str_z(kinds[i][1]);
	return STR_NULL;
}

static str unquoted(str s)
{
	return s.len > 1 && s.ptr[0] == '"' && s.ptr[s.len - 1] == '"' ? str_sub(s, 1, s.len - 2) : s;
}

static bool when_step(struct scenario *s, str text)
{
	static const char *const begins[] = { "a non-existent ", "an ", "a " };
	str                      word, rest = text;

	for (size_t i = 0; i < ARRAY_SIZE(begins) && rest.ptr == text.ptr; i++)
		if (str_has_prefix(text, str_z(begins[i])))
			rest = str_sub(text, strlen(begins[i]), text.len);
	if (!str_cut(rest, ' ', &word, &rest) || !kind_of(word).len || !kit_quoted(&rest, "flag with key ", false, &s->key) ||
	    !(str_has_prefix(rest, STR(" is evaluated with ")) || str_has_prefix(rest, STR(" is evaluated as an integer, with "))))
		return false;
	s->type = str_has_prefix(rest, STR(" is evaluated as an integer")) ? STR("Integer") : kind_of(word);
	s->fallback = logic_null();
	if (str_contains(rest, STR(" value ")) && !str_has_suffix(rest, STR("a null default value"))) {
		static const char last[] = " value ";
		size_t            at = 0;

		while (!str_has_prefix(str_sub(rest, at, rest.len), str_z(last)))
			at++;
		s->fallback = kit_value(s, s->type, unquoted(str_sub(rest, at + sizeof(last) - 1, rest.len)));
	}
	kit_evaluate(s);
	return true;
}

/* The fields that the text names, with the values that it names: the flag has no others. */
static void expect_fields(struct scenario *s)
{
	static const char want[] = "{\"showImages\": true, \"title\": \"Check out these pics!\", \"imagesPerPage\": 100}";

	kit_expect_value(s, kit_value(s, STR("Object"), str_z(want)));
}

static bool then_step(struct scenario *s, str text)
{
	static const char fields[] = "value should be contain fields \"showImages\", \"title\", and \"imagesPerPage\", with values \"true\", \"Check out these pics!\" and 100, "
	                             "respectively";
	str               word, value, rest;

	if (str_has_prefix(text, STR("the default ")) && str_has_suffix(text, STR(" value should be returned"))) {
		kit_expect_value(s, s->fallback);
		return true;
	}
	rest = text;
	if (kit_quoted(&rest, "the reason should indicate an error and the error code should indicate a missing flag with ", true, &value) ||
	    (rest = text, kit_quoted(&rest, "the reason should indicate an error and the error code should indicate a type mismatch with ", true, &value))) {
		kit_expect(s, "reason", STR("ERROR"), str_z(s->reason));
		kit_expect(s, "error code", value, str_z(s->error));
		return true;
	}
	if (!str_has_prefix(text, STR("the resolved ")) || !str_cut(str_sub(text, strlen("the resolved "), text.len), ' ', &word, &rest) || !kind_of(word).len)
		return false;
	if (str_has_prefix(rest, STR("details ")))
		rest = str_sub(rest, strlen("details "), rest.len);
	if (str_eqz(rest, fields)) {
		expect_fields(s);
		return true;
	}
	if (!str_has_prefix(rest, STR("value should be ")))
		return false;
	rest = str_sub(rest, strlen("value should be "), rest.len);
	value = str_sub(rest, 0, str_find(rest, ','));
	kit_expect_value(s, kit_value(s, s->type, unquoted(value)));
	rest = str_sub(rest, value.len, rest.len);
	if (kit_quoted(&rest, ", the variant should be ", false, &word) && kit_quoted(&rest, ", and the reason should be ", true, &value)) {
		kit_expect(s, "variant", word, s->variant);
		kit_expect(s, "reason", value, str_z(s->reason));
	}
	return true;
}

static bool own_step(struct scenario *s, const struct doc_node *step UNUSED, str text)
{
	str variant, reason, rest = text;

	if (kit_quoted(&rest, "the variant should be ", false, &variant) && kit_quoted(&rest, ", and the reason should be ", true, &reason)) {
		kit_expect(s, "variant", variant, s->variant);
		kit_expect(s, "reason", reason, str_z(s->reason));
		return true;
	}
	rest = text;
	if (kit_quoted(&rest, "the reason should be ", true, &reason) && str_eqz(reason, "CACHED"))
		s->skip = "about the cache of a provider";
	else if (str_has_suffix(text, STR("evaluated with details asynchronously")))
		s->skip = "about how an SDK waits";
	else if (str_has_prefix(text, STR("context contains keys ")))
		s->skip = "asks for a flag (context-aware) that test-flags.json lacks";
	else if (str_eqz(text, "a stable provider with retrievable context is registered"))
		s->skip = "about how an SDK merges contexts: a server gets one";
	else if (str_has_suffix(text, STR(" provider")) && !str_eqz(text, "a stable provider"))
		s->skip = "about the states of a provider";
	else
		return when_step(s, text) || then_step(s, text);
	return true;
}

static void run(struct conf_case *c)
{
	struct scenario s = { .c = c };

	if (read_flags(&s))
		kit_run(&s, own_step);
	else
		conf_fail(c, NULL, "definitions of flags", "test-flags.json cannot be read beside %s", c->file);
}

static const char *const files[] = { "flags/openfeature-spec/cases.jsonl", NULL };
const struct conf_suite suite_openfeature = { .name = "openfeature", .files = files, .name_key = "id", .run = run };
