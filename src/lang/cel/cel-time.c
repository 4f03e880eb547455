/* cel-time.c - timestamps (years 1 to 9999) and durations (64 bits of nanoseconds): text, arithmetic, the civil calendar.
 *
 * Pure: no clock and no zone files; zones are fixed offsets here, named ones come from the embedder (cel_program_set_zones). */
#include "base/base.h"
#include "lang/cel/cel-value.h"

enum { NANOS = 1000000000 };

static const int64_t first_second = -62135596800, last_second = 253402300799; /* 0001-01-01, 9999-12-31T23:59:59 */

bool cel_timestamp_ok(int64_t seconds)
{
	return seconds >= first_second && seconds <= last_second;
}

/* Days from 1970-01-01 of a date of the Gregorian calendar (Howard Hinnant's method: years begin in March). */
static int64_t days_of(int64_t y, int m, int d)
{
	int64_t era;
	unsigned yoe, doy;

	y -= m <= 2;
	era = (y >= 0 ? y : y - 399) / 400;
	yoe = (unsigned)(y - era * 400);
	doy = (unsigned)(153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + (unsigned)d - 1;
	return era * 146097 + (int64_t)(yoe * 365 + yoe / 4 - yoe / 100 + doy) - 719468;
}

static bool is_leap(int64_t y)
{
	return (y % 4 == 0 && y % 100) || y % 400 == 0;
}

static int days_in(int64_t y, int m)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return m == 2 && is_leap(y) ? 29 : days[m - 1];
}

void cel_date_of(int64_t seconds, struct cel_date *ret)
{
	int64_t days = seconds / 86400, rest = seconds % 86400, era;
	unsigned doe, yoe, doy, mp;

	if (rest < 0) {
		rest += 86400;
		days--;
	}
	ret->hour = (int)(rest / 3600);
	ret->minute = (int)(rest / 60 % 60);
	ret->second = (int)(rest % 60);
	ret->wday = (int)(((days + 4) % 7 + 7) % 7);
	era = (days + 719468 >= 0 ? days + 719468 : days + 719468 - 146096) / 146097;
	doe = (unsigned)(days + 719468 - era * 146097);
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	ret->day = (int)(doy - (153 * mp + 2) / 5 + 1);
	ret->month = (int)(mp < 10 ? mp + 3 : mp - 9);
	ret->year = (int64_t)yoe + era * 400 + (ret->month <= 2);
	ret->yday = (int)(days - days_of(ret->year, 1, 1));
}

/* --- timestamps --- */

static bool digits(str *s, size_t n, int *ret)
{
	*ret = 0;
	if (s->len < n)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (s->ptr[i] < '0' || s->ptr[i] > '9')
			return false;
		*ret = *ret * 10 + (s->ptr[i] - '0');
	}
	*s = str_sub(*s, n, s->len);
	return true;
}

static bool skip(str *s, char c)
{
	if (!s->len || s->ptr[0] != c)
		return false;
	*s = str_sub(*s, 1, s->len);
	return true;
}

static bool fraction(str *s, int32_t *ret_nanos)
{
	int32_t scale = NANOS / 10;
	bool any = false;

	*ret_nanos = 0;
	if (!skip(s, '.'))
		return true;
	while (s->len && s->ptr[0] >= '0' && s->ptr[0] <= '9') {
		*ret_nanos += (s->ptr[0] - '0') * scale;
		scale /= 10;
		any = true;
		*s = str_sub(*s, 1, s->len);
	}
	return any;
}

static bool offset(str *s, int *ret_seconds)
{
	int h, m;
	bool minus;

	*ret_seconds = 0;
	if (skip(s, 'Z'))
		return true;
	minus = s->len && s->ptr[0] == '-';
	if (!skip(s, minus ? '-' : '+') || !digits(s, 2, &h) || !skip(s, ':') || !digits(s, 2, &m) || h > 23 || m > 59)
		return false;
	*ret_seconds = (h * 3600 + m * 60) * (minus ? -1 : 1);
	return true;
}

