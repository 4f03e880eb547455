/* settings.h - the one table of settings: a flag (--name VALUE) wins over the environment, that over weir.yaml, that over the default.
 *
 * Relative paths in weir.yaml are relative to that file's folder; elsewhere to the working folder. Secrets are never settings: a
 * setting names the file that holds one (token-file), or the environment carries it (WEIR_TOKEN). */
#ifndef WEIR_CLI_SETTINGS_H
#define WEIR_CLI_SETTINGS_H

#include "base/arena.h"
#include "base/base.h"
#include "base/err.h"
#include "base/str.h"

enum setting_kind { SETTING_TEXT, SETTING_PATH, SETTING_URL, SETTING_INT, SETTING_COUNT, SETTING_ADDRESS };

/* X(name, environment variable, kind, default, what it is for) */
#define SETTING_TABLE(X)                                                                                                   \
	X("data", "WEIR_DATA", SETTING_PATH, "weir-data", "folder that holds everything the server keeps")                      \
	X("database", "WEIR_DATABASE", SETTING_TEXT, "", "sqlite:PATH or postgresql://...; empty: sqlite:DATA/weir.db")           \
	X("listen", "WEIR_LISTEN", SETTING_ADDRESS, "127.0.0.1:8420", "address and port of API, pages and git; port 0: any free one") \
	X("url", "WEIR_URL", SETTING_URL, "", "address under which people and runners reach the server; empty: http://LISTEN")   \
	X("http", "WEIR_HTTP", SETTING_ADDRESS, "127.0.0.1:8480", "address and port where HAProxy answers the users of services") \
	X("service-ports", "WEIR_SERVICE_PORTS", SETTING_TEXT, "20000-20999", "loopback ports that instances of services listen on") \
	X("runner-slots", "WEIR_RUNNER_SLOTS", SETTING_INT, "2", "jobs that the server's own runner works on at once; 0: no own runner") \
	X("http-threads", "WEIR_HTTP_THREADS", SETTING_INT, "2", "event loops of the HTTP server")                              \
	X("http-workers", "WEIR_HTTP_WORKERS", SETTING_INT, "16", "threads for requests that wait (git, writes)")               \
	X("flags-per-second", "WEIR_FLAGS_PER_SECOND", SETTING_COUNT, "200000", "evaluations of flags that one token may ask for per second, and a hundredth of it per address without a valid one; 0: no limit") \
	X("keep-versions", "WEIR_KEEP_VERSIONS", SETTING_INT, "10", "newest releases of each service and environment whose versions stay on disk; what serves, or a rollback could want, always stays") \
	X("keep-logs-days", "WEIR_KEEP_LOGS_DAYS", SETTING_INT, "30", "days that logs of ended instances stay, at most 1 GiB of them") \
	X("log-level", "WEIR_LOG_LEVEL", SETTING_TEXT, "info", "debug, info, warn or error")                                    \
	X("server", "WEIR_SERVER", SETTING_URL, "http://127.0.0.1:8420", "server that the command line talks to")               \
	X("token-file", "WEIR_TOKEN_FILE", SETTING_PATH, "", "file with the access token of the command line; WEIR_TOKEN may carry the token itself")

/* What else weir's environment may hold; any other WEIR_* name is refused by name. "*" at the end: any tail.
 * X(name, what it is for) */
#define ENVIRONMENT_TABLE(X)                                                                                                \
	X("WEIR_CONFIG", "the file with the settings, instead of the first that is there")                                      \
	X("WEIR_TOKEN", "the access token itself, instead of the file that token-file names")                                   \
	X("WEIR_SERVER_URL", "set by weir for the step weir/release: address of the server")                                    \
	X("WEIR_HOOK_SOCKET", "set by weir for the hooks of a push")                                                            \
	X("WEIR_PUSH", "set by weir for the hooks of a push")                                                                   \
	X("WEIR_BIN", "not read by weir: the program that weir's own tests try")                                                \
	X("WEIR_CONFORMANCE", "not read by weir: folder with the public suites that weir's own tests run")                      \
	X("WEIR_TEST_*", "not read by weir: for its own tests, as WEIR_BENCH_*, WEIR_SIM_*, WEIR_STORY_* and WEIR_KEEP")        \
	X("WEIR_BENCH_*", "not read by weir")                                                                                   \
	X("WEIR_SIM_*", "not read by weir")                                                                                     \
	X("WEIR_STORY_*", "not read by weir")                                                                                   \
	X("WEIR_KEEP", "not read by weir")

struct environment_name {
	const char *name, *doc;
};
extern const struct environment_name environment_table[];
extern const size_t                  environment_n;

struct setting {
	const char       *name, *env, *otherwise, *doc;
	enum setting_kind kind;
};
extern const struct setting settings_table[];
extern const size_t         settings_n;

struct settings {
	char *value[32];        /* by index in settings_table; in the arena */
	const char *source[32]; /* "default", "weir.yaml", "environment", "flag" */
	char *file;             /* the weir.yaml that was read, or NULL */
};

/* Index of a setting by name, or -1. */
int settings_find(str name);
/* Fills all values. config: --config FILE, or NULL: $WEIR_CONFIG, ./weir.yaml, ~/.config/weir/weir.yaml, /etc/weir/weir.yaml, the first
 * that is there. flags[i]: value given on the command line or NULL. Unknown keys, unknown WEIR_* names of the environment and bad values
 * are errors with their place; all values are set also when the environment holds an unknown name. */
MUST_CHECK int settings_load(struct arena *a, const char *config, const char *const *flags, struct settings *ret, struct err *reterr);
const char *settings_get(const struct settings *s, const char *name); /* BUG on an unknown name */
/* "HOST:PORT" into its parts; -WEIR_EINVAL naming `what`. */
MUST_CHECK int settings_address(const char *what, const char *text, char *host, size_t host_size, uint16_t *ret_port, struct err *reterr);

#endif
