/* doc.h - documents: one tree for JSON and YAML that knows where everything stood.
 *
 * A tree lives in the caller's arena and borrows nothing from the text. It is immutable after parsing and may be read
 * by any number of threads. Limits: LIMIT_DOC_BYTES, _DEPTH, _NODES, _ALIASES (base/limits.h).
 * JSON: RFC 8259 by jansson (duplicate keys refused), positions by an own pass over the accepted text.
 * YAML: libyaml's events, YAML 1.2 core schema (no yes/no booleans, no sexagesimal numbers), duplicate keys refused,
 * merge keys (<<), keys that are no scalars and unknown tags refused, anchors and aliases resolved by sharing nodes.
 * Messages about JSON quote no values, since those may be secrets. */
#ifndef WEIR_DOC_DOC_H
#define WEIR_DOC_DOC_H

#include "base/arena.h"
#include "base/base.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"

enum doc_kind { DOC_NONE, DOC_NULL, DOC_BOOL, DOC_INT, DOC_REAL, DOC_STR, DOC_SEQ, DOC_MAP };

enum doc_style { DOC_STYLE_NONE, DOC_STYLE_PLAIN, DOC_STYLE_SINGLE, DOC_STYLE_DOUBLE, DOC_STYLE_LITERAL, DOC_STYLE_FOLDED };

struct doc_pair;
struct doc_node {
	enum doc_kind  kind;
	enum doc_style style;     /* YAML scalars: how it was written; JSON and collections: NONE */
	uint32_t       line, col; /* 1-based; col counts bytes. First character as written: quote, '|', anchor or tag */
	uint32_t       end_line;  /* last line the node touches */
	uint32_t       body_col;  /* DOC_STYLE_LITERAL: column where its lines begin, from line + 1 on; else 0 */
	str            text;      /* scalars: the value after unquoting, NUL-terminated behind (NULL, BOOL, INT, REAL: as written) */
	union {
		bool    b;
		int64_t i;
		double  d;
		str     s; /* DOC_STR: NUL-terminated behind, may hold NULs */
		struct {
			struct doc_node **items;
			size_t            n;
		} seq;
		struct {
			struct doc_pair *pairs; /* in the order of the file */
			size_t           n;
		} map;
	};
};
struct doc_pair {
	str              key;
	uint32_t         line, col;
	struct doc_node *value;
};

const char *doc_kind_name(enum doc_kind k); /* "text", "list", "map", "number", ... as messages say it */

/* Parses one document. `file` is the name for messages. Errors: -WEIR_EPARSE "file:line:col: what", -WEIR_ELIMIT. */
MUST_CHECK int doc_parse_json(struct arena *a, const char *file, str text, struct doc_node **ret, struct err *reterr);
MUST_CHECK int doc_parse_yaml(struct arena *a, const char *file, str text, struct doc_node **ret, struct err *reterr);
/* All documents of a YAML stream (zero or more). */
MUST_CHECK int doc_parse_yaml_all(struct arena *a, const char *file, str text, struct doc_node ***ret, size_t *ret_n,
                                  struct err *reterr);

/* Lenient look-ups for data that was checked before, or where absent is a fine answer. All accept NULL nodes. */
const struct doc_node *doc_get(const struct doc_node *map, const char *key);   /* NULL: not a map, or absent */
const struct doc_node *doc_get_n(const struct doc_node *map, str key);
const struct doc_node *doc_at(const struct doc_node *seq, size_t i);
const struct doc_node *doc_path(const struct doc_node *n, const char *path);    /* "a.b.c" */
str     doc_get_str(const struct doc_node *map, const char *key);               /* STR_NULL when absent or no text */
int64_t doc_get_int(const struct doc_node *map, const char *key, int64_t otherwise);
bool    doc_get_bool(const struct doc_node *map, const char *key, bool otherwise);
double  doc_get_num(const struct doc_node *map, const char *key, double otherwise); /* DOC_INT or DOC_REAL */
size_t  doc_len(const struct doc_node *n); /* items or pairs, 0 for scalars and NULL */
/* Where byte `offset` of a scalar's text stands in the file: exact for text on one line without escapes and for literal
 * blocks ('|'); the scalar's own place for what is folded. For messages about what is inside a text. */
void doc_place_in(const struct doc_node *n, size_t offset, uint32_t *ret_line, uint32_t *ret_col);

