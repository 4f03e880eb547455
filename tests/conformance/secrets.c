/* secrets.c - the credentials check over public suites of examples: secrets SUITE DIR
 *
 * secret-rules: each case names a rule of another scanner by provider. Where weir has a rule for that provider (its provider,
 * a literal or its expression names it), "match" wants any rule of weir to fire on the text, "no_match" wants no rule of that
 * provider to fire. Other providers are counted as skipped: weir makes no claim about them.
 * fake-leaks: whole files; "leak" wants a finding, "no_leak" wants none. "see_findings": a finding where that suite's own
 * scanner reports one, none where it reports none.
 * creddata: labelled lines; precision and recall over lines, with context, as figures; nothing passes or fails.
 * Prints figures per provider and, last, "N passed, N failed, N skipped". -v lists the cases that failed. */
#include "gate/credentials/cred-internal.h"

#include "base/fs.h"
#include "base/hash.h"
#include "base/map.h"

#include <ctype.h>
#include <zstd.h>

enum { SUITE_BYTES_MAX = 256 << 20 };

struct tally {
	const char *name;
	size_t      match_ok, match_bad, no_ok, no_bad, skipped;
};
struct fired {
	bool     any, rule[1000];
	uint32_t lines[2000]; /* first lines of findings */
	size_t   n;
};
struct suite {
	struct cred *cred;
	struct arena arena; /* of one case */
	struct arena names;
	struct map   tallies;
	size_t       passed, failed, skipped;
	size_t       tp, fp, fn, tn;
	bool         verbose;
};

static int note(void *ctx, const struct finding *f, struct err *reterr UNUSED)
{
	struct fired *o = ctx;

	if (f->severity == SEVERITY_NOTE)
		return 0;
	o->any = true;
	if (o->n < ARRAY_SIZE(o->lines))
		o->lines[o->n++] = f->line;
	return 0;
}

struct by_rule {
	struct fired      *fired;
	const struct cred *cred;
};

static int note_rule(void *ctx, const struct finding *f, struct err *reterr)
{
	struct by_rule *b = ctx;

	for (size_t i = 0; i < b->cred->rules.rules.n; i++)
		if (str_eqz(f->rule, b->cred->rules.rules.v[i].id))
			b->fired->rule[i] = true;
	return note(b->fired, f, reterr);
}

static void normalise(str s, char *out, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len && n + 1 < size; i++)
		if (isalnum((unsigned char)s.ptr[i]))
			out[n++] = (char)tolower((unsigned char)s.ptr[i]);
	out[n] = '\0';
}

/* Does the rule name the provider? */
static bool names(const struct cred *c, size_t i, const char *provider)
{
	const struct cred_rule *r = &c->rules.rules.v[i];
	char                    text[16384];

	normalise(str_z(r->provider), text, sizeof text);
	if (!strcmp(text, provider))
		return true;
	if (strlen(provider) < 4)
		return false;
	normalise(str_z(r->title), text, sizeof text);
	if (strstr(text, provider))
		return true;
	normalise(str_z(r->regex), text, sizeof text);
	return strstr(text, provider) != NULL;
}

static struct tally *tally_of(struct suite *s, const char *provider)
{
	struct tally *t = map_get(&s->tallies, str_z(provider));

	if (!t) {
		t = arena_alloc(&s->names, sizeof *t);
		t->name = arena_dupz(&s->names, provider);
		if (!map_put(&s->tallies, str_z(provider), t, NULL))
			abort();
	}
	return t;
}

static void scan(struct suite *s, str path, str text, struct fired *out)
{
	struct by_rule      b = { .fired = out, .cred = s->cred };
	struct finding_sink sink = { .add = note_rule, .ctx = &b };
	struct err          e = { 0 };

	memset(out, 0, sizeof *out);
	if (cred_scan_text(s->cred, path, STR_NULL, text, &sink, &e)) {
		fprintf(stderr, "%s\n", e.msg);
		exit(2);
	}
}

static void show(struct suite *s, const char *what, const struct doc_node *c, str text)
{
	if (s->verbose)
		printf("%s: %.*s %.*s: %.*s\n", what, STR_ARG(doc_get_str(c, "rule")), STR_ARG(doc_get_str(c, "path")),
		       (int)(text.len < 200 ? text.len : 200), text.ptr);
}

static void text_of(const struct doc_node *c, const char *key, struct buf *out)
{
	buf_clear(out);
	if (!base64_parse(doc_get_str(c, key), out))
		fprintf(stderr, "bad base64\n");
}

static void rules_case(struct suite *s, const struct doc_node *c, struct buf *text)
{
	static struct fired fired;
	char                provider[128];
	bool                want = str_eqz(doc_get_str(c, "expect"), "match"), known = false, same = false;
	struct tally       *t;

	normalise(doc_get_str(c, "provider"), provider, sizeof provider);
	text_of(c, "text_b64", text);
	t = tally_of(s, provider);
	scan(s, STR("example.txt"), buf_str(text), &fired);
	for (size_t i = 0; i < s->cred->rules.rules.n; i++)
		if (names(s->cred, i, provider)) {
			known = true;
			same = same || fired.rule[i];
		}
	if (!known) {
		s->skipped++;
		t->skipped++;
	} else if (want ? fired.any : !same) {
		s->passed++;
		*(want ? &t->match_ok : &t->no_ok) += 1;
	} else {
		s->failed++;
		*(want ? &t->match_bad : &t->no_bad) += 1;
		show(s, want ? "missed" : "false", c, buf_str(text));
	}
}

