/* waivers.h - .weir/waivers.yaml: findings that somebody accepted, with a reason, until a day.
 *
 *   waivers:
 *     - rule: github-token
 *       path: tests/answers.txt         # or fingerprint: 32 hex digits as findings show it; or both
 *       owner: dev@example.org
 *       reason: revoked in 2024, part of the recorded answers
 *       expires: 2027-01-31           # last day (UTC) on which it counts
 *
 * Pure. A list of waivers is immutable after reading. */
#ifndef WEIR_GATE_WAIVERS_H
#define WEIR_GATE_WAIVERS_H

#include "base/clock.h"
#include "change/change.h"
#include "doc/doc.h"

#define WAIVERS_PATH ".weir/waivers.yaml"

struct waiver {
	str      rule, path, fingerprint, owner, reason, expires;
	usec_t   until; /* first moment at which it counts no more */
	uint32_t line, col;
	bool     complete; /* nothing is missing or wrong: only then it counts */
	bool     used;     /* set by the caller of waiver_of() */
};
struct waivers {
	struct waiver *v;
	size_t         n;
};

/* Reads the file. Problems go to `check`, entry by entry: the entries without a problem are still good.
 * -WEIR_EPARSE and -WEIR_ELIMIT when it is no YAML or has too many entries. */
MUST_CHECK int waivers_read(struct arena *a, str text, struct waivers *ret, struct doc_check *check, struct err *reterr);
/* Does the waiver's pattern match? '*' any run without '/', '**' any run, '?' one byte but '/'. */
bool waiver_path_matches(str pattern, str path);
/* The complete waiver that covers f at the time `now`, or NULL. */
struct waiver *waiver_of(const struct waivers *w, const struct finding *f, usec_t now);

#endif
