/* test-flags.c - flags_bool() against a server of this file, which says what it is told: `make test`. */
#include "flags.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int         failures, listener;
static char        heard[4096];
static const char *say; /* the next answer's body; NULL: hang up */
static const char *status = "200 OK";

static void check(const char *what, bool ok)
{
	printf("%s %s\n", ok ? "ok  " : "FAIL", what);
	failures += !ok;
}

static void *serve(void *unused)
{
	for (;;) {
		int     fd = accept(listener, NULL, NULL);
		ssize_t n;

		if (fd < 0)
			return unused;
		while ((n = recv(fd, heard, sizeof(heard) - 1, 0)) > 0 && say) {
			heard[n] = 0;
			dprintf(fd, "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", status, strlen(say), say);
		}
		close(fd);
	}
}

static void answers(const char *what, const char *body, bool otherwise, bool expected)
{
	say = body;
	check(what, flags_bool("new-welcome", "u1", otherwise) == expected);
}

int main(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t          n = sizeof(a);
	pthread_t          thread;
	char               endpoint[64];

	unsetenv("OFREP_ENDPOINT");
	check("no address is fine", flags_init());
	check("no address: the default", flags_bool("new-welcome", "u1", true) && !flags_bool("new-welcome", "u1", false));
	setenv("OFREP_ENDPOINT", "https://example.org", 1);
	check("an address that cannot be used is told", !flags_init() && flags_bool("new-welcome", "u1", true));

	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(listener, (struct sockaddr *)&a, sizeof(a)) || listen(listener, 8) || getsockname(listener, (struct sockaddr *)&a, &n)) {
		perror("cannot listen");
		return 1;
	}
	snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%d", ntohs(a.sin_port));
	setenv("OFREP_ENDPOINT", endpoint, 1);
	setenv("OFREP_HEADERS", "Authorization=Bearer%20secret,Flagd-Selector=flagSetId%3Dshop%2Fproduction", 1);
	pthread_create(&thread, NULL, serve, NULL);
	check("an address", flags_init());
	answers("on", "{\"key\":\"new-welcome\",\"metadata\":{\"value\":false},\"value\":true}", false, true);
	check("the token is sent", strstr(heard, "\r\nAuthorization:Bearer secret\r\nFlagd-Selector:flagSetId=shop/production\r\n") != NULL);
	answers("off", "{\"value\" : false}", true, false);
	answers("no value: the default", "{\"key\":\"value\",\"reason\":\"DEFAULT\"}", true, true);
	answers("half a text: the default", "{\"valu", true, true);
	say = "{\"value\":true}";
	check("a user's name cannot break out", flags_bool("new-welcome", "a\"}},\"x\\", false) && strstr(heard, "\"a\\\"}},\\\"x\\\\\"") != NULL);
	status = "404 Not Found";
	answers("unknown: the default", "{\"value\":true}", false, false);
	status = "200 OK";
	answers("it hangs up: the default", NULL, true, true);
	answers("a pause after a failure", "{\"value\":false}", true, true);
	shutdown(listener, SHUT_RDWR);
	pthread_join(thread, NULL);
	return failures != 0;
}
