/* cel-json.c - values as JSON, as protobuf maps them: integers beyond 2^53 as text, bytes as base64, times as text,
 * not-finite numbers as "NaN" and "Infinity"; keys of maps become text.
 *
 * Pure. Types, opaque values, errors and unknowns have no JSON form: -WEIR_EINVAL names what it was. */
#include "base/base.h"
#include "base/hash.h"
#include "lang/cel/cel-value.h"

#include "lang/cel/cel-message.h"

static int write(struct cel_value v, struct buf *out, int depth, struct err *reterr);

static void write_text(str s, struct buf *out)
{
	buf_addc(out, '"');
	buf_add_json(out, s);
	buf_addc(out, '"');
}

static void write_double(double d, struct buf *out)
{
	if (!isfinite(d))
		buf_addz(out, isnan(d) ? "\"NaN\"" : d < 0 ? "\"-Infinity\"" : "\"Infinity\"");
	else
		cel_add_double(out, d, fabs(d) >= 1e21 || (d != 0 && fabs(d) < 1e-6) ? 'g' : 'f');
}

static void write_int(struct cel_value v, struct buf *out)
{
	const int64_t exact = (int64_t)1 << 53;

	if (v.kind == CEL_UINT)
		buf_addf(out, v.u > (uint64_t)exact ? "\"%llu\"" : "%llu", (unsigned long long)v.u);
	else
		buf_addf(out, v.i > exact || v.i < -exact ? "\"%lld\"" : "%lld", (long long)v.i);
}

static int write_list(const struct cel_list *l, struct buf *out, int depth, struct err *reterr)
{
	int r = 0;

	buf_addc(out, '[');
	for (size_t i = 0; i < l->n && !r && !out->failed; i++) {
		if (i)
			buf_addc(out, ',');
		r = write(l->items[i], out, depth, reterr);
	}
	buf_addc(out, ']');
	return r;
}

static void write_key(struct cel_value k, struct buf *out)
{
	if (k.kind == CEL_STRING)
		write_text(cel_str(k), out);
	else if (k.kind == CEL_BOOL)
		buf_addz(out, k.b ? "\"true\"" : "\"false\"");
	else if (k.kind == CEL_UINT)
		buf_addf(out, "\"%llu\"", (unsigned long long)k.u);
	else
		buf_addf(out, "\"%lld\"", (long long)k.i);
}

static int write_map(const struct cel_map *m, struct buf *out, int depth, struct err *reterr)
{
	int r = 0;

	buf_addc(out, '{');
	for (size_t i = 0; i < m->n && !r && !out->failed; i++) {
		if (i)
			buf_addc(out, ',');
		write_key(m->keys[i], out);
		buf_addc(out, ':');
		r = write(m->values[i], out, depth, reterr);
	}
	buf_addc(out, '}');
	return r;
}

static void write_time(struct cel_value v, struct buf *out)
{
	buf_addc(out, '"');
	if (v.kind == CEL_TIMESTAMP)
		cel_timestamp_print(v, out);
	else
		cel_duration_print(v, out);
	buf_addc(out, '"');
}

static int write(struct cel_value v, struct buf *out, int depth, struct err *reterr)
{
	if (depth > CEL_VALUE_DEPTH_MAX)
		return err_set(reterr, WEIR_ELIMIT, "a value is nested deeper than %d", CEL_VALUE_DEPTH_MAX);
	switch (v.kind) {
	case CEL_NULL: buf_addz(out, "null"); return 0;
	case CEL_BOOL: buf_addz(out, v.b ? "true" : "false"); return 0;
	case CEL_INT:
	case CEL_UINT: write_int(v, out); return 0;
	case CEL_DOUBLE: write_double(v.d, out); return 0;
	case CEL_STRING: write_text(cel_str(v), out); return 0;
	case CEL_BYTES:
		buf_addc(out, '"');
		buf_add_base64(out, cel_str(v));
		buf_addc(out, '"');
		return 0;
	case CEL_TIMESTAMP:
	case CEL_DURATION: write_time(v, out); return 0;
	case CEL_LIST: return write_list(v.list, out, depth + 1, reterr);
	case CEL_MAP: return write_map(v.map, out, depth + 1, reterr);
	case CEL_OPTIONAL: return write(v.opt ? *v.opt : cel_of_null(), out, depth + 1, reterr);
	case CEL_MESSAGE: return cel_message_to_json(v.msg, out, reterr);
	case CEL_ERROR: return err_set(reterr, WEIR_EINVAL, "an error has no JSON form: %.*s", STR_ARG(v.error->msg));
	default: return err_set(reterr, WEIR_EINVAL, "a value of type %s has no JSON form", cel_kind_name(v));
	}
}

int cel_to_json(struct cel_value v, struct buf *out, struct err *reterr)
{
	int r = write(v, out, 0, reterr);

	return r ? r : buf_check(out, "JSON of a value", reterr);
}
