/* JSON as people read it. What the text says is the tree it came from, and what the lines say is the text. */
#include "lib/test.h"
#include "web/json-view.h"

static void check(const char *json, const char *want)
{
	struct arena a    CLEANUP_ARENA = ARENA_INIT(8 << 20);
	struct buf text   CLEANUP_BUF = BUF_INIT(4 << 20), lines CLEANUP_BUF = BUF_INIT(4 << 20), joined CLEANUP_BUF = BUF_INIT(4 << 20);
	struct buf before CLEANUP_BUF = BUF_INIT(4 << 20), after CLEANUP_BUF = BUF_INIT(4 << 20);
	struct doc_node  *n, *back, *list;
	struct err        e = { 0 };
	struct jw         w;

	assert_ok(doc_parse_json(&a, "in", str_z(json), &n, &e), &e);
	json_view_text(n, &text);
	if (want && !str_eqz(buf_str(&text), want))
		fail_msg("%s: expected\n%s\nseen\n%s", json, want, buf_z(&text));
	assert_ok(doc_parse_json(&a, "text", buf_str(&text), &back, &e), &e);
	doc_canonical(n, &before);
	doc_canonical(back, &after);
	assert_string_equal(buf_z(&before), buf_z(&after));
	jw_init(&w, &lines);
	assert_true(json_view_lines(n, &w));
	assert_ok(doc_parse_json(&a, "lines", buf_str(&lines), &list, &e), &e);
	for (size_t i = 0; i < doc_len(list); i++) {
		const struct doc_node *parts = doc_get(doc_at(list, i), "parts");

		assert_int_equal(doc_get_int(doc_at(list, i), "number", 0), (int64_t)i + 1);
		buf_addf(&joined, "%s%.*s", i ? "\n" : "", STR_ARG(doc_get_str(doc_at(list, i), "indent")));
		for (size_t k = 0; k < doc_len(parts); k++)
			buf_add_str(&joined, doc_get_str(doc_at(parts, k), "text"));
	}
	assert_string_equal(buf_z(&joined), buf_z(&text));
}

static void test_text(void **s UNUSED)
{
	check("{}", "{}");
	check("[]", "[]");
	check("null", "null");
	check("\"a\\n\\\"<b>\\u00fc\"", NULL);
	check("{\"a\":{\"b\":[1,2.5,true,null,\"x\"]}}", "{ \"a\": { \"b\": [1, 2.5, true, null, \"x\"] } }");
	check("{\"targeting\":{\"if\":[{\"ends_with\":[{\"var\":\"email\"},\"@example.org\"]},\"on\",{\"fractional\":[[\"on\",5],[\"off\",95]]}]}}",
	      "{\n  \"targeting\": {\n    \"if\": [\n      { \"ends_with\": [{ \"var\": \"email\" }, \"@example.org\"] },\n      \"on\",\n"
	      "      { \"fractional\": [[\"on\", 5], [\"off\", 95]] }\n    ]\n  }\n}");
	check("[1e300,9007199254740993,-0.0]", NULL);
	check("{\"a\":\"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\",\"b\":[]}", NULL);
}

static void test_deep(void **s UNUSED)
{
	struct buf deep CLEANUP_BUF = BUF_INIT(1 << 20);

	for (int i = 0; i < 49; i++)
		buf_addz(&deep, "{\"k\":[");
	for (int i = 0; i < 49; i++)
		buf_addz(&deep, "]}");
	check(buf_z(&deep), NULL);
}

static void test_cut(void **s UNUSED)
{
	struct arena a  CLEANUP_ARENA = ARENA_INIT(64 << 20);
	struct buf json CLEANUP_BUF = BUF_INIT(1 << 20), lines CLEANUP_BUF = BUF_INIT(16 << 20);
	struct doc_node *n, *list;
	struct err       e = { 0 };
	struct jw        w;

	for (int i = 0; i <= JSON_VIEW_LINES_MAX; i++)
		buf_addz(&json, i ? ",[[1]]" : "[[[1]]");
	buf_addz(&json, "]");
	assert_ok(doc_parse_json(&a, "in", buf_str(&json), &n, &e), &e);
	jw_init(&w, &lines);
	assert_false(json_view_lines(n, &w));
	assert_ok(doc_parse_json(&a, "lines", buf_str(&lines), &list, &e), &e);
	assert_int_equal(doc_len(list), JSON_VIEW_LINES_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_text), cmocka_unit_test(test_deep), cmocka_unit_test(test_cut) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
