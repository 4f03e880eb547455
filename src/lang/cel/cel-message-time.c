/* cel-message-time.c - timestamps and durations as text: RFC 3339 and "1.5s", as protobuf's JSON has them.
 *
 * Proleptic Gregorian calendar, years 1 to 9999, whole nanoseconds; no time zone data, no locale. Pure, any thread. */
#include "base/base.h"
#include "lang/cel/cel-message-internal.h"

#include <inttypes.h>

#define TIME_MIN     INT64_C(-62135596800) /* 0001-01-01T00:00:00Z */
#define TIME_MAX     INT64_C(253402300799) /* 9999-12-31T23:59:59Z */
#define DURATION_MAX INT64_C(315576000000) /* 10,000 years of 365.25 days */

bool cel_time_in_range(int64_t seconds, int32_t nanos)
{
	return seconds >= TIME_MIN && seconds <= TIME_MAX && nanos >= 0 && nanos <= 999999999;
}

bool cel_duration_in_range(int64_t seconds, int32_t nanos)
{
	return seconds >= -DURATION_MAX && seconds <= DURATION_MAX && nanos >= -999999999 && nanos <= 999999999 &&
		   !(seconds > 0 && nanos < 0) && !(seconds < 0 && nanos > 0);
}

/* Days since 1970-01-01 of a date, and back; years begin in March here, so that the leap day is their last. */
static int64_t days_of(int64_t y, unsigned m, unsigned d)
{
	y -= m <= 2;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t year = y - era * 400, day = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;

	return era * 146097 + year * 365 + year / 4 - year / 100 + day - 719468;
}

static void date_of(int64_t days, int64_t *y, unsigned *m, unsigned *d)
{
	int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t of_era = z - era * 146097, year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t day = of_era - (365 * year + year / 4 - year / 100), month = (5 * day + 2) / 153;

	*d = (unsigned)(day - (153 * month + 2) / 5 + 1);
	*m = (unsigned)(month < 10 ? month + 3 : month - 9);
	*y = year + era * 400 + (*m <= 2);
}

static bool digits(str *s, size_t n, unsigned *ret)
{
	*ret = 0;
	if (s->len < n)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (s->ptr[i] < '0' || s->ptr[i] > '9')
			return false;
		*ret = *ret * 10 + (unsigned)(s->ptr[i] - '0');
	}
	*s = str_sub(*s, n, s->len);
	return true;
}

static bool one_of(str *s, const char *set, char *ret)
{
	if (!s->len || !s->ptr[0] || !strchr(set, s->ptr[0]))
		return false;
	*ret = s->ptr[0];
	*s = str_sub(*s, 1, s->len);
	return true;
}

/* ".123" as nanoseconds; nothing is 0. */
static bool fraction(str *s, int32_t *ret)
{
	int32_t unit = 100000000;
	char c;

	*ret = 0;
	if (!one_of(s, ".", &c))
		return true;
	if (!s->len || s->ptr[0] < '0' || s->ptr[0] > '9')
		return false;
	for (; s->len && s->ptr[0] >= '0' && s->ptr[0] <= '9'; unit /= 10) {
		if (!unit)
			return false;
		*ret += (s->ptr[0] - '0') * unit;
		*s = str_sub(*s, 1, s->len);
	}
	return true;
}

static unsigned days_in(unsigned y, unsigned m)
{
	static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return m == 2 && y % 4 == 0 && (y % 100 || y % 400 == 0) ? 29 : days[m - 1];
}

static bool offset(str *s, int64_t *ret)
{
	unsigned hours, minutes;
	char sign, c;

	*ret = 0;
	if (one_of(s, "Zz", &c))
		return true;
	if (!one_of(s, "+-", &sign) || !digits(s, 2, &hours) || !one_of(s, ":", &c) || !digits(s, 2, &minutes) || hours > 23 || minutes > 59)
		return false;
	*ret = (int64_t)(hours * 60 + minutes) * (sign == '-' ? -60 : 60);
	return true;
}

bool cel_time_parse(str s, int64_t *ret_seconds, int32_t *ret_nanos)
{
	unsigned y, mo, d, h, mi, sec;
	int64_t off;
	char c;

	if (!digits(&s, 4, &y) || !one_of(&s, "-", &c) || !digits(&s, 2, &mo) || !one_of(&s, "-", &c) || !digits(&s, 2, &d) ||
		!one_of(&s, "Tt", &c) || !digits(&s, 2, &h) || !one_of(&s, ":", &c) || !digits(&s, 2, &mi) || !one_of(&s, ":", &c) ||
		!digits(&s, 2, &sec) || !fraction(&s, ret_nanos) || !offset(&s, &off) || s.len)
		return false;
	if (mo < 1 || mo > 12 || d < 1 || d > days_in(y, mo) || h > 23 || mi > 59 || sec > 59)
		return false;
	*ret_seconds = days_of(y, mo, d) * 86400 + h * 3600 + mi * 60 + sec - off;
	return cel_time_in_range(*ret_seconds, *ret_nanos);
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

void cel_time_print(int64_t seconds, int32_t nanos, struct buf *out)
{
	int64_t days = seconds / 86400 - (seconds % 86400 < 0), rest = seconds - days * 86400, y;
	unsigned m, d;

	date_of(days, &y, &m, &d);
	buf_addf(out, "%04" PRId64 "-%02u-%02uT%02d:%02d:%02d", y, m, d, (int)(rest / 3600), (int)(rest / 60 % 60), (int)(rest % 60));
	print_fraction(nanos, out);
	buf_addc(out, 'Z');
}

bool cel_duration_parse_json(str s, int64_t *ret_seconds, int32_t *ret_nanos)
{
	bool negative = s.len && s.ptr[0] == '-';
	int64_t seconds = 0;

	if (negative)
		s = str_sub(s, 1, s.len);
	if (!s.len || s.ptr[0] < '0' || s.ptr[0] > '9')
		return false;
	for (; s.len && s.ptr[0] >= '0' && s.ptr[0] <= '9'; s = str_sub(s, 1, s.len)) {
		seconds = seconds * 10 + (s.ptr[0] - '0');
		if (seconds > DURATION_MAX)
			return false;
	}
	if (!fraction(&s, ret_nanos) || !str_eqz(s, "s"))
		return false;
	*ret_seconds = negative ? -seconds : seconds;
	*ret_nanos = negative ? -*ret_nanos : *ret_nanos;
	return cel_duration_in_range(*ret_seconds, *ret_nanos);
}

void cel_duration_print_json(int64_t seconds, int32_t nanos, struct buf *out)
{
	if (seconds < 0 || nanos < 0)
		buf_addc(out, '-');
	buf_addf(out, "%" PRId64, seconds < 0 ? -seconds : seconds);
	print_fraction(nanos < 0 ? -nanos : nanos, out);
	buf_addc(out, 's');
}
