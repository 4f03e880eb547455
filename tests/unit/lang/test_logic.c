/* What the public tables do not pin: values, places in errors, $ref, $flagd, the generations of fractional, limits, traces, that
 * folding and preparing change no answer, and that the usual paths take no memory. */
#include "tests/lib/test.h"

#include "lang/logic/logic.h"

#include <pthread.h>

struct fixture {
	struct arena a, scratch;
	struct buf out;
	struct err err;
	struct logic_options o;
	struct logic_env env;
	struct logic_thrown thrown;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	arena_init(&f->a, 256 << 20);
	arena_init(&f->scratch, 64 << 20);
	buf_init(&f->out, 1 << 20);
	f->env = (struct logic_env){ .flag_key = STR("flag"), .timestamp = 1700000000, .scratch = &f->scratch, .thrown = &f->thrown };
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	arena_fini(&f->a);
	arena_fini(&f->scratch);
	buf_fini(&f->out);
	free(f);
	return 0;
}

static struct doc_node *doc(struct fixture *f, const char *json)
{
	struct doc_node *n = NULL;

	assert_ok(doc_parse_json(&f->a, "rule", str_z(json), &n, &f->err), &f->err);
	return n;
}

static struct logic_value value(struct fixture *f, const char *json)
{
	struct logic_value v;

	assert_ok(logic_from_doc(&f->a, doc(f, json), &v, &f->err), &f->err);
	return v;
}

static const char *json(struct fixture *f, struct logic_value v)
{
	buf_clear(&f->out);
	assert_ok(logic_to_json(v, &f->out, &f->err), &f->err);
	return buf_z(&f->out);
}

static int compile(struct fixture *f, const char *rule, struct logic_rule **ret)
{
	f->err.msg[0] = 0;
	return logic_compile(&f->a, doc(f, rule), &f->o, ret, &f->err);
}

static int eval(struct fixture *f, const char *rule, const char *data, struct logic_value *ret)
{
	struct logic_rule *r;

	assert_ok(compile(f, rule, &r), &f->err);
	f->env.data = value(f, data);
	return logic_eval(r, &f->env, ret, &f->err);
}

/* The result as JSON. */
static const char *result(struct fixture *f, const char *rule, const char *data)
{
	struct logic_value v;

	assert_ok(eval(f, rule, data, &v), &f->err);
	return json(f, v);
}

static void expect_error(struct fixture *f, const char *rule, const char *data, int code, const char *message)
{
	struct logic_value v;

	assert_err(eval(f, rule, data, &v), code);
	assert_string_equal(f->err.msg, message);
}

static void expect_no_compile(struct fixture *f, const char *rule, int code, const char *message)
{
	struct logic_rule *r;

	assert_err(compile(f, rule, &r), code);
	assert_string_equal(f->err.msg, message);
}

static void use_evaluators(struct fixture *f, const char *map)
{
	struct logic_evaluators *set;

	f->o.evaluators = NULL;
	assert_ok(logic_evaluators_compile(&f->a, doc(f, map), &f->o, &set, &f->err), &f->err);
	f->o.evaluators = set;
}

/* --- values --- */

static void test_objects(void **state)
{
	struct fixture *f = *state;
	struct logic_pair pairs[] = { { .key = "b", .key_len = 1, .value = logic_number(1) },
								  { .key = "a", .key_len = 1, .value = logic_string(STR("x")) },
								  { .key = "b", .key_len = 1, .value = logic_bool(true) },
								  { .key = "", .key_len = 0, .value = logic_null() } };
	struct logic_value v, got;

	assert_ok(logic_object(&f->a, pairs, 4, &v, &f->err), &f->err);
	assert_string_equal(json(f, v), "{\"b\":true,\"a\":\"x\",\"\":null}");
	assert_true(logic_get(v, STR("a"), &got));
	assert_str(logic_text(got), "x");
	assert_true(logic_get(v, STR(""), &got));
	assert_false(logic_get(v, STR("c"), &got));
	assert_false(logic_get(logic_number(1), STR("c"), &got));
	assert_ok(logic_object(&f->a, NULL, 0, &v, &f->err), &f->err);
	assert_string_equal(json(f, v), "{}");
}

static void test_many_keys(void **state)
{
	struct fixture *f = *state;
	enum { N = 500 };
	static char names[N][8];
	static struct logic_pair pairs[N];
	struct logic_value v, got;

	for (int i = 0; i < N; i++) { /* every key twice, the later one counts */
		snprintf(names[i], sizeof(names[i]), "k%d", i % (N / 2));
		pairs[i] = (struct logic_pair){ .key = names[i], .key_len = (uint32_t)strlen(names[i]), .value = logic_number(i) };
	}
	assert_ok(logic_object(&f->a, pairs, N, &v, &f->err), &f->err);
	assert_int_equal(v.len, N / 2);
	for (int i = 0; i < N / 2; i++) {
		assert_true(logic_get(v, str_z(names[i]), &got));
		assert_int_equal((int)got.n, i + N / 2);
		assert_string_equal(v.pairs[i].key, names[i]); /* in the order of the first ones */
	}
	assert_false(logic_get(v, STR("k250"), &got));
}

static void test_numbers_as_text(void **state)
{
	struct fixture *f = *state;

	f->o.dialect = LOGIC_CLASSIC;
	assert_string_equal(result(f, "{\"cat\":[1,\" \",-0.0,\" \",1e21,\" \",123456789012345680000,\" \",1e-7,\" \",0.000001,\" \",-1.5]}", "{}"),
						"\"1 0 1e+21 123456789012345680000 1e-7 0.000001 -1.5\"");
	assert_string_equal(result(f, "[{\"-\":\"0x1F\"},{\"-\":\" 12 \"},{\"-\":\"\"},{\"-\":\"1e3\"},{\"-\":\".5\"},{\"-\":\"1_0\"},{\"-\":[[\"7\"]]}]", "{}"),
						"[-31,-12,0,-1000,-0.5,null,-7]");
	assert_string_equal(result(f, "[9007199254740993,9007199254740991]", "{}"), "[9007199254740992,9007199254740991]");
}

static void test_in_texts(void **state)
{
	struct fixture *f = *state;

	assert_string_equal(result(f, "[{\"in\":[{\"var\":\"e\"},{\"var\":\"e\"}]},{\"in\":[\"\",\"a\"]},{\"in\":[1,\"a1\"]},{\"in\":[null,\"annul\"]},"
								  "{\"in\":[[1,2],\"01,23\"]},{\"in\":[\"a\",5]},{\"in\":[\"a\"]}]",
							   "{\"e\":\"\"}"),
						"[false,true,true,false,true,false,false]");
}

static void test_no_such_number(void **state)
{
	struct fixture *f = *state;
	struct logic_value v;

	assert_ok(eval(f, "{\"/\":[1,{\"var\":\"z\"}]}", "{\"z\":0}", &v), &f->err);
	assert_int_equal(v.kind, LOGIC_NULL);
	assert_ok(eval(f, "{\"+\":[{\"var\":\"z\"}]}", "{\"z\":\"x\"}", &v), &f->err);
	assert_int_equal(v.kind, LOGIC_NULL);
}