static bool date(str *s, int64_t *ret_days)
{
	int y, m, d;

	if (!digits(s, 4, &y) || !skip(s, '-') || !digits(s, 2, &m) || !skip(s, '-') || !digits(s, 2, &d) || m < 1 || m > 12 || d < 1 || d > days_in(y, m))
		return false;
	*ret_days = days_of(y, m, d);
	return true;
}

static bool time_of_day(str *s, int *ret_seconds)
{
	int h, m, sec;

	if (!digits(s, 2, &h) || !skip(s, ':') || !digits(s, 2, &m) || !skip(s, ':') || !digits(s, 2, &sec) || h > 23 || m > 59 || sec > 59)
		return false;
	*ret_seconds = h * 3600 + m * 60 + sec;
	return true;
}

bool cel_timestamp_parse(str s, struct cel_value *ret)
{
	int sec, off;
	int32_t nanos;
	int64_t days, seconds;

	if (!date(&s, &days) || !skip(&s, 'T') || !time_of_day(&s, &sec) || !fraction(&s, &nanos) || !offset(&s, &off) || s.len)
		return false;
	seconds = days * 86400 + sec - off;
	*ret = (struct cel_value){ .kind = CEL_TIMESTAMP, .nanos = nanos, .i = seconds };
	return cel_timestamp_ok(seconds);
}

static void add_fraction(struct buf *out, int32_t nanos)
{
	char text[16];
	int n = 9;

	if (!nanos)
		return;
	snprintf(text, sizeof(text), "%09d", nanos);
	while (text[n - 1] == '0')
		n--;
	buf_addf(out, ".%.*s", n, text);
}

void cel_timestamp_print(struct cel_value t, struct buf *out)
{
	struct cel_date d;

	cel_date_of(t.i, &d);
	buf_addf(out, "%04d-%02d-%02dT%02d:%02d:%02d", (int)d.year, d.month, d.day, d.hour, d.minute, d.second);
	add_fraction(out, t.nanos);
	buf_addc(out, 'Z');
}

/* --- durations --- */

int64_t cel_duration_nanos(struct cel_value d)
{
	return d.i * NANOS + d.nanos;
}

struct cel_value cel_duration_of_nanos(int64_t n)
{
	return (struct cel_value){ .kind = CEL_DURATION, .i = n / NANOS, .nanos = (int32_t)(n % NANOS) };
}

static bool unit(str *s, int64_t *ret_nanos)
{
	static const struct {
		const char *name;
		int64_t nanos;
	} units[] = { { "ns", 1 },       { "us", 1000 }, { "\xc2\xb5s", 1000 }, { "\xce\xbcs", 1000 },
				  { "ms", 1000000 }, { "s", NANOS }, { "m", 60LL * NANOS }, { "h", 3600LL * NANOS } };

	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (str_has_prefix(*s, str_z(units[i].name))) {
			*s = str_sub(*s, strlen(units[i].name), s->len);
			*ret_nanos = units[i].nanos;
			return true;
		}
	return false;
}

/* One "1.5h"; digits beyond what a nanosecond can hold are cut. The sum stays negative inside, since that side reaches further.
 */
static bool part(str *s, int64_t *sum)
{
	int64_t whole = 0, nanos, add, frac = 0, scale = 1;
	bool any = false;

	for (; s->len && s->ptr[0] >= '0' && s->ptr[0] <= '9'; *s = str_sub(*s, 1, s->len), any = true)
		if (__builtin_mul_overflow(whole, 10, &whole) || __builtin_add_overflow(whole, s->ptr[0] - '0', &whole))
			return false;
	if (skip(s, '.'))
		for (; s->len && s->ptr[0] >= '0' && s->ptr[0] <= '9'; *s = str_sub(*s, 1, s->len), any = true)
			if (scale < 100000000000000) {
				frac = frac * 10 + (s->ptr[0] - '0');
				scale *= 10;
			}
	if (!any || !unit(s, &nanos) || __builtin_mul_overflow(whole, nanos, &add) || __builtin_sub_overflow(*sum, add, sum))
		return false;
	return !__builtin_sub_overflow(*sum, (int64_t)((__int128)frac * nanos / scale), sum);
}

