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
#include <sys/ioctl.h>
#include <unistd.h>

enum { CLI_ARENA_BYTES = 256 << 20, CLI_OUT_BYTES = 256 << 20, CLI_OPTIONS_MAX = 32, CLI_ARGS_MAX = 256 };

struct cli {
	struct arena              arena;
	struct buf                out, *redirect;
	struct jw                 json;
	bool                      json_begun, terminal, color;
	const struct cli_command *command;
	const char               *args[CLI_ARGS_MAX];
	unsigned                  n_args;
	const char               *values[CLI_OPTIONS_MAX]; /* of command->opts; switches: "" when given */
	const char               *flags[32];               /* of settings_table */
	const char               *config, *json_given, *help_given, *version_given; /* NULL when not given */
	struct settings           settings;
	struct http_client       *client;
};

static const struct cli_command *const commands[] = {
#define X(topic, var) &var,
	CLI_COMMAND_TABLE(X)
#undef X
};

static const enum cli_topic topics[] = {
#define X(topic, var) CLI_TOPIC_##topic,
	CLI_COMMAND_TABLE(X)
#undef X
};

const struct cli_command *const *cli_commands(size_t *ret_n)
{
	*ret_n = ARRAY_SIZE(commands);
	return commands;
}

enum cli_topic cli_topic_of(size_t i) { return topics[i]; }

struct arena *cli_arena(struct cli *c) { return &c->arena; }
unsigned cli_n_args(const struct cli *c) { return c->n_args; }
const char *cli_arg(const struct cli *c, unsigned i) { return i < c->n_args ? c->args[i] : NULL; }
bool cli_wants_json(const struct cli *c) { return c->json_given != NULL; }
bool cli_is_terminal(const struct cli *c) { return c->terminal; }
const char *cli_setting(const struct cli *c, const char *name) { return settings_get(&c->settings, name); }
const struct settings *cli_settings(const struct cli *c) { return &c->settings; }

static int option_index(const struct cli *c, str name)
{
	for (int i = 0; c->command && c->command->opts && c->command->opts[i].name; i++)
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
	struct err e = { 0 };

	if (c->out.len && fs_write_fd(STDOUT_FILENO, "standard output", buf_str(&c->out), &e)) {
		bool reader_left = errno == EPIPE; /* as the signal would have it: silent */

		if (!reader_left)
			fprintf(stderr, "weir: %s\n", e.msg);
		_exit(reader_left ? 141 : err_exit_code(WEIR_EIO));
	}
	buf_clear(&c->out);
}

void cli_printf(struct cli *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_addv(c->redirect ? c->redirect : &c->out, fmt, ap);
	va_end(ap);
	if (c->redirect)
		return;
	if (c->out.len && (c->out.ptr[c->out.len - 1] == '\n' || c->out.len > 60000))
		cli_flush(c);
}

void cli_notef(struct cli *c, const char *fmt, ...)
{
	va_list ap;

	if (c->json_given)
		return;
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
}

struct buf *cli_redirect(struct cli *c, struct buf *to)
{
	struct buf *before = c->redirect;

	c->redirect = to;
	return before;
}

unsigned cli_width(const struct cli *c)
{
	struct winsize w;

	if (!c->terminal || ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) || !w.ws_col)
		return 80;
	return w.ws_col < 40 ? 40 : w.ws_col > 200 ? 200 : w.ws_col;
}

void cli_print_text(struct cli *c, unsigned from, unsigned indent, const char *z)
{
	unsigned width = cli_width(c), column = from;

	for (bool first = true; z && *z; first = false) {
		size_t   spaces = strspn(z, " \n"), word = strcspn(z + spaces, " \n");
		bool     paragraph = spaces > 1 && z[0] == '\n' && z[1] == '\n';
		unsigned chars = 0;

		z += spaces;
		for (size_t i = 0; i < word; i++)
			chars += ((unsigned char)z[i] & 0xc0) != 0x80;
		if (!word)
			break;
		if (paragraph || (!first && column + 1 + chars > width)) {
			cli_printf(c, "%s\n%*s", paragraph ? "\n" : "", (int)indent, "");
			column = indent;
		} else if (!first) {
			cli_printf(c, " ");
			column++;
		}
		cli_printf(c, "%.*s", (int)word, z);
		column += chars;
		z += word;
	}
	cli_printf(c, "\n");
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

	for (size_t i = 0; c->color && i < ARRAY_SIZE(colors); i++)
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

int cli_call_named(struct cli *c, const char *method, const char *before, const char *name, const char *after, struct doc_node **ret,
                   struct err *reterr)
{
	CLEANUP_BUF struct buf path = BUF_INIT(1024);
	int                    r;

	buf_addz(&path, before);
	buf_add_url(&path, str_z(name));
	buf_addz(&path, after);
	r = buf_check(&path, "the name", reterr);
	return r ? r : cli_call(c, method, buf_z(&path), STR_NULL, ret, reterr);
}

const char *cli_cache_dir(struct cli *c, const char *tail)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

	if (cache && *cache == '/')
		return arena_printf(&c->arena, "%s/weir%s", cache, tail);
	return home && *home == '/' ? arena_printf(&c->arena, "%s/.cache/weir%s", home, tail) : NULL;
}

