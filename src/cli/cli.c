/* cli.c - finds the command, reads its options and the settings, runs it, turns its error into a message and an exit code.
 *
 * One thread. Output of a command is collected and written at once at its end or when cli_printf() meets a line end on a terminal,
 * so that a pipe that closes early is noticed once. */
#include "base/base.h"
#include "cli/cli.h"
#include "base/fs.h"
#include "base/hash.h"
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/settings.h"

#include <errno.h>
#include <stdarg.h>
#include <unistd.h>

enum { CLI_ARENA_BYTES = 256 << 20, CLI_OUT_BYTES = 256 << 20, CLI_OPTIONS_MAX = 32, CLI_ARGS_MAX = 256 };

struct cli {
	struct arena              arena;
	struct buf                out;
	struct jw                 json;
	bool                      json_begun, terminal;
	const struct cli_command *command;
	const char               *args[CLI_ARGS_MAX];
	unsigned                  n_args;
	const char               *values[CLI_OPTIONS_MAX]; /* of command->opts; switches: "" when given */
	const char               *flags[32];               /* of settings_table */
	const char               *config;
	bool                      wants_json, wants_help;
	struct settings           settings;
	struct http_client       *client;
};

static const struct cli_command *const commands[] = {
#define X(var) &var,
	CLI_COMMAND_TABLE(X)
#undef X
};

const struct cli_command *const *cli_commands(size_t *ret_n)
{
	*ret_n = ARRAY_SIZE(commands);
	return commands;
}

struct arena *cli_arena(struct cli *c) { return &c->arena; }
unsigned cli_n_args(const struct cli *c) { return c->n_args; }
const char *cli_arg(const struct cli *c, unsigned i) { return i < c->n_args ? c->args[i] : NULL; }
bool cli_wants_json(const struct cli *c) { return c->wants_json; }
bool cli_is_terminal(const struct cli *c) { return c->terminal; }
const char *cli_setting(const struct cli *c, const char *name) { return settings_get(&c->settings, name); }
const struct settings *cli_settings(const struct cli *c) { return &c->settings; }

static int option_index(const struct cli *c, str name)
{
	for (int i = 0; c->command->opts && c->command->opts[i].name; i++)
		if (str_eqz(name, c->command->opts[i].name))
			return i;
	return -1;
}

const char *cli_option(const struct cli *c, const char *name)
{
	int i = option_index(c, str_z(name));

	if (i < 0)
		BUG("command '%s' has no option --%s", c->command->name, name);
	return c->values[i];
}

bool cli_switch(const struct cli *c, const char *name) { return cli_option(c, name) != NULL; }

/* --- output --- */

static void cli_flush(struct cli *c)
{
	if (c->out.len && fs_write_fd(STDOUT_FILENO, "standard output", buf_str(&c->out), NULL))
		_exit(errno == EPIPE ? 141 : 2);
	buf_clear(&c->out);
}

void cli_printf(struct cli *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_addv(&c->out, fmt, ap);
	va_end(ap);
	if (c->out.len && (c->out.ptr[c->out.len - 1] == '\n' || c->out.len > 60000))
		cli_flush(c);
}

void cli_notef(struct cli *c, const char *fmt, ...)
{
	va_list ap;

	if (c->wants_json)
		return;
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
}

struct jw *cli_json(struct cli *c)
{
	if (!c->json_begun)
		jw_init(&c->json, &c->out);
	c->json_begun = true;
	return &c->json;
}

const char *cli_color(const struct cli *c, const char *name)
{
	static const char *const colors[][2] = { { "red", "\033[31m" },  { "green", "\033[32m" }, { "yellow", "\033[33m" },
		                                     { "blue", "\033[34m" }, { "dim", "\033[2m" },    { "bold", "\033[1m" },
		                                     { "", "\033[0m" } };

	for (size_t i = 0; c->terminal && i < ARRAY_SIZE(colors); i++)
		if (!strcmp(colors[i][0], name))
			return colors[i][1];
	return "";
}

/* --- the server --- */

