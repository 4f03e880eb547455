/* The planner: filters, matrices, names, decisions, job specs. */
#include "lib/test.h"

#include "base/hash.h"
#include "pipeline/plan.h"

static struct arena a;

#define COMMIT "1111111111111111111111111111111111111111"
#define ZERO   "0000000000000000000000000000000000000000"

static struct plan_input push_to(const char *ref)
{
	return (struct plan_input){ .event = STR("push"), .project = STR("shop"), .ref = str_z(ref), .commit = STR(COMMIT), .before = STR(ZERO),
		                        .actor = STR("laptop"), .subject = STR("Fix"), .server_url = STR("http://w:1"), .run_id = STR("RUN"),
		                        .run_number = 3, .run_attempt = 1 };
}

static struct plan *plan_ok(const char *text, const struct plan_input *in)
{
	struct workflow *wf = NULL;
	struct plan     *p = NULL;
	struct err       e = { 0 };

	assert_ok(workflow_parse(&a, "ci.yml", str_z(text), &wf, &e), &e);
	assert_ok(plan_make(&a, wf, in, &p, &e), &e);
	return p;
}

static const char *plan_err(const char *text, const struct plan_input *in)
{
	struct workflow *wf = NULL;
	struct plan     *p = NULL;
	struct err       e = { 0 };

	assert_ok(workflow_parse(&a, "ci.yml", str_z(text), &wf, &e), &e);
	assert_err(plan_make(&a, wf, in, &p, &e), WEIR_EINVAL);
	return arena_dupz(&a, e.msg);
}

static struct plan *plan_push(const char *text)
{
	struct plan_input in = push_to("refs/heads/main");

	return plan_ok(text, &in);
}

/* Names of all jobs, joined by "|". */
static const char *names(const struct plan *p)
{
	char *all = arena_dupz(&a, "");

	for (size_t g = 0; g < p->n_groups; g++)
		for (size_t i = 0; i < p->groups[g].n_jobs; i++)
			all = arena_printf(&a, "%s%s%.*s", all, *all ? "|" : "", STR_ARG(p->groups[g].jobs[i].name));
	return all;
}

static const char *matrix_names(const char *matrix)
{
	return names(plan_push(arena_printf(&a, "on: push\njobs:\n  a:\n    runs-on: x\n    strategy:\n      matrix:\n%s    steps: [{run: x}]\n", matrix)));
}

static void filters(void **state)
{
	static const struct {
		const char *on, *ref, *path, *cause; /* cause "": runs; path NULL: unknown */
	} rows[] = {
		{ "push", "refs/heads/x", NULL, "" },
		{ "push", "refs/tags/v1", NULL, "" },
		{ "push", "refs/notes/x", NULL, "ref: " },
		{ "workflow_dispatch", "refs/heads/x", NULL, "on: the workflow does not name push" },
		{ "{push: {branches: [main]}}", "refs/heads/main", NULL, "" },
		{ "{push: {branches: [main]}}", "refs/heads/dev", NULL, "branches: branch 'dev' matches no pattern" },
		{ "{push: {branches: [main]}}", "refs/tags/v1", NULL, "tags: the workflow names branches only" },
		{ "{push: {tags: [v*]}}", "refs/heads/main", NULL, "branches: the workflow names tags only" },
		{ "{push: {tags: [v*]}}", "refs/tags/v1", NULL, "" },
		{ "{push: {tags-ignore: [v*]}}", "refs/tags/v1", NULL, "tags-ignore: tag 'v1' is ignored" },
		{ "{push: {branches-ignore: ['wip/**']}}", "refs/heads/wip/a/b", NULL, "branches-ignore: branch 'wip/a/b' is ignored" },
		{ "{push: {branches-ignore: ['wip/**']}}", "refs/heads/main", NULL, "" },
		{ "{push: {branches: ['r/**', '!r/**-alpha']}}", "refs/heads/r/1-alpha", NULL, "branches: " },
		{ "{push: {branches: ['r/**', '!r/**-alpha', 'r/b-alpha']}}", "refs/heads/r/b-alpha", NULL, "" },
		{ "{push: {paths: ['src/**']}}", "refs/heads/main", "src/a.c", "" },
		{ "{push: {paths: ['src/**']}}", "refs/heads/main", "doc/a.md", "paths: none of the 1 changed files matches" },
		{ "{push: {paths: ['src/**', '!src/doc/**']}}", "refs/heads/main", "src/doc/a", "paths: " },
		{ "{push: {paths: ['src/**']}}", "refs/heads/main", NULL, "" },
		{ "{push: {paths: ['src/**']}}", "refs/tags/v1", "doc/a.md", "" },
		{ "{push: {paths-ignore: ['doc/**']}}", "refs/heads/main", "doc/a.md", "paths-ignore: " },
		{ "{push: {paths-ignore: ['doc/**']}}", "refs/heads/main", "a.c", "" },
		{ "{push: {branches: [dev], paths: ['src/**']}}", "refs/heads/main", "src/a", "branches: " },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct plan_input in = push_to(rows[i].ref);
		str               path = str_z(rows[i].path);

		in.paths = &path;
		in.n_paths = in.paths_known = rows[i].path != NULL;
		struct plan *p = plan_ok(arena_printf(&a, "on: %s\njobs:\n  a: {runs-on: x, steps: [{run: x}]}\n", rows[i].on), &in);
		if (p->runs != !*rows[i].cause || !str_has_prefix(p->cause, str_z(rows[i].cause)))
			fail_msg("row %zu: '%s', seen '%.*s'", i, rows[i].cause, STR_ARG(p->cause));
	}
}

