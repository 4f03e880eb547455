/* pages.c - one handler per page: what is asked of the API and which template shows it. Worker threads. */
#include "base/base.h"
#include "web/page.h"

/* Services of one project, out of the answer of /api/v1/services. */
static void add_services(struct page *p, const struct doc_node *services, str project)
{
	const struct doc_node *all = doc_get(services, "services");

	bool                   any = false;

	jw_key(&p->w, "services");
	jw_arr(&p->w);
	for (size_t i = 0; i < doc_len(all); i++) {
		if (!str_eq(doc_get_str(doc_at(all, i), "project"), project))
			continue;
		view_write(&p->w, doc_at(all, i), p->now);
		any = true;
	}
	jw_end(&p->w);
	jw_kbool(&p->w, "services_any", any);
}

static void add_projects(struct page *p, const struct doc_node *projects, const struct doc_node *services)
{
	const struct doc_node *all = doc_get(projects, "projects");

	jw_key(&p->w, "projects");
	jw_arr(&p->w);
	for (size_t i = 0; i < doc_len(all); i++) {
		jw_obj(&p->w);
		jw_key(&p->w, "project");
		view_write(&p->w, doc_at(all, i), p->now);
		add_services(p, services, doc_get_str(doc_at(all, i), "name"));
		jw_end(&p->w);
	}
	jw_end(&p->w);
	jw_kbool(&p->w, "projects_any", doc_len(all) > 0);
}

int page_home(struct http_req *r, void *web, struct err *reterr)
{
	struct page p CLEANUP_PAGE;
	struct doc_node *projects, *services, *runs, *events;
	int          e;

	page_init(&p, web, r, "Projects", "home");
	if ((e = page_ask(&p, &projects, reterr, "/api/v1/projects")) || (e = page_ask_maybe(&p, &services, reterr, "/api/v1/services")) ||
	    (e = page_ask_maybe(&p, &runs, reterr, "/api/v1/runs?limit=8")) ||
	    (e = page_ask_maybe(&p, &events, reterr, "/api/v1/events/newest?limit=12")))
		return e;
	add_projects(&p, projects, services);
	page_add(&p, "runs", doc_get(runs, "runs"));
	page_add(&p, "events", doc_get(events, "events"));
	return page_show(&p, "home", reterr);
}

int page_project(struct http_req *r, void *web, struct err *reterr)
{
	struct page p CLEANUP_PAGE;
	struct doc_node *project, *services, *runs, *changes, *releases;
	str          name = http_param(r, "project");
	const char  *url;
	int          e;

	page_init(&p, web, r, arena_dup(http_arena(r), name), "home");
	url = page_url(&p, name);
	if ((e = page_ask(&p, &project, reterr, "/api/v1/projects/%s", url)) ||
	    (e = page_ask_maybe(&p, &services, reterr, "/api/v1/services")) ||
	    (e = page_ask_maybe(&p, &changes, reterr, "/api/v1/projects/%s/changes?limit=20", url)) ||
	    (e = page_ask_maybe(&p, &runs, reterr, "/api/v1/projects/%s/runs?limit=20", url)) ||
	    (e = page_ask_maybe(&p, &releases, reterr, "/api/v1/projects/%s/releases", url)))
		return e;
	page_add(&p, "project", project);
	add_services(&p, services, name);
	page_add(&p, "changes", doc_get(changes, "changes"));
	page_add(&p, "runs", doc_get(runs, "runs"));
	page_add(&p, "releases", doc_get(releases, "releases"));
	return page_show(&p, "project", reterr);
}

/* --- a change --- */

enum { CODE_AROUND = 2 /* lines shown before and after a finding's */ };

static void write_code_lines(struct jw *w, str text, int64_t line)
{
	int64_t n = 0;
	bool    any = false;
	str     one;

	jw_key(w, "code");
	jw_arr(w);
	for (bool more = true; more && n < line + CODE_AROUND;) {
		more = str_cut(text, '\n', &one, &text);
		if (++n < line - CODE_AROUND || (!more && !one.len))
			continue;
		jw_obj(w);
		jw_kint(w, "number", n);
		jw_kstr(w, "text", str_sub(one, 0, 400));
		jw_kbool(w, "hit", n == line);
		jw_end(w);
		any = true;
	}
	jw_end(w);
	jw_kbool(w, "code_any", any);
}

/* The lines that were kept with the finding of a refused push, whose objects are gone. */
static void write_kept_lines(struct jw *w, const struct doc_node *code, int64_t line)
{
	const struct doc_node *lines = doc_get(code, "lines");
	int64_t                first = doc_get_int(code, "first", 1);

	jw_key(w, "code");
	jw_arr(w);
	for (size_t i = 0; i < doc_len(lines); i++) {
		jw_obj(w);
		jw_kint(w, "number", first + (int64_t)i);
		jw_kstr(w, "text", doc_at(lines, i)->s);
		jw_kbool(w, "hit", first + (int64_t)i == line);
		jw_end(w);
	}
	jw_end(w);
	jw_kbool(w, "code_any", doc_len(lines) > 0);
}

