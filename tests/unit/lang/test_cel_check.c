/* What the public suites do not pin of the checker, types and environments: error texts, suggestions, limits, declarations. */
#include "cel_fixture.h"

static void assert_type(struct fixture *f, const char *text, const char *want)
{
	struct buf b CLEANUP_BUF = BUF_INIT(1 << 20);

	if (fixture_check(f, text))
		fail_msg("%s: %s", text, f->err.msg);
	cel_type_print(cel_ast_type(f->ast), &b);
	if (strcmp(buf_z(&b), want))
		fail_msg("%s: expected %s, seen %s", text, want, buf_z(&b));
}

static void test_types(void **state)
{
	static const char *const rows[][2] = {
		{ "[1, 'a']", "list(dyn)" },
		{ "[[], [1]]", "list(list(int))" },
		{ "[1, null]", "list(dyn)" },
		{ "{}", "map(dyn, dyn)" },
		{ "{'a': l}", "map(string, list(int))" },
		{ "x.y.z", "dyn" },
		{ "m.a", "int" },
		{ "m.?a", "optional_type(int)" },
		{ "l[?0]", "optional_type(int)" },
		{ "x[0]", "dyn" },
		{ "a.b.c", "string" },
		{ "l.map(v, string(v))", "list(string)" },
		{ "m.map(k, k)", "list(string)" },
		{ "names.filter(v, v != '')", "list(string)" },
		{ "l.transformMap(i, v, 'a')", "map(int, string)" },
		{ "l.transformList(i, v, i + v)", "list(int)" },
		{ "cel.bind(t, n, [t])", "list(int)" },
		{ "true ? n : 2", "int" },
		{ "true ? x : 2", "dyn" },
		{ "type(n)", "type(int)" },
		{ "optional.of(n).optMap(v, string(v))", "optional_type(string)" },
		{ "optional.none().orValue(1)", "int" },
		{ "[?m.?a, 2]", "list(int)" },
		{ "{?'a': m.?a}", "map(string, int)" },
		{ "math.greatest(1, 2)", "int" },
		{ "math.greatest([1.5])", "double" },
		{ "ip('::1')", "net.IP" },
		{ "timestamp('') - timestamp('')", "duration" },
		{ "n in l && 'a' in m", "bool" },
		{ "dyn(n) + 1.5", "double" },
		{ "x + x", "dyn" },
		{ "size(x) + x.size()", "int" },
		{ "l.map(x, x.map_key)", "" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i + 1 < ARRAY_SIZE(rows); i++)
		assert_type(f, rows[i][0], rows[i][1]);
	assert_err(fixture_check(f, rows[ARRAY_SIZE(rows) - 1][0]), WEIR_EINVAL);
}

static void test_problems(void **state)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
		{ "1 + nope", "t:1:5: name 'nope' is not declared\n | 1 + nope\n | ....^" },
		{ "naems.size() > 0", "name 'naems' is not declared; did you mean 'names'?" },
		{ "s.startWith('a')", "t:1:3: function 'startWith' is not declared; did you mean 'startsWith'?" },
		{ "siz(l)", "function 'siz' is not declared; did you mean 'size'?" },
		{ "1 + 'a'", "t:1:3: no form of '+' takes (int, string)" },
		{ "!n", "no form of '!' takes (int)" },
		{ "-s", "no form of '-' takes (string)" },
		{ "true ? 1 : 'a'", "no form of '? :' takes (bool, int, string)" },
		{ "n in n", "no form of 'in' takes (int, int)" },
		{ "s.startsWith(1)", "no form of 'string.startsWith' takes (int)" },
		{ "size(1)", "no form of 'size' takes (int)" },
		{ "n.f", "a value of type int has no fields: '.f'" },
		{ "n.all(v, true)", "t:1:1: a macro goes over lists and maps, not over int" },
		{ "l.all(v, v)", "bool is expected" },
		{ "[?n]", "behind '?' an optional is expected, not int" },
		{ "{?'a': n}", "behind '?' an optional is expected, not int" },
		{ "int{}", "type 'int' is no message" },
		{ "n{}", "'n' is no type but a value of type int" },
		{ "Nope{a: 1}", "name 'Nope' is not declared" },
		{ "f(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,"
		  "1,1,1,1,1,1)",
		  "function 'f' is not declared" },
		{ "size(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,"
		  "1,1,1,1,1,1,1,1)",
		  "a call has at most 63 arguments" },
		{ "l.all(v, v > 0) && v > 0", "name 'v' is not declared" },
		{ "s.f(1,2) || nope || 1", "(and 2 more)" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (fixture_check(f, rows[i].text) != -WEIR_EINVAL)
			fail_msg("'%s' checks", rows[i].text);
		if (!strcmp(rows[i].text, "l.all(v, v)"))
			assert_message(f, "no form of '&&' takes (bool, int)");
		else
			assert_message(f, rows[i].message);
	}
}

