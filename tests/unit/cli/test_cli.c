/* The command line with commands of the test's own (fake-args/cli/commands.h), run as a program: what is taken from which words,
 * what is refused with which message, exit codes, what stdout and stderr hold. */
#include "tests/lib/test.h"

#include "base/fs.h"
#include "base/hash.h"
#include "base/proc.h"
#include "cli/cli.h"
#include "cli/commands.h"

#include <limits.h>
#include <unistd.h>

/* --- the commands --- */

static int run_echo(struct cli *c, struct err *reterr UNUSED)
{
	cli_printf(c, "args");
	for (unsigned i = 0; i < cli_n_args(c); i++)
		cli_printf(c, " [%s]", cli_arg(c, i));
	cli_printf(c, "\nname %s\nlist %s\nfast %d\nserver %s\njson %d\n", cli_option(c, "name") ? cli_option(c, "name") : "-",
	           cli_option(c, "list") ? cli_option(c, "list") : "-", cli_switch(c, "fast"), cli_setting(c, "server"), cli_wants_json(c));
	cli_notef(c, "a note\n");
	cli_printf(c, "%scolored%s\n", cli_color(c, "red"), cli_color(c, ""));
	return 0;
}

/* "fail NAME": the error of that name, half a JSON value before it; "fail N": the exit code N. */
static int run_fail(struct cli *c, struct err *reterr)
{
	uint64_t n;

	if (cli_wants_json(c)) {
		jw_arr(cli_json(c));
		jw_int(cli_json(c), 1);
	}
	if (str_to_u64(str_z(cli_arg(c, 0)), &n)) {
		if (cli_wants_json(c))
			jw_end(cli_json(c));
		return (int)n;
	}
	for (int code = 1; code < WEIR_ERR_MAX; code++)
		if (!strcmp(err_name(code), cli_arg(c, 0)))
			return err_set(reterr, code, "it went wrong");
	return -WEIR_EINTERNAL;
}

static int run_nothing(struct cli *c, struct err *reterr UNUSED)
{
	cli_printf(c, "ran\n");
	return 0;
}

static const struct cli_opt echo_opts[] = {
	{ .name = "name", .arg = "NAME", .help = "a name" },
	{ .name = "list", .arg = "ONE", .help = "one of several", .repeat = true },
	{ .name = "fast", .help = "a switch whose help is so long that it cannot stand on one line of a terminal of the usual width" },
	{ NULL },
};
const struct cli_command cmd_echo = { .name = "echo", .args = "[WORD]...", .summary = "Says what it got", .help = ".dot first\n'quote\\ second\n\nNew paragraph.",
	                                  .opts = echo_opts, .args_max = 1000, .run = run_echo };
const struct cli_command cmd_things = { .name = "things", .args = "", .summary = "Lists", .run = run_nothing };
const struct cli_command cmd_things_show = { .name = "things show", .args = "THING", .summary = "Shows", .args_min = 1, .args_max = 1, .run = run_nothing };
const struct cli_command cmd_box_open = { .name = "box open", .args = "BOX", .summary = "Opens", .args_min = 1, .args_max = 1, .run = run_nothing };
const struct cli_command cmd_box_close = { .name = "box close", .args = "BOX", .summary = "Closes", .args_min = 1, .args_max = 1, .run = run_nothing };
const struct cli_command cmd_fail = { .name = "fail", .args = "CODE", .summary = "Fails", .args_min = 1, .args_max = 1, .run = run_fail };
const struct cli_command cmd_secretly = { .name = "secretly", .args = "", .summary = "Called by weir", .hidden = true, .run = run_nothing };

/* --- running them --- */

struct fixture {
	char       dir[PATH_MAX], self[PATH_MAX];
	struct buf out, err;
	struct err e;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	buf_init(&f->out, 1 << 20);
	buf_init(&f->err, 1 << 20);
	assert_ok(fs_temp_dir("weir-cli-", f->dir, sizeof(f->dir), &f->e), &f->e);
	assert_ok(fs_self_exe(f->self, sizeof(f->self), &f->e), &f->e);
	*state = f;
	return 0;
}
static int teardown(void **state)
{
	struct fixture *f = *state;
	int             r = fs_remove_tree(f->dir, &f->e);

	buf_fini(&f->out);
	buf_fini(&f->err);
	free(f);
	return r;
}

