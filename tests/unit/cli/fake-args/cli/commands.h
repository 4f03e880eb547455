/* commands.h - for test_cli: commands of the test's own, that show what the command line made of its words. Found before the real one. */
#ifndef WEIR_CLI_COMMANDS_H
#define WEIR_CLI_COMMANDS_H

#include "cli/cli.h"

#define CLI_COMMAND_TABLE(X)  \
	X(PROJECT, cmd_echo)      \
	X(PROJECT, cmd_things)    \
	X(PROJECT, cmd_things_show) \
	X(PROJECT, cmd_box_open)  \
	X(PROJECT, cmd_box_close) \
	X(FACTS, cmd_fail)        \
	X(ABOUT, cmd_help)        \
	X(ABOUT, cmd_completion)  \
	X(ABOUT, cmd_manual)      \
	X(HIDDEN, cmd_secretly)

#define X(topic, var) extern const struct cli_command var;
CLI_COMMAND_TABLE(X)
#undef X

#endif
