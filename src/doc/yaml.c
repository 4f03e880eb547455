/* yaml.c - YAML text to a tree (see doc.h).
 *
 * libyaml makes events; this file builds the tree, resolves plain scalars by the YAML 1.2 core schema and turns
 * libyaml's places (characters) into ours (bytes). Refused, because files of weir mean one thing only: duplicate keys,
 * merge keys, keys that are no scalars, tags other than the core schema's, aliases to a node that is still open, and
 * U+0085, U+2028, U+2029, which libyaml takes for line ends and YAML 1.2 does not. Pure: any thread. */
#include "base/base.h"
#include "doc/build.h"
#include "doc/doc.h"

#include "base/limits.h"
#include "base/map.h"

#include <math.h>
#include <yaml.h>

struct anchor {
	struct doc_node *node;
	size_t           n_nodes; /* after aliases */
	unsigned         height;
	bool             open; /* the node is still being read */
};

struct place {
	uint32_t line, col;
};

struct reader {
	struct doc_build *b;
	str               text;
	yaml_parser_t     parser;
	struct map        anchors; /* of the present document: name to struct anchor in the arena */
	size_t            n_aliases;
	unsigned          depth;
	/* where character number `index` of the text is */
	size_t   index, offset, line_start;
	uint32_t line;
};

/* --- places --- */

static bool is_inside_char(char c) { return ((unsigned char)c & 0xc0) == 0x80; }

static void step_forward(struct reader *r)
{
	if (r->text.ptr[r->offset++] == '\n') {
		r->line++;
		r->line_start = r->offset;
	}
	while (r->offset < r->text.len && is_inside_char(r->text.ptr[r->offset]))
		r->offset++;
	r->index++;
}

static void step_back(struct reader *r)
{
	do
		r->offset--;
	while (r->offset && is_inside_char(r->text.ptr[r->offset]));
	r->index--;
	if (r->text.ptr[r->offset] != '\n')
		return;
	r->line--;
	const char *before = r->offset ? memrchr(r->text.ptr, '\n', r->offset) : NULL;
	r->line_start = before ? (size_t)(before - r->text.ptr) + 1 : 0;
}

/* libyaml counts characters, weir bytes. Events come nearly in order, so walking from the last place is cheap. */
static struct place place_of(struct reader *r, const yaml_mark_t *mark)
{
	while (r->index < mark->index && r->offset < r->text.len)
		step_forward(r);
	while (r->index > mark->index && r->offset)
		step_back(r);
	return (struct place){ r->line, (uint32_t)(r->offset - r->line_start) + 1 };
}

/* Last line of what ends before `mark`: an end at the beginning of a line belongs to the line before. */
static uint32_t end_line_of(struct reader *r, const yaml_mark_t *mark, uint32_t start_line)
{
	struct place p = place_of(r, mark);
	uint32_t     line = p.col == 1 ? p.line - 1 : p.line;

	return line > start_line ? line : start_line;
}

#define fail_at(r, p, code, ...) doc_build_error((r)->b, (code), (p).line, (p).col, __VA_ARGS__)

static int out_of_memory(struct reader *r) { return err_set(r->b->reterr, WEIR_ENOMEM, "%s: out of memory", r->b->file); }

/* --- libyaml --- */

static int parser_error(struct reader *r)
{
	const yaml_parser_t *p = &r->parser;
	const char          *problem = p->problem ? p->problem : "not YAML";
	struct place         at;

	if (p->error == YAML_MEMORY_ERROR)
		return out_of_memory(r);
	if (p->error == YAML_READER_ERROR) {
		uint32_t line, col;

		doc_build_place(r->text, p->problem_offset, &line, &col);
		return doc_build_error(r->b, WEIR_EPARSE, line, col, "%s", problem);
	}
	at = place_of(r, &p->problem_mark);
	if (r->offset < r->text.len && r->text.ptr[r->offset] == '\t')
		return fail_at(r, at, WEIR_EPARSE, "a tab cannot indent YAML; use spaces");
	if (p->context)
		return fail_at(r, at, WEIR_EPARSE, "%s, %s that begins at line %zu", problem, p->context, p->context_mark.line + 1);
	return fail_at(r, at, WEIR_EPARSE, "%s", problem);
}

