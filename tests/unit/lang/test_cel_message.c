/* Messages of CEL on small descriptor sets built here byte by byte: reading of descriptors, assignment, presence, defaults,
 * equality, the wire format, JSON, Any, limits. What protoc makes of the suite's values is in test_cel_message_suite.c. */
#include "tests/lib/test.h"

#include "base/limits.h"
#include "doc/doc.h"
#include "lang/cel/cel-message-internal.h"
#include "lang/cel/cel-value.h"
#include "lang/cel/cel-wire.h"

#include <math.h>

static struct arena arena = ARENA_INIT(256 << 20);
static struct err err;

/* --- descriptors --- */

enum { OPTIONAL = 1, REQUIRED, REPEATED };
struct field {
	const char *name;
	int number, label, kind;
	const char *type, *extendee, *value; /* of messages and enums; of extensions; the default */
	int oneof;                           /* 1-based; 0: none */
	bool optional3;
};

static void put_text(struct buf *b, uint32_t number, str s)
{
	cel_wire_put_tag(b, number, CEL_WIRE_BYTES);
	cel_wire_put_bytes(b, s);
}

static void put_int(struct buf *b, uint32_t number, uint64_t u)
{
	cel_wire_put_tag(b, number, CEL_WIRE_VARINT);
	cel_wire_put_varint(b, u);
}

static void put_field(struct buf *b, uint32_t number, const struct field *f)
{
	struct buf x CLEANUP_BUF = BUF_INIT(10000);

	put_text(&x, 1, str_z(f->name));
	put_int(&x, 3, (uint64_t)f->number);
	put_int(&x, 4, (uint64_t)f->label);
	put_int(&x, 5, (uint64_t)f->kind);
	if (f->type)
		put_text(&x, 6, str_z(f->type));
	if (f->extendee)
		put_text(&x, 2, str_z(f->extendee));
	if (f->value)
		put_text(&x, 7, str_z(f->value));
	if (f->oneof)
		put_int(&x, 9, (uint64_t)f->oneof - 1);
	if (f->optional3)
		put_int(&x, 17, 1);
	put_text(b, number, buf_str(&x));
}

/* A DescriptorProto with the fields (name NULL ends them); `more` is appended. */
static void put_message(struct buf *b, uint32_t number, const char *name, const struct field *fields, str more)
{
	struct buf x CLEANUP_BUF = BUF_INIT(1 << 20);

	put_text(&x, 1, str_z(name));
	for (; fields && fields->name; fields++)
		put_field(&x, 2, fields);
	buf_add_str(&x, more);
	put_text(b, number, buf_str(&x));
}

static void put_enum(struct buf *b, uint32_t number, const char *name, const char *const *names, const int *numbers)
{
	struct buf x CLEANUP_BUF = BUF_INIT(10000);

	put_text(&x, 1, str_z(name));
	for (; *names; names++, numbers++) {
		struct buf v CLEANUP_BUF = BUF_INIT(1000);

		put_text(&v, 1, str_z(*names));
		put_int(&v, 2, (uint64_t)(int64_t)*numbers);
		put_text(&x, 2, buf_str(&v));
	}
	put_text(b, number, buf_str(&x));
}

/* Wraps the parts of a file into a set. */
static void put_file(struct buf *set, const char *name, const char *package, const char *syntax, str parts)
{
	struct buf x CLEANUP_BUF = BUF_INIT(4 << 20);

	put_text(&x, 1, str_z(name));
	put_text(&x, 2, str_z(package));
	if (syntax)
		put_text(&x, 12, str_z(syntax));
	buf_add_str(&x, parts);
	put_text(set, 1, buf_str(&x));
}

#define G ".google.protobuf."
static void put_types(struct buf *set)
{
	static const char *const colors[] = { "RED", "GREEN", "BLUE", NULL };
	static const int color_numbers[] = { 0, 1, -7 };
	static const struct field entry[] = { { "key", 1, OPTIONAL, CEL_FIELD_STRING },
										  { "value", 2, OPTIONAL, CEL_FIELD_INT32 },
										  { 0 } };
	static const struct field any_entry[] = { { "key", 1, OPTIONAL, CEL_FIELD_BOOL },
											  { "value", 2, OPTIONAL, CEL_FIELD_MESSAGE, G "Any" },
											  { 0 } };
	static const struct field three[] = { { "i32", 1, OPTIONAL, CEL_FIELD_INT32 },
										  { "u32", 2, OPTIONAL, CEL_FIELD_UINT32 },
										  { "f32", 3, OPTIONAL, CEL_FIELD_FLOAT },
										  { "text", 4, OPTIONAL, CEL_FIELD_STRING },
										  { "opt", 5, OPTIONAL, CEL_FIELD_INT32, .oneof = 2, .optional3 = true },
										  { "color", 6, OPTIONAL, CEL_FIELD_ENUM, ".t.Color" },
										  { "one_a", 7, OPTIONAL, CEL_FIELD_INT64, .oneof = 1 },
										  { "one_b", 8, OPTIONAL, CEL_FIELD_MESSAGE, ".t.Three", .oneof = 1 },
										  { "many", 9, REPEATED, CEL_FIELD_SINT32 },
										  { "names", 10, REPEATED, CEL_FIELD_MESSAGE, ".t.Three.NamesEntry" },
										  { "sub", 11, OPTIONAL, CEL_FIELD_MESSAGE, ".t.Three" },
										  { "any", 12, OPTIONAL, CEL_FIELD_MESSAGE, G "Any" },
										  { "anys", 13, REPEATED, CEL_FIELD_MESSAGE, G "Any" },
										  { "any_map", 14, REPEATED, CEL_FIELD_MESSAGE, ".t.Three.AnyMapEntry" },
										  { "wrapped", 15, OPTIONAL, CEL_FIELD_MESSAGE, G "Int32Value" },
										  { "wraps", 16, REPEATED, CEL_FIELD_MESSAGE, G "Int32Value" },
										  { "time", 17, OPTIONAL, CEL_FIELD_MESSAGE, G "Timestamp" },
										  { "span", 18, OPTIONAL, CEL_FIELD_MESSAGE, G "Duration" },
										  { "dict", 19, OPTIONAL, CEL_FIELD_MESSAGE, G "Struct" },
										  { "json", 20, OPTIONAL, CEL_FIELD_MESSAGE, G "Value" },
										  { "list", 21, OPTIONAL, CEL_FIELD_MESSAGE, G "ListValue" },
										  { "mask", 22, OPTIONAL, CEL_FIELD_MESSAGE, G "FieldMask" },
										  { "empty", 23, OPTIONAL, CEL_FIELD_MESSAGE, G "Empty" },
										  { "nothing", 24, OPTIONAL, CEL_FIELD_ENUM, G "NullValue" },
										  { "raw", 25, OPTIONAL, CEL_FIELD_BYTES },
										  { "d", 26, OPTIONAL, CEL_FIELD_DOUBLE },
										  { "i64", 27, OPTIONAL, CEL_FIELD_INT64 },
										  { "u64", 28, OPTIONAL, CEL_FIELD_UINT64 },
										  { "flag", 29, OPTIONAL, CEL_FIELD_BOOL },
										  { "subs", 30, REPEATED, CEL_FIELD_MESSAGE, ".t.Three" },
										  { "fix32", 31, OPTIONAL, CEL_FIELD_FIXED32 },
										  { "fix64", 32, OPTIONAL, CEL_FIELD_FIXED64 },
										  { "sfix32", 33, OPTIONAL, CEL_FIELD_SFIXED32 },
										  { "sfix64", 34, OPTIONAL, CEL_FIELD_SFIXED64 },
										  { "s64", 35, OPTIONAL, CEL_FIELD_SINT64 },
										  { "snake_case_name", 36, OPTIONAL, CEL_FIELD_INT32 },
										  { "colors", 37, REPEATED, CEL_FIELD_ENUM, ".t.Color" },
										  { "color_map", 38, REPEATED, CEL_FIELD_MESSAGE, ".t.Three.ColorMapEntry" },
										  { 0 } };
	static const struct field group[] = { { "id", 1, OPTIONAL, CEL_FIELD_INT32 }, { 0 } };
	static const struct field two[] = { { "num", 1, OPTIONAL, CEL_FIELD_INT32, .value = "-32" },
										{ "text", 2, OPTIONAL, CEL_FIELD_STRING, .value = "empty" },
										{ "raw", 3, OPTIONAL, CEL_FIELD_BYTES, .value = "no\\001\\n\\\\" },
										{ "d", 4, OPTIONAL, CEL_FIELD_DOUBLE, .value = "-inf" },
										{ "color", 5, OPTIONAL, CEL_FIELD_ENUM, ".t.Color", .value = "BLUE" },
										{ "flag", 6, OPTIONAL, CEL_FIELD_BOOL, .value = "true" },
										{ "big", 7, OPTIONAL, CEL_FIELD_UINT64, .value = "18446744073709551615" },
										{ "group", 8, OPTIONAL, CEL_FIELD_GROUP, ".t.Two.Group" },
										{ "groups", 9, REPEATED, CEL_FIELD_GROUP, ".t.Two.Group" },
										{ "needed", 10, REQUIRED, CEL_FIELD_INT32 },
										{ "plain_color", 11, OPTIONAL, CEL_FIELD_ENUM, ".t.Color" },
										{ 0 } };
	static const struct field ext = { "ext", 100, OPTIONAL, CEL_FIELD_INT32, NULL, ".t.Two" };
	static const struct field exts = { "exts", 101, REPEATED, CEL_FIELD_MESSAGE, ".t.Two", ".t.Two" };
	static const struct field color_entry[] = { { "key", 1, OPTIONAL, CEL_FIELD_INT32 },
												{ "value", 2, OPTIONAL, CEL_FIELD_ENUM, ".t.Color" },
												{ 0 } };
	struct buf parts CLEANUP_BUF = BUF_INIT(1 << 20), inner CLEANUP_BUF = BUF_INIT(1 << 20);

	put_message(&inner, 3, "ColorMapEntry", color_entry, STR("\x3a\x02\x38\x01"));
	put_message(&inner, 3, "NamesEntry", entry, STR("\x3a\x02\x38\x01")); /* options { map_entry: true } */
	put_message(&inner, 3, "AnyMapEntry", any_entry, STR("\x3a\x02\x38\x01"));
	put_text(&inner, 8, STR("\x0a\x03one")); /* two oneofs; the second is that of proto3's optional */
	put_text(&inner, 8, STR("\x0a\x04_opt"));
	put_message(&parts, 4, "Three", three, buf_str(&inner));
	put_enum(&parts, 5, "Color", colors, color_numbers);
	put_enum(&parts, 5, "Shade", colors, color_numbers);
	put_file(set, "three.proto", "t", "proto3", buf_str(&parts));
	buf_clear(&parts);
	buf_clear(&inner);
	put_message(&inner, 3, "Group", group, STR(""));
	put_field(&inner, 6, &exts);
	put_message(&parts, 4, "Two", two, buf_str(&inner));
	put_field(&parts, 7, &ext);
	put_file(set, "two.proto", "t", NULL, buf_str(&parts));
}

