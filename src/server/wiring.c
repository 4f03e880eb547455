/* wiring.c - every way through the house: which room answers whose questions, who hears of which event, whose routes are served.
 *
 * Rooms know no other room of their kind; whoever reads this file knows how they meet. */
#include "base/base.h"
#include "server/rooms.h"
#include "base/fs.h"
#include "base/log.h"
#include "event/event-api.h"
#include "flag/flag-copy.h"
#include "flag/flag-draft.h"
#include "flag/flag.h"
#include "gate/gate.h"
#include "insight/insight.h"
#include "net/standard.h"
#include "pipeline/pipeline.h"
#include "release/release.h"
#include "repo/repo.h"
#include "server/checks.h"
#include "web/web.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { STOP_GRACE_MS = 10000, CONNECTIONS_MAX = 8192 };

/* --- repo asks the gate --- */

/* What the pusher reads: the verdict, and where to see what comes of the push. */
static int receive_check(void *ctx, const struct change *c, struct arena *a, struct verdict *ret, struct buf *text, struct err *reterr)
{
	struct rooms *r = ctx;
	int           rc = gate_check_change(r->gate, c, a, ret, reterr);

	if (rc)
		return rc;
	gate_report_text(ret, text, false);
	if (ret->call == VERDICT_PASS)
		buf_addf(text, "what comes of it: %s/projects/%.*s\n", r->url, STR_ARG(c->project));
	return 0;
}

/* --- events that start something --- */

static int subscriptions(struct rooms *r, struct err *reterr)
{
	static const enum event_type changes[] = { EVENT_CHANGE_ACCEPTED };

	int                          rc = event_subscribe(r->log, "pipeline", changes, ARRAY_SIZE(changes), true, pipeline_on_change, r->pipeline, reterr);

	return rc ? rc : event_subscribe(r->log, "flag", changes, ARRAY_SIZE(changes), true, flag_on_change, r->flag, reterr);
}

/* --- who is served --- */

static int is_ready_tx(struct db_tx *tx, void *arg UNUSED, struct err *reterr)
{
	int64_t one;

	return db_get_int(tx, reterr, &one, NULL, "SELECT 1", "");
}

static int is_ready(void *ctx, struct err *reterr)
{
	struct rooms *r = ctx;

	return db_read(r->db, is_ready_tx, NULL, reterr);
}

static void metrics(void *ctx, struct buf *out)
{
	struct rooms *r = ctx;

	flag_metrics(r->flag, out);
}

static int web_call(void *ctx, const struct http_identity *who, str remote, const char *method, const char *path, str body, struct arena *a,
                    struct doc_node **ret, struct err *reterr)
{
	struct rooms *r = ctx;

	return http_server_call(r->http, who, remote, method, path, body, a, ret, reterr);
}

static int routes(struct rooms *r, struct err *reterr)
{
	const struct {
		const struct http_route *(*of)(size_t *n);
		void *ctx;
	} all[] = {
		{ standard_routes, &r->standard },
		{ token_routes, r->tokens },
		{ event_routes, r->event_api },
		{ repo_routes, r->repo },
		{ pipeline_routes, r->pipeline },
		{ release_routes, r->release },
		{ flag_routes, r->flag },
		{ flag_look_routes, r->flag },
		{ flag_usage_routes, r->flag },
		{ flag_draft_routes, r->flag },
		{ flag_diff_routes, r->flag },
		{ flag_blast_routes, r->flag },
		{ flag_ofrep_routes, r->flag },
		{ flag_rollout_api, r->flag },
		{ flag_copy_routes, r->flag },
		{ flag_unleash_routes, r->flag },
		{ insight_routes, r->insight },
		{ web_routes, r->web },
	};
	int rc = 0;

	for (size_t i = 0; !rc && i < ARRAY_SIZE(all); i++) {
		size_t                   n;
		const struct http_route *list = all[i].of(&n);

		rc = http_server_routes(r->http, list, n, all[i].ctx, reterr);
	}
	return rc;
}

/* --- opening --- */

