/* cel-lex.c - cuts the text of an expression into tokens.
 *
 * One pass, one token at a time, each byte looked at a bounded number of times. Columns count characters. Pure: any thread. */
#include "base/base.h"
#include "lang/cel/cel-lex.h"

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static char peek(const struct cel_lexer *l, size_t ahead)
{
	return l->at + ahead < l->text.len ? l->text.ptr[l->at + ahead] : '\0';
}

static void advance(struct cel_lexer *l, size_t n)
{
	for (; n > 0 && l->at < l->text.len; n--) {
		unsigned char c = (unsigned char)l->text.ptr[l->at++];

		if (c == '\n') {
			l->line++;
			l->col = 1;
		} else if (l->at >= l->text.len || ((unsigned char)l->text.ptr[l->at] & 0xc0) != 0x80) {
			l->col++; /* at the last byte of a character */
		}
	}
}

static bool fail(struct cel_lexer *l, const char *problem)
{
	l->problem = problem;
	return false;
}

static void skip_blanks(struct cel_lexer *l)
{
	for (;;) {
		char c = peek(l, 0);

		if (l->at < l->text.len && c && strchr(" \t\r\n\f", c)) {
			advance(l, 1);
		} else if (c == '/' && peek(l, 1) == '/') {
			while (l->at < l->text.len && peek(l, 0) != '\n')
				advance(l, 1);
		} else {
			return;
		}
	}
}

/* --- numbers --- */

static size_t count(const struct cel_lexer *l, size_t from, bool (*is)(char))
{
	size_t n = 0;

	while (l->at + from + n < l->text.len && is(peek(l, from + n)))
		n++;
	return n;
}

static size_t exponent_len(const struct cel_lexer *l, size_t from)
{
	size_t sign, digits;

	if (peek(l, from) != 'e' && peek(l, from) != 'E')
		return 0;
	sign = peek(l, from + 1) == '+' || peek(l, from + 1) == '-';
	digits = count(l, from + 1 + sign, is_digit);
	return digits ? 1 + sign + digits : 0;
}

static bool hex_value(str digits, uint64_t *ret)
{
	*ret = 0;
	for (size_t i = 0; i < digits.len; i++) {
		char c = digits.ptr[i];

		if (*ret >> 60)
			return false;
		*ret = *ret * 16 + (uint64_t)(is_digit(c) ? c - '0' : (c | 32) - 'a' + 10);
	}
	return true;
}

static bool lex_integer(struct cel_lexer *l, size_t n, bool hex, struct cel_token *t)
{
	str digits = str_sub(l->text, l->at + (hex ? 2 : 0), n - (hex ? 2 : 0));
	bool is_unsigned = peek(l, n) == 'u' || peek(l, n) == 'U';

	t->kind = is_unsigned ? CEL_TOK_UINT : CEL_TOK_INT;
	t->value.kind = is_unsigned ? CEL_UINT : CEL_INT;
	if (hex ? !hex_value(digits, &t->value.u) : !str_to_u64(digits, &t->value.u))
		return fail(l, is_unsigned ? "a uint literal above 18446744073709551615" : "an int literal out of range");
	advance(l, n + is_unsigned);
	return true;
}

static bool lex_number(struct cel_lexer *l, struct cel_token *t)
{
	size_t whole = count(l, 0, is_digit), n = whole;

	if (whole == 1 && peek(l, 0) == '0' && peek(l, 1) == 'x' && is_hex(peek(l, 2)))
		return lex_integer(l, 2 + count(l, 2, is_hex), true, t);
	if (peek(l, n) == '.' && is_digit(peek(l, n + 1)))
		n += 1 + count(l, n + 1, is_digit);
	n += exponent_len(l, n);
	if (n == whole)
		return lex_integer(l, n, false, t);
	t->kind = CEL_TOK_DOUBLE;
	t->value.kind = CEL_DOUBLE;
	if (n > 1000)
		return fail(l, "a double literal of more than 1000 characters");
	{
		char digits[1002];

		memcpy(digits, l->text.ptr + l->at, n);
		digits[n] = '\0';
		t->value.d = strtod(digits, NULL);
	}
	if (t->value.d > 1.7976931348623157e308)
		return fail(l, "a double literal out of range");
	advance(l, n);
	return true;
}

/* --- strings and bytes --- */

struct quote {
	size_t prefix; /* bytes before the quote */
	bool raw, bytes;
	char c;
	size_t n; /* 1 or 3 */
};

static bool at_quote(const struct cel_lexer *l, struct quote *q)
{
	*q = (struct quote){ 0 };
	if (peek(l, 0) == 'b' || peek(l, 0) == 'B') {
		q->bytes = true;
		q->prefix++;
	}
	if (peek(l, q->prefix) == 'r' || peek(l, q->prefix) == 'R') {
		q->raw = true;
		q->prefix++;
	}
	q->c = peek(l, q->prefix);
	if (q->c != '"' && q->c != '\'')
		return false;
	q->n = peek(l, q->prefix + 1) == q->c && peek(l, q->prefix + 2) == q->c ? 3 : 1;
	return true;
}

