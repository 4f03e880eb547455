/* waivers.c - reading waivers and matching findings against them (see waivers.h).
 *
 * Guarantees: every key is obeyed or refused; an entry with a problem waives nothing. Pure: no clock, no files. Any thread. */
#include "base/base.h"
#include "gate/waivers.h"
#include "base/limits.h"

static bool is_rule_name(str s)
{
	if (!s.len || s.len > LIMIT_NAME_BYTES)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!((s.ptr[i] >= 'a' && s.ptr[i] <= 'z') || (s.ptr[i] >= '0' && s.ptr[i] <= '9') || s.ptr[i] == '-'))
			return false;
	return true;
}

static bool is_fingerprint(str s)
{
	if (s.len != 32)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!((s.ptr[i] >= '0' && s.ptr[i] <= '9') || (s.ptr[i] >= 'a' && s.ptr[i] <= 'f')))
			return false;
	return true;
}

/* A pattern of wildcards alone would waive a rule everywhere and for ever new secrets. */
static bool names_something(str pattern)
{
	for (size_t i = 0; i < pattern.len; i++)
		if (!strchr("*?/.", pattern.ptr[i]))
			return true;
	return false;
}

static bool parse_day(str s, usec_t *ret_end)
{
	char   text[32];
	usec_t start;
	char   back[CLOCK_RFC3339_SIZE];

	if (s.len != 10 || s.ptr[4] != '-' || s.ptr[7] != '-')
		return false;
	snprintf(text, sizeof text, "%.*sT00:00:00Z", STR_ARG(s));
	if (!clock_parse_rfc3339(str_z(text), &start) || strncmp(clock_rfc3339(start, back), text, 10))
		return false;
	*ret_end = start + 24 * 3600 * USEC_PER_SEC;
	return true;
}

static str text_of(struct doc_check *c, const struct doc_node *entry, const char *key, bool must)
{
	const struct doc_node *n = must ? doc_need(c, entry, key) : doc_get(entry, key);
	str                    s = n ? str_trim(doc_want_str(c, n, key)) : STR_NULL;

	if (n && n->kind == DOC_STR && !s.len)
		doc_error(c, n, "%s is empty", key);
	return s;
}

static void read_where(struct doc_check *c, const struct doc_node *entry, struct waiver *w)
{
	w->path = text_of(c, entry, "path", false);
	w->fingerprint = text_of(c, entry, "fingerprint", false);
	if (w->path.len && !names_something(w->path))
		doc_error(c, doc_get(entry, "path"), "path '%.*s' matches everything: name a file or a folder", STR_ARG(w->path));
	if (w->fingerprint.len && !is_fingerprint(w->fingerprint))
		doc_error(c, doc_get(entry, "fingerprint"), "a fingerprint is 32 hex digits, as the finding shows it");
	if (!doc_get(entry, "path") && !doc_get(entry, "fingerprint"))
		doc_error(c, entry, "a waiver needs 'path' or 'fingerprint': what does it accept?");
}

static void read_entry(struct doc_check *c, const struct doc_node *entry, struct waiver *w)
{
	static const char *const known[] = { "rule", "path", "fingerprint", "owner", "reason", "expires", NULL };
	size_t                   before = c->n_diags + c->n_dropped;

	w->line = entry->line;
	w->col = entry->col;
	if (!doc_is_map(c, entry, "a waiver", known))
		return;
	w->rule = text_of(c, entry, "rule", true);
	if (w->rule.len && !is_rule_name(w->rule))
		doc_error(c, doc_get(entry, "rule"), "'%.*s' is no name of a rule (small letters, digits and '-')", STR_ARG(w->rule));
	read_where(c, entry, w);
	w->owner = text_of(c, entry, "owner", true);
	w->reason = text_of(c, entry, "reason", true);
	w->expires = text_of(c, entry, "expires", true);
	if (w->expires.len && !parse_day(w->expires, &w->until))
		doc_error(c, doc_get(entry, "expires"), "expires must be a day such as 2027-01-31, not '%.*s'", STR_ARG(w->expires));
	w->complete = c->n_diags + c->n_dropped == before;
}

