/* The scheduler under a virtual clock with runners that come, work, vanish and come back: random workflows, every action repeatable, the server
 * restarted at any point. The oracle is the event log and what the fake runners saw. WEIR_SIM_RUNS: how many workflows; WEIR_SIM_SEED. */
#include "lib/test.h"
#include "lib/pg.h"

#include "base/fs.h"
#include "base/hash.h"
#include "base/map.h"
#include "pipeline/runner-work.h"

static char              dir[256], url[512];
static struct db        *db;
static struct event_log *events;
static struct pipeline  *p;
static struct token_store *tokens;
static usec_t            now;
static uint64_t          rng;

static usec_t virtual_now(void *ctx)
{
	(void)ctx;
	return now;
}
static const struct clock virtual_clock = { virtual_now, virtual_now, NULL };

static uint32_t rnd(uint32_t n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (uint32_t)(rng >> 33) % n;
}

enum { LEASE_MS = 30000 };

static void server_start(void)
{
	struct err             e = { 0 };
	struct pipeline_config cfg = { .clock = &virtual_clock, .data = dir, .server_url = "http://w:1", .lease_ms = LEASE_MS };

	assert_ok(db_open(url, &db, &e), &e);
	assert_ok(event_log_open(db, dir, &virtual_clock, &events, &e), &e);
	assert_ok(token_store_open(db, events, dir, &virtual_clock, &tokens, &e), &e);
	cfg.db = db;
	cfg.log = events;
	cfg.tokens = tokens;
	assert_ok(pipeline_open(&cfg, &p, &e), &e);
	assert_ok(scheduler_renew_all(p, &e), &e);
}
static void server_stop(void)
{
	p = pipeline_close(p);
	tokens = token_store_close(tokens);
	events = event_log_close(events);
	db = db_close(db);
}

/* --- making runs --- */

struct making {
	const char *text;
	char        id[ID_SIZE];
};
static int make_turn(struct turn *t, void *arg, struct err *reterr)
{
	struct making    *m = arg;
	struct workflow  *wf;
	struct plan      *plan;
	struct plan_input in = { .event = STR("push"), .project = STR("shop"), .ref = STR("refs/heads/main"),
		                     .commit = STR("1111111111111111111111111111111111111111"), .before = str_z(git_zero_id), .actor = STR("laptop"),
		                     .subject = STR("s"), .server_url = STR("http://w:1"), .run_id = str_z(m->id), .run_attempt = 1 };
	int               rc = workflow_parse(t->a, "ci.yml", str_z(m->text), &wf, reterr);

	if (rc == 0)
		rc = run_next_number(t, in.project, &in.run_number, reterr);
	if (rc == 0)
		rc = plan_make(t->a, wf, &in, &plan, reterr);
	return rc ? rc : run_create(t, plan, &in, str_z(m->text), reterr);
}
static const char *make_run(const char *text)
{
	static struct making m;
	struct err           e = { 0 };

	m.text = text;
	(void)id_new(m.id);
	assert_ok(turn_write(p, STR("weir"), make_turn, &m, &e), &e);
	return m.id;
}

/* --- runners --- */

struct held { /* what a fake runner believes to hold */
	char     lease[40], job[ID_SIZE], key[128], run[ID_SIZE];
	int64_t  attempt;
	usec_t   renewed;
	bool     active;
};

static bool claim(const char *runner, const char *lease, struct held *h)
{
	struct buf          spec = BUF_INIT(1 << 22);
	struct runner_claim c = { .runner = str_z(runner), .lease = str_z(lease), .offers = STR("x"), .spec = &spec };
	struct arena        a = ARENA_INIT(8 << 20);
	struct doc_node    *n;
	struct err          e = { 0 };

	assert_ok(turn_write(p, STR("runner:r"), runner_claim_turn, &c, &e), &e);
	if (c.found) {
		assert_ok(doc_parse_json(&a, "spec", buf_str(&spec), &n, &e), &e);
		memset(h, 0, sizeof(*h));
		(void)snprintf(h->lease, sizeof(h->lease), "%s", lease);
		(void)snprintf(h->job, sizeof(h->job), "%.*s", STR_ARG(doc_get_str(n, "job")));
		(void)snprintf(h->run, sizeof(h->run), "%.*s", STR_ARG(doc_get_str(n, "run")));
		(void)snprintf(h->key, sizeof(h->key), "%.*s", STR_ARG(doc_get_str(n, "key")));
		h->attempt = doc_get_int(n, "attempt", 0);
		h->renewed = now;
		h->active = true;
	}
	arena_fini(&a);
	buf_fini(&spec);
	return c.found;
}
static int renew(const struct held *h, bool *ret_cancel)
{
	struct arena          a = ARENA_INIT(1 << 16);
	struct runner_renewal r = { .job = str_z(h->job), .lease = str_z(h->lease), .keep = &a };
	int                   rc = turn_write(p, STR("runner:r"), runner_renew_turn, &r, NULL);

	*ret_cancel = r.cancel;
	arena_fini(&a);
	return rc;
}
static int report(const struct held *h, int64_t step, enum step_state s)
{
	struct runner_step r = { .job = str_z(h->job), .lease = str_z(h->lease), .step = step, .state = s, .name = STR("n"), .cause = STR(""),
		                     .summary = STR("") };

	return turn_write(p, STR("runner:r"), runner_step_turn, &r, NULL);
}
static int finish(const struct held *h, enum plan_result result, const char *outputs, bool retry)
{
	struct runner_finish f = { .job = str_z(h->job), .lease = str_z(h->lease), .result = result, .outputs = str_z(outputs),
		                       .cause = result == RESULT_SUCCESS ? STR("") : STR("step 0: exit 1"), .environment_url = STR(""), .retry = retry };

	return turn_write(p, STR("runner:r"), runner_finish_turn, &f, NULL);
}

/* --- looking --- */

