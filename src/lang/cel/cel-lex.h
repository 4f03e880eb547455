/* cel-lex.h - the tokens of CEL. */
#ifndef WEIR_LANG_CEL_LEX_H
#define WEIR_LANG_CEL_LEX_H

#include "lang/cel/cel-internal.h"

/* Single characters that stand for themselves have their own code as kind. */
enum cel_token_kind {
	CEL_TOK_END = 256,
	CEL_TOK_IDENT,
	CEL_TOK_QUOTED /* `b-c` */,
	CEL_TOK_INT,
	CEL_TOK_UINT,
	CEL_TOK_DOUBLE,
	CEL_TOK_STRING,
	CEL_TOK_BYTES,
	CEL_TOK_TRUE,
	CEL_TOK_FALSE,
	CEL_TOK_NULL,
	CEL_TOK_IN,
	CEL_TOK_LE,
	CEL_TOK_GE,
	CEL_TOK_EQ,
	CEL_TOK_NE,
	CEL_TOK_AND,
	CEL_TOK_OR,
};
struct cel_token {
	int kind;
	uint32_t line, col;
	str text;               /* as written; of QUOTED: without the quotes */
	struct cel_value value; /* literals. INT: the magnitude as u; its sign is an operator or part of the literal */
};
struct cel_lexer {
	struct arena *arena; /* of decoded texts */
	str text;            /* valid UTF-8 */
	size_t at;
	uint32_t line, col;
	const char *problem; /* what is wrong at the token that cel_lex() failed on */
};
/* The next token; false: see problem, *ret has the place. */
bool cel_lex(struct cel_lexer *l, struct cel_token *ret);

/* cel-lex-text.c: what stands between the quotes, with its escapes; false: *ret_problem says why. */
bool cel_unescape(struct arena *a, str body, bool bytes, str *ret, const char **ret_problem);
/* Appends a code point as UTF-8; returns the number of bytes. */
size_t cel_utf8_put(char *p, uint32_t c);

#endif
