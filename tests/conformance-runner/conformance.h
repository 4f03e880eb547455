/* conformance.h - what a suite of public test data is to the runner.
 *
 * A suite is one .c file with `const struct conf_suite suite_NAME`, a line in suites.h and its file in meson.build. The
 * runner reads the data (JSONL, .zst too), calls the suite once per line, and counts. A line may hold many cases: the
 * suite reports one outcome per case. README.md shows the smallest suite. */
#ifndef WEIR_CONFORMANCE_H
#define WEIR_CONFORMANCE_H

#include "base/arena.h"
#include "base/base.h"
#include "base/err.h"
#include "base/str.h"
#include "doc/doc.h"

struct conf_run;

struct conf_case {
	struct conf_run       *run;
	const struct doc_node *json;  /* the line; NULL when the suite has text_lines */
	str                    text;  /* the line as written */
	const char            *file;  /* path of the data file */
	size_t                 line;  /* 1-based */
	const char            *name;  /* value of name_key, else "FILE:LINE" */
	struct arena          *arena; /* ends with the line */
};

struct conf_suite {
	const char        *name;
	const char *const *files;    /* default data, relative to $WEIR_CONFORMANCE, NULL-ended */
	const char        *name_key; /* key of a line that names it; NULL: "name" */
	bool               text_lines; /* lines are not parsed by the runner (the suite tests the parser itself) */
	void (*run)(struct conf_case *c);
	/* Instead of `run`, for data that is no JSONL: gets each path as it is, and calls conf_pass and the rest with a
	 * case that conf_case_at() made. */
	void (*run_path)(struct conf_run *r, const char *path);
};

/* Outcomes. `sub` names one of several cases of a line ("" or NULL: the line is the case); its name is then "NAME/SUB". */
void conf_pass(struct conf_case *c, const char *sub);
void conf_fail(struct conf_case *c, const char *sub, const char *expected, const char *seen_fmt, ...) PRINTF(4, 5);
void conf_skip(struct conf_case *c, const char *sub, const char *reason_fmt, ...) PRINTF(3, 4);
/* pass when equal, else fail with both */
void conf_equal(struct conf_case *c, const char *sub, str expected, str seen);

/* A case of a run_path suite. The arena is the caller's. */
struct conf_case conf_case_at(struct conf_run *r, const char *path, const char *name, struct arena *a);

/* Bytes of a base64 text of the case, in its arena; STR_NULL when the key is absent or broken. */
str conf_base64(struct conf_case *c, const char *key);

#endif
