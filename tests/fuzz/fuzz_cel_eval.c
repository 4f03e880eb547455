/* fuzz_cel_eval.c - no expression crashes, hangs or overruns the compiler and the machine; evaluating twice gives the same value
 * at the same cost; a cost stays within the static estimate; what is printed reads back as the same value. The first byte of the
 * input chooses whether the expression is checked. */
#include "base/base.h"
#include "lang/cel/cel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char vars_json[] =
	"{\"i\":7,\"d\":-0.5,\"s\":\"t\xc3\xa9xt\",\"b\":true,\"n\":null,\"l\":[1,2.5,\"x\",null,[3],{\"k\":\"v\"}],"
	"\"m\":{\"a\":1,\"b\":{\"c\":[1,2,3]},\"list\":[\"p\",\"q\"]}}";

static struct cel_env *make_env(struct arena *a)
{
	static const struct cel_lib *const libs[] = { &cel_lib_strings,        &cel_lib_math,    &cel_lib_lists,
												  &cel_lib_encoders,       &cel_lib_sets,    &cel_lib_bindings,
												  &cel_lib_optionals,      &cel_lib_network, &cel_lib_block,
												  &cel_lib_comprehensions, &cel_lib_protos };
	static const char *const names[] = { "i", "d", "s", "b", "n", "l", "m", "u" };
	static const struct cel_type *const types[] = { &cel_int, &cel_double,   &cel_string,  &cel_bool,
													&cel_dyn, &cel_list_dyn, &cel_map_dyn, &cel_dyn };
	const struct cel_limits limits = { .text_max = 4096, .depth_max = 60, .nodes_max = 5000, .cost_max = 50000 };
	struct cel_env *e;

	if (cel_env_new(a, &limits, &e, NULL))
		BUG("no environment");
	for (size_t i = 0; i < ARRAY_SIZE(libs); i++)
		if (cel_env_add_lib(e, libs[i], NULL))
			BUG("library %zu", i);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (cel_env_add_var(e, names[i], types[i], NULL))
			BUG("variable %zu", i);
	return e;
}

static bool find(void *ctx, str name, struct cel_value *ret)
{
	const struct cel_value *vars = ctx, *v = cel_map_get(vars[0].map, cel_of_str(name));

	if (v)
		*ret = *v;
	else if (str_eqz(name, "u"))
		*ret = vars[1];
	return v || str_eqz(name, "u");
}

static void read_back(struct arena *a, const struct cel_env *e, struct cel_value v, str text)
{
	struct cel_ast *ast;
	struct cel_program *p;
	struct cel_value again;
	struct buf two = BUF_INIT(1 << 20);

	if (cel_parse(a, e, "printed", text, &ast, NULL) || cel_compile(a, e, ast, &p, NULL) ||
		cel_eval(a, p, NULL, &again, NULL, NULL))
		return; /* longer than the limits of this target */
	cel_print(again, &two);
	if (!str_eq(text, buf_str(&two)))
		BUG("printed %.*s, read back as %.*s", STR_ARG(text), STR_ARG(buf_str(&two)));
	(void)v;
	buf_fini(&two);
}

static bool has_literal(struct cel_value v)
{
	return v.kind <= CEL_LIST || (v.kind == CEL_MAP && cel_map_len(v.map) < 100);
}

static void evaluate(struct arena *a, const struct cel_env *e, const struct cel_ast *ast, bool checked,
					 const struct cel_value *values)
{
	struct cel_vars vars = { .find = find, .ctx = (void *)(uintptr_t)values };
	struct cel_program *p;
	struct cel_value one, two;
	struct cel_cost bounds;
	struct buf text = BUF_INIT(1 << 16), again = BUF_INIT(1 << 16), json = BUF_INIT(1 << 16);
	uint64_t cost = 0, cost_again = 0;
	int r, s;

	if (cel_compile(a, e, ast, &p, NULL))
		return;
	r = cel_eval(a, p, &vars, &one, &cost, NULL);
	s = a->failed ? r : cel_eval(a, p, &vars, &two, &cost_again, NULL);
	if (!r && !s) {
		cel_print(one, &text);
		cel_print(two, &again);
		if (cost != cost_again || !str_eq(buf_str(&text), buf_str(&again)))
			BUG("two evaluations differ");
		if (checked && !cel_cost_estimate(ast, NULL, NULL, &bounds, NULL) && (cost > bounds.max || cost < bounds.min))
			BUG("cost %llu, estimated %llu to %llu", (unsigned long long)cost, (unsigned long long)bounds.min,
				(unsigned long long)bounds.max);
		if (cel_to_json(one, &json, NULL))
			buf_clear(&json);
		if (has_literal(one) && !text.failed && !strstr(buf_z(&text), "error(") && !strstr(buf_z(&text), "unknown("))
			read_back(a, e, one, buf_str(&text));
	}
	buf_fini(&text);
	buf_fini(&again);
	buf_fini(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct arena kept = ARENA_INIT(64 << 20); /* the environment: made once */
	static struct cel_env *e;
	static struct cel_value values[2];
	struct arena a = ARENA_INIT(4 << 20);
	struct cel_ast *ast;
	struct doc_node *doc;
	bool check;

	if (!e) {
		e = make_env(&kept);
		if (doc_parse_json(&kept, "vars", str_z(vars_json), &doc, NULL))
			BUG("the variables cannot be read");
		values[0] = cel_of_doc(&kept, doc);
		values[1] = cel_unknown_value(&kept, STR("u"));
	}
	if (!size)
		return 0;
	check = data[0] & 1;
	if (!cel_parse(&a, e, "fuzz", str_n((const char *)data + 1, size - 1), &ast, NULL) &&
		(!check || !cel_check(&a, e, ast, NULL)))
		evaluate(&a, e, ast, check, values);
	arena_fini(&a);
	return 0;
}
