/* test_refs.c - literals in source code, language by language: strings, escapes, raw and multi-line ones, templates; never comments or characters. */
#include "lib/test.h"

#include "base/limits.h"
#include "flag/flag-refs.h"

/* What is found as "text text! ..." (! in a getter). */
static void assert_found(const char *path, const char *text, const char *want)
{
	struct arena         a = ARENA_INIT(16 << 20);
	struct flag_literals l;
	struct buf           seen = BUF_INIT(1 << 20);
	struct err           e = { 0 };

	assert_ok(flag_refs_scan(flag_lang_of(str_z(path)), str_z(text), &a, &l, &e), &e);
	for (size_t i = 0; i < l.all.n; i++)
		buf_addf(&seen, "%s%.*s%s", i ? "|" : "", STR_ARG(l.all.v[i].text), l.all.v[i].getter ? "!" : "");
	if (strcmp(buf_z(&seen), want))
		fail_msg("%s: %s\n  found  %s\n  wanted %s", path, text, buf_z(&seen), want);
	flag_literals_fini(&l);
	buf_fini(&seen);
	arena_fini(&a);
}

static const struct {
	const char *path, *text, *want;
} cases[] = {
	/* Python */
	{ "a.py", "x = \"a-b\" # \"no\"\ny = 'c'", "a-b|c" },
	{ "a.py", "'''no \"key\" in\nlines''' + r'd' + b\"f\" + u'g'", "d|f|g" },
	{ "a.py", "f'{x}-no' + f'{c.is_enabled(\"in\")}' + f'{{plain}}' + 'end'", "in!|{{plain}}|end" },
	{ "a.py", "client.get_boolean_value(\"k1\", False)\nclient.get_string_value(flag_key='k2', default_value='red')", "k1!|k2!|red" },
	{ "a.py", "it = 'don\\'t' ; x = \"a\\nb\" ; z = 'c\\\\d'", "don't|c\\d" },
	{ "a.py", "get_boolean_value(KEY, \"default\")", "default" },
	/* JavaScript and TypeScript */
	{ "a.js", "f('a'); // 'no'\n/* \"no\" */ g(\"b\")", "a|b" },
	{ "a.ts", "const t = `c`; const u = `d${x}e`; const v = `${client.getBooleanValue('in', false)} and ${`deep`}`", "c|in!|deep" },
	{ "a.tsx", "<p>Don't {useFlag('x')} it's</p>; f('y')", "x!|y" },
	{ "a.js", "s.replace(/'\"/g, 'r'); a = b / c; d = 'q' / 2; return /[/'\"]/.test('t')", "r|q|t" },
	{ "a.js", "await client.getStringValue('k', 'red', { targetingKey: 'u' })", "k!|red|u" },
	{ "a.jsx", "useBooleanFlagValue(\n  // the key\n  'k',\n false)", "k!" },
	{ "a.js", "isEnabled(g('other'), 'second')", "other|second" },
	/* Go */
	{ "a.go", "client.BooleanValue(ctx, \"k\", false, evalCtx) // \"no\"\nx := `raw \"not\"`\nr := '\"'; y := `k2`", "k!|raw \"not\"|k2" },
	{ "a.go", "unleash.IsEnabled(\"k\")\nfmt.Println(\"a\\tb\", \"c\")", "k!|c" },
	/* Java, Kotlin */
	{ "A.java", "client.getBooleanValue(\"k\", false, ctx); /* \"no\" */ char c = '\"'; String t = \"\"\"\n \"no\" \n\"\"\"; f(\"z\");", "k!|z" },
	{ "a.kt", "/* a /* \"no\" */ \"no\" */ val x = \"${f(\"in\")} x\"; val r = \"\"\"raw\\\"\"\"; g('\"', \"y\")", "in|raw\\|y" },
	/* C, C++, C# */
	{ "a.c", "#include <x.h>\nint a = '\"'; f(\"k\"); // \"no\" \n/* \"no\"\n\"no\" */ g(\"l\")", "k|l" },
	{ "a.cpp", "auto x = R\"(raw)\"; auto y = R\"x(a)\" b)x\"; int n = 1'000'000; char c = L'\"'; f(\"k\")", "raw|a)\" b|k" },
	{ "a.cs", "var a = @\"c:\\dir\"; var b = @\"say \"\"hi\"\"\"; var c = $\"{x}no\"; var d = $\"{F(\"in\")}\"; await client.GetBooleanValueAsync(\"k\", false); // \"no\"",
	  "c:\\dir|say \"hi\"|in|k!" },
	{ "a.cs", "var r = \"\"\"raw \"x\" y\"\"\"; char q = '\"'; f(\"k\");", "raw \"x\" y|k" },
	/* Rust */
	{ "a.rs", "/* a /* \"no\" */ \"no\" */ fn f<'a>(x: &'a str) { g('\"', r#\"raw \"x\"\"#, b\"by\", \"k\"); let r#type = '\\''; h(\"l\") } // \"no\"", "raw \"x\"|by|k|l" },
	{ "a.rs", "client.get_bool_value(\"k\", None, None).await", "k!" },
	/* Ruby */
	{ "a.rb", "# \"no\"\n=begin\n\"no\"\n=end\nx = \"a#{f('in')}b\"; y = 'c'; Flipper.enabled?(:new_cart); h = { key: :v }; z = a ? b : \"d\"", "in|c|new_cart|v|d" },
	{ "a.rb", "s = <<~EOS + \"rest\"\n  don't \"no\"\nEOS\nUNLEASH.is_enabled?(\"k\"); x =~ /\"'/; f('l')", "rest|k!|l" },
	{ "a.rb", "client.fetch_boolean_value(flag_key: \"k\", default_value: false)\nmod = A::B", "k!" },
	/* PHP */
	{ "a.php", "\"no\" <?php // \"no\" ?> \"no\" <?php # 'no'\n #[Attr(\"at\")]\n $c->getBooleanValue('k', false); /* 'no' */ f(\"{$x['in']} b\"); ?> don't <?= g(\"l\") ?>", "at|k!|in|l" },
	{ "a.php", "<?php $x = <<<EOT\n don't \"no\"\nEOT;\n $y = <<<'X'\n\"no\"\n  X;\n f('k');", "k" },
	/* Swift */
	{ "a.swift", "/* /* \"no\" */ \"no\" */ let a = \"x\\(f(\"in\"))\"; let b = #\"raw \"q\"\"#; client.getBooleanValue(key: \"k\", defaultValue: false)", "in|raw \"q\"|k!" },
	{ "a.swift", "let a = \"\"\"\n\"no\"\n\"\"\"; f(\"k\") // \"no\"", "k" },
	/* shells */
	{ "a.sh", "# 'no'\necho \"$(f \"in\") x\" 'k' it\\'s #no 'no'\nx=${y#\"p\"}\ncat <<EOF\ndon't 'no'\nEOF\ng \"l\"", "in|k|p|l" },
	{ "a.sh", "n=$((1<<2)); f 'k'", "k" },
	/* YAML, JSON, TOML, HTML */
	{ "a.yaml", "# no\nflag: new-cart # no\nlist: [a, \"b\", 'c''d']\n- e\n- \"f: g\"\ntext: |\n  no\n  \"no\"\nnext: h#i", "flag|new-cart|list|a|b|c'd|e|f: g|text|||next|h#i" },
	{ "a.json", "{\"a\": \"b\", // \"no\"\n \"c\\\\d\": [\"e\\u0041\", 1]}", "a|b|c\\d" },
	{ "a.toml", "# \"no\"\nx = \"a\" # 'no'\ny = 'c:\\d'\nz = \"\"\"\nno \"no\"\n\"\"\"\nw = '''e'''", "a|c:\\d|e" },
	{ "a.html", "<!-- \"no\" --> don't \"no\" <a href=\"x\" data-flag='k'>t</a> {{ on(\"m\") }} {# \"no\" #} {% if f('n') %} 1 < 2 <script>g('js') // 'no'\n</script> it's", "x|k|m|n|js" },
	{ "a.vue", "<div v-if=\"on('k')\">it's</div>", "on('k')|k" },
	{ "a.erb", "<% if enabled?(\"k\") %>\"no\"<%# \"no\" %><% end %>", "k" },
	/* nothing */
	{ "a.md", "\"no\"", "" },
	{ ".weir/flags/production.json", "{\"no\": 1}", "" },
	{ "a.js", "'never ends", "" },
	{ "a.js", "`never ${ends 'k'", "k" },
	{ "a.py", "'' + \"\" + 'k'", "k" },
};

