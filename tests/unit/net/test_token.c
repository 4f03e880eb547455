/* Tokens, sessions and what net demands of credentials, over real sockets. */
#include "net-test.h"
#include "base/limits.h"

#include "base/fs.h"
#include "base/hash.h"
#include "db/db.h"
#include "event/event.h"
#include "net/token.h"

static usec_t fake_now = 1800000000 * USEC_PER_SEC;
static usec_t fake_wall(void *ctx UNUSED) { return fake_now; }
static usec_t real_mono(void *ctx UNUSED) { return clock_mono_now(); }
static const struct clock fake_clock = { fake_wall, real_mono, NULL };

struct fixture {
	char                dir[256];
	struct db          *db;
	struct event_log   *log;
	struct token_store *store;
	struct http_server *s;
	struct buf          out;
	char                admin[TOKEN_TEXT_SIZE];
};

static int h_who(struct http_req *r, void *ctx UNUSED, struct err *e UNUSED)
{
	const struct http_identity *who = http_who(r);

	buf_addf(http_out(r), "<%s|%s|%s|%s>", who->name, scope_name(who->scope), who->project, who->subject);
	return 0;
}
static int h_auth(struct http_req *r UNUSED, void *ctx UNUSED, struct err *e) { return err_set(e, WEIR_EAUTH, "a token is needed"); }

static const struct http_route routes[] = {
	{ "GET", "/api/who", HTTP_FAST, SCOPE_READ, 0, h_who, "", NULL, NULL },
	{ "GET", "/api/develop", HTTP_FAST, SCOPE_DEVELOP, 0, h_who, "", NULL, NULL },
	{ "GET", "/api/runner", HTTP_FAST, SCOPE_RUNNER, 0, h_who, "", NULL, NULL },
	{ "GET", "/api/job", HTTP_FAST, SCOPE_JOB, 0, h_who, "", NULL, NULL },
	{ "GET", "/api/p/:project", HTTP_FAST, SCOPE_READ, 0, h_who, "", NULL, NULL },
	{ "POST", "/change", HTTP_FAST, SCOPE_READ, 100, h_who, "", NULL, NULL },
	{ "GET", "/page", HTTP_FAST, SCOPE_READ, 0, h_who, "", NULL, NULL },
	{ "GET", "/open", HTTP_FAST, SCOPE_NONE, 0, h_who, "", NULL, NULL },
	{ "GET", "/git/:project/*rest", HTTP_FAST, SCOPE_NONE, 0, h_auth, "", NULL, NULL },
};

static struct fixture *start(void)
{
	struct fixture          *f = calloc(1, sizeof(*f));
	struct err               e = { 0 };
	char                     url[300];
	const struct http_route *list;
	size_t                   n;

	buf_init(&f->out, 1 << 20);
	assert_ok(fs_temp_dir("weir-token-", f->dir, sizeof(f->dir), &e), &e);
	snprintf(url, sizeof(url), "sqlite:%s/t.db", f->dir);
	assert_ok(db_open(url, &f->db, &e), &e);
	assert_ok(event_log_open(f->db, f->dir, &fake_clock, &f->log, &e), &e);
	assert_ok(token_store_open(f->db, f->log, f->dir, &fake_clock, &f->store, &e), &e);
	assert_ok(token_create(f->store, STR("root"), SCOPE_ADMIN, STR_NULL, 0, STR("weir"), f->admin, &e), &e);
	struct http_config cfg = { .tick_ms = 10, .authenticate = token_authenticate, .auth_ctx = f->store };
	assert_ok(http_server_new(&cfg, &f->s, &e), &e);
	assert_ok(http_server_routes(f->s, routes, ARRAY_SIZE(routes), NULL, &e), &e);
	list = token_routes(&n);
	assert_ok(http_server_routes(f->s, list, n, f->store, &e), &e);
	assert_ok(http_server_start(f->s, &e), &e);
	return f;
}

static void end(struct fixture *f)
{
	struct err e;

	http_server_stop(f->s, 1000);
	token_store_close(f->store);
	event_log_close(f->log);
	db_close(f->db);
	assert_ok(fs_remove_tree(f->dir, &e), &e);
	buf_fini(&f->out);
	free(f);
}

