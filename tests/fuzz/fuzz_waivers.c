/* fuzz_waivers.c - no text crashes the reader of waivers; what counts is complete; matching ends. */
#include "base/base.h"
#include "gate/waivers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena     a = ARENA_INIT(64 << 20);
	struct doc_check check;
	struct waivers   w = { 0 };
	struct err       e = { 0 };
	str              text = str_n((const char *)data, size);

	doc_check_init(&check, &a, WAIVERS_PATH);
	if (!waivers_read(&a, text, &w, &check, &e))
		for (size_t i = 0; i < w.n; i++) {
			const struct waiver *x = &w.v[i];
			struct finding       f = { .rule = x->rule, .path = x->path, .fingerprint = x->fingerprint };

			if (x->complete && (!x->rule.len || !x->owner.len || !x->reason.len || !x->until || (!x->path.len && !x->fingerprint.len)))
				BUG("an incomplete waiver counts");
			if (!x->complete && waiver_of(&(struct waivers){ .v = &w.v[i], .n = 1 }, &f, 0))
				BUG("an incomplete waiver matched");
			waiver_path_matches(x->path, str_sub(text, 0, 500));
		}
	waiver_path_matches(str_sub(text, 0, size / 2), str_sub(text, size / 2, size));
	arena_fini(&a);
	return 0;
}
