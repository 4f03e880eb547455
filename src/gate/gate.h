/* gate.h - judges a change: runs every check, applies the waivers of the target, decides pass, fail or cannot-judge.
 *
 * A gate is made once (the vectorscan database is loaded then) and is immutable afterwards: any number of threads may
 * call gate_check_*() on one gate at the same time, each with its own change, git_repo and arena.
 * Waivers come from .weir/waivers.yaml at change.target, never from the change itself. */
#ifndef WEIR_GATE_GATE_H
#define WEIR_GATE_GATE_H

#include "base/clock.h"
#include "change/change.h"

struct gate;

struct gate_config {
	const struct check_ops *checks; /* of other domains; copied. "credentials" and gate's own "files" part are built in */
	size_t              n_checks;
	const char         *cache_dir;  /* where compiled rules are kept between starts; NULL: compile at every start (seconds) */
	const struct clock *clock;      /* for the expiry of waivers; NULL: the real one */
	unsigned            threads;    /* for changes with much to scan, at most 16; 0: 2 */
	const unsigned char *fingerprint_key; /* 32 bytes; NULL: the same for every weir, so that laptop and server name findings alike */
};

MUST_CHECK int gate_new(const struct gate_config *cfg, struct gate **ret, struct err *reterr);
struct gate *gate_free(struct gate *g); /* returns NULL */

/* Judges one change. Everything in *ret lives in the arena. Errors are weir's own (memory); a check that could not look makes
 * the verdict cannot-judge instead, unless a finding already says fail. */
MUST_CHECK int gate_check_change(struct gate *g, const struct change *c, struct arena *a, struct verdict *ret, struct err *reterr);

struct gate_stats {
	uint64_t blobs, bytes; /* looked at */
	uint64_t skipped;      /* blobs over LIMIT_SCAN_BLOB_BYTES */
};
/* Scans every blob of all refs' history for credentials. Waivers from the commit `target` (NULL: none). ret_stats may be NULL. */
MUST_CHECK int gate_check_history(struct gate *g, struct git_repo *repo, const char *target, struct arena *a, struct verdict *ret,
                                  struct gate_stats *ret_stats, struct err *reterr);

/* One verdict out of two about parts of the same change (commits, working tree): findings of both, each once. */
MUST_CHECK int gate_merge(const struct verdict *x, const struct verdict *y, struct arena *a, struct verdict *ret, struct err *reterr);

const char *gate_call_name(enum verdict_call call); /* "pass", "fail", "cannot-judge" */
const char *gate_severity_name(enum severity s);    /* "error", "warning", "note" */

/* --- report.c: the same verdict for people and for programs --- */
/* Text for a terminal and for the refusal of a push. Control characters of paths and messages are shown as '?'. */
void gate_report_text(const struct verdict *v, struct buf *out, bool colour);
void gate_report_json(const struct verdict *v, struct buf *out);
void gate_report_sarif(const struct verdict *v, struct buf *out); /* SARIF 2.1.0 */

/* The check of .weir/waivers.yaml, as other domains provide one for their files. gate_new() adds it by itself. */
extern const struct check_ops gate_waivers_check;

#endif
