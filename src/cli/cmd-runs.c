/* cmd-runs.c - `weir runs [show|log|cancel|retry]` and `weir dispatch`: runs of the server. */
#include "base/base.h"
#include "base/limits.h"
#include "cli/cli.h"
#include "cli/commands.h"

enum { LOG_JSON_BYTES_MAX = 64 << 20 };

static const char *result_color(struct cli *c, str result)
{
	if (str_eqz(result, "success"))
		return cli_color(c, "green");
	if (str_eqz(result, "failure"))
		return cli_color(c, "red");
	return cli_color(c, str_eqz(result, "skipped") ? "dim" : "yellow");
}

static str result_of(const struct doc_node *n)
{
	str r = doc_get_str(n, "result");

	return r.len ? r : doc_get_str(n, "state");
}

static void print_cause(struct cli *c, const struct doc_node *n)
{
	str cause = doc_get_str(n, "cause");

	if (cause.len)
		cli_printf(c, "  %s%.*s%s", cli_color(c, "dim"), STR_ARG(cause), cli_color(c, ""));
	cli_printf(c, "\n");
}

static void print_run(struct cli *c, const struct doc_node *r)
{
	str result = result_of(r);

	cli_printf(c, "%.*s  %.*s #%lld  %-20.*s %s%-9.*s%s %.8s  %.*s", STR_ARG(doc_get_str(r, "id")), STR_ARG(doc_get_str(r, "project")),
	           (long long)doc_get_int(r, "number", 0), STR_ARG(doc_get_str(r, "workflow")), result_color(c, result), STR_ARG(result), cli_color(c, ""),
	           doc_get_str(r, "commit").ptr ? doc_get_str(r, "commit").ptr : "", STR_ARG(doc_get_str(r, "name")));
	print_cause(c, r);
}

static int api_path(struct buf *path, const char *before, const char *name, const char *after, struct err *reterr)
{
	buf_addz(path, before);
	buf_add_url(path, str_z(name));
	buf_addz(path, after);
	return buf_check(path, "the name", reterr);
}

static int run_list(struct cli *c, struct err *reterr)
{
	CLEANUP_BUF struct buf path = BUF_INIT(1024);
	const char            *project = cli_option(c, "project");
	const struct doc_node *runs;
	struct doc_node       *answer;
	int rc = project ? api_path(&path, "/api/v1/projects/", project, "/runs", reterr) : api_path(&path, "/api/v1/runs", "", "", reterr);

	if (rc == 0)
		rc = cli_call(c, "GET", buf_z(&path), STR_NULL, &answer, reterr);
	if (rc)
		return rc;
	runs = doc_get(answer, "runs");
	if (cli_wants_json(c)) {
		jw_node(cli_json(c), runs);
		return 0;
	}
	for (size_t i = 0; i < doc_len(runs); i++)
		print_run(c, doc_at(runs, i));
	if (!doc_len(runs))
		cli_notef(c, "no runs yet: push a commit with a file in .github/workflows\n");
	return 0;
}

static void print_jobs(struct cli *c, const struct doc_node *run)
{
	const struct doc_node *jobs = doc_get(run, "jobs");

	for (size_t i = 0; i < doc_len(jobs); i++) {
		const struct doc_node *j = doc_at(jobs, i), *steps = doc_get(j, "steps");
		str                    result = result_of(j);

		cli_printf(c, "  %.*s  %s%-9.*s%s %.*s", STR_ARG(doc_get_str(j, "id")), result_color(c, result), STR_ARG(result), cli_color(c, ""),
		           STR_ARG(doc_get_str(j, "name")));
		print_cause(c, j);
		for (size_t k = 0; k < doc_len(steps); k++) {
			const struct doc_node *s = doc_at(steps, k);
			str                    state = doc_get_str(s, "state");

			cli_printf(c, "      %3lld %s%-9.*s%s %.*s", (long long)doc_get_int(s, "step", 0), result_color(c, state), STR_ARG(state), cli_color(c, ""),
			           STR_ARG(doc_get_str(s, "name")));
			print_cause(c, s);
		}
	}
}

static int answer_run(struct cli *c, const struct doc_node *run)
{
	if (cli_wants_json(c)) {
		jw_node(cli_json(c), run);
		return 0;
	}
	print_run(c, run);
	print_jobs(c, run);
	return 0;
}

static int run_call(struct cli *c, const char *method, const char *tail, struct err *reterr)
{
	CLEANUP_BUF struct buf path = BUF_INIT(1024);
	struct doc_node       *answer;
	int                    rc = api_path(&path, "/api/v1/runs/", cli_arg(c, 0), tail, reterr);

	if (rc == 0)
		rc = cli_call(c, method, buf_z(&path), STR_NULL, &answer, reterr);
	return rc ? rc : answer_run(c, answer);
}

static int run_show(struct cli *c, struct err *reterr)
{
	return run_call(c, "GET", "", reterr);
}
static int run_cancel(struct cli *c, struct err *reterr)
{
	return run_call(c, "POST", "/cancel", reterr);
}
static int run_retry(struct cli *c, struct err *reterr)
{
	return run_call(c, "POST", "/retry", reterr);
}

/* --- log --- */

