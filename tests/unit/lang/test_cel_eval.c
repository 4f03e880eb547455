/* CEL's machine by tables: what an expression gives, checked and unchecked; errors and unknowns as values; limits; properties. */
#include "tests/lib/test.h"

#include "base/zone.h"
#include "doc/doc.h"
#include "lang/cel/cel-func.h"
#include "lang/cel/cel.h"

static struct err err;

static const struct cel_lib *const libs[] = { &cel_lib_strings, &cel_lib_math,           &cel_lib_lists,     &cel_lib_encoders,
											  &cel_lib_sets,    &cel_lib_bindings,       &cel_lib_optionals, &cel_lib_network,
											  &cel_lib_block,   &cel_lib_comprehensions, &cel_lib_protos };

static struct cel_env *env_of(struct arena *a, const struct cel_limits *limits)
{
	static const char *const names[] = { "x", "y", "m", "l", "s", "a.b", "a.b.c", "u", "v", "gone" };
	struct cel_env *e;

	assert_ok(cel_env_new(a, limits, &e, &err), &err);
	for (size_t i = 0; i < ARRAY_SIZE(libs); i++)
		assert_ok(cel_env_add_lib(e, libs[i], &err), &err);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_ok(cel_env_add_var(e, names[i], &cel_dyn, &err), &err);
	return e;
}

static struct cel_value json(struct arena *a, const char *text)
{
	struct doc_node *n;

	assert_ok(doc_parse_json(a, "json", str_z(text), &n, &err), &err);
	return cel_of_doc(a, n);
}

static struct cel_program *compile(struct arena *a, const struct cel_env *e, const char *text, bool check,
								   struct cel_ast **ret_ast)
{
	struct cel_ast *ast;
	struct cel_program *p;

	assert_ok(cel_parse(a, e, "test", str_z(text), &ast, &err), &err);
	if (check)
		assert_ok(cel_check(a, e, ast, &err), &err);
	assert_ok(cel_compile(a, e, ast, &p, &err), &err);
	if (ret_ast)
		*ret_ast = ast;
	return p;
}

static int eval(struct arena *a, const struct cel_program *p, struct cel_value *ret, uint64_t *ret_cost)
{
	str names[] = { STR("x"), STR("y"), STR("m"), STR("l"), STR("s"), STR("a.b"), STR("a.b.c"), STR("u"), STR("v") };
	struct cel_value values[] = { cel_of_int(7),
								  cel_of_double(2.5),
								  json(a, "{\"k\":1,\"n\":{\"z\":[1,2]},\"none\":null}"),
								  json(a, "[1,2,3]"),
								  cel_of_str(STR("text")),
								  json(a, "{\"c\":\"field\"}"),
								  cel_of_str(STR("variable")),
								  cel_unknown_value(a, STR("u")),
								  cel_unknown_value(a, STR("v")) };
	struct cel_vars vars = { names, values, ARRAY_SIZE(names), NULL, NULL };

	return cel_eval(a, p, &vars, ret, ret_cost, &err);
}

static void print(struct cel_value v, struct buf *out)
{
	cel_print(v, out);
	if (v.kind == CEL_ERROR)
		buf_addf(out, "@%u:%u", v.error->line, v.error->col);
}

struct row {
	const char *text, *want; /* an error: "error(what)@line:col" */
	char only;               /* 'c': checked, 'u': unchecked, 0: both */
};

static void run_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (int check = 0; check < 2; check++) {
			struct arena a = ARENA_INIT(8 << 20);
			struct buf seen = BUF_INIT(1 << 20);
			struct cel_value v;

			if (rows[i].only == (check ? 'u' : 'c'))
				continue;
			assert_ok(eval(&a, compile(&a, env_of(&a, NULL), rows[i].text, check, NULL), &v, NULL), &err);
			print(v, &seen);
			if (strcmp(buf_z(&seen), rows[i].want))
				fail_msg("%s (%s): expected %s, seen %s", rows[i].text, check ? "checked" : "unchecked", rows[i].want,
						 buf_z(&seen));
			buf_fini(&seen);
			arena_fini(&a);
		}
}

