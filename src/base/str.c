/* str.c - slices and buffers (see str.h). Thread-safe: no shared state. */
#include "base/base.h"
#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>

bool str_eq(str a, str b)
{
	return a.len == b.len && (!a.len || !memcmp(a.ptr, b.ptr, a.len));
}

bool str_eqz(str a, const char *z) { return str_eq(a, str_z(z)); }

static unsigned char lower(unsigned char c) { return c >= 'A' && c <= 'Z' ? (unsigned char)(c | 32) : c; }

bool str_eq_nocase(str a, str b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (lower((unsigned char)a.ptr[i]) != lower((unsigned char)b.ptr[i]))
			return false;
	return true;
}

int str_cmp(str a, str b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int    c = n ? memcmp(a.ptr, b.ptr, n) : 0;

	return c ? c : (a.len > b.len) - (a.len < b.len);
}

bool str_has_prefix(str s, str p) { return s.len >= p.len && (!p.len || !memcmp(s.ptr, p.ptr, p.len)); }

bool str_has_suffix(str s, str p)
{
	return s.len >= p.len && (!p.len || !memcmp(s.ptr + s.len - p.len, p.ptr, p.len));
}

bool str_contains(str s, str needle) { return !needle.len || (s.len && memmem(s.ptr, s.len, needle.ptr, needle.len)); }

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v'; }

str str_trim(str s)
{
	while (s.len && is_blank(s.ptr[0])) {
		s.ptr++;
		s.len--;
	}
	while (s.len && is_blank(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

str str_sub(str s, size_t from, size_t len)
{
	if (from > s.len)
		from = s.len;
	if (len > s.len - from)
		len = s.len - from;
	return (str){ s.ptr ? s.ptr + from : NULL, len };
}

size_t str_find(str s, char c)
{
	const char *p = s.len ? memchr(s.ptr, c, s.len) : NULL;

	return p ? (size_t)(p - s.ptr) : s.len;
}

bool str_cut(str s, char sep, str *ret_left, str *ret_right)
{
	size_t i = str_find(s, sep);
	bool   found = i < s.len;

	if (ret_left)
		*ret_left = str_sub(s, 0, i);
	if (ret_right)
		*ret_right = found ? str_sub(s, i + 1, s.len) : (str){ s.ptr ? s.ptr + s.len : NULL, 0 };
	return found;
}

bool str_to_u64(str s, uint64_t *ret)
{
	uint64_t v = 0;

	if (!s.len)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		unsigned d = (unsigned)(unsigned char)s.ptr[i] - '0';

		if (d > 9 || __builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, d, &v))
			return false;
	}
	*ret = v;
	return true;
}

bool str_to_i64(str s, int64_t *ret)
{
	bool     neg = s.len && s.ptr[0] == '-';
	uint64_t u;

	if (!str_to_u64(neg ? str_sub(s, 1, s.len) : s, &u))
		return false;
	if (neg ? u > (uint64_t)INT64_MAX + 1 : u > INT64_MAX)
		return false;
	*ret = neg ? (int64_t)(0 - u) : (int64_t)u;
	return true;
}

bool str_to_double(str s, double *ret)
{
	char  tmp[64], *end;
	double v;

	if (!s.len || s.len >= sizeof(tmp))
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!strchr("0123456789+-.eE", s.ptr[i]) || !s.ptr[i])
			return false;
	memcpy(tmp, s.ptr, s.len);
	tmp[s.len] = 0;
	errno = 0;
	v = strtod(tmp, &end);
	if (*end || !isfinite(v))
		return false;
	*ret = v;
	return true;
}

char *str_dup(str s)
{
	char *p = malloc(s.len + 1);

	if (!p)
		return NULL;
	if (s.len)
		memcpy(p, s.ptr, s.len);
	p[s.len] = 0;
	return p;
}

/* Length of the valid UTF-8 sequence at p (RFC 3629: no surrogates, no overlong forms), 0 when invalid. */
static size_t utf8_len(const unsigned char *p, size_t n)
{
	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	size_t need = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;

	if (n < need)
		return 0;
	for (size_t i = 1; i < need; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
	    (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return need;
}

bool str_utf8_valid(str s)
{
	for (size_t i = 0; i < s.len;) {
		size_t n = utf8_len((const unsigned char *)s.ptr + i, s.len - i);

		if (!n)
			return false;
		i += n;
	}
	return true;
}

size_t str_distance(str a, str b, size_t max)
{
	enum { LIMIT = 64 };
	size_t row[3][LIMIT + 1];

	if (a.len > LIMIT || b.len > LIMIT)
		return max + 1;
	for (size_t j = 0; j <= b.len; j++)
		row[0][j] = j;
	for (size_t i = 1; i <= a.len; i++) {
		size_t *cur = row[i % 3], *prev = row[(i - 1) % 3], *prev2 = row[(i + 1) % 3];

		cur[0] = i;
		for (size_t j = 1; j <= b.len; j++) {
			size_t d = prev[j - 1] + (a.ptr[i - 1] != b.ptr[j - 1]);

			if (prev[j] + 1 < d)
				d = prev[j] + 1;
			if (cur[j - 1] + 1 < d)
				d = cur[j - 1] + 1;
			if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] && a.ptr[i - 2] == b.ptr[j - 1] &&
			    prev2[j - 2] + 1 < d)
				d = prev2[j - 2] + 1;
			cur[j] = d;
		}
	}
	return row[a.len % 3][b.len] > max ? max + 1 : row[a.len % 3][b.len];
}

