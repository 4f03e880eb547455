/* The workflow reader: what is obeyed, what is refused and where, and the filter patterns. */
#include "lib/test.h"

#include "base/hash.h"
#include "pipeline/plan.h"

static struct arena a;

static struct workflow *read_ok(const char *text)
{
	struct workflow *wf = NULL;
	struct err       e = { 0 };

	assert_ok(workflow_parse(&a, "ci.yml", str_z(text), &wf, &e), &e);
	assert_non_null(wf);
	return wf;
}

/* Every problem as "line:col message", joined by "|". */
static const char *problems(const char *text)
{
	struct doc_check c;
	struct workflow *wf = NULL;
	struct err       e = { 0 };
	char            *all = arena_dupz(&a, "");

	doc_check_init(&c, &a, "ci.yml");
	assert_ok(workflow_read(&a, str_z(text), &c, &wf, &e), &e);
	for (size_t i = 0; i < c.n_diags; i++)
		all = arena_printf(&a, "%s%s%u:%u %s", all, i ? "|" : "", c.diags[i].line, c.diags[i].col, c.diags[i].msg);
	assert_true((wf == NULL) == (c.n_diags > 0));
	return all;
}

static void expect_problem(const char *text, const char *want)
{
	const char *got = problems(text);

	if (!strstr(got, want))
		fail_msg("expected \"%s\", seen \"%s\" for\n%s", want, got, text);
}

#define JOB "jobs:\n  a:\n    runs-on: x\n    steps:\n      - run: true\n"

static void whole_workflow(void **state)
{
	struct workflow *wf = read_ok(
		"name: CI\n"
		"on:\n  push:\n    branches: [main, 'release/**']\n    paths-ignore: ['docs/**']\n    tags: v*\n"
		"  workflow_dispatch:\n    inputs:\n      level: {type: choice, options: [low, high], default: high, required: true, description: How much}\n"
		"      dry: {type: boolean}\n"
		"permissions: {contents: read}\n"
		"env: {A: 1, B: 'x ${{ github.ref }}'}\n"
		"defaults: {run: {shell: bash, working-directory: src}}\n"
		"concurrency: {group: 'g-${{ github.ref }}', cancel-in-progress: true}\n"
		"jobs:\n"
		"  build:\n    name: Build it\n    runs-on: [self-hosted, linux]\n    timeout-minutes: 5\n    outputs: {v: '${{ steps.s.outputs.v }}'}\n"
		"    steps:\n      - uses: actions/checkout@v4\n        with: {fetch-depth: 0}\n      - id: s\n        run: echo v=1 >> $GITHUB_OUTPUT\n        env: {X: y}\n"
		"  deploy:\n    needs: [build]\n    if: github.ref == 'refs/heads/main'\n    runs-on: ubuntu-latest\n    environment: {name: production, url: 'http://x'}\n"
		"    strategy: {matrix: {os: [a, b], include: [{os: c}]}, fail-fast: false, max-parallel: 1}\n    continue-on-error: ${{ matrix.os == 'b' }}\n"
		"    steps:\n      - uses: weir/release@v1\n        with: {service: shop, environment: production, files: dist}\n        timeout-minutes: 2\n");

	(void)state;
	assert_str(wf->name, "CI");
	assert_true(wf->on_push && wf->on_dispatch);
	assert_int_equal(wf->branches.n, 2);
	assert_true(wf->paths.ignore && wf->paths.set && wf->tags.set && !wf->tags.ignore);
	assert_int_equal(wf->n_inputs, 2);
	assert_int_equal(wf->inputs[0].type, WF_INPUT_CHOICE);
	assert_true(wf->inputs[0].required);
	assert_int_equal(wf->env.n, 2);
	assert_non_null(wf->concurrency.group);
	assert_int_equal(wf->n_jobs, 2);
	assert_int_equal(wf->jobs[1].n_needs, 1);
	assert_int_equal(wf->jobs[1].needs[0], 0);
	assert_int_equal(wf->jobs[0].steps[0].uses, WF_CHECKOUT);
	assert_int_equal(wf->jobs[1].steps[0].uses, WF_RELEASE);
	assert_str(wf->jobs[0].steps[1].id, "s");
	assert_non_null(wf->jobs[1].environment_url);
	assert_int_equal(strlen(wf->digest), 64);
}

