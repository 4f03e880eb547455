/* stream.c - large transfers: one ring for each direction between the loop thread (sockets) and a worker (the handler).
 *
 * Back pressure both ways: the connection is suspended while the ring of the body is full or the ring of the answer is empty; the handler waits while
 * there is nothing to read or no room to write. All shared state is under the stream's lock; a suspended connection is resumed exactly once by
 * whoever clears its `waits` flag. The request lives until both sides are done with it (http_req.refs).
 * libmicrohttpd sends an answer only after the whole body came: what the handler writes before waits in the ring. */
#include "base/base.h"
#include "base/log.h"
#include "net/http-internal.h"

struct ring {
	char  *bytes;
	size_t head, n;
};
enum waits { WAITS_NOT, WAITS_ROOM, WAITS_HEAD, WAITS_DATA };
struct http_stream {
	pthread_mutex_t lock;
	pthread_cond_t  changed;
	struct ring     in, out;
	enum waits      waits;    /* why the connection is suspended */
	bool            in_end;   /* the whole body has come */
	bool            in_drop;  /* nobody reads any more */
	bool            in_over;  /* over the route's limit */
	bool            frozen;   /* status and headers are fixed: the first http_write() */
	bool            done;     /* the handler has returned */
	bool            broken;   /* ... with an error after it had written */
	bool            gone;     /* the connection is no more */
};

static size_t ring_put(struct ring *r, const char *p, size_t n)
{
	size_t done = 0;

	while (done < n && r->n < LIMIT_HTTP_RING_BYTES) {
		size_t at = (r->head + r->n) % LIMIT_HTTP_RING_BYTES;
		size_t room = (at >= r->head ? LIMIT_HTTP_RING_BYTES : r->head) - at;
		size_t step = n - done < room ? n - done : room;

		memcpy(r->bytes + at, p + done, step);
		r->n += step;
		done += step;
	}
	return done;
}

static size_t ring_get(struct ring *r, char *p, size_t n)
{
	size_t done = 0;

	while (done < n && r->n) {
		size_t step = LIMIT_HTTP_RING_BYTES - r->head;

		if (step > r->n)
			step = r->n;
		if (step > n - done)
			step = n - done;
		memcpy(p + done, r->bytes + r->head, step);
		r->head = (r->head + step) % LIMIT_HTTP_RING_BYTES;
		r->n -= step;
		done += step;
	}
	return done;
}

struct http_stream *stream_free(struct http_stream *st)
{
	if (!st)
		return NULL;
	pthread_cond_destroy(&st->changed);
	pthread_mutex_destroy(&st->lock);
	free(st->in.bytes);
	free(st->out.bytes);
	free(st);
	return NULL;
}

static struct http_stream *stream_new(void)
{
	struct http_stream *st = calloc(1, sizeof(*st));
	pthread_condattr_t  attr;

	if (!st)
		return NULL;
	pthread_mutex_init(&st->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&st->changed, &attr);
	pthread_condattr_destroy(&attr);
	st->in.bytes = malloc(LIMIT_HTTP_RING_BYTES);
	st->out.bytes = malloc(LIMIT_HTTP_RING_BYTES);
	return st->in.bytes && st->out.bytes ? st : stream_free(st);
}

/* The worker may outlive the connection and with it the parser's buffer. */
static bool copy_headers(struct http_req *r)
{
	for (size_t i = 0; i < r->n_headers; i++) {
		r->headers[i].name = arena_str(&r->arena, r->headers[i].name);
		r->headers[i].value = arena_str(&r->arena, r->headers[i].value);
	}
	r->strict.authority = arena_str(&r->arena, r->strict.authority);
	return !r->arena.failed;
}