static int next_event(struct reader *r, yaml_event_t *ev) { return yaml_parser_parse(&r->parser, ev) ? 0 : parser_error(r); }

/* --- scalars --- */

static enum doc_style style_of(const yaml_event_t *ev)
{
	switch (ev->data.scalar.style) {
	case YAML_SINGLE_QUOTED_SCALAR_STYLE: return DOC_STYLE_SINGLE;
	case YAML_DOUBLE_QUOTED_SCALAR_STYLE: return DOC_STYLE_DOUBLE;
	case YAML_LITERAL_SCALAR_STYLE: return DOC_STYLE_LITERAL;
	case YAML_FOLDED_SCALAR_STYLE: return DOC_STYLE_FOLDED;
	default: return DOC_STYLE_PLAIN;
	}
}

/* Column of a literal block's content, from its first line that is not empty: the blanks in front of it less those that
 * belong to the value. 0 when all is empty. r stands at the scalar's start. */
static uint32_t block_col(const struct reader *r, str value)
{
	const char *p = r->text.ptr + r->offset, *end = r->text.ptr + r->text.len;
	size_t      empty = 0, blanks = 0, own = 0;

	while (empty < value.len && value.ptr[empty] == '\n')
		empty++;
	if (empty == value.len)
		return 0;
	for (size_t i = 0; i <= empty; i++) {
		p = memchr(p, '\n', (size_t)(end - p));
		if (!p)
			return 0;
		p++;
	}
	while (p + blanks < end && p[blanks] == ' ')
		blanks++;
	while (empty + own < value.len && value.ptr[empty + own] == ' ')
		own++;
	return blanks >= own ? (uint32_t)(blanks - own) + 1 : 0;
}

/* --- what libyaml reads otherwise than YAML 1.2 means it, and would give another value --- */

static char char_at(const struct reader *r, size_t offset) { return offset < r->text.len ? r->text.ptr[offset] : 0; }

/* "&a:b x" is the anchor "a:b" in YAML 1.2 and the anchor "a" in front of ":b x" for libyaml. */
static int check_anchor_end(struct reader *r, struct place at, const yaml_char_t *name)
{
	char c = name && char_at(r, r->offset) == '&' ? char_at(r, r->offset + 1 + strlen((const char *)name)) : 0;

	if (c && strchr("?:%@`", c))
		return fail_at(r, at, WEIR_EPARSE, "put a space behind the anchor '&%.64s'", (const char *)name);
	return 0;
}

/* "{?a: 1}" has the key "?a" in YAML 1.2 and "a" for libyaml. */
static int check_question_mark(struct reader *r, struct place at)
{
	if (r->offset && r->text.ptr[r->offset - 1] == '?')
		return fail_at(r, at, WEIR_EPARSE, "quote the key that begins with '?', or put a space behind it");
	return 0;
}

/* "x"#y is no comment. */
static int check_behind_quote(struct reader *r, const yaml_event_t *ev)
{
	struct place at = place_of(r, &ev->end_mark);

	if (char_at(r, r->offset) == '#')
		return fail_at(r, at, WEIR_EPARSE, "put a space in front of the comment");
	return 0;
}

static int read_scalar(struct reader *r, yaml_event_t *ev, struct doc_node *n)
{
	const char  *tag = (const char *)ev->data.scalar.tag;
	struct place at = { n->line, n->col };
	int          e = 0;

	n->style = style_of(ev);
	n->text = arena_str(r->b->arena, str_n((const char *)ev->data.scalar.value, ev->data.scalar.length));
	if (!n->text.ptr)
		return arena_check(r->b->arena, r->b->file, r->b->reterr);
	if (n->style == DOC_STYLE_LITERAL)
		n->body_col = block_col(r, n->text);
	n->end_line = end_line_of(r, &ev->end_mark, n->line);
	if (n->style == DOC_STYLE_SINGLE || n->style == DOC_STYLE_DOUBLE)
		e = check_behind_quote(r, ev);
	if (!e && tag)
		e = yaml_resolve_tagged(r->b, tag, n);
	if (e)
		return e;
	if (!tag && ev->data.scalar.plain_implicit && n->style == DOC_STYLE_PLAIN)
		yaml_resolve_plain(n);
	else if (!tag)
		yaml_resolve_str(n);
	if (n->kind == DOC_REAL && isinf(n->d) && !memchr(n->text.ptr, 'n', n->text.len) && !memchr(n->text.ptr, 'N', n->text.len))
		return fail_at(r, at, WEIR_EPARSE, "number is too large");
	return 0;
}

