/* edge-link.c - the thread that follows the server: compares revisions, fetches what is newer, and waits at the server's event stream for news.
 *
 * Where the stream cannot be had (a proxy in between cuts or refuses it) the waits between the attempts make it polling. Waits double up to
 * LIMIT_EDGE_WAIT_S, are spread by random, and obey Retry-After. A set is on disk before it is served; a disk that fails is told in the log and the
 * metrics, and the set is served all the same: a switch that was thrown must reach its users. */
#include "base/base.h"

#include "edge/edge-internal.h"
#include "base/hash.h"
#include "base/log.h"

#include <errno.h>
#include <time.h>

enum { LIST_BYTES_MAX = LIMIT_DOC_BYTES, STALL_MS = 45000 /* the server says something every 15 s */, GOOD_TIME_MS = 30000, FIRST_WAIT_MS = 2000,
	   FETCH_TIMEOUT_MS = 300000, KEEP_EVERY_S = 60 };
#define CONFIRMED "confirmed"

struct edge_link {
	const struct edge_config *cfg;
	struct edge_disk         *disk;
	struct flag_room         *flag;
	const struct clock       *clock;
	struct http_client       *calls, *stream;
	char                      etag[128]; /* of the list that was taken over whole */
	int64_t                   retry_after_s;
	pthread_t                 thread;
	bool                      thread_started;
	atomic_bool               stop;
	pthread_mutex_t           lock; /* state, and for the waits */
	pthread_cond_t            wake;
	struct edge_link_state    state;
	usec_t                    kept_at; /* confirmed_at as the file has it */
	bool                      told, told_older;
};

int64_t edge_wait_ms(unsigned attempt, int64_t retry_after_s, uint32_t random)
{
	int64_t top = attempt < 10 ? (int64_t)FIRST_WAIT_MS << attempt : LIMIT_EDGE_WAIT_S * 1000;
	int64_t wished = retry_after_s < LIMIT_EDGE_RETRY_AFTER_S ? retry_after_s * 1000 : LIMIT_EDGE_RETRY_AFTER_S * 1000;
	int64_t wait;

	if (top > LIMIT_EDGE_WAIT_S * 1000)
		top = LIMIT_EDGE_WAIT_S * 1000;
	wait = top / 4 + random % (top - top / 4 + 1);
	return wished <= 0 ? wait : wished + wait; /* not before, and not all at once then */
}

/* --- what others read --- */

void edge_link_state(struct edge_link *l, struct edge_link_state *ret)
{
	pthread_mutex_lock(&l->lock);
	*ret = l->state;
	pthread_mutex_unlock(&l->lock);
}

static void confirmed(struct edge_link *l)
{
	pthread_mutex_lock(&l->lock);
	l->state.confirmed_at = clock_wall(l->clock);
	l->state.connected = true;
	pthread_mutex_unlock(&l->lock);
}

/* The time survives a restart, so that the age of the copy can be told without the server. */
static void keep_confirmed(struct edge_link *l, bool now)
{
	struct buf CLEANUP_BUF text = BUF_INIT(256);
	struct edge_link_state s;
	struct err             e = { 0 };

	edge_link_state(l, &s);
	if (!s.confirmed_at || s.confirmed_at == l->kept_at || (!now && s.confirmed_at - l->kept_at < KEEP_EVERY_S * USEC_PER_SEC))
		return;
	buf_addf(&text, "%lld\n", (long long)s.confirmed_at);
	if (edge_disk_write(l->disk, CONFIRMED, &text, &e))
		log_error("edge", "%s", e.msg);
	l->kept_at = s.confirmed_at;
}

static void load_confirmed(struct edge_link *l)
{
	struct buf CLEANUP_BUF text = BUF_INIT(256);
	struct err             e = { 0 };
	int64_t                at;
	int                    rc = edge_disk_read(l->disk, CONFIRMED, &text, &e);

	if (!rc && str_to_i64(str_trim(buf_str(&text)), &at))
		l->state.confirmed_at = l->kept_at = at;
	else if (rc && rc != -WEIR_ENOENT)
		log_error("edge", "%s; it is ignored", e.msg);
}

