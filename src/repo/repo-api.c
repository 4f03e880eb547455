/* repo-api.c - the room's routes: git itself, projects, refs, changes, files. Handlers run on worker threads. */
#include "base/base.h"
#include "repo/repo-internal.h"
#include "base/limits.h"

enum { CHANGES_MAX = 200, FILE_BYTES_MAX = 1 << 20, CHANGE_COMMITS_MAX = 100, CHANGE_FILES_MAX = 500 };

static void actor_of(struct http_req *req, char out[80]) { snprintf(out, 80, "token:%s", http_who(req)->name); }

static void project_json(struct repo_store *s, const struct repo_project *p, struct jw *w)
{
	jw_obj(w);
	jw_kstr(w, "name", p->name);
	jw_kstr(w, "state", p->state);
	jw_key(w, "template");
	jw_str(w, p->template_name.len ? p->template_name : STR_NULL);
	jw_kstr(w, "default_ref", p->default_ref);
	jw_ktime(w, "created", p->created);
	jw_key(w, "clone_url");
	jw_fmt(w, "%s/git/%.*s.git", s->cfg.url, STR_ARG(p->name));
	jw_end(w);
}

static int projects_get(struct http_req *req, void *ctx, struct err *reterr)
{
	struct repo_project *all;
	size_t               n;
	struct jw            w;
	int                  r = repo_project_list(ctx, http_arena(req), &all, &n, reterr);

	if (r)
		return r;
	http_json(req, &w);
	jw_obj(&w);
	jw_key(&w, "projects");
	jw_arr(&w);
	for (size_t i = 0; i < n; i++)
		project_json(ctx, &all[i], &w);
	jw_end(&w);
	jw_end(&w);
	return 0;
}

static int project_answer(struct http_req *req, struct repo_store *s, str name, struct err *reterr)
{
	struct repo_project p;
	struct jw           w;
	int                 r = repo_project_get(s, name, http_arena(req), &p, reterr);

	if (r)
		return r;
	http_json(req, &w);
	project_json(s, &p, &w);
	return 0;
}

static int projects_post(struct http_req *req, void *ctx, struct err *reterr)
{
	static const char *const known[] = { "name", "template", "began_at", NULL };
	struct repo_store       *s = ctx;
	struct doc_check         check;
	struct doc_node         *body;
	const struct doc_node   *n;
	str                      name, template_name = STR_NULL;
	int64_t                  began = 0;
	char                     actor[80];
	int                      r = http_body_json(req, &body, reterr);

	if (r)
		return r;
	doc_check_init(&check, http_arena(req), "body");
	if (!doc_is_map(&check, body, "the project", known))
		return doc_check_result(&check, reterr);
	name = doc_want_str(&check, doc_need(&check, body, "name"), "name");
	if ((n = doc_get(body, "template")))
		template_name = doc_want_str(&check, n, "template");
	if ((n = doc_get(body, "began_at")))
		began = doc_want_int(&check, n, "began_at", 1, INT64_MAX);
	r = doc_check_result(&check, reterr);
	if (r)
		return r;
	actor_of(req, actor);
	r = repo_create(s, name, template_name, began, str_z(actor), reterr);
	if (r)
		return r;
	http_status(req, 201);
	return project_answer(req, s, name, reterr);
}

static int project_get(struct http_req *req, void *ctx, struct err *reterr)
{
	return project_answer(req, ctx, http_param(req, "project"), reterr);
}

static int project_archive(struct http_req *req, void *ctx, struct err *reterr)
{
	char actor[80];
	int  r;

	actor_of(req, actor);
	r = repo_archive(ctx, http_param(req, "project"), str_z(actor), reterr);
	return r ? r : project_answer(req, ctx, http_param(req, "project"), reterr);
}

static int ref_write(void *ctx, str name, const char *id, struct err *reterr UNUSED)
{
	jw_key_n(ctx, name);
	jw_strz(ctx, id);
	return 0;
}

/* Opens the project of the request; -WEIR_ENOENT for an unknown one. */
static int git_of(struct http_req *req, struct repo_store *s, struct git_repo **ret, struct err *reterr)
{
	struct repo_project p;
	char                path[PATH_MAX];
	int                 r = repo_project_get(s, http_param(req, "project"), http_arena(req), &p, reterr);

	if (!r)
		r = repo_path_of(s, p.name, path, sizeof(path), reterr);
	return r ? r : git_repo_open(path, NULL, ret, reterr);
}

static int refs_get(struct http_req *req, void *ctx, struct err *reterr)
{
	struct git_repo *git;
	struct jw        w;
	int              r = git_of(req, ctx, &git, reterr);

	if (r)
		return r;
	http_json(req, &w);
	jw_obj(&w);
	jw_key(&w, "refs");
	jw_obj(&w);
	r = git_refs_each(git, ref_write, &w, reterr);
	jw_end(&w);
	jw_end(&w);
	git_repo_close(git);
	return r;
}

