/* cel-print.c - values as CEL literals that read back as the same value; errors and unknowns as comments say what they are.
 *
 * Pure. Output is bounded by the buf's maximum, nesting by CEL_VALUE_DEPTH_MAX. */
#include "base/base.h"
#include "lang/cel/cel-value.h"

#include "lang/cel/cel-message.h"

static void print(struct cel_value v, struct buf *out, int depth);

static void print_escape(struct buf *out, unsigned char c)
{
	static const char named[] = "\a\b\f\n\r\t\v\\\"", letters[] = "abfnrtv\\\"";
	const char *at = c ? strchr(named, c) : NULL;

	if (at)
		buf_addf(out, "\\%c", letters[at - named]);
	else
		buf_addf(out, "\\x%02x", c);
}

/* Control characters of text: \xNN names a code point there, so that the same escapes serve. Bytes: all but printable ASCII. */
static void print_text(str s, bool bytes, struct buf *out)
{
	buf_addc(out, '"');
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];

		if (c < 0x20 || c == 0x7F || c == '"' || c == '\\' || (bytes && c >= 0x80))
			print_escape(out, c);
		else
			buf_addc(out, (char)c);
	}
	buf_addc(out, '"');
}

static void print_double(double d, struct buf *out)
{
	size_t before = out->len;

	if (!isfinite(d)) {
		buf_addz(out, isnan(d) ? "double(\"NaN\")" : d < 0 ? "double(\"-Infinity\")" : "double(\"Infinity\")");
		return;
	}
	cel_add_double(out, d, 'g');
	if (!out->failed && str_find(str_n(out->ptr + before, out->len - before), '.') == out->len - before &&
		str_find(str_n(out->ptr + before, out->len - before), 'e') == out->len - before)
		buf_addz(out, ".0");
}

static void print_list(const struct cel_list *l, struct buf *out, int depth)
{
	buf_addc(out, '[');
	for (size_t i = 0; i < l->n && !out->failed; i++) {
		if (i)
			buf_addz(out, ", ");
		print(l->items[i], out, depth);
	}
	buf_addc(out, ']');
}

static void print_map(const struct cel_map *m, struct buf *out, int depth)
{
	buf_addc(out, '{');
	for (size_t i = 0; i < m->n && !out->failed; i++) {
		if (i)
			buf_addz(out, ", ");
		print(m->keys[i], out, depth);
		buf_addz(out, ": ");
		print(m->values[i], out, depth);
	}
	buf_addc(out, '}');
}

static void print_optional(const struct cel_value *v, struct buf *out, int depth)
{
	buf_addz(out, v ? "optional.of(" : "optional.none()");
	if (v) {
		print(*v, out, depth);
		buf_addc(out, ')');
	}
}

/* Its JSON form: `pkg.Type{...}` cannot be written without asking for every field. */
static void print_message(const struct cel_message *m, struct buf *out)
{
	buf_add_str(out, cel_message_type_type(cel_message_type_of(m))->name);
	if (cel_message_to_json(m, out, NULL))
		buf_addz(out, "{?}");
}

static void print_unknown(const struct cel_unknown *u, struct buf *out)
{
	buf_addz(out, "unknown(");
	for (size_t i = 0; i < u->n; i++)
		buf_addf(out, "%s%.*s", i ? ", " : "", STR_ARG(u->attributes[i]));
	buf_addc(out, ')');
}

static void print_time(struct cel_value v, struct buf *out)
{
	buf_addz(out, v.kind == CEL_TIMESTAMP ? "timestamp(\"" : "duration(\"");
	if (v.kind == CEL_TIMESTAMP)
		cel_timestamp_print(v, out);
	else
		cel_duration_print(v, out);
	buf_addz(out, "\")");
}

static void print(struct cel_value v, struct buf *out, int depth)
{
	if (depth > CEL_VALUE_DEPTH_MAX) {
		buf_addz(out, "...");
		return;
	}
	switch (v.kind) {
	case CEL_NULL: buf_addz(out, "null"); break;
	case CEL_BOOL: buf_addz(out, v.b ? "true" : "false"); break;
	case CEL_INT: buf_addf(out, "%lld", (long long)v.i); break;
	case CEL_UINT: buf_addf(out, "%lluu", (unsigned long long)v.u); break;
	case CEL_DOUBLE: print_double(v.d, out); break;
	case CEL_STRING: print_text(cel_str(v), false, out); break;
	case CEL_BYTES:
		buf_addc(out, 'b');
		print_text(cel_str(v), true, out);
		break;
	case CEL_TIMESTAMP:
	case CEL_DURATION: print_time(v, out); break;
	case CEL_LIST: print_list(v.list, out, depth + 1); break;
	case CEL_MAP: print_map(v.map, out, depth + 1); break;
	case CEL_TYPE: buf_add_str(out, v.type->name); break;
	case CEL_OPTIONAL: print_optional(v.opt, out, depth + 1); break;
	case CEL_MESSAGE: print_message(v.msg, out); break;
	case CEL_OPAQUE: v.opaque->print(v.opaque, out); break;
	case CEL_UNKNOWN: print_unknown(v.unknown, out); break;
	default: buf_addf(out, "error(%.*s)", STR_ARG(v.error->msg)); break;
	}
}

void cel_print(struct cel_value v, struct buf *out)
{
	print(v, out, 0);
}
