/* help.c - texts made from the tables (see help.h): what is in a table is in the help, the completion and the man page. Pure but for
 * the width of the terminal; one thread. */
#include "base/base.h"
#include "cli/help.h"

enum { LEFT_WIDTH = 18, OPTION_WIDTH = 24 };

static void print_pair(struct cli *c, const char *left, unsigned width, const char *right)
{
	cli_printf(c, "  %s%-*s%s ", cli_color(c, "bold"), (int)width, left, cli_color(c, ""));
	if (strlen(left) > width)
		cli_printf(c, "\n%*s", (int)width + 3, "");
	cli_print_text(c, width + 3, width + 3, right);
}

static void option_name(const struct cli_opt *o, char *out, size_t size)
{
	snprintf(out, size, "--%s%s%s%s", o->name, o->arg ? " " : "", o->arg ? o->arg : "", o->repeat ? "..." : "");
}

/* --- one JSON value: the table itself, for programs --- */

static void command_json(struct jw *w, const struct cli_command *cmd)
{
	jw_obj(w);
	jw_kstrz(w, "name", cmd->name);
	jw_kstrz(w, "args", cmd->args);
	jw_kstrz(w, "summary", cmd->summary);
	jw_kstrz(w, "help", cmd->help);
	jw_key(w, "options");
	jw_arr(w);
	for (size_t i = 0; cmd->opts && cmd->opts[i].name; i++) {
		jw_obj(w);
		jw_kstrz(w, "name", cmd->opts[i].name);
		jw_kstrz(w, "value", cmd->opts[i].arg);
		jw_kstrz(w, "help", cmd->opts[i].help);
		jw_kbool(w, "repeat", cmd->opts[i].repeat);
		jw_end(w);
	}
	jw_end(w);
	jw_end(w);
}

static void overview_json(struct jw *w)
{
	size_t                           n;
	const struct cli_command *const *all = cli_commands(&n);

	jw_arr(w);
	for (size_t i = 0; i < n; i++)
		if (!all[i]->hidden)
			command_json(w, all[i]);
	jw_end(w);
}

/* --- help --- */

void help_overview(struct cli *c)
{
	static const char *const titles[] = {
#define X(name, title) title,
		CLI_TOPIC_TABLE(X)
#undef X
	};
	size_t                           n;
	const struct cli_command *const *all = cli_commands(&n);
	int                              topic = -1;

	if (cli_wants_json(c)) {
		overview_json(cli_json(c));
		return;
	}
	cli_printf(c, "weir: lets changes through to users only as far as the evidence carries them\n\nusage: weir COMMAND [OPTIONS]\n");
	for (size_t i = 0; i < n; i++) {
		if (all[i]->hidden)
			continue;
		if ((int)cli_topic_of(i) != topic) {
			topic = (int)cli_topic_of(i);
			cli_printf(c, "\n%s\n", titles[topic]);
		}
		print_pair(c, all[i]->name, LEFT_WIDTH, all[i]->summary);
	}
	cli_printf(c, "\n");
	cli_print_text(c, 0, 0, "Every command takes --json, --server URL, --config FILE and --help; `weir help COMMAND` tells more.");
}

static void print_options(struct cli *c, const struct cli_command *cmd)
{
	for (size_t i = 0; cmd->opts && cmd->opts[i].name; i++) {
		char left[80];

		option_name(&cmd->opts[i], left, sizeof(left));
		print_pair(c, left, OPTION_WIDTH, cmd->opts[i].help);
	}
	print_pair(c, "--json", OPTION_WIDTH, "print one JSON value");
	print_pair(c, "--config FILE", OPTION_WIDTH, "read the settings from FILE");
}

void help_command(struct cli *c, const struct cli_command *cmd)
{
	if (cli_wants_json(c)) {
		command_json(cli_json(c), cmd);
		return;
	}
	cli_printf(c, "%sweir %s%s%s%s\n\n", cli_color(c, "bold"), cmd->name, cli_color(c, ""), *cmd->args ? " " : "", cmd->args);
	cli_print_text(c, 0, 0, arena_printf(cli_arena(c), "%s.", cmd->summary));
	if (cmd->help) {
		cli_printf(c, "\n");
		cli_print_text(c, 0, 0, cmd->help);
	}
	cli_printf(c, "\n");
	print_options(c, cmd);
	cli_printf(c, "\n");
	cli_print_text(c, 0, 0, "Every setting is an option too (--server URL, --data DIR, ...): `weir config show` lists them.");
}

