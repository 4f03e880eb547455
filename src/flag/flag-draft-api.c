/* flag-draft-api.c - routes of drafts, differences, blast radii and samples (see flag-draft.h for what they take and answer).
 *
 * Worker threads. What is read (a draft with its conflicts) is one snapshot; the rules of the environment are those of the default branch at that moment. */
#include "base/base.h"

#include "base/hash.h"
#include "base/limits.h"
#include "flag/draft.h"
#include "flag/flag-blast.h"
#include "flag/flag-diff.h"
#include "flag/flag-draft.h"

enum { BODY_MAX = LIMIT_DOC_BYTES, ACT_BODY_MAX = 8192, PAGE_MAX = 100, WORK_ARENA_MAX = 1 << 30 };

static str set_id(struct http_req *req)
{
	char *id = arena_printf(http_arena(req), "%.*s/%.*s", STR_ARG(http_param(req, "project")), STR_ARG(http_param(req, "set")));

	return id ? str_z(id) : STR_NULL;
}

static struct draft_actor actor_of(struct http_req *req)
{
	const struct http_identity *who = http_who(req);
	const char                 *name = who->name[0] ? who->name : "anonymous";
	char                       *by = arena_printf(http_arena(req), "token:%s", name);

	return (struct draft_actor){ .name = str_z(name), .by = str_z(by), .address = http_remote(req), .admin = http_may(req, SCOPE_ADMIN) };
}

/* --- a draft, to read --- */

struct view {
	struct flag_room      *r;
	struct arena           arena;
	struct draft          *v;
	size_t                 n;
	struct flag_change    *changes;
	struct draft_conflict **conflicts;
	size_t                *n_conflicts;
	struct draft_rules    *rules;
	str                    set;
	int64_t                id;    /* 0: a list */
	int                    state; /* of a list */
	int64_t                before;
	size_t                 max;
};

static str json_of(struct arena *a, const struct doc_node *n)
{
	struct buf CLEANUP_BUF out = BUF_INIT(2 * LIMIT_DOC_BYTES);
	struct jw              w;

	if (!n || n->kind == DOC_NULL)
		return STR("");
	jw_init(&w, &out);
	jw_node(&w, n);
	return arena_str(a, buf_str(&out));
}

/* What a draft touches, without looking whether it is still right: an old one can be shown although it could not be written any more. */
static int change_of(struct arena *a, const struct draft *d, struct flag_change *c, struct err *reterr)
{
	const struct doc_node *flags, *environment;
	struct doc_node       *body;
	struct flag_text      *texts;
	int                    rc = doc_parse_json(a, "draft", d->body, &body, reterr);

	*c = (struct flag_change){ .id = d->set, .source = FLAG_IN_STORE, .base = d->base };
	if (rc)
		return rc;
	flags = doc_get(body, "flags");
	environment = doc_get(body, "environment");
	texts = ARENA_ARRAY(a, doc_len(flags) + 1, struct flag_text);
	for (size_t i = 0; texts && i < doc_len(flags); i++)
		texts[i] = (struct flag_text){ flags->map.pairs[i].key, json_of(a, flags->map.pairs[i].value) };
	c->texts = texts;
	c->n = texts ? doc_len(flags) : 0;
	c->with_head = doc_get(body, "evaluators");
	c->evaluators = doc_len(doc_get(body, "evaluators")) ? json_of(a, doc_get(body, "evaluators")) : STR("");
	c->metadata = doc_len(doc_get(body, "metadata")) ? json_of(a, doc_get(body, "metadata")) : STR("");
	c->with_segments = doc_get(body, "segments");
	c->segments = doc_len(doc_get(body, "segments")) ? json_of(a, doc_get(body, "segments")) : STR("");
	c->with_environment = environment;
	c->environment = environment ? environment->s : STR("");
	return arena_check(a, "draft", reterr);
}

static bool waits(const struct draft *d) { return d->state == DRAFT_OPEN || d->state == DRAFT_SCHEDULED || d->state == DRAFT_FAILED; }

static int view_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct view      *q = arg;
	struct stored_set s;
	int               rc;

	arena_fini(&q->arena);
	q->n = 1;
	rc = flag_store_find(tx, &q->arena, q->set, &s, reterr);
	if (!rc && !q->id)
		rc = draft_list(tx, &q->arena, q->set, q->state, q->before, q->max, &q->v, &q->n, reterr);
	else if (!rc && (q->v = ARENA_NEW(&q->arena, struct draft)))
		rc = draft_find(tx, &q->arena, q->set, q->id, q->v, reterr);
	q->changes = ARENA_ARRAY(&q->arena, q->n + 1, struct flag_change);
	q->conflicts = ARENA_ARRAY(&q->arena, q->n + 1, struct draft_conflict *);
	q->n_conflicts = ARENA_ARRAY(&q->arena, q->n + 1, size_t);
	q->rules = ARENA_ARRAY(&q->arena, q->n + 1, struct draft_rules);
	for (size_t i = 0; !rc && !(rc = arena_check(&q->arena, "drafts", reterr)) && i < q->n; i++) {
		rc = change_of(&q->arena, &q->v[i], &q->changes[i], reterr);
		if (!rc && waits(&q->v[i]))
			rc = draft_conflicts(tx, &q->arena, &q->v[i], &q->changes[i], &q->conflicts[i], &q->n_conflicts[i], reterr);
	}
	return rc;
}

static int view(struct view *q, struct err *reterr)
{
	int rc = db_read(q->r->cfg.db, view_tx, q, reterr);

	for (size_t i = 0; !rc && i < q->n; i++)
		rc = draft_rules_load(q->r, &q->arena, &q->changes[i], &q->rules[i], reterr);
	return rc;
}

static void write_conflicts(struct jw *w, const struct view *q, size_t at)
{
	jw_key(w, "conflicts");
	jw_arr(w);
	for (size_t i = 0; i < q->n_conflicts[at]; i++) {
		jw_obj(w);
		jw_kstr(w, "what", q->conflicts[at][i].what);
		jw_kint(w, "revision", q->conflicts[at][i].revision);
		jw_end(w);
	}
	jw_end(w);
}

static void write_approvals(struct jw *w, const struct draft *d)
{
	jw_key(w, "approvals");
	jw_arr(w);
	for (size_t i = 0; i < d->n_approvals; i++) {
		jw_obj(w);
		draft_write_approval(w, &d->approvals[i]);
		jw_kbool(w, "void", d->approvals[i].version != d->version);
		jw_end(w);
	}
	jw_end(w);
}

