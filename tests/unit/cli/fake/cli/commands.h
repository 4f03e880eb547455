/* commands.h - for test_cmd_new: the command line with only the commands that it tries. Found before the real one. */
#ifndef WEIR_CLI_COMMANDS_H
#define WEIR_CLI_COMMANDS_H

#include "cli/cli.h"

#define CLI_COMMAND_TABLE(X) \
	X(ABOUT, cmd_help)       \
	X(PROJECT, cmd_new)      \
	X(HIDDEN, cmd_credential)

#define X(topic, var) extern const struct cli_command var;
CLI_COMMAND_TABLE(X)
#undef X

#endif
