/* helper.h - what the room's tests share: free ports, a plain HTTP GET, waiting for a condition. */
#ifndef WEIR_TESTS_RELEASE_HELPER_H
#define WEIR_TESTS_RELEASE_HELPER_H

#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

static inline int helper_connect(uint16_t port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval     tv = { 20, 0 };
	int                fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		return fd;
	close(fd);
	return -1;
}

static inline uint16_t UNUSED helper_free_port(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t          len = sizeof(sa);
	int                fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (bind(fd, (struct sockaddr *)&sa, len) || getsockname(fd, (struct sockaddr *)&sa, &len))
		BUG("no free port");
	close(fd);
	return ntohs(sa.sin_port);
}

/* Sends a request on a new connection; -1 when nobody listens, else the descriptor to read the answer from. */
static inline int helper_send(uint16_t port, const char *host, const char *path)
{
	char req[512];
	int  fd = helper_connect(port), n = snprintf(req, sizeof(req), "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path, host);

	if (fd >= 0 && write(fd, req, (size_t)n) != n)
		BUG("short write");
	return fd;
}

/* Status of the answer, 0 when there was none; the whole answer goes to out. Closes fd. */
static inline int helper_answer(int fd, char *out, size_t size)
{
	size_t  len = 0;
	ssize_t n;
	int64_t status = 0;

	while (fd >= 0 && len < size - 1 && (n = read(fd, out + len, size - 1 - len)) > 0)
		len += (size_t)n;
	out[len] = 0;
	if (fd >= 0)
		close(fd);
	return len > 12 && str_to_i64(str_n(out + 9, 3), &status) ? (int)status : 0;
}

static inline int helper_get(uint16_t port, const char *host, const char *path, char *out, size_t size)
{
	return helper_answer(helper_send(port, host, path), out, size);
}

/* Repeats `cond` for at most 60 s. */
#define WAIT_FOR(cond)                                                            \
	do {                                                                          \
		usec_t wait_until_ = clock_mono_now() + 60 * USEC_PER_SEC;                \
		while (!(cond)) {                                                         \
			if (clock_mono_now() > wait_until_)                                   \
				fail_msg("never came: %s", #cond);                                \
			clock_sleep_ms(10);                                                   \
		}                                                                         \
	} while (0)

#endif
