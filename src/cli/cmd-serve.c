/* cmd-serve.c - `weir serve`: the server in the foreground until SIGTERM or SIGINT; `weir down`: ends what outlives it. */
#include "base/base.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/settings.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "server/holder.h"
#include "pipeline/runner.h"
#include "release/release.h"
#include "server/server.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

enum { DOWN_WAIT_MS = 20000 };

static int log_level_find(const char *name, enum log_level *ret, struct err *reterr)
{
	static const char *const names[] = { "debug", "info", "warn", "error", NULL };

	for (int i = 0; names[i]; i++)
		if (!strcmp(name, names[i])) {
			*ret = (enum log_level)i;
			return 0;
		}
	return err_set(reterr, WEIR_EINVAL, "log-level: '%s' is not one of debug, info, warn, error", name);
}

static int ports_read(const char *text, struct server_config *ret, struct err *reterr)
{
	str      first, last;
	uint64_t a, b;

	if (!str_cut(str_z(text), '-', &first, &last) || !str_to_u64(first, &a) || !str_to_u64(last, &b) || a < 1024 || b > 65535 || a >= b)
		return err_set(reterr, WEIR_EINVAL, "service-ports: '%s' is not a range such as 20000-20999 within 1024-65535", text);
	ret->port_first = (uint16_t)a;
	ret->port_last = (uint16_t)b;
	return 0;
}

static int config_fill(struct cli *c, struct server_config *cfg, char *host, char *http_host, size_t size, struct err *reterr)
{
	uint64_t       n = 0;
	enum log_level level = LOG_INFO;
	int            r = log_level_find(cli_setting(c, "log-level"), &level, reterr);

	if (!r)
		r = settings_address("listen", cli_setting(c, "listen"), host, size, &cfg->listen_port, reterr);
	if (!r)
		r = settings_address("http", cli_setting(c, "http"), http_host, size, &cfg->http_port, reterr);
	if (!r)
		r = ports_read(cli_setting(c, "service-ports"), cfg, reterr);
	if (r)
		return r;
	log_set_level(level);
	cfg->data = cli_setting(c, "data");
	cfg->database = cli_setting(c, "database");
	cfg->url = cli_setting(c, "url");
	cfg->listen_host = host;
	cfg->http_host = http_host;
	if (str_to_u64(str_z(cli_setting(c, "runner-slots")), &n))
		cfg->runner_slots = (unsigned)n;
	if (str_to_u64(str_z(cli_setting(c, "keep-versions")), &n))
		cfg->keep_versions = (unsigned)n;
	if (str_to_u64(str_z(cli_setting(c, "keep-logs-days")), &n))
		cfg->keep_logs_days = (unsigned)n;
	if (!cfg->keep_versions || !cfg->keep_logs_days)
		return err_set(reterr, WEIR_EINVAL, "keep-versions and keep-logs-days must be 1 or more");
	if (str_to_u64(str_z(cli_setting(c, "http-threads")), &n))
		cfg->http_threads = (unsigned)n;
	if (str_to_u64(str_z(cli_setting(c, "http-workers")), &n))
		cfg->http_workers = (unsigned)n;
	if (str_to_u64(str_z(cli_setting(c, "flags-per-second")), &n))
		cfg->flags_per_second = (unsigned)n;
	return 0;
}

/* At once, also as JSON: whoever started the server waits for this line. */
static void tell_serving(struct cli *c, const char *url)
{
	CLEANUP_BUF struct buf text = BUF_INIT(4096);
	struct jw              w;

	if (!cli_wants_json(c)) {
		cli_printf(c, "weir %s serves %s\n", WEIR_VERSION, url);
		return;
	}
	jw_init(&w, &text);
	jw_obj(&w);
	jw_kstrz(&w, "version", WEIR_VERSION);
	jw_kstrz(&w, "url", url);
	jw_end(&w);
	cli_printf(c, "%s\n", buf_z(&text));
}

static int run_serve(struct cli *c, struct err *reterr)
{
	struct server_config cfg = { 0 };
	char                 host[256], http_host[256];
	struct server       *server;
	sigset_t             set;
	int                  sig, r = config_fill(c, &cfg, host, http_host, sizeof(host), reterr);

	if (r)
		return r;
	sigemptyset(&set); /* before any thread: all inherit the mask, sigwait below takes the signal */
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	r = server_start(&cfg, &server, reterr);
	if (r)
		return r;
	tell_serving(c, server_url(server));
	sigwait(&set, &sig);
	log_info("server", "stopping; services, HAProxy and running steps go on");
	server_stop(server);
	return 0;
}

/* Ends the process that holds the lock of a folder, when there is one: SIGTERM, and a wait until it has let go. */
static int holder_end(const char *data, const char *lock, const char *what, bool *ret_ended, struct err *reterr)
{
	usec_t until = clock_mono_now() + DOWN_WAIT_MS * USEC_PER_MSEC;
	char   path[PATH_MAX];
	pid_t  pid, told = 0;
	int    r = fs_join(path, sizeof(path), reterr, data, lock);

	*ret_ended = false;
	while (!r && (pid = holder_of_lock(path)) > 0) {
		if (pid != told && kill(pid, SIGTERM))
			return errno == ESRCH ? 0 : err_errno(reterr, errno, "cannot end %s (process %d)", what, (int)pid);
		told = pid;
		*ret_ended = true;
		if (clock_mono_now() > until)
			return err_set(reterr, WEIR_ETIMEOUT, "%s (process %d) does not end", what, (int)pid);
		clock_sleep_ms(20);
	}
	return r;
}

static int run_down(struct cli *c, struct err *reterr)
{
	const char *data = cli_setting(c, "data");
	char        real[PATH_MAX];
	bool        server = false, runner = false;
	int         r;

	if (!realpath(data, real)) {
		if (errno != ENOENT)
			return err_errno(reterr, errno, "%s", data);
		cli_notef(c, "there is no folder %s: nothing to stop\n", data);
	} else {
		r = holder_end(real, "server.lock", "the server", &server, reterr); /* first: it would start the others again */
		if (!r)
			r = holder_end(real, "runner/lock", "the runner", &runner, reterr);
		if (!r)
			r = runner_end_steps(real, DOWN_WAIT_MS, reterr);
		if (!r)
			r = release_shutdown_workloads(real, DOWN_WAIT_MS, reterr);
		if (r)
			return r;
		cli_notef(c, "services, HAProxy and running steps%s are stopped\n", server ? " and the server" : "");
	}
	if (cli_wants_json(c)) {
		jw_obj(cli_json(c));
		jw_kbool(cli_json(c), "server_ended", server);
		jw_kbool(cli_json(c), "runner_ended", runner);
		jw_end(cli_json(c));
	}
	return 0;
}

const struct cli_command cmd_serve = {
	.name = "serve",
	.args = "",
	.summary = "Runs the server until it gets SIGTERM",
	.help = "Services, HAProxy and running steps outlive the server; the next start finds them again.\n`weir down` ends the services.",
	.run = run_serve,
};
const struct cli_command cmd_down = {
	.name = "down",
	.args = "",
	.summary = "Stops everything that works on the data folder",
	.help = "The server, when it runs, its runner, running steps, services and HAProxy. Everything is kept; the next `weir serve` starts the services again.",
	.run = run_down,
};
