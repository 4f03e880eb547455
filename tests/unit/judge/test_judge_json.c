#include "lib/test.h"

#include "judge/judge.h"

static str write(struct buf *b, const struct judge_params *p, const struct judge_input *in, const struct judge_verdict *v)
{
	struct jw w;

	jw_init(&w, b);
	judge_write_evidence(&w, p, in, v);
	return buf_str(b);
}

static void test_written_read_and_judged_again(void **s UNUSED)
{
	static const struct judge_segment cases[][2] = {
		{ { 0.05, 2, 1, 40, 800, 3, 4 }, { 0.5, 1, 0, 10, 12, 1, 0 } },
		{ { 0.05, 0, 0, 0, 0, 0, 0 }, { 0, 0, 0, 0, 9, 0, 0 } },
		{ { 0.05, 1, 1, 40, 800, 3, 4 }, { 1, 2, 0, 700, 0, 2, 0 } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct arena         a = ARENA_INIT(1 << 20);
		struct buf           b = BUF_INIT(1 << 16), b2 = BUF_INIT(1 << 16);
		struct err           e = { 0 };
		struct judge_params  p = judge_defaults, p2;
		struct judge_input   in = { cases[i], 2, 2, 3, 1 }, in2;
		struct judge_segment seg[JUDGE_SEGMENTS_MAX];
		struct judge_verdict v, v2, again;
		struct doc_node     *n;

		p.budget = 0.03;
		assert_ok(judge_step(&p, &in, &v, &e), &e);
		assert_ok(doc_parse_json(&a, "evidence", write(&b, &p, &in, &v), &n, &e), &e);
		assert_ok(judge_read_evidence(n, &p2, seg, &in2, &v2, &e), &e);
		assert_ok(judge_step(&p2, &in2, &again, &e), &e);
		write(&b2, &p2, &in2, &again);
		assert_string_equal(buf_z(&b), buf_z(&b2));
		assert_int_equal(v2.call, v.call);
		buf_fini(&b);
		buf_fini(&b2);
		arena_fini(&a);
	}
}

static void test_damaged_evidence_is_refused(void **s UNUSED)
{
	static const char *const bad[] = { "{}", "[]", "{\"method\":\"label-test-1\"}", "{\"method\":\"label-test-1\",\"segments\":[{}]}",
		                           "{\"method\":\"label-test-1\",\"segments\":[],\"params\":{\"clients_min\":-1}}" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct arena         a = ARENA_INIT(1 << 20);
		struct err           e = { 0 };
		struct doc_node     *n;
		struct judge_params  p;
		struct judge_input   in;
		struct judge_segment seg[JUDGE_SEGMENTS_MAX];
		struct judge_verdict v;

		assert_ok(doc_parse_json(&a, "evidence", str_z(bad[i]), &n, &e), &e);
		assert_err(judge_read_evidence(n, &p, seg, &in, &v, &e), WEIR_EINVAL);
		arena_fini(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_written_read_and_judged_again),
		cmocka_unit_test(test_damaged_evidence_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