static struct cel_pool *new_pool(void)
{
	struct cel_pool *p;

	assert_ok(cel_pool_new(&arena, &p, &err), &err);
	return p;
}

static struct cel_pool *pool_of_types(void)
{
	struct buf set CLEANUP_BUF = BUF_INIT(1 << 20);
	struct cel_pool *p = new_pool();

	put_types(&set);
	assert_ok(cel_pool_add_descriptors(p, buf_str(&set), &err), &err);
	assert_ok(cel_pool_add_descriptors(p, buf_str(&set), &err), &err); /* its files are there: nothing happens */
	return p;
}

/* --- values --- */

static struct cel_pool *pool;
static const struct cel_message_type *three, *two;

static int setup(void **state)
{
	(void)state;
	pool = pool_of_types();
	three = cel_pool_message(pool, STR("t.Three"));
	two = cel_pool_message(pool, STR("t.Two"));
	return three && two ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	arena_fini(&arena);
	return 0;
}

static struct cel_value make1(const struct cel_message_type *t, const char *field, struct cel_value v)
{
	const struct cel_field *f = cel_message_field(t, str_z(field));

	assert_non_null(f);
	return cel_message_make(&arena, pool, t, &f, &v, 1);
}

static struct cel_value get(struct cel_value m, const char *field)
{
	const struct cel_field *f = cel_message_field(cel_message_type_of(m.msg), str_z(field));

	assert_int_equal(m.kind, CEL_MESSAGE);
	assert_non_null(f);
	return cel_message_get(&arena, m.msg, f);
}

static bool has(struct cel_value m, const char *field)
{
	assert_int_equal(m.kind, CEL_MESSAGE);
	return cel_message_has(m.msg, cel_message_field(cel_message_type_of(m.msg), str_z(field)));
}

static struct cel_value text(const char *z)
{
	return cel_of_str(str_z(z));
}

static void assert_error(struct cel_value v, const char *part)
{
	assert_int_equal(v.kind, CEL_ERROR);
	if (!strstr(arena_dup(&arena, v.error->msg), part))
		fail_msg("expected \"%s\" in \"%.*s\"", part, STR_ARG(v.error->msg));
}

static void assert_msg(const char *part)
{
	if (!strstr(err.msg, part))
		fail_msg("expected \"%s\" in \"%s\"", part, err.msg);
}

static struct cel_value json(const struct cel_message_type *t, const char *z)
{
	struct doc_node *n;
	struct cel_value v;

	assert_ok(doc_parse_json(&arena, "x", str_z(z), &n, &err), &err);
	assert_ok(cel_message_from_doc(&arena, pool, t, n, &v, &err), &err);
	return v;
}

static const char *to_json(struct cel_value m)
{
	struct buf out CLEANUP_BUF = BUF_INIT(1 << 20);

	assert_int_equal(m.kind, CEL_MESSAGE);
	assert_ok(cel_message_to_json(m.msg, &out, &err), &err);
	return arena_dup(&arena, buf_str(&out));
}

static struct cel_value parse(const struct cel_message_type *t, str bytes)
{
	struct cel_value v;

	assert_ok(cel_message_parse(&arena, pool, t, bytes, &v, &err), &err);
	return v;
}

static struct cel_value again(struct cel_value m)
{
	struct buf out CLEANUP_BUF = BUF_INIT(1 << 20);

	assert_ok(cel_message_serialize(m.msg, &out, &err), &err);
	return parse(cel_message_type_of(m.msg), buf_str(&out));
}

static struct cel_value list1(struct cel_value v)
{
	return cel_of_list(&arena, &v, 1);
}

/* --- tests --- */

static const char *type_text(const struct cel_message_type *t, const char *field)
{
	struct buf out CLEANUP_BUF = BUF_INIT(1000);

	cel_type_print(cel_field_type(cel_message_field(t, str_z(field))), &out);
	return arena_dup(&arena, buf_str(&out));
}

