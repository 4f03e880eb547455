/* pages-flag.c - the pages of flags: sets of a project, a set, a flag, the history. Worker threads.
 *
 * A form that was refused shows its page again, with what was typed and the API's words at the form: nothing that a person wrote is lost. */
#include "base/base.h"
#include "base/limits.h"
#include "web/json-view.h"
#include "web/page-flag.h"

#include <string.h>

const char *flag_href(struct page *p, str key)
{
	const char *s = arena_printf(p->a, "/projects/%.*s/flags/%.*s/flag?key=%s", SET_ARGS(p->req), page_url(p, key));

	return s ? s : "";
}

int flag_typed(struct http_req *r, const char *field, struct doc_node **ret, struct err *reterr)
{
	str text = http_form(r, field);

	*ret = NULL;
	if (!str_trim(text).len)
		return err_set(reterr, WEIR_EINVAL, "%s: it is empty; JSON is expected", field);
	return doc_parse_json(http_arena(r), field, text, ret, reterr);
}

/* A value as text in one line; a text itself without quotes would look like a word. */
static void add_value(struct jw *w, const char *key, const struct doc_node *n)
{
	struct buf b CLEANUP_BUF = BUF_INIT(2 * LIMIT_DOC_BYTES);
	struct jw  one;

	if (!n)
		return;
	jw_init(&one, &b);
	jw_node(&one, n);
	jw_kstr(w, key, buf_str(&b));
}

void flag_page_at(struct page *p, const char *which)
{
	jw_key(&p->w, "at");
	jw_obj(&p->w);
	jw_kbool(&p->w, which, true);
	jw_end(&p->w);
}

/* --- sets of a project --- */

int flag_sets_show(struct http_req *r, struct web *web, const struct refusal *refused, struct err *reterr)
{
	struct page p CLEANUP_PAGE;
	struct doc_node *project, *sets;
	const char  *url;
	int          e;

	page_init(&p, web, r, arena_printf(http_arena(r), "Flags of %.*s", STR_ARG(http_param(r, "project"))), "home");
	url = page_url(&p, http_param(r, "project"));
	if ((e = page_ask(&p, &project, reterr, "/api/v1/projects/%s", url)) || (e = page_ask(&p, &sets, reterr, "/api/v1/flag-sets?project=%s", url)))
		return e;
	page_add(&p, "project", project);
	page_add(&p, "sets", doc_get(sets, "flag_sets"));
	if (refused)
		page_refused(&p, refused->form, refused->why);
	return page_show(&p, "flag-sets", reterr);
}

int page_flag_sets(struct http_req *r, void *web, struct err *reterr) { return flag_sets_show(r, web, NULL, reterr); }

/* --- a set --- */

/* The revision that the page's forms name as seen: the one shown, or that of a form that came back for another reason than a conflict: what its author
 * has not seen he must not overwrite unasked. */
static void add_base(struct page *p, const struct refusal *refused, const struct doc_node *shown)
{
	int64_t base = doc_get_int(shown, "revision", 0);

	jw_kint(&p->w, "base", refused && refused->why->code != WEIR_ECONFLICT ? http_form_int(p->req, "base", base) : base);
}

/* Rollouts that are under way in the set. */
static int add_rolling(struct page *p, struct err *reterr)
{
	struct doc_node       *answer;
	const struct doc_node *all;
	int                    e = page_ask_maybe(p, &answer, reterr, SET_API "/rollouts", SET_ARGS(p->req));

	if (e)
		return e;
	all = doc_get(answer, "rollouts");
	jw_kbool(&p->w, "may_roll", p->may_change && answer);
	jw_key(&p->w, "rolling");
	jw_arr(&p->w);
	for (size_t i = 0; i < doc_len(all); i++)
		if (doc_get_bool(doc_at(all, i), "running", false)) {
			jw_obj(&p->w);
			page_add(p, "rollout", doc_at(all, i));
			jw_end(&p->w);
		}
	jw_end(&p->w);
	return 0;
}

/* Who may change the set at once, who only by a draft: as the rules of its environment say. */
static int add_rights(struct page *p, bool may_change, struct err *reterr)
{
	struct doc_node       *protection;
	const struct doc_node *rule;
	bool                   by_draft;
	int                    e = page_ask_maybe(p, &protection, reterr, SET_API "/protection", SET_ARGS(p->req));

	if (e)
		return e;
	rule = doc_get(protection, "rule");
	by_draft = doc_get_int(rule, "required_approvals", 0) > 0;
	p->may_change = may_change;
	jw_kbool(&p->w, "may_change", may_change);
	jw_kbool(&p->w, "may_save", may_change && !by_draft);
	jw_kbool(&p->w, "may_propose", may_change && protection);
	jw_kbool(&p->w, "may_kill", may_change && (!by_draft || str_eqz(doc_get_str(rule, "kill_switch"), "free")));
	jw_kbool(&p->w, "by_draft", by_draft);
	jw_kbool(&p->w, "has_drafts", protection != NULL);
	return add_rolling(p, reterr);
}