/* The lines around a finding, of the commit that was offered, or those kept by the gate. A credential's line is never shown again. */
static int write_finding(struct page *p, const struct doc_node *finding, const char *project, str commit, bool refused, struct err *reterr)
{
	struct doc_node *file = NULL;
	str              path = doc_get_str(finding, "path");
	int64_t          line = doc_get_int(finding, "line", 0);
	int              e = 0;

	jw_obj(&p->w);
	page_add(p, "finding", finding);
	if (path.len && line > 0 && !refused && !str_eqz(doc_get_str(finding, "check"), "credentials"))
		e = page_ask_maybe(p, &file, reterr, "/api/v1/projects/%s/file?ref=%.*s&path=%s", project, STR_ARG(commit), page_url(p, path));
	if (doc_get(finding, "code"))
		write_kept_lines(&p->w, doc_get(finding, "code"), line);
	else if (!e && file && file->kind == DOC_STR)
		write_code_lines(&p->w, file->s, line);
	jw_end(&p->w);
	return e;
}

int page_change(struct http_req *r, void *web, struct err *reterr)
{
	struct page p CLEANUP_PAGE;
	struct doc_node *change, *runs = NULL;
	str          name = http_param(r, "project");
	const struct doc_node *findings;
	const char  *url, *title = arena_printf(http_arena(r), "Change %lld", (long long)http_param_int(r, "seq"));
	bool         refused;
	int          e;

	page_init(&p, web, r, title ? title : "Change", "home");
	url = page_url(&p, name);
	if ((e = page_ask(&p, &change, reterr, "/api/v1/projects/%s/changes/%lld", url, (long long)http_param_int(r, "seq"))))
		return e;
	refused = str_eqz(doc_get_str(change, "state"), "refused");
	if (!refused && (e = page_ask_maybe(&p, &runs, reterr, "/api/v1/projects/%s/runs?commit=%.*s", url, STR_ARG(doc_get_str(change, "new")))))
		return e;
	jw_kstr(&p.w, "project_name", name);
	page_add(&p, "change", change);
	page_add(&p, "runs", doc_get(runs, "runs"));
	jw_kbool(&p.w, "refused", refused);
	findings = doc_get(change, "findings");
	jw_key(&p.w, "findings");
	jw_arr(&p.w);
	for (size_t i = 0; !e && i < doc_len(findings); i++)
		e = write_finding(&p, doc_at(findings, i), url, doc_get_str(change, "new"), refused, reterr);
	jw_end(&p.w);
	jw_kbool(&p.w, "findings_any", doc_len(findings) > 0);
	return e ? e : page_show(&p, "change", reterr);
}

/* --- a run --- */

static bool wants_log(const struct http_req *r, const struct doc_node *job, size_t i, size_t n)
{
	str asked = http_query(r, "job");

	return asked.len ? str_eq(asked, doc_get_str(job, "id")) : n == 1 || i == 0;
}

static int write_jobs(struct page *p, const struct doc_node *run, struct err *reterr)
{
	const struct doc_node *jobs = doc_get(run, "jobs");
	struct doc_node       *log;
	int                    e = 0;

	jw_key(&p->w, "jobs");
	jw_arr(&p->w);
	for (size_t i = 0; !e && i < doc_len(jobs); i++) {
		const struct doc_node *job = doc_at(jobs, i);

		log = NULL;
		jw_obj(&p->w);
		page_add(p, "job", job);
		if (wants_log(p->req, job, i, doc_len(jobs))) {
			e = page_ask_maybe(p, &log, reterr, "/api/v1/runs/%s/jobs/%s/log", page_url(p, doc_get_str(run, "id")),
			                   page_url(p, doc_get_str(job, "id")));
			jw_kbool(&p->w, "open", true);
			jw_kstr(&p->w, "log", log && log->kind == DOC_STR ? log->s : STR(""));
		}
		jw_end(&p->w);
	}
	jw_end(&p->w);
	return e;
}

int page_run(struct http_req *r, void *web, struct err *reterr)
{
	struct page p CLEANUP_PAGE;
	struct doc_node *run;
	const char  *title;
	int          e;

	page_init(&p, web, r, "Run", "home");
	if ((e = page_ask(&p, &run, reterr, "/api/v1/runs/%s", page_url(&p, http_param(r, "run")))))
		return e;
	title = arena_printf(p.a, "%.*s", STR_ARG(doc_get_str(run, "workflow")));
	jw_kstrz(&p.w, "heading", title ? title : "");
	page_add(&p, "run", run);
	e = write_jobs(&p, run, reterr);
	return e ? e : page_show(&p, "run", reterr);
}

