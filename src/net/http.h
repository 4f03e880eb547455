/* http.h - HTTP/1.1 server on libmicrohttpd behind a table of routes.
 *
 * A route is one line: method, path pattern, scope, limits, handler, doc, names of its query; the OpenAPI document is made from the table. Patterns: "/api/v1/projects/:name/runs/:id:int"
 * (typed parameters :name (LIMIT_NAME_BYTES of [A-Za-z0-9._-], not starting with '.' or '-'), :id:int, :id:id (ULID), and a
 * last "*rest" for any tail). A known path with another method is 405 with Allow; HEAD is answered from GET.
 *
 * Kinds of handler:
 *  HTTP_FAST    runs on the event loop's thread with the whole body in memory: must not block beyond a db read.
 *  HTTP_WORKER  runs on a worker thread with the whole body in memory: may block (db_write, processes).
 *  HTTP_STREAM  runs on a worker thread; reads the body with http_read() and writes with http_write(): large transfers.
 *  HTTP_SSE     see sse.h.
 * A handler that returns an error answers with the error's HTTP status and {"error":{"code","message"}}
 * (text/plain for git and for "Accept: text/plain"; an HTML page for browsers). Errors of 500 and more are logged once.
 *
 * Strictness: what libmicrohttpd lets through and RFC 9110/9112 forbids is refused here with 400 and close (docs/threat-model.md). */
#ifndef WEIR_NET_HTTP_H
#define WEIR_NET_HTTP_H

#include "base/arena.h"
#include "base/base.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "doc/doc.h"

#include <sys/types.h>

struct http_server;
struct http_req;

enum http_scope { /* what the caller's token must hold; each includes the ones before it */
	SCOPE_NONE,    /* public */
	SCOPE_READ,    /* look at everything that is not secret */
	SCOPE_DEVELOP, /* push, run, propose */
	SCOPE_RELEASE, /* release, roll back, steer rollouts */
	SCOPE_ADMIN,   /* projects, tokens, settings */
	SCOPE_RUNNER,  /* separate: runner protocol only */
	SCOPE_JOB,     /* a running job's own identity (store artifacts, release from its project), or scope release */
	SCOPE_FLAGS,   /* separate: ask what flags say, as applications do; also every scope from read on */
	SCOPE_EDGE,    /* separate: copy the definitions of flags, as `weir edge` does; also every scope from read on */
};

enum http_kind { HTTP_FAST, HTTP_WORKER, HTTP_STREAM, HTTP_SSE };

typedef int (*http_handler)(struct http_req *req, void *ctx, struct err *reterr);

enum http_query_kind { QUERY_TEXT, QUERY_INT, QUERY_WORD };
/* A name that a route's query may hold. Any other name, a name twice, and a value that does not fit are answered with 400 before the handler runs. */
struct http_query_param {
	const char          *name; /* NULL ends a list */
	enum http_query_kind kind;
	bool                 required;
	int64_t              min, max; /* QUERY_INT */
	const char *const   *words;    /* QUERY_WORD: what it may be; ends with NULL */
	const char          *doc;      /* for OpenAPI */
};
/* For routes whose handler reads http_raw_query() itself: whatever the query holds is let through. */
extern const struct http_query_param http_any_query[];

struct http_route {
	const char     *method; /* "GET" */
	const char     *path;
	enum http_kind  kind;
	enum http_scope scope;
	int64_t         body_max; /* bytes; 0: no body allowed; STREAM: limit on the whole body */
	http_handler    fn;
	const char     *doc;      /* one sentence for OpenAPI */
	const char     *body_doc; /* JSON schema of the body as text, or NULL */
	const char     *answer_doc; /* JSON schema of the 200 answer as text, or NULL */
	const struct http_query_param *query; /* names that the query may hold; NULL: none */
	bool            any_tail; /* *rest takes what a name of users' own may hold: backslashes, control bytes, "." and ".."; never for files */
	bool            cors;     /* pages of other origins may call it, with a token (never by cookie) */
};
/* Browser pages (paths outside /api, /git, /events, ...) that lack credentials are sent to /login instead of a 401. */

struct http_identity {
	char            name[65]; /* "ci-bot"; for events: actor "token:ci-bot" */
	enum http_scope scope;
	char            subject[65]; /* SCOPE_JOB: the job's id; else empty */
	char            project[65]; /* token bound to one project; else empty */
	usec_t          expires_at;  /* of the token; 0: never */
};

