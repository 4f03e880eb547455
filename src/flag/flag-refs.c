/* flag-refs.c - finding string literals in source code (see flag-refs.h). Pure; any thread.
 *
 * One lexer for all languages: comments, strings by a table of their quotes, and the oddities of each language in a hook of its own. What is interpolated into
 * a string is read as code again, to a depth. A string of one line that does not end there was none (an apostrophe in a text): the lexer goes back behind
 * its quote. Going back is paid from a budget, so that no text costs more than a few times its length. */
#include "base/base.h"

#include "base/limits.h"
#include "flag/flag-def.h"
#include "flag/flag-refs.h"

#include <ctype.h>

enum { DEPTH_MAX = 16, OPEN_MAX = 64, STEPS_PER_BYTE = 6, STEPS_MORE = 4096, HEREDOC_BYTES = 64 };

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
	struct opening        open[OPEN_MAX];
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

static void code(struct lexer *l, char end);

static char at(const struct lexer *l, size_t i) { return i < l->t.len ? l->t.ptr[i] : '\0'; }
static bool starts(const struct lexer *l, size_t i, const char *z) { return i <= l->t.len && str_has_prefix(str_sub(l->t, i, l->t.len), str_z(z)); }
static bool is_word(char c) { return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80; }

static bool step(struct lexer *l)
{
	return ++l->steps <= l->steps_max && !l->rc;
}

static void skip_line(struct lexer *l)
{
	while (l->i < l->t.len && l->t.ptr[l->i] != '\n')
		l->i++;
}

static void skip_past(struct lexer *l, const char *z)
{
	while (l->i < l->t.len && !starts(l, l->i, z))
		l->i++;
	l->i = l->i < l->t.len ? l->i + strlen(z) : l->t.len;
}

/* --- literals --- */

static void place(struct lexer *l, size_t where, struct flag_literal *lit)
{
	if (where < l->line_at) { /* went back */
		l->steps += where;
		l->line_at = l->line_begin = 0;
		l->line = 1;
	}
	for (; l->line_at < where; l->line_at++)
		if (l->t.ptr[l->line_at] == '\n') {
			l->line++;
			l->line_begin = l->line_at + 1;
		}
	lit->line = (uint32_t)l->line;
	lit->col = (uint32_t)(where - l->line_begin) + 1;
}

/* Is the literal that stands here the one that names the flag of a getter's call? */
static bool in_getter(struct lexer *l)
{
	struct opening *o = l->n_open && l->n_open <= OPEN_MAX ? &l->open[l->n_open - 1] : NULL;

	if (!o || !o->getter || o->taken || o->at != o->arg || !strchr("(,:=@", l->before))
		return false;
	o->taken = true;
	return true;
}

static void add(struct lexer *l, str text, size_t where, bool getter)
{
	struct flag_literal lit = { .text = text, .getter = getter };

	if (!flag_key_ok(text))
		return;
	if (l->ret->all.n >= LIMIT_FLAG_REF_LITERALS) {
		l->ret->cut = true;
		return;
	}
	place(l, where, &lit);
	if (!VEC_PUSH(&l->ret->all, lit))
		l->rc = err_set(l->reterr, WEIR_ENOMEM, "texts of a file");
}

/* The text between from and to without its escapes; STR_NULL: it has others than of quotes, or is too long. */
static str plain(struct lexer *l, size_t from, size_t to, const struct quote *q)
{
	str   raw = str_sub(l->t, from, to - from);
	char *out;
	size_t n = 0;

	if (raw.len > 2 * LIMIT_FLAG_KEY_BYTES)
		return STR_NULL;
	if (!(q->escapes && memchr(raw.ptr, '\\', raw.len)) && !q->doubled)
		return raw;
	if (!(out = arena_alloc(l->arena, raw.len + 1)))
		return STR_NULL;
	for (size_t i = 0; i < raw.len; i++) {
		if (q->escapes && raw.ptr[i] == '\\') {
			if (++i >= raw.len || !strchr("\\\"'/`$", raw.ptr[i]))
				return STR_NULL;
		} else if (q->doubled && raw.ptr[i] == q->close[0]) {
			i++;
		}
		if (i < raw.len)
			out[n++] = raw.ptr[i];
	}
	return str_n(out, n);
}

