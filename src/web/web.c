/* web.c - the room's life, its routes, its assets, and the pages that net itself must answer (see web.h). */
#include "base/base.h"
#include "base/embed.h"
#include "base/limits.h"
#include "base/map.h"
#include "web/page.h"

extern const struct embed_file web_files[];
extern const size_t            web_files_n;

static int templates_parse(struct web *w, struct err *reterr)
{
	for (size_t i = 0; i < web_files_n; i++) {
		str              name = str_z(web_files[i].name);
		struct mustache *t;
		int              r;

		if (!str_has_prefix(name, STR("templates/")))
			continue;
		name = str_sub(name, 10, name.len - 10 - strlen(".mustache"));
		r = mustache_parse(&w->arena, web_files[i].name, web_files[i].data, &t, reterr);
		if (r)
			return r;
		if (!map_put(w->templates, name, t, NULL))
			return err_set(reterr, WEIR_ENOMEM, "no memory for templates");
	}
	return 0;
}

int web_open(const struct web_ops *ops, struct web **ret, struct err *reterr)
{
	struct web *w = calloc(1, sizeof(*w));
	int         r;

	if (w)
		w->templates = calloc(1, sizeof(*w->templates));
	if (!w || !w->templates) {
		free(w);
		return err_set(reterr, WEIR_ENOMEM, "no memory for the pages");
	}
	w->ops = *ops;
	arena_init(&w->arena, 16 << 20);
	map_init(w->templates);
	r = templates_parse(w, reterr);
	if (r) {
		web_close(w);
		return r;
	}
	*ret = w;
	return 0;
}

struct web *web_close(struct web *w)
{
	if (!w)
		return NULL;
	map_fini(w->templates);
	free(w->templates);
	arena_fini(&w->arena);
	free(w);
	return NULL;
}

/* --- assets --- */

