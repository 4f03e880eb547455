/* cel-std.c - what the functions of the standard library do (their table is cel-lib-standard.c): sizes, conversions, text, time.
 *
 * Pure: results are made in the call's arena, no clock, zones by the embedder. Each function has been chosen by its
 * signature's kinds, so that arguments are of those. */
#include "base/base.h"
#include "lang/cel/cel-std.h"

#include "base/regex.h"

#include <inttypes.h>

#define IS(name) struct cel_value name(UNUSED struct cel_call *c, UNUSED const struct cel_value *args, UNUSED size_t n)

IS(cel_std_size)
{
	struct cel_value v = args[0];

	switch (v.kind) {
	case CEL_STRING: return cel_of_int((int64_t)cel_utf8_len(cel_str(v)));
	case CEL_BYTES: return cel_of_int(v.len);
	case CEL_LIST: return cel_of_int((int64_t)v.list->n);
	default: return cel_of_int((int64_t)v.map->n);
	}
}

IS(cel_std_type)
{
	return cel_type_value(cel_type_of(args[0]));
}

IS(cel_std_same)
{
	return args[0];
}

static struct cel_value bad_text(struct cel_call *c, const char *to, struct cel_value v)
{
	return cel_error_value(c->arena, "cannot convert text to %s: '%.*s'", to, v.len > 100 ? 100 : (int)v.len, v.s);
}

IS(cel_std_bool)
{
	static const char *const yes[] = { "1", "t", "T", "TRUE", "true", "True" }, *const no[] = { "0",     "f",     "F",
																								"FALSE", "false", "False" };

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
		if (str_eqz(cel_str(args[0]), yes[i]) || str_eqz(cel_str(args[0]), no[i]))
			return cel_of_bool(str_eqz(cel_str(args[0]), yes[i]));
	return bad_text(c, "bool", args[0]);
}

IS(cel_std_bytes)
{
	return cel_of_bytes(cel_str(args[0]));
}

static bool text_is_number(str s)
{
	bool any = false;

	for (size_t i = 0; i < s.len; i++) {
		if (!strchr("0123456789+-.eE", s.ptr[i]) || !s.ptr[i])
			return false;
		any |= s.ptr[i] >= '0' && s.ptr[i] <= '9';
	}
	return any;
}

IS(cel_std_double)
{
	struct cel_value v = args[0];
	str s = cel_str(v), bare;
	char text[1100], *end;
	bool minus;

	if (v.kind == CEL_INT)
		return cel_of_double((double)v.i);
	if (v.kind == CEL_UINT)
		return cel_of_double((double)v.u);
	minus = s.len && s.ptr[0] == '-';
	bare = minus || (s.len && s.ptr[0] == '+') ? str_sub(s, 1, s.len) : s;
	if (str_eq_nocase(bare, STR("inf")) || str_eq_nocase(bare, STR("infinity")))
		return cel_of_double(minus ? -INFINITY : INFINITY);
	if (str_eq_nocase(s, STR("nan")))
		return cel_of_double(NAN);
	if (s.len >= sizeof(text) || !text_is_number(s))
		return bad_text(c, "double", v);
	memcpy(text, s.ptr, s.len);
	text[s.len] = '\0';
	v.d = strtod(text, &end);
	return *end || isinf(v.d) ? bad_text(c, "double", args[0]) : cel_of_double(v.d);
}

IS(cel_std_duration)
{
	struct cel_value v;

	if (args[0].kind == CEL_INT) {
		if (args[0].i > INT64_MAX / 1000000000 || args[0].i < INT64_MIN / 1000000000)
			return cel_error_value(c->arena, "duration out of range");
		return (struct cel_value){ .kind = CEL_DURATION, .i = args[0].i };
	}
	return cel_duration_parse(cel_str(args[0]), &v) ? v : bad_text(c, "duration (or it is out of range)", args[0]);
}

IS(cel_std_timestamp)
{
	struct cel_value v;

	if (args[0].kind == CEL_INT) {
		if (!cel_timestamp_ok(args[0].i))
			return cel_error_value(c->arena, "timestamp out of range");
		return (struct cel_value){ .kind = CEL_TIMESTAMP, .i = args[0].i };
	}
	return cel_timestamp_parse(cel_str(args[0]), &v) ? v : bad_text(c, "timestamp (or it is out of range)", args[0]);
}

IS(cel_std_int)
{
	struct cel_value v = args[0];
	int64_t i;

	switch (v.kind) {
	case CEL_UINT: return v.u > INT64_MAX ? cel_error_value(c->arena, "integer out of range") : cel_of_int((int64_t)v.u);
	case CEL_DOUBLE:
		if (!(v.d > -0x1p63 && v.d < 0x1p63))
			return cel_error_value(c->arena, "integer out of range");
		return cel_of_int((int64_t)v.d);
	case CEL_TIMESTAMP: return cel_of_int(v.i);
	case CEL_DURATION: return cel_of_int(cel_duration_nanos(v));
	default: break;
	}
	if (v.len > 1 && v.s[0] == '+' && v.s[1] != '-')
		v = cel_of_str(str_sub(cel_str(v), 1, v.len));
	return str_to_i64(cel_str(v), &i) ? cel_of_int(i) : bad_text(c, "int", args[0]);
}