static void matrices(void **state)
{
	(void)state;
	assert_string_equal(matrix_names("        v: [1, 2]\n        os: [a, b]\n"), "a (1, a)|a (1, b)|a (2, a)|a (2, b)");
	/* the example of GitHub's documentation */
	assert_string_equal(matrix_names("        fruit: [apple, pear]\n        animal: [cat, dog]\n        include:\n"
	                                 "          - color: green\n          - color: pink\n            animal: cat\n"
	                                 "          - fruit: apple\n            shape: circle\n          - fruit: banana\n"
	                                 "          - fruit: banana\n            animal: cat\n"),
	                    "a (apple, cat, pink, circle)|a (apple, dog, green, circle)|a (pear, cat, pink)|a (pear, dog, green)|a (banana)|a (banana, cat)");
	assert_string_equal(matrix_names("        os: [m, w]\n        version: [12, 14, 16]\n        exclude:\n          - os: m\n            version: 12\n"
	                                 "          - os: w\n            version: 16\n"),
	                    "a (m, 14)|a (m, 16)|a (w, 12)|a (w, 14)");
	assert_string_equal(matrix_names("        include:\n          - {site: p, dc: a}\n          - {site: s, dc: b}\n"), "a (p, a)|a (s, b)");
	/* exclude first, then include may bring it back; nested maps are matched by their leaves */
	assert_string_equal(matrix_names("        os: [m, w]\n        exclude: [{os: m}]\n        include: [{os: m, x: 1}]\n"), "a (w)|a (m, 1)");
	assert_string_equal(matrix_names("        t: [{n: 1, k: x}, {n: 2, k: y}]\n        exclude: [{t: {n: 1}}]\n"), "a (2, y)");
	assert_string_equal(matrix_names("        v: ${{ fromJSON('[1.5, true, null]') }}\n"), "a (1.5)|a (true)|a ()");
	assert_string_equal(names(plan_push("on: push\njobs:\n  a:\n    name: Go ${{ matrix.v }}\n    runs-on: ${{ matrix.v }}\n"
	                                    "    strategy: {matrix: {v: [x, y]}}\n    steps: [{run: x}]\n")), "Go x|Go y");
	assert_string_equal(names(plan_push("on: push\njobs:\n  a:\n    name: Go\n    runs-on: x\n    strategy: {matrix: {v: [x, y]}}\n    steps: [{run: x}]\n")),
	                    "Go (x)|Go (y)");
}

