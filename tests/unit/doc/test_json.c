/* Reading JSON: values, places, refusals with their place, and every limit. */
#include "lib/test.h"
#include "base/limits.h"
#include "doc/doc.h"

#define ARENA_MAX (256u << 20)

static const struct doc_node *parse(struct arena *a, str text)
{
	struct doc_node *n = NULL;
	struct err       err = { 0 };

	assert_ok(doc_parse_json(a, "f.json", text, &n, &err), &err);
	return n;
}

static void refuse(str text, int code, const char *msg)
{
	struct arena     a = ARENA_INIT(ARENA_MAX);
	struct doc_node *n = (struct doc_node *)&a;
	struct err       err = { 0 };

	assert_err(doc_parse_json(&a, "f.json", text, &n, &err), code);
	if (msg)
		assert_string_equal(err.msg, msg);
	assert_ptr_equal(n, &a); /* written on success only */
	arena_fini(&a);
}

static void assert_place(const struct doc_node *n, unsigned line, unsigned col)
{
	assert_non_null(n);
	assert_int_equal(n->line, line);
	assert_int_equal(n->col, col);
}

static void test_values(void **s UNUSED)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(ARENA_MAX);
	const struct doc_node *n = parse(&a, STR("{\"t\":true,\"f\":false,\"n\":null,\"i\":-12,\"d\":1.5e1,\"s\":\"x\",\"l\":[1,2]}"));

	assert_int_equal(n->kind, DOC_MAP);
	assert_int_equal(doc_len(n), 7);
	assert_true(doc_get_bool(n, "t", false));
	assert_false(doc_get_bool(n, "f", true));
	assert_int_equal(doc_get(n, "n")->kind, DOC_NULL);
	assert_int_equal(doc_get_int(n, "i", 0), -12);
	assert_true(doc_get_num(n, "d", 0) == 15.0);
	assert_true(doc_get_num(n, "i", 0) == -12.0);
	assert_str(doc_get(n, "d")->text, "1.5e1");
	assert_str(doc_get_str(n, "s"), "x");
	assert_int_equal(doc_at(doc_get(n, "l"), 1)->i, 2);
	assert_null(doc_at(doc_get(n, "l"), 2));
	assert_null(doc_get(n, "absent"));
	assert_null(doc_get_str(n, "i").ptr);
	assert_int_equal(doc_get_int(n, "s", 7), 7);
	assert_true(doc_get_bool(n, "s", true));
	assert_true(doc_get_num(NULL, "s", 2.5) == 2.5);
	assert_int_equal(doc_len(NULL), 0);
	assert_int_equal(doc_len(doc_get(n, "s")), 0);
}

static void test_path(void **s UNUSED)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(ARENA_MAX);
	const struct doc_node *n = parse(&a, STR("{\"a\":{\"b\":{\"c\":3}}}"));

	assert_int_equal(doc_path(n, "a.b.c")->i, 3);
	assert_ptr_equal(doc_path(n, "a"), doc_get(n, "a"));
	assert_ptr_equal(doc_path(n, ""), n);
	assert_null(doc_path(n, "a.x.c"));
	assert_null(doc_path(n, "a.b.c.d"));
	assert_null(doc_path(NULL, "a"));
}

