/* cel-bench.c - `./dev bench cel`: nanoseconds of one evaluation of a merge policy (coverage, approvals, branch, ten findings,
 * twenty licences) by weir's CEL; the script beside it runs cel-go and cel-js on the same policy and the same input. */
#include "base/base.h"
#include "base/clock.h"
#include "base/fs.h"
#include "lang/cel/cel.h"

static struct cel_env *make_env(struct arena *a, bool typed)
{
	static const char *const vars[][2] = { { "coverage", "double" },
										   { "approvals", "int" },
										   { "branch", "string" },
										   { "findings", "list(map(string, dyn))" },
										   { "licences", "list(string)" } };
	const struct cel_type *t;
	struct cel_env *e;
	struct err err = { 0 };

	if (cel_env_new(a, NULL, &e, &err))
		BUG("%s", err.msg);
	for (size_t i = 0; i < ARRAY_SIZE(vars); i++)
		if (cel_type_parse(a, e, str_z(typed ? vars[i][1] : "dyn"), &t, &err) || cel_env_add_var(e, vars[i][0], t, &err))
			BUG("%s", err.msg);
	return e;
}

static void measure(const char *name, str policy, const struct doc_node *input, bool check, unsigned rounds)
{
	struct arena a CLEANUP_ARENA = ARENA_INIT(64 << 20), run = ARENA_INIT(1 << 20);
	struct cel_env *e = make_env(&a, check);
	struct cel_ast *ast;
	struct cel_program *p;
	struct cel_value root = cel_of_doc(&a, input), slots[16], v = cel_of_null();
	struct err err = { 0 };
	uint64_t cost = 0;
	usec_t began;

	if (cel_parse(&a, e, "policy", policy, &ast, &err) || (check && cel_check(&a, e, ast, &err)) ||
		cel_compile(&a, e, ast, &p, &err))
		BUG("%s", err.msg);
	for (size_t i = 0; i < cel_map_len(root.map); i++) {
		struct cel_value key, value;
		int slot;

		cel_map_at(root.map, i, &key, &value);
		slot = cel_program_slot(p, str_n(key.s, key.len));
		if (slot >= 0)
			slots[slot] = value;
	}
	began = clock_mono_now();
	for (unsigned i = 0; i < rounds; i++) {
		if (cel_eval_slots(&run, p, slots, &v, &cost, &err))
			BUG("%s", err.msg);
		arena_fini(&run);
	}
	printf("%s %.1f\n", name, (double)(clock_mono_now() - began) * 1000 / rounds);
	if (v.kind != CEL_BOOL || !v.b)
		BUG("the policy did not hold");
}

int main(int argc, char **argv)
{
	struct arena a CLEANUP_ARENA = ARENA_INIT(64 << 20);
	struct buf policy CLEANUP_BUF = BUF_INIT(1 << 20), json CLEANUP_BUF = BUF_INIT(1 << 20);
	struct doc_node *input;
	struct err err = { 0 };
	unsigned rounds = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 1000000;

	if (argc < 3 || fs_read(argv[1], &policy, &err) || fs_read(argv[2], &json, &err) ||
		doc_parse_json(&a, argv[2], buf_str(&json), &input, &err)) {
		fprintf(stderr, "usage: cel-bench POLICY INPUT.json [ROUNDS]\n%s\n", err.msg);
		return 2;
	}
	measure("checked", str_trim(buf_str(&policy)), input, true, rounds);
	measure("unchecked", str_trim(buf_str(&policy)), input, false, rounds);
	return 0;
}
