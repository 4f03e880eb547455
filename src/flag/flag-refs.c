/* flag-refs.c - finding texts in source code that can be keys (see flag-refs.h): what stands around code, and which of it is. Pure; any thread.
 *
 * Most languages are code from the first byte to the last (flag-lexer.c). PHP stands between marks; in HTML and templates values of attributes, what is in
 * braces, and scripts count; in YAML plain scalars. All of it is paid from the lexer's budget of steps. */
#include "base/base.h"

#include "flag/flag-lexer.h"

enum { STEPS_PER_BYTE = 6, STEPS_MORE = 4096 };

/* --- PHP: code stands between marks --- */

static void php(struct lexer *l)
{
	while (l->i < l->t.len && lex_step(l)) {
		struct lexer part;
		size_t       end;

		lex_skip_past(l, "<?");
		for (end = l->i; end < l->t.len && !lex_starts(l, end, "?>"); end++)
			;
		part = *l;
		part.t.len = end; /* ?> ends PHP even in a comment of one line */
		part.n_open = 0;
		lex_code(&part, '\0');
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
	lex_add(l, str_sub(l->t, from, to - from), from, false);
	for (size_t p = from; p < to; p++) {
		size_t e = p + 1;

		if (l->t.ptr[p] != other)
			continue;
		while (e < to && l->t.ptr[e] != other)
			e++;
		if (e < to)
			lex_add(l, str_sub(l->t, p + 1, e - p - 1), p + 1, false);
		p = e;
	}
	l->i = to + 1;
}

static void html_region(struct lexer *l, size_t open_len, const char *close)
{
	size_t end = l->i + open_len;

	while (end < l->t.len && !lex_starts(l, end, close))
		end++;
	if (end >= l->t.len) { /* never closed: a '<' in a text */
		l->i += open_len;
		l->steps += end - l->i; /* looked at in vain */
		return;
	}
	for (l->i += open_len; l->i < end && lex_step(l);) {
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

	while (end < l->t.len && !lex_starts(l, end, "</script"))
		end++;
	part.lang = LANG_JAVASCRIPT;
	part.t.len = end;
	part.n_open = 0;
	part.before = '\0';
	lex_code(&part, '\0');
	part.lang = l->lang;
	part.t.len = l->t.len;
	*l = part;
	l->i = end;
}

static void html(struct lexer *l)
{
	while (l->i < l->t.len && lex_step(l)) {
		if (lex_starts(l, l->i, "<!--")) {
			lex_skip_past(l, "-->");
		} else if (lex_starts(l, l->i, "{#")) {
			lex_skip_past(l, "#}");
		} else if (lex_starts(l, l->i, "{{!--")) {
			lex_skip_past(l, "--}}");
		} else if (lex_starts(l, l->i, "<%#") || lex_starts(l, l->i, "<%--")) {
			lex_skip_past(l, "%>");
		} else if (lex_starts(l, l->i, "{{")) {
			html_region(l, 2, "}}");
		} else if (lex_starts(l, l->i, "{%")) {
			html_region(l, 2, "%}");
		} else if (lex_starts(l, l->i, "<%")) {
			html_region(l, 2, "%>");
		} else if (lex_at(l, l->i) == '<' && (isalpha((unsigned char)lex_at(l, l->i + 1)))) {
			bool script = lex_starts(l, l->i, "<script");

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
		lex_add(l, str_sub(l->t, from, to - from), from, false);
}

/* One line from l->i to `end`: scalars between the signs of structure. */
static void yaml_line(struct lexer *l, size_t end)
{
	size_t from = l->i;

	while (l->i < end && lex_step(l)) {
		char c = l->t.ptr[l->i];
		bool blank_after = l->i + 1 >= end || isspace((unsigned char)l->t.ptr[l->i + 1]);

		if ((c == '"' || c == '\'') && !str_trim(str_sub(l->t, from, l->i - from)).len) {
			struct quote q = { "", c == '"' ? "\"" : "'", c == '"', c == '\'', false, false, NULL, 0 };
			size_t       old = l->t.len;

			l->t.len = end;
			lex_string(l, &q, 1);
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

	while (l->i < l->t.len && lex_step(l)) {
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
		lex_code(&l, '\0');
	ret->cut |= l.steps > l.steps_max;
	return l.rc;
}

void flag_literals_fini(struct flag_literals *l) { VEC_FINI(&l->all); }
