/* server.c - the server's life: settings, socket, libmicrohttpd's daemon, housekeeper, graceful stop; and calls without a socket.
 *
 * Threads: cfg.loop_threads of libmicrohttpd with epoll, cfg.worker_threads of ours, one housekeeper. */
#include "base/base.h"
#include "net/exchange.h"
#include "net/http-internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

/* Debian 13's 1.x has levels of its own; 0.9.75 knows only "strict". */
#if MHD_VERSION >= 0x01000000
#define STRICTNESS MHD_OPTION_CLIENT_DISCIPLINE_LVL, 2
#else
#define STRICTNESS MHD_OPTION_STRICT_FOR_CLIENT, 1
#endif

enum { CONNS_SLACK = 64 /* connections over the limit that are told so, instead of being left to hang */ };

static void fill_defaults(struct http_config *cfg)
{
	if (!cfg->bind)
		cfg->bind = "127.0.0.1";
	if (!cfg->loop_threads)
		cfg->loop_threads = 1;
	if (!cfg->worker_threads)
		cfg->worker_threads = 8;
	if (!cfg->connections_max)
		cfg->connections_max = 1000;
	if (!cfg->idle_timeout_ms)
		cfg->idle_timeout_ms = 60000;
	if (!cfg->header_timeout_ms)
		cfg->header_timeout_ms = 10000;
	if (!cfg->body_timeout_ms)
		cfg->body_timeout_ms = 60000;
	if (!cfg->clock)
		cfg->clock = &clock_real;
}

int http_server_new(const struct http_config *cfg, struct http_server **ret, struct err *reterr)
{
	struct http_server *s = calloc(1, sizeof(*s));
	pthread_condattr_t  attr;
	int                 r;

	if (!s)
		return err_set(reterr, WEIR_ENOMEM, "no memory for the HTTP server");
	s->cfg = *cfg;
	fill_defaults(&s->cfg);
	/* 0.9.x ends lines in place and hands out pointers into its buffer; strict.h says what that is used for. */
	s->in_place = !strncmp(MHD_get_version(), "0.9.", 4);
	r = router_new(&s->router, reterr);
	if (r) {
		free(s);
		return r;
	}
	if (s->cfg.flags_per_second) {
		s->by_token = rate_new(s->cfg.flags_per_second);
		s->by_address = rate_new((s->cfg.flags_per_second + 99) / 100);
		if (!s->by_token || !s->by_address) {
			r = err_set(reterr, WEIR_ENOMEM, "no memory for the HTTP server");
			rate_free(s->by_token);
			rate_free(s->by_address);
			router_free(s->router);
			free(s);
			return r;
		}
	}
	conn_list_init(s);
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->wake, &attr);
	pthread_condattr_destroy(&attr);
	*ret = s;
	return 0;
}

int http_server_routes(struct http_server *s, const struct http_route *routes, size_t n, void *ctx, struct err *reterr)
{
	for (size_t i = 0; i < n; i++) {
		int r = router_add(s->router, &routes[i], ctx, reterr);

		if (r)
			return r;
	}
	return 0;
}

int http_server_errors(struct http_server *s, const char *prefix, http_error_form write, struct err *reterr)
{
	struct error_form f = { str_z(prefix), write };

	return VEC_PUSH(&s->forms, f) ? 0 : err_set(reterr, WEIR_ENOMEM, "no memory for the form of errors below %s", prefix);
}

/* --- socket --- */

static int bind_error(struct http_server *s, struct err *reterr)
{
	return err_errno(reterr, errno, "cannot listen on %s port %u", s->cfg.bind, s->cfg.port);
}

static int listen_on(struct http_server *s, int *ret_fd, struct err *reterr)
{
	union {
		struct sockaddr     sa;
		struct sockaddr_in  v4;
		struct sockaddr_in6 v6;
	} addr = { 0 };
	socklen_t     len = sizeof(addr.v4);
	int           on = 1;
	int fd        CLEANUP_FD = -1;

	if (inet_pton(AF_INET, s->cfg.bind, &addr.v4.sin_addr) == 1) {
		addr.v4.sin_family = AF_INET;
		addr.v4.sin_port = htons(s->cfg.port);
	} else if (inet_pton(AF_INET6, s->cfg.bind, &addr.v6.sin6_addr) == 1) {
		addr.v6.sin6_family = AF_INET6;
		addr.v6.sin6_port = htons(s->cfg.port);
		len = sizeof(addr.v6);
	} else {
		return err_set(reterr, WEIR_EINVAL, "'%s' is not an IPv4 or IPv6 address to listen on", s->cfg.bind);
	}
	fd = socket(addr.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) || bind(fd, &addr.sa, len) || listen(fd, 1024) ||
	    getsockname(fd, &addr.sa, &len))
		return bind_error(s, reterr);
	s->port = ntohs(addr.sa.sa_family == AF_INET ? addr.v4.sin_port : addr.v6.sin6_port);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* --- housekeeper --- */