int cli_token(struct cli *c, char **ret, struct err *reterr)
{
	const char            *env = getenv("WEIR_TOKEN"), *file = cli_setting(c, "token-file");
	CLEANUP_BUF struct buf text = BUF_INIT(4096);
	int                    r;

	*ret = NULL;
	if (env && *env) {
		*ret = arena_dupz(&c->arena, env);
		return 0;
	}
	if (!*file)
		return 0;
	r = fs_read(file, &text, reterr);
	if (r)
		return err_wrap(reterr, "the access token (setting token-file)");
	*ret = arena_dup(&c->arena, str_trim(buf_str(&text)));
	sodium_memzero(text.ptr, text.len);
	return 0;
}

int cli_client(struct cli *c, struct http_client **ret, struct err *reterr)
{
	char *token;
	int   r = 0;

	if (!c->client) {
		r = cli_token(c, &token, reterr);
		if (!r)
			r = http_client_new(cli_setting(c, "server"), token, &c->client, reterr);
	}
	*ret = c->client;
	return r;
}

int cli_call(struct cli *c, const char *method, const char *path, str body, struct doc_node **ret, struct err *reterr)
{
	CLEANUP_BUF struct buf out = BUF_INIT(64 << 20);
	struct http_call       call = HTTP_CALL_INIT;
	struct http_client    *client;
	int                    r = cli_client(c, &client, reterr);

	if (r)
		return r;
	call.method = method;
	call.path = path;
	call.body = body;
	call.out = &out;
	r = http_call_ok(client, &call, reterr);
	if (r == -WEIR_EUNAVAIL && !call.status)
		return err_wrap(reterr, "no weir server at %s (start one with `weir serve`, or set `server`)", cli_setting(c, "server"));
	if (r)
		return r;
	if (!out.len) {
		*ret = NULL;
		return 0;
	}
	return doc_parse_json(&c->arena, "answer", buf_str(&out), ret, reterr);
}

/* --- the command line --- */

static const struct cli_command *command_find(int argc, char **argv, int *ret_words)
{
	char two[128];

	if (argc > 2) {
		snprintf(two, sizeof(two), "%s %s", argv[1], argv[2]);
		for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
			if (!strcmp(commands[i]->name, two)) {
				*ret_words = 2;
				return commands[i];
			}
	}
	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i]->name, argv[1])) {
			*ret_words = 1;
			return commands[i];
		}
	return NULL;
}

static int command_unknown(int argc, char **argv, struct err *reterr)
{
	const char *names[ARRAY_SIZE(commands) + 1] = { NULL }, *near;
	char        text[128], group[64];
	size_t      n = 0;
	bool        is_group = false;

	snprintf(group, sizeof(group), "%s ", argv[1]);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (!commands[i]->hidden)
			names[n++] = commands[i]->name;
		is_group |= str_has_prefix(str_z(commands[i]->name), str_z(group));
	}
	snprintf(text, sizeof(text), is_group && argc > 2 ? "%s %s" : "%s", argv[1], argc > 2 ? argv[2] : "");
	if (is_group && argc <= 2) {
		struct buf list = BUF_INIT(1000);

		for (size_t i = 0; i < n; i++)
			if (str_has_prefix(str_z(names[i]), str_z(group)))
				buf_addf(&list, "%s%s", list.len ? ", " : "", names[i]);
		err_set(reterr, WEIR_EINVAL, "'%s' needs a second word: %s", argv[1], buf_z(&list));
		buf_fini(&list);
		return -WEIR_EINVAL;
	}
	near = doc_nearest(str_z(text), names);
	return err_set(reterr, WEIR_EINVAL, "there is no command '%s'%s%s%s; `weir help` lists all", text, near ? " (did you mean '" : "",
	               near ? near : "", near ? "'?)" : "");
}

