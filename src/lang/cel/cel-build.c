/* cel-build.c - puts a message together, from fields in any order, whatever they come from: a literal, bytes or JSON.
 *
 * The parts are kept sorted by field number. Serialized pieces of one message field wait until the end, when they are read as
 * one: that is how protobuf merges them. A field that turns out to be at its default without presence is left out, so that
 * "stored" means has(). All memory is the arena's. Any thread, one build per thread. */
#include "base/base.h"
#include "lang/cel/cel-message-internal.h"

#include "lang/cel/cel-wire.h"

int cel_work_nomem(struct cel_work *w)
{
	int r = arena_check(w->arena, "a message", w->err);

	return r ? r : err_set(w->err, WEIR_ENOMEM, "a message: out of memory");
}

void cel_build_init(struct cel_build *b, struct cel_work *w, const struct cel_message_type *t, uint32_t depth)
{
	b->w = w;
	b->type = t;
	b->parts = b->few;
	b->n = b->n_unknown = b->cap_unknown = 0;
	b->cap = ARRAY_SIZE(b->few);
	b->unknown = NULL;
	b->depth = depth;
}

/* Index of the part of field number `number`, or where it belongs. */
static size_t part_index(const struct cel_build *b, int32_t number)
{
	size_t lo = 0, hi = b->n;

	if (b->n && b->parts[b->n - 1].f->number < number)
		return b->n; /* bytes mostly come in order */
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (b->parts[mid].f->number < number)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

void cel_build_drop(struct cel_build *b, const struct cel_field *f)
{
	size_t i = part_index(b, f->number);

	if (i == b->n || b->parts[i].f != f)
		return;
	b->n--;
	memmove(&b->parts[i], &b->parts[i + 1], (b->n - i) * sizeof(*b->parts));
}

static void end_oneof(struct cel_build *b, const struct cel_field *f)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->parts[i].f->oneof == f->oneof && !b->parts[i].f->extension && b->parts[i].f != f) {
			cel_build_drop(b, b->parts[i].f);
			return; /* there is never more than one */
		}
}

int cel_build_part(struct cel_build *b, const struct cel_field *f, struct cel_part **ret)
{
	size_t i;

	if (f->oneof >= 0)
		end_oneof(b, f);
	i = part_index(b, f->number);
	if (i == b->n || b->parts[i].f != f) {
		if (!cel_grow(b->w->arena, (void **)&b->parts, &b->cap, b->n, sizeof(*b->parts)))
			return cel_work_nomem(b->w);
		memmove(&b->parts[i + 1], &b->parts[i], (b->n - i) * sizeof(*b->parts));
		b->parts[i] = (struct cel_part){ .f = f };
		b->n++;
	}
	*ret = &b->parts[i];
	return 0;
}

int cel_items_add(struct cel_work *w, struct cel_items *items, const struct cel_value *key, struct cel_value v,
				  const struct cel_value *raw)
{
	if (!cel_grow(w->arena, (void **)&items->values, &items->cap, items->n, sizeof(v)) ||
		(key && !cel_grow(w->arena, (void **)&items->keys, &items->cap_keys, items->n, sizeof(v))) ||
		(raw && !cel_grow(w->arena, (void **)&items->raws, &items->cap_raws, items->n, sizeof(v))))
		return cel_work_nomem(w);
	items->values[items->n] = v;
	if (key)
		items->keys[items->n] = *key;
	if (raw)
		items->raws[items->n] = *raw;
	items->n++;
	return 0;
}

static struct cel_value collected(struct cel_work *w, const struct cel_items *items, const struct cel_value *values)
{
	return items->keys ? cel_of_map(w->arena, items->keys, values, items->n) : cel_of_list(w->arena, values, items->n);
}

static bool is_strong(const struct cel_field *f)
{
	return f->en && f->en->strong;
}

/* Numbers were collected; CEL sees values of the enum, the numbers stay as what is stored. */
static int see_enum(struct cel_build *b, struct cel_part *p)
{
	struct cel_value *raw = ARENA_NEW(b->w->arena, struct cel_value);

	if (!raw)
		return cel_work_nomem(b->w);
	*raw = p->v;
	p->raw = raw;
	p->v = cel_enum_value_of(b->w->arena, p->f->en, (int32_t)p->v.i);
	return b->w->arena->failed ? cel_work_nomem(b->w) : 0;
}

static int see_enums(struct cel_build *b, const struct cel_enum *e, struct cel_items *items)
{
	struct cel_value *seen = ARENA_ARRAY(b->w->arena, items->n, struct cel_value);

	if (!seen)
		return cel_work_nomem(b->w);
	for (size_t i = 0; i < items->n; i++)
		seen[i] = cel_enum_value_of(b->w->arena, e, (int32_t)items->values[i].i);
	items->raws = items->values;
	items->values = seen;
	return b->w->arena->failed ? cel_work_nomem(b->w) : 0;
}

static int settle_items(struct cel_build *b, struct cel_part *p)
{
	const struct cel_field *item = p->f->shape == CEL_MAPPED ? &p->f->msg->fields[1] : p->f;
	struct cel_value *raw;
	int r = is_strong(item) ? see_enums(b, item->en, &p->items) : 0;

	if (r)
		return r;
	p->v = collected(b->w, &p->items, p->items.values);
	if (p->items.raws) {
		raw = ARENA_NEW(b->w->arena, struct cel_value);
		if (raw)
			*raw = collected(b->w, &p->items, p->items.raws);
		p->raw = raw;
	}
	return b->w->arena->failed ? cel_work_nomem(b->w) : 0;
}

