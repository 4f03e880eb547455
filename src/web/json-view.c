/* json-view.c - see json-view.h. One walk over the tree; where its tokens go is the sink's matter. Pure, any thread. */
#include "base/base.h"
#include "base/limits.h"
#include "web/json-view.h"

enum { LINE_WIDTH = 88, INDENT = 2 };

struct view;
struct sink {
	void (*line)(struct view *v, unsigned indent); /* begins a line; ends the one before */
	void (*token)(struct view *v, const char *class, str text);
};
struct view {
	const struct sink *sink;
	struct buf        *out;  /* text */
	struct jw         *w;    /* lines */
	unsigned           used; /* columns of the present line */
	int64_t            lines;
	bool               full;
};

static void token(struct view *v, const char *class, str text)
{
	v->used += (unsigned)text.len;
	v->sink->token(v, class, text);
}

static void line(struct view *v, unsigned indent)
{
	v->used = indent;
	v->sink->line(v, indent);
}

/* --- how long it is on one line; more than `left`: not told exactly, so that a large tree is not walked once per depth --- */

static long width(const struct doc_node *n, long left)
{
	long w = 2;

	if (n->kind == DOC_SEQ) {
		for (size_t i = 0; i < n->seq.n && w <= left; i++)
			w += width(n->seq.items[i], left - w) + 2;
		return w;
	}
	if (n->kind == DOC_MAP) {
		for (size_t i = 0; i < n->map.n && w <= left; i++) {
			w += (long)n->map.pairs[i].key.len + 6;
			if (w <= left)
				w += width(n->map.pairs[i].value, left - w);
		}
		return w;
	}
	return (long)n->text.len + 2;
}

static void scalar(struct view *v, const struct doc_node *n)
{
	struct buf b CLEANUP_BUF = BUF_INIT(LIMIT_DOC_BYTES * 2);
	struct jw w;

	jw_init(&w, &b);
	jw_node(&w, n);
	token(v, n->kind == DOC_STR ? "text" : n->kind == DOC_INT || n->kind == DOC_REAL ? "num" : "word", buf_str(&b));
}

static void key(struct view *v, str name)
{
	struct buf b CLEANUP_BUF = BUF_INIT(LIMIT_DOC_BYTES * 2);
	struct jw w;

	jw_init(&w, &b);
	jw_str(&w, name);
	token(v, "key", buf_str(&b));
	token(v, "mark", STR(": "));
}

static void walk(struct view *v, const struct doc_node *n, unsigned indent, bool inside)
{
	bool   is_map = n->kind == DOC_MAP;
	size_t count = doc_len(n);
	bool   flat = inside || !count || width(n, (long)LINE_WIDTH - v->used) <= (long)LINE_WIDTH - v->used;

	if (!is_map && n->kind != DOC_SEQ) {
		scalar(v, n);
		return;
	}
	token(v, "mark", is_map ? flat && count ? STR("{ ") : STR("{") : STR("["));
	for (size_t i = 0; i < count && !v->full; i++) {
		if (!flat)
			line(v, indent + INDENT);
		if (is_map)
			key(v, n->map.pairs[i].key);
		walk(v, is_map ? n->map.pairs[i].value : n->seq.items[i], indent + INDENT, flat);
		if (i + 1 < count)
			token(v, "mark", flat ? STR(", ") : STR(","));
	}
	if (!flat)
		line(v, indent);
	token(v, "mark", is_map ? flat && count ? STR(" }") : STR("}") : STR("]"));
}

/* --- text --- */

static void text_line(struct view *v, unsigned indent)
{
	buf_addf(v->out, "\n%*s", (int)indent, "");
}

static void text_token(struct view *v, const char *class UNUSED, str text) { buf_add_str(v->out, text); }

void json_view_text(const struct doc_node *n, struct buf *out)
{
	static const struct sink sink = { text_line, text_token };
	struct view              v = { .sink = &sink, .out = out };

	walk(&v, n, 0, false);
}

/* --- lines --- */

static void end_line(struct view *v)
{
	if (!v->lines)
		return;
	jw_end(v->w);
	jw_end(v->w);
}

static void lines_line(struct view *v, unsigned indent)
{
	if (v->lines == JSON_VIEW_LINES_MAX) {
		v->full = true;
		return;
	}
	end_line(v);
	jw_obj(v->w);
	jw_kint(v->w, "number", ++v->lines);
	jw_key(v->w, "indent");
	jw_fmt(v->w, "%*s", (int)indent, "");
	jw_key(v->w, "parts");
	jw_arr(v->w);
}

static void lines_token(struct view *v, const char *class, str text)
{
	if (v->full)
		return;
	jw_obj(v->w);
	jw_kstrz(v->w, "class", class);
	jw_kstr(v->w, "text", text);
	jw_end(v->w);
}

bool json_view_lines(const struct doc_node *n, struct jw *w)
{
	static const struct sink sink = { lines_line, lines_token };
	struct view              v = { .sink = &sink, .w = w };

	jw_arr(w);
	line(&v, 0);
	walk(&v, n, 0, false);
	end_line(&v);
	jw_end(w);
	return !v.full;
}
