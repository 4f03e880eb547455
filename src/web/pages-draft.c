/* pages-draft.c - proposed changes of a flag set: their list, and the page of one with what it changes, whom it hits, who approved it, and its forms.
 *
 * Worker threads. Looking at the page of a draft that waits asks for its blast radius, which counts as having looked at it. Buttons stand where the API's answers say
 * that they would work for who looks; the API decides in any case. */
#include "base/base.h"
#include "base/limits.h"
#include "web/json-view.h"
#include "web/page-flag.h"

#include <string.h>

/* --- the list --- */

int page_drafts(struct http_req *r, void *web, struct err *reterr)
{
	enum { SHOWN = 50 };
	struct page p CLEANUP_PAGE;
	struct doc_node       *answer;
	const struct doc_node *drafts;
	str                    state = http_query(r, "state");
	int64_t                before = http_query_int(r, "before", 0);
	int                    e;

	page_init(&p, web, r, arena_printf(http_arena(r), "Drafts of %.*s/%.*s", SET_ARGS(r)), "home");
	if ((e = flag_page_set(&p, reterr)) ||
	    (e = page_ask(&p, &answer, reterr, SET_API "/drafts?limit=%d%s%.*s%s", SET_ARGS(r), SHOWN, state.len ? "&state=" : "", STR_ARG(state),
	                  before ? arena_printf(p.a, "&before=%lld", (long long)before) : "")))
		return e;
	drafts = doc_get(answer, "drafts");
	flag_page_at(&p, "drafts");
	page_add(&p, "drafts", drafts);
	if (state.len)
		jw_kbool(&p.w, arena_printf(p.a, "only_%.*s", STR_ARG(state)), true);
	if (doc_len(drafts) == SHOWN)
		jw_kint(&p.w, "older", doc_get_int(doc_at(drafts, SHOWN - 1), "id", 0));
	return page_show(&p, "drafts", reterr);
}

/* --- one draft --- */

static bool is_me(const struct page *p, str actor)
{
	return str_has_prefix(actor, STR("token:")) && str_eqz(str_sub(actor, 6, actor.len), http_who(p->req)->name);
}

static bool may_review(const struct page *p, const struct doc_node *draft, const struct doc_node *rule)
{
	const struct doc_node *reviewers = doc_get(rule, "reviewers"), *approvals = doc_get(draft, "approvals");
	bool                   listed = !reviewers || reviewers->kind != DOC_SEQ;

	for (size_t i = 0; i < doc_len(reviewers); i++)
		listed |= str_eqz(doc_at(reviewers, i)->s, http_who(p->req)->name);
	for (size_t i = 0; i < doc_len(approvals); i++)
		if (is_me(p, doc_get_str(doc_at(approvals, i), "by")) && !doc_get_bool(doc_at(approvals, i), "void", false))
			return false;
	return listed && !(doc_get_bool(rule, "prevent_self_review", false) && (is_me(p, doc_get_str(draft, "by")) || is_me(p, doc_get_str(draft, "changed_by"))));
}

/* Which buttons there are. */
static void add_may(struct page *p, const struct doc_node *draft, const struct doc_node *protection)
{
	str  state = doc_get_str(draft, "state");
	bool open = str_eqz(state, "open") || str_eqz(state, "scheduled"), release = http_may(p->req, SCOPE_RELEASE);
	bool author = is_me(p, doc_get_str(draft, "by")) || is_me(p, doc_get_str(draft, "changed_by"));

	jw_kbool(&p->w, "waits", open);
	jw_kbool(&p->w, "may_approve", open && release && may_review(p, draft, doc_get(protection, "rule")));
	jw_kbool(&p->w, "may_reject", open && release);
	jw_kbool(&p->w, "may_apply", open && release && doc_get_bool(draft, "approved", false) && !doc_len(doc_get(draft, "conflicts")));
	jw_kbool(&p->w, "may_withdraw", open && release && (author || http_may(p->req, SCOPE_ADMIN)));
	jw_kbool(&p->w, "may_edit", release && (open || str_eqz(state, "failed")));
}

static const char *const change_keys[] = { "flags", "evaluators", "metadata", "environment", NULL };