static void test_problem_list(void **state)
{
	struct fixture *f = *state;
	struct buf text CLEANUP_BUF = BUF_INIT(1 << 20), shown CLEANUP_BUF = BUF_INIT(1 << 20);
	const struct cel_problem *p;
	size_t n;

	buf_addz(&text, "[one,\n two");
	for (int i = 0; i < 12000; i++)
		buf_addf(&text, ",\n v%d", i);
	buf_addc(&text, ']');
	assert_err(fixture_check(f, buf_z(&text)), WEIR_EINVAL);
	assert_message(f, "(and 12001 more)");
	p = cel_ast_problems(f->ast, &n);
	assert_int_equal(n, 100);
	assert_int_equal(p[1].line, 2);
	assert_int_equal(p[1].col, 2);
	cel_problem_print(f->ast, &p[1], &shown);
	assert_string_equal(buf_z(&shown), "t:2:2: name 'two' is not declared\n |  two,\n | .^");
}

/* Names in a container: the longest prefix first; a leading dot is the root; a local variable hides both. */
static void test_container(void **state)
{
	struct fixture *f = *state;
	struct buf b CLEANUP_BUF = BUF_INIT(1 << 20);

	cel_env_set_container(f->env, STR("a.b"));
	assert_ok(cel_env_add_var(f->env, "a.n", &cel_bool, &f->err), &f->err);
	assert_type(f, "c", "string");
	assert_type(f, "n", "bool");
	assert_type(f, ".n", "int");
	assert_type(f, "[1.5].map(n, n)", "list(double)");
	assert_type(f, "[1.5].map(n, .n)", "list(int)");
	cel_ast_print(f->ast, true, &b);
	assert_non_null(strstr(buf_z(&b), ".n~int^.n"));
	assert_type(f, "[{'c': 1}].map(a, a.c)", "list(int)");
	assert_err(fixture_check(f, "nope"), WEIR_EINVAL);
	assert_message(f, "(in container 'a.b')");
}

/* --- types as text --- */

static void test_type_text(void **state)
{
	static const char *const same[] = { "int",          "list(map(string, dyn))",
										"wrapper(int)", "optional_type(list(bool))",
										"type(int)",    "type",
										"null",         "timestamp",
										"duration",     "any",
										"net.IP",       "A",
										"set(A, B2)" };
	static const char *const bad[][2] = {
		{ "", "stands where a type is expected" },
		{ "list(", "stands where a type is expected" },
		{ "list(int", "has no closing ')'" },
		{ "map(int)", "has a wrong number of parameters" },
		{ "int(int)", "takes no parameters" },
		{ "nope", "is not a type" },
		{ "int x", "stands after the end" },
		{ "t(A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A)", "more than 16 parameters" },
		{ "list(list(list(list(list(list(list(list(list(list(list(list(list(list(list(list(list(list(list(list(list(list(list("
		  "list(list(list("
		  "list(list(list(list(list(list(list(list(int))))))))))))))))))))))))))))))))))",
		  "nested deeper than 32 levels" },
	};
	struct fixture *f = *state;
	const struct cel_type *t, *again;

	for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
		struct buf b CLEANUP_BUF = BUF_INIT(1000);

		assert_ok(cel_type_parse(&f->a, f->env, str_z(same[i]), &t, &f->err), &f->err);
		cel_type_print(t, &b);
		assert_string_equal(buf_z(&b), same[i]);
		assert_ok(cel_type_parse(&f->a, f->env, buf_str(&b), &again, &f->err), &f->err);
		assert_true(cel_type_equal(t, again));
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_true(cel_type_parse(&f->a, f->env, str_z(bad[i][0]), &t, &f->err) < 0);
		assert_message(f, bad[i][1]);
	}
	assert_err(cel_type_parse(&f->a, NULL, STR("net.IP"), &t, &f->err), WEIR_EINVAL);
}

