#include "lib/test.h"
#include "base/arena.h"

static void test_alloc_is_zeroed_and_aligned(void **s UNUSED)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(1 << 20);

	for (int i = 1; i < 3000; i += 7) {
		unsigned char *p = arena_alloc(&a, (size_t)i);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % 16, 0);
		for (int j = 0; j < i; j++)
			assert_int_equal(p[j], 0);
		memset(p, 0xff, (size_t)i);
		if (a.used > 900000)
			break;
	}
}

static void test_limit_sticks(void **s UNUSED)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(100);
	struct err                 e = { 0 };

	assert_non_null(arena_alloc(&a, 96));
	assert_null(arena_alloc(&a, 32));
	assert_null(arena_alloc(&a, 1));
	assert_err(arena_check(&a, "a page", &e), WEIR_ELIMIT);
	assert_string_equal(e.msg, "a page needs more than 100 bytes of memory");
	arena_fini(&a);
	assert_non_null(arena_alloc(&a, 16));
	assert_null(arena_array(&a, SIZE_MAX / 2, 4));
}

static void test_texts(void **s UNUSED)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(1 << 20);

	assert_string_equal(arena_printf(&a, "%d-%s", 7, "x"), "7-x");
	assert_string_equal(arena_dup(&a, str_n("abcdef", 3)), "abc");
	assert_str(arena_str(&a, STR("hello")), "hello");
}

static void note_end(void *thing)
{
	static char seen[8];
	static size_t n;

	if (!thing) { /* the end of the test asks */
		assert_string_equal(seen, "cba");
		return;
	}
	seen[n++] = *(const char *)thing;
}

static void test_ends(void **s UNUSED)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(1 << 20), small = ARENA_INIT(8);
	const char                *names = "abc";

	for (int i = 0; i < 3; i++)
		assert_true(arena_at_end(&a, note_end, (void *)(uintptr_t)(names + i)));
	assert_false(arena_at_end(&small, note_end, &a));
	arena_fini(&a);
	arena_fini(&a); /* nothing ends twice */
	note_end(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alloc_is_zeroed_and_aligned),
		cmocka_unit_test(test_limit_sticks),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
