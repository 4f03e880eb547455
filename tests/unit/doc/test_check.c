/* Strict reading: each typed reader accepts what it says, and reports the rest with place, expectation and nearest word. */
#include "lib/test.h"
#include "doc/doc.h"

#include <math.h>

struct fixture {
	struct arena     arena;
	struct doc_check check;
	struct doc_node *doc;
};

static void setup(struct fixture *f, const char *yaml)
{
	struct err err = { 0 };

	arena_init(&f->arena, 1 << 20);
	assert_ok(doc_parse_yaml(&f->arena, "f.yml", str_z(yaml), &f->doc, &err), &err);
	doc_check_init(&f->check, &f->arena, "f.yml");
}

/* The only problem so far is `msg` (NULL: none); forgets it. */
static void expect(struct fixture *f, const char *msg)
{
	struct err err = { 0 };

	if (!msg) {
		assert_ok(doc_check_result(&f->check, &err), &err);
		return;
	}
	assert_err(doc_check_result(&f->check, &err), WEIR_EINVAL);
	assert_string_equal(err.msg, msg);
	assert_int_equal(f->check.n_diags, 1);
	doc_check_init(&f->check, &f->arena, "f.yml");
}

static void test_maps_and_lists(void **s UNUSED)
{
	static const char *const known[] = { "health", "port", "name", NULL };
	struct fixture           f;

	setup(&f, "health: 1\nheath: 2\n");
	assert_true(doc_is_map(&f.check, f.doc, "service", known));
	expect(&f, "f.yml:2:1: unknown key 'heath' (did you mean 'health'?)");
	assert_true(doc_is_map(&f.check, f.doc, "service", NULL));
	expect(&f, NULL);
	assert_false(doc_is_map(&f.check, doc_get(f.doc, "health"), "service", known));
	expect(&f, "f.yml:1:9: service must be a map, not a whole number");
	assert_false(doc_is_map(&f.check, NULL, "service", known));
	expect(&f, NULL);
	assert_false(doc_is_seq(&f.check, f.doc, "services"));
	expect(&f, "f.yml:1:1: services must be a list, not a map");
	assert_false(doc_is_seq(&f.check, NULL, "services"));
	expect(&f, NULL);
	assert_null(doc_need(&f.check, f.doc, "port"));
	expect(&f, "f.yml:1:1: key 'port' is missing");
	assert_non_null(doc_need(&f.check, f.doc, "health"));
	expect(&f, NULL);
	arena_fini(&f.arena);
	setup(&f, "heath: 2\n"); /* one mistake, one message */
	assert_true(doc_is_map(&f.check, f.doc, "service", known));
	assert_null(doc_need(&f.check, f.doc, "health"));
	expect(&f, "f.yml:1:1: unknown key 'heath' (did you mean 'health'?)");
	assert_null(doc_need(&f.check, f.doc, "health")); /* not reported as unknown: the missing key is */
	expect(&f, "f.yml:1:1: key 'health' is missing");
	arena_fini(&f.arena);
	setup(&f, "zzzzzz: 1\n");
	assert_true(doc_is_map(&f.check, f.doc, "service", known));
	expect(&f, "f.yml:1:1: unknown key 'zzzzzz' in service (known: health, port, name)");
	arena_fini(&f.arena);
	setup(&f, "[a]");
	assert_true(doc_is_seq(&f.check, f.doc, "services"));
	expect(&f, NULL);
	arena_fini(&f.arena);
}

