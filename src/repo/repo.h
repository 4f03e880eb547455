/* repo.h - hosting git: projects, their refs and protection, push and fetch over the stock git programs.
 *
 * One room = one folder of bare repositories (DATA/repos/NAME.git) and a few tables. git moves the refs; this room asks before (pre-receive hook, in the
 * quarantine) and records after (post-receive hook, docs/adr/0002). It does not know who answers the question: receive_ops. */
#ifndef WEIR_REPO_REPO_H
#define WEIR_REPO_REPO_H

#include "base/base.h"
#include "base/clock.h"
#include "base/err.h"
#include "change/change.h"
#include "change/source.h"
#include "db/db.h"
#include "event/event.h"
#include "net/http.h"

struct repo_store;

/* Who decides about a change. Wiring fills it with the gate. */
struct receive_ops {
	/* Fills *ret (findings in arena a) and appends to `text` what the pusher reads in the terminal. Non-zero: could not look at all. */
	int (*check)(void *ctx, const struct change *c, struct arena *a, struct verdict *ret, struct buf *text, struct err *reterr);
	void *ctx;
};

struct repo_config {
	struct db          *db;
	struct event_log   *log;
	const char         *data_dir; /* absolute */
	const char         *url;      /* of the server, for clone addresses; may be filled in later: a pointer that stays valid */
	const struct clock *clock;
	struct receive_ops  receive;
};

/* Opens the room (migrates, makes folders and hooks); starts nothing. */
MUST_CHECK int repo_open(const struct repo_config *cfg, struct repo_store **ret, struct err *reterr);
/* Mends what a crash left (repositories without a project, refs without their event), then answers the hooks. */
MUST_CHECK int repo_start(struct repo_store *s, struct err *reterr);
struct repo_store *repo_close(struct repo_store *s); /* waits for hooks under way; returns NULL */

/* Makes a project with its bare repository. Names: [a-z0-9][a-z0-9._-]*, at most LIMIT_NAME_BYTES, not ending in ".git" or ".lock".
 * template_name: golden path or STR_NULL; began_at: when `weir new` started, or 0. -WEIR_EEXIST. */
MUST_CHECK int repo_create(struct repo_store *s, str name, str template_name, usec_t began_at, str actor, struct err *reterr);
/* From now on read-only: pushes are refused. */
MUST_CHECK int repo_archive(struct repo_store *s, str name, str actor, struct err *reterr);

/* For other rooms (wiring hands it over). ctx is the store. */
struct source_ops repo_source(struct repo_store *s);

/* Routes; ctx is the store:
 *   GET, POST /git/:project.git/(star)rest               git itself (smart protocol)
 *   GET, POST /api/v1/projects                           list; create {name, template?, began_at?}
 *   GET  /api/v1/projects/:project                       one
 *   POST /api/v1/projects/:project/archive
 *   GET  /api/v1/projects/:project/refs                  name -> commit
 *   GET  /api/v1/projects/:project/changes[/:seq]        newest first; one with commits, files, findings
 *   GET  /api/v1/projects/:project/commits/:commit       one, with the files that it changes against its first parent
 *   GET  /api/v1/projects/:project/file?ref=&path=       raw, at most 1 MiB */
const struct http_route *repo_routes(size_t *ret_n);

#endif
