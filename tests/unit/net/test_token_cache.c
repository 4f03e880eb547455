/* The cache of identities: hits, ends, and answers that a revocation overtook. */
#include "lib/test.h"
#include "net/token-cache.h"

static void test_cache(void **s UNUSED)
{
	struct token_cache  *c = token_cache_new();
	struct http_identity dev = { .name = "dev", .scope = SCOPE_READ }, got;
	unsigned char        one[TOKEN_HASH_BYTES] = { 1 }, same_slot[TOKEN_HASH_BYTES] = { 1, 0, 9 };
	usec_t               expires;

	assert_false(token_cache_get(c, one, 1, &got, &expires));
	token_cache_put(c, token_cache_generation(c), one, 1, &dev, 77);
	assert_true(token_cache_get(c, one, 2, &got, &expires));
	assert_string_equal(got.name, "dev");
	assert_int_equal(expires, 77);
	assert_false(token_cache_get(c, same_slot, 2, &got, &expires));
	assert_false(token_cache_get(c, one, 1 + 5 * USEC_PER_SEC, &got, &expires));
	token_cache_flush(c);
	assert_false(token_cache_get(c, one, 2, &got, &expires));
	/* read before the revocation, put after it */
	uint64_t generation = token_cache_generation(c);
	token_cache_flush(c);
	token_cache_put(c, generation, one, 1, &dev, 0);
	assert_false(token_cache_get(c, one, 2, &got, &expires));
	token_cache_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_cache) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
