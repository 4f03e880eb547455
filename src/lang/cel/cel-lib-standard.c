/* cel-lib-standard.c - the standard library: operators, conversions, text, time.
 *
 * One table; the overloads' ids are those of cel-go. A row without a function is done by the machine itself (logic, equality,
 * indexing, membership). Pure: any thread. */
#include "base/base.h"
#include "lang/cel/cel-std.h"

/* clang-format off */
#define ARITHMETIC(op, name, type, id) { "_" op "_(" type ", " type ") -> " type, name "_" id, NULL, CEL_COST_1, NULL }
#define COMPARE(op, name)                                                                                      \
	{ "_" op "_(bool, bool) -> bool", name "_bool", NULL, CEL_COST_1, NULL },                                  \
	{ "_" op "_(int, int) -> bool", name "_int64", NULL, CEL_COST_1, NULL },                                   \
	{ "_" op "_(int, double) -> bool", name "_int64_double", NULL, CEL_COST_1, NULL },                         \
	{ "_" op "_(int, uint) -> bool", name "_int64_uint64", NULL, CEL_COST_1, NULL },                           \
	{ "_" op "_(uint, uint) -> bool", name "_uint64", NULL, CEL_COST_1, NULL },                                \
	{ "_" op "_(uint, double) -> bool", name "_uint64_double", NULL, CEL_COST_1, NULL },                       \
	{ "_" op "_(uint, int) -> bool", name "_uint64_int64", NULL, CEL_COST_1, NULL },                           \
	{ "_" op "_(double, double) -> bool", name "_double", NULL, CEL_COST_1, NULL },                            \
	{ "_" op "_(double, int) -> bool", name "_double_int64", NULL, CEL_COST_1, NULL },                         \
	{ "_" op "_(double, uint) -> bool", name "_double_uint64", NULL, CEL_COST_1, NULL },                       \
	{ "_" op "_(string, string) -> bool", name "_string", NULL, CEL_COST_SCAN, NULL },                         \
	{ "_" op "_(bytes, bytes) -> bool", name "_bytes", NULL, CEL_COST_SCAN, NULL },                            \
	{ "_" op "_(timestamp, timestamp) -> bool", name "_timestamp", NULL, CEL_COST_1, NULL },                   \
	{ "_" op "_(duration, duration) -> bool", name "_duration", NULL, CEL_COST_1, NULL }
#define CONVERT(to, from, id, fn) { to "(" from ") -> " to, id, fn, CEL_COST_1, NULL }
#define TIME_PART(method, id, fn)                                                                              \
	{ "timestamp." method "() -> int", id, fn, CEL_COST_1, NULL },                                             \
	{ "timestamp." method "(string) -> int", id "_with_tz", fn, CEL_COST_1, NULL }

