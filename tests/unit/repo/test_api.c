/* test_api.c - the routes of projects, refs, changes, commits and files over real HTTP. */
#include "room.h"

#include "net/client.h"

static struct arena arena;

/* A call with a token; answers of JSON are parsed into *ret (NULL: not wanted). Returns the status. */
static int call(const char *token, const char *method, const char *path, const char *body, struct doc_node **ret)
{
	CLEANUP_BUF struct buf out = BUF_INIT(4 << 20);
	struct http_client    *c;
	struct http_call       hc = HTTP_CALL_INIT;
	struct err             e = { 0 };
	char                   base[64];

	snprintf(base, sizeof(base), "http://127.0.0.1:%u", http_server_port(http));
	assert_ok(http_client_new(base, token, &c, &e), &e);
	hc.method = method;
	hc.path = path;
	hc.body = str_z(body);
	hc.out = &out;
	assert_ok(http_call(c, &hc, &e), &e);
	http_client_free(c);
	if (ret)
		assert_ok(doc_parse_json(&arena, "answer", buf_str(&out), ret, &e), &e);
	return hc.status;
}

static str error_of(const struct doc_node *answer) { return doc_get_str(doc_get(answer, "error"), "message"); }

static int begin_api(void **s)
{
	arena_init(&arena, 64 << 20);
	return setup(s);
}

static int end_api(void **s)
{
	arena_fini(&arena);
	return teardown(s);
}

static void test_projects(void **s UNUSED)
{
	struct doc_node *n;

	assert_int_equal(call("good", "POST", "/api/v1/projects", "{\"name\":\"new\",\"template\":\"http-c\",\"began_at\":5}", &n), 201);
	assert_str(doc_get_str(n, "name"), "new");
	assert_str(doc_get_str(n, "template"), "http-c");
	assert_str(doc_get_str(n, "state"), "active");
	assert_str(doc_get_str(n, "default_ref"), "refs/heads/main");
	assert_true(str_has_suffix(doc_get_str(n, "clone_url"), STR("/git/new.git")));
	assert_int_equal(call("good", "POST", "/api/v1/projects", "{\"name\":\"new\"}", &n), 409);
	assert_int_equal(call("good", "POST", "/api/v1/projects", "{\"name\":\"Bad Name\"}", &n), 400);
	assert_int_equal(call("good", "POST", "/api/v1/projects", "{\"nam\":\"x\"}", &n), 400);
	assert_true(str_contains(error_of(n), STR("unknown key 'nam' (did you mean 'name'?)")));
	assert_int_equal(call("good", "POST", "/api/v1/projects", "[]", &n), 400);
	assert_int_equal(call("good", "POST", "/api/v1/projects", "{\"name\":\"x\",\"template\":\"../x\"}", &n), 400);
	assert_int_equal(call("good", "POST", "/api/v1/projects", "{\"name\":\"x\",\"began_at\":-1}", &n), 400);
	assert_int_equal(call("good", "GET", "/api/v1/projects", NULL, &n), 200);
	assert_int_equal(doc_len(doc_get(n, "projects")), 2);
	assert_int_equal(call("job", "GET", "/api/v1/projects", NULL, &n), 200);
	assert_int_equal(doc_len(doc_get(n, "projects")), 1); /* its own */
	assert_int_equal(call("good", "GET", "/api/v1/projects/none", NULL, &n), 404);
	assert_int_equal(call("good", "POST", "/api/v1/projects/new/archive", NULL, &n), 200);
	assert_str(doc_get_str(n, "state"), "archived");
	assert_int_equal(call("good", "POST", "/api/v1/projects/none/archive", NULL, &n), 404);
	assert_int_equal(call("good", "POST", "/api/v1/projects", "{\"name\":\"new\"}", &n), 409); /* the name stays taken */
}

