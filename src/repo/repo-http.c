/* repo-http.c - git over HTTP: `git http-backend` as a CGI program, its input and output streamed.
 *
 * The answer may go out only after the whole request has come in (HTTP/1.1 as libmicrohttpd speaks it), but the program may write before it has
 * read everything (acknowledgements, progress): that early part is kept, up to EARLY_MAX; all else passes through in pieces.
 * Its environment is a closed list. Runs on a worker thread, one per request under way. */
#include "base/base.h"
#include "repo/repo-internal.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/vec.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

enum { CGI_HEADER_MAX = 16 << 10, CGI_PIECE = 64 << 10, EARLY_MAX = 8 << 20, GONE_LOOK_MS = 1000, END_WITHIN_MS = 10000, KILL_AFTER_MS = 5000 };

struct cgi {
	struct http_req *req;
	pid_t            pid; /* leader of its own group; 0: none */
	int              in, out;
	struct buf       early; /* written before the request had come in whole */
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
	spec.new_session = true;
	r = proc_spawn(&spec, &c->pid, reterr);
	close(in[0]);
	close(out[1]);
	c->in = in[1];
	c->out = out[0];
	return r;
}

/* One read of the program's output into `to`. 1: more may come, 0: its end. */
static int cgi_take(struct cgi *c, struct buf *to, const char *what, struct err *reterr)
{
	char   *room = buf_reserve(to, CGI_PIECE);
	ssize_t n;

	if (!room)
		return buf_check(to, what, reterr);
	do
		n = read(c->out, room, CGI_PIECE);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_errno(reterr, errno, "cannot read from git");
	to->len += (size_t)n;
	return n > 0;
}

/* Hands one piece on. A program that ended early (with an error that it tells) takes no more: *deaf. */
static int cgi_push(struct cgi *c, str piece, bool *deaf, struct err *reterr)
{
	bool out_ended = false;

	while (piece.len && !*deaf) {
		struct pollfd p[2] = { { c->in, POLLOUT, 0 }, { out_ended ? -1 : c->out, POLLIN, 0 } };
		int           r;

		if (poll(p, 2, GONE_LOOK_MS) < 0 && errno != EINTR)
			return err_errno(reterr, errno, "git: poll");
		if (http_gone(c->req))
			return err_set(reterr, WEIR_ECANCELED, "the client is gone");
		if (p[1].revents) {
			r = cgi_take(c, &c->early, "git's answer before the end of the request", reterr);
			if (r < 0)
				return r;
			out_ended = r == 0;
		}
		if (p[0].revents) {
			ssize_t w = write(c->in, piece.ptr, piece.len);

			*deaf = w < 0 && errno != EINTR && errno != EAGAIN;
			piece = str_sub(piece, w > 0 ? (size_t)w : 0, piece.len);
		}
	}
	return 0;
}

static int cgi_feed(struct cgi *c, struct err *reterr)
{
	char piece[CGI_PIECE];
	bool deaf = false;

	if (fcntl(c->in, F_SETFL, O_NONBLOCK))
		return err_errno(reterr, errno, "git: cannot set up a pipe");
	for (;;) {
		ssize_t n = http_read(c->req, piece, sizeof(piece), reterr);
		int     r;

		if (n < 0)
			return (int)n;
		if (n == 0)
			break;
		r = cgi_push(c, str_n(piece, (size_t)n), &deaf, reterr);
		if (r)
			return r;
	}
	base_cleanup_fd(&c->in);
	return 0;
}

/* As cgi_take, noticing a client that goes away while git works silently. */
static int cgi_wait_take(struct cgi *c, struct buf *to, const char *what, struct err *reterr)
{
	struct pollfd p = { c->out, POLLIN, 0 };

	while (poll(&p, 1, GONE_LOOK_MS) <= 0)
		if (http_gone(c->req))
			return err_set(reterr, WEIR_ECANCELED, "the client is gone");
	return cgi_take(c, to, what, reterr);
}

