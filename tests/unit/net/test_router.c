/* Routes: patterns, conflicts, matching, decoding. Pure. */
#include "lib/test.h"
#include "net/router.h"

static int nothing(struct http_req *r UNUSED, void *ctx UNUSED, struct err *e UNUSED) { return 0; }

static struct http_route route(const char *method, const char *path)
{
	return (struct http_route){ method, path, HTTP_FAST, SCOPE_NONE, 0, nothing, "", NULL, NULL };
}

struct fixture {
	struct router    *r;
	struct http_route list[32];
	size_t            n;
	struct arena      a;
};

static int add(struct fixture *f, const char *method, const char *path)
{
	f->list[f->n] = route(method, path);
	return router_add(f->r, &f->list[f->n++], NULL, NULL);
}

static void setup(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	arena_init(&f->a, 1 << 20);
	assert_int_equal(router_new(&f->r, NULL), 0);
}
static void done(struct fixture *f)
{
	router_free(f->r);
	arena_fini(&f->a);
}

static struct route_match match(struct fixture *f, const char *method, const char *path)
{
	struct route_match m;
	struct err         e = { 0 };

	assert_ok(router_match(f->r, str_z(method), str_z(path), &f->a, &m, &e), &e);
	return m;
}

#define assert_route(m, want)                                             \
	do {                                                                  \
		struct route_match m_ = (m);                                      \
		assert_non_null(m_.entry);                                        \
		assert_string_equal(m_.entry->route->path, (want));               \
	} while (0)

static void test_match(void **s UNUSED)
{
	struct fixture f;

	setup(&f);
	assert_int_equal(add(&f, "GET", "/"), 0);
	assert_int_equal(add(&f, "GET", "/a/:name/b"), 0);
	assert_int_equal(add(&f, "POST", "/a/:name/b"), 0);
	assert_int_equal(add(&f, "GET", "/a/:n:int"), 0);
	assert_int_equal(add(&f, "GET", "/a/:i:id"), 0);
	assert_int_equal(add(&f, "GET", "/g/:project.git/*rest"), 0);
	assert_route(match(&f, "GET", "/"), "/");
	assert_route(match(&f, "HEAD", "/"), "/");
	assert_route(match(&f, "GET", "/a/x.y-z_1/b"), "/a/:name/b");
	assert_route(match(&f, "GET", "/a/17"), "/a/:n:int");
	assert_route(match(&f, "GET", "/a/01M86V2JG7S629QVPXK1NH0NJE"), "/a/:i:id");
	assert_null(match(&f, "GET", "/a/x").entry);
	assert_null(match(&f, "GET", "/a/1234567890123456789").entry);
	assert_null(match(&f, "GET", "/a/.x/b").entry);
	assert_null(match(&f, "GET", "/a/-x/b").entry);
	assert_null(match(&f, "GET", "/a//b").entry);
	assert_null(match(&f, "GET", "/a/x/b/").entry);
	struct route_match m = match(&f, "GET", "/g/shop.git/info/refs%20x");
	assert_route(m, "/g/:project.git/*rest");
	assert_str(m.params[0].value, "shop");
	assert_str(m.params[1].value, "info/refs x");
	assert_null(match(&f, "GET", "/g/shop.git").entry);
	assert_null(match(&f, "GET", "/g/.git/x").entry);
	m = match(&f, "PUT", "/a/x/b");
	assert_null(m.entry);
	assert_true(m.known);
	assert_string_equal(m.allow, "GET, HEAD, POST");
	done(&f);
}

static void test_conflicts(void **s UNUSED)
{
	static const struct {
		const char *one, *two;
		bool        conflict;
	} cases[] = {
		{ "/a/:x", "/a/:y", true },       { "/a/:x", "/a/new", true },        { "/a/:x:int", "/a/new", false },
		{ "/a/:x:int", "/a/12", true },   { "/a/:x:int", "/a/:y:id", false }, { "/a/:x:int", "/a/:y", true },
		{ "/a/*rest", "/a/b", true },     { "/a/*rest", "/a", false },        { "/a/*rest", "/b/c", false },
		{ "/*rest", "/", true },          { "/a/:x/b", "/a/:y/c", false },    { "/a/:x", "/a/:x/b", false },
		{ "/a/:x.git", "/a/:y", true },   { "/a/:x.git", "/a/:y.zip", false }, { "/a/:x:id", "/a/0123", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (int turn = 0; turn < 2; turn++) {
			struct fixture f;

			setup(&f);
			assert_int_equal(add(&f, "GET", turn ? cases[i].two : cases[i].one), 0);
			int r = add(&f, "GET", turn ? cases[i].one : cases[i].two);
			if (r != (cases[i].conflict ? -WEIR_ECONFLICT : 0))
				fail_msg("%s and %s: %d", cases[i].one, cases[i].two, r);
			assert_int_equal(add(&f, "POST", cases[i].two), 0); /* another method never conflicts */
			done(&f);
		}
	}
}

static void test_bad_patterns(void **s UNUSED)
{
	static const char *const bad[] = { "", "a", "/*rest/x", "/*", "/:", "/:x:float", "/:x-y", "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17",
		                               "/:a/:b/:c/:d/:e/:f/:g/:h/:i" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct fixture f;

		setup(&f);
		if (add(&f, "GET", bad[i]) != -WEIR_EINVAL)
			fail_msg("pattern '%s' was taken", bad[i]);
		done(&f);
	}
}

static void test_hostile_paths(void **s UNUSED)
{
	static const char *const bad[] = { "", "x", "/..", "/a/../b", "/a/./b", "/a/%2e%2e/b", "/a/%2e%2e%2fb", "/a/x%2f..%2fy", "/%00", "/a%0a", "/a%7f",
		                               "/a%", "/a%2", "/a%zz", "/%ff", "/%c3%28", "/a%5cb" };
	struct fixture    f;
	struct route_match m;

	setup(&f);
	assert_int_equal(add(&f, "GET", "/*rest"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (router_match(f.r, STR("GET"), str_z(bad[i]), &f.a, &m, NULL) != -WEIR_EINVAL)
			fail_msg("path '%s' was taken", bad[i]);
	assert_str(match(&f, "GET", "/%252e%252e/x").params[0].value, "%2e%2e/x"); /* decoded once */
	assert_str(match(&f, "GET", "/a+b/%41%c3%a9").params[0].value, "a+b/Aé");
	char deep[400] = "";
	for (int i = 0; i < 100; i++)
		memcpy(deep + 2 * i, "/x", 3);
	assert_non_null(match(&f, "GET", deep).entry);
	done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_match), cmocka_unit_test(test_conflicts), cmocka_unit_test(test_bad_patterns),
		                                cmocka_unit_test(test_hostile_paths) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