static void test_strings(void **s UNUSED)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(ARENA_MAX);
	const struct doc_node *n;

	assert_str(parse(&a, STR("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""))->s, "\"\\/\b\f\n\r\t");
	assert_str(parse(&a, STR("\"\\u00e4\\u20AC\\ud83d\\uDE00x\""))->s, "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80x");
	n = parse(&a, STR("\"a\\u0000b\""));
	assert_int_equal(n->s.len, 3);
	assert_memory_equal(n->s.ptr, "a\0b\0", 4); /* NUL behind it */
	assert_str(parse(&a, STR("\"\""))->s, "");
}

static void test_numbers(void **s UNUSED)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(ARENA_MAX);
	const struct doc_node *n = parse(&a, STR("9223372036854775807"));

	assert_int_equal(n->kind, DOC_INT);
	assert_true(n->i == INT64_MAX);
	n = parse(&a, STR("-9223372036854775808"));
	assert_true(n->kind == DOC_INT && n->i == INT64_MIN);
	n = parse(&a, STR("9223372036854775808"));
	assert_int_equal(n->kind, DOC_REAL);
	assert_true(n->d == 9223372036854775808.0);
	assert_str(n->text, "9223372036854775808");
	n = parse(&a, STR("0.0000000000000000000000000000000000000000000000000000000000000000000000000000000000001"));
	assert_true(n->d > 0); /* longer than any small buffer */
	refuse(STR("1e999"), WEIR_EPARSE, NULL);
	refuse(STR("01"), WEIR_EPARSE, NULL);
	refuse(STR("NaN"), WEIR_EPARSE, NULL);
}

static void test_places(void **s UNUSED)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(ARENA_MAX);
	const struct doc_node *n = parse(&a, STR("\n {\n  \"a\": [1,\n   \"\xc3\xa4\", {}]\r\n ,\t\"b\" : true\n}\n"));

	assert_place(n, 2, 2);
	assert_int_equal(n->end_line, 6);
	assert_place(doc_get(n, "a"), 3, 8);
	assert_int_equal(doc_get(n, "a")->end_line, 4);
	assert_place(doc_at(doc_get(n, "a"), 0), 3, 9);
	assert_place(doc_at(doc_get(n, "a"), 1), 4, 4);
	assert_place(doc_at(doc_get(n, "a"), 2), 4, 10); /* bytes, not characters */
	assert_place(doc_get(n, "b"), 5, 10);
	assert_int_equal(n->map.pairs[1].line, 5);
	assert_int_equal(n->map.pairs[1].col, 4);
}

static void test_refusals(void **s UNUSED)
{
	refuse(STR(""), WEIR_EPARSE, NULL);
	refuse(STR_NULL, WEIR_EPARSE, NULL);
	refuse(STR("{\"a\":1,\n \"b\":2,\n  \"a\":3}"), WEIR_EPARSE,
	       "f.json:3:3: duplicate key 'a' (first at line 1); remove one of them");
	refuse(STR("[1,\n2,]"), WEIR_EPARSE, "f.json:2:3: unexpected token");
	refuse(STR("[1] x"), WEIR_EPARSE, "f.json:1:5: end of file expected");
	refuse(STR("{\"a\": \"secret\" \"x\"}"), WEIR_EPARSE, "f.json:1:18: '}' expected");
	refuse(STR("[\n\"a\xff\"]"), WEIR_EPARSE, "f.json:2:3: not valid UTF-8 here; save the file as UTF-8");
	refuse(STR("\xef\xbb\xbf{}"), WEIR_EPARSE, NULL);
	refuse(STR("\"\\ud800\""), WEIR_EPARSE, NULL);
	refuse(STR("\"\\udc00\\ud800\""), WEIR_EPARSE, NULL);
	refuse(STR("\"\\x\""), WEIR_EPARSE, NULL);
	refuse(STR("\"a\nb\""), WEIR_EPARSE, NULL);
	refuse(STR("'a'"), WEIR_EPARSE, NULL);
	refuse(STR("[1] // comment"), WEIR_EPARSE, NULL);
}

/* Messages never quote values: those may be secrets. */
static void test_messages_quote_no_values(void **s UNUSED)
{
	struct arena     a = ARENA_INIT(ARENA_MAX);
	struct doc_node *n = NULL;
	struct err       err = { 0 };

	assert_err(doc_parse_json(&a, "f", STR("{\"password\": hunter2}"), &n, &err), WEIR_EPARSE);
	assert_null(strstr(err.msg, "hunter2"));
	assert_err(doc_parse_json(&a, "f", STR("{\"password\" \"hunter2\"}"), &n, &err), WEIR_EPARSE);
	assert_null(strstr(err.msg, "hunter2"));
	arena_fini(&a);
}