/* headers: whole lines with CR LF */
static int ask(struct fixture *f, const char *method, const char *path, const char *headers, const char *body)
{
	struct buf raw CLEANUP_BUF = BUF_INIT(1 << 20);

	buf_addf(&raw, "%s %s HTTP/1.1\r\nHost: weir.test\r\n%sContent-Length: %zu\r\n\r\n%s", method, path, headers, strlen(body), body);
	net_exchange(http_server_port(f->s), buf_str(&raw), &f->out);
	return net_status(&f->out);
}

static int ask_as(struct fixture *f, const char *token, const char *method, const char *path, const char *body)
{
	char headers[512];

	snprintf(headers, sizeof(headers), "Authorization: Bearer %s\r\nContent-Type: application/json\r\n", token);
	return ask(f, method, path, headers, body);
}

static void make(struct fixture *f, const char *name, enum http_scope scope, const char *project, usec_t expires_at, char text[TOKEN_TEXT_SIZE])
{
	struct err e = { 0 };

	assert_ok(token_create(f->store, str_z(name), scope, str_z(project), expires_at, STR("weir"), text, &e), &e);
}

static void test_scopes(void **s UNUSED)
{
	struct fixture *f = start();
	char            read[TOKEN_TEXT_SIZE], runner[TOKEN_TEXT_SIZE], bound[TOKEN_TEXT_SIZE];

	make(f, "reader", SCOPE_READ, NULL, 0, read);
	make(f, "runner", SCOPE_RUNNER, NULL, 0, runner);
	make(f, "bound", SCOPE_DEVELOP, "shop", 0, bound);
	assert_int_equal(ask_as(f, read, "GET", "/api/who", ""), 200);
	assert_has(&f->out, "<reader|read||>");
	assert_int_equal(ask_as(f, read, "GET", "/api/develop", ""), 403);
	assert_has(&f->out, "needs the scope 'develop'");
	assert_int_equal(ask_as(f, f->admin, "GET", "/api/develop", ""), 200);
	assert_int_equal(ask_as(f, f->admin, "GET", "/api/runner", ""), 403);
	assert_int_equal(ask_as(f, runner, "GET", "/api/runner", ""), 200);
	assert_int_equal(ask_as(f, runner, "GET", "/api/who", ""), 403);
	assert_int_equal(ask_as(f, bound, "GET", "/api/p/shop", ""), 200);
	assert_int_equal(ask_as(f, bound, "GET", "/api/p/ledger", ""), 403);
	assert_has(&f->out, "bound to the project 'shop'");
	end(f);
}

static void test_wrong_credentials(void **s UNUSED)
{
	struct fixture *f = start();
	char            wrong[TOKEN_TEXT_SIZE];

	assert_int_equal(ask(f, "GET", "/api/who", "", ""), 401);
	assert_has(&f->out, "WWW-Authenticate: Bearer realm=\"weir\"");
	snprintf(wrong, sizeof(wrong), "%s", f->admin);
	wrong[20] = wrong[20] == 'x' ? 'y' : 'x';
	assert_int_equal(ask_as(f, wrong, "GET", "/api/who", ""), 401);
	assert_int_equal(ask_as(f, "", "GET", "/api/who", ""), 401);
	assert_int_equal(ask(f, "GET", "/api/who", "Authorization: Basic !!!\r\n", ""), 401);
	assert_int_equal(ask(f, "GET", "/api/who", "Authorization: Digest x\r\n", ""), 401);
	assert_int_equal(ask(f, "GET", "/open", "Authorization: Bearer nonsense\r\n", ""), 200);
	assert_has(&f->out, "<|none||>");
	/* git asks for a password only when it is challenged so */
	assert_int_equal(ask(f, "GET", "/git/shop.git/info/refs", "", ""), 401);
	assert_has(&f->out, "WWW-Authenticate: Basic realm=\"weir\"");
	/* a browser is sent to the form */
	assert_int_equal(ask(f, "GET", "/page?x=1", "Accept: text/html\r\n", ""), 303);
	assert_has(&f->out, "Location: /login?next=%2Fpage%3Fx%3D1\r\n");
	end(f);
}