/* At an interpolation: reads it as code and stands behind its end. False: it has none. */
static bool interpolation(struct lexer *l, const struct quote *q)
{
	char           before = l->before;
	str            word = l->word;
	size_t         n_open = l->n_open;

	l->i += strlen(q->inner);
	if (l->depth >= DEPTH_MAX)
		return false;
	l->depth++;
	l->n_open = n_open < OPEN_MAX ? n_open + 1 : n_open; /* a bracket of its own: what is outside does not reach in */
	if (l->n_open > n_open)
		l->open[n_open] = (struct opening){ 0 };
	l->before = '(';
	l->word = STR_NULL;
	code(l, q->inner_end);
	l->depth--;
	l->n_open = n_open;
	l->before = before;
	l->word = word;
	if (at(l, l->i) != q->inner_end)
		return false;
	l->i++;
	return true;
}

static bool inner_here(const struct lexer *l, const struct quote *q)
{
	return q->inner && starts(l, l->i, q->inner) && !(q->inner[0] == '{' && !q->inner[1] && at(l, l->i + 1) == '{'); /* {{ stands for a brace */
}

/* From behind the opening quote to behind the closing one. False: it does not end; the caller goes back. *ret_whole: no interpolation. */
static bool string_body(struct lexer *l, const struct quote *q, bool *ret_whole)
{
	*ret_whole = true;
	while (l->i < l->t.len && step(l)) {
		char c = l->t.ptr[l->i];

		if (q->inner && inner_here(l, q)) {
			*ret_whole = false;
			if (!interpolation(l, q))
				return false;
		} else if (q->inner && q->inner[0] == '{' && c == '{') {
			l->i += 2;
		} else if (q->escapes && c == '\\') {
			l->i += 2;
		} else if (c == '\n' && !q->lines) {
			return false;
		} else if (c == q->close[0] && starts(l, l->i, q->close)) {
			if (q->doubled && starts(l, l->i + 1, q->close)) {
				l->i += 2;
				continue;
			}
			l->i += strlen(q->close);
			return true;
		} else {
			l->i++;
		}
	}
	return false;
}

/* A string whose opening (of open_len bytes) stands at l->i. */
static void string(struct lexer *l, const struct quote *q, size_t open_len)
{
	size_t from = l->i + open_len, n = l->ret->all.n;
	bool   getter = in_getter(l), whole;

	l->i = from;
	if (string_body(l, q, &whole)) {
		size_t to = l->i - strlen(q->close);
		str    text = whole && !q->silent ? plain(l, from, to, q) : STR_NULL;

		if (text.ptr && (getter || !str_contains(text, STR("\n"))))
			add(l, text, from, getter);
	} else { /* no string after all */
		l->i = from;
		l->ret->all.n = n;
	}
	l->word = STR_NULL;
	l->before = '"';
}

/* --- what is special to languages; each is true when it read something --- */

/* r"..." r#"..."# b"..." c"..." of Rust, #"..."# of Swift: any number of '#'. */
static bool hash_string(struct lexer *l)
{
	size_t       p = l->i, hashes = 0;
	char         close[40] = "\"";
	struct quote q = { "\"", close, false, false, true, false, NULL, 0 };

	if (l->lang == LANG_RUST) {
		while (p < l->i + 2 && strchr("brc", at(l, p)) && at(l, p))
			p++;
		if (p == l->i || at(l, p - 1) != 'r')
			return false;
	}
	for (; at(l, p) == '#' && hashes < 16; p++)
		close[++hashes] = '#';
	if (at(l, p) != '"' || (l->lang == LANG_SWIFT && !hashes) || (l->i && is_word(l->t.ptr[l->i - 1])))
		return false;
	string(l, &q, p + 1 - l->i);
	return true;
}

/* 'a' of Rust is a character, 'a alone a lifetime. */
static bool rust_quote(struct lexer *l)
{
	static const struct quote q = { "'", "'", true, false, false, true, NULL, 0 };
	size_t                    p = l->i + 1;

	if (at(l, l->i) != '\'')
		return false;
	if (at(l, p) != '\\') {
		p++;
		while (((unsigned char)at(l, p) & 0xc0) == 0x80)
			p++;
		if (at(l, p) != '\'') {
			l->i++;
			return true;
		}
	}
	string(l, &q, 1);
	return true;
}

