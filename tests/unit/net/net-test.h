/* net-test.h - raw sockets against a server on a free port of the loopback: what the net tests share. */
#ifndef WEIR_TESTS_NET_TEST_H
#define WEIR_TESTS_NET_TEST_H

#include "lib/test.h"
#include "net/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

static inline int net_connect(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	int                fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static inline void net_send(int fd, str s)
{
	while (s.len) {
		ssize_t n = send(fd, s.ptr, s.len, MSG_NOSIGNAL);

		if (n < 0)
			return; /* the server has refused and closed: what it said is still to be read */
		s = str_sub(s, (size_t)n, s.len);
	}
}

/* Reads until `until` is in the text, the peer closes, or 10 s without a byte. False at the last. */
static inline bool net_read(int fd, struct buf *out, const char *until)
{
	char          tmp[4096];
	struct pollfd p = { .fd = fd, .events = POLLIN };

	while (!until || !str_contains(buf_str(out), str_z(until))) {
		if (poll(&p, 1, 10000) <= 0)
			return false;
		ssize_t n = recv(fd, tmp, sizeof(tmp), 0);

		if (n <= 0)
			return !until;
		buf_add(out, tmp, (size_t)n);
	}
	return true;
}

/* One connection, one send, half-close, everything that comes back. */
static inline void net_exchange(uint16_t port, str raw, struct buf *out)
{
	int fd = net_connect(port);

	buf_clear(out);
	net_send(fd, raw);
	shutdown(fd, SHUT_WR);
	if (!net_read(fd, out, NULL))
		fail_msg("the server neither answered nor closed; so far:\n%.*s", (int)out->len, buf_z(out));
	close(fd);
}

/* As net_exchange without the half-close; the request must make the server close, or `until` ends the reading. */
static inline void net_talk(uint16_t port, str raw, const char *until, struct buf *out)
{
	int fd = net_connect(port);

	buf_clear(out);
	net_send(fd, raw);
	assert_true(net_read(fd, out, until));
	close(fd);
}

static inline int net_status(const struct buf *b)
{
	str     s = buf_str(b);
	int64_t v = 0;

	while (str_has_prefix(s, STR("HTTP/1.1 100 "))) /* Continue */
		s = str_sub(s, 25, s.len);
	if (!str_has_prefix(s, STR("HTTP/1.1 ")) || !str_to_i64(str_sub(s, 9, 3), &v))
		return 0;
	return (int)v;
}

#define assert_has(b, z)                                                             \
	do {                                                                             \
		if (!str_contains(buf_str(b), str_z(z)))                                     \
			fail_msg("'%s' is not in:\n%.*s", (z), (int)(b)->len, buf_z(b));         \
	} while (0)

#endif
