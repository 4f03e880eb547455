/* check.c - strict reading: typed values and known keys, every problem kept with its place (see doc.h).
 *
 * Problems are kept in the order of the file. Messages name the place, what was expected and the nearest known word. */
#include "base/base.h"
#include "doc/doc.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>

enum { DIAGS_MAX = 100 };

void doc_check_init(struct doc_check *c, struct arena *a, const char *file)
{
	*c = (struct doc_check){ .arena = a, .file = file };
}

static bool grow(struct doc_check *c)
{
	size_t           cap = c->cap_diags ? c->cap_diags * 2 : 8;
	struct doc_diag *v = ARENA_ARRAY(c->arena, cap, struct doc_diag);

	if (!v)
		return false;
	for (size_t i = 0; i < c->n_diags; i++)
		v[i] = c->diags[i];
	c->diags = v;
	c->cap_diags = cap;
	return true;
}

static void add_diag(struct doc_check *c, uint32_t line, uint32_t col, const char *fmt, va_list ap)
{
	char   text[512], *msg = NULL;
	size_t i;

	vsnprintf(text, sizeof(text), fmt, ap);
	if (c->n_diags < DIAGS_MAX && (c->n_diags < c->cap_diags || grow(c)))
		msg = arena_dupz(c->arena, text);
	if (!msg) {
		c->n_dropped++;
		return;
	}
	for (i = c->n_diags; i; i--) {
		const struct doc_diag *before = &c->diags[i - 1];

		if (before->line < line || (before->line == line && before->col <= col))
			break;
		c->diags[i] = *before;
	}
	c->diags[i] = (struct doc_diag){ .line = line, .col = col, .msg = msg };
	c->n_diags++;
}

void doc_error_at(struct doc_check *c, uint32_t line, uint32_t col, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_diag(c, line, col, fmt, ap);
	va_end(ap);
}

void doc_error(struct doc_check *c, const struct doc_node *at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_diag(c, at ? at->line : 1, at ? at->col : 1, fmt, ap);
	va_end(ap);
}

int doc_check_result(const struct doc_check *c, struct err *reterr)
{
	const struct doc_diag *d = c->diags;
	size_t                 more;

	if (!c->n_diags)
		return c->n_dropped ? arena_check(c->arena, c->file, reterr) : 0;
	more = c->n_diags - 1 + c->n_dropped;
	if (more)
		return err_set(reterr, WEIR_EINVAL, "%s:%u:%u: %s (and %zu more)", c->file, d->line, d->col, d->msg, more);
	return err_set(reterr, WEIR_EINVAL, "%s:%u:%u: %s", c->file, d->line, d->col, d->msg);
}

/* --- words --- */

static const char *a_kind(enum doc_kind k)
{
	switch (k) {
	case DOC_MAP: return "a map";
	case DOC_SEQ: return "a list";
	case DOC_INT: return "a whole number";
	case DOC_REAL: return "a number";
	default: return doc_kind_name(k);
	}
}

const char *doc_nearest(str key, const char *const *known)
{
	size_t      best = key.len / 3 ? key.len / 3 : 1;
	const char *found = NULL;

	for (; *known; known++) {
		size_t d = str_distance(key, str_z(*known), best);

		if (d > best || (found && d == best))
			continue;
		best = d;
		found = *known;
	}
	return found;
}

/* "a, b, c", cut with "..." when long. */
static void list_words(char *out, size_t size, const char *const *words)
{
	size_t n = 0;

	out[0] = 0;
	for (const char *const *w = words; *w; w++) {
		if (n + strlen(*w) + 8 > size) {
			snprintf(out + n, size - n, ", ...");
			return;
		}
		n += (size_t)snprintf(out + n, size - n, "%s%s", n ? ", " : "", *w);
	}
}

static int shown(str s) { return (int)(s.len > 64 ? 64 : s.len); }

static void unknown_key(struct doc_check *c, const struct doc_pair *p, const char *what, const char *const *known)
{
	const char *nearest = doc_nearest(p->key, known);
	char        words[256];

	if (nearest) {
		doc_error_at(c, p->line, p->col, "unknown key '%.*s' (did you mean '%s'?)", shown(p->key), p->key.ptr, nearest);
		return;
	}
	list_words(words, sizeof(words), known);
	doc_error_at(c, p->line, p->col, "unknown key '%.*s' in %s (known: %s)", shown(p->key), p->key.ptr, what, words);
}

bool doc_is_map(struct doc_check *c, const struct doc_node *n, const char *what, const char *const *known)
{
	if (!n)
		return false;
	if (n->kind != DOC_MAP) {
		doc_error(c, n, "%s must be a map, not %s", what, a_kind(n->kind));
		return false;
	}
	for (size_t i = 0; known && i < n->map.n; i++) {
		const char *const *k = known;

		while (*k && !str_eqz(n->map.pairs[i].key, *k))
			k++;
		if (!*k)
			unknown_key(c, &n->map.pairs[i], what, known);
	}
	return true;
}

bool doc_is_seq(struct doc_check *c, const struct doc_node *n, const char *what)
{
	if (n && n->kind != DOC_SEQ)
		doc_error(c, n, "%s must be a list, not %s", what, a_kind(n->kind));
	return n && n->kind == DOC_SEQ;
}

/* A key that was reported as unknown and resembles `key` stands for it: one mistake, one message. */
static bool is_misspelt(const struct doc_check *c, const struct doc_node *map, const char *key)
{
	const char *const only[] = { key, NULL };

	for (size_t i = 0; map->kind == DOC_MAP && i < map->map.n; i++) {
		const struct doc_pair *p = &map->map.pairs[i];

		for (size_t d = 0; d < c->n_diags && doc_nearest(p->key, only); d++)
			if (c->diags[d].line == p->line && c->diags[d].col == p->col)
				return true;
	}
	return false;
}