static void languages(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_found(cases[i].path, cases[i].text, cases[i].want);
}

static void places(void **state UNUSED)
{
	struct arena         a = ARENA_INIT(1 << 20);
	struct flag_literals l;
	struct err           e = { 0 };

	assert_ok(flag_refs_scan(LANG_GO, STR("package x\n\n  f(\"a\",\n\t`b`)\n"), &a, &l, &e), &e);
	assert_int_equal(l.all.n, 2);
	assert_int_equal(l.all.v[0].line, 3);
	assert_int_equal(l.all.v[0].col, 6);
	assert_int_equal(l.all.v[1].line, 4);
	assert_int_equal(l.all.v[1].col, 3);
	flag_literals_fini(&l);
	arena_fini(&a);
}

static void limits(void **state UNUSED)
{
	struct arena         a = ARENA_INIT(64 << 20);
	struct flag_literals l;
	struct buf           text = BUF_INIT(8 << 20);
	struct err           e = { 0 };

	for (int i = 0; i < LIMIT_FLAG_REF_LITERALS + 5; i++)
		buf_addz(&text, "'a',");
	assert_ok(flag_refs_scan(LANG_PYTHON, buf_str(&text), &a, &l, &e), &e);
	assert_int_equal(l.all.n, LIMIT_FLAG_REF_LITERALS);
	assert_true(l.cut);
	flag_literals_fini(&l);
	buf_clear(&text);
	buf_addc(&text, '"');
	for (int i = 0; i < LIMIT_FLAG_KEY_BYTES + 1; i++)
		buf_addc(&text, 'k');
	buf_addz(&text, "\" \"ok\" \"\xff\"");
	assert_ok(flag_refs_scan(LANG_C, buf_str(&text), &a, &l, &e), &e);
	assert_int_equal(l.all.n, 1);
	assert_false(l.cut);
	flag_literals_fini(&l);
	buf_fini(&text);
	arena_fini(&a);
}

