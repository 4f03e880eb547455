/* main.c - starts the service: PORT (default 8080) and HOST (default 127.0.0.1) from the environment, SIGTERM and SIGINT stop it. */
#include "app.h"
#include "http.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>

static int port_from(const char *text)
{
	char *end;
	long  port = strtol(text, &end, 10);

	return *text && !*end && port >= 0 && port <= 65535 ? (int)port : -1;
}

int main(void)
{
	const char *host = getenv("HOST"), *port_text = getenv("PORT");
	int         port = port_from(port_text ? port_text : "8080"), listener, stop_fd;
	sigset_t    signals;

	if (port < 0) {
		fprintf(stderr, "PORT must be a number from 0 to 65535, not '%s'\n", port_text);
		return 2;
	}
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	stop_fd = signalfd(-1, &signals, SFD_CLOEXEC);
	listener = http_listen(host ? host : "127.0.0.1", port);
	if (stop_fd < 0 || listener < 0) {
		perror("cannot listen");
		return 1;
	}
	app_init();
	fprintf(stderr, "%s %s listens on port %d\n", APP_NAME, app_version(), http_port(listener));
	if (http_serve(listener, stop_fd, app_handle)) {
		perror("cannot serve");
		return 1;
	}
	return 0;
}
