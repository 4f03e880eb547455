/* Messages against protoc: every message value of the public suite is read from JSON and, encoded by protoc from the suite's text
 * form, from bytes. Both must be the same message, survive being written and read again, and be written as the suite has it. */
#include "tests/lib/test.h"

#include "base/fs.h"
#include "base/proc.h"
#include "conformance-runner/cel_descriptors.h"
#include "doc/doc.h"
#include "lang/cel/cel-message-internal.h"

static struct arena arena = ARENA_INIT(256 << 20);
static struct err err;
static struct cel_pool *pool;
static char proto_dir[4096];
static size_t n_values;

static struct cel_value from_doc(const struct cel_message_type *t, const struct doc_node *n)
{
	struct cel_value v;

	if (cel_message_from_doc(&arena, pool, t, n, &v, &err))
		fail_msg("%s", err.msg);
	return v;
}

static struct cel_value parse(const struct cel_message_type *t, str bytes)
{
	struct cel_value v;

	if (cel_message_parse(&arena, pool, t, bytes, &v, &err))
		fail_msg("%s", err.msg);
	return v;
}

static void encode(str type, str textproto, struct buf *out)
{
	const char *argv[] = { "protoc",
						   arena_printf(&arena, "--proto_path=%s", proto_dir),
						   "--proto_path=/usr/include",
						   arena_printf(&arena, "--encode=%.*s", STR_ARG(type)),
						   "cel/expr/conformance/proto2/test_all_types.proto",
						   "cel/expr/conformance/proto2/test_all_types_extensions.proto",
						   "cel/expr/conformance/proto3/test_all_types.proto",
						   NULL };
	struct proc_run run = { .argv = argv, .input = textproto, .timeout_ms = 60000, .out = out };

	assert_ok(proc_run(&run, NULL, &err), &err);
}

static void canonical(str json, struct buf *out)
{
	struct doc_node *n;

	assert_ok(doc_parse_json(&arena, "message", json, &n, &err), &err);
	doc_canonical(n, out);
}

static bool has_nan(str json)
{
	return strstr(arena_dup(&arena, json), "NaN") != NULL;
}

static void check_value(const struct doc_node *n)
{
	str type = doc_get_str(n, "type");
	const struct cel_message_type *t = cel_pool_message(pool, type);
	struct buf bytes CLEANUP_BUF = BUF_INIT(1 << 20), again CLEANUP_BUF = BUF_INIT(1 << 20), want CLEANUP_BUF = BUF_INIT(1 << 20);
	struct buf json CLEANUP_BUF = BUF_INIT(1 << 20), seen CLEANUP_BUF = BUF_INIT(1 << 20);
	struct cel_value a, b;

	if (!t)
		fail_msg("no type %.*s", STR_ARG(type));
	n_values++;
	a = from_doc(t, doc_get(n, "json"));
	encode(type, doc_get_str(n, "textproto"), &bytes);
	b = parse(t, buf_str(&bytes));
	doc_canonical(doc_get(n, "json"), &want);
	if (!has_nan(buf_str(&want)) && !cel_equal(a, b))
		fail_msg("%s is not what protoc makes of it", buf_z(&want));
	if (a.kind != CEL_MESSAGE || cel_message_type_of(a.msg) != t)
		return; /* a well-known type: CEL sees its content */
	assert_ok(cel_message_serialize(a.msg, &again, &err), &err);
	if (!has_nan(buf_str(&want)) && !cel_equal(a, parse(t, buf_str(&again))))
		fail_msg("%s is another message when written and read again", buf_z(&want));
	assert_ok(cel_message_to_json(b.msg, &json, &err), &err);
	canonical(buf_str(&json), &seen);
	assert_string_equal(buf_z(&seen), buf_z(&want));
}

static void walk(const struct doc_node *n)
{
	if (str_eqz(doc_get_str(n, "t"), "message"))
		check_value(n);
	for (size_t i = 0; n->kind == DOC_MAP && i < n->map.n; i++)
		walk(n->map.pairs[i].value);
	for (size_t i = 0; n->kind == DOC_SEQ && i < n->seq.n; i++)
		walk(n->seq.items[i]);
}

