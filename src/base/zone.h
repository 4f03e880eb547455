/* zone.h - named time zones from a system's zone files (TZif, RFC 8536), for code that must not read files itself.
 *
 * Files are read once, when a name is first asked for, and kept. Any thread may ask. */
#ifndef WEIR_BASE_ZONE_H
#define WEIR_BASE_ZONE_H

#include "base/base.h"
#include "base/err.h"
#include "base/str.h"

struct zones;
/* dir: "/usr/share/zoneinfo". Errors: -WEIR_ENOENT when there is no such folder, -WEIR_ENOMEM. */
MUST_CHECK int zones_open(const char *dir, struct zones **ret, struct err *reterr);
struct zones *zones_free(struct zones *z);
/* Seconds east of UTC in zone `name` ("Europe/Oslo") at a time in seconds since 1970. False: no such zone, or its file cannot
 * be understood. Its shape fits struct cel_zones (lang/cel/cel.h). */
bool zones_offset(void *zones, str name, int64_t utc, int32_t *ret_offset);

#endif
