/* cel-message-doc.c - reads messages from JSON or YAML trees (ProtoJSON of protobuf.dev).
 *
 * Strict: unknown fields, two fields of one oneof, numbers out of range and wrong kinds are errors "LINE:COL: what"; values are
 * never quoted, since they may be secrets. null leaves a field unset, but for Value and NullValue. Any thread. */
#include "base/base.h"
#include "lang/cel/cel-message-internal.h"

#include "base/hash.h"
#include "lang/cel/cel-value.h"

#include <math.h>

static int read_typed(struct cel_work *w, const struct cel_message_type *t, const struct doc_node *n, uint32_t depth,
					  struct cel_value *ret, const struct cel_value **ret_raw);

static int wrong(struct cel_work *w, const struct doc_node *n, const char *what)
{
	return err_set(w->err, WEIR_EINVAL, "%u:%u: %s", n->line, n->col, what);
}

static int wrong_field(struct cel_work *w, const struct doc_node *n, const struct cel_field *f, const char *want)
{
	return err_set(w->err, WEIR_EINVAL, "%u:%u: field '%.*s' of %.*s takes %s", n->line, n->col, STR_ARG(f->name),
				   STR_ARG(f->owner_name), want);
}

/* --- scalars --- */

/* An integer in any notation of JSON: 12, "12", 1.2e1. The digits decide where they are whole; a double cannot hold 64 bits. */
static bool integer(str s, bool *ret_negative, uint64_t *ret)
{
	double d;

	*ret_negative = s.len && s.ptr[0] == '-';
	if (str_to_u64(*ret_negative ? str_sub(s, 1, s.len) : s, ret))
		return true;
	if (!str_to_double(s, &d) || d != trunc(d) || fabs(d) >= 18446744073709551616.0)
		return false;
	*ret = (uint64_t)fabs(d);
	return true;
}

static bool node_integer(const struct doc_node *n, bool *ret_negative, uint64_t *ret)
{
	if (n->kind == DOC_INT) {
		*ret_negative = n->i < 0;
		*ret = n->i < 0 ? -(uint64_t)n->i : (uint64_t)n->i;
		return true;
	}
	return (n->kind == DOC_REAL || n->kind == DOC_STR) && integer(n->kind == DOC_STR ? n->s : n->text, ret_negative, ret);
}

static int read_int(struct cel_work *w, const struct cel_field *f, const struct doc_node *n, struct cel_value *ret)
{
	bool wide = f->kind == CEL_FIELD_INT64 || f->kind == CEL_FIELD_SINT64 || f->kind == CEL_FIELD_SFIXED64, negative;
	uint64_t u, max = wide ? INT64_MAX : INT32_MAX;

	if (!node_integer(n, &negative, &u) || u > max + negative)
		return wrong_field(w, n, f, wide ? "a whole number of 64 bits" : "a whole number of 32 bits");
	*ret = cel_of_int(negative ? (int64_t)-u : (int64_t)u);
	return 0;
}

static int read_uint(struct cel_work *w, const struct cel_field *f, const struct doc_node *n, struct cel_value *ret)
{
	bool wide = f->kind == CEL_FIELD_UINT64 || f->kind == CEL_FIELD_FIXED64, negative;
	uint64_t u;

	if (!node_integer(n, &negative, &u) || (negative && u) || (!wide && u > UINT32_MAX))
		return wrong_field(w, n, f, wide ? "a whole number from 0 on, of 64 bits" : "a whole number from 0 on, of 32 bits");
	*ret = cel_of_uint(u);
	return 0;
}

