/* service-file.h - .weir/service.yaml: what a project's services are and how they are released. Pure.
 *
 *   service: shop
 *   command: ["python3", "app.py"]         # run in the folder of the stored files, with PORT
 *   health: {path: /healthz, interval: 1s, timeout: 2s, healthy-after: 1, start-within: 60s}
 *   route: {host: shop.localhost}          # or {port: 8501}
 *   client: address                        # or connection, or {header: X-User}: tells users apart when errors are counted
 *   stop-grace: 10s
 *   request-timeout: 60s                   # an instance silent for so long has failed the request (504)
 *   limits: {memory: 1GiB, processes: 4096} # of each instance; one that meets a limit is ended and started again
 *   environments:
 *     production: {instances: 2, env: {LOG: info}, flags: production}
 *     staging: {route: {host: shop-staging.localhost}}
 *   rollout:
 *     steps: [5%, 50%, 100%]
 *     bake: 10m
 *     budget: 1%
 *     hold: {after: 15m, then: ask}        # or roll-back
 *     # and every other parameter of the judge
 *
 * Several services in one repository: `services:` with a map from name to the same keys (without `service`). */
#ifndef WEIR_RELEASE_SERVICE_FILE_H
#define WEIR_RELEASE_SERVICE_FILE_H

#include "base/arena.h"
#include "base/base.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "doc/doc.h"
#include "judge/rollout.h"
#include "release/traffic.h"

#define SERVICE_FILE_PATH ".weir/service.yaml"
#define SERVICE_MEMORY_DEFAULT (1LL << 30)
enum { SERVICE_ARGS_MAX = 256, SERVICE_INSTANCES_MAX = 50, SERVICE_ENVIRONMENTS_MAX = 32, SERVICES_MAX = 64, SERVICE_PROCESSES_DEFAULT = 4096 };

enum service_client { CLIENT_ADDRESS, CLIENT_CONNECTION, CLIENT_HEADER };

struct service_rollout {
	struct rollout_plan plan;
	usec_t   error_window; /* errors count once per client and this long */
	struct judge_params judge;
};
struct service_environment {
	str                  name;
	uint32_t             line, col;
	unsigned             instances;
	struct traffic_route route;
	const char *const   *env; /* NULL-ended "K=V" */
	str                  flags; /* the project's flag set that instances ask (OFREP_ENDPOINT, OFREP_HEADERS); empty: none */
};
struct service_def {
	str                name;
	const char *const *argv; /* NULL-ended */
	char               health_path[256];
	usec_t             health_interval, health_timeout, start_within;
	unsigned           healthy_after; /* good answers in a row */
	enum service_client client;
	usec_t             stop_grace, request_timeout;
	int64_t            memory_max;    /* bytes of one instance, its /tmp included */
	unsigned           processes_max; /* processes and threads of one instance */
	struct service_rollout rollout;
	struct service_environment *envs;
	size_t             n_envs;
};
struct service_file {
	struct service_def *services;
	size_t              n;
};

/* Reads the tree strictly; every problem goes to c with its place. All texts live in c->arena. */
void service_file_read(struct doc_check *c, const struct doc_node *root, struct service_file *ret);
/* Parses and reads; -WEIR_EPARSE or -WEIR_EINVAL with "file:line:col: ..." of the first problem. */
MUST_CHECK int service_file_parse(struct arena *a, str text, struct service_file *ret, struct err *reterr);
/* The service (STR_NULL: the only one) and its environment. -WEIR_ENOENT names those that there are. */
MUST_CHECK int service_file_find(const struct service_file *f, str service, str environment, const struct service_def **ret_def,
                                 const struct service_environment **ret_env, struct err *reterr);

#endif
