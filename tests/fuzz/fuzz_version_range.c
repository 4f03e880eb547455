/* fuzz_version_range.c - no text crashes or overruns the range readers; what is printed is read again to the same text, and has
 * the same versions. First byte: the system; first line: the range; the second: a version. */
#include "base/base.h"
#include "lang/version/version.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct arena *a, enum version_system system, const struct version_range *r, str text)
{
	struct buf one = BUF_INIT(1 << 22), two = BUF_INIT(1 << 22);
	struct version_range *again;
	struct version *v;

	version_range_print(r, &one);
	if (one.len <= LIMIT_VERSION_RANGE_BYTES) { /* Hackage's && of || is longer when it is spread out */
		int err = version_range_parse(a, system, buf_str(&one), &again, NULL);

		if (err && err != -WEIR_ELIMIT)
			BUG("printed range cannot be read");
		if (!err) {
			version_range_print(again, &two);
			if (!str_eq(buf_str(&one), buf_str(&two)))
				BUG("printed range is another");
			if (!version_parse(a, version_system_order(system), text, &v, NULL) &&
				version_range_has(r, v) != version_range_has(again, v))
				BUG("printed range has other versions");
		}
	}
	buf_fini(&one);
	buf_fini(&two);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = ARENA_INIT(64 << 20);
	enum version_system system = size ? data[0] % VERSION_SYSTEMS : VERSION_SYSTEM_NPM;
	struct version_range *r;
	str range, text;

	str_cut(size ? str_n((const char *)data + 1, size - 1) : STR(""), '\n', &range, &text);
	if (!version_range_parse(&a, system, range, &r, NULL))
		check(&a, system, r, text);
	arena_fini(&a);
	return 0;
}
