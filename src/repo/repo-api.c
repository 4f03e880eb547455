/* repo-api.c - the room's routes: projects, refs, changes, commits and files as JSON for pages, CLI and agents.
 *
 * Reading goes over git each time: nothing here is a copy that could be stale. Runs on the HTTP server's worker threads. */
#include "base/base.h"
#include "repo/repo-internal.h"

enum { CHANGES_PAGE = 200, CHANGES_USUAL = 50, COMMITS_SHOWN = 100, FILES_SHOWN = 1000, FILE_BYTES_MAX = 1 << 20 };

static struct repo_store *store_of(void *ctx) { return ctx; }

static const char *actor_of(struct http_req *req)
{
	const char *name = arena_printf(http_arena(req), "token:%s", http_who(req)->name);

	return name ? name : "token:";
}

/* --- projects --- */

static void project_json(struct repo_store *s, const struct repo_project *p, struct jw *w)
{
	jw_obj(w);
	jw_kstr(w, "name", p->name);
	jw_kstr(w, "state", p->state);
	jw_kstr(w, "default_ref", p->default_ref);
	jw_kstr(w, "template", p->template_name.len ? p->template_name : STR_NULL);
	jw_ktime(w, "created", p->created);
	jw_key(w, "clone_url");
	jw_fmt(w, "%s/git/%.*s.git", s->cfg.url ? s->cfg.url : "", STR_ARG(p->name));
	jw_end(w);
}

/* A token that is bound to one project does not see the others. */
static bool is_visible(struct http_req *req, str name)
{
	const char *bound = http_who(req)->project;

	return !bound[0] || str_eqz(name, bound);
}

static int api_list(struct http_req *req, void *ctx, struct err *reterr)
{
	struct repo_project *p;
	size_t               n = 0;
	struct jw            w;
	int                  r = repo_project_list(store_of(ctx), http_arena(req), &p, &n, reterr);

	if (r)
		return r;
	http_json(req, &w);
	jw_obj(&w);
	jw_key(&w, "projects");
	jw_arr(&w);
	for (size_t i = 0; i < n; i++)
		if (is_visible(req, p[i].name))
			project_json(store_of(ctx), &p[i], &w);
	jw_end(&w);
	jw_end(&w);
	return 0;
}

static int project_answer(struct http_req *req, struct repo_store *s, str name, int status, struct err *reterr)
{
	struct repo_project p;
	struct jw           w;
	int                 r = repo_project_get(s, name, http_arena(req), &p, reterr);

	if (r)
		return r;
	http_status(req, status);
	http_json(req, &w);
	project_json(s, &p, &w);
	return 0;
}

static int api_get(struct http_req *req, void *ctx, struct err *reterr)
{
	return project_answer(req, store_of(ctx), http_param(req, "project"), 200, reterr);
}

static int api_create(struct http_req *req, void *ctx, struct err *reterr)
{
	static const char *const known[] = { "name", "template", "began_at", NULL };
	struct doc_check         check;
	struct doc_node         *body;
	const struct doc_node   *node;
	str                      name, template_name;
	usec_t                   began_at;
	int                      r = http_body_json(req, &body, reterr);

	if (r)
		return r;
	doc_check_init(&check, http_arena(req), "body");
	(void)doc_is_map(&check, body, "the project", known);
	node = doc_need(&check, body, "name");
	name = doc_want_str(&check, node, "name");
	node = doc_get(body, "template");
	template_name = node && node->kind == DOC_NULL ? STR_NULL : doc_want_str(&check, node, "template");
	if (template_name.len && !repo_name_ok(template_name))
		doc_error(&check, node, "template must be the name of a golden path");
	began_at = doc_want_int(&check, doc_get(body, "began_at"), "began_at", 0, INT64_MAX / 2);
	r = doc_check_result(&check, reterr);
	if (!r)
		r = repo_create(store_of(ctx), name, template_name, began_at, str_z(actor_of(req)), reterr);
	return r ? r : project_answer(req, store_of(ctx), name, 201, reterr);
}

static int api_archive(struct http_req *req, void *ctx, struct err *reterr)
{
	str name = http_param(req, "project");
	int r = repo_archive(store_of(ctx), name, str_z(actor_of(req)), reterr);

	return r ? r : project_answer(req, store_of(ctx), name, 200, reterr);
}

/* --- git --- */

