/* fuzz_cel_parse.c - no text crashes, hangs or overruns the front of CEL: what parses is checked, estimated and written as text,
 * which must parse to the same tree; checking twice finds the same. */
#include "base/base.h"
#include "lang/cel/cel-message.h"
#include "lang/cel/cel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MEMORY = 64 << 20, TEXT_MAX = 16 << 20 };

/* An environment with every library, made once. */
static const struct cel_env *environment(void)
{
	static const struct cel_lib *const libs[] = { &cel_lib_strings,        &cel_lib_math,    &cel_lib_lists,
												  &cel_lib_encoders,       &cel_lib_sets,    &cel_lib_bindings,
												  &cel_lib_optionals,      &cel_lib_network, &cel_lib_block,
												  &cel_lib_comprehensions, &cel_lib_protos };
	static struct arena arena = ARENA_INIT(MEMORY); /* as long as the program */
	static struct cel_env *env;
	struct cel_pool *pool;
	bool ok;

	if (env)
		return env;
	ok = !cel_env_new(&arena, NULL, &env, NULL) && !cel_pool_new(&arena, &pool, NULL);
	for (size_t i = 0; ok && i < ARRAY_SIZE(libs); i++)
		ok = !cel_env_add_lib(env, libs[i], NULL);
	ok = ok && !cel_env_add_var(env, "x", &cel_dyn, NULL) && !cel_env_add_var(env, "l", &cel_list_dyn, NULL) &&
		 !cel_env_add_var(env, "a.b", &cel_map_dyn, NULL) && !cel_env_add_var(env, "s", &cel_string, NULL);
	if (!ok)
		BUG("no environment");
	cel_env_set_pool(env, pool);
	cel_env_set_container(env, STR("a.c"));
	return env;
}

static void print(const struct cel_ast *ast, bool checked, struct buf *out)
{
	buf_clear(out);
	cel_ast_print(ast, checked, out);
}

/* The tree of `text`, checked when that goes; false when it does not parse. */
static bool read(struct arena *a, str text, struct buf *tree, struct buf *checked, struct buf *as_text)
{
	struct cel_ast *ast;
	struct cel_cost cost;

	buf_clear(checked);
	if (cel_parse(a, environment(), "fuzz", text, &ast, NULL))
		return false;
	print(ast, false, tree);
	buf_clear(as_text);
	cel_unparse(ast, as_text);
	if (cel_check(a, environment(), ast, NULL))
		return true;
	print(ast, true, checked);
	if (!cel_cost_estimate(ast, NULL, NULL, &cost, NULL) && cost.min > cost.max)
		BUG("an estimate from %llu to %llu", (unsigned long long)cost.min, (unsigned long long)cost.max);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = ARENA_INIT(MEMORY), b = ARENA_INIT(MEMORY);
	struct buf tree = BUF_INIT(TEXT_MAX), checked = BUF_INIT(TEXT_MAX), text = BUF_INIT(TEXT_MAX);
	struct buf tree2 = BUF_INIT(TEXT_MAX), checked2 = BUF_INIT(TEXT_MAX), text2 = BUF_INIT(TEXT_MAX);

	/* Parentheses of its own may put the text over the limits of depth and length: then there is nothing to compare. */
	if (read(&a, str_n((const char *)data, size), &tree, &checked, &text) &&
		read(&b, buf_str(&text), &tree2, &checked2, &text2)) {
		if (!tree.failed && !tree2.failed && !str_eq(buf_str(&tree), buf_str(&tree2)))
			BUG("%s is another tree than what it was written from", buf_z(&text));
		if (!text.failed && !text2.failed && !str_eq(buf_str(&text), buf_str(&text2)))
			BUG("written again, %s becomes %s", buf_z(&text), buf_z(&text2));
		if (checked.len && checked2.len && !checked.failed && !str_eq(buf_str(&checked), buf_str(&checked2)))
			BUG("%s checks in two ways", buf_z(&text));
	} else if (text.len && !text.failed && text.len < 1000 && tree.len) {
		BUG("what was written does not parse: %s", buf_z(&text));
	}
	buf_fini(&tree);
	buf_fini(&checked);
	buf_fini(&text);
	buf_fini(&tree2);
	buf_fini(&checked2);
	buf_fini(&text2);
	arena_fini(&a);
	arena_fini(&b);
	return 0;
}
