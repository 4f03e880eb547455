/* clock.c - real clock, time formats (see clock.h). */
#include "base/base.h"
#include "base/clock.h"

static usec_t clock_read(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (usec_t)ts.tv_sec * USEC_PER_SEC + ts.tv_nsec / 1000;
}

usec_t clock_wall_now(void) { return clock_read(CLOCK_REALTIME); }
usec_t clock_mono_now(void) { return clock_read(CLOCK_MONOTONIC); }

static usec_t real_wall(void *ctx UNUSED) { return clock_wall_now(); }
static usec_t real_mono(void *ctx UNUSED) { return clock_mono_now(); }

const struct clock clock_real = { real_wall, real_mono, NULL };

void clock_sleep_ms(int64_t ms)
{
	struct timespec ts = { ms / 1000, (ms % 1000) * 1000000 };

	while (ms > 0 && clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, &ts))
		;
}

char *clock_rfc3339(usec_t wall, char out[CLOCK_RFC3339_SIZE])
{
	time_t    sec = wall / USEC_PER_SEC;
	struct tm tm;
	size_t    n;

	gmtime_r(&sec, &tm);
	n = strftime(out, CLOCK_RFC3339_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + n, CLOCK_RFC3339_SIZE - n, ".%06dZ", (int)(wall % USEC_PER_SEC));
	return out;
}

static bool digits(str *s, size_t n, int *ret)
{
	int v = 0;

	if (s->len < n)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (s->ptr[i] < '0' || s->ptr[i] > '9')
			return false;
		v = v * 10 + (s->ptr[i] - '0');
	}
	*s = str_sub(*s, n, s->len);
	*ret = v;
	return true;
}

static bool one_of(str *s, const char *set)
{
	if (!s->len || !s->ptr[0] || !strchr(set, s->ptr[0]))
		return false;
	*s = str_sub(*s, 1, s->len);
	return true;
}

static bool parse_date(str *s, struct tm *tm)
{
	return digits(s, 4, &tm->tm_year) && one_of(s, "-") && digits(s, 2, &tm->tm_mon) && one_of(s, "-") && digits(s, 2, &tm->tm_mday) &&
	       tm->tm_year >= 1970 && tm->tm_mon >= 1 && tm->tm_mon <= 12 && tm->tm_mday >= 1 && tm->tm_mday <= 31;
}

static bool parse_time(str *s, struct tm *tm)
{
	return digits(s, 2, &tm->tm_hour) && one_of(s, ":") && digits(s, 2, &tm->tm_min) && one_of(s, ":") && digits(s, 2, &tm->tm_sec) &&
	       tm->tm_hour <= 23 && tm->tm_min <= 59 && tm->tm_sec <= 60;
}

/* Nothing, or a point and 1 to 9 digits. */
static bool parse_fraction(str *s, usec_t *ret)
{
	usec_t unit = 100000;
	size_t n = 0;

	*ret = 0;
	if (!one_of(s, "."))
		return true;
	for (; s->len && s->ptr[0] >= '0' && s->ptr[0] <= '9'; n++, unit /= 10) {
		*ret += (s->ptr[0] - '0') * unit;
		*s = str_sub(*s, 1, s->len);
	}
	return n >= 1 && n <= 9;
}

/* "Z", or "+01:00" as seconds to the east. */
static bool parse_zone(str *s, int *ret)
{
	int hours = 0, minutes = 0, sign = s->len && s->ptr[0] == '-' ? -1 : 1;

	*ret = 0;
	if (one_of(s, "Zz"))
		return true;
	if (!one_of(s, "+-") || !digits(s, 2, &hours) || !one_of(s, ":") || !digits(s, 2, &minutes))
		return false;
	*ret = sign * (hours * 3600 + minutes * 60);
	return hours <= 23 && minutes <= 59;
}

bool clock_parse_rfc3339(str s, usec_t *ret)
{
	struct tm tm = { 0 };
	usec_t    us;
	int       east, mday, second;
	time_t    sec;

	if (!parse_date(&s, &tm) || !one_of(&s, "Tt ") || !parse_time(&s, &tm) || !parse_fraction(&s, &us) || !parse_zone(&s, &east) || s.len)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	mday = tm.tm_mday;
	second = tm.tm_sec;
	tm.tm_sec = 0; /* a leap second begins the next day for timegm() */
	sec = timegm(&tm) + second;
	if (tm.tm_mday != mday) /* 31 February was normalised */
		return false;
	*ret = (usec_t)(sec - east) * USEC_PER_SEC + us;
	return true;
}

char *clock_human(usec_t d, char out[32])
{
	long long ms = d / USEC_PER_MSEC, s = ms / 1000;

	if (d < 10 * USEC_PER_MSEC)
		snprintf(out, 32, "%.1fms", (double)d / 1000.0);
	else if (ms < 1000)
		snprintf(out, 32, "%lldms", ms);
	else if (s < 60)
		snprintf(out, 32, "%.1fs", (double)ms / 1000.0);
	else if (s < 3600)
		snprintf(out, 32, "%lldm %llds", s / 60, s % 60);
	else if (s < 86400)
		snprintf(out, 32, "%lldh %lldm", s / 3600, s / 60 % 60);
	else
		snprintf(out, 32, "%lldd %lldh", s / 86400, s / 3600 % 24);
	return out;
}

bool clock_parse_duration(str s, usec_t *ret)
{
	static const struct {
		const char *unit;
		double      usec;
	} units[] = { { "ms", 1e3 }, { "s", 1e6 }, { "m", 60e6 }, { "h", 3600e6 }, { "d", 86400e6 } };
	double v;

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		str u = str_z(units[i].unit);

		if (!str_has_suffix(s, u) || !str_to_double(str_sub(s, 0, s.len - u.len), &v))
			continue;
		if (v < 0 || v * units[i].usec > 9e15)
			return false;
		*ret = (usec_t)(v * units[i].usec);
		return true;
	}
	return false;
}