static int cgi_header_line(struct cgi *c, str line, struct err *reterr)
{
	struct arena *a = http_arena(c->req);
	str           name, value;
	uint64_t      status;

	if (!str_cut(line, ':', &name, &value))
		return err_set(reterr, WEIR_EINTERNAL, "git http-backend wrote a header without a colon");
	value = str_trim(value);
	if (str_eq_nocase(name, STR("Content-Type"))) {
		http_type(c->req, arena_dup(a, value));
	} else if (!str_eq_nocase(name, STR("Status"))) {
		http_set_header(c->req, arena_dup(a, name), value);
	} else if (str_to_u64(str_sub(value, 0, 3), &status) && status >= 200 && status <= 599) {
		http_status(c->req, (int)status);
	}
	return arena_check(a, "the headers of git's answer", reterr);
}

/* Reads up to the empty line; what came behind it stays in c->early. */
static int cgi_headers(struct cgi *c, struct err *reterr)
{
	const char *end;
	str         rest, line;
	int         r;

	while (!(end = c->early.len ? memmem(c->early.ptr, c->early.len, "\r\n\r\n", 4) : NULL)) {
		if (c->early.len > CGI_HEADER_MAX)
			return err_set(reterr, WEIR_EINTERNAL, "git http-backend wrote more than %d bytes of headers", CGI_HEADER_MAX);
		r = cgi_wait_take(c, &c->early, "git's headers", reterr);
		if (r <= 0)
			return r ? r : err_set(reterr, WEIR_EINTERNAL, "git http-backend ended without an answer");
	}
	r = 0;
	for (rest = str_n(c->early.ptr, (size_t)(end - c->early.ptr)); !r && rest.len;) {
		str_cut(rest, '\n', &line, &rest);
		r = cgi_header_line(c, str_trim(line), reterr);
	}
	buf_drop_front(&c->early, (size_t)(end - c->early.ptr) + 4);
	return r;
}

static int cgi_answer(struct cgi *c, struct err *reterr)
{
	CLEANUP_BUF struct buf piece = BUF_INIT(2 * CGI_PIECE);
	int                    r = cgi_headers(c, reterr), more = 1;

	if (!r)
		r = http_write(c->req, buf_str(&c->early), reterr);
	while (!r && more) {
		buf_clear(&piece);
		more = cgi_wait_take(c, &piece, "a piece of git's answer", reterr);
		r = more < 0 ? more : http_write(c->req, buf_str(&piece), reterr);
	}
	return r;
}

static void cgi_kill(struct cgi *c)
{
	int status;

	kill(-c->pid, SIGTERM); /* hooks and helpers are in its group */
	if (proc_wait_timeout(c->pid, KILL_AFTER_MS, &status, NULL) == 0)
		c->pid = 0;
	else
		kill(-c->pid, SIGKILL);
}

/* Ends a push whose client is gone. Killed by a signal, git would leave its quarantine behind; so its input ends, a hook that waits for the gate
 * hears no, and what git still says is dropped, until it has cleaned up by itself. True: it has ended its output. */
static bool cgi_end_push(struct cgi *c, struct repo_store *s, const struct repo_push *push)
{
	usec_t        until = clock_mono_now() + END_WITHIN_MS * USEC_PER_MSEC;
	struct pollfd p = { c->out, POLLIN, 0 };

	base_cleanup_fd(&c->in);
	while (clock_mono_now() < until) {
		repo_hook_cut(s, push->id);
		buf_clear(&c->early);
		if (poll(&p, 1, 100) > 0 && cgi_take(c, &c->early, "the rest of git's answer", NULL) <= 0)
			return true;
	}
	return false;
}

