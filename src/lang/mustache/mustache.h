/* mustache.h - mustache templates (mustache/spec v1.4 with the optional dynamic-names and inheritance modules; lambdas as an
 * embedder's callback). Pure: templates and data in, text out. Escaping follows the output type. Errors carry "name:line:col". */
#ifndef WEIR_LANG_MUSTACHE_H
#define WEIR_LANG_MUSTACHE_H

#include "base/arena.h"
#include "base/base.h"
#include "base/err.h"
#include "base/str.h"
#include "doc/doc.h"

enum mustache_escape {
	MUSTACHE_HTML,  /* safe in HTML text and quoted attributes */
	MUSTACHE_SHELL, /* one word of a POSIX shell: in single quotes unless it is plainly safe */
	MUSTACHE_YAML,  /* one YAML scalar: in double quotes unless it is a plain text that stays a text */
	MUSTACHE_NONE
};

enum { MUSTACHE_DEPTH_MAX = 100 };

struct mustache; /* parsed, immutable, in an arena */
/* `name` stands in messages and is copied. Errors: -WEIR_EPARSE "name:line:col: what", -WEIR_ELIMIT (MUSTACHE_DEPTH_MAX, a's
 * max). */
MUST_CHECK int mustache_parse(struct arena *a, const char *name, str text, struct mustache **ret, struct err *reterr);

struct mustache_env {
	enum mustache_escape escape;
	/* Template of a partial or parent by name; NULL when there is none (renders as empty, as the specification says). */
	const struct mustache *(*partial)(void *ctx, str name);
	/* Asked for every value that a variable or section finds: is it a lambda? `raw` is the unrendered section text (empty for a
	 * variable); the result added to *out is template text, rendered in place. out NULL: only the question. NULL: there are none.
	 */
	int (*lambda)(void *ctx, const struct doc_node *value, str raw, struct buf *out, bool *ret_is_lambda, struct err *reterr);
	void *ctx;
	size_t steps_max; /* tags rendered, 0: 1,000,000 */
	bool strict;      /* a variable that no context has is an error (name:line:col) instead of empty */
};
/* Appends to out, whose max is the limit of the text. False are: absent, null, false, an empty list, an empty text.
 * Partials, parents and lambdas nest at most MUSTACHE_DEPTH_MAX deep (-WEIR_ELIMIT past it). */
MUST_CHECK int mustache_render(const struct mustache *t, const struct doc_node *data, const struct mustache_env *env,
							   struct buf *out, struct err *reterr);

#endif
