/* cel-std.h - the functions that the standard library's table names (cel-std.c). */
#ifndef WEIR_LANG_CEL_STD_H
#define WEIR_LANG_CEL_STD_H

#include "lang/cel/cel-lib.h"

cel_fn cel_std_size, cel_std_type, cel_std_same, cel_std_bool, cel_std_bytes, cel_std_double, cel_std_duration, cel_std_timestamp,
	cel_std_int, cel_std_uint, cel_std_string, cel_std_contains, cel_std_starts_with, cel_std_ends_with, cel_std_matches,
	cel_std_year, cel_std_month, cel_std_yday, cel_std_mday, cel_std_date, cel_std_wday, cel_std_hour, cel_std_minute,
	cel_std_second, cel_std_milli, cel_std_duration_hours, cel_std_duration_minutes, cel_std_duration_seconds,
	cel_std_duration_millis;

#endif
