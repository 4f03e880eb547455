/* cel-message-time.c - timestamps and durations in the text of protobuf's JSON, and the ranges that CEL can hold.
 *
 * A duration of protobuf may have 10,000 years; CEL's has 64 bits of nanoseconds, some 292 years. Pure, any thread. */
#include "base/base.h"
#include "lang/cel/cel-message-internal.h"

#include "lang/cel/cel-value.h"

#include <inttypes.h>

bool cel_time_in_range(int64_t seconds, int32_t nanos)
{
	return cel_timestamp_ok(seconds) && nanos >= 0 && nanos <= 999999999;
}

bool cel_duration_in_range(int64_t seconds, int32_t nanos)
{
	__int128 all = (__int128)seconds * 1000000000 + nanos;

	return nanos >= -999999999 && nanos <= 999999999 && !(seconds > 0 && nanos < 0) && !(seconds < 0 && nanos > 0) &&
		   all >= INT64_MIN && all <= INT64_MAX;
}

/* No digits, or 3, 6 or 9 of them. */
static void print_fraction(int32_t nanos, struct buf *out)
{
	if (nanos && nanos % 1000000 == 0)
		buf_addf(out, ".%03d", nanos / 1000000);
	else if (nanos && nanos % 1000 == 0)
		buf_addf(out, ".%06d", nanos / 1000);
	else if (nanos)
		buf_addf(out, ".%09d", nanos);
}

void cel_time_print_json(struct cel_value t, struct buf *out)
{
	struct cel_date d;

	cel_date_of(t.i, &d);
	buf_addf(out, "%04" PRId64 "-%02d-%02dT%02d:%02d:%02d", d.year, d.month, d.day, d.hour, d.minute, d.second);
	print_fraction(t.nanos, out);
	buf_addc(out, 'Z');
}

bool cel_duration_parse_json(str s, struct cel_value *ret)
{
	for (size_t i = 0; i + 1 < s.len; i++)
		if ((s.ptr[i] < '0' || s.ptr[i] > '9') && s.ptr[i] != '.' && !(s.ptr[i] == '-' && !i))
			return false;
	return str_has_suffix(s, STR("s")) && cel_duration_parse(s, ret);
}

void cel_duration_print_json(struct cel_value d, struct buf *out)
{
	if (d.i < 0 || d.nanos < 0)
		buf_addc(out, '-');
	buf_addf(out, "%" PRId64, d.i < 0 ? -d.i : d.i);
	print_fraction(d.nanos < 0 ? -d.nanos : d.nanos, out);
	buf_addc(out, 's');
}
