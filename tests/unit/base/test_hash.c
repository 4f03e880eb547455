#include "lib/test.h"
#include "base/hash.h"

static void test_sha256(void **s UNUSED)
{
	char hex[SHA256_HEX];

	assert_string_equal(sha256_hex(STR("abc"), hex), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_string_equal(sha256_hex(STR_NULL, hex), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void test_base64(void **s UNUSED)
{
	CLEANUP_BUF struct buf b = BUF_INIT(100), c = BUF_INIT(100);

	buf_add_base64(&b, STR("weir:"));
	assert_str(buf_str(&b), "d2Vpcjo=");
	assert_true(base64_parse(buf_str(&b), &c));
	assert_str(buf_str(&c), "weir:");
	assert_false(base64_parse(STR("d2V*"), &c));
}

static void test_hex_and_ids(void **s UNUSED)
{
	unsigned char raw[2];
	char          a[ID_SIZE], b[ID_SIZE];

	assert_true(hex_parse(STR("0fA0"), raw, 2));
	assert_int_equal(raw[0] << 8 | raw[1], 0x0fa0);
	assert_false(hex_parse(STR("0fA"), raw, 2));
	assert_false(hex_parse(STR("0fAg"), raw, 2));
	id_new(a);
	id_new(b);
	assert_int_equal(strlen(a), 26);
	assert_string_not_equal(a, b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sha256),
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_hex_and_ids),
	};

	base_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
