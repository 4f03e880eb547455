/* cmd-run.c - `weir run`: the workflows of this working tree, run on this machine as the server would run them. Main thread; jobs have their own. */
#include "base/base.h"

#include "base/fs.h"
#include "base/limits.h"
#include "base/vec.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/planning.h"
#include "pipeline/local.h"
#include "pipeline/sandbox.h"

#include <limits.h>
#include <signal.h>
#include <unistd.h>

struct output { /* of one job: the beginning of a line */
	const struct plan_job *job;
	struct buf             line;
};
struct running {
	struct cli *cli;
	struct jw  *json; /* --json: one object per job's end, in an array */
	bool        many; /* lines carry their job's name */
	VEC(struct output *) outputs;
	bool sandbox_failed; /* a step's sandbox could not be set up */
};

static volatile sig_atomic_t interrupted;
static void                  on_signal(int sig)
{
	(void)sig;
	interrupted = 1;
}
static bool on_stop(void *ctx)
{
	(void)ctx;
	return interrupted != 0;
}

static struct output *output_of(struct running *r, const struct plan_job *job)
{
	struct output *o;

	for (size_t i = 0; i < r->outputs.n; i++)
		if (r->outputs.v[i]->job == job)
			return r->outputs.v[i];
	o = ARENA_NEW(cli_arena(r->cli), struct output);
	if (!o || !VEC_PUSH(&r->outputs, o))
		return NULL;
	o->job = job;
	buf_init(&o->line, 1 << 20);
	return o;
}

static void print_line(struct running *r, const struct plan_job *job, str line)
{
	if (r->json)
		return;
	if (r->many)
		cli_printf(r->cli, "%s%.*s |%s ", cli_color(r->cli, "dim"), STR_ARG(job->name), cli_color(r->cli, ""));
	cli_printf(r->cli, "%s%.*s\n", r->many ? "" : "  ", STR_ARG(line));
}

static void on_log(void *ctx, const struct plan_job *job, size_t step, str bytes)
{
	struct running *r = ctx;
	struct output  *o = output_of(r, job);
	str             line;

	(void)step;
	while (o && bytes.len) {
		bool whole = str_cut(bytes, '\n', &line, &bytes);

		buf_add_str(&o->line, line);
		if (whole || o->line.failed || o->line.len > 4096) {
			print_line(r, job, buf_str(&o->line));
			buf_clear(&o->line);
		}
	}
}

static void flush_line(struct running *r, const struct plan_job *job)
{
	struct output *o = output_of(r, job);

	if (o && o->line.len)
		print_line(r, job, buf_str(&o->line));
	if (o)
		buf_clear(&o->line);
}

static const char *mark(const struct running *r, enum job_state s, const char **ret_color)
{
	*ret_color = cli_color(r->cli, s == JOB_SUCCESS ? "green" : s == JOB_SKIPPED ? "dim" : s == JOB_CANCELLED ? "yellow" : "red");
	return s == JOB_SUCCESS ? "ok" : s == JOB_SKIPPED ? "--" : s == JOB_CANCELLED ? "!!" : "XX";
}

static void on_step_started(void *ctx, const struct plan_job *job, size_t step, const struct job_view *v)
{
	struct running *r = ctx;

	(void)step;
	if (!r->json && v->state != JOB_SKIPPED)
		cli_printf(r->cli, "%s%.*s: %s%s\n", cli_color(r->cli, "bold"), STR_ARG(job->name), v->name, cli_color(r->cli, ""));
}

static void on_step_ended(void *ctx, const struct plan_job *job, size_t step, const struct job_view *v)
{
	struct running *r = ctx;
	const char     *color, *m = mark(r, v->state, &color);
	char            took[32];

	(void)step;
	flush_line(r, job);
	r->sandbox_failed |= strncmp(v->cause, "sandbox:", 8) == 0;
	if (!r->json)
		cli_printf(r->cli, "%s%s%s %.*s: %s%s%s%s %s%s%s\n", color, m, cli_color(r->cli, ""), STR_ARG(job->name), v->name, v->cause[0] ? " (" : "",
		           v->cause, v->cause[0] ? ")" : "", cli_color(r->cli, "dim"),
		           v->state == JOB_SKIPPED ? "skipped" : clock_human(v->ended - v->started, took), cli_color(r->cli, ""));
}

static void on_job_ended(void *ctx, const struct plan_job *job, const struct job_result *res)
{
	struct running *r = ctx;

	if (!r->json)
		return;
	jw_obj(r->json);
	jw_kstr(r->json, "job", job->key);
	jw_kstr(r->json, "name", job->name);
	jw_kstrz(r->json, "result", job_state_name(res->state));
	jw_kstrz(r->json, "cause", res->cause);
	jw_end(r->json);
}

static void on_skipped(void *ctx, str group, str cause)
{
	struct running *r = ctx;

	if (!r->json)
		cli_printf(r->cli, "%s-- %.*s: skipped, %.*s%s\n", cli_color(r->cli, "dim"), STR_ARG(group), STR_ARG(cause), cli_color(r->cli, ""));
}

/* --input NAME=VALUE, for a workflow_dispatch. */
static int one_input(struct cli *c, struct plan_input *in, struct err *reterr)
{
	CLEANUP_BUF struct buf json = BUF_INIT(1 << 20);
	const char            *text = cli_option(c, "input");
	struct doc_node       *n;
	struct jw              w;
	str                    name, value;
	int                    r;

	if (!text)
		return 0;
	if (in->inputs)
		return err_set(reterr, WEIR_EINVAL, "--input and --inputs cannot be given together");
	if (!str_cut(str_z(text), '=', &name, &value) || !name.len)
		return err_set(reterr, WEIR_EINVAL, "--input '%s': NAME=VALUE is wanted", text);
	jw_init(&w, &json);
	jw_obj(&w);
	jw_key_n(&w, name);
	jw_str(&w, value);
	jw_end(&w);
	r = doc_parse_json(cli_arena(c), "--input", buf_str(&json), &n, reterr);
	if (!r)
		in->inputs = n;
	return r;
}

