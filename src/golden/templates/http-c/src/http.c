/* http.c - see http.h. A connection is read until a whole head is there, answered, and its body skipped; then the next. */
#include "http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct connection {
	int                fd;
	char               in[HTTP_HEAD_MAX + 1];
	size_t             in_len, skip; /* bytes read; bytes of a body still to be dropped */
	char              *out;
	size_t             out_len, out_sent, out_cap;
	bool               close_after; /* when everything is sent */
	bool               end;         /* the client sends no more */
	time_t             moved;
	struct connection *next, *previous;
};
struct server {
	int                listener, epoll;
	bool               stopping;
	http_handler      *handle;
	struct connection *connections;
	size_t             n;
};

void http_printf(struct http_response *r, const char *format, ...)
{
	va_list ap;
	int     n;

	va_start(ap, format);
	n = vsnprintf(r->body + r->len, sizeof(r->body) - r->len, format, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(r->body) - r->len) {
		r->status = 500;
		r->len = 0;
		return;
	}
	r->len += (size_t)n;
}

static const char *reason(int status)
{
	switch (status) {
	case 200: return "OK";
	case 400: return "Bad Request";
	case 404: return "Not Found";
	case 405: return "Method Not Allowed";
	case 413: return "Content Too Large";
	case 431: return "Request Header Fields Too Large";
	case 501: return "Not Implemented";
	default: return status < 500 ? "Refused" : "Internal Server Error";
	}
}

static time_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* --- connections --- */

static void connection_close(struct server *s, struct connection *c)
{
	if (c->previous)
		c->previous->next = c->next;
	else
		s->connections = c->next;
	if (c->next)
		c->next->previous = c->previous;
	s->n--;
	close(c->fd);
	free(c->out);
	free(c);
}

static bool out_add(struct connection *c, const char *data, size_t n)
{
	if (c->out_cap - c->out_len < n) {
		size_t cap = (c->out_len + n) * 2;
		char  *bigger = realloc(c->out, cap);

		if (!bigger)
			return false;
		c->out = bigger;
		c->out_cap = cap;
	}
	memcpy(c->out + c->out_len, data, n);
	c->out_len += n;
	return true;
}

static void respond(struct connection *c, const struct http_response *r, bool with_body)
{
	char head[512];
	int  n = snprintf(head, sizeof(head), "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s%s\r\n", r->status,
			  reason(r->status), r->type, r->len, r->status == 405 ? "Allow: GET, HEAD\r\n" : "",
			  c->close_after ? "Connection: close\r\n" : "");

	if (!out_add(c, head, (size_t)n) || (with_body && !out_add(c, r->body, r->len)))
		c->close_after = true;
}

/* An answer after which nothing of this connection can be trusted. */
static void refuse(struct connection *c, int status)
{
	static struct http_response r;

	r.status = status;
	r.type = "application/json";
	r.len = 0;
	http_printf(&r, "{\"error\": \"%s\"}\n", reason(status));
	c->close_after = true;
	c->in_len = 0;
	respond(c, &r, true);
}

/* --- requests --- */

/* What the headers say about the connection and the body; 0, or the status to refuse with. */
static int read_headers(char *line, struct connection *c, size_t *ret_body)
{
	bool seen_length = false;

	for (char *end; *line; line = end + 2) {
		char *colon, *value;

		end = strstr(line, "\r\n");
		*end = 0;
		colon = strchr(line, ':');
		if (!colon || colon == line)
			return 400;
		*colon = 0;
		if (strpbrk(line, " \t")) /* also a continued line */
			return 400;
		value = colon + 1 + strspn(colon + 1, " \t");
		if (!strcasecmp(line, "Transfer-Encoding"))
			return 501;
		if (!strcasecmp(line, "Connection") && strcasestr(value, "close"))
			c->close_after = true;
		if (!strcasecmp(line, "Content-Length")) {
			size_t digits = strspn(value, "0123456789");

			if (seen_length || !digits || digits > 15 || value[digits + strspn(value + digits, " \t")])
				return 400;
			seen_length = true;
			*ret_body = strtoul(value, NULL, 10);
			if (*ret_body > HTTP_BODY_MAX)
				return 413;
		}
	}
	return 0;
}

/* Takes the head of `len` bytes (with the empty line) at the front of c->in apart and answers it. */
static void answer(struct server *s, struct connection *c, size_t len)
{
	static struct http_response response;
	struct http_request         request = { .query = "" };
	size_t                      body = 0;
	char                       *line_end, *path, *version, *query;
	int                         status;

	c->in[len - 2] = 0; /* the headers end with their own line end */
	line_end = strstr(c->in, "\r\n");
	*line_end = 0;
	path = strchr(c->in, ' ');
	version = path ? strchr(path + 1, ' ') : NULL;
	if (strlen(c->in) != (size_t)(line_end - c->in) || !version || path[1] != '/' || strncmp(version, " HTTP/1.", 8) || strlen(version) != 9) {
		refuse(c, 400);
		return;
	}
	*path++ = *version++ = 0;
	if (version[7] == '0')
		c->close_after = true;
	query = strchr(path, '?');
	if (query) {
		*query = 0;
		request.query = query + 1;
	}
	status = read_headers(line_end + 2, c, &body);
	if (status) {
		refuse(c, status);
		return;
	}
	request.method = c->in;
	request.path = path;
	response.status = 200;
	response.type = "application/json";
	response.len = 0;
	s->handle(&request, &response);
	if (s->stopping)
		c->close_after = true;
	respond(c, &response, strcmp(request.method, "HEAD") != 0);
	c->skip = body;
	c->in_len -= len;
	memmove(c->in, c->in + len, c->in_len);
}

