/* flag-lang.c - which language a file is in, and which calls ask for a flag (see flag-refs.h). Pure tables. */
#include "base/base.h"

#include "flag/flag-refs.h"

const char *flag_lang_name(enum flag_lang l)
{
	static const char *const names[] = { "none", "c", "csharp", "go", "html", "java", "javascript", "json", "kotlin", "php", "python", "ruby", "rust", "shell", "swift", "toml", "yaml" };

	return names[l];
}

static const struct {
	const char    *ext;
	enum flag_lang lang;
} extensions[] = {
	{ "c", LANG_C }, { "h", LANG_C }, { "cc", LANG_C }, { "cpp", LANG_C }, { "cxx", LANG_C }, { "hh", LANG_C }, { "hpp", LANG_C }, { "hxx", LANG_C },
	{ "m", LANG_C }, { "mm", LANG_C }, { "ino", LANG_C },
	{ "cs", LANG_CSHARP }, { "csx", LANG_CSHARP },
	{ "go", LANG_GO },
	{ "html", LANG_HTML }, { "htm", LANG_HTML }, { "xhtml", LANG_HTML }, { "vue", LANG_HTML }, { "svelte", LANG_HTML }, { "erb", LANG_HTML }, { "ejs", LANG_HTML },
	{ "hbs", LANG_HTML }, { "mustache", LANG_HTML }, { "jinja", LANG_HTML }, { "jinja2", LANG_HTML }, { "j2", LANG_HTML }, { "twig", LANG_HTML },
	{ "liquid", LANG_HTML }, { "cshtml", LANG_HTML }, { "razor", LANG_HTML }, { "tmpl", LANG_HTML }, { "gohtml", LANG_HTML }, { "astro", LANG_HTML },
	{ "xml", LANG_HTML }, { "xaml", LANG_HTML }, { "jsp", LANG_HTML },
	{ "java", LANG_JAVA }, { "groovy", LANG_JAVA }, { "gradle", LANG_JAVA },
	{ "js", LANG_JAVASCRIPT }, { "mjs", LANG_JAVASCRIPT }, { "cjs", LANG_JAVASCRIPT }, { "jsx", LANG_JAVASCRIPT }, { "ts", LANG_JAVASCRIPT },
	{ "mts", LANG_JAVASCRIPT }, { "cts", LANG_JAVASCRIPT }, { "tsx", LANG_JAVASCRIPT },
	{ "json", LANG_JSON }, { "jsonc", LANG_JSON }, { "json5", LANG_JSON },
	{ "kt", LANG_KOTLIN }, { "kts", LANG_KOTLIN }, { "scala", LANG_KOTLIN }, { "sc", LANG_KOTLIN },
	{ "php", LANG_PHP }, { "phtml", LANG_PHP },
	{ "py", LANG_PYTHON }, { "pyi", LANG_PYTHON }, { "pyw", LANG_PYTHON },
	{ "rb", LANG_RUBY }, { "rake", LANG_RUBY }, { "gemspec", LANG_RUBY }, { "ru", LANG_RUBY },
	{ "rs", LANG_RUST },
	{ "sh", LANG_SHELL }, { "bash", LANG_SHELL }, { "zsh", LANG_SHELL }, { "ksh", LANG_SHELL },
	{ "swift", LANG_SWIFT },
	{ "toml", LANG_TOML },
	{ "yaml", LANG_YAML }, { "yml", LANG_YAML },
};

enum flag_lang flag_lang_of(str path)
{
	size_t at = path.len;

	if (str_has_prefix(path, STR(".weir/"))) /* definitions of flags are no references to them */
		return LANG_NONE;
	while (at && path.ptr[at - 1] != '.' && path.ptr[at - 1] != '/')
		at--;
	for (size_t i = 0; at && path.ptr[at - 1] == '.' && i < ARRAY_SIZE(extensions); i++)
		if (str_eq_nocase(str_sub(path, at, path.len), str_z(extensions[i].ext)))
			return extensions[i].lang;
	return LANG_NONE;
}

/* Without case and '_': getBooleanValue, get_boolean_value, GetBooleanValueAsync are one. */
static const struct {
	const char *name;
	unsigned    arg;
} getters[] = {
	/* OpenFeature: values and details of each type; Go's take the context first */
	{ "getbooleanvalue", 0 }, { "getstringvalue", 0 }, { "getnumbervalue", 0 }, { "getintegervalue", 0 }, { "getdoublevalue", 0 }, { "getfloatvalue", 0 },
	{ "getobjectvalue", 0 }, { "getboolvalue", 0 }, { "getintvalue", 0 }, { "getstructvalue", 0 },
	{ "getbooleandetails", 0 }, { "getstringdetails", 0 }, { "getnumberdetails", 0 }, { "getintegerdetails", 0 }, { "getdoubledetails", 0 },
	{ "getfloatdetails", 0 }, { "getobjectdetails", 0 }, { "getbooldetails", 0 }, { "getintdetails", 0 }, { "getstructdetails", 0 },
	{ "fetchbooleanvalue", 0 }, { "fetchstringvalue", 0 }, { "fetchnumbervalue", 0 }, { "fetchintegervalue", 0 }, { "fetchfloatvalue", 0 },
	{ "fetchobjectvalue", 0 }, { "fetchbooleandetails", 0 }, { "fetchstringdetails", 0 }, { "fetchnumberdetails", 0 }, { "fetchobjectdetails", 0 },
	{ "booleanvalue", 1 }, { "stringvalue", 1 }, { "floatvalue", 1 }, { "intvalue", 1 }, { "objectvalue", 1 },
	{ "booleanvaluedetails", 1 }, { "stringvaluedetails", 1 }, { "floatvaluedetails", 1 }, { "intvaluedetails", 1 }, { "objectvaluedetails", 1 },
	{ "usebooleanflagvalue", 0 }, { "usestringflagvalue", 0 }, { "usenumberflagvalue", 0 }, { "useobjectflagvalue", 0 }, { "usebooleanflagdetails", 0 },
	{ "usestringflagdetails", 0 }, { "usenumberflagdetails", 0 }, { "useobjectflagdetails", 0 },
	/* Unleash */
	{ "isenabled", 0 }, { "getvariant", 0 }, { "useflag", 0 }, { "usevariant", 0 },
	/* LaunchDarkly, for those who come from there */
	{ "boolvariation", 0 }, { "stringvariation", 0 }, { "intvariation", 0 }, { "doublevariation", 0 }, { "jsonvariation", 0 }, { "booleanvariation", 0 },
	{ "boolvariationdetail", 0 }, { "stringvariationdetail", 0 },
};

bool flag_is_getter(str function, unsigned *ret_arg)
{
	char   plain[40];
	size_t n = 0;

	for (size_t i = 0; i < function.len; i++) {
		char c = function.ptr[i];

		if (c == '_' || c == '?')
			continue;
		if (n + 1 >= sizeof(plain))
			return false;
		plain[n++] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
	}
	if (n > 5 && !memcmp(plain + n - 5, "async", 5))
		n -= 5;
	for (size_t i = 0; i < ARRAY_SIZE(getters); i++)
		if (str_eqz(str_n(plain, n), getters[i].name)) {
			*ret_arg = getters[i].arg;
			return true;
		}
	return false;
}
