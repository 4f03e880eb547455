/* fuzz_stepfile.c - no file that a step writes and no line that it prints crashes the runner. First byte: 0 GITHUB_ENV, 1 output of a step
 * with secrets. The masked output must not hold the secret, and must be the same however the bytes are cut. */
#include "base/base.h"
#include "base/hash.h"
#include "pipeline/steplog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void env_file(str text)
{
	struct arena a = ARENA_INIT(8 << 20);
	struct kvs   k = { 0 };

	if (!stepfile_parse(&a, "env", text, &k, NULL))
		for (size_t i = 0; i < k.n; i++)
			if (!k.v[i].key.len)
				BUG("an empty name");
	kvs_fini(&k);
	arena_fini(&a);
}

static void output(str text, size_t piece, struct buf *out)
{
	struct masks   m;
	struct steplog l;

	masks_init(&m);
	if (masks_add(&m, STR("s3cr3t"), NULL))
		BUG("masks_add");
	steplog_init(&l, &m, true);
	while (text.len) {
		steplog_feed(&l, str_sub(text, 0, piece), false, out);
		text = str_sub(text, piece, text.len);
	}
	steplog_feed(&l, STR_NULL, true, out);
	steplog_fini(&l);
	masks_fini(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	str        text = size ? str_n((const char *)data + 1, size - 1) : STR("");
	struct buf one = BUF_INIT(64 << 20), two = BUF_INIT(64 << 20);

	if (!size || !(data[0] & 1)) {
		env_file(text);
		return 0;
	}
	output(text, SIZE_MAX / 2, &one);
	output(text, 1 + data[0] / 2 % 7, &two);
	if (!str_eq(buf_str(&one), buf_str(&two)))
		BUG("the output depends on how it is cut");
	if (str_contains(buf_str(&one), STR("s3cr3t")))
		BUG("the secret is out");
	buf_fini(&one);
	buf_fini(&two);
	return 0;
}
