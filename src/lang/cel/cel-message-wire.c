/* cel-message-wire.c - messages from and to their serialized form.
 *
 * Reading: every record goes to its field or, when there is none of its number and wire type, to the unknown ones. Texts must be
 * valid UTF-8 in all syntaxes, since CEL's strings are. Depth and size have limits; slices of the input are kept, not copied.
 * Writing: fields by number, unknown ones last. Any thread. */
#include "base/base.h"
#include "lang/cel/cel-message-internal.h"

#include "lang/cel/cel-wire.h"

static enum cel_wire_type wire_of(enum cel_field_kind k)
{
	switch (k) {
	case CEL_FIELD_DOUBLE:
	case CEL_FIELD_FIXED64:
	case CEL_FIELD_SFIXED64: return CEL_WIRE_FIXED64;
	case CEL_FIELD_FLOAT:
	case CEL_FIELD_FIXED32:
	case CEL_FIELD_SFIXED32: return CEL_WIRE_FIXED32;
	case CEL_FIELD_STRING:
	case CEL_FIELD_BYTES:
	case CEL_FIELD_MESSAGE: return CEL_WIRE_BYTES;
	case CEL_FIELD_GROUP: return CEL_WIRE_START;
	default: return CEL_WIRE_VARINT;
	}
}

/* --- reading --- */

static double float_of(uint64_t u)
{
	uint32_t bits = (uint32_t)u;
	float f;

	memcpy(&f, &bits, sizeof(f));
	return (double)f;
}

static double double_of(uint64_t u)
{
	double d;

	memcpy(&d, &u, sizeof(d));
	return d;
}

/* A number as its wire type carries it. */
static struct cel_value number(enum cel_field_kind k, uint64_t u)
{
	switch (k) {
	case CEL_FIELD_DOUBLE: return cel_of_double(double_of(u));
	case CEL_FIELD_FLOAT: return cel_of_double(float_of(u));
	case CEL_FIELD_UINT64:
	case CEL_FIELD_FIXED64: return cel_of_uint(u);
	case CEL_FIELD_UINT32:
	case CEL_FIELD_FIXED32: return cel_of_uint((uint32_t)u);
	case CEL_FIELD_BOOL: return cel_of_bool(u != 0);
	case CEL_FIELD_SINT32: return cel_of_int((int32_t)cel_zigzag_decode((uint32_t)u));
	case CEL_FIELD_SINT64: return cel_of_int(cel_zigzag_decode(u));
	case CEL_FIELD_INT64:
	case CEL_FIELD_SFIXED64: return cel_of_int((int64_t)u);
	default: return cel_of_int((int32_t)u); /* INT32, SFIXED32, ENUM */
	}
}

static int malformed(struct cel_work *w, const struct cel_message_type *t, const char *what)
{
	return err_set(w->err, WEIR_EPARSE, "%.*s: malformed %s", STR_ARG(t->name), what);
}

static int read_text(struct cel_work *w, const struct cel_field *f, str bytes, struct cel_value *ret)
{
	if (!bytes.len)
		bytes = STR("");
	if (f->kind == CEL_FIELD_BYTES)
		*ret = cel_of_bytes(bytes);
	else if (str_utf8_valid(bytes))
		*ret = cel_of_str(bytes);
	else
		return err_set(w->err, WEIR_EPARSE, "field '%.*s' of %.*s is not valid UTF-8", STR_ARG(f->name), STR_ARG(f->owner_name));
	return 0;
}

static int add_chunk(struct cel_build *b, struct cel_part *p, str bytes)
{
	if (!cel_grow(b->w->arena, (void **)&p->chunks, &p->cap_chunks, p->n_chunks, sizeof(*p->chunks)))
		return cel_work_nomem(b->w);
	p->chunks[p->n_chunks++] = bytes;
	return 0;
}

