/* rules.c - reads the rule files (rules/NAME.yaml) and compiles their expressions.
 *
 * Guarantees: strict (an unknown key, a bad expression, a missing group is an error with file:line:column); every
 * expression is compiled with PCRE2's JIT and limits, so that no text can hold up a thread. Start of the gate only. */
#include "gate/credentials/cred-internal.h"

#include "base/hash.h"
#include "base/limits.h"

enum { BEFORE_DEFAULT = 96, BEFORE_KEYWORD = 56, REACH_DEFAULT = 320, REACH_MAX = 16384 };

static const char *const no_words[] = { NULL };

static const char *const *words_of(struct arena *a, struct doc_check *c, const struct doc_node *map, const char *key)
{
	const struct doc_node *n = doc_get(map, key);
	const char           **out;

	if (!n || !doc_is_seq(c, n, key))
		return no_words;
	out = ARENA_ARRAY(a, n->seq.n + 1, const char *);
	for (size_t i = 0; out && i < n->seq.n; i++)
		out[i] = arena_dup(a, doc_want_str(c, n->seq.items[i], key));
	return out ? out : no_words;
}

static int compile(struct doc_check *c, const struct doc_node *at, struct cred_rule *r)
{
	uint32_t   flags = PCRE2_USE_OFFSET_LIMIT | PCRE2_NEVER_UTF | PCRE2_NEVER_BACKSLASH_C | (r->ignore_case ? PCRE2_CASELESS : 0);
	int        code, group;
	PCRE2_SIZE offset;
	PCRE2_UCHAR text[256];

	r->code = pcre2_compile((PCRE2_SPTR)r->regex, PCRE2_ZERO_TERMINATED, flags, &code, &offset, NULL);
	if (!r->code) {
		pcre2_get_error_message(code, text, sizeof text);
		doc_error(c, at, "regex: %s at byte %zu", (const char *)text, offset);
		return -1;
	}
	group = pcre2_substring_number_from_name(r->code, (PCRE2_SPTR) "secret");
	if (group < 0) {
		doc_error(c, at, "regex has no group (?<secret>...)");
		return -1;
	}
	r->group = (uint32_t)group;
	group = pcre2_substring_number_from_name(r->code, (PCRE2_SPTR) "password");
	r->password = group > 0 ? (uint32_t)group : 0;
	if (pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE)) {
		doc_error(c, at, "regex cannot be compiled to machine code");
		return -1;
	}
	return 0;
}

static char *escape(struct arena *a, const char *literal)
{
	char  *out = arena_alloc(a, strlen(literal) * 4 + 1);
	size_t n = 0;

	for (const char *p = literal; out && *p; p++) {
		if (strchr("\\^$.[]|()?*+{}-/#", *p))
			out[n++] = '\\';
		out[n++] = *p;
	}
	return out;
}

static int add_triggers(struct cred_rules *rs, struct doc_check *c, const struct doc_node *map, const struct cred_rule *r)
{
	const char *const  *literals = words_of(&rs->arena, c, map, "literals"), *const *patterns = words_of(&rs->arena, c, map, "triggers");
	struct cred_trigger t = { .rule = (unsigned)rs->rules.n, .flags = r->ignore_case || r->any_case ? HS_FLAG_CASELESS : 0 };

	if (!*literals && !*patterns)
		doc_error(c, map, "a rule needs 'literals' or 'triggers': where does it look?");
	for (; *literals; literals++) {
		if (strlen(*literals) < 3)
			doc_error(c, map, "the literal '%s' is too short: it would be found everywhere", *literals);
		t.pattern = escape(&rs->arena, *literals);
		if (!VEC_PUSH(&rs->triggers, t))
			return -1;
	}
	for (; *patterns; patterns++) {
		t.pattern = *patterns;
		if (!VEC_PUSH(&rs->triggers, t))
			return -1;
	}
	return 0;
}

