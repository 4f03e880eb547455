/* commands.h - the table of all commands, one line each: X(variable of type const struct cli_command). */
#ifndef WEIR_CLI_COMMANDS_H
#define WEIR_CLI_COMMANDS_H

#include "cli/cli.h"

#define CLI_COMMAND_TABLE(X) \
	X(cmd_help)              \
	X(cmd_completion)        \
	X(cmd_manual)            \
	X(cmd_config_show)       \
	X(cmd_config_check)      \
	X(cmd_doctor)            \
	X(cmd_serve)             \
	X(cmd_down)              \
	X(cmd_token_create)      \
	X(cmd_token_list)        \
	X(cmd_token_revoke)      \
	X(cmd_new)               \
	X(cmd_credential)        \
	X(cmd_project_create)    \
	X(cmd_project_list)      \
	X(cmd_project_show)      \
	X(cmd_project_archive)   \
	X(cmd_plan)              \
	X(cmd_run)               \
	X(cmd_runner)            \
	X(cmd_guard)             \
	X(cmd_runs)              \
	X(cmd_runs_show)         \
	X(cmd_runs_log)          \
	X(cmd_runs_cancel)       \
	X(cmd_runs_retry)        \
	X(cmd_dispatch)          \
	X(cmd_log)               \
	X(cmd_log_verify)        \
	X(cmd_insights)          \
	X(cmd_check)             \
	X(cmd_hook_install)      \
	X(cmd_hook_uninstall)    \
	X(cmd_services)          \
	X(cmd_releases)          \
	X(cmd_release_show)      \
	X(cmd_rollback)          \
	X(cmd_abort)             \
	X(cmd_pause)             \
	X(cmd_resume)            \
	X(cmd_promote)           \
	X(cmd_judge_replay)      \
	X(cmd_guard_service)     \
	X(cmd_action_release)    \
	/* end of the table */

#define X(var) extern const struct cli_command var;
CLI_COMMAND_TABLE(X)
#undef X

#endif
