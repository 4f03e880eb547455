#include "lib/test.h"

#include "base/fs.h"
#include "base/hash.h"
#include "base/limits.h"
#include "release/artifact.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static char       dir[64], data[80], src[80];
static struct err e;

static int setup(void **s UNUSED)
{
	assert_ok(fs_temp_dir("weir-art-", dir, sizeof(dir), &e), &e);
	snprintf(data, sizeof(data), "%s/d", dir);
	snprintf(src, sizeof(src), "%s/s", dir);
	assert_ok(artifact_open(data, &e), &e);
	return 0;
}

static int teardown(void **s UNUSED)
{
	assert_ok(fs_remove_tree(dir, &e), &e);
	return 0;
}

static void put_file(const char *name, const char *text, mode_t mode)
{
	char path[300], *slash;

	snprintf(path, sizeof(path), "%s/%s", src, name);
	slash = strrchr(path, '/');
	*slash = 0;
	assert_ok(fs_mkdirs(path, 0755, &e), &e);
	*slash = '/';
	assert_ok(fs_write_quick(path, str_z(text), mode, &e), &e);
}

static void store(str bytes, char digest[ARTIFACT_DIGEST_SIZE])
{
	struct artifact_put *p;
	int64_t              n;

	assert_ok(artifact_put_begin(data, &p, &e), &e);
	assert_ok(artifact_put_add(p, bytes, &e), &e);
	assert_ok(artifact_put_end(p, digest, &n, &e), &e);
	artifact_put_free(p);
	assert_int_equal(n, bytes.len);
}

static void pack(const char *patterns, struct buf *out, size_t want)
{
	char   path[100];
	size_t n = 0;
	int    fd;

	snprintf(path, sizeof(path), "%s/pack", dir);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_ok(artifact_pack(src, str_z(patterns), fd, &n, &e), &e);
	close(fd);
	assert_int_equal(n, want);
	buf_clear(out);
	assert_ok(fs_read(path, out, &e), &e);
}

static bool unpacked_has(const char *digest, const char *name)
{
	char path[500];

	snprintf(path, sizeof(path), "%s/versions/%s/%s", data, digest, name);
	return access(path, F_OK) == 0;
}

static void test_packed_stored_unpacked(void **s UNUSED)
{
	struct buf CLEANUP_BUF one = BUF_INIT(1 << 20), two = BUF_INIT(1 << 20);
	char        digest[ARTIFACT_DIGEST_SIZE], again[ARTIFACT_DIGEST_SIZE], got[500], path[600];
	struct stat st;

	put_file("app.py", "print(1)\n", 0644);
	put_file("bin/tool", "#!/bin/sh\n", 0755);
	put_file("bin/deep/x", "x", 0600);
	put_file(".git/config", "secret", 0600);
	put_file("notes.txt", "n", 0644);
	snprintf(path, sizeof(path), "%s/link", src);
	assert_int_equal(symlink("bin/tool", path), 0);
	pack(".", &one, 5);
	usleep(20000);
	put_file("app.py", "print(1)\n", 0640); /* the same files, touched */
	pack("./\n", &two, 5);
	assert_int_equal(str_cmp(buf_str(&one), buf_str(&two)), 0);
	store(buf_str(&one), digest);
	store(buf_str(&two), again);
	assert_string_equal(digest, again);
	assert_int_equal(artifact_bytes(data, digest), one.len);
	assert_ok(artifact_unpack(data, digest, got, sizeof(got), &e), &e);
	assert_ok(artifact_unpack(data, digest, got, sizeof(got), &e), &e);
	assert_true(unpacked_has(digest, "app.py") && unpacked_has(digest, "link") && unpacked_has(digest, "bin/deep/x"));
	assert_false(unpacked_has(digest, ".git"));
	snprintf(path, sizeof(path), "%s/bin/tool", got);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0555);
}

static void test_patterns(void **s UNUSED)
{
	struct buf CLEANUP_BUF b = BUF_INIT(1 << 20);
	size_t n;

	pack("app.py", &b, 1);
	pack("bin/", &b, 2);
	pack("*.py\n*.txt", &b, 2);
	pack("bin/*", &b, 2); /* deep is a folder: all below it */
	assert_err(artifact_pack(src, STR("app.py\nnothing"), -1, &n, &e), WEIR_ENOENT);
	assert_non_null(strstr(e.msg, "'nothing'"));
	assert_err(artifact_pack(src, STR("../d"), -1, &n, &e), WEIR_EINVAL);
	assert_err(artifact_pack(src, STR("/etc/passwd"), -1, &n, &e), WEIR_EINVAL);
	assert_err(artifact_pack(src, STR("a/../../x"), -1, &n, &e), WEIR_EINVAL);
	assert_err(artifact_pack(src, STR(" \n"), -1, &n, &e), WEIR_EINVAL);
}

