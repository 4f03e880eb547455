/* test_steplog.c - a step's output on its way out: commands obeyed, secrets masked, the same bytes however it is cut. */
#include "tests/lib/test.h"

#include "base/hash.h"
#include "pipeline/steplog.h"

struct run {
	struct masks   masks;
	struct steplog log;
	struct buf     out;
};

static void run_open(struct run *r, bool unsecure)
{
	masks_init(&r->masks);
	steplog_init(&r->log, &r->masks, unsecure);
	buf_init(&r->out, 8 << 20);
}

static void run_close(struct run *r)
{
	steplog_fini(&r->log);
	masks_fini(&r->masks);
	buf_fini(&r->out);
}

/* Feeds in pieces of n bytes. */
static void feed(struct run *r, const char *text, size_t n)
{
	str rest = str_z(text);

	while (rest.len) {
		steplog_feed(&r->log, str_sub(rest, 0, n), false, &r->out);
		rest = str_sub(rest, n, rest.len);
	}
	steplog_feed(&r->log, STR_NULL, true, &r->out);
}

static void expect(const char *in, const char *want)
{
	for (size_t n = 1; n <= strlen(in); n++) {
		struct run r;

		run_open(&r, false);
		feed(&r, in, n);
		assert_str(buf_str(&r.out), want);
		run_close(&r);
	}
}

static void test_mask_command(void **state)
{
	(void)state;
	expect("x hush-hush\n::add-mask::hush-hush\nthen hush-hush and\nhush-hu", "x hush-hush\n::add-mask::***\nthen *** and\nhush-hu");
	expect("  ::add-mask::a%0Ab-line\nb-line\n", "::add-mask::***\n***\n");
	expect("no newline", "no newline");
	expect(":: not a command\n:x\n::\n", ":: not a command\n:x\n::\n");
}

static void test_stop(void **state)
{
	(void)state;
	expect("::stop-commands::t0k\n::add-mask::abc\nabc\n::t0k::\n::add-mask::abc\nabc\n",
	       "::stop-commands::t0k\n::add-mask::abc\nabc\n::t0k::\n::add-mask::***\n***\n");
}

static void test_partial_lines_pass(void **state)
{
	struct run r;

	(void)state;
	run_open(&r, false);
	steplog_feed(&r.log, STR("progress 10%"), false, &r.out);
	assert_str(buf_str(&r.out), "progress 10%");
	steplog_feed(&r.log, STR("\n::set-"), false, &r.out);
	assert_str(buf_str(&r.out), "progress 10%\n"); /* may become a command */
	run_close(&r);
}

static void test_outputs(void **state)
{
	struct run r;

	(void)state;
	run_open(&r, false);
	feed(&r, "::set-output name=a::b%0Ac\n::save-state name=s::1\n", 7);
	assert_str(kvs_get(&r.log.outputs, STR("a"))->value, "b\nc");
	assert_str(kvs_get(&r.log.states, STR("s"))->value, "1");
	assert_true(str_contains(buf_str(&r.out), STR("deprecated")));
	assert_int_equal(r.log.failed.code, 0);
	run_close(&r);
}

static void test_set_env(void **state)
{
	struct run r;

	(void)state;
	run_open(&r, false);
	feed(&r, "::set-env name=A::b\n", 99);
	assert_int_equal(r.log.failed.code, WEIR_EREFUSED);
	assert_int_equal(r.log.env.n, 0);
	run_close(&r);
	run_open(&r, true);
	feed(&r, "::set-env name=A::b\n::add-path::/x\n::set-env name=NODE_OPTIONS::--require=evil\n", 99);
	assert_str(kvs_get(&r.log.env, STR("A"))->value, "b");
	assert_null(kvs_get(&r.log.env, STR("NODE_OPTIONS")));
	assert_int_equal(r.log.paths.n, 1);
	assert_int_equal(r.log.failed.code, WEIR_EREFUSED);
	run_close(&r);
}

static void test_bad_stop_token(void **state)
{
	struct run r;

	(void)state;
	run_open(&r, false);
	feed(&r, "::stop-commands::add-mask\n::add-mask::abc\nabc\n", 99);
	assert_int_equal(r.log.failed.code, WEIR_EREFUSED);
	assert_true(str_has_suffix(buf_str(&r.out), STR("***\n")));
	run_close(&r);
}

/* A "command" longer than what is held is text; memory stays bounded. */
static void test_long_line(void **state)
{
	struct run             r;
	CLEANUP_BUF struct buf in = BUF_INIT(4 << 20);

	(void)state;
	run_open(&r, false);
	buf_addz(&in, "::add-mask::");
	for (int i = 0; i < 300000; i++)
		buf_addz(&in, "0123456");
	buf_addz(&in, "\nend\n");
	feed(&r, buf_z(&in), 65536);
	assert_int_equal(r.out.len, in.len);
	run_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_mask_command), cmocka_unit_test(test_stop),    cmocka_unit_test(test_partial_lines_pass),
		                                cmocka_unit_test(test_outputs),      cmocka_unit_test(test_set_env), cmocka_unit_test(test_bad_stop_token),
		                                cmocka_unit_test(test_long_line) };

	base_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