/* R"x(...)x" of C++; ' between digits. */
static bool c_oddities(struct lexer *l)
{
	char         close[24] = ")";
	size_t       n = 1, p = l->i + 2;
	struct quote q = { "R\"", close, false, false, true, false, NULL, 0 };

	if (at(l, l->i) == '\'' && l->i && isalnum((unsigned char)l->t.ptr[l->i - 1]) && isxdigit((unsigned char)at(l, l->i + 1)) && l->word.len &&
		isdigit((unsigned char)l->word.ptr[0])) {
		l->i++;
		return true;
	}
	if (!starts(l, l->i, "R\""))
		return false;
	for (; n < 20 && at(l, p) && at(l, p) != '(' && at(l, p) != '\n'; p++)
		close[n++] = l->t.ptr[p];
	if (at(l, p) != '(')
		return false;
	close[n++] = '"';
	close[n] = '\0';
	string(l, &q, p + 1 - l->i);
	return true;
}

/* @"..." $"..." $@"..." """...""" of C#. */
static bool csharp_string(struct lexer *l)
{
	bool         verbatim = false, inner = false;
	size_t       p = l->i, n = 0;
	char         close[16];
	struct quote q = { "\"", close, true, false, false, false, NULL, '}' };

	for (; (at(l, p) == '@' || at(l, p) == '$') && p < l->i + 4; p++) {
		verbatim |= at(l, p) == '@';
		inner |= at(l, p) == '$';
	}
	while (at(l, p + n) == '"' && n < 12)
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
	string(l, &q, p + n - l->i);
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
	char         c = at(l, l->i);
	char         close[4] = { c, 0, 0, 0 };
	struct quote q = { close, close, true, false, false, false, NULL, '}' };

	if (c != '"' && c != '\'')
		return false;
	if (at(l, l->i + 1) == c && at(l, l->i + 2) == c) {
		close[1] = close[2] = c;
		q.lines = true;
	}
	if (is_prefix(l->word) && l->word.ptr + l->word.len == l->t.ptr + l->i) {
		for (size_t k = 0; k < l->word.len; k++)
			if ((l->word.ptr[k] | 32) == 'f' || (l->word.ptr[k] | 32) == 't')
				q.inner = "{";
		l->before = '('; /* a prefix is no word of its own */
	}
	string(l, &q, strlen(close));
	return true;
}

/* <<ID, <<-ID, <<~ID of shells and Ruby, <<<ID of PHP: the rest of the line is code, then the text is passed over, to the line that is ID alone. */
static bool heredoc(struct lexer *l)
{
	char         id[HEREDOC_BYTES];
	size_t       p = l->i + 2, n = 0, end;
	char         quoted = 0;
	struct lexer rest = *l;

	if (!starts(l, l->i, "<<") || l->depth || l->n_open > 1) /* $((1 << n)) */
		return false;
	p += l->lang == LANG_PHP ? (at(l, p) == '<') : (at(l, p) == '-' || at(l, p) == '~');
	while (l->lang != LANG_RUBY && at(l, p) == ' ')
		p++;
	if (at(l, p) == '"' || at(l, p) == '\'')
		quoted = at(l, p++);
	while (n + 1 < sizeof(id) && is_word(at(l, p)))
		id[n++] = l->t.ptr[p++];
	id[n] = '\0';
	if (!n || isdigit((unsigned char)id[0]) || (l->lang == LANG_RUBY && !quoted && !isupper((unsigned char)id[0])) || (l->lang == LANG_PHP && !starts(l, l->i, "<<<")))
		return false;
	p += quoted && at(l, p) == quoted;
	for (end = p; end < l->t.len && l->t.ptr[end] != '\n'; end++)
		;
	rest.t.len = end; /* the rest of the line is code */
	rest.i = p;
	rest.depth++;
	code(&rest, '\0');
	rest.depth--;
	rest.t.len = l->t.len;
	*l = rest;
	l->i = end;
	while (l->i < l->t.len && step(l)) {
		size_t line = ++l->i;

		skip_line(l);
		while (at(l, line) == ' ' || at(l, line) == '\t')
			line++;
		if (starts(l, line, id) && !is_word(at(l, line + n)))
			break;
	}
	return true;
}

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
	char c = at(l, l->i);

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

	if (at(l, l->i) != '/' || at(l, p) == '/' || at(l, p) == '*')
		return false;
	if (!(may || before_value(l->word)) || (l->before == '<' && l->lang == LANG_JAVASCRIPT)) /* </b> */
		return false;
	for (; p < l->t.len && l->t.ptr[p] != '\n' && step(l); p++) {
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
	if (at(l, l->i) != '\\' || l->i + 1 >= l->t.len)
		return false;
	l->i += 2;
	return true;
}

