/* str.h - text: borrowed slices (`str`) and growable buffers with a mandatory maximum (`struct buf`).
 *
 * A str borrows its bytes, is not NUL-terminated and may hold any octet. A buf owns its bytes and always keeps a
 * NUL behind them. A buf that meets its maximum or runs out of memory turns `failed` and ignores all later adds:
 * callers add freely and ask buf_check() once at the end. */
#ifndef WEIR_BASE_STR_H
#define WEIR_BASE_STR_H

#include "base/base.h"
#include "base/err.h"

#include <stdarg.h>

typedef struct str {
	const char *ptr;
	size_t      len;
} str;

#define STR(lit)   ((str){ "" lit, sizeof(lit) - 1 })
#define STR_NULL   ((str){ NULL, 0 })
#define STR_ARG(s) (int)(s).len, (s).ptr /* for "%.*s" */

static inline str str_z(const char *z) /* a NUL-terminated text; NULL gives STR_NULL */
{
	return z ? (str){ z, strlen(z) } : STR_NULL;
}
static inline str str_n(const char *p, size_t n)
{
	return (str){ p, n };
}

bool   str_eq(str a, str b);
bool   str_eqz(str a, const char *z);
bool   str_eq_nocase(str a, str b); /* ASCII letters only */
int    str_cmp(str a, str b);       /* bytes, shorter first */
bool   str_has_prefix(str s, str prefix);
bool   str_has_suffix(str s, str suffix);
bool   str_contains(str s, str needle);
str    str_trim(str s); /* ASCII white space at both ends */
str    str_sub(str s, size_t from, size_t len); /* clamped */
/* Cuts at the first `sep`: *ret_left gets what is before, *ret_right what is behind. False (all in left) when absent.
 * Either may point at s itself. */
bool   str_cut(str s, char sep, str *ret_left, str *ret_right);
size_t str_find(str s, char c); /* index, or s.len */
/* Whole text as a decimal number (optional '-'); false on empty, junk or overflow. */
bool   str_to_i64(str s, int64_t *ret);
bool   str_to_u64(str s, uint64_t *ret);
bool   str_to_double(str s, double *ret); /* decimal notation, no blanks, no hex, no inf/nan */
char  *str_dup(str s);                    /* malloc'd, NUL-terminated; NULL when out of memory */
bool   str_utf8_valid(str s);
/* Edit distance (insert, delete, replace, swap of neighbours), at most `max`+1. For nearest-key suggestions. */
size_t str_distance(str a, str b, size_t max);

struct buf {
	char  *ptr; /* NULL until the first add */
	size_t len, cap, max;
	bool   failed;
};

#define BUF_INIT(max_) { NULL, 0, 0, (max_), false }

void buf_init(struct buf *b, size_t max);
void buf_fini(struct buf *b); /* frees, leaves an empty buf with the same max */
void buf_clear(struct buf *b); /* keeps the memory; clears `failed` */
#define CLEANUP_BUF CLEANUP(buf_fini)

void buf_add(struct buf *b, const void *p, size_t n);
void buf_add_str(struct buf *b, str s);
void buf_addz(struct buf *b, const char *z);
void buf_addc(struct buf *b, char c);
void buf_addf(struct buf *b, const char *fmt, ...) PRINTF(2, 3);
void buf_addv(struct buf *b, const char *fmt, va_list ap) PRINTF(2, 0);
/* Makes room for n more bytes and returns where they go (NULL when failed); commit with b->len += used. */
char *buf_reserve(struct buf *b, size_t n);
void buf_drop_front(struct buf *b, size_t n); /* removes the first n bytes */

/* Encoders: bytes that are safe inside HTML text and quoted attributes; inside a JSON string (without the quotes; invalid
 * UTF-8 becomes U+FFFD); in a URL component (RFC 3986 unreserved kept). */
void buf_add_html(struct buf *b, str s);
void buf_add_json(struct buf *b, str s);
void buf_add_url(struct buf *b, str s);

static inline str buf_str(const struct buf *b)
{
	return (str){ b->len ? b->ptr : "", b->len };
}
static inline const char *buf_z(const struct buf *b)
{
	return b->ptr ? b->ptr : "";
}
/* 0, or -WEIR_ELIMIT / -WEIR_ENOMEM naming `what` and the maximum. */
MUST_CHECK int buf_check(const struct buf *b, const char *what, struct err *reterr);
/* Hands the bytes (NUL-terminated, free() them) to the caller and leaves an empty buf. NULL when failed. */
char *buf_take(struct buf *b);

#endif
