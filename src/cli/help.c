/* help.c - texts made from the tables (see help.h). */
#include "base/base.h"
#include "cli/help.h"

void help_overview(struct cli *c)
{
	size_t                           n;
	const struct cli_command *const *all = cli_commands(&n);

	cli_printf(c, "weir: lets changes through to users only as far as the evidence carries them\n\nusage: weir COMMAND [OPTIONS]\n\n");
	for (size_t i = 0; i < n; i++)
		if (!all[i]->hidden)
			cli_printf(c, "  %s%-18s%s %s\n", cli_color(c, "bold"), all[i]->name, cli_color(c, ""), all[i]->summary);
	cli_printf(c, "\nEvery command takes --json, --server URL, --config FILE and --help; `weir help COMMAND` tells more.\n");
}

static void print_options(struct cli *c, const struct cli_command *cmd)
{
	for (size_t i = 0; cmd->opts && cmd->opts[i].name; i++) {
		char left[64];

		snprintf(left, sizeof(left), "--%s%s%s", cmd->opts[i].name, cmd->opts[i].arg ? " " : "",
		         cmd->opts[i].arg ? cmd->opts[i].arg : "");
		cli_printf(c, "  %-24s %s\n", left, cmd->opts[i].help);
	}
	cli_printf(c, "  %-24s %s\n  %-24s %s\n", "--json", "print one JSON value", "--config FILE", "read the settings from FILE");
}

void help_command(struct cli *c, const struct cli_command *cmd)
{
	cli_printf(c, "weir %s %s\n\n%s.\n", cmd->name, cmd->args, cmd->summary);
	if (cmd->help)
		cli_printf(c, "\n%s\n", cmd->help);
	cli_printf(c, "\n");
	print_options(c, cmd);
	cli_printf(c, "\nEvery setting is an option too (--server URL, --data DIR, ...): `weir config show` lists them.\n");
}

void help_bash(struct cli *c)
{
	size_t                           n;
	const struct cli_command *const *all = cli_commands(&n);

	cli_printf(c, "# completion of weir for bash: source <(weir completion bash)\n_weir() {\n"
	              "  local cur=${COMP_WORDS[COMP_CWORD]} one=\"${COMP_WORDS[1]}\" two=\"${COMP_WORDS[1]} ${COMP_WORDS[2]}\" words=\n");
	cli_printf(c, "  if [ \"$COMP_CWORD\" = 1 ]; then\n    words=\"");
	for (size_t i = 0; i < n; i++)
		if (!all[i]->hidden)
			cli_printf(c, "%.*s ", (int)strcspn(all[i]->name, " "), all[i]->name);
	cli_printf(c, "\"\n  else\n    case \"$one\" in\n");
	for (size_t i = 0; i < n; i++) {
		const char *space = strchr(all[i]->name, ' ');

		if (space && !all[i]->hidden)
			cli_printf(c, "    %.*s) [ \"$COMP_CWORD\" = 2 ] && words=\"$words %s\" ;;&\n", (int)(space - all[i]->name), all[i]->name,
			           space + 1);
	}
	cli_printf(c, "    *) ;;\n    esac\n    case \"$two\" in\n");
	for (size_t i = 0; i < n; i++) {
		if (all[i]->hidden)
			continue;
		cli_printf(c, "    \"%s\"*) words=\"$words", all[i]->name);
		for (size_t k = 0; all[i]->opts && all[i]->opts[k].name; k++)
			cli_printf(c, " --%s", all[i]->opts[k].name);
		cli_printf(c, "\" ;;&\n");
	}
	cli_printf(c, "    *) words=\"$words --json --help --config");
	for (size_t k = 0; k < settings_n; k++)
		cli_printf(c, " --%s", settings_table[k].name);
	cli_printf(c, "\" ;;\n    esac\n  fi\n  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\ncomplete -o default -F _weir weir\n");
}

/* A text for roff: no line may begin with a control character, backslashes are doubled. */
static void man_text(struct cli *c, const char *z)
{
	bool begin = true;

	for (; *z; z++) {
		if (begin && (*z == '.' || *z == '\''))
			cli_printf(c, "\\&");
		if (*z == '\\')
			cli_printf(c, "\\e");
		else if (*z == '-')
			cli_printf(c, "\\-");
		else
			cli_printf(c, "%c", *z);
		begin = *z == '\n';
	}
}

void help_man(struct cli *c)
{
	size_t                           n;
	const struct cli_command *const *all = cli_commands(&n);

	cli_printf(c, ".TH WEIR 1 \"\" \"weir %s\"\n.SH NAME\nweir \\- regulates the flow of changes to running software\n"
	              ".SH SYNOPSIS\n.B weir\nCOMMAND [OPTIONS]\n.SH COMMANDS\n",
	           WEIR_VERSION);
	for (size_t i = 0; i < n; i++) {
		if (all[i]->hidden)
			continue;
		cli_printf(c, ".TP\n.B weir %s ", all[i]->name);
		man_text(c, all[i]->args);
		cli_printf(c, "\n");
		man_text(c, all[i]->summary);
		cli_printf(c, ".\n");
		if (all[i]->help) {
			man_text(c, all[i]->help);
			cli_printf(c, "\n");
		}
		for (size_t k = 0; all[i]->opts && all[i]->opts[k].name; k++) {
			cli_printf(c, ".br\n\\-\\-%s %s: ", all[i]->opts[k].name, all[i]->opts[k].arg ? all[i]->opts[k].arg : "");
			man_text(c, all[i]->opts[k].help);
			cli_printf(c, "\n");
		}
	}
	cli_printf(c, ".SH SETTINGS\nA flag wins over the environment, that over weir.yaml, that over the default.\n");
	for (size_t i = 0; i < settings_n; i++) {
		cli_printf(c, ".TP\n.B \\-\\-%s, %s (", settings_table[i].name, settings_table[i].env);
		man_text(c, *settings_table[i].otherwise ? settings_table[i].otherwise : "empty");
		cli_printf(c, ")\n");
		man_text(c, settings_table[i].doc);
		cli_printf(c, "\n");
	}
	cli_printf(c, ".SH EXIT STATUS\n0 done, 1 refused or findings, 2 wrong input or failure, 3 not now (try again).\n");
}
