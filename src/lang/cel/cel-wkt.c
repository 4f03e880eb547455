/* cel-wkt.c - google.protobuf's well-known types as CEL sees them: built from their fields, written as their bytes; Any.
 *
 * An Any is unpacked when it is made, since it may be read often and by several threads; what cannot be unpacked keeps its bytes
 * and reads as an error. An Any made from a value is packed when it is written. */
#include "base/base.h"
#include "lang/cel/cel-message-internal.h"

#include "lang/cel/cel-wire.h"

struct cel_value cel_wkt_unset(enum cel_wkt w)
{
	static const struct cel_list no_items;

	switch (w) {
	case CEL_WKT_TIMESTAMP: return (struct cel_value){ .kind = CEL_TIMESTAMP };
	case CEL_WKT_DURATION: return (struct cel_value){ .kind = CEL_DURATION };
	case CEL_WKT_LIST: return (struct cel_value){ .kind = CEL_LIST, .list = &no_items };
	default: return cel_of_null(); /* wrappers, Value */
	}
}

static struct cel_value part_or_unset(const struct cel_build *b, size_t index)
{
	const struct cel_field *f = &b->type->fields[index];

	for (size_t i = 0; i < b->n; i++)
		if (b->parts[i].f == f)
			return b->parts[i].v;
	return f->unset;
}

static int finish_time(struct cel_build *b, struct cel_value *ret)
{
	int64_t seconds = part_or_unset(b, 0).i;
	int32_t nanos = (int32_t)part_or_unset(b, 1).i;
	bool is_time = b->type->wkt == CEL_WKT_TIMESTAMP;

	if (is_time ? !cel_time_in_range(seconds, nanos) : !cel_duration_in_range(seconds, nanos))
		return err_set(b->w->err, WEIR_EINVAL, "range error: a %.*s out of its range", STR_ARG(b->type->name));
	*ret = (struct cel_value){ .kind = is_time ? CEL_TIMESTAMP : CEL_DURATION, .nanos = nanos, .i = seconds };
	return 0;
}

int cel_wkt_finish(struct cel_build *b, struct cel_value *ret, const struct cel_value **ret_raw)
{
	struct cel_value url, bytes;

	switch (b->type->wkt) {
	case CEL_WKT_TIMESTAMP:
	case CEL_WKT_DURATION: return finish_time(b, ret);
	case CEL_WKT_VALUE: /* one oneof; null_value is the number 0 */
		*ret = b->n && b->parts[0].f->number != 1 ? b->parts[0].v : cel_of_null();
		return 0;
	case CEL_WKT_ANY:
		url = part_or_unset(b, 0);
		bytes = part_or_unset(b, 1);
		return cel_any_of_bytes(b->w, str_n(url.s, url.len), str_n(bytes.s, bytes.len), b->depth, ret, ret_raw);
	default: /* wrappers, Struct, ListValue: their only field */ *ret = part_or_unset(b, 0); return 0;
	}
}

/* --- Any --- */

static int any_value(struct cel_work *w, const struct cel_any *made, struct cel_value *ret, const struct cel_value **ret_raw)
{
	struct cel_any *any = ARENA_NEW(w->arena, struct cel_any);
	struct cel_value *raw = ARENA_NEW(w->arena, struct cel_value);
	const struct cel_message_type *t = cel_pool_message(w->pool, STR("google.protobuf.Any"));

	if (!any || !raw)
		return cel_work_nomem(w);
	*any = *made;
	any->msg = (struct cel_message){ .type = t,
									 .depth = 1 + cel_value_depth(made->raw ? *made->raw : made->content),
									 .unknown = STR("") };
	*raw = (struct cel_value){ .kind = CEL_MESSAGE, .msg = &any->msg };
	*ret = any->content;
	*ret_raw = raw;
	return 0;
}

static str type_of_url(str url)
{
	size_t from = url.len;

	while (from && url.ptr[from - 1] != '/')
		from--;
	return str_sub(url, from, url.len);
}

int cel_any_of_bytes(struct cel_work *w, str url, str bytes, uint32_t depth, struct cel_value *ret,
					 const struct cel_value **ret_raw)
{
	struct cel_any any = { .url = url, .bytes = bytes.len ? bytes : STR("") };
	struct err why = { 0 };
	struct cel_work inner = { w->arena, w->pool, &why };
	int r = 0;

	any.type = cel_pool_message(w->pool, type_of_url(url));
	if (!url.len)
		any.content = cel_error_value(w->arena, "conversion error: a google.protobuf.Any without a type");
	else if (!any.type)
		any.content = cel_error_value(w->arena, "conversion error: a google.protobuf.Any of unknown type '%.*s'",
									  STR_ARG(type_of_url(url)));
	else
		r = cel_parse_bytes(&inner, any.type, any.bytes, depth + 1, &any.content, &any.raw);
	if (r)
		any.content = cel_error_value(w->arena, "conversion error: %s", why.msg);
	if (r)
		any.raw = NULL;
	return w->arena->failed ? cel_work_nomem(w) : any_value(w, &any, ret, ret_raw);
}

int cel_any_of_content(struct cel_work *w, const struct cel_message_type *t, str url, struct cel_value content,
					   const struct cel_value *content_raw, struct cel_value *ret, const struct cel_value **ret_raw)
{
	struct cel_any any = { .url = url, .type = t, .content = content, .raw = content_raw };

	return any_value(w, &any, ret, ret_raw);
}

static const char *packed_type(enum cel_kind k)
{
	switch (k) {
	case CEL_NULL: return "google.protobuf.Value";
	case CEL_BOOL: return "google.protobuf.BoolValue";
	case CEL_INT: return "google.protobuf.Int64Value";
	case CEL_UINT: return "google.protobuf.UInt64Value";
	case CEL_DOUBLE: return "google.protobuf.DoubleValue";
	case CEL_STRING: return "google.protobuf.StringValue";
	case CEL_BYTES: return "google.protobuf.BytesValue";
	case CEL_TIMESTAMP: return "google.protobuf.Timestamp";
	case CEL_DURATION: return "google.protobuf.Duration";
	case CEL_LIST: return "google.protobuf.ListValue";
	case CEL_MAP: return "google.protobuf.Struct";
	default: return NULL;
	}
}

int cel_any_of_value(struct cel_work *w, struct cel_value in, struct cel_value *ret, const struct cel_value **ret_raw)
{
	const struct cel_message_type *t = NULL;
	const char *packed = packed_type((enum cel_kind)in.kind);
	char *url;
	int r = 0;

	if (in.kind == CEL_MESSAGE)
		t = in.msg->type;
	else if (packed)
		t = cel_pool_message(w->pool, str_z(packed));
	if (!t)
		return err_set(w->err, WEIR_EINVAL, "conversion error: %.*s cannot be packed into google.protobuf.Any",
					   STR_ARG(cel_type_of(in)->name));
	if (in.kind == CEL_LIST || in.kind == CEL_MAP)
		r = cel_json_value(w, in, 1, &in);
	if (r)
		return r;
	url = arena_printf(w->arena, "type.googleapis.com/%.*s", STR_ARG(t->name));
	return url ? cel_any_of_content(w, t, str_z(url), in, NULL, ret, ret_raw) : cel_work_nomem(w);
}
