/* Judging one candidate: entropy, checksums, placeholders, fingerprints, what is shown. */
#include "gate/credentials/cred-internal.h"

#include "lib/test.h"

#include "base/hash.h"

#include <zlib.h>

static void test_entropy(void **s UNUSED)
{
	assert_true(cred_entropy(STR("aaaa")) < 0.001);
	assert_true(cred_entropy(STR("abcd")) > 1.999 && cred_entropy(STR("abcd")) < 2.001);
	assert_true(cred_entropy(STR("")) < 0.001);
}

static void test_crc32_is_zlibs(void **s UNUSED)
{
	const char *texts[] = { "", "a", "123456789", "the quick brown fox" };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(cred_crc32(str_z(texts[i])), crc32(0, (const unsigned char *)texts[i], (unsigned)strlen(texts[i])));
}

static void test_checksum(void **s UNUSED)
{
	struct buf b = BUF_INIT(1000);

	cred_example("ghp_<c36>", &b);
	assert_int_equal(b.len, 40);
	assert_true(cred_checksum_ok(CHECKSUM_CRC32_BASE62, buf_str(&b)));
	assert_false(cred_checksum_ok(CHECKSUM_NONE, buf_str(&b)));
	b.ptr[10] = b.ptr[10] == 'a' ? 'b' : 'a';
	assert_false(cred_checksum_ok(CHECKSUM_CRC32_BASE62, buf_str(&b)));
	assert_false(cred_checksum_ok(CHECKSUM_CRC32_BASE62, STR("short_1")));
	assert_false(cred_checksum_ok(CHECKSUM_CRC32_BASE62, STR("aaaaaaaaaaaaaaaaaaaaa_12")));
	buf_fini(&b);
}

static void test_placeholders_and_code(void **s UNUSED)
{
	static const char *const none[] = { NULL };
	struct cred_rule         r = { .generic = true, .stop_words = none };
	const char *const        placeholders[] = { "xxxxxxxx", "my-EXAMPLE-key", "changeme", "${TOKEN}", "{{ token }}", "your_api_key", "aaaaaaaa", "12345678", "abcdefgh" };
	const char *const        code[] = { "getSecret()", "$TOKEN", "/etc/key", "std::a::b::c", "<value>", "@secret1234", "list[0]", "https://h.org/x", "two words" };

	for (size_t i = 0; i < ARRAY_SIZE(placeholders); i++)
		if (!cred_is_placeholder(&r, str_z(placeholders[i])))
			fail_msg("%s is a placeholder", placeholders[i]);
	assert_false(cred_is_placeholder(&r, STR("q7Rk2vX9pLz4Wn")));
	/* a run inside of what was drawn at random makes no placeholder of it */
	assert_false(cred_is_placeholder(&r, STR("7rBynGOob1cAAAAAAAAAAe72L3T6rQK5ImB5a06ijnwRG9IdeT")));
	assert_true(cred_is_placeholder(&r, STR("0123456789abcdef0123456789abcdef")));
	for (size_t i = 0; i < ARRAY_SIZE(code); i++)
		if (!cred_looks_like_code(str_z(code[i])))
			fail_msg("%s is code", code[i]);
	assert_false(cred_looks_like_code(STR("q7Rk2vX9pLz4Wn!")));
}

static void test_names_and_paths(void **s UNUSED)
{
	static const char *const otherwise[] = { "instance_id: \"", "userId = '", "\"key-id-name\": \"", "callback_url=", "\"kmsArn\": \"" };
	static const char *const secret[] = { "token: \"", "secret_id='", "aws_access_key_id = ", "= ", "valid " };
	static const char *const tests[] = { "test/a.py", "src/a_test.go", "a/__tests__/b.js", "pkg/testdata/x.yaml", "examples/conf.yml", "a.spec.ts", "node_modules/x/y.js" };
	static const char *const none[] = { "src/a.py", "contest.py", "latest/conf.yaml", "README.md", "inspect/a.c" };

	for (size_t i = 0; i < ARRAY_SIZE(otherwise); i++)
		if (!cred_named_otherwise(str_z(otherwise[i]), strlen(otherwise[i])))
			fail_msg("%s names no secret", otherwise[i]);
	for (size_t i = 0; i < ARRAY_SIZE(secret); i++)
		if (cred_named_otherwise(str_z(secret[i]), strlen(secret[i])))
			fail_msg("%s may name a secret", secret[i]);
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++)
		if (!cred_path_is_test(str_z(tests[i])))
			fail_msg("%s is of tests", tests[i]);
	for (size_t i = 0; i < ARRAY_SIZE(none); i++)
		if (cred_path_is_test(str_z(none[i])))
			fail_msg("%s is not of tests", none[i]);
	assert_true(cred_path_is_lock(STR("a/go.sum")) && cred_path_is_lock(STR("Cargo.lock")));
	assert_false(cred_path_is_lock(STR("a/go.mod")));
}

static void test_fingerprint(void **s UNUSED)
{
	unsigned char k1[32] = { 1 }, k2[32] = { 2 };
	char          a[33], b[33];

	cred_fingerprint(k1, "rule", STR("secret"), a);
	cred_fingerprint(k1, "rule", STR("secret"), b);
	assert_string_equal(a, b);
	assert_int_equal(strlen(a), 32);
	cred_fingerprint(k2, "rule", STR("secret"), b);
	assert_string_not_equal(a, b);
	cred_fingerprint(k1, "rule2", STR("secret"), b);
	assert_string_not_equal(a, b);
	/* a key folded over lines, and the same in one JSON text */
	cred_fingerprint(k1, "rule", STR("line1\nline2\r\n"), a);
	cred_fingerprint(k1, "rule", STR("line1\\nline2"), b);
	assert_string_equal(a, b);
}

static void test_excerpt_shows_little(void **s UNUSED)
{
	struct buf b = BUF_INIT(1000);

	cred_excerpt(STR("hunter2"), true, &b);
	assert_str(buf_str(&b), "\"...\" (7 characters)");
	buf_clear(&b);
	cred_excerpt(STR("abcdefghijklmnopqrstuvwxyz0123456789abcd"), true, &b);
	assert_str(buf_str(&b), "\"abcd...\" (40 characters)");
	buf_clear(&b);
	cred_excerpt(STR("abcdefghijkl"), false, &b);
	assert_str(buf_str(&b), "\"ab...\" (12 characters)");
	buf_clear(&b);
	cred_excerpt(STR("a\033[1mefghijklmnopqrstuvwxyz"), true, &b);
	assert_str(buf_str(&b), "\"a?[1...\" (27 characters)");
	buf_fini(&b);
}

static void test_example_ends_with_its_buffer(void **s UNUSED)
{
	struct buf b = BUF_INIT(1000);

	cred_example("<a4294967295> and on", &b); /* would go on for minutes */
	assert_true(b.failed);
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entropy),     cmocka_unit_test(test_crc32_is_zlibs),           cmocka_unit_test(test_checksum),
		cmocka_unit_test(test_fingerprint), cmocka_unit_test(test_names_and_paths), cmocka_unit_test(test_example_ends_with_its_buffer), cmocka_unit_test(test_placeholders_and_code), cmocka_unit_test(test_excerpt_shows_little),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