static void test_scopes(void **s UNUSED)
{
	static const char *const reads[] = { "", "/refs", "/changes" };
	char                     path[100];

	for (size_t i = 0; i < ARRAY_SIZE(reads); i++) {
		snprintf(path, sizeof(path), "/api/v1/projects/shop%s", reads[i]);
		assert_int_equal(call("reader", "GET", path, NULL, NULL), 200);
		assert_int_equal(call(NULL, "GET", path, NULL, NULL), 401);
		assert_int_equal(call("bound", "GET", path, NULL, NULL), 403);
	}
	assert_int_equal(call("reader", "POST", "/api/v1/projects", "{\"name\":\"x\"}", NULL), 403);
	assert_int_equal(call("reader", "POST", "/api/v1/projects/shop/archive", NULL, NULL), 403);
	scope = SCOPE_RELEASE;
	assert_int_equal(call("good", "POST", "/api/v1/projects", "{\"name\":\"x\"}", NULL), 403);
	assert_int_equal(call("good", "POST", "/api/v1/projects/shop/archive", NULL, NULL), 403);
}

static void test_changes(void **s UNUSED)
{
	const struct doc_node *list, *one;
	struct doc_node       *n;
	char                   path[100];
	int64_t                seq;

	assert_sh(begin);
	assert_sh("set -e; cd w; echo 2 >f; git commit -qam second; git mv f g; git commit -qm third; git push -q origin main");
	refuse_text = "no\n";
	assert_sh("cd w; git commit -q --allow-empty -m bad; ! git push -q origin main 2>/dev/null; git reset -q --hard HEAD~1");
	refuse_text = NULL;
	assert_int_equal(call("good", "GET", "/api/v1/projects/shop/changes", NULL, &n), 200);
	list = doc_get(n, "changes");
	assert_int_equal(doc_len(list), 3);
	assert_str(doc_get_str(doc_at(list, 0), "state"), "refused");
	assert_str(doc_get_str(doc_at(list, 0), "reason"), "findings");
	assert_str(doc_get_str(doc_at(doc_get(doc_at(list, 0), "findings"), 0), "rule"), "test-rule");
	assert_str(doc_get_str(doc_at(list, 1), "subject"), "third");
	assert_str(doc_get_str(doc_at(list, 1), "pusher"), "token:tester");
	assert_int_equal(doc_get_int(doc_at(list, 1), "commits", 0), 2);
	assert_str(doc_get_str(doc_at(list, 2), "subject"), "first");

	seq = doc_get_int(doc_at(list, 1), "seq", 0);
	snprintf(path, sizeof(path), "/api/v1/projects/shop/changes/%d", (int)seq);
	assert_int_equal(call("good", "GET", path, NULL, &n), 200);
	one = doc_get(n, "commit_list");
	assert_int_equal(doc_len(one), 2);
	assert_str(doc_get_str(doc_at(one, 0), "subject"), "third");
	assert_str(doc_get_str(doc_at(one, 0), "author"), "T <t@t.invalid>");
	assert_int_equal(doc_get_int(n, "files_total", 0), doc_len(doc_get(n, "files")));
	assert_true(doc_len(doc_get(n, "files")) >= 1);
	snprintf(path, sizeof(path), "/api/v1/projects/shop/changes/%d", (int)doc_get_int(doc_at(list, 0), "seq", 0));
	assert_int_equal(call("good", "GET", path, NULL, &n), 200); /* refused: its objects are gone */
	assert_null(doc_get(n, "files"));
	snprintf(path, sizeof(path), "/api/v1/projects/shop/changes/%d", (int)doc_get_int(doc_at(list, 2), "seq", 0));
	assert_int_equal(call("good", "GET", path, NULL, &n), 200); /* a first push: the whole history */
	assert_int_equal(doc_len(doc_get(n, "commit_list")), 1);

	assert_int_equal(call("good", "GET", "/api/v1/projects/shop/changes?limit=2", NULL, &n), 200);
	assert_int_equal(doc_len(doc_get(n, "changes")), 2);
	snprintf(path, sizeof(path), "/api/v1/projects/shop/changes?before=%d", (int)doc_get_int(n, "next_before", 0));
	assert_int_equal(call("good", "GET", path, NULL, &n), 200);
	assert_int_equal(doc_len(doc_get(n, "changes")), 1);
	assert_int_equal(call("good", "GET", "/api/v1/projects/shop/changes?before=x", NULL, &n), 400);
	assert_int_equal(call("good", "GET", "/api/v1/projects/shop/changes?limit=0", NULL, &n), 400);
	assert_int_equal(call("good", "GET", "/api/v1/projects/shop/changes/99999", NULL, &n), 404);
	assert_int_equal(call("good", "GET", "/api/v1/projects/none/changes", NULL, &n), 404);
}

