/* expr.h - GitHub Actions' expression language (as of 2026-08), pure: no clock, no I/O, no globals.
 *
 * Values, parse trees and results live in the caller's arena; that arena's max, the 21,000 characters, depth 50 and 255 format
 * arguments are the limits. Objects and arrays compare by identity, keys without regard to case. Source of truth:
 * actions/languageservices' test data. */
#ifndef WEIR_LANG_EXPR_H
#define WEIR_LANG_EXPR_H

#include "base/arena.h"
#include "base/base.h"
#include "base/err.h"
#include "base/str.h"
#include "doc/doc.h"

enum expr_kind { EXPR_NULL, EXPR_BOOL, EXPR_NUMBER, EXPR_STRING, EXPR_ARRAY, EXPR_OBJECT };

struct expr_value;
struct expr_pair {
	str key;
	const struct expr_value *value;
};
struct expr_value {
	enum expr_kind kind;
	bool b;
	double n;
	str s;
	const struct expr_value *const *items; /* ARRAY */
	const struct expr_pair *pairs;         /* OBJECT, in insertion order */
	size_t len;
	bool filtered; /* result of .*, on which a further index maps over the items */
};
extern const struct expr_value expr_null, expr_true, expr_false;
const struct expr_value *expr_number(struct arena *a, double n);
const struct expr_value *expr_string(struct arena *a, str s); /* copies */
const struct expr_value *expr_bool(bool b);
/* Object from n pairs (copied array, values shared). */
const struct expr_value *expr_object(struct arena *a, const struct expr_pair *pairs, size_t n);
const struct expr_value *expr_array(struct arena *a, const struct expr_value *const *items, size_t n);
const struct expr_value *expr_from_doc(struct arena *a, const struct doc_node *n);
const struct expr_value *expr_get(const struct expr_value *object, str key); /* NULL when absent; ignores case */
bool expr_truthy(const struct expr_value *v);
str expr_to_string(struct arena *a, const struct expr_value *v); /* as in ${{ }}: "Object", "Array", 'true', numbers */
MUST_CHECK int expr_to_json(const struct expr_value *v, struct buf *out, struct err *reterr); /* as toJSON: two-space indent */

/* Job and step state for success(), failure(), always(), cancelled(); NULL status functions are "unknown function" errors. */
struct expr_ops {
	bool (*success)(void *ctx);
	bool (*failure)(void *ctx);
	bool (*cancelled)(void *ctx);
	/* success('job', ...) and failure('job', ...) of a job's `if`; NULL: these take no parameters. */
	bool (*success_of)(void *ctx, const str *jobs, size_t n);
	bool (*failure_of)(void *ctx, const str *jobs, size_t n);
	/* hashFiles(patterns...): hex SHA-256, empty text when nothing matches; NULL: unknown function. */
	int (*hash_files)(void *ctx, const str *patterns, size_t n, struct buf *out, struct err *reterr);
	void *ctx;
};
struct expr_env {
	const struct expr_value *contexts; /* OBJECT: github, env, matrix, ... ; other names are errors */
	const char *const *names; /* NULL-ended: names allowed although they may have no value in contexts (they are null); NULL: only
								 those in contexts */
	const struct expr_ops *ops; /* may be NULL */
};

struct expr; /* parsed */
/* Parses the text between ${{ and }}. Errors: -WEIR_EPARSE with the column (1-based character) in the text. */
MUST_CHECK int expr_parse(struct arena *a, str text, struct expr **ret, struct err *reterr);
/* As expr_parse, and names and functions that env does not have are -WEIR_EPARSE with their place too. */
MUST_CHECK int expr_parse_for(struct arena *a, str text, const struct expr_env *env, struct expr **ret, struct err *reterr);
/* The names and functions of a parsed expression against env (only whether they are there); expr_eval does it by itself. */
MUST_CHECK int expr_check(const struct expr *e, const struct expr_env *env, struct err *reterr);
/* True when the expression calls one of success, failure, always, cancelled (else an `if` gets an implicit success() &&). */
bool expr_uses_status(const struct expr *e);
/* Calls fn with each context name (first segment, lower case) that the expression reads; for checks of where a context is
 * allowed. */
void expr_each_context(const struct expr *e, void (*fn)(void *ctx, str name, uint32_t col), void *ctx);
/* Values made go into a. Errors: -WEIR_EPARSE (a name or function that env does not have), -WEIR_EINVAL (what a function
 * refuses), -WEIR_ELIMIT "The maximum allowed memory size was exceeded" (1 MiB of text made, as GitHub counts it, or a's max). */
MUST_CHECK int expr_eval(struct arena *a, const struct expr *e, const struct expr_env *env, const struct expr_value **ret,
						 struct err *reterr);

/* A text with ${{ }} parts, parsed once. A text that is one single ${{ }} yields the value itself, others a string. */
struct expr_text;
MUST_CHECK int expr_text_parse(struct arena *a, str text, struct expr_text **ret, struct err *reterr);
bool expr_text_is_plain(const struct expr_text *t); /* no ${{ }} in it */
void expr_text_each(const struct expr_text *t, void (*fn)(void *ctx, const struct expr *e, size_t offset), void *ctx);
MUST_CHECK int expr_text_eval(struct arena *a, const struct expr_text *t, const struct expr_env *env,
							  const struct expr_value **ret, struct err *reterr);
/* `if:` text, with or without ${{ }}: adds the implicit success() and gives the truth of the result. Empty text: success().
 * Without ops->success there is no implicit part. Names are checked even where success() is false already. */
MUST_CHECK int expr_if_eval(struct arena *a, str text, const struct expr_env *env, bool *ret, struct err *reterr);

#endif
