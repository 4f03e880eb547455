/* cel-wkt-table.c - google.protobuf's well-known types as a table, so that an embedder need not supply their descriptors.
 *
 * A descriptor set that has their files too is fine: the files are known by name and skipped. Read-only data, any thread. */
#include "base/base.h"
#include "lang/cel/cel-message-internal.h"

struct known {
	const char *name;
	enum cel_wkt wkt;
	const struct cel_type *type; /* NULL: a message for CEL */
};

struct row {
	const char *type, *field; /* field NULL: a type without fields */
	int32_t number;
	enum cel_field_kind kind;
	enum cel_shape shape;
	const char *type_name;
	int32_t oneof; /* -1: in none */
};
#define G "google.protobuf."
#define WRAPPER(name, kind)                                                                                                      \
	{                                                                                                                            \
		G name, "value", 1, kind, CEL_SINGULAR, NULL, -1                                                                         \
	}
static const struct row rows[] = {
	/* the fields of a type stand together */
	WRAPPER("BoolValue", CEL_FIELD_BOOL),
	WRAPPER("BytesValue", CEL_FIELD_BYTES),
	WRAPPER("DoubleValue", CEL_FIELD_DOUBLE),
	WRAPPER("FloatValue", CEL_FIELD_FLOAT),
	WRAPPER("Int32Value", CEL_FIELD_INT32),
	WRAPPER("Int64Value", CEL_FIELD_INT64),
	WRAPPER("StringValue", CEL_FIELD_STRING),
	WRAPPER("UInt32Value", CEL_FIELD_UINT32),
	WRAPPER("UInt64Value", CEL_FIELD_UINT64),
	{ G "Timestamp", "seconds", 1, CEL_FIELD_INT64, CEL_SINGULAR, NULL, -1 },
	{ G "Timestamp", "nanos", 2, CEL_FIELD_INT32, CEL_SINGULAR, NULL, -1 },
	{ G "Duration", "seconds", 1, CEL_FIELD_INT64, CEL_SINGULAR, NULL, -1 },
	{ G "Duration", "nanos", 2, CEL_FIELD_INT32, CEL_SINGULAR, NULL, -1 },
	{ G "Struct", "fields", 1, CEL_FIELD_MESSAGE, CEL_REPEATED, G "Struct.FieldsEntry", -1 },
	{ G "Struct.FieldsEntry", "key", 1, CEL_FIELD_STRING, CEL_SINGULAR, NULL, -1 },
	{ G "Struct.FieldsEntry", "value", 2, CEL_FIELD_MESSAGE, CEL_SINGULAR, G "Value", -1 },
	{ G "Value", "null_value", 1, CEL_FIELD_ENUM, CEL_SINGULAR, G "NullValue", 0 },
	{ G "Value", "number_value", 2, CEL_FIELD_DOUBLE, CEL_SINGULAR, NULL, 0 },
	{ G "Value", "string_value", 3, CEL_FIELD_STRING, CEL_SINGULAR, NULL, 0 },
	{ G "Value", "bool_value", 4, CEL_FIELD_BOOL, CEL_SINGULAR, NULL, 0 },
	{ G "Value", "struct_value", 5, CEL_FIELD_MESSAGE, CEL_SINGULAR, G "Struct", 0 },
	{ G "Value", "list_value", 6, CEL_FIELD_MESSAGE, CEL_SINGULAR, G "ListValue", 0 },
	{ G "ListValue", "values", 1, CEL_FIELD_MESSAGE, CEL_REPEATED, G "Value", -1 },
	{ G "Any", "type_url", 1, CEL_FIELD_STRING, CEL_SINGULAR, NULL, -1 },
	{ G "Any", "value", 2, CEL_FIELD_BYTES, CEL_SINGULAR, NULL, -1 },
	{ G "FieldMask", "paths", 1, CEL_FIELD_STRING, CEL_REPEATED, NULL, -1 },
	{ G "Empty", NULL, 0, CEL_FIELD_BOOL, CEL_SINGULAR, NULL, -1 },
};
static const char *const files[] = { "google/protobuf/any.proto",     "google/protobuf/duration.proto",
									 "google/protobuf/empty.proto",   "google/protobuf/field_mask.proto",
									 "google/protobuf/struct.proto",  "google/protobuf/timestamp.proto",
									 "google/protobuf/wrappers.proto" };

/* The types of wrappers, as the checker has them: wrapper(int) for Int32Value and Int64Value. */
static const struct cel_type *const p_bool[] = { &cel_bool }, *const p_bytes[] = { &cel_bytes },
									*const p_double[] = { &cel_double }, *const p_int[] = { &cel_int },
									*const p_string[] = { &cel_string }, *const p_uint[] = { &cel_uint },
									*const p_struct[] = { &cel_string, &cel_dyn };
#define WRAPPER_TYPE(what)                                                                                                       \
	{                                                                                                                            \
		.kind = CEL_T_WRAPPER, .name = STR("wrapper"), .params = p_##what, .n_params = 1                                         \
	}