static void test_basic(void **s UNUSED)
{
	struct fixture *f = start();
	char            headers[256], pair[128];
	struct buf b64  CLEANUP_BUF = BUF_INIT(512);

	snprintf(pair, sizeof(pair), "any:%s", f->admin);
	buf_add_base64(&b64, str_z(pair));
	snprintf(headers, sizeof(headers), "Authorization: basic %s\r\n", buf_z(&b64));
	assert_int_equal(ask(f, "GET", "/api/who", headers, ""), 200);
	assert_has(&f->out, "<root|admin||>");
	end(f);
}

static void test_expiry_and_revoke(void **s UNUSED)
{
	struct fixture *f = start();
	struct err      e = { 0 };
	char            text[TOKEN_TEXT_SIZE];

	make(f, "short", SCOPE_READ, NULL, fake_now + 10 * USEC_PER_SEC, text);
	assert_int_equal(ask_as(f, text, "GET", "/api/who", ""), 200);
	fake_now += 10 * USEC_PER_SEC;
	assert_int_equal(ask_as(f, text, "GET", "/api/who", ""), 401);
	make(f, "gone", SCOPE_READ, NULL, 0, text);
	assert_err(token_create(f->store, STR("gone"), SCOPE_READ, STR_NULL, 0, STR("weir"), text, &e), WEIR_EEXIST);
	assert_ok(token_revoke(f->store, STR("gone"), STR("weir"), &e), &e);
	assert_int_equal(ask_as(f, text, "GET", "/api/who", ""), 401);
	assert_err(token_revoke(f->store, STR("gone"), STR("weir"), &e), WEIR_ENOENT);
	make(f, "gone", SCOPE_READ, NULL, 0, text); /* the name is free again */
	assert_err(token_create(f->store, STR("a b"), SCOPE_READ, STR_NULL, 0, STR("weir"), text, &e), WEIR_EINVAL);
	assert_err(token_create(f->store, STR("j"), SCOPE_JOB, STR_NULL, 0, STR("weir"), text, &e), WEIR_EINVAL);
	end(f);
}

struct job_arg {
	struct token_store *s;
	char                text[TOKEN_TEXT_SIZE];
};
static int job_make(struct db_tx *tx, void *arg, struct err *e)
{
	struct job_arg *j = arg;

	return token_create_job(j->s, tx, STR("shop"), STR("JOB1"), fake_now + USEC_PER_SEC, j->text, e);
}
static int job_end(struct db_tx *tx, void *arg, struct err *e) { return token_end_job(((struct job_arg *)arg)->s, tx, STR("JOB1"), e); }

static void test_jobs(void **s UNUSED)
{
	struct fixture *f = start();
	struct job_arg  j = { .s = f->store };
	struct err      e = { 0 };

	assert_ok(db_write(f->db, job_make, &j, &e), &e);
	assert_int_equal(ask_as(f, j.text, "GET", "/api/job", ""), 200);
	assert_has(&f->out, "<job|job|shop|JOB1>");
	assert_int_equal(ask_as(f, j.text, "GET", "/api/develop", ""), 403);
	assert_int_equal(ask_as(f, j.text, "GET", "/api/p/other", ""), 403);
	assert_int_equal(ask_as(f, f->admin, "GET", "/api/job", ""), 200);
	assert_ok(db_write(f->db, job_end, &j, &e), &e);
	int status = 0;
	for (int n = 0; n < 400 && status != 401; n++) { /* the notification comes with the commit, on a thread of the db */
		status = ask_as(f, j.text, "GET", "/api/job", "");
		clock_sleep_ms(status == 401 ? 0 : 5);
	}
	assert_int_equal(status, 401);
	end(f);
}

