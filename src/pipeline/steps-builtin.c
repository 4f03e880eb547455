/* steps-builtin.c - the two actions that are part of weir: actions/checkout@v4 and weir/release@v1. Runs on the job's thread.
 *
 * Both are ordinary steps in the sandbox. The job's token reaches checkout in git's configuration by environment, bound to the
 * repository's address and never written to .git/config; it reaches release in a file that only this step's sandbox holds. */
#include "base/base.h"
#include "base/fs.h"
#include "base/proc.h"
#include "pipeline/steps-internal.h"

#include <sys/stat.h>
#include <unistd.h>

/* Variables: CO_URL, CO_REF, CO_COMMIT, CO_BRANCH, CO_PATH, CO_DEPTH. */
static const char clone_script[] =
	"mkdir -p -- \"./$CO_PATH\"; cd -- \"./$CO_PATH\"\n"
	"git init -q -b main .\n"
	"git remote remove origin 2>/dev/null || true\n"
	"git remote add origin \"$CO_URL\"\n"
	"depth=; if [ \"$CO_DEPTH\" != 0 ]; then depth=\"--depth=$CO_DEPTH\"; fi\n"
	"if [ \"$CO_DEPTH\" = 0 ]; then git fetch -q --tags --prune --update-head-ok origin '+refs/heads/*:refs/remotes/origin/*'; fi\n"
	"git fetch -q --no-tags --update-head-ok $depth origin \"$CO_REF\"\n"
	"if [ -n \"$CO_BRANCH\" ]; then git checkout -q --force -B \"$CO_BRANCH\" FETCH_HEAD; else git checkout -q --force --detach FETCH_HEAD; fi\n"
	"git clean -ffdxq\n"
	"git log -1 --format='%H %s'\n";

/* The working tree of `weir run`: HEAD's commit, then the files as they lie on the disk. CO_FILES: folder with what the runner prepared. */
static const char copy_script[] =
	"mkdir -p -- \"./$CO_PATH\"; cd -- \"./$CO_PATH\"\n"
	"if [ -d \"$CO_FILES/head.git\" ]; then\n"
	"  git init -q -b \"${CO_BRANCH:-main}\" .\n"
	"  git fetch -q --depth=1 --update-head-ok \"$CO_FILES/head.git\" HEAD\n"
	"  git reset -q --hard FETCH_HEAD\n"
	"fi\n"
	"if [ -f \"$CO_FILES/deleted\" ]; then xargs -0 -r rm -f -- < \"$CO_FILES/deleted\"; fi\n"
	"tar -xf \"$CO_FILES/tree.tar\"\n"
	"echo 'the working tree, as it is on this machine'\n";

/* The inputs of the step, evaluated; a name that the action has not is refused: the reader could not see into an expression. */
static int take_with(struct step_eval *e, size_t i, const char *const *known, struct kvs *ret, struct err *reterr)
{
	int r = eval_pairs(e, "with", doc_get(e->job->steps[i].spec, "with"), ret, reterr);

	for (size_t k = 0; !r && k < ret->n; k++) {
		bool found = false;

		for (const char *const *name = known; *name && !found; name++)
			found = str_eqz(ret->v[k].key, *name);
		if (!found)
			r = err_set(reterr, WEIR_EINVAL, "with: the action has no input '%.*s'", STR_ARG(str_sub(ret->v[k].key, 0, 60)));
	}
	return r;
}

static str with_text(const struct kvs *with, const char *key, const char *otherwise)
{
	const struct kv *kv = kvs_get(with, str_z(key));
	str              text = kv ? str_trim(kv->value) : STR("");

	return text.len ? text : str_z(otherwise);
}

/* A folder inside the workspace: no way out of it by name. */
static int check_path(str path, struct err *reterr)
{
	str rest = path, part;

	if (path.len && path.ptr[0] == '/')
		return err_set(reterr, WEIR_EINVAL, "checkout: path '%.*s' must be relative to the workspace", STR_ARG(str_sub(path, 0, 100)));
	while (rest.len) {
		str_cut(rest, '/', &part, &rest);
		if (str_eqz(part, ".."))
			return err_set(reterr, WEIR_EINVAL, "checkout: path '%.*s' leaves the workspace", STR_ARG(str_sub(path, 0, 100)));
	}
	return 0;
}

