/* test_event_api.c - the log over real HTTP: lists, filters, the stream, who may see what. */
#include "lib/test.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/hash.h"
#include "event/event-api.h"
#include "net/client.h"
#include "net/sse.h"

#include <pthread.h>
#include <stdatomic.h>

static char                dir[256];
static struct db          *db;
static struct event_log   *elog;
static struct http_server *server;
static struct event_api   *api;
static struct http_client *client;
static char                base_url[64];

/* "all" sees everything, "shop" is bound to a project. */
static int authenticate(void *ctx UNUSED, str scheme UNUSED, str credentials, struct http_identity *ret, struct err *reterr)
{
	if (!str_eqz(credentials, "all") && !str_eqz(credentials, "shop"))
		return err_set(reterr, WEIR_EAUTH, "unknown token");
	*ret = (struct http_identity){ .name = "t", .scope = SCOPE_READ };
	if (str_eqz(credentials, "shop"))
		(void)snprintf(ret->project, sizeof(ret->project), "shop");
	return 0;
}

static int setup(void **s UNUSED)
{
	struct err               e = { 0 };
	char                     url[300], keys[300];
	const struct http_route *routes;
	size_t                   n;
	struct http_config       cfg = { .bind = "127.0.0.1", .loop_threads = 1, .worker_threads = 2, .connections_max = 50,
		                             .connections_per_ip_max = 50, .clock = &clock_real, .authenticate = authenticate };

	assert_ok(fs_temp_dir("weir-test-event-api", dir, sizeof(dir), &e), &e);
	(void)snprintf(url, sizeof(url), "sqlite:%s/weir.db", dir);
	(void)snprintf(keys, sizeof(keys), "%s/keys", dir);
	assert_ok(db_open(url, &db, &e), &e);
	assert_ok(event_log_open(db, keys, &clock_real, &elog, &e), &e);
	assert_ok(http_server_new(&cfg, &server, &e), &e);
	assert_ok(event_api_open(elog, server, "https://weir.example", &api, &e), &e);
	routes = event_routes(&n);
	assert_ok(http_server_routes(server, routes, n, api, &e), &e);
	assert_ok(http_server_start(server, &e), &e);
	(void)snprintf(base_url, sizeof(base_url), "http://127.0.0.1:%u", http_server_port(server));
	assert_ok(http_client_new(base_url, "all", &client, &e), &e);
	return 0;
}
static int teardown(void **s UNUSED)
{
	struct err e = { 0 };

	client = http_client_free(client);
	server = http_server_stop(server, 100);
	api = event_api_close(api);
	elog = event_log_close(elog);
	db = db_close(db);
	return fs_remove_tree(dir, &e);
}

struct append {
	const char     *project;
	enum event_type type;
	const char     *data;
};
static int append_fn(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct append *a = arg;

	return event_append(elog, tx, str_z(a->project), a->type, STR("token:t"), str_z(a->data), NULL, reterr);
}
static void append(const char *project, enum event_type type, const char *data)
{
	struct append a = { project, type, data };
	struct err    e = { 0 };

	assert_ok(db_write(db, append_fn, &a, &e), &e);
}
#define STARTED(project)  append(project, EVENT_SERVER_STARTED, "{\"version\":\"1\"}")
#define ARCHIVED(project) append(project, EVENT_PROJECT_ARCHIVED, "{\"name\":\"" project "\"}")

/* "a1 a2|next" of a list; "!STATUS text" of an error. */
static void get_as(struct http_client *c, const char *path, const char *want)
{
	struct arena a   CLEANUP_ARENA = ARENA_INIT(1 << 20);
	struct buf body  CLEANUP_BUF = BUF_INIT(1 << 20);
	struct buf seen  CLEANUP_BUF = BUF_INIT(1 << 20);
	struct http_call call = HTTP_CALL_INIT;
	struct err       e = { 0 };
	struct doc_node *d;
	const struct doc_node *list;

	call.path = path;
	call.out = &body;
	assert_ok(http_call(c, &call, &e), &e);
	if (call.status != 200) {
		buf_addf(&seen, "!%d %s", call.status, buf_z(&body));
		if (!str_has_prefix(buf_str(&seen), str_z(want)))
			fail_msg("%s: expected %s, seen %s", path, want, buf_z(&seen));
		return;
	}
	assert_ok(doc_parse_json(&a, "answer", buf_str(&body), &d, &e), &e);
	list = doc_get(d, "events");
	for (size_t i = 0; i < doc_len(list); i++) {
		str project = doc_get_str(doc_at(list, i), "project");

		if (doc_get(doc_at(list, i), "context"))
			buf_addf(&seen, "%.*s ", STR_ARG(doc_get_str(doc_get(doc_at(list, i), "context"), "id")));
		else
			buf_addf(&seen, "%.*s%d ", STR_ARG(project.len ? project : STR("-")), (int)doc_get_int(doc_at(list, i), "seq", 0));
	}
	buf_addf(&seen, "|%d", (int)doc_get_int(d, "next", -1));
	if (strcmp(buf_z(&seen), want))
		fail_msg("%s: expected %s, seen %s", path, want, buf_z(&seen));
}
static void get(const char *path, const char *want) { get_as(client, path, want); }