static void test_values(void **state)
{
	static const struct row rows[] = {
		{ "1 + 2 * 3 - 4 / 2 % 3", "5", 0 },
		{ "-x + int(y)", "-5", 0 },
		{ "x > 6 ? 'big' : 'small'", "\"big\"", 0 },
		{ "1 == 1.0 && 1u == 1 && 2.5 == y", "true", 'u' },
		{ "[1, 2] + l == [1, 2, 1, 2, 3]", "true", 0 },
		{ "m.n.z[1] + m['k']", "3", 0 },
		{ "has(m.k) && !has(m.q) && has(m.none)", "true", 0 },
		{ "'k' in m && !('q' in m) && 2 in l && !(4 in l)", "true", 0 },
		{ "s in ['a', 'b', 'c', 'text'] && x in [1, 3, 5, 7]", "true", 0 },
		{ "x in ['a', 'b', 'c', 'd'] || 7.0 in [1, 3, 5, 7]", "true", 'u' },
		{ "l.map(i, i * i)", "[1, 4, 9]", 0 },
		{ "l.map(i, i > 1, [i])", "[[2], [3]]", 0 },
		{ "l.filter(i, i != 2)", "[1, 3]", 0 },
		{ "l.all(i, l.exists(j, i == j)) && l.exists_one(i, i == 2)", "true", 0 },
		{ "m.map(k, k)", "[\"k\", \"n\", \"none\"]", 0 },
		{ "{'a': 1, 'b': 2}.transformMap(k, v, v > 1, v * 10)", "{\"b\": 20}", 0 },
		{ "{'a': 1, 'b': 2}.transformMapEntry(k, v, {v: k})", "{1: \"a\", 2: \"b\"}", 0 },
		{ "l.transformList(i, v, i * v)", "[0, 2, 6]", 0 },
		{ "cel.bind(q, x + 1, q * q)", "64", 0 },
		{ "m.?k.orValue(9) + m.?q.orValue(9)", "10", 0 },
		{ "m.?n.?z[?1].or(optional.of(5))", "optional.of(2)", 0 },
		{ "m.?q.z.orValue(1) + m.?q.?z.orValue(2) + m.?q['z'][0].orValue(3)", "6", 0 },
		{ "has(m.?q.z) || m.?q[?0].hasValue() || !has(m.?n.z)", "false", 0 },
		{ "[?m.?k, ?m.?q]", "[1]", 0 },
		{ "{?'a': m.?k, ?'b': m.?q}", "{\"a\": 1}", 0 },
		{ "type(1) == int && type(type(1)) == type", "true", 0 },
		{ "a.b.c", "\"variable\"", 0 },
		{ "string(1.0e6) + string(-0.0) + string(12345.678)", "\"1e+06-012345.678\"", 0 },
		{ "timestamp('2024-02-29T12:00:00+01:00') - duration('1h')", "timestamp(\"2024-02-29T10:00:00Z\")", 0 },
		{ "duration('-1h30m0.5s')", "duration(\"-5400.5s\")", 0 },
		{ "'a,b,,c'.split(',') == ['a', 'b', '', 'c'] && 'h\u00e9llo'.reverse() == 'oll\u00e9h'", "true", 0 },
		{ "[3, 1, 2].sort() + ['b', 'a'].map(q, 1)", "[1, 2, 3, 1, 1]", 0 },
		{ "['bb', 'a', 'ccc'].sortBy(q, -size(q))", "[\"ccc\", \"bb\", \"a\"]", 0 },
		{ "[1, [2, [3]]].flatten(5) + [1, 2, 1].distinct() + lists.range(2) + [1, 2, 3].slice(1, 2)", "[1, 2, 3, 1, 2, 0, 1, 2]",
		  'u' },
		{ "sets.contains([1, 2], [2]) && sets.equivalent([1, 1], [1]) && !sets.intersects([1], [2])", "true", 0 },
		{ "cidr('10.1.2.3/8').masked()", "cidr(\"10.0.0.0/8\")", 0 },
		{ "ip('1:0:0:2:0:0:0:3')", "ip(\"1:0:0:2::3\")", 0 },
		{ "b'\\xff' + b'a'", "b\"\\xffa\"", 0 },
		{ "'%s|%5.2f|%X'.format(['q', 1.0, 255])", "error(could not parse formatting clause: unrecognized '5')@1:15", 0 },
		{ "'%s|%.2f|%X|%%'.format([{'b': 1, 'a': [null]}, 1, 255])", "\"{a: [null], b: 1}|1.00|FF|%\"", 0 },
	};

	(void)state;
	run_rows(rows, ARRAY_SIZE(rows));
}

