/* cel-value.h - what the value parts of the CEL library share: maps inside, opaque values, numbers, time, work limits. */
#ifndef WEIR_LANG_CEL_VALUE_H
#define WEIR_LANG_CEL_VALUE_H

#include "lang/cel/cel.h"

#include <float.h>
#include <math.h>

enum {
	CEL_VALUE_DEPTH_MAX = 1000,  /* lists in maps in lists: what compares, prints or hashes them recurses */
	CEL_MAP_LINEAR_MAX = 8,      /* maps up to this size are searched from the front */
	CEL_TEXT_OUT_MAX = 64 << 20, /* text that one call may make; the arena's own limit is usually smaller */
};

struct cel_map {
	size_t n;
	const struct cel_value *keys, *values;
	const uint32_t *index; /* NULL: small. Open addressing, entry + 1 or 0 */
	uint32_t mask;         /* slots of index - 1 */
};
extern const struct cel_map cel_map_empty;
uint32_t cel_key_hash(struct cel_value key); /* of a key kind; numbers of equal value hash alike */
const struct cel_value *cel_map_get_hashed(const struct cel_map *m, struct cel_value key, uint32_t hash);
/* Adopts the arrays. dup: pairs of an equal key are an error (map literals), else the last one wins. */
struct cel_value cel_map_adopt(struct arena *a, struct cel_value *keys, struct cel_value *values, size_t n, bool dup_is_error);
struct cel_value cel_list_adopt(struct arena *a, const struct cel_value *items, size_t n);

struct cel_opaque { /* a value of an extension's type */
	const struct cel_type *type;
	bool (*equal)(const struct cel_opaque *a, const struct cel_opaque *b); /* of one type */
	void (*print)(const struct cel_opaque *o, struct buf *out);            /* as a CEL expression */
};

static inline bool cel_is_num(struct cel_value v)
{
	return v.kind == CEL_INT || v.kind == CEL_UINT || v.kind == CEL_DOUBLE;
}
static inline bool cel_is_bad(struct cel_value v)
{
	return v.kind >= CEL_ERROR;
}
static inline bool cel_is_true(struct cel_value v)
{
	return v.kind == CEL_BOOL && v.b;
}
/* memcmp() == 0 without a call for the short texts that keys and words are: two overlapping loads. */
static inline bool cel_same_bytes(const char *a, const char *b, size_t n)
{
	uint64_t x, y;
	uint32_t u, w;

	if (n > 16)
		return !memcmp(a, b, n);
	if (n >= 8) {
		memcpy(&x, a, 8);
		memcpy(&y, b, 8);
		if (x != y)
			return false;
		memcpy(&x, a + n - 8, 8);
		memcpy(&y, b + n - 8, 8);
		return x == y;
	}
	if (n >= 4) {
		memcpy(&u, a, 4);
		memcpy(&w, b, 4);
		if (u != w)
			return false;
		memcpy(&u, a + n - 4, 4);
		memcpy(&w, b + n - 4, 4);
		return u == w;
	}
	for (size_t i = 0; i < n; i++)
		if (a[i] != b[i])
			return false;
	return true;
}
static inline bool cel_same_text(struct cel_value a, struct cel_value b) /* both STRING or both BYTES */
{
	return a.len == b.len && cel_same_bytes(a.s, b.s, a.len);
}
static inline str cel_str(struct cel_value v)
{
	return str_n(v.s, v.len);
} /* STRING, BYTES */
/* -1, 0, 1, or 2 when NaN takes part. Both numbers. */
int cel_num_compare(struct cel_value a, struct cel_value b);
/* Order of two values of one ordered kind (numbers across kinds): -1, 0, 1; 2: unordered (NaN); 3: no such overload. */
int cel_compare(struct cel_value a, struct cel_value b);
/* cel_equal with a budget of comparisons; false and *work 0 when it ran out. */
bool cel_equal_work(struct cel_value a, struct cel_value b, uint64_t *work);
bool cel_message_equal_work(const struct cel_message *a, const struct cel_message *b, uint64_t *work);
/* `other` is merged into `one`: unknowns unite, an unknown wins over an error, else the first error stays. Both bad. */
struct cel_value cel_merge_bad(struct arena *a, struct cel_value one, struct cel_value other);
struct cel_value cel_type_value(const struct cel_type *t);
const char *cel_kind_name(struct cel_value v); /* "int", "list", "null_type", the message's name ... for errors */
bool cel_type_is_same(const struct cel_type *a, const struct cel_type *b); /* of type values: parameters do not count */

/* Text of a double as Go's shortest 'g' (1e+06) or 'f' form; no exponent marks in 'f'. NaN, +Inf, -Inf. */
void cel_add_double(struct buf *out, double d, char form);
size_t cel_utf8_len(str s); /* code points of valid UTF-8 */
/* Byte offset of code point `i`; SIZE_MAX past the end (i == length gives s.len). */
size_t cel_utf8_at(str s, size_t i);
uint32_t cel_utf8_next(str s, size_t *pos); /* decodes one code point of valid UTF-8 */
void cel_utf8_add(struct buf *out, uint32_t c);
/* Moves what was written into the arena: a STRING (or BYTES) value, or an error value when it is too long. Empties b. */
struct cel_value cel_take_text(struct arena *a, struct buf *b, enum cel_kind kind);

/* --- time (cel-time.c) --- */
bool cel_timestamp_parse(str s, struct cel_value *ret); /* RFC 3339, years 1 to 9999 */
bool cel_duration_parse(str s, struct cel_value *ret);  /* Go's: "1h30m", "-1.5s"; within 64 bits of nanoseconds */
void cel_timestamp_print(struct cel_value t, struct buf *out);
void cel_duration_print(struct cel_value d, struct buf *out);
bool cel_timestamp_ok(int64_t seconds); /* years 1 to 9999 */
/* Sum or difference; false when out of range. Kinds: duration and duration, timestamp and duration, timestamp - timestamp. */
bool cel_time_add(struct cel_value a, struct cel_value b, int sign, struct cel_value *ret);
int64_t cel_duration_nanos(struct cel_value d);
struct cel_value cel_duration_of_nanos(int64_t nanos);
struct cel_date {
	int64_t year;
	int month, day, yday, wday, hour, minute, second; /* month 1.., day 1.., yday 0.., wday 0 Sunday */
};
void cel_date_of(int64_t seconds, struct cel_date *ret);
/* "+01:00", "-02:30", "02:00", "UTC": seconds east of UTC; false: not a fixed zone. */
bool cel_zone_fixed(str zone, int32_t *ret);

#endif