/* An archive with one entry besides a harmless one. */
static void forge(const char *name, int type, const char *link, const char *hardlink, char digest[ARTIFACT_DIGEST_SIZE])
{
	static char           mem[1 << 20];
	size_t                used = 0;
	struct archive       *a = archive_write_new();
	struct archive_entry *x = archive_entry_new();

	archive_write_set_format_pax_restricted(a);
	archive_write_add_filter_zstd(a);
	archive_write_open_memory(a, mem, sizeof(mem), &used);
	archive_entry_set_pathname(x, "sub/ok");
	archive_entry_set_filetype(x, AE_IFREG);
	archive_entry_set_perm(x, 0644);
	archive_entry_set_size(x, 0);
	archive_write_header(a, x);
	archive_entry_clear(x);
	archive_entry_set_pathname(x, name);
	archive_entry_set_filetype(x, (unsigned)type);
	archive_entry_set_perm(x, 06777);
	archive_entry_set_size(x, type == AE_IFREG && !hardlink ? 4 : 0);
	if (link)
		archive_entry_set_symlink(x, link);
	if (hardlink)
		archive_entry_set_hardlink(x, hardlink);
	archive_write_header(a, x);
	if (type == AE_IFREG && !hardlink)
		archive_write_data(a, "text", 4);
	archive_entry_free(x);
	assert_int_equal(archive_write_close(a), ARCHIVE_OK);
	archive_write_free(a);
	store(str_n(mem, used), digest);
}

static void test_hostile_archives_are_refused_whole(void **s UNUSED)
{
	static const struct {
		const char *name;
		int         type;
		const char *link, *hard;
	} table[] = {
		{ "/etc/x", AE_IFREG, NULL, NULL },      { "../x", AE_IFREG, NULL, NULL },          { "sub/../../x", AE_IFREG, NULL, NULL },
		{ "l", AE_IFLNK, "/etc", NULL },         { "l", AE_IFLNK, "..", NULL },             { "sub/l", AE_IFLNK, "../../x", NULL },
		{ "sub/l", AE_IFLNK, "a/../../../x", NULL }, { "dev", AE_IFCHR, NULL, NULL },      { "blk", AE_IFBLK, NULL, NULL },
		{ "pipe", AE_IFIFO, NULL, NULL },        { "h", AE_IFREG, NULL, "/etc/passwd" },    { "h", AE_IFREG, NULL, "sub/ok" },
		{ "sub/ok", AE_IFREG, NULL, NULL },      { "sub/ok/x", AE_IFREG, NULL, NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		char digest[ARTIFACT_DIGEST_SIZE], got[500];

		forge(table[i].name, table[i].type, table[i].link, table[i].hard, digest);
		if (artifact_unpack(data, digest, got, sizeof(got), &e) != -WEIR_EREFUSED)
			fail_msg("%s (%zu): %s", table[i].name, i, e.msg);
		assert_false(unpacked_has(digest, "sub/ok")); /* nothing of it stays */
	}
	{
		char digest[ARTIFACT_DIGEST_SIZE], got[500], path[600];
		struct stat st;

		forge("sub/deep/l", AE_IFLNK, "../../sub/ok", NULL, digest); /* up and down again, inside */
		assert_ok(artifact_unpack(data, digest, got, sizeof(got), &e), &e);
		forge("suid", AE_IFREG, NULL, NULL, digest);
		assert_ok(artifact_unpack(data, digest, got, sizeof(got), &e), &e);
		snprintf(path, sizeof(path), "%s/suid", got);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0555);
	}
}

static void test_what_is_no_archive_and_what_was_never_stored(void **s UNUSED)
{
	struct buf CLEANUP_BUF b = BUF_INIT(1 << 20);
	char digest[ARTIFACT_DIGEST_SIZE], got[500];

	store(STR("this is no archive"), digest);
	assert_err(artifact_unpack(data, digest, got, sizeof(got), &e), WEIR_EPARSE);
	pack(".", &b, 5);
	store(str_sub(buf_str(&b), 0, b.len / 2), digest);
	assert_err(artifact_unpack(data, digest, got, sizeof(got), &e), WEIR_EPARSE);
	assert_false(unpacked_has(digest, "."));
	memset(digest, 'a', 64);
	assert_err(artifact_unpack(data, digest, got, sizeof(got), &e), WEIR_ENOENT);
	assert_err(artifact_unpack(data, "../../x", got, sizeof(got), &e), WEIR_EINVAL);
	assert_err(artifact_unpack(data, "AAAA", got, sizeof(got), &e), WEIR_EINVAL);
}

static void test_a_crash_leaves_nothing_that_counts(void **s UNUSED)
{
	struct artifact_put *p;
	char                 path[200], digest[ARTIFACT_DIGEST_SIZE];
	int64_t              n;

	assert_ok(artifact_put_begin(data, &p, &e), &e);
	assert_err(artifact_put_end(p, digest, &n, &e), WEIR_EINVAL); /* empty */
	assert_ok(artifact_put_add(p, STR("half"), &e), &e);
	snprintf(path, sizeof(path), "%s/versions/.half", data);
	assert_ok(fs_mkdirs(path, 0755, &e), &e);
	assert_ok(artifact_open(data, &e), &e); /* the next start */
	assert_false(fs_exists(path));
	artifact_put_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packed_stored_unpacked),
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_hostile_archives_are_refused_whole),
		cmocka_unit_test(test_what_is_no_archive_and_what_was_never_stored),
		cmocka_unit_test(test_a_crash_leaves_nothing_that_counts),
	};

	base_init();
	return cmocka_run_group_tests(tests, setup, teardown);
}