/* --- declarations --- */

static struct cel_value one(struct cel_call *c, const struct cel_value *args, size_t n)
{
	(void)c;
	(void)args;
	(void)n;
	return cel_of_int(1);
}

static void test_declarations(void **state)
{
	static const struct cel_function good[] = {
		{ "f() -> int", "f_0", one, CEL_COST_1, NULL },
		{ "f(list(A), map(string, A)) -> A", "f_2", one, CEL_COST_1, NULL },
		{ "map(string, A).g(A) -> A", "g_1", one, CEL_COST_1, NULL },
		{ "my.pkg.h(int) -> bool", "h_1", one, CEL_COST_1, NULL },
		{ "_<_(int) -> bool", "odd_less", one, CEL_COST_1, NULL },
	};
	static const struct {
		struct cel_function f;
		const char *message;
	} bad[] = {
		{ { "f", "x", one, CEL_COST_1, NULL }, "expected 'name(types) -> type'" },
		{ { "f() int", "x", one, CEL_COST_1, NULL }, "expected 'name(types) -> type'" },
		{ { "() -> int", "x", one, CEL_COST_1, NULL }, "expected 'name(types) -> type'" },
		{ { "f(nope) -> int", "x", one, CEL_COST_1, NULL }, "signature 'f(nope) -> int': type 'nope': 'nope' is not a type" },
		{ { "f() -> ", "x", one, CEL_COST_1, NULL }, "stands where a type is expected" },
		{ { "f(int) -> int", NULL, one, CEL_COST_1, NULL }, "needs a signature and the id" },
		{ { "f(int) -> int", "f_0", one, CEL_COST_1, NULL }, "overload 'f_0' is declared twice" },
		{ { "f(A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A) -> int", "x", one, CEL_COST_1, NULL }, "more than 16 parameters" },
	};
	struct fixture *f = *state;
	char name[2000];

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_ok(cel_env_add_function(f->env, &good[i], &f->err), &f->err);
	assert_type(f, "f() + f([1], {'a': 2})", "int");
	assert_type(f, "{'a': 'b'}.g('c')", "string");
	assert_type(f, "my.pkg.h(1)", "bool");
	cel_env_set_container(f->env, STR("my.pkg"));
	assert_type(f, "h(1)", "bool");
	cel_env_switch(f->env, CEL_F_MIXED_COMPARISONS, false);
	assert_type(f, "1 < 2", "bool");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (!cel_env_add_function(f->env, &bad[i].f, &f->err))
			fail_msg("%s is taken", bad[i].f.signature);
		assert_message(f, bad[i].message);
	}
	assert_err(cel_env_add_var(f->env, "n", &cel_int, &f->err), WEIR_EEXIST);
	assert_err(cel_env_add_var(f->env, "", &cel_int, &f->err), WEIR_EINVAL);
	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_err(cel_env_add_var(f->env, name, &cel_int, &f->err), WEIR_ELIMIT);
	assert_err(cel_env_add_lib(f->env, &cel_lib_strings, &f->err), WEIR_EEXIST);
	assert_message(f, "library strings");
}

