/* test_steps.c - whole jobs in real sandboxes: shells, environment, conditions, failures, cancel, time-outs, and a runner that is killed. */
#include "tests/unit/pipeline/step-help.h"

#include "base/proc.h"
#include "doc/doc.h"
#include "pipeline/steps.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

struct jobs {
	char        dir[256], job_dir[300], exe[1100];
	struct job *job;
	struct buf  log;
};

/* A spec around the JSON of its steps; extra is put in front ("\"env\":{...},"). */
static void spec_of(struct buf *b, const char *extra, const char *steps)
{
	buf_addf(b, "{\"spec\":1,\"job\":\"J1\",\"lease\":\"L1\",\"lease_ms\":30000,\"attempt\":1,\"project\":\"shop\",\"name\":\"test\",%s"
	            "\"token\":\"weir_j_topsecret\",\"repository\":{\"url\":\"\",\"commit\":\"0000\",\"ref\":\"refs/heads/main\"},"
	            "\"contexts\":{\"github\":{\"sha\":\"abc\",\"ref_name\":\"main\",\"event\":{\"x\":1}},\"matrix\":{\"v\":\"3.12\"},\"needs\":{},"
	            "\"secrets\":{\"GITHUB_TOKEN\":\"weir_j_topsecret\"}},\"steps\":[%s]}",
	         extra, steps);
}

static void open_job(struct jobs *j, str spec)
{
	struct job_config cfg = { .dir = j->job_dir, .exe = j->exe, .local = false };
	struct err        err;

	assert_ok(job_open(&cfg, spec, &j->job, &err), &err);
}

static void jobs_open(struct jobs *j, const char *extra, const char *steps)
{
	CLEANUP_BUF struct buf spec = BUF_INIT(1 << 20);
	struct err             err;

	*j = (struct jobs){ .log = BUF_INIT(8 << 20) };
	assert_ok(fs_temp_dir("weir-job-", j->dir, sizeof(j->dir), &err), &err);
	snprintf(j->job_dir, sizeof(j->job_dir), "%s/J1", j->dir);
	assert_ok(fs_self_exe(j->exe, sizeof(j->exe), &err), &err);
	spec_of(&spec, extra, steps);
	open_job(j, buf_str(&spec));
}

static void jobs_close(struct jobs *j)
{
	struct err err;

	assert_ok(job_remove(j->job, &err), &err);
	job_close(j->job);
	assert_ok(fs_remove_tree(j->dir, &err), &err);
	buf_fini(&j->log);
}

static const char *log_of(struct jobs *j, size_t step)
{
	char       tmp[65536];
	struct err err;
	ssize_t    n;

	buf_clear(&j->log);
	while ((n = job_read_log(j->job, step, (int64_t)j->log.len, tmp, sizeof(tmp), &err)) > 0)
		buf_add(&j->log, tmp, (size_t)n);
	return buf_z(&j->log);
}

static enum job_state run_it(struct jobs *j)
{
	struct job_result r;
	struct err        err;

	assert_ok(job_run(j->job, &err), &err);
	job_get_result(j->job, &r);
	return r.state;
}

static void state_is(struct jobs *j, size_t step, enum job_state want)
{
	struct job_view v;

	job_get_view(j->job, step, &v);
	if (v.state != want)
		fail_msg("step %zu: expected %s, seen %s (%s): %s", step, job_state_name(want), job_state_name(v.state), v.cause, log_of(j, step));
}

static void log_has(struct jobs *j, size_t step, const char *text)
{
	if (!strstr(log_of(j, step), text))
		fail_msg("step %zu: expected \"%s\" in: %s", step, text, buf_z(&j->log));
}

/* The text of a run step, ready for JSON. */
#define RUN(script) "{\"uses\":\"run\",\"run\":" script "}"

