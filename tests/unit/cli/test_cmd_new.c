/* `weir new` and `weir credential`, run as a program against a small server of the real net room: what is made, what git is told,
 * and that nothing is left when a step fails. */
#include "tests/lib/test.h"

#include "base/fs.h"
#include "base/hash.h"
#include "base/proc.h"
#include "cli/cli.h"
#include "net/http.h"

#include <dirent.h>
#include <limits.h>
#include <unistd.h>

#define TOKEN "weir_secret0123456789"

struct fixture {
	char dir[PATH_MAX], self[PATH_MAX], server[64];
	struct http_server *http;
	struct buf out, posted;
	bool refuse;
	struct err err;
};

static int projects_post(struct http_req *req, void *ctx, struct err *reterr)
{
	struct fixture *f = ctx;
	struct jw w;

	if (f->refuse)
		return err_set(reterr, WEIR_EEXIST, "project 'shop' exists already");
	buf_clear(&f->posted);
	buf_add_str(&f->posted, http_body(req));
	http_status(req, 201);
	http_json(req, &w);
	jw_obj(&w);
	jw_end(&w);
	return 0;
}

static const struct http_route routes[] = {
	{ "POST", "/api/v1/projects", HTTP_WORKER, SCOPE_NONE, 65536, projects_post, "Makes a project.", NULL, NULL },
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct http_config cfg = { .bind = "127.0.0.1",
							   .loop_threads = 1,
							   .worker_threads = 1,
							   .connections_max = 16,
							   .connections_per_ip_max = 16,
							   .idle_timeout_ms = 10000,
							   .header_timeout_ms = 10000,
							   .body_timeout_ms = 10000,
							   .clock = &clock_real };

	buf_init(&f->out, 1 << 20);
	buf_init(&f->posted, 1 << 20);
	assert_ok(fs_temp_dir("weir-new-", f->dir, sizeof(f->dir), &f->err), &f->err);
	assert_ok(fs_self_exe(f->self, sizeof(f->self), &f->err), &f->err);
	assert_ok(http_server_new(&cfg, &f->http, &f->err), &f->err);
	assert_ok(http_server_routes(f->http, routes, ARRAY_SIZE(routes), f, &f->err), &f->err);
	assert_ok(http_server_start(f->http, &f->err), &f->err);
	snprintf(f->server, sizeof(f->server), "http://127.0.0.1:%u", http_server_port(f->http));
	*state = f;
	return 0;
}
static int teardown(void **state)
{
	struct fixture *f = *state;
	int r = fs_remove_tree(f->dir, &f->err);

	f->http = http_server_stop(f->http, 1000);
	buf_fini(&f->out);
	buf_fini(&f->posted);
	free(f);
	return r;
}

/* Runs a program in the test's folder with a home of its own; *out gets both outputs. */
static int run(struct fixture *f, const char *input, const char *const *argv)
{
	char home[PATH_MAX + 8], token[64], server[80];
	const char *env[] = {
		home, token, server, "PATH=/usr/bin:/bin", "GIT_CONFIG_NOSYSTEM=1", "ASAN_OPTIONS=detect_leaks=0", NULL
	};
	struct proc_run p = {
		.argv = argv, .env = env, .cwd = f->dir, .timeout_ms = 60000, .input = str_z(input), .out = &f->out, .err = &f->out
	};
	int status = -1;

	snprintf(home, sizeof(home), "HOME=%s", f->dir);
	snprintf(token, sizeof(token), "WEIR_TOKEN=%s", TOKEN);
	snprintf(server, sizeof(server), "WEIR_SERVER=%s", f->server);
	buf_clear(&f->out);
	assert_ok(proc_run(&p, &status, &f->err), &f->err);
	return status;
}
#define WEIR(f, ...) run((f), "", (const char *const[]){ (f)->self, __VA_ARGS__, NULL })
#define CHECK(f, status, part, call)                                                                                             \
	do {                                                                                                                         \
		int check_ = (call);                                                                                                     \
		if (check_ != (status) || !str_contains(buf_str(&(f)->out), str_z(part)))                                                \
			fail_msg("expected %d and '%s', seen %d and:\n%s", (status), (part), check_, buf_z(&(f)->out));                      \
	} while (0)

static size_t entries(struct fixture *f)
{
	DIR *d = opendir(f->dir);
	struct dirent *e;
	size_t n = 0;

	assert_non_null(d);
	while ((e = readdir(d)))
		n += e->d_name[0] != '.' || strlen(e->d_name) > 2;
	closedir(d);
	return n;
}

static void test_list(void **state)
{
	struct fixture *f = *state;

	CHECK(f, 0, "http-python", WEIR(f, "new", "--list"));
	CHECK(f, 0, "--param host=", WEIR(f, "new", "--list"));
	CHECK(f, 0, "\"version\":2", WEIR(f, "new", "--list", "--json"));
}