/* Services ask for their text at each start: it stays the same until it is revoked. */
static void test_services(void **s UNUSED)
{
	struct fixture *f = start();
	struct err      e = { 0 };
	char            first[TOKEN_TEXT_SIZE], again[TOKEN_TEXT_SIZE], other[TOKEN_TEXT_SIZE], made[TOKEN_TEXT_SIZE], name[80];

	assert_ok(token_of_services(f->store, STR("shop"), first, &e), &e);
	assert_int_equal(strlen(first), strlen(f->admin));
	assert_ok(token_of_services(f->store, STR("shop"), again, &e), &e);
	assert_string_equal(first, again);
	assert_ok(token_of_services(f->store, STR("ledger"), other, &e), &e);
	assert_string_not_equal(first, other);
	assert_int_equal(ask_as(f, first, "GET", "/api/who", ""), 403); /* flags, and nothing else */
	assert_ok(token_revoke(f->store, STR("flags.shop"), STR("weir"), &e), &e);
	assert_int_equal(ask_as(f, first, "GET", "/api/who", ""), 401);
	assert_ok(token_of_services(f->store, STR("shop"), again, &e), &e);
	assert_string_not_equal(first, again);
	assert_int_equal(ask_as(f, first, "GET", "/api/who", ""), 401);
	assert_int_equal(ask_as(f, again, "GET", "/api/who", ""), 403);
	make(f, "flags.mine", SCOPE_READ, NULL, 0, made);
	assert_err(token_of_services(f->store, STR("mine"), again, &e), WEIR_EEXIST);
	memset(name, 'x', sizeof(name));
	assert_err(token_of_services(f->store, str_n(name, LIMIT_NAME_BYTES), again, &e), WEIR_ELIMIT);
	assert_non_null(strstr(e.msg, "give the service a token"));
	end(f);
}

static void test_api(void **s UNUSED)
{
	struct fixture *f = start();
	char            made[TOKEN_TEXT_SIZE] = "", bound[TOKEN_TEXT_SIZE];

	assert_int_equal(ask_as(f, f->admin, "POST", "/api/v1/tokens", "{\"name\":\"ci\",\"scope\":\"develop\",\"expires_in\":\"90d\"}"), 201);
	const char *at = strstr(buf_z(&f->out), "\"token\":\"");
	assert_non_null(at);
	snprintf(made, sizeof(made), "%.53s", at + 9);
	assert_int_equal(ask_as(f, made, "GET", "/api/develop", ""), 200);
	assert_int_equal(ask_as(f, made, "GET", "/api/v1/tokens", ""), 403);
	assert_int_equal(ask_as(f, f->admin, "GET", "/api/v1/tokens", ""), 200);
	assert_has(&f->out, "\"name\":\"ci\",\"scope\":\"develop\",\"project\":null");
	assert_false(str_contains(buf_str(&f->out), STR("weir_a_")));
	assert_int_equal(ask_as(f, f->admin, "POST", "/api/v1/tokens", "{\"name\":\"x\",\"scope\":\"read\",\"projct\":\"a\"}"), 400);
	assert_has(&f->out, "did you mean 'project'?");
	assert_int_equal(ask_as(f, f->admin, "DELETE", "/api/v1/tokens/ci", ""), 204);
	assert_int_equal(ask_as(f, made, "GET", "/api/develop", ""), 401);
	make(f, "bound", SCOPE_ADMIN, "shop", 0, bound);
	assert_int_equal(ask_as(f, bound, "POST", "/api/v1/tokens", "{\"name\":\"x\",\"scope\":\"read\"}"), 403);
	end(f);
}

