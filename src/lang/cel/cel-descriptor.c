/* cel-descriptor.c - reads a serialized google.protobuf.FileDescriptorSet into a pool (descriptor.proto of protobuf).
 *
 * Syntax proto2, proto3 and editions: presence, packing and delimited encoding follow from the features of file, message and
 * field. All enums are open, as in Go's protobuf: an unknown number stays a number. Options, services and source positions are
 * skipped. Recursion is bounded by LIMIT_CEL_MESSAGE_DEPTH; all texts are copied into the pool's arena with the set itself. */
#include "base/base.h"
#include "lang/cel/cel-message-internal.h"

#include "lang/cel/cel-wire.h"

struct features {                     /* of FeatureSet: what editions made settable */
	bool implicit, packed, delimited; /* field_presence IMPLICIT, repeated_field_encoding, message_encoding */
};
struct reader {
	struct arena *arena;
	struct cel_fill *fill;
	struct err *err;
	str file;
	bool proto3;
};

static int malformed(struct reader *r, const char *what)
{
	return err_set(r->err, WEIR_EPARSE, "descriptors%s%.*s: malformed %s", r->file.len ? ": " : "", STR_ARG(r->file), what);
}

static int no_room(struct reader *r)
{
	return arena_check(r->arena, "message types", r->err);
}

/* for (each record `rec` of `bytes`): ret is false at the end, *bad when the bytes are not records. */
static bool next(struct cel_wire *w, struct cel_record *rec, bool *bad)
{
	if (w->p == w->end)
		return false;
	if (cel_wire_next(w, rec))
		return true;
	*bad = true;
	return false;
}
#define EACH_RECORD(w, rec, bad) for (struct cel_record rec; next(&(w), &rec, &(bad));)

static int full_name(struct reader *r, str scope, str name, str *ret)
{
	if (!name.len || !str_utf8_valid(name))
		return malformed(r, "name");
	if (!scope.len)
		*ret = name;
	else
		*ret = str_z(arena_printf(r->arena, "%.*s.%.*s", STR_ARG(scope), STR_ARG(name)));
	return ret->ptr ? 0 : no_room(r);
}

static int read_features(struct reader *r, str bytes, struct features *f)
{
	struct cel_wire w = cel_wire_of(bytes);
	bool bad = false;

	EACH_RECORD(w, rec, bad)
	{
		if (rec.type != CEL_WIRE_VARINT)
			continue;
		if (rec.number == 1)
			f->implicit = rec.u == 2;
		else if (rec.number == 3)
			f->packed = rec.u == 1;
		else if (rec.number == 5)
			f->delimited = rec.u == 2;
	}
	return bad ? malformed(r, "features") : 0;
}

/* The features in options; their field has another number in each kind of options. */
static int read_options(struct reader *r, str bytes, uint32_t number, struct features *f)
{
	struct cel_wire w = cel_wire_of(bytes);
	bool bad = false;
	int e = 0;

	EACH_RECORD(w, rec, bad)
	if (rec.number == number && rec.type == CEL_WIRE_BYTES && (e = read_features(r, rec.bytes, f)))
		return e;
	return bad ? malformed(r, "options") : 0;
}

static bool option_bool(str bytes, uint32_t number, bool otherwise)
{
	struct cel_wire w = cel_wire_of(bytes);
	bool bad = false;

	EACH_RECORD(w, rec, bad)
	if (rec.number == number && rec.type == CEL_WIRE_VARINT)
		otherwise = rec.u != 0;
	return otherwise;
}

/* "foo_bar" is "fooBar" in JSON. */
static int camel(struct reader *r, str name, str *ret)
{
	char *out = arena_alloc(r->arena, name.len + 1);
	bool up = false;

	if (!out)
		return no_room(r);
	*ret = str_n(out, 0);
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];

		if (c != '_')
			out[ret->len++] = up && c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
		up = c == '_';
	}
	return 0;
}

static str absolute(str name)
{
	return name.len && name.ptr[0] == '.' ? str_sub(name, 1, name.len) : name;
}

struct field_record { /* FieldDescriptorProto, its numbers in order */
	uint64_t number, label, type, oneof;
	bool in_oneof, optional3;
	str name, extendee, type_name, json_name, options, default_text;
};

static int read_field_record(struct reader *r, str bytes, struct field_record *ret)
{
	struct cel_wire w = cel_wire_of(bytes);
	bool bad = false;

	*ret = (struct field_record){ 0 };
	EACH_RECORD(w, rec, bad)
	{
		switch (rec.number) {
		case 1: ret->name = rec.bytes; break;
		case 2: ret->extendee = rec.bytes; break;
		case 3: ret->number = rec.u; break;
		case 4: ret->label = rec.u; break;
		case 5: ret->type = rec.u; break;
		case 6: ret->type_name = rec.bytes; break;
		case 7: ret->default_text = rec.bytes.ptr ? rec.bytes : STR(""); break;
		case 8: ret->options = rec.bytes; break;
		case 9: ret->oneof = rec.u, ret->in_oneof = true; break;
		case 10: ret->json_name = rec.bytes; break;
		case 17: ret->optional3 = rec.u != 0; break;
		default: break;
		}
	}
	if (bad || ret->type < CEL_FIELD_DOUBLE || ret->type > CEL_FIELD_SINT64 || ret->label < 1 || ret->label > 3 ||
		ret->number > INT32_MAX || ret->oneof > 100000)
		return malformed(r, "field");
	return 0;
}

