/* hook-server.c - answers the hooks: a unix socket in a folder only the server's user can enter.
 *
 * A hook sends "WHICH\0PUSH-ID\0REPOSITORY\0QUARANTINE\0" and then the lines git gave it, and half-closes; the answer is "ok\n" or "no\n" and text
 * for the pusher. The push id is random and known to the server for the time of that push only; a post-receive of a push that an earlier server began
 * makes this one look at the repository. One thread accepts, one short-lived thread per hook
 * (at most HOOKS_MAX at once; a further one waits in the listen queue). */
#include "base/base.h"
#include "repo/repo-internal.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { HOOKS_MAX = 64, HOOK_REQUEST_MAX = 1 << 20, HOOK_TIMEOUT_MS = 10000, HOOK_TEXT_MAX = 256 << 10 };

struct repo_hooks {
	struct repo_store *s;
	int                fd, stop_read, stop_write;
	pthread_t          thread;
	pthread_mutex_t    lock;
	pthread_cond_t     fewer;
	unsigned           n;
};
struct hook_call {
	struct repo_hooks *h;
	int                fd;
};

static bool push_find(struct repo_store *s, str id, struct repo_push *ret)
{
	const struct repo_push *p;

	pthread_mutex_lock(&s->lock);
	p = map_get(&s->pushes, id);
	if (p)
		*ret = *p;
	pthread_mutex_unlock(&s->lock);
	return p;
}

/* What a hook did, for the request that started git: it mends what a killed hook left (repo-http.c). */
static void push_note(struct repo_store *s, const char *id, bool allowed, bool recorded)
{
	struct repo_push *p;

	pthread_mutex_lock(&s->lock);
	p = map_get(&s->pushes, str_z(id));
	if (p) {
		p->allowed |= allowed;
		p->recorded |= recorded;
	}
	pthread_mutex_unlock(&s->lock);
}

static void push_hook_fd(struct repo_store *s, const char *id, int fd)
{
	struct repo_push *p;

	pthread_mutex_lock(&s->lock);
	p = map_get(&s->pushes, str_z(id));
	if (p)
		p->hook_fd = fd;
	pthread_mutex_unlock(&s->lock);
}

void repo_hook_cut(struct repo_store *s, const char *push_id)
{
	struct repo_push *p;

	pthread_mutex_lock(&s->lock); /* the hook's thread takes its descriptor out under the lock before it closes it */
	p = map_get(&s->pushes, str_z(push_id));
	if (p && p->hook_fd >= 0)
		shutdown(p->hook_fd, SHUT_RDWR);
	pthread_mutex_unlock(&s->lock);
}

/* "OLD NEW REF" lines into updates; texts are slices of `lines`. */
static int updates_read(str lines, struct arena *a, struct ref_update **ret, size_t *ret_n, struct err *reterr)
{
	size_t n = 0, at = 0;

	for (size_t i = 0; i < lines.len; i++)
		n += lines.ptr[i] == '\n';
	*ret = ARENA_ARRAY(a, n ? n : 1, struct ref_update);
	if (!*ret)
		return arena_check(a, "a push", reterr);
	while (lines.len) {
		str line, old_id, new_id;

		str_cut(lines, '\n', &line, &lines);
		if (!str_cut(line, ' ', &old_id, &line) || !str_cut(line, ' ', &new_id, &line) || old_id.len != 40 || new_id.len != 40 || at == n)
			return err_set(reterr, WEIR_EPARSE, "a hook sent a line that is no ref update");
		memcpy((*ret)[at].old_id, old_id.ptr, 40);
		memcpy((*ret)[at].new_id, new_id.ptr, 40);
		(*ret)[at++].ref = line;
	}
	*ret_n = at;
	return 0;
}

/* What a hook sent, apart. */
struct hook_request {
	str which, id, folder, quarantine, lines;
};

static bool request_read(str text, struct hook_request *ret)
{
	return str_cut(text, 0, &ret->which, &text) && str_cut(text, 0, &ret->id, &text) && str_cut(text, 0, &ret->folder, &text) &&
	       str_cut(text, 0, &ret->quarantine, &ret->lines);
}

/* git outlived the server that allowed the push and has moved refs since this server looked. */
static int orphan_serve(struct repo_store *s, const struct hook_request *q, struct err *reterr)
{
	str folder = q->folder, repos = str_z(s->repos), name;

	if (!str_eqz(q->which, "post-receive") || !str_has_prefix(folder, repos) || !str_has_suffix(folder, STR(".git")))
		return err_set(reterr, WEIR_EAUTH, "this hook belongs to no push of this server");
	name = str_sub(folder, repos.len + 1, folder.len - repos.len - 1 - strlen(".git"));
	return repo_reconcile(s, name, reterr);
}

static int hook_serve(struct repo_store *s, int fd, const struct hook_request *q, struct buf *text, bool *ret_ok, struct err *reterr)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(64 << 20);
	struct repo_push           push;
	struct ref_update         *u;
	size_t                     n = 0;
	int                        r;

	*ret_ok = false;
	if (!push_find(s, q->id, &push)) {
		r = orphan_serve(s, q, reterr);
		*ret_ok = !r;
		return r;
	}
	r = updates_read(q->lines, &a, &u, &n, reterr);
	if (r)
		return r;
	if (str_eqz(q->which, "pre-receive")) {
		push_hook_fd(s, push.id, fd);
		r = repo_receive(s, &push, q->quarantine.len ? arena_dup(&a, q->quarantine) : NULL, u, n, text, ret_ok, reterr);
		push_hook_fd(s, push.id, -1);
		push_note(s, push.id, !r && *ret_ok, false);
		return r;
	}
	*ret_ok = true;
	r = repo_moves_record(s, str_z(push.project), u, n, reterr);
	push_note(s, push.id, false, !r);
	return r;
}