static const struct cel_function functions[] = {
	{ "_?_:_(bool, A, A) -> A", "conditional", NULL, CEL_COST_1, NULL },
	{ "_&&_(bool, bool) -> bool", "logical_and", NULL, CEL_COST_1, NULL },
	{ "_||_(bool, bool) -> bool", "logical_or", NULL, CEL_COST_1, NULL },
	{ "!_(bool) -> bool", "logical_not", NULL, CEL_COST_1, NULL },
	{ "@not_strictly_false(bool) -> bool", "not_strictly_false", NULL, CEL_COST_1, NULL },
	{ "_==_(A, A) -> bool", "equals", NULL, CEL_COST_SCAN, NULL },
	{ "_!=_(A, A) -> bool", "not_equals", NULL, CEL_COST_SCAN, NULL },
	{ "_[_](list(A), int) -> A", "index_list", NULL, CEL_COST_1, NULL },
	{ "_[_](map(A, B), A) -> B", "index_map", NULL, CEL_COST_1, NULL },
	{ "@in(A, list(A)) -> bool", "in_list", NULL, CEL_COST_ITEMS, NULL },
	{ "@in(A, map(A, B)) -> bool", "in_map", NULL, CEL_COST_1, NULL },

	COMPARE("<", "less"),
	COMPARE("<=", "less_equals"),
	COMPARE(">", "greater"),
	COMPARE(">=", "greater_equals"),

	{ "_+_(bytes, bytes) -> bytes", "add_bytes", NULL, CEL_COST_SCAN_ALL, NULL },
	ARITHMETIC("+", "add", "double", "double"),
	ARITHMETIC("+", "add", "duration", "duration_duration"),
	{ "_+_(duration, timestamp) -> timestamp", "add_duration_timestamp", NULL, CEL_COST_1, NULL },
	{ "_+_(timestamp, duration) -> timestamp", "add_timestamp_duration", NULL, CEL_COST_1, NULL },
	ARITHMETIC("+", "add", "int", "int64"),
	{ "_+_(list(A), list(A)) -> list(A)", "add_list", NULL, CEL_COST_1, NULL },
	{ "_+_(string, string) -> string", "add_string", NULL, CEL_COST_SCAN_ALL, NULL },
	ARITHMETIC("+", "add", "uint", "uint64"),
	ARITHMETIC("-", "subtract", "double", "double"),
	ARITHMETIC("-", "subtract", "duration", "duration_duration"),
	ARITHMETIC("-", "subtract", "int", "int64"),
	{ "_-_(timestamp, duration) -> timestamp", "subtract_timestamp_duration", NULL, CEL_COST_1, NULL },
	{ "_-_(timestamp, timestamp) -> duration", "subtract_timestamp_timestamp", NULL, CEL_COST_1, NULL },
	ARITHMETIC("-", "subtract", "uint", "uint64"),
	ARITHMETIC("*", "multiply", "double", "double"),
	ARITHMETIC("*", "multiply", "int", "int64"),
	ARITHMETIC("*", "multiply", "uint", "uint64"),
	ARITHMETIC("/", "divide", "double", "double"),
	ARITHMETIC("/", "divide", "int", "int64"),
	ARITHMETIC("/", "divide", "uint", "uint64"),
	ARITHMETIC("%", "modulo", "int", "int64"),
	ARITHMETIC("%", "modulo", "uint", "uint64"),
	{ "-_(double) -> double", "negate_double", NULL, CEL_COST_1, NULL },
	{ "-_(int) -> int", "negate_int64", NULL, CEL_COST_1, NULL },

	{ "size(bytes) -> int", "size_bytes", cel_std_size, CEL_COST_1, NULL },
	{ "bytes.size() -> int", "bytes_size", cel_std_size, CEL_COST_1, NULL },
	{ "size(list(A)) -> int", "size_list", cel_std_size, CEL_COST_1, NULL },
	{ "list(A).size() -> int", "list_size", cel_std_size, CEL_COST_1, NULL },
	{ "size(map(A, B)) -> int", "size_map", cel_std_size, CEL_COST_1, NULL },
	{ "map(A, B).size() -> int", "map_size", cel_std_size, CEL_COST_1, NULL },
	{ "size(string) -> int", "size_string", cel_std_size, CEL_COST_1, NULL },
	{ "string.size() -> int", "string_size", cel_std_size, CEL_COST_1, NULL },

	{ "type(A) -> type(A)", "type", cel_std_type, CEL_COST_1, NULL },
	CONVERT("dyn", "A", "to_dyn", cel_std_same),
	CONVERT("bool", "bool", "bool_to_bool", cel_std_same),
	CONVERT("bool", "string", "string_to_bool", cel_std_bool),
	CONVERT("bytes", "bytes", "bytes_to_bytes", cel_std_same),
	CONVERT("bytes", "string", "string_to_bytes", cel_std_bytes),
	CONVERT("double", "double", "double_to_double", cel_std_same),
	CONVERT("double", "int", "int64_to_double", cel_std_double),
	CONVERT("double", "string", "string_to_double", cel_std_double),
	CONVERT("double", "uint", "uint64_to_double", cel_std_double),
	CONVERT("duration", "duration", "duration_to_duration", cel_std_same),
	CONVERT("duration", "int", "int64_to_duration", cel_std_duration),
	CONVERT("duration", "string", "string_to_duration", cel_std_duration),
	CONVERT("int", "int", "int64_to_int64", cel_std_same),
	CONVERT("int", "double", "double_to_int64", cel_std_int),
	CONVERT("int", "duration", "duration_to_int64", cel_std_int),
	CONVERT("int", "string", "string_to_int64", cel_std_int),
	CONVERT("int", "timestamp", "timestamp_to_int64", cel_std_int),
	CONVERT("int", "uint", "uint64_to_int64", cel_std_int),
	CONVERT("string", "string", "string_to_string", cel_std_same),
	CONVERT("string", "bool", "bool_to_string", cel_std_string),
	CONVERT("string", "bytes", "bytes_to_string", cel_std_string),
	CONVERT("string", "double", "double_to_string", cel_std_string),
	CONVERT("string", "duration", "duration_to_string", cel_std_string),
	CONVERT("string", "int", "int64_to_string", cel_std_string),
	CONVERT("string", "timestamp", "timestamp_to_string", cel_std_string),
	CONVERT("string", "uint", "uint64_to_string", cel_std_string),
	CONVERT("timestamp", "timestamp", "timestamp_to_timestamp", cel_std_same),
	CONVERT("timestamp", "int", "int64_to_timestamp", cel_std_timestamp),
	CONVERT("timestamp", "string", "string_to_timestamp", cel_std_timestamp),
	CONVERT("uint", "uint", "uint64_to_uint64", cel_std_same),
	CONVERT("uint", "double", "double_to_uint64", cel_std_uint),
	CONVERT("uint", "int", "int64_to_uint64", cel_std_uint),
	CONVERT("uint", "string", "string_to_uint64", cel_std_uint),

	{ "string.contains(string) -> bool", "contains_string", cel_std_contains, CEL_COST_PRODUCT, NULL },
	{ "string.endsWith(string) -> bool", "ends_with_string", cel_std_ends_with, CEL_COST_SCAN, NULL },
	{ "string.startsWith(string) -> bool", "starts_with_string", cel_std_starts_with, CEL_COST_SCAN, NULL },
	{ "matches(string, string) -> bool", "matches", cel_std_matches, CEL_COST_PRODUCT, NULL },
	{ "string.matches(string) -> bool", "matches_string", cel_std_matches, CEL_COST_PRODUCT, NULL },

	TIME_PART("getFullYear", "timestamp_to_year", cel_std_year),
	TIME_PART("getMonth", "timestamp_to_month", cel_std_month),
	TIME_PART("getDayOfYear", "timestamp_to_day_of_year", cel_std_yday),
	TIME_PART("getDayOfMonth", "timestamp_to_day_of_month", cel_std_mday),
	TIME_PART("getDate", "timestamp_to_day_of_month_1_based", cel_std_date),
	TIME_PART("getDayOfWeek", "timestamp_to_day_of_week", cel_std_wday),
	TIME_PART("getHours", "timestamp_to_hours", cel_std_hour),
	TIME_PART("getMinutes", "timestamp_to_minutes", cel_std_minute),
	TIME_PART("getSeconds", "timestamp_to_seconds", cel_std_second),
	TIME_PART("getMilliseconds", "timestamp_to_milliseconds", cel_std_milli),
	{ "duration.getHours() -> int", "duration_to_hours", cel_std_duration_hours, CEL_COST_1, NULL },
	{ "duration.getMinutes() -> int", "duration_to_minutes", cel_std_duration_minutes, CEL_COST_1, NULL },
	{ "duration.getSeconds() -> int", "duration_to_seconds", cel_std_duration_seconds, CEL_COST_1, NULL },
	{ "duration.getMilliseconds() -> int", "duration_to_milliseconds", cel_std_duration_millis, CEL_COST_1, NULL },
	{ NULL, NULL, NULL, CEL_COST_1, NULL },
};
/* clang-format on */

const struct cel_lib cel_lib_standard = { "standard", functions, cel_macros_standard, NULL };
