/* flag-lexer.h - what the files of the lexer behind flag_refs_scan() share. Internal to them; pure. */
#ifndef WEIR_FLAG_FLAG_LEXER_H
#define WEIR_FLAG_FLAG_LEXER_H

#include "flag/flag-refs.h"

#include <ctype.h>

enum { LEX_OPEN_MAX = 64 };

struct opening { /* a bracket that is open */
	bool     getter;
	unsigned arg, at; /* the argument that names the flag; the one that we are in */
	bool     taken;   /* it had its literal */
};
struct lexer {
	enum flag_lang        lang;
	str                   t;
	size_t                i;
	size_t                steps, steps_max;
	unsigned              depth; /* of interpolation */
	struct opening        open[LEX_OPEN_MAX];
	size_t                n_open; /* may be more than there is room for */
	str                   word;   /* the identifier before, when nothing but blanks came since */
	char                  before; /* the last character that is no blank */
	struct arena         *arena;
	struct flag_literals *ret;
	size_t                line_at, line; /* number of the line in which line_at lies */
	size_t                line_begin;
	int                   rc;
	struct err           *reterr;
};

/* How a string is written. */
struct quote {
	const char *open, *close;
	bool        escapes;  /* by a backslash */
	bool        doubled;  /* the close twice stands for itself */
	bool        lines;    /* may hold line ends */
	bool        silent;   /* a character constant */
	const char *inner;    /* what begins an interpolation; NULL: nothing */
	char        inner_end;
};

static inline char lex_at(const struct lexer *l, size_t i) { return i < l->t.len ? l->t.ptr[i] : '\0'; }
static inline bool lex_starts(const struct lexer *l, size_t i, const char *z) { return i <= l->t.len && str_has_prefix(str_sub(l->t, i, l->t.len), str_z(z)); }
static inline bool lex_is_word(char c) { return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80; }

/* False: what the text may cost is spent, or something failed; whoever reads on ends. */
static inline bool lex_step(struct lexer *l)
{
	return ++l->steps <= l->steps_max && !l->rc;
}

/* --- flag-lexer.c --- */

void lex_skip_line(struct lexer *l);                /* to its end, not past it */
void lex_skip_past(struct lexer *l, const char *z); /* or to the end of the text */
/* A text at `where`, if it can be a key. */
void lex_add(struct lexer *l, str text, size_t where, bool getter);
/* Is the literal that stands here the one that names the flag of a getter's call? Asked once for each. */
bool lex_in_getter(struct lexer *l);
/* A string whose opening (of open_len bytes) stands at l->i. One that does not end was none: only its opening is read. */
void lex_string(struct lexer *l, const struct quote *q, size_t open_len);
/* Code up to `end` outside of brackets of its own (not read), or to the end of the text. */
void lex_code(struct lexer *l, char end);

/* --- flag-lexer-odd.c --- */

/* Reads what is special to the language at l->i; false: nothing is. */
bool lex_oddity(struct lexer *l);

#endif