static int git_token(struct step_eval *e, struct env_list *env, str url, struct err *reterr)
{
	str token = doc_get_str(e->job->spec, "token");
	str key, value;
	int r;

	r = env_add(env, STR("GIT_TERMINAL_PROMPT"), STR("0"), reterr);
	if (r || !token.len)
		return r;
	key = str_z(arena_printf(e->a, "http.%.*s.extraHeader", STR_ARG(url)));
	value = str_z(arena_printf(e->a, "Authorization: Bearer %.*s", STR_ARG(token)));
	r = env_add(env, STR("GIT_CONFIG_COUNT"), STR("1"), reterr);
	if (!r)
		r = env_add(env, STR("GIT_CONFIG_KEY_0"), key, reterr);
	return r ? r : env_add(env, STR("GIT_CONFIG_VALUE_0"), value, reterr);
}

/* --- the working tree of `weir run`, packed by the runner from its own folder --- */

static int quiet(const char *const *argv, const char *cwd, struct buf *out, int *status, struct err *reterr)
{
	struct proc_run run = { .argv = argv, .cwd = cwd, .out = out, .timeout_ms = 600000 };

	return proc_run(&run, status, reterr);
}

/* git reads only repositories of its own user; nobody else has seen this folder yet. */
static int give_tree(const struct job *j, const char *dir, struct err *reterr)
{
	char owner[40];

	snprintf(owner, sizeof(owner), "%u:%u", SANDBOX_UID_BASE + j->slot, SANDBOX_UID_BASE + j->slot);
	return quiet((const char *const[]){ "chown", "-R", "-h", owner, dir, NULL }, NULL, NULL, NULL, reterr);
}

static int pack_git(struct job *j, size_t i, const char *dir, struct err *reterr)
{
	const char *const      list[] = { "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate", NULL };
	const char *const      gone[] = { "git", "ls-files", "-z", "--deleted", NULL };
	CLEANUP_BUF struct buf files = BUF_INIT(256 << 20), deleted = BUF_INIT(64 << 20), present = BUF_INIT(256 << 20);
	char                   names[1200], tree[1200], head[1200], url[1200], full[4200];
	str                    rest, one;
	int                    status, r;

	snprintf(names, sizeof(names), "%s/names", dir);
	snprintf(tree, sizeof(tree), "%s/tree.tar", dir);
	snprintf(head, sizeof(head), "%s/head.git", dir);
	snprintf(url, sizeof(url), "file://%s", j->source);
	r = quiet(list, j->source, &files, &status, reterr);
	if (!r)
		r = quiet(gone, j->source, &deleted, &status, reterr);
	if (!r)
		r = step_file(j, i, "deleted", buf_str(&deleted), 0644, reterr);
	for (rest = buf_str(&files); rest.len;) { /* tar stops at names that are not there */
		struct stat st;

		str_cut(rest, 0, &one, &rest);
		if (snprintf(full, sizeof(full), "%s/%.*s", j->source, STR_ARG(one)) < (int)sizeof(full) && !lstat(full, &st) && !S_ISDIR(st.st_mode)) {
			buf_add_str(&present, one);
			buf_addc(&present, 0);
		}
	}
	if (!r)
		r = step_file(j, i, "names", buf_str(&present), 0600, reterr);
	if (!r)
		r = quiet((const char *const[]){ "tar", "-C", j->source, "--null", "--verbatim-files-from", "-T", names, "-cf", tree, NULL }, NULL, NULL, NULL,
		          reterr);
	if (!r && !quiet((const char *const[]){ "git", "rev-parse", "-q", "--verify", "HEAD", NULL }, j->source, NULL, &status, NULL) && !status)
		r = quiet((const char *const[]){ "git", "clone", "-q", "--bare", "--depth", "1", url, head, NULL }, NULL, NULL, NULL, reterr);
	return r || geteuid() || !fs_exists(head) ? r : give_tree(j, head, reterr);
}