static void test_lists(void **s UNUSED)
{
	STARTED("");      /* 1 */
	STARTED("shop");  /* 2 */
	ARCHIVED("shop"); /* 3 */
	STARTED("b");     /* 4 */
	STARTED("shop");  /* 5 */
	get("/api/v1/events", "-1 shop1 shop2 b1 shop3 |-1");
	get("/api/v1/events?limit=2", "-1 shop1 |2");
	get("/api/v1/events?limit=2&after=2", "shop2 b1 |4");
	get("/api/v1/events?limit=2&after=4", "shop3 |-1");
	get("/api/v1/events?project=shop&after=2", "shop2 shop3 |-1");
	get("/api/v1/events?project=-", "-1 |-1");
	get("/api/v1/events?project=nothing", "|-1");
	get("/api/v1/events?type=project.archived", "shop2 |-1");
	get("/api/v1/events?type=project.archived,server.started&project=shop&limit=1", "shop1 |2");
	get("/api/v1/events/newest", "shop3 b1 shop2 shop1 -1 |-1");
	get("/api/v1/events/newest?limit=2", "shop3 b1 |4");
	get("/api/v1/events/newest?limit=2&before=4", "shop2 shop1 |2");
	get("/api/v1/events/newest?limit=2&before=2", "-1 |-1");
	get("/api/v1/events?format=cdevents", "shop/2 |-1");
}

static void test_refusals(void **s UNUSED)
{
	get("/api/v1/events?type=project.archive", "!400 ");
	get("/api/v1/events?type=server.startet", "!400 {\"error\":{\"code\":\"EINVAL\",\"message\":\"type: there is no event type 'server.startet' (did you mean 'server.started'?)");
	get("/api/v1/events?limit=0", "|-1");
	get("/api/v1/events?limit=1001", "!400 ");
	get("/api/v1/events?limit=x", "!400 ");
	get("/api/v1/events?after=-1", "!400 ");
	get("/api/v1/events?format=xml", "!400 ");
	get("/events?type=nothing", "!400 ");
	get("/events?after=1", "!400 {\"error\":{\"code\":\"EINVAL\",\"message\":\"unknown query name 'after'"); /* a stream goes on at last_event_id */
	get("/events?last_event_id=x", "!400 ");
	get("/api/v1/events?before=1", "!400 ");
	get("/api/v1/events/newest?after=1", "!400 ");
	get("/api/v1/events?limit=1&limit=2", "!400 ");
}

static void test_project_token(void **s UNUSED)
{
	struct http_client *shop;
	struct err          e = { 0 };

	STARTED("shop");
	STARTED("secret-thing");
	STARTED("");
	assert_ok(http_client_new(base_url, "shop", &shop, &e), &e);
	get_as(shop, "/api/v1/events", "shop1 |-1");
	get_as(shop, "/api/v1/events/newest", "shop1 |-1");
	get_as(shop, "/api/v1/events?project=shop", "shop1 |-1");
	get_as(shop, "/api/v1/events?project=secret-thing", "!403 ");
	get_as(shop, "/events?project=secret-thing", "!403 ");
	get_as(shop, "/api/v1/events?project=-", "!403 ");
	http_client_free(shop);
}

/* --- the stream --- */