static void test_text_and_numbers(void **s UNUSED)
{
	struct fixture f;

	setup(&f, "s: x\ni: 5\nd: 1.5\nb: true\nnan: .nan\nl: []\n");
	assert_str(doc_want_str(&f.check, doc_get(f.doc, "s"), "s"), "x");
	assert_null(doc_want_str(&f.check, NULL, "s").ptr);
	expect(&f, NULL);
	assert_null(doc_want_str(&f.check, doc_get(f.doc, "i"), "name").ptr);
	expect(&f, "f.yml:2:4: name must be text, not a whole number");
	assert_int_equal(doc_want_int(&f.check, doc_get(f.doc, "i"), "i", 5, 5), 5);
	assert_int_equal(doc_want_int(&f.check, NULL, "i", 5, 5), 0);
	expect(&f, NULL);
	assert_int_equal(doc_want_int(&f.check, doc_get(f.doc, "i"), "port", 6, 9), 0);
	expect(&f, "f.yml:2:4: port must be from 6 to 9, not 5");
	assert_int_equal(doc_want_int(&f.check, doc_get(f.doc, "i"), "port", 1, 4), 0);
	expect(&f, "f.yml:2:4: port must be from 1 to 4, not 5");
	assert_int_equal(doc_want_int(&f.check, doc_get(f.doc, "d"), "port", 1, 4), 0);
	expect(&f, "f.yml:3:4: port must be a whole number, not a number");
	assert_true(doc_want_num(&f.check, doc_get(f.doc, "d"), "d", 0, 2) == 1.5);
	assert_true(doc_want_num(&f.check, doc_get(f.doc, "i"), "i", 0, 9) == 5);
	assert_true(doc_want_num(&f.check, NULL, "i", 0, 9) == 0);
	expect(&f, NULL);
	assert_true(doc_want_num(&f.check, doc_get(f.doc, "d"), "d", 2, 3) == 0);
	expect(&f, "f.yml:3:4: d must be from 2 to 3, not 1.5");
	assert_true(doc_want_num(&f.check, doc_get(f.doc, "nan"), "d", 2, 3) == 0);
	expect(&f, "f.yml:5:6: d must be from 2 to 3, not nan");
	assert_true(doc_want_num(&f.check, doc_get(f.doc, "s"), "d", 2, 3) == 0);
	expect(&f, "f.yml:1:4: d must be a number, not text");
	assert_true(doc_want_bool(&f.check, doc_get(f.doc, "b"), "b"));
	assert_false(doc_want_bool(&f.check, NULL, "b"));
	expect(&f, NULL);
	assert_false(doc_want_bool(&f.check, doc_get(f.doc, "l"), "b"));
	expect(&f, "f.yml:6:4: b must be true or false, not a list");
	arena_fini(&f.arena);
}

static void test_sizes(void **s UNUSED)
{
	struct fixture f;

	setup(&f, "a: 64KiB\nb: 1.5GiB\nc: 512MB\nd: 5\ne: -1MiB\nf: MiB\ng: 99999999TiB\n");
	assert_true(doc_want_size(&f.check, doc_get(f.doc, "a"), "a", 0, 1 << 20) == 64 << 10);
	assert_true(doc_want_size(&f.check, doc_get(f.doc, "b"), "b", 0, 2LL << 30) == 1536LL << 20);
	assert_true(doc_want_size(&f.check, NULL, "b", 1, 2) == 0);
	expect(&f, NULL);
	assert_true(doc_want_size(&f.check, doc_get(f.doc, "a"), "memory", 1 << 20, 3LL << 40) == 0);
	expect(&f, "f.yml:1:4: memory must be from 1MiB to 3TiB");
	for (const char *const *k = (const char *const[]){ "c", "d", "e", "f", "g", NULL }; *k; k++) {
		assert_true(doc_want_size(&f.check, doc_get(f.doc, *k), "memory", 0, 1) == 0);
		assert_int_equal(f.check.n_diags, 1);
		assert_string_equal(f.check.diags[0].msg, "memory must be a size such as 64KiB, 512MiB or 2GiB");
		doc_check_init(&f.check, &f.arena, "f.yml");
	}
	arena_fini(&f.arena);
}