static void test_shells(void **state)
{
	struct jobs j;

	(void)state;
	SKIP_WITHOUT_SANDBOX();
	jobs_open(&j, "\"defaults\":{\"shell\":null,\"working_directory\":null},",
	          "{\"uses\":\"run\",\"run\":\"false | true; echo default-ok\"},"
	          "{\"uses\":\"run\",\"shell\":\"bash\",\"run\":\"false | true; echo never\",\"continue_on_error\":true},"
	          "{\"uses\":\"run\",\"shell\":\"sh\",\"run\":\"echo sh-$0 | sed s,.*/,,\"},"
	          "{\"uses\":\"run\",\"shell\":\"python\",\"run\":\"print('py', 1+1)\"},"
	          "{\"uses\":\"run\",\"shell\":\"perl -w '{0}'\",\"run\":\"print qq(perl\\\\n);\"},"
	          "{\"uses\":\"run\",\"shell\":\"cat\",\"run\":\"x\",\"continue_on_error\":true},"
	          "{\"uses\":\"run\",\"shell\":\"bash\",\"run\":\"exit 3\"}");
	assert_int_equal(run_it(&j), JOB_FAILURE);
	log_has(&j, 0, "default-ok");
	state_is(&j, 1, JOB_FAILURE);
	assert_null(strstr(log_of(&j, 1), "never"));
	log_has(&j, 2, "script");
	log_has(&j, 3, "py 2");
	log_has(&j, 4, "perl\n");
	state_is(&j, 5, JOB_FAILURE);
	log_has(&j, 5, "{0} where the script belongs");
	state_is(&j, 6, JOB_FAILURE);
	jobs_close(&j);
}

static void test_environment(void **state)
{
	struct jobs     j;
	struct job_view v;
	CLEANUP_BUF struct buf out = BUF_INIT(4096);

	(void)state;
	SKIP_WITHOUT_SANDBOX();
	jobs_open(&j, "\"env\":{\"JOBVAR\":\"j\"},\"outputs\":{\"o\":\"${{ steps.a.outputs.x }}-${{ matrix.v }}\",\"leak\":\"${{ github.token || secrets.GITHUB_TOKEN }}\"},",
	          "{\"uses\":\"run\",\"id\":\"a\",\"name\":\"set ${{ matrix.v }}\",\"env\":{\"S\":\"${{ env.JOBVAR }}s\"},\"run\":\"echo $S $JOBVAR $CI $GITHUB_SHA $GITHUB_ACTIONS "
	          "$RUNNER_OS; pwd; echo x=1 >> $GITHUB_OUTPUT; echo 'LATER=one two' >> $GITHUB_ENV; echo /opt/mine >> $GITHUB_PATH; echo '# hi weir_j_topsecret' >> "
	          "$GITHUB_STEP_SUMMARY; cat $GITHUB_EVENT_PATH; echo weir_j_topsecret\"},"
	          "{\"uses\":\"run\",\"run\":\"echo $LATER ${{ steps.a.outputs.x }} ${{ steps.a.outcome }}; echo $PATH; test -z \\\"$S\\\"\"}");
	assert_int_equal(run_it(&j), JOB_SUCCESS);
	log_has(&j, 0, "js j true abc true Linux\n/home/runner/work/shop/shop\n");
	log_has(&j, 0, "limits: ");
	log_has(&j, 0, "{\"x\":1}***\n");
	log_has(&j, 1, "one two 1 success\n/opt/mine:/usr/local/sbin");
	assert_null(strstr(log_of(&j, 1), "limits:")); /* once per job */
	job_get_view(j.job, 0, &v);
	assert_string_equal(v.name, "set 3.12");
	assert_int_equal(v.exit_status, 0);
	job_get_summary(j.job, 0, &out);
	assert_str(buf_str(&out), "# hi ***\n");
	buf_clear(&out);
	job_get_outputs(j.job, &out);
	assert_str(buf_str(&out), "{\"o\":\"1-3.12\"}"); /* the token did not leave */
	jobs_close(&j);
}

