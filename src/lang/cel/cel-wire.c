/* cel-wire.c - protobuf's wire format (encoding guide of protobuf.dev).
 *
 * The reader never looks past its slice and hands out slices of it; groups are walked with a counter, not by recursion.
 * The writer adds to a buf, whose maximum is the limit. Pure, any thread. */
#include "base/base.h"
#include "lang/cel/cel-wire.h"

#include "base/limits.h"

bool cel_wire_varint(struct cel_wire *w, uint64_t *ret)
{
	uint64_t u = 0;

	for (unsigned shift = 0; shift < 70; shift += 7) {
		if (w->p == w->end)
			return false;
		uint8_t byte = (uint8_t)*w->p++;

		if (shift < 64)
			u |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*ret = u;
			return true;
		}
	}
	return false;
}

static bool fixed(struct cel_wire *w, unsigned n, uint64_t *ret)
{
	uint64_t u = 0;

	if ((size_t)(w->end - w->p) < n)
		return false;
	for (unsigned i = 0; i < n; i++)
		u |= (uint64_t)(uint8_t)w->p[i] << 8 * i;
	w->p += n;
	*ret = u;
	return true;
}

bool cel_wire_fixed32(struct cel_wire *w, uint64_t *ret)
{
	return fixed(w, 4, ret);
}

bool cel_wire_fixed64(struct cel_wire *w, uint64_t *ret)
{
	return fixed(w, 8, ret);
}

static bool payload(struct cel_wire *w, struct cel_record *r)
{
	uint64_t len;

	switch (r->type) {
	case CEL_WIRE_VARINT: return cel_wire_varint(w, &r->u);
	case CEL_WIRE_FIXED64: return cel_wire_fixed64(w, &r->u);
	case CEL_WIRE_FIXED32: return cel_wire_fixed32(w, &r->u);
	case CEL_WIRE_BYTES:
		if (!cel_wire_varint(w, &len) || len > (size_t)(w->end - w->p))
			return false;
		r->bytes = str_n(w->p, len);
		w->p += len;
		return true;
	case CEL_WIRE_START:
	case CEL_WIRE_END: return true;
	}
	return false;
}

static bool tag_and_payload(struct cel_wire *w, struct cel_record *ret)
{
	uint64_t tag;

	*ret = (struct cel_record){ .whole = { w->p, 0 } };
	if (!cel_wire_varint(w, &tag) || tag >> 3 == 0 || tag >> 3 > CEL_NUMBER_MAX || (tag & 7) > CEL_WIRE_FIXED32)
		return false;
	ret->number = (uint32_t)(tag >> 3);
	ret->type = (enum cel_wire_type)(tag & 7);
	return payload(w, ret);
}

/* Reads on to the end mark of the group that `ret` opened. */
static bool group(struct cel_wire *w, struct cel_record *ret)
{
	uint32_t open[LIMIT_CEL_MESSAGE_DEPTH];
	size_t n = 0;
	struct cel_record in;

	open[n++] = ret->number;
	ret->bytes.ptr = w->p;
	while (n) {
		if (!tag_and_payload(w, &in))
			return false;
		if (in.type == CEL_WIRE_START) {
			if (n == LIMIT_CEL_MESSAGE_DEPTH)
				return false;
			open[n++] = in.number;
		} else if (in.type == CEL_WIRE_END && open[--n] != in.number)
			return false;
	}
	ret->bytes.len = (size_t)(in.whole.ptr - ret->bytes.ptr);
	return true;
}

bool cel_wire_next(struct cel_wire *w, struct cel_record *ret)
{
	if (!tag_and_payload(w, ret) || ret->type == CEL_WIRE_END)
		return false;
	if (ret->type == CEL_WIRE_START && !group(w, ret))
		return false;
	ret->whole.len = (size_t)(w->p - ret->whole.ptr);
	return true;
}

static size_t varint_put(char out[10], uint64_t u)
{
	size_t n = 0;

	for (; u > 0x7f; u >>= 7)
		out[n++] = (char)(0x80 | (u & 0x7f));
	out[n++] = (char)u;
	return n;
}

void cel_wire_put_varint(struct buf *out, uint64_t u)
{
	char bytes[10];

	buf_add(out, bytes, varint_put(bytes, u));
}

void cel_wire_put_tag(struct buf *out, uint32_t number, enum cel_wire_type type)
{
	cel_wire_put_varint(out, (uint64_t)number << 3 | type);
}

static void put_fixed(struct buf *out, unsigned n, uint64_t u)
{
	char bytes[8];

	for (unsigned i = 0; i < n; i++)
		bytes[i] = (char)(u >> 8 * i);
	buf_add(out, bytes, n);
}

void cel_wire_put_fixed32(struct buf *out, uint32_t u)
{
	put_fixed(out, 4, u);
}

void cel_wire_put_fixed64(struct buf *out, uint64_t u)
{
	put_fixed(out, 8, u);
}

void cel_wire_put_bytes(struct buf *out, str s)
{
	cel_wire_put_varint(out, s.len);
	buf_add_str(out, s);
}

void cel_wire_close(struct buf *out, size_t from)
{
	char bytes[10];
	size_t body = out->len - from, n = varint_put(bytes, body);

	buf_add(out, bytes, n);
	if (out->failed)
		return;
	memmove(out->ptr + from + n, out->ptr + from, body);
	memcpy(out->ptr + from, bytes, n);
}
