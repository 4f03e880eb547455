/* expr-func.c - the functions of the expression language.
 *
 * Pure but for the embedder's ops (status, hashFiles); any thread. Texts that a function makes are counted against
 * EXPR_MEMORY_MAX, two bytes per UTF-16 unit, so that `format` of `format` ends early. */
#include "lang/expr/expr-internal.h"

#include <math.h>

int expr_count(struct expr_eval *ev, str s)
{
	size_t bytes = 2 * expr_utf16_len(s);

	if (bytes > ev->memory)
		return err_set(ev->reterr, WEIR_ELIMIT, "The maximum allowed memory size was exceeded (%d bytes of text)",
					   EXPR_MEMORY_MAX);
	ev->memory -= bytes;
	return 0;
}

static MUST_CHECK int no_memory(struct expr_eval *ev)
{
	return err_set(ev->reterr, WEIR_ELIMIT, "The maximum allowed memory size was exceeded (%zu bytes)", ev->arena->max);
}

static MUST_CHECK int give(struct expr_eval *ev, const struct expr_value *v, const struct expr_value **ret)
{
	if (!v)
		return no_memory(ev);
	*ret = v;
	return 0;
}

/* The text in `b` as a value; a buf that met its maximum is the memory limit. */
static MUST_CHECK int give_buf(struct expr_eval *ev, const struct buf *b, const struct expr_value **ret)
{
	int r;

	if (b->failed)
		return err_set(ev->reterr, WEIR_ELIMIT, "The maximum allowed memory size was exceeded (%d bytes of text)",
					   EXPR_MEMORY_MAX);
	r = expr_count(ev, buf_str(b));
	return r ? r : give(ev, expr_string(ev->arena, buf_str(b)), ret);
}

static MUST_CHECK int call_contains(struct expr_eval *ev, const struct expr_value *const *args, const struct expr_value **ret)
{
	struct buf hay CLEANUP_BUF = BUF_INIT(4 * EXPR_MEMORY_MAX), needle CLEANUP_BUF = BUF_INIT(4 * EXPR_MEMORY_MAX);
	bool found = false;

	if (args[0]->kind == EXPR_ARRAY) {
		for (size_t i = 0; i < args[0]->len && !found; i++)
			found = expr_equal(args[0]->items[i], args[1]);
	} else if (expr_is_primitive(args[0]) && expr_is_primitive(args[1])) {
		expr_fold(&hay, expr_to_string(ev->arena, args[0]));
		expr_fold(&needle, expr_to_string(ev->arena, args[1]));
		if (hay.failed || needle.failed)
			return err_set(ev->reterr, WEIR_ELIMIT, "contains: a text is longer than %d bytes", 4 * EXPR_MEMORY_MAX);
		found = memmem(buf_z(&hay), hay.len, buf_z(&needle), needle.len) != NULL;
	}
	*ret = expr_bool(found);
	return 0;
}

static str first_chars(str s, size_t n)
{
	size_t i = 0;

	while (n-- && i < s.len)
		expr_utf8_next(s, &i);
	return str_sub(s, 0, i);
}

static size_t count_chars(str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; n++)
		expr_utf8_next(s, &i);
	return n;
}

static bool affix(struct expr_eval *ev, const struct expr_value *const *args, bool at_end)
{
	str s, x;
	size_t n_s, n_x;

	if (!expr_is_primitive(args[0]) || !expr_is_primitive(args[1]))
		return false;
	s = expr_to_string(ev->arena, args[0]);
	x = expr_to_string(ev->arena, args[1]);
	n_s = count_chars(s);
	n_x = count_chars(x);
	if (n_x > n_s)
		return false;
	if (at_end)
		return expr_fold_eq(str_sub(s, first_chars(s, n_s - n_x).len, s.len), x);
	return expr_fold_eq(first_chars(s, n_x), x);
}

static MUST_CHECK int call_join(struct expr_eval *ev, const struct expr_value *const *args, size_t n,
								const struct expr_value **ret)
{
	struct buf out CLEANUP_BUF = BUF_INIT(EXPR_MEMORY_MAX);
	str between = STR(",");

	if (expr_is_primitive(args[0])) {
		buf_add_str(&out, expr_to_string(ev->arena, args[0]));
	} else if (args[0]->kind == EXPR_ARRAY) {
		if (n > 1 && expr_is_primitive(args[1]))
			between = expr_to_string(ev->arena, args[1]);
		for (size_t i = 0; i < args[0]->len && !out.failed; i++) {
			if (i)
				buf_add_str(&out, between);
			buf_add_str(&out, expr_to_string(ev->arena, args[0]->items[i]));
		}
	}
	return give_buf(ev, &out, ret);
}

/* --- format --- */

static MUST_CHECK int bad_format(struct expr_eval *ev, str f)
{
	return err_set(ev->reterr, WEIR_EINVAL, "The following format string is invalid: %.*s", STR_ARG(f));
}

/* The number of "{12}" at *at (on the brace); moves behind the closing brace. -1: malformed. */
static int format_index(str f, size_t *at)
{
	size_t i = *at + 1, digits = 0;
	int n = 0;

	for (; i < f.len && f.ptr[i] >= '0' && f.ptr[i] <= '9'; i++, digits++)
		n = n > EXPR_ARGS_MAX ? n : n * 10 + (f.ptr[i] - '0');
	if (!digits || n > EXPR_ARGS_MAX || i >= f.len || f.ptr[i] != '}')
		return -1;
	*at = i + 1;
	return n;
}

