/* router.c - the trie of path segments (see router.h).
 *
 * Each node has its literal children in a hash map, its parameter children in a short list, and at most one tail ("*rest"). A match walks all
 * branches that fit; since overlapping routes are refused when they are added, at most one route fits a method and
 * a path, and the other methods that were met on the way are the Allow header. Runs on any thread; nothing is written after start. */
#include "base/base.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/vec.h"
#include "net/router.h"

struct node;
struct edge {
	struct route_seg seg;
	struct node     *to;
};
struct node {
	struct map literals; /* text -> struct node */
	VEC(struct edge) params; /* SEG_NAME, SEG_INT, SEG_ID */
	VEC(struct route_entry *) ends, rests;
};
struct router {
	struct node *root;
	VEC(struct route_entry *) all;
};

static struct node *node_free(struct node *n)
{
	if (!n)
		return NULL;
	for (struct map_entry *e = map_next(&n->literals, NULL); e; e = map_next(&n->literals, e))
		node_free(e->value);
	map_fini(&n->literals);
	for (size_t i = 0; i < n->params.n; i++)
		node_free(n->params.v[i].to);
	VEC_FINI(&n->params);
	VEC_FINI(&n->ends);
	VEC_FINI(&n->rests);
	free(n);
	return NULL;
}

int router_new(struct router **ret, struct err *reterr)
{
	struct router *r = calloc(1, sizeof(*r));

	if (r)
		r->root = calloc(1, sizeof(*r->root));
	if (!r || !r->root) {
		free(r);
		return err_set(reterr, WEIR_ENOMEM, "no memory for the route table");
	}
	*ret = r;
	return 0;
}

struct router *router_free(struct router *r)
{
	if (!r)
		return NULL;
	node_free(r->root);
	for (size_t i = 0; i < r->all.n; i++)
		free(r->all.v[i]);
	VEC_FINI(&r->all);
	free(r);
	return NULL;
}

size_t router_count(const struct router *r) { return r->all.n; }
struct route_entry *router_at(const struct router *r, size_t i) { return r->all.v[i]; }

/* --- which texts a segment takes --- */

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

static bool is_name(str s)
{
	if (!s.len || s.len > LIMIT_NAME_BYTES || s.ptr[0] == '.' || s.ptr[0] == '-')
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!is_name_char(s.ptr[i]))
			return false;
	return true;
}

static bool is_int(str s)
{
	if (!s.len || s.len > 18)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] < '0' || s.ptr[i] > '9')
			return false;
	return true;
}

static bool is_id(str s)
{
	if (s.len != 26)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!memchr("0123456789ABCDEFGHJKMNPQRSTVWXYZ", s.ptr[i], 32))
			return false;
	return true;
}

/* Does a parameter take this text? *ret_value: the text without the suffix. */
static bool seg_takes(const struct route_seg *seg, str text, str *ret_value)
{
	if (seg->kind == SEG_LITERAL)
		return str_eq(seg->text, text);
	if (seg->suffix.len) {
		if (text.len <= seg->suffix.len || !str_has_suffix(text, seg->suffix))
			return false;
		text.len -= seg->suffix.len;
	}
	if (ret_value)
		*ret_value = text;
	switch (seg->kind) {
	case SEG_NAME: return is_name(text);
	case SEG_INT: return is_int(text);
	case SEG_ID: return is_id(text);
	case SEG_LITERAL:
	case SEG_REST: break;
	}
	return false;
}

/* --- patterns --- */

static int parse_param(str s, struct route_seg *ret)
{
	size_t n = 0;

	ret->kind = SEG_NAME;
	while (n < s.len && ((s.ptr[n] >= 'a' && s.ptr[n] <= 'z') || s.ptr[n] == '_'))
		n++;
	ret->text = str_sub(s, 0, n);
	s = str_sub(s, n, s.len);
	if (s.len && s.ptr[0] == ':') {
		if (str_has_prefix(s, STR(":int")))
			ret->kind = SEG_INT, s = str_sub(s, 4, s.len);
		else if (str_has_prefix(s, STR(":id")))
			ret->kind = SEG_ID, s = str_sub(s, 3, s.len);
		else
			return -1;
	}
	ret->suffix = s;
	return ret->text.len && (!s.len || s.ptr[0] == '.') ? 0 : -1;
}

