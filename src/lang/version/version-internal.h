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

void key_semver(struct buf *key, str s, enum version_order order); /* also NUGET, PUB */
void key_pypi(struct buf *key, str s);
void key_debian(struct buf *key, str s);
void key_rpm(struct buf *key, str s);
void key_alpine(struct buf *key, str s);
void key_rubygems(struct buf *key, str s);
bool key_packagist(struct buf *key, str s); /* true: has a "#", compare with: */
int packagist_compare_any(str a, str b);
void key_dotted(struct buf *key, str s, const char *separators); /* CRAN, Hackage */
MUST_CHECK int maven_parse(struct arena *a, str s, struct version *v, struct err *reterr);
int maven_compare(const struct version *a, const struct version *b);

#endif
