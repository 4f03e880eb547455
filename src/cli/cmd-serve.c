/* cmd-serve.c - `weir serve`: the server in the foreground until SIGTERM or SIGINT; `weir down`: ends what outlives it. */
#include "base/base.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/settings.h"
#include "base/log.h"
#include "pipeline/runner.h"
#include "release/release.h"
#include "server/server.h"

#include <limits.h>
#include <signal.h>

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
	if (str_to_u64(str_z(cli_setting(c, "http-threads")), &n))
		cfg->http_threads = (unsigned)n;
	if (str_to_u64(str_z(cli_setting(c, "http-workers")), &n))
		cfg->http_workers = (unsigned)n;
	return 0;
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
	cli_printf(c, "weir %s serves %s\n", WEIR_VERSION, server_url(server));
	sigwait(&set, &sig);
	log_info("server", "stopping; services, HAProxy and running steps go on");
	server_stop(server);
	return 0;
}

static int run_down(struct cli *c, struct err *reterr)
{
	int r = runner_end_steps(cli_setting(c, "data"), DOWN_WAIT_MS, reterr);

	if (!r)
		r = release_shutdown_workloads(cli_setting(c, "data"), DOWN_WAIT_MS, reterr);
	if (!r)
		cli_notef(c, "services, HAProxy and running steps are stopped\n");
	return r;
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
	.summary = "Stops the services, HAProxy and running steps of the data folder",
	.help = "Works without a server. Everything is kept; the next `weir serve` starts the services again.",
	.run = run_down,
};