static void test_conditions(void **state)
{
	struct jobs j;

	(void)state;
	SKIP_WITHOUT_SANDBOX();
	jobs_open(&j, "",
	          "{\"uses\":\"run\",\"id\":\"soft\",\"run\":\"exit 1\",\"continue_on_error\":true},"
	          "{\"uses\":\"run\",\"if\":\"steps.soft.outcome == 'failure' && steps.soft.conclusion == 'success'\",\"run\":\"echo seen\"},"
	          "{\"uses\":\"run\",\"if\":\"failure()\",\"run\":\"echo no\"},"
	          "{\"uses\":\"run\",\"run\":\"exit 2\"},"
	          "{\"uses\":\"run\",\"run\":\"echo no\"},"
	          "{\"uses\":\"run\",\"if\":\"${{ failure() }}\",\"run\":\"echo job is ${{ job.status }}\"},"
	          "{\"uses\":\"run\",\"if\":\"always()\",\"run\":\"echo always\"},"
	          "{\"uses\":\"run\",\"if\":\"nonsense(\",\"run\":\"echo no\"}");
	assert_int_equal(run_it(&j), JOB_FAILURE);
	state_is(&j, 0, JOB_FAILURE);
	state_is(&j, 1, JOB_SUCCESS);
	state_is(&j, 2, JOB_SKIPPED);
	state_is(&j, 3, JOB_FAILURE);
	state_is(&j, 4, JOB_SKIPPED);
	log_has(&j, 5, "job is failure");
	state_is(&j, 6, JOB_SUCCESS);
	state_is(&j, 7, JOB_FAILURE);
	log_has(&j, 7, "if: ");
	jobs_close(&j);
}

/* Files that a step leaves for the runner: links, garbage, too much, forbidden names. */
static void test_hostile_files(void **state)
{
	struct jobs j;

	(void)state;
	SKIP_WITHOUT_SANDBOX();
	jobs_open(&j, "",
	          "{\"uses\":\"run\",\"continue_on_error\":true,\"run\":\"rm $GITHUB_ENV; ln -s /etc/passwd $GITHUB_ENV\"},"
	          "{\"uses\":\"run\",\"continue_on_error\":true,\"run\":\"echo NODE_OPTIONS=--require=/tmp/x >> $GITHUB_ENV\"},"
	          "{\"uses\":\"run\",\"continue_on_error\":true,\"run\":\"head -c 2000000 /dev/zero | tr '\\\\\\\\0' a >> $GITHUB_OUTPUT\"},"
	          "{\"uses\":\"run\",\"continue_on_error\":true,\"run\":\"rm $GITHUB_OUTPUT; mkfifo $GITHUB_OUTPUT\"},"
	          "{\"uses\":\"run\",\"continue_on_error\":true,\"run\":\"touch /run/weir/files/x\"},"
	          "{\"uses\":\"run\",\"continue_on_error\":true,\"run\":\"touch /run/weir/files/6 || echo x >> /run/weir/files/script || echo x >> /run/weir/files/event.json\"},"
	          "{\"uses\":\"run\",\"run\":\"test -z \\\"$NODE_OPTIONS\\\"; rm -rf /home/runner/work; ln -s /etc /home/runner/work\"},"
	          "{\"uses\":\"run\",\"if\":\"hashFiles('**') == ''\",\"working_directory\":\"/tmp\",\"run\":\"echo none\"}");
	(void)run_it(&j);
	for (size_t i = 0; i < 6; i++)
		state_is(&j, i, JOB_FAILURE);
	log_has(&j, 0, "replaced the file of $GITHUB_env");
	log_has(&j, 1, "'NODE_OPTIONS'");
	log_has(&j, 2, "more than the limit");
	log_has(&j, 3, "replaced the file");
	state_is(&j, 7, JOB_SUCCESS);
	jobs_close(&j);
}

/* Steps share the command files: each finds them empty and alone, whatever the one before left, and says its own things only. */
static void test_command_files_are_emptied(void **state)
{
	static const char clean[] = "cd /run/weir/files/cmd; test \\\"$(ls -A | xargs)\\\" = 'env output path state summary'; "
	                            "test $(cat * | wc -c) = 0; for f in *; do test -f $f; test ! -L $f; test $(stat -c %a%h $f) = 6441; done; "
	                            "for f in *; do echo >> $f; done; echo mine=$V >> $GITHUB_OUTPUT; ";
	static const char *const leave[] = { "true", "ln output more", "touch .x", "chmod 0 env", "mkdir -p a/b; chmod 0 a/b a; chmod 0 .",
		                                 "rm summary; ln -s /etc/passwd summary", "rm path; mkfifo path", "rm state; mkdir state", "chmod 4755 path", "true" };
	CLEANUP_BUF struct buf steps = BUF_INIT(1 << 20);
	struct jobs            j;

	(void)state;
	SKIP_WITHOUT_SANDBOX();
	for (size_t i = 0; i < ARRAY_SIZE(leave); i++)
		buf_addf(&steps, "%s{\"uses\":\"run\",\"id\":\"s%zu\",\"if\":\"always()\",\"env\":{\"V\":\"%zu\"},\"run\":\"%secho is-clean; %s\"}", i ? "," : "", i, i, clean,
		         leave[i]);
	buf_addz(&steps, ",{\"uses\":\"run\",\"if\":\"always()\",\"run\":\"echo got ${{ steps.s0.outputs.mine }} ${{ steps.s2.outputs.mine }} ${{ steps.s9.outputs.mine }}.\"}");
	jobs_open(&j, "", buf_z(&steps));
	(void)run_it(&j);
	for (size_t i = 0; i < ARRAY_SIZE(leave); i++)
		log_has(&j, i, "is-clean");
	log_has(&j, ARRAY_SIZE(leave), "got 0 2 9.");
	jobs_close(&j);
}

