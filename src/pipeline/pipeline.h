/* pipeline.h - building: a push becomes runs, runs become jobs, jobs go to runners, and every step of it is a fact.
 *
 * The pure part (reading and planning) is plan.h; the runner's half of the room is runner.h; protocol.md is what lies between. Here is the server's
 * half: runs and jobs in the database, logs in files, the scheduler that moves them on, and its routes.
 * Guarantees: a job runs after all it needs, is never held by two runners at once, and ends exactly once; every state change is one transaction with
 * its event; after a crash between any two writes the next start goes on. All functions may be called from any thread. */
#ifndef WEIR_PIPELINE_PIPELINE_H
#define WEIR_PIPELINE_PIPELINE_H

#include "base/base.h"
#include "base/clock.h"
#include "base/err.h"
#include "change/change.h"
#include "change/source.h"
#include "db/db.h"
#include "event/event.h"
#include "net/http.h"
#include "net/token.h"
#include "pipeline/plan.h"

struct pipeline;

struct pipeline_config {
	struct db               *db;
	struct event_log        *log;
	struct token_store      *tokens;
	struct http_server      *http;       /* for SSE; NULL: no streams */
	const struct source_ops *source;
	const char              *data;       /* folder; logs are in DATA/logs/runs */
	const char              *server_url; /* of the API, for clone URLs and github.server_url; the bytes may be filled until pipeline_start() */
	const struct clock      *clock;      /* NULL: the real one */
	int64_t                  lease_ms;   /* 0: 30 s */
	int64_t                  unclaimed_ms; /* a queued job that no runner takes ends after it; 0: 24 h */
	unsigned                 claims_max; /* claims that wait at once; 0: 8. Each holds a worker thread of the HTTP server */
};

/* Migrates and makes folders. Nothing runs before pipeline_start(). */
MUST_CHECK int pipeline_open(const struct pipeline_config *cfg, struct pipeline **ret, struct err *reterr);
/* Starts the scheduler's thread. */
MUST_CHECK int pipeline_start(struct pipeline *p, struct err *reterr);
/* Stops it; waiting claims are answered with 204. Returns NULL. After http_server_stop(). */
struct pipeline *pipeline_close(struct pipeline *p);

/* Subscriber of change.accepted (ctx: the pipeline): plans the workflows of the new commit. Repeatable: a second call for one event changes nothing. */
int pipeline_on_change(const struct event *ev, void *ctx, struct err *reterr);

/* Routes of the runner protocol and of /api/v1/.../runs; ctx: the pipeline. */
const struct http_route *pipeline_routes(size_t *ret_n);

/* The gate's "files" check over workflow files of the offered change: each problem is a finding "workflow-syntax". */
extern const struct check_ops pipeline_file_check;

/* A run as the pages need it; the same JSON that GET /api/v1/runs/:run answers. -WEIR_ENOENT. */
MUST_CHECK int pipeline_run_json(struct pipeline *p, str run, struct buf *out, struct err *reterr);
/* {"runs":[...]}, newest first, without jobs; project STR_NULL: all; commit STR_NULL: any. */
MUST_CHECK int pipeline_runs_json(struct pipeline *p, str project, str commit, size_t max, struct buf *out, struct err *reterr);
/* Bytes of a step's log from offset on, at most out->max; *ret_total what the server has. */
MUST_CHECK int pipeline_log_read(struct pipeline *p, str job, int64_t step, int64_t offset, struct buf *out, int64_t *ret_total,
                                 struct err *reterr);
/* Cancels a run: -WEIR_ECONFLICT when it has ended. by: actor. */
MUST_CHECK int pipeline_cancel(struct pipeline *p, str run, str by, struct err *reterr);

/* One turn of the scheduler at the clock's time: lost leases, time-outs, unclaimed jobs. The thread of pipeline_start() calls it each second;
 * tests call it by themselves. */
MUST_CHECK int pipeline_turn(struct pipeline *p, struct err *reterr);

#endif