static int pack_tree(struct job *j, size_t i, struct err *reterr)
{
	char dir[1100], tree[1200], git[1200];
	int  r = 0;

	if (snprintf(dir, sizeof(dir), "%s/box/files/%zu", j->dir, i) >= (int)sizeof(dir))
		return err_set(reterr, WEIR_ELIMIT, "the path of the job's folder is too long");
	snprintf(tree, sizeof(tree), "%s/tree.tar", dir);
	snprintf(git, sizeof(git), "%s/.git", j->source);
	r = fs_mkdirs(dir, 0755, reterr);
	if (!r && fs_exists(git))
		r = pack_git(j, i, dir, reterr);
	else if (!r)
		r = quiet((const char *const[]){ "tar", "-C", j->source, "-cf", tree, ".", NULL }, NULL, NULL, NULL, reterr);
	if (!r && chmod(tree, 0644))
		r = err_set(reterr, WEIR_EIO, "cannot read %s", tree);
	return r ? err_wrap(reterr, "checkout of the working tree") : 0;
}

struct checkout {
	str ref, path, depth;
};

static int checkout_inputs(struct step_eval *e, size_t i, struct checkout *c, struct err *reterr)
{
	static const char *const known[] = { "ref", "path", "fetch-depth", NULL };
	struct kvs               with = { 0 };
	uint64_t                 n;
	int                      r = take_with(e, i, known, &with, reterr);

	*c = (struct checkout){ with_text(&with, "ref", ""), with_text(&with, "path", "."), with_text(&with, "fetch-depth", "1") };
	kvs_fini(&with); /* the texts are the arena's */
	if (!r)
		r = check_path(c->path, reterr);
	if (!r && !str_to_u64(c->depth, &n))
		r = err_set(reterr, WEIR_EINVAL, "checkout: fetch-depth '%.*s' is no number", STR_ARG(str_sub(c->depth, 0, 40)));
	if (!r && c->ref.len && c->ref.ptr[0] == '-')
		r = err_set(reterr, WEIR_EINVAL, "checkout: ref '%.*s' is no name of a branch, tag or commit", STR_ARG(str_sub(c->ref, 0, 60)));
	return r;
}

static int checkout_env(struct step_eval *e, size_t i, const struct checkout *c, struct env_list *env, struct err *reterr)
{
	const struct doc_node *repo = doc_get(e->job->spec, "repository");
	str                    commit = doc_get_str(repo, "commit"), branch = doc_get_str(repo, "ref");
	int                    r = 0;

	branch = str_has_prefix(branch, STR("refs/heads/")) ? str_sub(branch, 11, branch.len) : STR("");
	const struct kv vars[] = { { STR("CO_URL"), doc_get_str(repo, "url") }, { STR("CO_REF"), c->ref.len ? c->ref : commit },
		                       { STR("CO_COMMIT"), commit }, { STR("CO_BRANCH"), c->ref.len ? STR("") : branch }, { STR("CO_PATH"), c->path },
		                       { STR("CO_DEPTH"), c->depth }, { STR("CO_FILES"), str_z(arena_printf(e->a, SANDBOX_FILES "/%zu", i)) } };
	for (size_t k = 0; !r && k < ARRAY_SIZE(vars); k++)
		r = env_add(env, vars[k].key, vars[k].value, reterr);
	return r;
}