static int db_start(struct rooms *r, struct err *reterr)
{
	char url[PATH_MAX + 32], path[PATH_MAX];
	int  fd, rc = fs_join(path, sizeof(path), reterr, r->data, "weir.db");

	if (rc || *r->cfg->database)
		return rc ? rc : db_open(r->cfg->database, &r->db, reterr);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600); /* SQLite would make it readable for everyone; its other files follow this one */
	if (fd < 0)
		return err_errno(reterr, errno, "%s: cannot open", path);
	/* Before SQLite opens it: closing any descriptor of a file ends all locks that the process has on it, and a backup program that then
	 * believes to be alone would take the write-ahead log away. */
	close(fd);
	snprintf(url, sizeof(url), "sqlite:%s/weir.db", r->data);
	return db_open(url, &r->db, reterr);
}

static int http_open(struct rooms *r, struct err *reterr)
{
	struct http_config cfg = {
		.bind = r->cfg->listen_host,
		.port = r->cfg->listen_port,
		.loop_threads = r->cfg->http_threads,
		.worker_threads = r->cfg->http_workers,
		.connections_max = CONNECTIONS_MAX,
		.connections_per_ip_max = CONNECTIONS_MAX,
		.clock = r->clock,
		.flags_per_second = r->cfg->flags_per_second,
		.authenticate = token_authenticate,
		.auth_ctx = r->tokens,
	};

	if (*r->cfg->url)
		snprintf(r->url, sizeof(r->url), "%s", r->cfg->url);
	else
		snprintf(r->url, sizeof(r->url), "http://%s:%u", r->cfg->listen_host, r->cfg->listen_port);
	return http_server_new(&cfg, &r->http, reterr);
}

static int gate_open(struct rooms *r, struct err *reterr)
{
	char               cache[PATH_MAX];
	struct gate_config cfg = { .cache_dir = cache, .clock = r->clock };
	int                rc = fs_join(cache, sizeof(cache), reterr, r->data, "cache");

	const struct check_ops *all = checks_all(&cfg.n_checks);

	if (cfg.n_checks > ARRAY_SIZE(r->checks))
		BUG("%zu checks", cfg.n_checks);
	for (size_t i = 0; i < cfg.n_checks; i++) {
		r->checks[i] = all[i];
		if (all[i].run == flag_file_check.run || all[i].run == flag_ref_check.run)
			r->checks[i].ctx = &r->flag; /* which sets there are; the room is opened later */
	}
	cfg.checks = r->checks;
	if (!rc)
		rc = fs_mkdirs(cache, 0700, reterr);
	return rc ? rc : gate_new(&cfg, &r->gate, reterr);
}

static int repo_room(struct rooms *r, struct err *reterr)
{
	struct repo_config cfg = { .db = r->db, .log = r->log, .data_dir = r->data, .url = r->url, .clock = r->clock,
		                       .receive = { receive_check, r } };
	int                rc = repo_open(&cfg, &r->repo, reterr);

	if (!rc)
		r->source = repo_source(r->repo);
	return rc;
}

static int pipeline_room(struct rooms *r, struct err *reterr)
{
	struct pipeline_config cfg = { .db = r->db, .log = r->log, .tokens = r->tokens, .http = r->http, .source = &r->source, .data = r->data,
		                           .server_url = r->url, .clock = r->clock };

	return pipeline_open(&cfg, &r->pipeline, reterr);
}

/* Instances run on this machine: they reach the server at the address it listens on. */
static int flags_access(void *ctx, str project, char *endpoint, size_t endpoint_size, char *token, size_t token_size, struct err *reterr)
{
	struct rooms *r = ctx;
	const char   *host = !strcmp(r->cfg->listen_host, "0.0.0.0") ? "127.0.0.1" : !strcmp(r->cfg->listen_host, "::") ? "::1" : r->cfg->listen_host;

	if (token_size < TOKEN_TEXT_SIZE)
		BUG("room for %zu bytes of a token", token_size);
	snprintf(endpoint, endpoint_size, strchr(host, ':') ? "http://[%s]:%u" : "http://%s:%u", host, http_server_port(r->http));
	return token_of_services(r->tokens, project, token, reterr);
}