static int parse_pattern(struct route_entry *e, struct err *reterr)
{
	str    path = str_z(e->route->path), seg;
	size_t n_params = 0;

	if (!path.len || path.ptr[0] != '/')
		return err_set(reterr, WEIR_EINVAL, "route '%s' does not begin with '/'", e->route->path);
	path = str_sub(path, 1, path.len);
	for (bool more = true; more;) {
		struct route_seg *to = &e->segs[e->n_segs++];

		more = str_cut(path, '/', &seg, &path);
		if (seg.len && seg.ptr[0] == '*') {
			*to = (struct route_seg){ .kind = SEG_REST, .text = str_sub(seg, 1, seg.len) };
			if (more || !to->text.len)
				return err_set(reterr, WEIR_EINVAL, "route '%s': a tail needs a name and stands last", e->route->path);
		} else if (seg.len && seg.ptr[0] == ':') {
			if (parse_param(str_sub(seg, 1, seg.len), to))
				return err_set(reterr, WEIR_EINVAL, "route '%s': parameter '%.*s' is not :name, :name:int or :name:id",
				               e->route->path, STR_ARG(seg));
		} else {
			*to = (struct route_seg){ .kind = SEG_LITERAL, .text = seg };
		}
		n_params += to->kind != SEG_LITERAL;
		if ((more && e->n_segs == ROUTE_SEGS_MAX) || n_params > ROUTE_PARAMS_MAX)
			return err_set(reterr, WEIR_EINVAL, "route '%s' has more than %d segments or %d parameters", e->route->path,
			               ROUTE_SEGS_MAX, ROUTE_PARAMS_MAX);
	}
	return 0;
}

/* Can one text fit both? Two parameters overlap unless their suffixes exclude each other: names are the widest kind, and every
 * number is a name too. Only ids and numbers are apart by length. */
static bool segs_overlap(const struct route_seg *a, const struct route_seg *b)
{
	if (a->kind == SEG_LITERAL)
		return seg_takes(b, a->text, NULL);
	if (b->kind == SEG_LITERAL)
		return seg_takes(a, b->text, NULL);
	if (!a->suffix.len && !b->suffix.len &&
	    ((a->kind == SEG_INT && b->kind == SEG_ID) || (a->kind == SEG_ID && b->kind == SEG_INT)))
		return false;
	if (a->kind == b->kind || a->kind == SEG_NAME || b->kind == SEG_NAME)
		return a->suffix.len < b->suffix.len ? a->kind == SEG_NAME && str_has_suffix(b->suffix, a->suffix)
		       : a->suffix.len > b->suffix.len ? b->kind == SEG_NAME && str_has_suffix(a->suffix, b->suffix)
		                                       : str_eq(a->suffix, b->suffix);
	return str_eq(a->suffix, b->suffix);
}

static bool patterns_overlap(const struct route_entry *a, const struct route_entry *b)
{
	for (size_t i = 0;; i++) {
		if (i == a->n_segs || i == b->n_segs)
			return a->n_segs == b->n_segs;
		if (a->segs[i].kind == SEG_REST || b->segs[i].kind == SEG_REST)
			return true;
		if (!segs_overlap(&a->segs[i], &b->segs[i]))
			return false;
	}
}

/* --- building --- */

static struct node *literal_child(struct node *n, str text)
{
	struct node *to = map_get(&n->literals, text);

	if (to)
		return to;
	to = calloc(1, sizeof(*to));
	if (to && !map_put(&n->literals, text, to, NULL))
		to = node_free(to);
	return to;
}

static struct node *param_child(struct node *n, const struct route_seg *seg)
{
	struct edge edge = { .seg = *seg };