/* :symbol of Ruby counts as a text. */
static bool ruby_symbol(struct lexer *l)
{
	size_t p = l->i + 1;
	bool   getter;

	if (at(l, l->i) != ':' || at(l, p) == ':' || !(isalpha((unsigned char)at(l, p)) || at(l, p) == '_') || (l->i && (is_word(l->t.ptr[l->i - 1]) || l->t.ptr[l->i - 1] == ':')))
		return false;
	getter = in_getter(l);
	while (is_word(at(l, p)))
		p++;
	p += at(l, p) == '?';
	add(l, str_sub(l->t, l->i + 1, p - l->i - 1), l->i + 1, getter);
	l->i = p;
	l->before = '"';
	return true;
}

/* --- comments --- */

static bool slashes(enum flag_lang g) { return g != LANG_PYTHON && g != LANG_RUBY && g != LANG_SHELL && g != LANG_TOML && g != LANG_YAML; }

static void skip_block(struct lexer *l, bool nested)
{
	unsigned deep = 0;

	do {
		if (nested && starts(l, l->i, "/*")) {
			deep++;
			l->i += 2;
		} else if (starts(l, l->i, "*/")) {
			l->i += 2;
			if (!nested || --deep == 0)
				return;
		} else {
			l->i++;
		}
	} while (l->i < l->t.len);
	l->i = l->t.len;
}

static bool hash_comment(const struct lexer *l)
{
	char c = l->i ? l->t.ptr[l->i - 1] : '\n';

	switch (l->lang) {
	case LANG_PYTHON:
	case LANG_RUBY:
	case LANG_TOML:
		return true;
	case LANG_PHP:
		return at(l, l->i + 1) != '['; /* an attribute */
	case LANG_SHELL:
		return isspace((unsigned char)c) || c == ';' || c == '(' || c == '&' || c == '|';
	default:
		return false;
	}
}

static bool comment(struct lexer *l)
{
	if (slashes(l->lang) && starts(l, l->i, "//")) {
		skip_line(l);
	} else if (slashes(l->lang) && starts(l, l->i, "/*")) {
		bool nested = l->lang == LANG_RUST || l->lang == LANG_SWIFT || l->lang == LANG_KOTLIN;

		l->i += nested ? 0 : 2;
		skip_block(l, nested);
	} else if (at(l, l->i) == '#' && hash_comment(l)) {
		skip_line(l);
	} else if (l->lang == LANG_RUBY && starts(l, l->i, "=begin") && (!l->i || l->t.ptr[l->i - 1] == '\n')) {
		skip_past(l, "\n=end");
	} else {
		return false;
	}
	return true;
}

/* --- strings by language --- */

static const struct quote quotes_c[] = { { "\"", "\"", true, false, false, false, NULL, 0 }, { "'", "'", true, false, false, true, NULL, 0 }, { NULL, NULL, 0, 0, 0, 0, NULL, 0 } };
static const struct quote quotes_go[] = { { "\"", "\"", true, false, false, false, NULL, 0 }, { "`", "`", false, false, true, false, NULL, 0 },
										  { "'", "'", true, false, false, true, NULL, 0 }, { NULL, NULL, 0, 0, 0, 0, NULL, 0 } };
static const struct quote quotes_java[] = { { "\"\"\"", "\"\"\"", true, false, true, false, NULL, 0 }, { "\"", "\"", true, false, false, false, NULL, 0 },
											{ "'", "'", true, false, false, true, NULL, 0 }, { NULL, NULL, 0, 0, 0, 0, NULL, 0 } };
static const struct quote quotes_js[] = { { "\"", "\"", true, false, false, false, NULL, 0 }, { "'", "'", true, false, false, false, NULL, 0 },
										  { "`", "`", true, false, true, false, "${", '}' }, { NULL, NULL, 0, 0, 0, 0, NULL, 0 } };