int stream_begin(struct http_req *r, struct err *reterr)
{
	r->stream = stream_new();
	if (!r->stream || !copy_headers(r))
		return err_set(reterr, WEIR_ENOMEM, "no memory for the transfer");
	atomic_fetch_add(&r->refs, 1);
	if (!bqueue_push(r->s->queue, r, NULL))
		return 0;
	atomic_fetch_sub(&r->refs, 1);
	r->stream = stream_free(r->stream);
	return err_set(reterr, WEIR_EUNAVAIL, "all workers are busy and the queue is full; try again");
}

/* With the lock held. */
static void suspend(struct http_req *r, enum waits why)
{
	r->stream->waits = why;
	MHD_suspend_connection(r->mhd);
}

static void resume_if(struct http_req *r, enum waits why)
{
	if (r->stream->waits != why)
		return;
	r->stream->waits = WAITS_NOT;
	MHD_resume_connection(r->mhd);
}

/* --- loop thread --- */

enum MHD_Result stream_upload(struct http_req *r, const char *data, size_t *n)
{
	struct http_stream *st = r->stream;
	size_t              taken;

	if (!conn_set_phase(r->conn, CONN_BODY)) /* each piece that comes starts the time anew */
		return MHD_NO;
	pthread_mutex_lock(&st->lock);
	if (r->body_seen + (int64_t)*n > r->match.entry->route->body_max)
		st->in_over = st->in_drop = true;
	taken = st->in_drop ? *n : ring_put(&st->in, data, *n);
	*n -= taken;
	r->body_seen += (int64_t)taken;
	if (*n) {
		(void)conn_set_phase(r->conn, CONN_BUSY); /* the handler's time, not the client's */
		suspend(r, WAITS_ROOM);
	}
	pthread_cond_broadcast(&st->changed);
	/* A body far over its limit is not read to its end. */
	bool cut = st->in_over && r->body_seen > r->match.entry->route->body_max + LIMIT_HTTP_DISCARD_BYTES;
	pthread_mutex_unlock(&st->lock);
	return cut ? MHD_NO : MHD_YES;
}

static ssize_t read_answer(void *cls, uint64_t pos UNUSED, char *out, size_t max)
{
	struct http_req    *r = cls;
	struct http_stream *st = r->stream;
	ssize_t             n;

	pthread_mutex_lock(&st->lock);
	n = (ssize_t)ring_get(&st->out, out, max);
	if (n) {
		pthread_cond_broadcast(&st->changed);
	} else if (st->broken || (!st->done && atomic_load(&r->s->stopping) == 2)) {
		n = conn_end_with_error(r->conn->fd);
	} else if (st->done) {
		n = MHD_CONTENT_READER_END_OF_STREAM;
	} else {
		suspend(r, WAITS_DATA);
	}
	pthread_mutex_unlock(&st->lock);
	return n;
}

enum MHD_Result stream_upload_end(struct http_req *r)
{
	struct http_stream *st = r->stream;
	bool                ready, frozen;

	if (!conn_set_phase(r->conn, CONN_BUSY))
		return MHD_NO;
	pthread_mutex_lock(&st->lock);
	st->in_end = true;
	frozen = st->frozen;
	ready = frozen || st->done;
	if (!ready)
		suspend(r, WAITS_HEAD);
	pthread_cond_broadcast(&st->changed);
	pthread_mutex_unlock(&st->lock);
	if (!ready)
		return MHD_YES;
	if (!frozen)
		return answer_queue(r); /* the handler returned without having written: an ordinary answer */
	return answer_queue_response(r, MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 32 << 10, read_answer, r, NULL));
}

void stream_client_gone(struct http_req *r)
{
	pthread_mutex_lock(&r->stream->lock);
	r->stream->gone = true;
	pthread_cond_broadcast(&r->stream->changed);
	pthread_mutex_unlock(&r->stream->lock);
}

/* --- worker --- */

bool stream_frozen(const struct http_req *r)
{
	pthread_mutex_lock(&r->stream->lock);
	bool frozen = r->stream->frozen;
	pthread_mutex_unlock(&r->stream->lock);
	return frozen;
}