	for (size_t i = 0; i < n->params.n; i++)
		if (n->params.v[i].seg.kind == seg->kind && str_eq(n->params.v[i].seg.suffix, seg->suffix))
			return n->params.v[i].to;
	edge.to = calloc(1, sizeof(*edge.to));
	if (edge.to && !VEC_PUSH(&n->params, edge))
		edge.to = node_free(edge.to);
	return edge.to;
}

static bool insert(struct router *r, struct route_entry *e)
{
	struct node *n = r->root;

	for (size_t i = 0; n && i < e->n_segs; i++) {
		if (e->segs[i].kind == SEG_REST)
			return VEC_PUSH(&n->rests, e);
		n = e->segs[i].kind == SEG_LITERAL ? literal_child(n, e->segs[i].text) : param_child(n, &e->segs[i]);
	}
	return n && VEC_PUSH(&n->ends, e);
}

int router_add(struct router *r, const struct http_route *route, void *ctx, struct err *reterr)
{
	struct route_entry *e = calloc(1, sizeof(*e));
	int                 ret;

	if (!e)
		return err_set(reterr, WEIR_ENOMEM, "no memory for a route");
	e->route = route;
	e->ctx = ctx;
	e->method = str_z(route->method);
	ret = parse_pattern(e, reterr);
	if (!ret)
		ret = router_check_query(route, reterr);
	for (size_t i = 0; !ret && i < r->all.n; i++)
		if (str_eq(r->all.v[i]->method, e->method) && patterns_overlap(r->all.v[i], e))
			ret = err_set(reterr, WEIR_ECONFLICT, "routes '%s %s' and '%s %s' can match one request", route->method,
			              r->all.v[i]->route->path, route->method, route->path);
	if (!ret && !VEC_PUSH(&r->all, e))
		ret = err_set(reterr, WEIR_ENOMEM, "no memory for a route");
	if (ret) {
		free(e);
		return ret;
	}
	/* From here on r->all owns e, also when the trie cannot grow. */
	return insert(r, e) ? 0 : err_set(reterr, WEIR_ENOMEM, "no memory for a route");
}

/* --- matching --- */

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool url_decode(struct arena *a, str s, bool plus, str *ret)
{
	char  *to;
	size_t n = 0;

	if (!memchr(s.len ? s.ptr : "", '%', s.len) && !(plus && memchr(s.len ? s.ptr : "", '+', s.len))) {
		*ret = s;
		return true;
	}
	to = arena_alloc(a, s.len + 1);
	if (!to)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] == '%') {
			int hi = i + 2 < s.len ? hex_digit(s.ptr[i + 1]) : -1, lo = i + 2 < s.len ? hex_digit(s.ptr[i + 2]) : -1;

			if (hi < 0 || lo < 0)
				return false;
			to[n++] = (char)(hi << 4 | lo);
			i += 2;
		} else {
			to[n++] = plus && s.ptr[i] == '+' ? ' ' : s.ptr[i];
		}
	}
	*ret = str_n(to, n);
	return true;
}

struct walk {
	const struct router *r;
	str                  method;
	str                  segs[ROUTE_SEGS_MAX + 1]; /* decoded */
	size_t               n_segs;
	size_t               rest_at[ROUTE_SEGS_MAX + 1]; /* offset of segment i in `path` */
	str                  path; /* decoded whole path */
	bool                 hostile; /* in one of its segments */
	size_t               hostile_at; /* the first of them */
	struct route_match  *m;
};

static void allow_add(struct route_match *m, const char *method)
{
	size_t have = strlen(m->allow);

	if (strstr(m->allow, method) || have + strlen(method) + 3 > sizeof(m->allow))
		return;
	snprintf(m->allow + have, sizeof(m->allow) - have, "%s%s", have ? ", " : "", method);
}

/* Takes the entry of the wanted method, notes the others. */
static void take(struct walk *w, struct route_entry *const *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (str_eq(v[i]->method, w->method) ||
		    (!w->m->entry && str_eqz(w->method, "HEAD") && str_eqz(v[i]->method, "GET")))
			w->m->entry = v[i];
		w->m->known = true;
		allow_add(w->m, v[i]->route->method);
		if (str_eqz(v[i]->method, "GET"))
			allow_add(w->m, "HEAD");
	}
}

