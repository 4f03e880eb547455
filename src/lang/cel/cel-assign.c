/* cel-assign.c - CEL values into fields: which kind fits which field, narrowing, wrappers, JSON values, packing into Any.
 *
 * The rules are those of the language definition ("Protocol buffer data conversion") where it speaks, else those of cel-go:
 * null clears a message field and is dropped from lists and maps of messages, but is a value for Any and Value and an error for
 * everything else. Numbers are never converted between int, uint and double. Any thread. */
#include "base/base.h"
#include "lang/cel/cel-message-internal.h"

#include "base/hash.h"

#include <inttypes.h>

static int misfit(struct cel_work *w, const struct cel_field *f, struct cel_value in)
{
	struct buf want CLEANUP_BUF = BUF_INIT(1000);

	cel_type_print(f->msg && f->shape == CEL_SINGULAR ? f->msg->type : f->type, &want);
	return err_set(w->err, WEIR_EINVAL, "unsupported field type: field '%.*s' of %.*s takes %s, not %.*s", STR_ARG(f->name),
				   STR_ARG(f->owner_name), buf_z(&want), STR_ARG(cel_type_of(in)->name));
}

static int out_of_range(struct cel_work *w, const struct cel_field *f)
{
	return err_set(w->err, WEIR_EINVAL, "range error: the value does not fit field '%.*s' of %.*s", STR_ARG(f->name),
				   STR_ARG(f->owner_name));
}

static int assign_int(struct cel_work *w, const struct cel_field *f, struct cel_value in, struct cel_value *ret)
{
	bool narrow = f->kind != CEL_FIELD_INT64 && f->kind != CEL_FIELD_SINT64 && f->kind != CEL_FIELD_SFIXED64;

	if (in.kind == CEL_NULL && f->en && f->en->null_only)
		in = cel_of_int(0);
	if (in.kind == CEL_OPAQUE && f->en && cel_enum_number(in, f->en, &in.i))
		in.kind = CEL_INT;
	if (in.kind != CEL_INT)
		return misfit(w, f, in);
	if (narrow && (in.i < INT32_MIN || in.i > INT32_MAX))
		return out_of_range(w, f);
	*ret = in;
	return 0;
}

static int assign_uint(struct cel_work *w, const struct cel_field *f, struct cel_value in, struct cel_value *ret)
{
	if (in.kind != CEL_UINT)
		return misfit(w, f, in);
	if ((f->kind == CEL_FIELD_UINT32 || f->kind == CEL_FIELD_FIXED32) && in.u > UINT32_MAX)
		return out_of_range(w, f);
	*ret = in;
	return 0;
}

/* What must already have the kind that the field stores. */
static int assign_kind(struct cel_work *w, const struct cel_field *f, enum cel_kind kind, struct cel_value in,
					   struct cel_value *ret)
{
	if (in.kind != kind)
		return misfit(w, f, in);
	*ret = in;
	return 0;
}

static int assign_message(struct cel_work *w, const struct cel_field *f, struct cel_value in, struct cel_value *ret,
						  const struct cel_value **ret_raw, bool *ret_unset)
{
	enum cel_wkt wkt = f->msg->wkt;

	if (wkt == CEL_WKT_ANY)
		return cel_any_of_value(w, in, ret, ret_raw);
	if (wkt == CEL_WKT_VALUE)
		return cel_json_value(w, in, 1, ret);
	if (wkt == CEL_WKT_STRUCT)
		return in.kind == CEL_MAP ? cel_json_value(w, in, 1, ret) : misfit(w, f, in);
	if (wkt == CEL_WKT_LIST)
		return in.kind == CEL_LIST ? cel_json_value(w, in, 1, ret) : misfit(w, f, in);
	if (in.kind == CEL_NULL) {
		*ret_unset = true;
		return 0;
	}
	if (cel_wkt_is_wrapper(wkt))
		return cel_assign(w, &f->msg->fields[0], in, ret, ret_raw, ret_unset);
	if (wkt == CEL_WKT_TIMESTAMP || wkt == CEL_WKT_DURATION)
		return assign_kind(w, f, wkt == CEL_WKT_TIMESTAMP ? CEL_TIMESTAMP : CEL_DURATION, in, ret);
	if (in.kind != CEL_MESSAGE || !str_eq(in.msg->type->name, f->msg->name))
		return misfit(w, f, in);
	*ret = in;
	return 0;
}

