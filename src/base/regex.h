/* regex.h - regular expressions from outside: RE2's syntax and linear time, over libre2 behind this C header (regex.cc).
 *
 * Never a backtracking engine on a pattern that somebody else wrote. A compiled pattern may be used by any number of threads.
 * Link regex_dep: base itself stays free of C++. */
#ifndef WEIR_BASE_REGEX_H
#define WEIR_BASE_REGEX_H

#include "base/base.h"
#include "base/err.h"
#include "base/str.h"

#ifdef __cplusplus
extern "C" {
#endif

struct regex;
/* Compiles `pattern` (UTF-8). Program and caches together take at most about mem_max bytes. Errors: -WEIR_EPARSE with RE2's
 * words about the pattern, -WEIR_ELIMIT when it needs more than mem_max, -WEIR_ENOMEM. */
MUST_CHECK int regex_new(str pattern, size_t mem_max, struct regex **ret, struct err *reterr);
struct regex *regex_free(struct regex *r); /* NULL is fine; returns NULL */
bool   regex_search(const struct regex *r, str text); /* does it match anywhere in text? */
bool   regex_full(const struct regex *r, str text);   /* does it match the whole text? */
size_t regex_size(const struct regex *r);             /* instructions of the program: what compiling did cost */

#ifdef __cplusplus
}
#endif

#endif
