/* repo-http.c - git over HTTP: `git http-backend` as a CGI program, its input and output streamed.
 *
 * The program reads the whole request before it answers (stateless RPC), so input goes first, then output; nothing is gathered in memory.
 * Its environment is a closed list. Runs on a worker thread, one per request under way. */
#include "base/base.h"
#include "repo/repo-internal.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/vec.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

enum { CGI_HEADER_MAX = 16 << 10, CGI_PIECE = 64 << 10 };

struct cgi {
	struct http_req *req;
	pid_t            pid;
	int              in, out;
};

static void env_add(struct arena *a, const char **env, size_t *n, const char *name, str value)
{
	env[(*n)++] = arena_printf(a, "%s=%.*s", name, STR_ARG(value));
}

static int cgi_start(struct repo_store *s, struct cgi *c, str project, str rest, const struct repo_push *push, struct err *reterr)
{
	static const char *const argv[] = { "git", "http-backend", NULL };
	struct arena            *a = http_arena(c->req);
	struct proc_spec         spec = PROC_SPEC_INIT;
	const char              *env[32], *path = getenv("PATH");
	size_t                   n = 0;
	int                      in[2], out[2], r;

	env_add(a, env, &n, "GIT_PROJECT_ROOT", str_z(s->repos));
	env_add(a, env, &n, "GIT_HTTP_EXPORT_ALL", STR("1"));
	env[n++] = arena_printf(a, "PATH_INFO=/%.*s.git/%.*s", STR_ARG(project), STR_ARG(rest));
	env_add(a, env, &n, "REQUEST_METHOD", http_method(c->req));
	env_add(a, env, &n, "QUERY_STRING", http_raw_query(c->req));
	env_add(a, env, &n, "CONTENT_TYPE", http_header(c->req, "Content-Type"));
	env_add(a, env, &n, "HTTP_CONTENT_ENCODING", http_header(c->req, "Content-Encoding"));
	env_add(a, env, &n, "GIT_PROTOCOL", http_header(c->req, "Git-Protocol"));
	env_add(a, env, &n, "REMOTE_USER", str_z(http_who(c->req)->name));
	env_add(a, env, &n, "REMOTE_ADDR", http_remote(c->req));
	env_add(a, env, &n, "PATH", path ? str_z(path) : STR("/usr/local/bin:/usr/bin:/bin"));
	env_add(a, env, &n, "HOME", str_z(s->home));
	env_add(a, env, &n, "GIT_CONFIG_NOSYSTEM", STR("1"));
	env_add(a, env, &n, "GIT_CONFIG_COUNT", STR("2"));
	env_add(a, env, &n, "GIT_CONFIG_KEY_0", STR("safe.directory"));
	env_add(a, env, &n, "GIT_CONFIG_VALUE_0", STR("*"));
	env_add(a, env, &n, "GIT_CONFIG_KEY_1", STR("core.hooksPath"));
	env_add(a, env, &n, "GIT_CONFIG_VALUE_1", str_z(s->hooks));
	if (push) {
		env_add(a, env, &n, "WEIR_HOOK_SOCKET", str_z(s->socket));
		env_add(a, env, &n, "WEIR_PUSH", str_z(push->id));
	}
	env[n] = NULL;
	r = arena_check(a, "a git request", reterr);
	if (r)
		return r;
	if (pipe2(in, O_CLOEXEC))
		return err_errno(reterr, errno, "git: cannot make a pipe");
	if (pipe2(out, O_CLOEXEC)) {
		close(in[0]);
		close(in[1]);
		return err_errno(reterr, errno, "git: cannot make a pipe");
	}
	spec.argv = argv;
	spec.env = env;
	spec.fd_in = in[0];
	spec.fd_out = out[1];
	r = proc_spawn(&spec, &c->pid, reterr);
	close(in[0]);
	close(out[1]);
	c->in = in[1];
	c->out = out[0];
	return r;
}

/* The request's body to the program. A program that ends early (an error it will tell) is fine. */
static int cgi_feed(struct cgi *c, struct err *reterr)
{
	char   piece[CGI_PIECE];
	bool   deaf = false;

	for (;;) {
		ssize_t n = http_read(c->req, piece, sizeof(piece), reterr);

		if (n < 0)
			return (int)n;
		if (n == 0)
			break;
		for (ssize_t at = 0; !deaf && at < n;) {
			ssize_t w = write(c->in, piece + at, (size_t)(n - at));

			if (w < 0 && errno == EINTR)
				continue;
			deaf = w < 0;
			at += w < 0 ? 0 : w;
		}
	}
	base_cleanup_fd(&c->in);
	return 0;
}

static int cgi_header_line(struct cgi *c, str line, struct err *reterr)
{
	str      name, value;
	uint64_t status;

	if (!str_cut(line, ':', &name, &value))
		return err_set(reterr, WEIR_EINTERNAL, "git http-backend wrote a header without a colon");
	value = str_trim(value);
	if (str_eq_nocase(name, STR("Status"))) {
		if (str_to_u64(str_sub(value, 0, 3), &status))
			http_status(c->req, (int)status);
	} else {
		http_set_header(c->req, arena_dup(http_arena(c->req), name), value);
	}
	return 0;
}