static void test_text_positions(void **state)
{
	struct fixture *f = *state;

	assert_string_equal(result(f, "[{\"substr\":[\"h\u00e9llo\",1,2]},{\"substr\":[\"a\U0001f600b\",-2,1]},{\"substr\":[\"ab\",0,-5]},"
								  "{\"substr\":[\"ab\",-9]},{\"substr\":[\"ab\",9]},{\"substr\":[true,1]}]",
							   "{}"),
						"[\"\u00e9l\",\"\U0001f600\",\"\",\"ab\",\"\",\"rue\"]");
}

/* --- errors --- */

static void test_compile_errors(void **state)
{
	struct fixture *f = *state;

	expect_no_compile(f, "{\"if\":[\n  {\"starts_wit\":[1,2]}]}", WEIR_EPARSE,
					  "2:3: unknown operator 'starts_wit' (did you mean 'starts_with'?)");
	f->o.file = "flags.json";
	expect_no_compile(f, "{\"zzzzzz\":1}", WEIR_EPARSE, "flags.json:1:1: unknown operator 'zzzzzz'");
	expect_no_compile(f, "{\"and\":[{\"==\":[1,2],\"!=\":[1,2]}]}", WEIR_EPARSE,
					  "flags.json:1:9: the operator '==' must stand alone in its map; there are 2 keys");
	assert_string_equal(result(f, "[{\"a\":1,\"b\":{\"var\":\"x\"}},{}]", "{}"), "[{\"a\":1,\"b\":{\"var\":\"x\"}},{}]");
	f->o = (struct logic_options){ .dialect = LOGIC_CLASSIC };
	expect_no_compile(f, "{\"fractional\":[]}", WEIR_EPARSE, "1:1: unknown operator 'fractional'");
	expect_no_compile(f, "{\"val\":1}", WEIR_EPARSE, "1:1: unknown operator 'val' (did you mean 'var'?)");
}

static void test_thrown_errors(void **state)
{
	struct fixture *f = *state;

	f->o.dialect = LOGIC_COMPAT;
	expect_error(f, "{\"and\":[true,\n {\"+\":[1,{\"val\":\"a\"}]}]}", "{\"a\":\"secret\"}", WEIR_EREFUSED,
				 "+ at 2:2: NaN: an argument is no number");
	assert_int_equal(f->thrown.line, 2);
	assert_int_equal(f->thrown.col, 2);
	assert_str(f->thrown.op, "+");
	assert_string_equal(json(f, f->thrown.value), "{\"type\":\"NaN\"}");
	expect_error(f, "{\"if\":1}", "{}", WEIR_EREFUSED, "if at 1:1: Invalid Arguments: the arguments are not what the operator takes");
	expect_error(f, "{\"nosuch\":1}", "{}", WEIR_EREFUSED, "nosuch at 1:1: Unknown Operator: there is no such operator");
	assert_string_equal(result(f, "{\"if\":[false,{\"nosuch\":1},2]}", "{}"), "2");
	assert_string_equal(result(f, "{\"try\":[{\"nosuch\":1},{\"val\":\"type\"}]}", "{}"), "\"Unknown Operator\"");
	expect_error(f, "{\"throw\":{\"val\":\"e\"}}", "{\"e\":{\"type\":\"x\",\"more\":1}}", WEIR_EREFUSED,
				 "throw at 1:1: the rule threw this error");
	assert_string_equal(json(f, f->thrown.value), "{\"type\":\"x\",\"more\":1}");
	expect_error(f, "{\"/\":[1,0]}", "{}", WEIR_EREFUSED, "/ at 1:1: NaN: division by zero");
	expect_error(f, "{\"*\":[1e308,10]}", "{}", WEIR_EREFUSED, "* at 1:1: NaN: the result is no finite number");
	f->env.scratch = NULL;
	expect_error(f, "{\"max\":[\"a\"]}", "{}", WEIR_EREFUSED, "max at 1:1: Invalid Arguments: an argument is no number");
	assert_int_equal(f->thrown.value.kind, LOGIC_NULL);
}

static void test_dialects_differ(void **state)
{
	struct fixture *f = *state;
	static const char *const rules[] = { "{\"==\":[null,0]}", "{\"<\":[1,\"a\"]}", "{\"+\":[\"1x\",1]}", "{\"-\":[5,1,1]}", "{\"<\":[1,2,1]}",
										 "{\">\":[3,2,5]}", "{\"===\":[[1],[1]]}", "{\"+\":[\"x\"]}" };
	static const char *const classic[] = { "false", "false", "2", "4", "false", "true", "false", "null" };
	static const char *const compat[] = { "true", "error", "error", "3", "false", "false", "true", "error" };

	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		struct logic_value v;

		f->o.dialect = LOGIC_CLASSIC;
		assert_string_equal(result(f, rules[i], "{}"), classic[i]);
		f->o.dialect = LOGIC_COMPAT;
		if (eval(f, rules[i], "{}", &v))
			assert_string_equal("error", compat[i]);
		else
			assert_string_equal(json(f, v), compat[i]);
	}
	f->o.dialect = LOGIC_FLAGD; /* as CLASSIC, but every comparison chains */
	assert_string_equal(result(f, "[{\">\":[3,2,5]},{\"==\":[null,0]},{\"<\":[1,\"a\"]}]", "{}"), "[false,false,false]");
}

/* --- $ref --- */

static void test_refs(void **state)
{
	struct fixture *f = *state;

	use_evaluators(f, "{\"staff\":{\"ends_with\":[{\"var\":\"email\"},\"@x.org\"]},\"both\":{\"and\":[{\"$ref\":\"staff\"},{\"$ref\":\"adult\"}]},"
					  "\"adult\":{\">=\":[{\"var\":\"age\"},18]},\"buckets\":[[\"a\",1],{\"$ref\":\"entry\"}],\"entry\":[\"b\",0],"
					  "\"alias\":{\"$ref\":\"buckets\"},\"text\":\"on\"}");
	assert_string_equal(result(f, "{\"$ref\":\"both\"}", "{\"email\":\"a@x.org\",\"age\":20}"), "true");
	assert_string_equal(result(f, "{\"if\":[{\"$ref\":\"both\"},{\"$ref\":\"text\"},\"off\"]}", "{\"email\":\"a@x.org\",\"age\":2}"), "\"off\"");
	assert_string_equal(result(f, "{\"if\":[{\"$ref\":\"both\"},{\"$ref\":\"text\"}]}", "{\"email\":\"a@x.org\",\"age\":18}"), "\"on\"");
	assert_string_equal(result(f, "{\"fractional\":{\"$ref\":\"alias\"}}", "{\"targetingKey\":\"k\"}"), "\"a\"");
	assert_string_equal(result(f, "{\"fractional\":[{\"$ref\":\"entry\"},[\"z\",{\"if\":[true,3]}]]}", "{\"targetingKey\":\"k\"}"), "\"z\"");
	assert_string_equal(result(f, "{\"map\":[[1],{\"$ref\":\"adult\"}]}", "{\"age\":20}"), "[false]"); /* in an iteration the item is the data */
	expect_no_compile(f, "{\"!\":{\"$ref\":\"nobody\"}}", WEIR_EPARSE, "1:14: there is no evaluator 'nobody' in $evaluators");
	expect_no_compile(f, "{\"$ref\":[\"staff\"]}", WEIR_EPARSE, "1:9: $ref must name an evaluator, not be a list");
	f->o.evaluators = NULL;
	expect_no_compile(f, "{\"$ref\":\"staff\"}", WEIR_EPARSE, "1:9: there is no evaluator 'staff' in $evaluators");
}

