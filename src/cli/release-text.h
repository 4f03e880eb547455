/* release-text.h - a release in words, for the terminal and for a job's log. */
#ifndef WEIR_CLI_RELEASE_TEXT_H
#define WEIR_CLI_RELEASE_TEXT_H

#include "cli/cli.h"

/* One line: where the release stands and why; to stderr. r: the API's answer. */
void release_text_line(struct cli *c, const struct doc_node *r);
/* The evidence of an ended release in a few sentences; to stderr. */
void release_text_evidence(struct cli *c, const struct doc_node *r);
/* The whole release, to stdout. */
void release_text_show(struct cli *c, const struct doc_node *r);

#endif
