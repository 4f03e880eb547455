/* secretcase.h - what the cases of other scanners' suites say about weir's rules: shared by the conformance runner and the bench.
 *
 * A rule of weir is "for" a provider when its own provider is that, or when its title or expression names it. */
#ifndef WEIR_TESTS_SECRETCASE_H
#define WEIR_TESTS_SECRETCASE_H

#include "gate/credentials/cred-internal.h" /* first: see there */

#include <ctype.h>

enum { SECRET_RULES_MAX = 1000, SECRET_LINES_MAX = 2000 };

struct secret_seen {
	const struct cred *cred;
	enum severity worst;
	bool          rule[SECRET_RULES_MAX];
	struct secret_place {
		uint32_t      line, end_line;
		enum severity severity;
		unsigned      rule;
	} places[SECRET_LINES_MAX];
	size_t n;
};

static inline int secret_note(void *ctx, const struct finding *f, struct err *reterr UNUSED)
{
	struct secret_seen *o = ctx;

	if (f->severity > o->worst)
		o->worst = f->severity;
	for (unsigned i = 0; i < o->cred->rules.rules.n && i < SECRET_RULES_MAX; i++) {
		if (!str_eqz(f->rule, o->cred->rules.rules.v[i].id))
			continue;
		o->rule[i] = o->rule[i] || f->severity != SEVERITY_NOTE; /* notes are ids that are no secrets: no findings here */
		if (o->n < SECRET_LINES_MAX)
			o->places[o->n++] = (struct secret_place){ f->line, f->end_line, f->severity, i };
	}
	return 0;
}

MUST_CHECK static inline int secret_scan(struct cred *cred, str path, str text, struct secret_seen *out, struct err *reterr)
{
	const struct finding_sink sink = { .add = secret_note, .ctx = out };

	memset(out, 0, sizeof *out);
	out->cred = cred;
	return cred_scan_text(cred, path.len ? path : STR("some/file.txt"), STR_NULL, text, &sink, reterr);
}

/* Letters and digits alone, small: "crates.io" and "Crates IO" are one provider. */
static inline void secret_plain(str s, char *out, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len && n + 1 < size; i++)
		if (isalnum((unsigned char)s.ptr[i]))
			out[n++] = (char)tolower((unsigned char)s.ptr[i]);
	out[n] = '\0';
}

static inline bool secret_rule_is_for(const struct cred_rule *r, const char *plain_provider)
{
	const char *const texts[] = { r->provider, r->title, r->regex };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		char text[32768];

		secret_plain(str_z(texts[i]), text, sizeof text);
		if (i == 0 ? !strcmp(text, plain_provider) : strlen(plain_provider) >= 4 && strstr(text, plain_provider))
			return true;
	}
	return false;
}

/* Whether weir has a rule for the provider, and whether one of them fired. */
static inline bool secret_knows(const struct secret_seen *o, str provider, bool *ret_fired)
{
	char plain[128];
	bool known = false;

	*ret_fired = false;
	secret_plain(provider, plain, sizeof plain);
	for (size_t i = 0; i < o->cred->rules.rules.n && i < SECRET_RULES_MAX; i++)
		if (secret_rule_is_for(&o->cred->rules.rules.v[i], plain)) {
			known = true;
			*ret_fired = *ret_fired || o->rule[i];
		}
	return known;
}

#endif