static void triggers(void **state)
{
	(void)state;
	assert_true(read_ok("on: push\n" JOB)->on_push);
	assert_true(read_ok("on: [push, workflow_dispatch]\n" JOB)->on_dispatch);
	assert_true(read_ok("on:\n  push:\n" JOB)->on_push);
	expect_problem("on: pull_request\n" JOB, "1:5 event 'pull_request' is not obeyed by weir yet");
	expect_problem("on: [push, psuh]\n" JOB, "1:12 unknown event 'psuh' (did you mean 'push'?)");
	expect_problem("on:\n  schedule:\n    - cron: '* * * * *'\n" JOB, "2:3 event 'schedule' is not obeyed by weir yet");
	expect_problem("on: 5\n" JOB, "1:5 'on' must be an event's name, a list of them or a map");
	expect_problem("on: []\n" JOB, "1:5 'on' names no event");
	expect_problem(JOB, "'on'");
	expect_problem("on:\n  push:\n    branches: [a]\n    branches-ignore: [b]\n" JOB, "4:22 'branches' and 'branches-ignore' cannot be used together");
	expect_problem("on:\n  push:\n    branches: ['!a']\n" JOB, "3:15 'branches' has only patterns with '!'");
	expect_problem("on:\n  push:\n    tags-ignore: ['!a']\n" JOB, "'!' has no meaning in 'tags-ignore'");
	expect_problem("on:\n  push:\n    types: [x]\n" JOB, "3:5 unknown key 'types' in 'on.push'");
	expect_problem("on:\n  workflow_dispatch:\n    inputs:\n      a: {type: choice}\n" JOB, "4:10 an input of type 'choice' needs 'options'");
	expect_problem("on:\n  workflow_dispatch:\n    inputs:\n      a: {type: boolean, default: maybe}\n" JOB, "4:35 the default of a boolean input");
	expect_problem("on:\n  workflow_dispatch:\n    inputs:\n      a: {type: choice, options: [x], default: y}\n" JOB, "one of its options");
	expect_problem("on:\n  workflow_dispatch:\n    inputs:\n      a: {type: date}\n" JOB, "4:17");
}