static void test_broken_evaluators(void **state)
{
	struct fixture *f = *state;
	struct logic_evaluators *set;
	const char *error;
	str name;

	use_evaluators(f, "{\"a\":{\"!\":{\"$ref\":\"b\"}},\"b\":{\"or\":[{\"$ref\":\"c\"}]},\"c\":{\"!\":{\"$ref\":\"a\"}},\"self\":{\"$ref\":\"self\"},"
					  "\"ok\":{\"var\":\"x\"},\"bad\":{\"nosuch\":1},\"behind\":{\"$ref\":\"bad\"},\"gone\":{\"$ref\":\"never\"}}");
	assert_string_equal(result(f, "{\"$ref\":\"ok\"}", "{\"x\":3}"), "3");
	expect_no_compile(f, "{\"$ref\":\"c\"}", WEIR_EPARSE, "1:9: the evaluator 'c' cannot be used: it refers to itself through 'a'");
	expect_no_compile(f, "{\"$ref\":\"self\"}", WEIR_EPARSE, "1:9: the evaluator 'self' cannot be used: it refers to itself through 'self'");
	expect_no_compile(f, "{\"$ref\":\"bad\"}", WEIR_EPARSE, "1:9: the evaluator 'bad' cannot be used: 1:120: unknown operator 'nosuch'");
	expect_no_compile(f, "{\"$ref\":\"gone\"}", WEIR_EPARSE,
					  "1:9: the evaluator 'gone' cannot be used: 1:172: there is no evaluator 'never' in $evaluators");
	assert_null(logic_evaluators_error(f->o.evaluators, 4, &name));
	assert_str(name, "ok");
	error = logic_evaluators_error(f->o.evaluators, 6, &name);
	assert_str(name, "behind");
	assert_string_equal(error, "it refers to 'bad', which cannot be used: 1:120: unknown operator 'nosuch'");
	assert_null(logic_evaluators_error(f->o.evaluators, 8, &name));
	assert_null(name.ptr);
	assert_err(logic_evaluators_compile(&f->a, doc(f, "[1]"), &f->o, &set, &f->err), WEIR_EPARSE);
	assert_string_equal(f->err.msg, "1:1: $evaluators must be a map, not a list");
	assert_ok(logic_evaluators_compile(&f->a, NULL, &f->o, &set, &f->err), &f->err);
}

/* --- $flagd --- */

static void test_injected(void **state)
{
	struct fixture *f = *state;
	const char *data = "{\"$flagd\":{\"flagKey\":\"forged\",\"x\":1},\"l\":[7]}";

	assert_string_equal(result(f, "[{\"var\":\"$flagd.flagKey\"},{\"var\":[\"$flagd.timestamp\"]},{\"var\":[\"$flagd.x\",9]},{\"var\":\"$flagdx\"}]", data),
						"[\"flag\",1700000000,9,null]");
	assert_string_equal(result(f, "{\"var\":\"$flagd\"}", data), "{\"flagKey\":\"flag\",\"timestamp\":1700000000}");
	assert_string_equal(result(f, "{\"var\":{\"cat\":[\"$flagd.\",{\"var\":\"k\"}]}}", "{\"k\":\"flagKey\"}"), "\"flag\"");
	assert_string_equal(result(f, "{\"var\":\"\"}", "{\"a\":1,\"$flagd\":2}"),
						"{\"a\":1,\"$flagd\":{\"flagKey\":\"flag\",\"timestamp\":1700000000}}");
	assert_string_equal(result(f, "{\"missing\":[\"$flagd.flagKey\",\"$flagd.x\"]}", data), "[\"$flagd.x\"]");
	assert_string_equal(result(f, "{\"map\":[{\"var\":\"l\"},[{\"var\":\"$flagd.flagKey\"},{\"var\":\"\"}]]}", data), "[[null,7]]");
	f->o.dialect = LOGIC_CLASSIC;
	assert_string_equal(result(f, "{\"var\":\"$flagd.flagKey\"}", data), "\"forged\"");
}

/* --- fractional --- */

static void test_hash_edges(void **state)
{
	struct fixture *f = *state;
	/* exact preimages: the hash falls on 0, 2^31 - 1, 2^31 and 2^32 - 1 */
	static const char *const keys[] = { "ejOoVL", "SI7p-", "6LvT0", "ceQdGm" };
	static const char *const halves[] = { "\"low\"", "\"low\"", "\"high\"", "\"high\"" };
	char data[64];

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		snprintf(data, sizeof(data), "{\"k\":\"%s\"}", keys[i]);
		assert_string_equal(result(f, "{\"fractional\":[{\"var\":\"k\"},[\"low\",1],[\"high\",1]]}", data), halves[i]);
		assert_string_equal(result(f, "{\"fractional\":[{\"var\":\"k\"},[\"low\",1073741823],[\"high\",1073741824]]}", data),
							i == 1 ? "\"high\"" : halves[i]);
	}
}