/* The id of a job that was given by id, key or name. */
static int find_job(struct cli *c, str *ret, struct err *reterr)
{
	CLEANUP_BUF struct buf path = BUF_INIT(1024);
	struct doc_node       *run;
	const struct doc_node *jobs;
	str                    want = str_z(cli_arg(c, 1));
	int                    rc = api_path(&path, "/api/v1/runs/", cli_arg(c, 0), "", reterr);

	if (rc == 0)
		rc = cli_call(c, "GET", buf_z(&path), STR_NULL, &run, reterr);
	if (rc)
		return rc;
	jobs = doc_get(run, "jobs");
	for (size_t i = 0; i < doc_len(jobs); i++) {
		const struct doc_node *j = doc_at(jobs, i);

		if ((!want.ptr && doc_len(jobs) == 1) || str_eq(doc_get_str(j, "id"), want) || str_eq(doc_get_str(j, "key"), want) ||
		    str_eq(doc_get_str(j, "name"), want)) {
			*ret = doc_get_str(j, "id");
			return 0;
		}
	}
	return err_set(reterr, WEIR_ENOENT, want.ptr ? "the run has no job '%.*s'" : "the run has several jobs: name one%.*s", STR_ARG(want));
}

static int print_piece(void *ctx, str piece)
{
	(void)ctx; /* bytes as they are: a log may hold NULs */
	return fwrite(piece.ptr, 1, piece.len, stdout) == piece.len ? 0 : -WEIR_EIO;
}

static int keep_piece(void *ctx, str piece)
{
	buf_add_str(ctx, piece);
	return 0;
}

static int run_log(struct cli *c, struct err *reterr)
{
	CLEANUP_BUF struct buf all = BUF_INIT(LOG_JSON_BYTES_MAX);
	CLEANUP_BUF struct buf path = BUF_INIT(1024);
	struct http_client    *client;
	str                    job;
	int                    rc = find_job(c, &job, reterr);

	if (rc == 0)
		rc = api_path(&path, "/api/v1/runs/", cli_arg(c, 0), "/jobs/", reterr);
	if (rc == 0) {
		buf_add_url(&path, job);
		buf_addz(&path, "/log");
	}
	if (cli_option(c, "step"))
		rc = rc ? rc : api_path(&path, "?step=", cli_option(c, "step"), "", reterr);
	if (rc == 0)
		rc = cli_client(c, &client, reterr);
	if (rc)
		return rc;
	struct http_call call = HTTP_CALL_INIT;
	call.path = buf_z(&path);
	call.sink = cli_wants_json(c) ? keep_piece : print_piece;
	call.sink_ctx = cli_wants_json(c) ? (void *)&all : c;
	rc = http_call_ok(client, &call, reterr);
	if (!rc && cli_wants_json(c)) {
		rc = buf_check(&all, "the log as one JSON text (without --json it has no limit)", reterr);
		jw_obj(cli_json(c));
		jw_kstr(cli_json(c), "job", job);
		jw_kstr(cli_json(c), "log", buf_str(&all));
		jw_end(cli_json(c));
	}
	return rc;
}

/* --- dispatch --- */

static int run_dispatch(struct cli *c, struct err *reterr)
{
	CLEANUP_BUF struct buf path = BUF_INIT(1024), body = BUF_INIT(LIMIT_HTTP_BODY_BYTES);
	struct doc_node       *answer, *inputs = NULL;
	struct jw              w;
	int                    rc = api_path(&path, "/api/v1/projects/", cli_arg(c, 0), "/dispatch", reterr);

	if (rc == 0 && cli_option(c, "inputs"))
		rc = doc_parse_json(cli_arena(c), "--inputs", str_z(cli_option(c, "inputs")), &inputs, reterr);
	if (rc)
		return rc;
	jw_init(&w, &body);
	jw_obj(&w);
	jw_kstrz(&w, "workflow", cli_arg(c, 1));
	if (cli_option(c, "ref"))
		jw_kstrz(&w, "ref", cli_option(c, "ref"));
	if (inputs) {
		jw_key(&w, "inputs");
		jw_node(&w, inputs);
	}
	jw_end(&w);
	rc = buf_check(&body, "inputs", reterr);
	if (rc == 0)
		rc = cli_call(c, "POST", buf_z(&path), buf_str(&body), &answer, reterr);
	return rc ? rc : answer_run(c, answer);
}

static const struct cli_opt list_opts[] = { { "project", "NAME", "only runs of this project" }, { NULL, NULL, NULL } };
static const struct cli_opt log_opts[] = { { "step", "N", "only this step, counted from 0" }, { NULL, NULL, NULL } };
static const struct cli_opt dispatch_opts[] = {
	{ "ref", "REF", "branch or tag; default: the project's default branch" },
	{ "inputs", "JSON", "inputs of the workflow: '{\"name\":\"value\"}'" },
	{ NULL, NULL, NULL },
};

const struct cli_command cmd_runs = { .name = "runs", .args = "", .summary = "Lists workflow runs, newest first", .opts = list_opts, .run = run_list };
const struct cli_command cmd_runs_show = {
	.name = "runs show", .args = "RUN", .summary = "Shows a run's jobs and steps, and why each went as it did", .args_min = 1, .args_max = 1, .run = run_show
};
const struct cli_command cmd_runs_log = {
	.name = "runs log", .args = "RUN [JOB]", .summary = "Prints the log of a job (its id, key or name)", .opts = log_opts, .args_min = 1, .args_max = 2,
	.run = run_log
};
const struct cli_command cmd_runs_cancel = {
	.name = "runs cancel", .args = "RUN", .summary = "Cancels a run", .args_min = 1, .args_max = 1, .run = run_cancel
};
const struct cli_command cmd_runs_retry = {
	.name = "runs retry", .args = "RUN", .summary = "Runs the failed jobs of a run again", .args_min = 1, .args_max = 1, .run = run_retry
};
const struct cli_command cmd_dispatch = {
	.name = "dispatch", .args = "PROJECT WORKFLOW", .summary = "Starts a workflow by hand", .opts = dispatch_opts, .args_min = 2, .args_max = 2,
	.run = run_dispatch
};