static void hook_answer(struct hook_call *c, const struct buf *request)
{
	CLEANUP_BUF struct buf text = BUF_INIT(HOOK_TEXT_MAX), out = BUF_INIT(HOOK_TEXT_MAX + 1024);
	struct err             e = { 0 };
	struct hook_request    q = { .which = STR("unknown") };
	bool                   ok = false;
	int                    r;

	if (request_read(buf_str(request), &q))
		r = hook_serve(c->h->s, c->fd, &q, &text, &ok, &e);
	else
		r = err_set(&e, WEIR_EPARSE, "a hook sent something that is no hook's message");
	if (r) {
		log_error("repo", "%.*s hook: %s", STR_ARG(q.which), e.msg);
		buf_addf(&text, "weir could not look at this push: %s\n  do: push again; if it comes again, show this line to who runs the server\n", e.msg);
	}
	if (!ok && str_eqz(q.which, "pre-receive"))
		buf_addz(&text, "Nothing was changed.\n");
	buf_addz(&out, ok && !r ? "ok\n" : "no\n");
	buf_add_str(&out, buf_str(&text));
	if (fs_write_fd(c->fd, "hook", buf_str(&out), &e))
		log_warn("repo", "%s", e.msg);
}

static void *hook_main(void *arg)
{
	struct hook_call      *c = arg;
	struct timeval         tv = { HOOK_TIMEOUT_MS / 1000, 0 };
	CLEANUP_BUF struct buf request = BUF_INIT(HOOK_REQUEST_MAX);
	struct err             e = { 0 };

	setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	if (fs_read_fd(c->fd, "hook", &request, &e))
		log_warn("repo", "a hook's message: %s", e.msg);
	else
		hook_answer(c, &request);
	close(c->fd);
	pthread_mutex_lock(&c->h->lock);
	c->h->n--;
	pthread_cond_signal(&c->h->fewer);
	pthread_mutex_unlock(&c->h->lock);
	free(c);
	return NULL;
}

static void hook_accept(struct repo_hooks *h)
{
	struct hook_call *c = calloc(1, sizeof(*c));
	pthread_attr_t    attr;
	pthread_t         t;
	int               fd = accept4(h->fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0 || !c) {
		free(c);
		base_cleanup_fd(&fd);
		return;
	}
	c->h = h;
	c->fd = fd;
	pthread_mutex_lock(&h->lock);
	while (h->n >= HOOKS_MAX)
		pthread_cond_wait(&h->fewer, &h->lock);
	h->n++;
	pthread_mutex_unlock(&h->lock);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&t, &attr, hook_main, c)) {
		log_error("repo", "no thread for a hook: the push is refused");
		close(fd);
		free(c);
		pthread_mutex_lock(&h->lock);
		h->n--;
		pthread_mutex_unlock(&h->lock);
	}
	pthread_attr_destroy(&attr);
}

static void *accept_main(void *arg)
{
	struct repo_hooks *h = arg;
	struct pollfd      p[2] = { { h->fd, POLLIN, 0 }, { h->stop_read, POLLIN, 0 } };

	while (poll(p, 2, -1) >= 0 || errno == EINTR) {
		if (p[1].revents)
			break;
		if (p[0].revents)
			hook_accept(h);
	}
	return NULL;
}

static int socket_open(struct repo_store *s, int *ret, struct err *reterr)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int                fd;

	if (strlen(s->socket) >= sizeof(addr.sun_path))
		return err_set(reterr, WEIR_ELIMIT, "%s: the path of the hooks' socket has more than %zu bytes; use a shorter data folder", s->socket,
		               sizeof(addr.sun_path) - 1);
	memcpy(addr.sun_path, s->socket, strlen(s->socket) + 1);
	unlink(s->socket);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || chmod(s->socket, 0600) || listen(fd, 128)) {
		int r = err_errno(reterr, errno, "%s: cannot listen", s->socket);

		base_cleanup_fd(&fd);
		return r;
	}
	*ret = fd;
	return 0;
}

int repo_hooks_start(struct repo_store *s, struct repo_hooks **ret, struct err *reterr)
{
	struct repo_hooks *h = calloc(1, sizeof(*h));
	int                stop[2], r;

	if (!h)
		return err_set(reterr, WEIR_ENOMEM, "no memory for the hooks");
	h->s = s;
	r = socket_open(s, &h->fd, reterr);
	if (r) {
		free(h);
		return r;
	}
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->fewer, NULL);
	if (pipe2(stop, O_CLOEXEC) || pthread_create(&h->thread, NULL, accept_main, (h->stop_read = stop[0], h->stop_write = stop[1], h))) {
		r = err_errno(reterr, errno, "cannot start the hooks' thread");
		close(h->fd);
		free(h);
		return r;
	}
	*ret = h;
	return 0;
}

struct repo_hooks *repo_hooks_stop(struct repo_hooks *h)
{
	if (!h)
		return NULL;
	if (write(h->stop_write, "x", 1) < 0)
		log_warn("repo", "cannot wake the hooks' thread");
	pthread_join(h->thread, NULL);
	pthread_mutex_lock(&h->lock);
	while (h->n)
		pthread_cond_wait(&h->fewer, &h->lock);
	pthread_mutex_unlock(&h->lock);
	close(h->fd);
	close(h->stop_read);
	close(h->stop_write);
	unlink(h->s->socket);
	pthread_cond_destroy(&h->fewer);
	pthread_mutex_destroy(&h->lock);
	free(h);
	return NULL;
}
