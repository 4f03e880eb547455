/* release-health.c - the thread that asks new instances whether they are healthy: one GET each in turn, ten times as often before the first good answer.
 * It notes answers and wakes the worker; it never changes a state. */
#include "base/base.h"

#include "release/room.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

struct probe {
	char     name[WORKLOAD_NAME_SIZE], path[256];
	uint16_t port;
	usec_t   timeout, interval;
	unsigned need;
};

static bool next_probe(struct release_room *room, struct probe *p)
{
	usec_t now = clock_mono_now();
	bool   found = false;

	pthread_mutex_lock(&room->lock);
	for (size_t i = 0; i < room->instances.n && !found; i++) {
		struct instance *n = room->instances.v[i];
		struct release  *r = room_release(room, str_z(n->release));

		if (!n->want || !n->started || n->healthy || !r || n->check_at > now)
			continue;
		memcpy(p->name, n->name, sizeof(p->name));
		memcpy(p->path, r->def->health_path, sizeof(p->path));
		p->port = n->port;
		p->timeout = r->def->health_timeout;
		p->interval = r->def->health_interval;
		p->need = r->def->healthy_after;
		found = true;
	}
	pthread_mutex_unlock(&room->lock);
	return found;
}

/* One GET; true for 2xx and 3xx within the time. */
static bool probe_once(const struct probe *p)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(p->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	usec_t             until = clock_mono_now() + p->timeout;
	char               text[400], answer[64];
	size_t             len = 0;
	int CLEANUP_FD     fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int                n = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: weir-health\r\nConnection: close\r\n\r\n", p->path);
	bool               sent = false;

	if (fd < 0 || (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) && errno != EINPROGRESS))
		return false;
	while (len < 12) {
		struct pollfd pf = { .fd = fd, .events = sent ? POLLIN : POLLOUT };
		usec_t        left = until - clock_mono_now();
		ssize_t       got;

		if (left <= 0 || poll(&pf, 1, (int)(left / USEC_PER_MSEC) + 1) <= 0)
			return false;
		if (!sent) {
			if (write(fd, text, (size_t)n) != n)
				return false;
			sent = true;
		} else if ((got = read(fd, answer + len, sizeof(answer) - len)) > 0) {
			len += (size_t)got;
		} else {
			return false;
		}
	}
	return !memcmp(answer, "HTTP/1.", 7) && (answer[9] == '2' || answer[9] == '3');
}

static void take_probe(struct release_room *room, const struct probe *p, bool good)
{
	bool healthy = false;

	pthread_mutex_lock(&room->lock);
	for (size_t i = 0; i < room->instances.n; i++) {
		struct instance *n = room->instances.v[i];

		if (strcmp(n->name, p->name) != 0)
			continue;
		n->good = good ? n->good + 1 : 0;
		/* Until the first good answer ask ten times as often: a start takes as long as it takes, not until the next interval. */
		n->check_at = clock_mono_now() + (n->good ? p->interval : p->interval / 10);
		if (n->good >= p->need) {
			n->healthy = healthy = true;
			n->starts_before = n->starts;
		}
	}
	pthread_mutex_unlock(&room->lock);
	if (healthy)
		room_kick(room);
}

void *turn_health_main(void *arg)
{
	struct release_room *room = arg;

	for (;;) {
		struct probe p;
		bool         stop;

		pthread_mutex_lock(&room->kick_lock);
		stop = room->stop;
		pthread_mutex_unlock(&room->kick_lock);
		if (stop)
			return NULL;
		if (next_probe(room, &p))
			take_probe(room, &p, probe_once(&p));
		else
			clock_sleep_ms(20);
	}
}