/* Answers the requests that are wholly there, until there is enough to send. */
static void take_requests(struct server *s, struct connection *c)
{
	while (c->in_len && !c->close_after && c->out_len < HTTP_ANSWER_MAX) {
		size_t skip = c->skip < c->in_len ? c->skip : c->in_len;
		char  *end;

		c->in_len -= skip;
		c->skip -= skip;
		memmove(c->in, c->in + skip, c->in_len);
		end = memmem(c->in, c->in_len, "\r\n\r\n", 4);
		if (end && memchr(c->in, 0, (size_t)(end - c->in)))
			refuse(c, 400);
		else if (end)
			answer(s, c, (size_t)(end - c->in) + 4);
		else if (c->in_len >= HTTP_HEAD_MAX)
			refuse(c, 431);
		else
			return;
	}
}

/* --- moving bytes --- */

/* False when the connection is gone. */
static bool send_some(struct connection *c)
{
	while (c->out_sent < c->out_len) {
		ssize_t n = send(c->fd, c->out + c->out_sent, c->out_len - c->out_sent, MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		c->out_sent += (size_t)n;
	}
	c->out_len = c->out_sent = 0;
	return true;
}

/* Reads, answers and sends in turn until nothing moves. A client that does not read its answers is not read either. */
static bool receive_some(struct server *s, struct connection *c)
{
	for (;;) {
		ssize_t n;

		take_requests(s, c);
		if (c->out_len) {
			if (!send_some(c))
				return false;
			if (c->out_len)
				return true;
			continue;
		}
		if (c->end || c->close_after)
			return true;
		n = recv(c->fd, c->in + c->in_len, HTTP_HEAD_MAX - c->in_len, 0);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		c->end = n == 0;
		c->in_len += (size_t)n;
	}
}

/* Does what can be done now; closes the connection when it is over. */
static void connection_move(struct server *s, struct connection *c)
{
	bool               alive = send_some(c) && receive_some(s, c);
	bool               sent = !c->out_len, under_way = c->in_len || c->skip;
	struct epoll_event e = { .events = sent ? EPOLLIN : EPOLLOUT, .data.ptr = c };

	c->moved = now();
	if (!alive || (sent && (c->close_after || c->end || (s->stopping && !under_way))))
		connection_close(s, c);
	else if (epoll_ctl(s->epoll, EPOLL_CTL_MOD, c->fd, &e))
		connection_close(s, c);
}

static void accept_all(struct server *s)
{
	int one = 1;

	while (s->n < HTTP_CONNECTIONS_MAX) {
		int                fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct connection *c = fd < 0 ? NULL : calloc(1, sizeof(*c));
		struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };

		if (fd < 0)
			return;
		if (!c || epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &e)) {
			free(c);
			close(fd);
			continue;
		}
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		c->fd = fd;
		c->moved = now();
		c->next = s->connections;
		if (c->next)
			c->next->previous = c;
		s->connections = c;
		s->n++;
	}
}

static void close_idle(struct server *s)
{
	for (struct connection *c = s->connections, *next; c; c = next) {
		next = c->next;
		if (now() - c->moved >= HTTP_IDLE_SECONDS)
			connection_close(s, c);
	}
}

static void stop(struct server *s)
{
	accept_all(s);
	close(s->listener);
	s->listener = -1;
	s->stopping = true;
	for (struct connection *c = s->connections, *next; c; c = next) {
		next = c->next;
		connection_move(s, c);
	}
}

/* --- the loop --- */

int http_listen(const char *host, int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int                one = 1, fd;

	if (port < 0 || port > 65535 || inet_pton(AF_INET, host, &a.sin_addr) != 1) {
		errno = EINVAL;
		return -1;
	}
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 128)) {
		int saved = errno;

		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

int http_port(int listener)
{
	struct sockaddr_in a;
	socklen_t          n = sizeof(a);

	return getsockname(listener, (struct sockaddr *)&a, &n) ? -1 : ntohs(a.sin_port);
}

static int serve(struct server *s, int stop_fd)
{
	struct epoll_event events[64], listen_event = { .events = EPOLLIN, .data.ptr = NULL }, stop_event = { .events = EPOLLIN, .data.ptr = s };
	time_t             until = 0;

	if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->listener, &listen_event) || epoll_ctl(s->epoll, EPOLL_CTL_ADD, stop_fd, &stop_event))
		return -1;
	while (!s->stopping || (s->n && now() < until)) {
		bool asked_to_stop = false, connecting = false;
		int  n = epoll_wait(s->epoll, events, 64, 1000);

		if (n < 0 && errno != EINTR)
			return -1;
		for (int i = 0; i < n; i++) {
			if (!events[i].data.ptr)
				connecting = true;
			else if (events[i].data.ptr == s)
				asked_to_stop = true;
			else
				connection_move(s, events[i].data.ptr);
		}
		if (connecting && !s->stopping)
			accept_all(s);
		if (asked_to_stop && !s->stopping) {
			epoll_ctl(s->epoll, EPOLL_CTL_DEL, stop_fd, NULL);
			until = now() + HTTP_STOP_SECONDS;
			stop(s);
		}
		close_idle(s);
	}
	return 0;
}

int http_serve(int listener, int stop_fd, http_handler *handle)
{
	struct server s = { .listener = listener, .handle = handle, .epoll = epoll_create1(EPOLL_CLOEXEC) };
	int           r = s.epoll < 0 ? -1 : serve(&s, stop_fd), saved = errno;

	while (s.connections)
		connection_close(&s, s.connections);
	if (s.epoll >= 0)
		close(s.epoll);
	if (s.listener >= 0)
		close(s.listener);
	errno = saved;
	return r;
}
