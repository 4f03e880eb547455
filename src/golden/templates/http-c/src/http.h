/* http.h - a small HTTP/1.1 server: one thread, epoll, keep-alive, pipelining, bounded memory, graceful stop. */
#ifndef HTTP_H
#define HTTP_H

#include <stdbool.h>
#include <stddef.h>

enum {
	HTTP_HEAD_MAX = 8192,          /* request line and headers; more is answered with 431 */
	HTTP_BODY_MAX = 1024 * 1024,   /* request body, which is read and dropped; more is 413 */
	HTTP_ANSWER_MAX = 64 * 1024,   /* body of a response */
	HTTP_CONNECTIONS_MAX = 4096,
	HTTP_IDLE_SECONDS = 75,        /* a connection on which nothing moves is closed after this */
	HTTP_STOP_SECONDS = 10         /* after a stop, requests have this long to be finished */
};

struct http_request {
	const char *method, *path, *query; /* query: behind '?', "" when there is none */
};
struct http_response {
	int         status;
	const char *type;
	char        body[HTTP_ANSWER_MAX];
	size_t      len;
};
/* Adds to the body; what does not fit makes the response a 500. */
void http_printf(struct http_response *response, const char *format, ...) __attribute__((format(printf, 2, 3)));

typedef void http_handler(const struct http_request *request, struct http_response *response);

/* Listens on HOST:PORT (port 0: any free one); returns the socket, or -1 with errno. */
int http_listen(const char *host, int port);
int http_port(int listener);
/* Serves until `stop_fd` can be read; then stops accepting, finishes the requests under way and returns 0. -1: cannot go on (errno). */
int http_serve(int listener, int stop_fd, http_handler *handle);

#endif