/* The change as one JSON document, as the form edits it. */
static void add_change_text(struct page *p, const struct doc_node *draft)
{
	struct buf json CLEANUP_BUF = BUF_INIT(4 * LIMIT_DOC_BYTES), text CLEANUP_BUF = BUF_INIT(4 * LIMIT_DOC_BYTES);
	struct doc_node *tree;
	struct jw        w;

	jw_init(&w, &json);
	jw_obj(&w);
	for (size_t i = 0; change_keys[i]; i++)
		if (doc_get(draft, change_keys[i])) {
			jw_key(&w, change_keys[i]);
			jw_node(&w, doc_get(draft, change_keys[i]));
		}
	jw_end(&w);
	if (doc_parse_json(p->a, "change", buf_str(&json), &tree, NULL))
		return; /* its own text: out of memory alone, which the page's end tells */
	json_view_text(tree, &text);
	jw_kstr(&p->w, "change_text", buf_str(&text));
}

static void add_outcome(struct page *p, const char *key, const struct doc_node *o)
{
	struct buf b CLEANUP_BUF = BUF_INIT(2 * LIMIT_DOC_BYTES);
	struct jw w;
	str       variant = doc_get_str(o, "variant");

	if (variant.len) {
		buf_add_str(&b, variant);
	} else {
		buf_addf(&b, "own default (%.*s%s%.*s)", STR_ARG(doc_get_str(o, "reason")), doc_get(o, "errorCode") ? " " : "", STR_ARG(doc_get_str(o, "errorCode")));
	}
	if (variant.len && doc_get(o, "value")) {
		buf_addz(&b, " = ");
		jw_init(&w, &b);
		jw_node(&w, doc_get(o, "value"));
	}
	jw_kstr(&p->w, key, buf_str(&b));
}

static void add_moves(struct page *p, const char *key, const struct doc_node *list)
{
	jw_key(&p->w, key);
	jw_arr(&p->w);
	for (size_t i = 0; i < doc_len(list); i++) {
		const struct doc_node *m = doc_at(list, i);

		jw_obj(&p->w);
		add_outcome(p, "outcome_from", doc_get(m, "from"));
		add_outcome(p, "outcome_to", doc_get(m, "to"));
		jw_kint(&p->w, "how_many", doc_get_int(m, "contexts", 0));
		if (doc_get(m, "context")) {
			struct buf b CLEANUP_BUF = BUF_INIT(2 * LIMIT_DOC_BYTES);
			struct jw w;

			jw_init(&w, &b);
			jw_node(&w, doc_get(m, "context"));
			jw_kstr(&p->w, "context_text", buf_str(&b));
		}
		jw_end(&p->w);
	}
	jw_end(&p->w);
	jw_kbool(&p->w, arena_printf(p->a, "%s_any", key), doc_len(list) > 0);
}

static void add_blast(struct page *p, const struct doc_node *blast)
{
	const struct doc_node *flags = doc_get(blast, "flags");
	int64_t                all = doc_get_int(blast, "contexts", 0);

	if (!blast)
		return;
	jw_key(&p->w, "blast");
	jw_obj(&p->w);
	jw_kint(&p->w, "contexts", all);
	jw_kbool(&p->w, "contexts_any", all > 0);
	jw_kint(&p->w, "samples", doc_get_int(blast, "samples", 0));
	jw_kint(&p->w, "given", doc_get_int(blast, "given", 0));
	page_add(p, "since", doc_get(blast, "since"));
	page_add(p, "flags_left_out", doc_get(blast, "flags_left_out"));
	jw_key(&p->w, "hit");
	jw_arr(&p->w);
	for (size_t i = 0; i < doc_len(flags); i++) {
		const struct doc_node *f = doc_at(flags, i);
		int64_t                flips = doc_get_int(f, "flips", 0);

		jw_obj(&p->w);
		jw_kstr(&p->w, "hit_key", doc_get_str(f, "key"));
		jw_kstrz(&p->w, "hit_href", flag_href(p, doc_get_str(f, "key")));
		jw_kbool(&p->w, "depends", !doc_get_bool(f, "touched", true));
		jw_kint(&p->w, "flips", flips);
		jw_kbool(&p->w, "flips_any", flips > 0);
		jw_key(&p->w, "flips_share");
		jw_fmt(&p->w, "%.3g%%", all ? 100.0 * (double)flips / (double)all : 0);
		add_moves(p, "moves", doc_get(f, "moves"));
		add_moves(p, "examples", doc_get(f, "examples"));
		jw_end(&p->w);
	}
	jw_end(&p->w);
	jw_end(&p->w);
}