static void test_errors(void **state)
{
	static const struct row rows[] = {
		{ "1 / 0", "error(division by zero)@1:3", 0 },
		{ "true ||\n 1 / 0 > 0", "true", 0 },
		{ "false ||\n 1 / 0 > 0", "error(division by zero)@2:4", 0 },
		{ "1 / 0 > 0 && false", "false", 0 },
		{ "[1, 1 % 0]", "error(modulus by zero)@1:7", 0 },
		{ "9223372036854775807 + 1", "error(integer overflow)@1:21", 0 },
		{ "0u - 1u", "error(unsigned integer overflow)@1:4", 0 },
		{ "m.q", "error(no such key: \"q\")@1:2", 0 },
		{ "l[3]", "error(index out of bounds: a list of 3 items has none at that index)@1:2", 0 },
		{ "{'a': 1, 'a': 2}", "error(repeated key in a map: \"a\")@1:1", 0 },
		{ "{1: 1, 1u: 2}", "error(repeated key in a map: 1u)@1:1", 'u' },
		{ "dyn('a') + dyn(1)", "error(no such overload: _+_(string, int))@1:10", 0 },
		{ "x ? 1 : 2", "error(no such overload: _?_:_(int))@1:3", 0 },
		{ "gone + 1", "error(undeclared reference to 'gone')@1:1", 0 },
		{ "nowhere.at.all", "error(undeclared reference to 'nowhere.at.all')@1:11", 'u' },
		{ "[?1]", "error(expected an optional value, not int)@1:1", 'u' },
		{ "{?'a': 1}", "error(expected an optional value, not int)@1:1", 'u' },
		{ "f(1) || true", "true", 'u' },
		{ "f(1)", "error(undeclared function 'f')@1:1", 'u' },
		{ "x.size()", "error(no such overload: size(int))@1:3", 0 },
		{ "optional.none().value()", "error(optional.none() has no value)@1:17", 0 },
		{ "'a'.matches('(')", "error(regular expression: missing ): ()@1:5", 0 },
		{ "'a'.matches('(' + '')", "error(regular expression: missing ): ()@1:5", 0 },
		{ "[1, 0].map(i, 1 / i)", "error(division by zero)@1:17", 0 },
		{ "[0, 2].exists(i, 4 / i == 2)", "true", 0 },
		{ "[0, 2].all(i, 4 / i == 2)", "error(division by zero)@1:17", 0 },
		{ "[0, 2].exists_one(i, 4 / i == 2)", "error(division by zero)@1:24", 0 },
		{ "x.map(i, i)", "error(cannot iterate over int)@1:3", 0 },
		{ "timestamp('9999-12-31T23:59:59Z') + duration('1s')", "error(timestamp out of range)@1:35", 0 },
		{ "timestamp(0).getHours('Mars/North')", "error(unknown time zone 'Mars/North')@1:14", 0 },
	};

	(void)state;
	run_rows(rows, ARRAY_SIZE(rows));
}