static void test_types(void **state)
{
	int32_t n;

	(void)state;
	assert_string_equal(type_text(three, "i32"), "int");
	assert_string_equal(type_text(three, "color"), "int");
	assert_string_equal(type_text(three, "fix64"), "uint");
	assert_string_equal(type_text(three, "f32"), "double");
	assert_string_equal(type_text(three, "many"), "list(int)");
	assert_string_equal(type_text(three, "names"), "map(string, int)");
	assert_string_equal(type_text(three, "any_map"), "map(bool, any)");
	assert_string_equal(type_text(three, "sub"), "t.Three");
	assert_string_equal(type_text(three, "subs"), "list(t.Three)");
	assert_string_equal(type_text(three, "wrapped"), "wrapper(int)");
	assert_string_equal(type_text(three, "wraps"), "list(wrapper(int))");
	assert_string_equal(type_text(three, "dict"), "map(string, dyn)");
	assert_string_equal(type_text(three, "json"), "dyn");
	assert_string_equal(type_text(three, "list"), "list(dyn)");
	assert_string_equal(type_text(two, "t.ext"), "int");
	assert_true(cel_message_type_type(cel_pool_message(pool, STR("google.protobuf.Timestamp"))) == &cel_timestamp);
	assert_null(cel_message_field(three, STR("t.ext"))); /* it extends Two */
	assert_null(cel_pool_extension(pool, three, STR("t.ext")));
	assert_non_null(cel_pool_extension(pool, two, STR("t.Two.exts")));
	assert_null(cel_pool_message(pool, STR("t.Three.NamesEntry")));
	assert_null(cel_pool_message(pool, STR("t.Color")));
	assert_true(cel_pool_enum(pool, STR("t.Color")));
	assert_true(cel_pool_enum_value(pool, STR("t.Color.BLUE"), &n) && n == -7);
	assert_false(cel_pool_enum_value(pool, STR("t.Color.PINK"), &n));
	assert_false(cel_pool_enum_value(pool, STR("t.BLUE"), &n));
	assert_false(cel_pool_enum_value(pool, STR("BLUE"), &n));
}

static void test_presence(void **state)
{
	struct cel_value empty = cel_message_make(&arena, pool, three, NULL, NULL, 0);
	struct cel_value one;

	(void)state;
	assert_false(has(empty, "i32"));
	assert_false(has(make1(three, "i32", cel_of_int(0)), "i32"));
	assert_true(has(make1(three, "i32", cel_of_int(5)), "i32"));
	assert_true(has(make1(three, "opt", cel_of_int(0)), "opt"));
	assert_true(has(make1(three, "one_a", cel_of_int(0)), "one_a"));
	assert_true(has(make1(three, "wrapped", cel_of_int(0)), "wrapped"));
	assert_true(has(make1(three, "sub", empty), "sub"));
	assert_false(has(make1(three, "sub", cel_of_null()), "sub"));
	assert_false(has(make1(three, "many", cel_of_list(&arena, NULL, 0)), "many"));
	assert_true(has(make1(three, "json", cel_of_null()), "json"));
	assert_true(has(make1(three, "d", cel_of_double(-0.0)), "d"));
	assert_false(has(make1(three, "d", cel_of_double(0.0)), "d"));
	assert_true(has(make1(two, "num", cel_of_int(-32)), "num"));
	assert_true(has(make1(two, "t.ext", cel_of_int(0)), "t.ext"));
	assert_true(has(again(make1(three, "opt", cel_of_int(0))), "opt"));
	/* the last of a oneof wins, in a literal and in bytes */
	const struct cel_field *f[] = { cel_message_field(three, STR("one_a")), cel_message_field(three, STR("one_b")) };
	const struct cel_value v[] = { cel_of_int(1), empty };

	one = cel_message_make(&arena, pool, three, f, v, 2);
	assert_true(has(one, "one_b") && !has(one, "one_a"));
	one = parse(three, STR("\x42\x00\x38\x05"));
	assert_true(has(one, "one_a") && !has(one, "one_b") && get(one, "one_a").i == 5);
}

static void test_defaults(void **state)
{
	struct cel_value m = cel_message_make(&arena, pool, two, NULL, NULL, 0),
					 t = cel_message_make(&arena, pool, three, NULL, NULL, 0);
	struct cel_value raw = get(m, "raw");

	(void)state;
	assert_int_equal(get(m, "num").i, -32);
	assert_true(cel_equal(get(m, "text"), text("empty")));
	assert_true(raw.kind == CEL_BYTES && str_eq(str_n(raw.s, raw.len), STR("no\x01\n\\")));
	assert_true(isinf(get(m, "d").d) && get(m, "d").d < 0);
	assert_int_equal(get(m, "color").i, -7);
	assert_true(get(m, "flag").b);
	assert_true(get(m, "big").u == UINT64_MAX);
	assert_int_equal(get(m, "plain_color").i, 0);
	assert_int_equal(get(get(m, "group"), "id").i, 0);
	assert_int_equal(get(get(get(t, "sub"), "sub"), "i32").i, 0);
	assert_int_equal(get(t, "wrapped").kind, CEL_NULL);
	assert_int_equal(get(t, "json").kind, CEL_NULL);
	assert_int_equal(get(t, "time").kind, CEL_TIMESTAMP);
	assert_int_equal(get(t, "span").kind, CEL_DURATION);
	assert_true(get(t, "dict").kind == CEL_MAP && get(t, "names").kind == CEL_MAP);
	assert_true(get(t, "list").kind == CEL_LIST && get(t, "many").kind == CEL_LIST);
	assert_error(get(t, "any"), "conversion");
}

static void test_assignment(void **state)
{
	struct cel_value keys[] = { text("a"), text("b") }, mixed[] = { cel_of_int(1), cel_of_null() }, m;

	(void)state;
	assert_error(make1(three, "i32", cel_of_int(INT64_C(1) << 31)), "range");
	assert_error(make1(three, "i32", cel_of_int(-(INT64_C(1) << 31) - 1)), "range");
	assert_error(make1(three, "u32", cel_of_uint(UINT64_C(1) << 32)), "range");
	assert_error(make1(three, "wrapped", cel_of_int(INT64_C(1) << 31)), "range");
	assert_error(make1(three, "color", cel_of_int(INT64_C(1) << 31)), "range");
	assert_int_equal(get(make1(three, "color", cel_of_int(99)), "color").i, 99);
	assert_error(make1(three, "i32", cel_of_uint(1)), "takes int, not uint");
	assert_error(make1(three, "d", cel_of_int(1)), "takes double, not int");
	assert_error(make1(three, "text", cel_of_bytes(STR("x"))), "takes string, not bytes");
	assert_error(make1(three, "flag", cel_of_null()), "takes bool, not null_type");
	assert_error(make1(three, "many", cel_of_null()), "takes a list");
	assert_error(make1(three, "names", cel_of_null()), "takes a map");
	assert_error(make1(three, "list", cel_of_null()), "takes list(dyn)");
	assert_error(make1(three, "dict", cel_of_null()), "takes map(string, dyn)");
	assert_error(make1(three, "sub", make1(two, "num", cel_of_int(1))), "takes t.Three, not t.Two");
	assert_error(make1(three, "any", (struct cel_value){ .kind = CEL_OPTIONAL }), "cannot be packed");
	assert_error(make1(three, "i32", cel_error_value(&arena, "of before")), "of before");
	assert_int_equal(get(make1(three, "nothing", cel_of_null()), "nothing").kind, CEL_INT);
	assert_true(get(make1(three, "f32", cel_of_double(1.1)), "f32").d == (double)1.1f);
	assert_true(isinf(get(make1(three, "f32", cel_of_double(1e300)), "f32").d));
	/* null is dropped from lists of wrappers and messages, and is a value in lists of Any */
	m = make1(three, "wraps", cel_of_list(&arena, mixed, 2));
	assert_int_equal(get(m, "wraps").list->n, 1);
	m = make1(three, "anys", cel_of_list(&arena, mixed, 2));
	assert_int_equal(get(m, "anys").list->n, 2);
	m = make1(three, "names", cel_of_map(&arena, keys, mixed, 1));
	assert_int_equal(cel_map_len(get(m, "names").map), 1);
	assert_error(make1(three, "names", cel_of_map(&arena, mixed, mixed, 1)), "takes string, not int");
	assert_error(make1(three, "dict", cel_of_map(&arena, mixed, mixed, 1)), "bad key type");
	/* JSON values */
	assert_true(cel_equal(get(make1(three, "json", cel_of_int(1)), "json"), cel_of_double(1)));
	assert_true(cel_equal(get(make1(three, "json", cel_of_int(INT64_MAX)), "json"), text("9223372036854775807")));
	assert_true(cel_equal(get(make1(three, "json", cel_of_uint(UINT64_MAX)), "json"), text("18446744073709551615")));
	assert_true(cel_equal(get(make1(three, "json", cel_of_bytes(STR("foo"))), "json"), text("Zm9v")));
	assert_true(
		cel_equal(get(make1(three, "json", (struct cel_value){ .kind = CEL_DURATION, .i = -1, .nanos = -500000000 }), "json"),
				  text("-1.500s")));
	assert_true(cel_equal(get(make1(three, "json", (struct cel_value){ .kind = CEL_TIMESTAMP, .nanos = 1000 }), "json"),
						  text("1970-01-01T00:00:00.000001Z")));
	m = get(make1(three, "json", make1(three, "i64", cel_of_int(3))), "json");
	assert_true(m.kind == CEL_MAP && cel_equal(*cel_map_get(m.map, text("i64")), text("3")));
	assert_error(make1(three, "json", (struct cel_value){ .kind = CEL_TYPE, .type = &cel_int }), "no JSON form");
}