static void test_durations_and_shares(void **s UNUSED)
{
	struct fixture f;

	setup(&f, "t: 90s\nu: 10\nv: 5 minutes\np: 5%\nq: 0.05\nr: 1\nx: 101%\ny: -1\nz: abc\nw: '%'\n");
	assert_true(doc_want_duration(&f.check, doc_get(f.doc, "t"), "t", 0, 100 * USEC_PER_SEC) == 90 * USEC_PER_SEC);
	assert_true(doc_want_duration(&f.check, NULL, "t", 0, 1) == 0);
	expect(&f, NULL);
	assert_true(doc_want_duration(&f.check, doc_get(f.doc, "t"), "bake", USEC_PER_SEC, 60 * USEC_PER_SEC) == 0);
	expect(&f, "f.yml:1:4: bake must be from 1.0s to 1m 0s");
	assert_true(doc_want_duration(&f.check, doc_get(f.doc, "u"), "bake", 0, 1) == 0);
	expect(&f, "f.yml:2:4: bake must be a duration such as 500ms, 30s, 5m, 2h or 1d");
	assert_true(doc_want_duration(&f.check, doc_get(f.doc, "v"), "bake", 0, 1) == 0);
	expect(&f, "f.yml:3:4: bake must be a duration such as 500ms, 30s, 5m, 2h or 1d");
	assert_true(doc_want_share(&f.check, doc_get(f.doc, "p"), "p") == 0.05);
	assert_true(doc_want_share(&f.check, doc_get(f.doc, "q"), "q") == 0.05);
	assert_true(doc_want_share(&f.check, doc_get(f.doc, "r"), "r") == 1);
	assert_true(doc_want_share(&f.check, NULL, "r") == 0);
	expect(&f, NULL);
	for (const char *const *k = (const char *const[]){ "x", "y", "z", "w", NULL }; *k; k++) {
		assert_true(doc_want_share(&f.check, doc_get(f.doc, *k), "weight") == 0);
		assert_int_equal(f.check.n_diags, 1);
		assert_string_equal(f.check.diags[0].msg, "weight must be a share: a percentage from 0% to 100%, or a number from 0 to 1");
		doc_check_init(&f.check, &f.arena, "f.yml");
	}
	arena_fini(&f.arena);
}

static void test_enums(void **s UNUSED)
{
	static const char *const names[] = { "hold", "ask", "rollback", NULL };
	struct fixture           f;

	setup(&f, "a: ask\nb: rolback\nc: zzzzzz\nd: 1\n");
	assert_int_equal(doc_want_enum(&f.check, doc_get(f.doc, "a"), "then", names), 1);
	assert_int_equal(doc_want_enum(&f.check, NULL, "then", names), -1);
	expect(&f, NULL);
	assert_int_equal(doc_want_enum(&f.check, doc_get(f.doc, "b"), "then", names), -1);
	expect(&f, "f.yml:2:4: then must be one of hold, ask, rollback, not 'rolback' (did you mean 'rollback'?)");
	assert_int_equal(doc_want_enum(&f.check, doc_get(f.doc, "c"), "then", names), -1);
	expect(&f, "f.yml:3:4: then must be one of hold, ask, rollback, not 'zzzzzz'");
	assert_int_equal(doc_want_enum(&f.check, doc_get(f.doc, "d"), "then", names), -1);
	expect(&f, "f.yml:4:4: then must be one of hold, ask, rollback, not a whole number");
	arena_fini(&f.arena);
}

static void test_nearest(void **s UNUSED)
{
	static const char *const known[] = { "runs-on", "run", "needs", "timeout-minutes", NULL };

	assert_string_equal(doc_nearest(STR("run-on"), known), "runs-on");
	assert_string_equal(doc_nearest(STR("rum"), known), "run");
	assert_string_equal(doc_nearest(STR("nedes"), known), "needs");
	assert_string_equal(doc_nearest(STR("timeoutMinutes"), known), "timeout-minutes");
	assert_null(doc_nearest(STR("steps"), known));
	assert_null(doc_nearest(STR(""), known));
}

static void test_many_problems_in_order(void **s UNUSED)
{
	struct fixture f;
	struct err     err = { 0 };

	setup(&f, "a: 1");
	for (unsigned i = 150; i > 0; i--)
		doc_error_at(&f.check, i, 1, "problem %u", i);
	assert_int_equal(f.check.n_diags, 100);
	assert_int_equal(f.check.n_dropped, 50);
	for (unsigned i = 1; i < 100; i++)
		assert_true(f.check.diags[i - 1].line < f.check.diags[i].line);
	assert_err(doc_check_result(&f.check, &err), WEIR_EINVAL);
	assert_string_equal(err.msg, "f.yml:51:1: problem 51 (and 149 more)");
	arena_fini(&f.arena);
}

/* A full arena loses messages, never the fact that there was a problem. */
static void test_full_arena(void **s UNUSED)
{
	struct arena     a = ARENA_INIT(16);
	struct doc_check c;
	struct err       err = { 0 };

	doc_check_init(&c, &a, "f");
	doc_error(&c, NULL, "problem");
	assert_err(doc_check_result(&c, &err), WEIR_ELIMIT);
	arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_maps_and_lists),         cmocka_unit_test(test_text_and_numbers),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_durations_and_shares),   cmocka_unit_test(test_enums),
		cmocka_unit_test(test_nearest),                cmocka_unit_test(test_many_problems_in_order),
		cmocka_unit_test(test_full_arena),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