struct listener {
	const char     *path, *token, *last_id;
	pthread_t       thread;
	pthread_mutex_t lock;
	struct buf      text;
	atomic_bool     open, stop;
};
static int on_piece(void *ctx, str piece)
{
	struct listener *l = ctx;

	pthread_mutex_lock(&l->lock);
	buf_add_str(&l->text, piece);
	pthread_mutex_unlock(&l->lock);
	atomic_store(&l->open, true);
	return atomic_load(&l->stop) ? -1 : 0;
}
static void *listen_main(void *arg)
{
	struct listener    *l = arg;
	struct http_client *c;
	struct http_call    call = HTTP_CALL_INIT;
	char                last[64];
	const char         *headers[2] = { NULL, NULL };

	(void)snprintf(last, sizeof(last), "Last-Event-ID: %s", l->last_id ? l->last_id : "");
	headers[0] = l->last_id ? last : NULL;
	if (http_client_new(base_url, l->token, &c, NULL))
		return NULL;
	call.path = l->path;
	call.headers = headers;
	call.timeout_ms = -1;
	call.sink = on_piece;
	call.sink_ctx = l;
	(void)!http_call(c, &call, NULL);
	http_client_free(c);
	return NULL;
}
static void listen_begin(struct listener *l)
{
	pthread_mutex_init(&l->lock, NULL);
	buf_init(&l->text, 1 << 20);
	assert_int_equal(pthread_create(&l->thread, NULL, listen_main, l), 0);
	for (int i = 0; i < 5000 && !atomic_load(&l->open); i++)
		clock_sleep_ms(1);
	assert_true(atomic_load(&l->open));
}
static void listen_wait(struct listener *l, const char *part)
{
	bool seen = false;

	for (int i = 0; i < 5000 && !seen; i++) {
		pthread_mutex_lock(&l->lock);
		seen = strstr(buf_z(&l->text), part) != NULL;
		pthread_mutex_unlock(&l->lock);
		clock_sleep_ms(1);
	}
	if (!seen)
		fail_msg("expected %s in the stream, seen %s", part, buf_z(&l->text));
}
static bool has(struct listener *l, const char *part)
{
	bool seen;

	pthread_mutex_lock(&l->lock);
	seen = strstr(buf_z(&l->text), part) != NULL;
	pthread_mutex_unlock(&l->lock);
	return seen;
}
static void listen_end(struct listener *l)
{
	atomic_store(&l->stop, true);
	STARTED("shop"); /* the next piece ends the call */
	pthread_join(l->thread, NULL);
	buf_fini(&l->text);
	pthread_mutex_destroy(&l->lock);
}

static void test_stream(void **s UNUSED)
{
	struct listener from_now = { .path = "/events", .token = "all" };
	struct listener resumed = { .path = "/events", .token = "all", .last_id = "1" };
	struct listener shop = { .path = "/events?type=server.started", .token = "shop", .last_id = "0" };
	struct listener cd = { .path = "/events?format=cdevents", .token = "all", .last_id = "0" };

	STARTED("shop");
	ARCHIVED("shop");
	listen_begin(&from_now);
	listen_begin(&resumed);
	listen_begin(&shop);
	listen_begin(&cd);
	listen_wait(&resumed, "id: 2\nevent: project.archived\ndata: {\"actor\":\"token:t\",");
	listen_wait(&shop, "id: 1\nevent: server.started\n");
	listen_wait(&cd, "id: 2\nevent: project.archived\ndata: {\"context\":{\"specversion\"");
	STARTED("b");
	listen_wait(&from_now, "id: 3\nevent: server.started\n");
	listen_wait(&resumed, "id: 3\nevent: server.started\n");
	STARTED("shop");
	listen_wait(&shop, "id: 4\n");
	assert_false(has(&from_now, "id: 2\n"));
	assert_false(has(&resumed, "id: 1\n"));
	assert_false(has(&shop, "id: 2\n")); /* another type */
	assert_false(has(&shop, "id: 3\n")); /* another project */
	assert_false(has(&cd, "id: 3\n"));
	listen_end(&from_now);
	listen_end(&resumed);
	listen_end(&shop);
	ARCHIVED("shop");
	atomic_store(&cd.stop, true);
	ARCHIVED("shop");
	pthread_join(cd.thread, NULL);
	buf_fini(&cd.text);
}

static void test_stream_many(void **s UNUSED)
{
	struct listener l = { .path = "/events", .token = "all", .last_id = "0" };

	for (int i = 0; i < 120; i++) /* more than one turn of the stream takes */
		STARTED("shop");
	listen_begin(&l);
	listen_wait(&l, "id: 120\n");
	for (int i = 1; i <= 120; i++) {
		char id[32];

		(void)snprintf(id, sizeof(id), "id: %d\n", i);
		assert_true(has(&l, id));
	}
	listen_end(&l);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = { T(test_lists), T(test_refusals), T(test_project_token), T(test_stream), T(test_stream_many) };

	base_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