struct look {
	const char *run, *sql;
	int64_t     n;
	char        text[4000];
};
static int look_turn(struct turn *t, void *arg, struct err *reterr)
{
	struct look *l = arg;
	struct run  *r;
	int          rc = run_load(t, str_z(l->run), &r, reterr);
	size_t       at = 0;

	if (rc)
		return rc;
	at += (size_t)snprintf(l->text, sizeof(l->text), "%s %s: %.*s;", run_state_name(r->state), plan_result_name(r->result), STR_ARG(r->cause));
	for (size_t i = 0; i < r->n_jobs && at < sizeof(l->text); i++)
		at += (size_t)snprintf(l->text + at, sizeof(l->text) - at, " %.*s=%s%s%s%.*s;", STR_ARG(r->jobs[i].key), run_job_state_name(r->jobs[i].state),
		                       r->jobs[i].state == JOB_FINISHED ? "/" : "", plan_result_name(r->jobs[i].result), STR_ARG(r->jobs[i].cause));
	return 0;
}
static const char *look(const char *run)
{
	static struct look l;
	struct err         e = { 0 };

	l.run = run;
	assert_ok(turn_read(p, look_turn, &l, &e), &e);
	return l.text;
}
static void expect_run(const char *run, const char *want)
{
	if (!strstr(look(run), want))
		fail_msg("expected \"%s\", seen \"%s\"", want, look(run));
}

struct look_output {
	const char *run, *group;
	char        text[1000];
};
static int output_turn(struct turn *t, void *arg, struct err *reterr)
{
	struct look_output *l = arg;
	struct run         *r;
	int                 rc = run_load(t, str_z(l->run), &r, reterr);

	for (size_t g = 0; rc == 0 && g < r->plan->n_groups; g++) {
		const struct expr_value *v = r->groups[g].outputs ? expr_get(r->groups[g].outputs, STR("o")) : NULL;

		if (str_eqz(r->plan->groups[g].id, l->group))
			(void)snprintf(l->text, sizeof(l->text), "%.*s", v ? (int)v->s.len : 0, v ? v->s.ptr : "");
	}
	return rc;
}
static void expect_output(const char *run, const char *group, const char *want)
{
	struct look_output l = { run, group, "" };
	struct err         e = { 0 };

	assert_ok(turn_read(p, output_turn, &l, &e), &e);
	assert_string_equal(l.text, want);
}

static void tick(usec_t d)
{
	struct err e = { 0 };

	now += d;
	assert_ok(pipeline_turn(p, &e), &e);
}

/* --- single cases --- */

static void needs_and_outputs(void **state)
{
	struct held h;
	const char *run = make_run("on: push\njobs:\n  a: {runs-on: x, outputs: {v: '${{ 1 }}'}, steps: [{run: x}]}\n"
	                           "  b: {needs: a, if: \"needs.a.outputs.v == 'go'\", runs-on: x, steps: [{run: x}]}\n"
	                           "  c: {needs: b, runs-on: x, steps: [{run: x}]}\n");

	(void)state;
	expect_run(run, "queued : ; a=queued; b=blocked; c=blocked;");
	assert_true(claim("r", "lease-aaaaaaaaaaaaaaaa", &h));
	assert_false(claim("r", "lease-bbbbbbbbbbbbbbbb", &(struct held){ 0 }));
	expect_run(run, "running : ; a=running;");
	assert_int_equal(report(&h, 0, STEP_RUNNING), 0);
	assert_int_equal(report(&h, 0, STEP_SUCCESS), 0);
	assert_int_equal(report(&h, 0, STEP_SUCCESS), 0);
	assert_int_equal(report(&h, 0, STEP_FAILURE), -WEIR_ECONFLICT);
	assert_int_equal(report(&h, 1, STEP_SUCCESS), -WEIR_EINVAL);
	assert_int_equal(finish(&h, RESULT_SUCCESS, "{\"v\":\"go\"}", false), 0);
	assert_int_equal(finish(&h, RESULT_SUCCESS, "{\"v\":\"go\"}", false), 0);
	assert_int_equal(report(&h, 0, STEP_SUCCESS), -WEIR_EGONE);
	expect_run(run, "b=queued; c=blocked;");
	assert_true(claim("r", "lease-cccccccccccccccc", &h));
	assert_int_equal(finish(&h, RESULT_FAILURE, "{}", false), 0);
	expect_run(run, "finished failure: job 'b' failed; a=finished/success; b=finished/failurestep 0: exit 1; c=finished/skippedneeds: 'b' ended with failure;");
}

static void claim_again_after_a_lost_answer(void **state)
{
	struct held h, again;

	(void)state;
	make_run("on: push\njobs:\n  a: {runs-on: x, steps: [{run: x}]}\n");
	assert_true(claim("r", "lease-dddddddddddddddd", &h));
	assert_true(claim("r", "lease-dddddddddddddddd", &again));
	assert_string_equal(h.job, again.job);
	assert_int_equal(again.attempt, 1);
	assert_false(claim("other", "lease-dddddddddddddddd", &again)); /* the lease of somebody else */
	assert_int_equal(finish(&h, RESULT_SUCCESS, "{}", false), 0);
}

static void labels(void **state)
{
	struct held h;
	const char *run = make_run("on: push\njobs:\n  a: {runs-on: [x, gpu], steps: [{run: x}]}\n");

	(void)state;
	assert_false(claim("r", "lease-eeeeeeeeeeeeeeee", &h));
	tick(25 * 3600 * USEC_PER_SEC);
	expect_run(run, "a=finished/failureno-runner: no runner with the labels [gpu,x] took the job");
}

static void lost_three_times(void **state)
{
	struct held h, first;
	const char *run = make_run("on: push\njobs:\n  a: {runs-on: x, steps: [{run: x}, {run: y}]}\n");

	(void)state;
	assert_true(claim("r1", "lease-ffffffffffffff01", &first));
	assert_int_equal(report(&first, 0, STEP_RUNNING), 0);
	tick((LEASE_MS + 1000) * USEC_PER_MSEC);
	expect_run(run, "a=queued");
	assert_int_equal(finish(&first, RESULT_SUCCESS, "{}", false), -WEIR_EGONE);
	assert_true(claim("r2", "lease-ffffffffffffff02", &h));
	assert_int_equal(h.attempt, 2);
	assert_int_equal(report(&first, 0, STEP_SUCCESS), -WEIR_EGONE);
	tick((LEASE_MS + 1000) * USEC_PER_MSEC);
	assert_true(claim("r3", "lease-ffffffffffffff03", &h));
	tick((LEASE_MS + 1000) * USEC_PER_MSEC);
	expect_run(run, "a=finished/failurelost: runner 'r3' did not renew its lease; it was attempt 3 of 3");
}