/* --- sets --- */

static int call_server(struct edge_link *l, struct http_call *call, struct err *reterr)
{
	int rc = http_call_ok(l->calls, call, reterr);

	if (call->retry_after_s > l->retry_after_s)
		l->retry_after_s = call->retry_after_s;
	return rc;
}

static void tell_older(struct edge_link *l, const char *what)
{
	pthread_mutex_lock(&l->lock);
	l->state.older++;
	pthread_mutex_unlock(&l->lock);
	if (!l->told_older)
		log_error("edge", "%s; when the server was put back to an earlier state on purpose: stop the edge, remove its file of this set, start it again", what);
	l->told_older = true;
}

static int take_text(struct edge_link *l, str id, str text, struct err *reterr)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(1 << 30);
	struct flag_copy           c;
	struct err                 e = { 0 };
	bool                       news;
	int                        rc = flag_copy_read(&a, "the server's copy", text, &c, reterr);

	if (!rc && !str_eq(c.id, id))
		rc = err_set(reterr, WEIR_EPARSE, "the server sent the flag set %.*s in place of %.*s", STR_ARG(c.id), STR_ARG(id));
	if (rc)
		return rc;
	if (flag_copy_revision(l->flag, id) >= c.revision)
		return 0;
	if (edge_disk_save(l->disk, id, text, &e))
		log_error("edge", "%s; revision %lld of %.*s is served, but not kept", e.msg, (long long)c.revision, STR_ARG(id));
	return flag_copy_take(l->flag, &c, &news, reterr);
}

static int fetch(struct edge_link *l, str project, str name, str id, struct err *reterr)
{
	struct buf CLEANUP_BUF text = BUF_INIT(LIMIT_FLAG_COPY_BYTES);
	char                   path[2 * LIMIT_NAME_BYTES + 64];
	struct http_call       call = HTTP_CALL_INIT;
	int                    rc;

	snprintf(path, sizeof(path), "/api/v1/projects/%.*s/flag-sets/%.*s/copy", STR_ARG(project), STR_ARG(name));
	call.path = path;
	call.out = &text;
	call.timeout_ms = FETCH_TIMEOUT_MS;
	call.stall_ms = STALL_MS;
	call.stop = &l->stop;
	rc = call_server(l, &call, reterr);
	if (rc == -WEIR_ENOENT)
		return 0; /* removed since it was listed: the next list says so */
	return rc ? rc : take_text(l, id, buf_str(&text), reterr);
}

/* One set of the list. */
static int follow_set(struct edge_link *l, const struct doc_node *n, struct err *reterr)
{
	str     id = doc_get_str(n, "id"), project = doc_get_str(n, "project"), name = doc_get_str(n, "name");
	int64_t revision = doc_get_int(n, "revision", -1), have = flag_copy_revision(l->flag, id);
	char    what[256];

	if (revision < 0 || !flag_copy_name_ok(project) || !flag_copy_name_ok(name))
		return err_set(reterr, WEIR_EPARSE, "the server's list of flag sets cannot be read");
	if (revision > have)
		return fetch(l, project, name, id, reterr);
	if (revision < have) {
		snprintf(what, sizeof(what), "flag set %.*s: the server has revision %lld, which is older than %lld, which is served and stays", STR_ARG(id),
				 (long long)revision, (long long)have);
		tell_older(l, what);
	}
	return 0;
}

static bool is_listed(const struct doc_node *list, str id)
{
	for (size_t i = 0; i < doc_len(list); i++)
		if (str_eq(doc_get_str(doc_at(list, i), "id"), id))
			return true;
	return false;
}

