/* cmd-edge.c - `weir edge`: serves flags from a copy until SIGTERM or SIGINT. */
#include "base/base.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/settings.h"
#include "edge/edge.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

static int config_fill(struct cli *c, struct edge_config *cfg, char *host, size_t size, struct err *reterr)
{
	const char *port = cli_option(c, "port");
	char       *token = NULL;
	uint64_t    n = 0;
	int         r = settings_address("listen", cli_setting(c, "listen"), host, size, &cfg->listen_port, reterr);

	if (!r)
		r = cli_token(c, &token, reterr);
	if (r)
		return r;
	if (port && (!str_to_u64(str_z(port), &n) || n > 65535))
		return err_set(reterr, WEIR_EINVAL, "--port: '%s' is no port from 0 to 65535", port);
	if (port)
		cfg->listen_port = (uint16_t)n;
	cfg->token = token;
	cfg->listen_host = host;
	cfg->data = cli_setting(c, "data");
	cfg->server = cli_setting(c, "server");
	if (str_to_u64(str_z(cli_setting(c, "http-threads")), &n))
		cfg->http_threads = (unsigned)n;
	if (str_to_u64(str_z(cli_setting(c, "http-workers")), &n))
		cfg->http_workers = (unsigned)n;
	if (str_to_u64(str_z(cli_setting(c, "flags-per-second")), &n))
		cfg->flags_per_second = (unsigned)n;
	return 0;
}

/* At once, also as JSON: whoever started the edge waits for this line. */
static void tell_serving(struct cli *c, const struct edge_config *cfg, const char *url)
{
	CLEANUP_BUF struct buf text = BUF_INIT(4096);
	struct jw              w;

	if (!cli_wants_json(c)) {
		cli_printf(c, "weir edge %s serves %s, following %s\n", WEIR_VERSION, url, cfg->server);
		return;
	}
	jw_init(&w, &text);
	jw_obj(&w);
	jw_kstrz(&w, "version", WEIR_VERSION);
	jw_kstrz(&w, "url", url);
	jw_kstrz(&w, "server", cfg->server);
	jw_end(&w);
	cli_printf(c, "%s\n", buf_z(&text));
}

/* Each event stream is a descriptor; many systems allow 1,024 until a program asks for what it may have. */
static void allow_descriptors(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files))
		return;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
}

static int run_edge(struct cli *c, struct err *reterr)
{
	struct edge_config cfg = { 0 };
	char               host[256];
	struct edge       *edge;
	sigset_t           set;
	int                sig, r = config_fill(c, &cfg, host, sizeof(host), reterr);

	if (r)
		return r;
	sigemptyset(&set); /* before any thread: all inherit the mask, sigwait below takes the signal */
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	allow_descriptors();
	r = edge_start(&cfg, &edge, reterr);
	if (r)
		return r;
	tell_serving(c, &cfg, edge_url(edge));
	sigwait(&set, &sig);
	log_info("edge", "stopping");
	edge_stop(edge);
	return 0;
}

static const struct cli_opt edge_opts[] = {
	{ "port", "N", "port to listen on, 0: any free one (default: that of the setting listen)" },
	{ NULL, NULL, NULL },
};
const struct cli_command cmd_edge = {
	.name = "edge",
	.args = "",
	.summary = "Serves flags near their clients from a copy of the server's, until it gets SIGTERM",
	.help = "Read-only, by the protocols of the server (OFREP with its event streams). The copy lies in DATA/edge: an edge starts and serves\n"
	        "without its server, and follows it again when it is back. It copies the sets that its token names (scope edge; WEIR_TOKEN or\n"
	        "token-file, never an argument). Clients' tokens are the server's; a revoked one is refused within a minute while the server answers.\n\n"
	        "/readyz says how old the copy is, /metrics has the figures.",
	.opts = edge_opts,
	.run = run_edge,
};
