/* version-range-internal.h - a range under construction, shared by the files of the requirement syntaxes. */
#ifndef WEIR_LANG_VERSION_RANGE_INTERNAL_H
#define WEIR_LANG_VERSION_RANGE_INTERNAL_H

#include "lang/version/version-internal.h"

enum clause_kind { CLAUSE_WITHIN, CLAUSE_TEXT, CLAUSE_FUZZY, CLAUSE_NONE };
struct clause {
	str text; /* as it is printed */
	enum clause_kind kind;
	bool negated;
	const struct version *lo, *hi; /* NULL: no bound on that side */
	bool lo_open, hi_open;
	bool public_only; /* +local of the candidate does not count (PYPI) */
	bool hi_final;    /* pre-releases of hi are out as hi is */
	bool lo_final;    /* post releases and locals of lo are out as lo is (PYPI) */
	bool final_only;  /* no pre-release at all (NuGet's 1.*) */
	bool bound;       /* a plain < <= > >= or equality: its versions are the writer's own */
	str same;         /* TEXT, FUZZY */
};
struct clause_set { /* all must fit */
	struct clause **v;
	size_t n, cap;
};
struct version_range { /* one of the sets must fit */
	enum version_system system;
	struct clause_set *sets;
	size_t n, cap, clauses;
	const struct version *soft;
};

enum range_op { OP_BARE, OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE, OP_TILDE, OP_CARET, OP_SAME };
struct range_parser {
	struct arena *arena;
	enum version_system system;
	str text;
	size_t at, end, depth;
	struct version_range *range;
	struct err *reterr;
};
#define RANGE_FAIL(p, column, ...) range_fail((p), (column), __VA_ARGS__)
int range_fail(const struct range_parser *p, size_t at, const char *fmt, ...) PRINTF(3, 4);
MUST_CHECK int range_add_set(struct range_parser *p);
MUST_CHECK int range_add(struct range_parser *p, const struct clause *c); /* to the last set */
MUST_CHECK int range_version(struct range_parser *p, size_t at, str text, const struct version **ret);
bool range_blanks(struct range_parser *p); /* true: there were some */
bool range_take(struct range_parser *p, const char *word);
enum range_op range_operator(struct range_parser *p, str *ret_spelling);
str range_token(struct range_parser *p);

/* --- numbers with dots: the front of a version whose end may be left open --- */
enum { PARTIAL_MAX = 64 };
struct partial {
	str num[PARTIAL_MAX];
	size_t n;  /* numbers given */
	bool wild; /* ended by x, X or * */
	str pre;   /* without its '-' */
	str rest;  /* what follows */
};
bool partial_parse(str s, struct partial *ret);
str digits_plus_one(struct arena *a, str digits);
/* "1.2.0": the first n numbers, filled with zeros up to `width`; the last of the n raised by `raise`. */
str partial_text(struct arena *a, const struct partial *v, size_t n, size_t width, int raise);

/* op and version -> clause. `at`: where the version stands. */
MUST_CHECK int range_semver(struct range_parser *p, enum range_op op, str text, size_t at, struct clause *c);
MUST_CHECK int range_hyphen(struct range_parser *p, str from, str to, size_t at, struct clause *c);
MUST_CHECK int range_pypi(struct range_parser *p, enum range_op op, str text, size_t at, struct clause *c);
MUST_CHECK int range_rubygems(struct range_parser *p, enum range_op op, str text, size_t at, struct clause *c);
MUST_CHECK int range_hackage(struct range_parser *p, enum range_op op, str text, size_t at, struct clause *c);
MUST_CHECK int range_plain(struct range_parser *p, enum range_op op, str text, size_t at, struct clause *c);
MUST_CHECK int range_intervals(struct range_parser *p); /* Maven, NuGet, Go: the whole text */
MUST_CHECK int range_hackage_text(struct range_parser *p);

#endif
