/* edge.c - the life of `weir edge`: disk, room of copies, tokens, HTTP server, link; what it says about itself.
 *
 * It serves before it has spoken to the server. One more thread, the keeper, writes what was learned about tokens every second. */
#include "base/base.h"

#include "edge/edge-internal.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/log.h"

#include <time.h>

enum { STOP_GRACE_MS = 10000, CONNECTIONS_MAX = LIMIT_FLAG_STREAMS + 4096, WRITE_BODY_MAX = 1 << 20 };

struct edge {
	const struct edge_config *cfg;
	char                      url[320];
	struct edge_disk          disk;
	struct flag_room         *flag;
	struct edge_tokens       *tokens;
	struct edge_link         *link;
	struct http_server       *http;
	struct standard_ops       standard;
	pthread_t                 keeper;
	bool                      keeper_started, stop;
	pthread_mutex_t           lock;
	pthread_cond_t            wake;
};

const char *edge_url(const struct edge *e) { return e->url; }

/* --- what it says about itself --- */

static double age_s(const struct edge_link_state *s)
{
	usec_t now = clock_wall(&clock_real);

	return !s->confirmed_at ? -1 : now > s->confirmed_at ? (double)(now - s->confirmed_at) / USEC_PER_SEC : 0;
}

static int is_ready(void *ctx, struct err *reterr)
{
	struct edge           *e = ctx;
	struct edge_link_state s;

	edge_link_state(e->link, &s);
	return s.confirmed_at ? 0 : err_set(reterr, WEIR_EUNAVAIL, "the edge has no copy yet, and the server %s did not answer", e->cfg->server);
}

static void say_state(void *ctx, struct buf *out)
{
	struct edge               *e = ctx;
	struct arena CLEANUP_ARENA a = ARENA_INIT(64 << 20);
	struct edge_link_state     s;
	struct flag_copied        *sets;
	size_t                     n = 0;

	edge_link_state(e->link, &s);
	(void)!flag_copy_list(e->flag, &a, &sets, &n, NULL);
	buf_addf(out, "ok\nserver: %s\nage: %.1f s\nflag sets: %zu\n", s.connected ? "connected" : "away", age_s(&s), n);
}

static void gauge(struct buf *out, const char *name, const char *help, double v)
{
	buf_addf(out, "# HELP weir_edge_%s %s\n# TYPE weir_edge_%s gauge\nweir_edge_%s %.15g\n", name, help, name, name, v);
}

static void counter(struct buf *out, const char *name, const char *help, unsigned long v)
{
	buf_addf(out, "# HELP weir_edge_%s_total %s\n# TYPE weir_edge_%s_total counter\nweir_edge_%s_total %lu\n", name, help, name, name, v);
}

static void set_metrics(struct edge *e, struct buf *out)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(64 << 20);
	struct flag_copied        *sets;
	size_t                     n = 0;

	if (flag_copy_list(e->flag, &a, &sets, &n, NULL))
		return;
	gauge(out, "flag_sets", "Flag sets that are served.", (double)n);
	buf_addz(out, "# HELP weir_edge_revision Revision of a flag set that is served.\n# TYPE weir_edge_revision gauge\n");
	for (size_t i = 0; i < n; i++)
		buf_addf(out, "weir_edge_revision{set=\"%.*s\"} %lld\n", STR_ARG(sets[i].id), (long long)sets[i].revision);
}

static void say_metrics(void *ctx, struct buf *out)
{
	struct edge             *e = ctx;
	struct edge_link_state   s;
	struct edge_token_counts t;

	edge_link_state(e->link, &s);
	edge_tokens_counts(e->tokens, &t);
	gauge(out, "connected", "1 while the server answers.", s.connected);
	gauge(out, "age_seconds", "Since the copy was known to be what the server has; -1: never.", age_s(&s));
	set_metrics(e, out);
	counter(out, "connection_attempts", "Times that the edge turned to the server.", s.attempts);
	counter(out, "older_refused", "Times that the server offered an older revision than the one that is served.", s.older);
	counter(out, "damaged_files", "Files that were ignored since the start.", (unsigned long)atomic_load(&e->disk.damaged));
	counter(out, "failed_writes", "Files that could not be written.", (unsigned long)atomic_load(&e->disk.failed));
	gauge(out, "tokens", "Clients' tokens that the server said to be good.", (double)t.known);
	counter(out, "token_questions", "Questions to the server about tokens.", t.asked);
	counter(out, "token_questions_refused", "Those that it answered with no.", t.refused);
	counter(out, "token_questions_unanswered", "Those that it did not answer.", t.unanswered);
	counter(out, "token_questions_limited", "Unknown tokens that were not asked about: too many at once.", t.limited);
}