static int cgi_run(struct repo_store *s, struct http_req *req, str project, str rest, const struct repo_push *push, struct err *reterr)
{
	struct cgi c = { .req = req, .in = -1, .out = -1, .early = BUF_INIT(EARLY_MAX) };
	int        status = 0, r = cgi_start(s, &c, project, rest, push, reterr);

	if (!r)
		r = cgi_feed(&c, reterr);
	if (!r)
		r = cgi_answer(&c, reterr);
	base_cleanup_fd(&c.in);
	if (r && c.pid > 0 && !(push && c.out >= 0 && cgi_end_push(&c, s, push)))
		cgi_kill(&c);
	base_cleanup_fd(&c.out);
	if (c.pid > 0 && proc_wait(c.pid, &status, NULL))
		status = -1;
	buf_fini(&c.early);
	return r;
}

static bool is_push(struct http_req *req, str rest)
{
	return str_eqz(rest, "git-receive-pack") || str_eqz(http_query(req, "service"), "git-receive-pack");
}

/* Git moved refs, but the hook that records it was killed or failed: record them now, not at the next push. */
static void push_mend(struct repo_store *s, const struct repo_push *push, str project)
{
	struct err e = { 0 };

	if (push->allowed && !push->recorded && repo_reconcile(s, project, &e))
		log_error("repo", "project %.*s: %s", STR_ARG(project), e.msg);
}

/* A push under way is known by its random id, so that only its own hooks can speak for it. */
static int push_run(struct repo_store *s, struct http_req *req, str project, str rest, struct err *reterr)
{
	struct repo_push push = { .hook_fd = -1, .is_admin = http_may(req, SCOPE_ADMIN) };
	bool             kept;
	int              r = repo_reconcile(s, project, reterr);

	if (r)
		return r;
	random_text(push.id, REPO_PUSH_ID_SIZE - 1);
	snprintf(push.project, sizeof(push.project), "%.*s", STR_ARG(project));
	snprintf(push.actor, sizeof(push.actor), "token:%s", http_who(req)->name);
	pthread_mutex_lock(&s->lock);
	kept = map_put(&s->pushes, str_z(push.id), &push, NULL);
	pthread_mutex_unlock(&s->lock);
	if (!kept)
		return err_set(reterr, WEIR_ENOMEM, "no memory for a push");
	r = cgi_run(s, req, project, rest, &push, reterr);
	pthread_mutex_lock(&s->lock);
	map_del(&s->pushes, str_z(push.id));
	if (r)
		repo_quarantines_clear(s, project);
	pthread_mutex_unlock(&s->lock);
	push_mend(s, &push, project);
	return r;
}

/* Reading needs the scope read (the route asks for it), pushing develop. */
static int may_push(struct http_req *req, const struct repo_project *project, struct err *reterr)
{
	if (!http_may(req, SCOPE_DEVELOP))
		return err_set(reterr, WEIR_EPERM, "pushing needs a token with the scope develop");
	if (!str_eqz(project->state, "active"))
		return err_set(reterr, WEIR_EPERM, "project '%.*s' is archived: it can be read, not pushed to", STR_ARG(project->name));
	return 0;
}

/* What of git's HTTP is served: the stateless protocol, not the files of a repository one by one. */
static bool is_served(struct http_req *req, str rest)
{
	str service = http_query(req, "service");

	if (str_eqz(rest, "info/refs"))
		return str_eqz(http_method(req), "GET") && (str_eqz(service, "git-upload-pack") || str_eqz(service, "git-receive-pack"));
	return str_eqz(http_method(req), "POST") && (str_eqz(rest, "git-upload-pack") || str_eqz(rest, "git-receive-pack"));
}

int repo_http_serve(struct http_req *req, void *store, struct err *reterr)
{
	struct repo_store  *s = store;
	str                 name = http_param(req, "project"), rest = http_param(req, "rest");
	struct repo_project project;
	int                 r;

	if (!is_served(req, rest))
		return err_set(reterr, WEIR_ENOENT, "only git's smart protocol is served here: git clone URL");
	r = repo_project_get(s, name, http_arena(req), &project, reterr);
	if (!r && is_push(req, rest))
		r = may_push(req, &project, reterr);
	if (r)
		return r;
	return str_eqz(rest, "git-receive-pack") ? push_run(s, req, name, rest, reterr) : cgi_run(s, req, name, rest, NULL, reterr);
}
