/* fuzz_workflow.c - no text crashes the workflow reader or the planner; what is planned is planned the same again, and each of its jobs can be
 * written as a spec or says why not. */
#include "base/base.h"

#include "base/hash.h"
#include "pipeline/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void specs(struct arena *a, const struct plan *p)
{
	struct plan_state *st = ARENA_ARRAY(a, p->n_groups, struct plan_state);
	struct plan_job_extra x = { .job = STR("j"), .lease = STR("l"), .token = STR("weir_j_t"), .attempt = 1, .job_total = 1 };

	for (size_t i = 0; st && i < p->n_groups; i++) {
		size_t            g = p->order[i];
		enum plan_call    call;
		struct plan_group group;
		str               cause;

		if (plan_decide(a, p, g, st, false, &call, &cause, NULL))
			return;
		if (call == PLAN_WAIT)
			BUG("a group waits for needs that have ended");
		if (call == PLAN_RUN && plan_expand(a, p, g, st, &group, NULL) == 0)
			for (size_t k = 0; k < group.n_jobs && k < 4; k++) {
				struct buf       out = BUF_INIT(8 << 20);
				struct doc_node *n;
				struct err       e = { 0 };

				if (plan_job_spec(a, p, &group.jobs[k], st, &x, &out, NULL) == 0 && doc_parse_json(a, "spec", buf_str(&out), &n, &e) &&
				    e.code == WEIR_EPARSE)
					BUG("a job spec is no JSON: %s", e.msg);
				buf_fini(&out);
			}
		st[g].result = call == PLAN_RUN ? RESULT_SUCCESS : RESULT_SKIPPED;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena      a = ARENA_INIT(64 << 20);
	struct workflow  *wf = NULL;
	struct plan      *p = NULL, *again = NULL;
	struct plan_input in = { .event = STR("push"), .project = STR("p"), .ref = STR("refs/heads/main"),
		                     .commit = STR("1111111111111111111111111111111111111111"), .before = STR("0000000000000000000000000000000000000000"),
		                     .actor = STR("a"), .subject = STR("s"), .server_url = STR("http://w"), .run_id = STR("r"), .run_number = 1,
		                     .run_attempt = 1 };

	if (workflow_parse(&a, "f.yml", str_n((const char *)data, size), &wf, NULL) == 0) {
		if (wf->on_dispatch && !wf->on_push)
			in.event = STR("workflow_dispatch");
		if (plan_make(&a, wf, &in, &p, NULL) == 0) {
			if (plan_make(&a, wf, &in, &again, NULL) == 0 && strcmp(p->digest, again->digest) != 0)
				BUG("the same workflow has two digests");
			if (p->runs)
				specs(&a, p);
		}
	}
	arena_fini(&a);
	return 0;
}
