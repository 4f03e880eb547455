/* flag-lexer-odd.c - what is special to languages: raw strings, prefixes, character constants, here documents, regular expressions, symbols. Pure.
 *
 * Each function is asked at every place where code may have it, and is true when it read something; false leaves the lexer where it was. */
#include "base/base.h"

#include "flag/flag-lexer.h"

enum { HEREDOC_BYTES = 64 };

/* --- strings --- */

/* r"..." r#"..."# b"..." c"..." of Rust, #"..."# of Swift: any number of '#'. */
static bool hash_string(struct lexer *l)
{
	size_t       p = l->i, hashes = 0;
	char         close[40] = "\"";
	struct quote q = { "\"", close, false, false, true, false, NULL, 0 };

	if (l->lang == LANG_RUST) {
		while (p < l->i + 2 && strchr("brc", lex_at(l, p)) && lex_at(l, p))
			p++;
		if (p == l->i || lex_at(l, p - 1) != 'r')
			return false;
	}
	for (; lex_at(l, p) == '#' && hashes < 16; p++)
		close[++hashes] = '#';
	if (lex_at(l, p) != '"' || (l->lang == LANG_SWIFT && !hashes) || (l->i && lex_is_word(l->t.ptr[l->i - 1])))
		return false;
	lex_string(l, &q, p + 1 - l->i);
	return true;
}

/* 'a' of Rust is a character, 'a alone a lifetime. */
static bool rust_quote(struct lexer *l)
{
	static const struct quote q = { "'", "'", true, false, false, true, NULL, 0 };
	size_t                    p = l->i + 1;

	if (lex_at(l, l->i) != '\'')
		return false;
	if (lex_at(l, p) != '\\') {
		p++;
		while (((unsigned char)lex_at(l, p) & 0xc0) == 0x80)
			p++;
		if (lex_at(l, p) != '\'') {
			l->i++;
			return true;
		}
	}
	lex_string(l, &q, 1);
	return true;
}

/* R"x(...)x" of C++; ' between digits. */
static bool c_oddities(struct lexer *l)
{
	char         close[24] = ")";
	size_t       n = 1, p = l->i + 2;
	struct quote q = { "R\"", close, false, false, true, false, NULL, 0 };

	if (lex_at(l, l->i) == '\'' && l->i && isalnum((unsigned char)l->t.ptr[l->i - 1]) && isxdigit((unsigned char)lex_at(l, l->i + 1)) && l->word.len &&
		isdigit((unsigned char)l->word.ptr[0])) {
		l->i++;
		return true;
	}
	if (!lex_starts(l, l->i, "R\""))
		return false;
	for (; n < 20 && lex_at(l, p) && lex_at(l, p) != '(' && lex_at(l, p) != '\n'; p++)
		close[n++] = l->t.ptr[p];
	if (lex_at(l, p) != '(')
		return false;
	close[n++] = '"';
	close[n] = '\0';
	lex_string(l, &q, p + 1 - l->i);
	return true;
}

/* @"..." $"..." $@"..." """...""" of C#. */
static bool csharp_string(struct lexer *l)
{
	bool         verbatim = false, inner = false;
	size_t       p = l->i, n = 0;
	char         close[16];
	struct quote q = { "\"", close, true, false, false, false, NULL, '}' };

	for (; (lex_at(l, p) == '@' || lex_at(l, p) == '$') && p < l->i + 4; p++) {
		verbatim |= lex_at(l, p) == '@';
		inner |= lex_at(l, p) == '$';
	}
	while (lex_at(l, p + n) == '"' && n < 12)
		n++;
	if (!n)
		return false;
	n = n >= 3 && !verbatim ? n : 1;
	memset(close, '"', n);
	close[n] = '\0';
	q.escapes = !verbatim && n == 1;
	q.doubled = verbatim;
	q.lines = verbatim || n >= 3;
	q.inner = inner ? "{" : NULL;
	lex_string(l, &q, p + n - l->i);
	return true;
}

static bool is_prefix(str word)
{
	for (size_t i = 0; i < word.len; i++)
		if (!strchr("rRbBuUfFtT", word.ptr[i]))
			return false;
	return word.len && word.len <= 2;
}

/* Prefixes of Python's strings are an identifier before the quote. */
static bool python_string(struct lexer *l)
{
	char         c = lex_at(l, l->i);
	char         close[4] = { c, 0, 0, 0 };
	struct quote q = { close, close, true, false, false, false, NULL, '}' };

	if (c != '"' && c != '\'')
		return false;
	if (lex_at(l, l->i + 1) == c && lex_at(l, l->i + 2) == c) {
		close[1] = close[2] = c;
		q.lines = true;
	}
	if (is_prefix(l->word) && l->word.ptr + l->word.len == l->t.ptr + l->i) {
		for (size_t k = 0; k < l->word.len; k++)
			if ((l->word.ptr[k] | 32) == 'f' || (l->word.ptr[k] | 32) == 't')
				q.inner = "{";
		l->before = '('; /* a prefix is no word of its own */
	}
	lex_string(l, &q, strlen(close));
	return true;
}

/* --- here documents --- */

struct heredoc {
	char   id[HEREDOC_BYTES];
	size_t n;      /* bytes of id */
	size_t behind; /* where the rest of the line begins */
};

static bool heredoc_id_ok(const struct lexer *l, const struct heredoc *h, char quoted)
{
	if (!h->n || isdigit((unsigned char)h->id[0]))
		return false;
	if (l->lang == LANG_RUBY)
		return quoted || isupper((unsigned char)h->id[0]);
	return l->lang != LANG_PHP || lex_starts(l, l->i, "<<<");
}

