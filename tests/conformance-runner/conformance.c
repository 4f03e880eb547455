/* conformance.c - runs one suite of public test data: conformance SUITE [FILE...]
 *
 * Prints each failing case with what was expected and seen, each skip with its reason, and ends with
 * "N passed, N failed, N skipped". Known gaps (known-gaps/SUITE.txt) count as skipped with their reason; a known gap that
 * passes, or that names no case of the default data, is a failure, so that the list stays true. Without data the whole
 * suite is one skip. Exit: 0 nothing failed, 1 something failed, 2 wrong use. */
#include "base/base.h"
#include "conformance.h"
#include "suites.h"

#include "base/fs.h"
#include "base/hash.h"
#include "base/map.h"

#include <limits.h>
#include <stdarg.h>
#include <zstd.h>

enum { FILE_MAX = 1 << 30, CASE_MEMORY_MAX = 512 << 20, SHOWN_MAX = 2000 };

struct gap {
	char *reason;
	bool  seen;
};

struct conf_run {
	const struct conf_suite *suite;
	struct map               gaps; /* case name to struct gap */
	struct arena             arena; /* of the run */
	size_t                   passed, failed, skipped;
};

#define X(id, name_) extern const struct conf_suite suite_##id;
CONF_SUITES(X)
#undef X

static const struct conf_suite *const suites[] = {
#define X(id, name_) &suite_##id,
	CONF_SUITES(X)
#undef X
};
static const char *const suite_names[] = {
#define X(id, name_) name_,
	CONF_SUITES(X)
#undef X
};

/* --- outcomes --- */

static const char *full_name(struct conf_case *c, const char *sub)
{
	const char *name = sub && *sub ? arena_printf(c->arena, "%s/%s", c->name, sub) : c->name;

	return name ? name : c->name;
}

static void fail(struct conf_case *c, const char *name, const char *expected, const char *seen)
{
	c->run->failed++;
	printf("FAIL %s (%s:%zu)\n  expected: %.*s\n  seen:     %.*s\n", name, c->file, c->line, SHOWN_MAX, expected, SHOWN_MAX, seen);
}

static struct gap *gap_of(struct conf_case *c, const char *name)
{
	struct gap *g = map_get(&c->run->gaps, str_z(name));

	if (g)
		g->seen = true;
	return g;
}

void conf_pass(struct conf_case *c, const char *sub)
{
	const char *name = full_name(c, sub);

	if (gap_of(c, name))
		fail(c, name, "a known gap", "it passes: remove it from the list of known gaps");
	else
		c->run->passed++;
}

void conf_fail(struct conf_case *c, const char *sub, const char *expected, const char *seen_fmt, ...)
{
	const char       *name = full_name(c, sub);
	const struct gap *g = gap_of(c, name);
	struct buf        seen = BUF_INIT(1 << 20);
	va_list           ap;

	if (g) {
		c->run->skipped++;
		printf("skip %s: known gap: %s\n", name, g->reason);
		return;
	}
	va_start(ap, seen_fmt);
	buf_addv(&seen, seen_fmt, ap);
	va_end(ap);
	fail(c, name, expected, seen.failed ? "(too long to show)" : buf_z(&seen));
	buf_fini(&seen);
}

void conf_skip(struct conf_case *c, const char *sub, const char *reason_fmt, ...)
{
	char    reason[512];
	va_list ap;

	va_start(ap, reason_fmt);
	vsnprintf(reason, sizeof(reason), reason_fmt, ap);
	va_end(ap);
	c->run->skipped++;
	printf("skip %s: %s\n", full_name(c, sub), reason);
}

void conf_equal(struct conf_case *c, const char *sub, str expected, str seen)
{
	const char *want;

	if (str_eq(expected, seen)) {
		conf_pass(c, sub);
		return;
	}
	want = arena_dup(c->arena, expected);
	conf_fail(c, sub, want ? want : "(too long to show)", "%.*s", STR_ARG(seen));
}

struct conf_case conf_case_at(struct conf_run *r, const char *path, const char *name, struct arena *a)
{
	return (struct conf_case){ .run = r, .file = path, .name = name, .arena = a, .line = 1 };
}

str conf_base64(struct conf_case *c, const char *key)
{
	str        text = doc_get_str(c->json, key);
	struct buf b = BUF_INIT(FILE_MAX);
	str        bytes = STR_NULL;

	if (text.ptr && base64_parse(text, &b))
		bytes = arena_str(c->arena, buf_str(&b));
	buf_fini(&b);
	return bytes;
}

/* --- data --- */

static int unpack(const char *path, struct buf *data, struct err *reterr)
{
	struct buf     out = BUF_INIT(FILE_MAX);
	ZSTD_DStream  *z = ZSTD_createDStream();
	ZSTD_inBuffer  in = { data->ptr, data->len, 0 };
	size_t         left = 1;
	int            r = 0;

	while (!r && z && (in.pos < in.size || left)) {
		char          *room = buf_reserve(&out, ZSTD_DStreamOutSize());
		ZSTD_outBuffer o = { room, ZSTD_DStreamOutSize(), 0 };
		size_t         before = in.pos;

		if (!room) {
			r = buf_check(&out, path, reterr);
			break;
		}
		left = ZSTD_decompressStream(z, &o, &in);
		out.len += o.pos;
		if (ZSTD_isError(left) || (left && in.pos == before && !o.pos))
			r = err_set(reterr, WEIR_EPARSE, "%s: not a whole zstd file", path);
		else if (!left && in.pos == in.size)
			break;
	}
	ZSTD_freeDStream(z);
	if (!r) {
		buf_fini(data);
		*data = out;
		return 0;
	}
	buf_fini(&out);
	return r;
}

