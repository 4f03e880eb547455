/* The three forms of a verdict: text without control characters, JSON, SARIF 2.1.0 with fingerprints and suppressions. */
#include "lib/test.h"

#include "doc/doc.h"
#include "gate/gate.h"

static struct finding findings[] = {
	{ .check = STR("credentials"), .rule = STR("github-token"), .severity = SEVERITY_ERROR, .path = STR("src/a b.py"), .line = 3, .col = 7, .end_line = 3,
	  .end_col = 47, .message = STR("GitHub token \"ghp_...\" (40 characters)"), .advice = STR("revoke it"),
	  .commit = STR("0123456789abcdef0123456789abcdef01234567"), .fingerprint = STR("00112233445566778899aabbccddeeff") },
	{ .check = STR("credentials"), .rule = STR("github-token"), .severity = SEVERITY_ERROR, .path = STR("tests/x"), .line = 1, .col = 1, .end_line = 1,
	  .end_col = 41, .message = STR("GitHub token"), .advice = STR("revoke it"), .fingerprint = STR("ff112233445566778899aabbccddeeff"), .waived = true,
	  .waiver = STR("dev until 2027-01-01: recorded") },
	{ .check = STR("files"), .rule = STR("workflow-syntax"), .severity = SEVERITY_WARNING, .path = STR("evil\033[2J\nname"), .message = STR("bad\rtext\x07"),
	  .advice = STR("mend it") },
};
static const struct verdict verdict = { .call = VERDICT_FAIL, .findings = findings, .n_findings = 3, .n_dropped = 5, .cause = STR("the check 'x' could not look"),
	                                    .digest = "abc" };

static void test_text(void **s UNUSED)
{
	struct buf out = BUF_INIT(1 << 20);

	gate_report_text(&verdict, &out, false);
	assert_non_null(strstr(buf_z(&out), "error   src/a b.py:3:7  github-token\n"));
	assert_non_null(strstr(buf_z(&out), "(commit 0123456789ab)"));
	assert_non_null(strstr(buf_z(&out), "-> revoke it\n"));
	assert_non_null(strstr(buf_z(&out), "fingerprint 00112233445566778899aabbccddeeff"));
	assert_non_null(strstr(buf_z(&out), "waived  tests/x:1:1"));
	assert_non_null(strstr(buf_z(&out), "accepted by dev until 2027-01-01: recorded"));
	assert_non_null(strstr(buf_z(&out), "evil?[2J?name"));
	assert_non_null(strstr(buf_z(&out), "... and 5 more findings"));
	assert_non_null(strstr(buf_z(&out), "not judged: the check 'x' could not look"));
	assert_non_null(strstr(buf_z(&out), "fail: 1 error, 1 warning, 0 notes, 1 waived\n"));
	for (size_t i = 0; i < out.len; i++)
		assert_true(out.ptr[i] == '\n' || (unsigned char)out.ptr[i] >= 0x20);
	buf_clear(&out);
	gate_report_text(&verdict, &out, true);
	assert_non_null(strstr(buf_z(&out), "\033[1;31merror"));
	assert_null(strstr(buf_z(&out), "\033[2J"));
	buf_fini(&out);
}

static const struct doc_node *parse(struct arena *a, const struct buf *out)
{
	struct doc_node *root;
	struct err       e = { 0 };

	assert_ok(doc_parse_json(a, "report", buf_str(out), &root, &e), &e);
	return root;
}

static void test_json(void **s UNUSED)
{
	struct buf             out = BUF_INIT(1 << 20);
	struct arena           a = ARENA_INIT(1 << 20);
	const struct doc_node *root, *f;

	gate_report_json(&verdict, &out);
	root = parse(&a, &out);
	assert_str(doc_get_str(root, "verdict"), "fail");
	assert_int_equal(doc_get_int(root, "errors", -1), 1);
	assert_int_equal(doc_get_int(root, "waived", -1), 1);
	assert_int_equal(doc_get_int(root, "dropped", -1), 5);
	assert_int_equal(doc_len(doc_get(root, "findings")), 3);
	f = doc_at(doc_get(root, "findings"), 0);
	assert_str(doc_get_str(f, "path"), "src/a b.py");
	assert_int_equal(doc_get_int(f, "column", 0), 7);
	f = doc_at(doc_get(root, "findings"), 2);
	assert_str(doc_get_str(f, "path"), "evil\033[2J\nname");
	arena_fini(&a);
	buf_fini(&out);
}

