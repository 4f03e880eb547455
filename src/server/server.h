/* server.h - `weir serve`: one process that holds all rooms, wired together in wiring.c. */
#ifndef WEIR_SERVER_SERVER_H
#define WEIR_SERVER_SERVER_H

#include "base/base.h"
#include "base/err.h"

struct server_config {
	const char *data;         /* folder of everything the server keeps; made when absent */
	const char *database;     /* URL, or "" for SQLite in the data folder */
	const char *listen_host;
	uint16_t    listen_port;  /* 0: any free one (written to DATA/run/listen) */
	const char *url;          /* under which people reach it, or "" */
	const char *http_host;    /* HAProxy's address for the users of services */
	uint16_t    http_port;
	uint16_t    port_first, port_last; /* instances of services */
	unsigned    runner_slots; /* of the own runner; 0: none */
	unsigned    http_threads, http_workers;
	unsigned    flags_per_second; /* see struct http_config */
	unsigned    keep_versions, keep_logs_days;
};

struct server;

/* Opens all rooms and starts them; returns when everything answers. A second server on the same data folder is -WEIR_EBUSY. */
MUST_CHECK int server_start(const struct server_config *cfg, struct server **ret, struct err *reterr);
/* Address of the API, "http://127.0.0.1:8420". */
const char *server_url(const struct server *s);
/* Ends weir's own work: requests under way get 10 s. HAProxy, services and running steps go on. Returns NULL. */
struct server *server_stop(struct server *s);

#endif
