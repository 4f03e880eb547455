/* secret_rules.c - the credentials check over public examples of other scanners' rules, and over fake leaks.
 *
 * secret-rules, {suite, rule, provider, index, expect match|no_match, text_b64}: each case is about a rule of another scanner.
 * It counts where weir has a rule for that provider: where a rule's provider, title or expression names it. "match" then
 * wants any finding in the text, "no_match" wants none of a rule for that provider. Cases of other providers are skipped:
 * weir makes no claim about them.
 * fake-leaks, {path, expect leak|no_leak|see_findings, leaktk_findings, text_b64}: whole files; a finding, or none.
 * Notes (ids that are no secrets) are no findings here. */
#include "gate/credentials/cred-internal.h" /* first: see there */

#include "conformance.h"

#include <ctype.h>

enum { RULES_MAX = 1000 };

struct fired {
	bool any, rule[RULES_MAX];
};

static struct cred *scanner; /* made by the first case; compiling its rules takes a second */

static struct cred *scanner_get(struct conf_case *c)
{
	struct err e = { 0 };

	if (!scanner && cred_new(&(struct cred_config){ .cache_dir = getenv("WEIR_TEST_CACHE") }, &scanner, &e))
		conf_fail(c, NULL, "a scanner", "%s", e.msg);
	return scanner;
}

static int note(void *ctx, const struct finding *f, struct err *reterr UNUSED)
{
	struct fired *o = ctx;

	if (f->severity == SEVERITY_NOTE)
		return 0;
	o->any = true;
	for (size_t i = 0; i < scanner->rules.rules.n && i < RULES_MAX; i++)
		if (str_eqz(f->rule, scanner->rules.rules.v[i].id))
			o->rule[i] = true;
	return 0;
}

/* Letters and digits alone, small: "crates.io" and "Crates IO" are one provider. */
static void plain(str s, char *out, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len && n + 1 < size; i++)
		if (isalnum((unsigned char)s.ptr[i]))
			out[n++] = (char)tolower((unsigned char)s.ptr[i]);
	out[n] = '\0';
}

static bool is_for(const struct cred_rule *r, const char *provider)
{
	const char *const texts[] = { r->provider, r->title, r->regex };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		char text[16384];

		plain(str_z(texts[i]), text, sizeof text);
		if (i == 0 ? !strcmp(text, provider) : strlen(provider) >= 4 && strstr(text, provider))
			return true;
	}
	return false;
}

static bool scan(struct conf_case *c, struct fired *out)
{
	const struct finding_sink sink = { .add = note, .ctx = out };
	str                       path = doc_get_str(c->json, "path");
	struct err                e = { 0 };

	memset(out, 0, sizeof *out);
	if (!scanner_get(c))
		return false;
	if (cred_scan_text(scanner, path.len ? path : STR("example.txt"), STR_NULL, conf_base64(c, "text_b64"), &sink, &e)) {
		conf_fail(c, NULL, "a scan", "%s", e.msg);
		return false;
	}
	return true;
}

static void name_case(struct conf_case *c)
{
	c->name = arena_printf(c->arena, "%.*s/%.*s/%s/%d", STR_ARG(doc_get_str(c->json, "suite")), STR_ARG(doc_get_str(c->json, "rule")),
	                       str_eqz(doc_get_str(c->json, "expect"), "match") ? "match" : "no_match", (int)doc_get_int(c->json, "index", 0));
}

static void run_rules(struct conf_case *c)
{
	static struct fired fired;
	char                provider[128];
	bool                known = false, same = false;

	name_case(c);
	if (!scan(c, &fired))
		return;
	plain(doc_get_str(c->json, "provider"), provider, sizeof provider);
	for (size_t i = 0; i < scanner->rules.rules.n && i < RULES_MAX; i++)
		if (is_for(&scanner->rules.rules.v[i], provider)) {
			known = true;
			same = same || fired.rule[i];
		}
	if (!known)
		conf_skip(c, NULL, "no rule for %s", provider);
	else if (str_eqz(doc_get_str(c->json, "expect"), "match"))
		conf_equal(c, NULL, STR("a finding"), fired.any ? STR("a finding") : STR("none"));
	else
		conf_equal(c, NULL, STR("none"), same ? STR("a finding") : STR("none"));
}

static void run_leaks(struct conf_case *c)
{
	static struct fired fired;
	str                 expect = doc_get_str(c->json, "expect");
	bool                want = str_eqz(expect, "leak") || (str_eqz(expect, "see_findings") && doc_len(doc_get(c->json, "leaktk_findings")));

	if (scan(c, &fired))
		conf_equal(c, NULL, want ? STR("a finding") : STR("none"), fired.any ? STR("a finding") : STR("none"));
}

static const char *const rule_files[] = { "secrets/rule-examples.jsonl.zst", NULL };
const struct conf_suite  suite_secret_rules = { .name = "secret-rules", .files = rule_files, .run = run_rules };
static const char *const leak_files[] = { "secrets/fake-leaks.jsonl.zst", NULL };
const struct conf_suite  suite_fake_leaks = { .name = "fake-leaks", .files = leak_files, .name_key = "path", .run = run_leaks };