static bool is_message_kind(enum cel_field_kind k)
{
	return k == CEL_FIELD_MESSAGE || k == CEL_FIELD_GROUP;
}

/* Does the field know "set to its default" from "not set"? */
static bool has_presence(const struct cel_field *f, const struct field_record *d, struct features feat)
{
	return f->shape == CEL_SINGULAR &&
		   (!feat.implicit || d->in_oneof || d->optional3 || is_message_kind(f->kind) || f->extension);
}

static int name_field(struct reader *r, str scope, const struct field_record *d, struct cel_field *f)
{
	int e = 0;

	f->name = d->name;
	f->json_name = d->json_name;
	if (f->extension) {
		e = full_name(r, scope, d->name, &f->name);
		f->json_name = e ? STR_NULL : str_z(arena_printf(r->arena, "[%.*s]", STR_ARG(f->name)));
	} else if (!d->name.len || !str_utf8_valid(d->name) || !str_utf8_valid(d->json_name))
		e = malformed(r, "name");
	else if (!d->json_name.len)
		e = camel(r, d->name, &f->json_name);
	return e ? e : f->json_name.ptr ? 0 : no_room(r);
}

static int read_field(struct reader *r, str scope, struct features feat, str bytes, struct cel_field *f)
{
	struct field_record d;
	int e = read_field_record(r, bytes, &d);

	if (!e)
		e = read_options(r, d.options, 21, &feat);
	if (e)
		return e;
	*f = (struct cel_field){ .number = (int32_t)d.number, .kind = (enum cel_field_kind)d.type, .oneof = -1 };
	f->extension = d.extendee.len;
	f->shape = d.label == 3 ? CEL_REPEATED : CEL_SINGULAR;
	f->type_name = absolute(d.type_name);
	f->owner_name = f->extension ? absolute(d.extendee) : scope;
	f->default_text = d.default_text;
	f->packed = option_bool(d.options, 2, feat.packed);
	if (f->kind == CEL_FIELD_MESSAGE && feat.delimited)
		f->kind = CEL_FIELD_GROUP;
	f->presence = has_presence(f, &d, feat);
	if (d.in_oneof && !d.optional3 && !f->extension)
		f->oneof = (int32_t)d.oneof;
	return name_field(r, scope, &d, f);
}

static int read_extension(struct reader *r, str scope, struct features feat, str bytes)
{
	struct cel_field *x = ARENA_NEW(r->arena, struct cel_field);
	int e = x ? read_field(r, scope, feat, bytes, x) : no_room(r);

	if (!e && !x->extension)
		e = malformed(r, "extension");
	return e ? e : cel_fill_extension(r->fill, x, r->err);
}

static int read_enum_value(struct reader *r, str bytes, struct cel_enum_value *ret)
{
	struct cel_wire w = cel_wire_of(bytes);
	bool bad = false;

	*ret = (struct cel_enum_value){ 0 };
	EACH_RECORD(w, rec, bad)
	{
		if (rec.number == 1)
			ret->name = rec.bytes;
		else if (rec.number == 2)
			ret->number = (int32_t)rec.u;
	}
	return bad || !ret->name.len || !str_utf8_valid(ret->name) ? malformed(r, "enum value") : 0;
}

static int read_enum(struct reader *r, str scope, str bytes)
{
	struct cel_enum *e = ARENA_NEW(r->arena, struct cel_enum);
	struct cel_wire w = cel_wire_of(bytes);
	bool bad = false;
	size_t cap = 0;
	int rc = e ? 0 : no_room(r);

	EACH_RECORD(w, rec, bad)
	{
		if (rc)
			return rc;
		if (rec.number == 1 && rec.type == CEL_WIRE_BYTES)
			rc = full_name(r, scope, rec.bytes, &e->name);
		else if (rec.number == 2 && !cel_grow(r->arena, (void **)&e->values, &cap, e->n, sizeof(*e->values)))
			rc = no_room(r);
		else if (rec.number == 2)
			rc = read_enum_value(r, rec.bytes, &e->values[e->n++]);
	}
	if (rc)
		return rc;
	if (bad || !e->name.len || !e->n)
		return malformed(r, "enum");
	e->first = e->values[0].number;
	return cel_fill_enum(r->fill, e, r->err);
}