static void keys(void **state)
{
	(void)state;
	expect_problem("on: push\nenvv: {}\n" JOB, "2:1 unknown key 'envv' in a workflow (did you mean 'env'?)");
	expect_problem("on: push\nrun-name: '${{ secrets.X }}'\n" JOB, "2:11 'secrets' (character 2 of the expression) cannot be read in 'run-name'");
	expect_problem("on: push\njobs:\n  a:\n    runs-on: x\n    services: {}\n    steps:\n      - run: x\n", "5:5 'services' is not obeyed by weir yet");
	expect_problem("on: push\njobs:\n  a:\n    runs-on: x\n    setps:\n      - run: x\n", "5:5 unknown key 'setps' in a job (did you mean 'steps'?)");
	expect_problem("on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n      - run: x\n        background: true\n", "7:9 'background' is not obeyed");
	expect_problem("on: push\njobs:\n  a:\n    runs-on: x\n    concurrency: {group: g, queue: some}\n    steps:\n      - run: x\n", "5:36 'queue'");
	expect_problem("on: push\nconcurrency: {group: g, queue: max, cancel-in-progress: true}\n" JOB, "2:32 'queue: max' and 'cancel-in-progress' cannot be");
	expect_problem("on: push\njobs:\n  a:\n    runs-on: x\n    concurrency: '${{ secrets.X }}'\n    steps:\n      - run: x\n", "5:18 'secrets'");
	expect_problem("on: push\njobs:\n  a:\n    runs-on: x\n    cancel-timeout-minutes: -1\n    steps:\n      - run: x\n", "5:29 'cancel-timeout-minutes' must be");
	expect_problem("on: push\njobs:\n  a:\n    runs-on: x\n    outputs: '${{ needs }}'\n    steps:\n      - run: x\n", "5:14 'outputs' must be a map");
	expect_problem("on: push\nenv: '${{ needs.x }}'\n" JOB, "2:6 'needs'");
	expect_problem("on: push\njobs:\n  a:\n    runs-on: x\n    strategy: {matrix: {'${{ foo }}': [1]}}\n    steps:\n      - run: x\n", "5:25 ");
	expect_problem("on: push\npermissions: {contents: reed}\n" JOB, "2:25");
	expect_problem("on: push\npermissions: {content: read}\n" JOB, "2:15 unknown key 'content' in 'permissions' (did you mean 'contents'?)");
	expect_problem("on: push\nconcurrency: {cancel-in-progress: true}\n" JOB, "'group'");
	expect_problem("on: push\ndefaults: {run: {shel: bash}}\n" JOB, "unknown key 'shel' in 'defaults.run' (did you mean 'shell'?)");
	expect_problem("on: push\njobs:\n  a:\n    runs-on: {group: g, labels: x}\n    steps: [{run: x}]\n", "4:15 'group' is not obeyed");
	expect_problem("on: push\njobs: {}\n", "2:7 'jobs' must have at least one job");
	expect_problem("on: push\n", "'jobs'");
	expect_problem("- a\n", "1:1 a workflow must be a map");
	expect_problem("on: push\nname: \"a\\0b\"\n" JOB, "2:7 'name' holds a NUL character");
	expect_problem("on: push\njobs: [\n", "3:1 ");
	expect_problem("on: push\non: push\n" JOB, "2:1");
}

static void jobs(void **state)
{
	(void)state;
	expect_problem("on: push\njobs:\n  __a:\n    runs-on: x\n    steps: [{run: x}]\n", "3:3 job id '__a': ids that start with '__' are reserved");
	expect_problem("on: push\njobs:\n  a b:\n    runs-on: x\n    steps: [{run: x}]\n", "3:3 job id 'a b' must be letters");
	expect_problem("on: push\njobs:\n  a:\n    runs-on: x\n    steps: [{run: x}]\n  A:\n    runs-on: x\n    steps: [{run: x}]\n",
	               "6:3 job id 'A' is used twice");
	expect_problem("on: push\njobs:\n  a:\n    steps: [{run: x}]\n", "'runs-on'");
	expect_problem("on: push\njobs:\n  a:\n    runs-on: x\n", "'steps'");
	expect_problem("on: push\njobs:\n  a:\n    runs-on: x\n    steps: []\n", "5:12 'steps' must have at least one step");
	expect_problem("on: push\njobs:\n  a:\n    runs-on: x\n    needs: b\n    steps: [{run: x}]\n",
	               "5:12 job 'a' needs 'b', which is no job of this workflow");
	expect_problem("on: push\njobs:\n  s:\n    runs-on: x\n    steps: [{run: x}]\n  a:\n    runs-on: x\n    needs: [s, b]\n    steps: [{run: x}]\n"
	               "  b:\n    runs-on: x\n    needs: a\n    steps: [{run: x}]\n", "8:16 job 'a' needs 'b', which itself waits for 'a': a cycle");
	expect_problem("on: push\njobs:\n  s:\n    runs-on: x\n    steps: [{run: x}]\n  a:\n    runs-on: x\n    needs: [s, b]\n    steps: [{run: x}]\n"
	               "  b:\n    runs-on: x\n    needs: a\n    steps: [{run: x}]\n", "12:12 job 'b' needs 'a', which itself waits for 'b': a cycle");
	expect_problem("on: push\njobs:\n  a:\n    runs-on: x\n    needs: a\n    steps: [{run: x}]\n", "3:3 at least one job must need no other");
	expect_problem("on: push\njobs:\n  a:\n    runs-on: x\n    timeout-minutes: 0\n    steps: [{run: x}]\n", "5:22 'timeout-minutes' must be a number from");
	expect_problem("on: push\njobs:\n  a:\n    runs-on: x\n    timeout-minutes: 9999\n    steps: [{run: x}]\n", "to 7200");
	expect_problem("on: push\njobs:\n  a:\n    runs-on: x\n    continue-on-error: perhaps\n    steps: [{run: x}]\n", "5:24 'continue-on-error' must be true");
	expect_problem("on: push\njobs:\n  a:\n    runs-on: x\n    strategy: {matrix: {os: []}}\n    steps: [{run: x}]\n", "5:29 matrix vector 'os' has no values");
	expect_problem("on: push\njobs:\n  a:\n    runs-on: x\n    strategy: {matrix: {os: x}}\n    steps: [{run: x}]\n", "must be a list or one ${{ }}");
	expect_problem("on: push\njobs:\n  a:\n    runs-on: x\n    strategy: {matrix: {include: [x]}}\n    steps: [{run: x}]\n", "must be a map");
	expect_problem("on: push\njobs:\n  a:\n    runs-on: x\n    strategy: {max-parallel: 0, matrix: {a: [1]}}\n    steps: [{run: x}]\n", "'max-parallel'");
	expect_problem("on: push\njobs:\n  a:\n    runs-on: x\n    environment: {url: x}\n    steps: [{run: x}]\n", "'name'");
}