static void read_numbers(struct doc_check *c, const struct doc_node *map, struct cred_rule *r)
{
	static const char *const checksums[] = { "none", "crc32-base62", NULL };
	static const char *const severities[] = { "note", "warning", "error", NULL };
	static const char *const encodings[] = { "none", "base64", "basic", NULL };
	static const char *const judges[] = { "none", "key", "password", NULL };
	const struct doc_node   *n;

	r->entropy_min = (n = doc_get(map, "entropy")) ? doc_want_num(c, n, "entropy", 0, 8) : 0;
	r->before = (n = doc_get(map, "before")) ? (unsigned)doc_want_int(c, n, "before", 0, 4096) : r->any_case ? BEFORE_KEYWORD : BEFORE_DEFAULT;
	r->reach = (n = doc_get(map, "reach")) ? (unsigned)doc_want_int(c, n, "reach", 1, REACH_MAX) : REACH_DEFAULT;
	r->certain = (n = doc_get(map, "certain")) && doc_want_bool(c, n, "certain");
	r->generic = (n = doc_get(map, "generic")) && doc_want_bool(c, n, "generic");
	r->mild_in_tests = r->generic || r->any_case || ((n = doc_get(map, "mild-in-tests")) && doc_want_bool(c, n, "mild-in-tests"));
	if ((n = doc_get(map, "decode"))) {
		int encoding = doc_want_enum(c, n, "decode", encodings);

		r->base64 = encoding >= 1;
		r->basic = encoding == 2;
	}
	r->ignore_case = (n = doc_get(map, "ignore-case")) && doc_want_bool(c, n, "ignore-case");
	r->severity = SEVERITY_ERROR;
	if ((n = doc_get(map, "severity")))
		r->severity = (enum severity)(doc_want_enum(c, n, "severity", severities) + 1);
	if ((n = doc_get(map, "checksum")))
		r->checksum = doc_want_enum(c, n, "checksum", checksums) == 1 ? CHECKSUM_CRC32_BASE62 : CHECKSUM_NONE;
	r->judge = r->any_case || r->generic ? JUDGE_KEY : JUDGE_NONE;
	if ((n = doc_get(map, "judge")))
		r->judge = (enum cred_judge)doc_want_enum(c, n, "judge", judges);
}

static const char *word_of(struct arena *a, struct doc_check *c, const struct doc_node *map, const char *key, const char *otherwise)
{
	const struct doc_node *n = doc_get(map, key);

	if (!n && otherwise)
		return otherwise;
	n = doc_need(c, map, key);
	return n ? arena_dup(a, doc_want_str(c, n, key)) : "";
}

/* "regex" as it stands, or made from "keyword" and "value": on one line, a name and behind it what may be its value. */
static const char *regex_of(struct arena *a, struct doc_check *c, const struct doc_node *map)
{
	const char *keyword, *value, *out;

	if (!doc_get(map, "keyword") && !doc_get(map, "value"))
		return word_of(a, c, map, "regex", NULL);
	if (doc_get(map, "regex"))
		doc_error(c, map, "a rule has either 'regex', or 'keyword' and 'value'");
	keyword = word_of(a, c, map, "keyword", NULL);
	value = word_of(a, c, map, "value", NULL);
	out = arena_printf(a, "(?i:%s)[^\\r\\n]{0,48}?(?:[=:,(\"'`>\\s|]|%%3[Dd])(?<secret>%s)(?![A-Za-z0-9+/_-])", keyword, value);
	return out ? out : "";
}

static int read_rule(struct cred_rules *rs, struct doc_check *c, const struct doc_node *map, const char *provider, const char *advice,
                     struct err *reterr)
{
	static const char *const known[] = { "id", "title", "provider", "advice", "regex", "keyword", "value", "literals", "triggers", "entropy", "before", "reach",
		                                 "certain", "generic", "ignore-case", "severity", "checksum", "judge", "decode", "mild-in-tests", "stop-words", "not-paths", "match",
		                                 "no-match", NULL };
	struct cred_rule         r = { 0 };

	if (!doc_is_map(c, map, "a rule", known))
		return 0;
	r.id = word_of(&rs->arena, c, map, "id", NULL);
	r.title = word_of(&rs->arena, c, map, "title", NULL);
	r.regex = regex_of(&rs->arena, c, map);
	r.any_case = doc_get(map, "keyword") != NULL;
	r.provider = word_of(&rs->arena, c, map, "provider", provider);
	r.advice = word_of(&rs->arena, c, map, "advice", advice);
	r.stop_words = words_of(&rs->arena, c, map, "stop-words");
	r.not_paths = words_of(&rs->arena, c, map, "not-paths");
	r.match = words_of(&rs->arena, c, map, "match");
	r.no_match = words_of(&rs->arena, c, map, "no-match");
	if (!*r.match)
		doc_error(c, map, "rule '%s' has no example that it matches", r.id);
	if (!*r.no_match)
		doc_error(c, map, "rule '%s' has no example that it does not match", r.id);
	for (size_t i = 0; i < rs->rules.n; i++)
		if (!strcmp(rs->rules.v[i].id, r.id))
			doc_error(c, map, "rule '%s' is there twice", r.id);
	read_numbers(c, map, &r);
	if (arena_check(&rs->arena, "rules", reterr))
		return -WEIR_ENOMEM;
	if (compile(c, doc_get(map, "regex") ? doc_get(map, "regex") : map, &r)) {
		pcre2_code_free(r.code);
		return 0;
	}
	if (add_triggers(rs, c, map, &r) || !VEC_PUSH(&rs->rules, r)) {
		pcre2_code_free(r.code);
		return err_set(reterr, WEIR_ENOMEM, "no memory for rules");
	}
	return 0;
}

