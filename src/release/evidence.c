/* evidence.c - the listener that HAProxy's ring connects to, and the counting (evidence.h).
 *
 * One thread: poll, read, count, and save what changed at most every 50 ms (what a kill of weir can lose); while it waits for the disk the ring keeps the records.
 * A lock covers the watched releases; nothing blocks under it. Memory is bounded: a fixed window of numbers, a fixed table per watched release. */
#include "base/base.h"

#include "base/fs.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/vec.h"
#include "judge/dedup.h"
#include "release/evidence.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNS_MAX = 8, READ_BYTES = 256 << 10, SAVE_EVERY_MS = 50, WINDOW_BITS = 65536, BOOTS_MAX = 2 };

/* Numbers seen of one HAProxy process: a ring of bits behind the highest one. */
struct window {
	char     boot[48];
	uint64_t top; /* highest number seen + 1; 0: none */
	uint64_t bits[WINDOW_BITS / 64];
};
struct watched {
	struct evidence_watch w;
	struct judge_dedup    dedup;
	bool                  dirty;
};
struct conn {
	int    fd;
	size_t len;
	char   line[LIMIT_RECORD_BYTES + 64];
	bool   skipping; /* the rest of an overlong line */
};
struct evidence {
	struct evidence_config cfg;
	pthread_mutex_t lock;
	pthread_t       thread;
	bool            running;
	int             listener, stop_fd;
	struct conn     conn[CONNS_MAX];
	usec_t          connected_since;
	VEC(struct watched *) watched;
	struct window   window[BOOTS_MAX]; /* newest first */
	bool            window_dirty, wake;
	uint64_t        junk; /* lines that were no record */
	bool            save_failing; /* said once */
};

/* --- the window of numbers --- */

static struct window *window_of(struct evidence *e, const char *boot)
{
	for (unsigned i = 0; i < BOOTS_MAX; i++)
		if (!strcmp(e->window[i].boot, boot))
			return &e->window[i];
	memmove(&e->window[1], &e->window[0], sizeof(e->window[0]) * (BOOTS_MAX - 1)); /* a new process: the oldest is forgotten */
	memset(&e->window[0], 0, sizeof(e->window[0]));
	snprintf(e->window[0].boot, sizeof(e->window[0].boot), "%s", boot);
	return &e->window[0];
}

/* True when the number is new. One that is older than the window is taken for new: it is a request that lasted long. */
static bool window_take(struct evidence *e, const char *boot, uint64_t n)
{
	struct window *w = window_of(e, boot);
	uint64_t       bit = n % WINDOW_BITS, mask = 1ULL << (bit % 64);

	e->window_dirty = true;
	if (w->top && n + WINDOW_BITS < w->top)
		return true;
	if (n >= w->top) {
		uint64_t from = w->top && n - w->top < WINDOW_BITS ? w->top : n >= WINDOW_BITS ? n - WINDOW_BITS + 1 : 0;

		for (uint64_t i = from; i < n; i++)
			w->bits[i % WINDOW_BITS / 64] &= ~(1ULL << (i % 64));
		w->top = n + 1;
	} else if (w->bits[bit / 64] & mask) {
		return false;
	}
	w->bits[bit / 64] |= mask;
	return true;
}

void evidence_set_window(struct evidence *e, str window)
{
	if (window.len == sizeof(e->window))
		memcpy(e->window, window.ptr, sizeof(e->window));
	for (unsigned i = 0; i < BOOTS_MAX; i++)
		e->window[i].boot[sizeof(e->window[i].boot) - 1] = 0;
}

/* --- counting --- */

static struct judge_segment *segment_of(struct evidence_counts *c, unsigned canary_share)
{
	for (size_t i = 0; i < c->n_seg; i++)
		if (c->seg_share[i] == canary_share)
			return &c->seg[i];
	if (c->n_seg == JUDGE_SEGMENTS_MAX)
		return NULL;
	c->seg_share[c->n_seg] = canary_share;
	c->seg[c->n_seg].canary_share = (double)canary_share / TRAFFIC_SHARE_ONE;
	return &c->seg[c->n_seg++];
}

static void add_client(struct evidence_counts *c, uint64_t client)
{
	for (uint32_t i = 0; i < c->n_clients; i++)
		if (c->clients[i] == client)
			return;
	if (c->n_clients < EVIDENCE_CLIENTS_MAX)
		c->clients[c->n_clients++] = client;
}