/* --- strict reading: every problem is collected with its place, reading goes on --- */
struct doc_diag {
	uint32_t line, col;
	char    *msg; /* "unknown key 'heath' (did you mean 'health'?)" */
};
struct doc_check { /* one per file; lives in its arena */
	struct arena    *arena;
	const char      *file;
	struct doc_diag *diags;
	size_t           n_diags, cap_diags; /* at most 100; the rest is counted in n_dropped */
	size_t           n_dropped;
};
void doc_check_init(struct doc_check *c, struct arena *a, const char *file);
void doc_error(struct doc_check *c, const struct doc_node *at, const char *fmt, ...) PRINTF(3, 4);
void doc_error_at(struct doc_check *c, uint32_t line, uint32_t col, const char *fmt, ...) PRINTF(4, 5);
/* 0 when nothing was found; else -WEIR_EINVAL with the first problem as "file:line:col: ..." (and " (and N more)"). */
MUST_CHECK int doc_check_result(const struct doc_check *c, struct err *reterr);

/* In all that follow a NULL node is silent and gives false or the zero value: it is an absent key that nobody needs, or one
 * that doc_need reported.
 * True when n is a map; else an error "`what` must be a map, not a list". Unknown keys are errors, with the nearest known key.
 * `known` ends with NULL; NULL itself accepts any key. */
bool doc_is_map(struct doc_check *c, const struct doc_node *n, const char *what, const char *const *known);
bool doc_is_seq(struct doc_check *c, const struct doc_node *n, const char *what);
/* A key that must be there: error at the map when it is not. */
const struct doc_node *doc_need(struct doc_check *c, const struct doc_node *map, const char *key);
/* Typed values: an error and the zero value (STR_NULL, 0, false) when the node has another kind or is out of range. */
str     doc_want_str(struct doc_check *c, const struct doc_node *n, const char *what);
int64_t doc_want_int(struct doc_check *c, const struct doc_node *n, const char *what, int64_t min, int64_t max);
double  doc_want_num(struct doc_check *c, const struct doc_node *n, const char *what, double min, double max);
bool    doc_want_bool(struct doc_check *c, const struct doc_node *n, const char *what);
usec_t  doc_want_duration(struct doc_check *c, const struct doc_node *n, const char *what, usec_t min, usec_t max);
/* A number of bytes such as 64KiB, 512MiB or 2GiB; min and max in bytes. */
int64_t doc_want_size(struct doc_check *c, const struct doc_node *n, const char *what, int64_t min, int64_t max);
/* A percentage "5%" or a share 0.05, as a share 0..1. */
double  doc_want_share(struct doc_check *c, const struct doc_node *n, const char *what);
/* Index into `names` (NULL-ended), or -1 with an error that lists them. */
int     doc_want_enum(struct doc_check *c, const struct doc_node *n, const char *what, const char *const *names);
/* The nearest of `known` (NULL-ended) by edit distance (at most 1/3 of its length, at least 1), or NULL. */
const char *doc_nearest(str key, const char *const *known);

/* --- writing JSON --- */
struct jw { /* streams JSON into a buf; commas by itself. Misuse (a value without key in an object) is a BUG. */
	struct buf *out;
	uint64_t    first; /* one bit per depth: nothing was written at this depth yet */
	uint64_t    is_obj;
	unsigned    depth;
	bool        after_key;
};
void jw_init(struct jw *w, struct buf *out);
void jw_obj(struct jw *w);
void jw_arr(struct jw *w);
void jw_end(struct jw *w); /* closes the innermost object or array */
void jw_key(struct jw *w, const char *key);
void jw_key_n(struct jw *w, str key);
void jw_str(struct jw *w, str s); /* STR_NULL writes null */
void jw_strz(struct jw *w, const char *z);
void jw_fmt(struct jw *w, const char *fmt, ...) PRINTF(2, 3); /* a text value */
void jw_int(struct jw *w, int64_t i);
void jw_num(struct jw *w, double d); /* shortest text that reads back the same; not finite: null */
void jw_bool(struct jw *w, bool b);
void jw_null(struct jw *w);
void jw_raw(struct jw *w, str json); /* a value that is JSON already */
void jw_node(struct jw *w, const struct doc_node *n);
/* key and value in one call */
#define jw_kstr(w, k, s)  (jw_key((w), (k)), jw_str((w), (s)))
#define jw_kstrz(w, k, z) (jw_key((w), (k)), jw_strz((w), (z)))
#define jw_kint(w, k, i)  (jw_key((w), (k)), jw_int((w), (i)))
#define jw_knum(w, k, d)  (jw_key((w), (k)), jw_num((w), (d)))
#define jw_kbool(w, k, b) (jw_key((w), (k)), jw_bool((w), (b)))
#define jw_ktime(w, k, t) (jw_key((w), (k)), jw_time((w), (t)))
void jw_time(struct jw *w, usec_t wall); /* RFC 3339 text; 0 writes null */

/* Canonical JSON (RFC 8785): keys sorted by UTF-16 code units, shortest numbers, no white space.
 * Integers outside +-2^53 keep all their digits. */
void doc_canonical(const struct doc_node *n, struct buf *out);

#endif
