/* test_cgi.c - git as a program that misbehaves: a script named git in front of the PATH stands in for it. */
#include "room.h"

#include "net/client.h"

static char old_path[4096];

static void fake_git(const char *script)
{
	struct err e = { 0 };
	char       folder[100], file[120], path[4300];
	char       text[2000];

	snprintf(folder, sizeof(folder), "%s/fake", dir);
	snprintf(file, sizeof(file), "%s/git", folder);
	assert_ok(fs_mkdirs(folder, 0755, &e), &e);
	snprintf(text, sizeof(text), "#!/bin/bash\n%s", script);
	assert_ok(fs_write_quick(file, str_z(text), 0755, &e), &e);
	snprintf(old_path, sizeof(old_path), "%s", getenv("PATH"));
	snprintf(path, sizeof(path), "%s:%s", folder, old_path);
	setenv("PATH", path, 1);
}

static int fake_end(void **s)
{
	if (old_path[0])
		setenv("PATH", old_path, 1);
	old_path[0] = 0;
	return teardown(s);
}

/* POST of `n` bytes to git-upload-pack; the status, 0 when the connection broke. */
static int post(size_t n, struct buf *out)
{
	CLEANUP_BUF struct buf body = BUF_INIT(64 << 20);
	struct http_client    *c;
	struct http_call       call = HTTP_CALL_INIT;
	struct err             e = { 0 };
	char                   base[64];
	char                  *room = buf_reserve(&body, n);

	memset(room, 'x', n);
	body.len = n;
	snprintf(base, sizeof(base), "http://127.0.0.1:%u", http_server_port(http));
	assert_ok(http_client_new(base, "good", &c, &e), &e);
	call.method = "POST";
	call.path = "/git/shop.git/git-upload-pack";
	call.content_type = "application/x-git-upload-pack-request";
	call.body = buf_str(&body);
	call.out = out;
	if (http_call(c, &call, &e))
		call.status = 0;
	http_client_free(c);
	return call.status;
}

static const char headers[] = "printf 'Status: 200 OK\\r\\nContent-Type: application/x-test\\r\\n\\r\\n'; ";

static void test_writes_before_it_reads(void **s UNUSED)
{
	CLEANUP_BUF struct buf out = BUF_INIT(16 << 20);
	char                   script[300];

	/* more than two pipes hold, in both directions */
	snprintf(script, sizeof(script), "%s head -c 1000000 /dev/zero; wc -c", headers);
	fake_git(script);
	assert_int_equal(post(3000000, &out), 200);
	assert_int_equal(out.len, 1000000 + strlen("3000000\n"));
	assert_string_equal(out.ptr + 1000000, "3000000\n");
}

static void test_too_much_before_it_reads(void **s UNUSED)
{
	CLEANUP_BUF struct buf out = BUF_INIT(16 << 20);
	char                   script[300];

	snprintf(script, sizeof(script), "%s head -c 20000000 /dev/zero; wc -c", headers);
	fake_git(script);
	assert_int_equal(post(3000000, &out), 413);
}

static void test_reads_nothing(void **s UNUSED)
{
	CLEANUP_BUF struct buf out = BUF_INIT(16 << 20);
	char                   script[300];

	snprintf(script, sizeof(script), "%s exec 0<&-; echo early", headers);
	fake_git(script);
	assert_int_equal(post(3000000, &out), 200);
	assert_string_equal(buf_z(&out), "early\n");
}

static void test_status_is_handed_on(void **s UNUSED)
{
	CLEANUP_BUF struct buf out = BUF_INIT(1 << 20);

	fake_git("cat >/dev/null; printf 'Status: 415 Unsupported Media Type\\r\\nX-Test: a\\r\\n\\r\\nno'");
	assert_int_equal(post(10, &out), 415);
	assert_string_equal(buf_z(&out), "no");
}

static void test_broken_answers(void **s UNUSED)
{
	static const char *const scripts[] = {
		"cat >/dev/null",                                                 /* nothing */
		"cat >/dev/null; printf 'Status: 200 OK\\r\\n'",                  /* ends in the headers */
		"cat >/dev/null; printf 'no colon\\r\\n\\r\\n'",
		"cat >/dev/null; head -c 100000 /dev/zero | tr '\\0' x",          /* endless header */
		"exit 3",
		"kill -9 $$",
	};

	for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
		CLEANUP_BUF struct buf out = BUF_INIT(1 << 20);

		fake_git(scripts[i]);
		assert_int_equal(post(10, &out), 500);
		assert_non_null(strstr(buf_z(&out), "internal error"));
		setenv("PATH", old_path, 1);
	}
}

/* The environment that git gets is a closed list: nothing of the server's own reaches it. */
static void test_environment_is_closed(void **s UNUSED)
{
	CLEANUP_BUF struct buf out = BUF_INIT(1 << 20);
	char                   script[300];

	setenv("WEIR_TEST_SECRET", "s3cret", 1);
	snprintf(script, sizeof(script), "cat >/dev/null; %s env", headers);
	fake_git(script);
	assert_int_equal(post(10, &out), 200);
	assert_null(strstr(buf_z(&out), "s3cret"));
	assert_non_null(strstr(buf_z(&out), "GIT_CONFIG_KEY_0=safe.directory"));
	assert_null(strstr(buf_z(&out), "WEIR_PUSH")); /* a fetch starts no hooks */
	unsetenv("WEIR_TEST_SECRET");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_end)
		T(test_writes_before_it_reads), T(test_too_much_before_it_reads), T(test_reads_nothing), T(test_status_is_handed_on),
		T(test_broken_answers), T(test_environment_is_closed),
	};

	ROOM_BEGIN();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
