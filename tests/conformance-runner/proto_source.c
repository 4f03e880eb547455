/* proto_source.c - a small reader of .proto files (see proto_source.h; language of protobuf.dev/reference/protobuf/proto2-spec).
 *
 * Two passes over the same code: the first collects the names of types, the second resolves names to them and writes descriptors.
 * Main thread of a test program; recursion is bounded by DEPTH_MAX. */
#include "base/base.h"
#include "proto_source.h"

#include "base/vec.h"
#include "lang/cel/cel-wire.h"

enum { DEPTH_MAX = 50, DESCRIPTOR_MAX = 4 << 20 };
enum { KIND_BYTES = 12, KIND_ENUM = 14, KIND_MESSAGE = 11, KIND_GROUP = 10 };

struct type {
	str name;
	bool is_enum;
};
struct source {
	struct arena *arena;
	str file, rest, token; /* token: the one that is next; empty at the end */
	unsigned line;
	bool proto3, writes; /* writes: second pass */
	str package;
	VEC(struct type) types;
	struct err *err;
};

/* --- tokens --- */

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
}

static void skip_blank(struct source *s)
{
	while (s->rest.len) {
		const char *p = s->rest.ptr;
		size_t n = 0;

		if (str_has_prefix(s->rest, STR("//")))
			n = str_find(s->rest, '\n');
		else if (str_has_prefix(s->rest, STR("/*")))
			for (n = 2; n < s->rest.len && !(p[n - 1] == '/' && p[n - 2] == '*' && n > 3); n++)
				s->line += p[n] == '\n';
		else if (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n') {
			n = 1;
			s->line += *p == '\n';
		} else
			return;
		s->rest = str_sub(s->rest, n, s->rest.len);
	}
}

static void advance(struct source *s)
{
	size_t n = 1;

	skip_blank(s);
	if (!s->rest.len)
		n = 0;
	else if (s->rest.ptr[0] == '"' || s->rest.ptr[0] == '\'') {
		while (n < s->rest.len && s->rest.ptr[n] != s->rest.ptr[0])
			n += s->rest.ptr[n] == '\\' ? 2 : 1;
		n++;
	} else if (is_word(s->rest.ptr[0]))
		while (n < s->rest.len && is_word(s->rest.ptr[n]))
			n++;
	s->token = str_sub(s->rest, 0, n);
	s->rest = str_sub(s->rest, n, s->rest.len);
}

static int unexpected(struct source *s, const char *want)
{
	return err_set(s->err, WEIR_EPARSE, "%.*s:%u: expected %s, not '%.*s'", STR_ARG(s->file), s->line, want, STR_ARG(s->token));
}

static bool take(struct source *s, const char *z)
{
	if (!str_eqz(s->token, z))
		return false;
	advance(s);
	return true;
}

static int need(struct source *s, const char *z)
{
	return take(s, z) ? 0 : unexpected(s, z);
}

static int word(struct source *s, str *ret)
{
	if (!s->token.len || !is_word(s->token.ptr[0]))
		return unexpected(s, "a name or number");
	*ret = s->token;
	advance(s);
	return 0;
}

/* To the ';' of a statement, or past its block. */
static int skip_statement(struct source *s)
{
	size_t depth = 0;

	for (; s->token.len; advance(s)) {
		depth += str_eqz(s->token, "{");
		if (str_eqz(s->token, "}") && --depth == 0)
			return need(s, "}");
		if (str_eqz(s->token, ";") && !depth)
			return need(s, ";");
	}
	return unexpected(s, "';'");
}

/* --- writing --- */

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

static str joined(struct source *s, str scope, str name)
{
	return scope.len ? str_z(arena_printf(s->arena, "%.*s.%.*s", STR_ARG(scope), STR_ARG(name))) : name;
}

static const struct type *find_type(const struct source *s, str name)
{
	static const struct type known = { { NULL, 0 }, false }, known_enum = { { NULL, 0 }, true };

	for (size_t i = 0; i < s->types.n; i++)
		if (str_eq(s->types.v[i].name, name))
			return &s->types.v[i];
	if (!str_has_prefix(name, STR("google.protobuf.")))
		return NULL;
	return str_eqz(name, "google.protobuf.NullValue") ? &known_enum : &known;
}

/* A name as a field has it, looked for from the inner scope outwards. */
static int resolve(struct source *s, str scope, str name, str *ret, bool *ret_enum)
{
	const struct type *t = NULL;

	if (name.len && name.ptr[0] == '.') {
		*ret = str_sub(name, 1, name.len);
		t = find_type(s, *ret);
	}
	while (!t) {
		*ret = joined(s, scope, name);
		t = find_type(s, *ret);
		if (t || !scope.len)
			break;
		while (scope.len && scope.ptr[scope.len - 1] != '.')
			scope.len--;
		scope.len -= scope.len > 0;
	}
	if (!t && s->writes)
		return err_set(s->err, WEIR_EPARSE, "%.*s:%u: no type '%.*s'", STR_ARG(s->file), s->line, STR_ARG(name));
	*ret_enum = t && t->is_enum;
	return 0;
}

