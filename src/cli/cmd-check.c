/* cmd-check.c - `weir check`: the gate on this machine, before anything is pushed. The same rules, waivers and decisions as the
 * server's; needs no server. Main thread; the gate may scan with a second one. */
#include "base/base.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/worktree.h"
#include "gate/gate.h"
#include "server/checks.h"

#include <unistd.h>

enum { REPORT_BYTES_MAX = 64 << 20 };

struct look {
	struct cli      *cli;
	struct gate     *gate;
	struct git_repo *repo;
	char             top[4096];
	char             target[GIT_ID_SIZE];
	bool             looked;
	struct verdict   verdict; /* of all looks together */
};

static int join_verdict(struct look *l, const struct verdict *v, struct err *reterr)
{
	struct verdict both;
	int            rc;

	if (!l->looked) {
		l->looked = true;
		l->verdict = *v;
		return 0;
	}
	rc = gate_merge(&l->verdict, v, cli_arena(l->cli), &both, reterr);
	if (!rc)
		l->verdict = both;
	return rc;
}

static int check_one(struct look *l, struct change *c, struct err *reterr)
{
	struct verdict v;
	int            rc;

	c->repo = l->repo;
	c->target = l->target;
	c->trust = TRUST_DEVELOPER;
	rc = gate_check_change(l->gate, c, cli_arena(l->cli), &v, reterr);
	return rc ? rc : join_verdict(l, &v, reterr);
}

/* First of the names that leads to a commit; zeros when none does. */
static int resolve_first(struct look *l, const char *const *names, char id[GIT_ID_SIZE], struct err *reterr)
{
	snprintf(id, GIT_ID_SIZE, "%s", git_zero_id);
	for (; *names; names++) {
		int rc = git_resolve(l->repo, *names, id, reterr);

		if (rc != -WEIR_ENOENT)
			return rc;
		snprintf(id, GIT_ID_SIZE, "%s", git_zero_id);
	}
	return 0;
}

/* --- commits --- */
static int check_commits(struct look *l, const char *old_id, const char *new_id, struct err *reterr)
{
	struct change c = { 0 };

	if (!strcmp(new_id, git_zero_id))
		return 0; /* no commit yet */
	snprintf(c.old_id, sizeof c.old_id, "%s", old_id);
	snprintf(c.new_id, sizeof c.new_id, "%s", new_id);
	return check_one(l, &c, reterr);
}

/* OLD..NEW; an empty NEW is HEAD, an empty OLD "what no remote has". */
static int check_range(struct look *l, const char *range, struct err *reterr)
{
	str         old, new_rev = str_z(range);
	const char *dots = strstr(range, "..");
	char        from[GIT_ID_SIZE], to[GIT_ID_SIZE];
	int         rc;

	if (!dots || dots[2] == '.')
		return err_set(reterr, WEIR_EINVAL, "'%.200s' is no range: write OLD..NEW, for instance main..HEAD", range);
	old = str_n(range, (size_t)(dots - range));
	new_rev = str_z(dots + 2);
	snprintf(from, sizeof from, "%s", git_zero_id);
	if (old.len) {
		rc = git_resolve(l->repo, arena_dup(cli_arena(l->cli), old), from, reterr);
		if (rc)
			return rc;
		snprintf(l->target, sizeof l->target, "%s", from);
	}
	rc = git_resolve(l->repo, new_rev.len ? new_rev.ptr : "HEAD", to, reterr);
	if (!rc) /* with OLD named, exactly the range; without, what is on no remote */
		rc = git_repo_set_known_refs(l->repo, old.len ? NULL : "refs/remotes/", reterr);
	return rc ? rc : check_commits(l, from, to, reterr);
}

/* --- files --- */
struct file_look {
	struct look *look;
	bool         whole_tree;
};

static int on_files(void *ctx, const struct change_file *files, size_t n, bool single, struct err *reterr)
{
	struct file_look *f = ctx;
	struct change     c = { .files = files, .n_files = n, .whole_tree = f->whole_tree && single };

	if (f->whole_tree && !single)
		cli_notef(f->look->cli, "weir: a large tree is looked at in portions; waivers that cover nothing are not reported\n");
	return check_one(f->look, &c, reterr);
}

static int check_files(struct look *l, enum worktree_what what, struct err *reterr)
{
	struct file_look f = { .look = l, .whole_tree = what == WORKTREE_ALL };

	return worktree_each(l->top, l->repo, what, on_files, &f, reterr);
}

static int check_unpushed(struct look *l, struct err *reterr)
{
	static const char *const upstream[] = { "@{upstream}", NULL }, *const head[] = { "HEAD", NULL };
	char                     from[GIT_ID_SIZE], to[GIT_ID_SIZE];
	int                      rc = resolve_first(l, upstream, from, reterr);

	if (!rc)
		rc = resolve_first(l, head, to, reterr);
	if (!rc)
		rc = git_repo_set_known_refs(l->repo, "refs/remotes/", reterr);
	if (!rc)
		rc = check_commits(l, from, to, reterr);
	if (!rc)
		rc = check_files(l, WORKTREE_STAGED, reterr);
	return rc ? rc : check_files(l, WORKTREE_CHANGED, reterr);
}