static const struct cel_type w_bool = WRAPPER_TYPE(bool), w_bytes = WRAPPER_TYPE(bytes), w_double = WRAPPER_TYPE(double),
							 w_int = WRAPPER_TYPE(int), w_string = WRAPPER_TYPE(string), w_uint = WRAPPER_TYPE(uint),
							 struct_type = { .kind = CEL_T_MAP, .name = STR("map"), .params = p_struct, .n_params = 2 };

static const struct known known[] = {
	{ G "BoolValue", CEL_WKT_BOOL, &w_bool },
	{ G "BytesValue", CEL_WKT_BYTES, &w_bytes },
	{ G "DoubleValue", CEL_WKT_DOUBLE, &w_double },
	{ G "FloatValue", CEL_WKT_FLOAT, &w_double },
	{ G "Int32Value", CEL_WKT_INT32, &w_int },
	{ G "Int64Value", CEL_WKT_INT64, &w_int },
	{ G "StringValue", CEL_WKT_STRING, &w_string },
	{ G "UInt32Value", CEL_WKT_UINT32, &w_uint },
	{ G "UInt64Value", CEL_WKT_UINT64, &w_uint },
	{ G "Timestamp", CEL_WKT_TIMESTAMP, &cel_timestamp },
	{ G "Duration", CEL_WKT_DURATION, &cel_duration },
	{ G "Struct", CEL_WKT_STRUCT, &struct_type },
	{ G "Value", CEL_WKT_VALUE, &cel_dyn },
	{ G "ListValue", CEL_WKT_LIST, &cel_list_dyn },
	{ G "Any", CEL_WKT_ANY, &cel_any },
	{ G "FieldMask", CEL_WKT_FIELD_MASK, NULL },
	{ G "Empty", CEL_WKT_EMPTY, NULL },
};

enum cel_wkt cel_wkt_of(str full_name)
{
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (str_eqz(full_name, known[i].name))
			return known[i].wkt;
	return CEL_WKT_NONE;
}

const struct cel_type *cel_wkt_type(enum cel_wkt w)
{
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (known[i].wkt == w)
			return known[i].type;
	return NULL;
}

static str json_name(const char *name) /* only those of the table: null_value, type_url ... */
{
	static const char *const names[][2] = { { "null_value", "nullValue" },     { "number_value", "numberValue" },
											{ "string_value", "stringValue" }, { "bool_value", "boolValue" },
											{ "struct_value", "structValue" }, { "list_value", "listValue" },
											{ "type_url", "typeUrl" } };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(name, names[i][0]))
			return str_z(names[i][1]);
	return str_z(name);
}

static void fill_field(struct cel_field *f, const struct row *row)
{
	f->name = str_z(row->field);
	f->json_name = json_name(row->field);
	f->owner_name = str_z(row->type);
	f->type_name = str_z(row->type_name);
	f->number = row->number;
	f->oneof = row->oneof;
	f->kind = row->kind;
	f->shape = row->shape;
	f->packed = false;
	f->presence = row->shape == CEL_SINGULAR && (row->oneof >= 0 || row->kind == CEL_FIELD_MESSAGE);
}

static int declare_null_value(struct cel_fill *f, struct err *reterr)
{
	struct cel_enum *e = ARENA_NEW(f->arena, struct cel_enum);
	struct cel_enum_value *v = ARENA_NEW(f->arena, struct cel_enum_value);

	if (!e || !v)
		return arena_check(f->arena, "message types", reterr);
	v->name = STR("NULL_VALUE");
	*e = (struct cel_enum){ .name = STR(G "NullValue"), .values = v, .n = 1 };
	return cel_fill_enum(f, e, reterr);
}

int cel_wkt_declare(struct cel_fill *f, struct err *reterr)
{
	int r = declare_null_value(f, reterr);

	for (size_t i = 0; !r && i < ARRAY_SIZE(files); i++)
		r = cel_fill_file(f, str_z(files[i]), reterr);
	for (size_t i = 0, n; !r && i < ARRAY_SIZE(rows); i += n) {
		struct cel_message_type *t = ARENA_NEW(f->arena, struct cel_message_type);

		for (n = 1; i + n < ARRAY_SIZE(rows) && !strcmp(rows[i].type, rows[i + n].type);)
			n++;
		struct cel_field *fields = ARENA_ARRAY(f->arena, n, struct cel_field);

		if (!t || !fields)
			return arena_check(f->arena, "message types", reterr);
		t->name = str_z(rows[i].type);
		t->map_entry = !strcmp(rows[i].type, G "Struct.FieldsEntry");
		t->fields = fields;
		t->n_oneofs = !strcmp(rows[i].type, G "Value");
		for (size_t j = 0; rows[i].field && j < n; j++)
			fill_field(&fields[t->n_fields++], &rows[i + j]);
		r = cel_fill_type(f, t, reterr);
	}
	return r;
}