enum { HTTP_AUTH_ASK = 1 };
struct http_config {
	const char *bind;          /* "127.0.0.1" */
	uint16_t    port;          /* 0: any free one, see http_server_port() */
	unsigned    loop_threads, worker_threads;
	unsigned    connections_max, connections_per_ip_max; /* past it: 503 / refused */
	int64_t     idle_timeout_ms, header_timeout_ms, body_timeout_ms;
	const struct clock *clock;
	/* Who is it? Given what the Authorization header (or session cookie) carried. Fills *ret; -WEIR_EAUTH when unknown or expired, in
	 * the same time whatever is wrong. NULL: everything is open (tests). */
	int (*authenticate)(void *ctx, str scheme, str credentials, struct http_identity *ret, struct err *reterr);
	void *auth_ctx;
	/* When `authenticate` must ask somebody else it returns HTTP_AUTH_ASK, and this is asked on a worker thread before the handler runs there, too
	 * (streams: 503). May block; NULL: never needed. */
	int (*authenticate_slow)(void *ctx, str scheme, str credentials, struct http_identity *ret, struct err *reterr);
	int64_t  tick_ms;          /* how often time limits are looked at; 0: a quarter of the smallest, at most 1 s */
	unsigned worker_queue_max; /* requests that wait for a worker; 0: LIMIT_HTTP_QUEUE */
	/* Requests per second of one token to routes of the scope flags; past it: 429 with Retry-After. Who shows no valid token has a hundredth of it per
	 * address before 401 becomes 429. 0: no limit. */
	unsigned flags_per_second;
};

/* How the pages look that net itself must answer. Each writes HTML into http_out(). */
struct http_pages {
	void (*error)(void *ctx, struct http_req *r, int status, const char *code, str message);
	/* The form of /login posts "token" and "next"; message: what was wrong with the last try, or empty. */
	void (*login)(void *ctx, struct http_req *r, str message, str next);
	void *ctx;
};

MUST_CHECK int http_server_new(const struct http_config *cfg, struct http_server **ret, struct err *reterr);
/* Adds a room's routes; ctx goes to their handlers. Before http_server_start(). Two routes that can match one request
 * are -WEIR_ECONFLICT. */
MUST_CHECK int http_server_routes(struct http_server *s, const struct http_route *routes, size_t n, void *ctx, struct err *reterr);
/* Before http_server_start(); without it the pages are plain. The struct's content is copied. */
void http_server_pages(struct http_server *s, const struct http_pages *pages);
/* How the errors below one prefix of paths look that net itself answers (malformed, 401, 403, 404, 405, 413, 429, 503) and those that handlers return:
 * for protocols that have a form of their own. `write` puts a body into http_out() and sets its type; status and headers are set. Before
 * http_server_start(); the longest prefix counts. */
typedef void (*http_error_form)(struct http_req *r, int status, const char *code, str message);
MUST_CHECK int http_server_errors(struct http_server *s, const char *prefix, http_error_form write, struct err *reterr);
MUST_CHECK int http_server_start(struct http_server *s, struct err *reterr);
uint16_t http_server_port(const struct http_server *s);
/* Stops accepting, lets requests under way finish for at most grace_ms, then cuts; returns NULL. */
struct http_server *http_server_stop(struct http_server *s, int64_t grace_ms);
/* Runs the handler of a FAST or WORKER route in the caller's thread, as `who` (scope and project are checked), without a socket: for surfaces that
 * render what the API answers. path_and_query is encoded as on the wire. body STR_NULL: none; else JSON. *ret: the JSON answer in `a`, NULL
 * when it had none; an answer of another type is one DOC_STR. Every answer of 400 or more is an error with its code and message. */
MUST_CHECK int http_server_call(struct http_server *s, const struct http_identity *who, const char *method, const char *path_and_query,
                                str body, struct arena *a, struct doc_node **ret, struct err *reterr);
/* OpenAPI 3.1 document of all routes. */
MUST_CHECK int http_server_openapi(const struct http_server *s, struct buf *out, struct err *reterr);
/* Prometheus text of the server's own counters (requests by route and status, seconds histogram, connections). */
void http_server_metrics(const struct http_server *s, struct buf *out);

