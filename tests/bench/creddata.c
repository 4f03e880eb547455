/* creddata.c - precision and recall of the credentials check over labelled lines of real code: creddata [DIR] [-v]
 *
 * DIR is the folder of public test data ($WEIR_CONFORMANCE); file secrets/creddata-part.jsonl.zst. A line counts as found when a
 * finding (no note) begins in it; lines labelled X (undecided) are left out. Prints figures per category, then in all.
 * Nothing passes or fails: docs/benchmarks.md keeps the figures. -v shows the lines that were missed or found wrongly. */
#include "gate/credentials/cred-internal.h"

#include "base/fs.h"
#include "base/hash.h"
#include "base/map.h"

#include <ctype.h>
#include <zstd.h>

enum { DATA_BYTES_MAX = 256 << 20 };

struct tally {
	const char *name;
	size_t      found, missed, passed_over, false_found;
};
struct fired {
	uint32_t lines[2000]; /* first lines of findings */
	size_t   n;
};
struct figures {
	struct cred *cred;
	struct arena arena; /* of one label */
	struct arena names;
	struct map   tallies;
	struct tally all;
	bool         verbose;
};

static int note(void *ctx, const struct finding *f, struct err *reterr UNUSED)
{
	struct fired *o = ctx;

	if (f->severity != SEVERITY_NOTE && o->n < ARRAY_SIZE(o->lines))
		o->lines[o->n++] = f->line;
	return 0;
}

static struct tally *tally_of(struct figures *s, str category)
{
	struct tally *t = map_get(&s->tallies, category);

	if (!t) {
		t = arena_alloc(&s->names, sizeof *t);
		t->name = arena_dup(&s->names, category);
		if (!map_put(&s->tallies, category, t, NULL))
			abort();
	}
	return t;
}

static void count(struct tally *t, bool want, bool hit)
{
	*(want ? (hit ? &t->found : &t->missed) : (hit ? &t->false_found : &t->passed_over)) += 1;
}

static int label(struct figures *s, const struct doc_node *c, struct buf *text, struct err *reterr)
{
	static struct fired fired;
	struct finding_sink sink = { .add = note, .ctx = &fired };
	int64_t             before = doc_get_int(c, "context_first_line", 0) - 1;
	str                 truth = doc_get_str(c, "truth");
	bool                hit = false, want = str_eqz(truth, "T");
	int                 rc;

	if (str_eqz(truth, "X"))
		return 0;
	fired.n = 0;
	buf_clear(text);
	if (!base64_parse(doc_get_str(c, "context_b64"), text))
		return err_set(reterr, WEIR_EPARSE, "context_b64 is no base64");
	rc = cred_scan_text(s->cred, doc_get_str(c, "file"), STR_NULL, buf_str(text), &sink, reterr);
	for (size_t i = 0; i < fired.n; i++)
		hit = hit || (fired.lines[i] + before >= doc_get_int(c, "line_start", 0) && fired.lines[i] + before <= doc_get_int(c, "line_end", 0));
	count(tally_of(s, doc_get_str(c, "category")), want, hit);
	count(&s->all, want, hit);
	if (s->verbose && hit != want)
		printf("%s: %.*s\n", want ? "missed" : "false", STR_ARG(buf_str(text)));
	return rc;
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

static void print(const struct figures *s)
{
	const struct tally *t = &s->all;

	printf("%-34s %7s %7s %7s %12s\n", "category", "found", "missed", "false", "passed over");
	for (struct map_entry *e = map_next(&s->tallies, NULL); e; e = map_next(&s->tallies, e)) {
		const struct tally *k = e->value;

		printf("%-34s %7zu %7zu %7zu %12zu\n", k->name, k->found, k->missed, k->false_found, k->passed_over);
	}
	printf("lines: %zu true found, %zu true missed, %zu false found, %zu false passed over; precision %.3f, recall %.3f\n", t->found, t->missed,
	       t->false_found, t->passed_over, (double)t->found / (double)(t->found + t->false_found), (double)t->found / (double)(t->found + t->missed));
}

static int all_labels(struct figures *s, const char *dir, struct err *reterr)
{
	struct buf all = BUF_INIT(DATA_BYTES_MAX), text = BUF_INIT(1 << 20);
	char       path[4096];
	str        line, rest;
	int        rc = fs_join(path, sizeof path, reterr, dir, "secrets/creddata-part.jsonl.zst");

	if (!rc)
		rc = load(path, &all, reterr);
	for (rest = buf_str(&all); !rc && rest.len;) {
		struct doc_node *c;

		str_cut(rest, '\n', &line, &rest);
		arena_fini(&s->arena);
		if (line.len && !(rc = doc_parse_json(&s->arena, path, line, &c, reterr)))
			rc = label(s, c, &text, reterr);
	}
	buf_fini(&all);
	buf_fini(&text);
	return rc;
}

int main(int argc, char **argv)
{
	struct figures s = { .arena = ARENA_INIT(64 << 20), .names = ARENA_INIT(16 << 20), .verbose = argc > 2 };
	const char    *dir = argc > 1 ? argv[1] : getenv("WEIR_CONFORMANCE");
	struct err     e = { 0 };
	int            rc;

	if (!dir || !*dir) {
		puts("skipped: WEIR_CONFORMANCE is not set");
		return 0;
	}
	base_init();
	rc = cred_new(&(struct cred_config){ 0 }, &s.cred, &e);
	if (!rc)
		rc = all_labels(&s, dir, &e);
	if (rc)
		fprintf(stderr, "%s\n", e.msg);
	else
		print(&s);
	cred_free(s.cred);
	map_fini(&s.tallies);
	arena_fini(&s.names);
	arena_fini(&s.arena);
	return rc ? 2 : 0;
}