static int run_one(struct running *r, str file, const struct plan_input *in, const struct local_config *cfg, enum plan_result *ret, struct err *reterr)
{
	struct arena          *a = cli_arena(r->cli);
	CLEANUP_BUF struct buf text = BUF_INIT(LIMIT_WORKFLOW_BYTES);
	const char            *name = arena_dup(a, file);
	struct workflow       *wf;
	struct plan           *p;
	int                    rc = name ? fs_read(name, &text, reterr) : arena_check(a, "run", reterr);

	if (!rc)
		rc = workflow_parse(a, name, buf_str(&text), &wf, reterr);
	if (!rc)
		rc = plan_make(a, wf, in, &p, reterr);
	if (rc)
		return rc;
	cli_notef(r->cli, "%.*s (%.*s), plan %.12s\n", STR_ARG(wf->name), STR_ARG(wf->file), p->digest);
	if (!p->runs)
		cli_notef(r->cli, "does not run: %.*s\n", STR_ARG(p->cause));
	r->many = p->n_groups > 1 || (p->n_groups == 1 && (p->groups[0].n_jobs > 1 || p->groups[0].deferred));
	return local_run(a, p, cfg, ret, reterr);
}

static int run_all(struct running *r, const struct planning_files *f, const struct plan_input *in, const struct local_config *cfg, bool *ret_good,
                   struct err *reterr)
{
	*ret_good = true;
	for (size_t i = 0; i < f->n; i++) {
		enum plan_result res;
		int              rc = run_one(r, f->v[i], in, cfg, &res, reterr);

		if (rc)
			return rc;
		*ret_good &= res == RESULT_SUCCESS || res == RESULT_SKIPPED;
		if (!r->json)
			cli_printf(r->cli, "%s%.*s: %s%s\n", cli_color(r->cli, res == RESULT_SUCCESS ? "green" : res == RESULT_SKIPPED ? "dim" : "red"),
			           STR_ARG(f->v[i]), plan_result_name(res), cli_color(r->cli, ""));
	}
	return 0;
}

static void outputs_fini(struct running *r)
{
	for (size_t i = 0; i < r->outputs.n; i++)
		buf_fini(&r->outputs.v[i]->line);
	VEC_FINI(&r->outputs);
}

static int run_run(struct cli *c, struct err *reterr)
{
	struct planning_files *f = ARENA_NEW(cli_arena(c), struct planning_files);
	struct running         r = { .cli = c };
	struct plan_input      in;
	char                   dir[256], exe[PATH_MAX], here[PATH_MAX];
	struct local_config    cfg = { .dir = dir, .exe = exe, .source = here, .etc = cli_cache_dir(c, "/etc"), /* making that copy takes longer than a short job */
		                            .only = cli_option(c, "job"), .keep = cli_switch(c, "keep"),
		                           .step_started = on_step_started, .log = on_log, .step_ended = on_step_ended, .job_ended = on_job_ended,
		                           .group_skipped = on_skipped, .stop = on_stop, .ctx = &r };
	bool                   good = false;
	struct err             cleanup;
	int                    rc = f ? planning_find(c, f, reterr) : arena_check(cli_arena(c), "run", reterr);

	if (!rc)
		rc = planning_input(c, &in, reterr);
	if (!rc)
		rc = one_input(c, &in, reterr);
	if (!rc)
		rc = fs_self_exe(exe, sizeof(exe), reterr);
	if (!rc && !getcwd(here, sizeof(here)))
		rc = err_set(reterr, WEIR_EIO, "the working folder is gone");
	if (!rc)
		rc = fs_temp_dir("weir-run-", dir, sizeof(dir), reterr);
	if (rc)
		return rc;
	(void)signal(SIGINT, on_signal);
	(void)signal(SIGTERM, on_signal);
	if (cli_wants_json(c)) {
		r.json = cli_json(c);
		jw_arr(r.json);
	}
	rc = run_all(&r, f, &in, &cfg, &good, reterr);
	if (r.json)
		jw_end(r.json);
	outputs_fini(&r);
	/* asked only when a sandbox could not be set up: a sandbox for the question costs as much as a step */
	if (!rc && r.sandbox_failed)
		rc = sandbox_probe(reterr);
	if (cfg.keep)
		cli_notef(c, "kept: %s\n", dir);
	else if (fs_remove_tree(dir, &cleanup))
		cli_notef(c, "weir: %s\n", cleanup.msg);
	return rc ? rc : good ? 0 : 1;
}

static const struct cli_opt run_opts[] = {
	{ "job", "ID", "only this job and what it needs" },
	{ "event", "NAME", "push (default) or workflow_dispatch" },
	{ "ref", "REF", "branch or full ref name; default: what is checked out" },
	{ "input", "NAME=VALUE", "an input of a workflow_dispatch" },
	{ "inputs", "JSON", "several inputs: '{\"name\":\"value\"}'" },
	{ "keep", NULL, "leave the jobs' folders for a look" },
	{ NULL, NULL, NULL },
};
const struct cli_command cmd_run = {
	.name = "run", .args = "[WORKFLOW]", .summary = "Runs the workflows of this working tree on this machine",
	.help = "The plan, the sandbox and the steps are the server's; the checkout is the working tree as it lies here (ignored files left out), copied for each "
	        "job.\nReleases are skipped. Exit code 1 when a job failed.",
	.opts = run_opts, .args_max = 1, .run = run_run
};
