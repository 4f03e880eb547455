/* cel-message-json.c - writes messages as JSON (ProtoJSON of protobuf.dev).
 *
 * Fields that are set, by number, under their JSON names; 64-bit integers as text, bytes as base64, enums by name. What has no
 * JSON form is an error: an Any that cannot be unpacked, a field mask whose paths do not survive, a Value that is not finite.
 * Any thread. */
#include "base/base.h"
#include "lang/cel/cel-message-internal.h"

#include "base/hash.h"

#include <inttypes.h>
#include <math.h>

struct writer {
	struct buf *out;
	struct err *err;
};

static int write_message(struct writer *w, const struct cel_message *m);
static int write_typed(struct writer *w, const struct cel_message_type *t, struct cel_value v);

static void text(struct writer *w, str s)
{
	buf_addc(w->out, '"');
	buf_add_json(w->out, s);
	buf_addc(w->out, '"');
}

static void key(struct writer *w, bool *first, str name)
{
	if (!*first)
		buf_addc(w->out, ',');
	*first = false;
	text(w, name);
	buf_addc(w->out, ':');
}

/* The fewest digits that read back as the same float or double. */
static void number(struct writer *w, double d, bool is_float)
{
	char digits[40];

	if (isnan(d) || isinf(d)) {
		buf_addz(w->out, isnan(d) ? "\"NaN\"" : d > 0 ? "\"Infinity\"" : "\"-Infinity\"");
		return;
	}
	for (int n = is_float ? 6 : 15; n <= 17; n++) {
		snprintf(digits, sizeof(digits), "%.*g", n, d);
		if (is_float ? strtof(digits, NULL) == (float)d : strtod(digits, NULL) == d)
			break;
	}
	buf_addz(w->out, digits);
}

static int scalar(struct writer *w, const struct cel_field *f, struct cel_value v)
{
	str name;

	switch (f->kind) {
	case CEL_FIELD_DOUBLE: number(w, v.d, false); break;
	case CEL_FIELD_FLOAT: number(w, v.d, true); break;
	case CEL_FIELD_BOOL: buf_addz(w->out, v.b ? "true" : "false"); break;
	case CEL_FIELD_STRING: text(w, str_n(v.s, v.len)); break;
	case CEL_FIELD_BYTES:
		buf_addc(w->out, '"');
		buf_add_base64(w->out, str_n(v.s, v.len));
		buf_addc(w->out, '"');
		break;
	case CEL_FIELD_UINT32:
	case CEL_FIELD_FIXED32: buf_addf(w->out, "%" PRIu64, v.u); break;
	case CEL_FIELD_UINT64:
	case CEL_FIELD_FIXED64: buf_addf(w->out, "\"%" PRIu64 "\"", v.u); break;
	case CEL_FIELD_INT64:
	case CEL_FIELD_SINT64:
	case CEL_FIELD_SFIXED64: buf_addf(w->out, "\"%" PRId64 "\"", v.i); break;
	case CEL_FIELD_ENUM:
		name = f->en->null_only ? STR_NULL : cel_enum_name(f->en, (int32_t)v.i);
		if (f->en->null_only)
			buf_addz(w->out, "null");
		else if (name.ptr)
			text(w, name);
		else
			buf_addf(w->out, "%" PRId64, v.i);
		break;
	default: buf_addf(w->out, "%" PRId64, v.i); break;
	}
	return 0;
}

static int single(struct writer *w, const struct cel_field *f, struct cel_value v)
{
	return f->msg ? write_typed(w, f->msg, v) : scalar(w, f, v);
}

static int list(struct writer *w, const struct cel_field *f, const struct cel_list *l)
{
	int r = 0;

	buf_addc(w->out, '[');
	for (size_t i = 0; !r && i < l->n; i++) {
		if (i)
			buf_addc(w->out, ',');
		r = single(w, f, l->items[i]);
	}
	buf_addc(w->out, ']');
	return r;
}

/* Keys are texts in JSON, whatever they are. */
static void map_key(struct writer *w, bool *first, struct cel_value k)
{
	char digits[32];

	if (k.kind == CEL_STRING)
		key(w, first, str_n(k.s, k.len));
	else if (k.kind == CEL_BOOL)
		key(w, first, k.b ? STR("true") : STR("false"));
	else {
		snprintf(digits, sizeof(digits), k.kind == CEL_UINT ? "%" PRIu64 : "%" PRId64, k.u);
		key(w, first, str_z(digits));
	}
}

static int map(struct writer *w, const struct cel_field *f, const struct cel_map *m)
{
	bool first = true;
	int r = 0;

	buf_addc(w->out, '{');
	for (size_t i = 0, n = cel_map_len(m); !r && i < n; i++) {
		struct cel_value k, v;

		cel_map_at(m, i, &k, &v);
		map_key(w, &first, k);
		r = single(w, &f->msg->fields[1], v);
	}
	buf_addc(w->out, '}');
	return r;
}