static void test_sarif(void **s UNUSED)
{
	struct buf             out = BUF_INIT(1 << 20);
	struct arena           a = ARENA_INIT(1 << 20);
	const struct doc_node *root, *run, *r, *place;

	gate_report_sarif(&verdict, &out);
	root = parse(&a, &out);
	assert_str(doc_get_str(root, "version"), "2.1.0");
	run = doc_at(doc_get(root, "runs"), 0);
	assert_str(doc_get_str(doc_path(run, "tool.driver"), "name"), "weir");
	assert_int_equal(doc_len(doc_path(run, "tool.driver.rules")), 2); /* each rule once */
	assert_false(doc_get_bool(doc_at(doc_get(run, "invocations"), 0), "executionSuccessful", true));
	assert_int_equal(doc_len(doc_get(run, "results")), 3);
	r = doc_at(doc_get(run, "results"), 0);
	assert_str(doc_get_str(r, "ruleId"), "github-token");
	assert_int_equal(doc_get_int(r, "ruleIndex", -1), 0);
	assert_str(doc_get_str(r, "level"), "error");
	assert_int_equal(doc_len(doc_get(r, "suppressions")), 0);
	assert_str(doc_get_str(doc_get(r, "partialFingerprints"), "weirFinding/v1"), "00112233445566778899aabbccddeeff");
	place = doc_get(doc_at(doc_get(r, "locations"), 0), "physicalLocation");
	assert_str(doc_get_str(doc_get(place, "artifactLocation"), "uri"), "src/a%20b.py");
	assert_int_equal(doc_get_int(doc_get(place, "region"), "startLine", 0), 3);
	assert_int_equal(doc_get_int(doc_get(place, "region"), "endColumn", 0), 47);
	r = doc_at(doc_get(run, "results"), 1);
	assert_str(doc_get_str(doc_at(doc_get(r, "suppressions"), 0), "kind"), "external");
	assert_str(doc_get_str(doc_at(doc_get(r, "suppressions"), 0), "justification"), "dev until 2027-01-01: recorded");
	r = doc_at(doc_get(run, "results"), 2);
	assert_int_equal(doc_get_int(r, "ruleIndex", -1), 1);
	assert_null(doc_get(doc_get(doc_at(doc_get(r, "locations"), 0), "physicalLocation"), "region")); /* no line: no region */
	arena_fini(&a);
	buf_fini(&out);
}

static void test_nothing_found(void **s UNUSED)
{
	const struct verdict   v = { .call = VERDICT_PASS };
	struct buf             out = BUF_INIT(1 << 20);
	struct arena           a = ARENA_INIT(1 << 20);
	const struct doc_node *run;

	gate_report_text(&v, &out, false);
	assert_str(buf_str(&out), "pass: 0 errors, 0 warnings, 0 notes, 0 waived\n");
	buf_clear(&out);
	gate_report_sarif(&v, &out);
	run = doc_at(doc_get(parse(&a, &out), "runs"), 0);
	assert_int_equal(doc_get(run, "results")->kind, DOC_SEQ); /* empty, not absent: that would say "not scanned" */
	assert_int_equal(doc_len(doc_get(run, "results")), 0);
	arena_fini(&a);
	buf_fini(&out);
}

static void test_output_limit(void **s UNUSED)
{
	struct buf out = BUF_INIT(200);
	struct err e = { 0 };

	gate_report_sarif(&verdict, &out);
	assert_err(buf_check(&out, "report", &e), WEIR_ELIMIT);
	buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),          cmocka_unit_test(test_json),         cmocka_unit_test(test_sarif),
		cmocka_unit_test(test_nothing_found), cmocka_unit_test(test_output_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