int waivers_read(struct arena *a, str text, struct waivers *ret, struct doc_check *check, struct err *reterr)
{
	static const char *const known[] = { "waivers", NULL };
	struct doc_node         *root;
	const struct doc_node   *list;
	struct waivers           out = { 0 };
	int                      rc = doc_parse_yaml(a, WAIVERS_PATH, text, &root, reterr);

	if (rc)
		return rc;
	*ret = out;
	if (!doc_is_map(check, root, "the file", known))
		return 0;
	list = doc_need(check, root, "waivers");
	if (!list || list->kind == DOC_NULL || !doc_is_seq(check, list, "waivers"))
		return 0;
	if (list->seq.n > LIMIT_WAIVERS)
		return err_set(reterr, WEIR_ELIMIT, "%s:%u:%u: %zu waivers, more than the limit of %d", WAIVERS_PATH, list->line, list->col,
		               list->seq.n, LIMIT_WAIVERS);
	out.v = ARENA_ARRAY(a, list->seq.n + 1, struct waiver);
	for (size_t i = 0; out.v && i < list->seq.n; i++)
		read_entry(check, list->seq.items[i], &out.v[out.n++]);
	rc = arena_check(a, "waivers", reterr);
	if (!rc)
		*ret = out;
	return rc;
}

/* Where the pattern goes on when what follows a run of wildcards did not match: one byte (or folder) further. */
struct retry {
	size_t p, s; /* p SIZE_MAX: none */
	bool   folders;
};

static bool retry_at(struct retry *r, str path, char stop)
{
	if (r->p == SIZE_MAX || r->s >= path.len || (stop && path.ptr[r->s] == stop))
		return false;
	if (r->folders)
		while (r->s < path.len && path.ptr[r->s] != '/')
			r->s++;
	return r->s++ < path.len;
}

/* Goes back to the last '*' and the last '**' only, so the time is at most the product of the lengths. */
bool waiver_path_matches(str pattern, str path)
{
	struct retry star = { .p = SIZE_MAX }, stars = { .p = SIZE_MAX };
	size_t       p = 0, s = 0;

	while (s < path.len || p < pattern.len) {
		char c = p < pattern.len ? pattern.ptr[p] : '\0';

		if (c == '*' && p + 1 < pattern.len && pattern.ptr[p + 1] == '*') {
			bool folders = p + 2 < pattern.len && pattern.ptr[p + 2] == '/' && (s == 0 || path.ptr[s - 1] == '/');

			p += folders ? 3 : 2; /* no folder at all is fine, too */
			stars = (struct retry){ .p = p, .s = s, .folders = folders };
			star.p = SIZE_MAX;
		} else if (c == '*') {
			star = (struct retry){ .p = ++p, .s = s };
		} else if (s < path.len && p < pattern.len && (c == path.ptr[s] || (c == '?' && path.ptr[s] != '/'))) {
			p++;
			s++;
		} else if (retry_at(&star, path, '/')) {
			p = star.p;
			s = star.s;
		} else if (retry_at(&stars, path, '\0')) {
			p = stars.p;
			s = stars.s;
			star.p = SIZE_MAX;
		} else {
			return false;
		}
	}
	return true;
}

struct waiver *waiver_of(const struct waivers *w, const struct finding *f, usec_t now)
{
	for (size_t i = 0; i < w->n; i++) {
		struct waiver *x = &w->v[i];

		if (x->complete && now < x->until && str_eq(x->rule, f->rule) && (!x->path.len || waiver_path_matches(x->path, f->path)) &&
		    (!x->fingerprint.len || str_eq(x->fingerprint, f->fingerprint)))
			return x;
	}
	return NULL;
}
