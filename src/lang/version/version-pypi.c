/* version-pypi.c - PEP 440, and below it every text that does not follow it, in the order of the old setuptools. Pure; any
 * thread. */
#include "lang/version/version-internal.h"

struct pep440 {
	str epoch, release, pre_number, post_number, dev_number, local;
	char pre; /* 'a', 'b', 'c', 0: none */
	bool post, dev;
};

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* Takes a word off the front, without regard to case. */
static bool take_word(str *s, const char *word)
{
	size_t n = strlen(word);

	if (s->len < n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (lower(s->ptr[i]) != word[i])
			return false;
	*s = str_sub(*s, n, s->len);
	return true;
}

static void take_separator(str *s)
{
	if (s->len && (s->ptr[0] == '.' || s->ptr[0] == '-' || s->ptr[0] == '_'))
		*s = str_sub(*s, 1, s->len);
}

/* A number that may have a separator before it; leaves the separator when there is no number. */
static str take_number(str *s)
{
	str rest = *s, digits;

	take_separator(&rest);
	digits = take_digits(&rest);
	if (digits.len)
		*s = rest;
	return digits;
}

static void take_pre(str *s, struct pep440 *v)
{
	static const struct {
		const char *word;
		char pre;
	} words[] = { { "alpha", 'a' },   { "a", 'a' },   { "beta", 'b' }, { "b", 'b' },
				  { "preview", 'c' }, { "pre", 'c' }, { "rc", 'c' },   { "c", 'c' } };
	str rest = *s;

	take_separator(&rest);
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (!take_word(&rest, words[i].word))
			continue;
		v->pre = words[i].pre;
		v->pre_number = take_number(&rest);
		*s = rest;
		return;
	}
}

static void take_post(str *s, struct pep440 *v)
{
	static const char *const words[] = { "post", "rev", "r" };
	str rest = *s;

	if (rest.len > 1 && rest.ptr[0] == '-' && is_digit(rest.ptr[1])) {
		rest = str_sub(rest, 1, rest.len);
		v->post = true;
		v->post_number = take_digits(&rest);
		*s = rest;
		return;
	}
	take_separator(&rest);
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (!take_word(&rest, words[i]))
			continue;
		v->post = true;
		v->post_number = take_number(&rest);
		*s = rest;
		return;
	}
}

static void take_dev(str *s, struct pep440 *v)
{
	str rest = *s;

	take_separator(&rest);
	if (!take_word(&rest, "dev"))
		return;
	v->dev = true;
	v->dev_number = take_number(&rest);
	*s = rest;
}

static bool take_release(str *s, struct pep440 *v)
{
	str start = *s, digits = take_digits(s);

	if (digits.len && s->len && s->ptr[0] == '!') {
		v->epoch = digits;
		*s = str_sub(*s, 1, s->len);
		start = *s;
		digits = take_digits(s);
	}
	if (!digits.len)
		return false;
	while (s->len > 1 && s->ptr[0] == '.' && is_digit(s->ptr[1])) {
		*s = str_sub(*s, 1, s->len);
		take_digits(s);
	}
	v->release = str_sub(start, 0, start.len - s->len);
	return true;
}

static bool is_local(str s)
{
	bool part = false;

	for (size_t i = 0; i < s.len; i++) {
		if (is_digit(s.ptr[i]) || is_letter(s.ptr[i]))
			part = true;
		else if (part && (s.ptr[i] == '.' || s.ptr[i] == '-' || s.ptr[i] == '_'))
			part = false;
		else
			return false;
	}
	return part;
}

static bool parse(str s, struct pep440 *v)
{
	if (s.len && lower(s.ptr[0]) == 'v')
		s = str_sub(s, 1, s.len);
	if (!take_release(&s, v))
		return false;
	take_pre(&s, v);
	take_post(&s, v);
	take_dev(&s, v);
	if (s.len && s.ptr[0] == '+') {
		v->local = str_sub(s, 1, s.len);
		return is_local(v->local);
	}
	return !s.len;
}