static int checkout_prepare(struct step_eval *e, size_t i, struct env_list *env, struct step_plan *ret, struct err *reterr)
{
	bool            copy = e->job->source != NULL;
	struct checkout c;
	int             r = checkout_inputs(e, i, &c, reterr);

	if (!r)
		r = checkout_env(e, i, &c, env, reterr);
	if (!r)
		r = copy ? pack_tree(e->job, i, reterr) : git_token(e, env, doc_get_str(doc_get(e->job->spec, "repository"), "url"), reterr);
	if (!r)
		r = step_script(e->job, str_z(copy ? copy_script : clone_script), reterr);
	ret->argv = ARENA_ARRAY(e->a, 4, const char *);
	if (!r && ret->argv) {
		ret->argv[0] = "/bin/sh";
		ret->argv[1] = "-e";
		ret->argv[2] = SANDBOX_FILES "/script";
	}
	return r ? r : arena_check(e->a, "checkout", reterr);
}

/* --- weir/release@v1: a command of weir inside the sandbox --- */

static int secret_file(struct step_eval *e, size_t i, struct step_plan *ret, struct err *reterr)
{
	char path[1200];
	str  token = doc_get_str(e->job->spec, "token");
	int  r;

	if (step_dir(e->job, i, "secret", ret->secret))
		return err_set(reterr, WEIR_ELIMIT, "the path of the job's folder is too long");
	snprintf(path, sizeof(path), "%s/token", ret->secret);
	r = fs_mkdirs(ret->secret, 0700, reterr);
	if (!r)
		r = fs_write_quick(path, token, 0400, reterr);
	if (!r)
		r = sandbox_give(path, e->job->slot, reterr);
	if (!r)
		r = sandbox_give(ret->secret, e->job->slot, reterr);
	ret->has_secret = !r;
	return r;
}

static int add_inputs(struct step_eval *e, size_t i, struct env_list *env, struct err *reterr)
{
	static const char *const known[] = { "service", "environment", "files", NULL };
	struct kvs               with = { 0 };
	int                      r = take_with(e, i, known, &with, reterr);

	for (size_t k = 0; !r && k < with.n; k++) {
		char *key = arena_printf(e->a, "INPUT_%.*s", STR_ARG(with.v[k].key));

		for (char *c = key; c && *c; c++)
			*c = *c >= 'a' && *c <= 'z' ? (char)(*c - 32) : *c;
		r = key ? env_add(env, str_z(key), with.v[k].value, reterr) : arena_check(e->a, "with", reterr);
	}
	for (const char *const *name = known; !r && *name; name++)
		if (!kvs_get(&with, str_z(*name)))
			r = err_set(reterr, WEIR_EINVAL, "with: weir/release@v1 needs the input '%s'", *name);
	kvs_fini(&with);
	return r;
}

static int release_prepare(struct step_eval *e, size_t i, struct env_list *env, struct step_plan *ret, struct err *reterr)
{
	const struct expr_value *github = expr_get(e->env_all.contexts, STR("github"));
	const struct expr_value *server = expr_get(github, STR("server_url"));
	int                      r = add_inputs(e, i, env, reterr);

	if (!r)
		r = env_add(env, STR("WEIR_SERVER_URL"), server ? expr_to_string(e->a, server) : STR(""), reterr);
	if (!r)
		r = env_add(env, STR("WEIR_TOKEN_FILE"), STR(SANDBOX_SECRET "/token"), reterr);
	if (!r)
		r = secret_file(e, i, ret, reterr);
	ret->argv = ARENA_ARRAY(e->a, 3, const char *);
	if (!r && ret->argv) {
		ret->argv[0] = SANDBOX_WEIR;
		ret->argv[1] = "action-release";
	}
	return r ? r : arena_check(e->a, "release", reterr);
}

int builtin_prepare(struct step_eval *e, size_t i, struct env_list *env, struct step_plan *ret, struct err *reterr)
{
	str uses = doc_get_str(e->job->steps[i].spec, "uses");

	if (str_eqz(uses, "actions/checkout@v4"))
		return checkout_prepare(e, i, env, ret, reterr);
	if (str_eqz(uses, "weir/release@v1"))
		return release_prepare(e, i, env, ret, reterr);
	return err_set(reterr, WEIR_EINVAL, "uses: '%.*s' is not an action that this runner has", STR_ARG(str_sub(uses, 0, 100)));
}