static void test_many_keys(void **s UNUSED)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(ARENA_MAX);
	CLEANUP_BUF struct buf b = BUF_INIT(1 << 20);

	buf_addc(&b, '{');
	for (int i = 0; i < 1000; i++)
		buf_addf(&b, "%s\"k%d\":%d", i ? "," : "", i, i);
	buf_addz(&b, "}");
	assert_int_equal(doc_get_int(parse(&a, buf_str(&b)), "k999", 0), 999);
	b.len--;
	buf_addz(&b, ",\n\"k500\":1}");
	refuse(buf_str(&b), WEIR_EPARSE, "f.json:2:1: duplicate key 'k500' (first at line 1); remove one of them");
}

static void nested(struct buf *b, int depth)
{
	for (int i = 0; i < depth; i++)
		buf_addc(b, '[');
	for (int i = 0; i < depth; i++)
		buf_addc(b, ']');
}

static void test_limits(void **s UNUSED)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(ARENA_MAX);
	CLEANUP_BUF struct buf b = BUF_INIT(64 << 20);

	nested(&b, LIMIT_DOC_DEPTH);
	parse(&a, buf_str(&b));
	buf_clear(&b);
	nested(&b, LIMIT_DOC_DEPTH + 1);
	refuse(buf_str(&b), WEIR_ELIMIT, "f.json:1:101: nested deeper than 100");
	buf_clear(&b);
	nested(&b, 100000);
	refuse(buf_str(&b), WEIR_ELIMIT, NULL);

	buf_clear(&b); /* 1 + 999,999 values, and one more */
	buf_addz(&b, "[0");
	for (int i = 1; i < LIMIT_DOC_NODES - 1; i++)
		buf_addz(&b, ",0");
	buf_addz(&b, "]");
	assert_int_equal(doc_len(parse(&a, buf_str(&b))), LIMIT_DOC_NODES - 1);
	b.len--;
	buf_addz(&b, ",0]");
	refuse(buf_str(&b), WEIR_ELIMIT, NULL);
	buf_clear(&b);
	for (int i = 0; i < LIMIT_DOC_BYTES; i++)
		buf_addc(&b, ',');
	refuse(buf_str(&b), WEIR_ELIMIT, NULL); /* refused by its punctuation before jansson */

	buf_clear(&b);
	buf_addc(&b, '"');
	for (int i = 2; i < LIMIT_DOC_BYTES; i++)
		buf_addc(&b, 'x');
	buf_addc(&b, '"');
	assert_int_equal(parse(&a, buf_str(&b))->s.len, LIMIT_DOC_BYTES - 2);
	buf_addc(&b, ' ');
	refuse(buf_str(&b), WEIR_ELIMIT, "f.json: 8388609 bytes, more than the 8388608 that a document may have");
}

/* Every arena size up to what the document needs fails cleanly; none crashes or returns half a tree. */
static void test_small_arena(void **s UNUSED)
{
	str    text = STR("{\"a\":[1,2.5,\"x\",{\"b\":null}],\"c\":\"\\u00e4\",\"d\":true}");
	size_t max = 0;
	int    e;

	do {
		struct arena     a = ARENA_INIT(max);
		struct doc_node *n = NULL;
		struct err       err = { 0 };

		e = doc_parse_json(&a, "f", text, &n, &err);
		assert_true(e == 0 || e == -WEIR_ELIMIT);
		assert_true((e == 0) == (n != NULL));
		arena_fini(&a);
		max += 16;
	} while (e && max < 65536);
	assert_int_equal(e, 0);
	assert_true(max > 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),        cmocka_unit_test(test_path),
		cmocka_unit_test(test_strings),       cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_places),        cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_many_keys),     cmocka_unit_test(test_messages_quote_no_values),
		cmocka_unit_test(test_limits),        cmocka_unit_test(test_small_arena),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
