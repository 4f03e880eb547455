/* cel-pool.c - the pool of message types, enums and extensions: filling and finding (cel-message.h).
 *
 * Everything is in sorted arrays and found by bisection: no hash to attack, nothing to free but the arena. Filling declares all
 * types of a set first and links them afterwards (cel-link.c) into copies of the arrays, so that a set that does not fit together
 * leaves the pool as it was. A filled pool is read by any number of threads. */
#include "base/base.h"
#include "lang/cel/cel-message-internal.h"

#include "lang/cel/cel-wire.h"

/* --- finding --- */

int cel_by_type_name(const void *a, const void *b)
{
	return str_cmp((*(struct cel_message_type *const *)a)->name, (*(struct cel_message_type *const *)b)->name);
}

int cel_by_enum_name(const void *a, const void *b)
{
	return str_cmp((*(struct cel_enum *const *)a)->name, (*(struct cel_enum *const *)b)->name);
}

int cel_by_field_name(const void *a, const void *b)
{
	return str_cmp((*(struct cel_field *const *)a)->name, (*(struct cel_field *const *)b)->name);
}

int cel_by_json_name(const void *a, const void *b)
{
	return str_cmp((*(struct cel_field *const *)a)->json_name, (*(struct cel_field *const *)b)->json_name);
}

int cel_by_owner(const void *a, const void *b)
{
	const struct cel_field *x = *(struct cel_field *const *)a, *y = *(struct cel_field *const *)b;
	int c = str_cmp(x->owner_name, y->owner_name);

	return c ? c : (x->number > y->number) - (x->number < y->number);
}

int cel_by_number(const void *a, const void *b)
{
	const struct cel_field *x = a, *y = b;

	return (x->number > y->number) - (x->number < y->number);
}

static int by_value_name(const void *a, const void *b)
{
	return str_cmp(((const struct cel_enum_value *)a)->name, ((const struct cel_enum_value *)b)->name);
}

int cel_by_str(const void *a, const void *b)
{
	return str_cmp(*(const str *)a, *(const str *)b);
}

static void *find(const void *key, const void *base, size_t n, size_t size, int (*cmp)(const void *, const void *))
{
	return n ? bsearch(key, base, n, size, cmp) : NULL;
}

void cel_sort(void *base, size_t n, size_t size, int (*cmp)(const void *, const void *))
{
	if (n)
		qsort(base, n, size, cmp);
}

struct cel_message_type *cel_pool_any_message(const struct cel_pool *p, str name)
{
	struct cel_message_type key = { .name = name }, *k = &key,
							**t = find(&k, p->types, p->n_types, sizeof(*p->types), cel_by_type_name);

	return t ? *t : NULL;
}

bool cel_pool_has_file(const struct cel_pool *p, str name)
{
	return find(&name, p->files, p->n_files, sizeof(str), cel_by_str) != NULL;
}

const struct cel_message_type *cel_pool_message(const struct cel_pool *p, str full_name)
{
	const struct cel_message_type *t = cel_pool_any_message(p, full_name);

	return t && !t->map_entry ? t : NULL;
}

const struct cel_enum *cel_pool_enum_type(const struct cel_pool *p, str full_name)
{
	struct cel_enum key = { .name = full_name }, *k = &key,
					**e = find(&k, p->enums, p->n_enums, sizeof(*p->enums), cel_by_enum_name);

	return e ? *e : NULL;
}

bool cel_pool_enum(const struct cel_pool *p, str full_name)
{
	return cel_pool_enum_type(p, full_name) != NULL;
}

const struct cel_enum_value *cel_enum_by_name(const struct cel_enum *e, str name)
{
	struct cel_enum_value key = { .name = name };

	return find(&key, e->values, e->n, sizeof(*e->values), by_value_name);
}

str cel_enum_name(const struct cel_enum *e, int32_t number)
{
	str found = STR_NULL;

	for (size_t i = 0; i < e->n; i++) /* aliases: the first by name */
		if (e->values[i].number == number && !found.ptr)
			found = e->values[i].name;
	return found;
}

bool cel_pool_enum_value(const struct cel_pool *p, str full_name, int32_t *ret)
{
	size_t dot = full_name.len;

	while (dot && full_name.ptr[dot - 1] != '.')
		dot--;
	if (!dot)
		return false;
	const struct cel_enum *e = cel_pool_enum_type(p, str_n(full_name.ptr, dot - 1));
	const struct cel_enum_value *v = e ? cel_enum_by_name(e, str_sub(full_name, dot, full_name.len)) : NULL;

	if (v)
		*ret = v->number;
	return v != NULL;
}