int flag_page_set(struct page *p, struct err *reterr)
{
	struct http_req       *r = p->req;
	struct doc_node       *sets;
	const struct doc_node *all, *set = NULL;
	int                    e = page_ask(p, &sets, reterr, "/api/v1/flag-sets?project=%s", page_url(p, http_param(r, "project")));

	if (e)
		return e;
	all = doc_get(sets, "flag_sets");
	for (size_t i = 0; i < doc_len(all) && !set; i++)
		if (str_eq(doc_get_str(doc_at(all, i), "name"), http_param(r, "set")))
			set = doc_at(all, i);
	if (!set)
		return err_set(reterr, WEIR_ENOENT, "project '%.*s' has no flag set '%.*s'", SET_ARGS(r));
	page_add(p, "set", set);
	jw_key(&p->w, "path");
	jw_fmt(&p->w, "/projects/%.*s/flags/%.*s", SET_ARGS(r));
	jw_kbool(&p->w, "in_store", str_eqz(doc_get_str(set, "source"), "store"));
	return add_rights(p, http_may(r, SCOPE_RELEASE) && str_eqz(doc_get_str(set, "source"), "store"), reterr);
}

/* Where applications find this server: the beginning of the address that the project is cloned from. */
static void add_server(struct page *p, const struct doc_node *project)
{
	str    url = doc_get_str(project, "clone_url");
	size_t n = 0;

	while (n < url.len && !str_has_prefix(str_sub(url, n, url.len), STR("/git/")))
		n++;
	jw_kstr(&p->w, "server", str_sub(url, 0, n));
}

static void add_flags(struct page *p, const struct doc_node *list)
{
	const struct doc_node *all = doc_get(list, "flags");

	jw_key(&p->w, "flags");
	jw_arr(&p->w);
	for (size_t i = 0; i < doc_len(all); i++) {
		const struct doc_node *f = doc_at(all, i), *variants = doc_get(f, "variants");

		jw_obj(&p->w);
		page_add(p, "flag", f);
		jw_kstrz(&p->w, "href", flag_href(p, doc_get_str(f, "key")));
		jw_kbool(&p->w, "is_on", str_eqz(doc_get_str(f, "state"), "on"));
		jw_kbool(&p->w, "is_archived", str_eqz(doc_get_str(f, "state"), "archived"));
		jw_key(&p->w, "variants");
		jw_arr(&p->w);
		for (size_t k = 0; k < doc_len(variants); k++) {
			jw_obj(&p->w);
			jw_kstr(&p->w, "name", doc_at(variants, k)->s);
			jw_kbool(&p->w, "is_default", str_eq(doc_at(variants, k)->s, doc_get_str(f, "default")));
			jw_end(&p->w);
		}
		jw_end(&p->w);
		jw_end(&p->w);
	}
	jw_end(&p->w);
	jw_kbool(&p->w, "flags_any", doc_len(all) > 0);
	page_add(p, "total", doc_get(list, "total"));
}

/* The filter's fields as they stand, and the address of the next page of it. */
static void add_filter(struct page *p, str next)
{
	static const char *const names[] = { "q", "state", "purpose" };
	struct buf link CLEANUP_BUF = BUF_INIT(16 << 10);
	bool       any = false;

	jw_key(&p->w, "filter");
	jw_obj(&p->w);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		str v = http_query(p->req, names[i]);

		if (!v.len)
			continue;
		any = true;
		if (i == 0)
			jw_kstr(&p->w, "q", v);
		else
			jw_kbool(&p->w, arena_printf(p->a, "%s_%.*s", names[i], STR_ARG(v)), true);
		buf_addf(&link, "%s=%s&", names[i], page_url(p, v));
	}
	jw_kbool(&p->w, "any", any);
	jw_end(&p->w);
	if (next.len) {
		jw_key(&p->w, "next");
		jw_fmt(&p->w, "?%.*safter=%s", STR_ARG(buf_str(&link)), page_url(p, next));
	}
}