static void write_end(struct jw *w, const struct draft *d)
{
	if (d->cause.len)
		jw_kstr(w, "cause", d->cause);
	if (d->ended_at) {
		jw_kstr(w, "ended_by", d->ended_by);
		jw_ktime(w, "ended_at", d->ended_at);
	}
	if (d->revision)
		jw_kint(w, "revision", d->revision);
	if (d->late_s)
		jw_kint(w, "late_s", d->late_s);
}

/* The body's own keys, as they came. */
static void write_body(struct jw *w, struct arena *a, const struct draft *d)
{
	struct doc_node *n;

	if (doc_parse_json(a, "draft", d->body, &n, NULL))
		return;
	for (size_t i = 0; i < doc_len(n); i++) {
		jw_key_n(w, n->map.pairs[i].key);
		jw_node(w, n->map.pairs[i].value);
	}
}

static void write_draft(struct jw *w, struct view *q, size_t i)
{
	const struct draft *d = &q->v[i];

	jw_obj(w);
	jw_kint(w, "id", d->id);
	jw_kstr(w, "set", d->set);
	jw_kstrz(w, "state", draft_states[d->state]);
	jw_kint(w, "version", d->version);
	jw_kint(w, "base", d->base);
	jw_kstr(w, "title", d->title);
	jw_kstr(w, "comment", d->comment);
	jw_kstr(w, "by", d->by);
	jw_ktime(w, "opened_at", d->opened_at);
	jw_kstr(w, "changed_by", d->changed_by);
	jw_ktime(w, "changed_at", d->changed_at);
	if (d->apply_at)
		jw_ktime(w, "apply_at", d->apply_at);
	jw_key(w, "keys");
	jw_raw(w, d->keys);
	if (q->id)
		write_body(w, &q->arena, d);
	write_conflicts(w, q, i);
	jw_kbool(w, "protected", q->rules[i].rule[0] || q->rules[i].rule[1]);
	jw_kint(w, "approvals_needed", draft_needed(&q->rules[i]));
	write_approvals(w, d);
	jw_kbool(w, "approved", draft_is_approved(d, &q->rules[i]));
	write_end(w, d);
	jw_end(w);
}

static int answer_draft(struct flag_room *r, struct http_req *req, int64_t id, struct err *reterr)
{
	struct view q = { .r = r, .arena = ARENA_INIT(WORK_ARENA_MAX), .set = set_id(req), .id = id };
	struct jw   w;
	int         rc = view(&q, reterr);

	if (!rc) {
		http_json(req, &w);
		write_draft(&w, &q, 0);
	}
	arena_fini(&q.arena);
	return rc;
}

static int get_draft(struct http_req *req, void *ctx, struct err *reterr) { return answer_draft(ctx, req, http_param_int(req, "draft"), reterr); }

static int state_index(str name)
{
	for (int i = 0; name.len && draft_states[i]; i++)
		if (str_eqz(name, draft_states[i]))
			return i;
	return -1;
}

static int get_drafts(struct http_req *req, void *ctx, struct err *reterr)
{
	struct view q = { .r = ctx, .arena = ARENA_INIT(WORK_ARENA_MAX), .set = set_id(req), .state = state_index(http_query(req, "state")),
					  .before = http_query_int(req, "before", 0), .max = (size_t)http_query_int(req, "limit", 20) };
	struct jw   w;
	int         rc = view(&q, reterr);

	if (!rc) {
		http_json(req, &w);
		jw_obj(&w);
		jw_key(&w, "drafts");
		jw_arr(&w);
		for (size_t i = 0; i < q.n; i++)
			write_draft(&w, &q, i);
		jw_end(&w);
		jw_end(&w);
	}
	arena_fini(&q.arena);
	return rc;
}

/* --- opening and editing --- */

static str want_text(struct doc_check *k, const struct doc_node *map, const char *key, bool must, size_t max)
{
	const struct doc_node *n = must ? doc_need(k, map, key) : doc_get(map, key);
	str                    s = n ? doc_want_str(k, n, key) : STR("");

	if (n && s.ptr && (s.len > max || str_contains(s, str_n("", 1)) || (must && !str_trim(s).len)))
		doc_error(k, n, "%s has %s%zu bytes, none of them NUL", key, must ? "1 to " : "at most ", max);
	return s.ptr ? s : STR("");
}

static usec_t want_apply_at(struct doc_check *k, const struct doc_node *n, usec_t now)
{
	str    s = doc_want_str(k, n, "apply_at");
	usec_t t = 0;

	if (s.ptr && !clock_parse_rfc3339(s, &t))
		doc_error(k, n, "apply_at must be a time such as 2027-01-31T09:00:00Z");
	else if (s.ptr && t <= now)
		doc_error(k, n, "apply_at is in the past: leave it out and apply the draft when it is approved");
	return t;
}

/* The part of the body that is the change, and its keys, as they are stored. */
static void keep_body(struct arena *a, const struct doc_node *body, struct draft *d)
{
	static const char *const kept[] = { "flags", "evaluators", "metadata", "segments", "environment" };
	struct buf CLEANUP_BUF   text = BUF_INIT(2 * LIMIT_DOC_BYTES), keys = BUF_INIT(LIMIT_DOC_BYTES);
	struct jw                w, k;

	jw_init(&w, &text);
	jw_obj(&w);
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		if (doc_get(body, kept[i])) {
			jw_key(&w, kept[i]);
			jw_node(&w, doc_get(body, kept[i]));
		}
	jw_end(&w);
	jw_init(&k, &keys);
	jw_arr(&k);
	for (size_t i = 0; i < doc_len(doc_get(body, "flags")); i++)
		jw_str(&k, doc_get(body, "flags")->map.pairs[i].key);
	jw_end(&k);
	d->body = arena_str(a, buf_str(&text));
	d->keys = arena_str(a, buf_str(&keys));
}