/* --- nodes --- */

static int read_node(struct reader *r, yaml_event_t *ev, struct doc_node **ret, unsigned *ret_height);

static int read_alias(struct reader *r, yaml_event_t *ev, struct doc_node **ret, unsigned *ret_height)
{
	const char          *name = (const char *)ev->data.alias.anchor;
	struct place         at = place_of(r, &ev->start_mark);
	const struct anchor *a = map_get(&r->anchors, str_z(name));
	int                  e;

	if (!a)
		return fail_at(r, at, WEIR_EPARSE, "unknown alias '*%.64s': no '&%.64s' before it", name, name);
	if (a->open)
		return fail_at(r, at, WEIR_EPARSE, "alias '*%.64s' inside the node that it names", name);
	if (++r->n_aliases > LIMIT_DOC_ALIASES)
		return fail_at(r, at, WEIR_ELIMIT, "more than %d aliases", LIMIT_DOC_ALIASES);
	if (r->depth + a->height > LIMIT_DOC_DEPTH)
		return fail_at(r, at, WEIR_ELIMIT, "nested deeper than %d through alias '*%.64s'", LIMIT_DOC_DEPTH, name);
	e = doc_build_count(r->b, a->n_nodes, at.line, at.col);
	if (e)
		return e;
	*ret = a->node;
	*ret_height = a->height;
	return 0;
}

static int note_anchor(struct reader *r, const yaml_char_t *name, struct doc_node *n, struct anchor **ret)
{
	struct anchor *a;

	*ret = NULL;
	if (!name)
		return 0;
	a = ARENA_NEW(r->b->arena, struct anchor);
	if (!a)
		return arena_check(r->b->arena, r->b->file, r->b->reterr);
	a->node = n;
	a->open = true;
	if (!map_put(&r->anchors, str_z((const char *)name), a, NULL))
		return out_of_memory(r);
	*ret = a;
	return 0;
}

static int read_key(struct reader *r, yaml_event_t *ev, struct doc_pair *ret)
{
	struct place     at = place_of(r, &ev->start_mark);
	struct doc_node *key;
	unsigned         height;
	size_t           counted = r->b->n_nodes;
	int              e;

	if (ev->type == YAML_MAPPING_START_EVENT || ev->type == YAML_SEQUENCE_START_EVENT)
		return fail_at(r, at, WEIR_EPARSE, "a key must be text, not a %s",
		               ev->type == YAML_MAPPING_START_EVENT ? "map" : "list");
	if ((e = check_question_mark(r, at)) || (e = read_node(r, ev, &key, &height)))
		return e;
	r->b->n_nodes = counted; /* keys are no values */
	if (key->kind == DOC_SEQ || key->kind == DOC_MAP)
		return fail_at(r, at, WEIR_EPARSE, "a key must be text, not a %s", doc_kind_name(key->kind));
	if (key->style == DOC_STYLE_PLAIN && str_eqz(key->text, "<<"))
		return fail_at(r, at, WEIR_EPARSE, "merge keys ('<<') are no part of YAML 1.2; write the keys out");
	*ret = (struct doc_pair){ .key = key->text, .line = at.line, .col = at.col };
	return 0;
}

