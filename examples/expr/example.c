/* example.c - GitHub Actions expressions in a program of your own.
 *
 *   cc example.c $(pkg-config --cflags --static --libs weir-expr) && ./a.out '{"github":{"ref":"refs/heads/main"}}' 'github.ref'
 *
 * Prints the value of the expression (second argument) with the contexts (first argument, JSON). */
#include "lang/expr/expr.h"

static bool always_true(void *ctx)
{
	(void)ctx;
	return true;
}

static int evaluate(struct arena *a, const char *contexts, const char *text, struct err *reterr)
{
	struct expr_ops ops = { .success = always_true }; /* success() is known, hashFiles() is not */
	struct expr_env env = { .ops = &ops };
	struct buf json CLEANUP_BUF = BUF_INIT(1 << 20);
	const struct expr_value *value;
	struct doc_node *doc;
	struct expr *e;
	int r = doc_parse_json(a, "contexts", str_z(contexts), &doc, reterr);

	if (r)
		return r;
	env.contexts = expr_from_doc(a, doc);
	r = expr_parse_for(a, str_z(text), &env, &e, reterr);
	if (!r)
		r = expr_eval(a, e, &env, &value, reterr);
	if (!r)
		r = expr_to_json(value, &json, reterr);
	if (!r)
		printf("%s\n", buf_z(&json));
	return r;
}

int main(int argc, char **argv)
{
	struct arena a CLEANUP_ARENA = ARENA_INIT(16 << 20); /* everything lives here; its size is the limit */
	struct err err;

	if (argc != 3) {
		fprintf(stderr, "usage: %s CONTEXTS EXPRESSION\n", argv[0]);
		return 2;
	}
	if (evaluate(&a, argv[1], argv[2], &err)) {
		fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	return 0;
}
