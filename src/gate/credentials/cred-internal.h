/* cred-internal.h - what the files of src/gate/credentials share. */
#ifndef WEIR_GATE_CREDENTIALS_CRED_INTERNAL_H
#define WEIR_GATE_CREDENTIALS_CRED_INTERNAL_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <hs.h>
#include <pcre2.h>

#include "base/base.h"
#include "base/embed.h"
#include "base/queue.h"
#include "base/vec.h"
#include "doc/doc.h"
#include "gate/credentials/credentials.h"

extern const struct embed_file cred_rule_files[];
extern const size_t            cred_rule_files_n;

/* --- rules.c --- */
enum cred_checksum { CHECKSUM_NONE, CHECKSUM_CRC32_BASE62 };
enum cred_judge { JUDGE_NONE, JUDGE_KEY, JUDGE_PASSWORD }; /* how the value itself is looked at: strength.c */

struct cred_rule {
	const char  *id, *title, *provider, *advice, *regex;
	pcre2_code  *code;
	uint32_t     group;       /* number of the group `secret` */
	uint32_t     password;    /* number of the group `password`, 0: none; where it matched, the value is judged as a password */
	double       entropy_min; /* bits per byte */
	unsigned     before, reach; /* bytes before and after the end of a trigger in which a match begins and ends */
	bool         certain;     /* the format alone says so: also in binary files */
	bool         generic;     /* gives way to any other rule at the same place; the value must not look like code */
	bool         ignore_case, any_case; /* of the expression; of the triggers alone (rules with a keyword) */
	enum severity       severity;
	enum cred_checksum  checksum;
	enum cred_judge     judge;
	bool         base64, basic; /* judged is what the value encodes; basic: what stands behind the first ':' of that */
	bool         mild_in_tests; /* made-up ones are usual in tests and examples: a warning there */
	const char  *const *stop_words; /* small letters; NULL-ended */
	const char  *const *not_paths;  /* ends of paths it does not look at; NULL-ended */
	const char  *const *match, *const *no_match; /* examples, NULL-ended; see cred_example() */
};
struct cred_trigger {
	const char *pattern; /* in vectorscan's dialect */
	unsigned    flags;
	unsigned    rule;
};
struct cred_rules {
	struct arena arena;
	VEC(struct cred_rule) rules;
	VEC(struct cred_trigger) triggers;
};
/* Reads one rule file. On an error the rules read before stay usable. */
MUST_CHECK int cred_rules_read(struct cred_rules *rs, const char *name, str text, struct err *reterr);
void cred_rules_fini(struct cred_rules *rs);
/* An example with its placeholders filled: <a36> is 36 letters and digits that look drawn at random, the same in every run
 * (a letters+digits, A letters, l small+digits, u capitals+digits, x hex, X capital hex, d digits, b base64, s and t base32,
 * z bech32, w word characters and '-', c as a with the CRC-32 of what stands before it since the last '_' as its last 6, p "dev:" and as many of a in base64). So no secret stands in the tree. */
void cred_example(const char *text, struct buf *out);

/* --- strength.c --- */
enum cred_strength { STRENGTH_NONE, STRENGTH_WEAK, STRENGTH_STRONG };
/* NONE: a word, a name, a number. WEAK: it may be a secret (short, or a word with a number). STRONG: drawn at random, 16 characters
 * or more, or a password of three classes of characters. Of keys and tokens only what was drawn at random is a secret. */
enum cred_strength cred_strength(str s, bool password);

/* --- secret.c: judging one candidate --- */
double   cred_entropy(str s);
uint32_t cred_crc32(str s);
bool     cred_checksum_ok(enum cred_checksum kind, str secret);
bool     cred_is_placeholder(const struct cred_rule *r, str secret);
bool     cred_looks_like_code(str secret); /* for generic rules */
bool     cred_path_is_test(str path);
bool     cred_path_is_lock(str path);  /* sums and versions of dependencies */
/* Whether the value at `start` stands behind the name of something else than a secret: "..._id", "...Name", "...url". */
bool     cred_named_otherwise(str text, size_t start);
void     cred_fingerprint(const unsigned char key[32], const char *rule, str secret, char out[33]);
void     cred_excerpt(str secret, bool certain, struct buf *out);

/* --- engine.c --- */
struct cred {
	struct cred_rules rules;
	hs_database_t    *db;
	struct bqueue    *workers; /* struct cred_worker that nobody uses now */
	unsigned          threads;
	unsigned char     key[32];
};
struct cred_hit {
	unsigned rule;
	bool     weak;       /* judged so: a warning at most */
	size_t   start, end; /* of the secret */
};
struct cred_worker { /* what one thread needs to scan */
	const struct cred   *c;
	hs_scratch_t        *scratch;
	pcre2_match_data    *match;
	pcre2_match_context *context;
	pcre2_jit_stack     *stack;
	size_t              *next; /* per rule: first byte at which a match may begin that was not tried yet */
	VEC(struct cred_hit) hits;
	uint64_t   tried; /* bytes tried as the begin of a match, of the present text: at most its length for each rule */
	struct buf decoded; /* UTF-16 as UTF-8 */
	struct buf inner;   /* what a value in base64 encodes */
	/* the present text */
	str      text;
	str      path;
	bool     binary;
	struct err err;
};
MUST_CHECK int cred_worker_get(struct cred *c, struct cred_worker **ret, struct err *reterr);
void cred_worker_put(struct cred *c, struct cred_worker *w);
/* Fills w->hits (each place once, best rule first chosen) and w->text (what was looked at: decoded when the text is UTF-16). */
MUST_CHECK int cred_worker_scan(struct cred_worker *w, str path, str text, struct err *reterr);

#endif