/* Texts that make a lexer go back again and again end after a few times their length, whatever the language. */
static void hostile(void **state UNUSED)
{
	static const char *const pieces[] = { "`${", "\"${", "\"#{\"", "$\"{$\"{", "\"\\(", "f'{f\"{", "\"$(\"", "'", "/", "<<A\n", "<a ", "{{", "/*", "R\"(", "r#\"", "\"'", "- |\n" };

	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++)
		for (int lang = LANG_NONE; lang <= LANG_YAML; lang++) {
			struct arena         a = ARENA_INIT(256 << 20);
			struct flag_literals l;
			struct buf           text = BUF_INIT(8 << 20);
			struct err           e = { 0 };

			for (int k = 0; k < 20000; k++)
				buf_addz(&text, pieces[i]);
			assert_ok(flag_refs_scan((enum flag_lang)lang, buf_str(&text), &a, &l, &e), &e);
			flag_literals_fini(&l);
			buf_fini(&text);
			arena_fini(&a);
		}
}

static void getters(void **state UNUSED)
{
	unsigned arg = 9;

	assert_true(flag_is_getter(STR("getBooleanValue"), &arg) && arg == 0);
	assert_true(flag_is_getter(STR("get_boolean_value"), &arg) && arg == 0);
	assert_true(flag_is_getter(STR("GetBooleanValueAsync"), &arg) && arg == 0);
	assert_true(flag_is_getter(STR("BooleanValue"), &arg) && arg == 1);
	assert_true(flag_is_getter(STR("is_enabled?"), &arg) && arg == 0);
	assert_false(flag_is_getter(STR("println"), &arg));
	assert_false(flag_is_getter(STR(""), &arg));
	assert_false(flag_is_getter(STR("getBooleanValuegetBooleanValuegetBooleanValue"), &arg));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(languages), cmocka_unit_test(places), cmocka_unit_test(limits), cmocka_unit_test(hostile), cmocka_unit_test(getters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