static void leaks_case(struct suite *s, const struct doc_node *c, struct buf *text)
{
	static struct fired fired;
	char                provider[128];
	str                 expect = doc_get_str(c, "expect");
	bool                want = str_eqz(expect, "leak") || (str_eqz(expect, "see_findings") && doc_len(doc_get(c, "leaktk_findings")));
	struct tally       *t;

	normalise(doc_get_str(c, "provider"), provider, sizeof provider);
	t = tally_of(s, provider);
	text_of(c, "text_b64", text);
	scan(s, doc_get_str(c, "path"), buf_str(text), &fired);
	if (want == fired.any) {
		s->passed++;
		*(want ? &t->match_ok : &t->no_ok) += 1;
	} else {
		s->failed++;
		*(want ? &t->match_bad : &t->no_bad) += 1;
		show(s, want ? "missed" : "false", c, buf_str(text));
	}
}

/* Only lines of the label count: the context is there for rules that look around. */
static void creddata_case(struct suite *s, const struct doc_node *c, struct buf *text)
{
	static struct fired fired;
	char                category[128];
	int64_t             first = doc_get_int(c, "line_start", 0) - doc_get_int(c, "context_first_line", 0) + 1;
	int64_t             last = doc_get_int(c, "line_end", 0) - doc_get_int(c, "context_first_line", 0) + 1;
	str                 truth = doc_get_str(c, "truth");
	bool                hit = false, want = str_eqz(truth, "T");
	struct tally       *t;

	if (str_eqz(truth, "X"))
		return;
	normalise(doc_get_str(c, "category"), category, sizeof category);
	t = tally_of(s, category);
	text_of(c, "context_b64", text);
	scan(s, doc_get_str(c, "file"), buf_str(text), &fired);
	for (size_t i = 0; i < fired.n; i++)
		hit = hit || (fired.lines[i] >= first && fired.lines[i] <= last);
	*(want ? (hit ? &s->tp : &s->fn) : (hit ? &s->fp : &s->tn)) += 1;
	*(want ? (hit ? &t->match_ok : &t->match_bad) : (hit ? &t->no_bad : &t->no_ok)) += 1;
	if (hit != want)
		show(s, want ? "missed" : "false", c, buf_str(text));
}

static int load(const char *path, struct buf *out)
{
	struct buf         packed = BUF_INIT(SUITE_BYTES_MAX);
	struct err         e = { 0 };
	unsigned long long n;

	if (fs_read(path, &packed, &e)) {
		fprintf(stderr, "%s\n", e.msg);
		return 2;
	}
	n = ZSTD_getFrameContentSize(packed.ptr, packed.len);
	if (n > SUITE_BYTES_MAX)
		n = SUITE_BYTES_MAX;
	if (!buf_reserve(out, n))
		return 2;
	n = ZSTD_decompress(out->ptr, n, packed.ptr, packed.len);
	if (ZSTD_isError(n))
		return 2;
	out->len = n;
	buf_fini(&packed);
	return 0;
}

static void print_tallies(struct suite *s)
{
	printf("%-28s %7s %7s %9s %7s %7s\n", "provider", "hit", "missed", "no-match", "false", "skipped");
	for (struct map_entry *e = map_next(&s->tallies, NULL); e; e = map_next(&s->tallies, e)) {
		struct tally *t = e->value;

		printf("%-28s %7zu %7zu %9zu %7zu %7zu\n", t->name, t->match_ok, t->match_bad, t->no_ok, t->no_bad, t->skipped);
	}
}

int main(int argc, char **argv)
{
	struct suite s = { .arena = ARENA_INIT(64 << 20), .names = ARENA_INIT(16 << 20), .verbose = argc > 3 };
	struct buf   all = BUF_INIT(SUITE_BYTES_MAX), text = BUF_INIT(64 << 20);
	struct err   e = { 0 };
	char         path[4096];
	const char  *dir = argc > 2 ? argv[2] : getenv("WEIR_CONFORMANCE");
	bool         rules, leaks;
	str          line, rest;

	if (argc < 2 || !dir || !*dir) {
		puts("skipped: WEIR_CONFORMANCE is not set\n0 passed, 0 failed, 0 skipped");
		return 77;
	}
	base_init();
	rules = !strcmp(argv[1], "secret-rules");
	leaks = !strcmp(argv[1], "fake-leaks");
	snprintf(path, sizeof path, "%s/secrets/%s.jsonl.zst", dir, rules ? "rule-examples" : leaks ? "fake-leaks" : "creddata-part");
	if (load(path, &all) || cred_new(&(struct cred_config){ .cache_dir = getenv("WEIR_TEST_CACHE") }, &s.cred, &e)) {
		fprintf(stderr, "%s: cannot be read %s\n", path, e.msg);
		return 2;
	}
	for (rest = buf_str(&all); rest.len;) {
		struct doc_node *c;

		str_cut(rest, '\n', &line, &rest);
		arena_fini(&s.arena);
		if (!line.len)
			continue;
		if (doc_parse_json(&s.arena, argv[1], line, &c, &e)) {
			fprintf(stderr, "%s\n", e.msg);
			return 2;
		}
		(rules ? rules_case : leaks ? leaks_case : creddata_case)(&s, c, &text);
	}
	print_tallies(&s);
	if (!rules && !leaks)
		printf("lines: %zu true found, %zu true missed, %zu false found, %zu false passed over; precision %.3f recall %.3f\n", s.tp, s.fn, s.fp, s.tn,
		       (double)s.tp / (double)(s.tp + s.fp), (double)s.tp / (double)(s.tp + s.fn));
	printf("%zu passed, %zu failed, %zu skipped\n", s.passed, s.failed, s.skipped);
	cred_free(s.cred);
	map_fini(&s.tallies);
	arena_fini(&s.names);
	arena_fini(&s.arena);
	buf_fini(&all);
	buf_fini(&text);
	return 0;
}
