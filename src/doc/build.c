/* build.c - puts trees together for both readers (see build.h).
 *
 * Guarantees: no tree has more than LIMIT_DOC_NODES nodes or two equal keys in one map, and everything a tree points
 * at lives in the caller's arena. No state outside struct doc_build: any thread. */
#include "base/base.h"
#include "doc/build.h"

#include "base/limits.h"
#include "base/map.h"

#include <stdarg.h>

/* Up to here comparing all pairs is faster than a hash map, and needs no memory. */
enum { PAIRS_COMPARED = 16 };

void doc_build_init(struct doc_build *b, struct arena *a, const char *file, struct err *reterr)
{
	*b = (struct doc_build){ .arena = a, .file = file, .reterr = reterr };
}

void doc_build_fini(struct doc_build *b) { VEC_FINI(&b->stack); }

int doc_build_error(struct doc_build *b, int code, uint32_t line, uint32_t col, const char *fmt, ...)
{
	char    msg[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	return err_set(b->reterr, code, "%s:%u:%u: %s", b->file, line, col, msg);
}

int doc_build_count(struct doc_build *b, size_t n, uint32_t line, uint32_t col)
{
	b->n_nodes += n;
	if (b->n_nodes > LIMIT_DOC_NODES)
		return doc_build_error(b, WEIR_ELIMIT, line, col, "more than %d values in one document", LIMIT_DOC_NODES);
	return 0;
}

int doc_build_node(struct doc_build *b, enum doc_kind kind, uint32_t line, uint32_t col, struct doc_node **ret)
{
	struct doc_node *n;
	int              r = doc_build_count(b, 1, line, col);

	if (r)
		return r;
	n = ARENA_NEW(b->arena, struct doc_node);
	if (!n)
		return arena_check(b->arena, b->file, b->reterr);
	n->kind = kind;
	n->line = n->end_line = line;
	n->col = col;
	*ret = n;
	return 0;
}

int doc_build_push(struct doc_build *b, str key, uint32_t line, uint32_t col, struct doc_node *value)
{
	struct doc_pair pair = { .key = key, .line = line, .col = col, .value = value };

	if (!VEC_PUSH(&b->stack, pair))
		return err_set(b->reterr, WEIR_ENOMEM, "%s: out of memory", b->file);
	return 0;
}

static int duplicate(struct doc_build *b, const struct doc_pair *second, const struct doc_pair *first)
{
	return doc_build_error(b, WEIR_EPARSE, second->line, second->col,
	                       "duplicate key '%.*s' (first at line %u); remove one of them",
	                       (int)(second->key.len > 64 ? 64 : second->key.len), second->key.ptr, first->line);
}

static int check_few_keys(struct doc_build *b, const struct doc_pair *p, size_t n)
{
	for (size_t i = 1; i < n; i++)
		for (size_t j = 0; j < i; j++)
			if (str_eq(p[i].key, p[j].key))
				return duplicate(b, &p[i], &p[j]);
	return 0;
}

static int check_many_keys(struct doc_build *b, struct doc_pair *p, size_t n)
{
	struct map seen = MAP_INIT;
	void      *old;
	int        r = 0;

	for (size_t i = 0; i < n && !r; i++) {
		if (!map_put(&seen, p[i].key, &p[i], &old))
			r = err_set(b->reterr, WEIR_ENOMEM, "%s: out of memory", b->file);
		else if (old)
			r = duplicate(b, &p[i], old);
	}
	map_fini(&seen);
	return r;
}

static int close_map(struct doc_build *b, struct doc_node *n, struct doc_pair *children, size_t n_children)
{
	int r = n_children <= PAIRS_COMPARED ? check_few_keys(b, children, n_children) : check_many_keys(b, children, n_children);

	if (r)
		return r;
	n->map.n = n_children;
	n->map.pairs = ARENA_ARRAY(b->arena, n_children, struct doc_pair);
	if (n_children && !n->map.pairs)
		return arena_check(b->arena, b->file, b->reterr);
	for (size_t i = 0; i < n_children; i++)
		n->map.pairs[i] = children[i];
	return 0;
}

static int close_seq(struct doc_build *b, struct doc_node *n, const struct doc_pair *children, size_t n_children)
{
	n->seq.n = n_children;
	n->seq.items = ARENA_ARRAY(b->arena, n_children, struct doc_node *);
	if (n_children && !n->seq.items)
		return arena_check(b->arena, b->file, b->reterr);
	for (size_t i = 0; i < n_children; i++)
		n->seq.items[i] = children[i].value;
	return 0;
}

int doc_build_close(struct doc_build *b, struct doc_node *n, size_t from)
{
	size_t           n_children = b->stack.n - from;
	struct doc_pair *children = n_children ? b->stack.v + from : NULL;
	int              r = n->kind == DOC_MAP ? close_map(b, n, children, n_children) : close_seq(b, n, children, n_children);

	b->stack.n = from;
	return r;
}

void doc_build_place(str text, size_t offset, uint32_t *ret_line, uint32_t *ret_col)
{
	size_t   start = 0;
	uint32_t line = 1;

	if (offset > text.len)
		offset = text.len;
	for (size_t i = 0; i < offset; i++)
		if (text.ptr[i] == '\n') {
			line++;
			start = i + 1;
		}
	*ret_line = line;
	*ret_col = (uint32_t)(offset - start) + 1;
}

int doc_build_check_text(struct doc_build *b, str text)
{
	size_t   good = 0, step = 4096;
	uint32_t line, col;

	if (text.len > LIMIT_DOC_BYTES)
		return err_set(b->reterr, WEIR_ELIMIT, "%s: %zu bytes, more than the %d that a document may have", b->file, text.len,
		               LIMIT_DOC_BYTES);
	if (str_utf8_valid(text))
		return 0;
	/* the longest valid beginning, first in large steps; a character cut at the end of a step is no fault yet */
	while (step) {
		if (good + step <= text.len && str_utf8_valid(str_n(text.ptr + good, step)))
			good += step;
		else
			step /= 2;
	}
	doc_build_place(text, good, &line, &col);
	return doc_build_error(b, WEIR_EPARSE, line, col, "not valid UTF-8 here; save the file as UTF-8");
}
