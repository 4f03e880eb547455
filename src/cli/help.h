/* help.h - help, completion and man page, all made from the table of commands and the table of settings. */
#ifndef WEIR_CLI_HELP_H
#define WEIR_CLI_HELP_H

#include "cli/cli.h"
#include "cli/settings.h"

const struct cli_command *const *cli_commands(size_t *ret_n);
const struct settings *cli_settings(const struct cli *c);

void help_overview(struct cli *c);
void help_command(struct cli *c, const struct cli_command *cmd);
void help_bash(struct cli *c); /* completion script for bash */
void help_man(struct cli *c);  /* weir(1) in roff's man macros */

#endif