static uint64_t client_of(const struct watched *w, const struct evidence_record *r)
{
	switch (w->w.client) {
	case CLIENT_ADDRESS: return r->address;
	case CLIENT_HEADER: return r->header ? r->header : r->connection;
	case CLIENT_CONNECTION: break;
	}
	return r->connection;
}

static void count(struct evidence *e, struct watched *w, const struct evidence_record *r)
{
	struct evidence_counts *c = &w->w.counts;
	bool                    canary = r->arm == w->w.canary;
	struct judge_segment   *s = segment_of(c, w->w.canary == ARM_B ? r->share_b : TRAFFIC_SHARE_ONE - r->share_b);
	uint64_t                client = client_of(w, r);

	if (!s)
		return;
	*(canary ? &s->requests_canary : &s->requests_stable) += 1;
	c->records++;
	w->dirty = true;
	if (!r->failed) {
		if (r->took_ms >= 0)
			latency_add(&c->latency[canary ? 0 : 1], (uint64_t)r->took_ms);
		if (canary && (!c->first_good || r->ended < c->first_good))
			c->first_good = r->ended;
		return;
	}
	*(canary ? &s->failed_canary : &s->failed_stable) += 1;
	if (w->w.error_window == 0 || judge_dedup_count(&w->dedup, client, r->ended, w->w.error_window))
		*(canary ? &s->errors_canary : &s->errors_stable) += 1;
	if (!canary)
		return;
	add_client(c, client);
	if (!c->first_bad || r->ended < c->first_bad)
		c->first_bad = r->ended;
	if (r->ended > c->last_bad)
		c->last_bad = r->ended;
	e->wake = true;
}

static void feed_locked(struct evidence *e, str line)
{
	struct evidence_record r;

	if (!evidence_parse(line, &r)) {
		e->junk++;
		return;
	}
	if (!window_take(e, r.boot, r.number))
		return;
	for (size_t i = 0; i < e->watched.n; i++) {
		struct watched *w = e->watched.v[i];

		if (w->w.slot != r.slot)
			continue;
		/* For the comparison with HAProxy's counters every request of the slot counts, whatever release it belonged to. */
		w->w.counts.seen[r.arm]++;
		w->w.counts.seen_failed[r.arm] += r.status >= 500;
		w->dirty = true;
		if (w->w.tag == r.tag)
			count(e, w, &r);
	}
}

void evidence_feed(struct evidence *e, str line)
{
	pthread_mutex_lock(&e->lock);
	feed_locked(e, line);
	pthread_mutex_unlock(&e->lock);
}

/* --- the thread --- */

static void feed_bytes(struct evidence *e, struct conn *c, const char *p, size_t n)
{
	while (n > 0) {
		const char *nl = memchr(p, '\n', n);
		size_t      part = nl ? (size_t)(nl - p) : n;

		if (c->len + part > sizeof(c->line))
			c->skipping = true; /* no record of ours is that long */
		if (!c->skipping) {
			memcpy(c->line + c->len, p, part);
			c->len += part;
		}
		if (nl) {
			if (!c->skipping)
				feed_locked(e, str_n(c->line, c->len));
			c->len = 0;
			c->skipping = false;
			part++;
		}
		p += part;
		n -= part;
	}
}

static void accept_one(struct evidence *e)
{
	int fd = accept4(e->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	for (unsigned i = 0; fd >= 0 && i < CONNS_MAX; i++)
		if (e->conn[i].fd < 0) {
			e->conn[i] = (struct conn){ .fd = fd };
			pthread_mutex_lock(&e->lock);
			e->connected_since = clock_mono_now();
			pthread_mutex_unlock(&e->lock);
			return;
		}
	if (fd >= 0)
		close(fd);
}

static void read_one(struct evidence *e, struct conn *c, char *piece)
{
	ssize_t n = read(c->fd, piece, READ_BYTES);
	bool    wake, any = false;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		close(c->fd);
		c->fd = -1;
		for (unsigned i = 0; i < CONNS_MAX; i++)
			any = any || e->conn[i].fd >= 0;
		pthread_mutex_lock(&e->lock);
		e->connected_since = any ? clock_mono_now() : 0;
		pthread_mutex_unlock(&e->lock);
		return;
	}
	pthread_mutex_lock(&e->lock);
	feed_bytes(e, c, piece, (size_t)n);
	wake = e->wake;
	e->wake = false;
	pthread_mutex_unlock(&e->lock);
	if (wake)
		e->cfg.wake(e->cfg.ctx);
}