static void test_hash_files(void **state)
{
	struct jobs j;

	(void)state;
	SKIP_WITHOUT_SANDBOX();
	jobs_open(&j, "",
	          "{\"uses\":\"run\",\"run\":\"mkdir -p a/b; printf 1 > a/x.lock; printf 2 > a/b/y.lock; printf 3 > z.txt; ln -s /etc/passwd a/l.lock\"},"
	          "{\"uses\":\"run\",\"run\":\"echo all=${{ hashFiles('**/*.lock') }} one=${{ hashFiles('**/*.lock', '!a/b/**') }} none=${{ hashFiles('*.no') }}; "
	          "want=$(cd $GITHUB_WORKSPACE; for f in a/b/y.lock a/x.lock; do sha256sum < $f | cut -c1-64 | xxd -r -p; done | sha256sum | cut -c1-64); echo want=$want\"}");
	assert_int_equal(run_it(&j), JOB_SUCCESS);
	(void)log_of(&j, 1);
	const char *all = strstr(buf_z(&j.log), "all="), *want = strstr(buf_z(&j.log), "want="), *one = strstr(buf_z(&j.log), "one=");

	assert_non_null(all);
	assert_non_null(want);
	assert_memory_equal(all + 4, want + 5, 64);
	assert_memory_not_equal(all + 4, one + 4, 64);
	assert_non_null(strstr(buf_z(&j.log), "none=\n"));
	jobs_close(&j);
}

struct thread {
	struct jobs *j;
	struct err   err;
	int          rc;
};
static void *run_thread(void *arg)
{
	struct thread *t = arg;

	t->rc = job_run(t->j->job, &t->err);
	return NULL;
}

static void await_log(struct jobs *j, size_t step, const char *text)
{
	for (int i = 0; i < 2000; i++) {
		if (strstr(log_of(j, step), text))
			return;
		clock_sleep_ms(10);
	}
	fail_msg("step %zu never said \"%s\": %s", step, text, buf_z(&j->log));
}

static void test_cancel(void **state)
{
	struct jobs       j;
	struct thread     t = { &j, { 0 }, 0 };
	struct job_result r;
	pthread_t         th;

	(void)state;
	SKIP_WITHOUT_SANDBOX();
	jobs_open(&j, "",
	          "{\"uses\":\"run\",\"run\":\"echo up; sleep 1000\"},{\"uses\":\"run\",\"run\":\"echo no\"},"
	          "{\"uses\":\"run\",\"if\":\"always()\",\"run\":\"echo status ${{ job.status }}\"},{\"uses\":\"run\",\"if\":\"cancelled()\",\"run\":\"echo c\"},"
	          "{\"uses\":\"run\",\"if\":\"failure()\",\"run\":\"echo no\"}");
	assert_int_equal(pthread_create(&th, NULL, run_thread, &t), 0);
	await_log(&j, 0, "up");
	job_cancel(j.job, "by laptop");
	pthread_join(th, NULL);
	assert_int_equal(t.rc, 0);
	job_get_result(j.job, &r);
	assert_int_equal(r.state, JOB_CANCELLED);
	assert_string_equal(r.cause, "by laptop");
	state_is(&j, 0, JOB_CANCELLED);
	state_is(&j, 1, JOB_SKIPPED);
	log_has(&j, 2, "status cancelled");
	state_is(&j, 3, JOB_SUCCESS);
	state_is(&j, 4, JOB_SKIPPED);
	jobs_close(&j);
}