static void key_release(struct buf *key, str release)
{
	size_t zeros = 0;
	str part;

	while (release.len) {
		str_cut(release, '.', &part, &release);
		if (!cut_zeros(part).len) {
			zeros++;
			continue;
		}
		for (; zeros; zeros--) {
			buf_addc(key, 0x10);
			key_number(key, STR("0"));
		}
		buf_addc(key, 0x10);
		key_number(key, part);
	}
}

/* Parts of +local: numbers above texts, fewer parts below more. */
static void key_local(struct buf *key, str local)
{
	while (local.len) {
		str part, rest;
		size_t n = 0;

		while (n < local.len && (is_digit(local.ptr[n]) || is_letter(local.ptr[n])))
			n++;
		part = rest = str_sub(local, 0, n);
		local = str_sub(local, n + 1, local.len);
		take_digits(&rest);
		buf_addc(key, rest.len ? 0x02 : 0x03);
		if (rest.len)
			key_text_lower(key, part);
		else
			key_number(key, part);
	}
	buf_addc(key, 0x01);
}

static void key_pep440(struct buf *key, const struct pep440 *v, struct version *ret)
{
	key_number(key, v->epoch);
	key_release(key, v->release);
	ret->release_bytes = key->len;
	ret->pre = v->pre || v->dev;
	ret->post = v->post;
	ret->local = v->local.len > 0;
	if (v->pre) {
		buf_addc(key, v->pre == 'a' ? 0x02 : v->pre == 'b' ? 0x03 : 0x04);
		key_number(key, v->pre_number);
	} else {
		buf_addc(key, v->dev && !v->post ? 0x01 : 0x05);
	}
	buf_addc(key, v->post ? 0x02 : 0x01);
	if (v->post)
		key_number(key, v->post_number);
	buf_addc(key, v->dev ? 0x01 : 0x02);
	if (v->dev)
		key_number(key, v->dev_number);
	ret->public_bytes = key->len;
	key_local(key, v->local);
}

/* --- the old order: parts, padded numbers, letters with a '*' before them, "final-" for '-' --- */

static void legacy_part(struct buf *key, str part)
{
	static const char *const same[][2] = { { "pre", "c" }, { "preview", "c" }, { "-", "final-" }, { "rc", "c" }, { "dev", "@" } };
	char text[LIMIT_VERSION_BYTES + 2];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
		if (str_eqz(part, same[i][0])) {
			part = str_z(same[i][1]);
			break;
		}
	}
	if (is_digit(part.ptr[0])) { /* as text, padded with zeros to 8 */
		for (n = 0; n + part.len < 8; n++)
			text[n] = '0';
	} else {
		text[n++] = '*';
	}
	memcpy(text + n, part.ptr, part.len);
	key_text(key, str_n(text, n + part.len));
}

static void key_legacy(struct buf *key, str s)
{
	char text[LIMIT_VERSION_BYTES];
	size_t at = 0;

	for (size_t i = 0; i < s.len; i++)
		text[i] = lower(s.ptr[i]);
	s = str_n(text, s.len);
	while (at < s.len) {
		str rest = str_sub(s, at, s.len), run = is_digit(rest.ptr[0]) ? take_digits(&rest) : STR("");
		size_t n = run.len;

		if (!n && rest.ptr[0] == '-')
			n = 1;
		while (!is_digit(s.ptr[at]) && rest.ptr[0] != '-' && n < rest.len && !is_digit(rest.ptr[n]) && rest.ptr[n] != '.' &&
			   rest.ptr[n] != '-')
			n++;
		if (n)
			legacy_part(key, str_sub(s, at, n));
		at += n ? n : 1;
	}
	key_text(key, STR("*final"));
}

void key_pypi(struct buf *key, str s, struct version *ret)
{
	struct pep440 v = { .pre = 0 };

	if (parse(s, &v)) {
		buf_addc(key, 0x02);
		key_pep440(key, &v, ret);
	} else {
		buf_addc(key, 0x01);
		key_legacy(key, s);
	}
}