/* Takes one "--name", "--name VALUE" or "--name=VALUE"; *i is moved past a value. */
static int option_take(struct cli *c, int argc, char **argv, int *i, struct err *reterr)
{
	str          name, value;
	bool         has_value = str_cut(str_z(argv[*i] + 2), '=', &name, &value);
	int          own = option_index(c, name), setting = settings_find(name);
	const char **slot = NULL, *known[CLI_OPTIONS_MAX + 40] = { "json", "config", "help" }, *near;
	bool         takes = true;
	size_t       n = 3;

	if (own >= 0) {
		slot = &c->values[own];
		takes = c->command->opts[own].arg != NULL;
	} else if (str_eqz(name, "json") || str_eqz(name, "help")) {
		*(str_eqz(name, "json") ? &c->wants_json : &c->wants_help) = true;
		return has_value ? err_set(reterr, WEIR_EINVAL, "--%.*s takes no value", STR_ARG(name)) : 0;
	} else if (str_eqz(name, "config")) {
		slot = &c->config;
	} else if (setting >= 0) {
		slot = &c->flags[setting];
	}
	if (!slot) {
		for (size_t k = 0; c->command->opts && c->command->opts[k].name; k++)
			known[n++] = c->command->opts[k].name;
		for (size_t k = 0; k < settings_n; k++)
			known[n++] = settings_table[k].name;
		known[n] = NULL;
		near = doc_nearest(name, known);
		return err_set(reterr, WEIR_EINVAL, "`weir %s` has no option --%.*s%s%s%s; `weir help %s` lists them", c->command->name,
		               STR_ARG(name), near ? " (did you mean --" : "", near ? near : "", near ? "?)" : "", c->command->name);
	}
	if (!takes) {
		*slot = "";
		return has_value ? err_set(reterr, WEIR_EINVAL, "--%.*s takes no value", STR_ARG(name)) : 0;
	}
	if (!has_value && *i + 1 >= argc)
		return err_set(reterr, WEIR_EINVAL, "--%.*s needs a value", STR_ARG(name));
	if (!has_value)
		value = str_z(argv[++*i]);
	if (own >= 0 && c->command->opts[own].repeat && *slot)
		*slot = arena_printf(&c->arena, "%s\n%s", *slot, value.ptr);
	else
		*slot = value.ptr;
	return 0;
}

static int args_take(struct cli *c, int argc, char **argv, int first, struct err *reterr)
{
	bool only_args = false;

	for (int i = first; i < argc; i++) {
		if (!only_args && !strcmp(argv[i], "--")) {
			only_args = true;
		} else if (!only_args && !strcmp(argv[i], "-h")) {
			c->wants_help = true;
		} else if (!only_args && argv[i][0] == '-' && argv[i][1] == '-') {
			int r = option_take(c, argc, argv, &i, reterr);

			if (r)
				return r;
		} else if (!only_args && argv[i][0] == '-' && argv[i][1]) {
			return err_set(reterr, WEIR_EINVAL, "unknown option %s (options begin with --)", argv[i]);
		} else if (c->n_args >= CLI_ARGS_MAX) {
			return err_set(reterr, WEIR_ELIMIT, "more than %d arguments", CLI_ARGS_MAX);
		} else {
			c->args[c->n_args++] = argv[i];
		}
	}
	if (!c->wants_help && (c->n_args < c->command->args_min || c->n_args > c->command->args_max))
		return err_set(reterr, WEIR_EINVAL, "%s arguments; it goes: weir %s %s",
		               c->n_args < c->command->args_min ? "too few" : "too many", c->command->name, c->command->args);
	return 0;
}

static int cli_run(struct cli *c, int argc, char **argv, struct err *reterr)
{
	int words = 0, r;

	if (argc < 2 || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		help_overview(c);
		return argc < 2 ? 2 : 0;
	}
	if (!strcmp(argv[1], "--version")) {
		cli_printf(c, "weir %s\n", WEIR_VERSION);
		return 0;
	}
	c->command = command_find(argc, argv, &words);
	if (!c->command)
		return command_unknown(argc, argv, reterr);
	r = args_take(c, argc, argv, 1 + words, reterr);
	if (r)
		return r;
	if (c->wants_help) {
		help_command(c, c->command);
		return 0;
	}
	r = settings_load(&c->arena, c->config, c->flags, &c->settings, reterr);
	if (r && !c->command->hidden)
		return r;
	r = c->command->run(c, reterr);
	if (c->json_begun && r >= 0)
		buf_addc(&c->out, '\n');
	return r;
}

int cli_main(int argc, char **argv)
{
	static struct cli c;
	struct err        e = { 0 };
	int               r;

	base_init();
	arena_init(&c.arena, CLI_ARENA_BYTES);
	buf_init(&c.out, CLI_OUT_BYTES);
	c.terminal = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
	r = cli_run(&c, argc, argv, &e);
	cli_flush(&c);
	if (r < 0) {
		fprintf(stderr, "weir: %s\n", e.msg[0] ? e.msg : err_text(r));
		r = err_exit_code(r);
	}
	http_client_free(c.client);
	buf_fini(&c.out);
	arena_fini(&c.arena);
	return r;
}