/* The << stands at l->i. False: a shift, or the like. */
static bool heredoc_opening(const struct lexer *l, struct heredoc *ret)
{
	size_t p = l->i + 2;
	char   quoted = 0;

	*ret = (struct heredoc){ .n = 0 };
	p += l->lang == LANG_PHP ? (lex_at(l, p) == '<') : (lex_at(l, p) == '-' || lex_at(l, p) == '~');
	while (l->lang != LANG_RUBY && lex_at(l, p) == ' ')
		p++;
	if (lex_at(l, p) == '"' || lex_at(l, p) == '\'')
		quoted = lex_at(l, p++);
	while (ret->n + 1 < sizeof(ret->id) && lex_is_word(lex_at(l, p)))
		ret->id[ret->n++] = l->t.ptr[p++];
	ret->behind = p + (quoted && lex_at(l, p) == quoted);
	return heredoc_id_ok(l, ret, quoted);
}

/* The rest of the line is code; stands at its end. */
static void heredoc_line(struct lexer *l, size_t from)
{
	struct lexer rest = *l;
	size_t       end = from;

	while (end < l->t.len && l->t.ptr[end] != '\n')
		end++;
	rest.t.len = end;
	rest.i = from;
	rest.depth++;
	lex_code(&rest, '\0');
	rest.depth--;
	rest.t.len = l->t.len;
	*l = rest;
	l->i = end;
}

/* Over the text, to the end of the line that is ID alone. */
static void heredoc_text(struct lexer *l, const struct heredoc *h)
{
	while (l->i < l->t.len && lex_step(l)) {
		size_t line = ++l->i;

		lex_skip_line(l);
		while (lex_at(l, line) == ' ' || lex_at(l, line) == '\t')
			line++;
		if (lex_starts(l, line, h->id) && !lex_is_word(lex_at(l, line + h->n)))
			break;
	}
}

/* <<ID, <<-ID, <<~ID of shells and Ruby, <<<ID of PHP: the rest of the line is code, then the text is passed over. */
static bool heredoc(struct lexer *l)
{
	struct heredoc h;

	if (!lex_starts(l, l->i, "<<") || l->depth || l->n_open > 1) /* $((1 << n)) */
		return false;
	if (!heredoc_opening(l, &h))
		return false;
	heredoc_line(l, h.behind);
	heredoc_text(l, &h);
	return true;
}

/* --- values and names --- */

/* Words after which a value stands, not an operator. */
static bool before_value(str word)
{
	static const char *const words[] = { "return", "typeof", "case", "in", "of", "delete", "void", "throw", "new", "else", "do", "yield", "await",
		                                 "if", "unless", "while", "and", "or", "not", "when", "puts" };

	for (size_t k = 0; k < ARRAY_SIZE(words); k++)
		if (str_eqz(word, words[k]))
			return true;
	return false;
}

/* The apostrophe of don't in the text between tags: no string follows a name without a sign between. */
static bool apostrophe(struct lexer *l)
{
	char c = lex_at(l, l->i);

	if ((c != '\'' && c != '"') || !l->word.len || l->word.ptr + l->word.len != l->t.ptr + l->i || before_value(l->word))
		return false;
	l->i++;
	return true;
}

/* A slash begins a regular expression where a value may stand. */
static bool regex(struct lexer *l)
{
	bool   may = l->before == '\0' || (l->before != 'w' && strchr("(,=:[!&|?{};+-*%~^<>", l->before)), set = false;
	size_t p = l->i + 1;

	if (lex_at(l, l->i) != '/' || lex_at(l, p) == '/' || lex_at(l, p) == '*')
		return false;
	if (!(may || before_value(l->word)) || (l->before == '<' && l->lang == LANG_JAVASCRIPT)) /* </b> */
		return false;
	for (; p < l->t.len && l->t.ptr[p] != '\n' && lex_step(l); p++) {
		char c = l->t.ptr[p];

		if (c == '\\') {
			p++;
		} else if (c == '/' && !set) {
			l->i = p + 1;
			l->before = '"';
			l->word = STR_NULL;
			return true;
		} else {
			set = c == '[' || (set && c != ']');
		}
	}
	return false;
}

/* it\'s */
static bool shell_escape(struct lexer *l)
{
	if (lex_at(l, l->i) != '\\' || l->i + 1 >= l->t.len)
		return false;
	l->i += 2;
	return true;
}

/* :symbol of Ruby counts as a text. */
static bool ruby_symbol(struct lexer *l)
{
	size_t p = l->i + 1;
	bool   getter;

	if (lex_at(l, l->i) != ':' || lex_at(l, p) == ':' || !(isalpha((unsigned char)lex_at(l, p)) || lex_at(l, p) == '_') || (l->i && (lex_is_word(l->t.ptr[l->i - 1]) || l->t.ptr[l->i - 1] == ':')))
		return false;
	getter = lex_in_getter(l);
	while (lex_is_word(lex_at(l, p)))
		p++;
	p += lex_at(l, p) == '?';
	lex_add(l, str_sub(l->t, l->i + 1, p - l->i - 1), l->i + 1, getter);
	l->i = p;
	l->before = '"';
	return true;
}

bool lex_oddity(struct lexer *l)
{
	switch (l->lang) {
	case LANG_C:
		return c_oddities(l);
	case LANG_CSHARP:
		return csharp_string(l);
	case LANG_PYTHON:
		return python_string(l);
	case LANG_RUST:
		return hash_string(l) || rust_quote(l);
	case LANG_SWIFT:
		return hash_string(l);
	case LANG_JAVASCRIPT:
		return apostrophe(l) || regex(l);
	case LANG_RUBY:
		return heredoc(l) || regex(l) || ruby_symbol(l);
	case LANG_SHELL:
		return shell_escape(l) || heredoc(l);
	case LANG_PHP:
		return heredoc(l);
	default:
		return false;
	}
}
