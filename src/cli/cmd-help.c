/* cmd-help.c - `weir help`, `weir completion`, `weir manual`: views of the command table. */
#include "base/base.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/help.h"

static int run_help(struct cli *c, struct err *reterr)
{
	size_t                           n;
	const struct cli_command *const *all = cli_commands(&n);
	CLEANUP_BUF struct buf           name = BUF_INIT(4096);

	if (!cli_n_args(c)) {
		help_overview(c);
		return 0;
	}
	for (unsigned i = 0; i < cli_n_args(c); i++)
		buf_addf(&name, "%s%s", i ? " " : "", cli_arg(c, i));
	for (size_t i = 0; i < n; i++)
		if (!strcmp(all[i]->name, buf_z(&name))) {
			help_command(c, all[i]);
			return 0;
		}
	return command_unknown(cli_arg(c, 0), cli_arg(c, 1), reterr);
}

/* A text as it is, or as one JSON text. */
static int print_made(struct cli *c, void (*print)(struct cli *c), struct err *reterr)
{
	CLEANUP_BUF struct buf text = BUF_INIT(1 << 20);
	struct buf            *before;

	if (!cli_wants_json(c)) {
		print(c);
		return 0;
	}
	before = cli_redirect(c, &text);
	print(c);
	cli_redirect(c, before);
	jw_str(cli_json(c), buf_str(&text));
	return buf_check(&text, "the text", reterr);
}

static int run_completion(struct cli *c, struct err *reterr)
{
	if (strcmp(cli_arg(c, 0), "bash"))
		return err_set(reterr, WEIR_EINVAL, "no completion for '%s'; there is one for bash", cli_arg(c, 0));
	return print_made(c, help_bash, reterr);
}

static int run_manual(struct cli *c, struct err *reterr) { return print_made(c, help_man, reterr); }

const struct cli_command cmd_help = { .name = "help", .args = "[COMMAND]", .summary = "Tells what a command does", .args_max = 2, .any_settings = true, .run = run_help };
const struct cli_command cmd_completion = {
	.name = "completion",
	.args = "bash",
	.summary = "Prints the completion script of a shell",
	.help = "Put `source <(weir completion bash)` into ~/.bashrc.",
	.args_min = 1,
	.args_max = 1,
	.any_settings = true,
	.run = run_completion,
};
const struct cli_command cmd_manual = {
	.name = "manual", .args = "", .summary = "Prints the man page weir(1)", .help = "To read it: weir manual | man -l -", .any_settings = true,
	.run = run_manual
};
