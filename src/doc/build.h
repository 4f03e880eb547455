/* build.h - inside src/doc: what both readers use to put a tree together.
 *
 * The children of all open collections wait on one stack; closing a collection moves its part of the stack into the
 * arena. Node and depth limits, duplicate keys and the form of messages are settled here once for JSON and YAML. */
#ifndef WEIR_DOC_BUILD_H
#define WEIR_DOC_BUILD_H

#include "base/base.h"
#include "base/vec.h"
#include "doc/doc.h"

struct doc_build {
	struct arena *arena;
	const char   *file;
	struct err   *reterr;
	size_t        n_nodes; /* counted after aliases */
	VEC(struct doc_pair) stack;
};

void doc_build_init(struct doc_build *b, struct arena *a, const char *file, struct err *reterr);
void doc_build_fini(struct doc_build *b);

/* Fills reterr with "file:line:col: ..." and returns -code. */
int doc_build_error(struct doc_build *b, int code, uint32_t line, uint32_t col, const char *fmt, ...) PRINTF(5, 6);
/* Counts `n` nodes more against LIMIT_DOC_NODES. */
MUST_CHECK int doc_build_count(struct doc_build *b, size_t n, uint32_t line, uint32_t col);
MUST_CHECK int doc_build_node(struct doc_build *b, enum doc_kind kind, uint32_t line, uint32_t col, struct doc_node **ret);
/* Puts a child on the stack; `key` is STR_NULL for items of a list. */
MUST_CHECK int doc_build_push(struct doc_build *b, str key, uint32_t line, uint32_t col, struct doc_node *value);
/* Closes `n`: everything on the stack from index `from` on becomes its children. Refuses duplicate keys. */
MUST_CHECK int doc_build_close(struct doc_build *b, struct doc_node *n, size_t from);
/* The text's size and UTF-8 are checked before any library sees it. */
MUST_CHECK int doc_build_check_text(struct doc_build *b, str text);
/* Line and column (1-based, in bytes) of a byte offset. */
void doc_build_place(str text, size_t offset, uint32_t *ret_line, uint32_t *ret_col);

/* --- yaml-scalar.c --- */
#define YAML_TAG_PREFIX "tag:yaml.org,2002:"
/* Sets kind and value of a plain scalar from its text (which has a NUL behind it). */
void yaml_resolve_plain(struct doc_node *n);
void yaml_resolve_str(struct doc_node *n);
/* The same for a scalar with a tag; a tag that is not of the core schema is refused. */
MUST_CHECK int yaml_resolve_tagged(struct doc_build *b, const char *tag, struct doc_node *n);
int yaml_unknown_tag(struct doc_build *b, const struct doc_node *n, const char *tag); /* the error */

#endif
