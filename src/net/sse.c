/* sse.c - hubs of event streams: many quiet clients that hold no thread (see sse.h).
 *
 * A client is a suspended connection with a position. sse_kick() marks the clients and resumes those that wait; their loop threads then pull what is
 * new, send it and suspend again. The housekeeper does the same every 15 s for a comment line, and finds clients that went away. The
 * hub's lock guards its list and the flags of its clients; the pull runs without it. */
#include "base/base.h"
#include "net/http-internal.h"
#include "net/sse.h"

#define SSE_PING_US (15 * USEC_PER_SEC)

struct sse_conn {
	struct sse_client      pub;
	struct sse_hub        *hub;
	struct MHD_Connection *mhd;
	int                    fd;
	struct sse_conn       *prev, *next;
	bool                   waiting; /* suspended */
	bool                   kicked, ping, gone;
	bool                   ended; /* the loop thread's own */
	struct buf             pending;
	size_t                 sent; /* of pending */
	usec_t                 last;
	struct arena           arena;
};
struct sse_hub {
	struct http_server *s;
	sse_pull            pull;
	void               *ctx;
	unsigned            n_clients, clients_max;
	pthread_mutex_t     lock;
	struct sse_conn     clients; /* list head */
	bool                ending;
};

int sse_hub_new(struct http_server *s, sse_pull pull, void *ctx, unsigned clients_max, struct sse_hub **ret, struct err *reterr)
{
	struct sse_hub *h = calloc(1, sizeof(*h));
	bool            ok;

	if (!h)
		return err_set(reterr, WEIR_ENOMEM, "no memory for a hub of event streams");
	*h = (struct sse_hub){ .s = s, .pull = pull, .ctx = ctx, .clients_max = clients_max };
	h->clients.prev = h->clients.next = &h->clients;
	pthread_mutex_init(&h->lock, NULL);
	pthread_mutex_lock(&s->lock);
	ok = VEC_PUSH(&s->hubs, h);
	pthread_mutex_unlock(&s->lock);
	if (!ok) {
		sse_hub_free(h);
		return err_set(reterr, WEIR_ENOMEM, "no memory for a hub of event streams");
	}
	*ret = h;
	return 0;
}

struct sse_hub *sse_hub_free(struct sse_hub *h)
{
	if (!h)
		return NULL;
	if (h->clients.next != &h->clients)
		BUG("a hub is freed while it has clients: stop the server first");
	pthread_mutex_destroy(&h->lock);
	free(h);
	return NULL;
}

/* With the hub's lock held. */
static void wake(struct sse_conn *c)
{
	if (!c->waiting)
		return;
	c->waiting = false;
	MHD_resume_connection(c->mhd);
}

void sse_kick(struct sse_hub *h)
{
	pthread_mutex_lock(&h->lock);
	for (struct sse_conn *c = h->clients.next; c != &h->clients; c = c->next) {
		c->kicked = true;
		wake(c);
	}
	pthread_mutex_unlock(&h->lock);
}

void sse_housekeeping(struct http_server *s)
{
	usec_t now = clock_mono(s->cfg.clock);

	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->hubs.n; i++) {
		struct sse_hub *h = s->hubs.v[i];

		pthread_mutex_lock(&h->lock);
		for (struct sse_conn *c = h->clients.next; c != &h->clients; c = c->next) {
			if (!c->waiting) /* only a suspended connection's socket is surely open */
				continue;
			c->gone = conn_peer_gone(c->fd);
			c->ping = now - c->last >= SSE_PING_US;
			if (c->gone || c->ping)
				wake(c);
		}
		pthread_mutex_unlock(&h->lock);
	}
	pthread_mutex_unlock(&s->lock);
}

void sse_end_all(struct http_server *s)
{
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->hubs.n; i++) {
		struct sse_hub *h = s->hubs.v[i];

		pthread_mutex_lock(&h->lock);
		h->ending = true;
		for (struct sse_conn *c = h->clients.next; c != &h->clients; c = c->next)
			wake(c);
		pthread_mutex_unlock(&h->lock);
	}
	pthread_mutex_unlock(&s->lock);
}

/* Suspends the client unless something came up meanwhile. True: look again. */
static bool look_again_or_sleep(struct sse_conn *c)
{
	struct sse_hub *h = c->hub;
	bool            again;

	pthread_mutex_lock(&h->lock);
	again = c->kicked || c->ping || c->gone || h->ending;
	if (!again) {
		c->waiting = true;
		MHD_suspend_connection(c->mhd);
	}
	pthread_mutex_unlock(&h->lock);
	return again;
}

static ssize_t hand_out(struct sse_conn *c, char *out, size_t max)
{
	size_t n = c->pending.len - c->sent;

	if (n > max)
		n = max;
	memcpy(out, c->pending.ptr + c->sent, n);
	c->sent += n;
	if (c->sent == c->pending.len) {
		buf_clear(&c->pending);
		c->sent = 0;
	}
	return (ssize_t)n;
}