static const struct quote quotes_json[] = { { "\"", "\"", true, false, false, false, NULL, 0 }, { "'", "'", true, false, false, false, NULL, 0 },
											{ NULL, NULL, 0, 0, 0, 0, NULL, 0 } };
static const struct quote quotes_kotlin[] = { { "\"\"\"", "\"\"\"", false, false, true, false, "${", '}' }, { "\"", "\"", true, false, false, false, "${", '}' },
											  { "'", "'", true, false, false, true, NULL, 0 }, { NULL, NULL, 0, 0, 0, 0, NULL, 0 } };
static const struct quote quotes_php[] = { { "\"", "\"", true, false, true, false, "{$", '}' }, { "'", "'", true, false, true, false, NULL, 0 },
										   { NULL, NULL, 0, 0, 0, 0, NULL, 0 } };
static const struct quote quotes_ruby[] = { { "\"", "\"", true, false, true, false, "#{", '}' }, { "'", "'", true, false, true, false, NULL, 0 },
											{ "`", "`", true, false, true, true, "#{", '}' }, { NULL, NULL, 0, 0, 0, 0, NULL, 0 } };
static const struct quote quotes_rust[] = { { "\"", "\"", true, false, true, false, NULL, 0 }, { NULL, NULL, 0, 0, 0, 0, NULL, 0 } };
static const struct quote quotes_shell[] = { { "\"", "\"", true, false, true, false, "$(", ')' }, { "'", "'", false, false, true, false, NULL, 0 },
											 { NULL, NULL, 0, 0, 0, 0, NULL, 0 } };
static const struct quote quotes_swift[] = { { "\"\"\"", "\"\"\"", true, false, true, false, "\\(", ')' }, { "\"", "\"", true, false, false, false, "\\(", ')' },
											 { NULL, NULL, 0, 0, 0, 0, NULL, 0 } };
static const struct quote quotes_toml[] = { { "\"\"\"", "\"\"\"", true, false, true, false, NULL, 0 }, { "'''", "'''", false, false, true, false, NULL, 0 },
											{ "\"", "\"", true, false, false, false, NULL, 0 }, { "'", "'", false, false, false, false, NULL, 0 },
											{ NULL, NULL, 0, 0, 0, 0, NULL, 0 } };
static const struct quote quotes_none[] = { { NULL, NULL, 0, 0, 0, 0, NULL, 0 } };

static const struct quote *const quotes[] = {
	[LANG_NONE] = quotes_none, [LANG_C] = quotes_c, [LANG_CSHARP] = quotes_c, [LANG_GO] = quotes_go, [LANG_HTML] = quotes_js, [LANG_JAVA] = quotes_java,
	[LANG_JAVASCRIPT] = quotes_js, [LANG_JSON] = quotes_json, [LANG_KOTLIN] = quotes_kotlin, [LANG_PHP] = quotes_php, [LANG_PYTHON] = quotes_none,
	[LANG_RUBY] = quotes_ruby, [LANG_RUST] = quotes_rust, [LANG_SHELL] = quotes_shell, [LANG_SWIFT] = quotes_swift, [LANG_TOML] = quotes_toml,
	[LANG_YAML] = quotes_json,
};

static bool oddity(struct lexer *l)
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

static bool any_string(struct lexer *l)
{
	for (const struct quote *q = quotes[l->lang]; q->open; q++)
		if (at(l, l->i) == q->open[0] && starts(l, l->i, q->open)) {
			string(l, q, strlen(q->open));
			return true;
		}
	return false;
}

/* --- code --- */

static void word(struct lexer *l)
{
	size_t from = l->i;

	while (l->i < l->t.len && is_word(l->t.ptr[l->i]))
		l->i++;
	if (l->lang == LANG_RUBY && at(l, l->i) == '?')
		l->i++;
	l->word = str_sub(l->t, from, l->i - from);
	/* the name of an argument (flag_key=..., flagKey: ...) leaves the place as it is: what follows '=' or ':' */
	l->before = 'w';
}

static void bracket(struct lexer *l, char c)
{
	if (strchr("([{", c)) {
		struct opening o = { 0 };

		o.getter = c == '(' && l->word.len && flag_is_getter(l->word, &o.arg);
		if (l->n_open < OPEN_MAX)
			l->open[l->n_open] = o;
		l->n_open++;
	} else if (l->n_open) {
		l->n_open--;
	}
}

