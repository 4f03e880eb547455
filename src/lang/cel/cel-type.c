/* cel-type.c - the types of CEL: their shared instances, their notation as text (both ways), equality.
 *
 * Types are immutable; those with parameters live in the caller's arena. Reading a type never recurses deeper than
 * TYPE_DEPTH_MAX. Pure: any thread. */
#include "base/base.h"
#include "lang/cel/cel-internal.h"
#include "lang/cel/cel-message.h"

enum { TYPE_DEPTH_MAX = 32, TYPE_PARAMS_MAX = 16, TYPE_TEXT_MAX = 4096 };

#define SIMPLE(id, kind_, name_) const struct cel_type id = { .kind = kind_, .name = { name_, sizeof(name_) - 1 } }
SIMPLE(cel_dyn, CEL_T_DYN, "dyn");
SIMPLE(cel_null_type, CEL_T_NULL, "null_type");
SIMPLE(cel_bool, CEL_T_BOOL, "bool");
SIMPLE(cel_int, CEL_T_INT, "int");
SIMPLE(cel_uint, CEL_T_UINT, "uint");
SIMPLE(cel_double, CEL_T_DOUBLE, "double");
SIMPLE(cel_string, CEL_T_STRING, "string");
SIMPLE(cel_bytes, CEL_T_BYTES, "bytes");
SIMPLE(cel_timestamp, CEL_T_TIMESTAMP, "google.protobuf.Timestamp");
SIMPLE(cel_duration, CEL_T_DURATION, "google.protobuf.Duration");
SIMPLE(cel_type_type, CEL_T_TYPE, "type");
SIMPLE(cel_any, CEL_T_ANY, "google.protobuf.Any");
SIMPLE(cel_error_type, CEL_T_ERROR, "!error!");
SIMPLE(enum_type, CEL_T_ENUM, "enum"); /* any strong enum, in signatures */

static const struct cel_type *const dyn_dyn[] = { &cel_dyn, &cel_dyn };
static const struct cel_type *const string_dyn[] = { &cel_string, &cel_dyn };
const struct cel_type cel_list_dyn = { CEL_T_LIST, { "list", 4 }, dyn_dyn, 1 };
const struct cel_type cel_map_dyn = { CEL_T_MAP, { "map", 3 }, dyn_dyn, 2 };
static const struct cel_type map_string_dyn = { CEL_T_MAP, { "map", 3 }, string_dyn, 2 };

