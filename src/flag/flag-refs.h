/* flag-refs.h - texts in source code that can be the key of a flag: whole string literals, never comments. Pure.
 *
 * The language is known by the file's name. Literals are found by the rules of each language (escapes, raw and multi-line strings, templates and what is
 * interpolated into them, character constants, regular expressions, here documents); in YAML plain scalars count, too, in HTML and templates the values of
 * attributes, scripts and what stands in {{ }}, {% %} and <% %>. A literal with an interpolation, or with an escape other than of a quote, a backslash or a
 * slash, is no key. Work is linear in the text, whatever it is. */
#ifndef WEIR_FLAG_FLAG_REFS_H
#define WEIR_FLAG_FLAG_REFS_H

#include "base/arena.h"
#include "base/base.h"
#include "base/err.h"
#include "base/str.h"
#include "base/vec.h"

enum flag_lang {
	LANG_NONE, LANG_C, LANG_CSHARP, LANG_GO, LANG_HTML, LANG_JAVA, LANG_JAVASCRIPT, LANG_JSON, LANG_KOTLIN, LANG_PHP, LANG_PYTHON, LANG_RUBY, LANG_RUST,
	LANG_SHELL, LANG_SWIFT, LANG_TOML, LANG_YAML
};
const char *flag_lang_name(enum flag_lang l); /* "python" */
/* LANG_NONE: not searched (other languages, documents, weir's own files below .weir/). */
enum flag_lang flag_lang_of(str path);

struct flag_literal {
	str      text; /* in the arena, or a part of the file's text */
	uint32_t line, col; /* of its first character, from 1; col counts bytes */
	bool     getter; /* the flag argument of a call that is known to ask for a flag: OpenFeature's getBooleanValue(...), Unleash's isEnabled(...) */
};
struct flag_literals {
	VEC(struct flag_literal) all; /* in the order of the text */
	bool cut; /* more than LIMIT_FLAG_REF_LITERALS: the rest is not there */
};
/* Literals of 1 to LIMIT_FLAG_KEY_BYTES bytes that flag_key_ok(). Texts live as long as `text` and the arena. flag_literals_fini() in any case. */
MUST_CHECK int flag_refs_scan(enum flag_lang lang, str text, struct arena *a, struct flag_literals *ret, struct err *reterr);
void flag_literals_fini(struct flag_literals *l);

/* Does a call of this function name a flag by its argument number *ret_arg (from 0)? */
bool flag_is_getter(str function, unsigned *ret_arg);

#endif