/* *ret_c: the change for its rules. with_version: an edit. */
static int read_draft_body(struct flag_room *r, struct http_req *req, bool with_version, struct draft *d, struct flag_change *c, struct err *reterr)
{
	static const char *const known[] = { "base", "title", "apply_at", FLAG_CHANGE_KEYS, NULL }, *const edit[] = { "version", "base", "title", "apply_at", FLAG_CHANGE_KEYS, NULL };
	struct doc_node         *body;
	struct doc_check         k;
	int                      rc = http_body_json(req, &body, reterr);

	*d = (struct draft){ .set = set_id(req) };
	*c = (struct flag_change){ .id = d->set, .source = FLAG_IN_STORE, .comment = STR("") };
	if (rc)
		return rc;
	doc_check_init(&k, http_arena(req), "body");
	if (doc_is_map(&k, body, "the body", with_version ? edit : known)) {
		d->base = c->base = doc_want_int(&k, doc_need(&k, body, "base"), "base", 0, INT64_MAX);
		if (with_version)
			d->version = doc_want_int(&k, doc_need(&k, body, "version"), "version", 1, INT64_MAX);
		d->title = want_text(&k, body, "title", true, LIMIT_FLAG_TITLE_BYTES);
		d->apply_at = want_apply_at(&k, doc_get(body, "apply_at"), clock_wall(r->cfg.clock));
		flag_change_read(&k, body, c);
		d->comment = c->comment.ptr ? c->comment : STR("");
		keep_body(http_arena(req), body, d);
	}
	rc = doc_check_result(&k, reterr);
	return rc ? rc : arena_check(http_arena(req), "draft", reterr);
}

static int post_draft(struct http_req *req, void *ctx, struct err *reterr)
{
	struct flag_room  *r = ctx;
	struct draft_actor who = actor_of(req);
	struct flag_change c;
	struct draft_rules rules;
	struct draft       d;
	int                rc = read_draft_body(r, req, false, &d, &c, reterr);

	if (!rc)
		rc = draft_rules_load(r, http_arena(req), &c, &rules, reterr);
	if (!rc)
		rc = draft_open(r, &d, &rules, &who, reterr);
	http_status(req, 201);
	return rc ? rc : answer_draft(r, req, d.id, reterr);
}

static int put_draft(struct http_req *req, void *ctx, struct err *reterr)
{
	struct flag_room  *r = ctx;
	struct draft_actor who = actor_of(req);
	struct flag_change c;
	struct draft_rules rules;
	struct draft       d;
	int                rc = read_draft_body(r, req, true, &d, &c, reterr);

	d.id = http_param_int(req, "draft");
	if (!rc)
		rc = draft_rules_load(r, http_arena(req), &c, &rules, reterr);
	if (!rc)
		rc = draft_edit(r, &d, &rules, &who, reterr);
	return rc ? rc : answer_draft(r, req, d.id, reterr);
}

/* --- acts --- */

/* The body of an act: version (must it be there?) and one text (which key; must it be there?). */
static int read_act(struct http_req *req, bool with_version, const char *text_key, bool must, int64_t *ret_version, str *ret_text, struct err *reterr)
{
	const char      *known[3] = { NULL };
	size_t           n = 0;
	struct doc_node *body;
	struct doc_check k;
	int              rc = http_body_json(req, &body, reterr);

	*ret_version = 0;
	*ret_text = STR("");
	if (rc)
		return rc;
	if (with_version)
		known[n++] = "version";
	if (text_key)
		known[n++] = text_key;
	doc_check_init(&k, http_arena(req), "body");
	if (doc_is_map(&k, body, "the body", known)) {
		if (with_version)
			*ret_version = doc_want_int(&k, doc_need(&k, body, "version"), "version", 1, INT64_MAX);
		if (text_key)
			*ret_text = want_text(&k, body, text_key, must, LIMIT_FLAG_COMMENT_BYTES);
	}
	return doc_check_result(&k, reterr);
}

static int act(struct http_req *req, struct flag_room *r, enum draft_verb verb, const char *text_key, bool must, struct err *reterr)
{
	struct draft_actor who = actor_of(req);
	int64_t            version;
	str                text;
	int                rc = read_act(req, verb != DRAFT_WITHDRAW, text_key, must, &version, &text, reterr);

	if (!rc)
		rc = draft_act(r, set_id(req), http_param_int(req, "draft"), version, verb, text, &who, reterr);
	return rc ? rc : answer_draft(r, req, http_param_int(req, "draft"), reterr);
}

static int post_approve(struct http_req *req, void *ctx, struct err *reterr) { return act(req, ctx, DRAFT_APPROVE, "comment", false, reterr); }
static int post_reject(struct http_req *req, void *ctx, struct err *reterr) { return act(req, ctx, DRAFT_REJECT, "reason", true, reterr); }
static int post_withdraw(struct http_req *req, void *ctx, struct err *reterr) { return act(req, ctx, DRAFT_WITHDRAW, "reason", false, reterr); }

static int post_apply(struct http_req *req, void *ctx, struct err *reterr)
{
	struct draft_actor who = actor_of(req);
	int64_t            version;
	str                none;
	int                rc = read_act(req, true, NULL, false, &version, &none, reterr);

	if (!rc)
		rc = draft_apply(ctx, set_id(req), http_param_int(req, "draft"), version, &who, 0, reterr);
	return rc ? rc : answer_draft(ctx, req, http_param_int(req, "draft"), reterr);
}

/* --- differences --- */

static void write_lines(struct jw *w, const struct flag_diff *d)
{
	jw_arr(w);
	for (size_t i = 0; i < d->n; i++) {
		jw_obj(w);
		jw_kstr(w, "path", d->lines[i].path);
		jw_kstrz(w, "kind", flag_diff_kind_name(d->lines[i].kind));
		if (d->lines[i].before.ptr) {
			jw_key(w, "before");
			jw_raw(w, d->lines[i].before);
		}
		if (d->lines[i].after.ptr) {
			jw_key(w, "after");
			jw_raw(w, d->lines[i].after);
		}
		jw_end(w);
	}
	jw_end(w);
}

static bool says_archived(const struct doc_node *n) { return doc_get_bool(doc_get(n, "weir"), "archived", false); }

static const char *kind_of(const struct doc_node *before, const struct doc_node *after)
{
	if (!before)
		return "added";
	if (!after)
		return "removed";
	if (says_archived(before) != says_archived(after))
		return says_archived(after) ? "archived" : "unarchived";
	return "changed";
}

static int write_flag_diff(struct jw *w, str key, str before, str after, struct err *reterr)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(WORK_ARENA_MAX);
	struct doc_node           *b = NULL, *n = NULL;
	struct flag_diff           d;
	int                        rc = before.len ? doc_parse_json(&a, "definition", before, &b, reterr) : 0;

	if (!rc && after.len)
		rc = doc_parse_json(&a, "definition", after, &n, reterr);
	if (!rc)
		rc = flag_diff(&a, b, n, &d, reterr);
	if (rc || !d.n)
		return rc;
	jw_obj(w);
	jw_kstr(w, "key", key);
	jw_kstrz(w, "kind", kind_of(b, n));
	jw_key(w, "changes");
	write_lines(w, &d);
	jw_end(w);
	return 0;
}

