/* cel-shape.c - sizes of values before they are there: of literals, of attributes that the embedder knows, of what functions
 * make.
 *
 * Shapes are immutable and live in the estimate's arena. Alternatives are kept as they are and looked into on demand; the number
 * of looks is limited, past it everything is unknown. One estimate, one thread. */
#include "base/base.h"
#include "lang/cel/cel-shape.h"

enum { WORK_MAX = 2000000, PATH_MAX_BYTES = 1000, SMALL_TEXT = 64 };

static const struct shape unknown = { .size = UINT64_MAX };

const struct shape *shape_unknown(struct shaper *s)
{
	(void)s;
	return &unknown;
}

static const struct shape *keep(struct shaper *s, struct shape shape)
{
	struct shape *p = ARENA_NEW(s->arena, struct shape);

	if (!p)
		return &unknown;
	*p = shape;
	return p;
}

const struct shape *shape_sized(struct shaper *s, uint64_t size)
{
	static const struct shape none = { .size = 0 }, one = { .size = 1 };

	return size == 0 ? &none : size == 1 ? &one : size == UINT64_MAX ? &unknown : keep(s, (struct shape){ .size = size });
}

const struct shape *shape_make(struct shaper *s, uint64_t size, const struct shape *keys, const struct shape *items)
{
	return keep(s, (struct shape){ .size = size, .keys = keys ? keys : shape_sized(s, 1), .items = items });
}

const struct shape *shape_either(struct shaper *s, const struct shape *a, const struct shape *b)
{
	if (a == b)
		return a;
	return keep(s, (struct shape){ .size = a->size > b->size ? a->size : b->size, .a = a, .b = b });
}

/* --- attributes --- */

static bool has_size(const struct cel_type *t)
{
	switch (t->kind) {
	case CEL_T_NULL:
	case CEL_T_BOOL:
	case CEL_T_INT:
	case CEL_T_UINT:
	case CEL_T_DOUBLE:
	case CEL_T_TIMESTAMP:
	case CEL_T_DURATION:
	case CEL_T_TYPE:
	case CEL_T_ENUM:
	case CEL_T_MESSAGE:
	case CEL_T_OPAQUE: return false;
	case CEL_T_WRAPPER: return has_size(t->params[0]);
	default: return true;
	}
}

/* type NULL: not known. */
static const struct shape *of_path(struct shaper *s, str path, const struct cel_type *type)
{
	struct shape shape = { .path = path, .size = UINT64_MAX };

	if (!path.ptr || path.len > PATH_MAX_BYTES)
		return &unknown;
	if (type && !has_size(type))
		shape.size = 1;
	else if (s->size_of)
		shape.size = s->size_of(s->ctx, path);
	return keep(s, shape);
}

static str path_below(struct shaper *s, str path, str part)
{
	const char *z = arena_printf(s->arena, "%.*s.%.*s", STR_ARG(path), STR_ARG(part));

	return str_z(z);
}

/* --- parts --- */

static bool spend(struct shaper *s)
{
	return ++s->work <= WORK_MAX;
}

const struct shape *shape_items(struct shaper *s, const struct shape *of)
{
	if (!spend(s))
		return &unknown;
	if (of->a)
		return shape_either(s, shape_items(s, of->a), shape_items(s, of->b));
	if (of->items)
		return of->items;
	return of->path.len ? of_path(s, path_below(s, of->path, STR("@items")), NULL) : of->size == 0 ? of : &unknown;
}

const struct shape *shape_keys(struct shaper *s, const struct shape *of)
{
	if (!spend(s))
		return &unknown;
	if (of->a)
		return shape_either(s, shape_keys(s, of->a), shape_keys(s, of->b));
	if (of->keys)
		return of->keys;
	return of->path.len ? of_path(s, path_below(s, of->path, STR("@keys")), NULL) : of->size == 0 ? of : &unknown;
}

const struct shape *shape_field(struct shaper *s, const struct shape *of, str field, const struct cel_type *type)
{
	if (!spend(s))
		return &unknown;
	if (type && !has_size(type))
		return shape_sized(s, 1);
	if (of->a)
		return shape_either(s, shape_field(s, of->a, field, type), shape_field(s, of->b, field, type));
	if (of->path.len)
		return of_path(s, path_below(s, of->path, field), type);
	return of->items ? of->items : &unknown;
}

/* --- names and constants --- */

void shape_push(struct shaper *s, str name, const struct shape *shape)
{
	struct shape_local *l = ARENA_NEW(s->arena, struct shape_local);

	if (!l)
		return;
	*l = (struct shape_local){ name, shape, s->locals };
	s->locals = l;
}

const struct shape *shape_of_name(struct shaper *s, const struct cel_expr *ident)
{
	str name = ident->ident.name;

	for (const struct shape_local *l = s->locals; l; l = l->outer)
		if (str_eq(l->name, name))
			return l->shape;
	if (ident->ident.is_constant)
		return shape_sized(s, 1);
	if (name.len && name.ptr[0] == '.')
		name = str_sub(name, 1, name.len);
	return of_path(s, name, ident->type);
}

const struct shape *shape_of_constant(struct shaper *s, const struct cel_value *v)
{
	return shape_sized(s, v->kind == CEL_STRING || v->kind == CEL_BYTES ? v->len : 1);
}

/* --- calls --- */

