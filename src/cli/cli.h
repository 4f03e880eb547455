/* cli.h - the command line: one table of commands (commands.h), from which help, completion and the man page are made.
 *
 * A command is one file cmd-NAME.c with one or more `const struct cli_command`. It prints with cli_out() (people) or, with --json, one JSON
 * value with cli_json(); errors are returned, never printed, and become "weir: message" on stderr and the exit code of the error.
 * All commands that concern the server go through its API with cli_client(). */
#ifndef WEIR_CLI_CLI_H
#define WEIR_CLI_CLI_H

#include "base/arena.h"
#include "base/base.h"
#include "base/err.h"
#include "base/str.h"
#include "doc/doc.h"
#include "net/client.h"

struct cli;

struct cli_opt {
	const char *name; /* "environment" for --environment; NULL ends a list */
	const char *arg;  /* "NAME" when it takes a value ("--env NAME" and "--env=NAME"), NULL for a switch */
	const char *help;
	bool        repeat; /* may be given several times: the value is all of them, a line each */
};
struct cli_command {
	const char           *name;    /* "check", or two words: "token create" */
	const char           *args;    /* synopsis of what follows: "SERVICE --env ENVIRONMENT"; [X] optional, X... repeated */
	const char           *summary; /* one line, no full stop */
	const char           *help;    /* paragraphs for `weir help NAME` and the man page, or NULL */
	const struct cli_opt *opts;    /* own options beside the common --json, --server, --config, --help */
	unsigned              args_min, args_max;
	bool                  hidden;  /* called by weir itself (hook receive, guard): not in help */
	bool                  any_settings; /* runs although weir.yaml or the environment cannot be read: help about the program */
	int (*run)(struct cli *c, struct err *reterr); /* 0, an error, or a positive exit code */
};

struct arena *cli_arena(struct cli *c);
unsigned    cli_n_args(const struct cli *c);
const char *cli_arg(const struct cli *c, unsigned i);           /* NULL past the end */
const char *cli_option(const struct cli *c, const char *name);  /* value, or NULL when not given */
bool        cli_switch(const struct cli *c, const char *name);
bool        cli_wants_json(const struct cli *c);
bool        cli_is_terminal(const struct cli *c); /* colours and progress are fine on stdout */
const char *cli_setting(const struct cli *c, const char *name); /* effective value of a setting (settings.h), never NULL */
MUST_CHECK int cli_client(struct cli *c, struct http_client **ret, struct err *reterr); /* owned by c */
/* The access token (WEIR_TOKEN, or from token-file), in the command's arena; NULL: none. A secret: never print it but to git. */
MUST_CHECK int cli_token(struct cli *c, char **ret, struct err *reterr);
/* GET/POST of the API, parsed answer in the command's arena. body STR_NULL: none. */
MUST_CHECK int cli_call(struct cli *c, const char *method, const char *path, str body, struct doc_node **ret, struct err *reterr);

/* cli_call() without a body at the path BEFORE NAME AFTER, the name encoded as a part of a URL. */
MUST_CHECK int cli_call_named(struct cli *c, const char *method, const char *before, const char *name, const char *after, struct doc_node **ret,
                              struct err *reterr);
/* A folder for what may be made again, below $XDG_CACHE_HOME or ~/.cache: "weir" and `tail`; NULL: there is no place. */
const char *cli_cache_dir(struct cli *c, const char *tail);

void cli_printf(struct cli *c, const char *fmt, ...) PRINTF(2, 3); /* to stdout */
void cli_notef(struct cli *c, const char *fmt, ...) PRINTF(2, 3);  /* progress, hints: to stderr, not with --json */
/* What cli_printf() writes goes to `to` instead of stdout; NULL ends that. Returns where it went before (NULL: stdout). */
struct buf *cli_redirect(struct cli *c, struct buf *to);
unsigned cli_width(const struct cli *c); /* columns of the terminal, 40 to 200; 80 when stdout is none */
/* Prints a text from column `from` on, broken at spaces before the terminal's edge, later lines indented by `indent`. A line end in the
 * text counts as a space, an empty line as a paragraph, as in roff. */
void cli_print_text(struct cli *c, unsigned from, unsigned indent, const char *z);
struct jw *cli_json(struct cli *c); /* the writer of the one JSON value on stdout */
/* Colours when the terminal has them: "red", "green", "yellow", "dim", "bold", and "" to end. */
const char *cli_color(const struct cli *c, const char *name);

int cli_main(int argc, char **argv);

#endif