static int write_part_diff(struct jw *w, const char *what, str before, str after, struct err *reterr)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(WORK_ARENA_MAX);
	struct flag_diff           d;
	int                        rc = flag_diff_texts(&a, before.len ? before : STR("{}"), after.len ? after : STR("{}"), &d, reterr);

	if (rc)
		return rc;
	jw_key(w, what);
	write_lines(w, &d);
	return 0;
}

static int write_head_diff(struct jw *w, const struct flag_set_head *from, const struct flag_set_head *to, struct err *reterr)
{
	int rc = write_part_diff(w, "evaluators", from->evaluators, to->evaluators, reterr);

	if (!rc)
		rc = write_part_diff(w, "metadata", from->metadata, to->metadata, reterr);
	return rc ? rc : write_part_diff(w, "segments", from->segments, to->segments, reterr);
}

/* What the set's flags share after the change. */
static struct flag_set_head head_after(const struct flag_set *before, const struct flag_change *c)
{
	struct flag_set_head head = *flag_set_head(before);

	if (c->with_head) {
		head.evaluators = c->evaluators;
		head.metadata = c->metadata;
	}
	if (c->with_segments)
		head.segments = c->segments;
	head.revision++;
	return head;
}

static void write_diff_head(struct jw *w, str set, int64_t from, int64_t to)
{
	jw_obj(w);
	jw_kstr(w, "set", set);
	jw_kint(w, "from", from);
	jw_key(w, "to");
	if (to < 0)
		jw_null(w);
	else
		jw_int(w, to);
}

/* A change against a set. environment: the set's, STR_NULL: the change says nothing about it. */
static int write_change_diff(struct jw *w, const struct flag_set *from, const struct flag_change *c, str environment, struct err *reterr)
{
	struct flag_set_head after = head_after(from, c);
	int                  rc = 0;

	write_diff_head(w, c->id, flag_set_head(from)->revision, -1);
	jw_key(w, "flags");
	jw_arr(w);
	for (size_t i = 0; !rc && i < c->n; i++) {
		const struct flag *f = flag_set_find(from, c->texts[i].key);

		rc = write_flag_diff(w, c->texts[i].key, f ? f->text : STR(""), c->texts[i].json, reterr);
	}
	jw_end(w);
	if (!rc)
		rc = write_head_diff(w, flag_set_head(from), &after, reterr);
	if (!rc && c->with_environment && !str_eq(environment, c->environment)) {
		jw_key(w, "environment");
		jw_obj(w);
		jw_kstrz(w, "path", "");
		jw_kstrz(w, "kind", "changed");
		jw_kstr(w, "before", environment);
		jw_kstr(w, "after", c->environment);
		jw_end(w);
	}
	jw_end(w);
	return rc;
}

static int get_draft_diff(struct http_req *req, void *ctx, struct err *reterr)
{
	struct flag_room *r = ctx;
	struct view       q = { .r = r, .arena = ARENA_INIT(WORK_ARENA_MAX), .set = set_id(req), .id = http_param_int(req, "draft") };
	struct flag_set  *from = NULL;
	struct jw         w;
	int               rc = view(&q, reterr);

	if (!rc && str_eqz(http_query(req, "against"), "now"))
		rc = flag_present(r, q.set, NULL, &from, NULL, NULL, reterr);
	else if (!rc)
		rc = flag_past(r, q.set, q.v->base, &from, reterr);
	if (!rc) {
		http_json(req, &w);
		rc = write_change_diff(&w, from, q.changes, q.rules->environment, reterr);
	}
	flag_set_unref(from);
	arena_fini(&q.arena);
	return rc;
}

/* A change of a body that is not stored; other keys beside it: NULL-ended `known`. */
static int read_change(struct http_req *req, const char *const *known, struct flag_change *c, const struct doc_node **ret_body, struct err *reterr)
{
	struct doc_node *body;
	struct doc_check k;
	int              rc = http_body_json(req, &body, reterr);

	*c = (struct flag_change){ .id = set_id(req), .source = FLAG_IN_STORE };
	if (rc)
		return rc;
	doc_check_init(&k, http_arena(req), "body");
	if (doc_is_map(&k, body, "the body", known))
		flag_change_read(&k, body, c);
	*ret_body = body;
	return doc_check_result(&k, reterr);
}

static int post_diff(struct http_req *req, void *ctx, struct err *reterr)
{
	static const char *const known[] = { FLAG_CHANGE_KEYS, NULL };
	const struct doc_node   *body;
	struct flag_change       c;
	struct flag_set         *from = NULL;
	str                      environment;
	struct jw                w;
	int                      rc = read_change(req, known, &c, &body, reterr);

	if (!rc)
		rc = flag_present(ctx, c.id, http_arena(req), &from, &environment, NULL, reterr);
	if (!rc) {
		http_json(req, &w);
		rc = write_change_diff(&w, from, &c, environment, reterr);
	}
	flag_set_unref(from);
	return rc;
}

static int by_key(const void *pa, const void *pb) { return str_cmp(*(const str *)pa, *(const str *)pb); }

/* Keys of both sets whose texts differ, in order. */
static size_t differing(struct arena *a, const struct flag_set *from, const struct flag_set *to, str **ret)
{
	str   *v = ARENA_ARRAY(a, flag_set_count(from) + flag_set_count(to) + 1, str);
	size_t n = 0;

	for (const struct flag *f = v ? flag_set_next(from, NULL) : NULL; f; f = flag_set_next(from, f)) {
		const struct flag *other = flag_set_find(to, f->key);

		if (!other || !str_eq(other->text, f->text))
			v[n++] = f->key;
	}
	for (const struct flag *f = v ? flag_set_next(to, NULL) : NULL; f; f = flag_set_next(to, f))
		if (!flag_set_find(from, f->key))
			v[n++] = f->key;
	if (v)
		qsort(v, n, sizeof(*v), by_key);
	*ret = v;
	return n;
}

static int write_sets_diff(struct jw *w, struct arena *a, str id, const struct flag_set *from, const struct flag_set *to, struct err *reterr)
{
	str   *keys;
	size_t n = differing(a, from, to, &keys);
	int    rc = arena_check(a, "differences", reterr);

	write_diff_head(w, id, flag_set_head(from)->revision, flag_set_head(to)->revision);
	jw_key(w, "flags");
	jw_arr(w);
	for (size_t i = 0; !rc && i < n; i++) {
		const struct flag *f = flag_set_find(from, keys[i]), *t = flag_set_find(to, keys[i]);

		rc = write_flag_diff(w, keys[i], f ? f->text : STR(""), t ? t->text : STR(""), reterr);
	}
	jw_end(w);
	if (!rc)
		rc = write_head_diff(w, flag_set_head(from), flag_set_head(to), reterr);
	jw_end(w);
	return rc;
}