enum rule { MADE_OF_FIRST = 1, MADE_SMALL, MADE_SUM, MADE_ITEM, MADE_PARTS, MADE_COUNT, MADE_BASE64 };
static const struct {
	const char *overload;
	enum rule rule;
} rules[] = {
	{ "string_to_string", MADE_OF_FIRST },
	{ "bytes_to_bytes", MADE_OF_FIRST },
	{ "string_to_bytes", MADE_OF_FIRST },
	{ "bytes_to_string", MADE_OF_FIRST },
	{ "to_dyn", MADE_OF_FIRST },
	{ "string_char_at_int", MADE_OF_FIRST },
	{ "string_lower_ascii", MADE_OF_FIRST },
	{ "string_upper_ascii", MADE_OF_FIRST },
	{ "string_trim", MADE_OF_FIRST },
	{ "string_substring_int", MADE_OF_FIRST },
	{ "string_substring_int_int", MADE_OF_FIRST },
	{ "string_reverse", MADE_OF_FIRST },
	{ "list_slice", MADE_OF_FIRST },
	{ "list_distinct", MADE_OF_FIRST },
	{ "list_reverse", MADE_OF_FIRST },
	{ "base64_decode_string", MADE_OF_FIRST },
	{ "optional_of", MADE_OF_FIRST },
	{ "optional_ofNonZeroValue", MADE_OF_FIRST },
	{ "optional_value", MADE_OF_FIRST },
	{ "optional_unwrap", MADE_OF_FIRST },
	{ "optional_unwrapOpt", MADE_OF_FIRST },
	{ "bool_to_string", MADE_SMALL },
	{ "double_to_string", MADE_SMALL },
	{ "duration_to_string", MADE_SMALL },
	{ "int64_to_string", MADE_SMALL },
	{ "timestamp_to_string", MADE_SMALL },
	{ "uint64_to_string", MADE_SMALL },
	{ "add_string", MADE_SUM },
	{ "add_bytes", MADE_SUM },
	{ "add_list", MADE_SUM },
	{ "index_list", MADE_ITEM },
	{ "index_map", MADE_ITEM },
	{ "optional_list_index_int", MADE_ITEM },
	{ "optional_map_index_value", MADE_ITEM },
	{ "list_optindex_optional_int", MADE_ITEM },
	{ "optional_list_optindex_optional_int", MADE_ITEM },
	{ "map_optindex_optional_value", MADE_ITEM },
	{ "optional_map_optindex_optional_value", MADE_ITEM },
	{ "select_optional_field", MADE_ITEM },
	{ "list_first", MADE_ITEM },
	{ "list_last", MADE_ITEM },
	{ "string_split_string", MADE_PARTS },
	{ "string_split_string_int", MADE_PARTS },
	{ "lists_range", MADE_COUNT },
	{ "base64_encode_bytes", MADE_BASE64 },
};

static enum rule rule_of(const struct cel_overload *o)
{
	str id = str_z(o->decl->overload);

	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		if (str_eqz(id, rules[i].overload))
			return rules[i].rule;
	/* list_int_sort, list_string_sortByAssociatedKeys */
	return str_has_suffix(id, STR("_sort")) || str_has_suffix(id, STR("_sortByAssociatedKeys")) ? MADE_OF_FIRST : 0;
}

static const struct shape *sum_of(struct shaper *s, const struct shape *a, const struct shape *b)
{
	struct shape sum = *shape_either(s, a, b);

	sum.size = shape_add(a->size, b->size);
	return keep(s, sum);
}

/* a["name"] is the attribute a.name. */
static const struct shape *item_of(struct shaper *s, const struct cel_expr *e, const struct shape *const *args, size_t n)
{
	const struct cel_expr *key = e->call.n == 2 ? e->call.args[1] : NULL;

	if (n == 2 && key && key->kind == CEL_X_CONST && key->constant.kind == CEL_STRING)
		return shape_field(s, args[0], str_n(key->constant.s, key->constant.len), e->type);
	return shape_items(s, args[0]);
}

static uint64_t range_size(const struct cel_expr *e)
{
	const struct cel_expr *n = e->call.n == 1 ? e->call.args[0] : NULL;

	return n && n->kind == CEL_X_CONST && n->constant.kind == CEL_INT ? (uint64_t)(n->constant.i > 0 ? n->constant.i : 0)
																	  : UINT64_MAX;
}

const struct shape *shape_of_call(struct shaper *s, const struct cel_expr *e, const struct cel_overload *o,
								  const struct shape *const *args, size_t n)
{
	if (!has_size(o->result))
		return shape_sized(s, 1);
	switch (n ? rule_of(o) : 0) {
	case MADE_OF_FIRST: return args[0];
	case MADE_SMALL: return shape_sized(s, SMALL_TEXT);
	case MADE_SUM: return n == 2 ? sum_of(s, args[0], args[1]) : &unknown;
	case MADE_ITEM: return item_of(s, e, args, n);
	case MADE_PARTS: return shape_make(s, shape_add(args[0]->size, 1), NULL, shape_sized(s, args[0]->size));
	case MADE_COUNT: return shape_make(s, range_size(e), NULL, shape_sized(s, 1));
	case MADE_BASE64:
		return shape_sized(s, shape_add(shape_multiply(args[0]->size == UINT64_MAX ? UINT64_MAX : args[0]->size / 3, 4), 4));
	}
	return &unknown;
}
