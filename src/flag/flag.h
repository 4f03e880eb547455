/* flag.h - flags: released apart from deployments, served to the clients that people already use.
 *
 * Words. A set is one namespace of flags: it belongs to a project, has a name (usually an environment's) and the id "PROJECT/NAME", and is kept either in
 * the store, with all its revisions, or in the repository as .weir/flags/NAME.json of the default branch; never both. A revision is a set as one change
 * left it. Clients choose a set by their token's project and by flagd's selector (flagSetId=ID).
 *
 * Readers see an immutable table of compiled sets, swapped whole; they take no lock. A change is one transaction with its event flag.changed, then the
 * table is swapped: what was acknowledged is on disk, what does not compile is refused before. */
#ifndef WEIR_FLAG_FLAG_H
#define WEIR_FLAG_FLAG_H

#include "base/base.h"
#include "base/clock.h"
#include "base/err.h"
#include "change/change.h"
#include "change/source.h"
#include "db/db.h"
#include "event/event.h"
#include "net/http.h"

struct flag_room;

struct flag_config {
	struct db          *db;
	struct event_log   *log;
	struct source_ops   source; /* where .weir/flags is read from */
	const struct clock *clock;
};

/* Opens the room (migrates the tables) and loads all sets. */
MUST_CHECK int flag_open(const struct flag_config *cfg, struct flag_room **ret, struct err *reterr);
/* Follows other servers' changes from now on. http: where event streams are served. */
MUST_CHECK int flag_start(struct flag_room *r, struct http_server *http, struct err *reterr);
struct flag_room *flag_close(struct flag_room *r); /* after the HTTP server stopped; NULL fine; returns NULL */

/* Routes; ctx is the room:
 *   GET    /api/v1/flag-sets                                   all sets
 *   PUT    /api/v1/projects/:project/flag-sets/:set            {environment?} makes an empty set
 *   GET    /api/v1/projects/:project/flag-sets/:set            flagd's document; ?revision=N
 *   POST   /api/v1/projects/:project/flag-sets/:set/changes    {base, flags: {KEY: definition | null}, evaluators?, metadata?, segments?, comment?}
 *   GET    /api/v1/projects/:project/flag-sets/:set/revisions  newest first
 *   GET    /api/v1/projects/:project/flag-sets/:set/flags      by key: what each is, who changed it last; ?q= state= purpose= owner= after= limit=
 *   GET    /api/v1/projects/:project/flag-sets/:set/flag?key=K one flag: definition, needs, needed_by, history
 *   POST   /api/v1/projects/:project/flag-sets/:set/evaluate   {key, context, at? | revision?}: the answer and why
 *   POST   /api/v1/projects/:project/flag-sets/:set/rollouts   {flag, definition, base, outcomes, steps?, ...}: a change by steps
 *   GET    the same; GET /api/v1/flag-rollouts/:id; POST /api/v1/flag-rollouts/:id/orders {order: promote | pause | resume | abort}
 *   POST   /api/v1/flags/track                                 {events: [...]}: what applications saw
 *   GET    /api/v1/projects/:project/flag-sets/:set/unleash    {left_out: [{key, why}]}: what Unleash's clients cannot evaluate themselves
 *   GET    /api/v1/projects/:project/flag-sets/:set/clients    applications that registered; .../counts: what they counted
 *   GET    /api/client/features, /delta, /streaming, POST /api/client/register, /metrics, /api/frontend: Unleash's protocol
 *   drafts, differences, blast radius, samples: flag-draft.h
 *   POST   /ofrep/v1/evaluate/flags, the same with /KEY, GET /ofrep/v1/events */
const struct http_route *flag_routes(size_t *ret_n);       /* /api/v1 */
const struct http_route *flag_look_routes(size_t *ret_n);  /* /api/v1, for looking */
/*   GET    /api/v1/projects/:project/flag-sets/:set/{usage,references,stale}   ?key= &days= &after=: see flag-usage-api.c */
const struct http_route *flag_usage_routes(size_t *ret_n);
const struct http_route *flag_ofrep_routes(size_t *ret_n); /* /ofrep/v1 */
const struct http_route *flag_rollout_api(size_t *ret_n);  /* guarded rollouts and their evidence */
const struct http_route *flag_unleash_routes(size_t *ret_n); /* /api/client, /api/frontend */

/* Prometheus text; r may be NULL. */
void flag_metrics(struct flag_room *r, struct buf *out);

/* The check "files" for .weir/flags/NAME.json in an offered change. Its ctx is a struct flag_room **, or NULL where there is no room. */
extern const struct check_ops flag_file_check;
/* The check "flags": what a change does to the references to flags in code, as warnings. The same ctx. */
extern const struct check_ops flag_ref_check;
/* Subscriber of change.accepted: takes the sets of .weir/flags from the default branch. ctx: the room. */
int flag_on_change(const struct event *ev, void *room, struct err *reterr);

#endif