static int read_child(struct reader *r, yaml_event_t *ev, bool is_map, struct doc_node *parent, unsigned *height)
{
	struct doc_pair pair = { .key = STR_NULL };
	uint32_t        line = place_of(r, &ev->start_mark).line;
	yaml_event_t    value;
	unsigned        h;
	int             e;

	if (is_map) {
		if ((e = read_key(r, ev, &pair)) || (e = next_event(r, &value)))
			return e;
		e = read_node(r, &value, &pair.value, &h);
		yaml_event_delete(&value);
	} else {
		e = read_node(r, ev, &pair.value, &h);
	}
	if (e)
		return e;
	if (h > *height)
		*height = h;
	if (line > parent->end_line) /* an alias: its node ends where the anchor is */
		parent->end_line = line;
	if (pair.value->end_line > parent->end_line)
		parent->end_line = pair.value->end_line;
	return doc_build_push(r->b, pair.key, pair.line, pair.col, pair.value);
}

/* Children up to the end event; `flow` collections end at their bracket, others with their last child. */
static int read_children(struct reader *r, struct doc_node *n, bool flow, unsigned *height)
{
	size_t from = r->b->stack.n;
	bool   is_map = n->kind == DOC_MAP, end = false;
	int    e = 0;

	while (!e && !end) {
		yaml_event_t ev;

		e = next_event(r, &ev);
		if (e)
			return e;
		end = ev.type == YAML_MAPPING_END_EVENT || ev.type == YAML_SEQUENCE_END_EVENT;
		if (!end)
			e = read_child(r, &ev, is_map, n, height);
		else if (flow)
			n->end_line = place_of(r, &ev.start_mark).line;
		yaml_event_delete(&ev);
	}
	return e ? e : doc_build_close(r->b, n, from);
}

static int read_collection(struct reader *r, yaml_event_t *ev, struct doc_node *n, unsigned *ret_height)
{
	bool         is_map = ev->type == YAML_MAPPING_START_EVENT;
	const char  *tag = (const char *)(is_map ? ev->data.mapping_start.tag : ev->data.sequence_start.tag);
	bool         flow = is_map ? ev->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE
	                           : ev->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE;
	struct place at = { n->line, n->col };
	unsigned     height = 0;
	int          e;

	n->kind = is_map ? DOC_MAP : DOC_SEQ;
	if (tag && strcmp(tag, "!") && strcmp(tag, is_map ? YAML_TAG_PREFIX "map" : YAML_TAG_PREFIX "seq"))
		return yaml_unknown_tag(r->b, n, tag);
	if (r->depth >= LIMIT_DOC_DEPTH)
		return fail_at(r, at, WEIR_ELIMIT, "nested deeper than %d", LIMIT_DOC_DEPTH);
	r->depth++;
	e = read_children(r, n, flow, &height);
	r->depth--;
	*ret_height = height + 1;
	return e;
}

static const yaml_char_t *anchor_of(const yaml_event_t *ev)
{
	switch (ev->type) {
	case YAML_SCALAR_EVENT: return ev->data.scalar.anchor;
	case YAML_SEQUENCE_START_EVENT: return ev->data.sequence_start.anchor;
	case YAML_MAPPING_START_EVENT: return ev->data.mapping_start.anchor;
	default: return NULL;
	}
}

static int read_node(struct reader *r, yaml_event_t *ev, struct doc_node **ret, unsigned *ret_height)
{
	size_t           before = r->b->n_nodes;
	struct place     at;
	struct anchor   *a;
	struct doc_node *n;
	int              e;

	*ret_height = 0;
	if (ev->type == YAML_ALIAS_EVENT)
		return read_alias(r, ev, ret, ret_height);
	at = place_of(r, &ev->start_mark);
	if ((e = check_anchor_end(r, at, anchor_of(ev))) || (e = doc_build_node(r->b, DOC_NONE, at.line, at.col, &n)) || (e = note_anchor(r, anchor_of(ev), n, &a)))
		return e;
	e = ev->type == YAML_SCALAR_EVENT ? read_scalar(r, ev, n) : read_collection(r, ev, n, ret_height);
	if (e)
		return e;
	if (a)
		*a = (struct anchor){ .node = n, .n_nodes = r->b->n_nodes - before, .height = *ret_height };
	*ret = n;
	return 0;
}

/* --- documents --- */