int cred_rules_read(struct cred_rules *rs, const char *name, str text, struct err *reterr)
{
	static const char *const known[] = { "provider", "advice", "rules", NULL };
	struct doc_node         *root;
	const struct doc_node   *list;
	struct doc_check         c;
	const char              *provider, *advice;
	int                      rc = doc_parse_yaml(&rs->arena, name, text, &root, reterr);

	if (rc)
		return rc;
	doc_check_init(&c, &rs->arena, name);
	if (!doc_is_map(&c, root, "the file", known) || !(list = doc_need(&c, root, "rules")) || !doc_is_seq(&c, list, "rules"))
		return doc_check_result(&c, reterr);
	provider = doc_get(root, "provider") ? word_of(&rs->arena, &c, root, "provider", NULL) : NULL;
	advice = doc_get(root, "advice") ? word_of(&rs->arena, &c, root, "advice", NULL) : NULL;
	for (size_t i = 0; !rc && i < list->seq.n; i++)
		rc = read_rule(rs, &c, list->seq.items[i], provider, advice, reterr);
	return rc ? rc : doc_check_result(&c, reterr);
}

void cred_rules_fini(struct cred_rules *rs)
{
	for (size_t i = 0; i < rs->rules.n; i++)
		pcre2_code_free(rs->rules.v[i].code);
	VEC_FINI(&rs->rules);
	VEC_FINI(&rs->triggers);
	arena_fini(&rs->arena);
}

/* --- examples --- */
static const char *alphabet_of(char kind)
{
	switch (kind) {
	case 'a': case 'c': case 'p': return "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	case 'l': return "0123456789abcdefghijklmnopqrstuvwxyz";
	case 'u': return "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	case 'x': return "0123456789abcdef";
	case 'X': return "0123456789ABCDEF";
	case 'd': return "0123456789";
	case 'b': return "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+/";
	case 'A': return "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	case 's': return "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
	case 't': return "abcdefghijklmnopqrstuvwxyz234567";
	case 'z': return "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L";
	case 'w': return "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-";
	default: return NULL;
	}
}

static void add_checksum(struct buf *out, size_t from)
{
	const char *digits = alphabet_of('a');
	uint32_t    crc = cred_crc32(str_n(out->ptr + from, out->len - from));
	char        text[7] = { 0 };

	for (int i = 5; i >= 0; i--, crc /= 62)
		text[i] = digits[crc % 62];
	buf_addz(out, text);
}

/* "dev:PASSWORD" in base64, as HTTP and Docker write it. */
static void encode_pair(struct buf *out, size_t from)
{
	CLEANUP_BUF struct buf pair = BUF_INIT(4096);

	buf_addf(&pair, "dev:%.*s", (int)(out->len - from), out->ptr + from);
	out->len = from;
	buf_add_base64(out, buf_str(&pair));
}

void cred_example(const char *text, struct buf *out)
{
	uint64_t seed = 88172645463325252ULL;

	for (const char *p = text; *p; p++)
		seed = (seed ^ (unsigned char)*p) * 1099511628211ULL;
	while (*text && !out->failed) {
		char        kind, end;
		unsigned    n, sum;
		const char *alphabet;
		size_t      from = out->len;

		if (*text != '<' || sscanf(text, "<%c%u%c", &kind, &n, &end) != 3 || end != '>' || !(alphabet = alphabet_of(kind))) {
			buf_addc(out, *text++);
			continue;
		}
		sum = kind == 'c' && n > 6 ? 6 : 0;
		for (unsigned i = sum; i < n && !out->failed; i++) {
			seed ^= seed << 13; /* xorshift: good enough to look drawn */
			seed ^= seed >> 7;
			seed ^= seed << 17;
			buf_addc(out, alphabet[(seed >> 11) % strlen(alphabet)]);
		}
		if (sum && !out->failed)
			add_checksum(out, from);
		if (kind == 'p' && !out->failed)
			encode_pair(out, from);
		text = strchr(text, '>') + 1;
	}
}