/* The claim itself meets the lost lease before the scheduler's turn does. */
static void lost_and_claimed_at_once(void **state)
{
	struct held h, first;
	bool        cancel;

	(void)state;
	make_run("on: push\njobs:\n  a: {runs-on: x, steps: [{run: x}]}\n");
	assert_true(claim("r1", "lease-gggggggggggggg01", &first));
	now += (LEASE_MS + 1000) * USEC_PER_MSEC;
	assert_true(claim("r2", "lease-gggggggggggggg02", &h));
	assert_int_equal(h.attempt, 2);
	assert_int_equal(renew(&first, &cancel), -WEIR_EGONE);
	assert_int_equal(renew(&h, &cancel), 0);
	assert_int_equal(finish(&h, RESULT_SUCCESS, "{}", false), 0);
}

static void restart_keeps_leases(void **state)
{
	struct held h;
	bool        cancel;
	const char *run = make_run("on: push\njobs:\n  a: {runs-on: x, steps: [{run: x}]}\n");

	(void)state;
	assert_true(claim("r1", "lease-hhhhhhhhhhhhhh01", &h));
	server_stop();
	now += 3600 * USEC_PER_SEC; /* long after the lease */
	server_start();
	tick(USEC_PER_SEC);
	expect_run(run, "a=running");
	assert_int_equal(renew(&h, &cancel), 0);
	assert_int_equal(finish(&h, RESULT_SUCCESS, "{}", false), 0);
	expect_run(run, "finished success");
}

static void matrix_limits(void **state)
{
	struct held h[4];
	bool        cancel;
	const char *run = make_run("on: push\njobs:\n  a:\n    runs-on: x\n    strategy: {max-parallel: 2, matrix: {v: [1, 2, 3, 4]}}\n    steps: [{run: x}]\n");

	(void)state;
	assert_true(claim("r", "lease-iiiiiiiiiiiiii01", &h[0]));
	assert_true(claim("r", "lease-iiiiiiiiiiiiii02", &h[1]));
	assert_false(claim("r", "lease-iiiiiiiiiiiiii03", &h[2]));
	assert_int_equal(finish(&h[0], RESULT_SUCCESS, "{}", false), 0);
	assert_true(claim("r", "lease-iiiiiiiiiiiiii03", &h[2]));
	assert_int_equal(finish(&h[2], RESULT_FAILURE, "{}", false), 0);
	expect_run(run, "a.4=finished/cancelledfail-fast: 'a (3)' failed");
	assert_int_equal(renew(&h[1], &cancel), 0);
	assert_true(cancel);
	assert_int_equal(finish(&h[1], RESULT_CANCELLED, "{}", false), 0);
	expect_run(run, "finished failure: job 'a' failed; a.1=finished/success; a.2=finished/cancelledstep 0");
}

static void continue_on_error(void **state)
{
	struct held h;
	const char *run = make_run("on: push\njobs:\n  a: {runs-on: x, continue-on-error: true, steps: [{run: x}]}\n  b: {needs: a, runs-on: x, steps: [{run: x}]}\n");

	(void)state;
	assert_true(claim("r", "lease-jjjjjjjjjjjjjj01", &h));
	assert_int_equal(finish(&h, RESULT_FAILURE, "{}", false), 0);
	assert_true(claim("r", "lease-jjjjjjjjjjjjjj02", &h));
	assert_int_equal(finish(&h, RESULT_SUCCESS, "{}", false), 0);
	expect_run(run, "finished success: ; a=finished/failurestep 0: exit 1; b=finished/success;");
}

struct act {
	const char *run;
	bool        retry;
};
static int act_turn(struct turn *t, void *arg, struct err *reterr)
{
	struct act *x = arg;
	struct run *r;
	int         rc = run_load(t, str_z(x->run), &r, reterr);

	return rc ? rc : x->retry ? run_retry(t, r, reterr) : run_cancel(t, r, STR("cancelled: by token:laptop"), reterr);
}

static void cancel_and_retry(void **state)
{
	struct held h;
	bool        cancel;
	struct err  e = { 0 };
	char        run[ID_SIZE];
	struct act  again = { run, true };

	(void)state;
	(void)snprintf(run, sizeof(run), "%s", make_run("on: push\njobs:\n  a: {runs-on: x, steps: [{run: x}]}\n  b: {needs: a, runs-on: x, steps: [{run: x}]}\n"
	                                                "  c: {needs: b, if: 'always()', runs-on: x, steps: [{run: x}]}\n"));
	assert_true(claim("r", "lease-kkkkkkkkkkkkkk01", &h));
	assert_int_equal(finish(&h, RESULT_SUCCESS, "{}", false), 0);
	assert_true(claim("r", "lease-kkkkkkkkkkkkkk02", &h));
	assert_err(turn_write(p, STR("t"), act_turn, &again, &e), WEIR_ECONFLICT);
	assert_ok(pipeline_cancel(p, str_z(run), STR("token:laptop"), &e), &e);
	assert_ok(pipeline_cancel(p, str_z(run), STR("token:laptop"), &e), &e);
	assert_int_equal(renew(&h, &cancel), 0);
	assert_true(cancel);
	assert_int_equal(finish(&h, RESULT_CANCELLED, "{}", false), 0);
	assert_true(claim("r", "lease-kkkkkkkkkkkkkk03", &h)); /* always() */
	assert_int_equal(finish(&h, RESULT_SUCCESS, "{}", false), 0);
	expect_run(run, "finished cancelled: cancelled: by token:laptop; a=finished/success;");
	assert_err(pipeline_cancel(p, str_z(run), STR("token:laptop"), &e), WEIR_ECONFLICT);
	assert_ok(turn_write(p, STR("token:laptop"), act_turn, &again, &e), &e);
	expect_run(run, "queued : ; a=finished/success; b=queued; c=blocked;");
	for (int i = 0; i < 2; i++) {
		assert_true(claim("r", i ? "lease-kkkkkkkkkkkkkk04" : "lease-kkkkkkkkkkkkkk05", &h));
		assert_int_equal(finish(&h, RESULT_SUCCESS, "{}", false), 0);
	}
	expect_run(run, "finished success: ;");
	assert_err(turn_write(p, STR("t"), act_turn, &again, &e), WEIR_ECONFLICT);
}

