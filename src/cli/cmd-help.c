/* cmd-help.c - `weir help`, `weir completion`, `weir manual`: views of the command table. */
#include "base/base.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/help.h"

static int run_help(struct cli *c, struct err *reterr)
{
	size_t                           n;
	const struct cli_command *const *all = cli_commands(&n);
	char                             name[128];

	if (!cli_n_args(c)) {
		help_overview(c);
		return 0;
	}
	snprintf(name, sizeof(name), "%s%s%s", cli_arg(c, 0), cli_n_args(c) > 1 ? " " : "", cli_n_args(c) > 1 ? cli_arg(c, 1) : "");
	for (size_t i = 0; i < n; i++)
		if (!strcmp(all[i]->name, name)) {
			help_command(c, all[i]);
			return 0;
		}
	return err_set(reterr, WEIR_ENOENT, "there is no command '%s'; `weir help` lists all", name);
}

static int run_completion(struct cli *c, struct err *reterr)
{
	if (strcmp(cli_arg(c, 0), "bash"))
		return err_set(reterr, WEIR_EINVAL, "no completion for '%s'; there is one for bash", cli_arg(c, 0));
	help_bash(c);
	return 0;
}

static int run_manual(struct cli *c, struct err *reterr UNUSED)
{
	help_man(c);
	return 0;
}

const struct cli_command cmd_help = { .name = "help", .args = "[COMMAND]", .summary = "Tells what a command does", .args_max = 2, .run = run_help };
const struct cli_command cmd_completion = {
	.name = "completion",
	.args = "bash",
	.summary = "Prints the completion script of a shell",
	.help = "Put `source <(weir completion bash)` into ~/.bashrc.",
	.args_min = 1,
	.args_max = 1,
	.run = run_completion,
};
const struct cli_command cmd_manual = {
	.name = "manual", .args = "", .summary = "Prints the man page weir(1)", .help = "weir manual | man -l -", .run = run_manual
};
