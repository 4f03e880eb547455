/* cmd-config.c - `weir config show|check`: the settings in force and where each comes from. */
#include "base/base.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/settings.h"

/* The value as it may be shown: the password of a database's address is left out. */
static const char *shown(struct cli *c, size_t i, const char *value)
{
	const char *begin = strstr(value, "://"), *at, *colon, *word;

	if (strcmp(settings_table[i].name, "database"))
		return value;
	word = strstr(value, "password=");
	if (word)
		return arena_printf(cli_arena(c), "%.*s***%s", (int)(word - value) + 9, value, word + strcspn(word, "& "));
	at = begin ? strrchr(begin, '@') : NULL;
	colon = at ? memchr(begin + 3, ':', (size_t)(at - begin - 3)) : NULL;
	return colon ? arena_printf(cli_arena(c), "%.*s:***%s", (int)(colon - value), value, at) : value;
}

static int run_show(struct cli *c, struct err *reterr UNUSED)
{
	const struct settings *s = cli_settings(c);

	if (cli_wants_json(c)) {
		struct jw *w = cli_json(c);

		jw_obj(w);
		for (size_t i = 0; i < settings_n; i++) {
			jw_key(w, settings_table[i].name);
			jw_obj(w);
			jw_kstrz(w, "value", shown(c, i, s->value[i]));
			jw_kstrz(w, "source", s->source[i]);
			jw_end(w);
		}
		jw_end(w);
		return 0;
	}
	for (size_t i = 0; i < settings_n; i++) {
		cli_printf(c, "%s%-13s%s %s", cli_color(c, "bold"), settings_table[i].name, cli_color(c, ""), *s->value[i] ? shown(c, i, s->value[i]) : "-");
		cli_printf(c, "  %s(%s)%s\n              %s", cli_color(c, "dim"), s->source[i], cli_color(c, ""), cli_color(c, "dim"));
		cli_print_text(c, 14, 14, arena_printf(cli_arena(c), "%s%s", settings_table[i].doc, cli_color(c, "")));
	}
	if (s->file)
		cli_notef(c, "read from %s\n", s->file);
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