static int run_env(struct fixture *f, const char *extra, const char *const *argv)
{
	char            home[PATH_MAX + 8];
	const char     *env[] = { home, "PATH=/usr/bin:/bin", "ASAN_OPTIONS=detect_leaks=0", "WEIR_TEST_CLI=1", extra, NULL };
	struct proc_run p = { .argv = argv, .env = env, .cwd = f->dir, .timeout_ms = 60000, .out = &f->out, .err = &f->err };
	int             status = -1;

	snprintf(home, sizeof(home), "HOME=%s", f->dir);
	buf_clear(&f->out);
	buf_clear(&f->err);
	assert_ok(proc_run(&p, &status, &f->e), &f->e);
	return status;
}
#define WEIR(f, ...) run_env((f), NULL, (const char *const[]){ (f)->self, __VA_ARGS__, NULL })

static void seen(struct fixture *f, int line, int want, int status, const char *out, const char *err)
{
	if (status != want || !str_contains(buf_str(&f->out), str_z(out)) || !str_contains(buf_str(&f->err), str_z(err)))
		fail_msg("line %d: expected %d, '%s' and '%s'; seen %d,\n%s\nand\n%s", line, want, out, err, status, buf_z(&f->out), buf_z(&f->err));
}
#define OK(f, part, ...)  seen((f), __LINE__, 0, WEIR(f, __VA_ARGS__), part, "")
#define BAD(f, part, ...) (seen((f), __LINE__, 2, WEIR(f, __VA_ARGS__), "", part), assert_int_equal((f)->out.len, 0))

static void test_options_anywhere(void **state)
{
	struct fixture *f = *state;

	OK(f, "args [a] [b]\nname x\n", "echo", "--name", "x", "a", "b");
	OK(f, "args [a] [b]\nname x\n", "echo", "a", "--name=x", "b");
	OK(f, "args [a] [b]\nname x\n", "echo", "a", "b", "--name", "x");
	OK(f, "name a=b\n", "echo", "--name=a=b");
	OK(f, "name \n", "echo", "--name=");
	OK(f, "name -x\n", "echo", "--name", "-x");
	OK(f, "fast 1", "echo", "--fast", "--fast");
	OK(f, "fast 0", "echo");
	OK(f, "json 1", "--json", "echo");
	OK(f, "json 1", "echo", "--json");
	OK(f, "args [--name] [--] [-x]\nname -\n", "echo", "--", "--name", "--", "-x");
	OK(f, "args [-]\n", "echo", "-");
	OK(f, "args []\n", "echo", "");
}

static void test_values(void **state)
{
	struct fixture *f = *state;

	OK(f, "list a\nb,c\n d\n", "echo", "--list", "a", "--list=b,c", "--list", " d");
	BAD(f, "--name is given twice", "echo", "--name", "a", "--name=a");
	BAD(f, "--server is given twice", "echo", "--server", "http://a", "--server=http://b");
	BAD(f, "--name needs a value", "echo", "--name");
	BAD(f, "--name needs a value (write --name=--fast if that is meant)", "echo", "--name", "--fast");
	OK(f, "name --fast\nlist -\nfast 0", "echo", "--name=--fast");
	BAD(f, "--fast takes no value", "echo", "--fast=yes");
	BAD(f, "--json takes no value", "echo", "--json=1");
	BAD(f, "--help takes no value", "echo", "--help=1");
	BAD(f, "unknown option -n (options begin with --)", "echo", "-n", "x");
	BAD(f, "unknown option -n", "-n", "echo");
	BAD(f, "unknown option --", "--", "echo");
	BAD(f, "`weir echo` has no option --nam (did you mean --name?); `weir help echo` lists them", "echo", "--nam", "x");
	BAD(f, "`weir` has no option --servr (did you mean --server?); `weir help` lists them", "--servr=x", "echo");
	BAD(f, "has no option --name", "--name", "x", "echo"); /* an option of a command stands behind it */
	BAD(f, "has no option --zzzzzzzz; `weir", "echo", "--zzzzzzzz");
}