static unsigned scalar_kind(str name)
{
	static const char *const names[] = { NULL,      "double",   "float",    "int64",  "uint64", "int32", "fixed64",
										 "fixed32", "bool",     "string",   NULL,     NULL,     "bytes", "uint32",
										 NULL,      "sfixed32", "sfixed64", "sint32", "sint64" };

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i] && str_eqz(name, names[i]))
			return i;
	return 0;
}

/* The text of a string token, escapes undone but for bytes, whose default is written with them. */
static str unquoted(struct source *s, str token, bool keep)
{
	str in = str_sub(token, 1, token.len - 2);
	char *out = arena_alloc(s->arena, in.len + 1);
	size_t n = 0;

	for (size_t i = 0; i < in.len; i++) {
		if (in.ptr[i] == '\\' && !keep && i + 1 < in.len)
			i++;
		out[n++] = in.ptr[i];
	}
	return str_n(out, n);
}

/* --- declarations --- */

struct field {
	str type, name, number, fallback; /* fallback ptr NULL: no default */
	unsigned label;                   /* 1 optional, 2 required, 3 repeated */
	unsigned kind;
	int oneof; /* -1: none */
	bool optional, packed, not_packed;
};

/* [default = x, packed = true, other = { ... }] */
static int field_options(struct source *s, struct field *f)
{
	if (!take(s, "["))
		return 0;
	while (s->token.len && !str_eqz(s->token, "]")) {
		bool is_default = str_eqz(s->token, "default"), is_packed = str_eqz(s->token, "packed");
		bool minus = false;

		while (s->token.len && !str_eqz(s->token, "="))
			advance(s);
		advance(s);
		minus = take(s, "-");
		if (is_default && s->token.len && (s->token.ptr[0] == '"' || s->token.ptr[0] == '\''))
			f->fallback = unquoted(s, s->token, f->kind == KIND_BYTES);
		else if (is_default)
			f->fallback = str_z(arena_printf(s->arena, "%s%.*s", minus ? "-" : "", STR_ARG(s->token)));
		f->packed |= is_packed && str_eqz(s->token, "true");
		f->not_packed |= is_packed && !str_eqz(s->token, "true");
		while (s->token.len && !str_eqz(s->token, ",") && !str_eqz(s->token, "]"))
			advance(s);
		take(s, ",");
	}
	return need(s, "]");
}

static int write_field(struct source *s, str scope, str extendee, const struct field *f, uint32_t as, struct buf *out)
{
	struct buf b CLEANUP_BUF = BUF_INIT(DESCRIPTOR_MAX);
	bool is_enum = false;
	unsigned kind = f->kind;
	uint64_t number;
	str full;

	if (!kind || kind == KIND_GROUP) {
		int r = resolve(s, scope, f->type, &full, &is_enum);

		if (r)
			return r;
		kind = kind ? kind : is_enum ? KIND_ENUM : KIND_MESSAGE;
		put_text(&b, 6, str_z(arena_printf(s->arena, ".%.*s", STR_ARG(full))));
	}
	if (!str_to_u64(f->number, &number))
		return unexpected(s, "a field number");
	put_text(&b, 1, f->name);
	if (extendee.len) {
		int r = resolve(s, scope, extendee, &full, &is_enum);

		if (r)
			return r;
		put_text(&b, 2, str_z(arena_printf(s->arena, ".%.*s", STR_ARG(full))));
	}
	put_int(&b, 3, number);
	put_int(&b, 4, f->label);
	put_int(&b, 5, kind);
	if (f->fallback.ptr)
		put_text(&b, 7, f->fallback);
	if (f->packed || f->not_packed)
		put_text(&b, 8, f->packed ? STR("\x10\x01") : str_n("\x10\x00", 2));
	if (f->oneof >= 0)
		put_int(&b, 9, (uint64_t)f->oneof);
	else if (f->optional && s->proto3) { /* protoc makes a oneof for it; its number does not matter, it is of this field alone */
		put_int(&b, 9, 1000 + number % 10000);
		put_int(&b, 17, 1);
	}
	put_text(out, as, buf_str(&b));
	return 0;
}

static int read_message(struct source *s, str scope, unsigned depth, uint32_t as, str name, struct buf *out);
static int read_body(struct source *s, str scope, unsigned depth, struct buf *out);

static int declare(struct source *s, str name, bool is_enum)
{
	struct type t = { name, is_enum };

	return s->writes || VEC_PUSH(&s->types, t) ? 0 : err_set(s->err, WEIR_ENOMEM, "out of memory");
}

