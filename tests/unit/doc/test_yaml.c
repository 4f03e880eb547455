/* Reading YAML: core schema, places, aliases, refusals with their place, and every limit. */
#include "lib/test.h"
#include "base/limits.h"
#include "doc/doc.h"

#include <math.h>

#define ARENA_MAX (512u << 20)

static const struct doc_node *parse(struct arena *a, str text)
{
	struct doc_node *n = NULL;
	struct err       err = { 0 };

	assert_ok(doc_parse_yaml(a, "f.yml", text, &n, &err), &err);
	return n;
}

static void refuse(str text, int code, const char *msg)
{
	struct arena     a = ARENA_INIT(ARENA_MAX);
	struct doc_node *n = (struct doc_node *)&a;
	struct err       err = { 0 };

	assert_err(doc_parse_yaml(&a, "f.yml", text, &n, &err), code);
	if (msg)
		assert_string_equal(err.msg, msg);
	assert_ptr_equal(n, &a);
	arena_fini(&a);
}

static void assert_place(const struct doc_node *n, unsigned line, unsigned col, unsigned end_line)
{
	assert_non_null(n);
	assert_int_equal(n->line, line);
	assert_int_equal(n->col, col);
	assert_int_equal(n->end_line, end_line);
}

static void test_core_schema(void **s UNUSED)
{
	static const struct {
		const char   *text;
		enum doc_kind kind;
		double        value;
	} cases[] = {
		{ "~", DOC_NULL, 0 },         { "null", DOC_NULL, 0 },      { "Null", DOC_NULL, 0 },       { "NULL", DOC_NULL, 0 },
		{ "nULL", DOC_STR, 0 },       { "true", DOC_BOOL, 1 },      { "True", DOC_BOOL, 1 },       { "TRUE", DOC_BOOL, 1 },
		{ "false", DOC_BOOL, 0 },     { "FALSE", DOC_BOOL, 0 },     { "yes", DOC_STR, 0 },         { "no", DOC_STR, 0 },
		{ "on", DOC_STR, 0 },         { "off", DOC_STR, 0 },        { "y", DOC_STR, 0 },           { "NO", DOC_STR, 0 },
		{ "0", DOC_INT, 0 },          { "-0", DOC_INT, 0 },         { "+12", DOC_INT, 12 },        { "-12", DOC_INT, -12 },
		{ "012", DOC_INT, 12 },       { "0o17", DOC_INT, 15 },      { "0o18", DOC_STR, 0 },        { "0x1F", DOC_INT, 31 },
		{ "0xe", DOC_INT, 14 },       { "0xg", DOC_STR, 0 },        { "-0x1", DOC_STR, 0 },        { "0x", DOC_STR, 0 },
		{ "0x0x1", DOC_STR, 0 },      { "0b1", DOC_STR, 0 },        { "1_000", DOC_STR, 0 },       { "1:30", DOC_STR, 0 },
		{ "1.5", DOC_REAL, 1.5 },     { ".5", DOC_REAL, .5 },       { "1.", DOC_REAL, 1 },         { "-1.5e-3", DOC_REAL, -1.5e-3 },
		{ "12e03", DOC_REAL, 12000 }, { "1e", DOC_STR, 0 },         { "e1", DOC_STR, 0 },          { ".", DOC_STR, 0 },
		{ "+", DOC_STR, 0 },          { "-.5", DOC_REAL, -.5 },     { "1.2.3", DOC_STR, 0 },       { ".inf", DOC_REAL, INFINITY },
		{ "-.Inf", DOC_REAL, -INFINITY }, { "+.INF", DOC_REAL, INFINITY }, { "inf", DOC_STR, 0 },  { "nan", DOC_STR, 0 },
		{ "'1'", DOC_STR, 0 },        { "\"true\"", DOC_STR, 0 },   { "2001-12-14", DOC_STR, 0 },  { "=", DOC_STR, 0 },
		{ "9223372036854775807", DOC_INT, 9223372036854775807.0 },  { "9223372036854775808", DOC_REAL, 9223372036854775808.0 },
		{ "0x7fffffffffffffff", DOC_INT, 9223372036854775807.0 },   { "0xffffffffffffffff", DOC_REAL, 18446744073709551615.0 },
		{ "! 12", DOC_STR, 0 },       { "!!str 12", DOC_STR, 0 },   { "!!int 12", DOC_INT, 12 },   { "!!int '12'", DOC_INT, 12 },
		{ "!!float 1", DOC_REAL, 1 }, { "!!bool true", DOC_BOOL, 1 }, { "!!null ''", DOC_NULL, 0 }, { "!!float .inf", DOC_REAL, INFINITY },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEANUP_ARENA struct arena a = ARENA_INIT(ARENA_MAX);
		const struct doc_node *n = parse(&a, str_z(cases[i].text));
		double v = n->kind == DOC_INT ? (double)n->i : n->kind == DOC_REAL ? n->d : n->kind == DOC_BOOL ? n->b : 0;

		if (n->kind != cases[i].kind || v != cases[i].value)
			fail_msg("%s: expected %s %g, seen %s %g", cases[i].text, doc_kind_name(cases[i].kind), cases[i].value,
			         doc_kind_name(n->kind), v);
	}
	CLEANUP_ARENA struct arena a = ARENA_INIT(ARENA_MAX);

	assert_true(isnan(parse(&a, STR(".NaN"))->d));
	refuse(STR("a: 1e999"), WEIR_EPARSE, "f.yml:1:4: number is too large");
}