static void test_settings_are_options(void **state)
{
	struct fixture *f = *state;
	char            path[PATH_MAX + 20];

	OK(f, "server http://127.0.0.1:8420\n", "echo");
	OK(f, "server http://a:1\n", "echo", "--server", "http://a:1");
	OK(f, "server http://a:1\n", "--server=http://a:1", "echo");
	seen(f, __LINE__, 0, run_env(f, "WEIR_SERVER=http://b:2", (const char *const[]){ f->self, "echo", NULL }), "server http://b:2\n", "");
	BAD(f, "--server: 'ftp://x' is not an http", "echo", "--server", "ftp://x");
	snprintf(path, sizeof(path), "%s/weir.yaml", f->dir);
	assert_ok(fs_write_quick(path, STR("server: http://c:3\n"), 0644, &f->e), &f->e);
	OK(f, "server http://c:3\n", "echo");
	BAD(f, "nowhere.yaml", "echo", "--config", "nowhere.yaml");
	BAD(f, "nowhere.yaml", "--config=nowhere.yaml", "echo");
	assert_ok(fs_write_quick(path, STR("servr: http://c:3\n"), 0644, &f->e), &f->e);
	BAD(f, "weir.yaml:1:1: unknown key 'servr' (did you mean 'server'?)", "echo");
	OK(f, "Says what it got", "help", "echo"); /* help is there when the settings are broken */
	OK(f, ".TH WEIR", "manual");
	OK(f, "complete -o", "completion", "bash");
	OK(f, "ran", "secretly"); /* called by weir and git, which must not fail for a file of the user's folder */
}

static void test_which_command(void **state)
{
	struct fixture *f = *state;

	OK(f, "ran", "things");
	OK(f, "ran", "things", "show", "x");
	BAD(f, "too many arguments; it goes: weir things\n", "things", "--", "show"); /* an argument, not a word of the command's name */
}

static void test_unknown_commands(void **state)
{
	struct fixture *f = *state;

	BAD(f, "there is no command 'ecco' (did you mean 'echo'?); `weir help` lists all", "ecco");
	BAD(f, "there is no command 'zzzzzzzzz'; `weir help`", "zzzzzzzzz");
	BAD(f, "'box' needs a second word: box open, box close", "box");
	BAD(f, "there is no command 'box opne' (did you mean 'box open'?)", "box", "opne");
	BAD(f, "there is no command 'things shwo' (did you mean 'things show'?)", "things", "shwo");
	BAD(f, "there is no command 'ecco'", "ecco", "a", "b");
	BAD(f, "there is no command 'secretl';", "secretl"); /* hidden ones are not proposed */
	BAD(f, "there is no command ''", "");
	BAD(f, "too few arguments; it goes: weir things show THING", "things", "show");
	BAD(f, "too many arguments; it goes: weir box open BOX", "box", "open", "a", "b");
	BAD(f, "there is no command 'ecco' (did you mean 'echo'?)", "help", "ecco");
	BAD(f, "'box' needs a second word", "help", "box");
	BAD(f, "there is no command 'box opne' (did you", "help", "box", "opne");
}

static void test_too_many_words(void **state)
{
	struct fixture *f = *state;
	const char     *argv[300] = { f->self, "echo" };

	for (size_t i = 2; i < 259; i++)
		argv[i] = "x";
	seen(f, __LINE__, 2, run_env(f, NULL, argv), "", "more than 256 arguments");
	argv[258] = NULL;
	seen(f, __LINE__, 0, run_env(f, NULL, argv), "args [x]", "");
}