/* "map<K, V> name = 1;" as its entry type and a repeated field; the words before '<' are taken. */
static int read_map(struct source *s, str scope, struct buf *out)
{
	struct field key = { .name = STR("key"), .number = STR("1"), .label = 1, .oneof = -1 };
	struct field value = { .name = STR("value"), .number = STR("2"), .label = 1, .oneof = -1 };
	struct field f = { .label = 3, .oneof = -1 };
	struct buf entry CLEANUP_BUF = BUF_INIT(DESCRIPTOR_MAX);
	int r = need(s, "<");
	bool up = true;
	char *name;
	size_t n = 0;

	r = r ? r : word(s, &key.type);
	r = r ? r : need(s, ",");
	r = r ? r : word(s, &value.type);
	r = r ? r : need(s, ">");
	r = r ? r : word(s, &f.name);
	r = r ? r : need(s, "=");
	r = r ? r : word(s, &f.number);
	r = r ? r : field_options(s, &f);
	r = r ? r : need(s, ";");
	name = arena_alloc(s->arena, f.name.len + sizeof("Entry"));
	for (size_t i = 0; !r && i < f.name.len; i++) { /* foo_bar: FooBarEntry */
		char c = f.name.ptr[i];

		if (c != '_')
			name[n++] = up && c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
		up = c == '_';
	}
	if (r)
		return r;
	memcpy(name + n, "Entry", sizeof("Entry"));
	f.type = str_z(name);
	key.kind = scalar_kind(key.type);
	value.kind = scalar_kind(value.type);
	put_text(&entry, 1, f.type);
	r = write_field(s, scope, STR_NULL, &key, 2, &entry);
	r = r ? r : write_field(s, scope, STR_NULL, &value, 2, &entry);
	put_text(&entry, 7, STR("\x38\x01"));
	put_text(out, 3, buf_str(&entry));
	r = r ? r : declare(s, joined(s, scope, f.type), false);
	return r ? r : write_field(s, scope, STR_NULL, &f, 2, out);
}

static int read_field(struct source *s, str scope, str extendee, int oneof, unsigned depth, uint32_t as, struct buf *out)
{
	struct field f = { .label = 1, .oneof = oneof };
	int r = 0;

	f.optional = str_eqz(s->token, "optional");
	f.label = str_eqz(s->token, "repeated") ? 3 : str_eqz(s->token, "required") ? 2 : 1;
	if (f.optional || f.label > 1)
		advance(s);
	r = word(s, &f.type);
	if (!r && str_eqz(f.type, "map") && str_eqz(s->token, "<"))
		return read_map(s, scope, out);
	f.kind = str_eqz(f.type, "group") ? KIND_GROUP : scalar_kind(f.type);
	r = r ? r : word(s, &f.name);
	r = r ? r : need(s, "=");
	r = r ? r : word(s, &f.number);
	r = r ? r : field_options(s, &f);
	if (r)
		return r;
	if (f.kind == KIND_GROUP) { /* the type is declared here; the field has its name in small letters */
		f.type = f.name;
		f.name = arena_str(s->arena, f.name);
		char *small = arena_dup(s->arena, f.name);

		for (size_t i = 0; i < f.name.len; i++)
			small[i] = small[i] >= 'A' && small[i] <= 'Z' ? (char)(small[i] - 'A' + 'a') : small[i];
		f.name.ptr = small;
		r = read_message(s, scope, depth + 1, as == 7 ? 4 : 3, f.type,
						 out); /* beside an extension of the file: a type of the file */
	} else
		r = need(s, ";");
	return r ? r : write_field(s, scope, extendee, &f, as, out);
}

static int read_fields(struct source *s, str scope, str extendee, int oneof, unsigned depth, uint32_t as, struct buf *out)
{
	int r = need(s, "{");

	while (!r && !str_eqz(s->token, "}"))
		r = str_eqz(s->token, "option") ? skip_statement(s) : read_field(s, scope, extendee, oneof, depth, as, out);
	return r ? r : need(s, "}");
}

