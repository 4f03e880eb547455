/* cmd-runner.c - `weir runner`: works on jobs until SIGTERM or SIGINT; `weir guard`: the hidden process of one step. */
#include "base/base.h"
#include "base/fs.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "pipeline/guard.h"
#include "pipeline/runner.h"

#include <pthread.h>
#include <signal.h>

static int read_token(struct cli *c, struct buf *out, struct err *reterr)
{
	const char *env = getenv("WEIR_TOKEN"), *file = cli_setting(c, "token-file");
	int         r;

	if (env && *env) {
		buf_addz(out, env);
		return 0;
	}
	if (!*file)
		return err_set(reterr, WEIR_EAUTH, "a runner needs a token of scope runner: --token-file FILE (weir token create NAME --scope runner)");
	r = fs_read(file, out, reterr);
	while (!r && out->len && strchr(" \t\r\n", out->ptr[out->len - 1]))
		out->ptr[--out->len] = 0;
	return r ? err_wrap(reterr, "token-file") : 0;
}

static int run_runner(struct cli *c, struct err *reterr)
{
	CLEANUP_BUF struct buf token = BUF_INIT(4096);
	struct runner_config   cfg = { .data = cli_setting(c, "data"), .server_url = cli_setting(c, "server"), .name = cli_option(c, "name"),
		                           .labels = cli_option(c, "labels") };
	struct runner         *runner;
	uint64_t               n = 1;
	sigset_t               set;
	int                    sig, r = read_token(c, &token, reterr);

	if (r)
		return r;
	(void)str_to_u64(str_z(cli_setting(c, "runner-slots")), &n);
	cfg.slots = (unsigned)n;
	cfg.token = buf_z(&token);
	if (cli_option(c, "memory-mib")) {
		if (!str_to_u64(str_z(cli_option(c, "memory-mib")), &n) || n < 16 || n > (1u << 30))
			return err_set(reterr, WEIR_EINVAL, "--memory-mib: '%s' is no number of MiB from 16 on", cli_option(c, "memory-mib"));
		cfg.memory_bytes_max = n << 20;
	}
	sigemptyset(&set); /* before any thread: all inherit the mask, sigwait below takes the signal */
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	r = runner_start(&cfg, &runner, reterr);
	if (r)
		return r;
	log_info("runner", "works for %s with %u slot%s", cfg.server_url, cfg.slots, cfg.slots == 1 ? "" : "s");
	sigwait(&set, &sig);
	log_info("runner", "stopping; running steps go on");
	runner_stop(runner);
	explicit_bzero(token.ptr, token.len);
	return 0;
}

static const struct cli_opt runner_opts[] = {
	{ "name", "NAME", "how the runner is called in runs and logs (default: the host's name)" },
	{ "labels", "LABELS", "comma-separated labels that jobs may ask for with runs-on" },
	{ "memory-mib", "N", "memory limit of a job (default: three quarters of the machine's by the slots)" },
	{ NULL, NULL, NULL },
};
const struct cli_command cmd_runner = {
	.name = "runner",
	.args = "",
	.summary = "Works on jobs of the server until it gets SIGTERM",
	.help = "Each step runs in a sandbox of its own. Steps outlive the runner: the next one on the same data folder takes them up,\n"
	        "finished steps are not run again, and their logs go on where the server has them.",
	.opts = runner_opts,
	.run = run_runner,
};

static int run_guard(struct cli *c, struct err *reterr) { return guard_main(cli_arg(c, 0), STDIN_FILENO, reterr); }

const struct cli_command cmd_guard = {
	.name = "guard",
	.args = "DIR",
	.summary = "Runs the step whose folder is DIR (called by the runner)",
	.args_min = 1,
	.args_max = 1,
	.hidden = true,
	.run = run_guard,
};