static void test_fractional_null(void **state)
{
	struct fixture *f = *state;
	const char *data = "{\"targetingKey\":\"t\",\"n\":5,\"half\":0.5,\"big\":2147483647,\"k\":\"x\",\"one\":1}";
	static const char *const null_rules[] = {
		"[]", "5", "[[]]", "[[\"a\",1,2]]", "[[\"a\",0],[\"b\",0]]", "[[\"a\",1.5]]", "[[\"a\",\"1\"]]", "[[\"a\",2147483647],[\"b\",1]]",
		"[{\"var\":\"n\"},[\"a\",1]]", "[{\"var\":\"nothing\"},[\"a\",1]]", "[null,[\"a\"]]", "[\"key\"]", "[\"key\",\"a\"]",
		"[[\"a\",{\"var\":\"half\"}]]", "[[\"a\",{\"var\":\"big\"}],[\"b\",{\"var\":\"one\"}]]", "[[\"a\",{\"var\":\"k\"}]]",
		"[[[1],1]]", "[[\"a\",2147483646],[[1],1]]", "[[{\"var\":\"\"},1]]", "{\"merge\":[1,2]}", "{\"var\":\"nothing\"}", "[\"k\",[\"a\"],{\"var\":\"n\"}]", "[[null,1]]",
	};
	char rule[256];

	for (size_t i = 0; i < ARRAY_SIZE(null_rules); i++) {
		snprintf(rule, sizeof(rule), "{\"fractional\":%s}", null_rules[i]);
		if (strcmp(result(f, rule, data), "null") != 0)
			fail_msg("%s: %s", rule, buf_z(&f->out));
	}
	assert_string_equal(result(f, "{\"fractional\":[[\"a\",2147483646],[\"b\",1]]}", data), "\"a\"");
	assert_string_equal(result(f, "{\"fractional\":[[\"a\",-50],[true,{\"-\":[1,1]}],[7,100]]}", data), "7");
	assert_string_equal(result(f, "{\"fractional\":[[\"a\"]]}", "{}"), "null");
	assert_string_equal(result(f, "{\"fractional\":[[\"a\"]]}", "{\"targetingKey\":\"\"}"), "null");
	assert_string_equal(result(f, "{\"fractional\":[[\"a\"]]}", "{\"targetingKey\":5}"), "null");
	assert_string_equal(result(f, "{\"fractional\":[[\"a\"]]}", "{\"targetingKey\":\"t\"}"), "\"a\"");
}

/* However a distribution is written, it gives the same. */
static void test_fractional_forms(void **state)
{
	struct fixture *f = *state;
	static const char *const forms[] = {
		"{\"fractional\":[{\"cat\":[{\"var\":\"$flagd.flagKey\"},{\"var\":\"targetingKey\"}]},[\"a\",3],[\"b\",5],[\"c\",2]]}",
		"{\"fractional\":[{\"var\":\"joined\"},[\"a\",3],[\"b\",5],[\"c\",2]]}",
		"{\"fractional\":[[\"a\",3],[\"b\",5],[\"c\",2]]}",
		"{\"fractional\":[[\"a\",{\"var\":\"three\"}],[\"b\",{\"+\":[{\"var\":\"three\"},2]}],[\"c\",2]]}",
		"{\"fractional\":[{\"merge\":[{\"var\":\"a\"},{\"var\":\"three\"}]},[\"b\",5],[\"c\",2]]}",
		"{\"fractional\":[[\"a\",3],{\"if\":[{\"var\":\"three\"},[\"b\",5]]},[\"c\",2]]}",
		"{\"fractional\":{\"var\":\"list\"}}",
	};
	char data[256];
	int seen[3] = { 0 };

	for (int generation = 0; generation < 3; generation++) {
		f->o.fractional = (enum logic_fractional)generation;
		for (int i = 0; i < 300; i++) {
			char first[8];

			snprintf(data, sizeof(data), "{\"targetingKey\":\"u\u00fc%d\",\"joined\":\"flagu\u00fc%d\",\"a\":\"a\",\"three\":3,"
										 "\"list\":[[\"a\",3],[\"b\",5],[\"c\",2]]}",
					 i, i);
			snprintf(first, sizeof(first), "%s", result(f, forms[2], data));
			seen[first[1] - 'a']++;
			/* v3 hashes [flagKey, targetingKey], which is not the text of both */
			for (size_t k = generation == LOGIC_FRACTIONAL_V3 ? 2 : 0; k < ARRAY_SIZE(forms); k++)
				if (strcmp(result(f, forms[k], data), first) != 0)
					fail_msg("%s with %s: %s, not %s", forms[k], data, buf_z(&f->out), first);
			if (generation == LOGIC_FRACTIONAL_V3) {
				snprintf(first, sizeof(first), "%s", result(f, forms[0], data));
				assert_string_equal(result(f, forms[1], data), first);
			}
		}
	}
	assert_in_range(seen[0], 220, 320); /* of 900: 30%, 50%, 20% */
	assert_in_range(seen[1], 400, 500);
	assert_in_range(seen[2], 130, 230);
}

static void test_fractional_values(void **state)
{
	struct fixture *f = *state;
	const char *rule = "{\"fractional\":[{\"var\":\"v\"},[1,1],[2,1],[3,1],[4,1],[5,1],[6,1],[7,1],[8,1],[9,1],[10,1],[11,1],[12,1],[13,1]]}";
	static const char *const same[][2] = { { "{\"v\":0}", "{\"v\":-0.0}" },
										   { "{\"v\":1}", "{\"v\":1.0}" },
										   { "{\"v\":{\"a\":1,\"bb\":[true,null]}}", "{\"v\":{\"bb\":[true,null],\"a\":1}}" } };
	char many[4000] = "{\"v\":{", first[8];
	size_t n = strlen(many);

	f->o.fractional = LOGIC_FRACTIONAL_V3;
	for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
		snprintf(first, sizeof(first), "%s", result(f, rule, same[i][0]));
		assert_string_not_equal(first, "null");
		assert_string_equal(result(f, rule, same[i][1]), first);
	}
	assert_string_equal(result(f, rule, "{\"v\":null}"), "null");
	for (int i = 0; i < 100; i++) /* more keys than are sorted on the stack */
		n += (size_t)snprintf(many + n, sizeof(many) - n, "%s\"key%d\":%d", i ? "," : "", i, i);
	snprintf(many + n, sizeof(many) - n, "}}");
	assert_string_not_equal(result(f, rule, many), "null");
}

/* --- sem_ver --- */

static void test_semver_order(void **state)
{
	struct fixture *f = *state;
	static const char *const order[] = { "0.9.9",	  "1.0.0-0",	   "1.0.0-2",	  "1.0.0-11",  "1.0.0--",	  "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta",
										 "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1",		   "1.0.1",		   "1.2",
										 "v2.0.0+x",  "10.0.0" };
	char rule[128];

	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		for (size_t j = 0; j < ARRAY_SIZE(order); j++) {
			snprintf(rule, sizeof(rule), "[{\"sem_ver\":[\"%s\",\"<\",\"%s\"]},{\"sem_ver\":[{\"var\":\"v\"},\"=\",\"%s\"]}]", order[i], order[j],
					 order[j]);
			buf_clear(&f->out);
			buf_addf(&f->out, "{\"v\":\"%s\"}", order[i]);
			assert_string_equal(result(f, rule, arena_dup(&f->a, buf_str(&f->out))), i < j ? "[true,false]" : i == j ? "[false,true]" : "[false,false]");
		}
	assert_string_equal(result(f, "[{\"sem_ver\":[\"1.2.3\",\"~\",\"1.2.9\"]},{\"sem_ver\":[\"1.2.3\",\"^\",\"1\"]},{\"sem_ver\":[\"1.2.3\",\"^\",\"2\"]},"
								  "{\"sem_ver\":[\"1.3.3\",\"~\",\"1.2\"]},{\"sem_ver\":[\"1.0\",{\"var\":\"op\"},1]}]",
							   "{\"op\":\">=\"}"),
						"[true,true,false,false,true]");
	assert_string_equal(result(f, "[{\"sem_ver\":[\"1.02.3\",\"=\",\"1.2.3\"]},{\"sem_ver\":[\"1.2.3-01\",\"=\",\"1.2.3\"]},{\"sem_ver\":[\"1.2.3.4\",\"=\",\"1\"]},"
								  "{\"sem_ver\":[\"1\",\"==\",\"1\"]},{\"sem_ver\":[\"1\",\"=\"]},{\"sem_ver\":[{\"var\":\"x\"},\"=\",\"1\"]},"
								  "{\"sem_ver\":[\"9007199254740992.0.0\",\"=\",\"1\"]}]",
							   "{}"),
						"[null,null,null,null,null,null,null]");
}

