#include "lib/test.h"
#include "base/map.h"

static void test_put_get_delete_many(void **s UNUSED)
{
	struct map m = MAP_INIT;
	char       key[32];
	size_t     seen = 0;

	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 5000; i++) {
			snprintf(key, sizeof(key), "key-%d", i);
			assert_true(map_put(&m, str_z(key), (void *)(intptr_t)(i + 1 + round), NULL));
		}
	assert_int_equal(map_count(&m), 5000);
	for (int i = 0; i < 5000; i += 2) {
		snprintf(key, sizeof(key), "key-%d", i);
		assert_ptr_equal(map_del(&m, str_z(key)), (void *)(intptr_t)(i + 2));
	}
	for (int i = 0; i < 5000; i++) {
		snprintf(key, sizeof(key), "key-%d", i);
		assert_int_equal(map_has(&m, str_z(key)), i % 2);
	}
	for (int i = 0; i < 20000; i++) { /* holes are closed again */
		snprintf(key, sizeof(key), "other-%d", i % 10);
		assert_true(map_put(&m, str_z(key), &m, NULL));
		map_del(&m, str_z(key));
	}
	assert_true(m.cap_entries < 20000);
	for (struct map_entry *e = map_next(&m, NULL); e; e = map_next(&m, e), seen++)
		if (!seen)
			assert_string_equal(e->key, "key-1");
	assert_int_equal(seen, 2500);
	map_fini(&m);
}

static void test_empty_and_binary_keys(void **s UNUSED)
{
	struct map m = MAP_INIT;
	int        a, b;
	void      *old = &m;

	assert_null(map_get(&m, STR("x")));
	assert_true(map_put(&m, STR(""), &a, &old));
	assert_null(old);
	assert_true(map_put(&m, str_n("a\0b", 3), &b, NULL));
	assert_ptr_equal(map_get(&m, STR("")), &a);
	assert_ptr_equal(map_get(&m, str_n("a\0b", 3)), &b);
	assert_null(map_get(&m, STR("a")));
	assert_true(map_put(&m, STR(""), &b, &old));
	assert_ptr_equal(old, &a);
	map_fini(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_put_get_delete_many),
		cmocka_unit_test(test_empty_and_binary_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
