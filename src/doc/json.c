/* json.c - JSON text to a tree (see doc.h).
 *
 * jansson decides what is JSON (RFC 8259, nothing lenient); the own pass after it only runs over accepted text, adds the
 * places, keeps integers of 64 bits exact and refuses duplicate keys with both places. Sizes are bounded before jansson
 * sees the text. Pure: any thread. */
#include "base/base.h"
#include "doc/build.h"
#include "doc/doc.h"

#include "base/limits.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>

struct reader {
	struct doc_build *b;
	const char       *p, *end;
	const char       *line_start;
	uint32_t          line;
	unsigned          depth;
};

static uint32_t col_of(const struct reader *r, const char *p) { return (uint32_t)(p - r->line_start) + 1; }

static int broken(struct reader *r)
{
	return doc_build_error(r->b, WEIR_EPARSE, r->line, col_of(r, r->p), "not JSON");
}

static void skip_space(struct reader *r)
{
	for (; r->p < r->end; r->p++) {
		if (*r->p == '\n') {
			r->line++;
			r->line_start = r->p + 1;
		} else if (*r->p != ' ' && *r->p != '\t' && *r->p != '\r') {
			return;
		}
	}
}

static bool take(struct reader *r, char c)
{
	if (r->p >= r->end || *r->p != c)
		return false;
	r->p++;
	return true;
}

static size_t put_utf8(char *out, uint32_t c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

static bool hex4(const char *p, const char *end, uint32_t *ret)
{
	uint32_t v = 0;

	if (end - p < 4)
		return false;
	for (int i = 0; i < 4; i++) {
		char c = p[i];

		if (c >= '0' && c <= '9')
			v = v << 4 | (uint32_t)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			v = v << 4 | (uint32_t)((c | 0x20) - 'a' + 10);
		else
			return false;
	}
	*ret = v;
	return true;
}

/* Decodes the escape at r->p (behind the backslash) to out; 0 when it is none. */
static size_t read_escape(struct reader *r, char *out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char       *at;
	uint32_t          hi, lo;

	if (r->p >= r->end)
		return 0;
	if (*r->p != 'u') {
		at = *r->p ? strchr(from, *r->p) : NULL;
		if (!at)
			return 0;
		r->p++;
		*out = to[at - from];
		return 1;
	}
	if (!hex4(r->p + 1, r->end, &hi))
		return 0;
	r->p += 5;
	if (hi < 0xd800 || hi > 0xdfff)
		return put_utf8(out, hi);
	if (hi > 0xdbff || r->end - r->p < 6 || r->p[0] != '\\' || r->p[1] != 'u' || !hex4(r->p + 2, r->end, &lo) || lo < 0xdc00 ||
	    lo > 0xdfff)
		return 0;
	r->p += 6;
	return put_utf8(out, 0x10000 + ((hi - 0xd800) << 10) + (lo - 0xdc00));
}

/* Reads a string at its opening quote. Decoded text is never longer than what is written. */
static int read_string(struct reader *r, str *ret)
{
	const char *q = ++r->p;
	char       *out;
	size_t      n = 0;

	while (q < r->end && *q != '"')
		q += *q == '\\' ? 2 : 1;
	if (q >= r->end)
		return broken(r);
	out = arena_alloc(r->b->arena, (size_t)(q - r->p) + 1);
	if (!out)
		return arena_check(r->b->arena, r->b->file, r->b->reterr);
	while (r->p < q) {
		size_t len;

		if (*r->p != '\\') {
			out[n++] = *r->p++;
			continue;
		}
		r->p++;
		len = read_escape(r, out + n);
		if (!len)
			return broken(r);
		n += len;
	}
	r->p = q + 1;
	*ret = str_n(out, n);
	return 0;
}

static int read_number(struct reader *r, struct doc_node *n)
{
	const char *start = r->p;
	bool        real = false;

	for (; r->p < r->end && *r->p && strchr("+-.0123456789eE", *r->p); r->p++)
		real |= *r->p == '.' || (*r->p | 0x20) == 'e';
	n->text = arena_str(r->b->arena, str_n(start, (size_t)(r->p - start)));
	if (!n->text.ptr)
		return arena_check(r->b->arena, r->b->file, r->b->reterr);
	n->kind = DOC_INT;
	if (!real && str_to_i64(n->text, &n->i))
		return 0;
	n->kind = DOC_REAL;
	n->d = strtod(n->text.ptr, NULL);
	if (!isfinite(n->d))
		return doc_build_error(r->b, WEIR_EPARSE, n->line, n->col, "number is too large");
	return 0;
}

static int read_word(struct reader *r, struct doc_node *n)
{
	static const struct {
		str           word;
		enum doc_kind kind;
		bool          b;
	} words[] = { { { "null", 4 }, DOC_NULL, false }, { { "true", 4 }, DOC_BOOL, true }, { { "false", 5 }, DOC_BOOL, false } };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (!str_has_prefix(str_n(r->p, (size_t)(r->end - r->p)), words[i].word))
			continue;
		r->p += words[i].word.len;
		n->kind = words[i].kind;
		n->text = words[i].word;
		if (n->kind == DOC_BOOL)
			n->b = words[i].b;
		return 0;
	}
	return broken(r);
}