static int settle_chunks(struct cel_build *b, struct cel_part *p)
{
	str all = p->chunks[0];

	if (p->n_chunks > 1) {
		size_t len = 0;

		for (size_t i = 0; i < p->n_chunks; i++)
			len += p->chunks[i].len;
		char *joined = arena_alloc(b->w->arena, len + 1);

		if (!joined)
			return cel_work_nomem(b->w);
		all = str_n(joined, len);
		for (size_t i = 0; i < p->n_chunks; joined += p->chunks[i++].len)
			if (p->chunks[i].len)
				memcpy(joined, p->chunks[i].ptr, p->chunks[i].len);
	}
	return cel_parse_bytes(b->w, p->f->msg, all, b->depth + 1, &p->v, &p->raw);
}

bool cel_is_zero(struct cel_value v)
{
	switch (v.kind) {
	case CEL_BOOL: return !v.b;
	case CEL_INT:
	case CEL_UINT:
	case CEL_DOUBLE: return v.u == 0; /* -0.0 is not the default */
	case CEL_STRING:
	case CEL_BYTES: return v.len == 0;
	default: return false;
	}
}

/* Makes the values of all parts; drops those that are not set. */
static int settle(struct cel_build *b)
{
	size_t kept = 0;

	for (size_t i = 0; i < b->n; i++) {
		struct cel_part *p = &b->parts[i];
		int r = 0;

		if (p->f->shape != CEL_SINGULAR) {
			if (!p->items.n)
				continue;
			r = settle_items(b, p);
		} else if (p->n_chunks)
			r = settle_chunks(b, p);
		else if (!p->f->presence && cel_is_zero(p->v))
			continue;
		else if (is_strong(p->f))
			r = see_enum(b, p);
		if (r)
			return r;
		b->parts[kept++] = *p;
	}
	b->n = kept;
	return 0;
}

/* A list or map in a JSON value is two messages for protobuf: ListValue and Value. */
uint32_t cel_value_depth(struct cel_value v)
{
	uint32_t most = 0, d;
	struct cel_value key, item;

	switch (v.kind) {
	case CEL_MESSAGE: return v.msg->depth;
	case CEL_LIST:
		for (size_t i = 0; i < v.list->n; i++)
			most = (d = cel_value_depth(v.list->items[i])) > most ? d : most;
		return most + 2;
	case CEL_MAP:
		for (size_t i = 0, n = cel_map_len(v.map); i < n; i++) {
			cel_map_at(v.map, i, &key, &item);
			most = (d = cel_value_depth(item)) > most ? d : most;
		}
		return most + 2;
	default: return 0;
	}
}

static int by_record(const void *a, const void *b)
{
	const struct cel_record *x = a, *y = b;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return x->whole.ptr < y->whole.ptr ? -1 : x->whole.ptr > y->whole.ptr;
}

/* Sorted by number, so that equal contents have equal bytes. */
static int settle_unknown(struct cel_build *b, str *ret)
{
	size_t len = 0;
	char *out;

	*ret = STR("");
	if (!b->n_unknown)
		return 0;
	cel_sort(b->unknown, b->n_unknown, sizeof(*b->unknown), by_record);
	for (size_t i = 0; i < b->n_unknown; i++)
		len += b->unknown[i].whole.len;
	out = arena_alloc(b->w->arena, len);
	if (!out)
		return cel_work_nomem(b->w);
	*ret = str_n(out, len);
	for (size_t i = 0; i < b->n_unknown; out += b->unknown[i++].whole.len)
		memcpy(out, b->unknown[i].whole.ptr, b->unknown[i].whole.len);
	return 0;
}

static int finish_message(struct cel_build *b, struct cel_value *ret)
{
	struct cel_message *m = ARENA_NEW(b->w->arena, struct cel_message);
	struct cel_slot *slots = ARENA_ARRAY(b->w->arena, b->n, struct cel_slot);
	uint32_t most = 0, d;

	if (!m || (b->n && !slots))
		return cel_work_nomem(b->w);
	for (size_t i = 0; i < b->n; i++) {
		slots[i] = (struct cel_slot){ b->parts[i].f, b->parts[i].v, b->parts[i].raw };
		d = cel_value_depth(slots[i].raw ? *slots[i].raw : slots[i].v);
		if (slots[i].f->shape != CEL_SINGULAR)
			d -= 2; /* a repeated field is not a level */
		most = d > most ? d : most;
	}
	*m = (struct cel_message){ .type = b->type, .slots = slots, .n = (uint32_t)b->n, .depth = most + 1 };
	*ret = (struct cel_value){ .kind = CEL_MESSAGE, .msg = m };
	if (m->depth > LIMIT_CEL_MESSAGE_DEPTH)
		return err_set(b->w->err, WEIR_ELIMIT, "messages nest deeper than %d", LIMIT_CEL_MESSAGE_DEPTH);
	return settle_unknown(b, &m->unknown);
}

int cel_build_finish(struct cel_build *b, struct cel_value *ret, const struct cel_value **ret_raw)
{
	int r = settle(b);

	*ret_raw = NULL;
	if (r)
		return r;
	return cel_wkt_is_message(b->type->wkt) ? finish_message(b, ret) : cel_wkt_finish(b, ret, ret_raw);
}
