/* cel-message.c - messages as values: made from a literal, read, compared (cel-message.h).
 *
 * A message is immutable once made; the arena it was made in keeps it. Any thread. */
#include "base/base.h"
#include "lang/cel/cel-message-internal.h"

#include "lang/cel/cel-value.h"

static int set_items(struct cel_work *w, const struct cel_field *f, struct cel_value in, struct cel_items *items)
{
	bool map = f->shape == CEL_MAPPED;
	const struct cel_field *item = map ? &f->msg->fields[1] : f;
	struct cel_value key = { 0 }, v = { 0 };

	if (in.kind != (map ? CEL_MAP : CEL_LIST))
		return err_set(w->err, WEIR_EINVAL, "unsupported field type: field '%.*s' of %.*s takes a %s", STR_ARG(f->name),
					   STR_ARG(f->owner_name), map ? "map" : "list");
	for (size_t i = 0, n = map ? cel_map_len(in.map) : in.list->n; i < n; i++) {
		const struct cel_value *raw = NULL;
		bool unset = false;
		int r = 0;

		if (map)
			cel_map_at(in.map, i, &key, &v);
		else
			v = in.list->items[i];
		if (map)
			r = cel_assign(w, &f->msg->fields[0], key, &key, &raw, &unset);
		if (!r)
			r = cel_assign(w, item, v, &v, &raw, &unset);
		if (!r && !unset)
			r = cel_items_add(w, items, map ? &key : NULL, v, raw);
		if (r)
			return r;
	}
	return 0;
}

static int set_field(struct cel_build *b, const struct cel_field *f, struct cel_value in)
{
	struct cel_part *p, made = { .f = f };
	bool unset = false;
	int r;

	if (f->shape == CEL_SINGULAR)
		r = cel_assign(b->w, f, in, &made.v, &made.raw, &unset);
	else
		r = set_items(b->w, f, in, &made.items);
	if (r)
		return r;
	if (unset) {
		cel_build_drop(b, f);
		return 0;
	}
	r = cel_build_part(b, f, &p);
	if (!r)
		*p = made;
	return r;
}

struct cel_value cel_message_make(struct arena *a, const struct cel_pool *p, const struct cel_message_type *t,
								  const struct cel_field *const *fields, const struct cel_value *values, size_t n)
{
	struct err err = { 0 };
	struct cel_work w = { a, p ? p : t->pool, &err };
	struct cel_build b;
	const struct cel_value *raw;
	struct cel_value v = { 0 };
	int r = 0;

	cel_build_init(&b, &w, t, 1);
	for (size_t i = 0; !r && i < n; i++) {
		if (values[i].kind == CEL_ERROR || values[i].kind == CEL_UNKNOWN)
			return values[i];
		r = set_field(&b, fields[i], values[i]);
	}
	if (!r)
		r = cel_build_finish(&b, &v, &raw);
	return r ? cel_error_value(a, "%s", err.msg) : v;
}

static const struct cel_slot *slot_of(const struct cel_message *m, const struct cel_field *f)
{
	size_t lo = 0, hi = m->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (m->slots[mid].f == f)
			return &m->slots[mid];
		if (m->slots[mid].f->number < f->number)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

struct cel_value cel_message_get(struct arena *a, const struct cel_message *m, const struct cel_field *f)
{
	const struct cel_slot *s = slot_of(m, f);

	(void)a; /* what is read was made with the message, defaults with the type */
	return s ? s->v : f->unset;
}

bool cel_message_has(const struct cel_message *m, const struct cel_field *f)
{
	return slot_of(m, f) != NULL;
}

const struct cel_message_type *cel_message_type_of(const struct cel_message *m)
{
	return m->type;
}

/* By content where both can be unpacked, else byte by byte. */
static bool any_equal(const struct cel_any *a, const struct cel_any *b, uint64_t *work)
{
	if (a->type && a->type == b->type && a->content.kind != CEL_ERROR && b->content.kind != CEL_ERROR)
		return a->raw && b->raw ? cel_equal_work(*a->raw, *b->raw, work) : cel_equal_work(a->content, b->content, work);
	return str_eq(a->url, b->url) && a->bytes.ptr && b->bytes.ptr && str_eq(a->bytes, b->bytes);
}

static bool equal(const struct cel_message *a, const struct cel_message *b, uint64_t *work)
{
	if (a->n != b->n || !str_eq(a->unknown, b->unknown))
		return false;
	for (uint32_t i = 0; i < a->n; i++) {
		const struct cel_slot *x = &a->slots[i], *y = &b->slots[i];

		if (x->f->number != y->f->number || !cel_equal_work(x->raw ? *x->raw : x->v, y->raw ? *y->raw : y->v, work))
			return false;
	}
	return true;
}

bool cel_message_equal_work(const struct cel_message *a, const struct cel_message *b, uint64_t *work)
{
	if (a->type != b->type && !str_eq(a->type->name, b->type->name))
		return false;
	if (a->type->wkt == CEL_WKT_ANY)
		return any_equal((const struct cel_any *)a, (const struct cel_any *)b, work);
	return equal(a, b, work);
}

bool cel_message_equal(const struct cel_message *a, const struct cel_message *b)
{
	uint64_t work = UINT64_MAX;

	return cel_message_equal_work(a, b, &work);
}