/* What the form "edit" names as seen: the draft shown, or what a form named that came back for another reason than a conflict. */
static void add_seen(struct page *p, const struct doc_node *draft, const struct refusal *refused)
{
	int64_t version = doc_get_int(draft, "version", 0), base = doc_get_int(draft, "base", 0);
	bool    keep = refused && !strcmp(refused->form, "edit");

	jw_kint(&p->w, "edit_version", keep && refused->why->code != WEIR_ECONFLICT ? http_form_int(p->req, "version", version) : version);
	jw_kint(&p->w, "edit_base", keep ? http_form_int(p->req, "base", base) : base);
}

struct draft_view {
	int64_t                id;
	const struct refusal  *refused;
	const struct doc_node *blast; /* answer of the form "blast" */
};

static int draft_show(struct http_req *r, struct web *web, const struct draft_view *v, struct err *reterr)
{
	struct page p CLEANUP_PAGE;
	struct doc_node *draft, *diff, *protection, *blast = NULL;
	const char      *against = str_eqz(http_query(r, "against"), "now") ? "now" : "base";
	bool             waits;
	int              e;

	page_init(&p, web, r, arena_printf(http_arena(r), "Draft %lld of %.*s/%.*s", (long long)v->id, SET_ARGS(r)), "home");
	if ((e = flag_page_set(&p, reterr)) || (e = page_ask(&p, &draft, reterr, SET_API "/drafts/%lld", SET_ARGS(r), (long long)v->id)) ||
	    (e = page_ask(&p, &diff, reterr, SET_API "/drafts/%lld/diff?against=%s", SET_ARGS(r), (long long)v->id, against)) ||
	    (e = page_ask_maybe(&p, &protection, reterr, SET_API "/protection", SET_ARGS(r))))
		return e;
	waits = str_eqz(doc_get_str(draft, "state"), "open") || str_eqz(doc_get_str(draft, "state"), "scheduled");
	if (waits && !v->blast && (e = page_ask_maybe(&p, &blast, reterr, SET_API "/drafts/%lld/blast-radius", SET_ARGS(r), (long long)v->id)))
		return e;
	flag_page_at(&p, "drafts");
	page_add(&p, "draft", page_without(&p, draft, change_keys));
	jw_kbool(&p.w, "against_now", !strcmp(against, "now"));
	add_may(&p, draft, protection);
	page_add(&p, "protection", protection);
	flag_page_diff(&p, "diff", diff);
	add_change_text(&p, draft);
	add_blast(&p, v->blast ? v->blast : blast);
	add_seen(&p, draft, v->refused);
	if (v->refused)
		page_refused(&p, v->refused->form, v->refused->why);
	return page_show(&p, "draft", reterr);
}

int page_draft(struct http_req *r, void *web, struct err *reterr)
{
	return draft_show(r, web, &(struct draft_view){ .id = http_param_int(r, "draft") }, reterr);
}

/* --- its forms --- */

static int go_to_draft(struct page *p, struct err *reterr)
{
	const char *where = arena_printf(p->a, "/projects/%.*s/flags/%.*s/drafts/%lld", SET_ARGS(p->req), (long long)http_param_int(p->req, "draft"));

	if (!where)
		return arena_check(p->a, "an address", reterr);
	http_redirect(p->req, 303, where);
	return 0;
}

static int draft_send(struct page *p, const char *method, const char *what, struct buf *body, struct doc_node **ret, struct err *reterr)
{
	int e = buf_check(body, "the draft", reterr);

	return e ? e : page_do(p, method, buf_str(body), ret, reterr, SET_API "/drafts/%lld%s", SET_ARGS(p->req), (long long)http_param_int(p->req, "draft"), what);
}

static void write_text(struct jw *w, struct http_req *r, const char *name)
{
	str text = str_trim(http_form(r, name));

	if (text.len)
		jw_kstr(w, name, text);
}

