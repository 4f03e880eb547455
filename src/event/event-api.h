/* event-api.h - the log over HTTP: routes of /api/v1/events and the stream /events. */
#ifndef WEIR_EVENT_EVENT_API_H
#define WEIR_EVENT_EVENT_API_H

#include "event/event.h"
#include "net/http.h"

struct event_api;

/* Before http_server_start(). source: the server's URL for CDEvents; log and source must live longer. */
MUST_CHECK int event_api_open(struct event_log *log, struct http_server *server, const char *source, struct event_api **ret,
                              struct err *reterr);
struct event_api *event_api_close(struct event_api *api); /* after http_server_stop(); NULL is fine; returns NULL */
const struct http_route *event_routes(size_t *ret_n);     /* ctx: the event_api */

#endif
