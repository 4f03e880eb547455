/* example.c - mustache templates in a program of your own.
 *
 *   cc example.c $(pkg-config --cflags --static --libs weir-mustache) && ./a.out 'Hello, {{name}}!' '{"name":"world"}'
 *
 * Prints the template (first argument) with the data (second argument, JSON), escaped for HTML. */
#include "lang/mustache/mustache.h"

static int render(struct arena *a, const char *text, const char *json, struct err *reterr)
{
	struct mustache_env env = { .escape = MUSTACHE_HTML };
	struct buf out CLEANUP_BUF = BUF_INIT(1 << 20); /* the longest text that may come out */
	struct doc_node *data;
	struct mustache *t;
	int r = doc_parse_json(a, "data", str_z(json), &data, reterr);

	if (!r)
		r = mustache_parse(a, "template", str_z(text), &t, reterr);
	if (!r)
		r = mustache_render(t, data, &env, &out, reterr);
	if (!r)
		printf("%s\n", buf_z(&out));
	return r;
}

int main(int argc, char **argv)
{
	struct arena a CLEANUP_ARENA = ARENA_INIT(16 << 20);
	struct err err;

	if (argc != 3) {
		fprintf(stderr, "usage: %s TEMPLATE DATA\n", argv[0]);
		return 2;
	}
	if (render(&a, argv[1], argv[2], &err)) {
		fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	return 0;
}