/* --- the command line --- */

static const struct cli_command *command_named(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	return NULL;
}

/* The command at words[0], of two words where there is one. */
static const struct cli_command *command_find(int n, char **words, int *ret_words)
{
	const struct cli_command *found = NULL;
	char                      two[128];

	if (n > 1) {
		snprintf(two, sizeof(two), "%s %s", words[0], words[1]);
		found = command_named(two);
	}
	*ret_words = found ? 2 : 1;
	return found ? found : command_named(words[0]);
}

static bool is_in_group(const struct cli_command *cmd, const char *group)
{
	size_t len = strlen(group);

	return !cmd->hidden && !strncmp(cmd->name, group, len) && cmd->name[len] == ' ';
}

int command_unknown(const char *one, const char *two, struct err *reterr)
{
	const char            *names[ARRAY_SIZE(commands) + 1] = { NULL }, *near;
	CLEANUP_BUF struct buf group = BUF_INIT(2000);
	char                   text[128];
	size_t                 n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (!commands[i]->hidden)
			names[n++] = commands[i]->name;
		if (is_in_group(commands[i], one))
			buf_addf(&group, "%s%s", group.len ? ", " : "", commands[i]->name);
	}
	if (group.len && !two)
		return err_set(reterr, WEIR_EINVAL, "'%s' needs a second word: %s", one, buf_z(&group));
	snprintf(text, sizeof(text), "%s%s%s", one, group.len ? " " : "", group.len ? two : "");
	near = doc_nearest(str_z(text), names);
	return err_set(reterr, WEIR_EINVAL, "there is no command '%s'%s%s%s; `weir help` lists all", text, near ? " (did you mean '" : "",
	               near ? near : "", near ? "'?)" : "");
}

static int option_unknown(const struct cli *c, str name, struct err *reterr)
{
	const char *known[CLI_OPTIONS_MAX + 40] = { "json", "config", "help" }, *near, *of = c->command ? c->command->name : "";
	size_t      n = 3;

	for (size_t k = 0; c->command && c->command->opts && c->command->opts[k].name; k++)
		known[n++] = c->command->opts[k].name;
	for (size_t k = 0; k < settings_n; k++)
		known[n++] = settings_table[k].name;
	near = doc_nearest(name, known);
	return err_set(reterr, WEIR_EINVAL, "`weir%s%s` has no option --%.*s%s%s%s; `weir help%s%s` lists them", *of ? " " : "", of,
	               STR_ARG(name), near ? " (did you mean --" : "", near ? near : "", near ? "?)" : "", *of ? " " : "", of);
}

/* The value of the option argv[*i]: behind its '=', or the next word, past which *i is moved then. */
static int option_value(int argc, char **argv, int *i, str name, bool has_value, str *value, struct err *reterr)
{
	if (has_value)
		return 0;
	if (*i + 1 >= argc)
		return err_set(reterr, WEIR_EINVAL, "--%.*s needs a value", STR_ARG(name));
	if (str_has_prefix(str_z(argv[*i + 1]), STR("--"))) /* a forgotten value must not swallow the option behind it */
		return err_set(reterr, WEIR_EINVAL, "--%.*s needs a value (write --%.*s=%s if that is meant)", STR_ARG(name), STR_ARG(name),
		               argv[*i + 1]);
	*value = str_z(argv[++*i]);
	return 0;
}

/* Takes one "--name", "--name VALUE" or "--name=VALUE"; *i is moved past a value. */
static int option_take(struct cli *c, int argc, char **argv, int *i, struct err *reterr)
{
	str          name, value;
	bool         has_value = str_cut(str_z(argv[*i] + 2), '=', &name, &value), is_switch;
	int          own = option_index(c, name), setting = settings_find(name), r;
	const char **slot;

	is_switch = own >= 0 ? !c->command->opts[own].arg : str_eqz(name, "json") || str_eqz(name, "help");
	if (own >= 0)
		slot = &c->values[own];
	else if (str_eqz(name, "json") || str_eqz(name, "help"))
		slot = str_eqz(name, "json") ? &c->json_given : &c->help_given;
	else if (str_eqz(name, "config") || setting >= 0)
		slot = setting >= 0 ? &c->flags[setting] : &c->config;
	else
		return option_unknown(c, name, reterr);
	if (is_switch) {
		*slot = "";
		return has_value ? err_set(reterr, WEIR_EINVAL, "--%.*s takes no value", STR_ARG(name)) : 0;
	}
	r = option_value(argc, argv, i, name, has_value, &value, reterr);
	if (r)
		return r;
	if (*slot && (own < 0 || !c->command->opts[own].repeat))
		return err_set(reterr, WEIR_EINVAL, "--%.*s is given twice", STR_ARG(name));
	*slot = *slot ? arena_printf(&c->arena, "%s\n%s", *slot, value.ptr) : value.ptr;
	return 0;
}

