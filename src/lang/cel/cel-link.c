/* cel-link.c - links the types of a descriptor set: names become pointers, fields get their types and defaults.
 *
 * All is done on copies of the pool's arrays; the pool changes in the last line or not at all. */
#include "base/base.h"
#include "lang/cel/cel-message-internal.h"

#include "lang/cel/cel-wire.h"

static int no_room(struct cel_fill *f, struct err *reterr)
{
	return arena_check(f->arena, "message types", reterr);
}

/* The sorted union of what the pool has and what is new. */
static void *merged(struct cel_fill *f, const void *old, size_t n_old, const void *added, size_t n_added, size_t size,
					int (*cmp)(const void *, const void *))
{
	char *all = arena_array(f->arena, n_old + n_added, size);

	if (!all)
		return NULL;
	if (n_old)
		memcpy(all, old, n_old * size);
	if (n_added)
		memcpy(all + n_old * size, added, n_added * size);
	cel_sort(all, n_old + n_added, size, cmp);
	return all;
}

static int twice(str name, struct err *reterr)
{
	return err_set(reterr, WEIR_EINVAL, "descriptors: %.*s is declared twice", STR_ARG(name));
}

static int merge(struct cel_fill *f, struct cel_pool *next, struct err *reterr)
{
	const struct cel_pool *p = f->pool;

	next->files = merged(f, p->files, p->n_files, f->files, f->n_files, sizeof(str), cel_by_str);
	next->types = merged(f, p->types, p->n_types, f->types, f->n_types, sizeof(*p->types), cel_by_type_name);
	next->enums = merged(f, p->enums, p->n_enums, f->enums, f->n_enums, sizeof(*p->enums), cel_by_enum_name);
	next->extensions =
		merged(f, p->extensions, p->n_extensions, f->extensions, f->n_extensions, sizeof(*p->extensions), cel_by_owner);
	next->extensions_by_name =
		merged(f, p->extensions, p->n_extensions, f->extensions, f->n_extensions, sizeof(*p->extensions), cel_by_field_name);
	next->n_files += f->n_files;
	next->n_types += f->n_types;
	next->n_enums += f->n_enums;
	next->n_extensions += f->n_extensions;
	if (f->arena->failed)
		return no_room(f, reterr);
	for (size_t i = 1; i < next->n_types; i++)
		if (str_eq(next->types[i - 1]->name, next->types[i]->name))
			return twice(next->types[i]->name, reterr);
	for (size_t i = 1; i < next->n_enums; i++)
		if (str_eq(next->enums[i - 1]->name, next->enums[i]->name))
			return twice(next->enums[i]->name, reterr);
	for (size_t i = 1; i < next->n_extensions; i++) {
		if (str_eq(next->extensions_by_name[i - 1]->name, next->extensions_by_name[i]->name))
			return twice(next->extensions_by_name[i]->name, reterr);
		if (!cel_by_owner(&next->extensions[i - 1], &next->extensions[i]))
			return err_set(reterr, WEIR_EINVAL, "descriptors: %.*s and %.*s extend %.*s with the same number",
						   STR_ARG(next->extensions[i - 1]->name), STR_ARG(next->extensions[i]->name),
						   STR_ARG(next->extensions[i]->owner_name));
	}
	return 0;
}

/* --- linking --- */

static int field_error(const struct cel_field *f, struct err *reterr, const char *what)
{
	if (f->extension)
		return err_set(reterr, WEIR_EINVAL, "descriptors: extension %.*s: %s", STR_ARG(f->name), what);
	return err_set(reterr, WEIR_EINVAL, "descriptors: field %.*s of %.*s: %s", STR_ARG(f->name), STR_ARG(f->owner_name), what);
}

static int resolve_field(const struct cel_pool *p, struct cel_field *f, struct err *reterr)
{
	if (f->number < 1 || f->number > CEL_NUMBER_MAX)
		return field_error(f, reterr, "its number is out of range");
	if (f->kind == CEL_FIELD_MESSAGE || f->kind == CEL_FIELD_GROUP) {
		f->msg = cel_pool_any_message(p, f->type_name);
		if (!f->msg)
			return field_error(f, reterr, "its message type is not in the set");
		if (f->msg->map_entry && f->shape != CEL_REPEATED)
			return field_error(f, reterr, "map entries must be repeated");
		if (f->msg->map_entry)
			f->shape = CEL_MAPPED, f->kind = CEL_FIELD_MESSAGE;
	} else if (f->kind == CEL_FIELD_ENUM) {
		f->en = cel_pool_enum_type(p, f->type_name);
		if (!f->en)
			return field_error(f, reterr, "its enum is not in the set");
	}
	return 0;
}