static void matrix_errors(void **state)
{
	struct plan_input in = push_to("refs/heads/main");

	(void)state;
#define MATRIX(m) "on: push\njobs:\n  a:\n    runs-on: x\n    strategy: {matrix: " m "}\n    steps: [{run: x}]\n"
	assert_non_null(strstr(plan_err(MATRIX("{os: [a], exclude: [{os: a}]}"), &in), "ci.yml:5:24: the matrix makes no job"));
	assert_non_null(strstr(plan_err(MATRIX("{os: [a], exclude: [{oz: a}]}"), &in), "'oz', which is no vector"));
	assert_non_null(strstr(plan_err(MATRIX("'${{ fromJSON(''[1]'') }}'"), &in), "must be an object"));
	assert_non_null(strstr(plan_err(MATRIX("'${{ fromJSON(''{\"a\":[]}'') }}'"), &in), "'a' has no values"));
	assert_non_null(strstr(plan_err(MATRIX("{a: [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17], b: [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]}"), &in),
	                       "more than 256 jobs"));
	assert_non_null(strstr(plan_err("on: push\njobs:\n  a:\n    runs-on: ${{ fromJSON('[]') }}\n    steps: [{run: x}]\n", &in), "1 to 32 labels"));
	assert_non_null(strstr(plan_err("on: push\njobs:\n  a:\n    runs-on: x\n    timeout-minutes: ${{ 0 }}\n    steps: [{run: x}]\n", &in),
	                       "ci.yml:5:22: 'timeout-minutes' must be a number"));
}

static void inputs(void **state)
{
	static const char text[] = "on:\n  workflow_dispatch:\n    inputs:\n      level: {type: choice, options: [low, high]}\n      n: {type: number, required: true}\n"
	                           "      dry: {type: boolean, default: true}\n      who: {}\njobs:\n  a:\n    if: inputs.dry\n    runs-on: ${{ inputs.level }}\n    steps: [{run: x}]\n";
	struct plan_input in = push_to("refs/heads/main");
	struct doc_node  *n;
	struct err        e = { 0 };

	(void)state;
	in.event = STR("workflow_dispatch");
	assert_ok(doc_parse_json(&a, "in", STR("{\"n\":\"4\"}"), &n, &e), &e);
	in.inputs = n;
	struct plan *p = plan_ok(text, &in);
	assert_int_equal(p->groups[0].call, PLAN_RUN);
	assert_str(p->groups[0].jobs[0].labels[0], "low");
	assert_int_equal(expr_get(p->inputs, STR("n"))->kind, EXPR_NUMBER);
	assert_ok(doc_parse_json(&a, "in", STR("{\"n\":4,\"dry\":false,\"level\":\"high\"}"), &n, &e), &e);
	in.inputs = n;
	p = plan_ok(text, &in);
	assert_int_equal(p->groups[0].call, PLAN_SKIP);
	assert_str(p->groups[0].cause, "if: inputs.dry is false");
	static const char *const bad[][2] = { { "{}", "input 'n' is required" }, { "{\"n\":\"x\"}", "'n' must be a number" },
		{ "{\"n\":1,\"dry\":\"yes\"}", "'dry' must be true or false" }, { "{\"n\":1,\"level\":\"mid\"}", "one of its options" },
		{ "{\"n\":1,\"more\":\"x\"}", "no input 'more'" }, { "{\"n\":[1]}", "single value" } };
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_ok(doc_parse_json(&a, "in", str_z(bad[i][0]), &n, &e), &e);
		in.inputs = n;
		const char *msg = plan_err(text, &in);
		if (!strstr(msg, bad[i][1]))
			fail_msg("%s: %s", bad[i][0], msg);
	}
}

/* --- decisions --- */

static const char diamond[] =
	"on: push\njobs:\n  a: {runs-on: x, steps: [{run: x}]}\n  b: {needs: a, runs-on: x, steps: [{run: x}]}\n"
	"  c: {needs: a, if: 'always()', runs-on: x, steps: [{run: x}]}\n  d: {needs: [b, c], runs-on: x, steps: [{run: x}]}\n"
	"  e: {needs: [b], if: 'failure()', runs-on: x, steps: [{run: x}]}\n  f: {needs: c, if: \"needs.c.outputs.go == 'yes'\", runs-on: x, steps: [{run: x}]}\n";