static int get_diff(struct http_req *req, void *ctx, struct err *reterr)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(WORK_ARENA_MAX);
	struct flag_set           *from = NULL, *to = NULL;
	int64_t                    last = http_query_int(req, "to", -1);
	struct jw                  w;
	int                        rc = flag_past(ctx, set_id(req), http_query_int(req, "from", 0), &from, reterr);

	if (!rc)
		rc = last < 0 ? flag_present(ctx, set_id(req), NULL, &to, NULL, NULL, reterr) : flag_past(ctx, set_id(req), last, &to, reterr);
	if (!rc) {
		http_json(req, &w);
		rc = write_sets_diff(&w, &a, set_id(req), from, to, reterr);
	}
	flag_set_unref(from);
	flag_set_unref(to);
	return rc;
}

/* --- blast radius --- */

struct blast {
	struct flag_room      *r;
	struct arena           arena;
	const struct doc_node **nodes; /* contexts: samples, then given ones */
	struct logic_value    *values;
	size_t                 n, n_samples;
	usec_t                 since;
	struct flag_set       *before, *after;
	struct flag_blast      found;
};

static int add_context(struct blast *b, const struct doc_node *n, struct err *reterr)
{
	b->nodes[b->n] = n;
	return logic_from_doc(&b->arena, n, &b->values[b->n++], reterr);
}

/* given: a list of maps, or NULL. */
static int gather(struct blast *b, str set, const struct doc_node *given, struct err *reterr)
{
	str *samples;
	int  rc = flag_samples_read(b->r, &b->arena, set, &samples, &b->n_samples, &b->since, reterr);

	b->nodes = ARENA_ARRAY(&b->arena, b->n_samples + doc_len(given) + 1, const struct doc_node *);
	b->values = ARENA_ARRAY(&b->arena, b->n_samples + doc_len(given) + 1, struct logic_value);
	if (!rc)
		rc = arena_check(&b->arena, "contexts", reterr);
	for (size_t i = 0; !rc && i < b->n_samples; i++) {
		struct doc_node *n;

		rc = doc_parse_json(&b->arena, "context", samples[i], &n, reterr);
		if (!rc)
			rc = add_context(b, n, reterr);
	}
	for (size_t i = 0; !rc && i < doc_len(given); i++)
		rc = add_context(b, doc_at(given, i), reterr);
	return rc;
}

/* before: a reference that goes to b. */
static int look(struct blast *b, struct flag_set *before, const struct flag_change *c, struct err *reterr)
{
	struct flag_set_head head = head_after(before, c);
	str                 *touched = ARENA_ARRAY(&b->arena, c->n + 1, str);
	int                  rc;

	b->before = before;
	for (size_t i = 0; touched && i < c->n; i++)
		touched[i] = c->texts[i].key;
	if ((rc = arena_check(&b->arena, "blast radius", reterr)) || (rc = flag_set_build(before, &head, c->texts, c->n, &b->after, reterr)))
		return rc;
	return flag_blast(&b->arena,
					  &(struct flag_blast_question){ .before = b->before, .after = b->after, .touched = c->with_head || c->with_segments ? NULL : touched, .n_touched = c->n,
													 .contexts = b->values, .n_contexts = b->n, .now = clock_wall(b->r->cfg.clock) },
					  &b->found, reterr);
}

static void write_outcome(struct jw *w, const char *key, const struct flag_answer *a)
{
	jw_key(w, key);
	jw_obj(w);
	if (a->variant) {
		jw_kstr(w, "variant", a->variant->name);
		jw_key(w, "value");
		jw_raw(w, a->variant->json);
	}
	jw_kstrz(w, "reason", flag_reason_name(a->reason));
	if (a->error)
		jw_kstrz(w, "errorCode", flag_error_name(a->error));
	jw_end(w);
}

static void write_blast_flag(struct jw *w, const struct blast *b, const struct flag_blast_flag *f)
{
	jw_obj(w);
	jw_kstr(w, "key", f->key);
	jw_kbool(w, "touched", f->touched);
	jw_kint(w, "flips", (int64_t)f->flips);
	jw_key(w, "moves");
	jw_arr(w);
	for (size_t i = 0; i < f->n_moves; i++) {
		jw_obj(w);
		write_outcome(w, "from", &f->moves[i].from);
		write_outcome(w, "to", &f->moves[i].to);
		jw_kint(w, "contexts", (int64_t)f->moves[i].contexts);
		jw_end(w);
	}
	jw_end(w);
	jw_key(w, "examples");
	jw_arr(w);
	for (size_t i = 0; i < f->n_examples; i++) {
		jw_obj(w);
		jw_key(w, "context");
		jw_node(w, b->nodes[f->examples[i].context]);
		write_outcome(w, "from", &f->examples[i].from);
		write_outcome(w, "to", &f->examples[i].to);
		jw_end(w);
	}
	jw_end(w);
	jw_end(w);
}

static void write_blast(struct http_req *req, const struct blast *b)
{
	struct jw w;
	size_t    samples = b->n_samples < b->found.contexts ? b->n_samples : b->found.contexts;

	http_json(req, &w);
	jw_obj(&w);
	jw_kint(&w, "contexts", (int64_t)b->found.contexts);
	jw_kint(&w, "samples", (int64_t)samples);
	jw_kint(&w, "given", (int64_t)(b->found.contexts - samples));
	jw_key(&w, "since");
	jw_time(&w, b->since);
	jw_key(&w, "flags");
	jw_arr(&w);
	for (size_t i = 0; i < b->found.n_flags; i++)
		write_blast_flag(&w, b, &b->found.flags[i]);
	jw_end(&w);
	if (b->found.left_out)
		jw_kint(&w, "flags_left_out", (int64_t)b->found.left_out);
	jw_end(&w);
}

static void blast_fini(struct blast *b)
{
	flag_set_unref(b->after);
	flag_set_unref(b->before);
	arena_fini(&b->arena);
}

static const struct doc_node *want_contexts(struct doc_check *k, const struct doc_node *n)
{
	if (!n || !doc_is_seq(k, n, "contexts"))
		return NULL;
	if (doc_len(n) > LIMIT_FLAG_CONTEXTS) {
		doc_error(k, n, "at most %d contexts", LIMIT_FLAG_CONTEXTS);
		return NULL;
	}
	for (size_t i = 0; i < doc_len(n); i++)
		(void)doc_is_map(k, doc_at(n, i), "a context", NULL);
	return n;
}