static const struct cel_field **sorted_fields(struct arena *a, struct cel_message_type *t, int (*cmp)(const void *, const void *))
{
	const struct cel_field **all = ARENA_ARRAY(a, t->n_fields, const struct cel_field *);

	for (size_t i = 0; all && i < t->n_fields; i++)
		all[i] = &t->fields[i];
	if (all)
		cel_sort(all, t->n_fields, sizeof(*all), cmp);
	return all;
}

static int resolve_type(struct cel_fill *fill, const struct cel_pool *p, struct cel_message_type *t, struct err *reterr)
{
	cel_sort(t->fields, t->n_fields, sizeof(*t->fields), cel_by_number);
	t->by_name = sorted_fields(fill->arena, t, cel_by_field_name);
	t->by_json = sorted_fields(fill->arena, t, cel_by_json_name);
	if (fill->arena->failed)
		return no_room(fill, reterr);
	for (size_t i = 0; i < t->n_fields; i++) {
		t->fields[i].owner = t;
		int r = resolve_field(p, &t->fields[i], reterr);

		if (r)
			return r;
		if (i && t->fields[i - 1].number == t->fields[i].number)
			return field_error(&t->fields[i], reterr, "its number is used twice");
		if (i && str_eq(t->by_name[i - 1]->name, t->by_name[i]->name))
			return field_error(t->by_name[i], reterr, "its name is used twice");
	}
	return 0;
}

static bool is_map_key(enum cel_field_kind k)
{
	return k != CEL_FIELD_DOUBLE && k != CEL_FIELD_FLOAT && k != CEL_FIELD_BYTES && k != CEL_FIELD_ENUM &&
		   k != CEL_FIELD_MESSAGE && k != CEL_FIELD_GROUP;
}

static bool is_entry(const struct cel_message_type *t)
{
	return t->n_fields == 2 && t->fields[0].number == 1 && t->fields[1].number == 2 && t->fields[0].shape == CEL_SINGULAR &&
		   t->fields[1].shape == CEL_SINGULAR && is_map_key(t->fields[0].kind);
}

static const struct cel_type *item_type(const struct cel_field *f)
{
	switch (f->kind) {
	case CEL_FIELD_DOUBLE:
	case CEL_FIELD_FLOAT: return &cel_double;
	case CEL_FIELD_UINT64:
	case CEL_FIELD_UINT32:
	case CEL_FIELD_FIXED64:
	case CEL_FIELD_FIXED32: return &cel_uint;
	case CEL_FIELD_INT64:
	case CEL_FIELD_INT32:
	case CEL_FIELD_SFIXED32:
	case CEL_FIELD_SFIXED64:
	case CEL_FIELD_SINT32:
	case CEL_FIELD_SINT64:
	case CEL_FIELD_ENUM: return &cel_int;
	case CEL_FIELD_BOOL: return &cel_bool;
	case CEL_FIELD_STRING: return &cel_string;
	case CEL_FIELD_BYTES: return &cel_bytes;
	case CEL_FIELD_GROUP:
	case CEL_FIELD_MESSAGE: return f->msg->type;
	}
	return &cel_dyn;
}

static bool unescape(struct arena *a, str text, str *ret);

static bool default_of(struct arena *a, const struct cel_field *f, struct cel_value *ret)
{
	str text = f->default_text;
	const struct cel_enum_value *e;
	str bytes;

	*ret = (struct cel_value){ 0 };
	switch (item_type(f)->kind) {
	case CEL_T_BOOL: *ret = cel_of_bool(str_eqz(text, "true")); return true;
	case CEL_T_UINT: ret->kind = CEL_UINT; return !text.ptr || str_to_u64(text, &ret->u);
	case CEL_T_DOUBLE:
		*ret = cel_of_double(str_eqz(text, "inf")    ? __builtin_inf()
							 : str_eqz(text, "-inf") ? -__builtin_inf()
													 : __builtin_nan(""));
		if (str_eqz(text, "inf") || str_eqz(text, "-inf") || str_eqz(text, "nan"))
			return true;
		ret->d = 0;
		return !text.ptr || str_to_double(text, &ret->d);
	case CEL_T_STRING: *ret = cel_of_str(text.ptr ? text : STR("")); return str_utf8_valid(text);
	case CEL_T_BYTES:
		if (!unescape(a, text, &bytes))
			return false;
		*ret = cel_of_bytes(bytes);
		return true;
	default: break;
	}
	ret->kind = CEL_INT;
	if (f->kind != CEL_FIELD_ENUM)
		return !text.ptr || str_to_i64(text, &ret->i);
	e = text.ptr ? cel_enum_by_name(f->en, text) : NULL;
	ret->i = e ? e->number : f->en->first;
	return e || !text.ptr;
}

