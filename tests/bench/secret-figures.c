/* secret-figures.c - precision and recall of the credentials check over three public suites: secret-figures [DIR] [-v]
 *
 * DIR is the folder of public test data ($WEIR_CONFORMANCE). The sets, and what a case is:
 *   rules    examples of other scanners' rules; true: must match, found by any finding; false: must not, found by a rule for its provider
 *   leaks    whole files; true: a leak
 *   lines    labelled lines of real code (X, undecided, left out); found when a finding touches the line
 *   secrets  the same without the labels UUID, Firebase Domain and AWS S3 Bucket: ids and addresses, which weir takes for no secrets
 * Each set is cut in two halves by a hash (text, path, repository and file): rules are tuned by looking at the half "tune" alone, so the
 * half "check" tells what to expect of cases nobody looked at. "refused" are errors, which stop a push; "told" are errors and warnings.
 * Nothing passes or fails: docs/benchmarks.md keeps the figures. -v names the cases of the half "tune" decided otherwise, tab-separated. */
#include "lib/secretcase.h" /* first: see there */

#include "base/fs.h"
#include "base/hash.h"

#include <zstd.h>

enum { DATA_BYTES_MAX = 256 << 20 };
enum set { RULES, LEAKS, LINES, SECRETS, SETS };

struct tally {
	size_t cases, wanted, told, refused, false_told, false_refused;
};
struct figures {
	struct cred       *cred;
	struct arena       arena; /* of one case */
	struct buf         text;
	struct secret_seen seen;
	struct tally       tally[SETS][2]; /* [.][0]: tune */
	bool               verbose;
};
struct outcome {
	bool          want;
	enum severity seen;
	const char   *rule; /* one that fired there, or NULL */
};

static const char *const set_names[SETS] = { "rules", "leaks", "lines", "secrets" };
static const char *const set_files[SETS] = { "secrets/rule-examples.jsonl.zst", "secrets/fake-leaks.jsonl.zst", "secrets/creddata-part.jsonl.zst", NULL };

static bool in_check_half(str key)
{
	char hex[SHA256_HEX];

	sha256_hex(key, hex);
	return strchr("13579bdf", hex[1]) != NULL; /* the first byte is odd */
}

static const char *rule_id(const struct figures *s, size_t i) { return s->cred->rules.rules.v[i].id; }

static void look_at_all(struct figures *s, struct outcome *o)
{
	o->seen = s->seen.worst;
	for (size_t i = 0; i < s->seen.n; i++)
		if (s->seen.places[i].severity == o->seen)
			o->rule = rule_id(s, s->seen.places[i].rule);
}

static void judge_rules(struct figures *s, const struct doc_node *c, struct outcome *o)
{
	char plain[128];

	o->want = str_eqz(doc_get_str(c, "expect"), "match");
	if (o->want) {
		look_at_all(s, o);
		return;
	}
	secret_plain(doc_get_str(c, "provider"), plain, sizeof plain);
	for (size_t i = 0; i < s->seen.n; i++)
		if (s->seen.places[i].severity > o->seen && secret_rule_is_for(&s->cred->rules.rules.v[s->seen.places[i].rule], plain)) {
			o->seen = s->seen.places[i].severity;
			o->rule = rule_id(s, s->seen.places[i].rule);
		}
}

static void judge_leaks(struct figures *s, const struct doc_node *c, struct outcome *o)
{
	o->want = str_eqz(doc_get_str(c, "expect"), "leak") ||
	          (str_eqz(doc_get_str(c, "expect"), "see_findings") && doc_len(doc_get(c, "leaktk_findings")));
	look_at_all(s, o);
}

static void judge_lines(struct figures *s, const struct doc_node *c, struct outcome *o)
{
	int64_t before = doc_get_int(c, "context_first_line", 0) - 1;

	o->want = str_eqz(doc_get_str(c, "truth"), "T");
	for (size_t i = 0; i < s->seen.n; i++) {
		const struct secret_place *p = &s->seen.places[i];

		if (p->line + before > doc_get_int(c, "line_end", 0) || p->end_line + before < doc_get_int(c, "line_start", 0) || p->severity <= o->seen)
			continue;
		o->seen = p->severity;
		o->rule = rule_id(s, p->rule);
	}
}

static void count(struct figures *s, enum set set, str key, const char *name, const struct outcome *o)
{
	bool          told = o->seen >= SEVERITY_WARNING, check = in_check_half(key);
	struct tally *t = &s->tally[set][check];

	t->cases++;
	t->wanted += o->want;
	*(o->want ? &t->told : &t->false_told) += told;
	*(o->want ? &t->refused : &t->false_refused) += o->seen == SEVERITY_ERROR;
	if (s->verbose && !check && o->want != told)
		printf("%s\t%s\t%s\t%s\n", set_names[set], name, o->want ? "missed" : o->seen == SEVERITY_ERROR ? "false-refused" : "false-told",
		       o->rule ? o->rule : "-");
}

static bool is_id(str category)
{
	return str_eqz(category, "UUID") || str_eqz(category, "Firebase Domain") || str_eqz(category, "AWS S3 Bucket");
}