static void walk_node(struct walk *w, const struct node *n, size_t i)
{
	const struct node *to;

	if (i == w->n_segs) {
		take(w, n->ends.v, n->ends.n);
		return;
	}
	take(w, n->rests.v, n->rests.n);
	if ((to = map_get(&n->literals, w->segs[i])))
		walk_node(w, to, i + 1);
	for (size_t k = 0; k < n->params.n; k++)
		if (seg_takes(&n->params.v[k].seg, w->segs[i], NULL))
			walk_node(w, n->params.v[k].to, i + 1);
}

static void fill_params(struct walk *w)
{
	struct route_match *m = w->m;

	for (size_t i = 0; i < m->entry->n_segs; i++) {
		const struct route_seg *seg = &m->entry->segs[i];
		struct route_param     *p = &m->params[m->n_params];

		if (seg->kind == SEG_LITERAL)
			continue;
		m->n_params++;
		p->name = seg->text;
		if (seg->kind == SEG_REST)
			p->value = str_sub(w->path, w->rest_at[i], w->path.len);
		else
			(void)seg_takes(seg, w->segs[i], &p->value);
	}
}

/* A decoded segment that would move up the tree, or that no name may hold. */
static bool seg_is_hostile(str s)
{
	str part;

	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f || s.ptr[i] == '\\')
			return true;
	for (bool more = true; more;) {
		more = str_cut(s, '/', &part, &s);
		if (str_eqz(part, ".") || str_eqz(part, ".."))
			return true;
	}
	return false;
}

static int hostile_error(struct err *reterr)
{
	return err_set(reterr, WEIR_EINVAL, "the path holds a bad escape, a control byte, a backslash, bytes that are not UTF-8, or '.' or '..'");
}

/* Hostile segments are fine in a tail whose route says so. */
static bool hostility_allowed(const struct walk *w)
{
	const struct route_entry *e = w->m->entry;

	return !w->hostile || (e && e->route->any_tail && e->segs[e->n_segs - 1].kind == SEG_REST && w->hostile_at >= e->n_segs - 1);
}

int router_match(const struct router *r, str method, str raw_path, struct arena *a, struct route_match *ret, struct err *reterr)
{
	struct walk w = { .r = r, .method = method, .m = ret };
	str         left, seg;
	size_t      n_seen = 0;
	char       *joined;

	memset(ret, 0, sizeof(*ret));
	if (!raw_path.len || raw_path.ptr[0] != '/')
		return err_set(reterr, WEIR_EINVAL, "the request target does not begin with '/'");
	joined = arena_alloc(a, raw_path.len + 1);
	if (!joined)
		return err_set(reterr, WEIR_ENOMEM, "no memory for the path");
	w.path = str_n(joined, 0);
	left = str_sub(raw_path, 1, raw_path.len);
	for (bool more = true; more;) {
		more = str_cut(left, '/', &seg, &left);
		if (!url_decode(a, seg, false, &seg) || !str_utf8_valid(seg))
			return hostile_error(reterr);
		if (!w.hostile && seg_is_hostile(seg)) {
			w.hostile = true;
			w.hostile_at = n_seen;
		}
		n_seen++;
		joined[w.path.len++] = '/';
		if (w.n_segs <= ROUTE_SEGS_MAX)
			w.rest_at[w.n_segs] = w.path.len;
		memcpy(joined + w.path.len, seg.len ? seg.ptr : "", seg.len);
		w.path.len += seg.len;
		if (w.n_segs <= ROUTE_SEGS_MAX)
			w.segs[w.n_segs++] = seg;
	}
	ret->path = w.path;
	walk_node(&w, r->root, 0);
	if (!hostility_allowed(&w))
		return hostile_error(reterr);
	if (ret->entry)
		fill_params(&w);
	return 0;
}