static void test_with_project(void **state)
{
	struct fixture *f = *state;
	char url[200], want[300];

	CHECK(f, 0, "git push", WEIR(f, "new", "http-python", "shop", "--param", "host=a.example", "--param=bake=1m"));
	assert_true(str_contains(buf_str(&f->posted), STR("\"name\":\"shop\"")));
	assert_true(str_contains(buf_str(&f->posted), STR("\"template\":\"http-python\"")));
	assert_true(str_contains(buf_str(&f->posted), STR("\"began_at\":1")));
	CHECK(f, 0, "Begin from the golden path http-python, version 2",
		  run(f, "", (const char *const[]){ "git", "-C", "shop", "log", NULL }));
	CHECK(f, 0, "## main", run(f, "", (const char *const[]){ "git", "-C", "shop", "status", "-b", "--short", NULL }));
	assert_int_equal(f->out.len, strlen("## main\n")); /* nothing is left out of the commit */
	snprintf(url, sizeof(url), "%s/git/shop.git", f->server);
	CHECK(f, 0, url, run(f, "", (const char *const[]){ "git", "-C", "shop", "remote", "get-url", "origin", NULL }));
	CHECK(f, 0, "host: a.example", run(f, "", (const char *const[]){ "cat", "shop/.weir/service.yaml", NULL }));
	CHECK(f, 0, "bake: 1m", run(f, "", (const char *const[]){ "cat", "shop/.weir/service.yaml", NULL }));
	/* the token is in no file; git gets it by asking, for this server only */
	CHECK(f, 1, "", run(f, "", (const char *const[]){ "grep", "-r", TOKEN, "shop", NULL }));
	CHECK(f, 0, "credential", run(f, "", (const char *const[]){ "cat", "shop/.git/config", NULL }));
	snprintf(want, sizeof(want), "protocol=http\nhost=%s\n\n", f->server + strlen("http://"));
	CHECK(f, 0, "password=" TOKEN, run(f, want, (const char *const[]){ f->self, "credential", "get", NULL }));
	CHECK(f, 0, "", run(f, "protocol=http\nhost=evil.example\n\n", (const char *const[]){ f->self, "credential", "get", NULL }));
	assert_int_equal(f->out.len, 0);
	CHECK(f, 0, "", run(f, "protocol=https\nhost=127.0.0.1\n\n", (const char *const[]){ f->self, "credential", "get", NULL }));
	assert_int_equal(f->out.len, 0);
	CHECK(f, 0, "", run(f, want, (const char *const[]){ f->self, "credential", "store", NULL }));
	assert_int_equal(f->out.len, 0);
}

/* The whole way through git: it runs the helper that `weir new` has set. */
static void test_git_gets_the_password(void **state)
{
	struct fixture *f = *state;
	char want[300];

	CHECK(f, 0, "ready", WEIR(f, "new", "http-c", "ledger"));
	snprintf(want, sizeof(want), "protocol=http\nhost=%s\n\n", f->server + strlen("http://"));
	CHECK(f, 0, "password=" TOKEN, run(f, want, (const char *const[]){ "git", "-C", "ledger", "credential", "fill", NULL }));
}

static void test_without_project(void **state)
{
	struct fixture *f = *state;

	CHECK(f, 0, "\"project\":false", WEIR(f, "new", "http-c", "ledger", "--no-project", "--into", "sub", "--json"));
	assert_int_equal(f->posted.len, 0);
	CHECK(f, 0, "Makefile", run(f, "", (const char *const[]){ "git", "-C", "sub", "ls-files", NULL }));
	CHECK(f, 0, ".weir/service.yaml", run(f, "", (const char *const[]){ "git", "-C", "sub", "ls-files", NULL }));
	CHECK(f, 0, "", run(f, "", (const char *const[]){ "git", "-C", "sub", "remote", NULL }));
	assert_int_equal(f->out.len, 0);
}

static void test_nothing_is_left(void **state)
{
	struct fixture *f = *state;
	size_t before = entries(f);

	f->refuse = true;
	CHECK(f, 2, "project 'shop' exists already", WEIR(f, "new", "http-python", "shop"));
	assert_int_equal(entries(f), before);
	CHECK(f, 3, "no weir server at", WEIR(f, "new", "http-python", "shop", "--server", "http://127.0.0.1:1"));
	assert_int_equal(entries(f), before);
	CHECK(f, 2, "needs a template and a name", WEIR(f, "new", "http-python"));
	CHECK(f, 2, "did you mean 'http-python'", WEIR(f, "new", "http-pyton", "shop"));
	CHECK(f, 2, "--param needs NAME=VALUE", WEIR(f, "new", "http-python", "shop", "--param", "x"));
	CHECK(f, 2, "must be a host name", WEIR(f, "new", "http-python", "shop", "--param", "host=A B"));
	CHECK(f, 2, "project name", WEIR(f, "new", "http-python", "../shop"));
	assert_int_equal(entries(f), before);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_list, setup, teardown),
		cmocka_unit_test_setup_teardown(test_with_project, setup, teardown),
		cmocka_unit_test_setup_teardown(test_git_gets_the_password, setup, teardown),
		cmocka_unit_test_setup_teardown(test_without_project, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_is_left, setup, teardown),
	};

	/* Started as `weir` (also by git, whose helper begins with this program's name): be the command line. */
	if (argc > 1)
		return cli_main(argc, argv);
	base_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