/* The project's repository, when there is such a project. */
static int git_of(struct http_req *req, struct repo_store *s, struct git_repo **ret, struct err *reterr)
{
	struct repo_project p;
	char                path[PATH_MAX];
	int                 r = repo_project_get(s, http_param(req, "project"), http_arena(req), &p, reterr);

	if (!r)
		r = repo_path_of(s, p.name, path, sizeof(path), reterr);
	return r ? r : git_repo_open(path, NULL, ret, reterr);
}

static int ref_json(void *ctx, str name, const char *id, struct err *reterr UNUSED)
{
	jw_key_n(ctx, name);
	jw_strz(ctx, id);
	return 0;
}

static int api_refs(struct http_req *req, void *ctx, struct err *reterr)
{
	struct git_repo *git;
	struct jw        w;
	int              r = git_of(req, store_of(ctx), &git, reterr);

	if (r)
		return r;
	http_json(req, &w);
	jw_obj(&w);
	jw_key(&w, "refs");
	jw_obj(&w);
	r = git_refs_each(git, ref_json, &w, reterr);
	jw_end(&w);
	jw_end(&w);
	git_repo_close(git);
	return r;
}

static void commit_fields(const struct git_commit *c, struct jw *w)
{
	jw_kstrz(w, "id", c->id);
	jw_kstr(w, "subject", c->subject);
	jw_key(w, "author");
	jw_fmt(w, "%.*s <%.*s>", STR_ARG(c->author_name), STR_ARG(c->author_email));
	jw_ktime(w, "authored", c->authored);
	jw_ktime(w, "committed", c->committed);
	jw_key(w, "parents");
	jw_arr(w);
	for (size_t i = 0; i < c->n_parents; i++)
		jw_strz(w, c->parents[i]);
	jw_end(w);
}

struct files_arg {
	struct jw *w;
	size_t     n;
};

static int file_json(void *ctx, const struct git_delta *d, struct err *reterr UNUSED)
{
	struct files_arg *f = ctx;

	if (f->n++ >= FILES_SHOWN)
		return 0;
	jw_obj(f->w);
	jw_key(f->w, "status");
	jw_fmt(f->w, "%c", d->status);
	jw_kstr(f->w, "path", d->path);
	if (d->status == 'R')
		jw_kstr(f->w, "old_path", d->old_path);
	jw_end(f->w);
	return 0;
}

/* "files": at most FILES_SHOWN of them, and "files_total". */
static int files_json(struct git_repo *git, const char *old_id, const char *new_id, struct jw *w, struct err *reterr)
{
	struct files_arg f = { .w = w };
	int              r;

	jw_key(w, "files");
	jw_arr(w);
	r = git_diff_each(git, old_id, new_id, file_json, &f, reterr);
	jw_end(w);
	jw_kint(w, "files_total", (int64_t)f.n);
	return r;
}

static bool is_hex_id(str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!strchr("0123456789abcdef", s.ptr[i]) || !s.ptr[i])
			return false;
	return s.len >= 7 && s.len < GIT_ID_SIZE;
}

static int commit_answer(struct http_req *req, struct git_repo *git, str id, struct err *reterr)
{
	struct git_commit c;
	char              rev[GIT_ID_SIZE + 16], full[GIT_ID_SIZE];
	struct jw         w;
	int               r;

	if (!is_hex_id(id))
		return err_set(reterr, WEIR_EINVAL, "a commit is named by 7 to 40 digits of 0-9 a-f");
	snprintf(rev, sizeof(rev), "%.*s^{commit}", STR_ARG(id));
	r = git_resolve(git, rev, full, reterr);
	if (!r)
		r = git_commit_read(git, full, http_arena(req), &c, reterr);
	if (r)
		return r;
	http_json(req, &w);
	jw_obj(&w);
	commit_fields(&c, &w);
	jw_kstr(&w, "message", c.message);
	r = files_json(git, c.n_parents ? c.parents[0] : git_zero_id, c.id, &w, reterr);
	jw_end(&w);
	return r;
}

static int api_commit(struct http_req *req, void *ctx, struct err *reterr)
{
	struct git_repo *git;
	int              r = git_of(req, store_of(ctx), &git, reterr);

	if (r)
		return r;
	r = commit_answer(req, git, http_param(req, "commit"), reterr);
	git_repo_close(git);
	return r;
}

