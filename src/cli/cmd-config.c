/* cmd-config.c - `weir config show|check`: the settings in force and where each comes from. */
#include "base/base.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/settings.h"

static int run_show(struct cli *c, struct err *reterr UNUSED)
{
	const struct settings *s = cli_settings(c);

	if (cli_wants_json(c)) {
		struct jw *w = cli_json(c);

		jw_obj(w);
		for (size_t i = 0; i < settings_n; i++) {
			jw_key(w, settings_table[i].name);
			jw_obj(w);
			jw_kstrz(w, "value", s->value[i]);
			jw_kstrz(w, "source", s->source[i]);
			jw_end(w);
		}
		jw_end(w);
		return 0;
	}
	for (size_t i = 0; i < settings_n; i++)
		cli_printf(c, "%s%-14s%s %-26s %s%-11s  %s%s\n", cli_color(c, "bold"), settings_table[i].name, cli_color(c, ""),
		           *s->value[i] ? s->value[i] : "-", cli_color(c, "dim"), s->source[i], settings_table[i].doc, cli_color(c, ""));
	return 0;
}

static int run_check(struct cli *c, struct err *reterr UNUSED)
{
	const struct settings *s = cli_settings(c);

	if (cli_wants_json(c)) {
		struct jw *w = cli_json(c);

		jw_obj(w);
		jw_kstrz(w, "file", s->file);
		jw_kbool(w, "ok", true);
		jw_end(w);
		return 0;
	}
	cli_printf(c, "%s: no problems\n", s->file ? s->file : "no weir.yaml: defaults and environment");
	return 0;
}

const struct cli_command cmd_config_show = {
	.name = "config show", .args = "", .summary = "Shows each setting, its value and where it comes from", .run = run_show
};
const struct cli_command cmd_config_check = {
	.name = "config check", .args = "", .summary = "Reads weir.yaml strictly and says what is wrong", .run = run_check
};