static void test_help(void **state)
{
	struct fixture *f = *state;
	const char     *ways[][3] = { { "help", "echo" }, { "echo", "--help" }, { "echo", "-h" }, { "--help", "echo" }, { "-h", "echo" } };

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		OK(f, "weir echo [WORD]...\n\nSays what it got.\n\n.dot first 'quote\\ second\n\nNew paragraph.\n\n", ways[i][0], ways[i][1]);
		assert_true(str_contains(buf_str(&f->out), STR("--list ONE... ")));
	}
	OK(f, "weir things show THING", "things", "show", "--help"); /* without its argument */
	OK(f, "weir things show THING", "help", "things", "show");
	OK(f, "usage: weir COMMAND", "--help");
	OK(f, "usage: weir COMMAND", "-h");
	OK(f, "usage: weir COMMAND", "help");
	assert_false(str_contains(buf_str(&f->out), STR("secretly")));
	assert_true(str_contains(buf_str(&f->out), STR("\nProjects\n  echo  ")));
	seen(f, __LINE__, 2, run_env(f, NULL, (const char *const[]){ f->self, NULL }), "usage: weir COMMAND", "");
	OK(f, "weir " WEIR_VERSION "\n", "--version");
	OK(f, "{\"version\":\"" WEIR_VERSION "\"}\n", "--version", "--json");
	OK(f, "[{\"name\":\"echo\",", "help", "--json");
	OK(f, "{\"name\":\"things show\",\"args\":\"THING\",\"summary\":\"Shows\",\"help\":null,\"options\":[]}\n", "help", "--json", "things", "show");
	OK(f, "\".TH WEIR", "manual", "--json");
	/* no control line of roff out of a text */
	OK(f, "\n\\&.dot first\n\\&'quote\\e second\n.sp\nNew paragraph.\n", "manual");
	BAD(f, "there is one for bash", "completion", "fish");
}

static void test_lines_end_before_the_edge(void **state)
{
	struct fixture *f = *state;
	str             rest, line;

	OK(f, "echo", "help", "echo");
	rest = buf_str(&f->out);
	while (str_cut(rest, '\n', &line, &rest))
		if (line.len > 80)
			fail_msg("longer than 80: %.*s", STR_ARG(line));
}

static void test_exit_codes(void **state)
{
	struct fixture *f = *state;

	for (int code = 1; code < WEIR_ERR_MAX; code++) {
		seen(f, __LINE__, err_exit_code(code), WEIR(f, "fail", err_name(code)), "", "weir: it went wrong\n");
		assert_int_equal(f->out.len, 0);
		/* half a JSON value is none */
		seen(f, __LINE__, err_exit_code(code), WEIR(f, "fail", "--json", err_name(code)), "", "weir: it went wrong\n");
		assert_int_equal(f->out.len, 0);
	}
	seen(f, __LINE__, 1, WEIR(f, "fail", "1"), "", "");
	seen(f, __LINE__, 1, WEIR(f, "fail", "1", "--json"), "[1]\n", "");
	assert_int_equal(f->err.len, 0);
}

static void test_outputs(void **state)
{
	struct fixture *f = *state;
	const char     *to_full = "exec \"$0\" echo >/dev/full", *to_closed = "{ \"$0\" help; echo $? >&2; } | true; exit 0";

	OK(f, "\ncolored\n", "echo"); /* no terminal: no escape codes */
	assert_false(str_contains(buf_str(&f->out), STR("\033")));
	assert_true(str_contains(buf_str(&f->err), STR("a note\n")));
	OK(f, "json 1", "echo", "--json");
	assert_int_equal(f->err.len, 0); /* no notes beside a JSON value */
	seen(f, __LINE__, 2, run_env(f, NULL, (const char *const[]){ "sh", "-c", to_full, f->self, NULL }), "",
	     "weir: standard output: cannot write: No space left on device");
	seen(f, __LINE__, 0, run_env(f, NULL, (const char *const[]){ "sh", "-c", to_closed, f->self, NULL }), "", "");
	assert_false(str_contains(buf_str(&f->err), STR("weir:"))); /* a reader that left is no error worth a message */
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_options_anywhere, setup, teardown),
		cmocka_unit_test_setup_teardown(test_values, setup, teardown),
		cmocka_unit_test_setup_teardown(test_settings_are_options, setup, teardown),
		cmocka_unit_test_setup_teardown(test_which_command, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unknown_commands, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_many_words, setup, teardown),
		cmocka_unit_test_setup_teardown(test_help, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lines_end_before_the_edge, setup, teardown),
		cmocka_unit_test_setup_teardown(test_exit_codes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_outputs, setup, teardown),
	};

	if (getenv("WEIR_TEST_CLI")) /* started again by itself: be the command line */
		return cli_main(argc, argv);
	base_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
