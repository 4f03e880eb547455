/* credentials.h - the check "credentials": passwords, tokens and keys in the blobs that a change brings.
 *
 * Rules are the YAML files in rules/ (compiled into the program). One vectorscan pass over a blob finds where a rule might
 * fire; PCRE2 confirms there and takes the secret; entropy, stop words and the format's own checksum decide.
 * A struct cred is immutable after cred_new(): any number of threads may scan with it at the same time.
 * No secret leaves: findings carry at most its first 4 characters, its length and a keyed fingerprint. */
#ifndef WEIR_GATE_CREDENTIALS_CREDENTIALS_H
#define WEIR_GATE_CREDENTIALS_CREDENTIALS_H

#include "change/change.h"

struct cred;
struct cred_config {
	const char          *cache_dir;       /* compiled vectorscan database between starts; NULL: none */
	unsigned             threads;         /* 0: 2 */
	const unsigned char *fingerprint_key; /* 32 bytes; NULL: the public one */
};
MUST_CHECK int cred_new(const struct cred_config *cfg, struct cred **ret, struct err *reterr);
struct cred *cred_free(struct cred *c);

/* check_ops.run; ctx is a struct cred. */
int cred_check(void *ctx, const struct change *c, const struct finding_sink *sink, struct err *reterr);
/* Every blob of all refs' history. */
MUST_CHECK int cred_history(struct cred *c, struct git_repo *repo, const struct finding_sink *sink, uint64_t *ret_blobs, uint64_t *ret_bytes,
                            uint64_t *ret_skipped, struct err *reterr);
/* One text (tests, conformance, files of a working tree). commit may be STR_NULL. */
MUST_CHECK int cred_scan_text(struct cred *c, str path, str commit, str text, const struct finding_sink *sink, struct err *reterr);

/* The lines of `text` around `line` as they may be kept with a finding: CODE_AROUND before and after, each cut at 200 bytes; lines that a
 * credential touches are CODE_HIDDEN. credential: the finding is one; then its line alone, up to where it begins. Nothing (first == 0) when the
 * text is binary, not UTF-8, over LIMIT_CODE_TEXT_BYTES, has no such line, or when no rule finds the credential there. */
#define CODE_HIDDEN "(a credential stood here; the line is not kept)"
enum { CODE_AROUND = 2 };
MUST_CHECK int cred_code(struct cred *c, str text, bool credential, uint32_t line, struct arena *a, struct finding_code *ret, struct err *reterr);

/* What the rules are, for help and tests. */
struct cred_rule_info {
	const char *id, *title, *provider;
	bool        generic;
};
size_t cred_n_rules(const struct cred *c);
struct cred_rule_info cred_rule_at(const struct cred *c, size_t i);

#endif