static int read_double(struct cel_work *w, const struct cel_field *f, const struct doc_node *n, struct cel_value *ret)
{
	str s = n->kind == DOC_STR ? n->s : STR_NULL;
	double d = n->kind == DOC_INT ? (double)n->i : n->kind == DOC_REAL ? n->d : 0;
	bool number = n->kind == DOC_INT || n->kind == DOC_REAL || (n->kind == DOC_STR && str_to_double(s, &d));

	if (n->kind == DOC_INT && !n->i && str_has_prefix(n->text, STR("-")))
		d = -0.0;
	if (str_eqz(s, "NaN"))
		d = __builtin_nan("");
	else if (str_eqz(s, "Infinity") || str_eqz(s, "-Infinity"))
		d = s.ptr[0] == '-' ? -__builtin_inf() : __builtin_inf();
	else if (!number || isinf(d) || (f->kind == CEL_FIELD_FLOAT && isinf((float)d)))
		return wrong_field(w, n, f, "a number");
	*ret = cel_of_double(f->kind == CEL_FIELD_FLOAT ? (double)(float)d : d);
	return 0;
}

static int read_bytes(struct cel_work *w, const struct cel_field *f, const struct doc_node *n, struct cel_value *ret)
{
	struct buf plain CLEANUP_BUF = BUF_INIT(LIMIT_DOC_BYTES), bytes CLEANUP_BUF = BUF_INIT(LIMIT_DOC_BYTES);
	str s;

	if (n->kind != DOC_STR)
		return wrong_field(w, n, f, "bytes as base64 text");
	buf_add_str(&plain, n->s);
	for (size_t i = 0; i < plain.len; i++) /* the alphabet for URLs is fine too */
		plain.ptr[i] = plain.ptr[i] == '-' ? '+' : plain.ptr[i] == '_' ? '/' : plain.ptr[i];
	if (!base64_parse(buf_str(&plain), &bytes))
		return wrong_field(w, n, f, "bytes as base64 text");
	s = arena_str(w->arena, buf_str(&bytes));
	*ret = cel_of_bytes(s);
	return s.ptr ? 0 : cel_work_nomem(w);
}

static int read_enum(struct cel_work *w, const struct cel_field *f, const struct doc_node *n, struct cel_value *ret)
{
	const struct cel_enum_value *v = n->kind == DOC_STR ? cel_enum_by_name(f->en, n->s) : NULL;

	if (v)
		*ret = cel_of_int(v->number);
	else if (n->kind == DOC_NULL && f->en->null_only)
		*ret = cel_of_int(0);
	else if (n->kind == DOC_STR)
		return wrong_field(w, n, f, "the name of a value of its enum");
	else
		return read_int(w, f, n, ret);
	return 0;
}

static int read_scalar(struct cel_work *w, const struct cel_field *f, const struct doc_node *n, struct cel_value *ret)
{
	switch (f->kind) {
	case CEL_FIELD_DOUBLE:
	case CEL_FIELD_FLOAT: return read_double(w, f, n, ret);
	case CEL_FIELD_UINT32:
	case CEL_FIELD_UINT64:
	case CEL_FIELD_FIXED32:
	case CEL_FIELD_FIXED64: return read_uint(w, f, n, ret);
	case CEL_FIELD_BOOL:
		if (n->kind != DOC_BOOL)
			return wrong_field(w, n, f, "true or false");
		*ret = cel_of_bool(n->b);
		return 0;
	case CEL_FIELD_STRING:
		if (n->kind != DOC_STR)
			return wrong_field(w, n, f, "text");
		*ret = cel_of_str(n->s);
		return 0;
	case CEL_FIELD_BYTES: return read_bytes(w, f, n, ret);
	case CEL_FIELD_ENUM: return read_enum(w, f, n, ret);
	default: return read_int(w, f, n, ret);
	}
}

/* --- well-known types --- */

static int json_items(struct cel_work *w, const struct doc_node *n, struct cel_value *ret)
{
	bool map = n->kind == DOC_MAP;
	size_t len = doc_len(n);
	struct cel_value *keys = map ? ARENA_ARRAY(w->arena, len, struct cel_value) : NULL,
					 *values = ARENA_ARRAY(w->arena, len, struct cel_value);
	int r = w->arena->failed ? cel_work_nomem(w) : 0;

	for (size_t i = 0; !r && i < len; i++) {
		if (map)
			keys[i] = cel_of_str(n->map.pairs[i].key);
		r = cel_json_value_of_doc(w, map ? n->map.pairs[i].value : n->seq.items[i], &values[i]);
	}
	if (r)
		return r;
	*ret = map ? cel_of_map(w->arena, keys, values, len) : cel_of_list(w->arena, values, len);
	return w->arena->failed ? cel_work_nomem(w) : 0;
}

