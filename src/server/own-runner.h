/* own-runner.h - the runner that the server starts by itself on the embedded default.
 *
 * It is a process of its own (`weir runner`), so that steps outlive the server. When one of an earlier server still runs it holds the lock of
 * its folder; the new one then ends it and takes over. */
#ifndef WEIR_SERVER_OWN_RUNNER_H
#define WEIR_SERVER_OWN_RUNNER_H

#include "base/base.h"
#include "base/err.h"

struct own_runner;

/* token_file holds the runner's token; slots: jobs at once. */
MUST_CHECK int own_runner_start(const char *data, const char *server_url, const char *token_file, unsigned slots, struct own_runner **ret,
                                struct err *reterr);
/* SIGTERM to the runner (running steps go on under their guards), waits at most 10 s; returns NULL. */
struct own_runner *own_runner_stop(struct own_runner *r);

#endif