static void test_places(void **s UNUSED)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(ARENA_MAX);
	const struct doc_node *n = parse(&a, STR("# head\na: 1\n\xc3\xb6: \"\xc3\xa9\" # tail\nmap:\n  k:   v\nlist:\n- x\n-\n  - y\n"
	                                         "flow: {a: 1, b: [x,\n  y]\n  }\nplain: a\n  b\nempty:\nlast: 'x'\n"));

	assert_place(n, 2, 1, 16);
	assert_place(doc_get(n, "a"), 2, 4, 2);
	assert_place(doc_get(n, "\xc3\xb6"), 3, 5, 3); /* bytes, not characters */
	assert_place(doc_get(n, "map"), 5, 3, 5);
	assert_place(doc_path(n, "map.k"), 5, 8, 5);
	assert_place(doc_get(n, "list"), 7, 1, 9);
	assert_place(doc_at(doc_get(n, "list"), 1), 9, 3, 9);
	assert_place(doc_get(n, "flow"), 10, 7, 12);
	assert_place(doc_path(n, "flow.b"), 10, 17, 11);
	assert_place(doc_get(n, "plain"), 13, 8, 14);
	assert_str(doc_get_str(n, "plain"), "a b");
	assert_int_equal(doc_get(n, "empty")->line, 15);
	assert_int_equal(doc_get(n, "empty")->end_line, 15);
	assert_place(doc_get(n, "last"), 16, 7, 16);
	assert_int_equal(n->map.pairs[2].line, 4);
	assert_int_equal(n->map.pairs[2].col, 1);
}

static void test_styles_and_places_inside(void **s UNUSED)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(ARENA_MAX);
	const struct doc_node *n = parse(&a, STR("run: |\n\n    echo\n      two\n\nfold: >-\n  a\n  b\nq: 'x'\np: abc\nind: |2\n    x\n"));
	uint32_t line, col;

	assert_place(doc_get(n, "run"), 1, 6, 5);
	assert_str(doc_get_str(n, "run"), "\necho\n  two\n");
	assert_int_equal(doc_get(n, "run")->style, DOC_STYLE_LITERAL);
	assert_int_equal(doc_get(n, "run")->body_col, 5);
	doc_place_in(doc_get(n, "run"), 1, &line, &col); /* 'e' of echo */
	assert_int_equal(line, 3);
	assert_int_equal(col, 5);
	doc_place_in(doc_get(n, "run"), 8, &line, &col); /* 't' of two */
	assert_int_equal(line, 4);
	assert_int_equal(col, 7);
	doc_place_in(doc_get(n, "fold"), 2, &line, &col);
	assert_int_equal(line, 6);
	assert_int_equal(col, 7);
	doc_place_in(doc_get(n, "q"), 0, &line, &col);
	assert_int_equal(line, 9);
	assert_int_equal(col, 5);
	doc_place_in(doc_get(n, "p"), 2, &line, &col);
	assert_int_equal(col, 6);
	doc_place_in(doc_get(n, "p"), 99, &line, &col);
	assert_int_equal(col, 7);
	assert_str(doc_get_str(n, "ind"), "  x\n");
	assert_int_equal(doc_get(n, "ind")->body_col, 3);
	assert_int_equal(doc_get(n, "q")->style, DOC_STYLE_SINGLE);
	assert_int_equal(doc_get(n, "fold")->style, DOC_STYLE_FOLDED);
	assert_int_equal(n->style, DOC_STYLE_NONE);
}