#define WRAPPER(id, of)                                                                                                          \
	static const struct cel_type *const id##_of[] = { &(of) };                                                                   \
	static const struct cel_type id = { CEL_T_WRAPPER, { "wrapper", 7 }, id##_of, 1 }
WRAPPER(wrapper_bool, cel_bool);
WRAPPER(wrapper_int, cel_int);
WRAPPER(wrapper_uint, cel_uint);
WRAPPER(wrapper_double, cel_double);
WRAPPER(wrapper_string, cel_string);
WRAPPER(wrapper_bytes, cel_bytes);

static const struct {
	const char *name;
	const struct cel_type *type;
} named[] = {
	{ "dyn", &cel_dyn },
	{ "null", &cel_null_type },
	{ "null_type", &cel_null_type },
	{ "bool", &cel_bool },
	{ "int", &cel_int },
	{ "uint", &cel_uint },
	{ "double", &cel_double },
	{ "string", &cel_string },
	{ "bytes", &cel_bytes },
	{ "timestamp", &cel_timestamp },
	{ "duration", &cel_duration },
	{ "type", &cel_type_type },
	{ "any", &cel_any },
	{ "list", &cel_list_dyn },
	{ "map", &cel_map_dyn },
	{ "enum", &enum_type },
	{ "google.protobuf.Timestamp", &cel_timestamp },
	{ "google.protobuf.Duration", &cel_duration },
	{ "google.protobuf.Any", &cel_any },
	{ "google.protobuf.Value", &cel_dyn },
	{ "google.protobuf.Struct", &map_string_dyn },
	{ "google.protobuf.ListValue", &cel_list_dyn },
	{ "google.protobuf.BoolValue", &wrapper_bool },
	{ "google.protobuf.Int32Value", &wrapper_int },
	{ "google.protobuf.Int64Value", &wrapper_int },
	{ "google.protobuf.UInt32Value", &wrapper_uint },
	{ "google.protobuf.UInt64Value", &wrapper_uint },
	{ "google.protobuf.FloatValue", &wrapper_double },
	{ "google.protobuf.DoubleValue", &wrapper_double },
	{ "google.protobuf.StringValue", &wrapper_string },
	{ "google.protobuf.BytesValue", &wrapper_bytes },
};

const struct cel_type *cel_type_named(str name)
{
	for (size_t i = 0; i < ARRAY_SIZE(named); i++)
		if (str_eqz(name, named[i].name))
			return named[i].type;
	return NULL;
}

/* --- made types --- */

const struct cel_type *cel_type_make(struct arena *a, enum cel_type_kind kind, str name, const struct cel_type *const *params,
									 size_t n)
{
	struct cel_type *t = ARENA_NEW(a, struct cel_type);
	const struct cel_type **copy = n ? ARENA_ARRAY(a, n, const struct cel_type *) : NULL;

	if (!t || (n && !copy))
		return NULL;
	for (size_t i = 0; i < n; i++)
		copy[i] = params[i];
	*t = (struct cel_type){ kind, name, copy, n };
	return t;
}

const struct cel_type *cel_list_of(struct arena *a, const struct cel_type *item)
{
	return cel_type_make(a, CEL_T_LIST, STR("list"), &item, 1);
}

const struct cel_type *cel_map_of(struct arena *a, const struct cel_type *key, const struct cel_type *value)
{
	const struct cel_type *params[] = { key, value };

	return cel_type_make(a, CEL_T_MAP, STR("map"), params, 2);
}

const struct cel_type *cel_optional_of(struct arena *a, const struct cel_type *t)
{
	return cel_type_make(a, CEL_T_OPTIONAL, STR("optional_type"), &t, 1);
}

const struct cel_type *cel_type_of_type(struct arena *a, const struct cel_type *t)
{
	return cel_type_make(a, CEL_T_TYPE, STR("type"), &t, 1);
}

bool cel_type_equal(const struct cel_type *a, const struct cel_type *b)
{
	if (a == b)
		return true;
	if (a->kind != b->kind || a->n_params != b->n_params)
		return false;
	if ((a->kind == CEL_T_MESSAGE || a->kind == CEL_T_ENUM || a->kind == CEL_T_OPAQUE || a->kind == CEL_T_PARAM) &&
		!str_eq(a->name, b->name))
		return false;
	for (size_t i = 0; i < a->n_params; i++)
		if (!cel_type_equal(a->params[i], b->params[i]))
			return false;
	return true;
}

/* --- as text --- */

static const char *short_name(const struct cel_type *t)
{
	switch (t->kind) {
	case CEL_T_NULL: return "null";
	case CEL_T_TIMESTAMP: return "timestamp";
	case CEL_T_DURATION: return "duration";
	case CEL_T_ANY: return "any";
	default: return NULL;
	}
}

void cel_type_print(const struct cel_type *t, struct buf *out)
{
	const char *name = out->failed ? "" : short_name(t); /* a full buffer also ends what would print for ever */

	if (name)
		buf_addz(out, name);
	else
		buf_add_str(out, t->name);
	if (!t->n_params || out->failed)
		return;
	buf_addc(out, '(');
	for (size_t i = 0; i < t->n_params; i++) {
		if (i)
			buf_addz(out, ", ");
		cel_type_print(t->params[i], out);
	}
	buf_addc(out, ')');
}

const char *cel_type_text(struct arena *a, const struct cel_type *t)
{
	struct buf b CLEANUP_BUF = BUF_INIT(TYPE_TEXT_MAX);
	const char *z;

	cel_type_print(t, &b);
	z = arena_dup(a, b.failed ? STR("a large type") : buf_str(&b));
	return z ? z : "?";
}

/* --- from text --- */

struct reader {
	struct arena *arena;
	const struct cel_env *env;
	str text;
	size_t at;
	struct err *reterr;
};

static void skip_blanks(struct reader *r)
{
	while (r->at < r->text.len && r->text.ptr[r->at] == ' ')
		r->at++;
}

static bool take(struct reader *r, char c)
{
	skip_blanks(r);
	if (r->at >= r->text.len || r->text.ptr[r->at] != c)
		return false;
	r->at++;
	return true;
}

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
}

