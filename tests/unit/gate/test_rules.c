/* Every rule against its own examples, and the strictness of the rule reader. */
#include "gate/credentials/cred-internal.h" /* first, as in the room */

#include "lib/test.h"

#include "base/fs.h"
#include "base/hash.h"

struct seen {
	bool       fired[1000];
	struct buf names;
};

static int note_rule(void *ctx, const struct finding *f, struct err *reterr UNUSED)
{
	buf_addf(ctx, " %.*s ", STR_ARG(f->rule));
	return 0;
}

static struct cred *cred; /* of the group: compiling the rules takes seconds */

static int setup_group(void **s UNUSED)
{
	struct err e = { 0 };
	const char *cache = getenv("WEIR_TEST_CACHE");

	base_init();
	if (cred_new(&(struct cred_config){ .cache_dir = cache }, &cred, &e)) {
		print_error("%s\n", e.msg);
		return -1;
	}
	return 0;
}

static int teardown_group(void **s UNUSED)
{
	cred = cred_free(cred);
	return 0;
}

/* Rules that fire on the example, as " a  b ". */
static void fire(const char *example, struct buf *names)
{
	struct finding_sink    sink = { .add = note_rule, .ctx = names };
	CLEANUP_BUF struct buf text = BUF_INIT(1 << 20);
	struct err             e = { 0 };

	buf_clear(names);
	cred_example(example, &text);
	assert_ok(cred_scan_text(cred, STR("some/file.txt"), STR_NULL, buf_str(&text), &sink, &e), &e);
}

static void test_every_example(void **s UNUSED)
{
	CLEANUP_BUF struct buf names = BUF_INIT(1 << 16);
	size_t                 bad = 0, n = 0;

	for (size_t i = 0; i < cred->rules.rules.n; i++) {
		const struct cred_rule *r = &cred->rules.rules.v[i];
		char                    mine[128];

		snprintf(mine, sizeof mine, " %s ", r->id);
		for (const char *const *x = r->match; *x; x++, n++) {
			fire(*x, &names);
			if (!strstr(buf_z(&names), mine)) {
				print_error("rule '%s' does not fire on its example %s (fired:%s)\n", r->id, *x, buf_z(&names));
				bad++;
			}
		}
		for (const char *const *x = r->no_match; *x; x++, n++) {
			fire(*x, &names);
			if (strstr(buf_z(&names), mine)) {
				print_error("rule '%s' fires on %s\n", r->id, *x);
				bad++;
			}
		}
	}
	assert_int_equal(bad, 0);
	assert_true(cred_n_rules(cred) >= 100 && n > cred_n_rules(cred));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_example),
	};
	return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