static MUST_CHECK int format_into(struct expr_eval *ev, struct buf *out, str f, const struct expr_value *const *args, size_t n)
{
	for (size_t i = 0; i < f.len && !out->failed;) {
		char c = f.ptr[i];

		if (c != '{' && c != '}') {
			buf_addc(out, c);
			i++;
		} else if (i + 1 < f.len && f.ptr[i + 1] == c) {
			buf_addc(out, c);
			i += 2;
		} else {
			int k = c == '{' ? format_index(f, &i) : -1;

			if (k < 0)
				return bad_format(ev, f);
			if ((size_t)k >= n)
				return err_set(ev->reterr, WEIR_EINVAL,
							   "The following format string references more arguments than were supplied: %.*s", STR_ARG(f));
			buf_add_str(out, expr_to_string(ev->arena, args[k]));
		}
	}
	return 0;
}

static MUST_CHECK int call_format(struct expr_eval *ev, const struct expr_value *const *args, size_t n,
								  const struct expr_value **ret)
{
	struct buf out CLEANUP_BUF = BUF_INIT(EXPR_MEMORY_MAX);
	int r = format_into(ev, &out, expr_to_string(ev->arena, args[0]), args + 1, n - 1);

	return r ? r : give_buf(ev, &out, ret);
}

/* --- JSON --- */

static MUST_CHECK int call_to_json(struct expr_eval *ev, const struct expr_value *v, const struct expr_value **ret)
{
	struct buf out CLEANUP_BUF = BUF_INIT(EXPR_MEMORY_MAX);

	if (expr_to_json(v, &out, NULL) && !out.failed)
		return no_memory(ev);
	return give_buf(ev, &out, ret);
}

static MUST_CHECK int call_from_json(struct expr_eval *ev, const struct expr_value *v, const struct expr_value **ret)
{
	struct doc_node *doc;
	str text = expr_to_string(ev->arena, v);
	int r = expr_count(ev, text);

	if (!r)
		r = doc_parse_json(ev->arena, "fromJSON", text, &doc, ev->reterr);
	return r ? r : give(ev, expr_from_doc(ev->arena, doc), ret);
}

/* --- the embedder's --- */

static MUST_CHECK int to_texts(struct expr_eval *ev, const struct expr_value *const *args, size_t n, str **ret)
{
	str *texts = ARENA_ARRAY(ev->arena, n ? n : 1, str);

	if (!texts)
		return no_memory(ev);
	for (size_t i = 0; i < n; i++)
		texts[i] = expr_to_string(ev->arena, args[i]);
	*ret = texts;
	return 0;
}

static MUST_CHECK int call_hash_files(struct expr_eval *ev, const struct expr_value *const *args, size_t n,
									  const struct expr_value **ret)
{
	struct buf out CLEANUP_BUF = BUF_INIT(EXPR_MEMORY_MAX);
	str *patterns;
	int r = to_texts(ev, args, n, &patterns);

	if (!r)
		r = ev->env->ops->hash_files(ev->env->ops->ctx, patterns, n, &out, ev->reterr);
	return r ? r : give_buf(ev, &out, ret);
}

static MUST_CHECK int call_status(struct expr_eval *ev, enum expr_func func, const struct expr_value *const *args, size_t n,
								  const struct expr_value **ret)
{
	const struct expr_ops *ops = ev->env->ops;
	str *jobs = NULL;
	int r = n ? to_texts(ev, args, n, &jobs) : 0;

	if (r)
		return r;
	switch (func) {
	case EXPR_FN_SUCCESS: *ret = expr_bool(n ? ops->success_of(ops->ctx, jobs, n) : ops->success(ops->ctx)); return 0;
	case EXPR_FN_FAILURE: *ret = expr_bool(n ? ops->failure_of(ops->ctx, jobs, n) : ops->failure(ops->ctx)); return 0;
	case EXPR_FN_CANCELLED: *ret = expr_bool(ops->cancelled(ops->ctx)); return 0;
	default: /* always() */ *ret = &expr_true; return 0;
	}
}

int expr_call(struct expr_eval *ev, enum expr_func func, const struct expr_value *const *args, size_t n,
			  const struct expr_value **ret)
{
	switch (func) {
	case EXPR_FN_CONTAINS: return call_contains(ev, args, ret);
	case EXPR_FN_STARTS_WITH:
	case EXPR_FN_ENDS_WITH: *ret = expr_bool(affix(ev, args, func == EXPR_FN_ENDS_WITH)); return 0;
	case EXPR_FN_FORMAT: return call_format(ev, args, n, ret);
	case EXPR_FN_JOIN: return call_join(ev, args, n, ret);
	case EXPR_FN_TO_JSON: return call_to_json(ev, args[0], ret);
	case EXPR_FN_FROM_JSON: return call_from_json(ev, args[0], ret);
	case EXPR_FN_HASH_FILES: return call_hash_files(ev, args, n, ret);
	case EXPR_FN_CASE: /* its arguments are evaluated one by one, in expr-eval.c */ BUG("case() called with values");
	default: return call_status(ev, func, args, n, ret);
	}
}