/* --- a release --- */

int page_release(struct http_req *r, void *web, struct err *reterr)
{
	struct page p CLEANUP_PAGE;
	struct doc_node *release;
	int          e;

	page_init(&p, web, r, "Release", "home");
	if ((e = page_ask(&p, &release, reterr, "/api/v1/releases/%s", page_url(&p, http_param(r, "release")))))
		return e;
	page_add(&p, "release", release);
	/* What can be asked of it now; the API decides in the end. */
	jw_kbool(&p.w, "can_pause", !doc_get_bool(release, "over", true) && !doc_get_bool(release, "paused", false));
	jw_kbool(&p.w, "can_resume", !doc_get_bool(release, "over", true) && (doc_get_bool(release, "paused", false) || doc_get_bool(release, "held", false)));
	jw_kbool(&p.w, "can_steer", !doc_get_bool(release, "over", true));
	jw_kbool(&p.w, "can_roll_back", doc_get_bool(release, "over", false) && doc_get_bool(release, "live", false));
	return page_show(&p, "release", reterr);
}

static bool action_known(str a)
{
	static const char *const known[] = { "pause", "resume", "promote", "abort" };

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (str_eqz(a, known[i]))
			return true;
	return false;
}

/* The forms' target. Cross-site posts were refused by net: a session's POST must come from a page of this server. */
int page_release_act(struct http_req *r, void *web, struct err *reterr)
{
	struct page p CLEANUP_PAGE;
	struct doc_node *answer;
	str          action = http_param(r, "action"), id = http_param(r, "release");
	const char  *path;
	int          e;

	page_init(&p, web, r, "Release", "home");
	if (!action_known(action))
		return err_set(reterr, WEIR_ENOENT, "a release has no action '%.*s'", STR_ARG(action));
	path = arena_printf(p.a, "/api/v1/releases/%s/%.*s", page_url(&p, id), STR_ARG(action));
	if (!path)
		return arena_check(p.a, "a path", reterr);
	e = p.web->ops.api(p.web->ops.ctx, http_who(r), http_remote(r), "POST", path, STR_NULL, p.a, &answer, reterr);
	if (e)
		return e;
	path = arena_printf(p.a, "/releases/%s", page_url(&p, id));
	http_redirect(r, 303, path ? path : "/");
	return 0;
}

/* The form of a service's last release: back to the version before. */
int page_rollback(struct http_req *r, void *web, struct err *reterr)
{
	struct page p CLEANUP_PAGE;
	struct doc_node *answer;
	struct buf body CLEANUP_BUF = BUF_INIT(4096);
	struct jw    w;
	const char  *path, *url;
	int          e;

	page_init(&p, web, r, "Release", "home");
	url = page_url(&p, http_param(r, "project"));
	jw_init(&w, &body);
	jw_obj(&w);
	jw_kstr(&w, "environment", http_form(r, "environment"));
	if (http_form(r, "service").len)
		jw_kstr(&w, "service", http_form(r, "service"));
	jw_end(&w);
	path = arena_printf(p.a, "/api/v1/projects/%s/rollback", url);
	if (!path)
		return arena_check(p.a, "a path", reterr);
	e = p.web->ops.api(p.web->ops.ctx, http_who(r), http_remote(r), "POST", path, buf_str(&body), p.a, &answer, reterr);
	if (e)
		return e;
	path = arena_printf(p.a, "/projects/%s", url);
	http_redirect(r, 303, path ? path : "/");
	return 0;
}

/* --- the log and the metrics --- */

int page_events(struct http_req *r, void *web, struct err *reterr)
{
	struct page p CLEANUP_PAGE;
	struct doc_node *events;
	str          before = http_query(r, "before"), project = http_query(r, "project");
	int          e;

	page_init(&p, web, r, "Activity", "activity");
	e = page_ask(&p, &events, reterr, "/api/v1/events/newest?limit=100%s%s%s%s", before.len ? "&before=" : "", page_url(&p, before),
	             project.len ? "&project=" : "", page_url(&p, project));
	if (e)
		return e;
	page_add(&p, "events", doc_get(events, "events"));
	page_add(&p, "next", doc_get(events, "next"));
	jw_kstr(&p.w, "project_filter", project.len ? project : STR_NULL);
	return page_show(&p, "events", reterr);
}

int page_insights(struct http_req *r, void *web, struct err *reterr)
{
	struct page p CLEANUP_PAGE;
	struct doc_node *insights;
	int          e;

	page_init(&p, web, r, "Insights", "insights");
	if ((e = page_ask_maybe(&p, &insights, reterr, "/api/v1/insights")))
		return e;
	page_add(&p, "insights", insights);
	return page_show(&p, "insights", reterr);
}