/* Sets that the server has no more, or lets this token copy no more. */
static int drop_unlisted(struct edge_link *l, struct arena *a, const struct doc_node *list, struct err *reterr)
{
	struct flag_copied *have;
	size_t              n;
	int                 rc = flag_copy_list(l->flag, a, &have, &n, reterr);

	for (size_t i = 0; !rc && i < n; i++) {
		if (is_listed(list, have[i].id))
			continue;
		log_info("edge", "flag set %.*s is gone from the server, or from what the token may copy", STR_ARG(have[i].id));
		rc = edge_disk_remove(l->disk, have[i].id, reterr);
		if (!rc)
			rc = flag_copy_drop(l->flag, have[i].id, reterr);
	}
	return rc;
}

static int follow_list(struct edge_link *l, str json, struct err *reterr)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(256 << 20);
	const struct doc_node     *list;
	struct doc_node           *n;
	int                        rc = doc_parse_json(&a, "list of flag sets", json, &n, reterr);

	list = rc ? NULL : doc_get(n, "flag_sets");
	if (!rc && (!list || list->kind != DOC_SEQ))
		rc = err_set(reterr, WEIR_EPARSE, "the server's list of flag sets cannot be read");
	for (size_t i = 0; i < doc_len(list) && !atomic_load(&l->stop); i++) {
		struct err e = { 0 };
		int        one = follow_set(l, doc_at(list, i), &e);

		if (one && !rc) { /* the others are taken all the same */
			rc = one;
			if (reterr)
				*reterr = e;
		}
	}
	return rc || atomic_load(&l->stop) ? rc : drop_unlisted(l, &a, list, reterr);
}

/* Brings the copy up to what the server has. */
static int follow(struct edge_link *l, struct err *reterr)
{
	struct buf CLEANUP_BUF json = BUF_INIT(LIST_BYTES_MAX);
	char                   match[160];
	const char            *headers[] = { match, NULL };
	struct http_call       call = HTTP_CALL_INIT;
	int                    rc;

	snprintf(match, sizeof(match), "If-None-Match: %s", l->etag);
	call.path = "/api/v1/flag-copies";
	call.headers = *l->etag ? headers : NULL;
	call.out = &json;
	call.stop = &l->stop;
	rc = call_server(l, &call, reterr);
	if (!rc && call.status != 304) {
		l->etag[0] = 0;
		if (!(rc = follow_list(l, buf_str(&json), reterr)))
			memcpy(l->etag, call.etag_out, sizeof(l->etag));
	}
	if (!rc && !atomic_load(&l->stop))
		confirmed(l);
	return rc;
}

/* --- the stream --- */

struct listening {
	struct edge_link *l;
	int               rc; /* of following what was told */
	struct err        err;
};

/* Comments, which keep the line open, say that nothing changed; anything else makes the edge look. */
static int heard(void *ctx, str piece)
{
	struct listening *s = ctx;

	for (size_t i = 0; i < piece.len; i++)
		if (piece.ptr[i] != ':' && piece.ptr[i] != '\n')
			return s->rc = follow(s->l, &s->err);
	confirmed(s->l);
	keep_confirmed(s->l, false);
	return 0;
}

/* Returns when the stream has ended, which is always an error. */
static int listen_for_news(struct edge_link *l, int *ret_status, struct err *reterr)
{
	static const char *const headers[] = { "Accept: text/event-stream", NULL };
	struct listening         s = { .l = l };
	struct http_call         call = HTTP_CALL_INIT;
	int                      rc;

	call.path = "/api/v1/flag-copies/events";
	call.headers = headers;
	call.timeout_ms = -1;
	call.stall_ms = STALL_MS;
	call.stop = &l->stop;
	call.sink = heard;
	call.sink_ctx = &s;
	rc = http_call_ok(l->stream, &call, reterr);
	*ret_status = call.status;
	if (call.retry_after_s > l->retry_after_s)
		l->retry_after_s = call.retry_after_s;
	if (s.rc) {
		*reterr = s.err;
		return s.rc;
	}
	return rc ? rc : err_set(reterr, WEIR_EUNAVAIL, "the server ended its event stream");
}

