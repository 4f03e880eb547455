/* What was drawn at random, what a person may have chosen, and what is a word, a name or a number. */
#include "gate/credentials/cred-internal.h" /* first, as in the room */

#include "lib/test.h"

static const char *name_of(enum cred_strength s) { return s == STRENGTH_STRONG ? "strong" : s == STRENGTH_WEAK ? "weak" : "none"; }

static void expect(const char *text, bool password, enum cred_strength want)
{
	struct buf         b = BUF_INIT(1 << 16);
	enum cred_strength seen;

	cred_example(text, &b);
	seen = cred_strength(buf_str(&b), password);
	if (seen != want)
		fail_msg("%s (%s) as a %s: %s, not %s", text, buf_z(&b), password ? "password" : "key", name_of(seen), name_of(want));
	buf_fini(&b);
}

static void test_drawn_at_random(void **s UNUSED)
{
	static const char *const strong[] = { "<x32>", "<a20>", "<b40>", "<x8>-<x4>-<x4>-<x4>-<x12>", "<w43>", "<X64>", "<s56>", "<l40>", "cd2b1d12d01ae2deffecfebafcc3c31d" };

	for (size_t i = 0; i < ARRAY_SIZE(strong); i++) {
		expect(strong[i], false, STRENGTH_STRONG);
		expect(strong[i], true, STRENGTH_STRONG);
	}
	expect("e2aa9ae57d893a", false, STRENGTH_WEAK); /* short */
}

static void test_words_and_names(void **s UNUSED)
{
	static const char *const none[] = { "",          "password",       "accessToken",    "correct-horse-battery-staple", "some_long_name_of_a_thing", "sessionid",
		                                "us-east-1", "application/json", "elasticacheLabelCacheClusterNode", "aaaaaaaaaaaaaaaaaaaaaaaa", "20241231235959", "X-Auth-Header" };

	for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
		expect(none[i], false, STRENGTH_NONE);
		if (i != 6 && i != 11)
			expect(none[i], true, STRENGTH_NONE);
	}
	expect("sha512", false, STRENGTH_NONE);
	expect("v1beta1", false, STRENGTH_NONE);
}

static void test_passwords_of_people(void **s UNUSED)
{
	static const char *const weak[] = { "abuser1234", "4ian1234", "super$ecret", "zvlqyxbf", "cyymwamm", "VMware1!" };

	for (size_t i = 0; i < ARRAY_SIZE(weak); i++) {
		expect(weak[i], true, STRENGTH_WEAK);
		if (i != 3 && i != 4)
			expect(weak[i], false, STRENGTH_NONE); /* no key looks so */
	}
	expect("kX9!mvQ2", true, STRENGTH_STRONG);
	expect("K7@q<a10>!", true, STRENGTH_STRONG);
	expect("john", true, STRENGTH_NONE);
	expect("salasana", true, STRENGTH_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_drawn_at_random),
		cmocka_unit_test(test_words_and_names),
		cmocka_unit_test(test_passwords_of_people),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