static void test_well_known_literals(void **state)
{
	const struct cel_message_type *value = cel_pool_message(pool, STR("google.protobuf.Value"));
	const struct cel_message_type *time = cel_pool_message(pool, STR("google.protobuf.Timestamp"));
	const struct cel_message_type *span = cel_pool_message(pool, STR("google.protobuf.Duration"));
	const struct cel_message_type *any = cel_pool_message(pool, STR("google.protobuf.Any"));

	(void)state;
	assert_int_equal(cel_message_make(&arena, pool, value, NULL, NULL, 0).kind, CEL_NULL);
	assert_int_equal(make1(value, "null_value", cel_of_int(0)).kind, CEL_NULL);
	assert_true(cel_equal(make1(value, "string_value", text("")), text("")));
	assert_int_equal(make1(time, "seconds", cel_of_int(7)).i, 7);
	assert_error(make1(time, "seconds", cel_of_int(INT64_C(253402300800))), "range");
	assert_error(make1(time, "nanos", cel_of_int(-1)), "range");
	assert_int_equal(make1(span, "nanos", cel_of_int(-1)).nanos, -1);
	assert_error(make1(span, "seconds", cel_of_int(INT64_C(9223372037))), "range");
	const struct cel_field *parts[] = { cel_message_field(span, STR("seconds")), cel_message_field(span, STR("nanos")) };
	const struct cel_value signs[][2] = { { cel_of_int(-1), cel_of_int(1) }, { cel_of_int(1), cel_of_int(-1) } };

	for (size_t i = 0; i < 2; i++)
		assert_error(cel_message_make(&arena, pool, span, parts, signs[i], 2), "range");
	assert_error(cel_message_make(&arena, pool, any, NULL, NULL, 0), "conversion");
	assert_error(make1(any, "type_url", text("x/no.Such")), "unknown type 'no.Such'");
	assert_int_equal(make1(any, "type_url", text("x/t.Three")).kind, CEL_MESSAGE);
}

static struct cel_value any_of(const char *url, str bytes)
{
	struct buf b CLEANUP_BUF = BUF_INIT(10000), outer CLEANUP_BUF = BUF_INIT(10000);

	put_text(&b, 1, str_z(url));
	put_text(&b, 2, bytes);
	put_text(&outer, 12, buf_str(&b));
	return parse(three, buf_str(&outer));
}

static void test_any(void **state)
{
	struct cel_value a = any_of("x/t.Three", STR("\x08\x05\x10\x06")), b = any_of("x/t.Three", STR("\x10\x06\x08\x05"));
	struct cel_value broken = any_of("x/t.Three", STR("\x08")), broken2 = any_of("x/t.Three", STR("\x10"));
	struct cel_value unknown = any_of("x/no.Such", STR("ab")), nested = make1(three, "any", a), items[2] = { cel_of_int(1), a };
	struct buf out CLEANUP_BUF = BUF_INIT(10000);

	(void)state;
	assert_true(cel_equal(a, b)); /* by content, not by bytes */
	assert_false(cel_equal(a, any_of("x/t.Three", STR("\x08\x04"))));
	assert_true(cel_equal(broken, any_of("x/t.Three", STR("\x08"))));
	assert_false(cel_equal(broken, broken2));
	assert_false(cel_equal(broken, a));
	assert_true(cel_equal(unknown, any_of("x/no.Such", STR("ab"))));
	assert_false(cel_equal(unknown, any_of("x/no.Such", STR("ac"))));
	assert_true(has(unknown, "any"));
	assert_error(get(unknown, "any"), "unknown type");
	assert_error(get(broken, "any"), "malformed");
	assert_int_equal(get(get(a, "any"), "i32").i, 5);
	assert_true(cel_equal(again(a), a) && cel_equal(again(unknown), unknown) && cel_equal(again(broken), broken));
	assert_true(cel_equal(again(nested), nested));
	assert_int_equal(get(get(get(nested, "any"), "any"), "u32").u, 6);
	/* in lists and maps: what is read is the content, what is written the Any */
	a = make1(three, "anys", cel_of_list(&arena, items, 2));
	assert_true(cel_equal(get(a, "anys").list->items[0], cel_of_int(1)));
	assert_string_equal(to_json(a),
						"{\"anys\":[{\"@type\":\"type.googleapis.com/google.protobuf.Int64Value\",\"value\":\"1\"},"
						"{\"@type\":\"type.googleapis.com/t.Three\",\"any\":{\"@type\":\"x/t.Three\",\"i32\":5,\"u32\":6}}]}");
	assert_true(cel_equal(again(a), a) && cel_equal(json(three, to_json(a)), a));
	assert_err(cel_message_to_json(unknown.msg, &out, &err), WEIR_EINVAL);
	assert_msg("no JSON form");
	/* an Any in an Any */
	a = json(three, "{\"any\":{\"@type\":\"x/google.protobuf.Any\",\"value\":{\"@type\":\"x/t.Three\",\"i32\":3}}}");
	assert_int_equal(get(get(a, "any"), "i32").i, 3);
	assert_true(cel_equal(again(a), a));
	assert_string_equal(to_json(again(a)), to_json(a));
}

static void test_equality(void **state)
{
	struct cel_value nan = make1(three, "d", cel_of_double(NAN)), none = cel_message_make(&arena, pool, three, NULL, NULL, 0);

	(void)state;
	assert_false(cel_equal(nan, nan));
	assert_true(cel_equal(none, make1(three, "i32", cel_of_int(0))));
	assert_false(cel_equal(none, make1(three, "opt", cel_of_int(0))));
	assert_false(cel_equal(none, cel_message_make(&arena, pool, two, NULL, NULL, 0)));
	/* unknown fields count, their order does not; within one number it does */
	assert_true(cel_equal(parse(three, STR("\xa0\x1f\x01\xa8\x1f\x02")), parse(three, STR("\xa8\x1f\x02\xa0\x1f\x01"))));
	assert_false(cel_equal(parse(three, STR("\xa0\x1f\x01")), none));
	assert_false(cel_equal(parse(three, STR("\xa0\x1f\x01\xa0\x1f\x02")), parse(three, STR("\xa0\x1f\x02\xa0\x1f\x01"))));
	/* it is work that counts */
	const struct cel_value items[] = { cel_of_int(1), cel_of_int(2), cel_of_int(3) };
	struct cel_value many = make1(three, "many", cel_of_list(&arena, items, 3));
	uint64_t enough = 10, little = 3;

	assert_true(cel_equal_work(many, many, &enough) && enough == 5);
	assert_false(cel_equal_work(many, again(many), &little));
	assert_int_equal(little, 0);
	assert_true(cel_equal(again(parse(three, STR("\xa0\x1f\x01\xa8\x1f\x02"))), parse(three, STR("\xa0\x1f\x01\xa8\x1f\x02"))));
}