static const char *decide(const struct plan *p, size_t g, const struct plan_state *st, bool cancelled)
{
	static const char *const calls[] = { "wait", "run", "skip" };
	enum plan_call           call;
	str                      cause;
	struct err               e = { 0 };

	assert_ok(plan_decide(&a, p, g, st, cancelled, &call, &cause, &e), &e);
	return cause.len ? arena_printf(&a, "%s %.*s", calls[call], STR_ARG(cause)) : calls[call];
}

static void decisions(void **state)
{
	struct plan      *p = plan_push(diamond);
	struct plan_state st[6] = { 0 };
	struct expr_pair  go = { STR("go"), expr_string(&a, STR("yes")) };

	(void)state;
	assert_int_equal(p->groups[0].call, PLAN_RUN);
	assert_int_equal(p->groups[1].call, PLAN_WAIT);
	assert_string_equal(decide(p, 1, st, false), "wait");
	st[0].result = RESULT_SUCCESS;
	assert_string_equal(decide(p, 1, st, false), "run");
	st[0].result = RESULT_FAILURE;
	assert_string_equal(decide(p, 1, st, false), "skip needs: 'a' ended with failure");
	assert_string_equal(decide(p, 2, st, false), "run");
	st[1].result = RESULT_SKIPPED;
	st[2].result = RESULT_SUCCESS;
	assert_string_equal(decide(p, 3, st, false), "skip needs: 'a' ended with failure");
	assert_string_equal(decide(p, 4, st, false), "run"); /* failure() looks at all ancestors */
	st[2].outputs = expr_object(&a, &go, 1);
	assert_string_equal(decide(p, 5, st, false), "skip needs: 'a' ended with failure"); /* and so does the implicit success() */
	st[0].result = st[1].result = RESULT_SUCCESS;
	assert_string_equal(decide(p, 5, st, false), "run");
	st[2].outputs = NULL;
	assert_string_equal(decide(p, 5, st, false), "skip if: needs.c.outputs.go == 'yes' is false");
	assert_string_equal(decide(p, 3, st, true), "skip cancelled: the run was cancelled");
	assert_string_equal(decide(p, 2, st, true), "run");
	st[0].result = RESULT_CANCELLED;
	assert_string_equal(decide(p, 4, st, false), "skip needs: 'a' ended with cancelled");
}

static void group_results(void **state)
{
	enum plan_result r[3] = { RESULT_SUCCESS, RESULT_FAILURE, RESULT_CANCELLED };
	bool             c[3] = { false };

	(void)state;
	assert_int_equal(plan_group_result(r, c, 3), RESULT_FAILURE);
	c[1] = true;
	assert_int_equal(plan_group_result(r, c, 3), RESULT_CANCELLED);
	assert_int_equal(plan_group_result(r, c, 2), RESULT_SUCCESS);
	r[0] = RESULT_SKIPPED;
	assert_int_equal(plan_group_result(r, c, 1), RESULT_SKIPPED);
}

static void deferred(void **state)
{
	struct plan *p = plan_push("on: push\njobs:\n  a: {runs-on: x, steps: [{run: x}]}\n  b:\n    needs: a\n    runs-on: x\n"
	                           "    strategy: {matrix: {v: '${{ fromJSON(needs.a.outputs.list) }}'}, max-parallel: 2}\n    steps: [{run: x}]\n");
	struct plan_state st[2] = { { RESULT_SUCCESS, NULL } };
	struct expr_pair  list = { STR("list"), expr_string(&a, STR("[\"x\",\"y\",\"z\"]")) };
	struct plan_group g;
	struct err        e = { 0 };

	(void)state;
	assert_true(p->groups[1].deferred);
	assert_int_equal(p->groups[1].n_jobs, 0);
	st[0].outputs = expr_object(&a, &list, 1);
	assert_ok(plan_expand(&a, p, 1, st, &g, &e), &e);
	assert_int_equal(g.n_jobs, 3);
	assert_int_equal(g.max_parallel, 2);
	assert_str(g.jobs[2].key, "b.3");
	assert_str(g.jobs[2].name, "b (z)");
	st[0].outputs = NULL;
	assert_true(plan_expand(&a, p, 1, st, &g, &e) != 0);
}

