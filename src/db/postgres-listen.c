/* postgres-listen.c - one thread with a connection of its own that LISTENs and tells db_fire().
 *
 * After a lost connection it comes back every second, and then tells every channel once, for what was missed. */
#include "base/base.h"
#include "base/clock.h"
#include "db/postgres.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

enum { PG_LISTEN_WAIT_MS = 15000, PG_RECONNECT_MS = 1000 };

/* LISTENs to what is not yet listened to on this connection. */
static int pg_listen_all(struct pg *b, struct pg_conn *c)
{
	int rc = 0;

	pthread_mutex_lock(&b->lock);
	for (struct pg_channel *ch = b->channels; ch && !rc; ch = ch->next) {
		char sql[64 + DB_CHANNEL_SIZE];

		if (ch->listened)
			continue;
		(void)snprintf(sql, sizeof(sql), "LISTEN " PG_CHANNEL_PREFIX "%s", ch->name);
		pthread_mutex_unlock(&b->lock); /* channels are only ever added, in front */
		rc = pg_simple(c, sql, NULL, NULL);
		pthread_mutex_lock(&b->lock);
		ch->listened = !rc;
	}
	pthread_cond_broadcast(&b->listen_news);
	pthread_mutex_unlock(&b->lock);
	return rc;
}

static void pg_listen_lost(struct pg *b)
{
	pthread_mutex_lock(&b->lock);
	for (struct pg_channel *ch = b->channels; ch; ch = ch->next)
		ch->listened = false;
	pthread_mutex_unlock(&b->lock);
}

static void pg_deliver(struct pg *b, struct pg_conn *c)
{
	PGnotify *n;

	while ((n = PQnotifies(c->h))) {
		if (str_has_prefix(str_z(n->relname), STR(PG_CHANNEL_PREFIX)))
			db_fire(b->db, n->relname + strlen(PG_CHANNEL_PREFIX));
		PQfreemem(n);
	}
}

/* Waits for news of the connection or for a wake-up. False: the connection is lost. */
static bool pg_listen_turn(struct pg *b, struct pg_conn *c)
{
	struct pollfd p[2] = { { .fd = b->wake_fd, .events = POLLIN }, { .fd = PQsocket(c->h), .events = POLLIN } };
	uint64_t      n;

	if (pg_listen_all(b, c))
		return false;
	pg_deliver(b, c); /* what came together with the answers */
	if (poll(p, 2, -1) < 0 && errno != EINTR)
		return false;
	if (p[0].revents)
		(void)!read(b->wake_fd, &n, sizeof(n));
	if (p[1].revents && !PQconsumeInput(c->h))
		return false;
	pg_deliver(b, c);
	return true;
}

static bool pg_stopping(struct pg *b)
{
	bool stop;

	pthread_mutex_lock(&b->lock);
	stop = b->stop;
	pthread_mutex_unlock(&b->lock);
	return stop;
}

static void *pg_listener_main(void *arg)
{
	struct pg      *b = arg;
	struct pg_conn *c = NULL;
	bool            first = true;

	while (!pg_stopping(b)) {
		if (!c && pg_conn_open(b->url, &c, NULL)) {
			struct pollfd p = { .fd = b->wake_fd, .events = POLLIN };
			uint64_t      n;

			if (poll(&p, 1, PG_RECONNECT_MS) == 1)
				(void)!read(b->wake_fd, &n, sizeof(n));
			continue;
		}
		if (!first && !pg_listen_all(b, c))
			db_fire_all(b->db); /* what was notified while nobody listened */
		first = true;
		while (!pg_stopping(b))
			if (!pg_listen_turn(b, c)) {
				pg_listen_lost(b);
				c = pg_conn_close(c);
				first = false;
				break;
			}
	}
	pg_conn_close(c);
	return NULL;
}

static void pg_wake(struct pg *b)
{
	uint64_t one = 1;

	(void)!write(b->wake_fd, &one, sizeof(one));
}

static struct pg_channel *pg_channel_find(struct pg *b, const char *name)
{
	for (struct pg_channel *ch = b->channels; ch; ch = ch->next)
		if (!strcmp(ch->name, name))
			return ch;
	return NULL;
}

/* Adds the channel and starts the thread at the first one; with the lock. */
static int pg_channel_add(struct pg *b, const char *name, struct pg_channel **ret, struct err *reterr)
{
	struct pg_channel *ch = calloc(1, sizeof(*ch));
	int                rc;

	if (!ch)
		return err_set(reterr, WEIR_ENOMEM, "no memory for a channel");
	(void)snprintf(ch->name, sizeof(ch->name), "%s", name);
	ch->next = b->channels;
	b->channels = ch;
	*ret = ch;
	if (b->listener_started)
		return 0;
	rc = pthread_create(&b->listener, NULL, pg_listener_main, b);
	if (rc)
		return err_errno(reterr, rc, "cannot start the thread that listens to PostgreSQL");
	b->listener_started = true;
	return 0;
}

int pg_listen(void *bp, const char *channel, struct err *reterr)
{
	struct pg         *b = bp;
	struct pg_channel *ch;
	struct timespec    until;
	int                rc = 0;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PG_LISTEN_WAIT_MS / 1000;
	pthread_mutex_lock(&b->lock);
	ch = pg_channel_find(b, channel);
	if (!ch)
		rc = pg_channel_add(b, channel, &ch, reterr);
	pg_wake(b);
	while (!rc && !ch->listened)
		if (pthread_cond_timedwait(&b->listen_news, &b->lock, &until) == ETIMEDOUT && !ch->listened)
			rc = err_set(reterr, WEIR_EUNAVAIL, "cannot listen to PostgreSQL: no connection within %d s", PG_LISTEN_WAIT_MS / 1000);
	pthread_mutex_unlock(&b->lock);
	return rc;
}

void pg_listen_stop(struct pg *b)
{
	pthread_mutex_lock(&b->lock);
	b->stop = true;
	pthread_mutex_unlock(&b->lock);
	pg_wake(b);
	if (b->listener_started)
		pthread_join(b->listener, NULL);
	while (b->channels) {
		struct pg_channel *ch = b->channels;

		b->channels = ch->next;
		free(ch);
	}
}