/* Bytes of a default as a descriptor writes them: C escapes, octal for what is not printable. */
static bool unescape(struct arena *a, str text, str *ret)
{
	static const char letters[] = "n\nr\rt\ta\ab\bf\fv\v\\\\''\"\"??";
	char *out = arena_alloc(a, text.len + 1);
	size_t n = 0;

	*ret = str_n(out, 0);
	if (!out)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		unsigned v = 0, digits = 0;
		const char *l;

		if (text.ptr[i] != '\\') {
			out[n++] = text.ptr[i];
			continue;
		}
		if (++i == text.len)
			return false;
		for (; digits < 3 && i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '7'; digits++)
			v = v * 8 + (unsigned)(text.ptr[i++] - '0');
		for (l = letters; !digits && *l && *l != text.ptr[i]; l += 2)
			continue;
		if (digits)
			i--;
		else if (!*l)
			return false;
		out[n++] = digits ? (char)v : l[1];
	}
	ret->len = n;
	return true;
}

static int type_field(struct cel_fill *fill, struct cel_pool *next, struct cel_field *f, struct err *reterr)
{
	static const struct cel_list no_items;
	struct arena *a = fill->arena;

	if (f->shape == CEL_MAPPED) {
		if (!is_entry(f->msg))
			return field_error(f, reterr, "its map entry is malformed");
		f->type = cel_map_of(a, item_type(&f->msg->fields[0]), item_type(&f->msg->fields[1]));
		f->unset = cel_of_map(a, NULL, NULL, 0);
	} else if (f->shape == CEL_REPEATED) {
		f->type = cel_list_of(a, item_type(f));
		f->unset = (struct cel_value){ .kind = CEL_LIST, .list = &no_items };
	} else if (!f->msg) {
		f->type = item_type(f);
		if (!default_of(a, f, &f->unset) && !a->failed)
			return field_error(f, reterr, "its default is not of its type");
	} else {
		f->type = item_type(f);
		if (cel_wkt_is_message(f->msg->wkt))
			f->unset = (struct cel_value){ .kind = CEL_MESSAGE, .msg = &f->msg->empty };
		else if (f->msg->wkt == CEL_WKT_ANY)
			f->unset = next->no_any;
		else if (f->msg->wkt == CEL_WKT_STRUCT)
			f->unset = cel_of_map(a, NULL, NULL, 0);
		else
			f->unset = cel_wkt_unset(f->msg->wkt);
	}
	return a->failed ? no_room(fill, reterr) : 0;
}

int cel_fill_link(struct cel_fill *f, struct err *reterr)
{
	struct cel_pool next = *f->pool;
	int r = merge(f, &next, reterr);

	for (size_t i = 0; !r && i < f->n_types; i++)
		r = resolve_type(f, &next, f->types[i], reterr);
	for (size_t i = 0; !r && i < f->n_extensions; i++) {
		struct cel_field *x = f->extensions[i];

		r = resolve_field(&next, x, reterr);
		x->owner = cel_pool_any_message(&next, x->owner_name);
		if (!r && (!x->owner || x->owner->map_entry))
			r = field_error(x, reterr, "the type that it extends is not in the set");
		if (!r && bsearch(x, x->owner->fields, x->owner->n_fields, sizeof(*x), cel_by_number))
			r = field_error(x, reterr, "its number is that of a field");
	}
	for (size_t i = 0; !r && i < f->n_types; i++)
		for (size_t j = 0; !r && j < f->types[i]->n_fields; j++)
			r = type_field(f, &next, &f->types[i]->fields[j], reterr);
	for (size_t i = 0; !r && i < f->n_extensions; i++)
		r = type_field(f, &next, f->extensions[i], reterr);
	if (!r)
		*f->pool = next;
	return r;
}