static void a_deaf_runner(void **state)
{
	struct held h;
	bool        cancel;
	struct err  e = { 0 };
	const char *run = make_run("on: push\njobs:\n  a: {runs-on: x, timeout-minutes: 30, steps: [{run: x}]}\n");

	(void)state;
	assert_true(claim("r", "lease-llllllllllllll01", &h));
	assert_ok(pipeline_cancel(p, str_z(run), STR("token:laptop"), &e), &e);
	for (int i = 0; i < 50 && renew(&h, &cancel) == 0; i++)
		tick(20 * USEC_PER_SEC);
	expect_run(run, "finished cancelled: cancelled: by token:laptop; a=finished/cancelledcancelled: by token:laptop");
	run = make_run("on: push\njobs:\n  a: {runs-on: x, timeout-minutes: 30, steps: [{run: x}]}\n");
	assert_true(claim("r", "lease-llllllllllllll02", &h));
	for (int i = 0; i < 500 && renew(&h, &cancel) == 0; i++)
		tick(20 * USEC_PER_SEC);
	expect_run(run, "finished failure: job 'a' failed; a=finished/failuretimeout: 30 min");
}

static void concurrency_groups(void **state)
{
	static const char wait[] = "on: push\nconcurrency: g1\njobs:\n  a: {runs-on: x, steps: [{run: x}]}\n";
	static const char cut[] = "on: push\nconcurrency: {group: g2, cancel-in-progress: true}\njobs:\n  a: {runs-on: x, steps: [{run: x}]}\n";
	struct held       h, none;
	char              r1[ID_SIZE], r2[ID_SIZE], r3[ID_SIZE];

	(void)state;
	(void)snprintf(r1, sizeof(r1), "%s", make_run(wait));
	(void)snprintf(r2, sizeof(r2), "%s", make_run(wait));
	expect_run(r2, "waiting : concurrency: waits for group 'g1'");
	assert_true(claim("r", "lease-mmmmmmmmmmmmmm01", &h));
	assert_false(claim("r", "lease-mmmmmmmmmmmmmm02", &none));
	(void)snprintf(r3, sizeof(r3), "%s", make_run(wait));
	expect_run(r2, "finished cancelled: concurrency: superseded by run");
	assert_int_equal(finish(&h, RESULT_SUCCESS, "{}", false), 0);
	expect_run(r3, "queued");
	assert_true(claim("r", "lease-mmmmmmmmmmmmmm03", &h));
	assert_int_equal(finish(&h, RESULT_SUCCESS, "{}", false), 0);
	expect_run(r3, "finished success");

	(void)snprintf(r1, sizeof(r1), "%s", make_run(cut));
	assert_true(claim("r", "lease-mmmmmmmmmmmmmm04", &h));
	(void)snprintf(r2, sizeof(r2), "%s", make_run(cut));
	expect_run(r2, "waiting");
	assert_int_equal(finish(&h, RESULT_CANCELLED, "{}", false), 0);
	expect_run(r1, "finished cancelled: concurrency: cancel-in-progress by run");
	expect_run(r2, "queued");
	(void)snprintf(r3, sizeof(r3), "%s", make_run(cut)); /* r2 has not begun: it ends at once */
	expect_run(r2, "finished cancelled: concurrency: cancel-in-progress");
	expect_run(r3, "queued");
	assert_true(claim("r", "lease-mmmmmmmmmmmmmm05", &h));
	assert_int_equal(finish(&h, RESULT_SUCCESS, "{}", false), 0);
}

static bool claim_n(int n, struct held *h)
{
	char lease[40];

	(void)snprintf(lease, sizeof(lease), "lease-job-group-%06d", n);
	return claim("r", lease, h);
}

/* Jobs and runs share the groups; upper and lower case are the same. */
static void concurrency_of_jobs(void **state)
{
	static const char one[] = "on: push\njobs:\n  a: {runs-on: x, concurrency: deploy, steps: [{run: x}]}\n  b: {runs-on: x, steps: [{run: x}]}\n";
	static const char cut[] = "on: push\njobs:\n  a: {runs-on: x, concurrency: {group: DEPLOY, cancel-in-progress: true}, steps: [{run: x}]}\n";
	static const char whole[] = "on: push\nconcurrency: Deploy\njobs:\n  a: {runs-on: x, steps: [{run: x}]}\n";
	static const char own[] = "on: push\nconcurrency: own\njobs:\n  a: {runs-on: x, concurrency: OWN, steps: [{run: x}]}\n";
	struct held       h, b, none;
	bool              cancel;
	char              r1[ID_SIZE], r2[ID_SIZE], r3[ID_SIZE], r4[ID_SIZE];

	(void)state;
	(void)snprintf(r1, sizeof(r1), "%s", make_run(one));
	(void)snprintf(r2, sizeof(r2), "%s", make_run(one));
	expect_run(r1, "a=queued; b=queued;");
	expect_run(r2, "a=blockedconcurrency: waits for group 'deploy'; b=queued;");
	(void)snprintf(r3, sizeof(r3), "%s", make_run(whole)); /* a run takes the waiting job's place */
	expect_run(r2, "a=finished/cancelledconcurrency: superseded by run 3 of group 'Deploy'; b=queued;");
	expect_run(r3, "waiting");
	assert_true(claim_n(1, &h));
	assert_true(claim_n(2, &b));
	assert_int_equal(finish(&b, RESULT_SUCCESS, "{}", false), 0);
	expect_run(r3, "waiting"); /* b held nothing */
	assert_int_equal(finish(&h, RESULT_SUCCESS, "{}", false), 0);
	expect_run(r3, "queued : ; a=queued");
	assert_true(claim_n(3, &h)); /* a of r3, and b of r2 */
	assert_true(claim_n(4, &b));
	if (strcmp(h.run, r2) == 0) {
		none = h;
		h = b;
		b = none;
	}
	assert_int_equal(finish(&b, RESULT_SUCCESS, "{}", false), 0);
	expect_run(r2, "finished cancelled: job 'a' was cancelled: concurrency: superseded by run 3");
	(void)snprintf(r4, sizeof(r4), "%s", make_run(cut)); /* a job stops a run */
	expect_run(r4, "a=blockedconcurrency");
	assert_int_equal(renew(&h, &cancel), 0);
	assert_true(cancel);
	assert_int_equal(finish(&h, RESULT_CANCELLED, "{}", false), 0);
	expect_run(r3, "finished cancelled: concurrency: cancel-in-progress by job 'a' of run 4 of group 'DEPLOY'");
	expect_run(r4, "a=queued;");
	server_stop();
	server_start();
	(void)snprintf(r1, sizeof(r1), "%s", make_run(one));
	expect_run(r1, "a=blocked");
	assert_int_equal(pipeline_cancel(p, str_z(r4), STR("token:laptop"), NULL), 0); /* a holder that is ended by hand */
	expect_run(r1, "a=queued;");
	expect_run(make_run(own), "finished cancelled: job 'a' was cancelled: concurrency: the run holds group 'OWN' itself");
	while (claim_n(5, &none))
		assert_int_equal(finish(&none, RESULT_SUCCESS, "{}", false), 0);
}

