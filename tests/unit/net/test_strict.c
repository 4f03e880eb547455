/* Rules behind the parser, on slices alone; the raw octets are in the conformance suite. */
#include "lib/test.h"
#include "net/strict.h"

static int check(const char *method, const char *target, const char *version, const struct strict_header *h, size_t n, struct strict_result *ret)
{
	struct strict_request q = { .method = str_z(method), .target = str_z(target), .version = str_z(version), .headers = h, .n_headers = n };
	struct err            e = { 0 };
	int                   r = strict_check(&q, ret, &e);

	assert_true(!r == !e.code); /* a refusal always says why */
	return r;
}

static void test_targets(void **s UNUSED)
{
	static const struct strict_header host[] = { { { "Host", 4 }, { "a.test:80", 9 } } };
	struct strict_result              r;

	assert_int_equal(check("GET", "/a?b?c", "HTTP/1.1", host, 1, &r), 0);
	assert_str(r.path, "/a");
	assert_str(r.query, "b?c");
	assert_str(r.authority, "a.test:80");
	assert_int_equal(check("GET", "http://b.test?x", "HTTP/1.1", host, 1, &r), 400); /* '?' without a path: not an authority */
	assert_int_equal(check("GET", "HTTP://b.test", "HTTP/1.1", host, 1, &r), 0);
	assert_str(r.path, "/");
	assert_str(r.authority, "b.test");
	assert_int_equal(check("GET", "http://u@b.test/", "HTTP/1.1", host, 1, &r), 400);
	assert_int_equal(check("GET", "ftp://b.test/", "HTTP/1.1", host, 1, &r), 400);
	assert_int_equal(check("GET", "", "HTTP/1.1", host, 1, &r), 400);
	assert_int_equal(check("OPTIONS", "*", "HTTP/1.1", host, 1, &r), 0);
	assert_int_equal(check("GET", "*", "HTTP/1.1", host, 1, &r), 400);
	assert_int_equal(check("CONNECT", "a.test:1", "HTTP/1.1", host, 1, &r), 501);
	assert_int_equal(check("G ET", "/", "HTTP/1.1", host, 1, &r), 400);
	assert_int_equal(check("GET", "/\x80", "HTTP/1.1", host, 1, &r), 400);
	assert_int_equal(check("GET", "/", "HTTP/1.10", host, 1, &r), 400);
	assert_int_equal(check("GET", "/", "HTTP/2.0", host, 1, &r), 505);
	assert_int_equal(check("GET", "/", "HTTP/1.1", NULL, 0, &r), 400);
	assert_int_equal(check("GET", "/", "HTTP/1.0", NULL, 0, &r), 0);
}

static void test_framing(void **s UNUSED)
{
#define H(n, v) { { n, sizeof(n) - 1 }, { v, sizeof(v) - 1 } }
	static const struct {
		struct strict_header h[3];
		size_t               n;
		int                  want;
	} cases[] = {
		{ { H("Host", "a"), H("Content-Length", "5") }, 2, 0 },
		{ { H("Host", "a"), H("Content-Length", "5"), H("content-length", "5") }, 3, 400 },
		{ { H("Host", "a"), H("Content-Length", "") }, 2, 400 },
		{ { H("Host", "a"), H("Content-Length", "99999999999999999999") }, 2, 413 },
		{ { H("Host", "a"), H("Transfer-Encoding", "Chunked") }, 2, 0 },
		{ { H("Host", "a"), H("Transfer-Encoding", "") }, 2, 400 },
		{ { H("Host", "a"), H("Transfer-Encoding", "gzip") }, 2, 501 },
		{ { H("Host", "a"), H("Transfer-Encoding", "chunked"), H("Content-Length", "1") }, 3, 400 },
		{ { H("Host", "a"), H("host", "a") }, 2, 400 },
		{ { H("Host", "a"), H("", "x") }, 2, 400 },
		{ { H("Host", "a"), H("X A", "x") }, 2, 400 },
		{ { H("Host", "a"), H("X", "a\tb\xe9") }, 2, 0 },
		{ { H("Host", "a"), H("X", "a\x0b") }, 2, 400 },
	};
	struct strict_result r;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (check("POST", "/", "HTTP/1.1", cases[i].h, cases[i].n, &r) != cases[i].want)
			fail_msg("case %zu", i);
}

static void test_authority(void **s UNUSED)
{
	static const char *const good[] = { "a", "a.test", "a.test:", "a.test:8080", "127.0.0.1:1", "[::1]", "[::1]:8080", "xn--a_b.test" };
	static const char *const bad[] = { "", ":80", "a b", "a,b", "a/b", "u@a", "a:8x", "a:123456", "[::1", "[]", "[x]:1", "[::1]x", "a:1:2" };

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		if (!strict_authority_valid(str_z(good[i])))
			fail_msg("'%s' was refused", good[i]);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (strict_authority_valid(str_z(bad[i])))
			fail_msg("'%s' was taken", bad[i]);
}

static void test_chunk_lines(void **s UNUSED)
{
	static const char good[] = "5\r\nhello\r\n3;x=1\r\nabc", bare[] = "5\r\nhello\n3\r\nabc", first[] = "\n3\r\n";

	assert_true(strict_chunk_lines(good, good, good + 3));
	assert_true(strict_chunk_lines(good, good + 8, good + 17));
	assert_false(strict_chunk_lines(bare, bare + 8, bare + 12));
	assert_false(strict_chunk_lines(first, first, first + 4));
	assert_true(strict_chunk_lines(good, good + 2, good + 3)); /* begins in the middle of CR LF */
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_targets), cmocka_unit_test(test_framing), cmocka_unit_test(test_authority),
		                                cmocka_unit_test(test_chunk_lines) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
