/* test_local.c - the queue of `weir run` in real sandboxes: concurrency groups of jobs. */
#include "tests/unit/pipeline/step-help.h"

#include "pipeline/local.h"

struct seen {
	struct arena *a;
	char         *text; /* what happened, in order */
};

static void ended(void *ctx, const struct plan_job *job, const struct job_result *r)
{
	struct seen *s = ctx;

	s->text = arena_printf(s->a, "%s%.*s=%s %s;", s->text, STR_ARG(job->name), job_state_name(r->state), r->cause);
}

static void skipped(void *ctx, str group, str cause)
{
	struct seen *s = ctx;

	s->text = arena_printf(s->a, "%s%.*s: %.*s;", s->text, STR_ARG(group), STR_ARG(cause));
}

/* Runs a workflow and notes how each job ended. */
static enum plan_result run_workflow(struct arena *a, const char *text, struct seen *seen)
{
	struct plan_input   in = { .event = STR("push"), .project = STR("shop"), .ref = STR("refs/heads/main"), .commit = STR("0000"), .before = STR("0000"),
		                       .actor = STR("me"), .subject = STR("s"), .server_url = STR(""), .run_id = STR("R"), .run_number = 1, .run_attempt = 1 };
	char                dir[256], jobs[300], exe[1100];
	struct local_config cfg = { .dir = jobs, .exe = exe, .source = dir, .jobs_max = 4, .job_ended = ended, .group_skipped = skipped, .ctx = seen };
	struct workflow    *wf;
	struct plan        *p;
	enum plan_result    result = RESULT_NONE;
	struct err          err;

	*seen = (struct seen){ a, arena_dupz(a, "") };
	assert_ok(fs_temp_dir("weir-local-", dir, sizeof(dir), &err), &err);
	snprintf(jobs, sizeof(jobs), "%s/jobs", dir);
	assert_ok(fs_self_exe(exe, sizeof(exe), &err), &err);
	assert_ok(workflow_parse(a, "ci.yml", str_z(text), &wf, &err), &err);
	assert_ok(plan_make(a, wf, &in, &p, &err), &err);
	assert_ok(local_run(a, p, &cfg, &result, &err), &err);
	assert_ok(fs_remove_tree(dir, &err), &err);
	return result;
}

static void expect(const struct seen *s, const char *want)
{
	if (!strstr(s->text, want))
		fail_msg("expected \"%s\", seen \"%s\"", want, s->text);
}

static void test_concurrency(void **state)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(64 << 20);
	struct seen                s;

	(void)state;
	SKIP_WITHOUT_SANDBOX();
	/* as on the server: one holds, one waits, a later one takes its place */
	assert_int_equal(run_workflow(&a, "on: push\njobs:\n  a:\n    runs-on: x\n    concurrency: g\n    strategy: {fail-fast: false, matrix: {v: [1, 2, 3]}}\n"
	                              "    steps: [{run: 'true'}]\n", &s), RESULT_CANCELLED);
	expect(&s, "a (2): concurrency: superseded by a later job of the group;");
	expect(&s, "a (1)=success ;a (3)=success ;");
	/* all of them, in order, never two at once */
	assert_int_equal(run_workflow(&a, "on: push\njobs:\n  a:\n    runs-on: x\n    concurrency: {group: G, queue: max}\n"
	                              "    strategy: {matrix: {v: [1, 2, 3]}}\n    steps: [{run: sleep 0.05}]\n"
	                              "  b: {runs-on: x, concurrency: {group: g, queue: max}, steps: [{run: 'true'}]}\n", &s), RESULT_SUCCESS);
	expect(&s, "a (1)=success ;a (2)=success ;a (3)=success ;b=success ;");
	/* cancel-in-progress */
	assert_int_equal(run_workflow(&a, "on: push\njobs:\n  a: {runs-on: x, concurrency: g, steps: [{run: exec sleep 1000}]}\n"
	                              "  b: {runs-on: x, concurrency: {group: g, cancel-in-progress: true}, steps: [{run: 'true'}]}\n", &s), RESULT_CANCELLED);
	expect(&s, "a=cancelled concurrency: cancel-in-progress by a later job of the group;b=success ;");
	/* the run's own group */
	assert_int_equal(run_workflow(&a, "on: push\nconcurrency: g\njobs:\n  a: {runs-on: x, concurrency: g, steps: [{run: 'true'}]}\n", &s), RESULT_CANCELLED);
	expect(&s, "a: concurrency: the run holds the group itself");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_concurrency) };

	base_init();
	if (argc > 1 && !strcmp(argv[1], "guard"))
		return step_help_guard(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