/* Name and options of a type: both are needed before its parts are read. */
static int read_head(struct reader *r, str scope, str bytes, struct cel_message_type *t, struct features *feat)
{
	struct cel_wire w = cel_wire_of(bytes);
	bool bad = false;
	str name = STR_NULL;
	int e = 0;

	EACH_RECORD(w, rec, bad)
	{
		if (rec.number == 1)
			name = rec.bytes;
		if (rec.number == 8)
			t->n_oneofs++;
		if (rec.number != 7)
			continue;
		t->map_entry = option_bool(rec.bytes, 7, false);
		e = read_options(r, rec.bytes, 12, feat);
		if (e)
			return e;
	}
	return bad ? malformed(r, "message type") : full_name(r, scope, name, &t->name);
}

static int read_message(struct reader *r, str scope, struct features feat, unsigned depth, str bytes)
{
	struct cel_message_type *t = ARENA_NEW(r->arena, struct cel_message_type);
	struct cel_wire w = cel_wire_of(bytes);
	bool bad = false;
	size_t cap = 0;
	int e = t ? read_head(r, scope, bytes, t, &feat) : no_room(r);

	if (!e && depth > LIMIT_CEL_MESSAGE_DEPTH)
		e = err_set(r->err, WEIR_ELIMIT, "descriptors: types nest deeper than %d", LIMIT_CEL_MESSAGE_DEPTH);
	if (!e && t->map_entry)
		feat.delimited = false; /* entries and what is in them keep their lengths in all editions */
	EACH_RECORD(w, rec, bad)
	{
		if (e)
			return e;
		if (rec.type != CEL_WIRE_BYTES)
			continue;
		if (rec.number == 2 && !cel_grow(r->arena, (void **)&t->fields, &cap, t->n_fields, sizeof(*t->fields)))
			e = no_room(r);
		else if (rec.number == 2)
			e = read_field(r, t->name, feat, rec.bytes, &t->fields[t->n_fields++]);
		else if (rec.number == 3)
			e = read_message(r, t->name, feat, depth + 1, rec.bytes);
		else if (rec.number == 4)
			e = read_enum(r, t->name, rec.bytes);
		else if (rec.number == 6)
			e = read_extension(r, t->name, feat, rec.bytes);
	}
	return e ? e : cel_fill_type(r->fill, t, r->err);
}

/* Name, package and syntax come first in what protoc writes, but nothing demands it. */
static int read_file_head(struct reader *r, str bytes, str *ret_package, struct features *ret)
{
	struct cel_wire w = cel_wire_of(bytes);
	bool bad = false, editions = false;
	str options = STR_NULL;

	EACH_RECORD(w, rec, bad)
	{
		if (rec.number == 1)
			r->file = rec.bytes;
		else if (rec.number == 2)
			*ret_package = rec.bytes;
		else if (rec.number == 8)
			options = rec.bytes;
		else if (rec.number == 12) {
			r->proto3 = str_eqz(rec.bytes, "proto3");
			editions = str_eqz(rec.bytes, "editions");
		}
	}
	*ret = (struct features){ .implicit = r->proto3, .packed = r->proto3 || editions };
	if (bad || !r->file.len || !str_utf8_valid(r->file))
		return malformed(r, "file");
	return read_options(r, options, 50, ret);
}

static int read_file(struct reader *r, str bytes)
{
	struct cel_wire w = cel_wire_of(bytes);
	struct features feat;
	bool bad = false;
	str package = STR("");
	int e;

	r->file = STR_NULL;
	r->proto3 = false;
	e = read_file_head(r, bytes, &package, &feat);
	if (e || cel_pool_has_file(r->fill->pool, r->file))
		return e;
	e = cel_fill_file(r->fill, r->file, r->err);
	EACH_RECORD(w, rec, bad)
	{
		if (e)
			return e;
		if (rec.type != CEL_WIRE_BYTES)
			continue;
		if (rec.number == 4)
			e = read_message(r, package, feat, 1, rec.bytes);
		else if (rec.number == 5)
			e = read_enum(r, package, rec.bytes);
		else if (rec.number == 7)
			e = read_extension(r, package, feat, rec.bytes);
	}
	return e;
}

int cel_pool_add_descriptors(struct cel_pool *p, str bytes, struct err *reterr)
{
	struct cel_fill fill;
	struct reader r = { .arena = p->arena, .fill = &fill, .err = reterr };
	bool bad = false;
	int e = 0;

	if (bytes.len > LIMIT_CEL_DESCRIPTORS_BYTES)
		return err_set(reterr, WEIR_ELIMIT, "descriptors: more than %d bytes", LIMIT_CEL_DESCRIPTORS_BYTES);
	bytes = arena_str(p->arena, bytes);
	if (!bytes.ptr)
		return no_room(&r);
	cel_fill_init(&fill, p);
	struct cel_wire w = cel_wire_of(bytes);

	EACH_RECORD(w, rec, bad)
	if (rec.number == 1 && rec.type == CEL_WIRE_BYTES && (e = read_file(&r, rec.bytes)))
		return e;
	r.file = STR_NULL;
	return bad ? malformed(&r, "set") : cel_fill_link(&fill, reterr);
}
