/* cmd-flag.h - what the commands about flags share. */
#ifndef WEIR_CLI_CMD_FLAG_H
#define WEIR_CLI_CMD_FLAG_H

#include "cli/cli.h"

/* Calls /api/v1/projects/PROJECT/flag-sets/NAME + tail of the set "PROJECT/NAME". body STR_NULL: none. */
MUST_CHECK int flag_call_set(struct cli *c, const char *method, const char *id, const char *tail, str body, struct doc_node **ret, struct err *reterr);
/* "/api/v1/projects/PROJECT/flag-sets/NAME" + tail of the set "PROJECT/NAME", in the command's arena. */
MUST_CHECK int flag_set_path(struct cli *c, const char *id, const char *tail, char **ret, struct err *reterr);
/* A JSON file; "-" is standard input. */
MUST_CHECK int flag_read_json(struct cli *c, const char *file, struct doc_node **ret, struct err *reterr);
MUST_CHECK int flag_present_revision(struct cli *c, const char *id, int64_t *ret, struct err *reterr);
/* The present definition of a flag, archived ones too; *ret NULL: there is none. */
MUST_CHECK int flag_definition(struct cli *c, const char *id, const char *key, const struct doc_node **ret, struct err *reterr);

#endif