/* Saves one release's counts that changed; false when there was none. */
static bool save_next(struct evidence *e)
{
	struct evidence_counts c;
	struct err             err = { 0 };
	struct watched        *w = NULL;
	uint64_t               tag = 0;

	pthread_mutex_lock(&e->lock);
	for (size_t i = 0; i < e->watched.n && !w; i++)
		if (e->watched.v[i]->dirty)
			w = e->watched.v[i];
	if (w) {
		w->dirty = false;
		tag = w->w.tag;
		c = w->w.counts;
	}
	pthread_mutex_unlock(&e->lock);
	if (!w)
		return false;
	if (e->cfg.save(e->cfg.ctx, tag, &c, &err)) {
		if (!e->save_failing)
			log_error("release", "counts of a release cannot be stored (they stay in memory): %s", err.msg);
		e->save_failing = true;
		pthread_mutex_lock(&e->lock);
		for (size_t i = 0; i < e->watched.n; i++)
			e->watched.v[i]->dirty = e->watched.v[i]->dirty || e->watched.v[i]->w.tag == tag;
		pthread_mutex_unlock(&e->lock);
		return false; /* again at the next time */
	}
	e->save_failing = false;
	return true;
}

static void save_all(struct evidence *e)
{
	static const size_t size = sizeof(e->window);
	struct err          err = { 0 };
	char CLEANUP_FREE  *copy = NULL;

	while (save_next(e))
		;
	pthread_mutex_lock(&e->lock);
	if (e->window_dirty && e->watched.n && (copy = malloc(size))) {
		memcpy(copy, e->window, size);
		e->window_dirty = false;
	}
	pthread_mutex_unlock(&e->lock);
	if (copy && e->cfg.save_window(e->cfg.ctx, str_n(copy, size), &err) && !e->save_failing)
		log_error("release", "the window of records cannot be stored: %s", err.msg);
}

static void *thread_main(void *arg)
{
	struct evidence    *e = arg;
	char CLEANUP_FREE  *piece = malloc(READ_BYTES);
	usec_t              saved = clock_mono_now();

	while (piece) {
		struct pollfd p[2 + CONNS_MAX] = { { .fd = e->stop_fd, .events = POLLIN }, { .fd = e->listener, .events = POLLIN } };

		for (unsigned i = 0; i < CONNS_MAX; i++)
			p[2 + i] = (struct pollfd){ .fd = e->conn[i].fd, .events = POLLIN };
		if (poll(p, ARRAY_SIZE(p), SAVE_EVERY_MS) < 0 && errno != EINTR)
			break;
		if (p[0].revents)
			break;
		for (unsigned i = 0; i < CONNS_MAX; i++)
			if (p[2 + i].revents)
				read_one(e, &e->conn[i], piece);
		if (p[1].revents)
			accept_one(e);
		if (clock_mono_now() - saved >= SAVE_EVERY_MS * USEC_PER_MSEC) {
			save_all(e);
			saved = clock_mono_now();
		}
	}
	save_all(e);
	return NULL;
}

/* --- life cycle --- */

int evidence_new(const struct evidence_config *cfg, struct evidence **ret, struct err *reterr)
{
	struct evidence *e = calloc(1, sizeof(*e));

	if (!e)
		return err_set(reterr, WEIR_ENOMEM, "evidence");
	e->cfg = *cfg;
	e->listener = e->stop_fd = -1;
	for (unsigned i = 0; i < CONNS_MAX; i++)
		e->conn[i].fd = -1;
	pthread_mutex_init(&e->lock, NULL);
	*ret = e;
	return 0;
}