bool cel_duration_parse(str s, struct cel_value *ret)
{
	bool minus = s.len && s.ptr[0] == '-';
	int64_t sum = 0;

	if (minus || (s.len && s.ptr[0] == '+'))
		s = str_sub(s, 1, s.len);
	if (str_eq(s, STR("0"))) {
		*ret = cel_duration_of_nanos(0);
		return true;
	}
	if (!s.len)
		return false;
	while (s.len)
		if (!part(&s, &sum))
			return false;
	if (!minus && sum == INT64_MIN)
		return false;
	*ret = cel_duration_of_nanos(minus ? sum : -sum);
	return true;
}

void cel_duration_print(struct cel_value d, struct buf *out)
{
	if (d.i < 0 || d.nanos < 0)
		buf_addc(out, '-');
	buf_addf(out, "%llu", (unsigned long long)(d.i < 0 ? 0 - (uint64_t)d.i : (uint64_t)d.i));
	add_fraction(out, abs(d.nanos));
	buf_addc(out, 's');
}

/* --- arithmetic --- */

static bool add_durations(struct cel_value a, struct cel_value b, int sign, struct cel_value *ret)
{
	int64_t x = cel_duration_nanos(a), y = cel_duration_nanos(b), sum;

	if (sign < 0 ? __builtin_sub_overflow(x, y, &sum) : __builtin_add_overflow(x, y, &sum))
		return false;
	*ret = cel_duration_of_nanos(sum);
	return true;
}

static bool difference(struct cel_value a, struct cel_value b, struct cel_value *ret)
{
	__int128 n = (__int128)(a.i - b.i) * NANOS + (a.nanos - b.nanos);

	if (n < INT64_MIN || n > INT64_MAX)
		return false;
	*ret = cel_duration_of_nanos((int64_t)n);
	return true;
}

bool cel_time_add(struct cel_value a, struct cel_value b, int sign, struct cel_value *ret)
{
	int64_t seconds, nanos;

	if (a.kind == CEL_DURATION && b.kind == CEL_DURATION)
		return add_durations(a, b, sign, ret);
	if (a.kind == CEL_TIMESTAMP && b.kind == CEL_TIMESTAMP)
		return difference(a, b, ret);
	if (a.kind == CEL_DURATION) {
		struct cel_value t = a;

		a = b;
		b = t;
	}
	seconds = a.i + sign * b.i;
	nanos = (int64_t)a.nanos + sign * (int64_t)b.nanos;
	seconds += nanos < 0 ? -1 : nanos >= NANOS;
	nanos += nanos < 0 ? NANOS : nanos >= NANOS ? -NANOS : 0;
	*ret = (struct cel_value){ .kind = CEL_TIMESTAMP, .i = seconds, .nanos = (int32_t)nanos };
	return cel_timestamp_ok(seconds);
}

bool cel_zone_fixed(str zone, int32_t *ret)
{
	bool minus = zone.len && zone.ptr[0] == '-';
	int h, m;

	*ret = 0;
	if (!zone.len || str_eq(zone, STR("UTC")) || str_eq(zone, STR("Z")))
		return true;
	if (minus || zone.ptr[0] == '+')
		zone = str_sub(zone, 1, zone.len);
	if (!digits(&zone, 2, &h) || !skip(&zone, ':') || !digits(&zone, 2, &m) || zone.len || h > 23 || m > 59)
		return false;
	*ret = (h * 3600 + m * 60) * (minus ? -1 : 1);
	return true;
}