static int read_enum(struct source *s, str scope, uint32_t as, struct buf *out)
{
	struct buf b CLEANUP_BUF = BUF_INIT(DESCRIPTOR_MAX);
	str name, value, number;
	int r = word(s, &name);
	int64_t n;

	r = r ? r : declare(s, joined(s, scope, name), true);
	put_text(&b, 1, r ? STR("") : name);
	r = r ? r : need(s, "{");
	while (!r && !str_eqz(s->token, "}")) {
		struct buf v CLEANUP_BUF = BUF_INIT(DESCRIPTOR_MAX);
		bool minus;

		if (str_eqz(s->token, "option") || str_eqz(s->token, "reserved")) {
			r = skip_statement(s);
			continue;
		}
		r = word(s, &value);
		r = r ? r : need(s, "=");
		minus = !r && take(s, "-");
		r = r ? r : word(s, &number);
		r = r ? r : skip_statement(s);
		if (!r && !str_to_i64(number, &n))
			r = unexpected(s, "a number");
		if (r)
			break;
		put_text(&v, 1, value);
		put_int(&v, 2, (uint64_t)(minus ? -n : n));
		put_text(&b, 2, buf_str(&v));
	}
	r = r ? r : need(s, "}");
	put_text(out, as, buf_str(&b));
	return r;
}

static int read_oneof(struct source *s, str scope, unsigned depth, int index, struct buf *out)
{
	struct buf b CLEANUP_BUF = BUF_INIT(DESCRIPTOR_MAX);
	str name;
	int r = word(s, &name);

	if (r)
		return r;
	put_text(&b, 1, name);
	put_text(out, 8, buf_str(&b));
	return read_fields(s, scope, STR_NULL, index, depth, 2, out);
}

static int read_extend(struct source *s, str scope, unsigned depth, uint32_t as, struct buf *out)
{
	str extendee;
	int r = word(s, &extendee);

	return r ? r : read_fields(s, scope, extendee, -1, depth, as, out);
}

static int read_body(struct source *s, str scope, unsigned depth, struct buf *out)
{
	int r = depth > DEPTH_MAX ? unexpected(s, "fewer levels") : need(s, "{"), oneofs = 0;
	str name;

	while (!r && !str_eqz(s->token, "}")) {
		if (str_eqz(s->token, "option") || str_eqz(s->token, "reserved") || str_eqz(s->token, "extensions"))
			r = skip_statement(s);
		else if (take(s, "message")) {
			r = word(s, &name);
			r = r ? r : read_message(s, scope, depth + 1, 3, name, out);
		} else if (take(s, "enum"))
			r = read_enum(s, scope, 4, out);
		else if (take(s, "oneof"))
			r = read_oneof(s, scope, depth, oneofs++, out);
		else if (take(s, "extend"))
			r = read_extend(s, scope, depth, 6, out);
		else if (!take(s, ";"))
			r = read_field(s, scope, STR_NULL, -1, depth, 2, out);
	}
	return r ? r : need(s, "}");
}

static int read_message(struct source *s, str scope, unsigned depth, uint32_t as, str name, struct buf *out)
{
	struct buf b CLEANUP_BUF = BUF_INIT(DESCRIPTOR_MAX);
	str full = joined(s, scope, name);
	int r = declare(s, full, false);

	put_text(&b, 1, name);
	r = r ? r : read_body(s, full, depth, &b);
	put_text(out, as, buf_str(&b));
	return r;
}

static int read_file(struct source *s, const struct proto_file *file, struct buf *out)
{
	struct buf b CLEANUP_BUF = BUF_INIT(DESCRIPTOR_MAX);
	int r = 0;
	str name;

	s->file = file->name;
	s->rest = file->text;
	s->line = 1;
	s->proto3 = false;
	s->package = STR("");
	advance(s);
	put_text(&b, 1, file->name);
	while (!r && s->token.len) {
		if (take(s, "syntax")) {
			r = need(s, "=");
			s->proto3 = str_eqz(s->token, "\"proto3\"") || str_eqz(s->token, "'proto3'");
			put_text(&b, 12, s->proto3 ? STR("proto3") : STR("proto2"));
			r = r ? r : skip_statement(s);
		} else if (take(s, "package")) {
			r = word(s, &s->package);
			r = r ? r : need(s, ";");
			put_text(&b, 2, s->package);
		} else if (take(s, "message")) {
			r = word(s, &name);
			r = r ? r : read_message(s, s->package, 1, 4, name, &b);
		} else if (take(s, "enum"))
			r = read_enum(s, s->package, 5, &b);
		else if (take(s, "extend"))
			r = read_extend(s, s->package, 1, 7, &b);
		else
			r = skip_statement(s); /* import, option, service, ; */
	}
	if (s->writes)
		put_text(out, 1, buf_str(&b));
	return r;
}

int proto_source_compile(struct arena *a, const struct proto_file *files, size_t n, struct buf *out, struct err *reterr)
{
	struct source s = { .arena = a, .err = reterr };
	int r = 0;

	for (int pass = 0; !r && pass < 2; pass++) {
		s.writes = pass == 1;
		for (size_t i = 0; !r && i < n; i++)
			r = read_file(&s, &files[i], out);
	}
	VEC_FINI(&s.types);
	if (!r)
		r = arena_check(a, "message definitions", reterr);
	return r ? r : buf_check(out, "message definitions", reterr);
}
