/* test_mask.c - secrets never pass, whatever the pieces the stream is cut into. */
#include "tests/lib/test.h"

#include "base/hash.h"
#include "base/limits.h"
#include "pipeline/mask.h"

static void masked(const char *secret, const char *text, const char *want)
{
	struct masks m;
	struct err   err;

	masks_init(&m);
	assert_ok(masks_add(&m, str_z(secret), &err), &err);
	/* every way to cut the text into two pieces, and byte by byte */
	for (size_t cut = 0; cut <= strlen(text) + 1; cut++) {
		CLEANUP_BUF struct buf out = BUF_INIT(1 << 20);
		struct mask_stream     s;

		mask_stream_init(&s);
		if (cut > strlen(text)) {
			for (const char *p = text; *p; p++)
				mask_stream_feed(&s, &m, str_n(p, 1), false, &out);
		} else {
			mask_stream_feed(&s, &m, str_n(text, cut), false, &out);
			mask_stream_feed(&s, &m, str_z(text + cut), false, &out);
		}
		mask_stream_feed(&s, &m, STR_NULL, true, &out);
		assert_str(buf_str(&out), want);
		mask_stream_fini(&s);
	}
	masks_fini(&m);
}

static void test_plain(void **state)
{
	(void)state;
	masked("s3cr3t-value", "a s3cr3t-value b", "a *** b");
	masked("s3cr3t-value", "s3cr3t-values3cr3t-value", "******");
	masked("s3cr3t-value", "s3cr3t-valu", "s3cr3t-valu");
	masked("aab", "aaab", "a***");
	masked("x", "axb", "a***b");
}

static void test_lines(void **state)
{
	(void)state;
	masked("first-line\nsecond-line\r\n\n", "echo second-line and first-line", "echo *** and ***");
	masked("  \n \n", "  ", "  ");
}

static void test_forms(void **state)
{
	(void)state;
	masked("pa ss/w\"ord", "u=pa%20ss%2Fw%22ord j=pa ss/w\\\"ord", "u=*** j=***");
}

/* The value inside longer texts that are encoded as one, at every alignment. */
static void test_base64_anywhere(void **state)
{
	struct masks m;
	struct err   err;

	(void)state;
	masks_init(&m);
	assert_ok(masks_add(&m, STR("super-secret-token"), &err), &err);
	for (unsigned before = 0; before < 7; before++) {
		CLEANUP_BUF struct buf plain = BUF_INIT(100), coded = BUF_INIT(1000), out = BUF_INIT(1000);

		buf_add(&plain, "uuuuuuuuu", before);
		buf_addz(&plain, "super-secret-token:tail");
		buf_add_base64(&coded, buf_str(&plain));
		masks_apply(&m, buf_str(&coded), &out);
		assert_true(str_contains(buf_str(&out), STR("***")));
		assert_true(out.len < 30); /* nothing but the ends is left */
	}
	masks_fini(&m);
}

static void test_longest_first(void **state)
{
	struct masks           m;
	struct err             err;
	CLEANUP_BUF struct buf out = BUF_INIT(1000);
	struct mask_stream     s;

	(void)state;
	masks_init(&m);
	assert_ok(masks_add(&m, STR("abc"), &err), &err);
	assert_ok(masks_add(&m, STR("abcdef"), &err), &err);
	masks_apply(&m, STR("abcdef abcde"), &out);
	assert_str(buf_str(&out), "*** ***de");
	buf_clear(&out);
	mask_stream_init(&s);
	mask_stream_feed(&s, &m, STR("abcd"), false, &out); /* may become the longer one */
	assert_int_equal(out.len, 0);
	mask_stream_feed(&s, &m, STR("ef"), false, &out);
	assert_str(buf_str(&out), "***");
	mask_stream_fini(&s);
	masks_fini(&m);
}

static void test_limit(void **state)
{
	struct masks m;
	struct err   err;
	int          r = 0;
	char         text[32];

	(void)state;
	masks_init(&m);
	for (int i = 0; !r && i < LIMIT_JOB_MASKS + 1; i++) {
		snprintf(text, sizeof(text), "%d", 100000 + i); /* too short for other forms */
		r = masks_add(&m, str_n(text, 5 + (size_t)(i & 1)), &err);
	}
	for (int i = 0; !r && i < LIMIT_JOB_MASKS; i++) {
		snprintf(text, sizeof(text), "m%d", i);
		r = masks_add(&m, str_z(text), &err);
	}
	assert_err(r, WEIR_ELIMIT);
	masks_fini(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_plain),         cmocka_unit_test(test_lines), cmocka_unit_test(test_forms),
		                                cmocka_unit_test(test_base64_anywhere), cmocka_unit_test(test_longest_first), cmocka_unit_test(test_limit) };

	base_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