void buf_init(struct buf *b, size_t max) { *b = (struct buf)BUF_INIT(max); }

void buf_fini(struct buf *b)
{
	free(b->ptr);
	buf_init(b, b->max);
}

void buf_clear(struct buf *b)
{
	b->len = 0;
	b->failed = false;
	if (b->ptr)
		b->ptr[0] = 0;
}

char *buf_reserve(struct buf *b, size_t n)
{
	size_t cap = b->cap ? b->cap : 64;
	char  *p;

	if (b->failed)
		return NULL;
	if (n > b->max - b->len) {
		b->failed = true;
		return NULL;
	}
	if (b->ptr && b->cap > b->len + n)
		return b->ptr + b->len;
	while (cap <= b->len + n)
		cap = cap > SIZE_MAX / 2 ? b->len + n + 1 : cap * 2;
	p = realloc(b->ptr, cap);
	if (!p) {
		b->failed = true;
		return NULL;
	}
	b->ptr = p;
	b->cap = cap;
	return p + b->len;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
	char *to = buf_reserve(b, n);

	if (!to)
		return;
	if (n)
		memcpy(to, p, n);
	b->len += n;
	b->ptr[b->len] = 0;
}

void buf_add_str(struct buf *b, str s) { buf_add(b, s.ptr, s.len); }
void buf_addz(struct buf *b, const char *z) { buf_add(b, z, strlen(z)); }
void buf_addc(struct buf *b, char c) { buf_add(b, &c, 1); }

void buf_addv(struct buf *b, const char *fmt, va_list ap)
{
	va_list ap2;
	int     n;
	char   *to;

	va_copy(ap2, ap);
	n = vsnprintf(NULL, 0, fmt, ap2);
	va_end(ap2);
	if (n < 0) {
		b->failed = true;
		return;
	}
	to = buf_reserve(b, (size_t)n);
	if (!to)
		return;
	vsnprintf(to, (size_t)n + 1, fmt, ap);
	b->len += (size_t)n;
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_addv(b, fmt, ap);
	va_end(ap);
}

void buf_drop_front(struct buf *b, size_t n)
{
	if (n > b->len)
		n = b->len;
	if (!n)
		return;
	memmove(b->ptr, b->ptr + n, b->len - n);
	b->len -= n;
	b->ptr[b->len] = 0;
}

void buf_add_html(struct buf *b, str s)
{
	for (size_t i = 0; i < s.len; i++)
		switch (s.ptr[i]) {
		case '&': buf_addz(b, "&amp;"); break;
		case '<': buf_addz(b, "&lt;"); break;
		case '>': buf_addz(b, "&gt;"); break;
		case '"': buf_addz(b, "&quot;"); break;
		case '\'': buf_addz(b, "&#39;"); break;
		default: buf_addc(b, s.ptr[i]);
		}
}

/* How many bytes from s.ptr + i on stand in JSON as they are: plain ASCII. */
static size_t json_plain(str s, size_t i)
{
	size_t n = i;

	while (n < s.len && (unsigned char)s.ptr[n] >= 0x20 && (unsigned char)s.ptr[n] < 0x80 && s.ptr[n] != '"' && s.ptr[n] != '\\')
		n++;
	return n - i;
}

void buf_add_json(struct buf *b, str s)
{
	for (size_t i = 0; i < s.len;) {
		size_t plain = json_plain(s, i);

		if (plain) {
			buf_add(b, s.ptr + i, plain);
			i += plain;
			continue;
		}
		unsigned char c = (unsigned char)s.ptr[i];
		size_t        n = utf8_len((const unsigned char *)s.ptr + i, s.len - i);

		if (!n) {
			buf_addz(b, "\xef\xbf\xbd");
			i++;
			continue;
		}
		if (c == '"' || c == '\\')
			buf_addf(b, "\\%c", c);
		else if (c == '\n')
			buf_addz(b, "\\n");
		else if (c == '\r')
			buf_addz(b, "\\r");
		else if (c == '\t')
			buf_addz(b, "\\t");
		else if (c == '\b')
			buf_addz(b, "\\b");
		else if (c == '\f')
			buf_addz(b, "\\f");
		else if (c < 0x20)
			buf_addf(b, "\\u%04x", c);
		else
			buf_add(b, s.ptr + i, n);
		i += n;
	}
}

void buf_add_url(struct buf *b, str s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
		    c == '_' || c == '~')
			buf_addc(b, (char)c);
		else
			buf_addf(b, "%%%02X", c);
	}
}

int buf_check(const struct buf *b, const char *what, struct err *reterr)
{
	if (!b->failed)
		return 0;
	return err_set(reterr, WEIR_ELIMIT, "%s is larger than %zu bytes (or memory ran out)", what, b->max);
}

char *buf_take(struct buf *b)
{
	char *p;

	if (b->failed)
		return NULL;
	if (!b->ptr)
		buf_add(b, "", 0);
	p = b->ptr;
	buf_init(b, b->max);
	return p;
}