static int read_packed(struct cel_build *b, const struct cel_field *f, struct cel_part *p, str bytes)
{
	struct cel_wire w = cel_wire_of(bytes);
	enum cel_wire_type type = wire_of(f->kind);
	uint64_t u;
	int r = 0;

	while (!r && w.p < w.end) {
		if (type == CEL_WIRE_VARINT    ? !cel_wire_varint(&w, &u)
			: type == CEL_WIRE_FIXED32 ? !cel_wire_fixed32(&w, &u)
									   : !cel_wire_fixed64(&w, &u))
			return malformed(b->w, b->type, "packed field");
		r = cel_items_add(b->w, &p->items, NULL, number(f->kind, u), NULL);
	}
	return r;
}

static int read_entry(struct cel_build *b, const struct cel_field *f, struct cel_part *p, str bytes);

static int read_item(struct cel_build *b, const struct cel_field *f, struct cel_part *p, const struct cel_record *rec)
{
	struct cel_value v;
	const struct cel_value *raw = NULL;
	int r = 0;

	if (f->shape == CEL_MAPPED)
		return read_entry(b, f, p, rec->bytes);
	if (f->msg && f->shape == CEL_SINGULAR)
		return add_chunk(b, p, rec->bytes);
	if (f->msg)
		r = cel_parse_bytes(b->w, f->msg, rec->bytes, b->depth + 1, &v, &raw);
	else if (rec->type == CEL_WIRE_BYTES)
		r = read_text(b->w, f, rec->bytes, &v);
	else
		v = number(f->kind, rec->u);
	if (r)
		return r;
	if (f->shape == CEL_REPEATED)
		return cel_items_add(b->w, &p->items, NULL, v, raw);
	p->v = v;
	return 0;
}

static int read_record(struct cel_build *b, const struct cel_record *rec)
{
	const struct cel_field *f = cel_message_field_number(b->w->pool, b->type, rec->number);
	enum cel_wire_type want = f ? wire_of(f->kind) : CEL_WIRE_END;
	bool packed =
		f && f->shape == CEL_REPEATED && rec->type == CEL_WIRE_BYTES && want != CEL_WIRE_BYTES && want != CEL_WIRE_START;
	struct cel_part *p;
	int r;

	if (!packed && want != rec->type) {
		if (!cel_grow(b->w->arena, (void **)&b->unknown, &b->cap_unknown, b->n_unknown, sizeof(*rec)))
			return cel_work_nomem(b->w);
		b->unknown[b->n_unknown++] = *rec;
		return 0;
	}
	r = cel_build_part(b, f, &p);
	if (r)
		return r;
	return packed ? read_packed(b, f, p, rec->bytes) : read_item(b, f, p, rec);
}

static int read_records(struct cel_build *b, str bytes)
{
	struct cel_wire w = cel_wire_of(bytes);
	struct cel_record rec;
	int r = 0;

	while (!r && w.p < w.end)
		r = cel_wire_next(&w, &rec) ? read_record(b, &rec) : malformed(b->w, b->type, "record");
	return r;
}

/* A pair of a map: a small message with key (1) and value (2), either of which may be left out. It is no level of depth. */
static int read_entry(struct cel_build *b, const struct cel_field *f, struct cel_part *p, str bytes)
{
	struct cel_build entry;
	struct cel_value pair[2] = { f->msg->fields[0].unset, f->msg->fields[1].unset };
	const struct cel_value *raws[2] = { NULL, NULL };
	const struct cel_field *value = &f->msg->fields[1];
	struct cel_value m;
	const struct cel_value *none;
	int r;

	cel_build_init(&entry, b->w, f->msg, b->depth);
	r = read_records(&entry, bytes);
	if (!r)
		r = cel_build_finish(&entry, &m, &none);
	if (r)
		return r;
	for (uint32_t i = 0; i < m.msg->n; i++)
		if (!m.msg->slots[i].f->extension) {
			pair[m.msg->slots[i].f->number - 1] = m.msg->slots[i].v;
			raws[m.msg->slots[i].f->number - 1] = m.msg->slots[i].raw;
		}
	if (value->en) { /* numbers are collected; what CEL sees of them is made at the end */
		int64_t n;

		(void)cel_enum_number(pair[1], value->en, &n);
		pair[1] = cel_of_int(n);
		raws[1] = NULL;
	}
	if (value->msg && !(m.msg->n && m.msg->slots[m.msg->n - 1].f->number == 2))
		r = cel_parse_bytes(b->w, value->msg, STR(""), b->depth + 1, &pair[1], &raws[1]); /* a wrapper's default is 0, not null */
	return r ? r : cel_items_add(b->w, &p->items, &pair[0], pair[1], raws[1]);
}