/* --- folding and preparing change nothing --- */

static const char *const constants[] = { "null", "true", "false", "0", "1", "-2.5", "\"\"", "\"1\"", "\"abc\"", "\"b\"", "[]", "[1]", "[\"abc\",null]", "{}" };
static const char *const operators[] = { "==", "!=", "===", "!==", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "max", "min", "merge", "in",
										 "cat", "substr", "and", "or", "if", "!", "!!" };

static void same_answer(struct fixture *f, const char *folded, const char *open, const char *data)
{
	struct logic_value v, w;
	const char *a;
	int r = eval(f, folded, data, &v);

	a = r ? arena_dupz(&f->a, f->err.msg) : arena_dupz(&f->a, json(f, v));
	if (eval(f, open, data, &w) != r)
		fail_msg("%s gives %s, %s with %s does not", folded, a, open, data);
	assert_string_equal(r ? f->err.msg : json(f, w), a);
}

static void test_folding(void **state)
{
	struct fixture *f = *state;
	char folded[128], open[128], data[128];

	for (int dialect = 0; dialect < 3; dialect++)
		for (size_t o = 0; o < ARRAY_SIZE(operators); o++)
			for (size_t i = 0; i < ARRAY_SIZE(constants); i++)
				for (size_t j = 0; j < ARRAY_SIZE(constants); j++) {
					f->o.dialect = (enum logic_dialect)dialect;
					snprintf(folded, sizeof(folded), "{\"%s\":[%s,%s]}", operators[o], constants[i], constants[j]);
					snprintf(open, sizeof(open), "{\"%s\":[{\"var\":\"a\"},{\"var\":\"b\"}]}", operators[o]);
					snprintf(data, sizeof(data), "{\"a\":%s,\"b\":%s}", constants[i], constants[j]);
					same_answer(f, folded, open, data);
				}
}

static void test_constants(void **state)
{
	struct fixture *f = *state;
	struct logic_rule *r;
	struct logic_value v;
	size_t before;

	assert_ok(compile(f, "{\"if\":[{\"<\":[1,2]},{\"cat\":[\"o\",\"n\"]},\"off\"]}", &r), &f->err);
	assert_true(logic_rule_constant(r, &v));
	assert_str(logic_text(v), "on");
	before = f->a.used;
	assert_ok(compile(f, "\"on\"", &r), &f->err);
	assert_in_range(f->a.used - before, 1, 400); /* the document counts here too */
	assert_ok(compile(f, "{\"var\":\"x\"}", &r), &f->err);
	assert_false(logic_rule_constant(r, &v));
}

static void test_long_lists(void **state)
{
	struct fixture *f = *state;
	struct buf rule CLEANUP_BUF = BUF_INIT(1 << 20);
	char data[32];

	buf_addz(&rule, "{\"in\":[{\"var\":\"x\"},[null,7,\"\"");
	for (int i = 0; i < 1000; i++)
		buf_addf(&rule, ",\"user%d\"", i * 2);
	buf_addz(&rule, "]]}");
	for (int i = 0; i < 2000; i += 7) {
		snprintf(data, sizeof(data), "{\"x\":\"user%d\"}", i);
		assert_string_equal(result(f, buf_z(&rule), data), i % 2 ? "false" : "true");
	}
	assert_string_equal(result(f, buf_z(&rule), "{\"x\":7}"), "true");
	assert_string_equal(result(f, buf_z(&rule), "{}"), "true");
	assert_string_equal(result(f, buf_z(&rule), "{\"x\":\"\"}"), "true");
	assert_string_equal(result(f, buf_z(&rule), "{\"x\":\"7\"}"), "false");
}

/* --- limits --- */

static void test_steps(void **state)
{
	struct fixture *f = *state;
	const char *nested = "{\"map\":[{\"var\":\"l\"},{\"map\":[[1,2,3,4,5,6,7,8,9],{\"map\":[[1,2,3,4,5,6,7,8,9],{\"map\":[[1,2,3,4,5,6,7,8,9],"
						 "{\"some\":[[1,2,3,4,5,6,7,8,9],{\"<\":[{\"var\":\"\"},0]}]}]}]}]}]}";

	f->env.limits.steps_max = 1000;
	expect_error(f, nested, "{\"l\":[1,2,3]}", WEIR_ELIMIT, "map at 1:77: the evaluation takes too many steps");
	f->o.dialect = LOGIC_COMPAT; /* try does not catch it */
	expect_error(f, "{\"try\":[{\"map\":[{\"val\":\"l\"},{\"map\":[{\"preserve\":[1,2,3,4,5,6,7,8,9]},{\"val\":[]}]}]},1]}",
				 "{\"l\":[1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9]}",
				 WEIR_ELIMIT, "val at 1:70: the evaluation takes too many steps");
}

static void test_long_texts(void **state)
{
	struct fixture *f = *state;
	static const char *const rules[] = {
		"{\"substr\":[{\"var\":\"t\"},1]}", "{\"cat\":[{\"var\":\"t\"},1]}", "{\"in\":[\"b\",{\"var\":\"t\"}]}",
		"{\"in\":[{\"var\":\"t\"},[{\"var\":\"t\"}]]}", "{\"==\":[{\"var\":\"t\"},{\"var\":\"t\"}]}", "{\"<\":[{\"var\":\"t\"},{\"var\":\"t\"}]}",
		"{\"starts_with\":[{\"var\":\"t\"},{\"var\":\"t\"}]}", "{\"fractional\":[{\"var\":\"t\"},[1]]}", "{\"fractional\":[{\"cat\":[{\"var\":\"t\"},1]},[1]]}",
		"{\"missing\":[{\"var\":\"t\"}]}", "{\"var\":{\"var\":\"t\"}}",
	};
	struct buf data CLEANUP_BUF = BUF_INIT(1 << 20);
	struct logic_value v;

	buf_addz(&data, "{\"t\":\"");
	for (int i = 0; i < 100000; i++)
		buf_addc(&data, 'a');
	buf_addz(&data, "\"}");
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		for (int v3 = 0; v3 < 2; v3++) {
			f->o.fractional = v3 ? LOGIC_FRACTIONAL_V3 : LOGIC_FRACTIONAL_V2;
			f->env.limits.steps_max = 1000;
			if (eval(f, rules[i], buf_z(&data), &v) != -WEIR_ELIMIT)
				fail_msg("%s costs too little", rules[i]);
			f->env.limits.steps_max = 0;
			assert_ok(eval(f, rules[i], buf_z(&data), &v), &f->err);
		}
	f->o.dialect = LOGIC_CLASSIC; /* what is this long is no number */
	assert_string_equal(result(f, "{\"-\":{\"var\":\"t\"}}", buf_z(&data)), "null");
}