static int read_document(struct reader *r, struct doc_node **ret)
{
	yaml_event_t ev;
	unsigned     height;
	int          e = next_event(r, &ev);

	if (e)
		return e;
	map_fini(&r->anchors);
	map_init(&r->anchors);
	e = read_node(r, &ev, ret, &height);
	yaml_event_delete(&ev);
	if (e)
		return e;
	e = next_event(r, &ev); /* its end */
	if (!e)
		yaml_event_delete(&ev);
	return e;
}

/* Reads documents into the build stack, at most `max`. */
static int read_stream(struct reader *r, size_t max)
{
	yaml_event_t ev;
	int          e;

	for (;;) {
		struct doc_node  *n = NULL;
		yaml_event_type_t type;
		struct place      at;

		e = next_event(r, &ev);
		if (e)
			return e;
		type = ev.type;
		at = place_of(r, &ev.start_mark);
		yaml_event_delete(&ev);
		if (type == YAML_STREAM_END_EVENT)
			return 0;
		if (type != YAML_DOCUMENT_START_EVENT)
			continue; /* the start of the stream */
		if (r->b->stack.n >= max)
			return fail_at(r, at, WEIR_EPARSE, "a second document begins here; this file holds one");
		if ((e = read_document(r, &n)) || (e = doc_build_push(r->b, STR_NULL, 0, 0, n)))
			return e;
	}
}

static int check_line_ends(struct reader *r)
{
	static const struct {
		const char *bytes, *name, *escape;
	} ends[] = { { "\xc2\x85", "U+0085", "\\N" }, { "\xe2\x80\xa8", "U+2028", "\\L" }, { "\xe2\x80\xa9", "U+2029", "\\P" } };

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		const char *p = r->text.len ? memmem(r->text.ptr, r->text.len, ends[i].bytes, strlen(ends[i].bytes)) : NULL;
		uint32_t    line, col;

		if (!p)
			continue;
		doc_build_place(r->text, (size_t)(p - r->text.ptr), &line, &col);
		return doc_build_error(r->b, WEIR_EPARSE, line, col, "%s here, which not every reader takes for text; write \"%s\"",
		                       ends[i].name, ends[i].escape);
	}
	return 0;
}

static int read_text(struct doc_build *b, str text, size_t max)
{
	struct reader r = { .b = b, .text = text, .anchors = MAP_INIT, .line = 1 };
	int           e;

	if ((e = doc_build_check_text(b, text)) || (e = check_line_ends(&r)))
		return e;
	if (!yaml_parser_initialize(&r.parser)) {
		yaml_parser_delete(&r.parser);
		return out_of_memory(&r);
	}
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)(text.len ? text.ptr : ""), text.len);
	e = read_stream(&r, max);
	map_fini(&r.anchors);
	yaml_parser_delete(&r.parser);
	return e;
}

int doc_parse_yaml(struct arena *a, const char *file, str text, struct doc_node **ret, struct err *reterr)
{
	struct doc_build b;
	struct doc_node *n = NULL;
	int              e;

	doc_build_init(&b, a, file, reterr);
	e = read_text(&b, text, 1);
	if (!e && b.stack.n)
		n = b.stack.v[0].value;
	else if (!e) /* nothing but comments */
		e = doc_build_node(&b, DOC_NULL, 1, 1, &n);
	doc_build_fini(&b);
	if (!e)
		*ret = n;
	return e;
}

int doc_parse_yaml_all(struct arena *a, const char *file, str text, struct doc_node ***ret, size_t *ret_n, struct err *reterr)
{
	struct doc_build  b;
	struct doc_node **docs = NULL;
	int               e;

	doc_build_init(&b, a, file, reterr);
	e = read_text(&b, text, SIZE_MAX);
	if (!e) {
		docs = ARENA_ARRAY(a, b.stack.n + 1, struct doc_node *);
		if (!docs)
			e = arena_check(a, file, reterr);
	}
	if (!e) {
		for (size_t i = 0; i < b.stack.n; i++)
			docs[i] = b.stack.v[i].value;
		*ret = docs;
		*ret_n = b.stack.n;
	}
	doc_build_fini(&b);
	return e;
}