/* The folder of the suite, and the types as protoc has them; skips when either is missing. */
static const char *need_protoc(void)
{
	const char *data = test_conformance_dir();
	int r;

	if (!data) {
		print_message("skipped: WEIR_CONFORMANCE is not set\n");
		skip();
	}
	assert_ok(fs_join(proto_dir, sizeof(proto_dir), &err, data, "cel/proto"), &err);
	r = cel_descriptors_protoc(&arena, proto_dir, &pool, &err);
	if (r == -WEIR_ENOENT) {
		print_message("skipped: %s\n", err.msg);
		skip();
	}
	assert_ok(r, &err);
	return data;
}

static const char *field_text(const struct cel_field *f)
{
	struct buf b CLEANUP_BUF = BUF_INIT(10000);

	buf_addf(&b, "%.*s %.*s %.*s %d kind %d shape %d oneof %d packed %d presence %d ", STR_ARG(f->owner->name), STR_ARG(f->name),
			 STR_ARG(f->json_name), f->number, f->kind, f->shape, f->oneof, f->packed, f->presence);
	cel_type_print(f->type, &b);
	buf_addc(&b, ' ');
	cel_print(f->unset, &b);
	return arena_dup(&arena, buf_str(&b));
}

/* The suites read the .proto files without protoc: it must come to the same. */
static void test_reader(void **state)
{
	struct cel_pool *own;
	size_t n = 0;

	(void)state;
	(void)need_protoc();
	assert_ok(cel_descriptors_load(&arena, proto_dir, &own, &err), &err);
	assert_int_equal(own->n_types, pool->n_types);
	assert_int_equal(own->n_enums, pool->n_enums);
	assert_int_equal(own->n_extensions, pool->n_extensions);
	for (size_t i = 0; i < pool->n_types; i++) {
		assert_true(str_eq(own->types[i]->name, pool->types[i]->name));
		assert_int_equal(own->types[i]->n_fields, pool->types[i]->n_fields);
		assert_int_equal(own->types[i]->map_entry, pool->types[i]->map_entry);
		for (size_t j = 0; j < pool->types[i]->n_fields; j++, n++)
			assert_string_equal(field_text(&own->types[i]->fields[j]), field_text(&pool->types[i]->fields[j]));
	}
	for (size_t i = 0; i < pool->n_extensions; i++)
		assert_string_equal(field_text(own->extensions[i]), field_text(pool->extensions[i]));
	for (size_t i = 0; i < pool->n_enums; i++) {
		assert_int_equal(own->enums[i]->n, pool->enums[i]->n);
		for (size_t j = 0; j < pool->enums[i]->n; j++)
			assert_true(str_eq(own->enums[i]->values[j].name, pool->enums[i]->values[j].name) &&
						own->enums[i]->values[j].number == pool->enums[i]->values[j].number);
	}
	print_message("%zu fields\n", n);
	assert_true(n > 500);
	arena_fini(&arena);
}

static void test_values(void **state)
{
	const char *data = need_protoc();
	struct buf text CLEANUP_BUF = BUF_INIT(64 << 20);
	char path[4096];
	str rest, line;

	(void)state;
	assert_ok(fs_join(path, sizeof(path), &err, data, "cel/cel-spec.jsonl"), &err);
	assert_ok(fs_read(path, &text, &err), &err);
	for (rest = buf_str(&text); rest.len;) {
		struct doc_node *n;

		str_cut(rest, '\n', &line, &rest);
		if (!strstr(arena_dup(&arena, line), "\"message\""))
			continue;
		assert_ok(doc_parse_json(&arena, "cel-spec", line, &n, &err), &err);
		walk(n);
	}
	print_message("%zu message values\n", n_values);
	assert_true(n_values > 100);
	arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_reader), cmocka_unit_test(test_values) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
