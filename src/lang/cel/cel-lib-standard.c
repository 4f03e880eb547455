/* cel-lib-standard.c - the standard library: operators, conversions, text, time.
 *
 * One table; the overloads' ids are those of cel-go. A row without a function is done by the machine itself (logic, equality,
 * indexing, membership). Pure: any thread. */
#include "base/base.h"
#include "lang/cel/cel-internal.h"

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
#define CONVERT(to, from, id) { to "(" from ") -> " to, id, NULL, CEL_COST_1, NULL }
#define TIME_PART(method, id)                                                                                  \
	{ "timestamp." method "() -> int", id, NULL, CEL_COST_1, NULL },                                           \
	{ "timestamp." method "(string) -> int", id "_with_tz", NULL, CEL_COST_1, NULL }

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

	{ "size(bytes) -> int", "size_bytes", NULL, CEL_COST_1, NULL },
	{ "bytes.size() -> int", "bytes_size", NULL, CEL_COST_1, NULL },
	{ "size(list(A)) -> int", "size_list", NULL, CEL_COST_1, NULL },
	{ "list(A).size() -> int", "list_size", NULL, CEL_COST_1, NULL },
	{ "size(map(A, B)) -> int", "size_map", NULL, CEL_COST_1, NULL },
	{ "map(A, B).size() -> int", "map_size", NULL, CEL_COST_1, NULL },
	{ "size(string) -> int", "size_string", NULL, CEL_COST_1, NULL },
	{ "string.size() -> int", "string_size", NULL, CEL_COST_1, NULL },

	{ "type(A) -> type(A)", "type", NULL, CEL_COST_1, NULL },
	CONVERT("dyn", "A", "to_dyn"),
	CONVERT("bool", "bool", "bool_to_bool"),
	CONVERT("bool", "string", "string_to_bool"),
	CONVERT("bytes", "bytes", "bytes_to_bytes"),
	CONVERT("bytes", "string", "string_to_bytes"),
	CONVERT("double", "double", "double_to_double"),
	CONVERT("double", "int", "int64_to_double"),
	CONVERT("double", "string", "string_to_double"),
	CONVERT("double", "uint", "uint64_to_double"),
	CONVERT("duration", "duration", "duration_to_duration"),
	CONVERT("duration", "int", "int64_to_duration"),
	CONVERT("duration", "string", "string_to_duration"),
	CONVERT("int", "int", "int64_to_int64"),
	CONVERT("int", "double", "double_to_int64"),
	CONVERT("int", "duration", "duration_to_int64"),
	CONVERT("int", "string", "string_to_int64"),
	CONVERT("int", "timestamp", "timestamp_to_int64"),
	CONVERT("int", "uint", "uint64_to_int64"),
	CONVERT("string", "string", "string_to_string"),
	CONVERT("string", "bool", "bool_to_string"),
	CONVERT("string", "bytes", "bytes_to_string"),
	CONVERT("string", "double", "double_to_string"),
	CONVERT("string", "duration", "duration_to_string"),
	CONVERT("string", "int", "int64_to_string"),
	CONVERT("string", "timestamp", "timestamp_to_string"),
	CONVERT("string", "uint", "uint64_to_string"),
	CONVERT("timestamp", "timestamp", "timestamp_to_timestamp"),
	CONVERT("timestamp", "int", "int64_to_timestamp"),
	CONVERT("timestamp", "string", "string_to_timestamp"),
	CONVERT("uint", "uint", "uint64_to_uint64"),
	CONVERT("uint", "double", "double_to_uint64"),
	CONVERT("uint", "int", "int64_to_uint64"),
	CONVERT("uint", "string", "string_to_uint64"),

	{ "string.contains(string) -> bool", "contains_string", NULL, CEL_COST_PRODUCT, NULL },
	{ "string.endsWith(string) -> bool", "ends_with_string", NULL, CEL_COST_SCAN, NULL },
	{ "string.startsWith(string) -> bool", "starts_with_string", NULL, CEL_COST_SCAN, NULL },
	{ "matches(string, string) -> bool", "matches", NULL, CEL_COST_PRODUCT, NULL },
	{ "string.matches(string) -> bool", "matches_string", NULL, CEL_COST_PRODUCT, NULL },

	TIME_PART("getFullYear", "timestamp_to_year"),
	TIME_PART("getMonth", "timestamp_to_month"),
	TIME_PART("getDayOfYear", "timestamp_to_day_of_year"),
	TIME_PART("getDayOfMonth", "timestamp_to_day_of_month"),
	TIME_PART("getDate", "timestamp_to_day_of_month_1_based"),
	TIME_PART("getDayOfWeek", "timestamp_to_day_of_week"),
	TIME_PART("getHours", "timestamp_to_hours"),
	TIME_PART("getMinutes", "timestamp_to_minutes"),
	TIME_PART("getSeconds", "timestamp_to_seconds"),
	TIME_PART("getMilliseconds", "timestamp_to_milliseconds"),
	{ "duration.getHours() -> int", "duration_to_hours", NULL, CEL_COST_1, NULL },
	{ "duration.getMinutes() -> int", "duration_to_minutes", NULL, CEL_COST_1, NULL },
	{ "duration.getSeconds() -> int", "duration_to_seconds", NULL, CEL_COST_1, NULL },
	{ "duration.getMilliseconds() -> int", "duration_to_milliseconds", NULL, CEL_COST_1, NULL },
	{ NULL, NULL, NULL, CEL_COST_1, NULL },
};
/* clang-format on */

const struct cel_lib cel_lib_standard = { "standard", functions, cel_macros_standard, NULL };