static void test_unknowns(void **state)
{
	static const struct row rows[] = {
		{ "u", "unknown(u)", 0 },
		{ "u + v + u", "unknown(u, v)", 0 },
		{ "u && false", "false", 0 },
		{ "u || true", "true", 0 },
		{ "u || v", "unknown(u, v)", 0 },
		{ "1 / 0 > 0 || u", "unknown(u)", 0 },
		{ "u.field[0]", "unknown(u)", 0 },
		{ "dyn(1) || u", "unknown(u)", 0 },
		{ "u && dyn('')", "unknown(u)", 0 },
		{ "u ? 1 : 2", "unknown(u)", 0 },
		{ "has(u.field)", "unknown(u)", 0 },
		{ "[1, u, v]", "unknown(u, v)", 0 },
		{ "size(u)", "unknown(u)", 0 },
		{ "u.map(i, i)", "unknown(u)", 0 },
		{ "[1, 2].map(i, i == 1 ? u : v)", "unknown(u, v)", 0 },
		{ "[1, 2].all(i, i == 2 ? false : u)", "false", 0 },
		{ "u == v", "unknown(u, v)", 0 },
		{ "1 in u", "unknown(u)", 0 },
	};

	(void)state;
	run_rows(rows, ARRAY_SIZE(rows));
}

/* --- limits: all of these must end soon, with a code or an error value --- */

static void expect_limit(const char *text, size_t memory, uint64_t cost_max, const char *part)
{
	struct arena a = ARENA_INIT(64 << 20), run = ARENA_INIT(memory);
	struct cel_limits limits = { .cost_max = cost_max };
	struct cel_program *p = compile(&a, env_of(&a, &limits), text, false, NULL);
	struct cel_value v;

	assert_err(eval(&run, p, &v, NULL), WEIR_ELIMIT);
	if (!strstr(err.msg, part))
		fail_msg("%s: expected '%s' in '%s'", text, part, err.msg);
	arena_fini(&run);
	arena_fini(&a);
}

static void test_limits(void **state)
{
	(void)state;
	expect_limit("lists.range(1000).all(a, lists.range(1000).all(b, lists.range(1000).all(c, true)))", 256 << 20, 100000,
				 "100000");
	expect_limit("lists.range(1000).map(a, lists.range(1000).map(b, lists.range(1000)))", 1 << 20, 0, "memory");
	expect_limit("cel.bind(a, s + s + s + s + s + s + s + s, cel.bind(b, a + a + a + a + a + a + a + a, cel.bind(c, b + b + b + "
				 "b + b + b + b + b,"
				 "cel.bind(d, c + c + c + c + c + c + c + c, cel.bind(e, d + d + d + d + d + d + d + d, e + e + e + e + e + e + "
				 "e + e)))))",
				 64 << 10, 0, "memory");
	expect_limit("cel.bind(r, lists.range(700), r.all(a, r.all(b, r.all(c, true))))", 256 << 20, 100000, "100000");
	expect_limit("x + x + x + x", 1 << 20, 6, "more than 6");
	expect_limit("s == s && s.startsWith(s) && x == 1 && true", 1 << 20, 5, "more than 5");
	/* lists that share their parts: small to hold, 2^24 items to compare */
	expect_limit(
		"cel.bind(a, [x, x, x, x], cel.bind(b, [a, a, a, a], cel.bind(c, [b, b, b, b], cel.bind(d, [c, c, c, c], cel.bind(e, [d, "
		"d, d, d],"
		"cel.bind(f, [e, e, e, e], cel.bind(g, [f, f, f, f], cel.bind(h, [g, g, g, g], [h, h, h, h] == [h, h, h, h]))))))))",
		1 << 20, 1000, "work");
	expect_limit("lists.range(60000).distinct()", 64 << 20, 100000, "work");
	expect_limit("lists.range(2000).all(i, s.matches('((a{30}){30})?' + string(i)) || true)", 64 << 20, 100000, "work");
}