int cel_json_value_of_doc(struct cel_work *w, const struct doc_node *n, struct cel_value *ret)
{
	switch (n->kind) {
	case DOC_BOOL: *ret = cel_of_bool(n->b); return 0;
	case DOC_INT: *ret = cel_of_double((double)n->i); return 0;
	case DOC_REAL: *ret = cel_of_double(n->d); return 0;
	case DOC_STR: *ret = cel_of_str(n->s); return 0;
	case DOC_SEQ:
	case DOC_MAP: return json_items(w, n, ret);
	default: *ret = cel_of_null(); return 0;
	}
}

static int read_json(struct cel_work *w, const struct cel_message_type *t, const struct doc_node *n, struct cel_value *ret)
{
	int r;

	if (t->wkt == CEL_WKT_STRUCT && n->kind != DOC_MAP)
		return wrong(w, n, "google.protobuf.Struct takes a map");
	if (t->wkt == CEL_WKT_LIST && n->kind != DOC_SEQ)
		return wrong(w, n, "google.protobuf.ListValue takes a list");
	r = cel_json_value_of_doc(w, n, ret);
	return r ? r : cel_json_value(w, *ret, 1, ret); /* for the limit on depth */
}

static int read_time(struct cel_work *w, const struct cel_message_type *t, const struct doc_node *n, struct cel_value *ret)
{
	bool is_time = t->wkt == CEL_WKT_TIMESTAMP;

	if (n->kind != DOC_STR || !(is_time ? cel_timestamp_parse : cel_duration_parse_json)(n->s, ret))
		return wrong(w, n,
					 is_time ? "a time must be text like \"2026-01-31T12:00:00Z\", years 1 to 9999"
							 : "a duration must be text like \"1.5s\", at most 292 years");
	return 0;
}

/* "fooBar.baz,b" are the paths foo_bar.baz and b. */
static int read_field_mask(struct cel_work *w, const struct cel_message_type *t, const struct doc_node *n, struct cel_value *ret)
{
	struct cel_build b;
	struct cel_part *part;
	const struct cel_value *raw;
	str rest = n->s, path;
	int r;

	if (n->kind != DOC_STR)
		return wrong(w, n, "a field mask must be text like \"a.b,c\"");
	cel_build_init(&b, w, t, 1);
	r = cel_build_part(&b, &t->fields[0], &part);
	while (!r && rest.len) {
		str_cut(rest, ',', &path, &rest);
		char *snake = arena_alloc(w->arena, path.len * 2 + 1), *to = snake;

		if (!snake)
			return cel_work_nomem(w);
		for (size_t i = 0; i < path.len; i++) {
			char c = path.ptr[i];

			if (c == '_')
				return wrong(w, n, "the paths of a field mask are lowerCamelCase in JSON");
			if (c >= 'A' && c <= 'Z')
				*to++ = '_', c = (char)(c - 'A' + 'a');
			*to++ = c;
		}
		r = cel_items_add(w, &part->items, NULL, cel_of_str(str_n(snake, (size_t)(to - snake))), NULL);
	}
	return r ? r : cel_build_finish(&b, ret, &raw);
}

/* A map as a message; skip: a key that is no field of it, or NULL. */
static int read_message(struct cel_work *w, const struct cel_message_type *t, const struct doc_node *n, uint32_t depth,
						const char *skip, struct cel_value *ret, const struct cel_value **ret_raw);

