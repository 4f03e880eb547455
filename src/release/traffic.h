/* traffic.h - which instance answers a request: an ops struct, so that the state machine does not know the proxy.
 *
 * A slot is one service in one environment. It has two arms, A and B, each a set of servers; each request is given to B with the slot's share,
 * drawn independently. Roles change, arms do not: the canary is put on the arm that is free, and once it takes 100% it is the stable one
 * there. Every operation can be repeated. Called by the room's worker only. */
#ifndef WEIR_RELEASE_TRAFFIC_H
#define WEIR_RELEASE_TRAFFIC_H

#include "base/base.h"
#include "base/err.h"
#include "base/str.h"

enum traffic_arm { ARM_A, ARM_B };
enum { TRAFFIC_SHARE_ONE = 10000 }; /* shares are ten-thousandths */
enum { TRAFFIC_TIMEOUT_MS = 60000 }; /* of an arm that was given none */

struct traffic_route {
	char     host[256];         /* lower case; empty when routed by port */
	uint16_t port;              /* 0 when routed by host */
	char     client_header[65]; /* lower-case name of the header that tells clients apart; empty: address or connection */
};
struct traffic_counts { /* since the proxy came up */
	uint64_t done[2];   /* requests that ended, by arm */
	uint64_t failed[2]; /* of these: answered 5xx */
	char     boot[64];  /* changes when the counters began again */
};
struct traffic_ops {
	/* -WEIR_ECONFLICT when another slot has the host or port. */
	int (*set_route)(void *ctx, unsigned slot, const struct traffic_route *route, struct err *reterr);
	int (*clear_route)(void *ctx, unsigned slot, struct err *reterr);
	/* From now on requests go to B with share_b; `tag` is written into the record of each request (a release's number). */
	int (*set_share)(void *ctx, unsigned slot, unsigned share_b, uint64_t tag, struct err *reterr);
	/* From now on a request to the arm is answered with 504 once its server was silent for so long; 0: TRAFFIC_TIMEOUT_MS. Requests under way keep
	 * theirs. */
	int (*set_timeout)(void *ctx, unsigned slot, enum traffic_arm arm, unsigned timeout_ms, struct err *reterr);
	int (*add_server)(void *ctx, unsigned slot, enum traffic_arm arm, const char *name, uint16_t port, struct err *reterr);
	/* No new request from now on; forgotten once the last one ended: -WEIR_EBUSY until then. */
	int (*remove_server)(void *ctx, unsigned slot, enum traffic_arm arm, const char *name, struct err *reterr);
	int (*counts)(void *ctx, unsigned slot, struct traffic_counts *ret, struct err *reterr);
	/* Brings the proxy to the state that was set, if it is another one (it was restarted, or weir was). */
	int (*restore)(void *ctx, struct err *reterr);
	void *ctx;
};

/* --- HAProxy --- */
struct workload_process;
struct traffic_haproxy;

struct traffic_haproxy_config {
	const char *data_dir, *bind;
	uint16_t    http_port, evidence_port; /* evidence_port: where records go (loopback TCP) */
	unsigned    slots;
	struct workload_process *procs; /* runs HAProxy */
};
MUST_CHECK int traffic_haproxy_new(const struct traffic_haproxy_config *cfg, struct traffic_haproxy **ret, struct err *reterr);
struct traffic_haproxy *traffic_haproxy_free(struct traffic_haproxy *t); /* HAProxy goes on; returns NULL */
struct traffic_ops traffic_haproxy_ops(struct traffic_haproxy *t);
/* Before start, the ops only remember. Writes the files, starts HAProxy (or finds it) and restores. */
MUST_CHECK int traffic_haproxy_start(struct traffic_haproxy *t, struct err *reterr);
/* Name of the slot's arm in records ("s3_b"); false when `backend` is no arm. */
bool traffic_haproxy_arm(str backend, unsigned *ret_slot, enum traffic_arm *ret_arm);

#endif