/* --- completion --- */

static size_t first_word(const char *name) { return strcspn(name, " "); }

/* The first words of all commands, each once: the table keeps a group together. */
static void bash_firsts(struct cli *c)
{
	size_t                           n;
	const struct cli_command *const *all = cli_commands(&n);
	const char                      *last = "";

	for (size_t i = 0; i < n; i++) {
		size_t len = first_word(all[i]->name);

		if (all[i]->hidden || (len == first_word(last) && !strncmp(all[i]->name, last, len)))
			continue;
		last = all[i]->name;
		cli_printf(c, " %.*s", (int)len, last);
	}
}

/* A case pattern of all options behind which a value stands. */
static void bash_valued(struct cli *c)
{
	size_t                           n;
	const struct cli_command *const *all = cli_commands(&n);

	cli_printf(c, "--config");
	for (size_t i = 0; i < settings_n; i++)
		cli_printf(c, "|--%s", settings_table[i].name);
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; !all[i]->hidden && all[i]->opts && all[i]->opts[k].name; k++)
			if (all[i]->opts[k].arg)
				cli_printf(c, "|--%s", all[i]->opts[k].name);
}

static void bash_tables(struct cli *c)
{
	size_t                           n;
	const struct cli_command *const *all = cli_commands(&n);

	cli_printf(c, "  case $one in\n");
	for (size_t i = 0; i < n; i++)
		if (!all[i]->hidden && strchr(all[i]->name, ' '))
			cli_printf(c, "  %.*s) seconds+=' %s' ;;&\n", (int)first_word(all[i]->name), all[i]->name,
			           all[i]->name + first_word(all[i]->name) + 1);
	cli_printf(c, "  completion) seconds=' bash' ;;\n  help) seconds=' ");
	bash_firsts(c);
	cli_printf(c, "' ;;\n  esac\n  case \"$one $two\" in\n");
	for (size_t i = 0; i < n; i++) {
		if (all[i]->hidden || !strchr(all[i]->name, ' '))
			continue;
		cli_printf(c, "  '%s') options='", all[i]->name);
		for (size_t k = 0; all[i]->opts && all[i]->opts[k].name; k++)
			cli_printf(c, " --%s", all[i]->opts[k].name);
		cli_printf(c, "' ;;\n");
	}
	for (size_t i = 0; i < n; i++) {
		if (all[i]->hidden || strchr(all[i]->name, ' '))
			continue;
		cli_printf(c, "  '%s '*) options='", all[i]->name);
		for (size_t k = 0; all[i]->opts && all[i]->opts[k].name; k++)
			cli_printf(c, " --%s", all[i]->opts[k].name);
		cli_printf(c, "' ;;\n");
	}
	cli_printf(c, "  esac\n");
}

void help_bash(struct cli *c)
{
	cli_printf(c, "# completion of weir for bash: source <(weir completion bash)\n_weir() {\n"
	              "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} i one= two= firsts seconds= options= words\n"
	              "  for ((i = 1; i < COMP_CWORD; i++)); do\n    case ${COMP_WORDS[i]} in\n    =) ((i++)) ;;\n    ");
	bash_valued(c);
	cli_printf(c, ")\n      [ \"${COMP_WORDS[i+1]}\" = '=' ] || ((i++)) ;;\n    -*) ;;\n"
	              "    *) if [ -z \"$one\" ]; then one=${COMP_WORDS[i]}; elif [ -z \"$two\" ]; then two=${COMP_WORDS[i]}; fi ;;\n"
	              "    esac\n  done\n  COMPREPLY=()\n  case $prev in\n  =|");
	bash_valued(c);
	cli_printf(c, ") return ;;\n  esac\n  [ \"$cur\" = '=' ] && return\n  firsts='");
	bash_firsts(c);
	cli_printf(c, "'\n");
	bash_tables(c);
	cli_printf(c, "  options+=' --json --help --config");
	for (size_t k = 0; k < settings_n; k++)
		cli_printf(c, " --%s", settings_table[k].name);
	cli_printf(c, "'\n  if [[ $cur == -* ]]; then words=$options\n  elif [ -z \"$one\" ]; then words=\"$firsts --version\"\n"
	              "  elif [ -z \"$two\" ]; then words=$seconds\n  fi\n"
	              "  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\ncomplete -o default -F _weir weir\n");
}

