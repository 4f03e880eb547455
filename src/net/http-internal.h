/* http-internal.h - what the files of the HTTP server share; nobody else includes it.
 *
 * Who touches a request: the loop thread of its connection from the first byte on; after it was handed to the worker queue (connection
 * suspended) the worker alone; after the worker's resume the loop thread again. Only HTTP_STREAM has both at work at once: what they share is in
 * struct http_stream under its lock. */
#ifndef WEIR_NET_HTTP_INTERNAL_H
#define WEIR_NET_HTTP_INTERNAL_H

#include "base/limits.h"
#include "base/queue.h"
#include "base/vec.h"
#include "net/http.h"
#include "net/rate.h"
#include "net/router.h"
#include "net/strict.h"

#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>

/* --- connections (conn.c) --- */
enum conn_phase {
	CONN_IDLE,   /* nothing of a request has come */
	CONN_HEADER, /* its first line has */
	CONN_BODY,   /* headers are complete, the body is coming */
	CONN_BUSY,   /* the request is complete: time is the handler's */
	CONN_CUT,    /* timed out: the socket is shut down */
};
struct http_conn {
	struct http_conn   *prev, *next;
	struct http_server *s;
	int                 fd;
	_Atomic int         phase;
	_Atomic int64_t     since; /* of the phase, monotonic microseconds */
	bool                over_limit;
	char                remote[INET6_ADDRSTRLEN];
};
void conn_notify(void *cls, struct MHD_Connection *c, void **socket_context, enum MHD_ConnectionNotificationCode code);
struct http_conn *conn_of(struct MHD_Connection *c);
/* False when the housekeeper has cut the connection meanwhile. */
bool conn_set_phase(struct http_conn *c, enum conn_phase phase);
void conn_list_init(struct http_server *s);
void conn_check_times(struct http_server *s); /* housekeeper: cuts what is over its time */
bool conn_peer_gone(int fd);
ssize_t conn_end_with_error(int fd); /* what a content reader returns to cut an answer; loop thread */

/* --- streams (stream.c) --- */
struct http_stream;

/* --- requests --- */
enum req_state {
	REQ_NEW,     /* target seen, headers not */
	REQ_BODY,    /* body is gathered */
	REQ_DISCARD, /* answer is ready; body is read and dropped first */
	/* The request is complete, and its connection is suspended at the next call only: libmicrohttpd 0.9 reads from the socket right after a
	 * resume when the connection was suspended while reading, and drops it when the client has closed its sending side. One turn
	 * of the loop later the connection waits for us and not for the socket. */
	REQ_PARKED,
	REQ_QUEUED,  /* at a worker; connection suspended */
	REQ_READY,   /* answer is ready */
	REQ_STREAM,  /* HTTP_STREAM under way */
	REQ_SENT,    /* answer was handed to the loop */
};
struct http_set_header {
	const char *name;
	str         value;
};
struct http_req {
	struct http_server    *s;
	struct http_conn      *conn; /* NULL for calls inside the process */
	struct MHD_Connection *mhd;
	_Atomic int            refs;
	enum req_state         state;
	struct arena           arena;
	const char            *target_at; /* where the parser has it */
	str                    target;    /* copy */
	const char            *body_at;   /* where the parser has the body; compared and read only while headers or body come in */
	const char            *piece_end; /* behind the last piece of it */
	str                    method, raw_path, raw_query;
	struct strict_header  *headers;
	size_t                 n_headers;
	struct strict_result   strict;
	struct route_match     match;
	struct http_identity   who;
	bool                   by_cookie;
	bool                   must_ask; /* who it is is asked on a worker, auth_ask() */
	struct buf             body;
	int64_t                body_seen;
	struct doc_node       *json;

	int        status;
	bool       must_close, failed, wants_page;
	struct err err;
	VEC(struct http_set_header) set_headers;
	const char *type;
	struct buf  out;
	str         borrowed; /* body that outlives the request, in place of out */

	struct http_stream *stream;
	bool                is_events; /* became a stream of events: not waited for at the end */
	char                remote[INET6_ADDRSTRLEN];
	/* HTTP_SSE: answer made by sse_attach() */
	struct MHD_Response *made;
	usec_t               began;
};

struct error_form {
	str             prefix;
	http_error_form write;
};
enum { HTTP_BUCKETS = 16 };
struct http_server {
	struct http_config  cfg;
	struct http_pages   pages;
	struct router      *router;
	struct MHD_Daemon  *daemon;
	struct bqueue      *queue;
	pthread_t          *workers;
	unsigned            n_workers;
	pthread_t           keeper;
	bool                keeper_runs;
	pthread_mutex_t     lock; /* conns, hubs, keeper's sleep */
	pthread_cond_t      wake;
	struct http_conn    conns; /* list head */
	_Atomic unsigned    n_conns;
	_Atomic int         stopping; /* 1: finish, 2: cut */
	_Atomic int64_t     n_active; /* requests between target and completion, streams of events not counted */
	VEC(struct sse_hub *) hubs;
	uint16_t            port;
	bool                in_place; /* see struct strict_request */
	struct rate        *by_token, *by_address; /* NULL: no limit */
	VEC(struct error_form) forms;

	_Atomic uint64_t requests, refused_strict, refused_busy, timeouts, connections;
	_Atomic uint64_t seconds_sum_us, buckets[HTTP_BUCKETS];
	_Atomic uint64_t unrouted[ROUTE_STATUS_MAX - ROUTE_STATUS_MIN + 1];
};

/* request.c */
struct http_req *req_new(struct http_server *s, struct MHD_Connection *c);
void req_unref(struct http_req *r);
/* auth.c: fills r->who or makes the refusing answer. False: refused (r->err, headers are set). */
bool auth_check(struct http_req *r);
bool auth_ask(struct http_req *r); /* on a worker: as auth_check(), for a request with must_ask */
bool auth_may(struct http_req *r); /* scope and project of r->who against the route */
/* answer.c */
void answer_error(struct http_req *r, int status, const struct err *e); /* status 0: the error's own */
void answer_errorf(struct http_req *r, int status, int code, const char *fmt, ...) PRINTF(4, 5);
enum MHD_Result answer_queue(struct http_req *r);
enum MHD_Result answer_queue_response(struct http_req *r, struct MHD_Response *resp);
bool answer_is_page(const struct http_req *r); /* a browser's page rather than an API's answer */
void answer_handler_error(struct http_req *r, int status); /* r->err, logged when it is the server's */
void run_handler(struct http_req *r);  /* calls the route's function and turns its error into the answer */
/* worker.c */
MUST_CHECK int workers_start(struct http_server *s, struct err *reterr);
void workers_stop(struct http_server *s);
/* stream.c */
MUST_CHECK int stream_begin(struct http_req *r, struct err *reterr);
enum MHD_Result stream_upload(struct http_req *r, const char *data, size_t *n);
enum MHD_Result stream_upload_end(struct http_req *r);
void stream_run(struct http_req *r); /* on a worker: the handler, then the end of the answer */
bool stream_frozen(const struct http_req *r);
bool stream_gone(const struct http_req *r);
void stream_client_gone(struct http_req *r);
struct http_stream *stream_free(struct http_stream *st);
/* sse.c */
void sse_housekeeping(struct http_server *s);
void sse_end_all(struct http_server *s);
/* server.c */
struct http_req *server_inner_req(struct http_server *s, const struct http_identity *who);
/* metrics.c */
void metrics_count(struct http_req *r);

#endif
