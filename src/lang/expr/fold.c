/* fold.c - text without regard to case: each character is mapped to its simple upper case, as .NET's ordinal
 * comparison does it (so that sigma's three forms are one letter, while dotless i and I, or eszett and SS, are not).
 *
 * Pure; any thread. Input need not be UTF-8: a byte that starts no character stands for itself. */
#include "lang/expr/expr-internal.h"

#include "lang/expr/upper-table.h"

static bool is_tail(str s, size_t i)
{
	return i < s.len && ((unsigned char)s.ptr[i] & 0xC0) == 0x80;
}

uint32_t expr_utf8_next(str s, size_t *at)
{
	const unsigned char *p = (const unsigned char *)s.ptr + *at;
	uint32_t cp;
	size_t n;

	if (p[0] < 0x80) {
		*at += 1;
		return p[0];
	}
	n = p[0] >= 0xF0 && p[0] <= 0xF4 ? 4 : p[0] >= 0xE0 ? 3 : p[0] >= 0xC2 ? 2 : 0;
	if (p[0] > 0xF4 || n < 2)
		goto bad;
	cp = p[0] & (0x7Fu >> n);
	for (size_t i = 1; i < n; i++) {
		if (!is_tail(s, *at + i))
			goto bad;
		cp = cp << 6 | (p[i] & 0x3F);
	}
	if ((n == 3 && (cp < 0x800 || (cp >= 0xD800 && cp < 0xE000))) || (n == 4 && (cp < 0x10000 || cp > 0x10FFFF)))
		goto bad;
	*at += n;
	return cp;
bad:
	*at += 1;
	return 0xDC00u + p[0];
}

/* The ranges are sorted and do not overlap; those of step 2 hold every second code point. */
static uint32_t upper(uint32_t cp)
{
	size_t lo = 0, hi = ARRAY_SIZE(upper_ranges);

	if (cp < 0x80)
		return cp >= 'a' && cp <= 'z' ? cp - 32 : cp;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		const struct upper_range *r = &upper_ranges[mid];

		if (cp < r->first)
			hi = mid;
		else if (cp > r->last)
			lo = mid + 1;
		else
			return (cp - r->first) % r->step ? cp : (uint32_t)((int64_t)cp + r->delta);
	}
	return cp;
}

/* Key that sorts code points as UTF-16 units do: those past U+FFFF begin with a surrogate, below U+E000. */
static uint32_t utf16_key(uint32_t cp)
{
	if (cp < 0xD800)
		return cp;
	return cp >= 0x10000 ? cp : cp + 0x200000;
}

int expr_fold_cmp(str a, str b)
{
	size_t i = 0, j = 0;

	while (i < a.len && j < b.len) {
		uint32_t x = upper(expr_utf8_next(a, &i)), y = upper(expr_utf8_next(b, &j));

		if (x != y)
			return utf16_key(x) < utf16_key(y) ? -1 : 1;
	}
	return i < a.len ? 1 : j < b.len ? -1 : 0;
}

bool expr_fold_eq(str a, str b)
{
	return expr_fold_cmp(a, b) == 0;
}

static void add_utf8(struct buf *out, uint32_t cp)
{
	char c[4];
	size_t n = 0;

	if (cp < 0x80) {
		c[n++] = (char)cp;
	} else if (cp >= 0xDC00 && cp < 0xDD00) { /* a stray byte, see expr_utf8_next() */
		c[n++] = (char)(cp - 0xDC00);
	} else {
		if (cp < 0x800) {
			c[n++] = (char)(0xC0 | cp >> 6);
		} else {
			if (cp < 0x10000) {
				c[n++] = (char)(0xE0 | cp >> 12);
			} else {
				c[n++] = (char)(0xF0 | cp >> 18);
				c[n++] = (char)(0x80 | (cp >> 12 & 0x3F));
			}
			c[n++] = (char)(0x80 | (cp >> 6 & 0x3F));
		}
		c[n++] = (char)(0x80 | (cp & 0x3F));
	}
	buf_add(out, c, n);
}

void expr_fold(struct buf *out, str s)
{
	for (size_t i = 0; i < s.len;)
		add_utf8(out, upper(expr_utf8_next(s, &i)));
}

size_t expr_utf16_len(str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len;)
		n += expr_utf8_next(s, &i) >= 0x10000 ? 2 : 1;
	return n;
}
