/* fuzz_flag_copy.c - no text crashes the reader of copied sets; its digest is made right, so that what is behind it is met. */
#include "base/base.h"
#include "flag/flag-copy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena     a = ARENA_INIT(256 << 20);
	struct buf       text = BUF_INIT(16 << 20);
	struct flag_copy c;

	buf_add(&text, data, size);
	(void)!flag_copy_read(&a, "text", buf_str(&text), &c, NULL);
	flag_copy_seal(&text);
	if (!flag_copy_read(&a, "text", buf_str(&text), &c, NULL)) {
		if (!flag_copy_name_ok(c.project) || !flag_copy_name_ok(c.name) || c.revision < 0)
			BUG("a copy with names that are none");
		for (size_t i = 0; i < c.n; i++)
			if (!flag_key_ok(c.texts[i].key) || !c.texts[i].json.len)
				BUG("a flag without a key or text");
	}
	buf_fini(&text);
	arena_fini(&a);
	return 0;
}
