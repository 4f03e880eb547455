/* What an edge knows about tokens: asked once, again when it is old, kept over a restart, refused when the server refuses, and what it says while the
 * server is away. The server is a real one with a route of the test's own; the clock is the test's. */
#include "lib/test.h"

#include "base/fs.h"
#include "edge/edge-internal.h"

static usec_t now = 1800000000 * USEC_PER_SEC;
static usec_t fake(void *ctx UNUSED) { return now; }
static const struct clock fake_clock = { fake, fake, NULL };
static const unsigned char key[32] = { 7 };

struct fixture {
	char                dir[256], url[64];
	struct edge_disk    disk;
	struct edge_tokens *t;
	struct http_server *s;
	atomic_int          asked, status;
	const char         *expires;
};

static int get_token(struct http_req *r, void *ctx, struct err *reterr)
{
	struct fixture *f = ctx;
	str             auth = http_header(r, "authorization");

	atomic_fetch_add(&f->asked, 1);
	if (atomic_load(&f->status) == 503) {
		http_set_header(r, "Retry-After", STR("40"));
		return err_set(reterr, WEIR_EUNAVAIL, "not now");
	}
	if (!str_has_suffix(auth, STR("good")) || atomic_load(&f->status) == 401)
		return err_set(reterr, WEIR_EAUTH, "no");
	http_type(r, "application/json");
	buf_addf(http_out(r), "{\"name\":\"app\",\"scope\":\"flags\",\"project\":\"shop\",\"expires_at\":%s}", f->expires);
	return 0;
}
static const struct http_route routes[] = { { "GET", "/api/v1/token", HTTP_FAST, SCOPE_NONE, 0, get_token, "", NULL, NULL } };

static void serve(struct fixture *f, uint16_t port)
{
	struct http_config cfg = { .bind = "127.0.0.1", .port = port, .loop_threads = 1, .worker_threads = 1, .connections_max = 100, .connections_per_ip_max = 100,
		                       .clock = &clock_real };
	struct err         e = { 0 };

	assert_ok(http_server_new(&cfg, &f->s, &e), &e);
	assert_ok(http_server_routes(f->s, routes, ARRAY_SIZE(routes), f, &e), &e);
	assert_ok(http_server_start(f->s, &e), &e);
}