static void digests(void **state)
{
	struct plan_input in = push_to("refs/heads/main"), other = in;
	struct plan      *p = plan_ok(diamond, &in);

	(void)state;
	other.run_id = STR("OTHER");
	other.run_number = 77;
	other.server_url = STR("");
	other.actor = STR("reader");
	assert_string_equal(p->digest, plan_ok(diamond, &other)->digest);
	other.ref = STR("refs/heads/dev");
	assert_string_not_equal(p->digest, plan_ok(diamond, &other)->digest);
	assert_string_not_equal(p->digest, plan_push(arena_printf(&a, "%s# more\n", diamond))->digest);
}

static void concurrency(void **state)
{
	struct plan *p = plan_push("on: push\nconcurrency: {group: 'g-${{ github.ref_name }}', cancel-in-progress: \"${{ github.ref == 'x' }}\"}\n"
	                           "jobs:\n  a: {runs-on: x, steps: [{run: x}]}\n");

	(void)state;
	assert_str(p->concurrency.group, "g-main");
	assert_false(p->concurrency.cancel);
}

static void job_concurrency(void **state)
{
	struct plan *p = plan_push("on: push\njobs:\n  a:\n    runs-on: x\n    strategy: {matrix: {v: [p, q]}}\n"
	                           "    concurrency: {group: 'g-${{ matrix.v }}', queue: max}\n    cancel-timeout-minutes: 2\n    steps: [{run: x}]\n"
	                           "  b: {needs: a, concurrency: '${{ needs.a.outputs.g }}', runs-on: x, steps: [{run: x}]}\n");

	(void)state;
	assert_str(p->groups[0].jobs[0].concurrency.group, "g-p");
	assert_str(p->groups[0].jobs[1].concurrency.group, "g-q");
	assert_true(p->groups[0].jobs[1].concurrency.queue_max && !p->groups[0].jobs[1].concurrency.cancel);
	assert_int_equal(p->groups[0].jobs[0].cancel_timeout_ms, 120000);
	assert_true(p->groups[1].deferred);
}

static void run_names(void **state)
{
#define NAMED(n) "name: CI\non:\n  push:\n  workflow_dispatch:\n" n "jobs:\n  a: {runs-on: x, steps: [{run: x}]}\n"
	struct plan_input in = push_to("refs/heads/main"), other = in;

	(void)state;
	assert_str(plan_ok(NAMED("run-name: Deploy ${{ github.ref_name }} by @${{ github.actor }}\n"), &in)->run_name, "Deploy main by @laptop");
	assert_str(plan_ok(NAMED(""), &in)->run_name, "Fix");
	assert_str(plan_ok(NAMED("run-name: \"${{ '' }}\"\n"), &in)->run_name, "Fix");
	other.actor = STR("reader"); /* who it was is no part of the plan */
	assert_string_equal(plan_ok(NAMED("run-name: ${{ github.actor }}\n"), &in)->digest, plan_ok(NAMED("run-name: ${{ github.actor }}\n"), &other)->digest);
	in.event = STR("workflow_dispatch");
	assert_str(plan_ok(NAMED(""), &in)->run_name, "CI");
}

