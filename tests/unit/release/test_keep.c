/* test_keep.c - which versions and logs go, and that none goes that something could want. */
#include "lib/test.h"

#include "release/room.inc.h"

#include <sys/stat.h>

enum { VERSIONS = 8 };
static char digest[VERSIONS][ARTIFACT_DIGEST_SIZE]; /* by number, from 1 */

/* Stores files that no other version has. */
static void upload(unsigned n)
{
	struct buf CLEANUP_BUF app = BUF_INIT(1 << 16);
	char   path[200];
	size_t files;
	int    fd;

	snprintf(path, sizeof(path), "%s/app.py", fx.repo);
	FX_OK(fs_read(TEST_APP, &app, &fx_err));
	buf_addf(&app, "# %u\n", n);
	FX_OK(fs_write_quick(path, buf_str(&app), 0644, &fx_err));
	fd = open(fx.bundle, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	FX_OK(artifact_pack(fx.repo, STR("app.py"), fd, &files, &fx_err));
	close(fd);
	fx_upload();
	memcpy(digest[n], fx.digest, sizeof(digest[n]));
}

static void path_of(unsigned n, bool unpacked, char out[300])
{
	if (unpacked)
		snprintf(out, 300, "%s/versions/%s", fx.data, digest[n]);
	else
		snprintf(out, 300, "%s/artifacts/sha256/%.2s/%s.tar.zst", fx.data, digest[n], digest[n]);
}

static bool is_there(unsigned n, bool unpacked)
{
	char path[300];

	path_of(n, unpacked, path);
	return fs_exists(path);
}

static void make_older(const char *path, int64_t seconds)
{
	struct timespec at[2] = { { .tv_sec = time(NULL) - seconds }, { .tv_sec = time(NULL) - seconds } };

	assert_int_equal(utimensat(AT_FDCWD, path, at, 0), 0);
}

static void make_version_old(unsigned n)
{
	char path[300];

	for (int unpacked = 0; unpacked < 2; unpacked++) {
		path_of(n, unpacked, path);
		if (fs_exists(path))
			make_older(path, 2 * 86400);
	}
}

static struct release_tidied tidy(void)
{
	struct release_tidied done;

	FX_OK(release_tidy(fx.room, &done, &fx_err));
	return done;
}

/* Releases version n; it becomes the stable one, or is aborted in its canary. */
static void release(unsigned n, bool good)
{
	char env[40], id[ID_SIZE];

	upload(n);
	snprintf(env, sizeof(env), "VERSION: v%u", n);
	assert_int_equal(fx_release(fx_yaml(env, ""), "production", id), 201);
	if (n > 1) {
		WAIT_FOR(fx_state_is(id, "canary"));
		if (good) {
			assert_int_equal(fx_act(id, "promote"), 200);
			assert_int_equal(fx_act(id, "promote"), 200);
		} else {
			assert_int_equal(fx_act(id, "abort"), 200);
		}
	}
	WAIT_FOR(fx_over(id));
	assert_true(fx_state_is(id, good ? "finished" : "aborted"));
}

static bool serves(const char *version)
{
	char answer[2000], body[100];

	snprintf(body, sizeof(body), "\r\n\r\n%s\n", version);
	return helper_get(release_http_port(fx.room), "shop.localhost", "/", answer, sizeof(answer)) == 200 && strstr(answer, body);
}

static bool any_instance_folder_of_ended(void)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(4 << 20);
	struct doc_node *n;

	fx_call("GET", "/api/v1/services", STR_NULL, &a, &n);
	return !str_eqz(doc_get_str(doc_at(doc_get(n, "services"), 0), "state"), "live");
}

/* 1, 2, 3 went live one after the other, 4, 5, 6 were aborted: 3 serves, 2 is where a rollback goes, 5 and 6 are the newest two. */
static void test_what_nothing_could_want_goes(void **s UNUSED)
{
	struct release_tidied done;

	for (unsigned n = 1; n <= 6; n++)
		release(n, n <= 3);
	WAIT_FOR(!any_instance_folder_of_ended());
	clock_sleep_ms(3000); /* the instances of those that are over go, and with them their rows */
	done = tidy();
	assert_int_equal(done.versions, 0); /* nothing is older than a day */
	for (unsigned n = 1; n <= 6; n++)
		make_version_old(n);
	done = tidy();
	for (unsigned n = 1; n <= 6; n++)
		if (is_there(n, false) != (n != 1 && n != 4) || is_there(n, true) != (n != 1 && n != 4))
			fail_msg("version %u is %sthere", n, is_there(n, false) || is_there(n, true) ? "" : "not ");
	assert_int_equal(done.versions, 2);
	assert_true(done.version_bytes > 0);
	done = tidy();
	assert_int_equal(done.versions, 0);
}