static void sign(struct lexer *l)
{
	char c = l->t.ptr[l->i++];

	if (strchr("([{)]}", c) && c)
		bracket(l, c);
	else if (c == ',' && l->n_open && l->n_open <= OPEN_MAX)
		l->open[l->n_open - 1].at++;
	if (!isspace((unsigned char)c)) {
		l->before = c;
		l->word = STR_NULL;
	}
}

/* Code up to `end` outside of brackets of its own (not read), or to the end of the text. */
static void code(struct lexer *l, char end)
{
	size_t base = l->n_open;

	while (l->i < l->t.len && step(l)) {
		char c = l->t.ptr[l->i];

		if (end && c == end && l->n_open <= base)
			return;
		if (end && c == '\n' && l->depth && l->lang != LANG_JAVASCRIPT && l->lang != LANG_SHELL && l->lang != LANG_RUBY && l->lang != LANG_PHP && l->lang != LANG_KOTLIN &&
			l->lang != LANG_SWIFT && l->lang != LANG_HTML)
			return; /* what is interpolated into a string of one line ends with it */
		if (!(isalnum((unsigned char)c) && !strchr("Rbrc", c)) && (comment(l) || oddity(l) || any_string(l)))
			continue;
		if (is_word(c))
			word(l);
		else
			sign(l);
	}
}

/* --- PHP: code stands between marks --- */

static void php(struct lexer *l)
{
	while (l->i < l->t.len && step(l)) {
		struct lexer part;
		size_t       end;

		skip_past(l, "<?");
		for (end = l->i; end < l->t.len && !starts(l, end, "?>"); end++)
			;
		part = *l;
		part.t.len = end; /* ?> ends PHP even in a comment of one line */
		part.n_open = 0;
		code(&part, '\0');
		part.t.len = l->t.len;
		*l = part;
		l->i = end;
	}
}

/* --- HTML and templates --- */

/* A value in quotes, and what is quoted otherwise inside it: v-if="on('new-cart')". */
static void html_value(struct lexer *l, size_t end_of_region)
{
	char   q = l->t.ptr[l->i];
	size_t from = l->i + 1, to = from;
	char   other = q == '"' ? '\'' : '"';

	while (to < end_of_region && l->t.ptr[to] != q)
		to++;
	if (to >= end_of_region) {
		l->i++;
		return;
	}
	add(l, str_sub(l->t, from, to - from), from, false);
	for (size_t p = from; p < to; p++) {
		size_t e = p + 1;

		if (l->t.ptr[p] != other)
			continue;
		while (e < to && l->t.ptr[e] != other)
			e++;
		if (e < to)
			add(l, str_sub(l->t, p + 1, e - p - 1), p + 1, false);
		p = e;
	}
	l->i = to + 1;
}

static void html_region(struct lexer *l, size_t open_len, const char *close)
{
	size_t end = l->i + open_len;

	while (end < l->t.len && !starts(l, end, close))
		end++;
	if (end >= l->t.len) { /* never closed: a '<' in a text */
		l->i += open_len;
		l->steps += end - l->i; /* looked at in vain */
		return;
	}
	for (l->i += open_len; l->i < end && step(l);) {
		if (l->t.ptr[l->i] == '"' || l->t.ptr[l->i] == '\'')
			html_value(l, end);
		else
			l->i++;
	}
	l->i = end + strlen(close) > l->i ? end + strlen(close) : l->i;
}

static void html_script(struct lexer *l)
{
	struct lexer part = *l;
	size_t       end = l->i;

	while (end < l->t.len && !starts(l, end, "</script"))
		end++;
	part.lang = LANG_JAVASCRIPT;
	part.t.len = end;
	part.n_open = 0;
	part.before = '\0';
	code(&part, '\0');
	part.lang = l->lang;
	part.t.len = l->t.len;
	*l = part;
	l->i = end;
}