static int post_blast(struct http_req *req, void *ctx, struct err *reterr)
{
	static const char *const known[] = { "contexts", FLAG_CHANGE_KEYS, NULL };
	struct blast             b = { .r = ctx, .arena = ARENA_INIT(WORK_ARENA_MAX) };
	const struct doc_node   *body, *given = NULL;
	struct flag_change       c;
	struct flag_set         *before;
	struct doc_check         k;
	int                      rc = read_change(req, known, &c, &body, reterr);

	doc_check_init(&k, http_arena(req), "body");
	if (!rc) {
		given = want_contexts(&k, doc_get(body, "contexts"));
		rc = doc_check_result(&k, reterr);
	}
	if (!rc && !(rc = flag_present(b.r, c.id, NULL, &before, NULL, NULL, reterr))) {
		b.before = before;
		if (!(rc = gather(&b, c.id, given, reterr)))
			rc = look(&b, before, &c, reterr);
	}
	if (!rc)
		write_blast(req, &b);
	blast_fini(&b);
	return rc;
}

struct looked {
	const struct draft *d;
	str                 by;
	int64_t             contexts;
	usec_t              now;
};

static int looked_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct looked *l = arg;

	return draft_note_look(tx, l->d, l->by, l->contexts, l->now, reterr);
}

/* Of a draft that waits against the set as it is, of another against its base. That this actor looked is kept. */
static int draft_blast(struct http_req *req, struct flag_room *r, const struct doc_node *given, struct err *reterr)
{
	struct view      q = { .r = r, .arena = ARENA_INIT(WORK_ARENA_MAX), .set = set_id(req), .id = http_param_int(req, "draft") };
	struct blast     b = { .r = r, .arena = ARENA_INIT(WORK_ARENA_MAX) };
	struct flag_set *before = NULL;
	int              rc = view(&q, reterr);

	if (!rc)
		rc = waits(q.v) ? flag_present(r, q.set, NULL, &before, NULL, NULL, reterr) : flag_past(r, q.set, q.v->base, &before, reterr);
	b.before = before;
	if (!rc)
		rc = gather(&b, q.set, given, reterr);
	if (!rc)
		rc = look(&b, before, q.changes, reterr);
	if (!rc && waits(q.v)) {
		struct looked l = { q.v, actor_of(req).by, (int64_t)b.found.contexts, clock_wall(r->cfg.clock) };

		rc = db_write(r->cfg.db, looked_tx, &l, reterr);
	}
	if (!rc)
		write_blast(req, &b);
	blast_fini(&b);
	arena_fini(&q.arena);
	return rc;
}

static int get_draft_blast(struct http_req *req, void *ctx, struct err *reterr) { return draft_blast(req, ctx, NULL, reterr); }

static int post_draft_blast(struct http_req *req, void *ctx, struct err *reterr)
{
	static const char *const known[] = { "contexts", NULL };
	const struct doc_node   *given = NULL;
	struct doc_node         *body;
	struct doc_check         k;
	int                      rc = http_body_json(req, &body, reterr);

	if (rc)
		return rc;
	doc_check_init(&k, http_arena(req), "body");
	if (doc_is_map(&k, body, "the body", known))
		given = want_contexts(&k, doc_need(&k, body, "contexts"));
	rc = doc_check_result(&k, reterr);
	return rc ? rc : draft_blast(req, ctx, given, reterr);
}

/* --- rules of the environment --- */

static void write_rule(struct jw *w, const struct flag_rule *rule)
{
	jw_key(w, "rule");
	jw_obj(w);
	jw_kint(w, "required_approvals", rule->required_approvals);
	jw_kbool(w, "prevent_self_review", rule->prevent_self_review);
	jw_key(w, "reviewers");
	if (rule->reviewers) {
		jw_arr(w);
		for (size_t i = 0; i < rule->n_reviewers; i++)
			jw_str(w, rule->reviewers[i]);
		jw_end(w);
	} else {
		jw_null(w);
	}
	jw_kstrz(w, "kill_switch", rule->kill_switch_free ? "free" : "protected");
	jw_kbool(w, "require_blast_radius", rule->require_blast_radius);
	jw_end(w);
}

static int get_protection(struct http_req *req, void *ctx, struct err *reterr)
{
	struct flag_room      *r = ctx;
	struct flag_protection p;
	const struct flag_rule *rule;
	struct flag_set       *s;
	enum flag_source       source;
	str                    environment;
	struct jw              w;
	int                    rc = flag_present(r, set_id(req), http_arena(req), &s, &environment, &source, reterr);

	if (rc)
		return rc;
	flag_set_unref(s);
	if ((rc = flag_protection_load(&r->cfg.source, http_arena(req), http_param(req, "project"), &p, reterr)))
		return rc;
	rule = source == FLAG_IN_STORE ? flag_protection_of(&p, environment) : NULL; /* a set of the repository is under git's review */
	http_json(req, &w);
	jw_obj(&w);
	jw_kstr(&w, "environment", environment);
	jw_kbool(&w, "protected", rule);
	if (rule)
		write_rule(&w, rule);
	jw_end(&w);
	return 0;
}

/* --- samples --- */

static int answer_samples(struct flag_room *r, struct http_req *req, struct err *reterr)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(64 << 20);
	struct flag_sampling       how;
	struct jw                  w;
	usec_t                     since;
	size_t                     n;
	str                       *v;
	int                        rc = flag_sampling_get(r, &a, set_id(req), &how, reterr);

	if (!rc)
		rc = flag_samples_read(r, &a, set_id(req), &v, &n, &since, reterr);
	if (rc)
		return rc;
	http_json(req, &w);
	jw_obj(&w);
	jw_kint(&w, "keep", how.keep);
	jw_kint(&w, "days", how.days);
	jw_key(&w, "deny");
	jw_arr(&w);
	for (size_t i = 0; i < how.n_deny; i++)
		jw_str(&w, how.deny[i]);
	jw_end(&w);
	jw_kint(&w, "contexts", (int64_t)n);
	jw_key(&w, "since");
	jw_time(&w, since);
	jw_end(&w);
	return 0;
}

static int get_samples(struct http_req *req, void *ctx, struct err *reterr) { return answer_samples(ctx, req, reterr); }