int evidence_start(struct evidence *e, struct err *reterr)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(e->cfg.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int                on = 1, size = 8 << 20;

	e->stop_fd = eventfd(0, EFD_CLOEXEC);
	e->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (e->stop_fd < 0 || e->listener < 0)
		return err_errno(reterr, errno, "evidence listener");
	setsockopt(e->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(e->listener, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (bind(e->listener, (struct sockaddr *)&sa, sizeof(sa)) || listen(e->listener, CONNS_MAX))
		return err_errno(reterr, errno, "evidence listener on port %u (kept in haproxy/ports of the data folder)", e->cfg.port);
	if (pthread_create(&e->thread, NULL, thread_main, e))
		return err_set(reterr, WEIR_ENOMEM, "evidence thread");
	e->running = true;
	return 0;
}

struct evidence *evidence_free(struct evidence *e)
{
	uint64_t one = 1;

	if (!e)
		return NULL;
	if (e->running) {
		if (write(e->stop_fd, &one, sizeof(one)) != sizeof(one))
			BUG("eventfd");
		pthread_join(e->thread, NULL);
	}
	for (unsigned i = 0; i < CONNS_MAX; i++)
		base_cleanup_fd(&e->conn[i].fd);
	base_cleanup_fd(&e->listener);
	base_cleanup_fd(&e->stop_fd);
	for (size_t i = 0; i < e->watched.n; i++)
		free(e->watched.v[i]);
	VEC_FINI(&e->watched);
	pthread_mutex_destroy(&e->lock);
	free(e);
	return NULL;
}

static struct watched *find_locked(struct evidence *e, uint64_t tag)
{
	for (size_t i = 0; i < e->watched.n; i++)
		if (e->watched.v[i]->w.tag == tag)
			return e->watched.v[i];
	return NULL;
}

int evidence_watch(struct evidence *e, const struct evidence_watch *w, struct err *reterr)
{
	struct watched *n = calloc(1, sizeof(*n));
	bool            ok;

	if (!n)
		return err_set(reterr, WEIR_ENOMEM, "evidence");
	n->w = *w;
	judge_dedup_init(&n->dedup);
	pthread_mutex_lock(&e->lock);
	ok = find_locked(e, w->tag) || VEC_PUSH(&e->watched, n);
	if (ok && e->watched.v[e->watched.n - 1] == n)
		n = NULL;
	pthread_mutex_unlock(&e->lock);
	free(n);
	return ok ? 0 : err_set(reterr, WEIR_ENOMEM, "evidence");
}

void evidence_unwatch(struct evidence *e, uint64_t tag)
{
	pthread_mutex_lock(&e->lock);
	for (size_t i = 0; i < e->watched.n; i++)
		if (e->watched.v[i]->w.tag == tag) {
			free(e->watched.v[i]);
			e->watched.v[i] = e->watched.v[--e->watched.n];
			break;
		}
	pthread_mutex_unlock(&e->lock);
}

bool evidence_get(struct evidence *e, uint64_t tag, struct evidence_counts *ret)
{
	struct watched *w;

	pthread_mutex_lock(&e->lock);
	w = find_locked(e, tag);
	if (w)
		*ret = w->w.counts;
	pthread_mutex_unlock(&e->lock);
	return w != NULL;
}

void evidence_set_base(struct evidence *e, uint64_t tag, const struct traffic_counts *base, const struct evidence_counts *before)
{
	struct watched *w;

	pthread_mutex_lock(&e->lock);
	if ((w = find_locked(e, tag))) {
		w->w.counts.base = *base;
		w->w.counts.has_base = true;
		for (unsigned a = 0; a < 2; a++) {
			w->w.counts.seen[a] -= before->seen[a];
			w->w.counts.seen_failed[a] -= before->seen_failed[a];
		}
		w->w.counts.records++;
		w->dirty = true;
	}
	pthread_mutex_unlock(&e->lock);
}

void evidence_add_missing(struct evidence *e, uint64_t tag, enum traffic_arm arm, unsigned canary_share, uint64_t requests, uint64_t failed)
{
	struct judge_segment *s;
	struct watched       *w;

	pthread_mutex_lock(&e->lock);
	w = find_locked(e, tag);
	s = w ? segment_of(&w->w.counts, canary_share) : NULL;
	if (s) {
		bool canary = arm == w->w.canary;

		*(canary ? &s->requests_canary : &s->requests_stable) += requests;
		*(canary ? &s->failed_canary : &s->failed_stable) += failed;
		w->w.counts.seen[arm] += requests;
		w->w.counts.seen_failed[arm] += failed;
		w->w.counts.missing += requests;
		w->w.counts.records += requests;
		w->dirty = true;
	}
	pthread_mutex_unlock(&e->lock);
}

usec_t evidence_connected_since(struct evidence *e)
{
	usec_t t;

	pthread_mutex_lock(&e->lock);
	t = e->connected_since;
	pthread_mutex_unlock(&e->lock);
	return t;
}