static int64_t tick_ms(const struct http_config *cfg)
{
	int64_t least = cfg->idle_timeout_ms;

	if (cfg->header_timeout_ms < least)
		least = cfg->header_timeout_ms;
	if (cfg->body_timeout_ms < least)
		least = cfg->body_timeout_ms;
	least /= 4;
	return least < 20 ? 20 : least > 1000 ? 1000 : least;
}

static void *keeper_main(void *arg)
{
	struct http_server *s = arg;
	int64_t             ms = s->cfg.tick_ms ? s->cfg.tick_ms : tick_ms(&s->cfg);
	struct timespec     until;

	pthread_mutex_lock(&s->lock);
	while (s->keeper_runs) {
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += ms / 1000;
		until.tv_nsec += ms % 1000 * 1000000;
		if (until.tv_nsec >= 1000000000) {
			until.tv_sec++;
			until.tv_nsec -= 1000000000;
		}
		pthread_cond_timedwait(&s->wake, &s->lock, &until);
		pthread_mutex_unlock(&s->lock);
		conn_check_times(s);
		sse_housekeeping(s);
		pthread_mutex_lock(&s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* --- start --- */

static size_t keep_escapes(void *cls UNUSED, struct MHD_Connection *c UNUSED, char *text) { return strlen(text); }

/* Once the server stops, a new connection is closed as soon as it comes. MHD_quiesce_daemon() would give the listening socket back instead, but up to 0.9.75 it takes it out of
 * the loops' epoll sets while they may be doing the same, and the one who comes second ends the process ("Failed to remove listen FD from epoll set"). */
static enum MHD_Result accept_policy(void *cls, const struct sockaddr *address UNUSED, socklen_t len UNUSED)
{
	const struct http_server *s = cls;

	return atomic_load(&s->stopping) ? MHD_NO : MHD_YES;
}

static int daemon_start(struct http_server *s, int fd, struct err *reterr)
{
	const struct http_config *cfg = &s->cfg;
	unsigned                  flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME;
	/* The pool holds the header lines, a record for each of them and the read buffer. */
	size_t               pool = 2 * LIMIT_HTTP_HEADER_BYTES + (8 << 10); /* it is cleared for every request: no larger than needed */
	struct MHD_OptionItem threads[] = { { MHD_OPTION_END, 0, NULL }, { MHD_OPTION_END, 0, NULL } };

	if (cfg->loop_threads > 1)
		threads[0] = (struct MHD_OptionItem){ MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)cfg->loop_threads, NULL };
	s->daemon = MHD_start_daemon(flags, 0, accept_policy, s, exchange_request, s, MHD_OPTION_LISTEN_SOCKET, fd,
	                             MHD_OPTION_URI_LOG_CALLBACK, exchange_target, s, MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL,
	                             MHD_OPTION_NOTIFY_COMPLETED, exchange_completed, s, MHD_OPTION_NOTIFY_CONNECTION, conn_notify, s,
	                             MHD_OPTION_CONNECTION_MEMORY_LIMIT, pool, MHD_OPTION_CONNECTION_LIMIT,
	                             cfg->connections_max + CONNS_SLACK * cfg->loop_threads, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
	                             cfg->connections_per_ip_max, MHD_OPTION_CONNECTION_TIMEOUT,
	                             (unsigned)((cfg->idle_timeout_ms + 1999) / 1000), STRICTNESS,
	                             MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_ARRAY, threads, MHD_OPTION_END);
	if (!s->daemon)
		return err_set(reterr, WEIR_EUNAVAIL, "libmicrohttpd cannot start on %s port %u", cfg->bind, s->port);
	return 0;
}

int http_server_start(struct http_server *s, struct err *reterr)
{
	int fd CLEANUP_FD = -1;
	int r, e;

	if ((r = listen_on(s, &fd, reterr)) || (r = workers_start(s, reterr)))
		return r;
	s->keeper_runs = true;
	e = pthread_create(&s->keeper, NULL, keeper_main, s);
	if (e) {
		s->keeper_runs = false;
		return err_errno(reterr, e, "cannot start the housekeeper's thread");
	}
	r = daemon_start(s, fd, reterr);
	if (!r)
		(void)TAKE_FD(fd); /* the daemon closes it */
	return r;
}

uint16_t http_server_port(const struct http_server *s) { return s->port; }

/* --- stop --- */

static void wait_for_requests(struct http_server *s, int64_t grace_ms)
{
	usec_t until = clock_mono_now() + grace_ms * USEC_PER_MSEC;

	while (atomic_load(&s->n_active) > 0 && clock_mono_now() < until)
		clock_sleep_ms(5);
}

static void keeper_stop(struct http_server *s)
{
	bool ran;

	pthread_mutex_lock(&s->lock);
	ran = s->keeper_runs;
	s->keeper_runs = false;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	if (ran)
		pthread_join(s->keeper, NULL);
}

struct http_server *http_server_stop(struct http_server *s, int64_t grace_ms)
{
	if (!s)
		return NULL;
	atomic_store(&s->stopping, 1);
	if (s->daemon) {
		sse_end_all(s);
		wait_for_requests(s, grace_ms);
	}
	atomic_store(&s->stopping, 2);
	keeper_stop(s);
	workers_stop(s); /* every suspended connection of theirs is resumed now */
	if (s->daemon)
		MHD_stop_daemon(s->daemon);
	router_free(s->router);
	VEC_FINI(&s->hubs);
	VEC_FINI(&s->forms);
	rate_free(s->by_token);
	rate_free(s->by_address);
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->lock);
	free(s);
	return NULL;
}

/* --- calls inside the process --- */

/* The error of a call that did not answer 2xx. */
static int call_error(const struct http_req *r, struct err *reterr)
{
	if (r->err.code)
		return err_set(reterr, r->err.code, "%s", r->err.msg);
	return err_set(reterr, WEIR_EINTERNAL, "status %d", r->status);
}

static int text_node(struct arena *a, str text, struct doc_node **ret, struct err *reterr)
{
	struct doc_node *n = ARENA_NEW(a, struct doc_node);

	if (n)
		*n = (struct doc_node){ .kind = DOC_STR, .line = 1, .col = 1, .s = arena_str(a, text) };
	*ret = n;
	return arena_check(a, "the answer", reterr);
}

int http_server_call(struct http_server *s, const struct http_identity *who, str remote, const char *method, const char *path_and_query, str body,
                     struct arena *a, struct doc_node **ret, struct err *reterr)
{
	static struct strict_header json_type = { { "Content-Type", 12 }, { "application/json", 16 } };
	struct http_req            *r = req_new(s, NULL);
	int                         e = 0;

	*ret = NULL;
	if (!r)
		return err_set(reterr, WEIR_ENOMEM, "no memory for a request");
	r->method = str_z(method);
	r->target = str_z(path_and_query);
	r->who = *who;
	r->headers = &json_type;
	r->n_headers = body.len > 0;
	snprintf(r->remote, sizeof(r->remote), "%.*s", STR_ARG(remote));
	if (!str_cut(r->target, '?', &r->raw_path, &r->raw_query))
		r->raw_query = STR_NULL;
	buf_init(&r->body, body.len);
	buf_add_str(&r->body, body);
	if (router_match(s->router, r->method, r->raw_path, &r->arena, &r->match, &r->err) ||
	    (r->match.entry && router_query(&r->match, r->raw_query, &r->arena, &r->err)))
		answer_error(r, 0, &r->err);
	else if (!r->match.entry || r->match.entry->route->kind == HTTP_STREAM || r->match.entry->route->kind == HTTP_SSE)
		answer_errorf(r, 404, WEIR_ENOENT, "nothing that can be called is at %s %s", method, path_and_query);
	else if ((int64_t)body.len > r->match.entry->route->body_max)
		answer_errorf(r, 413, WEIR_ELIMIT, "the body is over this route's limit");
	else if (!s->cfg.authenticate || auth_may(r))
		run_handler(r);
	if (r->status >= 400)
		e = call_error(r, reterr);
	else if (r->out.len && r->type && !strcmp(r->type, "application/json"))
		e = doc_parse_json(a, path_and_query, buf_str(&r->out), ret, reterr);
	else if (r->out.len)
		e = text_node(a, buf_str(&r->out), ret, reterr);
	req_unref(r);
	return e;
}