static int run_case(struct figures *s, enum set set, const struct doc_node *c, struct err *reterr)
{
	static const char *const text_keys[SETS] = { "text_b64", "text_b64", "context_b64", NULL };
	struct outcome           o = { 0 };
	const char              *name;
	str                      path = doc_get_str(c, set == LINES ? "file" : "path"), key = path;
	int                      rc;

	if (set == LINES && str_eqz(doc_get_str(c, "truth"), "X"))
		return 0;
	buf_clear(&s->text);
	if (!base64_parse(doc_get_str(c, text_keys[set]), &s->text))
		return err_set(reterr, WEIR_EPARSE, "%s is no base64", text_keys[set]);
	rc = secret_scan(s->cred, path, buf_str(&s->text), &s->seen, reterr);
	if (rc)
		return rc;
	if (set == RULES) {
		judge_rules(s, c, &o);
		key = buf_str(&s->text);
		name = arena_printf(&s->arena, "%.*s/%.*s/%.*s/%d", STR_ARG(doc_get_str(c, "suite")), STR_ARG(doc_get_str(c, "rule")),
		                    STR_ARG(doc_get_str(c, "expect")), (int)doc_get_int(c, "index", 0));
	} else if (set == LEAKS) {
		judge_leaks(s, c, &o);
		name = arena_dup(&s->arena, path);
	} else {
		judge_lines(s, c, &o);
		key = str_z(arena_printf(&s->arena, "%.*s/%.*s", STR_ARG(doc_get_str(c, "repo")), STR_ARG(path)));
		name = arena_printf(&s->arena, "%d:%d", (int)doc_get_int(c, "id", 0), (int)doc_get_int(c, "line_start", 0));
	}
	count(s, set, key, name, &o);
	if (set == LINES && !is_id(doc_get_str(c, "category"))) {
		bool verbose = s->verbose;

		s->verbose = false; /* named above */
		count(s, SECRETS, key, name, &o);
		s->verbose = verbose;
	}
	return arena_check(&s->arena, "a case", reterr);
}

static int load(const char *path, struct buf *out, struct err *reterr)
{
	struct buf         packed = BUF_INIT(DATA_BYTES_MAX);
	unsigned long long n = 0;
	int                rc = fs_read(path, &packed, reterr);

	if (!rc) {
		n = ZSTD_getFrameContentSize(packed.ptr, packed.len);
		if (n > DATA_BYTES_MAX || !buf_reserve(out, n) || ZSTD_isError(out->len = ZSTD_decompress(out->ptr, n, packed.ptr, packed.len)))
			rc = err_set(reterr, WEIR_EPARSE, "%s is no zstd file with a known size", path);
	}
	buf_fini(&packed);
	return rc;
}

static int run_set(struct figures *s, enum set set, const char *dir, struct err *reterr)
{
	struct buf all = BUF_INIT(DATA_BYTES_MAX);
	char       path[4096];
	str        line, rest;
	int        rc = fs_join(path, sizeof path, reterr, dir, set_files[set]);

	if (!rc)
		rc = load(path, &all, reterr);
	for (rest = buf_str(&all); !rc && rest.len;) {
		struct doc_node *c;

		str_cut(rest, '\n', &line, &rest);
		arena_fini(&s->arena);
		if (line.len && !(rc = doc_parse_json(&s->arena, path, line, &c, reterr)))
			rc = run_case(s, set, c, reterr);
	}
	buf_fini(&all);
	return rc;
}

static double share(size_t part, size_t whole) { return whole ? (double)part / (double)whole : 0; }

static void print_row(const char *set, const char *half, const struct tally *t)
{
	printf("%-7s %-6s %6zu %6zu  %6zu %6zu  %5.3f %5.3f  %6zu %6zu  %5.3f %5.3f\n", set, half, t->cases, t->wanted, t->told, t->false_told,
	       share(t->told, t->told + t->false_told), share(t->told, t->wanted), t->refused, t->false_refused,
	       share(t->refused, t->refused + t->false_refused), share(t->refused, t->wanted));
}

static void print(const struct figures *s)
{
	printf("%-7s %-6s %6s %6s  %6s %6s  %5s %5s  %6s %6s  %5s %5s\n", "set", "half", "cases", "true", "told", "false", "prec", "rec", "refuse", "false",
	       "prec", "rec");
	for (int set = 0; set < SETS; set++)
		for (int half = 0; half < 2; half++)
			print_row(set_names[set], half ? "check" : "tune", &s->tally[set][half]);
}

int main(int argc, char **argv)
{
	static struct figures s = { .arena = ARENA_INIT(64 << 20), .text = BUF_INIT(64 << 20) };
	const char           *dir = argc > 1 ? argv[1] : getenv("WEIR_CONFORMANCE");
	struct err            e = { 0 };
	int                   rc;

	if (!dir || !*dir) {
		puts("skipped: WEIR_CONFORMANCE is not set");
		return 0;
	}
	base_init();
	s.verbose = argc > 2;
	rc = cred_new(&(struct cred_config){ .cache_dir = getenv("WEIR_BENCH_CACHE") }, &s.cred, &e);
	for (int set = 0; !rc && set < SECRETS; set++)
		rc = run_set(&s, (enum set)set, dir, &e);
	if (rc)
		fprintf(stderr, "%s\n", e.msg);
	else
		print(&s);
	cred_free(s.cred);
	buf_fini(&s.text);
	arena_fini(&s.arena);
	return rc ? 2 : 0;
}
