/* example.c - the Common Expression Language in a program of your own.
 *
 *   cc example.c $(pkg-config --cflags --static --libs weir-cel) && ./a.out '{"age": 41}' 'doc.age > 40'
 *
 * Evaluates the expression (second argument) on a JSON document (first argument), which it sees as `doc`, and prints the value.
 */
#include "lang/cel/cel.h"

/* What expressions may use: the standard library, texts, and one variable. Made once, then shared by any number of threads. */
static int make_env(struct arena *a, struct cel_env **ret, struct err *reterr)
{
	int r = cel_env_new(a, NULL, ret, reterr);

	if (!r)
		r = cel_env_add_lib(*ret, &cel_lib_strings, reterr);
	return r ? r : cel_env_add_var(*ret, "doc", &cel_dyn, reterr);
}

/* Text to program: done once per expression; problems are shown with the line and a caret. */
static int compile(struct arena *a, const struct cel_env *env, const char *text, struct cel_program **ret, struct err *reterr)
{
	struct cel_ast *ast;
	int r = cel_parse(a, env, "expression", str_z(text), &ast, reterr);

	if (!r)
		r = cel_check(a, env, ast, reterr);
	return r ? r : cel_compile(a, env, ast, ret, reterr);
}

static int evaluate(struct arena *a, const struct cel_program *p, const char *json, struct buf *out, struct err *reterr)
{
	static const str name = { "doc", 3 };
	struct doc_node *doc;
	struct cel_value input, result;
	struct cel_vars vars = { .names = &name, .values = &input, .n = 1 };
	int r = doc_parse_json(a, "document", str_z(json), &doc, reterr);

	if (r)
		return r;
	input = cel_of_doc(a, doc);
	r = cel_eval(a, p, &vars, &result, NULL, reterr);
	if (r)
		return r;
	if (result.kind == CEL_ERROR)
		return err_set(reterr, WEIR_EINVAL, "expression:%u:%u: %.*s", result.error->line, result.error->col,
					   STR_ARG(result.error->msg));
	return cel_to_json(result, out, reterr);
}

int main(int argc, char **argv)
{
	struct arena a CLEANUP_ARENA = ARENA_INIT(16 << 20); /* everything lives here; its size is the limit */
	struct buf out CLEANUP_BUF = BUF_INIT(1 << 20);
	struct cel_env *env;
	struct cel_program *program;
	struct err err;
	int r;

	if (argc != 3) {
		fprintf(stderr, "use: %s JSON EXPRESSION\n", argv[0]);
		return 2;
	}
	r = make_env(&a, &env, &err);
	if (!r)
		r = compile(&a, env, argv[2], &program, &err);
	if (!r)
		r = evaluate(&a, program, argv[1], &out, &err);
	if (r) {
		fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	printf("%s\n", buf_z(&out));
	return 0;
}