static void test_login(void **s UNUSED)
{
	struct fixture *f = start();
	char            body[256], cookie[256], read[TOKEN_TEXT_SIZE];
	struct err      e = { 0 };
	static const char form[] = "Content-Type: application/x-www-form-urlencoded\r\nOrigin: http://weir.test\r\n";

	make(f, "reader", SCOPE_READ, NULL, 0, read);
	assert_int_equal(ask(f, "GET", "/login?next=%2Fpage", "", ""), 200);
	assert_has(&f->out, "value=\"/page\"");
	assert_int_equal(ask(f, "GET", "/login?next=%2F%2Fevil.test", "", ""), 200);
	assert_has(&f->out, "value=\"/\"");
	snprintf(body, sizeof(body), "token=%s&next=/page", read);
	assert_int_equal(ask(f, "POST", "/login", "Content-Type: application/x-www-form-urlencoded\r\n", body), 403); /* from elsewhere */
	assert_int_equal(ask(f, "POST", "/login", form, "token=wrong"), 401);
	assert_int_equal(ask(f, "POST", "/login", form, body), 303);
	assert_has(&f->out, "Location: /page");
	assert_has(&f->out, "HttpOnly; SameSite=Lax");
	const char *at = strstr(buf_z(&f->out), "weir_session=");
	assert_non_null(at);
	snprintf(cookie, sizeof(cookie), "Cookie: %.*s\r\n", (int)strcspn(at, ";"), at);
	assert_int_equal(ask(f, "GET", "/page", cookie, ""), 200);
	assert_has(&f->out, "<reader|read||>");
	/* changes by cookie need a page of ours */
	char with_origin[400];
	assert_int_equal(ask(f, "POST", "/change", cookie, ""), 403);
	snprintf(with_origin, sizeof(with_origin), "%sOrigin: http://evil.test\r\n", cookie);
	assert_int_equal(ask(f, "POST", "/change", with_origin, ""), 403);
	snprintf(with_origin, sizeof(with_origin), "%sOrigin: null\r\n", cookie);
	assert_int_equal(ask(f, "POST", "/change", with_origin, ""), 403);
	snprintf(with_origin, sizeof(with_origin), "%sSec-Fetch-Site: cross-site\r\n", cookie);
	assert_int_equal(ask(f, "POST", "/change", with_origin, ""), 403);
	snprintf(with_origin, sizeof(with_origin), "%sOrigin: http://weir.test\r\n", cookie);
	assert_int_equal(ask(f, "POST", "/change", with_origin, ""), 200);
	snprintf(with_origin, sizeof(with_origin), "%sSec-Fetch-Site: same-origin\r\n", cookie);
	assert_int_equal(ask(f, "POST", "/change", with_origin, ""), 200);
	/* a session's text is no bearer token, also when it was seen lately */
	char text[64];
	snprintf(text, sizeof(text), "%.53s", strchr(cookie, '=') + 1);
	assert_int_equal(ask_as(f, text, "GET", "/api/who", ""), 401);
	/* the session ends with its token */
	assert_ok(token_revoke(f->store, STR("reader"), STR("weir"), &e), &e);
	assert_int_equal(ask(f, "GET", "/page", cookie, ""), 401);
	end(f);
}

static void test_logout(void **s UNUSED)
{
	struct fixture *f = start();
	char            body[256], cookie[256], both[400];

	snprintf(body, sizeof(body), "token=%s", f->admin);
	assert_int_equal(ask(f, "POST", "/login", "Content-Type: application/x-www-form-urlencoded\r\nOrigin: https://weir.test\r\n", body), 303);
	assert_has(&f->out, "; Secure");
	const char *at = strstr(buf_z(&f->out), "weir_session=");
	assert_non_null(at);
	snprintf(cookie, sizeof(cookie), "Cookie: %.*s\r\n", (int)strcspn(at, ";"), at);
	snprintf(both, sizeof(both), "%sOrigin: http://weir.test\r\n", cookie);
	assert_int_equal(ask(f, "GET", "/page", cookie, ""), 200);
	assert_int_equal(ask(f, "POST", "/logout", both, ""), 303);
	assert_int_equal(ask(f, "GET", "/page", cookie, ""), 401);
	end(f);
}

/* What is stored is neither the text nor a plain hash of it, and the key stays private. */
static void test_at_rest(void **s UNUSED)
{
	struct fixture *f = start();
	struct err      e = { 0 };
	struct buf b    CLEANUP_BUF = BUF_INIT(64 << 20);
	char            path[300];
	unsigned char   plain[32];

	snprintf(path, sizeof(path), "%s/copy.db", f->dir);
	assert_ok(db_backup(f->db, path, &e), &e);
	assert_ok(fs_read(path, &b, &e), &e);
	assert_false(str_contains(buf_str(&b), str_z(f->admin)));
	crypto_generichash(plain, sizeof(plain), (const unsigned char *)f->admin, strlen(f->admin), NULL, 0);
	assert_false(str_contains(buf_str(&b), str_n((char *)plain, sizeof(plain))));
	assert_true(str_has_prefix(str_z(f->admin), STR("weir_a_")));
	assert_int_equal(strlen(f->admin), 53);
	end(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scopes),  cmocka_unit_test(test_wrong_credentials), cmocka_unit_test(test_basic),
		cmocka_unit_test(test_expiry_and_revoke), cmocka_unit_test(test_jobs),
		cmocka_unit_test(test_services), cmocka_unit_test(test_api),
		cmocka_unit_test(test_login),   cmocka_unit_test(test_logout),            cmocka_unit_test(test_at_rest),
	};

	base_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
