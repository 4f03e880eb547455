/* fuzz_flagrefs.c - no text crashes the search for flag keys, in any language; what is found stands where it says. First byte: the language. */
#include "base/base.h"

#include "base/limits.h"
#include "flag/flag-refs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_at(str text, const struct flag_literal *l)
{
	size_t at = 0;

	for (uint32_t line = 1; line < l->line; at++) {
		if (at >= text.len)
			return false;
		line += text.ptr[at] == '\n';
	}
	at += l->col - 1;
	return at < text.len && (text.ptr[at] == l->text.ptr[0] || text.ptr[at] == '\\' || text.ptr[at] == '\'' || text.ptr[at] == '"');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena         a = ARENA_INIT(64 << 20);
	struct flag_literals found;
	struct err           e = { 0 };
	str                  text = size ? str_n((const char *)data + 1, size - 1) : STR("");
	enum flag_lang       lang = size ? (enum flag_lang)(data[0] % (LANG_YAML + 1)) : LANG_NONE;
	unsigned             arg;

	if (flag_refs_scan(lang, text, &a, &found, &e))
		BUG("the search failed: %s", e.msg);
	for (size_t i = 0; i < found.all.n; i++)
		if (!found.all.v[i].text.len || found.all.v[i].text.len > LIMIT_FLAG_KEY_BYTES || !is_at(text, &found.all.v[i]))
			BUG("a literal that is not there");
	flag_is_getter(text, &arg);
	flag_lang_of(text);
	flag_literals_fini(&found);
	arena_fini(&a);
	return 0;
}