int flag_set_show(struct http_req *r, struct web *web, const struct refusal *refused, struct err *reterr)
{
	struct page p CLEANUP_PAGE;
	struct doc_node *project, *list;
	str          state = http_query(r, "state"), purpose = http_query(r, "purpose");
	int          e;

	page_init(&p, web, r, arena_printf(http_arena(r), "Flags %.*s/%.*s", SET_ARGS(r)), "home");
	if ((e = flag_page_set(&p, reterr)) || (e = page_ask(&p, &project, reterr, "/api/v1/projects/%.*s", STR_ARG(http_param(r, "project")))) ||
	    (e = page_ask(&p, &list, reterr, SET_API "/flags?q=%s&state=%.*s&purpose=%.*s&after=%s", SET_ARGS(r), page_url(&p, http_query(r, "q")), STR_ARG(state),
	                  STR_ARG(purpose), page_url(&p, http_query(r, "after")))))
		return e;
	flag_page_at(&p, "flags");
	add_server(&p, project);
	add_flags(&p, list);
	add_filter(&p, doc_get_str(list, "next"));
	add_base(&p, refused, list);
	if (refused)
		page_refused(&p, refused->form, refused->why);
	return page_show(&p, "flag-set", reterr);
}

int page_flag_set(struct http_req *r, void *web, struct err *reterr) { return flag_set_show(r, web, NULL, reterr); }

/* --- a flag --- */

static void add_definition(struct page *p, const struct doc_node *definition)
{
	struct buf text CLEANUP_BUF = BUF_INIT(2 * LIMIT_DOC_BYTES);
	bool       all;

	if (!definition)
		return;
	json_view_text(definition, &text);
	jw_kstr(&p->w, "definition_text", buf_str(&text));
	jw_key(&p->w, "lines");
	all = json_view_lines(definition, &p->w);
	jw_kbool(&p->w, "lines_cut", !all);
}

static void add_needs(struct page *p, const char *key, const struct doc_node *needs)
{
	jw_key(&p->w, key);
	jw_arr(&p->w);
	for (size_t i = 0; i < doc_len(needs); i++) {
		jw_obj(&p->w);
		page_add(p, "other", doc_at(needs, i));
		jw_kstrz(&p->w, "href", flag_href(p, doc_get_str(doc_at(needs, i), "flag")));
		jw_end(&p->w);
	}
	jw_end(&p->w);
	jw_kbool(&p->w, arena_printf(p->a, "%s_any", key), doc_len(needs) > 0);
}

/* Revisions of the flag, each with the address of its difference to the one before. */
static void add_history(struct page *p, const struct doc_node *history)
{
	jw_key(&p->w, "history");
	jw_arr(&p->w);
	for (size_t i = 0; i < doc_len(history); i++) {
		jw_obj(&p->w);
		page_add(p, "doing", doc_at(history, i));
		jw_kint(&p->w, "before", doc_get_int(doc_at(history, i), "revision", 1) - 1);
		jw_end(&p->w);
	}
	jw_end(&p->w);
	jw_kbool(&p->w, "history_any", doc_len(history) > 0);
}

static void add_steps(struct page *p, const struct doc_node *steps)
{
	jw_key(&p->w, "steps");
	jw_arr(&p->w);
	for (size_t i = 0; i < doc_len(steps); i++) {
		const struct doc_node *s = doc_at(steps, i);
		int64_t                depth = doc_get_int(s, "depth", 0);

		jw_obj(&p->w);
		jw_kstr(&p->w, "operator", doc_get_str(s, "operator"));
		jw_kstr(&p->w, "evaluator", doc_get_str(s, "evaluator"));
		jw_kint(&p->w, "indent", depth < 8 ? depth : 8);
		jw_kbool(&p->w, "failed_step", doc_get_bool(s, "failed", false));
		add_value(&p->w, "gives", doc_get(s, "value"));
		jw_end(&p->w);
	}
	jw_end(&p->w);
	jw_kbool(&p->w, "steps_any", doc_len(steps) > 0);
}

static void add_explained(struct page *p, const struct doc_node *answer)
{
	if (!answer)
		return;
	jw_key(&p->w, "explained");
	jw_obj(&p->w);
	jw_kstr(&p->w, "reason", doc_get_str(answer, "reason"));
	jw_kint(&p->w, "at_revision", doc_get_int(answer, "revision", 0));
	jw_kstr(&p->w, "variant", doc_get_str(answer, "variant"));
	jw_kstr(&p->w, "error_code", doc_get_str(answer, "errorCode"));
	jw_kstr(&p->w, "details", doc_get_str(answer, "details"));
	add_value(&p->w, "value", doc_get(answer, "value"));
	add_steps(p, doc_get(answer, "steps"));
	jw_kstr(&p->w, "context", http_form(p->req, "context"));
	jw_kstr(&p->w, "at", http_form(p->req, "at"));
	jw_end(&p->w);
}