static void test_aliases_share(void **s UNUSED)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(ARENA_MAX);
	const struct doc_node *n = parse(&a, STR("a: &x {k: 1}\nb: *x\n&key c: 2\nd: *key\ne: &x 4\nf: *x\n"));

	assert_ptr_equal(doc_get(n, "a"), doc_get(n, "b"));
	assert_str(doc_get_str(n, "d"), "c");
	assert_int_equal(doc_get_int(n, "f", 0), 4); /* the nearest anchor before it */
}

static void test_refusals(void **s UNUSED)
{
	refuse(STR("a: 1\nb: 2\na: 3\n"), WEIR_EPARSE, "f.yml:3:1: duplicate key 'a' (first at line 1); remove one of them");
	refuse(STR("a: &x {}\nb:\n  <<: *x\n"), WEIR_EPARSE,
	       "f.yml:3:3: merge keys ('<<') are no part of YAML 1.2; write the keys out");
	refuse(STR("a: &x\n  b: *x\n"), WEIR_EPARSE, "f.yml:2:6: alias '*x' inside the node that it names");
	refuse(STR("a: *x\n"), WEIR_EPARSE, "f.yml:1:4: unknown alias '*x': no '&x' before it");
	refuse(STR("a: &x 1\n---\nb: *x\n"), WEIR_EPARSE, "f.yml:2:1: a second document begins here; this file holds one");
	refuse(STR("? [a]\n: 1\n"), WEIR_EPARSE, "f.yml:1:3: a key must be text, not a list");
	refuse(STR("? {a: b}\n: 1\n"), WEIR_EPARSE, "f.yml:1:3: a key must be text, not a map");
	refuse(STR("a: &m {b: 1}\n*m : 1\n"), WEIR_EPARSE, "f.yml:2:1: a key must be text, not a map");
	refuse(STR("a: !secret x\n"), WEIR_EPARSE, "f.yml:1:4: tag '!secret' has no meaning here; remove it");
	refuse(STR("a: !!binary x\n"), WEIR_EPARSE, "f.yml:1:4: tag 'tag:yaml.org,2002:binary' has no meaning here; remove it");
	refuse(STR("a: !!set {x}\n"), WEIR_EPARSE, NULL);
	refuse(STR("a: !!omap [x]\n"), WEIR_EPARSE, NULL);
	refuse(STR("a: !!int x\n"), WEIR_EPARSE, "f.yml:1:4: the value does not fit its tag 'tag:yaml.org,2002:int'");
	refuse(STR("a:\n\tb: 1\n"), WEIR_EPARSE, "f.yml:2:1: a tab cannot indent YAML; use spaces");
	refuse(STR("a: &an:chor v\n"), WEIR_EPARSE, "f.yml:1:4: put a space behind the anchor '&an'");
	refuse(STR("{ ?a: 1}\n"), WEIR_EPARSE, "f.yml:1:4: quote the key that begins with '?', or put a space behind it");
	refuse(STR("a: \"v\"# no comment\n"), WEIR_EPARSE, "f.yml:1:7: put a space in front of the comment");
	refuse(STR("a: [1\nb: 2\n"), WEIR_EPARSE, NULL);
	refuse(STR("a: 1\n b: 2\n"), WEIR_EPARSE, NULL);
	refuse(STR("a: \"x\n"), WEIR_EPARSE, NULL);
	refuse(STR("a: \x01\n"), WEIR_EPARSE, "f.yml:1:4: control characters are not allowed");
	refuse(STR("a: \xff\n"), WEIR_EPARSE, "f.yml:1:4: not valid UTF-8 here; save the file as UTF-8");
	refuse(STR("a: # x\xe2\x80\xa8 b: 1\n"), WEIR_EPARSE, NULL);
	refuse(STR("a: \"\xc2\x85\"\n"), WEIR_EPARSE, "f.yml:1:5: U+0085 here, which not every reader takes for text; write \"\\N\"");
	refuse(STR("\xff\xfe" "a\0"), WEIR_EPARSE, NULL); /* no UTF-16 */
}

static void test_quoted_merge_key_is_a_key(void **s UNUSED)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(ARENA_MAX);

	assert_int_equal(doc_get_int(parse(&a, STR("'<<': 1")), "<<", 0), 1);
}

