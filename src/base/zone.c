/* zone.c - reads TZif files and the rule behind their last transition (see zone.h).
 *
 * Names are checked before they become a path: letters, digits and _+-/ only, no "..". At most ZONES_MAX files are kept; one
 * lock guards the table, what it holds is immutable. */
#include "base/base.h"
#include "base/zone.h"

#include "base/arena.h"
#include "base/fs.h"
#include "base/map.h"

#include <ctype.h>
#include <pthread.h>

enum { ZONES_MAX = 1000, ZONE_FILE_MAX = 1 << 20, ZONE_NAME_MAX = 64, ZONE_PATH_MAX = 4096, ZONES_MEMORY_MAX = 32 << 20 };

struct moment { /* of a year, as a rule has it: "M3.2.0/2", "J60", "59" */
	char form;  /* M, J, or 0 for a day counted from 0 */
	int month, week, day;
	int32_t seconds;
};
struct rule { /* "CET-1CEST,M3.5.0,M10.5.0/3" */
	bool known, has_summer;
	int32_t standard, summer; /* east of UTC */
	struct moment begin, end; /* of summer time, in local standard and summer time */
};
struct zone {
	size_t n;
	int64_t *times;
	int32_t *offsets; /* from times[i] on */
	int32_t first;    /* before times[0] */
	struct rule rule;
};
struct zones {
	char *dir;
	pthread_mutex_t lock;
	struct map known; /* name to struct zone; a zone without a file has n 0 and no rule */
	struct arena arena;
};

/* --- rules --- */

static bool take_char(str *s, char c)
{
	if (!s->len || s->ptr[0] != c)
		return false;
	*s = str_sub(*s, 1, s->len);
	return true;
}

static bool take_number(str *s, int max, int *ret)
{
	bool any = false;

	for (*ret = 0; s->len && isdigit((unsigned char)s->ptr[0]) && *ret <= max; *s = str_sub(*s, 1, s->len), any = true)
		*ret = *ret * 10 + (s->ptr[0] - '0');
	return any && *ret <= max;
}

/* [+-]h[h[h]][:mm[:ss]] */
static bool take_time(str *s, int32_t *ret)
{
	bool minus = take_char(s, '-');
	int h, m = 0, sec = 0;

	if (!minus)
		take_char(s, '+');
	if (!take_number(s, 167, &h) ||
		(take_char(s, ':') && (!take_number(s, 59, &m) || (take_char(s, ':') && !take_number(s, 59, &sec)))))
		return false;
	*ret = (h * 3600 + m * 60 + sec) * (minus ? -1 : 1);
	return true;
}

static bool take_name(str *s)
{
	size_t n = 0;

	if (s->len && s->ptr[0] == '<') {
		n = str_find(*s, '>') + 1;
		if (n > s->len)
			return false;
	} else {
		while (n < s->len && isalpha((unsigned char)s->ptr[n]))
			n++;
	}
	*s = str_sub(*s, n, s->len);
	return n > 0;
}

static bool take_moment(str *s, struct moment *ret)
{
	*ret = (struct moment){ .seconds = 7200 };
	if (!take_char(s, ','))
		return false;
	if (take_char(s, 'M')) {
		ret->form = 'M';
		if (!take_number(s, 12, &ret->month) || !take_char(s, '.') || !take_number(s, 5, &ret->week) || !take_char(s, '.') ||
			!take_number(s, 6, &ret->day) || !ret->month || !ret->week)
			return false;
	} else {
		ret->form = take_char(s, 'J') ? 'J' : 0;
		if (!take_number(s, 365, &ret->day))
			return false;
	}
	return !take_char(s, '/') || take_time(s, &ret->seconds);
}

static bool parse_rule(str s, struct rule *ret)
{
	int32_t west;

	*ret = (struct rule){ 0 };
	if (!take_name(&s) || !take_time(&s, &west))
		return false;
	ret->known = true;
	ret->standard = -west;
	if (!s.len)
		return true;
	ret->has_summer = true;
	ret->summer = ret->standard + 3600;
	if (!take_name(&s))
		return false;
	if (s.len && s.ptr[0] != ',') {
		if (!take_time(&s, &west))
			return false;
		ret->summer = -west;
	}
	return take_moment(&s, &ret->begin) && take_moment(&s, &ret->end) && !s.len;
}

static bool leap(int64_t y)
{
	return (y % 4 == 0 && y % 100) || y % 400 == 0;
}

static int64_t year_start(int64_t y) /* days since 1970 */
{
	int64_t p = y - 1;

	return 365 * (y - 1970) + (p / 4 - p / 100 + p / 400) - (1969 / 4 - 1969 / 100 + 1969 / 400);
}

/* Local seconds since 1970 of a moment in year y. */
static int64_t moment_in(const struct moment *m, int64_t y)
{
	static const int before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365 };
	int64_t day = year_start(y), first, length;

	if (m->form == 'J') {
		day += m->day - 1 + (leap(y) && m->day >= 60);
	} else if (!m->form) {
		day += m->day;
	} else {
		first = day + before[m->month - 1] + (leap(y) && m->month > 2);
		length = before[m->month] - before[m->month - 1] + (leap(y) && m->month == 2);
		day = first + ((m->day - (first + 4) % 7) % 7 + 7) % 7 + 7LL * (m->week - 1);
		while (day >= first + length)
			day -= 7;
	}
	return day * 86400 + m->seconds;
}

static int32_t rule_offset(const struct rule *r, int64_t utc)
{
	int64_t y = 1970 + utc / 31556952, begin, end;
	bool summer;

	if (!r->has_summer)
		return r->standard;
	while (year_start(y) * 86400 > utc + r->standard)
		y--;
	while (year_start(y + 1) * 86400 <= utc + r->standard)
		y++;
	begin = moment_in(&r->begin, y) - r->standard;
	end = moment_in(&r->end, y) - r->summer;
	summer = begin < end ? utc >= begin && utc < end : utc >= begin || utc < end;
	return summer ? r->summer : r->standard;
}

