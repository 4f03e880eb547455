/* clock.h - time. usec_t counts microseconds: wall time since 1970-01-01 UTC, or monotonic time since some start.
 * Rooms take a `const struct clock *`, so that tests drive them with a virtual one. */
#ifndef WEIR_BASE_CLOCK_H
#define WEIR_BASE_CLOCK_H

#include "base/base.h"
#include "base/str.h"

typedef int64_t usec_t;
#define USEC_PER_SEC  ((usec_t)1000000)
#define USEC_PER_MSEC ((usec_t)1000)

struct clock {
	usec_t (*wall)(void *ctx);
	usec_t (*mono)(void *ctx);
	void *ctx;
};
extern const struct clock clock_real;

static inline usec_t clock_wall(const struct clock *c) { return c->wall(c->ctx); }
static inline usec_t clock_mono(const struct clock *c) { return c->mono(c->ctx); }
usec_t clock_wall_now(void);
usec_t clock_mono_now(void);
void   clock_sleep_ms(int64_t ms);

enum { CLOCK_RFC3339_SIZE = sizeof("2026-01-01T00:00:00.000000Z") };
/* "2026-11-24T12:00:00.000000Z"; returns out. Years 1970 to 9999. */
char *clock_rfc3339(usec_t wall, char out[CLOCK_RFC3339_SIZE]);
bool  clock_parse_rfc3339(str s, usec_t *ret); /* any offset, 0 to 9 fraction digits (cut to microseconds) */
/* "250ms", "1.5s", "3m 20s", "2h 5m", "4d 3h": for people. Returns out. */
char *clock_human(usec_t d, char out[32]);
/* Durations in files: a number with a unit "ms", "s", "m", "h" or "d" ("90s"). False on anything else or overflow. */
bool  clock_parse_duration(str s, usec_t *ret);

#endif