static const char *type_of(str name)
{
	static const char *const types[][2] = {
		{ ".css", "text/css; charset=utf-8" },     { ".js", "text/javascript; charset=utf-8" }, { ".svg", "image/svg+xml" },
		{ ".txt", "text/plain; charset=utf-8" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (str_has_suffix(name, str_z(types[i][0])))
			return types[i][1];
	return "application/octet-stream";
}

int page_asset(struct http_req *r, void *web UNUSED, struct err *reterr)
{
	str name = http_param(r, "rest");

	for (size_t i = 0; i < web_files_n; i++) {
		str have = str_z(web_files[i].name);

		if (str_has_prefix(have, STR("assets/")) && str_eq(str_sub(have, 7, have.len), name))
			return http_static(r, type_of(name), web_files[i].data, false);
	}
	return err_set(reterr, WEIR_ENOENT, "there is no asset '%.*s'", STR_ARG(name));
}

/* --- pages of net --- */

/* Errors inside an error page leave the plain text: there is nothing better to say. */
static void net_error_page(void *ctx, struct http_req *r, int status, const char *code, str message)
{
	struct page p CLEANUP_PAGE;
	struct err  e;

	page_init(&p, ctx, r, status == 404 ? "Not here" : "That did not work", "none");
	jw_kint(&p.w, "status", status);
	jw_kstrz(&p.w, "code", code);
	jw_kstr(&p.w, "message", message);
	if (page_show(&p, "error", &e)) {
		buf_clear(http_out(r));
		http_type(r, "text/plain; charset=utf-8");
		buf_add_str(http_out(r), message);
	}
}

static void net_login_page(void *ctx, struct http_req *r, str message, str next)
{
	struct page p CLEANUP_PAGE;
	struct err  e;

	page_init(&p, ctx, r, "Log in", "none");
	jw_kstr(&p.w, "message", message);
	jw_kstr(&p.w, "next", next);
	if (page_show(&p, "login", &e))
		buf_addz(http_out(r), "the page cannot be shown");
}

struct http_pages web_pages(struct web *w) { return (struct http_pages){ net_error_page, net_login_page, w }; }

static const struct http_query_param run_query[] = { { .name = "job", .doc = "the job whose log is shown" }, { 0 } };
static const struct http_query_param activity_query[] = {
	{ .name = "before", .kind = QUERY_INT, .max = INT64_MAX, .doc = "older than this position" },
	{ .name = "project", .doc = "of this project only" },
	{ 0 },
};
static const struct http_query_param rollback_form[] = {
	{ .name = "environment", .required = true, .doc = "of the service" },
	{ .name = "service", .doc = "the one that is taken back" },
	{ 0 },
};
/* --- forms of the flags' pages --- */

static const char *const on_off[] = { "on", "off", "archived", "kept", NULL };
static const char *const any_on_off[] = { "", "on", "off", "archived", NULL };
static const char *const any_purpose[] = { "", "release", "experiment", "operational", "permission", NULL };
static const char *const backs[] = { "list", "flag", NULL };
#define FORM_KEY     { .name = "key", .required = true, .doc = "the flag's key" }
#define FORM_BASE    { .name = "base", .kind = QUERY_INT, .required = true, .min = 0, .max = INT64_MAX, .doc = "the revision that the author saw" }
#define FORM_COMMENT { .name = "comment", .doc = "why" }

#define SET_PAGE   "/projects/:project/flags/:set"
#define DRAFT_PAGE SET_PAGE "/drafts/:draft:int"

static const struct http_query_param set_make_form[] = { { .name = "name", .required = true, .doc = "of the set" }, { .name = "environment" }, { 0 } };
static const struct http_query_param set_query[] = {
	{ .name = "q", .doc = "a part of the key or owner" },
	{ .name = "state", .kind = QUERY_WORD, .words = any_on_off },
	{ .name = "purpose", .kind = QUERY_WORD, .words = any_purpose },
	{ .name = "after", .doc = "keys behind this one" },
	{ 0 },
};
static const struct http_query_param flag_query[] = { FORM_KEY, { 0 } };
static const struct http_query_param history_query[] = {
	{ .name = "before", .kind = QUERY_INT, .max = INT64_MAX, .doc = "older than this revision" },
	{ .name = "from", .kind = QUERY_INT, .max = INT64_MAX, .doc = "a revision to compare" },
	{ .name = "to", .kind = QUERY_INT, .max = INT64_MAX, .doc = "with this one" },
	{ 0 },
};
static const struct http_query_param put_form[] = { FORM_KEY, FORM_BASE, FORM_COMMENT, { .name = "definition", .required = true, .doc = "the flag as JSON" }, { 0 } };
static const struct http_query_param switch_form[] = {
	FORM_KEY, FORM_BASE, FORM_COMMENT,
	{ .name = "state", .kind = QUERY_WORD, .words = on_off, .required = true, .doc = "on, off, archived, or kept: archived no more" },
	{ .name = "back", .kind = QUERY_WORD, .words = backs, .required = true, .doc = "the page to go to" },
	{ 0 },
};
static const struct http_query_param remove_form[] = { FORM_KEY, FORM_BASE, FORM_COMMENT, { 0 } };
static const struct http_query_param import_form[] = { FORM_BASE, FORM_COMMENT, { .name = "document", .required = true, .doc = "a flagd document" }, { 0 } };
static const struct http_query_param explain_form[] = {
	FORM_KEY, { .name = "context", .required = true, .doc = "as JSON" }, { .name = "at", .doc = "a time; else now" }, { 0 }
};
#define FORM_VERSION { .name = "version", .kind = QUERY_INT, .required = true, .min = 0, .max = INT64_MAX, .doc = "of the draft that was seen" }
static const char *const any_draft_state[] = { "", "open", "scheduled", "applied", "rejected", "withdrawn", "failed", NULL };
static const char *const against[] = { "base", "now", NULL };
static const struct http_query_param drafts_query[] = {
	{ .name = "state", .kind = QUERY_WORD, .words = any_draft_state },
	{ .name = "before", .kind = QUERY_INT, .min = 1, .max = INT64_MAX, .doc = "older than this one" },
	{ 0 },
};
static const struct http_query_param draft_query[] = { { .name = "against", .kind = QUERY_WORD, .words = against, .doc = "what it is compared with" }, { 0 } };
static const struct http_query_param approve_form[] = { FORM_VERSION, FORM_COMMENT, { 0 } };
static const struct http_query_param reject_form[] = { FORM_VERSION, { .name = "reason", .required = true, .doc = "why" }, { 0 } };
static const struct http_query_param apply_form[] = { FORM_VERSION, { 0 } };
static const struct http_query_param withdraw_form[] = { { .name = "reason", .doc = "why" }, { 0 } };
static const struct http_query_param draft_form[] = {
	FORM_VERSION, FORM_BASE, FORM_COMMENT,
	{ .name = "title", .required = true },
	{ .name = "apply_at", .doc = "a time; else when somebody applies it" },
	{ .name = "change", .required = true, .doc = "flags, evaluators and metadata as JSON" },
	{ 0 },
};
static const struct http_query_param blast_form[] = { { .name = "contexts", .required = true, .doc = "a list, as JSON" }, { 0 } };
static const struct http_query_param stale_query[] = { { .name = "after", .doc = "flags behind this key" }, { 0 } };
static const char *const orders[] = { "promote", "pause", "resume", "abort", NULL };
static const struct http_query_param roll_form[] = {
	FORM_KEY, FORM_BASE, FORM_COMMENT, { .name = "definition", .required = true, .doc = "the flag as JSON" }, { .name = "plan", .required = true, .doc = "steps and outcomes as JSON" }, { 0 }
};
static const struct http_query_param order_form[] = { { .name = "order", .kind = QUERY_WORD, .words = orders, .required = true, .doc = "what it shall do" }, { 0 } };
enum { FORM_SMALL = 16 << 10, FORM_DEFINITION = 1 << 20, FORM_DOCUMENT = 3 * LIMIT_DOC_BYTES /* escaped */ };

static const struct http_route routes[] = {
	{ "GET", "/", HTTP_WORKER, SCOPE_READ, 0, page_home, "Projects and what their services do.", NULL, NULL },
	{ "GET", "/projects/:project", HTTP_WORKER, SCOPE_READ, 0, page_project, "A project.", NULL, NULL },
	{ "GET", "/projects/:project/changes/:seq:int", HTTP_WORKER, SCOPE_READ, 0, page_change, "A push with its findings.", NULL, NULL },
	{ "GET", "/runs/:run", HTTP_WORKER, SCOPE_READ, 0, page_run, "A run with its jobs and logs.", NULL, NULL, run_query },
	{ "GET", "/releases/:release", HTTP_WORKER, SCOPE_READ, 0, page_release, "A release with its evidence.", NULL, NULL },
	{ "POST", "/releases/:release/:action", HTTP_WORKER, SCOPE_RELEASE, 4096, page_release_act, "Steers a release.", .form = http_no_fields },
	{ "POST", "/projects/:project/rollback", HTTP_WORKER, SCOPE_RELEASE, 4096, page_rollback, "Takes a service's last release back.", .form = rollback_form },
	{ "GET", "/projects/:project/flags", HTTP_WORKER, SCOPE_READ, 0, page_flag_sets, "Flag sets of a project.", NULL, NULL },
	{ "POST", "/projects/:project/flags", HTTP_WORKER, SCOPE_RELEASE, FORM_SMALL, page_flag_set_make, "Makes a flag set.", .form = set_make_form },
	{ "GET", SET_PAGE, HTTP_WORKER, SCOPE_READ, 0, page_flag_set, "A flag set.", .query = set_query },
	{ "GET", SET_PAGE "/flag", HTTP_WORKER, SCOPE_READ, 0, page_flag, "A flag.", .query = flag_query },
	{ "GET", SET_PAGE "/history", HTTP_WORKER, SCOPE_READ, 0, page_flag_history, "Revisions of a flag set, and what two of them differ in.",
	  .query = history_query },
	{ "POST", SET_PAGE "/make", HTTP_WORKER, SCOPE_RELEASE, FORM_DEFINITION, page_flag_make, "Makes a flag.", .form = put_form },
	{ "POST", SET_PAGE "/put", HTTP_WORKER, SCOPE_RELEASE, FORM_DEFINITION, page_flag_put, "Changes a flag's definition.", .form = put_form },
	{ "POST", SET_PAGE "/switch", HTTP_WORKER, SCOPE_RELEASE, FORM_SMALL, page_flag_switch, "Switches a flag on or off.", .form = switch_form },
	{ "POST", SET_PAGE "/remove", HTTP_WORKER, SCOPE_RELEASE, FORM_SMALL, page_flag_remove, "Removes a flag.", .form = remove_form },
	{ "POST", SET_PAGE "/import", HTTP_WORKER, SCOPE_RELEASE, FORM_DOCUMENT, page_flag_import, "Takes over a flagd document.", .form = import_form },
	{ "POST", SET_PAGE "/explain", HTTP_WORKER, SCOPE_READ, FORM_DEFINITION, page_flag_explain, "What a context gets, and why.", .form = explain_form },
	{ "GET", SET_PAGE "/stale", HTTP_WORKER, SCOPE_READ, 0, page_flag_stale, "Flags that may go, and where the code names them.", .query = stale_query },
	{ "POST", SET_PAGE "/roll", HTTP_WORKER, SCOPE_RELEASE, FORM_DEFINITION, page_flag_roll, "Changes a flag by steps.", .form = roll_form },
	{ "GET", SET_PAGE "/rollouts", HTTP_WORKER, SCOPE_READ, 0, page_rollouts, "Changes of flags that went by steps.", NULL, NULL },
	{ "GET", "/flag-rollouts/:rollout:id", HTTP_WORKER, SCOPE_READ, 0, page_rollout, "A rollout with its evidence.", NULL, NULL },
	{ "POST", "/flag-rollouts/:rollout:id/order", HTTP_WORKER, SCOPE_RELEASE, FORM_SMALL, page_rollout_order, "Steers a rollout.", .form = order_form },
	{ "POST", SET_PAGE "/propose/put", HTTP_WORKER, SCOPE_RELEASE, FORM_DEFINITION, page_flag_put, "Proposes a definition.", .form = put_form },
	{ "POST", SET_PAGE "/propose/make", HTTP_WORKER, SCOPE_RELEASE, FORM_DEFINITION, page_flag_make, "Proposes a flag.", .form = put_form },
	{ "POST", SET_PAGE "/propose/switch", HTTP_WORKER, SCOPE_RELEASE, FORM_SMALL, page_flag_switch, "Proposes to switch a flag.", .form = switch_form },
	{ "POST", SET_PAGE "/propose/remove", HTTP_WORKER, SCOPE_RELEASE, FORM_SMALL, page_flag_remove, "Proposes to remove a flag.", .form = remove_form },
	{ "GET", SET_PAGE "/drafts", HTTP_WORKER, SCOPE_READ, 0, page_drafts, "Proposed changes of a flag set.", .query = drafts_query },
	{ "GET", DRAFT_PAGE, HTTP_WORKER, SCOPE_READ, 0, page_draft, "A proposed change.", .query = draft_query },
	{ "POST", DRAFT_PAGE "/approve", HTTP_WORKER, SCOPE_RELEASE, FORM_SMALL, page_draft_approve, "Approves a draft.", .form = approve_form },
	{ "POST", DRAFT_PAGE "/reject", HTTP_WORKER, SCOPE_RELEASE, FORM_SMALL, page_draft_reject, "Rejects a draft.", .form = reject_form },
	{ "POST", DRAFT_PAGE "/apply", HTTP_WORKER, SCOPE_RELEASE, FORM_SMALL, page_draft_apply, "Applies a draft.", .form = apply_form },
	{ "POST", DRAFT_PAGE "/withdraw", HTTP_WORKER, SCOPE_RELEASE, FORM_SMALL, page_draft_withdraw, "Withdraws a draft.", .form = withdraw_form },
	{ "POST", DRAFT_PAGE "/edit", HTTP_WORKER, SCOPE_RELEASE, FORM_DOCUMENT, page_draft_edit, "Writes a draft anew.", .form = draft_form },
	{ "POST", DRAFT_PAGE "/blast", HTTP_WORKER, SCOPE_READ, FORM_DEFINITION, page_draft_blast, "Whom a draft would hit.", .form = blast_form },
	{ "GET", "/activity", HTTP_WORKER, SCOPE_READ, 0, page_events, "The event log.", NULL, NULL, activity_query },
	{ "GET", "/insights", HTTP_WORKER, SCOPE_READ, 0, page_insights, "Delivery metrics.", NULL, NULL },
	{ "GET", "/assets/*rest", HTTP_FAST, SCOPE_NONE, 0, page_asset, "Styles and scripts.", NULL, NULL },
};

const struct http_route *web_routes(size_t *ret_n)
{
	*ret_n = ARRAY_SIZE(routes);
	return routes;
}