/* One expression for a whole env or with map. */
static void test_whole_maps(void **state)
{
	struct jobs j;

	(void)state;
	SKIP_WITHOUT_SANDBOX();
	jobs_open(&j, "\"env\":{\"A\":\"1\"},",
	          "{\"uses\":\"run\",\"env\":\"${{ fromJSON('{\\\"B\\\":2.5,\\\"C\\\":true}') }}\",\"run\":\"echo $A $B $C ${{ env.B }}\"},"
	          "{\"uses\":\"run\",\"env\":\"${{ fromJSON('[]') }}\",\"run\":\"true\",\"continue_on_error\":true},"
	          "{\"uses\":\"run\",\"env\":\"${{ fromJSON('{\\\"X\\\":{}}') }}\",\"run\":\"true\",\"continue_on_error\":true},"
	          "{\"uses\":\"weir/release@v1\",\"with\":\"${{ fromJSON('{\\\"service\\\":\\\"s\\\",\\\"environment\\\":\\\"e\\\",\\\"files\\\":\\\".\\\"}') }}\"},"
	          "{\"uses\":\"weir/release@v1\",\"with\":\"${{ fromJSON('{\\\"service\\\":\\\"s\\\",\\\"env\\\":\\\"e\\\"}') }}\",\"continue_on_error\":true},"
	          "{\"uses\":\"weir/release@v1\",\"with\":\"${{ fromJSON('{\\\"service\\\":\\\"s\\\"}') }}\",\"continue_on_error\":true}");
	assert_int_equal(run_it(&j), JOB_SUCCESS);
	log_has(&j, 0, "1 2.5 true 2.5\n");
	log_has(&j, 1, "env: the expression must give an object");
	log_has(&j, 2, "env: 'X' must be a text");
	log_has(&j, 3, "release s to e with");
	log_has(&j, 4, "with: the action has no input 'env'");
	log_has(&j, 5, "with: weir/release@v1 needs the input 'environment'");
	jobs_close(&j);
}

/* A cancel that comes when the step is decided and not yet watched stops it all the same. */
static void cancel_at_begin(void *ctx)
{
	struct jobs    *j = ctx;
	struct job_view v = { 0 };

	if (j->job)
		job_get_view(j->job, 0, &v);
	if (v.state == JOB_RUNNING && !v.log_bytes)
		job_cancel(j->job, "at its beginning");
}

static void test_cancel_between(void **state)
{
	struct jobs            j = { .log = BUF_INIT(8 << 20) };
	struct job_config      cfg = { .dir = j.job_dir, .exe = j.exe, .changed = cancel_at_begin, .changed_ctx = &j };
	CLEANUP_BUF struct buf spec = BUF_INIT(1 << 20);
	struct err             err;

	(void)state;
	SKIP_WITHOUT_SANDBOX();
	assert_ok(fs_temp_dir("weir-job-", j.dir, sizeof(j.dir), &err), &err);
	snprintf(j.job_dir, sizeof(j.job_dir), "%s/J1", j.dir);
	assert_ok(fs_self_exe(j.exe, sizeof(j.exe), &err), &err);
	spec_of(&spec, "\"timeout_ms\":60000,", "{\"uses\":\"run\",\"run\":\"exec sleep 1000\"},{\"uses\":\"run\",\"if\":\"always()\",\"run\":\"echo last\"}");
	assert_ok(job_open(&cfg, buf_str(&spec), &j.job, &err), &err);
	assert_int_equal(run_it(&j), JOB_CANCELLED);
	state_is(&j, 0, JOB_CANCELLED);
	log_has(&j, 1, "last");
	jobs_close(&j);
}

/* What is left to always() steps begins with the cancellation and is shared by them. */
static void test_cancel_timeout(void **state)
{
	struct jobs   j;
	struct thread t = { &j, { 0 }, 0 };
	pthread_t     th;

	(void)state;
	SKIP_WITHOUT_SANDBOX();
	jobs_open(&j, "\"cancel_timeout_ms\":400,",
	          "{\"uses\":\"run\",\"run\":\"echo up; exec sleep 1000\"},{\"uses\":\"run\",\"if\":\"always()\",\"run\":\"exec sleep 1000\"},"
	          "{\"uses\":\"run\",\"if\":\"always()\",\"run\":\"exec sleep 1000\"}");
	assert_int_equal(pthread_create(&th, NULL, run_thread, &t), 0);
	await_log(&j, 0, "up");
	job_cancel(j.job, "by laptop");
	pthread_join(th, NULL);
	assert_int_equal(t.rc, 0);
	state_is(&j, 0, JOB_CANCELLED);
	log_has(&j, 1, "timeout: ");
	log_has(&j, 2, "timeout: ");
	jobs_close(&j);
}