static int release_room(struct rooms *r, struct err *reterr)
{
	struct release_config cfg = { .db = r->db, .log = r->log, .data_dir = r->data, .source = r->source, .clock = r->clock,
		                          .flags = { flags_access, r }, .bind = r->cfg->http_host, .http_port = r->cfg->http_port, .port_first = r->cfg->port_first,
		                          .port_last = r->cfg->port_last, .keep_versions = r->cfg->keep_versions, .keep_logs_days = r->cfg->keep_logs_days };

	return release_open(&cfg, &r->release, reterr);
}

static int flag_room(struct rooms *r, struct err *reterr)
{
	struct flag_config cfg = { .db = r->db, .log = r->log, .source = r->source, .clock = r->clock };

	return flag_open(&cfg, &r->flag, reterr);
}

int rooms_open(struct rooms *r, struct err *reterr)
{
	struct web_ops web = { .api = web_call, .ctx = r };
	int            rc = db_start(r, reterr);

	if (!rc)
		rc = event_log_open(r->db, r->keys, r->clock, &r->log, reterr);
	if (!rc)
		rc = token_store_open(r->db, r->log, r->keys, r->clock, &r->tokens, reterr);
	if (!rc)
		rc = http_open(r, reterr);
	r->standard = (struct standard_ops){ .server = r->http, .ready = is_ready, .metrics = metrics, .ctx = r };
	if (!rc)
		rc = event_api_open(r->log, r->http, r->url, &r->event_api, reterr);
	if (!rc)
		rc = gate_open(r, reterr);
	if (!rc)
		rc = repo_room(r, reterr);
	if (!rc)
		rc = pipeline_room(r, reterr);
	if (!rc)
		rc = release_room(r, reterr);
	if (!rc)
		rc = flag_room(r, reterr);
	if (!rc)
		rc = insight_open(r->log, r->clock, &r->insight, reterr);
	if (!rc)
		rc = web_open(&web, &r->web, reterr);
	if (!rc) {
		struct http_pages pages = web_pages(r->web);

		http_server_pages(r->http, &pages);
		rc = routes(r, reterr);
	}
	return rc ? rc : subscriptions(r, reterr);
}

/* Said once per start, so that the log shows every restart. */
static int started_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct rooms *r = arg;

	return event_append(r->log, tx, STR(""), EVENT_SERVER_STARTED, STR("weir"), STR("{\"version\":\"" WEIR_VERSION "\"}"), NULL, reterr);
}

int rooms_start(struct rooms *r, struct err *reterr)
{
	int rc = db_write(r->db, started_tx, r, reterr);

	if (!rc)
		rc = repo_start(r->repo, reterr);
	if (!rc)
		rc = pipeline_start(r->pipeline, reterr);
	if (!rc)
		rc = release_start(r->release, reterr);
	if (!rc)
		rc = flag_start(r->flag, r->http, reterr);
	if (rc)
		return rc;
	rc = http_server_start(r->http, reterr);
	if (rc)
		return err_wrap(reterr, "setting listen");
	if (!r->cfg->listen_port && !*r->cfg->url)
		snprintf(r->url, sizeof(r->url), "http://%s:%u", r->cfg->listen_host, http_server_port(r->http));
	return event_log_start(r->log, reterr);
}

void rooms_close(struct rooms *r)
{
	if (r->http)
		r->http = http_server_stop(r->http, STOP_GRACE_MS);
	if (r->log)
		event_log_stop(r->log);
	r->web = web_close(r->web);
	r->flag = flag_close(r->flag);
	if (r->release)
		r->release = release_close(r->release);
	if (r->pipeline)
		r->pipeline = pipeline_close(r->pipeline);
	r->repo = repo_close(r->repo);
	r->insight = insight_close(r->insight);
	r->gate = gate_free(r->gate);
	r->event_api = event_api_close(r->event_api);
	if (r->tokens)
		r->tokens = token_store_close(r->tokens);
	if (r->log)
		r->log = event_log_close(r->log);
	if (r->db)
		r->db = db_close(r->db);
}
