/* mustache.h - mustache templates (mustache/spec v1.4 with the optional dynamic-names and inheritance modules; lambdas as an embedder's callback).
 * Pure: templates and data in, text out. Escaping follows the output type. Errors carry "name:line:col". */
#ifndef WEIR_LANG_MUSTACHE_H
#define WEIR_LANG_MUSTACHE_H

#include "base/arena.h"
#include "base/base.h"
#include "base/err.h"
#include "base/str.h"
#include "doc/doc.h"

enum mustache_escape { MUSTACHE_HTML, MUSTACHE_SHELL, MUSTACHE_YAML, MUSTACHE_NONE };

struct mustache; /* parsed, immutable, in an arena */
MUST_CHECK int mustache_parse(struct arena *a, const char *name, str text, struct mustache **ret, struct err *reterr);

struct mustache_env {
	enum mustache_escape escape;
	/* Template of a partial or parent by name; NULL when there is none (renders as empty, as the specification says). */
	const struct mustache *(*partial)(void *ctx, str name);
	/* Lambda: data of kind DOC_STR under a key that the embedder says is one; NULL: none. `raw` is the unrendered section text
	 * (empty for a variable); the result is template text, rendered in place. */
	int (*lambda)(void *ctx, str key, str raw, struct buf *out, bool *ret_is_lambda, struct err *reterr);
	void  *ctx;
	size_t steps_max; /* tags rendered, 0: 1,000,000 */
	bool   strict;    /* a variable that no context has is an error (name:line:col) instead of empty */
};
MUST_CHECK int mustache_render(const struct mustache *t, const struct doc_node *data, const struct mustache_env *env,
                               struct buf *out, struct err *reterr);

#endif