/* Words in front of the command: only what every command takes. *ret_first: where the command begins. */
static int options_before(struct cli *c, int argc, char **argv, int *ret_first, struct err *reterr)
{
	int i = 1, r = 0;

	for (; !r && i < argc && argv[i][0] == '-'; i++) {
		if (!strcmp(argv[i], "--version"))
			c->version_given = "";
		else if (!strcmp(argv[i], "-h"))
			c->help_given = "";
		else if (argv[i][1] == '-' && argv[i][2])
			r = option_take(c, argc, argv, &i, reterr);
		else
			r = err_set(reterr, WEIR_EINVAL, "unknown option %s (options begin with --)", argv[i]);
	}
	*ret_first = i;
	return r;
}

static int args_take(struct cli *c, int argc, char **argv, int first, struct err *reterr)
{
	bool only_args = false;

	for (int i = first; i < argc; i++) {
		if (!only_args && !strcmp(argv[i], "--")) {
			only_args = true;
		} else if (!only_args && !strcmp(argv[i], "-h")) {
			c->help_given = "";
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
	return 0;
}

static int args_count(const struct cli *c, struct err *reterr)
{
	const struct cli_command *cmd = c->command;
	char                      two[128];

	if (c->n_args >= cmd->args_min && c->n_args <= cmd->args_max)
		return 0;
	snprintf(two, sizeof(two), "%s %s", cmd->name, c->n_args ? c->args[0] : "");
	for (size_t i = 0; !cmd->args_max && !command_named(two) && i < ARRAY_SIZE(commands); i++)
		if (is_in_group(commands[i], cmd->name)) /* "runs shwo": more likely a word misspelt than an argument too many */
			return command_unknown(cmd->name, c->args[0], reterr);
	return err_set(reterr, WEIR_EINVAL, "%s arguments; it goes: weir %s%s%s", c->n_args < cmd->args_min ? "too few" : "too many",
	               cmd->name, *cmd->args ? " " : "", cmd->args);
}

static void tell_version(struct cli *c)
{
	if (!c->json_given) {
		cli_printf(c, "weir %s\n", WEIR_VERSION);
		return;
	}
	jw_obj(cli_json(c));
	jw_kstrz(cli_json(c), "version", WEIR_VERSION);
	jw_end(cli_json(c));
}

static int cli_run(struct cli *c, int argc, char **argv, struct err *reterr)
{
	int first, words, r = options_before(c, argc, argv, &first, reterr);

	if (r)
		return r;
	if (c->version_given) {
		tell_version(c);
		return 0;
	}
	if (first >= argc) {
		help_overview(c);
		return c->help_given ? 0 : err_exit_code(WEIR_EINVAL);
	}
	c->command = command_find(argc - first, argv + first, &words);
	if (!c->command)
		return command_unknown(argv[first], first + 1 < argc ? argv[first + 1] : NULL, reterr);
	r = args_take(c, argc, argv, first + words, reterr);
	if (!r && c->help_given) {
		help_command(c, c->command);
		return 0;
	}
	if (!r)
		r = args_count(c, reterr);
	if (r)
		return r;
	r = settings_load(&c->arena, c->config, c->flags, &c->settings, reterr);
	if (r && !c->command->hidden && !c->command->any_settings)
		return r;
	return c->command->run(c, reterr);
}

/* What is left of the output: nothing of a JSON value when the command failed in its middle. */
static int cli_end(struct cli *c, int r, struct err *e)
{
	if (r >= 0 && buf_check(&c->out, "output", e))
		r = -e->code;
	if (r < 0 && c->json_begun)
		buf_clear(&c->out);
	else if (c->json_begun)
		buf_addc(&c->out, '\n');
	cli_flush(c);
	if (r < 0) {
		fprintf(stderr, "weir: %s\n", e->msg[0] ? e->msg : err_text(r));
		r = err_exit_code(r);
	}
	return r;
}

static bool env_is_set(const char *name) { return getenv(name) && *getenv(name); }

int cli_main(int argc, char **argv)
{
	static struct cli c;
	struct err        e = { 0 };
	int               r;

	base_init();
	arena_init(&c.arena, CLI_ARENA_BYTES);
	buf_init(&c.out, CLI_OUT_BYTES);
	c.terminal = isatty(STDOUT_FILENO);
	c.color = c.terminal && !env_is_set("NO_COLOR") && strcmp(getenv("TERM") ? getenv("TERM") : "dumb", "dumb") != 0;
	r = cli_end(&c, cli_run(&c, argc, argv, &e), &e);
	http_client_free(c.client);
	buf_fini(&c.out);
	arena_fini(&c.arena);
	return r;
}