static void test_streams(void **s UNUSED)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(ARENA_MAX);
	struct doc_node **docs = NULL;
	size_t            n = 9;
	struct err        err = { 0 };

	assert_ok(doc_parse_yaml_all(&a, "f", STR("a: &x 1\n---\n- b\n...\n---\n"), &docs, &n, &err), &err);
	assert_int_equal(n, 3);
	assert_int_equal(docs[0]->kind, DOC_MAP);
	assert_int_equal(docs[1]->line, 3);
	assert_int_equal(docs[2]->kind, DOC_NULL);
	assert_ok(doc_parse_yaml_all(&a, "f", STR("# nothing\n"), &docs, &n, &err), &err);
	assert_int_equal(n, 0);
	assert_ok(doc_parse_yaml_all(&a, "f", STR_NULL, &docs, &n, &err), &err);
	assert_int_equal(n, 0);
	/* anchors end with their document */
	assert_err(doc_parse_yaml_all(&a, "f", STR("a: &x 1\n---\nb: *x\n"), &docs, &n, &err), WEIR_EPARSE);
	assert_int_equal(parse(&a, STR(""))->kind, DOC_NULL);
	assert_int_equal(parse(&a, STR("\xef\xbb\xbf" "a: 1"))->kind, DOC_MAP);
}

static void test_depth(void **s UNUSED)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(ARENA_MAX);
	CLEANUP_BUF struct buf b = BUF_INIT(1 << 20);

	for (int i = 0; i < LIMIT_DOC_DEPTH; i++)
		buf_addc(&b, '[');
	for (int i = 0; i < LIMIT_DOC_DEPTH; i++)
		buf_addc(&b, ']');
	parse(&a, buf_str(&b));
	buf_clear(&b);
	for (int i = 0; i < 50000; i++)
		buf_addc(&b, '[');
	refuse(buf_str(&b), WEIR_ELIMIT, "f.yml:1:101: nested deeper than 100");
	buf_clear(&b); /* deeper through aliases than as written */
	buf_addz(&b, "a0: &a0 []\n");
	for (int i = 1; i < 101; i++)
		buf_addf(&b, "a%d: &a%d [*a%d]\n", i, i, i - 1);
	refuse(buf_str(&b), WEIR_ELIMIT, "f.yml:100:12: nested deeper than 100 through alias '*a98'");
}

static void test_alias_bomb(void **s UNUSED)
{
	CLEANUP_BUF struct buf b = BUF_INIT(1 << 20);

	buf_addz(&b, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
	for (int i = 1; i < 10; i++) {
		buf_addf(&b, "a%d: &a%d [", i, i);
		for (int j = 0; j < 10; j++)
			buf_addf(&b, "%s*a%d", j ? "," : "", i - 1);
		buf_addz(&b, "]\n");
	}
	refuse(buf_str(&b), WEIR_ELIMIT, NULL);
	buf_clear(&b);
	buf_addz(&b, "a: &a 1\nb:\n");
	for (int i = 0; i <= LIMIT_DOC_ALIASES; i++)
		buf_addz(&b, "- *a\n");
	refuse(buf_str(&b), WEIR_ELIMIT, "f.yml:1003:3: more than 1000 aliases");
}

static void test_nodes_and_bytes(void **s UNUSED)
{
	CLEANUP_BUF struct buf b = BUF_INIT(16 << 20);

	for (int i = 0; i < LIMIT_DOC_NODES; i++)
		buf_addz(&b, "- 1\n");
	refuse(buf_str(&b), WEIR_ELIMIT, "f.yml:1000000:3: more than 1000000 values in one document");
	buf_clear(&b);
	for (int i = 0; i < LIMIT_DOC_BYTES / 8 + 1; i++)
		buf_addz(&b, "#######\n");
	refuse(buf_str(&b), WEIR_ELIMIT, NULL);
}

static void test_small_arena(void **s UNUSED)
{
	str    text = STR("a: &x [1, 2.5, x, {b: null}]\nc: |\n  text\nd: *x\ne: true\n");
	size_t max = 0;
	int    e;

	do {
		struct arena     a = ARENA_INIT(max);
		struct doc_node *n = NULL;
		struct err       err = { 0 };

		e = doc_parse_yaml(&a, "f", text, &n, &err);
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
		cmocka_unit_test(test_core_schema),   cmocka_unit_test(test_places),
		cmocka_unit_test(test_styles_and_places_inside), cmocka_unit_test(test_aliases_share),
		cmocka_unit_test(test_refusals),      cmocka_unit_test(test_quoted_merge_key_is_a_key),
		cmocka_unit_test(test_streams),       cmocka_unit_test(test_depth),
		cmocka_unit_test(test_alias_bomb),    cmocka_unit_test(test_nodes_and_bytes),
		cmocka_unit_test(test_small_arena),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
