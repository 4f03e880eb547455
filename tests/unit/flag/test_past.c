/* Past revisions that are kept: the right one is given, the oldest go, large ones are not kept. */
#include "lib/test.h"

#include "base/limits.h"
#include "flag/flag-past.h"

static struct flag_set *set(const char *id, int64_t revision, size_t flags)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(64 << 20);
	struct flag_set_head       head = { .id = str_z(id), .revision = revision, .evaluators = STR(""), .metadata = STR("") };
	struct flag_text          *t = ARENA_ARRAY(&a, flags + 1, struct flag_text);
	struct flag_set           *s;
	struct err                 e = { 0 };

	for (size_t i = 0; i < flags; i++)
		t[i] = (struct flag_text){ str_z(arena_printf(&a, "f%zu", i)), STR("{}") };
	assert_ok(flag_set_build(NULL, &head, t, flags, &s, &e), &e);
	return s;
}

static void put(struct flag_pasts *p, const char *id, int64_t revision, size_t flags)
{
	struct flag_set *s = set(id, revision, flags);

	flag_pasts_put(p, s);
	flag_set_unref(s);
}

static bool has(struct flag_pasts *p, const char *id, int64_t revision)
{
	struct flag_set *s = flag_pasts_get(p, str_z(id), revision);
	bool             ret = s != NULL;

	if (s) {
		assert_int_equal(flag_set_head(s)->revision, revision);
		assert_str(flag_set_head(s)->id, id);
	}
	flag_set_unref(s);
	return ret;
}

static void test_kept(void **state UNUSED)
{
	struct flag_pasts p;

	flag_pasts_init(&p);
	assert_false(has(&p, "a/x", 1));
	put(&p, "a/x", 1, 1);
	put(&p, "a/y", 1, 1);
	put(&p, "a/x", 1, 1); /* again: kept once */
	assert_true(has(&p, "a/x", 1));
	assert_true(has(&p, "a/y", 1));
	assert_false(has(&p, "a/x", 2));
	for (int64_t i = 2; i < 2 + FLAG_PASTS - 1; i++) {
		put(&p, "a/x", i, 1);
		assert_true(has(&p, "a/x", 1)); /* what is asked for stays */
	}
	assert_false(has(&p, "a/y", 1));
	assert_true(has(&p, "a/x", 2));
	flag_pasts_fini(&p);
}

static void test_bounded(void **state UNUSED)
{
	struct flag_pasts p;

	flag_pasts_init(&p);
	put(&p, "a/x", 1, 10);
	put(&p, "a/x", 2, LIMIT_FLAG_PAST_FLAGS + 1);
	assert_false(has(&p, "a/x", 2));
	assert_true(has(&p, "a/x", 1));
	put(&p, "a/x", 3, LIMIT_FLAG_PAST_FLAGS - 5);
	assert_true(has(&p, "a/x", 3));
	assert_false(has(&p, "a/x", 1)); /* both are too many */
	put(&p, "a/x", 4, 5);
	assert_true(has(&p, "a/x", 3));
	flag_pasts_fini(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_kept), cmocka_unit_test(test_bounded) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
