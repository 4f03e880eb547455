/* flag-diff.c - structural differences between two definitions (see flag-diff.h). Pure; any thread with an arena of its own.
 *
 * Recursion is as deep as documents are (LIMIT_DOC_DEPTH). A list costs as many comparisons as it has items, and large maps get an index, so that no
 * definition makes it slow. */
#include "base/base.h"

#include "base/limits.h"
#include "base/map.h"
#include "base/vec.h"
#include "flag/flag-diff.h"

const char *flag_diff_kind_name(enum flag_diff_kind k)
{
	static const char *const names[] = { "none", "added", "removed", "changed" };

	return names[k];
}

struct walk {
	struct arena *arena;
	struct buf    path;
	VEC(struct flag_diff_line) lines;
	bool failed;
};

static str json_of(struct walk *w, const struct doc_node *n)
{
	struct buf CLEANUP_BUF out = BUF_INIT(2 * LIMIT_DOC_BYTES);
	struct jw              j;

	if (!n)
		return STR_NULL;
	jw_init(&j, &out);
	jw_node(&j, n);
	return arena_str(w->arena, buf_str(&out));
}

static void tell(struct walk *w, enum flag_diff_kind kind, const struct doc_node *before, const struct doc_node *after)
{
	struct flag_diff_line l = { kind, arena_str(w->arena, buf_str(&w->path)), json_of(w, before), json_of(w, after) };

	if (!VEC_PUSH(&w->lines, l))
		w->failed = true;
}

/* --- the same? --- */

static bool same(const struct doc_node *a, const struct doc_node *b);

static bool same_scalar(const struct doc_node *a, const struct doc_node *b)
{
	struct buf CLEANUP_BUF ta = BUF_INIT(2 * LIMIT_DOC_BYTES), tb = BUF_INIT(2 * LIMIT_DOC_BYTES);

	if (a->kind == DOC_STR || b->kind == DOC_STR)
		return a->kind == b->kind && str_eq(a->s, b->s);
	doc_canonical(a, &ta);
	doc_canonical(b, &tb);
	return !ta.failed && !tb.failed && str_eq(buf_str(&ta), buf_str(&tb));
}

/* Look-ups in a map. */
struct lookup {
	const struct doc_node *n;
	struct map             index; /* of large ones */
};

static void lookup_init(struct lookup *l, const struct doc_node *n)
{
	enum { LARGE = 64 };

	l->n = n;
	map_init(&l->index);
	for (size_t i = 0; doc_len(n) > LARGE && i < doc_len(n); i++)
		if (!map_put(&l->index, n->map.pairs[i].key, n->map.pairs[i].value, NULL)) {
			map_fini(&l->index); /* slow, but right */
			map_init(&l->index);
			return;
		}
}

/* i: where it stands when both maps are in one order, as they mostly are. */
static const struct doc_node *partner(const struct lookup *l, str key, size_t i)
{
	if (i < doc_len(l->n) && str_eq(l->n->map.pairs[i].key, key))
		return l->n->map.pairs[i].value;
	return map_count(&l->index) ? map_get(&l->index, key) : doc_get_n(l->n, key);
}

static bool same_maps(const struct doc_node *a, const struct doc_node *b)
{
	struct lookup l;
	bool          ret = true;

	lookup_init(&l, b);
	for (size_t i = 0; ret && i < doc_len(a); i++) {
		const struct doc_node *y = partner(&l, a->map.pairs[i].key, i);

		ret = y && same(a->map.pairs[i].value, y);
	}
	map_fini(&l.index);
	return ret;
}

static bool same(const struct doc_node *a, const struct doc_node *b)
{
	if (a->kind != DOC_MAP && a->kind != DOC_SEQ && b->kind != DOC_MAP && b->kind != DOC_SEQ)
		return same_scalar(a, b);
	if (a->kind != b->kind || doc_len(a) != doc_len(b))
		return false;
	if (a->kind == DOC_MAP)
		return same_maps(a, b);
	for (size_t i = 0; i < doc_len(a); i++)
		if (!same(doc_at(a, i), doc_at(b, i)))
			return false;
	return true;
}

/* --- what differs --- */

static void compare(struct walk *w, const struct doc_node *before, const struct doc_node *after);

static size_t step_in(struct walk *w, str key)
{
	size_t was = w->path.len;

	buf_addc(&w->path, '/');
	for (size_t i = 0; i < key.len; i++) /* RFC 6901 section 3 */
		if (key.ptr[i] == '~')
			buf_addz(&w->path, "~0");
		else if (key.ptr[i] == '/')
			buf_addz(&w->path, "~1");
		else
			buf_addc(&w->path, key.ptr[i]);
	return was;
}