/* One expression that gives a whole map, and keys of a matrix. */
static void whole_maps(void **state)
{
	struct plan_input in = push_to("refs/heads/main");

	(void)state;
#define STRATEGY(json) "on: push\njobs:\n  a:\n    runs-on: x\n    strategy: ${{ fromJSON('" json "') }}\n    steps: [{run: x}]\n"
#define KEY(line) "on: push\njobs:\n  a:\n    runs-on: x\n    strategy:\n      matrix:\n        " line "\n    steps: [{run: x}]\n"
	struct plan *p = plan_ok(STRATEGY("{\"matrix\":{\"v\":[1,2]},\"fail-fast\":false,\"max-parallel\":1}"), &in);
	assert_string_equal(names(p), "a (1)|a (2)");
	assert_false(p->groups[0].fail_fast);
	assert_int_equal(p->groups[0].max_parallel, 1);
	assert_non_null(strstr(plan_err(STRATEGY("{\"matirx\":{}}"), &in), "ci.yml:5:15: unknown key 'matirx' in 'strategy'"));
	assert_non_null(strstr(plan_err(STRATEGY("[]"), &in), "'strategy' must be an object"));
	assert_non_null(strstr(plan_err(STRATEGY("{\"fail-fast\":1}"), &in), "'fail-fast' must be"));
	assert_non_null(strstr(plan_err(STRATEGY("{\"max-parallel\":0}"), &in), "'max-parallel' must be"));
	assert_true(plan_push("on: push\njobs:\n  a: {runs-on: x, steps: [{run: x}]}\n  b: {needs: a, runs-on: x, strategy: '${{ fromJSON(needs.a.outputs.s) }}',"
	                      " steps: [{run: x}]}\n")->groups[1].deferred);
	assert_string_equal(names(plan_push(KEY("${{ github.actor }}: [1, 2]"))), "a (1)|a (2)");
	assert_string_equal(names(plan_push(KEY("${{ insert }}: ${{ fromJSON('{\"v\":[7]}') }}\n        w: [x]"))), "a (7, x)");
	assert_non_null(strstr(plan_err(KEY("${{ insert }}: ${{ 'x' }}"), &in), "what ${{ insert }} inserts must be an object"));
	assert_non_null(strstr(plan_err(KEY("${{ '' }}: [1]"), &in), "ci.yml:7:9: the expression of this key gives nothing"));
}

static int whole_env_spec(const char *env, struct buf *out, struct err *e)
{
	struct plan *p = plan_push(arena_printf(&a, "on: push\nenv: {A: 1, B: 2}\njobs:\n  a:\n    runs-on: x\n    env: %s\n"
	                                        "    steps: [{run: x, env: \"${{ fromJSON('{}') }}\"}]\n", env));
	struct plan_job_extra x = { .job = STR("J"), .lease = STR("L"), .lease_ms = 1, .attempt = 1 };
	struct plan_state     st[1] = { 0 };

	buf_clear(out);
	return plan_job_spec(&a, p, &p->groups[0].jobs[0], st, &x, out, e);
}

static void whole_env(void **state)
{
	struct buf out = BUF_INIT(1 << 20);
	struct err e = { 0 };

	(void)state;
	assert_ok(whole_env_spec("${{ fromJSON('{\"B\":3.5,\"C\":true}') }}", &out, &e), &e);
	assert_non_null(strstr(buf_z(&out), "\"env\":{\"A\":\"1\",\"B\":\"3.5\",\"C\":\"true\"}"));
	assert_non_null(strstr(buf_z(&out), "\"env\":\"${{ fromJSON('{}') }}\""));
	assert_err(whole_env_spec("${{ fromJSON('[1]') }}", &out, &e), WEIR_EINVAL);
	assert_non_null(strstr(e.msg, "ci.yml:6:10: 'env' must be an object"));
	assert_err(whole_env_spec("${{ fromJSON('{\"B\":[]}') }}", &out, &e), WEIR_EINVAL);
	assert_non_null(strstr(e.msg, "'B' of 'env' must be a text"));
	buf_fini(&out);
}

/* --- spec --- */