bool stream_gone(const struct http_req *r)
{
	pthread_mutex_lock(&r->stream->lock);
	bool gone = r->stream->gone;
	pthread_mutex_unlock(&r->stream->lock);
	return gone;
}

static int over(struct http_req *r, struct err *reterr)
{
	return err_set(reterr, WEIR_ELIMIT, "the body is over this route's limit of %lld bytes",
	               (long long)r->match.entry->route->body_max);
}

/* The end that no waiting gets past: 0, or an error. With the lock held. */
static int stream_dead(const struct http_req *r, struct err *reterr)
{
	if (r->stream->gone)
		return err_set(reterr, WEIR_ECANCELED, "the client is gone");
	if (atomic_load(&r->s->stopping) == 2)
		return err_set(reterr, WEIR_ECANCELED, "weir is stopping");
	return 0;
}

/* Waits for a change, at most a second at a time: stopping is not signalled through the stream. */
static void wait_a_bit(struct http_stream *st)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += 1;
	pthread_cond_timedwait(&st->changed, &st->lock, &until);
}

ssize_t http_read(struct http_req *r, void *p, size_t n, struct err *reterr)
{
	struct http_stream *st = r->stream;
	ssize_t             got = 0;

	pthread_mutex_lock(&st->lock);
	while (!st->in.n && !st->in_end && !st->in_over && !(got = stream_dead(r, reterr)))
		wait_a_bit(st);
	if (!got && st->in_over) {
		got = over(r, reterr);
	} else if (!got) {
		got = (ssize_t)ring_get(&st->in, p, n);
		resume_if(r, WAITS_ROOM);
	}
	pthread_mutex_unlock(&st->lock);
	return got;
}

int http_write(struct http_req *r, str data, struct err *reterr)
{
	struct http_stream *st = r->stream;
	const struct clock *clock = r->s->cfg.clock;
	usec_t              began = clock_mono(clock);
	int                 ret = 0;

	pthread_mutex_lock(&st->lock);
	st->frozen = true;
	resume_if(r, WAITS_HEAD);
	while (!(ret = stream_dead(r, reterr)) && data.len) {
		size_t put = ring_put(&st->out, data.ptr, data.len);

		data = str_sub(data, put, data.len);
		if (put) {
			resume_if(r, WAITS_DATA);
			began = clock_mono(clock);
			continue;
		}
		/* The answer cannot go out before the body is in, and nobody reads the body: this would last for ever. */
		if (st->waits == WAITS_ROOM && clock_mono(clock) - began > r->s->cfg.body_timeout_ms * USEC_PER_MSEC) {
			ret = err_set(reterr, WEIR_ETIMEOUT, "the answer waits for a body that nobody reads");
			break;
		}
		wait_a_bit(st);
	}
	pthread_mutex_unlock(&st->lock);
	return ret;
}

static void handler_done(struct http_req *r, int ret)
{
	struct http_stream *st = r->stream;

	if (ret && st->frozen && ret != -WEIR_ECANCELED)
		log_error("net", "%.*s %.*s: cut after a part of the answer: %s", STR_ARG(r->method), STR_ARG(r->raw_path), r->err.msg);
	pthread_mutex_lock(&st->lock);
	st->done = true;
	st->broken = ret && st->frozen;
	st->in_drop = true;
	if (st->waits != WAITS_NOT)
		resume_if(r, st->waits);
	pthread_mutex_unlock(&st->lock);
	req_unref(r);
}

void stream_run(struct http_req *r)
{
	const struct route_entry *entry = r->match.entry;
	int                       ret;

	if (atomic_load(&r->s->stopping) == 2) {
		answer_errorf(r, 503, WEIR_EUNAVAIL, "weir is stopping");
		handler_done(r, 0);
		return;
	}
	ret = entry->route->fn(r, entry->ctx, &r->err);
	if (ret && !r->stream->frozen) /* only this thread sets it */
		answer_handler_error(r, 0);
	handler_done(r, ret);
}