static void test_cost_is_counted(void **state)
{
	struct arena a CLEANUP_ARENA = ARENA_INIT(8 << 20);
	struct cel_env *e = env_of(&a, NULL);
	struct cel_value v;
	uint64_t cost;
	static const struct {
		const char *text;
		uint64_t cost;
	} rows[] = { { "1", 0 },
				 { "x", 1 },
				 { "x + 1", 2 },
				 { "m.n.z", 3 },
				 { "[1, 2, 3]", 10 },
				 { "x > 1 && x < 9", 4 },
				 { "l.all(i, i > 0)", 17 },
				 { "true || x > 1", 0 },
				 { "'0123456789' == '0123456789'", 2 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_ok(eval(&a, compile(&a, e, rows[i].text, true, NULL), &v, &cost), &err);
		if (cost != rows[i].cost)
			fail_msg("%s: expected a cost of %llu, seen %llu", rows[i].text, (unsigned long long)rows[i].cost,
					 (unsigned long long)cost);
	}
}

/* --- the embedder's side --- */

static void test_slots(void **state)
{
	struct arena a CLEANUP_ARENA = ARENA_INIT(8 << 20);
	struct cel_program *p = compile(&a, env_of(&a, NULL), "x + y", true, NULL);
	struct cel_value slots[2], v;

	(void)state;
	assert_int_equal(cel_program_slots(p), 2);
	assert_int_equal(cel_program_slot(p, STR("l")), -1);
	slots[cel_program_slot(p, STR("x"))] = cel_of_int(40);
	slots[cel_program_slot(p, STR("y"))] = cel_of_int(2);
	assert_ok(cel_eval_slots(&a, p, slots, &v, NULL, &err), &err);
	assert_int_equal(v.i, 42);
	slots[cel_program_slot(p, STR("y"))] = (struct cel_value){ .kind = CEL_ERROR };
	assert_ok(cel_eval_slots(&a, p, slots, &v, NULL, &err), &err);
	assert_int_equal(v.kind, CEL_ERROR);
	assert_str(v.error->msg, "undeclared reference to 'y'");
}

static struct cel_value twice(struct cel_call *c, const struct cel_value *args, size_t n)
{
	(void)n;
	return cel_of_int(args[0].i * *(const int64_t *)c->ctx);
}

static bool find(void *ctx, str name, struct cel_value *ret)
{
	*ret = cel_of_int(*(const int64_t *)ctx);
	return str_eqz(name, "x");
}

static void test_embedder(void **state)
{
	static int64_t two = 2;
	static const struct cel_function f = { "int.times() -> int", "int_times", twice, CEL_COST_1, &two };
	struct arena a CLEANUP_ARENA = ARENA_INIT(8 << 20);
	struct cel_env *e = env_of(&a, NULL);
	struct cel_vars vars = { .find = find, .ctx = &two };
	struct cel_value v;

	(void)state;
	assert_ok(cel_env_add_function(e, &f, &err), &err);
	assert_ok(cel_eval(&a, compile(&a, e, "x.times() + x", true, NULL), &vars, &v, NULL, &err), &err);
	assert_int_equal(v.i, 6);
	assert_ok(cel_eval(&a, compile(&a, e, "y", true, NULL), &vars, &v, NULL, &err), &err);
	assert_int_equal(v.kind, CEL_ERROR);
}

static void test_zones(void **state)
{
	struct arena a CLEANUP_ARENA = ARENA_INIT(8 << 20);
	struct cel_zones z = { zones_offset, NULL };
	struct zones *files;
	struct cel_program *p =
		compile(&a, env_of(&a, NULL), "timestamp('2024-07-01T00:30:00Z').getHours('Europe/Oslo')", true, NULL);
	struct cel_value v;

	(void)state;
	if (zones_open("/usr/share/zoneinfo", &files, &err)) {
		print_message("skipped: %s\n", err.msg);
		skip();
	}
	z.ctx = files;
	cel_program_set_zones(p, &z);
	assert_ok(eval(&a, p, &v, NULL), &err);
	assert_int_equal(v.i, 2);
	zones_free(files);
}

/* --- properties --- */

/* Expressions grown from a seed: every evaluation is the same twice, within the estimate, and prints what reads back. */
static uint64_t seed;
static unsigned pick(unsigned n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % n;
}

static void grow(struct buf *out, int depth)
{
	static const char *const leaves[] = { "x",   "y",    "l",    "s",    "1",   "0", "2.5",    "3u",
										  "'q'", "b'z'", "true", "null", "m.k", "u", "[1, 2]", "{'a': 1}" };
	static const char *const ops[] = { " + ", " - ", " * ", " / ", " % ", " == ", " < ", " && ", " || ", " in " };
	static const char *const macros[] = { "all", "exists", "exists_one", "map", "filter" };
	unsigned kind = depth <= 0 ? 0 : pick(8);

	if (kind == 0) {
		buf_addz(out, leaves[pick(ARRAY_SIZE(leaves))]);
	} else if (kind <= 3) {
		buf_addc(out, '(');
		grow(out, depth - 1);
		buf_addz(out, ops[pick(ARRAY_SIZE(ops))]);
		grow(out, depth - 1);
		buf_addc(out, ')');
	} else if (kind == 4) {
		buf_addc(out, '(');
		grow(out, depth - 1);
		buf_addz(out, " ? ");
		grow(out, depth - 1);
		buf_addz(out, " : ");
		grow(out, depth - 1);
		buf_addc(out, ')');
	} else if (kind == 5) {
		buf_addz(out, "dyn(");
		grow(out, depth - 1);
		buf_addf(out, ").%s(e, ", macros[pick(ARRAY_SIZE(macros))]);
		grow(out, depth - 1);
		buf_addc(out, ')');
	} else {
		buf_addc(out, '[');
		grow(out, depth - 1);
		buf_addz(out, kind == 6 ? "][0]" : ", e]");
	}
}

static void check_properties(const char *text)
{
	struct arena a CLEANUP_ARENA = ARENA_INIT(16 << 20);
	struct cel_env *e = env_of(&a, NULL);
	struct buf one CLEANUP_BUF = BUF_INIT(1 << 20), two CLEANUP_BUF = BUF_INIT(1 << 20), read CLEANUP_BUF = BUF_INIT(1 << 20);
	struct cel_ast *ast;
	struct cel_program *p;
	struct cel_value v, w;
	struct cel_cost bounds;
	uint64_t cost, again;

	assert_ok(cel_env_add_var(e, "e", &cel_dyn, &err), &err);
	assert_ok(cel_parse(&a, e, "grown", str_z(text), &ast, &err), &err);
	if (cel_check(&a, e, ast, &err))
		return;
	assert_ok(cel_compile(&a, e, ast, &p, &err), &err);
	assert_ok(eval(&a, p, &v, &cost), &err);
	assert_ok(eval(&a, p, &w, &again), &err);
	print(v, &one);
	print(w, &two);
	assert_int_equal(cost, again);
	assert_string_equal(buf_z(&one), buf_z(&two));
	assert_ok(cel_cost_estimate(ast, NULL, NULL, &bounds, &err), &err);
	if (cost < bounds.min || cost > bounds.max)
		fail_msg("%s: cost %llu, estimated %llu to %llu", text, (unsigned long long)cost, (unsigned long long)bounds.min,
				 (unsigned long long)bounds.max);
	if (v.kind == CEL_ERROR) {
		assert_true(v.error->line > 0);
	} else if (v.kind != CEL_UNKNOWN && !strstr(buf_z(&one), "unknown") && !strstr(buf_z(&one), "error")) {
		assert_ok(eval(&a, compile(&a, e, buf_z(&one), false, NULL), &w, NULL), &err);
		print(w, &read);
		assert_string_equal(buf_z(&one), buf_z(&read));
	}
}

static void test_properties(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= 1500; i++) {
		struct buf text CLEANUP_BUF = BUF_INIT(1 << 20);

		seed = i;
		grow(&text, 4);
		if (text.len < 4000)
			check_properties(buf_z(&text));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),   cmocka_unit_test(test_errors),          cmocka_unit_test(test_unknowns),
		cmocka_unit_test(test_limits),   cmocka_unit_test(test_cost_is_counted), cmocka_unit_test(test_slots),
		cmocka_unit_test(test_embedder), cmocka_unit_test(test_zones),           cmocka_unit_test(test_properties),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
