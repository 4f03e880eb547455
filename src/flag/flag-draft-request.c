/* flag-draft-request.c - what requests about drafts hold: whose set, who asks, and the bodies of drafts, acts and changes, read strictly.
 *
 * Worker threads. Texts live as long as the request. A body that is not right is refused with all that is wrong in it, before anything is looked up. */
#include "base/base.h"

#include "base/limits.h"
#include "flag/draft-api.h"

str draft_set_of(struct http_req *req)
{
	char *id = arena_printf(http_arena(req), "%.*s/%.*s", STR_ARG(http_param(req, "project")), STR_ARG(http_param(req, "set")));

	return id ? str_z(id) : STR_NULL;
}

struct draft_actor draft_actor_of(struct http_req *req)
{
	const struct http_identity *who = http_who(req);
	const char                 *name = who->name[0] ? who->name : "anonymous";
	char                       *by = arena_printf(http_arena(req), "token:%s", name);

	return (struct draft_actor){ .name = str_z(name), .by = str_z(by), .address = http_remote(req), .admin = http_may(req, SCOPE_ADMIN) };
}

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

int draft_read_body(struct flag_room *r, struct http_req *req, bool with_version, struct draft *d, struct flag_change *c, struct err *reterr)
{
	static const char *const known[] = { "base", "title", "apply_at", FLAG_CHANGE_KEYS, NULL }, *const edit[] = { "version", "base", "title", "apply_at", FLAG_CHANGE_KEYS, NULL };
	struct doc_node         *body;
	struct doc_check         k;
	int                      rc = http_body_json(req, &body, reterr);

	*d = (struct draft){ .set = draft_set_of(req) };
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

int draft_read_act(struct http_req *req, bool with_version, const char *text_key, bool must, int64_t *ret_version, str *ret_text, struct err *reterr)
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

int draft_read_change(struct http_req *req, const char *const *known, struct flag_change *c, const struct doc_node **ret_body, struct err *reterr)
{
	struct doc_node *body;
	struct doc_check k;
	int              rc = http_body_json(req, &body, reterr);

	*c = (struct flag_change){ .id = draft_set_of(req), .source = FLAG_IN_STORE };
	if (rc)
		return rc;
	doc_check_init(&k, http_arena(req), "body");
	if (doc_is_map(&k, body, "the body", known))
		flag_change_read(&k, body, c);
	*ret_body = body;
	return doc_check_result(&k, reterr);
}
