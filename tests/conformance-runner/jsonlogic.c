/* jsonlogic.c - json-logic/compat-tables: {suite, index, rule, data?, result | error: {type}, decimal?}.
 *
 * All tables are held against the dialect COMPAT. compatible.json is the classic set of jsonlogic.com, which every dialect must
 * pass: its cases pass when COMPAT, CLASSIC and FLAGD all give the result. */
#include "base/base.h"
#include "conformance.h"

#include "lang/logic/logic.h"

#include <math.h>

static bool equal(struct logic_value a, struct logic_value b, bool decimal)
{
	struct logic_value other;

	if (a.kind != b.kind || (a.kind >= LOGIC_STRING && a.len != b.len))
		return false;
	switch (a.kind) {
	case LOGIC_BOOL:
		return a.b == b.b;
	case LOGIC_NUMBER:
		return decimal ? fabs(a.n - b.n) < 1e-9 : a.n == b.n;
	case LOGIC_STRING:
		return str_eq(logic_text(a), logic_text(b));
	case LOGIC_ARRAY:
		for (uint32_t i = 0; i < a.len; i++)
			if (!equal(a.items[i], b.items[i], decimal))
				return false;
		return true;
	case LOGIC_OBJECT:
		for (uint32_t i = 0; i < a.len; i++)
			if (!logic_get(b, str_n(a.pairs[i].key, a.pairs[i].key_len), &other) || !equal(a.pairs[i].value, other, decimal))
				return false;
		return true;
	default:
		return true;
	}
}

/* What a dialect makes of the case: "value: JSON" or "error: JSON of the error"; true when it is what the table says. */
static bool holds(struct conf_case *c, enum logic_dialect dialect, struct buf *seen)
{
	struct logic_options o = { .dialect = dialect };
	struct logic_thrown thrown = { 0 };
	struct logic_env env = { .scratch = c->arena, .thrown = &thrown };
	struct logic_value v = logic_null(), want = logic_null(), type;
	const struct doc_node *error = doc_get(c->json, "error");
	struct logic_rule *rule;
	struct err err = { 0 };
	bool decimal = doc_get_bool(c->json, "decimal", false);
	int r = logic_from_doc(c->arena, doc_get(c->json, "data"), &env.data, &err);

	if (!r)
		r = logic_from_doc(c->arena, doc_get(c->json, "result"), &want, &err);
	if (!r)
		r = logic_compile(c->arena, doc_get(c->json, "rule"), &o, &rule, &err);
	if (!r)
		r = logic_eval(rule, &env, &v, &err);
	buf_addz(seen, r ? "error: " : "value: ");
	if (r)
		buf_addf(seen, "%s ", err.msg);
	if (logic_to_json(r ? thrown.value : v, seen, &err))
		return false;
	if (!error)
		return !r && equal(v, want, decimal);
	return r == -WEIR_EREFUSED && logic_get(thrown.value, STR("type"), &type) &&
		   str_eq(logic_text(type), doc_get_str(error, "type"));
}

static void run(struct conf_case *c)
{
	static const enum logic_dialect dialects[] = { LOGIC_COMPAT, LOGIC_CLASSIC, LOGIC_FLAGD };
	static const char *const names[] = { "COMPAT", "CLASSIC", "FLAGD" };
	str suite = doc_get_str(c->json, "suite");
	const struct doc_node *want = doc_get(c->json, doc_get(c->json, "error") ? "error" : "result");
	struct buf expected CLEANUP_BUF = BUF_INIT(1 << 20), seen CLEANUP_BUF = BUF_INIT(1 << 20);
	struct jw w;

	c->name = arena_printf(c->arena, "%.*s %lld %.*s", STR_ARG(suite), (long long)doc_get_int(c->json, "index", -1),
						   STR_ARG(doc_get_str(c->json, "description")));
	jw_init(&w, &expected);
	buf_addz(&expected, doc_get(c->json, "error") ? "error: " : "value: ");
	if (want)
		jw_node(&w, want);
	for (size_t i = 0; i < (str_eqz(suite, "compatible.json") ? ARRAY_SIZE(dialects) : 1); i++) {
		buf_clear(&seen);
		if (!holds(c, dialects[i], &seen)) {
			conf_fail(c, NULL, buf_z(&expected), "%s: %s", names[i], buf_z(&seen));
			return;
		}
	}
	conf_pass(c, NULL);
}

static const char *const files[] = { "flags/jsonlogic/cases.jsonl", NULL };
const struct conf_suite suite_jsonlogic = { .name = "jsonlogic", .files = files, .run = run };