/* --- changes --- */

struct changes_arg {
	str         project;
	int64_t     before, seq; /* seq > 0: that one */
	int64_t     max;
	struct jw  *w;
	bool        with_findings;
	char        old_id[GIT_ID_SIZE], new_id[GIT_ID_SIZE]; /* of the last one written */
	bool        accepted;
	size_t      n;
};

static void change_row(struct changes_arg *x, struct db_rows *rows)
{
	static const char *const names[] = { "state", "ref", "old", "new", "pusher", "author", "subject" };

	jw_kint(x->w, "seq", db_int(rows, 0));
	for (int i = 0; i < 7; i++) {
		jw_key(x->w, names[i]);
		jw_str(x->w, db_str(rows, i + 1));
	}
	jw_kint(x->w, "commits", db_int(rows, 8));
	jw_ktime(x->w, "at", db_int(rows, 9));
	jw_kstr(x->w, "reason", db_str(rows, 11));
	jw_key(x->w, "findings");
	jw_raw(x->w, db_str(rows, 10));
	x->accepted = str_eqz(db_str(rows, 1), "accepted");
	snprintf(x->old_id, sizeof(x->old_id), "%.*s", STR_ARG(db_str(rows, 3)));
	snprintf(x->new_id, sizeof(x->new_id), "%.*s", STR_ARG(db_str(rows, 4)));
}

static int changes_read(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct changes_arg          *x = arg;
	CLEANUP_ROWS struct db_rows *rows = NULL;
	int                          r = db_query(tx, reterr, &rows,
	                                          "SELECT seq, state, ref, old_id, new_id, pusher, author, subject, commits, at, findings_json, reason FROM change"
	                                          " WHERE project = $1 AND seq < $2 AND ($3 = 0 OR seq = $3) ORDER BY seq DESC LIMIT $4",
	                                          "siii", x->project, x->before, x->seq, x->max);

	while (!r && (r = db_next(rows, reterr)) == 1) {
		r = 0;
		if (!x->seq)
			jw_obj(x->w);
		change_row(x, rows);
		if (!x->seq)
			jw_end(x->w);
		x->n++;
	}
	return r;
}

static int64_t query_int(struct http_req *req, const char *name, int64_t otherwise, int64_t max)
{
	int64_t v;

	return str_to_i64(http_query(req, name), &v) && v > 0 && v <= max ? v : otherwise;
}

static int changes_get(struct http_req *req, void *ctx, struct err *reterr)
{
	struct repo_store  *s = ctx;
	struct repo_project p;
	struct jw           w;
	struct changes_arg  x = { .project = http_param(req, "project"), .before = query_int(req, "before", INT64_MAX, INT64_MAX),
		                      .max = query_int(req, "limit", 50, CHANGES_MAX), .w = &w };
	int                 r = repo_project_get(s, x.project, http_arena(req), &p, reterr);

	if (r)
		return r;
	http_json(req, &w);
	jw_obj(&w);
	jw_key(&w, "changes");
	jw_arr(&w);
	r = db_read(s->cfg.db, changes_read, &x, reterr);
	jw_end(&w);
	jw_end(&w);
	return r;
}

static void commit_json(const struct git_commit *c, struct jw *w)
{
	jw_obj(w);
	jw_kstrz(w, "id", c->id);
	jw_kstr(w, "subject", c->subject);
	jw_key(w, "author");
	jw_fmt(w, "%.*s <%.*s>", STR_ARG(c->author_name), STR_ARG(c->author_email));
	jw_ktime(w, "authored", c->authored);
	jw_ktime(w, "committed", c->committed);
	jw_end(w);
}

struct delta_arg {
	struct jw *w;
	size_t     n;
};

static int delta_write(void *ctx, const struct git_delta *d, struct err *reterr UNUSED)
{
	struct delta_arg *x = ctx;
	char              status[2] = { d->status, 0 };

	if (x->n++ >= CHANGE_FILES_MAX)
		return 0;
	jw_obj(x->w);
	jw_kstrz(x->w, "status", status);
	jw_kstr(x->w, "path", d->path);
	jw_end(x->w);
	return 0;
}

/* Commits and files of an accepted change. */
static int change_details(struct http_req *req, struct repo_store *s, const struct changes_arg *x, struct jw *w, struct err *reterr)
{
	struct git_repo   *git;
	struct git_commit *all = NULL, one;
	struct delta_arg   d = { w, 0 };
	size_t             n = 0;
	bool               more = false;
	int                r = git_of(req, s, &git, reterr);

	if (r)
		return r;
	if (strcmp(x->old_id, git_zero_id)) {
		r = git_log_range(git, x->old_id, x->new_id, CHANGE_COMMITS_MAX, http_arena(req), &all, &n, &more, reterr);
	} else {
		r = git_commit_read(git, x->new_id, http_arena(req), &one, reterr);
		all = &one;
		n = 1;
	}
	jw_key(w, "commit_list");
	jw_arr(w);
	for (size_t i = 0; !r && i < n; i++)
		commit_json(&all[i], w);
	jw_end(w);
	jw_key(w, "files");
	jw_arr(w);
	if (!r)
		r = git_diff_each(git, x->old_id, x->new_id, delta_write, &d, reterr);
	jw_end(w);
	jw_kint(w, "files_total", (int64_t)d.n);
	git_repo_close(git);
	return r;
}

