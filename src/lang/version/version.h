/* version.h - the version orders of package ecosystems, and what advisories say with them. Pure: no clock, no I/O, no globals.
 *
 * A version is parsed once into a key of bytes; comparing two is one memcmp (Maven, and Packagist's "#": a walk over the
 * parts, because these orders are not transitive for some odd texts and so have no key). Every text up to LIMIT_VERSION_BYTES has
 * its place in every order: what does not follow the ecosystem's rules is placed as the ecosystem's own tools place it. Any
 * thread. */
#ifndef WEIR_LANG_VERSION_H
#define WEIR_LANG_VERSION_H

#include "base/arena.h"
#include "base/base.h"
#include "base/err.h"
#include "base/str.h"

enum { LIMIT_VERSION_BYTES = 1024 };

/* name as the suite's files have it */
#define VERSION_ORDER_TABLE(X)                                                                                                   \
	X(SEMVER, "semver")                                                                                                          \
	X(PYPI, "pypi")                                                                                                              \
	X(DEBIAN, "debian")                                                                                                          \
	X(RPM, "redhat")                                                                                                             \
	X(MAVEN, "maven")                                                                                                            \
	X(RUBYGEMS, "rubygems")                                                                                                      \
	X(PACKAGIST, "packagist")                                                                                                    \
	X(ALPINE, "alpine")                                                                                                          \
	X(NUGET, "nuget")                                                                                                            \
	X(PUB, "pub")                                                                                                                \
	X(CRAN, "cran")                                                                                                              \
	X(HACKAGE, "hackage")

enum version_order {
#define X(id, name) VERSION_##id,
	VERSION_ORDER_TABLE(X)
#undef X
		VERSION_ORDERS
};
const char *version_order_name(enum version_order o);
/* The order of an OSV ecosystem ("npm", "Debian:12", "Red Hat:...", "crates.io"); false when weir does not know the ecosystem. */
bool version_order_of(str ecosystem, enum version_order *ret);

struct version; /* in the caller's arena, immutable */
/* -WEIR_ELIMIT: longer than LIMIT_VERSION_BYTES, or the arena is used up; -WEIR_EINVAL: empty. */
MUST_CHECK int version_parse(struct arena *a, enum version_order order, str text, struct version **ret, struct err *reterr);
/* Less than, equal to or greater than 0. Both must be of one order. */
int version_compare(const struct version *a, const struct version *b);

/* --- OSV ranges (schema 1.7, "Evaluation") --- */
enum version_event_kind { VERSION_INTRODUCED, VERSION_FIXED, VERSION_LAST_AFFECTED, VERSION_LIMIT };
struct version_event {
	enum version_event_kind kind;
	const struct version *at; /* NULL: "0" of introduced (before everything), "*" of limit (behind everything) */
};
/* Whether one range of an advisory affects v. The events need no order; they are sorted in place. */
bool version_affected(const struct version *v, struct version_event *events, size_t n);

#endif