/* --- files --- */

static uint32_t be32(const char *p)
{
	const unsigned char *b = (const unsigned char *)p;

	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

struct header {
	uint32_t isut, isstd, leap, times, types, chars;
};
enum { HEADER_BYTES = 44 };

static bool read_header(str f, struct header *ret)
{
	if (f.len < HEADER_BYTES || memcmp(f.ptr, "TZif", 4) || f.ptr[4] < '2')
		return false;
	*ret = (struct header){ be32(f.ptr + 20), be32(f.ptr + 24), be32(f.ptr + 28),
							be32(f.ptr + 32), be32(f.ptr + 36), be32(f.ptr + 40) };
	return ret->times < 100000 && ret->types && ret->types <= 256 && ret->chars < 10000 && ret->leap < 10000 &&
		   ret->isut <= 256 && ret->isstd <= 256;
}

static size_t block_bytes(const struct header *h, size_t time_bytes)
{
	return h->times * (time_bytes + 1) + h->types * 6 + h->chars + h->leap * (time_bytes + 4) + h->isstd + h->isut;
}

static bool read_block(struct arena *a, str f, const struct header *h, struct zone *z)
{
	const char *times = f.ptr, *indexes = times + h->times * 8, *types = indexes + h->times;

	z->n = h->times;
	z->times = ARENA_ARRAY(a, z->n + 1, int64_t);
	z->offsets = ARENA_ARRAY(a, z->n + 1, int32_t);
	if (!z->times || !z->offsets)
		return false;
	z->first = (int32_t)be32(types);
	for (size_t i = 0; i < z->n; i++) {
		unsigned char type = (unsigned char)indexes[i];

		if (type >= h->types)
			return false;
		z->times[i] = (int64_t)((uint64_t)be32(times + 8 * i) << 32 | be32(times + 8 * i + 4));
		z->offsets[i] = (int32_t)be32(types + 6 * type);
	}
	return true;
}

static bool read_zone(struct arena *a, str f, struct zone *z)
{
	struct header h;
	size_t n;

	if (!read_header(f, &h))
		return false;
	n = HEADER_BYTES + block_bytes(&h, 4);
	if (n > f.len || !read_header(str_sub(f, n, f.len), &h))
		return false;
	f = str_sub(f, n + HEADER_BYTES, f.len);
	n = block_bytes(&h, 8);
	if (n > f.len || !read_block(a, f, &h, z))
		return false;
	f = str_trim(str_sub(f, n, f.len));
	return !f.len || parse_rule(f, &z->rule);
}

static bool name_ok(str name)
{
	if (!name.len || name.len > ZONE_NAME_MAX || name.ptr[0] == '/' || str_contains(name, STR("..")))
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (!isalnum((unsigned char)name.ptr[i]) && !strchr("_+-/", name.ptr[i]))
			return false;
	return true;
}

static struct zone *load(struct zones *zs, str name)
{
	struct zone *z = ARENA_NEW(&zs->arena, struct zone);
	char path[ZONE_PATH_MAX];
	struct buf data = BUF_INIT(ZONE_FILE_MAX);
	bool ok;

	if (!z || map_count(&zs->known) >= ZONES_MAX)
		return NULL;
	snprintf(path, sizeof(path), "%s/%.*s", zs->dir, STR_ARG(name));
	ok = fs_exists(path) && !fs_read(path, &data, NULL) && read_zone(&zs->arena, buf_str(&data), z);
	buf_fini(&data);
	if (!ok)
		*z = (struct zone){ 0 };
	return map_put(&zs->known, name, z, NULL) ? z : NULL;
}

static int32_t offset_at(const struct zone *z, int64_t utc)
{
	size_t low = 0, high = z->n;

	if (z->rule.known && (!z->n || utc >= z->times[z->n - 1]))
		return rule_offset(&z->rule, utc);
	while (low < high) {
		size_t mid = (low + high) / 2;

		if (z->times[mid] <= utc)
			low = mid + 1;
		else
			high = mid;
	}
	return low ? z->offsets[low - 1] : z->first;
}

bool zones_offset(void *zones, str name, int64_t utc, int32_t *ret_offset)
{
	struct zones *zs = zones;
	struct zone *z;

	if (!name_ok(name))
		return false;
	pthread_mutex_lock(&zs->lock);
	z = map_get(&zs->known, name);
	if (!z)
		z = load(zs, name);
	pthread_mutex_unlock(&zs->lock);
	if (!z || (!z->n && !z->rule.known))
		return false;
	*ret_offset = offset_at(z, utc);
	return true;
}

int zones_open(const char *dir, struct zones **ret, struct err *reterr)
{
	struct zones *z;

	if (!fs_exists(dir))
		return err_set(reterr, WEIR_ENOENT, "%s: no such folder; time zones come from the package tzdata", dir);
	z = calloc(1, sizeof(*z));
	if (!z || !(z->dir = str_dup(str_z(dir)))) {
		free(z);
		return err_set(reterr, WEIR_ENOMEM, "no memory for time zones");
	}
	arena_init(&z->arena, ZONES_MEMORY_MAX);
	pthread_mutex_init(&z->lock, NULL);
	*ret = z;
	return 0;
}

struct zones *zones_free(struct zones *z)
{
	if (!z)
		return NULL;
	map_fini(&z->known);
	arena_fini(&z->arena);
	pthread_mutex_destroy(&z->lock);
	free(z->dir);
	free(z);
	return NULL;
}