static void read_deny(struct doc_check *k, const struct doc_node *n, struct flag_sampling *ret)
{
	enum { DENY_MAX = 200, DEFAULT_DAYS = 7 };
	size_t default_n = 0;
	str   *v;

	while (flag_deny_default[default_n])
		default_n++;
	if (n && !doc_is_seq(k, n, "deny"))
		return;
	if (doc_len(n) > DENY_MAX) {
		doc_error(k, n, "deny has at most %d names", DENY_MAX);
		return;
	}
	ret->n_deny = n ? doc_len(n) : default_n;
	v = ARENA_ARRAY(k->arena, ret->n_deny + 1, str);
	for (size_t i = 0; v && i < ret->n_deny; i++)
		v[i] = n ? doc_want_str(k, doc_at(n, i), "a name of an attribute") : str_z(flag_deny_default[i]);
	ret->deny = v;
	if (!v)
		ret->n_deny = 0;
}

static int put_samples(struct http_req *req, void *ctx, struct err *reterr)
{
	static const char *const known[] = { "keep", "days", "deny", NULL };
	struct flag_room        *r = ctx;
	struct flag_sampling     how = { .days = 7 };
	struct flag_set         *s;
	struct doc_node         *body;
	struct doc_check         k;
	int                      rc = http_body_json(req, &body, reterr);

	if (rc)
		return rc;
	doc_check_init(&k, http_arena(req), "body");
	if (doc_is_map(&k, body, "the body", known)) {
		how.keep = doc_want_int(&k, doc_need(&k, body, "keep"), "keep", 0, LIMIT_FLAG_SAMPLES);
		if (doc_get(body, "days"))
			how.days = doc_want_int(&k, doc_get(body, "days"), "days", 1, LIMIT_FLAG_SAMPLE_DAYS);
		read_deny(&k, doc_get(body, "deny"), &how);
	}
	if (!(rc = doc_check_result(&k, reterr)))
		rc = flag_present(r, set_id(req), NULL, &s, NULL, NULL, reterr);
	if (rc)
		return rc;
	flag_set_unref(s);
	rc = flag_sampling_put(r, set_id(req), http_param(req, "project"), &how, actor_of(req).by, reterr);
	return rc ? rc : answer_samples(r, req, reterr);
}

/* --- routes --- */

static const char *const against_words[] = { "base", "now", NULL };
static const struct http_query_param drafts_query[] = {
	{ .name = "state", .kind = QUERY_WORD, .words = draft_states, .doc = "only drafts in this state" },
	{ .name = "before", .kind = QUERY_INT, .min = 1, .max = INT64_MAX, .doc = "only drafts before this one" },
	{ .name = "limit", .kind = QUERY_INT, .min = 1, .max = PAGE_MAX, .doc = "how many; 20 when not said" },
	{ .name = NULL },
};
static const struct http_query_param against_query[] = {
	{ .name = "against", .kind = QUERY_WORD, .words = against_words, .doc = "the draft's base, or the set as it is now; base when not said" },
	{ .name = NULL },
};
static const struct http_query_param diff_query[] = {
	{ .name = "from", .kind = QUERY_INT, .required = true, .min = 0, .max = INT64_MAX, .doc = "a revision; 0 is the empty set" },
	{ .name = "to", .kind = QUERY_INT, .min = 0, .max = INT64_MAX, .doc = "a revision; the newest when not said" },
	{ .name = NULL },
};

#define CHANGE_PROPERTIES                                                                                                             \
	"\"flags\":{\"type\":\"object\"},\"evaluators\":{\"type\":\"object\"},\"metadata\":{\"type\":\"object\"},\"segments\":{\"type\":\"object\"},\"environment\":{\"type\":\"string\"}," \
	"\"comment\":{\"type\":\"string\"}"
#define DRAFT_PROPERTIES "\"base\":{\"type\":\"integer\"},\"title\":{\"type\":\"string\"},\"apply_at\":{\"type\":\"string\",\"format\":\"date-time\"}," CHANGE_PROPERTIES
static const char open_schema[] = "{\"type\":\"object\",\"required\":[\"base\",\"title\"],\"additionalProperties\":false,\"properties\":{" DRAFT_PROPERTIES "}}";
static const char edit_schema[] =
	"{\"type\":\"object\",\"required\":[\"version\",\"base\",\"title\"],\"additionalProperties\":false,\"properties\":{\"version\":{\"type\":\"integer\"}," DRAFT_PROPERTIES "}}";
static const char change_schema[] = "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{" CHANGE_PROPERTIES "}}";
static const char approve_schema[] =
	"{\"type\":\"object\",\"required\":[\"version\"],\"additionalProperties\":false,\"properties\":{\"version\":{\"type\":\"integer\"},\"comment\":{\"type\":\"string\"}}}";
static const char reject_schema[] =
	"{\"type\":\"object\",\"required\":[\"version\",\"reason\"],\"additionalProperties\":false,\"properties\":{\"version\":{\"type\":\"integer\"},\"reason\":{\"type\":\"string\"}}}";
static const char apply_schema[] = "{\"type\":\"object\",\"required\":[\"version\"],\"additionalProperties\":false,\"properties\":{\"version\":{\"type\":\"integer\"}}}";
static const char withdraw_schema[] = "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"reason\":{\"type\":\"string\"}}}";
static const char contexts_schema[] =
	"{\"type\":\"object\",\"required\":[\"contexts\"],\"additionalProperties\":false,\"properties\":{\"contexts\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}}}}";
static const char blast_body_schema[] =
	"{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"contexts\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}}," CHANGE_PROPERTIES "}}";
static const char samples_body_schema[] =
	"{\"type\":\"object\",\"required\":[\"keep\"],\"additionalProperties\":false,\"properties\":{\"keep\":{\"type\":\"integer\"},\"days\":{\"type\":\"integer\"},"
	"\"deny\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}}}}";
static const char draft_schema[] =
	"{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"integer\"},\"set\":{\"type\":\"string\"},\"state\":{\"type\":\"string\"},\"version\":{\"type\":\"integer\"},"
	"\"base\":{\"type\":\"integer\"},\"title\":{\"type\":\"string\"},\"keys\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},\"flags\":{\"type\":\"object\"},"
	"\"conflicts\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}},\"protected\":{\"type\":\"boolean\"},\"approvals_needed\":{\"type\":\"integer\"},"
	"\"approvals\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}},\"approved\":{\"type\":\"boolean\"}}}";
static const char drafts_schema[] = "{\"type\":\"object\",\"properties\":{\"drafts\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}}}}";
static const char diff_schema[] =
	"{\"type\":\"object\",\"properties\":{\"set\":{\"type\":\"string\"},\"from\":{\"type\":\"integer\"},\"to\":{\"type\":[\"integer\",\"null\"]},"
	"\"flags\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}},\"evaluators\":{\"type\":\"array\"},\"metadata\":{\"type\":\"array\"},\"segments\":{\"type\":\"array\"}}}";
