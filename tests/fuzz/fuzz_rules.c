/* fuzz_rules.c - no text crashes the reader of credential rules; a rule that is accepted runs on any text. */
#include "gate/credentials/cred-internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cred_rules rs = { .arena = ARENA_INIT(64 << 20) };
	struct err        e = { 0 };
	pcre2_match_data *m = pcre2_match_data_create(16, NULL);
	struct buf        example = BUF_INIT(1 << 16);

	if (!m)
		return 0;
	if (cred_rules_read(&rs, "f", str_n((const char *)data, size), &e) && !e.msg[0])
		BUG("refused without a message");
	for (size_t i = 0; i < rs.rules.n; i++) {
		pcre2_match_context *limits = pcre2_match_context_create(NULL);

		if (!limits)
			break;
		pcre2_set_match_limit(limits, 10000);
		(void)pcre2_match(rs.rules.v[i].code, data, size < 1000 ? size : 1000, 0, 0, m, limits);
		pcre2_match_context_free(limits);
		for (const char *const *x = rs.rules.v[i].match; *x; x++)
			cred_example(*x, &example);
	}
	buf_fini(&example);
	pcre2_match_data_free(m);
	cred_rules_fini(&rs);
	return 0;
}