static void test_bytes(void **state)
{
	struct fixture *f = *state;
	const char *doubling = "{\"reduce\":[[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30],"
						   "{\"merge\":[{\"var\":\"accumulator\"},{\"var\":\"accumulator\"}]},[1]]}";
	const char *text = "{\"reduce\":[{\"var\":\"l\"},{\"cat\":[{\"var\":\"accumulator\"},{\"var\":\"accumulator\"}]},\"abcdefgh\"]}";

	f->env.limits.bytes_max = 100000;
	expect_error(f, doubling, "{}", WEIR_ELIMIT, "merge at 1:95: the values that the rule makes take too much memory");
	expect_error(f, text, "{\"l\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30]}", WEIR_ELIMIT,
				 "cat at 1:24: the values that the rule makes take too much memory");
	f->env.limits.bytes_max = 0;
	arena_fini(&f->scratch);
	arena_init(&f->scratch, 5000);
	expect_error(f, doubling, "{}", WEIR_ELIMIT, "merge at 1:95: the scratch arena is used up");
	f->env.scratch = NULL;
	expect_error(f, "{\"cat\":[{\"var\":\"a\"},1]}", "{}", WEIR_EINVAL, "cat at 1:1: a value must be made, but there is no scratch arena");
}

/* A value as deep as the list of the data is long. */
#define DEEPENING "{\"reduce\":[{\"var\":\"l\"},[{\"var\":\"accumulator\"}],0]}"

static void test_deep_values(void **state)
{
	struct fixture *f = *state;
	struct buf data CLEANUP_BUF = BUF_INIT(1 << 20);
	struct logic_pair pair = { .key = "v", .key_len = 1 };
	struct logic_rule *r;
	struct logic_value v;

	buf_addz(&data, "{\"l\":[1");
	for (int i = 0; i < 5000; i++)
		buf_addz(&data, ",1");
	buf_addz(&data, "]}");
	assert_ok(eval(f, DEEPENING, buf_z(&data), &v), &f->err);
	assert_err(logic_to_json(v, &f->out, &f->err), WEIR_ELIMIT);
	expect_error(f, "{\"cat\":[" DEEPENING ",1]}", buf_z(&data), WEIR_ELIMIT,
				 "cat at 1:1: a text is too long or made of lists that are too deep");
	expect_error(f, "{\"<\":[" DEEPENING ",1]}", buf_z(&data), WEIR_ELIMIT, "< at 1:1: a text is too long or made of lists that are too deep");
	f->o.fractional = LOGIC_FRACTIONAL_V3; /* an object around it, since a list would be the first entry */
	assert_ok(compile(f, "{\"fractional\":[{\"var\":\"\"},[1]]}", &r), &f->err);
	pair.value = v;
	assert_ok(logic_object(&f->a, &pair, 1, &f->env.data, &f->err), &f->err);
	assert_err(logic_eval(r, &f->env, &v, &f->err), WEIR_ELIMIT);
	assert_string_equal(f->err.msg, "fractional at 1:1: the bucketing value is too large");
}

static void test_deep_equality(void **state)
{
	struct fixture *f = *state;
	struct buf data CLEANUP_BUF = BUF_INIT(1 << 20);

	buf_addz(&data, "{\"l\":[1");
	for (int i = 0; i < 500; i++)
		buf_addz(&data, ",1");
	buf_addz(&data, "]}");
	f->o.dialect = LOGIC_COMPAT;
	expect_error(f, "{\"===\":[" DEEPENING "," DEEPENING "]}", buf_z(&data), WEIR_ELIMIT,
				 "=== at 1:1: the values that are compared are too deep or too many");
	expect_error(f, "{\"in\":[" DEEPENING ",[1," DEEPENING "]]}", buf_z(&data), WEIR_ELIMIT,
				 "in at 1:1: the values that are compared are too deep or too many");
}

static void test_deep_rules(void **state)
{
	struct fixture *f = *state;
	struct buf map CLEANUP_BUF = BUF_INIT(1 << 20);
	struct logic_rule *r;
	struct logic_value v;
	str name;

	/* 0 nests 40 operators, each next one 1 and the one before: 1 has 41, ... */
	buf_addz(&map, "{\"e0\":");
	for (int i = 0; i < 40; i++)
		buf_addz(&map, "{\"!\":[");
	buf_addz(&map, "{\"var\":\"x\"}");
	for (int i = 0; i < 40; i++)
		buf_addz(&map, "]}");
	for (int i = 1; i < 300; i++)
		buf_addf(&map, ",\"e%d\":{\"!\":{\"$ref\":\"e%d\"}}", i, i - 1);
	buf_addz(&map, "}");
	use_evaluators(f, buf_z(&map));
	assert_ok(compile(f, "{\"$ref\":\"e70\"}", &r), &f->err);
	assert_ok(logic_eval(r, &f->env, &v, &f->err), &f->err);
	assert_string_equal(json(f, v), "false");
	f->env.limits.depth_max = 50;
	assert_err(logic_eval(r, &f->env, &v, &f->err), WEIR_ELIMIT);
	assert_non_null(strstr(f->err.msg, "operators deep, more than 50"));
	assert_err(compile(f, "{\"$ref\":\"e299\"}", &r), WEIR_EPARSE);
	for (size_t i = 0; i < 300; i++) {
		const char *error = logic_evaluators_error(f->o.evaluators, i, &name);

		if (error) {
			assert_non_null(strstr(error, "operators are nested deeper than 200 through $ref"));
			assert_in_range(i, 70, 90);
			break;
		}
	}
}

/* Lists that stand for arguments are taken in, and what is in them nests like everything else. */
static void test_deep_lists(void **state)
{
	struct fixture *f = *state;
	struct buf map CLEANUP_BUF = BUF_INIT(1 << 20);
	struct logic_rule *r;

	buf_addz(&map, "{\"l0\":[{\"var\":\"x\"}]");
	for (int i = 1; i < 300; i++)
		buf_addf(&map, ",\"l%d\":[{\"or\":{\"$ref\":\"l%d\"}}]", i, i - 1);
	buf_addz(&map, "}");
	use_evaluators(f, buf_z(&map));
	assert_ok(compile(f, "{\"or\":{\"$ref\":\"l190\"}}", &r), &f->err);
	assert_err(compile(f, "{\"or\":{\"$ref\":\"l250\"}}", &r), WEIR_EPARSE);
	assert_non_null(strstr(f->err.msg, "operators are nested deeper than 200"));
}