static void step_out(struct walk *w, size_t was)
{
	w->path.len = was;
	if (w->path.ptr)
		w->path.ptr[was] = '\0';
}

static void compare_maps(struct walk *w, const struct doc_node *before, const struct doc_node *after)
{
	struct lookup in_before, in_after;

	lookup_init(&in_before, before);
	lookup_init(&in_after, after);
	for (size_t i = 0; i < doc_len(before); i++) {
		const struct doc_pair *p = &before->map.pairs[i];
		size_t                 was = step_in(w, p->key);

		compare(w, p->value, partner(&in_after, p->key, i));
		step_out(w, was);
	}
	for (size_t i = 0; i < doc_len(after); i++) {
		const struct doc_pair *p = &after->map.pairs[i];

		if (!partner(&in_before, p->key, i)) {
			size_t was = step_in(w, p->key);

			compare(w, NULL, p->value);
			step_out(w, was);
		}
	}
	map_fini(&in_before.index);
	map_fini(&in_after.index);
}

static void compare_item(struct walk *w, size_t i, const struct doc_node *before, const struct doc_node *after)
{
	char   text[24];
	size_t was;

	snprintf(text, sizeof(text), "%zu", i);
	was = step_in(w, str_z(text));
	compare(w, before, after);
	step_out(w, was);
}

/* An item that was put in or taken out in the middle of a list is told as such. */
static void compare_lists(struct walk *w, const struct doc_node *before, const struct doc_node *after)
{
	size_t nb = doc_len(before), na = doc_len(after), least = nb < na ? nb : na, head = 0, tail = 0;

	while (head < least && same(doc_at(before, head), doc_at(after, head)))
		head++;
	while (tail < least - head && same(doc_at(before, nb - 1 - tail), doc_at(after, na - 1 - tail)))
		tail++;
	for (size_t i = head; i < nb - tail || i < na - tail; i++)
		compare_item(w, i, i < nb - tail ? doc_at(before, i) : NULL, i < na - tail ? doc_at(after, i) : NULL);
}

static void compare(struct walk *w, const struct doc_node *before, const struct doc_node *after)
{
	if (!before || !after) {
		if (before || after)
			tell(w, before ? FLAG_DIFF_REMOVED : FLAG_DIFF_ADDED, before, after);
	} else if (before->kind == DOC_MAP && after->kind == DOC_MAP) {
		compare_maps(w, before, after);
	} else if (before->kind == DOC_SEQ && after->kind == DOC_SEQ) {
		compare_lists(w, before, after);
	} else if (!same(before, after)) {
		tell(w, FLAG_DIFF_CHANGED, before, after);
	}
}

int flag_diff(struct arena *a, const struct doc_node *before, const struct doc_node *after, struct flag_diff *ret, struct err *reterr)
{
	struct walk w = { .arena = a, .path = BUF_INIT(LIMIT_DOC_BYTES), .lines = VEC_INIT };
	int         rc;

	compare(&w, before, after);
	ret->lines = ARENA_ARRAY(a, w.lines.n + 1, struct flag_diff_line);
	ret->n = w.lines.n;
	if (ret->lines && w.lines.n)
		memcpy(ret->lines, w.lines.v, w.lines.n * sizeof(*ret->lines));
	rc = w.failed ? err_set(reterr, WEIR_ENOMEM, "differences of definitions") : buf_check(&w.path, "a path in a definition", reterr);
	VEC_FINI(&w.lines);
	buf_fini(&w.path);
	return rc ? rc : arena_check(a, "differences of definitions", reterr);
}

int flag_diff_texts(struct arena *a, str before, str after, struct flag_diff *ret, struct err *reterr)
{
	struct doc_node *b = NULL, *n = NULL;
	int              rc = before.len ? doc_parse_json(a, "definition", before, &b, reterr) : 0;

	if (!rc && after.len)
		rc = doc_parse_json(a, "definition", after, &n, reterr);
	return rc ? rc : flag_diff(a, b, n, ret, reterr);
}

bool flag_diff_is_switch_off(const struct flag_diff *d)
{
	return d->n == 1 && d->lines[0].kind == FLAG_DIFF_CHANGED && str_eqz(d->lines[0].path, "/state") && str_eqz(d->lines[0].after, "\"DISABLED\"");
}