IS(cel_std_uint)
{
	struct cel_value v = args[0];
	uint64_t u;

	if (v.kind == CEL_INT)
		return v.i < 0 ? cel_error_value(c->arena, "unsigned integer out of range") : cel_of_uint((uint64_t)v.i);
	if (v.kind == CEL_DOUBLE) {
		if (!(v.d >= 0 && v.d < 0x1p64))
			return cel_error_value(c->arena, "unsigned integer out of range");
		return cel_of_uint((uint64_t)v.d);
	}
	return str_to_u64(cel_str(v), &u) ? cel_of_uint(u) : bad_text(c, "uint", v);
}

struct cel_value cel_to_text(struct cel_call *c, struct cel_value v)
{
	struct buf b = BUF_INIT(400);

	switch (v.kind) {
	case CEL_STRING: return v;
	case CEL_BYTES:
		if (!str_utf8_valid(cel_str(v)))
			return cel_error_value(c->arena, "invalid UTF-8 in bytes");
		return cel_of_str(cel_str(v));
	case CEL_BOOL: return cel_of_str(v.b ? STR("true") : STR("false"));
	case CEL_INT: buf_addf(&b, "%" PRId64, v.i); break;
	case CEL_UINT: buf_addf(&b, "%" PRIu64, v.u); break;
	case CEL_DOUBLE: cel_add_double(&b, v.d, 'g'); break;
	case CEL_TIMESTAMP: cel_timestamp_print(v, &b); break;
	case CEL_DURATION: cel_duration_print(v, &b); break;
	default: return cel_no_overload(c->arena, STR("string"), &v, 1);
	}
	return cel_take_text(c->arena, &b, CEL_STRING);
}

IS(cel_std_string)
{
	return cel_to_text(c, args[0]);
}

/* --- text --- */

IS(cel_std_contains)
{
	return cel_of_bool(!args[1].len || (args[0].len >= args[1].len && memmem(args[0].s, args[0].len, args[1].s, args[1].len)));
}

IS(cel_std_starts_with)
{
	return cel_of_bool(args[0].len >= args[1].len && (!args[1].len || !memcmp(args[0].s, args[1].s, args[1].len)));
}

IS(cel_std_ends_with)
{
	return cel_of_bool(args[0].len >= args[1].len &&
					   (!args[1].len || !memcmp(args[0].s + args[0].len - args[1].len, args[1].s, args[1].len)));
}

/* Compiling costs far more than the unit cost of a short pattern says: it is counted as work, by the size of the program. */
struct cel_value cel_matches(struct cel_call *c, str text, str pattern)
{
	struct regex *r;
	struct err err = { 0 };
	struct cel_value v;

	if (!cel_spend(c, 100 + pattern.len, &v))
		return v;
	if (regex_new(pattern, CEL_REGEX_BYTES_MAX, &r, &err))
		return cel_error_value(c->arena, "%s", err.msg);
	if (cel_spend(c, regex_size(r) * 8, &v))
		v = cel_of_bool(regex_search(r, text));
	regex_free(r);
	return v;
}

IS(cel_std_matches)
{
	return cel_matches(c, cel_str(args[0]), cel_str(args[1]));
}

/* --- parts of times --- */

static bool local_date(struct cel_call *c, const struct cel_value *args, size_t n, struct cel_date *ret,
					   struct cel_value *ret_error)
{
	int32_t offset = 0;
	str zone = n > 1 ? cel_str(args[1]) : STR_NULL;

	if (!cel_zone_fixed(zone, &offset) && (!c->zones || !c->zones->offset(c->zones->ctx, zone, args[0].i, &offset))) {
		*ret_error = cel_error_value(c->arena, "unknown time zone '%.*s'", (int)(zone.len > 100 ? 100 : zone.len), zone.ptr);
		return false;
	}
	cel_date_of(args[0].i + offset, ret);
	return true;
}

#define DATE_PART(name, value)                                                                                                   \
	IS(name)                                                                                                                     \
	{                                                                                                                            \
		struct cel_date d;                                                                                                       \
		struct cel_value e;                                                                                                      \
		return local_date(c, args, n, &d, &e) ? cel_of_int(value) : e;                                                           \
	}
DATE_PART(cel_std_year, d.year)
DATE_PART(cel_std_month, d.month - 1)
DATE_PART(cel_std_yday, d.yday)
DATE_PART(cel_std_mday, d.day - 1)
DATE_PART(cel_std_date, d.day)
DATE_PART(cel_std_wday, d.wday)
DATE_PART(cel_std_hour, d.hour)
DATE_PART(cel_std_minute, d.minute)
DATE_PART(cel_std_second, d.second)
DATE_PART(cel_std_milli, args[0].nanos / 1000000)

IS(cel_std_duration_hours)
{
	return cel_of_int(args[0].i / 3600);
}
IS(cel_std_duration_minutes)
{
	return cel_of_int(args[0].i / 60);
}
IS(cel_std_duration_seconds)
{
	return cel_of_int(args[0].i);
}
IS(cel_std_duration_millis)
{
	return cel_of_int(args[0].nanos / 1000000);
}
