/* help.h - help, completion and man page, all made from the table of commands and the table of settings. */
#ifndef WEIR_CLI_HELP_H
#define WEIR_CLI_HELP_H

#include "cli/cli.h"
#include "cli/settings.h"

/* Groups of commands in the overview, in its order: X(name, title). */
#define CLI_TOPIC_TABLE(X)                                  \
	X(PROJECT, "Projects")                                  \
	X(LAPTOP, "Before the push, without a server")          \
	X(PIPELINE, "Pipeline runs")                            \
	X(RELEASE, "Releases")                                  \
	X(FLAG, "Flags")                                        \
	X(FACTS, "What happened, and the proof")                \
	X(SERVER, "The server, its runners and access tokens")  \
	X(ABOUT, "About this program")                          \
	X(HIDDEN, "")                                           \
	/* end of the table */

enum cli_topic {
#define X(name, title) CLI_TOPIC_##name,
	CLI_TOPIC_TABLE(X)
#undef X
};

const struct cli_command *const *cli_commands(size_t *ret_n);
enum cli_topic cli_topic_of(size_t i); /* of cli_commands()[i] */
/* The error for words that are no command: the nearest one, or the group's second words. two: NULL when there is none. */
int command_unknown(const char *one, const char *two, struct err *reterr);
const struct settings *cli_settings(const struct cli *c);

void help_overview(struct cli *c);
void help_command(struct cli *c, const struct cli_command *cmd);
void help_bash(struct cli *c); /* completion script for bash */
void help_man(struct cli *c);  /* weir(1) in roff's man macros */

#endif