static void test_timeouts(void **state)
{
	struct jobs       j;
	struct job_result r;

	(void)state;
	SKIP_WITHOUT_SANDBOX();
	jobs_open(&j, "", "{\"uses\":\"run\",\"timeout_minutes\":0.01,\"run\":\"sleep 1000\"},{\"uses\":\"run\",\"if\":\"failure()\",\"run\":\"echo after\"}");
	assert_int_equal(run_it(&j), JOB_FAILURE);
	state_is(&j, 1, JOB_SUCCESS);
	log_has(&j, 0, "timeout: ");
	jobs_close(&j);
	/* the job's own limit: what is left runs only with always() */
	jobs_open(&j, "\"timeout_ms\":700,",
	          "{\"uses\":\"run\",\"run\":\"sleep 1000\"},{\"uses\":\"run\",\"run\":\"echo no\"},{\"uses\":\"run\",\"if\":\"always()\",\"run\":\"echo clean-up\"}");
	assert_int_equal(run_it(&j), JOB_FAILURE);
	job_get_result(j.job, &r);
	assert_true(strstr(r.cause, "timeout") != NULL);
	state_is(&j, 1, JOB_SKIPPED);
	log_has(&j, 2, "clean-up");
	jobs_close(&j);
}

/* The process that runs the job is killed again and again, at any moment; another goes on each time. Nothing runs twice, nothing of the log is lost
 * or doubled. */
static void test_killed_runner(void **state)
{
	struct jobs j;
	int         lives = 0, status;
	struct err  err;

	(void)state;
	SKIP_WITHOUT_SANDBOX();
	jobs_open(&j, "",
	          "{\"uses\":\"run\",\"run\":\"echo ran >> ~/count; echo A=1 >> $GITHUB_ENV; echo ::add-mask::from-the-first\"},"
	          "{\"uses\":\"run\",\"run\":\"echo ran >> ~/count; for i in $(seq 1 40); do echo line $i from-the-first; sleep 0.05; done\"},"
	          "{\"uses\":\"run\",\"run\":\"echo ran >> ~/count; echo A=$A; wc -l < ~/count\"}");
	job_close(j.job);
	for (bool over = false; !over; lives++) {
		pid_t pid = fork();

		assert_true(lives < 60);
		if (!pid) {
			struct jobs mine = j;

			open_job(&mine, STR_NULL);
			int rc = job_run(mine.job, &err);

			if (rc)
				fprintf(stderr, "%s\n", err.msg);
			_exit(rc ? 1 : 0);
		}
		clock_sleep_ms(20 + 37 * lives % 400 + 10 * lives); /* longer and longer: a busy machine gets there, too */
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		over = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	}
	assert_true(lives > 1);
	open_job(&j, STR_NULL);
	assert_int_equal(run_it(&j), JOB_SUCCESS);
	log_has(&j, 2, "A=1\n3\n");
	(void)log_of(&j, 1);
	CLEANUP_BUF struct buf want = BUF_INIT(4096);
	for (int i = 1; i <= 40; i++)
		buf_addf(&want, "line %d ***\n", i);
	assert_str(buf_str(&j.log), buf_z(&want));
	jobs_close(&j);
}

/* job_detach(): this runner ends, the step goes on, the next runner has its end. */
static void test_detach(void **state)
{
	struct jobs   j;
	struct thread t = { &j, { 0 }, 0 };
	pthread_t     th;

	(void)state;
	SKIP_WITHOUT_SANDBOX();
	jobs_open(&j, "", "{\"uses\":\"run\",\"run\":\"echo up; sleep 0.6; echo done\"},{\"uses\":\"run\",\"run\":\"echo second\"}");
	assert_int_equal(pthread_create(&th, NULL, run_thread, &t), 0);
	await_log(&j, 0, "up");
	job_detach(j.job);
	pthread_join(th, NULL);
	assert_int_equal(t.rc, -WEIR_ECANCELED);
	job_close(j.job);
	open_job(&j, STR_NULL);
	assert_int_equal(run_it(&j), JOB_SUCCESS);
	log_has(&j, 0, "up\ndone\n");
	state_is(&j, 1, JOB_SUCCESS);
	jobs_close(&j);
}