static void test_wire(void **state)
{
	struct cel_value m = parse(three, STR("\x08\x96\x01"));
	const struct cel_value *v;

	(void)state;
	assert_int_equal(get(m, "i32").i, 150);
	assert_int_equal(get(parse(three, STR("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")), "i32").i, -1);
	assert_int_equal(get(parse(three, STR("\x08\x01\x08\x02")), "i32").i, 2);            /* the last one counts */
	assert_int_equal(get(parse(three, STR("\x4a\x03\x01\x02\x03")), "many").list->n, 3); /* packed */
	m = parse(three, STR("\x48\x01\x4a\x01\x02\x48\x03"));                               /* and not, mixed */
	assert_int_equal(get(m, "many").list->items[0].i, -1);
	assert_int_equal(get(m, "many").list->items[2].i, -2);
	m = parse(three, STR("\x5a\x02\x08\x05\x5a\x02\x10\x06")); /* pieces of one message are merged */
	assert_true(get(get(m, "sub"), "i32").i == 5 && get(get(m, "sub"), "u32").u == 6);
	m = parse(three,
			  STR("\x52\x03\x0a\x01k\x52\x05\x0a\x01k\x10\x07\x52\x00")); /* the last pair of a key; key and value left out */
	v = cel_map_get(get(m, "names").map, text("k"));
	assert_true(v && v->i == 7);
	v = cel_map_get(get(m, "names").map, text(""));
	assert_true(v && v->i == 0);
	m = parse(two, STR("\x43\x08\x05\x44\x4b\x08\x01\x4c\x4b\x4c")); /* groups */
	assert_int_equal(get(get(m, "group"), "id").i, 5);
	assert_int_equal(get(m, "groups").list->n, 2);
	assert_true(cel_equal(again(m), m));
	m = parse(two, STR("\xa0\x06\x07\xaa\x06\x02\x08\x01")); /* extensions */
	assert_int_equal(get(m, "t.ext").i, 7);
	assert_int_equal(get(m, "t.Two.exts").list->n, 1);
	assert_true(cel_equal(again(m), m));
	m = parse(three, STR("\x0a\x01x")); /* a field with another wire type is an unknown one */
	assert_false(has(m, "i32"));
	assert_int_equal(m.msg->unknown.len, 3);
}

static const char *const every_json[] = {
	"{\"i32\":-5,\"u32\":4294967295,\"f32\":1.5,\"text\":\"a\\\"\xc3\xa9\",\"color\":\"BLUE\",\"oneA\":\"-9\",\"many\":[1,-2,3]}",
	"{\"opt\":0,\"names\":{\"a\":1,\"b\":0},\"sub\":{\"sub\":{}},\"wrapped\":0,\"wraps\":[0,1]}",
	"{\"time\":\"2001-02-03T04:05:06.000007Z\",\"span\":\"-3.500s\"}",
	"{\"dict\":{\"a\":[1,\"x\",null,{\"b\":true}]},\"json\":null,\"list\":[[],{}]}",
	"{\"mask\":\"a,fooBar.baz\",\"empty\":{}}",
	"{\"raw\":\"/wA=\",\"d\":-0,\"i64\":\"-9223372036854775808\",\"u64\":\"18446744073709551615\",\"flag\":true}",
	"{\"subs\":[{\"i32\":1},{}],\"fix32\":1,\"fix64\":\"2\",\"sfix32\":-3,\"sfix64\":\"-4\",\"s64\":\"-5\",\"snakeCaseName\":6}",
	"{\"anyMap\":{\"true\":{\"@type\":\"x/google.protobuf.Duration\",\"value\":\"1s\"},\"false\":{\"@type\":\"x/"
	"t.Two\",\"num\":1}}}",
	"{\"f32\":\"-Infinity\",\"d\":\"NaN\"}",
	"{\"f32\":0.1,\"color\":77,\"d\":0.1}",
	"{\"f32\":16777216,\"d\":0.30000000000000004}",
	"{\"colors\":[\"RED\",\"BLUE\",5],\"colorMap\":{\"1\":\"GREEN\",\"-2\":\"RED\"}}",
};

static void test_json(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(every_json); i++) {
		assert_string_equal(to_json(json(three, every_json[i])), every_json[i]);
		assert_string_equal(to_json(again(json(three, every_json[i]))), every_json[i]);
	}
	assert_string_equal(to_json(json(two, "{\"[t.ext]\":1,\"[t.Two.exts]\":[{\"num\":2}],\"group\":{\"id\":3}}")),
						"{\"group\":{\"id\":3},\"[t.ext]\":1,\"[t.Two.exts]\":[{\"num\":2}]}");
	/* other notations of the same */
	assert_string_equal(
		to_json(json(three, "{\"snake_case_name\":1.0,\"i64\":12,\"u32\":\"7\",\"i32\":1e2,\"raw\":\"_w\",\"color\":-7}")),
		"{\"i32\":100,\"u32\":7,\"color\":\"BLUE\",\"raw\":\"/w==\",\"i64\":\"12\",\"snakeCaseName\":1}");
	assert_string_equal(to_json(json(three, "{\"i32\":null,\"sub\":null,\"many\":null,\"names\":null,\"time\":null}")), "{}");
}

