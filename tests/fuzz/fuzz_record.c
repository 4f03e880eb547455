/* fuzz_record.c - no bytes from the ring crash the evidence, and the counts never hold more errors than requests. */
#include "base/base.h"

#include "base/hash.h"
#include "release/evidence.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void wake(void *ctx)
{
	(void)ctx;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct evidence_config cfg = { .wake = wake };
	struct evidence_watch        w = { .tag = 7, .slot = 3, .canary = ARM_B, .client = CLIENT_HEADER, .error_window = 10 * USEC_PER_SEC };
	struct evidence             *e = NULL;
	struct evidence_counts       c;
	str                          rest = str_n((const char *)data, size), line;

	if (evidence_new(&cfg, &e, NULL) || evidence_watch(e, &w, NULL))
		BUG("no memory");
	while (rest.len) {
		str_cut(rest, '\n', &line, &rest);
		evidence_feed(e, line);
	}
	if (!evidence_get(e, 7, &c))
		BUG("the release is not watched");
	for (size_t i = 0; i < c.n_seg; i++)
		if (c.seg[i].errors_canary > c.seg[i].failed_canary || c.seg[i].failed_canary > c.seg[i].requests_canary
		    || c.seg[i].errors_stable > c.seg[i].failed_stable || c.seg[i].failed_stable > c.seg[i].requests_stable)
			BUG("more errors than requests");
	evidence_free(e);
	return 0;
}