/* Checkout of a working tree: the last commit, then the files as they lie here; ignored ones stay away. */
static void test_checkout_copy(void **state)
{
	struct jobs            j;
	struct job_config      cfg = { 0 };
	CLEANUP_BUF struct buf spec = BUF_INIT(1 << 20);
	struct err             err;
	char                   tree[300];
	const char *const      make[] = { "bash", "-ec", "git init -q -b main .; echo old > a; echo gone > b; echo '*.o' > .gitignore; git add .; "
		                              "git -c user.name=t -c user.email=t@example.org commit -qm first; echo new > a; rm b; echo x > c; echo x > d.o", NULL };
	struct proc_run        run = { .argv = make, .cwd = tree };

	(void)state;
	SKIP_WITHOUT_SANDBOX();
	jobs_open(&j, "", "{\"uses\":\"run\",\"run\":\"true\"}");
	job_close(j.job);
	snprintf(tree, sizeof(tree), "%s/tree", j.dir);
	assert_ok(fs_mkdirs(tree, 0755, &err), &err);
	assert_ok(proc_run(&run, NULL, &err), &err);
	spec_of(&spec, "", "{\"uses\":\"actions/checkout@v4\",\"with\":{}},{\"uses\":\"run\",\"run\":\"ls -A; cat a; git log --format=%s; git status --short\"},"
	                   "{\"uses\":\"actions/checkout@v4\",\"with\":{\"path\":\"in/${{ matrix.v }}\"}},{\"uses\":\"run\",\"run\":\"cat in/3.12/a\"},"
	                   "{\"uses\":\"actions/checkout@v4\",\"continue_on_error\":true,\"with\":{\"path\":\"../../x\"}},"
	                   "{\"uses\":\"actions/checkout@v4\",\"continue_on_error\":true,\"with\":{\"path\":\"/etc\"}}");
	snprintf(j.job_dir, sizeof(j.job_dir), "%s/J2", j.dir);
	cfg = (struct job_config){ .dir = j.job_dir, .exe = j.exe, .source = tree, .local = true };
	assert_ok(job_open(&cfg, buf_str(&spec), &j.job, &err), &err);
	assert_int_equal(run_it(&j), JOB_SUCCESS);
	log_has(&j, 1, ".git\n.gitignore\na\nc\nnew\nfirst\n M a\n D b\n?? c\n");
	log_has(&j, 3, "new");
	state_is(&j, 4, JOB_FAILURE);
	log_has(&j, 4, "leaves the workspace");
	state_is(&j, 5, JOB_FAILURE);
	jobs_close(&j);
}

/* What release gets, and that nobody else gets it. */
static void test_release_token(void **state)
{
	struct jobs j;

	(void)state;
	SKIP_WITHOUT_SANDBOX();
	jobs_open(&j, "",
	          "{\"uses\":\"run\",\"run\":\"! test -e /run/weir/secret/token\"},"
	          "{\"uses\":\"weir/release@v1\",\"with\":{\"service\":\"s${{ matrix.v }}\",\"environment\":\"production\",\"files\":\".\"}},"
	          "{\"uses\":\"run\",\"run\":\"! test -e /run/weir/secret/token; ! env | grep -q weir_j_\"}");
	assert_int_equal(run_it(&j), JOB_SUCCESS);
	log_has(&j, 1, "release s3.12 to production with ***\n");
	jobs_close(&j);
}

