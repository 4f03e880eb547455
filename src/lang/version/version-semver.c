/* version-semver.c - semantic versions and their relatives: SemVer 2.0 (npm, crates.io, Go with its v, Hex), NuGet (no case), Pub
 * (build metadata counts), and the plain numbers of CRAN and Hackage. Pure; any thread.
 *
 * Key: each number as 0x10 NUMBER without zeros at the end, then 0x05 and the pre-release's parts, or 0x08 when there is none. */
#include "lang/version/version-internal.h"

enum { TAG_END = 0x01, TAG_PRE = 0x05, TAG_FINAL = 0x08, TAG_NUMBER = 0x10, TAG_TEXT = 0x20 };

/* Numbers with dots between them; zeros at the end are left out. What follows the last number stays in *s. */
static void key_numbers(struct buf *key, str *s)
{
	size_t zeros = 0;
	str digits = take_digits(s);

	while (digits.len) {
		if (!cut_zeros(digits).len) {
			zeros++;
		} else {
			for (; zeros; zeros--) {
				buf_addc(key, TAG_NUMBER);
				key_number(key, STR("0"));
			}
			buf_addc(key, TAG_NUMBER);
			key_number(key, digits);
		}
		if (s->len < 2 || s->ptr[0] != '.' || !is_digit(s->ptr[1]))
			return;
		*s = str_sub(*s, 1, s->len);
		digits = take_digits(s);
	}
}

static bool all_digits(str s)
{
	take_digits(&s);
	return !s.len;
}

/* Parts between dots: numbers below texts, fewer parts below more. */
static void key_parts(struct buf *key, str s, bool lower)
{
	str part;

	while (s.len) {
		str_cut(s, '.', &part, &s);
		buf_addc(key, part.len && all_digits(part) ? TAG_NUMBER : TAG_TEXT);
		if (part.len && all_digits(part))
			key_number(key, part);
		else if (lower)
			key_text_lower(key, part);
		else
			key_text(key, part);
	}
	buf_addc(key, TAG_END);
}

void key_semver(struct buf *key, str s, struct version *v)
{
	str pre, build;

	if (s.ptr[0] == 'v' || s.ptr[0] == 'V')
		s = str_sub(s, 1, s.len);
	key_numbers(key, &s);
	v->release_bytes = key->len;
	str_cut(s, '+', &pre, &build);
	v->pre = pre.len > 0;
	if (pre.len) {
		buf_addc(key, TAG_PRE);
		key_parts(key, pre.ptr[0] == '-' ? str_sub(pre, 1, pre.len) : pre, v->order == VERSION_NUGET);
	} else {
		buf_addc(key, TAG_FINAL);
	}
	if (v->order == VERSION_PUB)
		key_parts(key, build, false);
}

void key_dotted(struct buf *key, str s, const char *separators)
{
	while (s.len) {
		size_t n = 0;
		str part;

		while (n < s.len && !(s.ptr[n] && strchr(separators, s.ptr[n])))
			n++;
		part = str_sub(s, 0, n);
		s = str_sub(s, n + 1, s.len);
		buf_addc(key, all_digits(part) ? TAG_NUMBER : TAG_TEXT);
		if (all_digits(part))
			key_number(key, part);
		else
			key_text(key, part);
	}
	buf_addc(key, TAG_END);
}