int cel_parse_bytes(struct cel_work *w, const struct cel_message_type *t, str bytes, uint32_t depth, struct cel_value *ret,
					const struct cel_value **ret_raw)
{
	struct cel_build b;
	int r;

	if (depth > LIMIT_CEL_MESSAGE_DEPTH)
		return err_set(w->err, WEIR_ELIMIT, "messages nest deeper than %d", LIMIT_CEL_MESSAGE_DEPTH);
	cel_build_init(&b, w, t, depth);
	r = read_records(&b, bytes);
	return r ? r : cel_build_finish(&b, ret, ret_raw);
}

int cel_message_parse(struct arena *a, const struct cel_pool *p, const struct cel_message_type *t, str bytes,
					  struct cel_value *ret, struct err *reterr)
{
	struct err err = { 0 };
	struct cel_work w = { a, p ? p : t->pool, reterr ? reterr : &err };
	const struct cel_value *raw;

	if (bytes.len > LIMIT_CEL_MESSAGE_BYTES)
		return err_set(reterr, WEIR_ELIMIT, "%.*s: more than %d bytes", STR_ARG(t->name), LIMIT_CEL_MESSAGE_BYTES);
	bytes = arena_str(a, bytes);
	return bytes.ptr ? cel_parse_bytes(&w, t, bytes, 1, ret, &raw) : cel_work_nomem(&w);
}

/* --- writing --- */

static uint32_t float_bits(double d)
{
	float f = (float)d;
	uint32_t u;

	memcpy(&u, &f, sizeof(u));
	return u;
}

static uint64_t double_bits(double d)
{
	uint64_t u;

	memcpy(&u, &d, sizeof(u));
	return u;
}

static void write_number(enum cel_field_kind k, struct cel_value v, struct buf *out)
{
	switch (k) {
	case CEL_FIELD_DOUBLE: cel_wire_put_fixed64(out, double_bits(v.d)); break;
	case CEL_FIELD_FLOAT: cel_wire_put_fixed32(out, float_bits(v.d)); break;
	case CEL_FIELD_FIXED64:
	case CEL_FIELD_SFIXED64: cel_wire_put_fixed64(out, v.u); break;
	case CEL_FIELD_FIXED32:
	case CEL_FIELD_SFIXED32: cel_wire_put_fixed32(out, (uint32_t)v.u); break;
	case CEL_FIELD_BOOL: cel_wire_put_varint(out, v.b); break;
	case CEL_FIELD_SINT32: cel_wire_put_varint(out, (uint32_t)cel_zigzag_encode(v.i)); break;
	case CEL_FIELD_SINT64: cel_wire_put_varint(out, cel_zigzag_encode(v.i)); break;
	default: cel_wire_put_varint(out, v.u); break;
	}
}

static void write_single(const struct cel_field *f, struct cel_value v, struct buf *out)
{
	enum cel_wire_type type = wire_of(f->kind);
	size_t from;

	cel_wire_put_tag(out, (uint32_t)f->number, type);
	switch (type) {
	case CEL_WIRE_START:
		cel_write_value(f->msg, v, out);
		cel_wire_put_tag(out, (uint32_t)f->number, CEL_WIRE_END);
		break;
	case CEL_WIRE_BYTES:
		from = out->len;
		if (f->msg) {
			cel_write_value(f->msg, v, out);
			cel_wire_close(out, from);
		} else
			cel_wire_put_bytes(out, str_n(v.s, v.len));
		break;
	default: write_number(f->kind, v, out); break;
	}
}