static int check_history(struct look *l, struct err *reterr)
{
	struct gate_stats stats;
	struct verdict    v;
	int               rc = gate_check_history(l->gate, l->repo, l->target, cli_arena(l->cli), &v, &stats, reterr);

	if (rc)
		return rc;
	cli_notef(l->cli, "%llu blobs, %.1f MiB looked at\n", (unsigned long long)stats.blobs, (double)stats.bytes / (1 << 20));
	return join_verdict(l, &v, reterr);
}

/* --- the command --- */
static int open_all(struct look *l, struct err *reterr)
{
	static const char *const targets[] = { "refs/remotes/origin/HEAD", "@{upstream}", "HEAD", NULL };
	struct gate_config       cfg = { .cache_dir = cli_cache_dir(l->cli, "") /* compiled rules */ };
	int                      rc = git_find(".", l->top, sizeof l->top, reterr);

	if (!rc)
		rc = git_repo_open(l->top, NULL, &l->repo, reterr);
	if (!rc)
		rc = resolve_first(l, targets, l->target, reterr);
	if (rc)
		return rc;
	cfg.checks = checks_all(&cfg.n_checks);
	return gate_new(&cfg, &l->gate, reterr);
}

static int report(struct look *l, struct err *reterr)
{
	CLEANUP_BUF struct buf out = BUF_INIT(REPORT_BYTES_MAX);
	struct cli            *c = l->cli;
	int                    rc;

	if (cli_switch(c, "sarif"))
		gate_report_sarif(&l->verdict, &out);
	else if (cli_wants_json(c))
		gate_report_json(&l->verdict, &out);
	else
		gate_report_text(&l->verdict, &out, cli_is_terminal(c) && *cli_color(c, "red"));
	rc = buf_check(&out, "report", reterr);
	if (rc)
		return rc;
	if (cli_wants_json(c) && !cli_switch(c, "sarif"))
		jw_raw(cli_json(c), buf_str(&out));
	else
		cli_printf(c, "%s%s", buf_z(&out), cli_switch(c, "sarif") ? "\n" : "");
	return l->verdict.call == VERDICT_FAIL ? 1 : l->verdict.call == VERDICT_CANNOT_JUDGE ? 2 : 0;
}

static int look_and_report(struct look *l, struct err *reterr)
{
	struct cli *c = l->cli;
	int         rc;

	if (cli_switch(c, "history"))
		rc = check_history(l, reterr);
	else if (cli_switch(c, "all"))
		rc = check_files(l, WORKTREE_ALL, reterr);
	else if (cli_switch(c, "staged"))
		rc = check_files(l, WORKTREE_STAGED, reterr);
	else
		rc = cli_n_args(c) ? check_range(l, cli_arg(c, 0), reterr) : check_unpushed(l, reterr);
	if (rc)
		return rc;
	if (!l->looked) {
		struct verdict nothing = { .call = VERDICT_PASS };

		rc = gate_merge(&nothing, &nothing, cli_arena(c), &l->verdict, reterr);
	}
	return rc ? rc : report(l, reterr);
}

static int run_check(struct cli *c, struct err *reterr)
{
	struct look *l = arena_alloc(cli_arena(c), sizeof *l);
	int          rc, n = cli_switch(c, "history") + cli_switch(c, "staged") + (cli_switch(c, "all") && !cli_switch(c, "history")) + (cli_n_args(c) > 0);

	if (!l)
		return err_set(reterr, WEIR_ENOMEM, "no memory");
	if (n > 1)
		return err_set(reterr, WEIR_EINVAL, "RANGE, --staged, --all and --history exclude each other");
	l->cli = c;
	rc = open_all(l, reterr);
	if (!rc)
		rc = look_and_report(l, reterr);
	gate_free(l->gate);
	git_repo_close(l->repo);
	return rc;
}

const struct cli_command cmd_check = {
	.name = "check",
	.args = "[RANGE]",
	.summary = "Looks for what the server would refuse: credentials, broken workflows and settings",
	.help = "Without arguments: commits that the upstream does not have, staged and changed files. RANGE is OLD..NEW, for instance main..HEAD; "
			"..NEW stands for what no remote has.\n\n"
			"Waivers are read from .weir/waivers.yaml at the commit the change would go to, never from the change itself.\n\n"
			"Exit status: 0 clean, 1 findings, 2 could not check.",
	.opts = (const struct cli_opt[]){ { "staged", NULL, "look at what is staged for the next commit" },
	                                  { "all", NULL, "look at every file of the working folder that git does not ignore" },
	                                  { "history", NULL, "look for credentials in every version of every file of all refs" },
	                                  { "sarif", NULL, "print SARIF 2.1.0" },
	                                  { NULL, NULL, NULL } },
	.args_max = 1,
	.run = run_check,
};