/* Cells of one matrix in one group: the last that waits takes the place of those before it. With `queue: max`, or when max-parallel lets only one come
 * at a time, all of them run. */
static void concurrency_in_a_matrix(void **state)
{
	static const char form[] = "on: push\njobs:\n  a:\n    runs-on: x\n    strategy: {%smatrix: {v: [1, 2, 3]}}\n    concurrency: {group: m%s}\n    steps: [{run: x}]\n";
	struct held       h;
	char              text[400], run[ID_SIZE];

	(void)state;
	(void)snprintf(text, sizeof(text), form, "", "");
	(void)snprintf(run, sizeof(run), "%s", make_run(text));
	expect_run(run, "a.1=queued; a.2=finished/cancelledconcurrency: superseded by job 'a (3)' of run 1 of group 'm'; a.3=blocked");
	assert_true(claim_n(1, &h));
	assert_int_equal(finish(&h, RESULT_SUCCESS, "{}", false), 0);
	expect_run(run, "a.3=queued;");
	assert_true(claim_n(2, &h));
	assert_int_equal(finish(&h, RESULT_SUCCESS, "{}", false), 0);
	expect_run(run, "finished cancelled: job 'a' was cancelled");
	for (int k = 0; k < 2; k++) {
		(void)snprintf(text, sizeof(text), form, k ? "max-parallel: 1, " : "", k ? "" : ", queue: max");
		(void)snprintf(run, sizeof(run), "%s", make_run(text));
		for (int i = 0; i < 3; i++) {
			assert_true(claim_n(10 * k + 3 + i, &h));
			assert_false(claim_n(99, &(struct held){ 0 }));
			assert_int_equal(finish(&h, RESULT_SUCCESS, "{}", false), 0);
		}
		expect_run(run, "finished success");
	}
}

/* A run that waits and cannot be loaded any more does not keep the group from the next. */
static int spoil_turn(struct turn *t, void *arg, struct err *reterr);
static void concurrency_of_an_unreadable_run(void **state)
{
	static const char text[] = "on: push\nconcurrency: {group: q, queue: max}\njobs:\n  a: {runs-on: x, steps: [{run: x}]}\n";
	struct held       h;
	struct err        e = { 0 };
	char              r1[ID_SIZE], r2[ID_SIZE], r3[ID_SIZE];

	(void)state;
	(void)snprintf(r1, sizeof(r1), "%s", make_run(text));
	(void)snprintf(r2, sizeof(r2), "%s", make_run(text));
	(void)snprintf(r3, sizeof(r3), "%s", make_run(text));
	assert_ok(turn_write(p, STR("t"), spoil_turn, r2, &e), &e);
	assert_true(claim_n(1, &h));
	assert_int_equal(finish(&h, RESULT_SUCCESS, "{}", false), 0);
	expect_run(r2, "finished failure: run ");
	expect_run(r3, "queued : ; a=queued");
}

/* Of a matrix only the cells that did not succeed, and what needs them; the outputs of the others stay. */
static void retry_cells(void **state)
{
	struct held h[8];
	struct err  e = { 0 };
	char        run[ID_SIZE];
	struct act  again = { run, true };

	(void)state;
	(void)snprintf(run, sizeof(run), "%s", make_run(
		"on: push\njobs:\n  a:\n    runs-on: x\n    strategy: {fail-fast: false, matrix: {v: [1, 2, 3]}}\n    outputs: {o: x}\n    steps: [{run: x}]\n"
		"  b: {runs-on: x, continue-on-error: true, outputs: {o: x}, steps: [{run: x}]}\n"
		"  c: {needs: a, if: 'always()', runs-on: x, steps: [{run: x}]}\n"
		"  d: {needs: b, runs-on: x, strategy: {fail-fast: false, matrix: {v: '${{ fromJSON(needs.b.outputs.o) }}'}}, steps: [{run: x}]}\n"
		"  e: {needs: [b], if: \"github.ref == 'x'\", runs-on: x, steps: [{run: x}]}\n"
		"  f: {needs: a, runs-on: x, steps: [{run: x}]}\n"));
	for (int i = 0; i < 4; i++)
		assert_true(claim_n(20 + i, &h[i]));
	assert_int_equal(finish(&h[0], RESULT_SUCCESS, "{\"o\":\"kept\"}", false), 0);
	assert_int_equal(finish(&h[1], RESULT_FAILURE, "{}", false), 0);
	assert_int_equal(finish(&h[2], RESULT_SUCCESS, "{}", false), 0);
	assert_int_equal(finish(&h[3], RESULT_FAILURE, "{\"o\":\"[7,8]\"}", false), 0); /* its failure is allowed */
	for (int i = 4; i < 7; i++) {
		assert_true(claim_n(20 + i, &h[i]));
		assert_int_equal(finish(&h[i], strcmp(h[i].key, "d.1") == 0 ? RESULT_FAILURE : RESULT_SUCCESS, "{}", false), 0);
	}
	expect_run(run, "finished failure: job 'a' failed; a.1=finished/success; a.2=finished/failure");
	expect_run(run, "f=finished/skippedneeds: 'a' ended with failure;");
	assert_ok(turn_write(p, STR("token:laptop"), act_turn, &again, &e), &e);
	expect_run(run, "queued : ; a.1=finished/success; a.2=queued; a.3=finished/success; b=finished/failurestep 0: exit 1; c=blocked; d.1=queued; d.2=finished/success");
	expect_run(run, "e=finished/skippedif: github.ref == 'x' is false; f=blocked;");
	for (int i = 0; i < 4; i++) {
		assert_true(claim_n(40 + i, &h[i]));
		assert_int_equal(finish(&h[i], RESULT_SUCCESS, "{}", false), 0);
	}
	assert_false(claim_n(50, &h[0]));
	expect_run(run, "finished success: ;");
	expect_output(run, "a", "kept");
	assert_err(turn_write(p, STR("t"), act_turn, &again, &e), WEIR_ECONFLICT);
}