static int draft_act(struct http_req *r, struct web *web, const char *form, struct err *reterr)
{
	struct page p CLEANUP_PAGE;
	struct buf  body CLEANUP_BUF = BUF_INIT(64 << 10);
	struct doc_node *answer;
	struct err       why = { 0 };
	struct jw        w;

	page_init(&p, web, r, "Draft", "home");
	jw_init(&w, &body);
	jw_obj(&w);
	if (http_form(r, "version").ptr)
		jw_kint(&w, "version", http_form_int(r, "version", 0));
	write_text(&w, r, "comment");
	write_text(&w, r, "reason");
	jw_end(&w);
	if (draft_send(&p, "POST", arena_printf(p.a, "/%s", form), &body, &answer, &why))
		return draft_show(r, web, &(struct draft_view){ .id = http_param_int(r, "draft"), .refused = &(struct refusal){ form, &why } }, reterr);
	return go_to_draft(&p, reterr);
}

int page_draft_approve(struct http_req *r, void *web, struct err *reterr) { return draft_act(r, web, "approve", reterr); }
int page_draft_reject(struct http_req *r, void *web, struct err *reterr) { return draft_act(r, web, "reject", reterr); }
int page_draft_apply(struct http_req *r, void *web, struct err *reterr) { return draft_act(r, web, "apply", reterr); }
int page_draft_withdraw(struct http_req *r, void *web, struct err *reterr) { return draft_act(r, web, "withdraw", reterr); }

/* The typed document's own members become those of the call, on the lines that they were typed on, so that the API's places are the field's. */
static int write_edit(struct page *p, struct buf *body, struct err *reterr)
{
	struct http_req *r = p->req;
	struct doc_node *typed;
	struct doc_check k;
	str              text = http_form(r, "change");
	struct jw        w;
	int              e = flag_typed(r, "change", &typed, reterr);

	if (e)
		return e;
	doc_check_init(&k, p->a, "change");
	if (doc_is_map(&k, typed, "the change", change_keys) && !doc_len(typed))
		doc_error(&k, typed, "it changes nothing: give flags, or evaluators and metadata");
	if ((e = doc_check_result(&k, reterr)))
		return e;
	jw_init(&w, body);
	jw_obj(&w);
	jw_kint(&w, "version", http_form_int(r, "version", 0));
	jw_kint(&w, "base", http_form_int(r, "base", 0));
	write_text(&w, r, "title");
	write_text(&w, r, "apply_at");
	write_text(&w, r, "comment");
	buf_addz(body, ",\n");
	for (size_t i = 0, begun = 0; i < text.len; i++) {
		bool is_begin = !begun && text.ptr[i] == '{';

		begun |= is_begin;
		buf_addc(body, is_begin ? ' ' : text.ptr[i]);
	}
	return 0;
}

int page_draft_edit(struct http_req *r, void *web, struct err *reterr)
{
	struct page p CLEANUP_PAGE;
	struct buf  body CLEANUP_BUF = BUF_INIT(4 * LIMIT_DOC_BYTES);
	struct doc_node *answer;
	struct err       why = { 0 };
	int              e;

	page_init(&p, web, r, "Draft", "home");
	e = write_edit(&p, &body, &why);
	if (!e)
		e = draft_send(&p, "PUT", "", &body, &answer, &why);
	if (!e)
		return go_to_draft(&p, reterr);
	flag_retell(&why, "change");
	return draft_show(r, web, &(struct draft_view){ .id = http_param_int(r, "draft"), .refused = &(struct refusal){ "edit", &why } }, reterr);
}

static int ask_blast(struct page *p, struct doc_node **ret, struct err *reterr)
{
	struct buf body  CLEANUP_BUF = BUF_INIT(2 * LIMIT_DOC_BYTES);
	struct doc_node *typed;
	int              e = flag_typed(p->req, "contexts", &typed, reterr);

	if (e)
		return e;
	buf_addz(&body, "{\"contexts\":\n");
	buf_add_str(&body, http_form(p->req, "contexts"));
	buf_addz(&body, "}");
	return draft_send(p, "POST", "/blast-radius", &body, ret, reterr);
}

int page_draft_blast(struct http_req *r, void *web, struct err *reterr)
{
	struct page p CLEANUP_PAGE;
	struct draft_view v = { .id = http_param_int(r, "draft") };
	struct doc_node  *answer = NULL;
	struct err        why = { 0 };
	struct refusal    refused = { "blast", &why };

	page_init(&p, web, r, "Draft", "home");
	if (ask_blast(&p, &answer, &why)) {
		flag_retell(&why, "contexts");
		v.refused = &refused;
	}
	v.blast = answer;
	return draft_show(r, web, &v, reterr);
}