static int read_any(struct cel_work *w, const struct doc_node *n, uint32_t depth, struct cel_value *ret,
					const struct cel_value **ret_raw)
{
	const struct doc_node *url = doc_get(n, "@type"), *value = doc_get(n, "value");
	const struct cel_message_type *t;
	struct cel_value content;
	const struct cel_value *raw = NULL;
	size_t slash;
	int r;

	if (n->kind == DOC_MAP && !n->map.n)
		return cel_any_of_bytes(w, STR(""), STR(""), depth, ret, ret_raw);
	if (n->kind != DOC_MAP || !url || url->kind != DOC_STR)
		return wrong(w, n, "google.protobuf.Any takes a map with the key '@type'");
	for (slash = url->s.len; slash && url->s.ptr[slash - 1] != '/';)
		slash--;
	t = cel_pool_message(w->pool, str_sub(url->s, slash, url->s.len));
	if (!t)
		return wrong(w, url, "google.protobuf.Any of a type that is not known");
	if (t->wkt == CEL_WKT_NONE || t->wkt == CEL_WKT_EMPTY)
		r = read_message(w, t, n, depth + 1, "@type", &content, &raw);
	else if (!value || n->map.n != 2)
		return wrong(w, n, "google.protobuf.Any of a well-known type takes the keys '@type' and 'value'");
	else
		r = read_typed(w, t, value, depth + 1, &content, &raw);
	return r ? r : cel_any_of_content(w, t, url->s, content, raw, ret, ret_raw);
}

/* --- messages --- */

static int read_item(struct cel_work *w, const struct cel_field *f, const struct doc_node *n, uint32_t depth,
					 struct cel_value *ret, const struct cel_value **ret_raw)
{
	*ret_raw = NULL;
	return f->msg ? read_typed(w, f->msg, n, depth + 1, ret, ret_raw) : read_scalar(w, f, n, ret);
}

static int read_list(struct cel_build *b, const struct cel_field *f, const struct doc_node *n, struct cel_items *items)
{
	int r = 0;

	if (n->kind != DOC_SEQ)
		return wrong_field(b->w, n, f, "a list");
	for (size_t i = 0; !r && i < n->seq.n; i++) {
		struct cel_value v;
		const struct cel_value *raw;

		r = read_item(b->w, f, n->seq.items[i], b->depth, &v, &raw);
		if (!r)
			r = cel_items_add(b->w, items, NULL, v, raw);
	}
	return r;
}

/* Keys are texts in JSON: "12", "true". */
static int read_key(struct cel_work *w, const struct cel_field *f, const struct doc_pair *p, struct cel_value *ret)
{
	struct doc_node n = { .kind = DOC_STR, .line = p->line, .col = p->col, .s = p->key, .text = p->key };

	if (f->kind == CEL_FIELD_BOOL && (str_eqz(p->key, "true") || str_eqz(p->key, "false")))
		n.kind = DOC_BOOL, n.b = str_eqz(p->key, "true");
	return read_scalar(w, f, &n, ret);
}

static int read_map(struct cel_build *b, const struct cel_field *f, const struct doc_node *n, struct cel_items *items)
{
	int r = 0;

	if (n->kind != DOC_MAP)
		return wrong_field(b->w, n, f, "a map");
	for (size_t i = 0; !r && i < n->map.n; i++) {
		struct cel_value k, v;
		const struct cel_value *raw;

		r = read_key(b->w, &f->msg->fields[0], &n->map.pairs[i], &k);
		if (!r)
			r = read_item(b->w, &f->msg->fields[1], n->map.pairs[i].value, b->depth, &v, &raw);
		if (!r)
			r = cel_items_add(b->w, items, &k, v, raw);
	}
	return r;
}

static bool is_unset(const struct cel_field *f, const struct doc_node *n)
{
	return n->kind == DOC_NULL && !(f->shape == CEL_SINGULAR && f->msg && f->msg->wkt == CEL_WKT_VALUE) &&
		   !(f->shape == CEL_SINGULAR && f->en && f->en->null_only);
}