/* A group that could not be made into jobs, and cells that never began, are made anew. */
static void retry_what_never_was(void **state)
{
	struct held h;
	struct err  e = { 0 };
	char        run[ID_SIZE];
	struct act  again = { run, true };

	(void)state;
	(void)snprintf(run, sizeof(run), "%s", make_run(
		"on: push\njobs:\n  a: {runs-on: x, outputs: {o: x}, steps: [{run: x}]}\n"
		"  b: {needs: a, runs-on: x, strategy: {matrix: {v: '${{ fromJSON(needs.a.outputs.o) }}'}}, steps: [{run: x}]}\n"
		"  c: {needs: b, runs-on: x, strategy: {matrix: {v: [1, 2]}}, steps: [{run: x}]}\n"));
	assert_true(claim_n(60, &h));
	assert_int_equal(finish(&h, RESULT_SUCCESS, "{\"o\":\"none\"}", false), 0);
	expect_run(run, "b=finished/failureplan: ");
	assert_ok(turn_write(p, STR("token:laptop"), act_turn, &again, &e), &e);
	expect_run(run, "finished failure: job 'b' failed; a=finished/success; b=finished/failureplan: "); /* a's output is what it was */
	(void)snprintf(run, sizeof(run), "%s", make_run("on: push\njobs:\n  a: {runs-on: x, strategy: {max-parallel: 1, matrix: {v: [1, 2]}}, steps: [{run: x}]}\n"));
	assert_int_equal(pipeline_cancel(p, str_z(run), STR("token:laptop"), NULL), 0);
	expect_run(run, "a.1=finished/cancelledcancelled: by token:laptop; a.2=finished/cancelled");
	assert_ok(turn_write(p, STR("token:laptop"), act_turn, &again, &e), &e);
	expect_run(run, "queued : ; a.1=queued; a.2=blocked;");
	for (int i = 0; i < 2; i++) {
		assert_true(claim_n(70 + i, &h));
		assert_int_equal(finish(&h, RESULT_SUCCESS, "{}", false), 0);
	}
	expect_run(run, "finished success");
}

static void gives_back(void **state)
{
	struct held h;
	const char *run = make_run("on: push\njobs:\n  a: {runs-on: x, steps: [{run: x}]}\n");

	(void)state;
	for (int i = 1; i <= 3; i++) {
		char lease[40];

		(void)snprintf(lease, sizeof(lease), "lease-nnnnnnnnnnnnnn%02d", i);
		assert_true(claim("r", lease, &h));
		assert_int_equal(h.attempt, i);
		assert_int_equal(finish(&h, RESULT_FAILURE, "{}", true), 0);
	}
	expect_run(run, "a=finished/failurestep 0: exit 1");
}

static void plan_errors_later(void **state)
{
	struct held h;
	const char *run = make_run("on: push\njobs:\n  a: {runs-on: x, steps: [{run: x}]}\n"
	                           "  b: {needs: a, runs-on: x, strategy: {matrix: {v: '${{ fromJSON(needs.a.outputs.none) }}'}}, steps: [{run: x}]}\n"
	                           "  c: {needs: a, if: \"fromJSON('{')\", runs-on: x, steps: [{run: x}]}\n"
	                           "  d: {needs: a, runs-on: x, env: {X: \"${{ fromJSON('{') }}\"}, steps: [{run: x}]}\n");

	(void)state;
	assert_true(claim("r", "lease-oooooooooooooo01", &h));
	assert_int_equal(finish(&h, RESULT_SUCCESS, "{}", false), 0);
	assert_false(claim("r", "lease-oooooooooooooo02", &h)); /* d cannot be made into a spec */
	expect_run(run, "finished failure");
	expect_run(run, "b=finished/failureplan: ci.yml:4:");
	expect_run(run, "c=finished/failureplan: ci.yml:5:");
	expect_run(run, "d=finished/failureplan: ci.yml:6:");
}

/* A run whose workflow this version does not read (any more) ends when its job does, and holds no other back. */
static int spoil_turn(struct turn *t, void *arg, struct err *reterr)
{
	return db_exec(t->tx, reterr, "UPDATE pl_run SET workflow_text = 'on: sunset' WHERE id = $1", "z", (const char *)arg);
}
static void unreadable_run(void **state)
{
	struct held h, other;
	struct err  e = { 0 };
	char        bad[ID_SIZE], good[ID_SIZE];

	(void)state;
	(void)snprintf(bad, sizeof(bad), "%s", make_run("on: push\njobs:\n  a: {runs-on: x, steps: [{run: x}]}\n  b: {needs: a, runs-on: x, steps: [{run: x}]}\n"));
	assert_true(claim("r", "lease-pppppppppppppp01", &h));
	(void)snprintf(good, sizeof(good), "%s", make_run("on: push\njobs:\n  a: {runs-on: x, steps: [{run: x}]}\n"));
	assert_true(claim("r", "lease-pppppppppppppp02", &other));
	assert_ok(turn_write(p, STR("t"), spoil_turn, bad, &e), &e);
	assert_true(finish(&h, RESULT_SUCCESS, "{}", false) != 0);
	for (int i = 0; i < 4; i++)
		tick((LEASE_MS + 1000) * USEC_PER_MSEC);
	expect_run(bad, "finished failure: run ");
	expect_run(bad, "a=finished/failure");
	expect_run(bad, "b=finished/failure");
	expect_run(good, "a=queued");
	/* the same while it waits: the next claim ends it and takes what is behind it */
	(void)snprintf(bad, sizeof(bad), "%s", make_run("on: push\njobs:\n  a: {runs-on: x, steps: [{run: x}]}\n"));
	assert_ok(turn_write(p, STR("t"), spoil_turn, bad, &e), &e);
	(void)make_run("on: push\njobs:\n  a: {runs-on: x, steps: [{run: x}]}\n");
	for (int i = 3; i <= 4; i++) {
		char lease[40];

		(void)snprintf(lease, sizeof(lease), "lease-pppppppppppppp%02d", i);
		assert_true(claim("r", lease, &h));
		assert_int_equal(finish(&h, RESULT_SUCCESS, "{}", false), 0);
	}
	expect_run(bad, "finished failure: run ");
}

/* --- the simulation --- */

enum { RUNNERS = 4, GROUPS_MAX = 8 };

struct sim_group {
	char   id[32];
	size_t needs[GROUPS_MAX], n_needs;
	int    matrix;
	bool   cond; /* has an `if` */
};
struct sim {
	struct sim_group g[GROUPS_MAX];
	size_t           n;
	bool             cancelled;
};

