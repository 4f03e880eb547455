/* act_run_only.c - workflows of nektos/act that need neither actions nor containers, run for real: {name, class, event, expect success|failure,
 * workflow, files?}. The way is that of `weir run`: reader, planner, local queue, sandbox. */
#include "base/base.h"
#include "base/fs.h"
#include "base/hash.h"
#include "conformance.h"
#include "pipeline/local.h"
#include "pipeline/sandbox.h"

#include <unistd.h>

struct seen {
	struct buf log;
};

static void on_log(void *ctx, const struct plan_job *job, size_t step, str bytes)
{
	struct seen *s = ctx;

	(void)job;
	(void)step;
	buf_add_str(&s->log, bytes);
}
static void on_step(void *ctx, const struct plan_job *job, size_t step, const struct job_view *v)
{
	struct seen *s = ctx;

	if (v->state == JOB_FAILURE)
		buf_addf(&s->log, "[%.*s step %zu '%s': %s]\n", STR_ARG(job->name), step, v->name, v->cause);
}

/* The helper that stands for weir lies beside the tests. */
static bool helper(char *out, size_t size)
{
	char self[1024];

	if (fs_self_exe(self, sizeof(self), NULL))
		return false;
	*strrchr(self, '/') = 0;
	return snprintf(out, size, "%s/unit/pipeline/step-helper", self) < (int)size && fs_exists(out);
}

static int execute(struct conf_case *c, const char *dir, const char *exe, struct seen *seen, enum plan_result *ret, struct err *err)
{
	struct workflow    *wf;
	struct plan        *plan;
	struct plan_input   in = { .event = doc_get_str(c->json, "event"), .project = STR("act"), .ref = STR("refs/heads/main"),
		                       .commit = STR("89e6c98d92887913cadf06b2adb97f26cde4849b"), .before = STR("0000000000000000000000000000000000000000"),
		                       .actor = STR("act"), .run_id = STR("1"), .run_number = 1, .run_attempt = 1 };
	struct local_config cfg = { .dir = dir, .exe = exe, .source = dir, .log = on_log, .step_ended = on_step, .ctx = seen };
	int                 r = workflow_parse(c->arena, ".github/workflows/push.yml", doc_get_str(c->json, "workflow"), &wf, err);

	if (!r)
		r = plan_make(c->arena, wf, &in, &plan, err);
	return r ? r : local_run(c->arena, plan, &cfg, ret, err);
}

static void judge(struct conf_case *c, int r, enum plan_result result, const struct seen *seen, const struct err *err)
{
	str         expect = doc_get_str(c->json, "expect");
	const char *got = r ? "failure" : plan_result_name(result);
	char        want[32];

	snprintf(want, sizeof(want), "%.*s", STR_ARG(expect));
	if (!strcmp(got, want))
		conf_pass(c, NULL);
	else
		conf_fail(c, NULL, want, "%s: %s%.*s", got, r ? err->msg : "", STR_ARG(str_sub(buf_str(&seen->log), 0, 1500)));
}

static void run(struct conf_case *c)
{
	struct seen      seen = { BUF_INIT(16 << 20) };
	struct err       err = { 0 };
	char             dir[256], exe[1100];
	enum plan_result result = RESULT_NONE;
	int              r;

	if (!str_eqz(doc_get_str(c->json, "class"), "run_only")) {
		conf_skip(c, NULL, "needs actions, containers or Windows (%.*s)", STR_ARG(doc_get_str(c->json, "class")));
		return;
	}
	if (!str_has_prefix(doc_get_str(c->json, "expect"), STR("success")) && !str_has_prefix(doc_get_str(c->json, "expect"), STR("failure"))) {
		conf_skip(c, NULL, "expects '%.*s', about act's planner", STR_ARG(doc_get_str(c->json, "expect")));
		return;
	}
	if (!helper(exe, sizeof(exe))) {
		conf_skip(c, NULL, "the helper program is not built");
		return;
	}
	if (sandbox_probe(&err) || fs_temp_dir("weir-act-", dir, sizeof(dir), &err)) {
		conf_skip(c, NULL, "%s", err.msg);
		return;
	}
	r = execute(c, dir, exe, &seen, &result, &err);
	judge(c, r, result, &seen, &err);
	buf_fini(&seen.log);
	if (fs_remove_tree(dir, &err))
		conf_fail(c, "clean-up", "removed", "%s", err.msg);
}

static const char *const files[] = { "pipelines/act-workflows.jsonl", NULL };
const struct conf_suite suite_act_run_only = { .name = "act-run-only", .files = files, .run = run };