static bool at_end_quote(const struct cel_lexer *l, const struct quote *q, size_t at)
{
	for (size_t i = 0; i < q->n; i++)
		if (peek(l, at + i) != q->c)
			return false;
	return true;
}

/* Line ends are \n however the text was stored. */
static str unix_lines(struct arena *a, str s)
{
	char *out;
	size_t n = 0;

	if (str_find(s, '\r') == s.len || !(out = arena_alloc(a, s.len + 1)))
		return s;
	for (size_t i = 0; i < s.len; i++) {
		out[n++] = s.ptr[i] == '\r' ? '\n' : s.ptr[i];
		if (s.ptr[i] == '\r' && i + 1 < s.len && s.ptr[i + 1] == '\n')
			i++;
	}
	return str_n(out, n);
}

static bool lex_text(struct cel_lexer *l, const struct quote *q, struct cel_token *t)
{
	size_t from = q->prefix + q->n, n = from;
	str body;

	while (!at_end_quote(l, q, n)) {
		char c = peek(l, n);

		if (l->at + n >= l->text.len)
			return fail(l, "a text without its closing quote");
		if (q->n == 1 && (c == '\n' || c == '\r'))
			return fail(l, "a line end inside quotes: use \\n, or three quotes");
		n += c == '\\' && !q->raw && l->at + n + 1 < l->text.len ? 2 : 1;
	}
	body = unix_lines(l->arena, str_sub(l->text, l->at + from, n - from));
	if (!q->raw && !cel_unescape(l->arena, body, q->bytes, &body, &l->problem))
		return false;
	t->kind = q->bytes ? CEL_TOK_BYTES : CEL_TOK_STRING;
	t->value = q->bytes ? cel_of_bytes(body) : cel_of_str(body);
	advance(l, n + q->n);
	return true;
}

static bool is_quoted_char(char c)
{
	return is_letter(c) || is_digit(c) || (c && strchr("-./ ", c));
}

static bool lex_quoted_name(struct cel_lexer *l, struct cel_token *t)
{
	size_t n = count(l, 1, is_quoted_char);

	if (!n || peek(l, n + 1) != '`')
		return fail(l, "a name in backquotes may have letters, digits, '_', '-', '.', '/' and blanks");
	t->kind = CEL_TOK_QUOTED;
	t->text = str_sub(l->text, l->at + 1, n);
	advance(l, n + 2);
	return true;
}

/* --- words and signs --- */

static bool is_name_char(char c)
{
	return is_letter(c) || is_digit(c);
}

static void lex_word(struct cel_lexer *l, struct cel_token *t)
{
	static const struct {
		const char *word;
		int kind;
	} words[] = { { "true", CEL_TOK_TRUE }, { "false", CEL_TOK_FALSE }, { "null", CEL_TOK_NULL }, { "in", CEL_TOK_IN } };

	t->text = str_sub(l->text, l->at, count(l, 0, is_name_char));
	t->kind = CEL_TOK_IDENT;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (str_eqz(t->text, words[i].word))
			t->kind = words[i].kind;
	advance(l, t->text.len);
}

static bool lex_sign(struct cel_lexer *l, struct cel_token *t)
{
	static const struct {
		char a, b;
		int kind;
	} pairs[] = { { '<', '=', CEL_TOK_LE }, { '>', '=', CEL_TOK_GE },  { '=', '=', CEL_TOK_EQ },
				  { '!', '=', CEL_TOK_NE }, { '&', '&', CEL_TOK_AND }, { '|', '|', CEL_TOK_OR } };
	char c = peek(l, 0);

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
		if (c == pairs[i].a && peek(l, 1) == pairs[i].b) {
			t->kind = pairs[i].kind;
			advance(l, 2);
			return true;
		}
	if (!c || !strchr("+-*/%<>!?:.,()[]{}", c)) {
		if (c == '=' || c == '&' || c == '|')
			return fail(l, c == '=' ? "'=' is no operator; to compare is '=='"
									: "a single '&' or '|' is no operator; use '&&' or '||'");
		return fail(l, "a character that is no part of the language");
	}
	t->kind = c;
	advance(l, 1);
	return true;
}

bool cel_lex(struct cel_lexer *l, struct cel_token *ret)
{
	struct quote q;
	size_t from;
	bool ok = true;
	char c;

	skip_blanks(l);
	*ret = (struct cel_token){ .line = l->line, .col = l->col, .kind = CEL_TOK_END };
	from = l->at;
	if (l->at >= l->text.len)
		return true;
	c = peek(l, 0);
	if (at_quote(l, &q))
		ok = lex_text(l, &q, ret);
	else if (is_digit(c) || (c == '.' && is_digit(peek(l, 1))))
		ok = lex_number(l, ret);
	else if (is_letter(c))
		lex_word(l, ret);
	else if (c == '`')
		ok = lex_quoted_name(l, ret);
	else
		ok = lex_sign(l, ret);
	if (!ret->text.ptr)
		ret->text = str_sub(l->text, from, l->at - from);
	return ok;
}
