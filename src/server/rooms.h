/* rooms.h - all rooms of one server, as wiring.c opens and joins them. */
#ifndef WEIR_SERVER_ROOMS_H
#define WEIR_SERVER_ROOMS_H

#include "base/clock.h"
#include "change/change.h"
#include "change/source.h"
#include "db/db.h"
#include "event/event.h"
#include "net/http.h"
#include "net/standard.h"
#include "net/token.h"
#include "server/server.h"

#include <limits.h>

struct rooms {
	const struct server_config *cfg;
	const struct clock         *clock;
	char                        data[PATH_MAX];  /* absolute */
	char                        keys[PATH_MAX];  /* DATA/keys */
	char                        url[512];        /* public address, known after http started when the port was 0 */
	struct db                  *db;
	struct event_log           *log;
	struct token_store         *tokens;
	struct http_server         *http;
	struct standard_ops         standard;
	struct event_api           *event_api;
	struct source_ops           source; /* of repo */
	struct repo_store          *repo;
	struct gate                *gate;
	struct check_ops            checks[8];
	struct pipeline            *pipeline;
	struct release_room        *release;
	struct flag_room           *flag;
	struct insight             *insight;
	struct web                 *web;
};

/* Opens every room and registers routes and subscriptions; nothing runs yet. On failure what was opened is closed again. */
MUST_CHECK int rooms_open(struct rooms *r, struct err *reterr);
/* Starts listeners and workers, the HTTP server last. */
MUST_CHECK int rooms_start(struct rooms *r, struct err *reterr);
void rooms_close(struct rooms *r); /* in the opposite order; fine on a partly opened struct */

#endif
