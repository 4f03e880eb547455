/* fixture.h - the pages over answers from files: what the tests of src/web and the browser journey share.
 *
 * Net, tokens and web are the real ones; only the API's answers come from tests/browser/fixtures: "/api/v1/runs?limit=8" is api_v1_runs.json (or .txt). */
#ifndef WEIR_TESTS_WEB_FIXTURE_H
#define WEIR_TESTS_WEB_FIXTURE_H

#include "lib/test.h"

#include "base/fs.h"
#include "base/hash.h"
#include "db/db.h"
#include "event/event.h"
#include "net/sse.h"
#include "net/token.h"
#include "web/web.h"

struct web_fixture {
	char                dir[256];
	struct db          *db;
	struct event_log   *log;
	struct token_store *tokens;
	struct http_server *s;
	struct sse_hub     *hub;
	struct web         *web;
	char                admin[TOKEN_TEXT_SIZE];
	char                posted[512]; /* "METHOD PATH BODY" of the last change that was asked for */
};

static inline int fixture_file(const char *name, struct buf *out)
{
	char path[1024];

	snprintf(path, sizeof(path), "%s/%s", FIXTURE_DIR, name);
	buf_clear(out);
	return fs_read(path, out, NULL);
}

static inline int fixture_api(void *ctx, const struct http_identity *who, str remote UNUSED, const char *method, const char *path, str body, struct arena *a,
                              struct doc_node **ret, struct err *reterr)
{
	struct web_fixture *f = ctx;
	struct buf b CLEANUP_BUF = BUF_INIT(8 << 20);
	char                name[300];
	size_t              n = strcspn(path, "?");

	*ret = NULL;
	if (strcmp(method, "GET") != 0) {
		snprintf(f->posted, sizeof(f->posted), "%s %s %.*s by %s", method, path, STR_ARG(body.ptr ? body : STR("")), who->name);
		return 0;
	}
	snprintf(name, sizeof(name), "%.*s.json", (int)n - 1, path + 1);
	for (char *p = name; *p; p++)
		*p = *p == '/' ? '_' : *p;
	if (!fixture_file(name, &b))
		return doc_parse_json(a, path, buf_str(&b), ret, reterr);
	memcpy(name + n - 1, ".txt", sizeof(".txt"));
	if (fixture_file(name, &b))
		return err_set(reterr, WEIR_ENOENT, "nothing is at %s", path);
	*ret = ARENA_NEW(a, struct doc_node);
	**ret = (struct doc_node){ .kind = DOC_STR, .s = arena_str(a, buf_str(&b)) };
	return 0;
}

static inline int fixture_pull(struct sse_client *c, struct buf *out, bool *ret_end UNUSED, void *ctx UNUSED, struct err *e UNUSED)
{
	if (c->position < 0) {
		c->position = 1;
		sse_message(out, 1, "log", STR("{\"step\":0,\"offset\":0,\"text\":\"a live line\\n\"}"));
	}
	return 0;
}
static inline int fixture_events(struct http_req *r, void *ctx, struct err *e)
{
	return sse_attach(r, ((struct web_fixture *)ctx)->hub, NULL, 0, e);
}
static const struct http_query_param fixture_events_query[] = { SSE_QUERY, { .name = "project" }, { 0 } };
static const struct http_route fixture_routes[] = {
	{ "GET", "/events", HTTP_SSE, SCOPE_READ, 0, fixture_events, "", NULL, NULL, fixture_events_query },
	{ "GET", "/api/v1/runs/:run/stream", HTTP_SSE, SCOPE_READ, 0, fixture_events, "", NULL, NULL, fixture_events_query },
	{ "GET", "/api/v1/runs/:run/jobs/:job/log/stream", HTTP_SSE, SCOPE_READ, 0, fixture_events, "", NULL, NULL, fixture_events_query },
};

static inline void fixture_start(struct web_fixture *f)
{
	struct web_ops           ops = { .api = fixture_api, .ctx = f };
	struct http_pages        pages;
	const struct http_route *list;
	struct err               e = { 0 };
	char                     url[300];
	size_t                   n;

	memset(f, 0, sizeof(*f));
	assert_ok(fs_temp_dir("weir-web-", f->dir, sizeof(f->dir), &e), &e);
	snprintf(url, sizeof(url), "sqlite:%s/t.db", f->dir);
	assert_ok(db_open(url, &f->db, &e), &e);
	assert_ok(event_log_open(f->db, f->dir, &clock_real, &f->log, &e), &e);
	assert_ok(token_store_open(f->db, f->log, f->dir, &clock_real, &f->tokens, &e), &e);
	assert_ok(token_create(f->tokens, STR("dev"), SCOPE_ADMIN, STR_NULL, 0, STR("weir"), f->admin, &e), &e);
	struct http_config cfg = { .tick_ms = 10, .authenticate = token_authenticate, .auth_ctx = f->tokens };
	assert_ok(http_server_new(&cfg, &f->s, &e), &e);
	assert_ok(web_open(&ops, &f->web, &e), &e);
	pages = web_pages(f->web);
	http_server_pages(f->s, &pages);
	assert_ok(sse_hub_new(f->s, fixture_pull, f, 100, &f->hub, &e), &e);
	list = web_routes(&n);
	assert_ok(http_server_routes(f->s, list, n, f->web, &e), &e);
	list = token_routes(&n);
	assert_ok(http_server_routes(f->s, list, n, f->tokens, &e), &e);
	assert_ok(http_server_routes(f->s, fixture_routes, ARRAY_SIZE(fixture_routes), f, &e), &e);
	assert_ok(http_server_start(f->s, &e), &e);
}

static inline void fixture_end(struct web_fixture *f)
{
	struct err e;

	http_server_stop(f->s, 500);
	sse_hub_free(f->hub);
	web_close(f->web);
	token_store_close(f->tokens);
	event_log_close(f->log);
	db_close(f->db);
	assert_ok(fs_remove_tree(f->dir, &e), &e);
}

#endif
