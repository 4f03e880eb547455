/* pages-life.c - the later life of flags: which of them may go and where the code names them, and rollouts of a change by steps with their evidence. Worker threads. */
#include "base/base.h"
#include "base/limits.h"
#include "web/page-flag.h"

/* --- stale flags --- */

static void add_stale(struct page *p, const struct doc_node *flags)
{
	jw_key(&p->w, "stale_flags");
	jw_arr(&p->w);
	for (size_t i = 0; i < doc_len(flags); i++) {
		jw_obj(&p->w);
		page_add(p, "flag", doc_at(flags, i));
		jw_kstrz(&p->w, "href", flag_href(p, doc_get_str(doc_at(flags, i), "key")));
		jw_kbool(&p->w, "more_references", doc_get_int(doc_at(flags, i), "n_references", 0) > (int64_t)doc_len(doc_get(doc_at(flags, i), "references")));
		jw_end(&p->w);
	}
	jw_end(&p->w);
	jw_kbool(&p->w, "stale_any", doc_len(flags) > 0);
}

int page_flag_stale(struct http_req *r, void *web, struct err *reterr)
{
	enum { SHOWN = 200 };
	static const char *const list[] = { "flags", NULL };
	struct page p CLEANUP_PAGE;
	struct doc_node       *answer;
	const struct doc_node *flags;
	str                    after = http_query(r, "after");
	int                    e;

	page_init(&p, web, r, arena_printf(http_arena(r), "Stale flags of %.*s/%.*s", SET_ARGS(r)), "home");
	if ((e = flag_page_set(&p, reterr)) || (e = page_ask(&p, &answer, reterr, SET_API "/stale?limit=%d%s%s", SET_ARGS(r), SHOWN, after.len ? "&after=" : "",
	                                                     page_url(&p, after))))
		return e;
	flags = doc_get(answer, "flags");
	flag_page_at(&p, "stale");
	page_add(&p, "report", page_without(&p, answer, list));
	add_stale(&p, flags);
	if (doc_get_bool(answer, "more", false) && doc_len(flags))
		jw_kstrz(&p.w, "next", page_url(&p, doc_get_str(doc_at(flags, doc_len(flags) - 1), "key")));
	return page_show(&p, "flag-stale", reterr);
}

/* --- rollouts --- */

int page_rollouts(struct http_req *r, void *web, struct err *reterr)
{
	struct page p CLEANUP_PAGE;
	struct doc_node *answer;
	int              e;

	page_init(&p, web, r, arena_printf(http_arena(r), "Rollouts of %.*s/%.*s", SET_ARGS(r)), "home");
	if ((e = flag_page_set(&p, reterr)) || (e = page_ask(&p, &answer, reterr, SET_API "/rollouts", SET_ARGS(r))))
		return e;
	flag_page_at(&p, "rollouts");
	page_add(&p, "rollouts", doc_get(answer, "rollouts"));
	return page_show(&p, "flag-rollouts", reterr);
}

static int rollout_show(struct http_req *r, struct web *web, const struct refusal *refused, struct err *reterr)
{
	struct page p CLEANUP_PAGE;
	struct doc_node *rollout;
	str              project, set;
	bool             running;
	int              e;

	page_init(&p, web, r, "Rollout of a flag", "home");
	if ((e = page_ask(&p, &rollout, reterr, "/api/v1/flag-rollouts/%.*s", STR_ARG(http_param(r, "rollout")))))
		return e;
	if (!str_cut(doc_get_str(rollout, "set"), '/', &project, &set))
		return err_set(reterr, WEIR_EINTERNAL, "a rollout of no flag set");
	running = doc_get_bool(rollout, "running", false);
	page_add(&p, "rollout", rollout);
	jw_kstr(&p.w, "project", project);
	jw_kstr(&p.w, "set_name", set);
	jw_key(&p.w, "flag_href");
	jw_fmt(&p.w, "/projects/%.*s/flags/%.*s/flag?key=%s", STR_ARG(project), STR_ARG(set), page_url(&p, doc_get_str(rollout, "flag")));
	jw_kbool(&p.w, "may_pause", running && !doc_get_bool(rollout, "paused", false));
	jw_kbool(&p.w, "may_resume", running && (doc_get_bool(rollout, "paused", false) || doc_get_bool(rollout, "held", false)));
	if (refused)
		page_refused(&p, refused->form, refused->why);
	return page_show(&p, "flag-rollout", reterr);
}

int page_rollout(struct http_req *r, void *web, struct err *reterr) { return rollout_show(r, web, NULL, reterr); }

int page_rollout_order(struct http_req *r, void *web, struct err *reterr)
{
	struct page p CLEANUP_PAGE;
	struct buf  body CLEANUP_BUF = BUF_INIT(4096);
	struct doc_node *answer;
	struct err       why = { 0 };
	const char      *where;
	struct jw        w;

	page_init(&p, web, r, "Rollout of a flag", "home");
	jw_init(&w, &body);
	jw_obj(&w);
	jw_kstr(&w, "order", http_form(r, "order"));
	jw_end(&w);
	if (page_do(&p, "POST", buf_str(&body), &answer, &why, "/api/v1/flag-rollouts/%.*s/orders", STR_ARG(http_param(r, "rollout"))))
		return rollout_show(r, web, &(struct refusal){ "order", &why }, reterr);
	where = arena_printf(p.a, "/flag-rollouts/%.*s", STR_ARG(http_param(r, "rollout")));
	if (!where)
		return arena_check(p.a, "an address", reterr);
	http_redirect(r, 303, where);
	return 0;
}
