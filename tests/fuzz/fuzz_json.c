/* fuzz_json.c - no text crashes the JSON reader; what it accepts, written in canonical form, reads back to the same form. */
#include "base/base.h"
#include "doc/doc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena     a = ARENA_INIT(64 << 20);
	struct buf       one = BUF_INIT(64 << 20), two = BUF_INIT(64 << 20);
	struct doc_node *n = NULL, *again = NULL;
	struct err       err = { 0 };

	if (!doc_parse_json(&a, "f", str_n((const char *)data, size), &n, &err)) {
		doc_canonical(n, &one);
		if (!one.failed) {
			if (doc_parse_json(&a, "f", buf_str(&one), &again, &err))
				BUG("canonical form refused: %s", err.msg);
			doc_canonical(again, &two);
			if (!str_eq(buf_str(&one), buf_str(&two)))
				BUG("canonical form is not stable");
		}
	}
	buf_fini(&one);
	buf_fini(&two);
	arena_fini(&a);
	return 0;
}
