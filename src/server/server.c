/* server.c - the life of `weir serve`: the data folder and its lock, the first tokens, the rooms, the own runner. */
#include "base/base.h"
#include "server/server.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/log.h"
#include "server/holder.h"
#include "server/own-runner.h"
#include "server/rooms.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

struct server {
	struct rooms       rooms;
	struct own_runner *runner;
	char               host[256];
	int                lock;
};

const char *server_url(const struct server *s) { return s->rooms.url; }

/* Two servers on one folder would both steer the same HAProxy: the second is refused. */
static int lock_take(struct server *s, struct err *reterr)
{
	char path[PATH_MAX];
	int  r = fs_join(path, sizeof(path), reterr, s->rooms.data, "server.lock");

	if (r)
		return r;
	s->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (s->lock < 0)
		return err_errno(reterr, errno, "%s: cannot open", path);
	if (flock(s->lock, LOCK_EX | LOCK_NB))
		return err_set(reterr, WEIR_EBUSY, "another weir server works on %s", s->rooms.data);
	return 0;
}

static int folders_make(struct server *s, const char *data, struct err *reterr)
{
	char cwd[PATH_MAX];
	int  r;

	if (data[0] == '/') {
		snprintf(s->rooms.data, sizeof(s->rooms.data), "%s", data);
	} else {
		if (!getcwd(cwd, sizeof(cwd)))
			return err_errno(reterr, errno, "cannot find the working folder");
		r = fs_join(s->rooms.data, sizeof(s->rooms.data), reterr, cwd, data);
		if (r)
			return r;
	}
	r = fs_mkdirs(s->rooms.data, 0755, reterr);
	if (!r)
		r = fs_join(s->rooms.keys, sizeof(s->rooms.keys), reterr, s->rooms.data, "keys");
	return r ? r : fs_mkdirs(s->rooms.keys, 0700, reterr);
}

/* A token of the server's own making whose text lies in a file only its owner can read. When the file is there the token is too (the file is
 * written after the token); a token whose file was never written is made anew. */
static int token_file_ensure(struct server *s, const char *name, enum http_scope scope, char *path, size_t size, struct err *reterr)
{
	char text[TOKEN_TEXT_SIZE], file[128];
	int  r;

	snprintf(file, sizeof(file), "%s-token", name);
	r = fs_join(path, size, reterr, s->rooms.keys, file);
	if (r || fs_exists(path))
		return r;
	r = token_create(s->rooms.tokens, str_z(name), scope, STR_NULL, 0, STR("weir"), text, reterr);
	if (r == -WEIR_EEXIST) {
		r = token_revoke(s->rooms.tokens, str_z(name), STR("weir"), reterr);
		if (!r)
			r = token_create(s->rooms.tokens, str_z(name), scope, STR_NULL, 0, STR("weir"), text, reterr);
	}
	if (!r)
		r = fs_write_atomic(path, str_z(text), 0600, reterr);
	sodium_memzero(text, sizeof(text));
	return r;
}

static int listen_write(struct server *s, struct err *reterr)
{
	char path[PATH_MAX];
	int  r = fs_join(path, sizeof(path), reterr, s->rooms.data, "listen");

	return r ? r : fs_write_quick(path, str_z(s->rooms.url), 0644, reterr);
}

/* Looks before anything is started: a start that must fail leaves no HAProxy behind. HAProxy of this folder may hold its own port. */
static int port_check(const struct server *s, const char *setting, const char *host, uint16_t port, bool may_be_ours, struct err *reterr)
{
	char  name[128];
	pid_t pid;

	switch (port ? holder_of_port(host, port, &pid) : PORT_FREE) {
	case PORT_FREE: return 0;
	case PORT_REFUSED:
		return err_set(reterr, WEIR_EINVAL, "setting %s: this machine cannot listen on %s:%u (another address, or a port above 1023)", setting, host, port);
	case PORT_TAKEN: break;
	}
	if (may_be_ours && (!pid || holder_works_on(pid, s->rooms.data)))
		return 0;
	holder_name(pid, name, sizeof(name));
	return err_set(reterr, WEIR_EINVAL, "setting %s: %s:%u is in use%s%s; choose another port, or end that process", setting, host, port,
	               *name ? " by " : "", name);
}

static int server_begin(struct server *s, const struct server_config *cfg, struct err *reterr)
{
	char admin[PATH_MAX], runner[PATH_MAX], local[320];
	int  r = folders_make(s, cfg->data, reterr);

	if (!r)
		r = lock_take(s, reterr);
	if (!r)
		r = port_check(s, "listen", cfg->listen_host, cfg->listen_port, false, reterr);
	if (!r)
		r = port_check(s, "http", cfg->http_host, cfg->http_port, true, reterr);
	if (!r)
		r = rooms_open(&s->rooms, reterr);
	if (!r)
		r = token_file_ensure(s, "admin", SCOPE_ADMIN, admin, sizeof(admin), reterr);
	if (!r)
		r = token_file_ensure(s, "runner", SCOPE_RUNNER, runner, sizeof(runner), reterr);
	if (!r)
		r = rooms_start(&s->rooms, reterr);
	if (!r)
		r = listen_write(s, reterr);
	if (r || !cfg->runner_slots)
		return r;
	snprintf(local, sizeof(local), "http://%s:%u", cfg->listen_host, http_server_port(s->rooms.http));
	return own_runner_start(s->rooms.data, local, runner, cfg->runner_slots, &s->runner, reterr);
}

int server_start(const struct server_config *cfg, struct server **ret, struct err *reterr)
{
	struct server *s = calloc(1, sizeof(*s));
	int            r;

	if (!s)
		return err_set(reterr, WEIR_ENOMEM, "no memory for the server");
	s->lock = -1;
	s->rooms.cfg = cfg;
	s->rooms.clock = &clock_real;
	r = server_begin(s, cfg, reterr);
	if (r) {
		server_stop(s);
		return r;
	}
	*ret = s;
	return 0;
}

struct server *server_stop(struct server *s)
{
	if (!s)
		return NULL;
	own_runner_stop(s->runner);
	rooms_close(&s->rooms);
	base_cleanup_fd(&s->lock);
	free(s);
	return NULL;
}