static void steps(void **state)
{
	(void)state;
#define STEPS "on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n"
	expect_problem(STEPS "      - name: x\n", "6:9 a step needs 'run' or 'uses'");
	expect_problem(STEPS "      - run: x\n        uses: actions/checkout@v4\n", "7:15 a step has either 'run' or 'uses'");
	expect_problem(STEPS "      - uses: actions/checkout@v3\n", "6:15 action 'actions/checkout@v3' is not built in");
	expect_problem(STEPS "      - uses: actions/checkout@v4\n        with: {lfs: true}\n", "7:16 'lfs' is not obeyed by weir yet");
	expect_problem(STEPS "      - uses: actions/checkout@v4\n        with: {fetch-dept: 1}\n", "(did you mean 'fetch-depth'?)");
	expect_problem(STEPS "      - uses: actions/checkout@v4\n        shell: bash\n", "7:9 'shell' belongs to a step with 'run'");
	expect_problem(STEPS "      - run: x\n        with: {a: b}\n", "7:9 'with' belongs to a step with 'uses'");
	expect_problem(STEPS "      - uses: weir/release@v1\n        with: {service: a}\n", "weir/release@v1 needs the input 'environment'");
	expect_problem(STEPS "      - run: x\n        id: a\n      - run: y\n        id: A\n", "9:13 step id 'A' is used twice in this job");
	expect_problem(STEPS "      - run: x\n        id: 1a\n", "7:13 step id '1a' must be letters");
	expect_problem(STEPS "      - run: ''\n", "6:14 'run' must not be empty");
	expect_problem(STEPS "      - run: [a]\n", "6:14 'run' must be a text");
	expect_problem("on: push\njobs:\n  a:\n    runs-on: x\n    steps: {run: x}\n", "5:12");
}

