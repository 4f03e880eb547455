/* version-internal.h - the key under construction, shared by the files of the version orders. */
#ifndef WEIR_LANG_VERSION_INTERNAL_H
#define WEIR_LANG_VERSION_INTERNAL_H

#include "base/base.h"
#include "lang/version/version.h"

struct maven_token {
	bool hyphen; /* '-' before it, else '.' */
	bool number;
	str text; /* number: digits without leading zeros; qualifier: lower case */
};
struct version {
	enum version_order order;
	str key;
	bool any;                   /* PACKAGIST: holds a "#" */
	struct maven_token *tokens; /* MAVEN only */
	size_t n_tokens;
	/* For ranges. The key's first bytes: the numbers alone (SEMVER, NUGET, PUB, PYPI, RUBYGEMS); what counts where the bound has
	 * no +local (PYPI) or no -release (RPM). */
	size_t release_bytes, public_bytes;
	bool pre, post, local; /* local: has a +local (PYPI) or -release (RPM) */
	str text;
	const struct version *padded; /* PACKAGIST: as Composer normalizes it, with four numbers; NULL: no such form */
};

/* Bytes that compare as numbers of any size do. Leading zeros do not count. */
void key_number(struct buf *key, str digits);
/* A text that compares bytewise and ends before any longer one. Keeps its zero bytes apart. */
void key_text(struct buf *key, str s);
void key_text_lower(struct buf *key, str s);

bool is_digit(char c);
bool is_letter(char c);
/* Takes the longest run of digits (or letters) off the front of *s. */
str take_digits(str *s);
str take_letters(str *s);
str cut_zeros(str digits); /* without leading zeros */

/* These fill the range's facts of v too. */
void key_semver(struct buf *key, str s, struct version *v); /* also NUGET, PUB */
void key_pypi(struct buf *key, str s, struct version *v);
void key_debian(struct buf *key, str s);
void key_rpm(struct buf *key, str s, struct version *v);
void key_alpine(struct buf *key, str s);
void key_rubygems(struct buf *key, str s, struct version *v);
bool key_packagist(struct buf *key, str s); /* true: has a "#", compare with: */
int packagist_compare_any(str a, str b);
void key_dotted(struct buf *key, str s, const char *separators); /* CRAN, Hackage */
MUST_CHECK int maven_parse(struct arena *a, str s, struct version *v, struct err *reterr);
int maven_compare(const struct version *a, const struct version *b);
/* Fills v->padded. */
MUST_CHECK int packagist_pad(struct arena *a, struct version *v, struct err *reterr);

#endif