static int change_get(struct http_req *req, void *ctx, struct err *reterr)
{
	struct repo_store *s = ctx;
	struct jw          w;
	struct changes_arg x = { .project = http_param(req, "project"), .before = INT64_MAX, .seq = http_param_int(req, "seq"), .max = 1, .w = &w };
	int                r;

	if (x.seq < 1)
		return err_set(reterr, WEIR_ENOENT, "there is no change %lld", (long long)x.seq);
	http_json(req, &w);
	jw_obj(&w);
	r = db_read(s->cfg.db, changes_read, &x, reterr);
	if (!r && !x.n)
		return err_set(reterr, WEIR_ENOENT, "project '%.*s' has no change %lld", STR_ARG(x.project), (long long)x.seq);
	if (!r && x.accepted && strcmp(x.new_id, git_zero_id))
		r = change_details(req, s, &x, &w, reterr);
	jw_end(&w);
	return r;
}

static int file_get(struct http_req *req, void *ctx, struct err *reterr)
{
	CLEANUP_BUF struct buf text = BUF_INIT(FILE_BYTES_MAX);
	str                    ref = http_query(req, "ref"), path = http_query(req, "path");
	struct git_repo       *git;
	char                   id[GIT_ID_SIZE];
	int                    r;

	if (!ref.len || !path.len || memchr(ref.ptr, 0, ref.len) || memchr(path.ptr, 0, path.len))
		return err_set(reterr, WEIR_EINVAL, "give ref= and path= (for example ?ref=main&path=README.md)");
	r = git_of(req, ctx, &git, reterr);
	if (r)
		return r;
	r = git_resolve(git, arena_dup(http_arena(req), ref), id, reterr);
	if (!r)
		r = git_read_path(git, id, arena_dup(http_arena(req), path), &text, reterr);
	git_repo_close(git);
	if (r)
		return r;
	http_type(req, "text/plain; charset=utf-8");
	buf_add_str(http_out(req), buf_str(&text));
	return 0;
}

#define PROJECT_SCHEMA "{\"type\":\"object\",\"required\":[\"name\"],\"properties\":{\"name\":{\"type\":\"string\"},\"template\":{\"type\":\"string\"},\"began_at\":{\"type\":\"integer\"}}}"

static const struct http_route routes[] = {
	{ "GET", "/git/:project/*rest", HTTP_STREAM, SCOPE_NONE, 0, repo_http_serve, "git: fetch and clone", NULL, NULL },
	{ "POST", "/git/:project/*rest", HTTP_STREAM, SCOPE_NONE, LIMIT_PUSH_BYTES, repo_http_serve, "git: fetch and push", NULL, NULL },
	{ "GET", "/api/v1/projects", HTTP_WORKER, SCOPE_READ, 0, projects_get, "Lists the projects.", NULL, NULL },
	{ "POST", "/api/v1/projects", HTTP_WORKER, SCOPE_ADMIN, LIMIT_HTTP_BODY_BYTES, projects_post, "Makes a project with an empty repository.", PROJECT_SCHEMA, NULL },
	{ "GET", "/api/v1/projects/:project", HTTP_WORKER, SCOPE_READ, 0, project_get, "Tells one project.", NULL, NULL },
	{ "POST", "/api/v1/projects/:project/archive", HTTP_WORKER, SCOPE_ADMIN, LIMIT_HTTP_BODY_BYTES, project_archive, "Makes a project read-only.", NULL, NULL },
	{ "GET", "/api/v1/projects/:project/refs", HTTP_WORKER, SCOPE_READ, 0, refs_get, "Lists branches and tags.", NULL, NULL },
	{ "GET", "/api/v1/projects/:project/changes", HTTP_WORKER, SCOPE_READ, 0, changes_get, "Lists pushes, newest first.", NULL, NULL },
	{ "GET", "/api/v1/projects/:project/changes/:seq:int", HTTP_WORKER, SCOPE_READ, 0, change_get, "Tells one push: commits, files, findings.", NULL, NULL },
	{ "GET", "/api/v1/projects/:project/file", HTTP_WORKER, SCOPE_READ, 0, file_get, "Reads a file of the repository.", NULL, NULL },
};

const struct http_route *repo_routes(size_t *ret_n)
{
	*ret_n = ARRAY_SIZE(routes);
	return routes;
}