static void write_map(const struct cel_field *f, const struct cel_map *m, struct buf *out)
{
	for (size_t i = 0, n = cel_map_len(m); i < n; i++) {
		struct cel_value key, v;

		cel_map_at(m, i, &key, &v);
		cel_wire_put_tag(out, (uint32_t)f->number, CEL_WIRE_BYTES);
		size_t from = out->len;

		write_single(&f->msg->fields[0], key, out);
		write_single(&f->msg->fields[1], v, out);
		cel_wire_close(out, from);
	}
}

static void write_list(const struct cel_field *f, const struct cel_list *l, struct buf *out)
{
	enum cel_wire_type type = wire_of(f->kind);
	size_t from;

	if (!f->packed || type == CEL_WIRE_BYTES || type == CEL_WIRE_START) {
		for (size_t i = 0; i < l->n; i++)
			write_single(f, l->items[i], out);
		return;
	}
	cel_wire_put_tag(out, (uint32_t)f->number, CEL_WIRE_BYTES);
	from = out->len;
	for (size_t i = 0; i < l->n; i++)
		write_number(f->kind, l->items[i], out);
	cel_wire_close(out, from);
}

static void write_field(const struct cel_field *f, struct cel_value v, struct buf *out)
{
	if (f->shape == CEL_MAPPED)
		write_map(f, v.map, out);
	else if (f->shape == CEL_REPEATED)
		write_list(f, v.list, out);
	else
		write_single(f, v, out);
}

static void write_any(const struct cel_any *any, struct buf *out)
{
	if (any->url.len) {
		cel_wire_put_tag(out, 1, CEL_WIRE_BYTES);
		cel_wire_put_bytes(out, any->url);
	}
	if (any->bytes.ptr && !any->bytes.len)
		return;
	cel_wire_put_tag(out, 2, CEL_WIRE_BYTES);
	if (any->bytes.ptr) {
		cel_wire_put_bytes(out, any->bytes);
		return;
	}
	size_t from = out->len;

	cel_write_value(any->type, any->raw ? *any->raw : any->content, out);
	cel_wire_close(out, from);
}

static void write_json_value(const struct cel_message_type *t, struct cel_value v, struct buf *out)
{
	static const uint8_t index[] = {
		[CEL_NULL] = 0, [CEL_DOUBLE] = 1, [CEL_STRING] = 2, [CEL_BOOL] = 3, [CEL_MAP] = 4, [CEL_LIST] = 5
	};

	write_single(&t->fields[index[v.kind]], v.kind == CEL_NULL ? cel_of_int(0) : v, out);
}

void cel_write_value(const struct cel_message_type *t, struct cel_value v, struct buf *out)
{
	const struct cel_message *m;

	switch (t->wkt) {
	case CEL_WKT_TIMESTAMP:
	case CEL_WKT_DURATION:
		if (v.i)
			write_single(&t->fields[0], cel_of_int(v.i), out);
		if (v.nanos)
			write_single(&t->fields[1], cel_of_int(v.nanos), out);
		return;
	case CEL_WKT_VALUE: write_json_value(t, v, out); return;
	case CEL_WKT_STRUCT:
	case CEL_WKT_LIST: write_field(&t->fields[0], v, out); return;
	case CEL_WKT_ANY: write_any(cel_any_of(v), out); return;
	default: break;
	}
	if (cel_wkt_is_wrapper(t->wkt)) {
		if (!cel_is_zero(v))
			write_single(&t->fields[0], v, out);
		return;
	}
	m = v.msg;
	for (uint32_t i = 0; i < m->n && !out->failed; i++)
		write_field(m->slots[i].f, m->slots[i].raw ? *m->slots[i].raw : m->slots[i].v, out);
	buf_add_str(out, m->unknown);
}

int cel_message_serialize(const struct cel_message *m, struct buf *out, struct err *reterr)
{
	cel_write_value(m->type, (struct cel_value){ .kind = CEL_MESSAGE, .msg = m }, out);
	return buf_check(out, "a serialized message", reterr);
}