int cel_assign(struct cel_work *w, const struct cel_field *f, struct cel_value in, struct cel_value *ret,
			   const struct cel_value **ret_raw, bool *ret_unset)
{
	int r;

	*ret_raw = NULL;
	switch (f->kind) {
	case CEL_FIELD_DOUBLE: return assign_kind(w, f, CEL_DOUBLE, in, ret);
	case CEL_FIELD_FLOAT:
		r = assign_kind(w, f, CEL_DOUBLE, in, ret);
		if (!r)
			ret->d = (double)(float)ret->d;
		return r;
	case CEL_FIELD_BOOL: return assign_kind(w, f, CEL_BOOL, in, ret);
	case CEL_FIELD_STRING: return assign_kind(w, f, CEL_STRING, in, ret);
	case CEL_FIELD_BYTES: return assign_kind(w, f, CEL_BYTES, in, ret);
	case CEL_FIELD_UINT32:
	case CEL_FIELD_UINT64:
	case CEL_FIELD_FIXED32:
	case CEL_FIELD_FIXED64: return assign_uint(w, f, in, ret);
	case CEL_FIELD_GROUP:
	case CEL_FIELD_MESSAGE: return assign_message(w, f, in, ret, ret_raw, ret_unset);
	default: return assign_int(w, f, in, ret);
	}
}

/* --- JSON values --- */

#define EXACT_MAX (INT64_C(1) << 53) /* integers up to here are exact as doubles; larger ones become text */

static int text_value(struct cel_work *w, const struct buf *text, struct cel_value *ret)
{
	str s = text->failed ? STR_NULL : arena_str(w->arena, buf_str(text));

	if (!s.ptr)
		return cel_work_nomem(w);
	*ret = cel_of_str(s);
	return 0;
}

static int json_text(struct cel_work *w, struct cel_value in, struct cel_value *ret)
{
	struct buf text CLEANUP_BUF = BUF_INIT(LIMIT_CEL_MESSAGE_BYTES * 2);

	switch (in.kind) {
	case CEL_INT: buf_addf(&text, "%" PRId64, in.i); break;
	case CEL_UINT: buf_addf(&text, "%" PRIu64, in.u); break;
	case CEL_BYTES: buf_add_base64(&text, str_n(in.s, in.len)); break;
	case CEL_TIMESTAMP: cel_time_print_json(in, &text); break;
	default: cel_duration_print_json(in, &text); break;
	}
	return text_value(w, &text, ret);
}

static int json_message(struct cel_work *w, struct cel_value in, struct cel_value *ret)
{
	struct buf text CLEANUP_BUF = BUF_INIT(LIMIT_DOC_BYTES);
	struct doc_node *n;
	int r = cel_message_to_json(in.msg, &text, w->err);

	if (!r)
		r = doc_parse_json(w->arena, "message", buf_str(&text), &n, w->err);
	return r ? r : cel_json_value_of_doc(w, n, ret);
}

static int json_items(struct cel_work *w, struct cel_value in, unsigned depth, struct cel_value *ret)
{
	bool map = in.kind == CEL_MAP;
	size_t n = map ? cel_map_len(in.map) : in.list->n;
	struct cel_value *keys = map ? ARENA_ARRAY(w->arena, n, struct cel_value) : NULL,
					 *values = ARENA_ARRAY(w->arena, n, struct cel_value);

	if (w->arena->failed)
		return cel_work_nomem(w);
	for (size_t i = 0; i < n; i++) {
		struct cel_value item;
		int r;

		if (map)
			cel_map_at(in.map, i, &keys[i], &item);
		else
			item = in.list->items[i];
		if (map && keys[i].kind != CEL_STRING)
			return err_set(w->err, WEIR_EINVAL, "bad key type: JSON has text keys only, not %.*s",
						   STR_ARG(cel_type_of(keys[i])->name));
		r = cel_json_value(w, item, depth + 1, &values[i]);
		if (r)
			return r;
	}
	*ret = map ? cel_of_map(w->arena, keys, values, n) : cel_of_list(w->arena, values, n);
	return w->arena->failed ? cel_work_nomem(w) : 0;
}

int cel_json_value(struct cel_work *w, struct cel_value in, unsigned depth, struct cel_value *ret)
{
	if (depth > LIMIT_CEL_MESSAGE_DEPTH / 2)
		return err_set(w->err, WEIR_ELIMIT, "a JSON value nests deeper than %d", LIMIT_CEL_MESSAGE_DEPTH / 2);
	*ret = in;
	switch (in.kind) {
	case CEL_NULL:
	case CEL_BOOL:
	case CEL_DOUBLE:
	case CEL_STRING: return 0;
	case CEL_INT:
		if (in.i > EXACT_MAX || in.i < -EXACT_MAX)
			return json_text(w, in, ret);
		*ret = cel_of_double((double)in.i);
		return 0;
	case CEL_UINT:
		if (in.u > (uint64_t)EXACT_MAX)
			return json_text(w, in, ret);
		*ret = cel_of_double((double)in.u);
		return 0;
	case CEL_BYTES:
	case CEL_TIMESTAMP:
	case CEL_DURATION: return json_text(w, in, ret);
	case CEL_LIST:
	case CEL_MAP: return json_items(w, in, depth, ret);
	case CEL_MESSAGE: return json_message(w, in, ret);
	default: return err_set(w->err, WEIR_EINVAL, "conversion error: %.*s has no JSON form", STR_ARG(cel_type_of(in)->name));
	}
}
