/* flag-draft-routes.c - the routes of drafts: listing, opening, editing, approving, rejecting, applying, withdrawing; and what the rules of a set's
 * environment are (see flag-draft.h for what they take and answer).
 *
 * Worker threads. What an act may do is judged by flag-draft.c; each answers with the draft as it is then. */
#include "base/base.h"

#include "base/limits.h"
#include "flag/draft-api.h"
#include "flag/flag-draft.h"

enum { ACT_BODY_MAX = 8192, PAGE_MAX = 100 };

/* --- reading --- */

static int answer_draft(struct flag_room *r, struct http_req *req, int64_t id, struct err *reterr)
{
	struct draft_view q = { .r = r, .arena = ARENA_INIT(WORK_ARENA_MAX), .set = draft_set_of(req), .id = id };
	struct jw         w;
	int               rc = draft_view_read(&q, reterr);

	if (!rc) {
		http_json(req, &w);
		draft_view_write(&w, &q, 0);
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
	struct draft_view q = { .r = ctx, .arena = ARENA_INIT(WORK_ARENA_MAX), .set = draft_set_of(req), .state = state_index(http_query(req, "state")),
							.before = http_query_int(req, "before", 0), .max = (size_t)http_query_int(req, "limit", 20) };
	struct jw         w;
	int               rc = draft_view_read(&q, reterr);

	if (!rc) {
		http_json(req, &w);
		jw_obj(&w);
		jw_key(&w, "drafts");
		jw_arr(&w);
		for (size_t i = 0; i < q.n; i++)
			draft_view_write(&w, &q, i);
		jw_end(&w);
		jw_end(&w);
	}
	arena_fini(&q.arena);
	return rc;
}

/* --- opening and editing --- */

static int post_draft(struct http_req *req, void *ctx, struct err *reterr)
{
	struct flag_room  *r = ctx;
	struct draft_actor who = draft_actor_of(req);
	struct flag_change c;
	struct draft_rules rules;
	struct draft       d;
	int                rc = draft_read_body(r, req, false, &d, &c, reterr);

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
	struct draft_actor who = draft_actor_of(req);
	struct flag_change c;
	struct draft_rules rules;
	struct draft       d;
	int                rc = draft_read_body(r, req, true, &d, &c, reterr);

	d.id = http_param_int(req, "draft");
	if (!rc)
		rc = draft_rules_load(r, http_arena(req), &c, &rules, reterr);
	if (!rc)
		rc = draft_edit(r, &d, &rules, &who, reterr);
	return rc ? rc : answer_draft(r, req, d.id, reterr);
}

/* --- acts --- */

static int act(struct http_req *req, struct flag_room *r, enum draft_verb verb, const char *text_key, bool must, struct err *reterr)
{
	struct draft_actor who = draft_actor_of(req);
	int64_t            version;
	str                text;
	int                rc = draft_read_act(req, verb != DRAFT_WITHDRAW, text_key, must, &version, &text, reterr);

	if (!rc)
		rc = draft_act(r, draft_set_of(req), http_param_int(req, "draft"), version, verb, text, &who, reterr);
	return rc ? rc : answer_draft(r, req, http_param_int(req, "draft"), reterr);
}

static int post_approve(struct http_req *req, void *ctx, struct err *reterr) { return act(req, ctx, DRAFT_APPROVE, "comment", false, reterr); }
static int post_reject(struct http_req *req, void *ctx, struct err *reterr) { return act(req, ctx, DRAFT_REJECT, "reason", true, reterr); }
static int post_withdraw(struct http_req *req, void *ctx, struct err *reterr) { return act(req, ctx, DRAFT_WITHDRAW, "reason", false, reterr); }

static int post_apply(struct http_req *req, void *ctx, struct err *reterr)
{
	struct draft_actor who = draft_actor_of(req);
	int64_t            version;
	str                none;
	int                rc = draft_read_act(req, true, NULL, false, &version, &none, reterr);

	if (!rc)
		rc = draft_apply(ctx, draft_set_of(req), http_param_int(req, "draft"), version, &who, 0, reterr);
	return rc ? rc : answer_draft(ctx, req, http_param_int(req, "draft"), reterr);
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
	int                    rc = flag_present(r, draft_set_of(req), http_arena(req), &s, &environment, &source, reterr);

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

/* --- routes --- */

static const struct http_query_param drafts_query[] = {
	{ .name = "state", .kind = QUERY_WORD, .words = draft_states, .doc = "only drafts in this state" },
	{ .name = "before", .kind = QUERY_INT, .min = 1, .max = INT64_MAX, .doc = "only drafts before this one" },
	{ .name = "limit", .kind = QUERY_INT, .min = 1, .max = PAGE_MAX, .doc = "how many; 20 when not said" },
	{ .name = NULL },
};

#define DRAFT_PROPERTIES "\"base\":{\"type\":\"integer\"},\"title\":{\"type\":\"string\"},\"apply_at\":{\"type\":\"string\",\"format\":\"date-time\"}," CHANGE_PROPERTIES
static const char open_schema[] = "{\"type\":\"object\",\"required\":[\"base\",\"title\"],\"additionalProperties\":false,\"properties\":{" DRAFT_PROPERTIES "}}";
static const char edit_schema[] =
	"{\"type\":\"object\",\"required\":[\"version\",\"base\",\"title\"],\"additionalProperties\":false,\"properties\":{\"version\":{\"type\":\"integer\"}," DRAFT_PROPERTIES "}}";
static const char approve_schema[] =
	"{\"type\":\"object\",\"required\":[\"version\"],\"additionalProperties\":false,\"properties\":{\"version\":{\"type\":\"integer\"},\"comment\":{\"type\":\"string\"}}}";
static const char reject_schema[] =
	"{\"type\":\"object\",\"required\":[\"version\",\"reason\"],\"additionalProperties\":false,\"properties\":{\"version\":{\"type\":\"integer\"},\"reason\":{\"type\":\"string\"}}}";
static const char apply_schema[] = "{\"type\":\"object\",\"required\":[\"version\"],\"additionalProperties\":false,\"properties\":{\"version\":{\"type\":\"integer\"}}}";
static const char withdraw_schema[] = "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"reason\":{\"type\":\"string\"}}}";
static const char draft_schema[] =
	"{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"integer\"},\"set\":{\"type\":\"string\"},\"state\":{\"type\":\"string\"},\"version\":{\"type\":\"integer\"},"
	"\"base\":{\"type\":\"integer\"},\"title\":{\"type\":\"string\"},\"keys\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},\"flags\":{\"type\":\"object\"},"
	"\"conflicts\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}},\"protected\":{\"type\":\"boolean\"},\"approvals_needed\":{\"type\":\"integer\"},"
	"\"approvals\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}},\"approved\":{\"type\":\"boolean\"}}}";
static const char drafts_schema[] = "{\"type\":\"object\",\"properties\":{\"drafts\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}}}}";
static const char protection_schema[] =
	"{\"type\":\"object\",\"properties\":{\"environment\":{\"type\":\"string\"},\"protected\":{\"type\":\"boolean\"},\"rule\":{\"type\":\"object\"}}}";

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
	{ .method = "GET", .path = SET_PATH "/protection", .kind = HTTP_WORKER, .scope = SCOPE_READ, .fn = get_protection,
	  .doc = "What .weir/protection.yaml of the default branch says of the set's environment.", .answer_doc = protection_schema },
};

const struct http_route *flag_draft_routes(size_t *ret_n)
{
	*ret_n = ARRAY_SIZE(routes);
	return routes;
}