static void spec(void **state)
{
	struct plan *p = plan_push(
		"on: push\nenv: {A: 1, B: 'w-${{ github.actor }}'}\ndefaults: {run: {shell: sh}}\njobs:\n  a: {runs-on: x, steps: [{run: x}]}\n"
		"  b:\n    needs: a\n    runs-on: [x, y]\n    timeout-minutes: 2\n    env: {B: 'j-${{ needs.a.outputs.v }}', T: '${{ secrets.GITHUB_TOKEN }}', N: 3.10}\n"
		"    defaults: {run: {working-directory: 'd-${{ env.B }}'}}\n    environment: prod\n    outputs: {o: '${{ steps.s.outputs.o }}'}\n"
		"    strategy: {matrix: {v: [7]}}\n"
		"    steps:\n      - id: s\n        name: N ${{ matrix.v }}\n        run: echo ${{ env.B }}\n        if: always()\n        timeout-minutes: 1\n"
		"      - uses: actions/checkout@v4\n        with: {fetch-depth: 0}\n");
	struct plan_state     st[2] = { { RESULT_SUCCESS, NULL } };
	struct expr_pair      v = { STR("v"), expr_string(&a, STR("1.2")) };
	struct plan_job_extra x = { .job = STR("JOB"), .lease = STR("L"), .lease_ms = 30000, .attempt = 2, .cause = STR("lost"),
		                        .clone_url = STR("http://w:1/git/shop.git"), .token = STR("weir_j_x"), .job_total = 1 };
	struct buf            out = BUF_INIT(1 << 20);
	struct doc_node      *n;
	struct err            e = { 0 };

	(void)state;
	st[0].outputs = expr_object(&a, &v, 1);
	assert_ok(plan_job_spec(&a, p, &p->groups[1].jobs[0], st, &x, &out, &e), &e);
	assert_ok(doc_parse_json(&a, "spec", buf_str(&out), &n, &e), &e);
#define WANT(path, z) assert_str(doc_path(n, path)->s, z)
	WANT("env.A", "1");
	WANT("env.B", "j-1.2");
	WANT("env.T", "weir_j_x");
	WANT("env.N", "3.1");
	WANT("defaults.shell", "sh");
	WANT("defaults.working_directory", "d-j-1.2");
	WANT("contexts.github.token", "weir_j_x");
	WANT("contexts.github.job", "b");
	WANT("contexts.github.ref_name", "main");
	WANT("contexts.needs.a.result", "success");
	WANT("contexts.needs.a.outputs.v", "1.2");
	WANT("environment.name", "prod");
	WANT("repository.commit", COMMIT);
	WANT("outputs.o", "${{ steps.s.outputs.o }}");
	WANT("name", "b (7)");
	WANT("key", "b.1");
	assert_int_equal(doc_get_int(n, "timeout_ms", 0), 120000);
	assert_int_equal(doc_get_int(n, "attempt", 0), 2);
	const struct doc_node *s0 = doc_at(doc_get(n, "steps"), 0), *s1 = doc_at(doc_get(n, "steps"), 1);
	assert_str(doc_get_str(s0, "run"), "echo ${{ env.B }}");
	assert_str(doc_get_str(s0, "if"), "always()");
	assert_str(doc_get_str(s1, "uses"), "actions/checkout@v4");
	assert_str(doc_path(s1, "with.fetch-depth")->s, "0");
	assert_null(doc_get(s1, "run"));
	buf_fini(&out);
}

static void input_round_trip(void **state)
{
	struct plan_input in = push_to("refs/heads/main"), back;
	struct buf        b = BUF_INIT(1 << 16);
	struct jw         w;
	struct doc_node  *n;
	struct err        e = { 0 };

	(void)state;
	jw_init(&w, &b);
	plan_input_write(&in, &w);
	assert_ok(doc_parse_json(&a, "in", buf_str(&b), &n, &e), &e);
	assert_ok(plan_input_read(&a, n, &back, &e), &e);
	assert_string_equal(plan_ok(diamond, &in)->digest, plan_ok(diamond, &back)->digest);
	assert_str(back.actor, "laptop");
	assert_int_equal(back.run_number, 3);
	buf_fini(&b);
}

static int setup(void **state)
{
	(void)state;
	arena_init(&a, 64 << 20);
	return 0;
}
static int teardown(void **state)
{
	(void)state;
	arena_fini(&a);
	return 0;
}
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { T(filters), T(matrices), T(matrix_errors), T(inputs), T(decisions), T(group_results), T(deferred),
		T(digests), T(concurrency), T(job_concurrency), T(run_names), T(whole_maps), T(whole_env), T(spec), T(input_round_trip) };

	base_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