static int file_answer(struct http_req *req, struct git_repo *git, const char *ref, const char *path, struct err *reterr)
{
	CLEANUP_BUF struct buf bytes = BUF_INIT(FILE_BYTES_MAX);
	char                   id[GIT_ID_SIZE];
	const char            *rev = arena_printf(http_arena(req), "%s^{commit}", ref);
	int                    r = rev ? git_resolve(git, rev, id, reterr) : arena_check(http_arena(req), "a name", reterr);

	if (!r)
		r = git_read_path(git, id, path, &bytes, reterr);
	if (r)
		return r;
	/* never as what a browser would run: the bytes are a pusher's */
	http_type(req, str_utf8_valid(buf_str(&bytes)) ? "text/plain; charset=utf-8" : "application/octet-stream");
	http_set_header(req, "X-Content-Type-Options", STR("nosniff"));
	http_set_headerf(req, "X-Weir-Commit", "%s", id);
	buf_add_str(http_out(req), buf_str(&bytes));
	return 0;
}

static int api_file(struct http_req *req, void *ctx, struct err *reterr)
{
	str              ref = http_query(req, "ref"), path = http_query(req, "path");
	struct git_repo *git;
	const char      *ref_z = arena_dup(http_arena(req), ref.len ? ref : STR("HEAD")), *path_z = arena_dup(http_arena(req), path);
	int              r;

	if (!path.len || !path_z || !ref_z || strlen(path_z) != path.len || strlen(ref_z) != (ref.len ? ref.len : strlen("HEAD")))
		return err_set(reterr, WEIR_EINVAL, "the query must name a file: path=, and the ref or commit: ref=");
	r = git_of(req, store_of(ctx), &git, reterr);
	if (r)
		return r;
	r = file_answer(req, git, ref_z, path_z, reterr);
	git_repo_close(git);
	return r;
}

/* --- changes --- */

static void change_fields(const struct repo_change *c, struct jw *w)
{
	jw_kint(w, "seq", c->seq);
	jw_kstr(w, "state", c->state);
	jw_kstr(w, "ref", c->ref);
	jw_kstr(w, "old", c->old_id);
	jw_kstr(w, "new", c->new_id);
	jw_kstr(w, "pusher", c->pusher);
	jw_kstr(w, "author", c->author);
	jw_kstr(w, "subject", c->subject);
	jw_kint(w, "commits", c->commits);
	jw_ktime(w, "at", c->at);
	jw_kstr(w, "reason", c->reason.len ? c->reason : STR_NULL);
	jw_key(w, "findings");
	jw_raw(w, c->findings_json);
}

static int api_changes(struct http_req *req, void *ctx, struct err *reterr)
{
	struct repo_project project;
	struct repo_change *c;
	size_t              n = 0;
	int64_t             before = http_query_int(req, "before", 0), limit = http_query_int(req, "limit", CHANGES_USUAL);
	struct jw           w;
	int                 r = repo_project_get(store_of(ctx), http_param(req, "project"), http_arena(req), &project, reterr);

	if (!r)
		r = repo_changes_read(store_of(ctx), project.name, 0, before, (size_t)limit, http_arena(req), &c, &n, reterr);
	if (r)
		return r;
	http_json(req, &w);
	jw_obj(&w);
	jw_key(&w, "changes");
	jw_arr(&w);
	for (size_t i = 0; i < n; i++) {
		jw_obj(&w);
		change_fields(&c[i], &w);
		jw_end(&w);
	}
	jw_end(&w);
	if (n == (size_t)limit)
		jw_kint(&w, "next_before", c[n - 1].seq);
	jw_end(&w);
	return 0;
}

static bool commit_of(struct git_repo *git, str object, char ret[GIT_ID_SIZE])
{
	char rev[GIT_ID_SIZE + 16];

	snprintf(rev, sizeof(rev), "%.*s^{commit}", STR_ARG(object));
	return !str_eqz(object, git_zero_id) && !git_resolve(git, rev, ret, NULL);
}

static int commits_json(struct http_req *req, struct git_repo *git, const struct repo_change *c, struct jw *w, struct err *reterr)
{
	char               old_id[GIT_ID_SIZE], new_id[GIT_ID_SIZE];
	struct git_commit *all = NULL;
	size_t             n = 0;
	bool               more = false;
	int                r = 0;

	(void)commit_of(git, c->new_id, new_id); /* the caller has looked */
	if (!commit_of(git, c->old_id, old_id)) { /* a new ref, or what was before is gone: the whole history */
		memcpy(old_id, git_zero_id, GIT_ID_SIZE);
		r = git_repo_set_known_refs(git, NULL, reterr);
	}
	if (!r)
		r = git_log_range(git, old_id, new_id, COMMITS_SHOWN, http_arena(req), &all, &n, &more, reterr);
	jw_key(w, "commit_list");
	jw_arr(w);
	for (size_t i = 0; !r && i < n; i++) {
		jw_obj(w);
		commit_fields(&all[i], w);
		jw_end(w);
	}
	jw_end(w);
	jw_kbool(w, "commit_list_cut", more);
	return r ? r : files_json(git, old_id, new_id, w, reterr);
}

