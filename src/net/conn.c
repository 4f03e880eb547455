/* conn.c - the list of open connections and their time limits.
 *
 * libmicrohttpd times inactivity only; a client that sends one byte now and then would stay for ever. Each connection
 * therefore has a phase and the time since when it is in it; the housekeeper's thread answers 408 on the socket and shuts it down when the
 * phase lasts too long. The phase is changed by compare-and-swap, so a request that is complete is never cut, and the socket
 * stays open while the list's lock is held (libmicrohttpd calls conn_notify() before it closes). */
#include "base/base.h"
#include "net/http-internal.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

static void remote_text(struct MHD_Connection *c, char out[INET6_ADDRSTRLEN])
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr          *sa = info ? info->client_addr : NULL;

	out[0] = 0;
	if (sa && sa->sa_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, out, INET6_ADDRSTRLEN);
	else if (sa && sa->sa_family == AF_INET6)
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, out, INET6_ADDRSTRLEN);
}

void conn_list_init(struct http_server *s) { s->conns.prev = s->conns.next = &s->conns; }

static void conn_add(struct http_server *s, struct MHD_Connection *mhd, void **socket_context)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct http_conn               *c = calloc(1, sizeof(*c));

	*socket_context = c;
	if (!c || !info)
		return; /* its requests are refused: conn_of() is NULL */
	c->s = s;
	c->fd = info->connect_fd;
	c->over_limit = atomic_fetch_add(&s->n_conns, 1) >= s->cfg.connections_max;
	atomic_fetch_add(&s->connections, 1);
	atomic_store(&c->since, clock_mono(s->cfg.clock));
	remote_text(mhd, c->remote);
	pthread_mutex_lock(&s->lock);
	c->next = &s->conns;
	c->prev = s->conns.prev;
	c->prev->next = c->next->prev = c;
	pthread_mutex_unlock(&s->lock);
}

void conn_notify(void *cls, struct MHD_Connection *mhd, void **socket_context, enum MHD_ConnectionNotificationCode code)
{
	struct http_server *s = cls;
	struct http_conn   *c = *socket_context;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		conn_add(s, mhd, socket_context);
		return;
	}
	if (!c)
		return;
	pthread_mutex_lock(&s->lock);
	if (c->next) {
		c->prev->next = c->next;
		c->next->prev = c->prev;
		atomic_fetch_sub(&s->n_conns, 1);
	}
	pthread_mutex_unlock(&s->lock);
	free(c);
}

struct http_conn *conn_of(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

bool conn_set_phase(struct http_conn *c, enum conn_phase phase)
{
	int old = atomic_load(&c->phase);

	/* The time first: a housekeeper between the two stores must not see a new phase with an old time. */
	atomic_store(&c->since, clock_mono(c->s->cfg.clock));
	while (old != CONN_CUT)
		if (atomic_compare_exchange_weak(&c->phase, &old, phase))
			return true;
	return false;
}

static int64_t limit_ms(const struct http_config *cfg, int phase)
{
	switch (phase) {
	case CONN_IDLE: return cfg->idle_timeout_ms;
	case CONN_HEADER: return cfg->header_timeout_ms;
	case CONN_BODY: return cfg->body_timeout_ms;
	default: return 0;
	}
}

static void cut(struct http_conn *c, int phase)
{
	static const char late[] = "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Type: application/json\r\n"
	                           "Content-Length: 70\r\n\r\n"
	                           "{\"error\":{\"code\":\"ETIMEOUT\",\"message\":\"the request came too slowly\"}}\n";

	if (!atomic_compare_exchange_strong(&c->phase, &phase, CONN_CUT))
		return; /* it went on in this moment */
	atomic_fetch_add(&c->s->timeouts, 1);
	/* Nothing is being sent on a connection in these phases (an idle one gets no answer: the client did not ask). */
	if (phase != CONN_IDLE)
		(void)!send(c->fd, late, sizeof(late) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	shutdown(c->fd, SHUT_RDWR);
}

void conn_check_times(struct http_server *s)
{
	usec_t now = clock_mono(s->cfg.clock);

	pthread_mutex_lock(&s->lock);
	for (struct http_conn *c = s->conns.next; c != &s->conns; c = c->next) {
		int64_t since = atomic_load(&c->since);
		int     phase = atomic_load(&c->phase);
		int64_t max = limit_ms(&s->cfg, phase);

		/* libmicrohttpd loses the end of a client's sending side when it came together with the request (one edge of epoll, one
		 * short read). Its own end makes a new edge; what came before can still be read. */
		if (phase != CONN_BUSY && phase != CONN_CUT && conn_peer_gone(c->fd))
			shutdown(c->fd, SHUT_RD);
		if (max > 0 && now - since > max * USEC_PER_MSEC)
			cut(c, phase);
	}
	pthread_mutex_unlock(&s->lock);
}

/* libmicrohttpd 0.9.75 marks a connection closed when its content reader ends with an error, and may forget to look at it again before
 * the idle time is over. The client shall know at once. */
ssize_t conn_end_with_error(int fd)
{
	shutdown(fd, SHUT_RDWR);
	return MHD_CONTENT_READER_END_WITH_ERROR;
}

bool conn_peer_gone(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLRDHUP };

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL));
}