static void open_tokens(struct fixture *f)
{
	struct err e = { 0 };

	assert_ok(edge_tokens_open(&f->disk, f->url, key, &fake_clock, &f->t, &e), &e);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err      e = { 0 };

	f->expires = "null";
	assert_ok(fs_temp_dir("weir-edge-", f->dir, sizeof(f->dir), &e), &e);
	assert_ok(edge_disk_open(&f->disk, f->dir, &e), &e);
	serve(f, 0);
	snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%u", http_server_port(f->s));
	open_tokens(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	edge_tokens_close(f->t);
	edge_disk_close(&f->disk);
	http_server_stop(f->s, 0);
	assert_int_equal(fs_remove_tree(f->dir, NULL), 0);
	free(f);
	return 0;
}

/* As the HTTP server does it. */
static int who(struct fixture *f, const char *text, struct http_identity *ret)
{
	struct err e = { 0 };
	int        rc = edge_tokens_know(f->t, STR("bearer"), str_z(text), ret, &e);

	return rc == HTTP_AUTH_ASK ? edge_tokens_ask(f->t, STR("bearer"), str_z(text), ret, &e) : rc;
}

static void test_once(void **state)
{
	struct fixture      *f = *state;
	struct http_identity id;

	assert_int_equal(who(f, "weir_a_good", &id), 0);
	assert_string_equal(id.name, "app");
	assert_string_equal(id.project, "shop");
	assert_int_equal(id.scope, SCOPE_FLAGS);
	assert_int_equal(who(f, "weir_a_good", &id), 0);
	assert_int_equal(atomic_load(&f->asked), 1);
	assert_int_equal(who(f, "weir_a_bad", &id), -WEIR_EAUTH);
	assert_int_equal(id.scope, SCOPE_NONE);
	assert_int_equal(who(f, "weir_a_bad", &id), -WEIR_EAUTH);
	assert_int_equal(atomic_load(&f->asked), 2);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(who(f, (const char *[]){ "", "good", "weir_a good", "weir_\r\ngood" }[i], &id), -WEIR_EAUTH);
	assert_int_equal(edge_tokens_know(f->t, STR("basic"), STR("weir_a_good"), &id, NULL), -WEIR_EAUTH);
	assert_int_equal(edge_tokens_know(f->t, STR("cookie"), STR("weir_a_good"), &id, NULL), -WEIR_EAUTH);
	assert_int_equal(atomic_load(&f->asked), 2); /* what is no token is not asked about */
}

static void test_revoked(void **state)
{
	struct fixture      *f = *state;
	struct http_identity id;
	struct err           e = { 0 };

	assert_int_equal(who(f, "weir_a_good", &id), 0);
	atomic_store(&f->status, 401);
	assert_int_equal(who(f, "weir_a_good", &id), 0);
	now += LIMIT_EDGE_TOKEN_FRESH_S * USEC_PER_SEC + 1;
	assert_int_equal(edge_tokens_know(f->t, STR("bearer"), STR("weir_a_good"), &id, &e), HTTP_AUTH_ASK);
	assert_int_equal(edge_tokens_know(f->t, STR("bearer"), STR("weir_a_good"), &id, &e), 0); /* one asks, others go on */
	assert_int_equal(edge_tokens_ask(f->t, STR("bearer"), STR("weir_a_good"), &id, &e), -WEIR_EAUTH);
	assert_int_equal(edge_tokens_know(f->t, STR("bearer"), STR("weir_a_good"), &id, &e), -WEIR_EAUTH);
	/* also after a restart without the server */
	edge_tokens_close(f->t);
	f->s = http_server_stop(f->s, 0);
	open_tokens(f);
	assert_int_equal(who(f, "weir_a_good", &id), -WEIR_EUNAVAIL);
	atomic_store(&f->status, 200);
	serve(f, 0);
}

static void test_away(void **state)
{
	struct fixture      *f = *state;
	struct http_identity id;
	uint16_t             port = http_server_port(f->s);

	assert_int_equal(who(f, "weir_a_good", &id), 0);
	edge_tokens_close(f->t);
	f->s = http_server_stop(f->s, 0);
	open_tokens(f);
	assert_int_equal(who(f, "weir_a_good", &id), 0); /* from the disk */
	assert_string_equal(id.project, "shop");
	assert_int_equal(who(f, "weir_b_good", &id), -WEIR_EUNAVAIL); /* nobody knows: not now, rather than no */
	now += (LIMIT_EDGE_TOKEN_DAYS * 24 * 3600 - 100) * USEC_PER_SEC;
	assert_int_equal(who(f, "weir_a_good", &id), 0);
	now += 200 * USEC_PER_SEC;
	assert_int_equal(who(f, "weir_a_good", &id), -WEIR_EUNAVAIL);
	serve(f, port);
	now += 10 * USEC_PER_SEC;
	assert_int_equal(who(f, "weir_a_good", &id), 0);
	assert_int_equal(who(f, "weir_b_good", &id), 0);
}

static void test_expiry(void **state)
{
	struct fixture      *f = *state;
	struct http_identity id;
	char                 text[CLOCK_RFC3339_SIZE], json[64];

	snprintf(json, sizeof(json), "\"%s\"", clock_rfc3339(now + 10 * USEC_PER_SEC, text));
	f->expires = json;
	assert_int_equal(who(f, "weir_a_good", &id), 0);
	f->s = http_server_stop(f->s, 0);
	now += 11 * USEC_PER_SEC;
	assert_int_equal(who(f, "weir_a_good", &id), -WEIR_EAUTH);
	serve(f, 0);
}

static void test_busy_server(void **state)
{
	struct fixture      *f = *state;
	struct http_identity id;

	assert_int_equal(who(f, "weir_a_good", &id), 0);
	atomic_store(&f->status, 503);
	now += 61 * USEC_PER_SEC;
	assert_int_equal(who(f, "weir_a_good", &id), 0);
	assert_int_equal(who(f, "weir_b_good", &id), -WEIR_EUNAVAIL);
	now += 39 * USEC_PER_SEC; /* Retry-After */
	assert_int_equal(who(f, "weir_b_good", &id), -WEIR_EUNAVAIL);
	assert_int_equal(atomic_load(&f->asked), 2);
	atomic_store(&f->status, 200);
	now += 2 * USEC_PER_SEC;
	assert_int_equal(who(f, "weir_b_good", &id), 0);
	assert_int_equal(atomic_load(&f->asked), 3);
}

/* Guesses neither become the server's load nor push out who is known. */
static void test_guesses(void **state)
{
	struct fixture          *f = *state;
	struct edge_token_counts c;
	struct http_identity     id;
	char                     text[64];

	assert_int_equal(who(f, "weir_a_good", &id), 0);
	for (int i = 0; i < 3 * LIMIT_EDGE_ASKS; i++) {
		int rc;

		snprintf(text, sizeof(text), "weir_a_%d", i);
		rc = who(f, text, &id);
		assert_true(rc == -WEIR_EAUTH || rc == -WEIR_EBUSY);
	}
	assert_true(atomic_load(&f->asked) <= LIMIT_EDGE_ASKS + 1);
	edge_tokens_counts(f->t, &c);
	assert_int_equal(c.known, 1);
	assert_true(c.limited >= LIMIT_EDGE_ASKS);
	assert_int_equal(edge_tokens_know(f->t, STR("bearer"), STR("weir_a_good"), &id, NULL), 0);
}

static void test_disk(void **state)
{
	struct fixture        *f = *state;
	struct buf CLEANUP_BUF b = BUF_INIT(1 << 20);
	struct http_identity   id;
	struct err             e = { 0 };
	char                   path[PATH_MAX + 8];

	assert_int_equal(who(f, "weir_a_good", &id), 0);
	assert_ok(edge_tokens_save(f->t, &e), &e);
	snprintf(path, sizeof(path), "%s/tokens", f->disk.dir);
	assert_ok(fs_read(path, &b, &e), &e);
	assert_true(str_contains(buf_str(&b), STR("shop")) && !str_contains(buf_str(&b), STR("weir_a_good")));
	assert_int_equal(remove(path), 0);
	assert_ok(edge_tokens_save(f->t, &e), &e);
	assert_false(fs_exists(path)); /* nothing changed: nothing is written */
	assert_ok(fs_write_quick(path, str_sub(buf_str(&b), 0, b.len - 9), 0600, &e), &e);
	edge_tokens_close(f->t);
	open_tokens(f);
	assert_int_equal(atomic_load(&f->disk.damaged), 1);
	assert_int_equal(who(f, "weir_a_good", &id), 0);
	assert_int_equal(atomic_load(&f->asked), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_once, setup, teardown),    cmocka_unit_test_setup_teardown(test_revoked, setup, teardown),
		cmocka_unit_test_setup_teardown(test_away, setup, teardown),    cmocka_unit_test_setup_teardown(test_expiry, setup, teardown),
		cmocka_unit_test_setup_teardown(test_busy_server, setup, teardown), cmocka_unit_test_setup_teardown(test_guesses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_disk, setup, teardown),
	};

	base_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