static void test_a_removed_version_must_be_uploaded_again(void **s UNUSED)
{
	char id[ID_SIZE];

	memcpy(fx.digest, digest[1], sizeof(fx.digest));
	assert_int_equal(fx_release(fx_yaml("VERSION: v1", ""), "production", id), 404);
}

static void test_a_rollback_finds_its_version_and_keeps_it(void **s UNUSED)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(4 << 20);
	struct doc_node *n;

	assert_int_equal(fx_call("POST", "/api/v1/projects/shop/rollback", STR("{\"environment\":\"production\"}"), &a, &n), 200);
	WAIT_FOR(serves("v2"));
	for (unsigned i = 2; i <= 6; i++)
		make_version_old(i);
	WAIT_FOR((tidy(), !is_there(3, false) && !is_there(3, true))); /* once its instance is gone */
	assert_true(is_there(2, false) && is_there(2, true)); /* it serves */
	assert_true(serves("v2"));
}

/* The archive is renamed away first: a kill after that leaves a folder without one. */
static void test_what_a_crash_left_goes(void **s UNUSED)
{
	char path[300];

	upload(7);
	assert_int_equal(tidy().versions, 0); /* just uploaded: its release may come yet */
	make_version_old(7);
	path_of(7, true, path);
	FX_OK(fs_mkdirs(path, 0755, &fx_err));
	make_older(path, 2 * 86400);
	path_of(7, false, path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(tidy().versions, 1);
	assert_false(is_there(7, true));
	snprintf(path, sizeof(path), "%s/versions/.01HALFGONE/sub", fx.data);
	FX_OK(fs_mkdirs(path, 0755, &fx_err));
	fx_room_close();
	fx_room_open();
	assert_false(fs_exists(path));
	assert_true(serves("v2"));
}

static void make_log(const char *name, size_t bytes, int64_t age_s, char path[300])
{
	char                   file[320];
	struct buf CLEANUP_BUF text = BUF_INIT(4 << 20);

	for (size_t i = 0; i < bytes; i++)
		buf_addc(&text, 'x');
	snprintf(path, 300, "%s/logs/%s", fx.data, name);
	FX_OK(fs_mkdirs(path, 0700, &fx_err));
	snprintf(file, sizeof(file), "%s/current", path);
	FX_OK(fs_write_quick(file, buf_str(&text), 0644, &fx_err));
	make_older(file, age_s);
}

static int older_file(const char *path)
{
	const char     *argv[] = { "sh", "-c", "touch -d '40 days ago' \"$0\"/shop.production.*/*", path, NULL };
	struct proc_run run = { .argv = argv, .timeout_ms = 20000 };

	return proc_run(&run, NULL, &fx_err);
}

static void test_logs_go_by_age_and_size_but_never_of_what_runs(void **s UNUSED)
{
	struct release_tidied done;
	char                  old[300], young[300], big[300], bigger[300], logs[200];
	const char           *argv[] = { "sh", "-c", "ls -d \"$0\"/shop.production.* | wc -l", logs, NULL };
	struct buf CLEANUP_BUF out = BUF_INIT(100);
	struct proc_run       run = { .argv = argv, .timeout_ms = 20000, .out = &out };

	snprintf(logs, sizeof(logs), "%s/logs", fx.data);
	FX_OK(older_file(logs)); /* all of them, also those of what runs */
	make_log("shop.production.old.0", 100, 31 * 86400, old);
	make_log("shop.production.young.0", 100, 29 * 86400, young);
	done = tidy();
	assert_true(done.logs >= 2 && done.log_bytes >= 100);
	assert_false(fs_exists(old));
	assert_true(fs_exists(young));
	FX_OK(proc_run(&run, NULL, &fx_err));
	assert_string_equal(buf_z(&out), "2\n"); /* of the instance that serves, and the young one */
	make_log("shop.production.big.0", 700000, 3 * 86400, big);
	make_log("shop.production.bigger.0", 800000, 7200, bigger);
	done = tidy(); /* a megabyte together: the oldest go until it fits */
	assert_false(fs_exists(young) || fs_exists(big));
	assert_true(fs_exists(bigger));
	assert_int_equal(done.logs, 2);
	assert_true(serves("v2"));
}

static int setup(void **s)
{
	fx_keep_versions = 2;
	fx_keep_logs_bytes = 1000000;
	return fx_setup(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_nothing_could_want_goes),
		cmocka_unit_test(test_a_removed_version_must_be_uploaded_again),
		cmocka_unit_test(test_a_rollback_finds_its_version_and_keeps_it),
		cmocka_unit_test(test_what_a_crash_left_goes),
		cmocka_unit_test(test_logs_go_by_age_and_size_but_never_of_what_runs),
	};

	base_init();
	return cmocka_run_group_tests(tests, setup, fx_teardown);
}