/* Objects of a refused change are gone with its quarantine, and a forced push may have taken others away: then the change
 * is shown without its commits and files. */
static int api_change(struct http_req *req, void *ctx, struct err *reterr)
{
	struct repo_change *c;
	struct git_repo    *git;
	size_t              n = 0;
	struct jw           w;
	int                 r = git_of(req, store_of(ctx), &git, reterr);

	if (r)
		return r;
	r = repo_changes_read(store_of(ctx), http_param(req, "project"), http_param_int(req, "seq"), 0, 1, http_arena(req), &c, &n, reterr);
	if (!r && !n)
		r = err_set(reterr, WEIR_ENOENT, "there is no change %lld", (long long)http_param_int(req, "seq"));
	if (!r) {
		char id[GIT_ID_SIZE];

		http_json(req, &w);
		jw_obj(&w);
		change_fields(&c[0], &w);
		if (commit_of(git, c[0].new_id, id))
			r = commits_json(req, git, &c[0], &w, reterr);
		jw_end(&w);
	}
	git_repo_close(git);
	return r;
}

/* --- the table --- */

#define PROJECT_SCHEMA                                                                                                            \
	"{\"type\":\"object\",\"required\":[\"name\"],\"additionalProperties\":false,\"properties\":{\"name\":{\"type\":\"string\"}," \
	"\"template\":{\"type\":[\"string\",\"null\"]},\"began_at\":{\"type\":\"integer\"}}}"

static const struct http_query_param git_query[] = { { .name = "service", .doc = "git-upload-pack or git-receive-pack" }, { 0 } };
static const struct http_query_param changes_query[] = {
	{ .name = "before", .kind = QUERY_INT, .min = 1, .max = INT64_MAX, .doc = "older than this seq" },
	{ .name = "limit", .kind = QUERY_INT, .min = 1, .max = CHANGES_PAGE, .doc = "how many at most" },
	{ 0 },
};
static const struct http_query_param file_query[] = {
	{ .name = "path", .required = true, .doc = "of the file in the tree" },
	{ .name = "ref", .doc = "branch, tag or commit; HEAD when absent" },
	{ 0 },
};
static const struct http_route routes[] = {
	{ "GET", "/git/:project.git/*rest", HTTP_STREAM, SCOPE_READ, 0, repo_http_serve, "git fetches and clones here", NULL, NULL, git_query },
	{ "POST", "/git/:project.git/*rest", HTTP_STREAM, SCOPE_READ, LIMIT_PUSH_BYTES + (1 << 20), repo_http_serve,
	  "git fetches and pushes here; pushing needs the scope develop", NULL, NULL },
	{ "GET", "/api/v1/projects", HTTP_WORKER, SCOPE_READ, 0, api_list, "All projects", NULL, NULL },
	{ "POST", "/api/v1/projects", HTTP_WORKER, SCOPE_ADMIN, 64 << 10, api_create, "Makes a project with an empty repository", PROJECT_SCHEMA, NULL },
	{ "GET", "/api/v1/projects/:project", HTTP_FAST, SCOPE_READ, 0, api_get, "One project", NULL, NULL },
	{ "POST", "/api/v1/projects/:project/archive", HTTP_WORKER, SCOPE_ADMIN, 0, api_archive, "Makes a project read-only for good", NULL, NULL },
	{ "GET", "/api/v1/projects/:project/refs", HTTP_WORKER, SCOPE_READ, 0, api_refs, "Refs and where they stand", NULL, NULL },
	{ "GET", "/api/v1/projects/:project/changes", HTTP_WORKER, SCOPE_READ, 0, api_changes,
	  "Accepted and refused changes, newest first", NULL, NULL, changes_query },
	{ "GET", "/api/v1/projects/:project/changes/:seq:int", HTTP_WORKER, SCOPE_READ, 0, api_change,
	  "One change with its commits, files and findings", NULL, NULL },
	{ "GET", "/api/v1/projects/:project/commits/:commit", HTTP_WORKER, SCOPE_READ, 0, api_commit,
	  "One commit with the files that it changes", NULL, NULL },
	{ "GET", "/api/v1/projects/:project/file", HTTP_WORKER, SCOPE_READ, 0, api_file, "A file's bytes; at most 1 MiB", NULL, NULL,
	  file_query },
};

const struct http_route *repo_routes(size_t *ret_n)
{
	*ret_n = ARRAY_SIZE(routes);
	return routes;
}
