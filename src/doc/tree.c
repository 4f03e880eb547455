/* tree.c - lenient look-ups in a tree (see doc.h). All accept NULL and wrong kinds; nothing is allocated. Any thread. */
#include "base/base.h"
#include "doc/doc.h"

const char *doc_kind_name(enum doc_kind k)
{
	switch (k) {
	case DOC_NONE: return "nothing";
	case DOC_NULL: return "null";
	case DOC_BOOL: return "true or false";
	case DOC_INT: return "whole number";
	case DOC_REAL: return "number";
	case DOC_STR: return "text";
	case DOC_SEQ: return "list";
	case DOC_MAP: return "map";
	}
	return "nothing";
}

const struct doc_node *doc_get_n(const struct doc_node *map, str key)
{
	if (!map || map->kind != DOC_MAP)
		return NULL;
	for (size_t i = 0; i < map->map.n; i++)
		if (str_eq(map->map.pairs[i].key, key))
			return map->map.pairs[i].value;
	return NULL;
}

const struct doc_node *doc_get(const struct doc_node *map, const char *key) { return doc_get_n(map, str_z(key)); }

const struct doc_node *doc_at(const struct doc_node *seq, size_t i)
{
	return seq && seq->kind == DOC_SEQ && i < seq->seq.n ? seq->seq.items[i] : NULL;
}

const struct doc_node *doc_path(const struct doc_node *n, const char *path)
{
	str rest = str_z(path), key;

	while (n && rest.len) {
		if (!str_cut(rest, '.', &key, &rest))
			rest = STR_NULL;
		n = doc_get_n(n, key);
	}
	return n;
}

str doc_get_str(const struct doc_node *map, const char *key)
{
	const struct doc_node *n = doc_get(map, key);

	return n && n->kind == DOC_STR ? n->s : STR_NULL;
}

int64_t doc_get_int(const struct doc_node *map, const char *key, int64_t otherwise)
{
	const struct doc_node *n = doc_get(map, key);

	return n && n->kind == DOC_INT ? n->i : otherwise;
}

bool doc_get_bool(const struct doc_node *map, const char *key, bool otherwise)
{
	const struct doc_node *n = doc_get(map, key);

	return n && n->kind == DOC_BOOL ? n->b : otherwise;
}

double doc_get_num(const struct doc_node *map, const char *key, double otherwise)
{
	const struct doc_node *n = doc_get(map, key);

	if (n && n->kind == DOC_INT)
		return (double)n->i;
	return n && n->kind == DOC_REAL ? n->d : otherwise;
}

size_t doc_len(const struct doc_node *n)
{
	if (n && n->kind == DOC_SEQ)
		return n->seq.n;
	return n && n->kind == DOC_MAP ? n->map.n : 0;
}

void doc_place_in(const struct doc_node *n, size_t offset, uint32_t *ret_line, uint32_t *ret_col)
{
	size_t lines = 0, start = 0;

	*ret_line = n->line;
	*ret_col = n->col;
	if (offset > n->text.len)
		offset = n->text.len;
	for (size_t i = 0; i < offset; i++)
		if (n->text.ptr[i] == '\n') {
			lines++;
			start = i + 1;
		}
	if (n->style == DOC_STYLE_LITERAL && n->body_col) {
		*ret_line += (uint32_t)lines + 1;
		*ret_col = n->body_col + (uint32_t)(offset - start);
	} else if (n->end_line == n->line && n->style != DOC_STYLE_LITERAL && n->style != DOC_STYLE_FOLDED) {
		*ret_col += (uint32_t)offset + (n->style != DOC_STYLE_PLAIN && n->kind == DOC_STR);
	}
}