static void head_of(char id[64])
{
	CLEANUP_BUF struct buf out = BUF_INIT(1024);

	assert_int_equal(sh(&out, "git -C w rev-parse HEAD"), 0);
	snprintf(id, 64, "%.40s", buf_z(&out));
}

static void test_commits_and_refs(void **s UNUSED)
{
	struct doc_node *n;
	char             id[64], path[160];

	assert_sh(begin);
	assert_sh("set -e; cd w; echo 2 >f; echo 3 >g; git add g; git commit -qam 'second\n\nwhy'; git push -q origin main HEAD:refs/heads/b");
	head_of(id);
	assert_int_equal(call("good", "GET", "/api/v1/projects/shop/refs", NULL, &n), 200);
	assert_int_equal(doc_len(doc_get(n, "refs")), 2);
	assert_str(doc_get_str(doc_get(n, "refs"), "refs/heads/b"), id);
	for (int len = 40; len >= 7; len -= 33) { /* whole and short */
		snprintf(path, sizeof(path), "/api/v1/projects/shop/commits/%.*s", len, id);
		assert_int_equal(call("good", "GET", path, NULL, &n), 200);
		assert_str(doc_get_str(n, "id"), id);
		assert_str(doc_get_str(n, "subject"), "second");
		assert_str(doc_get_str(n, "message"), "second\n\nwhy\n");
		assert_int_equal(doc_len(doc_get(n, "parents")), 1);
		assert_int_equal(doc_len(doc_get(n, "files")), 2);
		assert_str(doc_get_str(doc_at(doc_get(n, "files"), 0), "status"), "M");
		assert_str(doc_get_str(doc_at(doc_get(n, "files"), 1), "path"), "g");
	}
	assert_int_equal(call("good", "GET", "/api/v1/projects/shop/commits/main", NULL, &n), 400);
	assert_int_equal(call("good", "GET", "/api/v1/projects/shop/commits/abc", NULL, &n), 400);
	assert_int_equal(call("good", "GET", "/api/v1/projects/shop/commits/1111111111111111111111111111111111111111", NULL, &n), 404);
}

static void test_files(void **s UNUSED)
{
	struct doc_node *n;

	assert_sh(begin);
	assert_sh("set -e; cd w; mkdir d; printf '{\"a\":1}' >d/x.json; printf '\\377\\0' >bin; head -c 1048577 /dev/zero >large; git add .; git commit -qm files; git push -q origin main");
	assert_int_equal(call("good", "GET", "/api/v1/projects/shop/file?path=d%2Fx.json", NULL, &n), 200);
	assert_int_equal(doc_get_int(n, "a", 0), 1);
	assert_int_equal(call("good", "GET", "/api/v1/projects/shop/file?ref=main&path=d/x.json", NULL, NULL), 200);
	assert_int_equal(call("good", "GET", "/api/v1/projects/shop/file?ref=main~1&path=d/x.json", NULL, NULL), 404);
	assert_int_equal(call("good", "GET", "/api/v1/projects/shop/file?ref=main&path=bin", NULL, NULL), 200);
	assert_int_equal(call("good", "GET", "/api/v1/projects/shop/file?ref=main&path=large", NULL, NULL), 413);
	assert_int_equal(call("good", "GET", "/api/v1/projects/shop/file?ref=main&path=../../../etc/passwd", NULL, NULL), 404);
	assert_int_equal(call("good", "GET", "/api/v1/projects/shop/file?ref=none&path=f", NULL, NULL), 404);
	assert_int_equal(call("good", "GET", "/api/v1/projects/shop/file?ref=main", NULL, NULL), 400);
	assert_sh("curl -s -D h -o /dev/null \"$URL/api/v1/projects/shop/file?path=d/x.json\"; grep -qi 'content-type: text/plain' h; grep -qi 'nosniff' h");
	assert_sh("curl -s -D h -o b \"$URL/api/v1/projects/shop/file?path=bin\"; grep -qi 'content-type: application/octet-stream' h; cmp b w/bin");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, begin_api, end_api)
		T(test_projects), T(test_scopes), T(test_changes), T(test_commits_and_refs), T(test_files),
	};

	ROOM_BEGIN();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