static str take_name(struct reader *r)
{
	size_t from;

	skip_blanks(r);
	from = r->at;
	while (r->at < r->text.len && is_name_char(r->text.ptr[r->at]))
		r->at++;
	return str_sub(r->text, from, r->at - from);
}

static bool is_param_name(str name)
{
	if (!name.len || name.ptr[0] < 'A' || name.ptr[0] > 'Z')
		return false;
	for (size_t i = 1; i < name.len; i++)
		if (name.ptr[i] < '0' || name.ptr[i] > '9')
			return false;
	return true;
}

static int bad_type(struct reader *r, str name, const char *why)
{
	return err_set(r->reterr, WEIR_EINVAL, "type '%.*s': '%.*s' %s", STR_ARG(r->text), STR_ARG(name), why);
}

/* The parameters of `name` have been read. */
static int applied_type(struct reader *r, str name, const struct cel_type *const *params, size_t n, const struct cel_type **ret)
{
	static const struct {
		const char *name;
		enum cel_type_kind kind;
		size_t n;
	} generic[] = { { "list", CEL_T_LIST, 1 },
					{ "map", CEL_T_MAP, 2 },
					{ "type", CEL_T_TYPE, 1 },
					{ "optional_type", CEL_T_OPTIONAL, 1 },
					{ "wrapper", CEL_T_WRAPPER, 1 } };

	for (size_t i = 0; i < ARRAY_SIZE(generic); i++)
		if (str_eqz(name, generic[i].name)) {
			if (n != generic[i].n)
				return bad_type(r, name, "has a wrong number of parameters");
			*ret = cel_type_make(r->arena, generic[i].kind, str_z(generic[i].name), params, n);
			return 0;
		}
	if (cel_type_named(name))
		return bad_type(r, name, "takes no parameters");
	*ret = cel_type_make(r->arena, CEL_T_OPAQUE, arena_str(r->arena, name), params, n);
	return 0;
}

static int plain_type(struct reader *r, str name, const struct cel_type **ret)
{
	*ret = cel_type_named(name);
	if (!*ret && r->env)
		*ret = cel_env_type(r->env, name);
	if (!*ret && is_param_name(name))
		*ret = cel_type_make(r->arena, CEL_T_PARAM, arena_str(r->arena, name), NULL, 0);
	if (!*ret && r->arena->failed)
		return arena_check(r->arena, "a type", r->reterr);
	return *ret ? 0 : bad_type(r, name, "is not a type");
}

static int read_type(struct reader *r, size_t depth, const struct cel_type **ret)
{
	const struct cel_type *params[TYPE_PARAMS_MAX];
	size_t n = 0;
	str name = take_name(r);
	int e;

	if (!name.len)
		return bad_type(r, str_sub(r->text, r->at, 20), "stands where a type is expected");
	if (depth > TYPE_DEPTH_MAX)
		return err_set(r->reterr, WEIR_ELIMIT, "a type is nested deeper than %d levels", TYPE_DEPTH_MAX);
	if (!take(r, '('))
		return plain_type(r, name, ret);
	do {
		if (n == TYPE_PARAMS_MAX)
			return err_set(r->reterr, WEIR_ELIMIT, "type '%.*s' has more than %d parameters", STR_ARG(name), TYPE_PARAMS_MAX);
		e = read_type(r, depth + 1, &params[n++]);
		if (e)
			return e;
	} while (take(r, ','));
	if (!take(r, ')'))
		return bad_type(r, name, "has no closing ')'");
	e = applied_type(r, name, params, n, ret);
	return e || *ret ? e : arena_check(r->arena, "a type", r->reterr);
}

int cel_type_parse(struct arena *a, const struct cel_env *env, str text, const struct cel_type **ret, struct err *reterr)
{
	struct reader r = { a, env, text, 0, reterr };
	const struct cel_type *t;
	int e;

	if (text.len > TYPE_TEXT_MAX)
		return err_set(reterr, WEIR_ELIMIT, "a type's text is longer than %d bytes", TYPE_TEXT_MAX);
	e = read_type(&r, 1, &t);
	if (e)
		return e;
	skip_blanks(&r);
	if (r.at != text.len)
		return bad_type(&r, str_sub(text, r.at, 20), "stands after the end of the type");
	*ret = t;
	return 0;
}