static void random_workflow(struct sim *s, struct buf *b)
{
	memset(s, 0, sizeof(*s));
	s->n = 1 + rnd(GROUPS_MAX);
	buf_clear(b);
	buf_addz(b, "on: push\njobs:\n");
	for (size_t i = 0; i < s->n; i++) {
		struct sim_group *g = &s->g[i];

		(void)snprintf(g->id, sizeof(g->id), "j%zu", i);
		buf_addf(b, "  %s:\n    runs-on: x\n    outputs: {v: x}\n    steps: [{run: x}, {run: y}]\n", g->id);
		for (size_t k = 0; k < i; k++)
			if (rnd(3) == 0)
				g->needs[g->n_needs++] = k;
		if (g->n_needs)
			buf_addz(b, "    needs: [");
		for (size_t k = 0; k < g->n_needs; k++)
			buf_addf(b, "%sj%zu", k ? ", " : "", g->needs[k]);
		if (g->n_needs)
			buf_addz(b, "]\n");
		if (rnd(4) == 0) {
			static const char *const ifs[] = { "always()", "failure()", "${{ !cancelled() }}", "success() || failure()" };

			g->cond = true;
			buf_addf(b, "    if: %s\n", ifs[rnd(4)]);
		}
		if (rnd(5) == 0)
			buf_addz(b, "    continue-on-error: true\n");
		if (rnd(3) == 0) {
			g->matrix = 1 + (int)rnd(4);
			buf_addf(b, "    strategy: {fail-fast: %s, %smatrix: {v: [", rnd(2) ? "true" : "false", rnd(2) ? "max-parallel: 2, " : "");
			for (int k = 0; k < g->matrix; k++)
				buf_addf(b, "%s%d", k ? ", " : "", k);
			buf_addz(b, "]}}\n");
		}
	}
}

static int64_t after; /* the events of earlier runs were looked at */
static int64_t sim_runs = 100;

/* The log's story of one run, read at its end: each job ends once, and starts before it ends. */
static void check_story(const char *run, const struct sim *s)
{
	struct arena     a = ARENA_INIT(64 << 20);
	struct event    *ev;
	size_t           n;
	struct err       e = { 0 };
	struct map       started = MAP_INIT, ended = MAP_INIT;
	int              runs_ended = 0;

	(void)s;
	assert_ok(event_read(events, STR("shop"), after, NULL, 0, 100000, &a, &ev, &n, &e), &e);
	for (size_t i = 0; i < n; i++) {
		struct doc_node *d;

		after = ev[i].seq;
		assert_ok(doc_parse_json(&a, "ev", ev[i].data, &d, &e), &e);
		if (!str_eqz(doc_get_str(d, "run"), run))
			continue;
		str job = doc_get_str(d, "job");
		if (str_eqz(ev[i].type, "job.started")) {
			if (map_has(&ended, job))
				fail_msg("job %.*s started after its end", STR_ARG(job));
			assert_true(map_put(&started, job, run == NULL ? NULL : (void *)(uintptr_t)1, NULL));
		} else if (str_eqz(ev[i].type, "job.finished")) {
			if (map_has(&ended, job))
				fail_msg("job %.*s ended twice", STR_ARG(job));
			assert_true(map_put(&ended, job, (void *)(uintptr_t)1, NULL));
			str result = doc_get_str(d, "result");
			if ((str_eqz(result, "success")) && !map_has(&started, job))
				fail_msg("job %.*s succeeded without a start", STR_ARG(job));
			if (str_eqz(result, "skipped") && (map_has(&started, job) || doc_get_str(d, "cause").len == 0))
				fail_msg("job %.*s was skipped after its start or without a cause", STR_ARG(job));
			if (str_eqz(result, "cancelled") && doc_get_str(d, "cause").len == 0)
				fail_msg("job %.*s was cancelled without a cause", STR_ARG(job));
		} else if (str_eqz(ev[i].type, "run.finished")) {
			runs_ended++;
		}
	}
	assert_int_equal(runs_ended, 1);
	map_fini(&started);
	map_fini(&ended);
	arena_fini(&a);
}

/* Every need of the job that was just claimed has its result; read from the rows, not from the scheduler's memory. */
struct ready {
	const struct held *h;
	const struct sim  *s;
	char               bad[200];
};
static int ready_turn(struct turn *t, void *arg, struct err *reterr)
{
	struct ready *x = arg;
	struct run   *r;
	size_t        g = 0;
	int           rc = run_load(t, str_z(x->h->run), &r, reterr);

	x->bad[0] = '\0';
	if (rc)
		return rc;
	while (g < x->s->n && (strncmp(x->h->key, x->s->g[g].id, strlen(x->s->g[g].id)) != 0))
		g++;
	for (size_t k = 0; k < x->s->g[g].n_needs; k++)
		for (size_t i = 0; i < r->n_jobs; i++)
			if (r->jobs[i].group == (int64_t)x->s->g[g].needs[k] && r->jobs[i].state != JOB_FINISHED)
				(void)snprintf(x->bad, sizeof(x->bad), "%s began before %.*s ended", x->h->key, STR_ARG(r->jobs[i].key));
	return 0;
}

/* Groups without `if`: they ran exactly when all they need succeeded. */
static int final_turn(struct turn *t, void *arg, struct err *reterr)
{
	struct ready *x = arg;
	struct run   *r;
	int           rc = run_load(t, str_z(x->h->run), &r, reterr);

	x->bad[0] = '\0';
	if (rc)
		return rc;
	for (size_t i = 0; i < r->n_jobs; i++)
		if (r->jobs[i].state != JOB_FINISHED)
			(void)snprintf(x->bad, sizeof(x->bad), "job %.*s has not ended", STR_ARG(r->jobs[i].key));
	for (size_t g = 0; g < x->s->n; g++) {
		bool all = true;

		for (size_t k = 0; k < x->s->g[g].n_needs; k++)
			all = all && r->groups[x->s->g[g].needs[k]].result == RESULT_SUCCESS;
		if (r->groups[g].result == RESULT_NONE)
			(void)snprintf(x->bad, sizeof(x->bad), "group %zu has no result", g);
		if (!x->s->cancelled && !x->s->g[g].cond && !all && r->groups[g].result != RESULT_SKIPPED)
			(void)snprintf(x->bad, sizeof(x->bad), "group %zu ran without its needs", g);
	}
	return 0;
}

