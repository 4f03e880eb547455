/* fuzz_version.c - no text crashes a version order, and each order is one: reflexive, antisymmetric, and transitive where it has
 * a key. First byte: the order; then up to three versions, a line each. */
#include "base/base.h"
#include "lang/version/version.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int sign(int r)
{
	return (r > 0) - (r < 0);
}

static void check(const struct version *a, const struct version *b)
{
	if (version_compare(a, a) != 0 || sign(version_compare(a, b)) != -sign(version_compare(b, a)))
		BUG("not antisymmetric");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = ARENA_INIT(1 << 20);
	struct version *v[3] = { NULL };
	enum version_order order = size ? data[0] % VERSION_ORDERS : VERSION_SEMVER;
	str rest = size ? str_n((const char *)data + 1, size - 1) : STR(""), line;
	/* Packagist's "#" equals every number, and Maven's padding goes in circles for some texts: as they are defined. */
	bool transitive = order != VERSION_MAVEN && !(order == VERSION_PACKAGIST && str_contains(rest, STR("#")));
	size_t n = 0;

	while (n < 3 && rest.len) {
		str_cut(rest, '\n', &line, &rest);
		n += version_parse(&a, order, line, &v[n], NULL) == 0;
	}
	for (size_t i = 0; i < n; i++)
		check(v[i], v[(i + 1) % n]);
	if (n == 3 && transitive)
		for (size_t i = 0; i < 3; i++)
			if (version_compare(v[i], v[(i + 1) % 3]) <= 0 && version_compare(v[(i + 1) % 3], v[(i + 2) % 3]) <= 0 &&
				version_compare(v[i], v[(i + 2) % 3]) > 0)
				BUG("not transitive");
	arena_fini(&a);
	return 0;
}