/* --- scopes --- */
bool scope_includes(enum http_scope have, enum http_scope need);
const char *scope_name(enum http_scope s);
enum http_scope scope_find(str name); /* SCOPE_NONE when unknown */

/* --- the request; valid until the handler returns --- */
struct arena *http_arena(struct http_req *r); /* freed after the answer was sent */
str  http_method(const struct http_req *r);
str  http_path(const struct http_req *r);   /* decoded, as matched */
str  http_raw_path(const struct http_req *r); /* as sent, from '/' on, without the query */
str  http_raw_query(const struct http_req *r);
str  http_authority(const struct http_req *r); /* host[:port] the client asked for */
str  http_param(const struct http_req *r, const char *name);  /* path parameter, decoded; "rest" for *rest; STR_NULL when the route has none */
int64_t http_param_int(const struct http_req *r, const char *name);
str  http_query(const struct http_req *r, const char *name);  /* decoded; STR_NULL when absent or not in the route's list */
struct http_pair {
	str name, value;
};
/* For routes with http_any_query: all pairs in their order, decoded, in the request's arena. -WEIR_EINVAL: a bad escape, a NUL, no UTF-8; -WEIR_ELIMIT:
 * more than LIMIT_HTTP_PAIRS. */
MUST_CHECK int http_query_pairs(struct http_req *r, struct http_pair **ret, size_t *ret_n, struct err *reterr);
int64_t http_query_int(const struct http_req *r, const char *name, int64_t otherwise); /* of a QUERY_INT; otherwise: when absent */
str  http_header(const struct http_req *r, const char *name); /* STR_NULL when absent */
str  http_cookie(const struct http_req *r, const char *name);
str  http_body(const struct http_req *r);                     /* FAST and WORKER */
str  http_remote(const struct http_req *r);                   /* "127.0.0.1" */
const struct http_identity *http_who(const struct http_req *r); /* scope NONE when anonymous */
/* True when the request says that it comes from a page of this server (Origin or Sec-Fetch-Site): for forms that work without a session. */
bool http_same_origin(const struct http_req *r);
bool http_may(const struct http_req *r, enum http_scope scope);
/* Parses the body as JSON (Content-Type application/json demanded); positions in errors are "body:line:col". */
MUST_CHECK int http_body_json(struct http_req *r, struct doc_node **ret, struct err *reterr);
/* application/x-www-form-urlencoded field; STR_NULL when absent. */
str  http_form(struct http_req *r, const char *name);

/* --- the answer --- */
void http_status(struct http_req *r, int status); /* default 200 */
/* Answers with an error of a status that no code of base/err.h has (415), in the form of the path (http_server_errors). Returns 0. */
int  http_refuse(struct http_req *r, int status, const char *fmt, ...) PRINTF(3, 4);
void http_set_header(struct http_req *r, const char *name, str value); /* values with CR or LF are a BUG */
void http_set_headerf(struct http_req *r, const char *name, const char *fmt, ...) PRINTF(3, 4);
/* Body of FAST and WORKER answers; written into by the handler, sent after it returned. Max 64 MiB. */
struct buf *http_out(struct http_req *r);
void http_type(struct http_req *r, const char *content_type);
void http_json(struct http_req *r, struct jw *w); /* sets the type and starts w on http_out() */
/* Static bytes with a strong ETag and Cache-Control; answers 304. The bytes must live as long as the server. */
int http_static(struct http_req *r, const char *content_type, str bytes, bool immutable);
/* The page of /login, as http_server_pages() has it. */
void http_login_page(struct http_req *r, str message, str next);
void http_redirect(struct http_req *r, int status, const char *location);

/* HTTP_STREAM only. Reads up to n bytes of the body: >0, 0 at the end, negative on error or limit. Headers of the answer go out with the first
 * http_write(); http_write() waits for the client (-WEIR_ECANCELED when it is gone). */
MUST_CHECK ssize_t http_read(struct http_req *r, void *p, size_t n, struct err *reterr);
MUST_CHECK int http_write(struct http_req *r, str data, struct err *reterr);
/* Handlers that wait (long polls on a worker): true when the client is gone or the server stops. */
bool http_gone(const struct http_req *r);

#endif