/* --- man page --- */

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
		else if (begin && *z == '\n') /* an empty line */
			cli_printf(c, ".sp\n");
		else
			cli_printf(c, "%c", *z);
		begin = *z == '\n';
	}
}

/* ".TP", a bold tag with a plain rest, and the text. */
static void man_entry(struct cli *c, const char *bold, const char *plain, const char *text, const char *end)
{
	cli_printf(c, ".TP\n\\fB");
	man_text(c, bold);
	cli_printf(c, "\\fP");
	if (*plain) {
		cli_printf(c, " ");
		man_text(c, plain);
	}
	cli_printf(c, "\n");
	man_text(c, text);
	cli_printf(c, "%s\n", end);
}

static void man_command(struct cli *c, const struct cli_command *cmd)
{
	man_entry(c, arena_printf(cli_arena(c), "weir %s", cmd->name), cmd->args, cmd->summary, ".");
	if (cmd->help) {
		man_text(c, cmd->help);
		cli_printf(c, "\n");
	}
	if (!cmd->opts || !cmd->opts[0].name)
		return;
	cli_printf(c, ".RS\n");
	for (size_t k = 0; cmd->opts[k].name; k++) {
		char left[80];

		option_name(&cmd->opts[k], left, sizeof(left));
		man_entry(c, left, "", cmd->opts[k].help, "");
	}
	cli_printf(c, ".RE\n");
}

void help_man(struct cli *c)
{
	size_t                           n;
	const struct cli_command *const *all = cli_commands(&n);

	cli_printf(c, ".TH WEIR 1 \"\" \"weir %s\"\n.SH NAME\nweir \\- regulates the flow of changes to running software\n"
	              ".SH SYNOPSIS\n.B weir\nCOMMAND [OPTIONS]\n.SH COMMANDS\n",
	           WEIR_VERSION);
	for (size_t i = 0; i < n; i++)
		if (!all[i]->hidden)
			man_command(c, all[i]);
	cli_printf(c, ".SH COMMON OPTIONS\n");
	man_entry(c, "--json", "", "print one JSON value instead of text for people", ".");
	man_entry(c, "--config FILE", "",
	          "read the settings from FILE; without it from $WEIR_CONFIG, ./weir.yaml, ~/.config/weir/weir.yaml or /etc/weir/weir.yaml, the "
	          "first that is there", ".");
	man_entry(c, "--help, -h", "", "tell what the command does", ".");
	man_entry(c, "--version", "", "tell the version", ".");
	cli_printf(c, ".SH SETTINGS\nA flag wins over the environment, that over weir.yaml, that over the default.\n");
	for (size_t i = 0; i < settings_n; i++)
		man_entry(c, arena_printf(cli_arena(c), "--%s, %s", settings_table[i].name, settings_table[i].env),
		          arena_printf(cli_arena(c), "(%s)", *settings_table[i].otherwise ? settings_table[i].otherwise : "empty"),
		          settings_table[i].doc, "");
	cli_printf(c, ".SH ENVIRONMENT\nBeside the settings; any other name that begins with WEIR_ is refused.\n");
	for (size_t i = 0; i < environment_n; i++)
		man_entry(c, environment_table[i].name, "", environment_table[i].doc, ".");
	man_entry(c, "NO_COLOR", "", "when not empty: no colours", ".");
	cli_printf(c, ".SH EXIT STATUS\n0 done, 1 refused or findings, 2 wrong input or failure, 3 not now (try again).\n");
}
