/* commands.h - the table of all commands, one line each: X(variable of type const struct cli_command). */
#ifndef WEIR_CLI_COMMANDS_H
#define WEIR_CLI_COMMANDS_H

#include "cli/cli.h"

#define CLI_COMMAND_TABLE(X) \
	X(cmd_help)

#define X(var) extern const struct cli_command var;
CLI_COMMAND_TABLE(X)
#undef X

#endif