/* A stale edit: what its author's text would change of what is there now. Nothing where that cannot be told: the refusal says what matters. */
static void add_difference(struct page *p, str key, const struct refusal *refused)
{
	struct buf body  CLEANUP_BUF = BUF_INIT(2 * LIMIT_DOC_BYTES);
	struct doc_node *diff, *typed;
	struct err       none = { 0 };
	struct jw        w;

	if (!refused || strcmp(refused->form, "edit") != 0 || refused->why->code != WEIR_ECONFLICT || flag_typed(p->req, "definition", &typed, &none))
		return;
	jw_init(&w, &body);
	jw_obj(&w);
	jw_key(&w, "flags");
	jw_obj(&w);
	jw_key_n(&w, key);
	jw_node(&w, typed);
	jw_end(&w);
	jw_end(&w);
	if (!page_do(p, "POST", buf_str(&body), &diff, &none, SET_API "/diff", SET_ARGS(p->req)))
		flag_page_diff(p, "difference", diff);
}

/* How often it is asked for, and where the code names it. Nothing for a flag that was removed. */
static int add_use(struct page *p, str key, struct err *reterr)
{
	struct doc_node *usage, *code;
	const char      *url = page_url(p, key);
	struct err       why = { 0 };
	int              e = page_ask_maybe(p, &usage, reterr, SET_API "/usage?key=%s", SET_ARGS(p->req), url);

	if (e || !usage)
		return e;
	page_add(p, "usage", usage);
	page_add(p, "use", doc_at(doc_get(usage, "flags"), 0));
	if (!page_ask(p, &code, &why, SET_API "/references?key=%s", SET_ARGS(p->req), url))
		page_add(p, "places", code);
	else
		jw_kstrz(&p->w, "places_unknown", why.msg);
	return 0;
}

static const char *const as_text[] = { "definition", NULL };

int flag_show(struct http_req *r, struct web *web, str key, const struct refusal *refused, const struct doc_node *explained, struct err *reterr)
{
	struct page p CLEANUP_PAGE;
	struct doc_node *flag;
	int          e;

	page_init(&p, web, r, arena_printf(http_arena(r), "%.*s in %.*s", STR_ARG(key), STR_ARG(http_param(r, "set"))), "home");
	if ((e = flag_page_set(&p, reterr)) || (e = page_ask(&p, &flag, reterr, SET_API "/flag?key=%s", SET_ARGS(r), page_url(&p, key))))
		return e;
	page_add(&p, "flag", page_without(&p, flag, as_text));
	jw_kbool(&p.w, "is_on", str_eqz(doc_get_str(flag, "state"), "on"));
	jw_kbool(&p.w, "is_archived", str_eqz(doc_get_str(flag, "state"), "archived"));
	jw_kbool(&p.w, "shows_edit", /* never without what somebody typed */
	         (refused && (!strcmp(refused->form, "edit") || !strcmp(refused->form, "roll"))) || (p.may_change && doc_get(flag, "definition") && !str_eqz(doc_get_str(flag, "state"), "archived")));
	jw_kstrz(&p.w, "href", flag_href(&p, key));
	add_base(&p, refused, flag);
	add_definition(&p, doc_get(flag, "definition"));
	add_needs(&p, "needs", doc_get(flag, "needs"));
	add_needs(&p, "needed_by", doc_get(flag, "needed_by"));
	add_history(&p, doc_get(flag, "history"));
	add_explained(&p, explained);
	if ((e = add_use(&p, key, reterr)))
		return e;
	add_difference(&p, key, refused);
	if (refused)
		page_refused(&p, refused->form, refused->why);
	return page_show(&p, "flag", reterr);
}

int page_flag(struct http_req *r, void *web, struct err *reterr) { return flag_show(r, web, http_query(r, "key"), NULL, NULL, reterr); }

/* --- differences and history --- */

static void add_change_lines(struct page *p, const char *key, const struct doc_node *lines)
{
	jw_key(&p->w, key);
	jw_arr(&p->w);
	for (size_t i = 0; i < doc_len(lines); i++) {
		const struct doc_node *l = doc_at(lines, i);
		str                    path = doc_get_str(l, "path");

		jw_obj(&p->w);
		jw_kstr(&p->w, "place", path.len ? path : STR("(all of it)"));
		jw_kstr(&p->w, "kind", doc_get_str(l, "kind"));
		add_value(&p->w, "before", doc_get(l, "before"));
		add_value(&p->w, "after", doc_get(l, "after"));
		jw_end(&p->w);
	}
	jw_end(&p->w);
	jw_kbool(&p->w, arena_printf(p->a, "%s_any", key), doc_len(lines) > 0);
}