static int write_fields(struct writer *w, const struct cel_message *m, bool first)
{
	int r = 0;

	for (uint32_t i = 0; !r && i < m->n; i++) {
		const struct cel_slot *s = &m->slots[i];
		struct cel_value v = s->raw ? *s->raw : s->v;

		key(w, &first, s->f->json_name);
		r = s->f->shape == CEL_MAPPED     ? map(w, s->f, v.map)
			: s->f->shape == CEL_REPEATED ? list(w, s->f, v.list)
										  : single(w, s->f, v);
	}
	return r;
}

static int write_any(struct writer *w, const struct cel_any *any)
{
	struct cel_value v = any->raw ? *any->raw : any->content;
	bool first = true;
	int r;

	buf_addc(w->out, '{');
	if (any->url.len || any->bytes.len) {
		if (any->content.kind == CEL_ERROR && !any->raw)
			return err_set(w->err, WEIR_EINVAL, "no JSON form: %.*s", STR_ARG(any->content.error->msg));
		key(w, &first, STR("@type"));
		text(w, any->url);
		if (any->type->wkt == CEL_WKT_NONE || any->type->wkt == CEL_WKT_EMPTY)
			r = write_fields(w, v.msg, first);
		else {
			key(w, &first, STR("value"));
			r = write_typed(w, any->type, v);
		}
		if (r)
			return r;
	}
	buf_addc(w->out, '}');
	return 0;
}

/* "foo_bar.baz" is "fooBar.baz" here; a path that would not come back has no form. */
static int field_mask(struct writer *w, const struct cel_message *m)
{
	buf_addc(w->out, '"');
	for (size_t i = 0; m->n && i < m->slots[0].v.list->n; i++) {
		struct cel_value path = m->slots[0].v.list->items[i];

		if (i)
			buf_addc(w->out, ',');
		for (uint32_t j = 0; j < path.len; j++) {
			char c = path.s[j];

			if (c == '_' && j + 1 < path.len && path.s[j + 1] >= 'a' && path.s[j + 1] <= 'z')
				c = (char)(path.s[++j] - 'a' + 'A');
			else if ((c >= 'A' && c <= 'Z') || c == '_' || c == ',')
				return err_set(w->err, WEIR_EINVAL,
							   "no JSON form: a path of a google.protobuf.FieldMask is not lower_snake_case");
			buf_add_json(w->out, str_n(&c, 1));
		}
	}
	buf_addc(w->out, '"');
	return 0;
}

static int json_value(struct writer *w, struct cel_value v)
{
	bool first = true;
	int r = 0;

	switch (v.kind) {
	case CEL_BOOL: buf_addz(w->out, v.b ? "true" : "false"); return 0;
	case CEL_STRING: text(w, str_n(v.s, v.len)); return 0;
	case CEL_DOUBLE:
		if (!isfinite(v.d))
			return err_set(w->err, WEIR_EINVAL, "no JSON form: a google.protobuf.Value that is not finite");
		number(w, v.d, false);
		return 0;
	case CEL_LIST:
		buf_addc(w->out, '[');
		for (size_t i = 0; !r && i < v.list->n; i++) {
			if (i)
				buf_addc(w->out, ',');
			r = json_value(w, v.list->items[i]);
		}
		buf_addc(w->out, ']');
		return r;
	case CEL_MAP:
		buf_addc(w->out, '{');
		for (size_t i = 0, n = cel_map_len(v.map); !r && i < n; i++) {
			struct cel_value k, item;

			cel_map_at(v.map, i, &k, &item);
			map_key(w, &first, k);
			r = json_value(w, item);
		}
		buf_addc(w->out, '}');
		return r;
	default: buf_addz(w->out, "null"); return 0;
	}
}

static int write_typed(struct writer *w, const struct cel_message_type *t, struct cel_value v)
{
	switch (t->wkt) {
	case CEL_WKT_NONE:
	case CEL_WKT_EMPTY: return write_message(w, v.msg);
	case CEL_WKT_FIELD_MASK: return field_mask(w, v.msg);
	case CEL_WKT_TIMESTAMP:
	case CEL_WKT_DURATION:
		buf_addc(w->out, '"');
		(t->wkt == CEL_WKT_TIMESTAMP ? cel_time_print_json : cel_duration_print_json)(v, w->out);
		buf_addc(w->out, '"');
		return 0;
	case CEL_WKT_STRUCT:
	case CEL_WKT_VALUE:
	case CEL_WKT_LIST: return json_value(w, v);
	case CEL_WKT_ANY: return write_any(w, cel_any_of(v));
	default: return scalar(w, &t->fields[0], v); /* wrappers */
	}
}

static int write_message(struct writer *w, const struct cel_message *m)
{
	int r;

	buf_addc(w->out, '{');
	r = write_fields(w, m, true);
	buf_addc(w->out, '}');
	return r;
}

int cel_message_to_json(const struct cel_message *m, struct buf *out, struct err *reterr)
{
	struct writer w = { out, reterr };
	int r = write_typed(&w, m->type, (struct cel_value){ .kind = CEL_MESSAGE, .msg = m });

	return r ? r : buf_check(out, "the JSON of a message", reterr);
}
