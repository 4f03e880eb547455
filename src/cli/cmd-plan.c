/* cmd-plan.c - `weir plan`: what would run for the workflows of this working tree, by the planner that the server uses. Without a server. */
#include "base/base.h"

#include "base/fs.h"
#include "base/limits.h"
#include "base/proc.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/planning.h"
#include "git/git.h"
#include "pipeline/plan.h"

#include <dirent.h>
#include <limits.h>
#include <unistd.h>

static const char *const dirs[] = { ".github/workflows", ".forgejo/workflows", ".gitea/workflows", ".weir/workflows" };

static int compare_files(const void *a, const void *b)
{
	return str_cmp(*(const str *)a, *(const str *)b);
}

static bool is_wanted(const char *want, str path)
{
	str base = path;

	if (!want)
		return true;
	for (size_t i = path.len; i > 0; i--)
		if (path.ptr[i - 1] == '/') {
			base = str_sub(path, i, path.len);
			break;
		}
	return str_eqz(path, want) || str_eqz(base, want) || (base.len > strlen(want) && str_has_prefix(base, str_z(want)) && base.ptr[strlen(want)] == '.');
}

int planning_find(struct cli *c, struct planning_files *f, struct err *reterr)
{
	const char *want = cli_arg(c, 0);

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		DIR *d = opendir(dirs[i]);

		for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
			str path = str_z(arena_printf(cli_arena(c), "%s/%s", dirs[i], e->d_name));

			if (workflow_is_path(path) && is_wanted(want, path) && f->n < PLANNING_FILES_MAX)
				f->v[f->n++] = path;
		}
		if (d)
			closedir(d);
	}
	qsort(f->v, f->n, sizeof(str), compare_files);
	if (f->n == 0 && want && access(want, R_OK) == 0)
		f->v[f->n++] = str_z(want);
	if (f->n == 0)
		return err_set(reterr, WEIR_ENOENT, want ? "there is no workflow '%s' here" : "there are no workflows here%s: they belong into .github/workflows",
		               want ? want : "");
	return 0;
}

/* A git command's output; empty when it fails. */
static str git_text(struct cli *c, const char *const *argv)
{
	CLEANUP_BUF struct buf out = BUF_INIT(65536), err = BUF_INIT(65536);
	struct proc_run        run = { .argv = argv, .out = &out, .err = &err, .timeout_ms = 10000 };
	int                    status = 1;

	if (proc_run(&run, &status, NULL) || status)
		return STR("");
	return arena_str(cli_arena(c), buf_str(&out));
}

/* Its first line. */
static str git_line(struct cli *c, const char *const *argv)
{
	str line = STR("");

	(void)str_cut(git_text(c, argv), '\n', &line, NULL);
	return line;
}

static str last_part(str s)
{
	for (size_t i = s.len; i > 0; i--)
		if (s.ptr[i - 1] == '/' || s.ptr[i - 1] == ':')
			return str_sub(s, i, s.len);
	return s;
}

/* The project as the server knows it, from the remote; else the folder's name. The plan's digest covers it. */
static str project_name(struct cli *c)
{
	static const char *const url[] = { "git", "config", "--get", "remote.origin.url", NULL };
	char                     top[PATH_MAX];
	str                      name = last_part(git_line(c, url));

	if (str_has_suffix(name, STR(".git")))
		name.len -= 4;
	if (name.len == 0 && git_find(".", top, sizeof(top), NULL) == 0) {
		str folder = str_z(top);

		while (folder.len > 1 && folder.ptr[folder.len - 1] == '/')
			folder.len--;
		name = arena_str(cli_arena(c), last_part(folder));
	}
	return name.len ? name : STR("project");
}

/* Commit, subject and full name of the branch that are checked out; empty where there is none. One call of git: each costs more than a planned job. */
static void read_head(struct cli *c, str *ret_commit, str *ret_ref, str *ret_subject)
{
	static const char *const log[] = { "git", "log", "-1", "--decorate=full", "--format=%H%n%D%n%s", NULL };
	static const char *const unborn[] = { "git", "symbolic-ref", "-q", "HEAD", NULL };
	str                      rest = git_text(c, log), names = STR(""), first;

	*ret_commit = *ret_ref = *ret_subject = STR("");
	if (!rest.len) {
		*ret_ref = git_line(c, unborn);
		return;
	}
	(void)str_cut(rest, '\n', ret_commit, &rest);
	(void)str_cut(rest, '\n', &names, &rest);
	(void)str_cut(rest, '\n', ret_subject, NULL);
	(void)str_cut(names, ',', &first, NULL);
	if (str_has_prefix(first, STR("HEAD -> ")))
		*ret_ref = str_sub(first, 8, first.len);
}

