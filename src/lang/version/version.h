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

/* --- requirement ranges: what manifests, lock files and advisories write, each ecosystem in its own syntax --- */

enum { LIMIT_VERSION_RANGE_BYTES = 16384, LIMIT_VERSION_RANGE_CLAUSES = 1000, VERSION_RANGE_DEPTH_MAX = 50 };

/* name in messages, order of its versions */
#define VERSION_SYSTEM_TABLE(X)                                                                                                  \
	X(NPM, "npm", SEMVER)                                                                                                        \
	X(CARGO, "Cargo", SEMVER)                                                                                                    \
	X(GO, "Go", SEMVER)                                                                                                          \
	X(PYPI, "PyPI", PYPI)                                                                                                        \
	X(MAVEN, "Maven", MAVEN)                                                                                                     \
	X(RUBYGEMS, "RubyGems", RUBYGEMS)                                                                                            \
	X(PACKAGIST, "Packagist", PACKAGIST)                                                                                         \
	X(NUGET, "NuGet", NUGET)                                                                                                     \
	X(PUB, "Pub", PUB)                                                                                                           \
	X(DEBIAN, "Debian", DEBIAN)                                                                                                  \
	X(RPM, "RPM", RPM)                                                                                                           \
	X(ALPINE, "Alpine", ALPINE)                                                                                                  \
	X(CRAN, "CRAN", CRAN)                                                                                                        \
	X(HACKAGE, "Hackage", HACKAGE)

enum version_system {
#define X(id, name, order) VERSION_SYSTEM_##id,
	VERSION_SYSTEM_TABLE(X)
#undef X
		VERSION_SYSTEMS
};
const char *version_system_name(enum version_system s);
enum version_order version_system_order(enum version_system s);
/* The system of an OSV ecosystem, as version_order_of; false also for those of which weir has the order alone (Hex, ...). */
bool version_system_of(str ecosystem, enum version_system *ret);

struct version_range; /* in the caller's arena, immutable */
/* Errors: -WEIR_EPARSE "npm range, column 7: what is wrong and what to write", -WEIR_ELIMIT (the limits above, the arena). */
MUST_CHECK int version_range_parse(struct arena *a, enum version_system system, str text, struct version_range **ret,
								   struct err *reterr);
/* Whether v, parsed in the system's order, fits. A pre-release fits where the ecosystem's own matching lets it: npm and Cargo ask
 * for one of the same numbers in the range; the others place it by order (PEP 440's installers skip it before they match). */
bool version_range_has(const struct version_range *range, const struct version *v);
/* Appends the range as its ecosystem writes it, one blank or none everywhere; parsing that gives the same range. */
void version_range_print(const struct version_range *range, struct buf *out);
/* The version of a Maven requirement without brackets ("1.0"): preferred, but every other one fits too. NULL: none. */
const struct version *version_range_soft(const struct version_range *range);

/* --- OSV ranges (schema 1.7, "Evaluation") --- */
enum version_event_kind { VERSION_INTRODUCED, VERSION_FIXED, VERSION_LAST_AFFECTED, VERSION_LIMIT };
struct version_event {
	enum version_event_kind kind;
	const struct version *at; /* NULL: "0" of introduced (before everything), "*" of limit (behind everything) */
};
/* Whether one range of an advisory affects v. The events need no order; they are sorted in place. */
bool version_affected(const struct version *v, struct version_event *events, size_t n);

#endif
