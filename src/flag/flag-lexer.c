/* flag-lexer.c - reads code for its string literals: one lexer for all languages (see flag-refs.h). Pure; any thread.
 *
 * Comments, strings by a table of their quotes; the oddities of each language are in flag-lexer-odd.c. What is interpolated into a string is read as code
 * again, to a depth. A string of one line that does not end there was none (an apostrophe in a text): the lexer goes back behind its quote. Going back is
 * paid from a budget, so that no text costs more than a few times its length. */
#include "base/base.h"

#include "base/limits.h"
#include "flag/flag-def.h"
#include "flag/flag-lexer.h"

enum { DEPTH_MAX = 16 };

void lex_skip_line(struct lexer *l)
{
	while (l->i < l->t.len && l->t.ptr[l->i] != '\n')
		l->i++;
}

void lex_skip_past(struct lexer *l, const char *z)
{
	while (l->i < l->t.len && !lex_starts(l, l->i, z))
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

bool lex_in_getter(struct lexer *l)
{
	struct opening *o = l->n_open && l->n_open <= LEX_OPEN_MAX ? &l->open[l->n_open - 1] : NULL;

	if (!o || !o->getter || o->taken || o->at != o->arg || !strchr("(,:=@", l->before))
		return false;
	o->taken = true;
	return true;
}

void lex_add(struct lexer *l, str text, size_t where, bool getter)
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
	l->n_open = n_open < LEX_OPEN_MAX ? n_open + 1 : n_open; /* a bracket of its own: what is outside does not reach in */
	if (l->n_open > n_open)
		l->open[n_open] = (struct opening){ 0 };
	l->before = '(';
	l->word = STR_NULL;
	lex_code(l, q->inner_end);
	l->depth--;
	l->n_open = n_open;
	l->before = before;
	l->word = word;
	if (lex_at(l, l->i) != q->inner_end)
		return false;
	l->i++;
	return true;
}

static bool inner_here(const struct lexer *l, const struct quote *q)
{
	return q->inner && lex_starts(l, l->i, q->inner) && !(q->inner[0] == '{' && !q->inner[1] && lex_at(l, l->i + 1) == '{'); /* {{ stands for a brace */
}

/* From behind the opening quote to behind the closing one. False: it does not end; the caller goes back. *ret_whole: no interpolation. */
static bool string_body(struct lexer *l, const struct quote *q, bool *ret_whole)
{
	*ret_whole = true;
	while (l->i < l->t.len && lex_step(l)) {
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
		} else if (c == q->close[0] && lex_starts(l, l->i, q->close)) {
			if (q->doubled && lex_starts(l, l->i + 1, q->close)) {
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

void lex_string(struct lexer *l, const struct quote *q, size_t open_len)
{
	size_t from = l->i + open_len, n = l->ret->all.n;
	bool   getter = lex_in_getter(l), whole;

	l->i = from;
	if (string_body(l, q, &whole)) {
		size_t to = l->i - strlen(q->close);
		str    text = whole && !q->silent ? plain(l, from, to, q) : STR_NULL;

		if (text.ptr && (getter || !str_contains(text, STR("\n"))))
			lex_add(l, text, from, getter);
	} else { /* no string after all */
		l->i = from;
		l->ret->all.n = n;
	}
	l->word = STR_NULL;
	l->before = '"';
}

/* --- comments --- */

static bool slashes(enum flag_lang g) { return g != LANG_PYTHON && g != LANG_RUBY && g != LANG_SHELL && g != LANG_TOML && g != LANG_YAML; }

static void skip_block(struct lexer *l, bool nested)
{
	unsigned deep = 0;

	do {
		if (nested && lex_starts(l, l->i, "/*")) {
			deep++;
			l->i += 2;
		} else if (lex_starts(l, l->i, "*/")) {
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
		return lex_at(l, l->i + 1) != '['; /* an attribute */
	case LANG_SHELL:
		return isspace((unsigned char)c) || c == ';' || c == '(' || c == '&' || c == '|';
	default:
		return false;
	}
}

static bool comment(struct lexer *l)
{
	if (slashes(l->lang) && lex_starts(l, l->i, "//")) {
		lex_skip_line(l);
	} else if (slashes(l->lang) && lex_starts(l, l->i, "/*")) {
		bool nested = l->lang == LANG_RUST || l->lang == LANG_SWIFT || l->lang == LANG_KOTLIN;

		l->i += nested ? 0 : 2;
		skip_block(l, nested);
	} else if (lex_at(l, l->i) == '#' && hash_comment(l)) {
		lex_skip_line(l);
	} else if (l->lang == LANG_RUBY && lex_starts(l, l->i, "=begin") && (!l->i || l->t.ptr[l->i - 1] == '\n')) {
		lex_skip_past(l, "\n=end");
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

static bool any_string(struct lexer *l)
{
	for (const struct quote *q = quotes[l->lang]; q->open; q++)
		if (lex_at(l, l->i) == q->open[0] && lex_starts(l, l->i, q->open)) {
			lex_string(l, q, strlen(q->open));
			return true;
		}
	return false;
}

/* --- code --- */

static void word(struct lexer *l)
{
	size_t from = l->i;

	while (l->i < l->t.len && lex_is_word(l->t.ptr[l->i]))
		l->i++;
	if (l->lang == LANG_RUBY && lex_at(l, l->i) == '?')
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
		if (l->n_open < LEX_OPEN_MAX)
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
	else if (c == ',' && l->n_open && l->n_open <= LEX_OPEN_MAX)
		l->open[l->n_open - 1].at++;
	if (!isspace((unsigned char)c)) {
		l->before = c;
		l->word = STR_NULL;
	}
}

void lex_code(struct lexer *l, char end)
{
	size_t base = l->n_open;

	while (l->i < l->t.len && lex_step(l)) {
		char c = l->t.ptr[l->i];

		if (end && c == end && l->n_open <= base)
			return;
		if (end && c == '\n' && l->depth && l->lang != LANG_JAVASCRIPT && l->lang != LANG_SHELL && l->lang != LANG_RUBY && l->lang != LANG_PHP && l->lang != LANG_KOTLIN &&
			l->lang != LANG_SWIFT && l->lang != LANG_HTML)
			return; /* what is interpolated into a string of one line ends with it */
		if (!(isalnum((unsigned char)c) && !strchr("Rbrc", c)) && (comment(l) || lex_oddity(l) || any_string(l)))
			continue;
		if (lex_is_word(c))
			word(l);
		else
			sign(l);
	}
}
