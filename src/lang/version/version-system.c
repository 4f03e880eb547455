/* version-system.c - the orders of Linux distributions: Debian, RPM, Alpine. Pure; any thread. */
#include "lang/version/version-internal.h"

/* "1:rest" */
static void key_epoch(struct buf *key, str *s)
{
	str epoch, rest;

	if (str_cut(*s, ':', &epoch, &rest) && epoch.len && epoch.len == take_digits(&(str){ epoch.ptr, epoch.len }).len) {
		key_number(key, epoch);
		*s = rest;
	} else {
		key_number(key, STR("0"));
	}
}

/* --- Debian policy 5.6.12: texts and numbers in turn; in texts '~' sorts before the end, letters before the rest --- */

static void key_debian_part(struct buf *key, str s)
{
	enum { TILDE = 0x01, END = 0x02, LETTERS = 0x03, OTHERS = 0x04 };

	do {
		for (; s.len && !is_digit(s.ptr[0]); s = str_sub(s, 1, s.len)) {
			if (s.ptr[0] == '~') {
				buf_addc(key, TILDE);
			} else {
				buf_addc(key, is_letter(s.ptr[0]) ? LETTERS : OTHERS);
				buf_addc(key, s.ptr[0]);
			}
		}
		buf_addc(key, END);
		key_number(key, take_digits(&s));
	} while (s.len);
	buf_addc(key, END);
}

void key_debian(struct buf *key, str s)
{
	size_t hyphen = s.len;

	key_epoch(key, &s);
	for (hyphen = s.len; hyphen > 0 && s.ptr[hyphen - 1] != '-';)
		hyphen--;
	if (!hyphen) {
		key_debian_part(key, s);
		key_debian_part(key, STR(""));
	} else {
		key_debian_part(key, str_sub(s, 0, hyphen - 1));
		key_debian_part(key, str_sub(s, hyphen, s.len));
	}
}

/* --- rpmvercmp: numbers above letters, what separates them is nothing, '~' below the end, '^' just above it --- */

static void key_rpm_part(struct buf *key, str s)
{
	enum { TILDE = 0x01, END = 0x02, CARET = 0x03, LETTERS = 0x04, NUMBER = 0x05 };

	while (s.len) {
		if (is_digit(s.ptr[0])) {
			buf_addc(key, NUMBER);
			key_number(key, take_digits(&s));
		} else if (is_letter(s.ptr[0])) {
			buf_addc(key, LETTERS);
			key_text(key, take_letters(&s));
		} else {
			if (s.ptr[0] == '~' || s.ptr[0] == '^')
				buf_addc(key, s.ptr[0] == '~' ? TILDE : CARET);
			s = str_sub(s, 1, s.len);
		}
	}
	buf_addc(key, END);
}

void key_rpm(struct buf *key, str s, struct version *v)
{
	str version, release;

	key_epoch(key, &s);
	v->local = str_cut(s, '-', &version, &release);
	key_rpm_part(key, version);
	v->public_bytes = key->len;
	key_rpm_part(key, release);
}

/* --- Alpine: numbers, a letter, _suffixes, ~hash, -rREVISION --- */

static int suffix_rank(str name)
{
	static const char *const ranks[] = { "alpha", "beta", "pre", "rc", "", "cvs", "svn", "git", "hg", "p" };

	for (size_t i = 0; i < ARRAY_SIZE(ranks); i++)
		if (i != 4 && str_eqz(name, ranks[i]))
			return (int)i;
	return -1;
}

/* A number behind a dot that begins with 0 is a fraction: it compares as text, below every number that does not. */
static void key_alpine_number(struct buf *key, str digits, bool first)
{
	enum { ZERO = 0x11, FRACTION = 0x12, NUMBER = 0x13 };

	if (!first && digits.len > 1 && digits.ptr[0] == '0') {
		buf_addc(key, FRACTION);
		key_text(key, digits);
	} else if (!first && digits.len == 1 && digits.ptr[0] == '0') {
		buf_addc(key, ZERO);
	} else {
		buf_addc(key, NUMBER);
		key_number(key, digits);
	}
}

/* Dots, however many, then digits: the next number. */
static bool next_number(str *s)
{
	size_t n = 0;

	while (n < s->len && s->ptr[n] == '.')
		n++;
	if (!n || (n < s->len && !is_digit(s->ptr[n]) && !is_letter(s->ptr[n])))
		return false;
	*s = str_sub(*s, n, s->len);
	return s->len && is_digit(s->ptr[0]);
}

static void key_alpine_suffixes(struct buf *key, str *s, char before, char behind)
{
	while (s->len && s->ptr[0] == '_') {
		str rest = str_sub(*s, 1, s->len), name = take_letters(&rest);
		int rank = suffix_rank(name);

		if (rank < 0)
			return;
		buf_addc(key, rank < 4 ? before : behind);
		buf_addc(key, (char)rank);
		key_number(key, take_digits(&rest));
		*s = rest;
	}
}

/* In order: a suffix before the release, the end, a suffix behind it, a letter, a further number. What follows no rule makes a
 * version lower than the same one without it. */
void key_alpine(struct buf *key, str s)
{
	enum { SUFFIX_BEFORE = 0x02, END = 0x04, SUFFIX_BEHIND = 0x06, LETTER = 0x08 };

	key_alpine_number(key, take_digits(&s), true);
	while (next_number(&s))
		key_alpine_number(key, take_digits(&s), false);
	if (s.len && is_letter(s.ptr[0])) {
		buf_addc(key, LETTER);
		buf_addc(key, s.ptr[0]);
		s = str_sub(s, 1, s.len);
		key_number(key, take_digits(&s));
	}
	key_alpine_suffixes(key, &s, SUFFIX_BEFORE, SUFFIX_BEHIND);
	buf_addc(key, END);
	if (s.len > 1 && s.ptr[0] == '-' && s.ptr[1] == 'r')
		s = str_sub(s, 2, s.len);
	key_number(key, take_digits(&s));
	buf_addc(key, s.len ? 0x01 : 0x02);
}
