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

static const char *const             sizes[] = { "small", "large", NULL };
static const struct http_query_param some_query[] = {
	{ .name = "limit", .kind = QUERY_INT, .min = 1, .max = 200 },  { .name = "after", .kind = QUERY_INT, .max = INT64_MAX },
	{ .name = "size", .kind = QUERY_WORD, .words = sizes },        { .name = "path", .doc = "of the file" },
	{ 0 },
};
static const struct http_query_param needing_query[] = { { .name = "path", .required = true, .doc = "of the file" }, { 0 } };

/* `want`: "name=value ..." as handlers would read them, or the refusal behind a '!'. */
static void check_query(const struct http_query_param *list, const char *raw, const char *want)
{
	struct fixture     f;
	struct http_route  r = route("GET", "/a");
	struct route_match m;
	struct err         e = { 0 };
	struct buf seen    CLEANUP_BUF = BUF_INIT(4096);

	setup(&f);
	r.query = list;
	assert_ok(router_add(f.r, &r, NULL, &e), &e);
	m = match(&f, "GET", "/a");
	if (router_query(&m, str_z(raw), &f.a, &e)) {
		assert_int_equal(e.code, WEIR_EINVAL);
		buf_addf(&seen, "!%s", e.msg);
	}
	for (size_t i = 0; !e.code && i < m.n_query; i++)
		buf_addf(&seen, "%s%.*s=%.*s", i ? " " : "", STR_ARG(m.query[i].name), STR_ARG(m.query[i].value));
	if (!str_eqz(buf_str(&seen), want))
		fail_msg("?%s: expected %s, seen %s", raw, want, buf_z(&seen));
	done(&f);
}

static void test_query(void **s UNUSED)
{
	check_query(some_query, "", "");
	check_query(http_any_query, "x=1&x=2&%zz", ""); /* the handler's business */
	check_query(NULL, "x=1", "!unknown query name 'x': this address takes no query");
	check_query(some_query, "limit=200&path=a%2Fb+c&size=large", "limit=200 path=a/b c size=large");
	check_query(some_query, "path", "path=");
	check_query(some_query, "p%61th=x=y", "path=x=y");
	check_query(some_query, "after=9223372036854775807", "after=9223372036854775807");
	check_query(some_query, "limt=1", "!unknown query name 'limt' (did you mean 'limit'?)");
	check_query(some_query, "Limit=1", "!unknown query name 'Limit' (did you mean 'limit'?)");
	check_query(some_query, "limit[]=1", "!unknown query name 'limit[]' (did you mean 'limit'?)");
	check_query(some_query, "colour=s3cret", "!unknown query name 'colour'; known here: limit, after, size, path");
	check_query(NULL, "colour=s3cret", "!unknown query name 'colour': this address takes no query");
	check_query(some_query, "path=a&path=a", "!query 'path' stands twice");
	check_query(some_query, "path=a&p%61th=b", "!query 'path' stands twice");
	check_query(some_query, "path=a;limit=2", "path=a;limit=2"); /* only '&' divides */
	check_query(some_query, "path=a&", "!the query holds an empty name");
	check_query(some_query, "&", "!the query holds an empty name");
	check_query(some_query, "=a", "!the query holds an empty name");
	static const char *const bad_numbers[] = { "0", "201", "", "-1", "+5", "5x", " 5", "0x5", "99999999999999999999" };
	for (size_t i = 0; i < ARRAY_SIZE(bad_numbers); i++) {
		char raw[64];

		snprintf(raw, sizeof(raw), "limit=%s", bad_numbers[i]);
		check_query(some_query, raw, "!query 'limit' must be a whole number from 1 to 200");
	}
	check_query(some_query, "limit", "!query 'limit' must be a whole number from 1 to 200");
	check_query(some_query, "after=9223372036854775808", "!query 'after' must be a whole number from 0 on");
	check_query(some_query, "size=medium", "!query 'size' must be one of: small, large");
	check_query(some_query, "size=", "!query 'size' must be one of: small, large");
	check_query(some_query, "path=%zz", "!query 'path' has a bad escape, a NUL or bytes that are not UTF-8");
	check_query(some_query, "path=a%00b", "!query 'path' has a bad escape, a NUL or bytes that are not UTF-8");
	check_query(some_query, "path=%ff", "!query 'path' has a bad escape, a NUL or bytes that are not UTF-8");
	check_query(some_query, "pa%ffth=x", "!a name in the query has a bad escape, a NUL or bytes that are not UTF-8");
	check_query(some_query, "path%00=x", "!a name in the query has a bad escape, a NUL or bytes that are not UTF-8");
	check_query(needing_query, "", "!query 'path' is missing: of the file");
	check_query(needing_query, "path=x", "path=x");
}

static void test_impossible_queries(void **s UNUSED)
{
	static const char *const none[] = { NULL };
	struct http_query_param  lists[][ROUTE_QUERY_MAX + 2] = {
        { { .name = "a", .kind = QUERY_INT, .min = 2, .max = 1 } },
        { { .name = "a", .kind = QUERY_WORD } },
        { { .name = "a", .kind = QUERY_WORD, .words = none } },
        { { .name = "a" }, { .name = "a" } },
        { { .name = "a" }, { .name = "b" }, { .name = "c" }, { .name = "d" }, { .name = "e" }, { .name = "f" }, { .name = "g" }, { .name = "h" }, { .name = "i" } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		struct fixture    f;
		struct http_route r = route("GET", "/a");

		setup(&f);
		r.query = lists[i];
		assert_err(router_add(f.r, &r, NULL, NULL), WEIR_EINVAL);
		done(&f);
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

/* A tail that names what users name may hold anything that a name may; what stands before it may not. */
static void test_any_tail(void **s UNUSED)
{
	struct fixture     f;
	struct route_match m;

	setup(&f);
	assert_int_equal(add(&f, "GET", "/flags/:set/*key"), 0);
	f.list[0].any_tail = true;
	assert_str(match(&f, "GET", "/flags/a/x%5cy").params[1].value, "x\\y");
	assert_str(match(&f, "GET", "/flags/a/b/../%0a").params[1].value, "b/../\n");
	assert_int_equal(router_match(f.r, STR("GET"), STR("/flags/../x"), &f.a, &m, NULL), -WEIR_EINVAL);
	assert_int_equal(router_match(f.r, STR("GET"), STR("/fl%5cags/a/x"), &f.a, &m, NULL), -WEIR_EINVAL);
	assert_int_equal(router_match(f.r, STR("GET"), STR("/flags/a/%ff"), &f.a, &m, NULL), -WEIR_EINVAL);
	assert_int_equal(router_match(f.r, STR("GET"), STR("/flags/a/%zz"), &f.a, &m, NULL), -WEIR_EINVAL);
	done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_match), cmocka_unit_test(test_conflicts), cmocka_unit_test(test_query), cmocka_unit_test(test_impossible_queries), cmocka_unit_test(test_bad_patterns),
		                                cmocka_unit_test(test_hostile_paths), cmocka_unit_test(test_any_tail) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