void flag_page_diff(struct page *p, const char *key, const struct doc_node *diff)
{
	const struct doc_node *flags = doc_get(diff, "flags");

	jw_key(&p->w, key);
	if (!diff) {
		jw_null(&p->w);
		return;
	}
	jw_obj(&p->w);
	jw_kint(&p->w, "from_revision", doc_get_int(diff, "from", 0));
	if (doc_get(diff, "to") && doc_get(diff, "to")->kind == DOC_INT)
		jw_kint(&p->w, "to_revision", doc_get_int(diff, "to", 0));
	jw_key(&p->w, "changed");
	jw_arr(&p->w);
	for (size_t i = 0; i < doc_len(flags); i++) {
		jw_obj(&p->w);
		jw_kstr(&p->w, "flag_key", doc_get_str(doc_at(flags, i), "key"));
		jw_kstr(&p->w, "flag_kind", doc_get_str(doc_at(flags, i), "kind"));
		jw_kstrz(&p->w, "flag_href", flag_href(p, doc_get_str(doc_at(flags, i), "key")));
		add_change_lines(p, "changes", doc_get(doc_at(flags, i), "changes"));
		jw_end(&p->w);
	}
	jw_end(&p->w);
	add_change_lines(p, "evaluators", doc_get(diff, "evaluators"));
	add_change_lines(p, "metadata", doc_get(diff, "metadata"));
	jw_kbool(&p->w, "nothing", !doc_len(flags) && !doc_len(doc_get(diff, "evaluators")) && !doc_len(doc_get(diff, "metadata")));
	jw_end(&p->w);
}

static void add_revisions(struct page *p, const struct doc_node *revisions)
{
	enum { KEYS_SHOWN = 20 };

	jw_key(&p->w, "revisions");
	jw_arr(&p->w);
	for (size_t i = 0; i < doc_len(revisions); i++) {
		const struct doc_node *one = doc_at(revisions, i), *keys = doc_get(one, "keys");

		jw_obj(&p->w);
		page_add(p, "revision", one);
		jw_kint(&p->w, "before", doc_get_int(one, "revision", 1) - 1);
		jw_key(&p->w, "touched");
		jw_arr(&p->w);
		for (size_t k = 0; k < doc_len(keys) && k < KEYS_SHOWN; k++) {
			jw_obj(&p->w);
			jw_kstr(&p->w, "touched_key", doc_at(keys, k)->s);
			jw_kstrz(&p->w, "touched_href", flag_href(p, doc_at(keys, k)->s));
			jw_end(&p->w);
		}
		jw_end(&p->w);
		jw_kbool(&p->w, "touched_more", doc_get_int(one, "flags", 0) > KEYS_SHOWN);
		jw_end(&p->w);
	}
	jw_end(&p->w);
	jw_kbool(&p->w, "revisions_any", doc_len(revisions) > 0);
}

int page_flag_history(struct http_req *r, void *web, struct err *reterr)
{
	enum { SHOWN = 50 };
	struct page p CLEANUP_PAGE;
	struct doc_node       *answer, *diff = NULL;
	const struct doc_node *revisions;
	int64_t                from = http_query_int(r, "from", -1), to = http_query_int(r, "to", -1);
	int                    e;

	page_init(&p, web, r, arena_printf(http_arena(r), "History of %.*s/%.*s", SET_ARGS(r)), "home");
	if ((e = flag_page_set(&p, reterr)) || (e = page_ask(&p, &answer, reterr, SET_API "/revisions?limit=%d&before=%lld", SET_ARGS(r), SHOWN,
	                                                     (long long)http_query_int(r, "before", 0))))
		return e;
	if (from >= 0 && to >= 0)
		e = page_ask(&p, &diff, reterr, SET_API "/diff?from=%lld&to=%lld", SET_ARGS(r), (long long)from, (long long)to);
	if (e)
		return e;
	flag_page_at(&p, "history");
	revisions = doc_get(answer, "revisions");
	add_revisions(&p, revisions);
	flag_page_diff(&p, "diff", diff);
	if (doc_len(revisions) == SHOWN)
		jw_kint(&p.w, "older", doc_get_int(doc_at(revisions, SHOWN - 1), "revision", 0));
	return page_show(&p, "flag-history", reterr);
}