/* --- routes of its own --- */

static int no_api(struct http_req *req UNUSED, void *ctx, struct err *reterr)
{
	struct edge *e = ctx;

	return err_set(reterr, WEIR_ENOENT, "this is an edge, which answers clients of flags alone: ask %s", e->cfg->server);
}

static int refuse_write(struct http_req *req, void *ctx, struct err *reterr)
{
	struct edge *e = ctx;

	http_set_header(req, "Allow", STR("GET, HEAD"));
	return err_set(reterr, WEIR_EMETHOD, "this is an edge, which changes nothing: send changes to %s", e->cfg->server);
}

#define API(m, f) { .method = m, .path = "/api/v1/*rest", .kind = HTTP_FAST, .scope = SCOPE_NONE, .body_max = WRITE_BODY_MAX, .fn = f, .query = http_any_query, \
					.doc = "Refused: an edge has no API and changes nothing." }
static const struct http_route own_routes[] = {
	API("GET", no_api), API("POST", refuse_write), API("PUT", refuse_write), API("PATCH", refuse_write), API("DELETE", refuse_write),
};

static int add_routes(struct edge *e, struct err *reterr)
{
	size_t                   n;
	const struct http_route *list = standard_probes(&n);
	int                      rc = http_server_routes(e->http, list, n, &e->standard, reterr);

	list = flag_ofrep_routes(&n);
	if (!rc)
		rc = http_server_routes(e->http, list, n, e->flag, reterr);
	return rc ? rc : http_server_routes(e->http, own_routes, ARRAY_SIZE(own_routes), e, reterr);
}

/* --- life --- */

static void *keep(void *arg)
{
	struct edge *e = arg;
	bool         told = false;

	pthread_mutex_lock(&e->lock);
	while (!e->stop) {
		struct timespec until;
		struct err      err = { 0 };
		bool            failed;

		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec++;
		pthread_cond_timedwait(&e->wake, &e->lock, &until);
		pthread_mutex_unlock(&e->lock);
		failed = edge_tokens_save(e->tokens, &err) != 0;
		if (failed && !told)
			log_error("edge", "what is known about tokens is not kept: %s", err.msg);
		told = failed;
		pthread_mutex_lock(&e->lock);
	}
	pthread_mutex_unlock(&e->lock);
	return NULL;
}

/* Two keys from the edge's own token: edges with one token give out the same tickets, and a folder without the token tells nothing. */
static int open_parts(struct edge *e, struct err *reterr)
{
	unsigned char master[32], tickets[32], digests[32];
	int           rc;

	crypto_generichash(master, sizeof(master), (const unsigned char *)e->cfg->token, strlen(e->cfg->token), NULL, 0);
	crypto_generichash(tickets, sizeof(tickets), (const unsigned char *)"tickets", 7, master, sizeof(master));
	crypto_generichash(digests, sizeof(digests), (const unsigned char *)"tokens", 6, master, sizeof(master));
	rc = flag_open_copies(&clock_real, tickets, &e->flag, reterr);
	if (!rc)
		rc = edge_disk_load(&e->disk, e->flag, reterr);
	if (!rc)
		rc = edge_tokens_open(&e->disk, e->cfg->server, digests, &clock_real, &e->tokens, reterr);
	explicit_bzero(master, sizeof(master));
	explicit_bzero(tickets, sizeof(tickets));
	explicit_bzero(digests, sizeof(digests));
	return rc;
}