static int read_value(struct reader *r, struct doc_node **ret);

static int read_key(struct reader *r, struct doc_pair *ret)
{
	int e;

	skip_space(r);
	ret->line = r->line;
	ret->col = col_of(r, r->p);
	if (r->p >= r->end || *r->p != '"')
		return broken(r);
	e = read_string(r, &ret->key);
	if (e)
		return e;
	skip_space(r);
	return take(r, ':') ? 0 : broken(r);
}

static int read_children(struct reader *r, struct doc_node *n, char close)
{
	size_t from = r->b->stack.n;
	int    e;

	r->p++;
	skip_space(r);
	if (!take(r, close)) {
		do {
			struct doc_pair pair = { .key = STR_NULL };

			if (close == '}' && (e = read_key(r, &pair)))
				return e;
			if ((e = read_value(r, &pair.value)) || (e = doc_build_push(r->b, pair.key, pair.line, pair.col, pair.value)))
				return e;
			skip_space(r);
		} while (take(r, ','));
		if (!take(r, close))
			return broken(r);
	}
	n->end_line = r->line;
	return doc_build_close(r->b, n, from);
}

static int read_collection(struct reader *r, struct doc_node *n)
{
	bool is_map = *r->p == '{';
	int  e;

	n->kind = is_map ? DOC_MAP : DOC_SEQ;
	if (r->depth >= LIMIT_DOC_DEPTH)
		return doc_build_error(r->b, WEIR_ELIMIT, n->line, n->col, "nested deeper than %d", LIMIT_DOC_DEPTH);
	r->depth++;
	e = read_children(r, n, is_map ? '}' : ']');
	r->depth--;
	return e;
}

static int read_value(struct reader *r, struct doc_node **ret)
{
	struct doc_node *n;
	int              e;

	skip_space(r);
	if (r->p >= r->end)
		return broken(r);
	e = doc_build_node(r->b, DOC_NONE, r->line, col_of(r, r->p), &n);
	if (e)
		return e;
	*ret = n;
	switch (*r->p) {
	case '{':
	case '[':
		return read_collection(r, n);
	case '"':
		n->kind = DOC_STR;
		e = read_string(r, &n->text);
		n->s = n->text;
		return e;
	case 't':
	case 'f':
	case 'n':
		return read_word(r, n);
	default:
		return read_number(r, n);
	}
}

/* Depth and number of values, from the punctuation alone: keeps what jansson builds in memory within bounds.
 * Exact for valid text; a node more or less for other text does not matter, jansson refuses it. */
static int check_sizes(struct doc_build *b, str text)
{
	size_t   depth = 0, n = 1;
	bool     in_string = false;
	uint32_t line, col;

	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (in_string) {
			i += c == '\\';
			in_string = c != '"';
			continue;
		}
		in_string = c == '"';
		n += c == '[' || c == '{' || c == ',';
		depth += c == '[' || c == '{';
		depth -= depth && (c == ']' || c == '}');
		if (depth <= LIMIT_DOC_DEPTH && n <= 2 * LIMIT_DOC_NODES)
			continue;
		doc_build_place(text, i, &line, &col);
		if (depth > LIMIT_DOC_DEPTH)
			return doc_build_error(b, WEIR_ELIMIT, line, col, "nested deeper than %d", LIMIT_DOC_DEPTH);
		return doc_build_error(b, WEIR_ELIMIT, line, col, "more than %d values in one document", LIMIT_DOC_NODES);
	}
	return 0;
}

/* jansson's message without its "near '...'": that part quotes the text, which may hold a secret. */
static int refused(struct doc_build *b, str text, json_error_t *je)
{
	size_t      at = je->position > 0 ? (size_t)je->position : 0;
	const char *near = strstr(je->text, " near ");
	int         len = near ? (int)(near - je->text) : (int)strlen(je->text);
	uint32_t    line, col;

	/* the position is behind the token it could not use */
	doc_build_place(text, at && json_error_code(je) != json_error_premature_end_of_input ? at - 1 : at, &line, &col);
	return doc_build_error(b, WEIR_EPARSE, line, col, "%.*s", len, je->text);
}

static int check_json(struct doc_build *b, str text)
{
	json_error_t je;
	/* integers beyond 64 bits are fine: they become DOC_REAL and keep their text */
	json_t *json = json_loadb(text.len ? text.ptr : "", text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &je);

	if (!json)
		return json_error_code(&je) == json_error_out_of_memory ? err_set(b->reterr, WEIR_ENOMEM, "%s: out of memory", b->file)
		                                                        : refused(b, text, &je);
	json_decref(json);
	return 0;
}

int doc_parse_json(struct arena *a, const char *file, str text, struct doc_node **ret, struct err *reterr)
{
	struct doc_build b;
	struct reader    r = { .b = &b, .p = text.ptr, .end = text.ptr + text.len, .line_start = text.ptr, .line = 1 };
	struct doc_node *n = NULL;
	int              e;

	doc_build_init(&b, a, file, reterr);
	e = doc_build_check_text(&b, text);
	if (!e)
		e = check_sizes(&b, text);
	if (!e)
		e = check_json(&b, text);
	if (!e)
		e = read_value(&r, &n);
	doc_build_fini(&b);
	if (!e)
		*ret = n;
	return e;
}
