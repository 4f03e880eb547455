/* secret_rules.c - the credentials check over public examples of other scanners' rules, and over fake leaks.
 *
 * secret-rules, {suite, rule, provider, index, expect match|no_match, text_b64}: each case is about a rule of another scanner.
 * "match" wants any finding in the text. Where there is none and no rule of weir is for that provider (its provider, title or
 * expression names it), the case is skipped: weir makes no claim about it. "no_match" wants no finding of a rule for that provider.
 * fake-leaks, {path, expect leak|no_leak|see_findings, leaktk_findings, text_b64}: whole files; a finding, or none.
 * Warnings are findings here as errors are; notes (ids that are no secrets) are none. tests/bench/secrets counts them apart. */
#include "lib/secretcase.h" /* first: see there */

#include "conformance.h"

static struct cred *scanner; /* made by the first case; compiling its rules takes a second */

static bool scan(struct conf_case *c, struct secret_seen *out)
{
	struct err e = { 0 };

	if (!scanner && cred_new(&(struct cred_config){ .cache_dir = getenv("WEIR_TEST_CACHE") }, &scanner, &e))
		conf_fail(c, NULL, "a scanner", "%s", e.msg);
	else if (secret_scan(scanner, doc_get_str(c->json, "path"), conf_base64(c, "text_b64"), out, &e))
		conf_fail(c, NULL, "a scan", "%s", e.msg);
	else
		return true;
	return false;
}

static void name_case(struct conf_case *c)
{
	c->name = arena_printf(c->arena, "%.*s/%.*s/%s/%d", STR_ARG(doc_get_str(c->json, "suite")), STR_ARG(doc_get_str(c->json, "rule")),
	                       str_eqz(doc_get_str(c->json, "expect"), "match") ? "match" : "no_match", (int)doc_get_int(c->json, "index", 0));
}

static void run_rules(struct conf_case *c)
{
	static struct secret_seen seen;
	str                       provider = doc_get_str(c->json, "provider");
	bool                      any, fired, known;

	name_case(c);
	if (!scan(c, &seen))
		return;
	any = seen.worst >= SEVERITY_WARNING;
	known = secret_knows(&seen, provider, &fired);
	if (str_eqz(doc_get_str(c->json, "expect"), "no_match"))
		conf_equal(c, NULL, STR("none"), fired ? STR("a finding") : STR("none"));
	else if (!any && !known)
		conf_skip(c, NULL, "no rule for %.*s", STR_ARG(provider));
	else
		conf_equal(c, NULL, STR("a finding"), any ? STR("a finding") : STR("none"));
}

static void run_leaks(struct conf_case *c)
{
	static struct secret_seen seen;
	str                       expect = doc_get_str(c->json, "expect");
	bool want = str_eqz(expect, "leak") || (str_eqz(expect, "see_findings") && doc_len(doc_get(c->json, "leaktk_findings")));

	if (scan(c, &seen))
		conf_equal(c, NULL, want ? STR("a finding") : STR("none"), seen.worst >= SEVERITY_WARNING ? STR("a finding") : STR("none"));
}

static const char *const rule_files[] = { "secrets/rule-examples.jsonl.zst", NULL };
const struct conf_suite  suite_secret_rules = { .name = "secret-rules", .files = rule_files, .run = run_rules };
static const char *const leak_files[] = { "secrets/fake-leaks.jsonl.zst", NULL };
const struct conf_suite  suite_fake_leaks = { .name = "fake-leaks", .files = leak_files, .name_key = "path", .run = run_leaks };