static const char blast_schema[] =
	"{\"type\":\"object\",\"properties\":{\"contexts\":{\"type\":\"integer\"},\"samples\":{\"type\":\"integer\"},\"given\":{\"type\":\"integer\"},"
	"\"since\":{\"type\":[\"string\",\"null\"]},\"flags\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}}}}";
static const char protection_schema[] =
	"{\"type\":\"object\",\"properties\":{\"environment\":{\"type\":\"string\"},\"protected\":{\"type\":\"boolean\"},\"rule\":{\"type\":\"object\"}}}";
static const char samples_schema[] =
	"{\"type\":\"object\",\"properties\":{\"keep\":{\"type\":\"integer\"},\"days\":{\"type\":\"integer\"},\"deny\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},"
	"\"contexts\":{\"type\":\"integer\"},\"since\":{\"type\":[\"string\",\"null\"]}}}";

#define SET_PATH "/api/v1/projects/:project/flag-sets/:set"
#define DRAFT_PATH SET_PATH "/drafts/:draft:int"
static const struct http_route routes[] = {
	{ .method = "GET", .path = SET_PATH "/drafts", .kind = HTTP_WORKER, .scope = SCOPE_READ, .fn = get_drafts, .doc = "Proposed changes of a set, newest first.",
	  .answer_doc = drafts_schema, .query = drafts_query },
	{ .method = "POST", .path = SET_PATH "/drafts", .kind = HTTP_WORKER, .scope = SCOPE_RELEASE, .body_max = BODY_MAX, .fn = post_draft,
	  .doc = "Proposes a change; with apply_at it is applied at that time, once nobody's approval is missing.", .body_doc = open_schema, .answer_doc = draft_schema },
	{ .method = "GET", .path = DRAFT_PATH, .kind = HTTP_WORKER, .scope = SCOPE_READ, .fn = get_draft, .doc = "A proposed change.", .answer_doc = draft_schema },
	{ .method = "PUT", .path = DRAFT_PATH, .kind = HTTP_WORKER, .scope = SCOPE_RELEASE, .body_max = BODY_MAX, .fn = put_draft,
	  .doc = "Writes the whole draft anew, upon a base of its own; approvals are void. version is the one that was edited.", .body_doc = edit_schema,
	  .answer_doc = draft_schema },
	{ .method = "POST", .path = DRAFT_PATH "/approve", .kind = HTTP_WORKER, .scope = SCOPE_RELEASE, .body_max = ACT_BODY_MAX, .fn = post_approve,
	  .doc = "Approves this version of the draft, as .weir/protection.yaml of the default branch allows.", .body_doc = approve_schema, .answer_doc = draft_schema },
	{ .method = "POST", .path = DRAFT_PATH "/reject", .kind = HTTP_WORKER, .scope = SCOPE_RELEASE, .body_max = ACT_BODY_MAX, .fn = post_reject,
	  .doc = "Ends the draft with a reason.", .body_doc = reject_schema, .answer_doc = draft_schema },
	{ .method = "POST", .path = DRAFT_PATH "/apply", .kind = HTTP_WORKER, .scope = SCOPE_RELEASE, .body_max = ACT_BODY_MAX, .fn = post_apply,
	  .doc = "Applies the draft now; refused while approvals are missing or a flag changed since its base.", .body_doc = apply_schema, .answer_doc = draft_schema },
	{ .method = "POST", .path = DRAFT_PATH "/withdraw", .kind = HTTP_WORKER, .scope = SCOPE_RELEASE, .body_max = ACT_BODY_MAX, .fn = post_withdraw,
	  .doc = "Ends the draft; its authors and administrators may.", .body_doc = withdraw_schema, .answer_doc = draft_schema },
	{ .method = "GET", .path = DRAFT_PATH "/diff", .kind = HTTP_WORKER, .scope = SCOPE_READ, .fn = get_draft_diff,
	  .doc = "What the draft changes, path by path.", .answer_doc = diff_schema, .query = against_query },
	{ .method = "GET", .path = DRAFT_PATH "/blast-radius", .kind = HTTP_WORKER, .scope = SCOPE_READ, .fn = get_draft_blast,
	  .doc = "Which of the sampled contexts would get something else. That the caller looked counts for an approval.", .answer_doc = blast_schema },
	{ .method = "POST", .path = DRAFT_PATH "/blast-radius", .kind = HTTP_WORKER, .scope = SCOPE_READ, .body_max = BODY_MAX, .fn = post_draft_blast,
	  .doc = "The same with contexts of the caller's own beside the samples.", .body_doc = contexts_schema, .answer_doc = blast_schema },
	{ .method = "POST", .path = SET_PATH "/blast-radius", .kind = HTTP_WORKER, .scope = SCOPE_READ, .body_max = BODY_MAX, .fn = post_blast,
	  .doc = "Whom a change would hit that is not proposed yet.", .body_doc = blast_body_schema, .answer_doc = blast_schema },
	{ .method = "POST", .path = SET_PATH "/diff", .kind = HTTP_WORKER, .scope = SCOPE_READ, .body_max = BODY_MAX, .fn = post_diff,
	  .doc = "What a change would change, path by path.", .body_doc = change_schema, .answer_doc = diff_schema },
	{ .method = "GET", .path = SET_PATH "/diff", .kind = HTTP_WORKER, .scope = SCOPE_READ, .fn = get_diff, .doc = "What differs between two revisions, path by path.",
	  .answer_doc = diff_schema, .query = diff_query },
	{ .method = "GET", .path = SET_PATH "/protection", .kind = HTTP_WORKER, .scope = SCOPE_READ, .fn = get_protection,
	  .doc = "What .weir/protection.yaml of the default branch says of the set's environment.", .answer_doc = protection_schema },
	{ .method = "GET", .path = SET_PATH "/samples", .kind = HTTP_WORKER, .scope = SCOPE_READ, .fn = get_samples, .doc = "How many contexts are kept of the set, and how.",
	  .answer_doc = samples_schema },
	{ .method = "PUT", .path = SET_PATH "/samples", .kind = HTTP_WORKER, .scope = SCOPE_RELEASE, .body_max = 64 << 10, .fn = put_samples,
	  .doc = "Keeps contexts of evaluations, or ends that (keep 0); those kept before are dropped at once.", .body_doc = samples_body_schema, .answer_doc = samples_schema },
};

const struct http_route *flag_draft_routes(size_t *ret_n)
{
	*ret_n = ARRAY_SIZE(routes);
	return routes;
}