const struct cel_field *cel_pool_extension(const struct cel_pool *p, const struct cel_message_type *t, str full_name)
{
	struct cel_field key = { .name = full_name }, *k = &key;
	struct cel_field **x = find(&k, p->extensions_by_name, p->n_extensions, sizeof(*p->extensions_by_name), cel_by_field_name);

	return x && str_eq((*x)->owner_name, t->name) ? *x : NULL;
}

const struct cel_field *cel_message_field(const struct cel_message_type *t, str name)
{
	struct cel_field key = { .name = name }, *k = &key;
	struct cel_field **f = find(&k, t->by_name, t->n_fields, sizeof(struct cel_field *), cel_by_field_name);

	return f ? *f : cel_pool_extension(t->pool, t, name);
}

const struct cel_field *cel_message_field_json(const struct cel_message_type *t, str name)
{
	struct cel_field key = { .json_name = name }, *k = &key;
	struct cel_field **f = find(&k, t->by_json, t->n_fields, sizeof(struct cel_field *), cel_by_json_name);

	if (f)
		return *f;
	if (name.len > 2 && name.ptr[0] == '[' && name.ptr[name.len - 1] == ']')
		return cel_pool_extension(t->pool, t, str_sub(name, 1, name.len - 2));
	key.name = name;
	f = find(&k, t->by_name, t->n_fields, sizeof(struct cel_field *), cel_by_field_name);
	return f ? *f : NULL;
}

const struct cel_field *cel_message_field_number(const struct cel_pool *p, const struct cel_message_type *t, uint32_t number)
{
	struct cel_field key = { .owner_name = t->name, .number = (int32_t)number }, *k = &key;
	struct cel_field *f = find(&key, t->fields, t->n_fields, sizeof(*t->fields), cel_by_number), **x;

	if (f)
		return f;
	x = find(&k, p->extensions, p->n_extensions, sizeof(*p->extensions), cel_by_owner);
	return x ? *x : NULL;
}

const struct cel_type *cel_field_type(const struct cel_field *f)
{
	return f->type;
}

const struct cel_type *cel_message_type_type(const struct cel_message_type *t)
{
	return t->type;
}

/* --- filling --- */

bool cel_grow(struct arena *a, void **items, size_t *cap, size_t n, size_t size)
{
	size_t more = *cap ? *cap * 2 : 4;
	void *p;

	if (n < *cap)
		return true;
	p = arena_array(a, more, size);
	if (!p)
		return false;
	if (n)
		memcpy(p, *items, n * size);
	*items = p;
	*cap = more;
	return true;
}

void cel_fill_init(struct cel_fill *f, struct cel_pool *p)
{
	*f = (struct cel_fill){ .arena = p->arena, .pool = p };
}

static int no_room(struct cel_fill *f, struct err *reterr)
{
	return arena_check(f->arena, "message types", reterr);
}

#define FILL_ADD(f, what, item)                                                                                                  \
	(cel_grow((f)->arena, (void **)&(f)->what, &(f)->cap_##what, (f)->n_##what, sizeof(*(f)->what))                              \
		 ? ((f)->what[(f)->n_##what++] = (item), 0)                                                                              \
		 : no_room((f), reterr))

int cel_fill_type(struct cel_fill *f, struct cel_message_type *t, struct err *reterr)
{
	t->pool = f->pool;
	t->wkt = cel_wkt_of(t->name);
	t->own = (struct cel_type){ .kind = CEL_T_MESSAGE, .name = t->name };
	t->type = cel_wkt_type(t->wkt) ? cel_wkt_type(t->wkt) : &t->own;
	t->empty = (struct cel_message){ .type = t, .depth = 1, .unknown = STR("") };
	return FILL_ADD(f, types, t);
}

int cel_fill_enum(struct cel_fill *f, struct cel_enum *e, struct err *reterr)
{
	cel_sort(e->values, e->n, sizeof(*e->values), by_value_name);
	e->null_only = str_eqz(e->name, "google.protobuf.NullValue");
	return FILL_ADD(f, enums, e);
}

int cel_fill_extension(struct cel_fill *f, struct cel_field *x, struct err *reterr)
{
	return FILL_ADD(f, extensions, x);
}

int cel_fill_file(struct cel_fill *f, str name, struct err *reterr)
{
	return FILL_ADD(f, files, name);
}

int cel_pool_new(struct arena *a, struct cel_pool **ret, struct err *reterr)
{
	struct cel_pool *p = ARENA_NEW(a, struct cel_pool);
	struct cel_fill fill;
	int r;

	if (!p)
		return arena_check(a, "message types", reterr);
	p->arena = a;
	p->no_any = cel_error_value(a, "conversion error: an empty google.protobuf.Any has no content");
	cel_fill_init(&fill, p);
	r = cel_wkt_declare(&fill, reterr);
	if (!r)
		r = cel_fill_link(&fill, reterr);
	if (!r)
		*ret = p;
	return r;
}