static int open_http(struct edge *e, struct err *reterr)
{
	struct http_config cfg = {
		.bind = e->cfg->listen_host,
		.port = e->cfg->listen_port,
		.loop_threads = e->cfg->http_threads,
		.worker_threads = e->cfg->http_workers,
		.connections_max = CONNECTIONS_MAX,
		.connections_per_ip_max = CONNECTIONS_MAX,
		.clock = &clock_real,
		.flags_per_second = e->cfg->flags_per_second,
		.authenticate = edge_tokens_know,
		.authenticate_slow = edge_tokens_ask,
		.auth_ctx = e->tokens,
	};
	int rc = http_server_new(&cfg, &e->http, reterr);

	e->standard = (struct standard_ops){ .server = e->http, .ready = is_ready, .state = say_state, .metrics = say_metrics, .ctx = e };
	if (!rc)
		rc = add_routes(e, reterr);
	return rc ? rc : flag_start(e->flag, e->http, reterr);
}

static int tell_address(struct edge *e, struct err *reterr)
{
	char path[PATH_MAX];
	int  rc = fs_join(path, sizeof(path), reterr, e->disk.dir, "listen");

	snprintf(e->url, sizeof(e->url), "http://%s:%u", e->cfg->listen_host, http_server_port(e->http));
	return rc ? rc : fs_write_quick(path, str_z(e->url), 0644, reterr);
}

static int begin(struct edge *e, struct err *reterr)
{
	int rc = edge_disk_open(&e->disk, e->cfg->data, reterr);

	if (!rc)
		rc = open_parts(e, reterr);
	if (!rc)
		rc = open_http(e, reterr);
	if (!rc)
		rc = edge_link_start(e->cfg, &e->disk, e->flag, &clock_real, &e->link, reterr);
	if (!rc && (rc = http_server_start(e->http, reterr)))
		rc = err_wrap(reterr, "setting listen");
	if (!rc)
		rc = tell_address(e, reterr);
	if (!rc && pthread_create(&e->keeper, NULL, keep, e))
		rc = err_set(reterr, WEIR_EINTERNAL, "edge: cannot start a thread");
	e->keeper_started = !rc;
	return rc;
}

static int check(const struct edge_config *cfg, struct err *reterr)
{
	if (!cfg->token || !*cfg->token)
		return err_set(reterr, WEIR_EAUTH, "an edge needs a token of scope edge: WEIR_TOKEN or token-file (weir token create NAME --scope edge)");
	if (strchr(cfg->server, '@')) /* it stands in answers and in the log */
		return err_set(reterr, WEIR_EINVAL, "the address of the server holds credentials: give the token by WEIR_TOKEN or token-file");
	return 0;
}

int edge_start(const struct edge_config *cfg, struct edge **ret, struct err *reterr)
{
	struct edge *e;
	int          rc = check(cfg, reterr);

	if (rc)
		return rc;
	if (!(e = calloc(1, sizeof(*e))))
		return err_set(reterr, WEIR_ENOMEM, "no memory for the edge");
	e->cfg = cfg;
	e->disk.lock = -1;
	pthread_mutex_init(&e->lock, NULL);
	pthread_cond_init(&e->wake, NULL);
	rc = begin(e, reterr);
	*ret = rc ? edge_stop(e) : e;
	return rc;
}

struct edge *edge_stop(struct edge *e)
{
	if (!e)
		return NULL;
	if (e->http)
		e->http = http_server_stop(e->http, STOP_GRACE_MS);
	e->link = edge_link_stop(e->link);
	if (e->keeper_started) {
		pthread_mutex_lock(&e->lock);
		e->stop = true;
		pthread_cond_signal(&e->wake);
		pthread_mutex_unlock(&e->lock);
		pthread_join(e->keeper, NULL);
	}
	e->flag = flag_close(e->flag);
	e->tokens = edge_tokens_close(e->tokens);
	edge_disk_close(&e->disk);
	pthread_cond_destroy(&e->wake);
	pthread_mutex_destroy(&e->lock);
	free(e);
	return NULL;
}