/* A second field of the oneof that f is in would silently replace the first. */
static bool oneof_taken(const struct cel_build *b, const struct cel_field *f)
{
	for (size_t i = 0; f->oneof >= 0 && i < b->n; i++)
		if (b->parts[i].f->oneof == f->oneof && !b->parts[i].f->extension)
			return true;
	return false;
}

static bool part_taken(const struct cel_build *b, const struct cel_field *f)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->parts[i].f == f)
			return true;
	return false;
}

static int read_field(struct cel_build *b, const struct doc_pair *p)
{
	const struct cel_field *f = cel_message_field_json(b->type, p->key);
	struct cel_part made = { .f = f }, *part;
	int r;

	if (!f)
		return err_set(b->w->err, WEIR_EINVAL, "%u:%u: %.*s has no field '%.*s'", p->line, p->col, STR_ARG(b->type->name),
					   STR_ARG(p->key));
	if (is_unset(f, p->value))
		return 0;
	if (part_taken(b, f) || oneof_taken(b, f))
		return err_set(b->w->err, WEIR_EINVAL, "%u:%u: field '%.*s' of %.*s is set twice, or another of its oneof is", p->line,
					   p->col, STR_ARG(f->name), STR_ARG(b->type->name));
	if (f->shape == CEL_MAPPED)
		r = read_map(b, f, p->value, &made.items);
	else if (f->shape == CEL_REPEATED)
		r = read_list(b, f, p->value, &made.items);
	else
		r = read_item(b->w, f, p->value, b->depth, &made.v, &made.raw);
	if (!r)
		r = cel_build_part(b, f, &part);
	if (!r)
		*part = made;
	return r;
}

static int read_message(struct cel_work *w, const struct cel_message_type *t, const struct doc_node *n, uint32_t depth,
						const char *skip, struct cel_value *ret, const struct cel_value **ret_raw)
{
	struct cel_build b;
	int r = 0;

	if (n->kind != DOC_MAP)
		return err_set(w->err, WEIR_EINVAL, "%u:%u: %.*s takes a map", n->line, n->col, STR_ARG(t->name));
	cel_build_init(&b, w, t, depth);
	for (size_t i = 0; !r && i < n->map.n; i++)
		if (!skip || !str_eqz(n->map.pairs[i].key, skip))
			r = read_field(&b, &n->map.pairs[i]);
	return r ? r : cel_build_finish(&b, ret, ret_raw);
}

static int read_typed(struct cel_work *w, const struct cel_message_type *t, const struct doc_node *n, uint32_t depth,
					  struct cel_value *ret, const struct cel_value **ret_raw)
{
	*ret_raw = NULL;
	if (depth > LIMIT_CEL_MESSAGE_DEPTH)
		return err_set(w->err, WEIR_ELIMIT, "messages nest deeper than %d", LIMIT_CEL_MESSAGE_DEPTH);
	switch (t->wkt) {
	case CEL_WKT_NONE:
	case CEL_WKT_EMPTY: return read_message(w, t, n, depth, NULL, ret, ret_raw);
	case CEL_WKT_FIELD_MASK: return read_field_mask(w, t, n, ret);
	case CEL_WKT_TIMESTAMP:
	case CEL_WKT_DURATION: return read_time(w, t, n, ret);
	case CEL_WKT_STRUCT:
	case CEL_WKT_VALUE:
	case CEL_WKT_LIST: return read_json(w, t, n, ret);
	case CEL_WKT_ANY: return read_any(w, n, depth, ret, ret_raw);
	default: return read_scalar(w, &t->fields[0], n, ret); /* wrappers */
	}
}

int cel_message_from_doc(struct arena *a, const struct cel_pool *p, const struct cel_message_type *t, const struct doc_node *n,
						 struct cel_value *ret, struct err *reterr)
{
	struct err err = { 0 };
	struct cel_work w = { a, p ? p : t->pool, reterr ? reterr : &err };
	const struct cel_value *raw;

	return read_typed(&w, t, n, 1, ret, &raw);
}
