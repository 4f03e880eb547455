/* expr-lex.c - tokens of an expression. Columns count characters from 1, as GitHub's messages do.
 *
 * Pure; any thread. The lexer looks at the token before to tell `.5` from `foo.5` and a property from a keyword. */
#include "lang/expr/expr-internal.h"

#include <math.h>

bool expr_skip_space(str text, size_t *at)
{
	size_t i = *at;
	uint32_t c;

	if (i >= text.len)
		return false;
	c = expr_utf8_next(text, &i);
	if (!(c == ' ' || (c >= '\t' && c <= '\r') || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
		  c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000))
		return false;
	*at = i;
	return true;
}

/* Moves to byte `end`, counting characters. */
static void advance(struct expr_lexer *l, size_t end)
{
	while (l->at < end) {
		expr_utf8_next(l->text, &l->at);
		l->col++;
	}
}

static bool at_boundary(const struct expr_lexer *l, size_t i)
{
	return i >= l->text.len || (l->text.ptr[i] && strchr("[](),.!<>=&|", l->text.ptr[i])) || expr_skip_space(l->text, &i);
}

/* End of the run that starts at l->at (its first character always belongs to it). */
static size_t run_end(const struct expr_lexer *l, bool dots)
{
	size_t i = l->at;

	expr_utf8_next(l->text, &i);
	while (i < l->text.len && (!at_boundary(l, i) || (dots && l->text.ptr[i] == '.')))
		expr_utf8_next(l->text, &i);
	return i;
}

static struct expr_token token(const struct expr_lexer *l, enum expr_token_kind kind, size_t end)
{
	return (struct expr_token){ .kind = kind, .raw = str_sub(l->text, l->at, end - l->at), .col = l->col };
}

static struct expr_token lex_number(struct expr_lexer *l)
{
	struct expr_token t = token(l, EXPR_T_VALUE, run_end(l, true));
	double n = expr_parse_number(t.raw);

	if (isnan(n))
		t.kind = EXPR_T_UNEXPECTED;
	else
		t.value = expr_number(l->arena, n);
	return t;
}

/* Index of the quote that ends the string that begins at l->at, or the text's length. */
static size_t string_end(const struct expr_lexer *l)
{
	size_t i = l->at + 1;

	for (; i < l->text.len; i++) {
		if (l->text.ptr[i] != '\'')
			continue;
		if (i + 1 >= l->text.len || l->text.ptr[i + 1] != '\'')
			break;
		i++;
	}
	return i;
}

static struct expr_token lex_string(struct expr_lexer *l)
{
	size_t end = string_end(l), n = 0;
	struct expr_value *v;
	struct expr_token t;
	char *text;

	if (end >= l->text.len)
		return token(l, EXPR_T_UNEXPECTED, l->text.len);
	t = token(l, EXPR_T_VALUE, end + 1);
	text = arena_alloc(l->arena, end - l->at);
	v = ARENA_NEW(l->arena, struct expr_value);
	if (!text || !v)
		return t;
	for (size_t i = l->at + 1; i < end; i++) {
		text[n++] = l->text.ptr[i];
		i += l->text.ptr[i] == '\''; /* a quote inside is doubled */
	}
	v->kind = EXPR_STRING;
	v->s = str_n(text, n);
	t.value = v;
	return t;
}

static struct expr_token lex_operator(struct expr_lexer *l)
{
	static const struct {
		char text[3];
		enum expr_op op;
	} ops[] = { { "&&", EXPR_OP_AND }, { "||", EXPR_OP_OR }, { "==", EXPR_OP_EQ }, { "!=", EXPR_OP_NE }, { "<=", EXPR_OP_LE },
				{ ">=", EXPR_OP_GE },  { "!", EXPR_OP_NOT }, { "<", EXPR_OP_LT },  { ">", EXPR_OP_GT } };

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		if (str_has_prefix(str_sub(l->text, l->at, 2), str_z(ops[i].text))) {
			struct expr_token t = token(l, EXPR_T_OP, l->at + strlen(ops[i].text));

			t.op = ops[i].op;
			return t;
		}
	}
	return token(l, EXPR_T_UNEXPECTED, run_end(l, false));
}

static bool is_name(str s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (i && ((c >= '0' && c <= '9') || c == '-'))))
			return false;
	}
	return s.len > 0;
}

static const struct expr_value *keyword(struct arena *a, str s)
{
	if (str_eqz(s, "null"))
		return &expr_null;
	if (str_eqz(s, "true"))
		return &expr_true;
	if (str_eqz(s, "false"))
		return &expr_false;
	return expr_number(a, str_eqz(s, "NaN") ? NAN : INFINITY);
}

static struct expr_token lex_word(struct expr_lexer *l)
{
	size_t end = run_end(l, false), i = end;
	struct expr_token t = token(l, EXPR_T_NAMED, end);

	if (!is_name(t.raw)) {
		t.kind = EXPR_T_UNEXPECTED;
	} else if (l->last.kind == EXPR_T_DOT) {
		t.kind = EXPR_T_PROPERTY;
	} else if (str_eqz(t.raw, "null") || str_eqz(t.raw, "true") || str_eqz(t.raw, "false") || str_eqz(t.raw, "NaN") ||
			   str_eqz(t.raw, "Infinity")) {
		t.kind = EXPR_T_VALUE;
		t.value = keyword(l->arena, t.raw);
	} else {
		while (expr_skip_space(l->text, &i))
			;
		if (i < l->text.len && l->text.ptr[i] == '(')
			t.kind = EXPR_T_FUNCTION;
	}
	return t;
}

/* True when a '.' here begins a number and does not look into what stands before it. */
static bool dot_starts_number(enum expr_token_kind before)
{
	return before == EXPR_T_END || before == EXPR_T_COMMA || before == EXPR_T_OPEN || before == EXPR_T_OPEN_INDEX ||
		   before == EXPR_T_OP;
}

static struct expr_token lex_one(struct expr_lexer *l)
{
	static const struct {
		char c;
		enum expr_token_kind kind;
	} single[] = { { '(', EXPR_T_OPEN },        { ')', EXPR_T_CLOSE }, { '[', EXPR_T_OPEN_INDEX },
				   { ']', EXPR_T_CLOSE_INDEX }, { ',', EXPR_T_COMMA }, { '*', EXPR_T_STAR } };
	char c = l->text.ptr[l->at];

	for (size_t i = 0; i < ARRAY_SIZE(single); i++)
		if (single[i].c == c)
			return token(l, single[i].kind, l->at + 1);
	if (c == '\'')
		return lex_string(l);
	if (c && strchr("!<>=&|", c))
		return lex_operator(l);
	if (c == '.' && !dot_starts_number(l->last.kind))
		return token(l, EXPR_T_DOT, l->at + 1);
	if (c == '.' || c == '-' || c == '+' || (c >= '0' && c <= '9'))
		return lex_number(l);
	return lex_word(l);
}

struct expr_token expr_lex(struct expr_lexer *l)
{
	size_t i = l->at;

	while (expr_skip_space(l->text, &i))
		advance(l, i);
	if (l->at >= l->text.len)
		return (struct expr_token){ .kind = EXPR_T_END, .col = l->col };
	l->last = lex_one(l);
	advance(l, l->at + l->last.raw.len);
	return l->last;
}