int planning_input(struct cli *c, struct plan_input *in, struct err *reterr)
{
	const char              *event = cli_option(c, "event"), *want_ref = cli_option(c, "ref"), *inputs = cli_option(c, "inputs");
	struct doc_node         *n = NULL;
	str                      project = project_name(c), commit, ref, subject;

	read_head(c, &commit, &ref, &subject);
	*in = (struct plan_input){ .event = event ? str_z(event) : STR("push"), .project = project, .commit = commit,
		                       .ref = want_ref ? str_z(want_ref) : ref, .before = STR("0000000000000000000000000000000000000000"),
		                       .actor = STR("you"), .subject = subject, .run_id = STR("local"), .run_number = 1, .run_attempt = 1 };
	if (in->commit.len == 0)
		in->commit = in->before;
	if (in->ref.len == 0)
		in->ref = STR("refs/heads/main");
	if (!str_has_prefix(in->ref, STR("refs/")))
		in->ref = str_z(arena_printf(cli_arena(c), "refs/heads/%.*s", STR_ARG(in->ref)));
	if (!inputs)
		return 0;
	int rc = doc_parse_json(cli_arena(c), "--inputs", str_z(inputs), &n, reterr);
	if (rc == 0 && n->kind != DOC_MAP)
		return err_set(reterr, WEIR_EINVAL, "--inputs must be a JSON object");
	in->inputs = n;
	return rc;
}

static void print_plan(struct cli *c, const struct plan *p)
{
	cli_printf(c, "%s%.*s%s (%.*s)  plan %.12s\n", cli_color(c, "bold"), STR_ARG(p->workflow->name), cli_color(c, ""), STR_ARG(p->workflow->file),
	           p->digest);
	if (!p->runs)
		cli_printf(c, "  does not run: %.*s\n", STR_ARG(p->cause));
	for (size_t i = 0; p->runs && i < p->n_groups; i++) {
		const struct plan_group *g = &p->groups[p->order[i]];

		if (g->call == PLAN_SKIP)
			cli_printf(c, "  %s- %.*s%s: skipped, %.*s\n", cli_color(c, "dim"), STR_ARG(g->id), cli_color(c, ""), STR_ARG(g->cause));
		else if (g->deferred)
			cli_printf(c, "  + %.*s: its jobs come from the outputs of what it needs\n", STR_ARG(g->id));
		for (size_t k = 0; k < g->n_jobs; k++)
			cli_printf(c, "  + %.*s%s\n", STR_ARG(g->jobs[k].name), g->n_needs ? " (after what it needs)" : "");
	}
}

static int plan_one(struct cli *c, str file, const struct plan_input *in, struct err *reterr)
{
	CLEANUP_BUF struct buf text = BUF_INIT(LIMIT_WORKFLOW_BYTES);
	const char            *name = arena_dup(cli_arena(c), file);
	struct workflow       *wf = NULL;
	struct plan           *p = NULL;
	int                    rc = name ? fs_read(name, &text, reterr) : arena_check(cli_arena(c), "plan", reterr);

	if (rc == 0)
		rc = workflow_parse(cli_arena(c), name, buf_str(&text), &wf, reterr);
	if (rc == 0)
		rc = plan_make(cli_arena(c), wf, in, &p, reterr);
	if (rc)
		return rc;
	if (cli_wants_json(c))
		plan_write(p, cli_json(c));
	else
		print_plan(c, p);
	return 0;
}

static int run_plan(struct cli *c, struct err *reterr)
{
	struct planning_files      *f = ARENA_NEW(cli_arena(c), struct planning_files);
	struct plan_input  in;
	int                rc = f ? planning_find(c, f, reterr) : arena_check(cli_arena(c), "plan", reterr);

	if (rc == 0)
		rc = planning_input(c, &in, reterr);
	if (rc == 0 && cli_wants_json(c))
		jw_arr(cli_json(c));
	for (size_t i = 0; rc == 0 && i < f->n; i++)
		rc = plan_one(c, f->v[i], &in, reterr);
	if (rc == 0 && cli_wants_json(c))
		jw_end(cli_json(c));
	return rc;
}

static const struct cli_opt plan_opts[] = {
	{ "event", "NAME", "push (default) or workflow_dispatch" },
	{ "ref", "REF", "branch or full ref name; default: what is checked out" },
	{ "inputs", "JSON", "inputs of a workflow_dispatch: '{\"name\":\"value\"}'" },
	{ NULL, NULL, NULL },
};
const struct cli_command cmd_plan = {
	.name = "plan", .args = "[WORKFLOW]", .summary = "Shows what would run for the workflows of this working tree",
	.help = "Reads the workflow files of the working tree and prints each plan: its jobs in order, which are skipped and why, and the plan's digest. "
	        "The server makes the same plan with the same digest for the same commit.",
	.opts = plan_opts, .args_max = 1, .run = run_plan
};