/* --- limits --- */

/* {a: a} in bindings: a type that is exponentially large when looked at as a tree. */
static void test_large_types(void **state)
{
	struct fixture *f = *state;
	struct buf b CLEANUP_BUF = BUF_INIT(1 << 20);

	for (int i = 0; i < 60; i++)
		buf_addf(&b, "cel.bind(v%d, %s%d%s, ", i + 1, i ? "{1: v" : "{1: ", i, i ? "}" : "}");
	buf_addz(&b, "[v60, v60]");
	for (int i = 0; i < 60; i++)
		buf_addc(&b, ')');
	assert_ok(fixture_check(f, buf_z(&b)), &f->err);
	buf_clear(&b);
	for (int i = 0; i < 60; i++)
		buf_addf(&b, "cel.bind(v%d, {v%d: v%d, v%d: [v%d][0]}, ", i + 1, i, i, i, i);
	buf_addz(&b, "v60 == v60");
	for (int i = 0; i < 60; i++)
		buf_addc(&b, ')');
	assert_ok(cel_env_add_var(f->env, "v0", &cel_int, &f->err), &f->err);
	assert_type(f, buf_z(&b), "bool");
	/* the same with empty lists, whose types are open */
	buf_clear(&b);
	buf_addz(&b, "cel.bind(w0, [], ");
	for (int i = 0; i < 60; i++)
		buf_addf(&b, "cel.bind(w%d, {w%d: [w%d]}, ", i + 1, i, i);
	buf_addz(&b, "w60 == {w59: [w59]}");
	for (int i = 0; i < 61; i++)
		buf_addc(&b, ')');
	assert_type(f, buf_z(&b), "bool");
}

static void test_memory(void **state)
{
	struct fixture *f = *state;
	bool whole = false;

	assert_ok(fixture_parse(
				  f, "[?m.?a, 2].map(v, {'a': v}).exists(w, w.a > n || x.y[0] == w) && l.transformMap(i, v, [i, v]) == {1: [2]}"),
			  &f->err);
	for (size_t max = 0; max < 400000 && !whole; max += 48) {
		struct arena a = ARENA_INIT(max), tree = ARENA_INIT(1 << 20);
		struct cel_ast *ast;
		int r;

		assert_ok(cel_parse(&tree, f->env, "t",
							STR("[?m.?a, 2].map(v, {'a': v}).exists(w, w.a > n || x.y[0] == w) && "
								"l.transformMap(i, v, [i, v]) == {1: [2]}"),
							&ast, &f->err),
				  &f->err);
		r = cel_check(&a, f->env, ast, &f->err);
		assert_true(r == 0 || r == -WEIR_ELIMIT);
		whole = !r;
		arena_fini(&a);
		arena_fini(&tree);
	}
	assert_true(whole);
}

/* An environment that does not fit says so, whichever allocation fails. */
static void test_env_memory(void **state)
{
	struct fixture *f = *state;
	bool whole = false;

	for (size_t max = 0; max < (1 << 20) && !whole; max += max < 4096 ? 16 : 1008) {
		struct arena a = ARENA_INIT(max);
		struct cel_env *env;
		int r = cel_env_new(&a, NULL, &env, &f->err);

		if (!r)
			r = cel_env_add_lib(env, &cel_lib_network, &f->err);
		if (!r)
			r = cel_env_add_var(env, "v", &cel_int, &f->err);
		if (r != 0 && r != -WEIR_ELIMIT)
			fail_msg("%zu bytes: %s", max, f->err.msg);
		whole = !r;
		arena_fini(&a);
	}
	assert_true(whole);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CEL_TEST(test_types),       CEL_TEST(test_problems),  CEL_TEST(test_problem_list),
		CEL_TEST(test_container),   CEL_TEST(test_type_text), CEL_TEST(test_declarations),
		CEL_TEST(test_large_types), CEL_TEST(test_memory),    CEL_TEST(test_env_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