static const char *case_name(struct conf_case *c)
{
	const struct doc_node *n = doc_get(c->json, c->run->suite->name_key ? c->run->suite->name_key : "name");
	const char            *base = strrchr(c->file, '/');
	const char            *name;

	if (n && n->text.len)
		return n->text.ptr;
	name = arena_printf(c->arena, "%s:%zu", base ? base + 1 : c->file, c->line);
	return name ? name : "?";
}

static void run_line(struct conf_run *r, const char *path, size_t line, str text)
{
	struct arena     a = ARENA_INIT(CASE_MEMORY_MAX);
	struct conf_case c = { .run = r, .text = text, .file = path, .line = line, .arena = &a };
	struct doc_node *n = NULL;
	struct err       err = { 0 };
	size_t           before = r->passed + r->failed + r->skipped;

	if (!r->suite->text_lines && doc_parse_json(&a, path, text, &n, &err)) {
		c.name = case_name(&c);
		conf_fail(&c, NULL, "a line of JSON", "%s", err.msg);
	} else {
		c.json = n;
		c.name = case_name(&c);
		r->suite->run(&c);
		if (r->passed + r->failed + r->skipped == before)
			fail(&c, c.name, "an outcome", "the suite reported none");
	}
	arena_fini(&a);
}

static void run_file(struct conf_run *r, const char *path)
{
	struct buf data = BUF_INIT(FILE_MAX);
	struct err err = { 0 };
	str        rest, text;
	size_t     line = 0;

	if (r->suite->run_path) {
		r->suite->run_path(r, path);
		return;
	}
	if (fs_read(path, &data, &err) || (str_has_suffix(str_z(path), STR(".zst")) && unpack(path, &data, &err))) {
		r->failed++;
		printf("FAIL %s\n", err.msg);
	} else {
		for (rest = buf_str(&data); rest.len;) {
			line++;
			if (!str_cut(rest, '\n', &text, &rest))
				rest = STR_NULL;
			if (str_trim(text).len)
				run_line(r, path, line, text);
		}
	}
	buf_fini(&data);
}

/* --- known gaps: "NAME | reason" a line, "#" begins a comment --- */

static bool add_gap(struct conf_run *r, str line)
{
	size_t      bar = line.len;
	struct gap *g;

	for (size_t i = 0; i + 3 <= line.len && bar == line.len; i++)
		if (!memcmp(line.ptr + i, " | ", 3))
			bar = i;
	if (bar == line.len)
		return false;
	g = ARENA_NEW(&r->arena, struct gap);
	if (!g)
		return false;
	g->reason = arena_dup(&r->arena, str_trim(str_sub(line, bar + 3, line.len)));
	return g->reason && *g->reason && map_put(&r->gaps, str_trim(str_sub(line, 0, bar)), g, NULL);
}

static int read_gaps(struct conf_run *r)
{
	char       path[PATH_MAX];
	struct buf data = BUF_INIT(1 << 20);
	struct err err = { 0 };
	str        rest, line;
	int        e = 0;

	snprintf(path, sizeof(path), "%s/%s.txt", CONF_GAPS_DIR, r->suite->name);
	if (!fs_exists(path))
		return 0;
	if (fs_read(path, &data, &err)) {
		fprintf(stderr, "%s\n", err.msg);
		e = 2;
	}
	for (rest = buf_str(&data); rest.len && !e;) {
		if (!str_cut(rest, '\n', &line, &rest))
			rest = STR_NULL;
		line = str_trim(line);
		if (line.len && line.ptr[0] != '#' && !add_gap(r, line)) {
			fprintf(stderr, "%s: not 'NAME | reason': %.*s\n", path, STR_ARG(line));
			e = 2;
		}
	}
	buf_fini(&data);
	return e;
}

static void report_stale_gaps(struct conf_run *r)
{
	for (struct map_entry *e = map_next(&r->gaps, NULL); e; e = map_next(&r->gaps, e)) {
		if (((struct gap *)e->value)->seen)
			continue;
		r->failed++;
		printf("FAIL %s\n  expected: a case of that name\n  seen:     none; remove it from the list of known gaps\n", e->key);
	}
}

/* --- main --- */

static void run_defaults(struct conf_run *r)
{
	const char *dir = getenv("WEIR_CONFORMANCE");
	char        path[PATH_MAX];

	if (!dir || !*dir) {
		printf("skipped: $WEIR_CONFORMANCE is not set; it names the folder with the suites' data\n");
		r->skipped++;
		return;
	}
	for (const char *const *f = r->suite->files; *f; f++) {
		snprintf(path, sizeof(path), "%s/%s", dir, *f);
		run_file(r, path);
	}
	report_stale_gaps(r);
}

static const struct conf_suite *find_suite(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(suites); i++)
		if (!strcmp(suite_names[i], name))
			return suites[i];
	return NULL;
}

static int usage(void)
{
	fprintf(stderr, "usage: conformance SUITE [FILE...]\nsuites:");
	for (size_t i = 0; i < ARRAY_SIZE(suite_names); i++)
		fprintf(stderr, " %s", suite_names[i]);
	fprintf(stderr, "\n");
	return 2;
}

int main(int argc, char **argv)
{
	struct conf_run run = { .gaps = MAP_INIT, .arena = ARENA_INIT(16 << 20) };
	int             e;

	base_init();
	if (argc < 2 || !(run.suite = find_suite(argv[1])))
		return usage();
	e = read_gaps(&run);
	if (!e) {
		for (int i = 2; i < argc; i++)
			run_file(&run, argv[i]);
		if (argc == 2)
			run_defaults(&run);
		printf("%zu passed, %zu failed, %zu skipped\n", run.passed, run.failed, run.skipped);
		e = run.failed ? 1 : 0;
	}
	map_fini(&run.gaps);
	arena_fini(&run.arena);
	return e;
}
