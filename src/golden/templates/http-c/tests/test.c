/* test.c - talks to the server over real connections: `make test`. */
#include "app.h"
#include "http.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int failures, port, stop_pipe[2];

static void check(const char *what, bool ok, const char *seen)
{
	printf("%s %s\n", ok ? "ok  " : "FAIL", what);
	if (!ok)
		printf("     seen: %s\n", seen);
	failures += !ok;
}

static int dial(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval     ten = { .tv_sec = 10 };
	int                fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &ten, sizeof(ten));
	if (connect(fd, (struct sockaddr *)&a, sizeof(a))) {
		close(fd);
		return -1;
	}
	return fd;
}

static void say(int fd, const char *text)
{
	if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0)
		perror("send");
}

/* Reads until the text has `what` in it, or the end; returns everything read (static). */
static const char *hear(int fd, const char *what)
{
	static char text[128 * 1024];
	size_t      n = 0;

	text[0] = 0;
	while (n < sizeof(text) - 1 && !(*what && strstr(text, what))) {
		ssize_t got = recv(fd, text + n, sizeof(text) - 1 - n, 0);

		if (got <= 0)
			break;
		n += (size_t)got;
		text[n] = 0;
	}
	return text;
}

static void exchange(const char *what, const char *request, const char *status, const char *part)
{
	int         fd = dial();
	const char *seen;

	say(fd, request);
	shutdown(fd, SHUT_WR);
	seen = hear(fd, "");
	check(what, !strncmp(seen, status, strlen(status)) && strstr(seen, part), seen);
	close(fd);
}

static void test_answers(void)
{
	char *long_head = malloc(HTTP_HEAD_MAX + 100);

	exchange("GET / tells the name", "GET /?x HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK\r\n", "{\"name\": \"" APP_NAME "\", \"version\": \"");
	exchange("GET /healthz", "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK\r\n", "ok");
	exchange("unknown path", "GET /nosuch HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404 ", "not found");
	exchange("other method", "DELETE / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 405 ", "Allow: GET, HEAD");
	exchange("HEAD has no body", "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 ", "\r\n\r\n");
	exchange("HTTP/1.0 is closed", "GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 200 ", "Connection: close");
	exchange("no HTTP at all", "hello\r\n\r\n", "HTTP/1.1 400 ", "close");
	exchange("blank before the colon", "GET / HTTP/1.1\r\nHost : x\r\n\r\n", "HTTP/1.1 400 ", "close");
	exchange("two lengths", "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "HTTP/1.1 400 ", "close");
	exchange("chunked body", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 501 ", "close");
	exchange("huge body", "POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", "HTTP/1.1 413 ", "close");
	memset(long_head, 'x', HTTP_HEAD_MAX + 100);
	memcpy(long_head, "GET / HTTP/1.1\r\nA: ", 19);
	long_head[HTTP_HEAD_MAX + 50] = 0;
	exchange("huge head", long_head, "HTTP/1.1 431 ", "close");
	free(long_head);
}

static void test_kept_connection(void)
{
	int         fd = dial();
	const char *seen;

	say(fd, "GET / HTTP/1.1\r\n\r\nPOST /a HTTP/1.1\r\nContent-Length: 5\r\n\r\nhelloGET /healthz HTTP/1.1\r\n\r\n");
	seen = hear(fd, "\"ok\"");
	check("three requests in one packet", strstr(seen, " 200 ") && strstr(seen, " 405 ") && strstr(seen, "\"ok\""), seen);
	say(fd, "GET /hea");
	usleep(20000);
	say(fd, "lthz HTTP/1.1\r\nConnection: close\r\n\r\n");
	seen = hear(fd, "");
	check("a request in two pieces, then close", strstr(seen, "\"ok\"") && strstr(seen, "Connection: close"), seen);
	close(fd);
}

static void test_stop(void)
{
	int         idle = dial(), busy = dial();
	const char *seen;

	say(busy, "GET /healthz HTTP/1.1\r\n");
	usleep(50000);
	if (write(stop_pipe[1], "x", 1) != 1)
		perror("write");
	seen = hear(idle, "");
	check("stop closes an idle connection", !*seen, seen);
	check("stop accepts no more", dial() < 0, "a connection");
	say(busy, "\r\n");
	seen = hear(busy, "");
	check("stop finishes the request under way", strstr(seen, "\"ok\"") && strstr(seen, "Connection: close"), seen);
	close(idle);
	close(busy);
}

static void *serve(void *listener)
{
	return (void *)(long)http_serve(*(int *)listener, stop_pipe[0], app_handle);
}

int main(void)
{
	int       listener = http_listen("127.0.0.1", 0);
	void     *result = (void *)1;
	pthread_t thread;

	if (listener < 0 || pipe(stop_pipe)) {
		perror("cannot listen");
		return 1;
	}
	port = http_port(listener);
	app_init();
	pthread_create(&thread, NULL, serve, &listener);
	test_answers();
	test_kept_connection();
	test_stop();
	pthread_join(thread, &result);
	check("the server ends without an error", !result, "an error");
	return failures != 0;
}