/* A release whose place a newer one took has not failed: its job ends as cancelled, and says why. */
static void test_release_superseded(void **state)
{
	static const char with[] = "\"with\":{\"service\":\"old\",\"environment\":\"e\",\"files\":\".\"}";
	struct jobs       j;
	struct job_result r;
	struct job_view   v;
	char              steps[1000];

	(void)state;
	SKIP_WITHOUT_SANDBOX();
	snprintf(steps, sizeof(steps), "{\"uses\":\"weir/release@v1\",\"id\":\"r\",%s},{\"uses\":\"run\",\"run\":\"echo never\"},"
	         "{\"uses\":\"run\",\"if\":\"cancelled()\",\"run\":\"echo '${{ steps.r.outcome }} by ${{ steps.r.outputs.cause }}'\"}", with);
	jobs_open(&j, "", steps);
	assert_int_equal(run_it(&j), JOB_CANCELLED);
	job_get_result(j.job, &r);
	assert_string_equal(r.cause, "superseded by release #12");
	job_get_view(j.job, 0, &v);
	assert_int_equal(v.state, JOB_CANCELLED);
	assert_string_equal(v.cause, "superseded by release #12");
	state_is(&j, 1, JOB_SKIPPED);
	log_has(&j, 2, "cancelled by superseded by release #12\n");
	jobs_close(&j);
	/* continue-on-error lets the job go on; the same status of an ordinary command is a failure */
	snprintf(steps, sizeof(steps), "{\"uses\":\"weir/release@v1\",\"continue_on_error\":true,%s},{\"uses\":\"run\",\"run\":\"echo on\"},"
	         "{\"uses\":\"run\",\"run\":\"exit %d\"}", with, RELEASE_SUPERSEDED_STATUS);
	jobs_open(&j, "", steps);
	assert_int_equal(run_it(&j), JOB_FAILURE);
	state_is(&j, 0, JOB_CANCELLED);
	state_is(&j, 1, JOB_SUCCESS);
	state_is(&j, 2, JOB_FAILURE);
	jobs_close(&j);
}

/* Inside the sandbox this program stands for `weir action-release`. */
static int fake_release(void)
{
	CLEANUP_BUF struct buf token = BUF_INIT(1000);
	struct err             err;
	const char            *service = getenv("INPUT_SERVICE"), *environment = getenv("INPUT_ENVIRONMENT"), *file = getenv("WEIR_TOKEN_FILE");

	if (!service || !environment || !file || fs_read(file, &token, &err))
		return 1;
	printf("release %s to %s with %s\n", service, environment, buf_z(&token));
	if (strcmp(service, "old") != 0)
		return 0;
	if (fs_write_quick(getenv("GITHUB_OUTPUT"), STR("release=R1\nstate=superseded\ncause=superseded by release #12\n"), 0644, &err))
		return 1;
	return RELEASE_SUPERSEDED_STATUS;
}

static void test_bad_specs(void **state)
{
	static const char *const bad[] = { "{}", "{\"spec\":2}", "{\"spec\":1,\"project\":\"../x\",\"job\":\"J\"}", "{\"spec\":1,\"project\":\"x\",\"job\":\"a/b\"}",
		                               "{\"spec\":1,\"project\":\"x\",\"job\":\"J\"}", "nonsense" };
	char       dir[256], job[300];
	struct err err;

	(void)state;
	assert_ok(fs_temp_dir("weir-job-", dir, sizeof(dir), &err), &err);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct job_config cfg = { .dir = job, .exe = "/bin/false" };
		struct job       *j = NULL;

		snprintf(job, sizeof(job), "%s/%zu", dir, i);
		assert_int_not_equal(job_open(&cfg, str_z(bad[i]), &j, &err), 0);
		assert_null(j);
	}
	assert_ok(fs_remove_tree(dir, &err), &err);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shells),        cmocka_unit_test(test_environment), cmocka_unit_test(test_conditions),
		cmocka_unit_test(test_hostile_files), cmocka_unit_test(test_command_files_are_emptied), cmocka_unit_test(test_hash_files),  cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_whole_maps), cmocka_unit_test(test_cancel_timeout), cmocka_unit_test(test_cancel_between),
		cmocka_unit_test(test_timeouts),      cmocka_unit_test(test_killed_runner), cmocka_unit_test(test_detach),
		cmocka_unit_test(test_checkout_copy), cmocka_unit_test(test_release_token), cmocka_unit_test(test_release_superseded), cmocka_unit_test(test_bad_specs),
	};

	base_init();
	if (argc > 1 && !strcmp(argv[1], "guard"))
		return step_help_guard(argc, argv);
	if (argc > 1 && !strcmp(argv[1], "action-release"))
		return fake_release();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