static void expressions(void **state)
{
	(void)state;
	expect_problem(STEPS "      - run: echo ${{ }}\n", "6:14");
	expect_problem(STEPS "      - run: echo ${{ github.ref\n", "6:14");
	expect_problem(STEPS "      - run: x\n        if: (steps.a\n", "7:13 'if': ");
	expect_problem(STEPS "      - run: x\n        if: secrets.a\n", "7:13 'secrets' (character 1 of the expression) cannot be read in 'if'");
	expect_problem(STEPS "      - run: echo ${{ always() }}\n", "6:14 success(), failure(), cancelled() and always() can be used in 'if' only");
	expect_problem(STEPS "      - run: echo ${{ nothing() }}\n", "6:14");
	expect_problem("on: push\nname: ${{ github.ref }}\n" JOB, "2:7 an expression is not allowed in 'name'");
	expect_problem("on: push\nenv: {A: '${{ steps.a }}'}\n" JOB, "2:10 'steps'");
	expect_problem("on: push\njobs:\n  a:\n    runs-on: ${{ env.X }}\n    steps: [{run: x}]\n", "4:14 'env'");
	expect_problem("on: push\njobs:\n  a:\n    runs-on: x\n    if: matrix.a\n    steps: [{run: x}]\n", "5:9 'matrix'");
	expect_problem("on: push\njobs:\n  a:\n    runs-on: x\n    if: hashFiles('a') != ''\n    steps: [{run: x}]\n", "5:9");
	read_ok(STEPS "      - run: x ${{ hashFiles('a') }}\n        if: always() && hashFiles('b') != ''\n");
	read_ok("on: push\njobs:\n  a:\n    runs-on: x\n    steps: [{run: x}]\n  b:\n    needs: a\n    runs-on: x\n    if: success('a')\n    steps: [{run: x}]\n");
}

static void limits(void **state)
{
	struct buf b = BUF_INIT(4 << 20);

	(void)state;
	buf_addz(&b, "on: push\nenv:\n");
	for (int i = 0; i < 257; i++)
		buf_addf(&b, "  V%d: x\n", i);
	buf_addz(&b, JOB);
	expect_problem(buf_z(&b), "'env' has 257 entries, more than 256");
	buf_clear(&b);
	buf_addz(&b, "on: push\n" JOB "#");
	for (int i = 0; i < (1 << 20); i++)
		buf_addc(&b, 'x');
	expect_problem(buf_z(&b), "the workflow is larger than 1048576 bytes");
	buf_clear(&b);
	buf_addz(&b, "on: push\njobs:\n");
	for (int i = 0; i < 1001; i++)
		buf_addf(&b, "  j%d: {runs-on: x, steps: [{run: x}]}\n", i);
	expect_problem(buf_z(&b), "1001 jobs are more than 1000");
	buf_clear(&b);
	buf_addz(&b, "on: push\njobs:\n  a: {runs-on: x, steps: [{run: x}]}\n  b:\n    runs-on: x\n    steps: [{run: x}]\n    needs: [a");
	for (int i = 0; i < 256; i++)
		buf_addz(&b, ", a");
	buf_addz(&b, "]\n");
	expect_problem(buf_z(&b), "7:12 job 'b' needs 257 others, more than 256");
	/* a great tangle of needs is read in good time */
	buf_clear(&b);
	buf_addz(&b, "on: push\njobs:\n  s: {runs-on: x, steps: [{run: x}]}\n");
	for (int i = 0; i < 900; i++) {
		buf_addf(&b, "  j%d:\n    runs-on: x\n    steps: [{run: x}]\n    needs: [", i);
		for (int k = 1; k <= 150; k++)
			buf_addf(&b, "%sj%d", k > 1 ? "," : "", (i + k) % 900);
		buf_addz(&b, "]\n");
	}
	assert_true(b.len < (1 << 20));
	expect_problem(buf_z(&b), "a cycle");
	buf_fini(&b);
}

static void paths(void **state)
{
	(void)state;
	assert_true(workflow_is_path(STR(".github/workflows/ci.yml")));
	assert_true(workflow_is_path(STR(".forgejo/workflows/ci.yaml")));
	assert_true(workflow_is_path(STR(".gitea/workflows/a.yml")));
	assert_true(workflow_is_path(STR(".weir/workflows/a.yml")));
	assert_false(workflow_is_path(STR(".github/workflows/sub/ci.yml")));
	assert_false(workflow_is_path(STR(".github/workflows/ci.txt")));
	assert_false(workflow_is_path(STR("x/.github/workflows/ci.yml")));
}

