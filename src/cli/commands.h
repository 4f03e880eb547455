/* commands.h - the table of all commands, one line each: X(topic of help.h's table, variable of type const struct cli_command). */
#ifndef WEIR_CLI_COMMANDS_H
#define WEIR_CLI_COMMANDS_H

#include "cli/cli.h"

#define CLI_COMMAND_TABLE(X)        \
	X(PROJECT, cmd_new)             \
	X(PROJECT, cmd_project_create)  \
	X(PROJECT, cmd_project_list)    \
	X(PROJECT, cmd_project_show)    \
	X(PROJECT, cmd_project_archive) \
	X(LAPTOP, cmd_check)            \
	X(LAPTOP, cmd_hook_install)     \
	X(LAPTOP, cmd_hook_uninstall)   \
	X(LAPTOP, cmd_plan)             \
	X(LAPTOP, cmd_run)              \
	X(PIPELINE, cmd_runs)           \
	X(PIPELINE, cmd_runs_show)      \
	X(PIPELINE, cmd_runs_log)       \
	X(PIPELINE, cmd_runs_cancel)    \
	X(PIPELINE, cmd_runs_retry)     \
	X(PIPELINE, cmd_dispatch)       \
	X(RELEASE, cmd_services)        \
	X(RELEASE, cmd_releases)        \
	X(RELEASE, cmd_release_show)    \
	X(RELEASE, cmd_pause)           \
	X(RELEASE, cmd_resume)          \
	X(RELEASE, cmd_promote)         \
	X(RELEASE, cmd_abort)           \
	X(RELEASE, cmd_rollback)        \
	X(FLAG, cmd_flag_sets)         \
	X(FLAG, cmd_flag_create)       \
	X(FLAG, cmd_flag_list)         \
	X(FLAG, cmd_flag_show)         \
	X(FLAG, cmd_flag_put)          \
	X(FLAG, cmd_flag_on)           \
	X(FLAG, cmd_flag_off)          \
	X(FLAG, cmd_flag_remove)       \
	X(FLAG, cmd_flag_archive)      \
	X(FLAG, cmd_flag_unarchive)    \
	X(FLAG, cmd_flag_draft)        \
	X(FLAG, cmd_flag_schedule)     \
	X(FLAG, cmd_flag_diff)         \
	X(FLAG, cmd_flag_blast)        \
	X(FLAG, cmd_flag_samples)      \
	X(FLAG, cmd_flag_import)       \
	X(FLAG, cmd_flag_eval)         \
	X(FLAG, cmd_flag_explain)      \
	X(FLAG, cmd_flag_history)      \
	X(FLAG, cmd_flag_usage)        \
	X(FLAG, cmd_flag_references)   \
	X(FLAG, cmd_flag_stale)        \
	X(FLAG, cmd_flag_rollout)      \
	X(FLAG, cmd_flag_rollouts)     \
	X(FACTS, cmd_log)               \
	X(FACTS, cmd_log_verify)        \
	X(FACTS, cmd_insights)          \
	X(FACTS, cmd_judge_replay)      \
	X(SERVER, cmd_config_show)      \
	X(SERVER, cmd_config_check)     \
	X(SERVER, cmd_doctor)           \
	X(SERVER, cmd_serve)            \
	X(SERVER, cmd_down)             \
	X(SERVER, cmd_token_create)     \
	X(SERVER, cmd_token_list)       \
	X(SERVER, cmd_token_revoke)     \
	X(SERVER, cmd_runner)           \
	X(SERVER, cmd_edge)             \
	X(ABOUT, cmd_help)              \
	X(ABOUT, cmd_completion)        \
	X(ABOUT, cmd_manual)            \
	X(HIDDEN, cmd_guard)            \
	X(HIDDEN, cmd_credential)       \
	X(HIDDEN, cmd_guard_service)    \
	X(HIDDEN, cmd_action_release)   \
	/* end of the table */

#define X(topic, var) extern const struct cli_command var;
CLI_COMMAND_TABLE(X)
#undef X

#endif