static ssize_t read_events(void *cls, uint64_t pos UNUSED, char *out, size_t max)
{
	struct sse_conn *c = cls;
	struct sse_hub  *h = c->hub;
	bool             ping, gone, ending;

	while (!c->pending.len) {
		pthread_mutex_lock(&h->lock);
		ping = c->ping;
		gone = c->gone;
		ending = h->ending;
		c->kicked = c->ping = false;
		pthread_mutex_unlock(&h->lock);
		if (c->ended || ending)
			return MHD_CONTENT_READER_END_OF_STREAM;
		if (gone || h->pull(&c->pub, &c->pending, &c->ended, h->ctx, NULL) || c->pending.failed)
			return conn_end_with_error(c->fd);
		if (ping && !c->pending.len)
			buf_addz(&c->pending, ":\n\n");
		if (!c->pending.len && !c->ended && !look_again_or_sleep(c))
			return 0;
	}
	pthread_mutex_lock(&h->lock);
	c->last = clock_mono(h->s->cfg.clock);
	pthread_mutex_unlock(&h->lock);
	return hand_out(c, out, max);
}

static void conn_free(void *cls)
{
	struct sse_conn *c = cls;

	pthread_mutex_lock(&c->hub->lock);
	c->prev->next = c->next;
	c->next->prev = c->prev;
	c->hub->n_clients--;
	pthread_mutex_unlock(&c->hub->lock);
	buf_fini(&c->pending);
	arena_fini(&c->arena);
	free(c);
}

static int start_position(const struct http_req *r, int64_t *ret, struct err *reterr)
{
	str v = http_header(r, "last-event-id");

	*ret = http_query_int(r, "last_event_id", -1);
	if (v.ptr && (!str_to_i64(v, ret) || *ret < 0))
		return err_set(reterr, WEIR_EINVAL, "Last-Event-ID is not one of this stream's: a whole number from 0 on");
	return 0;
}

static bool enlist(struct sse_hub *h, struct sse_conn *c)
{
	bool ok;

	pthread_mutex_lock(&h->lock);
	ok = h->n_clients < h->clients_max && !h->ending;
	if (ok) {
		h->n_clients++;
		c->next = &h->clients;
		c->prev = h->clients.prev;
		c->prev->next = c->next->prev = c;
	}
	pthread_mutex_unlock(&h->lock);
	return ok;
}

int sse_attach(struct http_req *r, struct sse_hub *h, const str *params, size_t n_params, struct err *reterr)
{
	struct sse_conn *c;
	int64_t          from;
	int              e = start_position(r, &from, reterr);

	if (e)
		return e;
	c = calloc(1, sizeof(*c));
	if (!c)
		return err_set(reterr, WEIR_ENOMEM, "no memory for an event stream");
	if (n_params > ARRAY_SIZE(c->pub.params))
		BUG("an event stream has at most %zu parameters", ARRAY_SIZE(c->pub.params));
	c->hub = h;
	c->mhd = r->mhd;
	c->fd = r->conn->fd;
	c->pub.position = from;
	arena_init(&c->arena, 64 << 10);
	buf_init(&c->pending, LIMIT_SSE_PULL_BYTES);
	for (size_t i = 0; i < n_params; i++)
		c->pub.params[i] = arena_str(&c->arena, params[i]);
	buf_addz(&c->pending, "retry: 2000\n\n"); /* also makes the headers go out at once */
	if (c->arena.failed || !enlist(h, c)) {
		buf_fini(&c->pending);
		arena_fini(&c->arena);
		free(c);
		return err_set(reterr, WEIR_EBUSY, "%u event streams are open, which is the limit; try again later", h->clients_max);
	}
	r->made = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16 << 10, read_events, c, conn_free);
	if (!r->made) {
		conn_free(c);
		return err_set(reterr, WEIR_ENOMEM, "no memory for an event stream");
	}
	r->is_events = true;
	atomic_fetch_sub(&r->s->n_active, 1);
	r->type = "text/event-stream";
	http_set_header(r, "Cache-Control", STR("no-cache"));
	http_set_header(r, "X-Accel-Buffering", STR("no"));
	return 0;
}

void sse_message(struct buf *out, int64_t id, const char *event, str data)
{
	str line;

	if (id >= 0)
		buf_addf(out, "id: %lld\n", (long long)id);
	if (event && *event)
		buf_addf(out, "event: %s\n", event);
	for (bool more = true; more;) {
		more = str_cut(data, '\n', &line, &data);
		if (str_has_suffix(line, STR("\r")))
			line.len--;
		buf_addz(out, "data: ");
		/* A lone CR would end the line for the client. */
		for (size_t i = 0; i < line.len; i++)
			buf_addc(out, line.ptr[i] == '\r' ? ' ' : line.ptr[i]);
		buf_addc(out, '\n');
	}
	buf_addc(out, '\n');
}