static void sim_action(struct sim *s, struct held *held, const char *run, int *leases)
{
	struct held *h = &held[rnd(RUNNERS)];
	struct err   e = { 0 };
	bool         cancel;
	char         lease[40];

	switch (rnd(12)) {
	case 0: case 1: case 2: case 3: { /* claim */
		struct held got = { 0 };

		if (h->active)
			return;
		(void)snprintf(lease, sizeof(lease), "sim-lease-%012d", ++*leases);
		if (!claim("r", lease, &got))
			return;
		for (int i = 0; i < RUNNERS; i++)
			if (held[i].active && strcmp(held[i].job, got.job) == 0) {
				if (held[i].renewed + LEASE_MS * USEC_PER_MSEC >= now)
					fail_msg("job %s is held by two runners", got.job);
				held[i].active = false;
			}
		struct ready x = { &got, s, "" };
		assert_ok(turn_read(p, ready_turn, &x, &e), &e);
		if (x.bad[0])
			fail_msg("%s", x.bad);
		*h = got;
		return;
	}
	case 4: /* renew */
		if (!h->active)
			return;
		if (renew(h, &cancel) == 0)
			h->renewed = now;
		else if (h->renewed + LEASE_MS * USEC_PER_MSEC >= now)
			fail_msg("a live lease was refused");
		else
			h->active = false;
		return;
	case 5: case 6: case 7: { /* finish, sometimes twice */
		if (!h->active)
			return;
		(void)report(h, 0, STEP_RUNNING);
		(void)report(h, 0, rnd(2) ? STEP_SUCCESS : STEP_FAILURE);
		enum plan_result r = rnd(4) ? RESULT_SUCCESS : RESULT_FAILURE;
		if (renew(h, &cancel) == 0 && cancel)
			r = RESULT_CANCELLED;
		int rc = finish(h, r, "{\"v\":\"1\"}", false), rc2 = rnd(2) ? finish(h, r, "{\"v\":\"1\"}", false) : rc;
		assert_int_equal(rc, rc2);
		if (rc && rc != -WEIR_EGONE)
			fail_msg("finish: %s", err_name(rc));
		h->active = false;
		return;
	}
	case 8: /* gives back, or vanishes */
		if (h->active && rnd(4) == 0)
			(void)finish(h, RESULT_FAILURE, "{}", true);
		else if (h->active && rnd(3) == 0)
			now += (LEASE_MS + 1) * USEC_PER_MSEC; /* everybody is late */
		else
			return;
		h->active = false;
		return;
	case 9:
		tick((usec_t)rnd(20000) * USEC_PER_MSEC);
		return;
	case 10:
		if (rnd(30) == 0) {
			int rc = pipeline_cancel(p, str_z(run), STR("token:laptop"), &e);

			if (rc && rc != -WEIR_ECONFLICT)
				fail_msg("cancel: %s", e.msg);
			s->cancelled = s->cancelled || rc == 0;
		}
		return;
	default:
		if (rnd(40) == 0) {
			server_stop();
			server_start();
			for (int i = 0; i < RUNNERS; i++) /* whoever was not given up before the start still holds its job */
				if (held[i].active && renew(&held[i], &cancel) == 0)
					held[i].renewed = now;
				else
					held[i].active = false;
		}
	}
}

static void simulation(void **state)
{
	const char *env = getenv("WEIR_SIM_RUNS"), *seed_env = getenv("WEIR_SIM_SEED");
	int64_t     runs = sim_runs, seed = 20261124;
	struct buf  b = BUF_INIT(1 << 16);
	int         leases = 0;

	(void)state;
	if (env)
		assert_true(str_to_i64(str_z(env), &runs));
	if (seed_env)
		assert_true(str_to_i64(str_z(seed_env), &seed));
	for (int64_t i = 0; i < runs; i++) {
		struct sim  s;
		struct held held[RUNNERS] = { 0 };
		char        run[ID_SIZE];
		int         actions = 0;

		rng = (uint64_t)(seed + i) * UINT64_C(0x9E3779B97F4A7C15) + 1;
		random_workflow(&s, &b);
		(void)snprintf(run, sizeof(run), "%s", make_run(buf_z(&b)));
		while (!strstr(look(run), "finished ") || strncmp(look(run), "finished", 8) != 0) {
			if (++actions > 20000)
				fail_msg("run %lld (seed %lld) does not end: %s\n%s", (long long)i, (long long)(seed + i), look(run), buf_z(&b));
			sim_action(&s, held, run, &leases);
		}
		struct held  last = { 0 };
		struct ready x = { &last, &s, "" };
		struct err   e = { 0 };
		(void)snprintf(last.run, sizeof(last.run), "%s", run);
		assert_ok(turn_read(p, final_turn, &x, &e), &e);
		if (x.bad[0])
			fail_msg("%s (WEIR_SIM_SEED=%lld WEIR_SIM_RUNS=1): %s\n%s", x.bad, (long long)(seed + i), look(run), buf_z(&b));
		check_story(run, &s);
	}
	buf_fini(&b);
}

static struct pg_test pg;
static bool           on_pg;

static int setup(void **state)
{
	struct err e = { 0 };

	(void)state;
	now = INT64_C(1764000000) * USEC_PER_SEC;
	if (fs_temp_dir("weir-sched-", dir, sizeof(dir), &e) || (on_pg && pg_test_wipe(&pg, &e)))
		return -1;
	if (on_pg)
		(void)snprintf(url, sizeof(url), "%s", pg.url);
	else
		(void)snprintf(url, sizeof(url), "sqlite:%s/weir.db", dir);
	after = 0;
	server_start();
	return 0;
}
static int teardown(void **state)
{
	struct err e = { 0 };

	(void)state;
	server_stop();
	return fs_remove_tree(dir, &e);
}
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { T(needs_and_outputs), T(claim_again_after_a_lost_answer), T(labels), T(lost_three_times),
		T(lost_and_claimed_at_once), T(restart_keeps_leases), T(matrix_limits), T(continue_on_error), T(cancel_and_retry), T(a_deaf_runner),
		T(concurrency_groups), T(concurrency_of_jobs), T(concurrency_in_a_matrix), T(concurrency_of_an_unreadable_run), T(retry_cells),
		T(retry_what_never_was), T(gives_back), T(plan_errors_later), T(unreadable_run), T(simulation) };
	struct err e = { 0 };
	int        rc, pg_rc;

	base_init();
	rc = cmocka_run_group_tests_name("SQLite", tests, NULL, NULL);
	pg_rc = pg_test_start(&pg, &e);
	if (pg_rc == 0) {
		on_pg = true;
		sim_runs = 15;
		rc += cmocka_run_group_tests_name("PostgreSQL", tests, NULL, NULL);
		pg_test_stop(&pg);
	} else {
		printf("skipped: %s\n", e.msg);
		rc += pg_rc < 0;
	}
	return rc;
}
