/* example.c - version orders in a program of your own.
 *
 *   cc example.c $(pkg-config --cflags --static --libs weir-version) && ./a.out PyPI 1.0rc1 1.0.post1
 *
 * Prints how two versions of an ecosystem (as OSV names it) compare. */
#include "lang/version/version.h"

static int compare(struct arena *a, char **args, struct err *reterr)
{
	enum version_order order;
	struct version *left, *right;
	int r;

	if (!version_order_of(str_z(args[0]), &order))
		return err_set(reterr, WEIR_EINVAL, "unknown ecosystem '%s'", args[0]);
	r = version_parse(a, order, str_z(args[1]), &left, reterr);
	if (!r)
		r = version_parse(a, order, str_z(args[2]), &right, reterr);
	if (r)
		return r;
	r = version_compare(left, right);
	printf("%s %c %s\n", args[1], r < 0 ? '<' : r > 0 ? '>' : '=', args[2]);
	return 0;
}

int main(int argc, char **argv)
{
	struct arena a CLEANUP_ARENA = ARENA_INIT(1 << 20);
	struct err err;

	if (argc != 4) {
		fprintf(stderr, "usage: %s ECOSYSTEM VERSION VERSION\n", argv[0]);
		return 2;
	}
	if (compare(&a, argv + 1, &err)) {
		fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	return 0;
}