static void html(struct lexer *l)
{
	while (l->i < l->t.len && step(l)) {
		if (starts(l, l->i, "<!--")) {
			skip_past(l, "-->");
		} else if (starts(l, l->i, "{#")) {
			skip_past(l, "#}");
		} else if (starts(l, l->i, "{{!--")) {
			skip_past(l, "--}}");
		} else if (starts(l, l->i, "<%#") || starts(l, l->i, "<%--")) {
			skip_past(l, "%>");
		} else if (starts(l, l->i, "{{")) {
			html_region(l, 2, "}}");
		} else if (starts(l, l->i, "{%")) {
			html_region(l, 2, "%}");
		} else if (starts(l, l->i, "<%")) {
			html_region(l, 2, "%>");
		} else if (at(l, l->i) == '<' && (isalpha((unsigned char)at(l, l->i + 1)))) {
			bool script = starts(l, l->i, "<script");

			html_region(l, 1, ">");
			if (script)
				html_script(l);
		} else {
			l->i++;
		}
	}
}

/* --- YAML: plain scalars are texts, too --- */

static void yaml_scalar(struct lexer *l, size_t from, size_t to)
{
	while (from < to && isspace((unsigned char)l->t.ptr[from]))
		from++;
	while (to > from && isspace((unsigned char)l->t.ptr[to - 1]))
		to--;
	if (to > from)
		add(l, str_sub(l->t, from, to - from), from, false);
}

/* One line from l->i to `end`: scalars between the signs of structure. */
static void yaml_line(struct lexer *l, size_t end)
{
	size_t from = l->i;

	while (l->i < end && step(l)) {
		char c = l->t.ptr[l->i];
		bool blank_after = l->i + 1 >= end || isspace((unsigned char)l->t.ptr[l->i + 1]);

		if ((c == '"' || c == '\'') && !str_trim(str_sub(l->t, from, l->i - from)).len) {
			struct quote q = { "", c == '"' ? "\"" : "'", c == '"', c == '\'', false, false, NULL, 0 };
			size_t       old = l->t.len;

			l->t.len = end;
			string(l, &q, 1);
			l->t.len = old;
			from = l->i;
		} else if (c == '#' && (l->i == from || isspace((unsigned char)l->t.ptr[l->i - 1]))) {
			break;
		} else if ((c == ':' && blank_after) || strchr("[]{},", c) || (c == '-' && blank_after && !str_trim(str_sub(l->t, from, l->i - from)).len)) {
			yaml_scalar(l, from, l->i);
			from = ++l->i;
		} else {
			l->i++;
		}
	}
	yaml_scalar(l, from, l->i < end ? l->i : end);
	l->i = end;
}

static size_t indent_of(const struct lexer *l, size_t i, size_t end)
{
	size_t n = 0;

	while (i + n < end && l->t.ptr[i + n] == ' ')
		n++;
	return n;
}

static void yaml(struct lexer *l)
{
	bool   block = false; /* in a text of several lines, begun by | or > */
	size_t outer = 0;     /* indentation of its key */

	while (l->i < l->t.len && step(l)) {
		size_t begin = l->i, end = begin, indent;
		str    line;

		while (end < l->t.len && l->t.ptr[end] != '\n')
			end++;
		line = str_trim(str_sub(l->t, begin, end - begin));
		indent = indent_of(l, begin, end);
		if (block && (!line.len || indent > outer)) {
			l->i = end;
		} else {
			block = line.len > 1 && (str_has_suffix(line, STR("|")) || str_has_suffix(line, STR(">")) || str_has_suffix(line, STR("|-")) || str_has_suffix(line, STR(">-")) ||
									 str_has_suffix(line, STR("|+")) || str_has_suffix(line, STR(">+")));
			outer = indent;
			yaml_line(l, end);
		}
		l->i = end + 1;
	}
}

int flag_refs_scan(enum flag_lang lang, str text, struct arena *a, struct flag_literals *ret, struct err *reterr)
{
	struct lexer l = { .lang = lang, .t = text, .arena = a, .ret = ret, .line = 1, .steps_max = STEPS_PER_BYTE * text.len + STEPS_MORE, .reterr = reterr, .word = STR_NULL };

	*ret = (struct flag_literals){ .all = VEC_INIT };
	if (lang == LANG_PHP)
		php(&l);
	else if (lang == LANG_HTML)
		html(&l);
	else if (lang == LANG_YAML)
		yaml(&l);
	else if (lang != LANG_NONE)
		code(&l, '\0');
	ret->cut |= l.steps > l.steps_max;
	return l.rc;
}

void flag_literals_fini(struct flag_literals *l) { VEC_FINI(&l->all); }
