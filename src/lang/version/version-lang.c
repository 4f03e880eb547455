/* version-lang.c - the orders of RubyGems and Packagist. Pure; any thread. */
#include "lang/version/version-internal.h"

enum { PARTS_MAX = LIMIT_VERSION_BYTES + 2 };

/* --- RubyGems: numbers and letters apart; an end counts as 0, letters below any number --- */

struct parts {
	str v[PARTS_MAX];
	size_t n;
};

static void split(str s, struct parts *p)
{
	p->n = 0;
	while (s.len && p->n < PARTS_MAX) {
		if (is_digit(s.ptr[0]))
			p->v[p->n++] = take_digits(&s);
		else if (is_letter(s.ptr[0]))
			p->v[p->n++] = take_letters(&s);
		else
			s = str_sub(s, 1, s.len);
	}
}

static bool is_zero(str part)
{
	return is_digit(part.ptr[0]) && !cut_zeros(part).len;
}

void key_rubygems(struct buf *key, str s, struct version *v)
{
	/* A 0 is like an end; whether it is above or below one is said by the first part behind it that is none. */
	enum { TEXT = 0x01, ZERO_LOW = 0x02, END = 0x03, ZERO_HIGH = 0x04, NUMBER = 0x05 };
	struct parts p;
	size_t from = 0;

	split(s, &p);
	while (p.n && is_zero(p.v[p.n - 1]))
		p.n--;
	for (size_t i = 0; i < p.n; i++) {
		size_t next = i;

		while (next < p.n && is_zero(p.v[next]))
			next++;
		if (next > i && !is_digit(p.v[next].ptr[0]) && from == 0 && next > 0) {
			i = next; /* zeros that end the numbers before the first letters do not count */
		} else if (next > i) {
			buf_addc(key, is_digit(p.v[next].ptr[0]) ? ZERO_HIGH : ZERO_LOW);
			continue;
		}
		if (is_digit(p.v[i].ptr[0])) {
			buf_addc(key, NUMBER);
			key_number(key, p.v[i]);
		} else {
			if (!v->pre)
				v->release_bytes = key->len;
			v->pre = true;
			from = i + 1;
			buf_addc(key, TEXT);
			key_text(key, p.v[i]);
		}
	}
	if (!v->pre)
		v->release_bytes = key->len;
	buf_addc(key, END);
}

/* --- Packagist: PHP's version_compare(): words < dev < alpha < beta < RC < the end < numbers < pl --- */

enum { PHP_WORD = 1, PHP_DEV, PHP_ALPHA, PHP_BETA, PHP_RC, PHP_ANY, PHP_END, PHP_NUMBER, PHP_PATCH };

static int word_rank(str w)
{
	static const struct {
		const char *prefix;
		int rank;
	} table[] = { { "dev", PHP_DEV }, { "alpha", PHP_ALPHA }, { "a", PHP_ALPHA }, { "beta", PHP_BETA }, { "b", PHP_BETA },
				  { "RC", PHP_RC },   { "rc", PHP_RC },       { "#", PHP_ANY },   { "pl", PHP_PATCH },  { "p", PHP_PATCH } };

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (str_has_prefix(w, str_z(table[i].prefix)))
			return table[i].rank;
	return PHP_WORD;
}

static bool is_between(char c)
{
	return !is_digit(c) && c != '-' && c != '_' && c != '+' && c != '.';
}

bool key_packagist(struct buf *key, str s)
{
	bool any = false;

	if (s.ptr[0] == 'v' || s.ptr[0] == 'V')
		s = str_sub(s, 1, s.len);
	while (s.len) {
		size_t n = 0;

		if (is_digit(s.ptr[0])) {
			buf_addc(key, PHP_NUMBER);
			key_number(key, take_digits(&s));
			continue;
		}
		while (n < s.len && is_between(s.ptr[n]))
			n++;
		if (n) {
			int rank = word_rank(str_sub(s, 0, n));

			any = any || rank == PHP_ANY;
			buf_addc(key, (char)rank);
		}
		s = str_sub(s, n ? n : 1, s.len);
	}
	buf_addc(key, PHP_END);
	return any;
}

/* Takes the next part of a key: its tag, and the number behind it. The end stays where it is. */
static int next_part(str *key, str *ret_number)
{
	int tag = (unsigned char)key->ptr[0];
	size_t n = 0;

	if (tag == PHP_NUMBER)
		n = 2 + ((size_t)(unsigned char)key->ptr[1] << 8 | (unsigned char)key->ptr[2]);
	*ret_number = str_sub(*key, 1, n);
	if (tag != PHP_END)
		*key = str_sub(*key, 1 + n, key->len);
	return tag;
}

/* '#' is as good as any number and as the end, which no key can say. */
int packagist_compare_any(str a, str b)
{
	for (;;) {
		str x, y;
		int r = next_part(&a, &x), s = next_part(&b, &y);

		if (r == PHP_END && s == PHP_END)
			return 0;
		if (r == PHP_ANY && (s == PHP_END || s == PHP_NUMBER))
			continue;
		if (s == PHP_ANY && (r == PHP_END || r == PHP_NUMBER))
			continue;
		if (r != s)
			return r < s ? -1 : 1;
		if (r == PHP_NUMBER && !str_eq(x, y))
			return str_cmp(x, y);
	}
}