static void test_growing_lists(void **state)
{
	struct fixture *f = *state;
	struct buf map CLEANUP_BUF = BUF_INIT(1 << 20);
	struct logic_rule *r;

	/* lists that stand for arguments are taken in: each doubles the one before */
	buf_addz(&map, "{\"l0\":[{\"var\":\"x\"},{\"var\":\"y\"}]");
	for (int i = 1; i < 24; i++)
		buf_addf(&map, ",\"l%d\":[{\"or\":{\"$ref\":\"l%d\"}},{\"or\":{\"$ref\":\"l%d\"}}]", i, i - 1, i - 1);
	buf_addz(&map, "}");
	use_evaluators(f, buf_z(&map));
	assert_ok(compile(f, "{\"or\":{\"$ref\":\"l10\"}}", &r), &f->err);
	assert_err(compile(f, "{\"or\":{\"$ref\":\"l23\"}}", &r), WEIR_EPARSE);
	assert_non_null(strstr(f->err.msg, "the rule has more than 1048576 parts"));
}

static void test_small_arena(void **state)
{
	struct fixture *f = *state;
	struct doc_node *n = doc(f, "{\"if\":[{\"in\":[{\"var\":\"a.b\"},[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\"]]},{\"sem_ver\":[{\"var\":\"v\"},\"=\",\"1\"]},"
								"{\"fractional\":[[\"a\",1],[\"b\",{\"var\":\"w\"}]]},[1,{\"var\":[\"x\",{\"$ref\":\"e\"}]}]]}");
	struct doc_node *map = doc(f, "{\"e\":{\"!\":{\"$ref\":\"g\"}},\"g\":{\"var\":\"x\"},\"h\":{\"nosuch\":1}}");
	struct logic_evaluators *set;
	struct logic_rule *r;
	size_t max = 0;
	int e;

	do { /* every size up to what it takes is refused cleanly */
		struct arena a = ARENA_INIT(max);

		f->o.evaluators = NULL;
		e = logic_evaluators_compile(&a, map, &f->o, &set, &f->err);
		f->o.evaluators = set;
		if (!e)
			e = logic_compile(&a, n, &f->o, &r, &f->err);
		if (e)
			assert_int_equal(e, -WEIR_ELIMIT);
		arena_fini(&a);
		max += 16;
	} while (e);
	assert_in_range(max, 1000, 4000);
}

static void test_huge_literals(void **state)
{
	struct fixture *f = *state;
	struct buf rule CLEANUP_BUF = BUF_INIT(8 << 20);

	buf_addz(&rule, "{\"==\":[{\"var\":\"x\"},\"");
	for (int i = 0; i < 1 << 20; i++)
		buf_addz(&rule, "abc");
	buf_addz(&rule, "\"]}");
	assert_string_equal(result(f, buf_z(&rule), "{\"x\":\"abc\"}"), "false");
	buf_clear(&rule);
	buf_addz(&rule, "{\"+\":[\"");
	for (int i = 0; i < 2000; i++)
		buf_addz(&rule, "9");
	buf_addz(&rule, "\"]}");
	assert_string_equal(result(f, buf_z(&rule), "{}"), "null"); /* a number's text is at most 511 characters */
}

/* --- traces --- */

static void note(void *ctx, const struct logic_step *s)
{
	struct buf *out = ctx;

	buf_addf(out, "%u:%u %u %.*s%s%s ", s->line, s->col, s->depth, STR_ARG(s->evaluator), s->evaluator.ptr ? "/" : "", s->op);
	if (s->failed)
		buf_addz(out, "failed");
	else if (logic_to_json(s->value, out, NULL))
		buf_addz(out, "?");
	buf_addc(out, '\n');
}

static void test_trace(void **state)
{
	struct fixture *f = *state;
	struct buf steps CLEANUP_BUF = BUF_INIT(1 << 16);

	use_evaluators(f, "{\"staff\":{\"starts_with\":[{\"var\":\"email\"},\"a@\"]}}");
	f->env.trace = note;
	f->env.trace_ctx = &steps;
	assert_string_equal(result(f, "{\"if\":[\n{\"and\":[{\"==\":[{\"var\":\"plan\"},\"pro\"]},{\"$ref\":\"staff\"}]},\n\"on\",\"off\"]}",
							   "{\"plan\":\"pro\",\"email\":\"a@b\"}"),
						"\"on\"");
	assert_string_equal(buf_z(&steps), "2:16 3 var \"pro\"\n2:31 3  \"pro\"\n2:9 2 == true\n1:26 4 staff/var \"a@b\"\n1:42 4 staff/ \"a@\"\n"
									   "1:10 3 staff/starts_with true\n2:39 2 $ref true\n2:1 1 and true\n3:1 1  \"on\"\n1:1 0 if \"on\"\n");
	buf_clear(&steps);
	f->o.dialect = LOGIC_COMPAT;
	assert_string_equal(result(f, "{\"try\":[{\"+\":[{\"val\":\"x\"}]},{\"val\":\"type\"}]}", "{\"x\":\"y\"}"), "\"NaN\"");
	assert_string_equal(buf_z(&steps), "1:15 2 val \"y\"\n1:9 1 + failed\n1:29 1 val \"NaN\"\n1:1 0 try \"NaN\"\n");
}

static void test_error_in_evaluator(void **state)
{
	struct fixture *f = *state;

	use_evaluators(f, "{\"deep\":{\"map\":[{\"var\":\"l\"},\n{\"cat\":[{\"var\":\"\"},1]}]}}");
	f->env.limits.bytes_max = 50;
	expect_error(f, "{\"!\":{\"$ref\":\"deep\"}}", "{\"l\":[1,2,3]}", WEIR_ELIMIT,
				 "cat at 2:1 of $evaluators.deep: the values that the rule makes take too much memory");
	assert_str(f->thrown.evaluator, "deep");
}

/* --- memory and threads --- */

static const char usual[] = "{\"if\":[{\"and\":[{\"==\":[{\"var\":\"plan\"},\"pro\"]},{\"or\":[{\"in\":[{\"var\":\"country\"},[\"DE\",\"AT\"]]},{\"<\":[1,{\"var\":\"age\"},99]}]},"
							"{\"!\":{\"var\":\"blocked\"}},{\"starts_with\":[{\"var\":\"email\"},\"a\"]},{\"ends_with\":[{\"var\":\"email\"},\".org\"]},"
							"{\"sem_ver\":[{\"var\":\"v\"},\">=\",\"1.2\"]},{\">\":[{\"+\":[{\"var\":\"age\"},{\"max\":[1,2]}]},10]},"
							"{\"some\":[{\"var\":\"groups\"},{\"===\":[{\"var\":\"\"},\"qa\"]}]},{\"!\":{\"missing\":[\"email\",\"user.id\"]}}]},"
							"{\"fractional\":[{\"cat\":[{\"var\":\"$flagd.flagKey\"},{\"var\":\"user.id\"}]},[\"a\",50],[\"b\",50]]},\"off\"]}";
