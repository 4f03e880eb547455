/* mustache-escape.c - a value as a piece of the output's language. Pure; any thread. */
#include "lang/mustache/mustache-internal.h"

static bool only_of(str s, const char *more)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr(more, c))))
			return false;
	}
	return s.len > 0;
}

static void add_shell(struct buf *out, str s)
{
	if (only_of(s, "_./:@%+,-")) {
		buf_add_str(out, s);
		return;
	}
	buf_addc(out, '\'');
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] == '\'')
			buf_addz(out, "'\\''");
		else if (s.ptr[i]) /* no shell word can hold a NUL */
			buf_addc(out, s.ptr[i]);
	}
	buf_addc(out, '\'');
}

/* "10m", "250ms": no kind of number in any YAML. */
static bool is_duration(str s)
{
	size_t i = 0;

	while (i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9')
		i++;
	s = str_sub(s, i, s.len);
	return i && (str_eqz(s, "ms") || (s.len == 1 && strchr("smhdw", s.ptr[0]) && s.ptr[0]));
}

/* Plain only when no reader of YAML, old or new, sees anything but this text in it. */
static bool is_plain_yaml(str s)
{
	static const char *const words[] = { "null", "true", "false", "yes", "no", "on", "off", "y", "n", NULL };
	char c = s.len ? s.ptr[0] : 0;

	if (is_duration(s))
		return true;
	if (!only_of(s, "_./-") || !((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')))
		return false;
	for (size_t i = 0; words[i]; i++)
		if (str_eq_nocase(s, str_z(words[i])))
			return false;
	return true;
}

void mustache_escape_add(struct buf *out, str s, enum mustache_escape escape)
{
	switch (escape) {
	case MUSTACHE_HTML: buf_add_html(out, s); return;
	case MUSTACHE_SHELL: add_shell(out, s); return;
	case MUSTACHE_YAML:
		if (is_plain_yaml(s)) {
			buf_add_str(out, s);
			return;
		}
		buf_addc(out, '"');
		buf_add_json(out, s); /* every JSON text is a YAML double-quoted text */
		buf_addc(out, '"');
		return;
	case MUSTACHE_NONE: buf_add_str(out, s); return;
	}
}
