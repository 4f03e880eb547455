/* flag-protection.h - .weir/protection.yaml: in which environments flags are changed by drafts that others approve.
 *
 *   environments:
 *     production:
 *       required-approvals: 1          # 1 to 10; 1 when not said
 *       prevent-self-review: true      # who wrote any version of the draft cannot approve it; true when not said
 *       reviewers: [anna, release-bot] # names of tokens; anybody who may change flags when not said
 *       kill-switch: free              # free: a flag may be switched off without a draft; protected: not even that
 *       require-blast-radius: false    # who approves must have looked at the draft's blast radius over one context at least
 *
 * The rules are those of the project's default branch, whatever another branch says. An environment that is not listed has none. Reading is pure. */
#ifndef WEIR_FLAG_FLAG_PROTECTION_H
#define WEIR_FLAG_FLAG_PROTECTION_H

#include "base/arena.h"
#include "base/base.h"
#include "change/change.h"
#include "change/source.h"
#include "doc/doc.h"

#define PROTECTION_PATH ".weir/protection.yaml"

struct flag_rule { /* of one environment */
	str        environment;
	int64_t    required_approvals;
	bool       prevent_self_review;
	const str *reviewers; /* NULL: anybody */
	size_t     n_reviewers;
	bool       kill_switch_free;
	bool       require_blast_radius;
};
struct flag_protection {
	struct flag_rule *rules;
	size_t            n;
};

/* Problems go to c, reading goes on; a file with problems must not be used. -WEIR_EPARSE, -WEIR_ELIMIT: it is no YAML. */
MUST_CHECK int flag_protection_read(struct doc_check *c, str text, struct flag_protection *ret, struct err *reterr);
/* NULL: the environment is not protected. */
const struct flag_rule *flag_protection_of(const struct flag_protection *p, str environment);
/* May a token of this name approve? */
bool flag_rule_reviews(const struct flag_rule *r, str name);

/* The rules of a project's default branch; none when the project has no such file (or no commit, or is gone). Any thread; reads git. A file that
 * cannot be read is -WEIR_EREFUSED with its place: nobody knows what it protects, so nothing is let through. Texts are in a. */
MUST_CHECK int flag_protection_load(const struct source_ops *source, struct arena *a, str project, struct flag_protection *ret, struct err *reterr);

/* The gate's check of the file in an offered change. */
extern const struct check_ops flag_protection_check;

#endif