static void globs(void **state)
{
	static const struct {
		const char *pattern, *text;
		bool        match;
	} rows[] = { /* the examples of GitHub's documentation, and edges */
		{ "feature/*", "feature/my-branch", true }, { "feature/*", "feature/a/b", false },
		{ "feature/**", "feature/beta-a/my-branch", true }, { "feature/**", "feature/", true }, { "feature/**", "feature", false },
		{ "main", "main", true }, { "main", "mainx", false }, { "releases/mona-the-octocat", "releases/mona-the-octocat", true },
		{ "*", "main", true }, { "*", "all/the/branches", false }, { "**", "all/the/branches", true }, { "**", "x", true },
		{ "*feature", "mona-feature", true }, { "*feature", "ver-10-feature", true }, { "*feature", "a/feature", false },
		{ "v2*", "v2", true }, { "v2*", "v2.0", true }, { "v[12].[0-9]+.[0-9]+", "v1.10.1", true }, { "v[12].[0-9]+.[0-9]+", "v2.0.0", true },
		{ "v[12].[0-9]+.[0-9]+", "v3.0.0", false }, { "v[12].[0-9]+.[0-9]+", "v1..0", false },
		{ "*.jsx?", "page.js", true }, { "*.jsx?", "page.jsx", true }, { "*.jsx?", "page.jsxx", false },
		{ "*.js", "app.js", true }, { "*.js", "lib/app.js", false }, { "**.js", "src/js/app.js", true }, { "**.js", "index.js", true },
		{ "docs/*", "docs/README.md", true }, { "docs/*", "docs/a/b.md", false }, { "docs/**", "docs/mona/octocat.txt", true },
		{ "docs/**/*.md", "docs/README.md", true }, { "docs/**/*.md", "docs/a/b/c.md", true }, { "docs/**/*.md", "docs/a.txt", false },
		{ "**/docs/**", "docs/hello.md", true }, { "**/docs/**", "dir/docs/my-file.txt", true }, { "**/docs/**", "space/docs/plan/space.doc", true },
		{ "**/README.md", "README.md", true }, { "**/README.md", "js/README.md", true }, { "**/README.md", "xREADME.md", false },
		{ "**/*src/**", "a/src/app.js", true }, { "**/*src/**", "my-src/code/js/app.js", true },
		{ "**/*-post.md", "my-post.md", true }, { "**/*-post.md", "path/their-post.md", true },
		{ "**/migrate-*.sql", "migrate-10909.sql", true }, { "**/migrate-*.sql", "db/sept/migrate-v1.sql", true },
		{ "\\*x", "*x", true }, { "\\*x", "ax", false }, { "[ab", "[ab", true }, { "[a-c]x", "bx", true }, { "[a-c]x", "dx", false },
		{ "[-a]", "-", true }, { "a?b", "b", true }, { "a+b", "aab", true }, { "a+b", "b", false }, { "", "", true }, { "", "a", false },
		{ "a\\", "a\\", true }, { "v*.*", "v1.2", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (workflow_glob(str_z(rows[i].pattern), str_z(rows[i].text)) != rows[i].match)
			fail_msg("'%s' against '%s' should be %d", rows[i].pattern, rows[i].text, rows[i].match);
	/* a pattern made to explode ends, and matches nothing */
	assert_false(workflow_glob(STR("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b"), STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")));
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(whole_workflow, setup, teardown), cmocka_unit_test_setup_teardown(triggers, setup, teardown),
		cmocka_unit_test_setup_teardown(keys, setup, teardown),           cmocka_unit_test_setup_teardown(jobs, setup, teardown),
		cmocka_unit_test_setup_teardown(steps, setup, teardown),          cmocka_unit_test_setup_teardown(expressions, setup, teardown),
		cmocka_unit_test_setup_teardown(limits, setup, teardown),         cmocka_unit_test_setup_teardown(paths, setup, teardown),
		cmocka_unit_test_setup_teardown(globs, setup, teardown),
	};

	base_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