/* --- the thread --- */

/* One time with the server, until it is lost. */
static int be_with_server(struct edge_link *l, struct err *reterr)
{
	int status = 0, rc = follow(l, reterr);

	if (rc || atomic_load(&l->stop))
		return rc;
	if (l->told)
		log_info("edge", "the server is there again");
	l->told = false;
	keep_confirmed(l, true);
	rc = listen_for_news(l, &status, reterr);
	return status >= 400 ? 0 : rc; /* no stream, but it answers: the waits make it polling */
}

static void lost(struct edge_link *l, const struct err *e)
{
	pthread_mutex_lock(&l->lock);
	l->state.connected = false;
	pthread_mutex_unlock(&l->lock);
	if (!l->told)
		log_warn("edge", "%s; the copy on disk is served, trying again", e->msg);
	l->told = true;
}

static void pause_for(struct edge_link *l, int64_t ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&l->lock);
	while (!atomic_load(&l->stop) && pthread_cond_timedwait(&l->wake, &l->lock, &until) != ETIMEDOUT)
		;
	pthread_mutex_unlock(&l->lock);
}

static void *link_main(void *arg)
{
	struct edge_link *l = arg;

	for (unsigned attempt = 0; !atomic_load(&l->stop); attempt++) {
		usec_t     began = clock_mono(l->clock);
		struct err e = { 0 };
		int        rc;

		l->retry_after_s = 0;
		pthread_mutex_lock(&l->lock);
		l->state.attempts++;
		pthread_mutex_unlock(&l->lock);
		rc = be_with_server(l, &e);
		if (atomic_load(&l->stop))
			break;
		if (rc)
			lost(l, &e);
		if (clock_mono(l->clock) - began > GOOD_TIME_MS * USEC_PER_MSEC)
			attempt = 0;
		pause_for(l, edge_wait_ms(attempt, l->retry_after_s, randombytes_random()));
	}
	keep_confirmed(l, true);
	return NULL;
}

static int clients_new(struct edge_link *l, struct err *reterr)
{
	int rc = http_client_new(l->cfg->server, l->cfg->token, &l->calls, reterr);

	return rc ? rc : http_client_new(l->cfg->server, l->cfg->token, &l->stream, reterr);
}

int edge_link_start(const struct edge_config *cfg, struct edge_disk *d, struct flag_room *flag, const struct clock *clock, struct edge_link **ret,
					struct err *reterr)
{
	struct edge_link  *l = calloc(1, sizeof(*l));
	pthread_condattr_t attr;
	int                rc;

	if (!l)
		return err_set(reterr, WEIR_ENOMEM, "no memory for the edge");
	l->cfg = cfg;
	l->disk = d;
	l->flag = flag;
	l->clock = clock;
	pthread_mutex_init(&l->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&l->wake, &attr);
	pthread_condattr_destroy(&attr);
	load_confirmed(l);
	rc = clients_new(l, reterr);
	if (!rc && pthread_create(&l->thread, NULL, link_main, l))
		rc = err_set(reterr, WEIR_EINTERNAL, "edge: cannot start a thread");
	l->thread_started = !rc;
	*ret = rc ? edge_link_stop(l) : l;
	return rc;
}

struct edge_link *edge_link_stop(struct edge_link *l)
{
	if (!l)
		return NULL;
	atomic_store(&l->stop, true);
	pthread_mutex_lock(&l->lock);
	pthread_cond_signal(&l->wake);
	pthread_mutex_unlock(&l->lock);
	if (l->thread_started)
		pthread_join(l->thread, NULL);
	http_client_free(l->calls);
	http_client_free(l->stream);
	pthread_cond_destroy(&l->wake);
	pthread_mutex_destroy(&l->lock);
	free(l);
	return NULL;
}
