/* cel_fixture.h - one arena and environment per test of the CEL front, with every library and a few variables. */
#ifndef WEIR_TESTS_CEL_FIXTURE_H
#define WEIR_TESTS_CEL_FIXTURE_H

#include "tests/lib/test.h"

#include "lang/cel/cel-func.h"
#include "lang/cel/cel-message.h"
#include "lang/cel/cel.h"

struct fixture {
	struct arena a;
	struct cel_env *env;
	struct cel_ast *ast;
	struct err err;
};

static inline int fixture_setup(void **state)
{
	static const struct cel_lib *const libs[] = { &cel_lib_strings,        &cel_lib_math,    &cel_lib_lists,
												  &cel_lib_encoders,       &cel_lib_sets,    &cel_lib_bindings,
												  &cel_lib_optionals,      &cel_lib_network, &cel_lib_block,
												  &cel_lib_comprehensions, &cel_lib_protos };
	static const char *const vars[][2] = { { "x", "dyn" },
										   { "n", "int" },
										   { "s", "string" },
										   { "l", "list(int)" },
										   { "names", "list(string)" },
										   { "m", "map(string, int)" },
										   { "a.b.c", "string" } };
	struct fixture *f = calloc(1, sizeof(*f));
	const struct cel_type *t;

	arena_init(&f->a, 64 << 20);
	assert_ok(cel_env_new(&f->a, NULL, &f->env, &f->err), &f->err);
	for (size_t i = 0; i < ARRAY_SIZE(libs); i++)
		assert_ok(cel_env_add_lib(f->env, libs[i], &f->err), &f->err);
	for (size_t i = 0; i < ARRAY_SIZE(vars); i++) {
		assert_ok(cel_type_parse(&f->a, f->env, str_z(vars[i][1]), &t, &f->err), &f->err);
		assert_ok(cel_env_add_var(f->env, vars[i][0], t, &f->err), &f->err);
	}
	*state = f;
	return 0;
}

static inline int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	arena_fini(&f->a);
	free(f);
	return 0;
}

static inline int fixture_parse(struct fixture *f, const char *text)
{
	return cel_parse(&f->a, f->env, "t", str_z(text), &f->ast, &f->err);
}

/* Parses and checks. */
static inline int fixture_check(struct fixture *f, const char *text)
{
	assert_ok(fixture_parse(f, text), &f->err);
	return cel_check(&f->a, f->env, f->ast, &f->err);
}

static inline void assert_message(const struct fixture *f, const char *part)
{
	if (!strstr(f->err.msg, part))
		fail_msg("expected \"%s\" in: %s", part, f->err.msg);
}

#define CEL_TEST(t) cmocka_unit_test_setup_teardown(t, fixture_setup, fixture_teardown)

#endif