static void test_json_errors(void **state)
{
	static const char *const bad[][2] = {
		{ "{\n \"no\":1}", "2:2: t.Three has no field 'no'" },
		{ "{\"i32\":2147483648}", "1:8: field 'i32' of t.Three takes a whole number of 32 bits" },
		{ "{\"i32\":1.5}", "whole number" },
		{ "{\"i32\":\"\"}", "whole number" },
		{ "{\"u32\":-1}", "from 0 on" },
		{ "{\"u64\":18446744073709551616}", "from 0 on" },
		{ "{\"i64\":true}", "64 bits" },
		{ "{\"f32\":1e39}", "takes a number" },
		{ "{\"d\":\"inf\"}", "takes a number" },
		{ "{\"flag\":\"true\"}", "true or false" },
		{ "{\"text\":1}", "takes text" },
		{ "{\"raw\":\"?\"}", "base64" },
		{ "{\"color\":\"PINK\"}", "name of a value" },
		{ "{\"many\":1}", "a list" },
		{ "{\"many\":[null]}", "whole number" },
		{ "{\"names\":[]}", "a map" },
		{ "{\"sub\":[]}", "t.Three takes a map" },
		{ "{\"oneA\":1,\"oneB\":{}}", "oneof" },
		{ "{\"i32\":1,\"snakeCaseName\":1,\"snake_case_name\":1}", "set twice" },
		{ "{\"anyMap\":{\"yes\":{}}}", "true or false" },
		{ "{\"any\":{\"i32\":1}}", "'@type'" },
		{ "{\"any\":{\"@type\":\"x/no.Such\"}}", "not known" },
		{ "{\"any\":{\"@type\":\"x/google.protobuf.Int32Value\"}}", "'value'" },
		{ "{\"time\":\"2001-02-30T00:00:00Z\"}", "a time" },
		{ "{\"span\":\"1m\"}", "a duration" },
		{ "{\"span\":\"99999999999s\"}", "292 years" },
		{ "{\"mask\":\"a_b\"}", "lowerCamelCase" },
		{ "{\"dict\":[]}", "Struct takes a map" },
		{ "{\"list\":{}}", "ListValue takes a list" },
		{ "[]", "takes a map" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct doc_node *n;
		struct cel_value v;

		assert_ok(doc_parse_json(&arena, "x", str_z(bad[i][0]), &n, &err), &err);
		if (!cel_message_from_doc(&arena, pool, three, n, &v, &err))
			fail_msg("accepted: %s", bad[i][0]);
		assert_msg(bad[i][1]);
	}
	assert_null(strstr(err.msg, "PINK"));
}

static void test_malformed(void **state)
{
	static const str bad[] = { { "\x08", 1 },
							   { "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12 },
							   { "\x22\x05"
								 "ab",
								 4 },
							   { "\x0d\x01\x02", 3 },
							   { "\x00\x01", 2 },
							   { "\x0e\x01", 2 },
							   { "\x43\x08\x05", 3 },
							   { "\x44", 1 },
							   { "\x43\x4c", 2 },
							   { "\x22\x01\xff", 3 },
							   { "\x4a\x01\xff", 3 },
							   { "\x5a\x01\x08", 3 },
							   { "\x52\x03\x0a\x01\xff", 5 } };
	struct cel_value v;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (cel_message_parse(&arena, pool, three, bad[i], &v, &err) != -WEIR_EPARSE)
			fail_msg("bytes %zu are accepted", i);
	assert_err(cel_message_parse(&arena, pool, three, STR("\x8a\x01\x0b\x08\x80\x98\xa6\xef\x8e\xfe\xff\xff\xff\x01"), &v, &err),
			   WEIR_EINVAL);
	assert_msg("out of its range");
}

static void nest(struct buf *out, int levels)
{
	struct buf inner CLEANUP_BUF = BUF_INIT(1 << 20);

	for (int i = 1; i < levels; i++) {
		buf_clear(&inner);
		put_text(&inner, 11, buf_str(out));
		buf_clear(out);
		buf_add_str(out, buf_str(&inner));
	}
}

/* Far deeper than a stack has room for: the innermost message is written first, backwards. */
static void test_depth(void **state)
{
	enum { LEVELS = 200000 };
	struct buf groups CLEANUP_BUF = BUF_INIT(1000);
	char *bytes = malloc(LEVELS * 6), *p = bytes + LEVELS * 6;
	struct cel_value v, m = cel_message_make(&arena, pool, three, NULL, NULL, 0);

	(void)state;
	assert_non_null(bytes);
	for (int i = 0; i < LEVELS; i++) {
		struct buf head CLEANUP_BUF = BUF_INIT(16);

		cel_wire_put_tag(&head, 11, CEL_WIRE_BYTES);
		cel_wire_put_varint(&head, (uint64_t)(bytes + LEVELS * 6 - p));
		p -= head.len;
		memcpy(p, head.ptr, head.len);
	}
	assert_err(cel_message_parse(&arena, pool, three, str_n(p, (size_t)(bytes + LEVELS * 6 - p)), &v, &err), WEIR_ELIMIT);
	free(bytes);
	/* groups, which nobody knows */
	for (int i = 0; i < LIMIT_CEL_MESSAGE_DEPTH; i++)
		cel_wire_put_tag(&groups, 15, CEL_WIRE_START);
	for (int i = 0; i < LIMIT_CEL_MESSAGE_DEPTH; i++)
		cel_wire_put_tag(&groups, 15, CEL_WIRE_END);
	assert_int_equal(parse(two, buf_str(&groups)).msg->unknown.len, groups.len);
	buf_clear(&groups);
	for (int i = 0; i <= LIMIT_CEL_MESSAGE_DEPTH; i++)
		cel_wire_put_tag(&groups, 15, CEL_WIRE_START);
	for (int i = 0; i <= LIMIT_CEL_MESSAGE_DEPTH; i++)
		cel_wire_put_tag(&groups, 15, CEL_WIRE_END);
	assert_err(cel_message_parse(&arena, pool, two, buf_str(&groups), &v, &err), WEIR_EPARSE);
	/* a list of messages is no level */
	for (int i = 1; i < LIMIT_CEL_MESSAGE_DEPTH; i++)
		m = make1(three, "subs", list1(m));
	assert_true(cel_equal(again(m), m));
	assert_error(make1(three, "subs", list1(m)), "deeper than 100");
}

static void test_limits(void **state)
{
	struct buf deep CLEANUP_BUF = BUF_INIT(1 << 20), json_text CLEANUP_BUF = BUF_INIT(1 << 20), small CLEANUP_BUF = BUF_INIT(4);
	struct cel_value v, m = cel_message_make(&arena, pool, three, NULL, NULL, 0), l = cel_of_int(1);
	struct arena little CLEANUP_ARENA = ARENA_INIT(100);
	struct doc_node *n;

	(void)state;
	nest(&deep, LIMIT_CEL_MESSAGE_DEPTH);
	assert_true(cel_equal(again(parse(three, buf_str(&deep))), parse(three, buf_str(&deep))));
	nest(&deep, 2);
	assert_err(cel_message_parse(&arena, pool, three, buf_str(&deep), &v, &err), WEIR_ELIMIT);
	assert_msg("deeper than 100");
	for (int i = 1; i < LIMIT_CEL_MESSAGE_DEPTH; i++)
		m = make1(three, "sub", m);
	assert_int_equal(m.kind, CEL_MESSAGE);
	assert_error(make1(three, "sub", m), "deeper than 100");
	assert_error(make1(three, "subs", list1(m)), "deeper than 100");
	assert_error(make1(three, "any", m), "deeper than 100");
	for (int i = 0; i < LIMIT_CEL_MESSAGE_DEPTH / 2; i++)
		l = list1(l);
	assert_error(make1(three, "json", l), "deeper than 50");
	assert_error(make1(three, "any", l), "deeper than 50");
	for (int i = 0; i < 51; i++)
		buf_addc(&json_text, '[');
	for (int i = 0; i < 51; i++)
		buf_addc(&json_text, ']');
	assert_ok(doc_parse_json(&arena, "x", buf_str(&json_text), &n, &err), &err);
	assert_err(cel_message_from_doc(&arena, pool, cel_pool_message(pool, STR("google.protobuf.ListValue")), n, &v, &err),
			   WEIR_ELIMIT);
	/* memory and the size of what is written */
	assert_err(cel_message_parse(&little, pool, three, STR("\x5a\x02\x5a\x00\x5a\x02\x5a\x00\x5a\x02\x5a\x00"), &v, &err),
			   WEIR_ELIMIT);
	v = make1(three, "text", text("longer than the buffer"));
	assert_err(cel_message_serialize(v.msg, &small, &err), WEIR_ELIMIT);
	buf_clear(&small);
	assert_err(cel_message_to_json(v.msg, &small, &err), WEIR_ELIMIT);
	assert_err(cel_message_parse(&arena, pool, three, str_n(deep.ptr, LIMIT_CEL_MESSAGE_BYTES + 1), &v, &err), WEIR_ELIMIT);
	assert_err(cel_pool_add_descriptors(pool, str_n(deep.ptr, LIMIT_CEL_DESCRIPTORS_BYTES + 1), &err), WEIR_ELIMIT);
}

static int whole_pool(struct arena *a, const str *in)
{
	struct cel_pool *p;
	const struct cel_lib *lib;
	int r = cel_pool_new(a, &p, &err);

	r = r ? r : cel_pool_add_descriptors(p, *in, &err);
	return r ? r : cel_pool_strong_enums(p, &lib, &err);
}

static int read_bytes(struct arena *a, const str *in)
{
	struct cel_value v;

	return cel_message_parse(a, pool, three, *in, &v, &err);
}

static int read_json(struct arena *a, const str *in)
{
	struct cel_value v;
	struct doc_node *n;
	int r = doc_parse_json(a, "x", *in, &n, &err);

	return r ? r : cel_message_from_doc(a, pool, three, n, &v, &err);
}

static int make_all(struct arena *a, const str *in)
{
	const struct cel_field *f[] = { cel_message_field(three, STR("any")), cel_message_field(three, STR("json")),
									cel_message_field(three, STR("any_map")) };
	struct cel_value all[] = { cel_of_bytes(*in), cel_of_int(INT64_MAX), cel_of_bool(true) }, v[3], m;

	v[0] = cel_of_list(a, all, 2);
	v[1] = cel_of_list(a, all, 3);
	v[2] = cel_of_map(a, &all[2], all, 1);
	m = cel_message_make(a, pool, three, f, v, 3);
	if (a->failed)
		return err_set(&err, WEIR_ELIMIT, "failed");
	assert_int_equal(m.kind, CEL_MESSAGE);
	return 0;
}

/* Whatever the memory that is left: a clear end, or the whole thing. */
static void sweep(int (*f)(struct arena *, const str *), str in, size_t step)
{
	size_t max = 0;
	int r;

	do {
		struct arena a CLEANUP_ARENA = ARENA_INIT(max);

		r = f(&a, &in);
		if (r && r != -WEIR_ELIMIT)
			fail_msg("with %zu bytes: %s: %s", max, err_name(r), err.msg);
		max += step;
	} while (r && max < 4 << 20);
	assert_int_equal(r, 0);
}

static void test_memory(void **state)
{
	struct buf set CLEANUP_BUF = BUF_INIT(1 << 20), bytes CLEANUP_BUF = BUF_INIT(1 << 20);

	(void)state;
	put_types(&set);
	sweep(whole_pool, buf_str(&set), 96);
	for (size_t i = 0; i < ARRAY_SIZE(every_json); i++) {
		buf_clear(&bytes);
		assert_ok(cel_message_serialize(json(three, every_json[i]).msg, &bytes, &err), &err);
		sweep(read_bytes, buf_str(&bytes), 16);
		sweep(read_json, str_z(every_json[i]), 64);
	}
	sweep(read_bytes, STR("\xa0\x1f\x01\xa8\x1f\x02\x5a\x02\x08\x05\x5a\x02\x10\x06\x62\x02\x0a\x00"), 16);
	sweep(make_all, STR("bytes"), 16);
}

/* One message type M in a file of its own. */
static int add_m(struct cel_pool *p, const struct field *fields, str more)
{
	struct buf set CLEANUP_BUF = BUF_INIT(1 << 20), parts CLEANUP_BUF = BUF_INIT(1 << 20);

	put_message(&parts, 4, "M", fields, more);
	put_file(&set, "m.proto", "", "proto3", buf_str(&parts));
	return cel_pool_add_descriptors(p, buf_str(&set), &err);
}

static void test_bad_descriptors(void **state)
{
	static const struct {
		struct field f[3];
		const char *msg;
	} bad[] = {
		{ { { "a", 0, OPTIONAL, CEL_FIELD_INT32 } }, "field a of M: its number is out of range" },
		{ { { "a", 1, OPTIONAL, 19 } }, "malformed field" },
		{ { { "a", 1, 4, CEL_FIELD_INT32 } }, "malformed field" },
		{ { { "", 1, OPTIONAL, CEL_FIELD_INT32 } }, "malformed name" },
		{ { { "a\xff", 1, OPTIONAL, CEL_FIELD_INT32 } }, "malformed name" },
		{ { { "a", 1, OPTIONAL, CEL_FIELD_MESSAGE, ".no.Such" } }, "field a of M: its message type is not in the set" },
		{ { { "a", 1, OPTIONAL, CEL_FIELD_ENUM, ".no.Such" } }, "its enum is not in the set" },
		{ { { "a", 1, OPTIONAL, CEL_FIELD_INT32 }, { "b", 1, OPTIONAL, CEL_FIELD_INT32 } }, "its number is used twice" },
		{ { { "a", 1, OPTIONAL, CEL_FIELD_INT32 }, { "a", 2, OPTIONAL, CEL_FIELD_INT32 } }, "its name is used twice" },
		{ { { "a", 1, OPTIONAL, CEL_FIELD_INT32, .value = "x" } }, "its default is not of its type" },
		{ { { "a", 1, OPTIONAL, CEL_FIELD_BYTES, .value = "\\q" } }, "its default is not of its type" },
		{ { { "a", 1, OPTIONAL, CEL_FIELD_ENUM, ".google.protobuf.NullValue", .value = "X" } },
		  "its default is not of its type" },
		{ { { "a", 1, OPTIONAL, CEL_FIELD_MESSAGE, ".google.protobuf.Struct.FieldsEntry" } }, "map entries must be repeated" },
	};
	struct buf set CLEANUP_BUF = BUF_INIT(1 << 20), deep CLEANUP_BUF = BUF_INIT(1 << 20), parts CLEANUP_BUF = BUF_INIT(1 << 20);
	struct cel_pool *p = new_pool();
	static const struct field m[] = { { "a", 1, OPTIONAL, CEL_FIELD_INT32 }, { 0 } };
	static const struct field ext = { "x", 5, OPTIONAL, CEL_FIELD_INT32, NULL, ".no.Such" },
							  same = { "x", 1, OPTIONAL, CEL_FIELD_INT32, NULL, ".M" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (!add_m(p, bad[i].f, STR("")))
			fail_msg("descriptor %zu is accepted", i);
		assert_msg(bad[i].msg);
		assert_null(cel_pool_message(p, STR("M"))); /* the pool is as it was */
	}
	put_field(&deep, 6, &ext);
	assert_err(add_m(p, m, buf_str(&deep)), WEIR_EINVAL);
	assert_msg("extension M.x: the type that it extends is not in the set");
	buf_clear(&deep);
	put_field(&deep, 6, &same);
	assert_err(add_m(p, m, buf_str(&deep)), WEIR_EINVAL);
	assert_msg("its number is that of a field");
	buf_clear(&deep);
	for (int i = 0; i < LIMIT_CEL_MESSAGE_DEPTH; i++) {
		struct buf outer CLEANUP_BUF = BUF_INIT(1 << 20);

		put_message(&outer, 3, "D", NULL, buf_str(&deep));
		buf_clear(&deep);
		buf_add_str(&deep, buf_str(&outer));
	}
	assert_err(add_m(p, m, buf_str(&deep)), WEIR_ELIMIT);
	assert_err(cel_pool_add_descriptors(p, STR("\x0a\x05zz"), &err), WEIR_EPARSE);
	assert_msg("malformed set");
	assert_err(cel_pool_add_descriptors(p, STR("\x0a\x02\x0a\x05"), &err), WEIR_EPARSE);
	assert_msg("malformed file");
	assert_ok(add_m(p, m, STR("")), &err);
	put_message(&parts, 4, "M", m, STR(""));
	put_file(&set, "other.proto", "", "proto3", buf_str(&parts));
	assert_err(cel_pool_add_descriptors(p, buf_str(&set), &err), WEIR_EINVAL);
	assert_msg("M is declared twice");
	assert_non_null(cel_pool_message(p, STR("M")));
}

/* Editions: presence, packing and groups are features of file and field. */
static void test_editions(void **state)
{
	static const struct field m[] = { { "a", 1, OPTIONAL, CEL_FIELD_INT32 }, { "r", 2, REPEATED, CEL_FIELD_INT32 }, { 0 } };
	struct buf set CLEANUP_BUF = BUF_INIT(1 << 20), parts CLEANUP_BUF = BUF_INIT(1 << 20), out CLEANUP_BUF = BUF_INIT(100);
	struct cel_pool *p = new_pool();
	struct cel_value one = cel_of_int(0), v;
	const struct cel_field *f;

	(void)state;
	put_message(&parts, 4, "E", m, STR(""));
	put_file(&set, "e.proto", "", "editions", buf_str(&parts));
	buf_clear(&parts);
	put_message(&parts, 4, "I", m, STR(""));
	put_text(&parts, 8, STR("\x92\x03\x04\x08\x02\x18\x02")); /* options { features { field_presence: IMPLICIT, EXPANDED } } */
	put_file(&set, "i.proto", "", "editions", buf_str(&parts));
	assert_ok(cel_pool_add_descriptors(p, buf_str(&set), &err), &err);
	f = cel_message_field(cel_pool_message(p, STR("E")), STR("a"));
	assert_true(cel_message_has(cel_message_make(&arena, p, f->owner, &f, &one, 1).msg, f));
	f = cel_message_field(f->owner, STR("r"));
	v = list1(one);
	v = cel_message_make(&arena, p, f->owner, &f, &v, 1);
	assert_ok(cel_message_serialize(v.msg, &out, &err), &err);
	assert_true(str_eq(buf_str(&out), str_n("\x12\x01\x00", 3))); /* packed */
	buf_clear(&out);
	f = cel_message_field(cel_pool_message(p, STR("I")), STR("a"));
	assert_false(cel_message_has(cel_message_make(&arena, p, f->owner, &f, &one, 1).msg, f));
}

/* message_encoding DELIMITED makes groups of message fields, but for maps and what is in them. */
static void test_delimited(void **state)
{
	static const struct field m[] = { { "sub", 1, OPTIONAL, CEL_FIELD_MESSAGE, ".D" },
									  { "map", 2, REPEATED, CEL_FIELD_MESSAGE, ".D.MapEntry" },
									  { 0 } };
	static const struct field entry[] = { { "key", 1, OPTIONAL, CEL_FIELD_INT32 },
										  { "value", 2, OPTIONAL, CEL_FIELD_MESSAGE, ".D" },
										  { 0 } };
	struct buf set CLEANUP_BUF = BUF_INIT(1 << 20), parts CLEANUP_BUF = BUF_INIT(1 << 20), inner CLEANUP_BUF = BUF_INIT(1 << 20);
	struct cel_pool *p = new_pool();
	const struct cel_message_type *t;
	struct cel_value v;

	(void)state;
	put_message(&inner, 3, "MapEntry", entry, STR("\x3a\x02\x38\x01"));
	put_message(&parts, 4, "D", m, buf_str(&inner));
	put_text(&parts, 8, STR("\x92\x03\x02\x28\x02"));
	put_file(&set, "d.proto", "", "editions", buf_str(&parts));
	assert_ok(cel_pool_add_descriptors(p, buf_str(&set), &err), &err);
	t = cel_pool_message(p, STR("D"));
	assert_int_equal(cel_message_field(t, STR("sub"))->kind, CEL_FIELD_GROUP);
	assert_int_equal(cel_message_field(t, STR("map"))->kind, CEL_FIELD_MESSAGE);
	assert_ok(cel_message_parse(&arena, p, t, STR("\x0b\x0c\x12\x06\x08\x01\x12\x02\x0b\x0c"), &v, &err), &err);
	assert_int_equal(v.msg->n, 2);
	assert_int_equal(v.msg->unknown.len, 0);
	assert_true(has(*cel_map_get(get(v, "map").map, cel_of_int(1)), "sub"));
}

static const char *printed(struct cel_value v)
{
	struct buf out CLEANUP_BUF = BUF_INIT(1000);

	cel_print(v, &out);
	return arena_dup(&arena, buf_str(&out));
}

/* The value of `text` in an environment with the pool of strong enums. */
static struct cel_value evaluate(struct cel_pool *p, const struct cel_lib *lib, const char *expr)
{
	struct cel_env *e;
	struct cel_ast *ast;
	struct cel_program *program;
	struct cel_value v;

	assert_ok(cel_env_new(&arena, NULL, &e, &err), &err);
	cel_env_set_pool(e, p);
	assert_ok(cel_env_add_lib(e, lib, &err), &err);
	assert_ok(cel_parse(&arena, e, "x", str_z(expr), &ast, &err), &err);
	assert_ok(cel_check(&arena, e, ast, &err), &err);
	assert_ok(cel_compile(&arena, e, ast, &program, &err), &err);
	assert_ok(cel_eval(&arena, program, NULL, &v, NULL, &err), &err);
	return v;
}

static void test_strong_enums(void **state)
{
	struct cel_pool *p = pool_of_types();
	const struct cel_message_type *t = cel_pool_message(p, STR("t.Three")), *t2 = cel_pool_message(p, STR("t.Two"));
	const struct cel_field *color = cel_message_field(t, STR("color"));
	const struct cel_lib *lib;
	struct cel_value blue, odd, m;

	(void)state;
	assert_int_equal(cel_enum_of(&arena, p, STR("t.Color"), -7).kind, CEL_INT); /* not strong yet */
	assert_ok(cel_pool_strong_enums(p, &lib, &err), &err);
	blue = cel_enum_of(&arena, p, STR("t.Color"), -7);
	odd = cel_enum_of(&arena, p, STR("t.Color"), 50);
	assert_error(cel_enum_of(&arena, p, STR("t.No"), 0), "no enum 't.No'");
	assert_str(cel_type_of(blue)->name, "t.Color");
	assert_string_equal(printed(blue), "t.Color.BLUE");
	assert_string_equal(printed(odd), "t.Color(50)");
	assert_true(cel_equal(odd, cel_enum_of(&arena, p, STR("t.Color"), 50)));
	assert_false(cel_equal(odd, blue));
	assert_false(cel_equal(odd, cel_of_int(50)));
	/* what is stored stays a number */
	m = cel_message_make(&arena, p, t, &color, &blue, 1);
	assert_true(cel_equal(get(m, "color"), blue));
	assert_string_equal(to_json(m), "{\"color\":\"BLUE\"}");
	assert_true(cel_equal(get(again(m), "color"), blue));
	assert_true(cel_equal(get(cel_message_make(&arena, p, t2, NULL, NULL, 0), "color"), blue)); /* its default */
	assert_true(cel_equal(get(parse(t, STR("\x30\x32")), "color"), odd));
	assert_int_equal(get(m, "nothing").kind, CEL_INT);
	m = cel_enum_of(&arena, p, STR("t.Shade"), 1);
	assert_false(cel_equal(m, cel_enum_of(&arena, p, STR("t.Color"), 1)));
	assert_error(cel_message_make(&arena, p, t, &color, &m, 1), "takes int, not t.Shade");
	m = parse(t, STR("\xaa\x02\x02\x00\x05\xb2\x02\x04\x08\x01\x10\x01\xb2\x02\x02\x08\x02")); /* in a map, once left out */
	assert_string_equal(printed(get(m, "colors")), "[t.Color.RED, t.Color(5)]");
	assert_string_equal(to_json(m), "{\"colors\":[\"RED\",5],\"colorMap\":{\"1\":\"GREEN\",\"2\":\"RED\"}}");
	assert_true(cel_equal(again(m), m));
	assert_true(cel_equal(*cel_map_get(get(m, "color_map").map, cel_of_int(2)), cel_enum_of(&arena, p, STR("t.Color"), 0)));
	/* in expressions */
	assert_true(evaluate(p, lib, "t.Color.BLUE == t.Color(-7) && t.Color('RED') == t.Three{}.color").b);
	assert_true(evaluate(p, lib, "int(t.Color.BLUE) == -7 && int(3) == 3 && t.Color.RED != 0").b);
	assert_true(evaluate(p, lib, "t.Three{color: t.Color.BLUE} == t.Three{color: t.Color(-7)}").b);
	assert_error(evaluate(p, lib, "t.Color(2147483648)"), "range error");
	assert_error(evaluate(p, lib, "t.Color('PINK')"), "invalid value");
	assert_error(evaluate(p, lib, "t.Color.BLUE + 1"), "no such overload");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_presence),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_assignment),
		cmocka_unit_test(test_well_known_literals),
		cmocka_unit_test(test_any),
		cmocka_unit_test(test_equality),
		cmocka_unit_test(test_wire),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_json_errors),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_bad_descriptors),
		cmocka_unit_test(test_editions),
		cmocka_unit_test(test_delimited),
		cmocka_unit_test(test_strong_enums),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