const struct doc_node *doc_need(struct doc_check *c, const struct doc_node *map, const char *key)
{
	const struct doc_node *n = doc_get(map, key);

	if (!n && map && !is_misspelt(c, map, key))
		doc_error(c, map, "key '%s' is missing", key);
	return n;
}

/* --- typed values: NULL is silent, it is absent or was reported by doc_need --- */

static bool is_kind(struct doc_check *c, const struct doc_node *n, const char *what, enum doc_kind kind)
{
	if (n && n->kind != kind)
		doc_error(c, n, "%s must be %s, not %s", what, a_kind(kind), a_kind(n->kind));
	return n && n->kind == kind;
}

str doc_want_str(struct doc_check *c, const struct doc_node *n, const char *what)
{
	return is_kind(c, n, what, DOC_STR) ? n->s : STR_NULL;
}

bool doc_want_bool(struct doc_check *c, const struct doc_node *n, const char *what)
{
	return is_kind(c, n, what, DOC_BOOL) && n->b;
}

int64_t doc_want_int(struct doc_check *c, const struct doc_node *n, const char *what, int64_t min, int64_t max)
{
	if (!is_kind(c, n, what, DOC_INT))
		return 0;
	if (n->i >= min && n->i <= max)
		return n->i;
	doc_error(c, n, "%s must be from %" PRId64 " to %" PRId64 ", not %" PRId64, what, min, max, n->i);
	return 0;
}

double doc_want_num(struct doc_check *c, const struct doc_node *n, const char *what, double min, double max)
{
	double v;

	if (n && n->kind == DOC_INT)
		v = (double)n->i;
	else if (is_kind(c, n, what, DOC_REAL))
		v = n->d;
	else
		return 0;
	if (v >= min && v <= max)
		return v;
	doc_error(c, n, "%s must be from %g to %g, not %g", what, min, max, v);
	return 0;
}

usec_t doc_want_duration(struct doc_check *c, const struct doc_node *n, const char *what, usec_t min, usec_t max)
{
	char   low[32], high[32];
	usec_t d;

	if (!n)
		return 0;
	if (n->kind != DOC_STR || !clock_parse_duration(n->s, &d)) {
		doc_error(c, n, "%s must be a duration such as 500ms, 30s, 5m, 2h or 1d", what);
		return 0;
	}
	if (d >= min && d <= max)
		return d;
	doc_error(c, n, "%s must be from %s to %s", what, clock_human(min, low), clock_human(max, high));
	return 0;
}

static bool parse_size(str s, int64_t *ret)
{
	static const struct {
		const char *unit;
		double      bytes;
	} units[] = { { "KiB", 1024 }, { "MiB", 1048576 }, { "GiB", 1073741824 }, { "TiB", 1099511627776 } };
	double v;

	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (str_has_suffix(s, str_z(units[i].unit)))
			return str_to_double(str_sub(s, 0, s.len - 3), &v) && v >= 0 && v * units[i].bytes < 9e15 && (*ret = (int64_t)(v * units[i].bytes), true);
	return false;
}

static const char *human_size(int64_t bytes, char out[32])
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB" };
	size_t                   u = 0;
	int64_t                  v = bytes >> 10;

	for (; u + 1 < ARRAY_SIZE(units) && v >= 1024 && v % 1024 == 0; u++)
		v >>= 10;
	snprintf(out, 32, "%lld%s", (long long)v, units[u]);
	return out;
}

int64_t doc_want_size(struct doc_check *c, const struct doc_node *n, const char *what, int64_t min, int64_t max)
{
	char    low[32], high[32];
	int64_t v;

	if (!n)
		return 0;
	if (n->kind != DOC_STR || !parse_size(n->s, &v)) {
		doc_error(c, n, "%s must be a size such as 64KiB, 512MiB or 2GiB", what);
		return 0;
	}
	if (v >= min && v <= max)
		return v;
	doc_error(c, n, "%s must be from %s to %s", what, human_size(min, low), human_size(max, high));
	return 0;
}

double doc_want_share(struct doc_check *c, const struct doc_node *n, const char *what)
{
	double v = -1;

	if (!n)
		return 0;
	if (n->kind == DOC_INT)
		v = (double)n->i;
	else if (n->kind == DOC_REAL)
		v = n->d;
	else if (n->kind == DOC_STR && str_has_suffix(n->s, STR("%")) && str_to_double(str_sub(n->s, 0, n->s.len - 1), &v))
		v /= 100;
	if (v >= 0 && v <= 1)
		return v;
	doc_error(c, n, "%s must be a share: a percentage from 0%% to 100%%, or a number from 0 to 1", what);
	return 0;
}

int doc_want_enum(struct doc_check *c, const struct doc_node *n, const char *what, const char *const *names)
{
	char        words[256];
	const char *nearest;

	if (!n)
		return -1;
	list_words(words, sizeof(words), names);
	if (n->kind != DOC_STR) {
		doc_error(c, n, "%s must be one of %s, not %s", what, words, a_kind(n->kind));
		return -1;
	}
	for (int i = 0; names[i]; i++)
		if (str_eqz(n->s, names[i]))
			return i;
	nearest = doc_nearest(n->s, names);
	if (nearest)
		doc_error(c, n, "%s must be one of %s, not '%.*s' (did you mean '%s'?)", what, words, shown(n->s), n->s.ptr, nearest);
	else
		doc_error(c, n, "%s must be one of %s, not '%.*s'", what, words, shown(n->s), n->s.ptr);
	return -1;
}
