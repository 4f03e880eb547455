/* release.h - shipping: a stored version becomes the one that users are answered by, in steps, as far as the evidence carries it.
 *
 * One room = one data folder. Services, their supervisor (s6) and HAProxy run beside weir and outlive it; release_start() finds them again.
 * A release is a row with a state (judge/rollout.h has the pure state machine); each transition is one transaction with its event, and every
 * transition can be repeated. A newer release of the same service and environment supersedes the one under way.
 *
 * Data folder: artifacts/sha256/xx/DIGEST.tar.zst (as uploaded) · versions/DIGEST/ (unpacked, read-only) · services/NAME/ (s6 service
 * folders) · supervise/ (s6-svscan) · haproxy/ (configuration, maps, sockets) · logs/NAME/ */
#ifndef WEIR_RELEASE_RELEASE_H
#define WEIR_RELEASE_RELEASE_H

#include "base/base.h"
#include "base/clock.h"
#include "base/err.h"
#include "change/change.h"
#include "change/source.h"
#include "db/db.h"
#include "event/event.h"
#include "net/http.h"

struct release_room;

/* How instances of a project ask for its flags: where, and with which token (not to be logged). */
struct release_flags_ops {
	int (*access)(void *ctx, str project, char *endpoint, size_t endpoint_size, char *token, size_t token_size, struct err *reterr);
	void *ctx;
};

struct release_config {
	struct db          *db;
	struct event_log   *log;
	const char         *data_dir;   /* absolute; made when absent */
	struct source_ops   source;     /* where service.yaml is read from */
	struct release_flags_ops flags; /* access NULL: a service.yaml with 'flags' cannot be released */
	const struct clock *clock;
	const char         *bind;       /* address HAProxy listens on: "127.0.0.1" */
	uint16_t            http_port;  /* HAProxy's port for services routed by host name; 0: a free one, chosen once and kept */
	uint16_t            port_first, port_last; /* instances listen on loopback ports of this range; 0, 0: 20000 to 29999 */
	unsigned            slots;      /* services times environments that HAProxy is prepared for; 0: 200 */
	unsigned            keep_versions;  /* newest releases of each service and environment whose versions stay on disk; 0: 10 */
	unsigned            keep_logs_days; /* of ended instances; 0: 30 */
	int64_t             keep_logs_bytes; /* of all ended instances together; 0: LIMIT_ENDED_LOGS_BYTES */
	/* What s6 runs for each instance; "SERVICE_DIR" is appended. NULL: {this program, "guard-service"}. Must be absolute. */
	const char *const  *guard_argv;
};

/* Opens the room over its data folder (migrates the tables); starts nothing. */
MUST_CHECK int release_open(const struct release_config *cfg, struct release_room **ret, struct err *reterr);
/* Starts or finds the supervisor and HAProxy, restores maps and servers, starts the evidence listener and the worker. */
MUST_CHECK int release_start(struct release_room *r, struct err *reterr);
/* Stops weir's own threads; HAProxy and the services go on. Returns NULL. */
struct release_room *release_close(struct release_room *r);
/* Ends HAProxy, all services and their supervisor (`./dev down`); works without a server. Waits for at most timeout_ms. */
MUST_CHECK int release_shutdown_workloads(const char *data_dir, int64_t timeout_ms, struct err *reterr);
struct release_tidied { /* what was removed */
	unsigned versions, logs;
	int64_t  version_bytes, log_bytes; /* as stored, without the unpacked files */
};
/* Removes versions that no release could want any more and old logs of ended instances (keep.c has the rule). The room does it by itself once an hour. */
MUST_CHECK int release_tidy(struct release_room *r, struct release_tidied *ret, struct err *reterr);
uint16_t release_http_port(const struct release_room *r); /* after release_start() */

/* Routes; ctx is the room:
 *   PUT  /api/v1/artifacts                        tar.zst -> {digest, bytes}
 *   POST /api/v1/releases                         {project, service?, environment, digest, commit, run?} -> {id}
 *   GET  /api/v1/releases/:release                state, arms, shares, counts, verdict, points for the chart
 *   POST /api/v1/releases/:release/ACTION         abort, pause, resume, promote
 *   GET  /api/v1/projects/:project/releases       newest first
 *   POST /api/v1/projects/:project/rollback       {environment, service?}
 *   GET  /api/v1/services                         each service and environment with version, url, share, state */
const struct http_route *release_routes(size_t *ret_n);

/* The check "files" for .weir/service.yaml in an offered change. */
extern const struct check_ops release_file_check;

/* What `weir guard-service SERVICE_DIR` does (hidden; s6 starts it): runs one instance in its sandbox, hands SIGTERM on to the service itself,
 * SIGKILL after the grace time. Returns the exit code. */
int release_guard_main(const char *service_dir);

#endif