/* Reads up to the empty line; what came behind it stays in *head. */
static int cgi_headers(struct cgi *c, struct buf *head, struct err *reterr)
{
	str rest, line;

	for (;;) {
		const char *end = head->len ? memmem(head->ptr, head->len, "\r\n\r\n", 4) : NULL;
		char        piece[4096];
		ssize_t     n;

		if (end) {
			int r = 0;

			for (rest = str_n(head->ptr, (size_t)(end - head->ptr)); !r && rest.len;) {
				str_cut(rest, '\n', &line, &rest);
				r = cgi_header_line(c, str_trim(line), reterr);
			}
			buf_drop_front(head, (size_t)(end - head->ptr) + 4);
			return r;
		}
		n = read(c->out, piece, sizeof(piece));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(reterr, WEIR_EINTERNAL, "git http-backend ended without an answer");
		buf_add(head, piece, (size_t)n);
		if (head->failed)
			return err_set(reterr, WEIR_EINTERNAL, "git http-backend wrote more than %d bytes of headers", CGI_HEADER_MAX);
	}
}

static int cgi_answer(struct cgi *c, struct err *reterr)
{
	CLEANUP_BUF struct buf head = BUF_INIT(CGI_HEADER_MAX);
	char                   piece[CGI_PIECE];
	int                    r = cgi_headers(c, &head, reterr);

	if (!r)
		r = http_write(c->req, buf_str(&head), reterr);
	while (!r) {
		ssize_t n = read(c->out, piece, sizeof(piece));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		r = http_write(c->req, str_n(piece, (size_t)n), reterr);
	}
	return r;
}

static int cgi_run(struct repo_store *s, struct http_req *req, str project, str rest, const struct repo_push *push, struct err *reterr)
{
	struct cgi c = { .req = req, .pid = 0, .in = -1, .out = -1 };
	int        status = 0, r = cgi_start(s, &c, project, rest, push, reterr);

	if (!r)
		r = cgi_feed(&c, reterr);
	if (!r)
		r = cgi_answer(&c, reterr);
	base_cleanup_fd(&c.in);
	if (r && c.pid > 0)
		kill(c.pid, SIGTERM); /* the client is gone or the limit is met: git cleans its quarantine up on SIGTERM */
	base_cleanup_fd(&c.out);
	if (c.pid > 0 && proc_wait(c.pid, &status, NULL))
		status = -1;
	return r;
}

static bool is_push(struct http_req *req, str rest)
{
	return str_eqz(rest, "git-receive-pack") || str_eqz(http_query(req, "service"), "git-receive-pack");
}

/* A push under way is known by its random id, so that only its own hooks can speak for it. */
static int push_run(struct repo_store *s, struct http_req *req, str project, str rest, struct err *reterr)
{
	struct repo_push push = { .project = project, .is_admin = http_may(req, SCOPE_ADMIN) };
	bool             kept;
	int              r = repo_reconcile(s, project, reterr);

	if (r)
		return r;
	random_text(push.id, REPO_PUSH_ID_SIZE - 1);
	snprintf(push.actor, sizeof(push.actor), "token:%s", http_who(req)->name);
	pthread_mutex_lock(&s->lock);
	kept = map_put(&s->pushes, str_z(push.id), &push, NULL);
	pthread_mutex_unlock(&s->lock);
	if (!kept)
		return err_set(reterr, WEIR_ENOMEM, "no memory for a push");
	r = cgi_run(s, req, project, rest, &push, reterr);
	pthread_mutex_lock(&s->lock);
	map_del(&s->pushes, str_z(push.id));
	pthread_mutex_unlock(&s->lock);
	return r;
}

/* Reading: the scope read, or a job's own identity. Either may be bound to one project. */
static int reader_check(struct http_req *req, str project, struct err *reterr)
{
	const struct http_identity *who = http_who(req);

	if (who->scope == SCOPE_NONE)
		return err_set(reterr, WEIR_EAUTH, "git needs an access token as the password (any user name)");
	if (who->project[0] && !str_eqz(project, who->project))
		return err_set(reterr, WEIR_EPERM, "this token is for project '%s' only", who->project);
	if (who->scope != SCOPE_JOB && !http_may(req, SCOPE_READ))
		return err_set(reterr, WEIR_EPERM, "fetching needs a token with the scope read");
	return 0;
}

int repo_http_serve(struct http_req *req, void *store, struct err *reterr)
{
	struct repo_store  *s = store;
	str                 name = http_param(req, "project"), rest = http_param(req, "rest");
	struct repo_project project;
	int                 r;

	if (str_has_suffix(name, STR(".git")))
		name = str_sub(name, 0, name.len - 4);
	r = reader_check(req, name, reterr);
	if (!r)
		r = repo_project_get(s, name, http_arena(req), &project, reterr);
	if (r)
		return r;
	if (!is_push(req, rest))
		return cgi_run(s, req, name, rest, NULL, reterr);
	if (!http_may(req, SCOPE_DEVELOP))
		return err_set(reterr, WEIR_EPERM, "pushing needs a token with the scope develop");
	if (!str_eqz(project.state, "active"))
		return err_set(reterr, WEIR_EPERM, "project '%.*s' is archived: it can be read, not pushed to", STR_ARG(name));
	return str_eqz(rest, "git-receive-pack") ? push_run(s, req, name, rest, reterr) : cgi_run(s, req, name, rest, NULL, reterr);
}
