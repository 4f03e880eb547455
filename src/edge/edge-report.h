/* edge-report.h - hands what applications report to the server. */
#ifndef WEIR_EDGE_EDGE_REPORT_H
#define WEIR_EDGE_EDGE_REPORT_H

#include "base/clock.h"
#include "edge/edge-pool.h"
#include "net/http.h"

#include <stdatomic.h>

struct edge_reports {
	const struct clock *clock;
	struct edge_pool    pool;
	_Atomic int64_t     away_until;      /* monotonic: until then nothing is tried */
	atomic_ulong        passed, refused;
};
void edge_reports_init(struct edge_reports *p, const char *server, const struct clock *clock);
void edge_reports_fini(struct edge_reports *p);
/* Handler of a worker route; its path is the server's, too. ctx: struct edge_reports. */
int edge_report(struct http_req *req, void *reports, struct err *reterr);

#endif
