/* cel-wire.h - protobuf's wire format: reading without trust, writing into a buf. */
#ifndef WEIR_LANG_CEL_WIRE_H
#define WEIR_LANG_CEL_WIRE_H

#include "base/base.h"
#include "base/str.h"

enum cel_wire_type { CEL_WIRE_VARINT, CEL_WIRE_FIXED64, CEL_WIRE_BYTES, CEL_WIRE_START, CEL_WIRE_END, CEL_WIRE_FIXED32 };
enum { CEL_NUMBER_MAX = 536870911 }; /* largest field number: 2^29 - 1 */

struct cel_wire { /* what is left to read */
	const char *p, *end;
};
struct cel_record { /* one field as it stands in the bytes */
	uint32_t number;
	enum cel_wire_type type;
	uint64_t u; /* VARINT, FIXED32, FIXED64 */
	str bytes;  /* BYTES: the payload; START: what is between the two marks of the group */
	str whole;  /* the record with its tag */
};

static inline struct cel_wire cel_wire_of(str s)
{
	const char *p = s.len ? s.ptr : "";

	return (struct cel_wire){ p, p + s.len };
}
/* False when the bytes end early or a varint has more than ten bytes; then *w is of no more use. */
bool cel_wire_varint(struct cel_wire *w, uint64_t *ret);
bool cel_wire_fixed32(struct cel_wire *w, uint64_t *ret);
bool cel_wire_fixed64(struct cel_wire *w, uint64_t *ret);
/* The next record; false when it is malformed (number 0, unknown wire type, cut off, groups without end or deeper than 100). */
bool cel_wire_next(struct cel_wire *w, struct cel_record *ret);

static inline int64_t cel_zigzag_decode(uint64_t u)
{
	return (int64_t)(u >> 1) ^ -(int64_t)(u & 1);
}
static inline uint64_t cel_zigzag_encode(int64_t i)
{
	return ((uint64_t)i << 1) ^ (uint64_t)(i >> 63);
}

void cel_wire_put_varint(struct buf *out, uint64_t u);
void cel_wire_put_tag(struct buf *out, uint32_t number, enum cel_wire_type type);
void cel_wire_put_fixed32(struct buf *out, uint32_t u);
void cel_wire_put_fixed64(struct buf *out, uint64_t u);
void cel_wire_put_bytes(struct buf *out, str s); /* length and payload */
/* Puts the length of everything behind `from` in front of it. */
void cel_wire_close(struct buf *out, size_t from);

#endif