static const char usual_data[] = "{\"plan\":\"pro\",\"country\":\"AT\",\"age\":30,\"email\":\"a@b.org\",\"v\":\"1.4.0\",\"groups\":[\"dev\",\"qa\"],\"user\":{\"id\":\"u1\"}}";

static void test_no_memory(void **state)
{
	struct fixture *f = *state;
	struct logic_rule *r;
	struct logic_value v;

	assert_ok(compile(f, usual, &r), &f->err);
	f->env.data = value(f, usual_data);
	f->env.scratch = NULL; /* an allocation would be an error */
	assert_ok(logic_eval(r, &f->env, &v, &f->err), &f->err);
	assert_true(str_eqz(logic_text(v), "a") || str_eqz(logic_text(v), "b"));
}

struct shared {
	const struct logic_rule *rule;
	const struct logic_env *env;
	str want;
	bool ok;
};

static void *evaluate_often(void *arg)
{
	struct shared *s = arg;
	struct logic_value v;

	s->ok = true;
	for (int i = 0; i < 20000 && s->ok; i++)
		s->ok = !logic_eval(s->rule, s->env, &v, NULL) && str_eq(logic_text(v), s->want);
	return NULL;
}

static void test_threads(void **state)
{
	struct fixture *f = *state;
	struct shared s[4];
	pthread_t threads[4];
	struct logic_rule *r;
	struct logic_value v;

	assert_ok(compile(f, usual, &r), &f->err);
	f->env.data = value(f, usual_data);
	f->env.scratch = NULL;
	f->env.thrown = NULL;
	assert_ok(logic_eval(r, &f->env, &v, &f->err), &f->err);
	for (size_t i = 0; i < 4; i++) {
		s[i] = (struct shared){ .rule = r, .env = &f->env, .want = logic_text(v) };
		assert_int_equal(pthread_create(&threads[i], NULL, evaluate_often, &s[i]), 0);
	}
	for (size_t i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		assert_true(s[i].ok);
	}
}

static void test_compact(void **state)
{
	struct fixture *f = *state;
	struct doc_node *n = doc(f, "{\"if\":[{\"==\":[{\"var\":\"plan\"},\"enterprise\"]},\"on\",\"off\"]}");
	struct arena a CLEANUP_ARENA = ARENA_INIT(1 << 20);
	struct logic_rule *r;

	assert_ok(logic_compile(&a, n, &f->o, &r, &f->err), &f->err);
	assert_in_range(a.used, 1, 512);
}

/* --- what COMPAT adds --- */

static void test_scopes(void **state)
{
	struct fixture *f = *state;

	f->o.dialect = LOGIC_COMPAT;
	assert_string_equal(result(f, "{\"map\":[[10,20],{\"map\":[[1,2],{\"+\":[{\"val\":[[1],\"index\"]},{\"val\":[[3],\"index\"]},{\"val\":[[2]]},{\"val\":[[4],\"k\"]}]}]}]}",
							   "{\"k\":100}"),
						"[[110,111],[121,122]]");
	assert_string_equal(result(f, "{\"map\":[[5],{\"val\":[[1]]}]}", "{}"), "[{\"index\":0,\"iterator\":[5]}]");
	assert_string_equal(result(f, "{\"map\":[[5],[{\"val\":[[9],\"k\"]},{\"exists\":[[9],\"k\"]},{\"exists\":[[2],\"k\"]}]]}", "{\"k\":1}"), "[[null,false,true]]");
	assert_string_equal(result(f, "{\"reduce\":[[1,2],{\"val\":[]},0]}", "{}"), "{\"current\":2,\"accumulator\":{\"current\":1,\"accumulator\":0}}");
	assert_string_equal(result(f, "{\"reduce\":[[1,2],{\"val\":[[-2],\"k\"]},0]}", "{\"k\":7}"), "7");
	assert_string_equal(result(f, "[{\"val\":{\"val\":\"p\"}},{\"val\":[\"a\",{\"val\":\"q\"}]},{\"val\":[[0],\"q\"]},{\"val\":null}]",
							   "{\"p\":[\"a\",\"x\"],\"q\":\"x\",\"a\":{\"x\":1}}"),
						"[1,1,\"x\",{\"p\":[\"a\",\"x\"],\"q\":\"x\",\"a\":{\"x\":1}}]");
	assert_string_equal(result(f, "{\"try\":[{\"throw\":\"a\"},[{\"val\":[[2],\"k\"]},{\"val\":[[1],\"k\"]},{\"val\":[]}]]}", "{\"k\":1}"), "[1,null,{\"type\":\"a\"}]");
}

static void test_lists(void **state)
{
	struct fixture *f = *state;
	static const char *const compat[] = { "{\"map\":[{\"val\":\"no\"},1]}", "{\"filter\":[{\"val\":\"no\"},1]}", "{\"reduce\":[{\"val\":\"no\"},1,5]}" };
	static const char *const want[] = { "[]", "[]", "5" };
	struct logic_value v;

	f->o.dialect = LOGIC_COMPAT;
	for (size_t i = 0; i < ARRAY_SIZE(compat); i++)
		assert_string_equal(result(f, compat[i], "{}"), want[i]);
	assert_err(eval(f, "{\"map\":[5,1]}", "{}", &v), WEIR_EREFUSED);
	assert_err(eval(f, "{\"filter\":[null,1]}", "{}", &v), WEIR_EREFUSED);
	assert_err(eval(f, "{\"some\":[\"text\",1]}", "{}", &v), WEIR_EREFUSED);
	f->o.dialect = LOGIC_CLASSIC;
	assert_string_equal(result(f, "[{\"map\":[5,1]},{\"filter\":[null,1]},{\"some\":[\"text\",1]},{\"all\":[{},1]},{\"none\":[1,1]},{\"reduce\":[1,1,2]}]", "{}"),
						"[[],[],false,false,true,2]");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_objects), T(test_many_keys), T(test_numbers_as_text), T(test_in_texts), T(test_no_such_number), T(test_text_positions), T(test_compile_errors),
		T(test_thrown_errors), T(test_dialects_differ), T(test_refs), T(test_broken_evaluators), T(test_injected), T(test_hash_edges),
		T(test_fractional_null), T(test_fractional_forms), T(test_fractional_values), T(test_semver_order), T(test_folding),
		T(test_constants), T(test_long_lists), T(test_steps), T(test_long_texts), T(test_bytes), T(test_deep_values), T(test_deep_equality),
		T(test_deep_rules), T(test_deep_lists), T(test_growing_lists), T(test_small_arena), T(test_huge_literals), T(test_trace),
		T(test_error_in_evaluator), T(test_no_memory), T(test_threads), T(test_compact), T(test_scopes), T(test_lists),
	};

	return cmocka_run_group_tests_name("logic", tests, NULL, NULL);
}
