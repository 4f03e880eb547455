/* cel-lex-text.c - escapes of string and bytes literals.
 *
 * In strings \x and octal name code points, in bytes they name bytes; \u and \U are for strings alone. Pure: any thread. */
#include "base/base.h"
#include "lang/cel/cel-lex.h"

size_t cel_utf8_put(char *p, uint32_t c)
{
	if (c < 0x80) {
		p[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		p[0] = (char)(0xc0 | (c >> 6));
		p[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		p[0] = (char)(0xe0 | (c >> 12));
		p[1] = (char)(0x80 | ((c >> 6) & 0x3f));
		p[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	p[0] = (char)(0xf0 | (c >> 18));
	p[1] = (char)(0x80 | ((c >> 12) & 0x3f));
	p[2] = (char)(0x80 | ((c >> 6) & 0x3f));
	p[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
}

/* Exactly n digits of a base at s[from]. */
static bool number(str s, size_t from, size_t n, int base, uint32_t *ret)
{
	*ret = 0;
	if (from + n > s.len)
		return false;
	for (size_t i = 0; i < n; i++) {
		int d = digit_of(s.ptr[from + i]);

		if (d >= base)
			return false;
		*ret = *ret * (uint32_t)base + (uint32_t)d;
	}
	return true;
}

static bool simple_escape(char c, char *ret)
{
	static const char from[] = "abfnrtv\\?\"'`", to[] = "\a\b\f\n\r\t\v\\?\"'`";
	const char *at = c ? strchr(from, c) : NULL;

	if (!at)
		return false;
	*ret = to[at - from];
	return true;
}

static size_t hex_digits(char c)
{
	switch (c) {
	case 'x':
	case 'X': return 2;
	case 'u': return 4;
	case 'U': return 8;
	default: return 0;
	}
}

/* The number of the escape at s[*at]: \xHH, \uHHHH, \UHHHHHHHH or \ooo. */
static bool numeric_escape(str s, size_t *at, bool bytes, uint32_t *ret, const char **ret_problem)
{
	size_t digits = *at < s.len ? hex_digits(s.ptr[*at]) : 0;

	if (digits > 2 && bytes) {
		*ret_problem = "\\u and \\U are no escapes of bytes: write the bytes as \\x";
		return false;
	}
	if (digits ? !number(s, *at + 1, digits, 16, ret) : !number(s, *at, 3, 8, ret) || *ret > 0377) {
		*ret_problem = digits ? "an escape with too few hexadecimal digits" : "an unknown escape; a backslash itself is \\\\";
		return false;
	}
	if (*ret > 0x10ffff || (*ret >= 0xd800 && *ret < 0xe000)) {
		*ret_problem = "an escape that is no Unicode character";
		return false;
	}
	*at += digits ? digits + 1 : 3;
	return true;
}

/* The escape at s[*at], behind its backslash: appends what it means. */
static bool escape(str s, size_t *at, bool bytes, char *out, size_t *n, const char **ret_problem)
{
	uint32_t code;

	if (*at < s.len && simple_escape(s.ptr[*at], &out[*n])) {
		++*at;
		++*n;
		return true;
	}
	if (!numeric_escape(s, at, bytes, &code, ret_problem))
		return false;
	if (bytes)
		out[(*n)++] = (char)code;
	else
		*n += cel_utf8_put(out + *n, code);
	return true;
}

bool cel_unescape(struct arena *a, str body, bool bytes, str *ret, const char **ret_problem)
{
	char *out = arena_alloc(a, body.len + 1); /* no escape is longer when decoded */
	size_t n = 0, i = 0;

	*ret_problem = "out of memory";
	if (!out)
		return false;
	while (i < body.len) {
		char c = body.ptr[i++];

		if (c == '\\') {
			if (!escape(body, &i, bytes, out, &n, ret_problem))
				return false;
		} else {
			out[n++] = c;
		}
	}
	*ret = str_n(out, n);
	return true;
}
